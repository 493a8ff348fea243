"""The one place that reads and writes Parquet, and opens DuckDB over it.

Frames are pandas frames with Arrow-backed types, so that money stays ``decimal128`` and no column is ever of object
type. Paths are :class:`upath.UPath`: local disk or object storage, whatever the URL says.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from types import TracebackType
from typing import Any, Self

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from upath import UPath

from dualsync.closing import Closing
from dualsync.sql import literal, quoted

__all__ = [
    "CHUNK_ROWS",
    "ParquetSink",
    "Sets",
    "count_rows",
    "iter_tables",
    "literal",
    "quoted",
    "read_table",
    "to_arrow",
    "to_pandas",
    "write_rows",
    "write_table",
]

CHUNK_ROWS = 50_000
"""Rows held in memory at once by a step."""

_MEMORY_LIMIT = "1GB"


def to_pandas(table: pa.Table | pa.RecordBatch) -> pd.DataFrame:
    """An Arrow table as a frame whose columns keep their Arrow types."""
    if isinstance(table, pa.RecordBatch):
        table = pa.Table.from_batches([table])
    frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype, ignore_metadata=True)
    return frame


def to_arrow(frame: pd.DataFrame, schema: pa.Schema | None = None) -> pa.Table:
    """A frame as an Arrow table, cast to ``schema`` where one is given."""
    return pa.Table.from_pandas(frame, schema=schema, preserve_index=False).replace_schema_metadata(None)


class ParquetSink:
    """Writes one Parquet file piece by piece; the file is complete only after a clean exit.

    Args:
        path: The file to write.
        schema: The Arrow schema that every piece must have.
    """

    def __init__(self, path: UPath, schema: pa.Schema) -> None:
        self.path = path
        self.schema = schema
        self.rows = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("wb")
        self._writer = pq.ParquetWriter(self._file, schema, compression="zstd")

    def write_rows(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append rows given as dicts; a missing name is null.

        Raises:
            pyarrow.ArrowInvalid: A value does not fit its column's type.
        """
        if rows:
            columns = [pa.array([row.get(field.name) for row in rows], type=field.type) for field in self.schema]
            self.write(pa.Table.from_arrays(columns, schema=self.schema))

    def write(self, piece: pa.Table | pa.RecordBatch | pd.DataFrame) -> None:
        """Append a piece that has this file's schema."""
        if isinstance(piece, pd.DataFrame):
            piece = to_arrow(piece, self.schema)
        if isinstance(piece, pa.RecordBatch):
            piece = pa.Table.from_batches([piece])
        self.rows += piece.num_rows
        self._writer.write_table(piece)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
        self._file.close()


def write_table(path: UPath, table: pa.Table) -> int:
    """Write a whole table to one Parquet file and return its number of rows."""
    with ParquetSink(path, table.schema) as sink:
        sink.write(table)
    return int(table.num_rows)


def write_rows(path: UPath, schema: pa.Schema, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write rows given as dicts to one Parquet file, in pieces, and return their number."""
    with ParquetSink(path, schema) as sink:
        piece: list[Mapping[str, Any]] = []
        for row in rows:
            piece.append(row)
            if len(piece) == CHUNK_ROWS:
                sink.write_rows(piece)
                piece = []
        sink.write_rows(piece)
        return sink.rows


def read_table(path: UPath, columns: Sequence[str] | None = None) -> pa.Table:
    """Read one Parquet file as an Arrow table."""
    with path.open("rb") as file:
        return pq.read_table(file, columns=list(columns) if columns is not None else None)


def read_schema(path: UPath) -> pa.Schema:
    """The Arrow schema of one Parquet file, from its footer."""
    with path.open("rb") as file:
        return pq.read_schema(file)


def iter_tables(path: UPath, rows: int = CHUNK_ROWS) -> Iterator[pa.Table]:
    """Read one Parquet file in pieces of at most ``rows`` rows."""
    with path.open("rb") as file:
        for batch in pq.ParquetFile(file).iter_batches(batch_size=rows):
            yield pa.Table.from_batches([batch])


def count_rows(path: UPath) -> int:
    """The number of rows of one Parquet file, from its footer."""
    with path.open("rb") as file:
        return int(pq.ParquetFile(file).metadata.num_rows)


@cache
def _database(process: int) -> duckdb.DuckDBPyConnection:
    """The database of this process, in memory; opening one costs more than most queries of a small leg.

    A forked process must not use its parent's, so the process id is part of the key.
    """
    assert process == os.getpid()
    return duckdb.connect(
        config={
            "memory_limit": _MEMORY_LIMIT,
            "threads": 2,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )


class Sets(Closing):
    """A DuckDB connection for set work over Parquet files: joins, differences, counts.

    Views and tables are temporary and its own, so that several can be open at once.

    Nothing is installed or loaded from outside; files on object storage are read through fsspec. Use as a context
    manager.
    """

    def __init__(self) -> None:
        self.connection = _database(os.getpid()).cursor()

    def view(self, name: str, path: UPath) -> None:
        """Make a Parquet file readable in SQL under ``name``."""
        self.run(
            f"CREATE OR REPLACE TEMP VIEW {quoted(name)} AS SELECT * FROM read_parquet({literal(self._url(path))})"
        )

    def table(self, name: str, data: pa.Table) -> None:
        """Make an Arrow table readable in SQL under ``name``."""
        self.connection.register(name, data)

    def fetch(self, sql: str) -> pa.Table:
        """The result of a query as one Arrow table; for results known to be small."""
        return self.connection.sql(sql).to_arrow_table()

    def stream(self, sql: str, rows: int = CHUNK_ROWS) -> Iterator[pa.Table]:
        """The result of a query in pieces of about ``rows`` rows."""
        for batch in self._reader(sql, rows):
            if batch.num_rows:
                yield pa.Table.from_batches([batch])

    def save(self, sql: str, path: UPath) -> int:
        """Write the result of a query to a Parquet file without holding it, and return its number of rows."""
        reader = self._reader(sql, CHUNK_ROWS)
        with ParquetSink(path, reader.schema) as sink:
            for batch in reader:
                if batch.num_rows:
                    sink.write(batch)
            return sink.rows

    def _reader(self, sql: str, rows: int) -> pa.RecordBatchReader:
        return self.connection.sql(sql).to_arrow_reader(rows)

    def scalar(self, sql: str) -> Any:
        """The single value of a query, None when it has no row."""
        rows = self.connection.execute(sql).fetchall()
        return rows[0][0] if rows else None

    def run(self, sql: str) -> None:
        """Execute a statement that has no result to read."""
        # A connection refuses other work while a result of it is not read to its end.
        self.connection.execute(sql).fetchall()

    def columns_of(self, sql: str) -> list[str]:
        """Names of the columns that a query gives; it is bound, not run.

        Raises:
            duckdb.BinderException: It uses a column that is not there.
            duckdb.CatalogException: It reads a table that is not there.
        """
        return list(self.connection.sql(sql).columns)

    def limit_memory(self, limit: str = _MEMORY_LIMIT) -> None:
        """Let the database of this process take no more than this; what does not fit goes to disk."""
        self.run(f"SET memory_limit = {literal(limit)}")

    def close(self) -> None:
        """Close the connection; the database of the process stays."""
        self.connection.close()

    def _url(self, path: UPath) -> str:
        if path.protocol in ("", "file", "local"):
            return path.path
        if path.protocol not in self.connection.list_filesystems():
            self.connection.register_filesystem(path.fs)
        return str(path)
