"""Dates and instants of whole columns."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from dualsync.sync.plan.values.arrays import no_rows, without
from dualsync.sync.plan.values.numbers import Converted, all_refused
from dualsync.sync.plan.values.types import DAY, MOMENT


def as_date(values: pa.Array, zone: ZoneInfo) -> Converted:
    """Dates as they are, of instants the date in a zone; refused where there it is before year 1 or after 9999."""
    if pa.types.is_date(values.type):
        return Converted(values, no_rows(values))
    if not pa.types.is_timestamp(values.type):
        return all_refused(values, DAY)
    days = pc.local_timestamp(values.cast(pa.timestamp("us", tz=zone.key))).cast(DAY)
    outside = pc.or_(pc.less(days, date.min), pc.greater(days, date.max))
    outside = pc.fill_null(outside, fill_value=False)
    return Converted(without(days, outside), outside)


def as_instant(values: pa.Array) -> Converted:
    """Instants as they are, of dates midnight in UTC."""
    if not pa.types.is_temporal(values.type):
        return all_refused(values, MOMENT)
    return Converted(values.cast(MOMENT), no_rows(values))
