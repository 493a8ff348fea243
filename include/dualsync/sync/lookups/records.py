"""Finds single records on either side by their integration key, without reading whole tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dualsync.errors import UnknownName
from dualsync.mapping import Schema, TableMap
from dualsync.sync.legs.runtime import Runtime
from dualsync.sync.lookups.parents import Parents
from dualsync.sync.plan.values import ValueProblem, display_key, join_key, parse

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Key:
    """An integration key.

    Attributes:
        parts: Its values, in the order and the types of the Finance key.
        text: As people write it.
        join_key: The text by which the rows of both sides meet.
    """

    parts: tuple[Any, ...]
    text: str
    join_key: str


def split_key(table_map: TableMap, key: str) -> tuple[str, ...]:
    """The parts of an integration key as people write it, with bars between.

    Raises:
        UnknownName: It has not as many parts as the map's key.
    """
    parts = tuple(part.strip() for part in key.split("|"))
    names = table_map.finance.key
    if len(parts) != len(names):
        form = "|".join(names)
        raise UnknownName([f"key '{key}' has {len(parts)} part(s); the key of map {table_map.map} is {form}"])
    return parts


def read_key(table_map: TableMap, schema: Schema, text: str) -> Key:
    """The key that people wrote.

    Raises:
        UnknownName: It has not as many parts as the map's key, or one of them is not of its column's type.
    """
    columns = [schema.column("finance", table_map.finance.set, name) for name in table_map.finance.key]
    try:
        parts = [
            parse(part, column, "finance") for part, column in zip(split_key(table_map, text), columns, strict=True)
        ]
    except ValueProblem as problem:
        raise UnknownName([f"key '{text}' of map {table_map.map}: {problem}"]) from None
    return Key(tuple(parts), display_key(parts), join_key(parts) or "")


def dataverse_conditions(
    runtime: Runtime, table_map: TableMap, company: str, parts: Sequence[Any], parents: Parents
) -> list[Record] | None:
    """What to ask Dataverse for to get the records of a key; None where only a look at all of them tells."""
    conditions: list[Record] = [{}]
    for path, part in zip(table_map.dataverse.key, parts, strict=True):
        attribute, _, rest = path.partition(".")
        values = [part]
        if "." in rest:
            return None
        if rest and (lookup := table_map.lookup(attribute)).through is not None:
            values = list(parents.records_through(lookup, {join_key([part]) or "": part}).values())
        elif rest:
            values = _ids_by(runtime, runtime.catalog[table_map.lookup(attribute).maps[0]], company, rest, part)
        conditions = [condition | {attribute: value} for condition in conditions for value in values]
    return conditions


def _ids_by(runtime: Runtime, parent: TableMap, company: str, column: str, value: Any) -> list[Any]:
    """Ids of the parent records with a value in a column, of this company where they have one."""
    entity = parent.dataverse
    by = entity.own_company
    select = [entity.id, *((by,) if by else ())]
    rows = runtime.systems.dataverse.read_keys(entity.set, [{column: value}], select=select)
    own = runtime.company_ids.get(company)
    return [row[entity.id] for row in rows if by is None or row.get(by) == own]
