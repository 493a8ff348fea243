"""Change feeds: one read of a Dataverse table per run and position, shared by all legs that stand there.

Change tracking allows only ``$select`` and gives one token per table (reference: change tracking of the Dataverse Web
API), so the feed holds every row that changed, with the columns of all maps on the table; each leg filters and splits
it by company locally. A leg's own position moves only when that leg settles, so a leg that failed reads its changes
again, whatever became of the others.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from upath import UPath

from dualsync.frames import ParquetSink, write_rows
from dualsync.mapping import DataverseSide, TableMap
from dualsync.sync.legs.context import LegContext
from dualsync.sync.legs.folders import read_json, safe_name, write_json
from dualsync.sync.legs.runtime import Runtime
from dualsync.sync.plan.columns import LegColumns
from dualsync.sync.plan.live_columns import typed_row
from dualsync.sync.plan.vocabulary import PROBLEM, TYPE_SUFFIX, VERSION, RunMode

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


def read_feed(context: LegContext, token: str | None) -> Feed:
    """The feed of a leg's table from a position, read once for all legs of a run that can use the same read.

    A read serves a leg only if its base has not moved since before the read: an older picture of the table beside a
    newer base would pass for a change. A further attempt reads anew, and so does the part that sends triggers: what it
    sends must be what the header says after its lines were written.

    Args:
        context: The transfer; in audit mode nothing is tracked.
        token: Where to start; None reads everything.

    Raises:
        ChangeTokenExpired: The service no longer knows the token.
    """
    leg, runtime = context.leg, context.runtime
    track = leg.run.mode != RunMode.AUDIT
    alone = leg.folder.attempt > 1 or leg.map.sends_trigger
    attempt = f"{leg.map.map}|{leg.direction}|{leg.folder.attempt}" if alone else ""
    place = hashlib.sha256(f"{token}|{track}|{attempt}".encode()).hexdigest()[:16]
    folder = UPath(leg.run.folder) / "feeds" / safe_name(leg.map.dataverse.table) / place
    maps = [m for m in runtime.catalog.values() if m.enabled and m.dataverse.table == leg.map.dataverse.table]
    if leg.map not in maps:
        maps.append(leg.map)
    mine = f"{leg.map.map}|{leg.company}"
    for path, marker in _reads(folder):
        if marker["generations"].get(mine, 0) == context.generation:
            return Feed(path, marker["token"], full=token is None)
    # Two tasks may read at the same time. Both reads are good; a later leg takes the first one it may use.
    # Legs that stand at different positions come together again: what a read from any position finds goes back to
    # before the token of an earlier read of this run, so that token is good for it too.
    names = [m.map for m in maps]
    others = [marker for place in _folders(folder.parent) for _, marker in _reads(place)] if not attempt else []
    shared = next((marker["token"] for marker in others if marker["token"] and marker["maps"] == names), None)
    generations = {f"{base.map}|{base.company}": base.generation for m in maps for base in runtime.ledger.bases(m.map)}
    path = folder / uuid.uuid4().hex[:12]
    own = _read(runtime, leg.map.dataverse, maps, token, path, track=track)
    new_token = shared if track and shared else own
    write_json(path / "feed.json", {"token": new_token, "maps": names, "generations": generations})
    return Feed(path, new_token, full=token is None)


def no_changes(context: LegContext) -> Feed:
    """A feed without rows, for a transfer whose rows were chosen; its position does not move."""
    feed = Feed(context.folder.file("feed"), None, full=False)
    write_rows(feed.rows, context.columns.raw_schema("dataverse"), ())
    write_rows(feed.deleted, DELETED, ())
    return feed


def _folders(path: UPath) -> list[UPath]:
    return sorted(path.iterdir(), key=lambda p: p.name) if path.exists() else []


def _reads(folder: UPath) -> Iterator[tuple[UPath, dict[str, Any]]]:
    """The finished reads below a folder, each with its marker."""
    for path in _folders(folder):
        marker = read_json(path / "feed.json")
        if marker is not None:
            yield path, marker


def _read(
    runtime: Runtime, entity: DataverseSide, maps: list[TableMap], token: str | None, folder: UPath, *, track: bool
) -> str | None:
    dataverse = runtime.systems.dataverse
    live = dataverse.metadata(entity.table).attributes
    of_maps = [LegColumns(m, "to_finance", runtime.schema) for m in maps]
    fields = {
        field.name: field
        for columns_of_map in of_maps
        for field in columns_of_map.raw_schema("dataverse")
        if field.name in (VERSION, PROBLEM) or field.name.removesuffix(TYPE_SUFFIX) in live
    }
    last = [fields.pop(VERSION), fields.pop(PROBLEM)]
    select = [name for name in fields if not name.endswith(TYPE_SUFFIX)]
    columns = {name: of_maps[0].column("dataverse", name) for name in select}
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
