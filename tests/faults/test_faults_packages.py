"""Imports by data package whose parts fail: the rows are there once, or the reason is."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from dualsync.errors import Refused, Unavailable
from dualsync.mapping import Catalog
from dualsync.settings import Settings
from dualsync.systems import Finance, ImportResult, open_finance
from dualsync_sandbox import Sandbox

ENTITY = Catalog.load()["transaction_relationships"].finance
COLUMNS = ("ConnectionId", *(f"Transaction{end}{what}" for end in (1, 2) for what in ("Id", "Role", "Type")))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("packages")) as one:
        with one.finance_store.transaction() as tx:
            tx.insert("LegalEntities", {"LegalEntityId": "USPM"})
        yield one


@pytest.fixture
def sandbox(running: Sandbox) -> Iterator[Sandbox]:
    yield running
    running.faults.clear()
    running.clock.advance(timedelta(minutes=2))


@pytest.fixture
def finance(sandbox: Sandbox, tmp_path: Path) -> Iterator[Finance]:
    environ = {"DUALSYNC_SANDBOX": str(sandbox.state_dir / "sandbox.json")}
    given = Settings.load({"home": tmp_path}, environ=environ)
    settings = given.model_copy(update={"timeouts": given.timeouts.model_copy(update={"read": 1.0})})
    with open_finance(settings, sleep=lambda seconds: sandbox.clock.advance(timedelta(seconds=seconds))) as client:
        yield client


def relationships(count: int, **changes: object) -> list[dict[str, Any]]:
    ends = {
        name: value
        for end, role in ((1, "Unbilled sales"), (2, "Cost"))
        for name, value in {
            f"Transaction{end}Id": str(uuid4()),
            f"Transaction{end}Role": role,
            f"Transaction{end}Type": "msdyn_actual",
        }.items()
    }
    return [{"ConnectionId": str(uuid4()), **ends, **changes} for _ in range(count)]


def load(finance: Finance, rows: list[dict[str, Any]]) -> ImportResult:
    assert ENTITY.target
    return finance.import_rows(ENTITY.entity, COLUMNS, rows, "USPM", target=ENTITY.target, key=ENTITY.key)


def stored(sandbox: Sandbox, rows: list[dict[str, Any]]) -> int:
    with sandbox.finance_store.reading() as tx:
        return sum(tx.count("TransactionRelationships", ConnectionId=row["ConnectionId"]) for row in rows)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "throttled", "retry_after": 5},
        {"kind": "unavailable", "status": 502},
        {"kind": "unauthorized"},
        {"kind": "reset"},
        {"kind": "truncated"},
        {"kind": "timeout", "when": "after"},
    ],
    ids=lambda fault: fault["kind"],
)
def test_every_request_of_an_import_may_fail_once(finance: Finance, sandbox: Sandbox, fault: dict[str, Any]) -> None:
    """Addresses, uploads, the order itself, and all questions after it; one row is refused so that all are asked."""
    rows = relationships(2)
    (bad,) = relationships(1, Transaction1Role=None)
    asked = ("GetAzureWriteUrl", "/blobs/", "GetExecutionSummaryStatus", "GetExecutionErrors", "TargetErrorKeysFile")
    surely_not_done = fault["kind"] in ("throttled", "unauthorized")
    for part in (*asked, "ImportFromPackage") if surely_not_done else asked:
        if not (part == "/blobs/" and fault["kind"] in ("unauthorized", "truncated")):
            sandbox.faults.plan(**fault, path=part, times=1)
    planned = len(sandbox.faults.listed())

    result = load(finance, [*rows, bad])

    assert sandbox.faults.struck() == planned
    assert (result.written, [error.key for error in result.errors]) == (2, [(bad["ConnectionId"],)])
    assert stored(sandbox, rows) == 2


@pytest.mark.parametrize("kind", ["reset", "timeout"])
def test_an_order_whose_answer_is_lost_is_found_by_its_id(finance: Finance, sandbox: Sandbox, kind: str) -> None:
    """A second order would be refused, since two imports cannot run at once."""
    sandbox.faults.plan(kind=kind, when="after", path="ImportFromPackage", times=1)
    rows = relationships(2)
    assert load(finance, rows) == ImportResult(2)
    assert stored(sandbox, rows) == 2
    assert sandbox.trace(path="ImportFromPackage")[-1]["fault"] == kind, "it was not ordered again"


@pytest.mark.parametrize("kind", ["unavailable", "timeout"])
def test_an_order_that_never_arrived_is_said_to_be_lost(finance: Finance, sandbox: Sandbox, kind: str) -> None:
    sandbox.faults.plan(kind=kind, when="before", path="ImportFromPackage", times=1)
    rows = relationships(1)
    with pytest.raises(Exception, match="Finance") as caught:
        load(finance, rows)
    assert getattr(caught.value, "maybe_applied", False)
    assert stored(sandbox, rows) == 0
    assert load(finance, rows) == ImportResult(1), "doing it again does no harm"


def test_an_import_that_is_canceled_half_way_is_done_again(finance: Finance, sandbox: Sandbox) -> None:
    sandbox.faults.plan(kind="half_batch", operations=1, times=1)
    rows = relationships(3)
    with pytest.raises(Refused, match="canceled") as caught:
        load(finance, rows)
    assert caught.value.code == "Canceled"
    assert stored(sandbox, rows) == 1
    assert load(finance, rows) == ImportResult(3)
    assert stored(sandbox, rows) == 3


def test_an_import_of_somebody_else_is_no_refusal_of_ours(finance: Finance, sandbox: Sandbox) -> None:
    """Two imports cannot run at once: ours may be tried again when the other one has ended."""
    from dualsync_sandbox.finance.data_management.archive import package_of

    other = package_of("Customer groups", b"CUSTOMERGROUPID\r\n1\r\n")
    sandbox.packages.imports.begin("other", "USPM", other)
    rows = relationships(1)
    with pytest.raises(Unavailable, match="another import"):
        load(finance, rows)
    sandbox.clock.advance(timedelta(minutes=2))
    assert load(finance, rows) == ImportResult(1)
