"""Reads the log of messages that Finance puts into its errors."""

from __future__ import annotations

import re

_PIECES = re.compile(r";\s*(?=(?:Error|Warning|Info):)")
_SEVERITY = re.compile(r"^(?:Error|Warning|Info):\s*")
_NOISE = re.compile(r"^validate(?:Write|Field) failed on ", re.IGNORECASE)


def clean_messages(text: str) -> list[str]:
    """The messages that a person can act on, from the text of an error.

    After ``Infolog:`` Finance joins its messages with their severities, and repeats each as a note of the place in its
    code that refused; those notes are left out unless there is nothing else.
    """
    _, marker, log = text.partition("Infolog:")
    pieces = [_SEVERITY.sub("", piece.strip()).strip().rstrip(";") for piece in _PIECES.split(log if marker else text)]
    pieces = list(dict.fromkeys(piece for piece in pieces if piece))
    return [piece for piece in pieces if not _NOISE.match(piece)] or pieces
