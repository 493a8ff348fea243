"""Step 2, reconcile: compares what should stand on the other side with what stands there and with the base.

The result is the plan: one row per record with an action and its reason. The comparison of whole sets is DuckDB over
Parquet; single values are turned from one side's form into the other's with pandas (``transform.py``).
"""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
from upath import UPath

from dualsync.frames import ParquetSink, Sets, iter_tables, literal, quoted, to_arrow, to_pandas
from dualsync.mapping import Expression, Lookup
from dualsync.sync.documents.triggers import compare_lines, prepare
from dualsync.sync.legs.runtime import Leg, Runtime
from dualsync.sync.lookups.keys import finance_keys
from dualsync.sync.lookups.parents import Parents
from dualsync.sync.lookups.paths import base_column, key_paths
from dualsync.sync.plan.base import open_base
from dualsync.sync.plan.columns import JOIN_KEY, VERSION, ColumnPair, LegColumns
from dualsync.sync.plan.values import display_keys
from dualsync.sync.reconcile.approved import keep_approved
from dualsync.sync.reconcile.compare import Comparison, delete_states
from dualsync.sync.reconcile.transform import Transform


def reconcile(leg: Leg, runtime: Runtime, extracted: dict[str, Any]) -> dict[str, Any]:
    """Make the plan of a leg.

    Args:
        leg: The leg, extracted.
        runtime: Maps and systems.
        extracted: What :func:`dualsync.sync.extract.step.extract` returned.

    Returns:
        The content of the step's marker: rows by action, and the generation the plan was made from.
    """
    leg_columns = LegColumns(leg.map, leg.direction, runtime.schema, extracted["missing"])
    transform = Transform(leg, runtime, leg_columns)
    with ParquetSink(leg.folder.file("want.parquet"), transform.schema) as sink:
        for piece in iter_tables(leg.folder.file("source.parquet")):
            sink.write(transform.piece(to_pandas(piece)))
    base = UPath(extracted["base"]) if extracted["base"] else None
    _have(leg, runtime, leg_columns, base)
    with Sets() as sets:
        _views(sets, leg, leg_columns, base)
        _select_keys(sets, leg)
        _resolve_self(sets, leg, leg_columns, transform)
        prepare(leg, runtime, sets, leg_columns)
        compare = Comparison(leg, leg_columns, runtime.settings.cutover.get(leg.company))
        compare.flags(sets)
        if leg.map.sends_trigger:
            compare_lines(leg, runtime, sets)
        strangers = extracted["full"] and _reports_strangers(leg)
        fresh = leg.folder.file("fresh.parquet" if leg.run.approved else "plan.parquet")
        sets.save(compare.plan_sql(strangers=strangers), fresh)
        if leg.run.approved:
            keep_approved(leg, runtime, sets, fresh, leg_columns)
        sets.save(_deletes_sql(leg), leg.folder.file("deletes.parquet"))
        sets.view("plan", leg.folder.file("plan.parquet"))
        actions = sets.fetch("SELECT action, count(*) AS n FROM plan GROUP BY action")
    counts = dict(zip(actions.column(0).to_pylist(), actions.column(1).to_pylist(), strict=True))
    return {"generation": extracted["generation"], "actions": counts, "planned": sum(counts.values())}


def _views(sets: Sets, leg: Leg, leg_columns: LegColumns, base: UPath | None) -> None:
    open_base(sets, leg_columns, base)
    sets.view("want_file", leg.folder.file("want.parquet"))
    sets.view("have", leg.folder.file("have.parquet"))


def _select_keys(sets: Sets, leg: Leg) -> None:
    """``want``, restricted to the keys and record ids the run was asked for."""
    where = ""
    if leg.run.keys:
        keys = ", ".join(literal(key.casefold()) for key in leg.run.keys.get(leg.map.map, []))
        listed = keys or "NULL"
        where = f"WHERE lower(key) IN ({listed}) OR join_key IN ({listed}) OR lower(id) IN ({listed})"
    sets.run(f"CREATE TEMP TABLE want AS SELECT row_number() OVER () AS pos, *, 0 AS wave FROM want_file {where}")


