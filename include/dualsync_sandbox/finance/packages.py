"""The data management package API: packages are uploaded, imported as a job of its own, and their errors fetched.

Follows "Data management package REST API" (data-management-api.md) and what clients of it observed: replies whose text
is itself JSON, states that a client polls for, rows that are upserted by entity key one by one (good rows stay when
others fail), imports that fail when another is running. Assumed: the names inside the error list; that unknown
execution ids are ``Unknown`` and used ones refused. The business rules always see the rows, whatever the manifest says
about them. Exports are in ``dualsync_sandbox.finance.exports``.

Jobs live in memory: a sandbox that is started again knows none of them.
"""

from __future__ import annotations

import csv
import io
import json
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

from dualsync_sandbox.errors import InvalidValue, NotImplementedInSandbox, SandboxError
from dualsync_sandbox.finance.archive import PackageEntity, PackageFault, read_package
from dualsync_sandbox.finance.blobs import Blobs
from dualsync_sandbox.finance.errors import FinanceError, refusal
from dualsync_sandbox.finance.exports import ExportJob, Exports
from dualsync_sandbox.finance.jobs import Job, failed
from dualsync_sandbox.finance.recurring import Recurring
from dualsync_sandbox.http import ApiError, Call, Reply
from dualsync_sandbox.odata import ENUM_NAMESPACE
from dualsync_sandbox.schema import Column, Table
from dualsync_sandbox.store import Row, Store
from dualsync_sandbox.trace import Writes

SET = "DataManagementDefinitionGroups"


@dataclass(frozen=True)
class Action:
    """An action of data management.

    Attributes:
        answer: the method that answers it.
        takes: names of its arguments.
        gives: what it answers.
    """

    answer: str
    takes: str
    gives: str


_IMPORT = Action(
    "_import",
    "packageUrl, definitionGroupId, executionId, execute, overwrite, legalEntityId",
    "the execution id; refused while another import runs",
)
_EXPORT = Action(
    "_export",
    "definitionGroupId, packageName, executionId, reExecute, legalEntityId",
    "the execution id; incremental where the project says so",
)
_PREVIEW = Action(
    "_preview",
    "as ExportToPackage, and count (or exportPreviewCount)",
    "the execution id; moves no position",
)
_OF_ENTITY = "executionId, entityName"
ACTIONS = {
    "GetAzureWriteUrl": Action("_write_url", "uniqueFileName", "a text that holds JSON: BlobId and BlobUrl"),
    "ImportFromPackage": _IMPORT,
    "ImportFromPackageAsync": _IMPORT,
    "ExportToPackage": _EXPORT,
    "ExportToPackageAsync": _EXPORT,
    "ExportToPackagePreview": _PREVIEW,
    "ExportToPackagePreviewAsync": _PREVIEW,
    "GetExportedPackageUrl": Action("_package_url", "executionId", "a link to the package; empty while the job runs"),
    "GetExecutionSummaryStatus": Action("_status", "executionId", "how far the job is"),
    "GetExecutionErrors": Action("_errors", "executionId", "a text that holds a JSON list"),
    "GetImportStagingErrorFileUrl": Action("_staging_url", _OF_ENTITY, "a link to the rows that were not staged"),
    "GenerateImportTargetErrorKeysFile": Action("_generate_keys", _OF_ENTITY, "whether the target refused rows"),
    "GetImportTargetErrorKeysFileUrl": Action("_keys_url", _OF_ENTITY, "a link to their keys; empty the first time"),
    "GetMessageStatus": Action("_message_status", "messageId", "how far a message of a recurring integration is"),
}


@dataclass(frozen=True)
class _RowError:
    record: int
    field: str
    message: str
    row: dict[str, str]
    key: dict[str, str]


@dataclass
class _EntityRun:
    """How far one entity of a job came: rows that could not be staged, rows that the target refused."""

    entity: PackageEntity
    table: Table
    columns: dict[str, Column]
    written: int = 0
    staging: list[_RowError] = field(default_factory=list)
    target: list[_RowError] = field(default_factory=list)
    keys_asked: bool = False


