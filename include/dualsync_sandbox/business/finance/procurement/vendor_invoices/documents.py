"""What a vendor invoice says, as a clerk enters it, and where its rows stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dualsync_sandbox.business.finance.setup.settings import text
from dualsync_sandbox.errors import BusinessRuleViolation

if TYPE_CHECKING:
    from decimal import Decimal

    from dualsync_sandbox.store import Row, Tx

HEADERS, INVOICE_LINES = "VendorInvoiceHeaders", "VendorInvoiceLines"


@dataclass(frozen=True, slots=True)
class VendorLine:
    """A line of a vendor invoice: a procurement category or an item, for a project or for none.

    Attributes:
        quantity: How many units.
        price: Of one unit without tax, in the currency of the invoice.
        category: Procurement category [J7]; empty for an item, and for what another company of the group has lent.
        item: Number of a released product; empty for a category.
        project_id: The project that bears the cost; empty for none.
        company: The company that owns the project; the invoice's own when empty [K8].
        project_category: Project category instead of the one that follows from category or item.
        transaction_category: Number of the transaction category instead of that of the project category; ``""`` for
            none.
        role: Resource role; hours need one.
        activity_number: A task of the project.
        unit: Unit of measure; that of the item, else ``ea`` (hours: ``hr``), when empty.
        billing_type: Member of ``ProjBillingType``.
        tax_group: Sales tax group; the tax comes on top of the price.
        description: A note.
        order_line: Number of the purchase order line it invoices, 0 without.
        subcontract_line: Number of the subcontract line behind that order line.
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
        vendor: The vendor account.
        number: The vendor's own number of the invoice.
        lines: What it charges.
        day: Invoice date (ISO); today when empty.
        currency: The vendor's when empty.
        description: A note.
        purchase_order: Number of the purchase order it invoices; empty without.
        intercompany: Another company of the group charges what it has lent [K5].
        manual_verification: A project manager has to confirm it [J3]; None for the company's own setting.
        blocks_payment: It is not paid before that; None for the company's own setting.
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


def invoice_of(tx: Tx, area: str, reference: str) -> Row:
    """Return a vendor invoice by its ``TableRefId``.

    Raises:
        BusinessRuleViolation: The company has none of that reference.
    """
    header = tx.find_one(HEADERS, dataAreaId=area, TableRefId=reference)
    if header is None:
        raise BusinessRuleViolation(HEADERS, f"Vendor invoice {reference} doesn't exist in {area.upper()}.")
    return header


def posted_line(tx: Tx, area: str, number: str) -> tuple[Row, Row] | None:
    """Return header and line of a posted project line by the number Dataverse knows it by; None where there is none."""
    line = tx.find_one(INVOICE_LINES, dataAreaId=area, ProjTransId=number) if number else None
    return None if line is None else (invoice_of(tx, area, text(line, "TableRefId")), line)
