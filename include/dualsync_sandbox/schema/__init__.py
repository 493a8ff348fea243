"""What the two systems hold: tables, columns, keys and relations, read from the TSV files beside this module.

The files are the sandbox's own: the library keeps a second set, so that the two can disagree and a test can notice.
Each file names its source in its first line; what no source knows is marked ``assumed`` in its last column.

Lines ``#: word<TAB>...`` carry what belongs to the whole table: ``set``, ``id``, ``name`` and ``key`` (an alternate
key) for Dataverse; ``entity``, ``aot``, ``label``, ``public`` (``no``: not on OData), ``index`` (columns) and
``relation`` (columns, related set, its columns, what a delete does) for Finance.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache, cached_property
from importlib.resources import files
from typing import Literal

System = Literal["dataverse", "finance"]
Kind = Literal["guid", "text", "int", "decimal", "bool", "option", "enum", "instant", "date", "lookup"]
OnDelete = Literal["cascade", "restrict", "removelink"]

#: The user every request acts as, and the owner of rows that name none. Its row stands in every Dataverse store.
APPLICATION_USER = "0a0b0c0d-0000-4000-8000-00000000da7a"
BUSINESS_UNIT = "0a0b0c0d-0000-4000-8000-0000000000b1"
ORGANIZATION = "0a0b0c0d-0000-4000-8000-00000000000f"

#: Finance has no nulls: an absent date is the first of January 1900 (noon for dates without a time).
NO_DATE = "1900-01-01T12:00:00Z"
NO_INSTANT = "1900-01-01T00:00:00Z"
NO_GUID = "00000000-0000-0000-0000-000000000000"

_DATAVERSE_KINDS: Mapping[str, Kind] = {
    "Uniqueidentifier": "guid",
    "String": "text",
    "Memo": "text",
    "Integer": "int",
    "BigInt": "int",
    "Decimal": "decimal",
    "Double": "decimal",
    "Money": "decimal",
    "Boolean": "bool",
    "Picklist": "option",
    "State": "option",
    "Status": "option",
    "DateTime": "instant",
    "DateOnly": "date",
    "Lookup": "lookup",
}
_FINANCE_KINDS: Mapping[str, Kind] = {
    "String": "text",
    "Int32": "int",
    "Int64": "int",
    "Decimal": "decimal",
    "Guid": "guid",
    "Enum": "enum",
    "Instant": "instant",
    "Date": "date",
}
FINANCE_SCALE = 6


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: Logical name (Dataverse) or OData property (Finance).
        kind: How values are held and compared.
        type: The system's own word for it (``Money``, ``Picklist``, ``Int32``, ``Enum`` ...).
        length: Most characters of a text.
        scale: Decimals kept.
        required: Refused when empty.
        key: Part of the entity key (Finance).
        options: Option number to label (Dataverse).
        enum: Name of the enum (Finance).
        members: Enum members in the order of their numbers (Finance); the first is what an absent value becomes.
        member_values: The members' numbers.
        targets: Tables a lookup may point to, with the navigation property for each.
        on_delete: What happens to this row when the row its lookup names is deleted.
        default: Value of a new row that names none.
        note: What is assumed about the column.
    """

    name: str
    kind: Kind
    type: str
    length: int | None = None
    scale: int | None = None
    required: bool = False
    key: bool = False
    options: Mapping[int, str] = field(default_factory=dict)
    enum: str = ""
    members: tuple[str, ...] = ()
    member_values: tuple[int, ...] = ()
    targets: Mapping[str, str] = field(default_factory=dict)
    on_delete: OnDelete = "removelink"
    default: object = None
    note: str = ""

    @property
    def polymorphic(self) -> bool:
        """Whether the lookup may point to more than one table."""
        return len(self.targets) > 1

    @cached_property
    def step(self) -> Decimal:
        """The smallest difference the column keeps, for instance ``Decimal("0.0001")``."""
        return Decimal(1).scaleb(-(self.scale or 0))


