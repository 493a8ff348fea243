"""Journals, retainers and what may be done to actuals: [E17, E19 to E24, E-T]."""

from decimal import Decimal
from typing import Any

import pytest

from dualsync_sandbox.business import Parameters
from dualsync_sandbox.business.dataverse.choices import (
    AdjustmentStatus,
    BillingMethod,
    BillingStatus,
    TransactionClass,
    TransactionType,
)
from dualsync_sandbox.business.dataverse.entries.approvals import approve_time, cancel_approval
from dualsync_sandbox.business.dataverse.invoicing.billing import invoiceable, mark_ready_to_invoice
from dualsync_sandbox.business.dataverse.invoicing.retainers import consume_retainer, invoice_retainer
from dualsync_sandbox.business.dataverse.journals import (
    ALLOWED,
    check_line,
    confirm_correction_journal,
    draft_correction_journal,
    post_correction_journal,
    post_entry_journal,
)
from dualsync_sandbox.errors import BusinessRuleViolation
from support.project_office import Works

COST, UNBILLED, BILLED = TransactionType.COST, TransactionType.UNBILLED_SALES, TransactionType.BILLED_SALES
TIME, FEE, RETAINER = TransactionClass.TIME, TransactionClass.FEE, TransactionClass.RETAINER


def entry_line(project: str, **values: object) -> dict[str, Any]:
    return {
        "msdyn_transactiontypecode": COST,
        "msdyn_transactionclassification": TIME,
        "msdyn_project": project,
        "msdyn_quantity": Decimal(3),
        "msdyn_price": Decimal(100),
        **values,
    }


# -- entry journals


def test_an_entry_journal_becomes_actuals(works: Works) -> None:
    """One actual per line, without origins and connections [E23]."""
    project = works.project()
    lines = [
        entry_line(project, msdyn_documentdate="2026-02-27"),
        entry_line(project, msdyn_transactiontypecode=UNBILLED, msdyn_transactionclassification=FEE),
    ]
    cost, fee = post_entry_journal(works.dataverse, lines, "Late costs")
    assert (cost["msdyn_amount"], cost["msdyn_documentdate"]) == (300, "2026-02-27")
    assert (fee["msdyn_amount"], fee["msdyn_documentdate"]) == (300, "2026-03-02")
    assert [row["msdyn_origin"] for row in (cost, fee)] == [None, None]
    assert works.connections() == set()
    assert works.code(cost["msdyn_owningcompany"]) == "USPM"
    assert fee["msdyn_salescontractlineid"] == works.line_of(project)
    (journal,) = works.all("msdyn_journal")
    assert (journal["msdyn_isposted"], journal["msdyn_name"]) == (True, "Late costs")
    assert len(works.all("msdyn_journalline", msdyn_journal=journal["msdyn_journalid"])) == 2


def test_a_sale_without_a_customer_is_never_invoiced(works: Works) -> None:
    """Rule [E24]."""
    project = works.project()
    (rule,) = works.share_the_bill(project, "100")
    sale = entry_line(project, msdyn_transactiontypecode=UNBILLED)
    without, with_one = post_entry_journal(works.dataverse, [sale, {**sale, "msdyn_contractcustomer": rule}])
    assert (invoiceable(without), invoiceable(with_one)) == (False, True)
    with pytest.raises(BusinessRuleViolation, match="cannot be invoiced"):
        mark_ready_to_invoice(works.dataverse, [with_one["msdyn_actualid"], without["msdyn_actualid"]])
    assert with_one["msdyn_accountcustomer"] is not None


@pytest.mark.parametrize("method", [BillingMethod.FIXED_PRICE, BillingMethod.TIME_AND_MATERIAL])
def test_type_and_class_of_a_line(method: BillingMethod) -> None:
    """Every cell of the table [E-T]."""
    expected = {
        (BillingMethod.FIXED_PRICE, COST): "TIME EXPENSE MATERIAL",
        (BillingMethod.FIXED_PRICE, UNBILLED): "RETAINER",
        (BillingMethod.FIXED_PRICE, BILLED): "RETAINER MILESTONE",
        (BillingMethod.TIME_AND_MATERIAL, COST): "TIME EXPENSE MATERIAL",
        (BillingMethod.TIME_AND_MATERIAL, UNBILLED): "TIME EXPENSE MATERIAL FEE RETAINER",
        (BillingMethod.TIME_AND_MATERIAL, BILLED): "TIME EXPENSE MATERIAL FEE RETAINER",
        (method, TransactionType.INTER_ORGANIZATIONAL_SALES): "TIME EXPENSE",
        (method, TransactionType.RESOURCING_UNIT_COST): "TIME EXPENSE",
        (method, TransactionType.PROJECT_CONTRACT): "",
    }
    assert set(ALLOWED) == {None, *BillingMethod}
    for kind in TransactionType:
        for classification in TransactionClass:
            if classification.name in expected[method, kind].split():
                check_line(kind, classification, method)
            else:
                with pytest.raises(BusinessRuleViolation, match=classification.name):
                    check_line(kind, classification, method)


