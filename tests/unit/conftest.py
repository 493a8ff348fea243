"""What the tests of Dataverse's project business share: a seeded sandbox without servers, and a quick hand in it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from works import Works

from dualsync_sandbox.business import Switches, install
from dualsync_sandbox.clock import Clock
from dualsync_sandbox.schema import SystemSchema
from dualsync_sandbox.seed import seed
from dualsync_sandbox.store import Store


@pytest.fixture
def works(tmp_path: Path) -> Iterator[Works]:
    """A seeded sandbox with the business installed, on the second of March 2026."""
    clock = Clock(datetime(2026, 3, 2, 9, tzinfo=UTC), frozen=True)
    dataverse = Store(tmp_path / "dataverse.db", SystemSchema.load("dataverse"), clock)
    finance = Store(tmp_path / "finance.db", SystemSchema.load("finance"), clock)
    seed(dataverse, finance, "demo", 1)
    switches = Switches()
    install(dataverse, finance, clock, switches=switches)
    yield Works(dataverse, finance, clock, switches)
    dataverse.close()
    finance.close()
