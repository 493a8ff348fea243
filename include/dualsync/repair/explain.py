"""Explains one record: both sides, what the base agreed on, the last plan and send, its parents, and why it waits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
from upath import UPath

from dualsync.errors import UnknownName
from dualsync.frames import Sets, literal, to_pandas
from dualsync.ledger import DocumentRecord
from dualsync.ledger.documents import documents_of
from dualsync.mapping import Expression, Lookup, TableMap
from dualsync.spelling import nearest
from dualsync.sync.legs.folders import LegFolder
from dualsync.sync.legs.runtime import Runtime
from dualsync.sync.lookups.keys import finance_keys
from dualsync.sync.lookups.parents import Parents
from dualsync.sync.lookups.paths import key_paths
from dualsync.sync.lookups.records import Record, dataverse_conditions, read_key, split_key
from dualsync.sync.plan.base import open_base
from dualsync.sync.plan.columns import LegColumns
from dualsync.sync.plan.finance_keys import finance_key
from dualsync.sync.plan.live_columns import typed_row
from dualsync.sync.plan.values import display_key, join_key, parse
from dualsync.sync.plan.vocabulary import GLOBAL, deleted_row
from dualsync.sync.reconcile.plan import FACTS_FILE
from dualsync.sync.reconcile.policy import DECISIONS, FACTS
from dualsync.sync.reconcile.script import FILE as SCRIPT_FILE


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
        UnknownName: The map is not known, or the key has not its form.
    """
    table_map = _table_map(runtime, map_name)
    split_key(table_map, key)
    companies = runtime.companies_for(table_map, runtime.check_companies([company] if company else None))
    found = [_Explanation(runtime, table_map, key, each).to_dict() for each in companies]
    known = [one for one in found if any(one[part] for part in ("dataverse", "finance", "agreed", "open"))]
    return known or found[:1]


def keys_of_run(
    runtime: Runtime, map_name: str, key: str, companies: tuple[str, ...], *, parents: bool
) -> dict[str, list[str]]:
    """The keys of a record, and of all records it needs, by map; for a run of just these.

    Beside its key a record's id is named too: a record whose parent has not arrived has no whole key yet.

    Args:
        runtime: Everything at hand.
        map_name: The map.
        key: The integration key, parts joined by a bar.
        companies: The companies of the run.
        parents: Whether the records it needs are named too.

    Raises:
        UnknownName: As :func:`explain`.
    """
    split_key(_table_map(runtime, map_name), key)
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
            wanted[name] += [found.record_id] if found.record_id else []
            if parents:
                todo += [(parent["map"], parent["key"]) for parent in found.parents() if parent["key"]]
    return wanted


def _table_map(runtime: Runtime, map_name: str) -> TableMap:
    if map_name not in runtime.catalog:
        raise UnknownName([f"no table map '{map_name}'{nearest(map_name, runtime.catalog)}"])
    return runtime.catalog[map_name]


class _Explanation:
    def __init__(self, runtime: Runtime, table_map: TableMap, key: str, company: str) -> None:
        self._runtime = runtime
        self._map = table_map
        self._company = company
        self._parents = Parents(runtime, company)
        self._leg_columns = LegColumns(table_map, table_map.directions[0], runtime.schema)
        wanted = read_key(table_map, runtime.schema, key)
        self._parts, self._key, self._join_key = wanted.parts, wanted.text, wanted.join_key
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
            "units": [unit.to_dict() for unit in documents_of(self._units())],
            "plans": list(self._plans()),
            "parents": self.parents(),
        }

    @property
    def record_id(self) -> str | None:
        """The id of the record in Dataverse, where it stands there."""
        found = (self._dataverse or {}).get(self._map.dataverse.id)
        return None if found is None else str(found).lower()

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
        leg_columns = LegColumns(parent, parent.directions[0], self._runtime.schema)
        names = leg_columns.read_columns("dataverse")
        row = self._runtime.systems.dataverse.get(parent.dataverse.set, record, list(names))
        if row is None:
            return None
        known = _keys(self._runtime, leg_columns, [row], self._company)[0][1]
        if known is not None:
            return known
        parts = [self._follow(parent, row, path) for path in parent.dataverse.key]
        return None if None in parts else display_key(parts)

    def _follow(self, table_map: TableMap, row: Record, path: str) -> Any:
        """The value at the end of a path from a Dataverse row, read from Dataverse itself."""
        attribute, _, rest = path.partition(".")
        value = row.get(attribute)
        while rest and value is not None:
            lookup = table_map.lookup(attribute)
            if lookup.through is not None:
                return self._parents.through(lookup, [str(value)]).get(str(value))
            table_map = self._runtime.catalog[lookup.maps[0]]
            attribute, _, rest = rest.partition(".")
            found = self._runtime.systems.dataverse.get(table_map.dataverse.set, str(value), [attribute])
            value = (found or {}).get(attribute)
        return value

    def _base(self) -> Record | None:
        path = self._runtime.base_path(self._map.map, self._company)
        if path is None:
            return None
        with Sets() as sets:
            open_base(sets, self._leg_columns, path)
            rows = sets.fetch(f"SELECT * FROM base WHERE join_key = {literal(self._join_key)}").to_pylist()
        return rows[0] if rows else None

    def _read_dataverse(self) -> Record | None:
        entity = self._map.dataverse
        names = list(self._leg_columns.read_columns("dataverse"))
        dataverse = self._runtime.systems.dataverse
        if self._agreed and self._agreed["id"]:
            return dataverse.get(entity.set, self._agreed["id"], names)
        conditions = dataverse_conditions(self._runtime, self._map, self._company, self._parts, self._parents)
        matches: list[Record] = []
        if conditions is not None:
            matches = dataverse.read_keys(entity.set, conditions, select=names) if conditions else []
        else:
            for page in dataverse.read(entity.set, select=names):
                keys = _keys(self._runtime, self._leg_columns, page, self._company)
                matches += [row for row, (text, _) in zip(page, keys, strict=True) if text == self._join_key]
        expression = Expression.parse(entity.filter) if entity.filter else None
        if entity.own_company is not None:
            company = self._runtime.company_ids.get(self._company)
            matches = [row for row in matches if row.get(entity.own_company) == company]
        matches.sort(key=lambda row: expression is not None and not expression.matches(row))
        return matches[0] if matches else None

    def _read_finance(self) -> Record | None:
        entity = self._map.finance
        columns = {name: self._leg_columns.column("finance", name) for name in entity.key}
        condition = finance_key(self._map, self._runtime.schema, self._company, self._parts)
        select = list(self._leg_columns.read_columns("finance"))
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
            if deleted_row(row.join_key) == self._join_key
            or row.key == self._key
            or (record is not None and row.record_id == record)
        ]

    def _units(self) -> list[DocumentRecord]:
        """What the ledger says about the unit whose header the record is."""
        if self._map.unit is None:
            return []
        header = self._map.part_of.map if self._map.part_of is not None else self._map.map
        return self._runtime.ledger.documents(map_name=header, company=self._company, key=self._key)

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
                    f"SELECT pos, action, rule, reason, columns FROM plan WHERE join_key = {literal(self._join_key)}"
                ).to_pylist()
            for row in rows:
                position = row.pop("pos")
                yield {
                    "run": leg.run_id,
                    "direction": leg.direction,
                    **row,
                    "facts": _facts(folder, position),
                    "broken": _broken(folder, position),
                    "sent": _sent(folder, self._join_key),
                    "sql": _script(folder),
                }


