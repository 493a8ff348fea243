"""Lookups among the rows of one map: filled, written parents first, or left for a second pass."""

from __future__ import annotations

from dualsync.frames import Sets
from dualsync.sql import literal, quoted
from dualsync.sync.legs.leg import Leg
from dualsync.sync.lookups.paths import column_in_parent
from dualsync.sync.plan.columns import ColumnPair, LegColumns
from dualsync.sync.plan.messages import PARENT_MISSING, SELF_LOOKUP_MISSING
from dualsync.sync.plan.vocabulary import RuleWord, parent_key, rule_name, wanted


def resolve_self_lookups(sets: Sets, leg: Leg, leg_columns: LegColumns) -> None:
    """Resolve lookups among the rows of one map: fill them, put parents before children, or leave them for later."""
    rule = literal(rule_name(leg.map.map, RuleWord.WAITING))
    for pair in leg_columns.self_pairs:
        parent, value = quoted(parent_key(pair.target)), quoted(wanted(pair.target))
        if leg_columns.direction == "to_finance":
            value_here, value_base = _self_value(leg, pair)
            sets.run(
                f"UPDATE want SET {value} = COALESCE("
                f"(SELECT any_value({value_here}) FROM want_file p WHERE p.id = want.{parent}), "
                f"(SELECT any_value({value_base}) FROM base b WHERE b.id = want.{parent})) WHERE {parent} IS NOT NULL"
            )
            _order_by_depth(sets, parent, rule)
        else:
            sets.run(
                f"UPDATE want SET {value} = COALESCE("
                f"(SELECT any_value(h.id) FROM have h WHERE h.join_key = want.{parent}), "
                f"(SELECT any_value(b.id) FROM base b WHERE b.join_key = want.{parent})) WHERE {parent} IS NOT NULL"
            )
            sets.run(
                f"UPDATE want SET stop = 'waiting', rule = {rule}, reason = "
                f"{literal(SELF_LOOKUP_MISSING(column=pair.target))} "
                f"WHERE stop IS NULL AND {parent} IS NOT NULL AND {value} IS NULL "
                f"AND {parent} NOT IN (SELECT join_key FROM want WHERE join_key IS NOT NULL AND stop IS NULL)"
            )


def _self_value(leg: Leg, pair: ColumnPair) -> tuple[str, str]:
    """Where the value of a self-reference stands in a row of this leg, and in the base."""
    column = column_in_parent(leg.map, pair)
    here = "p.id" if column == "id" else f"p.{quoted(wanted(column[2:]))}"
    return here, f"b.{quoted(column)}"


def _order_by_depth(sets: Sets, parent: str, rule: str) -> None:
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
    reason = literal(PARENT_MISSING())
    deepest = int(sets.scalar("SELECT COALESCE(max(wave), 0) FROM want") or 0)
    known = "SELECT id FROM base WHERE id IS NOT NULL"
    for _ in range(deepest + 1):
        sets.run(
            f"UPDATE want SET stop = 'waiting', rule = {rule}, reason = {reason} "
            f"WHERE stop IS NULL AND {parent} IS NOT NULL AND {parent} <> id AND {parent} NOT IN ({known}) "
            f"AND {parent} NOT IN (SELECT id FROM want WHERE stop IS NULL AND id IS NOT NULL)"
        )
