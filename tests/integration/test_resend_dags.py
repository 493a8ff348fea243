"""The DAGs that send rows of exceptions again and replay blocked rows, run by Airflow on the sandbox.

Questions are answered through Airflow's REST API. Each chapter of the story is run once; each test looks at one thing
that must be true of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dualsync.ledger import ControlResult, LegRecord, NightRecord, OpenRow
from dualsync.ledger.breaks import BreakFilter
from support.airflow_runs import DagRunResult, run_dag
from support.answers import Person
from support.repairs import names_in_finance, rename_in_finance, synchronised
from support.worlds import World

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

REPLAY: dict[str, Any] = {"direction": None, "company": None, "dry_run": False}
REPAIR: dict[str, Any] = {
    "numbers": [],
    "control": None,
    "class": None,
    "company": None,
    "limit": None,
    "dry_run": True,
}


@dataclass(frozen=True)
class Renamed:
    """Two projects that Finance renamed, and the exceptions that a reconciliation found of them."""

    world: World
    before: dict[str, str]
    keys: list[str]
    states: list[str]
    numbers: list[int]


@pytest.fixture(scope="module")
def renamed(synced_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Renamed]:
    for world in synchronised(synced_home, tmp_path_factory.mktemp("renamed") / "home"):
        before = names_in_finance(world)
        keys = sorted(before)[:2]
        for key in keys:
            rename_in_finance(world, key, "Renamed in Finance")
        world.sync(["projects"], mode="full")
        states = [row.state for row in world.open_rows()]
        numbers = exceptions_of(world, *keys)
        world.forget_requests()
        yield Renamed(world, before, keys, states, numbers)


def exceptions_of(world: World, *keys: str) -> list[int]:
    """A reconciliation that found projects renamed in Finance; the numbers of the exceptions."""
    moment = datetime.now(UTC)
    night = NightRecord("night", ("USPM",), "", moment, "breaks", 0, len(keys), 0, 0, 0, "", "nowhere", moment)
    words = dict.fromkeys(
        (
            "check",
            "currency",
            "dataverse_value",
            "finance_value",
            "dataverse_id",
            "finance_key",
            "cause",
            "explanation",
        ),
        "",
    )
    rows = [
        words
        | {"control": "map:projects", "company": "USPM", "key": key, "class": "text", "severity": "error"}
        | {"field": "msdyn_subject / ProjectName", "amount": None}
        | {"dataverse_table": "msdyn_project", "finance_set": "ProjectsV2"}
        for key in keys
    ]
    with world.runtime() as runtime:
        result = ControlResult("map:projects", "USPM", "breaks", len(rows))
        runtime.ledger.nights.record(night, [result], [rows])
        return [one.number for one in runtime.ledger.nights.breaks(BreakFilter(run_id="night"))]


def test_a_value_changed_by_a_non_owner_is_a_conflict(renamed: Renamed) -> None:
    assert renamed.states == ["conflict", "conflict"]


@dataclass(frozen=True)
class NothingSent:
    """A dry run, and a run of which somebody did not approve."""

    dry: DagRunResult
    declined: DagRunResult
    asked: list[tuple[str, str]]
    writes: list[dict[str, Any]]


@pytest.fixture(scope="module")
def nothing_sent(renamed: Renamed, dagbag: DagBag, anna: Person) -> NothingSent:
    dry = run_dag(dagbag, "repair_breaks", REPAIR | {"class": "text"})
    anna.answer, already = "Do not send", len(anna.asked)
    words = {"numbers": renamed.numbers, "limit": 1, "dry_run": False}
    declined = run_dag(dagbag, "repair_breaks", REPAIR | words)
    return NothingSent(dry, declined, anna.asked[already:], renamed.world.writes())


def test_a_dry_run_says_what_would_be_sent(nothing_sent: NothingSent) -> None:
    dry = nothing_sent.dry
    assert (dry.state, dry.tasks) == ("success", {"plan": "success", "ask": "skipped", "send": "skipped"})
    assert dry.xcoms["plan"]["summary"] == "2 of 2 exceptions would be resolved by sending 2 rows again"


def test_above_the_limit_a_person_is_asked(nothing_sent: NothingSent) -> None:
    tasks = nothing_sent.declined.tasks
    assert (tasks["ask"], tasks["send"], len(nothing_sent.asked)) == ("success", "skipped", 1)
    assert nothing_sent.asked[0][0] == "Send 2 rows again?"


def test_nothing_is_sent_by_a_dry_run_or_where_nobody_approves(nothing_sent: NothingSent) -> None:
    assert nothing_sent.writes == []


@dataclass(frozen=True)
class Sent:
    """What was there after rows of exceptions were sent again."""

    run: DagRunResult
    asked: int
    names: dict[str, str]
    writes: int
    open_rows: list[OpenRow]
    legs: list[LegRecord]


def sent(renamed: Renamed, dagbag: DagBag, anna: Person, **words: Any) -> Sent:
    already = len(anna.asked)
    run = run_dag(dagbag, "repair_breaks", REPAIR | words | {"dry_run": False})
    with renamed.world.runtime() as runtime:
        legs = runtime.ledger.legs(f"repair_breaks.{run.run_id}")
    names, writes = names_in_finance(renamed.world), len(renamed.world.writes())
    return Sent(run, len(anna.asked) - already, names, writes, renamed.world.open_rows(), legs)


@pytest.fixture(scope="module")
def one_sent(renamed: Renamed, nothing_sent: NothingSent, dagbag: DagBag, anna: Person) -> Sent:
    return sent(renamed, dagbag, anna, numbers=renamed.numbers[:1])


@pytest.fixture(scope="module")
def all_sent(renamed: Renamed, one_sent: Sent, dagbag: DagBag, anna: Person) -> Sent:
    anna.answer = "Send"
    return sent(renamed, dagbag, anna, control="map:projects", limit=0)


def test_one_row_is_sent_again_without_asking(renamed: Renamed, one_sent: Sent) -> None:
    assert (set(one_sent.run.tasks.values()), one_sent.asked) == ({"success"}, 0)
    assert one_sent.run.xcoms["send"]["rows"] == {"update": 1}
    assert (one_sent.names[renamed.keys[0]], one_sent.writes) == (renamed.before[renamed.keys[0]], 1)


def test_all_open_exceptions_of_a_control_are_sent_again(renamed: Renamed, all_sent: Sent) -> None:
    assert set(all_sent.run.tasks.values()) == {"success"}
    assert all_sent.names == renamed.before
    assert all_sent.writes == 2
    assert all_sent.open_rows == []


def test_who_approved_of_sending_is_written_down(all_sent: Sent) -> None:
    (leg,) = all_sent.legs
    assert leg.message == "asked for by anna"


@dataclass(frozen=True)
class Replayed:
    """Runs that try one blocked row again, and the rows that were open after each.

    Attributes:
        unchanged: Nothing was corrected before.
        dry: It was corrected; a dry run.
        corrected: It was corrected.
        again: It was healed already.
    """

    unchanged: DagRunResult
    dry: DagRunResult
    open_after_dry: list[OpenRow]
    corrected: DagRunResult
    open_after_correction: list[OpenRow]
    again: DagRunResult


@pytest.fixture(scope="module")
def replayed(renamed: Renamed, all_sent: Sent, dagbag: DagBag, anna: Person) -> Replayed:
    world, key = renamed.world, renamed.keys[0]
    rename_in_finance(world, key, "Renamed in Finance")
    world.sync(["projects"], mode="full")
    params = REPLAY | {"map": "projects", "keys": [key]}
    unchanged = run_dag(dagbag, "replay_rows", params)
    rename_in_finance(world, key, renamed.before[key])
    dry = run_dag(dagbag, "replay_rows", params | {"dry_run": True})
    open_after_dry = world.open_rows()
    corrected = run_dag(dagbag, "replay_rows", params | {"company": "USPM", "direction": "to_finance"})
    open_after_correction = world.open_rows()
    again = run_dag(dagbag, "replay_rows", params)
    return Replayed(unchanged, dry, open_after_dry, corrected, open_after_correction, again)


def test_a_row_that_nobody_corrected_stays_blocked(renamed: Renamed, replayed: Replayed) -> None:
    xcom = replayed.unchanged.xcoms["replay"]
    assert (replayed.unchanged.tasks, xcom["rows"]) == ({"replay": "success"}, {"conflict": 1})
    assert xcom["still_open"][0].startswith(f"projects {renamed.keys[0]}: changed in Finance, which does not own it")


def test_a_dry_replay_heals_nothing(replayed: Replayed) -> None:
    assert (replayed.dry.xcoms["replay"]["state"], len(replayed.open_after_dry)) == ("dry_run", 1)


def test_a_corrected_row_is_healed(replayed: Replayed) -> None:
    assert replayed.open_after_correction == []


def test_a_row_that_is_not_open_cannot_be_replayed(replayed: Replayed) -> None:
    assert (replayed.again.state, replayed.again.tasks) == ("failed", {"replay": "failed"})
