"""Reads the receiving side: the rows that may match what the sending side has."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from upath import UPath

from dualsync.frames import ParquetSink, Sets, iter_tables, to_pandas, write_rows
from dualsync.sql import literal, quoted
from dualsync.sync.extract.finance import finance_rows, scan_finance
from dualsync.sync.extract.selected import chosen_targets
from dualsync.sync.legs.context import LegContext
from dualsync.sync.lookups.keys import finance_keys
from dualsync.sync.lookups.parents import Parents
from dualsync.sync.plan.finance_keys import finance_key
from dualsync.sync.plan.live_columns import typed_row
from dualsync.sync.plan.vocabulary import BY_KEY, JOIN_KEY, STATE, RowState


def read_receiver(context: LegContext, rows: int, *, read_all: bool) -> None:
    """Write ``target.parquet``.

    Args:
        context: The transfer; ``source.parquet`` is written.
        rows: How many rows that has.
        read_all: Whether everything is read.
    """
    path = context.folder.file("target.parquet")
    packaged = context.columns.target == "finance" and context.map.finance.write == "package"
    if packaged or (rows == 0 and not read_all):
        write_rows(path, context.columns.raw_schema(context.columns.target), [])
    elif context.columns.target == "dataverse":
        _read_dataverse(context, path, read_all=read_all)
    elif read_all or rows > BY_KEY:
        scan_finance(context, path, filter_text=None)
    else:
        _read_finance_keys(context, path)


def _read_finance_keys(context: LegContext, path: UPath) -> None:
    """Ask Finance for just the keys that the sending side's rows have there."""
    names = context.map.finance.key
    runtime = context.runtime
    parents = Parents(runtime, context.company)
    keys: dict[str, tuple[Any, ...]] = {}
    for piece in iter_tables(context.folder.file("source.parquet")):
        frame = finance_keys(context.columns, to_pandas(piece), parents, runtime.catalog.runnable, context.zone)
        whole = frame[frame["join_key"].notna()]
        parts = [whole[name].array.__arrow_array__().to_pylist() for name in ("join_key", *names)]
        keys |= {key: values for key, *values in zip(*parts, strict=True)}
    conditions = [finance_key(context.map, runtime.schema, context.company, values) for values in keys.values()]
    select = list(context.columns.read_columns("finance"))
    with ParquetSink(path, context.columns.raw_schema("finance")) as sink:
        page = runtime.systems.finance.read_keys(context.map.finance.set, conditions, select=select)
        sink.write_rows(finance_rows(context, page))


def _read_dataverse(context: LegContext, path: UPath, *, read_all: bool) -> None:
    columns = {name: context.columns.column("dataverse", name) for name in context.columns.read_columns("dataverse")}
    entity, runtime = context.map.dataverse, context.runtime
    condition = None
    if entity.own_company is not None:
        company_id = runtime.company_ids.get(context.company)
        if company_id is None:
            # The company itself has not arrived, so none of its rows can have.
            write_rows(path, context.columns.raw_schema("dataverse"), [])
            return
        condition = f"_{entity.own_company}_value eq {company_id}"
    base = context.base
    if context.map.part_of is not None and context.map.sends_trigger:
        # the header's own transfer has brought what this one is about
        base = runtime.base_path(context.map.part_of.map, context.company)
    ids = None if read_all else _known_ids(context, base)
    chosen = chosen_targets(context, base, list(columns)) if context.run.rows else None
    if chosen is not None:
        pages: Iterable[list[dict[str, Any]]] = [chosen]
    elif ids is not None:
        pages = [runtime.systems.dataverse.read_ids(entity.set, ids, select=list(columns))]
    else:
        pages = runtime.systems.dataverse.read(entity.set, select=list(columns), filter=condition)
    with ParquetSink(path, context.columns.raw_schema("dataverse")) as sink:
        for page in pages:
            sink.write_rows([typed_row(row, columns, "dataverse") for row in page])


def _known_ids(context: LegContext, base: UPath | None) -> list[str] | None:
    """Record ids of the changed rows, None where a row is new or they are too many to ask for singly."""
    if base is None:
        return None
    with Sets() as sets:
        sets.view("base", base)
        sets.view("source", context.folder.file("source.parquet"))
        matching = sets.fetch(
            f"SELECT base.id FROM source LEFT JOIN base ON base.join_key = source.{quoted(JOIN_KEY)} "
            f"WHERE {quoted(STATE)} = {literal(RowState.IN)} LIMIT {BY_KEY + 1}"
        )
    ids: list[str | None] = matching.column(0).to_pylist()
    known = [record for record in ids if record is not None]
    return known if len(known) == len(ids) <= BY_KEY else None
