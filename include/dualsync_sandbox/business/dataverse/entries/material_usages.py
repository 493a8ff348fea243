"""Usages of material that Finance's packing slips bring are approved by themselves [J15].

A usage that names its packing slip line came from Finance; the column is assumed. As with expenses, the job runs with
the write that caused it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from dualsync_sandbox.business.dataverse.actuals import Maker, standing
from dualsync_sandbox.business.dataverse.choices import EntryStatus, TransactionClass
from dualsync_sandbox.business.dataverse.entries.work import MATERIAL, work_of

if TYPE_CHECKING:
    from dualsync_sandbox.business.dataverse.prices import Prices
    from dualsync_sandbox.store import Event, Store, Tx


def _approve(tx: Tx, event: Event, prices: Prices) -> None:
    usage = event.after
    assert usage is not None
    usage_id = usage[f"{MATERIAL}id"]
    arrived = usage["msdyn_externalmaterialusage"] is not None and usage["msdyn_approvalstatus"] != EntryStatus.APPROVED
    if not arrived or not usage["msdyn_project"] or not usage["msdyn_date"] or standing(tx, usage_id):
        return
    Maker(tx, prices).make(work_of(tx, TransactionClass.MATERIAL, usage))
    tx.update(MATERIAL, usage_id, {"msdyn_approvalstatus": EntryStatus.APPROVED})


def install(dataverse: Store, prices: Prices) -> None:
    """Register the rule with Dataverse."""
    dataverse.on(MATERIAL, {"create", "update"}, partial(_approve, prices=prices))
