"""Change feeds: one read of a Dataverse table per run and position, shared by all legs that stand there.

Change tracking allows only ``$select`` and gives one token per table (reference: change tracking of the Dataverse Web
API), so the feed holds every row that changed, with the columns of all maps on the table; each leg filters and splits
it by company locally. A leg's own position moves only when that leg settles, so a leg that failed reads its changes
again, whatever became of the others.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from upath import UPath

from dualsync.frames import ParquetSink, write_rows
from dualsync.mapping import Column, DataverseSide, Side, TableMap
from dualsync.sync.legs.folders import read_json, safe_name, write_json
from dualsync.sync.legs.runtime import Leg, Runtime
from dualsync.sync.plan.columns import PROBLEM, VERSION, LegColumns
from dualsync.sync.plan.values import ValueProblem, parse

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


def read_feed(leg: Leg, runtime: Runtime, token: str | None, generation: int) -> Feed:
    """The feed of a leg's table from a position, read once for all legs of a run that can use the same read.

    A read serves a leg only if its base has not moved since before the read: an older picture of the table beside a
    newer base would pass for a change. A further attempt reads anew, and so does the part that sends triggers: what it
    sends must be what the header says after its lines were written.

    Args:
        leg: The leg; in audit mode nothing is tracked.
        runtime: Maps, ledger and systems.
        token: Where to start; None reads everything.
        generation: The generation of the base that the leg works with.

    Raises:
        ChangeTokenExpired: The service no longer knows the token.
    """
    track = leg.run.mode != "audit"
    alone = leg.folder.attempt > 1 or leg.map.sends_trigger
    attempt = f"{leg.map.map}|{leg.direction}|{leg.folder.attempt}" if alone else ""
    place = hashlib.sha256(f"{token}|{track}|{attempt}".encode()).hexdigest()[:16]
    folder = UPath(leg.run.folder) / "feeds" / safe_name(leg.map.dataverse.table) / place
    maps = [m for m in runtime.catalog.values() if m.enabled and m.dataverse.table == leg.map.dataverse.table]
    if leg.map not in maps:
        maps.append(leg.map)
    mine = f"{leg.map.map}|{leg.company}"
    for path, found in _reads(folder):
        if found["generations"].get(mine, 0) == generation:
            return Feed(path, found["token"], full=token is None)
    # Two tasks may read at the same time. Both reads are good; a later leg takes the first one it may use.
    # Legs that stand at different positions come together again: what a read from any position finds goes back to
    # before the token of an earlier read of this run, so that token is good for it too.
    names = [m.map for m in maps]
    others = [found for place in _folders(folder.parent) for _, found in _reads(place)] if not attempt else []
    shared = next((found["token"] for found in others if found["token"] and found["maps"] == names), None)
    generations = {f"{base.map}|{base.company}": base.generation for m in maps for base in runtime.ledger.bases(m.map)}
    path = folder / uuid.uuid4().hex[:12]
    own = _read(runtime, leg.map.dataverse, maps, token, path, track=track)
    new_token = shared if track and shared else own
    write_json(path / "feed.json", {"token": new_token, "maps": names, "generations": generations})
    return Feed(path, new_token, full=token is None)


def no_changes(leg: Leg, leg_columns: LegColumns) -> Feed:
    """A feed without rows, for a leg whose rows were chosen and not found; the leg's position does not move."""
    feed = Feed(leg.folder.file("feed"), None, full=False)
    write_rows(feed.rows, leg_columns.raw_schema("dataverse"), ())
    write_rows(feed.deleted, DELETED, ())
    return feed


def _folders(path: UPath) -> list[UPath]:
    return sorted(path.iterdir(), key=lambda p: p.name) if path.exists() else []


def _reads(folder: UPath) -> Iterator[tuple[UPath, dict[str, Any]]]:
    """The finished reads below a folder, each with its marker."""
    for path in _folders(folder):
        found = read_json(path / "feed.json")
        if found is not None:
            yield path, found


def typed_row(row: Mapping[str, Any], columns: Mapping[str, Column], side: Side) -> dict[str, Any]:
    """A row as a system gave it, each value in its column's type; see :data:`~dualsync.sync.plan.columns.PROBLEM`."""
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
    runtime: Runtime, entity: DataverseSide, maps: list[TableMap], token: str | None, folder: UPath, *, track: bool
) -> str | None:
    dataverse = runtime.systems.dataverse
    live = dataverse.metadata(entity.table).attributes
    shapes = [LegColumns(m, "to_finance", runtime.schema) for m in maps]
    fields = {
        field.name: field
        for leg_columns in shapes
        for field in leg_columns.raw_schema("dataverse")
        if field.name in (VERSION, PROBLEM) or field.name.removesuffix("@type") in live
    }
    last = [fields.pop(VERSION), fields.pop(PROBLEM)]
    select = [name for name in fields if not name.endswith("@type")]
    columns = {name: shapes[0].column("dataverse", name) for name in select}
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
