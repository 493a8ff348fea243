"""A table map as a whole."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import Field as Setting
from pydantic import PrivateAttr, StrictBool, field_validator, model_validator

from dualsync.mapping.model.base import MapModel
from dualsync.mapping.model.documents import HeaderUnit
from dualsync.mapping.model.fields import Field
from dualsync.mapping.model.lookups import Lookup
from dualsync.mapping.model.parts import Part, PartOf
from dualsync.mapping.model.rows import Initial, Rows
from dualsync.mapping.model.rules import Rule
from dualsync.mapping.model.tables import DataverseSide, FinanceSide
from dualsync.mapping.places import Origin
from dualsync.sides import DIRECTIONS, Direction, Side


class Mirrors(MapModel):
    """The published dual-write map that a table map follows, and which version of it."""

    dual_write: str
    version: str | None = None


class TableMap(MapModel):
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
            columns = [column for pair in self.compared_of(direction) for column in receiving_columns(pair, direction)]
            for column in sorted({column for column in columns if columns.count(column) > 1}):
                raise ValueError(f"{column} is written twice {direction.replace('_', ' ')}")
        for name in self.dataverse.key:
            if "." in name and name.split(".")[0] not in {lookup.dataverse for lookup in self.lookups}:
                raise ValueError(f"key path {name} goes through a lookup that is not declared")
        return self

    @model_validator(mode="after")
    def _read_only_fits(self) -> TableMap:
        for field in self.fields:
            if not field.read_only:
                continue
            if field.way not in self.directions:
                raise ValueError(f"nothing travels {field.way.replace('_', ' ')}: turn read_only {field.finance} round")
            if field.dataverse in self.dataverse.key and field.finance in self.finance.key:
                raise ValueError(f"{field.finance} is part of the key and cannot be read_only")
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
        fields = [field for field in self.fields if self.unit.trigger in (field.dataverse, field.finance)]
        if len(fields) != 1 or fields[0].way == "both" or not fields[0].carries or fields[0].constant is not None:
            raise ValueError(f"the trigger {self.unit.trigger} must be the receiving column of one field of one way")
        field = fields[0]
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
        """SHA-256 of the file's text, in hexadecimal; plans and transfers name it."""
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
        """The field of the document's trigger; None where the map has no document, or one that is only watched."""
        if self.unit is None or self.unit.trigger is None:
            return None
        return next(field for field in self.fields if self.unit.trigger in (field.dataverse, field.finance))

    @property
    def sends_trigger(self) -> bool:
        """True for the part that sends the trigger of the map's documents."""
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
        """Fields that carry something in the direction, constants included; unpaired and read-only ones do not."""
        return tuple(field for field in self.fields if field.goes(direction) and field.carries)

    def lookups_of(self, direction: Direction) -> tuple[Lookup, ...]:
        """Lookups that carry something in the direction."""
        return tuple(lookup for lookup in self.lookups if lookup.goes(direction))

    def pairs_of(self, direction: Direction) -> tuple[Field | Lookup, ...]:
        """Lookups, then fields, that carry something in the direction."""
        return (*self.lookups_of(direction), *self.fields_of(direction))

    def compared_of(self, direction: Direction) -> tuple[Field | Lookup, ...]:
        """What carries something in the direction, and fields that are only compared in its form."""
        read_only = (field for field in self.fields if field.goes(direction) and field.read_only)
        return (*self.pairs_of(direction), *read_only)

    @property
    def self_lookups(self) -> tuple[Lookup, ...]:
        """Lookups to records of the same map: ordered by depth, or written in a second pass."""
        return tuple(lookup for lookup in self.lookups if self.map in lookup.maps)

    @property
    def company_is_direct(self) -> bool:
        """True if the Dataverse table itself holds the lookup to the company."""
        return self.dataverse.own_company is not None

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
        return self._origin.line(loc)


def receiving_columns(pair: Field | Lookup, direction: Direction) -> tuple[str, ...]:
    """Columns of the receiving side that a pair writes in the direction.

    A lookup writes its attribute to Dataverse and its Finance columns to Finance.
    """
    if isinstance(pair, Field):
        column = pair.finance if direction == "to_finance" else pair.dataverse
        return () if column is None else (column,)
    return pair.finance_columns if direction == "to_finance" else (pair.dataverse,)
