"""When two values are the same: the one rule that the legs and the nightly comparison share, as SQL.

An empty text, zero, ``FALSE`` and the first member of an enum are what Finance has instead of nothing. Numbers compare
at the coarser scale of their two columns: digits that one side cannot hold are no difference.
"""

from __future__ import annotations

import pyarrow as pa

from dualsync.frames import literal
from dualsync.sync.plan.columns import ColumnPair, LegColumns
from dualsync.sync.plan.values import arrow_type


def comparable(leg_columns: LegColumns, pair: ColumnPair, value: str) -> str:
    """The SQL expression of a value in the form in which it is compared; null only where both sides know nothing.

    Args:
        leg_columns: The leg's columns.
        pair: The column pair.
        value: SQL of the value, in the type of the receiving column.
    """
    match pair.column.kind:
        case "text":
            return f"COALESCE({value}, '')"
        case "enum":
            nothing = literal(pair.column.members[0]) if pair.column.members else "''"
            return f"COALESCE({value}, {nothing})"
        case "decimal":
            return f"round(COALESCE({value}, 0), {common_scale(leg_columns, pair)})"
        case "int":
            return f"COALESCE({value}, 0)"
        case "bool":
            return f"COALESCE({value}, FALSE)"
        case _:
            return value


def same(leg_columns: LegColumns, pair: ColumnPair, one: str, other: str) -> str:
    """The SQL condition that two values are the same."""
    return f"({comparable(leg_columns, pair, one)} IS NOT DISTINCT FROM {comparable(leg_columns, pair, other)})"


def rule_text(leg_columns: LegColumns, pair: ColumnPair) -> str:
    """What :func:`comparable` does to a entry, in words; empty where it does nothing."""
    match pair.column.kind:
        case "text":
            return "an empty text is no text"
        case "enum":
            return f"no value is {pair.column.members[0]}" if pair.column.members else "no value is an empty text"
        case "decimal":
            return f"no value is 0; compared at {common_scale(leg_columns, pair)} decimals"
        case "int":
            return "no value is 0"
        case "bool":
            return "no value is false"
        case _:
            return ""


def common_scale(leg_columns: LegColumns, pair: ColumnPair) -> int:
    """The coarser scale of the two columns of a entry of decimals."""
    scales = [arrow_type(pair.column).scale]
    for name in pair.sources:
        kind = arrow_type(leg_columns.column(leg_columns.source, name))
        if pa.types.is_decimal(kind):
            scales.append(kind.scale)
    return int(min(scales))
