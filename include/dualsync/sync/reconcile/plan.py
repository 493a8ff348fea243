"""The plan: one row per record with an action and its reason, made of facts, policy and cases.

DuckDB says the facts (``facts.py``), pandas decides about columns (``policy.py``) and about rows (``cases.py``); what
they said is put beside the values of each row here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa

from dualsync.frames import ParquetSink, Sets, to_arrow, to_pandas
from dualsync.mapping import TableMap
from dualsync.sql import literal
from dualsync.sync.legs.leg import Leg
from dualsync.sync.plan.columns import LegColumns
from dualsync.sync.plan.messages import ONLY_IN_RECEIVER
from dualsync.sync.plan.vocabulary import (
    ID_SCHEME,
    ROW_SCHEME,
    SIDE_NAMES,
    Action,
    RowState,
    RuleWord,
    rule_name,
    sql_list,
)
from dualsync.sync.reconcile.cases import LegRules, cases_for, classify
from dualsync.sync.reconcile.facts import VALUES, Facts
from dualsync.sync.reconcile.policy import DECISIONS, FACTS, decide, policy_of

FACTS_FILE = "facts.parquet"
"""The cells that are not plainly unchanged, with their facts and what was decided of them."""

_CELLS = pa.schema(
    [
        pa.field("pos", pa.int64()),
        pa.field("column", pa.string()),
        *(pa.field(name, pa.bool_()) for name in (*FACTS, *DECISIONS)),
    ]
)
_NAMES = pa.list_(pa.string())
_DECIDED = pa.schema(
    [
        pa.field("pos", pa.int64()),
        pa.field("columns", _NAMES),
        pa.field("foreign_changes", _NAMES),
        pa.field("pending", _NAMES),
        pa.field("overwritten", _NAMES),
        pa.field("replaces", pa.bool_()),
    ]
)
_OUTCOME = pa.schema([pa.field("pos", pa.int64()), *(pa.field(n, pa.string()) for n in ("action", "rule", "reason"))])
_LAST = 1_000_000_000
"""Rows that only the receiver has come after all others."""


def decide_columns(sets: Sets, leg: Leg, columns: LegColumns, facts: Facts) -> None:
    """Decide all cells that are not plainly unchanged.

    Writes ``facts.parquet`` and makes the table ``decided``: for each row with such cells the columns that are written,
    that the side that does not own them changed, that are the other direction's, and that are written over a change.

    Args:
        sets: With the views of ``facts``.
        leg: The leg.
        columns: Its columns.
        facts: Its facts.
    """
    policies = [policy_of(leg, columns, pair) for pair in facts.pairs]
    names = pa.array([pair.target for pair in facts.pairs], type=pa.string())
    kept: list[pd.DataFrame] = []
    with ParquetSink(leg.folder.file(FACTS_FILE), _CELLS) as sink:
        for cells in facts.cells(sets):
            decided = decide(cells, policies)
            sink.write(_named(decided, names))
            kept.append(decided.loc[decided[list(DECISIONS)].any(axis=1), ["pos", "pair", *DECISIONS]])
    sets.table("decided", _decided(kept, names))


def _named(cells: pd.DataFrame, names: pa.Array) -> pa.Table:
    """Cells with the names of their receiving columns, as ``facts.parquet`` has them."""
    table = to_arrow(cells[["pos", "pair", *FACTS, *DECISIONS]])
    return table.append_column("column", names.take(table["pair"])).select(_CELLS.names).cast(_CELLS)


def _decided(kept: Sequence[pd.DataFrame], names: pa.Array) -> pa.Table:
    """One row per record with cells that were decided, the names of its columns as lists."""
    if not kept:
        return _DECIDED.empty_table()
    cells = pd.concat(kept, ignore_index=True).sort_values(["pos", "pair"], kind="stable")
    positions = np.unique(cells["pos"].to_numpy(dtype="int64"))

    def named(decision: str) -> pa.Array:
        chosen = cells[cells[decision].to_numpy(dtype=bool)]
        ends = np.searchsorted(chosen["pos"].to_numpy(dtype="int64"), positions, side="right")
        offsets = pa.array(np.concatenate([[0], ends]), type=pa.int32())
        return pa.ListArray.from_arrays(offsets, names.take(pa.array(chosen["pair"].to_numpy(dtype="int64"))))

    replacing = np.unique(cells["pos"].to_numpy(dtype="int64")[cells["replaces"].to_numpy(dtype=bool)])
    return pa.Table.from_arrays(
        [
            pa.array(positions),
            named("write"),
            named("changed_by_non_owner"),
            named("other_direction"),
            named("overwrites"),
            pa.array(np.isin(positions, replacing)),
        ],
        schema=_DECIDED,
    )


def classify_rows(sets: Sets, leg: Leg, columns: LegColumns, cutover: date | None) -> None:
    """Find out how each row ends, and make the view ``outcome`` of that.

    Args:
        sets: With the view ``joined`` and the table ``decided``; of a leg that sends triggers with ``lines_found`` too.
        leg: The leg.
        columns: Its columns.
        cutover: The cut-over date of its company.
    """
    cases = cases_for(LegRules.of(leg, columns, cutover))
    path = leg.folder.file("sql/outcome.parquet")
    with ParquetSink(path, _OUTCOME) as sink:
        for piece in sets.stream(_rows_sql(leg, cutover)):
            ended = classify(to_pandas(piece), cases, leg.map.map)
            sink.write(to_arrow(ended[_OUTCOME.names], _OUTCOME))
    sets.view("outcome", path)


def _rows_sql(leg: Leg, cutover: date | None) -> str:
    """The query of the facts of rows, :data:`~dualsync.sync.reconcile.cases.ROW_FACTS`."""
    lines, missing = "", "NULL::VARCHAR"
    if leg.map.sends_trigger:
        missing = "l.lines"
        lines = (
            " LEFT JOIN (SELECT join_key, string_agg(reason, '; ' ORDER BY lines) AS lines FROM lines_found "
            "GROUP BY join_key) l ON l.join_key = j.join_key"
        )
    history = "FALSE" if cutover is None else f"COALESCE(j.dated < DATE {literal(cutover.isoformat())}, FALSE)"
    return (
        "SELECT j.pos, j.state, j.stop IS NOT NULL AS stopped, j.stop, j.rule, j.reason, j.present, j.based, "
        "COALESCE(j.want_n > 1, FALSE) AS several_sent, COALESCE(j.have_n > 1, FALSE) AS several_standing, "
        f"COALESCE(j.known_as <> j.join_key, FALSE) AS known_otherwise, {history} AS history, "
        "COALESCE(len(d.columns) > 0, FALSE) AS writes, "
        "COALESCE(len(d.foreign_changes) > 0, FALSE) AS changed_by_non_owner, "
        "COALESCE(len(d.overwritten) > 0, FALSE) AS overwrites, d.foreign_changes, d.overwritten, "
        f"{missing} IS NOT NULL AS lines_missing, {missing} AS lines "
        f"FROM joined j LEFT JOIN decided d ON d.pos = j.pos{lines} WHERE j.state NOT IN {delete_states(leg)}"
    )


def plan_sql(leg: Leg, columns: LegColumns, *, only_in_receiver: bool) -> str:
    """The query of the plan.

    Args:
        leg: The leg, its rows classified.
        columns: Its columns.
        only_in_receiver: Whether rows that only the receiver has are reported.
    """
    plan = (
        "SELECT j.pos, j.wave, o.action, o.rule, o.reason, j.key, "
        f"COALESCE(j.join_key, {literal(ID_SCHEME)} || j.id, {literal(ROW_SCHEME)} || j.pos) AS join_key, j.id, "
        "j.source_version, j.target_version, j.based, COALESCE(d.columns, []) AS columns, "
        "list_concat(COALESCE(d.foreign_changes, []), COALESCE(d.pending, [])) AS keep, "
        f"COALESCE(d.replaces, FALSE) AS replaces, {VALUES} "
        "FROM joined j JOIN outcome o ON o.pos = j.pos LEFT JOIN decided d ON d.pos = j.pos"
    )
    if only_in_receiver:
        plan = f"{plan} UNION ALL BY NAME {_only_in_receiver_sql(leg.map, columns)}"
    return f"SELECT * FROM ({plan}) ORDER BY wave, pos"


def _only_in_receiver_sql(table_map: TableMap, columns: LegColumns) -> str:
    owner = SIDE_NAMES.get(table_map.rows.created_by, "either system")
    reason = ONLY_IN_RECEIVER(receiver=SIDE_NAMES[columns.target], owner=owner)
    rule = rule_name(table_map.map, RuleWord.STRANGER)
    return (
        f"SELECT {_LAST} + row_number() OVER () AS pos, 0 AS wave, {literal(Action.CONFLICT)} AS action, "
        f"{literal(rule)} AS rule, {literal(reason)} AS reason, key, join_key, id, version AS target_version, "
        "FALSE AS based, []::VARCHAR[] AS columns, []::VARCHAR[] AS keep, FALSE AS replaces FROM have "
        "WHERE matches AND join_key IS NOT NULL AND join_key NOT IN (SELECT join_key FROM want WHERE join_key IS NOT "
        "NULL) AND join_key NOT IN (SELECT join_key FROM base)"
    )


def reports_only_in_receiver(leg: Leg) -> bool:
    """Whether rows that only the receiver has are this leg's to report.

    Where the map also has a leg that reads that side, that leg reports them; of a trigger, the header's leg.
    """
    other = "to_dataverse" if leg.direction == "to_finance" else "to_finance"
    return other not in leg.map.directions and leg.map.finance.write != "package" and not leg.map.sends_trigger


def delete_states(leg: Leg) -> str:
    """The states of source rows that are to be deleted on the other side, as an SQL list."""
    owner = leg.map.rows.deleted_by == leg.source
    states = [(RowState.DELETED, owner), (RowState.LEFT, leg.map.rows.leaves == "delete")]
    return sql_list([state for state, goes in states if goes] or [""])


def deletes_sql(leg: Leg) -> str:
    """The query of the rows that are to be deleted at the end of the run."""
    return (
        "SELECT COALESCE(b.id, w.id) AS id, b.join_key AS join_key, b.key AS key, w.state AS state FROM want w "
        "JOIN base b ON b.id = w.id OR (w.id IS NULL AND b.join_key = w.join_key) "
        f"WHERE w.state IN {delete_states(leg)}"
    )
