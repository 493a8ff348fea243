"""The needs of the table maps as text and as a Mermaid diagram."""

from __future__ import annotations

from collections.abc import Iterable

from dualsync.mapping.catalog import Catalog


def levels(catalog: Catalog, names: Iterable[str] | None = None) -> list[list[str]]:
    """The named maps (all where None) by level: those of a level need only maps of earlier ones."""
    rank: dict[str, int] = {}
    ordered = catalog.order(names)
    for name in ordered:
        rank[name] = 1 + max((rank[parent] for parent in catalog.ancestors(name) if parent in rank), default=-1)
    return [[name for name in ordered if rank[name] == level] for level in range(max(rank.values(), default=-1) + 1)]


def graph_text(catalog: Catalog, names: Iterable[str] | None = None) -> str:
    """One line for each map with its needs, level by level."""
    lines = []
    for number, level in enumerate(levels(catalog, names)):
        lines.append(f"Level {number}")
        for name in level:
            needs = ", ".join(catalog.needs(name))
            lines.append(f"  {name}{' <- ' + needs if needs else ''}")
    return "\n".join(lines)


def graph_mermaid(catalog: Catalog, names: Iterable[str] | None = None) -> str:
    """A Mermaid flowchart: an arrow from each parent to the maps that need it, areas as groups."""
    chosen = catalog.order(names)
    lines = ["flowchart LR"]
    for area in sorted({catalog[name].area for name in chosen}):
        lines.append(f"  subgraph {area}")
        lines += [f"    {name}" for name in chosen if catalog[name].area == area]
        lines.append("  end")
    lines += [f"  {parent} --> {name}" for name in chosen for parent in catalog.needs(name) if parent in chosen]
    return "\n".join(lines)
