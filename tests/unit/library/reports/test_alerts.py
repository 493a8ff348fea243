"""When somebody is told of a night."""

from __future__ import annotations

from typing import Any

import pytest

from dualsync.errors import SettingsError
from dualsync.reports.alerts import compose_alert, reasons
from dualsync.settings import Alerts, Settings


def verdict(state: str = "breaks", critical: int = 0, error: int = 0, **words: Any) -> dict[str, Any]:
    counts = {"critical": critical, "error": error, "warning": 9}
    return {"run_id": "n", "state": state, "counts": counts, "not_run": 1, "failed": 0, "matched": "0.9999",
            "new": 0, "resolved": 4, "gaps": (), "tested": "9 of 10 checks; 5 of 6 rows", **words}  # fmt: skip


@pytest.mark.parametrize(
    ("night", "thresholds", "told"),
    [
        (verdict(), {}, []),
        (verdict(critical=1), {}, ["critical exceptions: 1, more than 0"]),
        (verdict(critical=1), {"critical": 1}, []),
        (verdict(critical=1), {"critical": "off"}, []),
        (verdict(error=7), {}, []),
        (verdict(error=7), {"errors": 6}, ["errors: 7, more than 6"]),
        (verdict(new=3), {"new": "2"}, ["new exceptions: 3, more than 2"]),
        (verdict(), {"matched_below": "1"}, ["amounts matched: 99.99 %, below 100 %"]),
        (verdict(), {"matched_below": "0.9999"}, []),
        (verdict(matched=""), {"matched_below": "1"}, []),
        (verdict("failed", failed=1), {}, ["part of the reconciliation failed"]),
        (verdict("breaks", failed=1), {}, ["part of the reconciliation failed"]),
        (verdict("failed", failed=1), {"failed": False}, []),
        (verdict("incomplete", gaps=("R5d", "map:projects")), {}, ["not tested and not accepted: R5d, map:projects"]),
        (verdict("incomplete", gaps=("R5d",)), {"incomplete": False}, []),
        (verdict("incomplete"), {}, []),
        (None, {}, ["part of the reconciliation failed"]),
    ],
)
def test_thresholds(night: dict[str, Any] | None, thresholds: dict[str, Any], told: list[str]) -> None:
    assert reasons(night, [], Alerts.model_validate(thresholds)) == told


def test_failed_tasks_are_named() -> None:
    assert reasons(verdict("equal"), ["compare.a", "validate.a"], Alerts()) == [
        "part of the reconciliation failed: compare.a, validate.a"
    ]


def test_what_was_tested_and_matched_stands_first_and_a_night_without_verdict_is_told_too() -> None:
    alert = compose_alert(verdict(critical=2), ["critical exceptions: 2, more than 0"], "http://here/run")
    assert alert.facts[:3] == (
        ("Verdict", "exceptions"),
        ("Tested", "9 of 10 checks; 5 of 6 rows"),
        ("Amounts matched", "99.99 %"),
    )
    assert ("New / resolved", "0 / 4") in alert.facts
    assert compose_alert(None, ["x"], "").title == "Nightly reconciliation: not published"


def test_thresholds_come_from_the_environment(tmp_path: Any) -> None:
    environ = {
        "DUALSYNC_ALERTS__CRITICAL": "off",
        "DUALSYNC_ALERTS__MATCHED_BELOW": "0.999",
        "DUALSYNC_ALERTS__EMAIL_TO": "a@example.com, b@example.com",
        "DUALSYNC_ALERTS__WEBHOOKS": "teams_finance",
        "DUALSYNC_NIGHTLY__SCHEDULE": "30 3 * * *",
    }
    settings = Settings.load({"home": tmp_path}, environ=environ)
    assert settings.alerts.critical is None
    assert str(settings.alerts.matched_below) == "0.999"
    assert settings.alerts.email_to == ("a@example.com", "b@example.com")
    assert settings.alerts.webhooks == ("teams_finance",)
    assert (settings.nightly.schedule, settings.nightly.fail_on_critical) == ("30 3 * * *", True)
    with pytest.raises(SettingsError, match=r"alerts\.matched_below"):
        Settings.load({"home": tmp_path}, environ={"DUALSYNC_ALERTS__MATCHED_BELOW": "99"})
