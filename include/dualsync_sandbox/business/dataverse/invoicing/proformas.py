"""Proforma invoices up to their confirmation: made of what is ready, edited, reviewed [F1, H1, H10, H12, E20].

One proforma is for one contract and one of its customers. Assumed where no source says it: milestones are for the
contract's first customer; the date of the invoice is that of its accounting unless somebody entered one; a line that is
taken off a draft is ready to invoice again.
"""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import TYPE_CHECKING

from dualsync_sandbox.business.dataverse import connections
from dualsync_sandbox.business.dataverse.actuals import TABLE
from dualsync_sandbox.business.dataverse.choices import (
    AdjustmentStatus,
    BillingMethod,
    BillingStatus,
    BillingType,
    InvoiceStatus,
    MilestoneStatus,
    TransactionClass,
    TransactionType,
)
from dualsync_sandbox.business.dataverse.contracts.customers import WORK_BASED
from dualsync_sandbox.business.dataverse.contracts.engagement import row_of, shares
from dualsync_sandbox.business.dataverse.invoicing.billing import MILESTONES, invoiceable
from dualsync_sandbox.business.dataverse.prices import native_rate, rounded
from dualsync_sandbox.business.finance.ledger.exchange import exact
from dualsync_sandbox.errors import BusinessRuleViolation

if TYPE_CHECKING:
    from dualsync_sandbox.store import Event, Row, Store, Tx

INVOICES, LINES, DETAILS = "invoice", "invoicedetail", "msdyn_invoicelinetransaction"
OPEN = frozenset({InvoiceStatus.DRAFT, InvoiceStatus.IN_REVIEW})
"""Statuses in which a proforma can be changed [H10]."""

_FREE = frozenset({"msdyn_billingtype", "msdyn_tax", "msdyn_description", "msdyn_externaldescription"})
_EDITABLE = {
    BillingMethod.FIXED_PRICE: _FREE,
    BillingMethod.TIME_AND_MATERIAL: _FREE | {"msdyn_quantity", "msdyn_price"},
}
"""Columns of a line detail that may be edited, by billing method [H12]."""

_STAMPS = frozenset({"createdon", "modifiedon", "createdby", "modifiedby", "versionnumber"})
_TAKEN_OVER = (
    "msdyn_description",
    "msdyn_externaldescription",
    "msdyn_project",
    "msdyn_task",
    "msdyn_bookableresource",
    "msdyn_resourcecategory",
    "msdyn_transactioncategory",
    "msdyn_product",
    "msdyn_unit",
    "msdyn_transactionclassification",
    "msdyn_billingtype",
    "msdyn_documentdate",
    "msdyn_quantity",
    "msdyn_price",
    "msdyn_amount",
    "transactioncurrencyid",
)
"""Columns that a line detail has from the actual it invoices."""
_MONEY_SCALE = -4


class Draft:
    """A proforma invoice that is being made; :meth:`write` writes its lines, however many there are, in one go.

    Args:
        tx: The transaction.
        contract: The ``salesorder``.
        customer: The contract customer it is for, None where the contract has none.
        more: Further columns of the ``invoice``.
    """

    def __init__(self, tx: Tx, contract: Row, customer: Row | None, **more: object) -> None:
        self._tx = tx
        self._contract = contract
        self._details: list[Row] = []
        self._connections: list[Row] = []
        self._lines: dict[object, Row] = {}
        contract_id = uuid.UUID(str(contract["salesorderid"]))
        currency = row_of(tx, "transactioncurrency", contract["transactioncurrencyid"])
        self.invoice = tx.insert(
            INVOICES,
            {
                "invoiceid": str(uuid.uuid5(contract_id, f"invoice/{tx.count(INVOICES)}")),
                "name": contract["name"],
                "salesorderid": contract["salesorderid"],
                "transactioncurrencyid": contract["transactioncurrencyid"],
                "exchangerate": native_rate(currency),
                "ispricelocked": False,
                "msdyn_ordertype": WORK_BASED,
                "msdyn_company": contract["msdyn_company"],
                "msdyn_paymentterms": _terms(tx, contract, customer),
                **_customer(contract, customer),
                **more,
            },
        )

    def add(self, contract_line_id: object, detail: Row, unbilled: Row | None = None) -> None:
        """Add a line detail to the line of a contract line, connected with the unbilled sale it bills [F1]."""
        line = self._line(contract_line_id)
        detail_id = str(uuid.uuid5(uuid.UUID(str(self.invoice["invoiceid"])), f"detail/{len(self._details)}"))
        self._details.append(
            {
                f"{DETAILS}id": detail_id,
                "msdyn_invoice": self.invoice["invoiceid"],
                "msdyn_invoicelineid": line["invoicedetailid"],
                **dict.fromkeys(_TAKEN_OVER),
                "transactioncurrencyid": self.invoice["transactioncurrencyid"],
                "msdyn_originalactual": None,
                "msdyn_milestone": None,
                **detail,
            }
        )
        if unbilled is not None:
            ends = (detail_id, connections.BILLED, unbilled["msdyn_actualid"], connections.UNBILLED)
            self._connections.append(connections.connection(*ends, first_table=DETAILS))

    def _line(self, contract_line_id: object) -> Row:
        if contract_line_id not in self._lines:
            place = len(self._lines) + 1
            line = row_of(self._tx, "salesorderdetail", contract_line_id)
            invoice_id = str(self.invoice["invoiceid"])
            self._lines[contract_line_id] = self._tx.insert(
                LINES,
                {
                    "invoicedetailid": str(uuid.uuid5(uuid.UUID(invoice_id), f"line/{place}")),
                    "invoicedetailname": f"Line {place}",
                    "invoiceid": invoice_id,
                    "salesorderdetailid": contract_line_id,
                    "sequencenumber": place,
                    "productdescription": line["productdescription"],
                    "quantity": Decimal(1),
                    "msdyn_project": line["msdyn_project"],
                    "msdyn_billingmethod": line["msdyn_billingmethod"],
                    "transactioncurrencyid": self.invoice["transactioncurrencyid"],
                },
            )
        return self._lines[contract_line_id]

    def write(self) -> Row:
        """Write what was added and return the invoice.

        Raises:
            BusinessRuleViolation: Nothing was added.
        """
        if not self._details:
            raise BusinessRuleViolation(INVOICES, "There is nothing to invoice.")
        self._tx.insert_many(DETAILS, self._details, hooks=False)
        self._tx.insert_many(connections.TABLE, self._connections, hooks=False)
        total(self._tx, self.invoice["invoiceid"])
        return row_of(self._tx, INVOICES, self.invoice["invoiceid"])


