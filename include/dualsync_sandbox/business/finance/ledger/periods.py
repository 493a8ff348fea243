"""The fiscal periods of a company, and where an accounting date falls [G6]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualsync_sandbox.business.finance.setup.settings import day_of

if TYPE_CHECKING:
    from dualsync_sandbox.store import Tx


class Periods:
    """The fiscal periods of one company, read once.

    Args:
        tx: The transaction.
        area: ``dataAreaId``.
    """

    def __init__(self, tx: Tx, area: str) -> None:
        rows = tx.find("FiscalPeriods", dataAreaId=area)
        self._periods = sorted(
            (day_of(row["StartDate"]), day_of(row["EndDate"]), row["Status"] == "Open") for row in rows
        )

    def exists(self, day: str) -> bool:
        """Whether a period holds the day."""
        return any(first <= day <= last for first, last, _ in self._periods)

    def is_open(self, day: str) -> bool:
        """Whether the day lies in an open period."""
        return any(first <= day <= last and is_open for first, last, is_open in self._periods)

    def next_open(self, day: str) -> str | None:
        """The day itself in an open period, else the first day of the next open one; None without."""
        if self.is_open(day):
            return day
        return next((first for first, _, is_open in self._periods if is_open and first > day), None)
