"""Vendor invoices: entered pending, posted, and shown to Dataverse [J1 to J3, J7, K5, K8, C11].

Posting debits the procurement integration account with the cost of project lines, tax that is lost included; the
journal of the cost actual clears it. What is kept in stock, and what another company of the group invoices, goes to
project cost at once. Only invoices with a project line, and of those only the project lines, stand in the three export
sets. Assumed: the exported price is the cost of one unit; an invoice of another company of the group is not exported,
because its cost stands in Dataverse already; what is bought for a project elsewhere is hours or expenses; numbers of
exported lines are unique in all companies, as Dataverse's key demands; ``SubcontractInvoice`` says that nobody has to
confirm the invoice by hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property
from typing import TYPE_CHECKING

from dualsync_sandbox.business.finance.ledger.entries import INTEGRATION_OFFSET, Entry, own, post_voucher, profile_of
from dualsync_sandbox.business.finance.ledger.exchange import exact
from dualsync_sandbox.business.finance.ledger.periods import Periods
from dualsync_sandbox.business.finance.ledger.rates import Rates, in_accounting_currency, rounded
from dualsync_sandbox.business.finance.ledger.tax import added_tax, lost_tax
from dualsync_sandbox.business.finance.projects.stages import open_project
from dualsync_sandbox.business.finance.setup.procurement import Bought, bought, released
from dualsync_sandbox.business.finance.setup.settings import (
    CompanySettings,
    area_of,
    day_of,
    next_number,
    numbered,
    text,
)
from dualsync_sandbox.errors import BusinessRuleViolation

if TYPE_CHECKING:
    from dualsync_sandbox.store import Event, Row, Store, Tx

HEADERS, INVOICE_LINES = "VendorInvoiceHeaders", "VendorInvoiceLines"
EXPORT, EXPORT_V1, EXPORT_LINES = "VendInvoiceExportsV2", "ProjVendInvoicesExport", "ProjVendInvoiceLinesExportEntity"
TRANSACTIONS = "ProjectTransactions"
_PRICE = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class VendorLine:
    """A line of a vendor invoice: a procurement category or an item, for a project or for none.

    Attributes:
        quantity: how many units.
        price: of one unit without tax, in the currency of the invoice.
        category: procurement category [J7]; empty for an item, and for what another company of the group has lent.
        item: number of a released product; empty for a category.
        project_id: the project that bears the cost; empty for none.
        company: the company that owns the project; the invoice's own when empty [K8].
        project_category: project category instead of the one that follows from category or item.
        transaction_category: number of the transaction category instead of that of the project category; ``""`` for
            none.
        role: resource role; hours need one.
        activity_number: a task of the project.
        unit: unit of measure; that of the item, else ``ea`` (hours: ``hr``), when empty.
        billing_type: member of ``ProjBillingType``.
        tax_group: sales tax group; the tax comes on top of the price.
        description: a note.
        order_line: number of the purchase order line it invoices, 0 without.
        subcontract_line: number of the subcontract line behind that order line.
    """

    quantity: Decimal
    price: Decimal
    category: str = ""
    item: str = ""
    project_id: str = ""
    company: str = ""
    project_category: str = ""
    transaction_category: str | None = None
    role: str = ""
    activity_number: str = ""
    unit: str = ""
    billing_type: str = "Chargeable"
    tax_group: str = ""
    description: str = ""
    order_line: int = 0
    subcontract_line: str = ""


@dataclass(frozen=True, slots=True)
class VendorInvoice:
    """A vendor invoice as a clerk enters it.

    Attributes:
        vendor: the vendor account.
        number: the vendor's own number of the invoice.
        lines: what it charges.
        day: invoice date (ISO); today when empty.
        currency: the vendor's when empty.
        description: a note.
        purchase_order: number of the purchase order it invoices; empty without.
        intercompany: another company of the group charges what it has lent [K5].
        manual_verification: a project manager has to confirm it [J3]; None for the company's own setting.
        blocks_payment: it is not paid before that; None for the company's own setting.
    """

    vendor: str
    number: str
    lines: tuple[VendorLine, ...]
    day: str = ""
    currency: str = ""
    description: str = ""
    purchase_order: str = ""
    intercompany: bool = False
    manual_verification: bool | None = None
    blocks_payment: bool | None = None


class InvoiceDesk:
    """Accounts payable of one company within one transaction.

    Args:
        tx: the transaction.
        settings: the company's parameters.
    """

    def __init__(self, tx: Tx, settings: CompanySettings) -> None:
        self._tx = tx
        self._settings = settings
        self._area = settings.area

    @cached_property
    def _periods(self) -> Periods:
        return Periods(self._tx, self._area)

    @cached_property
    def _rates(self) -> Rates:
        return Rates(self._tx, self._area, self._settings.currency)

    # -- entering

    def create(self, invoice: VendorInvoice) -> Row:
        """Write a pending vendor invoice with its lines; returns its ``VendorInvoiceHeaders`` row.

        Raises:
            BusinessRuleViolation: the vendor is unknown or has used the number before, or a line cannot be recorded
                [C11, J7, K8].
        """
        vendor = self._tx.find_one("VendorsV2", dataAreaId=self._area, VendorAccountNumber=invoice.vendor)
        if vendor is None:
            raise BusinessRuleViolation(HEADERS, f"Vendor {invoice.vendor} doesn't exist in {self._area.upper()}.")
        key = {"dataAreaId": self._area, "InvoiceAccount": invoice.vendor, "VendorInvoiceNum": invoice.number}
        if self._tx.find_one(HEADERS, **key) is not None:
            raise BusinessRuleViolation(HEADERS, f"Invoice number {invoice.number} has been used by this vendor.")
        manual = invoice.manual_verification
        manual = self._settings.manual_verification if manual is None else manual
        blocks = self._settings.blocks_payment if invoice.blocks_payment is None else invoice.blocks_payment
        day = invoice.day or self._tx.store.clock.now().date().isoformat()
        header = self._tx.insert(
            HEADERS,
            {
                **key,
                "TableRefId": numbered(self._tx, self._area, "VIN"),
                "OrderAccount": invoice.vendor,
                "Description": invoice.description,
                "DocumentDate": day,
                "TransDate": day,
                "CurrencyCode": invoice.currency or text(vendor, "CurrencyCode") or self._settings.currency,
                "PurchId": invoice.purchase_order,
                "IsManualVerificationRequired": "Yes" if manual else "No",
                "IsPaymentBlocked": "Yes" if manual and blocks else "No",
                "IsIntercompany": "Yes" if invoice.intercompany else "No",
            },
        )
        for number, line in enumerate(invoice.lines, start=1):
            self._add(header, number, line)
        return header

    def _add(self, header: Row, number: int, line: VendorLine) -> None:
        owner = area_of(line.company) if line.company else self._area
        if line.project_id:
            open_project(self._tx, INVOICE_LINES, owner, line.project_id)
        goods = bought(self._tx, self._settings, line.category, line.item, line.project_category)
        self._check(header, line, owner, goods)
        category = goods.transaction_category if line.transaction_category is None else line.transaction_category
        net = rounded(line.quantity * line.price)
        tax = added_tax(self._tx, self._area, line.tax_group, net)
        lost = lost_tax(self._tx, self._area, line.tax_group, tax)
        self._tx.insert(
            INVOICE_LINES,
            {
                "dataAreaId": self._area,
                "TableRefId": header["TableRefId"],
                "LineNumber": number,
                "ProjDataAreaId": owner if line.project_id else "",
                "ProjId": line.project_id,
                "ActivityNumber": line.activity_number,
                "ProcurementCategoryName": line.category,
                "ItemId": goods.item,
                "ProjCategoryId": goods.project_category,
                "CategoryType": goods.kind,
                "TransactionCategoryId": category,
                "RoleId": line.role,
                "Description": line.description or line.category or goods.product,
                "Quantity": line.quantity,
                "PurchUnit": line.unit or goods.unit or ("hr" if goods.kind == "Hour" else "ea"),
                "PurchPrice": line.price,
                "NetAmount": net,
                "TaxGroupCode": line.tax_group,
                "TaxAmount": tax,
                "NonRecoverableTaxAmount": lost,
                "CostAmount": net + lost,
                "BillingType": line.billing_type,
                "PurchaseOrderLineNumber": line.order_line,
                "ProjSubContractLineNumber": line.subcontract_line,
            },
        )

    def _check(self, header: Row, line: VendorLine, owner: str, goods: Bought) -> None:
        """What another company of the group has lent needs no role: it stays out of Dataverse (assumed)."""
        lent = header["IsIntercompany"] == "Yes"
        if line.project_id and goods.kind == "Hour" and not (line.role or lent):
            raise BusinessRuleViolation(INVOICE_LINES, "A role is needed for a project category of type Hour.")
        if line.project_id and owner != self._area and goods.kind == "Item":
            raise BusinessRuleViolation(
                INVOICE_LINES, "A line for a project of another company is of type Hour or Expense."
            )

    # -- posting

    def post(self, reference: str) -> Row:
        """Post a pending vendor invoice; returns its row [J1, J2].

        Raises:
            BusinessRuleViolation: it is posted, or a line cannot be posted [C11, G6, G9, D2]; then nothing is.
        """
        header = invoice_of(self._tx, self._area, reference)
        if header["InvoiceStatus"] == "Posted":
            raise BusinessRuleViolation(HEADERS, f"Vendor invoice {reference} is posted.")
        wanted, currency = day_of(header["TransDate"]), text(header, "CurrencyCode")
        day = self._accounting_day(wanted)
        rate = self._rates.of_day(currency, wanted)
        if rate is None:
            raise BusinessRuleViolation(
                HEADERS, f"The exchange rate between {currency} and {self._settings.currency} does not exist."
            )
        voucher = numbered(self._tx, self._area, "VIV")
        lines = self._tx.find(INVOICE_LINES, dataAreaId=self._area, TableRefId=reference)
        entries: list[Entry] = []
        for line in lines:
            account = self._account(header, line)
            for debit, amount in (
                (account, exact(line["CostAmount"])),
                (own("SalesTaxReceivable"), exact(line["TaxAmount"]) - exact(line["NonRecoverableTaxAmount"])),
            ):
                if amount:
                    entries.append(Entry(*debit, amount, in_accounting_currency(amount, rate)))
        total = sum((entry.amount for entry in entries), Decimal(0))
        accounting = sum((entry.accounting_amount for entry in entries), Decimal(0))
        entries.append(Entry(*own("VendorBalance"), -total, -accounting))
        post_voucher(self._tx, self._area, voucher, day, currency, entries, text(header, "Description"))
        for line in lines:
            self._record(header, line, rate, voucher, day)
        header = self._tx.update(
            HEADERS,
            header["RecId"],
            {
                "InvoiceStatus": "Posted",
                "IsApprovedForPayment": "No" if header["IsPaymentBlocked"] == "Yes" else "Yes",
                "ExchangeRate": rate,
                "Voucher": voucher,
                "InvoiceAmount": total,
                "SalesTaxAmount": sum((exact(line["TaxAmount"]) for line in lines), Decimal(0)),
            },
        )
        if header["IsIntercompany"] == "No" and any(line["ProjId"] for line in lines):
            self._export_header(header)
        return header

    def _accounting_day(self, wanted: str) -> str:
        """The invoice date, moved to an open period where the company wants that [G6]."""
        found = self._periods.next_open(wanted) if self._settings.moves_to_open_period else wanted
        if found is None or not self._periods.is_open(found):
            raise BusinessRuleViolation(HEADERS, f"No open fiscal period for {wanted}.")
        return found

    def _costed(self, header: Row, line: Row) -> str:
        """Origin of the project transaction that posting makes at once; empty where the journal makes it [J2, K5]."""
        if not line["ProjId"]:
            return ""
        if header["IsIntercompany"] == "Yes":
            return "IntercompanyVendorInvoice"
        stocked = line["ItemId"] and released(self._tx, self._area, text(line, "ItemId"))["IsStocked"] == "Yes"
        return "StockedVendorInvoice" if stocked else ""

    def _account(self, header: Row, line: Row) -> tuple[str, str]:
        """Posting type and main account that bear the cost of a line."""
        if not line["ProjId"]:
            return own("PurchaseOfNoProject")
        project = open_project(self._tx, INVOICE_LINES, line["ProjDataAreaId"], line["ProjId"])
        if not self._costed(header, line):
            return INTEGRATION_OFFSET, self._settings.procurement_account
        profile = profile_of(self._tx, self._area, project)
        if profile is None:
            raise BusinessRuleViolation(
                INVOICE_LINES, f"No project cost and revenue profile rule applies to project {line['ProjId']}."
            )
        return own(profile.cost_type)

    def _record(self, header: Row, line: Row, rate: Decimal, voucher: str, day: str) -> None:
        """Give a project line its number, and write the transaction or the export that it calls for."""
        accounting = in_accounting_currency(exact(line["CostAmount"]), rate)
        known: Row = {"CostAmountAccountingCurrency": accounting}
        if line["ProjId"]:
            known["ProjTransId"] = f"{self._area.upper()}-PV{next_number(self._tx, self._area, 'PVI'):07d}"
        line = self._tx.update(INVOICE_LINES, line["RecId"], known)
        origin = self._costed(header, line)
        if origin:
            self._insert_transaction(header, line, origin, voucher, day)
        if line["ProjId"] and header["IsIntercompany"] == "No":
            self._export_line(header, line, costed=bool(origin))

    def _insert_transaction(self, header: Row, line: Row, origin: str, voucher: str, day: str) -> None:
        billing_type = line["BillingType"]
        line_property = self._tx.find_one("LineProperties", dataAreaId=self._area, BillingType=billing_type)
        self._tx.insert(
            TRANSACTIONS,
            {
                "dataAreaId": self._area,
                "TransactionId": line["ProjTransId"],
                "ProjectId": line["ProjId"],
                "TransactionType": line["CategoryType"],
                "CategoryId": line["ProjCategoryId"],
                "ActivityNumber": line["ActivityNumber"],
                "TransactionDate": header["TransDate"],
                "AccountingDate": day,
                "Quantity": line["Quantity"],
                "CostAmountAccountingCurrency": line["CostAmountAccountingCurrency"],
                "CurrencyCode": header["CurrencyCode"],
                "Amount": line["CostAmount"],
                "LineProperty": text(line_property or {}, "LineProperty"),
                "Voucher": voucher,
                "TransactionOrigin": origin,
                "Status": "Posted",
            },
        )

    # -- showing it to Dataverse

    def _export_header(self, header: Row) -> None:
        """Both versions of the set hold the invoice; which one is read is up to the table maps [J1]."""
        names = (
            "dataAreaId", "InvoiceAccount", "VendorInvoiceNum", "Description", "DocumentDate", "CurrencyCode",
            "PurchId", "TransDate", "OrderAccount", "TableRefId",
        )  # fmt: skip
        row = {name: header[name] for name in names}
        row["SubcontractInvoice"] = "No" if header["IsManualVerificationRequired"] == "Yes" else "Yes"
        for entity_set in (EXPORT, EXPORT_V1):
            self._tx.insert(entity_set, row)

    def _export_line(self, header: Row, line: Row, *, costed: bool) -> None:
        item = text(line, "ItemId")
        quantity, cost = exact(line["Quantity"]), exact(line["CostAmount"])
        self._tx.insert(
            EXPORT_LINES,
            {
                "ProjTransId": line["ProjTransId"],
                "ProjDataAreaId": line["ProjDataAreaId"],
                "DAreaId": self._area,
                "VendorInvoiceNum": header["VendorInvoiceNum"],
                "InvoiceAccount": header["InvoiceAccount"],
                "OrderAccount": header["OrderAccount"],
                "ProjSubcontractLineNumber": line["ProjSubContractLineNumber"],
                "RoleId": line["RoleId"],
                "PurchUnit": line["PurchUnit"],
                "ProjItemTransExists": int(costed),
                "ProjId": line["ProjId"],
                "QtyReceiveNow": quantity,
                "Description": line["Description"],
                "TransDate": header["TransDate"],
                "ProjTaskNumber": line["ActivityNumber"],
                "TransactionCategoryId": line["TransactionCategoryId"],
                "CategoryType": line["CategoryType"],
                "PurchPrice": (cost / quantity).quantize(_PRICE, ROUND_HALF_UP) if quantity else Decimal(0),
                "BillingType": line["BillingType"],
                "LineAmount": cost,
                "currencyCode": header["CurrencyCode"],
                "ItemId": item,
                "DisplayProductNumber": released(self._tx, self._area, item)["ProductNumber"] if item else "",
            },
        )


def invoice_of(tx: Tx, area: str, reference: str) -> Row:
    """Return a vendor invoice by its ``TableRefId``.

    Raises:
        BusinessRuleViolation: the company has none of that reference.
    """
    header = tx.find_one(HEADERS, dataAreaId=area, TableRefId=reference)
    if header is None:
        raise BusinessRuleViolation(HEADERS, f"Vendor invoice {reference} doesn't exist in {area.upper()}.")
    return header


def posted_line(tx: Tx, area: str, number: str) -> tuple[Row, Row] | None:
    """Return header and line of a posted project line by the number Dataverse knows it by; None where there is none."""
    line = tx.find_one(INVOICE_LINES, dataAreaId=area, ProjTransId=number) if number else None
    return None if line is None else (invoice_of(tx, area, text(line, "TableRefId")), line)


def create_pending_vendor_invoice(finance: Store, company: str, invoice: VendorInvoice) -> Row:
    """Enter a pending vendor invoice; returns its ``VendorInvoiceHeaders`` row.

    Joins the transaction under way in Finance, so that an intercompany customer invoice and the vendor invoice it
    leaves in the borrowing company are written together [K5].

    Raises:
        BusinessRuleViolation: see :meth:`InvoiceDesk.create`.
    """
    with finance.transaction() as tx:
        return InvoiceDesk(tx, CompanySettings.of(tx, area_of(company))).create(invoice)


def post_vendor_invoice(finance: Store, company: str, reference: str) -> Row:
    """Post a pending vendor invoice by its ``TableRefId``; returns its row.

    Raises:
        BusinessRuleViolation: see :meth:`InvoiceDesk.post`; nothing is written then.
    """
    with finance.transaction() as tx:
        return InvoiceDesk(tx, CompanySettings.of(tx, area_of(company))).post(reference)


def file_vendor_invoice(finance: Store, company: str, invoice: VendorInvoice) -> Row:
    """Enter and post a vendor invoice in one go; returns its row."""
    with finance.transaction():
        reference = str(create_pending_vendor_invoice(finance, company, invoice)["TableRefId"])
        return post_vendor_invoice(finance, company, reference)


def approve_for_payment(finance: Store, company: str, reference: str) -> Row:
    """Release a vendor invoice for payment by hand, before any confirmation; returns its row [J3].

    Raises:
        BusinessRuleViolation: it is not posted, or does not exist.
    """
    with finance.transaction() as tx:
        header = invoice_of(tx, area_of(company), reference)
        if header["InvoiceStatus"] != "Posted":
            raise BusinessRuleViolation(HEADERS, f"Vendor invoice {reference} is not posted.")
        return tx.update(HEADERS, header["RecId"], {"IsApprovedForPayment": "Yes"})


def _release_payment(tx: Tx, event: Event) -> None:
    """The project manager's confirmation, once it is known here, releases the payment [J3]."""
    export = event.after
    assert export is not None
    if export["ProjVendInvoiceStatus"] == "Confirmed" and event.changed("ProjVendInvoiceStatus"):
        header = invoice_of(tx, str(export["dataAreaId"]), str(export["TableRefId"]))
        if header["IsApprovedForPayment"] == "No":
            tx.update(HEADERS, header["RecId"], {"IsApprovedForPayment": "Yes"})


def install(finance: Store) -> None:
    """Register the rule with Finance."""
    finance.on(EXPORT, {"update"}, _release_payment)


__all__ = [
    "InvoiceDesk",
    "VendorInvoice",
    "VendorLine",
    "approve_for_payment",
    "create_pending_vendor_invoice",
    "file_vendor_invoice",
    "install",
    "invoice_of",
    "post_vendor_invoice",
    "posted_line",
]
