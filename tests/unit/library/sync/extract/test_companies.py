"""The company of a row whose table does not hold it: the path leads over parents that no base knows."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

from dualsync.sync.extract.dataverse import _companies_of
from dualsync.sync.legs.context import LegContext
from support.stage import Stage


def test_the_company_of_a_parent_and_of_a_parents_parent(stage: Stage) -> None:
    groups, items = stage.catalog["groups"], stage.catalog["items"]
    stage.dataverse.rows["groups"] = [
        {"groupid": "g1", "company": "company USMF"},
        {"groupid": "g2", "company": "company of nobody"},
    ]
    stage.dataverse.rows["items"] = [
        {"itemid": "i1", "group": "g1"},
        {"itemid": "i2", "group": "g2"},
        {"itemid": "i3", "group": None},
    ]
    context = cast(LegContext, SimpleNamespace(runtime=stage.runtime))
    near = _companies_of(context, [("group", groups)], ["g1", "g2", "g3"], "company")
    assert near == {"g1": "USMF", "g2": None}
    far = _companies_of(context, [("item", items), ("group", groups)], ["i1", "i2", "i3", "i4"], "company")
    assert far == {"i1": "USMF", "i2": None}
