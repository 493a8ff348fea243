"""Dates and instants of whole columns."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from dualsync.sync.plan.values.arrays import no_rows, without
from dualsync.sync.plan.values.numbers import Converted, all_refused
from dualsync.sync.plan.values.types import DAY, MOMENT

_LAST = pa.scalar(datetime(2037, 1, 1, tzinfo=UTC), type=pa.timestamp("us", tz="UTC"))
"""Arrow 26 reads no rule of a zone for years after the last change that its file lists, which is in 2037."""


def as_date(values: pa.Array, zone: ZoneInfo) -> Converted:
    """Dates as they are, of instants the date in a zone; refused where there it is before year 1 or after 9999."""
    if pa.types.is_date(values.type):
        return Converted(values, no_rows(values))
    if not pa.types.is_timestamp(values.type):
        return all_refused(values, DAY)
    days = pc.local_timestamp(values.cast(pa.timestamp("us", tz=zone.key))).cast(DAY)
    late = pc.fill_null(pc.greater_equal(values, _LAST), fill_value=False)
    if pc.any(late).as_py():
        days = pc.if_else(late, _late_days(values, late, zone), days)
    outside = pc.or_(pc.less(days, date.min), pc.greater(days, date.max))
    outside = pc.or_(pc.fill_null(outside, fill_value=False), pc.and_(late, pc.is_null(days)))
    return Converted(without(days, outside), outside)


def _late_days(values: pa.Array, late: pa.Array, zone: ZoneInfo) -> pa.Array:
    """The days of instants that Arrow does not know the zone's summer time of; null before year 1 and after 9999."""
    moments = values.filter(late).unique()
    days: list[date | None] = []
    for moment in moments.to_pylist():
        try:
            days.append(moment.astimezone(zone).date())
        except OverflowError:
            days.append(None)
    return pa.array(days, type=DAY).take(pc.index_in(values, value_set=moments))


def as_instant(values: pa.Array) -> Converted:
    """Instants as they are, of dates midnight in UTC."""
    if not pa.types.is_temporal(values.type):
        return all_refused(values, MOMENT)
    return Converted(values.cast(MOMENT), no_rows(values))
