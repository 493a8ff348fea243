"""Posting of invoice proposals, and intercompany invoices: [G-L, G6, G15, H8, H9, H14, K4, K5, R9]."""

from decimal import Decimal
from typing import Any

import pytest

from dualsync_sandbox.business.finance import jobs
from dualsync_sandbox.business.finance.invoicing.intercompany import post_intercompany_invoice
from dualsync_sandbox.errors import BusinessRuleViolation
from dualsync_sandbox.store import Row
from support.books import Books

MILESTONE, UNADJUSTABLE = 192350003, 192350002
WIP = {"dataAreaId": "gbpm", "ProjectId": "PRJ-G", "TransactionCurrencyId": "GBP"}
"""What says that something is of the company whose profile accrues revenue."""


def propose(books: Books, number: str = "INV-1", area: str = "uspm", **values: Any) -> None:
    currency = {"uspm": "USD", "gbpm": "GBP"}[area]
    header = {"ProjectContractId": f"ORD-{area}", "SalesCurrency": currency, "InvoiceDate": "2026-03-31", **values}
    books.insert("ProjInvoiceProposalsV2", dataAreaId=area, InvoiceProposalId=number, **header)


def billed(books: Books, unbilled: Row | None, number: str = "INV-1", **values: Any) -> Row:
    """The staged billed sale of an unbilled one, related with it."""
    same = ("dataAreaId", "ProjectId", "Amount", "Quantity", "BillingType", "TransactionCurrencyId")
    taken = {name: unbilled[name] for name in (*same, "TransactionClassification")} if unbilled is not None else {}
    chargeable = {"InvoiceProposalId": number, "BillingType": "Chargeable", "AccountingDate": "2026-03-31"}
    row: Row = books.stage("BilledSales", **{**chargeable, **taken, **values})
    if unbilled is not None:
        books.relate(row, "Billed", unbilled, "Unbilled")
    return row


def post(books: Books, company: str = "USPM") -> jobs.InvoicingSummary:
    """Fill what can be filled, and post."""

    def count(area: str, number: str) -> int:
        return len(books.all("ProjActualsImports", dataAreaId=area, InvoiceProposalId=number))

    jobs.import_from_staging(books.finance, company, billed=count)
    return jobs.post_invoice_proposals(books.finance, company)


def entries(books: Books, number: str = "INV-1") -> dict[Any, Any]:
    """Posting type and signed amount in accounting currency of the invoice of a proposal."""
    voucher = books.one("ProjInvoiceProposalHeaders", InvoiceProposalId=number)["Voucher"]
    return {row["PostingType"]: row["Debit"] - row["Credit"] for row in books.all("LedgerEntries", Voucher=voucher)}


def profile(books: Books, area: str = "uspm", **values: str) -> None:
    books.change("CostAndRevenueProfiles", {"dataAreaId": area}, **values)


def balance(books: Books, posting_type: str, area: str = "gbpm") -> Decimal:
    rows = books.all("LedgerEntries", dataAreaId=area, PostingType=posting_type)
    return sum((row["Debit"] - row["Credit"] for row in rows), Decimal(0))


def test_what_an_invoice_posts_and_gives_back(books: Books) -> None:
    """Without WIP; voucher, amount, rate, tax and number on every billed row [G-L, G15, R12]."""
    books.change("ProjectsV2", {"ProjectId": "PRJ-T"}, SalesTaxGroupId="ST-STD")
    propose(books)
    sale, free = books.stage("Sales", amount="200"), books.stage("Sales", amount="50", BillingType="NonChargeable")
    books.do()
    rows = [billed(books, one) for one in (sale, free)]
    summary = post(books)
    assert (summary.posted, summary.failed) == ((("INV-1", "CIV-000000001"),), ())
    assert entries(books) == {"CustomerBalance": 215, "ProjectInvoicedRevenue": -200, "SalesTaxPayable": -15}
    invoice = books.one("ProjCustomerInvoices")
    facts = ("InvoiceId", "InvoiceType", "InvoiceProposalId", "CustomerAccountNumber", "InvoiceAmount", "TotalAmount")
    assert [invoice[name] for name in facts] == ["CIV-000000001", "Project", "INV-1", "C-000001", 200, 215]
    told = [
        [staged[name] for name in ("AccountingAmount", "ExchangeRate", "SalesTaxAmount", "VoucherNumber", "InvoiceId")]
        for staged in map(books.staged, rows)
    ]
    voucher = invoice["Voucher"]
    assert told == [[200, 100, 15, voucher, "CIV-000000001"], [50, 100, 0, voucher, "CIV-000000001"]]
    assert {(row["IsJournalized"], row["ProjActualsImportSync"]) for row in map(books.staged, rows)} == {("Yes", "Yes")}
    export = books.one("ProjInvoiceProposalsExport")
    names = ("InvoiceProposalId", "InvoiceId", "InvoiceStatus", "SalesTaxAmount", "InvoiceAmount", "CurrencyCode")
    assert [export[name] for name in names] == ["INV-1", "CIV-000000001", "Posted", 15, 215, "USD"]
    assert str(export["InvoiceDate"])[:10] == "2026-03-31"
    assert {row["Status"] for row in books.all("ProjectTransactions")} == {"Invoiced"}
    assert post(books).posted == ()


