"""Every field and every row has one owner: what the other side does is reported, neither overwritten nor copied."""

from __future__ import annotations

import shutil
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from support.worlds import World

pytestmark = pytest.mark.slow


def project(world: World) -> tuple[dict[str, Any], str]:
    """A project of USPM in Dataverse, and its address in Finance."""
    company = world.dataverse_api.one("cdm_companies", "cdm_companycode eq 'USPM'")["cdm_companyid"]
    row = world.dataverse_api.rows("msdyn_projects", f"_msdyn_owningcompany_value eq {company} and statecode eq 0")[0]
    return row, f"ProjectsV2(dataAreaId='uspm',ProjectId='{row['msdyn_projectnumber']}')"


def in_finance(world: World, number: str) -> dict[str, Any]:
    return world.finance_api.one("ProjectsV2", f"dataAreaId eq 'uspm' and ProjectId eq '{number}'")


def customer(world: World, place: int = 0) -> tuple[dict[str, Any], str, str]:
    """An organisation that buys from USPM as it stands in Finance, and its address on both sides."""
    company = world.dataverse_api.one("cdm_companies", "cdm_companycode eq 'USPM'")["cdm_companyid"]
    account = world.dataverse_api.rows("accounts", f"customertypecode eq 3 and _msdyn_company_value eq {company}")[
        place
    ]
    number = account["accountnumber"]
    row = world.finance_api.one("CustomersV3", f"dataAreaId eq 'uspm' and CustomerAccount eq '{number}'")
    return row, f"accounts({account['accountid']})", f"CustomersV3(dataAreaId='uspm',CustomerAccount='{number}')"


def account_of(world: World, address: str) -> dict[str, Any]:
    return world.dataverse_api.one("accounts", f"accountid eq {address[9:-1]}")


def test_a_change_in_finance_to_a_column_of_dataverse_is_reported_only(synced: World) -> None:
    row, address = project(synced)
    number = row["msdyn_projectnumber"]
    synced.finance_api.change(address, {"ProjectName": "Renamed in Finance"})
    synced.forget_requests()

    assert synced.sync(["projects"]).counts.planned == 0, "an incremental run does not read Finance"
    for mode in ("full", "incremental", "full"):
        counts = synced.sync(["projects"], mode=mode).counts
        assert (counts.conflict, counts.written) == (1, 0), mode
        (open_row,) = synced.open_rows()
        assert (open_row.state, open_row.rule, open_row.key) == ("conflict", "projects.owner", number)
        assert "changed in Finance, which does not own it: ProjectName" in open_row.reason
    assert synced.writes() == []
    assert (
        synced.dataverse_api.one("msdyn_projects", f"msdyn_projectnumber eq '{number}'")["msdyn_subject"]
        == row["msdyn_subject"]
    )

    synced.dataverse_api.change(f"msdyn_projects({row['msdyn_projectid']})", {"msdyn_description": "New text"})
    synced.forget_requests()
    counts = synced.sync(["projects"]).counts
    assert counts.updated == 1
    (request,) = synced.writes()
    assert request["body"] == {"Description": "New text"}, "the other column is left as it is"
    assert in_finance(synced, number)["ProjectName"] == "Renamed in Finance"
    assert synced.sync(["projects"], mode="full").counts.conflict == 1, "and still reported"

    synced.dataverse_api.change(f"msdyn_projects({row['msdyn_projectid']})", {"msdyn_subject": "Renamed by its owner"})
    assert synced.sync(["projects"]).counts.updated == 1
    assert in_finance(synced, number)["ProjectName"] == "Renamed by its owner"
    assert synced.open_rows() == []
    assert synced.sync(["projects"], mode="full").counts.conflict == 0


def test_a_reported_change_that_is_taken_back_is_no_longer_listed(synced: World) -> None:
    row, address = project(synced)
    synced.finance_api.change(address, {"ProjectName": "Renamed in Finance"})
    synced.sync(["projects"], mode="full")
    assert len(synced.open_rows()) == 1
    synced.finance_api.change(address, {"ProjectName": row["msdyn_subject"]})

    assert synced.sync(["projects"]).counts.unchanged == 1

    assert synced.open_rows() == []


