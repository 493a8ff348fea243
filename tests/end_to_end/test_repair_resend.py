"""What a night found is sent again from its owner: the breaks are gone, and nothing else is different."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from dualsync.ledger import BreakRecord
from dualsync.ledger.breaks import BreakFilter
from dualsync.nightly import steps
from dualsync.nightly.publish import publish
from dualsync.repair.replay import outcomes
from dualsync.repair.resend import chosen_breaks, plan_resend, send
from support.commands import dualsync
from support.workload import differences, picture
from support.worlds import World

pytestmark = pytest.mark.slow

MAPS = ("projects", "actuals", "project_tasks", "payment_days")
CONTROLS = ("R1", "R6")
CUT_OVER: dict[str, Any] = {"CUTOVER__USPM": "2026-01-01", "CUTOVER__GBPM": "2026-01-01"}


def night(world: World) -> dict[tuple[str, str, str], BreakRecord]:
    """Reconcile, and return the open breaks by control, key and column."""
    world.sandbox.clock.advance(timedelta(hours=2))
    with world.runtime() as runtime:
        run = steps.begin(runtime, companies=["USPM"], maps=MAPS, controls=CONTROLS)
        steps.read(run, runtime)
        steps.compare(run, runtime)
        steps.ask(run, runtime)
        publish(run, runtime)
        found = runtime.ledger.nights.breaks(BreakFilter(still_open=True))
    return {(one.control, one.key, one.field): one for one in found}


def shown(world: World, *words: str, code: int = 0) -> dict[str, Any]:
    """What ``dualsync exceptions resend`` says."""
    printed = dualsync(world, "exceptions", "resend", *words, "--json", code=code, COMPANIES="USPM,GBPM", **CUT_OVER)
    told: dict[str, Any] = json.loads(printed.out)
    return told


def wrote(world: World) -> list[str]:
    """What was written, by method and set or table."""
    places = ("ProjectTasks", "ProjectsV2", "msdyn_actuals", "msdyn_paymentdays")
    return sorted(f"{one['method']} {place}" for one in world.writes() for place in places if place in one["path"])


def test_breaks_are_sent_again_from_their_owner(evening: World) -> None:
    """Missing in Finance, changed in Finance, missing in Dataverse, accounting that is lost in Dataverse."""
    world = evening
    finance, dataverse = world.sandbox.finance_store, world.sandbox.dataverse_store
    known = night(world).keys()
    whole = picture(world)

    with finance.transaction() as tx:
        renamed, other = tx.find("ProjectsV2", dataAreaId="uspm")[:2]
        tx.update("ProjectsV2", renamed["RecId"], {"ProjectName": "Renamed in Finance"})
        of_finance = {name: value for name, value in other.items() if name not in ("RecId", "RecVersion")}
        stranger = tx.insert("ProjectsV2", of_finance | {"ProjectId": "OF-FINANCE"})
        task = tx.find("ProjectTasks", dataAreaId="uspm")[-1]
        tx.delete("ProjectTasks", task["RecId"])
        posted = next(row for row in tx.find("ProjActualsImports", dataAreaId="uspm") if row["AccountingAmount"])
    with dataverse.transaction() as tx:
        tx.update("msdyn_actual", posted["ActualId"], {"msdyn_accountingamount": None})
        day = tx.find("msdyn_paymentday")[0]
        tx.delete("msdyn_paymentday", day["msdyn_paymentdayid"])
    found = {name: one for name, one in night(world).items() if name not in known}
    named = {(one.control, one.break_class): str(one.number) for one in found.values()}
    healing = {
        ("map:payment_days", "missing_in_dataverse"): "creates it in Dataverse (payment_days)",
        ("map:projects", "text"): "writes ProjectName in Finance (projects)",
        ("map:project_tasks", "missing_in_finance"): "creates it in Finance (project_tasks)",
        ("map:actuals", "amount"): "writes msdyn_accountingamount in Dataverse (actuals)",
        ("R6", "amount"): "writes msdyn_accountingamount in Dataverse (actuals)",
    }
    assert named.keys() == {*healing, ("map:projects", "wrong_owner")}

    # a dry run says what it would do, and does nothing; of two breaks of one row it is sent once
    broken = picture(world)
    world.forget_requests()
    told = shown(world, *named.values())
    assert (told["plan"]["rows"], told["plan"]["held"], told["sent"]) == (4, False, None)
    lines = {(one["control"], one["break_class"]): one for one in told["plan"]["lines"]}
    assert {name: lines[name]["reason"] for name in healing if lines[name]["heals"]} == healing
    (never,) = [one for one in lines.values() if not one["heals"]]
    assert never["reason"].startswith("it was made in the system that may not make it, and a re-send copies no such")
    assert world.writes() == []
    assert differences(broken, picture(world)) == {}

    # above the limit nothing is sent
    told = shown(world, *named.values(), "--send", "--limit", "3", code=1)
    assert (told["plan"]["held"], told["sent"]) == (True, None)
    assert world.writes() == []
    printed = dualsync(
        world, "exceptions", "resend", "--class", "text", "--send", COMPANIES="USPM,GBPM", GUARDS__RESEND="0", code=1
    )
    assert (
        "needs approval: 1 rows are more than the limit of 0 (setting guards.resend); nothing was sent" in printed.out
    )

    # what changes between plan and sending was not what was planned: it is left out, and waits for the next run
    with world.runtime() as runtime:
        breaks = chosen_breaks(runtime, [int(number) for number in named.values()])
        plan = plan_resend(runtime, breaks, limit=4)
        with finance.transaction() as tx:
            tx.update("ProjectsV2", renamed["RecId"], {"ProjectName": "Renamed once more"})
        summary = send(runtime, plan.run_id, by="anna")
        ended = {one.row.map: one for one in outcomes(runtime, summary.run_id)}
    assert wrote(world) == ["POST ProjectTasks", "POST msdyn_actuals", "POST msdyn_paymentdays"]
    assert {name: one.action for name, one in ended.items()} == {
        "payment_days": "create", "project_tasks": "create", "actuals": "update", "projects": "waiting",
    }  # fmt: skip
    assert ended["projects"].rule == "projects.moved"
    assert {leg.message for leg in summary.legs} == {"asked for by anna"}

    world.forget_requests()
    told = shown(world, named["map:projects", "text"], "--send", "--by", "anna")
    assert [(row["action"], row["columns"]) for row in told["sent"]["rows"]] == [("update", ["ProjectName"])]
    assert wrote(world) == ["PATCH ProjectsV2"]
    assert world.open_rows(map_name="projects") == []

    # the next night finds them gone; nothing else is different from before
    left = {name for name in night(world) if name not in known}
    assert left == {("map:projects", "OF-FINANCE", "")}
    with finance.transaction() as tx:
        tx.delete("ProjectsV2", stranger["RecId"])
    assert differences(whole, picture(world)).keys() <= {"dataverse msdyn_paymentday"}
    told = shown(world, named["map:projects", "text"])
    assert told["plan"]["lines"][0]["reason"] == "it is resolved already"
    world.forget_requests()
    assert world.sync(MAPS, companies=["USPM"]).counts.written == 0
    assert world.writes() == []

    printed = dualsync(world, "exceptions", "resend", "1717", code=2)
    assert printed.err == "error [request]: there is no exception number 1717; `dualsync exceptions list` lists them\n"
    printed = dualsync(world, "exceptions", "resend", code=2)
    assert (
        printed.err
        == "error [request]: name exceptions by their numbers, or choose them by control, class or company\n"
    )
