"""A filter as DuckDB SQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal

from dualsync.mapping.expressions.tree import Compare, Junction, Node, Not, TextTest, Value
from dualsync.sql import literal

_ORDER = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
_FUNCTIONS = {"contains": "contains", "startswith": "starts_with", "endswith": "ends_with"}


def to_sql(node: Node, column: Callable[[str], str]) -> str:
    """SQL that is true or false, never null; ``column`` says how a column is called."""
    match node:
        case Junction():
            return "(" + f" {node.word.upper()} ".join(to_sql(operand, column) for operand in node.operands) + ")"
        case Not():
            return f"(NOT {to_sql(node.operand, column)})"
        case TextTest():
            text = _text(column(node.column))
            return f"{_FUNCTIONS[node.function]}({text}, {_literal(node.value.lower())})"
        case Compare():
            return _compare(column(node.column), node.comparator, node.value)


def _compare(column: str, comparator: str, value: Value) -> str:
    if value is None or isinstance(value, str):
        column, value = _text(column), (value or "").lower()
    other = _literal(value)
    if comparator in _ORDER:
        return f"coalesce({column} {_ORDER[comparator]} {other}, FALSE)"
    return f"({column} IS {'NOT ' if comparator == 'eq' else ''}DISTINCT FROM {other})"


def _text(column: str) -> str:
    return f"lower(coalesce(CAST({column} AS VARCHAR), ''))"


def _literal(value: Value) -> str:
    match value:
        case bool():
            return "TRUE" if value else "FALSE"
        case int() | Decimal():
            return str(value)
        case datetime():
            return f"TIMESTAMPTZ '{value.isoformat()}'"
        case date():
            return f"DATE '{value.isoformat()}'"
        case _:
            return literal(value or "")
