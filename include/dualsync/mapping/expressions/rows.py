"""A filter asked of single rows, in Python."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

from dualsync.mapping.expressions.tree import Compare, Junction, Node, Not, TextTest, Value

_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}


def holds(node: Node, row: Mapping[str, Any]) -> bool:
    """Whether a row, values by column name, matches."""
    match node:
        case Junction(word="and"):
            return all(holds(operand, row) for operand in node.operands)
        case Junction():
            return any(holds(operand, row) for operand in node.operands)
        case Not():
            return not holds(node.operand, row)
        case TextTest():
            text, part = _plain(row.get(node.column)), node.value.lower()
            tests = {"contains": part in text, "startswith": text.startswith(part), "endswith": text.endswith(part)}
            return tests[node.function]
        case Compare():
            return _compares(row.get(node.column), node.comparator, node.value)


def _compares(cell: Any, comparator: str, value: Value) -> bool:
    if value is None or isinstance(value, str):
        cell, value = _plain(cell), (value or "").lower()
    elif isinstance(value, date) and isinstance(cell, str):
        cell = datetime.fromisoformat(cell) if isinstance(value, datetime) else date.fromisoformat(cell[:10])
    if comparator == "eq":
        return bool(cell == value)
    if comparator == "ne":
        return bool(cell != value)
    return cell is not None and _ORDER[comparator](cell, value)


def _plain(value: Any) -> str:
    return "" if value is None else str(value).lower()
