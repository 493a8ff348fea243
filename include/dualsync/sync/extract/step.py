"""Step 1, extract: the changes from the side a leg reads, and the matching rows from the other.

Writes ``source.parquet`` (rows of the reading side, with ``@state``: in, left, moved, deleted, gone, no_company) and
``target.parquet`` (rows of the side to be written that may match).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
from upath import UPath

from dualsync.errors import ChangeTokenExpired, SchemaMismatch
from dualsync.frames import ParquetSink, Sets, count_rows, iter_tables, literal, quoted, to_pandas, write_rows
from dualsync.mapping import Column, Expression, Side, TableMap
from dualsync.sync.documents.completeness import due
from dualsync.sync.extract.change_feed import no_changes, read_feed, typed_row
from dualsync.sync.extract.selected import chosen_ids, chosen_keys, chosen_targets, doubles_of
from dualsync.sync.legs.markers import Extracted
from dualsync.sync.legs.runtime import GLOBAL, Leg, Runtime
from dualsync.sync.lookups.keys import finance_keys
from dualsync.sync.lookups.parents import Parents
from dualsync.sync.plan.base import open_base
from dualsync.sync.plan.columns import JOIN_KEY, LegColumns, columns_of, essential_columns
from dualsync.sync.plan.values import join_key, to_wire

log = logging.getLogger(__name__)

STATE = "@state"
BY_KEY = 200
"""Up to so many changed rows, the other side is asked for just those; above, it is read as a whole."""
JOIN = f"scan.{quoted(JOIN_KEY)}"


def extract(leg: Leg, runtime: Runtime) -> Extracted:
    """Read what a leg needs from both sides.

    Args:
        leg: The leg, at an attempt that has not extracted yet.
        runtime: Maps, ledger and systems.

    Returns:
        The step's marker.

    Raises:
        SchemaMismatch: A live system lacks a key, company or filter column of the map.
        Transient: A system did not answer; try again.
    """
    base = runtime.ledger.base(leg.map.map, leg.company)
    generation = base.generation if base else 0
    missing = missing_columns(leg.map, runtime)
    leg_columns = LegColumns(leg.map, leg.direction, runtime.schema, missing)
    base_path = UPath(base.path) if base else None
    if leg.direction == "to_finance":
        token, full = _dataverse_source(leg, runtime, leg_columns, base_path, generation)
    else:
        token, full = None, True
        _finance_source(leg, runtime, leg_columns, base_path)
    rows = count_rows(leg.folder.file("source.parquet"))
    read_all = leg.run.mode != "incremental" and not leg.run.keys
    _target(leg, runtime, leg_columns, base_path, rows, read_all=read_all)
    return Extracted(
        generation=generation,
        base=base.path if base else None,
        token=token,
        full=full and read_all,
        rows=rows,
        target_rows=count_rows(leg.folder.file("target.parquet")),
        missing=missing,
    )


def missing_columns(table_map: TableMap, runtime: Runtime) -> dict[str, list[str]]:
    """Columns of a map that the live systems do not have, by side.

    Raises:
        SchemaMismatch: One of them is a key, company or filter column, without which the map must not run.
    """
    live: dict[Side, set[str]] = {
        "dataverse": set(runtime.systems.dataverse.metadata(table_map.dataverse.table).attributes)
    }
    if table_map.finance.write == "odata":
        live["finance"] = set(runtime.systems.finance.metadata(table_map.finance.set).columns)
    missing: dict[str, list[str]] = {}
    for side, names in live.items():
        lacking = [name for name in columns_of(table_map, side) if name not in names]
        fatal = sorted(set(lacking) & essential_columns(table_map, side))
        if fatal:
            place = table_map.dataverse.table if side == "dataverse" else table_map.finance.set
            raise SchemaMismatch(
                f"map {table_map.map}: {side} {place} has no column {', '.join(fatal)}, which the map needs as key, "
                f"company or filter; correct {table_map.path.name} or install what brings the column"
            )
        if lacking:
            log.warning("map %s leaves out columns that %s does not have: %s", table_map.map, side, ", ".join(lacking))
        missing[side] = lacking
    return missing


# --- Dataverse as the source ------------------------------------------------------------------------------------------


def _dataverse_source(
    leg: Leg, runtime: Runtime, leg_columns: LegColumns, base: UPath | None, generation: int
) -> tuple[str | None, bool]:
    run = leg.run
    incremental = run.mode == "incremental"
    position = runtime.ledger.position(leg.map.map, leg.direction, leg.company) if incremental else None
    try:
        feed = no_changes(leg, leg_columns) if run.rows else read_feed(leg, runtime, position, generation)
    except ChangeTokenExpired:
        log.warning("%s: the change token has expired, reading everything", leg.label)
        runtime.ledger.forget_position(leg.map.map, leg.direction, leg.company)
        feed = read_feed(leg, runtime, None, generation)
    open_ids = chosen_ids(leg, runtime, base) if run.rows else [] if feed.full else _open_ids(leg, runtime)
    extra = leg.folder.file("open.parquet")
    gone = _read_again(leg, runtime, leg_columns, open_ids, extra)
    first = runtime.companies_for(leg.map, run.companies)[0] == leg.company
    with Sets() as sets:
        sets.view("feed_rows", feed.rows)
        sets.view("open_rows", extra)
        sets.view("deleted", feed.deleted)
        columns = ", ".join(quoted(field.name) for field in leg_columns.raw_schema("dataverse"))
        record = quoted(leg.map.dataverse.id)
        sets.run(
            f"CREATE TEMP VIEW feed AS SELECT {columns} FROM feed_rows UNION ALL BY NAME "
            f"SELECT {columns} FROM open_rows WHERE {record} NOT IN (SELECT {record} FROM feed_rows)"
        )
        if base is not None:
            sets.view("base", base)
        else:
            sets.table("base", pa.table({"id": pa.array([], type=pa.string())}))
        sets.table("gone", pa.table({"id": pa.array(gone, type=pa.string())}))
        company = _company_sql(leg, runtime, sets)
        unclear = leg.map.dataverse.unclear.to_sql() if leg.map.dataverse.unclear is not None else "FALSE"
        matches = (
            f"COALESCE(({Expression.parse(leg.map.dataverse.filter).to_sql()}), FALSE)"
            if leg.map.dataverse.filter
            else "TRUE"
        )
        state = (
            f"CASE WHEN {record} IN (SELECT id FROM base) THEN CASE WHEN {company} IS DISTINCT FROM "
            f"{literal(leg.company)} "
            f"THEN 'moved' WHEN {unclear} THEN 'unclear' WHEN NOT {matches} THEN 'left' ELSE 'in' END "
            f"WHEN {unclear} AND {company} = {literal(leg.company)} THEN 'unclear' "
            f"WHEN {matches} AND {company} = {literal(leg.company)} THEN 'in' "
            f"WHEN {matches} AND {company} IS NULL AND {first} THEN 'no_company' END"
        )
        absent = (
            f"SELECT id FROM base WHERE id NOT IN (SELECT {record} FROM feed)"
            if feed.full
            else "SELECT NULL::VARCHAR AS id WHERE FALSE"
        )
        sets.save(
            f"SELECT * FROM (SELECT feed.*, {state} AS {quoted(STATE)} FROM feed) WHERE {quoted(STATE)} IS NOT NULL "
            f"UNION ALL BY NAME SELECT id AS {record}, 'deleted' AS {quoted(STATE)} FROM "
            f"(SELECT id FROM deleted UNION SELECT id FROM gone UNION {absent}) "
            f"WHERE id IN (SELECT id FROM base) AND id NOT IN (SELECT {record} FROM feed) "
            f"UNION ALL BY NAME SELECT id AS {record}, 'gone' AS {quoted(STATE)} FROM gone WHERE id NOT IN "
            "(SELECT id FROM base WHERE id IS NOT NULL)",
            leg.folder.file("source.parquet"),
        )
    return feed.token, feed.full


def _open_ids(leg: Leg, runtime: Runtime) -> list[str]:
    rows = runtime.ledger.open_rows(
        map_name=leg.map.map,
        direction=leg.direction,
        company=leg.company,
        states=("waiting", "quarantined", "conflict"),
    )
    known = [row.record_id for row in rows] + [unit.record_id for unit in due(leg, runtime)]
    return [one for one in dict.fromkeys(known) if one]


def _read_again(leg: Leg, runtime: Runtime, leg_columns: LegColumns, ids: list[str], path: UPath) -> list[str]:
    """Read the rows that an earlier run left open; returns the ids that no longer exist."""
    schema = leg_columns.raw_schema("dataverse")
    columns = {name: leg_columns.column("dataverse", name) for name in leg_columns.read_columns("dataverse")}
    found: set[str] = set()
    with ParquetSink(path, schema) as sink:
        if ids:
            page = list(runtime.systems.dataverse.read_ids(leg.map.dataverse.set, ids, select=list(columns)))
            rows = [typed_row(row, columns, "dataverse") for row in page]
            found.update(str(row[leg.map.dataverse.id]) for row in rows)
            sink.write_rows(rows)
            if leg.run.rows:
                doubles = doubles_of(leg, runtime, page, list(columns))
                sink.write_rows([typed_row(row, columns, "dataverse") for row in doubles])
    return [i for i in ids if i not in found]


def _company_sql(leg: Leg, runtime: Runtime, sets: Sets) -> str:
    """The SQL expression of a feed row's company code; makes the tables it reads."""
    if leg.map.scope == "global":
        return literal(GLOBAL)
    assert leg.map.dataverse.company is not None
    path = leg.map.dataverse.company.split(".")
    ids = runtime.company_ids
    sets.table(
        "companies",
        pa.table({"id": pa.array(list(ids.values()), type=pa.string()), "code": pa.array(list(ids), type=pa.string())}),
    )
    if leg.map.company_is_direct:
        return f"(SELECT code FROM companies WHERE companies.id = feed.{quoted(path[0])})"
    lookup = leg.map.lookup(path[0])
    parent = runtime.catalog[lookup.maps[0]]
    known: list[str] = []
    for number, company in enumerate(runtime.settings.companies):
        base = runtime.base_path(parent.map, company)
        if base is not None:
            sets.view(f"parent_{number}", base)
            known.append(f"SELECT id, {literal(company)} AS code FROM parent_{number}")
    attribute = quoted(path[0])
    in_bases = " UNION ALL ".join(known) or "SELECT NULL::VARCHAR AS id, NULL::VARCHAR AS code WHERE FALSE"
    sets.run(f"CREATE TEMP TABLE parent_bases AS {in_bases}")
    strangers = sets.fetch(
        f"SELECT DISTINCT {attribute} FROM feed WHERE {attribute} IS NOT NULL AND {attribute} NOT IN (SELECT id "
        "FROM parent_bases WHERE id IS NOT NULL)"
    )
    codes = {record: code for code, record in ids.items()}
    found: dict[str, str | None] = {}
    spec = parent.dataverse
    for row in runtime.systems.dataverse.read_ids(spec.set, strangers.column(0).to_pylist(), select=[spec.id, path[1]]):
        found[str(row[spec.id]).lower()] = codes.get(str(row.get(path[1])))
    sets.table(
        "parent_read",
        pa.table(
            {"id": pa.array(list(found), type=pa.string()), "code": pa.array(list(found.values()), type=pa.string())}
        ),
    )
    sets.run(
        "CREATE TEMP TABLE parent_company AS SELECT id, ANY_VALUE(code) AS code FROM "
        "(SELECT * FROM parent_bases UNION ALL SELECT * FROM parent_read) GROUP BY id"
    )
    return f"(SELECT code FROM parent_company WHERE parent_company.id = feed.{attribute})"


