"""Pages and change tracking of Dataverse.

Pages follow "Page results" (webapi/query/page-results): at most 5,000 rows, ``odata.maxpagesize`` to be sent again with
every page, an opaque cookie in ``$skiptoken``, ``$top`` ignored beside a page size.

Change tracking follows "Use change tracking to synchronize data with external systems": ``$select`` only, new and
changed rows first in the order of their versions, then deletions as bare ids; the delta link on the last page only.
That pages of a tracked read use the same cookie is an assumption, as is the status 400 of an expired token.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote

from dualsync_sandbox.dataverse.errors import CHANGES_EXPIRED, URI_ERROR
from dualsync_sandbox.dataverse.rows import Shape
from dualsync_sandbox.http import ApiError, Call
from dualsync_sandbox.odata import Where, whole
from dualsync_sandbox.schema import Table
from dualsync_sandbox.store import Row, Tx, quoted
from dualsync_sandbox.values import SqlValue

LARGEST_PAGE = 5_000
#: ``ExpireChangeTrackingInDays`` of the organisation: 7 by today's documentation.
CHANGES_KEPT = timedelta(days=7)
_TRACKABLE_ONLY = ("filter", "orderby", "expand", "top")
_COOKIE = re.compile(r'<cookie pagenumber="(\d+)" pagingcookie="([^"]*)" istracking="(True|False)" />')


@dataclass(frozen=True)
class Cookie:
    """Where the next page begins.

    Attributes:
        page: number of the page, from 1.
        last: id of the last row given (reads in the order of ids).
        offset: rows given so far (reads with ``$orderby``).
        tracking: whether the read is a tracked one.
        version: last version given (changes).
        until: the version the whole read goes up to, fixed with its first page.
    """

    page: int = 1
    last: str = ""
    offset: int = 0
    tracking: bool = False
    version: int = 0
    until: int = 0

    def __str__(self) -> str:
        inner = f'<cookie page="{self.page - 1}"><id last="{self.last}" offset="{self.offset}" version="{self.version}"'
        inner += f' until="{self.until}" /></cookie>'
        twice = quote(quote(inner, safe=""), safe="")
        return f'<cookie pagenumber="{self.page}" pagingcookie="{twice}" istracking="{self.tracking}" />'

    @staticmethod
    def parse(text: str) -> Cookie:
        """The cookie of a ``$skiptoken``.

        Raises:
            ApiError: it was not given by this service.
        """
        outer = _COOKIE.fullmatch(text)
        inner = dict(re.findall(r'(\w+)="([^"]*)"', unquote(unquote(outer[2])))) if outer else {}
        if outer is None or not {"last", "offset", "version", "until"} <= inner.keys():
            raise ApiError(400, URI_ERROR, "The $skiptoken is not valid.")
        return Cookie(
            int(outer[1]),
            inner["last"],
            int(inner["offset"]),
            outer[3] == "True",
            int(inner["version"]),
            int(inner["until"]),
        )


def page_size(call: Call) -> int | None:
    """The page size asked for, at most 5,000; ``None`` when the request names none."""
    text = call.preferences.get("odata.maxpagesize")
    if text is None:
        return None
    if not text.isdigit() or int(text) < 1:
        raise ApiError(400, URI_ERROR, f"Invalid odata.maxpagesize '{text}'.")
    return min(int(text), LARGEST_PAGE)


@dataclass
class Page:
    """Rows and links of one answer."""

    rows: list[Row]
    next_link: str | None = None
    delta_link: str | None = None
    count: int | None = None


def read_page(tx: Tx, call: Call, shape: Shape, where: Where | None, order: Sequence[str]) -> Page:
    """One page of an ordinary read."""
    table = shape.table
    size = page_size(call)
    top = whole(call.options, "$top")
    # "$top is ignored" when a page size is given.
    limit = size if size is not None else min(LARGEST_PAGE if top is None else top, LARGEST_PAGE)
    cookie = Cookie.parse(call.options["$skiptoken"]) if "$skiptoken" in call.options else Cookie()
    clauses, parameters = ([where.sql], list(where.parameters)) if where else ([], [])
    count = _count(tx, table, clauses, parameters) if call.options.get("$count") == "true" else None
    tail = ""
    own_id = f"{quoted(table.name)}.{quoted(table.id)}"
    if order:
        tail = f" ORDER BY {', '.join([*order, own_id])} LIMIT ? OFFSET ?"
        extra: list[SqlValue] = [limit + 1, cookie.offset]
    else:
        if cookie.last:
            clauses.append(f"{own_id} > ?")
            parameters.append(cookie.last)
        tail = f" ORDER BY {own_id} LIMIT ?"
        extra = [limit + 1]
    rows = _fetch(tx, shape, clauses, tail, [*parameters, *extra])
    page = Page(rows[:limit], count=count)
    if len(rows) > limit and (top is None or size is not None):
        following = replace(
            cookie, page=cookie.page + 1, last=str(page.rows[-1][table.id]), offset=cookie.offset + limit
        )
        page.next_link = call.link(skiptoken=str(following))
    return page


def _count(tx: Tx, table: Table, clauses: Sequence[str], parameters: Sequence[SqlValue]) -> int:
    """How many rows there are; the service never says more than 5,000."""
    where = f" WHERE {' AND '.join(clauses)}" if clauses else ""
    found = tx.query(f"SELECT count(*) FROM {quoted(table.name)}{where}", parameters).fetchone()[0]
    return min(int(found), LARGEST_PAGE)


def count(tx: Tx, table: Table, where: Where | None) -> int:
    """``set/$count``."""
    return _count(tx, table, [where.sql] if where else [], where.parameters if where else [])


def _fetch(tx: Tx, shape: Shape, clauses: Sequence[str], tail: str, parameters: Sequence[SqlValue]) -> list[Row]:
    where = f" WHERE {' AND '.join(clauses)}" if clauses else ""
    return [shape.row(values) for values in tx.query(shape.sql + where + tail, parameters)]


def tracked(call: Call) -> bool:
    """Whether the request reads with change tracking."""
    if "$deltatoken" in call.options or "odata.track-changes" in call.preferences:
        return True
    token = call.options.get("$skiptoken", "")
    return 'istracking="True"' in token


def track_page(tx: Tx, call: Call, shape: Shape, now: datetime) -> Page:
    """One page of a tracked read, from the start or since a token.

    Raises:
        ApiError: an option besides ``$select`` is given, or the token has expired.
    """
    for name in _TRACKABLE_ONLY:
        if f"${name}" in call.options:
            raise ApiError(
                400, URI_ERROR, f'The "${name}" query parameter isn\'t supported when Change Tracking is enabled.'
            )
    limit = page_size(call) or LARGEST_PAGE
    token = call.options.get("$deltatoken")
    first = Cookie(tracking=True, until=tx.version)
    cookie = Cookie.parse(call.options["$skiptoken"]) if "$skiptoken" in call.options else first
    if token is None:
        page = _everything(tx, shape, cookie, limit)
        last_page = len(page.rows) <= limit
        following = replace(cookie, page=cookie.page + 1)
        if not last_page:
            page.rows.pop()
            following = replace(following, last=str(page.rows[-1][shape.table.id]))
    else:
        since = max(_since(tx, token, now), cookie.version)
        page, following, last_page = _changes(tx, call, shape, cookie, since, limit)
    if last_page:
        stamp = now.strftime("%m/%d/%Y %H:%M:%S")
        page.delta_link = call.link(skiptoken=None, deltatoken=f"{cookie.until}!{stamp}")
    else:
        page.next_link = call.link(skiptoken=str(following))
    return page


def _everything(tx: Tx, shape: Shape, cookie: Cookie, limit: int) -> Page:
    own_id = quoted(shape.table.id)
    tail = f" ORDER BY {own_id} LIMIT ?"
    return Page(_fetch(tx, shape, [f"{own_id} > ?"], tail, [cookie.last, limit + 1]))


def _since(tx: Tx, token: str, now: datetime) -> int:
    version, _, stamp = token.partition("!")
    try:
        given = datetime.strptime(stamp, "%m/%d/%Y %H:%M:%S").replace(tzinfo=UTC)
        since = int(version)
    except ValueError:
        raise ApiError(400, URI_ERROR, "The $deltatoken is not valid.") from None
    if now - given > CHANGES_KEPT or since < tx.change_floor:
        raise ApiError(
            400,
            CHANGES_EXPIRED,
            "Version stamp associated with the client has expired. Please perform a full sync.",
        )
    return since


def _changes(tx: Tx, call: Call, shape: Shape, cookie: Cookie, since: int, limit: int) -> tuple[Page, Cookie, bool]:
    """New and changed rows by version, then deletions; ``offset`` of the cookie counts deletions already given."""
    table = shape.table
    rows: list[Row] = []
    following = replace(cookie, page=cookie.page + 1, version=since)
    if not cookie.offset:
        clauses = ['"versionnumber" > ?', '"versionnumber" <= ?']
        rows = _fetch(tx, shape, clauses, ' ORDER BY "versionnumber" LIMIT ?', [since, cookie.until, limit + 1])
        if len(rows) > limit:
            rows.pop()
            version = int(str(rows[-1]["@odata.etag"])[3:-1])
            return Page(rows), replace(following, version=version), False
    sql = (
        "SELECT id FROM _deleted WHERE name = ? AND version > ? AND version <= ? "
        f"AND NOT EXISTS (SELECT 1 FROM {quoted(table.name)} t WHERE t.{quoted(table.id)} = _deleted.id) "
        "ORDER BY version LIMIT ? OFFSET ?"
    )
    room = limit - len(rows)
    token_version = int(call.options["$deltatoken"].partition("!")[0])
    deleted = [found[0] for found in tx.query(sql, (table.name, token_version, cookie.until, room + 1, cookie.offset))]
    context = f"{call.service}/$metadata#{table.set}/$deletedEntity"
    rows += [{"@odata.context": context, "id": row_id, "reason": "deleted"} for row_id in deleted[:room]]
    if len(deleted) <= room:
        return Page(rows), following, True
    # A page full of changed rows has no room for deletions: their page begins with the version past all rows.
    return Page(rows), replace(following, version=cookie.until, offset=cookie.offset + room), False
