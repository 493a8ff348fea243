"""Corrective invoices: [E13 to E16, F1, H13, R10]; each test names its rule."""

from decimal import Decimal
from typing import Any

import pytest

from dualsync_sandbox.business.dataverse.choices import (
    AdjustmentStatus,
    BillingMethod,
    BillingStatus,
    MilestoneStatus,
    TransactionType,
)
from dualsync_sandbox.business.dataverse.entries.approvals import approve_time
from dualsync_sandbox.business.dataverse.invoicing.billing import mark_milestone_ready, mark_ready_to_invoice
from dualsync_sandbox.business.dataverse.invoicing.proforma_confirmation import confirm_proforma
from dualsync_sandbox.business.dataverse.invoicing.proforma_corrections import revise_invoice
from dualsync_sandbox.business.dataverse.invoicing.proformas import (
    create_proforma,
    edit_line,
    line_details,
    remove_line,
)
from dualsync_sandbox.business.dataverse.invoicing.retainers import invoice_retainer
from dualsync_sandbox.errors import BusinessRuleViolation
from support.project_office import Works

UNBILLED, BILLED = TransactionType.UNBILLED_SALES, TransactionType.BILLED_SALES
IN_PROCESS, ADJUSTED = AdjustmentStatus.IN_PROCESS, AdjustmentStatus.ADJUSTED
UNADJUSTABLE = AdjustmentStatus.UNADJUSTABLE
OPEN, POSTED = BillingStatus.UNBILLED_SALES_CREATED, BillingStatus.CUSTOMER_INVOICE_POSTED
TABLE = "msdyn_contractlinescheduleofvalue"


def invoiced(works: Works, project: str, entries: int = 1) -> str:
    """The id of a confirmed invoice of eight hours, or more."""
    for _ in range(entries):
        _, sale = approve_time(works.dataverse, works.time(project))
        mark_ready_to_invoice(works.dataverse, [sale["msdyn_actualid"]])
    invoice_id = str(create_proforma(works.dataverse, works.contract_of(project))["invoiceid"])
    confirm_proforma(works.dataverse, invoice_id)
    return invoice_id


def milestone_invoiced(works: Works, project: str) -> tuple[str, str]:
    milestone = works.milestone(project, "4000")
    mark_milestone_ready(works.dataverse, milestone)
    invoice_id = str(create_proforma(works.dataverse, works.contract_of(project))["invoiceid"])
    confirm_proforma(works.dataverse, invoice_id)
    return invoice_id, milestone


def corrected(works: Works, project: str, quantity: str) -> list[dict[str, Any]]:
    """Bill eight hours, keep another quantity of them, and return what the correction made."""
    draft = revise_invoice(works.dataverse, invoiced(works, project))
    (detail,) = line_details(works.dataverse, draft["invoiceid"])
    edit_line(works.dataverse, detail["msdyn_invoicelinetransactionid"], msdyn_quantity=Decimal(quantity))
    return confirm_proforma(works.dataverse, draft["invoiceid"])


def figures(rows: list[dict[str, Any]]) -> list[tuple[object, ...]]:
    names = ("transactiontypecode", "quantity", "amount", "adjustmentstatus", "billingstatus")
    return [(*(row[f"msdyn_{name}"] for name in names), row["msdyn_skipsync"]) for row in rows]


def original(works: Works, project: str) -> dict[str, Any]:
    """What was billed first."""
    rows = works.actuals(project, BILLED)
    return dict(rows[0])


def test_a_revised_invoice_credits_everything(office: Works) -> None:
    """Quantities are zero; what was billed is being adjusted meanwhile; totals say what changes [H13]."""
    project = office.project()
    invoice_id = invoiced(office, project, 2)
    draft = revise_invoice(office.dataverse, invoice_id)
    details = line_details(office.dataverse, draft["invoiceid"])
    assert [(row["msdyn_quantity"], row["msdyn_price"], row["msdyn_amount"]) for row in details] == [(0, 200, 0)] * 2
    assert (draft["msdyn_hascorrections"], draft["msdyn_correctedinvoice"]) == (True, invoice_id)
    assert (draft["msdyn_projectinvoicestatus"], draft["totalamount"]) == (192350000, -3200)
    assert {row["msdyn_adjustmentstatus"] for row in office.actuals(project, BILLED)} == {IN_PROCESS}
    with pytest.raises(BusinessRuleViolation, match="nothing to invoice"):
        revise_invoice(office.dataverse, invoice_id)
    with pytest.raises(BusinessRuleViolation, match="Only a confirmed invoice"):
        revise_invoice(office.dataverse, draft["invoiceid"])


def test_a_full_credit(office: Works) -> None:
    """The work can be invoiced again [E16]."""
    project = office.project()
    draft = revise_invoice(office.dataverse, invoiced(office, project))
    made = confirm_proforma(office.dataverse, draft["invoiceid"])
    assert figures(made) == [
        (BILLED, -8, -1600, UNADJUSTABLE, POSTED, False),
        (UNBILLED, 8, 1600, None, OPEN, False),
    ]
    before = original(office, project)
    assert before["msdyn_adjustmentstatus"] == ADJUSTED
    reversal, again = made
    assert (reversal["msdyn_invoice"], again["msdyn_invoice"]) == (draft["invoiceid"], None)
    assert office.connections() >= {
        (reversal["msdyn_actualid"], "Reversing", before["msdyn_actualid"], "Original"),
        (again["msdyn_actualid"], "Replacing", before["msdyn_actualid"], "Original"),
    }
    mark_ready_to_invoice(office.dataverse, [again["msdyn_actualid"]])
    assert create_proforma(office.dataverse, office.contract_of(project))["totalamount"] == 1600


