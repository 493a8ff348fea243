"""Units: a header and its lines are one thing, although they travel as rows of several maps.

Before anything of a unit is written the ledger says that it is not complete (:func:`begin`), and when lines settle they
are counted (:func:`count_lines`). What the trigger of a unit adds to this is in ``triggers.py``.

The lines of a header are found by the lookup that names it, or through other lines whose records they name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
from upath import UPath

from dualsync.frames import Sets, literal, quoted
from dualsync.ledger import DocumentRecord
from dualsync.mapping import Catalog, Direction, TableMap
from dualsync.mapping.parts import part_name
from dualsync.mapping.words import COMPANY_WORD, TRIGGER
from dualsync.sides import sender
from dualsync.sync.legs.leg import Leg
from dualsync.sync.legs.runtime import Runtime
from dualsync.sync.lookups.paths import base_column
from dualsync.sync.plan.base import open_base
from dualsync.sync.plan.columns import LegColumns
from dualsync.sync.plan.vocabulary import GLOBAL, OPEN, UPSERTED, Prefix, Severity, agreed, agreed_prefix, sql_list

PLANNED = Prefix.SENT
"""What stands before the names of the sending side's columns in a plan."""

SENT = (
    f"pos NOT IN (SELECT pos FROM failures WHERE severity = '{Severity.CRITICAL}') AND action IN {sql_list(UPSERTED)}"
)
"""The rows of a plan that are written."""


@dataclass(frozen=True, slots=True)
class Lines:
    """The rows of one map as lines of another map's rows.

    Attributes:
        header: The map of the headers.
        map: The map of the lines.
        of: The lines through which they are found, where they do not name their header.
        by: The columns that name a record of those.
    """

    header: TableMap
    map: TableMap
    of: Lines | None = None
    by: tuple[str, ...] = ()

    @property
    def way(self) -> Direction:
        """The direction in which the unit travels."""
        return way_of(self.header)

    @property
    def sender(self) -> str:
        """The prefix of the sending side's columns in a base."""
        return agreed_prefix(sender(self.way))

    @property
    def columns(self) -> dict[str, str]:
        """The sending side's columns that name the header, each with the column of the header's base it matches."""
        lookup = self.map.header_lookup(self.header.map)
        assert lookup is not None
        if self.way == "to_finance":
            return {lookup.dataverse: "id"}
        paths = {path: column for path, column in lookup.on_of().items() if path != COMPANY_WORD}
        return {
            column: base_column(self.header, path)
            for path, column in paths.items()
            if path != self.header.dataverse.company
        }

    def joins(self, rows: str, headers: str, prefix: str) -> list[str]:
        """SQL conditions, any of which says that a row is of a header.

        Args:
            rows: Alias of the rows.
            headers: Alias of the headers, or of the lines through which these are found.
            prefix: What stands before the names of the sending side's columns in the rows.
        """
        if self.of is not None:
            return [f"lower({rows}.{quoted(prefix + name)}) = {headers}.id" for name in self.by]
        same = [
            f"lower({rows}.{quoted(prefix + name)}::VARCHAR) = lower({headers}.{quoted(known)}::VARCHAR)"
            for name, known in self.columns.items()
        ]
        return [" AND ".join(same)]


def way_of(header: TableMap) -> Direction:
    """The direction in which the units of a header travel."""
    if header.trigger is not None:
        return "to_finance" if header.trigger.way == "to_finance" else "to_dataverse"
    return "to_dataverse" if header.rows.created_by == "finance" else "to_finance"


def trigger_part(header: TableMap) -> str | None:
    """The name of the part that sends the trigger, None for units that are only watched."""
    return None if header.trigger is None else part_name(header.map, TRIGGER)


def lines_of(catalog: Catalog, header: TableMap) -> tuple[Lines, ...]:
    """The lines of a header's units, map by map."""
    assert header.unit is not None
    direct = {name: Lines(header, catalog[name]) for name in header.unit.lines if isinstance(name, str)}
    onward = [
        Lines(header, catalog[line.map], direct[line.of], line.by)
        for line in header.unit.lines
        if not isinstance(line, str)
    ]
    return (*direct.values(), *onward)


def as_lines(leg: Leg, runtime: Runtime) -> list[Lines]:
    """What a leg's rows are lines of."""
    return [
        lines
        for header in runtime.catalog.headers(leg.map.map)
        for lines in lines_of(runtime.catalog, header)
        if lines.map.map == leg.map.map and lines.way == leg.direction
    ]


def is_header(leg: Leg) -> bool:
    """Whether a leg carries headers of units, in the direction in which these travel."""
    return leg.map.unit is not None and not leg.map.sends_trigger and way_of(leg.map) == leg.direction


