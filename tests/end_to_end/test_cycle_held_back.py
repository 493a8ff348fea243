"""What stays home, what is held back and why, and how it heals: [G1, F1 to F4, A2, C11, G8, G9, I5]."""

from __future__ import annotations

from decimal import Decimal

import pytest

from dualsync_sandbox.business.dataverse.entries.approvals import approve_time
from dualsync_sandbox.business.finance import jobs as finance_jobs
from dualsync_sandbox.business.finance.expenses import Expense, Share
from dualsync_sandbox.errors import BusinessRuleViolation
from dualsync_sandbox.store import Event, Tx
from support.cycles import ACTUALS, Cycle

pytestmark = pytest.mark.slow

US = {"companies": ["USPM"]}


def skip_sync(cycle: Cycle, actual: object, value: bool | None) -> None:
    with cycle.works.dataverse.transaction() as tx:
        tx.update("msdyn_actual", actual, {"msdyn_skipsync": value})


def on_staging(cycle: Cycle, actual: object) -> bool:
    return bool(cycle.finance.rows("ProjActualsImports", f"ActualId eq {actual}"))


def test_skip_sync_decides_what_travels(cycle: Cycle) -> None:
    """True stays home, false travels; where it is empty nobody can tell, so the row is held until it is filled [G1]."""
    project = cycle.works.project()
    home, unclear = (str(r["msdyn_actualid"]) for r in approve_time(cycle.works.dataverse, cycle.works.time(project)))
    other, sale = (str(r["msdyn_actualid"]) for r in approve_time(cycle.works.dataverse, cycle.works.time(project)))
    skip_sync(cycle, home, value=True)
    for actual in (unclear, other):
        skip_sync(cycle, actual, value=None)

    for _ in range(2):
        counts = cycle.send(**US).counts
        assert counts.quarantined == 2
        rows = {row.record_id: row for row in cycle.world.open_rows()}
        assert rows.keys() == {unclear, other}
        assert {(row.map, row.direction, row.state, row.rule) for row in rows.values()} == {
            ("actuals", "to_finance", "quarantined", "actuals.unclear")
        }
        assert "the filter cannot tell whether it travels" in rows[other].reason
        assert "fill msdyn_skipsync" in rows[other].reason
    assert [on_staging(cycle, actual) for actual in (home, unclear, other, sale)] == [False, False, False, True]

    skip_sync(cycle, unclear, value=False)
    skip_sync(cycle, other, value=True)
    assert cycle.sync("actuals", **US).counts.created == 1
    assert [on_staging(cycle, actual) for actual in (home, unclear, other, sale)] == [False, True, False, True]
    assert cycle.world.open_rows() == [], "the one that stays home is no longer held, for it is clear"


def test_an_actual_that_is_on_staging_is_not_taken_back(cycle: Cycle) -> None:
    """Finance may have posted it, so a Skip Sync that comes late is reported only [G1, R2]."""
    project = cycle.works.project()
    cost, _ = approve_time(cycle.works.dataverse, cycle.works.time(project))
    cycle.send(**US)
    skip_sync(cycle, cost["msdyn_actualid"], value=True)
    cycle.world.forget_requests()

    assert cycle.sync("actuals", **US).counts.conflict == 1

    (row,) = cycle.world.open_rows()
    assert (row.record_id, row.state, row.rule) == (cost["msdyn_actualid"], "conflict", "actuals.left")
    assert cycle.world.writes() == []
    assert on_staging(cycle, cost["msdyn_actualid"])


# --- transaction connections ------------------------------------------------------------------------------------------


def test_connections_come_by_data_package(cycle: Cycle) -> None:
    """OData does not show the set; a package brings the rows, with both ends as they are [F1, F2, F3]."""
    project = cycle.works.project()
    cost, sale, rest = approve_time(cycle.works.dataverse, cycle.works.time(project), billable=Decimal(6))
    cycle.world.forget_requests()

    cycle.send(**US)

    with pytest.raises(Exception, match="404"):
        cycle.finance.rows("ProjCDSTransactionRelationshipImports")
    paths = [one["path"] for one in cycle.world.writes() if one["system"] == "finance"]
    assert any("ImportFromPackage" in path for path in paths)
    assert not any("TransactionRelationship" in path for path in paths)
    connections = cycle.dataverse.rows("msdyn_transactionconnections")
    known = {row["ConnectionId"]: row for row in cycle.relationships()}
    assert len(connections) == 2
    assert {(row["msdyn_transaction1"], row["msdyn_transaction2"]) for row in connections} == {
        (sale["msdyn_actualid"], cost["msdyn_actualid"]),
        (rest["msdyn_actualid"], cost["msdyn_actualid"]),
    }
    for row in connections:
        there = known[row["msdyn_transactionconnectionid"]]
        for end in ("1", "2"):
            told = [there[f"Transaction{end}{what}"] for what in ("Id", "Role", "Type")]
            assert told == [row[f"msdyn_transaction{end}{what}"] for what in ("", "role", "type")]
        assert there["Transaction1Role"], there["Transaction2Role"] == ("Unbilled", "Cost")

    cycle.world.forget_requests()
    for mode in ("incremental", "full"):
        cycle.sync("transaction_relationships", mode=mode)
    assert cycle.world.writes() == []


