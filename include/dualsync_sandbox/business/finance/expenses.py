"""Expense reports [I2 to I5, I9] and what they refuse [C9, C11].

Posting debits the expense integration account with the project cost, non-recoverable tax included, and writes the rows
of ``ProjExpensesExport``: one per project that bears a part. Assumed: amounts include their tax; the export's net
amount is the project cost, its tax the recoverable part; a line distributed over several projects gives each part a
number of its own; an expense for a project elsewhere is posted where the employee is and exported to that company.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

from dualsync_sandbox.business.finance.ledger.entries import INTEGRATION_OFFSET, Entry, own, post_voucher
from dualsync_sandbox.business.finance.ledger.exchange import exact
from dualsync_sandbox.business.finance.ledger.periods import Periods
from dualsync_sandbox.business.finance.ledger.rates import Rates, in_accounting_currency, rounded
from dualsync_sandbox.business.finance.ledger.tax import included_tax
from dualsync_sandbox.business.finance.projects.stages import open_project
from dualsync_sandbox.business.finance.setup.settings import CompanySettings, day_of, next_number, numbered, text
from dualsync_sandbox.errors import BusinessRuleViolation

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row, Tx

REPORTS, REPORT_LINES, DISTRIBUTIONS = "ExpenseReports", "ExpenseReportLines", "ExpenseDistributions"
EXPORT = "ProjExpensesExport"
_ORDER = ("Draft", "Submitted", "Approved", "Posted")
_WHOLE = Decimal(100)


@dataclass(frozen=True, slots=True)
class Share:
    """A part of an expense that falls on a project [I9].

    Attributes:
        project_id: The project.
        percentage: Share of the line's amount.
        company: The company that owns the project; the report's own when empty.
        activity_number: A task of the project; it has to be a leaf [C9].
        billing_type: Member of ``ProjBillingType``.
    """

    project_id: str
    percentage: Decimal = _WHOLE
    company: str = ""
    activity_number: str = ""
    billing_type: str = "Chargeable"


@dataclass(frozen=True, slots=True)
class Expense:
    """One line of an expense report.

    Attributes:
        cost_type: The expense category of the company (``ExpenseCategories.CostType``).
        amount: What was paid, tax included, in ``currency``.
        date: Day of the expense (ISO).
        shares: Projects that bear it; none for an expense of no project.
        currency: The company's accounting currency when empty.
        tax_group: Sales tax group; the amount holds its tax.
        quantity: Number of units.
        description: A note.
    """

    cost_type: str
    amount: Decimal
    date: str
    shares: tuple[Share, ...] = ()
    currency: str = ""
    tax_group: str = ""
    quantity: Decimal = Decimal(1)
    description: str = ""


def _split(total: Decimal, percents: Sequence[Decimal]) -> list[Decimal]:
    """Parts by percentage that add up to the total."""
    parts = [rounded(total * percent / _WHOLE) for percent in percents[:-1]]
    return [*parts, total - sum(parts, Decimal(0))]


def report_of(tx: Tx, area: str, number: str) -> Row:
    """Return an expense report.

    Raises:
        BusinessRuleViolation: The company has none of that number.
    """
    report = tx.find_one(REPORTS, dataAreaId=area, ReportNumber=number)
    if report is None:
        raise BusinessRuleViolation(REPORTS, f"Expense report {number} doesn't exist in {area.upper()}.")
    return report


def advance(tx: Tx, area: str, number: str, status: str) -> Row:
    """Take a report one step further: submitted, approved, posted.

    Raises:
        BusinessRuleViolation: It is not at the step before.
    """
    report = report_of(tx, area, number)
    before = _ORDER[_ORDER.index(status) - 1]
    if report["ApprovalStatus"] != before:
        raise BusinessRuleViolation(REPORTS, f"Expense report {number} is {report['ApprovalStatus']}, not {before}.")
    return tx.update(REPORTS, report["RecId"], {"ApprovalStatus": status})


class ExpenseDesk:
    """Expense management of one company within one transaction.

    Args:
        tx: The transaction.
        settings: The company's parameters.

    Raises:
        BusinessRuleViolation: The company is not integrated.
    """

    def __init__(self, tx: Tx, settings: CompanySettings) -> None:
        if not settings.integrated:
            raise BusinessRuleViolation(REPORTS, f"Company {settings.area.upper()} is not set up for the integration.")
        self._tx = tx
        self._settings = settings
        self._area = settings.area

    def create(self, personnel_number: str, expenses: Sequence[Expense], purpose: str) -> Row:
        """Write a report in draft with its lines and distributions."""
        number = numbered(self._tx, self._area, "EXR", 6)
        report = self._tx.insert(
            REPORTS,
            {
                "dataAreaId": self._area,
                "ReportNumber": number,
                "PersonnelNumber": personnel_number,
                "Purpose": purpose[:60],
            },
        )
        for line_number, expense in enumerate(expenses, start=1):
            self._add(number, line_number, expense)
        return report

    def _add(self, number: str, line_number: int, expense: Expense) -> None:
        category = self._tx.find_one("ExpenseCategories", dataAreaId=self._area, CostType=expense.cost_type)
        if category is None or category["IsInactive"] == "Yes":
            raise BusinessRuleViolation(REPORT_LINES, f"Expense category {expense.cost_type} cannot be used.")
        if expense.shares and not category["CategoryId"]:
            raise BusinessRuleViolation(
                REPORT_LINES, f"Expense category {expense.cost_type} is not tied to a shared category for projects."
            )
        tax, lost = included_tax(self._tx, self._area, expense.tax_group, expense.amount)
        key = {"dataAreaId": self._area, "ReportNumber": number, "LineNumber": line_number}
        expense_number = f"{self._area.upper()}-EX{next_number(self._tx, self._area, 'EXP'):06d}"
        self._tx.insert(
            REPORT_LINES,
            {
                **key,
                "ExpenseNumber": expense_number,
                "CostType": category["CostType"],
                "TransactionDate": expense.date,
                "Quantity": expense.quantity,
                "Amount": expense.amount,
                "CurrencyCode": expense.currency or self._settings.currency,
                "TaxGroupCode": expense.tax_group,
                "TaxAmount": tax,
                "NonRecoverableTaxAmount": lost,
                "AdditionalInformation": expense.description,
            },
        )
        self._distribute(key, expense_number, expense, tax - lost)

    def _distribute(self, key: Row, number: str, expense: Expense, tax: Decimal) -> None:
        """Each project bears its share of cost and recoverable tax [I9]."""
        if not expense.shares:
            return
        percents = [share.percentage for share in expense.shares]
        if sum(percents) != _WHOLE:
            raise BusinessRuleViolation(DISTRIBUTIONS, "The distribution must add up to 100 percent.")
        parts = zip(expense.shares, _split(expense.amount - tax, percents), _split(tax, percents), strict=True)
        for place, (share, net, part_of_tax) in enumerate(parts, start=1):
            owner = (share.company or self._area).lower()
            open_project(self._tx, DISTRIBUTIONS, owner, share.project_id)
            self._tx.insert(
                DISTRIBUTIONS,
                {
                    **key,
                    "DistributionNumber": place,
                    "ProjectDataAreaId": owner,
                    "ProjectId": share.project_id,
                    "ActivityNumber": share.activity_number,
                    "BillingType": share.billing_type,
                    "Percentage": share.percentage,
                    "NetAmount": net,
                    "TaxAmount": part_of_tax,
                    "ExpTransNumber": number if len(percents) == 1 else f"{number}-{place}",
                },
            )

    # -- posting

    def post(self, number: str) -> Row:
        """Post an approved report [I2, I3].

        Raises:
            BusinessRuleViolation: A line cannot be posted; then none is.
        """
        report = advance(self._tx, self._area, number, "Posted")
        periods, rates = (
            Periods(self._tx, self._area),
            Rates(self._tx, self._area, self._settings.currency),
        )
        for line in self._tx.find(REPORT_LINES, dataAreaId=self._area, ReportNumber=number):
            self._post_line(line, periods, rates)
        return self._tx.update(REPORTS, report["RecId"], {"PostingDate": self._tx.store.clock.now().date().isoformat()})

    def _accounting_day(self, line: Row, periods: Periods) -> str:
        """The day of the expense, moved to an open period where the company wants that [G6]."""
        day = day_of(line["TransactionDate"])
        found = periods.next_open(day) if self._settings.moves_to_open_period else day
        if found is None or not periods.is_open(found):
            raise BusinessRuleViolation(REPORT_LINES, f"No open fiscal period for {day}.")
        return found

    def _post_line(self, line: Row, periods: Periods, rates: Rates) -> None:
        key = {name: line[name] for name in ("dataAreaId", "ReportNumber", "LineNumber")}
        day, currency = self._accounting_day(line, periods), text(line, "CurrencyCode")
        rate = rates.of_day(currency, day_of(line["TransactionDate"]))
        if rate is None:
            raise BusinessRuleViolation(
                REPORT_LINES, f"The exchange rate between {currency} and {self._settings.currency} does not exist."
            )
        shares = self._tx.find(DISTRIBUTIONS, **key)
        recoverable = exact(line["TaxAmount"]) - exact(line["NonRecoverableTaxAmount"])
        debits: list[tuple[tuple[str, str], Decimal]] = []
        for share in shares:
            open_project(self._tx, DISTRIBUTIONS, share["ProjectDataAreaId"], share["ProjectId"])
            self._check_leaf(share)
            debits.append(((INTEGRATION_OFFSET, self._settings.expense_account), exact(share["NetAmount"])))
        if not shares:
            debits.append((own("ExpenseOfNoProject"), exact(line["Amount"]) - recoverable))
        if recoverable:
            debits.append((own("SalesTaxReceivable"), recoverable))
        entries = [Entry(*account, amount, in_accounting_currency(amount, rate)) for account, amount in debits]
        total, accounting = -sum(entry.amount for entry in entries), -sum(entry.accounting_amount for entry in entries)
        entries.append(Entry(*own("EmployeePayable"), Decimal(total), Decimal(accounting)))
        voucher = numbered(self._tx, self._area, "EXV")
        post_voucher(self._tx, self._area, voucher, day, currency, entries, text(line, "AdditionalInformation"))
        self._tx.update(REPORT_LINES, line["RecId"], {"Voucher": voucher, "ExchangeRate": rate})
        for share, entry in zip(shares, entries, strict=False):
            self._export(line, share, entry.accounting_amount)

    def _check_leaf(self, share: Row) -> None:
        """With live synchronisation on, what Dataverse would refuse cannot be posted here either [I5, C9]."""
        if not self._settings.blocks_posting or not share["ActivityNumber"]:
            return
        project = {"dataAreaId": share["ProjectDataAreaId"], "ProjectId": share["ProjectId"]}
        task = self._tx.find_one("ProjectTasks", **project, TaskId=share["ActivityNumber"])
        below = task is not None and task["TaskElementId"]
        if task is None or (
            below and self._tx.find_one("ProjectTasks", **project, ParentTaskElementId=task["TaskElementId"])
        ):
            raise BusinessRuleViolation(EXPORT, "Could not resolve project task for export expense.")

    def _export(self, line: Row, share: Row, accounting: Decimal) -> None:
        """What goes to Dataverse [I3]."""
        category = self._tx.find_one("ExpenseCategories", dataAreaId=self._area, CostType=line["CostType"])
        shared = self._tx.find_one("SharedCategories", CategoryId=category["CategoryId"]) if category else None
        transaction = numbered(self._tx, self._area, "PEX")
        quantity = exact(line["Quantity"]) * exact(share["Percentage"]) / _WHOLE
        self._tx.update(
            DISTRIBUTIONS, share["RecId"], {"ProjTransId": transaction, "AccountingCurrencyAmount": accounting}
        )
        net, tax = exact(share["NetAmount"]), exact(share["TaxAmount"])
        self._tx.insert(
            EXPORT,
            {
                "ExpTransNumber": share["ExpTransNumber"],
                "ReferenceDataAreaId": share["ProjectDataAreaId"],
                "ProjTransId": transaction,
                "ProjId": share["ProjectId"],
                "ProjActivityNumber": share["ActivityNumber"],
                "CostType": line["CostType"],
                "TransactionCategoryId": shared["TransactionCategoryId"] if shared else "",
                "TransDate": line["TransactionDate"],
                "Quantity": quantity.quantize(Decimal("0.0001"), ROUND_HALF_UP),
                "NetAmount": net,
                "TaxAmount": tax,
                "Amount": net + tax,
                "ExchangeCode": line["CurrencyCode"],
                "AdditionalInformation": line["AdditionalInformation"],
                "BillingType": share["BillingType"],
                "InterCompanyLE": "" if share["ProjectDataAreaId"] == self._area else self._area,
            },
        )
