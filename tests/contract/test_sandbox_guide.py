"""`docs/sandbox.md` says what the sandbox does: its generated parts are as new as the code, its routes are there."""

import json
import re
from pathlib import Path

import httpx
import pytest

from dualsync_sandbox import Sandbox
from dualsync_sandbox.control.routes import ROUTES as CONTROL_ROUTES
from dualsync_sandbox.dataverse.guide import ROUTES
from dualsync_sandbox.finance.guide import ROUTES as FINANCE_ROUTES
from dualsync_sandbox.guide import SECTIONS, render
from support.signed_in import signed_in

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


def test_routes_of_finance_are_there(bare: Sandbox) -> None:
    """As above; an unknown address has a body of its own, and an unknown message or file is none of these routes'."""
    filled = {"SET": "Currencies", "KEY": "CurrencyCode='X'", "FIELD": "Name", "ACTION": "GetExecutionErrors"}
    job = "00000000-0000-4000-8000-000000000001"
    bare.packages.recurring.set_up(id=job, way="import", company="X", clients=[bare.info["client_id"]])
    with signed_in(bare, "finance", "") as api:
        for route in FINANCE_ROUTES:
            path = re.sub("SET|KEY|FIELD|ACTION", lambda match: filled[match[0]], route.path.replace("JOB", job))
            for method in route.methods.split():
                answer = api.request(method, path, content=b"{}")
                assert answer.status_code not in (405, 500, 501), (route, answer.text)
                assert "No route data" not in answer.text, route
    bare.packages.recurring.remove_all()


def test_requests_to_the_control_plane_are_there(bare: Sandbox) -> None:
    """All that only ask are answered; the examples of the others are JSON."""
    with httpx.Client(base_url=str(bare.info["control"])) as control:
        for one in CONTROL_ROUTES:
            if one.method == "GET":
                assert control.get(one.path).status_code == 200, one
            if one.takes and not one.takes.startswith("?"):
                assert json.loads(one.takes)


def test_routes_of_dataverse_are_there(bare: Sandbox) -> None:
    """Each answers by what it does: with the thing, or with why not, but never that there is no such thing."""
    with signed_in(bare, "dataverse", "/api/data/v9.2/") as api:
        for route in ROUTES:
            for method in route.methods.split():
                answer = api.request(method, FILLED.get(route.path, route.path), content=b"{}")
                assert answer.status_code not in (405, 500, 501), (route, answer.text)
                assert answer.status_code != 404 or answer.json()["error"]["code"] == "0x80040217", route
