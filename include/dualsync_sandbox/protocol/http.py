"""Requests and replies as the two systems see them, apart from the web framework."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from urllib.parse import parse_qsl, quote, unquote

import msgspec

from dualsync_sandbox.errors import SandboxError

_encoder = msgspec.json.Encoder(decimal_format="number")
_decoder = msgspec.json.Decoder(float_hook=Decimal)


def to_json(value: object) -> bytes:
    """JSON with exact numbers."""
    return _encoder.encode(value)


class ApiError(SandboxError):
    """An answer other than success.

    Args:
        status: HTTP status.
        code: The system's error code.
        message: What the caller reads.
        headers: Further response headers.
    """

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = dict(headers or {})


class NotSignedIn(Exception):
    """A request without a token that is good for the system that it goes to; says why."""


@dataclass(frozen=True)
class Call:
    """One request.

    Attributes:
        method: In capitals.
        base: Scheme, host and port, as the caller wrote them.
        path: Path below the service root, still percent-encoded, without leading or trailing slash.
        root: The path of the service root, for instance ``/api/data/v9.2``.
        options: Query options in order, decoded.
        headers: Names in lower case.
        body: Raw body.
        caller: Id of the application that signed in.
        breakdown: Operations of a batch, or rows of an import, after which the service breaks down; ``None``: it does
            not. Set by the fault ``half_batch``.
    """

    method: str
    base: str
    root: str
    path: str
    options: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""
    caller: str = ""
    breakdown: int | None = None

    @property
    def service(self) -> str:
        """URL of the service root."""
        return self.base + self.root

    @property
    def url(self) -> str:
        """URL without query options."""
        return f"{self.service}/{self.path}" if self.path else self.service

    @property
    def preferences(self) -> dict[str, str]:
        """The ``Prefer`` header as names and values."""
        found: dict[str, str] = {}
        for part in _split_preferences(self.headers.get("prefer", "")):
            name, _, value = part.strip().partition("=")
            if name:
                found[name.strip().lower()] = value.strip().strip('"')
        return found

    def link(self, **changes: str | None) -> str:
        """This URL with some options replaced, added (``skip`` for ``$skip``) or, given ``None``, taken out."""
        options = dict(self.options)
        for name, value in changes.items():
            options.pop(f"${name}", None)
            if value is not None:
                options[f"${name}"] = value
        query = "&".join(f"{quote(name, safe='$-_.@')}={quote(value, safe='')}" for name, value in options.items())
        return f"{self.url}?{query}" if query else self.url

    def json(self) -> dict[str, object]:
        """The body as a JSON object.

        Raises:
            ApiError: It is none (code empty; the systems put theirs).
        """
        try:
            value = _decoder.decode(self.body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise ApiError(400, "", f"The payload cannot be parsed: {error}") from error
        if not isinstance(value, dict):
            raise ApiError(400, "", "The payload must be a JSON object.")
        return value


def _split_preferences(header: str) -> list[str]:
    parts, current, in_quotes = [], "", False
    for character in header:
        if character == '"':
            in_quotes = not in_quotes
        if character in ",;" and not in_quotes:
            parts.append(current)
            current = ""
        else:
            current += character
    return [*parts, current]


@dataclass
class Reply:
    """One answer."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @staticmethod
    def json(status: int, value: object, **headers: str) -> Reply:
        """An answer with a JSON body."""
        return Reply(status, to_json(value), {"content-type": "application/json; odata.metadata=minimal", **headers})


def parse_options(query: str) -> dict[str, str]:
    """Query options, decoded (``+`` is a space, as real clients send it); the last of a name counts."""
    return dict(parse_qsl(query, keep_blank_values=True))


def unescape(text: str) -> str:
    """Percent-decoded path segment."""
    return unquote(text)
