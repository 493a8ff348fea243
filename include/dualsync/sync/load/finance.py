"""Writes rows to Finance through OData, one request each."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from dualsync.errors import AlreadyExists, NotFound, Refused, Transient
from dualsync.sync.legs.context import LegContext
from dualsync.sync.legs.markers import Ack
from dualsync.sync.load.sender import Row, Sender, acknowledged
from dualsync.sync.plan.finance_keys import company_values, finance_key
from dualsync.sync.plan.values import to_wire
from dualsync.sync.plan.vocabulary import AckStatus, Action, RuleWord, rule_name, wanted


class FinanceSender(Sender):
    """Creates and updates rows in Finance, one request each, several at a time."""

    def __init__(self, context: LegContext) -> None:
        super().__init__(context)
        settings = context.runtime.settings
        self.batch_rows = settings.batch_sizes.finance_writes
        self._finance = context.runtime.systems.finance
        self._workers = settings.concurrency.finance

    def send(self, batch: list[Row], number: int) -> list[Ack]:
        """Send a batch; see the class above. What got through before the line broke is kept."""
        folder = self.context.folder
        acks = {ack.pos: ack for ack in folder.sent_partly(number)}
        broken: list[Transient] = []

        def send(row: Row) -> None:
            if not broken:
                try:
                    acks[row["pos"]] = self._row(row)
                except Transient as error:
                    broken.append(error)

        with ThreadPoolExecutor(max_workers=self._workers) as pool:
            list(pool.map(send, [row for row in batch if row["pos"] not in acks]))
        if broken:
            folder.acknowledge_partly(number, list(acks.values()))
            raise broken[0]
        return [acks[row["pos"]] for row in batch]

    def _row(self, row: Row) -> Ack:
        if (ack := self.waits(row)) is not None:
            return ack
        try:
            if row["action"] == Action.CREATE:
                self._create(row)
            else:
                columns = set(row["columns"])
                values = {
                    pair.target: to_wire(row[wanted(pair.target)], pair.column, "finance")
                    for pair in self.pairs
                    if pair.target in columns
                }
                self._finance.update(self.map.finance.set, self._key(row), values)
        except NotFound as error:
            rule, reason = rule_name(self.map.map, RuleWord.GONE), f"the row is no longer in Finance: {error.message}"
            return acknowledged(row, AckStatus.REFUSED, rule=rule, reason=reason)
        except Refused as error:
            return self.refused(row, error)
        return acknowledged(row)

    def _create(self, row: Row) -> None:
        values = {
            pair.target: to_wire(row[wanted(pair.target)], pair.column, "finance")
            for pair in self.pairs
            if row[wanted(pair.target)] is not None
        }
        try:
            self._finance.create(self.map.finance.set, company_values(self.map, self.context.company) | values)
        except AlreadyExists:
            # An earlier attempt got through without its answer, or somebody was faster: the row is brought in line.
            rest = {name: value for name, value in values.items() if name not in self.map.finance.key}
            if rest:
                self._finance.update(self.map.finance.set, self._key(row), rest)

    def _key(self, row: Row) -> dict[str, Any]:
        parts = [row[wanted(name)] for name in self.map.finance.key]
        return finance_key(self.map, self.context.runtime.schema, self.context.company, parts)
