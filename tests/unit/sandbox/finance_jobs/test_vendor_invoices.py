"""Vendor invoices in Finance: [J1 to J3, J7, J9, J15, K5, K8, G18, C11]; each test names its rule."""

from decimal import Decimal
from typing import Any

import pytest

from dualsync_sandbox.business.finance import jobs
from dualsync_sandbox.business.finance.procurement.packing_slips import SlipLine, post_packing_slip
from dualsync_sandbox.business.finance.procurement.vendor_invoices import (
    VendorInvoice,
    VendorLine,
    approve_for_payment,
    create_pending_vendor_invoice,
    file_vendor_invoice,
    post_vendor_invoice,
)
from dualsync_sandbox.errors import BusinessRuleViolation, ReferenceNotFound
from dualsync_sandbox.store import Row
from support.books import Books

VENDOR = "V-000001"
CONSULTING, TRAVEL = "TCN-0000001000-AAAAA", "TCN-0000001002-CCCCC"
EXPORTS = ("VendInvoiceExportsV2", "ProjVendInvoicesExport", "ProjVendInvoiceLinesExportEntity")


def role(books: Books) -> str:
    return str(books.all("ResourceCategoriesShared")[0]["RoleId"])


def line(quantity: str = "2", price: str = "50", **values: Any) -> VendorLine:
    """Site materials for the project PRJ-T."""
    given: dict[str, Any] = {"category": "Site materials", "project_id": "PRJ-T", **values}
    if given.get("item"):
        given["category"] = ""
    return VendorLine(Decimal(quantity), Decimal(price), **given)


def bill(*lines: VendorLine, number: str = "S-1001", **values: Any) -> VendorInvoice:
    return VendorInvoice(VENDOR, number, lines or (line(),), **values)


def post(books: Books, *lines: VendorLine, company: str = "USPM", **values: Any) -> Row:
    return file_vendor_invoice(books.finance, company, bill(*lines, **values))


def entries(books: Books, header: Row) -> list[tuple[object, ...]]:
    found = books.all("LedgerEntries", dataAreaId=header["dataAreaId"], Voucher=header["Voucher"])
    return [(entry["PostingType"], entry["Debit"] - entry["Credit"]) for entry in found]


def exported(books: Books) -> Row:
    """The only exported line."""
    found: Row = books.one("ProjVendInvoiceLinesExportEntity")
    return found


def stage(books: Books, exported_line: Row, kind: str = "Cost", of: str = "material", **values: Any) -> Row:
    """What Dataverse makes of an exported line."""
    amount = str(exported_line["LineAmount"])
    staged: Row = books.stage(
        kind, of, amount, **{"VendInvoiceLineProjTransId": exported_line["ProjTransId"], "ProductNumber": "", **values}
    )
    return staged


def balance(books: Books, company: str = "USPM") -> Decimal:
    found: Decimal = jobs.integration_account_balance(books.finance, company, "procurement")
    return found


# -- entering


def test_an_invoice_is_pending_until_it_is_posted(books: Books) -> None:
    """Nothing is posted and nothing shows before [J1]."""
    header = create_pending_vendor_invoice(books.finance, "USPM", bill(description="Bolts"))
    told = {name: header[name] for name in ("InvoiceStatus", "CurrencyCode", "TransDate", "Description")}
    assert told == {
        "InvoiceStatus": "Pending",
        "CurrencyCode": "USD",
        "TransDate": "2026-03-02T12:00:00Z",
        "Description": "Bolts",
    }
    assert [books.all(table) for table in (*EXPORTS, "LedgerEntries")] == [[], [], [], []]
    posted = post_vendor_invoice(books.finance, "USPM", str(header["TableRefId"]))
    assert (posted["InvoiceStatus"], posted["InvoiceAmount"]) == ("Posted", 100)
    with pytest.raises(BusinessRuleViolation, match="is posted"):
        post_vendor_invoice(books.finance, "USPM", str(header["TableRefId"]))


