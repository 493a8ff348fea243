"""What became of the single rows of a run, as every command that repairs prints it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dualsync.cli.context import console, new_table

if TYPE_CHECKING:
    from dualsync.repair.replay import RowOutcome
    from dualsync.sync.run.runs import RunSummary


def print_outcomes(summary: RunSummary, rows: Sequence[RowOutcome]) -> None:
    """Print what became of the single rows of a run.

    Args:
        summary: The run.
        rows: Its rows.
    """
    from dualsync.reports.words import direction_word, state_word

    heads = ("map", "direction", "company", "key", "outcome", "columns or reason")
    table = new_table(*heads, title=f"run {summary.run_id}: {state_word(summary.state)}")
    for row in rows:
        place = (row.row.map, direction_word(row.row.direction), row.row.company, row.row.key)
        table.add_row(*place, row.action, row.reason or ", ".join(row.columns))
    console().print(table)


def outcomes_data(summary: RunSummary, rows: Sequence[RowOutcome]) -> dict[str, Any]:
    """Return what became of the single rows of a run as plain data.

    Args:
        summary: The run.
        rows: Its rows.
    """
    return {"run_id": summary.run_id, "state": summary.state, "rows": [row.to_dict() for row in rows]}
