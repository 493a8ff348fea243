"""What goes wrong at the sandbox's endpoints when it is planned, seen by plain httpx; snapshots to go back to.

The answers follow "Service protection API limits" of both systems and "Compose HTTP requests and handle errors"; the
bodies of 500 and of refused links are assumptions.
"""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from dualsync_sandbox import Sandbox
from support.signed_in import signed_in

CURRENCIES = "Currencies"
CONTACT = {"lastname": "Reed"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("faults")) as one:
        with one.finance_store.transaction() as tx:
            tx.insert_many(CURRENCIES, [{"CurrencyCode": f"C{number:02}"} for number in range(5)])
        yield one


@pytest.fixture
def sandbox(running: Sandbox) -> Iterator[Sandbox]:
    """Nothing planned before or after."""
    yield running
    running.faults.clear()
    running.limits.reset()


@pytest.fixture(scope="module")
def dataverse(running: Sandbox) -> Iterator[httpx.Client]:
    with signed_in(running, "dataverse", "/api/data/v9.2/") as client:
        yield client


@pytest.fixture(scope="module")
def finance(running: Sandbox) -> Iterator[httpx.Client]:
    with signed_in(running, "finance", "/data/") as client:
        yield client


@pytest.fixture(scope="module")
def control(running: Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=str(running.info["control"]), timeout=60) as client:
        yield client


def currencies(sandbox: Sandbox) -> set[str]:
    with sandbox.finance_store.reading() as tx:
        return {str(row["CurrencyCode"]) for row in tx.find(CURRENCIES)}


def test_plan_and_count(sandbox: Sandbox, control: httpx.Client, finance: httpx.Client) -> None:
    """The sandbox's own: faults strike by method and path, after some were let through, so many times."""
    plan = {"kind": "unavailable", "system": "finance", "method": "GET", "path": CURRENCIES, "skip": 1, "times": 2}
    (listed,) = control.post("/faults", json=plan).raise_for_status().json()["faults"]
    assert (listed["kind"], listed["met"], listed["struck"]) == ("unavailable", 0, 0)
    assert finance.get("CustomerGroups").status_code == 200
    assert [finance.get(CURRENCIES).status_code for _ in range(4)] == [200, 503, 503, 200]
    (listed,) = control.get("/faults").json()["faults"]
    assert listed["struck"] == 2
    assert [entry.get("fault") for entry in sandbox.trace(path=CURRENCIES)[-4:]] == [
        None, "unavailable", "unavailable", None,
    ]  # fmt: skip
    assert control.delete("/faults").json() == {"faults": []}


def test_by_chance_with_a_seed(sandbox: Sandbox, finance: httpx.Client) -> None:
    """The sandbox's own: the same seed strikes the same requests."""

    def struck() -> list[int]:
        sandbox.faults.clear()
        sandbox.faults.plan(kind="throttled", probability=0.5, seed=3)
        return [finance.get(CURRENCIES).status_code for _ in range(12)]

    first = struck()
    assert set(first) == {200, 429}
    assert struck() == first


@pytest.mark.parametrize(
    "plan",
    [
        {"kind": "bad weather"},
        {"kind": "slow", "colour": "red"},
        {"kind": "unavailable", "status": 200},
        {"kind": "unavailable", "times": 0},
        {"kind": "unavailable", "probability": 2},
    ],
)
def test_nonsense_is_refused(sandbox: Sandbox, control: httpx.Client, plan: dict[str, Any]) -> None:
    assert control.post("/faults", json=plan).status_code == 400
    assert sandbox.faults.listed() == []


@pytest.mark.parametrize(
    ("limit", "code"),
    [("requests", "0x80072322"), ("execution", "0x80072321"), ("concurrency", "0x80072326")],
)
@pytest.mark.parametrize("wait", [None, 7])
def test_dataverse_throttles(
    sandbox: Sandbox, dataverse: httpx.Client, limit: str, code: str, wait: int | None
) -> None:
    """api-limits: 429, a code for each limit, Retry-After in seconds; nothing is done."""
    sandbox.faults.plan(kind="throttled", limit=limit, times=1, **({} if wait is None else {"retry_after": wait}))
    answer = dataverse.post("contacts", json=CONTACT)
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, code)
    assert answer.headers.get("retry-after") == (None if wait is None else "7")
    with sandbox.dataverse_store.reading() as tx:
        assert tx.count("contact", lastname="Reed") == 0


