"""Values of any type as text, and text without case: of whole columns, and of single values."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dualsync.decimals import EXACT
from dualsync.sync.plan.values.types import TEXT


def as_text(values: pa.Array) -> pa.Array:
    """Values as text: numbers without needless zeros, dates in ISO form, texts without spaces at the end.

    A text of nothing but spaces is null.
    """
    kind = values.type
    if pa.types.is_string(kind):
        bare = pc.utf8_rtrim_whitespace(values)
        return pc.if_else(pc.equal(bare, ""), pa.scalar(None, TEXT), bare)
    if pa.types.is_decimal(kind):
        return _decimal_text(values)
    if pa.types.is_boolean(kind):
        return pc.if_else(values, "True", "False")
    if pa.types.is_timestamp(kind):
        moments = pc.strftime(values, format="%Y-%m-%dT%H:%M:%S+00:00")
        return pc.replace_substring(moments, pattern=".000000", replacement="")
    return values.cast(TEXT)


def text_of(value: Any) -> str | None:
    """A single value as text, as :func:`as_text` writes it."""
    if isinstance(value, Decimal):
        return format(value.normalize(EXACT), "f")
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value).rstrip() or None


def _decimal_text(values: pa.Array) -> pa.Array:
    """Decimals with all digits written out; Arrow itself writes small ones with an exponent."""
    scale = values.type.scale
    wide = pa.types.is_decimal256(values.type)
    whole = values.view(pa.decimal256(76, 0) if wide else pa.decimal128(38, 0)).cast(TEXT)
    digits = pc.utf8_lpad(pc.utf8_ltrim(whole, characters="-"), width=scale + 1, padding="0")
    if scale > 0:
        pointed = pc.replace_substring_regex(digits, pattern=rf"(\d{{{scale}}})$", replacement=r".\1")
        digits = pc.utf8_rtrim(pc.utf8_rtrim(pointed, characters="0"), characters=".")
    sign = pc.if_else(pc.starts_with(whole, "-"), "-", "")
    return pc.binary_join_element_wise(sign, digits, "")


def casefold(texts: pa.Array) -> pa.Array:
    """Texts without case, as ``str.casefold`` has it."""
    return _by_letter(texts, str.casefold)


def lower(values: pa.Array) -> pa.Array:
    """Values as text in lower case, as ``str.lower`` has it."""
    return _by_letter(values if pa.types.is_string(values.type) else as_text(values), str.lower)


def _by_letter(texts: pa.Array, change: Callable[[str], str]) -> pa.Array:
    """Texts in lower case: plain letters all at once; texts with others by Python, once each.

    Arrow changes each letter for one other; Python knows those that become two ('ß' folds to 'ss'), and more scripts.
    """
    lowered = pc.ascii_lower(texts)
    other = pc.fill_null(pc.invert(pc.string_is_ascii(texts)), fill_value=False)
    if not pc.any(other).as_py():
        return lowered
    coded = texts.filter(other).dictionary_encode()
    changed = pa.array([change(text) for text in coded.dictionary.to_pylist()], type=TEXT)
    return pc.replace_with_mask(lowered, other, changed.take(coded.indices))