@dataclass
class ImportJob(Job):
    """An import.

    Attributes:
        execute: whether rows go on from staging to their target.
        runs: its entities.
        breakdown: rows after which it is canceled; ``None``: it is not.
    """

    execute: bool = True
    runs: list[_EntityRun] = field(default_factory=list)
    breakdown: int | None = None
    work: Callable[[ImportJob], None] = lambda _: None

    def run(self) -> None:
        """Stage and write all entities."""
        self.work(self)


class _Canceled(Exception):
    """The import was canceled between two rows."""


def exempt(path: str) -> bool:
    """Whether a request is exempt from throttling: data management and recurring integrations are.

    Follows "Service protection API limits" (service-protection-api-limits.md).

    Args:
        path: below the root of the service.
    """
    return path.startswith(SET)


class Packages:
    """The package API over one store.

    Args:
        store: the rows.
        writes: counts what was written.
        default_company: the company of the user, for exports that name none.
        nested: answer ``{"value": {"value": ...}}``, as some versions of the documentation show.

    Attributes:
        blobs: the storage that packages and files of errors lie in.
        exports: export projects and their positions.
        recurring: the queues of recurring integrations.
    """

    def __init__(self, store: Store, writes: Writes, default_company: str, *, nested: bool = False) -> None:
        self.nested = nested
        self.blobs = Blobs(store.clock)
        self.exports = Exports(store)
        self.recurring = Recurring(store, self)
        self._store = store
        self._writes = writes
        self._default = default_company
        self._lock = threading.RLock()
        self._jobs: dict[str, Job] = {}
        self._by_label = {table.label.lower(): table for table in store.schema.tables.values()}
        self._actions: dict[str, Callable[[Call, Row], object]] = {
            name: getattr(self, one.answer) for name, one in ACTIONS.items()
        }

    def clear(self) -> None:
        """Forget all files, jobs and positions of exports; projects stay."""
        with self._lock:
            self.blobs.clear()
            self.exports.forget()
            self.recurring.clear()
            self._jobs.clear()

    # -- the door

    def action(self, call: Call, segments: list[str]) -> Reply:
        """Answer a request to ``DataManagementDefinitionGroups``.

        Raises:
            ApiError: the action's own refusal.
            NotImplementedInSandbox: the action is not played here.
        """
        name = segments[0].removeprefix(ENUM_NAMESPACE) if segments else ""
        answer = self._actions.get(name)
        if answer is None or len(segments) != 1:
            raise NotImplementedInSandbox("data management", "/".join(segments) or SET)
        if call.method != "POST":
            raise ApiError(405, "", f"The requested resource does not support http method '{call.method}'.")
        with self._lock:
            value = answer(call, call.json())
        kind = "Edm.Boolean" if isinstance(value, bool) else "Edm.String"
        if self.nested:
            value = {"value": value}
        return Reply.json(200, {"@odata.context": f"{call.service}/$metadata#{kind}", "value": value})

    # -- actions

    def _write_url(self, call: Call, body: Row) -> object:
        """A JSON text, so a client parses twice."""
        name = _arguments(body, uniqueFileName=str)["uniqueFileName"]
        blob_id, url = self.blobs.new(call, str(name), None)
        return json.dumps({"BlobId": f"{{{blob_id}}}", "BlobUrl": url})

    def _import(self, call: Call, body: Row) -> object:
        given = _arguments(
            body,
            packageUrl=str,
            definitionGroupId=str,
            executionId=str,
            execute=bool,
            overwrite=bool,
            legalEntityId=str,
        )
        for other in self._jobs.values():
            self._advance(other)
            if isinstance(other, ImportJob) and not other.finished:
                raise failed(f"Another import is running (execution {other.id}). Imports cannot run in parallel.")
        execution = str(given["executionId"]) or str(uuid.uuid4())
        if execution in self._jobs:
            raise failed(f"The execution ID {execution} already exists.")
        if not given["overwrite"]:
            raise failed("Overwrite must be true for entities that are not composite.")
        content = self.blobs.content(call, str(given["packageUrl"]))
        if content is None:
            raise failed("The package cannot be downloaded from the given URL.")
        job = self.new_import(execution, str(given["legalEntityId"]), content, execute=given["execute"] is True)
        job.breakdown = call.breakdown
        return execution

    def new_import(self, execution: str, company: str, content: bytes, *, execute: bool = True) -> ImportJob:
        """Begin the import of a package, which is read at once.

        Args:
            execution: the execution id.
            company: the company it runs in.
            content: the package.
            execute: whether rows go on from staging to their target.

        Raises:
            FinanceError: there is no such company.
            NotImplementedInSandbox: the package asks for something that is not played here.
        """
        now = self._store.clock.now()
        with self._lock:
            job = ImportJob(execution, self._company(company), now, execute=execute, work=self._run)
            try:
                job.runs = [self._prepare(entity) for entity in read_package(content)]
            except PackageFault as error:
                job.fault = str(error)
            self._jobs[execution] = job
            return job

    def _company(self, code: str) -> str:
        with self._store.reading() as tx:
            if tx.find_one("LegalEntities", LegalEntityId=code) is None:
                raise failed(f"The company {code} does not exist.")
        return code.lower()

    def _export(self, _: Call, body: Row) -> object:
        """An execution that is run again gives the same rows again, as they are now."""
        given = _arguments(
            body, definitionGroupId=str, packageName=str, executionId=str, reExecute=bool, legalEntityId=str
        )
        execution = str(given["executionId"])
        earlier = self._jobs.get(execution)
        job = self._new_export(given, execution or str(uuid.uuid4()), again=given["reExecute"] is True)
        if isinstance(earlier, ExportJob):
            job.rows = earlier.rows
        return job.id

    def _preview(self, _: Call, body: Row) -> object:
        """The first ``count`` rows of each entity, 0 for all; a client in use calls it ``exportPreviewCount``."""
        named = {("count" if name == "exportPreviewCount" else name): value for name, value in body.items()}
        given = _arguments(
            named, definitionGroupId=str, packageName=str, executionId=str, reExecute=bool, legalEntityId=str, count=int
        )
        job = self._new_export(given, str(given["executionId"]) or str(uuid.uuid4()), again=given["reExecute"] is True)
        job.count, job.moves = int(str(given["count"])), False
        return job.id

    def _new_export(self, given: Row, execution: str, *, again: bool) -> ExportJob:
        if execution in self._jobs and not (again and isinstance(self._jobs[execution], ExportJob)):
            raise failed(f"The execution ID {execution} already exists.")
        company = self._company(str(given["legalEntityId"]) or self._default)
        job = self.exports.job(execution, str(given["definitionGroupId"]), str(given["packageName"]), company)
        self._jobs[execution] = job
        return job

    def _package_url(self, call: Call, body: Row) -> object:
        """A link to the package; empty while the job runs (assumed)."""
        _arguments(body, executionId=str)
        job = self._job(body)
        if not isinstance(job, ExportJob):
            raise failed(f"The execution {job.id} is no export.")
        if job.content is None:
            return ""
        return self.blobs.new(call, f"{job.package or job.id}.zip", job.content)[1]

    def _prepare(self, entity: PackageEntity) -> _EntityRun:
        """The entity with its columns by file column; entity fields are written in capitals in real manifests."""
        table = self._by_label.get(entity.name.lower())
        if table is None or entity.target not in ("", table.aot):
            raise PackageFault(f"Entity '{entity.name}' ({entity.target}) is not valid.")
        by_name = {name.lower(): column for name, column in table.columns.items()}
        unknown = [name for name in entity.fields.values() if name.lower() not in by_name]
        if unknown:
            raise PackageFault(f"Field '{unknown[0]}' is not part of entity '{entity.name}'.")
        return _EntityRun(
            entity, table, {name: by_name[entity_field.lower()] for name, entity_field in entity.fields.items()}
        )

    def _status(self, _: Call, body: Row) -> object:
        return self.state(str(_arguments(body, executionId=str)["executionId"])) or "Unknown"

    def _message_status(self, _: Call, body: Row) -> object:
        return self.recurring.status(str(_arguments(body, messageId=str)["messageId"]))

    def state(self, execution: str) -> str | None:
        """How far a job is, asked for once more; ``None`` where there is none."""
        with self._lock:
            job = self._jobs.get(execution)
            if job is None:
                return None
            job.polls += 1
            self._advance(job)
            return job.state

    def _advance(self, job: Job) -> None:
        job.advance(self._store.clock.now())

    def _job(self, body: Row) -> Job:
        job = self._jobs.get(str(body.get("executionId")))
        if job is None:
            raise failed(f"The execution ID {body.get('executionId')} does not exist.")
        self._advance(job)
        return job

    def _entity_run(self, body: Row) -> _EntityRun:
        given = _arguments(body, executionId=str, entityName=str)
        job = self._job(body)
        for run in job.runs if isinstance(job, ImportJob) else ():
            if run.entity.name.lower() == str(given["entityName"]).lower():
                return run
        raise failed(f"Entity '{given['entityName']}' is not part of the execution.")

    def _errors(self, _: Call, body: Row) -> object:
        """A JSON list in a text; the names inside are assumed."""
        _arguments(body, executionId=str)
        job = self._job(body)
        found: list[dict[str, object]] = []
        if job.finished and job.fault:
            found.append({"RecordId": "", "Field": "", "ErrorMessage": job.fault})
        for run in job.runs if job.finished and isinstance(job, ImportJob) else ():
            for error in [*run.staging, *run.target]:
                key = ",".join(error.key.values())
                found.append(
                    {"RecordId": key or str(error.record), "Field": error.field, "ErrorMessage": error.message}
                )
        return json.dumps(found)

    def _generate_keys(self, _: Call, body: Row) -> object:
        run = self._entity_run(body)
        return bool(run.target)

    def _keys_url(self, call: Call, body: Row) -> object:
        """Empty the first time: the file is still being made."""
        run = self._entity_run(body)
        if not run.target:
            return ""
        if not run.keys_asked:
            run.keys_asked = True
            return ""
        return self._file(call, f"{run.entity.name} keys.csv", [error.key for error in run.target])

    def _staging_url(self, call: Call, body: Row) -> object:
        run = self._entity_run(body)
        if not run.staging:
            return ""
        rows = [{**error.row, "ErrorMessage": error.message} for error in run.staging]
        return self._file(call, f"{run.entity.name} staging errors.csv", rows)

    def _file(self, call: Call, name: str, rows: list[dict[str, str]]) -> str:
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(rows)
        return self.blobs.new(call, name, text.getvalue().encode("utf-8-sig"))[1]

    # -- the job

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

    def _run_entity(self, job: ImportJob, run: _EntityRun) -> None:
        if not run.entity.fields or not run.entity.rows:
            return
        columns, encoders = run.columns, self._store.layout(run.table.name).encoders
        for number, given in enumerate(run.entity.rows, start=1):
            if job.breakdown is not None and sum(one.written for one in job.runs) >= job.breakdown:
                raise _Canceled
            key = {column.name: given.get(name, "") for name, column in columns.items() if column.key}
            try:
                values = {
                    column.name: _value(column, given[name]) for name, column in columns.items() if given.get(name)
                }
                for name, value in values.items():
                    encoders[name](value)
            except InvalidValue as error:
                run.staging.append(_RowError(number, error.column, str(error), given, key))
                continue
            if job.execute:
                self._write(job, run, number, given, key, values)
            else:
                run.written += 1

    def _write(
        self, job: ImportJob, run: _EntityRun, number: int, given: dict[str, str], key: dict[str, str], values: Row
    ) -> None:
        """Insert or update by entity key, each row for itself."""
        table = run.table
        if "dataAreaId" in table.columns:
            values = {"dataAreaId": job.company, **values}
        names = table.keys[0].columns
        try:
            with self._store.transaction() as tx:
                known = {name: values.get(name, table.columns[name].default) for name in names}
                standing = tx.find_one(table.name, **known)
                if standing is None:
                    tx.insert(table.name, values)
                else:
                    changes = {name: value for name, value in values.items() if name not in names}
                    tx.update(table.name, standing["RecId"], changes)
        except SandboxError as error:
            text = str(refusal(self._store.schema, error))
            run.target.append(_RowError(number, getattr(error, "column", ""), text, given, key))
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


def _arguments(body: Row, **kinds: type) -> Row:
    """The parameters of an action: exactly these, of these types."""
    for name in body:
        if name not in kinds:
            raise FinanceError(400, "Microsoft.OData.ODataException", f"The parameter '{name}' is not valid.")
    for name, kind in kinds.items():
        if not isinstance(body.get(name), kind):
            message = f"The parameter '{name}' is missing or of another type."
            raise FinanceError(400, "Microsoft.OData.ODataException", message)
    return body
