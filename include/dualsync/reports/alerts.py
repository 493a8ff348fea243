"""Whether people are alerted of a reconciliation, and what they read: verdict, counts and shares, no value of a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from dualsync.reports.figures import percent
from dualsync.reports.words import state_word
from dualsync.settings import Alerts


@dataclass(frozen=True, slots=True)
class Alert:
    """What people read, in whatever form a channel has.

    Attributes:
        title: One line.
        reasons: The thresholds that were crossed.
        facts: Label and figure, the most important first.
        link: Address of the report, empty where none is known.
    """

    title: str
    reasons: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    link: str


def reasons(verdict: Mapping[str, Any] | None, failed: Sequence[str], alerts: Alerts) -> list[str]:
    """Return the thresholds that a reconciliation has crossed, in words.

    Args:
        verdict: What it came to, as :class:`dualsync.nightly.publish.Verdict` has it; None where it came to nothing.
        failed: Names of its tasks that failed.
        alerts: The thresholds.
    """
    crossed: list[str] = []
    if alerts.failed and (verdict is None or verdict["failed"] or failed):
        crossed.append(f"part of the reconciliation failed{': ' if failed else ''}{', '.join(failed)}")
    if verdict is None:
        return crossed
    counts = verdict["counts"]
    for limit, number, what in (
        (alerts.critical, counts["critical"], "critical exceptions"),
        (alerts.errors, counts["error"], "errors"),
        (alerts.new, verdict["new"], "new exceptions"),
    ):
        if limit is not None and number > limit:
            crossed.append(f"{what}: {number}, more than {limit}")
    if alerts.incomplete and verdict["gaps"]:
        crossed.append(f"not tested and not accepted: {', '.join(verdict['gaps'])}")
    if alerts.matched_below is not None and verdict["matched"] and Decimal(verdict["matched"]) < alerts.matched_below:
        crossed.append(f"amounts matched: {percent(verdict['matched'])}, below {percent(alerts.matched_below)}")
    return crossed


def compose_alert(verdict: Mapping[str, Any] | None, why: Sequence[str], link: str) -> Alert:
    """Return the alert of a reconciliation.

    Args:
        verdict: What it came to, None where it came to nothing.
        why: The thresholds it crossed.
        link: Address of the report.
    """
    if verdict is None:
        return Alert("Nightly reconciliation: not published", tuple(why), (("Verdict", "none"),), link)
    counts = verdict["counts"]
    state = state_word(verdict["state"])
    facts = (
        ("Verdict", state),
        ("Tested", verdict["tested"]),
        ("Amounts matched", percent(verdict["matched"])),
        ("Critical exceptions", str(counts["critical"])),
        ("Errors", str(counts["error"])),
        ("Warnings", str(counts["warning"])),
        ("New / resolved", f"{verdict['new']} / {verdict['resolved']}"),
        ("Not tested / failed", f"{verdict['not_run']} / {verdict['failed']}"),
        ("Run", str(verdict["run_id"])),
    )
    return Alert(f"Nightly reconciliation: {state}", tuple(why), facts, link)
