"""Posting of integration journals: [G5, G7, G11, G13 to G15, G-L, H6, K3, K6]; each test names its rule."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from dualsync_sandbox.business.finance import jobs
from dualsync_sandbox.business.finance.ledger.entries import Entry, post_voucher
from dualsync_sandbox.errors import BusinessRuleViolation
from support.books import Books


def test_posting_writes_back_to_the_staged_row(books: Books) -> None:
    """Amount in accounting currency, rate, voucher, sales tax, and that it is journalised [G15]."""
    books.change("ProjectsV2", {"ProjectId": "PRJ-T"}, SalesTaxGroupId="ST-STD")
    sale = books.stage("Sales", amount="200", TransactionCurrencyId="GBP")
    _, posting = books.do()
    staged, line = books.staged(sale), books.line(sale)
    assert (posting.posted, posting.failed, posting.error_journals) == (1, (), ())
    assert staged["AccountingAmount"] == Decimal("254.70")
    assert staged["ExchangeRate"] == Decimal("127.35")
    assert staged["SalesTaxAmount"] == Decimal("15.00")  # 7.5 per cent of 200 GBP
    assert (staged["VoucherNumber"], line["LineStatus"]) == (line["Voucher"], "Posted")
    assert (staged["IsJournalized"], staged["ProjActualsImportSync"]) == ("Yes", "Yes")
    header = books.one("IntegrationJournalHeaders", JournalId=line["JournalId"])
    assert (header["JournalStatus"], header["Posted"], header["PostedInBatch"]) == ("Posted", "Yes", "No")
    assert jobs.post_integration_journals(books.finance, "USPM").posted == 0


def test_every_posted_line_is_one_project_transaction(books: Books) -> None:
    """Each with the voucher of its line [G2, G7]."""
    cost, sale = books.stage("Cost", amount="88"), books.stage("Sales", amount="200")
    books.do()
    transactions = books.all("ProjectTransactions")
    assert [row["ActualsImportId"] for row in transactions] == [cost["ActualsImportId"], sale["ActualsImportId"]]
    assert [row["Voucher"] for row in transactions] == [books.line(row)["Voucher"] for row in (cost, sale)]
    assert [row["CostAmountAccountingCurrency"] for row in transactions] == [Decimal(88), Decimal(0)]
    assert [row["SalesAmountAccountingCurrency"] for row in transactions] == [Decimal(0), Decimal(200)]
    assert {(row["Status"], row["TransactionOrigin"]) for row in transactions} == {("Posted", "IntegrationJournal")}


def test_a_reversal_equals_its_original(books: Books) -> None:
    """In the ledger: both posted, they cancel out [R10]."""
    original = books.stage("Cost", amount="88.40", TransactionCurrencyId="GBP")
    reversal = books.stage("Cost", amount="-88.40", TransactionCurrencyId="GBP", Quantity=Decimal(-1))
    books.do()
    assert books.staged(original)["AccountingAmount"] == -books.staged(reversal)["AccountingAmount"]
    sums: dict[Any, Decimal] = {}
    for row in (original, reversal):
        for posting_type, amount in books.entries(row):
            sums[posting_type] = sums.get(posting_type, Decimal(0)) + amount
    assert sums == {"ProjectCost": 0, "PayrollAllocation": 0}


# -- the ledger by profile


def profile(books: Books, area: str = "uspm", **values: str) -> None:
    books.change("CostAndRevenueProfiles", {"dataAreaId": area}, **values)


@pytest.mark.parametrize(
    ("of", "offset"), [("time", "PayrollAllocation"), ("expense", "ProjectOffset"), ("material", "ProjectItemOffset")]
)
def test_costs_without_wip(books: Books, of: str, offset: str) -> None:
    """Debit cost, credit payroll allocation or offset; unbilled sales touch no account [G-L]."""
    cost, sale = books.stage("Cost", of), books.stage("Sales", of)
    books.do()
    assert books.entries(cost) == [("ProjectCost", 100), (offset, -100)]
    assert books.entries(sale) == []


def test_costs_and_revenue_with_wip(books: Books) -> None:
    """The pair of WIP sales value and accrued revenue comes on top [G-L]."""
    british = {"dataAreaId": "gbpm", "ProjectId": "PRJ-G", "TransactionCurrencyId": "GBP"}
    cost, sale = books.stage("Cost", **british), books.stage("Sales", amount="200", **british)
    free = books.stage("Sales", amount="50", **british, BillingType="NonChargeable")
    retainer = books.stage("Sales", "retainer", "-500", **british)
    books.do("GBPM")
    assert books.entries(cost) == [("ProjectCost", 100), ("PayrollAllocation", -100)]
    assert books.entries(sale) == [("ProjectWipSalesValue", 200), ("ProjectAccruedRevenue", -200)]
    assert books.entries(free) == books.entries(retainer) == []


@pytest.mark.parametrize(
    ("post_costs", "entries"),
    [
        ("Balance", [("ProjectWipCostValue", 100), ("PayrollAllocation", -100)]),
        ("NoLedger", []),
        ("NeverLedger", []),
    ],
)
def test_modes_of_posting_costs(books: Books, post_costs: str, entries: list[tuple[str, int]]) -> None:
    """Revenue accrues only where costs go to profit and loss [G-L]."""
    profile(books, PostCosts=post_costs, AccrueRevenue="Yes")
    cost, sale = books.stage("Cost"), books.stage("Sales")
    books.do()
    assert (books.entries(cost), books.entries(sale)) == (entries, [])
    assert books.staged(cost)["VoucherNumber"] != ""


def test_internal_projects_post_to_profit_and_loss(books: Books) -> None:
    """Always, whatever the rules say [G-L]."""
    profile(books, PostCosts="NoLedger")
    cost = books.stage("Cost", ProjectId="PRJ-I")
    books.do()
    assert books.entries(cost) == [("ProjectCost", 100), ("PayrollAllocation", -100)]


def test_the_most_specific_profile_rule_wins(books: Books) -> None:
    """All, group, contract, project; that order among them is assumed [D2]."""
    books.change("ProjectsV2", {"ProjectId": "PRJ-T"}, ProjectGroupId="G1")
    books.insert("CostAndRevenueProfiles", dataAreaId="uspm", ProfileId="WIP", AccrueRevenue="Yes")
    rules = [{"ProjectGroupId": "G1"}, {"ProjectContractId": "ORD-uspm"}, {"ProjectId": "PRJ-T"}]
    seen = []
    for number, rule in enumerate(rules, start=2):
        wanted = "WIP" if number % 2 == 0 else "STANDARD"
        books.insert("CostAndRevenueProfileRules", dataAreaId="uspm", RuleNumber=number, ProfileId=wanted, **rule)
        sale = books.stage("Sales")
        books.do()
        seen.append(len(books.entries(sale)))
    assert seen == [2, 0, 2]


def test_a_contracted_project_needs_a_profile(books: Books) -> None:
    """Without one the line stays in error; it posts after the rule is set up [D2]."""
    books.delete("CostAndRevenueProfileRules", dataAreaId="uspm")
    row = books.stage()
    _, posting = books.do()
    assert "No project cost and revenue profile rule applies to project PRJ-T." in posting.failed[0][2]
    books.insert("CostAndRevenueProfileRules", dataAreaId="uspm", RuleNumber=1, ProfileId="STANDARD")
    jobs.update_journal_to_draft(books.finance, "USPM", posting.error_journals[0])
    assert jobs.post_integration_journals(books.finance, "USPM").posted == 1
    assert books.staged(row)["IsJournalized"] == "Yes"


def test_a_procured_item_clears_its_integration_account(books: Books) -> None:
    """The offset of a cost that comes from a vendor invoice of Finance [J2]."""
    cost = books.stage("Cost", "material", VendInvoiceLineProjTransId="VI-1")
    books.do()
    assert books.entries(cost) == [("ProjectCost", 100), ("IntegrationAccount", -100)]
    assert jobs.integration_account_balance(books.finance, "USPM", "procurement") == -100


def test_a_voucher_that_does_not_balance_is_refused(books: Books) -> None:
    """Debits equal credits, in each currency [G-L]."""
    entries = [Entry("ProjectCost", "540100", Decimal(1), Decimal(2)), Entry("Offset", "1", Decimal(-1), Decimal(-3))]
    with books.finance.transaction() as tx, pytest.raises(BusinessRuleViolation, match="do not balance"):
        post_voucher(tx, "uspm", "V-1", "2026-03-02", "GBP", entries)


# -- lines in error


def close(books: Books, day: str, status: str = "Closed") -> None:
    books.change("FiscalPeriods", {"dataAreaId": "uspm", "StartDate": day}, Status=status)


def test_good_lines_post_and_lines_in_error_move(books: Books) -> None:
    """To a journal of their own that names the original and is not tried again until it is set to draft [G14]."""
    books.parameters(JournalPeriodUnit="All", SetAccountingDateToOpenPeriod="No")
    close(books, "2026-02-01")
    good, bad = books.stage(), books.stage(AccountingDate="2026-02-05")
    imported, posting = books.do()
    (journal,) = imported.journals
    assert (posting.journals, posting.posted) == ((journal,), 1)
    assert posting.failed[0][:2] == (journal, 2)
    assert posting.failed[0][2].startswith(f"Integration journal ({journal}): Line 2 failed to post due to")
    line, (moved,) = books.line(bad), posting.error_journals
    assert (line["JournalId"], line["LineStatus"], line["Message"]) == (moved, "Error", posting.failed[0][2])
    header = books.one("IntegrationJournalHeaders", JournalId=moved)
    assert (header["JournalStatus"], header["OriginalJournalId"]) == ("Error", journal)
    assert books.staged(good)["IsJournalized"] == "Yes"
    assert books.staged(bad)["IsJournalized"] == "No"
    close(books, "2026-02-01", "Open")
    assert books.do()[1].posted == 0
    jobs.update_journal_to_draft(books.finance, "USPM", moved)
    assert jobs.post_integration_journals(books.finance, "USPM", [journal]).posted == 0
    assert jobs.post_integration_journals(books.finance, "USPM", [moved]).posted == 1
    assert (books.line(bad)["Voucher"], books.line(bad)["Message"]) == (line["Voucher"], "")
    assert books.staged(bad)["VoucherNumber"] == line["Voucher"]


def test_a_journal_whose_lines_all_fail_is_the_error_journal(books: Books) -> None:
    """The header's status is Error; nothing moves (assumed) [G13, G14]."""
    books.parameters(SetAccountingDateToOpenPeriod="No")
    close(books, "2026-03-01")
    row = books.stage()
    imported, posting = books.do()
    assert posting.error_journals == imported.journals
    assert books.line(row)["LineStatus"] == "Error"
    assert books.one("IntegrationJournalHeaders")["JournalStatus"] == "Error"


