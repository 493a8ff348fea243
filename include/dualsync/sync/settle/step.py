"""Step 5, settle: the new base generation, the change token, the counts and the open rows, in one transaction.

The base is written first, as a file of its own; the ledger then swaps generations, so that a settle that was killed
leaves nothing half done.
"""

from __future__ import annotations

from dataclasses import replace

from upath import UPath

from dualsync.errors import Defect
from dualsync.frames import Sets
from dualsync.ledger import BaseRecord, LegCounts, LegRecord, Settlement
from dualsync.sql import quoted
from dualsync.sync.documents.completeness import count_lines, due
from dualsync.sync.documents.triggers import triggered_units
from dualsync.sync.legs.context import LegContext
from dualsync.sync.legs.markers import Extracted
from dualsync.sync.plan.vocabulary import ID_SCHEME, OPEN, LegState, RuleWord, parent_key, rule_name, wanted
from dualsync.sync.settle.base import write_base
from dualsync.sync.settle.outcome import count_rows_ended, end_rows, left_open, leg_record, planned_deletions


class NotConserved(Defect):
    """The counts of a transfer do not add up; nothing was settled."""

    id = "counts"
    cause = "Rows of the plan are missing from what became of it, or are there twice: an error in dualsync itself."
    way_out = "Report it with the run's folder. Nothing was settled; the next run starts from the last good state."


def settle(context: LegContext, extracted: Extracted, *, state: str = LegState.SETTLED, message: str = "") -> LegRecord:
    """Settle a transfer.

    Args:
        context: The transfer, loaded (or, in a run that writes nothing, validated).
        extracted: What the extract step left.
        state: ``settled``; ``dry_run`` or ``held`` only write down the counts.
        message: What a person should know about how the transfer ended.

    Returns:
        The transfer as it stands in the ledger.

    Raises:
        Superseded: Another run settled this map and company meanwhile; nothing was changed.
        NotConserved: The counts do not add up; nothing was changed.
    """
    leg, runtime = context.leg, context.runtime
    with Sets() as sets:
        end_rows(sets, leg.folder, state)
        counts = count_rows_ended(sets, extracted.rows_read)
        if not counts.conserved:
            raise NotConserved(
                f"{leg.label} in run {leg.run.run_id}: planned {counts.planned} rows, but their ends do not add "
                f"up: {counts}"
            )
        record = leg_record(leg, counts, state=state, message=message, generation=context.generation)
        if state != LegState.SETTLED:
            runtime.ledger.save_leg(record)
            runtime.ledger.drop_lease(leg.map.map, leg.company, leg.run.run_id)
            return record
        base = write_base(context, sets)
        whole = not leg.run.partial
        open_rows = [*left_open(sets, leg), *planned_deletions(sets, leg)]
        documents, gone = triggered_units(leg, runtime, sets)
        documents += count_lines(leg, runtime, sets, _base_after(context, base), planned=True)
        resolved = [] if whole and extracted.full else _planned_keys(sets)
        resolved += _chosen_and_open(context)
    record = replace(record, generation_to=base.generation if base else context.generation)
    runtime.ledger.settle(
        Settlement(
            leg=record,
            base=base,
            token=extracted.token if whole else None,
            open_rows=open_rows,
            replaced=OPEN if whole else (),
            kept=_unseen(context, extracted),
            resolved=resolved,
            documents=documents,
            documents_gone=gone,
        )
    )
    return record


def settle_sent(context: LegContext, record: LegRecord) -> None:
    """Bring into the base what a transfer that broke off had sent; its position, counts and state stay as they are.

    Args:
        context: The transfer that broke off.
        record: As it stands in the ledger.

    Raises:
        Superseded: Another run settled this map and company meanwhile; nothing was changed.
    """
    with Sets() as sets:
        end_rows(sets, context.folder, LegState.SETTLED)
        for pair in context.columns.self_pairs:
            if context.columns.target == "dataverse":
                # Rows whose second pass had not come yet.
                sets.run(
                    f"DELETE FROM ended WHERE {quoted(parent_key(pair.target))} IS NOT NULL AND "
                    f"{quoted(wanted(pair.target))} IS NULL AND join_key NOT IN (SELECT join_key FROM deferred)"
                )
        base = write_base(context, sets)
    if base is not None:
        record = replace(record, generation_from=context.generation, generation_to=base.generation)
        context.runtime.ledger.settle(Settlement(leg=record, base=base))


def settle_empty(context: LegContext, extracted: Extracted) -> LegRecord:
    """Settle a transfer that found nothing to plan: its position moves, and rows an earlier run left open are gone.

    Raises:
        Superseded: Another run settled this map and company meanwhile; nothing was changed.
    """
    leg, runtime = context.leg, context.runtime
    writes, whole = leg.run.writes, not leg.run.partial
    counts = LegCounts(rows_read=extracted.target_rows)
    state = LegState.SETTLED if writes else LegState.DRY_RUN
    record = leg_record(leg, counts, state=state, message="", generation=context.generation)
    if not writes:
        runtime.ledger.save_leg(record)
        return record
    with Sets() as sets:
        documents = count_lines(leg, runtime, sets, context.base, planned=False)
    runtime.ledger.settle(
        Settlement(
            leg=replace(record, generation_to=context.generation),
            token=extracted.token if whole else None,
            replaced=OPEN if whole else (),
            kept=_unseen(context, extracted),
            resolved=_chosen_and_open(context),
            documents=documents,
            documents_gone=[(one.map, one.company, one.join_key) for one in (due(leg, runtime) if whole else ())],
        )
    )
    return record


def _base_after(context: LegContext, base: BaseRecord | None) -> UPath | None:
    """The file of the base as a transfer leaves it."""
    return UPath(base.path) if base is not None else context.base


def _planned_keys(sets: Sets) -> list[str]:
    """The join keys of all rows of a plan; a row that was left open without a whole key has its record id as one."""
    keys = sets.fetch(f"SELECT join_key FROM ended UNION SELECT '{ID_SCHEME}' || id FROM ended WHERE id IS NOT NULL")
    return [str(key) for key in keys.column(0).to_pylist()]


def _chosen_and_open(context: LegContext) -> list[str]:
    """Join keys of open rows among those chosen for a transfer, whether or not they are still rows of the map.

    Rows that only the receiver has stay open: only a run that reads everything can tell that they are gone.
    """
    leg = context.leg
    if not leg.rows:
        return []
    rows = context.runtime.ledger.open_rows(
        map_name=leg.map.map, direction=leg.direction, company=leg.company, states=OPEN
    )
    keys = {row.key.casefold() for row in leg.rows if row.key}
    ids = {row.record_id.lower() for row in leg.rows if row.record_id}
    only_there = rule_name(leg.map.map, RuleWord.STRANGER)
    return [
        row.join_key
        for row in rows
        if row.rule != only_there and (row.key.casefold() in keys or row.join_key in keys or row.record_id in ids)
    ]


def _unseen(context: LegContext, extracted: Extracted) -> tuple[str, ...]:
    """Rules whose rows a run that did not read everything cannot know to be gone."""
    return () if extracted.full else (rule_name(context.map.map, RuleWord.STRANGER),)
