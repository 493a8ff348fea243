"""Runs of DAGs in tests: quick ones within this process, and single tasks with a context that is played."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag


@dataclass(frozen=True)
class DagRunResult:
    """A DAG run that has ended.

    Attributes:
        run_id: Its id in Airflow.
        state: How it ended.
        tasks: How each task ended, by id.
        xcoms: What each task returned, by id.
    """

    run_id: str
    state: str
    tasks: dict[str, str]
    xcoms: dict[str, Any]

    def ended(self, state: str) -> set[str]:
        """The tasks that ended in a state."""
        return {task_id for task_id, ended in self.tasks.items() if ended == state}


def run_dag(dagbag: DagBag, dag_id: str, params: Mapping[str, Any]) -> DagRunResult:
    """Run a DAG to its end."""
    dag_run = dagbag.dags[dag_id].test(run_conf=dict(params))
    instances = dag_run.get_task_instances()
    return DagRunResult(
        dag_run.run_id,
        str(dag_run.state),
        {task.task_id: str(task.state) for task in instances},
        {task.task_id: task.xcom_pull(task_ids=task.task_id) for task in instances},
    )


def task_context(
    dagbag: DagBag,
    dag_id: str,
    run_id: str,
    params: Mapping[str, Any],
    *,
    xcoms: Mapping[str, Any],
    states: Mapping[str, str] | None = None,
) -> Any:
    """What Airflow gives a task, played.

    Args:
        dagbag: The DAGs.
        dag_id: The DAG.
        run_id: The DAG run.
        params: Its parameters.
        xcoms: What other tasks of it returned.
        states: How other tasks of it ended.
    """
    ti = SimpleNamespace(
        dag_id=dag_id,
        run_id=run_id,
        xcom_pull=lambda task_ids: xcoms.get(task_ids),
        get_task_states=lambda dag_id, run_ids: {run_id: dict(states or {})},
    )
    return {"ti": ti, "dag": dagbag.dags[dag_id], "run_id": run_id, "params": dict(params)}


def make_brisk(patch: pytest.MonkeyPatch) -> None:
    """Take out of ``dag.test()`` what only costs time.

    It sleeps a second whenever a group of tasks was skipped, and parses and stores all DAGs anew for each run, at some
    seconds each; the fixture ``dagbag`` has stored them.
    """
    from airflow.dag_processing.dagbag import DagBag

    sleep = time.sleep
    patch.setattr("time.sleep", lambda seconds: sleep(0 if seconds == 1 else seconds))
    patch.setattr("airflow.dag_processing.dagbag.BundleDagBag", lambda **_: DagBag("/dev/null"))
