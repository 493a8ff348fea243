"""The ledger: the small database of everything that outlives a run.

Runs, transfers, base generations, feed positions, leases, open rows and documents; nightly reconciliations, exceptions
and signed periods.
"""

from dualsync.ledger.database import Ledger
from dualsync.ledger.records import (
    BaseRecord,
    BreakRecord,
    ControlResult,
    DocumentRecord,
    LegCounts,
    LegRecord,
    NightRecord,
    OpenRow,
    RunRecord,
    SignOff,
    SuiteResult,
)
from dualsync.ledger.settling import Settlement

__all__ = [
    "BaseRecord",
    "BreakRecord",
    "ControlResult",
    "DocumentRecord",
    "Ledger",
    "LegCounts",
    "LegRecord",
    "NightRecord",
    "OpenRow",
    "RunRecord",
    "Settlement",
    "SignOff",
    "SuiteResult",
]
