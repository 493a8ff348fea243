"""Dataverse rows on the wire. SQLite itself writes their JSON: a page is its rows, joined.

Follows "Use Web API properties", "Select columns" and "Join tables" (webapi/query): lookups read as ``_name_value``,
the primary key always comes along, a money column brings the currency, values formatted for people only when asked
for, expanded rows inside of their row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from urllib.parse import quote

import msgspec

from dualsync_sandbox.dataverse.errors import URI_ERROR
from dualsync_sandbox.dataverse.model import Relationship, Scope, column_of, wire_name
from dualsync_sandbox.dataverse.reading.cookies import Cookie
from dualsync_sandbox.dataverse.reading.expand import Expansion
from dualsync_sandbox.errors import NotImplementedInSandbox
from dualsync_sandbox.protocol.http import ApiError, Call
from dualsync_sandbox.protocol.odata import FilterCompiler, UnknownProperty, order_by, selected, whole
from dualsync_sandbox.schema import Column, Table
from dualsync_sandbox.store.values import SqlValue

FORMATTED = "OData.Community.Display.V1.FormattedValue"
LOOKUP_NAME = "Microsoft.Dynamics.CRM.lookuplogicalname"
NAVIGATION = "Microsoft.Dynamics.CRM.associatednavigationproperty"
LARGEST_PAGE = 5_000
#: The service's words, also for single-valued navigation properties.
_SELECT_AND_FILTER = (
    "Only $select and $filter clause can be provided while doing $expand on many-to-one relationship or nested "
    "one-to-many relationship."
)
#: Stands for the last row's id in a cookie that SQLite completes.
_LAST = "LASTROW"
#: Up to here a scaled number and its quotient as a float have the same digits.
_EXACT = 10**15
_GROUP = 40
#: SQLite's functions take at most 127 arguments.
_MOST_PAIRS = 60


@dataclass(frozen=True)
class Annotations:
    """Which annotations the caller asked for with ``Prefer: odata.include-annotations``."""

    patterns: tuple[str, ...]

    @staticmethod
    def of(call: Call) -> Annotations:
        """As the request says."""
        wanted = call.preferences.get("odata.include-annotations", "")
        return Annotations(tuple(part.strip() for part in wanted.split(",") if part.strip()))

    def wants(self, name: str) -> bool:
        """Whether annotation ``name`` is included."""
        return any(fnmatchcase(name, pattern) for pattern in self.patterns)


@dataclass(frozen=True)
class View:
    """What a request wants to see of rows.

    Attributes:
        service: URL of the service root, for links.
        select: The ``$select`` names; none means all.
        annotations: Those asked for.
        expansions: Related rows to bring along.
        page: How many rows a page of a nested collection holds.
    """

    service: str
    select: tuple[str, ...] = ()
    annotations: Annotations = Annotations(())
    expansions: tuple[Expansion, ...] = ()
    page: int = LARGEST_PAGE

    @property
    def nested(self) -> bool:
        """Whether something is expanded below an expansion: collections are paged then."""
        return any(expansion.inner for expansion in self.expansions)

    @property
    def fields(self) -> str:
        """The part of ``@odata.context`` that says what is shown."""
        inner = [*self.select, *(_described(expansion) for expansion in self.expansions)]
        return f"({','.join(inner)})" if inner else ""


def _described(expansion: Expansion) -> str:
    if expansion.reference:
        return f"{expansion.name},{expansion.name}/$ref()"
    listed = [*selected(expansion.options.get("$select")), *(_described(inner) for inner in expansion.inner)]
    return f"{expansion.name}({','.join(listed)})"


class Shape:
    """How rows of one request are written.

    Args:
        scope: The table in the statement.
        view: What is wanted.

    Attributes:
        sql: An expression that gives a row's JSON text.
        parameters: What its question marks stand for, in order.
    """

    def __init__(self, scope: Scope, view: View, *, tagged: bool = True, paged: bool = False) -> None:
        self.scope = scope
        self.view = view
        self._paged = paged or view.nested
        self.table = scope.table
        self.parameters: list[SqlValue] = []
        columns = self._columns()
        tag = _pair("@odata.etag", f"""'W/"' || {scope.column("versionnumber")} || '"'""")
        pairs = [tag] if tagged else []
        pairs += [_pair(wire_name(column), _value(column, scope.column(column.name))) for column in columns]
        more = [note for column in columns for note in self._notes(column)]
        more += [self._expanded(expansion) for expansion in view.expansions]
        self.sql = _object(pairs, more)

    def _columns(self) -> list[Column]:
        columns = self.table.columns
        chosen = {column_of(self.table, name).name for name in self.view.select} or set(columns)
        chosen.add(self.table.id)
        if "transactioncurrencyid" in columns and any(columns[name].type == "Money" for name in chosen):
            chosen.add("transactioncurrencyid")
        return [column for name, column in columns.items() if name in chosen]

    # -- annotations

    def _notes(self, column: Column) -> list[str]:
        annotations = self.view.annotations
        name, own = wire_name(column), self.scope.column(column.name)
        notes = []
        if column.kind == "lookup":
            kind = self._target(column)
            if annotations.wants(LOOKUP_NAME):
                notes.append(_note(f"{name}@{LOOKUP_NAME}", kind))
            if annotations.wants(NAVIGATION):
                cases = " ".join(f"WHEN '{target}' THEN '{nav}'" for target, nav in column.targets.items())
                notes.append(_note(f"{name}@{NAVIGATION}", f"CASE {kind} {cases} END"))
            if annotations.wants(FORMATTED):
                notes.append(_note(f"{name}@{FORMATTED}", self.scope.label(column)))
        elif annotations.wants(FORMATTED) and column.kind in ("option", "bool"):
            # Numbers and dates are formatted by the user's settings on the real service; the sandbox leaves them out.
            labels = column.options if column.kind == "option" else {0: "No", 1: "Yes"}
            cases = " ".join(f"WHEN {number} THEN {_text(label)}" for number, label in labels.items())
            notes.append(_note(f"{name}@{FORMATTED}", f"CASE {own} {cases} END"))
        return notes

    def _target(self, column: Column) -> str:
        if column.polymorphic:
            return self.scope.column(f"{column.name}@type")
        return f"iif({self.scope.column(column.name)} IS NULL, NULL, '{next(iter(column.targets))}')"

    # -- related rows

    def _expanded(self, expansion: Expansion) -> str:
        model = self.scope.model
        single = model.of(self.table).get(expansion.name)
        if single is not None:
            return self._parent(expansion, single)
        many = model.collections[self.table.name].get(expansion.name)
        if many is None:
            raise UnknownProperty(self.table, expansion.name)
        return self._children(expansion, many)

    def _inner(self, expansion: Expansion, table: Table, *, tagged: bool) -> Shape:
        select = tuple(selected(expansion.options.get("$select")))
        view = replace(self.view, select=select, expansions=expansion.inner)
        shape = Shape(self.scope.below(table), view, tagged=tagged, paged=self._paged)
        self.parameters += shape.parameters
        return shape

    def _parent(self, expansion: Expansion, relationship: Relationship) -> str:
        if expansion.options.keys() - {"$select", "$filter"}:
            raise ApiError(400, URI_ERROR, _SELECT_AND_FILTER)
        if "$filter" in expansion.options:
            raise NotImplementedInSandbox("$filter", f"of the single-valued '{expansion.name}'")
        lookup = self.scope.column(relationship.column.name)
        if expansion.reference:
            return self._reference(expansion, relationship, lookup)
        shape = self._inner(expansion, relationship.parent, tagged=False)
        condition = f"{shape.scope.id} = {lookup}"
        if relationship.column.polymorphic:
            kind = self.scope.column(f"{relationship.column.name}@type")
            condition += f" AND {kind} = '{relationship.parent.name}'"
        found = f"(SELECT {shape.sql} FROM {shape.scope.source} WHERE {condition})"
        return f"""',"{expansion.name}":' || coalesce({found}, 'null')"""

    def _reference(self, expansion: Expansion, relationship: Relationship, lookup: str) -> str:
        """The URL of the row, or null."""
        exists = f"{lookup} IS NOT NULL"
        if relationship.column.polymorphic:
            kind = self.scope.column(f"{relationship.column.name}@type")
            exists += f" AND {kind} = '{relationship.parent.name}'"
        before = msgspec.json.encode(f"{self.view.service}/{relationship.parent.set}(").decode()[:-1]
        url = f"""{_text(f',"{expansion.name}":{{"@odata.id":{before}')} || {lookup} || ')"}}'"""
        return f"""iif({exists}, {url}, ',"{expansion.name}":null')"""

    def _children(self, expansion: Expansion, relationship: Relationship) -> str:
        """A collection: not paged beside its parents, page by page when something is expanded below any expansion."""
        options = expansion.options
        if expansion.reference:
            raise ApiError(400, URI_ERROR, "Expand with $ref is only supported on lookup type navigation property.")
        if self._paged and options.keys() & {"$top", "$orderby"}:
            raise ApiError(400, URI_ERROR, _SELECT_AND_FILTER)
        shape = self._inner(expansion, relationship.child, tagged=not self._paged)
        scope = shape.scope
        condition = relationship.joined(scope.alias, self.scope.id)
        if "$filter" in options:
            where = filtered(scope, options["$filter"])
            condition += f" AND {where[0]}"
            self.parameters += where[1]
        terms = order_by(options["$orderby"], scope.ordered) if options.get("$orderby") else []
        most = self.view.page if self._paged else LARGEST_PAGE
        top = whole(options, "$top")
        limit = most if top is None else min(top, most)
        rows = (
            f"SELECT {shape.sql} AS row, {scope.id} AS id FROM {scope.source} WHERE {condition} "
            f"ORDER BY {', '.join([*terms, scope.id])} LIMIT {limit}"
        )
        listed = "coalesce(group_concat(row, ','), '')"
        found = f"(SELECT {listed} || {self._link(expansion)} FROM ({rows}))"
        return f"""',"{expansion.name}":[' || {found}"""

    def _link(self, expansion: Expansion) -> str:
        """The end of a collection, with the next link that it always has; paged, it goes on after its last row."""
        options = dict(expansion.options)
        if expansion.inner:
            options["$expand"] = ",".join(map(str, expansion.inner))
        query = "&".join(f"{name}={quote(value, safe='(),$')}" for name, value in options.items())
        before = msgspec.json.encode(f"{self.view.service}/{self.table.set}(").decode()[:-1]
        start = f"""{_text(f'],"{expansion.name}@odata.nextLink":{before}')} || {self.scope.id}"""
        after = f")/{expansion.name}{'?' + query if query else ''}"
        if not self._paged:
            return f"{start} || {_text(after + chr(34))}"
        token = quote(str(Cookie(page=2, last=(_LAST,))), safe="")
        head, tail = f"{'&' if query else '?'}$skiptoken={token}".split(_LAST)
        return f"""{start} || {_text(after)} || coalesce({_text(head)} || max(id) || {_text(tail)}, '') || '"'"""


def filtered(scope: Scope, text: str) -> tuple[str, list[SqlValue]]:
    """A ``$filter`` as a condition and its parameters.

    Raises:
        QueryError: It is wrong.
    """
    where = FilterCompiler(scope.model.schema, scope.table, scope.resolve, scope.members).compile(text)
    return where.sql, where.parameters


# -- SQL that writes JSON


def _pair(name: str, value: str) -> str:
    return f"{_text(name)}, {value}"


def _object(pairs: Sequence[str], more: Sequence[str]) -> str:
    """A JSON object of names with values, and further properties that are written out with a comma before them."""
    objects = [f"json_object({', '.join(pairs[at : at + _MOST_PAIRS])})" for at in range(0, len(pairs), _MOST_PAIRS)]
    if len(objects) == 1 and not more:
        return objects[0]
    # Values are texts, numbers, true, false or null: the braces at the ends are the object's own.
    inner = [f"trim({sql}, '{{}}')" for sql in objects]
    return _joined(["'{'", " || ',' || ".join(inner), *more, "'}'"])


def _joined(parts: Sequence[str]) -> str:
    """Concatenated in groups: SQLite limits the depth of an expression."""
    groups = [" || ".join(parts[start : start + _GROUP]) for start in range(0, len(parts), _GROUP)]
    return " || ".join(f"({group})" for group in groups) if len(groups) > 1 else groups[0]


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _note(name: str, value: str) -> str:
    """A property that is left out where it has no value."""
    return f"""iif({value} IS NULL, '', ',"{name}":' || json_quote({value}))"""


def _value(column: Column, sql: str) -> str:
    """A column as a value of ``json_object``, which knows texts, whole numbers and null by itself."""
    if column.kind == "bool":
        return f"json(CASE {sql} WHEN 1 THEN 'true' WHEN 0 THEN 'false' END)"
    if column.kind == "decimal" and column.scale:
        return f"json({_decimal(sql, column.scale)})"
    return sql


def _decimal(sql: str, scale: int) -> str:
    """A scaled whole number as a decimal number with all its decimals; ``printf`` is quick, and exact up to a limit."""
    unit = 10**scale
    slow = f"iif({sql} < 0, '-', '') || (abs({sql}) / {unit}) || '.' || substr({unit} + abs({sql}) % {unit}, 2)"
    return (
        f"CASE WHEN {sql} BETWEEN -{_EXACT} AND {_EXACT} THEN printf('%.{scale}f', {sql} / {unit}.0) "
        f"WHEN {sql} IS NOT NULL THEN {slow} END"
    )


def etag(version: object) -> str:
    """The weak entity tag of a row version."""
    return f'W/"{version}"'


def document(head: dict[str, object], rows: bytes, tail: dict[str, object]) -> bytes:
    """A JSON object with a list ``value`` of rows that are JSON already, with commas between them."""
    before = msgspec.json.encode(head)[:-1]
    after = b"," + msgspec.json.encode(tail)[1:] if tail else b"}"
    return b"".join((before, b',"value":[', rows, b"]", after))


def single(head: dict[str, object], row: str) -> bytes:
    """A row as JSON object with ``head`` before its own properties."""
    return msgspec.json.encode(head)[:-1] + b"," + row[1:].encode()
