"""A lending company invoices what it has lent, and the borrowing company gets a vendor invoice of the same number [K5].

The inter-organizational sales that are posted and on no invoice yet go on one, by currency. Assumed where no source
says it: the invoice is of the day it is posted, bears no tax, and takes back the revenue that its sales accrued.
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING

from dualsync_sandbox.business.finance.invoicing.invoices import INVOICES, Amounts
from dualsync_sandbox.business.finance.journals.staging import STAGING
from dualsync_sandbox.business.finance.ledger.entries import own, post_voucher
from dualsync_sandbox.business.finance.ledger.exchange import exact
from dualsync_sandbox.business.finance.ledger.periods import Periods
from dualsync_sandbox.business.finance.ledger.rates import Rates, in_accounting_currency
from dualsync_sandbox.business.finance.procurement.vendor_invoices import (
    VendorInvoice,
    VendorLine,
    create_pending_vendor_invoice,
)
from dualsync_sandbox.business.finance.setup.categories import CLASSES, project_category
from dualsync_sandbox.business.finance.setup.settings import CompanySettings, area_of, numbered, text
from dualsync_sandbox.errors import BusinessRuleViolation

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row, Store, Tx

INVOICE_LINES, RELATIONS = "IntercompanyInvoiceLines", "IntercompanyRelations"


def post_intercompany_invoice(finance: Store, lender: str, borrower: str, day: str = "") -> list[Row]:
    """Invoice what a company has lent to another [K5]; returns the ``ProjCustomerInvoices`` rows, one per currency.

    Args:
        finance: The store of Finance.
        lender: Code of the lending company, in any case.
        borrower: Code of the company that owns the projects.
        day: Invoice date (ISO); today where left out.

    Raises:
        BusinessRuleViolation: The companies are not set up for it [K4], nothing is to be invoiced, or the day has no
            open period or no rate; nothing is written then.
    """
    with finance.transaction() as tx:
        desk = _Desk(tx, CompanySettings.of(tx, area_of(lender)), CompanySettings.of(tx, area_of(borrower)))
        return desk.post(finance, day or tx.store.clock.stamp()[:10])


def to_invoice(tx: Tx, lender: str, borrower: str) -> list[Row]:
    """Return the posted inter-organizational sales between two companies (``dataAreaId``) that are on no invoice."""
    sql = (
        f'SELECT s."RecId" FROM "{STAGING}" s WHERE s."dataAreaId" = ? AND s."ProjectDataAreaId" = ? '
        "AND s.\"TransactionType\" = 'InterOrgSales' AND s.\"VoucherNumber\" <> '' AND NOT EXISTS "
        f'(SELECT 1 FROM "{INVOICE_LINES}" l WHERE l."dataAreaId" = s."dataAreaId" '
        'AND l."ActualsImportId" = s."ActualsImportId") ORDER BY s."RecId"'
    )
    found = [tx.get(STAGING, rec_id) for (rec_id,) in tx.query(sql, (lender, borrower)).fetchall()]
    return [row for row in found if row is not None]


class _Desk:
    """Invoices between two companies within one transaction."""

    def __init__(self, tx: Tx, lender: CompanySettings, borrower: CompanySettings) -> None:
        self._tx = tx
        self._lender = lender
        self._borrower = borrower

    def post(self, finance: Store, day: str) -> list[Row]:
        key = {"dataAreaId": self._lender.area, "BorrowingCompany": self._borrower.area}
        relation = self._tx.find_one(RELATIONS, **key)
        names = f"{self._lender.area.upper()} and {self._borrower.area.upper()}"
        if relation is None or relation["HasTradingRelation"] != "Yes":
            raise BusinessRuleViolation(RELATIONS, f"Intercompany relationship has to be set up between {names}.")
        if not Periods(self._tx, self._lender.area).is_open(day):
            raise BusinessRuleViolation(INVOICES, f"No open fiscal period for {day}.")
        by_currency: dict[str, list[Row]] = defaultdict(list)
        for row in to_invoice(self._tx, self._lender.area, self._borrower.area):
            by_currency[text(row, "TransactionCurrencyId")].append(row)
        if not by_currency:
            raise BusinessRuleViolation(INVOICES, f"Between {names} there is nothing to invoice.")
        return [self._invoice(finance, relation, currency, sales, day) for currency, sales in by_currency.items()]

    def _invoice(self, finance: Store, relation: Row, currency: str, sales: list[Row], day: str) -> Row:
        rate = Rates(self._tx, self._lender.area, self._lender.currency).of_day(currency, day)
        if rate is None:
            into = self._lender.currency
            raise BusinessRuleViolation(
                INVOICES, f"The exchange rate between {currency} and {into} on {day} does not exist."
            )
        number, voucher = numbered(self._tx, self._lender.area, "ICI"), numbered(self._tx, self._lender.area, "ICV")
        total = sum((exact(row["Amount"]) for row in sales), Decimal(0))
        amounts = Amounts(rate)
        amounts.add(own("IntercompanyReceivable"), total)
        amounts.add(own("IntercompanyRevenue"), -total)
        for row in sales:
            amount, accounting = exact(row["Amount"]), exact(row["AccountingAmount"])
            amounts.add(own("IntercompanyAccruedRevenueCredit"), amount, accounting)
            amounts.add(own("IntercompanyAccruedRevenueDebit"), -amount, -accounting)
        post_voucher(self._tx, self._lender.area, voucher, day, currency, amounts.entries(), f"Invoice {number}")
        invoice = self._tx.insert(
            INVOICES,
            {
                "dataAreaId": self._lender.area,
                "InvoiceId": number,
                "InvoiceType": "Intercompany",
                "BorrowingCompany": self._borrower.area,
                "CustomerAccountNumber": relation["CustomerAccountNumber"],
                "InvoiceDate": day,
                "AccountingDate": day,
                "CurrencyCode": currency,
                "ExchangeRate": rate,
                "InvoiceAmount": total,
                "TotalAmount": total,
                "TotalAmountAccountingCurrency": in_accounting_currency(total, rate),
                "LineCount": len(sales),
                "Voucher": voucher,
            },
        )
        lines = [self._line(number, place, row) for place, row in enumerate(sales, start=1)]
        self._tx.insert_many(INVOICE_LINES, lines)
        self._bill(finance, relation, invoice, lines, sales)
        return invoice

    def _line(self, number: str, place: int, sale: Row) -> Row:
        kind = CLASSES[int(exact(sale["TransactionClassification"]))]
        category = project_category(
            self._tx, self._borrower.area, sale["TransactionCategoryId"], kind, self._borrower.categories[kind]
        )
        if category is None:
            raise BusinessRuleViolation(
                INVOICES,
                f"No project category exists in {self._borrower.area.upper()} for transaction category "
                f"{sale['TransactionCategoryId']}.",
            )
        return {
            "dataAreaId": self._lender.area,
            "InvoiceId": number,
            "LineNumber": place,
            "ActualsImportId": sale["ActualsImportId"],
            "ProjectDataAreaId": self._borrower.area,
            "ProjectId": sale["ProjectId"],
            "ActivityNumber": sale["TaskNumber"],
            "CategoryId": category,
            "Quantity": sale["Quantity"],
            "SalesPrice": sale["UnitPrice"],
            "Amount": sale["Amount"],
            "CurrencyCode": sale["TransactionCurrencyId"],
            "TransactionDate": sale["DocumentDate"],
            "Description": sale["Description"],
        }

    def _bill(self, finance: Store, relation: Row, invoice: Row, lines: list[Row], sales: list[Row]) -> None:
        """Leave the pending vendor invoice in the borrowing company."""
        create_pending_vendor_invoice(
            finance,
            self._borrower.area,
            VendorInvoice(
                vendor=text(relation, "VendorAccountNumber"),
                number=text(invoice, "InvoiceId"),
                day=str(invoice["InvoiceDate"])[:10],
                currency=text(invoice, "CurrencyCode"),
                description=f"Lent by {self._lender.area.upper()}",
                intercompany=True,
                lines=tuple(
                    VendorLine(
                        quantity=exact(line["Quantity"]),
                        price=exact(line["SalesPrice"]),
                        project_id=text(line, "ProjectId"),
                        project_category=text(line, "CategoryId"),
                        transaction_category=text(sale, "TransactionCategoryId"),
                        activity_number=text(line, "ActivityNumber"),
                        unit=text(sale, "UnitOfMeasure"),
                        billing_type="NotAvailable",
                        description=text(line, "Description"),
                    )
                    for line, sale in zip(lines, sales, strict=True)
                ),
            ),
        )