def _customer(contract: Row, customer: Row | None) -> Row:
    if customer is None:
        return {name: contract[name] for name in ("customerid", "customerid@type")}
    return {
        "msdyn_contractcustomer": customer["msdyn_projectcontractsplitbillingruleid"],
        "customerid": customer["msdyn_contractcustomer"],
        "customerid@type": customer["msdyn_contractcustomer@type"],
    }


def _terms(tx: Tx, contract: Row, customer: Row | None) -> object:
    """The terms of payment of the contract customer, who names them, else those of the contract."""
    name = (customer or {}).get("msdyn_paymentterms")
    terms = tx.find_one("msdyn_paymentterm", msdyn_name=name, msdyn_company=contract["msdyn_company"]) if name else None
    return terms["msdyn_paymenttermid"] if terms else contract["msdyn_paymentterms"]


def taken_over(actual: Row) -> Row:
    """Return the columns of a line detail that follow from the actual it is about."""
    return {name: actual[name] for name in _TAKEN_OVER} | {"msdyn_originalactual": actual["msdyn_actualid"]}


def create_proforma(dataverse: Store, contract_id: str, *, customer_id: str | None = None) -> Row:
    """Make a proforma invoice in draft of what is ready to invoice [H1, E20]; returns the ``invoice``.

    Args:
        dataverse: The store of Dataverse.
        contract_id: The project contract.
        customer_id: The contract customer; the first who has something to be invoiced where left out.

    Raises:
        BusinessRuleViolation: Nothing is ready.
    """
    with dataverse.transaction() as tx:
        contract = row_of(tx, "salesorder", contract_id)
        customers = [share.customer for share in shares(tx, contract)]
        ready = tx.find(TABLE, msdyn_salescontract=contract_id, msdyn_billingstatus=BillingStatus.READY_TO_INVOICE)
        sales = [row for row in ready if invoiceable(row)]
        milestones = tx.find(MILESTONES, msdyn_contract=contract_id, msdyn_invoicestatus=MilestoneStatus.READY)
        for place, customer in enumerate(customers):
            own_id = customer["msdyn_projectcontractsplitbillingruleid"]
            own = [row for row in sales if row["msdyn_contractcustomer"] == own_id]
            steps = milestones if place == 0 else []
            if (own or steps) and customer_id in (None, own_id):
                return _of_ready(tx, contract, customer, own, steps)
        raise BusinessRuleViolation(INVOICES, "There is nothing to invoice.")


def _of_ready(tx: Tx, contract: Row, customer: Row, sales: list[Row], milestones: list[Row]) -> Row:
    draft = Draft(tx, contract, customer)
    for actual in sales:
        draft.add(actual["msdyn_salescontractlineid"], taken_over(actual), actual)
    for milestone in milestones:
        draft.add(milestone["msdyn_contractlineid"], _of_milestone(milestone))
    created = {"msdyn_billingstatus": BillingStatus.CUSTOMER_INVOICE_CREATED}
    tx.update_many(TABLE, [(actual["msdyn_actualid"], created) for actual in sales], hooks=False)
    for milestone in milestones:
        made = {"msdyn_invoicestatus": MilestoneStatus.CUSTOMER_INVOICE_CREATED}
        tx.update(MILESTONES, milestone[f"{MILESTONES}id"], made)
    return draft.write()


