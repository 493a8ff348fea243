"""Estimates: assignments and pairs of estimate lines: [D1, D3, D4, D6]."""

from decimal import Decimal
from typing import Any

import pytest

from dualsync_sandbox.business.dataverse.choices import BillingMethod, TransactionClass, TransactionType
from dualsync_sandbox.business.dataverse.estimates import add_estimate, assign, reassign
from dualsync_sandbox.errors import BusinessRuleViolation
from support.project_office import Works

EXPENSE, MATERIAL = TransactionClass.EXPENSE, TransactionClass.MATERIAL


def assigned(works: Works, project: str) -> Any:
    return assign(works.dataverse, project, works.leaf(project), works.resource(), works.role("Engineer"), Decimal(40))


def test_an_assignment_plans_hours_cost_and_sales(works: Works) -> None:
    """One row of hours, named and generic resources alike [D3]."""
    project = works.project()
    row = assigned(works, project)
    assert (row["msdyn_hours"], row["msdyn_plannedcost"], row["msdyn_plannedsales"]) == (40, 4400, 7400)
    assert (row["msdyn_fromdate"], row["msdyn_todate"]) == ("2026-03-02", "2026-04-30")
    assert row["msdyn_contractlineid"] == works.line_of(project)
    assert works.code(row["msdyn_owningcompany"]) == "USPM"
    generic = works.one("bookableresource", resourcetype=1)["bookableresourceid"]
    assert assign(works.dataverse, project, None, generic, None, Decimal(8))["msdyn_plannedcost"] == 720


def test_no_sales_are_planned_without_a_time_and_material_line(works: Works) -> None:
    """Rule [D3]."""
    for project in (works.internal(), works.project(BillingMethod.FIXED_PRICE)):
        assert assigned(works, project)["msdyn_plannedsales"] == 0


def test_an_expense_is_estimated_by_a_pair(works: Works) -> None:
    """Cost and sales, linked by their origin [D3]."""
    project = works.project(currency="GBP")
    cost, sales = add_estimate(
        works.dataverse,
        EXPENSE,
        project,
        works.leaf(project),
        quantity=Decimal(3),
        price=Decimal(100),
        category_id=works.category("Travel"),
    )
    assert (cost["msdyn_transactiontypecode"], sales["msdyn_transactiontypecode"]) == (
        TransactionType.COST,
        TransactionType.UNBILLED_SALES,
    )
    assert (cost["msdyn_origin"], sales["msdyn_origin"]) == (None, cost["msdyn_estimatelineid"])
    assert (cost["msdyn_amount"], works.iso(cost["transactioncurrencyid"])) == (300, "USD")
    assert (sales["msdyn_amount"], works.iso(sales["transactioncurrencyid"])) == (Decimal("235.50"), "GBP")
    assert sales["msdyn_amount_base"] == 300


def test_material_is_estimated_by_a_pair(works: Works) -> None:
    """On internal projects by its cost alone [D3]."""
    product = str(works.one("product", msdyn_productnumber="P-1004")["productid"])
    figures = []
    for project in (works.project(), works.internal()):
        lines = add_estimate(
            works.dataverse, MATERIAL, project, works.leaf(project), quantity=Decimal(2), product_id=product
        )
        figures.append([row["msdyn_amount"] for row in lines])
    assert figures == [[1280, 1760], [1280]]


def test_a_sales_line_goes_with_its_cost_line(works: Works) -> None:
    """The pair is one thing [D1, D3]."""
    product = str(works.one("product", msdyn_productnumber="P-1001")["productid"])
    project = works.project()
    cost, sales = add_estimate(
        works.dataverse, MATERIAL, project, works.leaf(project), quantity=Decimal(2), product_id=product
    )
    with works.dataverse.transaction() as tx:
        tx.delete("msdyn_estimateline", cost["msdyn_estimatelineid"])
        assert tx.get("msdyn_estimateline", sales["msdyn_estimatelineid"]) is None


def test_removed_and_added_again(works: Works) -> None:
    """One assignment, under another id [D6]."""
    project = works.project()
    old = assigned(works, project)
    new = reassign(works.dataverse, old["msdyn_resourceassignmentid"])
    assert works.all("msdyn_resourceassignment", msdyn_projectid=project) == [new]
    assert new["msdyn_resourceassignmentid"] != old["msdyn_resourceassignmentid"]
    for column in ("msdyn_hours", "msdyn_plannedcost", "msdyn_plannedsales", "msdyn_taskid"):
        assert new[column] == old[column]


def test_the_category_is_one_of_the_projects_company(works: Works) -> None:
    """Rule [D4]."""
    project = works.project()

    def estimate() -> object:
        return add_estimate(
            works.dataverse,
            EXPENSE,
            project,
            None,
            quantity=Decimal(1),
            price=Decimal(10),
            category_id=works.category("Travel"),
        )

    assert estimate()
    works.expense_category("GBPM")
    with pytest.raises(BusinessRuleViolation, match="owning company"):
        estimate()
    works.expense_category("USPM")
    assert estimate()


def test_the_seed_plans_pairs(works: Works) -> None:
    """Every seeded sales line names a cost line of the same project and task [D3]."""
    lines = {row["msdyn_estimatelineid"]: row for row in works.all("msdyn_estimateline")}
    sales = [row for row in lines.values() if row["msdyn_origin"]]
    assert sales
    for row in sales:
        cost = lines[row["msdyn_origin"]]
        assert cost["msdyn_transactiontypecode"] == TransactionType.COST
        for column in ("msdyn_project", "msdyn_task", "msdyn_quantity", "msdyn_product", "msdyn_transactioncategory"):
            assert row[column] == cost[column]
    parents = {row["msdyn_parenttask"] for row in works.all("msdyn_projecttask")}
    assert works.all("msdyn_resourceassignment")
    for row in works.all("msdyn_resourceassignment"):
        assert row["msdyn_taskid"] not in parents
