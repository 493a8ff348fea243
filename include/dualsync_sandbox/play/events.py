"""Single events by name: what people do in Dataverse and Finance on a working day.

Every event chooses what it needs by chance, within the company and the project that are asked for, and says what it
made.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING

from dualsync_sandbox.business.dataverse.choices import (
    BillingType,
    EntryStatus,
    TransactionClass,
    TransactionType,
)
from dualsync_sandbox.business.dataverse.contracts.actuals import confirm_contract, tie_project_to_contract
from dualsync_sandbox.business.dataverse.contracts.customers import WORK_BASED
from dualsync_sandbox.business.dataverse.contracts.engagement import row_of
from dualsync_sandbox.business.dataverse.entries.approvals import (
    approve_expense,
    approve_material,
    approve_time,
    approve_waiting_expenses,
    cancel_approval,
    submit,
)
from dualsync_sandbox.business.dataverse.entries.work import MATERIAL, TIME
from dualsync_sandbox.business.dataverse.estimates import add_estimate, assign, reassign
from dualsync_sandbox.business.dataverse.invoicing.retainers import consume_retainer, invoice_retainer
from dualsync_sandbox.business.dataverse.journals import post_correction_journal, post_entry_journal
from dualsync_sandbox.business.finance import jobs
from dualsync_sandbox.business.finance.ledger.exchange import exact
from dualsync_sandbox.play.invoicing import INVOICING
from dualsync_sandbox.play.purchases import PROCUREMENT
from dualsync_sandbox.play.scene import NothingToPlay, Scene, Site

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row, Tx

Facts = dict[str, object]
Event = Callable[[Scene, str, str | None], Facts]

_DRAFT_CONTRACT = 192350000
_NOTES = ("On site", "Workshop with the customer", "Desk work", "Call and follow-up", "Preparation")


def _made(rows: list[Row], **more: object) -> Facts:
    return {"actuals": [row["msdyn_actualid"] for row in rows], **more}


# -- time, materials, expenses


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
    return _made(rows, entry=entry, project=site.number, hours=hours, billable=hours if billable is None else billable)


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
    return _made(rows, entry=entry_id, project=site.number, pieces=pieces)


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
    return _made(approve(scene.dataverse, entry, prices=scene.parameters.prices), entry=entry)


def approve_expenses(scene: Scene, code: str, project: str | None) -> Facts:  # noqa: ARG001 - the job knows neither
    """The system job approves the expenses that wait for it [I3]."""
    return _made(approve_waiting_expenses(scene.dataverse, prices=scene.parameters.prices))


def cancel(scene: Scene, code: str, project: str | None) -> Facts:
    """An approval is cancelled [E6]."""
    site = scene.site(code, project) if project else None
    kind, entry = scene.one_of(scene.approved_entries(code, site.id if site else None), f"approved entry in {code}")
    return _made(cancel_approval(scene.dataverse, kind, entry), entry=entry)


# -- journals


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
    return _made(post_correction_journal(scene.dataverse, actual, change, parameters=scene.parameters), entry=entry)


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
    return _made(post_entry_journal(scene.dataverse, lines, f"Journal of {scene.today}"), project=site.number)


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


# -- contracts and retainers


def tie_contract(scene: Scene, code: str, project: str | None) -> Facts:
    """A project that had no contract gets one, in draft [E8]."""
    if project is None:
        free = [site for site in scene.sites(code) if not site.project["msdyn_salesorderid"]]
        site = scene.one_of(free, f"project of {code} without a contract")
    else:
        site = scene.site(code, project)
    company = scene.company(code)["cdm_companyid"]
    with scene.dataverse.transaction() as tx:
        account = scene.one_of(tx.find("account", msdyn_company=company, customertypecode=3), f"customer of {code}")
        contract = tx.insert(
            "salesorder",
            {
                "name": str(site.project["msdyn_subject"])[:60],
                "customerid": account["accountid"],
                "customerid@type": "account",
                "transactioncurrencyid": site.project["transactioncurrencyid"],
                "msdyn_company": company,
                "msdyn_contractorganizationalunitid": site.project["msdyn_contractorganizationalunitid"],
                "msdyn_ordertype": WORK_BASED,
                "msdyn_psastate": _DRAFT_CONTRACT,
                "msdyn_psastatusreason": _DRAFT_CONTRACT,
            },
        )
        rows = tie_project_to_contract(scene.dataverse, site.id, str(contract["salesorderid"]))
    scene.look_again(code, site)
    return _made(rows, project=site.number, contract=contract["ordernumber"])


def confirm(scene: Scene, code: str, project: str | None) -> Facts:
    """A contract in draft is confirmed [E7]."""
    company = scene.company(code)["cdm_companyid"]
    site = scene.site(code, project) if project else None
    with scene.dataverse.reading() as tx:
        drafts = [
            contract
            for contract in tx.find("salesorder", msdyn_company=company, msdyn_psastatusreason=_DRAFT_CONTRACT)
            if site is None or contract["salesorderid"] == site.project["msdyn_salesorderid"]
        ]
    contract = scene.one_of(drafts, f"contract of {code} in draft")
    return _made(confirm_contract(scene.dataverse, str(contract["salesorderid"])), contract=contract["ordernumber"])


def retainer(scene: Scene, code: str, project: str | None) -> Facts:
    """A retainer is invoiced [E17]."""
    site = scene.site(code, project, billable=True)
    with scene.dataverse.reading() as tx:
        line = tx.find_one("salesorderdetail", msdyn_project=site.id)
    if line is None:
        raise NothingToPlay(f"There is no contract line for {site.number}.")
    amount = Decimal(scene.rng.randrange(1_000, 8_000, 500))
    rows = invoice_retainer(scene.dataverse, str(line["salesorderdetailid"]), amount, scene.today)
    return _made(rows, project=site.number, amount=amount)


def use_retainer(scene: Scene, code: str, project: str | None) -> Facts:
    """A part of a retainer is used [E17]."""
    company = scene.company(code)["cdm_companyid"]
    site = scene.site(code, project) if project else None
    with scene.dataverse.reading() as tx:
        left = [
            row
            for row in tx.find(
                "msdyn_actual",
                msdyn_owningcompany=company,
                msdyn_transactiontypecode=TransactionType.UNBILLED_SALES,
                msdyn_transactionclassification=TransactionClass.RETAINER,
                msdyn_adjustmentstatus=None,
            )
            if site is None or row["msdyn_project"] == site.id
        ]
    row = scene.one_of(left, f"retainer of {code} to use")
    amount = (-exact(row["msdyn_amount"]) * Decimal(scene.rng.choice(("0.4", "1")))).quantize(Decimal("0.01"))
    return _made(consume_retainer(scene.dataverse, str(row["msdyn_actualid"]), amount, scene.today), amount=amount)


# -- estimates


def new_assignment(scene: Scene, code: str, project: str | None) -> Facts:
    """Somebody is assigned to a task [D3]."""
    site, worker, role = scene.site(code, project), scene.worker(code), scene.role()
    task = scene.one_of(site.leaves, f"task in {site.number}")
    row = assign(
        scene.dataverse,
        site.id,
        str(task["msdyn_projecttaskid"]),
        str(worker["bookableresourceid"]),
        str(role["bookableresourcecategoryid"]),
        Decimal(scene.rng.randrange(8, 80, 4)),
        prices=scene.parameters.prices,
    )
    return {"assignment": row["msdyn_resourceassignmentid"], "project": site.number}


def assign_again(scene: Scene, code: str, project: str | None) -> Facts:
    """An assignment is removed and added again [D6]."""
    site = scene.site(code, project) if project else None
    owner = scene.company(code)["cdm_companyid"]
    with scene.dataverse.reading() as tx:
        rows = [
            row
            for row in tx.find("msdyn_resourceassignment", msdyn_owningcompany=owner)
            if site is None or row["msdyn_projectid"] == site.id
        ]
    old = scene.one_of(rows, f"assignment in {code}")
    new = reassign(scene.dataverse, str(old["msdyn_resourceassignmentid"]), prices=scene.parameters.prices)
    return {"removed": old["msdyn_resourceassignmentid"], "assignment": new["msdyn_resourceassignmentid"]}


def estimate_expense(scene: Scene, code: str, project: str | None) -> Facts:
    """An expense is estimated [D3]."""
    category = scene.category("Travel", "Accommodation")["msdyn_transactioncategoryid"]
    return _estimate(scene, code, project, TransactionClass.EXPENSE, category_id=str(category))


def estimate_material(scene: Scene, code: str, project: str | None) -> Facts:
    """A need of material is estimated [D3]."""
    category = str(scene.category("Materials")["msdyn_transactioncategoryid"])
    product = str(scene.product()["productid"])
    return _estimate(scene, code, project, TransactionClass.MATERIAL, category_id=category, product_id=product)


def _estimate(
    scene: Scene,
    code: str,
    project: str | None,
    kind: TransactionClass,
    *,
    category_id: str,
    product_id: str | None = None,
) -> Facts:
    site = scene.site(code, project)
    task = scene.one_of(site.leaves, f"task in {site.number}")
    rows = add_estimate(
        scene.dataverse,
        kind,
        site.id,
        str(task["msdyn_projecttaskid"]),
        quantity=Decimal(scene.rng.randrange(1, 12)),
        price=Decimal(scene.rng.randrange(40, 600)) if kind == TransactionClass.EXPENSE else None,
        category_id=category_id,
        product_id=product_id,
        prices=scene.parameters.prices,
    )
    return {"lines": [row["msdyn_estimatelineid"] for row in rows], "project": site.number}


# -- Finance


def post_expense(scene: Scene, code: str, project: str | None) -> Facts:
    """An employee's expense report for a project is posted in Finance, which must know project and category [I2]."""
    area = code.lower()
    known = [] if project else scene.sites(code)
    with scene.finance.reading() as tx:
        if project is None:
            known = [site for site in known if tx.find_one("ProjectsV2", dataAreaId=area, ProjectId=site.number)]
        categories = tx.find("ExpenseCategories", dataAreaId=area, IsInactive="No")
        worker = scene.one_of(tx.find("Workers")[:50], "worker in Finance")
        category = scene.one_of(categories, f"expense category in {code}")
        site = scene.site(code, project) if project else scene.one_of(known, f"project of {code} that Finance knows")
        task = scene.one_of(site.leaves, f"task in {site.number}")
        number = str(task["msdyn_tasknumber"])
        there = tx.find_one("ProjectTasks", dataAreaId=area, ProjectId=site.number, TaskId=number) is not None
    amount = Decimal(scene.rng.randrange(2_000, 60_000)) / 100
    share = jobs.Share(site.number, activity_number=number if there else "")
    expense = jobs.Expense(str(category["CostType"]), amount, scene.today, (share,), description="On the road")
    report = jobs.file_expense_report(
        scene.finance, code, str(worker["PersonnelNumber"]), [expense], f"Trip for {site.number}"
    )
    return {"report": report["ReportNumber"], "project": site.number, "amount": amount}


