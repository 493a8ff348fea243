"""Expense categories and expense reports: [I1 to I5, I9, C9, C11, C13]; each test names its rule."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dualsync_sandbox.business import Parameters, install
from dualsync_sandbox.business.finance import jobs
from dualsync_sandbox.business.finance.jobs import Expense, Share
from dualsync_sandbox.clock import Clock
from dualsync_sandbox.errors import BusinessRuleViolation
from dualsync_sandbox.schema import SystemSchema
from dualsync_sandbox.store import Store
from support.books import Books

WORKER = "000001"
TRAVEL = "TCN-0000001002-CCCCC"
ON_PROJECT = (Share("PRJ-T", activity_number="TSK-2"),)


def spent(amount: str = "240", **values: Any) -> Expense:
    return Expense("TRAVEL", Decimal(amount), "2026-03-02", **{"shares": ON_PROJECT, **values})


def file(books: Books, *expenses: Expense, company: str = "USPM") -> Any:
    return jobs.file_expense_report(books.finance, company, WORKER, expenses, "Site visit")


def balance(books: Books, company: str = "USPM") -> Decimal:
    return jobs.integration_account_balance(books.finance, company)


# -- categories


def test_the_accountant_sets_up_categories_of_new_shared_ones(books: Books) -> None:
    """In every integrated company and no other; the first of a type becomes the default [C13, A3]."""
    areas = {row["dataAreaId"] for row in books.all("ProjectCategories")}
    assert areas == {"uspm", "gbpm", "frrt"}
    parameters = books.one("IntegrationParameters", dataAreaId="gbpm")
    assert parameters["HourCategory"] == "TCN-0000001000-AAAAA-1"
    assert parameters["OnAccountCategory"] == "TCN-0000001000-AAAAA-5"


def test_project_categories_come_from_tied_shared_categories(books: Books) -> None:
    """Rule [C13]."""
    books.insert("SharedCategories", CategoryId="LOOSE", CategoryName="Loose", CategoryType="Hour")
    with pytest.raises(BusinessRuleViolation, match="not tied to a transaction category"):
        books.insert("ProjectCategories", dataAreaId="uspm", CategoryId="LOOSE")


def test_by_hand_where_the_accountant_is_slow(tmp_path: Path) -> None:
    """Switched off, nothing is set up [C13]."""
    clock = Clock()
    dataverse = Store(tmp_path / "dataverse.db", SystemSchema.load("dataverse"), clock)
    finance = Store(tmp_path / "finance.db", SystemSchema.load("finance"), clock)
    stores = (dataverse, finance)
    install(*stores, clock, Parameters(sets_up_categories=False))
    with stores[1].transaction() as tx:
        tx.insert("LegalEntities", {"LegalEntityId": "USPM"})
        tx.insert("ProjectTransactionCategories", {"CategoryId": "TCN-1", "Name": "Travel"})
        assert tx.count("ProjectCategories") == 0
        row = tx.insert("ProjectCategories", {"dataAreaId": "uspm", "CategoryId": "TCN-1-1"})
    assert (row["CategoryType"], row["TransactionCategoryId"], row["CategoryName"]) == ("Hour", "TCN-1", "Travel")
    for store in stores:
        store.close()


def test_expense_categories_are_exported_by_company(books: Books) -> None:
    """From shared categories that can be used in Expense; those of no project stay at home [I1]."""
    exported = books.all("ProjExpenseCategoriesExport")
    assert [(row["dataAreaId"], row["CostType"]) for row in exported] == [
        ("uspm", "TRAVEL"), ("gbpm", "TRAVEL"), ("frrt", "TRAVEL"),
    ]  # fmt: skip
    row = exported[0]
    assert (row["TransactionCategoryId"], row["ExpType"], row["IsInactive"]) == (TRAVEL, "Airline", "No")
    key = {"dataAreaId": "uspm", "CostType": "TRAVEL"}
    books.change("ExpenseCategories", key, Description="Trips", IsInactive="Yes")
    followed = books.one("ProjExpenseCategoriesExport", **key)
    assert (followed["CostTxt"], followed["IsInactive"]) == ("Trips", "Yes")
    with pytest.raises(BusinessRuleViolation, match="cannot be used"):
        file(books, spent())
    books.delete("ExpenseCategories", **key)
    assert books.all("ProjExpenseCategoriesExport", **key) == []


def test_a_shared_category_that_leaves_expense_takes_its_categories_along(books: Books) -> None:
    """Rule [I1]."""
    shared = {"CategoryId": f"{TRAVEL}-4"}
    books.change("SharedCategories", shared, CanBeUsedInExpense="No")
    assert {row["IsInactive"] for row in books.all("ProjExpenseCategoriesExport")} == {"Yes"}
    with pytest.raises(BusinessRuleViolation, match="cannot be used in Expense"):
        books.insert("ExpenseCategories", dataAreaId="uspm", CostType="TRIPS", **shared)


# -- reports


def test_a_report_goes_from_draft_to_posted_and_no_other_way(books: Books) -> None:
    """Rule [I2]."""
    number = jobs.create_expense_report(books.finance, "USPM", WORKER, [spent()])["ReportNumber"]
    for step in (jobs.approve_expense_report, jobs.post_expense_report):
        with pytest.raises(BusinessRuleViolation, match="is Draft"):
            step(books.finance, "USPM", number)
    assert jobs.submit_expense_report(books.finance, "USPM", number)["ApprovalStatus"] == "Submitted"
    assert jobs.approve_expense_report(books.finance, "USPM", number)["ApprovalStatus"] == "Approved"
    assert books.all("ProjExpensesExport") == []
    posted = jobs.post_expense_report(books.finance, "USPM", number)
    assert (posted["ApprovalStatus"], posted["PostingDate"]) == ("Posted", "2026-03-02T12:00:00Z")
    with pytest.raises(BusinessRuleViolation, match="is Posted"):
        jobs.post_expense_report(books.finance, "USPM", number)
    with pytest.raises(BusinessRuleViolation, match="doesn't exist"):
        jobs.submit_expense_report(books.finance, "GBPM", "EXR-9")


def test_posting_makes_the_row_for_dataverse(books: Books) -> None:
    """Net amount is the project's cost, tax the part that can be recovered (assumed) [I3]."""
    file(books, spent("240", description="Train", quantity=Decimal(2)))
    row = books.one("ProjExpensesExport")
    assert (row["ProjId"], row["ProjActivityNumber"], row["CostType"]) == ("PRJ-T", "TSK-2", "TRAVEL")
    assert (row["ReferenceDataAreaId"], row["InterCompanyLE"], row["ExchangeCode"]) == ("uspm", "", "USD")
    assert (row["NetAmount"], row["TaxAmount"], row["Amount"]) == (240, 0, 240)
    assert (row["TransactionCategoryId"], row["BillingType"]) == (TRAVEL, "Chargeable")
    assert (row["Quantity"], row["AdditionalInformation"]) == (2, "Train")
    assert (row["TransDate"], row["ProjCostTransExists"]) == ("2026-03-02T12:00:00Z", 0)
    assert row["ProjTransId"] != ""


