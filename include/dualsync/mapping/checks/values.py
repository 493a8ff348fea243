"""Checks of values and kinds: what can stand in a column, and which columns can be paired as they are."""

from __future__ import annotations

from decimal import Decimal

from dualsync.mapping.model import Field
from dualsync.mapping.schema import Column
from dualsync.mapping.words import Kind, Scalar

_SAME: tuple[frozenset[Kind], ...] = (
    frozenset[Kind](("int", "decimal")),
    frozenset[Kind](("text", "guid")),
)


def not_a_value(column: Column, value: Scalar) -> str:
    """Why the value cannot stand in the column; empty if it can."""
    match column.kind:
        case "bool":
            fits = isinstance(value, bool)
        case "option":
            number = isinstance(value, int) and not isinstance(value, bool)
            fits = number and (column.options is None or value in column.options)
        case "enum":
            fits = isinstance(value, str) and (not column.options or value in column.members)
        case "int":
            fits = isinstance(value, int) and not isinstance(value, bool)
        case "decimal":
            fits = isinstance(value, int | Decimal) and not isinstance(value, bool)
        case _:
            fits = isinstance(value, str)
    if fits:
        return ""
    values = ", ".join(str(option) for option in (column.options or {})) if column.kind == "option" else ""
    values = values or ", ".join(column.members)
    return f"{value!r} is no value of {column.name} ({column.kind}{': ' + values if values else ''})"


def kinds_differ(field: Field, dataverse: Column, finance: Column) -> str:
    """Why a pair without a value map cannot be carried; empty if it can."""
    kinds: frozenset[Kind] = frozenset((dataverse.kind, finance.kind))
    if len(kinds) == 1 and dataverse.kind not in ("option", "enum"):
        return ""
    if kinds in _SAME:
        return ""
    if field.way == "to_finance" and dataverse.kind == "lookup" and finance.kind == "guid":
        return ""
    if kinds <= {"date", "instant"}:
        return "" if field.date is not None else "one side has a time of day: say date: date_only or instant"
    if field.raw_option and dataverse.kind == "option" and finance.kind == "int":
        return ""
    return f"{dataverse.name} is a {dataverse.kind} and {finance.name} a {finance.kind}: the pair needs values"
