"""Changes and deletions after the first run: only what changed travels, and only what is meant to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from support.worlds import World

CONTRACT_MAPS = ["contract_headers", "contract_lines", "funding_sources", "projects", "milestones"]


def by_number(rows: list[dict[str, Any]], column: str) -> dict[str, dict[str, Any]]:
    return {row[column]: row for row in rows}


def finance_writes(world: World) -> list[tuple[str, str, Any]]:
    """Method, path and body of what was asked of Finance to change."""
    return [(one["method"], one["path"], one["body"]) for one in world.writes() if one["system"] == "finance"]


def sets_written(world: World) -> list[str]:
    """The entity sets of those requests, each once, in the order they were first written."""
    return list(dict.fromkeys(path.split("/")[2].split("(")[0] for _, path, _ in finance_writes(world)))


def contract_with_milestones(world: World) -> dict[str, Any]:
    """A contract of USPM with milestones and two contract customers."""
    rules = world.dataverse_api.rows("msdyn_projectcontractsplitbillingrules")
    customers = [row["_msdyn_contract_value"] for row in rules]
    milestones = {
        row["_msdyn_contract_value"] for row in world.dataverse_api.rows("msdyn_contractlinescheduleofvalues")
    }
    company = world.dataverse_api.one("cdm_companies", "cdm_companycode eq 'USPM'")["cdm_companyid"]
    for row in world.dataverse_api.rows("salesorders", f"_msdyn_company_value eq {company}"):
        if row["salesorderid"] in milestones and customers.count(row["salesorderid"]) == 2:
            return row
    raise AssertionError("the seed has no such contract")


def test_renaming_a_project_sends_only_the_name(synced: World) -> None:
    synced.carried = None
    project = synced.dataverse_api.rows("msdyn_projects", "statecode eq 0")[0]
    synced.dataverse_api.change(f"msdyn_projects({project['msdyn_projectid']})", {"msdyn_subject": "Renamed by a user"})
    synced.forget_requests()

    counts = synced.sync(["projects", "project_tasks", "contract_lines"]).counts

    assert (counts.planned, counts.updated, counts.created, counts.deleted) == (1, 1, 0, 0)
    ((method, path, body),) = finance_writes(synced)
    assert method == "PATCH"
    assert f"ProjectId='{project['msdyn_projectnumber']}'" in path
    assert body == {"ProjectName": "Renamed by a user"}
    assert synced.writes()[0]["system"] == "finance", "nothing is written back"

    synced.forget_requests()
    assert synced.sync(["projects"]).counts.planned == 0
    assert synced.writes() == []


def test_a_cleared_value_is_cleared_and_one_that_never_was_there_says_nothing(synced: World) -> None:
    synced.carried = None
    described = synced.dataverse_api.rows("msdyn_projects", "msdyn_description ne null and statecode eq 0")[0]
    silent = synced.dataverse_api.rows("msdyn_projects", "msdyn_description eq null and statecode eq 0")[0]
    finance = by_number(synced.finance_api.rows("ProjectsV2"), "ProjectId")
    area = finance[silent["msdyn_projectnumber"]]["dataAreaId"]
    key = f"ProjectsV2(dataAreaId='{area}',ProjectId='{silent['msdyn_projectnumber']}')"
    synced.finance_api.change(key, {"Description": "The accountant's own note"})
    for row in (described, silent):
        changes = {"msdyn_description": None, "msdyn_subject": "Changed"}
        synced.dataverse_api.change(f"msdyn_projects({row['msdyn_projectid']})", changes)
    synced.forget_requests()

    assert synced.sync(["projects"]).counts.updated == 2

    bodies = {path.split("ProjectId='")[1].rstrip("')"): body for _, path, body in finance_writes(synced)}
    assert bodies == {
        described["msdyn_projectnumber"]: {"ProjectName": "Changed", "Description": ""},
        silent["msdyn_projectnumber"]: {"ProjectName": "Changed"},
    }


def test_what_an_accountant_sets_in_finance_survives_updates(synced: World) -> None:
    project = synced.dataverse_api.rows("msdyn_projects", "statecode eq 0 and _msdyn_salesorderid_value ne null")[0]
    number = project["msdyn_projectnumber"]
    area = by_number(synced.finance_api.rows("ProjectsV2"), "ProjectId")[number]["dataAreaId"]
    key = f"ProjectsV2(dataAreaId='{area}',ProjectId='{number}')"
    tax_group = next(row for row in synced.finance_api.rows("TaxGroups") if row["dataAreaId"] == area)["TaxGroupCode"]
    theirs = {"SalesTaxGroupId": tax_group, "DimensionDisplayValue": "001-Consulting-", "ProjectGroupId": "TM"}
    synced.finance_api.change(key, theirs)
    contract = synced.dataverse_api.one("salesorders", f"salesorderid eq {project['_msdyn_salesorderid_value']}")
    contract_key = f"ProjectContractHeaders(dataAreaId='{area}',ProjectContractId='{contract['ordernumber']}')"
    on_contract = {"SalesTaxGroupCode": tax_group, "DefaultLedgerDimensionDisplayValue": "002--"}
    synced.finance_api.change(contract_key, on_contract)

    changes = {
        "msdyn_subject": "Another name",
        "msdyn_description": "Another text",
        "msdyn_finish": "2027-03-31",
        "msdyn_actualstart": "2026-02-02T08:00:00Z",
        "statecode": 1,
        "statuscode": 192350000,
    }
    synced.dataverse_api.change(f"msdyn_projects({project['msdyn_projectid']})", changes)
    synced.dataverse_api.change(f"salesorders({contract['salesorderid']})", {"name": "Another contract name"})
    for mode in ("incremental", "full"):
        synced.sync(["contract_headers", "projects"], mode=mode)

    found = by_number(synced.finance_api.rows("ProjectsV2"), "ProjectId")[number]
    assert {name: found[name] for name in theirs} == theirs
    assert (found["ProjectName"], found["Description"], found["ProjectStage"]) == (
        "Another name",
        "Another text",
        "Completed",
    )
    assert (found["ProjectedEndDate"], found["ActualStartDate"]) == ("2027-03-31T12:00:00Z", "2026-02-02T12:00:00Z")
    header = by_number(synced.finance_api.rows("ProjectContractHeaders"), "ProjectContractId")[contract["ordernumber"]]
    assert header["Name"] == "Another contract name"
    assert {name: header[name] for name in on_contract} == on_contract
    assert synced.open_rows() == []


def test_what_is_no_project_contract_sends_nothing(synced: World) -> None:
    sold = synced.dataverse_api.rows("salesorders", "msdyn_ordertype eq 192350000")[0]
    work = contract_with_milestones(synced)
    bound = {
        "customerid_account@odata.bind": f"/accounts({sold['_customerid_value']})",
        "msdyn_company@odata.bind": f"/cdm_companies({sold['_msdyn_company_value']})",
        "transactioncurrencyid@odata.bind": f"/transactioncurrencies({sold['_transactioncurrencyid_value']})",
    }
    api = synced.dataverse_api
    order = api.create("salesorders", {**bound, "name": "Spare parts", "msdyn_ordertype": 192350000})
    api.create("quotes", {**bound, "name": "Offer", "quotenumber": "QUO-9999999"})
    for contract in (order, work):
        api.create(
            "salesorderdetails",
            {
                "salesorderid@odata.bind": f"/salesorders({contract['salesorderid']})",
                "producttypecode": 1,
                "productdescription": "Sensor kit",
                "sequencenumber": 90,
                "quantity": 2,
                "priceperunit": 10,
            },
        )
    api.change(f"salesorders({sold['salesorderid']})", {"name": "Changed order for goods"})
    synced.forget_requests()

    counts = synced.sync(CONTRACT_MAPS).counts

    assert (counts.created, counts.updated, counts.deleted) == (0, 0, 0)
    assert counts.planned == counts.unchanged, "milestones, whose own write from Finance came back"
    assert finance_writes(synced) == []
    assert synced.open_rows() == []


def test_a_contract_customer_travels_without_its_share_of_the_bill(synced: World) -> None:
    contract = contract_with_milestones(synced)
    rules = synced.dataverse_api.rows(
        "msdyn_projectcontractsplitbillingrules", f"_msdyn_contract_value eq {contract['salesorderid']}"
    )
    taken = {row["_msdyn_contractcustomer_value"] for row in rules}
    other = next(
        row
        for row in synced.dataverse_api.rows(
            "accounts", f"customertypecode eq 3 and _msdyn_company_value eq {contract['_msdyn_company_value']}"
        )
        if row["accountid"] not in taken
    )
    added = synced.dataverse_api.create(
        "msdyn_projectcontractsplitbillingrules",
        {
            "msdyn_contract@odata.bind": f"/salesorders({contract['salesorderid']})",
            "msdyn_contractcustomer_account@odata.bind": f"/accounts({other['accountid']})",
            "msdyn_name": "Third customer",
            "msdyn_paymentterms": "Net30",
        },
    )
    synced.forget_requests()

    counts = synced.sync(["funding_sources"]).counts

    assert (counts.planned, counts.created) == (1, 1)
    ((_, path, body),) = finance_writes(synced)
    assert path == "/data/ProjectFundingSources"
    assert body == {
        "dataAreaId": "uspm",
        "ProjectContractID": contract["ordernumber"],
        "FundingSourceId": added["msdyn_number"],
        "FundingType": "Customer",
        "CustomerOrOrganization": other["accountnumber"],
        "InvoiceName": "Third customer",
        "TermsOfPayment": "Net30",
    }


def test_a_contract_customer_that_goes_takes_its_funding_source_along(synced: World) -> None:
    contract = contract_with_milestones(synced)
    rules = synced.dataverse_api.rows(
        "msdyn_projectcontractsplitbillingrules", f"_msdyn_contract_value eq {contract['salesorderid']}"
    )
    goes, stays = rules
    synced.dataverse_api.delete(
        f"msdyn_projectcontractsplitbillingrules({goes['msdyn_projectcontractsplitbillingruleid']})"
    )
    synced.forget_requests()

    counts = synced.sync(["funding_sources"]).counts

    assert (counts.deleted, counts.written) == (1, 1)
    ((method, path, _),) = finance_writes(synced)
    assert method == "DELETE"
    assert goes["msdyn_number"] in path
    found = by_number(synced.finance_api.rows("ProjectFundingSources"), "FundingSourceId")
    assert goes["msdyn_number"] not in found
    assert stays["msdyn_number"] in found
    assert synced.open_rows() == []
    assert synced.sync(["funding_sources"], mode="full").counts.written == 0


def test_a_contract_that_goes_takes_all_along_children_first(synced: World) -> None:
    contract = contract_with_milestones(synced)
    number = contract["ordernumber"]
    others = len(synced.finance_api.rows("ProjectContractHeaders")) - 1
    synced.dataverse_api.delete(f"salesorders({contract['salesorderid']})")
    synced.forget_requests()

    summary = synced.sync(CONTRACT_MAPS)

    assert summary.state == "settled"
    assert synced.open_rows() == []
    deletes = [path.split("/")[2].split("(")[0] for method, path, _ in finance_writes(synced) if method == "DELETE"]
    order = list(dict.fromkeys(deletes))
    assert set(order) == {
        "ProjectContractLineMilestones", "ProjectContractLines", "ProjectFundingSources", "ProjectContractHeaders",
    }  # fmt: skip
    assert order[-1] == "ProjectContractHeaders"
    assert order.index("ProjectContractLineMilestones") < order.index("ProjectContractLines")
    assert len(synced.finance_api.rows("ProjectContractHeaders")) == others
    for entity_set, column in (
        ("ProjectContractLines", "ProjectContractId"),
        ("ProjectFundingSources", "ProjectContractID"),
        ("ProjectContractLineMilestones", "ProjectContractId"),
        ("ProjectsV2", "ProjectContractId"),
        ("BillingRules", "ProjectContractId"),
    ):
        assert number not in {row[column] for row in synced.finance_api.rows(entity_set)}, entity_set
    synced.forget_requests()
    assert synced.sync(CONTRACT_MAPS).counts.written == 0
    assert synced.writes() == []


def test_a_project_that_goes_takes_its_tasks_along(synced: World) -> None:
    synced.carried = None
    tasks = synced.dataverse_api.rows("msdyn_projecttasks", "_msdyn_parenttask_value ne null")
    contracted = {row["_msdyn_project_value"] for row in synced.dataverse_api.rows("salesorderdetails")}
    areas = {row["ProjectId"]: row["dataAreaId"] for row in synced.finance_api.rows("ProjectsV2")}
    internal = [
        row
        for row in synced.dataverse_api.rows("msdyn_projects")
        if row["msdyn_projectid"] not in contracted and row["msdyn_projectnumber"] in areas
    ]
    nested = {row["_msdyn_project_value"] for row in tasks}
    project = next((row for row in internal if row["msdyn_projectid"] in nested), internal[0])
    parent = synced.dataverse_api.create(
        "msdyn_projecttasks",
        {"msdyn_subject": "Parent", "msdyn_project@odata.bind": f"/msdyn_projects({project['msdyn_projectid']})"},
    )
    synced.dataverse_api.create(
        "msdyn_projecttasks",
        {
            "msdyn_subject": "Child",
            "msdyn_project@odata.bind": f"/msdyn_projects({project['msdyn_projectid']})",
            "msdyn_parenttask@odata.bind": f"/msdyn_projecttasks({parent['msdyn_projecttaskid']})",
        },
    )
    assert synced.sync(["project_tasks"]).counts.created == 2
    synced.dataverse_api.delete(f"msdyn_projects({project['msdyn_projectid']})")

    assert synced.sync(["projects", "project_tasks"]).state == "settled"

    assert synced.open_rows() == []
    assert project["msdyn_projectnumber"] not in {row["ProjectId"] for row in synced.finance_api.rows("ProjectsV2")}
    assert project["msdyn_projectnumber"] not in {row["ProjectId"] for row in synced.finance_api.rows("ProjectTasks")}


def test_a_deletion_that_finance_refuses_stays_open_with_its_reason(synced: World) -> None:
    contract = contract_with_milestones(synced)
    milestone = synced.finance_api.rows("ProjectContractLineMilestones")
    invoiced = next(row for row in milestone if row["ProjectContractId"] == contract["ordernumber"])
    key = (
        f"ProjectContractLineMilestones(dataAreaId='uspm',"
        f"ContractLineMilestoneIdentifier='{invoiced['ContractLineMilestoneIdentifier']}')"
    )
    synced.finance_api.change(key, {"TransStatus": "InvoiceProposal"})
    synced.dataverse_api.delete(f"salesorders({contract['salesorderid']})")

    first = synced.sync(CONTRACT_MAPS)

    assert first.state == "settled"
    waiting = {(row.map, row.key): row for row in synced.open_rows(states=("delete",))}
    refused = waiting["milestones", invoiced["ContractLineMilestoneIdentifier"]]
    assert refused.rule == "milestones.refused"
    assert "Finance refuses to delete it: The milestone is on an invoice proposal" in refused.reason
    line = next(row for (name, _), row in waiting.items() if name == "contract_lines")
    assert line.rule == "contract_lines.refused"
    assert "Finance refuses to delete it" in line.reason
    header = waiting["contract_headers", contract["ordernumber"]]
    assert header.rule == "contract_headers.children"
    assert {name for name, _ in waiting} == {"milestones", "contract_lines", "contract_headers"}, "the rest is gone"
    assert contract["ordernumber"] in {
        row["ProjectContractId"] for row in synced.finance_api.rows("ProjectContractHeaders")
    }

    synced.sync(CONTRACT_MAPS)
    assert {(row.map, row.key) for row in synced.open_rows()} == waiting.keys(), "it stays open"

    synced.finance_api.change(key, {"TransStatus": "Posted"})
    synced.sync(CONTRACT_MAPS)
    assert synced.open_rows() == []
    numbers = {row["ProjectContractId"] for row in synced.finance_api.rows("ProjectContractHeaders")}
    assert contract["ordernumber"] not in numbers


def test_roles_and_categories_are_flagged_not_deleted(synced: World) -> None:
    role = synced.dataverse_api.rows("bookableresourcecategories")[0]
    synced.dataverse_api.delete(f"bookableresourcecategories({role['bookableresourcecategoryid']})")
    synced.forget_requests()

    for mode in ("incremental", "incremental", "full"):
        counts = synced.sync(["resource_roles"], mode=mode).counts
        assert (counts.conflict, counts.written) == (1, 0), mode
        (row,) = synced.open_rows()
        assert (row.state, row.key) == ("conflict", role["msdyn_resourcecategorynumber"])
        assert "no longer among the rows" in row.reason
    assert synced.writes() == []


def test_more_deletions_than_the_limit_hold_the_leg(synced: World) -> None:
    contract = contract_with_milestones(synced)
    rules = synced.dataverse_api.rows(
        "msdyn_projectcontractsplitbillingrules", f"_msdyn_contract_value eq {contract['salesorderid']}"
    )
    for row in rules:
        synced.dataverse_api.delete(
            f"msdyn_projectcontractsplitbillingrules({row['msdyn_projectcontractsplitbillingruleid']})"
        )
    guards = synced.settings.guards.model_copy(update={"deletes": 1})
    synced.settings = synced.settings.model_copy(update={"guards": guards})
    synced.forget_requests()

    for _ in range(2):
        summary = synced.sync(["funding_sources"])
        assert summary.state == "held"
        (held,) = [leg for leg in summary.legs if leg.state == "held"]
        assert (held.part, held.counts.planned, held.counts.deleted) == ("deletes", 2, 0)
        assert held.counts.conserved
        assert "more than the limit of 1" in held.message
        assert len(synced.open_rows(states=("delete",))) == 2
    assert synced.writes() == []

    released = synced.sync(["funding_sources"], guards=False)
    assert (released.state, released.counts.deleted) == ("settled", 2)
    assert synced.open_rows() == []


def test_more_updates_than_the_limit_hold_the_leg(synced: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dualsync.sync.load.step.GUARD_FLOOR", 3)
    company = synced.dataverse_api.one("cdm_companies", "cdm_companycode eq 'USPM'")["cdm_companyid"]
    mine = synced.dataverse_api.rows("msdyn_projects", f"_msdyn_owningcompany_value eq {company}")
    for row in mine:
        synced.dataverse_api.change(f"msdyn_projects({row['msdyn_projectid']})", {"msdyn_subject": "All the same"})
    synced.forget_requests()

    for _ in range(2):
        summary = synced.sync(["projects"])
        assert summary.state == "held"
        (held,) = [leg for leg in summary.legs if leg.state == "held"]
        assert (held.company, held.counts.planned, held.counts.updated) == ("USPM", len(mine), 0)
        assert held.counts.conserved
    assert synced.writes() == []

    assert synced.sync(["projects"], guards=False).counts.updated == len(mine)
    assert synced.sync(["projects"]).counts.planned == 0
