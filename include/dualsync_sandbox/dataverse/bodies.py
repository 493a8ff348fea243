"""Request bodies of Dataverse: from JSON to the values of a row.

Follows "Create a table row", "Update and delete table rows" and "Associate and disassociate" (webapi): lookups are
written through their navigation property with ``@odata.bind``, whose name is case sensitive and, for lookups to several
tables, one per table; what the platform sets itself is dropped; related rows may be created with their row.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from urllib.parse import unquote, urlsplit

from dualsync_sandbox.dataverse.errors import (
    PARSE_ERROR,
    UNKNOWN_PROPERTY,
    URI_ERROR,
    not_found,
    not_found_by_key,
)
from dualsync_sandbox.dataverse.model import Model, Relationship
from dualsync_sandbox.errors import InvalidValue
from dualsync_sandbox.protocol.http import ApiError
from dualsync_sandbox.protocol.keys import literal, parse_key, split_path, split_segment
from dualsync_sandbox.schema import Column, Table
from dualsync_sandbox.store import Row, Tx
from dualsync_sandbox.store.values import parse_moment

#: What the platform sets: stamps, who owns a row in which unit, and the name of a person put together.
_SYSTEM = frozenset(
    {"createdon", "modifiedon", "createdby", "modifiedby", "versionnumber", "owninguser", "owningbusinessunit"}
    | {"fullname"}
)
#: "Values containing these characters cannot be used in GET and PATCH by key" (define-alternate-keys-entity).
FORBIDDEN_IN_KEYS = frozenset("/<>*%&:\\?+")
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE).fullmatch

#: Creates a row that stands inside of another's body, and gives its id.
Create = Callable[[Table, dict[str, object]], str]


def writable(column: Column) -> bool:
    """Whether callers write the column. The platform sets the others itself, and drops what bodies say about them.

    Money in the base currency is assumed to be among them, as its columns' names end in ``_base``.
    """
    return column.name not in _SYSTEM and not (column.type == "Money" and column.name.endswith("_base"))


@dataclass
class Draft:
    """What a body says about a row.

    Attributes:
        values: Column values.
        children: Rows to create once this one is there, with the relationship that leads to them.
    """

    values: Row = field(default_factory=dict)
    children: list[tuple[Relationship, dict[str, object]]] = field(default_factory=list)


class Bodies:
    """Reads bodies within one transaction; a row that several bodies bind is looked up once.

    Args:
        tx: The transaction.
        model: Tables and relationships.
        create: Creates rows that stand inside of a body ("deep insert"); they are refused without it.
    """

    def __init__(self, tx: Tx, model: Model, create: Create | None = None) -> None:
        self._tx = tx
        self._model = model
        self._create = create
        self._bound: dict[tuple[str, str], str] = {}
        self._columns: dict[str, dict[str, bool]] = {}

    def read(self, table: Table, body: dict[str, object]) -> Draft:
        """The column values a body writes.

        Raises:
            ApiError: An unknown property, a wrong navigation name, or a bind to a row that does not exist.
        """
        draft = Draft()
        values, plain = draft.values, self._plain(table)
        for name, value in body.items():
            if name in plain:
                if plain[name]:
                    values[name] = value
            elif "@" in name:
                if name.endswith("@odata.bind"):
                    self._bind(table, name.removesuffix("@odata.bind"), value, draft)
            elif name in table.navigation or name not in table.columns:
                self._related(table, name, value, draft)
            else:
                raise _unknown(table, name)
        return draft

    def _plain(self, table: Table) -> dict[str, bool]:
        """The columns that are no lookups, each with whether callers write it."""
        known = self._columns.get(table.name)
        if known is None:
            columns = table.columns.values()
            known = {column.name: writable(column) for column in columns if column.kind != "lookup"}
            self._columns[table.name] = known
        return known

    def values(self, table: Table, body: dict[str, object]) -> Row:
        """Like :meth:`read`, of a body without rows inside."""
        return self.read(table, body).values

    def _related(self, table: Table, name: str, value: object, draft: Draft) -> None:
        if name in table.navigation:
            column, target = table.navigation[name]
            if not writable(column):
                return
            if value is None:
                _clear(column, draft.values)
            elif isinstance(value, dict) and self._create is not None:
                _point(column, target, self._create(self._model.tables[target], value), draft.values)
            else:
                raise ApiError(400, PARSE_ERROR, f"'{name}' takes a row only where its own row is created.")
            return
        many = self._model.collections[table.name].get(name)
        if many is not None:
            if self._create is None or not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
                raise ApiError(400, PARSE_ERROR, f"'{name}' takes a list of rows, where its own row is created.")
            draft.children += [(many, row) for row in value]
            return
        if name.startswith("_") and name.endswith("_value") and name[1:-6] in table.columns:
            if name[1:-6] in _SYSTEM:
                return
            raise ApiError(
                400,
                PARSE_ERROR,
                "CRM do not support direct update of Entity Reference properties, Use Navigation properties instead.",
            )
        raise _unknown(table, name)

    def _bind(self, table: Table, navigation: str, value: object, draft: Draft) -> None:
        if navigation in self._model.collections[table.name]:
            self._bind_children(self._model.collections[table.name][navigation], value, draft)
            return
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
        if not writable(column):
            return
        if value is None:
            _clear(column, draft.values)
        elif isinstance(value, str):
            _point(column, target, self.bound(self._model.tables[target], value, navigation), draft.values)
        else:
            raise ApiError(400, PARSE_ERROR, f"The value of '{navigation}@odata.bind' must be a URL.")

    def _bind_children(self, many: Relationship, value: object, draft: Draft) -> None:
        """Rows that are there already, to be pointed at the new row: an array of URLs."""
        if self._create is None or not isinstance(value, list) or not all(isinstance(url, str) for url in value):
            text = f"'{many.name}@odata.bind' takes a list of URLs, where its own row is created."
            raise ApiError(400, PARSE_ERROR, text)
        draft.children += [(many, {"@odata.id": url}) for url in value]

    def bound(self, target: Table, url: str, navigation: str) -> str:
        """The id of the row that a bind names.

        Raises:
            ApiError: It names no row, or none of ``target``.
        """
        known = self._bound.get((target.name, url))
        if known is None:
            set_name, key = reference(url)
            if set_name != target.set or key is None:
                raise ApiError(
                    400, PARSE_ERROR, f"'{url}' does not name a row of {target.set}, which '{navigation}' takes."
                )
            known = self._bound[target.name, url] = find(self._tx, target, key)[0]
        return known


def _unknown(table: Table, name: str) -> ApiError:
    return ApiError(
        400,
        UNKNOWN_PROPERTY,
        f"Invalid property '{name}' was found in entity 'Microsoft.Dynamics.CRM.{table.name}'. The "
        f"property '{name}' does not exist on type 'Microsoft.Dynamics.CRM.{table.name}'.",
    )


def _clear(column: Column, values: Row) -> None:
    values[column.name] = None
    if column.polymorphic:
        values[f"{column.name}@type"] = None


def _point(column: Column, target: str, row_id: str, values: Row) -> None:
    values[column.name] = row_id
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
        ApiError: The columns are no key of the table, or a value is not of its column's type or has characters that
            keys in URLs cannot carry.
    """
    values: Row = {}
    for name, text in parse_key(key):
        if name is None:
            values[table.id] = _key_value(table.columns[table.id], text)
            continue
        inner = name[1:-6] if name.startswith("_") and name.endswith("_value") else name
        column = table.columns.get(inner)
        if column is None or (column.kind == "lookup") != (inner != name):
            raise _wrong_key(table)
        values[inner] = _key_value(column, text)
    known = [key.columns for key in table.keys]
    if table.name not in ("systemuser", "team") or not re.match(r"\s*\w+\s*=", key):
        # "Use an alternate key to reference a row": of these two the primary id cannot be named.
        known.append((table.id,))
    if not any(set(columns) == set(values) for columns in known):
        raise _wrong_key(table)
    return values


