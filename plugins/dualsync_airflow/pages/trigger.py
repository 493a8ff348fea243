"""Starts a DAG run in the name of whoever pressed the button."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow.api.common.trigger_dag import trigger_dag
from airflow.models.dag import DagModel
from airflow.sdk.exceptions import AirflowException, ParamValidationError
from airflow.utils.types import DagRunTriggeredByType


class NotStarted(Exception):
    """A DAG run could not be started."""


@dataclass(frozen=True, slots=True)
class Started:
    """A DAG run that was started, and whether it has to wait because its DAG is paused."""

    dag_id: str
    run_id: str
    paused: bool


def start(dag_id: str, params: dict[str, Any], user: str) -> Started:
    """Start a run of a DAG; the caller has checked that the user may.

    Args:
        dag_id: The DAG.
        params: Its parameters.
        user: Name of the user, for the run's record.

    Raises:
        NotStarted: There is no such DAG, it cannot be read, or it refuses the parameters.
    """
    dag = DagModel.get_current(dag_id)
    if dag is None or dag.is_stale:
        raise NotStarted(f"Airflow has no DAG {dag_id}.")
    if dag.has_import_errors:
        raise NotStarted(f"The DAG {dag_id} has import errors.")
    try:
        run = trigger_dag(dag_id, triggered_by=DagRunTriggeredByType.UI, triggering_user_name=user, conf=params)
    except (AirflowException, ParamValidationError, ValueError) as error:
        raise NotStarted(f"The DAG {dag_id} was not started: {error}") from error
    if run is None:
        raise NotStarted(f"The DAG {dag_id} was not started.")
    return Started(dag_id, run.run_id, bool(dag.is_paused))
