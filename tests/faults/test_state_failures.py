"""Systems that do not answer and rows that are refused: who stops, who goes on, and that nothing is lost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dualsync.errors import LegsFailed, Unavailable
from dualsync.sync.legs.spec import RunSpec
from dualsync.sync.run.runs import start_run
from dualsync.sync.run.serial import run_all
from dualsync.sync.run.steps import STEPS
from dualsync_sandbox.errors import BusinessRuleViolation
from support.steps import Rule, Steps, assert_conserved, open_runtime, refused_sign_in, state, unreachable
from support.workload import add_customers, change_project, company_id, projects
from support.worlds import World, leg

pytestmark = pytest.mark.slow

ALL = ("USPM", "GBPM", "FRRT")
GBPM_DOWN = ("/ProjectsV2", "gbpm")


@pytest.fixture
def renamed(synced: World) -> dict[str, dict[str, Any]]:
    """One renamed project in each company."""
    rows = {code: projects(synced, code)[0] for code in ALL}
    for row in rows.values():
        change_project(synced, row, msdyn_subject="Renamed")
    synced.forget_requests()
    return rows


def sync(world: World, rule: Rule | None = None) -> Any:
    with open_runtime(world, rule=rule) as runtime:
        return run_all(start_run(RunSpec("failures", maps=["projects"]), runtime), runtime)


def feed_reads(world: World) -> int:
    """How often the changes of projects were asked for."""
    asked = [one for one in world.sandbox.trace(limit=50_000) if one["path"].endswith("/msdyn_projects")]
    return len([one for one in asked if "$deltatoken" in one["query"]])


@pytest.mark.parametrize("step", ["extract", "load"])
def test_a_company_that_does_not_answer_stops_no_other(
    synced: World, renamed: dict[str, dict[str, Any]], step: str
) -> None:
    steps = Steps(synced, companies=ALL)
    before = STEPS[: STEPS.index(step)]
    if before:
        steps.do(*before)

    with pytest.raises(Unavailable):
        steps.do(step, rule=unreachable(*GBPM_DOWN))

    done = [steps.leg(company).folder.is_done(step) for company in ALL]
    assert done == [True, False, True]
    assert steps.record("GBPM").state == "failed"
    ended = steps.do(*STEPS[STEPS.index(step) :])
    assert {company: one.state for company, one in ended.items()} == dict.fromkeys(ALL, "settled")
    assert [one.counts["updated"] for one in ended.values()] == [1, 1, 1]
    assert len(synced.writes()) == 3
    assert_conserved(synced)


def test_a_company_that_fails_is_named_and_healed_by_the_next_run(
    synced: World, renamed: dict[str, dict[str, Any]]
) -> None:
    stood = state(synced)
    steps = Steps(synced, companies=ALL)
    steps.do("extract", "reconcile", "validate")
    loaded = steps.do("load", rule=refused_sign_in(*GBPM_DOWN))
    assert (loaded["USPM"].state, loaded["GBPM"].state) == ("running", "failed")

    with pytest.raises(LegsFailed, match="projects to_finance of GBPM") as failure:
        steps.do("settle")

    assert len(failure.value.legs) == 1
    assert [steps.record(company).state for company in ALL] == ["settled", "failed", "settled"]
    assert "does not accept a fresh token" in steps.record("GBPM").message
    stands = state(synced)
    assert stands["GBPM"] == stood["GBPM"]
    assert stands["USPM"] != stood["USPM"]

    healed = sync(synced)
    assert healed.state == "settled"
    assert [leg(healed, "projects", company).counts.updated for company in ALL] == [0, 1, 0]
    assert len(synced.writes()) == 3, "each row once"
    assert sync(synced).counts.planned == 0
    assert_conserved(synced)


def test_a_step_that_failed_can_be_cleared_in_the_same_run(synced: World, renamed: dict[str, dict[str, Any]]) -> None:
    steps = Steps(synced, companies=ALL)
    steps.do("extract", "reconcile", "validate")
    steps.do("load", rule=refused_sign_in(*GBPM_DOWN))

    ended = steps.do("load", "settle")

    assert [ended[company].state for company in ALL] == ["settled"] * 3
    assert steps.record("GBPM").counts.updated == 1
    assert len(synced.writes()) == 3


def test_an_extract_that_failed_can_be_cleared_in_the_same_run(synced: World, renamed: dict[str, Any]) -> None:
    steps = Steps(synced, companies=ALL)
    failed = steps.do("extract", "reconcile", rule=refused_sign_in(*GBPM_DOWN))
    assert [failed[company].state for company in ALL] == ["running", "failed", "running"]

    ended = steps.do()

    assert [ended[company].state for company in ALL] == ["settled"] * 3
    assert len(synced.writes()) == 3


def test_a_position_moves_only_when_its_own_leg_settles(synced: World, renamed: dict[str, dict[str, Any]]) -> None:
    stood = state(synced)

    failed = sync(synced, unreachable(*GBPM_DOWN))

    assert failed.state == "failed"
    assert [leg(failed, "projects", company).state for company in ALL] == ["settled", "failed", "settled"]
    assert feed_reads(synced) == 1, "all legs stood at the same position"
    stands = state(synced)
    assert stands["GBPM"] == stood["GBPM"]
    assert all(stands[company][1] != stood[company][1] for company in ("USPM", "FRRT"))

    synced.forget_requests()
    healed = sync(synced)
    assert healed.state == "settled"
    assert feed_reads(synced) == 2, "one for the leg that failed, one for the two that went on"
    assert [leg(healed, "projects", company).counts.planned for company in ALL] == [0, 1, 0]
    assert len({position for _, position in state(synced).values()}) == 1

    synced.forget_requests()
    assert sync(synced).counts.planned == 0
    assert feed_reads(synced) == 1
    assert synced.writes() == []


def test_finance_that_is_away_altogether_fails_every_leg_and_loses_nothing(
    synced: World, renamed: dict[str, dict[str, Any]]
) -> None:
    stood = state(synced)
    summary = sync(synced, unreachable("/data/"))
    assert summary.state == "failed"
    assert [one.state for one in summary.legs] == ["failed"] * 3
    assert state(synced) == stood
    assert sync(synced).counts.updated == 3


def test_a_row_that_finance_refuses_is_quarantined_with_its_words(synced: World) -> None:
    rows = projects(synced, "USPM")[:4]
    for row in rows:
        change_project(synced, row, msdyn_subject="Renamed")
    bad = rows[1]["msdyn_projectnumber"]
    frozen = True

    def freeze(tx: Any, event: Any) -> None:
        if frozen and event.after["ProjectId"] == bad:
            raise BusinessRuleViolation("ProjectsV2", f"Project {bad} is being closed.")

    synced.sandbox.finance_store.on("ProjectsV2", {"update"}, freeze)

    summary = sync(synced)

    assert summary.state == "settled"
    counts = leg(summary, "projects", "USPM").counts
    assert (counts.planned, counts.updated, counts.quarantined) == (4, 3, 1)
    (held,) = synced.open_rows()
    assert (held.state, held.key, held.rule) == ("quarantined", bad, "projects.refused")
    assert f"Project {bad} is being closed." in held.reason
    frozen = False
    healed = sync(synced)
    assert (healed.counts.planned, healed.counts.updated) == (1, 1)
    assert synced.open_rows() == []
    assert_conserved(synced)


@pytest.mark.parametrize("kind", ["create", "update"])
def test_a_bad_row_in_a_batch_to_dataverse_is_quarantined_alone(synced: World, kind: str) -> None:
    accounts = [f"B-{number}" for number in range(1, 6)]
    add_customers(synced, "uspm", dict.fromkeys(accounts, ""))
    maps = ["customers_v3"]
    if kind == "update":
        assert synced.sync(maps, companies=["USPM"]).counts.created == 5
        with synced.sandbox.finance_store.transaction() as tx:
            for account in accounts:
                (row,) = tx.find("CustomersV3", dataAreaId="uspm", CustomerAccount=account)
                tx.update("CustomersV3", row["RecId"], {"CreditRating": "Excellent"})
    strict = True

    def refuse(tx: Any, event: Any) -> None:
        if strict and event.after["accountnumber"] == "B-3":
            raise BusinessRuleViolation("account", "Accounts named B-3 need an approval.")

    synced.sandbox.dataverse_store.on("account", {"create", "update"}, refuse, when="before")
    synced.forget_requests()

    summary = synced.sync(maps, companies=["USPM"])

    assert summary.state == "settled", [one.message for one in summary.legs]
    counts = leg(summary, "customers_v3", "USPM", "to_dataverse").counts
    assert (counts.planned, counts.created + counts.updated, counts.quarantined) == (5, 4, 1)
    (held,) = synced.open_rows()
    assert (held.state, held.key, held.rule) == ("quarantined", "B-3", "customers_v3.refused")
    assert "Accounts named B-3 need an approval." in held.reason
    names = [one["path"].rsplit(".", 1)[-1] for one in synced.writes()]
    assert names == [{"create": "UpsertMultiple", "update": "UpdateMultiple"}[kind]] * 6, "all at once, then one by one"

    strict = False
    healed = synced.sync(maps, companies=["USPM"])
    counts = leg(healed, "customers_v3", "USPM", "to_dataverse").counts
    assert (counts.planned, counts.created + counts.updated) == (1, 1)
    assert synced.open_rows() == []
    assert_conserved(synced)


def test_counts_that_do_not_add_up_settle_nothing(synced: World, renamed: dict[str, dict[str, Any]]) -> None:
    stood = state(synced)
    steps = Steps(synced, companies=["USPM"])
    steps.do("extract", "reconcile", "validate", "load")
    sent = steps.leg().folder.file("sent/00001.json")
    known = json.loads(sent.read_text())
    sent.write_text(json.dumps(known | {"rows": known["rows"][1:]}))

    with pytest.raises(LegsFailed, match="planned 1 rows, but their ends do not add up"):
        steps.do("settle")

    assert state(synced) == stood
    assert steps.record().state == "failed"
    healed = sync(synced)
    assert healed.state == "settled"
    assert leg(healed, "projects", "USPM").counts.unchanged == 1, "what was written is recognised"
    assert len([one for one in synced.writes() if "uspm" in one["path"]]) == 1


@pytest.mark.parametrize("batch", [1, 100])
def test_what_a_broken_run_had_sent_is_not_taken_for_a_change_of_the_other_side(synced: World, batch: int) -> None:
    with synced.sandbox.dataverse_store.transaction() as tx:
        ids = {
            row["accountnumber"]: row["accountid"]
            for row in tx.find("account", msdyn_company=company_id(synced, "USPM"))
        }
        accounts = sorted(number for number in ids if number and number.startswith("C-"))[:3]
        for number in accounts:
            tx.update("account", ids[number], {"msdyn_creditrating": "Checked"})
    words: dict[str, Any] = {"maps": ["customers_v3"], "companies": ["USPM"]}
    down = unreachable("/CustomersV3(", method="PATCH", after=2)
    with open_runtime(synced, rule=down, batches={"finance_writes": batch}) as runtime:
        broken = run_all(start_run(RunSpec("broken", **words), runtime), runtime)
    assert broken.state == "failed"
    assert len(synced.writes()) == 2
    with synced.sandbox.dataverse_store.transaction() as tx:
        tx.update("account", ids[accounts[0]], {"msdyn_creditrating": "Excellent"})

    healed = synced.sync(["customers_v3"], companies=["USPM"])

    assert healed.state == "settled", [one.message for one in healed.legs]
    columns = ["CustomerAccount", "CreditRating"]
    held = {row["CustomerAccount"]: row["CreditRating"] for row in synced.finance("CustomersV3", columns, "USPM")}
    said = synced.dataverse("accounts", ["accountid", "msdyn_creditrating"])
    ratings = {row["accountid"]: row["msdyn_creditrating"] for row in said}
    assert [ratings[ids[number]] for number in accounts] == ["Excellent", "Checked", "Checked"], (
        "Finance wins only changes"
    )
    assert [held[number] for number in accounts] == ["Excellent", "Checked", "Checked"]
    assert len(synced.writes()) == 4, "what had got through is not sent again"
    assert synced.sync(["customers_v3"], companies=["USPM"], mode="full").counts.written == 0
    assert synced.open_rows() == []


def test_a_run_that_a_person_interrupts_keeps_nobody_waiting(synced: World, renamed: dict[str, dict[str, Any]]) -> None:
    def interrupt(request: Any) -> None:
        if request.method == "PATCH" and "gbpm" in str(request.url):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sync(synced, interrupt)

    healed = sync(synced)
    assert healed.state == "settled"
    assert [leg(healed, "projects", company).counts.updated for company in ALL] == [0, 1, 1]
    assert len(synced.writes()) == 3
