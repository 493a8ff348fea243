"""What runs, what is skipped and what goes on when steps have nothing to do or fail.

The steps are played here: what matters is how Airflow goes on after each outcome, not what the steps do.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from dualsync.errors import SettingsError, SignInFailed, Throttled
from dualsync.mapping import Catalog
from dualsync.sync.legs.leg import RunRef
from dualsync.sync.legs.spec import RunSpec
from dualsync.sync.run import runs, steps

if TYPE_CHECKING:
    from airflow.sdk import DAG

# workers needs nothing, projects needs workers and legal entities; legal entities and workers go both ways
MAPS = ("legal_entities", "workers", "projects")


class Played:
    """Stands in for the functions of ``dualsync.sync.run``: answers as told, and notes who asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, str, tuple[str, ...]]] = []
        self.answers: dict[tuple[str, str, str], str | Exception] = {}
        self.companies: tuple[str, ...] = ("USPM", "GBPM", "FRRT")
        self.finished = 0

    def start_run(self, spec: RunSpec, runtime: Any) -> RunRef:
        return RunRef(spec.run_id, "nowhere", replace(spec, companies=spec.companies or self.companies))

    def run_step(
        self, step: str, *, run: RunRef, map_name: str, direction: str, companies: Sequence[str], runtime: Any
    ) -> steps.StepSummary:
        self.calls.append((map_name, direction, step, tuple(companies)))
        state, counts, empty = "settled", {"created": 2}, False
        match self.answers.get((map_name, direction, step)):
            case "nothing":
                counts, empty = {}, step == "extract"
            case "superseded":
                state = "superseded"
            case Exception() as error:
                raise error
        legs = tuple(steps.LegSummary(one, state, counts) for one in companies)
        return steps.StepSummary(step, map_name, direction, legs, empty)

    def finish_run(self, run: RunRef, runtime: Any) -> runs.RunSummary:
        self.finished += 1
        return runs.RunSummary(run.run_id, "settled", ())

    def steps(self, map_name: str, direction: str) -> list[str]:
        return [call[2] for call in self.calls if call[:2] == (map_name, direction)]


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch, brisk: None) -> Played:
    played = Played()
    catalog = Catalog.load()
    runtime = SimpleNamespace(
        catalog=catalog,
        companies_for=lambda one, companies: ("_global",) if one.scope == "global" else tuple(companies),
    )
    for module, name in ((runs, "start_run"), (steps, "run_step"), (runs, "finish_run")):
        monkeypatch.setattr(module, name, getattr(played, name))
    monkeypatch.setattr(steps, "run_deletions", lambda *given: steps.StepSummary("deletions", "", "", (), True))
    monkeypatch.setattr("dualsync_airflow.sync.operators.open_runtime", lambda: nullcontext(runtime))
    return played


@pytest.fixture
def build(airflow_db: None) -> "Callable[[str], DAG]":
    """A DAG over three maps, stored under a name of its own so that it can be run."""

    def build(dag_id: str) -> "DAG":
        from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

        from dualsync_airflow.sync.dag import sync_dag

        dag = sync_dag(dag_id, Catalog.load(), MAPS, title=dag_id, when="a test", schedule=None, mode="incremental")
        dag.fileloc = __file__
        bag = DagBag("/dev/null")
        bag.bag_dag(dag)
        sync_bag_to_db(bag, "dags-folder", None)
        return dag

    return build


def run(dag: "DAG", **params: Any) -> tuple[str, dict[str, str]]:
    """State of the run, and of its tasks by id; mapped tasks have their index behind the id."""
    done = dag.test(run_conf=params)
    tasks = {
        one.task_id if one.map_index < 0 else f"{one.task_id}[{one.map_index}]": str(one.state)
        for one in done.get_task_instances()
    }
    return str(done.state), tasks


def ended(tasks: dict[str, str], state: str) -> set[str]:
    return {task for task, found in tasks.items() if found == state}


