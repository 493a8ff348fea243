"""What stands in the way of single rows: noted column by column, told row by row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dualsync.frames import to_pandas
from dualsync.sync.lookups.missing import Missing
from dualsync.sync.plan.values.arrays import array_of, mask_of
from dualsync.sync.plan.values.types import TEXT
from dualsync.sync.plan.vocabulary import Action

Mask = np.ndarray[Any, np.dtype[np.bool_]]

_STATES = pa.array([Action.SKIPPED.value, Action.QUARANTINED.value, Action.WAITING.value], type=TEXT)
"""The state of a row with several issues is the first of these that one of them has."""


class Issues:
    """What stands in the way of single rows of a piece.

    Args:
        rows: How many rows the piece has.
    """

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._noted: list[pa.Table] = []

    def add(self, mask: Mask, issue: Missing) -> None:
        """Note an issue of the rows in a mask."""
        (positions,) = np.nonzero(mask)
        self._note(positions, *(_repeat(text, len(positions)) for text in (issue.state, issue.rule, issue.reason)))

    def add_reasons(self, reasons: pa.Array, state: str, rule: str) -> None:
        """Note an issue of each row that has a reason."""
        (positions,) = np.nonzero(mask_of(reasons.is_valid()))
        self._note(positions, _repeat(state, len(positions)), _repeat(rule, len(positions)), reasons.drop_null())

    def add_missing(self, asked: pa.Array, missing: pa.Table, name: str) -> None:
        """Note the rows whose lookup does not resolve.

        Args:
            asked: What each row asked for; null where nothing.
            missing: What does not resolve, in the column ``name``, with its ``state``, ``rule`` and ``reason``.
            name: The column by which rows meet what is missing.
        """
        places = pc.index_in(asked, value_set=missing[name])
        (positions,) = np.nonzero(mask_of(places.is_valid()))
        found = missing.take(places.drop_null())
        self._note(positions, found["state"], found["rule"], found["reason"])

    @property
    def rows(self) -> Mask:
        """A mask of the rows that have an issue."""
        mask = np.zeros(self._rows, dtype=bool)
        for noted in self._noted:
            mask[noted["position"].to_numpy()] = True
        return mask

    def columns(self) -> dict[str, pa.Array]:
        """``stop``, ``rule`` and ``reason`` of each row; quarantine outweighs waiting, every reason is listed once."""
        if not self._noted:
            return {name: pa.nulls(self._rows, TEXT) for name in ("stop", "rule", "reason")}
        noted = to_pandas(pa.concat_tables(self._noted))
        chief = noted.sort_values(["position", "weight"], kind="stable").drop_duplicates("position")
        each = noted.drop_duplicates(["position", "reason"]).sort_values("position", kind="stable")
        lengths = each.groupby("position").size().to_numpy()
        offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), type=pa.int32())
        joined = pc.binary_join(pa.ListArray.from_arrays(offsets, array_of(each["reason"])), "; ")
        places = self._places(chief["position"].to_numpy(dtype=np.int64))
        told = {"stop": array_of(chief["state"]), "rule": array_of(chief["rule"]), "reason": joined}
        return {name: texts.take(places) for name, texts in told.items()}

    def _note(self, positions: Any, state: pa.Array, rule: pa.Array, reason: pa.Array) -> None:
        if len(positions):
            weight = pc.index_in(state, value_set=_STATES)
            columns = {"position": pa.array(positions), "state": state, "rule": rule, "reason": reason}
            self._noted.append(pa.table({**columns, "weight": weight}))

    def _places(self, positions: Any) -> pa.Array:
        """For each row of the piece, where it stands among the rows with issues."""
        places = np.full(self._rows, -1)
        places[positions] = np.arange(len(positions))
        return pa.array(places, mask=places < 0)


def _repeat(text: str, rows: int) -> pa.Array:
    return pa.repeat(pa.scalar(text, TEXT), rows)
