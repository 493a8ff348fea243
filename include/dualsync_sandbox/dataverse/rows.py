"""Dataverse rows on the wire: names, annotations, and the SQL that fetches exactly what is asked for.

Follows "Use Web API properties" and "Select columns" (webapi/query): lookups read as ``_name_value``, the primary key
always comes along, a money column brings the currency, values formatted for people only when asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fnmatch import fnmatchcase

from dualsync_sandbox.errors import NotImplementedInSandbox
from dualsync_sandbox.http import Call
from dualsync_sandbox.odata import Operand, UnknownProperty
from dualsync_sandbox.schema import Column, SystemSchema, Table
from dualsync_sandbox.store import Row, quoted
from dualsync_sandbox.values import SqlValue

FORMATTED = "OData.Community.Display.V1.FormattedValue"
LOOKUP_NAME = "Microsoft.Dynamics.CRM.lookuplogicalname"
NAVIGATION = "Microsoft.Dynamics.CRM.associatednavigationproperty"


def wire_name(column: Column) -> str:
    """The property name of a column: ``_name_value`` for lookups."""
    return f"_{column.name}_value" if column.kind == "lookup" else column.name


def column_of(table: Table, name: str) -> Column:
    """The column behind a property name.

    Raises:
        UnknownProperty: there is none (a lookup's bare name is a navigation property, not a property).
    """
    inner = name[1:-6] if name.startswith("_") and name.endswith("_value") else name
    column = table.columns.get(inner)
    if column is None or (column.kind == "lookup") != (inner != name):
        raise UnknownProperty(table, name)
    return column


def resolver(schema: SystemSchema, table: Table) -> Callable[[str], Operand]:
    """Property names in ``$filter`` and ``$orderby``, also one step through a lookup (``customerid_account/name``)."""

    def resolve(name: str) -> Operand:
        head, slash, tail = name.partition("/")
        if not slash:
            # Query functions name the attribute itself, not the property.
            inner = table.columns.get(name)
            column = inner if inner is not None and inner.kind == "lookup" else column_of(table, name)
            return Operand(column, quoted(column.name))
        if head not in table.navigation or "/" in tail:
            raise NotImplementedInSandbox(f"path {name}")
        lookup, target_name = table.navigation[head]
        target = schema.tables[target_name]
        column = column_of(target, tail)
        collation = " COLLATE NOCASE" if column.kind == "text" else ""
        condition = f"t.{quoted(target.id)} = {quoted(table.name)}.{quoted(lookup.name)}"
        if lookup.polymorphic:
            condition += f" AND {quoted(table.name)}.{quoted(lookup.name + '@type')} = '{target_name}'"
        sql = f"(SELECT t.{quoted(column.name)} FROM {quoted(target_name)} t WHERE {condition})"
        return Operand(column, sql + collation)

    return resolve


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


class Shape:
    """How rows of one request are fetched and written.

    Args:
        schema: of Dataverse.
        table: the table.
        select: the ``$select`` names; none means all.
        annotations: what the caller asked for.
    """

    def __init__(self, schema: SystemSchema, table: Table, select: Sequence[str], annotations: Annotations) -> None:
        self.table = table
        self.select = tuple(select)
        chosen = {column_of(table, name).name for name in select} or set(table.columns)
        chosen.add(table.id)
        if "transactioncurrencyid" in table.columns and any(table.columns[name].type == "Money" for name in chosen):
            chosen.add("transactioncurrencyid")
        self.columns = [column for name, column in table.columns.items() if name in chosen]
        expressions = ['"versionnumber"'] + [quoted(column.name) for column in self.columns]
        names = ["@odata.etag"] + [wire_name(column) for column in self.columns]
        self._decoders: list[tuple[str, Callable[[SqlValue], object]]] = [("@odata.etag", _etag)]
        for column in self.columns:
            if column.kind == "bool":
                self._decoders.append((column.name, _boolean))
            elif column.kind == "decimal":
                self._decoders.append((column.name, _number(column.scale or 0)))
        self._notes: list[tuple[str, str, Callable[[SqlValue], object]]] = []
        for column in self.columns:
            self._annotate(schema, column, annotations, expressions, names)
        self._names = names
        self.sql = f"SELECT {', '.join(expressions)} FROM {quoted(table.name)}"
        self._optional = [name for name in names if "@" in name and name != "@odata.etag"]

    def _annotate(
        self, schema: SystemSchema, column: Column, wanted: Annotations, expressions: list[str], names: list[str]
    ) -> None:
        name = wire_name(column)
        if column.kind == "lookup":
            own = quoted(self.table.name) + "." + quoted(column.name)
            if wanted.wants(LOOKUP_NAME):
                names.append(f"{name}@{LOOKUP_NAME}")
                expressions.append(_type_expression(column))
            if wanted.wants(NAVIGATION):
                names.append(f"{name}@{NAVIGATION}")
                cases = " ".join(f"WHEN '{target}' THEN '{nav}'" for target, nav in column.targets.items())
                expressions.append(f"CASE {_type_expression(column)} {cases} END")
            if wanted.wants(FORMATTED):
                names.append(f"{name}@{FORMATTED}")
                expressions.append(_label_expression(schema, column, own))
        elif wanted.wants(FORMATTED) and column.kind in ("option", "bool"):
            # Numbers and dates are formatted by the user's settings on the real service; the sandbox leaves them out.
            names.append(f"{name}@{FORMATTED}")
            expressions.append(quoted(column.name))
            labels: dict[SqlValue, str] = {0: "No", 1: "Yes"}
            if column.kind == "option":
                labels = {number: label for number, label in column.options.items()}  # noqa: C416  other key type
            self._decoders.append((names[-1], labels.get))

    def row(self, values: Sequence[SqlValue]) -> Row:
        """One row as written."""
        row: Row = dict(zip(self._names, values, strict=True))
        for name, decode in self._decoders:
            row[name] = decode(row[name])  # type: ignore[arg-type]
        for name in self._optional:
            if row[name] is None:
                del row[name]
        return row


def _type_expression(column: Column) -> str:
    if column.polymorphic:
        return quoted(f"{column.name}@type")
    return f"CASE WHEN {quoted(column.name)} IS NULL THEN NULL ELSE '{next(iter(column.targets))}' END"


def _label_expression(schema: SystemSchema, column: Column, own: str) -> str:
    parts = []
    for target in column.targets:
        table = schema.tables[target]
        shown = table.primary_name or table.id
        parts.append(f"(SELECT t.{quoted(shown)} FROM {quoted(target)} t WHERE t.{quoted(table.id)} = {own})")
    return parts[0] if len(parts) == 1 else f"COALESCE({', '.join(parts)})"


def etag(version: object) -> str:
    """The weak entity tag of a row version."""
    return f'W/"{version}"'


def _etag(value: SqlValue) -> object:
    return etag(value)


def _boolean(value: SqlValue) -> object:
    return None if value is None else bool(value)


def _number(scale: int) -> Callable[[SqlValue], object]:
    def decode(value: SqlValue) -> object:
        return None if value is None else Decimal(value).scaleb(-scale)

    return decode
