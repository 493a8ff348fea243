"""Step 4, load: sends the plan in batches and keeps what each batch was answered.

A batch's content follows from the plan alone, so that a load that was killed goes on with the first batch that has no
acknowledgement. That batch may have been carried out before: every write is idempotent by key or record id.
"""

from __future__ import annotations

from collections.abc import Iterator

from dualsync.errors import Signal, Superseded
from dualsync.frames import Sets
from dualsync.sql import literal, quoted
from dualsync.sync.documents.completeness import PLANNED, SENT, begin
from dualsync.sync.documents.triggers import missing_lines, reopen
from dualsync.sync.legs.context import LegContext
from dualsync.sync.legs.markers import Batch, Loaded, Sending
from dualsync.sync.load.dataverse import DataverseSender
from dualsync.sync.load.finance import FinanceSender
from dualsync.sync.load.package import PackageSender
from dualsync.sync.load.sender import Row, Sender
from dualsync.sync.plan.vocabulary import Action, Severity

GUARD_FLOOR = 100
"""Rows below this number never trip the guard, whatever their share."""


_PIECE = 1_000
"""Rows of the plan that are kept as Python values at once, beside those of a batch."""


class NeedsApproval(Signal):
    """A guard stopped the transfer; the message says which and how to let it pass."""


def load(context: LegContext) -> Loaded:
    """Write the plan to the receiving side.

    Args:
        context: The transfer, validated.

    Returns:
        The step's marker.

    Raises:
        LegBusy: Another run is writing these rows; try again later.
        Superseded: The base has moved since the plan was made; nothing more is sent.
        NeedsApproval: A guard stopped it; nothing is sent.
        Transient: A system did not answer; try again, what was acknowledged is not sent again.
    """
    _claim(context)
    with Sets() as sets:
        sets.view("plan", context.folder.file("plan.parquet"))
        sets.view("failures", context.folder.file("failures.parquet"))
        _guard(context, sets)
        begin(context.leg, context.runtime, sets)
        sender = open_sender(context)
        sending = context.folder.done(Sending)
        if sending is None:
            sending = Sending(generation=context.generation, batch_rows=sender.batch_rows)
            context.folder.finish(sending)
        _learn_what_stays_out(context, sets, sender)
        batches, rows = _send(context, sets, sender, sending.batch_rows)
        if (later := sender.deferred(sets)) and context.folder.sent(batches + 1) is None:
            context.folder.acknowledge(batches + 1, Batch(rows=[], deferred=sender.send_deferred(later)))
    return Loaded(batches=batches, rows=rows)


def open_sender(context: LegContext) -> Sender:
    """The sender that writes a transfer's rows to its receiving side."""
    if context.columns.target == "dataverse":
        return DataverseSender(context)
    return PackageSender(context) if context.map.finance.write == "package" else FinanceSender(context)


def _send(context: LegContext, sets: Sets, sender: Sender, size: int) -> tuple[int, int]:
    """Send what has no acknowledgement yet; returns how many batches and rows the plan has."""
    batches = rows = 0
    for number, batch in enumerate(_batches(sets, sender, size), start=1):
        answer = context.folder.sent(number)
        if answer is None:
            answer = Batch(rows=sender.send(batch, number))
            context.folder.acknowledge(number, answer)
            # The lease may have run out during a long request, and another run have come and gone.
            _claim(context)
        sender.learn(answer.rows)
        batches, rows = number, rows + len(batch)
    return batches, rows


def _learn_what_stays_out(context: LegContext, sets: Sets, sender: Sender) -> None:
    """Tell the sender which rows do not go: new ones that break a rule, those of closed or incomplete documents."""
    stopped = sets.fetch(
        "SELECT id, join_key FROM plan JOIN (SELECT DISTINCT pos FROM failures "
        f"WHERE severity = {literal(Severity.CRITICAL)}) USING (pos) WHERE action = {literal(Action.CREATE)}"
    )
    sender.stopped.update(value for column in stopped.columns for value in column.to_pylist() if value is not None)
    leg, runtime = context.leg, context.runtime
    sender.closed.update(missing_lines(leg, runtime, sets))
    sender.closed.update(reopen(leg, runtime, sets, f"(SELECT * FROM plan WHERE {SENT})", PLANNED))


def _claim(context: LegContext) -> None:
    """Take the lease of the map and company, and make sure that no other run has moved their base."""
    context.runtime.ledger.take_lease(context.map.map, context.company, context.run.run_id)
    check_generation(context)


def check_generation(context: LegContext) -> None:
    """Refuse a plan whose base is no longer the newest.

    Raises:
        Superseded: Naming the run that moved it.
    """
    leg, ledger = context.leg, context.runtime.ledger
    base = ledger.base(leg.map.map, leg.company)
    if (base.generation if base else 0) != context.generation:
        ledger.drop_lease(leg.map.map, leg.company, leg.run.run_id)
        sent = "nothing more is sent" if leg.folder.anything_sent else "nothing was sent"
        raise Superseded(
            f"{leg.label} in run {leg.run.run_id}: superseded by run {base.run_id if base else '(none)'}; {sent}. "
            "Start a new run: it plans from what stands there now"
        )


def _guard(context: LegContext, sets: Sets) -> None:
    leg, runtime = context.leg, context.runtime
    base = runtime.ledger.base(leg.map.map, leg.company)
    # The first run of a transfer brings everything in line; only later can "too much" mean anything.
    first = not runtime.ledger.has_settled(leg.map.map, leg.direction, leg.company)
    if not leg.run.guards or base is None or first:
        return
    # A plan of an earlier version does not say which updates replace a value: all of them count.
    replaces = "replaces" if "replaces" in sets.fetch("SELECT * FROM plan LIMIT 0").column_names else "TRUE"
    updates = int(sets.scalar(f"SELECT count(*) FROM plan WHERE action = {literal(Action.UPDATE)} AND {replaces}") or 0)
    limit = max(GUARD_FLOOR, int(runtime.settings.guards.update_share * base.rows))
    if updates > limit:
        runtime.ledger.drop_lease(leg.map.map, leg.company, leg.run.run_id)
        raise NeedsApproval(
            f"{leg.label} would overwrite values in {updates} of {base.rows} known rows, more than the limit of "
            f"{limit} (setting guards.update_share); look at it with `dualsync approvals list`, then release it with "
            "`dualsync approvals release`"
        )


def _batches(sets: Sets, sender: Sender, size: int) -> Iterator[list[Row]]:
    """The rows to send, in batches of one wave and one action, with the columns that a sender looks at."""
    columns = ", ".join(["pos", "wave", "action", "join_key", "id", "columns", *map(quoted, sender.columns)])
    query = f"SELECT {columns} FROM plan WHERE {SENT} ORDER BY wave, action, pos"
    batch: list[Row] = []
    # as Python values a row takes some hundred times the room it has in a file, so few are kept at once
    for piece in sets.stream(query, _PIECE):
        for row in piece.to_pylist():
            if batch and (len(batch) == size or (row["wave"], row["action"]) != (batch[0]["wave"], batch[0]["action"])):
                yield batch
                batch = []
            batch.append(row)
    if batch:
        yield batch
