"""Related-record checks of Finance that concern more than one column's relation.

The plain relations (customer, currency, terms of payment, project, ...) are declared with the tables; here stand those
that hold only within a contract or a project. The wording is that of Finance's own message.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from dualsync_sandbox.errors import BusinessRuleViolation

if TYPE_CHECKING:
    from dualsync_sandbox.store import Event, Store, Tx


def not_found(table: str, value: object, field: str, related: str) -> BusinessRuleViolation:
    """Return Finance's refusal of a value that its related table does not hold."""
    return BusinessRuleViolation(
        table, f"The value '{value}' in field '{field}' is not found in the related table '{related}'."
    )


def _within(
    tx: Tx, event: Event, column: str, label: str, related: str, related_label: str, match: dict[str, str]
) -> None:
    row = event.after
    assert row is not None
    value = row.get(column)
    if value and not tx.find(related, **{theirs: row.get(ours) or "" for theirs, ours in match.items()}):
        raise not_found(event.table, value, label, related_label)


_CHECKS = (
    (
        "ProjectTasks", "ParentTaskElementId", "Parent task", "ProjectTasks", "Project tasks",
        {"dataAreaId": "dataAreaId", "ProjectId": "ProjectId", "TaskElementId": "ParentTaskElementId"},
    ),
    (
        "ProjectContractLineMilestones", "ContractLineId", "Contract line ID", "ProjectContractLines",
        "Project contract lines",
        {"dataAreaId": "dataAreaId", "ProjectContractId": "ProjectContractId", "ContractLineId": "ContractLineId"},
    ),
    (
        "ProjectContractLineMilestones", "ActivityNumber", "Activity number", "ProjectTasks", "Activities",
        {"dataAreaId": "dataAreaId", "ProjectId": "ProjectNumber", "TaskId": "ActivityNumber"},
    ),
)  # fmt: skip


def install(finance: Store) -> None:
    """Register the checks with Finance."""
    for table, column, label, related, related_label, match in _CHECKS:
        check = partial(_within, column=column, label=label, related=related, related_label=related_label, match=match)
        finance.on(table, {"create", "update"}, check, when="before")
