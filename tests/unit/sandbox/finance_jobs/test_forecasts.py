"""Estimates become forecasts: [D1 to D4, D6]; each test names its rule."""

import uuid
from decimal import Decimal
from typing import Any

import pytest

from dualsync_sandbox.errors import BusinessRuleViolation
from support.books import Books

CONSULTING, TRAVEL = "TCN-0000001000-AAAAA", "TCN-0000001002-CCCCC"
NONE = "00000000-0000-0000-0000-000000000000"


def new() -> str:
    return str(uuid.uuid4())


def hours(books: Books, **values: object) -> Any:
    given = {
        "dataAreaId": "uspm",
        "EstimateHoursImportId": new(),
        "ProjectId": "PRJ-T",
        "ActivityNumber": "TSK-2",
        "TransactionCategoryId": CONSULTING,
        "Duration": Decimal(40),
        "PlannedCostAmount": Decimal(3520),
        "PlannedSalesAmount": Decimal(8000),
        "StartDate": "2026-04-01",
        "Description": "Design",
    }
    return books.insert("ProjEstimateHoursImport", **given | values)


def expense(books: Books, kind: str, line: str, origin: str = NONE, price: str = "300", **values: object) -> Any:
    given = {
        "dataAreaId": "uspm",
        "EstimateExpensesImportId": line,
        "EstimateLineId": line,
        "OriginEstimateLineId": origin,
        "ProjectId": "PRJ-T",
        "TransType": kind,
        "TransactionCategoryId": TRAVEL,
        "Quantity": Decimal(2),
        "Price": Decimal(price),
        "CurrencyId": "USD",
        "BillingType": "Chargeable" if kind == "Sales" else "NotAvailable",
    }
    return books.insert("ProjEstimateExpensesImports", **given | values)


def item(books: Books, kind: str, line: str, origin: str = NONE, price: str = "50") -> Any:
    return books.insert(
        "ProjForecastSalesImport",
        dataAreaId="uspm",
        ImportId=line,
        ForecastLineId=line,
        ForecastLineIdOrigin=origin,
        ProjId="PRJ-T",
        TransType=kind,
        ItemId="P-1001",
        Currency="GBP" if kind == "Sales" else "USD",
        SalesQty=Decimal(3),
        InventQty=Decimal(3),
        Price=Decimal(price),
        BillingType="Chargeable" if kind == "Sales" else "NotAvailable",
    )


def test_an_assignment_is_an_hour_forecast(books: Books) -> None:
    """The model is the company's; the forecast follows its row and goes with it [D1, D3]."""
    books.parameters(ForecastModel="PLAN")
    row = hours(books)
    forecast = books.one("ForecastHours")
    assert (forecast["Quantity"], forecast["CostAmount"], forecast["SalesAmount"]) == (40, 3520, 8000)
    assert (forecast["Model"], forecast["CategoryId"]) == ("PLAN", f"{CONSULTING}-1")
    assert (forecast["ActivityNumber"], forecast["StartDate"]) == ("TSK-2", "2026-04-01T12:00:00Z")
    books.change("ProjEstimateHoursImport", {"RecId": row["RecId"]}, Duration=Decimal(24))
    assert books.one("ForecastHours")["Quantity"] == 24
    assert books.one("ForecastHours")["ForecastId"] == forecast["ForecastId"]
    books.delete("ProjEstimateHoursImport", RecId=row["RecId"])
    assert books.all("ForecastHours") == []


def test_removing_and_adding_an_assignment_leaves_one_forecast(books: Books) -> None:
    """Whichever of the two arrives first [D6]."""
    first = hours(books)
    books.delete("ProjEstimateHoursImport", RecId=first["RecId"])
    second = hours(books)
    assert len(books.all("ForecastHours")) == 1
    hours(books, Duration=Decimal(8))
    books.delete("ProjEstimateHoursImport", RecId=second["RecId"])
    assert books.one("ForecastHours")["Quantity"] == 8


