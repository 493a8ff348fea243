"""Write ``docs/evidence.md``: how sure the names are that maps, extracts, rules, suites and the sandbox use.

Without an argument the page is written; ``--check`` fails where it is older than the code. Which names are used, and
where, :func:`uses` tells; what is known of them, ``include/dualsync/catalogue`` holds.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dualsync.catalogue import CLASSES, UNPROVEN, Catalogue
from dualsync.controls.extracts import Extract, extracts
from dualsync.mapping import COMPANY_WORD, Catalog, Expression, Lookup, Reference, Schema, Side, TableMap
from dualsync_sandbox.schema import SystemSchema

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "evidence.md"
SUITES = ROOT / "great_expectations" / "expectations"

ESSENTIAL = ("set", "key", "company", "filter")
"""Places in which a name without evidence would change what a transfer does, not only leave a value out."""

FINANCE_CLASSES = ("public", "packaged", "unknown")

HEAD = """# How sure the names are

Table maps, extracts and rules name sets, tables and columns of two systems that belong to somebody else. This page
tells which of the names public sources bear out. The facts are in `include/dualsync/catalogue`; its `sources.tsv` says
where each was found. This page is made by `python docs/build_evidence.py`.

| Class | Means |
|---|---|
| confirmed | real metadata of 2020 or later have it, or a rule of the platform |
| published map | an exported or published table map, or a screenshot of one, pairs it |
| documented | documentation or published code names it |
| predecessor | only metadata of Project Service Automation, to 2020, have it |
| label only | documentation shows a label, and no name |
| none | looked for and not found |
| unknown | the catalogue does not hold it |
| contradicted | a source shows another name, meaning or kind |

A Finance name is *public* where a real environment shows it over OData, *packaged* where only the data entity behind a
data package is published, and *unknown* otherwise.
"""


@dataclass(frozen=True, order=True)
class Use:
    """A name in use.

    Attributes:
        by: Who uses it: a map, an extract, a suite or the sandbox, with its name.
        side: The system.
        table: Logical name of the Dataverse table, or the Finance entity set.
        column: The column; empty where the table itself is meant.
        place: Where it stands: set, key, company, filter, pair, lookup, through or rule.
        written: Whether a transfer writes it.
    """

    by: str
    side: Side
    table: str
    column: str
    place: str
    written: bool = False


def uses() -> list[Use]:
    """Every name that a map, an extract, a suite or a rule uses, each once for each place."""
    catalog, schema = Catalog.load(), Schema.load()
    found = [use for table_map in catalog.declared.values() for use in _of_map(table_map, catalog, schema)]
    found += [use for extract in extracts().values() for use in _of_extract(extract)]
    found += [use for table_map in catalog.declared.values() for use in _of_suite(table_map)]
    return sorted(set(found))


def played() -> list[Use]:
    """Every name of the sandbox's public face."""
    found = []
    sides: tuple[Side, ...] = ("dataverse", "finance")
    for side in sides:
        for table in SystemSchema.load(side).tables.values():
            found.append(Use("sandbox", side, table.name, "", "set"))
            found += [Use("sandbox", side, table.name, column, "pair") for column in table.columns]
    return found


def _of_map(table_map: TableMap, catalog: Catalog, schema: Schema) -> Iterator[Use]:
    by = f"map {table_map.map}"
    dataverse, finance = table_map.dataverse, table_map.finance
    yield Use(by, "dataverse", dataverse.table, "", "set")
    yield Use(by, "finance", finance.set, "", "set")
    for place, paths in (("key", (dataverse.id, *dataverse.key)), ("company", (dataverse.company,))):
        for path in paths:
            yield from _along(by, dataverse.table, path or "", place, schema)
    for place, columns in (("key", finance.key), ("company", (finance.company,))):
        yield from (Use(by, "finance", finance.set, column, place) for column in columns if column)
    yield from _of_filters(by, table_map)
    for field in table_map.fields:
        if field.dataverse:
            written = field.goes("to_dataverse")
            yield Use(by, "dataverse", dataverse.table, field.dataverse, "pair", written)
        if field.finance:
            yield Use(by, "finance", finance.set, field.finance, "pair", field.goes("to_finance"))
    for lookup in table_map.lookups:
        yield from _of_lookup(by, table_map, lookup, catalog, schema)
    yield from _of_rules(by, table_map)