def test_everything_runs_once(played: Played, build: "Callable[[str], DAG]") -> None:
    state, tasks = run(build("everything"))
    assert state == "success"
    assert set(tasks.values()) == {"success"}
    assert ("projects", "to_finance", "load", ("USPM", "GBPM", "FRRT")) in played.calls
    assert ("legal_entities", "to_dataverse", "load", ("_global",)) in played.calls
    assert len(played.calls) == len(set(played.calls)) == 5 * 5
    assert played.finished == 1


def test_group_with_nothing_to_do_is_skipped_and_its_dependants_run(
    played: Played, build: "Callable[[str], DAG]"
) -> None:
    played.answers["workers", "to_dataverse", "extract"] = "nothing"
    state, tasks = run(build("nothing_to_do"))
    assert state == "success"
    assert played.steps("workers", "to_dataverse") == ["extract"]
    assert len(played.steps("workers", "to_finance")) == 5
    assert len(played.steps("projects", "to_finance")) == 5
    names = {f"workers.to_dataverse.{step}" for step in ("reconcile", "validate", "load", "settle")}
    assert ended(tasks, "skipped") == names | {"workers.publish_dataverse"}


def test_nothing_is_announced_when_nothing_was_written(played: Played, build: "Callable[[str], DAG]") -> None:
    played.answers["projects", "to_finance", "settle"] = "nothing"
    state, tasks = run(build("nothing_written"))
    assert state == "success"
    assert ended(tasks, "skipped") == {"projects.publish"}


def test_failure_stops_its_group_only_and_fails_the_run(played: Played, build: "Callable[[str], DAG]") -> None:
    played.answers["workers", "to_dataverse", "reconcile"] = SignInFailed("not with this secret")
    state, tasks = run(build("failure"))
    assert state == "failed"
    assert played.steps("workers", "to_dataverse") == ["extract", "reconcile"], "a terminal failure is not repeated"
    assert len(played.steps("workers", "to_finance")) == 5
    assert len(played.steps("projects", "to_finance")) == 5
    assert ended(tasks, "failed") == {"workers.to_dataverse.reconcile", "finish"}
    assert tasks["deletions"] == "success"
    assert played.finished == 1


def test_superseded_plan_yields_visibly(played: Played, build: "Callable[[str], DAG]") -> None:
    played.answers["projects", "to_finance", "load"] = "superseded"
    state, tasks = run(build("superseded"))
    assert state == "success"
    assert ended(tasks, "skipped") == {"projects.load", "projects.settle", "projects.publish"}


def test_only_chosen_maps_run(played: Played, build: "Callable[[str], DAG]") -> None:
    state, _ = run(build("chosen"), maps=["projects"], companies=["GBPM"])
    assert state == "success"
    assert {call[0] for call in played.calls} == {"projects"}
    assert {call[3] for call in played.calls} == {("GBPM",)}


def test_failed_start_runs_nothing(played: Played, build: "Callable[[str], DAG]", monkeypatch: Any) -> None:
    def refuse(*given: Any, **named: Any) -> RunRef:
        raise SettingsError("no such company")

    monkeypatch.setattr(runs, "start_run", refuse)
    state, tasks = run(build("no_start"))
    assert state == "failed"
    assert played.calls == []
    assert tasks["start"] == "failed"


def test_many_companies_are_dealt_into_batches(
    played: Played, build: "Callable[[str], DAG]", monkeypatch: pytest.MonkeyPatch
) -> None:
    played.companies = tuple(f"C{number:02d}" for number in range(23))
    monkeypatch.setattr("dualsync_airflow.sync.dag._batches", lambda: 3)
    played.answers["workers", "to_dataverse", "extract"] = "nothing"
    state, tasks = run(build("batches"))
    assert state == "success"
    batches = [call[3] for call in played.calls if call[:1] == ("projects",) and call[2] == "load"]
    assert sorted(company for batch in batches for company in batch) == sorted(played.companies)
    assert max(len(batch) for batch in batches) <= 10
    assert tasks["projects.publish"] == "success"


def test_throttling_is_tried_again_no_sooner_than_asked() -> None:
    from dualsync_airflow.failures import FailurePolicy

    decision = FailurePolicy().evaluate(Throttled("slower", retry_after=7.0), 1, 3)
    assert decision.action.value == "retry"
    assert decision.retry_delay is not None
    assert decision.retry_delay.total_seconds() == 7
