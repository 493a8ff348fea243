"""What every step needs at hand: settings, maps, schema, ledger, and the two systems, opened when first used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from importlib.metadata import version
from threading import Lock
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from upath import UPath

from dualsync.errors import SettingsError
from dualsync.ledger import Ledger
from dualsync.mapping import Catalog, Direction, Schema, TableMap
from dualsync.settings import Settings
from dualsync.sync.legs.folders import DELETES, ROWS, LegFolder, current_attempt, safe_name
from dualsync.systems import Systems, open_systems

GLOBAL = "_global"
"""The company of legs whose map knows no companies."""

MODES = ("incremental", "full", "audit")
"""incremental: what changed. full: everything. audit: everything, writing nothing and tracking nothing."""


@dataclass(frozen=True, slots=True)
class RowRef:
    """One row of one leg, chosen by a person.

    Attributes:
        map: The map.
        direction: The direction.
        company: The company of the leg.
        key: The integration key as people write it; of a deletion, the ``join_key`` it is noted under.
        record_id: The Dataverse record id. One of the two is enough.
        part: The part of the leg.
    """

    map: str
    direction: str
    company: str
    key: str = ""
    record_id: str | None = None
    part: str = ROWS


@dataclass(frozen=True, slots=True)
class RunRef:
    """A run as its steps know it; small enough to travel through XCom.

    Attributes:
        run_id: Identity of the run.
        area: The area or job it belongs to.
        mode: One of :data:`MODES`.
        dry_run: Whether nothing may be written to either system.
        folder: The run's folder, as a URL.
        companies: Codes of the integrated companies it covers.
        maps: Names of the maps it covers, in order.
        keys: Only these integration keys, by map; empty for all.
        guards: Whether the guards hold legs that would change too much.
        rows: Exactly these rows, each read anew from both sides; empty for what a run finds by itself.
        resend: Whether columns are sent again from the side that owns them although that side did not change them.
        approved: A run whose plans a person approved: what is not planned just so again is left out.
        by: Who asked for it, where it was a person.
    """

    run_id: str
    area: str
    mode: str
    dry_run: bool
    folder: str
    companies: tuple[str, ...]
    maps: tuple[str, ...]
    keys: dict[str, list[str]] = field(default_factory=dict)
    guards: bool = True
    rows: tuple[RowRef, ...] = ()
    resend: bool = False
    approved: str = ""
    by: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> RunRef:
        """From what :meth:`to_dict` gave."""
        rows = tuple(RowRef(**row) for row in data.get("rows", ()))
        return cls(**{**data, "companies": tuple(data["companies"]), "maps": tuple(data["maps"]), "rows": rows})

    @property
    def partial(self) -> bool:
        """Whether it looks at chosen rows only, so that it knows nothing of all others."""
        return bool(self.keys or self.rows)

    def covers(self, map_name: str, direction: str, company: str, part: str = ROWS) -> bool:
        """Whether a leg belongs to it; a run of chosen rows has only the legs of these."""
        mine = (map_name, direction, company, part)
        return not self.rows or any((row.map, row.direction, row.company, row.part) == mine for row in self.rows)

    @property
    def writes(self) -> bool:
        """Whether this run may write to a system or move any state."""
        return not self.dry_run and self.mode != "audit"


@dataclass(frozen=True, slots=True)
class Leg:
    """One table map, one direction, one company, one run."""

    run: RunRef
    map: TableMap
    direction: Direction
    company: str
    part: str
    folder: LegFolder

    @property
    def source(self) -> str:
        """The side this leg reads its changes from."""
        return "dataverse" if self.direction == "to_finance" else "finance"

    @property
    def target(self) -> str:
        """The side this leg writes."""
        return "finance" if self.direction == "to_finance" else "dataverse"

    @property
    def rows(self) -> tuple[RowRef, ...]:
        """The rows of this leg that were chosen; none where the run looks for itself."""
        mine = (self.map.map, self.direction, self.company, self.part)
        return tuple(row for row in self.run.rows if (row.map, row.direction, row.company, row.part) == mine)

    @property
    def label(self) -> str:
        """The leg as it is named in messages."""
        return f"{self.map.map} {self.direction} of {self.company}"


class Runtime:
    """Settings, maps, ledger and systems for the length of a step or a command. Use as a context manager."""

    def __init__(self, settings: Settings, catalog: Catalog, schema: Schema, ledger: Ledger) -> None:
        self.settings = settings
        self.catalog = catalog
        self.schema = schema
        self.ledger = ledger
        self._systems: Systems | None = None
        self._opening = Lock()

    @classmethod
    def open(cls, settings: Settings | None = None) -> Runtime:
        """Open everything that needs no network.

        Raises:
            SettingsError: A setting is missing or wrong.
            MapErrors: A table map cannot be read.
        """
        settings = settings or Settings.load()
        overrides = settings.home / "maps"
        catalog = Catalog.load(overrides if overrides.is_dir() else None)
        return cls(settings, catalog, Schema.load(), Ledger.open(settings.ledger_url))

    @property
    def systems(self) -> Systems:
        """The two systems, signed in when first spoken to; threads that ask at the same time get the same ones."""
        with self._opening:
            if self._systems is None:
                self._systems = open_systems(self.settings)
            return self._systems

    @cached_property
    def package_version(self) -> str:
        """Version of this package, as written into every run."""
        return version("dualsync")

    @cached_property
    def company_ids(self) -> dict[str, str]:
        """Record id of each company in Dataverse, by its code in capitals."""
        codes: dict[str, str] = {}
        for page in self.systems.dataverse.read("cdm_companies", select=["cdm_companyid", "cdm_companycode"]):
            for row in page:
                if row.get("cdm_companycode"):
                    codes[str(row["cdm_companycode"]).upper()] = str(row["cdm_companyid"])
        return codes

    def runs_folder(self) -> UPath:
        """Where run folders lie."""
        return UPath(self.settings.runs_url)

    def base_path(self, map_name: str, company: str) -> UPath | None:
        """The file of a map's current base for a company, None while there is none."""
        record = self.ledger.base(map_name, company)
        return UPath(record.path) if record else None

    def new_base_path(self, map_name: str, company: str, generation: int) -> UPath:
        """Where a new generation is written: a name that was never given before, so that no file is written twice."""
        folder = UPath(self.settings.state_url) / safe_name(map_name) / safe_name(company)
        return folder / f"{generation:08d}-{uuid4().hex[:12]}.parquet"

    def companies_for(self, table_map: TableMap, companies: Sequence[str]) -> tuple[str, ...]:
        """The companies a map's legs have among ``companies``."""
        if table_map.scope == "global":
            return (GLOBAL,)
        return tuple(c for c in companies if c != GLOBAL)

    def check_companies(self, companies: Sequence[str] | None) -> tuple[str, ...]:
        """The companies of a run, refused where one is not integrated.

        Raises:
            SettingsError: A company is not among the integrated ones.
        """
        known = tuple(c.upper() for c in self.settings.companies)
        if not companies:
            return known
        wanted = tuple(dict.fromkeys(c.upper() for c in companies))
        for company in wanted:
            if company not in known:
                raise SettingsError(
                    f"company {company} is not integrated; integrated are {', '.join(known)} "
                    "(setting `companies`, environment DUALSYNC_COMPANIES)"
                )
        return wanted

    def leg(self, run: RunRef, map_name: str, direction: Direction, company: str, part: str = "rows") -> Leg:
        """A leg at its current attempt."""
        segment = direction if part != DELETES else f"{direction}.{DELETES}"
        folder = UPath(run.folder) / safe_name(map_name) / segment / safe_name(company)
        return Leg(run, self.catalog[map_name], direction, company, part, current_attempt(folder))

    def close(self) -> None:
        """Give back connections."""
        if self._systems is not None:
            self._systems.close()
        self.ledger.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
