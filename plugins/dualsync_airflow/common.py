"""What all DAGs of dualsync share: how one is built, its defaults, its pools, and the parameters that several have.

Building a DAG reads the table maps and the settings, and nothing else: no network, no database, none of the heavy
libraries.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, CronTriggerTimetable, Param

from dualsync.errors import SettingsError
from dualsync.settings import Settings
from dualsync_airflow.failures import FailurePolicy

POOLS = {"dataverse": "dataverse_api", "finance": "finance_api"}
"""The pool of the tasks that mostly speak to one of the two systems."""

NO_API = "default_pool"
"""The pool of all other tasks."""

DEFAULT_ARGS: dict[str, Any] = {
    "owner": "dualsync",
    "retries": 3,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=10),
    "retry_policy": FailurePolicy(),
}


def build_dag(
    dag_id: str,
    *,
    title: str,
    when: str,
    doc: str,
    params: dict[str, Param],
    schedule: CronTriggerTimetable | None = None,
    tags: Sequence[str] = (),
    max_active_runs: int = 1,
) -> DAG:
    """Build a DAG without tasks.

    Args:
        dag_id: Id of the DAG.
        title: What people read instead of the id.
        when: When to trigger it, as the end of the sentence "Trigger this when ...".
        doc: The rest of its page, in Markdown.
        params: What the form of *Trigger* asks for.
        schedule: When it runs by itself; None for runs by hand only.
        tags: Tags beside ``dualsync`` and its id.
        max_active_runs: How many of its runs may be active at once.

    Returns:
        The DAG, to be used in a ``with`` statement.
    """
    trigger = f"Trigger this when {when}."
    return DAG(
        dag_id=dag_id,
        dag_display_name=title,
        description=trigger,
        schedule=schedule,
        catchup=False,
        max_active_runs=max_active_runs,
        default_args=DEFAULT_ARGS,
        params=params,
        tags=["dualsync", *tags, dag_id],
        doc_md=f"{trigger}\n\n{doc}",
    )


def timetable(schedule: str | None, zone: str = "UTC") -> CronTriggerTimetable | None:
    """Build a timetable that never makes up for a time that has passed.

    When its DAG is unpaused, the first run starts at the next time of the schedule.

    Args:
        schedule: Cron expression; None for runs by hand only.
        zone: The time zone in which it is meant.
    """
    if schedule is None:
        return None
    return CronTriggerTimetable(schedule, timezone=zone, run_immediately=timedelta(0))


def settings_if_valid() -> Settings | None:
    """Read the settings; None where one of them is wrong.

    A wrong setting is reported by the run, which reads them again. It should not hide the DAG.
    """
    try:
        return Settings.load()
    except SettingsError:
        return None


# --- parameters -------------------------------------------------------------------------------------------------------
# Each DAG needs parameters of its own: Airflow writes into them what a run is given.


OPTIONAL_LIST = ["null", "array"]
"""Type of a list that may be left empty. The form would mark a plain array as required."""


def companies_param() -> Param:
    """Build the parameter that chooses companies."""
    return Param(
        [],
        type=OPTIONAL_LIST,
        items={"type": "string", "pattern": "^[A-Za-z0-9]{1,4}$"},
        title="Companies",
        description="Codes of the legal entities, one per line, such as USPM. Leave it empty for all integrated ones.",
    )


def maps_param(maps: Sequence[str], description: str) -> Param:
    """Build the parameter that chooses table maps.

    Args:
        maps: The maps to choose from.
        description: What choosing one means, and what choosing none means.
    """
    return Param(
        [],
        type=OPTIONAL_LIST,
        items={"type": "string", "enum": list(maps)},
        examples=list(maps),
        title="Table maps",
        description=description,
    )


def dry_run_param(default: bool, description: str) -> Param:
    """Build the parameter that keeps a run from writing to either system.

    Args:
        default: Whether a run is a dry run unless somebody says otherwise.
        description: What a dry run of this DAG does.
    """
    return Param(default, type="boolean", title="Dry run", description=description)
