"""Estimates and what Finance makes of them: [D1, D3, D6] through both APIs."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from dualsync_sandbox.business.dataverse.choices import BillingMethod, TransactionClass
from dualsync_sandbox.business.dataverse.estimates import add_estimate, assign, reassign
from dualsync_sandbox.store import Row
from support.cycles import ESTIMATES, Cycle

pytestmark = pytest.mark.slow

Api = dict[str, Any]

US = {"companies": ["USPM"]}
EXPENSE, MATERIAL = TransactionClass.EXPENSE, TransactionClass.MATERIAL
STAGING = {
    "hours": ("ProjEstimateHoursImport", "ProjectId", "ForecastHours"),
    "expenses": ("ProjEstimateExpensesImports", "ProjectId", "ForecastExpenses"),
    "items": ("ProjForecastSalesImport", "ProjId", "ForecastItems"),
}
NOBODY = "00000000-0000-0000-0000-000000000000"


def project(cycle: Cycle, **words: Any) -> tuple[str, str]:
    """A project on both sides, and its number."""
    made = cycle.works.project(**words)
    cycle.send(**US)
    return made, cycle.number(made)


def staged(cycle: Cycle, kind: str, number: str) -> list[Api]:
    entity, column, _ = STAGING[kind]
    return cycle.finance.rows(entity, f"{column} eq '{number}'")


def forecasts(cycle: Cycle, kind: str, number: str) -> list[Api]:
    return cycle.finance.rows(STAGING[kind][2], f"ProjectId eq '{number}'")


def assigned(cycle: Cycle, made: str, hours: str = "40") -> Row:
    works = cycle.works
    return assign(
        works.dataverse, made, works.leaf(made), works.resource(), works.role("Engineer"), Decimal(hours)
    )  # fmt: skip


def estimated(cycle: Cycle, made: str, kind: TransactionClass) -> list[Row]:
    """An expense of three times 90, or four products P-1001."""
    works = cycle.works
    if kind == EXPENSE:
        given: dict[str, Any] = {
            "quantity": Decimal(3), "price": Decimal(90), "category_id": works.category("Accommodation"),
        }  # fmt: skip
    else:
        product = works.one("product", msdyn_productnumber="P-1001")["productid"]
        given = {"quantity": Decimal(4), "product_id": str(product), "category_id": works.category("Materials")}
    return add_estimate(works.dataverse, kind, made, works.leaf(made), **given)


def quiet(cycle: Cycle) -> None:
    cycle.world.forget_requests()
    for mode in ("incremental", "full"):
        cycle.sync(*ESTIMATES, **US, mode=mode)
    assert cycle.world.writes() == []
    assert cycle.world.open_rows() == []


def test_an_assignment_becomes_an_hour_forecast(shared: Cycle) -> None:
    """Column by column, and what the forecast is made of [D3]."""
    works = shared.works
    made, number = project(shared)
    row = assigned(shared, made)

    assert shared.sync(*ESTIMATES, **US).counts.created == 1

    (there,) = staged(shared, "hours", number)
    task = works.one("msdyn_projecttask", msdyn_projecttaskid=works.leaf(made))
    role = works.one("bookableresourcecategory", bookableresourcecategoryid=works.role("Engineer"))
    line = works.one("salesorderdetail", salesorderdetailid=works.line_of(made))
    expected = {
        "dataAreaId": "uspm",
        "EstimateHoursImportId": row["msdyn_resourceassignmentid"],
        "ProjectId": number,
        "ActivityNumber": task["msdyn_tasknumber"],
        "ResourceCategoryId": role["msdyn_resourcecategorynumber"],
        "ContractLineId": line["msdyn_contractlinenumber"],
        "ProjCDSResourceId": row["msdyn_bookableresourceid"],
        "Description": row["msdyn_name"],
        "StartDate": "2026-03-02T12:00:00Z",
        "Duration": 40,
        "PlannedCostAmount": 4400,
        "PlannedSalesAmount": 7400,
    }
    assert there | expected == there
    (forecast,) = forecasts(shared, "hours", number)
    amounts = [forecast[name] for name in ("Quantity", "CostAmount", "SalesAmount", "ActivityNumber", "Model")]
    assert amounts == [40, 4400, 7400, task["msdyn_tasknumber"], "PROJECT"]

    shared.dataverse.change(
        f"msdyn_resourceassignments({row['msdyn_resourceassignmentid']})",
        {"msdyn_hours": 24, "msdyn_plannedcost": 2640, "msdyn_plannedsales": 4440},
    )
    assert shared.sync("hour_estimates", **US).counts.updated == 1
    (changed,) = forecasts(shared, "hours", number)
    assert [changed[name] for name in ("Quantity", "CostAmount", "SalesAmount")] == [24, 2640, 4440]
    assert changed["ForecastId"] == forecast["ForecastId"]
    quiet(shared)


def test_a_generic_resource_travels_by_its_bare_id(shared: Cycle) -> None:
    """It stands for no worker, and nothing waits for one [D3]."""
    works = shared.works
    made, number = project(shared)
    generic = str(works.one("bookableresource", resourcetype=1)["bookableresourceid"])
    assign(works.dataverse, made, works.leaf(made), generic, works.role("Engineer"), Decimal(8))
    shared.sync("hour_estimates", **US)
    (there,) = staged(shared, "hours", number)
    assert there["ProjCDSResourceId"] == generic
    assert shared.world.open_rows() == []


def test_removing_and_adding_an_assignment_leaves_one_forecast(shared: Cycle) -> None:
    """Within one run, and again with a run between [D6, R30]."""
    works = shared.works
    made, number = project(shared)
    row = assigned(shared, made)
    shared.sync("hour_estimates", **US)
    row = reassign(works.dataverse, str(row["msdyn_resourceassignmentid"]))

    counts = shared.sync("hour_estimates", **US).counts

    assert (counts.created, counts.deleted) == (1, 1)
    (there,) = staged(shared, "hours", number)
    assert there["EstimateHoursImportId"] == row["msdyn_resourceassignmentid"]
    (forecast,) = forecasts(shared, "hours", number)
    assert (forecast["OriginId"], forecast["Quantity"]) == (row["msdyn_resourceassignmentid"], 40)

    shared.dataverse.delete(f"msdyn_resourceassignments({row['msdyn_resourceassignmentid']})")
    shared.sync("hour_estimates", **US)
    assert (staged(shared, "hours", number), forecasts(shared, "hours", number)) == ([], [])
    assigned(shared, made)
    shared.sync("hour_estimates", **US)
    assert len(forecasts(shared, "hours", number)) == 1
    quiet(shared)


def test_cost_and_sales_of_an_expense_become_one_forecast(shared: Cycle) -> None:
    """Two staging rows, linked by their origin; the sale has the markup and the contract's currency [D3]."""
    works = shared.works
    made, number = project(shared, currency="GBP")
    cost, sale = estimated(shared, made, EXPENSE)

    assert shared.sync(*ESTIMATES, **US).counts.created == 2

    rows = {row["TransType"]: row for row in staged(shared, "expenses", number)}
    category = works.one("msdyn_transactioncategory", msdyn_name="Accommodation")["msdyn_transactioncategorynumber"]
    task = works.one("msdyn_projecttask", msdyn_projecttaskid=works.leaf(made))["msdyn_tasknumber"]
    told = {
        kind: [row[name] for name in ("EstimateLineId", "OriginEstimateLineId", "Quantity", "Price", "CurrencyId",
                                      "BillingType", "TransactionCategoryId", "ActivityNumber")]
        for kind, row in rows.items()
    }  # fmt: skip
    own = [row["msdyn_estimatelineid"] for row in (cost, sale)]
    markup = Decimal(sale["msdyn_price"])
    assert told == {
        "Cost": [own[0], NOBODY, 3, 90, "USD", "NotAvailable", category, task],
        "Sales": [own[1], own[0], 3, markup, "GBP", "Chargeable", category, task],
    }
    (forecast,) = forecasts(shared, "expenses", number)
    names = ("OriginId", "Quantity", "CostPrice", "CostAmount", "CostCurrencyCode", "SalesPrice", "SalesCurrencyCode",
             "LineProperty")  # fmt: skip
    assert [forecast[name] for name in names] == [own[0], 3, 90, 270, "USD", markup, "GBP", "CHARGE"]
    assert forecast["StartDate"][:10] == "2026-03-02"

    shared.dataverse.delete(f"msdyn_estimatelines({own[0]})")
    assert shared.sync("expense_estimates", **US).counts.deleted == 2, "the sales line goes with its cost line"
    assert (staged(shared, "expenses", number), forecasts(shared, "expenses", number)) == ([], [])
    quiet(shared)


