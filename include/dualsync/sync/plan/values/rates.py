"""Numbers of a field with ``scale`` or ``invert``: Finance quotes rates times 100, the other side may hold the inverse.

A number of Finance times the scale is the number of Dataverse, so on the way to Finance it is divided. Where one over
the scale has an end (0.01, 4, 100), that is a product too, and Arrow makes products exactly. Other quotients have no
end: Python makes them to 76 digits, once for each distinct number, before they are rounded to the column's places.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Context, Decimal, Inexact
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dualsync.decimals import EXACT
from dualsync.mapping import Column, Field
from dualsync.sync.plan.values.arrays import no_rows
from dualsync.sync.plan.values.numbers import Converted, all_refused, exact, read_each, whole
from dualsync.sync.plan.values.texts import text_of
from dualsync.sync.plan.values.types import arrow_type, scale_of


def rated(values: pa.Array, field: Field, receiver: Column, direction: str) -> Converted:
    """Numbers of one side as numbers of the other.

    Args:
        values: The numbers.
        field: The field with ``scale`` or ``invert``.
        receiver: The column that gets them.
        direction: ``to_finance`` or ``to_dataverse``.

    Returns:
        Numbers that the receiving column holds, or that ``as_kind`` makes into such; null for the inverse of zero.
    """
    product = None if field.invert else _product(values, _factor(field.scale or Decimal(1), direction))
    return (
        Converted(product, no_rows(product)) if product is not None else _quotients(values, field, receiver, direction)
    )


def _factor(scale: Decimal, direction: str) -> Decimal | None:
    """What a number is multiplied by; None where it has no end."""
    if direction == "to_dataverse":
        return scale
    try:
        return Context(prec=EXACT.prec, traps=[Inexact]).divide(Decimal(1), scale)
    except Inexact:
        return None


def _product(values: pa.Array, factor: Decimal | None) -> pa.Array | None:
    """Numbers times a factor; None where Arrow cannot make it exactly."""
    if pa.types.is_integer(values.type):
        values = values.cast(pa.decimal128(19, 0))
    if factor is None or not pa.types.is_decimal(values.type):
        return None
    times = pa.scalar(factor)
    if values.type.precision + times.type.precision >= EXACT.prec:
        return None
    wide = pa.decimal256(values.type.precision, values.type.scale)
    return pc.multiply(values.cast(wide), times.cast(pa.decimal256(times.type.precision, times.type.scale)))


def _quotients(values: pa.Array, field: Field, receiver: Column, direction: str) -> Converted:
    forms: dict[str, Callable[[Decimal], Any]] = {
        "text": text_of,
        "enum": text_of,
        "int": lambda number: whole(int(number)),
        "option": lambda number: whole(int(number)),
        "decimal": lambda number: exact(number, scale_of(receiver)),
        "bool": bool,
    }
    form, kind = forms.get(receiver.kind), arrow_type(receiver)
    if form is None:
        return all_refused(values, kind)
    scale = field.scale or Decimal(1)
    quotient = _to_finance if direction == "to_finance" else _to_dataverse

    def changed(value: Any) -> Any:
        number = quotient(Decimal(value), scale, invert=field.invert)
        # a zero has no sign
        return None if number is None else form(number or Decimal(0))

    return read_each(values, changed, kind)


def _to_finance(number: Decimal, scale: Decimal, *, invert: bool) -> Decimal | None:
    number = EXACT.divide(number, scale)
    if not invert:
        return number
    return EXACT.divide(Decimal(1), number) if number else None


def _to_dataverse(number: Decimal, scale: Decimal, *, invert: bool) -> Decimal | None:
    if not invert:
        return EXACT.multiply(number, scale)
    return EXACT.multiply(EXACT.divide(Decimal(1), number), scale) if number else None
