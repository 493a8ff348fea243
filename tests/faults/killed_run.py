"""A run that ends itself with SIGKILL at a named point. Started by tests as a process of its own, never imported.

The arguments are one JSON object: ``home``, ``sandbox``, ``run_id``, ``maps``, ``companies``, ``batches``, and the
point: ``target`` (module:Class.function or module:function), ``when`` (before or after), ``call`` (which call of those
that have ``argument`` among their positional arguments, or of all where that is missing).
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from dualsync.settings import Settings
from dualsync.sync.pipeline import run_all, start_run
from dualsync.sync.runtime import Runtime


def arm(target: str, when: str, call: int, argument: Any = None) -> None:
    """Put the point of death in place."""
    module, _, path = target.partition(":")
    owner: Any = importlib.import_module(module)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    real = getattr(owner, name)
    calls = 0

    def deadly(*args: Any, **words: Any) -> Any:
        nonlocal calls
        if argument is not None and argument not in args:
            return real(*args, **words)
        calls += 1
        now = calls == call
        if now and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*args, **words)
        if now:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, deadly)


def main() -> None:
    """Run until the point, or to the end where it is never reached."""
    told = json.loads(sys.argv[1])
    arm(told["target"], told["when"], told["call"], told.get("argument"))
    overrides = {"home": Path(told["home"]), "companies": told["companies"], "batch_sizes": told["batches"]}
    settings = Settings.load(overrides, environ={"DUALSYNC_SANDBOX": told["sandbox"]})
    with Runtime.open(settings) as runtime:
        run_all(start_run("kill", runtime=runtime, maps=told["maps"], run_id=told["run_id"]), runtime)


if __name__ == "__main__":
    main()
