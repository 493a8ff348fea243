"""The sandbox's Finance OData service, spoken to over TLS by plain httpx.

Each test names the page of Microsoft's documentation it follows (folder ``dev-itpro/data-entities``), says that it
follows a recorded answer of a real environment, or that the behaviour is an assumption.
"""

import base64
import json
import re
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest

from dualsync_sandbox import Sandbox
from support.signed_in import signed_in

CROSS = {"cross-company": "true"}
ENUM = "Microsoft.Dynamics.DataEntities."


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Two companies, a currency, a customer group in each; the user's company is USPM."""
    with Sandbox(tmp_path_factory.mktemp("finance")) as running:
        with running.finance_store.transaction() as tx:
            tx.insert_many("LegalEntities", [{"LegalEntityId": "USPM"}, {"LegalEntityId": "GBPM"}])
            tx.insert_many("Currencies", [{"CurrencyCode": "USD"}, {"CurrencyCode": "GBP"}])
            for company in ("uspm", "gbpm"):
                tx.insert("CustomerGroups", {"dataAreaId": company, "CustomerGroupId": "10"})
        yield running


@pytest.fixture(scope="module")
def api(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with signed_in(sandbox, "finance", "/data/") as client:
        yield client


@pytest.fixture
def contract(api: httpx.Client) -> str:
    """A project contract of USPM."""
    number = unique("C")
    api.post("ProjectContractHeaders", json={"ProjectContractId": number, "Name": "Contract"}).raise_for_status()
    return number


@pytest.fixture
def project(api: httpx.Client) -> str:
    """A project of USPM."""
    number = unique("P")
    api.post("ProjectsV2", json={"ProjectId": number, "ProjectName": "Depot"}).raise_for_status()
    return number


def unique(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:10]}"


def key(project: str, company: str = "uspm") -> str:
    return f"ProjectsV2(dataAreaId='{company}',ProjectId='{project}')"


def refused(response: httpx.Response, status: int = 400) -> str:
    """Check the recorded error shape; gives the inner message."""
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert (error["code"], error["message"]) == ("", "An error has occurred.")
    return str(error["innererror"]["message"])


def test_service_document_and_unknown_route(api: httpx.Client) -> None:
    """odata.md; the body of an unknown route is a recorded one, and set names are case sensitive."""
    names = {entry["name"] for entry in api.get("").json()["value"]}
    assert {"ProjectsV2", "CustomersV3", "ExchangeRatesCDSEntity", "OnAccountTransactions"} <= names
    answer = api.get("projectsv2")
    assert answer.status_code == 404
    assert "No route data was found for this request." in answer.json()["Message"]


def test_csdl(api: httpx.Client) -> None:
    """odata.md: entity types, keys and enums; MaxLength is an assumption."""
    document = ET.fromstring(api.get("$metadata").raise_for_status().content)
    edm = "{http://docs.oasis-open.org/odata/ns/edm}"
    entity = next(item for item in document.iter(f"{edm}EntityType") if item.get("Name") == "ProjectV2")
    assert [item.get("Name") for item in entity.iter(f"{edm}PropertyRef")] == ["dataAreaId", "ProjectId"]
    properties = {item.get("Name"): item for item in entity.iter(f"{edm}Property")}
    assert properties["ProjectStage"].get("Type") == f"{ENUM}ProjStatus"
    assert properties["ProjectedStartDate"].get("Type") == "Edm.DateTimeOffset"
    assert properties["ProjectId"].get("MaxLength") == "20"
    enum = next(item for item in document.iter(f"{edm}EnumType") if item.get("Name") == "ProjStatus")
    assert {item.get("Name"): item.get("Value") for item in enum}["InProcess"] == "3"
    sets = {item.get("Name"): item.get("EntityType") for item in document.iter(f"{edm}EntitySet")}
    assert sets["ProjectsV2"] == f"{ENUM}ProjectV2"


