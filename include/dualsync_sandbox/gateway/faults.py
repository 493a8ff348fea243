"""What can go wrong between a client and the services: planned through the control plane, met at the endpoints.

A fault is planned as JSON: its kind, the requests it strikes, and what the kind takes::

    {"kind": "throttled", "system": "dataverse", "method": "POST", "skip": 2, "times": 1, "retry_after": 5}
    {"kind": "timeout", "when": "after", "path": "CustomersV3", "times": 1}
    {"kind": "unavailable", "status": 503, "probability": 0.1, "seed": 7}

Of several faults that fit a request the one planned first strikes. Whatever a fault does to the answer, the service
behind it keeps its word: a request that was not carried out left nothing, one that was is committed.
"""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal

import msgspec

from dualsync_sandbox.gateway.dialect import ErrorDialect
from dualsync_sandbox.gateway.limits import Reason, throttled
from dualsync_sandbox.protocol.http import Reply, to_json

#: What a kind does and the words it takes, for the documentation.
KINDS: Mapping[str, str] = {
    "throttled": "429 before anything is done; `limit` says which: requests, execution, concurrency (Dataverse), "
    "resources (Finance); `retry_after` in seconds, none without it",
    "unavailable": "`status` 500, 502, 503 or 504 (502 to 504 as a gateway's HTML); `when` before or after the request "
    "was carried out; `retry_after`",
    "timeout": "no answer for `seconds` (30), then the connection ends; `when` before or after the request was carried "
    "out",
    "reset": "the request is carried out, the connection reset in the middle of the answer",
    "truncated": "the request is carried out, its answer ends early though HTTP says it is whole",
    "slow": "the answer comes in `pieces` (10) spread over `seconds` (30)",
    "unauthorized": "401 although the token is good",
    "repeated_link": "the page's next link leads to the page itself",
    "expired_link": "a next link is refused (400); strikes only requests that follow one",
    "expired_token": "the change token has expired; strikes only requests with one (Dataverse)",
    "half_batch": "a `$batch`, or an import by data package, breaks down after `operations` (1) of its operations or "
    "rows",
    "rows_change": "after the request was answered somebody makes `edits`: a list of `table`, `where` and `values` "
    "(update), only `values` (create), only `where` (delete)",
}
#: Kinds that strike before the service sees the request, where ``when`` says nothing else.
_BEFORE = frozenset({"throttled", "unauthorized", "expired_link", "expired_token"})
_FOLLOWED = re.compile(r"\$skiptoken|\$skip(?!\w)")
_GATEWAY = "<html><head><title>{0} {1}</title></head><body><center><h1>{0} {1}</h1></center></body></html>"