def due(leg: Leg, runtime: Runtime) -> list[DocumentRecord]:
    """Units that may want their trigger: of a leg that sends it, those that the ledger does not call complete."""
    if leg.map.part_of is None or not leg.map.sends_trigger:
        return []
    return runtime.ledger.documents(
        map_name=leg.map.part_of.map, company=leg.company, lines=leg.map.map, incomplete=True
    )


def begin(leg: Leg, runtime: Runtime, sets: Sets) -> None:
    """Let the ledger say that units are not complete, before the plan of a leg writes headers or lines of them.

    Args:
        leg: The leg.
        runtime: Maps and ledger.
        sets: With the views ``plan`` and ``failures``.
    """
    units: list[DocumentRecord] = []
    if is_header(leg):
        part = trigger_part(leg.map)
        names = [*leg.map.unit.maps, *([part] if part else [])] if leg.map.unit else []
        column = literal(leg.map.unit.trigger or "") if leg.map.unit else ""
        rows = sets.fetch(
            f"SELECT {literal(leg.company)} AS company, join_key, key, id FROM plan WHERE {SENT} "
            f"AND (action = 'create' OR list_contains(columns, {column}))"
        )
        units += _records(leg.map, rows, names)
    if units:
        runtime.ledger.mark_incomplete(units, leg.run.run_id)
    begin_lines(leg, runtime, sets, f"(SELECT * FROM plan WHERE action IN {sql_list(OPEN)})", PLANNED, written=False)
    begin_lines(leg, runtime, sets, f"(SELECT * FROM plan WHERE {SENT})", PLANNED, written=True)


def begin_lines(leg: Leg, runtime: Runtime, sets: Sets, rows: str, prefix: str, *, written: bool) -> None:
    """Let the ledger say that the units of lines are not complete.

    Args:
        leg: The leg of the lines.
        runtime: Maps and ledger.
        sets: Where the rows stand.
        rows: SQL of the lines; they have a ``join_key``.
        prefix: What stands before the names of the sending side's columns in them.
        written: Whether they are about to be written or deleted, so that the trigger has to come again.
    """
    units: list[DocumentRecord] = []
    for lines in as_lines(leg, runtime):
        link(sets, runtime, lines, leg, "begun", rows, prefix)
        part = trigger_part(lines.header) if written else None
        found = sets.fetch("SELECT DISTINCT company, join_key, key, id FROM begun")
        units += _records(lines.header, found, [leg.map.map, *([part] if part else [])])
    if units:
        runtime.ledger.mark_incomplete(units, leg.run.run_id)


def _records(header: TableMap, rows: pa.Table, names: list[str]) -> list[DocumentRecord]:
    return [
        DocumentRecord(header.map, row["company"], row["join_key"], row["key"], row["id"], name, 0, 0, complete=False)
        for row in rows.to_pylist()
        for name in names
    ]


def link(sets: Sets, runtime: Runtime, lines: Lines, leg: Leg, name: str, rows: str, prefix: str) -> None:
    """Make a table of lines with their headers: columns company, join_key, key and id of the header, and ``line``.

    Args:
        sets: Where it is made.
        runtime: Ledger and schema.
        lines: What the rows are lines of.
        leg: The leg whose company, or companies, are meant.
        name: Name of the table.
        rows: SQL of the rows; they have a ``join_key``.
        prefix: What stands before the names of the sending side's columns in them.
    """
    sets.run(f"CREATE OR REPLACE TEMP TABLE unit_headers AS {_headers_sql(sets, runtime, lines.header, leg)}")
    headers = "unit_headers"
    if lines.of is not None:
        found = " UNION ALL ".join(
            f"SELECT v.id, h.company, h.join_key, h.key, h.id AS header FROM {view} v JOIN unit_headers h ON "
            f"{' OR '.join(lines.of.joins('v', 'h', lines.of.sender))} AND h.company = {literal(company)}"
            for view, company in _bases(sets, runtime, lines.of.map, leg, "via")
        )
        empty = "SELECT ''::VARCHAR AS id, '' AS company, '' AS join_key, '' AS key, ''::VARCHAR AS header WHERE FALSE"
        sets.run(f"CREATE OR REPLACE TEMP TABLE unit_via AS {found or empty}")
        headers = "unit_via"
    record = "h.id" if lines.of is None else "h.header"
    # one join for each way to name a header: DuckDB hashes equalities, and compares all with all where there is an or
    linked = " UNION ".join(
        f"SELECT h.company, h.join_key, h.key, {record} AS id, r.join_key AS line FROM {rows} r "
        f"JOIN {headers} h ON {on}"
        for on in lines.joins("r", "h", prefix)
    )
    sets.run(f"CREATE OR REPLACE TEMP TABLE {name} AS {linked}")


