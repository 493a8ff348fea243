"""Issues of rows: which state outweighs which, and that every reason is told once."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dualsync.sync.lookups.missing import Missing, missing_table
from dualsync.sync.reconcile.wanted.issues import Issues

WAITS = Missing("waiting", "m.waiting", "waits")
HELD = Missing("quarantined", "m.held", "held")
ALSO = Missing("quarantined", "m.also", "also")
SKIPS = Missing("skipped", "m.company", "skips")


def told(issues: Issues) -> list[tuple[str | None, ...]]:
    columns = issues.columns()
    return list(zip(*(columns[name].to_pylist() for name in ("stop", "rule", "reason")), strict=True))


@pytest.mark.parametrize(
    ("noted", "expected"),
    [
        ([], (None, None, None)),
        ([WAITS], ("waiting", "m.waiting", "waits")),
        ([WAITS, HELD], ("quarantined", "m.held", "waits; held")),
        ([HELD, WAITS], ("quarantined", "m.held", "held; waits")),
        ([HELD, ALSO], ("quarantined", "m.held", "held; also")),
        ([ALSO, HELD], ("quarantined", "m.also", "also; held")),
        ([WAITS, HELD, SKIPS], ("skipped", "m.company", "waits; held; skips")),
        ([WAITS, WAITS, HELD, WAITS], ("quarantined", "m.held", "waits; held")),
    ],
)
def test_the_gravest_state_and_every_reason_once(noted: list[Missing], expected: tuple[str | None, ...]) -> None:
    issues = Issues(3)
    for issue in noted:
        issues.add(np.array([False, True, False]), issue)
    assert told(issues) == [(None, None, None), expected, (None, None, None)]
    assert issues.rows.tolist() == [False, bool(noted), False]


def test_two_rules_may_have_the_same_reason() -> None:
    issues = Issues(1)
    issues.add(np.array([True]), Missing("waiting", "first", "same"))
    issues.add(np.array([True]), Missing("quarantined", "second", "same"))
    assert told(issues) == [("quarantined", "second", "same")]


def test_reasons_of_rows() -> None:
    issues = Issues(3)
    issues.add_reasons(pa.array(["one", None, "three"]), "quarantined", "m.type")
    assert told(issues) == [("quarantined", "m.type", "one"), (None, None, None), ("quarantined", "m.type", "three")]


def test_rows_meet_what_is_missing() -> None:
    issues = Issues(4)
    missing = missing_table("id", {"a": WAITS, "b": HELD, "c": ALSO})
    issues.add_missing(pa.array(["b", None, "z", "a"]), missing, "id")
    assert told(issues) == [
        ("quarantined", "m.held", "held"),
        (None, None, None),
        (None, None, None),
        ("waiting", "m.waiting", "waits"),
    ]


def test_nothing_is_noted_of_no_row() -> None:
    issues = Issues(0)
    issues.add(np.array([], dtype=bool), HELD)
    issues.add_missing(pa.array([], pa.string()), missing_table("id", {"a": HELD}), "id")
    issues.add_reasons(pa.nulls(0, pa.string()), "quarantined", "m.type")
    assert told(issues) == []
