"""Subcontracts in Dataverse: what is ordered from a vendor, and the states it goes through [J10, J11].

Assumed: a subcontract names a vendor, as an account; confirming dates it today; the amount of a line is quantity times
price, that of the subcontract the sum of its lines.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from dualsync_sandbox.business.dataverse.choices import SubcontractStatus
from dualsync_sandbox.business.dataverse.contracts.engagement import row_of
from dualsync_sandbox.business.dataverse.prices import rounded
from dualsync_sandbox.business.dataverse.procurement.vendor_accounts import VENDOR
from dualsync_sandbox.business.finance.ledger.exchange import exact
from dualsync_sandbox.errors import BusinessRuleViolation

if TYPE_CHECKING:
    from dualsync_sandbox.store import Event, Row, Store, Tx

TABLE, LINES = "msdyn_subcontract", "msdyn_subcontractline"

_S = SubcontractStatus
_STEPS = frozenset(
    {(_S.DRAFT, _S.CONFIRMED), (_S.CONFIRMED, _S.CLOSED), (_S.CONFIRMED, _S.CANCELED), (_S.CONFIRMED, _S.DRAFT)}
)
_FREE = frozenset({"statuscode", "msdyn_purchaseordernumber", "msdyn_dateconfirmed"})
"""What changes of a subcontract that is no draft: its state, and what Finance gives back."""
_STAMPS = frozenset({"createdon", "modifiedon", "createdby", "modifiedby", "versionnumber"})
_READ_ONLY = "Only a subcontract in draft can be edited or deleted."


def confirm_subcontract(dataverse: Store, subcontract_id: str) -> Row:
    """Confirm a subcontract; returns it [J11].

    Raises:
        BusinessRuleViolation: It is no draft.
    """
    return _set(dataverse, subcontract_id, _S.CONFIRMED)


def reopen_subcontract(dataverse: Store, subcontract_id: str) -> Row:
    """Make a confirmed subcontract a draft again; returns it [J11].

    Raises:
        BusinessRuleViolation: It is not confirmed.
    """
    return _set(dataverse, subcontract_id, _S.DRAFT)


def close_subcontract(dataverse: Store, subcontract_id: str) -> Row:
    """Close a confirmed subcontract, on which nothing is done any more; returns it [J11].

    Raises:
        BusinessRuleViolation: It is not confirmed.
    """
    return _set(dataverse, subcontract_id, _S.CLOSED)


def cancel_subcontract(dataverse: Store, subcontract_id: str) -> Row:
    """Cancel a confirmed subcontract; returns it [J11].

    Raises:
        BusinessRuleViolation: It is not confirmed.
    """
    return _set(dataverse, subcontract_id, _S.CANCELED)


def _set(dataverse: Store, subcontract_id: str, status: SubcontractStatus) -> Row:
    with dataverse.transaction() as tx:
        return tx.update(TABLE, subcontract_id, {"statuscode": status})


def _check_vendor(tx: Tx, event: Event) -> None:
    subcontract = event.after
    assert subcontract is not None
    vendor = tx.get("account", subcontract["msdyn_vendor"]) if subcontract["msdyn_vendor"] else None
    if event.changed("msdyn_vendor") and (vendor is None or vendor["customertypecode"] != VENDOR):
        raise BusinessRuleViolation(TABLE, "A subcontract needs an account that is a vendor.")


def _check_step(tx: Tx, event: Event) -> None:
    before, after = event.before, event.after
    assert after is not None
    was = _S.DRAFT if before is None else before["statuscode"]
    if after["statuscode"] == was:
        return
    if (was, after["statuscode"]) not in _STEPS:
        raise BusinessRuleViolation(TABLE, "The subcontract cannot get this status.")
    if after["statuscode"] == _S.CONFIRMED and after["msdyn_dateconfirmed"] is None:
        after["msdyn_dateconfirmed"] = tx.store.clock.stamp()[:10]


def _keep(tx: Tx, event: Event) -> None:
    """Callers from outside edit and delete drafts only [J11]."""
    before, after = event.before, event.after
    assert before is not None
    if not tx.from_outside or before["statuscode"] == _S.DRAFT:
        return
    changed = {name for name, value in (after or {}).items() if value != before.get(name)} - _STAMPS
    if after is None or changed - _FREE:
        raise BusinessRuleViolation(TABLE, _READ_ONLY)


def _keep_lines(tx: Tx, event: Event) -> None:
    """And so with their lines; a line cannot come to a confirmed subcontract either [J11]."""
    line = event.after or event.before
    assert line is not None
    if not tx.from_outside or not line["msdyn_subcontract"]:
        return
    if row_of(tx, TABLE, line["msdyn_subcontract"])["statuscode"] != _S.DRAFT:
        raise BusinessRuleViolation(LINES, _READ_ONLY)


def _price(tx: Tx, event: Event) -> None:
    """A line takes the company and currency of its subcontract, and costs quantity times price."""
    line = event.after
    assert line is not None
    subcontract = tx.get(TABLE, line["msdyn_subcontract"]) if line["msdyn_subcontract"] else None
    if subcontract is None:
        raise BusinessRuleViolation(LINES, "A subcontract line needs its subcontract.")
    for column in ("msdyn_owningcompany", "transactioncurrencyid"):
        line[column] = line[column] or subcontract[column]
    if line["transactioncurrencyid"]:
        currency = row_of(tx, "transactioncurrency", line["transactioncurrencyid"])
        amount = rounded(exact(line["msdyn_quantity"]) * exact(line["msdyn_price"]), currency)
        line |= {"msdyn_subtotal": amount, "msdyn_totalamount": amount + exact(line["msdyn_salestax"])}


def _sum_up(tx: Tx, event: Event) -> None:
    line = event.after or event.before
    assert line is not None
    subcontract = tx.get(TABLE, line["msdyn_subcontract"])
    if subcontract is None:
        return
    lines = tx.find(LINES, msdyn_subcontract=subcontract[f"{TABLE}id"])
    total = sum((exact(row["msdyn_subtotal"]) for row in lines), Decimal(0))
    if subcontract["msdyn_subtotal"] != total:
        sums = {"msdyn_subtotal": total, "msdyn_totalamount": total + exact(subcontract["msdyn_totaltax"])}
        tx.update(TABLE, subcontract[f"{TABLE}id"], sums)


def install(dataverse: Store) -> None:
    """Register the rules with Dataverse."""
    dataverse.on(TABLE, {"create", "update"}, _check_vendor, when="before")
    dataverse.on(TABLE, {"create", "update"}, _check_step, when="before")
    dataverse.on(TABLE, {"update", "delete"}, _keep, when="before")
    dataverse.on(LINES, {"create", "update", "delete"}, _keep_lines, when="before")
    dataverse.on(LINES, {"create", "update"}, _price, when="before")
    dataverse.on(LINES, {"create", "update", "delete"}, _sum_up)
