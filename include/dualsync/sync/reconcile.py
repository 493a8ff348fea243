"""Step 2, reconcile: compares what should stand on the other side with what stands there and with the base.

The result is the plan: one row per record with an action and its reason. The comparison of whole sets is DuckDB over
Parquet; single values are turned from one side's form into the other's with pandas (``transform.py``).
"""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa
from upath import UPath

from dualsync.frames import ParquetSink, Sets, iter_tables, literal, quoted, to_arrow, to_pandas
from dualsync.mapping import ConditionalWins, Expression, Field
from dualsync.sync.keys import finance_keys
from dualsync.sync.parents import Parents
from dualsync.sync.runtime import Leg, Runtime
from dualsync.sync.shape import JOIN_KEY, VERSION, Shape, Unit
from dualsync.sync.transform import Transform
from dualsync.sync.values import arrow_type

SIDE_NAMES = {"dataverse": "Dataverse", "finance": "Finance"}


def reconcile(leg: Leg, runtime: Runtime, extracted: dict[str, Any]) -> dict[str, Any]:
    """Make the plan of a leg.

    Args:
        leg: The leg, extracted.
        runtime: Maps and systems.
        extracted: What :func:`dualsync.sync.extract.extract` returned.

    Returns:
        The content of the step's marker: rows by action, and the generation the plan was made from.
    """
    shape = Shape(leg.map, leg.direction, runtime.schema, extracted["missing"])  # type: ignore[arg-type]
    transform = Transform(leg, runtime, shape)
    with ParquetSink(leg.folder.file("want.parquet"), transform.schema) as sink:
        for piece in iter_tables(leg.folder.file("source.parquet")):
            sink.write(transform.piece(to_pandas(piece)))
    _have(leg, runtime, shape)
    base = UPath(extracted["base"]) if extracted["base"] else None
    with Sets() as sets:
        _views(sets, leg, shape, base)
        _select_keys(sets, leg)
        _resolve_self(sets, leg, shape, transform)
        compare = Comparison(leg, shape)
        compare.flags(sets)
        strangers = extracted["full"] and _reports_strangers(leg)
        sets.save(compare.plan_sql(strangers=strangers), leg.folder.file("plan.parquet"))
        sets.save(_deletes_sql(leg), leg.folder.file("deletes.parquet"))
        sets.view("plan", leg.folder.file("plan.parquet"))
        actions = sets.fetch("SELECT action, count(*) AS n FROM plan GROUP BY action")
    counts = dict(zip(actions.column(0).to_pylist(), actions.column(1).to_pylist(), strict=True))
    return {"generation": extracted["generation"], "actions": counts, "planned": sum(counts.values())}


def open_base(sets: Sets, shape: Shape, path: UPath | None) -> None:
    """Make the view ``base``; a column the map has gained since the base was written is null in it."""
    sets.table("base_columns", shape.base_schema().empty_table())
    if path is None:
        sets.run("CREATE OR REPLACE TEMP VIEW base AS SELECT * FROM base_columns")
    else:
        sets.view("base_file", path)
        sets.run("CREATE OR REPLACE TEMP VIEW base AS SELECT * FROM base_columns UNION ALL BY NAME SELECT * FROM base_file")


def _views(sets: Sets, leg: Leg, shape: Shape, base: UPath | None) -> None:
    open_base(sets, shape, base)
    sets.view("want_file", leg.folder.file("want.parquet"))
    sets.view("have", leg.folder.file("have.parquet"))


def _select_keys(sets: Sets, leg: Leg) -> None:
    """``want``, restricted to the keys the run was asked for."""
    where = ""
    if leg.run.keys:
        keys = ", ".join(literal(key.casefold()) for key in leg.run.keys.get(leg.map.map, []))
        where = f"WHERE lower(key) IN ({keys or 'NULL'}) OR join_key IN ({keys or 'NULL'})"
    sets.run(f"CREATE TEMP TABLE want AS SELECT row_number() OVER () AS pos, *, 0 AS wave FROM want_file {where}")


