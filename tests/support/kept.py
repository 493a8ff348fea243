"""States that take long to make: made once on this machine, and copied by every test that needs one.

They lie below ``.pytest_cache``, so that all workers of a run share them and the next run finds them there. A state
belongs to the files that it was made by: when one of them changes, another is made. Nobody writes into a kept state;
one that is no longer as it was made is made again. One that is replaced stays for a day: somebody may still copy it.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path

from support.paths import ROOT

FOLDER = ROOT / ".pytest_cache" / "worlds"

MADE_BY = ("include", "great_expectations", "tests/support", "requirements.lock")
"""What decides how a state looks."""

OLDEST = 6 * 3600.0
"""Seconds that a state serves, on one day: what happened in it must not lie days before what a test lets happen."""

DAY = 24 * 3600.0

BESIDE = ("*-wal", "*-shm")
"""Files that come and go beside a database that somebody reads."""


def kept(name: str, make: Callable[[Path], None]) -> Path:
    """The folder of a state, made now if it is not there yet; who asks at the same time waits for it.

    Args:
        name: Of the state.
        make: Makes the state in the folder that it is given, which does not exist yet, and leaves nothing open.
    """
    folder = FOLDER / fingerprint(ROOT)
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder / f"{name}.lock"):
        made = folder / f"{name}.made"
        if not _serves(made):
            _forget_old(folder)
            home = folder / f"{name}-{time.time_ns()}"
            _make(home, make)
            # Said last and at once, so that what a killed run left behind counts as nothing.
            said = folder / f"{name}.said"
            said.write_text(f"{home.name} {_content(home)}", encoding="utf-8")
            said.replace(made)
        return folder / _said(made)[0]


def copy(template: Path, home: Path) -> None:
    """Copy a kept state."""
    shutil.copytree(template, home, ignore=shutil.ignore_patterns(*BESIDE))


@cache
def fingerprint(root: Path) -> str:
    """Of all that decides how states look, and of where they lie: they hold paths of their own files."""
    digest = hashlib.sha256(f"{FOLDER} {sys.version}".encode())
    for part in MADE_BY:
        path = root / part
        files = [path] if path.is_file() else sorted(path.rglob("*"))
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts and "uncommitted" not in file.parts:
                digest.update(f"{file.relative_to(root)} {file.stat().st_size}\n".encode())
                digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _serves(made: Path) -> bool:
    """Whether a state was made to its end, lately enough, and is as it was made."""
    if not made.exists():
        return False
    since = made.stat().st_mtime
    if time.time() - since > OLDEST or _day(since) != _day(time.time()):
        return False
    name, content = _said(made)
    return _content(made.parent / name) == content


def _said(made: Path) -> tuple[str, str]:
    name, content = made.read_text(encoding="utf-8").split()
    return name, content


def _content(home: Path) -> str:
    """A fingerprint of all files of a state."""
    digest = hashlib.sha256()
    for file in sorted(home.rglob("*")):
        if file.is_file() and not any(file.match(pattern) for pattern in BESIDE):
            digest.update(f"{file.relative_to(home)} {file.stat().st_size}\n".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _day(seconds: float) -> date:
    return datetime.fromtimestamp(seconds, UTC).date()


def _make(home: Path, make: Callable[[Path], None]) -> None:
    try:
        make(home)
    except BaseException:
        shutil.rmtree(home, ignore_errors=True)
        raise
    for database in home.rglob("*.db"):
        _write_back(database)


def _write_back(database: Path) -> None:
    """Let a database be its file alone, so that a copy of that file holds all of it."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _forget_old(current: Path) -> None:
    """Remove states of other files, and replaced or half-made ones, that are older than a day."""
    others = [folder for folder in FOLDER.iterdir() if folder != current]
    for folder in (*others, *(home for home in current.iterdir() if home.is_dir())):
        if time.time() - folder.stat().st_mtime > DAY:
            shutil.rmtree(folder, ignore_errors=True)
