"""Numbers of whole columns, exactly: at another scale, as whole numbers, read from text.

No value ever passes through a float. Arrow's ``decimal128`` refuses what has more than 38 digits, and a cast that is
not checked gives other digits without a word; so the room is looked at first, and the work is done in ``decimal256``.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from dualsync.sync.plan.values.arrays import each_distinct, no_rows, without
from dualsync.sync.plan.values.types import DIGITS, WHOLE
from dualsync.sync.plan.values.wire import to_scale

_WIDE = 76
LARGEST, SMALLEST = 2**63 - 1, -(2**63)
"""The largest and the smallest whole number that an ``int64`` holds."""


class Converted(NamedTuple):
    """Values in another type, and a mask of those that the type cannot take; these are null."""

    values: pa.Array
    refused: pa.Array


def rounded(values: pa.Array, scale: int) -> Converted:
    """Decimals at another scale, half away from zero; refused where they would need more than 38 digits."""
    target = pa.decimal128(DIGITS, scale)
    if values.type == target:
        return Converted(values, no_rows(values))
    wide = values.cast(pa.decimal256(_WIDE, values.type.scale))
    large = _too_large(wide, DIGITS - scale)
    wide = without(wide, large)
    if values.type.scale > scale:
        wide = pc.round(wide, ndigits=scale, round_mode="half_towards_infinity")
        rounded_up = _too_large(wide, DIGITS - scale)
        wide, large = without(wide, rounded_up), pc.or_(large, rounded_up)
    return Converted(wide.cast(target), large)


def _too_large(values: pa.Array, digits: int) -> pa.Array:
    """A mask of decimals with more than so many digits before the point."""
    if values.type.precision - values.type.scale <= digits:
        return no_rows(values)
    limit = pa.scalar(Decimal(10) ** digits, values.type)
    return pc.fill_null(pc.greater_equal(pc.abs(values), limit), fill_value=False)


def as_decimal(values: pa.Array, scale: int) -> Converted:
    """Numbers, or texts that hold numbers, as decimals."""
    kind = values.type
    if pa.types.is_string(kind):
        return read_each(values, lambda text: exact(Decimal(text), scale), pa.decimal128(DIGITS, scale))
    if pa.types.is_temporal(kind):
        return all_refused(values, pa.decimal128(DIGITS, scale))
    if not pa.types.is_decimal(kind):
        values = values.cast(WHOLE).cast(pa.decimal128(19, 0))
    return rounded(values, scale)


def as_whole(values: pa.Array) -> Converted:
    """Numbers, or texts that hold whole numbers, as whole numbers; places after the point are cut off."""
    kind = values.type
    if pa.types.is_string(kind):
        return read_each(values, lambda text: whole(int(text)), WHOLE)
    if pa.types.is_temporal(kind):
        return all_refused(values, WHOLE)
    if not pa.types.is_decimal(kind):
        return Converted(values.cast(WHOLE), no_rows(values))
    cut = pc.trunc(values)
    if kind.precision - kind.scale < len(str(LARGEST)):
        return Converted(cut.cast(WHOLE), no_rows(values))
    over, under = (pa.scalar(Decimal(limit), kind) for limit in (LARGEST, SMALLEST))
    refused = pc.fill_null(pc.or_(pc.greater(cut, over), pc.less(cut, under)), fill_value=False)
    return Converted(without(cut, refused).cast(WHOLE), refused)


def all_refused(values: pa.Array, kind: pa.DataType) -> Converted:
    """What a type gives that can take none of the values."""
    return Converted(pa.nulls(len(values), kind), values.is_valid())


def read_each(values: pa.Array, read: Callable[[Any], Any], kind: pa.DataType) -> Converted:
    """Values read by Python, once each: it knows forms of numbers, and calculates with digits, that Arrow does not."""
    results, codes, refused = each_distinct(values, read, kind, (ValueError, TypeError, ArithmeticError))
    return Converted(results, pc.is_in(codes, value_set=pa.array(list(refused), codes.type)))


def exact(number: Decimal, scale: int) -> Decimal:
    """A number with so many places.

    Raises:
        ArithmeticError: It is none, or has more digits than a decimal column holds.
    """
    number = to_scale(number, scale)
    if not number.is_finite() or number.adjusted() >= DIGITS - scale:
        raise OverflowError(number)
    return number


def whole(number: int) -> int:
    """A whole number, as it is.

    Raises:
        OverflowError: A column of whole numbers cannot hold it.
    """
    if not SMALLEST <= number <= LARGEST:
        raise OverflowError(number)
    return number
