"""Staged actuals: what Finance checks when they are written [A2, G10], prevalidation [G3], locked journals [G12, G17].

Assumed: prevalidation compares quantity and amount; a row that changes afterwards has to be checked again; a posted
line cannot be deleted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualsync_sandbox.business.finance.ledger.exchange import NO_DATE, exact
from dualsync_sandbox.business.finance.setup.settings import PARAMETERS, day_of
from dualsync_sandbox.errors import BusinessRuleViolation

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualsync_sandbox.store import Event, Row, Store, Tx

STAGING, VALIDATIONS = "ProjActualsImports", "ActualsValidations"
LINES, BALANCES = "IntegrationJournalLines", "BeginningBalanceLines"
IMPORTED = ("Cost", "Sales", "InterOrgSales", "ResourcingUnitCost")
"""Types that become journal lines; billed sales wait for their invoice proposal."""

LABELS = {
    "NotSpecified": "Not specified",
    "Chargeable": "Chargeable",
    "NonChargeable": "Non-chargeable",
    "Complimentary": "Complimentary",
    "NotAvailable": "Not available",
}
"""Billing types as Finance shows them."""

_UNPOSTED = frozenset({"Draft", "Error", "InvalidActuals"})


def _complete(_: Tx, event: Event) -> None:
    """A row that does not say whose project it is for means the company's own (assumed)."""
    row = event.after
    assert row is not None
    if not row["ProjectDataAreaId"]:
        row["ProjectDataAreaId"] = str(row["dataAreaId"]).lower()


def _check_line_property(tx: Tx, event: Event) -> None:
    """Each billing type needs a line property in the company [A2]."""
    row = event.after
    assert row is not None
    billing_type = str(row["BillingType"] or "NotSpecified")
    if not event.changed("BillingType") or billing_type not in LABELS:
        return
    if tx.find_one("LineProperties", dataAreaId=str(row["dataAreaId"]).lower(), BillingType=billing_type) is None:
        raise BusinessRuleViolation(
            STAGING,
            f"Line property {LABELS[billing_type]} doesn't exist; "
            "Warning: validateWrite failed on data source 'ProjCDSActualsImport'.",
        )


def _check_again(tx: Tx, event: Event) -> None:
    row = event.after
    assert row is not None
    if event.changed("ActualId", "Quantity", "Amount", "TransactionType"):
        key = {"dataAreaId": row["dataAreaId"], "ActualsImportId": row["ActualsImportId"]}
        for checked in tx.find(VALIDATIONS, **key):
            tx.delete(VALIDATIONS, checked["RecId"])


def _keep_posted_line(_: Tx, event: Event) -> None:
    assert event.before is not None
    if event.before["LineStatus"] == "Posted":
        raise BusinessRuleViolation(event.table, "The line is posted and cannot be deleted.")


def _keep_cut_off(tx: Tx, event: Event) -> None:
    """The cut-off is locked after the first posting [G17]."""
    assert event.after is not None
    assert event.before is not None
    if day_of(event.before["BeginningBalanceCutOff"]) == day_of(event.after["BeginningBalanceCutOff"]):
        return
    if tx.find_one(BALANCES, dataAreaId=event.before["dataAreaId"], LineStatus="Posted") is not None:
        raise BusinessRuleViolation(
            PARAMETERS, "The cut-off date cannot be changed because beginning balances are posted."
        )


def install(finance: Store) -> None:
    """Register the rules with Finance."""
    finance.on(STAGING, {"create", "update"}, _complete, when="before")
    finance.on(STAGING, {"create", "update"}, _check_line_property, when="before")
    finance.on(STAGING, {"update"}, _check_again)
    finance.on(LINES, {"delete"}, _keep_posted_line, when="before")
    finance.on(BALANCES, {"delete"}, _keep_posted_line, when="before")
    finance.on(PARAMETERS, {"update"}, _keep_cut_off, when="before")


def _verdict(staged: Row, actual: Row | None) -> str:
    """Why a staged row is not what Dataverse has; empty where it is."""
    if actual is None:
        return f"Actual {staged['ActualId']} doesn't exist in Dataverse."
    for column, theirs in (("Quantity", "msdyn_quantity"), ("Amount", "msdyn_amount")):
        if exact(staged[column]) != exact(actual.get(theirs)):
            return f"{column} of actual {staged['ActualId']} differs from Dataverse."
    return ""


def prevalidate(tx: Tx, area: str, actual: Callable[[str], Row | None]) -> tuple[int, int]:
    """Check every unposted staged row that is not valid yet against Dataverse [G3].

    Returns:
        How many rows were found valid and invalid.
    """
    counts = [0, 0]
    for staged in tx.find(STAGING, dataAreaId=area, IsJournalized="No"):
        key = {"dataAreaId": area, "ActualsImportId": staged["ActualsImportId"]}
        validation = tx.find_one(VALIDATIONS, **key)
        if validation is not None and validation["Status"] == "Valid":
            continue
        why = _verdict(staged, actual(str(staged["ActualId"])))
        counts[bool(why)] += 1
        facts = {"Status": "Invalid" if why else "Valid", "Message": why, "CheckedDateTime": tx.store.clock.stamp()}
        if validation is None:
            tx.insert(VALIDATIONS, key | facts)
        else:
            tx.update(VALIDATIONS, validation["RecId"], facts)
        _mark_line(tx, key, why)
    return counts[0], counts[1]


def _mark_line(tx: Tx, key: Row, why: str) -> None:
    """An unposted line whose actual turned out invalid says so, and is a draft again once it is valid [G13]."""
    line = tx.find_one(LINES, **key)
    if line is None:
        return
    if why and line["LineStatus"] in _UNPOSTED:
        tx.update(LINES, line["RecId"], {"LineStatus": "InvalidActuals", "Message": why})
    elif not why and line["LineStatus"] == "InvalidActuals":
        tx.update(LINES, line["RecId"], {"LineStatus": "Draft", "Message": ""})


def no_date(value: object) -> bool:
    """Whether a Finance date is the one that stands for none."""
    return day_of(value) == NO_DATE