@pytest.mark.parametrize(
    ("invoice", "why"),
    [
        (VendorInvoice("V-none", "1", (line(),)), "Vendor V-none doesn't exist"),
        (bill(line(category="Gold")), "Procurement category 'Gold' doesn't exist"),
        (bill(line(category="")), "Procurement category '' doesn't exist"),
        (bill(line(item="P-9")), "Item P-9 isn't released in USPM"),
        (bill(line(project_id="PRJ-9")), "Project PRJ-9 doesn't exist in USPM"),
        (bill(line(category="Contract labour")), "A role is needed"),
        (bill(line(company="GBPM", project_id="PRJ-G")), "of type Hour or Expense"),
    ],
)
def test_what_cannot_be_entered(books: Books, invoice: VendorInvoice, why: str) -> None:
    """Its category [J7], and the classes between companies [K8]."""
    with pytest.raises(BusinessRuleViolation, match=why):
        create_pending_vendor_invoice(books.finance, "USPM", invoice)
    assert books.all("VendorInvoiceHeaders") == []


def test_a_vendors_number_is_used_once(books: Books) -> None:
    post(books)
    with pytest.raises(BusinessRuleViolation, match=r"Invoice number S-1001 has been used"):
        post(books)


def test_a_unit_that_finance_does_not_know(books: Books) -> None:
    with pytest.raises(ReferenceNotFound, match="UnitsOfMeasure"):
        post(books, line(unit="TST"))


def test_a_finished_project_takes_no_invoice(books: Books) -> None:
    """Neither when it is entered nor when it is posted [C11]."""
    header = create_pending_vendor_invoice(books.finance, "USPM", bill())
    books.change("ProjectsV2", {"ProjectId": "PRJ-T"}, ProjectStage="Completed")
    message = "Project stage finished doesn't allow recording in the project"
    with pytest.raises(BusinessRuleViolation, match=message):
        post_vendor_invoice(books.finance, "USPM", str(header["TableRefId"]))
    with pytest.raises(BusinessRuleViolation, match=message):
        post(books, number="S-2")


def test_class_follows_the_procurement_category(books: Books) -> None:
    """Hours, expenses, and items by the company's default where nothing is mapped [J7]."""
    post(
        books,
        line(category="Contract labour", role=role(books)),
        line(category="Travel arrangements"),
        line(category="Permits and fees"),
        line(category="Travel arrangements", project_category=f"{TRAVEL}-1", role=role(books)),
    )
    rows = books.all("ProjVendInvoiceLinesExportEntity")
    told = [(row["CategoryType"], row["TransactionCategoryId"], row["PurchUnit"]) for row in rows]
    assert told == [
        ("Hour", CONSULTING, "hr"),
        ("Cost", TRAVEL, "ea"),
        ("Item", CONSULTING, "ea"),
        ("Hour", TRAVEL, "hr"),
    ]
    default = books.one("IntegrationParameters", dataAreaId="uspm")["ItemCategory"]
    assert books.all("VendorInvoiceLines")[2]["ProjCategoryId"] == default == f"{CONSULTING}-3"


def test_goods_without_a_number_are_the_write_in_product(books: Books) -> None:
    """One released product per company [J9]."""
    post(books, line(description="Two bags of cement"))
    row = exported(books)
    assert (row["ItemId"], row["DisplayProductNumber"]) == ("WRITE-IN", "WRITE-IN")
    assert row["Description"] == "Two bags of cement"
    areas = {row["dataAreaId"] for row in books.all("ReleasedProducts", ItemNumber="WRITE-IN")}
    assert areas == {"uspm", "gbpm", "frrt"}


# -- posting


