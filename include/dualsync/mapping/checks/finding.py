"""What all checks of table maps share: the map that is checked, and what is found wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dualsync.errors import SchemaMismatch
from dualsync.mapping.catalog import Catalog
from dualsync.mapping.model import Lookup, TableMap
from dualsync.mapping.places import Loc, dotted
from dualsync.mapping.schema import Column, Schema
from dualsync.sides import DIRECTIONS, Direction, Side, Way


@dataclass(frozen=True)
class Finding:
    """One thing wrong with a map. An ``error`` stops the map, a ``warning`` leaves out the pair it names."""

    map: str
    path: Path
    line: int
    severity: Literal["error", "warning"]
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.severity}: {self.text}"


class MapCheck:
    """One map that is checked, with all that its checks need.

    Args:
        table_map: The map.
        catalog: All maps.
        schema: The columns of both sides.
    """

    def __init__(self, table_map: TableMap, catalog: Catalog, schema: Schema) -> None:
        self.map = table_map
        self.catalog = catalog
        self.schema = schema
        self.names: dict[Side, str] = {"dataverse": table_map.dataverse.table, "finance": table_map.finance.set}

    def finding(self, loc: Loc, text: str, severity: Literal["error", "warning"] = "error") -> Finding:
        """What is wrong at a place of the map."""
        return Finding(self.map.map, self.map.path, self.map.line(*loc), severity, f"{dotted(loc)}: {text}")

    def column(self, side: Side, name: str) -> Column | None:
        """A column of this map's tables; None where the table is not known (reported once) or lacks it."""
        return self.schema.table(side, self.names[side]).columns.get(name) if self.is_known(side) else None

    def is_known(self, side: Side) -> bool:
        """True if the columns of this map's table are known."""
        return self.schema.has(side, self.names[side])

    def missing(self, side: Side, name: str, loc: Loc, *, stops: bool) -> Iterator[Finding]:
        """A finding if the column does not exist. A missing key, company or filter column stops the map."""
        if self.is_known(side):
            try:
                self.schema.column(side, self.names[side], name)
            except SchemaMismatch as error:
                yield self.finding(loc, str(error), "error" if stops else "warning")

    def creating_directions(self) -> tuple[Direction, ...]:
        """The directions in which rows are created."""
        return {"dataverse": DIRECTIONS[:1], "finance": DIRECTIONS[1:], "both": DIRECTIONS}[self.map.rows.created_by]


def targets_of(lookup: Lookup) -> tuple[str | None, ...]:
    """The target tables of a polymorphic lookup; None alone for any other."""
    return (None,) if lookup.targets is None else tuple(lookup.targets)


def spoken(direction: Way) -> str:
    """A way as people say it: to Finance, to Dataverse."""
    return direction.replace("to_", "to ").replace("dataverse", "Dataverse").replace("finance", "Finance")