def _wrong_key(table: Table) -> ApiError:
    return ApiError(
        400,
        UNKNOWN_PROPERTY,
        "The key in the request URI is not valid for resource 'Microsoft.Dynamics.CRM."
        f"{table.name}'. Ensure that the names and number of key properties match the declared "
        "or alternate key properties for the resource.",
    )


def _key_value(column: Column, text: str) -> object:
    """A key's literal as a value; GUIDs in quotes are taken, too (assumed)."""
    value = literal(text)
    fits: bool
    if column.kind in ("guid", "lookup"):
        fits = isinstance(value, str) and _GUID(value) is not None
        value = str(value).lower()
    elif column.kind == "text":
        fits = isinstance(value, str) and text.startswith("'")
        if fits and not FORBIDDEN_IN_KEYS.isdisjoint(str(value)):
            raise ApiError(
                400, URI_ERROR, f"The value of key '{column.name}' has characters that a key in a URL cannot carry."
            )
    elif column.kind in ("int", "option"):
        fits = type(value) is int
    elif column.kind == "decimal":
        fits = isinstance(value, int | Decimal)
    elif column.kind == "bool":
        fits = isinstance(value, bool)
    else:
        fits = isinstance(value, str) and parse_moment(value) is not None
    if not fits:
        raise ApiError(400, URI_ERROR, f"The key value of '{column.name}' is not valid.")
    return value


def find(tx: Tx, table: Table, key: str) -> tuple[str, Row]:
    """The row a key names, as its id and itself.

    Raises:
        ApiError: 404 when there is none.
    """
    values = key_values(table, key)
    row = look_up(tx, table, values)
    if row is None:
        raise missing(table, values)
    return str(row[table.id]), row


def missing(table: Table, values: Row) -> ApiError:
    """No row with these key values."""
    return not_found(table.name, values[table.id]) if table.id in values else not_found_by_key(table.name)


def look_up(tx: Tx, table: Table, values: Row) -> Row | None:
    """The row with these key values."""
    if table.id in values:
        return tx.get(table.name, values[table.id])
    try:
        return tx.find_one(table.name, **values)
    except InvalidValue as error:
        raise ApiError(400, URI_ERROR, f"The key value of '{error.column}' is not valid.") from error
