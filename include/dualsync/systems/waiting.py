"""How long to wait before a request is sent again, and when to stop."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from dualsync.errors import Transient

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx
    from tenacity import RetryCallState

    from dualsync.settings import Retries


def _utc_now() -> datetime:
    return datetime.now(UTC)


def retry_after(headers: httpx.Headers, now: Callable[[], datetime] = _utc_now) -> float | None:
    """Seconds that a Retry-After header asks to wait; None without one or with one that cannot be read.

    Both forms of RFC 9110 10.2.3 are understood: seconds, and a date.
    """
    text = headers.get("Retry-After", "").strip()
    if not text:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now()).total_seconds())


class Waits:
    """The waits of one request by tenacity's interface: ``wait`` and ``stop``.

    Doubling waits with jitter, so that callers who failed together do not come back together. A time that the service
    names is a lower bound; retrying earlier lengthens it [DV9].
    """

    def __init__(self, limits: Retries) -> None:
        self._limits = limits

    def wait(self, state: RetryCallState) -> float:
        """Seconds before the next attempt."""
        jitter = random.uniform(0.5, 1.0)  # noqa: S311  spreads load, hides nothing
        doubled = self._limits.first_wait * 2.0 ** (state.attempt_number - 1)
        pause = min(doubled, self._limits.longest_wait) * jitter
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, Transient) and error.retry_after is not None:
            return max(pause, error.retry_after + self._limits.first_wait * jitter)
        return pause

    def stop(self, state: RetryCallState) -> bool:
        """True where the attempts are used up or the next wait would exceed the time granted for waiting."""
        return (
            state.attempt_number >= self._limits.attempts
            or state.idle_for + state.upcoming_sleep > self._limits.waiting
        )