def test_a_journal_with_a_wrong_line_is_not_posted(works: Works) -> None:
    """All or nothing [E-T]."""
    project = works.project(BillingMethod.FIXED_PRICE)
    lines = [entry_line(project), entry_line(project, msdyn_transactiontypecode=UNBILLED)]
    with pytest.raises(BusinessRuleViolation, match="UNBILLED_SALES"):
        post_entry_journal(works.dataverse, lines)
    assert works.actuals(project) == []
    assert works.all("msdyn_journal") == []


# -- correction journals


def test_a_correction_moves_work_to_another_project(works: Works) -> None:
    """Reversed where it was, made anew where it belongs, at the prices there [E21]."""
    wrong, right = works.project(), works.project(currency="GBP")
    cost, unbilled = approve_time(works.dataverse, works.time(wrong), billable=Decimal(6))[:2]
    changes = {"project": right, "task": works.leaf(right), "role": works.role("Engineer")}
    rows = post_correction_journal(works.dataverse, unbilled["msdyn_actualid"], changes)
    assert sum(row["msdyn_amount"] for row in works.actuals(wrong)) == 0
    new = works.actuals(right)
    assert [(row["msdyn_amount"], works.iso(row["transactioncurrencyid"])) for row in new] == [
        (880, "USD"),
        (852, "GBP"),
        (284, "GBP"),
    ]
    assert len(rows) == 6
    assert (new[0]["msdyn_actualid"], "Replacing", cost["msdyn_actualid"], "Original") in works.connections()


def test_a_corrected_actual_is_in_process_meanwhile(works: Works) -> None:
    """The four adjustment statuses [E19]."""
    project = works.project()
    cost, unbilled = approve_time(works.dataverse, works.time(project))
    assert cost["msdyn_adjustmentstatus"] is None
    journal = draft_correction_journal(works.dataverse, cost["msdyn_actualid"], {"day": "2026-02-27"})
    rows = works.actuals(project)
    assert [row["msdyn_adjustmentstatus"] for row in rows] == [AdjustmentStatus.IN_PROCESS] * 2
    with pytest.raises(BusinessRuleViolation, match="being adjusted"):
        draft_correction_journal(works.dataverse, unbilled["msdyn_actualid"], {"day": "2026-02-26"})
    confirm_correction_journal(works.dataverse, journal)
    statuses = [row["msdyn_adjustmentstatus"] for row in works.actuals(project)]
    assert statuses == [192350001, 192350001, 192350002, 192350002, None, None]
    assert {row["msdyn_documentdate"] for row in works.actuals(project)[4:]} == {"2026-02-27"}
    with pytest.raises(BusinessRuleViolation, match="posted"):
        confirm_correction_journal(works.dataverse, journal)


def test_a_correction_changes_nothing_else(works: Works) -> None:
    """Not the amount [E21]."""
    cost, _ = approve_time(works.dataverse, works.time(works.project()))
    with pytest.raises(BusinessRuleViolation, match="amount"):
        draft_correction_journal(works.dataverse, cost["msdyn_actualid"], {"amount": Decimal(1)})


def test_correcting_a_line_of_an_entry_journal(works: Works) -> None:
    """One page denies it, a later one allows it; both can be had [E23]."""
    project = works.project()
    (cost,) = post_entry_journal(works.dataverse, [entry_line(project)])
    change = {"category": works.category("Training")}
    with pytest.raises(BusinessRuleViolation, match="entry journals"):
        post_correction_journal(
            works.dataverse, cost["msdyn_actualid"], change, parameters=Parameters(entry_journal_corrections=False)
        )
    reversal, new = post_correction_journal(works.dataverse, cost["msdyn_actualid"], change)
    assert (reversal["msdyn_amount"], new["msdyn_amount"]) == (-300, 300)
    assert new["msdyn_transactioncategory"] == change["category"]
    assert new["msdyn_adjustmentstatus"] is None


# -- billing status


def test_what_can_be_made_ready_to_invoice(works: Works) -> None:
    """Rules [E19, E20]."""
    project = works.project()
    entry = works.time(project)
    cost, unbilled = approve_time(works.dataverse, entry)
    (ready,) = mark_ready_to_invoice(works.dataverse, [unbilled["msdyn_actualid"]])
    assert ready["msdyn_billingstatus"] == BillingStatus.READY_TO_INVOICE
    cancel_approval(works.dataverse, TIME, entry)
    for row in works.actuals(project):
        assert not invoiceable(row)
    with pytest.raises(BusinessRuleViolation, match="cannot be invoiced"):
        mark_ready_to_invoice(works.dataverse, [cost["msdyn_actualid"]])


