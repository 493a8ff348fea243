"""What one table map says: typed, frozen models named after the words of the YAML files.

A table map describes one pair of a Dataverse table and a Finance data entity: which rows travel, who owns them, which
columns pair up and in which way. The loader (``loader.py``) reads the files, ``catalog.py`` puts all maps together.

Words: a *side* is ``"dataverse"`` or ``"finance"``; a *direction* is ``"to_finance"`` or ``"to_dataverse"``; a *way* is
a direction or ``"both"``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, PrivateAttr, StrictBool, field_validator, model_validator
from pydantic import Field as Setting

from dualsync.mapping.expressions import Expression

Side = Literal["dataverse", "finance"]
Direction = Literal["to_finance", "to_dataverse"]
DIRECTIONS: tuple[Direction, ...] = ("to_finance", "to_dataverse")
Way = Literal["to_finance", "to_dataverse", "both"]
Scalar = bool | int | Decimal | str
EvidenceTag = Literal["export", "doc", "doc-screenshot", "psa-template-screenshot", "name-match", "inferred", "assumed"]

COMPANY_WORD = "company"
"""The word in a lookup's ``on`` that stands for the company of the referenced record."""

Loc = tuple[str | int, ...]


class _Model(BaseModel):
    """Base of all map models: immutable, and a word that is not known is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Mirrors(_Model):
    """The dual-write map a table map stands in for."""

    dual_write: str
    version: str | None = None


class _Side(_Model):
    """What both sides have in common: an integration key, a company and a filter."""

    set: str
    key: Annotated[tuple[str, ...], Setting(min_length=1)]
    company: str | None = None
    filter: str = ""

    @field_validator("filter")
    @classmethod
    def _readable(cls, value: str) -> str:
        Expression.parse(value)
        return value

    @property
    def expression(self) -> Expression:
        """The filter, parsed."""
        return Expression.parse(self.filter)


class DataverseSide(_Side):
    """The Dataverse table of a map.

    ``key`` holds the columns of the integration key without the company; an entry may be a path through a declared
    lookup (``salesorderid.ordernumber``). ``company`` is the path to the company code, None for global maps.
    ``filter`` is an OData expression; a row that does not match does not travel. ``quarantine_when`` is one too: a row
    that matches it cannot be told in or out by the filter, so it is held for a person to decide, never left out.
    """

    table: str
    id: str
    quarantine_when: str = ""

    @field_validator("quarantine_when")
    @classmethod
    def _condition(cls, value: str) -> str:
        Expression.parse(value)
        return value

    @property
    def unclear(self) -> Expression | None:
        """The condition of rows that are held because the filter has no answer for them; None where there is none."""
        return Expression.parse(self.quarantine_when) if self.quarantine_when else None


class FinanceSide(_Side):
    """The Finance data entity of a map. ``key`` is aligned with ``DataverseSide.key`` by position.

    ``write`` says how rows are written: over OData, or by data package for entities OData does not show. Those cannot
    be read either: what was written before is known from the base alone. ``entity`` is the label that people read;
    ``target`` is the entity's name in Finance's own code, which a data package states too.
    """

    entity: str
    write: Literal["odata", "package"] = "odata"
    target: str | None = None

    @model_validator(mode="after")
    def _packaged(self) -> FinanceSide:
        if (self.write == "package") != (self.target is not None):
            raise ValueError("write: package and target belong together")
        return self


class Rows(_Model):
    """Who owns the rows of a map.

    ``leaves`` says what happens on the other side when a row stops matching its filter. ``rekey`` says what a known
    record id with a new key means.
    """

    created_by: Literal["dataverse", "finance", "both"]
    deleted_by: Literal["dataverse", "finance", "nobody"]
    leaves: Literal["delete", "keep", "flag"]
    rekey: Literal["conflict", "delete_create"] = "conflict"


class Initial(_Model):
    """The first synchronisation: whether it is required, its published place in the order, and whose value wins.

    ``creates: from_cutover`` keeps a first run from creating rows that are older than the company's cut-over date;
    ``dated_by`` is the column of the creating side that says how old a row is.
    """

    required: StrictBool = False
    order: int | None = None
    master: Side = "finance"
    creates: Literal["always", "from_cutover"] = "always"
    dated_by: str | None = None

    @model_validator(mode="after")
    def _dated(self) -> Initial:
        if (self.creates == "from_cutover") != (self.dated_by is not None):
            raise ValueError("creates: from_cutover and dated_by belong together")
        return self


class ConditionalWins(_Model):
    """A two-way pair whose winner depends on the row: the named side wins where its expression holds."""

    finance: str | None = None
    dataverse: str | None = None
    otherwise: Side = Setting(alias="else")

    @model_validator(mode="after")
    def _one_condition(self) -> ConditionalWins:
        if (self.finance is None) == (self.dataverse is None):
            raise ValueError("needs a condition for exactly one side, finance or dataverse")
        Expression.parse(self.finance or self.dataverse or "")
        return self


class UnknownDefault(_Model):
    """What to send for a value that the value map does not know."""

    default: Scalar


class _Pair(_Model):
    """What fields and lookups have in common. ``part`` names the part of the map that alone carries the pair."""

    way: Way
    wins: Side | ConditionalWins = "finance"
    required: StrictBool = False
    part: str | None = None
    evidence: Annotated[tuple[EvidenceTag, ...], Setting(min_length=1)]
    note: str = ""

    @field_validator("evidence", mode="before")
    @classmethod
    def _single_tag(cls, value: Any) -> Any:
        """``evidence: doc`` is short for ``evidence: [doc]``."""
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _winner_only_if_contested(self) -> _Pair:
        if self.way != "both" and "wins" in self.model_fields_set:
            raise ValueError("wins only means something where way is both")
        return self

    def goes(self, direction: Direction) -> bool:
        """True if the pair's way includes the direction."""
        return self.way in (direction, "both")


