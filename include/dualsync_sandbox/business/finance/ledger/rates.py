"""The exchange rate of a transaction in its company's accounting currency [G9, H8]."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

from dualsync_sandbox.business.finance.ledger.exchange import QUOTED_UNITS, convert, exact

if TYPE_CHECKING:
    from dualsync_sandbox.store import Tx

_CENT = Decimal("0.01")
_KEPT = Decimal("0.000001")


def rounded(amount: Decimal) -> Decimal:
    """Return an amount with the two decimals of the currencies played here."""
    return amount.quantize(_CENT, ROUND_HALF_UP)


def in_accounting_currency(amount: Decimal, rate: Decimal) -> Decimal:
    """Return ``amount`` times a rate quoted per 100 units, rounded."""
    return rounded(amount * rate / QUOTED_UNITS)


class Rates:
    """Rates into one company's accounting currency, each looked up once.

    Args:
        tx: The transaction.
        area: ``dataAreaId``.
        currency: The accounting currency.
    """

    def __init__(self, tx: Tx, area: str, currency: str) -> None:
        self._tx = tx
        self._area = area
        self._currency = currency
        self._known: dict[tuple[str, str], Decimal | None] = {}

    def of_day(self, currency: str, day: str) -> Decimal | None:
        """Finance's rate per 100 units on a day, six decimals; None where there is none [G9]."""
        key = currency, day
        if key not in self._known:
            rate = convert(self._tx, QUOTED_UNITS, currency, self._currency, day)
            self._known[key] = None if rate is None else rate.quantize(_KEPT, ROUND_HALF_UP)
        return self._known[key]

    def fixed(self, contract: str, currency: str) -> Decimal | None:
        """The rate agreed with the customer of a contract [H8]; kept times one hundred, as 125 for 1.25."""
        if not contract:
            return None
        row = self._tx.find_one(
            "FixedExchangeRates", dataAreaId=self._area, ProjectContractId=contract, CurrencyCode=currency
        )
        return None if row is None else exact(row["ExchangeRate"])