def _of_rules(by: str, table_map: TableMap) -> Iterator[Use]:
    dataverse, finance = table_map.dataverse, table_map.finance
    for rule in table_map.rules:
        own = finance.set if rule.side == "finance" else dataverse.table
        yield from (Use(by, rule.side, own, column, "rule") for column in rule.columns)
        if rule.reference is not None:
            yield from _of_reference(by, rule.reference)
            if rule.opposite is not None:
                yield Use(by, rule.reference.side, rule.reference.set, rule.opposite.to, "rule")


def _of_filters(by: str, table_map: TableMap) -> Iterator[Use]:
    dataverse, finance = table_map.dataverse, table_map.finance
    texts = [dataverse.filter, dataverse.quarantine_when]
    texts += [part.filter.dataverse for part in table_map.parts.values()]
    names = [column for text in texts if text for column in Expression.parse(text).columns]
    dated = table_map.initial.dated_by
    if dated and table_map.rows.created_by == "dataverse":
        names.append(dated)
    yield from (Use(by, "dataverse", dataverse.table, name, "filter") for name in names)
    texts = [finance.filter, *(part.filter.finance for part in table_map.parts.values())]
    names = [column for text in texts if text for column in Expression.parse(text).columns]
    if dated and table_map.rows.created_by == "finance":
        names.append(dated)
    yield from (Use(by, "finance", finance.set, name, "filter") for name in names)


def _of_lookup(by: str, table_map: TableMap, lookup: Lookup, catalog: Catalog, schema: Schema) -> Iterator[Use]:
    written = lookup.goes("to_dataverse")
    yield Use(by, "dataverse", table_map.dataverse.table, lookup.dataverse, "lookup", written)
    ons = [(target.map, target.on) for target in lookup.targets.values()] if lookup.targets is not None else []
    if lookup.on is not None and lookup.map is not None:
        ons.append((lookup.map, lookup.on))
    for parent, on in ons:
        for path, column in on.items():
            yield Use(by, "finance", table_map.finance.set, column, "lookup", lookup.goes("to_finance"))
            if path != COMPANY_WORD:
                yield from _along(by, catalog[parent].dataverse.table, path, "lookup", schema)
    if lookup.through is not None:
        for table, about in schema.tables.items():
            if table[0] == "dataverse" and about.about.get("set") == lookup.through.set:
                names = (lookup.through.id, lookup.through.column, lookup.through.company)
                yield from (Use(by, "dataverse", table[1], name, "through") for name in names if name)


def _along(by: str, table: str, path: str, place: str, schema: Schema) -> Iterator[Use]:
    """A path through lookups: each of its columns, on the table where it stands."""
    for name in path.split(".") if path else ():
        yield Use(by, "dataverse", table, name, place)
        targets = schema.column("dataverse", table, name).targets if schema.has("dataverse", table) else ()
        table = targets[0] if targets else table


def _of_reference(by: str, reference: Reference) -> Iterator[Use]:
    yield Use(by, reference.side, reference.set, "", "rule")
    names = (*reference.columns, *((reference.company,) if reference.company else ()))
    yield from (Use(by, reference.side, reference.set, name, "rule") for name in names)


def _of_extract(extract: Extract) -> Iterator[Use]:
    by = f"extract {extract.extract}"
    yield Use(by, extract.side, extract.place, "", "set")
    yield from (Use(by, extract.side, extract.place, name, "key") for name in extract.key)
    if isinstance(extract.company, str):
        yield Use(by, extract.side, extract.place, extract.company, "company")
    elif extract.company is not None:
        yield Use(by, extract.side, extract.place, extract.company.by, "company")
    for wanted in extract.columns.values():
        yield Use(by, extract.side, extract.place, wanted.column, "pair")


def _of_suite(table_map: TableMap) -> Iterator[Use]:
    file = SUITES / f"{table_map.map}.json"
    told = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {"expectations": []}
    for expectation in told["expectations"]:
        meta, column = expectation["meta"], expectation["kwargs"].get("column")
        if column and "check" not in meta:
            side: Side = meta["side"]
            table = table_map.finance.set if side == "finance" else table_map.dataverse.table
            yield Use(f"suite {table_map.map}", side, table, column, "pair")


