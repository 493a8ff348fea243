"""Actuals and expenses through the Dataverse Web API: what callers see, and what they are refused."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest

from dualsync_sandbox import Sandbox
from support.signed_in import signed_in

ACTUAL = "msdyn_actuals"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("actuals")) as running:
        running.seed("demo", 1)
        yield running


@pytest.fixture(scope="module")
def api(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with signed_in(sandbox, "dataverse", "/api/data/v9.2/") as client:
        yield client


@pytest.fixture
def actual(sandbox: Sandbox) -> str:
    """An approved hour's cost."""
    made = sandbox.play_event("approve-time")["actuals"]
    assert isinstance(made, list)
    return str(made[0])


@pytest.fixture
def protected(sandbox: Sandbox) -> Iterator[Callable[..., None]]:
    yield sandbox.switches.set
    sandbox.switches.reset()


def test_an_actual_is_read_with_its_keys_and_lookups(api: httpx.Client, sandbox: Sandbox, actual: str) -> None:
    """The integration key of the map, and the filter on Skip Sync [G1]."""
    row = api.get(f"{ACTUAL}({actual})").json()
    columns = ("msdyn_actualimportid", "_msdyn_owningcompany_value")
    key = ",".join(f"{name}={row[name]}" for name in columns)
    assert api.get(f"{ACTUAL}({key})").json()["msdyn_actualid"] == actual
    sandbox.play_event("intercompany-time")
    skipped = api.get(ACTUAL, params={"$filter": "msdyn_skipsync eq true", "$select": "msdyn_actualid"}).json()["value"]
    others = api.get(ACTUAL, params={"$filter": "msdyn_skipsync eq false", "$select": "msdyn_actualid"}).json()["value"]
    with sandbox.dataverse_store.reading() as tx:
        assert len(skipped) + len(others) == tx.count("msdyn_actual")
    assert skipped


def test_connections_name_their_ends_twice(api: httpx.Client, sandbox: Sandbox) -> None:
    """Rule [F2]."""
    sandbox.play_event("approve-time-reduced")
    annotated = {"Prefer": 'odata.include-annotations="*"'}
    row = api.get("msdyn_transactionconnections", params={"$top": "1"}, headers=annotated).json()["value"][0]
    for number in ("1", "2"):
        name = f"_msdyn_transaction{number}id_value"
        assert row[name] == row[f"msdyn_transaction{number}"]
        assert row[f"{name}@Microsoft.Dynamics.CRM.lookuplogicalname"] == row[f"msdyn_transaction{number}type"]


def test_an_actual_is_never_deleted(api: httpx.Client, actual: str) -> None:
    """Rule [E21]."""
    answer = api.delete(f"{ACTUAL}({actual})")
    assert answer.status_code == 400
    assert "can't be deleted" in answer.json()["error"]["message"]


def test_an_invoice_is_edited_and_confirmed_once(api: httpx.Client, sandbox: Sandbox) -> None:
    """By whoever may write to a draft; its totals follow, and nothing changes after confirmation [H10, H12]."""
    for name in ("approve-time-reduced", "mark-ready"):
        sandbox.play_event(name)
    number = sandbox.play_event("create-proforma")["invoice"]
    (invoice,) = api.get("invoices", params={"$filter": f"invoicenumber eq '{number}'"}).json()["value"]
    details = api.get(
        "msdyn_invoicelinetransactions", params={"$filter": f"_msdyn_invoice_value eq {invoice['invoiceid']}"}
    ).json()["value"]
    detail = next(row for row in details if row["msdyn_billingtype"] == 192350001)
    line = f"msdyn_invoicelinetransactions({detail['msdyn_invoicelinetransactionid']})"
    refused = api.patch(line, json={"msdyn_transactionclassification": 192350004})
    assert "class" in refused.json()["error"]["message"]
    assert api.patch(line, json={"msdyn_quantity": 0.5}).status_code == 204
    edited = api.get(line).json()
    assert edited["msdyn_amount"] == pytest.approx(edited["msdyn_price"] / 2, abs=0.01)
    record = f"invoices({invoice['invoiceid']})"
    changed = edited["msdyn_amount"] - detail["msdyn_amount"]
    assert api.get(record).json()["totalamount"] == pytest.approx(invoice["totalamount"] + changed)
    status = api.patch(record, json={"msdyn_projectinvoicestatus": 192350002})
    assert "follows from its confirmation" in status.json()["error"]["message"]
    sandbox.play_event("confirm-proforma")
    for target, change in ((record, {"name": "Later"}), (line, {"msdyn_description": "Later"})):
        answer = api.patch(target, json=change)
        assert (answer.status_code, answer.json()["error"]["message"]) == (400, "A confirmed invoice is read-only.")