def test_a_posted_proposal_changes_no_more(books: Books) -> None:
    """What a package still writes to its header shows nowhere [H10]."""
    propose(books)
    sale = books.stage("Sales")
    books.do()
    billed(books, sale)
    post(books)
    books.change("ProjInvoiceProposalsV2", {"InvoiceProposalId": "INV-1"}, InvoiceHeaderText="Later")
    header = books.one("ProjInvoiceProposalHeaders")
    assert (header["ProposalStatus"], header["InvoiceHeaderText"]) == ("Posted", "")


def test_an_agreed_rate(books: Books) -> None:
    """4 hours at 250 pounds, at 1.25 kept as 125, are 1,250 dollars [H8]."""
    books.change("ProjectContractHeaders", {"ProjectContractId": "ORD-uspm"}, SalesCurrencyCode="GBP")
    rate = {"ProjectContractId": "ORD-uspm", "CurrencyCode": "GBP", "ExchangeRate": Decimal(125)}
    books.insert("FixedExchangeRates", dataAreaId="uspm", **rate)
    propose(books, SalesCurrency="GBP")
    hours: dict[str, Any] = {
        "Quantity": Decimal(4),
        "UnitPrice": Decimal(250),
        "Amount": Decimal(1000),
        "TransactionCurrencyId": "GBP",
    }
    sale = books.stage("Sales", ContractId="ORD-uspm", **hours)
    books.do()
    row = billed(books, sale, ContractId="ORD-uspm")
    post(books)
    assert entries(books) == {"CustomerBalance": 1250, "ProjectInvoicedRevenue": -1250}
    assert [books.staged(row)[name] for name in ("AccountingAmount", "ExchangeRate")] == [1250, 125]
    invoice = books.one("ProjCustomerInvoices")
    facts = ("CurrencyCode", "ExchangeRate", "TotalAmount", "TotalAmountAccountingCurrency")
    assert [invoice[name] for name in facts] == ["GBP", 125, 1000, 1250]


def test_the_rate_of_the_accounting_date(books: Books) -> None:
    """Not of the day of the work [H8, H9]."""
    propose(books, SalesCurrency="GBP")
    sale = books.stage("Sales", amount="100", TransactionCurrencyId="GBP")
    books.do()
    row = billed(books, sale, AccountingDate="2026-07-15")
    post(books)
    assert books.staged(sale)["ExchangeRate"] == Decimal("127.35")
    assert books.staged(row)["ExchangeRate"] == Decimal("129.2602")
    assert str(books.one("ProjCustomerInvoices")["AccountingDate"])[:10] == "2026-07-15"


# -- the ledger by profile


def test_accrued_revenue_is_taken_back(books: Books) -> None:
    """With WIP: nothing is left of the pair when all is invoiced [G-L, R9]."""
    propose(books, area="gbpm")
    sale = books.stage("Sales", amount="200", **WIP)
    books.do("GBPM")
    billed(books, sale)
    assert balance(books, "ProjectWipSalesValue") == 200
    post(books, "GBPM")
    assert entries(books) == {
        "CustomerBalance": 200, "ProjectInvoicedRevenue": -200, "ProjectWipSalesValue": -200,
        "ProjectAccruedRevenue": 200,
    }  # fmt: skip


