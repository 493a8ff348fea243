"""The steps of a night, each from its folder to its folder: begin, read, compare, check.

They are called by the DAG and by ``dualsync reconcile``; a step that is done is not done again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from dualsync.controls.extracts import extracts
from dualsync.controls.registry import chosen
from dualsync.errors import RequestError, SchemaMismatch, Transient, UnknownName
from dualsync.ledger import RunRecord
from dualsync.mapping import Catalog, Side
from dualsync.nightly.checks import BREAKS, EQUAL, FAILED, LIMITATION, NOT_RUN, check
from dualsync.nightly.comparison.maps import MapComparison, control_id
from dualsync.nightly.needs import reads
from dualsync.nightly.night import JOB, NightRef, NightRuntime
from dualsync.nightly.quality import check_map
from dualsync.nightly.reading import sources
from dualsync.nightly.totals import totals_read
from dualsync.nightly.views import with_parents
from dualsync.spelling import nearest
from dualsync.sync.legs.folders import read_json, safe_name, write_json
from dualsync.sync.legs.leg import RunRef
from dualsync.sync.legs.runtime import Runtime
from dualsync.sync.legs.spec import RunSpec
from dualsync.sync.plan.vocabulary import RunMode

log = logging.getLogger(__name__)


def begin(
    runtime: Runtime,
    *,
    companies: Sequence[str] | None = None,
    maps: Sequence[str] | None = None,
    controls: Sequence[str] | None = None,
    period: str = "",
    quality: bool = False,
    run_id: str | None = None,
) -> NightRef:
    """Begin a night, or open one of that id again.

    Args:
        runtime: Settings, maps, ledger and systems.
        companies: Codes of companies; all integrated ones by default.
        maps: Maps that are compared in full; all enabled ones by default. ``()`` compares none.
        controls: Controls that are asked; all by default. ``()`` asks none.
        period: First day of the fiscal period of a close pack, ISO.
        quality: Ask the suites of the maps too, see :func:`validate`.
        run_id: Identity of the run; a new one by default.

    Raises:
        RequestError: A company is not integrated, or a close pack is of more than one.
        UnknownName: A map or control is not known.
    """
    catalog = runtime.catalog
    files = catalog.declared
    unknown = [f"no table map '{name}'{nearest(name, files)}" for name in maps or () if name not in files]
    if unknown:
        raise UnknownName(unknown)
    names = tuple(catalog.order(whole_maps(catalog) if maps is None else maps))
    ids = tuple(one.id for one in chosen(tuple(controls or ()))) if controls is None or controls else ()
    started = datetime.now(UTC)
    run_id = run_id or f"{started:%Y%m%dT%H%M%S}-{JOB}-{uuid4().hex[:6]}"
    folder = runtime.runs_folder() / safe_name(run_id)
    known = read_json(folder / "night.json")
    if known is not None:
        night = NightRef.from_dict(known)
    else:
        companies = runtime.check_companies(companies)
        if period and len(companies) != 1:
            raise RequestError("a close package is of one company: a period needs exactly one")
        spec = RunSpec(JOB, mode=RunMode.AUDIT, companies=companies, maps=names, dry_run=True, run_id=run_id)
        run = RunRef(run_id, str(folder), spec)
        moment = runtime.systems.dataverse.now().astimezone(UTC)
        night = NightRef(run, ids, moment.isoformat(), period, quality)
        write_json(folder / "night.json", night.to_dict())
    run = night.run
    version = runtime.package_version
    runtime.ledger.start_run(
        RunRecord(run_id, JOB, "audit", True, run.companies, run.maps, "running", version, started, None)
    )
    return night


def tonight(night: NightRef, runtime: Runtime) -> NightRuntime:
    """The runtime in which a night's rows are looked at."""
    return NightRuntime(runtime, night)


