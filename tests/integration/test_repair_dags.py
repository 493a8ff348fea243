"""The DAGs by which people repair, run by Airflow on the sandbox; questions are answered through Airflow's REST API."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from dualsync.ledger import ControlResult, NightRecord
from dualsync.ledger.breaks import BreakFilter
from dualsync_airflow.repair.dag import repair_dag
from dualsync_demo.sandbox import connections
from support.commands import dualsync

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

    from support.worlds import World

COMPANIES = "USPM,GBPM,FRRT"
REPLAY: dict[str, Any] = {"direction": None, "company": None, "dry_run": False}
REPAIR: dict[str, Any] = {
    "numbers": [],
    "control": None,
    "class": None,
    "company": None,
    "limit": None,
    "dry_run": True,
}


@dataclass
class Person:
    """Somebody who answers what Airflow asks.

    Attributes:
        answer: What is chosen.
        asked: What was asked so far: subject and body.
        ask: Sends a request to Airflow's REST API.
    """

    ask: Callable[..., Any]
    answer: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)

    def look(self) -> None:
        """Answer what is open."""
        found = self.ask("GET", "dags/~/dagRuns/~/hitlDetails", params={"response_received": False})
        for one in found["hitl_details"]:
            self.asked.append((one["subject"], one["body"]))
            task = one["task_instance"]
            place = f"dags/{task['dag_id']}/dagRuns/{task['dag_run_id']}/taskInstances/{task['task_id']}"
            words = {"chosen_options": [self.answer], "params_input": {}}
            self.ask("PATCH", f"{place}/{task['map_index']}/hitlDetails", json=words)


@pytest.fixture(scope="module")
def companies() -> None:
    """All of them."""


@pytest.fixture
def anna(brisk: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Person]:
    """Anna looks whenever `dag.test()` waits."""
    from airflow.api_fastapi.app import create_app
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from fastapi.testclient import TestClient

    monkeypatch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "only of this test " * 4)
    app = create_app(apps="core")
    user = SimpleAuthManagerUser(username="anna", role="admin")
    token = app.state.auth_manager.generate_jwt(user)
    with TestClient(app, headers={"Authorization": f"Bearer {token}"}) as http:

        def ask(method: str, path: str, **words: Any) -> Any:
            return http.request(method, f"/api/v2/{path}", **words).raise_for_status().json()

        person, sleep = Person(ask), time.sleep
        monkeypatch.setattr("time.sleep", lambda seconds: person.look() if seconds == 1 else sleep(seconds))
        yield person


@pytest.fixture
def world(synced: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A synchronised world that Airflow finds: its home by environment, its systems by connections."""
    monkeypatch.setattr("dualsync.sync.load.step.GUARD_FLOOR", 3)
    environ = connections(synced.sandbox.info) | {"DUALSYNC_HOME": str(synced.home), "DUALSYNC_COMPANIES": COMPANIES}
    for name, value in (environ | {"DUALSYNC_GUARDS__DELETES": "1"}).items():
        monkeypatch.setenv(name, value)
    guards = synced.settings.guards.model_copy(update={"deletes": 1})
    synced.settings = synced.settings.model_copy(update={"guards": guards})
    return synced


def run(dagbag: DagBag, dag_id: str, **params: Any) -> tuple[Any, dict[str, str]]:
    """The DAG run, and the states of its tasks."""
    done = dagbag.dags[dag_id].test(run_conf=params)
    return done, {task.task_id: str(task.state) for task in done.get_task_instances()}


def result(done: Any, task_id: str) -> Any:
    """What a task of a DAG run returned."""
    (task,) = [one for one in done.get_task_instances() if one.task_id == task_id]
    return task.xcom_pull(task_ids=task_id)


def projects_of(world: World, code: str) -> list[dict[str, Any]]:
    company = world.dataverse_api.one("cdm_companies", f"cdm_companycode eq '{code}'")["cdm_companyid"]
    rows = world.dataverse_api.rows("msdyn_projects", f"_msdyn_owningcompany_value eq {company}")
    return sorted(rows, key=lambda row: str(row["msdyn_projectnumber"]))


def rename(world: World, project: dict[str, Any], name: str) -> None:
    world.dataverse_api.change(f"msdyn_projects({project['msdyn_projectid']})", {"msdyn_subject": name})


def names_in_finance(world: World) -> dict[str, str]:
    rows = world.finance_api.rows("ProjectsV2", "dataAreaId eq 'uspm'")
    return {str(row["ProjectId"]): str(row["ProjectName"]) for row in rows}


