"""What a failed connection means: worth another try, or a setting to correct."""

from __future__ import annotations

import ssl

import httpx

from dualsync.errors import DualsyncError, SettingsError, TimedOut, Unavailable


def lost(error: httpx.TransportError, who: str, what: str) -> DualsyncError:
    """Make an error of dualsync of a failure to send a request or to receive its answer.

    Args:
        error: The failure.
        who: The service.
        what: The request, without anything secret.

    Returns:
        An error that says in ``maybe_applied`` whether the request may have reached the service.
    """
    if isinstance(error, (httpx.PoolTimeout, httpx.ConnectTimeout)):
        return TimedOut(f"{who}: no connection in time for {what}")
    if isinstance(error, httpx.ConnectError):
        if _untrusted(error):
            return SettingsError(f"The certificate of {who} is not trusted; see the setting ca_file: {error}")
        return Unavailable(f"{who} cannot be reached for {what}: {error}")
    if isinstance(error, httpx.TimeoutException):
        return TimedOut(f"{who} did not answer {what} in time", maybe_applied=True)
    return Unavailable(f"{who}: connection lost during {what}: {error}", maybe_applied=True)


def _untrusted(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False
