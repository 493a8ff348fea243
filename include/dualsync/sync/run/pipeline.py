"""Runs the steps: what Airflow's tasks and the CLI call.

A step takes a batch of companies. One company's failure does not stop the others: a leg that failed is marked, later
steps pass it by, and ``settle`` raises at the end, naming the legs that did not settle. A step that fails for a
transient reason raises at once after the other companies are done, so that it is tried again; what is done already is
not done twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import uuid4

import msgspec

from dualsync.errors import DualsyncError, LegsFailed, MapErrors, SettingsError, Superseded, Transient
from dualsync.ledger import LegCounts, LegRecord, RunRecord
from dualsync.ledger.holders import this_process
from dualsync.mapping import Direction
from dualsync.spelling import nearest
from dualsync.sync.deletions import delete_rows, pending_deletions
from dualsync.sync.extract.step import extract
from dualsync.sync.legs.context import LegContext
from dualsync.sync.legs.folders import DELETES, read_json, safe_name, write_json
from dualsync.sync.legs.markers import Extracted, Loaded, Marker, Reconciled, Settled, Stopped, Validated
from dualsync.sync.legs.runtime import MODES, Leg, RowRef, RunRef, Runtime
from dualsync.sync.load.step import NeedsApproval, load
from dualsync.sync.reconcile.step import reconcile
from dualsync.sync.settle.outcome import leg_record
from dualsync.sync.settle.step import settle, settle_empty
from dualsync.sync.settle.takeover import take_over
from dualsync.sync.validate.step import remarks, validate

log = logging.getLogger(__name__)

M = TypeVar("M", bound=Marker)

STEPS = ("extract", "reconcile", "validate", "load", "settle")
ALL_ENABLED = "all"
PARTIAL = "rows"
"""What the ledger calls the mode of a run that looks at chosen rows only."""


@dataclass(frozen=True, slots=True)
class LegSummary:
    """How one leg stands after a step.

    Attributes:
        company: Its company.
        state: running, settled, dry_run, held, superseded, or failed.
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
        legs: Its legs.
        empty: Whether every leg is settled already or had nothing to do, so that the rest of the group can be skipped.
    """

    step: str
    map: str
    direction: str
    legs: tuple[LegSummary, ...]
    empty: bool

    @property
    def superseded(self) -> bool:
        """Whether all legs gave way to another run."""
        return bool(self.legs) and all(leg.state == "superseded" for leg in self.legs)

    @property
    def written(self) -> int:
        """Rows written to the receiving system."""
        return sum(
            leg.counts.get(name, 0)
            for leg in self.legs
            for name in ("created", "updated", "deleted")
            if leg.state == "settled"
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class RunSummary:
    """How a run ended: its state (settled, dry_run, held, failed) and its legs.

    ``again`` says that what failed may go through at another try.
    """

    run_id: str
    state: str
    legs: tuple[LegRecord, ...]
    again: bool = False

    @property
    def counts(self) -> LegCounts:
        """The counts of all legs together."""
        return sum((leg.counts for leg in self.legs), LegCounts())

    @property
    def stopped(self) -> tuple[LegRecord, ...]:
        """Legs that a person has to look at: failed, or held by a guard."""
        return tuple(leg for leg in self.legs if leg.state in ("failed", "running", "held"))


def start_run(
    area: str,
    *,
    runtime: Runtime,
    mode: str = "incremental",
    dry_run: bool = False,
    companies: Sequence[str] | None = None,
    maps: Sequence[str] | None = None,
    keys: dict[str, list[str]] | None = None,
    rows: Sequence[RowRef] = (),
    resend: bool = False,
    approved: str = "",
    by: str = "",
    guards: bool = True,
    run_id: str | None = None,
) -> RunRef:
    """Begin a run, or open one of that id again.

    Args:
        area: An area of the maps, or the name of a job when ``maps`` is given.
        runtime: Settings, maps and ledger.
        mode: One of :data:`~dualsync.sync.legs.runtime.MODES`.
        dry_run: Whether nothing may be written.
        companies: Codes of companies; all integrated ones by default.
        maps: Names of maps; all enabled ones of the area by default.
        keys: Only these integration keys, by map.
        rows: Exactly these rows, read anew from both sides.
        resend: Whether columns are sent again from their owner although it did not change them.
        approved: The run whose plans of these rows a person approved.
        by: Who asked for it.
        guards: Whether guards hold legs that would change too much.
        run_id: Identity of the run; a new one by default.

    Raises:
        SettingsError: A company is not integrated.
        MapErrors: An area, map or mode is not known.
    """
    if mode not in MODES:
        raise MapErrors([f"no mode '{mode}'{nearest(mode, MODES)}"])
    catalog = runtime.catalog
    if maps:
        unknown = [f"no table map '{name}'{nearest(name, catalog)}" for name in maps if name not in catalog]
        if unknown:
            raise MapErrors(unknown)
        names = catalog.order(maps)
    else:
        names = catalog.order(catalog.enabled) if area == ALL_ENABLED else catalog.with_reference(area)
    started = datetime.now(UTC)
    run_id = run_id or f"{started:%Y%m%dT%H%M%S}-{safe_name(area)}-{uuid4().hex[:6]}"
    folder = runtime.runs_folder() / safe_name(run_id)
    run = RunRef(
        run_id,
        area,
        mode,
        dry_run,
        str(folder),
        runtime.check_companies(companies),
        tuple(names),
        keys or {},
        guards,
        tuple(rows),
        resend,
        approved,
        by,
    )
    write_json(folder / "run.json", run.to_dict())
    _open_run(run, runtime)
    return run


def reopen_run(run_id: str, runtime: Runtime) -> RunRef:
    """Open a run again that was interrupted, to go on where it stopped; what it settled is not done twice.

    Raises:
        SettingsError: There is no such run in the runs folder.
    """
    content = read_json(runtime.runs_folder() / safe_name(run_id) / "run.json")
    if content is None:
        known = [run.run_id for run in runtime.ledger.runs()]
        raise SettingsError(f"no run '{run_id}' in {runtime.runs_folder()}{nearest(run_id, known)}")
    run = RunRef.from_dict(content)
    _open_run(run, runtime)
    return run


def _open_run(run: RunRef, runtime: Runtime) -> None:
    now = datetime.now(UTC)
    version = runtime.package_version
    mode = PARTIAL if run.partial else run.mode
    runtime.ledger.start_run(
        RunRecord(run.run_id, run.area, mode, run.dry_run, run.companies, run.maps, "running", version, now, None)
    )


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
        How each leg stands.

    Raises:
        Transient: A leg has to be tried again.
        LegsFailed: After ``settle``, legs that did not settle.
    """
    summaries: list[LegSummary] = []
    again: Transient | None = None
    of = runtime.companies_for(runtime.catalog[map_name], companies)
    legs = [runtime.leg(run, map_name, direction, company) for company in of]
    # A retry goes on with the legs that are not extracted yet; only where all are, it was cleared to read anew.
    resumed = step == "extract" and any(not leg.folder.is_done(Extracted.name) for leg in legs)
    for leg in legs:
        try:
            summaries.append(_step(step, leg, runtime, resumed=resumed))
        except Transient as error:
            log.warning("%s: %s will be tried again: %s", leg.label, step, error)
            again = error
            _note(leg, runtime, "failed", f"{step}: {error}")
        except Superseded as error:
            log.warning("%s", error)
            summaries.append(_stop(leg, runtime, step, "superseded", str(error)))
        except Exception as error:
            message = (
                f"{step}: {error}" if isinstance(error, DualsyncError) else f"{step}: {type(error).__name__}: {error}"
            )
            log.error("%s failed in %s", leg.label, message, exc_info=not isinstance(error, DualsyncError))
            summaries.append(_stop(leg, runtime, step, "failed", message))
    if again is not None:
        raise again
    if step == "settle":
        failed = [
            f"{map_name} {direction} of {leg.company}: {leg.message}" for leg in summaries if leg.state == "failed"
        ]
        if failed:
            raise LegsFailed("legs that did not settle: " + "; ".join(failed), legs=failed)
    empty = all(leg.state in ("settled", "dry_run") for leg in summaries) and step != "settle"
    return StepSummary(step, map_name, direction, tuple(summaries), empty)


