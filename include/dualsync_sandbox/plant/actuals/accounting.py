"""Exceptions in what comes back of an actual, and in what was posted of it [R5 to R8, R35]."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING

from dualsync_sandbox.business.dataverse.choices import TransactionType
from dualsync_sandbox.plant.actuals.chains import ACTUALS, LINES, MAP, STAGING, SUMS, TRANSACTIONS, planted, take_chain
from dualsync_sandbox.plant.ground import Ground, Planted, exact

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row

_ONE = Decimal(1)


def _edited(
    column: str, change: Callable[[Row, Ground], object], *rules: tuple[str, str], kind: str
) -> Callable[[Ground], Planted]:
    def plant(ground: Ground) -> Planted:
        chain = take_chain(ground)
        ground.dataverse.change(ACTUALS, chain.actual, {column: change(chain.actual, ground)})
        return planted(kind, f"{column} edited in Dataverse", chain, *rules, also=SUMS)

    plant.__doc__ = f"{column} of an actual was changed in Dataverse."
    plant.__name__ = kind.replace("-", "_")
    return plant


voucher_edited = _edited(
    "msdyn_vouchernumber",
    lambda row, _: f"{row['msdyn_vouchernumber']}X",
    ("R5", "reference"),
    (MAP, "text"),
    kind="voucher-edited",
)
accounting_edited = _edited(
    "msdyn_accountingamount",
    lambda row, ground: exact(row, "msdyn_accountingamount") + ground.odd_amount(),
    ("R6", "amount"),
    (MAP, "amount"),
    kind="accounting-edited",
)
rate_edited = _edited(
    "exchangerate",
    lambda row, _: exact(row, "exchangerate") + _ONE,
    ("R6", "amount"),
    (MAP, "amount"),
    kind="rate-edited",
)
tax_edited = _edited(
    "msdyn_salestaxamount",
    lambda row, _: exact(row, "msdyn_salestaxamount") + _ONE,
    ("R6", "amount"),
    (MAP, "amount"),
    kind="tax-edited",
)
amount_edited = _edited(
    "msdyn_amount", lambda row, _: exact(row, "msdyn_amount") + Decimal("0.0001"), (MAP, "amount"), kind="amount-edited"
)
description_edited = _edited("msdyn_description", lambda *_: "Something else", (MAP, "text"), kind="text-edited")
date_edited = _edited("msdyn_documentdate", lambda *_: "2026-02-28", (MAP, "date"), kind="date-edited")


def staged_voucher_edited(ground: Ground) -> Planted:
    """The voucher of a staging row is not that of its line."""
    chain = take_chain(ground)
    ground.finance.change(STAGING, chain.staged, {"VoucherNumber": "PVO-EDITED"})
    return planted(
        "staged-voucher-edited", "voucher of the staging row edited", chain, ("R5", "reference"), (MAP, "text")
    )


def cost_transaction_edited(ground: Ground) -> Planted:
    """The amount of a posted cost transaction was changed."""
    chain = take_chain(ground, TransactionType.COST)
    amount = exact(chain.transaction, "CostAmountAccountingCurrency") + ground.odd_amount()
    ground.finance.change(TRANSACTIONS, chain.transaction, {"CostAmountAccountingCurrency": amount})
    return planted("cost-edited", "cost transaction edited", chain, ("R7", "amount"))


def sale_transaction_lost(ground: Ground) -> Planted:
    """A posted sales transaction is gone."""
    chain = take_chain(ground, TransactionType.UNBILLED_SALES)
    ground.finance.remove(TRANSACTIONS, chain.transaction)
    return planted("sale-lost", "sales transaction gone", chain, ("R8", "amount"), also=("R9",))


def rate_not_finances(ground: Ground) -> Planted:
    """An actual was posted, on both sides alike, with another amount than Finance's rate gives."""
    chain = take_chain(ground)
    amount = exact(chain.staged, "AccountingAmount") + _ONE
    ground.dataverse.change(ACTUALS, chain.actual, {"msdyn_accountingamount": amount})
    ground.finance.change(STAGING, chain.staged, {"AccountingAmount": amount})
    ground.finance.change(LINES, chain.line, {"AccountingCurrencyAmount": amount})
    side = "Cost" if chain.actual["msdyn_transactiontypecode"] == TransactionType.COST else "Sales"
    ground.finance.change(TRANSACTIONS, chain.transaction, {f"{side}AmountAccountingCurrency": amount})
    return planted("rate", "posted with another amount than the rate gives", chain, ("R35", "amount"))


BREAKS = (
    voucher_edited,
    accounting_edited,
    rate_edited,
    tax_edited,
    amount_edited,
    description_edited,
    date_edited,
    staged_voucher_edited,
    cost_transaction_edited,
    sale_transaction_lost,
    rate_not_finances,
)
