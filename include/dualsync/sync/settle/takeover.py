"""Takes over what an earlier run had sent but could not settle.

Such rows stand on the other side, while the base knows nothing of them: the next run would take our own writes for
changes that somebody made there, and in a field of both ways they might win over a later change. So before a leg reads
anything, what the other run had acknowledged is brought into the base. The other run's positions stay where they were.
"""

from __future__ import annotations

import logging
from typing import cast

from upath import UPath

from dualsync.errors import LegBusy
from dualsync.mapping import Direction
from dualsync.sync.legs.context import LegContext
from dualsync.sync.legs.folders import LegFolder
from dualsync.sync.legs.leg import Leg
from dualsync.sync.legs.markers import Extracted
from dualsync.sync.legs.runtime import Runtime
from dualsync.sync.settle.step import settle_sent

log = logging.getLogger(__name__)


def take_over(leg: Leg, runtime: Runtime) -> None:
    """Bring into the base what an earlier run's leg of the same map and company had sent, if there is one.

    A leg whose run still holds the lease is left alone: it may be tried again.

    Args:
        leg: A leg that is about to read.
        runtime: Ledger and maps.

    Raises:
        Superseded: Another run settled this map and company meanwhile; nothing was changed.
    """
    if not leg.run.writes:
        return
    base = runtime.ledger.base(leg.map.map, leg.company)
    generation = base.generation if base else 0
    for record in runtime.ledger.broken_legs(leg.map.map, leg.company):
        folder = LegFolder(UPath(record.folder).parent, record.attempt)
        extracted = folder.done(Extracted)
        run = runtime.stored_run(record.run_id)
        if record.run_id == leg.run.run_id or run is None or extracted is None or not folder.anything_sent:
            continue
        if extracted.generation != generation:
            continue
        try:
            runtime.ledger.take_lease(leg.map.map, leg.company, leg.run.run_id)
        except LegBusy:
            return
        direction = cast("Direction", record.direction)
        broken = Leg(run, leg.map, direction, leg.company, record.part, folder)
        settle_sent(LegContext.extracted(broken, runtime, extracted), record)
        log.info("%s: took over what run %s had sent", broken.label, record.run_id)
        runtime.ledger.drop_lease(leg.map.map, leg.company, leg.run.run_id)
        return
