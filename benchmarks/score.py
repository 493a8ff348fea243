"""Whether the nightly reconciliation finds what is planted, all of it and nothing else, seed after seed.

One world is settled and copied for every seed; breaks of every kind and as many look-alikes are planted in the copy,
and a night looks at it. Run with ``make score SEEDS=20``; it fails unless recall and precision are 100 % everywhere.
"""

from __future__ import annotations

import logging
import tempfile
import time
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Annotated

import structlog
import typer
from rich.table import Table

from dualsync.reports.legs import wide_console
from dualsync.systems.finance import packages
from support.cycles import SINCE, Cycle
from support.nights import settle
from support.scores import Score, declared, judge, unplantable
from support.worlds import copied, start

AREAS = ("setup_configuration", "expense_management", "estimates_actuals")
COMPANIES = ("USPM", "GBPM", "FRRT")


def build(home: Path, times: int) -> None:
    """Make a settled world in a folder."""
    world = start(home)
    world.sandbox.seed("demo", 1)
    Cycle(world).cut_over(SINCE, *COMPANIES)
    for area in AREAS:
        summary = world.sync(area=area)
        assert summary.state == "settled", [leg.message for leg in summary.legs if leg.message]
    settle(world, COMPANIES, times)
    world.close()


def night(template: Path, home: Path, seed: int, breaks: int) -> tuple[int, Score]:
    """One seed: breaks planted in a copy of the world, and the score of a night there."""
    found = Score()
    number = 0
    for world in copied(template, home):
        # everything has been quiet for more than a day
        world.sandbox.clock.advance(timedelta(hours=30))
        Cycle(world).cut_over(SINCE, *COMPANIES)
        planted, found = judge(world, seed, breaks)
        assert len(planted.breaks) == len(planted.look_alikes)
        number = len(planted.breaks)
    return number, found


def shown(total: Score) -> Table:
    """Recall and precision of every control and class."""
    table = Table("control", "class", "planted", "found", "reported", "rightly", "recall", "precision")
    for (rule, kind), planted, found, reported, rightly in total.rates():
        recall = f"{100 * found / planted:.1f} %" if planted else "-"
        precision = f"{100 * rightly / reported:.1f} %" if reported else "-"
        table.add_row(rule, kind, str(planted), str(found), str(reported), str(rightly), recall, precision)
    return table


def main(
    seeds: Annotated[int, typer.Option(help="How many seeds, from 1 on.")] = 20,
    breaks: Annotated[int, typer.Option(help="Breaks for each seed, and as many look-alikes.")] = 270,
    times: Annotated[int, typer.Option(help="How often everything happens in the world before.")] = 2,
) -> None:
    """Plant, reconcile and score; print a table."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    # the sandbox's imports end after a few looks, however soon these come
    packages.ImportLimits = partial(packages.ImportLimits, first_wait=0.01)  # type: ignore[assignment, misc]
    console, total = wide_console(), Score()
    with tempfile.TemporaryDirectory(prefix="dualsync-score-") as folder:
        template = Path(folder) / "settled"
        template.mkdir()
        started = time.perf_counter()
        build(template, times)
        console.print(f"a settled world in {time.perf_counter() - started:.0f} s")
        for seed in range(1, seeds + 1):
            started = time.perf_counter()
            number, found = night(template, Path(folder) / str(seed), seed, breaks)
            total.add(found)
            console.print(
                f"seed {seed}: {number} breaks, {number} look-alikes; {len(found.missed)} missed, "
                f"{len(found.false)} false, in {time.perf_counter() - started:.0f} s"
            )
            for one, text in found.missed:
                console.print("missed:", *one, text)
            for one, row in found.false:
                console.print("false:", *one, row["company"], row["key"], row["field"], row["explanation"])
    console.print(shown(total))
    for text in sorted(set(total.silent)):
        console.print("not judged:", text)
    unseen = declared() - set(total.planted)
    for one in sorted(unseen):
        console.print("never planted:", *one, unplantable().get(one, "nothing to plant it on: play more, with --times"))
    raise typer.Exit(0 if total.perfect and unseen <= unplantable().keys() else 1)


if __name__ == "__main__":
    typer.run(main)