def _have(leg: Leg, runtime: Runtime, shape: Shape) -> None:
    """Write ``have.parquet``: the rows of the side to be written, with their join key."""
    text = leg.map.finance.filter if shape.target == "finance" else leg.map.dataverse.filter
    matches = f"COALESCE(({Expression.parse(text).to_sql()}), FALSE)" if text else "TRUE"
    columns = ", ".join(f"{quoted(name)} AS {quoted('h:' + name)}" for name in shape.target_columns)
    target = leg.folder.file("target.parquet")
    with Sets() as sets:
        sets.view("target", target)
        if shape.target == "finance":
            key, record = quoted(JOIN_KEY), "NULL::VARCHAR"
            source = "target"
        else:
            keys_file = leg.folder.file("target_keys.parquet")
            schema = pa.schema([pa.field("id", pa.string()), pa.field("join_key", pa.string())])
            parents = Parents(runtime, leg.company)
            zone = ZoneInfo(runtime.settings.time_zone)
            with ParquetSink(keys_file, schema) as sink:
                for piece in iter_tables(target):
                    rows = to_pandas(piece)
                    keys = finance_keys(shape, rows, parents, runtime.catalog.maps, zone)
                    sink.write(
                        to_arrow(pd.DataFrame({"id": rows[leg.map.dataverse.id], "join_key": keys["join_key"]}), schema)
                    )
            sets.view("target_keys", keys_file)
            key, record = "target_keys.join_key", "target_keys.id"
            source = f"target JOIN target_keys ON target_keys.id = target.{quoted(leg.map.dataverse.id)}"
        sets.save(
            f"SELECT {key} AS join_key, {record} AS id, {quoted(VERSION)} AS version, {matches} AS matches, {columns} FROM {source}",
            leg.folder.file("have.parquet"),
        )


def _resolve_self(sets: Sets, leg: Leg, shape: Shape, transform: Transform) -> None:
    """Resolve lookups among the rows of one map: fill them, put parents before children, or leave them for later."""
    for unit in transform.self_units:
        parent, wanted = quoted(f"p:{unit.target}"), quoted(f"w:{unit.target}")
        if shape.direction == "to_finance":
            value_here, value_base = _self_value(leg, unit)
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
            sets.run(
                f"UPDATE want SET stop = 'waiting', rule = {literal(f'{leg.map.map}.waiting')}, reason = "
                f"{literal(f'{unit.target} names a row of the same map that is not there yet; it goes through once that row is there')} "
                f"WHERE stop IS NULL AND {parent} IS NOT NULL AND {wanted} IS NULL "
                f"AND {parent} NOT IN (SELECT join_key FROM want WHERE join_key IS NOT NULL AND stop IS NULL)"
            )


def _self_value(leg: Leg, unit: Unit) -> tuple[str, str]:
    """Where the value of a self-reference stands in a row of this leg, and in the base."""
    from dualsync.mapping import Lookup
    from dualsync.sync.parents import base_column, key_paths

    assert isinstance(unit.pair, Lookup)
    paths, columns, _ = key_paths(unit.pair, None)
    column = base_column(leg.map, paths[columns.index(unit.target)])
    here = "p.id" if column == "id" else f"p.{quoted('w:' + column[2:])}"
    return here, f"b.{quoted(column)}"


