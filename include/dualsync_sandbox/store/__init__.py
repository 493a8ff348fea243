"""The rows of one system in one SQLite file: checked by the schema, versioned, with hooks for the business.

Seeds, the business and the APIs all write through :class:`Tx`, so all meet the same rules. Numbers are exact (scaled
integers in the file, ``Decimal`` in rows). One writer at a time; readers work on snapshots (WAL).
"""

from __future__ import annotations

from dualsync_sandbox.store.catalog import FIRST_REC_ID, Event, EventKind, When
from dualsync_sandbox.store.layout import Row, new_id, quoted
from dualsync_sandbox.store.store import Store
from dualsync_sandbox.store.transaction import Hook, Tx

__all__ = ["FIRST_REC_ID", "Event", "EventKind", "Hook", "Row", "Store", "Tx", "When", "new_id", "quoted"]
