"""What a failed connection means: worth another try, or a setting to correct."""

from __future__ import annotations

import ssl

import httpx

from dualsync.errors import DualsyncError, SettingsError, TimedOut, Unavailable


def transport_failure(error: httpx.TransportError, service: str, request: str) -> DualsyncError:
    """Make an error of dualsync of a failure to send a request or to receive its answer.

    Args:
        error: The failure.
        service: The name of the service.
        request: What was asked, without anything secret.

    Returns:
        An error that says in ``maybe_applied`` whether the request may have reached the service.
    """
    if isinstance(error, (httpx.PoolTimeout, httpx.ConnectTimeout)):
        return TimedOut(f"{service}: no connection in time for {request}")
    if isinstance(error, httpx.ConnectError):
        if _untrusted(error):
            return SettingsError(f"The certificate of {service} is not trusted; see the setting ca_file: {error}")
        return Unavailable(f"{service} cannot be reached for {request}: {error}")
    if isinstance(error, httpx.TimeoutException):
        return TimedOut(f"{service} did not answer {request} in time", maybe_applied=True)
    return Unavailable(f"{service}: connection lost during {request}: {error}", maybe_applied=True)


def _untrusted(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False
