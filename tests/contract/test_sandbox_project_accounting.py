"""Finance's project accounting as a client meets it on OData: refusals, forecasts, what became of staged rows."""

import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import msgspec
import pytest

from dualsync_sandbox import Sandbox
from dualsync_sandbox.business.finance import jobs
from support.signed_in import signed_in

CATEGORY = "TCN-0000001000-AAAAA"
DECODER = msgspec.json.Decoder(float_hook=Decimal)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("accounting")) as running:
        running.seed("demo", 1)
        with running.finance_store.transaction() as tx:
            tx.insert("ProjectTransactionCategories", {"CategoryId": CATEGORY, "Name": "Consulting"})
            tx.insert("ProjectsV2", {"dataAreaId": "uspm", "ProjectId": "PRJ-1"})
        yield running


@pytest.fixture(scope="module")
def api(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with signed_in(sandbox, "finance", "/data/") as client:
        yield client


def rows(api: httpx.Client, entity_set: str, where: str) -> list[dict[str, Any]]:
    answer = api.get(entity_set, params={"$filter": where, "cross-company": "true"}).raise_for_status()
    found: list[dict[str, Any]] = DECODER.decode(answer.content)["value"]
    return found


def staged(**changes: object) -> dict[str, Any]:
    return {
        "dataAreaId": "USPM",
        "ActualsImportId": str(uuid.uuid4()),
        "ActualId": str(uuid.uuid4()),
        "TransactionType": "Cost",
        "TransactionClassification": 192350000,
        "BillingType": "NotAvailable",
        "ProjectId": "PRJ-1",
        "TransactionCategoryId": CATEGORY,
        "Quantity": 2,
        "UnitPrice": 50,
        "Amount": 100,
        "TransactionCurrencyId": "GBP",
        "DocumentDate": "2026-03-02T12:00:00Z",
        "AccountingDate": "2026-03-02T12:00:00Z",
    } | changes


def test_the_documented_error_of_a_missing_line_property(api: httpx.Client, sandbox: Sandbox) -> None:
    """The public page of [A2] gives the text. It heals with the set-up."""
    key = "LineProperties(dataAreaId='uspm',BillingType=Microsoft.Dynamics.DataEntities.ProjBillingType'NotAvailable')"
    assert api.delete(key).status_code == 204
    answer = api.post("ProjActualsImports", json=staged())
    assert answer.status_code == 400
    message = answer.json()["error"]["innererror"]["message"]
    assert message.startswith("Write failed for table row of type 'ProjCDSActualsImport'. Infolog: Error: ")
    assert "Line property Not available doesn't exist; Warning: validateWrite failed" in message
    line_property = {"dataAreaId": "uspm", "BillingType": "NotAvailable", "LineProperty": "NOTAVAIL"}
    assert api.post("LineProperties", json=line_property).status_code == 201
    assert api.post("ProjActualsImports", json=staged()).status_code == 201


def test_a_staged_actual_and_what_became_of_it(api: httpx.Client, sandbox: Sandbox) -> None:
    """Written by a client, imported and posted by Finance, read back by the client [G2, G15]."""
    row = staged()
    made = api.post("ProjActualsImports", json=row)
    assert made.status_code == 201
    assert made.json()["ProjectDataAreaId"] == "uspm"
    assert jobs.import_from_staging(sandbox.finance_store, "USPM").refused == ()
    jobs.post_integration_journals(sandbox.finance_store, "USPM")
    where = f"ActualsImportId eq {row['ActualsImportId']}"
    (after,) = rows(api, "ProjActualsImports", where)
    (line,) = rows(api, "IntegrationJournalLines", where)
    assert (after["AccountingAmount"], after["ExchangeRate"]) == (Decimal("127.35"), Decimal("127.35"))
    assert (after["VoucherNumber"], after["IsJournalized"]) == (line["Voucher"], "Yes")
    entries = rows(api, "LedgerEntries", f"dataAreaId eq 'uspm' and Voucher eq '{line['Voucher']}'")
    assert [(entry["PostingType"], entry["Debit"], entry["Credit"]) for entry in entries] == [
        ("ProjectCost", Decimal("127.35"), 0),
        ("PayrollAllocation", 0, Decimal("127.35")),
    ]
    header = rows(api, "IntegrationJournalHeaders", f"JournalId eq '{line['JournalId']}' and dataAreaId eq 'uspm'")
    assert header[0]["JournalStatus"] == "Posted"


def test_estimates_and_their_forecast(api: httpx.Client) -> None:
    """Two staged rows of one origin, one forecast; it goes with them [D3, D6]."""
    cost, sale = str(uuid.uuid4()), str(uuid.uuid4())
    common = {"dataAreaId": "USPM", "ProjId": "PRJ-1", "Currency": "USD", "SalesQty": 3, "ItemId": "P-1001"}
    for line, kind, price in ((cost, "Cost", 10), (sale, "Sales", 14)):
        body = {"ImportId": line, "ForecastLineId": line, "TransType": kind, "Price": price}
        if kind == "Sales":
            body["ForecastLineIdOrigin"] = cost
        assert api.post("ProjForecastSalesImport", json=common | body).status_code == 201
    (forecast,) = rows(api, "ForecastItems", f"OriginId eq {cost}")
    assert (forecast["CostAmount"], forecast["SalesAmount"]) == (30, 42)
    for line in (cost, sale):
        assert api.delete(f"ProjForecastSalesImport(dataAreaId='uspm',ImportId={line})").status_code == 204
    assert rows(api, "ForecastItems", f"OriginId eq {cost}") == []


def test_an_unknown_project_is_refused(api: httpx.Client) -> None:
    """Recorded words of a value that its related table lacks."""
    answer = api.post("ProjActualsImports", json=staged(ProjectId="PRJ-X"))
    assert "is not found in the related table 'Projects V2'" in answer.json()["error"]["innererror"]["message"]


def test_proposals_are_neither_made_nor_read_by_odata(api: httpx.Client, sandbox: Sandbox) -> None:
    """What a data package wrote shows on the form; users cannot make one, or delete it [H2]."""
    with sandbox.finance_store.transaction() as tx:
        contract = {"dataAreaId": "uspm", "ProjectContractId": "ORD-1", "CustomerAccountNumber": "C-000001"}
        tx.insert("ProjectContractHeaders", {**contract, "Name": "Works", "SalesCurrencyCode": "USD"})
        proposal = {"dataAreaId": "uspm", "InvoiceProposalId": "INV-1", "ProjectContractId": "ORD-1"}
        tx.insert("ProjInvoiceProposalsV2", {**proposal, "SalesCurrency": "USD", "InvoiceDate": "2026-03-31"})
    assert api.get("ProjInvoiceProposalsV2").status_code == 404
    (header,) = rows(api, "ProjInvoiceProposalHeaders", "dataAreaId eq 'uspm'")
    assert (header["InvoiceProposalId"], header["ProposalStatus"], header["Troubleshoot"]) == ("INV-1", "Open", "Yes")
    made = api.post("ProjInvoiceProposalHeaders", json={"dataAreaId": "USPM", "InvoiceProposalId": "INV-2"})
    assert "can be neither created nor deleted" in made.json()["error"]["innererror"]["message"]
    gone = api.delete("ProjInvoiceProposalHeaders(dataAreaId='uspm',InvoiceProposalId='INV-1')")
    assert (made.status_code, gone.status_code) == (400, 400)
