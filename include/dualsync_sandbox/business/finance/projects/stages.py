"""What a project's stage lets happen in Finance [C11]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualsync_sandbox.errors import BusinessRuleViolation

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row, Tx


def open_project(tx: Tx, table: str, area: object, project_id: object) -> Row:
    """Return a project that something is to be recorded on.

    Args:
        tx: The transaction.
        table: What is written, for the refusal.
        area: ``dataAreaId`` of the company that owns the project.
        project_id: The project.

    Raises:
        BusinessRuleViolation: The company has no such project, or it is finished.
    """
    project = tx.find_one("ProjectsV2", dataAreaId=area, ProjectId=project_id)
    if project is None:
        raise BusinessRuleViolation(table, f"Project {project_id} doesn't exist in {str(area).upper()}.")
    if project["ProjectStage"] == "Completed":
        raise BusinessRuleViolation(table, "Project stage finished doesn't allow recording in the project.")
    return project
