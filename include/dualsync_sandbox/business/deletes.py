"""Deletes that a system refuses although no relation of its tables says so.

Plain cascades and restrictions are declared with the tables; here stand the two that are not. Both are assumed: the
sources say that projects hang on contracts through their lines, and that milestones belong to a line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualsync_sandbox.errors import DeleteRestricted

if TYPE_CHECKING:
    from dualsync_sandbox.store import Event, Store, Tx


def _keep_contracted_project(tx: Tx, event: Event) -> None:
    assert event.before is not None
    project_id = event.before["msdyn_projectid"]
    if tx.find_one("salesorderdetail", msdyn_project=project_id) is not None:
        raise DeleteRestricted("msdyn_project", project_id, "salesorderdetail")


def _keep_line_with_milestones(tx: Tx, event: Event) -> None:
    line = event.before
    assert line is not None
    of_line = {name: line[name] for name in ("dataAreaId", "ProjectContractId", "ContractLineId")}
    if line["ContractLineId"] and tx.find_one("ProjectContractLineMilestones", **of_line) is not None:
        raise DeleteRestricted("ProjectContractLines", line["RecId"], "ProjectContractLineMilestones")


def install(dataverse: Store, finance: Store) -> None:
    """Register the refusals with both systems."""
    dataverse.on("msdyn_project", {"delete"}, _keep_contracted_project, when="before")
    finance.on("ProjectContractLines", {"delete"}, _keep_line_with_milestones, when="before")
