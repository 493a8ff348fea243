"""Keeps a plan to what a person approved: the rows of an earlier plan, as far as they are planned just so again.

Between a plan and its approval either side may change. A row that would now be written otherwise, or over another value
than the one that stood there, is not what was approved; it waits, and the next run of its map plans it anew.
"""

from __future__ import annotations

from upath import UPath

from dualsync.errors import ApprovalError
from dualsync.frames import Sets
from dualsync.sql import literal, quoted
from dualsync.sync.legs.leg import Leg
from dualsync.sync.legs.runtime import Runtime
from dualsync.sync.plan.columns import LegColumns
from dualsync.sync.plan.vocabulary import RuleWord, rule_name, standing, wanted


def keep_approved(leg: Leg, runtime: Runtime, sets: Sets, fresh: UPath, leg_columns: LegColumns) -> None:
    """Write ``plan.parquet``: the fresh plan, in which rows wait that are not planned as they were approved.

    Args:
        leg: A leg of a run that carries out what another one planned.
        runtime: Where the other run's folder lies.
        sets: Where the plans are compared.
        fresh: The plan as it would be now.
        leg_columns: The columns of the leg.

    Raises:
        ApprovalError: The approved plan is no longer there.
    """
    approved = approved_plan(leg, runtime)
    sets.view("fresh_plan", fresh)
    sets.view("approved_plan", approved)
    same = " AND ".join(_same(name) for name in leg_columns.target_columns)
    rule = literal(rule_name(leg.map.map, RuleWord.MOVED))
    reason = literal(
        f"is no longer planned as it was in run {leg.run.approved}, which was approved; the next run looks at it"
    )
    sets.save(
        "SELECT * EXCLUDE (moved) REPLACE ("
        "CASE WHEN moved THEN 'waiting' ELSE action END AS action, "
        f"CASE WHEN moved THEN {rule} ELSE rule END AS rule, "
        f"CASE WHEN moved THEN {reason} ELSE reason END AS reason) FROM "
        "(SELECT p.*, p.action IN ('create', 'update') AND NOT EXISTS (SELECT 1 FROM approved_plan a WHERE "
        "a.join_key = p.join_key AND a.action = p.action AND list_sort(a.columns) = list_sort(p.columns) "
        f"AND {same}) AS moved FROM fresh_plan p) ORDER BY wave, pos",
        leg.folder.file("plan.parquet"),
    )


def _same(name: str) -> str:
    """That the value of a column, where it is written, and what it is written over are as they were."""
    value, before = quoted(wanted(name)), quoted(standing(name))
    equal = f"a.{value} IS NOT DISTINCT FROM p.{value}"
    over = f"{equal} AND a.{before} IS NOT DISTINCT FROM p.{before}"
    return (
        f"CASE WHEN p.action = 'create' THEN {equal} WHEN list_contains(p.columns, {literal(name)}) THEN {over} "
        "ELSE TRUE END"
    )


def approved_plan(leg: Leg, runtime: Runtime) -> UPath:
    """The plan of the same leg in the run that was approved.

    Raises:
        ApprovalError: It is no longer there.
    """
    folder = runtime.run_folder(leg.run.approved)
    run = runtime.stored_run(leg.run.approved)
    if run is not None:
        earlier = runtime.leg(run, leg.map.map, leg.direction, leg.company, leg.phase)
        path = earlier.folder.file("plan.parquet")
        if path.exists():
            return path
    raise ApprovalError(f"{leg.label}: the plan of run {leg.run.approved} is no longer in {folder}; plan it anew")
