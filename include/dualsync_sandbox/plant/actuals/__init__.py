"""Exceptions in actuals: on their way to staging, through the journals, and back [R1 to R11, R26, R34 to R39]."""

from __future__ import annotations

from dualsync_sandbox.plant.actuals import accounting, journals, reversals, staging
from dualsync_sandbox.plant.actuals.look_alikes import LOOK_ALIKES

BREAKS = (*staging.BREAKS, *journals.BREAKS, *accounting.BREAKS, *reversals.BREAKS)

__all__ = ["BREAKS", "LOOK_ALIKES"]
