"""What was agreed on before, and what an empty value says: the SQL that transfers and the nightly comparison share."""

from __future__ import annotations

from collections.abc import Iterable

from dualsync.mapping import Side
from dualsync.sql import quoted
from dualsync.sync.plan.vocabulary import agreed


def agreed_column(side: Side, name: str, base: str = "b") -> str:
    """SQL of the value of one side that both agreed on.

    Args:
        side: The side.
        name: Its column.
        base: The alias of the base.
    """
    return f"{base}.{quoted(agreed(side, name))}"


def never_agreed(side: Side, names: Iterable[str], base: str = "b") -> str:
    """SQL of the condition that the base has no value in any of these columns of a side.

    An empty value that never was there does not travel; what the other system filled in by itself is no difference.
    """
    return f"({' AND '.join(f'{agreed_column(side, name, base)} IS NULL' for name in names) or 'TRUE'})"
