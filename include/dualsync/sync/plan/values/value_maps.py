"""Value maps: each value of the sending side becomes the value that a field's ``values`` name for it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from dualsync.mapping import Column, Field
from dualsync.mapping.model import UnknownDefault
from dualsync.sync.plan.values.kinds import as_kind
from dualsync.sync.plan.values.numbers import LARGEST, as_whole
from dualsync.sync.plan.values.texts import casefold
from dualsync.sync.plan.values.types import DIGITS, arrow_type

_LONG = pa.decimal128(DIGITS, 0)


class Mapped(NamedTuple):
    """Mapped values; a mask of those the receiving column cannot take; and one of those the map does not know."""

    values: pa.Array
    refused: pa.Array
    unknown: pa.Array


def mapped(values: pa.Array, field: Field, receiver: Column, direction: str, zone: ZoneInfo) -> Mapped:
    """Values by the field's map, letter case aside.

    Args:
        values: The values of the sending column.
        field: The field with ``values``.
        receiver: The receiving column.
        direction: ``to_finance`` or ``to_dataverse``.
        zone: Zone in which an instant's date is meant.

    Returns:
        The values in the receiving column's type. Unknown are none where the field says what is sent for such values.
    """
    asked = _comparable(values)
    table = {key: there for key, there in _table(field, direction).items() if _can_hold(asked, key)}
    places = pc.index_in(asked, value_set=pa.array(table, asked.type))
    outcomes = [as_kind(pa.array([there]), receiver, zone) for there in table.values()]
    target = arrow_type(receiver)
    taken = pa.chunked_array([one.values for one in outcomes], target).combine_chunks().take(places)
    refused = pa.chunked_array([one.refused for one in outcomes], pa.bool_()).combine_chunks().take(places)
    refused = pc.fill_null(refused, fill_value=False)
    # a null has no place in the table either, and is not unknown
    unknown = pc.and_(values.is_valid(), places.is_null())
    if field.on_unknown == "quarantine":
        return Mapped(taken, refused, unknown)
    nothing = pa.repeat(pa.scalar(value=False), len(values))
    if not isinstance(field.on_unknown, UnknownDefault):
        return Mapped(taken, refused, nothing)
    default = as_kind(pa.array([field.on_unknown.default]), receiver, zone)
    taken = pc.if_else(unknown, default.values[0], taken)
    return Mapped(taken, pc.or_(refused, pc.and_(unknown, default.refused[0])), nothing)


def _table(field: Field, direction: str) -> dict[Any, Any]:
    """What each value becomes, by its form for comparing."""
    pairs = (field.values or {}).items()
    if field.way == "both" and direction == "to_dataverse":
        # a two-way map is written from Dataverse's values to Finance's, and is one-to-one
        return {_key(there): here for here, there in pairs}
    return {_key(here): there for here, there in pairs}


def _key(value: Any) -> Any:
    if isinstance(value, str):
        return value.casefold()
    return int(value) if isinstance(value, (int, Decimal)) else value


def _comparable(values: pa.Array) -> pa.Array:
    """Values as a map's keys are compared: texts without case, anything else as a whole number."""
    if pa.types.is_string(values.type):
        return casefold(values)
    if pa.types.is_decimal(values.type):
        return pc.trunc(values).cast(_LONG)
    return as_whole(values).values


def _can_hold(values: pa.Array, key: Any) -> bool:
    """Whether a key could be among the values."""
    if isinstance(key, str) or pa.types.is_string(values.type):
        return isinstance(key, str) and bool(pa.types.is_string(values.type))
    room = 10**DIGITS - 1 if values.type == _LONG else LARGEST
    return bool(-room <= key <= room)
