"""Visits to the pages of the reconciliation, through Airflow's own application with its login and its database.

Loaded as a plugin by the outermost conftest.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest

from dualsync.ledger import Ledger
from support.ledgers import empty_ledger
from support.paths import ROOT

ORIGIN = "http://airflow.example"
HERE = {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"}
"""What a browser sends with a form of the pages themselves."""

PAGE = {"Accept": "text/html"}


class Visitor:
    """Somebody who looks at the pages; without a role nobody is signed in.

    Args:
        client: Speaks to Airflow.
        token: The session, as Airflow's cookie holds it; None without a login.
    """

    def __init__(self, client: Any, token: str | None) -> None:
        self._client = client
        self._cookies = {} if token is None else {"Cookie": f"_token={token}"}
        self.token = token

    def ask(self, method: str, path: str, **words: Any) -> httpx.Response:
        """Ask for a path below the pages, without following where it leads."""
        headers = {**self._cookies, **words.pop("headers", {})}
        answer: httpx.Response = self._client.request(
            method, f"/dualsync{path}", headers=headers, follow_redirects=False, **words
        )
        return answer

    def see(self, path: str, status: int = 200) -> str:
        """The text of a page, as it is read."""
        answer = self.ask("GET", path, headers=PAGE)
        assert answer.status_code == status, answer.text
        return readable(answer.text)

    def send(self, path: str, form: dict[str, str]) -> httpx.Response:
        """Send a form of the pages."""
        return self.ask("POST", path, data=form, headers=HERE)


def readable(html: str) -> str:
    """What a page says, without its marks."""
    body = html[html.find("<main") :]
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", body))).strip()


@pytest.fixture(scope="module")
def reconciled_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Ledger]]:
    """A reconciled installation, the one that the pages show, and its ledger."""
    from dualsync_airflow.pages import shown
    from support.reconciled import reconcile

    home = tmp_path_factory.mktemp("reconciled")
    with empty_ledger(home / ".dualsync") as url, pytest.MonkeyPatch.context() as patch:
        ledger = reconcile(home, url)
        patch.setenv("DUALSYNC_HOME", str(home))
        patch.setenv("DUALSYNC_COMPANIES", "USPM,GBPM")
        patch.setenv("DUALSYNC_LEDGER_URL", url)
        yield home, ledger
        shown._ledger(url).close()
        shown._ledger.cache_clear()
        ledger.close()


@pytest.fixture(scope="session")
def airflow_client(airflow_db: None) -> Iterator[Any]:
    """Airflow's application, as the API server serves it, with the pages that the plugin brings."""
    from airflow.api_fastapi.app import create_app
    from starlette.testclient import TestClient

    with TestClient(create_app(apps="core"), base_url=ORIGIN, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="session")
def repair_dags(airflow_db: None) -> None:
    """The two DAGs that the pages start, stored as the DAG processor does; parsing all others takes much longer."""
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

    dags = ROOT / "dags"
    for name in ("replay_rows", "repair_breaks"):
        bag = DagBag(dags / f"{name}.py", bundle_path=dags, bundle_name="dags-folder")
        assert list(bag.dags) == [name]
        sync_bag_to_db(bag, "dags-folder", None)


@pytest.fixture(scope="session")
def visitor(airflow_client: Any) -> Callable[..., Visitor]:
    """Makes visitors: ``visitor("ann", "user")`` has a role of Airflow's, ``visitor("x", None)`` none at all.

    ``visitor()`` is not signed in. The tokens are Airflow's own.
    """
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    def make(name: str = "", role: str | None = None) -> Visitor:
        manager = get_auth_manager()
        user = SimpleAuthManagerUser(username=name, role=role)
        return Visitor(airflow_client, manager.generate_jwt(user) if name else None)

    return make
