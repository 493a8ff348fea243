"""The rows of one system in one SQLite file: checked by the schema, versioned, with hooks for the business.

Seeds, the business and the APIs all write through :class:`Tx`, so all meet the same rules. Numbers are exact (scaled
integers in the file, ``Decimal`` in rows). One writer at a time; readers work on snapshots (WAL).
"""

from __future__ import annotations

import hashlib
import itertools
import queue
import re
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dualsync_sandbox.clock import Clock
from dualsync_sandbox.errors import (
    DeleteRestricted,
    DuplicateId,
    DuplicateKey,
    NotImplementedInSandbox,
    ReferenceNotFound,
    Required,
    RowNotFound,
    SandboxError,
    UnknownColumn,
    UnknownTable,
)
from dualsync_sandbox.schema import APPLICATION_USER, NO_GUID, Column, Relation, SystemSchema, Table
from dualsync_sandbox.values import Decoder, Encoder, SqlValue, decoder, encoder, sql_default

Row = dict[str, object]
EventKind = Literal["create", "update", "delete"]
When = Literal["before", "after"]

#: The first record id Finance gives, as seen in real tenants.
FIRST_REC_ID = 5637144576
_CHUNK = 5_000
#: Finance relations that deletes and business rules look up often, hence indexed.
_INDEXED_TARGETS = frozenset({"ProjectContractHeaders", "ProjectsV2", "CustomersV3", "Workers", "ProjActualsImports"})
_UNINDEXED_LOOKUPS = frozenset({"ownerid", "createdby", "modifiedby", "transactioncurrencyid"})
_SYSTEM_COLUMNS = frozenset({"versionnumber", "RecId", "RecVersion"})


class _Ids:
    """New record ids that ascend, as those of the real service do: rows made together lie together."""

    def __init__(self) -> None:
        self._last = time.time_ns()
        self._rest = f"{secrets.randbits(14) | 1 << 15:04x}-{secrets.randbits(48):012x}"
        self._lock = threading.Lock()

    def next(self) -> str:
        with self._lock:
            self._last = number = max(self._last + 1, time.time_ns())
        text = f"{number:016x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:]}-{self._rest}"


new_id = _Ids().next