def test_columns_of_dual_write(api: httpx.Client, protected: Callable[..., None], actual: str) -> None:
    """Free without the switch; with it a refusal that names what is protected, but for the integration user [E22]."""
    given = {"msdyn_vouchernumber": "V-000001", "msdyn_accountingamount": 12.5}
    assert api.patch(f"{ACTUAL}({actual})", json=given).status_code == 204
    protected(protect_actuals=True)
    answer = api.patch(f"{ACTUAL}({actual})", json={"msdyn_vouchernumber": "V-000002"})
    assert answer.status_code == 400
    assert "Only dual-write can change msdyn_vouchernumber" in answer.json()["error"]["message"]
    assert api.patch(f"{ACTUAL}({actual})", json={"msdyn_description": "Other words"}).status_code == 204
    refused = api.post(ACTUAL, json={"msdyn_actualimportid": actual})
    assert "doesn't support creating actuals" in refused.json()["error"]["message"]
    protected(integration_user=True)
    assert api.patch(f"{ACTUAL}({actual})", json={"msdyn_vouchernumber": "V-000003"}).status_code == 204


def expense(sandbox: Sandbox, number: str, *, leaf: bool) -> dict[str, Any]:
    """What the integration writes of an expense that Finance posted."""
    with sandbox.dataverse_store.transaction() as tx:
        tasks = tx.find("msdyn_projecttask")
        parents = {task["msdyn_parenttask"] for task in tasks}
        task = next(row for row in tasks if (row["msdyn_projecttaskid"] not in parents) is leaf)
        category = tx.find_one("msdyn_transactioncategory", msdyn_name="Travel")
        assert category is not None
        kind = tx.insert(
            "msdyn_expensecategory",
            {
                "msdyn_name": "Travel",
                "msdyn_expensecategorynumber": number,
                "msdyn_transactioncategory": category["msdyn_transactioncategoryid"],
                "msdyn_company": task["msdyn_owningcompany"],
            },
        )
        currency = tx.find_one("transactioncurrency", isocurrencycode="USD")
    assert currency is not None
    return {
        "msdyn_externalexpensenumber": number,
        "msdyn_owningcompany@odata.bind": f"/cdm_companies({task['msdyn_owningcompany']})",
        "msdyn_project@odata.bind": f"/msdyn_projects({task['msdyn_project']})",
        "msdyn_task@odata.bind": f"/msdyn_projecttasks({task['msdyn_projecttaskid']})",
        "msdyn_expensecategory@odata.bind": f"/msdyn_expensecategories({kind['msdyn_expensecategoryid']})",
        "transactioncurrencyid@odata.bind": f"/transactioncurrencies({currency['transactioncurrencyid']})",
        "msdyn_transactiondate": "2026-03-02",
        "msdyn_quantity": 1,
        "msdyn_amount": 99.9,
        "msdyn_expensestatus": 192350001,
    }


def test_an_expense_that_is_written_becomes_actuals(api: httpx.Client, sandbox: Sandbox) -> None:
    """Rule [I3]."""
    answer = api.post(
        "msdyn_expenses", json=expense(sandbox, "E-9001", leaf=True), headers={"Prefer": "return=representation"}
    )
    assert answer.status_code == 201
    assert answer.json()["msdyn_expensestatus"] == 192350002
    wanted = f"msdyn_origin eq {answer.json()['msdyn_expenseid']} and msdyn_transactiontypecode eq 192350000"
    (cost,) = api.get(ACTUAL, params={"$filter": wanted}).json()["value"]
    assert Decimal(str(cost["msdyn_amount"])) == Decimal("99.9")


def test_an_expense_on_a_parent_task_is_refused(api: httpx.Client, sandbox: Sandbox) -> None:
    """With the documented code and words [C9, I5]."""
    answer = api.post("msdyn_expenses", json=expense(sandbox, "E-9002", leaf=False))
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "0x80040265"
    assert "Could not resolve project task for export expense" in answer.json()["error"]["message"]
