"""Kill a replay between sending and settling and go on with it: the row is there once, and nothing is held back."""

from __future__ import annotations

import pytest

from dualsync.repair.replay import find_rows, outcomes, replay
from dualsync_sandbox.errors import BusinessRuleViolation
from dualsync_sandbox.store import Event, Tx
from support.crash import Point, run_and_die
from support.workload import add_task, projects
from support.worlds import World

pytestmark = pytest.mark.slow

POINT = Point("project_tasks", "dualsync.systems.finance:Finance.create", "after")
NUMBER = "REPLAYED"


def test_a_killed_replay_goes_on(synced: World) -> None:
    project = projects(synced, "USPM")[0]
    refusing = True

    def refuse(_: Tx, event: Event) -> None:
        if refusing and event.after is not None and event.after["TaskId"] == NUMBER:
            raise BusinessRuleViolation("ProjectTasks", "The project is locked.")

    synced.sandbox.finance_store.on("ProjectTasks", {"create"}, refuse, when="before")
    add_task(synced, project, NUMBER)
    assert synced.sync(["project_tasks"], companies=["USPM"]).counts.quarantined == 1
    refusing = False
    with synced.runtime() as runtime:
        (row,) = runtime.ledger.open_rows()
        rows = find_rows(runtime, "project_tasks", [row.key])
    synced.forget_requests()

    run_and_die(synced.settings, ["USPM"], POINT, "replayed", rows)

    assert [one["method"] for one in synced.writes()] == ["POST"]
    with synced.runtime() as runtime:
        assert runtime.ledger.open_rows() == [row], "not settled yet"
        summary = replay(runtime, rows, run_id="replayed")
        assert (summary.state, [one.action for one in outcomes(runtime, "replayed")]) == ("settled", ["create"])
        assert runtime.ledger.open_rows() == []
    assert len(synced.finance_api.rows("ProjectTasks", f"TaskId eq '{NUMBER}'")) == 1
    synced.forget_requests()
    assert synced.sync(["project_tasks"], companies=["USPM"]).counts.written == 0
    assert synced.writes() == []
