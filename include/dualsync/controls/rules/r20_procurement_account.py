"""The procurement integration account holds what is posted and not yet journalled [R20]."""

from dualsync.controls.accounts import account
from dualsync.controls.model import Check, Control

CONTROL = Control(
    id="R20",
    title="Procurement integration account = posted vendor lines without posted journal line",
    area="vendor_invoices",
    severity="critical",
    compares=(
        "Balance of the procurement integration account against posted project vendor lines less posted "
        "journal lines of them"
    ),
    evidence="documented",
    basis=("J2",),
    exclusions=("lines kept in stock, which are posted to project cost at once", "invoices between companies"),
    finance_set="LedgerEntries",
    checks=(
        Check(
            "a",
            proves="The procurement integration account holds what is posted and not cleared by journal lines",
            judges="ledger_entries",
            sql=account("procurement").breaks,
        ),
    ),
)
