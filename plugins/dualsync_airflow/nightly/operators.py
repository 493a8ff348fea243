"""What the tasks of the nightly reconciliation do. Each calls one function of the library.

XCom carries the night's reference and small summaries; rows and results stay in the night's folder. Every step can be
run again: what is done is not done twice, and what has failed is tried again.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from dualsync_airflow.connections.session import open_runtime

if TYPE_CHECKING:
    from airflow.sdk import Context

    from dualsync.mapping import Side
    from dualsync.nightly.night import NightRef
    from dualsync.sync.legs.runtime import Runtime

BEGIN = "begin"
PUBLISH = "publish"


class BeginOperator(BaseOperator):
    """Opens the night and hands its reference to all other tasks."""

    ui_color = "#e8f0e8"

    def execute(self, context: "Context") -> dict[str, Any]:
        """Begin the night with the parameters of the DAG run; returns its reference as plain data."""
        from dualsync.nightly import steps
        from dualsync.nightly.packs import first_day

        params = context["params"]
        # asking for some of the one means none of the other
        rest: list[str] | None = [] if params["maps"] or params["controls"] else None
        with open_runtime() as runtime:
            night = steps.begin(
                runtime,
                companies=params["companies"] or None,
                maps=params["maps"] or rest,
                controls=params["controls"] or rest,
                period=first_day(params["period"] or ""),
                quality=True,
                # named after the DAG run, so that clearing this task opens the same night again
                run_id=night_id(context),
            )
        run = night.run
        self.log.info(
            "Night %s: companies %s, %s maps, %s controls",
            run.run_id,
            run.companies,
            len(run.maps),
            len(night.controls),
        )
        return night.to_dict()


class ReadOperator(BaseOperator):
    """Reads one of the two systems.

    Args:
        side: which.
    """

    ui_color = "#e8eef8"

    def __init__(self, *, side: "Side", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.side = side

    def execute(self, context: "Context") -> dict[str, Any]:
        """Read it; returns the number of tables and rows, and what the system does not have."""
        from dualsync.nightly import steps

        night = night_of(context)
        with open_runtime() as runtime:
            read = steps.read(night, runtime, self.side)
        for place, reason in read["absent"].items():
            self.log.warning("%s was not read: %s", place, reason)
        return {"tables": len(read["rows"]), "rows": sum(read["rows"].values()), "absent": sorted(read["absent"])}


class _AreaOperator(BaseOperator):
    """A step over the maps of one area.

    Args:
        maps: the maps of the area.
    """

    ui_color = "#e8eef8"

    def __init__(self, *, maps: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.maps = list(maps)

    def _summary(self, results: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
        """How many results there are by state; those that failed or could not be run are logged."""
        for one in results:
            if one["state"] in ("failed", "not_run"):
                self.log.warning("%s %s: %s", one[name], one["state"].replace("_", " "), one["reason"])
        return dict(Counter(one["state"] for one in results))


class CompareOperator(_AreaOperator):
    """Compares the maps of an area in full, and brings those of its maps into form that others resolve through."""

    def execute(self, context: "Context") -> dict[str, Any]:
        """Compare; returns how many maps and companies there are by state."""
        from dualsync.nightly import steps

        night = night_of(context)
        with open_runtime() as runtime:
            needed = set(steps.with_ancestors(runtime.catalog, night.run.maps))
            mine = [name for name in self.maps if name in needed]
            if not mine:
                raise AirflowSkipException("no map of this area is looked at")
            return self._summary(steps.compare(night, runtime, mine), "control")


class ValidateOperator(_AreaOperator):
    """Asks the suites of the maps of an area of all rows, as they would be written."""

    def execute(self, context: "Context") -> dict[str, Any]:
        """Validate; returns how many suites there are by state, and their rows and rules."""
        from dualsync.nightly import steps

        night = night_of(context)
        if not set(self.maps) & set(night.run.maps):
            raise AirflowSkipException("no map of this area is looked at")
        with open_runtime() as runtime:
            results = steps.validate(night, runtime, self.maps)
        figures = {name: sum(one[name] for one in results) for name in ("rows", "refused", "warned", "broken")}
        return self._summary(results, "suite") | figures


class AskOperator(BaseOperator):
    """Asks the night's controls."""

    ui_color = "#e8eef8"

    def execute(self, context: "Context") -> dict[str, Any]:
        """Ask; returns how many controls there are by state."""
        from dualsync.nightly import steps

        night = night_of(context)
        if not night.controls:
            raise AirflowSkipException("no controls are asked")
        with open_runtime() as runtime:
            results = steps.ask(night, runtime)
        for one in results:
            if one["reason"]:
                self.log.warning("%s %s: %s", one["control"], one["state"].replace("_", " "), one["reason"])
        return dict(Counter(one["state"] for one in results))


class TotalsOperator(BaseOperator):
    """Draws up control totals and balances."""

    ui_color = "#e8eef8"

    def execute(self, context: "Context") -> dict[str, Any]:
        """Draw up; returns the share of amounts matched, overall (under the empty text) and by company."""
        from dualsync.nightly import steps
        from dualsync.nightly.totals import draw_up

        with open_runtime() as runtime:
            return dict(draw_up(steps.tonight(night_of(context), runtime))["matched"])


