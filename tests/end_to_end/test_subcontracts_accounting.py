"""A subcontract from the order to the vendor's invoice, field by field through both systems: [J10 to J14, J4, J6]."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from dualsync_sandbox.business.dataverse.choices import TransactionClass
from dualsync_sandbox.business.dataverse.entries.approvals import cancel_approval
from dualsync_sandbox.business.finance import jobs as finance_jobs
from dualsync_sandbox.business.finance.procurement.purchase_orders import invoice_purchase_order
from dualsync_sandbox.business.finance.procurement.subcontracts import (
    ReceiptSummary,
    generate_subcontract_receipts,
    post_subcontract_receipts,
)
from dualsync_sandbox.business.finance.procurement.vendor_invoices import post_vendor_invoice
from dualsync_sandbox.store import Row
from support.cycles import ACTUALS, Cycle, total
from support.purchases import MATERIAL, TIME, Purchases

pytestmark = pytest.mark.slow

Api = dict[str, Any]

US = {"companies": ["USPM"]}
ORDERS = ("subcontracts", "subcontract_lines", "subcontracts_trigger")
INVOICES = ("vendor_invoices_v2", "vendor_invoice_lines", "vendor_invoices_v2_trigger")
VENDOR = "V-000001"
DRAFT, CONFIRMED, CLOSED = range(192350000, 192350003)
COST, UNBILLED = 192350000, 192350005
ADJUSTED, UNADJUSTABLE = 192350001, 192350002


@dataclass
class Story:
    """Rigging for a project: forty hours and five sensor kits; twelve hours are worked, received and invoiced."""

    project: str
    number: str
    draft: dict[str, Any]
    worked: list[Row]
    confirmed: dict[str, Any] = field(default_factory=dict)
    left: ReceiptSummary | None = None
    receipts: list[Api] = field(default_factory=list)
    received: list[Api] = field(default_factory=list)
    invoiced: Row = field(default_factory=dict)
    owed: Decimal = Decimal(0)
    again: ReceiptSummary | None = None
    actuals: list[Api] = field(default_factory=list)
    order: Api = field(default_factory=dict)


def said(row: Api, wanted: Api) -> Api:
    """The columns of a row that are wanted."""
    return {name: row[name] for name in wanted}


def in_finance(cycle: Cycle, number: str) -> dict[str, Any]:
    """Subcontract and lines, order and order lines as Finance has them."""
    header = cycle.finance.one("SubContractPurchaseOrderHeaders", f"ProjSubContractNumber eq '{number}'")
    of_order = f"PurchaseOrderNumber eq '{header['PurchaseOrderNumber']}'"
    return {
        "header": header,
        "lines": cycle.finance.rows("ProjSubContractPurchaseOrderLines", f"SubcontractNumber eq '{number}'"),
        "order": cycle.finance.one("ProjectPurchaseOrders", of_order),
        "order lines": cycle.finance.rows("ProjectPurchaseOrderLines", of_order),
    }


def subcontract_of(cycle: Cycle, number: str) -> Api:
    return cycle.dataverse.one("msdyn_subcontracts", f"msdyn_subcontractnumber eq '{number}'")


def _books(cycle: Cycle) -> ReceiptSummary:
    """Work to Finance, its journals, and then the receipts."""
    cycle.sync(*ACTUALS, **US)
    cycle.books("USPM")
    summary = generate_subcontract_receipts(cycle.works.finance, "USPM")
    post_subcontract_receipts(cycle.works.finance, "USPM")
    return summary


@pytest.fixture(scope="module")
def story(shared: Cycle) -> Story:
    works, buys = shared.works, Purchases(shared.works)
    project = works.project()
    shared.send(**US)
    vendor = works.one("account", accountnumber=VENDOR, msdyn_company=works.company())["accountid"]
    subcontract = buys.subcontract(project, msdyn_vendor=vendor)
    hours = buys.ordered(subcontract, TIME, "40", "65", msdyn_name="Rigging on site")
    buys.ordered(subcontract, MATERIAL, "5", "79", msdyn_name="Sensor kit", msdyn_requestedstart="2026-03-09")
    number = str(works.one("msdyn_subcontract", msdyn_subcontractid=subcontract)["msdyn_subcontractnumber"])
    shared.sync(*ORDERS, **US)
    draft = in_finance(shared, number)

    # worked on before it is confirmed: the work is journalled, and received once there is an order to receive it on
    worked = buys.worked(project, hours)
    left = _books(shared)
    shared.dataverse.change(f"msdyn_subcontracts({subcontract})", {"statuscode": CONFIRMED})
    shared.sync(*ORDERS, **US)
    told = Story(project, number, draft, worked, in_finance(shared, number), left)

    buys.worked(project, hours, "4", msdyn_date="2026-03-03")
    wrong = buys.worked(project, hours, "6")
    cancel_approval(works.dataverse, TransactionClass.TIME, str(wrong[0]["msdyn_origin"]))
    _books(shared)
    told.receipts = shared.finance.rows("ProductReceipts", f"ProjSubContractNumber eq '{number}'")
    told.received = shared.finance.rows(
        "ProductReceiptLines", f"PurchaseOrderNumber eq '{draft['order']['PurchaseOrderNumber']}'"
    )

    made = invoice_purchase_order(
        works.finance, "USPM", str(draft["order"]["PurchaseOrderNumber"]), "R-77", day="2026-03-05"
    )
    assert made.warnings == ()
    told.invoiced = post_vendor_invoice(works.finance, "USPM", str(made.header["TableRefId"]))
    told.owed = finance_jobs.integration_account_balance(works.finance, "USPM", "procurement")
    shared.sync(*INVOICES, **US)
    told.again = _books(shared)
    shared.dataverse.change(f"msdyn_subcontracts({subcontract})", {"statuscode": CLOSED})
    shared.sync("actuals", "vendor_invoices_v2", *ORDERS, **US)
    told.actuals = shared.actuals(project)
    told.order = in_finance(shared, number)["order"]
    return told


def test_a_draft_is_an_order_that_is_not_confirmed(shared: Cycle, story: Story) -> None:
    """In the vendor's language; Finance finds the procurement category by itself [J10]."""
    draft, project = story.draft, shared.number(story.project)
    wanted: Api = {
        "SubConStatus": "Draft",
        "SubConState": "Active",
        "SubConName": "Rigging",
        "ProjId": project,
        "SubConDate": "2026-03-02T12:00:00Z",
        "OrderAccount": VENDOR,
        "PurchStatus": "Backorder",
    }
    assert said(draft["header"], wanted) == wanted
    wanted = {"DocumentState": "Approved", "OrderAccount": VENDOR, "LanguageId": "en-US", "CurrencyCode": "USD"}
    assert said(draft["order"], wanted) == wanted
    role = shared.works.one("bookableresourcecategory", name="Consultant")["msdyn_resourcecategorynumber"]
    labour = shared.finance.one("ProcurementCategories", "CategoryName eq 'Contract labour' and dataAreaId eq 'uspm'")
    hours, kits = sorted(draft["lines"], key=lambda row: str(row["SubConTransClass"]), reverse=True)
    wanted = {
        "SubConTransClass": "Time",
        "SubConLineType": "QuantityBased",
        "Name": "Rigging on site",
        "ProjId": project,
        "SubConRoleID": role,
        "PurchQty": 40,
        "PurchPrice": 65,
        "PurchUnit": "hr",
        "ItemId": "",
        "PurchId": draft["order"]["PurchaseOrderNumber"],
    }
    assert said(hours, wanted) == wanted
    assert hours["ProcurementCategory"] != 0
    wanted = {"SubConTransClass": "Material", "ItemId": "P-1001", "PurchQty": 5, "PurchPrice": 79, "PurchUnit": "ea"}
    assert said(kits, wanted) == wanted
    assert (kits["DeliveryDate"], kits["ProcurementCategory"]) == ("2026-03-09T12:00:00Z", 0)
    ordered = {row["ProcurementCategoryName"] or row["ItemNumber"]: row for row in draft["order lines"]}
    assert ordered.keys() == {labour["CategoryName"], "P-1001"}
    assert {row["ConfirmedQuantity"] for row in draft["order lines"]} == {0}


