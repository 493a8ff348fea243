"""Events of journals: corrections, and hours that nobody entered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualsync_sandbox.business.dataverse.choices import BillingType, TransactionClass, TransactionType
from dualsync_sandbox.business.dataverse.contracts.engagement import row_of
from dualsync_sandbox.business.dataverse.journals import post_correction_journal, post_entry_journal
from dualsync_sandbox.play.scene import Event, Facts, Scene, Site, made

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row, Tx


def correct(scene: Scene, code: str, project: str | None) -> Facts:
    """An approved entry turns out to have been in another role [E21]."""
    site = scene.site(code, project) if project else None
    times = [
        entry
        for kind, entry in scene.approved_entries(code, site.id if site else None)
        if kind == TransactionClass.TIME
    ]
    entry, role = scene.one_of(times, f"approved time in {code}"), scene.role()
    with scene.dataverse.reading() as tx:
        rows = [row for row in tx.find("msdyn_actual", msdyn_origin=entry) if row["msdyn_adjustmentstatus"] is None]
    change = {"role": role["bookableresourcecategoryid"]}
    if rows[0]["msdyn_resourcecategory"] == change["role"]:
        change = {"category": scene.category("Consulting", "Training")["msdyn_transactioncategoryid"]}
    actual = str(rows[0]["msdyn_actualid"])
    return made(post_correction_journal(scene.dataverse, actual, change, parameters=scene.parameters), entry=entry)


def entry_journal(scene: Scene, code: str, project: str | None) -> Facts:
    """Hours that nobody entered are booked by journal, with their sale where the contract bills time [E23]."""
    site = scene.site(code, project)
    hours, role = scene.hours(), scene.role()
    task = scene.one_of(site.leaves, f"task in {site.number}")
    common: Row = {
        "msdyn_transactionclassification": TransactionClass.TIME,
        "msdyn_description": "Booked by journal",
        "msdyn_documentdate": scene.today,
        "msdyn_project": site.id,
        "msdyn_task": task["msdyn_projecttaskid"],
        "msdyn_resourcecategory": role["bookableresourcecategoryid"],
        "msdyn_transactioncategory": role["msdyn_transactioncategory"],
        "msdyn_quantity": hours,
    }
    with scene.dataverse.reading() as tx:
        hour = tx.find_one("uom", msdyn_symbol="hr")
        cost = scene.parameters.prices.hour_cost(tx, scene.company(code), role)
        common["msdyn_unit"] = hour["uomid"] if hour else None
        lines = [{**common, "msdyn_transactiontypecode": TransactionType.COST, "msdyn_price": cost}]
        if site.billable:
            lines.append(_journal_sale(scene, tx, site, common, role))
    return made(post_entry_journal(scene.dataverse, lines, f"Journal of {scene.today}"), project=site.number)


def _journal_sale(scene: Scene, tx: Tx, site: Site, common: Row, role: Row) -> Row:
    contract = row_of(tx, "salesorder", site.project["msdyn_salesorderid"])
    currency = row_of(tx, "transactioncurrency", contract["transactioncurrencyid"])
    rule = tx.find_one("msdyn_projectcontractsplitbillingrule", msdyn_contract=contract["salesorderid"])
    return {
        **common,
        "msdyn_transactiontypecode": TransactionType.UNBILLED_SALES,
        "msdyn_billingtype": BillingType.CHARGEABLE,
        "msdyn_price": scene.parameters.prices.hour_sale(tx, currency, role),
        "msdyn_contractcustomer": rule["msdyn_projectcontractsplitbillingruleid"] if rule else None,
    }


JOURNALS: dict[str, Event] = {"correction-journal": correct, "entry-journal": entry_journal}
