"""Steps cleared and run again, before and after anything was sent and after later runs; two runs of one leg."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from dualsync.errors import LegBusy, LegsFailed, Unavailable
from dualsync.sync.run.steps import STEPS
from support.steps import Steps, assert_conserved, state, unreachable
from support.workload import change_project, projects
from support.worlds import World

pytestmark = pytest.mark.slow

ONE_AT_A_TIME = {"finance_writes": 1, "dataverse_writes": 1}
AFTER_THE_LEASE = timedelta(minutes=31)


def names_sent(world: World) -> list[tuple[str, Any]]:
    """Project and name of each update in the trace, in order."""
    found = []
    for one in world.writes():
        assert one["system"] == "finance"
        assert one["method"] == "PATCH"
        found.append((one["path"].split("ProjectId='")[1].rstrip("')"), one["body"]["ProjectName"]))
    return found


def names_in_finance(world: World, rows: list[dict[str, Any]]) -> list[str]:
    held = {row["ProjectId"]: row["ProjectName"] for row in world.finance("ProjectsV2", ["ProjectId", "ProjectName"])}
    return [held[row["msdyn_projectnumber"]] for row in rows]


@pytest.fixture
def three(synced: World) -> list[dict[str, Any]]:
    """Three renamed projects of USPM."""
    rows = projects(synced, "USPM")[:3]
    rename(synced, rows, "First")
    synced.forget_requests()
    return rows


def rename(world: World, rows: list[dict[str, Any]], name: str) -> None:
    for row in rows:
        change_project(world, row, msdyn_subject=name)


def numbers(rows: list[dict[str, Any]]) -> list[str]:
    return [row["msdyn_projectnumber"] for row in rows]


@pytest.mark.parametrize("step", STEPS)
def test_steps_of_a_settled_leg_do_nothing(synced: World, three: list[dict[str, Any]], step: str) -> None:
    steps = Steps(synced)
    settled = steps.do()["USPM"]
    stands, record = state(synced), steps.record()
    rename(synced, three, "Second")
    synced.forget_requests()

    again = steps.do(step)["USPM"]

    assert again == settled
    assert again.counts["updated"] == 3
    assert synced.sandbox.trace() == [], "nothing is even asked"
    assert (state(synced), steps.record()) == (stands, record)
    assert_conserved(synced)


def test_extract_cleared_before_anything_was_sent_reads_anew(synced: World, three: list[dict[str, Any]]) -> None:
    steps = Steps(synced)
    steps.do("extract", "reconcile", "validate")
    rename(synced, three, "Second")

    steps.do()

    assert steps.leg().folder.attempt == 2
    assert sorted(names_sent(synced)) == [(number, "Second") for number in numbers(three)]
    assert steps.record().counts.updated == 3
    assert_conserved(synced)


@pytest.mark.parametrize("step", ["reconcile", "validate"])
def test_other_steps_cleared_before_anything_was_sent_keep_the_plan(
    synced: World, three: list[dict[str, Any]], step: str
) -> None:
    steps = Steps(synced)
    steps.do("extract", "reconcile", "validate")
    rename(synced, three[:1], "Second")

    steps.do(*STEPS[STEPS.index(step) :])

    assert steps.leg().folder.attempt == 1
    assert names_in_finance(synced, three) == ["First"] * 3
    synced.sync(["projects"], companies=["USPM"])
    assert names_in_finance(synced, three) == ["Second", "First", "First"], "the later change comes with the next run"


@pytest.mark.parametrize("step", STEPS)
def test_a_plan_of_which_something_was_sent_is_carried_to_its_end(
    synced: World, three: list[dict[str, Any]], step: str
) -> None:
    steps = Steps(synced, batches=ONE_AT_A_TIME)
    steps.do("extract", "reconcile", "validate")
    with pytest.raises(Unavailable):
        steps.do("load", rule=unreachable("ProjectsV2(", method="PATCH", after=1))
    assert steps.record().state == "failed"
    assert "load" in steps.record().message
    assert len(names_sent(synced)) == 1
    rename(synced, three, "Second")

    if step == "settle":
        with pytest.raises(LegsFailed, match="step load is not done"):
            steps.do("settle")
    steps.do(*STEPS[min(STEPS.index(step), 3) :])

    assert steps.leg().folder.attempt == 1
    assert sorted(names_sent(synced)) == [(number, "First") for number in numbers(three)], "each row once"
    assert (steps.record().state, steps.record().counts.updated) == ("settled", 3)
    synced.sync(["projects"], companies=["USPM"])
    assert names_in_finance(synced, three) == ["Second"] * 3
    assert_conserved(synced)


@pytest.mark.parametrize("step", ["extract", "reconcile", "validate", "load"])
def test_nothing_stale_is_sent_by_a_leg_that_a_later_run_passed(
    synced: World, three: list[dict[str, Any]], step: str
) -> None:
    old = Steps(synced)
    old.do("extract", "reconcile", "validate")
    rename(synced, three, "Second")
    synced.sync(["projects"], companies=["USPM"])
    stands = state(synced)
    synced.forget_requests()

    ended = old.do(*STEPS[STEPS.index(step) :])["USPM"]

    assert names_sent(synced) == []
    assert names_in_finance(synced, three) == ["Second"] * 3
    assert state(synced)["USPM"][0] == stands["USPM"][0]
    if step == "extract":
        assert (ended.state, old.record().counts.planned) == ("settled", 0), "it reads anew and finds nothing to do"
    else:
        assert ended.state == old.record().state == "superseded"
        assert "superseded by run" in ended.message
        assert "nothing was sent" in ended.message
        assert old.do("load", "settle")["USPM"].state == "superseded", "again, as often as it is cleared"
        assert names_sent(synced) == []
    assert_conserved(synced)


@pytest.mark.parametrize("step", STEPS)
def test_a_leg_that_was_sent_and_then_passed_by_another_run_does_not_settle(
    synced: World, three: list[dict[str, Any]], step: str
) -> None:
    old = Steps(synced)
    old.do("extract", "reconcile", "validate", "load")
    rename(synced, three, "Second")
    later = Steps(synced)
    later.do(later=AFTER_THE_LEASE)
    stands = state(synced)
    synced.forget_requests()

    ended = old.do(*STEPS[STEPS.index(step) :])["USPM"]

    assert ended.state == "superseded"
    assert names_sent(synced) == []
    assert state(synced) == stands
    assert names_in_finance(synced, three) == ["Second"] * 3


def test_a_full_run_does_not_share_a_read_that_is_older_than_the_base(synced: World) -> None:
    rows = projects(synced, "GBPM")[:2]
    old = Steps(synced, companies=["USPM", "GBPM"], mode="full")
    old.do(companies=["USPM"])
    rename(synced, rows, "Second")
    synced.sync(["projects"], companies=["GBPM"])
    synced.forget_requests()

    ended = old.do(companies=["GBPM"])["GBPM"]

    assert ended.state == "settled"
    assert synced.writes() == []
    assert names_in_finance(synced, rows) == ["Second", "Second"]


def test_an_extract_that_is_tried_again_keeps_what_is_extracted(synced: World, three: list[dict[str, Any]]) -> None:
    rename(synced, projects(synced, "GBPM")[:1], "First")
    steps = Steps(synced, companies=["USPM", "GBPM"])
    with pytest.raises(Unavailable):
        steps.do("extract", rule=unreachable("ProjectsV2", "gbpm"))
    assert steps.leg("USPM").folder.is_done("extract")
    assert not steps.leg("GBPM").folder.is_done("extract")

    steps.do("extract")

    assert [steps.leg(company).folder.attempt for company in ("USPM", "GBPM")] == [1, 1]
    ended = steps.do("reconcile", "validate", "load", "settle")
    assert [ended[company].counts["updated"] for company in ("USPM", "GBPM")] == [3, 1]


def test_of_two_runs_at_the_same_time_one_yields(synced: World, three: list[dict[str, Any]]) -> None:
    one, other = Steps(synced, batches=ONE_AT_A_TIME), Steps(synced)
    for steps in (one, other):
        steps.do("extract", "reconcile", "validate")
    with pytest.raises(Unavailable):
        one.do("load", rule=unreachable("ProjectsV2(", method="PATCH", after=1))

    with pytest.raises(LegBusy, match=one.run.run_id):
        other.do("load")

    assert other.record().state == "failed"
    assert f"being written by run {one.run.run_id}" in other.record().message
    one.do("load", "settle")
    ended = other.do("load", "settle")["USPM"]
    assert ended.state == other.record().state == "superseded"
    assert sorted(names_sent(synced)) == [(number, "First") for number in numbers(three)], "each row once"
    assert synced.sync(["projects"], companies=["USPM"]).counts.planned == 0
    assert_conserved(synced)


def test_a_run_that_lost_its_lease_stops_sending(synced: World, three: list[dict[str, Any]]) -> None:
    slow = Steps(synced, batches=ONE_AT_A_TIME)
    slow.do("extract", "reconcile", "validate")
    passed = 0

    def overtake(request: Any) -> None:
        nonlocal passed
        if request.method == "PATCH" and "ProjectsV2(" in str(request.url):
            passed += 1
            if passed == 2:
                rename(synced, three, "Second")
                Steps(synced).do(later=AFTER_THE_LEASE)

    ended = slow.do("load", "settle", rule=overtake)["USPM"]

    assert ended.state == "superseded"
    assert passed == 2, "the third row is not sent any more"
    assert "nothing more is sent" in ended.message
    synced.sync(["projects"], companies=["USPM"], mode="full")
    stand = names_in_finance(synced, three)
    assert stand[2] == "Second"
    assert_conserved(synced)