def test_an_edited_confirmation_leaves_no_wip(books: Books) -> None:
    """The original has accrued too, and its negative stays in Dataverse [E10, R9]."""
    propose(books, area="gbpm")
    original = books.stage("Sales", amount="1600", **WIP)
    parts = [
        books.stage("Sales", amount="1200", **WIP),
        books.stage("Sales", amount="400", **WIP, BillingType="NonChargeable"),
    ]
    for part in parts:
        books.relate(part, "Replacing", original, "Original")
    books.do("GBPM")
    assert balance(books, "ProjectWipSalesValue") == 2800
    for part in parts:
        billed(books, part)
    post(books, "GBPM")
    assert (balance(books, "ProjectWipSalesValue"), balance(books, "ProjectAccruedRevenue")) == (0, 0)
    assert entries(books)["CustomerBalance"] == 1200
    status = {row["ActualsImportId"]: row["Status"] for row in books.all("ProjectTransactions")}
    assert [status[row["ActualsImportId"]] for row in (original, *parts)] == ["Adjusted", "Invoiced", "Invoiced"]


def test_what_a_correction_replaced_took_its_wip_along(books: Books) -> None:
    """Its negative has travelled and is posted, so nothing of it is taken back twice [E21, R9]."""
    propose(books, area="gbpm")
    original = books.stage("Sales", amount="1600", **WIP)
    reversal = books.stage("Sales", amount="-1600", **WIP, Quantity=Decimal(-1))
    again = books.stage("Sales", amount="1500", **WIP)
    books.relate(reversal, "Reversing", original, "Original")
    books.relate(again, "Replacing", original, "Original")
    books.do("GBPM")
    billed(books, again)
    post(books, "GBPM")
    assert (balance(books, "ProjectWipSalesValue"), balance(books, "ProjectAccruedRevenue")) == (0, 0)


def test_a_credit_takes_revenue_back(books: Books) -> None:
    """Eight hours credited, six billed anew; what is open again has accrued by its own journal line [E14, R9]."""
    propose(books, area="gbpm")
    sale = books.stage("Sales", amount="1600", **WIP)
    books.do("GBPM")
    original = billed(books, sale)
    post(books, "GBPM")
    propose(books, "INV-2", area="gbpm")
    kept, rest = books.stage("Sales", amount="1200", **WIP), books.stage("Sales", amount="400", **WIP)
    for again in (kept, rest):
        books.relate(again, "Replacing", original, "Original")
    books.do("GBPM")
    credit = billed(
        books, None, "INV-2", **WIP, Amount=Decimal(-1600), Quantity=Decimal(-8), AdjustmentStatus=UNADJUSTABLE
    )
    books.relate(credit, "Reversing", original, "Original")
    billed(books, kept, "INV-2")
    assert post(books, "GBPM").posted == (("INV-2", "CIV-000000002"),)
    assert entries(books, "INV-2")["CustomerBalance"] == -400
    assert entries(books, "INV-2")["ProjectInvoicedRevenue"] == 400
    assert (balance(books, "ProjectWipSalesValue"), balance(books, "ProjectAccruedRevenue")) == (400, -400)
    assert books.staged(credit)["AccountingAmount"] == -1600
    assert books.one("ProjInvoiceProposalsExport", InvoiceProposalId="INV-2")["InvoiceAmount"] == -400


@pytest.mark.parametrize(
    ("post_costs", "expected"),
    [("ProfitAndLoss", "ProjectInvoicedOnAccount"), ("Balance", "ProjectWipInvoicedOnAccount")],
)
def test_milestones_are_invoiced_on_account(books: Books, post_costs: str, expected: str) -> None:
    """Fixed prices, without and with WIP [G-L]."""
    profile(books, PostCosts=post_costs)
    milestone = {"ContractLineMilestoneIdentifier": "MIL-1", "ProjectContractId": "ORD-uspm", "ProjectNumber": "PRJ-T"}
    books.insert("ProjectContractLineMilestones", dataAreaId="uspm", **milestone, Amount=Decimal(4000))
    propose(books)
    billed(books, None, Amount=Decimal(4000), TransactionClassification=MILESTONE, ExternalOriginReference="MIL-1")
    post(books)
    assert entries(books) == {"CustomerBalance": 4000, expected: -4000}


