"""The data management package API: packages are uploaded, imported as a job of its own, and their errors fetched.

Follows "Data management package REST API" (data-management-api.md) and what clients of it observed: replies whose text
is itself JSON, states that a client polls for, rows that are upserted by entity key one by one (good rows stay when
others fail), imports that fail when another is running. Assumed: a job needs a few polls, or a minute, to finish; the
names inside the error list; that unknown execution ids are ``Unknown`` and used ones refused. The business rules always
see the rows, whatever the manifest says about them.

Jobs and blobs live in memory: a sandbox that is started again knows none of them.
"""

from __future__ import annotations

import csv
import io
import json
import secrets
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Literal
from urllib.parse import parse_qs, quote, urlsplit

from dualsync_sandbox.errors import InvalidValue, NotImplementedInSandbox, SandboxError
from dualsync_sandbox.finance.archive import PackageEntity, PackageFault, read_package
from dualsync_sandbox.finance.errors import FinanceError, refusal
from dualsync_sandbox.http import ApiError, Call, Reply, unescape
from dualsync_sandbox.odata import ENUM_NAMESPACE
from dualsync_sandbox.schema import Column, Table
from dualsync_sandbox.store import Row, Store
from dualsync_sandbox.trace import Writes

SET = "DataManagementDefinitionGroups"
BLOB_ROOT = "/blobs"
BLOB_LIFE = timedelta(days=7)
URL_LIFE = timedelta(hours=1)  # observed: one to two hours
POLLS = 3  # assumed: the first poll finds NotRun, the second Executing, the third the end
PICK_UP = timedelta(seconds=60)  # assumed: a job that nobody asks about is done by then

_ERROR = "Microsoft.Dynamics.AX.Framework.Tools.DataManagement.DMFException"
State = Literal["NotRun", "Executing", "Succeeded", "PartiallySucceeded", "Failed"]