def test_finance_throttles_by_its_resources(sandbox: Sandbox, finance: httpx.Client) -> None:
    """service-protection-api-limits.md: 429 with this text; there are no codes."""
    sandbox.faults.plan(kind="throttled", times=1, retry_after=30)
    answer = finance.get(CURRENCIES)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "30")
    assert "high resource utilization" in answer.json()["error"]["message"]


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("when", ["before", "after"])
def test_failures_before_and_after_the_commit(sandbox: Sandbox, finance: httpx.Client, status: int, when: str) -> None:
    """Recorded: gateways answer in HTML. Whether the row is there depends on when it failed."""
    code = f"{when[0].upper()}{status}"[:3]
    sandbox.faults.plan(kind="unavailable", status=status, when=when, times=1, retry_after=1.0)
    answer = finance.post(CURRENCIES, json={"CurrencyCode": code})
    assert (answer.status_code, answer.headers["retry-after"]) == (status, "1")
    assert ("<html>" in answer.text) == (status != 500)
    assert (code in currencies(sandbox)) == (when == "after")
    with sandbox.finance_store.transaction() as tx:
        for row in tx.find(CURRENCIES, CurrencyCode=code):
            tx.delete(CURRENCIES, row["RecId"])


@pytest.mark.parametrize("when", ["before", "after"])
def test_silence(sandbox: Sandbox, finance: httpx.Client, when: str) -> None:
    """No answer in the caller's time; the caller cannot tell whether it was done."""
    code = f"S{when[0].upper()}"
    sandbox.faults.plan(kind="timeout", when=when, times=1)
    with pytest.raises(httpx.ReadTimeout):
        finance.post(CURRENCIES, json={"CurrencyCode": code}, timeout=0.2)
    assert (code in currencies(sandbox)) == (when == "after")
    assert sandbox.trace(path=CURRENCIES)[-1]["status"] == 0
    sandbox.faults.clear()
    sandbox.faults.plan(kind="timeout", seconds=0.1, times=1)
    with pytest.raises(httpx.TransportError):
        finance.get(CURRENCIES)


@pytest.mark.parametrize("path", [CURRENCIES, "Currencies(CurrencyCode='C00')"])
def test_reset_in_the_body(sandbox: Sandbox, finance: httpx.Client, path: str) -> None:
    """The connection breaks in the middle of an answer, or before one that has no body; the request was done."""
    sandbox.faults.plan(kind="reset", times=1)
    one = path != CURRENCIES
    with pytest.raises(httpx.TransportError):
        finance.request("PATCH" if one else "GET", path, json={"Name": "Reset"} if one else None)
    if one:
        assert finance.get(path).json()["Name"] == "Reset"


def test_truncated_json(sandbox: Sandbox, finance: httpx.Client) -> None:
    sandbox.faults.plan(kind="truncated", times=1)
    whole, cut = finance.get("CustomerGroups"), finance.get(CURRENCIES)
    assert whole.status_code == 200
    sandbox.faults.clear()
    again = finance.get(CURRENCIES)
    assert whole.content != again.content
    assert cut.content == again.content
    sandbox.faults.plan(kind="truncated", times=1)
    short = finance.get(CURRENCIES)
    assert short.status_code == 200
    assert again.content.startswith(short.content)
    assert len(short.content) == len(again.content) // 2


def test_slow_drip(sandbox: Sandbox, finance: httpx.Client) -> None:
    sandbox.faults.plan(kind="slow", seconds=0.2, pieces=4, times=1)
    began = time.perf_counter()
    assert len(finance.get(CURRENCIES).json()["value"]) >= 5
    assert time.perf_counter() - began >= 0.2


