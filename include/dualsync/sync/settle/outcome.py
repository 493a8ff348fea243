"""How the rows of a plan ended, what is counted of them, and what of them stays open."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from dualsync.frames import Sets
from dualsync.ledger import LegCounts, LegRecord, OpenRow
from dualsync.sql import literal
from dualsync.sync.legs.folders import LegFolder
from dualsync.sync.legs.leg import Leg
from dualsync.sync.plan.vocabulary import (
    OPEN,
    UPSERTED,
    AckStatus,
    Action,
    LegState,
    RowState,
    Severity,
    delete_key,
    sql_list,
)

_COUNTS = {
    Action.CREATE: "created",
    Action.UPDATE: "updated",
    Action.DELETE: "deleted",
    Action.UNCHANGED: "unchanged",
    Action.CONFLICT: "conflict",
    Action.WAITING: "waiting",
    Action.QUARANTINED: "quarantined",
    Action.SKIPPED: "skipped",
}
_WHY_DELETED = {
    RowState.DELETED: "was deleted in its own system",
    RowState.LEFT: "no longer matches the filter of the map",
}
_ACK_COLUMNS = ("pos", "status", "id", "rule", "reason")
_ACKS = pa.schema([pa.field(f"ack_{name}", pa.int64() if name == "pos" else pa.string()) for name in _ACK_COLUMNS])
_DEFERRED = pa.schema([pa.field(name, pa.string()) for name in ("join_key", "column", "id")])


def end_rows(sets: Sets, folder: LegFolder, state: str) -> None:
    """Make the table ``ended``: each planned row with the action it ended in.

    Args:
        sets: Where it is made.
        folder: The folder of a transfer that was validated.
        state: How the transfer ended: ``settled``, ``dry_run`` or ``held``.
    """
    sets.view("plan", folder.file("plan.parquet"))
    sets.view("failures", folder.file("failures.parquet"))
    _read_acks(sets, folder)
    unsent = "NULL"
    if state == LegState.HELD:
        unsent = literal(Action.WAITING)
    elif state == LegState.DRY_RUN:
        unsent = "plan.action"
    why_unsent = literal("a guard stopped the transfer: it needs approval") if state == LegState.HELD else "NULL"
    sets.run(
        "CREATE TEMP TABLE ended AS SELECT plan.* REPLACE ("
        f"CASE WHEN plan.action NOT IN {sql_list(UPSERTED)} THEN plan.action "
        f"WHEN f.rule IS NOT NULL THEN {literal(Action.QUARANTINED)} "
        f"WHEN a.ack_status = {literal(AckStatus.OK)} THEN plan.action "
        f"WHEN a.ack_status = {literal(AckStatus.REFUSED)} THEN {literal(Action.QUARANTINED)} "
        f"WHEN a.ack_status = {literal(AckStatus.WAITING)} THEN {literal(Action.WAITING)} ELSE {unsent} END AS action, "
        "COALESCE(f.rule, NULLIF(a.ack_rule, ''), plan.rule) AS rule, "
        f"COALESCE(f.reason, NULLIF(a.ack_reason, ''), plan.reason, {why_unsent}) AS reason, "
        "COALESCE(a.ack_id, plan.id) AS id) FROM plan "
        "LEFT JOIN (SELECT pos, min(rule) AS rule, string_agg(DISTINCT reason, '; ' ORDER BY reason) AS reason "
        f"FROM failures WHERE severity = {literal(Severity.CRITICAL)} GROUP BY pos) f ON f.pos = plan.pos "
        "LEFT JOIN acks a ON a.ack_pos = plan.pos"
    )


def _read_acks(sets: Sets, folder: LegFolder) -> None:
    """Make the tables ``acks`` and ``deferred``: what the receiving side answered."""
    acks: dict[int, dict[str, Any]] = {}
    deferred: list[dict[str, Any]] = []
    for batch in folder.acknowledged():
        acks |= {ack.pos: {f"ack_{name}": getattr(ack, name) for name in _ACK_COLUMNS} for ack in batch.rows}
        for later in batch.deferred:
            if later.status == AckStatus.OK:
                deferred.append({"join_key": later.join_key, "column": later.column, "id": later.id})
            else:
                # The row stands there without its lookup, so it is not what both sides agree on.
                acks[later.pos] |= {f"ack_{name}": getattr(later, name) for name in ("status", "rule", "reason")}
    sets.table("acks", pa.Table.from_pylist(list(acks.values()), schema=_ACKS))
    sets.table("deferred", pa.Table.from_pylist(deferred, schema=_DEFERRED))


def count_rows_ended(sets: Sets, rows_read: int) -> LegCounts:
    """The counts of a transfer.

    Args:
        sets: With the table ``ended``.
        rows_read: Rows read on both sides.
    """
    planned = int(sets.scalar("SELECT count(*) FROM plan") or 0)
    ended = sets.fetch("SELECT action, count(*) AS n FROM ended WHERE action IS NOT NULL GROUP BY action")
    counts = {_COUNTS[Action(row["action"])]: row["n"] for row in ended.to_pylist()}
    return LegCounts(rows_read=rows_read, planned=planned, **counts)


def left_open(sets: Sets, leg: Leg) -> Iterable[OpenRow]:
    """Rows that did not settle."""
    query = f"SELECT join_key, key, id, action, rule, reason FROM ended WHERE action IN {sql_list(OPEN)} ORDER BY pos"
    for piece in sets.stream(query):
        for row in piece.to_pylist():
            yield _open_row(leg, row, row["action"])


def planned_deletions(sets: Sets, leg: Leg) -> Iterable[OpenRow]:
    """Rows to be deleted: kept in the ledger until the deletions at the end of a run have dealt with them."""
    sets.view("deletes", leg.folder.file("deletes.parquet"))
    for row in sets.fetch("SELECT * FROM deletes").to_pylist():
        row["reason"] = f"{_WHY_DELETED.get(row['state'], row['state'])}; it is deleted on the other side too"
        row["join_key"] = delete_key(row["join_key"])
        yield _open_row(leg, row, Action.DELETE)


def _open_row(leg: Leg, row: dict[str, Any], state: str) -> OpenRow:
    return OpenRow(
        map=leg.map.map,
        direction=leg.direction,
        company=leg.company,
        join_key=row["join_key"],
        key=row["key"] or row["join_key"],
        record_id=row["id"],
        state=str(state),
        rule=row.get("rule") or "",
        reason=row.get("reason") or "",
    )


def leg_record(leg: Leg, counts: LegCounts, *, state: str, message: str, generation: int | None) -> LegRecord:
    """A transfer as the ledger keeps it.

    Args:
        leg: The transfer.
        counts: Its counts.
        state: Its :class:`~dualsync.sync.plan.vocabulary.LegState`.
        message: What a person should know.
        generation: The generation of the base it began with, None where that is not known.
    """
    now = datetime.now(UTC)
    return LegRecord(
        run_id=leg.run.run_id,
        map=leg.map.map,
        direction=leg.direction,
        part=str(leg.phase),
        company=leg.company,
        attempt=leg.folder.attempt,
        state=str(state),
        generation_from=generation,
        generation_to=None,
        map_hash=leg.map.hash,
        counts=counts,
        message=message,
        folder=str(leg.folder.path),
        started_at=now,
        ended_at=None if state == LegState.RUNNING else now,
    )
