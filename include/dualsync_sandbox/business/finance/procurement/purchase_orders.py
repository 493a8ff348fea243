"""Project purchase orders, their receipts, and invoices made from them [J8, J13, J14].

Neither an order nor a receipt makes an actual or a project transaction. Orders of subcontracts take no receipts by
hand: what was worked on them is received by a job of its own. An invoice takes the quantities that are received and not
invoiced yet; another quantity is only warned about. Assumed: where receipts are posted to the ledger, they accrue the
price of the order by the rate of the order's day, and the invoice takes that back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from dualsync_sandbox.business.finance.ledger.entries import own, pair, post_voucher
from dualsync_sandbox.business.finance.ledger.exchange import exact
from dualsync_sandbox.business.finance.ledger.rates import Rates, in_accounting_currency, rounded
from dualsync_sandbox.business.finance.procurement.vendor_invoices import (
    HEADERS,
    INVOICE_LINES,
    InvoiceEntry,
    VendorInvoice,
    VendorLine,
)
from dualsync_sandbox.business.finance.projects.stages import open_project
from dualsync_sandbox.business.finance.setup.procurement import bought
from dualsync_sandbox.business.finance.setup.settings import CompanySettings, area_of, day_of, numbered, text
from dualsync_sandbox.errors import BusinessRuleViolation

if TYPE_CHECKING:
    from dualsync_sandbox.store import Event, Row, Store, Tx

ORDERS, ORDER_LINES = "ProjectPurchaseOrders", "ProjectPurchaseOrderLines"
RECEIPTS, RECEIPT_LINES = "ProductReceipts", "ProductReceiptLines"
_CONFIRMED = frozenset({"Confirmed", "Finalized"})
_STEPS = ("Backorder", "Received", "Invoiced")


@dataclass(frozen=True, slots=True)
class OrderLine:
    """A line of a purchase order, as :class:`~.finance_vendor_invoices.VendorLine` has them.

    Attributes:
        quantity: How many units.
        price: Of one unit.
        category: Procurement category; empty for an item.
        item: Number of a released product; empty for a category.
        project_id: The project it is for.
        role: Resource role; hours need one.
        activity_number: A task of the project.
        description: A note.
    """

    quantity: Decimal
    price: Decimal
    category: str = ""
    item: str = ""
    project_id: str = ""
    role: str = ""
    activity_number: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class OrderInvoice:
    """A pending invoice of a purchase order.

    Attributes:
        header: Its ``VendorInvoiceHeaders`` row.
        warnings: What the clerk is told: quantities that differ from those received [J14].
    """

    header: Row
    warnings: tuple[str, ...]


def order_of(tx: Tx, area: str, number: object) -> Row:
    """Return a purchase order.

    Raises:
        BusinessRuleViolation: The company has none of that number.
    """
    order = tx.find_one(ORDERS, dataAreaId=area, PurchaseOrderNumber=number)
    if order is None:
        raise BusinessRuleViolation(ORDERS, f"Purchase order {number} doesn't exist in {area.upper()}.")
    return order


def lines_of(tx: Tx, order: Row) -> list[Row]:
    """Return the lines of a purchase order."""
    return tx.find(ORDER_LINES, dataAreaId=order["dataAreaId"], PurchaseOrderNumber=order["PurchaseOrderNumber"])


def confirmed(order: Row) -> bool:
    """Whether an order stands as the vendor has it, so that it can be received."""
    return order["DocumentState"] in _CONFIRMED


def confirm_order(tx: Tx, order: Row, day: object) -> None:
    """Confirm an order with all the lines it has at this moment; those that come later are not confirmed."""
    tx.update(ORDERS, order["RecId"], {"DocumentState": "Confirmed", "AccountingDate": day})
    for line in lines_of(tx, order):
        tx.update(ORDER_LINES, line["RecId"], {"ConfirmedQuantity": line["Quantity"]})


def reopen_order(tx: Tx, order: Row) -> None:
    """Take the confirmation of an order and its lines back."""
    tx.update(ORDERS, order["RecId"], {"DocumentState": "Approved"})
    for line in lines_of(tx, order):
        tx.update(ORDER_LINES, line["RecId"], {"ConfirmedQuantity": Decimal(0)})


def create_purchase_order(
    finance: Store, company: str, vendor: str, lines: Sequence[OrderLine], *, day: str = ""
) -> Row:
    """Order categories and items for projects from a vendor [J8]; returns the order, not yet confirmed.

    Raises:
        BusinessRuleViolation: The vendor is unknown, or a line cannot be bought or recorded [J7, C11].
    """
    with finance.transaction() as tx:
        settings = CompanySettings.of(tx, area_of(company))
        supplier = tx.find_one("VendorsV2", dataAreaId=settings.area, VendorAccountNumber=vendor)
        if supplier is None:
            raise BusinessRuleViolation(ORDERS, f"Vendor {vendor} doesn't exist in {settings.area.upper()}.")
        order = new_order(tx, settings, supplier, day or finance.clock.now().date().isoformat())
        for number, line in enumerate(lines, start=1):
            goods = bought(tx, settings, line.category, line.item)
            open_project(tx, ORDER_LINES, settings.area, line.project_id)
            tx.insert(
                ORDER_LINES,
                {
                    "dataAreaId": settings.area,
                    "PurchaseOrderNumber": order["PurchaseOrderNumber"],
                    "LineNumber": number,
                    "ProjectId": line.project_id,
                    "ActivityNumber": line.activity_number,
                    "ProcurementCategoryName": line.category,
                    "ItemNumber": goods.item,
                    "ProjectCategoryId": goods.project_category,
                    "RoleId": line.role,
                    "TransactionCategoryId": goods.transaction_category,
                    "LineDescription": line.description or line.category or goods.product,
                    "Quantity": line.quantity,
                    "Unit": goods.unit or ("hr" if goods.kind == "Hour" else "ea"),
                    "UnitPrice": line.price,
                    "PurchStatus": "Backorder",
                },
            )
        return order


def new_order(tx: Tx, settings: CompanySettings, vendor: Row, day: object, subcontract: object = "") -> Row:
    """Write a purchase order without lines, in the vendor's currency and language; returns it."""
    return tx.insert(
        ORDERS,
        {
            "dataAreaId": settings.area,
            "PurchaseOrderNumber": numbered(tx, settings.area, "PO", 6),
            "OrderAccount": vendor["VendorAccountNumber"],
            "CurrencyCode": text(vendor, "CurrencyCode") or settings.currency,
            "LanguageId": vendor["LanguageId"],
            "OrderDate": day,
            "DocumentState": "Approved",
            "PurchStatus": "Backorder",
            "ProjSubContractNumber": subcontract,
        },
    )


