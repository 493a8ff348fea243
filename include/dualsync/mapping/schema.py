"""What is known without a connection about the columns of both systems: kinds, lengths, keys, options, lookup targets.

The data are the tab-separated files in ``schema/dataverse`` and ``schema/finance``, one per table or entity set, each
naming its public source in its first line. What no public source tells is marked ``assumed`` in the notes. Live
metadata overrule all of it before anything is written.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import cast

from dualsync.errors import SchemaMismatch
from dualsync.mapping.words import Kind
from dualsync.sides import SIDES, Side
from dualsync.spelling import nearest

SCHEMA_FOLDER = Path(__file__).resolve().parent / "schema"
ASSUMED = "assumed"


@dataclass(frozen=True)
class Column:
    """One column of a Dataverse table or a Finance entity set.

    Attributes:
        name: As the Web API or OData spells it.
        kind: ``option`` is a Dataverse choice (whole numbers), ``enum`` a Finance enum (member names); ``date`` has no
            time of day, ``instant`` is a point in time in UTC.
        length: Most characters of a text, None where unknown or unlimited.
        scale: Digits after the point of a decimal (Dataverse money 4, other Dataverse decimals 10, Finance 6).
        required: The system refuses a new row without it.
        options: Number to label (option, bool) or to member (enum); None where not known.
        targets: Logical names of the tables a lookup can point to.
        key: The primary id in Dataverse, part of the entity key in Finance.
        note: Name of the Finance enum, and what is assumed.
    """

    name: str
    kind: Kind
    length: int | None
    scale: int | None
    required: bool
    options: dict[int, str] | None
    targets: tuple[str, ...]
    key: bool
    note: str

    @property
    def members(self) -> tuple[str, ...]:
        """Labels of the options, member names of an enum, in the order of their numbers."""
        return tuple(self.options[number] for number in sorted(self.options)) if self.options else ()

    def assumes(self, what: str) -> bool:
        """True if the note says that ``what`` (name, length, options, target) is an assumption."""
        _, _, assumed = self.note.partition(f"{ASSUMED}: ")
        return what in assumed.split(", ")


@dataclass(frozen=True)
class Table:
    """A Dataverse table (by logical name) or a Finance entity set, with its columns by name.

    ``about`` holds what the file says beside the columns: ``set`` and ``id`` for Dataverse, ``entity`` for Finance.
    """

    side: Side
    name: str
    columns: dict[str, Column]
    about: dict[str, str]

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of the key columns."""
        return tuple(column.name for column in self.columns.values() if column.key)


class Schema:
    """The tables of both sides.

    Args:
        tables: All tables.
    """

    def __init__(self, tables: list[Table]) -> None:
        self.tables: dict[tuple[Side, str], Table] = {(table.side, table.name): table for table in tables}

    @classmethod
    def load(cls) -> Schema:
        """The schema that comes with the package, read once per process."""
        return _packaged()

    def table(self, side: Side, name: str) -> Table:
        """A Dataverse table by logical name or a Finance entity set.

        Raises:
            SchemaMismatch: There is none of that name; names the nearest.
        """
        try:
            return self.tables[side, name]
        except KeyError:
            names = [other for other_side, other in self.tables if other_side == side]
            raise SchemaMismatch(f"no {side} table '{name}' is known{nearest(name, names)}") from None

    def column(self, side: Side, table: str, column: str) -> Column:
        """One column.

        Raises:
            SchemaMismatch: The table or the column is not known; names the nearest.
        """
        columns = self.table(side, table).columns
        try:
            return columns[column]
        except KeyError:
            raise SchemaMismatch(f"{side} {table} has no column '{column}'{nearest(column, columns)}") from None

    def has(self, side: Side, table: str) -> bool:
        """True if the table is known."""
        return (side, table) in self.tables


@cache
def _packaged() -> Schema:
    return Schema([read_table(side, file) for side in SIDES for file in sorted((SCHEMA_FOLDER / side).glob("*.tsv"))])


def read_table(side: Side, file: Path) -> Table:
    """One schema file; its name without the ending is the table's name."""
    lines = file.read_text(encoding="utf-8").splitlines()
    about = dict(line.removeprefix("#: ").split("\t", 1) for line in lines if line.startswith("#: "))
    rows = csv.DictReader(
        (line for line in lines if not line.startswith("#")), delimiter="\t", restval="", quoting=csv.QUOTE_NONE
    )
    return Table(side, file.stem, {cells["column"]: _column(cells) for cells in rows}, about)


def _column(cells: dict[str, str]) -> Column:
    options = dict(option.split("=", 1) for option in cells["options"].split(";")) if cells["options"] else None
    return Column(
        name=cells["column"],
        kind=cast("Kind", cells["kind"]),
        length=int(cells["length"]) if cells["length"] else None,
        scale=int(cells["scale"]) if cells["scale"] else None,
        required=cells["required"] == "yes",
        options={int(number): label for number, label in options.items()} if options else None,
        targets=tuple(cells["targets"].split(";")) if cells["targets"] else (),
        key=cells["key"] == "yes",
        note=cells["note"],
    )
