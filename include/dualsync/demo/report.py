"""What the demo says at the end of a run."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from rich.table import Table

from dualsync.ledger import Ledger
from dualsync.ledger.records import LegCounts, LegRecord

COLUMNS = ("planned", "created", "updated", "deleted", "unchanged", "conflict", "waiting", "quarantined")
FINE = ("settled", "dry_run")


def legs_since(ledger: Ledger, area: str, moment: datetime) -> list[LegRecord]:
    """The legs of the newest run of an area that started since a moment; empty if there is none."""
    for run in ledger.runs():
        if run.area == area and run.started_at >= moment:
            return ledger.legs(run.run_id)
    return []


def failed_legs(legs: Iterable[LegRecord]) -> list[LegRecord]:
    """The legs that did not end well."""
    return [leg for leg in legs if leg.state not in FINE]


def table(title: str, legs: Iterable[LegRecord]) -> Table:
    """One line for each leg that had something to do, and one of totals."""
    shown = Table(title=title, title_justify="left")
    for name in ("map", "company", "direction"):
        shown.add_column(name)
    for name in COLUMNS:
        shown.add_column(name, justify="right")
    shown.add_column("state")
    total = LegCounts()
    idle = 0
    for leg in legs:
        total += leg.counts
        if not leg.counts.planned and leg.state in FINE:
            idle += 1
            continue
        direction = f"{leg.direction.replace('_', ' ')}{' (deletes)' if leg.part == 'deletes' else ''}"
        state = leg.state if leg.state in FINE else f"[red]{leg.state}[/red]"
        shown.add_row(leg.map, leg.company, direction, *_figures(leg.counts), state)
    shown.add_section()
    shown.add_row("total", "", f"{idle} more had nothing to do" if idle else "", *_figures(total), "", style="bold")
    return shown


def _figures(counts: LegCounts) -> list[str]:
    return [f"{getattr(counts, name):,}" for name in COLUMNS]
