"""Whole columns from the form of the side that sends them into the form of the side that gets them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from dualsync.mapping import Column, Field
from dualsync.sync.plan.values.arrays import array_of, each_distinct, mask_of, no_rows, series_of
from dualsync.sync.plan.values.kinds import as_kind
from dualsync.sync.plan.values.rates import rated
from dualsync.sync.plan.values.types import ValueProblem
from dualsync.sync.plan.values.value_maps import Mapped, mapped

Problems = list[tuple["np.ndarray[Any, np.dtype[np.bool_]]", ValueProblem]]
"""For each thing that keeps values from travelling, a mask of their rows."""


def convert(
    series: pd.Series[Any], field: Field, sender: Column, receiver: Column, direction: str, zone: ZoneInfo
) -> tuple[pd.Series[Any], Problems]:
    """A column of the sending side in the receiving side's form.

    Args:
        series: The values as the sending column holds them.
        field: The column pair.
        sender: Its column on the sending side.
        receiver: Its column on the receiving side.
        direction: ``to_finance`` or ``to_dataverse``.
        zone: Zone in which an instant's date is meant.

    Returns:
        The values in the type of the receiving column, null where there is nothing or a value cannot travel; and what
        kept values from travelling.
    """
    values, refused, unknown = _changed(array_of(series), field, receiver, direction, zone)
    if field.truncate is not None:
        values = pc.utf8_slice_codeunits(values, 0, field.truncate)
    problems: Problems = []
    if pc.any(refused).as_py():
        text = f"{sender.name} ({sender.kind}) holds a value that {receiver.name} ({receiver.kind}) cannot take"
        problems.append((mask_of(refused), ValueProblem("type", text)))
    if pc.any(unknown).as_py():
        text = (
            f"{sender.name} holds a value that the value map to {receiver.name} does not know; add it to the map, "
            "or give the row one of the known values"
        )
        problems.append((mask_of(unknown), ValueProblem("unknown_value", text)))
    return series_of(values, series.index), problems


def _changed(values: pa.Array, field: Field, receiver: Column, direction: str, zone: ZoneInfo) -> Mapped:
    if field.values is not None:
        return mapped(values, field, receiver, direction, zone)
    refused = no_rows(values)
    if field.scale is not None or field.invert:
        values, refused = rated(values, field, receiver, direction)
    result = as_kind(values, receiver, zone)
    return Mapped(result.values, pc.or_(refused, result.refused), no_rows(values))


def translate(
    series: pd.Series[Any], function: Callable[[Any], Any], target: pa.DataType
) -> tuple[pd.Series[Any], Problems]:
    """Apply a function to a column, once per distinct value.

    Returns:
        The new column, and for each value that cannot travel a boolean column of its rows and the problem.
    """
    values, codes, refused = each_distinct(array_of(series), function, target, (ValueProblem,))
    problems: Problems = [
        (mask_of(pc.equal(codes, code)), problem)
        for code, problem in refused.items()
        if isinstance(problem, ValueProblem)
    ]
    return series_of(values, series.index), problems
