"""How long a night over many actuals takes, step by step, and in how much memory.

One hour that went all the way, from its approval to the project transaction, is copied in the stores of both systems;
a few copies are then broken. The sandbox runs in a process of its own, the night in another. Run with
``make bench-night ACTUALS=1000000``.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import resource
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer

from dualsync.nightly import steps
from dualsync.nightly.publish import publish
from dualsync.nightly.totals import compute_totals
from dualsync.reports.publishing import write_reports
from dualsync.settings import Settings
from dualsync.sync.legs.runtime import Runtime
from dualsync_sandbox.business.dataverse.entries.approvals import approve_time
from dualsync_sandbox.plant.raw import Raw
from support.cycles import ACTUALS, SINCE, Cycle
from support.worlds import World, start

COMPANY = "USPM"
BROKEN = 5
STAMPS = ("createdon", "modifiedon", "versionnumber", "RecId", "RecVersion")
Row = dict[str, Any]


def settings(home: Path) -> Settings:
    """Of the installation beside the sandbox."""
    environ = {"DUALSYNC_SANDBOX": str(home / "sandbox" / "sandbox.json")}
    words = {"home": home, "companies": COMPANY, "cutover": {COMPANY: SINCE}}
    return Settings.load(words, environ=environ)


def fill(world: World, actuals: int) -> None:
    """Let one hour go all the way, and copy all that came of it until there are so many actuals on each side."""
    cycle = Cycle(world)
    project = cycle.works.project()
    approve_time(cycle.works.dataverse, cycle.works.time(project))
    cycle.sync("expense_categories")
    cycle.send()
    cycle.books()
    cycle.sync(*ACTUALS)
    ways = []
    with world.sandbox.dataverse_store.reading() as here, world.sandbox.finance_store.reading() as there:
        for actual in here.find("msdyn_actual", msdyn_project=project):
            key = {"ActualsImportId": actual["msdyn_actualimportid"]}
            ways.append((actual, *(there.find(name, **key) for name in _FINANCE)))
    copies = list(_numbered(ways, actuals - len(ways)))
    with world.sandbox.dataverse_store.transaction() as tx:
        tx.insert_many("msdyn_actual", (_copy(actual, **ids) for (actual, *_), ids, _ in copies), hooks=False)
    with world.sandbox.finance_store.transaction() as tx:
        for place, name in enumerate(_FINANCE, start=1):
            rows = (_copy(row, **_finance_key(name, ids, number)) for way, ids, number in copies for row in way[place])
            tx.insert_many(name, rows, hooks=False)
        for _, ids, _ in copies[:BROKEN]:
            (row,) = tx.find("ProjActualsImports", ActualsImportId=ids["msdyn_actualimportid"])
            Raw(tx).remove("ProjActualsImports", row)
    world.sandbox.clock.advance(timedelta(hours=30))


_FINANCE = ("ProjActualsImports", "IntegrationJournalLines", "ProjectTransactions")


def _numbered(ways: list[tuple[Any, ...]], copies: int) -> Iterator[tuple[tuple[Any, ...], dict[str, str], int]]:
    for number in range(copies):
        ids = {name: str(uuid.uuid4()) for name in ("msdyn_actualid", "msdyn_actualimportid")}
        # an entry has a cost and a sale
        ids["msdyn_origin"] = str(uuid.uuid5(uuid.NAMESPACE_OID, f"entry {number // len(ways)}"))
        yield ways[number % len(ways)], ids, number


def _copy(row: Row, **changes: object) -> Row:
    return {name: value for name, value in row.items() if name not in STAMPS and value is not None} | changes


def _finance_key(name: str, ids: dict[str, str], number: int) -> Row:
    key: Row = {"ActualsImportId": ids["msdyn_actualimportid"]}
    match name:
        case "ProjActualsImports":
            return key | {"ActualId": ids["msdyn_actualid"]}
        case "IntegrationJournalLines":
            return key | {"LineNumber": 1000 + number}
        case _:
            return key | {"TransactionId": f"PTR-B{number:09d}"}


def serve(home: Path, actuals: int, line: Connection) -> None:
    """A sandbox that holds so many actuals, until nothing more is asked of it."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    world = start(home)
    world.settings = settings(home)
    world.sandbox.seed("demo", 1)
    world.sync()
    fill(world, actuals)
    line.send("ready")
    line.recv()
    world.close()


def night(home: Path, line: Connection) -> None:
    """A night, step by step, in a process of its own."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    figures: list[dict[str, Any]] = []

    def step(name: str, begun: tuple[float, float]) -> tuple[float, float]:
        used = resource.getrusage(resource.RUSAGE_SELF)
        now = time.perf_counter(), used.ru_utime + used.ru_stime
        figures.append(
            {
                "step": name,
                "seconds": round(now[0] - begun[0], 1),
                "processor": round(now[1] - begun[1], 1),
                "peak_mib": round(used.ru_maxrss / 1024),
            }
        )
        return now

    with Runtime.open(settings(home)) as runtime:
        at = time.perf_counter(), time.process_time()
        begun = steps.begin(runtime, quality=True)
        read = steps.read(begun, runtime)
        at = step("read", at)
        steps.compare(begun, runtime)
        at = step("compare", at)
        asked = steps.ask(begun, runtime)
        at = step("ask", at)
        steps.validate(begun, runtime)
        at = step("validate", at)
        compute_totals(steps.tonight(begun, runtime))
        at = step("totals", at)
        verdict = publish(begun, runtime)
        at = step("publish", at)
        write_reports(runtime, begun.run.run_id)
        step("reports", at)
    slow = sorted(((one["seconds"], one["control"]) for one in asked), reverse=True)[:5]
    line.send({"figures": figures, "rows": sum(read["rows"].values()), "breaks": verdict.counts, "slowest": slow})


def main(actuals: Annotated[int, typer.Option(help="Actuals on each side.")] = 1_000_000) -> None:
    """Fill, reconcile and print the figures, last as one line of JSON."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="dualsync-bench-") as folder:
        home = Path(folder)
        mine, theirs = context.Pipe()
        sandbox = context.Process(target=serve, args=(home, actuals, theirs))
        sandbox.start()
        # where the other side ends early, so does waiting for it
        theirs.close()
        try:
            mine.recv()
            told, teller = context.Pipe(duplex=False)
            watched = context.Process(target=night, args=(home, teller))
            watched.start()
            teller.close()
            result = told.recv()
            watched.join()
        finally:
            with suppress(BrokenPipeError):
                mine.send(None)
            sandbox.join()
    for one in result["figures"]:
        typer.echo(
            f"{one['step']:8} {one['seconds']:8.1f} s, {one['processor']:8.1f} s of processors, "
            f"peak so far {one['peak_mib']:,} MiB"
        )
    # each that was lost breaks the map's comparison, [R1, R4]
    assert result["breaks"]["critical"] >= 3 * BROKEN, result
    typer.echo(json.dumps({"actuals": actuals, **result}))


if __name__ == "__main__":
    typer.run(main)
