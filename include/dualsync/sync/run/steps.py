"""Runs single steps: what Airflow's tasks and the commands call.

A step takes a batch of companies. One company's failure does not stop the others: a transfer that failed is marked,
later steps pass it by, and ``settle`` raises at the end, naming the transfers that did not settle. A step that fails
for a transient reason raises at once after the other companies are done, so that it is tried again; what is done
already is not done twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar

from dualsync.errors import DualsyncError, LegsFailed, RequestError, Superseded, Transient
from dualsync.ledger import LegCounts, LegRecord
from dualsync.sides import Direction
from dualsync.sync.deletions import delete_rows, pending_deletions
from dualsync.sync.extract.step import extract
from dualsync.sync.legs.context import LegContext
from dualsync.sync.legs.leg import Leg, RunRef
from dualsync.sync.legs.markers import Extracted, Loaded, Marker, Reconciled, Settled, Stopped, Validated
from dualsync.sync.legs.runtime import Runtime
from dualsync.sync.load.step import NeedsApproval, load
from dualsync.sync.plan.vocabulary import ENDED, LegState, Phase, Severity, Step
from dualsync.sync.reconcile.step import reconcile
from dualsync.sync.settle.outcome import leg_record
from dualsync.sync.settle.step import settle, settle_empty
from dualsync.sync.settle.takeover import take_over
from dualsync.sync.validate.step import remarks, validate

log = logging.getLogger(__name__)

M = TypeVar("M", bound=Marker)

STEPS = tuple(Step)
"""The steps of a transfer, in order."""

_WRITTEN_COUNTS = ("created", "updated", "deleted")


@dataclass(frozen=True, slots=True)
class LegSummary:
    """How one transfer stands after a step.

    Attributes:
        company: Its company.
        state: Its :class:`~dualsync.sync.plan.vocabulary.LegState`.
        counts: Its counts, as far as known.
        message: What a person should know.
    """

    company: str
    state: str
    counts: dict[str, int] = field(default_factory=dict)
    message: str = ""


@dataclass(frozen=True, slots=True)
class StepSummary:
    """What a step did, small enough for XCom.

    Attributes:
        step: Name of the step.
        map: Name of the map.
        direction: The direction.
        legs: Its transfers.
        empty: Whether every transfer is settled already or had nothing to do, so that the rest of the group can be
            skipped.
    """

    step: str
    map: str
    direction: str
    legs: tuple[LegSummary, ...]
    empty: bool

    @property
    def superseded(self) -> bool:
        """Whether all transfers gave way to another run."""
        return bool(self.legs) and all(leg.state == LegState.SUPERSEDED for leg in self.legs)

    @property
    def written(self) -> int:
        """Rows written to the receiving system."""
        settled = [leg for leg in self.legs if leg.state == LegState.SETTLED]
        return sum(leg.counts.get(name, 0) for leg in settled for name in _WRITTEN_COUNTS)

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def run_step(
    step: str, *, run: RunRef, map_name: str, direction: Direction, companies: Sequence[str], runtime: Runtime
) -> StepSummary:
    """Run one step of one map and direction for a batch of companies.

    Args:
        step: One of :data:`STEPS`.
        run: The run.
        map_name: The map.
        direction: ``to_finance`` or ``to_dataverse``.
        companies: The companies; ignored for a map that knows none.
        runtime: Everything the step needs.

    Returns:
        How each transfer stands.

    Raises:
        Transient: A transfer has to be tried again.
        LegsFailed: After ``settle``, transfers that did not settle.
    """
    summaries: list[LegSummary] = []
    again: Transient | None = None
    of = runtime.companies_for(runtime.catalog[map_name], companies)
    legs = [runtime.leg(run, map_name, direction, company) for company in of]
    # A retry goes on with the transfers that are not extracted yet; only where all are, it was cleared to read anew.
    resumed = step == Step.EXTRACT and not all(leg.folder.is_done(Step.EXTRACT) for leg in legs)
    for leg in legs:
        try:
            summaries.append(_run(step, leg, runtime, resumed=resumed))
        except Transient as error:
            log.warning("%s: %s will be tried again: %s", leg.label, step, error)
            again = error
            _save_state(leg, runtime, LegState.FAILED, f"{step}: {error}")
        except Superseded as error:
            log.warning("%s", error)
            summaries.append(_stop(leg, runtime, step, LegState.SUPERSEDED, str(error)))
        except Exception as error:
            summaries.append(_failed(leg, runtime, step, error))
    if again is not None:
        raise again
    if step == Step.SETTLE:
        _raise_failed(map_name, direction, summaries)
    empty = all(leg.state in ENDED for leg in summaries) and step != Step.SETTLE
    return StepSummary(str(step), map_name, direction, tuple(summaries), empty)


def _raise_failed(map_name: str, direction: str, summaries: Sequence[LegSummary]) -> None:
    failed = [
        f"{map_name} {direction} of {leg.company}: {leg.message}" for leg in summaries if leg.state == LegState.FAILED
    ]
    if failed:
        raise LegsFailed("legs that did not settle: " + "; ".join(failed), legs=failed)


def _failed(leg: Leg, runtime: Runtime, step: str, error: Exception) -> LegSummary:
    """Stop a transfer in which something failed that another try does not heal."""
    own = isinstance(error, DualsyncError)
    message = f"{step}: {error}" if own else f"{step}: {type(error).__name__}: {error}"
    log.error("%s failed in %s", leg.label, message, exc_info=not own)
    return _stop(leg, runtime, step, LegState.FAILED, message)


def _stop(leg: Leg, runtime: Runtime, step: str, state: LegState, message: str) -> LegSummary:
    """Mark a transfer that cannot go on: later steps pass it by, and other runs may have its rows."""
    leg = runtime.leg(leg.run, leg.map.map, leg.direction, leg.company, leg.phase)
    leg.folder.finish(Stopped(step=str(step), state=str(state), message=message))
    _save_state(leg, runtime, state, message)
    runtime.ledger.drop_lease(leg.map.map, leg.company, leg.run.run_id)
    return LegSummary(leg.company, str(state), message=message)


def _save_state(leg: Leg, runtime: Runtime, state: LegState, message: str) -> None:
    runtime.ledger.save_leg(leg_record(leg, LegCounts(), state=state, message=message, generation=None))


def _run(step: str, leg: Leg, runtime: Runtime, *, resumed: bool) -> LegSummary:
    """Run a step of one transfer, unless it has ended or stopped before."""
    ended = leg.folder.done(Settled)
    if ended is not None:
        return LegSummary(leg.company, ended.state, ended.counts, ended.message)
    stopped = leg.folder.done(Stopped)
    if stopped is not None:
        if STEPS.index(Step(step)) > STEPS.index(Step(stopped.step)):
            return LegSummary(leg.company, stopped.state, message=stopped.message)
        leg.folder.forget(Stopped)
    elif resumed and leg.folder.is_done(Step.EXTRACT):
        return _running(leg)
    return _STEPS[Step(step)](leg, runtime)


def _running(leg: Leg, **counts: int) -> LegSummary:
    return LegSummary(leg.company, str(LegState.RUNNING), counts)


# --- the steps of one transfer ----------------------------------------------------------------------------------------


def _extract(leg: Leg, runtime: Runtime) -> LegSummary:
    if leg.folder.is_done(Step.EXTRACT):
        if leg.folder.anything_sent:
            # Something may have reached the other side by this plan, so this plan is carried to its end.
            return _running(leg)
        leg = replace(leg, folder=leg.folder.next())
    leg.folder.path.mkdir(parents=True, exist_ok=True)
    _save_state(leg, runtime, LegState.RUNNING, "")
    take_over(leg, runtime)
    if leg.map.sends_trigger:
        _delete_lines(leg, runtime)
    context = LegContext.now(leg, runtime)
    extracted = extract(context)
    leg.folder.finish(extracted)
    if extracted.rows == 0 and not extracted.full:
        return _end(leg, settle_empty(context, extracted))
    return _running(leg, rows_read=extracted.rows_read)


def _delete_lines(leg: Leg, runtime: Runtime) -> None:
    """Carry out the deletions of lines that this run noted, before their headers get their trigger."""
    if leg.map.unit is None or not leg.run.writes or leg.run.partial:
        return
    for name in leg.map.unit.maps:
        lines = runtime.leg(leg.run, name, leg.direction, leg.company, Phase.DELETIONS)
        if name in leg.run.maps and pending_deletions(lines, runtime):
            delete_rows(lines, runtime)


def _reconcile(leg: Leg, runtime: Runtime) -> LegSummary:
    done = leg.folder.done(Reconciled)
    if done is None:
        extracted = _needed(leg, Extracted)
        done = reconcile(LegContext.extracted(leg, runtime, extracted), full=extracted.full)
        leg.folder.finish(done)
    return _running(leg, planned=done.planned)


def _validate(leg: Leg, runtime: Runtime) -> LegSummary:
    done = leg.folder.done(Validated)
    if done is None:
        _needed(leg, Reconciled)
        done = validate(LegContext.extracted(leg, runtime, _needed(leg, Extracted)))
        leg.folder.finish(done)
    return _running(leg, checked=done.checked, quarantined=done.failures[Severity.CRITICAL])


def _load(leg: Leg, runtime: Runtime) -> LegSummary:
    done = leg.folder.done(Loaded)
    if done is None:
        _needed(leg, Validated)
        if not leg.run.writes:
            done = Loaded(batches=0, rows=0, state=str(LegState.DRY_RUN))
        else:
            try:
                done = load(LegContext.extracted(leg, runtime, _needed(leg, Extracted)))
            except NeedsApproval as guard:
                log.warning("%s", guard)
                done = Loaded(batches=0, rows=0, state=str(LegState.HELD), message=str(guard))
        leg.folder.finish(done)
    return _running(leg, sent=done.rows)


def _settle(leg: Leg, runtime: Runtime) -> LegSummary:
    record = runtime.ledger.leg(leg.run.run_id, leg.map.map, leg.direction, str(leg.phase), leg.company)
    if record is not None and record.state == LegState.SETTLED and record.attempt == leg.folder.attempt:
        # Killed between the ledger's transaction and the marker.
        return _end(leg, record)
    loaded, extracted = _needed(leg, Loaded), _needed(leg, Extracted)
    state = loaded.state or str(LegState.SETTLED if leg.run.writes else LegState.DRY_RUN)
    asked = f"asked for by {leg.run.by}" if leg.run.by else ""
    message = "; ".join(filter(None, (asked, loaded.message, remarks(_needed(leg, Validated)))))
    context = LegContext.extracted(leg, runtime, extracted)
    return _end(leg, settle(context, extracted, state=state, message=message))


def _end(leg: Leg, record: LegRecord) -> LegSummary:
    """Mark a transfer that came to its end."""
    counts = asdict(record.counts)
    leg.folder.finish(Settled(state=record.state, counts=counts, message=record.message))
    log.info("%s: %s %s", leg.label, record.state, {name: number for name, number in counts.items() if number})
    return LegSummary(leg.company, record.state, counts, record.message)


_STEPS: dict[Step, Callable[[Leg, Runtime], LegSummary]] = {
    Step.EXTRACT: _extract,
    Step.RECONCILE: _reconcile,
    Step.VALIDATE: _validate,
    Step.LOAD: _load,
    Step.SETTLE: _settle,
}


def _needed(leg: Leg, kind: type[M]) -> M:
    done = leg.folder.done(kind)
    if done is None:
        raise RequestError(f"{leg.label}: step {kind.name} is not done in {leg.folder.path}; run it first")
    return done


# --- deletions --------------------------------------------------------------------------------------------------------


def run_deletions(run: RunRef, maps: Sequence[str], companies: Sequence[str], runtime: Runtime) -> StepSummary:
    """Carry out what the run's transfers noted for deletion, children before parents.

    Args:
        run: The run.
        maps: Names of the maps; taken in the reverse of their order.
        companies: The companies.
        runtime: Everything the step needs.

    Returns:
        How each transfer stands.

    Raises:
        Transient: A transfer has to be tried again.
        LegsFailed: Transfers that failed.
    """
    summaries: list[LegSummary] = []
    failed: list[str] = []
    again: Transient | None = None
    for leg in _deletion_legs(run, maps, companies, runtime):
        try:
            record = delete_rows(leg, runtime)
            name = f"{leg.map.map} {leg.company}"
            summaries.append(LegSummary(name, record.state, asdict(record.counts), record.message))
        except Transient as error:
            again = error
        except Exception as error:
            own = isinstance(error, DualsyncError)
            log.error("deletions of %s failed: %s", leg.label, error, exc_info=not own)
            _save_state(leg, runtime, LegState.FAILED, f"deletions: {error}")
            failed.append(f"{leg.label}: {error}")
    if again is not None:
        raise again
    if failed:
        raise LegsFailed("deletions that failed: " + "; ".join(failed), legs=failed)
    return StepSummary("deletions", "", "", tuple(summaries), not summaries)


def _deletion_legs(run: RunRef, maps: Sequence[str], companies: Sequence[str], runtime: Runtime) -> Iterator[Leg]:
    """The transfers that have something to delete, each looked at when its turn comes."""
    for name in reversed(runtime.catalog.order(maps)):
        table_map = runtime.catalog[name]
        for direction in table_map.directions:
            for company in runtime.companies_for(table_map, companies):
                leg = runtime.leg(run, name, direction, company, Phase.DELETIONS)
                if run.covers(name, direction, company, Phase.DELETIONS) and pending_deletions(leg, runtime):
                    yield leg
