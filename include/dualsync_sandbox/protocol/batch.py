"""``$batch`` requests as both systems take them: multipart bodies taken apart, run in order, and answered in kind.

Follows "OData Version 4.0 Part 1: Protocol", section 11.7 (Batch Requests), and for what the two systems add "Execute
batch operations using the Web API" (Dataverse) and "Open Data Protocol (OData)", "Batch requests" (Finance).
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlsplit

from dualsync_sandbox.errors import SandboxError
from dualsync_sandbox.protocol.headers import spelled
from dualsync_sandbox.protocol.http import Call, Reply, parse_options

_BREAK = b"\r\n"
#: Microsoft's own Python client leaves the spaces of a filter as they are.
_REQUEST_LINE = re.compile(rb"([A-Z]+) (\S.*) HTTP/1\.\d")
_REFERENCE = re.compile(r"\$([A-Za-z0-9._-]+)")
_BOUND = re.compile(rb'(@odata\.(?:bind|id)"\s*:\s*)"/?\$([A-Za-z0-9._-]+)"')


class BatchFault(SandboxError):
    """A batch that cannot be read, or asks for something no batch may."""


class ServiceBroke(Exception):
    """The service breaks down in the middle of a batch: what was committed stays, nothing else is done."""


@dataclass(frozen=True)
class Operation:
    """One request of a batch.

    Attributes:
        method: In capitals.
        url: As written: absolute, an absolute path, a path below the service root, or beginning with ``$1``.
        headers: Names in lower case.
        body: Raw body.
        content_id: Its name within the batch; empty when it has none.
    """

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    content_id: str = ""


#: A change set: all of its operations, or none of them.
ChangeSet = tuple[Operation, ...]


def read_batch(call: Call) -> list[Operation | ChangeSet]:
    """The operations and change sets of a batch, in order.

    Raises:
        BatchFault: The body is no batch.
    """
    items: list[Operation | ChangeSet] = []
    for headers, content in _parts(call.headers.get("content-type", ""), call.body):
        kind = headers.get("content-type", "")
        if kind.lower().startswith("multipart/mixed"):
            operations = tuple(_operation(inner, body) for inner, body in _parts(kind, content))
            if any(operation.method == "GET" for operation in operations):
                raise BatchFault("A change set cannot hold a request that reads.")
            items.append(operations)
        else:
            items.append(_operation(headers, content))
    return items


def size(items: Sequence[Operation | ChangeSet]) -> int:
    """How many operations a batch holds, those in change sets included."""
    return sum(len(item) if isinstance(item, tuple) else 1 for item in items)


def _parts(content_type: str, body: bytes) -> list[tuple[dict[str, str], bytes]]:
    """Headers and content of the parts of a multipart body."""
    match = re.search(r'boundary="?([^";,\s]+)"?', content_type, re.IGNORECASE)
    if not content_type.lower().startswith("multipart/mixed") or match is None:
        raise BatchFault("The content type of a batch must be multipart/mixed and name its boundary.")
    pieces = (_BREAK + body).split(_BREAK + b"--" + match[1].encode())
    if len(pieces) < 2 or not pieces[-1].startswith(b"--") or len(pieces[-1].strip()) > 2:
        # "Web API client errors": line ends must be CRLF, the last included.
        raise BatchFault("Stream was not readable.")
    found = []
    for piece in pieces[1:-1]:
        if not piece.startswith(_BREAK):
            raise BatchFault("Stream was not readable.")
        found.append(_split(piece[len(_BREAK) :]))
    return found


def _split(piece: bytes) -> tuple[dict[str, str], bytes]:
    """Header lines up to the empty line, and the rest."""
    if piece.startswith(_BREAK):
        return {}, piece[len(_BREAK) :]
    head, _, content = piece.partition(_BREAK * 2)
    headers = {}
    for line in head.split(_BREAK):
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon and name.strip():
            raise BatchFault(f"'{name}' is no header.")
        headers[name.strip().lower()] = value.strip()
    return headers, content


def _operation(outer: dict[str, str], content: bytes) -> Operation:
    if not outer.get("content-type", "").lower().startswith("application/http"):
        raise BatchFault("The content type of a part must be application/http or multipart/mixed.")
    line, _, rest = content.partition(_BREAK)
    match = _REQUEST_LINE.fullmatch(line.strip())
    if match is None:
        raise BatchFault("A part must begin with a request line.")
    headers, body = _split(rest) if rest else ({}, b"")
    content_id = outer.get("content-id") or headers.get("content-id", "")
    return Operation(match[1].decode(), match[2].decode("latin-1"), headers, body, content_id)


# -- running


@dataclass
class Runner:
    """Runs the operations of one batch, one after another.

    Args:
        call: The request that holds the batch.
        handle: Answers one request.
        transaction: Opens what makes a change set all or nothing; an exception that leaves it undoes the set.
        unreadable: The answer to an operation whose URL cannot be told.
    """

    call: Call
    handle: Callable[[Call], Reply]
    transaction: Callable[[], AbstractContextManager[object]]
    unreadable: Callable[[str], Reply]
    _done: int = 0
    _made: dict[str, str] = field(default_factory=dict)

    def run(self, items: Sequence[Operation | ChangeSet], *, go_on: bool) -> Reply:
        """Run all items; a failed one ends the batch unless ``go_on``.

        Returns:
            The multipart reply; its status is 200 also where operations failed.

        Raises:
            ServiceBroke: As ``Call.breakdown`` asks for.
        """
        replies: list[list[tuple[str, Reply]] | Reply] = []
        for item in items:
            if isinstance(item, tuple):
                answer: list[tuple[str, Reply]] | Reply = self._change_set(item)
                failed = isinstance(answer, Reply)
            else:
                answer = self._one(item)
                failed = answer.status >= HTTPStatus.BAD_REQUEST
            replies.append(answer)
            if failed and not go_on:
                break
        return write_batch(replies)

    def _one(self, operation: Operation) -> Reply:
        if self.call.breakdown is not None and self._done >= self.call.breakdown:
            raise ServiceBroke(f"after {self._done} operations")
        self._done += 1
        url, body = self._url(operation), self._body(operation)
        if isinstance(url, Reply):
            return url
        if isinstance(body, Reply):
            return body
        parts = urlsplit(url)
        headers = {**self._inherited(), **operation.headers}
        path = parts.path.removeprefix(self.call.root).strip("/")
        inner = Call(
            operation.method,
            self.call.base,
            self.call.root,
            path,
            parse_options(parts.query),
            headers,
            body,
        )
        answer = self.handle(inner)
        where = answer.headers.get("location") or answer.headers.get("odata-entityid")
        if operation.content_id and where:
            self._made[operation.content_id] = where
        return answer

    def _inherited(self) -> dict[str, str]:
        """What the operations take over from the request around them; its preferences are about the batch."""
        own = {"content-type", "content-length", "accept", "prefer", "transfer-encoding", "if-match", "if-none-match"}
        return {name: value for name, value in self.call.headers.items() if name not in own}

    def _url(self, operation: Operation) -> str | Reply:
        """The full URL of an operation; ``$1`` stands for what the operation of that name created."""
        url = operation.url
        if url.startswith("$"):
            match = _REFERENCE.match(url)
            if match is not None and match[1] in self._made:
                return self._made[match[1]] + url[match.end() :]
            if match is not None and match[1] not in ("batch", "metadata"):
                return self._unknown(match[1])
        if url.startswith(("http://", "https://")):
            return url if url.startswith(self.call.service) else self.unreadable(f"'{url}' is not of this service.")
        return self.call.base + url if url.startswith("/") else f"{self.call.service}/{url}"

    def _change_set(self, operations: ChangeSet) -> list[tuple[str, Reply]] | Reply:
        """All operations or none: the answers of all, or the one that failed."""
        answers: list[tuple[str, Reply]] = []
        try:
            with self.transaction():
                for operation in operations:
                    answer = self._one(operation)
                    if answer.status >= HTTPStatus.BAD_REQUEST:
                        raise _Undo(answer)
                    answers.append((operation.content_id, answer))
        except _Undo as failed:
            return failed.answer
        return answers

    def _body(self, operation: Operation) -> bytes | Reply:
        """The body with ``@odata.bind`` or ``@odata.id`` of ``$1`` leading to what the operation of that name made."""
        missing: list[str] = []

        def place(match: re.Match[bytes]) -> bytes:
            url = self._made.get(match[2].decode())
            if url is None:
                missing.append(match[2].decode())
                return match[0]
            return match[1] + b'"' + url.encode() + b'"'

        body = _BOUND.sub(place, operation.body)
        return self._unknown(missing[0]) if missing else body

    def _unknown(self, content_id: str) -> Reply:
        return self.unreadable(f"Content-ID Reference: '${content_id}' does not exist in the batch context.")


class _Undo(Exception):
    def __init__(self, answer: Reply) -> None:
        super().__init__(answer.status)
        self.answer = answer


# -- answering


def write_batch(replies: Sequence[list[tuple[str, Reply]] | Reply], status: int = 200) -> Reply:
    """The multipart answer: a part for each operation, a nested one for each change set that was carried out."""
    boundary = f"batchresponse_{uuid.uuid4()}"
    parts = []
    for answer in replies:
        if isinstance(answer, Reply):
            parts.append(_http(answer, ""))
        else:
            inner = f"changesetresponse_{uuid.uuid4()}"
            listed = _join(inner, [_http(reply, content_id) for content_id, reply in answer])
            parts.append(f"Content-Type: multipart/mixed; boundary={inner}\r\n\r\n".encode() + listed)
    return Reply(status, _join(boundary, parts), {"content-type": f"multipart/mixed; boundary={boundary}"})


def _join(boundary: str, parts: Sequence[bytes]) -> bytes:
    mark = b"--" + boundary.encode()
    return b"".join(mark + _BREAK + part + _BREAK for part in parts) + mark + b"--" + _BREAK


def _http(reply: Reply, content_id: str) -> bytes:
    lines = ["Content-Type: application/http", "Content-Transfer-Encoding: binary"]
    if content_id:
        lines.append(f"Content-ID: {content_id}")
    lines += ["", f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}"]
    lines += [f"{spelled(name)}: {value}" for name, value in reply.headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + reply.body
