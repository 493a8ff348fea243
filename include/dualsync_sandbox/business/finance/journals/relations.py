"""Transaction relationships tie journal lines together [G7, G19, F3].

A cost and its unbilled sales name each other's vouchers; a fee names the actual it was made for. Relationships may come
later than their actuals: every import and every posting looks again at lines that still lack theirs.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from dualsync_sandbox.business.finance.journals.staging import LINES, STAGING
from dualsync_sandbox.schema import NO_GUID

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row, Tx

_FEE = 192350004
_PAIR = {"Cost": "Sales", "Sales": "Cost", "InterOrgSales": "ResourcingUnitCost", "ResourcingUnitCost": "InterOrgSales"}


class Relationships:
    """The relationships between actuals, read once.

    Args:
        tx: The transaction.
        area: ``dataAreaId``.
    """

    def __init__(self, tx: Tx, area: str) -> None:
        self._tx = tx
        self._area = area
        self._partners: dict[str, list[str]] = defaultdict(list)

    def link(self) -> None:
        """Fill in related vouchers and sources of unposted lines that lack them."""
        sql = (
            f'SELECT l."RecId" FROM "{LINES}" l WHERE l."dataAreaId" = ? AND l."LineStatus" <> \'Posted\' '
            'AND (l."RelatedVoucher" = \'\' OR (l."TransactionClassification" = ? AND l."SourceActualsImportId" = ?))'
        )
        found = self._tx.query(sql, (self._area, _FEE, NO_GUID)).fetchall()
        if not found:
            return
        for row in self._tx.scan("TransactionRelationships"):
            one, two = str(row["Transaction1Id"]), str(row["Transaction2Id"])
            self._partners[one].append(two)
            self._partners[two].append(one)
        for (rec_id,) in found:
            line = self._tx.get(LINES, rec_id)
            assert line is not None
            self._link(line)

    def _link(self, line: Row) -> None:
        staged = self._staged(ActualsImportId=line["ActualsImportId"])
        if staged is None:
            return
        changes: Row = {}
        for partner in self._partners.get(str(staged["ActualId"]), ()):
            other = self._staged_of_actual(partner)
            if other is None:
                continue
            if line["TransactionClassification"] == _FEE and other["TransactionClassification"] != _FEE:
                changes["SourceActualsImportId"] = other["ActualsImportId"]
            elif other["TransactionType"] == _PAIR[str(line["TransactionType"])]:
                theirs = self._tx.find_one(LINES, dataAreaId=self._area, ActualsImportId=other["ActualsImportId"])
                if theirs is not None:
                    changes["RelatedVoucher"] = theirs["Voucher"]
        if changes:
            self._tx.update(LINES, line["RecId"], changes)

    def _staged(self, **key: object) -> Row | None:
        return self._tx.find_one(STAGING, dataAreaId=self._area, **key)

    def _staged_of_actual(self, actual_id: str) -> Row | None:
        return self._staged(ActualId=actual_id)
