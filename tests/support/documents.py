"""What the documents of the project hold: commands, make targets, links, headings."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from support.paths import ROOT

_FENCE = re.compile(r"^(```|~~~).*?^\1[^\n]*$", re.MULTILINE | re.DOTALL)
_CODE_SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_LINK = re.compile(r"(?<!\\)\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
_ANCHOR = re.compile(r"""<a (?:id|name)=["']([^"']+)["']""")
_PROMPT = re.compile(r"^(?:\.venv/bin/)?(?=(?:dualsync|make)(?:\s|$))")


class Command(NamedTuple):
    """A command that a document shows: its words, and whether it stands in a block, so that it is a whole one."""

    place: str
    words: tuple[str, ...]
    whole: bool


class Link(NamedTuple):
    """A relative link of a document."""

    place: str
    target: Path
    anchor: str


def documents() -> list[Path]:
    """All documents of the project."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def shown_commands(document: Path) -> Iterator[Command]:
    """The commands ``dualsync`` and ``make`` that a document shows, in blocks and within lines."""
    text = document.read_text(encoding="utf-8")
    place = document.relative_to(ROOT).as_posix()
    for block in _FENCE.finditer(text):
        for line in block.group().splitlines()[1:-1]:
            if match := _PROMPT.match(line):
                yield Command(place, words_of(line[match.end() :]), True)
    for span in _CODE_SPAN.finditer(_FENCE.sub("", text)):
        line = " ".join(span.group(1).split())
        if match := _PROMPT.match(line):
            yield Command(place, words_of(line[match.end() :]), False)


def code_spans(document: Path) -> list[str]:
    """What a document sets as code within its lines."""
    return [" ".join(span.split()) for span in _CODE_SPAN.findall(_FENCE.sub("", document.read_text(encoding="utf-8")))]


def words_of(line: str) -> tuple[str, ...]:
    """The words of a command line, without comment, redirection and program name."""
    words = shlex.split(line, comments=True)
    end = next((place for place, word in enumerate(words) if word in (">", "|", "<", "&&")), len(words))
    return tuple(words[:end])


def links(document: Path) -> Iterator[Link]:
    """The relative links of a document."""
    text = document.read_text(encoding="utf-8")
    place = document.relative_to(ROOT).as_posix()
    for match in _LINK.finditer(_CODE_SPAN.sub("", _FENCE.sub("", text))):
        path, _, anchor = match.group(1).partition("#")
        if "://" not in path and not path.startswith("mailto:"):
            target = (document.parent / path).resolve() if path else document
            yield Link(f"{place}: {match.group(1)}", target, anchor)


def anchors(document: Path) -> set[str]:
    """The anchors of a document: of its headings as GitHub makes them, and those that are set by hand."""
    text = _FENCE.sub("", document.read_text(encoding="utf-8"))
    found = set(_ANCHOR.findall(text))
    seen = Counter[str]()
    for heading in _HEADING.findall(text):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").replace("*", "")
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found