class Field(_Pair):
    """One pair of plain columns.

    A field with ``constant`` has only the receiving column. A field with one column and no constant is *unpaired*: it
    documents a published pair of which one end is computed by its own system, and carries nothing. A Dataverse column
    that is a lookup, paired with a Finance guid, carries the record's id itself: nothing is resolved and nothing waits.

    ``values`` translates values of the sending side (Dataverse for both ways) into values of the receiving side.
    ``scale`` multiplies a Finance number into the Dataverse number (``invert`` takes the reciprocal first); money and
    rates have no unit of their own, they are in the currency of the row. ``truncate`` is a number of characters.
    ``on_unknown`` decides about a value that the map does not list: the row is held (quarantine), the value is passed
    over as if there were none (pass), or a default is sent.
    ``null`` decides what an emptied value at its owner does: clear the other side (default) or keep it.
    """

    dataverse: str | None = None
    finance: str | None = None
    values: dict[Scalar, Scalar] | None = None
    on_unknown: Literal["quarantine", "pass"] | UnknownDefault = "quarantine"
    constant: Scalar | None = None
    on: Literal["create", "always"] = "always"
    null: Literal["clear", "keep"] = "clear"
    scale: Decimal | None = None
    invert: StrictBool = False
    truncate: int | None = Setting(default=None, gt=0)
    raw_option: StrictBool = False
    date: Literal["date_only", "instant"] | None = None
    read_only: StrictBool = False

    @model_validator(mode="after")
    def _columns_fit(self) -> Field:
        if self.dataverse is None and self.finance is None:
            raise ValueError("names no column: give dataverse, finance or both")
        for name in (self.dataverse, self.finance):
            if name is not None and "." in name:
                raise ValueError(f"{name} is a path: paths belong to lookups")
        if self.unpaired and (not self.note or self.way == "both"):
            raise ValueError("a field without its other column needs one way and a note that says why")
        return self

    @model_validator(mode="after")
    def _constant_fits(self) -> Field:
        if self.constant is None:
            if "on" in self.model_fields_set:
                raise ValueError("on only means something with a constant")
            return self
        receiving = {"to_finance": self.finance, "to_dataverse": self.dataverse}.get(self.way)
        sending = {"to_finance": self.dataverse, "to_dataverse": self.finance}.get(self.way)
        if receiving is None or sending is not None:
            raise ValueError("a constant needs one way and names only the receiving column")
        if self.values is not None:
            raise ValueError("a constant has no value map")
        return self

    @model_validator(mode="after")
    def _values_fit(self) -> Field:
        if self.scale is not None and self.scale == 0:
            raise ValueError("scale must not be 0")
        sent = [(type(value), value) for value in (self.values or {}).values()]
        if self.way == "both" and len(set(sent)) != len(sent):
            raise ValueError("values must be one-to-one where way is both")
        return self

    @property
    def unpaired(self) -> bool:
        """True for a documented pair that carries nothing because the other end has no column."""
        return self.constant is None and (self.dataverse is None or self.finance is None)

    def column(self, side: Side) -> str | None:
        """The column of the given side, None if the pair has none there."""
        return self.dataverse if side == "dataverse" else self.finance


