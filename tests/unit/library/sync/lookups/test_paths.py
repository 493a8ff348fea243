"""What a lookup's ``on`` says."""

from __future__ import annotations

import pytest

from dualsync.sync.lookups.paths import base_column, column_in_parent, key_paths
from support.stage import BY_COMPANY, Stage


@pytest.mark.parametrize(
    ("name", "path", "column"),
    [
        ("items", "itemid", "id"),
        ("items", "number", "f:ItemNumber"),
        ("items", "title", "f:ItemTitle"),
        ("orders", "group.name", "f:GroupId"),
        ("orders", "amount", "f:Amount"),
    ],
)
def test_where_a_base_has_a_column_of_the_parent(stage: Stage, name: str, path: str, column: str) -> None:
    assert base_column(stage.catalog[name], path) == column


def test_an_unpaired_column_stands_in_the_base_as_dataverse_has_it(stage: Stage) -> None:
    field = stage.catalog["items"].fields[1]
    object.__setattr__(field, "finance", None)
    assert base_column(stage.catalog["items"], "title") == "d:title"


def test_where_a_parent_of_the_same_map_has_what_its_child_names(stage: Stage) -> None:
    columns = stage.columns("items", "to_finance")
    (pair,) = columns.self_pairs
    assert (pair.target, column_in_parent(columns.map, pair)) == ("ParentNumber", "f:ItemNumber")
    assert stage.columns("orders", "to_finance").self_pairs == ()


def test_a_column_that_the_parent_does_not_pair(stage: Stage) -> None:
    with pytest.raises(KeyError, match="map items pairs no column colour"):
        base_column(stage.catalog["items"], "colour")


def test_parent_columns_finance_columns_and_the_company(stage: Stage) -> None:
    lookup = stage.catalog["orders"].lookup
    assert key_paths(lookup("lender"), None) == (
        ("name", BY_COMPANY),
        ("LenderGroup", "LenderCode"),
        "LenderCompany",
    )
    assert key_paths(lookup("owner"), "team") == (("code",), ("OwnerTeam",), None)
