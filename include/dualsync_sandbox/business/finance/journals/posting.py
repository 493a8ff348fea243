"""Posting of integration journals and beginning balances [G-L, G13 to G15, G17, K3].

Good lines post, lines in error move to a journal of their own, which waits until somebody sets it back to draft.
Assumed: sales tax is known for chargeable sales and posted with the invoice; chargeable sales accrue revenue, retainers
never; a journal whose lines all fail becomes the error journal itself; more than a hundred lines post in batch, which
the sandbox notes and does at once.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from dualsync_sandbox.business.finance.journals.import_from_staging import (
    HEADERS,
    INTERCOMPANY,
    TRANSACTIONS,
    write_back,
)
from dualsync_sandbox.business.finance.journals.relations import Relationships
from dualsync_sandbox.business.finance.journals.staging import BALANCES, LINES, STAGING
from dualsync_sandbox.business.finance.ledger.entries import (
    INTEGRATION_OFFSET,
    Profile,
    own,
    pair,
    post_voucher,
    profile_of,
)
from dualsync_sandbox.business.finance.ledger.exchange import exact
from dualsync_sandbox.business.finance.ledger.periods import Periods
from dualsync_sandbox.business.finance.ledger.tax import added_tax
from dualsync_sandbox.business.finance.setup.settings import CompanySettings, day_of, numbered, text
from dualsync_sandbox.errors import BusinessRuleViolation

if TYPE_CHECKING:
    from collections.abc import Collection

    from dualsync_sandbox.store import Row, Tx

BATCH_LINES = 100
"""Journals of more lines post in batch [G5]."""
STALE = timedelta(hours=24)
"""A journal in processing for longer is set back to draft [G13]."""

_RETAINER = 192350005
_POSTING_TYPES = {"Hour": "PayrollAllocation", "Cost": "ProjectOffset", "Item": "ProjectItemOffset"}


class Posting:
    """One posting run for one company.

    Args:
        tx: The transaction.
        settings: The company's parameters.
    """

    def __init__(self, tx: Tx, settings: CompanySettings) -> None:
        self._tx = tx
        self._area = settings.area
        self._receipts_to_ledger = settings.receipts_to_ledger
        self._periods = Periods(tx, settings.area)
        self.journals: list[str] = []
        self.error_journals: list[str] = []
        self.failed: list[tuple[str, int, str]] = []
        self.posted = 0
        self._unlinked: list[tuple[Row, str]] = []

    def run(self, journal_ids: Collection[str] | None = None) -> None:
        """Post the journals in draft, all or those named."""
        release_stale(self._tx, self._area)
        Relationships(self._tx, self._area).link()
        for header in self._tx.find(HEADERS, dataAreaId=self._area, JournalStatus="Draft"):
            if journal_ids is None or header["JournalId"] in journal_ids:
                self._post_journal(header)
        self._link()

    def _post_journal(self, header: Row) -> None:
        journal = str(header["JournalId"])
        lines = self._tx.find(LINES, dataAreaId=self._area, JournalId=journal)
        failed = []
        for line in lines:
            if line["LineStatus"] == "Posted":
                continue
            profile, problem = self._problem(line)
            if problem:
                failed.append((line, problem))
            else:
                self._post_line(line, profile)
                self.posted += 1
        if not lines:
            return
        if len(failed) < len(lines):
            self._move(header, failed)
            facts = {"JournalStatus": "Posted", "Posted": "Yes"}
            if len(lines) > BATCH_LINES:
                facts["PostedInBatch"] = "Yes"
            self._tx.update(HEADERS, header["RecId"], facts)
            self.journals.append(journal)
        else:
            for line, problem in failed:
                self._fail(line, problem, {})
            self._tx.update(HEADERS, header["RecId"], {"JournalStatus": "Error"})
            self.error_journals.append(journal)

    def _problem(self, line: Row) -> tuple[Profile | None, str]:
        """The profile to post by, and why the line cannot be posted."""
        if line["LineStatus"] == "InvalidActuals":
            return None, str(line["Message"])
        day = day_of(line["AccountingDate"])
        if not self._periods.is_open(day):
            return None, f"No open fiscal period for {day}."
        if line["TransactionType"] in INTERCOMPANY or not line["ProjectId"]:
            return None, ""
        project = self._tx.find_one("ProjectsV2", dataAreaId=self._area, ProjectId=line["ProjectId"])
        if project is None:
            return None, f"Project {line['ProjectId']} doesn't exist in {self._area.upper()}."
        profile = profile_of(self._tx, self._area, project)
        if profile is None:
            return None, f"No project cost and revenue profile rule applies to project {line['ProjectId']}."
        return profile, ""

    # -- lines in error

    def _move(self, header: Row, failed: list[tuple[Row, str]]) -> None:
        """Lines in error leave for a journal that names the one they come from [G14]."""
        if not failed:
            return
        journal = numbered(self._tx, self._area, "PIJ")
        self._tx.insert(
            HEADERS,
            {
                "dataAreaId": self._area,
                "JournalId": journal,
                "JournalStatus": "Error",
                "PeriodUnit": header["PeriodUnit"],
                "PeriodStart": header["PeriodStart"],
                "OriginalJournalId": header["JournalId"],
            },
        )
        for number, (line, problem) in enumerate(failed, start=1):
            self._fail(line, problem, {"JournalId": journal, "LineNumber": number})
        self.error_journals.append(journal)

    def _fail(self, line: Row, problem: str, place: Row) -> None:
        journal, number = str(line["JournalId"]), line["LineNumber"]
        assert isinstance(number, int)
        message = f"Integration journal ({journal}): Line {number} failed to post due to {problem}"
        status = line["LineStatus"] if line["LineStatus"] == "InvalidActuals" else "Error"
        self._tx.update(LINES, line["RecId"], {**place, "LineStatus": status, "Message": message[:500]})
        self.failed.append((journal, number, message))

    # -- good lines

    def _post_line(self, line: Row, profile: Profile | None) -> None:
        tax = self._tax(line)
        if line["TransactionType"] in INTERCOMPANY:
            self._post_intercompany(line)
        else:
            self._post_project(line, profile)
            self._insert_transaction(line, "IntegrationJournal")
        self._finish(LINES, line, tax)

    def _finish(self, table: str, line: Row, tax: Decimal) -> None:
        self._tx.update(table, line["RecId"], {"LineStatus": "Posted", "Message": "", "SalesTaxAmount": tax})
        staged = self._tx.find_one(STAGING, dataAreaId=self._area, ActualsImportId=line["ActualsImportId"])
        assert staged is not None
        accounting, rate = exact(line["AccountingCurrencyAmount"]), exact(line["ExchangeRate"])
        write_back(self._tx, staged, accounting, rate, text(line, "Voucher"), tax, day_of(line["AccountingDate"]))
        if line["TransactionType"] == "Cost" and staged["ExternalOriginReference"]:
            key = {"ReferenceDataAreaId": self._area, "ExpTransNumber": staged["ExternalOriginReference"]}
            expense = self._tx.find_one("ProjExpensesExport", **key)
            if expense is not None:
                self._tx.update("ProjExpensesExport", expense["RecId"], {"ProjCostTransExists": 1})
        if staged["VendInvoiceLineProjTransId"]:
            key = {"DAreaId": self._area, "ProjTransId": staged["VendInvoiceLineProjTransId"]}
            bill = self._tx.find_one("ProjVendInvoiceLinesExportEntity", **key)
            if bill is not None and not bill["ProjItemTransExists"]:
                self._tx.update("ProjVendInvoiceLinesExportEntity", bill["RecId"], {"ProjItemTransExists": 1})

    def _tax(self, line: Row) -> Decimal:
        """The tax of a chargeable sale in its own currency, by the line's group, which accountants may edit [G11]."""
        if line["TransactionType"] != "Sales" or line["BillingType"] != "Chargeable":
            return Decimal(0)
        groups = text(line, "TaxGroupCode"), exact(line["Amount"]), text(line, "ItemTaxGroupCode")
        return added_tax(self._tx, self._area, *groups)

    def _ledger(self, line: Row, debit: str, credit: tuple[str, str]) -> None:
        amount, accounting = exact(line["Amount"]), exact(line["AccountingCurrencyAmount"])
        entries = pair(debit, credit, amount, accounting)
        day, currency = day_of(line["AccountingDate"]), text(line, "CurrencyCode")
        post_voucher(self._tx, self._area, text(line, "Voucher"), day, currency, entries, text(line, "Description"))

    def _credit(self, line: Row) -> tuple[str, str]:
        """The offset of a cost: an integration account where Finance posted the document [I4, J2]."""
        posting_type = _POSTING_TYPES[str(line["CategoryType"])]
        account = text(line, "OffsetAccount")
        return own(posting_type) if account == own(posting_type)[1] else (INTEGRATION_OFFSET, account)

    def _post_project(self, line: Row, profile: Profile | None) -> None:
        if profile is None or not profile.posts or self._received_instead(line):
            return
        if line["TransactionType"] == "Cost":
            self._ledger(line, profile.cost_type, self._credit(line))
        elif profile.accrues and line["BillingType"] == "Chargeable" and line["TransactionClassification"] != _RETAINER:
            self._ledger(line, "ProjectWipSalesValue", own("ProjectAccruedRevenue"))

    def _received_instead(self, line: Row) -> bool:
        """Where product receipts go to the ledger, subcontracted work itself never does [J13]."""
        if not self._receipts_to_ledger or line["TransactionType"] != "Cost":
            return False
        staged = self._tx.find_one(STAGING, dataAreaId=self._area, ActualsImportId=line["ActualsImportId"])
        assert staged is not None
        return bool(staged["SubcontractLine"]) and not staged["VendInvoiceLineProjTransId"]

    def _post_intercompany(self, line: Row) -> None:
        """In the lending company, without a project transaction; the posting types are assumed [K3]."""
        if line["TransactionType"] == "ResourcingUnitCost":
            self._ledger(line, "IntercompanyCost", self._credit(line))
        else:
            self._ledger(line, "IntercompanyAccruedRevenueDebit", own("IntercompanyAccruedRevenueCredit"))

    def _insert_transaction(self, line: Row, origin: str) -> None:
        accounting = line["AccountingCurrencyAmount"]
        side = "Cost" if line["TransactionType"] == "Cost" else "Sales"
        made = self._tx.insert(
            TRANSACTIONS,
            {
                "dataAreaId": self._area,
                "TransactionId": numbered(self._tx, self._area, "PTR"),
                "ProjectId": line["ProjectId"],
                "TransactionType": line["CategoryType"],
                "CategoryId": line["CategoryId"],
                "ActivityNumber": line["ActivityNumber"],
                "TransactionDate": line["TransactionDate"],
                "AccountingDate": line["AccountingDate"],
                "Quantity": line["Quantity"],
                f"{side}AmountAccountingCurrency": accounting,
                "CurrencyCode": line["CurrencyCode"],
                "Amount": line["Amount"],
                "LineProperty": line["LineProperty"],
                "Voucher": line["Voucher"],
                "ActualsImportId": str(line["ActualsImportId"]),
                "TransactionOrigin": origin,
                "Status": "Posted",
            },
        )
        self._unlinked.append((made, str(line["SourceActualsImportId"])))

    def _link(self) -> None:
        """Name the source of each new transaction, which may have been posted after it [G19]."""
        for made, source_id in self._unlinked:
            source = self._tx.find_one(TRANSACTIONS, dataAreaId=self._area, ActualsImportId=source_id)
            if source is not None:
                self._tx.update(TRANSACTIONS, made["RecId"], {"SourceTransactionId": source["TransactionId"]})
        self._unlinked.clear()

    def post_balances(self) -> int:
        """Beginning balances become project transactions without ledger entries; returns how many [G17]."""
        lines = self._tx.find(BALANCES, dataAreaId=self._area, LineStatus="Draft")
        for line in lines:
            if line["TransactionType"] not in INTERCOMPANY:
                self._insert_transaction(line, "BeginningBalance")
            self._finish(BALANCES, line, self._tax(line))
        self._link()
        return len(lines)


