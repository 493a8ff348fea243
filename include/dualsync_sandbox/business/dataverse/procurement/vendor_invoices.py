"""Project vendor invoices in Dataverse: their checks, states and confirmation [J1, J3 to J6, J9, J14, K8].

Confirming makes the actuals of the lines, and takes back what the work they charge had cost. It happens by itself when
automatic confirmation is or gets true, with the lines that are there at that moment: a line that comes later makes no
actuals. Otherwise a project manager confirms, once every line is verified.

Assumed: a matched cost actual names the invoice; its line is the one it fits. By itself, an invoice is matched with the
oldest work first, until the quantity of the line is used up. A line whose work was sold when it was done sells nothing
again. The state model is published for the product without Finance; cancelling a confirmed invoice is not played.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from dualsync_sandbox.business.dataverse import connections
from dualsync_sandbox.business.dataverse.actuals import TABLE, Maker, reverse, sold_before, standing
from dualsync_sandbox.business.dataverse.choices import (
    TransactionClass,
    TransactionType,
    VendorInvoiceStatus,
    VerificationStatus,
)
from dualsync_sandbox.business.dataverse.contracts.engagement import row_of
from dualsync_sandbox.business.dataverse.entries.work import VENDOR_INVOICE, VENDOR_LINE, work_of_vendor_line
from dualsync_sandbox.business.finance.ledger.exchange import exact
from dualsync_sandbox.errors import BusinessRuleViolation

if TYPE_CHECKING:
    from dualsync_sandbox.business.dataverse.prices import Prices
    from dualsync_sandbox.business.switches import Switches
    from dualsync_sandbox.store import Event, Row, Store, Tx

NO_PRODUCT = "Product id is mandatory. Select a product from the catalog."
BAD_CATEGORY = (
    "The Transaction Category linked to this vendor invoice line is invalid. Please select an Active, Expense "
    "Transaction Category."
)
"""Refusals of lines, in the words that Microsoft's documentation quotes."""

_READ_ONLY = "A confirmed vendor invoice and its lines can't be edited or deleted."
_S = VendorInvoiceStatus
_OPEN = frozenset({_S.DRAFT, _S.IN_REVIEW})
_STEPS = frozenset(
    {
        (_S.DRAFT, _S.IN_REVIEW),
        (_S.DRAFT, _S.CONFIRMED),
        (_S.DRAFT, _S.ON_HOLD),
        (_S.IN_REVIEW, _S.CONFIRMED),
        (_S.IN_REVIEW, _S.DRAFT),
        (_S.IN_REVIEW, _S.ON_HOLD),
        (_S.ON_HOLD, _S.DRAFT),
        (_S.ON_HOLD, _S.IN_REVIEW),
    }
)
_STAMPS = frozenset({"createdon", "modifiedon", "createdby", "modifiedby", "versionnumber"})
_FREE = frozenset({"statuscode", "msdyn_verificationstatus"})
"""What a project manager changes of an invoice and its lines."""

_FITS = (
    "msdyn_transactionclassification",
    "msdyn_project",
    "msdyn_task",
    "msdyn_resourcecategory",
    "msdyn_transactioncategory",
    "msdyn_product",
    "msdyn_subcontractline",
    "msdyn_bookableresource",
)
"""Columns in which a line and a cost actual have to agree [J6]; what the line leaves empty does not count."""


# -- what people do


def confirm_vendor_invoice(dataverse: Store, invoice_id: str) -> list[Row]:
    """A project manager confirms an invoice; returns reversals and new actuals [J3, J4].

    Raises:
        BusinessRuleViolation: A line is not verified, or the invoice is confirmed, on hold or canceled.
    """
    with dataverse.transaction() as tx:
        before = tx.count(TABLE)
        tx.update(VENDOR_INVOICE, invoice_id, {"statuscode": _S.CONFIRMED})
        made = tx.find(TABLE)
        return made[before:]


