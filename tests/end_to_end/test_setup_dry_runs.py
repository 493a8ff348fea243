"""Dry runs and audits show what would be done and leave no trace: not in the systems, not in the own books."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from dualsync.systems import Dataverse

if TYPE_CHECKING:
    from support.worlds import World

pytestmark = pytest.mark.slow

MAPS = ["currencies", "resource_roles", "transaction_categories", "customer_groups", "payment_days", "contract_headers"]


@pytest.fixture(scope="module")
def companies() -> None:
    """All of them."""


def books(world: World) -> dict[str, list[Any]]:
    """What the ledger holds about the state of legs."""
    with closing(sqlite3.connect(world.home / ".dualsync" / "ledger.db")) as connection:
        return {
            table: sorted(connection.execute(f"SELECT * FROM {table}").fetchall())
            for table in ("bases", "positions", "leases", "open_rows")
        }


def base_files(world: World) -> list[str]:
    return sorted(str(path) for path in (world.home / ".dualsync" / "state").rglob("*.parquet"))


@pytest.mark.parametrize("words", [{"dry_run": True}, {"mode": "audit"}, {"mode": "full", "dry_run": True}])
def test_a_first_look_leaves_nothing_behind(seeded: World, words: dict[str, Any]) -> None:
    seeded.forget_requests()

    summary = seeded.sync(MAPS, **words)

    assert summary.state == "dry_run"
    counts = {(leg.map, leg.company): leg.counts for leg in summary.legs}
    assert all(one.conserved for one in counts.values())
    assert (counts["resource_roles", "_global"].created, counts["resource_roles", "_global"].unchanged) == (6, 2)
    assert counts["transaction_categories", "_global"].created == 8
    assert counts["currencies", "_global"].unchanged == 4
    assert [counts["payment_days", company].created for company in ("USPM", "GBPM", "FRRT")] == [2, 2, 2]
    assert counts["contract_headers", "USPM"].waiting == 10, "their customers have not been synchronised"
    assert seeded.writes() == []
    assert books(seeded) == {"bases": [], "positions": [], "leases": [], "open_rows": []}
    assert base_files(seeded) == []
    assert seeded.finance_api.rows("ProjectTransactionCategories") == []


@pytest.mark.parametrize("words", [{"dry_run": True}, {"mode": "audit"}, {"mode": "full", "dry_run": True}])
def test_a_look_at_changes_leaves_them_to_be_done(synced: World, words: dict[str, Any]) -> None:
    rows = [row for row in synced.dataverse_api.rows("msdyn_projects") if row["_msdyn_salesorderid_value"]]
    known = {row["ProjectId"] for row in synced.finance_api.rows("ProjectsV2")}
    first, second = [row for row in rows if row["msdyn_projectnumber"] in known][:2]
    rules = synced.dataverse_api.rows("msdyn_projectcontractsplitbillingrules")
    sources = {row["FundingSourceId"] for row in synced.finance_api.rows("ProjectFundingSources")}
    rule = next(row for row in rules if row["msdyn_number"] in sources)
    synced.dataverse_api.change(f"msdyn_projects({first['msdyn_projectid']})", {"msdyn_subject": "Renamed"})
    synced.dataverse_api.change(f"msdyn_projects({second['msdyn_projectid']})", {"msdyn_subject": "Long " * 20})
    synced.dataverse_api.delete(
        f"msdyn_projectcontractsplitbillingrules({rule['msdyn_projectcontractsplitbillingruleid']})"
    )
    before, files = books(synced), base_files(synced)
    synced.forget_requests()

    for _ in range(2):
        summary = synced.sync(["projects", "funding_sources"], **words)
        assert summary.state == "dry_run"
        assert (summary.counts.updated, summary.counts.quarantined, summary.counts.deleted) == (1, 1, 1)

    assert synced.writes() == []
    assert (books(synced), base_files(synced)) == (before, files)
    counts = synced.sync(["projects", "funding_sources"]).counts
    assert (counts.updated, counts.quarantined, counts.deleted) == (1, 1, 1)


def test_an_audit_switches_on_no_change_tracking(synced: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def track(*_: Any, **__: Any) -> None:
        raise AssertionError("an audit reads without change tracking")

    monkeypatch.setattr(Dataverse, "changes", track)
    synced.forget_requests()

    counts = synced.sync(["projects", "customers_v3"], mode="audit").counts

    assert counts.planned == counts.unchanged > 0
    assert synced.writes() == []
    assert not any("$deltatoken" in one["query"] for one in synced.sandbox.trace())


def test_an_audit_finds_what_an_incremental_run_cannot_see(synced: World) -> None:
    row = synced.finance_api.rows("ProjectsV2")[0]
    address = f"ProjectsV2(dataAreaId='{row['dataAreaId']}',ProjectId='{row['ProjectId']}')"
    synced.finance_api.change(address, {"ProjectName": "Changed in Finance"})

    assert synced.sync(["projects"]).counts.planned == 0
    counts = synced.sync(["projects"], mode="audit").counts

    assert (counts.conflict, counts.planned - counts.unchanged) == (1, 1)
    assert synced.open_rows() == [], "an audit writes nothing down"
