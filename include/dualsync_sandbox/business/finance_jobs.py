"""What accountants and employees do in Finance, and its batch jobs: the entry points for plays and tests.

Each works on the store of Finance in one transaction and follows the clock of the store. ``company`` is a company code
in any case (``USPM`` or ``uspm``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from dualsync_sandbox.errors import NotImplementedInSandbox

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row, Store

ActualLookup = Callable[[str], "Row | None"]
"""Gives Dataverse's ``msdyn_actual`` row by its id, or None: what Finance sees of Dataverse when it prevalidates (G3)."""


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """What one import from staging did.

    Attributes:
        company: dataAreaId.
        journals: ids of the journals that got lines.
        lines: journal lines made.
        beginning_balances: beginning balance lines made (G17).
        already_costed: cost rows that Finance had posted before, so that they got no line (G18).
        refused: actuals import id and reason of the rows that got no line; also in ``ImportLog``.
    """

    company: str
    journals: tuple[str, ...]
    lines: int
    beginning_balances: int
    already_costed: int
    refused: tuple[tuple[str, str], ...]

    def as_dict(self) -> dict[str, object]:
        """Return the summary as plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class PostingSummary:
    """What one posting run did.

    Attributes:
        company: dataAreaId.
        journals: ids of the journals that were posted.
        posted: lines posted.
        failed: journal, line number and message of the lines that were not.
        error_journals: ids of the journals the failed lines were moved to (G14).
    """

    company: str
    journals: tuple[str, ...]
    posted: int
    failed: tuple[tuple[str, int, str], ...]
    error_journals: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """Return the summary as plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Share:
    """A part of an expense that falls on a project (I9).

    Attributes:
        project_id: the project.
        company: the company that owns it; the report's own when empty.
        percentage: share of the line's amount.
        activity_number: a leaf task of the project (C9).
        billing_type: member of ``ProjBillingType``.
    """

    project_id: str
    percentage: Decimal = Decimal(100)
    company: str = ""
    activity_number: str = ""
    billing_type: str = "Chargeable"


@dataclass(frozen=True, slots=True)
class Expense:
    """One line of an expense report.

    Attributes:
        cost_type: the expense category of the company (``ExpenseCategories.CostType``).
        amount: what was paid, tax included, in ``currency``.
        date: day of the expense (ISO).
        shares: projects that bear it; none for an expense of no project.
        currency: the company's accounting currency when empty.
        tax_group: sales tax group; the amount holds its tax.
        quantity: number of units.
        description: a note.
    """

    cost_type: str
    amount: Decimal
    date: str
    shares: tuple[Share, ...] = ()
    currency: str = ""
    tax_group: str = ""
    quantity: Decimal = Decimal(1)
    description: str = ""


def import_from_staging(finance: Store, company: str, actual: ActualLookup | None = None) -> ImportSummary:
    """Run "Import from staging": every staged actual not yet in a journal gets its line (G2 to G10, G17 to G19).

    Args:
        finance: the store of Finance.
        company: the company.
        actual: Dataverse's actuals by id, asked where the company prevalidates (G3); without it only rows that an
            earlier prevalidation found valid are taken then.
    """
    raise NotImplementedInSandbox("import from staging")


def post_integration_journals(
    finance: Store, company: str, journal_ids: Collection[str] | None = None
) -> PostingSummary:
    """Post the company's integration journals in draft (G13 to G15): all of them, or those named."""
    raise NotImplementedInSandbox("posting of journals")


def create_expense_report(
    finance: Store, company: str, personnel_number: str, expenses: Sequence[Expense], purpose: str = ""
) -> Row:
    """Create an expense report in draft (I2); returns its ``ExpenseReports`` row."""
    raise NotImplementedInSandbox("expense reports")


def submit_expense_report(finance: Store, company: str, report_number: str) -> Row:
    """Hand an expense report in; returns its row."""
    raise NotImplementedInSandbox("expense reports")


def approve_expense_report(finance: Store, company: str, report_number: str) -> Row:
    """Approve a submitted expense report; returns its row."""
    raise NotImplementedInSandbox("expense reports")


def post_expense_report(finance: Store, company: str, report_number: str) -> Row:
    """Post an approved expense report: ledger, tax, and the rows of ``ProjExpensesExport`` (I2, I3); returns its row."""
    raise NotImplementedInSandbox("expense reports")
