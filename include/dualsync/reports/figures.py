"""Figures as people read them: shares in percent, ages in days."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

AGES = ("0-1", "2-7", "8-30", "30+")
"""Age classes of exceptions, in days."""


def percent(share: Decimal | str | None) -> str:
    """Return a share in percent, with all its digits.

    Args:
        share: From 0 to 1; a dash is returned where there is none.
    """
    if share in (None, ""):
        return "-"
    hundredfold = (Decimal(share) * 100).normalize()
    return f"{hundredfold:f} %"


def age_class(first_seen: datetime, moment: datetime) -> str:
    """Return the age class of an exception, one of :data:`AGES`.

    Args:
        first_seen: When a reconciliation saw it first.
        moment: The moment of the reconciliation that is shown.
    """
    days = (moment - first_seen).days
    return AGES[0] if days < 2 else AGES[1] if days < 8 else AGES[2] if days <= 30 else AGES[3]
