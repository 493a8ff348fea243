"""The full comparison of a table map: every row of both sides by integration key, and what became of each.

What this installation itself knows of a row explains its break (waiting for a parent, held in quarantine, in conflict),
and does not make it none: the amount is missing all the same.
"""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
from upath import UPath

from dualsync.controls.model import BREAK_SCHEMA, CLASSES, WINDOW
from dualsync.frames import Sets, count_rows, literal, quoted, to_pandas, write_table
from dualsync.mapping import Expression, TableMap
from dualsync.nightly.comparison.diff import KEY, compare
from dualsync.nightly.comparison.measures import MEASURES
from dualsync.nightly.comparison.sides import Pair, Sides, company_sql
from dualsync.nightly.night import NightRuntime
from dualsync.sync.lookups.keys import finance_keys
from dualsync.sync.lookups.parents import Parents
from dualsync.sync.plan.agreement import never_agreed
from dualsync.sync.plan.base import open_base
from dualsync.sync.plan.columns import LegColumns
from dualsync.sync.plan.vocabulary import ID_SCHEME, deleted_row

PREFIX = "map:"
"""The full comparison of a map stands among the controls under this and the map's name."""

_AMOUNTS = (
    "missing_in_finance",
    "missing_in_dataverse",
    "duplicate_in_dataverse",
    "duplicate_in_finance",
    "wrong_owner",
)


def control_id(table_map: TableMap) -> str:
    """The id under which the comparison of a map stands among the controls."""
    return f"{PREFIX}{table_map.map}"


