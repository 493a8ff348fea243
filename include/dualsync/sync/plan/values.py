"""How values travel: from the wire into Arrow types, from one side's form into the other's, and back onto the wire.

Finance has no nulls: an empty text, the date 1900-01-01 and the zero GUID mean "nothing" there, and dates stand at noon
UTC. All of that is turned into nulls and back here and nowhere else (reference: values on the wire of Finance's OData
service, and the types of the Dataverse Web API).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa

from dualsync.decimals import EXACT
from dualsync.mapping import Column, Field, Side
from dualsync.mapping.model import UnknownDefault

NO_DATE = date(1900, 1, 1)
NO_GUID = "00000000-0000-0000-0000-000000000000"
DEFAULT_SCALE = 6


class ValueProblem(Exception):
    """A value that cannot travel; the row is quarantined.

    Attributes:
        rule: Short name of the rule that was broken.
    """

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule


def arrow_type(column: Column) -> pa.DataType:
    """The Arrow type that holds a column's values exactly."""
    match column.kind:
        case "int" | "option":
            return pa.int64()
        case "decimal":
            return pa.decimal128(38, column.scale if column.scale is not None else DEFAULT_SCALE)
        case "bool":
            return pa.bool_()
        case "date":
            return pa.date32()
        case "instant":
            return pa.timestamp("us", tz="UTC")
        case _:
            return pa.string()


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
        return to_scale(parsed, column.scale if column.scale is not None else DEFAULT_SCALE)
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


def converter(field: Field, sender: Column, receiver: Column, direction: str, zone: ZoneInfo) -> Callable[[Any], Any]:
    """The function that turns a value of the sending side into the receiving side's form.

    Args:
        field: The column pair.
        sender: Its column on the sending side.
        receiver: Its column on the receiving side.
        direction: ``to_finance`` or ``to_dataverse``.
        zone: Zone in which an instant's date is meant.

    Returns:
        A function of one value that is not None. It raises :class:`ValueProblem` for a value that cannot travel.
    """
    steps: list[Callable[[Any], Any]] = []
    if field.values is not None:
        steps.append(_value_map(field, sender, receiver, direction))
    elif field.scale is not None or field.invert:
        steps.append(_scaled(field, direction))
    steps.append(_kind(sender, receiver, zone))
    if field.truncate is not None:
        limit = field.truncate
        steps.append(lambda value: str(value)[:limit])

    def convert(value: Any) -> Any:
        for step in steps:
            value = step(value)
            if value is None:
                return None
        return value

    return convert


def _value_map(field: Field, sender: Column, receiver: Column, direction: str) -> Callable[[Any], Any]:
    pairs = (field.values or {}).items()
    if field.way == "both" and direction == "to_dataverse":
        # A two-way map is written from Dataverse's values to Finance's, and is one-to-one.
        table = {_comparable(there): here for here, there in pairs}
    else:
        table = {_comparable(here): there for here, there in pairs}
    unknown = field.on_unknown

    def translate(value: Any) -> Any:
        found = table.get(_comparable(value), _comparable)
        if found is not _comparable:
            return found
        if isinstance(unknown, UnknownDefault):
            return unknown.default
        if unknown == "pass":
            return None
        raise ValueProblem(
            "unknown_value",
            f"{sender.name} holds a value that the value map to {receiver.name} does not know; add it to the map, "
            "or give the row one of the known values",
        )

    return translate


def _comparable(value: Any) -> Any:
    if isinstance(value, str):
        return value.casefold()
    return value if isinstance(value, bool) else (int(value) if isinstance(value, (int, Decimal)) else value)


def _scaled(field: Field, direction: str) -> Callable[[Any], Any]:
    scale = field.scale or Decimal(1)

    def to_dataverse(value: Any) -> Decimal | None:
        number = Decimal(value)
        if field.invert:
            if number == 0:
                return None
            number = EXACT.divide(Decimal(1), number)
        return EXACT.multiply(number, scale)

    def to_finance(value: Any) -> Decimal | None:
        number = EXACT.divide(Decimal(value), scale)
        if field.invert:
            return EXACT.divide(Decimal(1), number) if number else None
        return number

    return to_finance if direction == "to_finance" else to_dataverse


def _kind(sender: Column, receiver: Column, zone: ZoneInfo) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        try:
            match receiver.kind:
                case "text" | "enum":
                    return _as_text(value)
                case "guid" | "lookup":
                    return str(value).lower()
                case "int" | "option":
                    return int(value)
                case "decimal":
                    scale = receiver.scale if receiver.scale is not None else DEFAULT_SCALE
                    return to_scale(Decimal(value), scale)
                case "date":
                    return value.astimezone(zone).date() if isinstance(value, datetime) else value
                case "instant":
                    return (
                        value
                        if isinstance(value, datetime)
                        else datetime(value.year, value.month, value.day, tzinfo=UTC)
                    )
                case _:
                    return bool(value)
        except (ValueError, TypeError, ArithmeticError):
            raise ValueProblem(
                "type",
                f"{sender.name} ({sender.kind}) holds a value that {receiver.name} ({receiver.kind}) cannot take",
            ) from None

    return convert


def _as_text(value: Any) -> str | None:
    if isinstance(value, Decimal):
        return format(value.normalize(EXACT), "f")
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    return str(value).rstrip() or None


def translate(
    series: pd.Series[Any], function: Callable[[Any], Any], target: pa.DataType
) -> tuple[pd.Series[Any], list[tuple[Any, ValueProblem]]]:
    """Apply a function to a column, once per distinct value.

    Returns:
        The new column, and for each value that cannot travel a boolean column of its rows and the problem.
    """
    codes, uniques = pd.factorize(series, use_na_sentinel=True)
    converted: list[Any] = []
    problems: list[tuple[Any, ValueProblem]] = []
    for code, value in enumerate(uniques.to_pylist() if hasattr(uniques, "to_pylist") else list(uniques)):
        try:
            converted.append(function(_plain(value)))
        except ValueProblem as problem:
            converted.append(None)
            problems.append((codes == code, problem))
    values = pa.array(converted, type=target)
    taken = values.take(pa.array(codes, type=pa.int64(), mask=codes < 0))
    return pd.Series(pd.array(taken, dtype=pd.ArrowDtype(target)), index=series.index), problems


def _plain(value: Any) -> Any:
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime()
    return value.item() if hasattr(value, "item") else value


def join_key(parts: list[Any]) -> str | None:
    """The text by which the rows of both sides meet: key values in one form, without case; None if one is missing.

    Neither system tells keys apart by letter case.
    """
    texts: list[str] = []
    for part in parts:
        if part is None or part is pd.NA:
            return None
        text = _as_text(_plain(part))
        if text is None:
            return None
        texts.append(text.replace("\\", "\\\\").replace("|", "\\|").casefold())
    return "|".join(texts)


def display_key(parts: list[Any]) -> str:
    """A key as people write it: its values joined by a bar; a missing one is a question mark."""
    return "|".join("?" if part is None or part is pd.NA else (_as_text(_plain(part)) or "?") for part in parts)
