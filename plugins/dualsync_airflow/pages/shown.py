"""What the pages read: the ledger, the maps and the reconciliations, without either of the two systems."""

from __future__ import annotations

from functools import cache

from fastapi import HTTPException

from dualsync.ledger import Ledger, NightRecord
from dualsync.mapping import Catalog, Schema
from dualsync.reports.nights import NightReport
from dualsync.settings import Settings
from dualsync.sync.legs.runtime import Runtime
from dualsync_airflow.pages import NIGHT_DAG

NO_EXCEPTION = "There is no exception with this number."
NO_NIGHT = "There is no reconciliation with this id."


@cache
def _ledger(url: str) -> Ledger:
    """Open the ledger once; all requests share its connections."""
    return Ledger.open(url)


def runtime() -> Runtime:
    """Return settings and maps as they are now, and the ledger; nobody needs to close it.

    Raises:
        SettingsError: A setting is wrong.
        MapErrors: A table map cannot be read.
    """
    settings = Settings.load()
    overrides = settings.home / "maps"
    catalog = Catalog.load(overrides if overrides.is_dir() else None)
    return Runtime(settings, catalog, Schema.load(), _ledger(settings.ledger_url))


def latest(opened: Runtime) -> NightRecord | None:
    """Return the latest reconciliation; close packages are left out. None before the first."""
    return next(iter(opened.ledger.nights.latest(1, plain=True)), None)


def report(opened: Runtime, run_id: str) -> NightReport:
    """Return the report of a reconciliation.

    Raises:
        HTTPException: 404, there is none with this id.
    """
    night_report = NightReport.of(opened.ledger, opened.catalog, run_id)
    if night_report is None:
        raise HTTPException(404, NO_NIGHT)
    return night_report


def run_id_of(dag_id: str, dag_run_id: str) -> str:
    """Return the id in the ledger of the run that a DAG run makes."""
    return f"{dag_id}.{dag_run_id}"


def dag_run_of(run_id: str) -> str:
    """Return the DAG run that made a reconciliation; empty where the command line made it."""
    return run_id.removeprefix(f"{NIGHT_DAG}.") if run_id.startswith(f"{NIGHT_DAG}.") else ""