def verify_lines(dataverse: Store, invoice_id: str, status: int = VerificationStatus.COMPLETE) -> None:
    """A project manager sets the verification status of all lines of an invoice [J5]."""
    with dataverse.transaction() as tx:
        for line in lines_of(tx, invoice_id):
            tx.update(VENDOR_LINE, line[f"{VENDOR_LINE}id"], {"msdyn_verificationstatus": status})


def hold_vendor_invoice(dataverse: Store, invoice_id: str) -> Row:
    """Put an invoice on hold; returns it [J5].

    Raises:
        BusinessRuleViolation: It is confirmed.
    """
    with dataverse.transaction() as tx:
        return tx.update(VENDOR_INVOICE, invoice_id, {"statuscode": _S.ON_HOLD})


def reopen_vendor_invoice(dataverse: Store, invoice_id: str) -> Row:
    """Take an invoice off hold: a draft where no line is being verified, else in review; returns it [J5].

    Raises:
        BusinessRuleViolation: It is not on hold.
    """
    with dataverse.transaction() as tx:
        begun = any(
            line["msdyn_verificationstatus"] != VerificationStatus.NOT_STARTED for line in lines_of(tx, invoice_id)
        )
        return tx.update(VENDOR_INVOICE, invoice_id, {"statuscode": _S.IN_REVIEW if begun else _S.DRAFT})


def match(dataverse: Store, line_id: str, actual_id: str) -> Row:
    """Match a cost actual with a line; the line is in progress from the first one on [J5]. Returns the actual [J6].

    Raises:
        BusinessRuleViolation: The actual is adjusted, matched already, or does not fit the line.
    """
    with dataverse.transaction() as tx:
        line, actual = row_of(tx, VENDOR_LINE, line_id), row_of(tx, TABLE, actual_id)
        if actual["msdyn_vendorinvoice"] is not None or not fits(line, actual):
            raise BusinessRuleViolation(VENDOR_LINE, "The cost actual cannot be matched with this line.")
        matched = tx.update(TABLE, actual_id, {"msdyn_vendorinvoice": line["msdyn_vendorinvoice"]})
        if line["msdyn_verificationstatus"] == VerificationStatus.NOT_STARTED:
            tx.update(VENDOR_LINE, line_id, {"msdyn_verificationstatus": VerificationStatus.IN_PROGRESS})
        return matched


def unmatch(dataverse: Store, line_id: str, actual_id: str) -> Row:
    """Take a match back while the line is in progress; returns the actual [J6].

    Raises:
        BusinessRuleViolation: The line is not in progress, or the actual is not matched with it.
    """
    with dataverse.transaction() as tx:
        line, actual = row_of(tx, VENDOR_LINE, line_id), row_of(tx, TABLE, actual_id)
        if line["msdyn_verificationstatus"] != VerificationStatus.IN_PROGRESS or actual not in matched_with(tx, line):
            raise BusinessRuleViolation(VENDOR_LINE, "Only matches of lines in progress can be taken back.")
        return tx.update(TABLE, actual_id, {"msdyn_vendorinvoice": None})


# -- matching


def lines_of(tx: Tx, invoice_id: object) -> list[Row]:
    """Return the lines of an invoice."""
    return tx.find(VENDOR_LINE, msdyn_vendorinvoice=invoice_id)


def fits(line: Row, actual: Row) -> bool:
    """Whether a cost actual may be matched with a line: of a subcontract, and equal in all that the line names [J6].

    Contract and contract line follow from project and class.
    """
    return (
        line["msdyn_subcontractline"] is not None
        and actual["msdyn_transactiontypecode"] == TransactionType.COST
        and actual["msdyn_adjustmentstatus"] is None
        and actual["msdyn_vendorinvoiceline"] is None
        and all(line[column] in (None, actual[column]) for column in _FITS)
    )


