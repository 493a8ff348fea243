"""Values from one side's form into the other's: exact money, Finance's "nothing", dates, value maps, keys."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualsync.mapping import Field, Side
from dualsync.mapping.schema import Column
from dualsync.sync.plan.values import (
    ValueProblem,
    arrow_type,
    display_key,
    join_key,
    parse,
    to_scale,
    to_wire,
    translate,
)
from dualsync.sync.plan.values import convert as convert_column

UTC_ZONE = ZoneInfo("UTC")


def column(kind: Any, name: str = "c", scale: int | None = None, members: dict[int, str] | None = None) -> Column:
    return Column(name, kind, None, scale, False, members, (), False, "")


def field(**words: Any) -> Field:
    return Field.model_validate({"dataverse": "d", "finance": "F", "way": "to_finance", "evidence": ["doc"], **words})


def converter(one: Field, sender: Column, receiver: Column, direction: Any, zone: ZoneInfo) -> Callable[[Any], Any]:
    """The conversion of a column, as a function of one value."""

    def change(value: Any) -> Any:
        series = pd.Series(
            pd.array(pa.array([value], type=arrow_type(sender)), dtype=pd.ArrowDtype(arrow_type(sender)))
        )
        values, problems = convert_column(series, one, sender, receiver, direction, zone)
        for _, problem in problems:
            raise problem
        return values.array.__arrow_array__().to_pylist()[0]

    return change


def convert(one: Field, sender: Column, receiver: Column, value: Any, direction: str = "to_finance") -> Any:
    return converter(one, sender, receiver, direction, UTC_ZONE)(value)


@pytest.mark.parametrize(
    ("kind", "wire"),
    [
        ("text", ""),
        ("text", "   "),
        ("date", "1900-01-01T12:00:00Z"),
        ("instant", "1900-01-01T00:00:00Z"),
        ("guid", "00000000-0000-0000-0000-000000000000"),
    ],
)
def test_what_finance_sends_for_nothing_is_null(kind: str, wire: str) -> None:
    """Finance has no nulls (values on the wire)."""
    assert parse(wire, column(kind), "finance") is None


def test_dataverse_may_hold_the_first_of_january_1900() -> None:
    assert parse("1900-01-01", column("date"), "dataverse") == date(1900, 1, 1)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("text", ""),
        ("date", "1900-01-01T12:00:00Z"),
        ("instant", "1900-01-01T00:00:00Z"),
        ("int", 0),
        ("decimal", 0),
        ("enum", "No"),
    ],
)
def test_null_becomes_what_finance_takes_for_nothing(kind: str, expected: Any) -> None:
    assert to_wire(None, column(kind, members={0: "No", 1: "Yes"}), "finance") == expected
    assert to_wire(None, column(kind), "dataverse") is None


def test_dates_stand_at_noon_in_finance_and_bare_in_dataverse() -> None:
    day = date(2026, 2, 28)
    assert to_wire(day, column("date"), "finance") == "2026-02-28T12:00:00Z"
    assert to_wire(day, column("date"), "dataverse") == "2026-02-28"
    assert parse("2026-02-28T12:00:00Z", column("date"), "finance") == day


@given(st.decimals(min_value=Decimal("-1e14"), max_value=Decimal("1e14"), places=4))
def test_money_survives_wire_and_frame_exactly(amount: Decimal) -> None:
    money, real = column("decimal", scale=4), column("decimal", scale=6)
    parsed = parse(amount, money, "dataverse")
    stored = pa.array([parsed], type=arrow_type(money)).to_pylist()[0]
    assert stored == amount
    there = convert(field(), money, real, stored)
    back = convert(field(way="to_dataverse"), real, money, there, "to_dataverse")
    assert back == amount


def test_numbers_beyond_a_float_stay_exact() -> None:
    assert parse(Decimal("9007199254740993.1234"), column("decimal", scale=4), "dataverse") == Decimal(
        "9007199254740993.1234"
    )
    assert parse(2**53 + 1, column("int"), "finance") == 2**53 + 1


@pytest.mark.parametrize(("number", "rounded"), [("0.00005", "0.0001"), ("-0.00005", "-0.0001"), ("0.00004", "0.0000")])
def test_rounding_is_half_away_from_zero(number: str, rounded: str) -> None:
    assert to_scale(Decimal(number), 4) == Decimal(rounded)


def test_value_maps_know_booleans_from_numbers() -> None:
    yes_no = field(values={False: "No", True: "Yes"})
    assert convert(yes_no, column("bool"), column("enum"), True) == "Yes"
    stage = field(values={0: "InProcess", 1: "Completed"})
    assert convert(stage, column("option"), column("enum"), 1) == "Completed"


def test_a_two_way_value_map_is_read_from_both_ends() -> None:
    status = field(way="both", values={806380000: "No", 806380002: "All"})
    assert convert(status, column("option"), column("enum"), 806380002) == "All"
    assert convert(status, column("enum"), column("option"), "all", "to_dataverse") == 806380002


def test_an_unknown_value_is_a_problem_that_names_both_columns() -> None:
    stage = field(values={0: "InProcess"})
    with pytest.raises(ValueProblem, match=r"statecode .* ProjectStage") as problem:
        convert(stage, column("option", "statecode"), column("enum", "ProjectStage"), 7)
    assert problem.value.rule == "unknown_value"
    assert convert(field(values={0: "InProcess"}, on_unknown="pass"), column("option"), column("enum"), 7) is None
    assert convert(field(values={0: "A"}, on_unknown={"default": "B"}), column("option"), column("enum"), 7) == "B"


def test_finance_enum_members_meet_in_any_case() -> None:
    one = field(way="to_dataverse", values={"Employee": 754400000})
    assert convert(one, column("enum"), column("option"), "employee", "to_dataverse") == 754400000


@pytest.mark.parametrize(
    ("words", "finance", "dataverse"),
    [({"scale": Decimal("0.01")}, "125", "1.25"), ({"scale": 100, "invert": True}, "125", "0.8")],
)
def test_rates_are_scaled_and_inverted(words: dict[str, Any], finance: str, dataverse: str) -> None:
    """Finance quotes rates times 100; the other side may hold the inverse."""
    rate = field(way="both", **words)
    there = convert(rate, column("decimal", scale=6), column("decimal", scale=10), Decimal(finance), "to_dataverse")
    assert there == Decimal(dataverse)
    assert convert(rate, column("decimal", scale=10), column("decimal", scale=6), there) == Decimal(finance)


def test_an_instant_gives_the_date_of_the_configured_zone() -> None:
    evening = datetime(2026, 3, 31, 23, 30, tzinfo=UTC)
    paris = converter(
        field(date="date_only"), column("instant"), column("date"), "to_finance", ZoneInfo("Europe/Paris")
    )
    assert paris(evening) == date(2026, 4, 1)
    assert convert(field(date="date_only"), column("instant"), column("date"), evening) == date(2026, 3, 31)


def test_truncate_cuts_characters() -> None:
    assert convert(field(truncate=3), column("text"), column("text"), "Größe") == "Grö"


@pytest.mark.parametrize("value", ["abc", "", None, "1.5"])
def test_a_value_of_the_wrong_type_is_a_problem_not_a_crash(value: Any) -> None:
    if value is None:
        assert parse(value, column("int"), "dataverse") is None
    else:
        with pytest.raises(ValueProblem, match="holds a value that is no int"):
            parse(value, column("int"), "dataverse")


def test_translate_keeps_nulls_and_marks_the_rows_of_a_problem() -> None:
    series = pd.Series(pd.array(pa.array(["a", None, "b", "a"]), dtype=pd.ArrowDtype(pa.string())))

    def change(value: str) -> str:
        if value == "a":
            raise ValueProblem("unknown_value", "no a")
        return value.upper()

    values, ((mask, problem),) = translate(series, change, pa.string())
    assert values.array.__arrow_array__().to_pylist() == [None, None, "B", None]
    assert list(mask) == [True, False, False, True]
    assert problem.rule == "unknown_value"
    assert str(values.dtype) == "string[pyarrow]"


def test_keys_meet_without_case_and_cannot_run_into_each_other() -> None:
    assert join_key(["PRJ-1", Decimal("1.000000")]) == join_key(["prj-1 ", 1]) == "prj-1|1"
    assert join_key(["a|b", "c"]) != join_key(["a", "b|c"])
    assert join_key(["a", None]) is None
    assert join_key(["a", "  "]) is None
    assert display_key(["Prj-1", None]) == "Prj-1|?"


@given(
    st.lists(st.text(min_size=1).filter(lambda t: t.strip()), min_size=2, max_size=2),
    st.lists(st.text(min_size=1).filter(lambda t: t.strip()), min_size=2, max_size=2),
)
def test_different_keys_never_meet(one: list[str], other: list[str]) -> None:
    def folded(parts: list[str]) -> list[str]:
        return [part.rstrip().casefold() for part in parts]

    assert (join_key(list(one)) == join_key(list(other))) == (folded(one) == folded(other))


@pytest.mark.parametrize("side", ["dataverse", "finance"])
def test_every_kind_has_an_arrow_type_that_is_no_float(side: Side) -> None:
    for kind in ("text", "int", "decimal", "bool", "option", "enum", "date", "instant", "guid", "lookup"):
        assert not pa.types.is_floating(arrow_type(column(kind)))
