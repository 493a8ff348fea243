"""A confirmed invoice is revised by another one, which credits all that nobody keeps on it [H13, E13 to E16]."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from dualsync_sandbox.business.dataverse.actuals import TABLE
from dualsync_sandbox.business.dataverse.choices import (
    AdjustmentStatus,
    InvoiceStatus,
    TransactionClass,
    TransactionType,
)
from dualsync_sandbox.business.dataverse.contracts.engagement import row_of
from dualsync_sandbox.business.dataverse.invoicing.billing import MILESTONES
from dualsync_sandbox.business.dataverse.invoicing.proformas import INVOICES, Draft, taken_over
from dualsync_sandbox.errors import BusinessRuleViolation

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row, Store, Tx

CORRECTABLE = frozenset({InvoiceStatus.CONFIRMED, InvoiceStatus.INVOICE_PAID, InvoiceStatus.POSTED})
"""Statuses of invoices that can be revised."""


def revise_invoice(dataverse: Store, invoice_id: str) -> Row:
    """Make a corrective invoice in draft for a confirmed one; returns it.

    Its line details have the quantity zero, which credits them in full; whoever wants to keep something edits the
    quantity, or takes the line off. A milestone can only be credited in full. What was billed is In process meanwhile
    (assumed), so that nobody corrects it twice; retainers are not revised (assumed).

    Raises:
        BusinessRuleViolation: The invoice is no confirmed one, or nothing on it can be revised.
    """
    with dataverse.transaction() as tx:
        invoice = row_of(tx, INVOICES, invoice_id)
        if invoice["msdyn_projectinvoicestatus"] not in CORRECTABLE:
            raise BusinessRuleViolation(INVOICES, "Only a confirmed invoice can be corrected.")
        customer_id = invoice["msdyn_contractcustomer"]
        customer = tx.get("msdyn_projectcontractsplitbillingrule", customer_id) if customer_id else None
        billed = correctable(tx, invoice_id)
        contract = row_of(tx, "salesorder", invoice["salesorderid"])
        draft = Draft(tx, contract, customer, msdyn_hascorrections=True, msdyn_correctedinvoice=invoice_id)
        for actual in billed:
            draft.add(actual["msdyn_salescontractlineid"], _credit(tx, actual))
        in_process = {"msdyn_adjustmentstatus": AdjustmentStatus.IN_PROCESS}
        tx.update_many(TABLE, [(actual["msdyn_actualid"], in_process) for actual in billed], hooks=False)
        return draft.write()


def correctable(tx: Tx, invoice_id: object) -> list[Row]:
    """Return what an invoice billed and nobody has corrected or is correcting."""
    rows = tx.find(TABLE, msdyn_invoice=invoice_id, msdyn_transactiontypecode=TransactionType.BILLED_SALES)
    return [
        row
        for row in rows
        if row["msdyn_adjustmentstatus"] is None and row["msdyn_transactionclassification"] != TransactionClass.RETAINER
    ]


def _credit(tx: Tx, billed: Row) -> Row:
    milestone = None
    if billed["msdyn_transactionclassification"] == TransactionClass.MILESTONE:
        number, contract = billed["msdyn_externaloriginreference"], billed["msdyn_salescontract"]
        milestone = tx.find_one(MILESTONES, msdyn_milestonenumber=number, msdyn_contract=contract)
    return {
        **taken_over(billed),
        "msdyn_quantity": Decimal(0),
        "msdyn_amount": Decimal(0),
        "msdyn_milestone": milestone[f"{MILESTONES}id"] if milestone else None,
    }