# --- Finance as the source --------------------------------------------------------------------------------------------


def _finance_source(leg: Leg, runtime: Runtime, leg_columns: LegColumns, base: UPath | None) -> None:
    """Scan Finance; in incremental mode keep what differs from the base, and what an earlier run left open."""
    if leg.run.rows:
        _finance_chosen(leg, runtime, leg_columns, base)
        return
    scan = leg.folder.file("scan.parquet")
    _read_finance(leg, runtime, leg_columns, scan, filter_text=leg.map.finance.filter or None)
    state = quoted(STATE)
    with Sets() as sets:
        sets.view("scan", scan)
        if base is None:
            sets.save(f"SELECT *, 'in' AS {state} FROM scan", leg.folder.file("source.parquet"))
            return
        open_base(sets, leg_columns, base)
        states = ("waiting", "quarantined", "conflict")
        rows = runtime.ledger.open_rows(
            map_name=leg.map.map, direction=leg.direction, company=leg.company, states=states
        )
        keys = [row.join_key for row in rows] + [unit.join_key for unit in due(leg, runtime)]
        sets.table("open", pa.table({"open_key": pa.array(keys, type=pa.string())}))
        keep = "TRUE"
        if leg.run.mode == "incremental":
            differs = [
                f"scan.{quoted(name)} IS DISTINCT FROM base.{quoted('f:' + name)}"
                for name in leg_columns.source_columns
            ]
            keep = f"base.join_key IS NULL OR {JOIN} IN (SELECT open_key FROM open) OR {' OR '.join(differs)}"
        named = ", ".join(f"{quoted('f:' + name)} AS {quoted(name)}" for name in leg.map.finance.key)
        sets.save(
            f"SELECT scan.*, 'in' AS {state} FROM scan LEFT JOIN base ON base.join_key = {JOIN} "
            f"WHERE {JOIN} IS NULL OR {keep} UNION ALL BY NAME "
            f"SELECT {named}, join_key AS {quoted(JOIN_KEY)}, 'deleted' AS {state} FROM base "
            f"WHERE join_key NOT IN (SELECT {JOIN} FROM scan WHERE {JOIN} IS NOT NULL)",
            leg.folder.file("source.parquet"),
        )


