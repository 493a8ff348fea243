"""Tables of what runs did, by leg and by area, as the command line and the demo show them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping

from rich import box
from rich.console import Console
from rich.table import Table

from dualsync.ledger.records import LegCounts, LegRecord

ALWAYS = ("planned", "created", "updated", "unchanged", "waiting", "quarantined")
SELDOM = ("deleted", "conflict", "skipped")
"""Counts that get a column only where one of them is not zero."""

_DONE = ("created", "updated", "deleted", "unchanged")

FINE = ("settled", "dry_run")
_WIDTH = 144
"""Enough for the longest names and all columns."""


def wide_console(*, stderr: bool = False) -> Console:
    """A console whose lines are wide enough for the table, also where output goes to a file."""
    found = Console(stderr=stderr, highlight=False)
    if found.width >= _WIDTH:
        return found
    return Console(file=sys.stderr if stderr else sys.stdout, highlight=False, width=_WIDTH)


def failed_legs(legs: Iterable[LegRecord]) -> list[LegRecord]:
    """The legs that did not end well."""
    return [leg for leg in legs if leg.state not in FINE]


def legs_table(title: str, legs: Iterable[LegRecord]) -> Table:
    """One line for each leg that had something to do, and one of totals."""
    found = sorted(legs, key=lambda leg: (leg.started_at, leg.map, leg.direction, leg.company))
    total = sum((leg.counts for leg in found), LegCounts())
    columns = [
        name for name in LegCounts.__dataclass_fields__ if name in ALWAYS or (name in SELDOM and getattr(total, name))
    ]
    shown = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=0)
    for name in ("map", "company", "direction"):
        shown.add_column(name, no_wrap=True)
    for name in columns:
        shown.add_column(name, justify="right", no_wrap=True)
    shown.add_column("state", no_wrap=True)
    idle = 0
    for leg in found:
        if not leg.counts.planned and leg.state in FINE:
            idle += 1
            continue
        direction = f"{leg.direction.replace('_', ' ')}{' (deletes)' if leg.part == 'deletes' else ''}"
        state = leg.state if leg.state in FINE else f"[red]{leg.state}[/red]"
        shown.add_row(leg.map, leg.company, direction, *_figures(leg.counts, columns), state)
    shown.add_section()
    shown.add_row("total", "", "", *_figures(total, columns), "", style="bold")
    if idle:
        shown.caption = f"{idle} more legs had nothing to do"
        shown.caption_justify = "left"
    return shown


def areas_table(
    title: str, legs: Iterable[LegRecord], areas: Mapping[str, str], still_open: Mapping[str, int]
) -> Table:
    """One line for each area: what legs of one run or several did together, and what stands open afterwards.

    Args:
        title: what stands above.
        legs: the legs.
        areas: the area of each map, in the order in which they are shown.
        still_open: how many rows are held back or wait now, by area.
    """
    totals = {area: LegCounts() for area in areas.values()}
    stopped = dict.fromkeys(totals, 0)
    for leg in legs:
        totals[areas[leg.map]] += leg.counts
        stopped[areas[leg.map]] += leg.state not in FINE
    shown = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=0)
    shown.add_column("area", no_wrap=True)
    for name in (*_DONE, "open now", "legs stopped"):
        shown.add_column(name, justify="right", no_wrap=True)
    for area, counts in totals.items():
        left, failed = still_open.get(area, 0), stopped[area]
        marks = [f"[red]{number}[/red]" if number else "0" for number in (left, failed)]
        shown.add_row(area, *_figures(counts, list(_DONE)), *marks)
    return shown


def _figures(counts: LegCounts, columns: list[str]) -> list[str]:
    return [f"{getattr(counts, name):,}" for name in columns]
