"""A run and its transfers as the steps know them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import msgspec

from dualsync.mapping import TableMap
from dualsync.sides import Direction, Side, receiver, sender
from dualsync.sync.legs.folders import LegFolder
from dualsync.sync.legs.markers import Stored, read_stored
from dualsync.sync.legs.spec import All, Approved, Keys, Normal, Policy, Resend, RowRef, Rows, RunSpec, Selection
from dualsync.sync.plan.vocabulary import Phase, RunMode


class StoredRun(Stored, frozen=True, kw_only=True):
    """A run as ``run.json`` and XCom hold it: flat, as every version so far wrote it.

    Attributes:
        run_id: Its identity.
        area: The area or job it belongs to.
        mode: The mode it was started in.
        dry_run: Whether nothing may be written to either system.
        folder: Its folder, as a URL.
        companies: Codes of the companies it covers.
        maps: Names of the maps it covers, in order.
        keys: Only these integration keys, by map; empty for all.
        guards: Whether guards stop transfers that would change too much.
        rows: Exactly these rows; empty for what it finds by itself.
        resend: Whether columns are sent again from the side that owns them.
        approved: The run whose plan a person approved; empty for none.
        by: Who asked for it.
    """

    run_id: str
    area: str
    mode: str
    dry_run: bool
    folder: str
    companies: tuple[str, ...]
    maps: tuple[str, ...]
    keys: dict[str, list[str]] = msgspec.field(default_factory=dict)
    guards: bool = True
    rows: tuple[RowRef, ...] = ()
    resend: bool = False
    approved: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class RunRef:
    """A run as its steps know it; small enough to travel through XCom.

    Attributes:
        run_id: Identity of the run.
        folder: The run's folder, as a URL.
        spec: What it was asked to do, with the companies and maps that this came to.
    """

    run_id: str
    folder: str
    spec: RunSpec

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return StoredRun(
            run_id=self.run_id,
            area=self.area,
            mode=str(self.mode),
            dry_run=self.dry_run,
            folder=self.folder,
            companies=self.companies,
            maps=self.maps,
            keys=self.keys,
            guards=self.spec.guards,
            rows=self.rows,
            resend=self.resend,
            approved=self.approved,
            by=self.by,
        ).content()

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """From what :meth:`to_dict` of this or an earlier release gave.

        Raises:
            UnknownVersion: A later release wrote it, or it is no run.
        """
        stored = read_stored(data, StoredRun, f"run {data.get('run_id', 'without a name')}")
        spec = RunSpec(
            area=stored.area,
            selection=_selection(stored),
            mode=stored.mode,
            policy=_policy(stored),
            companies=stored.companies,
            maps=stored.maps,
            dry_run=stored.dry_run,
            guards=stored.guards,
            by=stored.by,
            run_id=stored.run_id,
        )
        return cls(stored.run_id, stored.folder, spec)

    @property
    def area(self) -> str:
        """The area or job it belongs to."""
        return self.spec.area

    @property
    def mode(self) -> str:
        """The mode it was started in."""
        return self.spec.mode

    @property
    def dry_run(self) -> bool:
        """Whether nothing may be written to either system."""
        return self.spec.dry_run

    @property
    def companies(self) -> tuple[str, ...]:
        """Codes of the integrated companies it covers."""
        return tuple(self.spec.companies)

    @property
    def maps(self) -> tuple[str, ...]:
        """Names of the maps it covers, in order."""
        return tuple(self.spec.maps)

    @property
    def by(self) -> str:
        """Who asked for it, where it was a person."""
        return self.spec.by

    @property
    def guards(self) -> bool:
        """Whether guards stop transfers that would change too much."""
        return self.spec.guards

    @property
    def keys(self) -> dict[str, list[str]]:
        """Only these integration keys, by map; empty for all."""
        selection = self.spec.selection
        return {name: list(keys) for name, keys in selection.by_map.items()} if isinstance(selection, Keys) else {}

    @property
    def rows(self) -> tuple[RowRef, ...]:
        """Exactly these rows; empty for what it finds by itself."""
        return self.spec.selection.rows if isinstance(self.spec.selection, Rows) else ()

    @property
    def resend(self) -> bool:
        """Whether columns are sent again from the side that owns them although that side did not change them."""
        return isinstance(self.spec.policy, Resend)

    @property
    def approved(self) -> str:
        """A run whose plans a person approved: what is not planned just so again is left out. Empty for none."""
        return self.spec.approved

    @property
    def partial(self) -> bool:
        """Whether it looks at chosen rows only, so that it knows nothing of all others."""
        return not isinstance(self.spec.selection, All)

    @property
    def writes(self) -> bool:
        """Whether this run may write to a system or move any state."""
        return not self.dry_run and self.mode != RunMode.AUDIT

    def covers(self, map_name: str, direction: str, company: str, phase: str = Phase.UPSERTS) -> bool:
        """Whether a transfer belongs to it; a run of chosen rows has only the transfers of these."""
        return not self.rows or bool(self.rows_of(map_name, direction, company, phase))

    def rows_of(self, map_name: str, direction: str, company: str, phase: str) -> tuple[RowRef, ...]:
        """The chosen rows of one transfer."""
        place = (map_name, direction, company, phase)
        return tuple(row for row in self.rows if (row.map, row.direction, row.company, row.part) == place)


def _selection(stored: StoredRun) -> Selection:
    if stored.rows:
        return Rows(stored.rows)
    return Keys(stored.keys) if stored.keys else All()


def _policy(stored: StoredRun) -> Policy:
    if stored.resend:
        return Resend(stored.approved)
    return Approved(stored.approved) if stored.approved else Normal()


@dataclass(frozen=True, slots=True)
class Leg:
    """A transfer: one table map, one direction, one company, one phase of one run.

    Attributes:
        run: The run.
        map: The table map.
        direction: The direction.
        company: The company.
        phase: Whether it writes rows, or deletes them.
        folder: The folder of the current attempt.
    """

    run: RunRef
    map: TableMap
    direction: Direction
    company: str
    phase: str
    folder: LegFolder

    @property
    def source(self) -> Side:
        """The side it reads its changes from."""
        return sender(self.direction)

    @property
    def target(self) -> Side:
        """The side it writes."""
        return receiver(self.direction)

    @property
    def rows(self) -> tuple[RowRef, ...]:
        """The rows of it that were chosen; none where the run looks for itself."""
        return self.run.rows_of(self.map.map, self.direction, self.company, self.phase)

    @property
    def label(self) -> str:
        """The transfer as it is named in messages."""
        return f"{self.map.map} {self.direction} of {self.company}"
