"""What both systems share of OData 4.0: literals, query strings, paging."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote
from uuid import UUID

from dualsync.errors import BrokenProtocol, BrokenReply, SchemaMismatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

Row = dict[str, Any]

_GUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\Z")


def text_literal(value: str) -> str:
    """Text in single quotes, those within doubled."""
    return "'" + value.replace("'", "''") + "'"


def guid_literal(value: object) -> str:
    """A GUID, bare and in lower case.

    Raises:
        ValueError: It is none. A stray text here would change the meaning of the URL.
    """
    text = str(value)
    if not _GUID.match(text):
        raise ValueError("a GUID is needed here")
    return text.lower()


def instant_text(value: datetime) -> str:
    """A moment in UTC and whole seconds, as both services write it.

    Raises:
        ValueError: The moment has no zone.
    """
    if value.tzinfo is None:
        raise ValueError("a moment needs its time zone")
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def literal(value: object) -> str:
    """The OData literal of a Python value by its type; text is quoted, all others are bare.

    Raises:
        TypeError: No such literal, a float among them.
    """
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case Decimal():
            return format(value, "f")
        case UUID():
            return str(value)
        case str():
            return text_literal(value)
        case datetime():
            return instant_text(value)
        case date():
            return value.isoformat()
        case _:
            raise TypeError(f"no OData literal for {type(value).__name__}")


def wire_value(value: object) -> object:
    """A Python value as it is put into a JSON body; moments in UTC and whole seconds.

    Raises:
        TypeError: A float, whose digits nobody can answer for, or something that is no value of a column.
        ValueError: A Decimal that is no number.
    """
    if isinstance(value, datetime):
        return instant_text(value)
    if isinstance(value, Decimal) and not value.is_finite():
        raise ValueError("a number is needed here")
    if value is None or isinstance(value, (str, int, Decimal, date, UUID)):
        return value
    raise TypeError(f"{type(value).__name__} is no value of a column")


def or_filters(terms: Iterable[str], limit: int) -> Iterator[str]:
    """Join conditions by ``or``, in as few filters as stay below a length once they are percent-encoded.

    Args:
        terms: Conditions; each is put in parentheses.
        limit: Length in characters. A single condition may be longer.
    """
    chosen: list[str] = []
    length = 0
    for term in terms:
        bracketed = f"({term})"
        size = len(quote(f" or {bracketed}", safe=_SAFE))
        if chosen and length + size > limit:
            yield " or ".join(chosen)
            chosen, length = [], 0
        chosen.append(bracketed)
        length += size
    if chosen:
        yield " or ".join(chosen)


def with_query(path: str, options: Mapping[str, str | None]) -> str:
    """A path with its query options, percent-encoded; options that are None or empty are left out."""
    parts = [f"{name}={quote(text, safe=_SAFE)}" for name, text in options.items() if text]
    return f"{path}?{'&'.join(parts)}" if parts else path


_SAFE = "(),/:@$'*!"


class Source(Protocol):
    """What pages are read from: a service over HTTP, or what stands in for one."""

    name: str

    def get(self, target: str, *, headers: Mapping[str, str]) -> Any:
        """The parsed body of the answer to one request."""


def pages(
    service: Source, url: str, headers: Mapping[str, str], following: Callable[[Row], str | None] | None = None
) -> Iterator[Row]:
    """Read page after page by the links of the service, which are opaque and used as they are.

    Args:
        service: Where to read.
        url: The first page.
        headers: Sent with each page; Dataverse wants the same page size on all of them [DV2].
        following: Makes the address of the next page of the last row of this one; None where it is the link's.

    Yields:
        The body of each page, with the rows in ``value``.

    Raises:
        BrokenProtocol: A link that was followed already, or one to another host.
        BrokenReply: A page that is not one.
    """
    followed: set[str] = set()
    while url:
        followed.add(url)
        body = service.get(url, headers=headers)
        if not isinstance(body, dict) or not isinstance(body.get("value"), list):
            raise BrokenReply(f"{service.name}: a page of rows was expected")
        yield body
        url = body.get("@odata.nextLink", "")
        if url and following is not None and body["value"]:
            url = following(body["value"][-1]) or url
        if url in followed:
            raise BrokenProtocol(f"{service.name} gave the link of a page that was read before")


def picked(rows: list[Row], columns: list[tuple[str, str]], what: str) -> list[Row]:
    """Rows with only the wanted columns, under the wanted names, and the row version as ``@etag``.

    Args:
        rows: Rows of a page.
        columns: Pairs of the wanted name and the one on the wire.
        what: The table, for the message.

    Raises:
        SchemaMismatch: A row lacks a column. Taken for empty, it would be cleared on the other side.
    """
    try:
        return [{"@etag": row.get("@odata.etag"), **{name: row[wire] for name, wire in columns}} for row in rows]
    except KeyError as error:
        raise SchemaMismatch(f"{what} answers without the column {error.args[0]} that was selected") from error


def make_exact(rows: list[Row], numbers: Iterable[str]) -> None:
    """Make Decimals of numbers that came without a fraction, in the rows themselves.

    Args:
        rows: Rows as they were picked.
        numbers: The columns that hold decimal numbers.
    """
    for name in numbers:
        for row in rows:
            if type(row[name]) is int:
                row[name] = Decimal(row[name])
