"""Five working days, played by chance from a seed, and the cycle until nothing is left to do."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from cycles import SINCE, Cycle, total

from dualsync.sync.pipeline import RunSummary
from dualsync_sandbox.business import finance_jobs

Api = dict[str, Any]

AREAS = ("setup_configuration", "expense_management", "estimates_actuals")
COMPANIES = ("USPM", "GBPM", "FRRT")
COST, UNBILLED, BILLED = 192350000, 192350005, 192350006
ADJUSTED, UNADJUSTABLE = 192350001, 192350002
OPPOSITE = ("msdyn_quantity", "msdyn_amount", "msdyn_accountingamount", "msdyn_salestaxamount")


@dataclass
class Week:
    """What was played, and what came of it.

    Attributes:
        events: How often what happened.
        spent: The balance of the expense integration account before the first cycle, by company.
        cycles: The runs of each cycle.
        writes: Number of writes in each cycle's trace.
    """

    events: dict[str, int]
    spent: dict[str, Decimal]
    cycles: list[list[RunSummary]] = field(default_factory=list)
    writes: list[int] = field(default_factory=list)
    actuals: list[Api] = field(default_factory=list)


def run(cycle: Cycle, *areas: str, **words: Any) -> list[RunSummary]:
    """The areas' own maps, area by area; nothing is played that reference maps carry. Every leg settles."""
    with cycle.world.runtime() as runtime:
        maps = {area: [m.map for m in runtime.catalog.values() if m.area == area and m.enabled] for area in areas}
    return [cycle.sync(*maps[area], **words) for area in areas]


@pytest.fixture(scope="module")
def week(shared: Cycle) -> Week:
    """Play, cycle, Finance's import and posting, cycle, and so on until a cycle writes nothing."""
    played = shared.world.sandbox.play(5, 7)
    assert len(played["days"]) == 5  # type: ignore[arg-type]
    told = Week(played["events"], {code: shared.balance(code) for code in COMPANIES})  # type: ignore[arg-type]
    while len(told.cycles) < 5:
        shared.world.forget_requests()
        told.cycles.append(run(shared, *AREAS))
        told.writes.append(len(shared.world.writes()))
        if told.writes[-1] == 0:
            break
        shared.books(*COMPANIES)
    told.actuals = shared.dataverse.rows("msdyn_actuals")
    return told


def travelling(week: Week) -> list[Api]:
    """G1: the actuals that Finance should know."""
    kept = [row for row in week.actuals if not row["msdyn_skipsync"]]
    return [row for row in kept if row["msdyn_transactiontypecode"] != BILLED]


def test_the_week_has_everything_in_it(week: Week) -> None:
    """What the other tests say of the week they say of all these events."""
    needed = {
        "approve-time", "approve-time-reduced", "approve-time-increased", "approve-material", "post-expense",
        "intercompany-time", "cancel-approval", "correction-journal", "entry-journal", "retainer", "use-retainer",
        "tie-contract", "confirm-contract", "assign", "reassign", "estimate-expense", "estimate-material",
    }  # fmt: skip
    assert needed <= week.events.keys()
    kinds = Counter((row["msdyn_transactiontypecode"], row["msdyn_adjustmentstatus"]) for row in week.actuals)
    assert {(COST, None), (COST, ADJUSTED), (COST, UNADJUSTABLE), (UNBILLED, UNADJUSTABLE), (BILLED, None)} <= set(
        kinds
    )


def test_two_cycles_carry_it_and_a_third_writes_nothing(shared: Cycle, week: Week) -> None:
    """Out in the first, back in the second; quiet means quiet, also when everything is compared."""
    assert [bool(number) for number in week.writes] == [True, True, False]
    assert shared.world.open_rows() == []
    for summaries in week.cycles:
        for summary in summaries:
            assert all(leg.counts.conserved for leg in summary.legs)
            assert {leg.message for leg in summary.legs} == {""}, "no warning, and every rule was run"
    written = [leg for summary in week.cycles[1] for leg in summary.legs if leg.counts.written]
    assert {(leg.map, leg.direction) for leg in written} == {("actuals", "to_dataverse")}
    assert sum(leg.counts.updated for leg in written) == len(travelling(week))
    shared.world.forget_requests()
    run(shared, *AREAS[1:], mode="full")
    assert shared.world.writes() == []
    assert shared.world.open_rows() == []


def test_every_actual_that_travels_is_staged_and_has_its_voucher(shared: Cycle, week: Week) -> None:
    """R1, R2, R4 to R6: one staging row and one posted line for each, and what posting knows is in Dataverse."""
    actuals = {row["msdyn_actualimportid"]: row for row in travelling(week)}
    staged = {row["ActualsImportId"]: row for row in shared.finance.rows("ProjActualsImports")}
    lines = {row["ActualsImportId"]: row for row in shared.finance.rows("IntegrationJournalLines")}
    assert actuals.keys() == staged.keys() == lines.keys()
    assert len(actuals) > 200
    for key, actual in actuals.items():
        row, line = staged[key], lines[key]
        assert line["LineStatus"] == "Posted"
        assert actual["msdyn_vouchernumber"] == row["VoucherNumber"] == line["Voucher"] != ""
        told = [actual[name] or 0 for name in ("msdyn_accountingamount", "msdyn_salestaxamount", "exchangerate")]
        assert told == [row[name] for name in ("AccountingAmount", "SalesTaxAmount", "ExchangeRate")]
    assert len({(row["dataAreaId"], row["VoucherNumber"]) for row in staged.values()}) == len(staged)
    at_home = [row for row in week.actuals if row["msdyn_actualimportid"] not in actuals]
    assert {row["msdyn_vouchernumber"] for row in at_home} == {None}


