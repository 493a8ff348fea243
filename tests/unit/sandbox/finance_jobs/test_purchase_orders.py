"""Purchase orders in Finance, of projects and of subcontracts: [J8, J10 to J14]; each test names its rule."""

from decimal import Decimal
from typing import Any

import pytest

from dualsync_sandbox.business.finance import jobs
from dualsync_sandbox.business.finance.procurement.purchase_orders import (
    OrderLine,
    confirm_purchase_order,
    create_purchase_order,
    invoice_purchase_order,
    receive_purchase_order,
)
from dualsync_sandbox.business.finance.procurement.subcontracts import (
    generate_subcontract_receipts,
    post_subcontract_receipts,
)
from dualsync_sandbox.business.finance.procurement.vendor_invoices import post_vendor_invoice
from dualsync_sandbox.errors import BusinessRuleViolation, ReferenceNotFound
from dualsync_sandbox.store import Row
from support.books import Books

VENDOR = "V-000001"
CONSULTING, TRAVEL = "TCN-0000001000-AAAAA", "TCN-0000001002-CCCCC"


def role(books: Books) -> str:
    return str(books.all("ResourceCategoriesShared")[0]["RoleId"])


# -- project purchase orders


def test_orders_and_receipts_cost_nothing(books: Books) -> None:
    """Neither makes a project transaction or a ledger entry; the invoice costs [J8]."""
    lines = [OrderLine(Decimal(4), Decimal(25), "Site materials", project_id="PRJ-T")]
    order = create_purchase_order(books.finance, "USPM", VENDOR, lines)
    number = str(order["PurchaseOrderNumber"])
    assert (order["DocumentState"], order["LanguageId"], order["CurrencyCode"]) == ("Approved", "en-US", "USD")
    with pytest.raises(BusinessRuleViolation, match="is not confirmed"):
        receive_purchase_order(books.finance, "USPM", number)
    assert confirm_purchase_order(books.finance, "USPM", number)["DocumentState"] == "Confirmed"
    receive_purchase_order(books.finance, "USPM", number, {1: Decimal(3)})
    assert books.one("ProjectPurchaseOrderLines")["ReceivedQuantity"] == 3
    receive_purchase_order(books.finance, "USPM", number)
    assert books.one("ProjectPurchaseOrders")["PurchStatus"] == "Received"
    assert [row["Quantity"] for row in books.all("ProductReceiptLines")] == [3, 1]
    assert books.all("ProjectTransactions") == books.all("LedgerEntries") == []

    made = invoice_purchase_order(books.finance, "USPM", number, "S-1")
    assert made.warnings == ()
    header = post_vendor_invoice(books.finance, "USPM", str(made.header["TableRefId"]))
    assert header["PurchId"] == number == books.one("VendInvoiceExportsV2")["PurchId"]
    assert jobs.integration_account_balance(books.finance, "USPM", "procurement") == 100
    assert books.one("ProjectPurchaseOrders")["PurchStatus"] == "Invoiced"
    with pytest.raises(BusinessRuleViolation, match="Nothing of purchase order"):
        invoice_purchase_order(books.finance, "USPM", number, "S-2")


def test_an_order_needs_a_vendor_and_a_project(books: Books) -> None:
    with pytest.raises(BusinessRuleViolation, match="Vendor V-none doesn't exist"):
        create_purchase_order(books.finance, "USPM", "V-none", [])
    lines = [OrderLine(Decimal(1), Decimal(1), "Site materials", project_id="PRJ-9")]
    with pytest.raises(BusinessRuleViolation, match="Project PRJ-9 doesn't exist"):
        create_purchase_order(books.finance, "USPM", VENDOR, lines)
    with pytest.raises(BusinessRuleViolation, match="Purchase order PO-9 doesn't exist"):
        confirm_purchase_order(books.finance, "USPM", "PO-9")


# -- subcontracts


def subcontract(books: Books, number: str = "SUB-1", **values: object) -> Row:
    given = {"dataAreaId": "uspm", "ProjSubContractNumber": number, "OrderAccount": VENDOR, "ProjId": "PRJ-T"}
    found: Row = books.insert("SubContractPurchaseOrderHeaders", **given | {"SubConName": "Riggers"} | values)
    return found


