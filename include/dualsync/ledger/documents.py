"""Documents: headers with their lines, which are one thing although they travel as rows of several maps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, select, update

from dualsync.ledger import tables as t
from dualsync.ledger.engine import Store, upsert, writing
from dualsync.ledger.records import DocumentRecord

DocumentId = tuple[str, str, str]
"""What identifies a document: map and company of its header, and the header's ``join_key``."""


@dataclass(frozen=True, slots=True)
class Document:
    """One header with all its lines.

    Attributes:
        map: The header's map.
        company: Its company.
        key: Its integration key, as people write it.
        expected: Lines that the sending side has.
        acknowledged: Lines that are on both sides.
        missing: Maps of lines of which some are missing, and the part whose trigger has not been sent.
        since: When it became complete or ceased to be.
    """

    map: str
    company: str
    key: str
    expected: int
    acknowledged: int
    missing: tuple[str, ...]
    since: datetime | None

    @property
    def state(self) -> str:
        """``complete`` or ``incomplete``."""
        return "incomplete" if self.missing else "complete"

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        names = ("map", "company", "key", "state", "expected", "acknowledged", "missing", "since")
        return {name: getattr(self, name) for name in names}


def documents_of(records: Iterable[DocumentRecord], *, incomplete: bool = False) -> list[Document]:
    """The documents that the ledger's records make up, by map, company and key.

    Args:
        records: All records of these documents, as the ledger lists them.
        incomplete: Only documents of which something is missing.
    """
    documents: list[Document] = []
    for (name, company, _), group in groupby(records, key=lambda record: (record.map, record.company, record.join_key)):
        parts = list(group)
        unfinished = [part for part in parts if not part.complete]
        moments = [part.since for part in (unfinished or parts) if part.since is not None]
        documents.append(
            Document(
                map=name,
                company=company,
                key=parts[0].key,
                expected=sum(part.expected for part in parts),
                acknowledged=sum(part.acknowledged for part in parts),
                missing=tuple(part.lines for part in unfinished),
                since=min(moments, default=None) if unfinished else max(moments, default=None),
            )
        )
    return [document for document in documents if document.missing or not incomplete]


class Documents(Store):
    """The part of the ledger about documents."""

    def documents(
        self,
        *,
        map_name: str | None = None,
        company: str | None = None,
        key: str | None = None,
        lines: str | None = None,
        incomplete: bool = False,
    ) -> list[DocumentRecord]:
        """Headers and their lines, one record for each map of lines, by map, company and key.

        Args:
            map_name: The header's map; all where None.
            company: The header's company; all where None.
            key: The header's key as people write it; all where None.
            lines: Only what is kept about this map of lines.
            incomplete: Only what is not complete.
        """
        c = t.units.c
        given = ((c.map, map_name), (c.company, company), (c.key, key), (c.lines, lines))
        conditions: list[ColumnElement[bool]] = [column == value for column, value in given if value is not None]
        if incomplete:
            conditions.append(c.complete.is_(False))
        query = select(t.units).where(*conditions).order_by(c.map, c.company, c.join_key, c.lines)
        with self._engine.connect() as connection:
            return [DocumentRecord(**row._mapping) for row in connection.execute(query)]

    def mark_incomplete(self, documents: Iterable[DocumentRecord], run_id: str) -> None:
        """Say that documents are not complete, before anything of them is written; known counts stay."""
        c = t.units.c
        now = self._now()
        with writing(self._engine) as connection:
            for document in documents:
                mine = _is(document)
                open_again = {"complete": False, "since": now, "run_id": run_id}
                if connection.execute(update(t.units).where(mine, c.complete).values(**open_again)).rowcount:
                    continue
                if connection.execute(select(c.key).where(mine)).one_or_none() is None:
                    first = {"key": document.key, "record_id": document.record_id, "expected": 0, "acknowledged": 0}
                    connection.execute(insert(t.units).values(**_key(document), **first, **open_again))


def save_documents(connection: Connection, documents: Iterable[DocumentRecord], run_id: str, now: datetime) -> None:
    """Write how documents stand, as part of a transaction."""
    c = t.units.c
    for document in documents:
        before = connection.execute(select(c.complete, c.since, c.record_id).where(_is(document))).one_or_none()
        values = {
            "key": document.key,
            "record_id": document.record_id or (before.record_id if before else None),
            "expected": document.expected,
            "acknowledged": document.acknowledged,
            "complete": document.complete,
            "since": before.since if before and before.complete == document.complete else now,
            "run_id": run_id,
        }
        upsert(connection, t.units, _key(document), values)


def delete_document(connection: Connection, document: DocumentId) -> None:
    """Forget a document whose header is no more, as part of a transaction."""
    c = t.units.c
    map_name, company, join_key = document
    connection.execute(delete(t.units).where(c.map == map_name, c.company == company, c.join_key == join_key))


def _key(document: DocumentRecord) -> dict[str, Any]:
    return {name: getattr(document, name) for name in ("map", "company", "join_key", "lines")}


def _is(document: DocumentRecord) -> ColumnElement[bool]:
    return and_(*(t.units.c[name] == value for name, value in _key(document).items()))
