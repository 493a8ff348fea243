"""Change feeds: one read of a Dataverse table per run and position, shared by all legs that stand there.

Change tracking allows only ``$select`` and gives one token per table (reference: change tracking of the Dataverse Web
API), so the feed holds every row that changed, with the columns of all maps on the table; each leg filters and splits
it by company locally. A leg's own position moves only when that leg settles, so a leg that failed reads its changes
again, whatever became of the others.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from upath import UPath

from dualsync.frames import ParquetSink, write_rows
from dualsync.mapping import Column, Side, TableMap
from dualsync.sync.folders import read_json, safe_name, write_json
from dualsync.sync.runtime import RunRef, Runtime
from dualsync.sync.shape import PROBLEM, VERSION, Shape
from dualsync.sync.values import ValueProblem, parse

DELETED = pa.schema([pa.field("id", pa.string())])


@dataclass(frozen=True, slots=True)
class Feed:
    """One read of a table.

    Attributes:
        folder: Where ``rows.parquet`` and ``deleted.parquet`` lie.
        token: The change token to go on from, None where nothing is tracked.
        full: Whether it holds the whole table.
    """

    folder: UPath
    token: str | None
    full: bool

    @property
    def rows(self) -> UPath:
        """Rows that changed, or all of them."""
        return self.folder / "rows.parquet"

    @property
    def deleted(self) -> UPath:
        """Ids of rows that were deleted."""
        return self.folder / "deleted.parquet"


def read_feed(
    runtime: Runtime, run: RunRef, table_map: TableMap, token: str | None, missing: dict[str, list[str]]
) -> Feed:
    """The feed of a map's table from a position, read once per run.

    Args:
        runtime: Maps and systems.
        run: The run; in audit mode nothing is tracked.
        table_map: One map on the table.
        token: Where to start; None reads everything.
        missing: Columns the live table does not have.

    Raises:
        ChangeTokenExpired: The service no longer knows the token.
    """
    track = run.mode != "audit"
    place = hashlib.sha256(f"{token}|{track}".encode()).hexdigest()[:16]
    folder = UPath(run.folder) / "feeds" / safe_name(table_map.dataverse.table) / place
    found = read_json(folder / "feed.json")
    if found is None:
        mine = folder / uuid.uuid4().hex[:12]
        new_token = _read(runtime, table_map, token, missing, mine, track=track)
        # Two tasks may have read at the same time. Both reads are good; the first marker stays, so that the legs of a
        # later task find the read that is already there.
        found = read_json(folder / "feed.json")
        if found is None:
            found = {"folder": str(mine), "token": new_token}
            write_json(folder / "feed.json", found)
    return Feed(UPath(found["folder"]), found["token"], full=token is None)


def typed_row(row: Mapping[str, Any], columns: Mapping[str, Column], side: Side) -> dict[str, Any]:
    """A row as a system gave it, each value in its column's type; see :data:`~dualsync.sync.shape.PROBLEM`."""
    typed: dict[str, Any] = {}
    problems: list[str] = []
    for name, column in columns.items():
        try:
            typed[name] = parse(row.get(name), column, side)
        except ValueProblem as problem:
            typed[name] = None
            problems.append(str(problem))
        if (target := row.get(f"{name}@type")) is not None:
            typed[f"{name}@type"] = target
    typed[VERSION] = row.get("@etag")
    typed[PROBLEM] = "; ".join(problems) or None
    return typed


def _read(
    runtime: Runtime,
    table_map: TableMap,
    token: str | None,
    missing: dict[str, list[str]],
    folder: UPath,
    *,
    track: bool,
) -> str | None:
    maps = [m for m in runtime.catalog.values() if m.enabled and m.dataverse.table == table_map.dataverse.table]
    shapes = [Shape(m, "to_finance", runtime.schema, missing) for m in (table_map, *maps)]
    fields = {field.name: field for shape in shapes for field in shape.raw_schema("dataverse")}
    last = [fields.pop(VERSION), fields.pop(PROBLEM)]
    select = [name for name in fields if not name.endswith("@type")]
    columns = {name: shapes[0].column("dataverse", name) for name in select}
    entity = table_map.dataverse
    dataverse = runtime.systems.dataverse
    deleted: list[str] = []
    new_token: str | None = None
    with ParquetSink(folder / "rows.parquet", pa.schema([*fields.values(), *last])) as sink:
        if track:
            changes = dataverse.changes(entity.set, select=select, token=token)
            for page in changes:
                sink.write_rows([typed_row(row, columns, "dataverse") for row in page])
            deleted, new_token = [str(i).lower() for i in changes.deleted], changes.token
        else:
            for page in dataverse.read(entity.set, select=select):
                sink.write_rows([typed_row(row, columns, "dataverse") for row in page])
    write_rows(folder / "deleted.parquet", DELETED, ({"id": i} for i in dict.fromkeys(deleted)))
    return new_token