class Target(_Model):
    """One target table of a polymorphic lookup: the map of that table and its key columns."""

    map: str
    on: dict[str, str] = Setting(min_length=1)


class Through(_Model):
    """A Dataverse table that is read to translate a lookup, because no base answers it.

    ``column`` holds the Finance value itself (systemusers to employeeid). With ``lookup: true`` it is a lookup: the
    record it points to is one of the lookup's ``map``, and ``on`` names columns of that one (a task to its transaction
    category). ``company`` is the table's lookup to the company: on the way to Dataverse a record is found by
    ``column`` within the company of the row, so it must be named where the values differ by company.
    """

    set: str
    id: str
    column: str
    lookup: StrictBool = False
    company: str | None = None


class Lookup(_Pair):
    """A Dataverse lookup column and the Finance columns that name the same record.

    ``on`` maps columns of the parent in Dataverse (key column, mapped column, its primary id, one of its key paths, or
    the path to its company) to columns of this map's Finance entity; the word ``company`` names the Finance column with
    the parent's company. Where that is not the entity's own company column, the parent may be of another integrated
    company than the row.
    ``targets`` replaces ``map`` and ``on`` for polymorphic lookups. ``waits``: a value that does not resolve makes the
    row wait. ``defer``: written in a second pass. ``ordered_by``: the parent already comes first because of that other
    map, so the lookup adds no edge to the task graph (the published dependency list does the same).
    """

    dataverse: str
    map: str | None = None
    on: dict[str, str] | None = None
    targets: dict[str, Target] | None = None
    waits: StrictBool = True
    defer: StrictBool = False
    through: Through | None = None
    ordered_by: str | None = None
    null: Literal["clear", "keep"] = "clear"

    @model_validator(mode="after")
    def _parent_named(self) -> Lookup:
        if self.targets is not None:
            if self.map is not None or self.on is not None or self.through is not None:
                raise ValueError("targets replaces map, on and through")
            if len(self.targets) < 2:
                raise ValueError("targets needs at least two tables; use map for one")
        elif not self.on:
            raise ValueError("needs on: which Finance column holds the parent's key")
        elif self.map is None and self.through is None:
            raise ValueError("needs map, targets or through")
        elif self.map is None and self.through is not None and self.through.lookup:
            raise ValueError("through a lookup needs map: the map of the record it points to")
        if self.through is not None and self.through.lookup and self.way != "to_finance":
            raise ValueError("through a lookup leads to Finance only")
        if self.through is not None and len(self.on or {}) != 1 and not self.through.lookup:
            raise ValueError("through a column needs one Finance column in on")
        return self

    @property
    def maps(self) -> tuple[str, ...]:
        """Names of the parent maps, in the order written."""
        if self.targets is not None:
            return tuple(target.map for target in self.targets.values())
        return () if self.map is None else (self.map,)

    def on_of(self, target: str | None = None) -> dict[str, str]:
        """The ``on`` of the lookup, or of the given target table where it is polymorphic.

        Raises:
            KeyError: The lookup is polymorphic and has no such target.
        """
        if self.targets is None:
            return dict(self.on or {})
        return dict(self.targets[target or ""].on)

    @property
    def finance_columns(self) -> tuple[str, ...]:
        """Finance columns the lookup stands for, without the one that only says the parent's company."""
        ons = [target.on for target in self.targets.values()] if self.targets is not None else [self.on or {}]
        return tuple(dict.fromkeys(column for on in ons for word, column in on.items() if word != COMPANY_WORD))