class MapComparison:
    """The comparison of one map.

    Args:
        night: Tonight.
        table_map: The map.

    Raises:
        SchemaMismatch: A system lacks what the map cannot do without.
    """

    def __init__(self, night: NightRuntime, table_map: TableMap) -> None:
        self._night = night
        self._map = table_map
        self._sides = Sides(night, table_map)
        self._leg_columns = LegColumns(table_map, table_map.directions[0], night.schema)

    @property
    def refusal(self) -> str:
        """Why the map cannot be compared, empty where it can."""
        if self._map.finance.write == "package":
            return f"OData does not show {self._map.finance.set}, so it cannot be read back"
        return ""

    def prepare(self, company: str) -> None:
        """Bring the rows of a company into form, so that the lookups of other maps resolve through them."""
        self._sides.write(company)

    @property
    def normalisation(self) -> list[dict[str, str]]:
        """What is done to each column pair before it is compared, for readers of the report."""
        return [
            {"dataverse": pair.columns[0], "finance": pair.columns[1], "normalised": pair.normalised}
            for pair in self._sides.pairs
        ]

    def run(self, company: str) -> dict[str, Any]:
        """Compare the rows of a company, brought into form before, and write ``breaks.parquet`` beside the two sides.

        Returns:
            Rows on either side, rows that are too young or history, breaks by class, and amounts by currency.
        """
        left, right = (
            self._night.side_path(self._map, company, f"{side}.parquet") for side in ("dataverse", "finance")
        )
        path = self._night.side_path(self._map, company, "breaks.parquet")
        with Sets() as sets:
            result = {"dataverse": count_rows(left), "finance": count_rows(right)}
            if compare(sets, left, right, [pair.compared for pair in self._sides.pairs]):
                self._context(sets, company)
                sets.run(f"CREATE TEMP TABLE breaks AS SELECT *, '' AS \"check\" FROM ({self._breaks_sql(company)})")
                columns = ", ".join(quoted(name) for name in BREAK_SCHEMA.names)
                sets.save(f"SELECT {columns} FROM breaks ORDER BY class, key, field", path)
            else:
                write_table(path, BREAK_SCHEMA.empty_table())
                for name in ("young", "history", "only_right"):
                    sets.run(f"CREATE TEMP TABLE {name} AS SELECT NULL::VARCHAR AS {KEY} WHERE FALSE")
                sets.table("breaks", BREAK_SCHEMA.empty_table())
            counted = sets.fetch("SELECT class, count(*) AS n FROM breaks GROUP BY class ORDER BY class").to_pylist()
            return {
                **result,
                "young": int(sets.scalar("SELECT count(*) FROM young")),
                "history": int(sets.scalar("SELECT count(*) FROM history")),
                "breaks": {row["class"]: row["n"] for row in counted},
                "amounts": self._amounts(sets),
            }

    # --- what is known of the rows that are not equal ------------------------------------------------------------

    def _context(self, sets: Sets, company: str) -> None:
        agreed: list[UPath | None] = [*self._night.agreed_paths(self._map, company)] or [None]
        for number, path in enumerate(agreed):
            open_base(sets, self._leg_columns, path, f"base_{number}")
        every = " UNION ALL BY NAME ".join(f"SELECT * FROM base_{number}" for number in range(len(agreed)))
        sets.run(f"CREATE OR REPLACE TEMP VIEW base AS {every}")
        moment = literal(self._night.night.settled(WINDOW).isoformat())
        sets.run(
            f"CREATE TEMP TABLE young AS SELECT DISTINCT {KEY} FROM left_rows WHERE changed > {moment}::TIMESTAMPTZ"
        )
        self._history(sets, company)
        self._open_rows(sets, company)
        self._left_out(sets, company)

    def _history(self, sets: Sets, company: str) -> None:
        """Rows of one side that are older than the cut-over: the other side has them in its own way."""
        day = self._night.settings.cutover.get(company)
        owner = {"dataverse": "left", "finance": "right"}.get(self._map.rows.created_by)
        if self._map.initial.creates != "from_cutover" or day is None or owner is None:
            sets.run(f"CREATE TEMP TABLE history AS SELECT NULL::VARCHAR AS {KEY} WHERE FALSE")
            return
        sets.run(
            f"CREATE TEMP TABLE history AS SELECT DISTINCT {KEY} FROM {owner}_rows SEMI JOIN only_{owner} "
            f"USING ({KEY}) WHERE dated < DATE {literal(day.isoformat())}"
        )

    def _open_rows(self, sets: Sets, company: str) -> None:
        names = (self._map.map, *self._night.catalog.parts(self._map.map))
        rows = [row for name in names for row in self._night.ledger.open_rows(map_name=name, company=company)]
        sets.table(
            "open_rows",
            pa.table(
                {
                    "open_key": pa.array([deleted_row(row.join_key) for row in rows], type=pa.string()),
                    "open_id": pa.array([row.record_id for row in rows], type=pa.string()),
                    "state": pa.array([row.state for row in rows], type=pa.string()),
                    "open_reason": pa.array([row.reason for row in rows], type=pa.string()),
                }
            ),
        )
        sets.run(
            "CREATE TEMP TABLE explained AS SELECT open_key, any_value(state) AS state, "
            "any_value(open_reason) AS open_reason FROM open_rows GROUP BY open_key"
        )

    def _left_out(self, sets: Sets, company: str) -> None:
        """Rows that Finance has and whose Dataverse row is there, but does not match the map's filter any more."""
        found: dict[str, str] = {}
        spec = self._map.dataverse
        wanted = set(sets.fetch(f"SELECT {KEY} FROM only_right").column(0).to_pylist())
        if spec.filter and wanted:
            leg_columns = LegColumns(self._map, "to_finance", self._night.schema)
            parents, zone = Parents(self._night, company), ZoneInfo(self._night.settings.time_zone)
            with Sets() as own:
                own.view("raw", self._sides.reads["dataverse"].path)
                join, of_company = company_sql(self._night, own, self._map, company)
                matches = Expression.parse(spec.filter).to_sql("r")
                names = [field.name for field in leg_columns.raw_schema("dataverse")]
                columns = ", ".join(f"r.{quoted(name)}" for name in names)
                for piece in own.stream(f"SELECT {columns} FROM raw r{join} WHERE NOT ({matches}) AND {of_company}"):
                    rows = to_pandas(piece)
                    keys = finance_keys(leg_columns, rows, parents, self._night.catalog.runnable, zone)["join_key"]
                    ids = rows[spec.id].array.__arrow_array__().to_pylist()
                    texts = keys.array.__arrow_array__().to_pylist()
                    found |= {key: record for key, record in zip(texts, ids, strict=True) if key in wanted}
        sets.table(
            "left_out",
            pa.table(
                {
                    KEY: pa.array(list(found), type=pa.string()),
                    "record": pa.array(list(found.values()), type=pa.string()),
                }
            ),
        )

    # --- the breaks -----------------------------------------------------------------------------------------------

    def _breaks_sql(self, company: str) -> str:
        parts = [
            self._doubles_sql("left", "duplicate_in_dataverse"),
            self._doubles_sql("right", "duplicate_in_finance"),
            self._only_left_sql(),
            self._only_right_sql(),
            self._cells_sql(),
        ]
        table, entity = literal(self._map.dataverse.table), literal(self._map.finance.set)
        measured = self._map.map in MEASURES
        critical = f"class IN ({', '.join(literal(one) for one in (*_AMOUNTS, 'amount'))})" if measured else "FALSE"
        return (
            f"SELECT {literal(control_id(self._map))} AS control, {literal(company)} AS company, b.key, class, field, "
            f"CASE WHEN {critical} THEN 'critical' ELSE 'error' END AS severity, dataverse_value, finance_value, "
            "b.amount::DECIMAL(38,6) AS amount, COALESCE(b.currency, '') AS currency, "
            f"{table} AS dataverse_table, COALESCE(dataverse_id, '') AS dataverse_id, {entity} AS finance_set, "
            "finance_key, COALESCE(e.state, i.state, b.cause, '') AS cause, "
            "COALESCE(e.open_reason, i.open_reason, b.reason, '') AS explanation "
            f"FROM ({' UNION ALL BY NAME '.join(parts)}) b LEFT JOIN explained e ON e.open_key = b.{KEY} "
            f"LEFT JOIN explained i ON i.open_key = '{ID_SCHEME}' || b.dataverse_id "
            f"WHERE b.{KEY} NOT IN (SELECT {KEY} FROM young) AND b.{KEY} NOT IN (SELECT {KEY} FROM history)"
        )

    def _doubles_sql(self, side: str, break_class: str) -> str:
        left, right = (f"(SELECT count(*) FROM {one}_rows o WHERE o.{KEY} = d.{KEY})" for one in ("left", "right"))
        return (
            f"SELECT d.{KEY}, any_value(r.key) AS key, {literal(break_class)} AS class, '' AS field, "
            f"{left}::VARCHAR AS dataverse_value, {right}::VARCHAR AS finance_value, {_difference('d')} AS amount, "
            f"any_value(r.currency) AS currency, string_agg(DISTINCT r.id, ' ') AS dataverse_id, "
            f"any_value(r.key) AS finance_key, '' AS cause, NULL AS reason "
            f"FROM {side}_doubles d JOIN {side}_rows r USING ({KEY}) GROUP BY d.{KEY}"
        )

    def _only_left_sql(self) -> str:
        stranger = self._map.rows.created_by == "finance"
        known = f"o.{KEY} IN (SELECT join_key FROM base WHERE join_key IS NOT NULL)"
        break_class = (
            f"CASE WHEN {known} THEN 'missing_in_finance' ELSE 'wrong_owner' END"
            if stranger
            else (literal("missing_in_finance"))
        )
        return (
            f"SELECT o.{KEY}, any_value(r.key) AS key, {break_class} AS class, '' AS field, "
            f"any_value(r.key) AS dataverse_value, '' AS finance_value, {_difference('o')} AS amount, "
            "any_value(r.currency) AS currency, any_value(r.id) AS dataverse_id, '' AS finance_key, "
            "CASE WHEN any_value(r.rule) IS NOT NULL THEN 'held' ELSE '' END AS cause, any_value(r.reason) AS reason "
            f"FROM only_left o JOIN left_rows r USING ({KEY}) GROUP BY o.{KEY}"
        )

    def _only_right_sql(self) -> str:
        stranger = self._map.rows.created_by == "dataverse"
        known = f"o.{KEY} IN (SELECT join_key FROM base WHERE join_key IS NOT NULL)"
        alone = (
            f"CASE WHEN {known} THEN 'missing_in_dataverse' ELSE 'wrong_owner' END"
            if stranger
            else (literal("missing_in_dataverse"))
        )
        keeps = "FALSE" if self._map.rows.leaves == "keep" else "TRUE"
        return (
            f"SELECT o.{KEY}, any_value(r.key) AS key, "
            f"CASE WHEN any_value(x.record) IS NOT NULL THEN 'filtered_out' ELSE {alone} END AS class, '' AS field, "
            f"'' AS dataverse_value, any_value(r.key) AS finance_value, {_difference('o')} AS amount, "
            "any_value(r.currency) AS currency, any_value(x.record) AS dataverse_id, any_value(r.key) AS finance_key, "
            "CASE WHEN any_value(r.rule) IS NOT NULL THEN 'held' ELSE '' END AS cause, any_value(r.reason) AS reason "
            f"FROM only_right o JOIN right_rows r USING ({KEY}) LEFT JOIN left_out x USING ({KEY}) "
            f"WHERE x.record IS NULL OR {keeps} GROUP BY o.{KEY}"
        )

    def _cells_sql(self) -> str:
        fields = " ".join(f"WHEN {literal(pair.name)} THEN {literal(_named(pair))}" for pair in self._sides.pairs)
        classes = " ".join(f"WHEN {literal(pair.name)} THEN {literal(pair.break_class)}" for pair in self._sides.pairs)
        numbers = " ".join(
            f"WHEN {literal(pair.name)} THEN TRY_CAST(c.left_value AS DECIMAL(38,6)) - "
            "TRY_CAST(c.right_value AS DECIMAL(38,6))"
            for pair in self._sides.pairs
            if pair.decimal
        )
        silent = " OR ".join(f"({self._silent(pair)})" for pair in self._sides.pairs if pair.quiet) or "FALSE"
        return (
            f"SELECT c.{KEY}, l.key AS key, CASE c.name {classes} ELSE '' END AS class, "
            f"CASE c.name {fields} ELSE '' END AS field, COALESCE(c.left_value, '') AS dataverse_value, "
            f"COALESCE(c.right_value, '') AS finance_value, "
            f"{f'CASE c.name {numbers} END' if numbers else 'NULL'} AS amount, l.currency AS currency, "
            "l.id AS dataverse_id, r.key AS finance_key, "
            "CASE WHEN l.rule IS NOT NULL THEN 'held' ELSE '' END AS cause, "
            f"l.reason AS reason FROM cells c JOIN left_rows l USING ({KEY}) JOIN right_rows r USING ({KEY}) "
            f"LEFT JOIN (SELECT * FROM base QUALIFY row_number() OVER (PARTITION BY join_key) = 1) b "
            f"ON b.join_key = c.{KEY} WHERE NOT ({silent})"
        )

    def _silent(self, pair: Pair) -> str:
        """Where an empty value of a pair says nothing: it never was there, so it does not travel."""
        conditions = []
        for side in pair.quiet:
            row, empty = ("l", "c.left_empty") if side == "dataverse" else ("r", "c.right_empty")
            sources = pair.unit.sources if side == pair.leg_columns.source else (pair.unit.target,)
            nothing = "TRUE" if pair.unit.keeps else never_agreed(side, sources)
            conditions.append(f"{empty} AND {row}.reason IS NULL AND {nothing}")
        return f"c.name = {literal(pair.name)} AND ({' OR '.join(conditions)})"

    def _amounts(self, sets: Sets) -> list[dict[str, Any]]:
        """By currency: what Dataverse has, and how much of it Finance has just so."""
        if self._map.map not in MEASURES:
            return []
        judged = f"f.{KEY} NOT IN (SELECT {KEY} FROM young) AND f.{KEY} NOT IN (SELECT {KEY} FROM history)"
        names = ", ".join(literal(one) for one in (*_AMOUNTS, "amount", "filtered_out"))
        rows = sets.fetch(
            f"WITH broken AS (SELECT DISTINCT key FROM breaks WHERE class IN ({names})), "
            f"rows AS (SELECT COALESCE(f.currency, '') AS currency, abs(COALESCE(f.amount, 0)) AS amount, f.key FROM "
            f"left_file f WHERE {judged} UNION ALL SELECT COALESCE(f.currency, ''), abs(COALESCE(f.amount, 0)), f.key "
            f"FROM right_file f SEMI JOIN only_right USING ({KEY}) WHERE {judged} AND f.key IN (FROM broken)) "
            "SELECT currency, count(*) AS rows, sum(amount)::VARCHAR AS amount, "
            "COALESCE(sum(amount) FILTER (WHERE key NOT IN (FROM broken)), 0)::VARCHAR AS matched "
            "FROM rows GROUP BY currency ORDER BY currency"
        )
        return list(rows.to_pylist())


def _named(pair: Pair) -> str:
    dataverse, finance = pair.columns
    return f"{dataverse} / {finance}" if dataverse and finance else dataverse or finance


def _difference(alias: str) -> str:
    """What Dataverse has more than Finance of a key."""
    parts = [
        f"COALESCE((SELECT sum(o2.amount) FROM {side}_rows o2 WHERE o2.{KEY} = {alias}.{KEY}), 0)"
        for side in ("left", "right")
    ]
    return f"(CASE WHEN any_value(r.amount) IS NULL THEN NULL ELSE {' - '.join(parts)} END)"


__all__ = ["CLASSES", "PREFIX", "MapComparison", "control_id"]
