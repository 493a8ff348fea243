"""Pages of reconciliations: the overview, one of them, a control over time, the report of a DAG run."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from dualsync.controls.model import SEVERITIES
from dualsync.ledger import NightRecord
from dualsync.ledger.breaks import BreakFilter
from dualsync.reports.controls import describe
from dualsync.reports.coverage import by_area
from dualsync.reports.figures import AGES
from dualsync.reports.nights import NightReport
from dualsync.sync.legs.runtime import Runtime
from dualsync_airflow.pages import NIGHT_DAG, shown
from dualsync_airflow.pages.render import go, page
from dualsync_airflow.pages.trend import Trend

router = APIRouter()

NIGHTS = 30
"""Reconciliations in lists and trends."""

_AGE_DAYS = (2, 8, 31)
"""Where the age classes of exceptions begin, beside the first; see ``dualsync.reports.figures.age_class``."""


@router.get("/")
def overview(request: Request, user: GetUserDep) -> Response:
    """Show the latest reconciliation, or how to start the first."""
    opened = shown.runtime()
    night = shown.latest(opened)
    if night is None:
        return page(request, user, "empty.html", night_dag=NIGHT_DAG, packs=opened.ledger.nights.latest(NIGHTS))
    return _night(request, user, opened, night)


@router.get("/nights/{run_id}")
def one_night(request: Request, user: GetUserDep, run_id: str) -> Response:
    """Show one reconciliation."""
    opened = shown.runtime()
    return _night(request, user, opened, shown.report(opened, run_id).night)


@router.get("/dags/{dag_id}")
def of_dag(request: Request) -> Response:
    """Serve the tab of a DAG: the overview, whichever DAG it is."""
    return go(request, "")


@router.get("/dags/{dag_id}/runs/{dag_run_id}")
def of_dag_run(request: Request, user: GetUserDep, dag_id: str, dag_run_id: str) -> Response:
    """Serve the tab of a DAG run: the reconciliation it made, or the transfers it ran."""
    opened = shown.runtime()
    run_id = shown.run_id_of(dag_id, dag_run_id)
    if (night := opened.ledger.nights.night(run_id)) is not None:
        return _night(request, user, opened, night)
    run = opened.ledger.run(run_id)
    legs = [] if run is None else opened.ledger.legs(run_id)
    # A run of the nightly DAG has no transfers, so without a report it is still at work.
    running = dag_id == NIGHT_DAG
    return page(request, user, "run.html", dag_id=dag_id, dag_run_id=dag_run_id, run=run, legs=legs, running=running)


@router.get("/started/{dag_id}/{dag_run_id}")
def started(request: Request, user: GetUserDep, dag_id: str, dag_run_id: str, paused: bool = False) -> Response:
    """Say which DAG run a form has started."""
    return page(request, user, "started.html", dag_id=dag_id, dag_run_id=dag_run_id, paused=paused)


@router.get("/controls/{control}")
def one_control(request: Request, user: GetUserDep, control: str) -> Response:
    """Show what a control compares, and its latest results."""
    opened = shown.runtime()
    words = describe(control, opened.catalog)
    history = opened.ledger.lists.control(control, NIGHTS)
    if not words["compares"] and not history:
        raise HTTPException(404, "There is no control or table map with this id.")
    night = shown.latest(opened)
    line = None
    if night is not None:
        lines = NightReport(opened.ledger, opened.catalog, night).control_lines()
        line = next((one for one in lines if one.control == control), None)
    grouped = opened.ledger.nights.grouped(BreakFilter(control=control, still_open=True), "class", "company")
    trend = Trend.of([(one.moment, Decimal(one.breaks)) for one in reversed(history)])
    return page(
        request, user, "control.html", control=control, words=words, history=history, line=line, grouped=grouped,
        trend=trend,
    )  # fmt: skip


def _night(request: Request, user: GetUserDep, opened: Runtime, night: NightRecord) -> Response:
    report = NightReport(opened.ledger, opened.catalog, night)
    nights = opened.ledger.nights.latest(NIGHTS, plain=True)
    last = next(iter(nights), None)
    shares = [(one.moment, Decimal(one.matched) * 100) for one in reversed(nights) if one.matched]
    return page(
        request, user, "night.html",
        night=night,
        latest=last is not None and last.run_id == night.run_id,
        dag_id=NIGHT_DAG,
        dag_run=shown.dag_run_of(night.run_id),
        verdict=report.verdict,
        areas=_areas(report),
        coverage=(coverage := report.coverage()),
        covered=by_area(coverage),
        ages=_ages(opened, night),
        totals=report.totals_summary(),
        open_rows=report.open_rows(),
        quality=_quality(report),
        docs=report.data_docs is not None,
        downloads=report.downloads(),
        nights=nights,
        shares=Trend.of(shares, upper=Decimal(100)),
        numbers=Trend.of([(one.moment, Decimal(one.critical + one.error + one.warning)) for one in reversed(nights)]),
    )  # fmt: skip


def _areas(report: NightReport) -> list[dict[str, Any]]:
    """Return the areas of a reconciliation, each with the lines of its controls and maps."""
    lines = report.control_lines()
    return [{**area, "lines": [line for line in lines if line.area == area["area"]]} for area in report.areas()]


def _ages(opened: Runtime, night: NightRecord) -> list[dict[str, Any]]:
    """Return exceptions by age class, one column for each severity."""
    counts = opened.ledger.lists.ages(night.run_id, night.moment, _AGE_DAYS)
    return [
        {"age": age, **{severity: counts.get((place, severity), 0) for severity in SEVERITIES}}
        for place, age in enumerate(AGES)
    ]


def _quality(report: NightReport) -> list[dict[str, Any]]:
    """Return the suites of a reconciliation, each with its pass rates over time."""
    rates = report.suite_rates(NIGHTS)
    suites = []
    for suite in rates:
        if suite["run_id"] != report.night.run_id:
            continue
        past = [(each["moment"], each["rate"] * 100) for each in reversed(rates)
                if each["suite"] == suite["suite"] and each["rate"] is not None]  # fmt: skip
        suites.append({**suite, "trend": Trend.of(past, upper=Decimal(100))})
    return sorted(suites, key=lambda suite: (suite["rate"] is None, suite["rate"], suite["suite"]))
