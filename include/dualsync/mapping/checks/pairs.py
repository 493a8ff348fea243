"""Checks of the pairs of a map: fields and lookups."""

from __future__ import annotations

from collections.abc import Iterator

from dualsync.mapping.checks.finding import Finding, MapCheck, targets_of
from dualsync.mapping.checks.values import kinds_differ, not_a_value
from dualsync.mapping.model import Field, Lookup, TableMap, UnknownDefault
from dualsync.mapping.places import Loc
from dualsync.mapping.schema import Column
from dualsync.mapping.words import COMPANY_WORD
from dualsync.sides import SIDES, Side


def check_field(check: MapCheck, field: Field, loc: Loc) -> Iterator[Finding]:
    """Findings about one field."""
    for side in SIDES:
        name = field.column(side)
        if name is not None:
            yield from check.missing(side, name, (*loc, side), stops=name in _key_columns(check, side))
    columns = {side: check.column(side, name) for side in SIDES if (name := field.column(side)) is not None}
    dataverse, finance = columns.get("dataverse"), columns.get("finance")
    if field.constant is not None:
        receiver = dataverse or finance
        if receiver is not None and (problem := not_a_value(receiver, field.constant)):
            yield check.finding((*loc, "constant"), problem)
    elif dataverse is not None and finance is not None:
        if field.values is not None:
            yield from _values(check, field, dataverse, finance, loc)
        elif problem := kinds_differ(field, dataverse, finance):
            yield check.finding(loc, problem)


def _key_columns(check: MapCheck, side: Side) -> tuple[str, ...]:
    return check.map.dataverse.key if side == "dataverse" else check.map.finance.key


def _values(check: MapCheck, field: Field, dataverse: Column, finance: Column, loc: Loc) -> Iterator[Finding]:
    sender, receiver = (finance, dataverse) if field.way == "to_dataverse" else (dataverse, finance)
    place = (*loc, "values")
    for sent, received in (field.values or {}).items():
        for column, value in ((sender, sent), (receiver, received)):
            if problem := not_a_value(column, value):
                yield check.finding(place, problem)
    if isinstance(field.on_unknown, UnknownDefault) and (problem := not_a_value(receiver, field.on_unknown.default)):
        yield check.finding((*loc, "on_unknown"), problem)


def check_lookup(check: MapCheck, lookup: Lookup, loc: Loc) -> Iterator[Finding]:
    """Findings about one lookup."""
    yield from check.missing("dataverse", lookup.dataverse, (*loc, "dataverse"), stops=False)
    column = check.column("dataverse", lookup.dataverse)
    if column is not None and column.kind != "lookup":
        yield check.finding((*loc, "dataverse"), f"{lookup.dataverse} is a {column.kind}, not a lookup")
    for target in targets_of(lookup):
        on = lookup.on_of(target)
        for finance in on.values():
            yield from check.missing("finance", finance, (*loc, "on"), stops=finance in check.map.finance.key)
        name = lookup.map if lookup.targets is None else lookup.targets[target or ""].map
        if name is not None:
            yield from _parent(check, lookup, column, check.catalog[name], target, loc)
    if lookup.ordered_by is not None:
        ordered = lookup.ordered_by in check.catalog.needs(check.map.map)
        if not ordered or not set(lookup.maps) <= check.catalog.ancestors(lookup.ordered_by):
            yield check.finding((*loc, "ordered_by"), f"{lookup.ordered_by} does not bring {lookup.map} first")


def _parent(
    check: MapCheck, lookup: Lookup, column: Column | None, parent: TableMap, target: str | None, loc: Loc
) -> Iterator[Finding]:
    table = parent.dataverse.table
    if target is not None and target != table:
        yield check.finding((*loc, "targets"), f"{parent.map} is the map of {table}, not of {target}")
    if column is not None and column.targets and lookup.through is None and table not in column.targets:
        yield check.finding((*loc, "map"), f"{lookup.dataverse} points to {', '.join(column.targets)}, not to {table}")
    on = lookup.on_of(target)
    place = (*loc, "on") if target is None else (*loc, "targets", target, "on")
    # where a column read on the way holds the key itself, the parent's company plays no part
    key_read = lookup.through is not None and not lookup.through.lookup
    wants_company = parent.scope == "company" and not key_read
    if wants_company and COMPANY_WORD not in on:
        yield check.finding(place, f"{parent.map} has companies: say where the parent's comes from (company)")
    if not wants_company and COMPANY_WORD in on:
        yield check.finding(place, f"{parent.map} is global and has no company")
    words = [word for word in on if word not in (COMPANY_WORD, parent.dataverse.company)]
    for word in words:
        if problem := _unanswered(check, parent, word):
            yield check.finding(place, problem)
    unique = set(words) >= set(parent.dataverse.key) or words == [parent.dataverse.id]
    through = lookup.through if lookup.goes("to_dataverse") else None
    if through is not None and through.company is None and parent.scope == "company":
        yield check.finding((*loc, "through"), f"say which column of {through.set} holds the company")
    if lookup.goes("to_dataverse") and not unique:
        yield check.finding(place, f"does not name one record: the key is {', '.join(parent.dataverse.key)}")


def _unanswered(check: MapCheck, parent: TableMap, word: str) -> str:
    """Why a parent cannot say what a lookup asks of it; empty where it can."""
    table = parent.dataverse.table
    if any(field.dataverse == word and field.read_only for field in parent.fields):
        return f"{parent.map} only compares {word}, so nothing of it is agreed"
    if word in parent.dataverse.key or not check.schema.has("dataverse", table):
        return ""
    known = word in check.schema.table("dataverse", table).columns
    return "" if known else f"{parent.map} has neither a column nor a key path '{word}'"
