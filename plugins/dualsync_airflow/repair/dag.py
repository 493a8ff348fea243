"""Builds the DAGs by which people repair: retry rows, send rows of exceptions again, approve transfers.

They are only ever started by hand, or from the pages in the Airflow UI in the name of whoever is signed in there. Where
a person has to agree, Airflow asks; the task waits without holding a worker until somebody answers.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param

from dualsync_airflow.common import NO_API, OPTIONAL_LIST, POOLS, build_dag, dry_run_param
from dualsync_airflow.repair.operators import (
    DO_NOT_RELEASE,
    DO_NOT_SEND,
    RELEASE,
    SEND,
    ApprovalOperator,
    FindHeldOperator,
    PlanOperator,
    ReleaseOperator,
    ReplayOperator,
    SendOperator,
)

ANSWER_WITHIN = timedelta(days=7)
"""How long Airflow waits for an answer; then the task fails, and nothing is written."""

ACTIVE_RUNS = 8
"""How many people may repair with the same DAG at once."""

COMPANY = "^([A-Za-z0-9]{1,4}|_global)?$"

REPLAY_DOC = """\
Runs the five steps for exactly the named rows, which are read again from both systems. Everything else stays as it is:
other blocked or waiting rows, change tokens, bases. A row that is refused again stays in quarantine, with the new
reason.
"""

REPAIR_DOC = """\
Finds out which exceptions go away if their rows are sent again from the system that owns them, and sends those rows. It
never writes a column that the sender does not own.

It is a dry run unless the parameter `dry_run` is off. If more rows would be sent than the limit allows, it asks a
person under *Required actions*. The next nightly reconciliation shows which exceptions are resolved.
"""

RELEASE_DOC = """\
Lists the transfers that need approval and asks a person under *Required actions* whether to carry them out. It then
writes exactly what they had planned. A row that has changed since is left out and named. The ledger keeps who approved.

If no transfer needs approval, all tasks are skipped.
"""


def replay_dag(dag_id: str, *, title: str, when: str) -> DAG:
    """Build the DAG that tries single blocked or waiting rows again.

    Args:
        dag_id: Id of the DAG, and name of the job in the ledger.
        title: What people read instead of the id.
        when: When to trigger it, as the end of the sentence "Trigger this when ...".
    """
    params = {
        "map": Param(
            type="string", minLength=1, title="Table map", description="The table map of the rows, such as actuals."
        ),
        "direction": _optional_text(
            "Direction",
            "The direction in which the rows travel. Leave it empty for both.",
            enum=[None, "", "to_finance", "to_dataverse"],
            values_display={"to_finance": "to Finance", "to_dataverse": "to Dataverse"},
        ),
        "company": _company_param(),
        "keys": Param(
            type="array",
            items={"type": "string"},
            minItems=1,
            title="Keys",
            description="Keys of the rows as the page Quarantine lists them, or ids of their records, one per line.",
        ),
        "dry_run": dry_run_param(False, "Say what would be written for each row, and write nothing."),
    }
    with _dag(dag_id, title, when, REPLAY_DOC, params) as dag:
        ReplayOperator(
            task_id="replay",
            pool=POOLS["finance"],
            doc_md="Runs the five steps for exactly the named rows, which are read again from both systems.",
        )
    return dag


def repair_dag(dag_id: str, *, title: str, when: str) -> DAG:
    """Build the DAG that sends rows of exceptions again from the system that owns them.

    Args:
        dag_id: Id of the DAG, and name of the job in the ledger.
        title: What people read instead of the id.
        when: When to trigger it, as the end of the sentence "Trigger this when ...".
    """
    params = {
        "numbers": Param(
            [],
            type=OPTIONAL_LIST,
            items={"type": "integer", "minimum": 1},
            title="Exceptions",
            description="Numbers of exceptions, such as [17, 18]. Leave it empty to choose by control, class and "
            "company.",
        ),
        "control": _optional_text(
            "Control",
            "Only exceptions of this control or table map, such as R6 or map:actuals. Leave it empty for all.",
        ),
        "class": _optional_text(
            "Class", "Only exceptions of this class, such as missing_in_finance. Leave it empty for all."
        ),
        "company": _company_param(),
        "limit": Param(
            None,
            type=["null", "integer"],
            minimum=0,
            title="Limit",
            description="How many rows may be sent before a person is asked. Leave it empty for the setting "
            "guards.resend.",
        ),
        "dry_run": dry_run_param(True, "Say which rows would be sent, and send nothing."),
    }
    with _dag(dag_id, title, when, REPAIR_DOC, params) as dag:
        plan = PlanOperator(
            task_id="plan",
            pool=POOLS["dataverse"],
            doc_md="Plans which rows to send again, and writes nothing. The other tasks are skipped in a dry run, and "
            "if no row can be sent.",
        )
        ask = _approval(
            question="plan",
            options=[SEND, DO_NOT_SEND],
            doc_md="Asks a person whether to send the rows, if there are more of them than the limit allows.",
        )
        send = SendOperator(
            task_id="send",
            plan="plan",
            answer="ask",
            pool=POOLS["finance"],
            doc_md="Sends the planned rows. A row that has changed since is left out and waits for its next run.",
        )
        plan >> ask >> send
    return dag


def release_dag(dag_id: str, *, title: str, when: str) -> DAG:
    """Build the DAG that asks a person whether transfers that a guard stopped may be carried out.

    Args:
        dag_id: Id of the DAG, and name of the job in the ledger.
        title: What people read instead of the id.
        when: When to trigger it, as the end of the sentence "Trigger this when ...".
    """
    with _dag(dag_id, title, when, RELEASE_DOC, {}) as dag:
        find = FindHeldOperator(
            task_id="find",
            pool=NO_API,
            doc_md="Lists the transfers that need approval. The other tasks are skipped if there are none.",
        )
        ask = _approval(
            question="find",
            options=[RELEASE, DO_NOT_RELEASE],
            doc_md="Asks a person whether to carry out the listed transfers.",
        )
        release = ReleaseOperator(
            task_id="release",
            held="find",
            answer="ask",
            pool=POOLS["finance"],
            doc_md="Writes exactly what the transfers had planned. A row that has changed since is left out and named.",
        )
        find >> ask >> release
    return dag


def _dag(dag_id: str, title: str, when: str, doc: str, params: dict[str, Param]) -> DAG:
    return build_dag(
        dag_id, title=title, when=when, doc=doc, params=params, tags=["repair"], max_active_runs=ACTIVE_RUNS
    )


def _approval(*, question: str, options: Sequence[str], doc_md: str) -> ApprovalOperator:
    """Build the task that asks a person. It is never tried again, so that nobody is asked twice."""
    return ApprovalOperator(
        task_id="ask",
        question=question,
        options=list(options),
        response_timeout=ANSWER_WITHIN,
        retries=0,
        pool=NO_API,
        doc_md=doc_md,
    )


def _optional_text(title: str, description: str, **words: Any) -> Param:
    # The form of "Trigger" would ask for an empty text as if it were required.
    return Param(None, type=["null", "string"], title=title, description=description, **words)


def _company_param() -> Param:
    return _optional_text("Company", "Code of the legal entity, such as USPM. Leave it empty for all.", pattern=COMPANY)
