"""The table of documents (headers with their lines), as the command line shows it."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.table import Table

from dualsync.ledger.documents import Document


def documents_table(documents: Iterable[Document]) -> Table:
    """Return a table with one line for each document.

    Args:
        documents: The documents.
    """
    table = Table(box=box.SIMPLE_HEAD, padding=0)
    for head in ("map", "company", "key", "state"):
        table.add_column(head, no_wrap=True)
    for head in ("lines", "on both sides"):
        table.add_column(head, justify="right", no_wrap=True)
    for head in ("since", "missing"):
        table.add_column(head)
    for document in documents:
        table.add_row(
            document.map,
            document.company,
            document.key,
            document.state,
            str(document.expected),
            str(document.acknowledged),
            f"{document.since:%Y-%m-%d %H:%M}" if document.since else "",
            ", ".join(document.missing),
        )
    return table
