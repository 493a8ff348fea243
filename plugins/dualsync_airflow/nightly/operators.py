"""What the tasks of the nightly reconciliation do. Each calls one function of the library.

XCom carries the reference of the reconciliation and small summaries; rows and results stay in its folder. Every task
can be run again: what is done is not done twice, and what has failed is tried again.

In code a nightly reconciliation is a *night*, as in the library.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from dualsync.reports.words import severity_count, state_word
from dualsync_airflow.connections.session import open_runtime
from dualsync_airflow.context import ledger_run_id, tasks_in_state

if TYPE_CHECKING:
    from airflow.sdk import Context

    from dualsync.mapping import Side
    from dualsync.nightly.night import NightRef
    from dualsync.sync.legs.runtime import Runtime

START_NIGHT = "begin"
"""Id of the task that opens the reconciliation."""

PUBLISH = "publish"
"""Id of the task that writes the results into the ledger."""

FAILED = ("failed", "upstream_failed")
"""States of tasks that failed, themselves or with a task they need."""


class StartNightOperator(BaseOperator):
    """Opens the reconciliation and hands its reference to all other tasks."""

    ui_color = "#e8f0e8"

    def execute(self, context: "Context") -> dict[str, Any]:
        """Start it with the parameters of the DAG run.

        Returns:
            Its reference as plain data.
        """
        from dualsync.nightly.packs import first_day
        from dualsync.nightly.steps import begin as start_night

        params = context["params"]
        # Whoever names maps or controls wants nothing else; None means all, an empty list means none.
        others: list[str] | None = [] if params["maps"] or params["controls"] else None
        with open_runtime() as runtime:
            night = start_night(
                runtime,
                companies=params["companies"] or None,
                maps=params["maps"] or others,
                controls=params["controls"] or others,
                period=first_day(params["period"] or ""),
                quality=True,
                run_id=ledger_run_id(context),
            )
        run = night.run
        self.log.info(
            "Reconciliation %s: companies %s, %s maps, %s controls",
            run.run_id,
            run.companies,
            len(run.maps),
            len(night.controls),
        )
        return night.to_dict()


class ReadOperator(BaseOperator):
    """Reads one of the two systems.

    Args:
        side: Which one.
    """

    ui_color = "#e8eef8"

    def __init__(self, *, side: "Side", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.side = side

    def execute(self, context: "Context") -> dict[str, Any]:
        """Read every table that is needed.

        Returns:
            The number of tables and rows, and the tables that the system does not have.
        """
        from dualsync.nightly import steps

        night = night_of(context)
        with open_runtime() as runtime:
            read = steps.read(night, runtime, self.side)
        for table, reason in read["absent"].items():
            self.log.warning("%s was not read: %s", table, reason)
        return {"tables": len(read["rows"]), "rows": sum(read["rows"].values()), "absent": sorted(read["absent"])}


class _AreaOperator(BaseOperator):
    """A step over the maps of one area.

    Args:
        maps: The maps of the area.
    """

    ui_color = "#e8eef8"

    def __init__(self, *, maps: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.maps = list(maps)

    def _count_states(self, results: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
        """Count results by state, and log those that failed or could not be tested.

        Args:
            results: The results.
            name: The key under which a result has its name.
        """
        for result in results:
            if result["state"] in ("failed", "not_run"):
                self.log.warning("%s %s: %s", result[name], state_word(result["state"]), result["reason"])
        return dict(Counter(result["state"] for result in results))


class CompareOperator(_AreaOperator):
    """Compares the maps of an area in full.

    It also prepares the rows of those of its maps that lookups of other areas point at.
    """

    def execute(self, context: "Context") -> dict[str, Any]:
        """Compare.

        Returns:
            The number of maps and companies by state.

        Raises:
            AirflowSkipException: No map of this area is compared or needed.
        """
        from dualsync.nightly import steps

        night = night_of(context)
        with open_runtime() as runtime:
            needed = set(steps.with_ancestors(runtime.catalog, night.run.maps))
            maps = [name for name in self.maps if name in needed]
            if not maps:
                raise AirflowSkipException("no table map of this area is compared")
            return self._count_states(steps.compare(night, runtime, maps), "control")


class ValidateOperator(_AreaOperator):
    """Checks all rows of the maps of an area against their data-quality rules, as if they were about to be written."""

    def execute(self, context: "Context") -> dict[str, Any]:
        """Check.

        Returns:
            The number of suites by state, and the sums of their rows and broken rules.

        Raises:
            AirflowSkipException: No map of this area is compared.
        """
        from dualsync.nightly import steps

        night = night_of(context)
        if not set(self.maps) & set(night.run.maps):
            raise AirflowSkipException("no table map of this area is compared")
        with open_runtime() as runtime:
            results = steps.validate(night, runtime, self.maps)
        sums = {name: sum(suite[name] for suite in results) for name in ("rows", "refused", "warned", "broken")}
        return self._count_states(results, "suite") | sums


class ControlsOperator(BaseOperator):
    """Runs the controls of the reconciliation."""

    ui_color = "#e8eef8"

    def execute(self, context: "Context") -> dict[str, Any]:
        """Run them.

        Returns:
            The number of controls by state.

        Raises:
            AirflowSkipException: The run leaves all controls out.
        """
        from dualsync.nightly import steps

        night = night_of(context)
        if not night.controls:
            raise AirflowSkipException("no control is run")
        with open_runtime() as runtime:
            results = steps.ask(night, runtime)
        for result in results:
            if result["reason"]:
                self.log.warning("%s %s: %s", result["control"], state_word(result["state"]), result["reason"])
        return dict(Counter(result["state"] for result in results))


class TotalsOperator(BaseOperator):
    """Computes control totals and balances."""

    ui_color = "#e8eef8"

    def execute(self, context: "Context") -> dict[str, Any]:
        """Compute them.

        Returns:
            The share of the amounts that match, overall (under the empty text) and by company.
        """
        from dualsync.nightly import steps
        from dualsync.nightly.totals import compute_totals

        with open_runtime() as runtime:
            return dict(compute_totals(steps.tonight(night_of(context), runtime))["matched"])


class PublishNightOperator(BaseOperator):
    """Writes all results into the ledger, also if a part of the reconciliation failed."""

    ui_color = "#f8f0e0"

    def execute(self, context: "Context") -> dict[str, Any]:
        """Write them.

        Returns:
            The verdict.
        """
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
        """Write them.

        Returns:
            Their paths.
        """
        from dualsync.reports.publishing import write_reports

        with _published(context) as runtime:
            return [str(path) for path in write_reports(runtime, ledger_run_id(context))]


class DataDocsOperator(BaseOperator):
    """Builds the Data Docs; no other task does."""

    ui_color = "#f8f0e0"

    def execute(self, context: "Context") -> str:
        """Build them.

        Returns:
            The path of their first page.
        """
        from dualsync.reports.publishing import write_data_docs

        with _published(context) as runtime:
            return str(write_data_docs(runtime, ledger_run_id(context)))


class NotifyOperator(BaseOperator):
    """Sends a message to people if the reconciliation crossed a threshold of the settings."""

    ui_color = "#f8e8e8"

    def execute(self, context: "Context") -> dict[str, Any]:
        """Send it.

        Returns:
            The thresholds that were crossed, and the channels that took the message.

        Raises:
            AirflowFailException: A channel did not take the message. The others did, so it is not sent again.
            AirflowSkipException: No threshold is crossed, or no channel is set up.
        """
        from dualsync.reports.alerts import compose_alert, reasons
        from dualsync.settings import Settings
        from dualsync_airflow.notifiers import report_url, send

        alerts = Settings.load().alerts
        verdict, failed = verdict_of(context), tasks_in_state(context, FAILED)
        crossed = reasons(verdict, failed, alerts)
        if not crossed:
            raise AirflowSkipException("no threshold is crossed")
        delivered, undelivered = send(compose_alert(verdict, crossed, report_url(context)), alerts, context)
        if undelivered:
            raise AirflowFailException(f"not delivered: {'; '.join(undelivered)}")
        if not delivered:
            raise AirflowSkipException(f"no channel is set up (settings alerts.email_to, alerts.webhooks): {crossed}")
        return {"reasons": crossed, "channels": delivered}


class VerdictOperator(BaseOperator):
    """Decides how the DAG run ends."""

    ui_color = "#e8f0e8"

    def execute(self, context: "Context") -> dict[str, Any]:
        """Judge the reconciliation.

        Returns:
            The verdict.

        Raises:
            AirflowFailException: A part of it failed; or there are critical exceptions, or something that nobody has
                accepted was not tested, and the run must fail then.
        """
        from dualsync.settings import Settings

        verdict, failed = verdict_of(context), tasks_in_state(context, FAILED)
        faults = [f"tasks failed: {', '.join(failed)}"] if failed else []
        if verdict is None:
            raise AirflowFailException("; ".join(["the results were not published", *faults]))
        if verdict["failed"]:
            faults.append(f"controls, table maps and suites that failed: {verdict['failed']}")
        elif verdict["state"] == "failed":
            faults.append("the control totals were not computed")
        critical = verdict["counts"]["critical"]
        if critical and context["params"]["fail_on_critical"]:
            faults.append(severity_count("critical", critical))
        if verdict["gaps"] and Settings.load().nightly.fail_on_incomplete:
            faults.append(f"not tested and not accepted: {', '.join(verdict['gaps'])}")
        if faults:
            raise AirflowFailException(f"verdict {state_word(verdict['state'])}: {'; '.join(faults)}")
        return verdict


def night_of(context: "Context") -> "NightRef":
    """Return the reconciliation that ``begin`` opened.

    Raises:
        AirflowSkipException: It opened none; ``begin`` has failed and says why.
    """
    from dualsync.nightly.night import NightRef

    reference = context["ti"].xcom_pull(task_ids=START_NIGHT)
    if not reference:
        raise AirflowSkipException("the reconciliation was not started")
    return NightRef.from_dict(reference)


def verdict_of(context: "Context") -> dict[str, Any] | None:
    """Return the verdict that ``publish`` came to; None where it came to none."""
    verdict: dict[str, Any] | None = context["ti"].xcom_pull(task_ids=PUBLISH)
    return verdict


def _published(context: "Context") -> "Runtime":
    """Open a runtime for the reports of a published reconciliation.

    Raises:
        AirflowSkipException: Its results were not published.
    """
    if verdict_of(context) is None:
        raise AirflowSkipException("the results were not published")
    return open_runtime()