def quoted(name: str) -> str:
    """``name`` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True)
class Event:
    """A write, as hooks see it.

    Attributes:
        kind: ``create``, ``update`` or ``delete``.
        table: logical name or entity set.
        before: the row as it was; ``None`` for a create.
        after: the row as it will be (hooks that run *before* may change it) or is; ``None`` for a delete.
    """

    kind: EventKind
    table: str
    before: Row | None
    after: Row | None

    def changed(self, *columns: str) -> bool:
        """Whether one of ``columns`` differs between before and after (always true for creates and deletes)."""
        if self.before is None or self.after is None:
            return True
        return any(self.before.get(column) != self.after.get(column) for column in columns)


Hook = Callable[["Tx", Event], None]


class _Layout:
    """One table as SQLite holds it: columns in order, encoders, decoders."""

    def __init__(self, schema: SystemSchema, table: Table) -> None:
        self.table = table
        self.dataverse = schema.system == "dataverse"
        self.columns: list[str] = []
        self.encoders: dict[str, Encoder] = {}
        self._finders: dict[tuple[str, ...], tuple[str, Callable[[Mapping[str, object]], list[SqlValue]]]] = {}
        self.defaults: dict[str, SqlValue] = {}
        decoders: list[tuple[str, Decoder]] = []
        if not self.dataverse:
            self.columns += ["RecId", "RecVersion"]
        for column in table.columns.values():
            self.columns.append(column.name)
            self.encoders[column.name] = encoder(schema.system, table.name, column)
            default = sql_default(schema.system, table.name, column)
            if default is not None:
                self.defaults[column.name] = default
            decode = decoder(column)
            if decode is not None:
                decoders.append((column.name, decode))
            if column.polymorphic:
                type_column = f"{column.name}@type"
                self.columns.append(type_column)
                self.encoders[type_column] = _target_encoder(table, column)
        self.decoders = tuple(decoders)
        self.selection = ", ".join(quoted(column) for column in self.columns)
        self.required = tuple(
            column.name
            for column in table.columns.values()
            if (column.required or column.key) and column.default in (None, "") and column.name != table.id
        )

    def ddl(self) -> Iterator[str]:
        """The statements that create the table and its indexes."""
        name = quoted(self.table.name)
        parts = []
        if not self.dataverse:
            parts += ['"RecId" INTEGER PRIMARY KEY', '"RecVersion" INTEGER NOT NULL']
            parts += ['"_created" TEXT NOT NULL', '"_modified" TEXT NOT NULL']
        for column in self.table.columns.values():
            parts.append(self._declaration(column))
            if column.polymorphic:
                parts.append(quoted(f"{column.name}@type") + " TEXT")
        yield f"CREATE TABLE {name} ({', '.join(parts)})"
        for key in self.table.keys:
            columns = ", ".join(quoted(column) for column in key.columns)
            yield f"CREATE UNIQUE INDEX {quoted(f'{self.table.name}.{key.name}')} ON {name} ({columns})"
        if self.dataverse:
            yield f"CREATE INDEX {quoted(f'{self.table.name}.version')} ON {name} (versionnumber)"
        indexed = {key.columns for key in self.table.keys}
        for columns_of_index in self._lookup_indexes():
            if columns_of_index not in indexed:
                indexed.add(columns_of_index)
                columns = ", ".join(quoted(column) for column in columns_of_index)
                label = quoted(f"{self.table.name}.{'.'.join(columns_of_index)}")
                yield f"CREATE INDEX {label} ON {name} ({columns})"

    def _declaration(self, column: Column) -> str:
        declaration = quoted(column.name)
        if column.kind in ("text", "enum"):
            declaration += " TEXT COLLATE NOCASE"
        elif column.kind in ("guid", "lookup", "instant", "date"):
            declaration += " TEXT"
        else:
            declaration += " INTEGER"
        if column.name == self.table.id:
            declaration += " PRIMARY KEY"
        elif not self.dataverse:
            default = self.defaults.get(column.name)
            literal = str(default) if isinstance(default, int) else "'" + str(default) + "'"
            declaration += f" NOT NULL DEFAULT {literal}"
        return declaration

    def _lookup_indexes(self) -> Iterator[tuple[str, ...]]:
        for column in self.table.lookups:
            if column.name not in _UNINDEXED_LOOKUPS and "cdm_company" not in column.targets:
                yield (column.name,)
        for relation in self.table.relations:
            if relation.on_delete == "cascade" or relation.target in _INDEXED_TARGETS:
                yield relation.columns
        yield from self.table.indexes

    def finder(self, names: tuple[str, ...]) -> tuple[str, Callable[[Mapping[str, object]], list[SqlValue]]]:
        """The statement that gives the id of a row by values of these columns, and what encodes them."""
        known = self._finders.get(names)
        if known is None:
            condition = " AND ".join(f"{quoted(name)} IS ?" for name in names)
            sql = f"SELECT {quoted(self.table.id)} FROM {quoted(self.table.name)} WHERE {condition} LIMIT 1"
            encoders = [(name, None if self.compared_as_given(name) else self.encoders[name]) for name in names]

            def encode(values: Mapping[str, object]) -> list[SqlValue]:
                return [
                    values[name] if check is None or values[name] is None else check(values[name])  # type: ignore[misc]
                    for name, check in encoders
                ]

            known = self._finders[names] = sql, encode
        return known

    def stamps(self, now: str) -> dict[str, SqlValue]:
        """What the platform says of every change, in tables that have the columns for it."""
        said: dict[str, SqlValue] = {"modifiedon": now, "modifiedby": APPLICATION_USER}
        return {name: value for name, value in said.items() if name in self.encoders}

    def compared_as_given(self, name: str) -> bool:
        """Whether values of the column are looked for as they are: nobody is refused for looking for a long text."""
        column = self.table.columns.get(name)
        return column is None or column.kind not in ("decimal", "bool", "guid", "lookup", "date")

    def row(self, values: Sequence[SqlValue]) -> Row:
        """A row from a full selection."""
        row: Row = dict(zip(self.columns, values, strict=True))
        for name, decode in self.decoders:
            row[name] = decode(row[name])  # type: ignore[arg-type]
        return row


def _target_encoder(table: Table, column: Column) -> Encoder:
    name = f"{column.name}@type"

    def check(value: object) -> SqlValue:
        if value is None:
            return None
        if value not in column.targets:
            raise ReferenceNotFound(table.name, name, " or ".join(column.targets), value)
        return str(value)

    return check


class Tx:
    """A transaction. Rows go in and out as dictionaries keyed by column; ``dualsync_sandbox.values`` says how."""

    def __init__(
        self, store: Store, connection: sqlite3.Connection, *, read_only: bool = False, outside: bool = False
    ) -> None:
        self.store = store
        self.schema = store.schema
        self._connection = connection
        self._read_only = read_only
        self._outside = outside
        self._hooks_under_way = 0

    # -- reading

    def get(self, table: str, row_id: object) -> Row | None:
        """The row with this primary id (GUID text, or RecId in Finance); ``None`` when there is none."""
        layout = self.store.layout(table)
        sql = f"SELECT {layout.selection} FROM {quoted(table)} WHERE {quoted(layout.table.id)} = ?"
        found = self._connection.execute(sql, (_id(row_id),)).fetchone()
        return None if found is None else layout.row(found)

    def find(self, table: str, **equals: object) -> list[Row]:
        """Rows whose columns equal the given values (text without regard to case), in the order they were created."""
        return list(self.scan(table, **equals))

    def find_one(self, table: str, **equals: object) -> Row | None:
        """The first row :meth:`find` would give, or ``None``."""
        return next(self.scan(table, **equals), None)

    def scan(self, table: str, **equals: object) -> Iterator[Row]:
        """Like :meth:`find`, row by row."""
        layout = self.store.layout(table)
        where, values = self._where(layout, equals)
        cursor = self._connection.execute(
            f"SELECT {layout.selection} FROM {quoted(table)}{where} ORDER BY rowid", values
        )
        for found in cursor:
            yield layout.row(found)

    def count(self, table: str, **equals: object) -> int:
        """How many rows the table has (with the given values)."""
        layout = self.store.layout(table)
        where, values = self._where(layout, equals)
        return int(self._connection.execute(f"SELECT count(*) FROM {quoted(table)}{where}", values).fetchone()[0])

    def query(self, sql: str, parameters: Sequence[SqlValue] = ()) -> sqlite3.Cursor:
        """A SELECT on the raw tables, for the API layers (decimals come as scaled integers)."""
        return self._connection.execute(sql, parameters)

    @property
    def from_outside(self) -> bool:
        """For hooks: whether a caller of the API makes this write, rather than the business that follows from one."""
        return self._outside and self._hooks_under_way <= 1

    @property
    def version(self) -> int:
        """The store-wide version this transaction sees."""
        if not self._read_only:
            return self.store._version
        return int(self._connection.execute("SELECT value FROM _meta WHERE name = 'version'").fetchone()[0])

    @property
    def change_floor(self) -> int:
        """Change tokens of a version before this one have expired."""
        return int(self._connection.execute("SELECT value FROM _meta WHERE name = 'change_floor'").fetchone()[0])

    def _where(self, layout: _Layout, equals: Mapping[str, object]) -> tuple[str, list[SqlValue]]:
        clauses, values = [], []
        for name, value in equals.items():
            if name not in layout.columns:
                raise UnknownColumn(layout.table.name, name)
            clauses.append(f"{quoted(name)} IS ?")
            if value is None or layout.compared_as_given(name):
                values.append(value)
            else:
                values.append(layout.encoders[name](value))
        return (" WHERE " + " AND ".join(clauses) if clauses else ""), values  # type: ignore[return-value]

    # -- writing

    def insert(self, table: str, row: Mapping[str, object]) -> Row:
        """Create a row; absent columns get their defaults.

        Raises:
            StoreError: the row breaks a rule of the schema; see ``dualsync_sandbox.errors``.
        """
        layout = self.store.layout(table)
        after = self._with_defaults(layout, row)
        self._run("before", Event("create", table, None, after))
        values = self._encode(layout, after)
        self._require(layout, values)
        self._references(layout, values, layout.table.columns)
        row_id = self._insert(layout, values)
        created = self.get(table, row_id)
        assert created is not None
        self._run("after", Event("create", table, None, created))
        return created

    def insert_many(self, table: str, rows: Iterable[Mapping[str, object]], hooks: bool = True) -> int:
        """Create many rows; references are checked when all are in, so rows may refer to each other.

        Args:
            table: logical name or entity set.
            rows: the rows; consecutive rows with the same columns are written fastest.
            hooks: whether the business sees each row. Without, or where it does not care, the bulk path is taken.

        Returns:
            how many rows were created.
        """
        if hooks and any(kind == "create" for _, kind in self.store.hooked(table)):
            count = 0
            for row in rows:
                self.insert(table, row)
                count += 1
            return count
        return _Bulk(self, self.store.layout(table)).insert(rows)

    def insert_all(self, table: str, rows: Sequence[Row]) -> list[str]:
        """Create rows of a Dataverse table, as :meth:`insert_many` does; returns their ids."""
        key = self.store.layout(table).table.id
        for row in rows:
            if row.get(key) is None:
                row[key] = new_id()
        self.insert_many(table, rows)
        return [str(row[key]).lower() for row in rows]

    def update_many(
        self, table: str, changes: Iterable[tuple[object, Mapping[str, object]]], hooks: bool = True
    ) -> int:
        """Change columns of many rows.

        Args:
            table: logical name or entity set.
            changes: id of each row and what changes in it; rows that change the same columns are written fastest when
                they follow each other.
            hooks: whether the business sees each row. Without, or where it does not care, the bulk path is taken, which
                checks values and references but not required columns: it is for what the business itself knows.

        Returns:
            how many rows were changed.

        Raises:
            RowNotFound: one of the rows is not there.
        """
        if hooks and any(kind == "update" for _, kind in self.store.hooked(table)):
            count = 0
            for row_id, values in changes:
                self.update(table, row_id, values)
                count += 1
            return count
        return _Bulk(self, self.store.layout(table)).update(changes)

    def id_of(self, table: str, values: Mapping[str, object]) -> str | None:
        """The id of the row with these values; the first, if there are more."""
        layout = self.store.layout(table)
        sql, encode = layout.finder(tuple(values))
        found = self._connection.execute(sql, encode(values)).fetchone()
        return None if found is None else found[0]

    def update(self, table: str, row_id: object, changes: Mapping[str, object]) -> Row:
        """Change columns of a row.

        Raises:
            RowNotFound: there is no such row.
            StoreError: the row breaks a rule of the schema.
        """
        layout = self.store.layout(table)
        before = self.get(table, row_id)
        if before is None:
            raise RowNotFound(table, row_id)
        self._known(layout, changes)
        after = {**before, **changes}
        self._run("before", Event("update", table, before, after))
        final = {
            name: value
            for name, value in after.items()
            if name not in _SYSTEM_COLUMNS and (name in changes or value != before[name])
        }
        values = self._encode(layout, final)
        self._require(layout, values, given_only=True)
        merged = {**before, **values}
        self._references(layout, merged, [name for name in values if name in layout.table.columns])
        self._stamp(layout, values, before)
        assignments = ", ".join(f"{quoted(name)} = ?" for name in values)
        sql = f"UPDATE {quoted(table)} SET {assignments} WHERE {quoted(layout.table.id)} = ?"
        self._write(layout, sql, [*values.values(), _id(row_id)])
        updated = self.get(table, values.get(layout.table.id, row_id))
        assert updated is not None
        self._run("after", Event("update", table, before, updated))
        return updated

    def delete(self, table: str, row_id: object) -> None:
        """Delete a row and what its relations say goes with it; Dataverse remembers it for change tracking.

        Raises:
            RowNotFound: there is no such row.
            DeleteRestricted: rows that depend on it exist.
        """
        layout = self.store.layout(table)
        before = self.get(table, row_id)
        if before is None:
            raise RowNotFound(table, row_id)
        self._run("before", Event("delete", table, before, None))
        order = ("cascade", "restrict", "removelink") if layout.dataverse else ("restrict", "cascade", "removelink")
        relations = self.schema.referencing[table]
        for relation in sorted(relations, key=lambda item: order.index(item.on_delete)):
            self._release(relation, before, row_id)
        if self.get(table, row_id) is not None:
            sql = f"DELETE FROM {quoted(table)} WHERE {quoted(layout.table.id)} = ?"
            self._write(layout, sql, [_id(row_id)])
            if layout.dataverse:
                self._write(
                    layout,
                    "INSERT OR REPLACE INTO _deleted VALUES (?, ?, ?, ?)",
                    [table, _id(row_id), self.store._next_version(), self.store.clock.stamp()],
                )
            self._run("after", Event("delete", table, before, None))

    # -- the parts of a write

    def _release(self, relation: Relation, before: Row, row_id: object) -> None:
        target_values = [before[column] for column in relation.target_columns]
        if any(value is None or value == "" for value in target_values):
            return
        layout = self.store.layout(relation.table)
        conditions = [f"{quoted(column)} = ?" for column in relation.columns]
        values = [_id(value) for value in target_values]
        if layout.dataverse and layout.table.columns[relation.columns[0]].polymorphic:
            conditions.append(f"{quoted(relation.columns[0] + '@type')} = ?")
            values.append(relation.target)
        sql = f"SELECT {quoted(layout.table.id)} FROM {quoted(relation.table)} WHERE {' AND '.join(conditions)}"
        if relation.table == relation.target:
            sql += f" AND {quoted(layout.table.id)} <> ?"
            values.append(_id(row_id))
        dependents = [found[0] for found in self._connection.execute(sql, values).fetchall()]
        if not dependents:
            return
        if relation.on_delete == "restrict":
            raise DeleteRestricted(relation.target, row_id, layout.table.label)
        for dependent in dependents:
            if relation.on_delete == "cascade":
                if self.get(relation.table, dependent) is not None:
                    self.delete(relation.table, dependent)
            else:
                self.update(relation.table, dependent, {relation.columns[-1]: None})

    def _known(self, layout: _Layout, row: Mapping[str, object]) -> None:
        for name in row:
            if name not in layout.encoders and name not in _SYSTEM_COLUMNS:
                raise UnknownColumn(layout.table.name, name)

    def _with_defaults(self, layout: _Layout, row: Mapping[str, object]) -> Row:
        self._known(layout, row)
        after: Row = {}
        for column in layout.table.columns.values():
            after[column.name] = column.default
            if column.polymorphic:
                after[f"{column.name}@type"] = None
        after.update(row)
        if layout.dataverse:
            after.pop("versionnumber", None)
            now = self.store.clock.stamp()
            for name in ("createdon", "modifiedon"):
                if name in after and after[name] is None:
                    after[name] = now
            for name in ("createdby", "modifiedby"):
                if name in after and after[name] is None:
                    after[name] = APPLICATION_USER
            if after.get(layout.table.id) is None:
                after[layout.table.id] = new_id()
        return after

    def _encode(self, layout: _Layout, row: Mapping[str, object]) -> dict[str, SqlValue]:
        encoders = layout.encoders
        values = {name: encoders[name](value) for name, value in row.items() if name in encoders}
        for column in layout.table.lookups:
            if column.polymorphic and column.name in values:
                type_column = f"{column.name}@type"
                if values[column.name] is None:
                    values[type_column] = None
                elif values.get(type_column) is None:
                    raise Required(layout.table.name, type_column)
        return values

    def _require(self, layout: _Layout, values: Mapping[str, SqlValue], *, given_only: bool = False) -> None:
        for name in layout.required:
            if values.get(name) is None or values[name] == "":
                if given_only and name not in values:
                    continue
                raise Required(layout.table.name, name)

    def _references(self, layout: _Layout, values: Mapping[str, object], names: Iterable[str]) -> None:
        given = set(names)
        for column in layout.table.lookups:
            value = values.get(column.name)
            if column.name in given and value is not None:
                target = str(values[f"{column.name}@type"]) if column.polymorphic else next(iter(column.targets))
                own = target == layout.table.name and value == values.get(layout.table.id)
                if not own and not self._exists(target, (self.schema.tables[target].id,), (value,)):
                    raise ReferenceNotFound(layout.table.name, column.name, target, value)
        for relation in layout.table.relations:
            wanted = [values.get(column) for column in relation.columns]
            if given.isdisjoint(relation.columns) or any(value in (None, "", NO_GUID) for value in wanted):
                continue
            if relation.target == layout.table.name and self._names_itself(relation, values, wanted):
                continue
            if not self._exists(relation.target, relation.target_columns, wanted):
                raise ReferenceNotFound(layout.table.name, relation.columns[-1], relation.target, wanted[-1])

    @staticmethod
    def _names_itself(relation: Relation, values: Mapping[str, object], wanted: Sequence[object]) -> bool:
        own = [values.get(column) for column in relation.target_columns]
        return [str(value).lower() for value in own] == [str(value).lower() for value in wanted]

    def _exists(self, table: str, columns: Sequence[str], values: Sequence[object]) -> bool:
        where = " AND ".join(f"{quoted(column)} = ?" for column in columns)
        sql = f"SELECT 1 FROM {quoted(table)} WHERE {where} LIMIT 1"
        return self._connection.execute(sql, tuple(values)).fetchone() is not None

    def _insert(self, layout: _Layout, values: dict[str, SqlValue]) -> SqlValue:
        store = self.store
        if layout.dataverse:
            values["versionnumber"] = store._next_version()
            row_id = values[layout.table.id]
        else:
            now = store.clock.stamp()
            row_id = store._next_rec_id()
            values = {"RecId": row_id, "RecVersion": 1, "_created": now, "_modified": now, **values}
        columns = ", ".join(quoted(name) for name in values)
        marks = ", ".join("?" * len(values))
        sql = f"INSERT INTO {quoted(layout.table.name)} ({columns}) VALUES ({marks})"
        self._write(layout, sql, list(values.values()))
        return row_id

    def _stamp(self, layout: _Layout, values: dict[str, SqlValue], before: Row) -> None:
        now = self.store.clock.stamp()
        if layout.dataverse:
            values["versionnumber"] = self.store._next_version()
            values.update(layout.stamps(now))
        else:
            seed = f"{before['RecId']}.{before['RecVersion']}".encode()
            values["RecVersion"] = int.from_bytes(hashlib.blake2b(seed, digest_size=4).digest(), "big") >> 1
            values["_modified"] = now

    def _write(self, layout: _Layout, sql: str, values: Sequence[SqlValue]) -> None:
        if self._read_only:
            raise NotImplementedInSandbox("write", "this transaction only reads")
        try:
            self._connection.execute(sql, values)
        except sqlite3.IntegrityError as error:
            raise integrity_error(layout.table, error, values) from error

    def _run(self, when: When, event: Event) -> None:
        self._hooks_under_way += 1
        try:
            for hook in self.store._hooks.get((event.table, event.kind, when), ()):
                hook(self, event)
        finally:
            self._hooks_under_way -= 1


def integrity_error(table: Table, error: sqlite3.IntegrityError, values: Sequence[SqlValue] = ()) -> SandboxError:
    """The store error behind SQLite's ``UNIQUE constraint failed: account.accountnumber, ...``."""
    named = re.search(r"UNIQUE constraint failed: (.*)", str(error))
    columns = [part.partition(".")[2] for part in named[1].split(", ")] if named else []
    for key in table.keys:
        if list(key.columns) == columns:
            return DuplicateKey(table.name, key.name, key.columns)
    if columns == [table.id]:
        return DuplicateId(table.name, values[0] if values else "")
    return SandboxError(str(error))