def _order_by_depth(sets: Sets, leg: Leg, parent: str) -> None:
    """Give each row the wave in which it is written, and let children of rows that cannot go wait."""
    sets.run(
        f"CREATE OR REPLACE TEMP TABLE depth AS WITH RECURSIVE d(id, wave) AS ("
        f"SELECT id, 0 FROM want WHERE {parent} IS NULL OR {parent} NOT IN (SELECT id FROM want WHERE id IS NOT NULL) "
        f"UNION ALL SELECT w.id, d.wave + 1 FROM want w JOIN d ON w.{parent} = d.id AND w.id <> d.id WHERE d.wave < 1000"
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

    Where the map also has a leg that reads that side, that leg reports them.
    """
    other = "to_dataverse" if leg.direction == "to_finance" else "to_finance"
    return other not in leg.map.directions


def _deletes_sql(leg: Leg) -> str:
    owner = leg.map.rows.deleted_by == leg.source
    states = ["deleted"] if owner else []
    if leg.map.rows.leaves == "delete":
        states.append("left")
    listed = ", ".join(literal(state) for state in states) or "NULL"
    return (
        "SELECT COALESCE(b.id, w.id) AS id, b.join_key AS join_key, b.key AS key, w.state AS state FROM want w "
        f"JOIN base b ON b.id = w.id OR (w.id IS NULL AND b.join_key = w.join_key) WHERE w.state IN ({listed})"
    )


class Comparison:
    """The comparison of one leg, as SQL over the tables ``want``, ``have`` and ``base``."""

    def __init__(self, leg: Leg, shape: Shape) -> None:
        self._leg = leg
        self._shape = shape
        self._source_letter, self._target_letter = ("d", "f") if shape.source == "dataverse" else ("f", "d")
        self._adopts = leg.map.initial.master == shape.source

    def flags(self, sets: Sets) -> None:
        """Make the table ``compared``: each row of ``want`` with its match, base, and what each unit says."""
        carry, foreign, pending, overwritten = [], [], [], []
        for unit in self._shape.units:
            if unit.key or (
                isinstance(unit.pair, Field) and unit.pair.constant is not None and unit.pair.on == "create"
            ):
                continue
            c, f, p, o = self._unit(unit)
            name = literal(unit.target)
            carry.append(f"CASE WHEN {c} THEN {name} END")
            foreign.append(f"CASE WHEN {f} THEN {name} END")
            pending.append(f"CASE WHEN {p} THEN {name} END")
            overwritten.append(f"CASE WHEN {c} AND {o} THEN {name} END")
        sets.run(
            "CREATE TEMP TABLE want_keys AS SELECT join_key, count(*) AS n FROM want WHERE state = 'in' AND join_key IS NOT NULL GROUP BY join_key"
        )
        sets.run(
            "CREATE TEMP TABLE have_keys AS SELECT join_key, count(*) AS n FROM have WHERE join_key IS NOT NULL GROUP BY join_key"
        )
        wanted = ", ".join(
            f"w.{quoted(prefix + name)}"
            for prefix, names in (("w:", self._shape.target_columns), ("s:", self._shape.source_columns))
            for name in names
        )
        parents = "".join(f", w.{quoted('p:' + u.target)}" for u in self._self_units())
        held = ", ".join(f"h.{quoted('h:' + name)}" for name in self._shape.target_columns)
        sets.run(
            "CREATE TEMP TABLE compared AS SELECT w.pos, w.wave, w.state, w.stop, w.rule, w.reason, w.key, w.join_key, "
            "COALESCE(w.id, h.id, b.id) AS id, w.version AS source_version, h.version AS target_version, "
            "b.join_key IS NOT NULL AS based, h.join_key IS NOT NULL AS held, "
            "wk.n AS want_n, hk.n AS have_n, i.join_key AS known_as, "
            f"{_names(carry)} AS carry, {_names(foreign)} AS foreign_changes, {_names(pending)} AS pending, "
            f"{_names(overwritten)} AS overwritten, {wanted}{parents}, {held} FROM want w "
            "LEFT JOIN (SELECT * FROM have QUALIFY row_number() OVER (PARTITION BY join_key) = 1) h ON h.join_key = w.join_key "
            "LEFT JOIN base b ON b.join_key = w.join_key "
            "LEFT JOIN base i ON i.id = w.id "
            "LEFT JOIN want_keys wk ON wk.join_key = w.join_key LEFT JOIN have_keys hk ON hk.join_key = w.join_key"
        )

    def _self_units(self) -> list[Unit]:
        return [unit for unit in self._shape.units if unit.pair in self._leg.map.self_lookups]

    def _unit(self, unit: Unit) -> tuple[str, str, str, str]:
        """SQL conditions: carried by this leg; changed by the side that does not own it; the other leg's; overwrites."""
        want, have = f"w.{quoted('w:' + unit.target)}", f"h.{quoted('h:' + unit.target)}"
        known = f"b.{quoted(f'{self._target_letter}:{unit.target}')}"
        same = self._same(unit, want, have)
        based, held = "b.join_key IS NOT NULL", "h.join_key IS NOT NULL"
        if isinstance(unit.pair, Field) and unit.pair.constant is not None:
            return f"({held} AND NOT {same})", "FALSE", "FALSE", "FALSE"
        sources = [(f"w.{quoted('s:' + n)}", f"b.{quoted(f'{self._source_letter}:{n}')}") for n in unit.sources]
        never = " AND ".join(f"{base} IS NULL" for _, base in sources)
        deferred = f" AND w.{quoted('p:' + unit.target)} IS NULL" if unit in self._self_units() else ""
        silent = (
            f"({want} IS NULL{deferred}"
            + ("" if unit.pair.null == "keep" else f" AND (b.join_key IS NULL OR ({never}))")
            + ")"
        )
        later = f" OR ({want} IS NULL AND w.{quoted('p:' + unit.target)} IS NOT NULL)" if deferred else ""
        differs = f"({held} AND NOT {silent} AND (NOT {same}{later}))"
        moved = " OR ".join(f"{now} IS DISTINCT FROM {base}" for now, base in sources)
        source_changed = f"({based} AND ({moved}))"
        target_changed = f"({based} AND NOT {self._same(unit, have, known)})"
        adopted = "TRUE" if self._adopts else "FALSE"
        if not unit.both_ways:
            carry = f"({differs} AND CASE WHEN {based} THEN {source_changed} ELSE {adopted} END)"
            foreign = f"({differs} AND CASE WHEN {based} THEN NOT {source_changed} AND {target_changed} ELSE NOT {adopted} END)"
            return carry, foreign, "FALSE", target_changed
        wins = self._wins(unit)
        carry = f"({differs} AND CASE WHEN {based} THEN {source_changed} AND (NOT {target_changed} OR {wins}) ELSE {adopted} END)"
        return carry, "FALSE", f"({differs} AND NOT {carry})", target_changed

    def _wins(self, unit: Unit) -> str:
        wins = unit.pair.wins
        if not isinstance(wins, ConditionalWins):
            return "TRUE" if wins == self._shape.source else "FALSE"
        side = "finance" if wins.finance is not None else "dataverse"
        expression = Expression.parse(str(wins.finance if side == "finance" else wins.dataverse))
        prefix = "w.s:" if side == self._shape.source else "h.h:"
        condition = expression.to_sql()
        for name in expression.columns:
            condition = condition.replace(quoted(name), _prefixed(prefix, name))
        holds = f"COALESCE(({condition}), FALSE)"
        when, otherwise = (side == self._shape.source), (wins.otherwise == self._shape.source)
        return f"(CASE WHEN {holds} THEN {_bool(when)} ELSE {_bool(otherwise)} END)"

    def _same(self, unit: Unit, one: str, other: str) -> str:
        match unit.column.kind:
            case "text":
                return f"(COALESCE({one}, '') = COALESCE({other}, ''))"
            case "enum":
                nothing = literal(unit.column.members[0]) if unit.column.members else "''"
                return f"(COALESCE({one}, {nothing}) = COALESCE({other}, {nothing}))"
            case "decimal":
                scale = self._scale(unit)
                return f"(round(COALESCE({one}, 0), {scale}) = round(COALESCE({other}, 0), {scale}))"
            case "int":
                return f"(COALESCE({one}, 0) = COALESCE({other}, 0))"
            case "bool":
                return f"(COALESCE({one}, FALSE) = COALESCE({other}, FALSE))"
            case _:
                return f"({one} IS NOT DISTINCT FROM {other})"

    def _scale(self, unit: Unit) -> int:
        """The coarser scale of the two columns: digits one side cannot hold are no difference."""
        scales = [arrow_type(unit.column).scale]
        for name in unit.sources:
            kind = arrow_type(self._shape.column(self._shape.source, name))
            if pa.types.is_decimal(kind):
                scales.append(kind.scale)
        return int(min(scales))

    def plan_sql(self, *, strangers: bool) -> str:
        """The query of the plan.

        Args:
            strangers: Whether rows that only the written side has are reported.
        """
        leg, shape = self._leg, self._shape
        rows, target = leg.map.rows, SIDE_NAMES[shape.target]
        may_create = rows.created_by in (shape.source, "both")
        cases = self._cases(may_create)
        action = " ".join(f"WHEN {when} THEN {literal(then)}" for when, then, _, _ in cases)
        rule = " ".join(f"WHEN {when} THEN {rule_sql}" for when, _, rule_sql, _ in cases)
        reason = " ".join(f"WHEN {when} THEN {reason_sql}" for when, _, _, reason_sql in cases)
        values = ", ".join(
            [quoted("w:" + n) for n in shape.target_columns]
            + [quoted("s:" + n) for n in shape.source_columns]
            + [quoted("p:" + u.target) for u in self._self_units()]
            + [quoted("h:" + n) for n in shape.target_columns]
        )
        deletes = _delete_states(leg)
        plan = (
            f"SELECT pos, wave, CASE WHEN stop IS NOT NULL THEN stop {action} END AS action, "
            f"CASE WHEN stop IS NOT NULL THEN rule {rule} END AS rule, "
            f"CASE WHEN stop IS NOT NULL THEN reason {reason} END AS reason, key, "
            "COALESCE(join_key, 'id:' || id, 'row:' || pos) AS join_key, id, source_version, target_version, based, "
            f"carry AS columns, list_concat(foreign_changes, pending) AS keep, {values} "
            f"FROM compared WHERE state NOT IN ({deletes})"
        )
        if strangers:
            name = literal(f"{leg.map.map}.owner")
            text = literal(
                f"exists only in {target}; rows of this map are created in {_owner(rows.created_by)}, so it is neither copied nor deleted"
            )
            plan = (
                f"{plan} UNION ALL BY NAME SELECT 1000000000 + row_number() OVER () AS pos, 0 AS wave, 'conflict' AS action, {name} AS rule, "
                f"{text} AS reason, join_key AS key, join_key, id, version AS target_version, FALSE AS based, "
                "[]::VARCHAR[] AS columns, []::VARCHAR[] AS keep FROM have "
                "WHERE matches AND join_key IS NOT NULL AND join_key NOT IN (SELECT join_key FROM want WHERE join_key IS NOT NULL) "
                "AND join_key NOT IN (SELECT join_key FROM base)"
            )
        return f"SELECT * FROM ({plan}) ORDER BY wave, pos"

    def _cases(self, may_create: bool) -> list[tuple[str, str, str, str]]:
        """Condition, action, rule and reason, in the order of their weight."""
        leg, shape = self._leg, self._shape
        name, source, target = leg.map.map, SIDE_NAMES[shape.source], SIDE_NAMES[shape.target]

        def fixed(rule: str, text: str) -> tuple[str, str]:
            return literal(f"{name}.{rule}"), literal(text)

        leaves = "conflict" if leg.map.rows.leaves == "flag" else "skipped"
        target_deletes = leg.map.rows.deleted_by == shape.target
        columns = "array_to_string(foreign_changes, ', ')"
        listed = "array_to_string(overwritten, ', ')"
        return [
            (
                "state = 'no_company'",
                "skipped",
                *fixed("company", "names no company, so no company's books can take it"),
            ),
            ("state = 'gone'", "skipped", *fixed("gone", f"no longer exists in {source}")),
            (
                "state = 'moved'",
                "conflict",
                *fixed(
                    "company",
                    "its company was changed, although it is known in this one; change it back, or delete and create it anew",
                ),
            ),
            (
                "state = 'left'",
                leaves,
                *fixed("left", f"no longer matches the filter of the map; it stays in {target} as it is"),
            ),
            (
                "state = 'deleted'",
                "conflict",
                *fixed(
                    "deleted",
                    f"is no longer among the rows of the map in {source}; {target} keeps it, since this map deletes nothing there",
                ),
            ),
            (
                "want_n > 1",
                "conflict",
                *fixed("duplicate", f"{source} holds several rows with this key; keep one of them"),
            ),
            (
                "have_n > 1",
                "conflict",
                *fixed("duplicate", f"{target} holds several rows with this key; keep one of them"),
            ),
            (
                "known_as IS NOT NULL AND known_as <> join_key",
                "conflict",
                *fixed(
                    "key_changed",
                    "key changed: the same record was known under another key; change it back, or delete and create it anew",
                ),
            ),
            (
                "NOT held AND based",
                "skipped" if target_deletes else "conflict",
                *fixed(
                    "deleted",
                    f"was deleted in {target}"
                    + ("" if target_deletes else f", which does not own it; restore it there or delete it in {source}"),
                ),
            ),
            (
                "NOT held",
                "create" if may_create else "conflict",
                *(
                    ("NULL", "NULL")
                    if may_create
                    else fixed(
                        "owner",
                        f"exists only in {source}; rows of this map are created in {target}, so it is not copied",
                    )
                ),
            ),
            (
                "len(carry) > 0",
                "update",
                f"CASE WHEN len(overwritten) + len(foreign_changes) > 0 THEN {literal(f'{name}.owner')} END",
                f"CASE WHEN len(overwritten) > 0 THEN 'overwrites a change made in {target}: ' || {listed} "
                f"WHEN len(foreign_changes) > 0 THEN 'also changed in {target}, which does not own it: ' || {columns} END",
            ),
            (
                "len(foreign_changes) > 0",
                "conflict",
                literal(f"{name}.owner"),
                f"CASE WHEN based THEN 'changed in {target}, which does not own it: ' || {columns} || '; change it back there, or in {source}' "
                f"ELSE 'differs at the first run, and the master is {target}: ' || {columns} END",
            ),
            ("TRUE", "unchanged", "NULL", "NULL"),
        ]


def _owner(created_by: str) -> str:
    return SIDE_NAMES.get(created_by, "either system")


def _delete_states(leg: Leg) -> str:
    states = [
        state
        for state, goes in (
            ("deleted", leg.map.rows.deleted_by == leg.source),
            ("left", leg.map.rows.leaves == "delete"),
        )
        if goes
    ]
    return ", ".join(literal(state) for state in states) or "''"


def _names(cases: list[str]) -> str:
    return f"list_filter([{', '.join(cases)}]::VARCHAR[], lambda x: x IS NOT NULL)" if cases else "[]::VARCHAR[]"


def _prefixed(prefix: str, name: str) -> str:
    table, _, letter = prefix.partition(".")
    return f"{table}.{quoted(letter + name)}"


def _bool(value: bool) -> str:
    return "TRUE" if value else "FALSE"
