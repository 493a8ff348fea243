"""The filter language: one meaning for SQL, OData and single rows."""

from datetime import UTC, date, datetime
from decimal import Decimal

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualsync.mapping import Expression, ExpressionError, Schema

ROWS = {
    "name": pa.array(["Alpha", "ALPHA one", "", None, "o'neil", "b%_"]),
    "number": pa.array([1, 2, None, 0, -5, 192350001]),
    "amount": pa.array(
        [Decimal("1.50"), None, Decimal(0), Decimal("-2.25"), Decimal("1.5"), Decimal(99)], pa.decimal128(19, 4)
    ),
    "flag": pa.array([True, False, None, True, False, None]),
    "day": pa.array(
        [date(2026, 1, 31), None, date(2026, 2, 1), date(1900, 1, 1), date(2154, 12, 31), date(2026, 2, 2)]
    ),
    "moment": pa.array(
        [datetime(2026, 2, 1, 12, tzinfo=UTC), None, *[datetime(2026, 2, d, tzinfo=UTC) for d in (1, 2, 3, 4)]],
        pa.timestamp("us", "UTC"),
    ),
    "parent": pa.array(["0F9F4F3E-1b1a-4f3e-8a33-0123456789ab", None, "", "x", None, "y"]),
}
TABLE = pa.table(ROWS)


def positions_by_sql(expression: Expression) -> list[int]:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.register("t", TABLE.append_column("pos", pa.array(range(len(TABLE)))))
    found = connection.execute(f"SELECT pos FROM t AS r WHERE {expression.to_sql('r')} ORDER BY pos").fetchall()
    return [row[0] for row in found]


def positions_by_row(expression: Expression) -> list[int]:
    return [position for position, row in enumerate(TABLE.to_pylist()) if expression.matches(row)]


CASES = [
    ("", [0, 1, 2, 3, 4, 5]),
    ("name eq 'alpha'", [0]),
    ("name ne 'alpha'", [1, 2, 3, 4, 5]),
    ("name eq null", [2, 3]),
    ("name ne null", [0, 1, 4, 5]),
    ("name eq ''", [2, 3]),
    ("name eq 'O''NEIL'", [4]),
    ("startswith(name,'alpha')", [0, 1]),
    ("endswith(name,'ONE')", [1]),
    ("contains(name,'%')", [5]),
    ("contains(name,'p') eq false", [2, 3, 4, 5]),
    ("number eq 192350001", [5]),
    ("number ne 1", [1, 2, 3, 4, 5]),
    ("number gt 0", [0, 1, 5]),
    ("0 lt number", [0, 1, 5]),
    ("not (number gt 0)", [2, 3, 4]),
    ("number eq -5", [4]),
    ("number eq null", [2]),
    ("number in (1,2)", [0, 1]),
    ("amount ge 1.5", [0, 4, 5]),
    ("amount eq 1.50", [0, 4]),
    ("flag eq true", [0, 3]),
    ("flag ne true", [1, 2, 4, 5]),
    ("day gt 2026-01-31", [2, 4, 5]),
    ("day eq 1900-01-01", [3]),
    ("moment ge 2026-02-02T00:00:00Z", [3, 4, 5]),
    ("parent eq 0f9f4f3e-1b1a-4f3e-8a33-0123456789ab", [0]),
    ("parent ne null and flag eq true", [0, 3]),
    ("number eq 1 or number eq 2 and flag eq true", [0]),
    ("(number eq 1 or number eq 2) and flag eq false", [1]),
    ("name ge 'b'", [4, 5]),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_sql_and_single_rows_agree(text: str, expected: list[int]) -> None:
    expression = Expression.parse(text)
    assert positions_by_sql(expression) == expected
    assert positions_by_row(expression) == expected


@pytest.mark.parametrize(("text", "expected"), [case for case in CASES if case[0]])
def test_a_negation_is_the_rest(text: str, expected: list[int]) -> None:
    negated = Expression.parse(f"not ({text})")
    rest = [position for position in range(len(TABLE)) if position not in expected]
    assert positions_by_sql(negated) == positions_by_row(negated) == rest


comparisons = st.one_of(
    st.builds(
        lambda word, text: f"name {word} '{text}'",
        st.sampled_from(["eq", "ne", "gt", "ge", "lt", "le"]),
        st.sampled_from(["alpha", "ALPHA one", "", "z", "o''neil"]),
    ),
    st.builds(
        lambda word, number: f"number {word} {number}",
        st.sampled_from(["eq", "ne", "gt", "ge", "lt", "le"]),
        st.integers(-6, 3),
    ),
    st.sampled_from(["flag eq true", "flag ne false", "parent eq null", "day lt 2026-02-01"]),
)
filters = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.builds(lambda a, word, b: f"({a}) {word} ({b})", inner, st.sampled_from(["and", "or"]), inner),
        st.builds(lambda a: f"not ({a})", inner),
    ),
    max_leaves=6,
)


