"""What tasks read from their context: the run they belong to, the tasks that failed, the people behind it."""

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from dualsync.reports.words import state_word, transfer_name

if TYPE_CHECKING:
    from airflow.sdk import Context

    from dualsync.ledger import LegRecord


def ledger_run_id(context: "Context") -> str:
    """Return the id of the run in the ledger, made from that of the DAG run.

    Clearing a task of the DAG run, or another try of it, therefore goes on with the same run of the ledger.
    """
    return f"{context['dag'].dag_id}.{context['run_id']}"


def tasks_in_state(context: "Context", states: Collection[str]) -> list[str]:
    """Return the ids of the DAG run's tasks that are in one of the given states, sorted."""
    ti = context["ti"]
    by_task = ti.get_task_states(dag_id=ti.dag_id, run_ids=[ti.run_id]).get(ti.run_id, {})
    return sorted(task_id for task_id, state in by_task.items() if state in states)


def stopped_text(stopped: "Iterable[LegRecord]") -> str:
    """Name transfers that did not come to an end, each with its state and the reason."""
    return "; ".join(
        f"{transfer_name(leg.map, leg.direction, leg.company, leg.part)}: {state_word(leg.state)}, {leg.message}"
        for leg in stopped
    )


def triggered_by(context: "Context") -> str:
    """Return the name of whoever triggered the DAG run; empty where Airflow does not know."""
    return str(getattr(context["dag_run"], "triggering_user_name", None) or "")


def answered_by(answer: dict[str, Any]) -> str:
    """Return the person who answered a question of Airflow, by name and id."""
    user = answer.get("responded_by_user") or {}
    name, identity = user.get("name") or "", user.get("id") or ""
    return str(name or identity) if name == identity or not (name and identity) else f"{name} ({identity})"
