"""Record ids and generated numbers of the seed: derived from the seed alone, so the same seed gives the same rows."""

from __future__ import annotations

import uuid

_NAMESPACE = uuid.UUID("5b5f2f34-9d0c-5a52-8f8e-6a1d3c7f0e11")


class Ids:
    """Gives every seeded Dataverse record its id.

    Args:
        seed: the number the whole seed is made from.
    """

    def __init__(self, seed: int) -> None:
        self._space = uuid.uuid5(_NAMESPACE, str(seed))

    def __call__(self, table: str, key: object) -> str:
        """Return the id (lower-case GUID text) of the record of ``table`` that ``key`` names within the seed."""
        return str(uuid.uuid5(self._space, f"{table}/{key}"))
