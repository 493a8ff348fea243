"""Suggests the word that somebody probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, words: Iterable[str]) -> str:
    """The end of a message about a word that does not exist.

    Args:
        word: The word as it was written.
        words: The words that exist.

    Returns:
        ``; did you mean 'x'?`` with the word most like the given one, or nothing where none is like it.
    """
    spellings = {name.lower(): name for name in words}
    matches = difflib.get_close_matches(word.lower(), spellings, n=1, cutoff=0.6)
    return f"; did you mean '{spellings[matches[0]]}'?" if matches else ""
