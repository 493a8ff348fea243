"""Lookups on the way to Dataverse: Finance values become the id of the record that they name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from dualsync.mapping import Lookup, TableMap
from dualsync.sync.legs.leg import Leg
from dualsync.sync.legs.runtime import Runtime
from dualsync.sync.lookups.keys import distinct_keys, key_frame, other_company
from dualsync.sync.lookups.missing import KEY, missing_table, unread
from dualsync.sync.lookups.parents import ID, Parents
from dualsync.sync.lookups.paths import key_paths
from dualsync.sync.plan.columns import ColumnPair
from dualsync.sync.plan.values.arrays import (
    array_of,
    column_of,
    each_distinct,
    looked_up,
    mask_of,
    not_in,
    repeated,
    series_of,
)
from dualsync.sync.plan.values.keys import join_keys
from dualsync.sync.plan.values.types import TEXT
from dualsync.sync.plan.vocabulary import parent_key, wanted
from dualsync.sync.reconcile.wanted.issues import Issues


class LookupsToDataverse:
    """Resolves the lookups of a transfer to Dataverse.

    Args:
        leg: The transfer.
        runtime: The maps.
        parents: Answers about parents.
    """

    def __init__(self, leg: Leg, runtime: Runtime, parents: Parents) -> None:
        self._map = leg.map
        self._company = leg.company
        self._catalog = runtime.catalog
        self._parents = parents

    def columns(
        self, lookup: Lookup, pair: ColumnPair, rows: pd.DataFrame, issues: Issues
    ) -> dict[str, pd.Series[Any]]:
        """The wanted columns of a lookup.

        Args:
            lookup: The lookup.
            pair: Its receiving column.
            rows: Rows of Finance.
            issues: Gets the rows whose parent does not resolve.
        """
        _, columns, company = key_paths(lookup, None)
        name = wanted(pair.target)
        if lookup in self._map.self_lookups:
            later = repeated(None, len(rows), TEXT, rows.index)
            return {name: later, parent_key(pair.target): join_keys(rows, columns)}
        parent = self._catalog[lookup.maps[0]]
        keys = _keys(lookup, parent, rows)
        resolved = pa.nulls(len(rows), TEXT)
        for code, mask in self._by_company(company, rows):
            asked = distinct_keys(keys[mask_of(mask)])
            if asked.empty:
                continue
            known, missing = self._answers(lookup, parent, asked, code)
            texts = pc.if_else(mask, array_of(keys[KEY]), pa.scalar(None, TEXT))
            found = looked_up(texts, column_of(known, KEY, TEXT), column_of(known, ID, TEXT))
            resolved = pc.coalesce(resolved, found)
            issues.add_missing(texts, missing, KEY)
        return {name: series_of(resolved, rows.index)}

    def _by_company(self, column: str | None, rows: pd.DataFrame) -> Iterator[tuple[str | None, Any]]:
        """The companies of the parents, None where it is the transfer's, each with a mask of its rows."""
        if not other_company(self._map, column):
            yield None, pa.repeat(pa.scalar(value=True), len(rows))
            return
        given, _, _ = each_distinct(array_of(rows[column]), lambda code: str(code).upper(), TEXT, ())
        codes = pc.fill_null(given, self._company)
        for code in codes.unique().to_pylist():
            yield code, pc.equal(codes, code)

    def _answers(
        self, lookup: Lookup, parent: TableMap, keys: pd.DataFrame, company: str | None
    ) -> tuple[pa.Table, pa.Table]:
        """Record ids of parents by join key; and why the rest does not resolve, where the row waits for it."""
        paths, columns = _named(lookup, parent)
        based = self._parents.record_ids(parent, paths, keys, company=company)
        known = based if lookup.through is None else self._read(lookup, keys, paths[0])
        absent = keys[mask_of(not_in(array_of(keys[KEY]), column_of(known, KEY, TEXT)))]
        if absent.empty or not lookup.waits:
            return known, missing_table(KEY, {})
        unknown = mask_of(not_in(array_of(absent[KEY]), column_of(based, KEY, TEXT)))
        arrived, rest = absent[~unknown], absent[unknown]
        texts = array_of(arrived[KEY]).to_pylist()
        reasons = [missing_table(KEY, {text: unread(lookup, parent, columns[0]) for text in texts})]
        if not rest.empty:
            reasons.append(self._parents.why_missing_keys(parent, columns, rest, company=company))
        return known, pa.concat_tables(reasons)

    def _read(self, lookup: Lookup, keys: pd.DataFrame, path: str) -> pa.Table:
        """Record ids of the table that the lookup is read through, by join key."""
        texts, values = (array_of(keys[name]).to_pylist() for name in (KEY, path))
        found = self._parents.records_through(lookup, dict(zip(texts, values, strict=True)))
        return pa.table({KEY: pa.array(found, TEXT), ID: pa.array(found.values(), TEXT)})


def _named(lookup: Lookup, parent: TableMap) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The parent's columns that name a record, and the Finance columns that hold the same."""
    paths, columns, _ = key_paths(lookup, None)
    # the company's path says no more than the company itself
    kept = [(path, column) for path, column in zip(paths, columns, strict=True) if path != parent.dataverse.company]
    return tuple(path for path, _ in kept), tuple(column for _, column in kept)


def _keys(lookup: Lookup, parent: TableMap, rows: pd.DataFrame) -> pd.DataFrame:
    """The key of the parent that each row names.

    A key with an empty part names nothing: an expense may have a project without a task.
    """
    _, columns, _ = key_paths(lookup, None)
    paths, named = _named(lookup, parent)
    keys = key_frame([array_of(rows[column]) for column in named], paths)
    whole = rows[list(columns)].notna().all(axis=1).to_numpy(dtype=bool)
    keys[KEY] = keys[KEY].where(whole)
    return keys
