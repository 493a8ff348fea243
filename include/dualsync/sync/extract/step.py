"""Step 1, extract: the changes from the side a transfer reads, and the matching rows from the other.

Writes ``source.parquet`` (rows of the reading side, each with its :class:`~dualsync.sync.plan.vocabulary.RowState`) and
``target.parquet`` (rows of the side to be written that may match).
"""

from __future__ import annotations

from dualsync.frames import count_rows
from dualsync.sync.extract.dataverse import read_dataverse
from dualsync.sync.extract.finance import read_finance
from dualsync.sync.extract.receiver import read_receiver
from dualsync.sync.legs.context import LegContext
from dualsync.sync.legs.markers import Extracted
from dualsync.sync.plan.vocabulary import RunMode


def extract(context: LegContext) -> Extracted:
    """Read what a transfer needs from both sides.

    Args:
        context: The transfer, at an attempt that has not extracted yet.

    Returns:
        The step's marker.

    Raises:
        Transient: A system did not answer; try again.
    """
    if context.leg.direction == "to_finance":
        token, full = read_dataverse(context)
    else:
        token, full = None, True
        read_finance(context)
    rows = count_rows(context.folder.file("source.parquet"))
    read_all = context.run.mode != RunMode.INCREMENTAL and not context.run.keys
    read_receiver(context, rows, read_all=read_all)
    return Extracted(
        generation=context.generation,
        base=str(context.base) if context.base else None,
        token=token,
        full=full and read_all,
        rows=rows,
        target_rows=count_rows(context.folder.file("target.parquet")),
        missing={side: sorted(names) for side, names in context.columns.missing.items()},
    )
