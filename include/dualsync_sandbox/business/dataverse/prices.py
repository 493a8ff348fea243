"""What work, materials and expenses cost and sell for: simple price lists by company, currency and role.

The product's price lists know many dimensions; the sandbox has the two that decide the amounts of actuals: the role
within the company that bears the cost, and the role within the currency of the contract. The numbers are invented; a
consultant costs and sells for what Microsoft's intercompany example says ([K6]: 120 USD, 88 GBP, 200 USD).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

from dualsync_sandbox.business.finance.ledger.exchange import exact

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row, Tx

Rates = Mapping[str, Mapping[str, Decimal]]

OTHER = "Team member"
"""The role whose rates apply to roles no list names, and to work without a role (assumed)."""

_ROLES = {
    #                      cost per hour             bill per hour
    #                      USPM  GBPM  FRRT  DEMF    USD   GBP   EUR
    "Project manager":    ("140", "104", "126", "122", "230", "178", "212"),
    "Team member":        ("90", "66", "81", "78", "150", "115", "138"),
    "Consultant":         ("120", "88", "108", "104", "200", "155", "184"),
    "Senior consultant":  ("150", "112", "136", "131", "250", "195", "230"),
    "Engineer":           ("110", "82", "99", "96", "185", "142", "170"),
    "Surveyor":           ("95", "71", "86", "83", "160", "122", "147"),
    "Trainer":            ("100", "74", "90", "87", "170", "131", "156"),
    "Software developer": ("115", "85", "104", "100", "190", "147", "175"),
}  # fmt: skip
_COMPANIES = ("USPM", "GBPM", "FRRT", "DEMF")
_CURRENCIES = ("USD", "GBP", "EUR")
_MATERIALS = {
    #          cost                   sale, each in USD, GBP, EUR
    "P-1001": ("80", "62.50", "74", "120", "93", "110"),
    "P-1002": ("45.20", "35.10", "41.80", "60", "46.50", "55"),
    "P-1003": ("3.75", "2.90", "3.45", "5.25", "4.10", "4.85"),
    "P-1004": ("640", "495", "588", "880", "682", "810"),
}
OTHER_MATERIAL = "P-1003"
"""The product whose prices apply to products no list names and to write-in products (assumed)."""


def _table(rows: Mapping[str, tuple[str, ...]], columns: tuple[str, ...], first: int) -> Rates:
    return {
        column: {name: Decimal(values[first + place]) for name, values in rows.items()}
        for place, column in enumerate(columns)
    }


@dataclass(frozen=True, slots=True)
class Prices:
    """Price lists.

    Attributes:
        cost: By company code and role name: what an hour costs, in the company's currency.
        bill: By currency code and role name: what an hour sells for.
        material_cost: By currency code and product number.
        material_sale: By currency code and product number.
        expense_markup: By name of a transaction category: percent added to the cost of an expense; none means at cost.
    """

    cost: Rates = field(default_factory=lambda: _table(_ROLES, _COMPANIES, 0))
    bill: Rates = field(default_factory=lambda: _table(_ROLES, _CURRENCIES, 4))
    material_cost: Rates = field(default_factory=lambda: _table(_MATERIALS, _CURRENCIES, 0))
    material_sale: Rates = field(default_factory=lambda: _table(_MATERIALS, _CURRENCIES, 3))
    expense_markup: Mapping[str, Decimal] = field(default_factory=lambda: {"Accommodation": Decimal(5)})

    def hour_cost(self, tx: Tx, company: Row, role: Row | None) -> Decimal:
        """Return what an hour of the role costs in a ``cdm_company``, in that company's currency."""
        code = str(company["cdm_companycode"])
        rates = self.cost.get(code)
        if rates is not None:
            return _of(rates, _name(role))
        # A company without a list takes the first one, at native rates (assumed).
        first = next(iter(self.cost))
        to_currency, list_currency = _company_currency(tx, code), _company_currency(tx, first)
        return native(_of(self.cost[first], _name(role)), list_currency, to_currency)

    def hour_sale(self, tx: Tx, currency: Row, role: Row | None) -> Decimal:
        """Return what an hour of the role sells for in a ``transactioncurrency``."""
        return self._in(tx, self.bill, currency, _name(role), OTHER)

    def piece_cost(self, tx: Tx, currency: Row, product: Row | None) -> Decimal:
        """Return what a piece of a product costs in a ``transactioncurrency``."""
        return self._in(tx, self.material_cost, currency, _number(product), OTHER_MATERIAL)

    def piece_sale(self, tx: Tx, currency: Row, product: Row | None) -> Decimal:
        """Return what a piece of a product sells for in a ``transactioncurrency``."""
        return self._in(tx, self.material_sale, currency, _number(product), OTHER_MATERIAL)

    def expense_sale(self, price: Decimal, spent_in: Row, billed_in: Row, category: Row | None) -> Decimal:
        """Return the sales price of an expense [I8]: at cost or with a markup, converted by Dataverse's own rates."""
        percent = self.expense_markup.get(str((category or {}).get("msdyn_name") or ""), Decimal(0))
        return native(price * (100 + percent) / 100, spent_in, billed_in)

    @staticmethod
    def _in(tx: Tx, rates: Rates, currency: Row, name: str, other: str) -> Decimal:
        code = str(currency["isocurrencycode"])
        if code in rates:
            return _of(rates[code], name, other)
        first = next(iter(rates))
        list_currency = tx.find_one("transactioncurrency", isocurrencycode=first)
        return native(_of(rates[first], name, other), list_currency or currency, currency)


