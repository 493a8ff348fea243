"""The endpoints of the systems: HTTP in, :class:`Call` to the system, HTTP out.

An endpoint checks the sign-in, keeps the limits, applies planned faults, and traces every request. Work on the stores
runs in threads, so that one slow request holds up no other.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from email.utils import format_datetime

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from dualsync_sandbox.clock import Clock
from dualsync_sandbox.gateway import faults
from dualsync_sandbox.gateway.dialect import ErrorDialect
from dualsync_sandbox.gateway.faults import Delivery, Edit, Fault, Faults
from dualsync_sandbox.gateway.limits import Limits, Ticket
from dualsync_sandbox.gateway.trace import Trace
from dualsync_sandbox.protocol.batch import ServiceBroke
from dualsync_sandbox.protocol.headers import raw
from dualsync_sandbox.protocol.http import ApiError, Call, NotSignedIn, Reply, parse_options, unescape

#: Longest URL the services take (query/overview of the Web API; assumed for Finance).
LONGEST_URL = 32 * 1024
_METHODS = ["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS", "MERGE"]

_log = logging.getLogger(__name__)

Handler = Callable[[Call], Reply]
#: Says who makes a request, from its ``Authorization`` header; raises ``NotSignedIn``.
Check = Callable[[str], str]
Address = tuple[str, int]


@dataclass(frozen=True)
class Services:
    """What all endpoints share.

    Attributes:
        clock: The sandbox's clock, for the trace.
        trace: Where requests are kept.
        faults: What is planned to go wrong.
        limits: What callers are granted.
        cut: Resets the connection from an address.
        edit: Makes edits in the rows of a system, as somebody else would.
    """

    clock: Clock
    trace: Trace
    faults: Faults
    limits: Limits
    cut: Callable[[Address], None]
    edit: Callable[[str, Sequence[Edit]], None]


@dataclass(frozen=True)
class IncomingRequest:
    """A request as it came."""

    method: str
    base: str
    path: str
    query: str
    options: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @staticmethod
    async def read(request: Request) -> IncomingRequest:
        """Read a request to its end."""
        body = await request.body()
        raw_path: bytes = request.scope["raw_path"]
        query = request.scope["query_string"].decode("ascii", errors="replace")
        return IncomingRequest(
            request.method,
            f"{request.url.scheme}://{request.headers.get('host', '')}",
            raw_path.partition(b"?")[0].decode("ascii", errors="replace"),
            query,
            parse_options(query),
            _joined(request.headers.items()),
            body,
        )

    @property
    def url(self) -> str:
        """The URL with its query."""
        return f"{self.base}{self.path}?{self.query}" if self.query else self.base + self.path


def _joined(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Headers by name in lower case; one that comes more than once, as ``Prefer`` may, is a list."""
    joined: dict[str, str] = {}
    for name, value in headers:
        lower = name.lower()
        joined[lower] = f"{joined[lower]}, {value}" if lower in joined else value
    return joined


