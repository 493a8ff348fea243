"""A pair that is only read: no transfer writes it, whoever changed it, and each night shows where it differs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from dualsync.ledger.breaks import BreakFilter
from dualsync.nightly import steps
from dualsync.nightly.publish import publish
from support.paths import MAPS
from support.worlds import World

CARRIED = "finance: Description, way: to_finance"


@pytest.fixture
def world(synced: World) -> World:
    """A world in which the description of projects is only read, by a map of its own."""
    text = next(MAPS.rglob("projects.yaml")).read_text(encoding="utf-8")
    assert CARRIED in text
    folder = synced.home / "maps"
    folder.mkdir()
    (folder / "projects.yaml").write_text(text.replace(CARRIED, f"{CARRIED}, read_only: true"), encoding="utf-8")
    return synced


def project(world: World) -> tuple[str, str]:
    """A project of USPM: its address in Dataverse and in Finance."""
    company = world.dataverse_api.one("cdm_companies", "cdm_companycode eq 'USPM'")["cdm_companyid"]
    row = world.dataverse_api.rows("msdyn_projects", f"_msdyn_owningcompany_value eq {company} and statecode eq 0")[0]
    number = row["msdyn_projectnumber"]
    return f"msdyn_projects({row['msdyn_projectid']})", f"ProjectsV2(dataAreaId='uspm',ProjectId='{number}')"


def night(world: World) -> list[tuple[str, str, str, str]]:
    """Compare projects, once everything is old enough; column, class and both values of each exception."""
    world.sandbox.clock.advance(timedelta(hours=2))
    world.sign_out()
    with world.runtime() as runtime:
        run = steps.begin(runtime, companies=["USPM"], maps=["projects"], controls=())
        steps.read(run, runtime)
        steps.compare(run, runtime)
        publish(run, runtime)
        found = runtime.ledger.nights.breaks(BreakFilter(still_open=True))
    return [(one.field, one.break_class, one.dataverse_value, one.finance_value) for one in found]


def described(world: World, address: str) -> Any:
    """What Finance has as the description of a project."""
    key = address.split("ProjectId=")[1].rstrip(")")
    return world.finance_api.one("ProjectsV2", f"dataAreaId eq 'uspm' and ProjectId eq {key}")["Description"]


def test_a_read_only_pair_is_never_written_and_its_difference_is_shown_each_night(world: World) -> None:
    here, there = project(world)
    assert night(world) == []
    before = described(world, there)

    world.dataverse_api.change(here, {"msdyn_description": "Written here", "msdyn_subject": "Renamed"})
    world.forget_requests()
    assert world.sync(["projects"]).counts.updated == 1
    assert [request["body"] for request in world.writes()] == [{"ProjectName": "Renamed"}]
    field = "msdyn_description / Description"
    assert night(world) == [(field, "text", "Written here", before or "")]

    world.finance_api.change(there, {"Description": "Written there"})
    world.forget_requests()
    counts = world.sync(["projects"], mode="full").counts
    assert (counts.written, counts.conflict) == (0, 0), "no transfer has anything to say about it"
    assert world.writes() == []
    assert described(world, there) == "Written there"
    assert night(world) == [(field, "text", "Written here", "Written there")]

    world.dataverse_api.change(here, {"msdyn_description": None})
    assert night(world) == [(field, "text", "", "Written there")], "an empty value is one too"
    world.dataverse_api.change(here, {"msdyn_description": "Written there"})
    assert night(world) == []
