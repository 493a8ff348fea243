"""The database under the ledger: one writer at a time, whatever database it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text

_WRITERS = 0x6475616C73796E63
"""Names the lock that writers take on PostgreSQL; it is of the database, so each ledger has one of its own."""


def open_engine(url: str) -> Engine:
    """Connect to the database of a ledger.

    Args:
        url: SQLAlchemy URL; SQLite (opened in WAL mode) or PostgreSQL.
    """
    engine = create_engine(url, pool_pre_ping=not url.startswith("sqlite"))
    if engine.dialect.name == "sqlite":
        if engine.url.database:
            Path(engine.url.database).parent.mkdir(parents=True, exist_ok=True)

        @event.listens_for(engine, "connect")
        def _prepare(connection: Any, _: Any) -> None:
            connection.execute("PRAGMA busy_timeout=60000")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            # The driver begins transactions lazily and as readers; a reader that turns writer can fail at once with
            # "database is locked", so transactions begin as writers instead.
            connection.isolation_level = None

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that no other writer of the ledger overlaps; committed at the end, rolled back on an error.

    SQLite has one writer by itself. On PostgreSQL two could both read a generation, a lease or the shape of the tables
    and go on from it.
    """
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:writers)"), {"writers": _WRITERS})
        yield connection
