"""What the refusals of Finance mean."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from dualsync.errors import AlreadyExists, DualsyncError, NotFound, Refused, RowChanged, SchemaMismatch
from dualsync.systems.finance.infolog import clean_messages

_FAILURES = frozenset({500, 502, 503, 504})
_HOLLOW = ("Exception has been thrown by the target of an invocation", "An error has occurred", "")


def classify(status: int, data: Any, text: str) -> DualsyncError | None:
    """The meaning of a refusal of Finance; None where its status says it all.

    The status tells little: a missing row and a business rule are both 400, a duplicate may be 400 or 500.
    """
    if not isinstance(data, dict):
        return NotFound(status, "", "There is no such row or address", raw=text) if status == 404 else None
    if "No HTTP resource was found" in str(data.get("Message", "")):
        return SchemaMismatch("Finance does not know the address of the request: no such public entity")
    reason = _reason(data.get("error"))
    messages = clean_messages(reason)
    message = " ".join(messages)
    if "An update conflict occurred" in reason or status == HTTPStatus.PRECONDITION_FAILED:
        return RowChanged(message or "the row was changed")
    kind = Refused
    if "No resources were found" in reason or status == HTTPStatus.NOT_FOUND:
        kind = NotFound
    elif "record already exists" in reason.lower():
        kind = AlreadyExists
    elif status in _FAILURES and "Infolog:" not in reason:
        return None
    code = str(data["error"].get("code", "")) if isinstance(data.get("error"), dict) else ""
    return kind(status, code, message or "no reason given", details=messages, raw=reason)


def _reason(error: object) -> str:
    """The most telling of the nested messages of an error: the outermost says nothing, the cause may lie deeper."""
    best = ""
    while isinstance(error, dict):
        message = str(error.get("message", ""))
        if message.rstrip(".") not in _HOLLOW or not best:
            best = message
        error = error.get("innererror") or error.get("internalexception")
    return best
