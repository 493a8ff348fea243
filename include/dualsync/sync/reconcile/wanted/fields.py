"""Fields of a transfer: plain columns and constants in the receiving side's form."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from dualsync.mapping import Field
from dualsync.sync.lookups.missing import QUARANTINED, Missing
from dualsync.sync.plan.columns import ColumnPair, LegColumns
from dualsync.sync.plan.values.arrays import repeated
from dualsync.sync.plan.values.convert import convert
from dualsync.sync.plan.values.types import arrow_type
from dualsync.sync.plan.vocabulary import rule_name
from dualsync.sync.reconcile.wanted.issues import Issues


def field_values(
    leg_columns: LegColumns, field: Field, pair: ColumnPair, rows: pd.DataFrame, zone: ZoneInfo, issues: Issues
) -> pd.Series[Any]:
    """The wanted values of a field.

    Args:
        leg_columns: The columns of the transfer.
        field: The field.
        pair: Its columns.
        rows: Rows of the sending side.
        zone: Zone in which an instant's date is meant.
        issues: Gets the rows whose value cannot travel.
    """
    if field.constant is not None:
        return repeated(field.constant, len(rows), arrow_type(pair.column), rows.index)
    (source,) = pair.sources
    sender = leg_columns.column(leg_columns.source, source)
    values, problems = convert(rows[source], field, sender, pair.column, leg_columns.direction, zone)
    for mask, problem in problems:
        rule = rule_name(leg_columns.map.map, problem.rule, pair.target)
        issues.add(mask, Missing(QUARANTINED, rule, str(problem)))
    return values