def read(night: NightRef, runtime: Runtime, side: Side | None = None) -> dict[str, Any]:
    """Read both systems, or one of them; Finance first.

    Args:
        night: The night.
        runtime: Maps and systems.
        side: Only this system.

    Returns:
        Rows by table and set, and what the systems do not have.

    Raises:
        Transient: A system did not answer; what was read until then is kept.
    """
    catalog = runtime.catalog
    maps = [catalog.declared[name] for name in with_ancestors(catalog, night.run.maps)]
    asked = chosen(night.controls) if night.controls else []
    wanted = {name for one in asked for name in reads(*map(one.query, one.asked))} | set(totals_read())
    found = sources(maps, [extracts()[name] for name in with_parents(wanted)], runtime.schema)
    wanted_now = {place: source for place, source in found.items() if side in (None, source.side)}
    done = tonight(night, runtime).reader().read_all(wanted_now)
    return {
        "rows": {f"{side} {place}": one.rows for (side, place), one in done.items() if not one.absent},
        "absent": {f"{side} {place}": one.absent for (side, place), one in done.items() if one.absent},
    }


def compare(night: NightRef, runtime: Runtime, maps: Iterable[str] | None = None) -> list[dict[str, Any]]:
    """Compare maps in full; a map that cannot be compared does not stop the others.

    Parents are brought into form too where only some maps are compared: lookups resolve through them.

    Maps that failed before are compared again; those that were compared are not.

    Returns:
        One result for each map and company.

    Raises:
        Transient: A system did not answer when a lookup was resolved; try again.
    """
    catalog = runtime.catalog
    names = set(night.run.maps if maps is None else maps)
    return [
        result
        for name in with_ancestors(catalog, names)
        for result in _compare(tonight(night, runtime), name, again=name in names)
        if name in names and name in night.run.maps
    ]


def whole_maps(catalog: Catalog) -> list[str]:
    """Names of the enabled maps as they stand in their files: their parts are compared with them, as one."""
    return [name for name, table_map in catalog.declared.items() if table_map.enabled]


def with_ancestors(catalog: Catalog, names: Iterable[str]) -> list[str]:
    """Maps and all they need, parents first; parts left out."""
    needed = set(names).union(*(catalog.ancestors(name) for name in names))
    return [name for name in catalog.order(needed) if name in catalog.declared]


def _compare(night: NightRuntime, name: str, *, again: bool) -> list[dict[str, Any]]:
    table_map = night.catalog.declared[name]
    comparison: MapComparison | None = None
    try:
        comparison = MapComparison(night, table_map)
        refusal = comparison.refusal
    except SchemaMismatch as error:
        refusal = str(error)
    results: list[dict[str, Any]] = []
    for company in night.companies_for(table_map, night.companies):
        marker = night.side_path(table_map, company, "done.json")
        result = read_json(marker)
        if result is None or (again and result["state"] == FAILED):
            result = {"control": control_id(table_map), "company": company}
            result |= _outcome(comparison, company, refusal)
            write_json(marker, result)
        results.append(result)
    return results


def _outcome(comparison: MapComparison | None, company: str, refusal: str) -> dict[str, Any]:
    """What became of the comparison of one company; its failure does not stop the others."""
    try:
        if comparison is not None:
            comparison.prepare(company)
        if comparison is None or refusal:
            return {"state": NOT_RUN if comparison is None else LIMITATION, "reason": refusal, "breaks": {}}
        found = comparison.run(company)
    except Transient:
        raise
    except Exception as error:
        log.exception("a comparison of %s failed", company)
        return {"state": FAILED, "reason": f"failed: {type(error).__name__}", "breaks": {}}
    state = BREAKS if found["breaks"] else EQUAL
    return {"state": state, "reason": "", "normalisation": comparison.normalisation, **found}


def ask(night: NightRef, runtime: Runtime) -> list[dict[str, Any]]:
    """Ask the night's controls; one that fails does not stop the others.

    Returns:
        One result for each control.
    """
    asked = tonight(night, runtime)
    return [check(asked, control) for control in chosen(night.controls)] if night.controls else []


def validate(night: NightRef, runtime: Runtime, maps: Iterable[str] | None = None) -> list[dict[str, Any]]:
    """Ask the suites of maps of tonight's rows; the maps and all they need were compared before.

    Returns:
        What is kept of each suite, see :mod:`dualsync.nightly.quality`.

    Raises:
        Transient: A system did not answer when a lookup was resolved; try again.
    """
    names = set(night.run.maps if maps is None else maps)
    asked = tonight(night, runtime)
    return [check_map(asked, runtime.catalog.declared[name]) for name in night.run.maps if name in names]