def line(books: Books, number: str = "SCL-1", of: str = "Time", **values: object) -> Row:
    given: dict[str, Any] = {
        "dataAreaId": "uspm",
        "ProjSubContractLineNumber": number,
        "SubcontractNumber": "SUB-1",
        "SubConTransClass": of,
        "Name": "Rigging",
        "ProjId": "PRJ-T",
        "PurchQty": Decimal(40),
        "PurchPrice": Decimal(65),
        "PurchUnit": "hr",
        "SubConRoleID": role(books) if of == "Time" else "",
        "SubConTransCategory": TRAVEL if of == "Expense" else "",
    }
    found: Row = books.insert("ProjSubContractPurchaseOrderLines", **given | values)
    return found


def confirm(books: Books, status: str = "Confirmed") -> None:
    changes = {"SubConStatus": status, "AccountingDate": "2026-03-02"}
    books.change("SubContractPurchaseOrderHeaders", {"ProjSubContractNumber": "SUB-1"}, **changes)


def order(books: Books) -> Row:
    found: Row = books.one("ProjectPurchaseOrders")
    return found


def test_a_subcontract_is_a_purchase_order(books: Books) -> None:
    """In the vendor's language; the number and how far it is come back [J10]."""
    header = subcontract(books, SubConDate="2026-02-20")
    made = order(books)
    assert (header["PurchaseOrderNumber"], header["PurchStatus"]) == (made["PurchaseOrderNumber"], "Backorder")
    told = [made[name] for name in ("OrderAccount", "LanguageId", "DocumentState", "ProjSubContractNumber")]
    assert told == [VENDOR, "en-US", "Approved", "SUB-1"]
    assert made["OrderDate"] == "2026-02-20T12:00:00Z"


def test_an_order_needs_the_vendors_language(books: Books) -> None:
    """Rule [J10]."""
    books.change("VendorsV2", {"dataAreaId": "uspm", "VendorAccountNumber": VENDOR}, LanguageId="")
    with pytest.raises(BusinessRuleViolation, match="Field 'Language' must be filled in for vendor V-000001"):
        subcontract(books)
    with pytest.raises(ReferenceNotFound, match="VendorsV2"):
        subcontract(books, OrderAccount="V-none")
    assert books.all("ProjectPurchaseOrders") == []


def test_every_line_is_a_line_of_the_order(books: Books) -> None:
    """Finance finds the procurement category; changes follow [J10]."""
    subcontract(books)
    hours, travel = line(books), line(books, "SCL-2", "Expense", PurchUnit="ea")
    goods = line(books, "SCL-3", "Material", ItemId="P-1002", PurchUnit="ea")
    other = line(books, "SCL-4", "Material", SubConWriteInName="Cement", PurchUnit="ea")
    nodes = {row["CategoryName"]: row["RecId"] for row in books.all("ProcurementCategories", dataAreaId="uspm")}
    found = [row["ProcurementCategory"] for row in (hours, travel, goods, other)]
    assert found == [nodes["Contract labour"], nodes["Travel arrangements"], 0, 0]
    rows = books.all("ProjectPurchaseOrderLines")
    columns = ("LineNumber", "ProcurementCategoryName", "ItemNumber", "ProjectCategoryId", "LineDescription")
    assert [tuple(row[name] for name in columns) for row in rows] == [
        (1, "Contract labour", "", f"{CONSULTING}-1", "Rigging"),
        (2, "Travel arrangements", "", f"{TRAVEL}-4", "Rigging"),
        (3, "", "P-1002", f"{CONSULTING}-3", "Rigging"),
        (4, "", "WRITE-IN", f"{CONSULTING}-3", "Cement"),
    ]
    assert {row["PurchId"] for row in (hours, travel, goods, other)} == {order(books)["PurchaseOrderNumber"]}
    key = {"ProjSubContractLineNumber": "SCL-1"}
    books.change("ProjSubContractPurchaseOrderLines", key, PurchQty=Decimal(32))
    assert books.one("ProjectPurchaseOrderLines", **key)["Quantity"] == 32
    books.delete("ProjSubContractPurchaseOrderLines", ProjSubContractLineNumber="SCL-4")
    assert len(books.all("ProjectPurchaseOrderLines")) == 3
    books.delete("SubContractPurchaseOrderHeaders", ProjSubContractNumber="SUB-1")
    assert books.all("ProjectPurchaseOrders") == books.all("ProjectPurchaseOrderLines") == []


