"""The client of Dataverse."""

from dualsync.systems.dataverse.client import API_PATH, FORBIDDEN_IN_KEYS, Dataverse
from dualsync.systems.dataverse.errors import classify
from dualsync.systems.dataverse.metadata import AttributeInfo, KeyInfo, TableInfo
from dualsync.systems.dataverse.rows import Bind, Changes, UpsertRow

__all__ = [
    "API_PATH",
    "FORBIDDEN_IN_KEYS",
    "AttributeInfo",
    "Bind",
    "Changes",
    "Dataverse",
    "KeyInfo",
    "TableInfo",
    "UpsertRow",
    "classify",
]
