"""The maps that follow from one file: the map itself and its parts.

A part has a name of its own (``<map>_<part>``), transfers and a base of its own, and no file. Parts that a map declares
take the rows that match their filters; the map keeps the rows that none of them takes. A document with a trigger has a
part that sends nothing but the trigger, after all lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dualsync.mapping.model import Field, Lookup, Part, PartOf, TableMap
from dualsync.mapping.words import TRIGGER


def part_name(map_name: str, part: str) -> str:
    """The name of a part, which serves as a task group, a file name and an argument too."""
    return f"{map_name}_{part}"


def split(table_map: TableMap) -> Iterator[TableMap]:
    """The maps that a file stands for: the map with the rows that are left to it, then its parts."""
    yield _remainder(table_map) if table_map.parts else table_map
    for name, part in table_map.parts.items():
        yield _part(table_map, name, part)
    if table_map.trigger is not None:
        yield _trigger(table_map, table_map.trigger)


def _remainder(table_map: TableMap) -> TableMap:
    """The map with the rows that no part takes."""
    filters = [part.filter for part in table_map.parts.values()]
    return _filtered(
        table_map,
        dataverse=[f"not ({condition.dataverse})" for condition in filters],
        finance=[f"not ({condition.finance})" for condition in filters if condition.finance],
        pairs=[pair for pair in table_map.pairs if pair.part is None],
    )


def _part(table_map: TableMap, name: str, part: Part) -> TableMap:
    """A part of a map: the rows that its filter takes, under a name of its own."""
    rows = _filtered(
        table_map,
        dataverse=[part.filter.dataverse],
        finance=[part.filter.finance] if part.filter.finance else [],
        pairs=[pair for pair in table_map.pairs if pair.part in (None, name)],
    )
    words = {
        "map": part_name(table_map.map, name),
        "title": f"{table_map.title}: {name.replace('_', ' ')}",
        "area": part.area,
        "after": (*table_map.after, *part.after),
    }
    return rows.model_copy(update=words).as_part(PartOf(table_map.map, name))


def _filtered(
    table_map: TableMap, *, dataverse: list[str], finance: list[str], pairs: list[Field | Lookup]
) -> TableMap:
    """The map with fewer rows and pairs."""
    unclear = table_map.dataverse.quarantine_when
    return table_map.model_copy(
        update={
            "parts": {},
            "dataverse": table_map.dataverse.model_copy(
                update={
                    "filter": _all([table_map.dataverse.filter, *dataverse]),
                    "quarantine_when": _all([unclear, *dataverse]) if unclear else "",
                }
            ),
            "finance": table_map.finance.model_copy(update={"filter": _all([table_map.finance.filter, *finance])}),
            "lookups": tuple(pair for pair in pairs if isinstance(pair, Lookup)),
            "fields": tuple(pair for pair in pairs if isinstance(pair, Field)),
        }
    )


def _all(conditions: Iterable[str]) -> str:
    """The condition that holds where all of them do."""
    given = [condition for condition in conditions if condition]
    return given[0] if len(given) == 1 else " and ".join(f"({condition})" for condition in given)


def _trigger(table_map: TableMap, trigger: Field) -> TableMap:
    """The part that sends the trigger: key and trigger, one way, nothing created and nothing deleted."""
    assert table_map.unit is not None
    keys = {path.split(".")[0] for path in table_map.dataverse.key}
    keep = [lookup for lookup in table_map.lookups if lookup.dataverse in {*keys, table_map.dataverse.company_lookup}]
    key_fields = [
        field for field in table_map.fields if field.dataverse in keys and field.finance in table_map.finance.key
    ]
    way = {"way": trigger.way}
    words = {
        "map": part_name(table_map.map, TRIGGER),
        "title": f"{table_map.title}: {TRIGGER}",
        "rows": table_map.rows.model_copy(update={"deleted_by": "nobody", "leaves": "keep"}),
        "dataverse": table_map.dataverse.model_copy(update={"quarantine_when": ""}),
        "after": (*table_map.after, table_map.map, *table_map.unit.maps),
        "lookups": tuple(lookup.model_copy(update=way) for lookup in keep),
        "fields": (*(field.model_copy(update=way) for field in key_fields), trigger),
        "rules": (),
    }
    return table_map.model_copy(update=words).as_part(PartOf(table_map.map, TRIGGER))