def test_both_integration_accounts_are_clear(shared: Cycle, week: Week) -> None:
    """I4, R17 to R19: each posted share of an expense has its row, its cost, and nothing is left between."""
    assert all(amount > 0 for amount in week.spent.values())
    for code in COMPANIES:
        assert shared.balance(code) == 0
        assert finance_jobs.integration_account_balance(shared.works.finance, code, "procurement") == 0
    exported = {row["ExpTransNumber"]: row for row in shared.finance.rows("ProjExpensesExport")}
    expenses = {row["msdyn_externalexpensenumber"]: row for row in shared.dataverse.rows("msdyn_expenses")}
    assert exported.keys() == expenses.keys()
    assert len(exported) == week.events["post-expense"]
    costs = [row for row in week.actuals if row["msdyn_externaloriginreference"] in exported]
    costs = [row for row in costs if row["msdyn_transactiontypecode"] == COST]
    assert sorted(row["msdyn_externaloriginreference"] for row in costs) == sorted(exported)
    for row in costs:
        number = row["msdyn_externaloriginreference"]
        assert row["msdyn_amount"] == expenses[number]["msdyn_amount"] == exported[number]["NetAmount"]


def test_what_was_taken_back_adds_up_to_nothing(shared: Cycle, week: Week) -> None:
    """R10, R11: each adjusted actual has one reversal, both travel or both stay, and both are booked alike."""
    by_id = {row["msdyn_actualid"]: row for row in week.actuals}
    reversing = [row for row in shared.dataverse.rows("msdyn_transactionconnections")
                 if row["msdyn_transaction1role"] == "Reversing"]  # fmt: skip
    originals = [by_id[row["msdyn_transaction2"]] for row in reversing]
    reversals = [by_id[row["msdyn_transaction1"]] for row in reversing]
    assert {row["msdyn_actualid"] for row in originals} == {
        row["msdyn_actualid"] for row in week.actuals if row["msdyn_adjustmentstatus"] == ADJUSTED
    }
    assert len(originals) > 20
    for original, reversal in zip(originals, reversals, strict=True):
        assert reversal["msdyn_adjustmentstatus"] == UNADJUSTABLE
        assert original["msdyn_skipsync"] == reversal["msdyn_skipsync"]
        for name in OPPOSITE:
            assert total([original, reversal], name) == 0, name


def test_every_connection_is_in_finance(shared: Cycle, week: Week) -> None:
    """F1, F3."""
    assert week.actuals
    columns = ("msdyn_transaction1", "msdyn_transaction1role", "msdyn_transaction2", "msdyn_transaction2role")
    here = {
        (row["msdyn_transactionconnectionid"], *(row[name] for name in columns))
        for row in shared.dataverse.rows("msdyn_transactionconnections")
    }
    names = ("ConnectionId", "Transaction1Id", "Transaction1Role", "Transaction2Id", "Transaction2Role")
    assert here == {tuple(row[name] for name in names) for row in shared.relationships()}


def test_each_estimate_is_one_forecast(shared: Cycle, week: Week) -> None:
    """D3, D6, R30: also those that were removed and added again; those that began before the cut-over are history."""
    assert week.events["reassign"]
    since = str(SINCE)
    integrated = {shared.works.company(code) for code in COMPANIES}
    plans = {
        row["msdyn_resourceassignmentid"]: row["msdyn_hours"]
        for row in shared.dataverse.rows("msdyn_resourceassignments")
        if row["msdyn_fromdate"][:10] >= since and row["_msdyn_owningcompany_value"] in integrated
    }
    hours = [(row["OriginId"], row["Quantity"]) for row in shared.finance.rows("ForecastHours")]
    assert dict(hours).items() >= plans.items()
    assert len(dict(hours)) == len(hours)
    lines = shared.dataverse.rows("msdyn_estimatelines")
    origins = {
        row["msdyn_estimatelineid"]: row["msdyn_amount"]
        for row in lines
        if row["msdyn_origin"] is None and row["msdyn_startdatetime"][:10] >= since
        and row["_msdyn_owningcompany_value"] in integrated
    }  # fmt: skip
    assert min(len(plans), len(origins)) > 10
    forecasts = [row for name in ("ForecastExpenses", "ForecastItems") for row in shared.finance.rows(name)]
    costs = [(row["OriginId"], row["CostAmount"]) for row in forecasts]
    assert dict(costs).items() >= origins.items()
    assert len(dict(costs)) == len(costs)
