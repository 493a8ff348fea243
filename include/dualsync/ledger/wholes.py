"""Whole units, made up of what the ledger keeps about the lines of each map."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from dualsync.ledger.records import UnitRecord


@dataclass(frozen=True, slots=True)
class Unit:
    """One header with all its lines.

    Attributes:
        map: The header's map.
        company: Its company.
        key: Its integration key, as people write it.
        expected: Lines that the sending side has.
        acknowledged: Lines that are on both sides.
        missing: Maps of lines of which some are missing, and the part whose trigger has not been sent.
        since: When it became complete or ceased to be.
    """

    map: str
    company: str
    key: str
    expected: int
    acknowledged: int
    missing: tuple[str, ...]
    since: datetime | None

    @property
    def state(self) -> str:
        """``complete`` or ``incomplete``."""
        return "incomplete" if self.missing else "complete"

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        names = ("map", "company", "key", "state", "expected", "acknowledged", "missing", "since")
        return {name: getattr(self, name) for name in names}


def whole_units(records: Iterable[UnitRecord], *, incomplete: bool = False) -> list[Unit]:
    """The units that the ledger's records make up, by map, company and key.

    Args:
        records: All records of these units, as the ledger lists them.
        incomplete: Only units of which something is missing.
    """
    found: list[Unit] = []
    for (name, company, _), together in groupby(records, key=lambda one: (one.map, one.company, one.join_key)):
        parts = list(together)
        left = [one for one in parts if not one.complete]
        moments = [one.since for one in (left or parts) if one.since is not None]
        found.append(
            Unit(
                name,
                company,
                parts[0].key,
                sum(one.expected for one in parts),
                sum(one.acknowledged for one in parts),
                tuple(one.lines for one in left),
                min(moments, default=None) if left else max(moments, default=None),
            )
        )
    return [one for one in found if one.missing or not incomplete]
