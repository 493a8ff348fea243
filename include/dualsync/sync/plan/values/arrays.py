"""Columns of frames as Arrow arrays and back, and what Arrow has no single function for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc


def array_of(series: pd.Series[Any]) -> pa.Array:
    """The values of a column with an Arrow type."""
    chunked = series.array.__arrow_array__()
    return chunked.chunk(0) if chunked.num_chunks == 1 else chunked.combine_chunks()


def series_of(values: pa.Array, index: pd.Index) -> pd.Series[Any]:
    """Values as a column of a frame with this index."""
    return pd.Series(pd.arrays.ArrowExtensionArray(values), index=index)


def column_of(table: pa.Table, name: str, kind: pa.DataType) -> pa.Array:
    """A column of a table in a type."""
    return pa.chunked_array(table[name].chunks, table[name].type).combine_chunks().cast(kind)


def repeated(value: Any, rows: int, kind: pa.DataType, index: pd.Index) -> pd.Series[Any]:
    """A column that holds one value in every row."""
    return series_of(pa.repeat(pa.scalar(value, type=kind), rows), index)


def no_rows(values: pa.Array) -> pa.Array:
    """A mask of no rows."""
    return pa.repeat(pa.scalar(value=False), len(values))


def mask_of(mask: pa.Array) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """A mask for NumPy and pandas."""
    plain: np.ndarray[Any, np.dtype[np.bool_]] = pc.fill_null(mask, fill_value=False).to_numpy(zero_copy_only=False)
    return plain


def without(values: pa.Array, mask: pa.Array) -> pa.Array:
    """The values, null where the mask is true."""
    return pc.if_else(mask, pa.scalar(None, values.type), values)


def not_in(values: pa.Array, others: pa.Array) -> pa.Array:
    """A mask of the values that are not among others."""
    return pc.invert(pc.is_in(values, value_set=others))


def looked_up(asked: pa.Array, known: pa.Array, answers: pa.Array) -> pa.Array:
    """For each that is asked, the answer that stands beside the same value in ``known``; null where it is not there."""
    return answers.take(pc.index_in(asked, value_set=known))


def each_distinct(
    values: pa.Array,
    function: Callable[[Any], Any],
    kind: pa.DataType,
    refusals: tuple[type[Exception], ...],
) -> tuple[pa.Array, pa.Array, dict[int, Exception]]:
    """Call a function once for each distinct value: for what Python does exactly and Arrow does not.

    Args:
        values: The values.
        function: A function of one value that is not null.
        kind: The type of what it returns.
        refusals: What it raises for a value that it cannot take.

    Returns:
        The results, null where the function refused; for each row the number of its distinct value; and by that number
        why the function refused.
    """
    coded = values.dictionary_encode()
    results: list[Any] = []
    refused: dict[int, Exception] = {}
    for code, value in enumerate(coded.dictionary.to_pylist()):
        try:
            results.append(function(value))
        except refusals as refusal:
            results.append(None)
            refused[code] = refusal
    return pa.array(results, type=kind).take(coded.indices), coded.indices, refused
