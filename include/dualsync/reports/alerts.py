"""Whether a night is worth telling somebody, and what to tell: verdict, counts and shares, and no value of any row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from dualsync.reports.figures import percent
from dualsync.settings import Alerts


@dataclass(frozen=True, slots=True)
class Alert:
    """What people are told, in whatever form a channel has.

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
    """The thresholds that a night has crossed.

    Args:
        verdict: What the night came to, as :class:`dualsync.nightly.publish.Verdict` has it; None where it did not.
        failed: Names of the night's tasks that failed.
        alerts: The thresholds.
    """
    found: list[str] = []
    if alerts.failed and (verdict is None or verdict["state"] == "failed" or failed):
        found.append(f"part of the night failed{': ' if failed else ''}{', '.join(failed)}")
    if verdict is None:
        return found
    counts = verdict["counts"]
    for limit, number, what in (
        (alerts.critical, counts["critical"], "critical breaks"),
        (alerts.errors, counts["error"], "errors"),
        (alerts.new, verdict["new"], "new breaks"),
    ):
        if limit is not None and number > limit:
            found.append(f"{what}: {number}, more than {limit}")
    if alerts.matched_below is not None and verdict["matched"] and Decimal(verdict["matched"]) < alerts.matched_below:
        found.append(f"amounts matched: {percent(verdict['matched'])}, below {percent(alerts.matched_below)}")
    return found


def draw_up(verdict: Mapping[str, Any] | None, why: Sequence[str], link: str) -> Alert:
    """Put an alert together.

    Args:
        verdict: What the night came to, None where it did not.
        why: The thresholds it crossed.
        link: Address of the report.
    """
    if verdict is None:
        return Alert("Nightly reconciliation: not published", tuple(why), (("Verdict", "none"),), link)
    counts = verdict["counts"]
    facts = (
        ("Verdict", str(verdict["state"])),
        ("Amounts matched", percent(verdict["matched"])),
        ("Critical breaks", str(counts["critical"])),
        ("Errors", str(counts["error"])),
        ("Warnings", str(counts["warning"])),
        ("New / resolved", f"{verdict['new']} / {verdict['resolved']}"),
        ("Not run / failed", f"{verdict['not_run']} / {verdict['failed']}"),
        ("Run", str(verdict["run_id"])),
    )
    return Alert(f"Nightly reconciliation: {verdict['state']}", tuple(why), facts, link)
