"""What an administrator has set up for project accounting in a company [A3], and the company's number sequences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dualsync_sandbox.business.finance.ledger.exchange import NO_DATE, accounting_currency

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dualsync_sandbox.store import Row, Tx

PARAMETERS = "IntegrationParameters"
LINES_PER_JOURNAL = 200
"""Lines of one journal where the company sets no limit of its own [G5]."""

EXPENSE_INTEGRATION_ACCOUNT, PROCUREMENT_INTEGRATION_ACCOUNT = "200180", "200190"
FORECAST_MODEL = "PROJECT"

DEFAULT_CATEGORIES = {
    "Hour": "HourCategory",
    "Cost": "ExpenseCategory",
    "Item": "ItemCategory",
    "Revenue": "FeeCategory",
    "OnAccount": "OnAccountCategory",
}
"""``ProjCategoryType`` to the parameter that names the category of transactions without a transaction category."""


def area_of(company: str) -> str:
    """Return a company code as ``dataAreaId``: lower case."""
    return company.lower()


def text(row: Row, column: str) -> str:
    """Return a text of a row; an absent one is empty."""
    return str(row.get(column) or "")


def day_of(value: object) -> str:
    """Return the day (ISO) of a Finance date."""
    return str(value or NO_DATE)[:10]


@dataclass(frozen=True, slots=True)
class CompanySettings:
    """The integration parameters of a company.

    Attributes:
        area: ``dataAreaId``.
        integrated: Whether the company has parameters at all [A1].
        currency: Accounting currency.
        categories: Project category for transactions without one, by ``ProjCategoryType``.
        forecast_model: Model of the forecasts.
        expense_account: Expense integration account [I4].
        procurement_account: Procurement integration account [J2].
        period_unit: ``Days``, ``Months``, ``Years`` or ``All`` [G4].
        lines_per_journal: Most lines of one journal [G5].
        tax_method: Where the sales tax group comes from [H6].
        milestone_item_group: Item sales tax group of milestones [H6].
        moves_to_open_period: Accounting dates in closed periods move to the next open one [G6].
        prevalidates: Only rows that Dataverse confirms are imported [G3].
        cut_off: Rows up to this day are beginning balances [G17]; empty without.
        blocks_posting: An expense that Dataverse would refuse cannot be posted [I5].
        write_in: Item number of the released product that write-in products are bought as [J9].
        manual_verification: Project managers confirm vendor invoices [J3].
        blocks_payment: A vendor invoice is not paid before its confirmation [J3].
        receipts_to_ledger: Product receipts of subcontracts post the cost, not the actuals [J13].
    """

    area: str
    integrated: bool
    currency: str
    categories: Mapping[str, str]
    forecast_model: str
    expense_account: str
    procurement_account: str
    period_unit: str
    lines_per_journal: int
    tax_method: str
    milestone_item_group: str
    moves_to_open_period: bool
    prevalidates: bool
    cut_off: str
    blocks_posting: bool
    write_in: str
    manual_verification: bool
    blocks_payment: bool
    receipts_to_ledger: bool

    @classmethod
    def of(cls, tx: Tx, area: str) -> CompanySettings:
        """Return the settings of a company; without parameters the defaults count."""
        found = tx.find_one(PARAMETERS, dataAreaId=area)
        row: Row = found or {}
        cut_off = day_of(row.get("BeginningBalanceCutOff"))
        limit = row.get("LinesPerJournal")
        return cls(
            area=area,
            integrated=found is not None,
            currency=accounting_currency(tx, area) or "",
            categories={kind: text(row, column) for kind, column in DEFAULT_CATEGORIES.items()},
            forecast_model=text(row, "ForecastModel") or FORECAST_MODEL,
            expense_account=text(row, "ExpenseIntegrationAccount") or EXPENSE_INTEGRATION_ACCOUNT,
            procurement_account=text(row, "ProcurementIntegrationAccount") or PROCUREMENT_INTEGRATION_ACCOUNT,
            period_unit=text(row, "JournalPeriodUnit") or "Days",
            lines_per_journal=limit if isinstance(limit, int) and limit > 0 else LINES_PER_JOURNAL,
            tax_method=text(row, "SalesTaxGroupMethod") or "Project",
            milestone_item_group=text(row, "MilestoneItemTaxGroup"),
            moves_to_open_period=row.get("SetAccountingDateToOpenPeriod") == "Yes",
            prevalidates=row.get("PrevalidateActuals") == "Yes",
            cut_off="" if cut_off == NO_DATE else cut_off,
            blocks_posting=row.get("BlockPostingOnSyncError") == "Yes",
            write_in=text(row, "WriteInProduct"),
            manual_verification=row.get("IsManualVerificationRequired") == "Yes",
            blocks_payment=row.get("IsVendorPaymentBlocked") == "Yes",
            receipts_to_ledger=row.get("PostReceiptsToLedger") == "Yes",
        )


def next_number(tx: Tx, area: str, code: str) -> int:
    """Return the next number (from 1) of a company's number sequence."""
    row = tx.find_one("NumberSequences", dataAreaId=area, NumberSequenceCode=code)
    if row is None:
        tx.insert("NumberSequences", {"dataAreaId": area, "NumberSequenceCode": code, "NextNumber": 2})
        return 1
    number = row["NextNumber"]
    assert isinstance(number, int)
    tx.update("NumberSequences", row["RecId"], {"NextNumber": number + 1})
    return number


def numbered(tx: Tx, area: str, prefix: str, width: int = 9) -> str:
    """Return a new id such as ``PVO-000000001``; the shapes are assumed."""
    return f"{prefix}-{next_number(tx, area, prefix):0{width}d}"