def confirm_purchase_order(finance: Store, company: str, number: str) -> Row:
    """Confirm a purchase order that is not a subcontract's; returns it.

    Raises:
        BusinessRuleViolation: It is a subcontract's, which its subcontract confirms [J10], or does not exist.
    """
    with finance.transaction() as tx:
        order = order_of(tx, area_of(company), number)
        _refuse_subcontract(order, "confirmed")
        confirm_order(tx, order, finance.clock.now().date().isoformat())
        return order_of(tx, area_of(company), number)


def receive_purchase_order(
    finance: Store, company: str, number: str, quantities: Mapping[int, Decimal] | None = None
) -> Row:
    """Receive goods and services by hand [J8]; returns the posted ``ProductReceipts`` row.

    Args:
        finance: The store of Finance.
        company: The company.
        number: Of the order.
        quantities: By line number; everything that is still to come when left out.

    Raises:
        BusinessRuleViolation: The order is a subcontract's [J12], or not confirmed.
    """
    with finance.transaction() as tx:
        settings = CompanySettings.of(tx, area_of(company))
        order = order_of(tx, settings.area, number)
        _refuse_subcontract(order, "received")
        if not confirmed(order):
            raise BusinessRuleViolation(ORDERS, f"Purchase order {number} is not confirmed.")
        receipt = new_receipt(tx, order, finance.clock.now().date().isoformat())
        for place, line in enumerate(lines_of(tx, order), start=1):
            number_of_line = line["LineNumber"]
            assert isinstance(number_of_line, int)
            left = exact(line["Quantity"]) - exact(line["ReceivedQuantity"])
            quantity = left if quantities is None else quantities.get(number_of_line, Decimal(0))
            if quantity:
                add_to_receipt(tx, receipt, place, line, quantity)
        return post_receipt(tx, settings, receipt)


