"""Transactions: how seeds, the business and the APIs read and write rows, each write with its checks and hooks."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from dualsync_sandbox.errors import (
    DeleteRestricted,
    NotImplementedInSandbox,
    ReferenceNotFound,
    RowNotFound,
    UnknownColumn,
)
from dualsync_sandbox.schema import APPLICATION_USER, NO_GUID, Relation
from dualsync_sandbox.store.bulk import Bulk
from dualsync_sandbox.store.catalog import Catalog, Event, When
from dualsync_sandbox.store.layout import SYSTEM_COLUMNS, Layout, Row, integrity_error, new_id, quoted, row_id_value
from dualsync_sandbox.store.values import SqlValue


class Tx:
    """A transaction. Rows go in and out as dictionaries keyed by column; ``dualsync_sandbox.store.values`` says how."""

    def __init__(
        self, store: Catalog, connection: sqlite3.Connection, *, read_only: bool = False, outside: bool = False
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
        found = self._connection.execute(sql, (row_id_value(row_id),)).fetchone()
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
            return self.store.version
        return int(self._connection.execute("SELECT value FROM _meta WHERE name = 'version'").fetchone()[0])

    @property
    def change_floor(self) -> int:
        """Change tokens of a version before this one have expired."""
        return int(self._connection.execute("SELECT value FROM _meta WHERE name = 'change_floor'").fetchone()[0])

    def _where(self, layout: Layout, equals: Mapping[str, object]) -> tuple[str, list[SqlValue]]:
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
            StoreError: The row breaks a rule of the schema; see ``dualsync_sandbox.errors``.
        """
        layout = self.store.layout(table)
        after = self._with_defaults(layout, row)
        self._run("before", Event("create", table, None, after))
        values = layout.encode(after)
        layout.require(values)
        self._references(layout, values, layout.table.columns)
        row_id = self._insert(layout, values)
        created = self.get(table, row_id)
        assert created is not None
        self._run("after", Event("create", table, None, created))
        return created

    def insert_many(self, table: str, rows: Iterable[Mapping[str, object]], hooks: bool = True) -> int:
        """Create many rows; references are checked when all are in, so rows may refer to each other.

        Args:
            table: Logical name or entity set.
            rows: The rows; consecutive rows with the same columns are written fastest.
            hooks: Whether the business sees each row. Without, or where it does not care, the bulk path is taken.

        Returns:
            How many rows were created.
        """
        if hooks and any(kind == "create" for _, kind in self.store.hooked(table)):
            count = 0
            for row in rows:
                self.insert(table, row)
                count += 1
            return count
        return Bulk(self.store, self._connection, self.store.layout(table)).insert(rows)

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
            table: Logical name or entity set.
            changes: Id of each row and what changes in it; rows that change the same columns are written fastest when
                they follow each other.
            hooks: Whether the business sees each row. Without, or where it does not care, the bulk path is taken, which
                checks values and references but not required columns: it is for what the business itself knows.

        Returns:
            How many rows were changed.

        Raises:
            RowNotFound: One of the rows is not there.
        """
        if hooks and any(kind == "update" for _, kind in self.store.hooked(table)):
            count = 0
            for row_id, values in changes:
                self.update(table, row_id, values)
                count += 1
            return count
        return Bulk(self.store, self._connection, self.store.layout(table)).update(changes)

    def id_of(self, table: str, values: Mapping[str, object]) -> str | None:
        """The id of the row with these values; the first, if there are more."""
        layout = self.store.layout(table)
        sql, encode = layout.finder(tuple(values))
        found = self._connection.execute(sql, encode(values)).fetchone()
        return None if found is None else found[0]

    def update(self, table: str, row_id: object, changes: Mapping[str, object]) -> Row:
        """Change columns of a row.

        Raises:
            RowNotFound: There is no such row.
            StoreError: The row breaks a rule of the schema.
        """
        layout = self.store.layout(table)
        before = self.get(table, row_id)
        if before is None:
            raise RowNotFound(table, row_id)
        layout.check_names(changes)
        after = {**before, **changes}
        self._run("before", Event("update", table, before, after))
        final = {
            name: value
            for name, value in after.items()
            if name not in SYSTEM_COLUMNS and (name in changes or value != before[name])
        }
        values = layout.encode(final)
        layout.require(values, given_only=True)
        merged = {**before, **values}
        self._references(layout, merged, [name for name in values if name in layout.table.columns])
        self._stamp(layout, values, before)
        assignments = ", ".join(f"{quoted(name)} = ?" for name in values)
        sql = f"UPDATE {quoted(table)} SET {assignments} WHERE {quoted(layout.table.id)} = ?"
        self._write(layout, sql, [*values.values(), row_id_value(row_id)])
        updated = self.get(table, values.get(layout.table.id, row_id))
        assert updated is not None
        self._run("after", Event("update", table, before, updated))
        return updated

    def delete(self, table: str, row_id: object) -> None:
        """Delete a row and what its relations say goes with it; Dataverse remembers it for change tracking.

        Raises:
            RowNotFound: There is no such row.
            DeleteRestricted: Rows that depend on it exist.
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
            self._write(layout, sql, [row_id_value(row_id)])
            if layout.dataverse:
                self._write(
                    layout,
                    "INSERT OR REPLACE INTO _deleted VALUES (?, ?, ?, ?)",
                    [table, row_id_value(row_id), self.store.next_version(), self.store.clock.stamp()],
                )
            self._run("after", Event("delete", table, before, None))

    # -- the parts of a write

    def _release(self, relation: Relation, before: Row, row_id: object) -> None:
        target_values = [before[column] for column in relation.target_columns]
        if any(value is None or value == "" for value in target_values):
            return
        layout = self.store.layout(relation.table)
        conditions = [f"{quoted(column)} = ?" for column in relation.columns]
        values = [row_id_value(value) for value in target_values]
        if layout.dataverse and layout.table.columns[relation.columns[0]].polymorphic:
            conditions.append(f"{quoted(relation.columns[0] + '@type')} = ?")
            values.append(relation.target)
        sql = f"SELECT {quoted(layout.table.id)} FROM {quoted(relation.table)} WHERE {' AND '.join(conditions)}"
        if relation.table == relation.target:
            sql += f" AND {quoted(layout.table.id)} <> ?"
            values.append(row_id_value(row_id))
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

    def _with_defaults(self, layout: Layout, row: Mapping[str, object]) -> Row:
        layout.check_names(row)
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

    def _references(self, layout: Layout, values: Mapping[str, object], names: Iterable[str]) -> None:
        given = set(names)
        for column in layout.table.lookups:
            value = values.get(column.name)
            if column.name in given and value is not None:
                target = str(values[f"{column.name}@type"]) if column.polymorphic else next(iter(column.targets))
                own = target == layout.table.name and value == values.get(layout.table.id)
                if not own and not self._exists(target, (self.schema.tables[target].id,), (value,)):
                    raise ReferenceNotFound(layout.table.name, column.name, target, value)
        for relation in layout.table.relations:
            target_values = [values.get(column) for column in relation.columns]
            if given.isdisjoint(relation.columns) or any(value in (None, "", NO_GUID) for value in target_values):
                continue
            if relation.target == layout.table.name and self._names_itself(relation, values, target_values):
                continue
            if not self._exists(relation.target, relation.target_columns, target_values):
                raise ReferenceNotFound(layout.table.name, relation.columns[-1], relation.target, target_values[-1])

    @staticmethod
    def _names_itself(relation: Relation, values: Mapping[str, object], target_values: Sequence[object]) -> bool:
        own = [values.get(column) for column in relation.target_columns]
        return [str(value).lower() for value in own] == [str(value).lower() for value in target_values]

    def _exists(self, table: str, columns: Sequence[str], values: Sequence[object]) -> bool:
        where = " AND ".join(f"{quoted(column)} = ?" for column in columns)
        sql = f"SELECT 1 FROM {quoted(table)} WHERE {where} LIMIT 1"
        return self._connection.execute(sql, tuple(values)).fetchone() is not None

    def _insert(self, layout: Layout, values: dict[str, SqlValue]) -> SqlValue:
        store = self.store
        if layout.dataverse:
            values["versionnumber"] = store.next_version()
            row_id = values[layout.table.id]
        else:
            now = store.clock.stamp()
            row_id = store.next_rec_id()
            values = {"RecId": row_id, "RecVersion": 1, "_created": now, "_modified": now, **values}
        columns = ", ".join(quoted(name) for name in values)
        marks = ", ".join("?" * len(values))
        sql = f"INSERT INTO {quoted(layout.table.name)} ({columns}) VALUES ({marks})"
        self._write(layout, sql, list(values.values()))
        return row_id

    def _stamp(self, layout: Layout, values: dict[str, SqlValue], before: Row) -> None:
        now = self.store.clock.stamp()
        if layout.dataverse:
            values["versionnumber"] = self.store.next_version()
            values.update(layout.stamps(now))
        else:
            seed = f"{before['RecId']}.{before['RecVersion']}".encode()
            values["RecVersion"] = int.from_bytes(hashlib.blake2b(seed, digest_size=4).digest(), "big") >> 1
            values["_modified"] = now

    def _write(self, layout: Layout, sql: str, values: Sequence[SqlValue]) -> None:
        if self._read_only:
            raise NotImplementedInSandbox("write", "this transaction only reads")
        try:
            self._connection.execute(sql, values)
        except sqlite3.IntegrityError as error:
            raise integrity_error(layout.table, error, values) from error

    def _run(self, when: When, event: Event) -> None:
        self._hooks_under_way += 1
        try:
            for hook in self.store.hooks.get((event.table, event.kind, when), ()):
                hook(self, event)
        finally:
            self._hooks_under_way -= 1


#: What listens to writes: called inside the transaction; what it raises undoes the write.
Hook = Callable[[Tx, Event], None]
