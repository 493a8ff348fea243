"""Turns rows of the reading side into the form of the side to be written: values, constants, lookups.

Each row comes out with its wanted values (``w:`` columns, receiving form), the values they were made of (``s:``
columns) and, where it cannot go on, every reason why. All of it is done column by column.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa

from dualsync.mapping import Field, Lookup
from dualsync.sync.legs.leg import Leg
from dualsync.sync.legs.runtime import Runtime
from dualsync.sync.lookups.missing import QUARANTINED, Missing
from dualsync.sync.lookups.parents import Parents
from dualsync.sync.plan.columns import ColumnPair, LegColumns
from dualsync.sync.plan.values.arrays import array_of, repeated, series_of
from dualsync.sync.plan.values.dates import as_date
from dualsync.sync.plan.values.types import DAY, TEXT, arrow_type
from dualsync.sync.plan.vocabulary import (
    PROBLEM,
    STATE,
    VERSION,
    RowState,
    RuleWord,
    deciding,
    parent_key,
    rule_name,
    sent,
    wanted,
)
from dualsync.sync.reconcile.wanted.fields import field_values
from dualsync.sync.reconcile.wanted.identity import identify
from dualsync.sync.reconcile.wanted.issues import Issues
from dualsync.sync.reconcile.wanted.lookups_to_dataverse import LookupsToDataverse
from dualsync.sync.reconcile.wanted.lookups_to_finance import LookupsToFinance


class Transform:
    """The transformation of one leg.

    Args:
        leg: The leg.
        runtime: Maps and systems.
        leg_columns: Its columns.
    """

    def __init__(self, leg: Leg, runtime: Runtime, leg_columns: LegColumns) -> None:
        self._map = leg.map
        self._settings = runtime.settings
        self._leg_columns = leg_columns
        self._zone = ZoneInfo(runtime.settings.time_zone)
        parents = Parents(runtime, leg.company)
        self._to_finance = LookupsToFinance(leg, runtime, parents)
        self._to_dataverse = LookupsToDataverse(leg, runtime, parents)

    @cached_property
    def schema(self) -> pa.Schema:
        """The Arrow schema of what comes out."""
        columns, source = self._leg_columns, self._leg_columns.source
        names = ("id", "key", "join_key", "version", "state", "stop", "rule", "reason")
        fields = dict.fromkeys(names, TEXT) | {"dated": DAY}
        fields |= {wanted(pair.target): arrow_type(pair.column) for pair in columns.pairs}
        fields |= {sent(name): arrow_type(columns.column(source, name)) for name in columns.source_columns}
        fields |= {parent_key(pair.target): TEXT for pair in columns.self_pairs}
        decide = columns.condition_columns(source)
        fields |= {deciding(name): arrow_type(columns.column(source, name)) for name in decide}
        return pa.schema(fields)

    def piece(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Transform a piece of ``source.parquet``.

        Args:
            rows: Rows of the reading side with their ``@`` columns.

        Returns:
            A frame of :attr:`schema`, one row for each row that came in.
        """
        rows = rows.reset_index(drop=True)
        issues = Issues(len(rows))
        self._unfit(rows, issues)
        columns: dict[str, Any] = {}
        for entry in self._leg_columns.entries:
            pairs = [pair for pair in self._leg_columns.pairs if pair.entry is entry]
            if pairs:
                # a value that is never written holds no row
                columns |= self._wanted(entry, pairs, rows, Issues(len(rows)) if pairs[0].read_only else issues)
        columns |= {sent(name): rows[name] for name in self._leg_columns.source_columns}
        decide = self._leg_columns.condition_columns(self._leg_columns.source)
        columns |= {deciding(name): rows[name] for name in decide}
        columns |= {"dated": self._dated(rows), "state": rows[STATE], "version": rows[VERSION]}
        frame = pd.DataFrame(columns, index=rows.index)
        identity = identify(self._leg_columns, self._settings, rows, frame, issues)
        told = {name: series_of(texts, rows.index) for name, texts in issues.columns().items()}
        whole: pd.DataFrame = pd.concat([frame, identity, pd.DataFrame(told)], axis=1)[self.schema.names]
        return whole

    def _unfit(self, rows: pd.DataFrame, issues: Issues) -> None:
        """Note rows that hold a value of the wrong type, and rows that the filter cannot tell in or out."""
        name = self._map.map
        issues.add_reasons(array_of(rows[PROBLEM]), QUARANTINED, rule_name(name, RuleWord.TYPE))
        unclear = self._map.dataverse.unclear
        if unclear is not None:
            reason = f"the filter cannot tell whether it travels ({unclear.text}); fill {', '.join(unclear.columns)}"
            mask = (rows[STATE] == RowState.UNCLEAR.value).fillna(value=False).to_numpy(dtype=bool)
            issues.add(mask, Missing(QUARANTINED, rule_name(name, RuleWord.UNCLEAR), reason))

    def _wanted(
        self, entry: Field | Lookup, pairs: list[ColumnPair], rows: pd.DataFrame, issues: Issues
    ) -> dict[str, pd.Series[Any]]:
        """The wanted columns of a field or a lookup."""
        if isinstance(entry, Field):
            values = field_values(self._leg_columns, entry, pairs[0], rows, self._zone, issues)
            return {wanted(pairs[0].target): values}
        if self._leg_columns.direction == "to_finance":
            return self._to_finance.columns(entry, pairs, rows, issues)
        return self._to_dataverse.columns(entry, pairs[0], rows, issues)

    def _dated(self, rows: pd.DataFrame) -> pd.Series[Any]:
        """The date by which a row is before or after the cut-over; null for maps that know none."""
        name = self._map.initial.dated_by
        if name is None or name not in rows:
            return repeated(None, len(rows), DAY, rows.index)
        return series_of(as_date(array_of(rows[name]), self._zone).values, rows.index)