@dataclass(frozen=True)
class Endpoint:
    """Where one system takes requests.

    Attributes:
        system: ``identity``, ``dataverse`` or ``finance``.
        root: Path of the service root.
        also: Further roots below which the same service answers.
        handle: Answers requests.
        services: What all endpoints share.
        dialect: How the system words what goes wrong.
        check: Sign-in check; ``None`` where anybody may ask.
        authority: URL of the tenant, named to those who are refused.
        private: Keep queries and bodies out of the trace, because they hold secrets.
        limited: Whether a request, named by its path below the root, counts for the limits.
    """

    system: str
    root: str
    handle: Handler
    services: Services
    dialect: ErrorDialect
    check: Check | None = None
    authority: Callable[[], str] = str
    private: bool = False
    limited: Callable[[str], bool] = bool
    also: tuple[str, ...] = ()

    def route(self, below: str = "") -> Route:
        """The route to this endpoint; ``below`` leaves the rest of the host to others."""
        return Route(below + "/{path:path}", self._answer, methods=_METHODS)

    async def _answer(self, request: Request) -> Response:
        started = time.perf_counter()
        incoming = await IncomingRequest.read(request)
        planned = faults.Request(self.system, incoming.method, unescape(incoming.path), unescape(incoming.query))
        fault = self.services.faults.match(planned)
        latency = getattr(self.services.limits.grants.latency_ms, self.system)
        if latency:
            await asyncio.sleep(latency / 1000)
        reply = await self._reply(incoming, fault)
        how = None if fault is None else faults.delivery(fault)
        self.services.trace.add(
            time=self.services.clock.stamp(),
            system=self.system,
            method=incoming.method,
            path=incoming.path,
            query={} if self.private else incoming.options,
            body=b"" if self.private else incoming.body,
            status=0 if how is not None and how.kind == "silence" else reply.status,
            ms=(time.perf_counter() - started) * 1000,
            fault="" if fault is None else fault.kind,
        )
        if incoming.method == "HEAD":
            reply.headers.setdefault("content-length", str(len(reply.body)))
            reply.body = b""
        reply.headers.setdefault("date", format_datetime(self.services.clock.now(), usegmt=True))
        if how is None:
            return _Answer(reply)
        return _Disturbed(reply, how, self.services.cut)

    async def _reply(self, incoming: IncomingRequest, fault: Fault | None) -> Reply:
        if fault is not None and not fault.carried_out:
            unauthorized = fault.kind == "unauthorized"
            return self._unauthorized(incoming, "a fault") if unauthorized else faults.instead(fault, self.dialect)
        try:
            caller = "" if self.check is None else self.check(incoming.headers.get("authorization", ""))
        except NotSignedIn as error:
            return self._unauthorized(incoming, str(error))
        if len(incoming.path) + len(incoming.query) > LONGEST_URL:
            return Reply(414)
        try:
            ticket = self._enter(incoming, caller)
        except ApiError as error:
            return self.dialect.refuse(error)
        began = time.perf_counter()
        try:
            reply = await run_in_threadpool(self._serve, incoming, caller, fault)
        finally:
            self.services.limits.leave(ticket, (time.perf_counter() - began) * 1000)
        reply.headers.update(ticket.headers)
        return reply if fault is None else await self._after_fault(incoming, fault, reply)

    def _unauthorized(self, incoming: IncomingRequest, why: str) -> Reply:
        """The body of a 401 is documented for neither system; it is left empty."""
        header = _discovery_header(self.authority(), incoming.base)
        return Reply(401, b"", {"www-authenticate": header, "x-sandbox-reason": why})

    def _inner(self, incoming: IncomingRequest) -> tuple[str, str] | None:
        """The root of the service and the path below it; ``None`` where the path lies elsewhere."""
        for root in (self.root, *self.also):
            if incoming.path == root or incoming.path.startswith(root + "/"):
                return root, incoming.path.removeprefix(root).strip("/")
        return None

    def _enter(self, incoming: IncomingRequest, caller: str) -> Ticket:
        _, path = self._inner(incoming) or ("", "")
        if self.check is None or not self.limited(path or "/"):
            return Ticket()
        return self.services.limits.enter(self.system, caller, incoming.headers.get("cookie", ""))

    def _serve(self, incoming: IncomingRequest, caller: str, fault: Fault | None) -> Reply:
        inner = self._inner(incoming)
        if inner is None:
            text = f"The sandbox does not implement {incoming.path}; it serves this system below {self.root}."
            return self.dialect.refuse(ApiError(501, "SandboxNotImplemented", text))
        breakdown = fault.operations if fault is not None and fault.kind == "half_batch" else None
        call = Call(
            incoming.method,
            incoming.base,
            *inner,
            incoming.options,
            incoming.headers,
            incoming.body,
            caller,
            breakdown,
        )
        try:
            return self.handle(call)
        except ServiceBroke:
            assert fault is not None
            return faults.unavailable(fault, self.dialect)
        except Exception:  # a fault of the sandbox: said as such, and seen in the trace
            _log.exception("the sandbox failed to answer a request to %s", self.system)
            return Reply.json(500, {"error": {"code": "SandboxFailure", "message": "The sandbox failed; see its log."}})

    async def _after_fault(self, incoming: IncomingRequest, fault: Fault, reply: Reply) -> Reply:
        """The answer of a request that was carried out, as the fault leaves it."""
        if fault.kind == "rows_change":
            await run_in_threadpool(self.services.edit, self.system, fault.edits)
        if fault.kind == "unavailable":
            return faults.unavailable(fault, self.dialect)
        return faults.spoiled(fault, reply, incoming.url)


def _discovery_header(authority: str, base: str) -> str:
    """``WWW-Authenticate`` of an unauthorised answer; clients find the tenant in it."""
    tenant = re.sub(r"/v2\.0$", "", authority)
    return f"Bearer authorization_uri={tenant}/oauth2/authorize, resource_id={base}/"


class _Answer(Response):
    """An answer whose headers are spelled as the services spell them."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.body, reply.status)
        self.raw_headers = raw(reply.headers, reply.body, reply.status)


class _Disturbed(_Answer):
    """An answer that does not reach the caller as it should."""

    def __init__(self, reply: Reply, how: Delivery, cut: Callable[[Address], None]) -> None:
        super().__init__(reply)
        self._how = how
        self._cut = cut

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, or what is left of it."""
        if self._how.kind == "silence":
            if not await _gone(receive, self._how.seconds):
                await self._break(scope, receive)
            return
        body = bytes(self.body)
        if self._how.kind == "reset":
            if body:
                await send(self._head())
                await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
            await self._break(scope, receive)
            return
        await send(self._head())
        step = max(1, -(-len(body) // self._how.pieces))
        for start in range(0, len(body), step):
            if await _gone(receive, self._how.seconds / self._how.pieces):
                return
            await send({"type": "http.response.body", "body": body[start : start + step], "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _head(self) -> Message:
        return {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}

    async def _break(self, scope: Scope, receive: Receive) -> None:
        self._cut(scope["client"])
        await _gone(receive, None)


async def _gone(receive: Receive, seconds: float | None) -> bool:
    """Wait until the caller is gone, for so long at most; whether it is."""
    try:
        async with asyncio.timeout(seconds):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return False
    return True
