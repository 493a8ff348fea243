"""Events of invoicing: what is made ready, invoiced, edited, confirmed, corrected and posted."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING

from dualsync_sandbox.business.dataverse.actuals import TABLE
from dualsync_sandbox.business.dataverse.choices import BillingStatus, InvoiceStatus, MilestoneStatus, TransactionClass
from dualsync_sandbox.business.dataverse.invoicing.billing import (
    MILESTONES,
    invoiceable,
    mark_milestone_ready,
    mark_ready_to_invoice,
)
from dualsync_sandbox.business.dataverse.invoicing.proforma_confirmation import confirm_proforma
from dualsync_sandbox.business.dataverse.invoicing.proforma_corrections import CORRECTABLE, correctable, revise_invoice
from dualsync_sandbox.business.dataverse.invoicing.proformas import (
    DETAILS,
    INVOICES,
    OPEN,
    create_proforma,
    edit_line,
    line_details,
    remove_line,
    send_to_review,
)
from dualsync_sandbox.business.finance import jobs
from dualsync_sandbox.business.finance.invoicing.intercompany import post_intercompany_invoice, to_invoice
from dualsync_sandbox.business.finance.ledger.exchange import exact
from dualsync_sandbox.play.scene import Event, Facts, Scene

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row, Tx

_QUARTER = Decimal("0.25")
_ON_ACCOUNT = frozenset({TransactionClass.MILESTONE, TransactionClass.RETAINER})


def _of_project(scene: Scene, code: str, project: str | None, rows: Iterable[Row]) -> list[Row]:
    """Rows of the project that is asked for, else all."""
    site = scene.site(code, project) if project else None
    return [row for row in rows if site is None or row["msdyn_project"] == site.id]


def _contract(scene: Scene, code: str, project: str | None, rows: Iterable[Row], missing: str) -> tuple[str, list[Row]]:
    """Choose a contract that these actuals or milestones name; it, and what of them is its own."""
    by_contract: dict[str, list[Row]] = {}
    for row in _of_project(scene, code, project, rows):
        by_contract.setdefault(str(row.get("msdyn_salescontract") or row.get("msdyn_contract")), []).append(row)
    contract = scene.one_of(list(by_contract), missing)
    return contract, by_contract[contract]


def mark_ready(scene: Scene, code: str, project: str | None) -> Facts:
    """What has been worked on a contract is marked ready to invoice [E20]."""
    company = scene.company(code)["cdm_companyid"]
    with scene.dataverse.reading() as tx:
        created = BillingStatus.UNBILLED_SALES_CREATED
        rows = tx.find(TABLE, msdyn_owningcompany=company, msdyn_billingstatus=created)
    sales = [row for row in rows if invoiceable(row)]
    contract, own = _contract(scene, code, project, sales, f"unbilled sale in {code}")
    marked = mark_ready_to_invoice(scene.dataverse, [str(row["msdyn_actualid"]) for row in own])
    return {"contract": contract, "actuals": [row["msdyn_actualid"] for row in marked]}


def milestone_ready(scene: Scene, code: str, project: str | None) -> Facts:
    """A milestone is reached [C5, H1]."""
    with scene.dataverse.reading() as tx:
        found = _milestones(scene, code, tx, MilestoneStatus.NOT_READY)
        waiting = [row for row in found if (tx.get("msdyn_project", row["msdyn_project"]) or {}).get("statecode") == 0]
    milestone = scene.one_of(_of_project(scene, code, project, waiting), f"milestone of {code} to be reached")
    mark_milestone_ready(scene.dataverse, str(milestone[f"{MILESTONES}id"]))
    return {"milestone": milestone["msdyn_milestonenumber"], "amount": milestone["msdyn_amount"]}


def _milestones(scene: Scene, code: str, tx: Tx, status: MilestoneStatus) -> list[Row]:
    company = scene.company(code)["cdm_companyid"]
    return tx.find(MILESTONES, msdyn_owningcompany=company, msdyn_invoicestatus=status)


def new_proforma(scene: Scene, code: str, project: str | None) -> Facts:
    """What is ready on a contract becomes a draft [H1]."""
    company, ready = scene.company(code)["cdm_companyid"], BillingStatus.READY_TO_INVOICE
    with scene.dataverse.reading() as tx:
        sales = tx.find(TABLE, msdyn_owningcompany=company, msdyn_billingstatus=ready)
        rows = [row for row in sales if invoiceable(row)] + _milestones(scene, code, tx, MilestoneStatus.READY)
    contract, _ = _contract(scene, code, project, rows, f"sale or milestone of {code} ready to invoice")
    invoice = create_proforma(scene.dataverse, contract)
    return {"invoice": invoice["invoicenumber"], "contract": contract, "amount": invoice["totalamount"]}


def _invoices(scene: Scene, code: str, project: str | None, statuses: Iterable[int]) -> list[Row]:
    """Invoices of projects that have one of these statuses, the latest last."""
    company = scene.company(code)["cdm_companyid"]
    site = scene.site(code, project) if project else None
    with scene.dataverse.reading() as tx:
        found = [row for status in statuses for row in tx.find(INVOICES, msdyn_projectinvoicestatus=status)]
        own = [row for row in found if row["msdyn_company"] == company]
        if site is None:
            return own
        return [row for row in own if tx.find_one("invoicedetail", invoiceid=row["invoiceid"], msdyn_project=site.id)]


def edit_proforma(scene: Scene, code: str, project: str | None) -> Facts:
    """Less is charged than was worked, or more [H12, E10, E11]."""
    drafts = _invoices(scene, code, project, sorted(OPEN))
    with scene.dataverse.reading() as tx:
        details = [
            detail
            for draft in drafts
            for detail in tx.find(DETAILS, msdyn_invoice=draft["invoiceid"])
            if detail["msdyn_transactionclassification"] not in _ON_ACCOUNT and exact(detail["msdyn_quantity"])
        ]
    detail = scene.one_of(details, f"line on a draft invoice of {code} to edit")
    quantity = _changed(exact(detail["msdyn_quantity"]), Decimal(scene.rng.choice(("0.5", "0.75", "1.25"))))
    edited = edit_line(scene.dataverse, str(detail[f"{DETAILS}id"]), msdyn_quantity=quantity)
    return {"detail": edited[f"{DETAILS}id"], "from": detail["msdyn_quantity"], "to": edited["msdyn_quantity"]}


def _changed(quantity: Decimal, factor: Decimal) -> Decimal:
    """A part or a multiple of a quantity, in quarters."""
    return (quantity * factor / _QUARTER).quantize(Decimal(1)) * _QUARTER


def confirm_draft(scene: Scene, code: str, project: str | None) -> Facts:
    """A draft is confirmed, some after a review [H10, E9 to E16]."""
    draft = scene.one_of(_invoices(scene, code, project, sorted(OPEN)), f"draft invoice of {code}")
    if draft["msdyn_projectinvoicestatus"] == InvoiceStatus.DRAFT and scene.rng.random() < 0.3:
        send_to_review(scene.dataverse, str(draft["invoiceid"]))
    made = confirm_proforma(scene.dataverse, str(draft["invoiceid"]))
    return {"invoice": draft["invoicenumber"], "actuals": [row["msdyn_actualid"] for row in made]}


def _to_correct(scene: Scene, code: str, project: str | None, *, milestones: bool) -> Row:
    """Choose an invoice with lines of one kind that can be corrected; rather one that Finance has posted.

    One with milestones has to be: what Finance still has to say of a milestone would undo that it is ready again.
    """
    statuses = {InvoiceStatus.POSTED} if milestones else CORRECTABLE
    invoices = _invoices(scene, code, project, sorted(statuses))
    with scene.dataverse.reading() as tx:
        found = [
            invoice
            for invoice in invoices
            if any(_is_milestone(row) is milestones for row in correctable(tx, invoice["invoiceid"]))
        ]
    posted = [row for row in found if row["msdyn_projectinvoicestatus"] == InvoiceStatus.POSTED]
    return scene.one_of(posted or found, f"confirmed invoice of {code} to correct")


def _is_milestone(row: Row) -> bool:
    return bool(row["msdyn_transactionclassification"] == TransactionClass.MILESTONE)


def correct(scene: Scene, code: str, project: str | None) -> Facts:
    """Of a confirmed invoice some lines are credited, some changed, some left as they are [H13, E14 to E16]."""
    invoice = _to_correct(scene, code, project, milestones=False)
    draft = revise_invoice(scene.dataverse, str(invoice["invoiceid"]))
    for place, detail in enumerate(line_details(scene.dataverse, str(draft["invoiceid"]))):
        detail_id = str(detail[f"{DETAILS}id"])
        fate = scene.rng.choice(("credit", "less", "more", "keep"))
        if _is_milestone(detail) or (fate == "keep" and place):
            remove_line(scene.dataverse, detail_id)
        elif fate in ("less", "more"):
            with scene.dataverse.reading() as tx:
                billed = tx.get(TABLE, detail["msdyn_originalactual"])
            assert billed is not None
            factor = _QUARTER * (2 if fate == "less" else 5)
            quantity = _changed(exact(billed["msdyn_quantity"]), factor)
            edit_line(scene.dataverse, detail_id, msdyn_quantity=quantity)
    return {"invoice": draft["invoicenumber"], "corrects": invoice["invoicenumber"]}


def credit_milestone(scene: Scene, code: str, project: str | None) -> Facts:
    """A milestone was invoiced too early; it is credited at once [E13]."""
    invoice = _to_correct(scene, code, project, milestones=True)
    draft = revise_invoice(scene.dataverse, str(invoice["invoiceid"]))
    details = line_details(scene.dataverse, str(draft["invoiceid"]))
    chosen = scene.one_of([detail for detail in details if _is_milestone(detail)], "milestone to credit")
    for detail in details:
        if detail[f"{DETAILS}id"] != chosen[f"{DETAILS}id"]:
            remove_line(scene.dataverse, str(detail[f"{DETAILS}id"]))
    made = confirm_proforma(scene.dataverse, str(draft["invoiceid"]))
    return {"invoice": draft["invoicenumber"], "actuals": [row["msdyn_actualid"] for row in made]}


def post_proposals(scene: Scene, code: str, project: str | None) -> Facts:  # noqa: ARG001 - for a whole company
    """Finance posts the invoice proposals that have lines [H3]."""
    return jobs.post_invoice_proposals(scene.finance, code).as_dict()


def post_intercompany(scene: Scene, code: str, project: str | None) -> Facts:  # noqa: ARG001 - between two companies
    """A company invoices what it has lent to another [K5]."""
    with scene.finance.reading() as tx:
        borrowers = [
            other
            for other in scene.parameters.integrated_companies
            if other != code and to_invoice(tx, code.lower(), other.lower())
        ]
    borrower = scene.one_of(borrowers, f"posted sale of {code} to another company")
    invoices = post_intercompany_invoice(scene.finance, code, borrower)
    return {"borrower": borrower, "invoices": [row["InvoiceId"] for row in invoices]}


INVOICING: dict[str, Event] = {
    "mark-ready": mark_ready,
    "milestone-ready": milestone_ready,
    "create-proforma": new_proforma,
    "edit-proforma": edit_proforma,
    "confirm-proforma": confirm_draft,
    "correct-invoice": correct,
    "credit-milestone": credit_milestone,
    "post-proposal": post_proposals,
    "post-intercompany-invoice": post_intercompany,
}
"""Events by name."""
