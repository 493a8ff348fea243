"""What lists of table maps show, as plain data for the CLI and the pages."""

from __future__ import annotations

from collections import Counter
from typing import TypedDict

from dualsync.mapping.catalog import Catalog


class MapRow(TypedDict):
    """One map in a list.

    ``pairs`` counts lookups and fields, unpaired and constant ones too; ``evidence`` counts tags. ``part_of`` is
    the map of which it is a part, None for a map with a file of its own. ``published`` is the published dual-write map
    that it follows, and ``published_version`` which version of that; None where none is known.
    """

    map: str
    part_of: str | None
    title: str
    area: str
    scope: str
    directions: list[str]
    pairs: int
    evidence: dict[str, int]
    needs: list[str]
    enabled: bool
    published: str | None
    published_version: str | None


def maps_table(catalog: Catalog) -> list[MapRow]:
    """One row for each map, parents first; the parts of a map follow it."""
    rows: list[MapRow] = []
    declared = [name for name in catalog.order() if name in catalog.declared]
    for name in (part for whole in declared for part in (whole, *catalog.parts(whole))):
        table_map = catalog.declared.get(name) or catalog[name]
        mirrors = table_map.mirrors
        tags = Counter(tag for pair in table_map.pairs for tag in pair.evidence)
        rows.append(
            {
                "map": name,
                "part_of": table_map.part_of.map if table_map.part_of is not None else None,
                "title": table_map.title,
                "area": table_map.area,
                "scope": table_map.scope,
                "directions": list(table_map.directions),
                "pairs": len(table_map.pairs),
                "evidence": dict(sorted(tags.items())),
                "needs": list(catalog.needs(name)),
                "enabled": table_map.enabled,
                "published": mirrors.dual_write if mirrors is not None else None,
                "published_version": mirrors.version if mirrors is not None else None,
            }
        )
    return rows
