"""The business that happens inside the two systems when rows are saved: their own logic, not the integration's.

Every module names in brackets the rules of ``docs/rules.md`` that it follows. Rules run as hooks of the stores, in the
transaction of the row that caused them. Where the product's behaviour is not documented, the docstring says *assumed*.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualsync_sandbox.business import deletes
from dualsync_sandbox.business.dataverse import estimates, guards, numbers
from dualsync_sandbox.business.dataverse.contracts import actuals as contract_actuals
from dualsync_sandbox.business.dataverse.contracts import customers as contract_customers
from dualsync_sandbox.business.dataverse.contracts import projects as contract_projects
from dualsync_sandbox.business.dataverse.entries import approvals, expense_checks, material_usages
from dualsync_sandbox.business.dataverse.invoicing import customer_invoices, proformas
from dualsync_sandbox.business.dataverse.procurement import subcontracts, vendor_accounts, vendor_invoices
from dualsync_sandbox.business.finance import dataverse_link as finance_dataverse
from dualsync_sandbox.business.finance.invoicing import proposals as finance_proposals
from dualsync_sandbox.business.finance.journals import staging as finance_staging
from dualsync_sandbox.business.finance.procurement import purchase_orders as finance_purchase_orders
from dualsync_sandbox.business.finance.procurement import subcontracts as finance_subcontracts
from dualsync_sandbox.business.finance.procurement import vendor_invoices as finance_vendor_invoices
from dualsync_sandbox.business.finance.projects import forecasts as finance_forecasts
from dualsync_sandbox.business.finance.setup import billing_rules, milestones, references, roles, shared_categories
from dualsync_sandbox.business.finance.setup import categories as finance_categories
from dualsync_sandbox.business.finance.setup import procurement as finance_procurement
from dualsync_sandbox.business.parameters import Parameters
from dualsync_sandbox.business.switches import Switches

if TYPE_CHECKING:
    from dualsync_sandbox.clock import Clock
    from dualsync_sandbox.store import Store

__all__ = ["Parameters", "Switches", "install"]


def install(
    dataverse: Store,
    finance: Store,
    clock: Clock,
    parameters: Parameters | None = None,
    switches: Switches | None = None,
) -> None:
    """Register every rule with the two stores; call it once per pair of stores, before anything is written.

    Args:
        dataverse: the store of Project Operations on Dataverse.
        finance: the store of Dynamics 365 Finance.
        clock: the time both systems go by.
        parameters: what an administrator has set up; the defaults when left out.
        switches: behaviours that can be switched while the sandbox runs; the defaults when left out.
    """
    settings, switched = parameters or Parameters(), switches or Switches()
    numbers.install(dataverse)
    contract_customers.install(dataverse)
    contract_projects.install(dataverse)
    contract_actuals.install(dataverse, settings.prices)
    estimates.install(dataverse)
    expense_checks.install(dataverse)
    approvals.install(dataverse, settings.prices, switched)
    guards.install(dataverse, switched)
    vendor_accounts.install(dataverse, switched)
    subcontracts.install(dataverse)
    vendor_invoices.install(dataverse, settings.prices, switched)
    material_usages.install(dataverse, settings.prices)
    proformas.install(dataverse)
    customer_invoices.install(dataverse)
    references.install(finance)
    billing_rules.install(finance)
    roles.install(finance, settings)
    shared_categories.install(finance, settings)
    milestones.install(finance, clock)
    finance_categories.install(finance, settings)
    finance_forecasts.install(finance)
    finance_staging.install(finance)
    finance_dataverse.connect(finance, dataverse)
    finance_proposals.install(finance)
    finance_procurement.install(finance, settings)
    finance_vendor_invoices.install(finance)
    finance_purchase_orders.install(finance)
    finance_subcontracts.install(finance)
    deletes.install(dataverse, finance)
