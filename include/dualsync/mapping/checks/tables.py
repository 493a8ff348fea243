"""Checks of the two tables of a map: names, filters, keys, company, and what the first synchronisation says."""

from __future__ import annotations

from collections.abc import Iterator

from dualsync.mapping.catalog import LEGAL_ENTITIES
from dualsync.mapping.checks.finding import Finding, MapCheck, spoken, targets_of
from dualsync.mapping.model import Field, Lookup
from dualsync.mapping.places import Loc
from dualsync.mapping.words import COMPANY_WORD
from dualsync.sides import SIDES, Side


def check_tables(check: MapCheck) -> Iterator[Finding]:
    """Findings about sets, ids, filters and the map that this one excludes."""
    if check.is_known("dataverse"):
        about = check.schema.table("dataverse", check.names["dataverse"]).about
        for word, name in (("set", check.map.dataverse.set), ("id", check.map.dataverse.id)):
            if about.get(word, name) != name:
                yield check.finding(("dataverse", word), f"'{name}' should be '{about[word]}'")
    for side in SIDES:
        half = check.map.dataverse if side == "dataverse" else check.map.finance
        for column in half.expression.columns:
            yield from check.missing(side, column, (side, "filter"), stops=True)
    for column in check.map.dataverse.unclear.columns if check.map.dataverse.unclear else ():
        yield from check.missing("dataverse", column, ("dataverse", "quarantine_when"), stops=True)
    if check.map.finance.company is not None:
        yield from check.missing("finance", check.map.finance.company, ("finance", "company"), stops=True)
    other = check.map.excludes
    if other is not None and check.map.enabled and check.catalog[other].enabled:
        yield check.finding(("excludes",), f"{other} is on as well; turn one of them off")


def check_keys(check: MapCheck) -> Iterator[Finding]:
    """Findings about the integration key."""
    pairs = zip(check.map.dataverse.key, check.map.finance.key, strict=True)
    for position, (dataverse, finance) in enumerate(pairs):
        loc: Loc = ("dataverse", "key", position)
        yield from check.missing("finance", finance, ("finance", "key", position), stops=True)
        if "." not in dataverse:
            yield from check.missing("dataverse", dataverse, loc, stops=True)
        pair = _key_pair(check, dataverse, finance)
        if pair is None:
            yield check.finding(loc, f"no field or lookup pairs {dataverse} with {finance}")
            continue
        for direction in check.creating_directions():
            if not pair.goes(direction):
                yield check.finding(loc, f"rows are created {spoken(direction)}, but {dataverse} does not go there")
    if check.is_known("finance"):
        keys = set(check.schema.table("finance", check.names["finance"]).keys)
        ours = {*check.map.finance.key, *filter(None, (check.map.finance.company,))}
        # of a row that names two companies, the entity's key may have the one and the transfers be split by the other
        companies = {(lookup.on or {}).get(COMPANY_WORD) for lookup in check.map.lookups} - {None}
        same = keys == ours or (len(companies) > 1 and keys - companies == ours - companies)
        if keys and not same:
            yield check.finding(("finance", "key"), f"the entity's key is {', '.join(sorted(keys))}")


def _key_pair(check: MapCheck, dataverse: str, finance: str) -> Field | Lookup | None:
    head, _, rest = dataverse.partition(".")
    for pair in check.map.pairs:
        if pair.dataverse != head:
            continue
        if isinstance(pair, Field) and not rest and pair.finance == finance:
            return pair
        if isinstance(pair, Lookup) and any(pair.on_of(target).get(rest) == finance for target in targets_of(pair)):
            return pair
        if isinstance(pair, Lookup) and pair.through is not None and pair.through.column == rest:
            return pair if pair.finance_columns == (finance,) else None
    return None


def check_company(check: MapCheck) -> Iterator[Finding]:
    """Findings about the path to the company."""
    path = check.map.dataverse.company
    if path is None:
        return
    loc: Loc = ("dataverse", "company")
    head, _, rest = path.partition(".")
    yield from check.missing("dataverse", head, loc, stops=True)
    if check.map.company_is_direct:
        column = check.column("dataverse", head)
        table = check.catalog[LEGAL_ENTITIES].dataverse.table
        if column is not None and table not in column.targets:
            yield check.finding(loc, f"{head} does not point to {table}")
        return
    parents = [check.catalog[name] for lookup in check.map.lookups if lookup.dataverse == head for name in lookup.maps]
    if not parents:
        yield check.finding(loc, f"{head} is not a declared lookup")
    for parent in parents:
        if parent.dataverse.company != rest:
            yield check.finding(loc, f"{parent.map} has its company at {parent.dataverse.company}, not at {rest}")


def check_initial(check: MapCheck) -> Iterator[Finding]:
    """Findings about the first synchronisation."""
    dated_by = check.map.initial.dated_by
    side: Side = "finance" if check.map.rows.created_by == "finance" else "dataverse"
    if dated_by is not None:
        yield from check.missing(side, dated_by, ("initial", "dated_by"), stops=True)
        column = check.column(side, dated_by)
        if column is not None and column.kind not in ("date", "instant"):
            yield check.finding(("initial", "dated_by"), f"{dated_by} is a {column.kind}, not a date")
    mine = check.map.initial.order
    for parent in check.catalog.needs(check.map.map):
        theirs = check.catalog[parent].initial.order
        if mine is not None and theirs is not None and theirs >= mine:
            yield check.finding(("initial", "order"), f"{parent} must come first, but has {theirs}")