class PublishNightOperator(BaseOperator):
    """Puts all results together, also where a part of the night failed."""

    ui_color = "#f8f0e0"

    def execute(self, context: "Context") -> dict[str, Any]:
        """Write the night into the ledger; returns its verdict."""
        from dualsync.nightly.publish import publish

        night = night_of(context)
        with open_runtime() as runtime:
            verdict = publish(night, runtime)
        self.log.info("%s", verdict)
        return asdict(verdict)


class ReportOperator(BaseOperator):
    """Writes the files that people read."""

    ui_color = "#f8f0e0"

    def execute(self, context: "Context") -> list[str]:
        """Write them; returns their paths."""
        from dualsync.reports.publishing import write_reports

        with _published(context) as runtime:
            return [str(path) for path in write_reports(runtime, night_id(context))]


class DataDocsOperator(BaseOperator):
    """Builds the Data Docs: the only task that does."""

    ui_color = "#f8f0e0"

    def execute(self, context: "Context") -> str:
        """Build them; returns the path of their first page."""
        from dualsync.reports.publishing import write_data_docs

        with _published(context) as runtime:
            return str(write_data_docs(runtime, night_id(context)))


class NotifyOperator(BaseOperator):
    """Tells people of the night where a threshold of the settings is crossed."""

    ui_color = "#f8e8e8"

    def execute(self, context: "Context") -> dict[str, Any]:
        """Tell them; returns why and which channels.

        Raises:
            AirflowFailException: a channel was not reached. The others were, so nothing is sent again.
            AirflowSkipException: there is nothing to tell, or nobody to tell it to.
        """
        from dualsync.reports.alerts import compose_alert, reasons
        from dualsync.settings import Settings
        from dualsync_airflow.notifiers import report_url, send

        alerts = Settings.load().alerts
        verdict, failed = verdict_of(context), failed_tasks(context)
        why = reasons(verdict, failed, alerts)
        if not why:
            raise AirflowSkipException("no threshold is crossed")
        alert = compose_alert(verdict, why, report_url(context))
        reached, lost = send(alert, alerts, context)
        if lost:
            raise AirflowFailException(f"not told: {'; '.join(lost)}")
        if not reached:
            raise AirflowSkipException(f"nobody is to be told (settings alerts.email_to, alerts.webhooks): {why}")
        return {"reasons": why, "told": reached}


class VerdictOperator(BaseOperator):
    """Says how the night ended: the DAG run succeeds or fails with it."""

    ui_color = "#e8f0e8"

    def execute(self, context: "Context") -> dict[str, Any]:
        """Judge; returns the verdict.

        Raises:
            AirflowFailException: a part of the night failed, or there are critical breaks and they are to fail the run.
        """
        verdict, failed = verdict_of(context), failed_tasks(context)
        why = [f"tasks failed: {', '.join(failed)}"] if failed else []
        if verdict is None:
            raise AirflowFailException("; ".join(["the night was not published", *why]))
        if verdict["failed"]:
            why.append(f"controls, maps and suites that failed: {verdict['failed']}")
        elif verdict["state"] == "failed":
            why.append("the control totals were not drawn up")
        if verdict["counts"]["critical"] and context["params"]["fail_on_critical"]:
            why.append(f"critical breaks: {verdict['counts']['critical']}")
        if why:
            raise AirflowFailException(f"verdict {verdict['state']}: {'; '.join(why)}")
        return verdict


def night_id(context: "Context") -> str:
    """Identity of the night of a DAG run."""
    return f"{context['dag'].dag_id}.{context['run_id']}"


def night_of(context: "Context") -> "NightRef":
    """The night that `begin` opened.

    Raises:
        AirflowSkipException: it opened none; `begin` has failed and says why.
    """
    from dualsync.nightly.night import NightRef

    reference = context["ti"].xcom_pull(task_ids=BEGIN)
    if not reference:
        raise AirflowSkipException("the night was not begun")
    return NightRef.from_dict(reference)


def verdict_of(context: "Context") -> dict[str, Any] | None:
    """The verdict that `publish` came to, None where it came to none."""
    verdict: dict[str, Any] | None = context["ti"].xcom_pull(task_ids=PUBLISH)
    return verdict


def failed_tasks(context: "Context") -> list[str]:
    """Tasks of the run that failed, themselves or with what they need."""
    ti = context["ti"]
    states = ti.get_task_states(dag_id=ti.dag_id, run_ids=[ti.run_id]).get(ti.run_id, {})
    return sorted(task for task, state in states.items() if state in ("failed", "upstream_failed"))


def _published(context: "Context") -> "Runtime":
    """A runtime for what is made of a published night.

    Raises:
        AirflowSkipException: the night was not published.
    """
    if verdict_of(context) is None:
        raise AirflowSkipException("the night was not published")
    return open_runtime()
