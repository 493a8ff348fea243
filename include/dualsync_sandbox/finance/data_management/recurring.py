"""Recurring integrations: a queue for each recurring data job, into which callers put files and out of which they take.

Follows "Recurring integrations" (recurring-integrations.md): enqueue gives a message id, dequeue a location to download
from, an acknowledgement has the dequeued message as its body, messages that are not acknowledged come again after half
an hour, files live seven days, a job lists the applications that may use it. Messages go through the states of
GetMessageStatus. Jobs are set up on forms, here through the control plane.

Assumed: the names in a dequeued message beside ``DownloadLocation`` (as public clients have them), 204 when there is
nothing to dequeue, 403 for an application that is not listed, that processing takes as long as an import by package,
and that an export job puts a package into its queue when it is told to run.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from dualsync_sandbox.errors import NotImplementedInSandbox, SandboxError
from dualsync_sandbox.finance.data_management.archive import PackageFault, package_of
from dualsync_sandbox.finance.data_management.blobs import BLOB_LIFE
from dualsync_sandbox.finance.data_management.exports import Exports
from dualsync_sandbox.finance.data_management.imports import Imports
from dualsync_sandbox.finance.data_management.jobs import JobList
from dualsync_sandbox.finance.errors import refusal, reply
from dualsync_sandbox.protocol.http import ApiError, Call, Reply, unescape
from dualsync_sandbox.store import Store

ROOT = "/api/connector"
AGAIN = timedelta(minutes=30)

Status = Literal[
    "Enqueued", "Dequeued", "Acked", "Preprocessing", "Processing", "Processed", "PreProcessingError",
    "ProcessedWithErrors", "PostProcessingFailed",
]  # fmt: skip
_ENDS: dict[str, Status] = {
    "NotRun": "Preprocessing",
    "Executing": "Processing",
    "Succeeded": "Processed",
    "PartiallySucceeded": "ProcessedWithErrors",
    "Failed": "ProcessedWithErrors",
    "Canceled": "PostProcessingFailed",
}


class RecurringJob(msgspec.Struct, forbid_unknown_fields=True):
    """A recurring data job.

    Attributes:
        id: The activity id, a GUID.
        way: ``import`` takes what callers enqueue, ``export`` gives packages to those who dequeue.
        project: The export project (exports).
        company: The company it runs in.
        clients: Ids of the applications that may use it.
    """

    id: str
    way: Literal["import", "export"]
    company: str
    project: str = ""
    clients: list[str] = msgspec.field(default_factory=list)


@dataclass
class _Message:
    id: str
    activity: str
    content: bytes
    written: datetime
    status: Status = "Enqueued"
    taken: datetime | None = None
    receipt: str = ""


class Recurring:
    """The queues.

    Args:
        store: Gives the clock.
        jobs: Imports and exports under way.
        imports: Begins imports of what is enqueued.
        exports: Writes the packages that are dequeued.
    """

    def __init__(self, store: Store, jobs: JobList, imports: Imports, exports: Exports) -> None:
        self._store = store
        self._clock = store.clock
        self._executions = jobs
        self._imports = imports
        self._exports = exports
        self._lock = jobs.lock
        self._jobs: dict[str, RecurringJob] = {}
        self._messages: dict[str, _Message] = {}

    def clear(self) -> None:
        """Forget all messages; jobs stay."""
        with self._lock:
            self._messages.clear()

    # -- setting up

    def set_up(self, **words: Any) -> None:
        """Make a recurring job, in the words of :class:`RecurringJob`, or replace one.

        Raises:
            ValueError: The id is no GUID, or an export names no project.
        """
        job = msgspec.convert(words, RecurringJob)
        if job.way == "export" and not job.project:
            raise ValueError("an export needs the name of its project")
        with self._lock:
            self._jobs[str(uuid.UUID(job.id))] = job

    def remove_all(self) -> None:
        """Forget all jobs and messages."""
        with self._lock:
            self._jobs.clear()
            self._messages.clear()

    def listed(self) -> list[RecurringJob]:
        """All recurring jobs."""
        with self._lock:
            return list(self._jobs.values())

    def run(self, activity: str) -> str:
        """Let an export job run as its schedule would; returns the id of the message.

        Raises:
            ValueError: There is no such export job.
        """
        with self._lock:
            job = self._jobs.get(activity.lower())
            if job is None or job.way != "export":
                raise ValueError(f"there is no export job {activity!r}")
            export = self._exports.job(str(uuid.uuid4()), job.project, "", job.company.lower())
            export.run()
            return self._add(activity.lower(), export.content or b"")

    def _add(self, activity: str, content: bytes) -> str:
        message = _Message(str(uuid.uuid4()), activity, content, self._clock.now())
        self._messages[message.id] = message
        return message.id

    # -- the service

    def handle(self, call: Call) -> Reply:
        """Answer one authorised request below ``/api/connector``."""
        verb, _, activity = unescape(call.path).partition("/")
        answers = {
            ("POST", "enqueue"): self._enqueue,
            ("GET", "dequeue"): self._dequeue,
            ("POST", "ack"): self._acknowledge,
            ("GET", "download"): self._download,
        }
        answer = answers.get((call.method, verb))
        try:
            if answer is None:
                raise NotImplementedInSandbox("recurring integration", f"{call.method} {verb}")
            with self._lock:
                return answer(call, self._job(call, activity.strip("{}").lower()))
        except SandboxError as error:
            return reply(refusal(self._store.schema, error))

    def _job(self, call: Call, activity: str) -> RecurringJob:
        job = self._jobs.get(activity)
        if job is None:
            raise ApiError(404, "", f"There is no recurring job {activity}.")
        if call.caller not in job.clients:
            raise ApiError(403, "", f"The recurring job does not list the application {call.caller}.")
        return job

    def _enqueue(self, call: Call, job: RecurringJob) -> Reply:
        """A package, or a file of the entity that the URL names."""
        if job.way != "import":
            raise ApiError(400, "", "The recurring job does not import.")
        message = self._messages[self._add(str(uuid.UUID(job.id)), call.body)]
        try:
            content = call.body
            if not content.startswith(b"PK"):
                content = package_of(call.options.get("entity", ""), content)
            self._imports.begin(message.id, call.options.get("company") or job.company, content)
        except (ApiError, PackageFault):
            message.status = "PreProcessingError"
        return Reply.json(200, message.id)

    def _dequeue(self, call: Call, job: RecurringJob) -> Reply:
        if job.way != "export":
            raise ApiError(400, "", "The recurring job does not export.")
        now = self._clock.now()
        for message in self._messages.values():
            waiting = message.status == "Enqueued" or (
                message.status == "Dequeued" and message.taken is not None and now - message.taken >= AGAIN
            )
            mine = message.activity == str(uuid.UUID(job.id)) and now - message.written <= BLOB_LIFE
            if mine and waiting:
                message.status, message.taken, message.receipt = "Dequeued", now, uuid.uuid4().hex
                body = {
                    "CorrelationId": message.id,
                    "PopReceipt": message.receipt,
                    "DownloadLocation": f"{call.service}/download/{message.activity}?correlation-id={message.id}",
                    "IsDownLoadFileExist": True,
                    "FileDownLoadErrorMessage": "",
                }
                return Reply.json(200, body)
        return Reply(204)

    def _download(self, call: Call, job: RecurringJob) -> Reply:
        message = self._messages.get(call.options.get("correlation-id", ""))
        gone = message is None or self._clock.now() - message.written > BLOB_LIFE
        if gone or message is None or message.activity != str(uuid.UUID(job.id)):
            raise ApiError(404, "", "The file does not exist.")
        return Reply(200, message.content, {"content-type": "application/octet-stream"})

    def _acknowledge(self, call: Call, _: RecurringJob) -> Reply:
        """The body is that of the dequeue; a receipt of an earlier dequeue is worth nothing."""
        given = call.json()
        message = self._messages.get(str(given.get("CorrelationId")))
        if message is None or message.status != "Dequeued" or message.receipt != given.get("PopReceipt"):
            raise ApiError(400, "", "There is no such message to acknowledge.")
        message.status = "Acked"
        return Reply(200)

    def status(self, message_id: str) -> str:
        """The state of a message, for GetMessageStatus; empty where there is none (assumed)."""
        with self._lock:
            message = self._messages.get(message_id)
            if message is None:
                return ""
            execution = self._executions.state(message_id)
            if execution is not None and message.status != "PreProcessingError":
                message.status = _ENDS[execution]
            return message.status