@settings(deadline=None, max_examples=60)
@given(filters)
def test_any_filter_means_the_same_everywhere(text: str) -> None:
    expression = Expression.parse(text)
    assert positions_by_sql(expression) == positions_by_row(expression)
    again = Expression.parse(expression.to_odata(Schema.load().table("dataverse", "account")))
    assert positions_by_row(again) == positions_by_row(expression)


def test_columns_are_named_once_in_order() -> None:
    assert Expression.parse("b eq 1 and (a eq 2 or not (b eq 3)) and contains(c,'x')").columns == ("b", "a", "c")
    assert Expression.parse("  ").columns == ()


@pytest.mark.parametrize(
    ("xpp", "odata"),
    [
        ('((PartyType == "Organization"))', "((PartyType eq 'Organization'))"),
        (
            '((VendorPartyType == "Organization") || (VendorPartyType == "Person"))',
            "((VendorPartyType eq 'Organization') or (VendorPartyType eq 'Person'))",
        ),
        ('CURRENCYCODE != "999"', "CURRENCYCODE ne '999'"),
        ("!(Blocked == NoYes::Yes) && Amount >= 10.5", "not (Blocked eq 'Yes') and Amount ge 10.5"),
        ('Name == "o\'neil"', "Name eq 'o''neil'"),
        ('A == 1 && (B < 2 || C > 3) && D <> "x"', "A eq 1 and (B lt 2 or C gt 3) and D ne 'x'"),
    ],
)
def test_filters_of_exported_maps_are_understood(xpp: str, odata: str) -> None:
    assert Expression.parse(xpp).text == odata


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a eq", "cannot be read"),
        ("a", "Identifier is not a condition"),
        ("not a eq 1", "put the comparison in parentheses"),
        ("a/b eq 1", "not a column of the table itself"),
        ("a eq b", "Identifier is not a value"),
        ("a gt null", "needs a number, a text or a date"),
        ("length(a) eq 1", "not a column"),
        ("contains(a,1)", "needs a text"),
        ("A == 1 && B == 2 || C == 3", "mixes && and || without parentheses"),
        ("A == 1; drop", "cannot be read"),
        ("A == (1", "cannot be read"),
    ],
)
def test_what_is_not_a_filter_is_refused(text: str, message: str) -> None:
    with pytest.raises(ExpressionError, match=message.replace("|", r"\|")):
        Expression.parse(text)


@pytest.mark.parametrize(
    ("side", "table", "text", "expected"),
    [
        (
            "finance",
            "ProjectsV2",
            "ProjectStage eq 'InProcess'",
            "ProjectStage eq Microsoft.Dynamics.DataEntities.ProjStatus'InProcess'",
        ),
        ("finance", "ProjectsV2", "ProjectName ne null", "ProjectName ne ''"),
        ("finance", "CustomersV3", 'PartyType == "Organization"', "PartyType eq 'Organization'"),
        (
            "dataverse",
            "bookableresource",
            "resourcetype eq 3 and cdm_workerid ne null",
            "(resourcetype eq 3 and cdm_workerid ne null)",
        ),
        ("dataverse", "account", "not (customertypecode eq 3)", "not (customertypecode eq 3)"),
        (
            "dataverse",
            "msdyn_project",
            "msdyn_projectid eq '0F9F4F3E-1B1A-4F3E-8A33-0123456789AB' and msdyn_subject eq 'o''x'",
            "(msdyn_projectid eq 0F9F4F3E-1B1A-4F3E-8A33-0123456789AB and msdyn_subject eq 'o''x')",
        ),
        (
            "dataverse",
            "msdyn_project",
            "msdyn_actualstart ge 2026-02-01T00:00:00+01:00",
            "msdyn_actualstart ge 2026-01-31T23:00:00Z",
        ),
        ("finance", "ProjectsV2", "", ""),
    ],
)
def test_the_systems_get_their_own_spelling(side: str, table: str, text: str, expected: str) -> None:
    assert Expression.parse(text).to_odata(Schema.load().table(side, table)) == expected  # type: ignore[arg-type]


def test_dates_in_text_compare_too() -> None:
    assert Expression.parse("d ge 2026-02-01").matches({"d": "2026-02-01T00:00:00Z"})
    assert not Expression.parse("d ge 2026-02-01T00:00:00Z").matches({"d": "2026-01-31T23:59:59+00:00"})


def test_names_cannot_break_out_of_the_sql() -> None:
    sql = Expression.parse("name eq 'x'' OR 1=1 --'").to_sql()
    assert duckdb.connect().execute(f"SELECT {sql} FROM (SELECT 'a' AS name)").fetchall() == [(False,)]