def test_a_line_needs_its_mapping(books: Books) -> None:
    """By transaction type, with role or transaction category where set up so; materials are released products [J10]."""
    subcontract(books)
    node = {"ProcurementCategoryName": "Permits and fees"}
    books.insert(
        "SubcontractCategories", dataAreaId="uspm", RecordNumber=9, TransactionType="Hour", RoleId=role(books), **node
    )
    line(books)
    assert books.one("ProjectPurchaseOrderLines")["ProcurementCategoryName"] == "Permits and fees"
    books.delete("SubcontractCategories", dataAreaId="uspm")
    with pytest.raises(BusinessRuleViolation, match="set up for transaction type Hour"):
        line(books, "SCL-2")
    with pytest.raises(BusinessRuleViolation, match="Item P-9 isn't released"):
        line(books, "SCL-3", "Material", ItemId="P-9")
    with pytest.raises(ReferenceNotFound, match="SubContractPurchaseOrderHeaders"):
        line(books, "SCL-4", "Material", SubcontractNumber="SUB-9")


def test_confirming_takes_the_lines_of_that_moment(books: Books) -> None:
    """The trap: what comes later is not confirmed, and nothing is received on it [J10]."""
    subcontract(books)
    line(books)
    confirm(books)
    line(books, "SCL-2")
    told = [(row["Quantity"], row["ConfirmedQuantity"]) for row in books.all("ProjectPurchaseOrderLines")]
    assert told == [(40, 40), (40, 0)]
    work(books, "SCL-2")
    books.do()
    summary = generate_subcontract_receipts(books.finance, "USPM")
    assert summary.receipts == ()
    assert summary.left[0][1].startswith("Line 2 of purchase order")
    confirm(books)
    assert books.all("ProjectPurchaseOrderLines")[1]["ConfirmedQuantity"] == 0, "confirmed is confirmed"
    confirm(books, "Draft")
    assert order(books)["DocumentState"] == "Approved"
    assert {row["ConfirmedQuantity"] for row in books.all("ProjectPurchaseOrderLines")} == {0}
    confirm(books)
    assert {row["ConfirmedQuantity"] for row in books.all("ProjectPurchaseOrderLines")} == {40}


def test_a_header_that_comes_confirmed_confirms_nothing(books: Books) -> None:
    """The order is there, its lines are not yet [J10]."""
    subcontract(books, SubConStatus="Confirmed", AccountingDate="2026-03-02")
    line(books)
    assert order(books)["DocumentState"] == "Confirmed"
    assert books.one("ProjectPurchaseOrderLines")["ConfirmedQuantity"] == 0


@pytest.mark.parametrize(
    ("status", "state", "purchase"), [("Closed", "Finalized", "Backorder"), ("Canceled", "Confirmed", "Canceled")]
)
def test_the_order_ends_with_its_subcontract(books: Books, status: str, state: str, purchase: str) -> None:
    """Rule [J11]."""
    subcontract(books)
    confirm(books)
    confirm(books, status)
    assert (order(books)["DocumentState"], order(books)["PurchStatus"]) == (state, purchase)
    assert books.one("SubContractPurchaseOrderHeaders")["PurchStatus"] == purchase


def test_what_is_closed_was_confirmed(books: Books) -> None:
    """Also where Finance learns of both at once, so that late work is still received [J11]."""
    subcontract(books)
    line(books)
    confirm(books, "Closed")
    assert order(books)["DocumentState"] == "Finalized"
    work(books)
    books.do()
    assert generate_subcontract_receipts(books.finance, "USPM").lines == 1


def test_the_order_is_dataverses(books: Books) -> None:
    """Callers from outside change no subcontract order, and nobody confirms or receives it by hand [J10, J12]."""
    subcontract(books)
    line(books)
    number = str(order(books)["PurchaseOrderNumber"])
    for by_hand in (confirm_purchase_order, receive_purchase_order):
        with pytest.raises(BusinessRuleViolation, match="by hand"):
            by_hand(books.finance, "USPM", number)
    rows = {"ProjectPurchaseOrders": order(books), "ProjectPurchaseOrderLines": books.one("ProjectPurchaseOrderLines")}
    for table, row in rows.items():
        with (
            pytest.raises(BusinessRuleViolation, match="only be changed in Dataverse"),
            books.finance.transaction(outside=True) as tx,
        ):
            tx.update(table, row["RecId"], {"PurchStatus": "Received"})
    other = create_purchase_order(books.finance, "USPM", VENDOR, [])
    with books.finance.transaction(outside=True) as tx:
        tx.update("ProjectPurchaseOrders", other["RecId"], {"LanguageId": "de"})


