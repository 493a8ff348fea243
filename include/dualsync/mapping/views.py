"""What lists of table maps show, as plain data for the CLI and the pages."""

from __future__ import annotations

from collections import Counter
from typing import TypedDict

from dualsync.mapping.catalog import Catalog


class MapRow(TypedDict):
    """One map in a list.

    ``pairs`` counts lookups and fields, unpaired, constant and later ones too; ``evidence`` counts tags.
    """

    map: str
    title: str
    area: str
    scope: str
    directions: list[str]
    pairs: int
    evidence: dict[str, int]
    needs: list[str]
    enabled: bool


def maps_table(catalog: Catalog) -> list[MapRow]:
    """One row for each map, parents first."""
    rows: list[MapRow] = []
    for name in catalog.order():
        table_map = catalog[name]
        tags = Counter(tag for pair in (*table_map.pairs, *table_map.later) for tag in pair.evidence)
        rows.append(
            {
                "map": name,
                "title": table_map.title,
                "area": table_map.area,
                "scope": table_map.scope,
                "directions": list(table_map.directions),
                "pairs": len(table_map.pairs) + len(table_map.later),
                "evidence": dict(sorted(tags.items())),
                "needs": list(catalog.needs(name)),
                "enabled": table_map.enabled,
            }
        )
    return rows
