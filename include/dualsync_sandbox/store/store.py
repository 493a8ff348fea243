"""The rows of one system in one SQLite file, with one writer at a time; readers work on snapshots (WAL)."""

from __future__ import annotations

import hashlib
import queue
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path

from dualsync_sandbox.clock import Clock
from dualsync_sandbox.errors import SandboxError
from dualsync_sandbox.schema import APPLICATION_USER, BUSINESS_UNIT, SystemSchema
from dualsync_sandbox.store.catalog import FIRST_REC_ID, Catalog, EventKind, When, layouts_of
from dualsync_sandbox.store.layout import Layout, Row, quoted
from dualsync_sandbox.store.transaction import Hook, Tx


@cache
def _statements(schema: SystemSchema) -> tuple[list[str], str]:
    """What creates the tables of a schema, and a fingerprint of it."""
    layouts = layouts_of(schema)
    statements = _creating(layouts, layouts)
    return statements, _fingerprint(statements)


def _creating(layouts: Mapping[str, Layout], names: Iterable[str]) -> list[str]:
    """What creates some tables."""
    return [statement for name in names for statement in layouts[name].ddl()]


class Store(Catalog):
    """The rows of one system.

    Args:
        path: The SQLite file; created when missing.
        schema: The system's tables.
        clock: Gives ``createdon``, ``modifiedon`` and the time of deletions.

    Raises:
        SandboxError: The file was written with other tables than ``schema`` has. Tables that it lacks are made.
    """

    def __init__(self, path: Path, schema: SystemSchema, clock: Clock) -> None:
        super().__init__(schema, clock)
        self.path = path
        self._lock = threading.RLock()
        self._active: Tx | None = None
        self._readers: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = self._connect()
        self._prepare()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=30)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA cache_size = -65536")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA case_sensitive_like = OFF")
        return connection

    def _prepare(self) -> None:
        statements, fingerprint = _statements(self.schema)
        made = self._writer.execute("SELECT 1 FROM sqlite_master WHERE name = '_meta'").fetchone()
        if not made:
            self._writer.execute("BEGIN IMMEDIATE")
            self._writer.execute("CREATE TABLE _meta (name TEXT PRIMARY KEY, value)")
            self._writer.execute(
                "CREATE TABLE _deleted (name TEXT, id TEXT, version INTEGER, at TEXT, PRIMARY KEY (name, id))"
            )
            self._writer.execute("CREATE INDEX _deleted_version ON _deleted (name, version)")
            for statement in statements:
                self._writer.execute(statement)
            meta = [("schema", fingerprint), ("version", 0), ("rec_id", FIRST_REC_ID), ("change_floor", 0)]
            self._writer.executemany("INSERT INTO _meta VALUES (?, ?)", meta)
            self._writer.execute("COMMIT")
            self._first_rows()
            return
        meta_values = dict(self._writer.execute("SELECT name, value FROM _meta").fetchall())
        self.version, self.rec_id = int(meta_values["version"]), int(meta_values["rec_id"])
        if meta_values["schema"] != fingerprint:
            self._add_tables(meta_values["schema"], fingerprint)

    def _add_tables(self, written: str, fingerprint: str) -> None:
        """Give a file the tables that came since it was written, where all it has are as they are now.

        Raises:
            SandboxError: It has others.
        """
        found = {row[0] for row in self._writer.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        missing = [name for name in self.layouts if name not in found]
        there = _creating(self.layouts, (name for name in self.layouts if name in found))
        if not missing or written != _fingerprint(there):
            raise SandboxError(f"{self.path} was written with other tables; remove it or reset the sandbox")
        self._writer.execute("BEGIN IMMEDIATE")
        for statement in _creating(self.layouts, missing):
            self._writer.execute(statement)
        self._writer.execute("UPDATE _meta SET value = ? WHERE name = 'schema'", (fingerprint,))
        self._writer.execute("COMMIT")
        self._first_rows()

    def _first_rows(self) -> None:
        """A tenant is never empty: there is the application user that every request acts as, and its business unit."""
        if self.schema.system != "dataverse":
            return
        rows: Mapping[str, Row] = {
            "systemuser": {"systemuserid": APPLICATION_USER, "fullname": "# Integration application"},
            "businessunit": {"businessunitid": BUSINESS_UNIT, "name": "Sandbox"},
        }
        with self.transaction() as tx:
            for table, row in rows.items():
                if tx.count(table) == 0:
                    tx.insert(table, row)

    def on(self, table: str, kinds: set[EventKind], fn: Hook, *, when: When = "after") -> None:
        """Let ``fn`` see writes to ``table``.

        Args:
            table: Logical name or entity set.
            kinds: Which writes.
            fn: Called inside the transaction; what it raises undoes the write.
            when: ``before`` the write (``event.after`` may still be changed) or ``after`` it.
        """
        self.layout(table)
        for kind in kinds:
            self.hooks.setdefault((table, kind, when), []).append(fn)

    @contextmanager
    def transaction(self, *, outside: bool = False) -> Iterator[Tx]:
        """A write transaction: committed at the end, undone when an exception leaves it.

        There is one at a time; within one of the same thread it joins that one.

        Args:
            outside: Whether a caller of the API writes, rather than the system itself.
        """
        with self._lock:
            if self._active is not None:
                yield self._active
                return
            version, rec_id = self.version, self.rec_id
            self._writer.execute("BEGIN IMMEDIATE")
            self._active = Tx(self, self._writer, outside=outside)
            try:
                yield self._active
                self._writer.execute("UPDATE _meta SET value = ? WHERE name = 'version'", (self.version,))
                self._writer.execute("UPDATE _meta SET value = ? WHERE name = 'rec_id'", (self.rec_id,))
                self._writer.execute("COMMIT")
            except BaseException:
                self.version, self.rec_id = version, rec_id
                self._writer.execute("ROLLBACK")
                raise
            finally:
                self._active = None

    @contextmanager
    def reading(self) -> Iterator[Tx]:
        """A read transaction on a snapshot; any number at a time, also beside a writer."""
        try:
            connection = self._readers.get_nowait()
        except queue.Empty:
            connection = self._connect()
        connection.execute("BEGIN")
        try:
            yield Tx(self, connection, read_only=True)
        finally:
            connection.execute("ROLLBACK")
            self._readers.put(connection)

    def clear(self) -> None:
        """Remove all rows, deletions and counters; hooks stay."""
        with self.transaction() as tx:
            for table in [*self.layouts, "_deleted"]:
                tx.query(f"DELETE FROM {quoted(table)}")
            self.rec_id = FIRST_REC_ID
            # The version goes on, and change tokens given before the reset expire: they must not look like later ones.
            self.expire_changes()
            self._first_rows()

    def expire_changes(self) -> None:
        """Let every change token given so far count as expired."""
        with self.transaction() as tx:
            tx.query("UPDATE _meta SET value = ? WHERE name = 'change_floor'", (self.next_version(),))

    def save(self, path: Path) -> None:
        """Copy all rows, deletions and counters into a file, which is overwritten."""
        with self._lock, closing(sqlite3.connect(path)) as target:
            self._writer.backup(target)

    def load(self, path: Path) -> None:
        """Go back to what :meth:`save` wrote; versions and record ids go on from there.

        Raises:
            SandboxError: The file was written with other tables.
        """
        query = "SELECT name, value FROM _meta"
        with self._lock, closing(sqlite3.connect(path)) as source:
            saved, own = (dict(connection.execute(query).fetchall()) for connection in (source, self._writer))
            if saved["schema"] != own["schema"]:
                raise SandboxError(f"{path} was written with other tables")
            source.backup(self._writer)
            self.version, self.rec_id = int(saved["version"]), int(saved["rec_id"])

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._writer.close()
            while True:
                try:
                    self._readers.get_nowait().close()
                except queue.Empty:
                    return


def _fingerprint(statements: Sequence[str]) -> str:
    """What tells whether a file has the tables that these statements make."""
    return hashlib.sha256("\n".join(statements).encode()).hexdigest()
