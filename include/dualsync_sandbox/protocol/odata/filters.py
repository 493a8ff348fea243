"""``$filter`` over one table, compiled to SQL. What is not understood is refused, never guessed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR

from odata_query import ast

from dualsync_sandbox.errors import InvalidValue, NotImplementedInSandbox
from dualsync_sandbox.protocol.odata.numbers import MOST_DIGITS, bounded, decimal_of, number_of, whole_number
from dualsync_sandbox.protocol.odata.operands import Collections, Operand, QueryError, Resolver
from dualsync_sandbox.protocol.odata.parsing import (
    TEXT_FUNCTIONS,
    EnumLiteral,
    LambdaCall,
    ListCall,
    Prepared,
    parse_filter,
)
from dualsync_sandbox.schema import Column, SystemSchema, Table
from dualsync_sandbox.store.values import SqlValue, encoder, parse_moment

ENUM_NAMESPACE = "Microsoft.Dynamics.DataEntities."

_COMPARISONS: Mapping[type, str] = {
    ast.Eq: "IS",
    ast.NotEq: "IS NOT",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}
_MIRRORED: Mapping[type, type] = {ast.Lt: ast.Gt, ast.Gt: ast.Lt, ast.LtE: ast.GtE, ast.GtE: ast.LtE}


@dataclass
class Where:
    """A condition in SQL with its parameters."""

    sql: str
    parameters: list[SqlValue]


class FilterCompiler:
    """Compiles ``$filter`` for one table.

    Args:
        schema: Of the system; decides null, wildcard and enum rules.
        table: The table.
        resolve: Property name (or path) to operand; raises ``UnknownProperty``.
        collections: What ``any`` and ``all`` range over; they are refused without it.
    """

    def __init__(
        self, schema: SystemSchema, table: Table, resolve: Resolver, collections: Collections | None = None
    ) -> None:
        self._schema = schema
        self._system = schema.system
        self._table = table
        self._resolve = resolve
        self._collections = collections
        self._prepared = Prepared("")
        self._parameters: list[SqlValue] = []

    def compile(self, text: str) -> Where:
        """The condition for ``text``.

        Raises:
            QueryError: The filter is wrong.
            NotImplementedInSandbox: It uses something the sandbox does not play.
        """
        parsed = parse_filter(text)
        self._prepared = parsed.prepared
        self._parameters = []
        sql = self._condition(parsed.tree)
        return Where(sql, self._parameters)

    def _condition(self, node: ast._Node) -> str:
        if isinstance(node, ast.BoolOp):
            word = " AND " if isinstance(node.op, ast.And) else " OR "
            return _balanced([self._condition(part) for part in _flat(node, type(node.op))], word)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return f"(NOT {self._condition(node.operand)})"
        if isinstance(node, ast.Compare):
            return self._comparison(node)
        if isinstance(node, ast.Call):
            return self._function(node)
        if isinstance(node, ast.Identifier):
            operand = self._operand(node)
            if operand is not None and operand.column.kind == "bool":
                return f"({operand.sql} IS 1)"
        raise NotImplementedInSandbox("$filter", f"expression {type(node).__name__}")

    def _operand(self, node: ast._Node) -> Operand | None:
        if isinstance(node, ast.Identifier) and node.name in self._prepared.names:
            return self._resolve(self._prepared.names[node.name])
        return None

    def _comparison(self, node: ast.Compare) -> str:
        if isinstance(node.left, ast.Identifier) and node.left.name in self._prepared.lists:
            return self._membership(self._prepared.lists[node.left.name])
        if isinstance(node.left, ast.Identifier) and node.left.name in self._prepared.lambdas:
            return self._members(self._prepared.lambdas[node.left.name])
        kind = type(node.comparator)
        if kind not in _COMPARISONS:
            raise NotImplementedInSandbox("$filter", f"operator {kind.__name__.lower()}")
        left, right = self._operand(node.left), self._operand(node.right)
        if left is None and right is not None:
            return self._against(right, _MIRRORED.get(kind, kind), node.left)
        if left is None:
            raise NotImplementedInSandbox("$filter", f"comparison of {type(node.left).__name__}")
        if right is not None:
            if left.column.kind != right.column.kind or left.column.scale != right.column.scale:
                raise QueryError("A binary operator with incompatible types was detected.")
            return f"({left.sql} {_COMPARISONS[kind]} {right.sql})"
        return self._against(left, kind, node.right)

    def _against(self, operand: Operand, kind: type, node: ast._Node) -> str:
        sign = _COMPARISONS[kind]
        column = operand.column
        if isinstance(node, ast.Null):
            if self._system == "finance":
                raise NotImplementedInSandbox("$filter", "null (Finance holds no nulls)")
            if sign not in ("IS", "IS NOT"):
                raise QueryError("null can only be compared with eq and ne.")
            return f"({operand.sql} {sign} NULL)"
        if column.kind == "enum" and sign not in ("IS", "IS NOT"):
            raise QueryError("Enums can only be compared with eq and ne.")
        if column.kind == "decimal":
            return self._number(operand, sign, node)
        if column.kind in ("date", "instant"):
            return self._moment(operand, sign, node)
        value = self._literal(column, node)
        if self._system == "finance" and column.kind == "text" and isinstance(value, str) and "*" in value:
            if sign not in ("IS", "IS NOT"):
                raise NotImplementedInSandbox("$filter", "wildcard with an operator other than eq and ne")
            self._parameters.append(_like(value).replace("*", "%"))
            word = "LIKE" if sign == "IS" else "NOT LIKE"
            return f"({operand.sql} {word} ? ESCAPE '\\')"
        self._parameters.append(value)
        return f"({operand.sql} {sign} ?)"

    def _number(self, operand: Operand, sign: str, node: ast._Node) -> str:
        value = decimal_of(node)
        if value is None:
            raise QueryError("A binary operator with incompatible types was detected.")
        if value.adjusted() >= MOST_DIGITS:
            # Beyond all that is kept: compared as infinity, which leaves rows without a value as unknown as ever.
            self._parameters.append(float("inf") if value > 0 else float("-inf"))
            return f"({operand.sql} {sign} ?)"
        scaled = value.scaleb(operand.column.scale or 0)
        if scaled == scaled.to_integral_value():
            self._parameters.append(bounded(int(scaled)))
            return f"({operand.sql} {sign} ?)"
        # Finer than the column keeps: no row equals it, and the nearest kept value decides the order.
        if sign in ("IS", "IS NOT"):
            return "(1 = 0)" if sign == "IS" else "(1 = 1)"
        if sign[0] == ">":
            self._parameters.append(bounded(int(scaled.to_integral_value(ROUND_FLOOR))))
            return f"({operand.sql} > ?)"
        self._parameters.append(bounded(int(scaled.to_integral_value(ROUND_CEILING))))
        return f"({operand.sql} < ?)"

    def _moment(self, operand: Operand, sign: str, node: ast._Node) -> str:
        moment = parse_moment(node.val) if isinstance(node, ast.Date | ast.DateTime) else None
        if moment is None:
            raise QueryError("A binary operator with incompatible types was detected.")
        text = moment.strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")
        if operand.column.kind == "date":
            text = text[:10] + ("T12:00:00Z" if self._system == "finance" else "")
        elif moment.microsecond:
            # Whole seconds are kept: none equals the moment, and the second it falls into lies before it.
            if sign in ("IS", "IS NOT"):
                return "(1 = 0)" if sign == "IS" else "(1 = 1)"
            sign = ">" if sign[0] == ">" else "<="
        self._parameters.append(text)
        return f"({operand.sql} {sign} ?)"

    def _literal(self, column: Column, node: ast._Node) -> SqlValue:
        if isinstance(node, ast.Identifier) and node.name in self._prepared.enums:
            return self._enum(column, self._prepared.enums[node.name])
        if column.kind == "enum":
            raise QueryError("A binary operator with incompatible types was detected.")
        if column.kind == "text" and isinstance(node, ast.String):
            return node.val
        if column.kind in ("int", "option"):
            return self._checked(whole_number(decimal_of(node)))
        if column.kind == "bool" and isinstance(node, ast.Boolean):
            return int(node.py_val)
        if column.kind in ("guid", "lookup") and isinstance(node, ast.GUID | ast.String):
            return node.val.lower()
        raise QueryError("A binary operator with incompatible types was detected.")

    @staticmethod
    def _checked(value: int | None) -> int:
        if value is None:
            raise QueryError("A binary operator with incompatible types was detected.")
        return value

    def _enum(self, column: Column, literal: EnumLiteral) -> SqlValue:
        if column.kind != "enum" or literal.enum != ENUM_NAMESPACE + column.enum:
            raise QueryError("A binary operator with incompatible types was detected.")
        if literal.member not in column.members:
            raise QueryError(f"The string '{literal.member}' is not a valid enumeration type constant.")
        return literal.member

    def _members(self, given: LambdaCall) -> str:
        """``any`` and ``all``; of no rows ``all`` is true."""
        if self._collections is None:
            raise NotImplementedInSandbox("$filter", "any and all")
        members = self._collections(given.collection)
        if not given.condition:
            return f"(EXISTS ({members.sql}))"

        def resolve(name: str) -> Operand:
            variable, _, own = name.partition("/")
            if variable != given.variable:
                raise NotImplementedInSandbox("$filter", f"{name} inside of any or all")
            return members.resolve(own)

        where = FilterCompiler(self._schema, members.table, resolve).compile(given.condition)
        self._parameters.extend(where.parameters)
        if given.every:
            return f"(NOT EXISTS ({members.sql} AND {where.sql} IS NOT 1))"
        return f"(EXISTS ({members.sql} AND {where.sql}))"

    def _membership(self, given: ListCall) -> str:
        """Query functions over a list; like ``ne``, ``NotIn`` keeps rows without a value (assumed)."""
        operand = self._resolve(given.name)
        encoded = [self._member(operand.column, value) for value in given.values]
        if given.function == "Between":
            self._parameters.extend(encoded)
            return f"({operand.sql} BETWEEN ? AND ?)"
        self._parameters.extend(encoded)
        marks = ", ".join("?" * len(encoded))
        if given.function == "NotIn":
            return f"({operand.sql} IS NULL OR {operand.sql} NOT IN ({marks}))"
        return f"({operand.sql} IN ({marks}))"

    def _member(self, column: Column, value: object) -> SqlValue:
        """A value of a list. Clients write numbers and truth values as texts, too."""
        if isinstance(value, str):
            if column.kind == "text":
                return value
            if column.kind == "option":
                return self._checked(whole_number(number_of(value)))
            if column.kind in ("int", "decimal"):
                value = number_of(value)
                value = whole_number(value) if column.kind == "int" else value
            elif column.kind == "bool":
                value = {"true": True, "1": True, "false": False, "0": False}.get(value.lower(), value)
        try:
            return encoder(self._system, self._table.name, column)(value)
        except InvalidValue as error:
            raise QueryError(str(error)) from error

    def _function(self, node: ast.Call) -> str:
        name = node.func.name
        if name not in TEXT_FUNCTIONS:
            raise NotImplementedInSandbox("$filter", f"function {name}")
        if self._system == "finance":
            raise NotImplementedInSandbox("$filter", f"function {name} (Finance documents eq with a wildcard instead)")
        operand, literal = self._operand(node.args[0]), node.args[1]
        if operand is None or operand.column.kind != "text" or not isinstance(literal, ast.String):
            raise NotImplementedInSandbox("$filter", f"{name} of something other than a text property and a text")
        # %, _, [..] and [^..] act as wildcards in Dataverse (query/filter-rows)
        pattern = {"contains": "%{}%", "startswith": "{}%", "endswith": "%{}"}[name].format(literal.val)
        if "[" not in pattern:
            self._parameters.append(pattern)
            return f"({operand.sql} LIKE ?)"
        self._parameters.append(_glob(pattern))
        return f"(lower({operand.sql}) GLOB lower(?))"


def _glob(pattern: str) -> str:
    """A pattern with character classes for GLOB, which knows them, and has other wildcards."""
    parts = re.split(r"(\[[^\]]*\])", pattern)
    plain = str.maketrans({"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"})
    return "".join(part if index % 2 else part.translate(plain) for index, part in enumerate(parts))


def _like(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _flat(node: ast._Node, op: type) -> list[ast._Node]:
    """The operands of a chain of the same word, in order (chains of a thousand are common in batched reads)."""
    found: list[ast._Node] = []
    stack = [node]
    while stack:
        current = stack.pop()
        if isinstance(current, ast.BoolOp) and isinstance(current.op, op):
            stack += [current.right, current.left]
        else:
            found.append(current)
    return found


def _balanced(parts: list[str], word: str) -> str:
    """Join as a balanced tree: SQLite limits the depth of an expression."""
    while len(parts) > 1:
        parts = [f"({word.join(parts[index : index + 2])})" for index in range(0, len(parts), 2)]
    return parts[0]
