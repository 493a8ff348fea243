"""The ledger: the small database of everything that outlives a run.

Runs, legs, base generations, feed positions, leases, open rows and units; nights, breaks and signed periods.
"""

from dualsync.ledger.database import Ledger
from dualsync.ledger.records import (
    BaseRecord,
    BreakRecord,
    ControlResult,
    LegCounts,
    LegRecord,
    NightRecord,
    OpenRow,
    RunRecord,
    SignOff,
    SuiteResult,
    UnitRecord,
)

__all__ = [
    "BaseRecord",
    "BreakRecord",
    "ControlResult",
    "Ledger",
    "LegCounts",
    "LegRecord",
    "NightRecord",
    "OpenRow",
    "RunRecord",
    "SignOff",
    "SuiteResult",
    "UnitRecord",
]
