"""The fast path for many rows: they are checked one by one and written by the thousand."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Iterable, Mapping

from dualsync_sandbox.errors import ReferenceNotFound, Required, RowNotFound
from dualsync_sandbox.schema import APPLICATION_USER, NO_GUID
from dualsync_sandbox.store.catalog import Catalog
from dualsync_sandbox.store.layout import SYSTEM_COLUMNS, Layout, integrity_error, new_id, quoted, row_id_value
from dualsync_sandbox.store.values import SqlValue

_CHUNK = 5_000


class Bulk:
    """Inserts or updates many rows of one table; see ``Tx.insert_many`` and ``Tx.update_many``.

    Args:
        catalog: Of the store.
        connection: Of the transaction.
        layout: The table.
    """

    def __init__(self, catalog: Catalog, connection: sqlite3.Connection, layout: Layout) -> None:
        self._catalog = catalog
        self._connection = connection
        self._layout = layout
        self._now = catalog.clock.stamp()
        self._lookups: set[str] = set()

    def insert(self, rows: Iterable[Mapping[str, object]]) -> int:
        """Create rows; consecutive ones with the same columns are written fastest."""
        first_version, first_rec_id = self._catalog.version, self._catalog.rec_id
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
        first_version = self._catalog.version
        count = 0
        for names, group in itertools.groupby(changes, key=lambda change: tuple(change[1])):
            sql, encode = self._update_plan(names)
            rows = [(*encode(values), row_id_value(row_id)) for row_id, values in group]
            try:
                cursor = self._connection.executemany(sql, rows)
            except sqlite3.IntegrityError as error:
                raise integrity_error(self._layout.table, error) from error
            if cursor.rowcount != len(rows):
                name = self._layout.table.name
                raise RowNotFound(name, next(row[-1] for row in rows if not self._exists(row[-1])))
            count += len(rows)
        if self._layout.dataverse:
            self._check_references(first_version, 0)
        return count

    def _exists(self, row_id: SqlValue) -> bool:
        table = self._layout.table
        sql = f"SELECT 1 FROM {quoted(table.name)} WHERE {quoted(table.id)} = ?"
        return self._connection.execute(sql, (row_id,)).fetchone() is not None

    def _update_plan(self, names: tuple[str, ...]) -> tuple[str, Callable[[Mapping[str, object]], list[SqlValue]]]:
        layout, catalog, table = self._layout, self._catalog, self._layout.table
        layout.check_names(names)
        self._lookups.update(names)
        for column in table.lookups:
            if column.polymorphic and column.name in names and f"{column.name}@type" not in names:
                raise Required(table.name, f"{column.name}@type")
        given = [(name, layout.encoders[name]) for name in names if name not in SYSTEM_COLUMNS]
        stamped: dict[str, SqlValue] = layout.stamps(self._now) if layout.dataverse else {"_modified": self._now}
        stamps = list(stamped.values())
        columns = [name for name, _ in given] + list(stamped)
        assigned = [f"{quoted(name)} = ?" for name in (*columns, *(["versionnumber"] if layout.dataverse else []))]
        if not layout.dataverse:
            # Any other number will do: it only has to differ from the one before.
            assigned.append('"RecVersion" = ("RecVersion" * 1103515245 + 12345) & 2147483647')

        def encode(values: Mapping[str, object]) -> list[SqlValue]:
            version = [catalog.next_version()] if layout.dataverse else []
            return [*(check(values[name]) for name, check in given), *stamps, *version]

        return f"UPDATE {quoted(table.name)} SET {', '.join(assigned)} WHERE {quoted(table.id)} = ?", encode

    def _flush(self, sql: str, batch: list[list[SqlValue]]) -> None:
        if batch:
            try:
                self._connection.executemany(sql, batch)
            except sqlite3.IntegrityError as error:
                raise integrity_error(self._layout.table, error) from error
            batch.clear()

    def _plan(self, names: tuple[str, ...]) -> tuple[str, Callable[[Mapping[str, object]], list[SqlValue]]]:
        layout, catalog, table = self._layout, self._catalog, self._layout.table
        layout.check_names(names)
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
            values.append(catalog.next_version())
            if without_id:
                values.append(new_id())
            return values

        def encode_finance(row: Mapping[str, object]) -> list[SqlValue]:
            values = [encode(row[name]) for name, encode in given]
            values += (catalog.next_rec_id(), 1, now, now)
            return values

        return sql, encode_dataverse if layout.dataverse else encode_finance

    def _check_references(self, first_version: int, first_rec_id: int) -> None:
        layout, table, schema = self._layout, self._layout.table, self._catalog.schema
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
        missing = self._connection.execute(sql).fetchone()
        if missing is not None:
            raise ReferenceNotFound(self._layout.table.name, column, target, missing[0])
