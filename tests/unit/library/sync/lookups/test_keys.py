"""Integration keys of Dataverse rows in Finance's form."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from dualsync.sync.lookups.keys import finance_keys, key_field, other_company
from support.stage import Stage

UTC = ZoneInfo("UTC")


def keys(stage: Stage, name: str, rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    frame = finance_keys(
        stage.columns(name, "to_finance"),
        stage.rows(name, "to_finance", rows),
        stage.parents(),
        stage.catalog.runnable,
        UTC,
    )
    assert list(frame.columns) == [*stage.catalog[name].finance.key, "join_key"]
    return [tuple(None if value is None else value for value in row) for row in _rows(frame)]


def _rows(frame: Any) -> list[tuple[Any, ...]]:
    columns = [frame[name].array.__arrow_array__().to_pylist() for name in frame.columns]
    return list(zip(*columns, strict=True))


def test_a_key_with_a_part_of_the_parent(stage: Stage) -> None:
    stage.base("groups", "USMF", [{"id": "g1", "f:GroupId": "Books"}])
    rows: list[dict[str, Any]] = [
        {"number": "A-1", "group": "g1"},
        {"number": "A-2", "group": "g9"},
        {"number": None, "group": "g1"},
        {"number": "A-4", "group": None},
    ]
    assert keys(stage, "orders", rows) == [
        ("A-1", "Books", "a-1|books"),
        ("A-2", None, None),
        (None, "Books", None),
        ("A-4", None, None),
    ]
    assert keys(stage, "orders", []) == []


def test_a_key_with_a_part_read_through_another_table(stage: Stage) -> None:
    stage.dataverse.rows["uoms"] = [{"uomid": "u1", "symbol": "ea"}, {"uomid": "u2", "symbol": None}]
    orders = stage.catalog["orders"]
    object.__setattr__(orders.dataverse, "key", ("number", "unit.symbol"))
    rows = [{"number": "A", "unit": unit} for unit in ("u1", "u2", "u3", None)]
    assert [key for _, _, key in keys(stage, "orders", rows)] == ["a|ea", None, None, None]


def test_the_field_of_a_key_column(stage: Stage) -> None:
    orders = stage.catalog["orders"]
    assert key_field(orders, "number", "OrderNumber").finance == "OrderNumber"
    with pytest.raises(KeyError, match="map orders has no field that pairs its key column number with GroupId"):
        key_field(orders, "number", "GroupId")


def test_whether_a_parent_may_be_of_another_company(stage: Stage) -> None:
    orders = stage.catalog["orders"]
    assert [other_company(orders, column) for column in ("LenderCompany", "dataAreaId", None)] == [True, False, False]
