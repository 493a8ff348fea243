"""``$batch`` of the sandbox's Dataverse: webapi/execute-batch-operations-using-web-api, section by section."""

import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from dualsync_sandbox import Sandbox
from support.batches import answers, change_set, part, send
from support.signed_in import signed_in


@pytest.fixture(scope="module")
def api(bare: Sandbox) -> Iterator[httpx.Client]:
    with signed_in(bare, "dataverse", "/api/data/v9.2/") as client:
        yield client


def number() -> str:
    return f"W-{uuid.uuid4().hex[:10]}"


def worker(worker_number: str, **values: object) -> dict[str, Any]:
    return {"cdm_workernumber": worker_number, **values}


def names(api: httpx.Client, *numbers: str) -> dict[str, Any]:
    """Last names of the workers that are there."""
    listed = ",".join(f'"{item}"' for item in numbers)
    condition = f"Microsoft.Dynamics.CRM.In(PropertyName='cdm_workernumber',PropertyValues=[{listed}])"
    rows = api.get("cdm_workers", params={"$select": "cdm_workernumber,cdm_lastname", "$filter": condition}).json()
    return {row["cdm_workernumber"]: row["cdm_lastname"] for row in rows["value"]}


def test_requests_run_in_order(api: httpx.Client) -> None:
    """Batch requests: relative, root-relative and absolute URLs; creates tell where the row is; reads come as JSON."""
    one, two, three = number(), number(), number()
    response = send(
        api,
        part("POST", "cdm_workers", worker(one, cdm_lastname="Ash")),
        part("POST", "/api/data/v9.2/cdm_workers", worker(two)),
        part("POST", f"{api.base_url}cdm_workers", worker(three), headers="Prefer: return=representation"),
        part("GET", f"{api.base_url}cdm_workers?$select=cdm_lastname&$filter=cdm_workernumber eq '{one}'"),
        part("DELETE", f"cdm_workers(cdm_workernumber='{one}')"),
    )
    assert (response.status_code, response.headers["odata-version"]) == (200, "4.0")
    created, also, shown, read, deleted = answers(response)
    assert (created.status, also.status, shown.status, read.status, deleted.status) == (204, 204, 201, 200, 204)
    assert created.headers["location"] == created.headers["odata-entityid"]
    assert created.headers["location"].startswith(f"{api.base_url}cdm_workers(")
    assert shown.body["cdm_workernumber"] == three
    assert read.headers["content-type"].endswith("odata.streaming=true")
    assert [row["cdm_lastname"] for row in read.body["value"]] == ["Ash"]
    assert set(names(api, one, two, three)) == {two, three}


def test_the_first_error_ends_the_batch(api: httpx.Client) -> None:
    """Handling errors: status 400, still multipart, with the answers up to the failing one."""
    one, two = number(), number()
    parts = (
        part("POST", "cdm_workers", worker(one)),
        part("POST", "cdm_workers", worker(number(), cdm_lastname="x" * 200)),
        part("POST", "cdm_workers", worker(two)),
    )
    response = send(api, *parts)
    assert response.status_code == 400
    first, second = answers(response)
    assert (first.status, second.status) == (204, 400)
    assert second.body["error"]["code"] == "0x80044331"
    assert set(names(api, one, two)) == {one}


def test_continue_on_error(api: httpx.Client) -> None:
    """Handling errors, Prefer: odata.continue-on-error: status 200, and each part's own status."""
    one = number()
    response = send(
        api,
        part("POST", "cdm_workers", worker(number(), nothing=1)),
        part("GET", "nowhere"),
        change_set(
            part("POST", "cdm_workers", worker(number()), content_id="1"),
            part("POST", "cdm_workers", worker(number(), nothing=1), content_id="2"),
        ),
        part("POST", "cdm_workers", worker(one)),
        prefer="odata.continue-on-error",
    )
    assert response.status_code == 200
    assert [answer.status for answer in answers(response)] == [400, 404, 400, 204]
    assert response.headers["preference-applied"] == "odata.continue-on-error"
    assert set(names(api, one)) == {one}


def test_change_sets_are_all_or_nothing(api: httpx.Client, bare: Sandbox) -> None:
    """Change sets: one transaction; one answer for a set that failed (OData 4.0 part 1, 11.7.4)."""
    one, two, three = number(), number(), number()
    before = bare.writes["dataverse"].counts()
    failed = send(
        api,
        change_set(
            part("POST", "cdm_workers", worker(one), content_id="1"),
            part("PATCH", "$1", {"cdm_lastname": "x" * 200}, content_id="2"),
        ),
    )
    assert failed.status_code == 400
    assert [answer.status for answer in answers(failed)] == [400]
    assert names(api, one) == {}
    assert bare.writes["dataverse"].counts() == before

    done = send(
        api,
        change_set(
            part("POST", "cdm_workers", worker(two), content_id="1"),
            part("POST", "cdm_workers", worker(three), content_id="2"),
        ),
    )
    assert done.status_code == 200
    assert [(answer.status, answer.headers["content-id"]) for answer in answers(done)] == [(204, "1"), (204, "2")]
    assert set(names(api, two, three)) == {two, three}