def _journal(tx: Tx, area: str, journal_id: str) -> Row:
    header = tx.find_one(HEADERS, dataAreaId=area, JournalId=journal_id)
    if header is None:
        raise BusinessRuleViolation(HEADERS, f"Journal {journal_id} doesn't exist in {area.upper()}.")
    return header


def to_draft(tx: Tx, area: str, journal_id: str) -> None:
    """Update a journal in error to draft, so that it is posted again [G14].

    Raises:
        BusinessRuleViolation: The journal is posted or does not exist.
    """
    header = _journal(tx, area, journal_id)
    if header["JournalStatus"] == "Posted":
        raise BusinessRuleViolation(HEADERS, f"Journal {journal_id} is posted.")
    tx.update(HEADERS, header["RecId"], {"JournalStatus": "Draft"})
    for line in tx.find(LINES, dataAreaId=area, JournalId=journal_id):
        if line["LineStatus"] in ("Error", "Processing"):
            tx.update(LINES, line["RecId"], {"LineStatus": "Draft", "Message": ""})


def to_processing(tx: Tx, area: str, journal_id: str) -> None:
    """Hand a journal to the batch; what posts it is a process of its own, which may die [G13].

    Raises:
        BusinessRuleViolation: The journal does not exist.
    """
    header = _journal(tx, area, journal_id)
    facts = {"JournalStatus": "Processing", "ProcessingDateTime": tx.store.clock.stamp()}
    tx.update(HEADERS, header["RecId"], facts)
    for line in tx.find(LINES, dataAreaId=area, JournalId=journal_id):
        tx.update(LINES, line["RecId"], {"LineStatus": "Processing"})


def release_stale(tx: Tx, area: str) -> list[str]:
    """Journals in processing for more than a day are drafts again; returns their ids [G13]."""
    released = []
    for header in tx.find(HEADERS, dataAreaId=area, JournalStatus="Processing"):
        since = datetime.fromisoformat(str(header["ProcessingDateTime"]))
        if tx.store.clock.now() - since > STALE:
            to_draft(tx, area, str(header["JournalId"]))
            released.append(str(header["JournalId"]))
    return released
