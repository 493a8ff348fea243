"""One seeded sandbox for all contract tests of a session, and settings that lead to it."""

from collections.abc import Iterator

import pytest

from dualsync.settings import Settings
from dualsync_sandbox import Sandbox


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Both systems with the demo company. Tests share it: leave its rows as they were, or make your own."""
    with Sandbox(tmp_path_factory.mktemp("sandbox")) as running:
        running.seed("demo", 1)
        yield running


@pytest.fixture(scope="session")
def settings(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings as a user of the sandbox has them."""
    environ = {"DUALSYNC_SANDBOX": str(sandbox.state_dir / "sandbox.json"), "DUALSYNC_COMPANIES": "USPM,GBPM,FRRT"}
    return Settings.load({"home": tmp_path_factory.mktemp("home")}, environ=environ)


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Both systems without rows. Tests share it: make rows of your own, and count on no others."""
    with Sandbox(tmp_path_factory.mktemp("bare")) as running:
        yield running
