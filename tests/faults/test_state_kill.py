"""Kill a run at any point, go on with it or start another: both systems end as if nothing had happened."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from workload import BATCHES, COMPANIES, MAPS, change_much, differences, picture
from worlds import World, copied

from dualsync.ledger import Ledger, LegCounts
from dualsync.mapping import Catalog, Schema
from dualsync.sync.folders import read_json
from dualsync.sync.pipeline import RunSummary, run_all, start_run
from dualsync.sync.runtime import RunRef, Runtime

FOLDERS = "dualsync.sync.folders:LegFolder"
DATAVERSE = "dualsync.systems.dataverse:Dataverse"
FINANCE = "dualsync.systems.finance:Finance"
LEDGER = "dualsync.ledger.database:Ledger"

POINTS = {
    "feed read, not marked": ("dualsync.sync.feeds:write_json", "before", 1, None),
    "extracted, not marked": (f"{FOLDERS}.finish", "before", 2, "extract"),
    "extracted": (f"{FOLDERS}.finish", "after", 7, "extract"),
    "reconciled, not marked": (f"{FOLDERS}.finish", "before", 6, "reconcile"),
    "reconciled": (f"{FOLDERS}.finish", "after", 1, "reconcile"),
    "validated, not marked": (f"{FOLDERS}.finish", "before", 2, "validate"),
    "validated": (f"{FOLDERS}.finish", "after", 6, "validate"),
    "about to send": (f"{FOLDERS}.finish", "after", 6, "sending"),
    "record created under a derived id": (f"{DATAVERSE}.create_with_id", "after", 3, None),
    "upserted, not acknowledged": (f"{DATAVERSE}.upsert_many", "after", 1, None),
    "second batch upserted, not acknowledged": (f"{DATAVERSE}.upsert_many", "after", 2, None),
    "a lookup of the second pass written": (f"{DATAVERSE}.update", "after", 1, None),
    "row created, not acknowledged": (f"{FINANCE}.create", "after", 3, None),
    "row updated, not acknowledged": (f"{FINANCE}.update", "after", 3, None),
    "some batches acknowledged": (f"{FOLDERS}.acknowledge", "after", 4, None),
    "loaded, not marked": (f"{FOLDERS}.finish", "before", 2, "load"),
    "loaded": (f"{FOLDERS}.finish", "after", 6, "load"),
    "base written, not in the ledger": (f"{LEDGER}.settle", "before", 6, None),
    "in the ledger, not marked": (f"{LEDGER}.settle", "after", 2, None),
    "settled": (f"{FOLDERS}.finish", "after", 6, "settle"),
    "row deleted, not in the ledger": (f"{FINANCE}.delete", "after", 1, None),
    "deletions in the ledger": (f"{LEDGER}.settle", "after", 10, None),
}


@dataclass(frozen=True)
class Undisturbed:
    """A world with changes to carry, where everything ends, and how many rows went how."""

    home: Path
    picture: dict[str, list[str]]
    counts: LegCounts


def run(world: World, run_id: str | None = None) -> RunSummary:
    settings = world.settings.model_copy(update={"batch_sizes": world.settings.batch_sizes.model_copy(update=BATCHES)})
    # Leases of a process that was killed run out after half an hour.
    ledger = Ledger.open(settings.ledger_url, now=lambda: datetime.now(UTC) + timedelta(minutes=31))
    with Runtime(settings, Catalog.load(None), Schema.load(), ledger) as runtime:
        told = None if run_id is None else read_json(runtime.runs_folder() / run_id / "run.json")
        if told is None:
            return run_all(start_run("after", runtime=runtime, maps=MAPS, companies=COMPANIES), runtime)
        return run_all(RunRef.from_dict(told), runtime)


def kill(world: World, point: str) -> None:
    target, when, call, argument = POINTS[point]
    told = {
        "home": str(world.home),
        "sandbox": str(world.sandbox.state_dir / "sandbox.json"),
        "run_id": "killed",
        "maps": MAPS,
        "companies": COMPANIES,
        "batches": BATCHES,
        "target": target,
        "when": when,
        "call": call,
        "argument": argument,
    }
    script = Path(__file__).with_name("killed_run.py")
    ended = subprocess.run([sys.executable, script, json.dumps(told)], capture_output=True, text=True, check=False)
    assert ended.returncode == -signal.SIGKILL, f"the point was not reached: {ended.stderr[-2000:]}"


@pytest.fixture(scope="session")
def undisturbed(synced_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    changed = tmp_path_factory.mktemp("changed") / "home"
    for world in copied(synced_home, changed):
        change_much(world)
    for world in copied(changed, tmp_path_factory.mktemp("undisturbed") / "home"):
        summary = run(world)
        assert summary.state == "settled", [leg.message for leg in summary.legs]
        assert summary.counts.created == 10 + 6 + 5
        assert summary.counts.deleted == 2
        return Undisturbed(changed, picture(world), summary.counts)
    raise AssertionError("there was no world")


@pytest.fixture
def changed(undisturbed: Undisturbed, tmp_path: Path) -> Iterator[World]:
    yield from copied(undisturbed.home, tmp_path / "home")


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("go_on", [True, False], ids=["same run", "new run"])
def test_a_killed_run_leaves_nothing_behind(changed: World, undisturbed: Undisturbed, point: str, go_on: bool) -> None:
    kill(changed, point)

    summary = run(changed, "killed" if go_on else None)

    assert summary.state == "settled", [leg.message for leg in summary.legs]
    assert all(leg.counts.conserved for leg in summary.legs)
    assert differences(picture(changed), undisturbed.picture) == {}
    quiet = run(changed)
    assert (quiet.counts.planned, quiet.state) == (0, "settled")
