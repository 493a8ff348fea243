"""The filter language of the table maps: OData ``$filter`` with comparisons, and/or/not, text functions and ``in``.

One expression is evaluated in three places that must agree: by the remote system (OData text), by DuckDB over a whole
frame (SQL) and in Python for single rows. Text compares without regard to case, as both systems do, and an empty text
is the same as no value, because Finance has no nulls.

Filters of exported dual-write maps are X++ (``((PartyType == "Organization"))``); :meth:`Expression.parse` takes them
too and turns them into OData.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from odata_query import ast
from odata_query.exceptions import ODataException
from odata_query.grammar import ODataLexer, ODataParser

if TYPE_CHECKING:
    from dualsync.mapping.schema import Table

_COMPARATORS: dict[type[ast._Comparator], str] = {
    ast.Eq: "eq",
    ast.NotEq: "ne",
    ast.Gt: "gt",
    ast.GtE: "ge",
    ast.Lt: "lt",
    ast.LtE: "le",
}
_SQL_ORDER = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
_PYTHON_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}
_SQL_FUNCTIONS = {"contains": "contains", "startswith": "starts_with", "endswith": "ends_with"}
_FLIPPED = {"eq": "eq", "ne": "ne", "gt": "lt", "ge": "le", "lt": "gt", "le": "ge"}

Value = str | int | Decimal | bool | date | datetime | None


class ExpressionError(ValueError):
    """A filter that cannot be read; the message says what is wrong with it."""


@dataclass(frozen=True)
class _Compare:
    column: str
    comparator: str
    value: Value


@dataclass(frozen=True)
class _Text:
    function: str
    column: str
    value: str


@dataclass(frozen=True)
class _Not:
    operand: _Node


@dataclass(frozen=True)
class _Junction:
    word: str  # "and" or "or"
    operands: tuple[_Node, ...]


_Node = _Compare | _Text | _Not | _Junction


@dataclass(frozen=True)
class Expression:
    """A parsed filter. The empty text is the filter that every row matches.

    Attributes:
        text: The filter as OData.
    """

    text: str
    _node: _Node | None

    @staticmethod
    def parse(text: str) -> Expression:
        """Read a filter, OData or X++.

        Raises:
            ExpressionError: The text is not a filter of this language.
        """
        return _parse(text.strip())

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns the filter reads, each once, in order of appearance."""
        found: dict[str, None] = {}

        def walk(node: _Node | None) -> None:
            match node:
                case _Compare() | _Text():
                    found[node.column] = None
                case _Not():
                    walk(node.operand)
                case _Junction():
                    for operand in node.operands:
                        walk(operand)

        walk(self._node)
        return tuple(found)

    def to_sql(self, table: str | None = None) -> str:
        """DuckDB SQL that is true or false, never null.

        Args:
            table: Name to qualify the quoted columns with.
        """
        prefix = f"{_quoted(table)}." if table else ""
        return "TRUE" if self._node is None else _sql(self._node, prefix)

    def to_odata(self, table: Table) -> str:
        """The ``$filter`` for a table of one side; empty where there is nothing to filter.

        Finance enums become typed literals and Finance texts compare with ``''`` instead of null.
        """
        return "" if self._node is None else _odata(self._node, table)

    def matches(self, row: Mapping[str, Any]) -> bool:
        """True if a row, values by column name, matches. Columns the row lacks have no value."""
        return self._node is None or _holds(self._node, row)


@lru_cache(maxsize=256)
def _parse(text: str) -> Expression:
    if not text:
        return Expression("", None)
    odata = _from_xpp(text) if _is_xpp(text) else text
    try:
        tree = ODataParser().parse(ODataLexer().tokenize(odata))
    except ODataException:
        raise ExpressionError(f"cannot be read as a filter: {text}") from None
    return Expression(odata, _build(tree))


