"""Import from staging: one journal line per staged actual [G2 to G10, G17 to G19, K4].

Assumed where no source says it: a journal in draft of the same period is filled up before a new one is made; rows are
dated by their accounting date when they are held against the cut-off; the intercompany set-up is needed for the lending
company's rows; a row whose cost Finance has posted before takes over that posting's figures, and its reversal the
opposite; costs are of hours, expenses and items, and others are not imported [E-T].
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from dualsync_sandbox.business.finance.journals.log import log
from dualsync_sandbox.business.finance.journals.relations import Relationships
from dualsync_sandbox.business.finance.journals.staging import BALANCES, IMPORTED, LINES, STAGING, VALIDATIONS, no_date
from dualsync_sandbox.business.finance.ledger.entries import MAIN_ACCOUNTS
from dualsync_sandbox.business.finance.ledger.exchange import NO_DATE, exact
from dualsync_sandbox.business.finance.ledger.periods import Periods
from dualsync_sandbox.business.finance.ledger.rates import Rates, in_accounting_currency
from dualsync_sandbox.business.finance.ledger.tax import item_tax_group, tax_group
from dualsync_sandbox.business.finance.procurement.vendor_invoices import posted_line
from dualsync_sandbox.business.finance.setup.categories import CLASSES, project_category
from dualsync_sandbox.business.finance.setup.settings import CompanySettings, day_of, next_number, numbered, text

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row, Tx

HEADERS, TRANSACTIONS = "IntegrationJournalHeaders", "ProjectTransactions"
COSTED = frozenset({"StockedVendorInvoice", "PackingSlip", "GeneralJournal"})
"""Origins of project costs that Finance posts by itself, so that no journal repeats them [G18]."""

INTERCOMPANY = frozenset({"InterOrgSales", "ResourcingUnitCost"})
COSTS, COST_KINDS = frozenset({"Cost", "ResourcingUnitCost"}), frozenset({"Hour", "Cost", "Item"})


class Refused(Exception):
    """A staged row that gets no line; the message goes to the import log."""


class _Journals:
    """Gives every line its place in a journal of its period [G4, G5]."""

    def __init__(self, tx: Tx, settings: CompanySettings) -> None:
        self._tx = tx
        self._settings = settings
        self._open: dict[str, tuple[str, int, int]] = {}
        self.touched: list[str] = []
        drafts = tx.find(HEADERS, dataAreaId=settings.area, JournalStatus="Draft", PeriodUnit=settings.period_unit)
        for header in drafts:
            journal = str(header["JournalId"])
            if not header["OriginalJournalId"]:
                sql = f'SELECT count(*), max("LineNumber") FROM "{LINES}" WHERE "dataAreaId" = ? AND "JournalId" = ?'
                count, last = tx.query(sql, (settings.area, journal)).fetchone()
                self._open[day_of(header["PeriodStart"])] = journal, int(count), int(last or 0)

    def place(self, day: str) -> Row:
        """Return company, journal and number of a new line."""
        start = period_start(self._settings.period_unit, day)
        journal, count, last = self._open.get(start, ("", 0, 0))
        if not journal or count >= self._settings.lines_per_journal:
            journal, count, last = numbered(self._tx, self._settings.area, "PIJ"), 0, 0
            header = {"dataAreaId": self._settings.area, "JournalId": journal, "PeriodStart": start}
            self._tx.insert(HEADERS, {**header, "PeriodUnit": self._settings.period_unit})
        self._open[start] = journal, count + 1, last + 1
        if journal not in self.touched:
            self.touched.append(journal)
        return {"dataAreaId": self._settings.area, "JournalId": journal, "LineNumber": last + 1}


def period_start(unit: str, day: str) -> str:
    """Return the first day of the period that a day falls into; all days share one for ``All``."""
    when = date.fromisoformat(day)
    if unit == "Months":
        return when.replace(day=1).isoformat()
    if unit == "Years":
        return when.replace(month=1, day=1).isoformat()
    return NO_DATE if unit == "All" else day


class Import:
    """One run for one company.

    Args:
        tx: The transaction.
        settings: The company's parameters.
    """

    def __init__(self, tx: Tx, settings: CompanySettings) -> None:
        self._tx = tx
        self._settings = settings
        self._area = settings.area
        self._periods = Periods(tx, settings.area)
        self._rates = Rates(tx, settings.area, settings.currency)
        self._journals = _Journals(tx, settings)
        self.lines = self.balances = self.costed = 0
        self.refused: list[tuple[str, str]] = []

    @property
    def journals(self) -> tuple[str, ...]:
        """Ids of the journals that got lines."""
        return tuple(self._journals.touched)

    def run(self) -> None:
        """Import every staged actual that is in no journal yet [G2, G12]."""
        for rec_id in self._waiting():
            staged = self._tx.get(STAGING, rec_id)
            assert staged is not None
            try:
                self._import(staged)
            except Refused as refused:
                self.refused.append((str(staged["ActualsImportId"]), str(refused)))
                log(self._tx, self._area, str(refused), ActualsImportId=staged["ActualsImportId"])
        Relationships(self._tx, self._area).link()

    def _waiting(self) -> list[int]:
        marks = ", ".join("?" * len(IMPORTED))
        absent = " AND ".join(
            f'NOT EXISTS (SELECT 1 FROM "{table}" l WHERE l."dataAreaId" = s."dataAreaId" '
            'AND l."ActualsImportId" = s."ActualsImportId")'
            for table in (LINES, BALANCES)
        )
        sql = (
            f'SELECT s."RecId" FROM "{STAGING}" s WHERE s."dataAreaId" = ? AND s."IsJournalized" = \'No\' '
            f'AND s."TransactionType" IN ({marks}) AND {absent} ORDER BY s."RecId"'
        )
        return [int(found[0]) for found in self._tx.query(sql, (self._area, *IMPORTED))]

    def _import(self, staged: Row) -> None:
        if self._settings.prevalidates and not self._valid(staged):
            raise Refused("The actual isn't validated against Dataverse yet.")
        if staged["TransactionType"] == "Cost" and self._costed_before(staged):
            self.costed += 1
            return
        self._check_intercompany(staged)
        line = self._line(staged)
        if self._settings.cut_off and day_of(staged["AccountingDate"]) <= self._settings.cut_off:
            number = next_number(self._tx, self._area, "BBL")
            self._tx.insert(BALANCES, line | {"dataAreaId": self._area, "LineNumber": number})
            self.balances += 1
        else:
            self._tx.insert(LINES, line | self._journals.place(day_of(line["TransactionDate"])))
            self.lines += 1

    def _valid(self, staged: Row) -> bool:
        key = {"dataAreaId": self._area, "ActualsImportId": staged["ActualsImportId"]}
        checked = self._tx.find_one(VALIDATIONS, **key)
        return checked is not None and checked["Status"] == "Valid"

    def _costed_before(self, staged: Row) -> bool:
        """The row names a project transaction that Finance posted by itself; its figures are handed back [G18]."""
        for reference in (text(staged, "VendInvoiceLineProjTransId"), text(staged, "ExternalReference")):
            if not reference:
                continue
            posted = self._tx.find_one(TRANSACTIONS, dataAreaId=self._area, TransactionId=reference)
            if posted is not None and posted["TransactionOrigin"] in COSTED:
                accounting = exact(posted["CostAmountAccountingCurrency"])
                rate = self._rate(staged, day_of(posted["AccountingDate"]))
                sign = 1 if exact(staged["Amount"]) * exact(posted["Amount"]) >= 0 else -1
                write_back(self._tx, staged, accounting * sign, rate, text(posted, "Voucher"), Decimal(0))
                if sign > 0:
                    known = {"ActualsImportId": str(staged["ActualsImportId"])}
                    self._tx.update(TRANSACTIONS, posted["RecId"], known)
                return True
        return False

    def _check_intercompany(self, staged: Row) -> None:
        """Refuse what another company has lent as long as the two are not set up for it [K4]."""
        if staged["TransactionType"] not in INTERCOMPANY:
            return
        relation = self._tx.find_one(
            "IntercompanyRelations", dataAreaId=self._area, BorrowingCompany=staged["ProjectDataAreaId"]
        )
        needed = ("HasLedgerAccounts", "HasTradingRelation", "HasLendingParameter")
        if relation is None or any(relation[name] != "Yes" for name in needed):
            raise Refused(
                f"Unable to import actual {{{staged['ActualId']}}}. Intercompany relationship has to be set up "
                f"between {self._area.upper()} and {text(staged, 'ProjectDataAreaId').upper()}."
            )

    def _accounting_date(self, staged: Row) -> str:
        """A date in a closed period moves on where the company wants that, else posting will tell [G6]."""
        date = staged["DocumentDate"] if no_date(staged["AccountingDate"]) else staged["AccountingDate"]
        day = day_of(date)
        if not self._periods.exists(day):
            raise Refused(f"No fiscal period exists for {day}.")
        if not self._settings.moves_to_open_period:
            return day
        moved = self._periods.next_open(day)
        if moved is None:
            raise Refused(f"No open fiscal period in or after accounting date {day}.")
        return moved

    def _category(self, staged: Row) -> tuple[str, str]:
        """The project category of the company, else its default for the class [G8]."""
        number = staged["TransactionClassification"]
        kind = CLASSES.get(number) if isinstance(number, int) else None
        if kind is None:
            raise Refused(f"Transaction class {number} is unknown.")
        if staged["TransactionType"] in COSTS and kind not in COST_KINDS:
            raise Refused(f"Transaction class {number} doesn't fit transaction type {staged['TransactionType']}.")
        transaction_category = staged["TransactionCategoryId"]
        category = project_category(self._tx, self._area, transaction_category, kind, self._settings.categories[kind])
        if category is None:
            named = f" for transaction category {transaction_category}" if transaction_category else ""
            raise Refused(f"Unable to import actual {{{staged['ActualId']}}}. No project category exists{named}.")
        return kind, category

    def _rate(self, staged: Row, day: str) -> Decimal:
        """The rate [G9, H8]; what Finance posted as a document keeps its rate, so that its account clears."""
        currency = text(staged, "TransactionCurrencyId")
        rate = None
        if staged["TransactionType"] == "Sales":
            rate = self._rates.fixed(text(staged, "ContractId"), currency)
        expense = self.expense_of(staged)
        if rate is None and expense is not None and expense["CurrencyCode"] == currency:
            rate = exact(expense["ExchangeRate"])
        bill = posted_line(self._tx, self._area, text(staged, "VendInvoiceLineProjTransId"))
        if rate is None and bill is not None and bill[0]["CurrencyCode"] == currency:
            rate = exact(bill[0]["ExchangeRate"])
        if rate is None:
            rate = self._rates.of_day(currency, day)
        if rate is None:
            raise Refused(
                f"The exchange rate between {currency} and {self._settings.currency} on {day} does not exist."
            )
        return rate

    def expense_of(self, staged: Row) -> Row | None:
        """The expense report line of this company that a staged row comes from."""
        number = text(staged, "ExternalOriginReference")
        if not number:
            return None
        share = self._tx.find_one("ExpenseDistributions", dataAreaId=self._area, ExpTransNumber=number)
        if share is None:
            return None
        key = {name: share[name] for name in ("dataAreaId", "ReportNumber", "LineNumber")}
        return self._tx.find_one("ExpenseReportLines", **key)

    def _offset(self, staged: Row, kind: str) -> str:
        """The main account against which a cost is posted [I4, J2].

        What a vendor has charged clears the procurement account, whatever its class [J7]; work that a vendor invoice
        has only replaced names the invoice and no line, and is taken back where it was posted.
        """
        if text(staged, "VendInvoiceLineProjTransId"):
            return self._settings.procurement_account
        if kind == "Hour":
            return MAIN_ACCOUNTS["PayrollAllocation"]
        if kind == "Cost":
            expense = self.expense_of(staged)
            return self._settings.expense_account if expense else MAIN_ACCOUNTS["ProjectOffset"]
        return MAIN_ACCOUNTS["ProjectItemOffset"]

    def _line(self, staged: Row) -> Row:
        day = self._accounting_date(staged)
        kind, category = self._category(staged)
        rate = self._rate(staged, day)
        billing_type = str(staged["BillingType"])
        line_property = self._tx.find_one("LineProperties", dataAreaId=self._area, BillingType=billing_type)
        if line_property is None:
            raise Refused(f"Line property {billing_type} doesn't exist.")
        key = {"dataAreaId": staged["ProjectDataAreaId"], "ProjectId": staged["ProjectId"]}
        project = self._tx.find_one("ProjectsV2", **key) or {}
        sale = staged["TransactionType"] == "Sales"
        own = staged["TransactionType"] not in INTERCOMPANY
        return {
            "ActualsImportId": staged["ActualsImportId"],
            "TransactionType": staged["TransactionType"],
            "TransactionClassification": staged["TransactionClassification"],
            "ProjectDataAreaId": staged["ProjectDataAreaId"],
            "ProjectId": staged["ProjectId"],
            "ActivityNumber": staged["TaskNumber"],
            "CategoryId": category,
            "CategoryType": kind,
            "LineProperty": line_property["LineProperty"],
            "BillingType": billing_type,
            "Quantity": staged["Quantity"],
            "Price": staged["UnitPrice"],
            "Amount": staged["Amount"],
            "CurrencyCode": staged["TransactionCurrencyId"],
            "ExchangeRate": rate,
            "AccountingCurrencyAmount": in_accounting_currency(exact(staged["Amount"]), rate),
            "TaxGroupCode": tax_group(self._tx, self._settings.tax_method, staged) if sale else "",
            "ItemTaxGroupCode": item_tax_group(self._tx, self._area, category, text(staged, "ProductNumber"))
            if sale
            else "",
            "TransactionDate": day if no_date(staged["DocumentDate"]) else staged["DocumentDate"],
            "AccountingDate": day,
            "DimensionDisplayValue": text(project, "DimensionDisplayValue") if own else "",  # [G20]
            "Description": staged["Description"],
            "OffsetAccount": "" if sale or staged["TransactionType"] == "InterOrgSales" else self._offset(staged, kind),
            "Voucher": numbered(self._tx, self._area, "PVO"),
        }


def write_back(
    tx: Tx, staged: Row, accounting: Decimal, rate: Decimal, voucher: str, tax: Decimal, day: str = ""
) -> None:
    """What posting makes known stands on the staged row, from where it goes back to Dataverse [G15]."""
    changes: Row = {
        "AccountingAmount": accounting,
        "ExchangeRate": rate,
        "VoucherNumber": voucher,
        "SalesTaxAmount": tax,
        "IsJournalized": "Yes",
        "ProjActualsImportSync": "Yes",
    }
    tx.update(STAGING, staged["RecId"], changes | ({"AccountingDate": day} if day else {}))
