"""When two values are the same: the one rule that the legs and the nightly comparison share, as SQL.

An empty text, zero, ``FALSE`` and the first member of an enum are what Finance has instead of nothing. Numbers compare
at the coarser scale of their two columns: digits that one side cannot hold are no difference.
"""

from __future__ import annotations

import pyarrow as pa

from dualsync.frames import literal
from dualsync.sync.plan.columns import Shape, Unit
from dualsync.sync.plan.values import arrow_type


def comparable(shape: Shape, unit: Unit, value: str) -> str:
    """The SQL expression of a value in the form in which it is compared; null only where both sides know nothing.

    Args:
        shape: The leg's columns.
        unit: The column pair.
        value: SQL of the value, in the type of the receiving column.
    """
    match unit.column.kind:
        case "text":
            return f"COALESCE({value}, '')"
        case "enum":
            nothing = literal(unit.column.members[0]) if unit.column.members else "''"
            return f"COALESCE({value}, {nothing})"
        case "decimal":
            return f"round(COALESCE({value}, 0), {common_scale(shape, unit)})"
        case "int":
            return f"COALESCE({value}, 0)"
        case "bool":
            return f"COALESCE({value}, FALSE)"
        case _:
            return value


def same(shape: Shape, unit: Unit, one: str, other: str) -> str:
    """The SQL condition that two values are the same."""
    return f"({comparable(shape, unit, one)} IS NOT DISTINCT FROM {comparable(shape, unit, other)})"


def rule_text(shape: Shape, unit: Unit) -> str:
    """What :func:`comparable` does to a pair, in words; empty where it does nothing."""
    match unit.column.kind:
        case "text":
            return "an empty text is no text"
        case "enum":
            return f"no value is {unit.column.members[0]}" if unit.column.members else "no value is an empty text"
        case "decimal":
            return f"no value is 0; compared at {common_scale(shape, unit)} decimals"
        case "int":
            return "no value is 0"
        case "bool":
            return "no value is false"
        case _:
            return ""


def common_scale(shape: Shape, unit: Unit) -> int:
    """The coarser scale of the two columns of a pair of decimals."""
    scales = [arrow_type(unit.column).scale]
    for name in unit.sources:
        kind = arrow_type(shape.column(shape.source, name))
        if pa.types.is_decimal(kind):
            scales.append(kind.scale)
    return int(min(scales))
