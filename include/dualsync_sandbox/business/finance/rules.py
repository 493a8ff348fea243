"""All rules of Finance, in the order in which they see a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualsync_sandbox.business.finance.invoicing import proposals
from dualsync_sandbox.business.finance.journals import staging
from dualsync_sandbox.business.finance.procurement import purchase_orders, subcontracts, vendor_invoices
from dualsync_sandbox.business.finance.projects import forecasts
from dualsync_sandbox.business.finance.setup import (
    billing_rules,
    categories,
    milestones,
    procurement,
    references,
    roles,
    shared_categories,
)

if TYPE_CHECKING:
    from dualsync_sandbox.business.parameters import Parameters
    from dualsync_sandbox.clock import Clock
    from dualsync_sandbox.store import Store


def install(store: Store, parameters: Parameters, clock: Clock) -> None:
    """Register every rule of Finance with its store.

    Args:
        store: The store of Dynamics 365 Finance.
        parameters: What an administrator has set up.
        clock: The time both systems go by.
    """
    references.install(store)
    billing_rules.install(store)
    roles.install(store, parameters)
    shared_categories.install(store, parameters)
    milestones.install(store, clock)
    categories.install(store, parameters)
    forecasts.install(store)
    staging.install(store)
    proposals.install(store)
    procurement.install(store, parameters)
    vendor_invoices.install(store)
    purchase_orders.install(store)
    subcontracts.install(store)
