"""Resolves lookups through the bases of the parents' maps, and through tables of Dataverse that no map carries.

What is asked and what is answered are columns: the rows of a transfer meet the answers by record id or by join key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from upath import UPath

from dualsync.frames import Sets, literal, quoted, to_pandas
from dualsync.mapping import Lookup, TableMap
from dualsync.sync.legs.runtime import Runtime
from dualsync.sync.lookups.missing import KEY, missing_table, why_missing_keys, why_missing_records
from dualsync.sync.lookups.paths import base_column
from dualsync.sync.plan.base import open_base
from dualsync.sync.plan.columns import LegColumns
from dualsync.sync.plan.values.arrays import array_of, column_of, not_in
from dualsync.sync.plan.values.keys import join_key, join_keys
from dualsync.sync.plan.values.types import TEXT
from dualsync.sync.plan.vocabulary import GLOBAL, agreed

ID = "id"
_IDS = pa.schema([pa.field(KEY, TEXT), pa.field(ID, TEXT)])


class Parents:
    """Looks parents up for the legs of one company.

    Args:
        runtime: Ledger, maps and systems.
        company: The leg's company.
    """

    def __init__(self, runtime: Runtime, company: str) -> None:
        self._runtime = runtime
        self._company = company

    def finance_values(
        self, parent: TableMap, paths: Sequence[str], ids: pa.Array, *, anywhere: bool = False
    ) -> pa.Table:
        """Finance values of parent records.

        Args:
            parent: The parent's map.
            paths: The parent's columns in Dataverse that are asked for, as a lookup's ``on`` names them; the path to
                its company gives the company's code as Finance writes it.
            ids: Record ids, each once.
            anywhere: Whether the parent may be of another integrated company than the leg's [K3].

        Returns:
            ``id`` and a column for each path; a row for each id that a base knows.
        """
        companies = self._runtime.settings.companies if anywhere and parent.scope != "global" else (self._company,)
        answers = pa.table({name: pa.nulls(0) for name in (ID, *paths)})
        for company in companies:
            rest = ids.filter(not_in(ids, column_of(answers, ID, TEXT)))
            path = self._base(parent, company)
            if path is not None and len(rest):
                known = self._values_of(parent, paths, rest, company, path)
                answers = pa.concat_tables([answers, known], promote_options="default")
        return answers.combine_chunks()

    def _values_of(self, parent: TableMap, paths: Sequence[str], ids: pa.Array, company: str, base: UPath) -> pa.Table:
        columns = ", ".join(
            f"{literal(company.lower()) if path == parent.dataverse.company else quoted(base_column(parent, path))} "
            f"AS {quoted(path)}"
            for path in paths
        )
        with Sets() as sets:
            self._open(sets, parent, base)
            sets.table("wanted", pa.table({"wanted_id": ids}))
            return sets.fetch(f"SELECT id, {columns} FROM base JOIN wanted ON id = wanted_id")

    def record_ids(
        self, parent: TableMap, paths: Sequence[str], keys: pd.DataFrame, *, company: str | None = None
    ) -> pa.Table:
        """Record ids of parents given by Finance values.

        Args:
            parent: The parent's map.
            paths: The parent's columns in Dataverse that the values stand for.
            keys: The values, named by ``paths``, and ``join_key``, which is made of them in that order; each key once.
            company: The parent's company; the leg's where None.

        Returns:
            ``join_key`` and ``id``; a row for each key that the base knows.
        """
        path = self._base(parent, company)
        if path is None or keys.empty:
            return _IDS.empty_table()
        wanted = array_of(keys[KEY])
        columns = [base_column(parent, one) for one in paths]
        with Sets() as sets:
            self._open(sets, parent, path)
            if columns == [agreed("finance", name) for name in parent.finance.key]:
                sets.table("wanted", pa.table({"wanted": wanted}))
                return sets.fetch("SELECT join_key, id FROM base JOIN wanted ON join_key = wanted WHERE id IS NOT NULL")
            return pa.concat_tables([_IDS.empty_table(), *_by_values(sets, columns, wanted)]).combine_chunks()

    def through(self, lookup: Lookup, ids: Sequence[str]) -> dict[str, Any]:
        """Values that a lookup takes from a Dataverse table without a map, by record id."""
        assert lookup.through is not None
        spec = lookup.through
        rows = self._runtime.systems.dataverse.read_ids(spec.set, ids, select=[spec.id, spec.column])
        return {str(row[spec.id]).lower(): row.get(spec.column) for row in rows}

    def records_through(self, lookup: Lookup, values: Mapping[str, Any]) -> dict[str, str]:
        """Records of the table that a lookup is read through, by the value of its column, within the leg's company.

        Args:
            lookup: The lookup.
            values: The values by their join key.

        Returns:
            Record ids by join key.
        """
        assert lookup.through is not None
        spec = lookup.through
        area = {} if spec.company is None else {spec.company: self._runtime.company_ids.get(self._company)}
        if not values or None in area.values():
            return {}
        conditions = [{spec.column: value, **area} for value in values.values()]
        rows = self._runtime.systems.dataverse.read_keys(spec.set, conditions, select=[spec.id, spec.column])
        found = {join_key([row[spec.column]]): str(row[spec.id]).lower() for row in rows}
        return {text: found[text] for text in values if text in found}

    def why_missing_records(self, parent: TableMap, attribute: str, ids: pa.Array) -> pa.Table:
        """Why parents given by record id are not in the base: ``id``, ``state``, ``rule`` and ``reason``."""
        return missing_table(ID, why_missing_records(self._runtime, parent, attribute, ids.to_pylist()))

    def why_missing_keys(
        self, parent: TableMap, columns: Sequence[str], keys: pd.DataFrame, *, company: str | None = None
    ) -> pa.Table:
        """Why parents given by Finance values are not in the base: ``join_key``, ``state``, ``rule`` and ``reason``.

        Args:
            parent: The parent's map.
            columns: Finance columns that hold the values.
            keys: As in :meth:`record_ids`.
            company: The parent's company; the leg's where None.
        """
        reasons = why_missing_keys(self._runtime, parent, columns, keys, company=company, own=self._company)
        return missing_table(KEY, reasons)

    def _open(self, sets: Sets, parent: TableMap, path: UPath) -> None:
        open_base(sets, LegColumns(parent, "to_finance", self._runtime.schema), path)

    def _base(self, parent: TableMap, company: str | None) -> UPath | None:
        where = GLOBAL if parent.scope == "global" else (company or self._company)
        return self._runtime.base_path(parent.map, where)


def _by_values(sets: Sets, columns: Sequence[str], wanted: pa.Array) -> Iterator[pa.Table]:
    """The rows of the base whose values in these columns are among those that are wanted, by their join key."""
    listed = ", ".join(quoted(name) for name in columns)
    for table in sets.stream(f"SELECT id, {listed} FROM base WHERE id IS NOT NULL"):
        texts = array_of(join_keys(to_pandas(table), columns))
        known = pa.table({KEY: texts, ID: table[ID]}, schema=_IDS)
        yield known.filter(pc.is_in(texts, value_set=wanted))
