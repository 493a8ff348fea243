"""A contract line ties its project to the contract: ``msdyn_project.msdyn_salesorderid`` follows the lines.

The project is attached to a contract through the contract line (business note of the Projects V2 map), so the contract
can arrive on a project long after it was created.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dualsync_sandbox.store import Event, Row, Store, Tx


def _point(tx: Tx, project_id: object, contract_id: object) -> None:
    project = tx.get("msdyn_project", project_id)
    if project is not None and project.get("msdyn_salesorderid") != contract_id:
        tx.update("msdyn_project", project_id, {"msdyn_salesorderid": contract_id})


def _release(tx: Tx, line: Row) -> None:
    """Clear the contract of a line's project, unless another line still ties the two together."""
    project_id, contract_id = line["msdyn_project"], line["salesorderid"]
    others = [
        other
        for other in tx.find("salesorderdetail", msdyn_project=project_id)
        if other["salesorderdetailid"] != line["salesorderdetailid"] and other.get("salesorderid") == contract_id
    ]
    project = tx.get("msdyn_project", project_id)
    if not others and project is not None and project.get("msdyn_salesorderid") == contract_id:
        tx.update("msdyn_project", project_id, {"msdyn_salesorderid": None})


def _follow(tx: Tx, event: Event) -> None:
    before, after = event.before, event.after
    old = (before or {}).get("msdyn_project")
    new = (after or {}).get("msdyn_project")
    moved = (before or {}).get("salesorderid") != (after or {}).get("salesorderid")
    if before is not None and old and (old != new or moved):
        _release(tx, before)
    if after is not None and new and (old != new or moved):
        _point(tx, new, after["salesorderid"])


def install(dataverse: Store) -> None:
    """Register the rule with Dataverse."""
    dataverse.on("salesorderdetail", {"create", "update", "delete"}, _follow)