def test_cost_and_sales_of_a_material_become_one_forecast(shared: Cycle) -> None:
    """And a change of one of the two changes its half [D3]."""
    made, number = project(shared)
    cost, sale = estimated(shared, made, MATERIAL)
    shared.sync(*ESTIMATES, **US)
    rows = staged(shared, "items", number)
    assert sorted(
        (row["TransType"], row["ItemId"], row["SalesQty"], row["Price"], row["Currency"]) for row in rows
    ) == [
        ("Cost", "P-1001", 4, 80, "USD"),
        ("Sales", "P-1001", 4, 120, "USD"),
    ]
    (forecast,) = forecasts(shared, "items", number)
    assert [forecast[name] for name in ("ItemId", "Quantity", "CostAmount", "SalesAmount")] == ["P-1001", 4, 320, 480]

    shared.dataverse.change(f"msdyn_estimatelines({sale['msdyn_estimatelineid']})", {"msdyn_price": 110})
    assert shared.sync("material_estimates", **US).counts.updated == 1
    (forecast,) = forecasts(shared, "items", number)
    assert (forecast["CostAmount"], forecast["SalesAmount"]) == (320, 440)

    shared.dataverse.delete(f"msdyn_estimatelines({sale['msdyn_estimatelineid']})")
    assert shared.sync("material_estimates", **US).counts.deleted == 1
    (forecast,) = forecasts(shared, "items", number)
    assert (forecast["OriginId"], forecast["CostAmount"], forecast["SalesAmount"]) == (
        cost["msdyn_estimatelineid"], 320, 0,
    )  # fmt: skip
    quiet(shared)


