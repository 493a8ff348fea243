"""One night: its folder, companies and moment, and a runtime whose maps know each other by what was read tonight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from upath import UPath

from dualsync.mapping import Direction, Side, TableMap
from dualsync.nightly.reading import Read, Reader
from dualsync.sync.legs.folders import LegFolder, safe_name
from dualsync.sync.legs.leg import Leg, RunRef
from dualsync.sync.legs.runtime import Runtime
from dualsync.sync.plan.vocabulary import GLOBAL, Phase

JOB = "nightly_reconciliation"
"""Name of the job in the ledger, and of the DAG."""


@dataclass(frozen=True, slots=True)
class NightRef:
    """A night as its tasks know it; small enough to travel through XCom.

    Attributes:
        run: The run it is; its mode is always audit.
        controls: Ids of the controls that are asked.
        moment: When it began, by the clock of Dataverse, ISO.
        period: First day of the fiscal period that a close pack is made of, ISO; empty without.
        quality: Whether the suites of the maps are asked too.
    """

    run: RunRef
    controls: tuple[str, ...]
    moment: str
    period: str = ""
    quality: bool = False

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {**{name.name: getattr(self, name.name) for name in fields(self)}, "run": self.run.to_dict()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> NightRef:
        """From what :meth:`to_dict` gave."""
        return cls(**{**data, "run": RunRef.from_dict(data["run"]), "controls": tuple(data["controls"])})

    @property
    def folder(self) -> UPath:
        """The night's folder."""
        return UPath(self.run.folder)

    @property
    def began(self) -> datetime:
        """When it began, by the clock of Dataverse."""
        return datetime.fromisoformat(self.moment)

    def settled(self, window: timedelta) -> datetime:
        """The moment since which a row must have been left alone to be judged."""
        return self.began - window


class NightRuntime(Runtime):
    """A runtime in which lookups resolve through tonight's rows instead of the bases of earlier runs.

    So both sides are compared as they are, also where another integration than this one keeps them in step and there
    are no bases at all.
    """

    def __init__(self, runtime: Runtime, night: NightRef) -> None:
        super().__init__(
            runtime.settings, runtime.catalog, runtime.schema, runtime.ledger, open_systems=lambda _: runtime.systems
        )
        self._outer = runtime
        self.night = night

    @cached_property
    def company_ids(self) -> dict[str, str]:
        """As the runtime it stands on knows them."""
        return self._outer.company_ids

    @property
    def today(self) -> date:
        """The day on which the night began, in the configured time zone."""
        return self.night.began.astimezone(ZoneInfo(self.settings.time_zone)).date()

    @property
    def companies(self) -> Sequence[str]:
        """The companies of the night."""
        return self.night.run.companies

    def reader(self) -> Reader:
        """Reads, and finds what was read."""
        return Reader(self, self.night.folder / "raw", self.companies)

    def read(self, side: Side, place: str) -> Read | None:
        """What was read of a table or set."""
        return self.reader().known(side, place)

    def side_path(self, table_map: TableMap | str, company: str, name: str) -> UPath:
        """A file of the comparison of a map for a company."""
        map_name = table_map if isinstance(table_map, str) else table_map.map
        return self.night.folder / "sides" / safe_name(map_name) / safe_name(company) / name

    def base_path(self, map_name: str, company: str) -> UPath | None:
        """Tonight's rows of a map instead of its base."""
        path = self.side_path(map_name, company, "dataverse.parquet")
        return path if path.exists() else None

    def agreed_paths(self, table_map: TableMap, company: str) -> list[UPath]:
        """The bases themselves: the last state both sides agreed on, where this installation keeps them in step."""
        found = [self._outer.base_path(name, company) for name in self.parts(table_map)]
        return [path for path in found if path is not None]

    def parts(self, table_map: TableMap) -> tuple[str, ...]:
        """The maps whose legs carry the rows of a map as it stands in its file: itself and its parts."""
        parts = [name for name in self.catalog.parts(table_map.map) if not self.catalog[name].sends_trigger]
        return (table_map.map, *parts)

    def side_leg(self, table_map: TableMap, direction: Direction, company: str) -> Leg:
        """A leg that only serves to bring rows into the other side's form."""
        folder = LegFolder(self.side_path(table_map, company, direction), 1)
        return Leg(self.night.run, table_map, direction, company, Phase.UPSERTS, folder)

    def close(self) -> None:
        """The runtime it stands on closes what it opened."""


__all__ = ["GLOBAL", "JOB", "NightRef", "NightRuntime"]
