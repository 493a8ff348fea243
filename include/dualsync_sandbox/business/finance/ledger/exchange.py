"""Exchange rates as Finance keeps them: quoted per 100 units, valid from a day to a day, in one direction per pair."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row, Tx

QUOTED_UNITS = Decimal(100)
"""A rate of 125 turns 1 into 1.25 ([H8]: the rate is stored times one hundred)."""

NO_DATE = "1900-01-01"
"""The date Finance shows where there is none."""

RATE_TYPE = "Default"


def exact(value: object) -> Decimal:
    """Return an amount of a row as a decimal; an absent one is zero."""
    return value if isinstance(value, Decimal) else Decimal(str(value or 0))


def accounting_currency(tx: Tx, area: str) -> str | None:
    """Return the accounting currency of a company (``dataAreaId``) by its ledger, None without a ledger."""
    ledgers = tx.find("Ledgers", LegalEntityId=area.upper())
    return str(ledgers[0]["AccountingCurrency"]) if ledgers else None


def convert(tx: Tx, amount: Decimal, currency: str, into: str, day: str) -> Decimal | None:
    """Return ``amount`` of ``currency`` in the currency ``into`` by the rate of ``day`` (ISO), unrounded.

    Where only the opposite pair is kept, its reciprocal counts, as in Finance. None when there is no rate.
    """
    if currency == into:
        return amount
    rate = _rate(tx, currency, into, day)
    if rate is not None:
        return amount * rate / QUOTED_UNITS
    rate = _rate(tx, into, currency, day)
    return None if not rate else amount * QUOTED_UNITS / rate


def _rate(tx: Tx, currency: str, into: str, day: str) -> Decimal | None:
    rates: list[Row] = tx.find(
        "ExchangeRatesCDSEntity", ExchangeRateTypeName=RATE_TYPE, FromCurrencyCode=currency, ToCurrencyCode=into
    )
    for rate in rates:
        if str(rate["ValidFrom"])[:10] <= day <= str(rate["ValidTo"])[:10]:
            return exact(rate["Rate"])
    return None
