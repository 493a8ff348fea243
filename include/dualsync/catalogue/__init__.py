"""What public sources tell of the real names of both systems: sets, tables, columns, types, and how sure each is.

The files beside this module are made by ``docs/build_catalogue.py`` from collected facts. Of Finance they hold public
entity sets of a real environment, and fields of data entities that only a data package reaches. Of Dataverse they hold
columns with a class of evidence, from *confirmed* (real metadata) down to *none*, or *contradicted*: a source shows
another name, meaning or kind. ``sources.tsv`` says where each was found.

What a tenant really has, its live metadata tell. The catalogue is the yardstick until then.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, cast

FOLDER = Path(__file__).resolve().parent

Evidence = Literal[
    "confirmed", "published map", "documented", "predecessor", "label only", "none", "contradicted", "unknown"
]
"""How sure a name is: real metadata have it, a published or exported map, documentation, the predecessor's metadata;
documentation gives a label and no name; nothing was found; a source contradicts it; the catalogue does not hold it."""

CLASSES: tuple[Evidence, ...] = (
    "confirmed",
    "published map",
    "documented",
    "predecessor",
    "label only",
    "none",
    "unknown",
    "contradicted",
)
"""The classes, the surest first."""

UNPROVEN: tuple[Evidence, ...] = ("label only", "none", "unknown")
"""Classes of names that no source bears out."""


@dataclass(frozen=True)
class FinanceSet:
    """A Finance entity set, or a data entity that only a data package reaches.

    Attributes:
        name: As OData spells it; of packaged entities, as the project calls it.
        columns: Type by column; an enum is named ``enum:`` and its name.
        key: The key columns.
        packaged: Whether only a data package reaches it.
    """

    name: str
    columns: dict[str, str]
    key: tuple[str, ...]
    packaged: bool = False


@dataclass(frozen=True)
class DataverseColumn:
    """What is known of one column.

    Attributes:
        name: Logical name.
        type: The system's word for its kind; empty where no source says it.
        behaviour: How a date treats time zones, and its format.
        size: Most characters, or the precision.
        targets: Tables a lookup may point to.
        navigation: Its navigation property.
        delete: What happens when the row it points to is deleted.
        options: Numbers and labels.
        writable: Whether it can be written.
        evidence: How sure the name is.
        sources: Codes of ``sources.tsv``.
        wrong: What is wrong with a contradicted name.
        instead: The name to use.
        note: More about it.
    """

    name: str
    type: str
    behaviour: str
    size: str
    targets: tuple[str, ...]
    navigation: str
    delete: str
    options: str
    writable: bool
    evidence: Evidence
    sources: tuple[str, ...]
    wrong: str
    instead: str
    note: str


@dataclass(frozen=True)
class DataverseTable:
    """A Dataverse table: its entity set, its columns, and where its set was found."""

    name: str
    set: str
    columns: dict[str, DataverseColumn]
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Catalogue:
    """All that is known.

    Attributes:
        finance: Sets by name.
        enums: Members in the order of their numbers, by enum.
        dataverse: Tables by logical name.
        places: Where a source stands, by its code.
    """

    finance: dict[str, FinanceSet]
    enums: dict[str, tuple[str, ...]]
    dataverse: dict[str, DataverseTable]
    places: dict[str, str]

    @staticmethod
    def load() -> Catalogue:
        """The catalogue that comes with the package, read once per process."""
        return _load()

    def evidence(self, table: str, column: str) -> Evidence:
        """How sure a Dataverse column is."""
        held = self.dataverse.get(table)
        known = None if held is None else held.columns.get(column)
        return "unknown" if known is None else known.evidence


@cache
def _load() -> Catalogue:
    columns: dict[str, dict[str, DataverseColumn]] = {}
    for row in _rows("dataverse"):
        columns.setdefault(row["table"], {})[row["column"]] = _column(row)
    return Catalogue(
        finance=_sets("finance") | _sets("finance_packages", packaged=True),
        enums={row["enum"]: _members(row["members"]) for row in _rows("finance_enums")},
        dataverse={
            row["table"]: DataverseTable(row["table"], row["set"], columns[row["table"]], _split(row["sources"], ","))
            for row in _rows("dataverse_tables")
        },
        places={row["code"]: row["place"] for row in _rows("sources")},
    )


def _rows(name: str) -> Iterator[dict[str, str]]:
    lines = (FOLDER / f"{name}.tsv").read_text(encoding="utf-8").splitlines()
    yield from csv.DictReader(lines[1:], delimiter="\t", quoting=csv.QUOTE_NONE, restval="")


def _split(text: str, mark: str) -> tuple[str, ...]:
    return tuple(text.split(mark)) if text else ()


def _members(text: str) -> tuple[str, ...]:
    return tuple(member.partition("=")[2] for member in text.split(";"))


def _sets(name: str, *, packaged: bool = False) -> dict[str, FinanceSet]:
    columns: dict[str, dict[str, str]] = {}
    keys: dict[str, list[str]] = {}
    for row in _rows(name):
        columns.setdefault(row["set"], {})[row["column"]] = row["type"]
        keys.setdefault(row["set"], []).extend([row["column"]] if row["key"] else [])
    return {name: FinanceSet(name, held, tuple(keys[name]), packaged) for name, held in columns.items()}


def _column(row: dict[str, str]) -> DataverseColumn:
    return DataverseColumn(
        name=row["column"],
        type=row["type"],
        behaviour=row["behaviour"],
        size=row["size"],
        targets=_split(row["targets"], ";"),
        navigation=row["navigation"],
        delete=row["delete"],
        options=row["options"],
        writable=row["writable"] != "no",
        evidence=cast("Evidence", row["evidence"]),
        sources=_split(row["sources"], ","),
        wrong=row["wrong"],
        instead=row["instead"],
        note=row["note"],
    )
