"""Puts a night together: all its results and breaks in one place, the verdict, the ledger.

It does so also when a part of the night failed: what was not reached is said to have failed, and is never equal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from upath import UPath

from dualsync.controls.model import BREAK_SCHEMA, SEVERITIES, Control
from dualsync.controls.registry import chosen
from dualsync.frames import CHUNK_ROWS, ParquetSink, Sets, iter_tables
from dualsync.ledger import ControlResult, NightRecord
from dualsync.ledger.breaks import Judged
from dualsync.nightly.checks import BREAKS, EQUAL, FAILED, INCOMPLETE, NOT_RUN, state_of
from dualsync.nightly.comparison.maps import control_id
from dualsync.nightly.coverage import COVERAGE, ControlState, coverage
from dualsync.nightly.night import NightRef, NightRuntime
from dualsync.nightly.packs import changed_periods
from dualsync.nightly.quality import suite_results
from dualsync.sync.legs.folders import read_json, write_json
from dualsync.sync.legs.runtime import Runtime
from dualsync.sync.plan.vocabulary import GLOBAL

NOT_REACHED = "was not reached"


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a night ended, small enough for XCom.

    Attributes:
        run_id: The run.
        state: ``breaks`` where there are exceptions; else ``failed`` where something could not be tested because of an
            error; else ``incomplete`` where the environment does not show all that was to be tested: it agrees as far
            as it was tested; else ``equal``.
        counts: Breaks by severity.
        not_run: Controls, maps and suites of which not all could be tested, for the environment does not show it.
        failed: Controls, maps and suites that failed.
        matched: Share of the amounts that both sides have just so; empty without amounts.
        new: Breaks that no night had seen before.
        resolved: Breaks that are gone.
        gaps: What was not tested and is not accepted, see :attr:`dualsync.settings.Settings.gaps`.
        tested: How much was tested, in words.
    """

    run_id: str
    state: str
    counts: dict[str, int]
    not_run: int
    failed: int
    matched: str
    new: int
    resolved: int
    gaps: tuple[str, ...] = ()
    tested: str = ""

    @property
    def exit_code(self) -> int:
        """0 equal, 1 exceptions, 2 error, 3 incomplete."""
        return {EQUAL: 0, BREAKS: 1, INCOMPLETE: 3}.get(self.state, 2)


def publish(night: NightRef, runtime: Runtime) -> Verdict:
    """Write the breaks of all controls into one file, and the night into the ledger.

    Args:
        night: The night.
        runtime: Maps and ledger.
    """
    tonight = NightRuntime(runtime, night)
    controls = _controls(tonight)
    results = [*_map_results(tonight), *(result for found in controls for result in _control_results(tonight, found))]
    signed = changed_periods(tonight)
    results += signed.results
    path = breaks_path(night)
    files = [*_break_files(tonight), signed.breaks]
    with ParquetSink(path, BREAK_SCHEMA) as sink:
        for file in files:
            if file is not None and file.exists():
                for table in iter_tables(file):
                    sink.write(_in_shape(table))
    with Sets() as sets:
        sets.view("found", path)
        rows = sets.fetch("SELECT severity, count(*) AS n FROM found GROUP BY severity").to_pylist()
    counts = dict.fromkeys(SEVERITIES, 0) | {row["severity"]: row["n"] for row in rows}
    totals = read_json(night.folder / "totals.json") or {}
    suites = suite_results(tonight)
    states = [*(one.state for one in results), *(one.state for one in suites)]
    if not totals:
        states.append(FAILED)
    state = _verdict(states, exceptions=any(counts.values()))
    covered = coverage(tonight, controls, results, suites)
    write_json(night.folder / COVERAGE, covered.to_dict())
    record = NightRecord(
        run_id=night.run.run_id,
        companies=night.run.companies,
        period=night.period,
        moment=night.began,
        verdict=state,
        critical=counts["critical"],
        error=counts["error"],
        warning=counts["warning"],
        not_run=states.count(NOT_RUN) + states.count(INCOMPLETE),
        failed=states.count(FAILED),
        matched=totals.get("matched", {}).get("", ""),
        folder=str(night.folder),
        ended_at=datetime.now(UTC),
    )
    nights = runtime.ledger.nights
    pieces = (table.to_pylist() for table in iter_tables(path, CHUNK_ROWS))
    nights.record(record, results, pieces, suites, _judged(results, controls))
    changes = nights.changes(night.run.run_id)
    verdict = Verdict(
        night.run.run_id,
        state,
        counts,
        record.not_run,
        record.failed,
        record.matched,
        *changes,
        gaps=tuple(gap.name for gap in covered.gaps if not gap.accepted),
        tested=covered.in_words(),
    )
    write_json(
        night.folder / "verdict.json",
        {
            "run_id": verdict.run_id,
            "state": state,
            "counts": counts,
            "not_run": verdict.not_run,
            "failed": verdict.failed,
            "matched": totals.get("matched", {}),
            "new": verdict.new,
            "resolved": verdict.resolved,
            "gaps": verdict.gaps,
            "tested": verdict.tested,
            "moment": night.moment,
            "companies": list(night.run.companies),
            "period": night.period,
            "environments": environments(runtime),
            "version": runtime.package_version,
            "inputs": inputs_digest(night),
        },
    )
    runtime.ledger.end_run(night.run.run_id, "failed" if record.failed else "settled")
    return verdict


