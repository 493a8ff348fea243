"""How a row ends: each case by itself, and which of two that fit is the weightier."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from dualsync.sync.plan.messages import MESSAGES
from dualsync.sync.plan.vocabulary import Action
from dualsync.sync.reconcile.cases import ROW_FACTS, Case, LegRules, cases_for, classify

NAMES = pa.list_(pa.string())
TEXTS = ("state", "stop", "rule", "reason", "lines")


def rules(**changed: Any) -> LegRules:
    """A leg whose sender creates and owns rows; other words of its map as given."""
    told: dict[str, Any] = {
        "map": "projects",
        "company": "USPM",
        "sender": "Dataverse",
        "receiver": "Finance",
        "creates": True,
        "receiver_deletes": False,
        "flags_left": True,
        "resend": False,
        "sends_trigger": False,
        "history_waits": False,
        "cutover": None,
    }
    return LegRules(**{**told, **changed})


def frame(**facts: Any) -> pd.DataFrame:
    """One row that stands on both sides and is unchanged, but for what is given."""
    told: dict[str, Any] = dict.fromkeys(ROW_FACTS, False)
    told |= {"state": "in", "present": True, "based": True, "foreign_changes": [], "overwritten": [], "pos": 7}
    told |= dict.fromkeys(("stop", "rule", "reason", "lines")) | facts
    kinds = {name: pa.string() for name in TEXTS} | {"foreign_changes": NAMES, "overwritten": NAMES, "pos": pa.int64()}
    table = pa.table({name: pa.array([value], type=kinds.get(name, pa.bool_())) for name, value in told.items()})
    return table.to_pandas(types_mapper=pd.ArrowDtype)


def ended(leg: LegRules, **facts: Any) -> tuple[str, str | None, str | None, str]:
    """Action, rule, reason and case of one row."""
    row = classify(frame(**facts), cases_for(leg), leg.map).iloc[0]
    return tuple(None if pd.isna(row[name]) else row[name] for name in ("action", "rule", "reason", "case"))  # type: ignore[return-value]


CASES = [
    ("no company", {}, {"state": "no_company"}, "skipped", "company"),
    ("gone", {}, {"state": "gone"}, "skipped", "gone"),
    ("company changed", {}, {"state": "moved"}, "conflict", "company"),
    ("left", {}, {"state": "left"}, "conflict", "left"),
    ("left", {"flags_left": False}, {"state": "left"}, "skipped", "left"),
    ("kept", {}, {"state": "deleted"}, "conflict", "deleted"),
    ("several at the sender", {}, {"several_sent": True}, "conflict", "duplicate"),
    ("several at the receiver", {}, {"several_standing": True}, "conflict", "duplicate"),
    ("key changed", {}, {"known_otherwise": True}, "conflict", "key_changed"),
    ("deleted at the receiver", {}, {"present": False}, "conflict", "deleted"),
    ("deleted at the receiver", {"receiver_deletes": True}, {"present": False}, "skipped", "deleted"),
    ("new", {"resend": True}, {"present": False}, "create", None),
    ("deleted at the receiver", {"resend": True, "creates": False}, {"present": False}, "conflict", "deleted"),
    ("no cut-over date", {"history_waits": True}, {"present": False, "based": False}, "waiting", "cutover"),
    ("new", {"history_waits": True, "cutover": "2026-01-01"}, {"present": False, "based": False}, "create", None),
    (
        "history",
        {"history_waits": True, "cutover": "2026-01-01"},
        {"present": False, "based": False, "history": True},
        "skipped",
        "cutover",
    ),
    ("new", {}, {"present": False, "based": False}, "create", None),
    ("not copied", {"creates": False}, {"present": False, "based": False}, "conflict", "owner"),
    ("changed", {}, {"writes": True}, "update", None),
    ("overwrites", {}, {"writes": True, "overwrites": True, "overwritten": ["A", "B"]}, "update", "owner"),
    (
        "also changed",
        {},
        {"writes": True, "changed_by_non_owner": True, "foreign_changes": ["A"]},
        "update",
        "owner",
    ),
    (
        "changed by the other side",
        {},
        {"changed_by_non_owner": True, "foreign_changes": ["A"]},
        "conflict",
        "owner",
    ),
    (
        "differs at the first run",
        {},
        {"based": False, "changed_by_non_owner": True, "foreign_changes": ["A"]},
        "conflict",
        "owner",
    ),
    ("unchanged", {}, {}, "unchanged", None),
    ("header gone", {"sends_trigger": True}, {"state": "left"}, "skipped", "gone"),
    ("header in conflict", {"sends_trigger": True}, {"several_sent": True}, "skipped", "header"),
    ("header in conflict", {"sends_trigger": True}, {"known_otherwise": True}, "skipped", "header"),
    ("waits for its header", {"sends_trigger": True}, {"present": False}, "waiting", "header"),
    (
        "waits for its lines",
        {"sends_trigger": True},
        {"writes": True, "lines_missing": True, "lines": "waits for two lines"},
        "waiting",
        "lines",
    ),
    ("unchanged", {"sends_trigger": True}, {"lines_missing": True, "lines": "waits"}, "unchanged", None),
]


@pytest.mark.parametrize(("case", "leg", "facts", "action", "rule"), CASES)
def test_each_case(case: str, leg: dict[str, Any], facts: dict[str, Any], action: str, rule: str | None) -> None:
    told = ended(rules(**leg), **facts)
    assert (told[3], told[0], told[1]) == (case, action, rule and f"projects.{rule}")
    assert (told[2] is None) == (rule is None)


def test_every_case_is_shown() -> None:
    every = {case.name for leg in ({}, {"sends_trigger": True}, {"creates": False}) for case in cases_for(rules(**leg))}
    every |= {"no cut-over date", "history"}
    assert every - {case[0] for case in CASES} == set()


def test_every_message_is_said_somewhere() -> None:
    """But for the two of lookups within the map, of an approval, and of rows that only the receiver has."""
    legs = [
        rules(),
        rules(receiver_deletes=True),
        rules(creates=False),
        rules(sends_trigger=True),
        rules(history_waits=True),
        rules(history_waits=True, cutover="2026-01-01"),
    ]
    said = {case.message.id for leg in legs for case in cases_for(leg) if case.message is not None}
    elsewhere = {"row.self_lookup_missing", "row.parent_missing", "row.not_as_approved", "row.only_in_receiver"}
    assert {message.id for message in MESSAGES} == said | elsewhere


def test_what_stopped_a_row_comes_first() -> None:
    told = ended(
        rules(), stopped=True, stop="quarantined", rule="projects.key", reason="no key", several_sent=True, writes=True
    )
    assert told == ("quarantined", "projects.key", "no key", "stopped")


@pytest.mark.parametrize(
    ("facts", "case"),
    [
        ({"state": "left", "several_sent": True}, "left"),
        ({"several_sent": True, "present": False}, "several at the sender"),
        ({"known_otherwise": True, "present": False}, "key changed"),
        ({"known_otherwise": True, "writes": True}, "key changed"),
        ({"writes": True, "overwrites": True, "changed_by_non_owner": True, "overwritten": ["A"]}, "overwrites"),
    ],
)
def test_the_weightier_of_two(facts: dict[str, Any], case: str) -> None:
    assert ended(rules(), **facts)[3] == case


def test_reasons_name_sides_columns_and_dates() -> None:
    leg = rules(history_waits=True, cutover="2026-01-01")
    assert ended(leg, present=False, based=False, history=True)[2] == (
        "is older than the cut-over of USPM on 2026-01-01, so it is taken for history and not created"
    )
    assert ended(rules(), writes=True, overwrites=True, overwritten=["A", "B"])[2] == (
        "overwrites a change made in Finance: A, B"
    )
    assert ended(rules(), changed_by_non_owner=True, foreign_changes=["A"])[2] == (
        "changed in Finance, which does not own it: A; change it back there, or in Dataverse"
    )


def test_no_rows() -> None:
    assert len(classify(frame().iloc[:0], cases_for(rules()), "projects")) == 0


def test_cases_name_actions() -> None:
    assert all(isinstance(case, Case) and isinstance(case.action, Action) for case in cases_for(rules()))
