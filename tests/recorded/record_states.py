"""Records what this version leaves behind: ledger, bases and run folders, of runs that ended or broke off.

Run by hand, from the root of the repository::

    PYTHONPATH=include:plugins:tests python -m recorded.record_states

It writes ``states.tar.xz``. What lies in the repository was made by the version that had all steps in one folder, whose
functions are named here with their places of today. A later version leaves states of its own: name another archive, so
that those of this version stay and are still read.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from dualsync.nightly import steps as night_steps
from dualsync.nightly.publish import publish
from dualsync.repair.replay import find_rows, replay
from dualsync.sync.legs.markers import Extracted, Loaded, Reconciled, Sending, Settled, Validated
from dualsync.systems.finance.packages import ImportLimits
from recorded.states import ARCHIVE, Archive
from support.crash import Point, run_and_die
from support.orders import MAPS as SUBCONTRACTS
from support.orders import Orders
from support.workload import BATCHES, MAPS, add_task, change_much, change_project, picture, projects
from support.worlds import World, copied, start

COMPANIES = ["USPM"]
LONG = "A name that is longer than Finance's sixty characters, by some distance"

FOLDERS = "dualsync.sync.legs.folders:LegFolder"
DATAVERSE = "dualsync.systems.dataverse:Dataverse"
FINANCE = "dualsync.systems.finance:Finance"
LEDGER = "dualsync.ledger.database:Ledger"
RATES, CUSTOMERS, PROJECTS, TASKS = MAPS

BROKEN_OFF = {
    "extract: changes read, not marked": Point(PROJECTS, "dualsync.sync.extract.change_feed:write_json", "before"),
    "extract: done, not marked": Point(TASKS, f"{FOLDERS}.finish", "before", 1, Extracted),
    "extract: marked": Point(CUSTOMERS, f"{FOLDERS}.finish", "after", 1, Extracted),
    "reconcile: done, not marked": Point(TASKS, f"{FOLDERS}.finish", "before", 1, Reconciled),
    "reconcile: marked": Point(RATES, f"{FOLDERS}.finish", "after", 1, Reconciled),
    "validate: done, not marked": Point(CUSTOMERS, f"{FOLDERS}.finish", "before", 1, Validated),
    "validate: marked": Point(PROJECTS, f"{FOLDERS}.finish", "after", 1, Validated),
    "load: before the first request": Point(TASKS, f"{FOLDERS}.finish", "after", 1, Sending),
    "load: a row sent, not acknowledged": Point(PROJECTS, f"{FINANCE}.update", "after", 3),
    "load: a batch sent, not acknowledged": Point(CUSTOMERS, f"{DATAVERSE}.upsert_many", "after", 2),
    "load: between batches": Point(TASKS, f"{FOLDERS}.acknowledge", "after", 2),
    "load: in the second pass": Point(CUSTOMERS, f"{DATAVERSE}.update", "after", 1),
    "load: all sent, not marked": Point(PROJECTS, f"{FOLDERS}.finish", "before", 1, Loaded),
    "load: marked": Point(TASKS, f"{FOLDERS}.finish", "after", 1, Loaded),
    "settle: base written, not in the ledger": Point(RATES, f"{LEDGER}.settle", "before", 1),
    "settle: in the ledger, not marked": Point(CUSTOMERS, f"{LEDGER}.settle", "after", 1),
    "settle: marked": Point(TASKS, f"{FOLDERS}.finish", "after", 1, Settled),
    "deletions: a row deleted, not in the ledger": Point(TASKS, f"{FINANCE}.delete", "after", 1),
    "deletions: in the ledger": Point(TASKS, f"{LEDGER}.settle", "after", 2),
    "document: some lines written": Point("", f"{FINANCE}.create", "after", 3, maps=SUBCONTRACTS),
    "document: trigger about to be sent": Point("", f"{FINANCE}.update", "before", 1, maps=SUBCONTRACTS),
}
"""Where runs break off, by the name of the state that this leaves."""


class Recorder:
    """Makes states, each from a copy of a synchronised world, and packs them.

    Args:
        scratch: Where worlds are made.
    """

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._number = 0
        self.archive = Archive()

    def world(self, template: Path) -> Iterator[World]:
        """A running copy of a world, of one company, with small batches."""
        self._number += 1
        for world in copied(template, self._scratch / f"{self._number:03d}" / "home"):
            yield _small(world)

    def keep(self, name: str, world: World, **told: Any) -> None:
        """Keep how a world stands; its sandbox is stopped for it."""
        world.close()
        self.archive.add(name, world.home, told)
        print(name, flush=True)


def _small(world: World) -> World:
    one = {
        "companies": tuple(COMPANIES),
        "batch_sizes": world.settings.batch_sizes.model_copy(update=BATCHES),
        "concurrency": world.settings.concurrency.model_copy(update={"finance": 1, "dataverse": 1}),
    }
    world.settings = world.settings.model_copy(update=one)
    world.carried = COMPANIES
    return world


def synchronised(home: Path) -> Path:
    """A world after its first run, with a subcontract on both sides."""
    world = _small(start(home))
    world.sandbox.seed("demo", 1)
    for area in ("setup_configuration", "subcontract_purchase_orders"):
        assert world.sync(area=area).state == "settled"
    orders = Orders(world)
    orders.confirm(orders.draft("A", 2))
    orders.sync()
    world.close()
    # what the first run left in its folders is large, and its plans say nothing that a later one does not
    shutil.rmtree(home / ".dualsync" / "runs")
    return home


def changed(recorder: Recorder, template: Path) -> Path:
    """The same with changes to carry."""
    home = recorder._scratch / "changed" / "home"
    for world in copied(template, home):
        change_much(_small(world), COMPANIES)
        orders = Orders(world)
        orders.confirm(orders.draft("B", 3))
    return home


def whole(recorder: Recorder, template: Path) -> None:
    """Runs that ended: rows of every state, an open document, a dry run, chosen rows, legs that a guard held."""
    for world in recorder.world(template):
        first, second, third = projects(world, "USPM")[:3]
        change_project(world, first, msdyn_subject=LONG)
        change_project(world, second, msdyn_subject="Renamed")
        with world.sandbox.finance_store.transaction() as tx:
            (row,) = tx.find("ProjectsV2", dataAreaId="uspm", ProjectId=third["msdyn_projectnumber"])
            tx.update("ProjectsV2", row["RecId"], {"ProjectName": "Renamed in Finance"})
        add_task(world, first, "T" * 60)
        add_task(world, second, "W-1")
        with world.sandbox.dataverse_store.transaction() as tx:
            task = tx.find("msdyn_projecttask", msdyn_tasknumber="T" * 60)[0]
            (child,) = tx.find("msdyn_projecttask", msdyn_tasknumber="W-1")
            tx.update(
                "msdyn_projecttask", child["msdyn_projecttaskid"], {"msdyn_parenttask": task["msdyn_projecttaskid"]}
            )
        world.sync(["projects"], mode="full", run_id="whole-projects")
        world.sync(["project_tasks"], run_id="whole-tasks")
        orders = Orders(world)
        orders.confirm(orders.draft("C", 2))
        world.sync(["subcontracts"], run_id="whole-header")
        open_rows = sorted([row.map, row.key, row.state, row.rule] for row in world.open_rows())
        recorder.keep("whole", world, runs=["whole-projects", "whole-tasks", "whole-header"], open=open_rows)


def dry(recorder: Recorder, template: Path) -> None:
    """A dry run."""
    for world in recorder.world(template):
        summary = world.sync(MAPS, dry_run=True, run_id="dry")
        recorder.keep("dry run", world, runs=["dry"], counts=_counts(summary))


def held(recorder: Recorder, template: Path) -> None:
    """A leg that would overwrite too much, and one that would delete too much."""
    for world in recorder.world(template):
        guards = world.settings.guards.model_copy(update={"deletes": 0, "update_share": 0})
        world.settings = world.settings.model_copy(update={"guards": guards})
        with mock.patch("dualsync.sync.load.step.GUARD_FLOOR", 1):
            summary = world.sync([PROJECTS, TASKS], run_id="held")
        assert summary.state == "held"
        recorder.keep("held by guards", world, runs=["held"], held=2)


def broken_off(recorder: Recorder, template: Path) -> None:
    """Runs that were killed."""
    for name, point in BROKEN_OFF.items():
        for world in recorder.world(template):
            run_and_die(world.settings, COMPANIES, point, "broken")
            recorder.keep(f"broken off in {name}", world, runs=["broken"], maps=point.maps or [point.map])


def ends(recorder: Recorder, template: Path) -> dict[str, Any]:
    """Where all ends that nothing breaks off, by the maps of the run."""
    found = {}
    for maps in sorted({point.maps or (point.map,) for point in BROKEN_OFF.values()}):
        for world in recorder.world(template):
            assert world.sync(list(maps)).state == "settled"
            shown = picture(world)
            found[",".join(maps)] = {
                name: rows for name, rows in shown.items() if name.partition(" ")[0] in ("dataverse", "finance", "open")
            }
    return found


def replayed(recorder: Recorder, template: Path) -> None:
    """A replay of a row that was held back: whole, and broken off after its row was sent."""
    for name, target in (
        ("replay", None),
        ("broken off in replay: a row sent", Point(TASKS, f"{FINANCE}.create", "after")),
    ):
        for world in recorder.world(template):
            project = projects(world, "USPM")[0]
            record = add_task(world, project, "R" * 60)
            assert world.sync([TASKS], run_id="before").counts.quarantined == 1
            with world.sandbox.dataverse_store.transaction() as tx:
                tx.update("msdyn_projecttask", record, {"msdyn_tasknumber": "R-1"})
            with world.runtime() as runtime:
                rows = find_rows(runtime, TASKS, [record])
            if target is None:
                with world.runtime() as runtime:
                    assert replay(runtime, rows, run_id="replayed").state == "settled"
            else:
                run_and_die(world.settings, COMPANIES, target, "replayed", rows)
            recorder.keep(name, world, runs=["before", "replayed"])


def nights(recorder: Recorder, template: Path) -> None:
    """A reconciliation with exceptions: whole, and broken off after reading and after comparing."""
    for name, last in (
        ("night", "publish"),
        ("night broken off after reading", "read"),
        ("night broken off after comparing", "compare"),
    ):
        for world in recorder.world(template):
            world.sandbox.clock.advance(timedelta(hours=2))
            with world.runtime() as runtime:
                night = night_steps.begin(
                    runtime, companies=COMPANIES, maps=["projects", "payment_terms"], controls=["R1"], run_id="night"
                )
                for step in ("read", "compare", "ask", "publish"):
                    (publish if step == "publish" else getattr(night_steps, step))(night, runtime)
                    if step == last:
                        break
                breaks = len(runtime.ledger.nights.breaks())
            recorder.keep(name, world, runs=["night"] if last == "publish" else [], breaks=breaks)


def _counts(summary: Any) -> dict[str, int]:
    counts = summary.counts
    return {name: getattr(counts, name) for name in ("created", "updated", "deleted", "waiting", "quarantined")}


def main() -> int:
    """Make all states and write the archive."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        mock.patch("dualsync.systems.finance.packages.ImportLimits", partial(ImportLimits, first_wait=0.01)),
    ):
        recorder = Recorder(Path(scratch))
        template = synchronised(Path(scratch) / "synchronised" / "home")
        with_changes = changed(recorder, template)
        whole(recorder, template)
        replayed(recorder, template)
        for make in (dry, held, nights, broken_off):
            make(recorder, with_changes)
        recorder.archive.ends = ends(recorder, with_changes)
        recorder.archive.write()
    print(f"{ARCHIVE}: {ARCHIVE.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