def test_retainers_are_invoiced_on_account(books: Books) -> None:
    """And come back when they are used; the ledger effect is assumed [E17]."""
    propose(books)
    propose(books, "INV-2")
    unbilled, used = books.stage("Sales", "retainer", "-5000"), books.stage("Sales", "retainer", "5000")
    work = books.stage("Sales", amount="1600")
    books.do()
    billed(books, unbilled, Amount=Decimal(5000))
    billed(books, used, "INV-2", Amount=Decimal(-1500))
    billed(books, work, "INV-2")
    post(books)
    assert entries(books) == {"CustomerBalance": 5000, "ProjectInvoicedOnAccount": -5000}
    assert entries(books, "INV-2") == {
        "CustomerBalance": 100, "ProjectInvoicedOnAccount": 1500, "ProjectInvoicedRevenue": -1600,
    }  # fmt: skip


# -- what cannot be posted


def test_one_proposal_does_not_stop_another(books: Books) -> None:
    """Without a rate or an open period a proposal waits with the reason on it, and heals [G6, G9, H14]."""
    books.parameters(SetAccountingDateToOpenPeriod="No")
    for number, facts in (("INV-1", {}), ("INV-2", {"TransactionCurrencyId": "GBP"}), ("INV-3", {})):
        propose(books, number, SalesCurrency=facts.get("TransactionCurrencyId", "USD"))
        sale = books.stage("Sales", **facts)
        books.do()
        billed(books, sale, number, AccountingDate="2024-06-30" if number == "INV-1" else "2026-03-31")
    gone = {"FromCurrencyCode": "GBP", "ToCurrencyCode": "USD"}
    kept = books.all("ExchangeRatesCDSEntity", **gone)
    books.delete("ExchangeRatesCDSEntity", **gone)
    summary = post(books)
    assert [number for number, _ in summary.posted] == ["INV-3"]
    assert [(number, why.partition(" for ")[0].partition(" between")[0]) for number, why in summary.failed] == [
        ("INV-1", "No open fiscal period"), ("INV-2", "The exchange rate"),
    ]  # fmt: skip
    assert books.one("ProjInvoiceProposalHeaders", InvoiceProposalId="INV-1")["Message"].startswith("No open fiscal")
    books.parameters(SetAccountingDateToOpenPeriod="Yes")
    for row in kept:
        books.insert(
            "ExchangeRatesCDSEntity", **{name: row[name] for name in row if name not in ("RecId", "RecVersion")}
        )
    assert [number for number, _ in post(books).posted] == ["INV-1", "INV-2"]
    days = {row["InvoiceProposalId"]: str(row["AccountingDate"])[:10] for row in books.all("ProjCustomerInvoices")}
    assert days == {"INV-1": "2025-01-01", "INV-2": "2026-03-31", "INV-3": "2026-03-31"}


def test_a_finished_project_is_not_invoiced(books: Books) -> None:
    """By the documented words; it heals when the project is opened again [C11]."""
    propose(books)
    sale = books.stage("Sales")
    books.do()
    billed(books, sale)
    books.change("ProjectsV2", {"ProjectId": "PRJ-T"}, ProjectStage="Completed")
    ((_, why),) = post(books).failed
    assert "Project stage finished doesn't allow recording in the project" in why
    books.change("ProjectsV2", {"ProjectId": "PRJ-T"}, ProjectStage="InProcess")
    assert [number for number, _ in post(books).posted] == ["INV-1"]


def test_only_the_named_proposals(books: Books) -> None:
    for number in ("INV-1", "INV-2"):
        propose(books, number)
        sale = books.stage("Sales")
        books.do()
        billed(books, sale, number)
    jobs.import_from_staging(books.finance, "USPM", billed=lambda area, number: 1)
    summary = jobs.post_invoice_proposals(books.finance, "USPM", ["INV-2"])
    assert [number for number, _ in summary.posted] == ["INV-2"]
    assert books.one("ProjInvoiceProposalHeaders", InvoiceProposalId="INV-1")["ProposalStatus"] == "Open"


# -- intercompany


