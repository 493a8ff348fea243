"""The DAG of the nightly reconciliation: its shape, its settings, and the tasks at its end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from dualsync.mapping import Catalog
from dualsync.mapping.areas import AREA_NAMES, area_title
from support.airflow_runs import task_context
from support.channels import Channel, serving

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

DAG_ID = "nightly_reconciliation"
PARAMS: dict[str, Any] = {"companies": [], "maps": [], "controls": [], "period": "", "fail_on_critical": True}
AT_THE_END = ("publish", "report", "data_docs", "notify", "verdict")
"""Tasks that run even if others have failed."""


@pytest.fixture
def dag(dagbag: DagBag) -> Any:
    return dagbag.dags[DAG_ID]


@pytest.fixture
def compares(dag: Any) -> dict[str, Any]:
    """The tasks that compare, by area."""
    return {task.task_id.split(".")[1]: task for task in dag.tasks if task.task_id.startswith("compare.")}


def above(task: Any) -> set[str]:
    """The tasks that come before a task."""
    return {before.task_id for before in task.get_flat_relatives(upstream=True)}


def test_policies_of_the_dag(dag: Any) -> None:
    assert {"dualsync", DAG_ID} <= set(dag.tags)
    assert (dag.catchup, dag.max_active_runs) == (False, 1)
    assert dag.description
    assert set(dag.params) == set(PARAMS)
    assert all(f"| {area_title(area)} |" in dag.doc_md for area in AREA_NAMES)


def test_policies_of_its_tasks(dag: Any) -> None:
    for task in dag.tasks:
        assert task.retries >= 2, task.task_id
        assert task.retry_policy is not None, task.task_id
        assert task.doc_md, task.task_id
        assert task.pool in {"dataverse_api", "finance_api", "default_pool"}, task.task_id


def test_every_enabled_map_is_compared_once(compares: dict[str, Any]) -> None:
    assert set(compares) == set(AREA_NAMES)
    maps = [name for task in compares.values() for name in task.maps]
    assert sorted(maps) == sorted(name for name, one in Catalog.load().declared.items() if one.enabled)


def test_an_area_is_compared_after_all_that_its_maps_need(compares: dict[str, Any]) -> None:
    catalog = Catalog.load()
    maps = {name for task in compares.values() for name in task.maps}
    for area, task in compares.items():
        before = above(task) | {task.task_id}
        done = {name for other, one in compares.items() if f"compare.{other}" in before for name in one.maps}
        needed = {need for name in task.maps for need in catalog.ancestors(name)} & maps
        assert needed <= done, area
        assert {"read_finance", "read_dataverse"} <= before


def test_results_are_published_after_all_whatever_became_of_them(dag: Any) -> None:
    assert all(dag.get_task(name).trigger_rule == "all_done" for name in AT_THE_END)
    assert above(dag.get_task("publish")) == {task.task_id for task in dag.tasks} - set(AT_THE_END)


def test_schedule_and_strictness_are_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from dualsync_airflow.nightly.dag import nightly_dag

    monkeypatch.setenv("DUALSYNC_HOME", str(tmp_path))

    def built() -> tuple[str, str, bool]:
        dag = nightly_dag("built", title="built", when="a test")
        timetable: Any = dag.timetable
        return timetable.expression, str(timetable.timezone), dag.params["fail_on_critical"]

    assert built() == ("0 2 * * *", "UTC", True)
    settings = 'time_zone = "Europe/Paris"\n[nightly]\nschedule = "30 3 * * 1-5"\nfail_on_critical = false\n'
    (tmp_path / "dualsync.toml").write_text(settings)
    assert built() == ("30 3 * * 1-5", "Europe/Paris", False)
    (tmp_path / "dualsync.toml").write_text('[nightly]\nschedule = ""\n')
    assert nightly_dag("built", title="built", when="a test").timetable.can_be_scheduled is False
    (tmp_path / "dualsync.toml").write_text("time_zone = 7\n")
    assert built() == ("0 2 * * *", "UTC", True), "the run will say what is wrong; the DAG stays in sight"


def judged(state: str = "breaks", critical: int = 0, failed: int = 0, gaps: tuple[str, ...] = ()) -> dict[str, Any]:
    counts = {"critical": critical, "error": 3, "warning": 1}
    return {"run_id": "n", "state": state, "counts": counts, "not_run": 0, "failed": failed, "matched": "1",
            "new": 0, "resolved": 0, "gaps": gaps, "tested": "97 of 98 checks"}  # fmt: skip


@pytest.mark.parametrize(
    ("verdict", "states", "params", "failure"),
    [
        (judged("equal"), {}, {}, ""),
        (judged(), {}, {}, ""),
        (judged(critical=2), {}, {}, "verdict exceptions: 2 critical exceptions"),
        (judged(critical=2), {}, {"fail_on_critical": False}, ""),
        (
            judged("failed", failed=4),
            {},
            {"fail_on_critical": False},
            "verdict failed: controls, table maps and suites that failed: 4",
        ),
        (judged("failed"), {}, {}, "verdict failed: the control totals were not computed"),
        (judged("incomplete", gaps=("R5d",)), {}, {}, ""),
        (judged("equal"), {"notify": "failed", "ask": "success"}, {}, "verdict agrees: tasks failed: notify"),
        (None, {"begin": "failed"}, {}, "the results were not published; tasks failed: begin"),
    ],
)
def test_the_verdict_decides_how_the_run_ends(
    dagbag: DagBag, verdict: dict[str, Any] | None, states: dict[str, str], params: dict[str, Any], failure: str
) -> None:
    task: Any = dagbag.dags[DAG_ID].get_task("verdict")
    given = task_context(dagbag, DAG_ID, "r", PARAMS | params, xcoms={"publish": verdict}, states=states)
    try:
        task.execute(given)
        ended = ""
    except AirflowFailException as error:
        ended = str(error)
    assert ended == failure


def test_what_was_not_tested_fails_the_run_where_the_settings_say_so(
    dagbag: DagBag, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DUALSYNC_HOME", str(tmp_path))
    monkeypatch.setenv("DUALSYNC_NIGHTLY__FAIL_ON_INCOMPLETE", "true")
    task: Any = dagbag.dags[DAG_ID].get_task("verdict")
    accepted = task_context(dagbag, DAG_ID, "r", PARAMS, xcoms={"publish": judged("incomplete")})
    assert task.execute(accepted)["state"] == "incomplete"
    given = task_context(dagbag, DAG_ID, "r", PARAMS, xcoms={"publish": judged("incomplete", gaps=("R5d", "R6a"))})
    with pytest.raises(AirflowFailException, match="agrees as far as tested: not tested and not accepted: R5d, R6a"):
        task.execute(given)


@pytest.fixture
def notify(dagbag: DagBag, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Runs the task that notifies, for a verdict and states of tasks."""
    monkeypatch.setenv("DUALSYNC_HOME", str(tmp_path))
    task: Any = dagbag.dags[DAG_ID].get_task("notify")

    def run(verdict: dict[str, Any] | None, states: Mapping[str, str] | None = None) -> Any:
        return task.execute(task_context(dagbag, DAG_ID, "r", PARAMS, xcoms={"publish": verdict}, states=states))

    return run


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch) -> Iterator[Channel]:
    with serving(Channel()) as channel:
        monkeypatch.setenv("AIRFLOW_CONN_TEAMS", channel.connection("teams", "x"))
        monkeypatch.setenv("DUALSYNC_ALERTS__WEBHOOKS", "teams")
        yield channel


