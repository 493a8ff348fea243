"""Writes the next generation of a base: what both sides agree on after a transfer."""

from __future__ import annotations

from dualsync.frames import Sets, count_rows
from dualsync.ledger import BaseRecord
from dualsync.sql import literal, quoted
from dualsync.sync.legs.context import LegContext
from dualsync.sync.plan.base import open_base
from dualsync.sync.plan.columns import ColumnPair
from dualsync.sync.plan.vocabulary import (
    UPSERTED,
    Action,
    RuleWord,
    agreed,
    rule_name,
    sent,
    sql_list,
    standing,
    wanted,
)

_VERSIONS = ("dataverse_version", "finance_version")


def write_base(context: LegContext, sets: Sets) -> BaseRecord | None:
    """Write the next generation, None where nothing about the base changes.

    Args:
        context: The transfer.
        sets: With the tables ``ended`` and ``deferred``.
    """
    open_base(sets, context.columns, context.base)
    names = [field.name for field in context.columns.base_schema()]
    if not _mark_changes(context, sets, names):
        return None
    leg, number = context.leg, context.generation + 1
    path = context.runtime.new_base_path(leg.map.map, leg.company, number)
    columns = ", ".join(quoted(name) for name in names)
    sets.save(
        f"SELECT {columns} FROM base WHERE join_key NOT IN (SELECT join_key FROM touched UNION ALL SELECT join_key "
        f"FROM gone) UNION ALL SELECT {columns} FROM touched ORDER BY join_key",
        path,
    )
    return BaseRecord(leg.map.map, leg.company, number, str(path), count_rows(path), leg.run.run_id)


def _mark_changes(context: LegContext, sets: Sets, names: list[str]) -> bool:
    """Make the tables ``touched`` and ``gone``: rows of the new base, and of the old; whether any of them differs."""
    expressions = _base_expressions(context)
    select = ", ".join(f"{expressions.get(name, 'b.' + quoted(name))} AS {quoted(name)}" for name in names)
    # A row that ended well stands on both sides as agreed; of a conflict the base keeps what was agreed before.
    sets.run(
        f"CREATE TEMP TABLE touched AS SELECT {select} FROM ended e LEFT JOIN base b ON b.join_key = e.join_key "
        f"WHERE e.action IN {sql_list((*UPSERTED, Action.UNCHANGED))}"
    )
    _mark_gone(context, sets)
    compared = [name for name in names if name not in _VERSIONS]
    now = ", ".join(f"t.{quoted(name)}" for name in compared)
    before = ", ".join(f"b.{quoted(name)}" for name in compared)
    changed = sets.scalar("SELECT count(*) FROM gone") or sets.scalar(
        f"SELECT count(*) FROM touched t LEFT JOIN base b ON b.join_key = t.join_key WHERE ROW({now}) IS DISTINCT "
        f"FROM ROW({before})"
    )
    return bool(changed)


def _mark_gone(context: LegContext, sets: Sets) -> None:
    """Make the table ``gone``: rows of the base that are headers no more, in a transfer that sends triggers."""
    rule = literal(rule_name(context.map.map, RuleWord.GONE)) if context.map.sends_trigger else "NULL"
    sets.run(
        f"CREATE TEMP TABLE gone AS SELECT b.join_key FROM base b JOIN (SELECT * FROM ended WHERE rule = {rule}) e ON "
        "e.id = b.id OR e.join_key = b.join_key"
    )


def _base_expressions(context: LegContext) -> dict[str, str]:
    """For each column of the base that this transfer knows anew, the SQL of its value."""
    columns = context.columns
    expressions = {
        "join_key": "e.join_key",
        "key": "e.key",
        "id": "COALESCE(e.id, b.id)",
        f"{columns.source}_version": "e.source_version",
        f"{columns.target}_version": "e.target_version",
    }
    for name in columns.source_columns:
        pairs = [pair for pair in columns.pairs if name in pair.sources]
        kept = " OR ".join(f"list_contains(e.keep, {literal(pair.target)})" for pair in pairs)
        column = agreed(columns.source, name)
        expressions[column] = f"CASE WHEN {kept} THEN b.{quoted(column)} ELSE e.{quoted(sent(name))} END"
    for pair in columns.pairs:
        expressions[agreed(columns.target, pair.target)] = _receiver_value(context, pair)
    expressions[agreed("dataverse", context.map.dataverse.id)] = "COALESCE(e.id, b.id)"
    return expressions


def _receiver_value(context: LegContext, pair: ColumnPair) -> str:
    """SQL of the value of a receiving column that both sides agree on after the transfer."""
    name = literal(pair.target)
    value = f"e.{quoted(wanted(pair.target))}"
    if pair in context.columns.self_pairs and context.columns.target == "dataverse":
        later = f"(SELECT any_value(d.id) FROM deferred d WHERE d.join_key = e.join_key AND d.column = {name})"
        value = f"COALESCE({value}, {later})"
    written = "TRUE" if pair.key else f"(e.action = {literal(Action.CREATE)} OR list_contains(e.columns, {name}))"
    before = f"b.{quoted(agreed(context.columns.target, pair.target))}"
    return (
        f"CASE WHEN list_contains(e.keep, {name}) THEN {before} WHEN {written} THEN {value} "
        f"ELSE e.{quoted(standing(pair.target))} END"
    )
