"""``$filter`` taken apart. What is not understood is refused, never guessed.

It is parsed by odata-query. Its grammar knows neither enum literals (``Ns.NoYes'Yes'``) nor Dataverse's query functions
(``Microsoft.Dynamics.CRM.In``), and takes names that begin like a keyword (``AllowX``, ``notes``) apart; so those, and
all property names, are replaced by placeholders before parsing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import msgspec
from odata_query import ast
from odata_query.exceptions import ODataException
from odata_query.grammar import ODataLexer, ODataParser

from dualsync_sandbox.errors import NotImplementedInSandbox
from dualsync_sandbox.protocol.odata.operands import QueryError

CRM_NAMESPACE = "Microsoft.Dynamics.CRM."

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


@dataclass(frozen=True)
class EnumLiteral:
    """An enum member as the filter writes it."""

    enum: str
    member: str


@dataclass(frozen=True)
class ListCall:
    """A query function over a list of values, such as ``Microsoft.Dynamics.CRM.In``."""

    function: str
    name: str
    values: list[object]


@dataclass(frozen=True)
class LambdaCall:
    """``any`` or ``all`` over a collection."""

    collection: str
    every: bool
    variable: str
    condition: str


@dataclass
class Prepared:
    """A filter with placeholders, and what each of them stands for."""

    text: str
    names: dict[str, str] = field(default_factory=dict)
    enums: dict[str, EnumLiteral] = field(default_factory=dict)
    lists: dict[str, ListCall] = field(default_factory=dict)
    lambdas: dict[str, LambdaCall] = field(default_factory=dict)


def _prepare(text: str) -> Prepared:
    """Replace names, enum literals and query functions by placeholders the parser takes."""
    prepared = Prepared("")
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
            prepared.enums[placeholder] = EnumLiteral(name, member[:-1].replace("''", "'"))
            parts.append(placeholder)
        elif text[position:].startswith("(") and token.endswith(("/any", "/all")):
            inner, position = _arguments(text, position + 1)
            parts.append(_lambda(prepared, token, inner))
        else:
            parts.append(_name(prepared, text, match))
    parts.append(text[position:])
    prepared.text = "".join(parts).strip()
    return prepared


def _name(prepared: Prepared, text: str, match: re.Match[str]) -> str:
    token = match["name"]
    if token.startswith("@"):
        raise NotImplementedInSandbox("$filter", f"parameter alias {token}")
    lower = token.lower()
    following = text[match.end() :].lstrip()
    if lower == "not":
        return "not "
    if lower == "has":
        raise NotImplementedInSandbox("$filter", "operator has")
    if token in _KEYWORDS:
        return token
    if following.startswith("("):
        if token in TEXT_FUNCTIONS:
            return token
        raise NotImplementedInSandbox("$filter", f"function {token}")
    placeholder = f"p_{len(prepared.names)}"
    prepared.names[placeholder] = token
    return placeholder


def _lambda(prepared: Prepared, token: str, inner: str) -> str:
    collection, _, word = token.rpartition("/")
    match = re.fullmatch(r"\s*(\w+)\s*:(.*)", inner, re.DOTALL)
    if match is None and (word == "all" or inner.strip()):
        raise QueryError(f"'{word}' takes a variable, a colon and a condition.")
    placeholder = f"m_{len(prepared.lambdas)}"
    variable, condition = (match[1], match[2].strip()) if match else ("", "")
    prepared.lambdas[placeholder] = LambdaCall(collection, word == "all", variable, condition)
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


def _query_function(prepared: Prepared, function: str, arguments: str) -> str:
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
    prepared.lists[placeholder] = ListCall(function, match[1], values)
    return f"({placeholder} eq true)"


def _json_text(text: str) -> str:
    return msgspec.json.encode(text).decode()


@dataclass(frozen=True)
class Parsed:
    """A ``$filter`` as a tree, whose identifiers stand for properties and enum members."""

    tree: ast._Node
    prepared: Prepared

    def name(self, node: ast.Identifier) -> str:
        """The property (or path) behind an identifier.

        Raises:
            NotImplementedInSandbox: It stands for a function.
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
        QueryError: It is wrong.
        NotImplementedInSandbox: It uses something the sandbox does not play.
    """
    prepared = _prepare(text)
    try:
        tree = ODataParser().parse(ODataLexer().tokenize(prepared.text))
    except (ODataException, RecursionError) as error:
        raise QueryError(f"Syntax error in $filter: {error}") from error
    if tree is None:
        raise QueryError("The $filter expression is empty.")
    return Parsed(tree, prepared)
