"""The two records that an exception is about: as they were read, and where they can be looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from upath import UPath

from dualsync.controls.extracts import extracts
from dualsync.frames import Sets
from dualsync.ledger import BreakRecord
from dualsync.mapping import Catalog, Schema
from dualsync.sql import literal, quoted
from dualsync.sync.legs.folders import safe_name

_MOST = 10
"""Records shown of one side of an exception."""

_BARE = ("int", "decimal", "guid")
"""Kinds whose values stand without quotes in an OData filter."""


def key_columns(set_name: str, catalog: Catalog) -> tuple[str, ...]:
    """Return the columns by whose values exceptions name rows of a Finance set; none for a set that nothing reads.

    Args:
        set_name: The set.
        catalog: The table maps.
    """
    for table_map in catalog.declared.values():
        if table_map.finance.set == set_name:
            return table_map.finance.key
    for extract in extracts().values():
        if extract.side == "finance" and extract.set == set_name:
            return extract.key
    return ()


def links(exception: BreakRecord, environments: Mapping[str, str], catalog: Catalog) -> dict[str, str]:
    """Return the addresses of both records: the form in Dataverse, the row of the entity in Finance.

    Args:
        exception: The exception.
        environments: Addresses of the environments, by side.
        catalog: The table maps.
    """
    addresses: dict[str, str] = {}
    ids = exception.dataverse_id.split()
    if ids and exception.dataverse_table and (url := environments.get("dataverse")):
        addresses["dataverse"] = f"{url}/main.aspx?pagetype=entityrecord&etn={exception.dataverse_table}&id={ids[0]}"
    names = key_columns(exception.finance_set, catalog)
    parts = exception.finance_key.split("|")
    if (url := environments.get("finance")) and exception.finance_key and len(parts) == len(names):
        conditions = [_condition(exception.finance_set, name, part) for name, part in zip(names, parts, strict=True)]
        query = quote(" and ".join(conditions), safe="")
        addresses["finance"] = f"{url}/data/{exception.finance_set}?cross-company=true&$filter={query}"
    return addresses


def _condition(set_name: str, name: str, value: str) -> str:
    """Return the OData condition that a column of a Finance set has a value."""
    if _kind(set_name, name) in _BARE:
        return f"{name} eq {value}"
    return f"{name} eq '{value.replace(chr(39), chr(39) * 2)}'"


def _kind(set_name: str, name: str) -> str:
    """Return the kind of a column of a Finance set, from its schema or from an extract that reads it."""
    schema = Schema.load()
    if schema.has("finance", set_name) and name in schema.table("finance", set_name).columns:
        return schema.column("finance", set_name, name).kind
    columns = (column for each in extracts().values() if each.set == set_name for column in each.columns.values())
    return next((column.kind or "text" for column in columns if column.column == name), "text")


def dataverse_records(exception: BreakRecord, folder: UPath, catalog: Catalog) -> list[dict[str, Any]]:
    """Return the rows of Dataverse that an exception names, as they were read.

    Args:
        exception: The exception.
        folder: The folder of the reconciliation that saw it.
        catalog: The table maps.
    """
    ids = exception.dataverse_id.split()[:_MOST]
    path = folder / "raw" / "dataverse" / f"{safe_name(exception.dataverse_table)}.parquet"
    column = _id_column(exception.dataverse_table, catalog)
    if not ids or column is None or not path.exists():
        return []
    return _read(path, f"{quoted(column)} IN ({', '.join(literal(value) for value in ids)})")


def _id_column(table: str, catalog: Catalog) -> str | None:
    """Return the column of a Dataverse table that holds the record's id."""
    for table_map in catalog.declared.values():
        if table_map.dataverse.table == table:
            return table_map.dataverse.id
    for extract in extracts().values():
        if extract.table == table:
            return extract.key[0]
    return None


def finance_records(exception: BreakRecord, folder: UPath, catalog: Catalog) -> list[dict[str, Any]]:
    """Return the rows of Finance that an exception names, as they were read.

    Args:
        exception: The exception.
        folder: The folder of the reconciliation that saw it.
        catalog: The table maps.
    """
    path = folder / "raw" / "finance" / f"{safe_name(exception.finance_set)}.parquet"
    names = key_columns(exception.finance_set, catalog)
    parts = exception.finance_key.split("|")
    if not exception.finance_key or len(parts) != len(names) or not path.exists():
        return []
    same = (f"lower({quoted(name)}::VARCHAR) = lower({literal(part)})" for name, part in zip(names, parts, strict=True))
    return _read(path, " AND ".join(same))


def _read(path: UPath, condition: str) -> list[dict[str, Any]]:
    with Sets() as sets:
        sets.view("raw", path)
        return list(sets.fetch(f"SELECT * FROM raw WHERE {condition} LIMIT {_MOST}").to_pylist())