def evidence_of(use: Use, catalogue: Catalogue) -> str:
    """How sure a name is: a class of evidence for Dataverse; public, packaged or unknown for Finance."""
    if use.side == "finance":
        held = catalogue.finance.get(use.table)
        if held is None or (use.column and use.column not in held.columns):
            return "unknown"
        return "packaged" if held.packaged else "public"
    if use.column:
        return catalogue.evidence(use.table, use.column)
    return "confirmed" if use.table in catalogue.dataverse else "unknown"


def page() -> str:
    """The page as it should be."""
    catalogue = Catalogue.load()
    named = uses()
    lines = [HEAD, "## All names\n"]
    lines += _counted("Dataverse columns", CLASSES, _classes(named, "dataverse", catalogue))
    lines += _counted(
        "Finance sets and columns", ("public", "packaged", "unknown"), _classes(named, "finance", catalogue)
    )
    lines += ["## By map\n", *_by_map(named, catalogue)]
    lines += ["## Names that no source bears out\n", *_unproven(named, catalogue)]
    return "\n".join(lines)


def _classes(named: Iterable[Use], side: Side, catalogue: Catalogue) -> Mapping[str, int]:
    names = {
        (use.table, use.column): evidence_of(use, catalogue)
        for use in named
        if use.side == side and (use.column or side == "finance")
    }
    return Counter(names.values())


def _counted(what: str, classes: Iterable[str], counts: Mapping[str, int]) -> list[str]:
    rows = [f"| {name} | {counts[name]} |" for name in classes if counts.get(name)]
    return [f"| {what} | Number |\n|---|---|", *rows, f"| all | {sum(counts.values())} |", ""]


def _by_map(named: list[Use], catalogue: Catalogue) -> list[str]:
    lines = ["| Map | Dataverse borne out | unproven | contradicted | Finance public | packaged | unknown |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for name in Catalog.load().declared:
        own = [use for use in named if use.by == f"map {name}"]
        there = _classes(own, "dataverse", catalogue)
        here = _classes(own, "finance", catalogue)
        unproven = sum(there.get(evidence, 0) for evidence in UNPROVEN)
        wrong = there.get("contradicted", 0)
        numbers = (sum(there.values()) - unproven - wrong, unproven, wrong)
        numbers += tuple(here.get(word, 0) for word in FINANCE_CLASSES)
        lines.append(f"| {name} | {' | '.join(map(str, numbers))} |")
    return [*lines, ""]


def _unproven(named: list[Use], catalogue: Catalogue) -> list[str]:
    lines = [
        "Of Dataverse; those in a key, company, filter or set are marked: there an error would change what travels.\n"
    ]
    lines += ["| Name | Class | Used by | Marked |", "|---|---|---|---|"]
    unknown: dict[str, list[Use]] = {}
    for (side, table, column), found in sorted(by_name(named).items()):
        evidence = evidence_of(found[0], catalogue)
        if evidence not in (*UNPROVEN, "contradicted"):
            continue
        if side == "finance":
            unknown.setdefault(table, []).extend(found)
            continue
        marked = sorted({use.place for use in found if use.place in ESSENTIAL})
        lines.append(f"| `{table}.{column}` | {evidence} | {_users(found)} | {', '.join(marked)} |")
    lines += ["\nOf Finance, by set; *all* where the set itself is not public.\n"]
    lines += ["| Set | Columns | Used by |", "|---|---|---|"]
    for table, found in unknown.items():
        columns = sorted({use.column for use in found if use.column})
        shown = ", ".join(f"`{column}`" for column in columns) if table in catalogue.finance else "all"
        lines.append(f"| `{table}` | {shown} | {_users(found)} |")
    return [*lines, ""]


def _users(found: list[Use]) -> str:
    return ", ".join(sorted({use.by for use in found if not use.by.startswith("suite ")}))


def by_name(named: Iterable[Use]) -> dict[tuple[Side, str, str], list[Use]]:
    """Uses by system, table and column."""
    found: dict[tuple[Side, str, str], list[Use]] = {}
    for use in named:
        found.setdefault((use.side, use.table, use.column), []).append(use)
    return found


def main() -> int:
    """Write the page, or say that it is stale."""
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(page(), encoding="utf-8")
        return 0
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == page():
        return 0
    sys.stderr.write(f"{PAGE.name} is older than maps and catalogue; run python docs/build_evidence.py\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