def entries(books: Books) -> list[tuple[Any, Any]]:
    return [(entry["PostingType"], entry["Debit"] - entry["Credit"]) for entry in books.all("LedgerEntries")]


def test_tax_that_cannot_be_recovered_is_cost(books: Books) -> None:
    """It goes to the integration account with the cost; the employee is owed the whole at once [I2]."""
    file(books, spent("107.50", tax_group="ST-STD"))
    line = books.one("ExpenseReportLines", TaxGroupCode="ST-STD")
    assert (line["TaxAmount"], line["NonRecoverableTaxAmount"]) == (Decimal("7.50"), Decimal("7.50"))
    assert entries(books) == [("IntegrationAccount", Decimal("107.50")), ("EmployeePayable", Decimal("-107.50"))]


def test_recoverable_tax_posts_at_once(books: Books) -> None:
    """Rule [I2]."""
    on_project = (Share("PRJ-G"),)
    file(books, spent("120", tax_group="VAT20", shares=on_project), company="GBPM")
    assert entries(books) == [("IntegrationAccount", 100), ("SalesTaxReceivable", 20), ("EmployeePayable", -120)]
    row = books.one("ProjExpensesExport")
    assert (row["NetAmount"], row["TaxAmount"], row["Amount"]) == (100, 20, 120)


