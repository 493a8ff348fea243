"""What a filter says, as a tree: comparisons and text functions, joined by and, or and not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from dualsync.errors import Terminal

Value = str | int | Decimal | bool | date | datetime | None

ORDERINGS = frozenset({"gt", "ge", "lt", "le"})
"""Comparators that ask which of two values comes first; the others are ``eq`` and ``ne``."""

FUNCTIONS = ("contains", "startswith", "endswith")
"""The functions, each of a column and a text."""


class ExpressionError(Terminal, ValueError):
    """A filter that cannot be read; the message says what is wrong with it.

    It is a ``ValueError`` too, so that pydantic makes a problem of the map of it.
    """

    id = "filter"
    cause = "A filter of a map or of an extract cannot be read."
    way_out = "Correct the filter; docs/table-maps.md shows what filters may hold."


@dataclass(frozen=True)
class Compare:
    """A column compared with a value."""

    column: str
    comparator: str
    value: Value


@dataclass(frozen=True)
class TextTest:
    """A function asked of a column and a text."""

    function: str
    column: str
    value: str


@dataclass(frozen=True)
class Not:
    """The opposite of a condition."""

    operand: Node


@dataclass(frozen=True)
class Junction:
    """Conditions joined by ``word``, which is ``and`` or ``or``."""

    word: str
    operands: tuple[Node, ...]


Node = Compare | TextTest | Not | Junction