def test_new_rows_do_not_join_journals_in_error(books: Books) -> None:
    """Rule [G14]."""
    test_a_journal_whose_lines_all_fail_is_the_error_journal(books)
    (journal,) = {row["JournalId"] for row in books.all("IntegrationJournalLines")}
    row = books.stage()
    jobs.import_from_staging(books.finance, "USPM")
    assert books.line(row)["JournalId"] != journal


def test_a_posted_journal_stays_posted(books: Books) -> None:
    """Rule [G13]."""
    books.stage()
    imported, _ = books.do()
    with pytest.raises(BusinessRuleViolation, match="is posted"):
        jobs.update_journal_to_draft(books.finance, "USPM", imported.journals[0])
    with pytest.raises(BusinessRuleViolation, match="doesn't exist"):
        jobs.update_journal_to_draft(books.finance, "USPM", "PIJ-X")


def test_a_journal_in_processing_for_a_day_is_a_draft_again(books: Books) -> None:
    """Rule [G13]."""
    row = books.stage()
    (journal,) = jobs.import_from_staging(books.finance, "USPM").journals
    jobs.start_batch_posting(books.finance, "USPM", journal)
    assert books.line(row)["LineStatus"] == "Processing"
    books.clock.advance(timedelta(hours=23))
    assert jobs.post_integration_journals(books.finance, "USPM").posted == 0
    books.clock.advance(timedelta(hours=2))
    assert jobs.post_integration_journals(books.finance, "USPM").posted == 1