def test_confirming_confirms_all_lines_and_the_number_comes_back(shared: Cycle, story: Story) -> None:
    """Rules [J10, R23]."""
    confirmed = story.confirmed
    assert (confirmed["header"]["SubConStatus"], confirmed["order"]["DocumentState"]) == ("Confirmed", "Confirmed")
    assert sorted(row["ConfirmedQuantity"] for row in confirmed["order lines"]) == [5, 40]
    known = subcontract_of(shared, story.number)
    assert known["msdyn_purchaseordernumber"] == confirmed["order"]["PurchaseOrderNumber"]
    assert confirmed["header"]["AccountingDate"][:10] == known["msdyn_dateconfirmed"]


def test_work_names_its_subcontract_line(shared: Cycle, story: Story) -> None:
    """It costs what the vendor charges for it, and goes to the payroll account like other work [J10]."""
    cost, sale = (shared.actual(row) for row in story.worked)
    assert (cost["msdyn_amount"], sale["msdyn_amount"]) == (520, 1600)
    line = shared.works.one("msdyn_subcontractline", msdyn_subcontractlineid=cost["_msdyn_subcontractline_value"])
    for row in (cost, sale):
        assert shared.staged(row)["SubcontractLine"] == line["msdyn_subcontractlinenumber"]
    assert shared.line(cost)["OffsetAccount"] == "600180"


