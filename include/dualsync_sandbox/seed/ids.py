"""Record ids and generated numbers of the seed: derived from the seed alone, so the same seed gives the same rows."""

from __future__ import annotations

import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import count

from dualsync_sandbox.business.dataverse.numbers import AUTO_NUMBERS
from dualsync_sandbox.store import Row

_NAMESPACE = uuid.UUID("5b5f2f34-9d0c-5a52-8f8e-6a1d3c7f0e11")


class Ids:
    """Gives every seeded Dataverse record its id.

    Args:
        seed: The number the whole seed is made from.
    """

    def __init__(self, seed: int) -> None:
        self._space = uuid.uuid5(_NAMESPACE, str(seed))

    def __call__(self, table: str, key: object) -> str:
        """Return the id (lower-case GUID text) of the record of ``table`` that ``key`` names within the seed."""
        return str(uuid.uuid5(self._space, f"{table}/{key}"))


@dataclass(slots=True)
class Numbers:
    """Running numbers per table, shared by all companies."""

    ids: Ids
    _next: dict[str, count[int]] = field(default_factory=lambda: defaultdict(count))

    def new(self, table: str) -> tuple[str, int]:
        """Return id and sequence of the next row of a table."""
        sequence = next(self._next[table])
        return self.ids(table, sequence), sequence

    def numbered(self, table: str) -> Row:
        """Return a new row of a table with its id and its number."""
        row_id, sequence = self.new(table)
        number = AUTO_NUMBERS[table]
        return {f"{table}id": row_id, number.column: number.value(sequence, row_id)}
