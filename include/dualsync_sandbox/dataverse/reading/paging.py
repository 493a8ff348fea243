"""Pages and change tracking of Dataverse.

Pages follow "Page results" (webapi/query/page-results): at most 5,000 rows, ``odata.maxpagesize`` to be sent again with
every page, an opaque cookie in ``$skiptoken`` that names the last row given, ``$top`` ignored beside a page size.

Change tracking follows "Use change tracking to synchronize data with external systems": ``$select`` only, new and
changed rows first in the order of their versions, then deletions as bare ids; the delta link on the last page only.
That pages of a tracked read use the same cookie is an assumption, as is the status 400 of an expired token.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import msgspec

from dualsync_sandbox.dataverse.errors import CHANGES_EXPIRED, URI_ERROR
from dualsync_sandbox.dataverse.reading.cookies import Cookie
from dualsync_sandbox.dataverse.reading.rows import LARGEST_PAGE, Shape
from dualsync_sandbox.protocol.http import ApiError, Call
from dualsync_sandbox.protocol.odata import whole
from dualsync_sandbox.schema import Table
from dualsync_sandbox.store import Tx, quoted
from dualsync_sandbox.store.values import SqlValue

#: ``ExpireChangeTrackingInDays`` of the organisation: 7 by today's documentation.
CHANGES_KEPT = timedelta(days=7)
_TRACKABLE_ONLY = ("filter", "orderby", "expand", "top")
#: A condition with its parameters.
Condition = tuple[str, list[SqlValue]]
#: Terms of ``$orderby``: SQL, and whether it descends.
Terms = Sequence[tuple[str, bool]]


def page_size(call: Call) -> int | None:
    """The page size asked for, at most 5,000; ``None`` when the request names none."""
    text = call.preferences.get("odata.maxpagesize")
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < 1:
        raise ApiError(400, URI_ERROR, f"Invalid odata.maxpagesize '{text[:40]}'.")
    return min(int(text), LARGEST_PAGE)


@dataclass
class Page:
    """Rows (as JSON, with commas between them) and links of one answer."""

    rows: bytes
    next_link: str | None = None
    delta_link: str | None = None


def read_page(tx: Tx, call: Call, shape: Shape, where: Condition, terms: Terms) -> Page:
    """One page of an ordinary read."""
    size = page_size(call)
    top = whole(call.options, "$top")
    # "$top is ignored" when a page size is given.
    limit = size if size is not None else min(LARGEST_PAGE if top is None else top, LARGEST_PAGE)
    cookie = Cookie.parse(call.options["$skiptoken"]) if "$skiptoken" in call.options else Cookie()
    order = [*terms, (shape.scope.id, False)]
    if cookie.last:
        if len(cookie.last) != len(order):
            raise ApiError(400, URI_ERROR, "The $skiptoken is of another query.")
        where = _and(where, _after(order, cookie.last))
    if terms:
        rows, last = _ordered(tx, shape, where, order, limit)
    else:
        rows, last = _rows(tx, shape, where, shape.scope.id, limit)
    page = Page(rows)
    if last and (top is None or size is not None):
        page.next_link = call.link(skiptoken=str(replace(cookie, page=cookie.page + 1, last=last)))
    return page


def _and(where: Condition, more: Condition) -> Condition:
    return f"{where[0]} AND {more[0]}", [*where[1], *more[1]]


def _rows(tx: Tx, shape: Shape, where: Condition, key: str, limit: int) -> tuple[bytes, tuple[SqlValue, ...]]:
    """Rows in the ascending order of ``key``, put together by SQLite; and the last one's key, if there are more."""
    source, (condition, parameters) = shape.scope.source, where
    inner = f"SELECT {shape.sql} AS row, {key} AS key FROM {source} WHERE {condition} ORDER BY {key} LIMIT ?"
    sql = f"SELECT count(*), max(key), CAST(group_concat(row, ',') AS BLOB) FROM ({inner})"
    count, last, rows = tx.query(sql, [*shape.parameters, *parameters, limit]).fetchone()
    if count < limit or not limit:
        return rows or b"", ()
    following = f"SELECT 1 FROM {source} WHERE {condition} AND {key} > ? LIMIT 1"
    return rows, (last,) if tx.query(following, [*parameters, last]).fetchone() else ()


def _ordered(tx: Tx, shape: Shape, where: Condition, order: Terms, limit: int) -> tuple[bytes, tuple[SqlValue, ...]]:
    """Rows in any order; and what the last one was ordered by, if there are more."""
    keys = ", ".join(sql for sql, _ in order)
    by = ", ".join(sql + (" DESC" if descending else "") for sql, descending in order)
    sql = f"SELECT {shape.sql}, {keys} FROM {shape.scope.source} WHERE {where[0]} ORDER BY {by} LIMIT ?"
    found = tx.query(sql, [*shape.parameters, *where[1], limit + 1]).fetchall()
    rows = ",".join(row for row, *_ in found[:limit]).encode()
    return rows, tuple(found[limit - 1][1:]) if len(found) > limit > 0 else ()


