"""The deletions at the end of a run: what left one system leaves the other, children before their parents.

A map's own transfer only notes which rows are to go (``settle/outcome.py``); they stand in the ledger until they are
gone. Here each one is looked at again: the record must truly be gone, and no row of a child map may still point at it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
from upath import UPath

from dualsync.errors import NotFound, Refused
from dualsync.frames import Sets, count_rows, write_rows
from dualsync.ledger import BaseRecord, LegCounts, LegRecord, OpenRow, Settlement
from dualsync.mapping import Expression, TableMap
from dualsync.sql import quoted
from dualsync.sync.documents.completeness import begin_lines, count_lines
from dualsync.sync.documents.triggers import reopen
from dualsync.sync.legs.context import LegContext
from dualsync.sync.legs.leg import Leg
from dualsync.sync.legs.runtime import Runtime
from dualsync.sync.load.step import check_generation
from dualsync.sync.lookups.missing import Missing
from dualsync.sync.plan.base import open_base
from dualsync.sync.plan.columns import LegColumns
from dualsync.sync.plan.finance_keys import finance_key
from dualsync.sync.plan.vocabulary import (
    GLOBAL,
    SIDE_NAMES,
    Action,
    LegState,
    RuleWord,
    agreed,
    agreed_prefix,
    deleted_row,
    has_rule_word,
    rule_name,
)
from dualsync.sync.settle.outcome import leg_record, planned_deletions

HELD = "held.parquet"
"""The deletions that a guard stopped, in the folder of the transfer."""


def pending_deletions(leg: Leg, runtime: Runtime) -> list[OpenRow]:
    """Rows of a leg that are to be deleted."""
    rows = runtime.ledger.open_rows(
        map_name=leg.map.map, direction=leg.direction, company=leg.company, states=(Action.DELETE,)
    )
    if leg.run.rows:
        chosen = {row.key for row in leg.rows}
        return [row for row in rows if row.join_key in chosen]
    if leg.run.writes:
        return rows
    # A run that writes nothing has stored nothing: what it found itself stands in the folder of its rows.
    upserts = runtime.leg(leg.run, leg.map.map, leg.direction, leg.company)
    if not upserts.folder.file("deletes.parquet").exists():
        return rows
    stored = {row.join_key for row in rows}
    with Sets() as sets:
        return rows + [row for row in planned_deletions(sets, upserts) if row.join_key not in stored]


def delete_rows(leg: Leg, runtime: Runtime) -> LegRecord:
    """Carry out the deletions of a leg.

    Args:
        leg: The leg's part ``deletes``.
        runtime: Ledger and systems.

    Returns:
        The leg as it stands in the ledger. A row that the other system refuses to delete, or that still has
        children, stays open with that reason.

    Raises:
        LegBusy: Another run is writing these rows.
        Superseded: Another run settled the map meanwhile.
        Transient: A system did not answer.
    """
    rows = pending_deletions(leg, runtime)
    base = runtime.ledger.base(leg.map.map, leg.company)
    generation = base.generation if base else 0
    if not leg.run.writes:
        counts = LegCounts(planned=len(rows), deleted=len(rows))
        record = leg_record(leg, counts, state=LegState.DRY_RUN, message="", generation=generation)
        runtime.ledger.save_leg(record)
        return record
    if leg.run.guards and len(rows) > runtime.settings.guards.deletes:
        return _held(leg, runtime, rows, generation)
    context = LegContext.now(leg, runtime)
    runtime.ledger.take_lease(leg.map.map, leg.company, leg.run.run_id)
    check_generation(context)
    return _carry_out(context, rows)


def _held(leg: Leg, runtime: Runtime, rows: list[OpenRow], generation: int) -> LegRecord:
    """Write down deletions that are more than a guard allows; a person has to approve them."""
    message = (
        f"{leg.label} would delete {len(rows)} rows, more than the limit of {runtime.settings.guards.deletes} "
        "(setting guards.deletes); look at them with `dualsync approvals list`, then release them with "
        "`dualsync approvals release`"
    )
    counts = LegCounts(planned=len(rows), waiting=len(rows))
    record = leg_record(leg, counts, state=LegState.HELD, message=message, generation=generation)
    schema = pa.schema([pa.field("join_key", pa.string()), pa.field("key", pa.string())])
    leg.folder.path.mkdir(parents=True, exist_ok=True)
    write_rows(leg.folder.file(HELD), schema, [{"join_key": row.join_key, "key": row.key} for row in rows])
    runtime.ledger.save_leg(record)
    return record


def _carry_out(context: LegContext, rows: list[OpenRow]) -> LegRecord:
    """Delete rows, and settle."""
    leg, runtime, generation = context.leg, context.runtime, context.generation
    deletions = _Deletions(context)
    gone, still_open, dropped = deletions.run(rows)
    # a refusal is for a person; the others come with a later run
    waiting = sum(has_rule_word(row.rule, RuleWord.CHILDREN, RuleWord.HEADER) for row in still_open)
    counts = LegCounts(
        rows_read=len(rows),
        planned=len(rows),
        deleted=len(gone),
        waiting=waiting,
        quarantined=len(still_open) - waiting,
        skipped=len(dropped),
    )
    message = f"asked for by {leg.run.by}" if leg.run.by else ""
    record = leg_record(leg, counts, state=LegState.SETTLED, message=message, generation=generation)
    new_base = deletions.new_base(gone) if gone else None
    record = replace(record, generation_to=new_base.generation if new_base else generation)
    with Sets() as sets:
        documents = count_lines(leg, runtime, sets, UPath(new_base.path) if new_base else context.base, planned=False)
    runtime.ledger.settle(
        Settlement(
            leg=record,
            base=new_base,
            open_rows=still_open,
            resolved=[row.join_key for row in [*gone, *dropped]],
            documents=documents,
            documents_gone=[(leg.map.map, leg.company, deleted_row(row.join_key)) for row in gone],
        )
    )
    return record


@dataclass(frozen=True, slots=True)
class _Children:
    """Rows that point at rows to be deleted, as they are named in messages.

    Attributes:
        others: By the parent's record id, the first row of another map.
        own: By the parent's record id, rows of the same map with their record ids.
    """

    others: dict[str, str]
    own: dict[str, list[tuple[str, str]]]

    def of(self, parent: str | None, gone: set[str | None]) -> str | None:
        """A row that still points at a parent, None where there is none.

        Args:
            parent: The parent's record id.
            gone: Record ids of rows of the same map that were deleted just now; the base still has them.
        """
        if parent is None:
            return None
        left = (text for record, text in self.own.get(parent, ()) if record not in gone)
        return self.others.get(parent) or next(left, None)


class _Deletions:
    """The deletions of one transfer."""

    def __init__(self, context: LegContext) -> None:
        self._context = context
        self._leg = context.leg
        self._runtime = context.runtime

    def run(self, rows: list[OpenRow]) -> tuple[list[OpenRow], list[OpenRow], list[OpenRow]]:
        """Delete rows; returns those that are gone, those that stay open, and those that need no deletion any more."""
        based = self._based(rows)
        alive = self._alive(rows)
        children = self._children(rows)
        gone: list[OpenRow] = []
        still_open: list[OpenRow] = []
        dropped: list[OpenRow] = []
        left: list[OpenRow] = []
        for row in rows:
            before = based.get(deleted_row(row.join_key))
            # The base knows another record under this key, or the record is back: nothing is to go any more.
            stays = before is None or before["id"] != row.record_id or row.record_id in alive
            (dropped if stays else left).append(row)
        closed = self._reopen(left)
        while left:
            # Rows of one map may be each other's children, so those that had to wait are looked at again.
            parents: list[OpenRow] = []
            away = {row.record_id for row in gone}
            for row in left:
                if (why := closed.get(deleted_row(row.join_key))) is not None:
                    parents.append(replace(row, rule=why.rule, reason=why.reason))
                elif (child := children.of(row.record_id, away)) is not None:
                    rule = rule_name(self._leg.map.map, RuleWord.CHILDREN)
                    reason = f"is deleted once {child} is gone, which points at it"
                    parents.append(replace(row, rule=rule, reason=reason))
                elif (refusal := self._delete(row, based[deleted_row(row.join_key)])) is not None:
                    rule = rule_name(self._leg.map.map, RuleWord.REFUSED)
                    still_open.append(replace(row, rule=rule, reason=refusal))
                else:
                    gone.append(row)
            if len(parents) == len(left):
                still_open += parents
                break
            left = parents
        return gone, still_open, dropped

    def new_base(self, gone: list[OpenRow]) -> BaseRecord:
        """Write the next generation, without the rows that are gone."""
        leg, number = self._leg, self._context.generation + 1
        path = self._runtime.new_base_path(leg.map.map, leg.company, number)
        with Sets() as sets:
            open_base(sets, self._context.columns, self._context.base)
            keys = [deleted_row(row.join_key) for row in gone]
            sets.table("gone", pa.table({"gone_key": pa.array(keys, type=pa.string())}))
            sets.save("SELECT * FROM base WHERE join_key NOT IN (SELECT gone_key FROM gone) ORDER BY join_key", path)
        return BaseRecord(leg.map.map, leg.company, number, str(path), count_rows(path), leg.run.run_id)

    def _based(self, rows: list[OpenRow]) -> dict[str, dict[str, Any]]:
        with Sets() as sets:
            open_base(sets, self._context.columns, self._context.base)
            keys = [deleted_row(row.join_key) for row in rows]
            sets.table("asked", pa.table({"asked_key": pa.array(keys, type=pa.string())}))
            based = sets.fetch("SELECT base.* FROM base JOIN asked ON join_key = asked_key").to_pylist()
        return {row["join_key"]: row for row in based}

    def _alive(self, rows: list[OpenRow]) -> set[str]:
        """Records that stand in their own system after all, and match the filter."""
        if self._leg.source == "finance":
            return set()
        spec = self._leg.map.dataverse
        expression = Expression.parse(spec.filter) if spec.filter else None
        select = [spec.id, *(expression.columns if expression else ())]
        ids = [row.record_id for row in rows if row.record_id]
        there = self._runtime.systems.dataverse.read_ids(spec.set, ids, select=select)
        return {str(row[spec.id]).lower() for row in there if expression is None or expression.matches(row)}

    def _reopen(self, rows: list[OpenRow]) -> dict[str, Missing]:
        """Let headers of lines that are to be deleted go back to rest; lines of those that do not, with reasons."""
        leg, runtime = self._leg, self._runtime
        prefix = agreed_prefix(leg.source)
        keys = [deleted_row(row.join_key) for row in rows]
        with Sets() as sets:
            open_base(sets, self._context.columns, self._context.base)
            sets.table("asked", pa.table({"asked_key": pa.array(keys, type=pa.string())}))
            lines = "(SELECT base.* FROM base JOIN asked ON join_key = asked_key)"
            begin_lines(leg, runtime, sets, lines, prefix, written=True)
            return reopen(leg, runtime, sets, lines, prefix)

    def _children(self, rows: list[OpenRow]) -> _Children:
        """The rows of child maps that both sides hold and that point at rows to be deleted."""
        runtime, leg = self._runtime, self._leg
        children = _Children({}, {})
        asked = pa.table({"asked": pa.array([row.record_id for row in rows], type=pa.string())})
        for name in (*runtime.catalog.children(leg.map.map), leg.map.map):
            child = runtime.catalog[name]
            path = runtime.base_path(name, GLOBAL if child.scope == "global" else leg.company)
            lookups = dict.fromkeys(lookup.dataverse for lookup in child.lookups if leg.map.map in lookup.maps)
            holding = [attribute for attribute in lookups if self._holds_parent(child, attribute)]
            if path is None or child.rows.deleted_by == "nobody" or not holding:
                continue
            with Sets() as sets:
                open_base(sets, LegColumns(child, "to_finance", runtime.schema), path)
                sets.table("asked", asked)
                for attribute in holding:
                    column = quoted(agreed("dataverse", attribute))
                    pairs = sets.fetch(
                        f"SELECT asked, id, key FROM base JOIN asked ON {column} = asked WHERE id <> asked ORDER BY key"
                    )
                    for parent, record, key in zip(*(column.to_pylist() for column in pairs.columns), strict=True):
                        text = f"{child.title} {key}"
                        if name == leg.map.map:
                            children.own.setdefault(parent, []).append((record, text))
                        else:
                            children.others.setdefault(parent, text)
        return children

    def _holds_parent(self, child: TableMap, attribute: str) -> bool:
        """Whether a child keeps its parent from being deleted; another may outlive it, and then points nowhere.

        Only a lookup that is part of what the child is (its key, its company, or required) keeps the parent.
        """
        lookup = child.lookup(attribute)
        in_key = attribute in {path.split(".")[0] for path in child.dataverse.key}
        in_company = child.dataverse.company_lookup == attribute
        return in_key or in_company or lookup.required or child.map == self._leg.map.map

    def _delete(self, row: OpenRow, before: dict[str, Any]) -> str | None:
        """Delete one row on the other side; returns the reason where that is refused."""
        leg = self._leg
        try:
            if leg.target == "finance":
                parts = [before[agreed("finance", name)] for name in leg.map.finance.key]
                key = finance_key(leg.map, self._runtime.schema, leg.company, parts)
                self._runtime.systems.finance.delete(leg.map.finance.set, key)
            elif row.record_id:
                self._runtime.systems.dataverse.delete(leg.map.dataverse.table, row.record_id)
        except NotFound:
            return None
        except Refused as error:
            return f"{SIDE_NAMES[leg.target]} refuses to delete it: {error.message}"
        return None