def test_cost_goes_to_the_procurement_account(books: Books) -> None:
    """And both sets show the invoice with its project lines only [J1, J2]."""
    header = post(books, line(), line("1", "30", project_id=""), description="Fittings")
    assert entries(books, header) == [
        ("IntegrationAccount", 100),
        ("PurchaseOfNoProject", 30),
        ("VendorBalance", -130),
    ]
    assert balance(books) == 100
    one, other = books.one("VendInvoiceExportsV2"), books.one("ProjVendInvoicesExport")
    shared = (
        "dataAreaId", "InvoiceAccount", "VendorInvoiceNum", "Description", "DocumentDate", "CurrencyCode", "PurchId",
        "TransDate", "OrderAccount", "TableRefId", "SubcontractInvoice",
    )  # fmt: skip
    assert {name: one[name] for name in shared} == {name: other[name] for name in shared}
    assert (one["InvoiceAccount"], one["VendorInvoiceNum"], one["ProjVendInvoiceStatus"]) == (VENDOR, "S-1001", "None")
    row = exported(books)
    told = {name: value for name, value in row.items() if name not in ("RecId", "RecVersion", "ProjTransId")}
    assert told == {
        "ProjDataAreaId": "uspm",
        "DAreaId": "uspm",
        "VendorInvoiceNum": "S-1001",
        "InvoiceAccount": VENDOR,
        "OrderAccount": VENDOR,
        "ProjSubcontractLineNumber": "",
        "RoleId": "",
        "PurchUnit": "ea",
        "ProjItemTransExists": 0,
        "ProjId": "PRJ-T",
        "QtyReceiveNow": 2,
        "Description": "Site materials",
        "TransDate": "2026-03-02T12:00:00Z",
        "ProjTaskNumber": "",
        "TransactionCategoryId": CONSULTING,
        "CategoryType": "Item",
        "PurchPrice": 50,
        "BillingType": "Chargeable",
        "LineAmount": 100,
        "currencyCode": "USD",
        "ItemId": "WRITE-IN",
        "DisplayProductNumber": "WRITE-IN",
    }
    assert row["ProjTransId"] == "USPM-PV0000001"


def test_an_invoice_without_a_project_stays_at_home(books: Books) -> None:
    """Rule [J1]."""
    post(books, line(project_id=""))
    assert [books.all(table) for table in EXPORTS] == [[], [], []]


def test_tax_that_is_lost_is_cost_and_other_tax_is_not(books: Books) -> None:
    """7.5 per cent that nobody gives back, 20 per cent that the state does [J2]."""
    header = post(books, line(tax_group="ST-STD"))
    assert entries(books, header) == [("IntegrationAccount", Decimal("107.50")), ("VendorBalance", Decimal("-107.50"))]
    assert (exported(books)["LineAmount"], exported(books)["PurchPrice"]) == (Decimal("107.50"), Decimal("53.75"))
    header = post(books, line(project_id="PRJ-G", tax_group="VAT20"), company="GBPM")
    assert entries(books, header) == [("IntegrationAccount", 100), ("SalesTaxReceivable", 20), ("VendorBalance", -120)]
    assert header["SalesTaxAmount"] == 20


@pytest.mark.parametrize("of", ["material", "time", "expense"])
def test_the_journal_clears_the_account(books: Books, of: str) -> None:
    """Whatever the class; the export shows that the cost is there [J2, J7]."""
    post(books, line("3", "33.33"))
    cost = stage(books, exported(books), of=of)
    assert balance(books) == Decimal("99.99")
    books.do()
    assert books.entries(cost) == [("ProjectCost", Decimal("99.99")), ("IntegrationAccount", Decimal("-99.99"))]
    assert balance(books) == 0
    assert exported(books)["ProjItemTransExists"] == 1


def test_a_foreign_invoice_clears_by_its_own_rate(books: Books) -> None:
    """The journal may come in another period than the invoice [J2]."""
    post(books, line("1", "99.99"), currency="EUR", day="2025-12-30")
    row = exported(books)
    stage(books, row, TransactionCurrencyId="EUR", AccountingDate="2026-03-02")
    assert balance(books) != 0
    books.do()
    assert balance(books) == 0


