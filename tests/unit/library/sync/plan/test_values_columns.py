"""Whole columns change exactly as their values do one by one (``support.values_oracle``)."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dualsync.mapping import Column, Field
from dualsync.sync.plan.values import arrow_type, convert, display_key, display_keys, join_key, join_keys
from dualsync.sync.plan.values.arrays import array_of, series_of
from dualsync.sync.plan.values.texts import as_text, casefold, lower, text_of
from support import values_oracle as oracle

PARIS, NEW_YORK = ZoneInfo("Europe/Paris"), ZoneInfo("America/New_York")
MAX = Decimal("9" * 38)
EXAMPLES = 200
SCALES = (0, 2, 4, 6, 10)


def column(kind: Any, name: str = "c", scale: int | None = None) -> Column:
    return Column(name, kind, None, scale, False, None, (), False, "")


def field(**words: Any) -> Field:
    return Field.model_validate({"dataverse": "d", "finance": "F", "way": "to_finance", "evidence": ["doc"], **words})


def series(values: list[Any], kind: pa.DataType) -> pd.Series[Any]:
    # two chunks, the second of them a slice: what frames are made of in a step
    chunks = [pa.array(values[:1], kind), pa.array([None, *values[1:]], kind)[1:]]
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.chunked_array(chunks, kind)))


def decimals(scale: int) -> st.SearchStrategy[Decimal]:
    whole = st.integers(-(10**38) + 1, 10**38 - 1) | st.integers(-(10**9), 10**9) | st.sampled_from([0, 1, -1, 5, -5])
    return whole.map(lambda number: Decimal(number).scaleb(-scale, oracle.EXACT))


TEXTS = st.text(max_size=6) | st.sampled_from(["", "  ", "a ", "Straße", "İ", "ς", "A|b\\", "NO", "1", "1.50 ", " 7"])
INTS = st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3)
DATES = st.dates() | st.sampled_from([date(1900, 1, 1), date.min, date.max])
INSTANTS = st.datetimes(timezones=st.just(UTC)) | st.sampled_from(
    [
        datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC),
        datetime(2026, 10, 25, 1, 0, tzinfo=UTC),
        datetime(1900, 1, 1, tzinfo=UTC),
        datetime.min.replace(tzinfo=UTC),
        datetime.max.replace(tzinfo=UTC),
    ]
)


def values_of(sender: Column) -> st.SearchStrategy[list[Any]]:
    """Columns of values with nulls and doubles; empty ones too."""
    match sender.kind:
        case "int" | "option":
            one: st.SearchStrategy[Any] = INTS
        case "decimal":
            one = decimals(sender.scale if sender.scale is not None else oracle.DEFAULT_SCALE)
        case "bool":
            one = st.booleans()
        case "date":
            one = DATES
        case "instant":
            one = INSTANTS
        case _:
            one = TEXTS
    few = st.lists(st.none() | one, max_size=8)
    return few | few.map(lambda values: values + values)


def one_by_one(
    values: list[Any], field: Field, sender: Column, receiver: Column, direction: str, zone: ZoneInfo
) -> list[Any]:
    """What each value becomes, or the rule and the words of its refusal."""
    change = oracle.converter(field, sender, receiver, direction, zone)
    results: list[Any] = []
    for value in values:
        try:
            results.append(None if value is None else change(value))
        except oracle.Refused as refusal:
            results.append((refusal.rule, str(refusal)))
            continue
        try:
            pa.array([results[-1]], arrow_type(receiver))
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            # the type has no room for it, so that values one by one would end in a crash
            text = f"{sender.name} ({sender.kind}) holds a value that {receiver.name} ({receiver.kind}) cannot take"
            results[-1] = ("type", text)
    return results


def at_once(
    values: list[Any], field: Field, sender: Column, receiver: Column, direction: str, zone: ZoneInfo
) -> list[Any]:
    changed, problems = convert(series(values, arrow_type(sender)), field, sender, receiver, direction, zone)
    assert array_of(changed).type == arrow_type(receiver)
    results = array_of(changed).to_pylist()
    for mask, problem in problems:
        assert mask.any(), "a problem of no row"
        for place in mask.nonzero()[0]:
            assert results[place] is None
            results[place] = (problem.rule, str(problem))
    return results


PAIRS = [
    *((kind, kind) for kind in ("text", "int", "decimal", "bool", "date", "instant", "guid")),
    ("int", "decimal"),
    ("decimal", "int"),
    ("text", "guid"),
    ("guid", "text"),
    ("lookup", "guid"),
    ("date", "instant"),
    ("instant", "date"),
    ("option", "int"),
    # no checked map pairs these as they are; they must not travel as something else
    ("text", "int"),
    ("text", "decimal"),
    ("text", "bool"),
    ("bool", "text"),
    ("bool", "int"),
    ("bool", "decimal"),
    ("int", "text"),
    ("int", "bool"),
    ("decimal", "text"),
    ("decimal", "bool"),
    ("date", "text"),
    ("date", "bool"),
    ("date", "int"),
    ("date", "decimal"),
    ("instant", "text"),
    ("instant", "bool"),
    ("instant", "int"),
]


def test_summer_time_after_the_last_year_that_a_zone_file_lists() -> None:
    evening = datetime(2038, 4, 1, 22, 30, tzinfo=UTC)
    sender, receiver = column("instant", "from"), column("date", "to")
    assert at_once([evening, None], field(), sender, receiver, "to_finance", PARIS) == [date(2038, 4, 2), None]


@settings(max_examples=EXAMPLES, deadline=None)
@given(pair=st.sampled_from(PAIRS), zone=st.sampled_from([PARIS, NEW_YORK]), data=st.data())
def test_every_kind_of_column(pair: tuple[str, str], zone: ZoneInfo, data: st.DataObject) -> None:
    sending, receiving = pair
    sender = column(sending, "from", data.draw(st.sampled_from(SCALES)))
    receiver = column(receiving, "to", data.draw(st.sampled_from(SCALES)))
    values = data.draw(values_of(sender))
    words = {"truncate": 3} if receiving == "text" and data.draw(st.booleans()) else {}
    told = one_by_one(values, field(**words), sender, receiver, "to_finance", zone)
    assert at_once(values, field(**words), sender, receiver, "to_finance", zone) == told


@pytest.mark.parametrize("receiving", ["date", "instant"])
@pytest.mark.parametrize("sending", ["text", "int", "decimal", "bool"])
def test_what_is_no_date_is_no_date(sending: str, receiving: str) -> None:
    sender, receiver = column(sending, "from"), column(receiving, "to")
    value = {"text": "2026-01-31", "int": 1, "decimal": Decimal(1), "bool": True}[sending]
    text = f"from ({sending}) holds a value that to ({receiving}) cannot take"
    assert at_once([value, None], field(), sender, receiver, "to_finance", PARIS) == [("type", text), None]


VALUE_MAPS: list[tuple[str, str, dict[Any, Any]]] = [
    ("option", "enum", {192350000: "Cost", 192350005: "Sales"}),
    ("bool", "enum", {False: "No", True: "Yes"}),
    ("int", "text", {0: "None", 1: "One", 2: ""}),
    ("decimal", "int", {Decimal("1.5"): 1, 2: 2}),
    ("enum", "option", {"Employee": 754400000, "STRASSE": 1, "No": 0}),
    ("text", "bool", {"No": False, "Yes": True, "straße": True}),
    ("text", "decimal", {"No": Decimal("0.00005"), "a": Decimal("1E+30")}),
    ("text", "decimal", {"1": 1}),
    ("text", "date", {}),
    ("date", "text", {"2026-01-31": "end"}),
    ("text", "text", {1: "a number for a text"}),
    ("text", "int", {"No": "no number", "a": "12"}),
]


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    one=st.sampled_from(VALUE_MAPS),
    direction=st.sampled_from(["to_finance", "to_dataverse"]),
    on_unknown=st.sampled_from(["quarantine", "pass", "default"]),
    data=st.data(),
)
def test_value_maps(one: tuple[str, str, dict[Any, Any]], direction: str, on_unknown: str, data: st.DataObject) -> None:
    sending, receiving, pairs = one
    way = data.draw(st.sampled_from(["both", direction]))
    one_to_one = len({(type(there), there) for there in pairs.values()}) == len(pairs)
    assume(way != "both" or one_to_one)
    unknown = {"default": next(iter(pairs.values()), "x")} if on_unknown == "default" else on_unknown
    if way == "both" and direction == "to_dataverse":
        sending, receiving = receiving, sending
    pair = field(values=pairs, way=way, on_unknown=unknown)
    sender, receiver = column(sending, "from", 4), column(receiving, "to", 4)
    known = [value for value in (*pairs, *pairs.values()) if fits(value, sender)]
    values = data.draw(values_of(sender)) + (data.draw(st.lists(st.sampled_from(known))) if known else [])
    told = one_by_one(values, pair, sender, receiver, direction, PARIS)
    assert at_once(values, pair, sender, receiver, direction, PARIS) == told


def fits(value: Any, sender: Column) -> bool:
    try:
        pa.array([value], arrow_type(sender))
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError):
        return False
    return True


RATES = ("1", "100", "0.01", "4", "0.25", "3", "-7", "1E+3", "0.000000000000000000001", "1" + "0" * 30, "12345.678901")


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    receiving=st.sampled_from(["decimal", "int", "text", "bool", "date"]),
    direction=st.sampled_from(["to_finance", "to_dataverse"]),
    invert=st.booleans(),
    data=st.data(),
)
def test_rates(receiving: str, direction: str, invert: bool, data: st.DataObject) -> None:
    kinds = ["decimal", "int", "bool"]
    sender = column(data.draw(st.sampled_from(kinds)), "from", data.draw(st.sampled_from(SCALES)))
    receiver = column(receiving, "to", data.draw(st.sampled_from(SCALES)))
    one = field(scale=Decimal(data.draw(st.sampled_from(RATES))), invert=invert, way=direction)
    values = data.draw(values_of(sender))
    if receiving == "date":
        text = f"from ({sender.kind}) holds a value that to (date) cannot take"
        told: list[Any] = [None if value is None else ("type", text) for value in values]
    else:
        # Python knows a zero below zero; a column of decimals does not
        told = [
            "0" if result == "-0" else result for result in one_by_one(values, one, sender, receiver, direction, PARIS)
        ]
    assert at_once(values, one, sender, receiver, direction, PARIS) == told


def test_invert_alone_has_the_scale_one() -> None:
    one = field(invert=True)
    decimal = column("decimal", scale=6)
    values = [Decimal(8), Decimal(0), None, Decimal(3)]
    assert at_once(values, one, decimal, decimal, "to_finance", PARIS) == [
        Decimal("0.125000"),
        None,
        None,
        Decimal("0.333333"),
    ]


def test_a_number_that_outgrows_its_column_is_refused_and_not_cut() -> None:
    """The cast that Arrow does not check gives other digits without a word."""
    wide, narrow = column("decimal", "from", 0), column("decimal", "to", 6)
    refusal = ("type", "from (decimal) holds a value that to (decimal) cannot take")
    assert at_once(
        [MAX, MAX.copy_negate(), Decimal(10**32), Decimal(10**32 - 1)], field(), wide, narrow, "to_finance", PARIS
    ) == [
        refusal,
        refusal,
        refusal,
        Decimal(10**32 - 1),
    ]
    nines = column("decimal", "from", 4)
    almost = [Decimal("9" * 34 + ".9999"), Decimal("-" + "9" * 34 + ".5000"), Decimal("9" * 34 + ".4999")]
    assert at_once(almost, field(), nines, column("decimal", "to", 0), "to_finance", PARIS) == [
        Decimal(10**34),
        Decimal(-(10**34)),
        Decimal(10**34 - 1),
    ]


# --- text -----------------------------------------------------------------------------------------------------------


def test_every_character_folds_and_ends_as_python_has_it() -> None:
    characters = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code <= 0xDFFF]
    ends = [f"x{one}" for one in characters]
    assert as_text(pa.array(ends)).to_pylist() == [one.rstrip() for one in ends]
    letters = [one for one in characters if one.isascii() or one.casefold() != one or one.lower() != one]
    assert casefold(pa.array(letters)).to_pylist() == [one.casefold() for one in letters]
    assert lower(pa.array(letters)).to_pylist() == [one.lower() for one in letters]


@settings(deadline=None)
@given(kind=st.sampled_from(["text", "int", "decimal", "bool", "date", "instant"]), data=st.data())
def test_single_values_and_columns_have_the_same_text(kind: str, data: st.DataObject) -> None:
    one = column(kind, scale=data.draw(st.sampled_from(SCALES)))
    values = data.draw(values_of(one))
    told = [None if value is None else text_of(value) for value in values]
    assert as_text(pa.array(values, arrow_type(one))).to_pylist() == told
    assert told == [None if value is None else oracle._as_text(value) for value in values]


# --- keys -----------------------------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_keys_of_frames_are_those_of_rows(data: st.DataObject) -> None:
    kinds = data.draw(
        st.lists(st.sampled_from(["text", "int", "decimal", "bool", "date", "instant"]), min_size=1, max_size=3)
    )
    rows = data.draw(st.integers(0, 6))
    frame = pd.DataFrame(index=range(10, 10 + rows))
    parts: list[list[Any]] = []
    for number, name in enumerate(kinds):
        one = column(name, scale=data.draw(st.sampled_from(SCALES)))
        values = (data.draw(values_of(one)) + [None] * rows)[:rows]
        parts.append(values)
        frame[f"k{number}"] = series_of(pa.array(values, arrow_type(one)), frame.index)
    names = list(frame.columns)
    keys = [list(values) for values in zip(*parts, strict=True)]
    joined, shown = join_keys(frame, names), display_keys(frame, names)
    assert list(joined.index) == list(shown.index) == list(frame.index)
    assert array_of(joined).to_pylist() == [oracle.join_key(key) for key in keys] == [join_key(key) for key in keys]
    assert array_of(shown).to_pylist() == [oracle.display_key(key) for key in keys]
    assert array_of(shown).to_pylist() == [display_key(key) for key in keys]


def test_a_missing_value_of_pandas_is_missing() -> None:
    assert join_key(["a", pd.NA]) is None
    assert display_key([pd.NA, "b"]) == "?|b"