def _finance_chosen(leg: Leg, runtime: Runtime, leg_columns: LegColumns, base: UPath | None) -> None:
    """Read the chosen rows of Finance by their keys."""
    keys = chosen_keys(leg, runtime, base)
    columns = {name: leg_columns.column("finance", name) for name in leg_columns.read_columns("finance")}
    found = runtime.systems.finance.read_keys(
        leg.map.finance.set, [key.condition for key in keys.values()], select=list(columns)
    )
    matches = leg.map.finance.expression
    scan = leg.folder.file("scan.parquet")
    with ParquetSink(scan, leg_columns.raw_schema("finance")) as sink:
        rows = _finance_rows(leg, columns, [row for row in found if matches.matches(row)])
        sink.write_rows([row for row in rows if row[JOIN_KEY] in keys])
    state = quoted(STATE)
    with Sets() as sets:
        sets.view("scan", scan)
        sets.table("chosen", pa.table({"chosen_key": pa.array(list(keys), type=pa.string())}))
        open_base(sets, leg_columns, base)
        named = ", ".join(f"{quoted('f:' + name)} AS {quoted(name)}" for name in leg.map.finance.key)
        sets.save(
            f"SELECT scan.*, 'in' AS {state} FROM scan UNION ALL BY NAME "
            f"SELECT {named}, join_key AS {quoted(JOIN_KEY)}, 'deleted' AS {state} FROM base "
            f"JOIN chosen ON chosen_key = join_key WHERE join_key NOT IN (SELECT {JOIN} FROM scan)",
            leg.folder.file("source.parquet"),
        )


