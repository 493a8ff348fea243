"""Actuals are never deleted, and callers from outside may not change what is not theirs [E21, E22].

Deletes are always refused. The rest hangs on the switch ``protect_actuals``, because older versions allow it: no
creation but by the product's own logic, no change but of the descriptions, and of the columns that dual-write brings
back only by the user of dual-write. The refusal has the words the product's documentation quotes for creation; those
for changes are assumed.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from dualsync_sandbox.business.dataverse.actuals import TABLE
from dualsync_sandbox.errors import BusinessRuleViolation

if TYPE_CHECKING:
    from dualsync_sandbox.business.switches import Switches
    from dualsync_sandbox.store import Event, Store, Tx

FREE = frozenset({"msdyn_description", "msdyn_externaldescription"})
"""Columns of an actual that anybody may edit [E21]."""

DUAL_WRITE = frozenset(
    {
        "exchangerate",
        "msdyn_accountingamount",
        "msdyn_accountingdate",
        "msdyn_externalreferenceid",
        "msdyn_isjournalized",
        "msdyn_salestaxamount",
        "msdyn_vouchernumber",
    }
)
"""Columns of an actual that Finance gives back, so that only dual-write may change them [E22]."""

_STAMPS = frozenset({"createdon", "modifiedon", "createdby", "modifiedby", "versionnumber"})


def _keep(tx: Tx, event: Event) -> None:  # noqa: ARG001 - the signature of a hook
    raise BusinessRuleViolation(TABLE, "Actuals can't be deleted.")


def _refuse_creation(tx: Tx, event: Event, switches: Switches) -> None:  # noqa: ARG001 - the signature of a hook
    if tx.from_outside and switches.protect_actuals and not switches.integration_user:
        raise BusinessRuleViolation(
            TABLE, "Product doesn't support creating actuals manually or through customizations."
        )


def _refuse_change(tx: Tx, event: Event, switches: Switches) -> None:
    if not tx.from_outside or not switches.protect_actuals:
        return
    assert event.before is not None
    assert event.after is not None
    changed = {name for name, value in event.after.items() if value != event.before.get(name)} - FREE - _STAMPS
    if switches.integration_user:
        changed -= DUAL_WRITE
    if changed:
        names = ", ".join(sorted(changed))
        raise BusinessRuleViolation(TABLE, f"Only dual-write can change {names} of an actual.")


def install(dataverse: Store, switches: Switches) -> None:
    """Register the refusals with Dataverse."""
    dataverse.on(TABLE, {"delete"}, _keep, when="before")
    dataverse.on(TABLE, {"create"}, partial(_refuse_creation, switches=switches), when="before")
    dataverse.on(TABLE, {"update"}, partial(_refuse_change, switches=switches), when="before")