def _after(order: Terms, last: Sequence[SqlValue]) -> Condition:
    """The rows that come after the one ordered by ``last``; nulls come first, and last where a term descends."""
    choices: list[str] = []
    parameters: list[SqlValue] = []
    for position, (sql, descending) in enumerate(order):
        value = last[position]
        if value is None and descending:
            continue
        equal = [f"{term} IS ?" for term, _ in order[:position]]
        if value is None:
            beyond = f"{sql} IS NOT NULL"
        else:
            beyond = f"({sql} < ? OR {sql} IS NULL)" if descending else f"{sql} > ?"
        choices.append(" AND ".join([*equal, beyond]))
        parameters += last[:position] if value is None else last[: position + 1]
    return f"({' OR '.join(choices)})", parameters


def count(tx: Tx, source: str, where: Condition) -> int:
    """How many rows there are."""
    return int(tx.query(f"SELECT count(*) FROM {source} WHERE {where[0]}", where[1]).fetchone()[0])


# -- change tracking


def tracked(call: Call) -> bool:
    """Whether the request reads with change tracking."""
    if "$deltatoken" in call.options or "odata.track-changes" in call.preferences:
        return True
    token = call.options.get("$skiptoken", "")
    return 'istracking="True"' in token


def track_page(tx: Tx, call: Call, shape: Shape, now: datetime) -> Page:
    """One page of a tracked read, from the start or since a token.

    Raises:
        ApiError: An option besides ``$select`` is given, or the token has expired.
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
        page, following = _everything(tx, shape, cookie, limit)
    else:
        page, following = _changes(tx, call, shape, cookie, since(tx, token, now), limit)
    if following is None:
        stamp = now.strftime("%m/%d/%Y %H:%M:%S")
        page.delta_link = call.link(skiptoken=None, deltatoken=f"{cookie.until}!{stamp}")
    else:
        page.next_link = call.link(skiptoken=str(following))
    return page


def _everything(tx: Tx, shape: Shape, cookie: Cookie, limit: int) -> tuple[Page, Cookie | None]:
    after: Condition = f"{shape.scope.id} > ?", [cookie.last[-1] if cookie.last else ""]
    rows, last = _rows(tx, shape, after, shape.scope.id, limit)
    return Page(rows), replace(cookie, page=cookie.page + 1, last=last) if last else None


def since(tx: Tx, token: str, now: datetime) -> int:
    """The version a ``$deltatoken`` stands for.

    Raises:
        ApiError: It is none, or has expired.
    """
    version, _, stamp = token.partition("!")
    try:
        given = datetime.strptime(stamp, "%m/%d/%Y %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        given = None
    if given is None or not re.fullmatch(r"[0-9]{1,18}", version):
        raise ApiError(400, URI_ERROR, "The $deltatoken is not valid.")
    if now - given > CHANGES_KEPT or int(version) < tx.change_floor:
        raise ApiError(
            400,
            CHANGES_EXPIRED,
            "Version stamp associated with the client has expired. Please perform a full sync.",
        )
    return int(version)


def count_changes(tx: Tx, table: Table, version: int) -> int:
    """How many rows are new, changed or deleted since a version."""
    changed = tx.query(f'SELECT count(*) FROM {quoted(table.name)} WHERE "versionnumber" > ?', [version])
    deleted = tx.query(f"SELECT count(*) FROM _deleted WHERE {_deleted(table)}", [table.name, version, tx.version])
    return int(changed.fetchone()[0]) + int(deleted.fetchone()[0])


def _deleted(table: Table) -> str:
    """Deletions of a table between two versions; a row that was made again under its id is not gone."""
    again = f"SELECT 1 FROM {quoted(table.name)} t WHERE t.{quoted(table.id)} = _deleted.id"
    return f"name = ? AND version > ? AND version <= ? AND NOT EXISTS ({again})"


def _changes(tx: Tx, call: Call, shape: Shape, cookie: Cookie, start: int, limit: int) -> tuple[Page, Cookie | None]:
    """New and changed rows by version, then deletions."""
    table = shape.table
    rows, given = b"", 0
    following = replace(cookie, page=cookie.page + 1)
    if not cookie.deleted:
        version = shape.scope.column("versionnumber")
        changed: Condition = f"{version} > ? AND {version} <= ?", [max(start, cookie.version), cookie.until]
        rows, last = _rows(tx, shape, changed, version, limit)
        if last:
            return Page(rows), replace(following, version=int(str(last[0])))
        given = min(limit, count(tx, shape.scope.source, changed))
    room = limit - given
    sql = f"SELECT id FROM _deleted WHERE {_deleted(table)} ORDER BY version LIMIT ? OFFSET ?"
    parameters: list[SqlValue] = [table.name, start, cookie.until, room + 1, cookie.deleted]
    deleted = [found[0] for found in tx.query(sql, parameters)]
    context = msgspec.json.encode(f"{call.service}/$metadata#{table.set}/$deletedEntity").decode()
    gone = [f'{{"@odata.context":{context},"id":"{row_id}","reason":"deleted"}}' for row_id in deleted[:room]]
    page = Page(b",".join(part for part in (rows, ",".join(gone).encode()) if part))
    if len(deleted) <= room:
        return page, None
    # A page full of changed rows has no room for deletions: their page begins with the version past all rows.
    return page, replace(following, version=cookie.until, deleted=cookie.deleted + room)
