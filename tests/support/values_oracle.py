"""Values changed one at a time, in plain Python: what the conversion of whole columns must give, value by value.

The functions are slow and simple on purpose. They share no code with the product.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from dualsync.mapping import Column, Field
from dualsync.mapping.model import UnknownDefault

EXACT = Context(prec=76)
DEFAULT_SCALE = 6


class Refused(Exception):
    """A value that cannot travel.

    Attributes:
        rule: Short name of the rule that was broken.
    """

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule


def to_scale(number: Decimal, scale: int) -> Decimal:
    """A number with ``scale`` places, rounded half away from zero as both systems round money."""
    return number.quantize(Decimal(1).scaleb(-scale), rounding=ROUND_HALF_UP, context=EXACT)


def converter(field: Field, sender: Column, receiver: Column, direction: str, zone: ZoneInfo) -> Callable[[Any], Any]:
    """The function that turns a value of the sending side into the receiving side's form.

    Args:
        field: The column pair.
        sender: Its column on the sending side.
        receiver: Its column on the receiving side.
        direction: ``to_finance`` or ``to_dataverse``.
        zone: Zone in which an instant's date is meant.

    Returns:
        A function of one value that is not None. It raises :class:`Refused` for a value that cannot travel.
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
        raise Refused(
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
            raise Refused(
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


def join_key(parts: list[Any]) -> str | None:
    """The text by which the rows of both sides meet: key values in one form, without case; None if one is missing.

    Neither system tells keys apart by letter case.
    """
    texts: list[str] = []
    for part in parts:
        if part is None or part is pd.NA:
            return None
        text = _as_text(part)
        if text is None:
            return None
        texts.append(text.replace("\\", "\\\\").replace("|", "\\|").casefold())
    return "|".join(texts)


def display_key(parts: list[Any]) -> str:
    """A key as people write it: its values joined by a bar; a missing one is a question mark."""
    return "|".join("?" if part is None or part is pd.NA else (_as_text(part) or "?") for part in parts)