class Product(_Model):
    """A number that should be the product of two others, give or take ``within``, in the unit of the number itself."""

    of: tuple[str, str]
    equals: str
    within: Decimal = Decimal(0)


class Reference(_Model):
    """A set that rules look into and nothing is written to: a Dataverse table or a Finance entity set.

    ``on`` names, for written columns, the columns of the set that hold the same; ``between``, for written dates, its
    columns of first and last day. ``company`` is the set's column of the leg's company. Rows of the set that do not
    match ``filter`` do not count.
    """

    dataverse: str | None = None
    finance: str | None = None
    company: str | None = None
    filter: str = ""
    on: dict[str, str] = {}
    between: dict[str, tuple[str, str]] = {}
    evidence: EvidenceTag

    @model_validator(mode="after")
    def _one_set(self) -> Reference:
        if (self.dataverse is None) == (self.finance is None):
            raise ValueError("needs exactly one of dataverse and finance")
        if not self.on and not self.between:
            raise ValueError("needs on or between: what a row of the set must hold")
        Expression.parse(self.filter)
        return self

    @property
    def side(self) -> Side:
        """The side the set is on."""
        return "dataverse" if self.finance is None else "finance"

    @property
    def set(self) -> str:
        """Logical name of the table, or name of the entity set."""
        return str(self.dataverse or self.finance)

    @property
    def written(self) -> tuple[str, ...]:
        """The written columns that are compared."""
        return (*self.on, *self.between)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the set that are read."""
        named = (*self.on.values(), *(name for pair in self.between.values() for name in pair))
        return tuple(dict.fromkeys((*named, *Expression.parse(self.filter).columns)))


class Opposite(_Model):
    """Numbers that should be the opposite of those of another row of the map.

    ``through`` is the set that leads there, by one written column; its column ``to`` holds what that written column
    holds in the other row.
    """

    numbers: Annotated[tuple[str, ...], Setting(min_length=1)]
    through: Reference
    to: str

    @model_validator(mode="after")
    def _one_way_there(self) -> Opposite:
        if len(self.through.on) != 1 or self.through.between:
            raise ValueError("through needs on with exactly one written column")
        return self


class Rule(_Model):
    """A business rule about rows that are to be written.

    ``side`` is the side that is written, whose column names the rule uses. A row answers ``holds`` and ``product`` by
    itself, and they become expectations of the map's suite. The others are set work: the row should have a match in
    ``among``, none in ``not_among``, or be the ``opposite`` of another; ``when`` says which rows they are asked of.
    A rule is asked of rows that have a value in each of its columns; with ``on: create`` it is asked of new rows only,
    whatever is empty in them. A ``warning`` tells, only ``critical`` holds a row back.
    """

    name: str = Setting(pattern=r"^[a-z][a-z0-9_]*$")
    side: Side
    holds: str = ""
    product: Product | None = None
    when: str = ""
    among: Reference | None = None
    not_among: Reference | None = None
    opposite: Opposite | None = None
    on: Literal["create", "always"] = "always"
    severity: Literal["critical", "warning"] = "warning"
    reason: str = Setting(min_length=1)

    @model_validator(mode="after")
    def _one_condition(self) -> Rule:
        conditions = (self.holds or None, self.product, self.among, self.not_among, self.opposite)
        if sum(condition is not None for condition in conditions) != 1:
            raise ValueError("needs exactly one of holds, product, among, not_among and opposite")
        if self.when and self.reference is None:
            raise ValueError("when only means something with among, not_among or opposite")
        Expression.parse(self.holds)
        Expression.parse(self.when)
        return self

    @property
    def reference(self) -> Reference | None:
        """The set that the rule looks into; None for a rule that a row answers by itself."""
        return self.among or self.not_among or (self.opposite.through if self.opposite else None)

    @property
    def columns(self) -> tuple[str, ...]:
        """The written columns that the rule looks at."""
        if self.product is not None:
            return (self.product.equals, *self.product.of)
        if self.reference is None:
            return Expression.parse(self.holds).columns
        numbers = self.opposite.numbers if self.opposite else ()
        return tuple(dict.fromkeys((*Expression.parse(self.when).columns, *self.reference.written, *numbers)))


class PartFilter(_Model):
    """Which rows of a map a part takes, as a condition of each side; they must match the map's own filter too."""

    dataverse: str = Setting(min_length=1)
    finance: str = ""

    @field_validator("dataverse", "finance")
    @classmethod
    def _readable(cls, value: str) -> str:
        Expression.parse(value)
        return value


