"""Key predicates in URLs: ``accounts(accountnumber='ABC',_msdyn_company_value=<guid>)``."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache

from dualsync_sandbox.protocol.http import ApiError

_SEGMENT = re.compile(r"(?P<set>[^()/]+)(?:\((?P<key>.*)\))?", re.DOTALL)
#: What stands between slashes; a quote that is not closed goes on to the end.
_UNQUOTED = re.compile(r"(?:[^/']+|'[^']*(?:'|$))+")
_PART = re.compile(
    r"\s*(?:(?P<name>[A-Za-z_]\w*)\s*=\s*)?(?P<value>'(?:[^']|'')*'|[A-Za-z_][\w.]*'(?:[^']|'')*'|[^',]*)\s*(?:,|$)"
)


def split_segment(segment: str) -> tuple[str, str | None]:
    """``set(key)`` as set and key text; no key is ``None``."""
    match = _SEGMENT.fullmatch(segment)
    if match is None:
        raise ApiError(400, "0x80060888", f"The segment '{segment}' of the request URI is not valid.")
    return match["set"], match["key"]


def split_path(path: str) -> list[str]:
    """A decoded path as segments; slashes inside quotes belong to their key."""
    if "'" not in path:
        return [segment for segment in path.split("/") if segment]
    return _UNQUOTED.findall(path)


def parse_key(text: str) -> list[tuple[str | None, str]]:
    """The parts of a key predicate: name (``None`` for a lone value) and literal text."""
    parts: list[tuple[str | None, str]] = []
    position = 0
    while position < len(text):
        match = _PART.match(text, position)
        if match is None or match.end() == position:
            raise ApiError(400, "0x80060888", f"The key '({text})' is not valid.")
        parts.append((match["name"], match["value"].strip()))
        position = match.end()
    return parts


@lru_cache(1024)  # a thousand rows of one request name the same company
def literal(text: str) -> object:
    """A literal as a value: quoted text, enum member, number, true/false, null, else the text itself (GUIDs, dates)."""
    if text.startswith("'"):
        return text[1:-1].replace("''", "'")
    if text.endswith("'"):
        return text[text.index("'") + 1 : -1]
    if re.fullmatch(r"-?[0-9]{1,18}", text):
        return int(text)
    if re.fullmatch(r"-?[0-9]{1,30}\.[0-9]{1,30}", text):
        return Decimal(text)
    return {"true": True, "false": False, "null": None}.get(text, text)
