"""Run folders: where a leg's steps leave their files, and the markers that say a step is done.

A step writes its files and then, last and in one go, ``<step>.json``; only that says the step is done. What a batch
was answered stands in ``sent/00001.json`` and so on, one file each, never appended to.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from upath import UPath

ROWS = "rows"
"""The part of a leg that creates and updates."""

DELETES = "deletes"
"""The part of a leg that deletes, after all maps, children first."""


def safe_name(text: str) -> str:
    """A text as a file name: what is neither letter, digit, dot nor dash becomes an underscore."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text)


def write_json(path: UPath, content: dict[str, Any]) -> None:
    """Write a small JSON file in one go: whoever sees it sees all of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=1, default=str)
    if path.protocol in ("", "file", "local"):
        # A name of its own: two tasks may write the same file at the same time.
        temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.part")
        temporary.write_text(text)
        temporary.replace(path)
    else:
        path.write_text(text)


def read_json(path: UPath) -> dict[str, Any] | None:
    """The content of a JSON file, None when it is not there."""
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    return content


@dataclass(frozen=True, slots=True)
class LegFolder:
    """The folder of one attempt at one leg.

    Attributes:
        leg: The folder shared by all attempts.
        attempt: Number of the attempt, from 1.
    """

    leg: UPath
    attempt: int

    @property
    def path(self) -> UPath:
        """The folder of this attempt."""
        return self.leg / f"{self.attempt:03d}"

    def file(self, name: str) -> UPath:
        """A file of this attempt."""
        return self.path / name

    def done(self, step: str) -> dict[str, Any] | None:
        """What a finished step left in its marker, None while the step is not done."""
        return read_json(self.file(f"{step}.json"))

    def finish(self, step: str, content: dict[str, Any]) -> None:
        """Say that a step is done."""
        write_json(self.file(f"{step}.json"), content)

    def forget(self, step: str) -> None:
        """Take a marker away, so that what it says is no longer so."""
        self.file(f"{step}.json").unlink(missing_ok=True)

    def sent(self, number: int) -> dict[str, Any] | None:
        """The acknowledgements of a batch, None while it has none."""
        return read_json(self.file(f"sent/{number:05d}.json"))

    def acknowledge(self, number: int, content: dict[str, Any]) -> None:
        """Keep the acknowledgements of a batch."""
        write_json(self.file(f"sent/{number:05d}.json"), content)
        self.file(f"sent/{number:05d}.partly.json").unlink(missing_ok=True)

    def sent_partly(self, number: int) -> list[dict[str, Any]]:
        """The acknowledgements of the rows of a batch that got through before the line broke."""
        content = read_json(self.file(f"sent/{number:05d}.partly.json"))
        return [] if content is None else list(content["rows"])

    def acknowledge_partly(self, number: int, rows: list[dict[str, Any]]) -> None:
        """Keep the acknowledgements of some rows of a batch, so that only the others are sent again."""
        write_json(self.file(f"sent/{number:05d}.partly.json"), {"rows": rows})

    def acknowledged(self) -> Iterator[dict[str, Any]]:
        """The acknowledgements of all batches, in order."""
        folder = self.file("sent")
        if folder.exists():
            for path in sorted(folder.iterdir(), key=lambda p: p.name):
                content = read_json(path) if path.suffix == ".json" else None
                if content is not None:
                    yield content

    @property
    def anything_sent(self) -> bool:
        """Whether a batch of this attempt may have reached the other side.

        The marker ``sending.json`` is written before the first request, since a process can die between a request
        and its acknowledgement.
        """
        return self.file("sending.json").exists()

    def next(self) -> LegFolder:
        """The next attempt at the same leg."""
        return LegFolder(self.leg, self.attempt + 1)


def current_attempt(leg: UPath) -> LegFolder:
    """The latest attempt at a leg; attempt 1 when there is none yet."""
    numbers = [int(p.name) for p in leg.iterdir() if p.name.isdigit()] if leg.exists() else []
    return LegFolder(leg, max(numbers, default=1))