def _build(tree: ast._Node) -> _Node:
    match tree:
        case ast.BoolOp():
            word = "and" if isinstance(tree.op, ast.And) else "or"
            return _Junction(word, (_build(tree.left), _build(tree.right)))
        case ast.UnaryOp(op=ast.Not()):
            return _Not(_build(tree.operand))
        case ast.Compare(comparator=ast.In()):
            column = _column(tree.left)
            if not isinstance(tree.right, ast.List) or not tree.right.val:
                raise ExpressionError("in needs a list of values")
            return _Junction("or", tuple(_Compare(column, "eq", _literal(value)) for value in tree.right.val))
        case ast.Compare():
            return _comparison(tree)
        case ast.Call():
            return _function(tree)
        case _:
            raise ExpressionError(f"{type(tree).__name__} is not a condition")


def _comparison(tree: ast.Compare) -> _Node:
    comparator = _COMPARATORS[type(tree.comparator)]
    if isinstance(tree.left, ast.UnaryOp):
        raise ExpressionError("not binds tighter than a comparison: put the comparison in parentheses")
    if isinstance(tree.left, ast.Call) and isinstance(tree.right, ast.Boolean):
        wanted = (tree.right.val == "true") == (comparator == "eq")
        return _function(tree.left) if wanted else _Not(_function(tree.left))
    if isinstance(tree.right, ast.Identifier | ast.Attribute):
        return _ordered(_column(tree.right), _FLIPPED[comparator], _literal(tree.left))
    return _ordered(_column(tree.left), comparator, _literal(tree.right))


def _ordered(column: str, comparator: str, value: Value) -> _Compare:
    if comparator in _SQL_ORDER and (value is None or isinstance(value, bool)):
        raise ExpressionError(f"{column} {comparator} needs a number, a text or a date")
    return _Compare(column, comparator, value)


def _function(tree: ast.Call) -> _Text:
    name = tree.func.name
    if name not in _SQL_FUNCTIONS or len(tree.args) != 2:
        raise ExpressionError(f"{name} is not one of {', '.join(_SQL_FUNCTIONS)} with two arguments")
    value = _literal(tree.args[1])
    if not isinstance(value, str):
        raise ExpressionError(f"{name} needs a text")
    return _Text(name, _column(tree.args[0]), value)


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


def _sql(node: _Node, prefix: str) -> str:
    match node:
        case _Junction():
            return "(" + f" {node.word.upper()} ".join(_sql(operand, prefix) for operand in node.operands) + ")"
        case _Not():
            return f"(NOT {_sql(node.operand, prefix)})"
        case _Text():
            text = _sql_text(prefix + _quoted(node.column))
            return f"{_SQL_FUNCTIONS[node.function]}({text}, {_sql_literal(node.value.lower())})"
        case _Compare():
            return _sql_compare(prefix + _quoted(node.column), node.comparator, node.value)


def _sql_compare(column: str, comparator: str, value: Value) -> str:
    if value is None or isinstance(value, str):
        column, value = _sql_text(column), (value or "").lower()
    literal = _sql_literal(value)
    if comparator in _SQL_ORDER:
        return f"coalesce({column} {_SQL_ORDER[comparator]} {literal}, FALSE)"
    return f"({column} IS {'NOT ' if comparator == 'eq' else ''}DISTINCT FROM {literal})"


def _sql_text(column: str) -> str:
    return f"lower(coalesce(CAST({column} AS VARCHAR), ''))"


def _sql_literal(value: Value) -> str:
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
            return "'" + (value or "").replace("'", "''") + "'"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _odata(node: _Node, table: Table) -> str:
    match node:
        case _Junction():
            return "(" + f" {node.word} ".join(_odata(operand, table) for operand in node.operands) + ")"
        case _Not():
            return f"not ({_odata(node.operand, table)})"
        case _Text():
            return f"{node.function}({node.column},{_odata_literal(node.value)})"
        case _Compare():
            return f"{node.column} {node.comparator} {_odata_value(node, table)}"


