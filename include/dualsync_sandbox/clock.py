"""The sandbox's clock: real time plus an offset, or standing still where it was set."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta


class Clock:
    """A clock that can be set and advanced; both systems and the tokens of the identity service share one.

    Args:
        start: where the clock starts; real time when left out.
        frozen: whether the clock stands still between moves.
    """

    def __init__(self, start: datetime | None = None, *, frozen: bool = False) -> None:
        self._lock = threading.Lock()
        self._offset = timedelta(0) if start is None else start.astimezone(UTC) - datetime.now(UTC)
        self._frozen: datetime | None = None
        if frozen:
            self._frozen = self._real()

    def _real(self) -> datetime:
        return datetime.now(UTC) + self._offset

    def now(self) -> datetime:
        """The time in the sandbox, in UTC."""
        with self._lock:
            return self._frozen if self._frozen is not None else self._real()

    def set(self, moment: datetime, *, frozen: bool = False) -> None:
        """Set the clock.

        Args:
            moment: the new time (with a time zone).
            frozen: stand still there; otherwise the clock goes on at real speed.
        """
        with self._lock:
            self._offset = moment.astimezone(UTC) - datetime.now(UTC)
            self._frozen = moment.astimezone(UTC) if frozen else None

    def advance(self, by: timedelta) -> None:
        """Move the clock by ``by``, which may be negative."""
        with self._lock:
            self._offset += by
            if self._frozen is not None:
                self._frozen += by

    def state(self) -> dict[str, object]:
        """Where the clock stands, for :meth:`go_back`."""
        with self._lock:
            frozen = None if self._frozen is None else self._frozen.isoformat()
            return {"offset": self._offset.total_seconds(), "frozen": frozen}

    def go_back(self, state: dict[str, object]) -> None:
        """Stand where :meth:`state` said: as far from real time as then, or still."""
        frozen, offset = state["frozen"], state["offset"]
        assert isinstance(offset, int | float)
        with self._lock:
            self._offset = timedelta(seconds=offset)
            self._frozen = datetime.fromisoformat(str(frozen)) if frozen is not None else None

    @property
    def frozen(self) -> bool:
        """Whether the clock stands still."""
        return self._frozen is not None

    def stamp(self) -> str:
        """The time as both systems write it: whole seconds, ``2024-01-31T10:00:00Z``."""
        return self.now().strftime("%Y-%m-%dT%H:%M:%SZ")
