"""What accountants and employees do in Finance, and its batch jobs: the entry points for plays and tests.

Each works on the store of Finance in one transaction and follows the clock of the store. ``company`` is a company code
in any case (``USPM`` or ``uspm``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from dualsync_sandbox.business.finance.dataverse_link import BilledLookup, billed_sales
from dualsync_sandbox.business.finance.expenses import Expense, ExpenseDesk, Share, advance
from dualsync_sandbox.business.finance.invoicing.invoices import Invoicing
from dualsync_sandbox.business.finance.invoicing.proposals import Proposals
from dualsync_sandbox.business.finance.journals import staging
from dualsync_sandbox.business.finance.journals.import_from_staging import Import
from dualsync_sandbox.business.finance.journals.posting import Posting, to_draft, to_processing
from dualsync_sandbox.business.finance.ledger.entries import balance
from dualsync_sandbox.business.finance.setup.settings import CompanySettings, area_of
from dualsync_sandbox.errors import BusinessRuleViolation

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row, Store, Tx

ActualLookup = Callable[[str], "Row | None"]
"""Gives Dataverse's ``msdyn_actual`` row by its id, or None: what Finance sees of it when it prevalidates [G3]."""


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """What one import from staging did.

    Attributes:
        company: ``dataAreaId``.
        journals: Ids of the journals that got lines.
        lines: Journal lines made.
        beginning_balances: Beginning balance lines made [G17].
        already_costed: Cost rows that Finance had posted before, so that they got no line [G18].
        refused: Actuals import id and reason of the rows that got no line; also in ``ImportLog``.
        proposals: Numbers of the invoice proposals that got their lines [H3].
        held: Number and reason of the proposals that got none [H3, H4]; also in ``ImportLog``.
    """

    company: str
    journals: tuple[str, ...]
    lines: int
    beginning_balances: int
    already_costed: int
    refused: tuple[tuple[str, str], ...]
    proposals: tuple[str, ...]
    held: tuple[tuple[str, str], ...]

    def as_dict(self) -> dict[str, object]:
        """Return the summary as plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class InvoicingSummary:
    """What one posting run of invoice proposals did.

    Attributes:
        company: ``dataAreaId``.
        posted: Number of each proposal that was posted, and of its customer invoice.
        failed: Number and reason of those that could not be.
    """

    company: str
    posted: tuple[tuple[str, str], ...]
    failed: tuple[tuple[str, str], ...]

    def as_dict(self) -> dict[str, object]:
        """Return the summary as plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class PostingSummary:
    """What one posting run did.

    Attributes:
        company: ``dataAreaId``.
        journals: Ids of the journals that were posted.
        posted: Lines posted.
        failed: Journal, line number and message of the lines that were not.
        error_journals: Ids of the journals the failed lines were moved to [G14].
    """

    company: str
    journals: tuple[str, ...]
    posted: int
    failed: tuple[tuple[str, int, str], ...]
    error_journals: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """Return the summary as plain values for JSON."""
        return asdict(self)


def _settings(tx: Tx, company: str) -> CompanySettings:
    return CompanySettings.of(tx, area_of(company))


def prevalidate_staging(finance: Store, company: str, actual: ActualLookup) -> dict[str, int]:
    """Check the company's staged rows against Dataverse [G3]; returns how many are ``valid`` and ``invalid``."""
    with finance.transaction() as tx:
        valid, invalid = staging.prevalidate(tx, area_of(company), actual)
    return {"valid": valid, "invalid": invalid}


def import_from_staging(
    finance: Store, company: str, actual: ActualLookup | None = None, billed: BilledLookup | None = None
) -> ImportSummary:
    """Run "Import from staging": every staged actual not yet in a journal gets its line [G2 to G10, G17 to G19].

    Invoice proposals get theirs once all of them can be had [H3, H4, H6].

    Runs of one company never overlap [G21]: each is one transaction.

    Args:
        finance: The store of Finance.
        company: The company.
        actual: Dataverse's actuals by id, asked where the company prevalidates [G3]; without it only rows that an
            earlier prevalidation found valid are taken then.
        billed: How many billed sales Dataverse has on a proforma [H4]; the Dataverse that Finance belongs to is asked
            where it is left out.
    """
    with finance.transaction() as tx:
        settings = _settings(tx, company)
        if settings.prevalidates and actual is not None:
            staging.prevalidate(tx, settings.area, actual)
        run = Import(tx, settings)
        run.run()
        proposals = Proposals(tx, settings, billed or billed_sales(finance))
        proposals.fill()
    return ImportSummary(
        settings.area,
        run.journals,
        run.lines,
        run.balances,
        run.costed,
        tuple(run.refused),
        tuple(proposals.filled),
        tuple(proposals.held),
    )


def post_integration_journals(
    finance: Store, company: str, journal_ids: Collection[str] | None = None
) -> PostingSummary:
    """Post the company's integration journals in draft [G13 to G15]: all of them, or those named."""
    with finance.transaction() as tx:
        settings = _settings(tx, company)
        run = Posting(tx, settings)
        run.run(journal_ids)
    return PostingSummary(settings.area, tuple(run.journals), run.posted, tuple(run.failed), tuple(run.error_journals))


