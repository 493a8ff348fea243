"""The Arrow type of each kind of column, and the failure of a value that cannot travel."""

from __future__ import annotations

import pyarrow as pa

from dualsync.errors import Signal
from dualsync.mapping import Column

TEXT = pa.string()
DAY = pa.date32()
MOMENT = pa.timestamp("us", tz="UTC")
WHOLE = pa.int64()
DIGITS = 38
"""Digits of a decimal column, the most that ``decimal128`` holds."""

DEFAULT_SCALE = 6
"""Places of a decimal column of which no scale is known; amounts in Finance have as many."""


class ValueProblem(Signal):
    """A value that cannot travel; the row is quarantined.

    Attributes:
        rule: Short name of the rule that was broken.
    """

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule


def scale_of(column: Column) -> int:
    """The places of a decimal column."""
    return column.scale if column.scale is not None else DEFAULT_SCALE


def arrow_type(column: Column) -> pa.DataType:
    """The Arrow type that holds a column's values exactly."""
    match column.kind:
        case "int" | "option":
            return WHOLE
        case "decimal":
            return pa.decimal128(DIGITS, scale_of(column))
        case "bool":
            return pa.bool_()
        case "date":
            return DAY
        case "instant":
            return MOMENT
        case _:
            return TEXT
