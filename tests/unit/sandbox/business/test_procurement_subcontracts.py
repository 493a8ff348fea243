"""Subcontracts in Dataverse: [J10, J11], and the work that is done on them; by rule."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from dualsync_sandbox.business.dataverse.entries.approvals import approve_material
from dualsync_sandbox.business.dataverse.procurement.subcontracts import (
    cancel_subcontract,
    close_subcontract,
    confirm_subcontract,
    reopen_subcontract,
)
from dualsync_sandbox.errors import BusinessRuleViolation
from dualsync_sandbox.store import Row, Store
from support.project_office import Works
from support.purchases import EXPENSE, MATERIAL, SUBCONTRACT, SUBCONTRACT_LINE, Purchases

Step = Callable[[Store, str], Row]

DRAFT, CONFIRMED, CLOSED, CANCELED = range(192350000, 192350004)


@pytest.fixture(scope="module")
def purchases(office: Works) -> Purchases:
    return Purchases(office)


def found(purchases: Purchases, subcontract: str) -> Row:
    return purchases.works.one(SUBCONTRACT, msdyn_subcontractid=subcontract)


def test_a_subcontract_adds_up(purchases: Purchases) -> None:
    """Its numbers are its own; lines take its company, and cost quantity times price."""
    subcontract = purchases.subcontract(purchases.works.project())
    line = purchases.ordered(subcontract)
    travel = purchases.ordered(subcontract, EXPENSE, "3", "120.50")
    rows = {row["msdyn_subcontractlineid"]: row for row in purchases.works.all(SUBCONTRACT_LINE)}
    assert (rows[line]["msdyn_subtotal"], rows[travel]["msdyn_subtotal"]) == (2600, Decimal("361.50"))
    assert rows[line]["msdyn_owningcompany"] == purchases.works.company()
    assert str(rows[line]["msdyn_subcontractlinenumber"]).startswith("SCL-")
    assert found(purchases, subcontract)["msdyn_subtotal"] == Decimal("2961.50")
    assert str(found(purchases, subcontract)["msdyn_subcontractnumber"]).startswith("SUB-")
    with purchases.works.dataverse.transaction() as tx:
        tx.delete(SUBCONTRACT_LINE, travel)
    assert found(purchases, subcontract)["msdyn_totalamount"] == 2600


def test_only_a_vendor_gets_a_subcontract(purchases: Purchases) -> None:
    works = purchases.works
    customer = works.one("account", customertypecode=3, msdyn_company=works.company(), accountnumber="C-000001")
    for account in (customer["accountid"], None):
        with pytest.raises(BusinessRuleViolation, match="an account that is a vendor"):
            purchases.subcontract(works.project(), msdyn_vendor=account)


@pytest.mark.parametrize(
    ("steps", "status"),
    [
        ([confirm_subcontract], CONFIRMED),
        ([confirm_subcontract, reopen_subcontract], DRAFT),
        ([confirm_subcontract, reopen_subcontract, confirm_subcontract], CONFIRMED),
        ([confirm_subcontract, close_subcontract], CLOSED),
        ([confirm_subcontract, cancel_subcontract], CANCELED),
    ],
)
def test_the_states_it_goes_through(purchases: Purchases, steps: list[Step], status: int) -> None:
    """Rule [J11]."""
    subcontract = purchases.subcontract(purchases.works.project())
    for step in steps:
        step(purchases.works.dataverse, subcontract)
    row = found(purchases, subcontract)
    assert (row["statuscode"], row["msdyn_dateconfirmed"]) == (status, "2026-03-02")


@pytest.mark.parametrize(
    ("before", "wrong"),
    [
        ([], close_subcontract),
        ([], cancel_subcontract),
        ([confirm_subcontract, close_subcontract], reopen_subcontract),
        ([confirm_subcontract, cancel_subcontract], confirm_subcontract),
        ([confirm_subcontract, close_subcontract], cancel_subcontract),
    ],
)
def test_other_steps_are_refused(purchases: Purchases, before: list[Step], wrong: Step) -> None:
    """Rule [J11]."""
    subcontract = purchases.subcontract(purchases.works.project())
    for step in before:
        step(purchases.works.dataverse, subcontract)
    with pytest.raises(BusinessRuleViolation, match="cannot get this status"):
        wrong(purchases.works.dataverse, subcontract)


def test_users_edit_drafts_only(purchases: Purchases) -> None:
    """What Finance gives back is written all the same [J11]."""
    works = purchases.works
    subcontract = purchases.subcontract(works.project())
    line = purchases.ordered(subcontract)
    with works.dataverse.transaction(outside=True) as tx:
        tx.update(SUBCONTRACT_LINE, line, {"msdyn_quantity": Decimal(30)})
        tx.update(SUBCONTRACT, subcontract, {"msdyn_name": "Rigging and more"})
    confirm_subcontract(works.dataverse, subcontract)
    with works.dataverse.transaction(outside=True) as tx:
        tx.update(SUBCONTRACT, subcontract, {"msdyn_purchaseordernumber": "PO-000001"})
    edits: list[Callable[[Any], object]] = [
        lambda tx: tx.update(SUBCONTRACT, subcontract, {"msdyn_name": "Rigging"}),
        lambda tx: tx.delete(SUBCONTRACT, subcontract),
        lambda tx: tx.update(SUBCONTRACT_LINE, line, {"msdyn_quantity": Decimal(20)}),
        lambda tx: tx.insert(SUBCONTRACT_LINE, {"msdyn_subcontract": subcontract, "msdyn_name": "More"}),
        lambda tx: tx.delete(SUBCONTRACT_LINE, line),
    ]
    for edit in edits:
        with (
            pytest.raises(BusinessRuleViolation, match="Only a subcontract in draft"),
            works.dataverse.transaction(outside=True) as tx,
        ):
            edit(tx)
    with works.dataverse.transaction(outside=True) as tx:
        tx.update(SUBCONTRACT, subcontract, {"statuscode": DRAFT})
        tx.delete(SUBCONTRACT, subcontract)
    assert works.all(SUBCONTRACT_LINE, msdyn_subcontractlineid=line) == []


def test_work_costs_what_the_subcontract_says(purchases: Purchases) -> None:
    """Hours and materials at the price of the line; they sell by the customer's list [J10]."""
    works = purchases.works
    project = works.project()
    hours = purchases.confirmed(project)
    cost, sale = purchases.worked(project, hours, "2")
    assert (cost["msdyn_price"], cost["msdyn_amount"], sale["msdyn_amount"]) == (65, 130, 400)
    pieces = purchases.confirmed(project, of=MATERIAL)
    entry = works.material(project)
    with works.dataverse.transaction() as tx:
        tx.update("msdyn_materialusagelog", entry, {"msdyn_subcontractline": pieces})
    cost, sale = approve_material(works.dataverse, entry)
    assert (cost["msdyn_price"], sale["msdyn_price"]) == (65, 120)
    assert {row["msdyn_subcontractline"] for row in (cost, sale)} == {pieces}


def test_an_expense_names_its_subcontract_line(purchases: Purchases) -> None:
    """Its amount is its own [J10]."""
    works = purchases.works
    project = works.project()
    line = purchases.confirmed(project, of=EXPENSE)
    works.expense(project, "99", msdyn_subcontractline=line, msdyn_externalexpensenumber="E-900")
    cost, _ = works.actuals(project)
    assert (cost["msdyn_amount"], cost["msdyn_subcontractline"]) == (99, line)


@pytest.mark.parametrize("end", [close_subcontract, cancel_subcontract])
def test_nothing_is_done_on_what_has_ended(purchases: Purchases, end: Step) -> None:
    """A draft may be worked on [J11]."""
    works = purchases.works
    project = works.project()
    subcontract = purchases.subcontract(project)
    line = purchases.ordered(subcontract)
    assert purchases.worked(project, line)
    confirm_subcontract(works.dataverse, subcontract)
    end(works.dataverse, subcontract)
    with pytest.raises(BusinessRuleViolation, match="closed or canceled"):
        purchases.worked(project, line)
