"""Single records by the key that people write."""

from __future__ import annotations

import pytest

from dualsync.errors import MapErrors
from dualsync.sync.lookups.records import dataverse_conditions, read_key
from support.stage import Stage


def test_a_key_as_people_write_it(stage: Stage) -> None:
    key = read_key(stage.catalog["orders"], stage.schema, " A-1 | Books")
    assert (key.parts, key.text, key.join_key) == (("A-1", "Books"), "A-1|Books", "a-1|books")


def test_a_key_of_another_length(stage: Stage) -> None:
    with pytest.raises(MapErrors, match=r"has 1 part\(s\); the key of map orders is OrderNumber\|GroupId"):
        read_key(stage.catalog["orders"], stage.schema, "A-1")


def test_a_key_of_another_type(stage: Stage) -> None:
    object.__setattr__(stage.catalog["orders"].finance, "key", ("OrderNumber", "Amount"))
    with pytest.raises(MapErrors, match="of map orders: Amount holds a value that is no decimal"):
        read_key(stage.catalog["orders"], stage.schema, "A-1|much")


def test_what_dataverse_is_asked_for(stage: Stage) -> None:
    stage.dataverse.rows["groups"] = [
        {"groupid": "g1", "name": "Books", "company": "company USMF"},
        {"groupid": "g2", "name": "Books", "company": "company GBSI"},
        {"groupid": "g3", "name": "books", "company": "company USMF"},
    ]
    orders = stage.catalog["orders"]
    assert dataverse_conditions(stage.runtime, orders, "USMF", ("A-1", "Books"), stage.parents()) == [
        {"number": "A-1", "group": "g1"},
        {"number": "A-1", "group": "g3"},
    ]


def test_what_dataverse_is_asked_for_where_the_parent_has_no_companies(stage: Stage) -> None:
    stage.dataverse.rows["teams"] = [{"teamid": "t1", "code": "Desk"}]
    orders = stage.catalog["orders"]
    lookup = orders.lookup("group")
    object.__setattr__(lookup, "map", "teams")
    object.__setattr__(orders.dataverse, "key", ("number", "group.code"))
    assert dataverse_conditions(stage.runtime, orders, "USMF", ("A", "desk"), stage.parents()) == [
        {"number": "A", "group": "t1"}
    ]


def test_what_dataverse_is_asked_for_through_another_table(stage: Stage) -> None:
    stage.dataverse.rows["uoms"] = [{"uomid": "U1", "symbol": "EA", "company": "company USMF"}]
    orders = stage.catalog["orders"]
    object.__setattr__(orders.dataverse, "key", ("number", "unit.symbol"))
    assert dataverse_conditions(stage.runtime, orders, "USMF", ("A", "ea"), stage.parents()) == [
        {"number": "A", "unit": "u1"}
    ]
    assert dataverse_conditions(stage.runtime, orders, "USMF", ("A", "kg"), stage.parents()) == []


def test_a_path_through_two_lookups_is_not_asked_for(stage: Stage) -> None:
    orders = stage.catalog["orders"]
    object.__setattr__(orders.dataverse, "key", ("number", "item.parent.number"))
    assert dataverse_conditions(stage.runtime, orders, "USMF", ("A", "I"), stage.parents()) is None
