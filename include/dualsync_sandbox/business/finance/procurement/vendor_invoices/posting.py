"""Posting vendor invoices [J1, J2, K5, K8].

Posting debits the procurement integration account with the cost of project lines, tax that is lost included; the
journal of the cost actual clears it. What is kept in stock, and what another company of the group invoices, goes to
project cost at once. Assumed: an invoice of another company of the group is not exported, because its cost stands in
Dataverse already; numbers of exported lines are unique in all companies, as Dataverse's key demands.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING

from dualsync_sandbox.business.finance.ledger.entries import INTEGRATION_OFFSET, Entry, own, post_voucher, profile_of
from dualsync_sandbox.business.finance.ledger.exchange import exact
from dualsync_sandbox.business.finance.ledger.periods import Periods
from dualsync_sandbox.business.finance.ledger.rates import Rates, in_accounting_currency
from dualsync_sandbox.business.finance.procurement.vendor_invoices.documents import HEADERS, INVOICE_LINES, invoice_of
from dualsync_sandbox.business.finance.procurement.vendor_invoices.exports import InvoiceExport
from dualsync_sandbox.business.finance.projects.stages import open_project
from dualsync_sandbox.business.finance.setup.procurement import released
from dualsync_sandbox.business.finance.setup.settings import CompanySettings, day_of, next_number, numbered, text
from dualsync_sandbox.errors import BusinessRuleViolation

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row, Tx

TRANSACTIONS = "ProjectTransactions"


class InvoicePosting:
    """Accounts payable of one company, within one transaction.

    Args:
        tx: The transaction.
        settings: The company's parameters.
    """

    def __init__(self, tx: Tx, settings: CompanySettings) -> None:
        self._tx = tx
        self._settings = settings
        self._area = settings.area
        self._exports = InvoiceExport(tx, settings.area)

    @cached_property
    def _periods(self) -> Periods:
        return Periods(self._tx, self._area)

    @cached_property
    def _rates(self) -> Rates:
        return Rates(self._tx, self._area, self._settings.currency)

    def post(self, reference: str) -> Row:
        """Post a pending vendor invoice; returns its row [J1, J2].

        Raises:
            BusinessRuleViolation: It is posted, or a line cannot be posted [C11, G6, G9, D2]; then nothing is.
        """
        header = invoice_of(self._tx, self._area, reference)
        if header["InvoiceStatus"] == "Posted":
            raise BusinessRuleViolation(HEADERS, f"Vendor invoice {reference} is posted.")
        invoice_day, currency = day_of(header["TransDate"]), text(header, "CurrencyCode")
        day = self._accounting_day(invoice_day)
        rate = self._rates.of_day(currency, invoice_day)
        if rate is None:
            raise BusinessRuleViolation(
                HEADERS, f"The exchange rate between {currency} and {self._settings.currency} does not exist."
            )
        voucher = numbered(self._tx, self._area, "VIV")
        lines = self._tx.find(INVOICE_LINES, dataAreaId=self._area, TableRefId=reference)
        entries: list[Entry] = []
        for line in lines:
            account = self._account(header, line)
            for debit, amount in (
                (account, exact(line["CostAmount"])),
                (own("SalesTaxReceivable"), exact(line["TaxAmount"]) - exact(line["NonRecoverableTaxAmount"])),
            ):
                if amount:
                    entries.append(Entry(*debit, amount, in_accounting_currency(amount, rate)))
        total = sum((entry.amount for entry in entries), Decimal(0))
        accounting = sum((entry.accounting_amount for entry in entries), Decimal(0))
        entries.append(Entry(*own("VendorBalance"), -total, -accounting))
        post_voucher(self._tx, self._area, voucher, day, currency, entries, text(header, "Description"))
        for line in lines:
            self._record(header, line, rate, voucher, day)
        header = self._tx.update(
            HEADERS,
            header["RecId"],
            {
                "InvoiceStatus": "Posted",
                "IsApprovedForPayment": "No" if header["IsPaymentBlocked"] == "Yes" else "Yes",
                "ExchangeRate": rate,
                "Voucher": voucher,
                "InvoiceAmount": total,
                "SalesTaxAmount": sum((exact(line["TaxAmount"]) for line in lines), Decimal(0)),
            },
        )
        if header["IsIntercompany"] == "No" and any(line["ProjId"] for line in lines):
            self._exports.header(header)
        return header

    def _accounting_day(self, invoice_day: str) -> str:
        """The invoice date, moved to an open period where the company wants that [G6]."""
        day = self._periods.next_open(invoice_day) if self._settings.moves_to_open_period else invoice_day
        if day is None or not self._periods.is_open(day):
            raise BusinessRuleViolation(HEADERS, f"No open fiscal period for {invoice_day}.")
        return day

    def _costed(self, header: Row, line: Row) -> str:
        """Origin of the project transaction that posting makes at once; empty where the journal makes it [J2, K5]."""
        if not line["ProjId"]:
            return ""
        if header["IsIntercompany"] == "Yes":
            return "IntercompanyVendorInvoice"
        stocked = line["ItemId"] and released(self._tx, self._area, text(line, "ItemId"))["IsStocked"] == "Yes"
        return "StockedVendorInvoice" if stocked else ""

    def _account(self, header: Row, line: Row) -> tuple[str, str]:
        """Posting type and main account that bear the cost of a line."""
        if not line["ProjId"]:
            return own("PurchaseOfNoProject")
        project = open_project(self._tx, INVOICE_LINES, line["ProjDataAreaId"], line["ProjId"])
        if not self._costed(header, line):
            return INTEGRATION_OFFSET, self._settings.procurement_account
        profile = profile_of(self._tx, self._area, project)
        if profile is None:
            raise BusinessRuleViolation(
                INVOICE_LINES, f"No project cost and revenue profile rule applies to project {line['ProjId']}."
            )
        return own(profile.cost_type)

    def _record(self, header: Row, line: Row, rate: Decimal, voucher: str, day: str) -> None:
        """Give a project line its number, and write the transaction or the export that it calls for."""
        accounting = in_accounting_currency(exact(line["CostAmount"]), rate)
        changes: Row = {"CostAmountAccountingCurrency": accounting}
        if line["ProjId"]:
            changes["ProjTransId"] = f"{self._area.upper()}-PV{next_number(self._tx, self._area, 'PVI'):07d}"
        line = self._tx.update(INVOICE_LINES, line["RecId"], changes)
        origin = self._costed(header, line)
        if origin:
            self._insert_transaction(header, line, origin, voucher, day)
        if line["ProjId"] and header["IsIntercompany"] == "No":
            self._exports.line(header, line, costed=bool(origin))

    def _insert_transaction(self, header: Row, line: Row, origin: str, voucher: str, day: str) -> None:
        billing_type = line["BillingType"]
        line_property = self._tx.find_one("LineProperties", dataAreaId=self._area, BillingType=billing_type)
        self._tx.insert(
            TRANSACTIONS,
            {
                "dataAreaId": self._area,
                "TransactionId": line["ProjTransId"],
                "ProjectId": line["ProjId"],
                "TransactionType": line["CategoryType"],
                "CategoryId": line["ProjCategoryId"],
                "ActivityNumber": line["ActivityNumber"],
                "TransactionDate": header["TransDate"],
                "AccountingDate": day,
                "Quantity": line["Quantity"],
                "CostAmountAccountingCurrency": line["CostAmountAccountingCurrency"],
                "CurrencyCode": header["CurrencyCode"],
                "Amount": line["CostAmount"],
                "LineProperty": text(line_property or {}, "LineProperty"),
                "Voucher": voucher,
                "TransactionOrigin": origin,
                "Status": "Posted",
            },
        )