def _of_milestone(milestone: Row) -> Row:
    return {
        "msdyn_milestone": milestone[f"{MILESTONES}id"],
        "msdyn_description": milestone["msdyn_name"],
        "msdyn_project": milestone["msdyn_project"],
        "msdyn_task": milestone["msdyn_projecttask"],
        "msdyn_transactionclassification": TransactionClass.MILESTONE,
        "msdyn_billingtype": BillingType.CHARGEABLE,
        "msdyn_documentdate": milestone["msdyn_milestonedate"],
        "msdyn_quantity": Decimal(1),
        "msdyn_price": milestone["msdyn_amount"],
        "msdyn_amount": milestone["msdyn_amount"],
    }


def line_details(dataverse: Store, invoice_id: str) -> list[Row]:
    """Return the line details of a proforma, in their order."""
    with dataverse.reading() as tx:
        return tx.find(DETAILS, msdyn_invoice=invoice_id)


def edit_line(dataverse: Store, detail_id: str, **columns: object) -> Row:
    """Edit a line detail of a draft [H12]; returns it.

    Raises:
        BusinessRuleViolation: The invoice is confirmed, or the column is not to be edited on such a line.
    """
    with dataverse.transaction() as tx:
        return tx.update(DETAILS, detail_id, columns)


def remove_line(dataverse: Store, detail_id: str) -> None:
    """Take a line detail off a draft.

    Raises:
        BusinessRuleViolation: The invoice is confirmed.
    """
    with dataverse.transaction() as tx:
        tx.delete(DETAILS, detail_id)


def send_to_review(dataverse: Store, invoice_id: str) -> Row:
    """Hand a draft in for review [H10]; returns it.

    Raises:
        BusinessRuleViolation: It is no draft.
    """
    with dataverse.transaction() as tx:
        invoice = row_of(tx, INVOICES, invoice_id)
        if invoice["msdyn_projectinvoicestatus"] != InvoiceStatus.DRAFT:
            raise BusinessRuleViolation(INVOICES, "Only a draft can be reviewed.")
        return tx.update(INVOICES, invoice_id, {"msdyn_projectinvoicestatus": InvoiceStatus.IN_REVIEW})


def total(tx: Tx, invoice_id: object) -> None:
    """Add up an invoice and its lines: what is chargeable counts [R12], of a correction what it changes [H13]."""
    sql = (
        'SELECT d."msdyn_invoicelineid", d."msdyn_billingtype", d."msdyn_amount", d."msdyn_tax", a."msdyn_billingtype",'
        f' a."msdyn_amount" FROM "{DETAILS}" d LEFT JOIN "{TABLE}" a ON a."msdyn_actualid" = d."msdyn_originalactual"'
        ' AND a."msdyn_transactiontypecode" = ? WHERE d."msdyn_invoice" = ?'
    )
    sums: dict[object, dict[int, int]] = {line["invoicedetailid"]: {} for line in tx.find(LINES, invoiceid=invoice_id)}
    taxes: dict[object, int] = dict.fromkeys(sums, 0)
    for line_id, kind, amount, tax, kind_before, before in tx.query(
        sql, (TransactionType.BILLED_SALES.value, str(invoice_id))
    ):
        of_line = sums[line_id]
        of_line[kind] = of_line.get(kind, 0) + (amount or 0)
        if before is not None:
            of_line[kind_before] = of_line.get(kind_before, 0) - before
        taxes[line_id] += tax or 0
    for line_id, of_line in sums.items():
        charged = _money(of_line.get(BillingType.CHARGEABLE, 0))
        facts = {
            "msdyn_chargeableamount": charged,
            "msdyn_complimentaryamount": _money(of_line.get(BillingType.COMPLIMENTARY, 0)),
            "msdyn_nonchargeableamount": _money(of_line.get(BillingType.NON_CHARGEABLE, 0)),
            "priceperunit": charged,
            "baseamount": charged,
            "extendedamount": charged,
            "tax": _money(taxes[line_id]),
        }
        tx.update_many(LINES, [(line_id, facts)], hooks=False)
    net = _money(sum(of_line.get(BillingType.CHARGEABLE, 0) for of_line in sums.values()))
    tax = _money(sum(taxes.values()))
    totals = {"totallineitemamount": net, "totaltax": tax, "totalamount": net + tax}
    tx.update_many(INVOICES, [(invoice_id, totals)], hooks=False)


def _money(scaled: int) -> Decimal:
    return Decimal(scaled).scaleb(_MONEY_SCALE)


