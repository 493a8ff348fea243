"""What the services grant a caller, and how long they take.

Dataverse follows "Service protection API limits" (developer/data-platform/api-limits): requests, execution time and
concurrency, for each user and web server over a sliding window. Finance follows "Service protection API limits"
(fin-ops-core/dev-itpro/data-entities/service-protection-api-limits) and "Priority-based throttling": its limits by user
are gone, requests are refused when the servers are busy, callers of low priority first.

All of it goes by the sandbox's clock: a window of five minutes passes when the clock is moved. Assumed: the seconds to
wait when too many requests run at once, that refused requests count as well (which lengthens the wait, as documented),
and the thresholds of the priorities in Finance.
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from dualsync_sandbox.clock import Clock
from dualsync_sandbox.protocol.http import ApiError

Reason = Literal["requests", "execution", "concurrency", "resources"]

TOO_MANY = 429
_EXECUTION = (
    "Combined execution time of incoming requests exceeded limit of {0.execution_ms:,.0f} milliseconds over time "
    "window of {0.window:g} seconds. Decrease number of concurrent requests or reduce the duration of requests and "
    "try again later."
)
_RESOURCES = "This request could not be processed at this time due to system experiencing high resource utilization."
#: Reason to error code and text. Finance has no codes and only the last of the four.
WORDS: dict[Reason, tuple[str, str]] = {
    "requests": (
        "0x80072322",
        "Number of requests exceeded the limit of {0.requests} over time window of {0.window:g} seconds.",
    ),
    "execution": ("0x80072321", _EXECUTION),
    "concurrency": ("0x80072326", "Number of concurrent requests exceeded the limit of {0.concurrent}."),
    "resources": ("", _RESOURCES),
}
AFFINITY = "ARRAffinity"
_SOON = 2.0  # assumed: seconds to wait when too many requests run at once
_SHARE = {"Low": 0.5, "Medium": 0.75, "High": 1.0}  # assumed


class DataverseLimits(msgspec.Struct, forbid_unknown_fields=True):
    """Limits of one user on one web server.

    Attributes:
        enabled: Whether they are enforced.
        requests: Requests in a window.
        execution_ms: Milliseconds of execution in a window.
        concurrent: Requests at one time.
        window: Seconds of a window.
        servers: Web servers; a caller without the affinity cookie goes from one to the next.
    """

    enabled: bool = True
    requests: int = 6000
    execution_ms: float = 1_200_000
    concurrent: int = 52
    window: float = 300
    servers: int = 1


class FinanceLimits(msgspec.Struct, forbid_unknown_fields=True):
    """How much work the servers of Finance take.

    Attributes:
        enabled: Whether requests are refused when the servers are busy.
        capacity: Milliseconds of work done in a millisecond.
        backlog_ms: Milliseconds of work the servers put off before they refuse callers of high priority.
        priority: The caller's priority; Low is refused at half of the backlog, Medium at three quarters.
        page: Rows of a page at most (10,000 in the real system).
    """

    enabled: bool = True
    capacity: float = 4
    backlog_ms: float = 60_000
    priority: Literal["Low", "Medium", "High"] = "Medium"
    page: int = 10_000


class Milliseconds(msgspec.Struct, forbid_unknown_fields=True):
    """Milliseconds for each service."""

    identity: float = 0
    dataverse: float = 0
    finance: float = 0


class Grants(msgspec.Struct, forbid_unknown_fields=True):
    """All that can be set.

    Attributes:
        dataverse: Service protection limits.
        finance: Resource-based limits.
        execution_ms: What a request counts for beside the time it really took. Takes no time.
        latency_ms: How long each answer is held back, in real time.
    """

    dataverse: DataverseLimits = msgspec.field(default_factory=DataverseLimits)
    finance: FinanceLimits = msgspec.field(default_factory=FinanceLimits)
    execution_ms: Milliseconds = msgspec.field(default_factory=Milliseconds)
    latency_ms: Milliseconds = msgspec.field(default_factory=Milliseconds)


def throttled(reason: Reason, wait: float | None, granted: DataverseLimits | None = None) -> ApiError:
    """The refusal of a request that is too much.

    Args:
        reason: Which limit.
        wait: Seconds to wait, named in ``Retry-After``; without one if ``None``.
        granted: The limits named in the text; those at first when left out.
    """
    code, text = WORDS[reason]
    headers = {} if wait is None else {"retry-after": str(max(1, math.ceil(wait)))}
    return ApiError(TOO_MANY, code, text.format(granted or DataverseLimits()), headers)


@dataclass
class _Window:
    """Requests of one user on one server."""

    entries: deque[tuple[float, float]] = field(default_factory=deque)
    spent: float = 0.0
    running: int = 0

    def forget(self, before: float, now: float) -> None:
        while self.entries and (self.entries[0][0] <= before or self.entries[-1][0] > now):
            # The second case: the clock was set back.
            _, ms = self.entries.popleft()
            self.spent -= ms

    def add(self, now: float, ms: float) -> None:
        self.entries.append((now, ms))
        self.spent += ms


@dataclass(frozen=True)
class Ticket:
    """A request that was let in; to be given back with :meth:`Limits.leave`.

    Attributes:
        system: ``dataverse`` or ``finance``; empty where nothing is counted.
        headers: Go out with the answer.
    """

    system: str = ""
    caller: str = ""
    server: int = 0
    headers: dict[str, str] = field(default_factory=dict)


class Limits:
    """Counts what callers ask for and refuses what is too much.

    Args:
        clock: The sandbox's clock.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self.grants = Grants()
        self._windows: dict[tuple[str, int], _Window] = {}
        self._turn = 0
        self._backlog = 0.0
        self._seen = 0.0

    def reset(self) -> None:
        """Grant what is granted at first, and forget all requests."""
        with self._lock:
            self.grants = Grants()
            self._forget()

    def forget(self) -> None:
        """Forget all requests so far."""
        with self._lock:
            self._forget()

    def _forget(self) -> None:
        running = {key: window.running for key, window in self._windows.items() if window.running}
        self._windows = {key: _Window(running=count) for key, count in running.items()}
        self._backlog = 0.0

    def as_dict(self) -> dict[str, object]:
        """All settings."""
        built: dict[str, object] = msgspec.to_builtins(self.grants)
        return built

    def change(self, given: dict[str, object]) -> None:
        """Change some settings, named as :meth:`as_dict` gives them.

        Raises:
            ValueError: There is no such setting, or it takes no such value.
        """
        merged = self.as_dict()
        for name, part in given.items():
            settings = merged.get(name)
            if not isinstance(settings, dict) or not isinstance(part, dict):
                raise ValueError(f"{name!r} takes settings, and is one of {', '.join(merged)}")  # noqa: TRY004
            settings.update(part)
        with self._lock:
            self.grants = msgspec.convert(merged, Grants)

    # -- one request

    def enter(self, system: str, caller: str, cookie: str) -> Ticket:
        """Let a request in.

        Args:
            system: ``dataverse`` or ``finance``.
            caller: Who asks.
            cookie: The ``Cookie`` header, which may name a server.

        Raises:
            ApiError: Status 429; it is too much.
        """
        with self._lock:
            now = self._clock.now().timestamp()
            return self._enter_dataverse(caller, cookie, now) if system == "dataverse" else self._enter_finance(now)

    def _enter_dataverse(self, caller: str, cookie: str, now: float) -> Ticket:
        granted = self.grants.dataverse
        if not granted.enabled:
            return Ticket()
        server = self._server(cookie, granted.servers)
        window = self._windows.setdefault((caller, server), _Window())
        window.forget(now - granted.window, now)
        headers = {
            "x-ms-ratelimit-burst-remaining-xrm-requests": str(max(0, granted.requests - len(window.entries) - 1)),
            "x-ms-ratelimit-time-remaining-xrm-requests": f"{max(0.0, granted.execution_ms - window.spent) / 1000:.2f}",
        }
        if _server_name(server) not in cookie:
            headers["set-cookie"] = f"{AFFINITY}={_server_name(server)}; Path=/; HttpOnly; Secure"
        refused: ApiError | None = None
        if window.running >= granted.concurrent:
            refused = throttled("concurrency", _SOON, granted)
        elif len(window.entries) >= granted.requests:
            free = window.entries[len(window.entries) - granted.requests][0] + granted.window
            refused = throttled("requests", free - now, granted)
        elif window.spent >= granted.execution_ms:
            free = self._free(window, granted.execution_ms) + granted.window
            refused = throttled("execution", free - now, granted)
        if refused is not None:
            window.add(now, 0)
            refused.headers.update(headers)
            raise refused
        window.running += 1
        return Ticket("dataverse", caller, server, headers)

    def _server(self, cookie: str, servers: int) -> int:
        for server in range(servers):
            if _server_name(server) in cookie:
                return server
        self._turn = (self._turn + 1) % servers
        return self._turn

    @staticmethod
    def _free(window: _Window, allowed: float) -> float:
        """When the request began whose leaving the window brings the time below what is allowed."""
        spent = window.spent
        for began, ms in window.entries:
            spent -= ms
            if spent < allowed:
                return began
        return window.entries[-1][0]

    def _enter_finance(self, now: float) -> Ticket:
        granted = self.grants.finance
        if not granted.enabled:
            return Ticket()
        self._drain(now)
        bearable = granted.backlog_ms * _SHARE[granted.priority]
        if self._backlog > bearable:
            raise throttled("resources", (self._backlog - bearable) / granted.capacity / 1000)
        return Ticket("finance")

    def _drain(self, now: float) -> None:
        done = max(0.0, now - self._seen) * 1000 * self.grants.finance.capacity
        self._backlog = max(0.0, self._backlog - done)
        self._seen = now

    def leave(self, ticket: Ticket, ms: float) -> None:
        """Count what a request took: ``ms`` milliseconds, and what ``execution_ms`` adds."""
        if not ticket.system:
            return
        with self._lock:
            now = self._clock.now().timestamp()
            if ticket.system == "dataverse":
                window = self._windows.setdefault((ticket.caller, ticket.server), _Window())
                window.running = max(0, window.running - 1)
                window.add(now, ms + self.grants.execution_ms.dataverse)
            else:
                self._drain(now)
                self._backlog += ms + self.grants.execution_ms.finance


def _server_name(server: int) -> str:
    return hashlib.sha256(f"server {server}".encode()).hexdigest()