def _have(leg: Leg, runtime: Runtime, leg_columns: LegColumns, base: UPath | None) -> None:
    """Write ``have.parquet``: the rows of the side to be written, with their join key."""
    text = leg.map.finance.filter if leg_columns.target == "finance" else leg.map.dataverse.filter
    matches = f"COALESCE(({Expression.parse(text).to_sql()}), FALSE)" if text else "TRUE"
    deciding = [
        f"{quoted(name)} AS {quoted('c:' + name)}" for name in leg_columns.condition_columns(leg_columns.target)
    ]
    columns = ", ".join(
        [*(f"{quoted(name)} AS {quoted('h:' + name)}" for name in leg_columns.target_columns), *deciding]
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
                    keys = finance_keys(leg_columns, rows, parents, runtime.catalog.maps, zone)
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
    columns = ", ".join(f"{quoted('f:' + name)} AS {quoted('h:' + name)}" for name in leg_columns.target_columns)
    with Sets() as sets:
        open_base(sets, leg_columns, base)
        sets.save(
            f"SELECT join_key, NULL::VARCHAR AS id, finance_version AS version, TRUE AS matches, {columns} FROM base",
            leg.folder.file("have.parquet"),
        )


def _resolve_self(sets: Sets, leg: Leg, leg_columns: LegColumns, transform: Transform) -> None:
    """Resolve lookups among the rows of one map: fill them, put parents before children, or leave them for later."""
    for pair in transform.self_pairs:
        parent, wanted = quoted(f"p:{pair.target}"), quoted(f"w:{pair.target}")
        if leg_columns.direction == "to_finance":
            value_here, value_base = _self_value(leg, pair)
            sets.run(
                f"UPDATE want SET {wanted} = COALESCE("
                f"(SELECT any_value({value_here}) FROM want_file p WHERE p.id = want.{parent}), "
                f"(SELECT any_value({value_base}) FROM base b WHERE b.id = want.{parent})) WHERE {parent} IS NOT NULL"
            )
            _order_by_depth(sets, leg, parent)
        else:
            sets.run(
                f"UPDATE want SET {wanted} = COALESCE("
                f"(SELECT any_value(h.id) FROM have h WHERE h.join_key = want.{parent}), "
                f"(SELECT any_value(b.id) FROM base b WHERE b.join_key = want.{parent})) WHERE {parent} IS NOT NULL"
            )
            text = (
                f"{pair.target} names a row of the same map that is not there yet; it goes through once that row "
                "is there"
            )
            sets.run(
                f"UPDATE want SET stop = 'waiting', rule = {literal(f'{leg.map.map}.waiting')}, reason = "
                f"{literal(text)} "
                f"WHERE stop IS NULL AND {parent} IS NOT NULL AND {wanted} IS NULL "
                f"AND {parent} NOT IN (SELECT join_key FROM want WHERE join_key IS NOT NULL AND stop IS NULL)"
            )


def _self_value(leg: Leg, pair: ColumnPair) -> tuple[str, str]:
    """Where the value of a self-reference stands in a row of this leg, and in the base."""
    assert isinstance(pair.entry, Lookup)
    paths, columns, _ = key_paths(pair.entry, None)
    column = base_column(leg.map, paths[columns.index(pair.target)])
    here = "p.id" if column == "id" else f"p.{quoted('w:' + column[2:])}"
    return here, f"b.{quoted(column)}"


def _order_by_depth(sets: Sets, leg: Leg, parent: str) -> None:
    """Give each row the wave in which it is written, and let children of rows that cannot go wait."""
    sets.run(
        f"CREATE OR REPLACE TEMP TABLE depth AS WITH RECURSIVE d(id, wave) AS ("
        f"SELECT id, 0 FROM want WHERE {parent} IS NULL OR {parent} = id OR {parent} NOT IN "
        "(SELECT id FROM want WHERE id IS NOT NULL) "
        f"UNION ALL SELECT w.id, d.wave + 1 FROM want w JOIN d ON w.{parent} = d.id AND w.id <> d.id WHERE d.wave "
        "< 1000"
        ") SELECT id, max(wave) AS wave FROM d GROUP BY id"
    )
    sets.run("UPDATE want SET wave = COALESCE((SELECT depth.wave FROM depth WHERE depth.id = want.id), 0)")
    reason = literal("its parent row is not on both sides yet; it goes through once that row is there")
    deepest = int(sets.scalar("SELECT COALESCE(max(wave), 0) FROM want") or 0)
    known = "SELECT id FROM base WHERE id IS NOT NULL"
    for _ in range(deepest + 1):
        sets.run(
            f"UPDATE want SET stop = 'waiting', rule = {literal(f'{leg.map.map}.waiting')}, reason = {reason} "
            f"WHERE stop IS NULL AND {parent} IS NOT NULL AND {parent} <> id AND {parent} NOT IN ({known}) "
            f"AND {parent} NOT IN (SELECT id FROM want WHERE stop IS NULL AND id IS NOT NULL)"
        )


def _reports_strangers(leg: Leg) -> bool:
    """Whether rows that only the written side has are this leg's to report.

    Where the map also has a leg that reads that side, that leg reports them; of a trigger, the header's leg.
    """
    other = "to_dataverse" if leg.direction == "to_finance" else "to_finance"
    return other not in leg.map.directions and leg.map.finance.write != "package" and not leg.map.sends_trigger


def _deletes_sql(leg: Leg) -> str:
    return (
        "SELECT COALESCE(b.id, w.id) AS id, b.join_key AS join_key, b.key AS key, w.state AS state FROM want w "
        "JOIN base b ON b.id = w.id OR (w.id IS NULL AND b.join_key = w.join_key) "
        f"WHERE w.state IN ({delete_states(leg)})"
    )
