"""Decisions of a recorded week, decided anew: every row ends as it ended then, by the same rule, for the same reason.

The recording is ``tests/recorded/week.tar.xz``; ``tests/recorded/record_week.py`` says how it was made, and
``tests/recorded/deciding.py`` is where the code that decides is called.
"""

from __future__ import annotations

from collections import Counter

import pytest
from recorded.deciding import Decision, decide, maps, transform_again
from recorded.legs import RecordedLeg, differences, outcomes, read_archive

OUTCOMES = {
    ("conflict", "owner"): 1,
    ("create", ""): 726,
    ("skipped", "company"): 5,
    ("skipped", "cutover"): 17,
    ("unchanged", ""): 324,
    ("update", ""): 107,
    ("update", "owner"): 2,
    ("waiting", "waiting"): 20,
}
"""How many recorded rows end with which action by which rule; of a rule, what follows the name of the map."""

NOT_RECORDED: set[tuple[str, str]] = {
    ("conflict", "company"),
    ("conflict", "deleted"),
    ("conflict", "duplicate"),
    ("conflict", "key_changed"),
    ("conflict", "left"),
    ("conflict", "stranger"),
    ("quarantined", "COLUMN.length"),
    ("quarantined", "COLUMN.type"),
    ("quarantined", "COLUMN.unknown_value"),
    ("quarantined", "company"),
    ("quarantined", "deleted"),
    ("quarantined", "filtered"),
    ("quarantined", "key"),
    ("quarantined", "type"),
    ("quarantined", "unclear"),
    ("quarantined", "unknown"),
    ("skipped", "deleted"),
    ("skipped", "gone"),
    ("skipped", "header"),
    ("skipped", "left"),
    ("waiting", "cutover"),
    ("waiting", "header"),
    ("waiting", "lines"),
    ("waiting", "moved"),
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
    ("quarantined", "COLUMN.length"),
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
def decided(week: list[RecordedLeg]) -> dict[str, Decision]:
    """What today's code decides, by the name of the transfer."""
    return {leg.name: decide(leg) for leg in week}


def general(action: str, rule: str) -> tuple[str, str]:
    """An action and a rule, in which every column is called the same."""
    column, _, what = rule.rpartition(".")
    return action, f"COLUMN.{what}" if column else rule


def test_every_row_is_planned_as_it_was(week: list[RecordedLeg], decided: dict[str, Decision]) -> None:
    """Action, rule, reason, columns, keys, record id, wave, and all values."""
    found = {leg.name: differences(leg.plan, decided[leg.name].plan) for leg in week}
    assert {name: told for name, told in found.items() if told} == {}


def test_the_same_rows_are_deleted(week: list[RecordedLeg], decided: dict[str, Decision]) -> None:
    found = {leg.name: differences(leg.deletes, decided[leg.name].deletes) for leg in week}
    assert {name: told for name, told in found.items() if told} == {}
    assert any(leg.deletes.num_rows for leg in week)


def test_every_row_is_transformed_as_it_was(week: list[RecordedLeg]) -> None:
    """Keys, wanted values, and whatever stands in the way of a row, with what was answered about its parents."""
    found = {leg.name: differences(leg.want, transform_again(leg)) for leg in week}
    assert {name: told for name, told in found.items() if told} == {}


def test_rows_by_action_and_rule(decided: dict[str, Decision]) -> None:
    counted = Counter(one for decision in decided.values() for one in outcomes(decision.plan))
    assert dict(sorted(counted.items())) == OUTCOMES


def test_what_the_recording_does_not_hold(week: list[RecordedLeg]) -> None:
    seen = {general(*one) for leg in week for one in outcomes(leg.plan)}
    assert seen - KNOWN == set()
    assert KNOWN - seen == NOT_RECORDED


def test_what_the_recording_holds(week: list[RecordedLeg]) -> None:
    """All maps in both directions, several companies, first and later runs, and every option of a run."""
    ways = {(name, way) for name, one in maps().items() if one.enabled for way in one.directions}
    assert ways - {(leg.map, leg.direction) for leg in week} == set()
    assert {leg.company for leg in week} == {"_global", "USPM", "GBPM", "FRRT"}
    assert {leg.base is None for leg in week} == {True, False}
    assert {leg.run["mode"] for leg in week} == {"incremental", "full", "audit"}
    for option in ("dry_run",):
        assert {bool(leg.run[option]) for leg in week} == {True, False}, option
    assert {leg.settings["cutover"] is None for leg in week} == {True, False}
    assert any(leg.lines is not None and leg.lines.num_rows for leg in week)
    assert any(leg.trigger_base is not None for leg in week)
