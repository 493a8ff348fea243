"""`docs/sandbox.md` says what the sandbox does: its generated parts are as new as the code, its routes are there."""

import re
from pathlib import Path

import pytest
from signed_in import signed_in

from dualsync_sandbox import Sandbox
from dualsync_sandbox.dataverse.guide import ROUTES
from dualsync_sandbox.guide import SECTIONS, render

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "sandbox.md"
ROW = "00000000-0000-0000-0000-000000000001"
PROBE = "sdkmessageid/name eq 'CreateMultiple' and primaryobjecttypecode eq 'account'"
#: What stands in the place of the capitals.
FILLED = {
    "SET(KEY)/NAME": f"accounts({ROW})/name",
    "SET(KEY)/COLUMN": f"accounts({ROW})/name",
    "SET(KEY)/LOOKUP/$ref": f"accounts({ROW})/parentaccountid/$ref",
    "SET(KEY)/COLLECTION/$ref": f"accounts({ROW})/account_parentaccountid_account/$ref",
    "SET(KEY)": f"accounts({ROW})",
    "SET/Microsoft.Dynamics.CRM.MESSAGE": "accounts/Microsoft.Dynamics.CRM.CreateMultiple",
    "SET/$count": "accounts/$count",
    "SET": "accounts",
    "(nothing)": "",
    "EntityDefinitions(LogicalName='TABLE')/PART": "EntityDefinitions(LogicalName='account')/Keys",
    "EntityDefinitions(LogicalName='TABLE')": "EntityDefinitions(LogicalName='account')",
    "RetrieveMetadataChanges(Query=@p)": "RetrieveMetadataChanges(Query=@p)?@p={}",
    "RetrieveTotalRecordCount(EntityNames=[...])": "RetrieveTotalRecordCount(EntityNames=['account'])",
    "sdkmessagefilters": f"sdkmessagefilters?$filter={PROBE}",
}


def test_the_guide_is_as_new_as_the_code() -> None:
    """Otherwise: python -m dualsync_sandbox.guide docs/sandbox.md"""
    text = GUIDE.read_text(encoding="utf-8")
    assert render(text) == text
    with pytest.raises(ValueError, match="lacks"):
        render(re.sub(r"<!-- begin .*? -->", "", text))
    assert len(SECTIONS) == text.count("<!-- begin ")


def test_routes_of_dataverse_are_there(bare: Sandbox) -> None:
    """Each answers by what it does: with the thing, or with why not, but never that there is no such thing."""
    with signed_in(bare, "dataverse", "/api/data/v9.2/") as api:
        for route in ROUTES:
            for method in route.methods.split():
                answer = api.request(method, FILLED.get(route.path, route.path), content=b"{}")
                assert answer.status_code not in (405, 500, 501), (route, answer.text)
                assert answer.status_code != 404 or answer.json()["error"]["code"] == "0x80040217", route
