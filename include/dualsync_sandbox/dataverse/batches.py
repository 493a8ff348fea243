"""``$batch`` of Dataverse: "Execute batch operations" (webapi/execute-batch-operations-using-web-api).

Requests run in order. The first that fails ends the batch, whose own status is then 400, with the answers so far as its
body; ``Prefer: odata.continue-on-error`` lets the rest run, and the status is 200. Change sets are all or nothing.

Assumed: the codes of a batch that is too large or holds another batch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from http import HTTPStatus

from dualsync_sandbox.dataverse.errors import PARSE_ERROR, URI_ERROR, reply
from dualsync_sandbox.gateway.trace import Writes
from dualsync_sandbox.protocol.batch import ChangeSet, Operation, Runner, read_batch, size
from dualsync_sandbox.protocol.http import ApiError, Call, Reply
from dualsync_sandbox.store import Store

MOST_OPERATIONS = 1000
#: Longest URL of a request inside a batch; outside it is half of that.
LONGEST_URL = 64 * 1024
_BARE_BREAK = re.compile(rb"(?<!\r)\n(?=--|Content-)", re.IGNORECASE)


def run_batch(call: Call, handle: Callable[[Call], Reply], store: Store, writes: Writes) -> Reply:
    """Run a batch and answer it.

    Args:
        call: The request that holds it.
        handle: Answers one request of it.
        store: Where change sets are all or nothing.
        writes: Counts what stays.

    Raises:
        ApiError: The batch cannot be read, or breaks a rule; nothing of it was done.
        BatchFault: As ``ApiError``.
    """
    items = read_batch(replace(call, body=_with_breaks(call.body)))
    _check(call, items)
    failed: list[int] = []

    def answer(inner: Call) -> Reply:
        found = handle(inner)
        if found.status >= HTTPStatus.BAD_REQUEST:
            failed.append(found.status)
        if "odata-entityid" in found.headers:
            found.headers["location"] = found.headers["odata-entityid"]
        if found.headers.get("content-type", "").endswith("odata.metadata=minimal"):
            found.headers["content-type"] += "; odata.streaming=true"
        return found

    def unreadable(text: str) -> Reply:
        failed.append(HTTPStatus.BAD_REQUEST)
        return reply(ApiError(HTTPStatus.BAD_REQUEST, PARSE_ERROR, text))

    @contextmanager
    def together() -> Iterator[None]:
        with writes.together(), store.transaction(outside=True):
            yield

    go_on = "odata.continue-on-error" in call.preferences
    whole = Runner(call, answer, together, unreadable).run(items, go_on=go_on)
    if go_on:
        whole.headers["preference-applied"] = "odata.continue-on-error"
    elif failed:
        whole.status = HTTPStatus.BAD_REQUEST
    return whole


def _with_breaks(body: bytes) -> bytes:
    """The body of a batch with CRLF as its line ends.

    "Web API client errors": they must be CRLF, the last included; a client that cannot write them ends the body with
    two line ends of its own kind.

    Raises:
        ApiError: They are neither.
    """
    if body.endswith(b"--\n\n") and b"\r\n" not in body:
        return body.rstrip(b"\n").replace(b"\n", b"\r\n") + b"\r\n"
    whole = body.rstrip(b"\r\n") + b"\r\n"
    if not body.startswith(whole) or not whole.endswith(b"--\r\n") or _BARE_BREAK.search(body):
        raise ApiError(400, PARSE_ERROR, "Stream was not readable.")
    return whole


def _check(call: Call, items: Sequence[Operation | ChangeSet]) -> None:
    if size(items) > MOST_OPERATIONS:
        raise ApiError(400, URI_ERROR, f"A batch holds at most {MOST_OPERATIONS} requests; {size(items)} found.")
    for item in items:
        for operation in item if isinstance(item, tuple) else (item,):
            if operation.url.rstrip("/").removeprefix(call.service).removeprefix(call.root).strip("/") == "$batch":
                raise ApiError(400, URI_ERROR, "A batch cannot hold another batch.")
            if len(operation.url) > LONGEST_URL:
                raise ApiError(414, URI_ERROR, f"A URL in a batch has at most {LONGEST_URL} characters.")
            if isinstance(item, tuple) and not operation.content_id:
                # As public clients met it; the article only shows change sets whose parts all have one.
                raise ApiError(400, URI_ERROR, "Content-ID header not present.")
