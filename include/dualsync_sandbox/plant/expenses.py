"""Exceptions in posted project expenses and their account [R17 to R19]."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from dualsync_sandbox.business.finance.setup.settings import EXPENSE_INTEGRATION_ACCOUNT
from dualsync_sandbox.plant.ground import Ground, Planted, book, exact

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row

EXPENSES, MAP = "msdyn_expense", "table:msdyn_expense"
_ONE = Decimal(1)


def _expense(ground: Ground) -> Row:
    """An expense that Finance has posted and that came over."""
    posted = {row["ExpTransNumber"] for row in ground.rows("ExpenseDistributions")} - {""}
    rows = [row for row in ground.rows(EXPENSES) if row["msdyn_externalexpensenumber"] in posted and ground.code(row)]
    return ground.choose(rows, lambda row: [row["msdyn_expenseid"]])


def _planted(
    ground: Ground, kind: str, text: str, row: Row, *found_by: tuple[str, str], also: tuple[str, ...] = ()
) -> Planted:
    number = str(row["msdyn_externalexpensenumber"])
    actuals = [
        str(actual["msdyn_actualid"]) for actual in ground.rows("msdyn_actual", msdyn_origin=row["msdyn_expenseid"])
    ]
    ground.take(*actuals)
    records = (number, str(row["msdyn_expenseid"]), *actuals)
    return Planted(kind, f"{text}: {number}", ground.code(row), found_by, also, records)


def expense_lost(ground: Ground) -> Planted:
    """A posted expense is gone from Dataverse."""
    row = _expense(ground)
    planted = _planted(
        ground, "expense-lost", "expense gone", row, ("R17", "missing_in_dataverse"), (MAP, "missing_in_dataverse")
    )
    ground.dataverse.remove(EXPENSES, row)
    return planted


def expense_edited(ground: Ground) -> Planted:
    """An expense has another amount in Dataverse."""
    row = _expense(ground)
    ground.dataverse.change(EXPENSES, row, {"msdyn_amount": exact(row, "msdyn_amount") + _ONE})
    return _planted(ground, "expense-edited", "amount edited", row, ("R17", "amount"), (MAP, "amount"))


def expense_made_up(ground: Ground) -> Planted:
    """Dataverse has an expense with the number of one that Finance never posted."""
    row = _expense(ground)
    new = ground.dataverse.copy(EXPENSES, row, msdyn_externalexpensenumber=f"EX-{ground.rng.randrange(10**8):08d}")
    found_by = (("R17", "missing_in_finance"), ("R18", "relation"), (MAP, "wrong_owner"))
    return _planted(ground, "expense-made-up", "expense made up", new, *found_by)


def distribution_doubled(ground: Ground) -> Planted:
    """A posted expense line is distributed twice to the same project: the account was debited once."""
    row = _expense(ground)
    (distribution,) = ground.rows("ExpenseDistributions", ExpTransNumber=row["msdyn_externalexpensenumber"])
    ground.finance.copy("ExpenseDistributions", distribution, DistributionNumber=ground.rng.randrange(100, 10**6))
    found_by = (("R17", "duplicate_in_finance"), ("R19", "balance"))
    planted = _planted(ground, "distribution-doubled", "distributed twice", row, *found_by)
    (parameters,) = ground.rows("IntegrationParameters", dataAreaId=distribution["dataAreaId"])
    return replace(planted, records=(*planted.records, _account(parameters)))


def expense_without_cost(ground: Ground) -> Planted:
    """An expense that came over was never approved: it has no actuals."""
    row = _expense(ground)
    planted = _planted(ground, "expense-without-cost", "actuals of another entry", row, ("R18", "relation"))
    for actual in ground.rows("msdyn_actual", msdyn_origin=row["msdyn_expenseid"]):
        ground.dataverse.change("msdyn_actual", actual, {"msdyn_origin": ground.new_id("origin")})
    return planted


def account_off(ground: Ground) -> Planted:
    """Somebody booked on the expense integration account by hand."""
    rows = [row for row in ground.rows("IntegrationParameters") if row["dataAreaId"] in ground.areas]
    row = ground.choose(rows, lambda row: [f"expense account {row['dataAreaId']}"])
    account = _account(row)
    book(ground, row, Decimal("12.34"), "601500", "LedgerJournal", account)
    company = str(row["dataAreaId"]).upper()
    return Planted(
        "account-off", f"booked by hand: {company} {account}", company, (("R19", "balance"),), (), (account,)
    )


def account_both_ways(ground: Ground) -> Planted:
    """Somebody booked on the account and back: its balance is what it was."""
    row = ground.rng.choice([row for row in ground.rows("IntegrationParameters") if row["dataAreaId"] in ground.areas])
    amounts = (Decimal("99.00"), Decimal("-99.00"))
    vouchers = tuple(book(ground, row, amount, "601500", "LedgerJournal", _account(row)) for amount in amounts)
    company = str(row["dataAreaId"]).upper()
    return Planted("account-both-ways", f"booked and back: {vouchers[0]}", company, (), (), vouchers)


def _account(parameters: Row) -> str:
    return str(parameters["ExpenseIntegrationAccount"] or EXPENSE_INTEGRATION_ACCOUNT)


def own_expense(ground: Ground) -> Planted:
    """An expense that was entered in Dataverse never was in Finance."""
    row = _expense(ground)
    new = ground.dataverse.copy(EXPENSES, row, msdyn_externalexpensenumber=f"DV-{ground.rng.randrange(10**6):06d}")
    ground.dataverse.change(EXPENSES, new, {"msdyn_externalexpensenumber": None, "msdyn_projtransid": None})
    record = str(new["msdyn_expenseid"])
    return Planted("own-expense", f"expense of Dataverse's own: {record}", ground.code(row), (), (), (record,))


BREAKS = (
    expense_lost,
    expense_edited,
    expense_made_up,
    distribution_doubled,
    expense_without_cost,
    account_off,
)
LOOK_ALIKES = (account_both_ways, own_expense)
