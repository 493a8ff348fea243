"""Values from the wire of either system into the types of their columns, and back onto it.

Finance has no nulls: an empty text, the date 1900-01-01 and the zero GUID mean "nothing" there, and dates stand at noon
UTC. All of that is turned into nulls and back here and nowhere else (reference: values on the wire of Finance's OData
service, and the types of the Dataverse Web API).

Values come as JSON, one by one and of any JSON type, and each one that is not of its column's type has to be named; so
they are read one by one too. Frames begin after this.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from dualsync.decimals import EXACT
from dualsync.mapping import Column, Side
from dualsync.sync.plan.values.types import ValueProblem, scale_of

NO_DATE = date(1900, 1, 1)
NO_GUID = "00000000-0000-0000-0000-000000000000"


def parse(value: Any, column: Column, side: Side) -> Any:
    """A value as it came over the wire, in the type of its column; None where the system says "nothing".

    Raises:
        ValueProblem: The value is not of the column's type.
    """
    if value is None:
        return None
    try:
        parsed = _PARSERS[column.kind](value)
    except (ValueError, TypeError, ArithmeticError):
        raise ValueProblem("type", f"{column.name} holds a value that is no {column.kind}") from None
    if isinstance(parsed, Decimal):
        return to_scale(parsed, scale_of(column))
    if side == "finance" and isinstance(parsed, date):
        day = parsed.date() if isinstance(parsed, datetime) else parsed
        return None if day == NO_DATE else parsed
    return parsed


def _text(value: Any) -> str | None:
    return str(value).rstrip() or None


def _guid(value: Any) -> str | None:
    text = str(value).strip().lower()
    return None if not text or text == NO_GUID else text


def _int(value: Any) -> int:
    number = Decimal(str(value))
    if number != number.to_integral_value():
        raise ValueError(value)
    return int(number)


def _decimal(value: Any) -> Decimal:
    return Decimal(value) if isinstance(value, (int, Decimal)) else Decimal(str(value))


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(value)
    return value


def _date(value: Any) -> date:
    return date.fromisoformat(str(value)[:10])


def _instant(value: Any) -> datetime:
    moment = datetime.fromisoformat(str(value))
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


_PARSERS: dict[str, Callable[[Any], Any]] = {
    "text": _text,
    "enum": _text,
    "guid": _guid,
    "lookup": _guid,
    "int": _int,
    "option": _int,
    "decimal": _decimal,
    "bool": _bool,
    "date": _date,
    "instant": _instant,
}


def to_scale(number: Decimal, scale: int) -> Decimal:
    """A number with ``scale`` places, rounded half away from zero as both systems round money."""
    return number.quantize(Decimal(1).scaleb(-scale), rounding=ROUND_HALF_UP, context=EXACT)


def to_wire(value: Any, column: Column, side: Side) -> Any:
    """A value as the receiving system expects it in JSON.

    None becomes null for Dataverse and, for Finance, the value that means "nothing" there.
    """
    if side == "finance":
        if value is None:
            return _finance_nothing(column)
        if column.kind == "date":
            return f"{value.isoformat()}T12:00:00Z"
    if value is None:
        return None
    match column.kind:
        case "date":
            return value.isoformat()
        case "instant":
            return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        case _:
            return value


def _finance_nothing(column: Column) -> Any:
    match column.kind:
        case "text":
            return ""
        case "date":
            return f"{NO_DATE.isoformat()}T12:00:00Z"
        case "instant":
            return f"{NO_DATE.isoformat()}T00:00:00Z"
        case "guid":
            return NO_GUID
        case "enum":
            return column.members[0] if column.members else ""
        case _:
            return 0
