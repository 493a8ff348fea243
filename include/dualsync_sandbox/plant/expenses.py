"""Breaks in posted project expenses and their account (R17 to R19)."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from dualsync_sandbox.plant.ground import Ground, Planted

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row

EXPENSES, MAP = "msdyn_expense", "table:msdyn_expense"
_ONE = Decimal(1)


def _expense(ground: Ground) -> Row:
    rows = [row for row in ground.rows(EXPENSES) if row["msdyn_externalexpensenumber"] is not None and ground.code(row)]
    return ground.one(rows, lambda one: [one["msdyn_expenseid"]])


def _planted(
    ground: Ground, kind: str, text: str, row: Row, *found_by: tuple[str, str], also: tuple[str, ...] = ()
) -> Planted:
    number = str(row["msdyn_externalexpensenumber"])
    actuals = [str(one["msdyn_actualid"]) for one in ground.rows("msdyn_actual", msdyn_origin=row["msdyn_expenseid"])]
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
    value = row["msdyn_amount"]
    assert isinstance(value, Decimal)
    ground.dataverse.change(EXPENSES, row, {"msdyn_amount": value + _ONE})
    return _planted(ground, "expense-edited", "amount edited", row, ("R17", "amount"), (MAP, "amount"))


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
    row = ground.one(rows, lambda one: [f"expense account {one['dataAreaId']}"])
    account = str(row["ExpenseIntegrationAccount"] or "200180")
    voucher = f"GNJ-{ground.rng.randrange(10**8):08d}"
    _book(ground, row, voucher, 1, account, Decimal("12.34"))
    _book(ground, row, voucher, 2, "601500", Decimal("-12.34"))
    company = str(row["dataAreaId"]).upper()
    return Planted(
        "account-off", f"booked by hand: {company} {account}", company, (("R19", "balance"),), (), (account,)
    )


def account_both_ways(ground: Ground) -> Planted:
    """Somebody booked on the account and back: its balance is what it was."""
    rows = [row for row in ground.rows("IntegrationParameters") if row["dataAreaId"] in ground.areas]
    row = ground.rng.choice(rows)
    account = str(row["ExpenseIntegrationAccount"] or "200180")
    voucher = f"GNJ-{ground.rng.randrange(10**8):08d}"
    for line, amount in enumerate((Decimal("99.00"), Decimal("-99.00")), start=1):
        _book(ground, row, voucher, line, account, amount)
    return Planted(
        "account-both-ways", f"booked and back: {voucher}", str(row["dataAreaId"]).upper(), (), (), (voucher,)
    )


def _book(ground: Ground, parameters: Row, voucher: str, line: int, account: str, amount: Decimal) -> None:
    entry = {
        "dataAreaId": parameters["dataAreaId"],
        "Voucher": voucher,
        "LineNumber": line,
        "AccountingDate": ground.now[:10],
        "MainAccount": account,
        "PostingType": "LedgerJournal",
        "Debit": max(amount, Decimal(0)),
        "Credit": max(-amount, Decimal(0)),
    }
    ground.finance.add("LedgerEntries", entry)


def own_expense(ground: Ground) -> Planted:
    """An expense that was entered in Dataverse never was in Finance."""
    row = _expense(ground)
    new = ground.dataverse.copy(EXPENSES, row, msdyn_externalexpensenumber=f"DV-{ground.rng.randrange(10**6):06d}")
    ground.dataverse.change(EXPENSES, new, {"msdyn_externalexpensenumber": None, "msdyn_projtransid": None})
    record = str(new["msdyn_expenseid"])
    return Planted("own-expense", f"expense of Dataverse's own: {record}", ground.code(row), (), (), (record,))


BREAKS = (expense_lost, expense_edited, expense_without_cost, account_off)
LOOK_ALIKES = (account_both_ways, own_expense)
