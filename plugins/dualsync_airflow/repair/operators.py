"""What the tasks of the repair DAGs do. Each calls one function of ``dualsync.repair``.

A run in the ledger is named after the DAG run, so that another try of a task goes on with it.
"""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from dualsync.reports.words import transfer_name
from dualsync_airflow.connections.session import open_runtime
from dualsync_airflow.context import answered_by, ledger_run_id, stopped_text, triggered_by
from dualsync_airflow.repair.questions import NAMED, release_question, resend_question

if TYPE_CHECKING:
    from airflow.sdk import Context

    from dualsync.repair.replay import RowOutcome
    from dualsync.sync.run.runs import RunSummary

SEND, DO_NOT_SEND = "Send", "Do not send"
RELEASE, DO_NOT_RELEASE = "Release", "Do not release"


class ReplayOperator(BaseOperator):
    """Runs the ordinary steps for the rows that the parameters name."""

    ui_color = "#f8f0e8"

    def execute(self, context: "Context") -> dict[str, Any]:
        """Try the rows again.

        Returns:
            The run's id and state, and how many rows ended how.

        Raises:
            AirflowFailException: A transfer did not come to an end.
        """
        from dualsync.repair.replay import find_rows, outcomes, replay

        params, run_id = context["params"], ledger_run_id(context)
        with open_runtime() as runtime:
            # Another try of this task takes the rows that the run was started with; some may be healed by now.
            started_before = runtime.ledger.run(run_id) is not None
            rows = (
                []
                if started_before
                else find_rows(
                    runtime,
                    params["map"],
                    params["keys"],
                    company=params["company"] or None,
                    direction=params["direction"] or None,
                )
            )
            summary = replay(runtime, rows, dry_run=params["dry_run"], by=triggered_by(context), run_id=run_id)
            results = outcomes(runtime, summary.run_id)
        for outcome in results:
            row = outcome.row
            self.log.info(
                "%s, %s: %s",
                transfer_name(row.map, row.direction, row.company, row.part),
                row.key or row.record_id,
                outcome.action,
            )
        _raise_for(summary)
        return xcom_summary(summary, results)


class PlanOperator(BaseOperator):
    """Plans which rows to send again, for the exceptions that the parameters choose."""

    ui_color = "#f8f0e8"

    def execute(self, context: "Context") -> dict[str, Any]:
        """Plan, and write nothing.

        Returns:
            The run that planned, how many rows would be sent, and the question where a person has to agree.
        """
        from dualsync.ledger.breaks import BreakFilter
        from dualsync.repair.resend import chosen_breaks, plan_resend

        params = context["params"]
        selection = BreakFilter(
            control=params["control"] or None,
            company=(params["company"] or "").upper() or None,
            break_class=params["class"] or None,
            still_open=True,
        )
        with open_runtime() as runtime:
            breaks = chosen_breaks(runtime, params["numbers"], selection)
            plan = plan_resend(runtime, breaks, limit=params["limit"], run_id=f"{ledger_run_id(context)}.plan")
        for line in plan.lines:
            resolved = "would be resolved" if line.heals else "would stay"
            self.log.info("exception %s (%s %s): %s", line.number, line.control, line.company, resolved)
        question = resend_question(plan)
        self.log.info("%s", question["summary"])
        return question


class ApprovalOperator(HITLOperator):
    """Asks a person, if an earlier task came to something that a person has to agree to.

    Args:
        question: Id of the task whose XCom is the question, see :mod:`dualsync_airflow.repair.questions`.
    """

    ui_color = "#e8e0f8"

    def __init__(self, *, question: str, **kwargs: Any) -> None:
        pulled = f"ti.xcom_pull(task_ids='{question}')"
        super().__init__(subject=f"{{{{ {pulled}['subject'] }}}}", body=f"{{{{ {pulled}['body'] }}}}", **kwargs)
        self.question = question

    def execute(self, context: "Context") -> Any:
        """Ask and wait. Goes on at once if nobody has to agree.

        Raises:
            AirflowSkipException: There is nothing to do, or it is a dry run.
        """
        question = context["ti"].xcom_pull(task_ids=self.question)
        if not question["rows"]:
            raise AirflowSkipException("there is nothing to do")
        if context["params"].get("dry_run"):
            raise AirflowSkipException(f"dry run: {question['summary']}")
        if not question["ask"]:
            return None
        return super().execute(context)