def test_create_fills_defaults(api: httpx.Client, sandbox: Sandbox) -> None:
    """odata.md (201 with the row); recorded: no nulls, noon, enum members by name, company in lower case."""
    number = unique("P")
    answer = api.post(
        "ProjectsV2", json={"dataAreaId": "USPM", "ProjectId": number, "ProjectedStartDate": "2026-03-01T00:00:00Z"}
    )
    assert answer.status_code == 201
    row = answer.json()
    assert row["dataAreaId"] == "uspm"
    assert row["ProjectedStartDate"] == "2026-03-01T12:00:00Z"
    assert row["ActualStartDate"] == "1900-01-01T12:00:00Z"
    assert row["ProjectName"] == ""
    assert row["ProjectStage"] == "Created"
    assert row["ScheduleDurationInDays"] == 0
    assert None not in row.values()
    parts = re.fullmatch(r"'(\d+),(\d+)'", base64.b64decode(row["@odata.etag"][3:-1]).decode())
    assert parts is not None
    version, record = parts.groups()
    assert int(record) >= 5637144576
    assert int(version) == 1
    assert api.get(answer.headers["location"]).json()["ProjectId"] == number


def test_numbers_are_exact(api: httpx.Client, contract: str) -> None:
    """Recorded: reals are JSON numbers without trailing zeros; six decimals kept is an assumption."""
    body = (
        f'{{"ProjectContractId":"{contract}","LineSequenceNumber":1,"LineAmount":12345678901.123457,"Quantity":3.50}}'
    )
    answer = api.post("ProjectContractLines", content=body)
    row = json.loads(answer.text, parse_float=Decimal)
    assert row["LineAmount"] == Decimal("12345678901.123457")
    assert '"Quantity":3.5,' in answer.text
    assert '"UnitPrice":0,' in answer.text


def test_keys_take_any_order_and_all_parts(api: httpx.Client, project: str) -> None:
    """odata.md: every key field must be given; the order is free; the text of a missing part is quoted by users."""
    assert api.get(f"ProjectsV2(ProjectId='{project}',dataAreaId='USPM')").status_code == 200
    assert "Only 1 of 2 keys provided for lookup" in refused(api.get(f"ProjectsV2(ProjectId='{project}')"))
    refused(api.get(f"ProjectsV2(dataAreaId='uspm',Nothing='{project}')"))
    assert api.get(key("nobody")).status_code == 404


def test_dates_and_numbers_in_keys(api: httpx.Client, contract: str) -> None:
    """odata.md and clients: numbers and dates stand in keys without quotes."""
    line = {"ProjectContractId": contract, "LineSequenceNumber": 20}
    api.post("ProjectContractLines", json=line).raise_for_status()
    url = f"ProjectContractLines(dataAreaId='uspm',ProjectContractId='{contract}',LineSequenceNumber=20)"
    assert api.get(url).json()["LineSequenceNumber"] == 20
    refused(api.get(url.replace("=20", "='20'")))
    kind = unique("T")
    pair = {"ExchangeRateTypeName": kind, "FromCurrencyCode": "USD", "ToCurrencyCode": "GBP"}
    api.post("ExchangeRateTypes", json={"Name": kind}).raise_for_status()
    api.post("ExchangeRateCurrencyPairs", json=pair).raise_for_status()
    rate = {**pair, "ValidFrom": "2026-01-01T12:00:00Z", "Rate": 79.5}
    api.post("ExchangeRatesCDSEntity", json=rate).raise_for_status()
    found = f"ExchangeRateTypeName='{kind}',FromCurrencyCode='USD',ToCurrencyCode='GBP',ValidFrom=2026-01-01T12:00:00Z"
    assert api.get(f"ExchangeRatesCDSEntity({found})").json()["Rate"] == 79.5