def test_one_receipt_per_accounting_date(shared: Cycle, story: Story) -> None:
    """Work that comes before the order is confirmed waits; what was cancelled is sent back [J12, R24]."""
    assert story.left is not None
    (reason,) = [why for _, why in story.left.left]
    assert "is not confirmed" in reason
    assert {row["ReceiptStatus"] for row in story.receipts} == {"Posted"}
    days = {row["ProductReceiptNumber"]: row["AccountingDate"][:10] for row in story.receipts}
    assert sorted(days.values()) == ["2026-03-02", "2026-03-03"]
    received = sorted((days[row["ProductReceiptNumber"]], row["Quantity"]) for row in story.received)
    assert received == [("2026-03-02", -6), ("2026-03-02", 6), ("2026-03-02", 8), ("2026-03-03", 4)]
    posted = [row for row in story.actuals if row["msdyn_transactiontypecode"] == COST]
    of_work = [row for row in posted if row["_msdyn_vendorinvoice_value"] is None or row["msdyn_quantity"] > 0]
    of_work = [row for row in of_work if row["_msdyn_vendorinvoiceline_value"] is None]
    assert total(story.received, "Quantity") == total(of_work, "msdyn_quantity") == 12
    assert {row["ActualsImportId"] for row in story.received} == {row["msdyn_actualimportid"] for row in of_work}
    assert story.again is not None
    assert (story.again.receipts, story.again.left) == ((), ()), "what the invoice has replaced is received once"


def test_the_invoice_takes_back_what_was_worked(shared: Cycle, story: Story) -> None:
    """From receipt quantities, confirmed and matched by itself; the sales stand [J14, J4, J6, R22]."""
    invoice = shared.dataverse.one("msdyn_projectvendorinvoices", "msdyn_vendorinvoicenumber eq 'R-77'")
    assert (invoice["statuscode"], invoice["msdyn_enableautomaticconfirmation"]) == (192350002, True)
    key = f"_msdyn_vendorinvoice_value eq {invoice['msdyn_projectvendorinvoiceid']}"
    line = shared.dataverse.one("msdyn_projectvendorinvoicelines", key)
    assert (line["msdyn_quantity"], line["msdyn_price"], line["msdyn_subtotal"]) == (12, 65, 780)
    assert line["_msdyn_subcontractline_value"] == story.actuals[0]["_msdyn_subcontractline_value"]

    matched = [row for row in story.actuals if row["_msdyn_vendorinvoice_value"] is not None]
    told = [
        (row["msdyn_amount"], row["msdyn_adjustmentstatus"], row["_msdyn_vendorinvoiceline_value"]) for row in matched
    ]
    assert told == [
        (520, ADJUSTED, None),
        (260, ADJUSTED, None),
        (-520, UNADJUSTABLE, None),
        (-260, UNADJUSTABLE, None),
        (780, None, line["msdyn_projectvendorinvoicelineid"]),
    ]
    assert {row["msdyn_transactiontypecode"] for row in matched} == {COST}
    sales = [
        row["msdyn_amount"]
        for row in story.actuals
        if row["msdyn_transactiontypecode"] == UNBILLED and row["msdyn_adjustmentstatus"] is None
    ]
    assert sales == [1600, 800], "sold once, when it was worked"
    new = matched[-1]["msdyn_actualid"]
    ends = {
        (row["msdyn_transaction1role"], row["msdyn_transaction2role"])
        for row in shared.dataverse.rows("msdyn_transactionconnections", f"_msdyn_transaction1id_value eq {new}")
    }
    assert ends == {("Replacing", "Original")}
    there = [row for row in shared.relationships() if new in (row["Transaction1Id"], row["Transaction2Id"])]
    assert sorted((row["Transaction1Role"], row["Transaction2Role"]) for row in there) == [
        ("Replacing", "Original"),
        ("Replacing", "Original"),
        ("Unbilled", "Cost"),
        ("Unbilled", "Cost"),
    ]


def test_both_accounts_net_out(shared: Cycle, story: Story) -> None:
    """What was worked goes back to payroll, what the vendor charges clears the procurement account [J2, J4]."""
    assert story.owed == 780
    assert finance_jobs.integration_account_balance(shared.works.finance, "USPM", "procurement") == 0
    project = shared.number(story.project)
    transactions = shared.finance.rows("ProjectTransactions", f"ProjectId eq '{project}'")
    assert total(transactions, "CostAmountAccountingCurrency") == 780
    of_project = {row["Voucher"] for row in transactions}
    entries = [row for row in shared.finance.rows("LedgerEntries") if row["Voucher"] in of_project]
    payroll = [row for row in entries if row["PostingType"] == "PayrollAllocation" and row["dataAreaId"] == "uspm"]
    assert total(payroll, "Debit") - total(payroll, "Credit") == 0
    for row in story.actuals:
        assert row["msdyn_isjournalized"] is True
        assert row["msdyn_accountingamount"] == row["msdyn_amount"]


def test_closing_it_finalizes_the_order(shared: Cycle, story: Story) -> None:
    """Rule [J11]."""
    assert (story.order["DocumentState"], story.order["PurchStatus"]) == ("Finalized", "Backorder")
    header = in_finance(shared, story.number)
    assert header["header"]["SubConStatus"] == "Closed"
    hours = next(row for row in header["order lines"] if row["Quantity"] == 40)
    assert (hours["ReceivedQuantity"], hours["InvoicedQuantity"]) == (12, 12)


def test_then_it_is_quiet(shared: Cycle, story: Story) -> None:
    assert story.order["ProjSubContractNumber"] == story.number
    shared.world.forget_requests()
    shared.sync(*ORDERS, *INVOICES, *ACTUALS, mode="full", **US)
    assert shared.world.writes() == []
    assert shared.world.open_rows() == []
