"""Where things stand in a YAML file: a place is the path of keys and positions that leads there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

Loc = tuple[str | int, ...]
"""A place in a file, such as ``("fields", 3, "values")``."""


@dataclass(frozen=True)
class Origin:
    """Where something was read: its file, the SHA-256 of the file's text and the line of each of its parts."""

    path: Path
    hash: str
    lines: Mapping[Loc, int]

    def line(self, loc: Loc) -> int:
        """The line (from 1) of a place, or of the nearest part around it; 1 where unknown."""
        return next((self.lines[loc[:end]] for end in range(len(loc), -1, -1) if loc[:end] in self.lines), 1)


def dotted(loc: Iterable[str | int]) -> str:
    """A place as text: ``fields[3].values``."""
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text or "(top)"
