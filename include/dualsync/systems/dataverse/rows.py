"""Rows of Dataverse: how they are asked for, how they come back, and how they are given to be written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dualsync.systems.dataverse.metadata import NUMBERS, TableInfo
from dualsync.systems.odata import Row, make_exact, picked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_TARGET_TABLE = "Microsoft.Dynamics.CRM.lookuplogicalname"


@dataclass(frozen=True, slots=True)
class Bind:
    """The value of a lookup that is written: the table and the record id it shall point to."""

    table: str
    id: str


@dataclass(frozen=True, slots=True)
class UpsertRow:
    """One row to create or update by an alternate key.

    Attributes:
        key: The key's columns, all of them; lookups among them as Bind or as GUID text.
        values: The other columns, only those that shall change; lookups as Bind, None empties a column.
    """

    key: Mapping[str, object]
    values: Mapping[str, object]


class Changes:
    """What changed in a table since a token. Iterate once over its pages of rows.

    Attributes:
        deleted: Ids of deleted rows seen so far. The service gives no keys of them.
        token: Where to go on next time; None until the last page was read.
    """

    def __init__(self, iterator: Iterator[Row], columns: Columns, root: str) -> None:
        self._pages = iterator
        self._columns = columns
        self._root = root
        self.deleted: list[str] = []
        self.token: str | None = None

    def __iter__(self) -> Iterator[list[Row]]:
        """Yield the new and updated rows of each page, in the form of ``Dataverse.read``."""
        for page in self._pages:
            rows: list[Row] = []
            for row in page["value"]:
                # An ordinary row has no context of its own; only then may it have a column called "reason".
                if "@odata.context" in row and row.get("reason") == "deleted":
                    self.deleted.append(row["id"].lower())
                else:
                    rows.append(row)
            link = page.get("@odata.deltaLink")
            yield self._columns.pick(rows)
            if link:
                # Kept without the host, so that a sandbox may come back on another port.
                self.token = link.removeprefix(f"{self._root}/")


class Columns:
    """The selected columns of a table: how to ask for them, and how to name what comes back."""

    def __init__(self, info: TableInfo, select: Sequence[str]) -> None:
        names = list(dict.fromkeys((info.primary_id, *select)))
        self.info = info
        self._pairs = [(name, info.wire_name(name)) for name in names]
        self._numbers = [name for name in names if info.attributes[name].type in NUMBERS]
        self._several = [(name, wire) for name, wire in self._pairs if len(info.attributes[name].targets) > 1]
        self.select = ",".join(wire for _, wire in self._pairs)

    def headers(self, page_size: int | None = None, *preferences: str) -> dict[str, str]:
        """The headers that ask for pages of that size, for preferences, and for the targets of polymorphic lookups."""
        preferred = list(preferences)
        if page_size:
            preferred.append(f"odata.maxpagesize={page_size}")
        if self._several:
            preferred.append(f'odata.include-annotations="{_TARGET_TABLE}"')
        return {"Prefer": ",".join(preferred)} if preferred else {}

    def pick(self, rows: list[Row]) -> list[Row]:
        """The rows of a page in the form of ``Dataverse.read``."""
        result = picked(rows, self._pairs, f"Dataverse table {self.info.table}")
        make_exact(result, self._numbers)
        for name, wire in self._several:
            annotation = f"{wire}@{_TARGET_TABLE}"
            for row, raw in zip(result, rows, strict=True):
                row[f"{name}@type"] = raw.get(annotation)
        return result