def test_work_that_an_invoice_replaces_goes_back_where_it_was_posted(books: Books) -> None:
    """The reversal names the invoice but no line of it [J4]."""
    reversal = books.stage("Cost", "time", "-100", MatchedVendorInvoice="S-1001")
    books.do()
    assert books.entries(reversal) == [("ProjectCost", -100), ("PayrollAllocation", 100)]


def test_closed_periods(books: Books) -> None:
    """Rule [G6]."""
    books.change("FiscalPeriods", {"dataAreaId": "uspm", "StartDate": "2026-03-01"}, Status="Closed")
    header = post(books)
    (first, *_) = books.all("LedgerEntries", Voucher=header["Voucher"])
    assert first["AccountingDate"] == "2026-04-01T12:00:00Z"
    books.parameters(SetAccountingDateToOpenPeriod="No")
    with pytest.raises(BusinessRuleViolation, match="No open fiscal period for 2026-03-02"):
        post(books, number="S-2")


def test_a_currency_without_a_rate(books: Books) -> None:
    """Rule [G9]."""
    with pytest.raises(BusinessRuleViolation, match="exchange rate between CHF and USD"):
        post(books, currency="CHF")


# -- what is costed at once


def test_stocked_goods_are_costed_at_once(books: Books) -> None:
    """No journal repeats the cost; the sale comes through; a reversal takes the same figures back [J2, G18]."""
    header = post(books, line("2", "42.50", item="P-1002"))
    assert entries(books, header) == [("ProjectCost", 85), ("VendorBalance", -85)]
    assert balance(books) == 0
    row = exported(books)
    assert (row["DisplayProductNumber"], row["ProjItemTransExists"]) == ("P-1002", 1)
    transaction = books.one("ProjectTransactions")
    assert transaction["TransactionId"] == row["ProjTransId"]
    assert (transaction["TransactionOrigin"], transaction["CostAmountAccountingCurrency"]) == (
        "StockedVendorInvoice",
        85,
    )
    cost, sale = stage(books, row), stage(books, row, "Sales")
    back = stage(books, row | {"LineAmount": -row["LineAmount"]})
    imported, _ = books.do()
    assert (imported.lines, imported.already_costed) == (1, 2)
    assert books.staged(cost)["AccountingAmount"] == 85
    assert books.staged(back)["AccountingAmount"] == -85
    assert books.staged(sale)["IsJournalized"] == "Yes"
    kept = books.one("ProjectTransactions", TransactionId=row["ProjTransId"])
    assert kept["ActualsImportId"] == cost["ActualsImportId"]


def test_a_stocked_purchase_needs_a_profile(books: Books) -> None:
    """Rule [D2]."""
    books.delete("CostAndRevenueProfileRules", dataAreaId="uspm")
    with pytest.raises(BusinessRuleViolation, match="profile rule applies to project PRJ-T"):
        post(books, line(item="P-1002"))


def test_another_companys_charge_is_cost_at_once(books: Books) -> None:
    """Same number, project cost on posting, nothing to Dataverse, which has the cost already [K5]."""
    charged = line("10", "120", category="Contract labour", role=role(books))
    invoice = VendorInvoice("ICV-GBPM", "IC-000123", (charged,), intercompany=True)
    pending = create_pending_vendor_invoice(books.finance, "USPM", invoice)
    assert (pending["VendorInvoiceNum"], pending["InvoiceStatus"]) == ("IC-000123", "Pending")
    header = post_vendor_invoice(books.finance, "USPM", str(pending["TableRefId"]))
    assert entries(books, header) == [("ProjectCost", 1200), ("VendorBalance", -1200)]
    transaction = books.one("ProjectTransactions")
    told = [transaction[name] for name in ("TransactionOrigin", "TransactionType", "Amount", "ProjectId")]
    assert told == ["IntercompanyVendorInvoice", "Hour", 1200, "PRJ-T"]
    assert [books.all(table) for table in EXPORTS] == [[], [], []]


