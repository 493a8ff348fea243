"""Exact arithmetic for amounts and rates, and how amounts are written for people."""

from __future__ import annotations

from decimal import Context, Decimal

EXACT = Context(prec=76)
"""Wide enough for any product of two numbers of 38 digits, the longest that Arrow's ``decimal128`` holds."""


def money(amount: Decimal | str | None) -> str:
    """Return an amount with separators of thousands, to its last digit, at least two; empty where there is none.

    Args:
        amount: The amount, or its digits as text.
    """
    if amount is None:
        return ""
    plain = Decimal(amount).normalize(EXACT)
    places = max(2, -int(plain.as_tuple().exponent))
    return f"{plain:,.{places}f}"
