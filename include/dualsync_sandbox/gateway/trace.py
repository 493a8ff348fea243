"""What was asked of the sandbox, and what was written: for tests, and for people who look over a client's shoulder."""

from __future__ import annotations

import re
import threading
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec

_MOST_ENTRIES = 50_000
_MOST_BYTES = 64 * 1024 * 1024
#: Rights of access in links; secrets of a sign-in that went to the wrong address; sign-in headers, as parts of a batch
#: carry them; tokens (signed JSON) wherever they stand.
_SECRETS = (
    re.compile(rb"(\bsig=)[^&\"\s<]+"),
    re.compile(rb"(\bclient_(?:secret|assertion)=)[^&\s]+"),
    re.compile(rb"((?:^|\n)[ \t]*(?:proxy-)?authorization[ \t]*:[ \t]*)[^\r\n]+", re.IGNORECASE),
    re.compile(rb"()\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"),
)


def _without_secrets(text: bytes) -> bytes:
    for secret in _SECRETS:
        text = secret.sub(rb"\1...", text)
    return text


@dataclass(frozen=True)
class Entry:
    """One request. Bodies of sign-in requests are never kept, nor is any header.

    Attributes:
        id: Counts up.
        time: By the sandbox's clock.
        system: ``identity``, ``dataverse`` or ``finance``.
        method: HTTP method.
        path: Of the URL.
        query: Options of the URL.
        body: Of the request.
        status: Of the answer; 0 where none was given.
        ms: Milliseconds until it was ready.
        fault: The kind of the fault that struck it.
    """

    id: int
    time: str
    system: str
    method: str
    path: str
    query: dict[str, str]
    body: bytes
    status: int
    ms: float
    fault: str = ""

    def as_json(self) -> dict[str, object]:
        """The entry with its body decoded where it is JSON, and without tokens and the rights of access of links."""
        body: object = None
        if self.body:
            shown = _without_secrets(self.body)
            try:
                body = msgspec.json.decode(shown)
            except msgspec.DecodeError:
                body = shown.decode(errors="replace")
        fault = {"fault": self.fault} if self.fault else {}
        return {
            "id": self.id,
            "time": self.time,
            "system": self.system,
            "method": self.method,
            "path": self.path,
            "query": {name: _without_secrets(value.encode()).decode() for name, value in self.query.items()},
            "body": body,
            "status": self.status,
            "ms": self.ms,
            **fault,
        }


class Trace:
    """The last requests, within a bound on number and bytes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self._next = 1

    def add(
        self,
        *,
        time: str,
        system: str,
        method: str,
        path: str,
        query: dict[str, str],
        body: bytes,
        status: int,
        ms: float,
        fault: str = "",
    ) -> None:
        """Keep one request."""
        with self._lock:
            entry = Entry(self._next, time, system, method, path, query, body, status, round(ms, 3), fault)
            self._entries.append(entry)
            self._next += 1
            self._bytes += len(body)
            while len(self._entries) > _MOST_ENTRIES or (self._bytes > _MOST_BYTES and len(self._entries) > 1):
                self._bytes -= len(self._entries.popleft().body)

    def find(
        self,
        *,
        system: str | None = None,
        method: str | None = None,
        path: str | None = None,
        status: int | None = None,
        since: int = 0,
        limit: int = 1000,
    ) -> list[dict[str, object]]:
        """Entries that match, oldest first, the last ``limit`` of them.

        Args:
            system: ``identity``, ``dataverse`` or ``finance``.
            method: HTTP method.
            path: A part of the path.
            status: HTTP status.
            since: Only entries with a greater id.
            limit: How many at most.
        """
        with self._lock:
            entries = list(self._entries)
        matching = [
            entry
            for entry in entries
            if entry.id > since
            and (system is None or entry.system == system)
            and (method is None or entry.method == method.upper())
            and (path is None or path in entry.path)
            and (status is None or entry.status == status)
        ]
        return [entry.as_json() for entry in matching[-limit:]] if limit > 0 else []

    @property
    def last_id(self) -> int:
        """Id of the latest entry; 0 when there was none."""
        return self._next - 1

    def clear(self) -> None:
        """Forget all entries; ids go on."""
        with self._lock:
            self._entries.clear()
            self._bytes = 0


class Writes:
    """Rows written through one system's API, by table (entity set) and kind."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._pending = threading.local()

    def add(self, table: str, kind: str, count: int = 1) -> None:
        """Count rows that were written and committed, or will be with the rest of :meth:`together`."""
        pending: Counter[tuple[str, str]] | None = getattr(self._pending, "counts", None)
        if pending is not None:
            pending[table, kind] += count
            return
        with self._lock:
            self._counts[table, kind] += count

    @contextmanager
    def together(self) -> Iterator[None]:
        """Count what this thread adds only if nothing is raised: for writes that are undone together."""
        counts: Counter[tuple[str, str]] = Counter()
        self._pending.counts = counts
        try:
            yield
        finally:
            self._pending.counts = None
        with self._lock:
            self._counts.update(counts)

    def counts(self) -> dict[str, dict[str, int]]:
        """``{"accounts": {"create": 3, "update": 1}}``."""
        found: dict[str, dict[str, int]] = {}
        for table, kind, count in self._items():
            found.setdefault(table, {})[kind] = count
        return found

    def _items(self) -> Iterator[tuple[str, str, int]]:
        with self._lock:
            items = sorted(self._counts.items())
        return ((table, kind, count) for (table, kind), count in items)

    def clear(self) -> None:
        """Start again from nothing."""
        with self._lock:
            self._counts.clear()
