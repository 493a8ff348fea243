"""Checks table maps against each other and against the schema, without a connection.

The loader already refuses what is not a table map; here are the mistakes that need other maps or the columns' kinds to
be seen. Nothing is raised: everything found is listed, so that one run shows all of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Literal

from dualsync.errors import SchemaMismatch
from dualsync.mapping.catalog import LEGAL_ENTITIES, Catalog
from dualsync.mapping.expressions import Expression
from dualsync.mapping.model import (
    Field,
    HeaderUnit,
    Lookup,
    Rule,
    TableMap,
    UnitLines,
    UnknownDefault,
    receiving_columns,
)
from dualsync.mapping.places import Loc, dotted
from dualsync.mapping.schema import Column, Schema
from dualsync.mapping.words import COMPANY_WORD, Kind, Scalar
from dualsync.sides import DIRECTIONS, SIDES, Direction, Side, Way

_SAME: tuple[frozenset[Kind], ...] = (
    frozenset[Kind](("int", "decimal")),
    frozenset[Kind](("text", "guid")),
)


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


def check_catalog(catalog: Catalog, schema: Schema) -> list[Finding]:
    """Everything wrong with the maps of a catalog, by map and line."""
    found = [finding for table_map in catalog.declared.values() for finding in _Check(table_map, catalog, schema).run()]
    return sorted(found, key=lambda finding: (finding.map, finding.line, finding.text))


class _Check:
    """The checks of one map; each yields findings."""

    def __init__(self, table_map: TableMap, catalog: Catalog, schema: Schema) -> None:
        self.map = table_map
        self.catalog = catalog
        self.schema = schema
        self.names: dict[Side, str] = {"dataverse": table_map.dataverse.table, "finance": table_map.finance.set}

    def run(self) -> Iterator[Finding]:
        for side in SIDES:
            if not self.schema.has(side, self.names[side]):
                what = f"no columns of {self.names[side]} are known, so none were checked"
                yield self._finding((side,), what, severity="warning")
        yield from self._tables()
        yield from self._keys()
        yield from self._company()
        for position, field in enumerate(self.map.fields):
            yield from self._field(field, ("fields", position))
        for position, lookup in enumerate(self.map.lookups):
            yield from self._lookup(lookup, ("lookups", position))
        yield from self._rules()
        yield from self._initial()
        yield from self._parts()
        yield from self._unit()

    def _finding(self, loc: Loc, text: str, severity: Literal["error", "warning"] = "error") -> Finding:
        return Finding(self.map.map, self.map.path, self.map.line(*loc), severity, f"{dotted(loc)}: {text}")

    def _column(self, side: Side, name: str) -> Column | None:
        """A column of this map's tables; None where the table is not known (reported once) or lacks it."""
        return self.schema.table(side, self.names[side]).columns.get(name) if self._known(side) else None

    def _known(self, side: Side) -> bool:
        return self.schema.has(side, self.names[side])

    def _missing(self, side: Side, name: str, loc: Loc, *, stops: bool) -> Iterator[Finding]:
        """A finding if the column does not exist. A missing key, company or filter column stops the map."""
        if self._known(side):
            try:
                self.schema.column(side, self.names[side], name)
            except SchemaMismatch as error:
                yield self._finding(loc, str(error), "error" if stops else "warning")

    def _tables(self) -> Iterator[Finding]:
        if self._known("dataverse"):
            about = self.schema.table("dataverse", self.names["dataverse"]).about
            for word, said in (("set", self.map.dataverse.set), ("id", self.map.dataverse.id)):
                if about.get(word, said) != said:
                    yield self._finding(("dataverse", word), f"'{said}' should be '{about[word]}'")
        for side in SIDES:
            half = self.map.dataverse if side == "dataverse" else self.map.finance
            for column in half.expression.columns:
                yield from self._missing(side, column, (side, "filter"), stops=True)
        for column in self.map.dataverse.unclear.columns if self.map.dataverse.unclear else ():
            yield from self._missing("dataverse", column, ("dataverse", "quarantine_when"), stops=True)
        if self.map.finance.company is not None:
            yield from self._missing("finance", self.map.finance.company, ("finance", "company"), stops=True)
        other = self.map.excludes
        if other is not None and self.map.enabled and self.catalog[other].enabled:
            yield self._finding(("excludes",), f"{other} is on as well; turn one of them off")

    def _keys(self) -> Iterator[Finding]:
        pairs = zip(self.map.dataverse.key, self.map.finance.key, strict=True)
        for position, (dataverse, finance) in enumerate(pairs):
            loc: Loc = ("dataverse", "key", position)
            yield from self._missing("finance", finance, ("finance", "key", position), stops=True)
            if "." not in dataverse:
                yield from self._missing("dataverse", dataverse, loc, stops=True)
            pair = self._key_pair(dataverse, finance)
            if pair is None:
                yield self._finding(loc, f"no field or lookup pairs {dataverse} with {finance}")
                continue
            for direction in self._creating():
                if not pair.goes(direction):
                    yield self._finding(
                        loc, f"rows are created {_spoken(direction)}, but {dataverse} does not go there"
                    )
        if self._known("finance"):
            keys = set(self.schema.table("finance", self.names["finance"]).keys)
            ours = {*self.map.finance.key, *filter(None, (self.map.finance.company,))}
            # of a row that names two companies, the entity's key may have the one and the legs be split by the other
            companies = {(lookup.on or {}).get(COMPANY_WORD) for lookup in self.map.lookups} - {None}
            same = keys == ours or (len(companies) > 1 and keys - companies == ours - companies)
            if keys and not same:
                yield self._finding(("finance", "key"), f"the entity's key is {', '.join(sorted(keys))}")

    def _key_pair(self, dataverse: str, finance: str) -> Field | Lookup | None:
        head, _, rest = dataverse.partition(".")
        for pair in self.map.pairs:
            if pair.dataverse != head:
                continue
            if isinstance(pair, Field) and not rest and pair.finance == finance:
                return pair
            if isinstance(pair, Lookup) and any(pair.on_of(target).get(rest) == finance for target in _targets(pair)):
                return pair
            if isinstance(pair, Lookup) and pair.through is not None and pair.through.column == rest:
                return pair if pair.finance_columns == (finance,) else None
        return None

    def _creating(self) -> tuple[Direction, ...]:
        return {"dataverse": DIRECTIONS[:1], "finance": DIRECTIONS[1:], "both": DIRECTIONS}[self.map.rows.created_by]

    def _company(self) -> Iterator[Finding]:
        path = self.map.dataverse.company
        if path is None:
            return
        loc: Loc = ("dataverse", "company")
        head, _, rest = path.partition(".")
        yield from self._missing("dataverse", head, loc, stops=True)
        if self.map.company_is_direct:
            column = self._column("dataverse", head)
            table = self.catalog[LEGAL_ENTITIES].dataverse.table
            if column is not None and table not in column.targets:
                yield self._finding(loc, f"{head} does not point to {table}")
            return
        parents = [
            self.catalog[name] for lookup in self.map.lookups if lookup.dataverse == head for name in lookup.maps
        ]
        if not parents:
            yield self._finding(loc, f"{head} is not a declared lookup")
        for parent in parents:
            if parent.dataverse.company != rest:
                yield self._finding(loc, f"{parent.map} has its company at {parent.dataverse.company}, not at {rest}")

    def _field(self, field: Field, loc: Loc) -> Iterator[Finding]:
        for side in SIDES:
            name = field.column(side)
            if name is not None:
                yield from self._missing(side, name, (*loc, side), stops=name in self._key_columns(side))
        columns = {side: self._column(side, name) for side in SIDES if (name := field.column(side)) is not None}
        dataverse, finance = columns.get("dataverse"), columns.get("finance")
        if field.constant is not None:
            receiver = dataverse or finance
            if receiver is not None and (problem := _not_a_value(receiver, field.constant)):
                yield self._finding((*loc, "constant"), problem)
        elif dataverse is not None and finance is not None:
            if field.values is not None:
                yield from self._values(field, dataverse, finance, loc)
            elif problem := _kinds_differ(field, dataverse, finance):
                yield self._finding(loc, problem)

    def _key_columns(self, side: Side) -> tuple[str, ...]:
        return self.map.dataverse.key if side == "dataverse" else self.map.finance.key

    def _values(self, field: Field, dataverse: Column, finance: Column, loc: Loc) -> Iterator[Finding]:
        sender, receiver = (finance, dataverse) if field.way == "to_dataverse" else (dataverse, finance)
        place = (*loc, "values")
        for sent, received in (field.values or {}).items():
            for column, value in ((sender, sent), (receiver, received)):
                if problem := _not_a_value(column, value):
                    yield self._finding(place, problem)
        if isinstance(field.on_unknown, UnknownDefault) and (
            problem := _not_a_value(receiver, field.on_unknown.default)
        ):
            yield self._finding((*loc, "on_unknown"), problem)

    def _lookup(self, lookup: Lookup, loc: Loc) -> Iterator[Finding]:
        yield from self._missing("dataverse", lookup.dataverse, (*loc, "dataverse"), stops=False)
        column = self._column("dataverse", lookup.dataverse)
        if column is not None and column.kind != "lookup":
            yield self._finding((*loc, "dataverse"), f"{lookup.dataverse} is a {column.kind}, not a lookup")
        for target in _targets(lookup):
            on = lookup.on_of(target)
            for finance in on.values():
                yield from self._missing("finance", finance, (*loc, "on"), stops=finance in self.map.finance.key)
            name = lookup.map if lookup.targets is None else lookup.targets[target or ""].map
            if name is not None:
                yield from self._parent(lookup, column, self.catalog[name], target, loc)
        if lookup.ordered_by is not None:
            ordered = lookup.ordered_by in self.catalog.needs(self.map.map)
            if not ordered or not set(lookup.maps) <= self.catalog.ancestors(lookup.ordered_by):
                yield self._finding((*loc, "ordered_by"), f"{lookup.ordered_by} does not bring {lookup.map} first")

    def _parent(
        self, lookup: Lookup, column: Column | None, parent: TableMap, target: str | None, loc: Loc
    ) -> Iterator[Finding]:
        table = parent.dataverse.table
        if target is not None and target != table:
            yield self._finding((*loc, "targets"), f"{parent.map} is the map of {table}, not of {target}")
        if column is not None and column.targets and lookup.through is None and table not in column.targets:
            yield self._finding(
                (*loc, "map"), f"{lookup.dataverse} points to {', '.join(column.targets)}, not to {table}"
            )
        on = lookup.on_of(target)
        place = (*loc, "on") if target is None else (*loc, "targets", target, "on")
        # where a column read on the way holds the key itself, the parent's company plays no part
        key_read = lookup.through is not None and not lookup.through.lookup
        wants_company = parent.scope == "company" and not key_read
        if wants_company and COMPANY_WORD not in on:
            yield self._finding(place, f"{parent.map} has companies: say where the parent's comes from (company)")
        if not wants_company and COMPANY_WORD in on:
            yield self._finding(place, f"{parent.map} is global and has no company")
        words = [word for word in on if word not in (COMPANY_WORD, parent.dataverse.company)]
        for word in words:
            if not self._has_key_word(parent, word):
                yield self._finding(place, f"{parent.map} has neither a column nor a key path '{word}'")
        unique = set(words) >= set(parent.dataverse.key) or words == [parent.dataverse.id]
        through = lookup.through if lookup.goes("to_dataverse") else None
        if through is not None and through.company is None and parent.scope == "company":
            yield self._finding((*loc, "through"), f"say which column of {through.set} holds the company")
        if lookup.goes("to_dataverse") and not unique:
            yield self._finding(place, f"does not name one record: the key is {', '.join(parent.dataverse.key)}")

    def _has_key_word(self, parent: TableMap, word: str) -> bool:
        table = parent.dataverse.table
        if word in parent.dataverse.key or not self.schema.has("dataverse", table):
            return True
        return word in self.schema.table("dataverse", table).columns

    def _rules(self) -> Iterator[Finding]:
        for position, rule in enumerate(self.map.rules):
            direction: Direction = "to_finance" if rule.side == "finance" else "to_dataverse"
            written = {column for pair in self.map.pairs_of(direction) for column in receiving_columns(pair, direction)}
            for column in rule.columns:
                if column not in written:
                    yield self._finding(("rules", position), f"{column} is not written {_spoken(direction)}")
            yield from self._reference(rule, ("rules", position))

    def _reference(self, rule: Rule, loc: Loc) -> Iterator[Finding]:
        reference = rule.reference
        if reference is None:
            return
        if reference.evidence == "assumed" and rule.severity == "critical":
            yield self._finding(loc, f"{reference.set} is assumed, and what nobody has seen must hold no row back")
        if not self.schema.has(reference.side, reference.set):
            return
        columns = (*reference.columns, *((reference.company,) if reference.company else ()))
        for column in (*columns, *((rule.opposite.to,) if rule.opposite else ())):
            try:
                self.schema.column(reference.side, reference.set, column)
            except SchemaMismatch as error:
                yield self._finding(loc, f"the rule will not run: {error}", "warning")

    def _initial(self) -> Iterator[Finding]:
        dated_by = self.map.initial.dated_by
        side: Side = "finance" if self.map.rows.created_by == "finance" else "dataverse"
        if dated_by is not None:
            yield from self._missing(side, dated_by, ("initial", "dated_by"), stops=True)
            column = self._column(side, dated_by)
            if column is not None and column.kind not in ("date", "instant"):
                yield self._finding(("initial", "dated_by"), f"{dated_by} is a {column.kind}, not a date")
        mine = self.map.initial.order
        for parent in self.catalog.needs(self.map.map):
            theirs = self.catalog[parent].initial.order
            if mine is not None and theirs is not None and theirs >= mine:
                yield self._finding(("initial", "order"), f"{parent} must come first, but has {theirs}")

    def _parts(self) -> Iterator[Finding]:
        for name, part in self.map.parts.items():
            for side in SIDES:
                text = part.filter.dataverse if side == "dataverse" else part.filter.finance
                for column in Expression.parse(text).columns:
                    yield from self._missing(side, column, ("parts", name, "filter", side), stops=True)
        for position, lookup in enumerate(self.map.lookups):
            for parent in lookup.maps:
                if self.catalog.declared[parent].parts:
                    yield self._finding(
                        ("lookups", position), f"{parent} travels in parts, so no base of it has all records"
                    )

    def _unit(self) -> Iterator[Finding]:
        unit, trigger = self.map.unit, self.map.trigger
        if unit is None:
            return
        if trigger is not None:
            yield from self._trigger(unit, trigger)
        for position, line in enumerate(unit.lines):
            loc: Loc = ("unit", "lines", position)
            lines = self.catalog[line if isinstance(line, str) else line.map]
            if self.map.enabled and not lines.enabled:
                yield self._finding(loc, f"{lines.map} is off, so no unit would ever be complete")
            if trigger is not None and trigger.way not in lines.directions:
                yield self._finding(loc, f"{lines.map} does not go {_spoken(trigger.way)}, as the trigger does")
            if isinstance(line, UnitLines):
                yield from self._onward(unit, line, loc)
            elif lines.header_lookup(self.map.map) is None:
                yield self._finding(loc, f"{lines.map} has no lookup to {self.map.map}")
            elif self.map.scope != lines.scope:
                yield self._finding(loc, f"{lines.map} has not the scope of {self.map.map}")

    def _trigger(self, unit: HeaderUnit, trigger: Field) -> Iterator[Finding]:
        receiver: Side = "finance" if trigger.way == "to_finance" else "dataverse"
        column = self._column(receiver, str(unit.trigger))
        if column is not None and unit.rest is not None and (problem := _not_a_value(column, unit.rest)):
            yield self._finding(("unit", "rest"), problem)
        if trigger.way not in self._creating():
            yield self._finding(("unit", "trigger"), f"rows are not created {_spoken(trigger.way)}")

    def _onward(self, unit: HeaderUnit, line: UnitLines, loc: Loc) -> Iterator[Finding]:
        """Findings about lines that are found through other lines."""
        if unit.trigger is not None:
            yield self._finding((*loc, "of"), "lines found through other lines can only be watched, not awaited")
        if line.of not in unit.maps:
            yield self._finding((*loc, "of"), f"{line.of} holds no lines of this unit")
        carried = {field.dataverse for field in self.catalog[line.map].fields_of("to_finance")}
        for name in line.by:
            if name not in carried:
                yield self._finding((*loc, "by"), f"{line.map} does not carry {name} to Finance")


