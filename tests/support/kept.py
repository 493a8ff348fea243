"""States that take long to make: made once on this machine, and copied by every test that needs one.

They lie below ``.pytest_cache``, so that all workers of a run share them and the next run finds them there. A state
belongs to the files that it was made by: when one of them changes, another is made. Nobody writes into a kept state.
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
from functools import cache
from pathlib import Path

from support.paths import ROOT

FOLDER = ROOT / ".pytest_cache" / "worlds"

MADE_BY = ("include", "great_expectations", "tests/support", "requirements.lock")
"""What decides how a state looks."""

OLDEST = 6 * 3600.0
"""Seconds that a state serves: what happened in it must not lie days before what a test lets happen."""

_MADE = "made"


def kept(name: str, make: Callable[[Path], None]) -> Path:
    """The folder of a state, made now if it is not there yet; who asks at the same time waits for it.

    Args:
        name: Of the state.
        make: Makes the state in the folder that it is given, which does not exist yet, and leaves nothing open.
    """
    folder = FOLDER / _fingerprint()
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder / f"{name}.lock"):
        made, home = folder / f"{name}.{_MADE}", folder / name
        if not made.exists() or time.time() - made.stat().st_mtime > OLDEST:
            _forget_old()
            made.unlink(missing_ok=True)
            shutil.rmtree(home, ignore_errors=True)
            make(home)
            for database in home.rglob("*.db"):
                _write_back(database)
            made.touch()
        return home


def copy(template: Path, home: Path) -> None:
    """Copy a kept state; beside a database that somebody reads lie files that come and go."""
    shutil.copytree(template, home, ignore=shutil.ignore_patterns("*-wal", "*-shm"))


def _write_back(database: Path) -> None:
    """Let a database be its file alone, so that a copy of that file holds all of it."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@cache
def _fingerprint() -> str:
    """Of all that decides how states look, and of where they lie: they hold paths of their own files."""
    digest = hashlib.sha256(f"{FOLDER} {sys.version}".encode())
    for part in MADE_BY:
        path = ROOT / part
        files = [path] if path.is_file() else sorted(path.rglob("*"))
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts and "uncommitted" not in file.parts:
                digest.update(f"{file.relative_to(ROOT)} {file.stat().st_size}\n".encode())
                digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _forget_old() -> None:
    """Remove states of other files that were made more than a day ago."""
    for folder in FOLDER.iterdir():
        if folder.name != _fingerprint() and time.time() - folder.stat().st_mtime > 24 * 3600:
            shutil.rmtree(folder, ignore_errors=True)