def _refuse_subcontract(order: Row, what: str) -> None:
    if order["ProjSubContractNumber"]:
        raise BusinessRuleViolation(ORDERS, f"A subcontract purchase order cannot be {what} by hand.")


# -- receipts


def new_receipt(tx: Tx, order: Row, day: str) -> Row:
    """Write a product receipt without lines; returns it."""
    area = str(order["dataAreaId"])
    return tx.insert(
        RECEIPTS,
        {
            "dataAreaId": area,
            "ProductReceiptNumber": numbered(tx, area, "PRC", 6),
            "PurchaseOrderNumber": order["PurchaseOrderNumber"],
            "ProjSubContractNumber": order["ProjSubContractNumber"],
            "AccountingDate": day,
        },
    )


def add_to_receipt(tx: Tx, receipt: Row, place: int, order_line: Row, quantity: Decimal, actual: object = None) -> None:
    """Write a receipt line; ``actual`` is the ``ActualsImportId`` it was made of, where it was."""
    tx.insert(
        RECEIPT_LINES,
        {
            "dataAreaId": receipt["dataAreaId"],
            "ProductReceiptNumber": receipt["ProductReceiptNumber"],
            "LineNumber": place,
            "PurchaseOrderNumber": order_line["PurchaseOrderNumber"],
            "PurchaseOrderLineNumber": order_line["LineNumber"],
            "Quantity": quantity,
            "ActualsImportId": actual,
        },
    )


def post_receipt(tx: Tx, settings: CompanySettings, receipt: Row) -> Row:
    """Post a receipt: its quantities count as received, and accrue where receipts go to the ledger; returns it."""
    area, number = settings.area, receipt["ProductReceiptNumber"]
    order = order_of(tx, area, receipt["PurchaseOrderNumber"])
    amount = Decimal(0)
    for line in tx.find(RECEIPT_LINES, dataAreaId=area, ProductReceiptNumber=number):
        ordered = _order_line(tx, order, line["PurchaseOrderLineNumber"])
        quantity = exact(line["Quantity"])
        amount += rounded(quantity * exact(ordered["UnitPrice"]))
        _move(tx, ordered, "ReceivedQuantity", quantity)
    _settle(tx, order)
    voucher = ""
    if settings.receipts_to_ledger and order["ProjSubContractNumber"]:
        voucher = _accrue(tx, settings, order, amount, day_of(receipt["AccountingDate"]))
    return tx.update(RECEIPTS, receipt["RecId"], {"ReceiptStatus": "Posted", "Voucher": voucher})


def _accrue(tx: Tx, settings: CompanySettings, order: Row, amount: Decimal, day: str) -> str:
    """Post an accrual, or take one back when the amount is negative; returns the voucher."""
    currency = text(order, "CurrencyCode")
    rate = Rates(tx, settings.area, settings.currency).of_day(currency, day_of(order["OrderDate"]))
    if rate is None:
        raise BusinessRuleViolation(
            RECEIPTS, f"The exchange rate between {currency} and {settings.currency} does not exist."
        )
    entries = pair(
        "PurchaseExpenditureUninvoiced", own("PurchaseAccrual"), amount, in_accounting_currency(amount, rate)
    )
    voucher = numbered(tx, settings.area, "PRV")
    post_voucher(tx, settings.area, voucher, day, currency, entries, text(order, "ProjSubContractNumber"))
    return voucher


def _order_line(tx: Tx, order: Row, number: object) -> Row:
    key = {name: order[name] for name in ("dataAreaId", "PurchaseOrderNumber")}
    line = tx.find_one(ORDER_LINES, **key, LineNumber=number)
    if line is None:
        raise BusinessRuleViolation(ORDERS, f"Purchase order {order['PurchaseOrderNumber']} has no line {number}.")
    return line


def _move(tx: Tx, line: Row, column: str, quantity: Decimal) -> None:
    counted = {name: exact(line[name]) for name in ("Quantity", "ReceivedQuantity", "InvoicedQuantity")}
    counted[column] += quantity
    step = "Backorder"
    for column_of_step, reached in (("ReceivedQuantity", "Received"), ("InvoicedQuantity", "Invoiced")):
        if counted[column_of_step] >= counted["Quantity"]:
            step = reached
    tx.update(ORDER_LINES, line["RecId"], {column: counted[column], "PurchStatus": step})