def test_more_than_a_hundred_lines_post_in_batch(books: Books) -> None:
    """Rule [G5]."""
    for _ in range(101):
        books.stage()
    books.do()
    assert books.one("IntegrationJournalHeaders")["PostedInBatch"] == "Yes"


# -- sales tax


@pytest.mark.parametrize(
    ("method", "group"),
    [("Project", ""), ("ProjectContract", "ST-STD"), ("Customer", "ST-EXEMPT"), ("Search", "ST-STD")],
)
def test_where_the_tax_group_comes_from(books: Books, method: str, group: str) -> None:
    """Project, contract, customer, or the first of them that has one [H6]."""
    books.parameters(SalesTaxGroupMethod=method)
    books.change("ProjectContractHeaders", {"ProjectContractId": "ORD-uspm"}, SalesTaxGroupCode="ST-STD")
    customer = {"dataAreaId": "uspm", "CustomerAccount": "C-000001"}
    books.change("CustomersV3", customer, SalesTaxGroup="ST-EXEMPT")
    row = books.stage("Sales", ContractId="ORD-uspm", CustomerAccountNumber="C-000001")
    jobs.import_from_staging(books.finance, "USPM")
    assert books.line(row)["TaxGroupCode"] == group


def test_accountants_may_edit_the_tax_group_of_a_line(books: Books) -> None:
    """Rule [G11]."""
    row = books.stage("Sales")
    jobs.import_from_staging(books.finance, "USPM")
    books.change("IntegrationJournalLines", {"ActualsImportId": row["ActualsImportId"]}, TaxGroupCode="ST-STD")
    jobs.post_integration_journals(books.finance, "USPM")
    assert books.staged(row)["SalesTaxAmount"] == Decimal("7.50")