def _verdict(states: Sequence[str], *, exceptions: bool) -> str:
    """What states of controls, maps and suites come to; exceptions win, for they are known whatever else is not."""
    if exceptions:
        return BREAKS
    if FAILED in states:
        return FAILED
    return INCOMPLETE if {NOT_RUN, INCOMPLETE} & set(states) else EQUAL


def _in_shape(table: pa.Table) -> pa.Table:
    """Exceptions with all columns of today: what a release before has written does not name the check."""
    for field in BREAK_SCHEMA:
        if field.name not in table.schema.names:
            table = table.append_column(field, pa.array([""] * table.num_rows, type=field.type))
    return table.select(BREAK_SCHEMA.names)


def breaks_path(night: NightRef) -> UPath:
    """The file of all breaks of a night."""
    return night.folder / "breaks.parquet"


def environments(runtime: Runtime) -> dict[str, str]:
    """The addresses of both systems, as reports name them."""
    return {side: runtime.settings.endpoint(side).url for side in ("dataverse", "finance")}


def inputs_digest(night: NightRef) -> str:
    """A digest of everything that was read: two nights of the same digest judged the same rows."""
    digest = hashlib.sha256()
    for path in sorted((night.folder / "raw").rglob("*.parquet"), key=str):
        digest.update(path.name.encode())
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _map_results(night: NightRuntime) -> Iterator[ControlResult]:
    for name in night.night.run.maps:
        table_map = night.catalog.declared[name]
        for company in night.companies_for(table_map, night.companies):
            done = read_json(night.side_path(table_map, company, "done.json"))
            found = done or {"state": FAILED, "breaks": {}, "reason": NOT_REACHED}
            breaks = sum(found["breaks"].values())
            yield ControlResult(control_id(table_map), company, found["state"], breaks, found["reason"])


def _controls(night: NightRuntime) -> list[ControlState]:
    """What each control said, all companies together."""
    declared = chosen(night.night.controls) if night.night.controls else []
    folder = night.night.folder / "controls"
    return [
        ControlState(control, read_json(folder / f"{control.id}.json") or _not_reached(control)) for control in declared
    ]


def _not_reached(control: Control) -> dict[str, Any]:
    checks = [{"check": one.id, "state": FAILED, "breaks": 0, "reason": NOT_REACHED} for one in control.asked]
    return {"state": FAILED, "breaks": 0, "reason": NOT_REACHED, "checks": checks}


def _control_results(night: NightRuntime, said: ControlState) -> Iterator[ControlResult]:
    """What a control said, company by company: one without exceptions may agree where another has some."""
    control = said.control
    by_company: dict[str, int] = {}
    if said.result["breaks"]:
        with Sets() as sets:
            sets.view("found", night.night.folder / "controls" / f"{control.id}.parquet")
            rows = sets.fetch("SELECT company, count(*) AS n FROM found GROUP BY company").to_pylist()
        by_company = {row["company"]: row["n"] for row in rows}
    without = state_of(EQUAL if one["state"] == BREAKS else one["state"] for one in said.result["checks"])
    companies = [GLOBAL] if control.scope == "global" else list(night.companies)
    for company in dict.fromkeys([*companies, *by_company]):
        number = by_company.get(company, 0)
        state = BREAKS if number and without != FAILED else without
        yield ControlResult(control.id, company, state, number, said.result["reason"])


def _judged(results: Iterable[ControlResult], controls: Iterable[ControlState]) -> Judged:
    """What was looked at: maps that were compared, and the checks that were asked."""
    said = {one.control.id: one for one in controls}
    whole: set[tuple[str, str]] = set()
    checks: set[tuple[str, str, str]] = set()
    for row in results:
        control = said.get(row.control)
        if control is None:
            if row.state in (EQUAL, BREAKS):
                whole.add((row.control, row.company))
            continue
        checks |= {(row.control, letter, row.company) for letter in control.tested}
        if not control.untested:
            whole.add((row.control, row.company))
    return Judged(frozenset(whole), frozenset(checks))


def _break_files(night: NightRuntime) -> Iterator[UPath]:
    for name in night.night.run.maps:
        table_map = night.catalog.declared[name]
        for company in night.companies_for(table_map, night.companies):
            yield night.side_path(table_map, company, "breaks.parquet")
    for control in night.night.controls:
        yield night.night.folder / "controls" / f"{control}.parquet"
