"""Vendor invoices: entered pending, posted, and shown to Dataverse [J1 to J3, J7, K5, K8, C11]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualsync_sandbox.business.finance.procurement.vendor_invoices.documents import (
    HEADERS,
    INVOICE_LINES,
    VendorInvoice,
    VendorLine,
    invoice_of,
    posted_line,
)
from dualsync_sandbox.business.finance.procurement.vendor_invoices.entry import InvoiceEntry
from dualsync_sandbox.business.finance.procurement.vendor_invoices.exports import EXPORT
from dualsync_sandbox.business.finance.procurement.vendor_invoices.posting import InvoicePosting
from dualsync_sandbox.business.finance.setup.settings import CompanySettings, area_of
from dualsync_sandbox.errors import BusinessRuleViolation

if TYPE_CHECKING:
    from dualsync_sandbox.store import Event, Row, Store, Tx


def create_pending_vendor_invoice(finance: Store, company: str, invoice: VendorInvoice) -> Row:
    """Enter a pending vendor invoice; returns its ``VendorInvoiceHeaders`` row.

    Joins the transaction under way in Finance, so that an intercompany customer invoice and the vendor invoice it
    leaves in the borrowing company are written together [K5].

    Raises:
        BusinessRuleViolation: See :meth:`InvoiceEntry.create`.
    """
    with finance.transaction() as tx:
        return InvoiceEntry(tx, CompanySettings.of(tx, area_of(company))).create(invoice)


def post_vendor_invoice(finance: Store, company: str, reference: str) -> Row:
    """Post a pending vendor invoice by its ``TableRefId``; returns its row.

    Raises:
        BusinessRuleViolation: See :meth:`InvoicePosting.post`; nothing is written then.
    """
    with finance.transaction() as tx:
        return InvoicePosting(tx, CompanySettings.of(tx, area_of(company))).post(reference)


def file_vendor_invoice(finance: Store, company: str, invoice: VendorInvoice) -> Row:
    """Enter and post a vendor invoice in one go; returns its row."""
    with finance.transaction():
        reference = str(create_pending_vendor_invoice(finance, company, invoice)["TableRefId"])
        return post_vendor_invoice(finance, company, reference)


def approve_for_payment(finance: Store, company: str, reference: str) -> Row:
    """Release a vendor invoice for payment by hand, before any confirmation; returns its row [J3].

    Raises:
        BusinessRuleViolation: It is not posted, or does not exist.
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
    "HEADERS",
    "INVOICE_LINES",
    "InvoiceEntry",
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
