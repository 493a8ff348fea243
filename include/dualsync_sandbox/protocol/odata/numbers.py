"""Numbers in queries: exact, and no larger than SQLite compares."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from odata_query import ast

#: No stored number has more digits.
MOST_DIGITS = 30


def decimal_of(node: ast._Node) -> Decimal | None:
    """The number that a node writes; ``None`` when it is none."""
    sign = 1
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        sign, node = -1, node.operand
    return sign * Decimal(node.val) if isinstance(node, ast.Integer | ast.Float) else None


def number_of(text: str) -> Decimal | None:
    """A text as a number; ``None`` when it is none."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def whole_number(number: Decimal | None) -> int | None:
    """A whole number that a 64-bit column could hold, or ``None``."""
    if number is None or number.adjusted() >= MOST_DIGITS or number != number.to_integral_value():
        return None
    value = int(number)
    return value if -(2**63) <= value < 2**63 else None


def bounded(number: int) -> int | float:
    """SQLite takes no whole number of more than 64 bits, and compares floats with whole numbers exactly."""
    return number if -(2**63) <= number < 2**63 else float(number)
