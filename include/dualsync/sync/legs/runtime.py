"""What every step needs at hand: settings, maps, schema, ledger, and the two systems, opened when first used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from importlib.metadata import version
from threading import Lock
from uuid import uuid4

from upath import UPath

from dualsync.closing import Closing
from dualsync.errors import RequestError
from dualsync.ledger import Ledger
from dualsync.mapping import Catalog, Schema, TableMap
from dualsync.settings import Settings
from dualsync.sides import Direction
from dualsync.sync.legs.folders import current_attempt, read_json, safe_name
from dualsync.sync.legs.leg import Leg, RunRef
from dualsync.sync.plan.vocabulary import GLOBAL, Phase
from dualsync.systems import Systems, open_systems

RUN_FILE = "run.json"
"""The file of a run's folder that says what it was asked to do."""


class Runtime(Closing):
    """Settings, maps, ledger and systems for the length of a step or a command. Use as a context manager.

    Args:
        settings: The settings.
        catalog: The table maps.
        schema: Types of the columns of both systems.
        ledger: What runs, transfers and rows there are.
        open_systems: Opens both systems when they are first spoken to.
    """

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        schema: Schema,
        ledger: Ledger,
        open_systems: Callable[[Settings], Systems] = open_systems,
    ) -> None:
        self.settings = settings
        self.catalog = catalog
        self.schema = schema
        self.ledger = ledger
        self._open_systems = open_systems
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
                self._systems = self._open_systems(self.settings)
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

    # -- places

    def runs_folder(self) -> UPath:
        """Where run folders lie."""
        return UPath(self.settings.runs_url)

    def run_folder(self, run_id: str) -> UPath:
        """The folder of a run."""
        return self.runs_folder() / safe_name(run_id)

    def stored_run(self, run_id: str) -> RunRef | None:
        """A run as its folder has it, None where there is no such folder.

        Raises:
            UnknownVersion: Another release wrote it in a form that this one does not know.
        """
        content = read_json(self.run_folder(run_id) / RUN_FILE)
        return None if content is None else RunRef.from_dict(content)

    def base_path(self, map_name: str, company: str) -> UPath | None:
        """The file of a map's current base for a company, None while there is none."""
        record = self.ledger.base(map_name, company)
        return UPath(record.path) if record else None

    def new_base_path(self, map_name: str, company: str, generation: int) -> UPath:
        """Where a new generation is written: a name that was never given before, so that no file is written twice."""
        folder = UPath(self.settings.state_url) / safe_name(map_name) / safe_name(company)
        return folder / f"{generation:08d}-{uuid4().hex[:12]}.parquet"

    # -- companies and transfers

    def companies_for(self, table_map: TableMap, companies: Sequence[str]) -> tuple[str, ...]:
        """The companies a map's transfers have among ``companies``."""
        if table_map.scope == "global":
            return (GLOBAL,)
        return tuple(c for c in companies if c != GLOBAL)

    def check_companies(self, companies: Sequence[str] | None) -> tuple[str, ...]:
        """The companies of a run, refused where one is not integrated.

        Raises:
            RequestError: A company is not among the integrated ones.
        """
        integrated = tuple(c.upper() for c in self.settings.companies)
        if not companies:
            return integrated
        asked = tuple(dict.fromkeys(c.upper() for c in companies))
        for company in asked:
            if company not in integrated:
                raise RequestError(
                    f"company {company} is not integrated; integrated are {', '.join(integrated)} "
                    "(setting `companies`, environment DUALSYNC_COMPANIES)"
                )
        return asked

    def leg(self, run: RunRef, map_name: str, direction: Direction, company: str, phase: str = Phase.UPSERTS) -> Leg:
        """A transfer at its current attempt."""
        segment = direction if phase == Phase.UPSERTS else f"{direction}.{phase}"
        folder = UPath(run.folder) / safe_name(map_name) / segment / safe_name(company)
        return Leg(run, self.catalog[map_name], direction, company, phase, current_attempt(folder))

    def close(self) -> None:
        """Give back connections."""
        if self._systems is not None:
            self._systems.close()
        self.ledger.close()
