"""Imports by data package: rows are upserted by entity key one by one, and good ones stay when others fail.

Follows "Data management package REST API" (data-management-api.md). The business rules always see the rows, whatever
the manifest says about them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

from dualsync_sandbox.errors import InvalidValue, SandboxError
from dualsync_sandbox.finance.data_management.archive import PackageEntity, PackageFault, read_package
from dualsync_sandbox.finance.data_management.jobs import Job, JobList
from dualsync_sandbox.finance.errors import refusal
from dualsync_sandbox.gateway.trace import Writes
from dualsync_sandbox.schema import Column, Table
from dualsync_sandbox.store import Row, Store


@dataclass(frozen=True)
class RowError:
    """A row that was refused, as the file has it, and why."""

    record: int
    field: str
    message: str
    row: dict[str, str]
    key: dict[str, str]


@dataclass
class EntityRun:
    """How far one entity of a job came: rows that could not be staged, rows that the target refused."""

    entity: PackageEntity
    table: Table
    columns: dict[str, Column]
    written: int = 0
    staging: list[RowError] = field(default_factory=list)
    target: list[RowError] = field(default_factory=list)
    keys_asked: bool = False


@dataclass
class ImportJob(Job):
    """An import.

    Attributes:
        execute: Whether rows go on from staging to their target.
        runs: Its entities.
        breakdown: Rows after which it is canceled; ``None``: it is not.
    """

    execute: bool = True
    runs: list[EntityRun] = field(default_factory=list)
    breakdown: int | None = None
    work: Callable[[ImportJob], None] = lambda _: None

    def run(self) -> None:
        """Stage and write all entities."""
        self.work(self)


class _Canceled(Exception):
    """The import was canceled between two rows."""


class Imports:
    """Begins imports and does their work.

    Args:
        store: The rows.
        writes: Counts what was written.
        jobs: Where they are kept.
    """

    def __init__(self, store: Store, writes: Writes, jobs: JobList) -> None:
        self._store = store
        self._writes = writes
        self._jobs = jobs
        self._by_label = {table.label.lower(): table for table in store.schema.tables.values()}

    def begin(self, execution: str, company: str, content: bytes, *, execute: bool = True) -> ImportJob:
        """Begin the import of a package, which is read at once.

        Args:
            execution: The execution id.
            company: The company it runs in.
            content: The package.
            execute: Whether rows go on from staging to their target.

        Raises:
            FinanceError: There is no such company.
            NotImplementedInSandbox: The package asks for something that is not played here.
        """
        now = self._store.clock.now()
        with self._jobs.lock:
            job = ImportJob(execution, self._jobs.company(company), now, execute=execute, work=self._run)
            try:
                job.runs = [self._prepare(entity) for entity in read_package(content)]
            except PackageFault as error:
                job.fault = str(error)
            self._jobs.add(job)
            return job

    def _prepare(self, entity: PackageEntity) -> EntityRun:
        """The entity with its columns by file column; entity fields are written in capitals in real manifests."""
        table = self._by_label.get(entity.name.lower())
        if table is None or entity.target not in ("", table.aot):
            raise PackageFault(f"Entity '{entity.name}' ({entity.target}) is not valid.")
        by_name = {name.lower(): column for name, column in table.columns.items()}
        unknown = [name for name in entity.fields.values() if name.lower() not in by_name]
        if unknown:
            raise PackageFault(f"Field '{unknown[0]}' is not part of entity '{entity.name}'.")
        return EntityRun(
            entity, table, {name: by_name[entity_field.lower()] for name, entity_field in entity.fields.items()}
        )

    def _run(self, job: ImportJob) -> None:
        """Stage and write all entities. A package without rows does nothing and counts as succeeded."""
        if job.fault:
            job.state = "Failed"
            return
        try:
            for run in job.runs:
                self._run_entity(job, run)
        except _Canceled:
            job.state, job.fault = "Canceled", "The import was canceled."
            return
        refused = sum(len(run.staging) + len(run.target) for run in job.runs)
        written = sum(run.written for run in job.runs)
        job.state = "Succeeded" if not refused else "PartiallySucceeded" if written else "Failed"

    def _run_entity(self, job: ImportJob, run: EntityRun) -> None:
        if not run.entity.fields or not run.entity.rows:
            return
        columns, encoders = run.columns, self._store.layout(run.table.name).encoders
        for number, given in enumerate(run.entity.rows, start=1):
            if job.breakdown is not None and sum(done.written for done in job.runs) >= job.breakdown:
                raise _Canceled
            key = {column.name: given.get(name, "") for name, column in columns.items() if column.key}
            try:
                values = {
                    column.name: _value(column, given[name]) for name, column in columns.items() if given.get(name)
                }
                for name, value in values.items():
                    encoders[name](value)
            except InvalidValue as error:
                run.staging.append(RowError(number, error.column, str(error), given, key))
                continue
            if job.execute:
                self._write(job, run, number, given, key, values)
            else:
                run.written += 1

    def _write(
        self, job: ImportJob, run: EntityRun, number: int, given: dict[str, str], key: dict[str, str], values: Row
    ) -> None:
        """Insert or update by entity key, each row for itself."""
        table = run.table
        if "dataAreaId" in table.columns:
            values = {"dataAreaId": job.company, **values}
        names = table.keys[0].columns
        try:
            with self._store.transaction() as tx:
                key_values = {name: values.get(name, table.columns[name].default) for name in names}
                standing = tx.find_one(table.name, **key_values)
                if standing is None:
                    tx.insert(table.name, values)
                else:
                    changes = {name: value for name, value in values.items() if name not in names}
                    tx.update(table.name, standing["RecId"], changes)
        except SandboxError as error:
            text = str(refusal(self._store.schema, error))
            run.target.append(RowError(number, getattr(error, "column", ""), text, given, key))
            return
        run.written += 1
        self._writes.add(table.name, "create" if standing is None else "update")


def _value(column: Column, text: str) -> object:
    """A cell as a value. Empty ones never come here: they say nothing (assumed)."""
    if column.kind == "int":
        try:
            return int(text)
        except ValueError:
            return text
    if column.kind == "decimal":
        try:
            return Decimal(text)
        except InvalidOperation:
            return text
    return text
