"""Lookups on the way to Finance: values of the parents, and why a parent does not resolve."""

from __future__ import annotations

from typing import Any

import pytest

from support.stage import Stage

ORDER = {"orderid": "o1", "number": "A-1", "group": "g1"}
ARRIVED = "is not on both sides yet; it goes through once that row is there"


@pytest.fixture
def stage(stage: Stage) -> Stage:
    """A stage on which some parents have arrived."""
    stage.base("groups", "USMF", [{"id": "g1", "f:GroupId": "Books"}])
    stage.base("groups", "GBSI", [{"id": "g2", "f:GroupId": "Maps"}, {"id": "g1", "f:GroupId": "another"}])
    stage.base("items", "USMF", [{"id": "i1", "f:ItemNumber": "I-1"}, {"id": "i2", "f:ItemNumber": "I-2"}])
    stage.base("people", "_global", [{"id": "p1", "f:PersonnelNumber": "007"}])
    stage.base("teams", "_global", [{"id": "t1", "f:TeamCode": "Desk"}])
    stage.base("units", "_global", [{"id": "u1", "f:Symbol": "ea"}])
    return stage


def orders(stage: Stage, *rows: dict[str, Any]) -> list[dict[str, Any]]:
    return stage.wanted("orders", "to_finance", [ORDER | row for row in rows])


def stops(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(row["stop"], row["rule"], row["reason"]) for row in rows]


FREE = (None, None, None)


def test_rows_get_the_values_of_their_parents(stage: Stage) -> None:
    rows = orders(stage, {"item": "i2"}, {"item": None}, {"item": "i1"}, {"item": "i2"})
    assert [row["w:ItemNumber"] for row in rows] == ["I-2", None, "I-1", "I-2"]
    assert stops(rows) == [FREE] * 4
    assert not stage.dataverse.asked
    assert stage.bases.count(("items", "USMF")) == 1


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (
            None,
            (
                "quarantined",
                "groups.deleted",
                "group points at a record of group that no longer exists; choose another one",
            ),
        ),
        (
            {"active": False, "company": "company USMF"},
            (
                "quarantined",
                "groups.filtered",
                (
                    "group points at a record of group that does not travel, since the filter of map groups (active eq "
                    "true) leaves it out"
                ),
            ),
        ),
        (
            {"active": True, "company": "company DEMF"},
            ("quarantined", "groups.company", "group points at a record of group whose company is not integrated"),
        ),
        (
            {"active": True, "company": "company USMF"},
            ("waiting", "groups.waiting", f"group points at a row of map groups that {ARRIVED}"),
        ),
    ],
)
def test_why_a_parent_does_not_resolve(stage: Stage, record: dict[str, Any] | None, expected: tuple[Any, ...]) -> None:
    stage.dataverse.rows["groups"] = [] if record is None else [{"groupid": "G9", **record}]
    stage.dataverse.rows["groups"] = [row | {"groupid": "g9"} for row in stage.dataverse.rows["groups"]]
    rows = orders(stage, {"group": "g9"}, {}, {"group": "g9"})
    assert stops(rows) == [expected, FREE, expected]
    assert [row["w:GroupId"] for row in rows] == [None, "Books", None]
    assert stage.dataverse.asked == [("groups", ["g9"])], "one request for all rows"


def test_a_parent_of_another_company_is_found_where_the_lookup_names_its_company(stage: Stage) -> None:
    rows = orders(stage, {"lender": "g2"}, {"lender": "g1"}, {"lender": "g3"})
    assert [(row["w:LenderGroup"], row["w:LenderCode"]) for row in rows] == [
        ("Maps", "gbsi"),
        ("Books", "usmf"),
        (None, None),
    ]
    assert [stop for stop, _, _ in stops(rows)] == [None, None, "quarantined"]


def test_a_lookup_with_several_targets(stage: Stage) -> None:
    stage.dataverse.rows["persons"] = [{"personid": "p9"}]
    rows = orders(
        stage,
        {"owner": "p1", "owner@type": "person"},
        {"owner": "t1", "owner@type": "team"},
        {"owner": "p9", "owner@type": "person"},
        {"owner": "t9", "owner@type": "team"},
        {"owner": "x1", "owner@type": "queue"},
        {"owner": None},
    )
    assert [(row["w:OwnerNumber"], row["w:OwnerTeam"]) for row in rows] == [
        ("007", None),
        (None, "Desk"),
        *[(None, None)] * 4,
    ]
    assert stops(rows) == [
        FREE,
        FREE,
        ("waiting", "people.waiting", f"owner points at a row of map people that {ARRIVED}"),
        ("quarantined", "teams.deleted", "owner points at a record of team that no longer exists; choose another one"),
        FREE,
        FREE,
    ]


