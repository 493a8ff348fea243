"""Values of a column on their way into the store and out of it.

Inside rows (what hooks, seeds and the APIs see) a value is one of ``str``, ``int``, ``bool``, ``Decimal`` or ``None``:

* text, guid, lookup: ``str`` (ids in lower case); enum members: ``str``; options: ``int``
* money, decimal, floating point: ``Decimal``, exact; held as scaled integers, so amounts compare exactly in SQL
* instants: ``2024-01-31T10:00:00Z``; dates: ``2024-01-31`` in Dataverse, ``2024-01-31T12:00:00Z`` in Finance

Dataverse holds nulls, Finance has none: an absent value becomes ``""``, 0, the first member, or the first of January
1900.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from enum import IntEnum

from dualsync_sandbox.errors import OutOfRange, Required, TooLong, UnknownOption, WrongType
from dualsync_sandbox.schema import NO_DATE, NO_GUID, NO_INSTANT, Column, System

#: Floats only stand in conditions: infinity, and numbers beyond 64 bits.
SqlValue = str | int | float | None
Encoder = Callable[[object], SqlValue]
Decoder = Callable[[SqlValue], object]

_GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").fullmatch
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ").fullmatch
_LARGEST = 2**63 - 1
_MOST_DIGITS = 20
_EARLIEST = "1753-01-01"


def encoder(system: System, table: str, column: Column) -> Encoder:
    """A function that checks a value of ``column`` and gives what SQLite holds.

    Raises (the function): ``WrongType``, ``TooLong``, ``OutOfRange``, ``UnknownOption``, ``Required``.
    """
    check = _CHECKS[column.kind](system, table, column)
    required = column.required or column.key
    if system == "dataverse":

        def encode(value: object) -> SqlValue:
            if value is None or value == "":
                if required:
                    raise Required(table, column.name)
                return None
            return check(value)

        return encode

    empty = None if column.default is None else check(column.default)

    def encode_never_null(value: object) -> SqlValue:
        if value is None or value == "":
            if required:
                raise Required(table, column.name)
            return empty
        return check(value)

    return encode_never_null


def decoder(column: Column) -> Decoder | None:
    """A function from what SQLite holds to the value in a row; ``None`` where they are the same."""
    if column.kind == "bool":
        return _bool
    if column.kind == "decimal":
        scale = -(column.scale or 0)
        return lambda value: None if value is None else Decimal(value).scaleb(scale)
    return None


def sql_default(system: System, table: str, column: Column) -> SqlValue:
    """What a new row holds when it names no value for the column."""
    if column.default is None:
        return None
    return _CHECKS[column.kind](system, table, column)(column.default)


def _bool(value: SqlValue) -> object:
    return None if value is None else bool(value)


def _text(system: System, table: str, column: Column) -> Encoder:
    length = column.length or 0
    name = column.name
    lower = system == "finance" and name == "dataAreaId"

    def check(value: object) -> SqlValue:
        if value.__class__ is not str:
            raise WrongType(table, name, value, "text")
        assert isinstance(value, str)
        if len(value) > length:
            raise TooLong(table, name, value, length)
        return value.lower() if lower else value

    return check


def _int(_system: System, table: str, column: Column) -> Encoder:
    largest = _LARGEST if column.type in ("BigInt", "Int64") else 2**31 - 1

    def check(value: object) -> SqlValue:
        if value.__class__ is not int:
            raise WrongType(table, column.name, value, "a whole number")
        assert isinstance(value, int)
        if not -largest - 1 <= value <= largest:
            raise OutOfRange(table, column.name, value, f"{-largest - 1} to {largest}")
        return value

    return check


def _decimal(_system: System, table: str, column: Column) -> Encoder:
    scale = column.scale or 0
    factor = 10**scale

    def check(value: object) -> SqlValue:
        if value.__class__ is int:
            assert isinstance(value, int)
            scaled: int = value * factor
        elif isinstance(value, Decimal) and value.is_finite():
            # A number such as 1e999999999 would fill the memory before it is found too large.
            fits = value.adjusted() < _MOST_DIGITS
            scaled = int(value.scaleb(scale).to_integral_value(ROUND_HALF_UP)) if fits else _LARGEST + 1
        else:
            raise WrongType(table, column.name, value, "a decimal number")
        if not -_LARGEST <= scaled <= _LARGEST:
            limit = Decimal(_LARGEST).scaleb(-scale)
            raise OutOfRange(table, column.name, value, f"-{limit} to {limit}")
        return scaled

    return check


def _bool_check(_system: System, table: str, column: Column) -> Encoder:
    def check(value: object) -> SqlValue:
        if value.__class__ is not bool:
            raise WrongType(table, column.name, value, "true or false")
        return int(bool(value))

    return check


def _option(_system: System, table: str, column: Column) -> Encoder:
    options = column.options

    def check(value: object) -> SqlValue:
        if isinstance(value, IntEnum):
            value = int(value)
        if value.__class__ is not int:
            raise WrongType(table, column.name, value, "an option number")
        assert isinstance(value, int)
        if value not in options:
            raise UnknownOption(table, column.name, value, tuple(options))
        return value

    return check


def _enum(_system: System, table: str, column: Column) -> Encoder:
    members = frozenset(column.members)

    def check(value: object) -> SqlValue:
        if not isinstance(value, str):
            raise WrongType(table, column.name, value, f"a member of {column.enum}")
        if value not in members:
            raise UnknownOption(table, column.name, value, column.members)
        return value

    return check


def _guid(_system: System, table: str, column: Column) -> Encoder:
    def check(value: object) -> SqlValue:
        if not isinstance(value, str):
            raise WrongType(table, column.name, value, "a GUID")
        if not _GUID(value):
            value = value.lower()
            if not _GUID(value):
                raise WrongType(table, column.name, value, "a GUID")
        return value

    return check


def parse_moment(value: object) -> datetime | None:
    """An instant in UTC from what callers write: ISO text with a time zone, a date, or a Python object."""
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return None
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    return None


def _instant(_system: System, table: str, column: Column) -> Encoder:
    def check(value: object) -> SqlValue:
        moment = parse_moment(value)
        if moment is None:
            raise WrongType(table, column.name, value, "a date with a time")
        text = value if isinstance(value, str) and _INSTANT(value) else moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        if text < _EARLIEST:
            raise OutOfRange(table, column.name, value, f"{_EARLIEST} to 9999-12-31")
        return text

    return check


def _date(system: System, table: str, column: Column) -> Encoder:
    finance = system == "finance"

    def check(value: object) -> SqlValue:
        moment = parse_moment(value)
        if moment is None or (not finance and isinstance(value, str) and len(value) != 10):
            raise WrongType(table, column.name, value, "a date")
        text = moment.date().isoformat()
        if text < _EARLIEST:
            raise OutOfRange(table, column.name, value, f"{_EARLIEST} to 9999-12-31")
        return f"{text}T12:00:00Z" if finance else text

    return check


_CHECKS: dict[str, Callable[[System, str, Column], Encoder]] = {
    "text": _text,
    "int": _int,
    "decimal": _decimal,
    "bool": _bool_check,
    "option": _option,
    "enum": _enum,
    "guid": _guid,
    "lookup": _guid,
    "instant": _instant,
    "date": _date,
}

__all__ = [
    "NO_DATE",
    "NO_GUID",
    "NO_INSTANT",
    "Decoder",
    "Encoder",
    "SqlValue",
    "decoder",
    "encoder",
    "parse_moment",
    "sql_default",
]
