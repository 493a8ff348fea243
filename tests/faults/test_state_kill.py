"""Kill a run at any point, go on with it or start another: both systems end as if nothing had happened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from dualsync.sync.legs.markers import Extracted, Loaded, Reconciled, Sending, Settled, Validated
from dualsync.sync.legs.spec import RunSpec
from dualsync.sync.run.runs import RunSummary, start_run
from dualsync.sync.run.serial import run_all
from support.crash import RUN_ID, Point, run_and_die
from support.steps import open_runtime
from support.workload import BATCHES, change_much, differences, picture
from support.worlds import World, copied

pytestmark = pytest.mark.slow

Picture = dict[str, list[str]]

FOLDERS = "dualsync.sync.legs.folders:LegFolder"
DATAVERSE = "dualsync.systems.dataverse:Dataverse"
FINANCE = "dualsync.systems.finance:Finance"
LEDGER = "dualsync.ledger.database:Ledger"
RATES, CUSTOMERS, PROJECTS, TASKS = "exchange_rates", "customers_v3", "projects", "project_tasks"
COMPANIES = ["USPM"]

BEFORE_ANYTHING_IS_SENT = {
    "feed read, not marked": Point(PROJECTS, "dualsync.sync.extract.change_feed:write_json", "before"),
    "extracted, not marked": Point(TASKS, f"{FOLDERS}.finish", "before", 1, Extracted),
    "extracted": Point(CUSTOMERS, f"{FOLDERS}.finish", "after", 1, Extracted),
    "reconciled, not marked": Point(TASKS, f"{FOLDERS}.finish", "before", 1, Reconciled),
    "reconciled": Point(RATES, f"{FOLDERS}.finish", "after", 1, Reconciled),
    "validated, not marked": Point(CUSTOMERS, f"{FOLDERS}.finish", "before", 1, Validated),
    "validated": Point(PROJECTS, f"{FOLDERS}.finish", "after", 1, Validated),
    "about to send": Point(TASKS, f"{FOLDERS}.finish", "after", 1, Sending),
}
AFTER_SOMETHING_WAS_SENT = {
    "record created under a derived id": Point(RATES, f"{DATAVERSE}.create_with_id", "after", 3),
    "upserted, not acknowledged": Point(CUSTOMERS, f"{DATAVERSE}.upsert_many", "after", 1),
    "second batch upserted, not acknowledged": Point(CUSTOMERS, f"{DATAVERSE}.upsert_many", "after", 2),
    "lookup of the second pass written": Point(CUSTOMERS, f"{DATAVERSE}.update", "after", 1),
    "row created, not acknowledged": Point(TASKS, f"{FINANCE}.create", "after", 2),
    "row updated, not acknowledged": Point(PROJECTS, f"{FINANCE}.update", "after", 3),
    "some batches acknowledged": Point(TASKS, f"{FOLDERS}.acknowledge", "after", 2),
    "loaded, not marked": Point(PROJECTS, f"{FOLDERS}.finish", "before", 1, Loaded),
    "loaded": Point(TASKS, f"{FOLDERS}.finish", "after", 1, Loaded),
    "base written, not in the ledger": Point(RATES, f"{LEDGER}.settle", "before", 1),
    "in the ledger, not marked": Point(CUSTOMERS, f"{LEDGER}.settle", "after", 1),
    "settled": Point(TASKS, f"{FOLDERS}.finish", "after", 1, Settled),
    "row deleted, not in the ledger": Point(TASKS, f"{FINANCE}.delete", "after", 1),
    "deletions in the ledger": Point(TASKS, f"{LEDGER}.settle", "after", 2),
}
POINTS = BEFORE_ANYTHING_IS_SENT | AFTER_SOMETHING_WAS_SENT
WRITTEN = {RATES: (5, 0, 0), CUSTOMERS: (3, 0, 0), PROJECTS: (0, 3, 0), TASKS: (5, 0, 1)}
"""Rows that the changes make each map create, update and delete."""


def go_on(world: World, map_name: str, run_id: str | None = None) -> RunSummary:
    """Go on with a run, or start another one."""
    # Leases of a process that was killed run out after half an hour.
    with open_runtime(world, batches=BATCHES, later=timedelta(minutes=31)) as runtime:
        run = None if run_id is None else runtime.stored_run(run_id)
        return run_all(run or start_run(RunSpec("after", maps=[map_name], companies=COMPANIES), runtime), runtime)


@pytest.fixture(scope="session")
def changed_home(synced_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a world is kept that has changes to carry."""
    home = tmp_path_factory.mktemp("changed") / "home"
    for world in copied(synced_home, home):
        change_much(world, COMPANIES)
    return home


@pytest.fixture(scope="session")
def undisturbed(changed_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Picture]:
    """Where everything ends after a run of a map that nothing disturbs."""

    @cache
    def end(map_name: str) -> Picture:
        pictures = []
        for world in copied(changed_home, tmp_path_factory.mktemp("undisturbed") / "home"):
            summary = go_on(world, map_name)
            counts = summary.counts
            assert summary.state == "settled", [leg.message for leg in summary.legs]
            assert (counts.created, counts.updated, counts.deleted) == WRITTEN[map_name]
            pictures.append(picture(world))
        return pictures[0]

    return end


@pytest.fixture
def changed(changed_home: Path, tmp_path: Path) -> Iterator[World]:
    yield from copied(changed_home, tmp_path / "home")


def end_of_all(world: World, map_name: str, run_id: str | None) -> Picture:
    summary = go_on(world, map_name, run_id)
    assert summary.state == "settled", [leg.message for leg in summary.legs]
    assert all(leg.counts.conserved for leg in summary.legs)
    end = picture(world)
    quiet = go_on(world, map_name)
    assert (quiet.counts.planned, quiet.state) == (0, "settled")
    return end


@pytest.mark.parametrize("name", POINTS)
def test_a_killed_run_that_goes_on_ends_as_if_nothing_had_happened(
    changed: World, undisturbed: Callable[[str], Picture], name: str
) -> None:
    point = POINTS[name]
    run_and_die(small_batches(changed), COMPANIES, point)

    end = end_of_all(changed, point.map, RUN_ID)

    assert differences(end, undisturbed(point.map)) == {}
    with changed.runtime() as runtime:
        legs = runtime.ledger.legs(RUN_ID)
    assert {leg.state for leg in legs} == {"settled"}


@pytest.mark.parametrize("name", AFTER_SOMETHING_WAS_SENT)
def test_a_run_after_a_killed_one_ends_as_if_nothing_had_happened(
    changed: World, undisturbed: Callable[[str], Picture], name: str
) -> None:
    point = POINTS[name]
    run_and_die(small_batches(changed), COMPANIES, point)

    end = end_of_all(changed, point.map, None)

    assert differences(end, undisturbed(point.map)) == {}


def small_batches(world: World) -> Any:
    return world.settings.model_copy(update={"batch_sizes": world.settings.batch_sizes.model_copy(update=BATCHES)})
