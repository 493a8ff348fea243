"""Puts a night together: all its results and breaks in one place, the verdict, the ledger.

It does so also when a part of the night failed: what was not reached is said to have failed, and is never equal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from upath import UPath

from dualsync.controls.model import BREAK_SCHEMA, SEVERITIES
from dualsync.controls.registry import chosen
from dualsync.frames import CHUNK_ROWS, ParquetSink, Sets, iter_tables
from dualsync.ledger import ControlResult, NightRecord
from dualsync.nightly.checks import BREAKS, EQUAL, FAILED, NOT_RUN
from dualsync.nightly.comparison.maps import control_id
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
        state: ``equal``, ``breaks``, or ``failed`` where something could not be judged because of an error.
        counts: Breaks by severity.
        not_run: Controls, maps and suites that a tenant's data do not allow.
        failed: Controls, maps and suites that failed.
        matched: Share of the amounts that both sides have just so; empty without amounts.
        new: Breaks that no night had seen before.
        resolved: Breaks that are gone.
    """

    run_id: str
    state: str
    counts: dict[str, int]
    not_run: int
    failed: int
    matched: str
    new: int
    resolved: int

    @property
    def exit_code(self) -> int:
        """0 equal, 1 breaks, 2 error."""
        return {EQUAL: 0, BREAKS: 1}.get(self.state, 2)


def publish(night: NightRef, runtime: Runtime) -> Verdict:
    """Write the breaks of all controls into one file, and the night into the ledger.

    Args:
        night: The night.
        runtime: Maps and ledger.
    """
    tonight = NightRuntime(runtime, night)
    results = [*_map_results(tonight), *_control_results(tonight)]
    signed = changed_periods(tonight)
    results += signed.results
    path = breaks_path(night)
    files = [*_break_files(tonight), signed.breaks]
    with ParquetSink(path, BREAK_SCHEMA) as sink:
        for file in files:
            if file is not None and file.exists():
                for table in iter_tables(file):
                    sink.write(table)
    with Sets() as sets:
        sets.view("found", path)
        rows = sets.fetch("SELECT severity, count(*) AS n FROM found GROUP BY severity").to_pylist()
    counts = dict.fromkeys(SEVERITIES, 0) | {row["severity"]: row["n"] for row in rows}
    totals = read_json(night.folder / "totals.json") or {}
    suites = suite_results(tonight)
    states = [*(one.state for one in results), *(one.state for one in suites)]
    if not totals:
        states.append(FAILED)
    state = FAILED if FAILED in states else BREAKS if any(counts.values()) else EQUAL
    record = NightRecord(
        run_id=night.run.run_id,
        companies=night.run.companies,
        period=night.period,
        moment=night.began,
        verdict=state,
        critical=counts["critical"],
        error=counts["error"],
        warning=counts["warning"],
        not_run=states.count(NOT_RUN),
        failed=states.count(FAILED),
        matched=totals.get("matched", {}).get("", ""),
        folder=str(night.folder),
        ended_at=datetime.now(UTC),
    )
    nights = runtime.ledger.nights
    nights.record(record, results, (table.to_pylist() for table in iter_tables(path, CHUNK_ROWS)), suites)
    changes = nights.changes(night.run.run_id)
    verdict = Verdict(
        night.run.run_id, state, counts, record.not_run, record.failed, record.matched, changes[0], changes[1]
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
            "moment": night.moment,
            "companies": list(night.run.companies),
            "period": night.period,
            "environments": environments(runtime),
            "version": runtime.package_version,
            "inputs": inputs_digest(night),
        },
    )
    runtime.ledger.end_run(night.run.run_id, "failed" if state == FAILED else "settled")
    return verdict


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


def _control_results(night: NightRuntime) -> Iterator[ControlResult]:
    for control in chosen(night.night.controls) if night.night.controls else ():
        path = night.night.folder / "controls" / f"{control.id}.json"
        found: dict[str, Any] = read_json(path) or {"state": FAILED, "breaks": 0, "reason": NOT_REACHED}
        by_company: dict[str, int] = {}
        if found["state"] == BREAKS:
            with Sets() as sets:
                sets.view("found", path.with_suffix(".parquet"))
                rows = sets.fetch("SELECT company, count(*) AS n FROM found GROUP BY company").to_pylist()
            by_company = {row["company"]: row["n"] for row in rows}
        companies = [GLOBAL] if control.scope == "global" else list(night.companies)
        for company in dict.fromkeys([*companies, *by_company]):
            number = by_company.get(company, 0)
            state = (BREAKS if number else EQUAL) if found["state"] == BREAKS else found["state"]
            yield ControlResult(control.id, company, state, number, found["reason"])


def _break_files(night: NightRuntime) -> Iterator[UPath]:
    for name in night.night.run.maps:
        table_map = night.catalog.declared[name]
        for company in night.companies_for(table_map, night.companies):
            yield night.side_path(table_map, company, "breaks.parquet")
    for control in night.night.controls:
        yield night.night.folder / "controls" / f"{control}.parquet"
