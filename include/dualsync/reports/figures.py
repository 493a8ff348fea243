"""Figures as people read them."""

from __future__ import annotations

from decimal import Decimal


def percent(share: Decimal | str | None) -> str:
    """A share of 0 to 1 in percent, with all its digits; a dash where there is none."""
    if share in (None, ""):
        return "-"
    hundredfold = (Decimal(share) * 100).normalize()
    return f"{hundredfold:f} %"