def import_from_staging(scene: Scene, code: str, project: str | None) -> Facts:  # noqa: ARG001 - for a whole company
    """Finance's import from staging [G2]."""

    def actual(actual_id: str) -> Row | None:
        with scene.dataverse.reading() as tx:
            return tx.get("msdyn_actual", actual_id)

    return jobs.import_from_staging(scene.finance, code, actual).as_dict()


def post_journal(scene: Scene, code: str, project: str | None) -> Facts:  # noqa: ARG001 - for a whole company
    """Finance posts its integration journals [G13]."""
    return jobs.post_integration_journals(scene.finance, code).as_dict()


EVENTS: dict[str, Event] = {
    "submit-time": submit_time,
    "approve": approve_waiting,
    "approve-time": approve_new_time,
    "approve-time-reduced": approve_time_reduced,
    "approve-time-increased": approve_time_increased,
    "approve-material": approve_new_material,
    "approve-expenses": approve_expenses,
    "intercompany-time": intercompany_time,
    "cancel-approval": cancel,
    "correction-journal": correct,
    "entry-journal": entry_journal,
    "tie-contract": tie_contract,
    "confirm-contract": confirm,
    "retainer": retainer,
    "use-retainer": use_retainer,
    "assign": new_assignment,
    "reassign": assign_again,
    "estimate-expense": estimate_expense,
    "estimate-material": estimate_material,
    "post-expense": post_expense,
    "import-from-staging": import_from_staging,
    "post-journal": post_journal,
    **PROCUREMENT,
    **INVOICING,
}
"""Events by name."""
