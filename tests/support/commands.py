"""The command line for tests: in this process, or as a process of its own, which costs seconds of imports each time."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import structlog
from typer.testing import CliRunner

from dualsync.cli import app

if TYPE_CHECKING:
    from support.worlds import World

COMPANIES = ("USPM", "GBPM", "FRRT")


class Printed(NamedTuple):
    """What a command printed."""

    out: str
    err: str


def dualsync(world: World, *words: str, code: int = 0, process: bool = False, **settings: str) -> Printed:
    """Run ``dualsync`` on a world; it must end with ``code`` and without a traceback.

    Args:
        world: The world.
        words: The command.
        code: Exit code.
        process: Whether as a process of its own.
        settings: Further settings, by what follows DUALSYNC_ in their names.
    """
    environ = {
        "DUALSYNC_HOME": str(world.home),
        "DUALSYNC_SANDBOX": str(world.home / "sandbox" / "sandbox.json"),
        "DUALSYNC_COMPANIES": ",".join(COMPANIES),
        "COLUMNS": "200",
        **{f"DUALSYNC_{name}": value for name, value in settings.items()},
    }
    if process:
        done = subprocess.run(
            [sys.executable, "-m", "dualsync.cli", *words],
            env={**os.environ, **environ}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        ended, printed = done.returncode, Printed(done.stdout, done.stderr)
    else:
        logs = structlog.get_config()
        try:
            result = CliRunner().invoke(app, list(words), env=environ)
        finally:
            structlog.configure(**logs)  # it logs to a stream that is closed by now
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        ended, printed = result.exit_code, Printed(result.stdout, result.stderr)
    assert ended == code, printed
    assert "Traceback" not in printed.err
    assert "INFO" not in printed.err, "nobody asked for what is only of interest to those who look for faults"
    return printed
