"""The steps of a night, each from its folder to its folder: begin, read, compare, check.

They are called by the DAG and by ``dualsync reconcile``; a step that is done is not done again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from dualsync.controls.checks import BREAKS, EQUAL, FAILED, NOT_RUN, check
from dualsync.controls.comparison import MapComparison, control_id, not_compared
from dualsync.controls.extracts import extracts
from dualsync.controls.night import JOB, NightRef, NightRuntime
from dualsync.controls.reading import sources
from dualsync.controls.registry import chosen
from dualsync.controls.views import with_parents
from dualsync.errors import MapErrors, SchemaMismatch
from dualsync.ledger import RunRecord
from dualsync.mapping.loader import nearest
from dualsync.sync.folders import read_json, safe_name, write_json
from dualsync.sync.runtime import RunRef, Runtime

log = logging.getLogger(__name__)


def begin(
    runtime: Runtime,
    *,
    companies: Sequence[str] | None = None,
    maps: Sequence[str] | None = None,
    controls: Sequence[str] | None = None,
    period: str = "",
    run_id: str | None = None,
) -> NightRef:
    """Begin a night, or open one of that id again.

    Args:
        runtime: Settings, maps, ledger and systems.
        companies: Codes of companies; all integrated ones by default.
        maps: Maps that are compared in full; all enabled ones by default. ``()`` compares none.
        controls: Controls that are asked; all by default. ``()`` asks none.
        period: First day of the fiscal period of a close pack, ISO.
        run_id: Identity of the run; a new one by default.

    Raises:
        SettingsError: A company is not integrated.
        MapErrors: A map or control is not known.
    """
    catalog = runtime.catalog
    unknown = [f"no table map '{name}'{nearest(name, catalog)}" for name in maps or () if name not in catalog]
    if unknown:
        raise MapErrors(unknown)
    names = tuple(catalog.order(catalog.enabled if maps is None else maps))
    ids = tuple(one.id for one in chosen(tuple(controls or ()))) if controls is None or controls else ()
    started = datetime.now(UTC)
    run_id = run_id or f"{started:%Y%m%dT%H%M%S}-{JOB}-{uuid4().hex[:6]}"
    folder = runtime.runs_folder() / safe_name(run_id)
    known = read_json(folder / "night.json")
    if known is not None:
        night = NightRef.from_dict(known)
    else:
        run = RunRef(run_id, JOB, "audit", True, str(folder), runtime.check_companies(companies), names)
        moment = runtime.systems.dataverse.now().astimezone(UTC)
        night = NightRef(run, ids, moment.isoformat(), period)
        write_json(folder / "night.json", night.to_dict())
    run = night.run
    version = runtime.package_version
    runtime.ledger.start_run(
        RunRecord(run_id, JOB, "audit", True, run.companies, run.maps, "running", version, started, None)
    )
    return night


def read(night: NightRef, runtime: Runtime) -> dict[str, Any]:
    """Read both systems.

    Returns:
        Rows by table and set, and what the systems do not have.

    Raises:
        Transient: A system did not answer; what was read until then is kept.
    """
    catalog = runtime.catalog
    names = set(night.run.maps).union(*(catalog.ancestors(name) for name in night.run.maps))
    maps = [catalog[name] for name in catalog.order(names)]
    wanted = {name for one in chosen(night.controls) if night.controls for name in one.needs}
    found = sources(maps, [extracts()[name] for name in with_parents(wanted | ALWAYS)], runtime.schema)
    reads = NightRuntime(runtime, night).reader().read_all(found)
    return {
        "rows": {f"{side} {place}": one.rows for (side, place), one in reads.items() if not one.absent},
        "absent": {f"{side} {place}": one.absent for (side, place), one in reads.items() if one.absent},
    }


ALWAYS = {"companies", "currencies"}
"""Extracts that every night reads: they are small, and give codes to what is only known by record id."""


def compare(night: NightRef, runtime: Runtime, maps: Iterable[str] | None = None) -> list[dict[str, Any]]:
    """Compare maps in full; a map that cannot be compared does not stop the others.

    Parents are brought into form too where only some maps are compared: lookups resolve through them.

    Returns:
        One result for each map and company.
    """
    tonight = NightRuntime(runtime, night)
    catalog = runtime.catalog
    names = set(night.run.maps if maps is None else maps)
    needed = names.union(*(catalog.ancestors(name) for name in names))
    return [
        result
        for name in catalog.order(needed)
        for result in _compare(tonight, name, wanted=name in names and name in night.run.maps)
    ]


def _compare(night: NightRuntime, name: str, *, wanted: bool) -> list[dict[str, Any]]:
    table_map = night.catalog[name]
    companies = night.companies_for(table_map, night.companies)
    results: list[dict[str, Any]] = []
    reason = not_compared(table_map)
    comparison = None
    if not reason:
        try:
            comparison = MapComparison(night, table_map)
        except SchemaMismatch as error:
            reason = str(error)
    for company in companies:
        marker = night.side_path(table_map, company, "done.json")
        result = read_json(marker)
        if result is None:
            result = {"control": control_id(table_map), "company": company}
            if comparison is None:
                result |= {"state": NOT_RUN, "reason": reason, "breaks": {}}
            else:
                try:
                    found = comparison.run(company)
                    state = BREAKS if found["breaks"] else EQUAL
                    result |= {"state": state, "reason": "", "normalisation": comparison.normalisation, **found}
                except Exception as error:
                    log.exception("comparison of %s of %s failed", name, company)
                    result |= {"state": FAILED, "reason": f"failed: {type(error).__name__}", "breaks": {}}
            write_json(marker, result)
        if wanted:
            results.append(result)
    return results


def ask(night: NightRef, runtime: Runtime) -> list[dict[str, Any]]:
    """Ask the night's controls; one that fails does not stop the others.

    Returns:
        One result for each control.
    """
    tonight = NightRuntime(runtime, night)
    return [check(tonight, control) for control in chosen(night.controls)] if night.controls else []