@dataclass
class _Blob:
    content: bytes | None
    token: str
    written: datetime
    expires: datetime


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
class _Job:
    id: str
    company: str
    execute: bool
    started: datetime
    polls: int = 0
    state: State = "NotRun"
    fault: str = ""
    runs: list[_EntityRun] = field(default_factory=list)

    @property
    def finished(self) -> bool:
        return self.state not in ("NotRun", "Executing")


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
        nested: answer ``{"value": {"value": ...}}``, as some versions of the documentation show.
    """

    def __init__(self, store: Store, writes: Writes, *, nested: bool = False) -> None:
        self.nested = nested
        self._store = store
        self._writes = writes
        self._lock = threading.RLock()
        self._blobs: dict[str, _Blob] = {}
        self._jobs: dict[str, _Job] = {}
        self._by_label = {table.label.lower(): table for table in store.schema.tables.values()}
        self._actions: dict[str, Callable[[Call, Row], object]] = {
            "GetAzureWriteUrl": self._write_url,
            "ImportFromPackage": self._import,
            "ImportFromPackageAsync": self._import,
            "GetExecutionSummaryStatus": self._status,
            "GetExecutionErrors": self._errors,
            "GenerateImportTargetErrorKeysFile": self._generate_keys,
            "GetImportTargetErrorKeysFileUrl": self._keys_url,
            "GetImportStagingErrorFileUrl": self._staging_url,
        }

    def clear(self) -> None:
        """Forget all blobs and jobs."""
        with self._lock:
            self._blobs.clear()
            self._jobs.clear()

    # -- the two doors

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

    def blob(self, call: Call) -> Reply:
        """Answer a request to blob storage, whose right of access stands in the URL ("Put Blob" of Azure Storage)."""
        now = self._store.clock.now()
        with self._lock:
            blob = self._blobs.get(unescape(call.path))
            if blob is None or not secrets.compare_digest(call.options.get("sig", ""), blob.token):
                return _blob_error(403, "AuthenticationFailed")
            if now > blob.expires or now > blob.written + BLOB_LIFE:
                return _blob_error(403, "AuthenticationFailed")
            if call.method == "PUT":
                if call.headers.get("x-ms-blob-type", "").lower() != "blockblob":
                    return _blob_error(400, "MissingRequiredHeader")
                if "comp" in call.options:
                    return _blob_error(501, "SandboxNotImplemented")
                blob.content, blob.written = call.body, now
                return Reply(201)
            if call.method not in ("GET", "HEAD"):
                return _blob_error(501, "SandboxNotImplemented")
            if blob.content is None:
                return _blob_error(404, "BlobNotFound")
            return Reply(200, blob.content, {"content-type": "application/octet-stream", "x-ms-blob-type": "BlockBlob"})

    # -- actions

    def _new_blob(self, call: Call, name: str, content: bytes | None) -> tuple[str, str]:
        blob_id = str(uuid.uuid4())
        now = self._store.clock.now()
        path = f"dmf/{blob_id}/{name}" if name else f"dmf/{blob_id}"
        self._blobs[path] = _Blob(content, secrets.token_urlsafe(24), now, now + URL_LIFE)
        return blob_id, self._url(call, path)

    def _url(self, call: Call, path: str) -> str:
        blob = self._blobs[path]
        expires = quote(blob.expires.strftime("%Y-%m-%dT%H:%M:%SZ"), safe="")
        return f"{call.base}{BLOB_ROOT}/{quote(path)}?sv=2014-02-14&sr=b&se={expires}&sp=rw&sig={blob.token}"

    def _write_url(self, call: Call, body: Row) -> object:
        """A JSON text, so a client parses twice."""
        name = _arguments(body, uniqueFileName=str)["uniqueFileName"]
        blob_id, url = self._new_blob(call, str(name), None)
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
            if not other.finished:
                raise _failed(f"Another import is running (execution {other.id}). Imports cannot run in parallel.")
        execution = str(given["executionId"]) or str(uuid.uuid4())
        if execution in self._jobs:
            raise _failed(f"The execution ID {execution} already exists.")
        if not given["overwrite"]:
            raise _failed("Overwrite must be true for entities that are not composite.")
        company = self._company(str(given["legalEntityId"]))
        job = _Job(execution, company, given["execute"] is True, self._store.clock.now())
        try:
            job.runs = [self._prepare(entity) for entity in read_package(self._package(call, str(given["packageUrl"])))]
        except PackageFault as error:
            job.fault = str(error)
        self._jobs[execution] = job
        return execution

    def _company(self, code: str) -> str:
        with self._store.reading() as tx:
            if tx.find_one("LegalEntities", LegalEntityId=code) is None:
                raise _failed(f"The company {code} does not exist.")
        return code.lower()

    def _package(self, call: Call, url: str) -> bytes:
        parts = urlsplit(url)
        path = unescape(parts.path).removeprefix(f"{BLOB_ROOT}/")
        blob = self._blobs.get(path)
        tokens = parse_qs(parts.query).get("sig", [""])
        known = blob is not None and f"{parts.scheme}://{parts.netloc}" == call.base
        if not known or blob is None or not secrets.compare_digest(tokens[0], blob.token):
            raise _failed("The package cannot be downloaded from the given URL.")
        if blob.content is None or self._store.clock.now() > blob.expires:
            raise _failed("The package cannot be downloaded from the given URL.")
        return blob.content

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
        job = self._jobs.get(str(_arguments(body, executionId=str)["executionId"]))
        if job is None:
            return "Unknown"
        job.polls += 1
        self._advance(job)
        return job.state

    def _advance(self, job: _Job) -> None:
        """States follow polls; a job left alone for a minute has run as well."""
        if job.finished:
            return
        if job.polls >= POLLS or self._store.clock.now() - job.started >= PICK_UP:
            self._run(job)
        elif job.polls == POLLS - 1:
            job.state = "Executing"

    def _job(self, body: Row) -> _Job:
        job = self._jobs.get(str(body.get("executionId")))
        if job is None:
            raise _failed(f"The execution ID {body.get('executionId')} does not exist.")
        self._advance(job)
        return job

    def _entity_run(self, body: Row) -> _EntityRun:
        given = _arguments(body, executionId=str, entityName=str)
        for run in self._job(body).runs:
            if run.entity.name.lower() == str(given["entityName"]).lower():
                return run
        raise _failed(f"Entity '{given['entityName']}' is not part of the execution.")

    def _errors(self, _: Call, body: Row) -> object:
        """A JSON list in a text; the names inside are assumed."""
        _arguments(body, executionId=str)
        job = self._job(body)
        found: list[dict[str, object]] = []
        if job.finished and job.fault:
            found.append({"RecordId": "", "Field": "", "ErrorMessage": job.fault})
        for run in job.runs if job.finished else []:
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
        return self._new_blob(call, name, text.getvalue().encode("utf-8-sig"))[1]

    # -- the job

    def _run(self, job: _Job) -> None:
        """Stage and write all entities. A package without rows does nothing and counts as succeeded."""
        if job.fault:
            job.state = "Failed"
            return
        failed = 0
        for run in job.runs:
            self._run_entity(job, run)
            failed += len(run.staging) + len(run.target)
        written = sum(run.written for run in job.runs)
        job.state = "Succeeded" if not failed else "PartiallySucceeded" if written else "Failed"

    def _run_entity(self, job: _Job, run: _EntityRun) -> None:
        if not run.entity.fields or not run.entity.rows:
            return
        columns, encoders = run.columns, self._store.layout(run.table.name).encoders
        for number, given in enumerate(run.entity.rows, start=1):
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
        self, job: _Job, run: _EntityRun, number: int, given: dict[str, str], key: dict[str, str], values: Row
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


def _failed(message: str) -> FinanceError:
    return FinanceError(400, _ERROR, message)


def _blob_error(status: int, code: str) -> Reply:
    body = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'
    return Reply(status, body.encode(), {"content-type": "application/xml", "x-ms-error-code": code})
