"""The ledger: the small database of runs, legs, base generations, feed positions, leases, open rows and units."""

from dualsync.ledger.database import Ledger
from dualsync.ledger.records import BaseRecord, LegCounts, LegRecord, OpenRow, RunRecord, UnitRecord

__all__ = ["BaseRecord", "Ledger", "LegCounts", "LegRecord", "OpenRow", "RunRecord", "UnitRecord"]
