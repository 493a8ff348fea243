"""The cut-over: history is not posted twice, and nothing is lost without a word."""

from __future__ import annotations

import shutil
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from dualsync_sandbox.business.dataverse.entries.approvals import approve_time
from dualsync_sandbox.business.dataverse.estimates import assign
from dualsync_sandbox.business.finance.expenses import Expense, Share
from dualsync_sandbox.store import Row
from support.cycles import ACTUALS, CONTRACTS, ESTIMATES, Cycle

pytestmark = pytest.mark.slow

BOTH = {"companies": ["USPM", "GBPM"]}
US = {"companies": ["USPM"]}
DAY = date(2026, 3, 2)


def worked(cycle: Cycle, project: str, *days: str) -> list[str]:
    """Approve eight hours for each day; returns the actuals' ids, a pair for each."""
    works = cycle.works
    rows = [row for day in days for row in approve_time(works.dataverse, works.time(project, msdyn_date=day))]
    return [str(row["msdyn_actualid"]) for row in rows]


def held(cycle: Cycle) -> dict[str | None, tuple[str, str, str]]:
    return {row.record_id: (row.state, row.rule, row.reason) for row in cycle.world.open_rows()}


def on_staging(cycle: Cycle) -> set[str]:
    return {row["ActualId"] for row in cycle.finance.rows("ProjActualsImports")}


def test_creations_wait_for_the_date_and_go_through_once_it_is_there(cycle: Cycle) -> None:
    """By company: the reason names the setting; older rows are passed over with a reason of their own."""
    works = cycle.works
    american, british = works.project(), works.project(code="GBPM", currency="GBP")
    cycle.cut_over(None, "USPM")
    at_home: dict[str, Any] = {"msdyn_bookableresource": works.resource("GBPM")}
    old, new = worked(cycle, american, "2026-02-27"), worked(cycle, american, "2026-03-02", "2026-03-03")
    rows: list[Row] = approve_time(works.dataverse, works.time(british, **at_home))
    there = {str(row["msdyn_actualid"]) for row in rows}

    for _ in range(2):
        summary = cycle.send(**BOTH)
        assert summary.counts.waiting == 6
        assert on_staging(cycle) == there, "the other company has its date"
        assert held(cycle).keys() == {*old, *new}
        for state, rule, reason in held(cycle).values():
            assert (state, rule) == ("waiting", "actuals.cutover")
            assert "created once the cut-over date of USPM is known (setting cutover.USPM)" in reason
    assert {row["Transaction1Id"] for row in cycle.relationships()} >= {new[1]}, "connections wait for nothing"

    cycle.cut_over(DAY, "USPM")
    counts = cycle.sync("actuals", **US).counts
    assert (counts.created, counts.skipped, counts.waiting) == (4, 2, 0)
    assert on_staging(cycle) == {*there, *new}
    assert cycle.world.open_rows() == []
    with cycle.world.runtime() as runtime:
        (leg,) = [
            one
            for one in runtime.ledger.legs(runtime.ledger.runs(1)[0].run_id)
            if (one.map, one.direction) == ("actuals", "to_finance")
        ]
    assert leg.counts.skipped == 2
    cycle.world.forget_requests()
    for mode in ("incremental", "full"):
        cycle.sync(*ACTUALS, **BOTH, mode=mode)
    assert cycle.world.writes() == []


def test_the_day_itself_is_in(cycle: Cycle) -> None:
    cycle.cut_over(DAY)
    before = worked(cycle, cycle.works.project(), "2026-03-01", "2026-03-02")[:2]
    cycle.send(**US)
    dates = {row["DocumentDate"][:10] for row in cycle.finance.rows("ProjActualsImports")}
    assert dates == {"2026-03-02"}
    assert not on_staging(cycle) & set(before)


def test_a_finance_that_holds_the_history(cycle: Cycle) -> None:
    """Adoption: what is staged already is recognised; what is older than the cut-over is staged by nobody."""
    works = cycle.works
    project = works.project()
    known = worked(cycle, project, "2026-03-02", "2026-03-12")
    cycle.send(**US)
    cycle.books()
    cycle.sync("actuals", **US)
    # From the time when another integration ran: posted there under other numbers, so no staging row has them.
    history = worked(cycle, project, "2026-02-20", "2026-03-09")
    new = worked(cycle, project, "2026-03-10", "2026-03-16")
    shutil.rmtree(cycle.world.home / ".dualsync")
    with cycle.world.runtime() as runtime:
        maps = runtime.catalog.order({*ACTUALS, *(n for m in ACTUALS for n in runtime.catalog.ancestors(m))})
    staged_before = {row["ActualId"]: row for row in cycle.finance.rows("ProjActualsImports")}
    assert staged_before.keys() == set(known)

    cycle.cut_over(None)
    cycle.sync(*maps, **US)
    assert on_staging(cycle) == set(known), "without a date nothing is created"
    assert {state for state, _, _ in held(cycle).values()} == {"waiting"}

    shutil.rmtree(cycle.world.home / ".dualsync")
    cycle.cut_over(date(2026, 3, 10))
    cycle.world.forget_requests()
    summary = cycle.sync(*maps, **US)
    created = {leg.map: leg.counts.created for leg in summary.legs if leg.counts.created}

    assert created["actuals"] == 4
    assert on_staging(cycle) == {*known, *new}
    assert not on_staging(cycle) & set(history)
    rows = {row["ActualId"]: row for row in cycle.finance.rows("ProjActualsImports")}
    assert min(rows[actual]["DocumentDate"][:10] for actual in new) == "2026-03-10"
    assert {key: rows[key] for key in known} == staged_before, "what was staged and posted is not touched"
    cycle.books()
    assert cycle.sync("actuals", **US).counts.updated == 4
    cycle.world.forget_requests()
    cycle.sync(*ACTUALS, **US, mode="full")
    assert cycle.world.writes() == []
    assert cycle.world.open_rows() == []


def test_expenses_and_estimates_have_it_too(cycle: Cycle) -> None:
    """Expenses by their own date, from Finance to Dataverse; assignments by the day they begin."""
    works = cycle.works
    project = works.project()
    cycle.sync(*CONTRACTS, **US)
    cycle.cut_over(None)
    share = (Share(cycle.number(project)),)
    for day in ("2026-02-27", "2026-03-02"):
        cycle.report(Expense("TRAVEL", Decimal(40), day, share))
    resource, role = works.resource(), works.role()
    assign(works.dataverse, project, works.leaf(project), resource, role, Decimal(8))
    maps = ("expenses", *ESTIMATES)

    assert cycle.sync(*maps, **US).counts.waiting == 3
    assert {row.rule for row in cycle.world.open_rows()} == {"expenses.cutover", "hour_estimates.cutover"}
    assert cycle.dataverse.rows("msdyn_expenses") == []

    cycle.cut_over(DAY)
    counts = cycle.sync(*maps, **US).counts
    assert (counts.created, counts.skipped, counts.waiting) == (2, 1, 0)
    (expense,) = cycle.dataverse.rows("msdyn_expenses")
    assert expense["msdyn_transactiondate"] == "2026-03-02"
    assert len(cycle.finance.rows("ProjEstimateHoursImport", f"ProjectId eq '{cycle.number(project)}'")) == 1
    assert cycle.world.open_rows() == []
