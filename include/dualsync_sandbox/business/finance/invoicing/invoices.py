"""Posting of invoice proposals: customer invoice, ledger, tax, what goes back [C11, G-L, G15, H8, H9, H14, R37].

Assumed where no source says it: the whole proposal is one voucher, with one entry for each kind of account; what is
invoiced on account (milestones and retainers) goes to WIP where the project's costs go to the balance; posting takes
back the accrued revenue of the unbilled sales that were billed, and of those that confirmation replaced by them,
because their negatives stay in Dataverse; a credit does not accrue anew, since its work is unbilled once more; a
proposal is posted when its accounting date has a period and its currency a rate, else it waits with the reason on it;
the exported amount includes tax.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING

from dualsync_sandbox.business.finance.invoicing.proposals import HEADERS, LINES, MILESTONE, RETAINER, set_milestone
from dualsync_sandbox.business.finance.journals.actuals import chunks, links, marks, staged
from dualsync_sandbox.business.finance.journals.import_from_staging import TRANSACTIONS
from dualsync_sandbox.business.finance.journals.posting import BATCH_LINES
from dualsync_sandbox.business.finance.journals.staging import STAGING
from dualsync_sandbox.business.finance.ledger.entries import ENTRIES, Entry, own, post_voucher, profile_of
from dualsync_sandbox.business.finance.ledger.exchange import exact
from dualsync_sandbox.business.finance.ledger.periods import Periods
from dualsync_sandbox.business.finance.ledger.rates import Rates, in_accounting_currency
from dualsync_sandbox.business.finance.projects.stages import open_project
from dualsync_sandbox.business.finance.setup.settings import CompanySettings, day_of, numbered, text
from dualsync_sandbox.errors import BusinessRuleViolation
from dualsync_sandbox.schema import FINANCE_SCALE, NO_GUID

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row, Tx

INVOICES, EXPORT = "ProjCustomerInvoices", "ProjInvoiceProposalsExport"
ACCRUALS = ("ProjectWipSalesValue", "ProjectAccruedRevenue")
"""Posting types of the pair that an unbilled sale accrues."""


class Amounts:
    """Ledger entries of one voucher, added up by posting type and account.

    Args:
        rate: Accounting currency per 100 units of the voucher's currency.
    """

    def __init__(self, rate: Decimal) -> None:
        self._rate = rate
        self._sums: dict[tuple[str, str], tuple[Decimal, Decimal]] = {}

    def add(self, account: tuple[str, str], amount: Decimal, accounting: Decimal | None = None) -> None:
        """Add an amount, a debit being positive; the rate gives the accounting amount where none is given."""
        if accounting is None:
            accounting = in_accounting_currency(amount, self._rate)
        before = self._sums.get(account, (Decimal(0), Decimal(0)))
        self._sums[account] = before[0] + amount, before[1] + accounting

    def entries(self) -> list[Entry]:
        """The entries, those of nothing left out."""
        return [Entry(*account, *sums) for account, sums in self._sums.items() if any(sums)]


class Invoicing:
    """One posting run of a company's proposals.

    Args:
        tx: The transaction.
        settings: The company's parameters.
    """

    def __init__(self, tx: Tx, settings: CompanySettings) -> None:
        self._tx = tx
        self._area = settings.area
        self._settings = settings
        self._periods = Periods(tx, settings.area)
        self._rates = Rates(tx, settings.area, settings.currency)
        self._on_account = cache(self._find_on_account)
        self.posted: list[tuple[str, str]] = []
        self.failed: list[tuple[str, str]] = []

    def run(self, proposal_ids: Collection[str] | None = None) -> None:
        """Post the open proposals that have lines: all of them, or those named [H3, H14]."""
        for header in self._tx.find(HEADERS, dataAreaId=self._area, ProposalStatus="Open"):
            number = str(header["InvoiceProposalId"])
            if not header["LineCount"] or (proposal_ids is not None and number not in proposal_ids):
                continue
            try:
                self.posted.append((number, self._post(header)))
            except BusinessRuleViolation as problem:
                self.failed.append((number, str(problem)))
                self._tx.update(HEADERS, header["RecId"], {"Message": str(problem)[:500]})

    def _post(self, header: Row) -> str:
        """Post a proposal; returns the number of the customer invoice.

        Raises:
            BusinessRuleViolation: It cannot be posted; nothing is written then.
        """
        number = str(header["InvoiceProposalId"])
        lines = self._tx.find(LINES, dataAreaId=self._area, InvoiceProposalId=number)
        sales = self._tx.find(STAGING, dataAreaId=self._area, InvoiceProposalId=number, TransactionType="BilledSales")
        staging = {sale["ActualsImportId"]: sale for sale in sales}
        for project_id in {str(line["ProjectId"]) for line in lines}:
            open_project(self._tx, HEADERS, self._area, project_id)
        day = self._day(staging[lines[0]["ActualsImportId"]])
        rate = self._rate(header, day)
        amounts = self._amounts(lines, rate)
        rested_on = self._rested_on(lines)
        replaced = self._replaced(rested_on)
        self._release(amounts, [*rested_on.values(), *replaced.values()])
        invoice, voucher = numbered(self._tx, self._area, "CIV"), numbered(self._tx, self._area, "PIV")
        entries, currency = amounts.entries(), text(header, "SalesCurrency")
        post_voucher(self._tx, self._area, voucher, day, currency, entries, f"Invoice {invoice}")
        self._write_back(lines, staging, rate, voucher, day, invoice)
        self._settle(lines, rested_on, replaced)
        self._issue(header, lines, invoice, voucher, rate, day)
        return invoice

    # -- the ledger

    def _day(self, sale: Row) -> str:
        """The accounting date of what is billed, moved to an open period where the company wants that [H9, G6]."""
        billed_on = day_of(sale["AccountingDate"])
        day = self._periods.next_open(billed_on) if self._settings.moves_to_open_period else billed_on
        if day is None or not self._periods.is_open(day):
            raise BusinessRuleViolation(HEADERS, f"No open fiscal period for {billed_on}.")
        return day

    def _rate(self, header: Row, day: str) -> Decimal:
        """As agreed for the contract, else Finance's of the day [H8]."""
        currency = text(header, "SalesCurrency")
        rate = self._rates.fixed(text(header, "ProjectContractId"), currency)
        if rate is None:
            rate = self._rates.of_day(currency, day)
        if rate is None:
            raise BusinessRuleViolation(
                HEADERS, f"The exchange rate between {currency} and {self._settings.currency} on {day} does not exist."
            )
        return rate

    def _amounts(self, lines: list[Row], rate: Decimal) -> Amounts:
        """Debit the customer, credit revenue and tax [G-L]."""
        amounts = Amounts(rate)
        for line in lines:
            net, tax = exact(line["InvoicedAmount"]), exact(line["SalesTaxAmount"])
            account = own("ProjectInvoicedRevenue")
            if line["TransactionClassification"] in (MILESTONE, RETAINER):
                account = self._on_account(text(line, "ProjectId"))
            for credit, amount in ((account, net), (own("SalesTaxPayable"), tax)):
                amounts.add(own("CustomerBalance"), amount)
                amounts.add(credit, -amount)
        return amounts

    def _find_on_account(self, project_id: str) -> tuple[str, str]:
        project = self._tx.find_one("ProjectsV2", dataAreaId=self._area, ProjectId=project_id)
        profile = profile_of(self._tx, self._area, project) if project is not None else None
        if profile is None:
            raise BusinessRuleViolation(HEADERS, f"No project cost and revenue profile rule applies to {project_id}.")
        return own("ProjectWipInvoicedOnAccount" if profile.post_costs == "Balance" else "ProjectInvoicedOnAccount")

    def _rested_on(self, lines: list[Row]) -> dict[str, str]:
        """Actual and voucher of the unbilled sales that were billed, not of what was credited."""
        unbilled = {
            str(line["UnbilledActualsImportId"]) for line in lines if line["UnbilledActualsImportId"] != NO_GUID
        }
        vouchers = {}
        for part in chunks(unbilled):
            sql = (
                f'SELECT "ActualId", "VoucherNumber" FROM "{STAGING}" WHERE "dataAreaId" = ? '
                f'AND "TransactionType" = \'Sales\' AND "ActualsImportId" IN ({marks(part)})'
            )
            vouchers.update(dict(self._tx.query(sql, (self._area, *part)).fetchall()))
        return vouchers

    def _replaced(self, unbilled: Collection[str]) -> dict[str, str]:
        """Actual and voucher of the unbilled sales that these took the place of, unless their negatives are posted."""
        before = {
            link.other
            for its_links in links(self._tx, unbilled).values()
            for link in its_links
            if (link.role, link.role_of_other) == ("Replacing", "Original")
        }
        originals = {
            actual_id: row
            for actual_id, row in staged(self._tx, self._area, before).items()
            if row.kind == "Sales" and row.voucher
        }
        reversals = {
            link.other: actual_id
            for actual_id, its_links in links(self._tx, originals).items()
            for link in its_links
            if (link.role, link.role_of_other) == ("Original", "Reversing")
        }
        travelled = {reversals[reversal] for reversal in staged(self._tx, self._area, reversals)}
        return {actual_id: row.voucher for actual_id, row in originals.items() if actual_id not in travelled}

    def _release(self, amounts: Amounts, vouchers: Iterable[str]) -> None:
        """Take back what these unbilled sales accrued [G-L]."""
        for part in chunks(set(vouchers)):
            sql = (
                'SELECT "PostingType", "MainAccount", sum("TransactionCurrencyAmount"), sum("Debit") - sum("Credit") '
                f'FROM "{ENTRIES}" WHERE "dataAreaId" = ? AND "PostingType" IN ({marks(ACCRUALS)}) '
                f'AND "Voucher" IN ({marks(part)}) GROUP BY "PostingType", "MainAccount"'
            )
            for kind, account, amount, accounting in self._tx.query(sql, (self._area, *ACCRUALS, *part)):
                amounts.add((kind, account), -_exact(amount), -_exact(accounting))

    # -- what becomes known

    def _write_back(
        self, lines: list[Row], staging: dict[object, Row], rate: Decimal, voucher: str, day: str, invoice: str
    ) -> None:
        """Write what posting makes known to the staged rows of the billed sales [G15]."""
        self._tx.update_many(
            STAGING,
            [
                (
                    staging[line["ActualsImportId"]]["RecId"],
                    {
                        "AccountingAmount": in_accounting_currency(exact(line["Amount"]), rate),
                        "ExchangeRate": rate,
                        "VoucherNumber": voucher,
                        "SalesTaxAmount": line["SalesTaxAmount"],
                        "IsJournalized": "Yes",
                        "ProjActualsImportSync": "Yes",
                        "AccountingDate": day,
                        "InvoiceId": invoice,
                    },
                )
                for line in lines
            ],
            hooks=False,
        )

    def _settle(self, lines: list[Row], rested_on: Collection[str], replaced: Collection[str]) -> None:
        """Project transactions and milestones are invoiced; what a confirmation replaced is adjusted."""
        for status, actual_ids in (("Invoiced", rested_on), ("Adjusted", replaced)):
            imports = [row.import_id for row in staged(self._tx, self._area, actual_ids).values()]
            for part in chunks(imports):
                sql = (
                    f'SELECT "RecId" FROM "{TRANSACTIONS}" WHERE "dataAreaId" = ? '
                    f'AND "ActualsImportId" IN ({marks(part)})'
                )
                found = self._tx.query(sql, (self._area, *part)).fetchall()
                self._tx.update_many(TRANSACTIONS, [(rec_id, {"Status": status}) for (rec_id,) in found])
        for line in lines:
            if line["ContractLineMilestoneIdentifier"]:
                status = "Invoiced" if exact(line["Amount"]) >= 0 else "Posted"
                set_milestone(self._tx, self._area, line, status)

    def _issue(self, header: Row, lines: list[Row], invoice: str, voucher: str, rate: Decimal, day: str) -> None:
        """Write the customer invoice, and what of it goes back to Dataverse."""
        net, tax = exact(header["InvoiceAmount"]), exact(header["SalesTaxAmount"])
        names = ("ProjectContractId", "FundingSourceId", "CustomerAccountNumber", "InvoiceDate", "InvoiceProposalId")
        carried = {name: header[name] for name in names}
        self._tx.insert(
            INVOICES,
            {
                **carried,
                "dataAreaId": self._area,
                "InvoiceId": invoice,
                "InvoiceType": "Project",
                "AccountingDate": day,
                "CurrencyCode": header["SalesCurrency"],
                "ExchangeRate": rate,
                "InvoiceAmount": net,
                "SalesTaxAmount": tax,
                "TotalAmount": net + tax,
                "TotalAmountAccountingCurrency": in_accounting_currency(net + tax, rate),
                "LineCount": len(lines),
                "Voucher": voucher,
                "PostedInBatch": "Yes" if len(lines) > BATCH_LINES else "No",
            },
        )
        self._tx.insert(
            EXPORT,
            {
                "dataAreaId": self._area,
                "InvoiceProposalId": header["InvoiceProposalId"],
                "InvoiceId": invoice,
                "InvoiceDate": header["InvoiceDate"],
                "InvoiceStatus": "Posted",
                "SalesTaxAmount": tax,
                "InvoiceAmount": net + tax,
                "CurrencyCode": header["SalesCurrency"],
            },
        )
        done: Row = {"ProposalStatus": "Posted", "InvoiceId": invoice, "Voucher": voucher, "Message": ""}
        self._tx.update(HEADERS, header["RecId"], done)


def _exact(scaled: int) -> Decimal:
    return Decimal(scaled).scaleb(-FINANCE_SCALE)
