"""Confirmation of proforma invoices: what it makes of the sales on them [E9 to E17, F1, G1, H9].

========================  ==========================================================  ================================
on the proforma           unbilled sales                                              billed sales
========================  ==========================================================  ================================
as it was [E9]            original posted; its reversal                               one
less, or otherwise [E10]  original Adjusted, reversal; the parts anew, reversed       one per part
more [E11]                original Adjusted, reversal; new at the quantity, reversed  one, at the quantity
milestone [E12]           none                                                        one
milestone credited [E13]  none                                                        original Adjusted, reversal
less than billed [E14]    the part kept, posted, reversed; the rest, open             original Adjusted, reversal, new
more than billed [E15]    new at the quantity, reversed                               original Adjusted, reversal, new
nothing of it [E16]       new, open                                                   original Adjusted, reversal
retainer [E17]            a negative one, open                                        one
retainer used [E17]       the negative one reversed; what is left, negative           one, negative
========================  ==========================================================  ================================

Assumed: every negative unbilled sale that reverses one on an invoice carries Skip Sync ([G1] says so of the plain
confirmation only); what stands of a retainer travels, and so does its reversal; another price or billing type is
treated as another quantity; the part that is no longer charged is Non-chargeable, at the price it had; a replaced
unbilled sale has the billing status Canceled; billed sales have the date of the invoice; a milestone's billed sale
names the milestone as its external origin. Of a milestone the billing status stays Customer invoice created until
Finance has invoiced it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from dualsync_sandbox.business.dataverse import connections
from dualsync_sandbox.business.dataverse.actuals import TABLE, Money, copied, ids_of, money_columns, reversal_of
from dualsync_sandbox.business.dataverse.choices import (
    AdjustmentStatus,
    BillingStatus,
    BillingType,
    InvoiceStatus,
    MilestoneStatus,
    TransactionClass,
    TransactionType,
)
from dualsync_sandbox.business.dataverse.contracts.engagement import row_of
from dualsync_sandbox.business.dataverse.contracts.sales import sale
from dualsync_sandbox.business.dataverse.invoicing.billing import MILESTONES
from dualsync_sandbox.business.dataverse.invoicing.proformas import DETAILS, INVOICES, OPEN
from dualsync_sandbox.business.dataverse.prices import rounded
from dualsync_sandbox.business.finance.ledger.exchange import exact
from dualsync_sandbox.errors import BusinessRuleViolation

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row, Store, Tx

_STAMPS = frozenset({"createdon", "modifiedon", "createdby", "modifiedby", "versionnumber"})
_ONE = Decimal(1)


def confirm_proforma(dataverse: Store, invoice_id: str, *, day: str | None = None) -> list[Row]:
    """Confirm a proforma invoice; from then on it is read-only [H10].

    Args:
        dataverse: The store of Dataverse.
        invoice_id: A draft, or one in review.
        day: Accounting date (ISO) of what is billed [H9]; without it the date on the invoice, else today.

    Returns:
        The actuals made, in the order of the line details; without what the store gives a row (its stamps).

    Raises:
        BusinessRuleViolation: The invoice is confirmed, or a sale on it can no longer be billed.
    """
    with dataverse.transaction() as tx:
        invoice = row_of(tx, INVOICES, invoice_id)
        if invoice["msdyn_projectinvoicestatus"] not in OPEN:
            raise BusinessRuleViolation(INVOICES, "The invoice is confirmed already.")
        accounting = day or str(invoice["msdyn_accountingdate"] or tx.store.clock.stamp()[:10])
        dates = {"msdyn_accountingdate": accounting, "msdyn_invoicedate": invoice["msdyn_invoicedate"] or accounting}
        run = _Confirmation(tx, invoice | dates)
        run.run()
        tx.update(INVOICES, invoice_id, {**dates, "msdyn_projectinvoicestatus": InvoiceStatus.CONFIRMED})
    return run.made


class _Confirmation:
    """Collects what a confirmation makes, and writes it in one go.

    Args:
        tx: The transaction.
        invoice: The invoice with its dates.
    """

    def __init__(self, tx: Tx, invoice: Row) -> None:
        self._tx = tx
        self._invoice = invoice
        self._currency = row_of(tx, "transactioncurrency", invoice["transactioncurrencyid"])
        columns = tx.schema.tables[TABLE].columns.values()
        self._blank: Row = {column.name: column.default for column in columns if column.name not in _STAMPS}
        self._connections: list[Row] = []
        self._changes: list[tuple[object, Row]] = []
        self.made: list[Row] = []

    def run(self) -> None:
        """Bill every line detail."""
        for detail in self._tx.find(DETAILS, msdyn_invoice=self._invoice["invoiceid"]):
            original = self._tx.get(TABLE, detail["msdyn_originalactual"])
            if original is None:
                self._without_sale(detail)
            elif original["msdyn_transactiontypecode"] == TransactionType.BILLED_SALES:
                self._correct(detail, original)
            elif original["msdyn_transactionclassification"] == TransactionClass.RETAINER:
                self._use_retainer(detail, original)
            else:
                self._bill(detail, original)
        self._tx.insert_many(TABLE, self.made, hooks=False)
        self._tx.insert_many(connections.TABLE, self._connections, hooks=False)
        self._tx.update_many(TABLE, self._changes, hooks=False)

    # -- what lines become

    def _bill(self, detail: Row, unbilled: Row) -> None:
        """Bill an unbilled sale as it is, or the parts that the draft makes of it [E9 to E11]."""
        if unbilled["msdyn_adjustmentstatus"] is not None:
            raise BusinessRuleViolation(TABLE, "An adjusted sale cannot be invoiced.")
        if _unchanged(detail, unbilled):
            self._change(unbilled, None)
            self._reverse(unbilled, detail)
            self._billed(detail, unbilled)
            return
        self._change(unbilled, AdjustmentStatus.ADJUSTED, BillingStatus.CANCELED)
        self._reverse(unbilled, detail)
        for place, (kind, money) in enumerate(self._parts(detail, unbilled)):
            new = self._unbilled(detail, unbilled, kind, money, f"part {place}")
            self._reverse(new, detail)
            self._billed(detail, new)

    def _parts(self, detail: Row, unbilled: Row) -> list[tuple[int, Money]]:
        """What is billed, by billing type, and the part that no longer is charged [E10]."""
        quantity, price, amount = (exact(detail[f"msdyn_{name}"]) for name in ("quantity", "price", "amount"))
        parts = []
        if quantity:
            parts.append((int(exact(detail["msdyn_billingtype"])), Money(quantity, price, amount, self._currency)))
        rest = exact(unbilled["msdyn_quantity"]) - quantity
        if rest > 0:
            before = exact(unbilled["msdyn_price"])
            left = rounded(rest * before, self._currency)
            if price == before:  # so that the parts add up to the whole, to the cent
                left = exact(unbilled["msdyn_amount"]) - amount
            parts.append((BillingType.NON_CHARGEABLE.value, Money(rest, before, left, self._currency)))
        return parts

    def _correct(self, detail: Row, billed: Row) -> None:
        """Credit a billed sale, and bill or open again what the corrective draft says [E13 to E16]."""
        if _unchanged(detail, billed):
            self._change(billed, None)
            return
        self._change(billed, AdjustmentStatus.ADJUSTED)
        reversal = self._add(
            f"{billed['msdyn_actualid']}/credit",
            reversal_of(billed, self._currency) | self._of_invoice() | {"msdyn_skipsync": False},
        )
        self._connect(reversal, connections.REVERSING, billed, connections.ORIGINAL)
        if detail["msdyn_milestone"] is not None:
            ready = {"msdyn_invoicestatus": MilestoneStatus.READY}
            self._tx.update(MILESTONES, detail["msdyn_milestone"], ready)
            return
        quantity, price, amount = (exact(detail[f"msdyn_{name}"]) for name in ("quantity", "price", "amount"))
        if quantity:
            kept = Money(quantity, price, amount, self._currency)
            new = self._unbilled(detail, billed, int(exact(detail["msdyn_billingtype"])), kept, "kept")
            self._reverse(new, detail)
            self._billed(detail, new)
        rest = exact(billed["msdyn_quantity"]) - quantity
        if rest > 0:
            before = exact(billed["msdyn_price"])
            left = exact(billed["msdyn_amount"]) - amount if price == before else rounded(rest * before, self._currency)
            open_ = Money(rest, before, left, self._currency)
            kind = int(exact(billed["msdyn_billingtype"]))
            self._unbilled(detail, billed, kind, open_, "open", BillingStatus.UNBILLED_SALES_CREATED)

    def _without_sale(self, detail: Row) -> None:
        """Bill a milestone [E12] or a retainer [E17]."""
        retainer = detail["msdyn_transactionclassification"] == TransactionClass.RETAINER
        classification = TransactionClass.RETAINER if retainer else TransactionClass.MILESTONE
        amount = exact(detail["msdyn_amount"])
        described = {name: detail[name] for name in ("msdyn_description", "msdyn_externaldescription", "msdyn_task")}
        unbilled = None
        if retainer:
            unbilled = self._sale(detail, TransactionType.UNBILLED_SALES, classification, -amount)
        else:
            milestone = row_of(self._tx, MILESTONES, detail["msdyn_milestone"])
            described["msdyn_externaloriginreference"] = milestone["msdyn_milestonenumber"]
            described |= {"msdyn_billingtype": detail["msdyn_billingtype"]}
        billed = self._sale(detail, TransactionType.BILLED_SALES, classification, amount, described)
        if unbilled is not None:
            self._connect(billed, connections.BILLED, unbilled, connections.UNBILLED)

    def _use_retainer(self, detail: Row, unbilled: Row) -> None:
        """The reversal travels as its original does [E17]."""
        amount, left = -exact(detail["msdyn_amount"]), -exact(unbilled["msdyn_amount"])
        if unbilled["msdyn_adjustmentstatus"] is not None or amount > left:
            raise BusinessRuleViolation(TABLE, "That much of the retainer is not left.")
        self._change(unbilled, AdjustmentStatus.ADJUSTED, BillingStatus.UNBILLED_SALES_CREATED)
        opposite = reversal_of(unbilled, self._currency) | {"msdyn_accountingdate": unbilled["msdyn_documentdate"]}
        reversal = self._add(f"{unbilled['msdyn_actualid']}/used", opposite)
        self._connect(reversal, connections.REVERSING, unbilled, connections.ORIGINAL)
        if amount < left:
            rest = self._sale(detail, TransactionType.UNBILLED_SALES, TransactionClass.RETAINER, amount - left)
            self._connect(rest, connections.REPLACING, unbilled, connections.ORIGINAL)
        billed = self._sale(detail, TransactionType.BILLED_SALES, TransactionClass.RETAINER, -amount)
        self._connect(billed, connections.BILLED, reversal, connections.UNBILLED)

    # -- single actuals

    def _add(self, seed: str, row: Row) -> Row:
        """Take note of a new actual; all have the same columns in the same order, so that they are written at once."""
        made = {**self._blank, **row, **ids_of(f"{self._invoice['invoiceid']}/{seed}")}
        self.made.append(made)
        return made

    def _of_invoice(self) -> Row:
        """What a billed sale has from the invoice [H9]."""
        return {
            "msdyn_invoice": self._invoice["invoiceid"],
            "msdyn_documentdate": self._invoice["msdyn_invoicedate"],
            "msdyn_exchangeratedate": self._invoice["msdyn_invoicedate"],
            "msdyn_accountingdate": self._invoice["msdyn_accountingdate"],
            "msdyn_billingstatus": BillingStatus.CUSTOMER_INVOICE_POSTED,
        }

    def _billed(self, detail: Row, unbilled: Row) -> None:
        """The billed sale of an unbilled one, connected with it [F1]."""
        billed = self._add(
            f"{unbilled['msdyn_actualid']}/billed",
            copied(unbilled, self._currency)
            | self._of_invoice()
            | {
                "msdyn_transactiontypecode": TransactionType.BILLED_SALES,
                "msdyn_adjustmentstatus": None,
                "msdyn_skipsync": False,
                "msdyn_description": detail["msdyn_description"],
                "msdyn_externaldescription": detail["msdyn_externaldescription"],
            },
        )
        self._connect(billed, connections.BILLED, unbilled, connections.UNBILLED)

    def _reverse(self, unbilled: Row, detail: Row) -> None:
        """The negative of an unbilled sale on an invoice: it stays in Dataverse [G1]."""
        reversal = self._add(
            f"{unbilled['msdyn_actualid']}/{detail[f'{DETAILS}id']}",
            reversal_of(unbilled, self._currency)
            | {
                "msdyn_skipsync": True,
                "msdyn_billingstatus": BillingStatus.CUSTOMER_INVOICE_POSTED,
                "msdyn_accountingdate": self._invoice["msdyn_accountingdate"],
            },
        )
        self._connect(reversal, connections.REVERSING, unbilled, connections.ORIGINAL)

    def _unbilled(
        self,
        detail: Row,
        source: Row,
        kind: int,
        money: Money,
        word: str,
        status: BillingStatus = BillingStatus.CUSTOMER_INVOICE_POSTED,
    ) -> Row:
        """A new unbilled sale in the place of one that was billed or was to be; of the day of the work."""
        new = self._add(
            f"{detail[f'{DETAILS}id']}/{word}",
            copied(source, self._currency)
            | money_columns(money)
            | {
                "msdyn_transactiontypecode": TransactionType.UNBILLED_SALES,
                "msdyn_billingtype": kind,
                "msdyn_billingstatus": status,
                "msdyn_adjustmentstatus": None,
                "msdyn_skipsync": False,
                "msdyn_invoice": None,
                "msdyn_documentdate": str(source["msdyn_startdatetime"] or source["msdyn_documentdate"])[:10],
                "msdyn_accountingdate": self._invoice["msdyn_accountingdate"],
            },
        )
        self._connect(new, connections.REPLACING, source, connections.ORIGINAL)
        return new

    def _sale(
        self,
        detail: Row,
        kind: TransactionType,
        classification: TransactionClass,
        amount: Decimal,
        more: Row | None = None,
    ) -> Row:
        line_id = row_of(self._tx, "invoicedetail", detail["msdyn_invoicelineid"])["salesorderdetailid"]
        line = row_of(self._tx, "salesorderdetail", line_id)
        contract = row_of(self._tx, "salesorder", self._invoice["salesorderid"])
        customer_id = self._invoice["msdyn_contractcustomer"]
        customer = self._tx.get("msdyn_projectcontractsplitbillingrule", customer_id) if customer_id else None
        money = Money.of(_ONE if amount >= 0 else -_ONE, abs(amount), self._currency)
        row = sale(
            contract, line, customer, kind, classification, money, str(self._invoice["msdyn_accountingdate"])
        ) | (more or {})
        if kind == TransactionType.BILLED_SALES:
            row |= self._of_invoice()
        return self._add(f"{detail[f'{DETAILS}id']}/{kind.name}", row)

    def _change(
        self,
        actual: Row,
        adjustment: AdjustmentStatus | None,
        status: BillingStatus = BillingStatus.CUSTOMER_INVOICE_POSTED,
    ) -> None:
        changes: Row = {"msdyn_adjustmentstatus": adjustment, "msdyn_billingstatus": status}
        self._changes.append((actual["msdyn_actualid"], changes))

    def _connect(self, first: Row, first_role: str, second: Row, second_role: str) -> None:
        ends = (first["msdyn_actualid"], first_role, second["msdyn_actualid"], second_role)
        self._connections.append(connections.connection(*ends))


def _unchanged(detail: Row, actual: Row) -> bool:
    names = ("msdyn_quantity", "msdyn_price", "msdyn_billingtype")
    return all(exact(detail[name]) == exact(actual[name]) for name in names)
