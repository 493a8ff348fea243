"""Filters of exported dual-write maps, which are X++ (``((PartyType == "Organization"))``), as OData."""

from __future__ import annotations

import re

from dualsync.mapping.expressions.odata import odata_literal
from dualsync.mapping.expressions.tree import ExpressionError

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*') | (?P<enum>\w+::(?P<member>\w+)) | (?P<word>[A-Za-z_]\w*) |
        (?P<number>-?\d+(?:\.\d+)?) | (?P<sign>==|!=|<>|<=|>=|&&|\|\||[()!<>])
    )""",
    re.VERBOSE,
)
_SIGNS = {
    "==": "eq",
    "!=": "ne",
    "<>": "ne",
    "<=": "le",
    ">=": "ge",
    "<": "lt",
    ">": "gt",
    "&&": "and",
    "||": "or",
    "!": "not",
}


def is_xpp(text: str) -> bool:
    """Whether a filter is written in X++, by the signs that OData does not have."""
    outside = re.sub(r"'(?:[^']|'')*'", "", text)
    return re.search(r'==|!|&&|\|\||"|<|>|::', outside) is not None


def from_xpp(text: str) -> str:
    """An X++ filter as OData.

    Raises:
        ExpressionError: The text cannot be read, or mixes ``&&`` and ``||`` without parentheses, which X++ gives one
            rank.
    """
    position, words = 0, []
    joined: list[set[str]] = [set()]
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            raise ExpressionError(f"cannot be read as a filter: {text}")
        position = token.end()
        if (quoted := token["text"]) is not None:
            words.append(odata_literal(re.sub(r"\\(.)", r"\1", quoted[1:-1])))
        elif token["enum"] is not None:
            words.append(odata_literal(token["member"]))
        elif (sign := token["sign"]) is not None:
            if sign in ("&&", "||"):
                joined[-1].add(sign)
            elif sign == "(":
                joined.append(set())
            elif sign == ")" and len(joined) > 1 and len(joined.pop()) > 1:
                joined[-1] |= {"&&", "||"}
            if any(len(signs) > 1 for signs in joined):
                raise ExpressionError(f"mixes && and || without parentheses: {text}")
            words.append(_SIGNS.get(sign, sign))
        else:
            words.append(token["word"] or token["number"])
    return " ".join(words).replace("( ", "(").replace(" )", ")")
