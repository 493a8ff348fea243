"""The ledger as a whole: opens the database, and is all its parts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from dualsync.ledger.bases import Bases
from dualsync.ledger.documents import Documents
from dualsync.ledger.engine import check_connection, open_engine
from dualsync.ledger.leases import Leases
from dualsync.ledger.lists import Lists
from dualsync.ledger.nights import Nights
from dualsync.ledger.open_rows import OpenRows
from dualsync.ledger.runs import Runs
from dualsync.ledger.settling import Settling


class Ledger(Runs, Bases, Leases, OpenRows, Documents, Settling):
    """The ledger of one installation.

    Args:
        url: SQLAlchemy URL; SQLite (opened in WAL mode) or PostgreSQL.
        now: The clock, for tests.

    Attributes:
        nights: What the nightly reconciliation writes down.
        lists: Long lists by the page, as people look at them.
    """

    def __init__(self, url: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        super().__init__(open_engine(url), now)
        self.url = url
        self.nights = Nights(self._engine, now)
        self.lists = Lists(self._engine)

    @classmethod
    def open(cls, url: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Ledger:
        """Open a ledger and bring its tables to the newest shape.

        Raises:
            SettingsError: The URL cannot be used.
            Unavailable: The database cannot be reached.
            UnknownVersion: A later release of dualsync has changed the shape of the ledger.
        """
        from dualsync.ledger.migrate import upgrade

        ledger = cls(url, now)
        try:
            check_connection(ledger._engine)
            upgrade(ledger._engine)
        except BaseException:
            ledger.close()
            raise
        return ledger

    def close(self) -> None:
        """Give back all connections."""
        self._engine.dispose()
