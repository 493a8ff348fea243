"""What a query names: properties and collections of a table, and the SQL that stands for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dualsync_sandbox.errors import NotImplementedInSandbox, SandboxError
from dualsync_sandbox.schema import Column, SystemSchema, Table
from dualsync_sandbox.store import quoted


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
        table: What the rows are of.
        sql: ``SELECT 1 FROM ... WHERE ...``, to which further conditions are added.
        resolve: Properties of one such row.
    """

    table: Table
    sql: str
    resolve: Resolver


#: From the name of a collection-valued property to its rows.
Collections = Callable[[str], Members]


def own_column(schema: SystemSchema, table: Table, name: str) -> Operand:
    """A property that is a column of the table itself (Finance)."""
    column = table.columns.get(name)
    if column is None:
        if "/" in name:
            raise NotImplementedInSandbox(f"path {name}", f"in {schema.system}")
        raise UnknownProperty(table, name)
    return Operand(column, quoted(name))
