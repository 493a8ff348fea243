"""Events of entries: time, materials and expenses are entered, handed in, approved, and taken back."""

from __future__ import annotations

from decimal import Decimal

from dualsync_sandbox.business.dataverse.choices import EntryStatus, TransactionClass
from dualsync_sandbox.business.dataverse.entries.approvals import (
    approve_expense,
    approve_material,
    approve_time,
    approve_waiting_expenses,
    cancel_approval,
    submit,
)
from dualsync_sandbox.business.dataverse.entries.work import MATERIAL, TIME
from dualsync_sandbox.play.scene import Event, Facts, Scene, Site, made

_NOTES = ("On site", "Workshop with the customer", "Desk work", "Call and follow-up", "Preparation")


def _enter_time(scene: Scene, code: str, site: Site, lender: str) -> tuple[str, Decimal]:
    worker, role, hours = scene.worker(lender), scene.role(), scene.hours()
    task = scene.one_of(site.leaves, f"task in {site.number}")
    with scene.dataverse.transaction() as tx:
        entry = tx.insert(
            TIME,
            {
                f"{TIME}id": scene.new_id(tx, TIME),
                "msdyn_description": scene.rng.choice(_NOTES),
                "msdyn_date": scene.today,
                "msdyn_duration": int(hours * 60),
                "msdyn_type": 192350000,
                "msdyn_entrystatus": EntryStatus.DRAFT,
                "msdyn_bookableresource": worker["bookableresourceid"],
                "msdyn_resourcecategory": role["bookableresourcecategoryid"],
                "msdyn_resourceorganizationalunitid": worker["msdyn_organizationalunit"],
                "msdyn_project": site.id,
                "msdyn_projecttask": task["msdyn_projecttaskid"],
                "msdyn_owningcompany": scene.company(code)["cdm_companyid"],
            },
        )
    entry_id = str(entry[f"{TIME}id"])
    submit(scene.dataverse, TransactionClass.TIME, entry_id)
    return entry_id, hours


def submit_time(scene: Scene, code: str, project: str | None) -> Facts:
    """Hours are entered and handed in [E1]."""
    site = scene.site(code, project)
    entry, hours = _enter_time(scene, code, site, code)
    return {"entry": entry, "project": site.number, "hours": hours}


def _time(scene: Scene, code: str, site: Site, lender: str, charge: Decimal | None) -> Facts:
    entry, hours = _enter_time(scene, code, site, lender)
    billable = None if charge is None else (hours * charge * 4).quantize(Decimal(1)) / 4
    rows = approve_time(scene.dataverse, entry, billable=billable, prices=scene.parameters.prices)
    return made(rows, entry=entry, project=site.number, hours=hours, billable=hours if billable is None else billable)


def approve_new_time(scene: Scene, code: str, project: str | None) -> Facts:
    """Hours are entered and approved as they are [E2, E5]."""
    return _time(scene, code, scene.site(code, project), code, None)


def approve_time_reduced(scene: Scene, code: str, project: str | None) -> Facts:
    """Hours of which only a part is charged [E3]."""
    return _time(scene, code, scene.site(code, project, billable=True), code, Decimal("0.5"))


def approve_time_increased(scene: Scene, code: str, project: str | None) -> Facts:
    """Hours of which more is charged [E4]."""
    return _time(scene, code, scene.site(code, project, billable=True), code, Decimal("1.5"))


def intercompany_time(scene: Scene, code: str, project: str | None) -> Facts:
    """Hours of somebody from another company [K1]."""
    lender = scene.one_of(
        [other for other in scene.parameters.integrated_companies if other != code], "lending company"
    )
    return _time(scene, code, scene.site(code, project), lender, None) | {"lender": lender}


def approve_new_material(scene: Scene, code: str, project: str | None) -> Facts:
    """Pieces of material are used and approved [E2]."""
    site, product, pieces = scene.site(code, project), scene.product(), Decimal(scene.rng.randrange(1, 20))
    category = scene.category("Materials")
    task = scene.one_of(site.leaves, f"task in {site.number}")
    with scene.dataverse.transaction() as tx:
        entry = tx.insert(
            MATERIAL,
            {
                f"{MATERIAL}id": scene.new_id(tx, MATERIAL),
                "msdyn_description": product["name"],
                "msdyn_date": scene.today,
                "msdyn_quantity": pieces,
                "msdyn_product": product["productid"],
                "msdyn_transactioncategory": category["msdyn_transactioncategoryid"],
                "msdyn_project": site.id,
                "msdyn_task": task["msdyn_projecttaskid"],
                "msdyn_approvalstatus": EntryStatus.DRAFT,
                "msdyn_owningcompany": scene.company(code)["cdm_companyid"],
            },
        )
    entry_id = str(entry[f"{MATERIAL}id"])
    submit(scene.dataverse, TransactionClass.MATERIAL, entry_id)
    rows = approve_material(scene.dataverse, entry_id, prices=scene.parameters.prices)
    return made(rows, entry=entry_id, project=site.number, pieces=pieces)


def approve_waiting(scene: Scene, code: str, project: str | None) -> Facts:
    """An entry that was handed in is approved [E2]."""
    site = scene.site(code, project) if project else None
    waiting = scene.submitted_entries(code, site.id if site else None)
    kind, entry = scene.one_of(waiting, f"entry of {code} that waits for approval")
    approve = {
        TransactionClass.TIME: approve_time,
        TransactionClass.EXPENSE: approve_expense,
        TransactionClass.MATERIAL: approve_material,
    }[kind]
    return made(approve(scene.dataverse, entry, prices=scene.parameters.prices), entry=entry)


def approve_expenses(scene: Scene, code: str, project: str | None) -> Facts:  # noqa: ARG001 - the job knows neither
    """The system job approves the expenses that wait for it [I3]."""
    return made(approve_waiting_expenses(scene.dataverse, prices=scene.parameters.prices))


def cancel(scene: Scene, code: str, project: str | None) -> Facts:
    """An approval is cancelled [E6]."""
    site = scene.site(code, project) if project else None
    kind, entry = scene.one_of(scene.approved_entries(code, site.id if site else None), f"approved entry in {code}")
    return made(cancel_approval(scene.dataverse, kind, entry), entry=entry)


ENTRIES: dict[str, Event] = {
    "submit-time": submit_time,
    "approve": approve_waiting,
    "approve-time": approve_new_time,
    "approve-time-reduced": approve_time_reduced,
    "approve-time-increased": approve_time_increased,
    "approve-material": approve_new_material,
    "approve-expenses": approve_expenses,
    "intercompany-time": intercompany_time,
    "cancel-approval": cancel,
}
