"""Units of headers and their lines, as the command line shows them."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.table import Table

from dualsync.ledger.documents import Document


def units_table(units: Iterable[Document]) -> Table:
    """One line for each unit."""
    shown = Table(box=box.SIMPLE_HEAD, padding=0)
    for name in ("map", "company", "key", "state"):
        shown.add_column(name, no_wrap=True)
    for name in ("lines", "there"):
        shown.add_column(name, justify="right", no_wrap=True)
    for name in ("since", "missing"):
        shown.add_column(name)
    for one in units:
        since = f"{one.since:%Y-%m-%d %H:%M}" if one.since else ""
        counts = (str(one.expected), str(one.acknowledged))
        shown.add_row(one.map, one.company, one.key, one.state, *counts, since, ", ".join(one.missing))
    return shown
