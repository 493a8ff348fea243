"""All table maps together: loading, overrides, what each map needs, and the order that follows from it."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path

from dualsync.errors import MapErrors
from dualsync.mapping.loader import read_map
from dualsync.mapping.model import TableMap, UnitLines
from dualsync.mapping.parts import split
from dualsync.mapping.places import Loc, dotted
from dualsync.mapping.spelling import nearest

MAPS_FOLDER = Path(__file__).resolve().parent.parent / "maps"
REFERENCE = "reference"
"""The area of the small maps that only serve as parents of others."""

LEGAL_ENTITIES = "legal_entities"
"""The map every map with a company column of its own needs: the company lookup resolves through it."""

_read: dict[Path, tuple[int, int, TableMap]] = {}


class Catalog(Mapping[str, TableMap]):
    """The table maps by name, parts of maps among them. Build it with :meth:`load`, or from maps already read.

    Args:
        maps: The maps as read; a later one replaces an earlier one of the same name.

    Attributes:
        maps: All that runs by itself: each map with the rows that are left to it, and each part.
        files: The maps as they stand in their files, without parts of their own.

    Raises:
        MapErrors: A map names a map that does not exist, a part has the name of a map, or maps need each other in a
            circle.
    """

    def __init__(self, maps: Iterable[TableMap]) -> None:
        self.files: dict[str, TableMap] = dict(sorted({table_map.map: table_map for table_map in maps}.items()))
        made = [one for table_map in self.files.values() for one in split(table_map)]
        self.maps: dict[str, TableMap] = {one.map: one for one in sorted(made, key=lambda one: one.map)}
        names = Counter(one.map for one in made)
        problems = [
            f"{one.path}:1: the part {one.part_of.part} of {one.part_of.map} has the name of another map: {one.map}"
            for one in made
            if one.part_of is not None and names[one.map] > 1
        ]
        problems += self._unknown_names()
        if not problems and (circle := self._circle()):
            problems.append(f"{self.maps[circle[0]].path}:1: maps need each other in a circle: {' -> '.join(circle)}")
        if problems:
            raise MapErrors(problems)

    @classmethod
    def load(cls, extra_dir: Path | None = None) -> Catalog:
        """Read the maps of the package, then those of an overrides folder.

        A file is read again only when its modification time or size has changed.

        Args:
            extra_dir: Folder with further YAML files; one replaces the package's map of the same name or adds a map.

        Raises:
            MapErrors: Everything wrong in any file, or two files of one folder holding the same map.
        """
        problems: list[str] = []
        found: dict[str, TableMap] = {}
        for folder in (MAPS_FOLDER, extra_dir):
            if folder is None:
                continue
            here: dict[str, TableMap] = {}
            for file in sorted(folder.rglob("*.yaml")):
                try:
                    table_map = _read_cached(file)
                except MapErrors as error:
                    problems += error.problems
                    continue
                if (twin := here.get(table_map.map)) is not None:
                    line = table_map.line("map")
                    problems.append(f"{file}:{line}: map: '{table_map.map}' is already in {twin.path}")
                here[table_map.map] = table_map
            found |= here
        if problems:
            raise MapErrors(problems)
        return cls(found.values())

    def __getitem__(self, name: str) -> TableMap:
        try:
            return self.maps[name]
        except KeyError:
            raise KeyError(f"no table map '{name}'{nearest(name, self.maps)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.maps)

    def __len__(self) -> int:
        return len(self.maps)

    def __contains__(self, name: object) -> bool:
        return name in self.maps

    def needs(self, name: str) -> tuple[str, ...]:
        """Maps that must have run before the given one, sorted.

        They are the maps its lookups name (not itself, and not those whose place another need already settles), those
        after ``after``, and legal entities where the table itself holds the company lookup.
        """
        return self._needs[self[name].map]

    def parts(self, name: str) -> tuple[str, ...]:
        """Names of the parts of a map, sorted."""
        return tuple(part for part, one in self.maps.items() if one.part_of is not None and one.part_of.map == name)

    def headers(self, name: str) -> tuple[TableMap, ...]:
        """The maps of whose units the given map holds lines."""
        return tuple(one for one in self.files.values() if one.unit is not None and name in one.unit.maps)

    def children(self, name: str) -> tuple[str, ...]:
        """Maps that need the given one directly, sorted."""
        parent = self[name].map
        return tuple(child for child, needed in self._needs.items() if parent in needed)

    def ancestors(self, name: str) -> frozenset[str]:
        """All maps the given one needs, directly or through others."""
        found: set[str] = set()
        waiting = list(self.needs(name))
        while waiting:
            parent = waiting.pop()
            if parent not in found:
                found.add(parent)
                waiting += self.needs(parent)
        return frozenset(found)

    def order(self, names: Iterable[str] | None = None) -> list[str]:
        """The named maps (all where None), parents first; among those that could come next, by name."""
        chosen = set(self.maps if names is None else (self[name].map for name in names))
        # needs through maps that were not chosen still decide the order among the chosen ones
        open_needs = {name: set(self.ancestors(name)) & chosen for name in chosen}
        ready = sorted(name for name, needed in open_needs.items() if not needed)
        ordered: list[str] = []
        heapq.heapify(ready)
        while ready:
            name = heapq.heappop(ready)
            ordered.append(name)
            for child, needed in open_needs.items():
                if name in needed:
                    needed.remove(name)
                    if not needed:
                        heapq.heappush(ready, child)
        return ordered

    @property
    def enabled(self) -> tuple[str, ...]:
        """Names of the maps that are switched on."""
        return tuple(name for name, table_map in self.maps.items() if table_map.enabled)

    def area(self, area: str) -> list[str]:
        """Names of the enabled maps of an area, parents first."""
        return self.order(name for name, table_map in self.maps.items() if table_map.area == area and table_map.enabled)

    def with_reference(self, area: str) -> list[str]:
        """Names of the enabled maps of an area and of the reference maps that they or those need, parents first.

        Raises:
            MapErrors: There is no such area.
        """
        own = self.area(area)
        if not own:
            raise MapErrors([f"no area '{area}'{nearest(area, self.areas)}; there are {', '.join(self.areas)}"])
        chosen, waiting = set(own), list(own)
        while waiting:
            needs = {name for name in self.needs(waiting.pop()) if self[name].area == REFERENCE and self[name].enabled}
            waiting += needs - chosen
            chosen |= needs
        return self.order(chosen)

    @property
    def areas(self) -> tuple[str, ...]:
        """The areas that have maps, sorted."""
        return tuple(sorted({table_map.area for table_map in self.maps.values()}))

    @cached_property
    def _needs(self) -> dict[str, tuple[str, ...]]:
        return {name: tuple(sorted(self._needed_by(table_map))) for name, table_map in self.maps.items()}

    def _needed_by(self, table_map: TableMap) -> set[str]:
        needed = set(table_map.after)
        for lookup in table_map.lookups:
            if lookup.ordered_by is None:
                needed.update(lookup.maps)
        if table_map.company_is_direct:
            needed.add(LEGAL_ENTITIES)
        return needed - {table_map.map}

    def _named(self, table_map: TableMap) -> Iterator[tuple[Loc, str]]:
        """Every map a table map names, with the place where it does."""
        if table_map.excludes is not None:
            yield ("excludes",), table_map.excludes
        for position, name in enumerate(table_map.after):
            yield ("after", position), name
        for part, one in table_map.parts.items():
            yield from ((("parts", part, "after", position), name) for position, name in enumerate(one.after))
        for position, line in enumerate(table_map.unit.lines if table_map.unit is not None else ()):
            yield ("unit", "lines", position), line.map if isinstance(line, UnitLines) else line
        for position, lookup in enumerate(table_map.lookups):
            if lookup.map is not None:
                yield ("lookups", position, "map"), lookup.map
            for target, parent in (lookup.targets or {}).items():
                yield ("lookups", position, "targets", target, "map"), parent.map
            if lookup.ordered_by is not None:
                yield ("lookups", position, "ordered_by"), lookup.ordered_by
        if table_map.company_is_direct:
            yield ("dataverse", "company"), LEGAL_ENTITIES

    def _unknown_names(self) -> Iterator[str]:
        for table_map in self.files.values():
            for loc, name in self._named(table_map):
                if name not in self.maps:
                    place = f"{table_map.path}:{table_map.line(*loc)}: {dotted(loc)}"
                    yield f"{place}: no table map '{name}'{nearest(name, self.maps)}"

    def _circle(self) -> list[str]:
        """One circle of needs, first name repeated at the end, or an empty list."""
        done: set[str] = set()

        def walk(name: str, trail: list[str]) -> list[str]:
            if name in trail:
                return [*trail[trail.index(name) :], name]
            if name in done:
                return []
            for parent in self._needs[name]:
                if circle := walk(parent, [*trail, name]):
                    return circle
            done.add(name)
            return []

        return next((circle for name in self.maps if (circle := walk(name, []))), [])


def _read_cached(file: Path) -> TableMap:
    """``read_map``, remembered by path, modification time and size."""
    status = file.stat()
    known = _read.get(file)
    if known is None or known[:2] != (status.st_mtime_ns, status.st_size):
        known = (status.st_mtime_ns, status.st_size, read_map(file, _shown(file)))
        _read[file] = known
    return known[2]


def _shown(file: Path) -> Path:
    """How errors name a file: maps of the package from ``maps/`` on, others by their path."""
    return file.relative_to(MAPS_FOLDER.parent) if file.is_relative_to(MAPS_FOLDER) else file
