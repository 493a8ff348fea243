"""A filter as DuckDB SQL."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from dualsync.mapping.expressions.tree import Compare, Junction, Node, Not, TextTest, Value
from dualsync.sql import literal, quoted

_ORDER = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
_FUNCTIONS = {"contains": "contains", "startswith": "starts_with", "endswith": "ends_with"}


def to_sql(node: Node, prefix: str) -> str:
    """SQL that is true or false, never null; columns are quoted behind the prefix."""
    match node:
        case Junction():
            return "(" + f" {node.word.upper()} ".join(to_sql(operand, prefix) for operand in node.operands) + ")"
        case Not():
            return f"(NOT {to_sql(node.operand, prefix)})"
        case TextTest():
            text = _text(prefix + quoted(node.column))
            return f"{_FUNCTIONS[node.function]}({text}, {_literal(node.value.lower())})"
        case Compare():
            return _compare(prefix + quoted(node.column), node.comparator, node.value)


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
