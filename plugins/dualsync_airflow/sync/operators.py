"""What the tasks of an area's DAG do. Each calls one function of `dualsync.sync.run.pipeline`.

A task is one step of one map and direction over a batch of companies. XCom carries the run's reference and a small
summary; rows travel through the run folder.

Who waits for whom, and what a failure stops:

- Within a group, each step needs the one before. A failed step fails the rest of its own group.
- A group starts when the groups it needs are *done*, however they ended: rows whose parents are missing wait by
  themselves, so that one failing map holds up only the rows that really depend on it.
- A group with nothing to do skips its later steps.
- `finish` looks at all tasks and fails the run if any of them failed.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, SkipMixin
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from dualsync_airflow.connections.session import open_runtime

if TYPE_CHECKING:
    from airflow.sdk import Context

    from dualsync.mapping import Direction
    from dualsync.sync.legs.runtime import RunRef

STEPS = ("extract", "reconcile", "validate", "load", "settle")
START = "start"
WRITTEN = ("created", "updated", "deleted")


class StartOperator(BaseOperator):
    """Opens a run and hands its reference to all other tasks.

    Args:
        area: name of the area or job, as it stands in the ledger.
        maps: all maps of the DAG; the run's parameter `maps` chooses among them.
    """

    ui_color = "#e8f0e8"

    def __init__(self, *, area: str, maps: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.area = area
        self.maps = list(maps)

    def execute(self, context: "Context") -> dict[str, Any]:
        """Start the run with the parameters of the DAG run; returns its reference as plain data."""
        from dualsync.sync.run.pipeline import start_run

        params = context["params"]
        chosen = set(params["maps"] or self.maps)
        with open_runtime() as runtime:
            run = start_run(
                self.area,
                runtime=runtime,
                mode=params["mode"],
                dry_run=params["dry_run"],
                companies=params["companies"],
                maps=[name for name in self.maps if name in chosen],
                # named after the DAG run, so that clearing this task opens the same run again
                run_id=f"{context['dag'].dag_id}.{context['run_id']}",
            )
        self.log.info("Run %s: %s, companies %s, %s maps", run.run_id, run.mode, run.companies, len(run.maps))
        return run.to_dict()


class StepOperator(BaseOperator, SkipMixin):
    """One step of one map and direction.

    Args:
        step: one of the five steps.
        map_name: the table map.
        direction: `to_finance` or `to_dataverse`.
        batch: number of this task's batch of companies, from 0.
        batches: how many batches the companies are dealt into.
        skips: id of the task to skip if `extract` found nothing to plan, or `settle` had nothing written.
    """

    template_fields = ("batch",)
    ui_color = "#e8eef8"

    def __init__(
        self,
        *,
        step: str,
        map_name: str,
        direction: "Direction",
        batch: int = 0,
        batches: int = 1,
        skips: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.step = step
        self.map_name = map_name
        self.direction = direction
        self.batch = batch
        self.batches = batches
        self.skips = skips

    def execute(self, context: "Context") -> None:
        """Run the step; its summary becomes the task's XCom. What has nothing to do next is skipped."""
        from dualsync.sync.run.pipeline import run_step

        run = run_of(context)
        if self.map_name not in run.maps:
            raise AirflowSkipException(f"{self.map_name} is not among the maps of this run")
        with open_runtime() as runtime:
            companies = runtime.companies_for(runtime.catalog[self.map_name], run.companies)
            mine = companies[int(self.batch) :: self.batches]
            if not mine:
                raise AirflowSkipException("no companies in this batch")
            summary = run_step(
                self.step, run=run, map_name=self.map_name, direction=self.direction, companies=mine, runtime=runtime
            )
        for leg in summary.legs:
            self.log.info("%s: %s %s %s", leg.company, leg.state, leg.counts, leg.message)
        if summary.superseded:
            raise AirflowSkipException(summary.legs[0].message)
        # pushed here and not returned, since skipping the next task ends this one with an exception
        context["ti"].xcom_push("return_value", summary.to_dict())
        nothing_to_do = summary.empty if self.step == "extract" else not summary.written
        if self.skips is not None and nothing_to_do:
            self.skip(context["ti"], [self.dag.get_task(self.skips)])


class PublishOperator(BaseOperator):
    """Emits the Asset of the table a direction wrote. Skipped where nothing was written.

    Args:
        settled: id of the task that settled the direction.
    """

    ui_color = "#f8f0e0"

    def __init__(self, *, settled: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.settled = settled

    def execute(self, context: "Context") -> None:
        """Attach the counts to the Asset's event."""
        summaries = context["ti"].xcom_pull(task_ids=self.settled)
        summaries = [summaries] if isinstance(summaries, dict) else list(summaries or [])
        counts = {name: sum(leg["counts"].get(name, 0) for one in summaries for leg in one["legs"]) for name in WRITTEN}
        if not any(counts.values()):
            raise AirflowSkipException("nothing was written")
        for asset in self.outlets:
            context["outlet_events"][asset].extra = dict(counts)


class DeletionsOperator(BaseOperator):
    """Carries deletions over, after all maps, children before their parents."""

    ui_color = "#f8e8e8"

    def execute(self, context: "Context") -> dict[str, Any]:
        """Delete what the owning side deleted; returns a small summary."""
        from dualsync.sync.run.pipeline import run_deletions

        run = run_of(context)
        with open_runtime() as runtime:
            summary = run_deletions(run, run.maps, run.companies, runtime)
        return summary.to_dict()


class FinishOperator(BaseOperator):
    """Ends the run; fails if anything in it failed or was held, since it decides how the DAG run ended."""

    ui_color = "#e8f0e8"

    def execute(self, context: "Context") -> dict[str, Any]:
        """Close the run in the ledger; returns its totals."""
        from dualsync.sync.run.pipeline import finish_run

        run = run_of(context)
        with open_runtime() as runtime:
            summary = finish_run(run, runtime)
        counts = asdict(summary.counts)
        self.log.info("%s: %s", summary.state, counts)
        ti = context["ti"]
        states = ti.get_task_states(dag_id=ti.dag_id, run_ids=[ti.run_id]).get(ti.run_id, {})
        failed = sorted(task for task, state in states.items() if state == "failed")
        stopped = [f"{leg.map} {leg.direction} of {leg.company} {leg.state}: {leg.message}" for leg in summary.stopped]
        if failed or stopped:
            raise AirflowFailException("; ".join(stopped or [f"tasks failed: {', '.join(failed)}"]))
        return {"run_id": summary.run_id, "state": summary.state, "counts": counts}


def run_of(context: "Context") -> "RunRef":
    """The run that `start` opened.

    Raises:
        AirflowSkipException: it opened none; `start` has failed and says why.
    """
    from dualsync.sync.legs.runtime import RunRef

    reference = context["ti"].xcom_pull(task_ids=START)
    if not reference:
        raise AirflowSkipException("the run was not started")
    return RunRef.from_dict(reference)
