"""What the demo says at the end of a run."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.table import Table

from dualsync.ledger.records import LegCounts, LegRecord

COLUMNS = ("planned", "created", "updated", "deleted", "unchanged", "conflict", "waiting", "quarantined", "skipped")
FINE = ("settled", "dry_run")


def failed_legs(legs: Iterable[LegRecord]) -> list[LegRecord]:
    """The legs that did not end well."""
    return [leg for leg in legs if leg.state not in FINE]


def table(title: str, legs: Iterable[LegRecord]) -> Table:
    """One line for each leg that had something to do, and one of totals."""
    shown = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("map", "company", "direction"):
        shown.add_column(name, no_wrap=True)
    for name in COLUMNS:
        shown.add_column(name, justify="right", no_wrap=True)
    shown.add_column("state", no_wrap=True)
    total = LegCounts()
    idle = 0
    for leg in sorted(legs, key=lambda leg: (leg.started_at, leg.map, leg.direction, leg.company)):
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
