"""Checks table maps against each other and against the schema, without a connection.

The loader already refuses what is not a table map; here are the mistakes that need other maps or the columns' kinds to
be seen. Nothing is raised: everything found is listed, so that one run shows all of it.
"""

from __future__ import annotations

from collections.abc import Iterator

from dualsync.mapping.catalog import Catalog
from dualsync.mapping.checks.documents import check_document, check_parts
from dualsync.mapping.checks.finding import Finding, MapCheck
from dualsync.mapping.checks.pairs import check_field, check_lookup
from dualsync.mapping.checks.rules import check_rules
from dualsync.mapping.checks.tables import check_company, check_initial, check_keys, check_tables
from dualsync.mapping.schema import Schema
from dualsync.sides import SIDES

__all__ = ["Finding", "check_catalog"]


def check_catalog(catalog: Catalog, schema: Schema) -> list[Finding]:
    """Everything wrong with the maps of a catalog, by map and line."""
    findings = [
        finding
        for table_map in catalog.declared.values()
        for finding in _check_map(MapCheck(table_map, catalog, schema))
    ]
    return sorted(findings, key=lambda finding: (finding.map, finding.line, finding.text))


def _check_map(check: MapCheck) -> Iterator[Finding]:
    for side in SIDES:
        if not check.is_known(side):
            what = f"no columns of {check.names[side]} are known, so none were checked"
            yield check.finding((side,), what, severity="warning")
    yield from check_tables(check)
    yield from check_keys(check)
    yield from check_company(check)
    for position, field in enumerate(check.map.fields):
        yield from check_field(check, field, ("fields", position))
    for position, lookup in enumerate(check.map.lookups):
        yield from check_lookup(check, lookup, ("lookups", position))
    yield from check_rules(check)
    yield from check_initial(check)
    yield from check_parts(check)
    yield from check_document(check)
