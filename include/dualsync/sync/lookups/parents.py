"""Resolves lookups through the bases of the parents' maps, and says why one does not resolve.

A parent that has not arrived yet makes the row wait; one that is deleted, filtered out, or of a company that is not
integrated never will arrive, so the row is quarantined with that reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from dualsync.frames import Sets, literal, quoted
from dualsync.mapping import Expression, Lookup, TableMap
from dualsync.mapping.words import COMPANY_WORD
from dualsync.sync.legs.runtime import GLOBAL, Runtime
from dualsync.sync.plan.advice import advised
from dualsync.sync.plan.base import open_base
from dualsync.sync.plan.columns import LegColumns
from dualsync.sync.plan.values import join_key

WAITING = "waiting"
QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class Missing:
    """Why a parent does not resolve: the row's state, the rule, and a reason a person can read."""

    state: str
    rule: str
    reason: str


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
        self, parent: TableMap, paths: Sequence[str], ids: Sequence[str], *, anywhere: bool = False
    ) -> dict[str, tuple[Any, ...]]:
        """Finance values of parent records.

        Args:
            parent: The parent's map.
            paths: The parent's columns in Dataverse that are asked for, as a lookup's ``on`` names them; the path to
                its company gives the company's code as Finance writes it.
            ids: Record ids.
            anywhere: Whether the parent may be of another integrated company than the leg's [K3].

        Returns:
            For each id that a base knows, its values in the order of ``paths``.
        """
        companies = self._runtime.settings.companies if anywhere and parent.scope != "global" else (self._company,)
        found: dict[str, tuple[Any, ...]] = {}
        for company in companies:
            found |= self._values_of(parent, paths, [one for one in ids if one not in found], company)
        return found

    def _values_of(
        self, parent: TableMap, paths: Sequence[str], ids: Sequence[str], company: str
    ) -> dict[str, tuple[Any, ...]]:
        path = self._base(parent, company)
        if path is None or not ids:
            return {}
        columns = ", ".join(
            literal(company.lower()) if one == parent.dataverse.company else quoted(base_column(parent, one))
            for one in paths
        )
        with Sets() as sets:
            self._open(sets, parent, path)
            sets.table("wanted", pa.table({"wanted_id": pa.array(ids, type=pa.string())}))
            rows = sets.fetch(f"SELECT id, {columns} FROM base JOIN wanted ON id = wanted_id")
        keys = rows.column(0).to_pylist()
        values = zip(*(rows.column(i + 1).to_pylist() for i in range(len(paths))), strict=True)
        return dict(zip(keys, values, strict=True))

    def record_ids(
        self,
        lookup_map: TableMap,
        paths: Sequence[str],
        keys: Sequence[tuple[Any, ...]],
        *,
        company: str | None = None,
    ) -> dict[tuple[Any, ...], str]:
        """Record ids of parents given by Finance values.

        Args:
            lookup_map: The parent's map.
            paths: The parent's columns in Dataverse that the values stand for.
            keys: Values, in the order of ``paths``.
            company: The parent's company; the leg's where None.

        Returns:
            For each key that the base knows, the record id.
        """
        path = self._base(lookup_map, company)
        texts = {join_key(list(key)): key for key in keys}
        if path is None or not texts:
            return {}
        with Sets() as sets:
            self._open(sets, lookup_map, path)
            if tuple(base_column(lookup_map, p) for p in paths) == tuple(
                f"f:{name}" for name in lookup_map.finance.key
            ):
                sets.table(
                    "wanted", pa.table({"wanted": pa.array([t for t in texts if t is not None], type=pa.string())})
                )
                found = sets.fetch(
                    "SELECT join_key, id FROM base JOIN wanted ON join_key = wanted WHERE id IS NOT NULL"
                )
                return {
                    texts[text]: record
                    for text, record in zip(found.column(0).to_pylist(), found.column(1).to_pylist(), strict=True)
                }
            columns = ", ".join(quoted(base_column(lookup_map, p)) for p in paths)
            known: dict[tuple[Any, ...], str] = {}
            for table in sets.stream(f"SELECT id, {columns} FROM base WHERE id IS NOT NULL"):
                rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
                for record, *values in rows:
                    key = texts.get(join_key(list(values)))
                    if key is not None:
                        known[key] = record
            return known

    def through(self, lookup: Lookup, ids: Sequence[str]) -> dict[str, Any]:
        """Values that a lookup takes from a Dataverse table without a map, by record id."""
        assert lookup.through is not None
        spec = lookup.through
        rows = self._runtime.systems.dataverse.read_ids(spec.set, ids, select=[spec.id, spec.column])
        return {str(row[spec.id]).lower(): row.get(spec.column) for row in rows}

    def records_through(self, lookup: Lookup, values: Sequence[Any]) -> dict[Any, str]:
        """Records of the table that a lookup is read through, by the value of its column, within the leg's company."""
        assert lookup.through is not None
        spec = lookup.through
        area = {} if spec.company is None else {spec.company: self._runtime.company_ids.get(self._company)}
        wanted = {join_key([value]): value for value in values}
        if not wanted or None in area.values():
            return {}
        conditions = [{spec.column: value, **area} for value in wanted.values()]
        rows = self._runtime.systems.dataverse.read_keys(spec.set, conditions, select=[spec.id, spec.column])
        found = {join_key([row[spec.column]]): str(row[spec.id]).lower() for row in rows}
        return {value: found[text] for text, value in wanted.items() if text in found}

    def why_missing_records(self, parent: TableMap, attribute: str, ids: Iterable[str]) -> dict[str, Missing]:
        """Why parents given by record id are not in the base, by id."""
        asked = list(dict.fromkeys(ids))
        spec = parent.dataverse
        expression = Expression.parse(spec.filter) if spec.filter else None
        company_attribute = spec.company.split(".")[0] if parent.company_is_direct and spec.company else None
        select = [
            spec.id,
            *(expression.columns if expression else ()),
            *((company_attribute,) if company_attribute else ()),
        ]
        found_rows = self._runtime.systems.dataverse.read_ids(spec.set, asked, select=list(dict.fromkeys(select)))
        rows = {str(row[spec.id]).lower(): row for row in found_rows}
        integrated = {self._runtime.company_ids.get(code) for code in self._runtime.settings.companies}
        reasons: dict[str, Missing] = {}
        for record in asked:
            found = rows.get(record)
            if found is None:
                reasons[record] = Missing(
                    QUARANTINED,
                    f"{parent.map}.deleted",
                    f"{attribute} points at a record of {spec.table} that no longer exists; choose another one",
                )
            elif expression is not None and not expression.matches(found):
                reasons[record] = Missing(
                    QUARANTINED,
                    f"{parent.map}.filtered",
                    f"{attribute} points at a record of {spec.table} that does not travel, since the filter of map "
                    f"{parent.map} ({spec.filter}) leaves it out",
                )
            elif company_attribute and found.get(company_attribute) not in integrated:
                reasons[record] = Missing(
                    QUARANTINED,
                    f"{parent.map}.company",
                    f"{attribute} points at a record of {spec.table} whose company is not integrated",
                )
            else:
                reasons[record] = waiting(parent, attribute)
        return reasons

    def why_missing_keys(
        self,
        parent: TableMap,
        columns: Sequence[str],
        paths: Sequence[str],
        keys: Iterable[tuple[Any, ...]],
        *,
        company: str | None = None,
    ) -> dict[tuple[Any, ...], Missing]:
        """Why parents given by Finance values are not in the base, by those values.

        Args:
            parent: The parent's map.
            columns: Finance columns that hold the values.
            paths: The parent's columns in Dataverse that the values stand for.
            keys: Values, in the order of ``paths``.
            company: The parent's company; the leg's where None.
        """
        label = ", ".join(columns)
        if parent.finance.write == "package":
            # nothing can be asked about rows of such an entity, and only Dataverse makes them
            return dict.fromkeys(keys, waiting(parent, label))
        if company is not None and company not in self._runtime.settings.companies:
            text = f"{label} names a row of {parent.finance.set} in {company}, which is not integrated"
            return dict.fromkeys(keys, Missing(QUARANTINED, f"{parent.map}.company", text))
        names = [base_column(parent, path)[2:] for path in paths]
        spec = parent.finance
        expression = Expression.parse(spec.filter) if spec.filter else None
        asked = list(dict.fromkeys(keys))
        wanted = {join_key(list(key)): key for key in asked}
        found: dict[tuple[Any, ...], dict[str, Any]] = {}
        select = list(dict.fromkeys([*names, *(expression.columns if expression else ())]))
        area = {} if parent.scope == "global" else {str(spec.company): company or self._company}
        conditions = [area | dict(zip(names, key, strict=True)) for key in asked if None not in key]
        for row in self._runtime.systems.finance.read_keys(spec.set, conditions, select=select):
            key = wanted.get(join_key([row.get(name) for name in names]))
            if key is not None:
                found[key] = row
        reasons: dict[tuple[Any, ...], Missing] = {}
        for key in asked:
            present = found.get(key)
            if present is None:
                reasons[key] = Missing(
                    QUARANTINED,
                    f"{parent.map}.unknown",
                    f"{label} names a row of {spec.set} that does not exist in Finance; correct it there",
                )
            elif expression is not None and not expression.matches(present):
                reasons[key] = Missing(
                    QUARANTINED,
                    f"{parent.map}.filtered",
                    f"{label} names a row of {spec.set} that does not travel, since the filter of map {parent.map} "
                    f"({spec.filter}) leaves it out",
                )
            else:
                reasons[key] = waiting(parent, label)
        return reasons

    def _open(self, sets: Sets, parent: TableMap, path: Any) -> None:
        open_base(sets, LegColumns(parent, "to_finance", self._runtime.schema), path)

    def _base(self, parent: TableMap, company: str | None) -> Any:
        where = GLOBAL if parent.scope == "global" else (company or self._company)
        return self._runtime.base_path(parent.map, where)


