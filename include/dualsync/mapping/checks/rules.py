"""Checks of the business rules of a map."""

from __future__ import annotations

from collections.abc import Iterator

from dualsync.errors import SchemaMismatch
from dualsync.mapping.checks.finding import Finding, MapCheck, spoken
from dualsync.mapping.model import Rule, receiving_columns
from dualsync.mapping.places import Loc
from dualsync.sides import Direction


def check_rules(check: MapCheck) -> Iterator[Finding]:
    """Findings about the columns and sets that the rules name."""
    for position, rule in enumerate(check.map.rules):
        direction: Direction = "to_finance" if rule.side == "finance" else "to_dataverse"
        written = {column for pair in check.map.pairs_of(direction) for column in receiving_columns(pair, direction)}
        for column in rule.columns:
            if column not in written:
                yield check.finding(("rules", position), f"{column} is not written {spoken(direction)}")
        yield from _reference(check, rule, ("rules", position))


def _reference(check: MapCheck, rule: Rule, loc: Loc) -> Iterator[Finding]:
    reference = rule.reference
    if reference is None:
        return
    if reference.evidence == "assumed" and rule.severity == "critical":
        yield check.finding(loc, f"{reference.set} is assumed, and what nobody has seen must hold no row back")
    if not check.schema.has(reference.side, reference.set):
        return
    columns = (*reference.columns, *((reference.company,) if reference.company else ()))
    for column in (*columns, *((rule.opposite.to,) if rule.opposite else ())):
        try:
            check.schema.column(reference.side, reference.set, column)
        except SchemaMismatch as error:
            yield check.finding(loc, f"the rule will not run: {error}", "warning")
