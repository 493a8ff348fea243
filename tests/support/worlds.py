"""A synchronised world for tests: the sandbox, seeded and synchronised once, copied for every test that asks.

Loaded as a plugin by the outermost conftest.py, so that its fixtures serve every folder of tests.
"""

from __future__ import annotations

import json
import logging
import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog

from dualsync.ledger import LegRecord, OpenRow
from dualsync.settings import Settings
from dualsync.sync.legs.runtime import Runtime
from dualsync.sync.legs.spec import RunSpec
from dualsync.sync.run.runs import RunSummary, start_run
from dualsync.sync.run.serial import run_all
from dualsync.systems.finance.packages import ImportLimits
from dualsync_sandbox import Sandbox
from support.kept import copy, kept

COMPANIES = "USPM,GBPM,FRRT"
AREA = "setup_configuration"


class Rest:
    """One system's OData service, spoken to with nothing but httpx: how tests act as that system's users.

    Nothing here is shared with the project's own clients, so that the two can disagree.
    """

    def __init__(self, info: Mapping[str, Any], system: str) -> None:
        self._root = f"{info[system]}{'/api/data/v9.2' if system == 'dataverse' else '/data'}"
        self._options = {} if system == "dataverse" else {"cross-company": "true"}
        trusted = ssl.create_default_context(cafile=info["ca_file"])
        granted = httpx.post(
            f"{info['identity']}/oauth2/v2.0/token",
            data={
                "grant_type": "client_credentials",
                "client_id": info["client_id"],
                "client_secret": Path(info["client_secret_file"]).read_text(encoding="utf-8"),
                "scope": f"{info[system]}/.default",
            },
            verify=trusted,
        )
        token = granted.raise_for_status().json()["access_token"]
        headers = {"Authorization": f"Bearer {token}", "OData-Version": "4.0", "OData-MaxVersion": "4.0"}
        self._http = httpx.Client(verify=trusted, headers=headers, timeout=60)

    def rows(self, entity_set: str, filter: str | None = None) -> list[dict[str, Any]]:
        """All rows with all columns; numbers are exact."""
        options = self._options | ({} if filter is None else {"$filter": filter})
        url: str | None = str(httpx.URL(f"{self._root}/{entity_set}", params=options))
        found: list[dict[str, Any]] = []
        while url is not None:
            page = json.loads(self._http.get(url).raise_for_status().content, parse_float=Decimal)
            found += page["value"]
            url = page.get("@odata.nextLink")
        return found

    def one(self, entity_set: str, filter: str) -> dict[str, Any]:
        """The only row that the filter leaves."""
        (row,) = self.rows(entity_set, filter)
        return row

    def create(self, entity_set: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Create a row and return it."""
        answer = self._http.post(f"{self._root}/{entity_set}", json=values, headers={"Prefer": "return=representation"})
        row: dict[str, Any] = answer.raise_for_status().json()
        return row

    def change(self, record: str, values: Mapping[str, Any]) -> None:
        """Change columns of a row, given as ``set(key)``."""
        self._http.patch(f"{self._root}/{record}", json=values, params=self._options).raise_for_status()

    def delete(self, record: str) -> None:
        """Delete a row, given as ``set(key)``."""
        self._http.delete(f"{self._root}/{record}", params=self._options).raise_for_status()

    def close(self) -> None:
        """Give back connections."""
        self._http.close()


@dataclass
class World:
    """Both systems of the sandbox and one installation of dualsync beside them.

    Attributes:
        home: Folder of both.
        sandbox: The two systems.
        settings: Of the installation.
        carried: Companies that runs are about unless they name others; None for all.
    """

    home: Path
    sandbox: Sandbox
    settings: Settings
    carried: Sequence[str] | None = None

    @cached_property
    def dataverse_api(self) -> Rest:
        """Dataverse as its users have it."""
        return Rest(self.sandbox.info, "dataverse")

    @cached_property
    def finance_api(self) -> Rest:
        """Finance as its users have it."""
        return Rest(self.sandbox.info, "finance")

    def sign_out(self) -> None:
        """Forget the tokens of users; they sign in again when they next ask something."""
        for name in ("dataverse_api", "finance_api"):
            if name in self.__dict__:
                self.__dict__.pop(name).close()

    def close(self) -> None:
        """Stop the sandbox."""
        self.sign_out()
        self.sandbox.stop()

    def runtime(self) -> Runtime:
        """A runtime of its own, as every task has one; use as a context manager."""
        return Runtime.open(self.settings)

    def sync(self, maps: Sequence[str] | None = None, *, area: str = AREA, **words: Any) -> RunSummary:
        """Run an area, or the named maps, in this process."""
        with self.runtime() as runtime:
            companies = words.pop("companies", self.carried) or ()
            spec = RunSpec(area, maps=maps or (), companies=companies, **words)
            return run_all(start_run(spec, runtime), runtime)

    def open_rows(self, **words: Any) -> list[OpenRow]:
        """Rows that are waiting, quarantined, in conflict, or to be deleted."""
        with self.runtime() as runtime:
            return runtime.ledger.open_rows(**words)

    def dataverse(self, set_name: str, select: Sequence[str], filter: str | None = None) -> list[dict[str, Any]]:
        """Rows of Dataverse, through its API."""
        with self.runtime() as runtime:
            return [
                row for page in runtime.systems.dataverse.read(set_name, select=select, filter=filter) for row in page
            ]

    def finance(self, set_name: str, select: Sequence[str], company: str | None = None) -> list[dict[str, Any]]:
        """Rows of Finance, through its API."""
        with self.runtime() as runtime:
            return [
                row for page in runtime.systems.finance.read(set_name, select=select, company=company) for row in page
            ]

    def forget_requests(self) -> None:
        """Empty the trace, so that it holds only what comes from now on."""
        self.sandbox.requests.clear()

    def writes(self) -> list[dict[str, Any]]:
        """The requests in the sandbox's trace that change something, oldest first."""
        return [
            one
            for one in self.sandbox.trace()
            if one["method"] in ("POST", "PATCH", "DELETE", "PUT") and one["system"] != "identity"
        ]


def leg(
    summary: RunSummary, map_name: str, company: str, direction: str = "to_finance", part: str = "rows"
) -> LegRecord:
    """One leg of a run."""
    (found,) = [
        one
        for one in summary.legs
        if (one.map, one.company, one.direction, one.part) == (map_name, company, direction, part)
    ]
    return found


def start(home: Path) -> World:
    """A sandbox in a folder, running, and an installation beside it."""
    sandbox = Sandbox(home / "sandbox")
    sandbox.start()
    environ = {"DUALSYNC_SANDBOX": str(home / "sandbox" / "sandbox.json")}
    return World(home, sandbox, Settings.load({"home": home, "companies": COMPANIES}, environ=environ))


@pytest.fixture(scope="session")
def _quiet() -> None:
    """Requests are logged at debug; tests do not print them."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))


@pytest.fixture(scope="session")
def _looking_often() -> Iterator[None]:
    """The sandbox's imports end after a few looks, however soon these come, so nobody need sleep between them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dualsync.systems.finance.packages.ImportLimits", partial(ImportLimits, first_wait=0.01))
        yield


@pytest.fixture(scope="session")
def _seeded(_quiet: None, _looking_often: None) -> Path:
    return kept("seeded", _seed)


def _seed(home: Path) -> None:
    world = start(home)
    world.sandbox.seed("demo", 1)
    world.close()


@pytest.fixture(scope="session")
def synced_home(_seeded: Path) -> Path:
    """Where the synchronised world is kept, not running."""
    return kept("synced", partial(_synchronise, _seeded))


def _synchronise(seeded: Path, home: Path) -> None:
    for world in copied(seeded, home):
        summary = world.sync()
        assert summary.state == "settled", [one.message for one in summary.legs if one.message]
        assert summary.counts.created > 0


def copied(template: Path, home: Path) -> Iterator[World]:
    """A running copy of the world that was kept in ``template``; ends when the iterator does."""
    copy(template, home)
    _relocate(home, template)
    world = start(home)
    try:
        yield world
    finally:
        world.close()


def _relocate(home: Path, template: Path) -> None:
    """Make the ledger of a copied home point at the copy's files."""
    import sqlite3

    ledger = home / ".dualsync" / "ledger.db"
    if ledger.exists():
        with sqlite3.connect(ledger) as connection:
            for table, column in (("bases", "path"), ("legs", "folder")):
                connection.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (str(template), str(home)))
        connection.close()


@pytest.fixture(scope="module")
def companies() -> Sequence[str] | None:
    """Companies that the tests of a module are about; each costs time. A module that needs others says so."""
    return ("USPM",)


@pytest.fixture
def seeded(_seeded: Path, tmp_path: Path) -> Iterator[World]:
    """Both systems seeded with the demo profile; nothing synchronised yet."""
    yield from copied(_seeded, tmp_path / "home")


@pytest.fixture
def synced(synced_home: Path, tmp_path: Path, companies: Sequence[str] | None) -> Iterator[World]:
    """The same after one run of the whole area."""
    for world in copied(synced_home, tmp_path / "home"):
        world.carried = companies
        yield world
