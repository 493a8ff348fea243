"""Reads a filter that is written in OData."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

from odata_query import ast
from odata_query.exceptions import ODataException
from odata_query.grammar import ODataLexer, ODataParser

from dualsync.mapping.expressions.tree import (
    FUNCTIONS,
    ORDERINGS,
    Compare,
    ExpressionError,
    Junction,
    Node,
    Not,
    TextTest,
    Value,
)

_COMPARATORS: dict[type[ast._Comparator], str] = {
    ast.Eq: "eq",
    ast.NotEq: "ne",
    ast.Gt: "gt",
    ast.GtE: "ge",
    ast.Lt: "lt",
    ast.LtE: "le",
}
_FLIPPED = {"eq": "eq", "ne": "ne", "gt": "lt", "ge": "le", "lt": "gt", "le": "ge"}


def parse_odata(text: str, written: str) -> Node:
    """The tree of an OData filter.

    Args:
        text: The filter.
        written: The filter as somebody wrote it, for the message.

    Raises:
        ExpressionError: The text is not a filter of this language.
    """
    try:
        tree = ODataParser().parse(ODataLexer().tokenize(text))
    except ODataException:
        raise ExpressionError(f"cannot be read as a filter: {written}") from None
    return _build(tree)


def _build(tree: ast._Node) -> Node:
    match tree:
        case ast.BoolOp():
            word = "and" if isinstance(tree.op, ast.And) else "or"
            return Junction(word, (_build(tree.left), _build(tree.right)))
        case ast.UnaryOp(op=ast.Not()):
            return Not(_build(tree.operand))
        case ast.Compare(comparator=ast.In()):
            column = _column(tree.left)
            if not isinstance(tree.right, ast.List) or not tree.right.val:
                raise ExpressionError("in needs a list of values")
            return Junction("or", tuple(Compare(column, "eq", _literal(value)) for value in tree.right.val))
        case ast.Compare():
            return _comparison(tree)
        case ast.Call():
            return _function(tree)
        case _:
            raise ExpressionError(f"{type(tree).__name__} is not a condition")


def _comparison(tree: ast.Compare) -> Node:
    comparator = _COMPARATORS[type(tree.comparator)]
    if isinstance(tree.left, ast.UnaryOp):
        raise ExpressionError("not binds tighter than a comparison: put the comparison in parentheses")
    if isinstance(tree.left, ast.Call) and isinstance(tree.right, ast.Boolean):
        holds = (tree.right.val == "true") == (comparator == "eq")
        return _function(tree.left) if holds else Not(_function(tree.left))
    if isinstance(tree.right, ast.Identifier | ast.Attribute):
        return _ordered(_column(tree.right), _FLIPPED[comparator], _literal(tree.left))
    return _ordered(_column(tree.left), comparator, _literal(tree.right))


def _ordered(column: str, comparator: str, value: Value) -> Compare:
    if comparator in ORDERINGS and (value is None or isinstance(value, bool)):
        raise ExpressionError(f"{column} {comparator} needs a number, a text or a date")
    return Compare(column, comparator, value)


def _function(tree: ast.Call) -> TextTest:
    name = tree.func.name
    if name not in FUNCTIONS or len(tree.args) != 2:
        raise ExpressionError(f"{name} is not one of {', '.join(FUNCTIONS)} with two arguments")
    value = _literal(tree.args[1])
    if not isinstance(value, str):
        raise ExpressionError(f"{name} needs a text")
    return TextTest(name, _column(tree.args[0]), value)


def _column(tree: ast._Node) -> str:
    if isinstance(tree, ast.Identifier) and not tree.namespace:
        return tree.name
    raise ExpressionError("compares something that is not a column of the table itself")


def _literal(tree: ast._Node) -> Value:
    match tree:
        case ast.Null():
            return None
        case ast.Boolean():
            return tree.val == "true"
        case ast.Integer():
            return int(tree.val)
        case ast.Float():
            return Decimal(tree.val)
        case ast.Date():
            return date.fromisoformat(tree.val)
        case ast.DateTime():
            return datetime.fromisoformat(tree.val).astimezone(UTC)
        case ast.String():
            return tree.val
        case ast.GUID():
            return tree.val.lower()
        case _:
            raise ExpressionError(f"{type(tree).__name__} is not a value")
