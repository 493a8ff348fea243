"""The demo's own processes: started in groups of their own, watched, and ended without leaving any behind."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

GRACE = 15.0
"""Seconds that processes get to end by themselves."""


class DemoError(Exception):
    """The demo cannot go on. The message is for the person at the terminal."""


@dataclass
class Service:
    """A running process of the demo."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """Make sure that it still runs.

        Raises:
            DemoError: It has ended; with the last lines of its log.
        """
        code = self.process.poll()
        if code is not None:
            raise DemoError(f"{self.name} ended with exit code {code}.\n{tail(self.log)}")


@dataclass
class Services:
    """All processes of the demo.

    Args:
        logs: Folder of their log files.
    """

    logs: Path
    running: list[Service] = field(default_factory=list)

    def start(self, name: str, command: Sequence[str], environ: Mapping[str, str]) -> Service:
        """Start a process that keeps running; its output goes to ``<logs>/<name>.log``.

        Args:
            name: Its name, in messages and of its log.
            command: Program and arguments.
            environ: Its environment.
        """
        log = self._fresh_log(name)
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        service = Service(name, process, log)
        self.running.append(service)
        return service

    def run(self, name: str, command: Sequence[str], environ: Mapping[str, str]) -> None:
        """Run a process to its end.

        Args:
            name: Its name, in messages and of its log.
            command: Program and arguments.
            environ: Its environment.

        Raises:
            DemoError: It failed; with the path and the last lines of its log.
        """
        service = self.start(name, command, environ)
        code = service.process.wait()
        self.running.remove(service)
        if code:
            raise DemoError(f"{name} failed with exit code {code}.\n{tail(service.log)}")

    def check(self) -> None:
        """Make sure that all processes still run.

        Raises:
            DemoError: One has ended.
        """
        for service in self.running:
            service.check()

    def stop(self) -> None:
        """End everything that was started here, children included, the last started first.

        Only processes whose ancestors were started here are touched; each is named by its id.
        """
        family: list[psutil.Process] = []
        for service in reversed(self.running):
            try:
                parent = psutil.Process(service.process.pid)
                family += [parent, *parent.children(recursive=True)]
            except psutil.NoSuchProcess:
                continue
        # each is asked to end once, and asks its own children
        for service in reversed(self.running):
            service.process.terminate()
        # collects the exit codes of our children as well, so that none is left as a zombie
        _, alive = psutil.wait_procs(family, timeout=GRACE)
        for process in alive:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(alive, timeout=GRACE)
        self.running.clear()

    def _fresh_log(self, name: str) -> Path:
        self.logs.mkdir(parents=True, exist_ok=True)
        return self.logs / f"{name}.log"


def tail(log: Path, lines: int = 15) -> str:
    """Return the path of a log and its last lines, for a message.

    Args:
        log: The log file.
        lines: How many lines.
    """
    text = log.read_text(errors="replace") if log.exists() else ""
    last = "\n".join(f"  {line}" for line in text.splitlines()[-lines:])
    return f"Log: {log}\n{last}" if last else f"Log: {log} (empty)"


def free_port(preferred: int | None = None) -> int:
    """Return a port of the loopback address that nobody listens on.

    Args:
        preferred: The one to take if it is free.

    Raises:
        DemoError: There is none.
    """
    for candidate in (preferred, 0):
        if candidate is None:
            continue
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", candidate))
            except OSError:
                continue
            port: int = probe.getsockname()[1]
            return port
    raise DemoError("No free port on 127.0.0.1.")


def wait_for(what: str, seconds: float, done: Callable[[], bool], services: Services) -> None:
    """Wait until something is done, and watch the processes meanwhile.

    Args:
        what: What is waited for, in messages.
        seconds: For how long at most.
        done: Says whether it is done.
        services: The processes.

    Raises:
        DemoError: It was not done in time, or one of the processes ended.
    """
    deadline = time.monotonic() + seconds
    while not done():
        services.check()
        if time.monotonic() > deadline:
            logs = "\n".join(tail(service.log, 5) for service in services.running)
            raise DemoError(f"{what} took longer than {seconds:.0f} seconds.\n{logs}")
        time.sleep(0.25)
