"""What all tests share: a clean environment, and one Airflow home for those that need Airflow.

Airflow reads its settings when it is first imported, so they are made here, before any test module is. Its database
and its DAGs are only made for tests that ask for them.
"""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.airflow_runs import make_brisk
from support.paths import ROOT

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

pytest_plugins = [f"support.{name}" for name in ("ledgers", "worlds", "cycles", "disturbed", "nights", "visits")]


_home = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    """Point Airflow at a home of this session's own, and forget the settings of whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith(("AIRFLOW", "DUALSYNC_"))]:
        del os.environ[name]
    home = Path(tempfile.mkdtemp(prefix="dualsync-airflow-"))
    config.stash[_home] = home
    os.environ |= {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        # the one that Airflow makes for itself is shorter than its signatures ask for
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "GX_ANALYTICS_ENABLED": "false",
    }


WORLDS = ("_settled", "_cycled", "synced_home")
"""Kept states that take long to make, the longest first; each is made of those after it."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order files so that no worker waits for another, whatever order they were shuffled into among themselves.

    One file makes all kept states; beside it run files that need none, then those that do, which take longest. Unit
    tests come last: they are short, so both workers end together.
    """
    needs: dict[Path, int] = {}
    for item in items:
        asked = [place for place, name in enumerate(WORLDS) if name in getattr(item, "fixturenames", ())]
        needs[item.path] = min([needs.get(item.path, len(WORLDS)), *asked])
    first = min(needs, key=needs.__getitem__, default=None)
    made = first is not None and needs[first] < len(WORLDS)

    def place(item: pytest.Item) -> int:
        if made and item.path == first:
            return 0
        if needs[item.path] < len(WORLDS):
            return 2
        return 3 if "unit" in item.path.parts else 1

    items.sort(key=place)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove Airflow's home."""
    shutil.rmtree(config.stash[_home], ignore_errors=True)


@pytest.fixture(scope="session")
def airflow_db() -> None:
    """Airflow's database.

    `dag.test()` speaks to an execution API within the process. Airflow keeps one for all tasks since 3.3; without that
    it would be built anew for each task, at several seconds each, and the tests that run DAGs could not be afforded.
    """
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.sdk.execution_time import supervisor
    from airflow.utils.db import initdb

    assert hasattr(supervisor.in_process_api_server, "cache_info"), "in_process_api_server is no longer cached"
    initdb()
    DagBundlesManager().sync_bundles_to_db()


@pytest.fixture(scope="session")
def dagbag(airflow_db: None) -> "DagBag":
    """All DAGs of the project, parsed once and stored, so that they can be run."""
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

    bag = DagBag(ROOT / "dags", bundle_path=ROOT / "dags", bundle_name="dags-folder")
    assert bag.import_errors == {}
    sync_bag_to_db(bag, "dags-folder", None)
    return bag


@pytest.fixture
def brisk(airflow_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of DAGs take no longer than they have to; see :func:`support.airflow_runs.make_brisk`."""
    make_brisk(monkeypatch)


@pytest.fixture(scope="module")
def brisk_module(airflow_db: None) -> Iterator[None]:
    """The same for runs that all tests of a module look at."""
    with pytest.MonkeyPatch.context() as patch:
        make_brisk(patch)
        yield