@pytest.mark.parametrize(("kind", "billing_type"), [("Cost", "NotAvailable"), ("Sales", "Complimentary")])
def test_only_chargeable_sales_are_taxed(books: Books, kind: str, billing_type: str) -> None:
    """That it is so is assumed [G15]."""
    books.change("ProjectsV2", {"ProjectId": "PRJ-T"}, SalesTaxGroupId="ST-STD")
    row = books.stage(kind, BillingType=billing_type)
    books.do()
    assert books.staged(row)["SalesTaxAmount"] == 0


# -- intercompany


def test_the_example_of_ten_hours_lent(books: Books) -> None:
    """10 h for 120 USD, 88 GBP and 200 USD; the lending company has ledger entries, but no transactions [K3, K6]."""
    hours: dict[str, Any] = {"Quantity": Decimal(10), "ResourcingCompany": "GBPM", "ProjectDataAreaId": "USPM"}
    lent = {**hours, "dataAreaId": "gbpm"}
    unit_cost = books.stage("ResourcingUnitCost", amount="88", **lent, Amount=Decimal(880), TransactionCurrencyId="GBP")
    charged = books.stage("InterOrgSales", amount="120", **{**lent, "Amount": Decimal(1200)})
    sale = books.stage("Sales", amount="200", **{**hours, "Amount": Decimal(2000)})
    books.relate(charged, "Inter-organizational sales", unit_cost, "Resourcing unit cost")
    for company in ("GBPM", "USPM"):
        imported, posting = books.do(company)
        assert (imported.refused, posting.failed) == ((), ())
    assert books.entries(unit_cost) == [("IntercompanyCost", 880), ("PayrollAllocation", -880)]
    in_pounds = books.staged(charged)["AccountingAmount"]
    assert in_pounds == Decimal("942.29")  # 1,200 USD at 100 / 127.35
    assert books.entries(charged) == [
        ("IntercompanyAccruedRevenueDebit", in_pounds),
        ("IntercompanyAccruedRevenueCredit", -in_pounds),
    ]
    (transaction,) = books.all("ProjectTransactions")
    assert (transaction["dataAreaId"], transaction["SalesAmountAccountingCurrency"]) == ("uspm", Decimal(2000))
    assert books.staged(sale)["AccountingAmount"] == Decimal(2000)
    assert books.line(charged)["RelatedVoucher"] == books.line(unit_cost)["Voucher"]
