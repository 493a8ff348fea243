"""Rows that a person chose run through the ordinary steps, and everything else stays as it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple

import pytest

from dualsync.ledger import BaseRecord, OpenRow
from dualsync.repair.replay import find_rows, outcomes, replay
from dualsync.sides import Direction
from dualsync_sandbox.business.dataverse.entries.approvals import approve_time
from dualsync_sandbox.business.finance.expenses import Expense, Share
from dualsync_sandbox.errors import BusinessRuleViolation
from dualsync_sandbox.store import Event, Tx
from support.commands import dualsync
from support.cycles import CONTRACTS, Cycle
from support.orders import Orders
from support.worlds import World, copied

pytestmark = pytest.mark.slow

US = {"companies": ["USPM"]}
CUT_OVER: dict[str, Any] = {"CUTOVER__USPM": "2026-01-01", "CUTOVER__GBPM": "2026-01-01", "CUTOVER__FRRT": "2026-01-01"}


class State(NamedTuple):
    """What the ledger knows: nothing of it may move but what a replay is about."""

    bases: dict[tuple[str, str], BaseRecord]
    positions: dict[tuple[str, Direction, str], str | None]
    open: dict[tuple[str, str], OpenRow]


def state(world: World) -> State:
    with world.runtime() as runtime:
        ledger = runtime.ledger
        bases = {(base.map, base.company): base for name in runtime.catalog for base in ledger.bases(name)}
        positions = {
            (name, way, company): ledger.position(name, way, company)
            for name, company in bases
            for way in runtime.catalog[name].directions
        }
        return State(bases, positions, {(row.map, row.key): row for row in ledger.open_rows()})


def replayed(world: World, *words: str, code: int = 0) -> list[dict[str, Any]]:
    """What ``dualsync quarantine replay`` says became of each row."""
    printed = dualsync(world, "quarantine", "replay", *words, "--json", code=code, **CUT_OVER)
    rows: list[dict[str, Any]] = json.loads(printed.out)["rows"]
    return rows


def wrote(world: World) -> list[str]:
    return [f"{one['method']} {one['system']}" for one in world.writes()]


def test_a_quarantined_row_is_replayed_alone(cycle: Cycle) -> None:
    """Its source was put right; other rows in quarantine, and changes that wait in the feed, are left for their run."""
    world, works = cycle.world, cycle.works
    text = "Microsoft.Dynamics.DataEntities.ProjBillingType'NonChargeable'"
    gone = cycle.finance.one("LineProperties", f"dataAreaId eq 'uspm' and BillingType eq {text}")
    record = f"LineProperties(dataAreaId='uspm',BillingType={text})"
    cycle.finance.delete(record)
    projects = [works.project(), works.project()]
    for project in projects:
        approve_time(works.dataverse, works.time(project), billable=Decimal(6))
    assert cycle.send(**US).counts.quarantined == 2
    approve_time(works.dataverse, works.time(projects[0]))  # comes with the next run, not with a replay
    first, second = sorted(row.key for row in world.open_rows())
    before = state(world)

    world.forget_requests()
    (row,) = replayed(world, "actuals", first, code=1)
    assert (row["action"], row["rule"], row["healed"]) == ("quarantined", "actuals.refused", False)
    after = state(world)
    assert wrote(world) == ["POST finance"], "sent, and refused"
    assert after.positions == before.positions
    assert after.bases == before.bases
    still = after.open["actuals", first]
    assert still.first_seen == before.open["actuals", first].first_seen
    assert still.run_id != before.open["actuals", first].run_id, "the reason is fresh"
    assert after.open["actuals", second] == before.open["actuals", second]

    cycle.finance.create("LineProperties", {name: v for name, v in gone.items() if not name.startswith("@")})
    world.forget_requests()
    (row,) = replayed(world, "actuals", first, "--dry-run")
    assert (row["action"], row["company"], row["direction"]) == ("create", "USPM", "to_finance")
    assert wrote(world) == []
    assert state(world) == after

    (row,) = replayed(world, "actuals", first, "--company", "uspm", "--direction", "to_finance", "--by", "anna")
    assert (row["action"], row["healed"]) == ("create", True)
    assert wrote(world) == ["POST finance"]
    healed = state(world)
    assert healed.open.keys() == {("actuals", second)}
    assert healed.positions == before.positions
    moved = {place for place, base in healed.bases.items() if base != before.bases[place]}
    assert moved == {("actuals", "USPM")}
    assert healed.bases["actuals", "USPM"].rows == before.bases["actuals", "USPM"].rows + 1
    with world.runtime() as runtime:
        (run,) = [one for one in runtime.ledger.runs() if one.area == "replay_rows"][:1]
        assert [leg.message for leg in runtime.ledger.legs(run.run_id)] == ["asked for by anna"]

    # once more there is nothing to replay, and the error says where to look
    printed = dualsync(world, "quarantine", "replay", "actuals", first, code=2, **CUT_OVER)
    assert f"no row of map actuals waits or is blocked under the key '{first}'" in printed.err
    assert "dualsync quarantine list --map actuals" in printed.err
    assert "did you mean 'actuals'" in dualsync(world, "quarantine", "replay", "actualz", "x", code=2).err
    printed = dualsync(world, "quarantine", "replay", "actuals", first, "--direction", "up", code=2)
    assert "it has to_finance, to_dataverse" in printed.err

    world.forget_requests()
    counts = cycle.sync("actuals", **US).counts
    assert (counts.created, counts.quarantined) == (3, 0), "the other row, and what waited in the feed"
    assert world.open_rows() == []


@pytest.fixture(scope="module")
def orders(synced_home: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orders]:
    """A world with subcontracts."""
    for world in copied(synced_home, tmp_path_factory.mktemp("replayed") / "home"):
        one = world.settings.concurrency.model_copy(update={"finance": 1})
        world.settings = world.settings.model_copy(update={"concurrency": one})
        world.sync(area="subcontract_purchase_orders")
        yield Orders(world)


def test_a_trigger_is_replayed_after_its_lines(orders: Orders) -> None:
    """A header stays at rest as long as lines are missing, whoever asks; lines alone do not send its trigger."""
    world, finance = orders.world, orders.world.sandbox.finance_store
    with finance.transaction() as tx:
        (mapping,) = tx.find("SubcontractCategories", dataAreaId="uspm", TransactionType="Expense")[:1]
        kept = {name: value for name, value in mapping.items() if name != "RecId"}
        tx.delete("SubcontractCategories", mapping["RecId"])
    orders.confirm(orders.draft("C", 4))
    orders.sync()
    assert orders.open().keys() == {"subcontracts_trigger C", "subcontract_lines C-1", "subcontract_lines C-4"}

    world.forget_requests()
    (row,) = replayed(world, "subcontracts_trigger", "C", code=1)
    assert row["action"] == "waiting"
    assert row["reason"].startswith("waits for its lines: 2 of 4")
    assert orders.written() == []

    with finance.transaction() as tx:
        tx.insert("SubcontractCategories", kept)
    assert [row["action"] for row in replayed(world, "subcontract_lines", "C-1", "C-4")] == ["create", "create"]
    assert orders.written() == ["POST line C-1", "POST line C-4"]
    assert orders.order("C")["SubConStatus"] == "Draft"

    (row,) = replayed(world, "subcontracts_trigger", "C")
    assert (row["action"], row["columns"]) == ("update", ["SubConStatus"])
    assert orders.written()[2:] == ["PATCH header C Confirmed"]
    assert orders.open() == {}
    assert orders.units("C")["subcontracts_trigger"].complete
    orders.sync()
    assert orders.counts("C") == ((4, 4, True), True)
    world.forget_requests()
    orders.sync()
    assert orders.written() == []


def test_all_kinds_of_rows_are_replayed(shared: Cycle) -> None:
    """By data package, to Dataverse, in conflict, and rows that are no rows of the map any more."""
    world, works = shared.world, shared.works
    refusing = True

    def refuse(_: Tx, event: Event) -> None:
        assert event.after is not None
        if refusing and event.after["Transaction1Id"] == odd:
            raise BusinessRuleViolation("TransactionRelationships", "The relationship is locked by a running import.")

    works.finance.on("TransactionRelationships", {"create"}, refuse, when="before")
    project = works.project()
    _, sale, _ = approve_time(works.dataverse, works.time(project), billable=Decimal(6))
    odd = sale["msdyn_actualid"]
    shared.send(**US)
    number = shared.number(project)
    levels = {
        level: works.one("msdyn_projecttask", msdyn_project=project, msdyn_outlinelevel=level)["msdyn_tasknumber"]
        for level in (1, 2)
    }
    shared.report(Expense("TRAVEL", Decimal(80), "2026-03-02", (Share(number, activity_number=str(levels[1])),)))
    shared.sync("expenses", **US)
    with works.finance.transaction() as tx:
        (row,) = tx.find("ProjectsV2", ProjectId=number)
        tx.update("ProjectsV2", row["RecId"], {"ProjectName": "Renamed in Finance"})
    shared.sync("projects", mode="full", **US)
    held = {row.map: row for row in world.open_rows()}
    assert {name: row.state for name, row in held.items()} == {
        "transaction_relationships": "quarantined", "expenses": "quarantined", "projects": "conflict",
    }  # fmt: skip

    # nothing was put right: each is held back again
    world.forget_requests()
    with world.runtime() as runtime:
        rows = [row for name in held for row in find_rows(runtime, name, [held[name].key])]
        summary = replay(runtime, rows)
        ended = {one.row.map: one for one in outcomes(runtime, summary.run_id)}
    assert {name: (one.action, one.rule) for name, one in ended.items()} == {
        name: (row.state, row.rule) for name, row in held.items()
    }
    assert not [one for one in world.writes() if "ProjectsV2" in one["path"] or "msdyn_expenses" in one["path"]]

    refusing = False
    exported = shared.finance.one("ProjExpensesExport", f"ProjId eq '{number}'")
    name = works.one("msdyn_project", msdyn_projectid=project)["msdyn_subject"]
    with works.finance.transaction() as tx:
        for line in tx.find("ProjExpensesExport", ExpTransNumber=exported["ExpTransNumber"]):
            tx.update("ProjExpensesExport", line["RecId"], {"ProjActivityNumber": levels[2]})
        (row,) = tx.find("ProjectsV2", ProjectId=number)
        tx.update("ProjectsV2", row["RecId"], {"ProjectName": name})
    actions = [replayed(world, name, held[name].key)[0]["action"] for name in held]
    assert dict(zip(held, actions, strict=True)) == {
        "transaction_relationships": "create", "expenses": "create", "projects": "unchanged",
    }  # fmt: skip
    assert world.open_rows() == []
    shared.sync("transaction_relationships", "expenses", "projects", **US)
    known = [row["ConnectionId"] for row in shared.relationships()]
    connections = shared.dataverse.rows("msdyn_transactionconnections")
    assert sorted(known) == sorted(row["msdyn_transactionconnectionid"] for row in connections), "each of them once"
    number_of = [row["msdyn_externalexpensenumber"] for row in shared.dataverse.rows("msdyn_expenses")]
    assert number_of.count(exported["ExpTransNumber"]) == 1


def test_a_busy_leg_yields_and_a_lost_row_is_closed(shared: Cycle) -> None:
    """Two runs never write the same leg at once; what was held back and is gone from its source is held no more."""
    world, works = shared.world, shared.works
    project = works.project()
    shared.sync(*CONTRACTS, **US)
    task = works.one("msdyn_projecttask", msdyn_project=project, msdyn_outlinelevel=1)["msdyn_tasknumber"]
    number = shared.number(project)
    shared.report(Expense("TRAVEL", Decimal(70), "2026-03-02", (Share(number, activity_number=str(task)),)))
    shared.sync("expenses", **US)
    exported = shared.finance.one("ProjExpensesExport", f"ProjId eq '{number}'")
    held = {"map_name": "expenses", "key": exported["ExpTransNumber"]}
    (row,) = world.open_rows(**held)
    world.forget_requests()
    with world.runtime() as runtime:
        runtime.ledger.take_lease("expenses", "USPM", "another run")
        rows = find_rows(runtime, "expenses", [row.key])
        with works.finance.transaction() as tx:
            kept = tx.find("ProjExpensesExport", ExpTransNumber=row.key)
            for line in kept:
                tx.update("ProjExpensesExport", line["RecId"], {"ProjActivityNumber": ""})
        summary = replay(runtime, rows, run_id="busy")
        assert (summary.state, summary.again) == ("failed", True)
        assert "is being written by run another run" in outcomes(runtime, "busy")[0].reason
        assert runtime.ledger.open_rows(**held) == [row]
    assert world.writes() == []

    with works.finance.transaction() as tx:
        for line in kept:
            tx.delete("ProjExpensesExport", line["RecId"])
    with world.runtime() as runtime:
        runtime.ledger.drop_lease("expenses", "USPM", "another run")
        assert replay(runtime, rows).state == "settled"
        assert runtime.ledger.open_rows(**held) == []
    assert world.writes() == []
