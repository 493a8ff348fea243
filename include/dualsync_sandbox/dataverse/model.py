"""Tables, columns and relationships under the names they have in the Web API.

Follows "Web API properties" (webapi/web-api-properties): lookups read as ``_name_value``; the other table is reached by
navigation properties, single-valued from the row with the lookup, collection-valued from the row it points to.

Tables that users own say beside the owner which user and which business unit that is (``owninguser``,
``owningbusinessunit``: among the read-only columns of every such table in the table reference). There is one business
unit, so neither is stored.

Assumed: schema names of relationships, which are also the names of the collection-valued navigation properties. The
service's own names follow no rule, so clients must read them from the metadata here as there.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from dualsync_sandbox.protocol.odata import Members, Operand, UnknownProperty
from dualsync_sandbox.schema import BUSINESS_UNIT, Column, SystemSchema, Table
from dualsync_sandbox.store import quoted


def wire_name(column: Column) -> str:
    """The property name of a column: ``_name_value`` for lookups."""
    return f"_{column.name}_value" if column.kind == "lookup" else column.name


def column_of(table: Table, name: str) -> Column:
    """The column behind a property name.

    Raises:
        UnknownProperty: There is none (a lookup's bare name is a navigation property, not a property).
    """
    inner = name[1:-6] if name.startswith("_") and name.endswith("_value") else name
    column = table.columns.get(inner)
    if column is None or (column.kind == "lookup") != (inner != name):
        raise UnknownProperty(table, name)
    return column


@dataclass(frozen=True)
class Computed(Column):
    """A column that is not stored.

    Attributes:
        sql: What stands for it, with ``{row}`` for the alias of the row's table.
        source: The column that has its value; empty where the value is always the same.
        value: That value.
    """

    sql: str = ""
    source: str = ""
    value: str = ""


_OWNERS = (
    Computed(
        "owninguser", "lookup", "Lookup", targets={"systemuser": "owninguser"}, sql="{row}.ownerid", source="ownerid"
    ),
    Computed(
        "owningbusinessunit",
        "lookup",
        "Lookup",
        targets={"businessunit": "owningbusinessunit"},
        sql=f"'{BUSINESS_UNIT}'",
        value=BUSINESS_UNIT,
    ),
)


def _with_owners(table: Table) -> Table:
    """The table as the Web API shows it."""
    more = {column.name: column for column in _OWNERS if column.name not in table.columns}
    return replace(table, columns={**table.columns, **more}) if "ownerid" in table.columns else table


def value_of(column: Column, row: Mapping[str, object]) -> object:
    """The value of a column in a row of the store."""
    if isinstance(column, Computed):
        return row[column.source] if column.source else column.value
    return row[column.name]


def sql_of(column: Column, alias: str) -> str:
    """SQL of a column of the row behind an alias."""
    return column.sql.format(row=alias) if isinstance(column, Computed) else f"{alias}.{quoted(column.name)}"


@dataclass(frozen=True)
class Relationship:
    """A lookup of ``child`` that may point to ``parent``.

    Attributes:
        name: Schema name, and the collection-valued navigation property of ``parent``.
        child: The table with the lookup.
        column: The lookup.
        parent: The table it points to.
        navigation: The single-valued navigation property of ``child``.
    """

    name: str
    child: Table
    column: Column
    parent: Table
    navigation: str

    def joined(self, child: str, parent_id: str) -> str:
        """The SQL condition that row ``child`` (an alias) points to the row whose id is ``parent_id`` (SQL)."""
        condition = f"{sql_of(self.column, child)} = {parent_id}"
        if self.column.polymorphic:
            condition += f" AND {child}.{quoted(self.column.name + '@type')} = '{self.parent.name}'"
        return condition


class Model:
    """The tables of Dataverse as the Web API shows them.

    Args:
        schema: Of Dataverse.

    Attributes:
        tables: By logical name.
        by_set: The same by entity set.
        relationships: All of them, by schema name.
        collections: By parent table, its collection-valued navigation properties.
    """

    def __init__(self, schema: SystemSchema) -> None:
        self.schema = schema
        self.tables = {name: _with_owners(table) for name, table in schema.tables.items()}
        self.by_set = {table.set: table for table in self.tables.values()}
        self.relationships: dict[str, Relationship] = {}
        self.collections: dict[str, dict[str, Relationship]] = {name: {} for name in schema.tables}
        for table in self.tables.values():
            for navigation, (column, target) in table.navigation.items():
                name = f"{table.name}_{column.name}_{target}"
                found = Relationship(name, table, column, self.tables[target], navigation)
                self.relationships[name] = found
                self.collections[target][name] = found

    def of(self, table: Table) -> Mapping[str, Relationship]:
        """The relationships of a table's own lookups, by navigation property."""
        return {
            navigation: self.relationships[f"{table.name}_{column.name}_{target}"]
            for navigation, (column, target) in table.navigation.items()
        }


class Scope:
    """Properties of one table's rows in one statement, where every table has an alias of its own.

    Args:
        model: Tables and relationships.
        table: The table.
        aliases: Gives the aliases of the whole statement.
    """

    def __init__(self, model: Model, table: Table, aliases: Iterator[str] | None = None) -> None:
        self.model = model
        self.table = table
        self.aliases = aliases if aliases is not None else (f"t{number}" for number in itertools.count())
        self.alias = next(self.aliases)

    @property
    def id(self) -> str:
        """SQL of the primary id."""
        return self.column(self.table.id)

    @property
    def source(self) -> str:
        """The table with its alias, for ``FROM``."""
        return f"{quoted(self.table.name)} {self.alias}"

    def column(self, name: str) -> str:
        """SQL of a column."""
        column = self.table.columns.get(name)
        return f"{self.alias}.{quoted(name)}" if column is None else sql_of(column, self.alias)

    def below(self, table: Table) -> Scope:
        """Rows of another table in the same statement."""
        return Scope(self.model, table, self.aliases)

    def resolve(self, name: str) -> Operand:
        """A property in ``$filter`` or ``$orderby``, also through lookups (``customerid_account/name``).

        Raises:
            UnknownProperty: There is none.
        """
        head, slash, tail = name.partition("/")
        if not slash:
            # Query functions name the attribute itself, not the property.
            inner = self.table.columns.get(name)
            column = inner if inner is not None and inner.kind == "lookup" else column_of(self.table, name)
            return Operand(column, self.column(column.name))
        if head not in self.table.navigation:
            raise UnknownProperty(self.table, head)
        lookup, target = self.table.navigation[head]
        other = self.below(self.model.tables[target])
        operand = other.resolve(tail)
        condition = f"{other.id} = {self.column(lookup.name)}"
        if lookup.polymorphic:
            condition += f" AND {self.column(lookup.name + '@type')} = '{target}'"
        collation = " COLLATE NOCASE" if operand.column.kind == "text" else ""
        return Operand(operand.column, f"(SELECT {operand.sql} FROM {other.source} WHERE {condition}){collation}")

    def label(self, column: Column) -> str:
        """SQL of what a lookup is shown as: the primary name of the row it points to."""
        parts = []
        for target in column.targets:
            other = self.below(self.model.tables[target])
            shown = other.column(other.table.primary_name or other.table.id)
            parts.append(f"(SELECT {shown} FROM {other.source} WHERE {other.id} = {self.column(column.name)})")
        return parts[0] if len(parts) == 1 else f"COALESCE({', '.join(parts)})"

    def ordered(self, name: str) -> Operand:
        """What rows are ordered by: lookups by what they are shown as ("Order rows", webapi/query/order-rows)."""
        operand = self.resolve(name)
        if operand.column.kind == "lookup" and "/" not in name:
            return Operand(operand.column, f"{self.label(operand.column)} COLLATE NOCASE")
        return operand

    def members(self, name: str) -> Members:
        """The rows of a collection-valued navigation property, for ``any`` and ``all``.

        Raises:
            UnknownProperty: There is no such property.
        """
        relationship = self.model.collections[self.table.name].get(name)
        if relationship is None:
            raise UnknownProperty(self.table, name)
        other = self.below(relationship.child)
        sql = f"SELECT 1 FROM {other.source} WHERE {relationship.joined(other.alias, self.id)}"
        return Members(relationship.child, sql, other.resolve)
