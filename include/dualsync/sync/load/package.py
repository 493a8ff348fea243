"""Writes rows to Finance by data package, for entities that OData does not show."""

from __future__ import annotations

from dualsync.sync.legs.context import LegContext
from dualsync.sync.legs.markers import Ack
from dualsync.sync.load.sender import Row, Sender, acknowledged
from dualsync.sync.plan.values import join_key, to_wire
from dualsync.sync.plan.vocabulary import GLOBAL, wanted


class PackageSender(Sender):
    """Creates and updates rows in Finance, one package for a batch.

    An import inserts or updates by the entity's key, so the same package may be sent again.
    """

    def __init__(self, context: LegContext) -> None:
        super().__init__(context)
        self.batch_rows = context.runtime.settings.batch_sizes.finance_package
        self._finance = context.runtime.systems.finance

    def send(self, batch: list[Row], number: int) -> list[Ack]:
        """Send a batch as one package."""
        entity, company = self.map.finance, self.context.company
        rows = [
            {pair.target: to_wire(row[wanted(pair.target)], pair.column, "finance") for pair in self.pairs}
            for row in batch
        ]
        result = self._finance.import_rows(
            entity.entity,
            self.context.columns.target_columns,
            rows,
            # rows of all companies are imported in the first one
            self.context.runtime.settings.companies[0] if company == GLOBAL else company,
            target=str(entity.target),
            key=entity.key,
        )
        reasons = {join_key(list(error.key)): error.message for error in result.errors}
        acks = []
        for row in batch:
            reason = reasons.get(join_key([row[wanted(name)] for name in entity.key]))
            acks.append(acknowledged(row) if reason is None else self.refused(row, reason))
        return acks