class _Bulk:
    """The fast path of :meth:`Tx.insert_many`: rows are checked one by one and written by the thousand."""

    def __init__(self, tx: Tx, layout: _Layout) -> None:
        self._tx = tx
        self._layout = layout
        self._now = tx.store.clock.stamp()
        self._lookups: set[str] = set()

    def insert(self, rows: Iterable[Mapping[str, object]]) -> int:
        first_version, first_rec_id = self._tx.store._version, self._tx.store._rec_id
        count = 0
        shape: tuple[str, ...] | None = None
        batch: list[list[SqlValue]] = []
        sql = ""
        for row in rows:
            names = tuple(row)
            if names != shape or len(batch) >= _CHUNK:
                self._flush(sql, batch)
                if names != shape:
                    shape = names
                    sql, encode = self._plan(names)
            batch.append(encode(row))
            count += 1
        self._flush(sql, batch)
        self._check_references(first_version, first_rec_id)
        return count

    def update(self, changes: Iterable[tuple[object, Mapping[str, object]]]) -> int:
        """Change rows by id; consecutive ones with the same columns are written fastest."""
        first_version = self._tx.store._version
        count = 0
        for names, group in itertools.groupby(changes, key=lambda change: tuple(change[1])):
            sql, encode = self._update_plan(names)
            rows = [(*encode(values), _id(row_id)) for row_id, values in group]
            try:
                cursor = self._tx._connection.executemany(sql, rows)
            except sqlite3.IntegrityError as error:
                raise integrity_error(self._layout.table, error) from error
            if cursor.rowcount != len(rows):
                name = self._layout.table.name
                raise RowNotFound(name, next(row[-1] for row in rows if self._tx.get(name, row[-1]) is None))
            count += len(rows)
        if self._layout.dataverse:
            self._check_references(first_version, 0)
        return count

    def _update_plan(self, names: tuple[str, ...]) -> tuple[str, Callable[[Mapping[str, object]], list[SqlValue]]]:
        layout, store, table = self._layout, self._tx.store, self._layout.table
        self._tx._known(layout, dict.fromkeys(names))
        self._lookups.update(names)
        for column in table.lookups:
            if column.polymorphic and column.name in names and f"{column.name}@type" not in names:
                raise Required(table.name, f"{column.name}@type")
        given = [(name, layout.encoders[name]) for name in names if name not in _SYSTEM_COLUMNS]
        stamped: dict[str, SqlValue] = layout.stamps(self._now) if layout.dataverse else {"_modified": self._now}
        stamps = list(stamped.values())
        columns = [name for name, _ in given] + list(stamped)
        assigned = [f"{quoted(name)} = ?" for name in (*columns, *(["versionnumber"] if layout.dataverse else []))]
        if not layout.dataverse:
            # Any other number will do: it only has to differ from the one before.
            assigned.append('"RecVersion" = ("RecVersion" * 1103515245 + 12345) & 2147483647')

        def encode(values: Mapping[str, object]) -> list[SqlValue]:
            version = [store._next_version()] if layout.dataverse else []
            return [*(check(values[name]) for name, check in given), *stamps, *version]

        return f"UPDATE {quoted(table.name)} SET {', '.join(assigned)} WHERE {quoted(table.id)} = ?", encode

    def _flush(self, sql: str, batch: list[list[SqlValue]]) -> None:
        if batch:
            try:
                self._tx._connection.executemany(sql, batch)
            except sqlite3.IntegrityError as error:
                raise integrity_error(self._layout.table, error) from error
            batch.clear()

    def _plan(self, names: tuple[str, ...]) -> tuple[str, Callable[[Mapping[str, object]], list[SqlValue]]]:
        layout, store, table = self._layout, self._tx.store, self._layout.table
        self._tx._known(layout, dict.fromkeys(names))
        self._lookups.update(names)
        given = [(name, layout.encoders[name]) for name in names if name in layout.encoders]
        constants: dict[str, SqlValue] = {}
        if layout.dataverse:
            constants = {name: value for name, value in layout.defaults.items() if name not in names}
            stamps = {
                "createdon": self._now,
                "modifiedon": self._now,
                "createdby": APPLICATION_USER,
                "modifiedby": APPLICATION_USER,
            }
            constants |= {k: v for k, v in stamps.items() if k in layout.encoders and k not in names}
            given = [(name, encode) for name, encode in given if name != "versionnumber"]
        for name in layout.required:
            if name not in names and name not in constants:
                raise Required(table.name, name)
        polymorphic = [
            (names.index(column.name), column.name)
            for column in table.lookups
            if column.polymorphic and column.name in names and f"{column.name}@type" not in names
        ]
        if polymorphic:
            raise Required(table.name, f"{polymorphic[0][1]}@type")
        fixed = list(constants.values())
        without_id = layout.dataverse and table.id not in names
        columns = [name for name, _ in given] + list(constants)
        if layout.dataverse:
            columns += ["versionnumber"] + ([table.id] if without_id else [])
        else:
            columns += ["RecId", "RecVersion", "_created", "_modified"]
        marks = ", ".join("?" * len(columns))
        listed = ", ".join(quoted(name) for name in columns)
        sql = f"INSERT INTO {quoted(table.name)} ({listed}) VALUES ({marks})"
        now = self._now

        def encode_dataverse(row: Mapping[str, object]) -> list[SqlValue]:
            values = [encode(row[name]) for name, encode in given]
            values += fixed
            values.append(store._next_version())
            if without_id:
                values.append(new_id())
            return values

        def encode_finance(row: Mapping[str, object]) -> list[SqlValue]:
            values = [encode(row[name]) for name, encode in given]
            values += (store._next_rec_id(), 1, now, now)
            return values

        return sql, encode_dataverse if layout.dataverse else encode_finance

    def _check_references(self, first_version: int, first_rec_id: int) -> None:
        layout, table, schema = self._layout, self._layout.table, self._tx.schema
        source = quoted(table.name)
        since = f"s.versionnumber > {first_version}" if layout.dataverse else f's."RecId" >= {first_rec_id}'
        for column in table.lookups:
            if column.name in self._lookups:
                for target in column.targets:
                    condition = f"s.{quoted(column.name)} IS NOT NULL"
                    if column.polymorphic:
                        condition += f" AND s.{quoted(column.name + '@type')} = '{target}'"
                    join = f"t.{quoted(schema.tables[target].id)} = s.{quoted(column.name)}"
                    self._check(source, since, condition, target, join, column.name)
        for relation in table.relations:
            if not self._lookups.isdisjoint(relation.columns):
                condition = " AND ".join(f"s.{quoted(column)} NOT IN ('', '{NO_GUID}')" for column in relation.columns)
                pairs = zip(relation.columns, relation.target_columns, strict=True)
                join = " AND ".join(f"t.{quoted(theirs)} = s.{quoted(ours)}" for ours, theirs in pairs)
                self._check(source, since, condition, relation.target, join, relation.columns[-1])

    def _check(self, source: str, since: str, condition: str, target: str, join: str, column: str) -> None:
        sql = (
            f"SELECT s.{quoted(column)} FROM {source} s WHERE {since} AND {condition} "
            f"AND NOT EXISTS (SELECT 1 FROM {quoted(target)} t WHERE {join}) LIMIT 1"
        )
        missing = self._tx._connection.execute(sql).fetchone()
        if missing is not None:
            raise ReferenceNotFound(self._layout.table.name, column, target, missing[0])