def test_a_purchase_for_another_companys_project(books: Books) -> None:
    """Posted where the vendor is, exported with both companies; the lending company's journal clears it [K8]."""
    post(books, line("8", "90", category="Contract labour", role=role(books), company="GBPM", project_id="PRJ-G"))
    row = exported(books)
    assert (row["DAreaId"], row["ProjDataAreaId"], row["ProjId"]) == ("uspm", "gbpm", "PRJ-G")
    assert (balance(books), balance(books, "GBPM")) == (720, 0)
    stage(books, row, "ResourcingUnitCost", "time", ProjectDataAreaId="gbpm", ProjectId="PRJ-G")
    books.do()
    assert (balance(books), balance(books, "GBPM")) == (0, 0)


def test_a_packing_slip_is_costed_at_once(books: Books) -> None:
    """The cost actual of the usage gets no line [J15, G18]."""
    slip = post_packing_slip(books.finance, "USPM", "PRJ-T", [SlipLine("P-1004", Decimal(2), "TSK-2")])
    assert entries(books, slip) == [("ProjectCost", 1196), ("ItemIssue", -1196)]
    taken = books.one("PackingSlipLines")
    assert (taken["CostAmount"], taken["Unit"]) == (1196, "ea")
    number = taken["ProjTransId"]
    cost = books.stage("Cost", "material", "1196", ExternalReference=number)
    books.stage("Sales", "material", "1760", ExternalReference=number)
    imported, _ = books.do()
    assert (imported.lines, imported.already_costed) == (1, 1)
    assert books.staged(cost)["VoucherNumber"] == slip["Voucher"]
    with pytest.raises(BusinessRuleViolation, match="isn't kept in stock"):
        post_packing_slip(books.finance, "USPM", "PRJ-T", [SlipLine("P-1001", Decimal(1))])
    books.delete("CostAndRevenueProfileRules", dataAreaId="uspm")
    with pytest.raises(BusinessRuleViolation, match="profile rule"):
        post_packing_slip(books.finance, "USPM", "PRJ-T", [SlipLine("P-1004", Decimal(1))])


# -- verification and payment


@pytest.mark.parametrize(
    ("company_asks", "clerk_says", "manual"),
    [("No", None, False), ("Yes", None, True), ("No", True, True), ("Yes", False, False)],
)
def test_who_confirms(books: Books, company_asks: str, clerk_says: bool | None, manual: bool) -> None:
    """The company's parameter, which the clerk may override; payment is only held where somebody confirms [J3]."""
    books.parameters(IsManualVerificationRequired=company_asks, IsVendorPaymentBlocked="Yes")
    header = post(books, manual_verification=clerk_says)
    assert books.one("VendInvoiceExportsV2")["SubcontractInvoice"] == ("No" if manual else "Yes")
    assert header["IsApprovedForPayment"] == ("No" if manual else "Yes")


def test_payment_is_held_until_the_confirmation_is_known(books: Books) -> None:
    """What comes back from Dataverse releases it; a draft does not [J3]."""
    header = post(books, manual_verification=True, blocks_payment=True)
    reference = {"TableRefId": header["TableRefId"]}
    for status, approved in (("Draft", "No"), ("InReview", "No"), ("Confirmed", "Yes")):
        books.change("VendInvoiceExportsV2", reference, ProjVendInvoiceStatus=status)
        assert books.one("VendorInvoiceHeaders", **reference)["IsApprovedForPayment"] == approved


def test_an_accountant_may_release_payment(books: Books) -> None:
    """Rule [J3]."""
    pending = create_pending_vendor_invoice(books.finance, "USPM", bill(manual_verification=True, blocks_payment=True))
    reference = str(pending["TableRefId"])
    with pytest.raises(BusinessRuleViolation, match="is not posted"):
        approve_for_payment(books.finance, "USPM", reference)
    post_vendor_invoice(books.finance, "USPM", reference)
    assert approve_for_payment(books.finance, "USPM", reference)["IsApprovedForPayment"] == "Yes"
    with pytest.raises(BusinessRuleViolation, match="doesn't exist in GBPM"):
        approve_for_payment(books.finance, "GBPM", reference)
