"""What a leg of chosen rows reads: just these, by record id or key, and whatever stands under the same key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from upath import UPath

from dualsync.frames import Sets, quoted
from dualsync.ledger import OpenRow
from dualsync.sync.documents.completeness import OPEN
from dualsync.sync.legs.runtime import Leg, Runtime
from dualsync.sync.lookups.parents import Parents
from dualsync.sync.lookups.records import Record, dataverse_conditions, finance_condition, read_key
from dualsync.sync.plan.base import open_base
from dualsync.sync.plan.columns import LegColumns

BY_KEY = 200
"""Up to so many rows, the side to be written is asked for each key; above, it is read as any leg reads it."""


@dataclass(frozen=True, slots=True)
class ChosenKey:
    """A key that was chosen: its values in Finance's types, and what to ask Finance for."""

    parts: tuple[Any, ...]
    condition: Record


def open_rows_of(leg: Leg, runtime: Runtime) -> list[OpenRow]:
    """The open rows of a leg that are among those chosen for it; none where the run looks for itself."""
    if not leg.rows:
        return []
    known = runtime.ledger.open_rows(map_name=leg.map.map, direction=leg.direction, company=leg.company, states=OPEN)
    keys = {row.key.casefold() for row in leg.rows if row.key}
    ids = {row.record_id.lower() for row in leg.rows if row.record_id}
    return [row for row in known if row.key.casefold() in keys or row.join_key in keys or row.record_id in ids]


def chosen_ids(leg: Leg, runtime: Runtime, base: UPath | None) -> list[str]:
    """Record ids of the rows chosen for a leg that reads Dataverse."""
    ids = [row.record_id.lower() for row in leg.rows if row.record_id]
    keys = [row.key for row in leg.rows if not row.record_id]
    if not keys:
        return list(dict.fromkeys(ids))
    known = {row["key"].casefold(): row["id"] for row in _based(leg, runtime, base, keys=keys) if row["id"]}
    ids += known.values()
    parents = Parents(runtime, leg.company)
    spec = leg.map.dataverse
    for text in keys:
        if text.casefold() in known:
            continue
        parts = read_key(leg.map, runtime.schema, text).parts
        conditions = dataverse_conditions(runtime, leg.map, leg.company, parts, parents)
        found = runtime.systems.dataverse.read_keys(spec.set, conditions, select=[spec.id]) if conditions else []
        ids += [str(row[spec.id]).lower() for row in found]
    return list(dict.fromkeys(ids))


def doubles_of(leg: Leg, runtime: Runtime, rows: Sequence[Record], select: Sequence[str]) -> list[Record]:
    """Further records of Dataverse with the keys of records that were read by id."""
    spec = leg.map.dataverse
    names = list(dict.fromkeys(path.split(".")[0] for path in spec.key))
    if names == [spec.id]:
        return []
    if leg.map.company_is_direct and spec.company:
        names.append(spec.company.split(".")[0])
    conditions = [{name: row.get(name) for name in names} for row in rows]
    asked = [condition for condition in conditions if None not in condition.values()]
    found = runtime.systems.dataverse.read_keys(spec.set, asked, select=select) if asked else []
    known = {row[spec.id] for row in rows}
    return [row for row in found if row[spec.id] not in known]


def chosen_keys(leg: Leg, runtime: Runtime, base: UPath | None) -> dict[str, ChosenKey]:
    """Keys of the rows chosen for a leg that reads Finance, by their join key."""
    found: dict[str, tuple[Any, ...]] = {}
    for row in leg.rows:
        if row.key:
            key = read_key(leg.map, runtime.schema, row.key)
            found[key.join_key] = key.parts
    ids = [row.record_id.lower() for row in leg.rows if row.record_id and not row.key]
    for known in _based(leg, runtime, base, ids=ids) if ids else ():
        found[known["join_key"]] = tuple(known[f"f:{name}"] for name in leg.map.finance.key)
    return {
        text: ChosenKey(parts, finance_condition(leg.map, runtime.schema, leg.company, parts))
        for text, parts in found.items()
    }


def chosen_targets(leg: Leg, runtime: Runtime, base: UPath | None, select: Sequence[str]) -> list[Record] | None:
    """The records of Dataverse that stand under the chosen keys; None where they cannot be asked for singly."""
    keys = chosen_keys(leg, runtime, base)
    if len(keys) > BY_KEY:
        return None
    spec, parents = leg.map.dataverse, Parents(runtime, leg.company)
    area: Record = {}
    if leg.map.company_is_direct and spec.company:
        area = {spec.company.split(".")[0]: runtime.company_ids[leg.company]}
    asked: list[Record] = []
    for key in keys.values():
        conditions = dataverse_conditions(runtime, leg.map, leg.company, key.parts, parents)
        if conditions is None:
            return None
        asked += [condition | area for condition in conditions]
    known = [row["id"] for row in _based(leg, runtime, base, join_keys=list(keys)) if row["id"]]
    dataverse = runtime.systems.dataverse
    rows = dataverse.read_ids(spec.set, known, select=select) if known else []
    rows += dataverse.read_keys(spec.set, asked, select=select) if asked else []
    return list({row[spec.id]: row for row in rows}.values())


def _based(
    leg: Leg,
    runtime: Runtime,
    base: UPath | None,
    *,
    keys: Sequence[str] = (),
    ids: Sequence[str] = (),
    join_keys: Sequence[str] = (),
) -> list[Record]:
    """Rows of the base by key as people write it, by record id, or by join key."""
    columns = ", ".join(["id", "key", "join_key", *(quoted(f"f:{name}") for name in leg.map.finance.key)])
    with Sets() as sets:
        open_base(sets, LegColumns(leg.map, leg.direction, runtime.schema), base)
        folded = [key.casefold() for key in keys]
        for name, values in (("keys", folded), ("ids", ids), ("join_keys", join_keys)):
            sets.table(f"asked_{name}", pa.table({"asked": pa.array(values, type=pa.string())}))
        found: list[Record] = sets.fetch(
            f"SELECT {columns} FROM base WHERE lower(key) IN (SELECT asked FROM asked_keys) "
            "OR id IN (SELECT asked FROM asked_ids) OR join_key IN (SELECT asked FROM asked_join_keys)"
        ).to_pylist()
    return found
