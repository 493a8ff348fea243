"""Entry point of ``make run``."""

from __future__ import annotations

import fcntl
import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import structlog
import typer

from dualsync.reports.legs import wide_console
from dualsync.settings import find_home
from dualsync_demo.demo import Demo
from dualsync_demo.processes import DemoError


@contextmanager
def _alone(state: Path) -> Iterator[None]:
    """Keep a second start away from the state folder."""
    state.mkdir(parents=True, exist_ok=True)
    with (state / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoError(f"A demo is already running on {state}. End it with Ctrl-C in its terminal.") from None
        yield


def main(
    profile: Annotated[str, typer.Option(help="Size of the sandbox's data: demo, small or large.")] = "demo",
    seed: Annotated[int, typer.Option(help="Seed of the sandbox's data.")] = 1,
    once: Annotated[bool, typer.Option("--once", help="End after the reports instead of serving on.")] = False,
    each: Annotated[bool, typer.Option("--each", help="Run the DAG of each area by itself too.")] = False,
    play: Annotated[
        int | None, typer.Option(min=0, help="Working days to play; two at the first start, none at later ones.")
    ] = None,
) -> None:
    """Run the sandbox and Airflow on this machine, play some working days, and carry their work around."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    console = wide_console()
    demo = Demo(find_home(), console)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    succeeded = False
    try:
        with _alone(demo.state):
            try:
                succeeded = demo.run(profile, seed, once, play, each)
            finally:
                # an impatient second Ctrl-C must not leave processes behind
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                demo.services.stop()
    except DemoError as error:
        console.print(f"[red]make run stopped.[/red] {error}", soft_wrap=True, highlight=False)
    except KeyboardInterrupt:
        console.print("Ended.")
        succeeded = not once
    sys.exit(0 if succeeded else 1)


if __name__ == "__main__":
    typer.run(main)
