"""Which columns of a table map hold the amount of a row and its currency: what a missing row amounts to."""

from __future__ import annotations

from typing import NamedTuple


class Measure(NamedTuple):
    """The amount of a row on either side, and the column that tells its currency.

    Attributes:
        dataverse: Amount in Dataverse.
        finance: Amount in Finance.
        currency: Lookup to the currency in Dataverse, None where the map carries none.
        finance_currency: Code of the currency in Finance.
    """

    dataverse: str
    finance: str
    currency: str | None = None
    finance_currency: str | None = None


MEASURES = {
    "actuals": Measure("msdyn_amount", "Amount", "transactioncurrencyid", "TransactionCurrencyId"),
    "expenses": Measure("msdyn_amount", "NetAmount", "transactioncurrencyid", "ExchangeCode"),
    "milestones": Measure("msdyn_amount", "Amount", "transactioncurrencyid", "CurrencyCode"),
    "contract_lines": Measure("extendedamount", "LineAmount"),
    "hour_estimates": Measure("msdyn_plannedsales", "PlannedSalesAmount"),
}
"""By map; rows of other maps are no amounts."""
