"""What the parts of ``docs/sandbox.md`` that come from the code are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Route:
    """A kind of request that is answered.

    Attributes:
        methods: Its HTTP methods.
        path: Below the service root; capitals stand for what changes.
        does: What it does.
        page: The page of Microsoft's documentation it follows, below ``developer/data-platform``.
    """

    methods: str
    path: str
    does: str
    page: str


def table(heads: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    """A table in Markdown."""
    listed = [heads, ["---"] * len(heads), *lines]
    return "\n".join(f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in line)} |" for line in listed)
