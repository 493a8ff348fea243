"""The rows of the receiving side in the form in which they are compared: ``have.parquet``."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pyarrow as pa
from upath import UPath

from dualsync.frames import ParquetSink, Sets, iter_tables, to_arrow, to_pandas
from dualsync.mapping import Expression
from dualsync.sql import quoted
from dualsync.sync.legs.leg import Leg
from dualsync.sync.legs.runtime import Runtime
from dualsync.sync.lookups.keys import finance_keys
from dualsync.sync.lookups.parents import Parents
from dualsync.sync.plan.base import open_base
from dualsync.sync.plan.columns import LegColumns
from dualsync.sync.plan.values import display_keys
from dualsync.sync.plan.vocabulary import JOIN_KEY, VERSION, agreed, deciding, standing


def write_receiver_rows(leg: Leg, runtime: Runtime, leg_columns: LegColumns, base: UPath | None) -> None:
    """Write ``have.parquet``: the rows of the side to be written, with their join key."""
    text = leg.map.finance.filter if leg_columns.target == "finance" else leg.map.dataverse.filter
    matches = f"COALESCE(({Expression.parse(text).to_sql()}), FALSE)" if text else "TRUE"
    decisive = [
        f"{quoted(name)} AS {quoted(deciding(name))}" for name in leg_columns.condition_columns(leg_columns.target)
    ]
    columns = ", ".join(
        [*(f"{quoted(name)} AS {quoted(standing(name))}" for name in leg_columns.target_columns), *decisive]
    )
    target = leg.folder.file("target.parquet")
    if leg_columns.target == "finance" and leg.map.finance.write == "package":
        _have_from_base(leg, leg_columns, base)
        return
    with Sets() as sets:
        sets.view("target", target)
        if leg_columns.target == "finance":
            join, record = quoted(JOIN_KEY), "NULL::VARCHAR"
            key = " || '|' || ".join(f"{quoted(name)}::VARCHAR" for name in leg.map.finance.key)
            source = "target"
        else:
            keys_file = leg.folder.file("target_keys.parquet")
            schema = pa.schema([pa.field(name, pa.string()) for name in ("id", "join_key", "key")])
            parents = Parents(runtime, leg.company)
            zone = ZoneInfo(runtime.settings.time_zone)
            with ParquetSink(keys_file, schema) as sink:
                for piece in iter_tables(target):
                    rows = to_pandas(piece)
                    keys = finance_keys(leg_columns, rows, parents, runtime.catalog.runnable, zone)
                    keys["id"] = rows[leg.map.dataverse.id]
                    keys["key"] = display_keys(keys, leg.map.finance.key)
                    sink.write(to_arrow(keys[schema.names], schema))
            sets.view("target_keys", keys_file)
            join, key, record = "target_keys.join_key", "target_keys.key", "target_keys.id"
            source = f"target JOIN target_keys ON target_keys.id = target.{quoted(leg.map.dataverse.id)}"
        sets.save(
            f"SELECT {join} AS join_key, {key} AS key, {record} AS id, {quoted(VERSION)} AS version, "
            f"{matches} AS matches, "
            f"{columns} FROM {source}",
            leg.folder.file("have.parquet"),
        )


def _have_from_base(leg: Leg, leg_columns: LegColumns, base: UPath | None) -> None:
    """Write ``have.parquet`` for an entity that cannot be read: what was written before is all that is known of it."""
    columns = ", ".join(
        f"{quoted(agreed('finance', name))} AS {quoted(standing(name))}" for name in leg_columns.target_columns
    )
    with Sets() as sets:
        open_base(sets, leg_columns, base)
        sets.save(
            f"SELECT join_key, NULL::VARCHAR AS id, finance_version AS version, TRUE AS matches, {columns} FROM base",
            leg.folder.file("have.parquet"),
        )
