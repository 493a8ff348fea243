"""How a row of Finance is named."""

from __future__ import annotations

from dualsync.sync.plan.finance_keys import finance_key
from support.stage import Stage


def test_a_row_is_named_by_its_company_and_its_key(stage: Stage) -> None:
    assert finance_key(stage.catalog["orders"], stage.schema, "USMF", ("A-1", None)) == {
        "dataAreaId": "usmf",
        "OrderNumber": "A-1",
        "GroupId": "",
    }


def test_a_row_of_a_map_without_companies_is_named_by_its_key(stage: Stage) -> None:
    assert finance_key(stage.catalog["units"], stage.schema, "_global", ("ea",)) == {"Symbol": "ea"}
