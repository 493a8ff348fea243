"""All table maps together: loading, overrides, what each map needs, and the order that follows from it."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from dualsync.errors import MapErrors, UnknownName
from dualsync.mapping.loader import read_map
from dualsync.mapping.model import TableMap, UnitLines
from dualsync.mapping.parts import split
from dualsync.mapping.places import Loc, dotted
from dualsync.spelling import nearest

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
        runnable: What runs by itself, by name: each map with the rows that its parts leave to it, and each part.
        declared: The maps as their files declare them, by name; parts are not among them.

    Raises:
        MapErrors: A map names a map that does not exist, a part has the name of a map, or maps need each other in a
            circle.
    """

    def __init__(self, maps: Iterable[TableMap]) -> None:
        self.declared: dict[str, TableMap] = dict(sorted({table_map.map: table_map for table_map in maps}.items()))
        runnable = [part for table_map in self.declared.values() for part in split(table_map)]
        runnable.sort(key=lambda table_map: table_map.map)
        self.runnable: dict[str, TableMap] = {table_map.map: table_map for table_map in runnable}
        names = Counter(table_map.map for table_map in runnable)
        problems = [
            f"{part.path}:1: the part {part.part_of.part} of {part.part_of.map} has the name of another map: {part.map}"
            for part in runnable
            if part.part_of is not None and names[part.map] > 1
        ]
        problems += self._unknown_names()
        if not problems and (circle := self._circle()):
            path = self.runnable[circle[0]].path
            problems.append(f"{path}:1: maps need each other in a circle: {' -> '.join(circle)}")
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
        table_maps: dict[str, TableMap] = {}
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
            table_maps |= here
        if problems:
            raise MapErrors(problems)
        return cls(table_maps.values())

    def __getitem__(self, name: str) -> TableMap:
        try:
            return self.runnable[name]
        except KeyError:
            raise KeyError(f"no table map '{name}'{nearest(name, self.runnable)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.runnable)

    def __len__(self) -> int:
        return len(self.runnable)

    def __contains__(self, name: object) -> bool:
        return name in self.runnable

    def needs(self, name: str) -> tuple[str, ...]:
        """Maps that must have run before the given one, sorted.

        They are the maps its lookups name (not itself, and not those whose place another need already settles), those
        after ``after``, and legal entities where the table itself holds the company lookup.
        """
        return self._needs[self[name].map]

    def parts(self, name: str) -> tuple[str, ...]:
        """Names of the parts of a map, sorted."""
        return tuple(
            part
            for part, table_map in self.runnable.items()
            if table_map.part_of is not None and table_map.part_of.map == name
        )

    def headers(self, name: str) -> tuple[TableMap, ...]:
        """The maps of the headers whose lines travel by the given map."""
        return tuple(
            header for header in self.declared.values() if header.unit is not None and name in header.unit.maps
        )

    def children(self, name: str) -> tuple[str, ...]:
        """Maps that need the given one directly, sorted."""
        parent = self[name].map
        return tuple(child for child, needed in self._needs.items() if parent in needed)

    def ancestors(self, name: str) -> frozenset[str]:
        """All maps the given one needs, directly or through others."""
        ancestors: set[str] = set()
        waiting = list(self.needs(name))
        while waiting:
            parent = waiting.pop()
            if parent not in ancestors:
                ancestors.add(parent)
                waiting += self.needs(parent)
        return frozenset(ancestors)

    def order(self, names: Iterable[str] | None = None) -> list[str]:
        """The named maps (all where None), parents first; among those that could come next, by name."""
        chosen = set(self.runnable if names is None else (self[name].map for name in names))
        # needs through maps that were not chosen still decide the order among the chosen ones
        sorter = TopologicalSorter({name: self.ancestors(name) & chosen for name in chosen})
        sorter.prepare()
        ready = list(sorter.get_ready())
        heapq.heapify(ready)
        ordered: list[str] = []
        while ready:
            name = heapq.heappop(ready)
            ordered.append(name)
            sorter.done(name)
            for child in sorter.get_ready():
                heapq.heappush(ready, child)
        return ordered

    @property
    def enabled(self) -> tuple[str, ...]:
        """Names of the maps that are switched on."""
        return tuple(name for name, table_map in self.runnable.items() if table_map.enabled)

    def area(self, area: str) -> list[str]:
        """Names of the enabled maps of an area, parents first."""
        return self.order(
            name for name, table_map in self.runnable.items() if table_map.area == area and table_map.enabled
        )

    def with_reference(self, area: str) -> list[str]:
        """Names of the enabled maps of an area and of the reference maps that they or those need, parents first.

        Raises:
            UnknownName: There is no such area.
        """
        own = self.area(area)
        if not own:
            raise UnknownName([f"no area '{area}'{nearest(area, self.areas)}; there are {', '.join(self.areas)}"])
        chosen, waiting = set(own), list(own)
        while waiting:
            needs = {name for name in self.needs(waiting.pop()) if self[name].area == REFERENCE and self[name].enabled}
            waiting += needs - chosen
            chosen |= needs
        return self.order(chosen)

    @property
    def areas(self) -> tuple[str, ...]:
        """The areas that have maps, sorted."""
        return tuple(sorted({table_map.area for table_map in self.runnable.values()}))

    def company_path(self, table_map: TableMap) -> tuple[tuple[tuple[str, TableMap], ...], str]:
        """How a row of a map with companies leads to its company.

        Returns:
            The lookups to follow, each with the map of the parent it leads to, and the lookup to the company that the
            last of these tables holds (the map's own where there are none).
        """
        *lookups, company, _ = str(table_map.dataverse.company).split(".")
        steps: list[tuple[str, TableMap]] = []
        for lookup in lookups:
            table_map = self[table_map.lookup(lookup).maps[0]]
            steps.append((lookup, table_map))
        return tuple(steps), company

    @cached_property
    def _needs(self) -> dict[str, tuple[str, ...]]:
        return {name: tuple(sorted(self._needed_by(table_map))) for name, table_map in self.runnable.items()}

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
        for name, part in table_map.parts.items():
            yield from ((("parts", name, "after", position), other) for position, other in enumerate(part.after))
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
        for table_map in self.declared.values():
            for loc, name in self._named(table_map):
                if name not in self.runnable:
                    place = f"{table_map.path}:{table_map.line(*loc)}: {dotted(loc)}"
                    yield f"{place}: no table map '{name}'{nearest(name, self.runnable)}"

    def _circle(self) -> list[str]:
        """One circle of needs, from the first of its names back to it, or an empty list."""
        try:
            TopologicalSorter(self._needs).prepare()
        except CycleError as error:
            names: list[str] = error.args[1][:0:-1]  # needed maps stand first there
            start = names.index(min(names))
            return [*names[start:], *names[:start], names[start]]
        return []


def _read_cached(file: Path) -> TableMap:
    """``read_map``, remembered by path, modification time and size."""
    status = file.stat()
    cached = _read.get(file)
    if cached is None or cached[:2] != (status.st_mtime_ns, status.st_size):
        cached = (status.st_mtime_ns, status.st_size, read_map(file, _shown(file)))
        _read[file] = cached
    return cached[2]


def _shown(file: Path) -> Path:
    """How errors name a file: maps of the package from ``maps/`` on, others by their path."""
    return file.relative_to(MAPS_FOLDER.parent) if file.is_relative_to(MAPS_FOLDER) else file