def _headers_sql(sets: Sets, runtime: Runtime, header: TableMap, leg: Leg) -> str:
    """The headers that are on both sides, with their company."""
    keys = ", ".join(quoted(agreed("finance", name)) for name in header.finance.key)
    found = [
        f"SELECT {literal(company)} AS company, join_key, key, id, {keys} FROM {view}"
        for view, company in _bases(sets, runtime, header, leg, "header")
    ]
    if not found:
        open_base(sets, LegColumns(header, "to_finance", runtime.schema), None, "header_none")
        found = [f"SELECT '' AS company, join_key, key, id, {keys} FROM header_none"]
    return " UNION ALL ".join(found)


def _bases(sets: Sets, runtime: Runtime, table_map: TableMap, leg: Leg, name: str) -> Iterator[tuple[str, str]]:
    """Opens the bases of a map in the leg's company, or in all where the leg knows none; view and company of each."""
    everywhere = leg.company == GLOBAL and table_map.scope == "company"
    companies = [code.upper() for code in runtime.settings.companies] if everywhere else [leg.company]
    for number, company in enumerate(companies):
        path = runtime.base_path(table_map.map, company)
        if path is not None:
            view = f"{name}_{number}"
            open_base(sets, LegColumns(table_map, "to_finance", runtime.schema), path, view)
            yield view, company


def count_lines(leg: Leg, runtime: Runtime, sets: Sets, base: UPath | None, *, planned: bool) -> list[DocumentRecord]:
    """How far the units have come whose lines a leg carries, as it is about to settle.

    A line counts as acknowledged when the base has it and nothing about it is open; as expected, when it is in the base
    or open. What an earlier run left open is in each whole plan again, so this is all that was there at the extract.

    Args:
        leg: The leg.
        runtime: Maps and ledger.
        sets: With the tables ``ended`` and ``deletes``, where anything was planned.
        base: The base as the leg leaves it.
        planned: Whether anything was planned.
    """
    if leg.run.partial:
        return []
    return [unit for lines in as_lines(leg, runtime) for unit in _count(leg, runtime, sets, lines, base, planned)]


def _count(
    leg: Leg, runtime: Runtime, sets: Sets, lines: Lines, base: UPath | None, planned: bool
) -> Iterator[DocumentRecord]:
    header = lines.header
    company = None if leg.company == GLOBAL else leg.company
    known = runtime.ledger.documents(map_name=header.map, company=company, lines=leg.map.map, incomplete=True)
    if not (known or planned):
        return
    open_base(sets, LegColumns(leg.map, leg.direction, runtime.schema), base, "lines_base")
    link(sets, runtime, lines, leg, "based", "lines_base", lines.sender)
    if planned:
        link(
            sets, runtime, lines, leg, "open_lines", f"(SELECT * FROM ended WHERE action IN {sql_list(OPEN)})", PLANNED
        )
        done = f"(SELECT * FROM ended WHERE action IN {sql_list(UPSERTED)})"
        link(sets, runtime, lines, leg, "done", done, PLANNED)
        sets.run(
            "CREATE OR REPLACE TEMP TABLE unsettled AS SELECT join_key FROM ended WHERE action IN "
            f"{sql_list(OPEN)} UNION SELECT join_key FROM deletes"
        )
    else:
        sets.run("CREATE OR REPLACE TEMP TABLE unsettled AS SELECT ''::VARCHAR AS join_key WHERE FALSE")
        for name in ("open_lines", "done"):
            sets.run(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM based WHERE FALSE")
    names = ("company", "join_key", "key", "id")
    asked = [{name: getattr(unit, "record_id" if name == "id" else name) for name in names} for unit in known]
    schema = pa.schema([pa.field(name, pa.string()) for name in names])
    sets.table("asked_units", pa.Table.from_pylist(asked, schema=schema))
    found = sets.fetch(
        "WITH looked AS (SELECT company, join_key, any_value(key) AS key, any_value(id) AS id FROM "
        "(SELECT * FROM asked_units UNION ALL SELECT company, join_key, key, id FROM open_lines UNION ALL "
        "SELECT company, join_key, key, id FROM done) GROUP BY ALL), "
        "counted AS (SELECT company, join_key, line, line NOT IN (SELECT join_key FROM unsettled WHERE join_key IS NOT "
        "NULL) AS there FROM based UNION SELECT company, join_key, line, FALSE FROM open_lines) "
        "SELECT l.company, l.join_key, l.key, l.id, count(DISTINCT c.line) AS expected, "
        "count(DISTINCT c.line) FILTER (c.there) AS acknowledged, "
        "(l.company, l.join_key) IN (SELECT (company, join_key) FROM unit_headers) AS headed "
        "FROM looked l LEFT JOIN counted c ON c.company = l.company AND c.join_key = l.join_key GROUP BY ALL"
    )
    for row in found.to_pylist():
        expected, there = row["expected"], row["acknowledged"]
        yield DocumentRecord(
            header.map,
            row["company"],
            row["join_key"],
            row["key"],
            row["id"],
            leg.map.map,
            expected,
            there,
            complete=row["headed"] and expected == there,
        )
