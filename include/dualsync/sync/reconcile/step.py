"""Step 2, reconcile: compares what should stand on the other side with what stands there and with the base.

The result is the plan: one row per record with an action and its reason. Rows are brought into the receiver's form with
pandas (``transform.py``); DuckDB says what is the same and what moved (``facts.py``); pure functions over pandas frames
decide about columns (``policy.py``) and rows (``cases.py``); ``plan.py`` puts that together.
"""

from __future__ import annotations

from upath import UPath

from dualsync.frames import ParquetSink, Sets, iter_tables, to_pandas
from dualsync.sql import literal
from dualsync.sync.documents.triggers import compare_lines, prepare
from dualsync.sync.legs.context import LegContext
from dualsync.sync.legs.leg import Leg
from dualsync.sync.legs.markers import Reconciled
from dualsync.sync.legs.runtime import Runtime
from dualsync.sync.plan.base import open_base
from dualsync.sync.plan.columns import LegColumns
from dualsync.sync.reconcile.approved import keep_approved
from dualsync.sync.reconcile.facts import Facts
from dualsync.sync.reconcile.plan import (
    classify_rows,
    decide_columns,
    deletes_sql,
    plan_sql,
    reports_only_in_receiver,
)
from dualsync.sync.reconcile.receiver_rows import write_receiver_rows
from dualsync.sync.reconcile.script import Script
from dualsync.sync.reconcile.self_lookups import resolve_self_lookups
from dualsync.sync.reconcile.transform import Transform


def reconcile(context: LegContext, *, full: bool) -> Reconciled:
    """Make the plan of a transfer.

    Args:
        context: The transfer, extracted.
        full: Whether everything was read on both sides.

    Returns:
        The step's marker.
    """
    leg, runtime, columns, base = context.leg, context.runtime, context.columns, context.base
    transform = Transform(leg, runtime, columns)
    with ParquetSink(leg.folder.file("want.parquet"), transform.schema) as sink:
        for piece in iter_tables(leg.folder.file("source.parquet")):
            sink.write(transform.piece(to_pandas(piece)))
    write_receiver_rows(leg, runtime, columns, base)
    with Script(leg.folder) as sets:
        _views(sets, leg, columns, base)
        _select_keys(sets, leg)
        resolve_self_lookups(sets, leg, columns)
        prepare(leg, runtime, sets, columns)
        _plan(sets, leg, runtime, columns, full=full)
        sets.save(deletes_sql(leg), leg.folder.file("deletes.parquet"))
        sets.view("plan", leg.folder.file("plan.parquet"))
        actions = sets.fetch("SELECT action, count(*) AS n FROM plan GROUP BY action")
        sets.write()
    counts = dict(zip(actions.column(0).to_pylist(), actions.column(1).to_pylist(), strict=True))
    return Reconciled(generation=context.generation, actions=counts, planned=sum(counts.values()))


def _views(sets: Sets, leg: Leg, columns: LegColumns, base: UPath | None) -> None:
    open_base(sets, columns, base)
    sets.view("want_file", leg.folder.file("want.parquet"))
    sets.view("have", leg.folder.file("have.parquet"))


def _select_keys(sets: Sets, leg: Leg) -> None:
    """Make ``want``: the wanted rows, restricted to the keys and record ids the run was asked for."""
    where = ""
    if leg.run.keys:
        keys = ", ".join(literal(key.casefold()) for key in leg.run.keys.get(leg.map.map, []))
        listed = keys or "NULL"
        where = f"WHERE lower(key) IN ({listed}) OR join_key IN ({listed}) OR lower(id) IN ({listed})"
    sets.run(f"CREATE TEMP TABLE want AS SELECT row_number() OVER () AS pos, *, 0 AS wave FROM want_file {where}")


def _plan(sets: Sets, leg: Leg, runtime: Runtime, columns: LegColumns, *, full: bool) -> None:
    """Write ``plan.parquet``."""
    facts = Facts(leg, columns)
    facts.prepare(sets)
    decide_columns(sets, leg, columns, facts)
    if leg.map.sends_trigger:
        compare_lines(leg, runtime, sets)
    classify_rows(sets, leg, columns, runtime.settings.cutover.get(leg.company))
    plan = plan_sql(leg, columns, only_in_receiver=full and reports_only_in_receiver(leg))
    fresh = leg.folder.file("fresh.parquet" if leg.run.approved else "plan.parquet")
    sets.save(plan, fresh)
    if leg.run.approved:
        keep_approved(leg, runtime, sets, fresh, columns)
