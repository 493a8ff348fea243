"""Lookups on the way to Finance: a record id becomes the Finance values that name the same record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from dualsync.mapping import Lookup
from dualsync.sync.legs.leg import Leg
from dualsync.sync.legs.runtime import Runtime
from dualsync.sync.lookups.keys import distinct_keys, key_frame, other_company
from dualsync.sync.lookups.missing import KEY, missing_table
from dualsync.sync.lookups.parents import ID, Parents
from dualsync.sync.lookups.paths import key_paths
from dualsync.sync.plan.columns import ColumnPair
from dualsync.sync.plan.values.arrays import array_of, column_of, looked_up, mask_of, not_in, repeated, series_of
from dualsync.sync.plan.values.types import TEXT, arrow_type
from dualsync.sync.plan.vocabulary import parent_key, type_of, wanted
from dualsync.sync.reconcile.wanted.issues import Issues

NONE_MISSING = missing_table(ID, {})


class LookupsToFinance:
    """Resolves the lookups of a transfer to Finance.

    Args:
        leg: The transfer.
        runtime: The maps.
        parents: Answers about parents.
    """

    def __init__(self, leg: Leg, runtime: Runtime, parents: Parents) -> None:
        self._map = leg.map
        self._catalog = runtime.catalog
        self._parents = parents

    def columns(
        self, lookup: Lookup, pairs: Sequence[ColumnPair], rows: pd.DataFrame, issues: Issues
    ) -> dict[str, pd.Series[Any]]:
        """The wanted columns of a lookup.

        Args:
            lookup: The lookup.
            pairs: Its receiving columns.
            rows: Rows of Dataverse.
            issues: Gets the rows whose parent does not resolve.
        """
        if lookup in self._map.self_lookups:
            return _left_for_later(lookup, pairs, rows)
        asked = array_of(rows[lookup.dataverse])
        answers: list[pa.Table] = []
        for target, of_target in _by_target(lookup, rows, asked):
            ids = of_target.unique().drop_null()
            if len(ids):
                known, missing = self._answers(lookup, target, ids)
                answers.append(known)
                issues.add_missing(of_target, missing, ID)
        return {wanted(pair.target): series_of(_answered(asked, answers, pair), rows.index) for pair in pairs}

    def _answers(self, lookup: Lookup, target: str | None, ids: pa.Array) -> tuple[pa.Table, pa.Table]:
        """``id`` and the Finance columns of what resolves; and why the rest does not, where the row waits for it."""
        if lookup.through is None:
            return self._of_parent(lookup, target, ids)
        return self._of_onward(lookup, ids) if lookup.through.lookup else self._of_other_table(lookup, ids)

    def _of_parent(self, lookup: Lookup, target: str | None, ids: pa.Array) -> tuple[pa.Table, pa.Table]:
        """Values of the records themselves, from the bases of their map."""
        paths, columns, company = key_paths(lookup, target)
        name = lookup.maps[0] if lookup.targets is None or target is None else lookup.targets[target].map
        parent = self._catalog[name]
        known = self._parents.finance_values(parent, paths, ids, anywhere=other_company(self._map, company))
        missing = NONE_MISSING
        absent = ids.filter(not_in(ids, column_of(known, ID, TEXT)))
        if len(absent) and lookup.waits:
            missing = self._parents.why_missing_records(parent, lookup.dataverse, absent)
        return known.rename_columns([ID, *columns]), missing

    def _of_onward(self, lookup: Lookup, ids: pa.Array) -> tuple[pa.Table, pa.Table]:
        """Values of the records that a lookup of the referenced records points to."""
        read = self._parents.through(lookup, ids.to_pylist())
        onward = {record: str(to) for record, to in read.items() if to is not None}
        records, to = pa.array(onward, TEXT), pa.array(onward.values(), TEXT)
        known, missing = self._of_parent(lookup, None, to.unique())
        return _by_record(records, to, known, ID), _by_record(records, to, missing, ID)

    def _of_other_table(self, lookup: Lookup, ids: pa.Array) -> tuple[pa.Table, pa.Table]:
        """Values that the referenced records hold themselves, in a table that no map carries."""
        paths, columns, _ = key_paths(lookup, None)
        read = self._parents.through(lookup, ids.to_pylist())
        filled = {record: value for record, value in read.items() if value is not None}
        records = pa.array(filled, TEXT)
        known = pa.table({ID: records, columns[0]: pa.array(filled.values())})
        if lookup.map is None or not lookup.waits:
            return known, NONE_MISSING
        parent = self._catalog[lookup.map]
        named = key_frame([known[columns[0]].combine_chunks()], paths)
        keys = distinct_keys(named)
        present = self._parents.record_ids(parent, paths, keys)
        absent = keys[mask_of(not_in(array_of(keys[KEY]), column_of(present, KEY, TEXT)))]
        if absent.empty:
            return known, NONE_MISSING
        missing = self._parents.why_missing_keys(parent, columns, absent)
        return known, _by_record(records, array_of(named[KEY]), missing, KEY)


def _left_for_later(lookup: Lookup, pairs: Sequence[ColumnPair], rows: pd.DataFrame) -> dict[str, pd.Series[Any]]:
    """Rows of the same leg may be each other's parents, so these are resolved once all rows are known."""
    values = {wanted(pair.target): repeated(None, len(rows), arrow_type(pair.column), rows.index) for pair in pairs}
    return values | {parent_key(pair.target): rows[lookup.dataverse] for pair in pairs}


def _by_target(lookup: Lookup, rows: pd.DataFrame, asked: pa.Array) -> Iterator[tuple[str | None, pa.Array]]:
    """The record ids of the rows by the table they point at, null in rows that point at another."""
    if lookup.targets is None:
        yield None, asked
        return
    tables = array_of(rows[type_of(lookup.dataverse)])
    for target in lookup.targets:
        yield target, pc.if_else(pc.equal(tables, target), asked, pa.scalar(None, TEXT))


def _by_record(records: pa.Array, asked: pa.Array, answers: pa.Table, name: str) -> pa.Table:
    """Answers by what each record asked for, as answers by record."""
    places = pc.index_in(asked, value_set=column_of(answers, name, TEXT))
    found = answers.drop_columns([name]).take(places.drop_null())
    return found.add_column(0, ID, records.filter(places.is_valid()))


def _answered(asked: pa.Array, answers: Sequence[pa.Table], pair: ColumnPair) -> pa.Array:
    """For each row the value of a receiving column; null where no answer has one."""
    kind = arrow_type(pair.column)
    having = [answer for answer in answers if pair.target in answer.column_names]
    ids = pa.chunked_array([column_of(answer, ID, TEXT) for answer in having], TEXT).combine_chunks()
    values = pa.chunked_array([column_of(answer, pair.target, kind) for answer in having], kind).combine_chunks()
    return looked_up(asked, ids, values)
