"""What the tests of Dataverse's project business share: a seeded sandbox without servers, and a quick hand in it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dualsync_sandbox.business import Switches, install
from dualsync_sandbox.clock import Clock
from dualsync_sandbox.schema import System, SystemSchema
from dualsync_sandbox.seed import seed
from dualsync_sandbox.store import Store
from support.project_office import Works

STORES: tuple[System, ...] = ("dataverse", "finance")


def opened(folder: Path) -> tuple[Clock, Store, Store]:
    """The two stores in a folder, on the second of March 2026."""
    clock = Clock(datetime(2026, 3, 2, 9, tzinfo=UTC), frozen=True)
    dataverse, finance = (Store(folder / f"{name}.db", SystemSchema.load(name), clock) for name in STORES)
    return clock, dataverse, finance


@pytest.fixture(scope="session")
def _seeded_stores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stores")
    _, dataverse, finance = opened(folder)
    seed(dataverse, finance, "demo", 1)
    dataverse.close()
    finance.close()
    return folder


@contextmanager
def at_work(seeded: Path, folder: Path) -> Iterator[Works]:
    """A copy of the seeded stores with the business installed."""
    for name in STORES:
        shutil.copy(seeded / f"{name}.db", folder)
    clock, dataverse, finance = opened(folder)
    switches = Switches()
    install(dataverse, finance, clock, switches=switches)
    try:
        yield Works(dataverse, finance, clock, switches)
    finally:
        dataverse.close()
        finance.close()


@pytest.fixture
def works(_seeded_stores: Path, tmp_path: Path) -> Iterator[Works]:
    """A seeded sandbox with the business installed, on the second of March 2026."""
    with at_work(_seeded_stores, tmp_path) as found:
        yield found


@pytest.fixture(scope="module")
def office(_seeded_stores: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Works]:
    """One such sandbox for all tests of a module; each keeps to projects of its own."""
    with at_work(_seeded_stores, tmp_path_factory.mktemp("office")) as found:
        yield found