@pytest.mark.parametrize(
    ("dag_id", "params", "tasks"),
    [
        ("replay_rows", {"map", "direction", "company", "keys", "dry_run"}, ["replay"]),
        ("repair_breaks", {"numbers", "control", "class", "company", "limit", "dry_run"}, ["plan", "ask", "send"]),
        ("release_held", set(), ["find", "ask", "release"]),
    ],
)
def test_shape_of_the_dags(dagbag: DagBag, dag_id: str, params: set[str], tasks: list[str]) -> None:
    dag: Any = dagbag.dags[dag_id]
    assert {"dualsync", "repair", dag_id} == set(dag.tags)
    assert dag.description
    assert dag.doc_md
    assert not dag.catchup
    assert dag.schedule is None, "only ever started by somebody"
    assert set(dag.params) == params
    assert [task.task_id for task in dag.topological_sort()] == tasks
    for task in dag.tasks:
        assert task.owner == "dualsync"
        assert task.doc_md
        assert task.retry_policy is not None
        assert task.pool in {"dataverse_api", "finance_api", "default_pool"}
        asks = task.task_id == "ask"
        assert (task.retries == 0) == asks, "nobody is asked twice"
        assert not asks or (task.response_timeout is not None and task.execution_timeout is None)


def test_held_legs_are_released_as_they_were_planned(world: World, dagbag: DagBag, anna: Person) -> None:
    """Nothing happens before somebody agrees; what changed since is left out; who agreed is written down."""
    mine = projects_of(world, "USPM")
    for project in mine:
        rename(world, project, "All the same")
    rules = world.dataverse_api.rows("msdyn_projectcontractsplitbillingrules")
    contracts = [rule["_msdyn_contract_value"] for rule in rules]
    pair = [rule for rule in rules if contracts.count(rule["_msdyn_contract_value"]) == 2][:1]
    for rule in rules:
        if rule["_msdyn_contract_value"] == pair[0]["_msdyn_contract_value"]:
            record = rule["msdyn_projectcontractsplitbillingruleid"]
            world.dataverse_api.delete(f"msdyn_projectcontractsplitbillingrules({record})")
    before = names_in_finance(world)
    world.forget_requests()
    assert world.sync(["funding_sources", "projects"]).state == "held"
    held = json.loads(dualsync(world, "approvals", "list", "--json").out)
    assert {(leg["map"], leg["part"]): leg["planned"] for leg in held} == {
        ("projects", "rows"): {"update": len(mine)},
        ("funding_sources", "deletes"): {"delete": 2},
    }
    assert "2 transfers need approval" in dualsync(world, "approvals", "list").out

    anna.answer = "Leave held"
    done, tasks = run(dagbag, "release_held")
    assert (str(done.state), tasks) == ("success", {"find": "success", "ask": "success", "release": "skipped"})
    ((subject, body),) = anna.asked
    assert subject == f"Release 2 held legs with {len(mine) + 2} rows?"
    assert "| projects to_finance of USPM |" in body
    assert "(deletions)" in body
    assert "All the same" not in body, "no values of rows"
    assert world.writes() == []

    # Finance changes one of them before somebody agrees
    moved = str(mine[0]["msdyn_projectnumber"])
    with world.sandbox.finance_store.transaction() as tx:
        row = tx.find_one("ProjectsV2", dataAreaId="uspm", ProjectId=moved)
        tx.update("ProjectsV2", row["RecId"], {"ProjectName": "Changed meanwhile"})
    anna.answer = "Release"
    done, tasks = run(dagbag, "release_held")
    assert set(tasks.values()) == {"success"}
    told = result(done, "release")
    assert (told["released_by"], told["left_out"]) == ("anna", 1)
    assert any(f"{len(mine) - 1} of {len(mine)} rows released" in leg and moved in leg for leg in told["legs"])
    after = names_in_finance(world)
    assert after == {name: "All the same" if name != moved else "Changed meanwhile" for name in before}
    assert sum(one["method"] == "DELETE" for one in world.writes()) == 2
    (left,) = world.open_rows()
    assert (left.key, left.state, left.rule) == (moved, "waiting", "projects.moved")
    with world.runtime() as runtime:
        runs = [one for one in runtime.ledger.runs() if one.area == "release_held"]
        legs = [leg for one in runs for leg in runtime.ledger.legs(one.run_id)]
    assert {(leg.map, leg.part, leg.state, leg.message) for leg in legs} == {
        ("projects", "rows", "settled", "asked for by anna"),
        ("funding_sources", "deletes", "settled", "asked for by anna"),
    }

    # nothing is held any more; the next run plans anew what was left out
    asked = len(anna.asked)
    done, tasks = run(dagbag, "release_held")
    assert (str(done.state), set(tasks.values()), len(anna.asked)) == ("success", {"skipped"}, asked)
    printed = dualsync(world, "approvals", "release", "projects", "--by", "bob", code=2)
    assert printed.err == "no transfer (projects) needs approval; `dualsync approvals list` shows those that do\n"
    summary = world.sync(["funding_sources", "projects"])
    assert (summary.state, summary.counts.updated) == ("settled", 1)
    assert world.open_rows() == []