class SendOperator(BaseOperator):
    """Sends the planned rows again.

    Args:
        plan: Id of the task that planned.
        answer: Id of the task that asked.
    """

    ui_color = "#f8f0e8"

    def __init__(self, *, plan: str, answer: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan = plan
        self.answer = answer

    def execute(self, context: "Context") -> dict[str, Any]:
        """Send them.

        Returns:
            The run's id and state, and how many rows ended how.

        Raises:
            AirflowSkipException: A person decided not to send them.
            AirflowFailException: A transfer did not come to an end.
        """
        from dualsync.repair.replay import outcomes
        from dualsync.repair.resend import send

        ti = context["ti"]
        planned, answer = ti.xcom_pull(task_ids=self.plan), ti.xcom_pull(task_ids=self.answer)
        by = triggered_by(context)
        if answer is not None:
            by = answered_by(answer)
            if SEND not in answer["chosen_options"]:
                raise AirflowSkipException(f"nothing is sent; {by} decided so")
        with open_runtime() as runtime:
            summary = send(runtime, planned["run_id"], by=by, run_id=ledger_run_id(context))
            results = outcomes(runtime, summary.run_id)
        _raise_for(summary)
        return xcom_summary(summary, results)


class FindHeldOperator(BaseOperator):
    """Lists the transfers that need approval."""

    ui_color = "#f8e8e8"

    def execute(self, context: "Context") -> dict[str, Any]:
        """Look for them.

        Returns:
            The transfers, and the question.

        Raises:
            AirflowSkipException: No transfer needs approval.
        """
        from dualsync.repair.held import held_legs

        with open_runtime() as runtime:
            held = held_legs(runtime)
        for leg in held:
            name = transfer_name(leg.map, leg.direction, leg.company, leg.part)
            self.log.info("%s: %s %s", name, leg.message, leg.missing)
        complete = [leg for leg in held if not leg.missing]
        if not complete:
            raise AirflowSkipException("no transfer needs approval")
        return release_question(complete)


class ReleaseOperator(BaseOperator):
    """Carries out what transfers had planned, if a person approved.

    Args:
        held: Id of the task that listed them.
        answer: Id of the task that asked.
    """

    ui_color = "#f8e8e8"

    def __init__(self, *, held: str, answer: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.held = held
        self.answer = answer

    def execute(self, context: "Context") -> dict[str, Any]:
        """Release them.

        Returns:
            Who approved, one line for each transfer, and how many rows were left out.

        Raises:
            AirflowSkipException: A person decided not to release them.
            AirflowFailException: A transfer did not come to an end.
        """
        from dualsync.repair.held import held_leg, release

        ti = context["ti"]
        answer = ti.xcom_pull(task_ids=self.answer)
        by = answered_by(answer)
        if RELEASE not in answer["chosen_options"]:
            raise AirflowSkipException(f"nothing is released; {by} decided so")
        with open_runtime() as runtime:
            legs = [held_leg(runtime, *identity) for identity in ti.xcom_pull(task_ids=self.held)["legs"]]
            results = release(runtime, legs, by=by, run_id=ledger_run_id(context))
        for released in results:
            self.log.info("%s", released.summary_line)
        for released in results:
            _raise_for(released.summary)
        return {
            "released_by": by,
            "legs": [released.summary_line for released in results],
            "left_out": sum(len(released.left_out) for released in results),
        }


def xcom_summary(summary: "RunSummary", results: "Sequence[RowOutcome]") -> dict[str, Any]:
    """Return what became of a run of selected rows, small enough for XCom.

    Returns:
        The run's id and state, how many rows ended how, and some of those that are still blocked or waiting.
    """
    open_rows = [
        f"{outcome.row.map} {outcome.row.key or outcome.row.record_id}: {outcome.reason}"
        for outcome in results
        if not outcome.healed
    ]
    actions = dict(Counter(outcome.action for outcome in results))
    return {"run_id": summary.run_id, "state": summary.state, "rows": actions, "still_open": open_rows[:NAMED]}


def _raise_for(summary: "RunSummary") -> None:
    """Fail the task if a transfer did not come to an end; for good, unless another try may help."""
    if not summary.stopped:
        return
    error = AirflowException if summary.again else AirflowFailException
    raise error(stopped_text(summary.stopped))
