"""The DAG that asks a person about transfers that a guard stopped, run by Airflow on the sandbox.

Questions are answered through Airflow's REST API. Each chapter of the story is run once; each test looks at one thing
that must be true of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dualsync.ledger import LegRecord, OpenRow
from dualsync.sync.run.runs import RunSummary
from support.airflow_runs import DagRunResult, run_dag
from support.answers import Person
from support.commands import dualsync
from support.repairs import names_in_finance, projects_of, rename_in_finance, synchronised
from support.worlds import World

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag


@dataclass(frozen=True)
class Held:
    """Two transfers that a guard has stopped.

    Attributes:
        world: The two systems.
        projects: Projects that would be renamed.
        before: Their names in Finance.
        state: How the run ended that was stopped.
    """

    world: World
    projects: list[dict[str, Any]]
    before: dict[str, str]
    state: str


@pytest.fixture(scope="module")
def held(synced_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Held]:
    for world in synchronised(synced_home, tmp_path_factory.mktemp("held") / "home"):
        projects = projects_of(world, "USPM")
        for project in projects:
            changed = {"msdyn_subject": "All the same"}
            world.dataverse_api.change(f"msdyn_projects({project['msdyn_projectid']})", changed)
        rules = world.dataverse_api.rows("msdyn_projectcontractsplitbillingrules")
        contracts = [rule["_msdyn_contract_value"] for rule in rules]
        pair = next(contract for contract in contracts if contracts.count(contract) == 2)
        for rule in rules:
            if rule["_msdyn_contract_value"] == pair:
                record = rule["msdyn_projectcontractsplitbillingruleid"]
                world.dataverse_api.delete(f"msdyn_projectcontractsplitbillingrules({record})")
        before = names_in_finance(world)
        world.forget_requests()
        yield Held(world, projects, before, world.sync(["funding_sources", "projects"]).state)


def test_a_guard_stops_transfers_that_would_change_too_much(held: Held) -> None:
    assert held.state == "held"


@dataclass(frozen=True)
class Declined:
    """What was there before and after somebody answered no."""

    listed: str
    printed: str
    run: DagRunResult
    asked: list[tuple[str, str]]
    writes: list[dict[str, Any]]


@pytest.fixture(scope="module")
def declined(held: Held, dagbag: DagBag, anna: Person) -> Declined:
    listed = dualsync(held.world, "approvals", "list", "--json").out
    printed = dualsync(held.world, "approvals", "list").out
    anna.answer, already = "Do not release", len(anna.asked)
    run = run_dag(dagbag, "release_held", {})
    return Declined(listed, printed, run, anna.asked[already:], held.world.writes())


def test_the_command_line_lists_what_they_had_planned(held: Held, declined: Declined) -> None:
    assert {(leg["map"], leg["part"]): leg["planned"] for leg in json.loads(declined.listed)} == {
        ("projects", "rows"): {"update": len(held.projects)},
        ("funding_sources", "deletes"): {"delete": 2},
    }
    assert "2 transfers need approval" in declined.printed


def test_a_person_is_asked_about_transfers_and_sees_no_values(held: Held, declined: Declined) -> None:
    ((subject, body),) = declined.asked
    assert subject == f"Release 2 transfers with {len(held.projects) + 2} rows?"
    assert "| projects to Finance of USPM |" in body
    assert "(deletions)" in body
    assert "All the same" not in body, "no values of rows"


def test_nothing_is_written_where_nobody_approves(declined: Declined) -> None:
    tasks = {"find": "success", "ask": "success", "release": "skipped"}
    assert (declined.run.state, declined.run.tasks) == ("success", tasks)
    assert declined.writes == []


@dataclass(frozen=True)
class Approved:
    """What was there after somebody had answered yes.

    Attributes:
        moved: The project that Finance had changed before.
        run: The DAG run.
        names: Names of the projects in Finance.
        writes: Requests that changed something.
        open_rows: Blocked and waiting rows.
        legs: Transfers that the run carried out.
    """

    moved: str
    run: DagRunResult
    names: dict[str, str]
    writes: list[dict[str, Any]]
    open_rows: list[OpenRow]
    legs: list[LegRecord]

    @property
    def xcom(self) -> dict[str, Any]:
        return dict(self.run.xcoms["release"])


@pytest.fixture(scope="module")
def approved(held: Held, declined: Declined, dagbag: DagBag, anna: Person) -> Approved:
    """Finance changes one of the rows before somebody agrees."""
    moved = str(held.projects[0]["msdyn_projectnumber"])
    rename_in_finance(held.world, moved, "Changed meanwhile")
    anna.answer = "Release"
    run = run_dag(dagbag, "release_held", {})
    with held.world.runtime() as runtime:
        runs = [one for one in runtime.ledger.runs() if one.area == "release_held"]
        legs = [leg for one in runs for leg in runtime.ledger.legs(one.run_id)]
    return Approved(moved, run, names_in_finance(held.world), held.world.writes(), held.world.open_rows(), legs)


def test_approved_transfers_write_just_what_they_had_planned(held: Held, approved: Approved) -> None:
    assert set(approved.run.tasks.values()) == {"success"}
    assert approved.names == {
        name: "All the same" if name != approved.moved else "Changed meanwhile" for name in held.before
    }
    assert sum(one["method"] == "DELETE" for one in approved.writes) == 2


def test_a_row_that_changed_meanwhile_is_left_out_and_waits(held: Held, approved: Approved) -> None:
    assert approved.xcom["left_out"] == 1
    released = f"{len(held.projects) - 1} of {len(held.projects)} rows released"
    assert any(released in leg and approved.moved in leg for leg in approved.xcom["legs"])
    (left,) = approved.open_rows
    assert (left.key, left.state, left.rule) == (approved.moved, "waiting", "projects.moved")


def test_who_approved_is_written_down(approved: Approved) -> None:
    assert approved.xcom["released_by"] == "anna"
    assert {(leg.map, leg.part, leg.state, leg.message) for leg in approved.legs} == {
        ("projects", "rows", "settled", "asked for by anna"),
        ("funding_sources", "deletes", "settled", "asked for by anna"),
    }


@dataclass(frozen=True)
class Afterwards:
    """What was there when nothing needed approval any more."""

    run: DagRunResult
    asked: int
    refused: str
    summary: RunSummary
    open_rows: list[OpenRow]


@pytest.fixture(scope="module")
def afterwards(held: Held, approved: Approved, dagbag: DagBag, anna: Person) -> Afterwards:
    already = len(anna.asked)
    run = run_dag(dagbag, "release_held", {})
    refused = dualsync(held.world, "approvals", "release", "projects", "--by", "bob", code=2).err
    summary = held.world.sync(["funding_sources", "projects"])
    return Afterwards(run, len(anna.asked) - already, refused, summary, held.world.open_rows())


def test_nobody_is_asked_where_nothing_needs_approval(afterwards: Afterwards) -> None:
    assert (afterwards.run.state, set(afterwards.run.tasks.values()), afterwards.asked) == ("success", {"skipped"}, 0)
    words = "no transfer (projects) needs approval; `dualsync approvals list` shows those that do"
    assert afterwards.refused == f"error [approval]: {words}\n"


def test_the_next_run_plans_anew_what_was_left_out(afterwards: Afterwards) -> None:
    assert (afterwards.summary.state, afterwards.summary.counts.updated) == ("settled", 1)
    assert afterwards.open_rows == []