def test_a_fixed_price_has_a_cost_estimate_only(shared: Cycle) -> None:
    """Rules [D3, E5]."""
    made, number = project(shared, method=BillingMethod.FIXED_PRICE)
    assert len(estimated(shared, made, EXPENSE)) == 1
    shared.sync("expense_estimates", **US)
    (forecast,) = forecasts(shared, "expenses", number)
    assert (forecast["CostAmount"], forecast["SalesAmount"]) == (270, 0)


def test_estimates_belong_to_dataverse(shared: Cycle) -> None:
    """What somebody changes or deletes on the staging rows is reported, and neither copied nor undone [D1]."""
    made, number = project(shared)
    first, second = assigned(shared, made), assigned(shared, made, "16")
    shared.sync("hour_estimates", **US)
    key = "ProjEstimateHoursImport(dataAreaId='uspm',EstimateHoursImportId={})".format
    shared.finance.change(key(first["msdyn_resourceassignmentid"]), {"Duration": 99})
    shared.finance.delete(key(second["msdyn_resourceassignmentid"]))
    shared.world.forget_requests()

    assert shared.sync("hour_estimates", **US, mode="full").counts.conflict == 2

    reasons = {row.record_id: row.reason for row in shared.world.open_rows()}
    changed, deleted = (reasons[row["msdyn_resourceassignmentid"]] for row in (first, second))
    assert "changed in Finance, which does not own it: Duration" in changed
    assert "was deleted in Finance, which does not own it" in deleted
    assert shared.world.writes() == []
    assert len(staged(shared, "hours", number)) == 1

    shared.finance.change(key(first["msdyn_resourceassignmentid"]), {"Duration": 40})
    shared.dataverse.delete(f"msdyn_resourceassignments({second['msdyn_resourceassignmentid']})")
    shared.sync("hour_estimates", **US, mode="full")
    assert shared.world.open_rows() == []