def test_a_good_token_is_refused(sandbox: Sandbox, dataverse: httpx.Client) -> None:
    """authenticate-oauth: 401 names the authority."""
    sandbox.faults.plan(kind="unauthorized", times=1)
    answer = dataverse.get("WhoAmI")
    assert answer.status_code == 401
    assert "authorization_uri" in answer.headers["www-authenticate"]
    assert dataverse.get("WhoAmI").status_code == 200


def test_links_that_repeat_or_expire(sandbox: Sandbox, finance: httpx.Client, dataverse: httpx.Client) -> None:
    sandbox.limits.change({"finance": {"page": 2}})
    sandbox.faults.plan(kind="repeated_link", system="finance", skip=1, times=1)
    first = finance.get(CURRENCIES, params={"$select": "CurrencyCode"}).json()
    link = first["@odata.nextLink"]
    second = finance.get(link).json()
    assert second["@odata.nextLink"] == link
    assert second["value"] != first["value"]
    sandbox.faults.plan(kind="expired_link")
    assert finance.get(CURRENCIES).status_code == 200
    assert finance.get(link).status_code == 400
    pages = dataverse.get("systemusers?$skiptoken=x")
    assert (pages.status_code, pages.json()["error"]["code"]) == (400, "0x80060888")


def test_change_tokens_expire_in_the_middle(sandbox: Sandbox, dataverse: httpx.Client) -> None:
    """use-change-tracking: the error of an expired token; the status is an assumption."""
    tracked = {"prefer": "odata.track-changes"}
    link = dataverse.get("contacts?$select=lastname", headers=tracked).json()["@odata.deltaLink"]
    sandbox.faults.plan(kind="expired_token", times=1)
    answer = dataverse.get(link)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "0x80044352")
    assert dataverse.get(link).status_code == 200


def test_somebody_else_changes_rows_between_pages(sandbox: Sandbox, finance: httpx.Client) -> None:
    """Offset paging: a row deleted from a page that was read lets the next page begin a row too late."""
    sandbox.limits.change({"finance": {"page": 2}})
    sandbox.snapshot("before")
    edits = [
        {"table": CURRENCIES, "where": {"CurrencyCode": "C00"}},
        {"table": CURRENCIES, "where": {"CurrencyCode": "C01"}, "values": {"Name": "Changed"}},
        {"table": CURRENCIES, "values": {"CurrencyCode": "Z99"}},
    ]
    sandbox.faults.plan(kind="rows_change", times=1, edits=edits)
    first = finance.get(CURRENCIES, params={"$orderby": "CurrencyCode"}).json()
    second = finance.get(first["@odata.nextLink"]).json()
    assert [row["CurrencyCode"] for row in first["value"]] == ["C00", "C01"]
    assert second["value"][0]["CurrencyCode"] == "C03", "C02 moved to the page that was read already"
    assert finance.get("Currencies(CurrencyCode='C01')").json()["Name"] == "Changed"
    sandbox.restore("before")
    assert {"C00", "C01", "C02"} <= currencies(sandbox)
    assert "Z99" not in currencies(sandbox)


def test_limits_of_requests_go_by_the_clock(sandbox: Sandbox, control: httpx.Client, dataverse: httpx.Client) -> None:
    """api-limits: so many requests in a sliding window of five minutes; 429 says how long to wait."""
    control.put("/clock", json={"now": "2026-03-02T09:00:00Z", "frozen": True}).raise_for_status()
    try:
        sandbox.limits.forget()
        control.put("/limits", json={"dataverse": {"requests": 3}}).raise_for_status()
        with signed_in(sandbox, "dataverse", "/api/data/v9.2/") as caller:
            assert [caller.get("WhoAmI").status_code for _ in range(2)] == [200, 200]
            control.post("/clock/advance", json={"minutes": 4})
            last = caller.get("WhoAmI")
            assert last.headers["x-ms-ratelimit-burst-remaining-xrm-requests"] == "0"
            refused = caller.get("WhoAmI")
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "60")
            assert refused.json()["error"]["code"] == "0x80072322"
            assert "limit of 3 over time window of 300 seconds" in refused.json()["error"]["message"]
            control.post("/clock/advance", json={"seconds": 60})
            assert caller.get("WhoAmI").status_code == 200
            control.put("/limits", json={"dataverse": {"enabled": False}})
            assert caller.get("WhoAmI").status_code == 200
    finally:
        control.put("/clock", json={"now": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())})


