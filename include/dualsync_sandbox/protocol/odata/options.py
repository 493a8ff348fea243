"""The query options beside ``$filter``."""

from __future__ import annotations

import re
from collections.abc import Mapping

from dualsync_sandbox.protocol.odata.operands import QueryError, Resolver


def order_by(text: str, resolve: Resolver) -> list[str]:
    """``$orderby`` as SQL terms.

    Raises:
        QueryError: It is wrong.
    """
    return [sql + (" DESC" if descending else "") for sql, descending in order_terms(text, resolve)]


def order_terms(text: str, resolve: Resolver) -> list[tuple[str, bool]]:
    """``$orderby`` as SQL terms, each with whether it descends.

    Raises:
        QueryError: It is wrong.
    """
    terms = []
    for part in text.split(","):
        words = part.split()
        if not words or len(words) > 2 or (len(words) == 2 and words[1].lower() not in ("asc", "desc")):
            raise QueryError(f"Syntax error in $orderby: {part.strip()!r}")
        terms.append((resolve(words[0]).sql, len(words) == 2 and words[1].lower() == "desc"))
    return terms


def whole(options: Mapping[str, str], name: str) -> int | None:
    """A query option that must be a whole number, not negative."""
    text = options.get(name)
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise QueryError(f"Invalid value '{text[:40]}' for {name} query option found.")
    return int(text)


def selected(text: str | None) -> list[str]:
    """``$select`` as names, without repeats."""
    return list(dict.fromkeys(part.strip() for part in (text or "").split(",") if part.strip()))
