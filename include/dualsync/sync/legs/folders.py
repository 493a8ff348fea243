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
from typing import Any, TypeVar

from upath import UPath

from dualsync.sync.legs.markers import Ack, Batch, Marker, Sending, Stored, read_stored

M = TypeVar("M", bound=Marker)
S = TypeVar("S", bound=Stored)


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

    def done(self, kind: type[M]) -> M | None:
        """What a finished step left in its marker, None while the step is not done.

        Raises:
            UnknownVersion: Another release wrote it in a form that this one does not know.
        """
        return _stored(self.file(f"{kind.name}.json"), kind)

    def is_done(self, step: str) -> bool:
        """Whether a step is done."""
        return self.file(f"{step}.json").exists()

    def finish(self, marker: Marker) -> None:
        """Say that a step is done."""
        write_json(self.file(f"{marker.name}.json"), marker.content())

    def forget(self, kind: type[Marker]) -> None:
        """Take a marker away, so that what it says is no longer so."""
        self.file(f"{kind.name}.json").unlink(missing_ok=True)

    def sent(self, number: int) -> Batch | None:
        """The acknowledgements of a batch, None while it has none."""
        return _stored(self.file(f"sent/{number:05d}.json"), Batch)

    def acknowledge(self, number: int, batch: Batch) -> None:
        """Keep the acknowledgements of a batch."""
        write_json(self.file(f"sent/{number:05d}.json"), batch.content())
        self.file(f"sent/{number:05d}.partly.json").unlink(missing_ok=True)

    def sent_partly(self, number: int) -> list[Ack]:
        """The acknowledgements of the rows of a batch that got through before the line broke."""
        batch = _stored(self.file(f"sent/{number:05d}.partly.json"), Batch)
        return [] if batch is None else batch.rows

    def acknowledge_partly(self, number: int, rows: list[Ack]) -> None:
        """Keep the acknowledgements of some rows of a batch, so that only the others are sent again."""
        write_json(self.file(f"sent/{number:05d}.partly.json"), Batch(rows=rows).content())

    def acknowledged(self) -> Iterator[Batch]:
        """The acknowledgements of all batches, in order."""
        folder = self.file("sent")
        if folder.exists():
            for path in sorted(folder.iterdir(), key=lambda p: p.name):
                batch = _stored(path, Batch) if path.suffix == ".json" else None
                if batch is not None:
                    yield batch

    @property
    def anything_sent(self) -> bool:
        """Whether a batch of this attempt may have reached the other side.

        The marker ``sending.json`` is written before the first request, since a process can die between a request
        and its acknowledgement.
        """
        return self.is_done(Sending.name)

    def next(self) -> LegFolder:
        """The next attempt at the same leg."""
        return LegFolder(self.leg, self.attempt + 1)


def _stored(path: UPath, kind: type[S]) -> S | None:
    content = read_json(path)
    return None if content is None else read_stored(content, kind, path)


def current_attempt(leg: UPath) -> LegFolder:
    """The latest attempt at a leg; attempt 1 when there is none yet."""
    numbers = [int(p.name) for p in leg.iterdir() if p.name.isdigit()] if leg.exists() else []
    return LegFolder(leg, max(numbers, default=1))
