"""Subcontracts in Finance: each is a purchase order [J10, J11], received by jobs [J12], invoiced from receipts [J14].

The order is created with its header, in the vendor's language, without which there is none. Confirming the subcontract
confirms the order with the lines that are there at that moment; lines that come later stay unconfirmed, and nothing can
be received on them. Reopening takes the confirmation back. Assumed: cancelling sets the order's status to canceled,
closing finalizes it; work that a vendor invoice has replaced is received once, for the work.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from dualsync_sandbox.business.finance.journals.staging import LINES, STAGING
from dualsync_sandbox.business.finance.ledger.exchange import NO_DATE, exact
from dualsync_sandbox.business.finance.procurement.purchase_orders import (
    ORDER_LINES,
    ORDERS,
    RECEIPTS,
    add_to_receipt,
    confirm_order,
    confirmed,
    new_order,
    new_receipt,
    order_of,
    post_receipt,
    reopen_order,
)
from dualsync_sandbox.business.finance.setup.categories import project_category
from dualsync_sandbox.business.finance.setup.procurement import CATEGORIES, released, subcontract_category
from dualsync_sandbox.business.finance.setup.settings import CompanySettings, area_of, day_of, text
from dualsync_sandbox.errors import BusinessRuleViolation

if TYPE_CHECKING:
    from dualsync_sandbox.store import Event, Row, Store, Tx

SUBCONTRACTS, SUBCONTRACT_LINES = "SubContractPurchaseOrderHeaders", "ProjSubContractPurchaseOrderLines"
_UNADJUSTABLE = 192350002
_KINDS = {"Time": ("Hour", "Hour"), "Expense": ("Expense", "Cost")}
"""Class of a subcontract line to the transaction type it is mapped by, and to its ``ProjCategoryType``."""


@dataclass(frozen=True, slots=True)
class ReceiptSummary:
    """What a run of a receipt job did.

    Attributes:
        company: ``dataAreaId``.
        receipts: Numbers of the receipts made or posted.
        lines: How many lines they have.
        left: Actuals import id and reason of the work that could not be received.
    """

    company: str
    receipts: tuple[str, ...]
    lines: int
    left: tuple[tuple[str, str], ...] = ()

    def as_dict(self) -> dict[str, object]:
        """Return the summary as plain values for JSON."""
        return asdict(self)


# -- the order behind a subcontract


def _start(tx: Tx, event: Event) -> None:
    """The order comes with the subcontract; its language is the vendor's and must be known [J10]."""
    subcontract = event.after
    assert subcontract is not None
    area = area_of(str(subcontract["dataAreaId"]))
    account = subcontract["OrderAccount"]
    vendor = tx.find_one("VendorsV2", dataAreaId=area, VendorAccountNumber=account)
    if vendor is None:
        return  # the relation says so
    if not vendor["LanguageId"]:
        raise BusinessRuleViolation(SUBCONTRACTS, f"Field 'Language' must be filled in for vendor {account}.")
    day = day_of(subcontract["SubConDate"])
    order = new_order(
        tx,
        CompanySettings.of(tx, area),
        vendor,
        tx.store.clock.now().date().isoformat() if day == NO_DATE else day,
        subcontract["ProjSubContractNumber"],
    )
    subcontract["PurchaseOrderNumber"] = order["PurchaseOrderNumber"]
    subcontract["PurchStatus"] = order["PurchStatus"]


def _follow(tx: Tx, event: Event) -> None:
    """The order's state follows that of its subcontract [J11]."""
    before, subcontract = event.before, event.after
    assert subcontract is not None
    order = order_of(tx, str(subcontract["dataAreaId"]), subcontract["PurchaseOrderNumber"])
    if before is not None and before["OrderAccount"] != subcontract["OrderAccount"]:
        tx.update(ORDERS, order["RecId"], {"OrderAccount": subcontract["OrderAccount"]})
    status = subcontract["SubConStatus"]
    if status == ("Draft" if before is None else before["SubConStatus"]):
        return
    if status == "Confirmed":
        confirm_order(tx, order, subcontract["AccountingDate"])
    elif status == "Draft":
        reopen_order(tx, order)
    elif status == "Closed":
        if not confirmed(order):  # nobody saw it confirmed
            confirm_order(tx, order, subcontract["AccountingDate"])
        tx.update(ORDERS, order["RecId"], {"DocumentState": "Finalized"})
    else:
        tx.update(ORDERS, order["RecId"], {"PurchStatus": "Canceled"})


def _remove_order(tx: Tx, event: Event) -> None:
    """A subcontract in draft may be deleted; its order goes with it unless something was received on it."""
    subcontract = event.before
    assert subcontract is not None
    order = order_of(tx, str(subcontract["dataAreaId"]), subcontract["PurchaseOrderNumber"])
    tx.delete(ORDERS, order["RecId"])


