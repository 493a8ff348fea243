"""What a lookup's ``on`` says: columns of the parent, the Finance columns they fill, and where a base has them."""

from __future__ import annotations

from dualsync.mapping import Lookup, TableMap
from dualsync.mapping.words import COMPANY_WORD
from dualsync.sync.plan.columns import ColumnPair
from dualsync.sync.plan.vocabulary import agreed


def base_column(parent: TableMap, path: str) -> str:
    """The column of a parent's base that answers a path of a lookup's ``on``.

    Raises:
        KeyError: The parent's map has no such pair.
    """
    if path == parent.dataverse.id:
        return "id"
    if path in parent.dataverse.key:
        return agreed("finance", parent.finance.key[parent.dataverse.key.index(path)])
    for field in parent.fields:
        if field.dataverse == path:
            return agreed("finance", field.finance) if field.finance else agreed("dataverse", path)
    raise KeyError(f"map {parent.map} pairs no column {path}")


def column_in_parent(table_map: TableMap, pair: ColumnPair) -> str:
    """Of a lookup among the rows of a map, the column of a base in which the parent has what the pair writes."""
    assert isinstance(pair.entry, Lookup)
    paths, columns, _ = key_paths(pair.entry, None)
    return base_column(table_map, paths[columns.index(pair.target)])


def key_paths(lookup: Lookup, target: str | None) -> tuple[tuple[str, ...], tuple[str, ...], str | None]:
    """A lookup's parent columns, the Finance columns they fill, and the Finance column of the parent's company."""
    on = lookup.on_of(target)
    pairs = [(path, column) for path, column in on.items() if path != COMPANY_WORD]
    return tuple(path for path, _ in pairs), tuple(column for _, column in pairs), on.get(COMPANY_WORD)
