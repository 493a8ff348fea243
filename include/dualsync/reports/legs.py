"""Tables of what runs did, by transfer and by area, as the command line and the demo show them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping

from rich import box
from rich.console import Console
from rich.table import Table

from dualsync.ledger.records import LegCounts, LegRecord
from dualsync.mapping.areas import area_title
from dualsync.reports.words import direction_word, phase_word, state_word

ALWAYS = ("planned", "created", "updated", "unchanged", "waiting", "quarantined")
"""Counts that always have a column."""

SELDOM = ("deleted", "conflict", "skipped")
"""Counts that get a column only where one of them is not zero."""

FINE = ("settled", "dry_run")
"""States of transfers that ended well."""

_DONE = ("created", "updated", "deleted", "unchanged")

_WIDTH = 144
"""Enough for the longest names and all columns."""


def wide_console(*, stderr: bool = False) -> Console:
    """Return a console whose lines are wide enough for the table, also where output goes to a file.

    Args:
        stderr: Whether it prints to stderr.
    """
    console = Console(stderr=stderr, highlight=False)
    if console.width >= _WIDTH:
        return console
    return Console(file=sys.stderr if stderr else sys.stdout, highlight=False, width=_WIDTH)


def failed_legs(legs: Iterable[LegRecord]) -> list[LegRecord]:
    """Return the transfers that did not end well.

    Args:
        legs: The transfers.
    """
    return [leg for leg in legs if leg.state not in FINE]


def legs_table(title: str, legs: Iterable[LegRecord]) -> Table:
    """Return a table with a line for each transfer that had something to do, and one of totals.

    Args:
        title: What stands above it.
        legs: The transfers.
    """
    ordered = sorted(legs, key=lambda leg: (leg.started_at, leg.map, leg.direction, leg.company))
    busy = [leg for leg in ordered if leg.counts.planned or leg.state not in FINE]
    total = sum((leg.counts for leg in ordered), LegCounts())
    columns = [
        name for name in LegCounts.__dataclass_fields__ if name in ALWAYS or (name in SELDOM and getattr(total, name))
    ]
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=0)
    for head in ("map", "company", "direction"):
        table.add_column(head, no_wrap=True)
    for head in columns:
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for leg in busy:
        table.add_row(leg.map, leg.company, _way(leg), *_figures(leg.counts, columns), _state(leg))
    table.add_section()
    table.add_row("total", "", "", *_figures(total, columns), "", style="bold")
    if idle := len(ordered) - len(busy):
        table.caption = f"{idle} more {'transfer' if idle == 1 else 'transfers'} had nothing to do"
        table.caption_justify = "left"
    return table


def _way(leg: LegRecord) -> str:
    direction = direction_word(leg.direction)
    return f"{direction} ({phase_word(leg.part)})" if leg.part == "deletes" else direction


def _state(leg: LegRecord) -> str:
    word = state_word(leg.state)
    return word if leg.state in FINE else f"[red]{word}[/red]"


def areas_table(
    title: str, legs: Iterable[LegRecord], areas: Mapping[str, str], still_open: Mapping[str, int]
) -> Table:
    """Return a table with a line for each area: what transfers of all runs did, and what is open afterwards.

    Args:
        title: What stands above it.
        legs: The transfers.
        areas: The area of each map, in the order in which they are shown.
        still_open: How many rows wait or are blocked now, by area.
    """
    totals = {area: LegCounts() for area in areas.values()}
    stopped = dict.fromkeys(totals, 0)
    for leg in legs:
        totals[areas[leg.map]] += leg.counts
        stopped[areas[leg.map]] += leg.state not in FINE
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=0)
    table.add_column("area", no_wrap=True)
    for head in (*_DONE, "open now", "transfers stopped"):
        table.add_column(head, justify="right", no_wrap=True)
    for area, counts in totals.items():
        marks = [f"[red]{number}[/red]" if number else "0" for number in (still_open.get(area, 0), stopped[area])]
        table.add_row(area_title(area), *_figures(counts, _DONE), *marks)
    return table


def _figures(counts: LegCounts, columns: Iterable[str]) -> list[str]:
    return [f"{getattr(counts, name):,}" for name in columns]
