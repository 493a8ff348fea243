"""What may be marked ready to invoice: unbilled sales and milestones [E19, E20, E24].

The limit of a contract line that is not to be exceeded is not played.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dualsync_sandbox.business.dataverse.actuals import TABLE
from dualsync_sandbox.business.dataverse.choices import (
    BillingStatus,
    MilestoneStatus,
    TransactionClass,
    TransactionType,
)
from dualsync_sandbox.business.dataverse.contracts.engagement import row_of
from dualsync_sandbox.errors import BusinessRuleViolation

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row, Store

MILESTONES = "msdyn_contractlinescheduleofvalue"


def invoiceable(actual: Row) -> bool:
    """Whether an actual may go on an invoice: unbilled, not adjusted [E19], with a customer [E24], on none [E20].

    What is left of a retainer is used on an invoice, not invoiced [E17].
    """
    return (
        actual["msdyn_transactiontypecode"] == TransactionType.UNBILLED_SALES
        and actual["msdyn_transactionclassification"] != TransactionClass.RETAINER
        and actual["msdyn_adjustmentstatus"] is None
        and actual["msdyn_contractcustomer"] is not None
        and actual["msdyn_billingstatus"] in (BillingStatus.UNBILLED_SALES_CREATED, BillingStatus.READY_TO_INVOICE)
    )


def mark_ready_to_invoice(dataverse: Store, actual_ids: Iterable[str]) -> list[Row]:
    """Mark unbilled sales ready to invoice; returns them as they are now.

    Raises:
        BusinessRuleViolation: One of them is not invoiceable; none is marked then.
    """
    ready = {"msdyn_billingstatus": BillingStatus.READY_TO_INVOICE}
    with dataverse.transaction() as tx:
        marked = [row_of(tx, TABLE, actual_id) for actual_id in actual_ids]
        if not all(invoiceable(actual) for actual in marked):
            raise BusinessRuleViolation(TABLE, "The actual cannot be invoiced.")
        tx.update_many(TABLE, [(actual["msdyn_actualid"], ready) for actual in marked], hooks=False)
    return [actual | ready for actual in marked]


def mark_milestone_ready(dataverse: Store, milestone_id: str) -> Row:
    """Mark a milestone ready to invoice; returns it as it is now.

    Raises:
        BusinessRuleViolation: It is on an invoice, or its line has no project [C5].
    """
    with dataverse.transaction() as tx:
        milestone = row_of(tx, MILESTONES, milestone_id)
        if milestone["msdyn_invoicestatus"] not in (None, MilestoneStatus.NOT_READY, MilestoneStatus.READY):
            raise BusinessRuleViolation(MILESTONES, "The milestone is on an invoice.")
        if milestone["msdyn_project"] is None:
            raise BusinessRuleViolation(MILESTONES, "The contract line of the milestone has no project.")
        return tx.update(MILESTONES, milestone_id, {"msdyn_invoicestatus": MilestoneStatus.READY})
