"""Planted breaks against what a night reports: all of them are found, and nothing beside them."""

from __future__ import annotations

from scores import declared, judge, unplantable
from worlds import World

EACH_ONCE = 140
"""Enough that every kind of break is planted once; what is over goes to those that find more to work on."""


def test_a_night_reports_every_planted_break_and_nothing_else(evening: World) -> None:
    """Recall and precision are 100 % for every control and class; `make score` does the same for 20 seeds."""
    planted, found = judge(evening, 1, EACH_ONCE)
    assert len(planted.breaks) == len(planted.look_alikes) == EACH_ONCE
    assert found.silent == []
    assert found.missed == []
    assert found.false == []
    assert declared() - set(found.planted) == unplantable().keys()