def _stop(leg: Leg, runtime: Runtime, step: str, state: str, message: str) -> LegSummary:
    """Mark a leg that cannot go on: later steps pass it by, and other runs may have its rows."""
    leg = runtime.leg(leg.run, leg.map.map, leg.direction, leg.company, leg.part)
    leg.folder.finish(Stopped(step=step, state=state, message=message))
    _note(leg, runtime, state, message)
    runtime.ledger.drop_lease(leg.map.map, leg.company, leg.run.run_id)
    return LegSummary(leg.company, state, message=message)


def _step(step: str, leg: Leg, runtime: Runtime, *, resumed: bool) -> LegSummary:
    ended = leg.folder.done(Settled)
    if ended is not None:
        return LegSummary(leg.company, ended.state, ended.counts, ended.message)
    stopped = leg.folder.done(Stopped)
    if stopped is not None:
        if STEPS.index(step) > STEPS.index(stopped.step):
            return LegSummary(leg.company, stopped.state, message=stopped.message)
        leg.folder.forget(Stopped)
    elif resumed and leg.folder.is_done(Extracted.name):
        return LegSummary(leg.company, "running")
    return _STEPS[step](leg, runtime)


def _extract(leg: Leg, runtime: Runtime) -> LegSummary:
    if leg.folder.is_done(Extracted.name):
        if leg.folder.anything_sent:
            # Something may have reached the other side by this plan, so this plan is carried to its end.
            return LegSummary(leg.company, "running")
        leg = Leg(leg.run, leg.map, leg.direction, leg.company, leg.part, leg.folder.next())
    leg.folder.path.mkdir(parents=True, exist_ok=True)
    _note(leg, runtime, "running", "")
    take_over(leg, runtime)
    if leg.map.sends_trigger:
        _delete_lines(leg, runtime)
    context = LegContext.now(leg, runtime)
    extracted = extract(context)
    leg.folder.finish(extracted)
    if extracted.rows == 0 and not extracted.full:
        return _ended(leg, settle_empty(context, extracted))
    return LegSummary(leg.company, "running", {"rows_read": extracted.rows_read})


