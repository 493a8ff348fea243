"""One seeded sandbox for all contract tests of a session, and settings that lead to it."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as examples

from dualsync.settings import Settings
from dualsync_sandbox import Sandbox

# The suite tries the same few examples every time; `make fuzz` tries many, and others each time.
_COMMON: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
}
examples.register_profile("suite", max_examples=40, derandomize=True, database=None, **_COMMON)
examples.register_profile("fuzz", max_examples=3000, **_COMMON)
examples.load_profile("suite")


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
