"""Entering vendor invoices: they are pending until they are posted [C11, J7, K8].

Assumed: what is bought for a project of another company is hours or expenses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualsync_sandbox.business.finance.ledger.rates import rounded
from dualsync_sandbox.business.finance.ledger.tax import added_tax, lost_tax
from dualsync_sandbox.business.finance.procurement.vendor_invoices.documents import (
    HEADERS,
    INVOICE_LINES,
    VendorInvoice,
    VendorLine,
)
from dualsync_sandbox.business.finance.projects.stages import open_project
from dualsync_sandbox.business.finance.setup.procurement import Bought, bought
from dualsync_sandbox.business.finance.setup.settings import CompanySettings, area_of, numbered, text
from dualsync_sandbox.errors import BusinessRuleViolation

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row, Tx


class InvoiceEntry:
    """The clerk of one company who enters vendor invoices, within one transaction.

    Args:
        tx: The transaction.
        settings: The company's parameters.
    """

    def __init__(self, tx: Tx, settings: CompanySettings) -> None:
        self._tx = tx
        self._settings = settings
        self._area = settings.area

    def create(self, invoice: VendorInvoice) -> Row:
        """Write a pending vendor invoice with its lines; returns its ``VendorInvoiceHeaders`` row.

        Raises:
            BusinessRuleViolation: The vendor is unknown or has used the number before, or a line cannot be recorded
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