def _delete_lines(leg: Leg, runtime: Runtime) -> None:
    """Carry out the deletions of lines that this run noted, before their headers get their trigger."""
    if leg.map.unit is None or not leg.run.writes or leg.run.partial:
        return
    for name in leg.map.unit.maps:
        lines = runtime.leg(leg.run, name, leg.direction, leg.company, DELETES)
        if name in leg.run.maps and pending_deletions(lines, runtime):
            delete_rows(lines, runtime)


def _reconcile(leg: Leg, runtime: Runtime) -> LegSummary:
    done = leg.folder.done(Reconciled)
    if done is None:
        extracted = _needed(leg, Extracted)
        done = msgspec.convert(reconcile(leg, runtime, extracted.content()), Reconciled)
        leg.folder.finish(done)
    return LegSummary(leg.company, "running", {"planned": done.planned})


def _validate(leg: Leg, runtime: Runtime) -> LegSummary:
    done = leg.folder.done(Validated)
    if done is None:
        _needed(leg, Reconciled)
        done = validate(_context(leg, runtime))
        leg.folder.finish(done)
    return LegSummary(leg.company, "running", {"checked": done.checked, "quarantined": done.failures["critical"]})


def _load(leg: Leg, runtime: Runtime) -> LegSummary:
    done = leg.folder.done(Loaded)
    if done is None:
        _needed(leg, Validated)
        if not leg.run.writes:
            done = Loaded(batches=0, rows=0, state="dry_run")
        else:
            try:
                done = load(_context(leg, runtime))
            except NeedsApproval as stopped:
                log.warning("%s", stopped)
                done = Loaded(batches=0, rows=0, state="held", message=str(stopped))
        leg.folder.finish(done)
    return LegSummary(leg.company, "running", {"sent": done.rows})


def _settle(leg: Leg, runtime: Runtime) -> LegSummary:
    known = runtime.ledger.leg(leg.run.run_id, leg.map.map, leg.direction, leg.part, leg.company)
    if known is not None and known.state == "settled" and known.attempt == leg.folder.attempt:
        # Killed between the ledger's transaction and the marker.
        return _ended(leg, known)
    loaded = _needed(leg, Loaded)
    extracted = _needed(leg, Extracted)
    state = loaded.state or ("settled" if leg.run.writes else "dry_run")
    asked = f"asked for by {leg.run.by}" if leg.run.by else ""
    message = "; ".join(filter(None, (asked, loaded.message, remarks(_needed(leg, Validated)))))
    context = LegContext.extracted(leg, runtime, extracted)
    return _ended(leg, settle(context, extracted, state=state, message=message))


def _ended(leg: Leg, record: LegRecord) -> LegSummary:
    counts = asdict(record.counts)
    leg.folder.finish(Settled(state=record.state, counts=counts, message=record.message))
    log.info("%s: %s %s", leg.label, record.state, {name: number for name, number in counts.items() if number})
    return LegSummary(leg.company, record.state, counts, record.message)


_STEPS: dict[str, Callable[[Leg, Runtime], LegSummary]] = {
    "extract": _extract,
    "reconcile": _reconcile,
    "validate": _validate,
    "load": _load,
    "settle": _settle,
}


