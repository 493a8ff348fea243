"""Expenses, from Finance to Dataverse and back into its journals: [I1 to I4, I6, I9], and the account between."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from dualsync_sandbox.business.dataverse.entries.approvals import approve_waiting_expenses
from dualsync_sandbox.business.finance.expenses import Expense, Share
from dualsync_sandbox.store import Row
from support.cycles import EXPENSES, Cycle, total

pytestmark = pytest.mark.slow

Api = dict[str, Any]

DAY = "2026-03-03"


def around(cycle: Cycle, *companies: str) -> None:
    """Expenses to Dataverse, their actuals to Finance, the journals, and back."""
    codes = list(companies or ("USPM",))
    cycle.sync("expenses", companies=codes)
    cycle.sync("actuals", "transaction_relationships", companies=codes)
    cycle.books(*codes)
    cycle.sync("actuals", companies=codes)


# --- categories -------------------------------------------------------------------------------------------------------


def test_a_category_goes_around(cycle: Cycle) -> None:
    """Transaction category, shared category for expenses, the companies' own categories, and back [I1]."""
    works = cycle.works
    with works.dataverse.transaction() as tx:
        tx.insert("msdyn_transactioncategory", {"msdyn_name": "Parking", "msdyn_billingtype": 192350001})
    known = len(cycle.dataverse.rows("msdyn_expensecategories"))
    cycle.sync("transaction_categories", *EXPENSES)
    category = cycle.dataverse.one("msdyn_transactioncategories", "msdyn_name eq 'Parking'")
    number = category["msdyn_transactioncategorynumber"]
    shared = works.finance
    with shared.transaction() as tx:
        found = tx.find("SharedCategories", TransactionCategoryId=number, CategoryType="Cost")
        (row,) = found
        assert str(row["CategoryId"]).endswith("-4")
    assert len(cycle.dataverse.rows("msdyn_expensecategories")) == known, "nobody may use it in Expense yet"

    with shared.transaction() as tx:
        tx.update("SharedCategories", row["RecId"], {"CanBeUsedInExpense": "Yes", "ExpenseType": "Transport"})
        for area in ("uspm", "gbpm"):
            tx.insert(
                "ExpenseCategories",
                {"dataAreaId": area, "CostType": "PARKING", "Description": "Car park",
                 "CategoryId": row["CategoryId"], "ExpenseType": "Transport"},
            )  # fmt: skip
    both = {"companies": ["USPM", "GBPM"]}
    assert cycle.sync("expense_categories", **both).counts.created == 2

    found_there = cycle.dataverse.rows("msdyn_expensecategories", "msdyn_expensecategorynumber eq 'PARKING'")
    codes = {works.code(one["_msdyn_company_value"]) for one in found_there}
    assert codes == {"USPM", "GBPM"}
    for one in found_there:
        assert (one["msdyn_name"], one["msdyn_expensetype"], one["statecode"]) == ("Car park", 192350008, 0)
        assert one["_msdyn_transactioncategory_value"] == category["msdyn_transactioncategoryid"]

    with shared.transaction() as tx:
        (mine,) = tx.find("ExpenseCategories", dataAreaId="uspm", CostType="PARKING")
        tx.update("ExpenseCategories", mine["RecId"], {"IsInactive": "Yes"})
    assert cycle.sync("expense_categories", **both).counts.updated == 1
    found_there = cycle.dataverse.rows("msdyn_expensecategories", "msdyn_expensecategorynumber eq 'PARKING'")
    states = {works.code(one["_msdyn_company_value"]): one["statecode"] for one in found_there}
    assert states == {"USPM": 1, "GBPM": 0}
    assert cycle.sync("expense_categories", mode="full", **both).counts.written == 0
    assert cycle.world.open_rows() == []


# --- reports ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def places(shared: Cycle) -> dict[str, str]:
    """Projects in Finance, by what they are for."""
    works = shared.works
    projects = {
        name: works.project(code=code, currency=currency)
        for name, code, currency in (
            ("first", "USPM", "USD"), ("second", "USPM", "USD"), ("lost", "USPM", "USD"), ("late", "USPM", "USD"),
            ("british", "GBPM", "GBP"), ("lending", "USPM", "USD"), ("abroad", "USPM", "USD"),
        )
    }  # fmt: skip
    shared.send(companies=["USPM", "GBPM"])
    return projects


