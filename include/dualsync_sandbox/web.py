"""The doors of the systems: HTTP in, :class:`Call` to the system, HTTP out; sign-in checked, requests traced.

Work on the stores runs in threads, so that one slow request holds up no other.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import format_datetime

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dualsync_sandbox.clock import Clock
from dualsync_sandbox.dataverse.api import discovery_header
from dualsync_sandbox.http import Call, Reply, parse_options
from dualsync_sandbox.trace import Trace

#: Longest URL the services take (query/overview of the Web API; assumed for Finance).
LONGEST_URL = 32 * 1024
_METHODS = ["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS", "MERGE"]

_log = logging.getLogger(__name__)

Handler = Callable[[Call], Reply]
#: Says why a request may not pass, from the ``Authorization`` header; ``None`` when it may.
Check = Callable[[str], str | None]


@dataclass(frozen=True)
class Door:
    """One system's door.

    Attributes:
        system: ``identity``, ``dataverse`` or ``finance``.
        root: path of the service root.
        handle: answers requests.
        clock: the sandbox's clock, for the trace.
        trace: where requests are kept.
        check: sign-in check; ``None`` where anybody may ask.
        authority: URL of the tenant, named to those who are refused.
        private: keep queries and bodies out of the trace, because they hold secrets.
    """

    system: str
    root: str
    handle: Handler
    clock: Clock
    trace: Trace
    check: Check | None = None
    authority: Callable[[], str] = str
    private: bool = False

    def route(self, below: str = "") -> Route:
        """The route to this door; ``below`` leaves the rest of the host to others."""
        return Route(below + "/{path:path}", self._endpoint, methods=_METHODS)

    async def _endpoint(self, request: Request) -> Response:
        body = await request.body()
        raw_path: bytes = request.scope["raw_path"]
        path = raw_path.partition(b"?")[0].decode("ascii", errors="replace")
        query = request.scope["query_string"].decode("ascii", errors="replace")
        base = f"{request.url.scheme}://{request.headers.get('host', '')}"
        headers = {name.lower(): value for name, value in request.headers.items()}
        reply = await run_in_threadpool(self._serve, request.method, base, path, query, headers, body)
        if request.method == "HEAD":
            reply.body = b""
        dated = {"date": format_datetime(self.clock.now(), usegmt=True), **reply.headers}
        return Response(reply.body, reply.status, dated)

    def _serve(self, method: str, base: str, path: str, query: str, headers: dict[str, str], body: bytes) -> Reply:
        started = time.perf_counter()
        options = parse_options(query)
        try:
            reply = self._answer(method, base, path, query, options, headers, body)
        except Exception:  # a fault of the sandbox: said as such, and seen in the trace
            _log.exception("the sandbox failed to answer a request to %s", self.system)
            reply = Reply.json(
                500, {"error": {"code": "SandboxFailure", "message": "The sandbox failed; see its log."}}
            )
        self.trace.add(
            time=self.clock.stamp(),
            system=self.system,
            method=method,
            path=path,
            query={} if self.private else options,
            body=b"" if self.private else body,
            status=reply.status,
            ms=(time.perf_counter() - started) * 1000,
        )
        return reply

    def _answer(
        self,
        method: str,
        base: str,
        path: str,
        query: str,
        options: dict[str, str],
        headers: dict[str, str],
        body: bytes,
    ) -> Reply:
        if self.check is not None:
            why = self.check(headers.get("authorization", ""))
            if why is not None:
                # The body of a 401 is documented for neither system; it is left empty.
                return Reply(
                    401, b"", {"www-authenticate": discovery_header(self.authority(), base), "x-sandbox-reason": why}
                )
        if len(path) + len(query) > LONGEST_URL:
            return Reply(414)
        inner = path.removeprefix(self.root) if path == self.root or path.startswith(self.root + "/") else None
        if inner is None:
            return Reply.json(404, {"Message": f"The sandbox serves this system below {self.root}."})
        return self.handle(Call(method, base, self.root, inner.strip("/"), options, headers, body))