# -- what the system does when somebody writes to these tables


def _refuse_confirmed(tx: Tx, invoice_id: object) -> None:
    """Refuse to change an invoice that is confirmed [H10]."""
    invoice = row_of(tx, INVOICES, invoice_id)
    if invoice["msdyn_ordertype"] == WORK_BASED and invoice["msdyn_projectinvoicestatus"] not in OPEN:
        raise BusinessRuleViolation(INVOICES, "A confirmed invoice is read-only.")


def _check_edit(tx: Tx, event: Event) -> None:
    """Only some columns of a draft's line details; the amount follows [H12]."""
    before, after = event.before, event.after
    assert before is not None
    assert after is not None
    changed = {name for name, value in after.items() if value != before.get(name)} - _STAMPS
    if not changed:
        return
    _refuse_confirmed(tx, before["msdyn_invoice"])
    if "msdyn_transactionclassification" in changed:
        raise BusinessRuleViolation(DETAILS, "The transaction class of an invoice line detail cannot be changed.")
    line = row_of(tx, LINES, before["msdyn_invoicelineid"])
    method = line["msdyn_billingmethod"]
    if before["msdyn_transactionclassification"] in (TransactionClass.MILESTONE, TransactionClass.RETAINER):
        method = BillingMethod.FIXED_PRICE
    refused = changed - _EDITABLE[BillingMethod(int(exact(method)))]
    if refused:
        raise BusinessRuleViolation(DETAILS, f"{', '.join(sorted(refused))} of this line detail cannot be edited.")
    if exact(after["msdyn_quantity"]) < 0:
        raise BusinessRuleViolation(DETAILS, "The quantity cannot be negative.")
    if changed & {"msdyn_quantity", "msdyn_price"}:
        currency = row_of(tx, "transactioncurrency", before["transactioncurrencyid"])
        after["msdyn_amount"] = rounded(exact(after["msdyn_quantity"]) * exact(after["msdyn_price"]), currency)


def _edited(tx: Tx, event: Event) -> None:
    assert event.after is not None
    total(tx, event.after["msdyn_invoice"])


def _check_removal(tx: Tx, event: Event) -> None:
    assert event.before is not None
    _refuse_confirmed(tx, event.before["msdyn_invoice"])


def _removed(tx: Tx, event: Event) -> None:
    """What stood on the draft can be invoiced, or corrected, again."""
    detail = event.before
    assert detail is not None
    if detail["msdyn_milestone"] is not None and detail["msdyn_originalactual"] is None:
        tx.update(MILESTONES, detail["msdyn_milestone"], {"msdyn_invoicestatus": MilestoneStatus.READY})
    original = tx.get(TABLE, detail["msdyn_originalactual"])
    if original is not None and original["msdyn_adjustmentstatus"] == AdjustmentStatus.IN_PROCESS:
        tx.update(TABLE, original["msdyn_actualid"], {"msdyn_adjustmentstatus": None})
    elif original is not None and original["msdyn_billingstatus"] == BillingStatus.CUSTOMER_INVOICE_CREATED:
        tx.update(TABLE, original["msdyn_actualid"], {"msdyn_billingstatus": BillingStatus.READY_TO_INVOICE})
    total(tx, detail["msdyn_invoice"])


def _guard_invoice(_: Tx, event: Event) -> None:
    """A confirmed invoice is read-only, and neither confirmed nor posted by hand [H10]."""
    before = event.before
    assert before is not None
    if before["msdyn_ordertype"] != WORK_BASED:
        return
    if before["msdyn_projectinvoicestatus"] not in OPEN:
        raise BusinessRuleViolation(INVOICES, "A confirmed invoice is read-only.")
    if event.after is not None and event.after["msdyn_projectinvoicestatus"] not in OPEN:
        raise BusinessRuleViolation(INVOICES, "The status of a project invoice follows from its confirmation.")


def _guard_from_outside(tx: Tx, event: Event) -> None:
    if tx.from_outside:
        _guard_invoice(tx, event)


def _guard_line(tx: Tx, event: Event) -> None:
    assert event.before is not None
    if tx.from_outside:
        _refuse_confirmed(tx, event.before["invoiceid"])


def install(dataverse: Store) -> None:
    """Register the rules with Dataverse."""
    dataverse.on(DETAILS, {"update"}, _check_edit, when="before")
    dataverse.on(DETAILS, {"update"}, _edited)
    dataverse.on(DETAILS, {"delete"}, _check_removal, when="before")
    dataverse.on(DETAILS, {"delete"}, _removed)
    dataverse.on(LINES, {"update", "delete"}, _guard_line, when="before")
    dataverse.on(INVOICES, {"update"}, _guard_from_outside, when="before")
    dataverse.on(INVOICES, {"delete"}, _guard_invoice, when="before")