def test_a_project_that_only_finance_has_is_neither_copied_nor_deleted(synced: World) -> None:
    own = {"dataAreaId": "uspm", "ProjectId": "P-FINANCE", "ProjectName": "Made in Finance"}
    synced.finance_api.create("ProjectsV2", own)
    projects = len(synced.dataverse_api.rows("msdyn_projects"))
    synced.forget_requests()

    for mode in ("full", "incremental", "full"):
        counts = synced.sync(["projects"], mode=mode).counts
        assert counts.written == 0
        (held,) = synced.open_rows()
        assert (held.state, held.rule, held.key) == ("conflict", "projects.stranger", "P-FINANCE"), mode
        assert "exists only in Finance" in held.reason
    assert synced.writes() == []
    assert in_finance(synced, "P-FINANCE")["ProjectName"] == "Made in Finance"
    assert len(synced.dataverse_api.rows("msdyn_projects")) == projects

    row, _ = project(synced)
    synced.dataverse_api.change(f"msdyn_projects({row['msdyn_projectid']})", {"msdyn_subject": "Another one changed"})
    synced.sync(["projects"])
    assert [one.key for one in synced.open_rows()] == ["P-FINANCE"], "it is still there, so it stays in the list"

    synced.finance_api.delete("ProjectsV2(dataAreaId='uspm',ProjectId='P-FINANCE')")
    synced.sync(["projects"], mode="full")
    assert synced.open_rows() == []


def test_a_row_that_was_deleted_in_finance_is_reported(synced: World) -> None:
    row = synced.finance_api.rows("ProjectFundingSources")[0]
    key = (
        f"ProjectFundingSources(dataAreaId='{row['dataAreaId']}',ProjectContractID='{row['ProjectContractID']}',"
        f"FundingSourceId='{row['FundingSourceId']}')"
    )
    synced.finance_api.delete(key)
    synced.forget_requests()

    for mode in ("full", "incremental"):
        counts = synced.sync(["funding_sources"], mode=mode).counts
        assert (counts.conflict, counts.written) == (1, 0), mode
        (open_row,) = synced.open_rows()
        assert open_row.rule == "funding_sources.deleted"
        assert "was deleted in Finance, which does not own it" in open_row.reason
    assert synced.writes() == []


def test_a_changed_key_is_reported(synced: World) -> None:
    row, _ = project(synced)
    number = row["msdyn_projectnumber"]
    synced.dataverse_api.change(f"msdyn_projects({row['msdyn_projectid']})", {"msdyn_projectnumber": "PRJ-NEW"})
    synced.forget_requests()

    for mode in ("incremental", "incremental", "full"):
        counts = synced.sync(["projects"], mode=mode).counts
        assert (counts.conflict, counts.written) == (1, 0), mode
        (open_row,) = synced.open_rows()
        assert (open_row.rule, open_row.key) == ("projects.key_changed", "PRJ-NEW")
        assert open_row.reason.startswith("key changed")
    assert synced.writes() == []
    assert in_finance(synced, number)["ProjectName"] == row["msdyn_subject"]

    changes = {"msdyn_projectnumber": number, "msdyn_subject": "Named anew"}
    synced.dataverse_api.change(f"msdyn_projects({row['msdyn_projectid']})", changes)
    assert synced.sync(["projects"]).counts.updated == 1
    assert in_finance(synced, number)["ProjectName"] == "Named anew"
    assert synced.open_rows() == []