def _needed(leg: Leg, kind: type[M]) -> M:
    done = leg.folder.done(kind)
    if done is None:
        raise DualsyncError(f"{leg.label}: step {kind.name} is not done in {leg.folder.path}; run it first")
    return done


def _context(leg: Leg, runtime: Runtime) -> LegContext:
    return LegContext.extracted(leg, runtime, _needed(leg, Extracted))


def _note(leg: Leg, runtime: Runtime, state: str, message: str) -> None:
    runtime.ledger.save_leg(leg_record(leg, LegCounts(), state=state, message=message, generation=None))


def run_deletions(run: RunRef, maps: Sequence[str], companies: Sequence[str], runtime: Runtime) -> StepSummary:
    """Carry out what the run's legs noted for deletion, children before parents.

    Args:
        run: The run.
        maps: Names of the maps; taken in the reverse of their order.
        companies: The companies.
        runtime: Everything the step needs.

    Returns:
        How each leg stands.

    Raises:
        Transient: A leg has to be tried again.
        LegsFailed: Legs that failed.
    """
    summaries: list[LegSummary] = []
    failed: list[str] = []
    again: Transient | None = None
    for name in reversed(runtime.catalog.order(maps)):
        for direction in runtime.catalog[name].directions:
            for company in runtime.companies_for(runtime.catalog[name], companies):
                leg = runtime.leg(run, name, direction, company, DELETES)
                if not run.covers(name, direction, company, DELETES):
                    continue
                if not pending_deletions(leg, runtime):
                    continue
                try:
                    record = delete_rows(leg, runtime)
                    summaries.append(
                        LegSummary(f"{name} {company}", record.state, asdict(record.counts), record.message)
                    )
                except Transient as error:
                    again = error
                except Exception as error:
                    log.error(
                        "deletions of %s failed: %s", leg.label, error, exc_info=not isinstance(error, DualsyncError)
                    )
                    _note(leg, runtime, "failed", f"deletions: {error}")
                    failed.append(f"{leg.label}: {error}")
    if again is not None:
        raise again
    if failed:
        raise LegsFailed("deletions that failed: " + "; ".join(failed), legs=failed)
    return StepSummary("deletions", "", "", tuple(summaries), not summaries)


def finish_run(run: RunRef, runtime: Runtime) -> RunSummary:
    """Write down how a run ended, and return it."""
    legs = tuple(runtime.ledger.legs(run.run_id))
    if any(leg.state in ("failed", "running") for leg in legs):
        state = "failed"
    elif any(leg.state == "held" for leg in legs):
        state = "held"
    else:
        state = "settled" if run.writes else "dry_run"
    runtime.ledger.end_run(run.run_id, state)
    # Whatever did not settle may be taken up by another run at once.
    runtime.ledger.drop_leases(run.run_id)
    summary = RunSummary(run.run_id, state, legs)
    write_json(
        runtime.runs_folder() / safe_name(run.run_id) / "summary.json",
        {"run_id": run.run_id, "state": state, "counts": asdict(summary.counts)},
    )
    return summary


def run_all(run: RunRef, runtime: Runtime, *, progress: Callable[[StepSummary], None] | None = None) -> RunSummary:
    """Run a whole run in this process: every map in order, every leg by itself, then the deletions.

    Args:
        run: The run.
        runtime: Everything the steps need.
        progress: Called after the legs of a map and direction have ended.
    """
    runtime.ledger.holder = this_process()
    again = False
    try:
        for name in run.maps:
            for direction in runtime.catalog[name].directions:
                for company in runtime.companies_for(runtime.catalog[name], run.companies):
                    if run.covers(name, direction, company):
                        again = _run_leg(run, name, direction, company, runtime) or again
                if progress is not None:
                    legs = [
                        leg for leg in runtime.ledger.legs(run.run_id) if (leg.map, leg.direction) == (name, direction)
                    ]
                    ended = [LegSummary(leg.company, leg.state, asdict(leg.counts), leg.message) for leg in legs]
                    progress(StepSummary("settle", name, direction, tuple(ended), empty=False))
        if not run.keys:
            try:
                run_deletions(run, run.maps, run.companies, runtime)
            except (LegsFailed, Transient) as error:
                log.error("deletions: %s", error)
                again = again or isinstance(error, Transient)
    finally:
        # Also where a person interrupts the run: the next one need not wait for its leases to run out.
        runtime.ledger.drop_leases(run.run_id)
    return replace(finish_run(run, runtime), again=again)


def _run_leg(run: RunRef, map_name: str, direction: Direction, company: str, runtime: Runtime) -> bool:
    """All steps of one leg, so that a system that does not answer stops no other company.

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