def post_invoice_proposals(
    finance: Store, company: str, proposal_ids: Collection[str] | None = None
) -> InvoicingSummary:
    """Post the company's invoice proposals that have lines [H3, H14, G15]: all of them, or those named."""
    with finance.transaction() as tx:
        settings = _settings(tx, company)
        run = Invoicing(tx, settings)
        run.run(proposal_ids)
    return InvoicingSummary(settings.area, tuple(run.posted), tuple(run.failed))


def post_beginning_balances(finance: Store, company: str) -> int:
    """Post the company's beginning balances [G17]; returns how many lines."""
    with finance.transaction() as tx:
        return Posting(tx, _settings(tx, company)).post_balances()


def update_journal_to_draft(finance: Store, company: str, journal_id: str) -> None:
    """Let a journal in error be posted again [G14].

    Raises:
        BusinessRuleViolation: The journal is posted or does not exist.
    """
    with finance.transaction() as tx:
        to_draft(tx, area_of(company), journal_id)


def start_batch_posting(finance: Store, company: str, journal_id: str) -> None:
    """Hand a journal to a batch that dies: it stays in processing until a day has passed [G13].

    Raises:
        BusinessRuleViolation: The journal does not exist.
    """
    with finance.transaction() as tx:
        to_processing(tx, area_of(company), journal_id)


def delete_journal_line(finance: Store, company: str, journal_id: str, line_number: int) -> None:
    """Delete an unposted journal line; the next import brings it back [G12].

    Raises:
        BusinessRuleViolation: The line is posted or does not exist.
    """
    with finance.transaction() as tx:
        key = {"dataAreaId": area_of(company), "JournalId": journal_id, "LineNumber": line_number}
        line = tx.find_one(staging.LINES, **key)
        if line is None:
            raise BusinessRuleViolation(staging.LINES, f"Journal {journal_id} has no line {line_number}.")
        tx.delete(staging.LINES, line["RecId"])


def create_expense_report(
    finance: Store, company: str, personnel_number: str, expenses: Sequence[Expense], purpose: str = ""
) -> Row:
    """Create an expense report in draft [I2]; returns its ``ExpenseReports`` row.

    Raises:
        BusinessRuleViolation: A project is finished [C11], a category unusable, a distribution incomplete [I9].
    """
    with finance.transaction() as tx:
        return ExpenseDesk(tx, _settings(tx, company)).create(personnel_number, expenses, purpose)


def submit_expense_report(finance: Store, company: str, report_number: str) -> Row:
    """Hand an expense report in; returns its row.

    Raises:
        BusinessRuleViolation: It is no draft.
    """
    with finance.transaction() as tx:
        return advance(tx, area_of(company), report_number, "Submitted")


def approve_expense_report(finance: Store, company: str, report_number: str) -> Row:
    """Approve a submitted expense report; returns its row.

    Raises:
        BusinessRuleViolation: It is not submitted.
    """
    with finance.transaction() as tx:
        return advance(tx, area_of(company), report_number, "Approved")


def post_expense_report(finance: Store, company: str, report_number: str) -> Row:
    """Post an approved expense report: ledger, tax, and the rows of ``ProjExpensesExport`` [I2, I3].

    Returns:
        Its ``ExpenseReports`` row.

    Raises:
        BusinessRuleViolation: It is not approved, or a line cannot be posted; then nothing is [C11, G6, I5].
    """
    with finance.transaction() as tx:
        return ExpenseDesk(tx, _settings(tx, company)).post(report_number)


def file_expense_report(
    finance: Store, company: str, personnel_number: str, expenses: Sequence[Expense], purpose: str = ""
) -> Row:
    """Create, submit, approve and post an expense report in one go; returns its row.

    Raises:
        BusinessRuleViolation: See :func:`create_expense_report` and :func:`post_expense_report`; nothing is written.
    """
    with finance.transaction():
        number = str(create_expense_report(finance, company, personnel_number, expenses, purpose)["ReportNumber"])
        submit_expense_report(finance, company, number)
        approve_expense_report(finance, company, number)
        return post_expense_report(finance, company, number)


def integration_account_balance(finance: Store, company: str, account: str = "expense") -> Decimal:
    """Return debits less credits of the ``expense`` or ``procurement`` integration account [I4, J2]."""
    with finance.reading() as tx:
        settings = _settings(tx, company)
        accounts = {"expense": settings.expense_account, "procurement": settings.procurement_account}
        return balance(tx, settings.area, accounts[account])


__all__ = [
    "ActualLookup",
    "BilledLookup",
    "Expense",
    "ImportSummary",
    "InvoicingSummary",
    "PostingSummary",
    "Share",
    "approve_expense_report",
    "create_expense_report",
    "delete_journal_line",
    "file_expense_report",
    "import_from_staging",
    "integration_account_balance",
    "post_beginning_balances",
    "post_expense_report",
    "post_integration_journals",
    "post_invoice_proposals",
    "prevalidate_staging",
    "start_batch_posting",
    "submit_expense_report",
    "update_journal_to_draft",
]
