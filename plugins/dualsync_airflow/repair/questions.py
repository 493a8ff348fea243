"""What Airflow asks a person before rows are written: subject and body, and what the tasks after the question need.

Questions name exceptions, transfers and keys. They never show values of rows.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dualsync.reports.words import class_word, transfer_name

if TYPE_CHECKING:
    from dualsync.repair.held import HeldLeg
    from dualsync.repair.resend import ResendPlan

NAMED = 20
"""How many exceptions or rows are named in a question or in an XCom."""


def resend_question(plan: "ResendPlan") -> dict[str, Any]:
    """Return the summary of a plan, with the question to ask where it exceeds the limit.

    Returns:
        The XCom of the task that planned. ``rows`` is how many rows would be sent, ``ask`` whether a person has to
        agree, ``summary`` says in one line what would be done.
    """
    healed = [line for line in plan.lines if line.heals]
    summary = f"{len(healed)} of {len(plan.lines)} exceptions would be resolved by sending {plan.rows} rows again"
    more = [f"\nand {len(healed) - NAMED} more"] if len(healed) > NAMED else []
    rows = [
        f"| {line.number} | {_cell(line.control)} | {line.company} | {class_word(line.break_class)} |"
        for line in healed[:NAMED]
    ]
    body = [
        f"{summary}. That is more than the limit of {plan.limit}.",
        "",
        "| exception | control | company | class |",
        "|---|---|---|---|",
        *rows,
        *more,
    ]
    return {
        "run_id": plan.run_id,
        "rows": plan.rows,
        "limit": plan.limit,
        "summary": summary,
        "ask": plan.held,
        "subject": f"Send {plan.rows} rows again?",
        "body": "\n".join(body),
    }


def release_question(legs: "Sequence[HeldLeg]") -> dict[str, Any]:
    """Return the transfers that need approval, with the question whether to carry them out.

    Returns:
        The XCom of the task that found them: ``legs`` identifies them; the other entries are those of
        :func:`resend_question`.
    """
    number = sum(sum(leg.planned.values()) for leg in legs)
    rows = [
        f"| {transfer_name(leg.map, leg.direction, leg.company, leg.part)} | {leg.since:%Y-%m-%d %H:%M} "
        f"| {_counts_text(leg.planned)} | {_cell(', '.join(leg.sample))} |"
        for leg in legs
    ]
    body = [
        "A guard stopped these transfers, since each would change more rows than its limit allows.",
        "If you release them, each writes exactly what it had planned. Rows that have changed since are left out.",
        "",
        "| transfer | stopped at (UTC) | planned | some keys |",
        "|---|---|---|---|",
        *rows,
        "",
        *(f"- {_cell(leg.message)}" for leg in legs),
    ]
    return {
        "legs": [[leg.run_id, leg.map, leg.direction, leg.company, leg.part] for leg in legs],
        "rows": number,
        "ask": True,
        "summary": f"{len(legs)} transfers need approval, with {number} rows",
        "subject": f"Release {len(legs)} transfers with {number} rows?",
        "body": "\n".join(body),
    }


def _counts_text(planned: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {action}" for action, number in planned.items())


def _cell(text: str) -> str:
    """Return a text as a cell of a Markdown table."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
