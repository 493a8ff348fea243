"""Runs that an earlier version left broken off: today's code carries them to their end, as if nothing had happened.

The sandbox stands as it stood when the run broke off; see ``tests/recorded/record_states.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from recorded.states import Archive, State, read_archive

from dualsync.nightly import steps as night_steps
from dualsync.nightly.publish import publish
from dualsync.repair.explain import explain
from dualsync.repair.held import held_legs, release
from dualsync.repair.replay import outcomes
from dualsync.sync.legs.spec import RunSpec
from dualsync.sync.run.runs import RunSummary, reopen_run, start_run
from dualsync.sync.run.serial import run_all
from support.steps import open_runtime
from support.workload import BATCHES, differences, picture
from support.worlds import World, start

COMPANIES = ["USPM"]
GO_ON = (
    "extract: done, not marked",
    "reconcile: done, not marked",
    "validate: marked",
    "load: before the first request",
    "load: a batch sent, not acknowledged",
    "load: between batches",
    "settle: base written, not in the ledger",
    "settle: in the ledger, not marked",
    "deletions: a row deleted, not in the ledger",
    "document: trigger about to be sent",
)
"""Runs that go on; one or more in each step."""

Put = Callable[[str], tuple[World, State]]


@pytest.fixture(scope="module")
def archive() -> Archive:
    """All states."""
    return read_archive()


@pytest.fixture
def put(archive: Archive, tmp_path: Path, _looking_often: None, _quiet: None) -> Iterator[Put]:
    """Puts a state back, with the sandbox running as it stood then."""
    worlds: list[World] = []

    def put_back(name: str) -> tuple[World, State]:
        state = archive.restore(name, tmp_path / "home")
        world = start(tmp_path / "home")
        world.settings = world.settings.model_copy(update={"companies": tuple(COMPANIES)})
        world.carried = COMPANIES
        worlds.append(world)
        return world, state

    yield put_back
    for world in worlds:
        world.close()


def go_on(world: World, maps: list[str], run_id: str | None = None) -> RunSummary:
    """Go on with a run, or start another one; whatever held leases then holds none now."""
    with open_runtime(world, batches=BATCHES, later=timedelta(minutes=31)) as runtime:
        if run_id is None:
            return run_all(start_run(RunSpec("after", maps=maps, companies=COMPANIES), runtime), runtime)
        return run_all(reopen_run(run_id, runtime), runtime)


def not_where_it_should_be(world: World, end: dict[str, list[str]]) -> dict[str, Any]:
    """The rows of both systems and the open rows that differ from where an undisturbed run ended, by table."""
    stands = picture(world)
    return differences({name: stands[name] for name in end}, end)


@pytest.mark.parametrize("place", GO_ON)
def test_a_run_goes_on_where_it_stopped(put: Put, archive: Archive, place: str) -> None:
    world, state = put(f"broken off in {place}")
    maps = state.told["maps"]

    summary = go_on(world, maps, "broken")

    assert summary.state == "settled", [leg.message for leg in summary.legs]
    assert all(leg.counts.conserved for leg in summary.legs)
    assert not_where_it_should_be(world, archive.ends[",".join(maps)]) == {}
    assert go_on(world, maps).counts.written == 0


def test_another_run_takes_over_what_was_sent(put: Put, archive: Archive) -> None:
    world, state = put("broken off in load: a row sent, not acknowledged")

    summary = go_on(world, state.told["maps"])

    assert summary.state == "settled", [leg.message for leg in summary.legs]
    assert not_where_it_should_be(world, archive.ends["projects"]) == {}


def test_a_replay_goes_on(put: Put) -> None:
    world, _ = put("broken off in replay: a row sent")

    summary = go_on(world, ["project_tasks"], "replayed")

    with world.runtime() as runtime:
        assert (summary.state, [one.action for one in outcomes(runtime, "replayed")]) == ("settled", ["create"])
        assert runtime.ledger.open_rows() == []


def test_held_legs_are_released(put: Put) -> None:
    world, _ = put("held by guards")
    with world.runtime() as runtime:
        released = release(runtime, held_legs(runtime), by="ann")
        told = {one.leg.part: ([row.action for row in one.rows], len(one.left_out)) for one in released}
    assert told == {"rows": (["update"] * 3, 0), "deletes": (["delete"], 0)}
    with world.runtime() as runtime:
        assert held_legs(runtime) == []


def test_what_a_run_planned_is_explained(put: Put) -> None:
    """Both sides, the last plan, what waits and why."""
    world, state = put("whole")
    _, key, _, rule = next(row for row in state.told["open"] if row[2] == "conflict")
    with world.runtime() as runtime:
        (found,) = explain(runtime, "projects", key, "USPM")
    assert found["dataverse"]
    assert found["finance"]
    assert found["agreed"]
    assert [row["rule"] for row in found["open"]] == [rule]
    assert found["plans"][0]["action"] == "conflict"


@pytest.mark.parametrize("name", ["night broken off after reading", "night broken off after comparing"])
def test_a_night_goes_on(put: Put, name: str) -> None:
    world, _ = put(name)
    with world.runtime() as runtime:
        night = night_steps.begin(runtime, run_id="night")
        night_steps.read(night, runtime)
        night_steps.compare(night, runtime)
        night_steps.ask(night, runtime)
        publish(night, runtime)
        found = {one.control for one in runtime.ledger.nights.breaks()}
    assert found == {"map:projects"}