def _facts(folder: UPath, position: int) -> list[Record]:
    """The cells of a planned row that were not plainly unchanged: which facts held, and what was decided of each."""
    path = folder / FACTS_FILE
    if not path.exists():
        return []
    with Sets() as sets:
        sets.view("facts", path)
        cells = sets.fetch(f"SELECT * EXCLUDE (pos) FROM facts WHERE pos = {position}").to_pylist()
    return [
        {
            "column": cell["column"],
            "facts": [name for name in FACTS if cell[name]],
            "decided": [name for name in DECISIONS if cell[name]],
        }
        for cell in cells
    ]


def _script(folder: UPath) -> str | None:
    """The SQL that the reconcile step asked, None where the run left none."""
    path = folder / SCRIPT_FILE
    return path.read_text() if path.exists() else None


def _broken(folder: UPath, position: int) -> list[Record]:
    """The rules that a row of a plan breaks, warnings among them."""
    failures = folder / "failures.parquet"
    if not failures.exists():
        return []
    with Sets() as sets:
        sets.view("failures", failures)
        query = f"SELECT rule, severity, reason FROM failures WHERE pos = {position} ORDER BY rule"
        broken: list[Record] = sets.fetch(query).to_pylist()
    return broken


def _sent(folder: UPath, key: str) -> Record | None:
    for batch in LegFolder(folder.parent, int(folder.name)).acknowledged():
        for ack in batch.rows:
            if ack.join_key == key:
                return {name: getattr(ack, name) for name in ("action", "status", "reason")}
    return None


def _in_base(path: UPath, parent: TableMap, runtime: Runtime, key: str) -> bool:
    parts = [
        parse(part, runtime.schema.column("finance", parent.finance.set, name), "finance")
        for part, name in zip(key.split("|"), parent.finance.key, strict=True)
    ]
    with Sets() as sets:
        sets.view("base", path)
        return bool(sets.scalar(f"SELECT count(*) FROM base WHERE join_key = {literal(join_key(parts) or '')}"))


def _keys(
    runtime: Runtime, leg_columns: LegColumns, page: list[Record], company: str
) -> list[tuple[str | None, str | None]]:
    """Join key and key as people write it, of Dataverse rows."""
    if not page:
        return []
    columns = {name: leg_columns.column("dataverse", name) for name in leg_columns.read_columns("dataverse")}
    schema = leg_columns.raw_schema("dataverse")
    rows = [typed_row(row, columns, "dataverse") for row in page]
    table = pa.Table.from_pylist([{field.name: row.get(field.name) for field in schema} for row in rows], schema=schema)
    parents = Parents(runtime, company)
    frame = finance_keys(
        leg_columns, to_pandas(table), parents, runtime.catalog.runnable, ZoneInfo(runtime.settings.time_zone)
    )
    parts = [frame[name].array.__arrow_array__().to_pylist() for name in leg_columns.map.finance.key]
    texts = frame["join_key"].array.__arrow_array__().to_pylist()
    shown = [display_key(list(values)) for values in zip(*parts, strict=True)]
    return [(text, None if text is None else key) for text, key in zip(texts, shown, strict=True)]
