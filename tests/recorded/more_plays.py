"""Plays that no end-to-end test holds, for the recording alone: rows that are wrong in ways that seldom come together.

Run by ``record_week.py`` only; what they end in is asserted by the recording's own test.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from dualsync.sync.legs.spec import Keys, Normal, Resend
from dualsync_sandbox.business.dataverse.entries.approvals import approve_time
from dualsync_sandbox.store import Store
from support.cycles import Cycle
from support.orders import Orders
from support.workload import add_customers, add_task, change_much, change_project, company_id, projects
from support.worlds import World

NOWHERE = "00000000-0000-0000-0000-00000000dead"
ALL = ("USPM", "GBPM", "FRRT")


def plant(store: Store, table: str, key: str, record: Any, **values: Any) -> None:
    """Change a row behind the back of its system's rules, as only a fault could."""
    with store.transaction() as tx:
        if key.startswith("msdyn") or key.endswith("id"):
            values["versionnumber"] = store.next_version()
        columns = ", ".join(f'"{name}" = ?' for name in values)
        tx.query(f'UPDATE "{table}" SET {columns} WHERE "{key}" = ?', [*values.values(), record])


def lines(world: World, code: str = "USPM") -> list[dict[str, Any]]:
    """Contract lines of a company."""
    with world.sandbox.dataverse_store.reading() as tx:
        found = tx.find("salesorderdetail", msdyn_company=company_id(world, code), msdyn_linetype=690970000)
    return [dict(row) for row in found if row["producttypecode"] == 5]


def in_finance(world: World, table: str, **equals: Any) -> list[dict[str, Any]]:
    """Rows of Finance."""
    with world.sandbox.finance_store.reading() as tx:
        return [dict(row) for row in tx.find(table, **equals)]


def change_finance(world: World, table: str, row: dict[str, Any], **values: Any) -> None:
    """Change a row of Finance as its users would."""
    with world.sandbox.finance_store.transaction() as tx:
        tx.update(table, row["RecId"], values)


def accounts(world: World, code: str = "USPM") -> list[dict[str, Any]]:
    """Customers of a company in Dataverse, by number."""
    with world.sandbox.dataverse_store.reading() as tx:
        found = tx.find("account", msdyn_company=company_id(world, code), customertypecode=3)
    return sorted((dict(row) for row in found), key=lambda row: str(row["accountnumber"]))


def change_account(world: World, row: dict[str, Any], **values: Any) -> None:
    """Change a customer in Dataverse."""
    with world.sandbox.dataverse_store.transaction() as tx:
        tx.update("account", row["accountid"], values)


def play_both_sides(world: World) -> None:
    """Customers changed here, there and on both sides, by owner and by others; projects and tasks too."""
    here = accounts(world)
    known = {row["CustomerAccount"]: row for row in in_finance(world, "CustomersV3", dataAreaId="uspm")}
    there = [known[str(row["accountnumber"])] for row in here if str(row["accountnumber"]) in known]
    for row in there[:3]:
        change_finance(world, "CustomersV3", row, CreditRating="Good", SalesMemo="Said in Finance", CreditLimit=41)
    for row in here[2:5]:
        change_account(world, row, msdyn_creditrating="Bad", description="Said in Dataverse", creditlimit=77)
    first, second, third, fourth = projects(world, "USPM")[:4]
    for project in (first, second):
        (row,) = in_finance(world, "ProjectsV2", dataAreaId="uspm", ProjectId=project["msdyn_projectnumber"])
        change_finance(world, "ProjectsV2", row, ProjectName="Renamed in Finance")
    for project in (second, third):
        change_project(world, project, msdyn_subject="Renamed in Dataverse", msdyn_description=None)
    (row,) = in_finance(world, "ProjectsV2", dataAreaId="uspm", ProjectId=fourth["msdyn_projectnumber"])
    change_finance(world, "ProjectsV2", row, Description="Said in Finance")
    task = in_finance(world, "ProjectTasks", dataAreaId="uspm")[0]
    with world.sandbox.finance_store.transaction() as tx:
        tx.delete("ProjectTasks", task["RecId"])
    term = in_finance(world, "PaymentTerms", dataAreaId="uspm")[0]
    change_finance(world, "PaymentTerms", term, Description="Other words")


def test_sent_again(synced: World) -> None:
    """A run that sends again what the owner has, beside one that does not."""
    play_both_sides(synced)
    maps = ["payment_terms", "customers_v3", "projects", "project_tasks"]
    for policy in (Normal(), Resend()):
        synced.sync(maps, mode="full", policy=policy, dry_run=True)
    synced.sync(maps, mode="audit", companies=ALL)
    synced.sync(maps)
    synced.sync(maps, mode="full", policy=Resend())
    synced.sync(maps, mode="full")


def test_chosen_keys(synced: World) -> None:
    """Only some keys of maps that have more to carry."""
    change_much(synced, ["USPM"])
    first = projects(synced, "USPM")[0]
    keys = {"projects": [str(first["msdyn_projectnumber"]).lower()], "customers_v3": ["N-USPM-1"], "project_tasks": []}
    for words in ({"dry_run": True}, dict[str, Any]()):
        synced.sync(["customers_v3", "projects", "project_tasks"], selection=Keys(keys), **words)