def test_update_and_delete(api: httpx.Client, project: str, sandbox: Sandbox) -> None:
    """odata.md: PATCH and DELETE answer 204; there is no upsert: a missing row is 400 with this text (clients)."""
    tag = api.get(key(project)).json()["@odata.etag"]
    assert api.patch(key(project), json={"ProjectName": "Viaduct"}).status_code == 204
    changed = api.get(key(project)).json()
    assert changed["ProjectName"] == "Viaduct"
    assert changed["@odata.etag"] != tag
    missing = "No resources were found when selecting for update."
    assert refused(api.patch(key("nobody"), json={"ProjectName": "x"})) == missing
    assert refused(api.delete(key("nobody"))) == missing
    assert "update conflict" in refused(api.delete(key(project), headers={"if-match": tag}))
    assert api.delete(key(project), headers={"if-match": "*"}).status_code == 204
    assert refused(api.delete(key(project))) == missing
    assert sandbox.writes["finance"].counts()["ProjectsV2"]["delete"] >= 1


def test_replace(api: httpx.Client, project: str) -> None:
    """odata.md: PUT is supported; 204, and that other fields get their defaults, are assumptions."""
    api.patch(key(project), json={"ProjectStage": "InProcess"}).raise_for_status()
    assert api.put(key(project), json={"ProjectName": "Viaduct"}).status_code == 204
    row = api.get(key(project)).json()
    assert (row["ProjectName"], row["ProjectStage"], row["ProjectId"]) == ("Viaduct", "Created", project)
    refused(api.put(key("nobody"), json={"ProjectName": "x"}))


def test_single_properties(api: httpx.Client, project: str) -> None:
    """odata.md: the path of a property below its row."""
    answer = api.get(f"{key(project)}/ProjectName").raise_for_status().json()
    assert answer["value"] == "Depot"
    assert answer["@odata.context"].endswith(f"#{key(project)}/ProjectName")
    assert api.get(f"{key('nobody')}/ProjectName").status_code == 404
    assert api.get(f"{key(project)}/Nothing").status_code == 501


def test_keys_cannot_be_changed(api: httpx.Client, project: str) -> None:
    """Assumption: key fields are not editable; naming them unchanged does no harm."""
    assert api.patch(key(project), json={"dataAreaId": "USPM", "ProjectName": "a"}).status_code == 204
    assert "cannot be changed" in refused(api.patch(key(project), json={"ProjectId": "other"}))


def test_companies(api: httpx.Client) -> None:
    """odata.md, cross-company-behavior.md: the user's company unless cross-company=true; POST takes the body's."""
    number = unique("C")
    for company in ("uspm", "gbpm"):
        row = {"dataAreaId": company, "CustomerAccount": number, "CustomerGroupId": "10"}
        api.post("CustomersV3", json=row).raise_for_status()

    def found(condition: str, **options: str) -> set[str]:
        params = {"$filter": condition, "$select": "dataAreaId", **options}
        return {row["dataAreaId"] for row in api.get("CustomersV3", params=params).json()["value"]}

    own = f"CustomerAccount eq '{number}'"
    assert found(own) == {"uspm"}
    assert found(f"{own} and dataAreaId eq 'gbpm'") == set()
    assert found(own, **CROSS) == {"uspm", "gbpm"}
    assert found(f"{own} and dataAreaId eq 'GBPM'", **CROSS) == {"gbpm"}
    theirs = f"CustomersV3(dataAreaId='gbpm',CustomerAccount='{number}')"
    refused(api.patch(theirs, json={"OrganizationName": "x"}))
    assert api.patch(theirs, params=CROSS, json={"OrganizationName": "x"}).status_code == 204
    assert api.get(theirs).status_code == 404
    unknown = {"dataAreaId": "zzzz", "CustomerAccount": number, "CustomerGroupId": "10"}
    assert "'Legal entities'" in refused(api.post("CustomersV3", json=unknown))