def seen(world: World, *keys: str) -> list[int]:
    """A night that found projects renamed in Finance; the numbers of the breaks."""
    moment = datetime.now(UTC)
    night = NightRecord("night", ("USPM",), "", moment, "breaks", 0, len(keys), 0, 0, 0, "", "nowhere", moment)
    words = dict.fromkeys(
        ("currency", "dataverse_value", "finance_value", "dataverse_id", "finance_key", "cause", "explanation"), ""
    )
    rows = [
        words
        | {"control": "map:projects", "company": "USPM", "key": key, "class": "text", "severity": "error"}
        | {"field": "msdyn_subject / ProjectName", "amount": None}
        | {"dataverse_table": "msdyn_project", "finance_set": "ProjectsV2"}
        for key in keys
    ]
    with world.runtime() as runtime:
        result = ControlResult("map:projects", "USPM", "breaks", len(rows))
        runtime.ledger.nights.record(night, [result], [rows])
        return [one.number for one in runtime.ledger.nights.breaks(BreakFilter(run_id="night"))]


def test_breaks_and_rows_are_repaired_by_dag(world: World, dagbag: DagBag, anna: Person) -> None:
    """A dry run by default; above the limit somebody is asked; single rows are replayed."""
    # runs of other tests leave their parameters in the DAG that all share
    assert repair_dag("fresh").params["dry_run"] is True
    before = names_in_finance(world)
    keys = sorted(before)[:2]
    with world.sandbox.finance_store.transaction() as tx:
        for key in keys:
            row = tx.find_one("ProjectsV2", dataAreaId="uspm", ProjectId=key)
            tx.update("ProjectsV2", row["RecId"], {"ProjectName": "Renamed in Finance"})
    world.sync(["projects"], mode="full")
    assert [row.state for row in world.open_rows()] == ["conflict", "conflict"]
    numbers = seen(world, *keys)
    world.forget_requests()

    done, tasks = run(dagbag, "repair_breaks", **REPAIR | {"class": "text"})
    assert (str(done.state), tasks) == ("success", {"plan": "success", "ask": "skipped", "send": "skipped"})
    assert result(done, "plan")["told"] == "2 of 2 breaks would be healed by sending 2 rows again"
    anna.answer = "Do not send"
    done, tasks = run(dagbag, "repair_breaks", **REPAIR | {"numbers": numbers, "limit": 1, "dry_run": False})
    assert (tasks["ask"], tasks["send"], len(anna.asked)) == ("success", "skipped", 1)
    assert anna.asked[0][0] == "Send 2 rows again?"
    assert world.writes() == []

    done, tasks = run(dagbag, "repair_breaks", **REPAIR | {"numbers": numbers[:1], "dry_run": False})
    assert (set(tasks.values()), len(anna.asked)) == ({"success"}, 1)
    assert result(done, "send")["rows"] == {"update": 1}
    assert (names_in_finance(world)[keys[0]], len(world.writes())) == (before[keys[0]], 1)
    anna.answer = "Send"
    done, tasks = run(dagbag, "repair_breaks", **REPAIR | {"control": "map:projects", "limit": 0, "dry_run": False})
    assert set(tasks.values()) == {"success"}
    assert names_in_finance(world) == before
    assert len(world.writes()) == 2
    assert world.open_rows() == []
    with world.runtime() as runtime:
        (leg,) = runtime.ledger.legs(f"repair_breaks.{done.run_id}")
    assert leg.message == "asked for by anna"

    with world.sandbox.finance_store.transaction() as tx:
        row = tx.find_one("ProjectsV2", dataAreaId="uspm", ProjectId=keys[0])
        tx.update("ProjectsV2", row["RecId"], {"ProjectName": "Renamed in Finance"})
    world.sync(["projects"], mode="full")
    one = {"map": "projects", "keys": keys[:1]}
    done, tasks = run(dagbag, "replay_rows", **REPLAY | one)
    told = result(done, "replay")
    assert (tasks, told["rows"]) == ({"replay": "success"}, {"conflict": 1})
    assert told["still_held"][0].startswith(f"projects {keys[0]}: changed in Finance, which does not own it")
    with world.sandbox.finance_store.transaction() as tx:
        tx.update("ProjectsV2", row["RecId"], {"ProjectName": before[keys[0]]})
    done, _ = run(dagbag, "replay_rows", **REPLAY | one | {"dry_run": True})
    assert (result(done, "replay")["state"], len(world.open_rows())) == ("dry_run", 1)
    run(dagbag, "replay_rows", **REPLAY | one | {"company": "USPM", "direction": "to_finance"})
    assert world.open_rows() == []
    done, tasks = run(dagbag, "replay_rows", **REPLAY | one)
    assert (str(done.state), tasks) == ("failed", {"replay": "failed"})
