"""OData query options over one table, compiled to SQL. What is not understood is refused, never guessed.

``$filter`` is parsed by odata-query. Its grammar knows neither enum literals (``Ns.NoYes'Yes'``) nor Dataverse's query
functions (``Microsoft.Dynamics.CRM.In``), and takes names that begin like a keyword (``AllowX``, ``notes``) apart; so
those, and all property names, are replaced by placeholders before parsing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, InvalidOperation

import msgspec
from odata_query import ast
from odata_query.exceptions import ODataException
from odata_query.grammar import ODataLexer, ODataParser

from dualsync_sandbox.errors import InvalidValue, NotImplementedInSandbox, SandboxError
from dualsync_sandbox.schema import Column, SystemSchema, Table
from dualsync_sandbox.store import quoted
from dualsync_sandbox.store.values import SqlValue, encoder, parse_moment

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


@dataclass(frozen=True)
class Members:
    """The rows a collection-valued property leads to, for ``any`` and ``all``.

    Attributes:
        table: what the rows are of.
        sql: ``SELECT 1 FROM ... WHERE ...``, to which further conditions are added.
        resolve: properties of one such row.
    """

    table: Table
    sql: str
    resolve: Resolver


#: From the name of a collection-valued property to its rows.
Collections = Callable[[str], Members]

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
TEXT_FUNCTIONS = frozenset({"contains", "startswith", "endswith"})
#: Query functions that take a list of values.
LIST_FUNCTIONS = frozenset({"In", "NotIn", "Between"})
#: No stored number has more digits.
_MOST_DIGITS = 30
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


@dataclass(frozen=True)
class _List:
    function: str
    name: str
    values: list[object]


@dataclass(frozen=True)
class _Lambda:
    collection: str
    every: bool
    variable: str
    condition: str


@dataclass
class _Prepared:
    text: str
    names: dict[str, str] = field(default_factory=dict)
    enums: dict[str, _EnumLiteral] = field(default_factory=dict)
    lists: dict[str, _List] = field(default_factory=dict)
    lambdas: dict[str, _Lambda] = field(default_factory=dict)


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
        elif text[position:].startswith("(") and token.endswith(("/any", "/all")):
            inner, position = _arguments(text, position + 1)
            parts.append(_lambda(prepared, token, inner))
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
        if token in TEXT_FUNCTIONS:
            return token
        raise NotImplementedInSandbox("$filter", f"function {token}")
    placeholder = f"p_{len(prepared.names)}"
    prepared.names[placeholder] = token
    return placeholder


def _lambda(prepared: _Prepared, token: str, inner: str) -> str:
    collection, _, word = token.rpartition("/")
    match = re.fullmatch(r"\s*(\w+)\s*:(.*)", inner, re.DOTALL)
    if match is None and (word == "all" or inner.strip()):
        raise QueryError(f"'{word}' takes a variable, a colon and a condition.")
    placeholder = f"m_{len(prepared.lambdas)}"
    variable, condition = (match[1], match[2].strip()) if match else ("", "")
    prepared.lambdas[placeholder] = _Lambda(collection, word == "all", variable, condition)
    return f"({placeholder} eq true)"


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
    if function not in LIST_FUNCTIONS:
        raise NotImplementedInSandbox("$filter", f"function {CRM_NAMESPACE}{function}")
    match = re.fullmatch(r"\s*PropertyName\s*=\s*'(\w+)'\s*,\s*PropertyValues\s*=\s*(\[.*\])\s*", arguments, re.DOTALL)
    if match is None:
        raise QueryError(f"{CRM_NAMESPACE}{function} takes PropertyName='...' and PropertyValues=[...].")
    raw = match[2]
    if "'" in raw and '"' not in raw:
        raw = re.sub(r"'((?:[^']|'')*)'", lambda found: _json_text(found[1].replace("''", "'")), raw)
    try:
        values = msgspec.json.decode(raw)
    except msgspec.DecodeError as error:
        raise QueryError(f"PropertyValues is not a JSON array: {error}") from error
    if function == "Between" and len(values) != 2:
        raise QueryError("Microsoft.Dynamics.CRM.Between takes two values.")
    placeholder = f"l_{len(prepared.lists)}"
    prepared.lists[placeholder] = _List(function, match[1], values)
    return f"({placeholder} eq true)"


def _json_text(text: str) -> str:
    return msgspec.json.encode(text).decode()


@dataclass(frozen=True)
class Parsed:
    """A ``$filter`` as a tree, whose identifiers stand for properties and enum members."""

    tree: ast._Node
    prepared: _Prepared

    def name(self, node: ast.Identifier) -> str:
        """The property (or path) behind an identifier.

        Raises:
            NotImplementedInSandbox: it stands for a function.
        """
        if node.name not in self.prepared.names:
            raise NotImplementedInSandbox("$filter", "function")
        return self.prepared.names[node.name]

    def member(self, node: ast.Identifier) -> str | None:
        """The enum member behind an identifier; ``None`` when it stands for something else."""
        literal = self.prepared.enums.get(node.name)
        return literal.member if literal else None


def parse_filter(text: str) -> Parsed:
    """A ``$filter`` taken apart.

    Raises:
        QueryError: it is wrong.
        NotImplementedInSandbox: it uses something the sandbox does not play.
    """
    prepared = _prepare(text)
    try:
        tree = ODataParser().parse(ODataLexer().tokenize(prepared.text))
    except (ODataException, RecursionError) as error:
        raise QueryError(f"Syntax error in $filter: {error}") from error
    if tree is None:
        raise QueryError("The $filter expression is empty.")
    return Parsed(tree, prepared)


class FilterCompiler:
    """Compiles ``$filter`` for one table.

    Args:
        schema: of the system; decides null, wildcard and enum rules.
        table: the table.
        resolve: property name (or path) to operand; raises ``UnknownProperty``.
        collections: what ``any`` and ``all`` range over; they are refused without it.
    """

    def __init__(
        self, schema: SystemSchema, table: Table, resolve: Resolver, collections: Collections | None = None
    ) -> None:
        self._schema = schema
        self._system = schema.system
        self._table = table
        self._resolve = resolve
        self._collections = collections
        self._prepared = _Prepared("")
        self._parameters: list[SqlValue] = []

    def compile(self, text: str) -> Where:
        """The condition for ``text``.

        Raises:
            QueryError: the filter is wrong.
            NotImplementedInSandbox: it uses something the sandbox does not play.
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
        value = _decimal(node)
        if value is None:
            raise QueryError("A binary operator with incompatible types was detected.")
        if value.adjusted() >= _MOST_DIGITS:
            # Beyond all that is kept: compared as infinity, which leaves rows without a value as unknown as ever.
            self._parameters.append(float("inf") if value > 0 else float("-inf"))
            return f"({operand.sql} {sign} ?)"
        scaled = value.scaleb(operand.column.scale or 0)
        if scaled == scaled.to_integral_value():
            self._parameters.append(_bounded(int(scaled)))
            return f"({operand.sql} {sign} ?)"
        # Finer than the column keeps: no row equals it, and the nearest kept value decides the order.
        if sign in ("IS", "IS NOT"):
            return "(1 = 0)" if sign == "IS" else "(1 = 1)"
        if sign[0] == ">":
            self._parameters.append(_bounded(int(scaled.to_integral_value(ROUND_FLOOR))))
            return f"({operand.sql} > ?)"
        self._parameters.append(_bounded(int(scaled.to_integral_value(ROUND_CEILING))))
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
            return self._checked(_whole(_decimal(node)))
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

    def _enum(self, column: Column, literal: _EnumLiteral) -> SqlValue:
        if column.kind != "enum" or literal.enum != ENUM_NAMESPACE + column.enum:
            raise QueryError("A binary operator with incompatible types was detected.")
        if literal.member not in column.members:
            raise QueryError(f"The string '{literal.member}' is not a valid enumeration type constant.")
        return literal.member

    def _members(self, given: _Lambda) -> str:
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

    def _membership(self, given: _List) -> str:
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
                return self._checked(_whole(_number_of(value)))
            if column.kind in ("int", "decimal"):
                value = _number_of(value)
                value = _whole(value) if column.kind == "int" else value
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


