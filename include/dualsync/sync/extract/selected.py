"""What a leg of chosen rows reads: just these, by record id or key, and whatever stands under the same key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from upath import UPath

from dualsync.frames import Sets
from dualsync.sql import quoted
from dualsync.sync.legs.context import LegContext
from dualsync.sync.lookups.parents import Parents
from dualsync.sync.lookups.records import Record, dataverse_conditions, read_key
from dualsync.sync.plan.base import open_base
from dualsync.sync.plan.finance_keys import finance_key
from dualsync.sync.plan.vocabulary import BY_KEY, agreed


@dataclass(frozen=True, slots=True)
class ChosenKey:
    """A key that was chosen: its values in Finance's types, and what to ask Finance for."""

    parts: tuple[Any, ...]
    condition: Record


def chosen_ids(context: LegContext) -> list[str]:
    """Record ids of the rows chosen for a transfer that reads Dataverse."""
    leg, runtime = context.leg, context.runtime
    ids = [row.record_id.lower() for row in leg.rows if row.record_id]
    keys = [row.key for row in leg.rows if not row.record_id]
    if not keys:
        return list(dict.fromkeys(ids))
    based = {row["key"].casefold(): row["id"] for row in _based(context, context.base, keys=keys) if row["id"]}
    ids += based.values()
    parents = Parents(runtime, leg.company)
    spec = leg.map.dataverse
    for text in keys:
        if text.casefold() in based:
            continue
        parts = read_key(leg.map, runtime.schema, text).parts
        conditions = dataverse_conditions(runtime, leg.map, leg.company, parts, parents)
        rows = runtime.systems.dataverse.read_keys(spec.set, conditions, select=[spec.id]) if conditions else []
        ids += [str(row[spec.id]).lower() for row in rows]
    return list(dict.fromkeys(ids))


def doubles_of(context: LegContext, rows: Sequence[Record], select: Sequence[str]) -> list[Record]:
    """Further records of Dataverse with the keys of records that were read by id."""
    spec = context.map.dataverse
    names = list(dict.fromkeys(path.split(".")[0] for path in spec.key))
    if names == [spec.id]:
        return []
    if spec.own_company is not None:
        names.append(spec.own_company)
    conditions = [{name: row.get(name) for name in names} for row in rows]
    asked = [condition for condition in conditions if None not in condition.values()]
    same_keys = context.runtime.systems.dataverse.read_keys(spec.set, asked, select=select) if asked else []
    ids = {row[spec.id] for row in rows}
    return [row for row in same_keys if row[spec.id] not in ids]


def chosen_keys(context: LegContext, base: UPath | None) -> dict[str, ChosenKey]:
    """Keys of the rows chosen for a transfer that reads Finance, by their join key.

    Args:
        context: The transfer.
        base: Where keys are looked up of rows that were chosen by record id.
    """
    leg, schema = context.leg, context.runtime.schema
    parts: dict[str, tuple[Any, ...]] = {}
    for row in leg.rows:
        if row.key:
            key = read_key(leg.map, schema, row.key)
            parts[key.join_key] = key.parts
    ids = [row.record_id.lower() for row in leg.rows if row.record_id and not row.key]
    for based in _based(context, base, ids=ids) if ids else ():
        parts[based["join_key"]] = tuple(based[agreed("finance", name)] for name in leg.map.finance.key)
    return {
        join_key: ChosenKey(values, finance_key(leg.map, schema, leg.company, values))
        for join_key, values in parts.items()
    }


def chosen_targets(context: LegContext, base: UPath | None, select: Sequence[str]) -> list[Record] | None:
    """The records of Dataverse that stand under the chosen keys; None where they cannot be asked for singly.

    Args:
        context: The transfer.
        base: The base that knows their record ids.
        select: The columns to read.
    """
    keys = chosen_keys(context, base)
    if len(keys) > BY_KEY:
        return None
    runtime, spec = context.runtime, context.map.dataverse
    parents = Parents(runtime, context.company)
    area: Record = {}
    if spec.own_company is not None:
        area = {spec.own_company: runtime.company_ids[context.company]}
    asked: list[Record] = []
    for key in keys.values():
        conditions = dataverse_conditions(runtime, context.map, context.company, key.parts, parents)
        if conditions is None:
            return None
        asked += [condition | area for condition in conditions]
    ids = [row["id"] for row in _based(context, base, join_keys=list(keys)) if row["id"]]
    dataverse = runtime.systems.dataverse
    rows = dataverse.read_ids(spec.set, ids, select=select) if ids else []
    rows += dataverse.read_keys(spec.set, asked, select=select) if asked else []
    return list({row[spec.id]: row for row in rows}.values())


def _based(
    context: LegContext,
    base: UPath | None,
    *,
    keys: Sequence[str] = (),
    ids: Sequence[str] = (),
    join_keys: Sequence[str] = (),
) -> list[Record]:
    """Rows of the base by key as people write it, by record id, or by join key."""
    columns = ", ".join(
        ["id", "key", "join_key", *(quoted(agreed("finance", name)) for name in context.map.finance.key)]
    )
    with Sets() as sets:
        open_base(sets, context.columns, base)
        folded = [key.casefold() for key in keys]
        for name, values in (("keys", folded), ("ids", ids), ("join_keys", join_keys)):
            sets.table(f"asked_{name}", pa.table({"asked": pa.array(values, type=pa.string())}))
        rows: list[Record] = sets.fetch(
            f"SELECT {columns} FROM base WHERE lower(key) IN (SELECT asked FROM asked_keys) "
            "OR id IN (SELECT asked FROM asked_ids) OR join_key IN (SELECT asked FROM asked_join_keys)"
        ).to_pylist()
    return rows