def test_an_expense_of_no_project_stays_at_home(books: Books) -> None:
    """Only project expenses go to the integration account and to Dataverse [I2]."""
    books.insert("ExpenseCategories", dataAreaId="uspm", CostType="SUPPLIES")
    with pytest.raises(BusinessRuleViolation, match="not tied to a shared category"):
        file(books, Expense("SUPPLIES", Decimal(50), "2026-03-02", ON_PROJECT))
    file(books, Expense("SUPPLIES", Decimal(50), "2026-03-02"))
    assert books.all("ProjExpensesExport") == []
    assert entries(books) == [("ExpenseOfNoProject", 50), ("EmployeePayable", -50)]


def test_distributions_split_a_line_over_projects(books: Books) -> None:
    """One export row per project; the parts add up to the cent [I9]."""
    shares = (Share("PRJ-T", Decimal("33.33")), Share("PRJ-I", Decimal("33.33")), Share("PRJ-T", Decimal("33.34")))
    file(books, spent("100.01", shares=shares))
    rows = books.all("ProjExpensesExport")
    assert [row["ProjId"] for row in rows] == ["PRJ-T", "PRJ-I", "PRJ-T"]
    assert len({row["ExpTransNumber"] for row in rows}) == len({row["ProjTransId"] for row in rows}) == 3
    assert [row["Amount"] for row in rows] == [Decimal("33.33"), Decimal("33.33"), Decimal("33.35")]
    assert balance(books) == Decimal("100.01")


def test_a_distribution_is_complete(books: Books) -> None:
    """Rule [I9]."""
    with pytest.raises(BusinessRuleViolation, match="100 percent"):
        file(books, spent(shares=(Share("PRJ-T", Decimal(50)),)))
    assert len(books.all("ExpenseReports", dataAreaId="uspm")) == 2


def test_an_expense_for_a_project_of_another_company(books: Books) -> None:
    """Posted where the employee is, exported to the company of the project (assumed) [I2, I9]."""
    file(books, spent(shares=(Share("PRJ-G", company="GBPM"),)))
    row = books.one("ProjExpensesExport")
    assert (row["ReferenceDataAreaId"], row["InterCompanyLE"]) == ("gbpm", "uspm")
    assert (balance(books), balance(books, "GBPM")) == (240, 0)


# -- the integration account


def actual(books: Books, row: Any, kind: str = "Cost", sign: int = 1, **values: Any) -> Any:
    """What Dataverse's approval makes of an exported expense."""
    given = {
        "ProjectId": row["ProjId"],
        "ExternalOriginReference": row["ExpTransNumber"],
        "TransactionCurrencyId": row["ExchangeCode"],
        "Amount": row["NetAmount"] * sign,
        "Quantity": row["Quantity"] * sign,
    }
    return books.stage(kind, "expense", **given | values)


def test_posting_the_journal_clears_the_integration_account(books: Books) -> None:
    """To project cost; and the export row says that the cost is there [I4]."""
    file(books, spent(), spent("99.95"))
    assert balance(books) == Decimal("339.95")
    costs = [actual(books, row) for row in books.all("ProjExpensesExport")]
    books.do()
    assert balance(books) == 0
    assert books.entries(costs[0]) == [("ProjectCost", 240), ("IntegrationAccount", -240)]
    assert {row["ProjCostTransExists"] for row in books.all("ProjExpensesExport")} == {1}


def test_an_expense_lost_on_the_way_leaves_its_amount(books: Books) -> None:
    """Rules [I4, R19]."""
    file(books, spent("240"), spent("60"))
    first, _ = books.all("ProjExpensesExport")
    actual(books, first)
    books.do()
    assert balance(books) == 60


def test_a_reversal_opens_the_account_again(books: Books) -> None:
    """Cancelling the approval reverses the cost until it is approved again [I4, E6]."""
    file(books, spent())
    row = books.one("ProjExpensesExport")
    actual(books, row)
    actual(books, row, sign=-1)
    books.do()
    assert balance(books) == 240
    actual(books, row)
    books.do()
    assert balance(books) == 0


def test_the_account_clears_in_a_foreign_currency_too(books: Books) -> None:
    """The rate of the expense holds for its cost, whatever the day of the actual (assumed) [I4]."""
    file(books, Expense("TRAVEL", Decimal("33.33"), "2026-06-30", ON_PROJECT, currency="GBP"))
    assert balance(books) == Decimal("42.45")  # at 127.35
    actual(books, books.one("ProjExpensesExport"), AccountingDate="2026-07-01")  # the rate is another one then
    books.do()
    assert balance(books) == 0