def _complete_line(tx: Tx, event: Event) -> None:
    """Finance finds the procurement category of a line by itself; materials are released products [J10]."""
    line = event.after
    assert line is not None
    area = area_of(str(line["dataAreaId"]))
    key = {"dataAreaId": area, "ProjSubContractNumber": line["SubcontractNumber"]}
    subcontract = tx.find_one(SUBCONTRACTS, **key)
    if subcontract is None:
        return  # the relation says so
    if event.before is None:
        line |= {"PurchId": subcontract["PurchaseOrderNumber"], "PurchStatus": "Backorder"}
    if line["SubConTransClass"] == "Material":
        settings = CompanySettings.of(tx, area)
        released(tx, area, text(line, "ItemId") or settings.write_in)
        line["ProcurementCategory"] = 0
        return
    found = _mapping(tx, area, line)
    node = tx.find_one(CATEGORIES, dataAreaId=area, CategoryName=found["ProcurementCategoryName"])
    assert node is not None
    line["ProcurementCategory"] = node["RecId"]


def _mapping(tx: Tx, area: str, line: Row) -> Row:
    kind, _ = _KINDS[str(line["SubConTransClass"])]
    found = subcontract_category(tx, area, kind, text(line, "SubConRoleID"), text(line, "SubConTransCategory"))
    if found is None:
        raise BusinessRuleViolation(
            SUBCONTRACT_LINES, f"No project subcontract category is set up for transaction type {kind}."
        )
    return found


def _follow_line(tx: Tx, event: Event) -> None:
    """Each subcontract line is a line of the order."""
    line = event.after
    assert line is not None
    area = str(line["dataAreaId"])
    values = _order_line(tx, area, line)
    order_line = tx.find_one(ORDER_LINES, dataAreaId=area, ProjSubContractLineNumber=line["ProjSubContractLineNumber"])
    if order_line is None:
        key = {"dataAreaId": area, "PurchaseOrderNumber": line["PurchId"]}
        numbers = [exact(row["LineNumber"]) for row in tx.find(ORDER_LINES, **key)]
        place = int(max(numbers, default=exact(0))) + 1
        named = {"ProjSubContractLineNumber": line["ProjSubContractLineNumber"], "PurchStatus": "Backorder"}
        tx.insert(ORDER_LINES, key | named | values | {"LineNumber": place})
    elif any(order_line[name] != value for name, value in values.items()):
        tx.update(ORDER_LINES, order_line["RecId"], values)


def _order_line(tx: Tx, area: str, line: Row) -> Row:
    settings = CompanySettings.of(tx, area)
    transaction_category = text(line, "SubConTransCategory")
    if line["SubConTransClass"] == "Material":
        kind, node, mapped = "Item", "", ""
        item = text(line, "ItemId") or settings.write_in
    else:
        mapping = _mapping(tx, area, line)
        kind, item = _KINDS[str(line["SubConTransClass"])][1], ""
        node, mapped = text(mapping, "ProcurementCategoryName"), text(mapping, "ProjectCategoryId")
    default = mapped or settings.categories[kind]
    return {
        "ProjectId": line["ProjId"],
        "ActivityNumber": line["ActivityNumber"],
        "ProcurementCategoryName": node,
        "ItemNumber": item,
        "ProjectCategoryId": project_category(tx, area, transaction_category, kind, default) or default,
        "RoleId": line["SubConRoleID"],
        "TransactionCategoryId": transaction_category,
        "LineDescription": line["SubConWriteInName"] or line["Name"],
        "Quantity": line["PurchQty"],
        "Unit": line["PurchUnit"],
        "UnitPrice": line["PurchPrice"],
        "RequestedDate": line["DeliveryDate"],
    }


def _remove_line(tx: Tx, event: Event) -> None:
    line = event.before
    assert line is not None
    key = {"dataAreaId": line["dataAreaId"], "ProjSubContractLineNumber": line["ProjSubContractLineNumber"]}
    for order_line in tx.find(ORDER_LINES, **key):
        tx.delete(ORDER_LINES, order_line["RecId"])


def _keep_received(_: Tx, event: Event) -> None:
    line = event.before
    assert line is not None
    if exact(line["ReceivedQuantity"]) or exact(line["InvoicedQuantity"]):
        raise BusinessRuleViolation(ORDER_LINES, "The line is received or invoiced and cannot be deleted.")


def _refuse_by_hand(tx: Tx, event: Event) -> None:
    """Orders of subcontracts are neither created nor edited in Finance [J10]."""
    order = event.after or event.before
    assert order is not None
    number = order.get("ProjSubContractNumber") or order.get("ProjSubContractLineNumber")
    if tx.from_outside and number:
        raise BusinessRuleViolation(event.table, "Subcontract purchase orders can only be changed in Dataverse.")


def _mirror(tx: Tx, event: Event) -> None:
    """The subcontract shows how far its order is."""
    order = event.after
    assert order is not None
    if not event.changed("PurchStatus"):
        return
    table, ours = (SUBCONTRACTS, "ProjSubContractNumber")
    if event.table == ORDER_LINES:
        table, ours = SUBCONTRACT_LINES, "ProjSubContractLineNumber"
    found = tx.find_one(table, **{"dataAreaId": order["dataAreaId"], ours: order[ours]}) if order[ours] else None
    if found is not None:
        tx.update(table, found["RecId"], {"PurchStatus": order["PurchStatus"]})


