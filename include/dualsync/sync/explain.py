"""Explains one record: both sides, what the base agreed on, the last plan and send, its parents, and why it waits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
from upath import UPath

from dualsync.errors import MapErrors
from dualsync.frames import Sets, literal, to_pandas
from dualsync.mapping import Expression, Lookup, TableMap
from dualsync.sync.bases import open_base
from dualsync.sync.feeds import typed_row
from dualsync.sync.folders import LegFolder
from dualsync.sync.keys import finance_keys
from dualsync.sync.parents import Parents, key_paths
from dualsync.sync.runtime import GLOBAL, Runtime
from dualsync.sync.shape import Shape
from dualsync.sync.values import display_key, join_key, parse, to_wire

Record = dict[str, Any]


def split_key(table_map: TableMap, key: str) -> tuple[str, ...]:
    """The parts of an integration key as people write it, with bars between.

    Raises:
        MapErrors: It has not as many parts as the map's key.
    """
    parts = tuple(part.strip() for part in key.split("|"))
    names = table_map.finance.key
    if len(parts) != len(names):
        raise MapErrors([f"key '{key}' has {len(parts)} part(s); the key of map {table_map.map} is {'|'.join(names)}"])
    return parts


def explain(runtime: Runtime, map_name: str, key: str, company: str | None = None) -> list[Record]:
    """Explain a record.

    Args:
        runtime: Everything at hand.
        map_name: The map.
        key: The integration key, parts joined by a bar.
        company: The company; every integrated one where none is given.

    Returns:
        One explanation for each company that knows the key, at least one.

    Raises:
        MapErrors: The map is not known, or the key has not its form.
    """
    if map_name not in runtime.catalog:
        raise MapErrors([str(KeyError(map_name)).strip("'") + " is no table map"])
    table_map = runtime.catalog[map_name]
    split_key(table_map, key)
    companies = runtime.companies_for(table_map, runtime.check_companies([company] if company else None))
    found = [_Explanation(runtime, table_map, key, each).to_dict() for each in companies]
    known = [one for one in found if any(one[part] for part in ("dataverse", "finance", "agreed", "open"))]
    return known or found[:1]


def with_parents(runtime: Runtime, map_name: str, key: str, companies: tuple[str, ...]) -> dict[str, list[str]]:
    """The keys of a record and of all records it needs, by map; for a run of just these.

    Raises:
        MapErrors: As :func:`explain`.
    """
    wanted: dict[str, list[str]] = {}
    todo = [(map_name, key)]
    while todo:
        name, one = todo.pop()
        if one in wanted.setdefault(name, []):
            continue
        wanted[name].append(one)
        table_map = runtime.catalog[name]
        for company in runtime.companies_for(table_map, companies):
            found = _Explanation(runtime, table_map, one, company)
            todo += [(parent["map"], parent["key"]) for parent in found.parents() if parent["key"]]
    return wanted


class _Explanation:
    def __init__(self, runtime: Runtime, table_map: TableMap, key: str, company: str) -> None:
        self._runtime = runtime
        self._map = table_map
        self._company = company
        self._shape = Shape(table_map, table_map.directions[0], runtime.schema)
        columns = [self._shape.column("finance", name) for name in table_map.finance.key]
        self._parts = [
            parse(part, column, "finance") for part, column in zip(split_key(table_map, key), columns, strict=True)
        ]
        self._key = display_key(self._parts)
        self._join_key = join_key(self._parts) or ""
        self._agreed = self._base()
        self._dataverse = self._read_dataverse()
        self._finance = self._read_finance()

    def to_dict(self) -> Record:
        """Everything, as plain data."""
        return {
            "map": self._map.map,
            "key": self._key,
            "company": self._company,
            "dataverse": self._dataverse,
            "finance": self._finance,
            "agreed": self._agreed,
            "open": [asdict(row) for row in self._open()],
            "plans": list(self._plans()),
            "parents": self.parents(),
        }

    def parents(self) -> list[Record]:
        """The records this one points at, and whether both sides have them."""
        found: list[Record] = []
        for lookup in self._map.lookups:
            for target in lookup.targets or [None]:
                parent = self._parent(lookup, target)
                if parent is not None:
                    found.append(parent)
        return found

    def _parent(self, lookup: Lookup, target: str | None) -> Record | None:
        name = lookup.targets[target].map if lookup.targets and target else (lookup.maps[0] if lookup.maps else None)
        if name is None or lookup.through is not None:
            return None
        parent = self._runtime.catalog[name]
        company = GLOBAL if parent.scope == "global" else self._company
        record = (self._dataverse or {}).get(lookup.dataverse)
        if self._map.directions[0] == "to_finance":
            if record is None or (target and (self._dataverse or {}).get(f"{lookup.dataverse}@type") != target):
                return None
            key = self._key_of(parent, str(record))
        else:
            paths, columns, _ = key_paths(lookup, target)
            values = [(self._finance or {}).get(column) for column in columns]
            if all(value in (None, "") for value in values):
                return None
            key = display_key(values) if len(paths) == len(parent.finance.key) else None
        base = self._runtime.base_path(parent.map, company)
        both = base is not None and key is not None and _in_base(base, parent, self._runtime, key)
        return {
            "column": lookup.dataverse,
            "map": name,
            "company": company,
            "key": key,
            "on_both_sides": both,
            "waits": lookup.waits,
        }

    def _key_of(self, parent: TableMap, record: str) -> str | None:
        """The integration key of a parent in Dataverse, whether or not it has arrived."""
        shape = Shape(parent, parent.directions[0], self._runtime.schema)
        names = shape.read_columns("dataverse")
        row = self._runtime.systems.dataverse.get(parent.dataverse.set, record, list(names))
        if row is None:
            return None
        return _keys(self._runtime, shape, [row], self._company)[0][1]

    def _base(self) -> Record | None:
        path = self._runtime.base_path(self._map.map, self._company)
        if path is None:
            return None
        with Sets() as sets:
            open_base(sets, self._shape, path)
            rows = sets.fetch(f"SELECT * FROM base WHERE join_key = {literal(self._join_key)}").to_pylist()
        return rows[0] if rows else None

    def _read_dataverse(self) -> Record | None:
        entity = self._map.dataverse
        names = list(self._shape.read_columns("dataverse"))
        dataverse = self._runtime.systems.dataverse
        if self._agreed and self._agreed["id"]:
            return dataverse.get(entity.set, self._agreed["id"], names)
        if any("." in path for path in entity.key):
            pages: Iterator[list[Record]] | list[list[Record]] = dataverse.read(entity.set, select=names)
        else:
            pages = [dataverse.read_keys(entity.set, [dict(zip(entity.key, self._parts, strict=True))], select=names)]
        expression = Expression.parse(entity.filter) if entity.filter else None
        matches: list[Record] = []
        for page in pages:
            keys = _keys(self._runtime, self._shape, page, self._company)
            matches += [row for row, (text, _) in zip(page, keys, strict=True) if text == self._join_key]
        if self._map.company_is_direct and entity.company:
            company = self._runtime.company_ids.get(self._company)
            matches = [row for row in matches if row.get(str(entity.company).split(".")[0]) == company]
        matches.sort(key=lambda row: expression is not None and not expression.matches(row))
        return matches[0] if matches else None

    def _read_finance(self) -> Record | None:
        entity = self._map.finance
        columns = {name: self._shape.column("finance", name) for name in entity.key}
        condition: Record = {} if self._company == GLOBAL else {str(entity.company): self._company}
        for name, value in zip(entity.key, self._parts, strict=True):
            condition[name] = to_wire(value, columns[name], "finance")
        select = list(self._shape.read_columns("finance"))
        for row in self._runtime.systems.finance.read_keys(entity.set, [condition], select=select):
            if (
                join_key([parse(row.get(name), column, "finance") for name, column in columns.items()])
                == self._join_key
            ):
                return row
        return None

    def _open(self) -> list[Any]:
        rows = self._runtime.ledger.open_rows(map_name=self._map.map, company=self._company)
        record = (self._dataverse or {}).get(self._map.dataverse.id)
        return [
            row
            for row in rows
            if row.join_key.removeprefix("delete:") == self._join_key
            or row.key == self._key
            or (record is not None and row.record_id == record)
        ]

    def _plans(self) -> Iterator[Record]:
        """What the latest leg of each direction planned for the record, and what came of it."""
        for leg in self._runtime.ledger.latest_legs():
            if leg.map != self._map.map or leg.company != self._company or not leg.folder or leg.part != "rows":
                continue
            folder = UPath(leg.folder)
            plan = folder / "plan.parquet"
            if not plan.exists():
                continue
            with Sets() as sets:
                sets.view("plan", plan)
                rows = sets.fetch(
                    f"SELECT action, rule, reason, columns FROM plan WHERE join_key = {literal(self._join_key)}"
                ).to_pylist()
            for row in rows:
                yield {"run": leg.run_id, "direction": leg.direction, **row, "sent": _sent(folder, self._join_key)}


def _sent(folder: UPath, key: str) -> Record | None:
    for batch in LegFolder(folder.parent, int(folder.name)).acknowledged():
        for ack in batch["rows"]:
            if ack["join_key"] == key:
                return {name: ack[name] for name in ("action", "status", "reason")}
    return None


def _in_base(path: UPath, parent: TableMap, runtime: Runtime, key: str) -> bool:
    parts = [
        parse(part, runtime.schema.column("finance", parent.finance.set, name), "finance")
        for part, name in zip(key.split("|"), parent.finance.key, strict=True)
    ]
    with Sets() as sets:
        sets.view("base", path)
        return bool(sets.scalar(f"SELECT count(*) FROM base WHERE join_key = {literal(join_key(parts) or '')}"))


def _keys(runtime: Runtime, shape: Shape, page: list[Record], company: str) -> list[tuple[str | None, str | None]]:
    """Join key and key as people write it, of Dataverse rows."""
    if not page:
        return []
    columns = {name: shape.column("dataverse", name) for name in shape.read_columns("dataverse")}
    schema = shape.raw_schema("dataverse")
    rows = [typed_row(row, columns, "dataverse") for row in page]
    table = pa.Table.from_pylist([{field.name: row.get(field.name) for field in schema} for row in rows], schema=schema)
    parents = Parents(runtime, company)
    frame = finance_keys(shape, to_pandas(table), parents, runtime.catalog.maps, ZoneInfo(runtime.settings.time_zone))
    parts = [frame[name].array.__arrow_array__().to_pylist() for name in shape.map.finance.key]
    texts = frame["join_key"].array.__arrow_array__().to_pylist()
    shown = [display_key(list(values)) for values in zip(*parts, strict=True)]
    return [(text, None if text is None else key) for text, key in zip(texts, shown, strict=True)]