def test_customers_travel_both_ways(synced: World) -> None:
    _, account, address = customer(synced)
    synced.finance_api.change(address, {"CreditLimit": 4321, "SalesMemo": "Said in Finance"})
    other, other_account, _ = customer(synced, 1)
    synced.dataverse_api.change(other_account, {"msdyn_creditrating": "AAA", "creditlimit": 77})
    synced.forget_requests()

    summary = synced.sync(["customers_v3"])

    by_direction = {leg.direction: leg.counts for leg in summary.legs if leg.company == "USPM"}
    assert (by_direction["to_dataverse"].updated, by_direction["to_finance"].updated) == (1, 1)
    bodies = {one["system"]: one["body"] for one in synced.writes()}
    assert bodies["finance"] == {"CreditRating": "AAA", "CreditLimit": 77}
    (target,) = bodies["dataverse"]["Targets"]
    assert {name for name in target if not name.startswith("@")} == {"accountid", "creditlimit", "description"}
    found = account_of(synced, account)
    assert (found["creditlimit"], found["description"]) == (Decimal(4321), "Said in Finance")
    assert (
        synced.finance_api.one(
            "CustomersV3", f"dataAreaId eq 'uspm' and CustomerAccount eq '{other['CustomerAccount']}'"
        )["CreditLimit"]
        == 77
    )

    synced.forget_requests()
    for mode in ("incremental", "full"):
        assert synced.sync(["customers_v3"], mode=mode).counts.written == 0, "nothing is echoed"
    assert synced.writes() == []
    assert synced.open_rows() == []


def test_a_customer_changed_on_both_sides_follows_the_winner(synced: World) -> None:
    row, account, address = customer(synced)
    synced.finance_api.change(address, {"CreditRating": "Good in Finance"})
    synced.dataverse_api.change(account, {"msdyn_creditrating": "Bad in Dataverse", "description": "From Dataverse"})

    summary = synced.sync(["customers_v3"])

    assert summary.state == "settled"
    found = account_of(synced, account)
    finance = synced.finance_api.one(
        "CustomersV3", f"dataAreaId eq 'uspm' and CustomerAccount eq '{row['CustomerAccount']}'"
    )
    assert found["msdyn_creditrating"] == finance["CreditRating"] == "Good in Finance", "Finance wins this column"
    assert found["description"] == finance["SalesMemo"] == "From Dataverse", "changed there alone"
    (leg,) = [one for one in summary.legs if (one.company, one.direction) == ("USPM", "to_dataverse")]
    assert leg.counts.updated == 1
    assert synced.open_rows() == []
    assert synced.sync(["customers_v3"], mode="full").counts.written == 0


def test_customers_are_created_on_either_side(synced: World) -> None:
    row, _, _ = customer(synced)
    company = synced.dataverse_api.one("cdm_companies", "cdm_companycode eq 'USPM'")["cdm_companyid"]
    group = synced.dataverse_api.one(
        "msdyn_customergroups", f"msdyn_groupid eq '10' and _msdyn_company_value eq {company}"
    )
    currency = synced.dataverse_api.one("transactioncurrencies", "isocurrencycode eq 'USD'")
    synced.dataverse_api.create(
        "accounts",
        {
            "accountnumber": "C-DATAVERSE",
            "name": "Customer of Dataverse",
            "customertypecode": 3,
            "msdyn_Company@odata.bind": f"/cdm_companies({company})",
            "msdyn_customergroupid@odata.bind": f"/msdyn_customergroups({group['msdyn_customergroupid']})",
            "transactioncurrencyid@odata.bind": f"/transactioncurrencies({currency['transactioncurrencyid']})",
        },
    )
    synced.finance_api.create(
        "CustomersV3",
        {
            "dataAreaId": "uspm",
            "CustomerAccount": "C-FINANCE",
            "PartyType": "Organization",
            "OrganizationName": "Customer of Finance",
            "CustomerGroupId": "20",
            "SalesCurrencyCode": "GBP",
            "InvoiceAccount": row["CustomerAccount"],
        },
    )

    summary = synced.sync(["customers_v3"])

    assert (summary.state, summary.counts.created) == ("settled", 2), synced.open_rows()
    buyers = synced.dataverse_api.rows("accounts", f"customertypecode eq 3 and _msdyn_company_value eq {company}")
    accounts = {one["accountnumber"]: one for one in buyers}
    sellers = synced.finance_api.rows("CustomersV3", "dataAreaId eq 'uspm'")
    finance = {one["CustomerAccount"]: one for one in sellers}
    assert finance["C-DATAVERSE"]["CustomerGroupId"] == "10"
    assert finance["C-DATAVERSE"]["SalesCurrencyCode"] == "USD"
    assert accounts["C-FINANCE"]["_msdyn_billingaccount_value"] == accounts[row["CustomerAccount"]]["accountid"]

    # What Finance fills in by itself travels back on the next run, and then there is peace.
    synced.forget_requests()
    assert synced.sync(["customers_v3"]).counts.written == 1
    (request,) = synced.writes()
    (target,) = request["body"]["Targets"]
    assert {name for name in target if not name.startswith("@")} == {"accountid", "msdyn_onholdstatus"}
    assert synced.sync(["customers_v3"], mode="full").counts.written == 0
    assert synced.open_rows() == []