def test_ends_that_never_travel_hold_no_connection(cycle: Cycle) -> None:
    """The cost of lent work stays in Dataverse, and so may anything else [F1]."""
    project = cycle.works.project()
    cost, sale = approve_time(cycle.works.dataverse, cycle.works.time(project))
    for actual in (cost, sale):
        skip_sync(cycle, actual["msdyn_actualid"], value=True)

    cycle.send(**US)

    assert cycle.staging(project) == []
    ends = [(row["Transaction1Id"], row["Transaction2Id"]) for row in cycle.relationships()]
    assert ends == [(sale["msdyn_actualid"], cost["msdyn_actualid"])]
    assert cycle.world.open_rows() == []


def test_a_connection_that_finance_refuses_is_held_back_with_its_words(cycle: Cycle) -> None:
    """The rows beside it in the package get through, and it heals by itself [F3]."""
    refusing = True

    def refuse(_: Tx, event: Event) -> None:
        assert event.after is not None
        if refusing and event.after["Transaction1Id"] == odd:
            raise BusinessRuleViolation("TransactionRelationships", "The relationship is locked by a running import.")

    cycle.works.finance.on("TransactionRelationships", {"create"}, refuse, when="before")
    project = cycle.works.project()
    _, sale, rest = approve_time(cycle.works.dataverse, cycle.works.time(project), billable=Decimal(6))
    odd = sale["msdyn_actualid"]

    counts = cycle.send(**US).counts

    assert counts.quarantined == 1
    (row,) = cycle.world.open_rows()
    assert (row.map, row.rule) == ("transaction_relationships", "transaction_relationships.refused")
    assert row.reason.startswith("Finance refused the row: ")
    assert "The relationship is locked by a running import." in row.reason
    assert {row["Transaction1Id"] for row in cycle.relationships()} == {rest["msdyn_actualid"]}

    refusing = False
    assert cycle.sync("transaction_relationships").counts.created == 1
    assert {row["Transaction1Id"] for row in cycle.relationships()} == {odd, rest["msdyn_actualid"]}
    assert cycle.world.open_rows() == []


# --- the documented errors --------------------------------------------------------------------------------------------


def test_a_missing_line_property(cycle: Cycle) -> None:
    """Finance's words and the way out; the row heals once the record is there [A2]."""
    key = "LineProperties(dataAreaId='uspm',BillingType=Microsoft.Dynamics.DataEntities.ProjBillingType'NonChargeable')"
    removed = cycle.finance.one(
        "LineProperties",
        "dataAreaId eq 'uspm' and BillingType eq Microsoft.Dynamics.DataEntities.ProjBillingType'NonChargeable'",
    )
    cycle.finance.delete(key)
    project = cycle.works.project()
    approve_time(cycle.works.dataverse, cycle.works.time(project), billable=Decimal(6))

    for _ in range(2):
        counts = cycle.send(**US).counts
        assert counts.quarantined == 1
    (row,) = cycle.world.open_rows()
    assert (row.map, row.state, row.rule) == ("actuals", "quarantined", "actuals.refused")
    assert row.reason == (
        "Finance refused the row: Line property Non-chargeable doesn't exist; give this billing type a line property "
        "in the project management parameters of the company"
    )
    assert len(cycle.staging(project)) == 2, "cost and chargeable part got through"

    cycle.finance.create("LineProperties", {name: v for name, v in removed.items() if not name.startswith("@")})
    assert cycle.sync("actuals", **US).counts.created == 1
    assert len(cycle.staging(project)) == 3
    assert cycle.world.open_rows() == []


def test_a_finished_project_takes_no_expense(cycle: Cycle) -> None:
    """The project's state travels, and Finance refuses; nothing of it reaches us [C11]."""
    project = cycle.works.project()
    cycle.send(**US)
    number = cycle.number(project)
    cycle.dataverse.change(f"msdyn_projects({project})", {"statecode": 1, "statuscode": 2})
    cycle.sync("projects", **US)

    with pytest.raises(BusinessRuleViolation, match="Project stage finished doesn't allow recording in the project"):
        cycle.report(Expense("TRAVEL", Decimal(80), "2026-03-02", (Share(number),)))

    assert cycle.sync("expenses", **US).counts.planned == 0
    assert cycle.world.open_rows() == []

    cycle.dataverse.change(f"msdyn_projects({project})", {"statecode": 0, "statuscode": 1})
    cycle.sync("projects", **US)
    cycle.report(Expense("TRAVEL", Decimal(80), "2026-03-02", (Share(number),)))
    assert cycle.sync("expenses", **US).counts.created == 1


