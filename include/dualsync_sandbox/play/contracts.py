"""Events of contracts: they are tied to projects and confirmed, their retainers invoiced and used."""

from __future__ import annotations

from decimal import Decimal

from dualsync_sandbox.business.dataverse.choices import TransactionClass, TransactionType
from dualsync_sandbox.business.dataverse.contracts.actuals import confirm_contract, tie_project_to_contract
from dualsync_sandbox.business.dataverse.contracts.customers import WORK_BASED
from dualsync_sandbox.business.dataverse.invoicing.retainers import consume_retainer, invoice_retainer
from dualsync_sandbox.business.finance.ledger.exchange import exact
from dualsync_sandbox.play.scene import Event, Facts, NothingToPlay, Scene, made

_DRAFT_CONTRACT = 192350000


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
    return made(rows, project=site.number, contract=contract["ordernumber"])


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
    return made(confirm_contract(scene.dataverse, str(contract["salesorderid"])), contract=contract["ordernumber"])


def retainer(scene: Scene, code: str, project: str | None) -> Facts:
    """A retainer is invoiced [E17]."""
    site = scene.site(code, project, billable=True)
    with scene.dataverse.reading() as tx:
        line = tx.find_one("salesorderdetail", msdyn_project=site.id)
    if line is None:
        raise NothingToPlay(f"There is no contract line for {site.number}.")
    amount = Decimal(scene.rng.randrange(1_000, 8_000, 500))
    rows = invoice_retainer(scene.dataverse, str(line["salesorderdetailid"]), amount, scene.today)
    return made(rows, project=site.number, amount=amount)


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
    return made(consume_retainer(scene.dataverse, str(row["msdyn_actualid"]), amount, scene.today), amount=amount)


CONTRACTS: dict[str, Event] = {
    "tie-contract": tie_contract,
    "confirm-contract": confirm,
    "retainer": retainer,
    "use-retainer": use_retainer,
}
