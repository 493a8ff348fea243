"""The rest of the recorded week, decided anew: what ``test_recorded_week.py`` leaves out, since it takes longer.

Of every map and direction a first and a later run, every action and rule, every column that was written or left.
"""

from __future__ import annotations

import pytest
from recorded.deciding import decided_otherwise, transformed_otherwise
from recorded.legs import RecordedLeg, read_archive


@pytest.fixture(scope="module")
def rest() -> list[RecordedLeg]:
    """The recorded transfers that are not looked at first."""
    return [leg for leg in read_archive()[0] if not leg.first]


def test_every_other_row_is_planned_as_it_was(rest: list[RecordedLeg]) -> None:
    assert rest
    assert decided_otherwise(rest) == {}


def test_every_other_row_is_transformed_as_it_was(rest: list[RecordedLeg]) -> None:
    assert transformed_otherwise(rest) == {}