def test_one_line_over_two_projects(shared: Cycle, places: dict[str, str]) -> None:
    """215 dollars with tax that is lost, 60 to 40 per cent [I2, I3, I4, I9, R17 to R19]."""
    projects = [places["first"], places["second"]]
    numbers = [shared.number(project) for project in projects]
    shares = (Share(numbers[0], Decimal(60)), Share(numbers[1], Decimal(40)))
    spent = Expense("TRAVEL", Decimal(215), DAY, shares, tax_group="ST-STD", description="Flight")
    shared.report(spent)
    assert shared.balance() == 215, "tax that cannot be recovered is cost"

    assert shared.sync("expenses", companies=["USPM"]).counts.created == 2

    exported = {row["ProjId"]: row for row in shared.finance.rows("ProjExpensesExport") if row["ProjId"] in numbers}
    category = shared.dataverse.rows("msdyn_expensecategories", "msdyn_expensecategorynumber eq 'TRAVEL'")
    here = {
        row["msdyn_expensecategoryid"] for row in category if shared.works.code(row["_msdyn_company_value"]) == "USPM"
    }
    for project, number, amount in zip(projects, numbers, (129, 86), strict=True):
        expense = shared.dataverse.one("msdyn_expenses", f"_msdyn_project_value eq {project}")
        row = exported[number]
        told = {name: expense[name] for name in expense if name.startswith(("msdyn_", "_msdyn_", "_transaction"))}
        assert (
            told
            | {
                "msdyn_externalexpensenumber": row["ExpTransNumber"],
                "msdyn_projtransid": row["ProjTransId"],
                "msdyn_transactiondate": DAY,
                "msdyn_amount": amount,
                "msdyn_totalamount": amount,
                "msdyn_externaldescription": "Flight",
                "msdyn_billingtype": 192350001,
                "msdyn_expensestatus": 192350002,
                "_msdyn_owningcompany_value": shared.works.company(),
                "_msdyn_resourcingcompany_value": None,
                "_transactioncurrencyid_value": shared.works.currency(),
            }
            == told
        )
        assert expense["_msdyn_expensecategory_value"] in here
        assert (expense["msdyn_salestaxamount"] or 0) == row["TaxAmount"] == 0
        assert expense["msdyn_quantity"] == row["Quantity"]
        actuals = shared.actuals(project)
        assert [one["msdyn_transactiontypecode"] for one in actuals] == [192350000, 192350005], "approved by the job"
        assert {one["msdyn_externaloriginreference"] for one in actuals} == {row["ExpTransNumber"]}
        assert total(actuals[:1], "msdyn_amount") == amount

    around(shared)
    assert shared.balance() == 0
    for project, amount in zip(projects, (129, 86), strict=True):
        cost, sale = shared.actuals(project)
        assert (cost["msdyn_accountingamount"], sale["msdyn_accountingamount"]) == (amount, amount)
        assert shared.line(cost)["OffsetAccount"] == "200180"
        assert [row["ProjCostTransExists"] for row in shared.finance.rows("ProjExpensesExport") if
                row["ProjId"] == shared.number(project)] == [1]  # fmt: skip
    shared.world.forget_requests()
    for mode in ("incremental", "full"):
        shared.sync("expenses", "actuals", companies=["USPM"], mode=mode)
    assert shared.world.writes() == [], "what the approval changed is not sent back, and no approval starts again"
    assert shared.world.open_rows() == []


def test_tax_that_is_recovered_is_no_cost(shared: Cycle, places: dict[str, str]) -> None:
    """120 pounds, 20 of them tax; each company has an account of its own [I2]."""
    project = places["british"]
    shared.report(
        Expense("TRAVEL", Decimal(120), DAY, (Share(shared.number(project)),), tax_group="VAT20"), company="GBPM"
    )
    assert shared.balance("GBPM") == 100
    around(shared, "GBPM")
    expense = shared.dataverse.one("msdyn_expenses", f"_msdyn_project_value eq {project}")
    told = [expense[name] for name in ("msdyn_amount", "msdyn_salestaxamount", "msdyn_totalamount")]
    assert told == [100, 20, 120]
    assert shared.works.code(expense["_msdyn_owningcompany_value"]) == "GBPM"
    cost, _ = shared.actuals(project)
    assert (cost["msdyn_amount"], cost["msdyn_accountingamount"]) == (100, 100)
    assert shared.staged(cost)["dataAreaId"] == "gbpm"
    assert shared.balance("GBPM") == 0


