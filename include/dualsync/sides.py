"""The two systems that are kept in step, and the ways between them: words that the whole library shares.

A *side* is one of the two systems. A *direction* leads from one side to the other; a *way* is a direction, or both.
"""

from __future__ import annotations

from typing import Literal

Side = Literal["dataverse", "finance"]
SIDES: tuple[Side, ...] = ("dataverse", "finance")

Direction = Literal["to_finance", "to_dataverse"]
DIRECTIONS: tuple[Direction, ...] = ("to_finance", "to_dataverse")

Way = Literal["to_finance", "to_dataverse", "both"]


def sender(direction: Direction) -> Side:
    """The side that a direction leads away from."""
    return "dataverse" if direction == "to_finance" else "finance"


def receiver(direction: Direction) -> Side:
    """The side that a direction leads to."""
    return "finance" if direction == "to_finance" else "dataverse"
