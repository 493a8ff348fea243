"""The life of a break: first and last sight, resolved and back again, what people say of it, signed periods."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from dualsync.errors import RequestError, SignOffError
from dualsync.ledger import ControlResult, Ledger, NightRecord, SignOff
from dualsync.ledger.breaks import BreakFilter, Judged
from dualsync.reports.figures import AGES, age_class

FIRST = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    ledger = Ledger.open(ledger_url, lambda: FIRST)
    yield ledger
    ledger.close()


def night(number: int) -> NightRecord:
    moment = FIRST + timedelta(days=number)
    return NightRecord(f"night-{number}", ("USPM",), "", moment, "breaks", 1, 0, 0, 0, 0, "0.99", "", moment)


def found(key: str, control: str = "R1", **words: Any) -> dict[str, Any]:
    return {
        "control": control,
        "check": "a",
        "company": "USPM",
        "key": key,
        "class": "missing_in_finance",
        "field": "",
        "severity": "critical",
        "dataverse_value": "960.0000",
        "finance_value": "",
        "amount": Decimal("960.000000"),
        "currency": "USD",
        "dataverse_table": "msdyn_actual",
        "dataverse_id": key,
        "finance_set": "ProjActualsImports",
        "finance_key": "",
        "cause": "not_synced",
        "explanation": "",
        **words,
    }


def result(control: str = "R1", state: str = "breaks", company: str = "USPM") -> ControlResult:
    return ControlResult(control, company, state, 1)


def test_what_one_check_found_is_not_gone_while_that_check_was_not_asked(ledger: Ledger) -> None:
    """A column that a system lacks tonight costs a check; what it found before is neither seen nor resolved."""
    before = [found("A", check="a"), found("B", check="b"), found("OLD", check="")]
    ledger.nights.record(night(0), [result()], [before])
    partly = Judged(frozenset(), frozenset({("R1", "a", "USPM")}))

    ledger.nights.record(night(1), [result(state="incomplete")], [], judged=partly)

    assert {record.key: record.resolved_run for record in ledger.nights.breaks()} == {
        "A": "night-1",
        "B": "",
        "OLD": "",
    }

    ledger.nights.record(night(2), [result(state="equal")], [])

    assert {record.key: record.resolved_run for record in ledger.nights.breaks()} == {
        "A": "night-1", "B": "night-2", "OLD": "night-2",
    }  # fmt: skip


def test_a_break_keeps_its_first_sight_its_owner_and_comment_from_night_to_night(ledger: Ledger) -> None:
    nights = ledger.nights
    nights.record(night(0), [result()], [[found("A"), found("B")]])
    (first, _) = nights.breaks()
    nights.edit_break(first.number, "Ann", owner="Bob", comment="asked the project manager", status="in_progress")
    nights.record(night(1), [result()], [[found("A", finance_value="1", cause="held")]])
    a, b = nights.breaks()
    assert (a.key, a.first_seen, a.last_seen, a.nights) == ("A", FIRST, FIRST + timedelta(days=1), 2)
    assert (a.owner, a.comment, a.status, a.edited_by) == ("Bob", "asked the project manager", "in_progress", "Ann")
    assert (a.finance_value, a.cause) == ("1", "held"), "what the night says anew is taken over"
    assert (b.resolved_at, b.resolved_run) == (FIRST + timedelta(days=1), "night-1")
    assert a.amount == Decimal("960.000000")


def test_what_was_not_looked_at_is_neither_seen_nor_resolved(ledger: Ledger) -> None:
    nights = ledger.nights
    nights.record(night(0), [result(), result("R2")], [[found("A"), found("B", "R2")]])
    nights.record(night(1), [result(state="not_run"), result("R2", company="GBPM")], [])
    assert [one.resolved_at for one in nights.breaks()] == [None, None]
    assert nights.breaks(BreakFilter(run_id="night-1")) == []
    nights.record(night(2), [result(state="equal"), result("R2", "failed")], [])
    assert [one.key for one in nights.breaks(BreakFilter(still_open=False))] == ["A"]


def test_a_break_that_comes_back_is_young_again_and_keeps_what_was_said(ledger: Ledger) -> None:
    nights = ledger.nights
    nights.record(night(0), [result()], [[found("A")]])
    nights.edit_break(1, "Ann", comment="known")
    nights.record(night(1), [result(state="equal")], [])
    nights.record(night(2), [result()], [[found("A")]])
    (one,) = nights.breaks()
    assert (one.number, one.first_seen, one.nights, one.resolved_at) == (1, FIRST + timedelta(days=2), 1, None)
    assert one.comment == "known"


def test_writing_a_night_down_twice_changes_nothing(ledger: Ledger) -> None:
    nights = ledger.nights
    for _ in range(2):
        nights.record(night(0), [result()], [[found("A"), found("A")], [found("A")]])
    (one,) = nights.breaks()
    assert one.nights == 1
    assert nights.latest() == [night(0)]
    assert nights.results("night-0") == [result()]


def test_breaks_are_found_by_what_they_hold_and_paged(ledger: Ledger) -> None:
    nights = ledger.nights
    rows = [found(f"K{number:04d}", "R2" if number % 2 else "R1", explanation="50%_off") for number in range(250)]
    nights.record(night(0), [result(), result("R2")], [rows[:100], rows[100:]])
    assert nights.count(BreakFilter(control="R2", still_open=True)) == 125
    assert nights.count(BreakFilter(text="0%_")) == 250
    assert nights.count(BreakFilter(text="0%x")) == 0
    assert nights.grouped(BreakFilter(), "control", "severity") == {("R1", "critical"): 125, ("R2", "critical"): 125}
    page = nights.breaks(BreakFilter(control="R1"), limit=10)
    following = nights.breaks(BreakFilter(control="R1"), after=page[-1].number, limit=10)
    assert [one.key for one in (*page, *following)] == [f"K{number:04d}" for number in range(0, 40, 2)]


def test_unknown_breaks_and_statuses_are_refused(ledger: Ledger) -> None:
    with pytest.raises(RequestError, match="no exception number 7"):
        ledger.nights.edit_break(7, "Ann", comment="?")
    with pytest.raises(RequestError, match="no status 'done'; there are open, in_progress"):
        ledger.nights.edit_break(7, "Ann", status="done")


def test_a_period_is_signed_once_and_reviewed_by_somebody_else(ledger: Ledger) -> None:
    nights = ledger.nights
    signed = SignOff("USPM", "2026-03-01", "night-0", "packs/1", "d" * 64, "Ann", FIRST)
    with pytest.raises(SignOffError, match="is not signed off"):
        nights.review("USPM", "2026-03-01", "Bob")
    nights.sign(signed)
    with pytest.raises(SignOffError, match="signed off already"):
        nights.sign(replace(signed, digest="e" * 64))
    with pytest.raises(SignOffError, match="cannot review"):
        nights.review("USPM", "2026-03-01", "Ann")
    assert nights.review("USPM", "2026-03-01", "Bob").reviewed_by == "Bob"
    with pytest.raises(SignOffError, match="was reviewed by Bob"):
        nights.review("USPM", "2026-03-01", "Cid")
    assert [(one.company, one.reviewed_at) for one in nights.sign_offs("USPM")] == [("USPM", FIRST)]
    assert nights.sign_offs("GBPM") == []


def test_ages_are_counted_as_they_are_named(ledger: Ledger) -> None:
    days = (0, 1, 2, 23, 24, 29, 30, 31)
    last = night(max(days))
    for known, day in enumerate(days, 1):
        ledger.nights.record(night(day), [result()], [[found(f"K{place}") for place in range(known)]])
    named = Counter(age_class(one.first_seen, last.moment) for one in ledger.nights.breaks())
    counted = ledger.lists.ages(last.run_id, last.moment, (2, 8, 31))
    assert {AGES[place]: number for (place, _), number in counted.items()} == named
    assert named == {"0-1": 2, "2-7": 2, "8-30": 3, "30+": 1}