@dataclass(frozen=True)
class Key:
    """An alternate key of a Dataverse table, or the entity key of a Finance entity."""

    name: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Relation:
    """Columns whose values must exist in another table."""

    table: str
    columns: tuple[str, ...]
    target: str
    target_columns: tuple[str, ...]
    on_delete: OnDelete


@dataclass(frozen=True)
class Table:
    """A Dataverse table or a Finance entity.

    Attributes:
        name: Logical name (Dataverse) or entity set (Finance): the name the store knows the table by.
        set: Entity set name in URLs.
        id: The column of the primary id; ``RecId`` in Finance.
        label: Display name (Finance: the data management label).
        primary_name: The column shown in lookups (Dataverse).
        entity: Public entity name (Finance), the name of the type in ``$metadata``.
        aot: The entity's name inside Finance, as it appears in its error messages.
        public: Whether the entity is on OData; those that are not are reached by data package only (Finance).
        indexes: Columns the business looks rows up by (Finance).
    """

    name: str
    set: str
    id: str
    columns: Mapping[str, Column]
    keys: tuple[Key, ...]
    relations: tuple[Relation, ...] = ()
    label: str = ""
    primary_name: str = ""
    entity: str = ""
    aot: str = ""
    source: str = ""
    public: bool = True
    indexes: tuple[tuple[str, ...], ...] = ()

    @cached_property
    def lookups(self) -> tuple[Column, ...]:
        """The lookup columns."""
        return tuple(column for column in self.columns.values() if column.kind == "lookup")

    @cached_property
    def navigation(self) -> Mapping[str, tuple[Column, str]]:
        """Navigation property to its lookup column and target table (case sensitive)."""
        return {nav: (column, target) for column in self.lookups for target, nav in column.targets.items()}


@dataclass(frozen=True, eq=False)
class SystemSchema:
    """All tables of one system; there is one of each in a process."""

    system: System
    tables: Mapping[str, Table]

    @staticmethod
    def load(system: System) -> SystemSchema:
        """The schema of one system, read once per process."""
        return _load(system)

    @cached_property
    def by_set(self) -> Mapping[str, Table]:
        """Entity set name to table (case sensitive), of those the web services show."""
        return {table.set: table for table in self.tables.values() if table.public}

    @cached_property
    def referencing(self) -> Mapping[str, tuple[Relation, ...]]:
        """Table to the relations that point to it."""
        found: dict[str, list[Relation]] = {name: [] for name in self.tables}
        for table in self.tables.values():
            for relation in table.relations:
                found[relation.target].append(relation)
            for column in table.lookups:
                for target in column.targets:
                    target_id = self.tables[target].id
                    found[target].append(
                        Relation(table.name, (column.name,), target, (target_id,), column.on_delete),
                    )
        return {name: tuple(relations) for name, relations in found.items()}

    @cached_property
    def enums(self) -> Mapping[str, Mapping[str, int]]:
        """Enum name to its members and their numbers (Finance)."""
        found: dict[str, dict[str, int]] = {}
        for table in self.tables.values():
            for column in table.columns.values():
                if column.enum:
                    found.setdefault(column.enum, {}).update(zip(column.members, column.member_values, strict=True))
        return found


@cache
def _load(system: System) -> SystemSchema:
    tables = {}
    for resource in sorted(files(__name__).joinpath(system).iterdir(), key=lambda item: item.name):
        name, _, suffix = resource.name.rpartition(".")
        if suffix == "tsv":
            text = resource.read_text(encoding="utf-8")
            tables[name] = _dataverse(name, text) if system == "dataverse" else _finance(name, text)
    return SystemSchema(system, tables)


def _parts(text: str) -> tuple[str, list[list[str]], Iterator[dict[str, str]]]:
    lines = text.splitlines()
    source = lines[0].removeprefix("# ")
    words = [line[3:].split("\t") for line in lines if line.startswith("#: ")]
    body = [line for line in lines if not line.startswith("#")]
    return source, words, csv.DictReader(body, delimiter="\t", quoting=csv.QUOTE_NONE)