class Part(_Model):
    """Rows of a map that travel by themselves: in an area of their own, with legs and a base of their own.

    Rows that no part takes stay with the map itself, so a row is in exactly one of them.
    """

    area: str = Setting(pattern=r"^[a-z][a-z0-9_]*$")
    filter: PartFilter
    after: tuple[str, ...] = ()


class UnitLines(_Model):
    """Lines of a unit that hold no lookup to its header: they name records of other lines.

    ``of`` is the map of those, ``by`` the columns in Dataverse of which one holds their record id.
    """

    map: str
    of: str
    by: Annotated[tuple[str, ...], Setting(min_length=1)]


class HeaderUnit(_Model):
    """Said of a header: it and its lines are one thing, although they travel as rows of several maps.

    ``lines`` are the maps of the lines. ``trigger`` is the receiving column that sets the other system to work,
    ``rest`` its value that does not. The header travels with ``rest`` in place of any other value; the part ``trigger``
    of the map sends the true one, to headers all of whose lines are on both sides. A unit without a trigger is only
    watched.
    """

    lines: Annotated[tuple[str | UnitLines, ...], Setting(min_length=1)]
    trigger: str | None = None
    rest: Scalar | None = None

    @model_validator(mode="after")
    def _rests(self) -> HeaderUnit:
        if (self.trigger is None) != (self.rest is None):
            raise ValueError("trigger and rest belong together")
        return self

    @property
    def maps(self) -> tuple[str, ...]:
        """Names of the maps of the lines, in the order written."""
        return tuple(line if isinstance(line, str) else line.map for line in self.lines)


@dataclass(frozen=True)
class Origin:
    """Where a table map was read: its file, the SHA-256 of the file's text and the line of each of its parts."""

    path: Path
    hash: str
    lines: dict[Loc, int]


@dataclass(frozen=True)
class PartOf:
    """What a map is a part of: the name of the map in whose file it stands, and the part's own."""

    map: str
    part: str


TRIGGER = "trigger"
"""The name of the part that sends the trigger of units."""