# --- adoption ---------------------------------------------------------------------------------------------------------


def test_what_is_equal_on_both_sides_is_adopted_without_a_write(synced: World) -> None:
    synced.carried = None
    shutil.rmtree(synced.home / ".dualsync")
    synced.forget_requests()

    first = synced.sync()

    assert first.state == "settled"
    assert first.counts.planned == first.counts.unchanged + first.counts.skipped > 600
    assert synced.writes() == []
    assert synced.open_rows() == []


def test_differences_at_adoption_go_to_the_master(synced: World) -> None:
    row, address = project(synced)
    _, account, customer_address = customer(synced)
    number = row["msdyn_projectnumber"]
    synced.finance_api.change(address, {"ProjectName": "Different in Finance"})
    synced.finance_api.change(customer_address, {"CreditLimit": 1234})
    synced.dataverse_api.change(account, {"creditlimit": 9999})
    with synced.runtime() as runtime:
        maps = runtime.catalog.order({"projects", *runtime.catalog.ancestors("projects")})
    shutil.rmtree(synced.home / ".dualsync")
    synced.forget_requests()

    summary = synced.sync(maps)

    assert summary.state == "settled"
    assert (summary.counts.updated, summary.counts.created, summary.counts.conflict) == (2, 0, 0)
    updated = {(leg.map, leg.direction): leg.counts.updated for leg in summary.legs if leg.counts.updated}
    assert updated == {("projects", "to_finance"): 1, ("customers_v3", "to_dataverse"): 1}
    assert in_finance(synced, number)["ProjectName"] == row["msdyn_subject"]
    assert account_of(synced, account)["creditlimit"] == 1234
    assert synced.sync(maps).counts.written == 0


def test_an_expired_change_token_leads_to_a_full_read_and_no_write(synced: World) -> None:
    synced.carried = None
    row, _ = project(synced)
    rules = synced.dataverse_api.rows("msdyn_projectcontractsplitbillingrules")
    known = {one["FundingSourceId"] for one in synced.finance_api.rows("ProjectFundingSources")}
    gone = next(one for one in rules if one["msdyn_number"] in known)
    synced.sandbox.dataverse_store.expire_changes()
    synced.forget_requests()

    counts = synced.sync(["projects", "funding_sources"]).counts

    assert counts.planned == counts.unchanged >= 36
    assert synced.writes() == []
    assert synced.sync(["projects", "funding_sources"]).counts.planned == 0, "the new token holds"

    # What changed and what went while no token held is found by that full read.
    synced.dataverse_api.change(f"msdyn_projects({row['msdyn_projectid']})", {"msdyn_subject": "Changed meanwhile"})
    synced.dataverse_api.delete(
        f"msdyn_projectcontractsplitbillingrules({gone['msdyn_projectcontractsplitbillingruleid']})"
    )
    synced.sandbox.dataverse_store.expire_changes()
    counts = synced.sync(["projects", "funding_sources"]).counts
    assert (counts.updated, counts.deleted, counts.created) == (1, 1, 0)
    assert synced.open_rows() == []