def _odata_value(node: _Compare, table: Table) -> str:
    column = table.columns.get(node.column)
    if column is not None and table.side == "finance":
        if column.kind == "enum" and isinstance(node.value, str):
            return f"Microsoft.Dynamics.DataEntities.{column.note.split(',')[0]}{_odata_literal(node.value)}"
        if column.kind == "text" and node.value is None:
            return "''"
    if column is not None and column.kind in ("guid", "lookup") and isinstance(node.value, str):
        return node.value
    return _odata_literal(node.value)


def _odata_literal(value: Value) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case datetime():
            return value.strftime("%Y-%m-%dT%H:%M:%SZ")
        case date():
            return value.isoformat()
        case str():
            return "'" + value.replace("'", "''") + "'"
        case _:
            return str(value)


def _holds(node: _Node, row: Mapping[str, Any]) -> bool:
    match node:
        case _Junction(word="and"):
            return all(_holds(operand, row) for operand in node.operands)
        case _Junction():
            return any(_holds(operand, row) for operand in node.operands)
        case _Not():
            return not _holds(node.operand, row)
        case _Text():
            text, part = _plain(row.get(node.column)), node.value.lower()
            tests = {"contains": part in text, "startswith": text.startswith(part), "endswith": text.endswith(part)}
            return tests[node.function]
        case _Compare():
            return _compares(row.get(node.column), node.comparator, node.value)


def _compares(found: Any, comparator: str, value: Value) -> bool:
    if value is None or isinstance(value, str):
        found, value = _plain(found), (value or "").lower()
    elif isinstance(value, date) and isinstance(found, str):
        found = datetime.fromisoformat(found) if isinstance(value, datetime) else date.fromisoformat(found[:10])
    if comparator == "eq":
        return bool(found == value)
    if comparator == "ne":
        return bool(found != value)
    return found is not None and _PYTHON_ORDER[comparator](found, value)


def _plain(value: Any) -> str:
    return "" if value is None else str(value).lower()


_XPP_TOKEN = re.compile(
    r"""\s*(?:
        (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*') | (?P<enum>\w+::(?P<member>\w+)) | (?P<word>[A-Za-z_]\w*) |
        (?P<number>-?\d+(?:\.\d+)?) | (?P<sign>==|!=|<>|<=|>=|&&|\|\||[()!<>])
    )""",
    re.VERBOSE,
)
_XPP_SIGNS = {
    "==": "eq",
    "!=": "ne",
    "<>": "ne",
    "<=": "le",
    ">=": "ge",
    "<": "lt",
    ">": "gt",
    "&&": "and",
    "||": "or",
    "!": "not",
}


def _is_xpp(text: str) -> bool:
    outside = re.sub(r"'(?:[^']|'')*'", "", text)
    return re.search(r'==|!|&&|\|\||"|<|>|::', outside) is not None


def _from_xpp(text: str) -> str:
    """An X++ filter as OData. Mixing ``&&`` and ``||`` without parentheses is refused: X++ gives them one rank."""
    position, words = 0, []
    joined: list[set[str]] = [set()]
    while position < len(text):
        token = _XPP_TOKEN.match(text, position)
        if token is None:
            raise ExpressionError(f"cannot be read as a filter: {text}")
        position = token.end()
        if (quoted := token["text"]) is not None:
            words.append(_odata_literal(re.sub(r"\\(.)", r"\1", quoted[1:-1])))
        elif token["enum"] is not None:
            words.append(_odata_literal(token["member"]))
        elif (sign := token["sign"]) is not None:
            if sign in ("&&", "||"):
                joined[-1].add(sign)
            elif sign == "(":
                joined.append(set())
            elif sign == ")" and len(joined) > 1 and len(joined.pop()) > 1:
                joined[-1] |= {"&&", "||"}
            if any(len(signs) > 1 for signs in joined):
                raise ExpressionError(f"mixes && and || without parentheses: {text}")
            words.append(_XPP_SIGNS.get(sign, sign))
        else:
            words.append(token["word"] or token["number"])
    return " ".join(words).replace("( ", "(").replace(" )", ")")
