"""SQL that can be read afterwards: what a reconcile step asked stands in its folder, and can be run there by hand."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
from upath import UPath

from dualsync.frames import CHUNK_ROWS, Sets, write_table
from dualsync.sync.legs.folders import LegFolder

FILE = "reconcile.sql"


class Script(Sets):
    """A DuckDB connection that remembers every statement; its tables are files of the leg's folder.

    Args:
        folder: The folder of the leg's attempt.
    """

    def __init__(self, folder: LegFolder) -> None:
        super().__init__()
        self._folder = folder
        self._statements: list[str] = []

    def table(self, name: str, data: pa.Table) -> None:
        """Make an Arrow table readable in SQL, as a file, so that the statements over it can be run by hand."""
        path = self._folder.file(f"sql/{name}.parquet")
        write_table(path, data)
        self.view(name, path)

    def run(self, sql: str) -> None:
        """Execute a statement that has no result to read."""
        self._statements.append(sql)
        super().run(sql)

    def fetch(self, sql: str) -> pa.Table:
        """The result of a query as one Arrow table; for results known to be small."""
        self._statements.append(sql)
        return super().fetch(sql)

    def stream(self, sql: str, rows: int = CHUNK_ROWS) -> Iterator[pa.Table]:
        """The result of a query in pieces of about ``rows`` rows."""
        self._statements.append(sql)
        return super().stream(sql, rows)

    def save(self, sql: str, path: UPath) -> int:
        """Write the result of a query to a Parquet file, and return its number of rows."""
        self._statements.append(f"{sql} -- saved as {path.name}" if "\n" not in sql else sql)
        return super().save(sql, path)

    def write(self) -> None:
        """Leave the statements in the leg's folder, in the order in which they were run."""
        head = "-- What this step asked, in order. Run it with DuckDB; its files lie in this folder.\n"
        self._folder.file(FILE).write_text(head + "".join(f"\n{_closed(sql)}\n" for sql in self._statements))


def _closed(sql: str) -> str:
    text, comment, rest = sql.partition(" -- saved as ")
    return f"{text};{comment}{rest}"