class TableMap(_Model):
    """One table map: see the module docstring and ``docs/table-maps.md``.

    ``integrated_by`` names the Finance key column of a global map whose rows describe a company: only rows of
    integrated companies travel. ``rules`` are business rules about rows that are to be written. ``parts`` and ``unit``
    make further maps, which have no files of their own (``parts.py``).
    """

    map: str = Setting(pattern=r"^[a-z][a-z0-9_]*$")
    title: str
    area: str = Setting(pattern=r"^[a-z][a-z0-9_]*$")
    mirrors: Mirrors | None = None
    enabled: StrictBool = True
    excludes: str | None = None
    scope: Literal["company", "global"]
    dataverse: DataverseSide
    finance: FinanceSide
    rows: Rows
    initial: Initial = Initial()
    integrated_by: str | None = None
    after: tuple[str, ...] = ()
    lookups: tuple[Lookup, ...] = ()
    fields: tuple[Field, ...] = ()
    rules: tuple[Rule, ...] = ()
    parts: dict[str, Part] = Setting(default_factory=dict)
    unit: HeaderUnit | None = None

    _part_of: PartOf | None = PrivateAttr(default=None)
    _origin: Origin = PrivateAttr(default_factory=lambda: Origin(Path(), "", {}))

    @model_validator(mode="after")
    def _fits_together(self) -> TableMap:
        if len(self.dataverse.key) != len(self.finance.key):
            raise ValueError("dataverse.key and finance.key must have the same number of columns")
        companies = (self.dataverse.company, self.finance.company)
        if self.scope == "company" and None in companies:
            raise ValueError("a map of scope company needs dataverse.company and finance.company")
        if self.scope == "global" and companies != (None, None):
            raise ValueError("a global map has no company columns")
        if self.integrated_by is not None and self.integrated_by not in self.finance.key:
            raise ValueError("integrated_by must be one of the columns of finance.key")
        if not self.fields and not self.lookups:
            raise ValueError("has neither fields nor lookups")
        for direction in DIRECTIONS:
            columns = [column for pair in self.pairs_of(direction) for column in receiving_columns(pair, direction)]
            for column in sorted({column for column in columns if columns.count(column) > 1}):
                raise ValueError(f"{column} is written twice {direction.replace('_', ' ')}")
        for name in self.dataverse.key:
            if "." in name and name.split(".")[0] not in {lookup.dataverse for lookup in self.lookups}:
                raise ValueError(f"key path {name} goes through a lookup that is not declared")
        return self

    @model_validator(mode="after")
    def _parts_fit(self) -> TableMap:
        if self.parts and self.unit is not None:
            raise ValueError("a map has either parts or a unit")
        if self.parts and self.rows.leaves == "delete":
            raise ValueError("a map with parts cannot say leaves: delete: a row may go from one part to another")
        for name, part in self.parts.items():
            if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
                raise ValueError(f"the part {name} needs a name of lower case letters, digits and underscores")
            if self.finance.write == "odata" and not part.filter.finance:
                raise ValueError(f"the part {name} needs filter.finance: its rows are read there too")
        for pair in self.pairs:
            if pair.part is not None and pair.part not in self.parts:
                raise ValueError(f"{pair.dataverse} is to travel in the part {pair.part}, which is not there")
        return self

    @model_validator(mode="after")
    def _unit_fits(self) -> TableMap:
        if self.unit is None or self.unit.trigger is None:
            return self
        found = [field for field in self.fields if self.unit.trigger in (field.dataverse, field.finance)]
        if len(found) != 1 or found[0].way == "both" or found[0].constant is not None or found[0].unpaired:
            raise ValueError(f"the trigger {self.unit.trigger} must be the receiving column of one field of one way")
        field = found[0]
        if self.unit.trigger != (field.finance if field.way == "to_finance" else field.dataverse):
            raise ValueError(f"the trigger {self.unit.trigger} is the sending column, not the receiving one")
        if field.values is not None and self.unit.rest not in field.values.values():
            raise ValueError(f"rest must be one of the values that {self.unit.trigger} can get")
        if self.finance.write == "package":
            raise ValueError("a trigger needs a header that can be read, so not write: package")
        return self

    @field_validator("rules")
    @classmethod
    def _named_once(cls, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
        names = [rule.name for rule in rules]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"the rule {name} stands here twice")
        return rules

    @property
    def path(self) -> Path:
        """The file the map was read from."""
        return self._origin.path

    @property
    def hash(self) -> str:
        """SHA-256 of the file's text, in hexadecimal; plans and legs name it."""
        return self._origin.hash

    @property
    def part_of(self) -> PartOf | None:
        """What the map is a part of; None for a map with a file of its own."""
        return self._part_of

    @property
    def suite(self) -> str:
        """The name of the map's suite; a part uses that of its map."""
        return self.map if self._part_of is None else self._part_of.map

    @property
    def trigger(self) -> Field | None:
        """The field of the unit's trigger; None where the map has no unit, or one that is only watched."""
        if self.unit is None or self.unit.trigger is None:
            return None
        return next(field for field in self.fields if self.unit.trigger in (field.dataverse, field.finance))

    @property
    def sends_trigger(self) -> bool:
        """True for the part that sends the trigger of the map's units."""
        return self.unit is not None and self._part_of is not None

    @property
    def pairs(self) -> tuple[Field | Lookup, ...]:
        """Lookups, then fields, in the order written."""
        return (*self.lookups, *self.fields)

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The directions in which the map carries anything; that of the creating side first, then the master's."""
        used = [direction for direction in DIRECTIONS if self.pairs_of(direction)]
        first: Side = self.initial.master if self.rows.created_by == "both" else self.rows.created_by
        return tuple(sorted(used, key=lambda direction: (direction == "to_dataverse") != (first == "finance")))

    def fields_of(self, direction: Direction) -> tuple[Field, ...]:
        """Fields that carry something in the direction, constants included, unpaired ones not."""
        return tuple(field for field in self.fields if field.goes(direction) and not field.unpaired)

    def lookups_of(self, direction: Direction) -> tuple[Lookup, ...]:
        """Lookups that carry something in the direction."""
        return tuple(lookup for lookup in self.lookups if lookup.goes(direction))

    def pairs_of(self, direction: Direction) -> tuple[Field | Lookup, ...]:
        """Lookups, then fields, that carry something in the direction."""
        return (*self.lookups_of(direction), *self.fields_of(direction))

    @property
    def self_lookups(self) -> tuple[Lookup, ...]:
        """Lookups to records of the same map: ordered by depth, or written in a second pass where they defer."""
        return tuple(lookup for lookup in self.lookups if self.map in lookup.maps)

    @property
    def company_is_direct(self) -> bool:
        """True if the Dataverse table itself holds the lookup to the company."""
        return self.dataverse.company is not None and self.dataverse.company.count(".") == 1

    def lookup(self, attribute: str) -> Lookup:
        """The lookup on the given Dataverse attribute.

        Raises:
            KeyError: The map declares no such lookup.
        """
        for lookup in self.lookups:
            if lookup.dataverse == attribute:
                return lookup
        raise KeyError(attribute)

    def header_lookup(self, header: str) -> Lookup | None:
        """The lookup of a line to the header of that map; None where there is none."""
        return next((lookup for lookup in self.lookups if lookup.map == header), None)

    def read_from(self, origin: Origin) -> TableMap:
        """The same map, knowing where it was read."""
        placed = self.model_copy()
        placed._origin = origin
        return placed

    def as_part(self, part_of: PartOf) -> TableMap:
        """The same map, knowing what it is a part of."""
        placed = self.model_copy()
        placed._part_of = part_of
        return placed

    def line(self, *loc: str | int) -> int:
        """The line (from 1) where a part of the map stands in its file, or the nearest enclosing part; 1 if unknown."""
        for end in range(len(loc), -1, -1):
            if (found := self._origin.lines.get(loc[:end])) is not None:
                return found
        return 1


def receiving_columns(pair: Field | Lookup, direction: Direction) -> tuple[str, ...]:
    """Columns of the receiving side that a pair writes in the direction.

    A lookup writes its attribute to Dataverse and its Finance columns to Finance.
    """
    if isinstance(pair, Field):
        column = pair.finance if direction == "to_finance" else pair.dataverse
        return () if column is None else (column,)
    return pair.finance_columns if direction == "to_finance" else (pair.dataverse,)
