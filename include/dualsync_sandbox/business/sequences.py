"""Running numbers that a store gives out: continuous within a process, with gaps where a write was undone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dualsync_sandbox.store import Tx


class Sequence:
    """The running number of one table; it starts behind the rows the table has when the first number is asked for.

    Args:
        table: Logical name or entity set.
    """

    def __init__(self, table: str) -> None:
        self._table = table
        self._next: int | None = None

    def next(self, tx: Tx, taken: Callable[[int], bool] | None = None) -> int:
        """Return the next number (from 0).

        Args:
            tx: The transaction of the new row.
            taken: Says whether a number is in use, so that it is passed over.
        """
        number = tx.count(self._table) if self._next is None else self._next
        while taken is not None and taken(number):
            number += 1
        self._next = number + 1
        return number
