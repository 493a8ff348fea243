"""All rules of Dataverse, in the order in which they see a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualsync_sandbox.business.dataverse import estimates, guards, numbers, people
from dualsync_sandbox.business.dataverse.contracts import actuals, customers, projects
from dualsync_sandbox.business.dataverse.entries import approvals, expense_checks, material_usages
from dualsync_sandbox.business.dataverse.invoicing import customer_invoices, proformas
from dualsync_sandbox.business.dataverse.procurement import subcontracts, vendor_accounts, vendor_invoices

if TYPE_CHECKING:
    from dualsync_sandbox.business.parameters import Parameters
    from dualsync_sandbox.business.switches import Switches
    from dualsync_sandbox.store import Store


def install(store: Store, parameters: Parameters, switches: Switches) -> None:
    """Register every rule of Dataverse with its store.

    Args:
        store: The store of Project Operations on Dataverse.
        parameters: What an administrator has set up.
        switches: Behaviours that can be switched while the sandbox runs.
    """
    numbers.install(store)
    people.install(store)
    customers.install(store)
    projects.install(store)
    actuals.install(store, parameters.prices)
    estimates.install(store)
    expense_checks.install(store)
    approvals.install(store, parameters.prices, switches)
    guards.install(store, switches)
    vendor_accounts.install(store, switches)
    subcontracts.install(store)
    vendor_invoices.install(store, parameters.prices, switches)
    material_usages.install(store, parameters.prices)
    proformas.install(store)
    customer_invoices.install(store)