def _of(rates: Mapping[str, Decimal], name: str, other: str = OTHER) -> Decimal:
    return rates.get(name, rates[other])


def _name(role: Row | None) -> str:
    return str((role or {}).get("name") or OTHER)


def _number(product: Row | None) -> str:
    return str((product or {}).get("msdyn_productnumber") or OTHER_MATERIAL)


def _company_currency(tx: Tx, code: str) -> Row:
    company = tx.find_one("cdm_company", cdm_companycode=code)
    assert company is not None, code
    return currency_of_company(tx, company)


def currency_of_company(tx: Tx, company: Row) -> Row:
    """Return the currency of a company: that of its unit, which by [A4] is the accounting currency of its ledger.

    A company without a unit goes by its ledger row; without that, by the first currency there is (assumed).
    """
    unit = tx.find_one("msdyn_organizationalunit", msdyn_company=company["cdm_companyid"])
    ledger = tx.find_one("msdyn_ledger", msdyn_company=company["cdm_companyid"])
    for row, column in ((unit, "transactioncurrencyid"), (ledger, "msdyn_accountingcurrency")):
        if row is not None and row.get(column):
            currency = tx.get("transactioncurrency", row[column])
            assert currency is not None
            return currency
    return next(tx.scan("transactioncurrency"))


def rounded(amount: Decimal, currency: Row) -> Decimal:
    """Return an amount in the precision of its ``transactioncurrency``, half a unit up."""
    digits = currency.get("currencyprecision")
    return amount.quantize(Decimal(1).scaleb(-(digits if isinstance(digits, int) else 2)), ROUND_HALF_UP)


def native(amount: Decimal, given: Row, wanted: Row) -> Decimal:
    """Return an amount in another currency by Dataverse's own rates [I8], kept to four decimals."""
    if given["transactioncurrencyid"] == wanted["transactioncurrencyid"]:
        return amount
    value = amount * native_rate(wanted) / native_rate(given)
    return value.quantize(Decimal("0.0001"), ROUND_HALF_UP)


def native_rate(currency: Row) -> Decimal:
    """Return how many units of a currency make one of the base currency; none counts as one."""
    return exact(currency.get("exchangerate")) or Decimal(1)


def in_base(amount: Decimal, currency: Row) -> Decimal:
    """Return an amount in the base currency of the Dataverse organization, four decimals."""
    return (amount / native_rate(currency)).quantize(Decimal("0.0001"), ROUND_HALF_UP)
