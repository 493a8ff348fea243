"""Finance rows on the wire: values, entity tags and keys.

Follows recorded answers of a real environment: enum members by name, dates at noon UTC, no nulls, entity tags that hold
record version and record id.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from decimal import Decimal

from dualsync_sandbox.errors import InvalidValue
from dualsync_sandbox.finance.errors import ODATA_ERROR, FinanceError
from dualsync_sandbox.protocol.keys import literal, parse_key
from dualsync_sandbox.protocol.odata import UnknownProperty
from dualsync_sandbox.schema import Column, SystemSchema, Table
from dualsync_sandbox.store import Row, Tx, quoted
from dualsync_sandbox.store.values import SqlValue, encoder


class Shape:
    """How rows of one request are fetched and written.

    Args:
        table: The entity.
        select: The ``$select`` names; none means all.
    """

    def __init__(self, table: Table, select: Sequence[str]) -> None:
        for name in select:
            if name not in table.columns:
                raise UnknownProperty(table, name)
        chosen = set(select) or set(table.columns)
        self.columns = [column for name, column in table.columns.items() if name in chosen]
        names = ["RecId", "RecVersion"] + [column.name for column in self.columns]
        self.sql = f"SELECT {', '.join(quoted(name) for name in names)} FROM {quoted(table.name)}"
        self._names = [column.name for column in self.columns]
        #: The part of ``@odata.context`` that says what is shown (OData JSON format 4.0, "Context URL"; that Finance
        #: writes it is assumed).
        self.fields = f"({','.join(dict.fromkeys(select))})" if select else ""
        self._numbers = [
            (column.name, _number(column.scale or 0)) for column in self.columns if column.kind == "decimal"
        ]

    def row(self, values: Sequence[SqlValue]) -> Row:
        """One row as written."""
        row: Row = {"@odata.etag": etag(values[0], values[1])}
        row.update(zip(self._names, values[2:], strict=True))
        for name, decode in self._numbers:
            row[name] = decode(row[name])
        return row


def _number(scale: int) -> Callable[[SqlValue], object]:
    """Reals are written without trailing zeros: ``3``, ``0.5``."""
    factor = 10**scale

    def decode(value: SqlValue) -> object:
        assert isinstance(value, int)
        whole, rest = divmod(value, factor)
        return whole if not rest else Decimal(value).scaleb(-scale).normalize()

    return decode


def etag(rec_id: object, rec_version: object) -> str:
    """``W/"..."`` around the base64 of ``'<RecVersion>,<RecId>'``."""
    inner = base64.b64encode(f"'{rec_version},{rec_id}'".encode()).decode()
    return f'W/"{inner}"'


def key_values(schema: SystemSchema, table: Table, key: str) -> dict[str, SqlValue]:
    """The values of a key in a URL; its parts may come in any order.

    Raises:
        FinanceError: A part is missing, unknown, or of another type.
    """
    names = table.keys[0].columns
    given: dict[str, str] = {}
    parts = parse_key(key)
    if len(parts) == 1 and parts[0][0] is None and len(names) == 1:
        parts = [(names[0], parts[0][1])]
    for name, text in parts:
        if name not in names:
            raise FinanceError(
                400, ODATA_ERROR, f"The key in the request URI is not valid: '{name or text}' is no key of {table.set}."
            )
        given[name] = text
    if len(given) < len(names):
        # Text seen through the virtual entity connector.
        raise FinanceError(
            400,
            ODATA_ERROR,
            f"Only {len(given)} of {len(names)} keys provided for lookup, provide keys for {', '.join(names)}",
        )
    values: dict[str, SqlValue] = {}
    for name, text in given.items():
        column = table.columns[name]
        try:
            values[name] = encoder(schema.system, table.name, column)(_key_literal(column, text))
        except InvalidValue as error:
            raise FinanceError(400, ODATA_ERROR, f"The value of key '{name}' is not valid: {error}") from error
    return values


def _key_literal(column: Column, text: str) -> object:
    value = literal(text)
    quoted_text = text.startswith("'")
    if quoted_text != (column.kind == "text"):
        return None
    return value


def find(tx: Tx, table: Table, values: dict[str, SqlValue]) -> Row | None:
    """The row with these key values."""
    return tx.find_one(table.name, **values)
