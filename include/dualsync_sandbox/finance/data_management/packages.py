"""The data management package API: packages are uploaded, imported as a job of its own, and their errors fetched.

Follows "Data management package REST API" (data-management-api.md) and what clients of it observed: replies whose text
is itself JSON, states that a client polls for, imports that fail when another is running. Assumed: the names inside the
error list; that unknown execution ids are ``Unknown`` and used ones refused. What imports and exports do stands in
``dualsync_sandbox.finance.data_management.imports`` and ``dualsync_sandbox.finance.data_management.exports``.

Jobs live in memory: a sandbox that is started again knows none of them.
"""

from __future__ import annotations

import csv
import io
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from dualsync_sandbox.errors import NotImplementedInSandbox
from dualsync_sandbox.finance.data_management.blobs import Blobs
from dualsync_sandbox.finance.data_management.exports import ExportJob, Exports
from dualsync_sandbox.finance.data_management.imports import EntityRun, ImportJob, Imports
from dualsync_sandbox.finance.data_management.jobs import Job, JobList, failed
from dualsync_sandbox.finance.data_management.recurring import Recurring
from dualsync_sandbox.finance.errors import FinanceError
from dualsync_sandbox.gateway.trace import Writes
from dualsync_sandbox.protocol.http import ApiError, Call, Reply
from dualsync_sandbox.protocol.odata import ENUM_NAMESPACE
from dualsync_sandbox.store import Row, Store

SET = "DataManagementDefinitionGroups"


@dataclass(frozen=True)
class Action:
    """An action of data management.

    Attributes:
        answer: The method that answers it.
        takes: Names of its arguments.
        gives: What it answers.
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
    "definitionGroupId, packageName, executionId, reExecute, legalEntityId, count (or exportPreviewCount)",
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


def exempt(path: str) -> bool:
    """Whether a request is exempt from throttling: data management and recurring integrations are.

    Follows "Service protection API limits" (service-protection-api-limits.md).

    Args:
        path: Below the root of the service.
    """
    return path.startswith(SET)


class Packages:
    """The package API over one store.

    Args:
        store: The rows.
        writes: Counts what was written.
        default_company: The company of the user, for exports that name none.
        nested: Answer ``{"value": {"value": ...}}``, as some versions of the documentation show.

    Attributes:
        blobs: The storage that packages and files of errors lie in.
        exports: Export projects and their positions.
        imports: The imports of packages.
        recurring: The queues of recurring integrations.
    """

    def __init__(self, store: Store, writes: Writes, default_company: str, *, nested: bool = False) -> None:
        self.nested = nested
        self.blobs = Blobs(store.clock)
        self.exports = Exports(store)
        self._jobs = JobList(store)
        self.imports = Imports(store, writes, self._jobs)
        self.recurring = Recurring(store, self._jobs, self.imports, self.exports)
        self._default = default_company
        self._actions: dict[str, Callable[[Call, Row], object]] = {
            name: getattr(self, action.answer) for name, action in ACTIONS.items()
        }

    def clear(self) -> None:
        """Forget all files, jobs and positions of exports; projects stay."""
        with self._jobs.lock:
            self.blobs.clear()
            self.exports.forget()
            self.recurring.clear()
            self._jobs.clear()

    # -- the service

    def action(self, call: Call, segments: list[str]) -> Reply:
        """Answer a request to ``DataManagementDefinitionGroups``.

        Raises:
            ApiError: The action's own refusal.
            NotImplementedInSandbox: The action is not played here.
        """
        name = segments[0].removeprefix(ENUM_NAMESPACE) if segments else ""
        answer = self._actions.get(name)
        if answer is None or len(segments) != 1:
            raise NotImplementedInSandbox("data management", "/".join(segments) or SET)
        if call.method != "POST":
            raise ApiError(405, "", f"The requested resource does not support http method '{call.method}'.")
        with self._jobs.lock:
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
        for other in self._jobs.advancing():
            if isinstance(other, ImportJob) and not other.finished:
                raise failed(f"Another import is running (execution {other.id}). Imports cannot run in parallel.")
        execution = str(given["executionId"]) or str(uuid.uuid4())
        if self._jobs.get(execution) is not None:
            raise failed(f"The execution ID {execution} already exists.")
        if not given["overwrite"]:
            raise failed("Overwrite must be true for entities that are not composite.")
        content = self.blobs.content(call, str(given["packageUrl"]))
        if content is None:
            raise failed("The package cannot be downloaded from the given URL.")
        job = self.imports.begin(execution, str(given["legalEntityId"]), content, execute=given["execute"] is True)
        job.breakdown = call.breakdown
        return execution

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
        earlier = self._jobs.get(execution)
        if earlier is not None and not (again and isinstance(earlier, ExportJob)):
            raise failed(f"The execution ID {execution} already exists.")
        company = self._jobs.company(str(given["legalEntityId"]) or self._default)
        job = self.exports.job(execution, str(given["definitionGroupId"]), str(given["packageName"]), company)
        self._jobs.add(job)
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

    def _status(self, _: Call, body: Row) -> object:
        return self._jobs.state(str(_arguments(body, executionId=str)["executionId"])) or "Unknown"

    def _message_status(self, _: Call, body: Row) -> object:
        return self.recurring.status(str(_arguments(body, messageId=str)["messageId"]))

    def _job(self, body: Row) -> Job:
        job = self._jobs.advanced(str(body.get("executionId")))
        if job is None:
            raise failed(f"The execution ID {body.get('executionId')} does not exist.")
        return job

    def _entity_run(self, body: Row) -> EntityRun:
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
        errors: list[dict[str, object]] = []
        if job.finished and job.fault:
            errors.append({"RecordId": "", "Field": "", "ErrorMessage": job.fault})
        for run in job.runs if job.finished and isinstance(job, ImportJob) else ():
            for error in [*run.staging, *run.target]:
                key = ",".join(error.key.values())
                errors.append(
                    {"RecordId": key or str(error.record), "Field": error.field, "ErrorMessage": error.message}
                )
        return json.dumps(errors)

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
