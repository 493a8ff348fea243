"""The sandbox's clock: real time plus an offset, or standing still where it was set."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

CLOCK_FILE = "clock.json"
"""Where a sandbox keeps its clock, in its state folder beside the rows that were written by it."""


class Clock:
    """A clock that can be set and advanced; both systems and the tokens of the identity service share one.

    Args:
        start: Where the clock starts; real time when left out.
        frozen: Whether the clock stands still between moves.
        kept: File that every move is written to. A clock that begins with such a file goes on as it says: rows of days
            that were played ahead would otherwise lie in the future.
    """

    def __init__(self, start: datetime | None = None, *, frozen: bool = False, kept: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._kept = kept
        self._offset = timedelta(0) if start is None else start.astimezone(UTC) - datetime.now(UTC)
        self._frozen: datetime | None = None
        if frozen:
            self._frozen = self._real() if start is None else start.astimezone(UTC)
        if kept is not None and kept.exists():
            self._stand(json.loads(kept.read_bytes()))

    def _real(self) -> datetime:
        return datetime.now(UTC) + self._offset

    def now(self) -> datetime:
        """The time in the sandbox, in UTC."""
        with self._lock:
            return self._frozen if self._frozen is not None else self._real()

    def set(self, moment: datetime, *, frozen: bool = False) -> None:
        """Set the clock.

        Args:
            moment: The new time (with a time zone).
            frozen: Stand still there; otherwise the clock goes on at real speed.
        """
        with self._lock:
            self._offset = moment.astimezone(UTC) - datetime.now(UTC)
            self._frozen = moment.astimezone(UTC) if frozen else None
            self._keep()

    def advance(self, by: timedelta) -> None:
        """Move the clock by ``by``, which may be negative."""
        with self._lock:
            self._offset += by
            if self._frozen is not None:
                self._frozen += by
            self._keep()

    def state(self) -> dict[str, object]:
        """Where the clock stands, for :meth:`go_back`."""
        with self._lock:
            return self._state()

    def _state(self) -> dict[str, object]:
        frozen = None if self._frozen is None else self._frozen.isoformat()
        return {"offset": self._offset.total_seconds(), "frozen": frozen}

    def _keep(self) -> None:
        if self._kept is None:
            return
        # at once or not at all: a process that is killed in between must leave a whole file
        new = self._kept.with_suffix(".new")
        new.write_text(json.dumps(self._state()), encoding="utf-8")
        new.replace(self._kept)

    def go_back(self, state: dict[str, object]) -> None:
        """Stand where :meth:`state` said: as far from real time as then, or still."""
        with self._lock:
            self._stand(state)
            self._keep()

    def _stand(self, state: dict[str, object]) -> None:
        frozen, offset = state["frozen"], state["offset"]
        assert isinstance(offset, int | float)
        self._offset = timedelta(seconds=offset)
        self._frozen = datetime.fromisoformat(str(frozen)) if frozen is not None else None

    @property
    def frozen(self) -> bool:
        """Whether the clock stands still."""
        return self._frozen is not None

    def stamp(self) -> str:
        """The time as both systems write it: whole seconds, ``2024-01-31T10:00:00Z``."""
        return self.now().strftime("%Y-%m-%dT%H:%M:%SZ")