class Edit(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A change that somebody else makes; see ``rows_change``."""

    table: str
    where: dict[str, Any] = msgspec.field(default_factory=dict)
    values: dict[str, Any] = msgspec.field(default_factory=dict)


class Fault(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """One planned fault.

    Attributes:
        kind: What goes wrong; see :data:`KINDS`.
        system: ``identity``, ``dataverse`` or ``finance``; empty for both Dataverse and Finance.
        method: HTTP method; empty for all.
        path: A part of the URL's path; empty for all.
        query: A part of the URL's query, decoded; empty for all.
        skip: Requests that fit and are let through first.
        times: How many are struck; all when left out.
        probability: Share of those that fit which are struck, by chance.
        seed: Of that chance; the same gives the same.
    """

    kind: str
    system: Literal["", "identity", "dataverse", "finance"] = ""
    method: str = ""
    path: str = ""
    query: str = ""
    skip: int = 0
    times: int | None = None
    probability: float = 1.0
    seed: int = 0
    limit: Reason | Literal[""] = ""
    retry_after: float | None = None
    status: int = 503
    when: Literal["before", "after"] = "before"
    seconds: float = 30.0
    pieces: int = 10
    operations: int = 1
    edits: list[Edit] = msgspec.field(default_factory=list)

    @property
    def carried_out(self) -> bool:
        """Whether the service does what the request asks for."""
        if self.kind in ("unavailable", "timeout"):
            return self.when == "after"
        return self.kind not in _BEFORE


@dataclass
class _Planned:
    number: int
    fault: Fault
    chance: random.Random
    met: int = 0
    struck: int = 0


@dataclass(frozen=True)
class Request:
    """What a fault is chosen by."""

    system: str
    method: str
    path: str
    query: str

    @property
    def batch(self) -> bool:
        """Whether it can break down half-way."""
        return self.path.endswith("/$batch") or "ImportFromPackage" in self.path


class Faults:
    """The plan of faults."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._planned: list[_Planned] = []
        self._next = 1

    def plan(self, **words: Any) -> int:
        """Plan one fault, in the words of :class:`Fault`; returns its number.

        Raises:
            ValueError: It makes no sense.
        """
        fault = msgspec.convert(words, Fault)
        if fault.kind not in KINDS:
            raise ValueError(f"{fault.kind!r} is none of {', '.join(KINDS)}")
        if fault.times is not None and fault.times < 1:
            raise ValueError("times must be at least 1")
        if fault.pieces < 1 or fault.operations < 0 or not 0 <= fault.probability <= 1:
            raise ValueError("pieces, operations and probability are out of range")
        if fault.status not in (500, 502, 503, 504):
            raise ValueError("status is 500, 502, 503 or 504")
        with self._lock:
            number = self._next
            self._next += 1
            self._planned.append(_Planned(number, fault, random.Random(fault.seed)))
        return number

    def listed(self) -> list[dict[str, object]]:
        """All planned faults, with how many requests each met and struck."""
        with self._lock:
            return [
                {
                    "id": planned.number,
                    **msgspec.to_builtins(planned.fault),
                    "met": planned.met,
                    "struck": planned.struck,
                }
                for planned in self._planned
            ]

    def struck(self) -> int:
        """How many requests were struck since the plan was last cleared."""
        with self._lock:
            return sum(planned.struck for planned in self._planned)

    def clear(self) -> None:
        """Plan nothing."""
        with self._lock:
            self._planned.clear()

    def match(self, request: Request) -> Fault | None:
        """The fault that strikes this request."""
        with self._lock:
            for planned in self._planned:
                if _fits(planned.fault, request) and not (
                    planned.fault.times is not None and planned.struck >= planned.fault.times
                ):
                    planned.met += 1
                    if planned.met > planned.fault.skip and planned.chance.random() < planned.fault.probability:
                        planned.struck += 1
                        return planned.fault
        return None


def _fits(fault: Fault, request: Request) -> bool:
    if fault.system not in (request.system, "") or (not fault.system and request.system == "identity"):
        return False
    if fault.method not in ("", request.method) or fault.path not in request.path or fault.query not in request.query:
        return False
    if fault.kind == "expired_link":
        return _FOLLOWED.search(request.query) is not None
    if fault.kind == "expired_token":
        return "$deltatoken" in request.query
    if fault.kind == "half_batch":
        return request.batch
    return not (fault.kind == "repeated_link" and request.method != "GET")


# -- answers


@dataclass(frozen=True)
class Delivery:
    """How an answer reaches the caller.

    Attributes:
        kind: ``silence`` (nothing comes, then the connection ends), ``reset`` (half of it, then the connection is
            reset) or ``drip`` (in pieces).
        seconds: How long.
        pieces: Number of pieces.
    """

    kind: Literal["silence", "reset", "drip"]
    seconds: float = 0.0
    pieces: int = 1


def instead(fault: Fault, dialect: ErrorDialect) -> Reply:
    """The answer of a fault that keeps the request from the service, or replaces its answer."""
    if fault.kind == "throttled":
        return dialect.refuse(throttled(fault.limit or dialect.limit, fault.retry_after))
    if fault.kind == "expired_link":
        return dialect.refuse(dialect.expired_link)
    if fault.kind == "expired_token" and dialect.expired_token is not None:
        return dialect.refuse(dialect.expired_token)
    if fault.kind == "unavailable":
        return unavailable(fault, dialect)
    return Reply(200)


def unavailable(fault: Fault, dialect: ErrorDialect) -> Reply:
    """The service's own failure, or that of a gateway before it."""
    headers = {} if fault.retry_after is None else {"retry-after": f"{fault.retry_after:g}"}
    if fault.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        reply = dialect.refuse(dialect.broken)
        reply.headers.update(headers)
        return reply
    text = _GATEWAY.format(fault.status, HTTPStatus(fault.status).phrase)
    return Reply(fault.status, text.encode(), {"content-type": "text/html", **headers})


def spoiled(fault: Fault, reply: Reply, url: str) -> Reply:
    """The answer of the service as the fault leaves it: cut off, or with a link that leads nowhere new."""
    if fault.kind == "truncated":
        return Reply(reply.status, reply.body[: len(reply.body) // 2], reply.headers)
    if fault.kind == "repeated_link" and reply.status == HTTPStatus.OK:
        try:
            body = msgspec.json.decode(reply.body, type=dict[str, msgspec.Raw])
        except msgspec.DecodeError:
            return reply
        if "value" in body:
            body.pop("@odata.deltaLink", None)
            body["@odata.nextLink"] = msgspec.Raw(to_json(url))
            return Reply(reply.status, to_json(body), reply.headers)
    return reply


def delivery(fault: Fault) -> Delivery | None:
    """How the fault lets the answer reach the caller; ``None`` for the ordinary way."""
    if fault.kind == "timeout":
        return Delivery("silence", fault.seconds)
    if fault.kind == "reset":
        return Delivery("reset")
    if fault.kind == "slow":
        return Delivery("drip", fault.seconds, fault.pieces)
    return None
