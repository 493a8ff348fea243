"""Ledger entries by cost and revenue profile, and vouchers that balance [G-L].

Posting types are named after the product's; main accounts are one per posting type in all companies (assumed).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from dualsync_sandbox.business.finance.setup.settings import text
from dualsync_sandbox.errors import BusinessRuleViolation

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row, Tx

ENTRIES = "LedgerEntries"

MAIN_ACCOUNTS = {
    "ProjectCost": "540100",
    "ProjectWipCostValue": "140300",
    "PayrollAllocation": "600180",
    "ProjectOffset": "200170",
    "ProjectItemOffset": "200175",
    "ProjectWipSalesValue": "140350",
    "ProjectAccruedRevenue": "403150",
    "IntercompanyCost": "540190",
    "IntercompanyAccruedRevenueDebit": "140390",
    "IntercompanyAccruedRevenueCredit": "403190",
    "ExpenseOfNoProject": "601500",
    "SalesTaxReceivable": "133100",
    "EmployeePayable": "200110",
    "VendorBalance": "200100",
    "PurchaseOfNoProject": "605100",
    "PurchaseAccrual": "200140",
    "PurchaseExpenditureUninvoiced": "600900",
    "ItemIssue": "140200",
    "CustomerBalance": "130100",
    "ProjectInvoicedRevenue": "401100",
    "ProjectInvoicedOnAccount": "401150",
    "ProjectWipInvoicedOnAccount": "140380",
    "SalesTaxPayable": "202200",
    "IntercompanyReceivable": "130900",
    "IntercompanyRevenue": "401190",
}
"""Main account by posting type; the integration accounts stand in the company's parameters."""

INTEGRATION_OFFSET = "IntegrationAccount"


@dataclass(frozen=True, slots=True)
class Profile:
    """How a project's costs and revenue are posted [D2, G-L].

    Attributes:
        post_costs: ``ProfitAndLoss``, ``Balance``, ``NoLedger`` or ``NeverLedger``.
        accrue_revenue: Whether unbilled sales go to WIP sales value and accrued revenue.
    """

    post_costs: str
    accrue_revenue: bool

    @property
    def posts(self) -> bool:
        """Whether the ledger is touched at all."""
        return self.post_costs in ("ProfitAndLoss", "Balance")

    @property
    def cost_type(self) -> str:
        """Posting type of costs."""
        return "ProjectWipCostValue" if self.post_costs == "Balance" else "ProjectCost"

    @property
    def accrues(self) -> bool:
        """Revenue accrues only where costs go to profit and loss."""
        return self.accrue_revenue and self.post_costs == "ProfitAndLoss"


INTERNAL = Profile("ProfitAndLoss", accrue_revenue=False)
"""Projects without a contract: always profit and loss."""


def profile_of(tx: Tx, area: str, project: Row) -> Profile | None:
    """Return the profile of a project by rule, None where a contract-linked project finds none [D2].

    The most specific rule wins: one for the project, for its contract, for its project group, for all; that order among
    them is assumed.
    """
    contract = text(project, "ProjectContractId")
    if not contract:
        return INTERNAL
    criteria = {"ProjectId": text(project, "ProjectId"), "ProjectContractId": contract}
    criteria["ProjectGroupId"] = text(project, "ProjectGroupId")
    best: tuple[int, Row] | None = None
    for rule in tx.find("CostAndRevenueProfileRules", dataAreaId=area):
        named = [column for column in criteria if text(rule, column)]
        if any(text(rule, column).lower() != criteria[column].lower() for column in named):
            continue
        rank = min((list(criteria).index(column) for column in named), default=len(criteria))
        if best is None or rank < best[0]:
            best = rank, rule
    if best is None:
        return None
    row = tx.find_one("CostAndRevenueProfiles", dataAreaId=area, ProfileId=best[1]["ProfileId"])
    assert row is not None
    return Profile(str(row["PostCosts"]), row["AccrueRevenue"] == "Yes")


@dataclass(frozen=True, slots=True)
class Entry:
    """One side of a voucher; debits are positive, credits negative.

    Attributes:
        posting_type: What kind of entry.
        account: Main account.
        amount: In transaction currency.
        accounting_amount: In accounting currency.
    """

    posting_type: str
    account: str
    amount: Decimal
    accounting_amount: Decimal


def pair(debit: str, credit: tuple[str, str], amount: Decimal, accounting_amount: Decimal) -> list[Entry]:
    """Return a debit by posting type and its credit, given as posting type and account."""
    return [
        Entry(debit, MAIN_ACCOUNTS[debit], amount, accounting_amount),
        Entry(*credit, -amount, -accounting_amount),
    ]


def own(posting_type: str) -> tuple[str, str]:
    """Return a posting type with its main account."""
    return posting_type, MAIN_ACCOUNTS[posting_type]


def post_voucher(
    tx: Tx, area: str, voucher: str, day: str, currency: str, entries: Sequence[Entry], description: str = ""
) -> None:
    """Write the ledger entries of a voucher.

    Raises:
        BusinessRuleViolation: Debits and credits differ.
    """
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for entry in entries:
        sums["transaction"] += entry.amount
        sums["accounting"] += entry.accounting_amount
    if any(sums.values()):
        raise BusinessRuleViolation(ENTRIES, f"The transactions on voucher {voucher} do not balance.")
    for number, entry in enumerate(entries, start=1 + tx.count(ENTRIES, dataAreaId=area, Voucher=voucher)):
        amount = entry.accounting_amount
        tx.insert(
            ENTRIES,
            {
                "dataAreaId": area,
                "Voucher": voucher,
                "LineNumber": number,
                "AccountingDate": day,
                "MainAccount": entry.account,
                "PostingType": entry.posting_type,
                "Debit": max(amount, Decimal(0)),
                "Credit": max(-amount, Decimal(0)),
                "CurrencyCode": currency,
                "TransactionCurrencyAmount": entry.amount,
                "Description": description,
            },
        )


def balance(tx: Tx, area: str, account: str) -> Decimal:
    """Return debits less credits of a main account in accounting currency."""
    rows = tx.find(ENTRIES, dataAreaId=area, MainAccount=account)
    total = Decimal(0)
    for row in rows:
        debit, credit = row["Debit"], row["Credit"]
        assert isinstance(debit, Decimal)
        assert isinstance(credit, Decimal)
        total += debit - credit
    return total
