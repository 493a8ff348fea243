"""Whole columns as another kind of column: text, number, date, yes or no."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from dualsync.mapping import Column
from dualsync.sync.plan.values.arrays import no_rows
from dualsync.sync.plan.values.dates import as_date, as_instant
from dualsync.sync.plan.values.numbers import Converted, as_decimal, as_whole
from dualsync.sync.plan.values.texts import as_text, lower
from dualsync.sync.plan.values.types import scale_of


def as_kind(values: pa.Array, receiver: Column, zone: ZoneInfo) -> Converted:
    """Values as a column holds them.

    Args:
        values: The values, of any type a column can have.
        receiver: The column.
        zone: Zone in which an instant's date is meant.

    Returns:
        The values in the column's Arrow type; refused are those that it cannot take.
    """
    match receiver.kind:
        case "text" | "enum":
            return Converted(as_text(values), no_rows(values))
        case "guid" | "lookup":
            return Converted(lower(values), no_rows(values))
        case "int" | "option":
            return as_whole(values)
        case "decimal":
            return as_decimal(values, scale_of(receiver))
        case "date":
            return as_date(values, zone)
        case "instant":
            return as_instant(values)
        case _:
            return Converted(_as_bool(values), no_rows(values))


def _as_bool(values: pa.Array) -> pa.Array:
    """Whether each value is something: not zero, not an empty text."""
    if pa.types.is_string(values.type):
        return pc.not_equal(values, "")
    if pa.types.is_temporal(values.type):
        return pc.if_else(values.is_valid(), pa.scalar(value=True), pa.scalar(None, pa.bool_()))
    if pa.types.is_decimal(values.type):
        return pc.not_equal(values, pa.scalar(0, values.type))
    return values.cast(pa.bool_())
