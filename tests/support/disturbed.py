"""A synchronised world with changes to carry, put back before every test: what a run in it meets is planned.

The sandbox stays up; its rows go back to a snapshot and the state of dualsync to a copy, in milliseconds. Waiting
moves the sandbox's clock instead of taking time.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dualsync.ledger import Ledger
from dualsync.mapping import Catalog, Schema
from dualsync.sync.legs.runtime import Runtime
from dualsync.sync.legs.spec import RunSpec
from dualsync.sync.run.runs import RunSummary, start_run
from dualsync.sync.run.serial import run_all
from dualsync.systems import open_systems
from support.workload import BATCHES, change_much, differences, picture
from support.worlds import World, copied

COMPANIES = ["USPM"]
ALL_MAPS = ["exchange_rates", "customers_v3", "projects", "project_tasks"]
Picture = dict[str, list[str]]


@dataclass
class Disturbed:
    """The world, and the runs of dualsync in it.

    Attributes:
        world: both systems and one installation.
        waits: seconds that dualsync waited, one entry for each wait.
    """

    world: World
    waits: list[float] = field(default_factory=list)
    _calm: dict[tuple[str, ...], Picture] = field(default_factory=dict)

    def keep(self) -> None:
        """Remember how everything stands."""
        self.world.sandbox.snapshot("kept")
        # The folders of runs are never written again, so they may stay.
        shutil.copytree(self._state, self._kept, ignore=shutil.ignore_patterns("runs"))

    def put_back(self) -> None:
        """Everything as it was when it was kept, nothing planned."""
        sandbox = self.world.sandbox
        sandbox.faults.clear()
        sandbox.limits.reset()
        sandbox.restore("kept")
        sandbox.requests.clear()
        for part in self._kept.iterdir():
            if part.is_dir():
                shutil.rmtree(self._state / part.name)
                shutil.copytree(part, self._state / part.name)
            else:
                shutil.copy(part, self._state / part.name)
        self.waits.clear()

    @property
    def _state(self) -> Path:
        return self.world.home / ".dualsync"

    @property
    def _kept(self) -> Path:
        return self.world.home / "kept"

    def plan(self, kind: str, **words: Any) -> None:
        """Plan a fault."""
        self.world.sandbox.faults.plan(kind=kind, **words)

    @property
    def struck(self) -> int:
        """Requests that were struck."""
        return self.world.sandbox.faults.struck()

    def run(
        self,
        maps: Sequence[str] = ALL_MAPS,
        *,
        attempts: int = 6,
        read: float = 20.0,
        page: int = 5000,
        **words: Any,
    ) -> RunSummary:
        """Synchronise maps; pauses move the sandbox's clock and take no time.

        Args:
            maps: the maps.
            attempts: how often a request is sent at most.
            read: seconds to wait for bytes of an answer.
            page: rows of a page of Dataverse.
            words: more of what the run is asked to do.
        """
        given = self.world.settings
        settings = given.model_copy(
            update={
                "retries": given.retries.model_copy(update={"attempts": attempts}),
                "timeouts": given.timeouts.model_copy(update={"read": read}),
                "batch_sizes": given.batch_sizes.model_copy(update=BATCHES),
                "page_sizes": given.page_sizes.model_copy(update={"dataverse": page}),
            }
        )
        ledger = Ledger.open(settings.ledger_url)
        systems = partial(open_systems, sleep=self._sleep)
        with Runtime(settings, Catalog.load(None), Schema.load(), ledger, systems) as runtime:
            return run_all(start_run(RunSpec("disturbed", maps=maps, companies=COMPANIES, **words), runtime), runtime)

    def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.world.sandbox.clock.advance(timedelta(seconds=seconds))

    def calm(self, maps: Sequence[str] = ALL_MAPS) -> Picture:
        """Where everything ends when nothing disturbs; leaves the world put back."""
        key = tuple(maps)
        if key not in self._calm:
            summary = self.run(maps)
            assert summary.state == "settled", messages(summary)
            assert summary.counts.written > 0
            self._calm[key] = picture(self.world)
            self.put_back()
        return self._calm[key]

    def assert_calm(self, maps: Sequence[str] = ALL_MAPS) -> None:
        """Everything is where it would be without any fault, and there is nothing left to do.

        The plan is cleared; the calm picture must have been taken before anything was planned.
        """
        self.world.sandbox.faults.clear()
        assert differences(picture(self.world), self._calm[tuple(maps)]) == {}
        quiet = self.run(maps)
        assert (quiet.counts.planned, quiet.state) == (0, "settled"), messages(quiet)


def messages(summary: RunSummary) -> list[str]:
    """What the legs of a run that did not settle say."""
    return [one.message for one in summary.legs if one.message]


@pytest.fixture(scope="session")
def _disturbed(synced_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disturbed]:
    for world in copied(synced_home, tmp_path_factory.mktemp("disturbed") / "home"):
        change_much(world, COMPANIES)
        made = Disturbed(world)
        made.keep()
        yield made


@pytest.fixture
def disturbed(_disturbed: Disturbed) -> Disturbed:
    """The world as it was kept, with changes to carry in four maps of USPM."""
    _disturbed.put_back()
    return _disturbed