def _decimal(node: ast._Node) -> Decimal | None:
    sign = 1
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        sign, node = -1, node.operand
    return sign * Decimal(node.val) if isinstance(node, ast.Integer | ast.Float) else None


def _number_of(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _whole(number: Decimal | None) -> int | None:
    """A whole number that a 64-bit column could hold, or ``None``."""
    if number is None or number.adjusted() >= _MOST_DIGITS or number != number.to_integral_value():
        return None
    value = int(number)
    return value if -(2**63) <= value < 2**63 else None


def _bounded(number: int) -> int | float:
    """SQLite takes no whole number of more than 64 bits, and compares floats with whole numbers exactly."""
    return number if -(2**63) <= number < 2**63 else float(number)


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
    return [sql + (" DESC" if descending else "") for sql, descending in order_terms(text, resolve)]


def order_terms(text: str, resolve: Resolver) -> list[tuple[str, bool]]:
    """``$orderby`` as SQL terms, each with whether it descends.

    Raises:
        QueryError: it is wrong.
    """
    terms = []
    for part in text.split(","):
        words = part.split()
        if not words or len(words) > 2 or (len(words) == 2 and words[1].lower() not in ("asc", "desc")):
            raise QueryError(f"Syntax error in $orderby: {part.strip()!r}")
        terms.append((resolve(words[0]).sql, len(words) == 2 and words[1].lower() == "desc"))
    return terms


def whole(options: Mapping[str, str], name: str) -> int | None:
    """A query option that must be a whole number, not negative."""
    text = options.get(name)
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise QueryError(f"Invalid value '{text[:40]}' for {name} query option found.")
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