# -- receipts and invoices


def work(books: Books, on: str = "SCL-1", hours: str = "8", day: str = "2026-03-02", **values: Any) -> Row:
    """Hours of the subcontractor, staged."""
    amount = str(Decimal(hours) * 65)
    found: Row = books.stage(
        "Cost",
        "time",
        amount,
        SubcontractLine=on,
        **{"Quantity": Decimal(hours), "DocumentDate": day, "AccountingDate": day, **values},
    )
    return found


@pytest.fixture
def ordered(books: Books) -> Books:
    """A confirmed subcontract with a line of forty hours."""
    subcontract(books)
    line(books)
    confirm(books)
    return books


def test_one_receipt_per_accounting_date(ordered: Books) -> None:
    """Of what the journals have posted, and once [J12, R24]."""
    first, second = work(ordered), work(ordered, hours="4")
    later = work(ordered, hours="6", day="2026-03-03")
    ordered.stage("Cost", "time")
    ordered.stage("Sales", "time", SubcontractLine="SCL-1")
    assert generate_subcontract_receipts(ordered.finance, "USPM").receipts == (), "not posted yet"
    ordered.do()
    summary = generate_subcontract_receipts(ordered.finance, "USPM")
    assert (len(summary.receipts), summary.lines, summary.left) == (2, 3, ())
    assert summary.as_dict()["company"] == "uspm"
    receipts = {row["ProductReceiptNumber"]: row for row in ordered.all("ProductReceipts")}
    days = [receipts[number]["AccountingDate"][:10] for number in summary.receipts]
    assert days == ["2026-03-02", "2026-03-03"]
    lines = {row["ActualsImportId"]: row for row in ordered.all("ProductReceiptLines")}
    assert {row["ActualsImportId"] for row in (first, second, later)} == set(lines)
    assert lines[later["ActualsImportId"]]["Quantity"] == 6
    assert {row["ReceiptStatus"] for row in receipts.values()} == {"Generated"}
    assert ordered.one("ProjectPurchaseOrderLines")["ReceivedQuantity"] == 0
    assert generate_subcontract_receipts(ordered.finance, "USPM").receipts == ()

    posted = post_subcontract_receipts(ordered.finance, "USPM")
    assert (posted.receipts, posted.lines) == (summary.receipts, 3)
    assert ordered.one("ProjectPurchaseOrderLines")["ReceivedQuantity"] == 18
    assert post_subcontract_receipts(ordered.finance, "USPM").receipts == ()
    assert [row["Voucher"] for row in ordered.all("ProductReceipts")] == ["", ""]


def test_an_approval_that_is_cancelled_is_sent_back(ordered: Books) -> None:
    """The reversal is received as a negative quantity [J12, R24]."""
    work(ordered)
    work(ordered, hours="-8", AdjustmentStatus=192350002)
    ordered.do()
    generate_subcontract_receipts(ordered.finance, "USPM")
    post_subcontract_receipts(ordered.finance, "USPM")
    assert sorted(row["Quantity"] for row in ordered.all("ProductReceiptLines")) == [-8, 8]
    assert ordered.one("ProjectPurchaseOrderLines")["ReceivedQuantity"] == 0


def test_what_an_invoice_replaces_is_received_once(ordered: Books) -> None:
    """The entry is received; its reversal and the cost of the invoice are not [J14, R24]."""
    work(ordered, AdjustmentStatus=192350001, MatchedVendorInvoice="S-1")
    work(ordered, hours="-8", AdjustmentStatus=192350002, MatchedVendorInvoice="S-1")
    work(ordered, MatchedVendorInvoice="S-1", VendInvoiceLineProjTransId="USPM-PV1")
    ordered.do()
    generate_subcontract_receipts(ordered.finance, "USPM")
    assert [row["Quantity"] for row in ordered.all("ProductReceiptLines")] == [8]


def receive(books: Books, hours: str = "40") -> None:
    work(books, hours=hours)
    books.do()
    generate_subcontract_receipts(books.finance, "USPM")
    post_subcontract_receipts(books.finance, "USPM")


