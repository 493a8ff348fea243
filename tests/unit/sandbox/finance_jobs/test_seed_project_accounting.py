"""How the seed sets up project accounting in Finance [A2, A3, C13]."""

from datetime import date, timedelta
from itertools import pairwise

from support.books import Books

INTEGRATED = {"uspm", "gbpm", "frrt"}


def areas(books: Books, table: str) -> set[object]:
    return {row["dataAreaId"] for row in books.all(table)}


def test_integrated_companies_and_no_others_are_set_up(books: Books) -> None:
    """Rules [A1, A3]."""
    for table in ("IntegrationParameters", "LineProperties", "CostAndRevenueProfileRules", "IntercompanyRelations"):
        assert areas(books, table) == INTEGRATED


def test_every_billing_type_has_its_line_property(books: Books) -> None:
    """Five records per company [A2]."""
    assert len(books.all("LineProperties", dataAreaId="uspm")) == 5
    members = books.finance.schema.tables["ProjActualsImports"].columns["BillingType"].members
    assert {row["BillingType"] for row in books.all("LineProperties", dataAreaId="frrt")} == set(members)


def test_fiscal_periods_follow_each_other_and_today_is_open(books: Books) -> None:
    for area in (*INTEGRATED, "demf"):
        periods = books.all("FiscalPeriods", dataAreaId=area)
        for one, following in pairwise(periods):
            end, start = (date.fromisoformat(str(day)[:10]) for day in (one["EndDate"], following["StartDate"]))
            assert start - end == timedelta(days=1)
        assert periods[0]["Status"] == "Closed"
        assert periods[-1]["Status"] == "Open"
        assert str(periods[-1]["EndDate"])[:10] == "2030-12-31"


def test_every_tax_group_has_a_rate(books: Books) -> None:
    groups = {(row["dataAreaId"], row["TaxGroupCode"]) for row in books.all("TaxGroups")}
    assert {(row["dataAreaId"], row["TaxGroupCode"]) for row in books.all("SalesTaxRates")} == groups


def test_expense_reports_of_no_project_stay_at_home(books: Books) -> None:
    assert areas(books, "ExpenseReports") == INTEGRATED
    assert books.all("ExpenseDistributions") == books.all("ProjExpensesExport") == []
    assert all(row["CostType"] != "OFFICE" for row in books.all("ProjExpenseCategoriesExport"))
