"""Request bodies of Dataverse: from JSON to the values of a row.

Follows "Create a table row", "Update and delete table rows" and "Associate and disassociate" (webapi): lookups are
written through their navigation property with ``@odata.bind``, whose name is case sensitive and, for lookups to several
tables, one per table.
"""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from dualsync_sandbox.dataverse.errors import PARSE_ERROR, not_found, not_found_by_key
from dualsync_sandbox.errors import InvalidValue, NotImplementedInSandbox
from dualsync_sandbox.http import ApiError
from dualsync_sandbox.keys import literal, parse_key, split_path, split_segment
from dualsync_sandbox.schema import Column, Table
from dualsync_sandbox.store import Row, Tx

#: Set by the platform; what a body says about them is dropped.
READ_ONLY = frozenset({"createdon", "modifiedon", "createdby", "modifiedby", "versionnumber"})
#: "Values containing these characters cannot be used in GET and PATCH by key" (define-alternate-keys-entity).
FORBIDDEN_IN_KEYS = frozenset("/<>*%&:\\?+")


def values_of(tx: Tx, table: Table, body: dict[str, object]) -> Row:
    """The column values a body writes.

    Raises:
        ApiError: an unknown property, a wrong navigation name, or a bind to a row that does not exist.
        NotImplementedInSandbox: deep insert, collection bind.
    """
    values: Row = {}
    for name, value in body.items():
        if name.endswith("@odata.bind"):
            _bind(tx, table, name.removesuffix("@odata.bind"), value, values)
        elif "@" in name or name in READ_ONLY or name.strip("_").removesuffix("_value") in READ_ONLY:
            continue
        else:
            _plain(table, name, value, values)
    return values


def _plain(table: Table, name: str, value: object, values: Row) -> None:
    column = table.columns.get(name)
    if column is not None and column.kind != "lookup":
        values[name] = value
        return
    if name in table.navigation:
        if value is not None:
            raise NotImplementedInSandbox("deep insert", f"property {name}")
        _clear(table.navigation[name][0], values)
        return
    inner = table.columns.get(name[1:-6]) if name.startswith("_") and name.endswith("_value") else None
    if inner is not None:
        raise ApiError(
            400,
            PARSE_ERROR,
            "CRM do not support direct update of Entity Reference properties, Use Navigation properties instead.",
        )
    raise ApiError(
        400,
        "0x0",
        f"Invalid property '{name}' was found in entity 'Microsoft.Dynamics.CRM.{table.name}'. The "
        f"property '{name}' does not exist on type 'Microsoft.Dynamics.CRM.{table.name}'.",
    )


def _clear(column: Column, values: Row) -> None:
    values[column.name] = None
    if column.polymorphic:
        values[f"{column.name}@type"] = None


def _bind(tx: Tx, table: Table, navigation: str, value: object, values: Row) -> None:
    if navigation not in table.navigation:
        raise ApiError(
            400,
            PARSE_ERROR,
            f"An undeclared property '{navigation}' which only has property annotations in the "
            "payload but no property value was found in the payload. In OData, only declared "
            "navigation properties and declared named streams can be represented as properties "
            "without values.",
        )
    column, target = table.navigation[navigation]
    if value is None:
        _clear(column, values)
        return
    if isinstance(value, list):
        raise NotImplementedInSandbox("collection bind", navigation)
    if not isinstance(value, str):
        raise ApiError(400, PARSE_ERROR, f"The value of '{navigation}@odata.bind' must be a URL.")
    set_name, key = reference(value)
    target_table = tx.schema.tables[target]
    if set_name != target_table.set or key is None:
        raise ApiError(
            400, PARSE_ERROR, f"'{value}' does not name a row of {target_table.set}, which '{navigation}' takes."
        )
    values[column.name] = find(tx, target_table, key)[0]
    if column.polymorphic:
        values[f"{column.name}@type"] = target


def reference(url: str) -> tuple[str, str | None]:
    """Set and key of a row's URL: ``/accounts(..)``, ``accounts(..)`` or absolute."""
    path = urlsplit(url).path if "://" in url else url
    segments = split_path(unquote(path))
    if not segments:
        raise ApiError(400, PARSE_ERROR, f"'{url}' is not the URL of a row.")
    return split_segment(segments[-1])


def key_values(table: Table, key: str) -> Row:
    """The columns and values of a key predicate; a lone value is the primary id.

    Raises:
        ApiError: the columns are no key of the table, or a value has characters that keys in URLs cannot carry.
    """
    values: Row = {}
    for name, text in parse_key(key):
        if name is None:
            values[table.id] = text.lower()
            continue
        inner = name[1:-6] if name.startswith("_") and name.endswith("_value") else name
        value = literal(text)
        column = table.columns.get(inner)
        if column is not None and column.kind in ("guid", "lookup") and isinstance(value, str):
            value = value.lower()
        elif isinstance(value, str) and not FORBIDDEN_IN_KEYS.isdisjoint(value):
            raise ApiError(
                400, "0x80060888", f"The value of key '{inner}' has characters that a key in a URL cannot carry."
            )
        values[inner] = value
    known = [(table.id,), *(key.columns for key in table.keys)]
    if not any(set(columns) == set(values) for columns in known):
        raise ApiError(
            400,
            "0x0",
            "The key in the request URI is not valid for resource 'Microsoft.Dynamics.CRM."
            f"{table.name}'. Ensure that the names and number of key properties match the declared "
            "or alternate key properties for the resource.",
        )
    return values


def find(tx: Tx, table: Table, key: str) -> tuple[str, Row]:
    """The row a key names, as its id and itself.

    Raises:
        ApiError: 404 when there is none.
    """
    values = key_values(table, key)
    row = look_up(tx, table, values)
    if row is None:
        raise not_found(table.name, values[table.id]) if table.id in values else not_found_by_key(table.name)
    return str(row[table.id]), row


def look_up(tx: Tx, table: Table, values: Row) -> Row | None:
    """The row with these key values."""
    if table.id in values:
        return tx.get(table.name, values[table.id])
    try:
        return tx.find_one(table.name, **values)
    except InvalidValue as error:
        raise ApiError(400, "0x80060888", f"The key value of '{error.column}' is not valid.") from error
