"""E19, E20, E24: which unbilled sales may be marked ready to invoice."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dualsync_sandbox.business.actuals import TABLE
from dualsync_sandbox.business.choices import BillingStatus, TransactionType
from dualsync_sandbox.business.engagement import row_of
from dualsync_sandbox.errors import BusinessRuleViolation

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row, Store


def invoiceable(actual: Row) -> bool:
    """Whether an actual may go on an invoice: unbilled, not adjusted (E19), with a customer (E24), on none (E20)."""
    return (
        actual["msdyn_transactiontypecode"] == TransactionType.UNBILLED_SALES
        and actual["msdyn_adjustmentstatus"] is None
        and actual["msdyn_contractcustomer"] is not None
        and actual["msdyn_billingstatus"] in (BillingStatus.UNBILLED_SALES_CREATED, BillingStatus.READY_TO_INVOICE)
    )


def mark_ready_to_invoice(dataverse: Store, actual_ids: Iterable[str]) -> list[Row]:
    """Mark unbilled sales ready to invoice; returns them as they are now.

    Raises:
        BusinessRuleViolation: one of them is not invoiceable; none is marked then.
    """
    with dataverse.transaction() as tx:
        marked = []
        for actual_id in actual_ids:
            actual = row_of(tx, TABLE, actual_id)
            if not invoiceable(actual):
                raise BusinessRuleViolation(TABLE, "The actual cannot be invoiced.")
            marked.append(tx.update(TABLE, actual_id, {"msdyn_billingstatus": BillingStatus.READY_TO_INVOICE}))
    return marked
