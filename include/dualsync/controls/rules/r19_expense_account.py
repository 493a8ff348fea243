"""The expense integration account holds what is posted and not yet journalled [R19]."""

from dualsync.controls.accounts import account
from dualsync.controls.model import Check, Control

CONTROL = Control(
    id="R19",
    title="Expense integration account = posted expenses without posted journal line",
    area="expense_management",
    severity="critical",
    compares=(
        "Balance of the expense integration account against posted project expenses less posted journal lines of them"
    ),
    evidence="derived",
    basis=("I2", "I4"),
    exclusions=("expenses of no project",),
    finance_set="LedgerEntries",
    checks=(
        Check(
            "a",
            proves="The expense integration account holds what is posted and not cleared by journal lines",
            judges="ledger_entries",
            sql=account("expense").breaks,
        ),
    ),
)
