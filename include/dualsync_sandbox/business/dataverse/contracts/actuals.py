"""A contract that is confirmed, or that comes late, has the actuals of its projects made anew [E7, E8].

A quote that is won is played as [E8]: the contract arrives on a project that has been worked on. Actuals without an
entry (lines of entry journals, [E23]) and those on an invoice stay as they are (assumed).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from dualsync_sandbox.business.dataverse.actuals import TABLE, on_invoice, renew
from dualsync_sandbox.business.dataverse.choices import CONTRACT_CONFIRMED, PROJECT_SERVICE_LINE, BillingMethod
from dualsync_sandbox.business.dataverse.contracts.engagement import row_of
from dualsync_sandbox.business.dataverse.entries.work import TABLES
from dualsync_sandbox.business.dataverse.prices import Prices
from dualsync_sandbox.errors import BusinessRuleViolation

if TYPE_CHECKING:
    from dualsync_sandbox.store import Event, Row, Store, Tx

_ACTIVE = 192350002
_NOT_CONFIGURED = 2
_SERVICE_LINE = 690970000


def confirm_contract(dataverse: Store, contract_id: str) -> list[Row]:
    """Confirm a project contract; returns reversals and new actuals of its projects [E7].

    Raises:
        BusinessRuleViolation: The contract is confirmed already.
    """
    with dataverse.transaction() as tx:
        contract = row_of(tx, "salesorder", contract_id)
        if contract["msdyn_psastatusreason"] == CONTRACT_CONFIRMED:
            raise BusinessRuleViolation("salesorder", "The contract is confirmed already.")
        before = tx.count(TABLE)
        tx.update("salesorder", contract_id, {"msdyn_psastate": _ACTIVE, "msdyn_psastatusreason": CONTRACT_CONFIRMED})
        return _since(tx, before)


def tie_project_to_contract(
    dataverse: Store, project_id: str, contract_id: str, *, method: BillingMethod = BillingMethod.TIME_AND_MATERIAL
) -> list[Row]:
    """Give a project that has been worked on a line of a contract; returns reversals and new actuals [E8].

    Raises:
        BusinessRuleViolation: The project has a contract.
    """
    with dataverse.transaction() as tx:
        project, contract = row_of(tx, "msdyn_project", project_id), row_of(tx, "salesorder", contract_id)
        if project["msdyn_salesorderid"]:
            raise BusinessRuleViolation("msdyn_project", "The project has a contract already.")
        before = tx.count(TABLE)
        place = tx.count("salesorderdetail", salesorderid=contract_id) + 1
        tx.insert(
            "salesorderdetail",
            {
                "salesorderid": contract_id,
                "salesorderdetailname": f"Line {place}",
                "producttypecode": PROJECT_SERVICE_LINE,
                "propertyconfigurationstatus": _NOT_CONFIGURED,
                "msdyn_linetype": _SERVICE_LINE,
                "sequencenumber": place,
                "productdescription": project["msdyn_subject"],
                "msdyn_project": project_id,
                "msdyn_billingmethod": method,
                "msdyn_includetime": True,
                "msdyn_includeexpense": True,
                "msdyn_includematerial": True,
                "msdyn_includefee": True,
                "transactioncurrencyid": contract["transactioncurrencyid"],
                "msdyn_company": contract["msdyn_company"],
            },
        )
        return _since(tx, before)


def _since(tx: Tx, before: int) -> list[Row]:
    """Return the actuals made after there were ``before``; none is ever deleted [E21]."""
    rows = tx.find(TABLE)
    return rows[before:]


def _renew_project(tx: Tx, project_id: object, prices: Prices) -> None:
    entries: dict[object, list[Row]] = {}
    for row in tx.find(TABLE, msdyn_project=project_id):
        made_of_entry = row["msdyn_origin"] is not None and row["msdyn_transactionclassification"] in TABLES
        if row["msdyn_adjustmentstatus"] is None and made_of_entry:
            entries.setdefault(row["msdyn_origin"], []).append(row)
    for rows in entries.values():
        if not on_invoice(rows):
            renew(tx, prices, rows)


def _confirmed(tx: Tx, event: Event, prices: Prices) -> None:
    contract = event.after
    assert contract is not None
    if contract["msdyn_psastatusreason"] != CONTRACT_CONFIRMED or not event.changed("msdyn_psastatusreason"):
        return
    for project in tx.find("msdyn_project", msdyn_salesorderid=contract["salesorderid"]):
        _renew_project(tx, project["msdyn_projectid"], prices)


def _tied(tx: Tx, event: Event, prices: Prices) -> None:
    before, after = event.before, event.after
    assert before is not None
    assert after is not None
    if after["msdyn_salesorderid"] and not before["msdyn_salesorderid"]:
        _renew_project(tx, after["msdyn_projectid"], prices)


def install(dataverse: Store, prices: Prices) -> None:
    """Register both rules with Dataverse."""
    dataverse.on("salesorder", {"update"}, partial(_confirmed, prices=prices))
    dataverse.on("msdyn_project", {"update"}, partial(_tied, prices=prices))
