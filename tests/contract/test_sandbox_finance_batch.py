"""``$batch`` of the sandbox's Finance: "Batch requests" in odata.md, and the general rules of OData 4.0 for batches.

That the batch itself answers 200 when an operation fails, and that the rest is then left undone unless the caller asks
to go on, are assumptions.
"""

import uuid
from collections.abc import Iterator

import httpx
import pytest

from dualsync_sandbox import Sandbox
from support.batches import answers, change_set, part, send
from support.signed_in import signed_in

SET = "/data/CustomerGroups"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("batch")) as running:
        with running.finance_store.transaction() as tx:
            tx.insert("LegalEntities", {"LegalEntityId": "USPM"})
        yield running


@pytest.fixture(scope="module")
def api(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with signed_in(sandbox, "finance", "/data/") as client:
        yield client


def number() -> str:
    return uuid.uuid4().hex[:10]


def group(one: str, **values: str) -> dict[str, str]:
    return {"CustomerGroupId": one, **values}


def address(one: str) -> str:
    return f"{SET}(dataAreaId='uspm',CustomerGroupId='{one}')"


def there(api: httpx.Client, *numbers: str) -> list[bool]:
    return [api.get(address(one).removeprefix("/data/")).status_code == 200 for one in numbers]


def test_requests_run_in_order(api: httpx.Client) -> None:
    """Creates give the whole row, changes 204; reads see what came before them."""
    one = number()
    created, changed, read = answers(
        send(
            api,
            part("POST", SET, group(one)),
            part("PATCH", address(one), {"Description": "Ports"}),
            part("GET", address(one)),
        )
    )
    assert (created.status, changed.status, read.status) == (201, 204, 200)
    assert created.body["CustomerGroupId"] == one
    assert read.body["Description"] == "Ports"


def test_a_change_set_is_all_or_nothing(api: httpx.Client, sandbox: Sandbox) -> None:
    """odata.md: change sets are atomic; a failed one is answered once, for the operation that failed."""
    one, two, three = number(), number(), number()
    before = sandbox.writes["finance"].counts().get("CustomerGroups", {})
    made = change_set(
        part("POST", SET, group(one), content_id="1"),
        part("PATCH", "$1", {"Description": "Locks"}, content_id="2"),
    )
    broken = change_set(
        part("POST", SET, group(two), content_id="3"),
        part("POST", SET, group(three, Description="x" * 500), content_id="4"),
    )
    first, second, failed = answers(send(api, made, broken))
    assert [first.status, second.status, failed.status] == [201, 204, 400]
    assert first.headers["content-id"] == "1"
    assert "longer than" in str(failed.body)
    assert there(api, one, two, three) == [True, False, False]
    counts = sandbox.writes["finance"].counts()["CustomerGroups"]
    assert counts["create"] == before.get("create", 0) + 1, "what was undone is not counted"


def test_a_failure_ends_the_batch_unless_told_otherwise(api: httpx.Client) -> None:
    one, two = number(), number()
    parts = [part("POST", SET, group(one)), part("DELETE", address("nobody")), part("POST", SET, group(two))]
    response = send(api, *parts)
    assert (response.status_code, [answer.status for answer in answers(response)]) == (200, [201, 400])
    assert there(api, one, two) == [True, False]
    response = send(api, *parts[1:], prefer="odata.continue-on-error")
    assert [answer.status for answer in answers(response)] == [400, 201]
    assert there(api, two) == [True]


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ([change_set(part("POST", SET, group("1")))], "Content-ID"),
        ([change_set(part("GET", SET, content_id="1"))], "reads"),
        ([part("GET", SET)] * 5001, "at most 5000"),
        (["Content-Type: text/plain\r\n\r\nGET x HTTP/1.1"], "application/http"),
    ],
)
def test_batches_that_are_refused_as_a_whole(api: httpx.Client, parts: list[str], why: str) -> None:
    """odata.md: Content-ID within change sets; service-protection-api-limits.md: 5,000 operations."""
    response = send(api, *parts)
    assert response.status_code == 400
    assert why in response.json()["error"]["innererror"]["message"]


def test_no_batch_in_a_batch(api: httpx.Client) -> None:
    (inner,) = answers(send(api, part("POST", "/data/$batch", {})))
    assert inner.status == 400
    assert api.get("$batch").status_code == 405


def test_a_batch_that_breaks_down_keeps_what_it_did(api: httpx.Client, sandbox: Sandbox) -> None:
    """The sandbox's own fault: the service fails between two operations; a change set under way is undone."""
    one, two, three, four = number(), number(), number(), number()
    sandbox.faults.plan(kind="half_batch", operations=1, times=1)
    response = send(api, *(part("POST", SET, group(item)) for item in (one, two)))
    assert response.status_code == 503
    assert there(api, one, two) == [True, False]
    sandbox.faults.plan(kind="half_batch", operations=1, times=1, status=500)
    parts = [part("POST", SET, group(item), content_id=item) for item in (three, four)]
    assert send(api, change_set(*parts)).status_code == 500
    assert there(api, three, four) == [False, False]
    sandbox.faults.clear()
