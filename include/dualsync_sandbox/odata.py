"""OData query options over one table, compiled to SQL. What is not understood is refused, never guessed.

``$filter`` is parsed by odata-query. Its grammar knows neither enum literals (``Ns.NoYes'Yes'``) nor Dataverse's query
functions (``Microsoft.Dynamics.CRM.In``), and takes names that begin like a keyword (``AllowX``, ``notes``) apart; so
those, and all property names, are replaced by placeholders before parsing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import msgspec
from odata_query import ast
from odata_query.exceptions import ODataException
from odata_query.grammar import ODataLexer, ODataParser

from dualsync_sandbox.errors import InvalidValue, NotImplementedInSandbox, SandboxError
from dualsync_sandbox.schema import Column, SystemSchema, Table
from dualsync_sandbox.store import quoted
from dualsync_sandbox.values import SqlValue, encoder, parse_moment

ENUM_NAMESPACE = "Microsoft.Dynamics.DataEntities."
CRM_NAMESPACE = "Microsoft.Dynamics.CRM."


class QueryError(SandboxError):
    """The query is wrong (the systems answer 400)."""


class UnknownProperty(QueryError):
    """The query names a property the type does not have."""

    def __init__(self, table: Table, name: str) -> None:
        super().__init__(f"Could not find a property named '{name}' on type '{table.entity}'.")
        self.table = table
        self.name = name


@dataclass(frozen=True)
class Operand:
    """A property in a filter: its column, and the SQL that gives its value."""

    column: Column
    sql: str


Resolver = Callable[[str], Operand]

_TOKENS = re.compile(
    r"(?P<string>'(?:[^']|'')*')"
    r"|(?P<guid>[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})"
    r"|(?P<function>Microsoft\.Dynamics\.CRM\.\w+)\s*\("
    r"|(?P<enum>[A-Za-z_][\w.]*'(?:[^']|'')*')"
    r"|(?P<number>\d[\w.:+-]*)"
    r"|(?P<name>@?[A-Za-z_][\w.]*(?:/[A-Za-z_$][\w.]*)*)"
)
_KEYWORDS = frozenset(
    {"and", "or", "not", "eq", "ne", "gt", "ge", "lt", "le", "in", "null", "true", "false"}
    | {"add", "sub", "mul", "div", "divby", "mod", "has"}
)
_TEXT_FUNCTIONS = frozenset({"contains", "startswith", "endswith"})
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


@dataclass(frozen=True)
class _EnumLiteral:
    enum: str
    member: str


@dataclass
class _Prepared:
    text: str
    names: dict[str, str] = field(default_factory=dict)
    enums: dict[str, _EnumLiteral] = field(default_factory=dict)
    lists: dict[str, tuple[str, list[object]]] = field(default_factory=dict)


def _prepare(text: str) -> _Prepared:
    """Replace names, enum literals and query functions by placeholders the parser takes."""
    prepared = _Prepared("")
    parts: list[str] = []
    position = 0
    while position < len(text):
        match = _TOKENS.search(text, position)
        if match is None:
            break
        parts.append(text[position : match.start()])
        position = match.end()
        kind, token = match.lastgroup, match[0]
        if kind in ("string", "number", "guid"):
            parts.append(token)
        elif kind == "function":
            function = match["function"].removeprefix(CRM_NAMESPACE)
            arguments, position = _arguments(text, match.end())
            parts.append(_query_function(prepared, function, arguments))
        elif kind == "enum":
            name, _, member = token.partition("'")
            if name.lower() in ("duration", "geography"):
                raise NotImplementedInSandbox("$filter", f"{name} literal")
            placeholder = f"e_{len(prepared.enums)}"
            prepared.enums[placeholder] = _EnumLiteral(name, member[:-1].replace("''", "'"))
            parts.append(placeholder)
        else:
            parts.append(_name(prepared, text, match))
    parts.append(text[position:])
    prepared.text = "".join(parts).strip()
    return prepared


def _name(prepared: _Prepared, text: str, match: re.Match[str]) -> str:
    token = match["name"]
    if token.startswith("@"):
        raise NotImplementedInSandbox("$filter", f"parameter alias {token}")
    lower = token.lower()
    following = text[match.end() :].lstrip()
    if lower == "not":
        return "not "
    if token in _KEYWORDS:
        return token
    if following.startswith("("):
        if token in _TEXT_FUNCTIONS:
            return token
        raise NotImplementedInSandbox("$filter", f"function {token}")
    placeholder = f"p_{len(prepared.names)}"
    prepared.names[placeholder] = token
    return placeholder


def _arguments(text: str, start: int) -> tuple[str, int]:
    """The text up to the closing parenthesis of a query function, and where it ends."""
    depth, position, quote_mark = 1, start, ""
    while position < len(text):
        character = text[position]
        if quote_mark:
            if character == "\\" and quote_mark == '"':
                position += 1
            elif character == quote_mark:
                quote_mark = ""
        elif character in "'\"":
            quote_mark = character
        elif character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
            if depth == 0:
                return text[start:position], position + 1
        position += 1
    raise QueryError("There is an unterminated function call in the query.")


def _query_function(prepared: _Prepared, function: str, arguments: str) -> str:
    if function != "In":
        raise NotImplementedInSandbox("$filter", f"function {CRM_NAMESPACE}{function}")
    match = re.fullmatch(r"\s*PropertyName\s*=\s*'(\w+)'\s*,\s*PropertyValues\s*=\s*(\[.*\])\s*", arguments, re.DOTALL)
    if match is None:
        raise QueryError("Microsoft.Dynamics.CRM.In takes PropertyName='...' and PropertyValues=[...].")
    raw = match[2]
    if "'" in raw and '"' not in raw:
        raw = re.sub(r"'((?:[^']|'')*)'", lambda found: _json_text(found[1].replace("''", "'")), raw)
    try:
        values = msgspec.json.decode(raw)
    except msgspec.DecodeError as error:
        raise QueryError(f"PropertyValues is not a JSON array: {error}") from error
    placeholder = f"l_{len(prepared.lists)}"
    prepared.lists[placeholder] = (match[1], values)
    return f"({placeholder} eq true)"


def _json_text(text: str) -> str:
    return msgspec.json.encode(text).decode()


class FilterCompiler:
    """Compiles ``$filter`` for one table.

    Args:
        schema: of the system; decides null, wildcard and enum rules.
        table: the table.
        resolve: property name (or path) to operand; raises ``UnknownProperty``.
    """

    def __init__(self, schema: SystemSchema, table: Table, resolve: Resolver) -> None:
        self._system = schema.system
        self._table = table
        self._resolve = resolve
        self._prepared = _Prepared("")
        self._parameters: list[SqlValue] = []

    def compile(self, text: str) -> Where:
        """The condition for ``text``.

        Raises:
            QueryError: the filter is wrong.
            NotImplementedInSandbox: it uses something the sandbox does not play.
        """
        self._prepared = _prepare(text)
        self._parameters = []
        try:
            tree = ODataParser().parse(ODataLexer().tokenize(self._prepared.text))
        except ODataException as error:
            raise QueryError(f"Syntax error in $filter: {error}") from error
        if tree is None:
            raise QueryError("The $filter expression is empty.")
        sql = self._condition(tree)
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
            return self._membership(*self._prepared.lists[node.left.name])
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
        value = _decimal(node)
        if value is None:
            raise QueryError("A binary operator with incompatible types was detected.")
        scaled = value.scaleb(operand.column.scale or 0)
        if scaled == scaled.to_integral_value():
            self._parameters.append(int(scaled))
            return f"({operand.sql} {sign} ?)"
        # Finer than the column keeps: no row equals it, and the nearest kept value decides the order.
        if sign in ("IS", "IS NOT"):
            return "(1 = 0)" if sign == "IS" else "(1 = 1)"
        if sign[0] == ">":
            self._parameters.append(int(scaled.to_integral_value(ROUND_FLOOR)))
            return f"({operand.sql} > ?)"
        self._parameters.append(int(scaled.to_integral_value(ROUND_CEILING)))
        return f"({operand.sql} < ?)"

    def _literal(self, column: Column, node: ast._Node) -> SqlValue:
        value: object
        if isinstance(node, ast.Identifier) and node.name in self._prepared.enums:
            return self._enum(column, self._prepared.enums[node.name])
        if column.kind == "enum":
            raise QueryError("A binary operator with incompatible types was detected.")
        if column.kind == "text" and isinstance(node, ast.String):
            return node.val
        if column.kind in ("int", "option"):
            number = _decimal(node)
            value = int(number) if number is not None and number == int(number) else None
            return self._checked(value if isinstance(value, int) else None)
        if column.kind == "bool" and isinstance(node, ast.Boolean):
            return int(node.py_val)
        if column.kind in ("guid", "lookup") and isinstance(node, ast.GUID | ast.String):
            return node.val.lower()
        if column.kind in ("date", "instant") and isinstance(node, ast.Date | ast.DateTime):
            moment = parse_moment(node.val)
            if moment is not None:
                text = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
                if column.kind == "instant":
                    return text
                return text[:10] + ("T12:00:00Z" if self._system == "finance" else "")
        raise QueryError("A binary operator with incompatible types was detected.")

    @staticmethod
    def _checked(value: int | None) -> int:
        if value is None:
            raise QueryError("A binary operator with incompatible types was detected.")
        return value

    def _enum(self, column: Column, literal: _EnumLiteral) -> SqlValue:
        if column.kind != "enum" or literal.enum != ENUM_NAMESPACE + column.enum:
            raise QueryError("A binary operator with incompatible types was detected.")
        if literal.member not in column.members:
            raise QueryError(f"The string '{literal.member}' is not a valid enumeration type constant.")
        return literal.member

    def _membership(self, name: str, values: Sequence[object]) -> str:
        operand = self._resolve(name)
        check = encoder(self._system, self._table.name, operand.column)
        encoded: list[SqlValue] = []
        for value in values:
            wanted = value
            if operand.column.kind in ("option", "int") and isinstance(value, str) and value.lstrip("-").isdigit():
                wanted = int(value)
            try:
                encoded.append(check(wanted))
            except InvalidValue as error:
                if operand.column.kind != "option":
                    raise QueryError(str(error)) from error
        self._parameters.extend(encoded)
        return f"({operand.sql} IN ({', '.join('?' * len(encoded))}))"

    def _function(self, node: ast.Call) -> str:
        name = node.func.name
        if name not in _TEXT_FUNCTIONS:
            raise NotImplementedInSandbox("$filter", f"function {name}")
        if self._system == "finance":
            raise NotImplementedInSandbox("$filter", f"function {name} (Finance documents eq with a wildcard instead)")
        operand, literal = self._operand(node.args[0]), node.args[1]
        if operand is None or operand.column.kind != "text" or not isinstance(literal, ast.String):
            raise NotImplementedInSandbox("$filter", f"{name} of something other than a text property and a text")
        if "[" in literal.val:
            raise NotImplementedInSandbox("$filter", "character class in a text filter")
        pattern = literal.val  # % and _ act as wildcards in Dataverse
        pattern = {"contains": f"%{pattern}%", "startswith": f"{pattern}%", "endswith": f"%{pattern}"}[name]
        self._parameters.append(pattern)
        return f"({operand.sql} LIKE ?)"


def _like(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _decimal(node: ast._Node) -> Decimal | None:
    sign = 1
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        sign, node = -1, node.operand
    return sign * Decimal(node.val) if isinstance(node, ast.Integer | ast.Float) else None


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


def order_by(text: str, resolve: Resolver) -> list[str]:
    """``$orderby`` as SQL terms.

    Raises:
        QueryError: it is wrong.
    """
    terms = []
    for part in text.split(","):
        words = part.split()
        if not words or len(words) > 2 or (len(words) == 2 and words[1].lower() not in ("asc", "desc")):
            raise QueryError(f"Syntax error in $orderby: {part.strip()!r}")
        direction = " DESC" if len(words) == 2 and words[1].lower() == "desc" else ""
        terms.append(resolve(words[0]).sql + direction)
    return terms


def whole(options: Mapping[str, str], name: str) -> int | None:
    """A query option that must be a whole number, not negative."""
    text = options.get(name)
    if text is None:
        return None
    if not text.isdigit():
        raise QueryError(f"Invalid value '{text}' for {name} query option found.")
    return int(text)


def selected(text: str | None) -> list[str]:
    """``$select`` as names, without repeats."""
    return list(dict.fromkeys(part.strip() for part in (text or "").split(",") if part.strip()))


def own_column(schema: SystemSchema, table: Table, name: str) -> Operand:
    """A property that is a column of the table itself (Finance)."""
    column = table.columns.get(name)
    if column is None:
        if "/" in name:
            raise NotImplementedInSandbox(f"path {name}", f"in {schema.system}")
        raise UnknownProperty(table, name)
    return Operand(column, quoted(name))
