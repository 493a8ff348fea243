"""Reads Dataverse as the sending side: what changed, what was left open, and what became of each row."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import pyarrow as pa
from upath import UPath

from dualsync.errors import ChangeTokenExpired
from dualsync.frames import ParquetSink, Sets
from dualsync.mapping import Expression, TableMap
from dualsync.sql import literal, quoted
from dualsync.sync.documents.completeness import due
from dualsync.sync.extract.change_feed import Feed, no_changes, read_feed
from dualsync.sync.extract.selected import chosen_ids, doubles_of
from dualsync.sync.legs.context import LegContext
from dualsync.sync.plan.live_columns import typed_row
from dualsync.sync.plan.vocabulary import GLOBAL, OPEN, STATE, RowState, RunMode

log = logging.getLogger(__name__)

_NO_PARENT = "SELECT NULL::VARCHAR AS id, NULL::VARCHAR AS code WHERE FALSE"


def read_dataverse(context: LegContext) -> tuple[str | None, bool]:
    """Write ``source.parquet`` from a table of Dataverse.

    Returns:
        The change token to go on from, and whether the whole table was read.
    """
    feed = _feed(context)
    again = context.folder.file("open.parquet")
    gone = _read_again(context, _ids_to_read(context, feed), again)
    columns = ", ".join(quoted(field.name) for field in context.columns.raw_schema("dataverse"))
    record = quoted(context.map.dataverse.id)
    with Sets() as sets:
        sets.view("feed_rows", feed.rows)
        sets.view("open_rows", again)
        sets.view("deleted", feed.deleted)
        sets.run(
            f"CREATE TEMP VIEW feed AS SELECT {columns} FROM feed_rows UNION ALL BY NAME "
            f"SELECT {columns} FROM open_rows WHERE {record} NOT IN (SELECT {record} FROM feed_rows)"
        )
        if context.base is not None:
            sets.view("base", context.base)
        else:
            sets.table("base", pa.table({"id": pa.array([], type=pa.string())}))
        sets.table("gone", pa.table({"id": pa.array(gone, type=pa.string())}))
        sets.save(
            _source_sql(context, _company_sql(context, sets), full=feed.full), context.folder.file("source.parquet")
        )
    return feed.token, feed.full


def _feed(context: LegContext) -> Feed:
    leg, runtime = context.leg, context.runtime
    if leg.run.rows:
        return no_changes(context)
    incremental = leg.run.mode == RunMode.INCREMENTAL
    position = runtime.ledger.position(leg.map.map, leg.direction, leg.company) if incremental else None
    try:
        return read_feed(context, position)
    except ChangeTokenExpired:
        log.warning("%s: the change token has expired, reading everything", leg.label)
        runtime.ledger.forget_position(leg.map.map, leg.direction, leg.company)
        return read_feed(context, None)


def _source_sql(context: LegContext, company: str, *, full: bool) -> str:
    """The rows of ``source.parquet``: each row of the feed that concerns this company, and those that are gone.

    Args:
        context: The transfer.
        company: SQL of the company of a row of the feed.
        full: Whether the feed holds the whole table.
    """
    record, state = quoted(context.map.dataverse.id), quoted(STATE)
    absent = "SELECT NULL::VARCHAR AS id WHERE FALSE"
    if full:
        absent = f"SELECT id FROM base WHERE id NOT IN (SELECT {record} FROM feed)"
    return (
        f"SELECT * FROM (SELECT feed.*, {_state_sql(context, company)} AS {state} FROM feed) WHERE {state} IS NOT NULL "
        f"UNION ALL BY NAME SELECT id AS {record}, {literal(RowState.DELETED)} AS {state} FROM "
        f"(SELECT id FROM deleted UNION SELECT id FROM gone UNION {absent}) "
        f"WHERE id IN (SELECT id FROM base) AND id NOT IN (SELECT {record} FROM feed) "
        f"UNION ALL BY NAME SELECT id AS {record}, {literal(RowState.GONE)} AS {state} FROM gone WHERE id NOT IN "
        "(SELECT id FROM base WHERE id IS NOT NULL)"
    )


def _state_sql(context: LegContext, company: str) -> str:
    """SQL of the state of a row of the feed; null for rows that do not concern this company."""
    spec, leg = context.map.dataverse, context.leg
    unclear = spec.unclear.to_sql() if spec.unclear is not None else "FALSE"
    matches = f"COALESCE(({Expression.parse(spec.filter).to_sql()}), FALSE)" if spec.filter else "TRUE"
    own = f"{company} = {literal(leg.company)}"
    # rows without a company are told once, by the first company of the run
    first = context.runtime.companies_for(leg.map, leg.run.companies)[0] == leg.company
    return (
        f"CASE WHEN {quoted(spec.id)} IN (SELECT id FROM base) THEN "
        f"CASE WHEN {company} IS DISTINCT FROM {literal(leg.company)} THEN {literal(RowState.MOVED)} "
        f"WHEN {unclear} THEN {literal(RowState.UNCLEAR)} "
        f"WHEN NOT {matches} THEN {literal(RowState.LEFT)} ELSE {literal(RowState.IN)} END "
        f"WHEN {unclear} AND {own} THEN {literal(RowState.UNCLEAR)} "
        f"WHEN {matches} AND {own} THEN {literal(RowState.IN)} "
        f"WHEN {matches} AND {company} IS NULL AND {first} THEN {literal(RowState.NO_COMPANY)} END"
    )


def _ids_to_read(context: LegContext, feed: Feed) -> list[str]:
    """Record ids that are read beside the feed: those a person chose, or what an earlier run left open."""
    if context.run.rows:
        return chosen_ids(context)
    return [] if feed.full else _open_ids(context)


def _open_ids(context: LegContext) -> list[str]:
    """Record ids of rows that an earlier run left open, and of headers whose trigger is due."""
    leg, runtime = context.leg, context.runtime
    rows = runtime.ledger.open_rows(map_name=leg.map.map, direction=leg.direction, company=leg.company, states=OPEN)
    ids = [row.record_id for row in rows] + [unit.record_id for unit in due(leg, runtime)]
    return [record for record in dict.fromkeys(ids) if record]


def _read_again(context: LegContext, ids: list[str], path: UPath) -> list[str]:
    """Read single rows by their ids into a file; returns the ids that no longer exist."""
    columns = {name: context.columns.column("dataverse", name) for name in context.columns.read_columns("dataverse")}
    entity = context.map.dataverse
    there: set[str] = set()
    with ParquetSink(path, context.columns.raw_schema("dataverse")) as sink:
        if ids:
            page = list(context.runtime.systems.dataverse.read_ids(entity.set, ids, select=list(columns)))
            rows = [typed_row(row, columns, "dataverse") for row in page]
            there.update(str(row[entity.id]) for row in rows)
            sink.write_rows(rows)
            if context.run.rows:
                doubles = doubles_of(context, page, list(columns))
                sink.write_rows([typed_row(row, columns, "dataverse") for row in doubles])
    return [record for record in ids if record not in there]


# --- the company of a row ---------------------------------------------------------------------------------------------


def _company_sql(context: LegContext, sets: Sets) -> str:
    """The SQL expression of a feed row's company code; makes the tables it reads."""
    table_map = context.map
    if table_map.scope == "global":
        return literal(GLOBAL)
    parents, company = context.runtime.catalog.company_path(table_map)
    ids = context.runtime.company_ids
    sets.table("companies", _codes(list(ids.values()), list(ids)))
    if not parents:
        return f"(SELECT code FROM companies WHERE companies.id = feed.{quoted(company)})"
    lookup, parent = parents[0]
    attribute = quoted(lookup)
    _parents_in_bases(context, sets, parent)
    unknown = sets.fetch(
        f"SELECT DISTINCT {attribute} FROM feed WHERE {attribute} IS NOT NULL AND {attribute} NOT IN (SELECT id "
        "FROM parent_bases WHERE id IS NOT NULL)"
    )
    read = _companies_of(context, parents, unknown.column(0).to_pylist(), company)
    sets.table("parent_read", _codes(list(read), list(read.values())))
    sets.run(
        "CREATE TEMP TABLE parent_company AS SELECT id, ANY_VALUE(code) AS code FROM "
        "(SELECT * FROM parent_bases UNION ALL SELECT * FROM parent_read) GROUP BY id"
    )
    return f"(SELECT code FROM parent_company WHERE parent_company.id = feed.{attribute})"


