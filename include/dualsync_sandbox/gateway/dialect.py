"""How a service words what goes wrong before or around it: throttling, breakdowns, expired links."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dualsync_sandbox.gateway.limits import Reason
from dualsync_sandbox.protocol.http import ApiError, Reply


@dataclass(frozen=True)
class ErrorDialect:
    """The words of one system.

    Attributes:
        limit: The limit a request meets where the fault names none.
        refuse: Makes the system's answer of a refusal.
        expired_link: The refusal of a next link.
        expired_token: The refusal of a change token; ``None`` where there are none.
        broken: The refusal with status 500.
    """

    limit: Reason
    refuse: Callable[[ApiError], Reply]
    expired_link: ApiError
    expired_token: ApiError | None
    broken: ApiError