def waiting(parent: TableMap, column: str) -> Missing:
    """The reason of a row whose parent has not arrived."""
    text = (
        f"{column} points at a row of map {parent.map} that is not on both sides yet; it goes through once that row is "
        "there"
    )
    return Missing(WAITING, f"{parent.map}.waiting", advised(text, parent.map))


def unread(lookup: Lookup, parent: TableMap, column: str) -> Missing:
    """The reason of a row whose parent has arrived, but not the record of another table that stands for it."""
    assert lookup.through is not None
    spec = lookup.through
    text = (
        f"{column} names a row of map {parent.map} for which {spec.set} has no record with that {spec.column} in the "
        "company; it goes through once there is one"
    )
    return Missing(WAITING, f"{parent.map}.waiting", advised(text, spec.set))


def base_column(parent: TableMap, path: str) -> str:
    """The column of a parent's base that answers a path of a lookup's ``on``.

    Raises:
        KeyError: The parent's map has no such pair.
    """
    if path == parent.dataverse.id:
        return "id"
    if path in parent.dataverse.key:
        return f"f:{parent.finance.key[parent.dataverse.key.index(path)]}"
    for field in parent.fields:
        if field.dataverse == path:
            return f"f:{field.finance}" if field.finance else f"d:{path}"
    raise KeyError(f"map {parent.map} pairs no column {path}")


def key_paths(lookup: Lookup, target: str | None) -> tuple[tuple[str, ...], tuple[str, ...], str | None]:
    """A lookup's parent columns, the Finance columns they fill, and the Finance column of the parent's company."""
    on = lookup.on_of(target)
    pairs = [(path, column) for path, column in on.items() if path != COMPANY_WORD]
    return tuple(path for path, _ in pairs), tuple(column for _, column in pairs), on.get(COMPANY_WORD)