def _targets(lookup: Lookup) -> tuple[str | None, ...]:
    return (None,) if lookup.targets is None else tuple(lookup.targets)


def _spoken(direction: Way) -> str:
    return direction.replace("to_", "to ").replace("dataverse", "Dataverse").replace("finance", "Finance")


def _not_a_value(column: Column, value: Scalar) -> str:
    """Why the value cannot stand in the column; empty if it can."""
    match column.kind:
        case "bool":
            fits = isinstance(value, bool)
        case "option":
            number = isinstance(value, int) and not isinstance(value, bool)
            fits = number and (column.options is None or value in column.options)
        case "enum":
            fits = isinstance(value, str) and (not column.options or value in column.members)
        case "int":
            fits = isinstance(value, int) and not isinstance(value, bool)
        case "decimal":
            fits = isinstance(value, int | Decimal) and not isinstance(value, bool)
        case _:
            fits = isinstance(value, str)
    if fits:
        return ""
    known = ", ".join(str(option) for option in (column.options or {})) if column.kind == "option" else ""
    known = known or ", ".join(column.members)
    return f"{value!r} is no value of {column.name} ({column.kind}{': ' + known if known else ''})"


def _kinds_differ(field: Field, dataverse: Column, finance: Column) -> str:
    """Why a pair without a value map cannot be carried; empty if it can."""
    kinds: frozenset[Kind] = frozenset((dataverse.kind, finance.kind))
    if len(kinds) == 1 and dataverse.kind not in ("option", "enum"):
        return ""
    if kinds in _SAME:
        return ""
    if field.way == "to_finance" and dataverse.kind == "lookup" and finance.kind == "guid":
        return ""
    if kinds <= {"date", "instant"}:
        return "" if field.date is not None else "one side has a time of day: say date: date_only or instant"
    if field.raw_option and dataverse.kind == "option" and finance.kind == "int":
        return ""
    return f"{dataverse.name} is a {dataverse.kind} and {finance.name} a {finance.kind}: the pair needs values"
