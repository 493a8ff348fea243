"""A filter as OData for one table: with typed literals, and without null where the service has none."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

from dualsync.mapping.expressions.tree import Compare, Junction, Node, Not, TextTest, Value

if TYPE_CHECKING:
    from dualsync.mapping.schema import Table


def to_odata(node: Node, table: Table) -> str:
    """The ``$filter`` text for a table of one side."""
    match node:
        case Junction():
            return "(" + f" {node.word} ".join(to_odata(operand, table) for operand in node.operands) + ")"
        case Not():
            return f"not ({to_odata(node.operand, table)})"
        case TextTest():
            return f"{node.function}({node.column},{odata_literal(node.value)})"
        case Compare():
            return f"{node.column} {node.comparator} {_value(node, table)}"


def _value(node: Compare, table: Table) -> str:
    column = table.columns.get(node.column)
    if column is not None and table.side == "finance":
        if column.kind == "enum" and isinstance(node.value, str):
            return f"Microsoft.Dynamics.DataEntities.{column.note.split(',')[0]}{odata_literal(node.value)}"
        if column.kind == "text" and node.value is None:
            return "''"
    if column is not None and column.kind in ("guid", "lookup") and isinstance(node.value, str):
        return node.value
    return odata_literal(node.value)


def odata_literal(value: Value) -> str:
    """A value as an OData literal."""
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