def test_a_foreign_currency_clears_too(shared: Cycle, places: dict[str, str]) -> None:
    """The journal posts by the rate of the report [I4]."""
    project = places["abroad"]
    shared.report(Expense("TRAVEL", Decimal(90), DAY, (Share(shared.number(project)),), currency="EUR"))
    open_amount = shared.balance()
    assert open_amount > 90
    around(shared)
    cost, sale = shared.actuals(project)
    assert shared.works.iso(cost["_transactioncurrencyid_value"]) == "EUR"
    assert (cost["msdyn_amount"], cost["msdyn_accountingamount"]) == (90, open_amount)
    assert shared.works.iso(sale["_transactioncurrencyid_value"]) == "USD"
    assert shared.balance() == 0


def test_a_lent_employees_expense(shared: Cycle, places: dict[str, str]) -> None:
    """Spent in the British company for an American project, passed on at cost [I4, K1 to K3, K7]."""
    project = places["lending"]
    share = Share(shared.number(project), company="USPM")
    shared.report(Expense("TRAVEL", Decimal(60), DAY, (share,)), company="GBPM")
    around(shared, "USPM", "GBPM")
    expense = shared.dataverse.one("msdyn_expenses", f"_msdyn_project_value eq {project}")
    companies = [shared.works.code(expense[f"_msdyn_{name}company_value"]) for name in ("owning", "resourcing")]
    assert companies == ["USPM", "GBPM"]
    rows = shared.staging(project)
    assert sorted((row["dataAreaId"], row["TransactionType"]) for row in rows) == [
        ("gbpm", "InterOrgSales"),
        ("gbpm", "ResourcingUnitCost"),
        ("uspm", "Sales"),
    ]
    assert {row["Amount"] for row in rows if row["dataAreaId"] == "gbpm"} == {60}
    assert {row["ProjectDataAreaId"].lower() for row in rows} == {"uspm"}
    assert (shared.balance("GBPM"), shared.balance("USPM")) == (0, 0)


def waiting(shared: Cycle, project: str) -> Row:
    return shared.works.one("msdyn_expense", msdyn_project=project)


def test_an_expense_that_is_not_approved_leaves_its_amount_until_it_is(shared: Cycle, places: dict[str, str]) -> None:
    """Written to Dataverse, but without an actual [I6]."""
    project = places["late"]
    shared.works.switches.set(approve_expenses=False)
    try:
        shared.report(Expense("TRAVEL", Decimal("33.10"), DAY, (Share(shared.number(project)),)))
        around(shared)
        assert waiting(shared, project)["msdyn_expensestatus"] == 192350001
        assert shared.actuals(project) == []
        assert shared.balance() == Decimal("33.10")
    finally:
        shared.works.switches.reset()
    assert len(approve_waiting_expenses(shared.works.dataverse)) == 2
    around(shared)
    assert shared.balance() == 0


def test_an_expense_that_is_removed_on_the_way_leaves_exactly_its_amount(cycle: Cycle) -> None:
    """Two are spent, one is deleted in Dataverse before its approval; the report says which [R19]."""
    works = cycle.works
    project = works.project()
    cycle.send(companies=["USPM"])
    share = (Share(cycle.number(project)),)
    cycle.report(Expense("TRAVEL", Decimal("120.50"), DAY, share))
    around(cycle)
    assert cycle.balance() == 0
    works.switches.set(approve_expenses=False)
    cycle.report(Expense("TRAVEL", Decimal("77.25"), DAY, share))
    cycle.sync("expenses", companies=["USPM"])
    lost = works.one("msdyn_expense", msdyn_project=project, msdyn_expensestatus=192350001)
    cycle.dataverse.delete(f"msdyn_expenses({lost['msdyn_expenseid']})")
    works.switches.reset()

    around(cycle)
    cycle.sync("expenses", companies=["USPM"], mode="full")

    assert cycle.balance() == Decimal("77.25")
    (row,) = cycle.world.open_rows()
    assert (row.map, row.state, row.rule) == ("expenses", "conflict", "expenses.deleted")
    assert row.key == lost["msdyn_externalexpensenumber"]