def test_a_value_read_through_a_table_without_a_map(stage: Stage) -> None:
    stage.dataverse.rows["makers"] = [{"makerid": "m1", "name": "Ada"}, {"makerid": "m2", "name": None}]
    rows = orders(stage, {"maker": "m1"}, {"maker": "m2"}, {"maker": "m3"}, {"maker": "m1"})
    assert [row["w:MakerName"] for row in rows] == ["Ada", None, None, "Ada"]
    assert stops(rows) == [FREE] * 4
    assert stage.dataverse.asked == [("makers", ["m1", "m2", "m3"])]


def test_a_value_read_through_a_table_waits_for_the_row_of_the_map_that_has_it(stage: Stage) -> None:
    stage.dataverse.rows["uoms"] = [
        {"uomid": "1", "symbol": "EA"},
        {"uomid": "2", "symbol": "kg"},
        {"uomid": "3", "symbol": "KG"},
        {"uomid": "4", "symbol": "old"},
        {"uomid": "5", "symbol": None},
    ]
    stage.finance.rows["Units"] = [{"Symbol": "kg"}]
    rows = orders(stage, *({"unit": str(number)} for number in range(1, 6)))
    assert [row["w:UnitSymbol"] for row in rows] == ["EA", "kg", "KG", "old", None]
    waits = (
        "waiting",
        "units.waiting",
        (
            f"UnitSymbol points at a row of map units that {ARRIVED}; run the map units in full, so that the unit "
            "comes to Dataverse"
        ),
    )
    unknown = (
        "quarantined",
        "units.unknown",
        "UnitSymbol names a row of Units that does not exist in Finance; correct it there",
    )
    # 'kg' and 'KG' are one key, so that each row that names it is told
    assert stops(rows) == [FREE, waits, waits, unknown, FREE]
    assert stage.finance.asked == [("Units", [{"Symbol": "kg"}, {"Symbol": "old"}])]


def test_nothing_is_asked_where_all_values_read_have_arrived(stage: Stage) -> None:
    stage.dataverse.rows["uoms"] = [{"uomid": "1", "symbol": "ea"}]
    assert stops(orders(stage, {"unit": "1"})) == [FREE]
    assert not stage.finance.asked


def test_a_record_that_another_record_points_to(stage: Stage) -> None:
    stage.dataverse.rows["measures"] = [
        {"measureid": "1", "unit": "u1"},
        {"measureid": "2", "unit": None},
        {"measureid": "3", "unit": "u9"},
        {"measureid": "4", "unit": "u9"},
    ]
    rows = orders(stage, *({"measure": str(number)} for number in range(1, 6)))
    assert [row["w:MeasureSymbol"] for row in rows] == ["ea", None, None, None, None]
    gone = (
        "quarantined",
        "units.deleted",
        "measure points at a record of unit that no longer exists; choose another one",
    )
    assert stops(rows) == [FREE, FREE, gone, gone, FREE]
    assert stage.dataverse.asked == [("measures", list("12345")), ("units", ["u9"])]


def test_a_lookup_that_does_not_wait_leaves_the_value_empty(stage: Stage) -> None:
    waiting = [lookup for lookup in stage.catalog["orders"].lookups if lookup.dataverse in ("item", "unit", "measure")]
    for lookup in waiting:
        object.__setattr__(lookup, "waits", False)
    stage.dataverse.rows["uoms"] = [{"uomid": "2", "symbol": "kg"}]
    stage.dataverse.rows["measures"] = [{"measureid": "3", "unit": "u9"}]
    (row,) = orders(stage, {"item": "i9", "unit": "2", "measure": "3"})
    assert (row["w:ItemNumber"], row["w:UnitSymbol"], row["w:MeasureSymbol"]) == (None, "kg", None)
    assert stops([row]) == [FREE]


def test_a_map_without_a_base_has_no_parents(stage: Stage) -> None:
    stage.dataverse.rows["items"] = [{"itemid": "i1", "company": "company GBSI"}]
    (row,) = stage.wanted("orders", "to_finance", [ORDER | {"group": "g2", "item": "i1"}], "GBSI")
    assert (row["w:GroupId"], row["w:ItemNumber"], row["stop"]) == ("Maps", None, "waiting")


def test_parents_in_the_same_map_are_left_for_later(stage: Stage) -> None:
    rows = stage.wanted("items", "to_finance", [{"itemid": "a", "number": "A", "parent": "b"}, {"itemid": "b"}])
    assert [(row["w:ParentNumber"], row["p:ParentNumber"]) for row in rows] == [(None, "b"), (None, None)]
    assert [pair.target for pair in stage.columns("items", "to_finance").self_pairs] == ["ParentNumber"]
    assert not stage.bases
