"""A subcontract is one unit: its order is confirmed when all its lines are there, and reopened before they change."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from dualsync.errors import LegBusy
from support.orders import MAPS, Orders
from support.steps import Steps
from support.worlds import copied

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def orders(synced_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orders]:
    """One world for all tests of this module; each keeps to a subcontract of its own."""
    for world in copied(synced_home, tmp_path_factory.mktemp("orders") / "home"):
        one = world.settings.concurrency.model_copy(update={"finance": 1})
        world.settings = world.settings.model_copy(update={"concurrency": one})
        world.sync(area="subcontract_purchase_orders")
        yield Orders(world)


def told(orders: Orders, *words: str) -> Any:
    """What ``dualsync`` prints with ``--json``."""
    environ = {
        "DUALSYNC_HOME": str(orders.world.home),
        "DUALSYNC_SANDBOX": str(orders.world.home / "sandbox" / "sandbox.json"),
        "DUALSYNC_COMPANIES": "USPM,GBPM,FRRT",
    }
    command = [sys.executable, "-m", "dualsync.cli", *words, "--json"]
    return json.loads(subprocess.run(command, env=os.environ | environ, capture_output=True, check=True).stdout)


def confirmed(orders: Orders, number: str, lines: int = 3) -> str:
    """A subcontract that is confirmed on both sides."""
    subcontract = orders.draft(number, lines)
    orders.confirm(subcontract)
    orders.sync()
    assert orders.order(number)["SubConStatus"] == "Confirmed"
    orders.world.forget_requests()
    return subcontract


def test_an_order_is_confirmed_after_its_last_line(orders: Orders) -> None:
    subcontract = orders.draft("A")
    orders.confirm(subcontract)
    orders.world.forget_requests()

    summary = orders.sync()

    assert orders.written() == [
        "POST header A Draft",
        *(f"POST line A-{place}" for place in (1, 2, 3)),
        "PATCH header A Confirmed",
    ]
    four = {f"A-{place}": (4, 4) for place in (1, 2, 3)}
    assert orders.state("A") == ("Confirmed", "Confirmed", four)
    assert (summary.counts.created, orders.open()) == (4, {})
    assert orders.counts("A") == ((3, 3, True), True)

    # what came of it is no change: the number of the order goes back, and then all is quiet
    orders.sync()
    assert orders.sync().counts.planned == 0
    assert orders.sync(mode="full").counts.written == 0


def test_a_draft_rests_and_is_complete_with_its_lines(orders: Orders) -> None:
    subcontract = orders.draft("B", 2)
    orders.sync()
    assert orders.state("B") == ("Draft", "Approved", {"B-1": (4, 0), "B-2": (4, 0)})
    assert orders.counts("B") == ((2, 2, True), True)

    orders.world.forget_requests()
    orders.confirm(subcontract)
    dry = orders.sync(dry_run=True)
    assert [(leg.map, leg.counts.updated) for leg in dry.legs if leg.counts.planned] == [
        ("subcontracts", 1),  # the day on which it was confirmed
        ("subcontracts_trigger", 1),
    ]
    assert orders.written() == []
    orders.sync()
    assert orders.written() == ["PATCH header B", "PATCH header B Confirmed"]
    assert orders.state("B")[2] == {"B-1": (4, 4), "B-2": (4, 4)}


def test_a_line_that_is_held_keeps_the_order_open_and_is_named(orders: Orders) -> None:
    finance = orders.world.sandbox.finance_store
    with finance.transaction() as tx:
        (mapping,) = tx.find("SubcontractCategories", dataAreaId="uspm", TransactionType="Expense")[:1]
        kept = {name: value for name, value in mapping.items() if name != "RecId"}
        tx.delete("SubcontractCategories", mapping["RecId"])
    orders.confirm(orders.draft("C", 4))

    orders.sync()

    assert orders.order("C")["SubConStatus"] == "Draft"
    assert orders.counts("C") == ((4, 2, False), False)
    start = "waits for its lines: 2 of 4 of subcontract_lines are on both sides as they are now; missing: C-1 (quarant"
    assert orders.open()["subcontracts_trigger C"].reason.startswith(start)
    (unit,) = told(orders, "documents", "--open")
    missing = ["subcontract_lines", "subcontracts_trigger"]
    assert [unit[name] for name in ("key", "expected", "acknowledged", "missing")] == ["C", 4, 2, missing]
    assert told(orders, "status")["units"] == [{"map": "subcontracts", "company": "USPM", "incomplete": 1}]
    (explained,) = told(orders, "explain", "subcontracts", "C", "--company", "USPM")
    assert explained["units"] == [unit]

    with finance.transaction() as tx:
        tx.insert("SubcontractCategories", kept)
    orders.sync()
    assert orders.open() == {}
    assert orders.state("C") == ("Confirmed", "Confirmed", {f"C-{place}": (4, 4) for place in (1, 2, 3, 4)})
    assert orders.counts("C") == ((4, 4, True), True)


def test_a_reopened_order_goes_back_first_and_is_confirmed_last(orders: Orders) -> None:
    subcontract = confirmed(orders, "D")
    orders.reopen(subcontract)
    orders.sync()
    assert orders.written() == ["PATCH header D Draft"]
    assert orders.state("D")[:2] == ("Draft", "Approved")
    assert orders.counts("D") == ((3, 3, True), True)

    orders.world.forget_requests()
    orders.change("D-2", msdyn_quantity=7)
    orders.line(subcontract, "D-4")
    orders.remove("D-1")
    orders.confirm(subcontract)
    orders.sync()
    assert orders.written() == [
        "POST line D-4",
        "PATCH line D-2",
        "DELETE line D-1",
        "PATCH header D Confirmed",
    ]
    assert orders.state("D") == ("Confirmed", "Confirmed", {"D-2": (7, 7), "D-3": (4, 4), "D-4": (4, 4)})


def test_a_reopening_between_two_runs_is_made_up_for(orders: Orders) -> None:
    """Nobody saw the draft: the lines alone say that the order was open."""
    subcontract = confirmed(orders, "E")
    orders.reopen(subcontract)
    orders.change("E-2", msdyn_quantity=7)
    orders.line(subcontract, "E-4")
    orders.remove("E-1")
    orders.confirm(subcontract)

    orders.sync()

    assert orders.written() == [
        "PATCH header E Draft",
        "POST line E-4",
        "PATCH line E-2",
        "DELETE line E-1",
        "PATCH header E Confirmed",
    ]
    assert orders.state("E") == ("Confirmed", "Confirmed", {"E-2": (7, 7), "E-3": (4, 4), "E-4": (4, 4)})
    assert orders.open() == {}
    assert orders.sync(mode="full").counts.written == 0


def test_a_line_that_comes_while_a_run_is_on_its_way_holds_the_trigger(orders: Orders) -> None:
    """The lines are read once more before the trigger goes, not taken from what the run has seen."""
    subcontract = orders.draft("F", 2)
    orders.confirm(subcontract)
    orders.sync("subcontracts", "subcontract_lines")
    assert orders.order("F")["SubConStatus"] == "Draft"
    orders.line(subcontract, "F-3")
    orders.change("F-1", msdyn_price=11)
    orders.sync("subcontracts_trigger")
    reason = orders.open()["subcontracts_trigger F"].reason
    assert reason.endswith(
        "1 of 3 of subcontract_lines are on both sides as they are now; missing: F-1 (changed, and "
        "not sent yet), F-3 (not sent yet)"
    )
    assert orders.counts("F") == ((3, 1, False), False)
    orders.sync()
    assert orders.state("F") == ("Confirmed", "Confirmed", {f"F-{place}": (4, 4) for place in (1, 2, 3)})
    assert orders.counts("F") == ((3, 3, True), True)


def test_a_trigger_that_is_sent_late_looks_at_the_lines_again(orders: Orders) -> None:
    """A load that is tried again, or whose task was cleared, may come long after its plan."""
    subcontract = orders.draft("K", 2)
    orders.confirm(subcontract)
    orders.sync("subcontracts", "subcontract_lines")
    steps = Steps(orders.world, "subcontracts_trigger")
    assert steps.do("extract", "reconcile")["USPM"].counts == {"planned": 1}
    orders.line(subcontract, "K-3")
    late = steps.do("validate", "load", "settle")["USPM"]
    assert (late.counts["updated"], late.counts["waiting"]) == (0, 1)
    assert orders.open()["subcontracts_trigger K"].reason.endswith("missing: K-3 (not sent yet)")
    assert (orders.order("K")["SubConStatus"], orders.counts("K")[1]) == ("Draft", False)
    orders.sync()
    assert orders.state("K") == ("Confirmed", "Confirmed", {f"K-{place}": (4, 4) for place in (1, 2, 3)})


def test_lines_wait_while_their_order_cannot_be_reopened(orders: Orders) -> None:
    subcontract = confirmed(orders, "L", 1)
    orders.reopen(subcontract)
    orders.change("L-1", msdyn_quantity=7)
    orders.line(subcontract, "L-2")
    orders.confirm(subcontract)

    def refuse(request: httpx.Request) -> httpx.Response | None:
        if request.method != "PATCH" or "SubContractPurchaseOrderHeaders" not in str(request.url):
            return None
        return httpx.Response(400, json={"error": {"code": "", "message": "The order is locked."}}, request=request)

    steps = Steps(orders.world, "subcontract_lines")
    steps.do("extract", "reconcile", "validate")
    with orders.world.runtime() as runtime:
        runtime.ledger.take_lease("subcontracts_trigger", "USPM", "another run")
        with pytest.raises(LegBusy, match="subcontracts_trigger of USPM is being written by run another run"):
            steps.do("load")
        runtime.ledger.drop_leases("another run")
    assert steps.do("load", "settle", rule=refuse)["USPM"].counts["waiting"] == 2
    reason = orders.open()["subcontract_lines L-1"].reason
    assert reason.startswith("waits: its header L cannot be reopened: ")
    assert "The order is locked." in reason
    assert orders.written() == []
    assert orders.state("L") == ("Confirmed", "Confirmed", {"L-1": (4, 4)})
    assert orders.counts("L") == ((2, 0, False), False)

    with orders.world.runtime() as runtime:
        runtime.ledger.drop_leases(steps.run.run_id)
    orders.sync()
    assert orders.state("L") == ("Confirmed", "Confirmed", {"L-1": (7, 7), "L-2": (4, 4)})
    assert (orders.open(), orders.counts("L")) == ({}, ((2, 2, True), True))


def test_a_trigger_that_finance_changed_is_reported_and_left(orders: Orders) -> None:
    confirmed(orders, "G")
    area = "SubContractPurchaseOrderHeaders(dataAreaId='uspm',ProjSubContractNumber='G')"
    orders.world.finance_api.change(area, {"SubConStatus": "Draft"})
    orders.sync(mode="full")
    reason = orders.open()["subcontracts_trigger G"].reason
    assert reason == "changed in Finance, which does not own it: SubConStatus; change it back there, or in Dataverse"
    assert orders.order("G")["SubConStatus"] == "Draft"
    orders.world.finance_api.change(area, {"SubConStatus": "Confirmed"})
    orders.sync()
    assert orders.open() == {}


def test_a_subcontract_that_is_gone_leaves_no_unit(orders: Orders) -> None:
    orders.draft("H", 2)
    orders.sync()
    orders.drop("H")
    orders.sync()
    assert orders.units("H") == {}
    assert orders.open() == {}
    assert orders.world.finance_api.rows("SubContractPurchaseOrderHeaders", "ProjSubContractNumber eq 'H'") == []
    assert orders.world.finance_api.rows("ProjSubContractPurchaseOrderLines", "SubcontractNumber eq 'H'") == []
    # the same number again is another subcontract
    orders.confirm(orders.draft("H", 1))
    orders.sync()
    assert orders.state("H") == ("Confirmed", "Confirmed", {"H-1": (4, 4)})


def test_a_header_that_finance_refuses_makes_its_trigger_wait(orders: Orders) -> None:
    with orders.world.sandbox.finance_store.transaction() as tx:
        (vendor,) = tx.find("VendorsV2", dataAreaId="uspm", VendorAccountNumber="V-000001")
        tx.update("VendorsV2", vendor["RecId"], {"LanguageId": ""})
    orders.confirm(orders.draft("I", 1))
    orders.sync()
    found = orders.open()
    assert "Language" in found["subcontracts I"].reason
    assert found["subcontracts_trigger I"].reason == "waits for its header, which is not in Finance"
    assert orders.counts("I") == ((0, 0, False), False)
    with orders.world.sandbox.finance_store.transaction() as tx:
        tx.update("VendorsV2", vendor["RecId"], {"LanguageId": "en-us"})
    orders.sync()
    assert orders.state("I") == ("Confirmed", "Confirmed", {"I-1": (4, 4)})
    assert orders.counts("I") == ((1, 1, True), True)


def test_the_first_run_adopts_what_is_confirmed_already(orders: Orders) -> None:
    confirmed(orders, "J", 1)
    with orders.world.runtime() as runtime, runtime.ledger._engine.begin() as connection:
        for table in ("bases", "positions", "legs", "units"):
            connection.exec_driver_sql(f"DELETE FROM {table} WHERE map LIKE 'subcontract%'")
    orders.world.forget_requests()
    summary = orders.sync(mode="full")
    assert orders.written() == []
    assert {
        leg.map: leg.counts.unchanged > 0 for leg in summary.legs if leg.direction == "to_finance"
    } == dict.fromkeys(MAPS, True)
    assert orders.units("J") == {}
    assert orders.sync().counts.written == 0
