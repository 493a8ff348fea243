"""What the tasks of an area's DAG do. Each calls one function of ``dualsync.sync.run``.

A task is one step of one map and direction over a batch of companies. XCom carries the run's reference and a small
summary; rows travel through the run folder.

Who waits for whom, and what a failure stops:

- Within a group, each step needs the one before. A failed step fails the rest of its own group.
- A group starts when the groups it needs have ended, whether they succeeded or not: rows whose parents are missing wait
  by themselves, so that one failing map delays only the rows that really depend on it.
- A group with nothing to do skips its later steps.
- ``finish`` looks at all tasks and fails the run if any of them failed.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, SkipMixin
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from dualsync.sync.plan.vocabulary import Step
from dualsync_airflow.connections.session import open_runtime
from dualsync_airflow.context import ledger_run_id, stopped_text, tasks_in_state

if TYPE_CHECKING:
    from airflow.sdk import Context

    from dualsync.mapping import Direction
    from dualsync.sync.legs.leg import RunRef

START = "start"
"""Id of the task that opens the run."""

WRITTEN = ("created", "updated", "deleted")
"""The counts that an Asset's event carries."""


class StartOperator(BaseOperator):
    """Opens a run and hands its reference to all other tasks.

    Args:
        area: Name of the area or job, as it stands in the ledger.
        maps: All maps of the DAG; the parameter ``maps`` of the run chooses among them.
    """

    ui_color = "#e8f0e8"

    def __init__(self, *, area: str, maps: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.area = area
        self.maps = list(maps)

    def execute(self, context: "Context") -> dict[str, Any]:
        """Start the run with the parameters of the DAG run.

        Returns:
            The run's reference as plain data.
        """
        from dualsync.sync.legs.spec import RunSpec
        from dualsync.sync.run.runs import start_run

        params = context["params"]
        selected = set(params["maps"] or self.maps)
        with open_runtime() as runtime:
            spec = RunSpec(
                self.area,
                mode=params["mode"],
                dry_run=params["dry_run"],
                companies=params["companies"] or (),
                maps=[name for name in self.maps if name in selected],
                run_id=ledger_run_id(context),
            )
            run = start_run(spec, runtime)
        self.log.info("Run %s: %s, companies %s, %s maps", run.run_id, run.mode, run.companies, len(run.maps))
        return run.to_dict()


class StepOperator(BaseOperator, SkipMixin):
    """One step of one map and direction.

    Args:
        step: One of the five steps.
        map_name: The table map.
        direction: ``to_finance`` or ``to_dataverse``.
        batch: Number of this task's batch of companies, from 0.
        batches: How many batches share the companies.
        skips: Id of the task to skip if ``extract`` found nothing to plan, or if ``settle`` had nothing written.
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
        """Run the step. Its summary becomes the task's XCom, and a next task with nothing to do is skipped.

        Raises:
            AirflowSkipException: The run leaves this map or all companies of this batch out, or another run took over.
        """
        from dualsync.sync.run.steps import run_step

        run = run_of(context)
        if self.map_name not in run.maps:
            raise AirflowSkipException(f"{self.map_name} is not among the maps of this run")
        with open_runtime() as runtime:
            companies = runtime.companies_for(runtime.catalog[self.map_name], run.companies)
            batch = companies[int(self.batch) :: self.batches]
            if not batch:
                raise AirflowSkipException("no companies in this batch")
            summary = run_step(
                self.step, run=run, map_name=self.map_name, direction=self.direction, companies=batch, runtime=runtime
            )
        for leg in summary.legs:
            self.log.info("%s: %s %s %s", leg.company, leg.state, leg.counts, leg.message)
        if summary.superseded:
            raise AirflowSkipException(summary.legs[0].message)
        # Pushed here and not returned, since skipping the next task ends this one with an exception.
        context["ti"].xcom_push("return_value", summary.to_dict())
        nothing_to_do = summary.empty if self.step == Step.EXTRACT else not summary.written
        if self.skips is not None and nothing_to_do:
            self.skip(context["ti"], [self.dag.get_task(self.skips)])


class PublishOperator(BaseOperator):
    """Updates the Asset of the table that a direction wrote.

    Args:
        settled: Id of the task that settled the direction.
    """

    ui_color = "#f8f0e0"

    def __init__(self, *, settled: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.settled = settled

    def execute(self, context: "Context") -> None:
        """Attach the counts to the Asset's event.

        Raises:
            AirflowSkipException: No row was written.
        """
        pulled = context["ti"].xcom_pull(task_ids=self.settled)
        summaries = [pulled] if isinstance(pulled, dict) else list(pulled or [])
        legs = [leg for summary in summaries for leg in summary["legs"]]
        counts = {name: sum(leg["counts"].get(name, 0) for leg in legs) for name in WRITTEN}
        if not any(counts.values()):
            raise AirflowSkipException("nothing was written")
        for asset in self.outlets:
            context["outlet_events"][asset].extra = dict(counts)


class DeletionsOperator(BaseOperator):
    """Carries deletions over after all maps have ended, children before their parents."""

    ui_color = "#f8e8e8"

    def execute(self, context: "Context") -> dict[str, Any]:
        """Delete what the owning side deleted.

        Returns:
            A small summary.
        """
        from dualsync.sync.run.steps import run_deletions

        run = run_of(context)
        with open_runtime() as runtime:
            summary = run_deletions(run, run.maps, run.companies, runtime)
        return summary.to_dict()


class FinishOperator(BaseOperator):
    """Closes the run, and decides how the DAG run ends."""

    ui_color = "#e8f0e8"

    def execute(self, context: "Context") -> dict[str, Any]:
        """Close the run in the ledger.

        Returns:
            Its id, state and counts.

        Raises:
            AirflowFailException: A task failed, or a transfer failed or needs approval.
        """
        from dualsync.sync.run.runs import finish_run

        run = run_of(context)
        with open_runtime() as runtime:
            summary = finish_run(run, runtime)
        counts = asdict(summary.counts)
        self.log.info("%s: %s", summary.state, counts)
        failed = tasks_in_state(context, ["failed"])
        if failed or summary.stopped:
            raise AirflowFailException(stopped_text(summary.stopped) or f"tasks failed: {', '.join(failed)}")
        return {"run_id": summary.run_id, "state": summary.state, "counts": counts}


def run_of(context: "Context") -> "RunRef":
    """Return the run that ``start`` opened.

    Raises:
        AirflowSkipException: It opened none; ``start`` has failed and says why.
    """
    from dualsync.sync.legs.leg import RunRef

    reference = context["ti"].xcom_pull(task_ids=START)
    if not reference:
        raise AirflowSkipException("the run was not started")
    return RunRef.from_dict(reference)
