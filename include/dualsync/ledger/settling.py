"""Settling a transfer: generation, change token, open rows, documents and counts move together, or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, and_, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from dualsync.errors import Superseded
from dualsync.ledger import tables as t
from dualsync.ledger.documents import DocumentId, delete_document, save_documents
from dualsync.ledger.engine import Store, upsert, writing
from dualsync.ledger.records import BaseRecord, DocumentRecord, LegRecord, OpenRow
from dualsync.ledger.runs import save_leg

_INSERT_ROWS = 5_000
_DELETE_KEYS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What a transfer leaves behind.

    Attributes:
        leg: The transfer with its final counts; ``generation_from`` is the generation its plan was made from.
        base: The new generation, None where the base did not change.
        token: The change token up to which the transfer has now settled, None to leave its position.
        open_rows: Rows that remain open after this transfer.
        replaced: States of open rows that ``open_rows`` replaces as a whole.
        kept: Rules whose rows stay all the same, since the run did not look at them.
        resolved: ``join_key`` of further rows that are no longer open.
        documents: How documents stand after this transfer.
        documents_gone: Documents whose header is no more.
    """

    leg: LegRecord
    base: BaseRecord | None = None
    token: str | None = None
    open_rows: Iterable[OpenRow] = ()
    replaced: Sequence[str] = ()
    kept: Sequence[str] = ()
    resolved: Iterable[str] = ()
    documents: Iterable[DocumentRecord] = ()
    documents_gone: Iterable[DocumentId] = ()


class Settling(Store):
    """The part of the ledger that settles transfers."""

    def settle(self, settlement: Settlement) -> None:
        """Settle a transfer in one transaction, and give its lease back.

        Args:
            settlement: What the transfer leaves behind.

        Raises:
            Superseded: The generation moved since the plan was made; nothing was written.
        """
        now = self._now()
        leg = settlement.leg
        with writing(self._engine) as connection:
            _move_generation(connection, leg, settlement.base, now)
            if settlement.token is not None:
                key = {"map": leg.map, "direction": leg.direction, "company": leg.company}
                values = {"token": settlement.token, "run_id": leg.run_id, "settled_at": now}
                upsert(connection, t.positions, key, values)
            _replace_open_rows(connection, settlement, now)
            save_documents(connection, settlement.documents, leg.run_id, now)
            for document in settlement.documents_gone:
                delete_document(connection, document)
            save_leg(connection, leg)
            c = t.leases.c
            mine = and_(c.map == leg.map, c.company == leg.company, c.run_id == leg.run_id)
            connection.execute(delete(t.leases).where(mine))


def _move_generation(connection: Connection, leg: LegRecord, base: BaseRecord | None, now: datetime) -> None:
    """Put the new generation in the place of the one that the plan was made from, and of no other."""
    c = t.bases.c
    mine = and_(c.map == leg.map, c.company == leg.company)
    current = connection.execute(select(c.generation, c.run_id).where(mine).with_for_update()).one_or_none()
    generation, holder = (current.generation, current.run_id) if current else (0, "")
    if generation != (leg.generation_from or 0):
        raise _superseded(leg, holder)
    if base is None:
        return
    values = {
        "generation": base.generation,
        "path": base.path,
        "rows": base.rows,
        "layout": base.layout,
        "run_id": leg.run_id,
        "settled_at": now,
    }
    if current is None:
        try:
            connection.execute(insert(t.bases).values(map=leg.map, company=leg.company, **values))
        except IntegrityError as error:
            raise _superseded(leg, "another run") from error
        return
    swapped = connection.execute(update(t.bases).where(mine, c.generation == generation).values(**values))
    if swapped.rowcount != 1:
        raise _superseded(leg, holder)


def _replace_open_rows(connection: Connection, settlement: Settlement, now: datetime) -> None:
    """Write the rows that remain open; a row that was open before keeps the moment it was first seen."""
    leg = settlement.leg
    c = t.open_rows.c
    mine = and_(c.map == leg.map, c.direction == leg.direction, c.company == leg.company)
    first_seen = {
        row.join_key: row.first_seen for row in connection.execute(select(c.join_key, c.first_seen).where(mine))
    }
    rows = {row.join_key: row for row in settlement.open_rows}
    if settlement.replaced:
        connection.execute(
            delete(t.open_rows).where(mine, c.state.in_(settlement.replaced), c.rule.not_in(settlement.kept))
        )
    gone = [key for key in [*settlement.resolved, *rows] if key in first_seen]
    for start in range(0, len(gone), _DELETE_KEYS):
        connection.execute(delete(t.open_rows).where(mine, c.join_key.in_(gone[start : start + _DELETE_KEYS])))
    values = [
        {
            "map": leg.map,
            "direction": leg.direction,
            "company": leg.company,
            "join_key": row.join_key,
            "key": row.key,
            "record_id": row.record_id,
            "state": row.state,
            "rule": row.rule,
            "reason": row.reason,
            "run_id": leg.run_id,
            "first_seen": first_seen.get(row.join_key, now),
            "last_seen": now,
        }
        for row in rows.values()
    ]
    for start in range(0, len(values), _INSERT_ROWS):
        connection.execute(insert(t.open_rows), values[start : start + _INSERT_ROWS])


def _superseded(leg: LegRecord, holder: str) -> Superseded:
    """The refusal of a transfer whose base has moved on."""
    return Superseded(
        f"{leg.map} {leg.direction} of {leg.company} in run {leg.run_id}: superseded by run {holder}; "
        "what that run left open is taken up by the next run"
    )