def test_nothing_is_sent_below_the_thresholds(notify: Any) -> None:
    with pytest.raises(AirflowSkipException, match="no threshold"):
        notify(judged())


def test_nothing_is_sent_where_no_channel_is_set_up(notify: Any) -> None:
    with pytest.raises(AirflowSkipException, match="no channel is set up"):
        notify(judged(critical=1))


def test_a_message_that_is_not_delivered_fails_the_task(
    notify: Any, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dualsync_airflow.notifiers.ATTEMPTS", 1)
    channel.answers = [500]
    with pytest.raises(AirflowFailException, match="webhook teams answered 500"):
        notify(None, {"begin": "failed"})
    assert len(channel.messages) == 1


def test_a_message_names_the_thresholds_that_were_crossed(notify: Any, channel: Channel) -> None:
    sent = notify(judged(critical=1))
    assert sent == {"reasons": ["critical exceptions: 1, more than 0"], "channels": ["webhook teams"]}
    assert len(channel.messages) == 1


def test_building_the_dag_needs_none_of_the_heavy_libraries() -> None:
    """The DAG processor builds it again and again."""
    import subprocess
    import sys

    code = (
        "import sys, dualsync_airflow.nightly.dag as n; n.nightly_dag('d', title='t', when='w'); "
        "print([m for m in ('pandas', 'pyarrow', 'duckdb', 'great_expectations', 'msal') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip().splitlines()[-1] == "[]"