def test_all_companies_change(synced: World) -> None:
    """Changes in every company."""
    change_much(synced, ALL)
    synced.sync(["exchange_rates", "customers_v3", "projects", "project_tasks"], companies=ALL)


def test_rows_that_are_wrong(synced: World) -> None:
    """Another company, a key that stands twice, values of another type, parents that are gone."""
    dataverse, finance = synced.sandbox.dataverse_store, synced.sandbox.finance_store
    mine = projects(synced, "USPM")
    other = company_id(synced, "GBPM")
    plant(dataverse, "msdyn_project", "msdyn_projectid", mine[0]["msdyn_projectid"], msdyn_owningcompany=other)
    plant(dataverse, "msdyn_project", "msdyn_projectid", mine[1]["msdyn_projectid"], msdyn_owningcompany=None)
    number = f"{mine[3]['msdyn_projectnumber']} "  # a blank at the end says nothing, and is no double to the database
    plant(dataverse, "msdyn_project", "msdyn_projectid", mine[2]["msdyn_projectid"], msdyn_projectnumber=number)
    plant(dataverse, "msdyn_project", "msdyn_projectid", mine[4]["msdyn_projectid"], msdyn_finish="not a day")
    of = lines(synced)
    plant(dataverse, "salesorderdetail", "salesorderdetailid", of[0]["salesorderdetailid"], msdyn_project=NOWHERE)
    plant(dataverse, "salesorderdetail", "salesorderdetailid", of[1]["salesorderdetailid"], sequencenumber=None)
    with dataverse.reading() as tx:
        contracts = tx.find("salesorder", msdyn_company=company_id(synced, "USPM"))
        rules = tx.find("msdyn_projectcontractsplitbillingrule", msdyn_owningcompany=company_id(synced, "USPM"))
    goods = [row for row in contracts if row["msdyn_ordertype"] == 192350000]
    works = [row for row in contracts if row["msdyn_ordertype"] == 192350001]
    rule = "msdyn_projectcontractsplitbillingrule"
    plant(dataverse, rule, f"{rule}id", rules[0][f"{rule}id"], msdyn_contract=goods[0]["salesorderid"])
    plant(dataverse, "salesorder", "salesorderid", works[-1]["salesorderid"], msdyn_ordertype=192350000)
    people = accounts(synced)
    plant(dataverse, "account", "accountid", people[0]["accountid"], accountnumber=f"{people[1]['accountnumber']} ")
    customers = in_finance(synced, "CustomersV3", dataAreaId="uspm", PartyType="Organization")
    plant(finance, "CustomersV3", "RecId", customers[3]["RecId"], PaymentTerms="NOPE")
    plant(finance, "CustomersV3", "RecId", customers[4]["RecId"], SalesCurrencyCode="XXX")
    add_customers(synced, "uspm", {"N-1": "N-2", "N-2": "N-2", "N-3": "N-1"})
    (lonely,) = in_finance(synced, "CustomersV3", dataAreaId="uspm", CustomerAccount="N-3")
    plant(finance, "CustomersV3", "RecId", lonely["RecId"], InvoiceAccount="NOBODY")
    maps = ["customers_v3", "contract_headers", "projects", "contract_lines", "funding_sources", "project_tasks"]
    for mode in ("incremental", "full"):
        for company in ALL[:2]:
            synced.sync(maps, mode=mode, companies=[company])


def test_headers_that_are_wrong(synced: World) -> None:
    """A header whose number stands twice, one that is gone, and one whose lines are held, each with its trigger."""
    orders = Orders(synced)
    synced.sync(area="subcontract_purchase_orders")
    first, second = orders.draft("A", 2), orders.draft("B", 1)
    orders.confirm(first)
    synced.sync(["subcontracts"], companies=["USPM"])
    orders.confirm(second)
    dataverse = synced.sandbox.dataverse_store
    plant(dataverse, "msdyn_subcontract", "msdyn_subcontractid", second, msdyn_subcontractnumber="A ")
    synced.sync(["subcontracts", "subcontract_lines", "subcontracts_trigger"], companies=["USPM"])
    plant(dataverse, "msdyn_subcontract", "msdyn_subcontractid", second, msdyn_subcontractnumber="B")
    plant(dataverse, "msdyn_subcontract", "msdyn_subcontractid", first, msdyn_subcontractnumber="Z")
    synced.sync(["subcontracts", "subcontract_lines", "subcontracts_trigger"], companies=["USPM"], mode="full")


def test_cut_over_in_the_middle(cycle: Cycle) -> None:
    """Actuals before and after the cut-over, and without one."""
    works = cycle.works
    project = works.project()
    for day in ("2026-02-02", "2026-03-02", "2026-04-02"):
        approve_time(works.dataverse, works.time(project, msdyn_date=day))
    cycle.cut_over(None)
    cycle.world.sync(["contract_headers", "projects", "contract_lines", "project_tasks", "actuals"], companies=["USPM"])
    cycle.cut_over(date(2026, 3, 1))
    for words in ({"dry_run": True}, {}, {"mode": "full"}):
        cycle.world.sync(["actuals", "transaction_relationships"], companies=["USPM"], **words)
    add_task(cycle.world, projects(cycle.world, "USPM")[0], "LATE")
    cycle.world.sync(["project_tasks"], companies=["USPM"])