def _read_finance(leg: Leg, runtime: Runtime, leg_columns: LegColumns, path: UPath, *, filter_text: str | None) -> None:
    columns = {name: leg_columns.column("finance", name) for name in leg_columns.read_columns("finance")}
    entity = leg.map.finance
    finance = runtime.systems.finance
    conditions = []
    if filter_text:
        conditions.append(Expression.parse(filter_text).to_odata(leg_columns.schema.table("finance", entity.set)))
    if leg.company != GLOBAL:
        conditions.append(finance.condition(entity.set, {str(entity.company): leg.company}))
    text = " and ".join(f"({condition})" for condition in conditions)
    with ParquetSink(path, leg_columns.raw_schema("finance")) as sink:
        for page in finance.read(entity.set, select=list(columns), filter=text or None):
            sink.write_rows(_finance_rows(leg, columns, page))


def _finance_rows(leg: Leg, columns: dict[str, Column], page: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    rows = [typed_row(row, columns, "finance") for row in page]
    for row in rows:
        row[JOIN_KEY] = join_key([row[name] for name in leg.map.finance.key])
    return rows


# --- the other side ---------------------------------------------------------------------------------------------------


def _target(
    leg: Leg, runtime: Runtime, leg_columns: LegColumns, base: UPath | None, rows: int, *, read_all: bool
) -> None:
    path = leg.folder.file("target.parquet")
    packaged = leg_columns.target == "finance" and leg.map.finance.write == "package"
    if packaged or (rows == 0 and not read_all):
        write_rows(path, leg_columns.raw_schema(leg_columns.target), [])
    elif leg.direction == "to_finance":
        _finance_target(leg, runtime, leg_columns, path, rows, read_all=read_all)
    else:
        _dataverse_target(leg, runtime, leg_columns, path, base, read_all=read_all)


def _finance_target(
    leg: Leg, runtime: Runtime, leg_columns: LegColumns, path: UPath, rows: int, *, read_all: bool
) -> None:
    if read_all or rows > BY_KEY:
        _read_finance(leg, runtime, leg_columns, path, filter_text=None)
        return
    parents = Parents(runtime, leg.company)
    zone = ZoneInfo(runtime.settings.time_zone)
    frames = [
        finance_keys(leg_columns, to_pandas(piece), parents, runtime.catalog.runnable, zone)
        for piece in iter_tables(leg.folder.file("source.parquet"))
    ]
    names = leg.map.finance.key
    columns = {name: leg_columns.column("finance", name) for name in leg_columns.read_columns("finance")}
    wanted: dict[str, dict[str, object]] = {}
    for frame in frames:
        known = frame[frame["join_key"].notna()]
        parts = [known[name].array.__arrow_array__().to_pylist() for name in ("join_key", *names)]
        for key, *values in zip(*parts, strict=True):
            wanted[key] = {
                name: to_wire(value, columns[name], "finance") for name, value in zip(names, values, strict=True)
            }
    area = {} if leg.company == GLOBAL else {str(leg.map.finance.company): leg.company}
    conditions = [area | values for values in wanted.values()]
    with ParquetSink(path, leg_columns.raw_schema("finance")) as sink:
        found = runtime.systems.finance.read_keys(leg.map.finance.set, conditions, select=list(columns))
        sink.write_rows(_finance_rows(leg, columns, found))


def _dataverse_target(
    leg: Leg, runtime: Runtime, leg_columns: LegColumns, path: UPath, base: UPath | None, *, read_all: bool
) -> None:
    columns = {name: leg_columns.column("dataverse", name) for name in leg_columns.read_columns("dataverse")}
    entity = leg.map.dataverse
    dataverse = runtime.systems.dataverse
    condition = None
    if leg.map.company_is_direct and entity.company:
        company_id = runtime.company_ids.get(leg.company)
        if company_id is None:
            # The company itself has not arrived, so none of its rows can have.
            write_rows(path, leg_columns.raw_schema("dataverse"), [])
            return
        condition = f"_{entity.company.split('.')[0]}_value eq {company_id}"
    if leg.map.part_of is not None and leg.map.sends_trigger:
        # the header's own leg has brought what this one is about
        base = runtime.base_path(leg.map.part_of.map, leg.company)
    ids = None if read_all else _known_ids(leg, base)
    found = chosen_targets(leg, runtime, base, list(columns)) if leg.run.rows else None
    with ParquetSink(path, leg_columns.raw_schema("dataverse")) as sink:
        if found is not None:
            pages: Iterable[list[dict[str, Any]]] = [found]
        elif ids is not None:
            pages = [dataverse.read_ids(entity.set, ids, select=list(columns))]
        else:
            pages = dataverse.read(entity.set, select=list(columns), filter=condition)
        for page in pages:
            sink.write_rows([typed_row(row, columns, "dataverse") for row in page])


def _known_ids(leg: Leg, base: UPath | None) -> list[str] | None:
    """Record ids of the changed rows, None where a row is new or they are too many to ask for singly."""
    if base is None:
        return None
    with Sets() as sets:
        sets.view("base", base)
        sets.view("source", leg.folder.file("source.parquet"))
        found = (
            sets.fetch(
                f"SELECT base.id FROM source LEFT JOIN base ON base.join_key = source.{quoted(JOIN_KEY)} "
                f"WHERE {quoted(STATE)} = 'in' LIMIT {BY_KEY + 1}"
            )
            .column(0)
            .to_pylist()
        )
    return None if len(found) > BY_KEY or None in found else found
