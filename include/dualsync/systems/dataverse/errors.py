"""What the refusals of Dataverse mean."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from dualsync.errors import (
    AlreadyExists,
    ChangeTokenExpired,
    DualsyncError,
    NotFound,
    Refused,
    RowChanged,
    SchemaMismatch,
    TimedOut,
    Unavailable,
)

_EXPIRED = "0x80044352"
_EXISTS = frozenset({"0x80040237", "0x80060892"})
_CHANGED = "0x80060882"
_UNKNOWN_SET = "0x8006088a"
_DEADLOCK = "0x80044150"
_SQL_TIMEOUT = "0x80044151"


def classify(status: int, data: Any, text: str) -> DualsyncError | None:
    """The meaning of a refusal of Dataverse [DV8]; None where its status says it all."""
    error = data.get("error") if isinstance(data, dict) else None
    if not isinstance(error, dict):
        return None
    code, message = str(error.get("code", "")), str(error.get("message", ""))
    transient = {
        _EXPIRED: ChangeTokenExpired(message),
        _CHANGED: RowChanged(message),
        _DEADLOCK: Unavailable(message, maybe_applied=True),
        _SQL_TIMEOUT: TimedOut(message, maybe_applied=True),
    }
    if code.lower() in transient:
        return transient[code.lower()]
    if code.lower() == _UNKNOWN_SET:
        return SchemaMismatch(message)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.NOT_IMPLEMENTED:
        return None
    kind = Refused
    if code.lower() in _EXISTS or (status == HTTPStatus.PRECONDITION_FAILED and "already exists" in message):
        kind = AlreadyExists
    elif status == HTTPStatus.NOT_FOUND:
        kind = NotFound
    return kind(status, code, message, raw=text)
