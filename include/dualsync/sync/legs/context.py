"""What one step of a transfer knows, made once when the step begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self
from zoneinfo import ZoneInfo

from upath import UPath

from dualsync.mapping import TableMap
from dualsync.sync.legs.folders import LegFolder
from dualsync.sync.legs.leg import Leg, RunRef
from dualsync.sync.legs.markers import Extracted
from dualsync.sync.legs.runtime import Runtime
from dualsync.sync.plan.columns import LegColumns
from dualsync.sync.plan.live_columns import missing_columns


@dataclass(frozen=True, slots=True)
class LegContext:
    """A transfer at work.

    Attributes:
        leg: The transfer.
        runtime: Settings, maps, ledger and systems.
        columns: Its columns, without those that the live systems do not have.
        base: The base it works with, None while there is none.
        generation: The generation of that base; 0 without a base.
    """

    leg: Leg
    runtime: Runtime
    columns: LegColumns
    base: UPath | None
    generation: int

    @classmethod
    def now(cls, leg: Leg, runtime: Runtime) -> Self:
        """With the base of this moment, and the columns that the systems have now.

        Raises:
            SchemaMismatch: A live system lacks a key, company or filter column of the map.
            Transient: A system did not answer.
        """
        base = runtime.ledger.base(leg.map.map, leg.company)
        columns = LegColumns(leg.map, leg.direction, runtime.schema, missing_columns(leg.map, runtime.systems))
        path, generation = (UPath(base.path), base.generation) if base else (None, 0)
        return cls(leg, runtime, columns, path, generation)

    @classmethod
    def extracted(cls, leg: Leg, runtime: Runtime, extracted: Extracted) -> Self:
        """With base and columns as the extract step found them."""
        columns = LegColumns(leg.map, leg.direction, runtime.schema, extracted.missing)
        return cls(leg, runtime, columns, extracted.base_path, extracted.generation)

    @property
    def map(self) -> TableMap:
        """The table map."""
        return self.leg.map

    @property
    def company(self) -> str:
        """The company."""
        return self.leg.company

    @property
    def run(self) -> RunRef:
        """The run it belongs to."""
        return self.leg.run

    @property
    def folder(self) -> LegFolder:
        """The folder of this attempt."""
        return self.leg.folder

    @property
    def zone(self) -> ZoneInfo:
        """The time zone in which an instant's date is meant."""
        return ZoneInfo(self.runtime.settings.time_zone)
