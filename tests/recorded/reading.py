"""The one place where recorded states meet today's code: opens an installation and reads what people ask it about."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dualsync.errors import DualsyncError
from dualsync.frames import Sets
from dualsync.ledger import Ledger
from dualsync.ledger.breaks import BreakFilter
from dualsync.ledger.documents import documents_of
from dualsync.mapping import Catalog, Schema
from dualsync.repair.held import held_legs
from dualsync.settings import Settings
from dualsync.sync.legs.runtime import Runtime
from dualsync.sync.plan.base import open_base
from dualsync.sync.plan.columns import LegColumns
from dualsync.sync.run.runs import reopen_run

READ = "read"


def open_runtime(home: Path) -> Runtime:
    """A runtime of an installation that speaks to no system."""
    settings = Settings.load({"home": home, "companies": "USPM"}, environ={})
    return Runtime(settings, Catalog.load(None), Schema.load(), Ledger.open(settings.ledger_url))


def read_all(home: Path, maps: Sequence[str] = ()) -> tuple[str, dict[str, Any]]:
    """Read everything that needs no system.

    Args:
        home: The installation's home.
        maps: Whose bases are read; those of all maps by default.

    Returns:
        :data:`READ` and what was read, or the words in which it was refused and what was read until then.
    """
    found: dict[str, Any] = {}
    try:
        with open_runtime(home) as runtime:
            _read(runtime, found, maps)
    except DualsyncError as error:
        return str(error), found
    return READ, found


def _read(runtime: Runtime, found: dict[str, Any], maps: Sequence[str]) -> None:
    ledger = runtime.ledger
    runs = {run.run_id: run for run in ledger.runs(100)}
    found["runs"] = {name: run.state for name, run in runs.items()}
    legs = [leg for name in runs for leg in ledger.legs(name)]
    found["legs"] = {(leg.run_id, leg.map, leg.direction, leg.part): leg.state for leg in legs}
    found["conserved"] = all(leg.counts.conserved for leg in legs)
    found["latest"] = len(ledger.latest_legs())
    found["open"] = sorted([row.map, row.key, row.state, row.rule] for row in ledger.open_rows())
    found["documents"] = {one.key: not one.missing for one in documents_of(ledger.documents())}
    found["held"] = {leg.label: (leg.planned, leg.missing) for leg in held_legs(runtime)}
    found["exceptions"] = {one.control for one in ledger.nights.breaks(BreakFilter(still_open=True))}
    found["bases"] = {}
    for name in maps or runtime.catalog:
        for base in ledger.bases(name):
            with Sets() as sets:
                columns = LegColumns(runtime.catalog[name], runtime.catalog[name].directions[0], runtime.schema)
                open_base(sets, columns, runtime.base_path(name, base.company))
                found["bases"][name, base.company] = sets.scalar("SELECT count(*) FROM base") == base.rows
    found["positions"] = sum(
        ledger.position(name, way, base.company) is not None
        for name in runtime.catalog
        for base in ledger.bases(name)
        for way in runtime.catalog[name].directions
    )
    found["reopened"] = {}
    for name in runs:
        if (runtime.runs_folder() / name / "run.json").exists():
            run = reopen_run(name, runtime)
            found["reopened"][name] = (run.mode, run.dry_run, run.companies, len(run.rows))
