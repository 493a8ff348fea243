"""Runs a whole run in one process: every map in order, every transfer by itself, then the deletions."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict, replace

from dualsync.errors import LegsFailed, Transient
from dualsync.ledger.holders import this_process
from dualsync.sides import Direction
from dualsync.sync.legs.leg import RunRef
from dualsync.sync.legs.runtime import Runtime
from dualsync.sync.plan.vocabulary import Step
from dualsync.sync.run.runs import RunSummary, finish_run
from dualsync.sync.run.steps import STEPS, LegSummary, StepSummary, run_deletions, run_step

log = logging.getLogger(__name__)

Progress = Callable[[StepSummary], None]


def run_all(run: RunRef, runtime: Runtime, *, progress: Progress | None = None) -> RunSummary:
    """Run a whole run in this process.

    Args:
        run: The run.
        runtime: Everything the steps need.
        progress: Called after the transfers of a map and direction have ended.
    """
    runtime.ledger.holder = this_process()
    again = False
    try:
        for name in run.maps:
            for direction in runtime.catalog[name].directions:
                again = _run_direction(run, name, direction, runtime) or again
                if progress is not None:
                    progress(_ended(run, name, direction, runtime))
        if not run.keys:
            again = _delete(run, runtime) or again
    finally:
        # Also where a person interrupts the run: the next one need not wait for its leases to run out.
        runtime.ledger.drop_leases(run.run_id)
    return replace(finish_run(run, runtime), again=again)


def _run_direction(run: RunRef, map_name: str, direction: Direction, runtime: Runtime) -> bool:
    """All transfers of a map and direction; returns whether one failed that may go through at another try."""
    again = False
    for company in runtime.companies_for(runtime.catalog[map_name], run.companies):
        if run.covers(map_name, direction, company):
            again = _run_leg(run, map_name, direction, company, runtime) or again
    return again


def _run_leg(run: RunRef, map_name: str, direction: Direction, company: str, runtime: Runtime) -> bool:
    """All steps of one transfer, so that a system that does not answer stops no other company.

    Returns:
        Whether it failed and may go through at another try.
    """
    try:
        for step in STEPS:
            summary = run_step(
                step, run=run, map_name=map_name, direction=direction, companies=[company], runtime=runtime
            )
            if summary.empty:
                break
    except (LegsFailed, Transient) as error:
        log.error("%s %s of %s: %s", map_name, direction, company, error)
        return isinstance(error, Transient)
    return False


def _delete(run: RunRef, runtime: Runtime) -> bool:
    """The deletions of all maps; returns whether they failed and may go through at another try."""
    try:
        run_deletions(run, run.maps, run.companies, runtime)
    except (LegsFailed, Transient) as error:
        log.error("deletions: %s", error)
        return isinstance(error, Transient)
    return False


def _ended(run: RunRef, map_name: str, direction: Direction, runtime: Runtime) -> StepSummary:
    """How the transfers of a map and direction ended."""
    legs = [leg for leg in runtime.ledger.legs(run.run_id) if (leg.map, leg.direction) == (map_name, direction)]
    ended = tuple(LegSummary(leg.company, leg.state, asdict(leg.counts), leg.message) for leg in legs)
    return StepSummary(str(Step.SETTLE), map_name, direction, ended, empty=False)