def _pairs(text: str) -> list[tuple[str, str]]:
    """``1=One;2=Two`` as pairs; a label may itself hold a semicolon."""
    pairs: list[tuple[str, str]] = []
    for part in text.split(";"):
        number, equals, label = part.partition("=")
        if equals and number.lstrip("-").isdigit():
            pairs.append((number, label))
        elif pairs:
            pairs[-1] = (pairs[-1][0], f"{pairs[-1][1]};{part}")
    return pairs


def _dataverse(name: str, text: str) -> Table:
    source, words, rows = _parts(text)
    single = {word[0]: word[1] for word in words if word[0] != "key"}
    columns = {}
    for row in rows:
        kind = _DATAVERSE_KINDS[row["type"]]
        default: object = row["default"] or None
        if default is not None and kind in ("option", "int"):
            default = int(row["default"])
        elif kind == "bool" and default is not None:
            default = row["default"] == "true"
        elif default == "@caller":
            default = APPLICATION_USER
        columns[row["column"]] = Column(
            name=row["column"],
            kind=kind,
            type="DateTime" if row["type"] == "DateOnly" else row["type"],
            length=int(row["length"]) if row["length"] else None,
            scale=int(row["scale"]) if row["scale"] else None,
            required=row["required"] == "yes",
            options={int(number): label for number, label in _pairs(row["options"])},
            targets=dict(zip(row["targets"].split(";"), row["navigation"].split(";"), strict=True))
            if row["targets"]
            else {},
            on_delete=row["delete"] or "removelink",  # type: ignore[arg-type]
            default=default,
            note=row["note"] or "",
        )
    return Table(
        name=name,
        set=single["set"],
        id=single["id"],
        columns=columns,
        keys=tuple(Key(word[1], tuple(word[2].split(","))) for word in words if word[0] == "key"),
        label=name,
        primary_name=single.get("name", ""),
        entity=name,
        source=source,
    )


_EMPTY: Mapping[Kind, object] = {
    "text": "",
    "int": 0,
    "decimal": Decimal(0),
    "guid": NO_GUID,
    "date": NO_DATE,
    "instant": NO_INSTANT,
}


def _finance(name: str, text: str) -> Table:
    source, words, rows = _parts(text)
    single = {word[0]: word[1] for word in words if word[0] not in ("relation", "index")}
    columns = {}
    for row in rows:
        kind = _FINANCE_KINDS[row["type"]]
        pairs = _pairs(row["members"])
        members = tuple(label for _, label in sorted(pairs, key=lambda pair: int(pair[0])))
        columns[row["column"]] = Column(
            name=row["column"],
            kind=kind,
            type=row["type"],
            length=int(row["length"]) if row["length"] else None,
            scale=FINANCE_SCALE if kind == "decimal" else None,
            required=row["mandatory"] == "yes",
            key=row["key"] == "yes",
            enum=row["enum"],
            members=members,
            member_values=tuple(sorted(int(number) for number, _ in pairs)),
            default=members[0] if kind == "enum" else _EMPTY[kind],
            note=row["note"] or "",
        )
    relations = tuple(
        Relation(name, tuple(word[1].split(",")), word[2], tuple(word[3].split(",")), word[4])  # type: ignore[arg-type]
        for word in words
        if word[0] == "relation"
    )
    key = Key("EntityKey", tuple(column.name for column in columns.values() if column.key))
    return Table(
        name=name,
        set=name,
        id="RecId",
        columns=columns,
        keys=(key,),
        relations=relations,
        label=single["label"],
        entity=single["entity"],
        aot=single["aot"],
        source=source,
        public=single.get("public") != "no",
        indexes=tuple(tuple(word[1].split(",")) for word in words if word[0] == "index"),
    )