def test_references_to_what_was_created_before(api: httpx.Client) -> None:
    """Reference URIs in an operation: in the URL, in @odata.bind and in @odata.id, of rows created earlier."""
    parent, child = f"O-{uuid.uuid4()}", f"A-{uuid.uuid4()}"
    response = send(
        api,
        change_set(
            part("POST", "accounts", {"name": parent}, content_id="1"),
            part("POST", "accounts", {"name": child, "parentaccountid@odata.bind": "$1"}, content_id="2"),
            part("PATCH", "$1", {"description": "patched"}, content_id="3", headers="If-Match: *"),
            part("PUT", "$2/telephone1", {"value": "555"}, content_id="4"),
            part("PUT", "$1/masterid/$ref", {"@odata.id": "$2"}, content_id="5"),
        ),
    )
    assert response.status_code == 200, response.text
    first, second, *_ = answers(response)
    top, below = (api.get(answer.headers["location"]).json() for answer in (first, second))
    assert (top["description"], below["telephone1"]) == ("patched", "555")
    assert (below["_parentaccountid_value"], top["_masterid_value"]) == (top["accountid"], below["accountid"])

    early = send(
        api,
        change_set(
            part("POST", "accounts", {"name": child, "parentaccountid@odata.bind": "$1"}, content_id="2"),
            part("POST", "accounts", {"name": parent}, content_id="1"),
        ),
    )
    assert early.status_code == 400
    message = answers(early)[0].body["error"]["message"]
    assert message == "Content-ID Reference: '$1' does not exist in the batch context."


@pytest.mark.parametrize(
    ("parts", "end", "text"),
    [
        ((part("POST", "$batch", {}),), "\r\n", "another batch"),
        ((change_set(part("GET", "accounts", content_id="1")),), "\r\n", "reads"),
        ((change_set(part("POST", "accounts", {}, content_id="")),), "\r\n", "Content-ID header not present"),
        ((part("GET", "accounts?$top=1"),) * 1001, "\r\n", "at most 1000"),
        ((part("GET", "accounts?$top=1"),), "", "Stream was not readable"),
        ((part("GET", "accounts?$top=1").replace("\r\n", "\n"),), "\r\n", "Stream was not readable"),
    ],
)
def test_batches_that_are_refused_whole(api: httpx.Client, parts: tuple[str, ...], end: str, text: str) -> None:
    """When to use batch requests (1,000, no batch inside); Change sets (no GET); "Web API client errors" (CRLF, also
    at the end). Content-ID as public clients met it. The codes of the first and the fourth are assumptions."""
    response = send(api, *parts, end=end)
    assert response.status_code == 400
    assert text in response.json()["error"]["message"]


def test_long_urls_fit_into_batches(api: httpx.Client) -> None:
    """When to use batch requests: a URL of up to 64 KB inside, 32 KB outside (query/overview)."""
    url = f"accounts?$select=name&$filter=name eq '{'x' * 40_000}'"
    assert api.get(url).status_code == 414
    assert [answer.status for answer in answers(send(api, part("GET", url)))] == [200]


def test_definitions_are_read_in_batches(api: httpx.Client) -> None:
    """As Airbyte's connector asks: types of dates of many tables in one batch (webapi/query-metadata-web-api)."""
    cast = "Attributes/Microsoft.Dynamics.CRM.DateTimeAttributeMetadata?$select=LogicalName,DateTimeBehavior"
    tables = ("account", "salesorder")
    urls = [f"/api/data/v9.2/EntityDefinitions(LogicalName='{name}')/{cast}" for name in tables]
    read = answers(send(api, *(part("GET", url) for url in urls)))
    assert [answer.status for answer in read] == [200, 200]
    behaviours = {row["LogicalName"]: row["DateTimeBehavior"]["Value"] for row in read[1].body["value"]}
    assert (behaviours["submitdate"], behaviours["createdon"]) == ("DateOnly", "UserLocal")


def test_writes_of_a_batch_meet_conditions(api: httpx.Client) -> None:
    """webapi/perform-conditional-operations-using-web-api inside of a batch: each request has headers of its own."""
    one = number()
    url = f"cdm_workers(cdm_workernumber='{one}')"
    response = send(
        api,
        part("PATCH", url, {}, headers="If-Match: *"),
        part("PATCH", url, {"cdm_lastname": "Ash"}, headers="If-None-Match: *"),
        part("PATCH", url, {"cdm_lastname": "Elm"}, headers="If-None-Match: *"),
        part("PATCH", url, {"cdm_lastname": "Oak"}, headers='If-Match: W/"1"'),
        part("PATCH", url, {"cdm_firstname": "A"}, headers="If-Match: *\r\nPrefer: return=representation"),
        prefer="odata.continue-on-error",
    )
    assert [answer.status for answer in answers(response)] == [404, 204, 412, 412, 200]
    assert names(api, one) == {one: "Ash"}