def test_an_expense_on_a_parent_task(cycle: Cycle) -> None:
    """Posted without live synchronisation, and not sent, for Dataverse would refuse it; heals at a leaf [C9, I5]."""
    project = cycle.works.project()
    cycle.send(**US)
    number = cycle.number(project)
    tasks = {
        level: cycle.works.one("msdyn_projecttask", msdyn_project=project, msdyn_outlinelevel=level)["msdyn_tasknumber"]
        for level in (1, 2)
    }
    share = Share(number, activity_number=str(tasks[1]))
    cycle.report(Expense("TRAVEL", Decimal(80), "2026-03-02", (share,)))

    cycle.world.forget_requests()

    for _ in range(2):
        counts = cycle.sync("expenses", **US).counts
        assert (counts.created, counts.quarantined) == (0, 1)
    (row,) = cycle.world.open_rows()
    assert (row.map, row.direction, row.state, row.rule) == (
        "expenses", "to_dataverse", "quarantined", "expenses.leaf_task",
    )  # fmt: skip
    assert row.reason == (
        "Dataverse would refuse it: Could not resolve project task for export expense; the task has tasks below it: "
        "name one of those, a leaf, on the expense"
    )
    assert cycle.world.writes() == []
    assert cycle.dataverse.rows("msdyn_expenses") == []

    exported = cycle.finance.one("ProjExpensesExport", f"ProjId eq '{number}'")
    with cycle.works.finance.transaction() as tx:
        for line in tx.find("ProjExpensesExport", ExpTransNumber=exported["ExpTransNumber"]):
            tx.update("ProjExpensesExport", line["RecId"], {"ProjActivityNumber": tasks[2]})
    assert cycle.sync("expenses", **US).counts.created == 1
    assert cycle.world.open_rows() == []


def test_what_import_from_staging_refuses_is_finances_own_business(cycle: Cycle) -> None:
    """No project category, no exchange rate: a line in Finance's log, nothing in our list [G8, G9]."""
    works = cycle.works
    consulting, swiss = works.project(), works.project(currency="CHF")
    approve_time(works.dataverse, works.time(consulting))
    approve_time(works.dataverse, works.time(swiss, msdyn_transactioncategory=works.category("Training")))
    wanted = works.one("msdyn_transactioncategory", msdyn_name="Consulting")["msdyn_transactioncategorynumber"]
    with works.finance.transaction() as tx:
        (removed,) = tx.find("ProjectCategories", dataAreaId="uspm", TransactionCategoryId=wanted, CategoryType="Hour")
        tx.delete("ProjectCategories", removed["RecId"])

    assert cycle.send(**US).counts.created > 4
    imported = finance_jobs.import_from_staging(works.finance, "USPM")

    assert imported.lines == 1
    staged = {row["ActualsImportId"]: row for project in (consulting, swiss) for row in cycle.staging(project)}
    log = {row["ActualsImportId"]: row["Message"] for row in cycle.finance.rows("ImportLog")}
    assert len(log) == 3
    for key, message in log.items():
        if staged[key]["TransactionCurrencyId"] == "CHF":
            assert message == "The exchange rate between CHF and USD on 2026-03-02 does not exist."
        else:
            assert f"No project category exists for transaction category {wanted}." in message
    assert cycle.world.open_rows() == []
    cycle.world.forget_requests()
    cycle.sync(*ACTUALS, **US)
    assert cycle.world.writes() == []

    with works.finance.transaction() as tx:
        given = {name: removed[name] for name in ("dataAreaId", "CategoryId", "CategoryName")}
        tx.insert("ProjectCategories", given)
    assert finance_jobs.import_from_staging(works.finance, "USPM").lines == 2
    finance_jobs.post_integration_journals(works.finance, "USPM")
    assert cycle.sync("actuals", **US).counts.updated == 3


def test_columns_that_dataverse_keeps_for_dual_write(cycle: Cycle) -> None:
    """The refusal says what to do, nothing is tried again and again, and it heals once it is done [E22]."""
    works = cycle.works
    approve_time(works.dataverse, works.time(works.project()))
    cycle.send(**US)
    cycle.books()
    works.switches.set(protect_actuals=True)

    for mode in ("incremental", "incremental", "full"):
        cycle.world.forget_requests()
        counts = cycle.sync("actuals", mode=mode, **US).counts
        assert (counts.updated, counts.quarantined) == (0, 2)
        assert len(cycle.world.writes()) == 3, "both at once, then each by itself"
    rows = cycle.world.open_rows()
    assert {(row.map, row.direction, row.rule) for row in rows} == {("actuals", "to_dataverse", "actuals.refused")}
    for row in rows:
        assert row.reason.startswith("Dataverse refused the row: Only dual-write can change ")
        assert row.reason.endswith("let dualsync sign in as that application user")

    works.switches.set(integration_user=True)
    assert cycle.sync("actuals", **US).counts.updated == 2
    assert cycle.world.open_rows() == []


def test_expenses_are_approved_where_actuals_are_protected(cycle: Cycle) -> None:
    """The product's own job makes the actuals, whoever wrote the expense [E22, I3]."""
    works = cycle.works
    project = works.project()
    cycle.send(**US)
    works.switches.set(protect_actuals=True)
    cycle.report(Expense("TRAVEL", Decimal(80), "2026-03-02", (Share(cycle.number(project)),)))

    assert cycle.sync("expenses", **US).counts.created == 1

    assert len(cycle.actuals(project)) == 2
    assert cycle.sync("actuals", **US).counts.created == 2