def test_an_invoice_from_receipt_quantities(ordered: Books) -> None:
    """It names the subcontract line; the order follows, and shows it to Dataverse [J14]."""
    receive(ordered)
    assert ordered.one("SubContractPurchaseOrderHeaders")["PurchStatus"] == "Received"
    made = invoice_purchase_order(ordered.finance, "USPM", str(order(ordered)["PurchaseOrderNumber"]), "S-7")
    assert made.warnings == ()
    post_vendor_invoice(ordered.finance, "USPM", str(made.header["TableRefId"]))
    row = ordered.one("ProjVendInvoiceLinesExportEntity")
    told = {name: row[name] for name in ("ProjSubcontractLineNumber", "QtyReceiveNow", "LineAmount", "CategoryType")}
    assert told == {
        "ProjSubcontractLineNumber": "SCL-1",
        "QtyReceiveNow": 40,
        "LineAmount": 2600,
        "CategoryType": "Hour",
    }
    assert (row["RoleId"], row["TransactionCategoryId"]) == (role(ordered), ""), "as the subcontract line says it"
    assert ordered.one("VendInvoiceExportsV2")["SubcontractInvoice"] == "Yes"
    for table in ("SubContractPurchaseOrderHeaders", "ProjSubContractPurchaseOrderLines"):
        assert ordered.one(table)["PurchStatus"] == "Invoiced"
    with pytest.raises(BusinessRuleViolation, match="received or invoiced"):
        ordered.delete("ProjSubContractPurchaseOrderLines", ProjSubContractLineNumber="SCL-1")


def test_another_quantity_is_only_warned_about(ordered: Books) -> None:
    """Rules [J14, R25]."""
    receive(ordered, "10")
    number = str(order(ordered)["PurchaseOrderNumber"])
    made = invoice_purchase_order(ordered.finance, "USPM", number, "S-8", quantities={1: Decimal("12.5")})
    assert made.warnings == ("Line 1: 12.5 invoiced, 10 received.",)
    post_vendor_invoice(ordered.finance, "USPM", str(made.header["TableRefId"]))
    assert ordered.one("ProjectPurchaseOrderLines")["InvoicedQuantity"] == Decimal("12.5")


def test_receipts_that_go_to_the_ledger(ordered: Books) -> None:
    """Then the work itself never does; the invoice takes the accrual back, and its own cost is posted [J13]."""
    ordered.parameters(PostReceiptsToLedger="Yes")
    entry = work(ordered, hours="10")
    other = ordered.stage("Cost", "time")
    ordered.do()
    assert ordered.entries(entry) == []
    assert ordered.one("ProjectTransactions", ActualsImportId=entry["ActualsImportId"])["Amount"] == 650
    assert ordered.entries(other) != [], "other work does"
    generate_subcontract_receipts(ordered.finance, "USPM")
    post_subcontract_receipts(ordered.finance, "USPM")
    (receipt,) = ordered.all("ProductReceipts")
    assert sides(ordered, receipt["Voucher"]) == [("PurchaseExpenditureUninvoiced", 650), ("PurchaseAccrual", -650)]

    number = str(order(ordered)["PurchaseOrderNumber"])
    made = invoice_purchase_order(ordered.finance, "USPM", number, "S-9", quantities={1: Decimal(12)})
    post_vendor_invoice(ordered.finance, "USPM", str(made.header["TableRefId"]))
    accrued = [row for row in ordered.all("LedgerEntries") if row["PostingType"] == "PurchaseAccrual"]
    assert sum(row["Debit"] - row["Credit"] for row in accrued) == 0, "as much as was received, not as invoiced"
    billed = work(ordered, hours="12", VendInvoiceLineProjTransId="USPM-PV0000001", MatchedVendorInvoice="S-9")
    ordered.do()
    assert ordered.entries(billed) == [("ProjectCost", 780), ("IntegrationAccount", -780)]
    assert jobs.integration_account_balance(ordered.finance, "USPM", "procurement") == 0


def sides(books: Books, voucher: object) -> list[tuple[object, ...]]:
    found = books.all("LedgerEntries", dataAreaId="uspm", Voucher=voucher)
    return [(entry["PostingType"], entry["Debit"] - entry["Credit"]) for entry in found]
