"""The database under the ledger: one writer at a time, whatever database it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError

from dualsync.errors import SettingsError, Unavailable

_WRITERS = 0x6475616C73796E63
"""Names the lock that writers take on PostgreSQL; it is of the database, so each ledger has one of its own."""


def open_engine(url: str) -> Engine:
    """Connect to the database of a ledger.

    Args:
        url: SQLAlchemy URL; SQLite (opened in WAL mode) or PostgreSQL.

    Raises:
        SettingsError: The URL is none, its driver is not installed, or its folder cannot be made. The URL is not
            repeated: it may hold a password.
    """
    try:
        engine = create_engine(url, pool_pre_ping=not url.startswith("sqlite"))
        if engine.dialect.name == "sqlite" and engine.url.database:
            Path(engine.url.database).parent.mkdir(parents=True, exist_ok=True)
    except ArgumentError:
        raise SettingsError("ledger_url cannot be used: it is no URL of a database that is supported") from None
    except (ImportError, OSError) as error:
        raise SettingsError(f"ledger_url cannot be used: {error}") from error
    if engine.dialect.name == "sqlite":

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


def check_connection(engine: Engine) -> None:
    """Connect once, so that a database that cannot be used is told in words.

    Raises:
        Unavailable: It cannot be reached, or not now.
        SettingsError: It is reached and is no database.
    """
    try:
        engine.connect().close()
    except OperationalError as error:
        raise Unavailable(f"the ledger cannot be reached (setting ledger_url): {_first_line(error)}") from error
    except DatabaseError as error:
        raise SettingsError(f"ledger_url cannot be used: {_first_line(error)}") from error


def _first_line(error: DatabaseError) -> str:
    """What the driver said; its further lines only guess at the cause."""
    return str(error.orig).strip().partition("\n")[0]


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


def upsert(
    connection: Connection,
    table: Table,
    key: Mapping[str, Any],
    values: Mapping[str, Any],
    once: Mapping[str, Any] | None = None,
) -> None:
    """Write one row, new or not.

    Args:
        connection: A transaction.
        table: The table.
        key: The row's primary key.
        values: The other columns.
        once: Columns that are only written where the row is new.
    """
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = insert(table).values({**key, **values, **(once or {})})
    connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=dict(values)))


class Store:
    """What a part of the ledger works with.

    Args:
        engine: The ledger's database.
        now: The clock.
    """

    def __init__(self, engine: Engine, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._now = now