@pytest.mark.parametrize("sales_first", [False, True])
@pytest.mark.parametrize("origin_of_its_own", [False, True])
def test_cost_and_sales_of_an_expense_are_one_forecast(
    books: Books, sales_first: bool, origin_of_its_own: bool
) -> None:
    """Whichever comes first, and whether the origin is the cost line or stands apart [D3]."""
    cost, sale = new(), new()
    origin = new() if origin_of_its_own else cost
    made = [("Cost", cost, origin if origin_of_its_own else NONE, "300"), ("Sales", sale, origin, "360")]
    for kind, line, of, price in reversed(made) if sales_first else made:
        expense(books, kind, line, of, price)
    forecast = books.one("ForecastExpenses")
    assert (forecast["CostAmount"], forecast["SalesAmount"], forecast["Quantity"]) == (600, 720, 2)
    assert (forecast["CategoryId"], forecast["LineProperty"]) == (f"{TRAVEL}-4", "CHARGE")
    books.delete("ProjEstimateExpensesImports", EstimateLineId=sale)
    assert books.one("ForecastExpenses")["SalesAmount"] == 0
    books.delete("ProjEstimateExpensesImports", EstimateLineId=cost)
    assert books.all("ForecastExpenses") == []


def test_estimates_of_different_origins_stay_apart(books: Books) -> None:
    """Rule [D3]."""
    for _ in range(2):
        cost = new()
        expense(books, "Cost", cost)
        expense(books, "Sales", new(), cost)
    assert len(books.all("ForecastExpenses")) == 2


def test_an_estimate_that_gets_another_origin_leaves_its_forecast(books: Books) -> None:
    """Rule [D3]."""
    one, two, sale = new(), new(), new()
    expense(books, "Cost", one)
    expense(books, "Cost", two)
    expense(books, "Sales", sale, one)
    books.change("ProjEstimateExpensesImports", {"EstimateLineId": sale}, OriginEstimateLineId=two)
    found = {row["OriginId"]: row["SalesAmount"] for row in books.all("ForecastExpenses")}
    assert found == {one: 0, two: 600}


def test_cost_and_sales_of_a_material_are_one_forecast(books: Books) -> None:
    """In the currencies of either side [D3]."""
    cost = new()
    item(books, "Cost", cost)
    item(books, "Sales", new(), cost, "75")
    forecast = books.one("ForecastItems")
    assert (forecast["ItemId"], forecast["Quantity"]) == ("P-1001", 3)
    assert (forecast["CostAmount"], forecast["CostCurrencyCode"]) == (150, "USD")
    assert (forecast["SalesAmount"], forecast["SalesCurrencyCode"]) == (225, "GBP")


def test_the_category_is_one_of_the_projects_company(books: Books) -> None:
    """That the row is refused, and heals when the category is set up, is assumed [D4]."""
    key = {"dataAreaId": "uspm", "CategoryId": f"{TRAVEL}-4"}
    books.delete("ProjectCategories", **key)
    with pytest.raises(BusinessRuleViolation, match="in field 'Category' is not found"):
        expense(books, "Cost", new())
    books.insert("ProjectCategories", **key)
    expense(books, "Cost", new())


def test_a_contracted_project_needs_a_profile(books: Books) -> None:
    """That the row is refused is assumed. Internal projects need none [D2]."""
    books.delete("CostAndRevenueProfileRules", dataAreaId="uspm")
    for write in (hours, lambda books: expense(books, "Cost", new()), lambda books: item(books, "Cost", new())):
        with pytest.raises(BusinessRuleViolation, match="No project cost and revenue profile rule applies"):
            write(books)
    hours(books, ProjectId="PRJ-I")
    books.insert("CostAndRevenueProfileRules", dataAreaId="uspm", RuleNumber=1, ProfileId="STANDARD")
    hours(books)