def _parents_in_bases(context: LegContext, sets: Sets, parent: TableMap) -> None:
    """Make the table ``parent_bases``: parents that a base knows, with their company."""
    selects: list[str] = []
    for number, company in enumerate(context.runtime.settings.companies):
        base = context.runtime.base_path(parent.map, company)
        if base is not None:
            sets.view(f"parent_{number}", base)
            selects.append(f"SELECT id, {literal(company)} AS code FROM parent_{number}")
    sets.run(f"CREATE TEMP TABLE parent_bases AS {' UNION ALL '.join(selects) or _NO_PARENT}")


def _companies_of(
    context: LegContext, parents: Sequence[tuple[str, TableMap]], ids: list[str], company: str
) -> dict[str, str | None]:
    """The company codes of parents that no base knows, read from Dataverse along the path to the company."""
    codes = {record: code for code, record in context.runtime.company_ids.items()}
    leads_to = {record: record for record in ids}
    for (_, parent), column in zip(parents, [*(lookup for lookup, _ in parents[1:]), company], strict=True):
        spec, asked = parent.dataverse, list(dict.fromkeys(leads_to.values()))
        rows = context.runtime.systems.dataverse.read_ids(spec.set, asked, select=[spec.id, column])
        read = {str(row[spec.id]).lower(): str(row.get(column)) for row in rows}
        leads_to = {record: read[here] for record, here in leads_to.items() if here in read}
    return {record: codes.get(here) for record, here in leads_to.items()}


def _codes(ids: list[str], codes: list[str] | list[str | None]) -> pa.Table:
    return pa.table({"id": pa.array(ids, type=pa.string()), "code": pa.array(codes, type=pa.string())})
