"""The columns of a transfer: which pairs it writes, and which are only compared."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from dualsync.mapping import Catalog, TableMap
from dualsync.sync.legs.leg import Leg
from dualsync.sync.plan.columns import LegColumns
from dualsync.sync.reconcile.policy import policy_of
from support.stage import Stage


def with_read_only_pairs(stage: Stage) -> TableMap:
    """The map of orders, whose note is only compared in Finance's form, and whose due date in Dataverse's."""
    ways = {"note": "to_finance", "due": "to_dataverse"}
    orders = stage.catalog["orders"]
    words = orders.model_dump(by_alias=True, exclude_unset=True)
    for field in words["fields"]:
        if (way := ways.get(field.get("dataverse", ""))) is not None:
            field |= {"way": way, "read_only": True}
    table_map = TableMap.model_validate(words)
    stage.catalog = Catalog([*(one for one in stage.catalog.declared.values() if one is not orders), table_map])
    return table_map


def targets(columns: LegColumns) -> set[str]:
    return set(columns.target_columns)


def test_a_read_only_pair_is_written_in_neither_direction(stage: Stage) -> None:
    table_map = with_read_only_pairs(stage)
    to_finance, to_dataverse = (stage.columns("orders", way) for way in ("to_finance", "to_dataverse"))
    assert not {"Note", "Due", "note", "due"} & (targets(to_finance) | targets(to_dataverse))
    assert not {"note", "due"} & set(to_finance.source_columns)
    assert {"Amount", "Status"} <= targets(to_finance)
    assert table_map.directions == ("to_finance", "to_dataverse")


def test_a_read_only_pair_is_compared_in_the_form_of_the_side_its_way_leads_to(stage: Stage) -> None:
    table_map = with_read_only_pairs(stage)
    compared = {
        way: {pair.target for pair in LegColumns(table_map, way, stage.schema, compared=True).pairs if pair.read_only}
        for way in table_map.directions
    }
    assert compared == {"to_finance": {"Note"}, "to_dataverse": {"due"}}


@pytest.mark.parametrize("kind", ["fields", "lookups"])
def test_an_emptied_value_is_kept_where_the_pair_says_so_whether_field_or_lookup(stage: Stage, kind: str) -> None:
    words = stage.catalog["orders"].model_dump(by_alias=True, exclude_unset=True)
    name = {"fields": "due", "lookups": "item"}[kind]
    next(pair for pair in words[kind] if pair.get("dataverse") == name)["null"] = "keep"
    columns = LegColumns(TableMap.model_validate(words), "to_dataverse", stage.schema)
    leg = cast(Leg, SimpleNamespace(map=columns.map, run=SimpleNamespace(resend=False)))
    assert [pair.target for pair in columns.pairs if policy_of(leg, columns, pair).keeps] == [name]


def test_both_columns_of_a_read_only_pair_are_read(stage: Stage) -> None:
    with_read_only_pairs(stage)
    columns = stage.columns("orders", "to_finance")
    assert {"note", "due"} <= set(columns.read_columns("dataverse"))
    assert {"Note", "Due"} <= set(columns.read_columns("finance"))