def test_limits_of_execution_time_and_servers(sandbox: Sandbox, dataverse: httpx.Client) -> None:
    """api-limits: combined execution time; each web server counts for itself, and the affinity cookie keeps to one."""
    sandbox.limits.forget()
    sandbox.limits.change({"execution_ms": {"dataverse": 600_000}, "dataverse": {"servers": 2}})
    dataverse.cookies.clear()
    kept = [dataverse.get("WhoAmI").status_code for _ in range(3)]
    assert kept == [200, 200, 429], "the cookie leads to the same server"
    dataverse.cookies.clear()
    free = []
    for _ in range(2):
        free.append(dataverse.get("WhoAmI").status_code)
        dataverse.cookies.clear()
    assert 200 in free, "another server has time left"


def test_limits_of_concurrency(sandbox: Sandbox) -> None:
    """api-limits: so many requests at one time, refused at once."""
    limits = sandbox.limits
    limits.forget()
    limits.change({"dataverse": {"concurrent": 2}})
    tickets = [limits.enter("dataverse", "app", "") for _ in range(2)]
    with pytest.raises(Exception, match="Number of concurrent requests exceeded the limit of 2"):
        limits.enter("dataverse", "app", "")
    limits.enter("dataverse", "another app", "")
    limits.leave(tickets[0], 1)
    limits.enter("dataverse", "app", "")
    limits.forget()


def test_finance_refuses_when_it_is_busy(sandbox: Sandbox, finance: httpx.Client) -> None:
    """service-protection-api-limits.md, priority-based-throttling.md: by load; imports are exempt."""
    sandbox.limits.forget()
    sandbox.limits.change({"execution_ms": {"finance": 50_000}})
    assert finance.get(CURRENCIES).status_code == 200
    sandbox.limits.change({"finance": {"priority": "Low"}})
    refused = finance.get(CURRENCIES)
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 5
    action = "DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.GetExecutionSummaryStatus"
    assert finance.post(action, json={"executionId": "none"}).status_code == 200
    sandbox.limits.change({"finance": {"priority": "High"}})
    assert finance.get(CURRENCIES).status_code == 200


def test_latency(sandbox: Sandbox, control: httpx.Client, finance: httpx.Client) -> None:
    control.put("/limits", json={"latency_ms": {"finance": 150}}).raise_for_status()
    began = time.perf_counter()
    finance.get(CURRENCIES)
    assert time.perf_counter() - began >= 0.15
    assert control.put("/limits", json={"latency_ms": {"mars": 1}}).status_code == 400
    assert control.put("/limits", json={"dataverse": 5}).status_code == 400
    assert control.delete("/limits").json()["latency_ms"]["finance"] == 0


def test_snapshots(sandbox: Sandbox, control: httpx.Client, dataverse: httpx.Client) -> None:
    """The sandbox's own: rows, clock, switches and change tokens are as they were."""
    tracked = {"prefer": "odata.track-changes"}
    link = dataverse.get("contacts?$select=lastname", headers=tracked).json()["@odata.deltaLink"]
    assert "here" in control.post("/snapshots", json={"name": "here"}).json()["snapshots"]
    then = sandbox.clock.now()
    url = dataverse.post("contacts", json=CONTACT).headers["odata-entityid"]
    control.post("/clock/advance", json={"hours": 1})
    control.put("/switches", json={"protect_actuals": True})
    control.post("/snapshots/restore", json={"name": "here"}).raise_for_status()
    assert dataverse.get(url).status_code == 404
    assert (sandbox.clock.now() - then).total_seconds() < 60
    assert control.get("/switches").json()["protect_actuals"] is False
    assert dataverse.get(link).json()["value"] == []
    again = dataverse.post("contacts", json=CONTACT).headers["odata-entityid"]
    assert [row["contactid"] in again for row in dataverse.get(link).json()["value"]] == [True]
    dataverse.delete(again)
    assert control.post("/snapshots/restore", json={"name": "never"}).status_code == 400
    assert control.post("/snapshots", json={"name": "../up"}).status_code == 400
