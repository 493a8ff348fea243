"""Recorded states of an installation: the archive that holds them, and how one is put back.

The archive is a ``tar.xz``. ``states.json`` lists the states, each with its files by path; ``files/<digest>`` are the
files, each stored once. Where a path of the machine stood, in the ledger and in JSON files, :data:`HOME` stands.

Nothing here knows dualsync: the ledger is a SQLite file, all else is JSON and Parquet.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import sqlite3
import tarfile
from contextlib import closing
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

ARCHIVE = Path(__file__).parent / "states.tar.xz"

HOME = "{home}"
"""Stands for the path of the installation's home."""

KEPT = (".dualsync", "sandbox/dataverse.db", "sandbox/finance.db", "sandbox/clock.json")
"""What of a home is kept: dualsync's own state, and the rows and the clock of the sandbox."""


@dataclass
class State:
    """One state.

    Attributes:
        name: What it is.
        told: What is known of it: its runs, and whatever a test compares with.
        files: The digest of each file, by its path below the home.
    """

    name: str
    told: dict[str, Any]
    files: dict[str, str] = field(default_factory=dict)


@dataclass
class Archive:
    """States, the content of their files by digest, and where the systems stand once the runs are carried to their end.

    Attributes:
        states: By name.
        content: By digest.
        ends: By the maps of the run, every row of both systems.
    """

    states: dict[str, State] = field(default_factory=dict)
    content: dict[str, bytes] = field(default_factory=dict)
    ends: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    def add(self, name: str, home: Path, told: dict[str, Any]) -> None:
        """Take a state down; what wrote it is at rest."""
        state = State(name, told)
        for kept in KEPT:
            place = home / kept
            for file in sorted(place.rglob("*")) if place.is_dir() else [place]:
                if file.is_file():
                    content = _packed(file, home)
                    assert str(home.parents[1]).encode() not in content, f"{file} holds a path of the machine"
                    digest = hashlib.sha256(content).hexdigest()[:20]
                    state.files[str(file.relative_to(home))] = digest
                    self.content[digest] = content
        self.states[name] = state

    def write(self, path: Path = ARCHIVE) -> None:
        """Write the archive; files of the same path stand side by side, since they are much alike."""
        listed = {"states": [asdict(state) for state in self.states.values()], "ends": self.ends}
        places = sorted({(name, digest) for state in self.states.values() for name, digest in state.files.items()})
        with tarfile.open(path, "w:xz", preset=9) as archive:
            _add(archive, "states.json", json.dumps(listed, indent=1).encode())
            for digest in dict.fromkeys(digest for _, digest in places):
                _add(archive, f"files/{digest}", self.content[digest])

    def restore(self, name: str, home: Path) -> State:
        """Put a state back.

        Args:
            name: The state.
            home: The home to be; must not hold anything yet.

        Returns:
            The state.
        """
        state = self.states[name]
        for path, digest in state.files.items():
            file = home / path
            file.parent.mkdir(parents=True, exist_ok=True)
            content = self.content[digest]
            if file.suffix == ".json":
                content = content.replace(HOME.encode(), str(home).encode())
            file.write_bytes(content)
            if file.name == "ledger.db":
                _replace(file, HOME, str(home))
        return state


@cache
def read_archive(path: Path = ARCHIVE) -> Archive:
    """The recorded states."""
    found = Archive()
    with tarfile.open(path, "r:xz") as archive:
        for entry in archive:
            file = archive.extractfile(entry)
            assert file is not None
            if entry.name == "states.json":
                listed = json.load(file)
            else:
                found.content[entry.name.removeprefix("files/")] = file.read()
    found.states = {one["name"]: State(**one) for one in listed["states"]}
    found.ends = listed["ends"]
    return found


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def _packed(file: Path, home: Path) -> bytes:
    """The content of a file, without the path of the machine."""
    if file.suffix == ".json":
        return file.read_bytes().replace(str(home).encode(), HOME.encode())
    if file.suffix == ".db":
        copy = file.with_suffix(".copy")
        with closing(sqlite3.connect(file)) as one, closing(sqlite3.connect(copy)) as other:
            one.backup(other)
        _replace(copy, str(home), HOME)
        _replace(copy, f"{platform.node()}|", "recorded|")
        content = copy.read_bytes()
        copy.unlink()
        return content
    return file.read_bytes()


def _replace(database: Path, old: str, new: str) -> None:
    """Replace a text in every text column of a ledger; a path of the machine leaves no trace in the file."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for _, column, kind, *_ in connection.execute(f'PRAGMA table_info("{table}")').fetchall():
                if kind.upper() == "TEXT":
                    connection.execute(
                        f'UPDATE "{table}" SET "{column}" = replace("{column}", ?, ?) WHERE instr("{column}", ?)',
                        (old, new, old),
                    )
        if new == HOME:
            connection.execute("VACUUM")
