"""What controls read beyond the table maps: one YAML file for each Dataverse table or Finance entity set.

An extract is read and never written. Its columns get short names, by which the controls' queries know them. Columns of
tables that table maps use take their type from the same schema as the maps do; others say it themselves. ``evidence``
tells how sure we are that a tenant has the entity and the columns: most of what Finance shows on its own forms has no
public entity known to us, and is *assumed*. What a tenant does not have is not read, and the controls that need it say
*not run*.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from dualsync.errors import MapErrors, SchemaMismatch
from dualsync.mapping import Column, Schema, Side
from dualsync.mapping.loader import read_model
from dualsync.mapping.words import EvidenceTag, Kind
from dualsync.spelling import nearest

FOLDER = Path(__file__).resolve().parent

_SCALES = {"dataverse": {"money": 4, "decimal": 10}, "finance": {"decimal": 6}}


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Wanted(_Model):
    """One column of an extract.

    In the files it is ``Name`` or ``Name kind``, or, where choices are to be read as words, the three of them.

    Attributes:
        column: As the system spells it.
        kind: As in the schema files of the maps, and ``money`` (a Dataverse amount); empty where those know it.
        values: A word for each option number.
    """

    column: str
    kind: Kind | Literal["money", ""] = ""
    values: dict[int, str] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _short(cls, given: Any) -> Any:
        if isinstance(given, str):
            column, _, kind = given.partition(" ")
            return {"column": column, "kind": kind.strip()}
        return given


class CompanyOf(_Model):
    """The company of a row that has none of its own: that of the row of another extract that it points to."""

    extract: str
    by: str


class Extract(_Model):
    """One Dataverse table or Finance entity set, as controls read it.

    Attributes:
        extract: Name of the view that controls read.
        title: What it holds.
        side: The system.
        table: Logical name of the Dataverse table.
        set: Entity set name.
        key: Columns that tell rows apart: the record id in Dataverse, the entity key without the company in Finance.
        company: Column with the company (in Dataverse a lookup to it), where else to look for it, or nothing for
            what belongs to all.
        columns: By the name that queries use.
        money: The column with the amount of a row, and the one with its currency: the code, or where its name ends with
            ``_id``, the record of the currency.
        evidence: How sure it is that a tenant has this.
        note: What is assumed.
    """

    extract: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    title: str
    side: Side
    table: str = ""
    set: str
    key: Annotated[tuple[str, ...], Field(min_length=1)]
    company: str | CompanyOf | None = None
    columns: dict[str, Wanted]
    money: tuple[str, str] | None = None
    evidence: EvidenceTag
    note: str = ""

    @field_validator("columns")
    @classmethod
    def _names(cls, value: dict[str, Wanted]) -> dict[str, Wanted]:
        for name in value:
            if name in RESERVED:
                raise ValueError(f"{name} is a name that every view has")
        return value

    @model_validator(mode="after")
    def _sides(self) -> Extract:
        if (self.side == "dataverse") != bool(self.table):
            raise ValueError("a Dataverse extract names its table, a Finance one does not")
        unknown = [name for name in self.money or () if name not in self.columns]
        if unknown:
            raise ValueError(f"money names {', '.join(unknown)}, which is no column of the extract")
        return self

    @property
    def place(self) -> str:
        """The table in Dataverse, the set in Finance."""
        return self.table or self.set


RESERVED = ("company", "record_id", "record_key", "changed_at")
"""Columns of every view: the company's code in capitals, the record id (Dataverse), the key as people write it, and
when the row was last changed (Dataverse; Finance does not tell)."""


def column_of(extract: Extract, wanted: Wanted, schema: Schema) -> Column:
    """The type of a column of an extract.

    Raises:
        MapErrors: Neither the extract nor the schema says it, or they disagree.
    """
    known: Column | None = None
    if schema.has(extract.side, extract.place):
        try:
            known = schema.column(extract.side, extract.place, wanted.column)
        except SchemaMismatch:
            known = None
    if known is not None:
        kind = "decimal" if wanted.kind == "money" else wanted.kind
        if kind and kind != known.kind:
            raise MapErrors([f"extract {extract.extract}: {wanted.column} is {known.kind} in the schema, not {kind}"])
        return known
    if not wanted.kind:
        raise MapErrors([f"extract {extract.extract}: the schema does not know {wanted.column}; say its kind"])
    scale = _SCALES[extract.side].get(wanted.kind)
    kind = "decimal" if wanted.kind == "money" else wanted.kind
    return Column(wanted.column, kind, None, scale, False, None, (), False, "")


@cache
def extracts() -> Mapping[str, Extract]:
    """All extracts by name, those first that others take their company from.

    Raises:
        MapErrors: A file is wrong, or names an extract that is not there.
    """
    found: dict[str, Extract] = {}
    problems: list[str] = []
    for file in sorted(FOLDER.rglob("*.yaml")):
        try:
            extract, _ = read_model(file, Extract, file.relative_to(FOLDER.parent))
        except MapErrors as error:
            problems += error.problems
            continue
        if extract.extract in found:
            problems.append(f"{file.name}: extract {extract.extract} is declared twice")
        found[extract.extract] = extract
    for one in found.values():
        if isinstance(one.company, CompanyOf) and one.company.extract not in found:
            problems.append(
                f"extract {one.extract}: company: no extract '{one.company.extract}'"
                f"{nearest(one.company.extract, found)}"
            )
    if problems:
        raise MapErrors(problems)
    return MappingProxyType({name: found[name] for name in _ordered(found)})


def _ordered(found: Mapping[str, Extract]) -> list[str]:
    order: list[str] = []

    def add(name: str) -> None:
        company = found[name].company
        if isinstance(company, CompanyOf) and company.extract not in order:
            add(company.extract)
        if name not in order:
            order.append(name)

    for name in found:
        add(name)
    return order