def _settle(tx: Tx, order: Row) -> None:
    """An order is as far as the line that is least far."""
    steps = [_STEPS.index(str(line["PurchStatus"])) for line in lines_of(tx, order)]
    status = _STEPS[min(steps, default=0)]
    if order["PurchStatus"] != status:
        tx.update(ORDERS, order["RecId"], {"PurchStatus": status})


# -- invoices


def invoice_purchase_order(
    finance: Store,
    company: str,
    number: str,
    invoice_number: str,
    *,
    quantities: Mapping[int, Decimal] | None = None,
    day: str = "",
) -> OrderInvoice:
    """Enter the vendor's invoice of an order, pending, by default from receipt quantities [J14].

    Args:
        finance: The store of Finance.
        company: The company.
        number: Of the order.
        invoice_number: The vendor's number.
        quantities: By line number, where the vendor charges others than those received and not invoiced.
        day: Invoice date; today when empty.

    Raises:
        BusinessRuleViolation: There is nothing to invoice, or see :meth:`InvoiceEntry.create`.
    """
    with finance.transaction() as tx:
        settings = CompanySettings.of(tx, area_of(company))
        order = order_of(tx, settings.area, number)
        lines, warnings = [], []
        for line in lines_of(tx, order):
            received = exact(line["ReceivedQuantity"]) - exact(line["InvoicedQuantity"])
            place = line["LineNumber"]
            assert isinstance(place, int)
            quantity = received if quantities is None else quantities.get(place, Decimal(0))
            if quantity != received:
                warnings.append(f"Line {place}: {quantity.normalize():f} invoiced, {received.normalize():f} received.")
            if quantity:
                lines.append(_invoice_line(line, place, quantity))
        if not lines:
            raise BusinessRuleViolation(ORDERS, f"Nothing of purchase order {number} is to be invoiced.")
        invoice = VendorInvoice(
            vendor=text(order, "OrderAccount"),
            number=invoice_number,
            lines=tuple(lines),
            day=day,
            currency=text(order, "CurrencyCode"),
            purchase_order=number,
        )
        return OrderInvoice(InvoiceEntry(tx, settings).create(invoice), tuple(warnings))


def _invoice_line(line: Row, place: int, quantity: Decimal) -> VendorLine:
    return VendorLine(
        quantity=quantity,
        price=exact(line["UnitPrice"]),
        category=text(line, "ProcurementCategoryName"),
        item=text(line, "ItemNumber"),
        project_id=text(line, "ProjectId"),
        project_category=text(line, "ProjectCategoryId"),
        transaction_category=text(line, "TransactionCategoryId"),
        role=text(line, "RoleId"),
        activity_number=text(line, "ActivityNumber"),
        unit=text(line, "Unit"),
        description=text(line, "LineDescription"),
        order_line=place,
        subcontract_line=text(line, "ProjSubContractLineNumber"),
    )


def _count_invoiced(tx: Tx, event: Event) -> None:
    """What a posted invoice charges counts as invoiced, and is no longer accrued."""
    header = event.after
    assert header is not None
    if header["InvoiceStatus"] != "Posted" or not event.changed("InvoiceStatus") or not header["PurchId"]:
        return
    area = str(header["dataAreaId"])
    order, settings = order_of(tx, area, header["PurchId"]), CompanySettings.of(tx, area)
    accrued = Decimal(0)
    for line in tx.find(INVOICE_LINES, dataAreaId=area, TableRefId=header["TableRefId"]):
        ordered = _order_line(tx, order, line["PurchaseOrderLineNumber"])
        quantity = exact(line["Quantity"])
        received = exact(ordered["ReceivedQuantity"]) - exact(ordered["InvoicedQuantity"])
        accrued += rounded(min(quantity, received) * exact(ordered["UnitPrice"]))
        _move(tx, ordered, "InvoicedQuantity", quantity)
    _settle(tx, order)
    if settings.receipts_to_ledger and order["ProjSubContractNumber"] and accrued > 0:
        _accrue(tx, settings, order, -accrued, day_of(header["TransDate"]))


def install(finance: Store) -> None:
    """Register the rule with Finance."""
    finance.on(HEADERS, {"update"}, _count_invoiced)
