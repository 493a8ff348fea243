"""Numbers at the edge of what a column holds, and the forms of the wire that only single values have."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from dualsync.mapping import Column, Field
from dualsync.sync.plan.values import ValueProblem, parse, to_wire
from dualsync.sync.plan.values.numbers import as_decimal, as_whole, rounded
from dualsync.sync.plan.values.rates import rated


def column(kind: Any, scale: int | None = None) -> Column:
    return Column("c", kind, None, scale, False, None, (), False, "")


def outcome(converted: Any) -> tuple[list[Any], list[bool]]:
    return converted.values.to_pylist(), converted.refused.to_pylist()


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("9223372036854775808", None),
        ("-9223372036854775809", None),
        (" 1_000 ", 1000),
        ("1.5", None),
    ],
)
def test_whole_numbers_from_text(text: str, number: int | None) -> None:
    assert outcome(as_whole(pa.array([text]))) == ([number], [number is None])


@pytest.mark.parametrize(
    ("number", "expected"),
    [("9223372036854775807.9", 2**63 - 1), ("9223372036854775808.0", None), ("-9223372036854775809.0", None)],
)
def test_whole_numbers_from_decimals(number: str, expected: int | None) -> None:
    values = pa.array([Decimal(number)], pa.decimal128(38, 1))
    assert outcome(as_whole(values)) == ([expected], [expected is None])
    assert outcome(as_whole(pa.array([Decimal("-1.9")], pa.decimal128(19, 1)))) == ([-1], [False])


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("9" * 36, Decimal("9" * 36)),
        ("9" * 36 + ".995", None),
        ("1E+36", None),
        ("1E+2", Decimal(100)),
        ("0", Decimal(0)),
        ("0.005", Decimal("0.01")),
        ("NaN", None),
        ("Infinity", None),
        ("", None),
    ],
)
def test_decimals_from_text(text: str, number: Decimal | None) -> None:
    assert outcome(as_decimal(pa.array([text]), 2)) == ([number], [number is None])


def test_a_type_with_little_room_before_the_point_needs_no_look_at_its_values() -> None:
    values = pa.array([Decimal("0.5"), None], pa.decimal128(38, 38))
    assert outcome(rounded(values, 0)) == ([Decimal(1), None], [False, False])


def test_a_factor_that_arrow_has_no_room_for_is_multiplied_by_python() -> None:
    factor = Decimal("1." + "0" * 37 + "1")
    field = Field.model_validate(
        {"dataverse": "d", "finance": "F", "way": "to_dataverse", "evidence": "doc", "scale": factor}
    )
    result = rated(pa.array([Decimal("2.00")], pa.decimal128(38, 2)), field, column("decimal", 4), "to_dataverse")
    assert outcome(result) == ([Decimal("2.0000")], [False])


# --- the wire -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "wire", "value"),
    [
        ("bool", True, True),
        ("guid", "{A}".strip("{}"), "a"),
        ("instant", "2026-03-01T10:00:00", datetime(2026, 3, 1, 10, tzinfo=UTC)),
        ("instant", "2026-03-01T10:00:00+02:00", datetime(2026, 3, 1, 8, tzinfo=UTC)),
        ("int", "12", 12),
        ("decimal", 1.5, Decimal("1.500000")),
    ],
)
def test_values_from_the_wire(kind: str, wire: Any, value: Any) -> None:
    assert parse(wire, column(kind), "dataverse") == value


@pytest.mark.parametrize(("kind", "wire"), [("bool", "true"), ("date", "soon"), ("decimal", "much"), ("int", 1.5)])
def test_values_of_another_type(kind: str, wire: Any) -> None:
    with pytest.raises(ValueProblem, match=f"c holds a value that is no {kind}") as problem:
        parse(wire, column(kind), "finance")
    assert problem.value.rule == "type"


@pytest.mark.parametrize("side", ["dataverse", "finance"])
def test_instants_on_the_wire_are_in_utc(side: Any) -> None:
    moment = datetime(2026, 3, 1, 10, tzinfo=timezone(timedelta(hours=2)))
    assert to_wire(moment, column("instant"), side) == "2026-03-01T08:00:00Z"


def test_nothing_for_a_guid_is_the_zero_guid() -> None:
    assert to_wire(None, column("guid"), "finance") == "00000000-0000-0000-0000-000000000000"
