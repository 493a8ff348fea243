"""Integration keys as text: the form by which the rows of both sides meet, and the form in which people write them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from dualsync.sync.plan.values.arrays import array_of, series_of
from dualsync.sync.plan.values.texts import as_text, casefold, text_of


def join_keys(frame: pd.DataFrame, names: Sequence[str]) -> pd.Series[Any]:
    """The join key of each row, from columns that hold the Finance key; see :func:`join_key`."""
    parts = [_part(array_of(frame[name])) for name in names]
    return series_of(pc.binary_join_element_wise(*parts, "|", null_handling="emit_null"), frame.index)


def _part(values: pa.Array) -> pa.Array:
    texts = pc.replace_substring(as_text(values), pattern="\\", replacement="\\\\")
    return casefold(pc.replace_substring(texts, pattern="|", replacement="\\|"))


def display_keys(frame: pd.DataFrame, names: Sequence[str]) -> pd.Series[Any]:
    """The key of each row as people write it, from columns that hold the Finance key; see :func:`display_key`."""
    parts = [pc.fill_null(as_text(array_of(frame[name])), "?") for name in names]
    return series_of(pc.binary_join_element_wise(*parts, "|"), frame.index)


def join_key(parts: Sequence[Any]) -> str | None:
    """The text by which the rows of both sides meet: key values in one form, without case; None if one is missing.

    Neither system tells keys apart by letter case.
    """
    texts: list[str] = []
    for part in parts:
        text = None if _missing(part) else text_of(part)
        if text is None:
            return None
        texts.append(text.replace("\\", "\\\\").replace("|", "\\|").casefold())
    return "|".join(texts)


def display_key(parts: Sequence[Any]) -> str:
    """A key as people write it: its values joined by a bar; a missing one is a question mark."""
    return "|".join("?" if _missing(part) else (text_of(part) or "?") for part in parts)


def _missing(part: Any) -> bool:
    return part is None or part is pd.NA