def test_filters(api: httpx.Client) -> None:
    """odata.md: enum literals with namespace, eq and ne only; a wildcard inside eq; text compares without case."""
    mark = unique("F")
    stages = {"One": "InProcess", "two_x": "Completed", "twoyx": "InProcess"}
    for name, stage in stages.items():
        body = {"ProjectId": unique("P"), "ProjectName": name, "Description": mark, "ProjectStage": stage}
        api.post("ProjectsV2", json=body).raise_for_status()

    def found(condition: str, **options: str) -> list[str]:
        params = {"$filter": f"Description eq '{mark}' and ({condition})", "$orderby": "ProjectName", **options}
        return [row["ProjectName"] for row in api.get("ProjectsV2", params=params).raise_for_status().json()["value"]]

    assert found(f"ProjectStage eq {ENUM}ProjStatus'InProcess'") == ["One", "twoyx"]
    assert found(f"ProjectStage ne {ENUM}ProjStatus'InProcess'") == ["two_x"]
    assert found("ProjectName eq 'ONE'") == ["One"]
    assert found("ProjectName eq '*_x'") == ["two_x"]
    assert found("ProjectName eq 'tw*'") == ["two_x", "twoyx"]
    assert found("ActualStartDate eq 1900-01-01T12:00:00Z", **{"$skip": "1", "$top": "1"}) == ["two_x"]
    assert (
        found("IsHeader eq Microsoft.Dynamics.DataEntities.NoYes'No'", **{"$orderby": "ProjectName desc"})[0] == "twoyx"
    )
    params = {"$filter": f"Description eq '{mark}'", "$count": "true", "$top": "1"}
    assert api.get("ProjectsV2", params=params).json()["@odata.count"] == 3
    assert api.get("ProjectsV2/$count", params={"$filter": f"Description eq '{mark}'"}).text == "3"
    for wrong in ("ProjectStage eq 'InProcess'", f"ProjectStage gt {ENUM}ProjStatus'Created'", "Nothing eq 1",
                  f"ProjectStage eq {ENUM}ProjStatus'Nope'", "ProjectName eq 5"):  # fmt: skip
        refused(api.get("ProjectsV2", params={"$filter": wrong}))


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("GET", "ProjectsV2?$expand=Tasks"),
        ("GET", "ProjectsV2?$filter=contains(ProjectName,'x')"),
        ("GET", "ProjectsV2?$filter=ProjectName eq null"),
        ("GET", "ProjectsV2?$filter=ScheduleDurationInDays add 1 eq 2"),
        ("GET", "ProjectsV2?$apply=groupby((ProjectId))"),
        ("GET", "ProjectsV2?$format=xml"),
        ("POST", "DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.ExportToPackageDelta"),
        ("POST", "ProjectsV2(dataAreaId='uspm',ProjectId='x')/Microsoft.Dynamics.DataEntities.close"),
        ("PATCH", "ProjectsV2(dataAreaId='uspm',ProjectId='x')/ProjectName"),
    ],
)
def test_what_is_not_played_is_refused_by_name(api: httpx.Client, method: str, url: str) -> None:
    """The sandbox's own promise: an error that says so, never an approximation (unknown sets are no route at all)."""
    answer = api.request(method, url)
    assert answer.status_code == 501
    assert answer.json()["error"]["code"] == "SandboxNotImplemented"


@pytest.mark.parametrize(
    ("system", "path"),
    [
        ("finance", "/metadata/Labels"),
        ("finance", "/api/services/UserSessionService"),
        ("dataverse", "/api/data/v8.2/accounts"),
    ],
)
def test_other_services_are_refused_by_name(sandbox: Sandbox, system: str, path: str) -> None:
    """services-home-page.md names them; the sandbox does not play them."""
    with signed_in(sandbox, system, "") as client:
        answer = client.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (501, "SandboxNotImplemented")
    assert path in answer.json()["error"]["message"]


