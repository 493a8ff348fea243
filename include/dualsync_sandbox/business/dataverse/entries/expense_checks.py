"""What Dataverse refuses about expenses: parent tasks [C9] and categories of another company [D4, I1].

The first message is the documented one; the second is assumed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualsync_sandbox.business.dataverse.choices import TransactionClass
from dualsync_sandbox.errors import BusinessRuleViolation

if TYPE_CHECKING:
    from dualsync_sandbox.store import Event, Store, Tx

_PARENT_TASK = "Could not resolve project task for export expense"
_FOREIGN_CATEGORY = "The expense category doesn't belong to the owning company of the project."


def is_leaf(tx: Tx, task_id: object) -> bool:
    """Whether a task has no tasks below it."""
    return tx.find_one("msdyn_projecttask", msdyn_parenttask=task_id) is None


def _check_expense(tx: Tx, event: Event) -> None:
    expense = event.after
    assert expense is not None
    task_id = expense["msdyn_task"]
    if expense["msdyn_externalexpensenumber"] and task_id and not is_leaf(tx, task_id):
        raise BusinessRuleViolation("msdyn_expense", _PARENT_TASK)
    project = tx.get("msdyn_project", expense["msdyn_project"]) if expense["msdyn_project"] else None
    category_id = expense["msdyn_expensecategory"]
    category = tx.get("msdyn_expensecategory", category_id) if category_id else None
    if project is None or category is None or category["msdyn_company"] is None:
        return
    if category["msdyn_company"] != project["msdyn_owningcompany"]:
        raise BusinessRuleViolation("msdyn_expense", _FOREIGN_CATEGORY)


def _check_estimate(tx: Tx, event: Event) -> None:
    """Estimates name the transaction category: some expense category of the company must carry it [D4].

    A transaction category that no company spends on yet is let pass, so that estimates can come before the categories.
    """
    line = event.after
    assert line is not None
    category_id = line["msdyn_transactioncategory"]
    if (
        line["msdyn_transactionclassification"] != TransactionClass.EXPENSE
        or not category_id
        or not line["msdyn_project"]
    ):
        return
    project = tx.get("msdyn_project", line["msdyn_project"])
    companies = {
        category["msdyn_company"]
        for column in ("msdyn_transactioncategory", "msdyn_expensecategoryuid")
        for category in tx.find("msdyn_expensecategory", **{column: category_id})
    }
    if project is not None and companies and project["msdyn_owningcompany"] not in companies:
        raise BusinessRuleViolation("msdyn_estimateline", _FOREIGN_CATEGORY)


def install(dataverse: Store) -> None:
    """Register the checks with Dataverse."""
    dataverse.on("msdyn_expense", {"create", "update"}, _check_expense, when="before")
    dataverse.on("msdyn_estimateline", {"create", "update"}, _check_estimate, when="before")