def test_an_expense_entered_in_dataverse_has_another_offset(books: Books) -> None:
    """Only what Finance posted goes through the integration account [I4]."""
    cost = books.stage("Cost", "expense")
    books.do()
    assert books.entries(cost) == [("ProjectCost", 100), ("ProjectOffset", -100)]
    assert balance(books) == 0


def test_a_lent_employees_expense_clears_where_it_was_posted(books: Books) -> None:
    """The resourcing cost of the lending company takes it off the account [I4, K3]."""
    file(books, spent("240", shares=(Share("PRJ-G", company="GBPM"),)))
    row = books.one("ProjExpensesExport")
    lent = actual(books, row, "ResourcingUnitCost", ProjectDataAreaId="GBPM", ResourcingCompany="USPM")
    books.do()
    assert books.entries(lent) == [("IntercompanyCost", 240), ("IntegrationAccount", -240)]
    assert balance(books) == 0


# -- refusals


def test_a_finished_project_takes_no_expenses(books: Books) -> None:
    """Neither on a report nor when it is posted; it heals when the project is reopened [C11]."""
    number = jobs.create_expense_report(books.finance, "USPM", WORKER, [spent()])["ReportNumber"]
    jobs.submit_expense_report(books.finance, "USPM", number)
    jobs.approve_expense_report(books.finance, "USPM", number)
    books.change("ProjectsV2", {"ProjectId": "PRJ-T"}, ProjectStage="Completed")
    message = "Project stage finished doesn't allow recording in the project"
    with pytest.raises(BusinessRuleViolation, match=message):
        file(books, spent())
    with pytest.raises(BusinessRuleViolation, match=message):
        jobs.post_expense_report(books.finance, "USPM", number)
    assert (books.all("ProjExpensesExport"), books.all("LedgerEntries")) == ([], [])
    books.change("ProjectsV2", {"ProjectId": "PRJ-T"}, ProjectStage="InProcess")
    assert jobs.post_expense_report(books.finance, "USPM", number)["ApprovalStatus"] == "Posted"


def test_a_parent_task_blocks_posting_only_with_live_synchronisation(books: Books) -> None:
    """The switch plays the live connection, where the far side's refusal stops the posting [C9, I5]."""
    on_parent = (Share("PRJ-T", activity_number="TSK-1"),)
    books.parameters(BlockPostingOnSyncError="Yes")
    for shares in (on_parent, (Share("PRJ-T", activity_number="TSK-9"),)):
        with pytest.raises(BusinessRuleViolation, match="Could not resolve project task for export expense"):
            file(books, spent(shares=shares))
    file(books, spent())
    books.parameters(BlockPostingOnSyncError="No")
    file(books, spent(shares=on_parent))
    assert [row["ProjActivityNumber"] for row in books.all("ProjExpensesExport")] == ["TSK-2", "TSK-1"]


@pytest.mark.parametrize(
    ("expense", "why"),
    [
        (spent(shares=(Share("PRJ-X"),)), "Project PRJ-X doesn't exist"),
        (spent(currency="CHF"), "exchange rate between CHF and USD"),
        (Expense("TRAVEL", Decimal(1), "2019-01-01", ON_PROJECT), "No open fiscal period"),
        (Expense("NONE", Decimal(1), "2026-03-02"), "Expense category NONE cannot be used"),
    ],
)
def test_what_cannot_be_posted_leaves_nothing_behind(books: Books, expense: Expense, why: str) -> None:
    """That [G6, G9] hold for expenses too is assumed [I2]."""
    books.parameters(SetAccountingDateToOpenPeriod="No")
    with pytest.raises(BusinessRuleViolation, match=why):
        file(books, spent(), expense)
    assert len(books.all("ExpenseReports", dataAreaId="uspm")) == 2
    assert (books.all("ProjExpensesExport"), books.all("LedgerEntries")) == ([], [])


def test_only_integrated_companies_report_project_expenses(books: Books) -> None:
    """Rule [A1]."""
    with pytest.raises(BusinessRuleViolation, match="not set up for the integration"):
        file(books, spent(), company="DEMF")
