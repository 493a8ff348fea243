"""The DAGs by which people repair: their shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dualsync_airflow.repair.dag import repair_dag

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag


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


def test_exceptions_are_not_sent_unless_somebody_says_so() -> None:
    # runs of other tests leave their parameters in the DAG that all share
    assert repair_dag("fresh", title="Fresh", when="a test").params["dry_run"] is True
