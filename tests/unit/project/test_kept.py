"""Kept states: made once, whatever happens meanwhile, and again when what they were made by changes."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from support import kept as states
from support.kept import copy, fingerprint, kept
from support.paths import ROOT


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "FOLDER", tmp_path / "worlds")


ASKED = """
import os, sys, time
from pathlib import Path
from support import kept as states

def make(home):
    home.mkdir()
    if "die" in sys.argv:
        os._exit(9)
    time.sleep(0.3)
    (home / "text").write_text(f"of process {os.getpid()}")

states.FOLDER = Path(sys.argv[1])
print(os.getpid(), states.kept("one", make) / "text")
"""


def process(*words: str) -> subprocess.Popen[str]:
    """A process that asks for a state, prints its own id and where the state is; or ends while it makes it."""
    return subprocess.Popen(
        [sys.executable, "-c", ASKED, str(states.FOLDER), *words],
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
        stdout=subprocess.PIPE,
        text=True,
    )


def made(text: str) -> str:
    """What a state holds that is made now, or was made before."""

    def make(home: Path) -> None:
        home.mkdir()
        (home / "text").write_text(text)

    return (kept("one", make) / "text").read_text()


def test_processes_that_ask_at_once_get_one_state() -> None:
    processes = [process() for _ in range(3)]
    answers = [asked.communicate()[0].split() for asked in processes]
    assert [asked.returncode for asked in processes] == [0, 0, 0]
    assert len({file for _, file in answers}) == 1
    assert Path(answers[0][1]).read_text() in {f"of process {number}" for number, _ in answers}


def test_a_state_is_made_once() -> None:
    assert [made("first"), made("second")] == ["first", "first"]


def test_what_could_not_be_made_is_made_again() -> None:
    def fail(home: Path) -> None:
        home.mkdir()
        (home / "text").write_text("half")
        raise RuntimeError("no longer")

    with pytest.raises(RuntimeError, match="no longer"):
        kept("one", fail)
    assert made("whole") == "whole"


def test_what_a_killed_process_left_behind_is_made_again() -> None:
    killed = process("die")
    killed.communicate()
    assert killed.returncode == 9
    assert len([path for path in states.FOLDER.rglob("one-*") if path.is_dir()]) == 1
    assert made("whole") == "whole"


def test_a_state_that_somebody_wrote_into_is_made_again() -> None:
    made("whole")
    (text,) = states.FOLDER.rglob("text")
    text.write_text("changed")
    assert made("whole again") == "whole again"


@pytest.mark.parametrize(
    "changed",
    [
        "include/dualsync/maps/projects.yml",
        "include/dualsync/sync/plan.py",
        "include/dualsync_sandbox/schema/tables.json",
        "include/dualsync_sandbox/seed/company.py",
        "great_expectations/expectations/projects.json",
        "tests/support/worlds.py",
        "requirements.lock",
    ],
)
def test_a_change_of_what_it_was_made_by_makes_another(
    changed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(states, "ROOT", tmp_path)
    file = tmp_path / changed
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("a = 1\n")
    first = made("first")
    file.write_text("a = 2\n")
    fingerprint.cache_clear()
    changed_to = made("second")
    file.write_text("a = 1\n")
    fingerprint.cache_clear()
    assert [first, changed_to, made("third")] == ["first", "second", "first"]


@pytest.mark.parametrize("hours", [7, 25])
def test_an_old_state_is_made_again_and_whoever_copies_it_may_end(hours: int) -> None:
    made("old")
    (said,) = states.FOLDER.rglob("one.made")
    os.utime(said, (time.time() - 3600 * hours,) * 2)
    assert made("new") == "new"
    assert sorted(path.read_text() for path in states.FOLDER.rglob("text")) == ["new", "old"]


def test_what_is_older_than_a_day_is_removed() -> None:
    made("old")
    (said,) = states.FOLDER.rglob("one.made")
    (before,) = (path for path in said.parent.iterdir() if path.is_dir())
    other = states.FOLDER / "of-other-files"
    other.mkdir()
    for path in (said, before, other):
        os.utime(path, (time.time() - 25 * 3600,) * 2)
    made("new")
    assert not before.exists()
    assert not other.exists()


def test_a_copy_holds_what_is_written_and_leaves_the_state_alone(tmp_path: Path) -> None:
    def make(home: Path) -> None:
        home.mkdir()
        with closing(sqlite3.connect(home / "rows.db")) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("CREATE TABLE rows (name)")
            connection.execute("INSERT INTO rows VALUES ('kept')")
            connection.commit()

    def names(home: Path) -> list[str]:
        with closing(sqlite3.connect(home / "rows.db")) as connection:
            return [name for (name,) in connection.execute("SELECT name FROM rows")]

    template = kept("one", make)
    with closing(sqlite3.connect(template / "rows.db")) as reader:
        reader.execute("SELECT * FROM rows").fetchall()
        copy(template, tmp_path / "copy")
    with closing(sqlite3.connect(tmp_path / "copy" / "rows.db")) as connection:
        connection.execute("INSERT INTO rows VALUES ('of the copy')")
        connection.commit()
    assert names(tmp_path / "copy") == ["kept", "of the copy"]
    assert names(template) == ["kept"]