# -- retainers


def retainers(works: Works, project: str) -> list[tuple[object, ...]]:
    rows = works.actuals(project)
    assert {row["msdyn_transactionclassification"] for row in rows} == {RETAINER}
    return [(row["msdyn_transactiontypecode"], row["msdyn_amount"], row["msdyn_adjustmentstatus"]) for row in rows]


def test_a_retainer_is_invoiced_and_used(works: Works) -> None:
    """Rule [E17]."""
    project = works.project()
    unbilled, billed = invoice_retainer(works.dataverse, works.line_of(project), Decimal(5000), "2026-03-02")
    assert retainers(works, project) == [(UNBILLED, -5000, None), (BILLED, 5000, None)]
    assert billed["msdyn_billingstatus"] == BillingStatus.CUSTOMER_INVOICE_POSTED
    reversal, rest, used = consume_retainer(works.dataverse, unbilled["msdyn_actualid"], Decimal(1800), "2026-03-31")
    assert [row["msdyn_amount"] for row in (reversal, rest, used)] == [5000, -3200, -1800]
    reversal, used = consume_retainer(works.dataverse, rest["msdyn_actualid"], Decimal(3200), "2026-04-30")
    assert retainers(works, project) == [
        (UNBILLED, -5000, 192350001),
        (BILLED, 5000, None),
        (UNBILLED, 5000, 192350002),
        (UNBILLED, -3200, 192350001),
        (BILLED, -1800, None),
        (UNBILLED, 3200, 192350002),
        (BILLED, -3200, None),
    ]
    assert (billed["msdyn_actualid"], "Billed", unbilled["msdyn_actualid"], "Unbilled") in works.connections()
    assert (rest["msdyn_actualid"], "Replacing", unbilled["msdyn_actualid"], "Original") in works.connections()


def test_no_more_of_a_retainer_than_is_left(works: Works) -> None:
    """Rule [E17]."""
    unbilled, _ = invoice_retainer(works.dataverse, works.line_of(works.project()), Decimal(100), "2026-03-02")
    for amount in (Decimal(101), Decimal(0)):
        with pytest.raises(BusinessRuleViolation, match="not left"):
            consume_retainer(works.dataverse, unbilled["msdyn_actualid"], amount, "2026-03-03")


# -- who may touch an actual


def test_actuals_are_never_deleted(works: Works) -> None:
    """Rule [E21]."""
    cost, _ = approve_time(works.dataverse, works.time(works.project()))
    with pytest.raises(BusinessRuleViolation, match="can't be deleted"), works.dataverse.transaction() as tx:
        tx.delete("msdyn_actual", cost["msdyn_actualid"])


def test_columns_of_dual_write_are_protected_by_a_switch(works: Works) -> None:
    """The switch, and the integration user who is exempt [E22]; descriptions stay free [E21]."""
    cost, _ = approve_time(works.dataverse, works.time(works.project()))

    def change(**values: object) -> None:
        with works.dataverse.transaction(outside=True) as tx:
            tx.update("msdyn_actual", cost["msdyn_actualid"], values)

    change(msdyn_vouchernumber="V-1", msdyn_quantity=Decimal(9))
    works.switches.set(protect_actuals=True)
    change(msdyn_description="Corrected words", msdyn_vouchernumber="V-1")
    with pytest.raises(BusinessRuleViolation, match="Only dual-write can change msdyn_vouchernumber"):
        change(msdyn_vouchernumber="V-2")
    works.switches.set(integration_user=True)
    change(msdyn_vouchernumber="V-2", msdyn_accountingamount=Decimal(960))
    with pytest.raises(BusinessRuleViolation, match="msdyn_quantity"):
        change(msdyn_quantity=Decimal(10))


def test_creation_by_others_is_refused_by_the_switch(works: Works) -> None:
    """But what follows from a row the integration writes is the product's own doing [E22]."""
    project = works.project()
    works.switches.set(protect_actuals=True)
    row = {"msdyn_transactiontypecode": COST, "msdyn_project": project, "msdyn_owningcompany": works.company()}
    with (
        pytest.raises(BusinessRuleViolation, match="doesn't support creating actuals"),
        works.dataverse.transaction(outside=True) as tx,
    ):
        tx.insert("msdyn_actual", row)
    with works.dataverse.transaction(outside=True):
        works.expense(project, msdyn_externalexpensenumber="E-1")
    assert len(works.actuals(project)) == 2


@pytest.mark.parametrize("wrong", [{"unknown": True}, {"protect_actuals": "yes"}])
def test_switches_are_named_and_true_or_false(works: Works, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"none of|true or false"):
        works.switches.set(**wrong)
