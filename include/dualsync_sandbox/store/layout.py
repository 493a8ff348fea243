"""One table as SQLite holds it: its columns in order, what creates it, and how rows go in and come out."""

from __future__ import annotations

import re
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from dualsync_sandbox.errors import DuplicateId, DuplicateKey, ReferenceNotFound, Required, SandboxError, UnknownColumn
from dualsync_sandbox.schema import APPLICATION_USER, Column, SystemSchema, Table
from dualsync_sandbox.store.values import Decoder, Encoder, SqlValue, decoder, encoder, sql_default

Row = dict[str, Any]
"""A row by column; what kind a value is of, its column says."""

#: Columns that the store fills itself.
SYSTEM_COLUMNS = frozenset({"versionnumber", "RecId", "RecVersion"})
#: Finance relations that deletes and business rules look up often, hence indexed.
_INDEXED_TARGETS = frozenset({"ProjectContractHeaders", "ProjectsV2", "CustomersV3", "Workers", "ProjActualsImports"})
_UNINDEXED_LOOKUPS = frozenset({"ownerid", "createdby", "modifiedby", "transactioncurrencyid"})


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


class Layout:
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
        made = self._finders.get(names)
        if made is None:
            condition = " AND ".join(f"{quoted(name)} IS ?" for name in names)
            sql = f"SELECT {quoted(self.table.id)} FROM {quoted(self.table.name)} WHERE {condition} LIMIT 1"
            encoders = [(name, None if self.compared_as_given(name) else self.encoders[name]) for name in names]

            def encode(values: Mapping[str, object]) -> list[SqlValue]:
                return [
                    values[name] if check is None or values[name] is None else check(values[name])  # type: ignore[misc]
                    for name, check in encoders
                ]

            made = self._finders[names] = sql, encode
        return made

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
            row[name] = decode(row[name])
        return row

    def check_names(self, names: Iterable[str]) -> None:
        """Refuse columns that the table does not have.

        Raises:
            UnknownColumn: There is no such column.
        """
        for name in names:
            if name not in self.encoders and name not in SYSTEM_COLUMNS:
                raise UnknownColumn(self.table.name, name)

    def encode(self, row: Mapping[str, object]) -> dict[str, SqlValue]:
        """Values as SQLite holds them, checked by the schema; a lookup to one of several tables names which.

        Raises:
            StoreError: A value that its column does not take.
        """
        values = {name: self.encoders[name](value) for name, value in row.items() if name in self.encoders}
        for column in self.table.lookups:
            if column.polymorphic and column.name in values:
                type_column = f"{column.name}@type"
                if values[column.name] is None:
                    values[type_column] = None
                elif values.get(type_column) is None:
                    raise Required(self.table.name, type_column)
        return values

    def require(self, values: Mapping[str, SqlValue], *, given_only: bool = False) -> None:
        """Refuse a row that lacks a required value; ``given_only`` looks only at the columns that are given.

        Raises:
            Required: A value is missing.
        """
        for name in self.required:
            if values.get(name) is None or values[name] == "":
                if given_only and name not in values:
                    continue
                raise Required(self.table.name, name)


def _target_encoder(table: Table, column: Column) -> Encoder:
    name = f"{column.name}@type"

    def check(value: object) -> SqlValue:
        if value is None:
            return None
        if value not in column.targets:
            raise ReferenceNotFound(table.name, name, " or ".join(column.targets), value)
        return str(value)

    return check


def row_id_value(value: object) -> SqlValue:
    """A row id as SQLite holds it: GUIDs in lower case."""
    if isinstance(value, str):
        return value.lower() if len(value) == 36 else value
    assert value is None or isinstance(value, int)
    return value


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
