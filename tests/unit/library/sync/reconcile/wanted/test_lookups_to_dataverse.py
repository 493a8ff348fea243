"""Lookups on the way to Dataverse: records that Finance values name, and why a name does not resolve."""

from __future__ import annotations

from typing import Any

import pytest

from support.stage import Stage

ORDER = {"OrderNumber": "A-1", "GroupId": "Books", "dataAreaId": "usmf"}
FREE = (None, None, None)
ARRIVED = "is not on both sides yet; it goes through once that row is there"


@pytest.fixture
def stage(stage: Stage) -> Stage:
    """A stage on which some parents have arrived."""
    stage.base("groups", "USMF", [{"id": "g1", "f:GroupId": "Books"}, {"id": None, "f:GroupId": "New"}])
    stage.base("groups", "GBSI", [{"id": "g2", "f:GroupId": "Books"}])
    stage.base("items", "USMF", [{"id": "i1", "f:ItemNumber": "I-1"}, {"id": "i2", "f:ItemNumber": "Straße"}])
    stage.base("units", "_global", [{"id": "u1", "f:Symbol": "ea"}, {"id": "u2", "f:Symbol": "kg"}])
    return stage


def orders(stage: Stage, *rows: dict[str, Any]) -> list[dict[str, Any]]:
    return stage.wanted("orders", "to_dataverse", [ORDER | row for row in rows])


def stops(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(row["stop"], row["rule"], row["reason"]) for row in rows]


def test_rows_get_the_records_that_they_name_whatever_the_letter_case(stage: Stage) -> None:
    names = ["I-1", None, "i-1", "STRASSE", "strasse"]
    rows = orders(stage, *({"ItemNumber": name} for name in names))
    assert [row["w:item"] for row in rows] == ["i1", None, "i1", "i2", "i2"]
    assert stops(rows) == [FREE] * 5
    assert not stage.finance.asked + stage.dataverse.asked


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (
            None,
            (
                "quarantined",
                "groups.unknown",
                "GroupId names a row of Groups that does not exist in Finance; correct it there",
            ),
        ),
        (
            {"Active": "No"},
            (
                "quarantined",
                "groups.filtered",
                (
                    "GroupId names a row of Groups that does not travel, since the filter of map groups (Active eq "
                    "'Yes') leaves it out"
                ),
            ),
        ),
        ({"Active": "Yes"}, ("waiting", "groups.waiting", f"GroupId points at a row of map groups that {ARRIVED}")),
    ],
)
def test_why_a_name_does_not_resolve(stage: Stage, row: dict[str, Any] | None, expected: tuple[Any, ...]) -> None:
    stage.finance.rows["Groups"] = [] if row is None else [{"GroupId": "New", "dataAreaId": "USMF", **row}]
    rows = orders(stage, {"GroupId": "new"}, {}, {"GroupId": "NEW"})
    assert [row["w:group"] for row in rows] == [None, "g1", None]
    assert stops(rows) == [expected, FREE, expected]
    assert stage.finance.asked == [("Groups", [{"dataAreaId": "USMF", "GroupId": "new"}])], "one request for one key"


def test_rows_of_entities_that_cannot_be_read_wait(stage: Stage) -> None:
    object.__setattr__(stage.catalog["items"].finance, "write", "package")
    assert stops(orders(stage, {"ItemNumber": "I-9"})) == [
        ("waiting", "items.waiting", f"ItemNumber points at a row of map items that {ARRIVED}")
    ]
    assert not stage.finance.asked


def test_a_parent_of_another_company(stage: Stage) -> None:
    books = {"LenderGroup": "Books", "LenderCode": "gbsi"}
    rows = orders(
        stage,
        {**books, "LenderCompany": "gbsi"},
        {**books, "LenderCompany": "USMF"},
        {**books, "LenderCompany": None},
        {**books, "LenderCompany": "demf"},
        {"LenderCompany": "gbsi"},
        {"LenderGroup": "Books", "LenderCompany": "gbsi"},
        {**books, "LenderCompany": "gbsi", "LenderGroup": "Maps"},
    )
    assert [row["w:lender"] for row in rows] == ["g2", "g1", "g1", None, None, None, None]
    assert stops(rows) == [
        FREE,
        FREE,
        FREE,
        ("quarantined", "groups.company", "LenderGroup names a row of Groups in DEMF, which is not integrated"),
        FREE,
        FREE,
        (
            "quarantined",
            "groups.unknown",
            "LenderGroup names a row of Groups that does not exist in Finance; correct it there",
        ),
    ]
    assert stage.finance.asked == [("Groups", [{"dataAreaId": "GBSI", "GroupId": "Maps"}])]


def test_a_record_of_another_table_stands_for_the_parent(stage: Stage) -> None:
    stage.dataverse.rows["uoms"] = [
        {"uomid": "O1", "symbol": "EA", "company": "company USMF"},
        {"uomid": "o2", "symbol": "ea", "company": "company GBSI"},
    ]
    stage.finance.rows["Units"] = [{"Symbol": "new"}]
    rows = orders(stage, *({"UnitSymbol": symbol} for symbol in ("ea", "kg", "new", "old", None)))
    assert [row["w:unit"] for row in rows] == ["o1", None, None, None, None]
    advice = "run the map units in full, so that the unit comes to Dataverse"
    assert stops(rows) == [
        FREE,
        (
            "waiting",
            "units.waiting",
            (
                "UnitSymbol names a row of map units for which uoms has no record with that symbol in the company; it "
                "goes through once there is one"
            ),
        ),
        ("waiting", "units.waiting", f"UnitSymbol points at a row of map units that {ARRIVED}; {advice}"),
        (
            "quarantined",
            "units.unknown",
            "UnitSymbol names a row of Units that does not exist in Finance; correct it there",
        ),
        FREE,
    ]
    assert [entity for entity, _ in stage.dataverse.asked] == ["uoms"]
    assert stage.finance.asked == [("Units", [{"Symbol": "new"}, {"Symbol": "old"}])]


def test_nothing_is_asked_of_finance_where_only_the_other_record_is_missing(stage: Stage) -> None:
    assert stops(orders(stage, {"UnitSymbol": "kg"}))[0][:2] == ("waiting", "units.waiting")
    assert not stage.finance.asked


def test_a_lookup_that_does_not_wait_leaves_the_value_empty(stage: Stage) -> None:
    object.__setattr__(stage.catalog["orders"].lookup("item"), "waits", False)
    (row,) = orders(stage, {"ItemNumber": "I-9"})
    assert row["w:item"] is None
    assert stops([row]) == [FREE]


def test_parents_in_the_same_map_are_left_for_later(stage: Stage) -> None:
    rows = stage.wanted("items", "to_dataverse", [{"ItemNumber": "A", "ParentNumber": "B|1"}, {"ItemNumber": "B"}])
    assert [(row["w:parent"], row["p:parent"]) for row in rows] == [(None, "b\\|1"), (None, None)]
    assert not stage.bases
