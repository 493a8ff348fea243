"""Where the ledgers of tests lie: in SQLite, or in the PostgreSQL database that POSTGRES_URL names.

Loaded as a plugin by the outermost conftest.py. On PostgreSQL every test has a database of its own, which goes with it.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text


@contextmanager
def empty_ledger(folder: Path) -> Iterator[str]:
    """URL of an empty ledger; on SQLite it lies in the folder."""
    server = os.environ.get("POSTGRES_URL")
    if server is None:
        yield f"sqlite:///{folder / 'ledger.db'}"
        return
    name = f"ledger_{uuid.uuid4().hex}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        engine.dispose()


@pytest.fixture
def ledger_url(tmp_path: Path) -> Iterator[str]:
    """URL of an empty ledger."""
    with empty_ledger(tmp_path / "state") as url:
        yield url
