"""What the pages read: the ledger, the maps and the nights, without either of the two systems."""

from __future__ import annotations

from functools import cache

from fastapi import HTTPException

from dualsync.ledger import Ledger, NightRecord
from dualsync.mapping import Catalog, Schema
from dualsync.reports.nights import NightReport
from dualsync.settings import Settings
from dualsync.sync.legs.runtime import Runtime
from dualsync_airflow.pages import NIGHT_DAG

NO_BREAK = "There is no break of this number."
NO_NIGHT = "There is no night of this name."


@cache
def _ledger(url: str) -> Ledger:
    """The ledger, opened once; its connections are shared by all requests."""
    return Ledger.open(url)


def runtime() -> Runtime:
    """Settings and maps as they are now, and the ledger; nobody needs to close it.

    Raises:
        SettingsError: A setting is wrong.
        MapErrors: A table map cannot be read.
    """
    settings = Settings.load()
    overrides = settings.home / "maps"
    catalog = Catalog.load(overrides if overrides.is_dir() else None)
    return Runtime(settings, catalog, Schema.load(), _ledger(settings.ledger_url))


def latest(opened: Runtime) -> NightRecord | None:
    """The latest night that looked at everything; close packs are none. None before the first."""
    return next(iter(opened.ledger.nights.latest(1, plain=True)), None)


def report(opened: Runtime, run_id: str) -> NightReport:
    """The report of a night.

    Raises:
        HTTPException: 404, it is no night.
    """
    found = NightReport.of(opened.ledger, opened.catalog, run_id)
    if found is None:
        raise HTTPException(404, NO_NIGHT)
    return found


def run_id_of(dag_id: str, dag_run_id: str) -> str:
    """The run of the ledger that a DAG run has made, or would have."""
    return f"{dag_id}.{dag_run_id}"


def dag_run_of(run_id: str) -> str:
    """The DAG run that made a night, empty where it came from the command line."""
    return run_id.removeprefix(f"{NIGHT_DAG}.") if run_id.startswith(f"{NIGHT_DAG}.") else ""