def _id(value: object) -> SqlValue:
    if isinstance(value, str):
        return value.lower() if len(value) == 36 else value
    assert value is None or isinstance(value, int)
    return value


class Store:
    """The rows of one system.

    Args:
        path: the SQLite file; created when missing.
        schema: the system's tables.
        clock: gives ``createdon``, ``modifiedon`` and the time of deletions.

    Raises:
        SandboxError: the file was written with other tables than ``schema`` has.
    """

    def __init__(self, path: Path, schema: SystemSchema, clock: Clock) -> None:
        self.path = path
        self.schema = schema
        self.clock = clock
        self._layouts = {name: _Layout(schema, table) for name, table in schema.tables.items()}
        self._hooks: dict[tuple[str, EventKind, When], list[Hook]] = {}
        self._lock = threading.RLock()
        self._active: Tx | None = None
        self._readers: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = self._connect()
        self._version = 0
        self._rec_id = FIRST_REC_ID
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
        statements = [statement for layout in self._layouts.values() for statement in layout.ddl()]
        fingerprint = hashlib.sha256("\n".join(statements).encode()).hexdigest()
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
        if meta_values["schema"] != fingerprint:
            raise SandboxError(f"{self.path} was written with other tables; remove it or reset the sandbox")
        self._version, self._rec_id = int(meta_values["version"]), int(meta_values["rec_id"])

    def _first_rows(self) -> None:
        """A tenant is never empty: the application user that every request acts as is there from the start."""
        if self.schema.system == "dataverse":
            with self.transaction() as tx:
                tx.insert("systemuser", {"systemuserid": APPLICATION_USER, "fullname": "# Integration application"})

    def layout(self, table: str) -> _Layout:
        """How the table is held.

        Raises:
            UnknownTable: the system has no such table.
        """
        try:
            return self._layouts[table]
        except KeyError:
            raise UnknownTable(table) from None

    def on(self, table: str, kinds: set[EventKind], fn: Hook, *, when: When = "after") -> None:
        """Let ``fn`` see writes to ``table``.

        Args:
            table: logical name or entity set.
            kinds: which writes.
            fn: called inside the transaction; what it raises undoes the write.
            when: ``before`` the write (``event.after`` may still be changed) or ``after`` it.
        """
        self.layout(table)
        for kind in kinds:
            self._hooks.setdefault((table, kind, when), []).append(fn)

    def hooked(self, table: str) -> set[tuple[str, EventKind]]:
        """Which writes to the table have hooks."""
        return {(name, kind) for name, kind, _ in self._hooks if name == table}

    @contextmanager
    def transaction(self, *, outside: bool = False) -> Iterator[Tx]:
        """A write transaction: committed at the end, undone when an exception leaves it.

        There is one at a time; within one of the same thread it joins that one.

        Args:
            outside: whether a caller of the API writes, rather than the system itself.
        """
        with self._lock:
            if self._active is not None:
                yield self._active
                return
            version, rec_id = self._version, self._rec_id
            self._writer.execute("BEGIN IMMEDIATE")
            self._active = Tx(self, self._writer, outside=outside)
            try:
                yield self._active
                self._writer.execute("UPDATE _meta SET value = ? WHERE name = 'version'", (self._version,))
                self._writer.execute("UPDATE _meta SET value = ? WHERE name = 'rec_id'", (self._rec_id,))
                self._writer.execute("COMMIT")
            except BaseException:
                self._version, self._rec_id = version, rec_id
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
            for table in [*self._layouts, "_deleted"]:
                tx.query(f"DELETE FROM {quoted(table)}")
            self._rec_id = FIRST_REC_ID
            # The version goes on, and change tokens given before the reset expire: they must not look like later ones.
            self.expire_changes()
            self._first_rows()

    def expire_changes(self) -> None:
        """Let every change token given so far count as expired."""
        with self.transaction() as tx:
            tx.query("UPDATE _meta SET value = ? WHERE name = 'change_floor'", (self._next_version(),))

    def save(self, path: Path) -> None:
        """Copy all rows, deletions and counters into a file, which is overwritten."""
        with self._lock, closing(sqlite3.connect(path)) as target:
            self._writer.backup(target)

    def load(self, path: Path) -> None:
        """Go back to what :meth:`save` wrote; versions and record ids go on from there.

        Raises:
            SandboxError: the file was written with other tables.
        """
        query = "SELECT name, value FROM _meta"
        with self._lock, closing(sqlite3.connect(path)) as source:
            saved, own = (dict(one.execute(query).fetchall()) for one in (source, self._writer))
            if saved["schema"] != own["schema"]:
                raise SandboxError(f"{path} was written with other tables")
            source.backup(self._writer)
            self._version, self._rec_id = int(saved["version"]), int(saved["rec_id"])

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._writer.close()
            while True:
                try:
                    self._readers.get_nowait().close()
                except queue.Empty:
                    return

    def _next_version(self) -> int:
        self._version += 1
        return self._version

    def _next_rec_id(self) -> int:
        self._rec_id += 1
        return self._rec_id - 1
