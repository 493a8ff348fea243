"""A recorded week, varied by chance and decided by the code before facts and policy were separated, decided anew.

``tests/recorded/vary_week.py`` says how it was made. It holds what a week does not: double keys, changed keys, rows
that left their map or were deleted, runs that send again, and values that moved on either side or on both.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import recorded
from recorded.deciding import decided_otherwise
from recorded.legs import RecordedLeg, outcomes, read_archive

ARCHIVE = Path(recorded.__file__).with_name("varied.tar.xz")


@pytest.fixture(scope="module")
def varied() -> list[RecordedLeg]:
    """The varied transfers."""
    return read_archive(ARCHIVE)[0]


def test_every_row_is_planned_as_it_was(varied: list[RecordedLeg]) -> None:
    assert len(varied) == 55
    assert decided_otherwise(varied) == {}


def test_rows_by_action_and_rule(varied: list[RecordedLeg]) -> None:
    seen = Counter(one for leg in varied for one in outcomes(leg.plan))
    assert seen.total() == 426
    for what in (
        ("conflict", "deleted"),
        ("conflict", "duplicate"),
        ("conflict", "key_changed"),
        ("conflict", "left"),
        ("conflict", "company"),
        ("conflict", "stranger"),
        ("skipped", "gone"),
        ("skipped", "cutover"),
        ("update", "owner"),
    ):
        assert seen[what] > 0, what