def test_pages(api: httpx.Client, sandbox: Sandbox) -> None:
    """odata.md: at most 10,000 rows a page; the form of the next link ($skip) is an observed one."""
    with sandbox.finance_store.transaction() as tx:
        rows = (
            {"dataAreaId": "gbpm", "ProjectId": f"PAGE-{number:05}", "Description": "page"} for number in range(10_003)
        )
        tx.insert_many("ProjectsV2", rows, hooks=False)
    params = {"$filter": "Description eq 'page'", "$select": "ProjectId", **CROSS}
    first = api.get("ProjectsV2", params=params).json()
    assert len(first["value"]) == 10_000
    assert "$skip=10000" in first["@odata.nextLink"]
    assert "cross-company=true" in first["@odata.nextLink"]
    last = api.get(first["@odata.nextLink"]).json()
    assert [row["ProjectId"] for row in last["value"]] == [f"PAGE-{number:05}" for number in range(10_000, 10_003)]
    assert "@odata.nextLink" not in last
    topped = api.get("ProjectsV2", params={**params, "$top": "10001"}).json()
    assert len(api.get(topped["@odata.nextLink"]).json()["value"]) == 1
    assert "@odata.nextLink" not in api.get("ProjectsV2", params={**params, "$top": "5"}).json()


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            {"CustomerGroupId": "Local"},
            (
                "Write failed for table row of type 'CustCustomerV3Entity'. Infolog: Warning: The value 'Local' in "
                "field 'Customer group id' is not found in the related table 'Customer groups'.; Warning: "
                "validateField failed on field 'CustCustomerV3Entity.CustomerGroupId'."
            ),
        ),
        ({"CustomerGroupId": ""}, "Field 'Customer group id' must be filled in."),
        (
            {"CustomerGroupId": "10", "OrganizationName": "x" * 101},
            "is longer than the maximum length of 100 characters.",
        ),
        ({"CustomerGroupId": "10", "IsOneTimeCustomer": "Maybe"}, f"expected type '{ENUM}NoYes'"),
        ({"CustomerGroupId": "10", "Nothing": 1}, f"does not exist on type '{ENUM}CustomerV3'"),
        ({"CustomerGroupId": "10", "CreditLimit": "5"}, "'CreditLimit'"),
        ({"CustomerGroupId": "10", "CreditLimit": None}, "A null value was found"),
    ],
)
def test_refused_rows(api: httpx.Client, body: dict[str, Any], text: str) -> None:
    """Status 400 and the Infolog text: value not found is recorded, the other texts are assumptions."""
    assert text in refused(api.post("CustomersV3", json={"CustomerAccount": unique("C"), **body}))


def test_duplicates(api: httpx.Client, project: str) -> None:
    """ "The record already exists." is quoted by clients; status 400 is an assumption."""
    message = refused(api.post("ProjectsV2", json={"ProjectId": project.lower()}))
    assert message.endswith("The record already exists.")


def test_restricted_deletes(api: httpx.Client, contract: str) -> None:
    """odata.md names checkRestrictedDeleteActions; the text follows the forms' own (assumption)."""
    line = {"ProjectContractId": contract, "LineSequenceNumber": 1}
    api.post("ProjectContractLines", json=line).raise_for_status()
    url = f"ProjectContractHeaders(dataAreaId='uspm',ProjectContractId='{contract}')"
    message = refused(api.delete(url))
    assert "cannot be deleted while dependent Project contract lines exist" in message
    api.delete(f"ProjectContractLines(dataAreaId='uspm',ProjectContractId='{contract}',LineSequenceNumber=1)")
    assert api.delete(url).status_code == 204


def test_nothing_is_written_by_a_refused_request(api: httpx.Client, sandbox: Sandbox, project: str) -> None:
    """odata.md: validation runs before the write."""
    before = sandbox.writes["finance"].counts()
    refused(api.patch(key(project), json={"ProjectName": "changed", "ProjectManagerPersonnelNumber": "nobody"}))
    assert api.get(key(project)).json()["ProjectName"] == "Depot"
    assert sandbox.writes["finance"].counts() == before
