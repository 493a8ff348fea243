"""The business that happens inside the two systems when rows are saved: their own logic, not the integration's.

Every module names in brackets the rules of ``docs/rules.md`` that it follows. Rules run as hooks of the stores, in the
transaction of the row that caused them. Where the product's behaviour is not documented, the docstring says *assumed*.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualsync_sandbox.business import deletes
from dualsync_sandbox.business.dataverse import rules as dataverse_rules
from dualsync_sandbox.business.finance import rules as finance_rules
from dualsync_sandbox.business.finance.dataverse_link import connect
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
        dataverse: The store of Project Operations on Dataverse.
        finance: The store of Dynamics 365 Finance.
        clock: The time both systems go by.
        parameters: What an administrator has set up; the defaults when left out.
        switches: Behaviours that can be switched while the sandbox runs; the defaults when left out.
    """
    parameters, switches = parameters or Parameters(), switches or Switches()
    dataverse_rules.install(dataverse, parameters, switches)
    finance_rules.install(finance, parameters, clock)
    connect(finance, dataverse)
    deletes.install(dataverse, finance)
