"""Paging cookies: what stands in ``$skiptoken`` ("Page results", webapi/query/page-results), opaque to clients."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

import msgspec

from dualsync_sandbox.dataverse.errors import URI_ERROR
from dualsync_sandbox.protocol.http import ApiError
from dualsync_sandbox.store.values import SqlValue

_COOKIE = re.compile(r'<cookie pagenumber="([0-9]{1,9})" pagingcookie="([^"]*)" istracking="(True|False)" />')
_INNER = re.compile(
    r'<cookie page="[0-9]+"><row last="([^"]*)" deleted="([0-9]{1,9})" version="([0-9]{1,18})"'
    r' until="([0-9]{1,18})" /></cookie>'
)


@dataclass(frozen=True)
class Cookie:
    """Where the next page begins.

    Attributes:
        page: Number of the page, from 1.
        last: What the last row given was ordered by, its id at the end; empty before the first page.
        tracking: Whether the read is a tracked one.
        deleted: Deletions given so far (changes).
        version: Last version given (changes).
        until: The version the whole read goes up to, fixed with its first page.
    """

    page: int = 1
    last: tuple[SqlValue, ...] = ()
    tracking: bool = False
    deleted: int = 0
    version: int = 0
    until: int = 0

    def __str__(self) -> str:
        last = quote(msgspec.json.encode(self.last).decode(), safe="")
        inner = f'<cookie page="{self.page - 1}"><row last="{last}" deleted="{self.deleted}" version="{self.version}"'
        inner += f' until="{self.until}" /></cookie>'
        twice = quote(quote(inner, safe=""), safe="")
        return f'<cookie pagenumber="{self.page}" pagingcookie="{twice}" istracking="{self.tracking}" />'

    @staticmethod
    def parse(text: str) -> Cookie:
        """The cookie of a ``$skiptoken``.

        Raises:
            ApiError: It was not given by this service.
        """
        outer = _COOKIE.fullmatch(text)
        inner = _INNER.fullmatch(unquote(unquote(outer[2]))) if outer else None
        try:
            if outer is None or inner is None:
                raise ValueError(text)
            last = msgspec.json.decode(unquote(inner[1]), type=tuple[str | int | None, ...])
        except ValueError:
            raise ApiError(400, URI_ERROR, "The $skiptoken is not valid.") from None
        return Cookie(int(outer[1]), last, outer[3] == "True", int(inner[2]), int(inner[3]), int(inner[4]))
