"""Imports rows by data package, for entities that OData does not show [FO5].

The rows go as a file to Finance's storage; Finance reads it in a job of its own, inserting or updating each row by its
key and each for itself. Good rows stay when others fail, so the errors are fetched row by row. Two imports at once fail
in Finance: a client runs one at a time, and one that meets another client's may be tried again.
"""

from __future__ import annotations

import json
import re
import threading
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from dualsync.errors import BrokenProtocol, BrokenReply, Refused, TimedOut, Transient, Unavailable
from dualsync.systems.finance.infolog import clean_messages
from dualsync.systems.finance.package_files import build_package, cell, read_table
from dualsync.systems.http import LOOPBACK, Service

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import httpx

    from dualsync.settings import Retries

_ACTIONS = "DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities."
_DONE = frozenset({"Succeeded", "PartiallySucceeded", "Failed", "Canceled"})
_UNKNOWN = "Unknown"
# The words of Finance for an import that met another one are not published.
_PARALLEL = re.compile(r"parallel|another import|already (?:running|executing)", re.IGNORECASE)
_CODE = re.compile(r"<Code>([^<]*)</Code>")
_NO_REASON = "Finance refused the row without a reason"


@dataclass(frozen=True, slots=True)
class RowError:
    """A row that Finance did not take.

    Attributes:
        key: Values of the key columns, as they were given.
        message: The reason. May quote values of the row: store it, never log it.
    """

    key: tuple[str, ...]
    message: str


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What became of the rows of an import: how many were written, and the others with their reasons."""

    written: int
    errors: tuple[RowError, ...] = ()


@dataclass(frozen=True, slots=True)
class ImportLimits:
    """How patiently an import is waited for, in seconds: between two looks, doubling, and over all."""

    first_wait: float = 0.5
    longest_wait: float = 15.0
    whole: float = 1800.0


class Packages:
    """The data management package API of one Finance environment. Thread-safe; one import at a time.

    Args:
        service: Finance's OData service.
        storage: An HTTP client without sign-in, for links that carry their own right of access.
        retries: Limits of trying a transfer again.
        sleep: Waits that many seconds.
        clock: Seconds of a clock that never goes back.
        limits: How long a job is waited for.
        group: Name of the import project in Finance.
    """

    def __init__(
        self,
        service: Service,
        storage: httpx.Client,
        *,
        retries: Retries,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        limits: ImportLimits | None = None,
        group: str = "dualsync",
    ) -> None:
        self._service = service
        self._storage = storage
        self._retries = retries
        self._sleep = sleep
        self._clock = clock
        self._limits = limits or ImportLimits()
        self._group = group
        self._one_at_a_time = threading.Lock()

    def close(self) -> None:
        """Close all connections to the storage."""
        self._storage.close()

    def import_rows(
        self,
        entity: str,
        columns: Sequence[str],
        rows: Sequence[Mapping[str, object]],
        legal_entity: str,
        *,
        target: str,
        key: Sequence[str],
    ) -> ImportResult:
        """Insert or update rows by their key, and wait for the end.

        Args:
            entity: The entity's label in data management.
            columns: The columns that are written.
            rows: Values by column; None leaves a column as Finance has it.
            legal_entity: The company in which the import runs.
            target: The entity's name in Finance's code.
            key: The entity's key columns.

        Returns:
            How many rows were written, and the refused ones by key.

        Raises:
            Refused: Finance rejected the whole package, or does not say which rows failed.
            Transient: No end in time, or another import is running. Importing the same rows again does no harm.
        """
        if not rows:
            return ImportResult(0)
        package = build_package(self._group, entity, target, columns, rows)
        with self._one_at_a_time:
            execution = self._start(package, legal_entity)
            state = self._wait(execution, entity)
            if state == "Succeeded":
                return ImportResult(len(rows))
            errors = self._row_errors(execution, entity, key, rows)
            if state == "Canceled" or not errors:
                reasons = [text for text, _ in self._messages(execution)]
                message = " ".join(dict.fromkeys(reasons)) or f"the import ended as {state} without a reason"
                raise Refused(200, state, f"{entity}: {message}", details=reasons)
        return ImportResult(len(rows) - len(errors), tuple(errors))

    # -- the job ---------------------------------------------------------------------------------------------------

    def _start(self, package: bytes, legal_entity: str) -> str:
        """Upload a package and begin its import; returns the execution id."""
        execution = str(uuid.uuid4())
        answer = self._ask("GetAzureWriteUrl", {"uniqueFileName": f"{execution}.zip"})
        try:
            url = str(json.loads(str(answer))["BlobUrl"])  # the reply is itself JSON
        except (ValueError, KeyError, TypeError) as error:
            raise BrokenReply("Finance gave no address to upload to") from error
        self._transfer("PUT", url, package)
        job = {
            "packageUrl": url,
            "definitionGroupId": self._group,
            "executionId": execution,
            "execute": True,
            "overwrite": True,
            "legalEntityId": legal_entity,
        }
        try:
            self._ask("ImportFromPackage", job, repeatable=False)
        except Refused as error:
            if _PARALLEL.search(error.message):
                raise Unavailable(f"Finance runs another import: {error.message}") from error
            raise
        except Transient as error:
            # the answer was lost; the execution id tells whether the job began all the same
            if not error.maybe_applied or self._status(execution) == _UNKNOWN:
                raise
        return execution

    def _wait(self, execution: str, entity: str) -> str:
        """The state in which a job ends."""

        def state() -> str:
            status = self._status(execution)
            return status if status in _DONE else ""

        return self._until(state, f"the import of {entity}")

    def _status(self, execution: str) -> str:
        return str(self._ask("GetExecutionSummaryStatus", {"executionId": execution}))

    def _until(self, look: Callable[[], str], what: str) -> str:
        """Look until there is something to see.

        Raises:
            TimedOut: There is nothing in the time that is granted.
        """
        end = self._clock() + self._limits.whole
        pause = self._limits.first_wait
        while not (result := look()):
            if self._clock() + pause > end:
                raise TimedOut(f"{what} does not end; look at the job {self._group} in Finance", maybe_applied=True)
            self._sleep(pause)
            pause = min(2 * pause, self._limits.longest_wait)
        return result

    # -- its errors ------------------------------------------------------------------------------------------------

    def _row_errors(
        self, execution: str, entity: str, key: Sequence[str], rows: Sequence[Mapping[str, object]]
    ) -> list[RowError]:
        """The rows that could not be staged, and those that the target refused."""
        given = {_folded(row, key): tuple(cell(row.get(name)) for name in key) for row in rows}
        by_record = {record.casefold(): text for text, record in self._messages(execution) if record}
        reasons: dict[tuple[str, ...], str] = {}
        for row in self._staging_file(execution, entity) + self._keys_file(execution, entity):
            parts = tuple(row.get(name.lower(), "").casefold() for name in key)
            if parts in given:
                text = _first(row.get("errormessage"), by_record.get(",".join(parts)), _NO_REASON)
                reasons.setdefault(parts, " ".join(clean_messages(text)))
        return [RowError(given[parts], text) for parts, text in reasons.items()]

    def _messages(self, execution: str) -> list[tuple[str, str]]:
        """Messages of a job with the record each is about, or nothing; a list that is JSON in a text."""
        try:
            listed = json.loads(str(self._ask("GetExecutionErrors", {"executionId": execution})) or "[]")
            return [(str(item.get("ErrorMessage", "")), str(item.get("RecordId", ""))) for item in listed]
        except (ValueError, AttributeError, TypeError) as error:
            raise BrokenReply("Finance gave a list of errors that cannot be read") from error

    def _staging_file(self, execution: str, entity: str) -> list[dict[str, str]]:
        job = {"executionId": execution, "entityName": entity}
        url = str(self._ask("GetImportStagingErrorFileUrl", job) or "")
        return self._download(url) if url else []

    def _keys_file(self, execution: str, entity: str) -> list[dict[str, str]]:
        job = {"executionId": execution, "entityName": entity}
        if self._ask("GenerateImportTargetErrorKeysFile", job) is not True:
            return []
        url = self._until(
            lambda: str(self._ask("GetImportTargetErrorKeysFileUrl", job) or ""), f"the list of errors of {entity}"
        )
        return self._download(url)

    # -- transport -------------------------------------------------------------------------------------------------

    def _ask(self, action: str, arguments: Mapping[str, object], *, repeatable: bool = True) -> Any:
        """The answer of an action, in either of the two shapes that are documented."""
        reply = self._service.send("POST", f"{_ACTIONS}{action}", body=arguments, repeatable=repeatable)
        value = reply.data.get("value") if isinstance(reply.data, dict) else None
        return value.get("value") if isinstance(value, dict) else value

    def _download(self, url: str) -> list[dict[str, str]]:
        try:
            return read_table(self._transfer("GET", url))
        except UnicodeDecodeError as error:
            raise BrokenReply("Finance gave a file of errors that cannot be read") from error

    def _transfer(self, method: str, url: str, content: bytes | None = None) -> bytes:
        """Send a file to storage, or fetch one. The link is a secret of its own; our token never goes there."""
        parts = urlsplit(url)
        if parts.scheme != "https" and parts.hostname not in LOOPBACK:
            raise BrokenProtocol(f"Finance gave a link to storage without encryption, at {parts.hostname}")
        storage = Service(
            "Finance's storage",
            f"{parts.scheme}://{parts.netloc}",
            self._storage,
            classify=_storage_refusal,
            retries=self._retries,
            sleep=self._sleep,
        )
        headers = {"x-ms-blob-type": "BlockBlob"} if method == "PUT" else {}
        reply = storage.send(method, url, headers=headers, content=content, parse=bytes, repeatable=True)
        return reply.data or b""


def _storage_refusal(status: int, _: Any, text: str) -> Refused | None:
    """The meaning of a refusal of the storage, which answers in XML; None where its status says it all."""
    code = _CODE.search(text)
    if code is None or status >= 500:
        return None
    return Refused(status, code[1], f"Finance's storage refuses the file: {code[1]}", raw=text)


def _folded(row: Mapping[str, object], key: Sequence[str]) -> tuple[str, ...]:
    """A row's key as Finance compares it: without regard to case."""
    return tuple(cell(row.get(name)).casefold() for name in key)


def _first(*texts: str | None) -> str:
    return next(text for text in texts if text)