def matched_with(tx: Tx, line: Row) -> list[Row]:
    """Return the cost actuals that are matched with a line."""
    named = {"msdyn_vendorinvoice": line["msdyn_vendorinvoice"], "msdyn_subcontractline": line["msdyn_subcontractline"]}
    if line["msdyn_subcontractline"] is None:
        return []
    return [actual for actual in tx.find(TABLE, **named) if fits(line, actual)]


def _match_by_itself(tx: Tx, line: Row) -> None:
    """Of the work done on the subcontract line, the oldest until the line's quantity is used up [J14]."""
    if line["msdyn_subcontractline"] is None:
        return
    left = exact(line["msdyn_quantity"])
    for actual in tx.find(TABLE, msdyn_subcontractline=line["msdyn_subcontractline"], msdyn_vendorinvoice=None):
        if left <= 0:
            return
        if fits(line, actual):
            tx.update(TABLE, actual["msdyn_actualid"], {"msdyn_vendorinvoice": line["msdyn_vendorinvoice"]})
            left -= exact(actual["msdyn_quantity"])


# -- confirmation


def _confirm_by_itself(tx: Tx, event: Event) -> None:
    """With the lines that are there when automatic confirmation is, or gets, true [J3]."""
    invoice = event.after
    assert invoice is not None
    switched_on = event.before is None or event.changed("msdyn_enableautomaticconfirmation")
    if not invoice["msdyn_enableautomaticconfirmation"] or not switched_on or invoice["statuscode"] not in _OPEN:
        return
    invoice_id = invoice[f"{VENDOR_INVOICE}id"]
    complete = {"msdyn_verificationstatus": VerificationStatus.COMPLETE}
    for line in lines_of(tx, invoice_id):
        _match_by_itself(tx, line)
        tx.update(VENDOR_LINE, line[f"{VENDOR_LINE}id"], complete)
    tx.update(VENDOR_INVOICE, invoice_id, {"statuscode": _S.CONFIRMED})


def _make_actuals(tx: Tx, event: Event, prices: Prices) -> None:
    """Matched costs are reversed, each line costs what it says, and sells on time and material [J4]."""
    invoice = event.after
    assert invoice is not None
    if invoice["statuscode"] != _S.CONFIRMED or (event.before is not None and not event.changed("statuscode")):
        return
    maker = Maker(tx, prices)
    for line in lines_of(tx, invoice[f"{VENDOR_INVOICE}id"]):
        replaced = matched_with(tx, line)
        work = work_of_vendor_line(tx, line)
        for actual in replaced:
            reverse(tx, actual)
        cost = maker.make(work, sales=not sold_before(tx, work))[0]
        for actual in replaced:
            connections.connect(tx, cost, connections.REPLACING, actual, connections.ORIGINAL)
        for sale in _sales_of(tx, replaced):
            connections.connect(tx, sale, connections.UNBILLED, cost, connections.COST)


def _sales_of(tx: Tx, costs: list[Row]) -> list[Row]:
    """Return the unbilled sales that stand of the entries behind cost actuals."""
    entries = dict.fromkeys(cost["msdyn_origin"] for cost in costs if cost["msdyn_origin"] is not None)
    rows = [row for entry in entries for row in standing(tx, entry)]
    return [row for row in rows if row["msdyn_transactiontypecode"] == TransactionType.UNBILLED_SALES]


# -- what is refused


def _check_line(tx: Tx, event: Event) -> None:
    """The documented refusals: goods need a product, expenses an active category ([J9]: a retired product will do)."""
    line = event.after
    assert line is not None
    kind = line["msdyn_transactionclassification"]
    if kind == TransactionClass.MATERIAL and line["msdyn_product"] is None:
        raise BusinessRuleViolation(VENDOR_LINE, NO_PRODUCT)
    category_id = line["msdyn_transactioncategory"]
    category = tx.get("msdyn_transactioncategory", category_id) if category_id else None
    missing = kind == TransactionClass.EXPENSE and not category_id
    if missing or (category is not None and category["statecode"] != 0):
        raise BusinessRuleViolation(VENDOR_LINE, BAD_CATEGORY)


