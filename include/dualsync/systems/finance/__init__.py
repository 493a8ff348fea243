"""The client of Finance, over OData and by data package."""

from dualsync.systems.finance.client import API_PATH, COMPANY, Finance
from dualsync.systems.finance.errors import classify
from dualsync.systems.finance.infolog import clean_messages
from dualsync.systems.finance.metadata import ColumnInfo, EntityInfo
from dualsync.systems.finance.packages import ImportResult, Packages, RowError

__all__ = [
    "API_PATH",
    "COMPANY",
    "ColumnInfo",
    "EntityInfo",
    "Finance",
    "ImportResult",
    "Packages",
    "RowError",
    "classify",
    "clean_messages",
]