def lent(books: Books, amount: str = "1200", **values: Any) -> Row:
    """An inter-organizational sale of GBPM to a project of USPM, posted."""
    row: Row = books.stage(
        "InterOrgSales",
        amount=amount,
        dataAreaId="gbpm",
        ProjectDataAreaId="uspm",
        TransactionCurrencyId="USD",
        TaskNumber="TSK-2",
        Description="On site",
        UnitOfMeasure="hr",
        **values,
    )
    books.do("GBPM")
    return row


def test_a_lending_company_invoices_what_it_lent(books: Books) -> None:
    """1,200 dollars, and the same number on a pending vendor invoice of the borrowing company [K5, K6]."""
    sale, back = lent(books), lent(books, "-200", Quantity=Decimal(-1), UnitPrice=Decimal(200))
    (invoice,) = post_intercompany_invoice(books.finance, "GBPM", "USPM", "2026-03-31")
    facts = ("dataAreaId", "InvoiceType", "BorrowingCompany", "CustomerAccountNumber", "CurrencyCode", "TotalAmount")
    assert [invoice[name] for name in facts] == ["gbpm", "Intercompany", "uspm", "IC-USPM", "USD", 1000]
    lines = books.all("IntercompanyInvoiceLines", InvoiceId=invoice["InvoiceId"])
    told = [(line["ActualsImportId"], line["ProjectId"], line["ActivityNumber"], line["Amount"]) for line in lines]
    assert told == [
        (sale["ActualsImportId"], "PRJ-T", "TSK-2", 1200),
        (back["ActualsImportId"], "PRJ-T", "TSK-2", -200),
    ]
    pounds = books.staged(sale)["AccountingAmount"] + books.staged(back)["AccountingAmount"]
    posted = {
        row["PostingType"]: row["Debit"] - row["Credit"]
        for row in books.all("LedgerEntries", Voucher=invoice["Voucher"])
    }
    assert posted == {
        "IntercompanyReceivable": Decimal("785.24"), "IntercompanyRevenue": Decimal("-785.24"),
        "IntercompanyAccruedRevenueCredit": pounds, "IntercompanyAccruedRevenueDebit": -pounds,
    }  # fmt: skip
    assert balance(books, "IntercompanyAccruedRevenueDebit") == 0
    vendor = books.one("VendorInvoiceHeaders", dataAreaId="uspm", VendorInvoiceNum=invoice["InvoiceId"])
    columns = ("InvoiceAccount", "InvoiceStatus", "CurrencyCode", "IsIntercompany")
    assert [vendor[name] for name in columns] == ["ICV-GBPM", "Pending", "USD", "Yes"]
    charged = books.all("VendorInvoiceLines", dataAreaId="uspm", TableRefId=vendor["TableRefId"])
    assert [(line["ProjId"], line["CategoryType"], line["NetAmount"]) for line in charged] == [
        ("PRJ-T", "Hour", 1200), ("PRJ-T", "Hour", -200),
    ]  # fmt: skip
    with pytest.raises(BusinessRuleViolation, match="nothing to invoice"):
        post_intercompany_invoice(books.finance, "GBPM", "USPM")


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ({"table": "IntercompanyRelations", "HasTradingRelation": "No"}, "has to be set up"),
        ({"table": "FiscalPeriods", "Status": "Closed"}, "No open fiscal period"),
    ],
)
def test_what_an_intercompany_invoice_needs(books: Books, what: dict[str, str], why: str) -> None:
    """Nothing is written on either side, and it heals with the set-up [K4, G6]."""
    lent(books)
    table = what.pop("table")
    before = {row["RecId"]: row for row in books.all(table, dataAreaId="gbpm")}
    books.change(table, {"dataAreaId": "gbpm"}, **what)
    with pytest.raises(BusinessRuleViolation, match=why):
        post_intercompany_invoice(books.finance, "GBPM", "USPM", "2026-03-31")
    assert books.all("ProjCustomerInvoices") == books.all("VendorInvoiceHeaders") == []
    column = next(iter(what))
    for rec_id, row in before.items():
        books.change(table, {"RecId": rec_id}, **{column: row[column]})
    assert len(post_intercompany_invoice(books.finance, "GBPM", "USPM", "2026-03-31")) == 1