def _review(tx: Tx, event: Event) -> None:
    """An invoice is in review as soon as one of its lines is [J5]."""
    line = event.after
    assert line is not None
    if line["msdyn_verificationstatus"] == VerificationStatus.NOT_STARTED or line["msdyn_vendorinvoice"] is None:
        return
    invoice = row_of(tx, VENDOR_INVOICE, line["msdyn_vendorinvoice"])
    if invoice["statuscode"] == _S.DRAFT:
        tx.update(VENDOR_INVOICE, invoice[f"{VENDOR_INVOICE}id"], {"statuscode": _S.IN_REVIEW})


def _check_step(tx: Tx, event: Event) -> None:
    """Only the steps of the state model, and no confirmation before every line is verified [J5, J4]."""
    before, after = event.before, event.after
    assert after is not None
    was = _S.DRAFT if before is None else before["statuscode"]
    if after["statuscode"] == was:
        return
    if (was, after["statuscode"]) not in _STEPS:
        raise BusinessRuleViolation(VENDOR_INVOICE, "The vendor invoice cannot get this status.")
    lines = lines_of(tx, after[f"{VENDOR_INVOICE}id"])
    verified = all(line["msdyn_verificationstatus"] == VerificationStatus.COMPLETE for line in lines)
    if after["statuscode"] == _S.CONFIRMED and not verified:
        raise BusinessRuleViolation(
            VENDOR_INVOICE, "The vendor invoice can't be confirmed before the verification of all lines is complete."
        )


def _changed(event: Event) -> set[str]:
    if event.before is None or event.after is None:
        return set()
    before = event.before
    return {name for name, value in event.after.items() if value != before.get(name)} - _STAMPS


def _keep(tx: Tx, event: Event, switches: Switches) -> None:
    """What callers from outside may not change or delete [J1, J4, J5].

    Nobody changes a confirmed invoice. Lines that are verified are not edited any more. Otherwise only dual-write edits
    invoices; because the sandbox knows one caller only, the switch ``protect_vendor_invoices`` decides whether that
    is refused.
    """
    row = event.before
    assert row is not None
    changed = _changed(event)
    if not tx.from_outside or switches.integration_user or (event.kind == "update" and not changed):
        return
    invoice: Row | None = row
    if event.table == VENDOR_LINE:
        invoice = tx.get(VENDOR_INVOICE, row["msdyn_vendorinvoice"]) if row["msdyn_vendorinvoice"] else None
    if invoice is not None and invoice["statuscode"] in (_S.CONFIRMED, _S.CANCELED):
        raise BusinessRuleViolation(event.table, _READ_ONLY)
    verified = row.get("msdyn_verificationstatus") not in (None, VerificationStatus.NOT_STARTED)
    edited = event.kind == "delete" or changed - _FREE
    if edited and (verified or switches.protect_vendor_invoices):
        raise BusinessRuleViolation(event.table, "Vendor invoices aren't editable in Dataverse.")


def install(dataverse: Store, prices: Prices, switches: Switches) -> None:
    """Register the rules with Dataverse."""
    keep = partial(_keep, switches=switches)
    dataverse.on(VENDOR_LINE, {"update", "delete"}, keep, when="before")
    dataverse.on(VENDOR_LINE, {"create", "update"}, _check_line, when="before")
    dataverse.on(VENDOR_LINE, {"create", "update"}, _review)
    dataverse.on(VENDOR_INVOICE, {"update", "delete"}, keep, when="before")
    dataverse.on(VENDOR_INVOICE, {"create", "update"}, _check_step, when="before")
    dataverse.on(VENDOR_INVOICE, {"create", "update"}, _confirm_by_itself)
    dataverse.on(VENDOR_INVOICE, {"create", "update"}, partial(_make_actuals, prices=prices))
