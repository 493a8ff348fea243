"""Exports by data package: projects name entities, a job writes their rows into a package, a link leads to it.

Follows "Data management package REST API" (data-management-api.md: ExportToPackage and its previews,
GetExportedPackageUrl) and "Enable change tracking for entities" (entity-change-track.md): an incremental export gives
the rows that changed since the last one of its project, the first one all; deletions are not told; the position stands
in Finance and moves with the export, so a package that is lost loses its changes unless its execution is run again.

Projects are set up on forms, here through the control plane. Assumed: the words of the refusals, that an empty company
is the user's own, and how cells are written: dates with their time in UTC, an empty date as nothing, UTF-8 with a mark.
Projects and positions live in memory: after a start of the sandbox the next incremental export is a full one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

import msgspec

from dualsync_sandbox.finance.data_management.archive import Content, write_package
from dualsync_sandbox.finance.data_management.jobs import Job, failed
from dualsync_sandbox.schema import NO_DATE, NO_INSTANT, Column, Table
from dualsync_sandbox.store import Row, Store, Tx

Refresh = Literal["FullPush", "IncrementalPush"]
#: Record id to record version of the rows a project has exported of one entity and company.
Position = dict[int, int]


class ProjectEntity(msgspec.Struct, forbid_unknown_fields=True):
    """One entity of an export project.

    Attributes:
        entity: Its data management label.
        refresh: ``IncrementalPush`` exports changes (change tracking is on for the entity), ``FullPush`` all rows.
        fields: The fields to export; all when empty.
    """

    entity: str
    refresh: Refresh = "FullPush"
    fields: list[str] = msgspec.field(default_factory=list)


class Project(msgspec.Struct, forbid_unknown_fields=True):
    """An export project: its name and its entities, in the order they are exported."""

    name: str
    entities: list[ProjectEntity]


@dataclass(frozen=True)
class _Part:
    table: Table
    columns: tuple[Column, ...]
    refresh: Refresh


@dataclass
class ExportJob(Job):
    """An export.

    Attributes:
        package: Name of the package.
        content: The package, once it has run.
        parts: What it exports.
        count: Rows of each entity at most; 0 for all.
        moves: Whether the positions of the project move (previews leave them alone).
        rows: Record ids it exported, by entity: what is exported again when the execution is run again.
    """

    package: str = ""
    content: bytes | None = None
    parts: tuple[_Part, ...] = ()
    count: int = 0
    moves: bool = True
    rows: dict[str, list[int]] = field(default_factory=dict)
    work: Callable[[ExportJob], None] = lambda _: None

    def run(self) -> None:
        """Write the package."""
        self.work(self)
        self.state = "Succeeded"


class Exports:
    """Projects, their positions, and the writing of packages.

    Args:
        store: The rows.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._by_label = {table.label.lower(): table for table in store.schema.tables.values()}
        self._projects: dict[str, tuple[_Part, ...]] = {}
        self._described: dict[str, Project] = {}
        self._positions: dict[tuple[str, str, str], Position] = {}

    def forget(self) -> None:
        """Forget positions: the next export of every project is a full one."""
        with self._lock:
            self._positions.clear()

    def clear(self) -> None:
        """Forget projects and positions."""
        with self._lock:
            self._projects.clear()
            self._described.clear()
            self._positions.clear()

    # -- setting up

    def set_up(self, **words: Any) -> None:
        """Make a project, in the words of :class:`Project`, or replace one; positions of its entities stay.

        Raises:
            ValueError: There is no such entity or field.
        """
        project = msgspec.convert(words, Project)
        parts = tuple(self._part(entity) for entity in project.entities)
        if not project.name or not parts:
            raise ValueError("a project has a name and at least one entity")
        with self._lock:
            self._projects[project.name.lower()] = parts
            self._described[project.name.lower()] = project

    def _part(self, described: ProjectEntity) -> _Part:
        table = self._by_label.get(described.entity.lower())
        if table is None:
            raise ValueError(f"there is no entity {described.entity!r}")
        by_name = {name.lower(): column for name, column in table.columns.items()}
        unknown = [name for name in described.fields if name.lower() not in by_name]
        if unknown:
            raise ValueError(f"{described.entity} has no field {unknown[0]!r}")
        chosen = [by_name[name.lower()] for name in described.fields] or list(table.columns.values())
        # The company is that of the job, and no column of the file.
        return _Part(table, tuple(column for column in chosen if column.name != "dataAreaId"), described.refresh)

    def listed(self) -> list[Project]:
        """All projects."""
        with self._lock:
            return list(self._described.values())

    # -- exporting

    def job(
        self, job_id: str, project: str, package: str, company: str, *, count: int = 0, moves: bool = True
    ) -> ExportJob:
        """A job that exports a project.

        Args:
            job_id: The execution id.
            project: Name of the project.
            package: Name of the package.
            company: In lower case.
            count: Rows of each entity at most; 0 for all.
            moves: Whether positions move.

        Raises:
            FinanceError: There is no such project.
        """
        parts = self._projects.get(project.lower())
        if parts is None:
            raise failed(f"The data project {project} does not exist.")
        write = lambda job: self._write(job, project)  # noqa: E731
        now = self._store.clock.now()
        return ExportJob(job_id, company, now, package=package, parts=parts, count=count, moves=moves, work=write)

    def _write(self, job: ExportJob, project: str) -> None:
        contents = []
        with self._store.reading() as tx, self._lock:
            for part in job.parts:
                place = (project.lower(), job.company, part.table.name)
                rows = list(self._rows(tx, job, part, self._positions.get(place)))
                job.rows[part.table.name] = [_number(row["RecId"]) for row in rows]
                if job.moves and part.refresh == "IncrementalPush":
                    standing = tx.scan(part.table.name, **_own(part.table, job.company))
                    self._positions[place] = {_number(row["RecId"]): _number(row["RecVersion"]) for row in standing}
                contents.append(_content(part, rows))
        job.content = write_package(project, contents)

    def _rows(self, tx: Tx, job: ExportJob, part: _Part, position: Position | None) -> Sequence[Row]:
        rows = tx.scan(part.table.name, **_own(part.table, job.company))
        again = job.rows.get(part.table.name)
        if again is not None:
            chosen = [row for row in rows if row["RecId"] in again]
        elif position is None or part.refresh == "FullPush":
            chosen = list(rows)
        else:
            chosen = [row for row in rows if position.get(_number(row["RecId"])) != row["RecVersion"]]
        return chosen[: job.count] if job.count else chosen


def _own(table: Table, company: str) -> dict[str, str]:
    return {"dataAreaId": company} if "dataAreaId" in table.columns else {}


def _number(value: object) -> int:
    assert isinstance(value, int)
    return value


def _content(part: _Part, rows: Sequence[Row]) -> Content:
    names = [column.name for column in part.columns]
    cells = [[cell(column, row[column.name]) for column in part.columns] for row in rows]
    return Content(part.table.label, part.table.aot, part.refresh, names, cells)


def cell(column: Column, value: object) -> str:
    """A value as a data file has it."""
    if value in (NO_DATE, NO_INSTANT) or value is None:
        return ""
    if column.kind in ("date", "instant"):
        text = str(value)
        return f"{text[:10]} 00:00:00" if column.kind == "date" else f"{text[:10]} {text[11:19]}"
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    return str(value)