def test_less_than_was_billed(office: Works) -> None:
    """The part that is kept is posted, the remainder open [E14]."""
    project = office.project()
    made = corrected(office, project, "6")
    assert figures(made) == [
        (BILLED, -8, -1600, UNADJUSTABLE, POSTED, False),
        (UNBILLED, 6, 1200, None, POSTED, False),
        (UNBILLED, -6, -1200, UNADJUSTABLE, POSTED, True),
        (BILLED, 6, 1200, None, POSTED, False),
        (UNBILLED, 2, 400, None, OPEN, False),
    ]
    before = original(office, project)
    ids = [row["msdyn_actualid"] for row in made]
    assert before["msdyn_adjustmentstatus"] == ADJUSTED
    assert office.connections() >= {
        (ids[0], "Reversing", before["msdyn_actualid"], "Original"),
        (ids[1], "Replacing", before["msdyn_actualid"], "Original"),
        (ids[2], "Reversing", ids[1], "Original"),
        (ids[3], "Billed", ids[1], "Unbilled"),
        (ids[4], "Replacing", before["msdyn_actualid"], "Original"),
    }
    assert {row["msdyn_documentdate"] for row in made} == {"2026-03-02"}


def test_more_than_was_billed(office: Works) -> None:
    """Rule [E15]."""
    project = office.project()
    assert figures(corrected(office, project, "10")) == [
        (BILLED, -8, -1600, UNADJUSTABLE, POSTED, False),
        (UNBILLED, 10, 2000, None, POSTED, False),
        (UNBILLED, -10, -2000, UNADJUSTABLE, POSTED, True),
        (BILLED, 10, 2000, None, POSTED, False),
    ]


def test_what_is_kept_as_it_was_makes_nothing(office: Works) -> None:
    """Nor what is taken off the draft [H13]."""
    project = office.project()
    draft = revise_invoice(office.dataverse, invoiced(office, project, 2))
    one, two = (row["msdyn_invoicelinetransactionid"] for row in line_details(office.dataverse, draft["invoiceid"]))
    edit_line(office.dataverse, one, msdyn_quantity=Decimal(8))
    remove_line(office.dataverse, two)
    assert office.one("invoice", invoiceid=draft["invoiceid"])["totalamount"] == 0
    assert confirm_proforma(office.dataverse, draft["invoiceid"]) == []
    assert {row["msdyn_adjustmentstatus"] for row in office.actuals(project, BILLED)} == {None}


def test_a_correction_is_corrected(office: Works) -> None:
    """First less [E14], then nothing [E16] of the six hours that were left of eight."""
    project = office.project()
    made = corrected(office, project, "6")
    again = revise_invoice(office.dataverse, made[0]["msdyn_invoice"])
    assert figures(confirm_proforma(office.dataverse, again["invoiceid"])) == [
        (BILLED, -6, -1200, UNADJUSTABLE, POSTED, False),
        (UNBILLED, 6, 1200, None, OPEN, False),
    ]
    billed = office.actuals(project, BILLED)
    assert sum(row["msdyn_amount"] for row in billed) == 0
    unbilled = [row for row in office.actuals(project, UNBILLED) if row["msdyn_billingstatus"] == OPEN]
    assert sum(row["msdyn_quantity"] for row in unbilled) == 8


def test_a_milestone_is_credited_in_full(office: Works) -> None:
    """It is ready to invoice again [E13]."""
    project = office.project(BillingMethod.FIXED_PRICE)
    invoice_id, milestone = milestone_invoiced(office, project)
    draft = revise_invoice(office.dataverse, invoice_id)
    (detail,) = line_details(office.dataverse, draft["invoiceid"])
    with pytest.raises(BusinessRuleViolation, match="msdyn_quantity"):
        edit_line(office.dataverse, detail["msdyn_invoicelinetransactionid"], msdyn_quantity=Decimal("0.5"))
    confirm_proforma(office.dataverse, draft["invoiceid"])
    assert figures(office.actuals(project)) == [
        (BILLED, 1, 4000, ADJUSTED, POSTED, False),
        (BILLED, -1, -4000, UNADJUSTABLE, POSTED, False),
    ]
    assert office.one(TABLE, **{f"{TABLE}id": milestone})["msdyn_invoicestatus"] == MilestoneStatus.READY
    again = create_proforma(office.dataverse, office.contract_of(project))
    confirm_proforma(office.dataverse, again["invoiceid"])
    assert len(office.actuals(project)) == 3


def test_retainers_are_not_revised(office: Works) -> None:
    _, billed = invoice_retainer(office.dataverse, office.line_of(office.project()), Decimal(500), "2026-03-02")
    with pytest.raises(BusinessRuleViolation, match="nothing to invoice"):
        revise_invoice(office.dataverse, billed["msdyn_invoice"])
