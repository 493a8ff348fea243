"""Step 4, load: sends the plan in batches and keeps what each batch was answered.

A batch's content follows from the plan alone, so that a load that was killed goes on with the first batch that has no
acknowledgement. That batch may have been carried out before: every write is idempotent by key or record id.
"""

from __future__ import annotations

from collections.abc import Iterator

from dualsync.errors import Superseded
from dualsync.frames import Sets, quoted
from dualsync.sync.documents.completeness import PLANNED, SENT, begin
from dualsync.sync.documents.triggers import missing_lines, reopen
from dualsync.sync.legs.markers import Batch, Extracted, Loaded, Sending
from dualsync.sync.legs.runtime import Leg, Runtime
from dualsync.sync.load.senders import Row, Sender, open_sender
from dualsync.sync.plan.columns import LegColumns

GUARD_FLOOR = 100
"""Rows below this number never trip the guard, whatever their share."""


_PIECE = 1_000
"""Rows of the plan that are held as Python values at once, beside those of a batch."""


class Held(Exception):
    """A guard tripped; the message says which and how to let the leg pass."""


def load(leg: Leg, runtime: Runtime, extracted: Extracted) -> Loaded:
    """Write the plan to the receiving side.

    Args:
        leg: The leg, validated.
        runtime: Ledger and systems.
        extracted: What the extract step left.

    Returns:
        The step's marker.

    Raises:
        LegBusy: Another run is writing these rows; try again later.
        Superseded: The base has moved since the plan was made; nothing more is sent.
        Held: A guard tripped; nothing is sent.
        Transient: A system did not answer; try again, what was acknowledged is not sent again.
    """
    leg_columns = LegColumns(leg.map, leg.direction, runtime.schema, extracted.missing)
    runtime.ledger.take_lease(leg.map.map, leg.company, leg.run.run_id)
    check_generation(leg, runtime, extracted.generation)
    with Sets() as sets:
        sets.view("plan", leg.folder.file("plan.parquet"))
        sets.view("failures", leg.folder.file("failures.parquet"))
        _guard(leg, runtime, sets)
        begin(leg, runtime, sets)
        sender = open_sender(leg, runtime, leg_columns)
        sending = leg.folder.done(Sending)
        if sending is None:
            sending = Sending(generation=extracted.generation, batch_rows=sender.batch_rows)
            leg.folder.finish(sending)
        stopped = sets.fetch(
            "SELECT id, join_key FROM plan JOIN (SELECT DISTINCT pos FROM failures WHERE severity = 'critical') "
            "USING (pos) WHERE action = 'create'"
        )
        sender.stopped.update(value for column in stopped.columns for value in column.to_pylist() if value is not None)
        sender.closed.update(missing_lines(leg, runtime, sets))
        sender.closed.update(reopen(leg, runtime, sets, f"(SELECT * FROM plan WHERE {SENT})", PLANNED))
        batches = rows = 0
        for number, batch in enumerate(_batches(sets, sender, sending.batch_rows), start=1):
            known = leg.folder.sent(number)
            if known is None:
                known = Batch(rows=sender.send(batch, number))
                leg.folder.acknowledge(number, known)
                # The lease may have run out during a long request, and another run have come and gone.
                runtime.ledger.take_lease(leg.map.map, leg.company, leg.run.run_id)
                check_generation(leg, runtime, extracted.generation)
            sender.learn(known.rows)
            batches, rows = number, rows + len(batch)
        number = batches + 1
        if (later := sender.deferred(sets)) and leg.folder.sent(number) is None:
            leg.folder.acknowledge(number, Batch(rows=[], deferred=sender.send_deferred(later)))
    return Loaded(batches=batches, rows=rows)


def check_generation(leg: Leg, runtime: Runtime, generation: int) -> None:
    """Refuse a plan whose base is no longer the newest.

    Raises:
        Superseded: Naming the run that moved it.
    """
    base = runtime.ledger.base(leg.map.map, leg.company)
    if (base.generation if base else 0) != generation:
        runtime.ledger.drop_lease(leg.map.map, leg.company, leg.run.run_id)
        sent = "nothing more is sent" if leg.folder.anything_sent else "nothing was sent"
        raise Superseded(
            f"{leg.label} in run {leg.run.run_id}: superseded by run {base.run_id if base else '(none)'}; {sent}. "
            "Start a new run: it plans from what stands there now"
        )


def _guard(leg: Leg, runtime: Runtime, sets: Sets) -> None:
    base = runtime.ledger.base(leg.map.map, leg.company)
    # The first run of a leg brings everything in line; only later can "too much" mean anything.
    first = not runtime.ledger.has_settled(leg.map.map, leg.direction, leg.company)
    if not leg.run.guards or base is None or first:
        return
    # A plan of an earlier version does not say which updates replace a value: all of them count.
    known = "replaces" in sets.fetch("SELECT * FROM plan LIMIT 0").column_names
    updates = int(
        sets.scalar(f"SELECT count(*) FROM plan WHERE action = 'update' AND {'replaces' if known else 'TRUE'}") or 0
    )
    limit = max(GUARD_FLOOR, int(runtime.settings.guards.update_share * base.rows))
    if updates > limit:
        runtime.ledger.drop_lease(leg.map.map, leg.company, leg.run.run_id)
        raise Held(
            f"{leg.label} would overwrite values in {updates} of {base.rows} known rows, more than the limit of "
            f"{limit} (setting guards.update_share); look at it with `dualsync held list`, then release it with "
            "`dualsync held release`"
        )


def _batches(sets: Sets, sender: Sender, size: int) -> Iterator[list[Row]]:
    """The rows to send, in batches of one wave and one action, with the columns that a sender looks at."""
    columns = ", ".join(["pos", "wave", "action", "join_key", "id", "columns", *map(quoted, sender.columns)])
    query = f"SELECT {columns} FROM plan WHERE {SENT} ORDER BY wave, action, pos"
    batch: list[Row] = []
    # as Python values a row takes some hundred times the room it has in a file, so few are held at once
    for piece in sets.stream(query, _PIECE):
        for row in piece.to_pylist():
            if batch and (len(batch) == size or (row["wave"], row["action"]) != (batch[0]["wave"], batch[0]["action"])):
                yield batch
                batch = []
            batch.append(row)
    if batch:
        yield batch
