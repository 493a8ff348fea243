"""Reads Finance: as the sending side in full, since it names no changes; and as the receiving side by company."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa
from upath import UPath

from dualsync.frames import ParquetSink, Sets
from dualsync.mapping import Expression
from dualsync.sql import literal, quoted
from dualsync.sync.documents.completeness import due
from dualsync.sync.extract.selected import chosen_keys
from dualsync.sync.legs.context import LegContext
from dualsync.sync.plan.base import open_base
from dualsync.sync.plan.finance_keys import company_values
from dualsync.sync.plan.live_columns import typed_row
from dualsync.sync.plan.values import join_key
from dualsync.sync.plan.vocabulary import JOIN_KEY, OPEN, STATE, RowState, RunMode, agreed

_KEY = f"scan.{quoted(JOIN_KEY)}"
_STATE = quoted(STATE)
_IN, _DELETED = literal(RowState.IN), literal(RowState.DELETED)


def read_finance(context: LegContext) -> None:
    """Write ``source.parquet`` from an entity of Finance.

    An incremental run keeps what differs from the base, and what an earlier run left open.
    """
    if context.run.rows:
        _read_chosen(context)
        return
    scan = context.folder.file("scan.parquet")
    source = context.folder.file("source.parquet")
    scan_finance(context, scan, filter_text=context.map.finance.filter or None)
    with Sets() as sets:
        sets.view("scan", scan)
        if context.base is None:
            sets.save(f"SELECT *, {_IN} AS {_STATE} FROM scan", source)
            return
        open_base(sets, context.columns, context.base)
        sets.table("open", pa.table({"open_key": pa.array(_open_keys(context), type=pa.string())}))
        sets.save(
            f"SELECT scan.*, {_IN} AS {_STATE} FROM scan LEFT JOIN base ON base.join_key = {_KEY} "
            f"WHERE {_KEY} IS NULL OR {_keep_sql(context)} UNION ALL BY NAME "
            f"{_deleted_sql(context)} WHERE join_key NOT IN (SELECT {_KEY} FROM scan WHERE {_KEY} IS NOT NULL)",
            source,
        )


def _open_keys(context: LegContext) -> list[str]:
    """Join keys of rows that an earlier run left open, and of headers whose trigger is due."""
    leg, runtime = context.leg, context.runtime
    rows = runtime.ledger.open_rows(map_name=leg.map.map, direction=leg.direction, company=leg.company, states=OPEN)
    return [row.join_key for row in rows] + [unit.join_key for unit in due(leg, runtime)]


def _keep_sql(context: LegContext) -> str:
    """The condition that a scanned row is looked at."""
    if context.run.mode != RunMode.INCREMENTAL:
        return "TRUE"
    differs = [
        f"scan.{quoted(name)} IS DISTINCT FROM base.{quoted(agreed('finance', name))}"
        for name in context.columns.source_columns
    ]
    return f"base.join_key IS NULL OR {_KEY} IN (SELECT open_key FROM open) OR {' OR '.join(differs)}"


def _deleted_sql(context: LegContext) -> str:
    """Rows of the base as rows that are no longer there; the condition is still to come."""
    named = ", ".join(f"{quoted(agreed('finance', name))} AS {quoted(name)}" for name in context.map.finance.key)
    return f"SELECT {named}, join_key AS {quoted(JOIN_KEY)}, {_DELETED} AS {_STATE} FROM base"


def _read_chosen(context: LegContext) -> None:
    """Read the chosen rows of Finance by their keys."""
    keys = chosen_keys(context, context.base)
    columns = {name: context.columns.column("finance", name) for name in context.columns.read_columns("finance")}
    conditions = [key.condition for key in keys.values()]
    page = context.runtime.systems.finance.read_keys(context.map.finance.set, conditions, select=list(columns))
    matches = context.map.finance.expression
    scan = context.folder.file("scan.parquet")
    with ParquetSink(scan, context.columns.raw_schema("finance")) as sink:
        rows = finance_rows(context, [row for row in page if matches.matches(row)])
        sink.write_rows([row for row in rows if row[JOIN_KEY] in keys])
    with Sets() as sets:
        sets.view("scan", scan)
        sets.table("chosen", pa.table({"chosen_key": pa.array(list(keys), type=pa.string())}))
        open_base(sets, context.columns, context.base)
        sets.save(
            f"SELECT scan.*, {_IN} AS {_STATE} FROM scan UNION ALL BY NAME {_deleted_sql(context)} "
            f"JOIN chosen ON chosen_key = join_key WHERE join_key NOT IN (SELECT {_KEY} FROM scan)",
            context.folder.file("source.parquet"),
        )


def scan_finance(context: LegContext, path: UPath, *, filter_text: str | None) -> None:
    """Read all rows of the company that match a filter into a file.

    Args:
        context: The transfer.
        path: The file.
        filter_text: The filter, None for all rows.
    """
    columns, entity = context.columns, context.map.finance
    finance = context.runtime.systems.finance
    conditions = []
    if filter_text:
        conditions.append(Expression.parse(filter_text).to_odata(columns.schema.table("finance", entity.set)))
    if company := company_values(context.map, context.company):
        conditions.append(finance.condition(entity.set, company))
    text = " and ".join(f"({condition})" for condition in conditions)
    with ParquetSink(path, columns.raw_schema("finance")) as sink:
        for page in finance.read(entity.set, select=list(columns.read_columns("finance")), filter=text or None):
            sink.write_rows(finance_rows(context, page))


def finance_rows(context: LegContext, page: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of Finance in the types of their columns, each with its join key."""
    columns = {name: context.columns.column("finance", name) for name in context.columns.read_columns("finance")}
    rows = [typed_row(row, columns, "finance") for row in page]
    for row in rows:
        row[JOIN_KEY] = join_key([row[name] for name in context.map.finance.key])
    return rows