def test_the_seeded_estimates_are_forecasts_of_the_same_amounts(shared: Cycle) -> None:
    """One forecast for each assignment, and for each pair of lines; totals agree [R30]."""
    there = {row["OriginId"]: row for row in shared.finance.rows("ForecastHours")}
    plans = {row["msdyn_resourceassignmentid"]: row for row in shared.dataverse.rows("msdyn_resourceassignments")}
    assert len(there) >= 18
    assert there.keys() <= plans.keys()
    for key, row in there.items():
        plan = plans[key]
        assert (row["Quantity"], row["CostAmount"], row["SalesAmount"]) == (
            plan["msdyn_hours"], plan["msdyn_plannedcost"], plan["msdyn_plannedsales"],
        )  # fmt: skip
    lines = {row["msdyn_estimatelineid"]: row for row in shared.dataverse.rows("msdyn_estimatelines")}
    for kind in ("expenses", "items"):
        rows = shared.finance.rows(STAGING[kind][2])
        assert len({row["OriginId"] for row in rows}) == len(rows) > 0
        for row in rows:
            line = lines[row["OriginId"]]
            assert row["CostAmount"] == line["msdyn_amount"]
            sale = [one["msdyn_amount"] for one in lines.values() if one["msdyn_origin"] == row["OriginId"]]
            assert [row["SalesAmount"]] == (sale or [0])


def test_what_finance_refuses_of_an_estimate_heals_by_itself(shared: Cycle) -> None:
    """No cost and revenue profile for the project, no project category of the company for the expense [D2, D4]."""
    works, french = shared.works, {"companies": ["FRRT"]}
    made = works.project(code="FRRT", currency="EUR")
    shared.send(**french)
    number = shared.number(made)
    assigned(shared, made)
    cost, sale = estimated(shared, made, EXPENSE)
    category = works.one("msdyn_transactioncategory", msdyn_name="Accommodation")["msdyn_transactioncategorynumber"]
    with works.finance.transaction() as tx:
        (rule,) = tx.find("CostAndRevenueProfileRules", dataAreaId="frrt")
        tx.delete("CostAndRevenueProfileRules", rule["RecId"])
        (known,) = tx.find("ProjectCategories", dataAreaId="frrt", TransactionCategoryId=category, CategoryType="Cost")
        tx.delete("ProjectCategories", known["RecId"])

    for _ in range(2):
        assert shared.sync(*ESTIMATES, **french).counts.quarantined == 3
    why = f"No project cost and revenue profile rule applies to project {number}."
    for row in shared.world.open_rows():
        assert (row.state, row.rule) == ("quarantined", f"{row.map}.refused")
        assert row.reason == (
            f"Finance refused the row: {why}; add a rule that gives this project a cost and revenue profile"
        )
    assert forecasts(shared, "hours", number) == []

    with works.finance.transaction() as tx:
        tx.insert(
            "CostAndRevenueProfileRules", {name: rule[name] for name in ("dataAreaId", "RuleNumber", "ProfileId")}
        )
    counts = shared.sync(*ESTIMATES, **french).counts
    assert (counts.created, counts.quarantined) == (1, 2)
    assert len(forecasts(shared, "hours", number)) == 1
    rows = shared.world.open_rows()
    assert {row.record_id for row in rows} == {one["msdyn_estimatelineid"] for one in (cost, sale)}
    assert all(category in row.reason and "Project categories" in row.reason for row in rows)

    with works.finance.transaction() as tx:
        tx.insert("ProjectCategories", {name: known[name] for name in ("dataAreaId", "CategoryId", "CategoryName")})
    assert shared.sync(*ESTIMATES, **french).counts.created == 2
    assert len(forecasts(shared, "expenses", number)) == 1
    assert shared.world.open_rows() == []