# -- receipts


def generate_subcontract_receipts(finance: Store, company: str) -> ReceiptSummary:
    """Make receipts of the subcontracted work whose journals are posted: one per order and accounting date [J12]."""
    with finance.transaction() as tx:
        area = area_of(company)
        made, lines, left = [], 0, []
        groups: dict[tuple[str, str], list[tuple[Row, Row]]] = defaultdict(list)
        for journal_line, staged in _to_receive(tx, area):
            key = {"dataAreaId": area, "ProjSubContractLineNumber": staged["SubcontractLine"]}
            ordered = tx.find_one(ORDER_LINES, **key)
            reason = _why_not(tx, area, ordered)
            if ordered is None or reason:
                left.append((str(staged["ActualsImportId"]), reason))
                continue
            place = str(ordered["PurchaseOrderNumber"]), day_of(journal_line["AccountingDate"])
            groups[place].append((ordered, staged))
        for (number, day), work in sorted(groups.items(), key=lambda group: group[0]):
            receipt = new_receipt(tx, order_of(tx, area, number), day)
            made.append(str(receipt["ProductReceiptNumber"]))
            for line_number, (ordered, staged) in enumerate(work, start=1):
                quantity, actual = exact(staged["Quantity"]), staged["ActualsImportId"]
                add_to_receipt(tx, receipt, line_number, ordered, quantity, actual)
            lines += len(work)
    return ReceiptSummary(area, tuple(made), lines, tuple(left))


def _to_receive(tx: Tx, area: str) -> list[tuple[Row, Row]]:
    """Return posted journal lines and staged rows of subcontracted work that is in no receipt yet."""
    sql = (
        f'SELECT l."RecId", s."RecId" FROM "{LINES}" l JOIN "{STAGING}" s '
        'ON s."dataAreaId" = l."dataAreaId" AND s."ActualsImportId" = l."ActualsImportId" '
        'WHERE l."dataAreaId" = ? AND l."LineStatus" = \'Posted\' AND l."TransactionType" = \'Cost\' '
        "AND s.\"SubcontractLine\" <> '' AND s.\"VendInvoiceLineProjTransId\" = '' "
        'AND NOT (s."AdjustmentStatus" = ? AND s."MatchedVendorInvoice" <> \'\') '
        'AND NOT EXISTS (SELECT 1 FROM "ProductReceiptLines" r WHERE r."dataAreaId" = l."dataAreaId" '
        'AND r."ActualsImportId" = l."ActualsImportId") ORDER BY l."RecId"'
    )
    found = []
    for line_id, staged_id in tx.query(sql, (area, _UNADJUSTABLE)).fetchall():
        line, staged = tx.get(LINES, line_id), tx.get(STAGING, staged_id)
        assert line is not None
        assert staged is not None
        found.append((line, staged))
    return found


def _why_not(tx: Tx, area: str, ordered: Row | None) -> str:
    """Why nothing can be received on an order line; empty where it can."""
    if ordered is None:
        return "The subcontract line has no purchase order line."
    order = order_of(tx, area, ordered["PurchaseOrderNumber"])
    if not confirmed(order) or not exact(ordered["ConfirmedQuantity"]):
        return f"Line {ordered['LineNumber']} of purchase order {order['PurchaseOrderNumber']} is not confirmed."
    return ""


def post_subcontract_receipts(finance: Store, company: str) -> ReceiptSummary:
    """Post the receipts that the first job made [J12]."""
    with finance.transaction() as tx:
        settings = CompanySettings.of(tx, area_of(company))
        receipts = [
            receipt
            for receipt in tx.find(RECEIPTS, dataAreaId=settings.area, ReceiptStatus="Generated")
            if receipt["ProjSubContractNumber"]
        ]
        lines = 0
        for receipt in receipts:
            number = receipt["ProductReceiptNumber"]
            lines += tx.count("ProductReceiptLines", dataAreaId=settings.area, ProductReceiptNumber=number)
            post_receipt(tx, settings, receipt)
    return ReceiptSummary(settings.area, tuple(str(row["ProductReceiptNumber"]) for row in receipts), lines)


def install(finance: Store) -> None:
    """Register the rules with Finance."""
    finance.on(SUBCONTRACTS, {"create"}, _start, when="before")
    finance.on(SUBCONTRACTS, {"create", "update"}, _follow)
    finance.on(SUBCONTRACTS, {"delete"}, _remove_order)
    finance.on(SUBCONTRACT_LINES, {"create", "update"}, _complete_line, when="before")
    finance.on(SUBCONTRACT_LINES, {"create", "update"}, _follow_line)
    finance.on(SUBCONTRACT_LINES, {"delete"}, _remove_line)
    finance.on(ORDER_LINES, {"delete"}, _keep_received, when="before")
    for table in (ORDERS, ORDER_LINES):
        finance.on(table, {"create", "update", "delete"}, _refuse_by_hand, when="before")
        finance.on(table, {"update"}, _mirror)
