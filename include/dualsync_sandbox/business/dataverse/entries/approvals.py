"""Entries of time, expenses and materials: submitted, approved, recalled, cancelled [E1 to E6, I3].

Approval is a function here: the product keeps it in approval records that no table map carries. Each function returns
the actuals it made.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from dualsync_sandbox.business.dataverse.actuals import Maker, on_invoice, reverse, standing, taken_over
from dualsync_sandbox.business.dataverse.choices import EntryStatus, ExpenseStatus, TransactionClass
from dualsync_sandbox.business.dataverse.contracts.engagement import row_of
from dualsync_sandbox.business.dataverse.entries.work import TABLES, work_of
from dualsync_sandbox.business.dataverse.prices import Prices
from dualsync_sandbox.errors import BusinessRuleViolation

if TYPE_CHECKING:
    from dualsync_sandbox.business.switches import Switches
    from dualsync_sandbox.store import Event, Row, Store, Tx

STATUS = {
    TransactionClass.TIME: "msdyn_entrystatus",
    TransactionClass.EXPENSE: "msdyn_expensestatus",
    TransactionClass.MATERIAL: "msdyn_approvalstatus",
}
"""The column that says how far an entry is."""

_EXPENSE_ROW_STATUS = {
    ExpenseStatus.DRAFT: 867380000,
    ExpenseStatus.SUBMITTED: 867380002,
    ExpenseStatus.APPROVED: 867380003,
}
"""``msdyn_expense.statuscode`` that goes with the status of the expense."""


def _words(kind: TransactionClass) -> tuple[int, int, int]:
    """Return the options Draft, Submitted and Approved of a class."""
    words = ExpenseStatus if kind == TransactionClass.EXPENSE else EntryStatus
    return words.DRAFT, words.SUBMITTED, words.APPROVED


def _set(tx: Tx, kind: TransactionClass, entry_id: object, status: int) -> None:
    changes: Row = {STATUS[kind]: status}
    if kind == TransactionClass.EXPENSE:
        changes["statuscode"] = _EXPENSE_ROW_STATUS[ExpenseStatus(status)]
    tx.update(TABLES[kind], entry_id, changes)


def submit(dataverse: Store, kind: TransactionClass, entry_id: str) -> list[Row]:
    """Hand an entry in for approval; no actual arises [E1].

    Raises:
        BusinessRuleViolation: The entry is approved.
    """
    _, submitted, approved = _words(kind)
    with dataverse.transaction() as tx:
        entry = row_of(tx, TABLES[kind], entry_id)
        if entry[STATUS[kind]] == approved:
            raise BusinessRuleViolation(TABLES[kind], "An approved entry cannot be submitted.")
        _set(tx, kind, entry_id, submitted)
    return []


def recall(dataverse: Store, kind: TransactionClass, entry_id: str) -> list[Row]:
    """Take an entry back: before approval nothing else happens [E1], afterwards its actuals are reversed [E6]."""
    draft, _, approved = _words(kind)
    with dataverse.transaction() as tx:
        entry = row_of(tx, TABLES[kind], entry_id)
        if entry[STATUS[kind]] == approved:
            return _cancel(tx, kind, entry_id)
        _set(tx, kind, entry_id, draft)
    return []


def approve_time(
    dataverse: Store, entry_id: str, *, billable: Decimal | None = None, prices: Prices | None = None
) -> list[Row]:
    """Approve a submitted time entry [E2 to E5, K1].

    Args:
        dataverse: The store of Dataverse.
        entry_id: The time entry.
        billable: Hours to charge where they differ from those submitted.
        prices: The price lists.

    Returns:
        The actuals made: cost, unbilled sales, and the intercompany pair.

    Raises:
        BusinessRuleViolation: The entry is not submitted, or lacks what an actual needs.
    """
    return _approve_one(dataverse, TransactionClass.TIME, entry_id, billable, prices)


def approve_expense(
    dataverse: Store, entry_id: str, *, billable: Decimal | None = None, prices: Prices | None = None
) -> list[Row]:
    """Approve a submitted expense; as :func:`approve_time`, ``billable`` being pieces."""
    return _approve_one(dataverse, TransactionClass.EXPENSE, entry_id, billable, prices)


def approve_material(
    dataverse: Store, entry_id: str, *, billable: Decimal | None = None, prices: Prices | None = None
) -> list[Row]:
    """Approve a submitted usage of material; as :func:`approve_time`, ``billable`` being pieces."""
    return _approve_one(dataverse, TransactionClass.MATERIAL, entry_id, billable, prices)


def cancel_approval(dataverse: Store, kind: TransactionClass, entry_id: str) -> list[Row]:
    """Cancel an approval; the actuals become Adjusted, their reversals Unadjustable, the entry a draft again [E6].

    Returns:
        The reversals.

    Raises:
        BusinessRuleViolation: The entry has no actuals that stand, or one stands on an invoice of either kind [J4].
    """
    with dataverse.transaction() as tx:
        return _cancel(tx, kind, entry_id)


def _approve_one(
    dataverse: Store, kind: TransactionClass, entry_id: str, billable: Decimal | None, prices: Prices | None
) -> list[Row]:
    with dataverse.transaction() as tx:
        return _approve(tx, kind, entry_id, billable, prices or Prices())


def _approve(tx: Tx, kind: TransactionClass, entry_id: str, billable: Decimal | None, prices: Prices) -> list[Row]:
    _, submitted, approved = _words(kind)
    entry = row_of(tx, TABLES[kind], entry_id)
    if entry[STATUS[kind]] != submitted:
        raise BusinessRuleViolation(TABLES[kind], "Only a submitted entry can be approved.")
    work = work_of(tx, kind, entry)
    made = Maker(tx, prices).make(work, billable)
    _set(tx, kind, entry_id, approved)
    return made


def _cancel(tx: Tx, kind: TransactionClass, entry_id: object) -> list[Row]:
    rows = standing(tx, entry_id)
    if not rows:
        raise BusinessRuleViolation(TABLES[kind], "The entry has no actuals that could be reversed.")
    if on_invoice(rows):
        raise BusinessRuleViolation(TABLES[kind], "The entry is on an invoice; its approval cannot be cancelled.")
    if taken_over(tx, entry_id):
        raise BusinessRuleViolation(TABLES[kind], "A vendor invoice charges the entry; its approval stands.")
    reversals = [reverse(tx, row) for row in rows]
    _set(tx, kind, entry_id, _words(kind)[0])
    return reversals


def approve_waiting_expenses(dataverse: Store, *, prices: Prices | None = None) -> list[Row]:
    """Run the system job for expenses that were written while it was switched off [I6]; returns the actuals made."""
    made: list[Row] = []
    with dataverse.transaction() as tx:
        for expense in tx.find("msdyn_expense", msdyn_expensestatus=ExpenseStatus.SUBMITTED):
            if _waits_for_the_job(tx, expense):
                kind = TransactionClass.EXPENSE
                made += _approve(tx, kind, str(expense["msdyn_expenseid"]), None, prices or Prices())
    return made


def _waits_for_the_job(tx: Tx, expense: Row) -> bool:
    """Whether an expense came from Finance, is submitted, and has no actuals yet."""
    return (
        expense["msdyn_externalexpensenumber"] is not None
        and expense["msdyn_expensestatus"] == ExpenseStatus.SUBMITTED
        and bool(expense["msdyn_project"] and expense["msdyn_transactiondate"])
        and not standing(tx, expense["msdyn_expenseid"])
    )


def install(dataverse: Store, prices: Prices, switches: Switches) -> None:
    """Register the system job that approves expenses the integration wrote [I3].

    The job runs with the write that caused it (assumed; in the product it follows some time later).
    """

    def approve_by_job(tx: Tx, event: Event) -> None:
        expense = event.after
        assert expense is not None
        if switches.approve_expenses and _waits_for_the_job(tx, expense):
            _approve(tx, TransactionClass.EXPENSE, str(expense["msdyn_expenseid"]), None, prices)

    dataverse.on("msdyn_expense", {"create", "update"}, approve_by_job)
