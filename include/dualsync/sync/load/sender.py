"""What all senders have in common: they write batches of planned rows and say how each row ended.

Every write is idempotent by key or record id, so that a batch may be sent again after its answer was lost.
"""

from __future__ import annotations

from typing import Any

from dualsync.errors import ForbiddenKey, Refused
from dualsync.frames import Sets
from dualsync.sync.legs.context import LegContext
from dualsync.sync.legs.markers import Ack, LookupAck
from dualsync.sync.lookups.missing import Missing
from dualsync.sync.plan.advice import with_advice
from dualsync.sync.plan.columns import ColumnPair
from dualsync.sync.plan.vocabulary import SIDE_NAMES, AckStatus, Action, RuleWord, parent_key, rule_name, wanted

Row = dict[str, Any]
Later = list[tuple[Row, ColumnPair]]
"""Rows with a lookup that is written after all rows."""


class Sender:
    """Sends batches of one transfer to one system.

    Attributes:
        batch_rows: Rows of a batch.
        stopped: Id and key of new rows that did not get through.
        closed: Why rows cannot be written now, by their key: see ``triggers.py``.
    """

    batch_rows: int

    def __init__(self, context: LegContext) -> None:
        self.context = context
        self.map = context.map
        self.pairs = context.columns.pairs
        self.stopped: set[str] = set()
        self.closed: dict[str, Missing] = {}
        self.self_pairs = context.columns.self_pairs

    @property
    def columns(self) -> list[str]:
        """The columns of the plan that a sender looks at, beside those that every plan has."""
        return [
            *(wanted(pair.target) for pair in self.pairs),
            *(parent_key(pair.target) for pair in self.self_pairs),
        ]

    def send(self, batch: list[Row], number: int) -> list[Ack]:
        """Send a batch, given with its number, and say how each row ended."""
        raise NotImplementedError

    def learn(self, acks: list[Ack]) -> None:
        """Remember which new rows did not get through, so that their children wait."""
        for ack in acks:
            if ack.status != AckStatus.OK and ack.action == Action.CREATE:
                self.stopped.update(value for value in (ack.id, ack.join_key) if value)

    def deferred(self, sets: Sets) -> Later:
        """Rows whose lookup to a row of the same map has to be written after all rows are there."""
        return []

    def send_deferred(self, later: Later) -> list[LookupAck]:
        """Write those lookups."""
        return []

    # -- how a row ended

    def waits(self, row: Row) -> Ack | None:
        """The acknowledgement of a row whose parent in this transfer did not get through, or whose header is closed."""
        if (why := self.closed.get(row["join_key"])) is not None:
            return acknowledged(row, AckStatus.WAITING, rule=why.rule, reason=why.reason)
        for pair in self.self_pairs:
            parent = row.get(parent_key(pair.target))
            if parent is not None and parent in self.stopped:
                return self.waiting(row)
        return None

    def waiting(self, row: Row) -> Ack:
        """The acknowledgement of a row whose parent did not get through."""
        reason = "its parent row did not get through; it goes through once that row is there"
        return acknowledged(row, AckStatus.WAITING, rule=rule_name(self.map.map, RuleWord.WAITING), reason=reason)

    def refused(self, row: Row, error: Refused | ForbiddenKey | str) -> Ack:
        """The acknowledgement of a row that the receiving side refused, with its reason."""
        text = error if isinstance(error, str) else error.message if isinstance(error, Refused) else str(error)
        reason = f"{SIDE_NAMES[self.context.columns.target]} refused the row: {with_advice(text)}"
        return acknowledged(row, AckStatus.REFUSED, rule=rule_name(self.map.map, RuleWord.REFUSED), reason=reason)


def acknowledged(
    row: Row, status: AckStatus = AckStatus.OK, *, id: str | None = None, rule: str = "", reason: str = ""
) -> Ack:
    """How a planned row ended.

    Args:
        row: The row.
        status: How the receiving side answered.
        id: Its record id, where it is known only now.
        rule: The rule that stopped it.
        reason: Why.
    """
    return Ack(
        pos=row["pos"],
        join_key=row["join_key"],
        action=row["action"],
        status=status,
        id=id or row["id"],
        rule=rule,
        reason=reason,
    )
