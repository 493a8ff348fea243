"""Checks of parts, and of documents: a header and its lines."""

from __future__ import annotations

from collections.abc import Iterator

from dualsync.mapping.checks.finding import Finding, MapCheck, spoken
from dualsync.mapping.checks.values import not_a_value
from dualsync.mapping.expressions import Expression
from dualsync.mapping.model import Field, HeaderUnit, UnitLines
from dualsync.mapping.places import Loc
from dualsync.sides import SIDES, Side


def check_parts(check: MapCheck) -> Iterator[Finding]:
    """Findings about the filters of parts, and about lookups to a map that has parts."""
    for name, part in check.map.parts.items():
        for side in SIDES:
            text = part.filter.dataverse if side == "dataverse" else part.filter.finance
            for column in Expression.parse(text).columns:
                yield from check.missing(side, column, ("parts", name, "filter", side), stops=True)
    for position, lookup in enumerate(check.map.lookups):
        for parent in lookup.maps:
            if check.catalog.declared[parent].parts:
                yield check.finding(
                    ("lookups", position), f"{parent} travels in parts, so no base of it has all records"
                )


def check_document(check: MapCheck) -> Iterator[Finding]:
    """Findings about the lines and the trigger of a document."""
    unit, trigger = check.map.unit, check.map.trigger
    if unit is None:
        return
    if trigger is not None:
        yield from _trigger(check, unit, trigger)
    for position, line in enumerate(unit.lines):
        loc: Loc = ("unit", "lines", position)
        lines = check.catalog[line if isinstance(line, str) else line.map]
        if check.map.enabled and not lines.enabled:
            yield check.finding(loc, f"{lines.map} is off, so no document would ever be complete")
        if trigger is not None and trigger.way not in lines.directions:
            yield check.finding(loc, f"{lines.map} does not go {spoken(trigger.way)}, as the trigger does")
        if isinstance(line, UnitLines):
            yield from _onward(check, unit, line, loc)
        elif lines.header_lookup(check.map.map) is None:
            yield check.finding(loc, f"{lines.map} has no lookup to {check.map.map}")
        elif check.map.scope != lines.scope:
            yield check.finding(loc, f"{lines.map} has not the scope of {check.map.map}")


def _trigger(check: MapCheck, unit: HeaderUnit, trigger: Field) -> Iterator[Finding]:
    receiver: Side = "finance" if trigger.way == "to_finance" else "dataverse"
    column = check.column(receiver, str(unit.trigger))
    if column is not None and unit.rest is not None and (problem := not_a_value(column, unit.rest)):
        yield check.finding(("unit", "rest"), problem)
    if trigger.way not in check.creating_directions():
        yield check.finding(("unit", "trigger"), f"rows are not created {spoken(trigger.way)}")


def _onward(check: MapCheck, unit: HeaderUnit, line: UnitLines, loc: Loc) -> Iterator[Finding]:
    """Findings about lines that are found through other lines."""
    if unit.trigger is not None:
        yield check.finding((*loc, "of"), "lines found through other lines can only be watched, not awaited")
    if line.of not in unit.maps:
        yield check.finding((*loc, "of"), f"{line.of} holds no lines of this document")
    carried = {field.dataverse for field in check.catalog[line.map].fields_of("to_finance")}
    for name in line.by:
        if name not in carried:
            yield check.finding((*loc, "by"), f"{line.map} does not carry {name} to Finance")
