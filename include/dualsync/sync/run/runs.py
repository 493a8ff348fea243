"""Begins runs, opens them again, and writes down how they ended."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from uuid import uuid4

from dualsync.errors import RequestError, UnknownName
from dualsync.ledger import LegCounts, LegRecord, RunRecord
from dualsync.spelling import nearest
from dualsync.sync.legs.folders import safe_name, write_json
from dualsync.sync.legs.leg import RunRef
from dualsync.sync.legs.runtime import RUN_FILE, Runtime
from dualsync.sync.legs.spec import RunSpec
from dualsync.sync.plan.vocabulary import LegState, RunMode

ALL_ENABLED = "all"
"""The area of a run of all enabled maps."""


@dataclass(frozen=True, slots=True)
class RunSummary:
    """How a run ended: its state (settled, dry_run, held, failed) and its transfers.

    ``again`` says that what failed may go through at another try.
    """

    run_id: str
    state: str
    legs: tuple[LegRecord, ...]
    again: bool = False

    @property
    def counts(self) -> LegCounts:
        """The counts of all transfers together."""
        return sum((leg.counts for leg in self.legs), LegCounts())

    @property
    def stopped(self) -> tuple[LegRecord, ...]:
        """Transfers that a person has to look at: failed, or stopped by a guard."""
        return tuple(leg for leg in self.legs if leg.state in (LegState.FAILED, LegState.RUNNING, LegState.HELD))


def start_run(spec: RunSpec, runtime: Runtime) -> RunRef:
    """Begin a run, or open one of that identity again.

    Args:
        spec: What it is asked to do.
        runtime: Settings, maps and ledger.

    Raises:
        RequestError: A company is not integrated.
        UnknownName: An area or map is not known.
    """
    names = _maps(spec, runtime)
    now = datetime.now(UTC)
    run_id = spec.run_id or f"{now:%Y%m%dT%H%M%S}-{safe_name(spec.area)}-{uuid4().hex[:6]}"
    whole = replace(spec, run_id=run_id, companies=runtime.check_companies(spec.companies), maps=names)
    folder = runtime.run_folder(run_id)
    run = RunRef(run_id, str(folder), whole)
    write_json(folder / RUN_FILE, run.to_dict())
    _save_start(run, runtime)
    return run


def _maps(spec: RunSpec, runtime: Runtime) -> list[str]:
    """The maps of a run, in order."""
    catalog = runtime.catalog
    if spec.maps:
        unknown = [f"no table map '{name}'{nearest(name, catalog)}" for name in spec.maps if name not in catalog]
        if unknown:
            raise UnknownName(unknown)
        return list(catalog.order(spec.maps))
    if spec.area == ALL_ENABLED:
        return list(catalog.order(catalog.enabled))
    return list(catalog.with_reference(spec.area))


def reopen_run(run_id: str, runtime: Runtime) -> RunRef:
    """Open a run again that was interrupted, to go on where it stopped; what it settled is not done twice.

    Raises:
        RequestError: There is no such run in the runs folder.
        UnknownVersion: Another release wrote it in a form that this one does not know.
    """
    run = runtime.stored_run(run_id)
    if run is None:
        runs = [record.run_id for record in runtime.ledger.runs()]
        raise RequestError(f"no run '{run_id}' in {runtime.runs_folder()}{nearest(run_id, runs)}")
    _save_start(run, runtime)
    return run


def _save_start(run: RunRef, runtime: Runtime) -> None:
    mode = str(RunMode.SELECTED if run.partial else run.mode)
    version, now = runtime.package_version, datetime.now(UTC)
    runtime.ledger.start_run(
        RunRecord(run.run_id, run.area, mode, run.dry_run, run.companies, run.maps, "running", version, now, None)
    )


def finish_run(run: RunRef, runtime: Runtime) -> RunSummary:
    """Write down how a run ended, and return it."""
    legs = tuple(runtime.ledger.legs(run.run_id))
    states = {leg.state for leg in legs}
    if states & {LegState.FAILED, LegState.RUNNING}:
        state = LegState.FAILED
    elif LegState.HELD in states:
        state = LegState.HELD
    else:
        state = LegState.SETTLED if run.writes else LegState.DRY_RUN
    runtime.ledger.end_run(run.run_id, str(state))
    # Whatever did not settle may be taken up by another run at once.
    runtime.ledger.drop_leases(run.run_id)
    summary = RunSummary(run.run_id, str(state), legs)
    write_json(
        runtime.run_folder(run.run_id) / "summary.json",
        {"run_id": run.run_id, "state": str(state), "counts": asdict(summary.counts)},
    )
    return summary
