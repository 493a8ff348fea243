"""Imports by data package against the sandbox, over TLS and with real sign-in."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from dualsync.errors import Refused, SchemaMismatch
from dualsync.mapping import Catalog
from dualsync.settings import Settings
from dualsync.systems import Finance, ImportResult, open_finance
from dualsync_sandbox import Sandbox

RELATIONSHIPS = Catalog.load()["transaction_relationships"].finance
COLUMNS = ("ConnectionId", *(f"Transaction{end}{what}" for end in (1, 2) for what in ("Id", "Role", "Type")))


@pytest.fixture(scope="module")
def finance(settings: Settings, sandbox: Sandbox) -> Iterator[Finance]:
    with open_finance(settings, sleep=lambda seconds: sandbox.clock.advance(timedelta(seconds=seconds))) as client:
        yield client


def relationship(**changes: object) -> dict[str, Any]:
    row: dict[str, Any] = {"ConnectionId": str(uuid4())}
    for end, role in ((1, "Unbilled sales"), (2, "Cost")):
        row |= {
            f"Transaction{end}Id": str(uuid4()),
            f"Transaction{end}Role": role,
            f"Transaction{end}Type": "msdyn_actual",
        }
    return row | changes


def load(finance: Finance, rows: list[dict[str, Any]], legal_entity: str = "USPM") -> ImportResult:
    assert RELATIONSHIPS.target
    return finance.import_rows(
        RELATIONSHIPS.entity, COLUMNS, rows, legal_entity, target=RELATIONSHIPS.target, key=RELATIONSHIPS.key
    )


def stored(sandbox: Sandbox, row: dict[str, Any]) -> dict[str, Any] | None:
    with sandbox.finance_store.reading() as tx:
        return tx.find_one("TransactionRelationships", ConnectionId=row["ConnectionId"])


def test_rows_are_inserted_and_updated_by_key(finance: Finance, sandbox: Sandbox) -> None:
    rows = [relationship() for _ in range(3)]
    assert load(finance, rows) == ImportResult(3)
    assert load(finance, [rows[0] | {"Transaction2Role": "Original"}]) == ImportResult(1)
    found = stored(sandbox, rows[0])
    assert found is not None
    assert {name: found[name] for name in COLUMNS} == rows[0] | {"Transaction2Role": "Original"}


def test_good_rows_stay_and_bad_ones_come_back_by_key(finance: Finance, sandbox: Sandbox) -> None:
    good = relationship()
    empty = relationship(Transaction1Role=None)
    broken = relationship(Transaction2Id="no guid")
    result = load(finance, [good, empty, broken])
    assert result.written == 1
    assert {error.key for error in result.errors} == {(empty["ConnectionId"],), (broken["ConnectionId"],)}
    assert all(error.message and "without a reason" not in error.message for error in result.errors)
    assert stored(sandbox, good) is not None
    assert stored(sandbox, empty) is None


def test_all_rows_refused_are_all_named(finance: Finance) -> None:
    rows = [relationship(Transaction1Role=None) for _ in range(2)]
    result = load(finance, rows)
    assert result.written == 0
    assert {error.key for error in result.errors} == {(row["ConnectionId"],) for row in rows}


def test_a_company_or_an_entity_that_does_not_exist_is_refused(finance: Finance) -> None:
    with pytest.raises(Refused, match="ZZZZ does not exist"):
        load(finance, [relationship()], "ZZZZ")
    with pytest.raises(Refused, match="'No such entity'"):
        finance.import_rows("No such entity", ["A"], [{"A": "x"}], "USPM", target="Nothing", key=["A"])


def test_odata_does_not_show_the_entity(finance: Finance) -> None:
    with pytest.raises(SchemaMismatch):
        finance.metadata(RELATIONSHIPS.set)
