"""Runs that end themselves with SIGKILL at a named point, each in a process of its own."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dualsync.repair.replay import replay
from dualsync.settings import Settings
from dualsync.sync.legs.runtime import Runtime
from dualsync.sync.legs.spec import RowRef, RunSpec
from dualsync.sync.run.runs import start_run
from dualsync.sync.run.serial import run_all

RUN_ID = "killed"


@dataclass(frozen=True)
class Point:
    """Where a process dies.

    Attributes:
        map: The map whose run it dies in.
        target: What is called there: ``module:Class.function`` or ``module:function``.
        when: Before or after the call.
        call: Which call of those that have an argument of the type ``argument``, from 1.
        argument: None for all calls.
        maps: All maps of the run, where it has more than the one.
    """

    map: str
    target: str
    when: Literal["before", "after"]
    call: int = 1
    argument: type | None = None
    maps: tuple[str, ...] = ()


def run_and_die(
    settings: Settings, companies: list[str], point: Point, run_id: str = RUN_ID, rows: Sequence[RowRef] = ()
) -> None:
    """Run the point's maps in a process that dies at the point.

    Args:
        settings: The settings of the run.
        companies: Its companies.
        point: Where it dies.
        run_id: Its identity.
        rows: The rows of a replay, where it is one.

    Raises:
        AssertionError: The point was never reached.
    """
    # A server that has the heavy imports done forks the processes; this one has threads and cannot.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["dualsync.sync.run.serial", "great_expectations", "support.crash"])
    process = context.Process(target=_run, args=(settings, companies, point, run_id, rows))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL, f"the point was not reached (exit code {process.exitcode})"


def _run(settings: Settings, companies: list[str], point: Point, run_id: str, rows: Sequence[RowRef]) -> None:
    _arm(point)
    maps = point.maps or (point.map,)
    with Runtime.open(settings) as runtime:
        if rows:
            replay(runtime, rows, run_id=run_id)
        spec = RunSpec("kill", maps=maps, companies=companies, run_id=run_id)
        run_all(start_run(spec, runtime), runtime)


def _arm(point: Point) -> None:
    module, _, path = point.target.partition(":")
    owner: Any = importlib.import_module(module)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    real = getattr(owner, name)
    calls = 0

    def deadly(*args: Any, **words: Any) -> Any:
        nonlocal calls
        if point.argument is not None and not any(type(arg) is point.argument for arg in args):
            return real(*args, **words)
        calls += 1
        last = calls == point.call
        if last and point.when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*args, **words)
        if last:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, deadly)
