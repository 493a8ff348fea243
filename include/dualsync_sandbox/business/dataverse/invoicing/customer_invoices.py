"""The customer invoice that comes from Finance sets its proforma invoice to Posted [R37].

The milestones on the proforma are posted with it (assumed; Finance says the same of them).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualsync_sandbox.business.dataverse.choices import InvoiceStatus, MilestoneStatus
from dualsync_sandbox.business.dataverse.invoicing.billing import MILESTONES
from dualsync_sandbox.business.dataverse.invoicing.proformas import DETAILS, INVOICES

if TYPE_CHECKING:
    from dualsync_sandbox.store import Event, Row, Store, Tx

TABLE = "msdyn_customerinvoice"


def _post(tx: Tx, event: Event) -> None:
    posted = event.after
    assert posted is not None
    invoice = tx.get(INVOICES, posted["msdyn_invoice"])
    if invoice is None:
        return
    posted_values: Row = {
        "msdyn_projectinvoicestatus": int(InvoiceStatus.POSTED),
        "msdyn_invoicenumber": posted["msdyn_customerinvoicenumber"],
        "msdyn_invoicedate": posted["msdyn_invoicedate"],
        "totaltax": posted["msdyn_salestaxamount"],
        "totalamount": posted["msdyn_totalamount"],
    }
    changes = {name: value for name, value in posted_values.items() if value is not None}
    if any(invoice[name] != value for name, value in changes.items()):
        tx.update(INVOICES, invoice["invoiceid"], changes)
    for detail in tx.find(DETAILS, msdyn_invoice=invoice["invoiceid"], msdyn_originalactual=None):
        milestone = tx.get(MILESTONES, detail["msdyn_milestone"]) if detail["msdyn_milestone"] else None
        if milestone and milestone["msdyn_invoicestatus"] == MilestoneStatus.CUSTOMER_INVOICE_CREATED:
            done = {"msdyn_invoicestatus": MilestoneStatus.CUSTOMER_INVOICE_POSTED}
            tx.update(MILESTONES, milestone[f"{MILESTONES}id"], done)


def install(dataverse: Store) -> None:
    """Register the rule with Dataverse."""
    dataverse.on(TABLE, {"create", "update"}, _post)
