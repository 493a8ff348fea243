"""Step 5, settle: the new base generation, the change token, the counts and the open rows, in one transaction.

The base is written first, as a file of its own; the ledger then swaps generations, so that a settle that was killed
leaves nothing half done.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from upath import UPath

from dualsync.errors import DualsyncError
from dualsync.frames import Sets, count_rows, literal, quoted
from dualsync.ledger import BaseRecord, LegCounts, LegRecord, OpenRow, Settlement
from dualsync.sync.documents.completeness import OPEN, count_lines, due
from dualsync.sync.documents.triggers import GONE, triggered_units
from dualsync.sync.extract.selected import open_rows_of
from dualsync.sync.legs.markers import Extracted
from dualsync.sync.legs.runtime import Leg, Runtime
from dualsync.sync.plan.base import open_base
from dualsync.sync.plan.columns import LegColumns
from dualsync.sync.plan.vocabulary import RuleWord, rule_name

_COUNTS = {
    "create": "created",
    "update": "updated",
    "delete": "deleted",
    "unchanged": "unchanged",
    "conflict": "conflict",
    "waiting": "waiting",
    "quarantined": "quarantined",
    "skipped": "skipped",
}
_ACKS = pa.schema(
    [pa.field("ack_pos", pa.int64())]
    + [pa.field(name, pa.string()) for name in ("ack_status", "ack_id", "ack_rule", "ack_reason")]
)
_DEFERRED = pa.schema([pa.field(name, pa.string()) for name in ("join_key", "column", "id")])


class NotConserved(DualsyncError):
    """The counts of a leg do not add up; a fault of this program, and nothing was settled."""


def settle(leg: Leg, runtime: Runtime, extracted: Extracted, *, state: str = "settled", message: str = "") -> LegRecord:
    """Settle a leg.

    Args:
        leg: The leg, loaded (or, in a run that writes nothing, validated).
        runtime: Ledger.
        extracted: What the extract step left.
        state: ``settled``; ``dry_run`` or ``held`` only write down the counts.
        message: What a person should know about how the leg ended.

    Returns:
        The leg as it stands in the ledger.

    Raises:
        Superseded: Another run settled this map and company meanwhile; nothing was changed.
        NotConserved: The counts do not add up; nothing was changed.
    """
    leg_columns = LegColumns(leg.map, leg.direction, runtime.schema, extracted.missing)
    with Sets() as sets:
        end_rows(sets, leg, state)
        counts = _counts(sets, extracted)
        if not counts.conserved:
            raise NotConserved(
                f"{leg.label} in run {leg.run.run_id}: planned {counts.planned} rows, but their ends do not add "
                f"up: {counts}"
            )
        record = leg_record(leg, counts, state=state, message=message, generation=extracted.generation)
        if state != "settled":
            runtime.ledger.save_leg(record)
            runtime.ledger.drop_lease(leg.map.map, leg.company, leg.run.run_id)
            return record
        base = _new_base(sets, leg, runtime, leg_columns, extracted)
        whole = not leg.run.partial
        open_rows = [*_open_rows(sets, leg), *planned_deletions(sets, leg)]
        units, gone = triggered_units(leg, runtime, sets)
        units += count_lines(leg, runtime, sets, _path(base, extracted), planned=True)
        partial = not (whole and extracted.full)
        # A row that was left open without a whole key stands there under its record id.
        names = "SELECT join_key FROM ended UNION SELECT 'id:' || id FROM ended WHERE id IS NOT NULL"
        planned = [str(name) for name in sets.fetch(names).column(0).to_pylist()] if partial else []
        planned += _looked_at(leg, runtime)
    record = replace(record, generation_to=base.generation if base else extracted.generation)
    runtime.ledger.settle(
        Settlement(
            leg=record,
            base=base,
            token=extracted.token if whole else None,
            open_rows=open_rows,
            replaced=OPEN if whole else (),
            kept=_unseen(leg, extracted),
            resolved=planned,
            documents=units,
            documents_gone=gone,
        )
    )
    return record


def _path(base: BaseRecord | None, extracted: Extracted) -> UPath | None:
    """The file of the base as a leg leaves it."""
    return UPath(base.path) if base is not None else extracted.base_path


def settle_sent(leg: Leg, runtime: Runtime, extracted: Extracted, record: LegRecord) -> None:
    """Bring into the base what a leg that broke off had sent; its position, counts and state stay as they are.

    Args:
        leg: The leg that broke off.
        runtime: Ledger.
        extracted: What its extract step left.
        record: The leg as it stands in the ledger.

    Raises:
        Superseded: Another run settled this map and company meanwhile; nothing was changed.
    """
    leg_columns = LegColumns(leg.map, leg.direction, runtime.schema, extracted.missing)
    with Sets() as sets:
        end_rows(sets, leg, "settled")
        for pair in leg_columns.pairs:
            if pair.entry in leg.map.self_lookups and leg_columns.target == "dataverse":
                # Rows whose second pass had not come yet.
                sets.run(
                    f"DELETE FROM ended WHERE {quoted('p:' + pair.target)} IS NOT NULL AND "
                    f"{quoted('w:' + pair.target)} IS NULL AND join_key NOT IN (SELECT join_key FROM deferred)"
                )
        base = _new_base(sets, leg, runtime, leg_columns, extracted)
    if base is not None:
        record = replace(record, generation_from=extracted.generation, generation_to=base.generation)
        runtime.ledger.settle(Settlement(leg=record, base=base))


def settle_empty(leg: Leg, runtime: Runtime, extracted: Extracted) -> LegRecord:
    """Settle a leg that found nothing to plan: its position moves, and rows an earlier run left open are gone.

    Raises:
        Superseded: Another run settled this map and company meanwhile; nothing was changed.
    """
    writes, whole = leg.run.writes, not leg.run.partial
    counts = LegCounts(rows_read=extracted.target_rows)
    generation = extracted.generation
    record = leg_record(leg, counts, state="settled" if writes else "dry_run", message="", generation=generation)
    if not writes:
        runtime.ledger.save_leg(record)
        return record
    with Sets() as sets:
        units = count_lines(leg, runtime, sets, _path(None, extracted), planned=False)
    runtime.ledger.settle(
        Settlement(
            leg=replace(record, generation_to=generation),
            token=extracted.token if whole else None,
            replaced=OPEN if whole else (),
            kept=_unseen(leg, extracted),
            resolved=_looked_at(leg, runtime),
            documents=units,
            documents_gone=[(unit.map, unit.company, unit.join_key) for unit in (due(leg, runtime) if whole else ())],
        )
    )
    return record


def _looked_at(leg: Leg, runtime: Runtime) -> list[str]:
    """What stands open of the rows that were chosen for a leg, whether or not they are still rows of the map.

    That the other side has a row too many only a run that reads everything can tell, so that stays.
    """
    return [row.join_key for row in open_rows_of(leg, runtime) if row.rule != rule_name(leg.map.map, RuleWord.STRANGER)]


def _unseen(leg: Leg, extracted: Extracted) -> tuple[str, ...]:
    """Rules whose rows a run that did not read everything cannot know to be settled."""
    return () if extracted.full else (rule_name(leg.map.map, RuleWord.STRANGER),)


def leg_record(leg: Leg, counts: LegCounts, *, state: str, message: str, generation: int | None) -> LegRecord:
    """A leg as the ledger keeps it."""
    now = datetime.now(UTC)
    return LegRecord(
        run_id=leg.run.run_id,
        map=leg.map.map,
        direction=leg.direction,
        part=leg.part,
        company=leg.company,
        attempt=leg.folder.attempt,
        state=state,
        generation_from=generation,
        generation_to=None,
        map_hash=leg.map.hash,
        counts=counts,
        message=message,
        folder=str(leg.folder.path),
        started_at=now,
        ended_at=None if state == "running" else now,
    )


def end_rows(sets: Sets, leg: Leg, state: str) -> None:
    """Make the table ``ended``: each planned row with the action it ended in.

    Args:
        sets: Where it is made.
        leg: The leg, validated.
        state: How the leg ended: ``settled``, ``dry_run`` or ``held``.
    """
    sets.view("plan", leg.folder.file("plan.parquet"))
    sets.view("failures", leg.folder.file("failures.parquet"))
    acks: dict[int, dict[str, Any]] = {}
    deferred: list[dict[str, Any]] = []
    for batch in leg.folder.acknowledged():
        acks |= {
            ack.pos: {f"ack_{n}": getattr(ack, n) for n in ("pos", "status", "id", "rule", "reason")}
            for ack in batch.rows
        }
        for later in batch.deferred:
            if later.status == "ok":
                deferred.append({"join_key": later.join_key, "column": later.column, "id": later.id})
            else:
                # The row stands there without its lookup, so it is not what both sides agree on.
                acks[later.pos] |= {f"ack_{n}": getattr(later, n) for n in ("status", "rule", "reason")}
    sets.table("acks", pa.Table.from_pylist(list(acks.values()), schema=_ACKS))
    sets.table("deferred", pa.Table.from_pylist(deferred, schema=_DEFERRED))
    held = literal("held back by a guard of the leg")
    sent = "'waiting'" if state == "held" else "plan.action" if state == "dry_run" else "NULL"
    sets.run(
        "CREATE TEMP TABLE ended AS SELECT plan.* REPLACE ("
        "CASE WHEN plan.action NOT IN ('create', 'update') THEN plan.action WHEN f.rule IS NOT NULL THEN 'quarantined' "
        "WHEN a.ack_status = 'ok' THEN plan.action WHEN a.ack_status = 'refused' THEN 'quarantined' "
        f"WHEN a.ack_status = 'waiting' THEN 'waiting' ELSE {sent} END AS action, "
        "COALESCE(f.rule, NULLIF(a.ack_rule, ''), plan.rule) AS rule, "
        f"COALESCE(f.reason, NULLIF(a.ack_reason, ''), plan.reason, CASE WHEN {literal(state)} = 'held' THEN "
        f"{held} END) AS reason, "
        "COALESCE(a.ack_id, plan.id) AS id) FROM plan "
        "LEFT JOIN (SELECT pos, min(rule) AS rule, string_agg(DISTINCT reason, '; ' ORDER BY reason) AS reason "
        "FROM failures "
        "WHERE severity = 'critical' GROUP BY pos) f ON f.pos = plan.pos LEFT JOIN acks a ON a.ack_pos = plan.pos"
    )


def _counts(sets: Sets, extracted: Extracted) -> LegCounts:
    planned = int(sets.scalar("SELECT count(*) FROM plan") or 0)
    found = sets.fetch("SELECT action, count(*) AS n FROM ended WHERE action IS NOT NULL GROUP BY action")
    actions = dict(zip(found.column(0).to_pylist(), found.column(1).to_pylist(), strict=True))
    named = {_COUNTS[action]: number for action, number in actions.items()}
    return LegCounts(rows_read=extracted.rows_read, planned=planned, **named)


def _open_rows(sets: Sets, leg: Leg) -> Iterable[OpenRow]:
    states = ", ".join(literal(state) for state in OPEN)
    query = f"SELECT join_key, key, id, action, rule, reason FROM ended WHERE action IN ({states}) ORDER BY pos"
    for piece in sets.stream(query):
        for row in piece.to_pylist():
            yield _open_row(leg, row, row["action"])


def _open_row(leg: Leg, row: dict[str, Any], state: str) -> OpenRow:
    return OpenRow(
        map=leg.map.map,
        direction=leg.direction,
        company=leg.company,
        join_key=row["join_key"],
        key=row["key"] or row["join_key"],
        record_id=row["id"],
        state=state,
        rule=row.get("rule") or "",
        reason=row.get("reason") or "",
    )


def planned_deletions(sets: Sets, leg: Leg) -> Iterable[OpenRow]:
    """Rows to be deleted: kept in the ledger until the deletions at the end of a run have dealt with them."""
    sets.view("deletes", leg.folder.file("deletes.parquet"))
    why = {"deleted": "was deleted in its own system", "left": "no longer matches the filter of the map"}
    for row in sets.fetch("SELECT * FROM deletes").to_pylist():
        row["reason"] = f"{why.get(row['state'], row['state'])}; it is deleted on the other side too"
        row["join_key"] = f"delete:{row['join_key']}"
        yield _open_row(leg, row, "delete")


def _new_base(
    sets: Sets, leg: Leg, runtime: Runtime, leg_columns: LegColumns, extracted: Extracted
) -> BaseRecord | None:
    """Write the next generation, None where nothing about the base changes."""
    old = extracted.base_path
    open_base(sets, leg_columns, old)
    names = [field.name for field in leg_columns.base_schema()]
    expressions = _base_expressions(leg, leg_columns)
    select = ", ".join(f"{expressions.get(name, 'b.' + quoted(name))} AS {quoted(name)}" for name in names)
    # A row that ended well stands on both sides as agreed; of a conflict the base keeps what was agreed before.
    sets.run(
        f"CREATE TEMP TABLE touched AS SELECT {select} FROM ended e LEFT JOIN base b ON b.join_key = e.join_key "
        "WHERE e.action IN ('create', 'update', 'unchanged')"
    )
    compared = [name for name in names if name not in ("dataverse_version", "finance_version")]
    now = ", ".join(f"t.{quoted(name)}" for name in compared)
    before = ", ".join(f"b.{quoted(name)}" for name in compared)
    gone = _gone(sets, leg)
    changed = gone or sets.scalar(
        f"SELECT count(*) FROM touched t LEFT JOIN base b ON b.join_key = t.join_key WHERE ROW({now}) IS DISTINCT "
        f"FROM ROW({before})"
    )
    if not changed:
        return None
    generation = extracted.generation + 1
    path = runtime.new_base_path(leg.map.map, leg.company, generation)
    columns = ", ".join(quoted(name) for name in names)
    sets.save(
        f"SELECT {columns} FROM base WHERE join_key NOT IN (SELECT join_key FROM touched UNION ALL SELECT join_key "
        "FROM gone) UNION ALL SELECT "
        f"{columns} FROM touched "
        "ORDER BY join_key",
        path,
    )
    return BaseRecord(leg.map.map, leg.company, generation, str(path), count_rows(path), leg.run.run_id)


def _gone(sets: Sets, leg: Leg) -> int:
    """Make the table ``gone``: rows of the base that are headers no more, in a leg that sends triggers; how many."""
    rule = literal(f"{leg.map.map}.{GONE}") if leg.map.sends_trigger else "NULL"
    sets.run(
        f"CREATE TEMP TABLE gone AS SELECT b.join_key FROM base b JOIN (SELECT * FROM ended WHERE rule = {rule}) e ON "
        "e.id = b.id OR e.join_key = b.join_key"
    )
    return int(sets.scalar("SELECT count(*) FROM gone") or 0)


def _base_expressions(leg: Leg, leg_columns: LegColumns) -> dict[str, str]:
    """For each column of the base that this leg knows anew, the SQL of its value."""
    source, target = ("d", "f") if leg_columns.source == "dataverse" else ("f", "d")
    expressions = {
        "join_key": "e.join_key",
        "key": "e.key",
        "id": "COALESCE(e.id, b.id)",
        f"{leg_columns.source}_version": "e.source_version",
        f"{leg_columns.target}_version": "e.target_version",
    }
    for name in leg_columns.source_columns:
        pairs = [pair for pair in leg_columns.pairs if name in pair.sources]
        kept = " OR ".join(f"list_contains(e.keep, {literal(pair.target)})" for pair in pairs)
        expressions[f"{source}:{name}"] = (
            f"CASE WHEN {kept} THEN b.{quoted(f'{source}:{name}')} ELSE e.{quoted('s:' + name)} END"
        )
    for pair in leg_columns.pairs:
        wanted, held = f"e.{quoted('w:' + pair.target)}", f"e.{quoted('h:' + pair.target)}"
        known = f"b.{quoted(f'{target}:{pair.target}')}"
        if pair.entry in leg.map.self_lookups and leg_columns.target == "dataverse":
            later = (
                "(SELECT any_value(d.id) FROM deferred d WHERE d.join_key = e.join_key AND d.column = "
                f"{literal(pair.target)})"
            )
            wanted = f"COALESCE({wanted}, {later})"
        written = "TRUE" if pair.key else f"(e.action = 'create' OR list_contains(e.columns, {literal(pair.target)}))"
        expressions[f"{target}:{pair.target}"] = (
            f"CASE WHEN list_contains(e.keep, {literal(pair.target)}) THEN {known} WHEN {written} THEN {wanted} "
            f"ELSE {held} END"
        )
    expressions[f"d:{leg.map.dataverse.id}"] = "COALESCE(e.id, b.id)"
    return expressions
