"""The DAGs by which people repair: rows tried again, breaks sent again, held legs released.

They are only ever started by hand, or by the pages in the Airflow UI in the name of whoever is signed in there. Where a
person has to agree, Airflow asks; the task waits without holding a worker until somebody answers.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import DAG, BaseOperator, Param
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from dualsync_airflow.connections.session import open_runtime
from dualsync_airflow.sync.dag import DEFAULT_ARGS, NO_API, POOLS

if TYPE_CHECKING:
    from airflow.sdk import Context

    from dualsync.repair.replay import RowOutcome
    from dualsync.sync.run.pipeline import RunSummary

SEND, DO_NOT_SEND = "Send", "Do not send"
RELEASE, LEAVE = "Release", "Leave held"
ANSWER_WITHIN = timedelta(days=7)
"""How long Airflow waits for an answer; then the task fails, and nothing is written."""

NAMED = 20
"""So many breaks or rows are named in a question or a log line."""

_COMPANY = "^([A-Za-z0-9]{1,4}|_global)?$"


def replay_dag(dag_id: str) -> DAG:
    """Build the DAG that tries rows again that are held back.

    Args:
        dag_id: id of the DAG, and name of the job in the ledger.
    """
    params = {
        "map": Param(type="string", minLength=1, title="Table map", description="The map, such as actuals."),
        "direction": _text_param("Direction", "None: both.", enum=[None, "", "to_finance", "to_dataverse"]),
        "company": _company_param(),
        "keys": Param(
            type="array",
            items={"type": "string"},
            minItems=1,
            title="Keys",
            description="Keys as the quarantine lists them, or record ids, one a line.",
        ),
        "dry_run": Param(False, type="boolean", title="Dry run", description="Say what would be done; write nothing."),
    }
    with _dag(dag_id, "Rows that are held back, tried again one by one", params, _REPLAY) as dag:
        ReplayOperator(
            task_id="replay",
            pool=POOLS["finance"],
            doc_md="Runs the five steps on exactly the named rows, read anew from both sides.",
        )
    return dag


def repair_dag(dag_id: str) -> DAG:
    """Build the DAG that sends rows of breaks again from the side that owns them.

    Args:
        dag_id: id of the DAG, and name of the job in the ledger.
    """
    params = {
        "numbers": Param(
            [],
            type="array",
            items={"type": "integer", "minimum": 1},
            title="Breaks",
            description="Numbers of breaks, one a line. None: those that control, class and company choose.",
        ),
        "control": _text_param("Control", "Such as R6, or map:actuals. None: all."),
        "class": _text_param("Class", "Such as missing_in_finance. None: all."),
        "company": _company_param(),
        "limit": Param(
            None,
            type=["null", "integer"],
            minimum=0,
            title="Limit",
            description="Rows that may be sent without asking; the setting guards.resend by default.",
        ),
        "dry_run": Param(True, type="boolean", title="Dry run", description="Say what would be sent; send nothing."),
    }
    with _dag(dag_id, "Breaks, sent again from the side that owns them", params, _REPAIR) as dag:
        plan = PlanOperator(
            task_id="plan",
            pool=POOLS["dataverse"],
            doc_md="Plans the re-send and writes nothing. Skips the rest where it is a dry run or nothing can be sent.",
        )
        ask = AskOperator(
            task_id="ask",
            question="plan",
            options=[SEND, DO_NOT_SEND],
            response_timeout=ANSWER_WITHIN,
            retries=0,
            pool=NO_API,
            doc_md="Asks a person where more rows would be sent than the limit allows.",
        )
        send = SendOperator(
            task_id="send",
            plan="plan",
            answer="ask",
            pool=POOLS["finance"],
            doc_md="Sends what was planned; rows that changed since are left out and wait for their next run.",
        )
        plan >> ask >> send
    return dag


def release_dag(dag_id: str) -> DAG:
    """Build the DAG that asks whether legs that a guard held shall run.

    Args:
        dag_id: id of the DAG, and name of the job in the ledger.
    """
    with _dag(dag_id, "Legs that a guard held: asks whether they shall run", {}, _RELEASE) as dag:
        find = FindHeldOperator(
            task_id="find", pool=NO_API, doc_md="Lists the legs that are held. Skips the rest where there are none."
        )
        ask = AskOperator(
            task_id="ask",
            question="find",
            options=[RELEASE, LEAVE],
            response_timeout=ANSWER_WITHIN,
            retries=0,
            pool=NO_API,
            doc_md="Asks a person whether they shall run.",
        )
        release = ReleaseOperator(
            task_id="release",
            found="find",
            answer="ask",
            pool=POOLS["finance"],
            doc_md="Carries out just what the legs had planned; rows that changed since are left out and named.",
        )
        find >> ask >> release
    return dag


def _text_param(title: str, description: str, **words: Any) -> Param:
    # an empty text would be a required field of the form
    return Param(None, type=["null", "string"], title=title, description=description, **words)


def _company_param() -> Param:
    return _text_param("Company", "Code of the legal entity. None: all.", pattern=_COMPANY)


def _dag(dag_id: str, title: str, params: dict[str, Param], doc: str) -> DAG:
    return DAG(
        dag_id=dag_id,
        description=title,
        schedule=None,
        catchup=False,
        max_active_runs=8,
        default_args=DEFAULT_ARGS,
        params=params,
        tags=["dualsync", "repair", dag_id],
        doc_md=f"### {title}\n\n{doc}",
    )


class ReplayOperator(BaseOperator):
    """Runs the ordinary steps on the rows that the parameters name."""

    ui_color = "#f8f0e8"

    def execute(self, context: "Context") -> dict[str, Any]:
        """Replay the rows; returns what became of each.

        Raises:
            AirflowFailException: rows whose legs did not come to an end.
        """
        from dualsync.repair.replay import find_rows, outcomes, replay

        params, run_id = context["params"], _run_id(context)
        with open_runtime() as runtime:
            # a try after the first finds the rows that this one had begun with, some of which may be healed by now
            begun = runtime.ledger.run(run_id) is not None
            rows = (
                []
                if begun
                else find_rows(
                    runtime,
                    params["map"],
                    params["keys"],
                    company=params["company"] or None,
                    direction=params["direction"] or None,
                )
            )
            summary = replay(runtime, rows, dry_run=params["dry_run"], by=asked_by(context), run_id=run_id)
            found = outcomes(runtime, summary.run_id)
        for one in found:
            row = one.row
            self.log.info(
                "%s %s of %s, %s: %s", row.map, row.direction, row.company, row.key or row.record_id, one.action
            )
        _raise_for(summary)
        return told(summary, found)


class PlanOperator(BaseOperator):
    """Plans the re-send of the breaks that the parameters choose."""

    ui_color = "#f8f0e8"

    def execute(self, context: "Context") -> dict[str, Any]:
        """Plan; returns the dry run, how many rows would be sent, and the question where somebody has to be asked."""
        from dualsync.ledger.breaks import BreakFilter
        from dualsync.repair.resend import chosen_breaks, plan_resend

        params = context["params"]
        chosen = BreakFilter(
            control=params["control"] or None,
            company=(params["company"] or "").upper() or None,
            break_class=params["class"] or None,
            still_open=True,
        )
        with open_runtime() as runtime:
            breaks = chosen_breaks(runtime, params["numbers"], chosen)
            plan = plan_resend(runtime, breaks, limit=params["limit"], run_id=f"{_run_id(context)}.plan")
        healed = [line for line in plan.lines if line.heals]
        for line in plan.lines:
            self.log.info(
                "break %s (%s %s): %s", line.number, line.control, line.company, "yes" if line.heals else "no"
            )
        text = f"{len(healed)} of {len(plan.lines)} breaks would be healed by sending {plan.rows} rows again"
        self.log.info("%s", text)
        return {
            "run_id": plan.run_id,
            "rows": plan.rows,
            "limit": plan.limit,
            "told": text,
            "ask": plan.held,
            "subject": f"Send {plan.rows} rows again?",
            "body": "\n".join(
                [
                    f"{text}. That is more than the limit of {plan.limit}.",
                    "",
                    "| break | control | company | class |",
                    "|---|---|---|---|",
                    *(
                        f"| {one.number} | {_cell(one.control)} | {one.company} | {one.break_class} |"
                        for one in healed[:NAMED]
                    ),
                    *([f"\nand {len(healed) - NAMED} more"] if len(healed) > NAMED else []),
                ]
            ),
        }


class AskOperator(HITLOperator):
    """Asks a person, where what an earlier task found has to be asked about.

    Args:
        question: id of the task whose result holds ``ask``, ``subject`` and ``body``.
    """

    ui_color = "#e8e0f8"

    def __init__(self, *, question: str, **kwargs: Any) -> None:
        pulled = f"ti.xcom_pull(task_ids='{question}')"
        super().__init__(subject=f"{{{{ {pulled}['subject'] }}}}", body=f"{{{{ {pulled}['body'] }}}}", **kwargs)
        self.question = question

    def execute(self, context: "Context") -> Any:
        """Ask and wait; goes on at once where nothing has to be asked.

        Raises:
            AirflowSkipException: there is nothing to do, or it is a dry run.
        """
        found = context["ti"].xcom_pull(task_ids=self.question)
        if not found["rows"]:
            raise AirflowSkipException("there is nothing to do")
        if context["params"].get("dry_run"):
            raise AirflowSkipException(f"dry run: {found['told']}")
        if not found["ask"]:
            return None
        return super().execute(context)


class SendOperator(BaseOperator):
    """Sends what was planned.

    Args:
        plan: id of the task that planned.
        answer: id of the task that asked.
    """

    ui_color = "#f8f0e8"

    def __init__(self, *, plan: str, answer: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan = plan
        self.answer = answer

    def execute(self, context: "Context") -> dict[str, Any]:
        """Send; returns what became of each row.

        Raises:
            AirflowSkipException: somebody decided that nothing shall be sent.
            AirflowFailException: rows whose legs did not come to an end.
        """
        from dualsync.repair.replay import outcomes
        from dualsync.repair.resend import send

        ti = context["ti"]
        planned, answer = ti.xcom_pull(task_ids=self.plan), ti.xcom_pull(task_ids=self.answer)
        by = asked_by(context)
        if answer is not None:
            by = answered_by(answer)
            if SEND not in answer["chosen_options"]:
                raise AirflowSkipException(f"nothing is sent, as {by} decided")
        with open_runtime() as runtime:
            summary = send(runtime, planned["run_id"], by=by, run_id=_run_id(context))
            found = outcomes(runtime, summary.run_id)
        _raise_for(summary)
        return told(summary, found)


class FindHeldOperator(BaseOperator):
    """Lists the legs that a guard held."""

    ui_color = "#f8e8e8"

    def execute(self, context: "Context") -> dict[str, Any]:
        """Look for them; returns which they are, and the question.

        Raises:
            AirflowSkipException: none is held.
        """
        from dualsync.repair.held import held_legs

        with open_runtime() as runtime:
            found = held_legs(runtime)
        legs = [leg for leg in found if not leg.missing]
        for leg in found:
            self.log.info("%s: %s %s", leg.label, leg.message, leg.missing)
        if not legs:
            raise AirflowSkipException("no leg is held")
        rows = [
            f"| {leg.label} | {leg.since:%Y-%m-%d %H:%M} | {_counted(leg.planned)} | {_cell(', '.join(leg.sample))} |"
            for leg in legs
        ]
        number = sum(sum(leg.planned.values()) for leg in legs)
        return {
            "legs": [[leg.run_id, leg.map, leg.direction, leg.company, leg.part] for leg in legs],
            "rows": number,
            "ask": True,
            "told": f"{len(legs)} legs are held, with {number} rows",
            "subject": f"Release {len(legs)} held legs with {number} rows?",
            "body": "\n".join(
                [
                    "A guard held these legs, since they would change more than their limit. Released, each writes",
                    "just what it had planned; rows that changed since are left out.",
                    "",
                    "| leg | held since | planned | some keys |",
                    "|---|---|---|---|",
                    *rows,
                    "",
                    *(f"- {_cell(leg.message)}" for leg in legs),
                ]
            ),
        }


class ReleaseOperator(BaseOperator):
    """Carries out what held legs had planned, where a person said so.

    Args:
        found: id of the task that listed them.
        answer: id of the task that asked.
    """

    ui_color = "#f8e8e8"

    def __init__(self, *, found: str, answer: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.found = found
        self.answer = answer

    def execute(self, context: "Context") -> dict[str, Any]:
        """Release them; returns what became of each.

        Raises:
            AirflowSkipException: somebody decided to leave them held.
            AirflowFailException: legs that did not come to an end.
        """
        from dualsync.repair.held import held_leg, release

        ti = context["ti"]
        answer = ti.xcom_pull(task_ids=self.answer)
        by = answered_by(answer)
        if RELEASE not in answer["chosen_options"]:
            raise AirflowSkipException(f"the legs stay held, as {by} decided")
        with open_runtime() as runtime:
            legs = [held_leg(runtime, *words) for words in ti.xcom_pull(task_ids=self.found)["legs"]]
            done = release(runtime, legs, by=by, run_id=_run_id(context))
        for one in done:
            self.log.info("%s", one.told)
        for one in done:
            _raise_for(one.summary)
        return {
            "released_by": by,
            "legs": [one.told for one in done],
            "left_out": sum(len(one.left_out) for one in done),
        }


def told(summary: "RunSummary", found: "Sequence[RowOutcome]") -> dict[str, Any]:
    """What a run of chosen rows comes to, small enough for XCom: its id and state, how many rows ended how."""
    actions: dict[str, int] = {}
    for one in found:
        actions[one.action] = actions.get(one.action, 0) + 1
    held = [f"{one.row.map} {one.row.key or one.row.record_id}: {one.reason}" for one in found if not one.healed]
    return {"run_id": summary.run_id, "state": summary.state, "rows": actions, "still_held": held[:NAMED]}


def asked_by(context: "Context") -> str:
    """Who started the DAG run, as far as Airflow knows."""
    return str(getattr(context["dag_run"], "triggering_user_name", None) or "")


def answered_by(answer: dict[str, Any]) -> str:
    """Who answered a question, by name and id."""
    user = answer.get("responded_by_user") or {}
    name, identity = user.get("name") or "", user.get("id") or ""
    return str(name or identity) if name == identity or not (name and identity) else f"{name} ({identity})"


def _run_id(context: "Context") -> str:
    """The run in the ledger, named after the DAG run, so that a further try goes on with it."""
    return f"{context['dag'].dag_id}.{context['run_id']}"


def _raise_for(summary: "RunSummary") -> None:
    stopped = [f"{leg.map} {leg.direction} of {leg.company} {leg.state}: {leg.message}" for leg in summary.stopped]
    if stopped and summary.again:
        raise AirflowException("; ".join(stopped))
    if stopped:
        raise AirflowFailException("; ".join(stopped))


def _counted(planned: dict[str, int]) -> str:
    return ", ".join(f"{number} {action}" for action, number in planned.items())


def _cell(text: str) -> str:
    """A text in a cell of a Markdown table."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")


_REPLAY = """Runs the five steps on exactly the named rows, read anew from both sides. Everything else stays as it is:
other rows in quarantine, change tokens, bases. A row that is refused again keeps its place with the fresh reason."""

_REPAIR = """Finds out which breaks a re-send heals, and sends their rows again from the side that owns them. It never
writes a column that the sender does not own. It is a dry run unless told otherwise; above the limit a person is asked
under *Required actions*. The next night shows what is healed."""

_RELEASE = """Lists the legs that a guard held, asks a person under *Required actions* whether they shall run, and
carries out just what they had planned. Who released them stands in the ledger. Without a held leg all tasks are
skipped."""
