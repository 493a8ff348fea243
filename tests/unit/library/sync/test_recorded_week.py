"""Decisions of a recorded week, decided anew: every row ends as it ended then, by the same rule, for the same reason.

The recording is ``tests/recorded/week.tar.xz``; ``tests/recorded/record_week.py`` says how it was made, and
``tests/recorded/deciding.py`` is where the code that decides is called.
"""

from __future__ import annotations

from collections import Counter

import pytest
from recorded.deciding import decided_otherwise, maps, transformed_otherwise
from recorded.legs import RecordedLeg, outcomes, read_archive

OUTCOMES = {
    ("conflict", "company"): 4,
    ("conflict", "deleted"): 4,
    ("conflict", "duplicate"): 7,
    ("conflict", "key_changed"): 3,
    ("conflict", "left"): 2,
    ("conflict", "owner"): 7,
    ("conflict", "stranger"): 1,
    ("create", ""): 399,
    ("quarantined", "BillingMethod.unknown_value"): 1,
    ("quarantined", "company"): 1,
    ("quarantined", "deleted"): 1,
    ("quarantined", "filtered"): 1,
    ("quarantined", "key"): 3,
    ("quarantined", "type"): 2,
    ("quarantined", "unclear"): 4,
    ("quarantined", "unknown"): 2,
    ("skipped", "company"): 6,
    ("skipped", "cutover"): 28,
    ("skipped", "deleted"): 2,
    ("skipped", "gone"): 3,
    ("skipped", "header"): 2,
    ("unchanged", ""): 707,
    ("update", ""): 79,
    ("update", "owner"): 19,
    ("waiting", "cutover"): 3,
    ("waiting", "header"): 2,
    ("waiting", "lines"): 3,
    ("waiting", "moved"): 1,
    ("waiting", "waiting"): 23,
}
"""How many recorded rows end with which action by which rule; of a rule, what follows the name of the map."""

NOT_RECORDED: set[tuple[str, str]] = {
    ("quarantined", "COLUMN.type"),
    ("skipped", "left"),
}
"""Actions and rules that the code knows and that no recorded row ends with; other tests must show them."""

KNOWN = {
    # the comparison
    ("create", ""),
    ("update", ""),
    ("unchanged", ""),
    ("update", "owner"),
    ("conflict", "owner"),
    ("conflict", "duplicate"),
    ("conflict", "key_changed"),
    ("conflict", "stranger"),
    ("conflict", "company"),
    ("conflict", "left"),
    ("conflict", "deleted"),
    ("skipped", "left"),
    ("skipped", "deleted"),
    ("skipped", "company"),
    ("skipped", "gone"),
    ("skipped", "cutover"),
    ("waiting", "cutover"),
    ("waiting", "moved"),
    # headers and their triggers
    ("skipped", "header"),
    ("waiting", "header"),
    ("waiting", "lines"),
    # the transformation, and parents that do not resolve
    ("quarantined", "type"),
    ("quarantined", "unclear"),
    ("quarantined", "key"),
    ("quarantined", "COLUMN.type"),
    ("quarantined", "COLUMN.unknown_value"),
    ("waiting", "waiting"),
    ("quarantined", "company"),
    ("quarantined", "deleted"),
    ("quarantined", "filtered"),
    ("quarantined", "unknown"),
}
"""Every action and rule that a plan can hold."""


@pytest.fixture(scope="module")
def week() -> list[RecordedLeg]:
    """The recorded transfers."""
    return read_archive()[0]


@pytest.fixture(scope="module")
def first(week: list[RecordedLeg]) -> list[RecordedLeg]:
    """Those that show every map and every rule; ``tests/end_to_end/test_recorded_week_whole.py`` decides the others."""
    return [leg for leg in week if leg.first]


def general(action: str, rule: str) -> tuple[str, str]:
    """An action and a rule, in which every column is called the same."""
    column, _, what = rule.rpartition(".")
    return action, f"COLUMN.{what}" if column else rule


def test_every_row_is_planned_as_it_was(first: list[RecordedLeg]) -> None:
    """Action, rule, reason, columns, keys, record id, wave, and all values; and which rows are deleted."""
    assert decided_otherwise(first) == {}


def test_every_row_is_transformed_as_it_was(first: list[RecordedLeg]) -> None:
    """Keys, wanted values, and whatever stands in the way of a row, with what was answered about its parents."""
    assert transformed_otherwise(first) == {}


def test_rows_by_action_and_rule(week: list[RecordedLeg]) -> None:
    assert dict(sorted(Counter(one for leg in week for one in outcomes(leg.plan)).items())) == OUTCOMES


def test_what_the_recording_does_not_hold(first: list[RecordedLeg]) -> None:
    seen = {general(*one) for leg in first for one in outcomes(leg.plan)}
    assert seen - KNOWN == set()
    assert KNOWN - seen == NOT_RECORDED


def test_what_the_recording_holds(week: list[RecordedLeg], first: list[RecordedLeg]) -> None:
    """All maps in both directions, several companies, first and later runs, and every option of a run."""
    ways = {(name, way) for name, one in maps().items() if one.enabled for way in one.directions}
    assert ways - {(leg.map, leg.direction) for leg in first} == set()
    assert {leg.company for leg in week} == {"_global", "USPM", "GBPM", "FRRT"}
    assert {leg.base is None for leg in week} == {True, False}
    assert {leg.run["mode"] for leg in week} == {"incremental", "full", "audit"}
    for option in ("dry_run", "keys", "rows", "resend", "approved"):
        assert {bool(leg.run[option]) for leg in first} == {True, False}, option
    assert {leg.settings["cutover"] is None for leg in week} == {True, False}
    assert any(leg.lines is not None and leg.lines.num_rows for leg in first)
    assert any(leg.trigger_base is not None for leg in first)
    assert any(leg.deletes.num_rows for leg in first)
