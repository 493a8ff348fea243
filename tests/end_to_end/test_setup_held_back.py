"""Rows that cannot go yet wait, rows that cannot go as they are stand in quarantine; both go through by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from support.worlds import World

pytestmark = pytest.mark.slow

LONG = "A name that is longer than Finance's sixty characters, by some distance"


def plant(world: World, table: str, record: str, **values: Any) -> None:
    """Change a Dataverse row behind the back of its own rules, as only a fault of the system could."""
    store = world.sandbox.dataverse_store
    with store.transaction() as tx:
        changed = {**values, "versionnumber": store.next_version()}
        columns = ", ".join(f'"{name}" = ?' for name in changed)
        tx.query(f'UPDATE "{table}" SET {columns} WHERE "{table}id" = ?', [*changed.values(), record])


def uspm(world: World) -> str:
    return str(world.dataverse_api.one("cdm_companies", "cdm_companycode eq 'USPM'")["cdm_companyid"])


def new_project(world: World, name: str, **values: Any) -> dict[str, Any]:
    company = {"msdyn_OwningCompany@odata.bind": f"/cdm_companies({uspm(world)})"}
    return world.dataverse_api.create("msdyn_projects", {**company, "msdyn_subject": name, **values})


def new_line(world: World, project: str, sequence: int) -> dict[str, Any]:
    contract = world.dataverse_api.rows(
        "salesorders", f"msdyn_ordertype eq 192350001 and _msdyn_company_value eq {uspm(world)}"
    )[0]
    return world.dataverse_api.create(
        "salesorderdetails",
        {
            "salesorderid@odata.bind": f"/salesorders({contract['salesorderid']})",
            "msdyn_project@odata.bind": f"/msdyn_projects({project})",
            "producttypecode": 5,
            "msdyn_linetype": 690970000,
            "msdyn_billingmethod": 192350000,
            "sequencenumber": sequence,
            "productdescription": f"Line {sequence}",
            "extendedamount": 1000,
        },
    )


def finance_lines(world: World) -> dict[str, str]:
    """Contract lines in Finance, with their projects."""
    return {row["ContractLineId"]: row["LineProjectId"] for row in world.finance_api.rows("ProjectContractLines")}


def finance_projects(world: World) -> dict[str, str]:
    return {row["ProjectId"]: row["ProjectName"] for row in world.finance_api.rows("ProjectsV2")}


def test_a_line_waits_for_its_project_and_goes_through_by_itself(synced: World) -> None:
    maps = ["projects", "contract_lines"]
    held, known = new_project(synced, LONG), new_project(synced, "A known project")
    waits, sibling = new_line(synced, held["msdyn_projectid"], 70), new_line(synced, known["msdyn_projectid"], 71)

    summary = synced.sync(maps)

    assert summary.state == "settled"
    counts = summary.counts
    assert (counts.created, counts.quarantined, counts.waiting) == (2, 1, 1)
    assert counts.conserved
    rows = {row.map: row for row in synced.open_rows()}
    assert rows["projects"].rule == "projects.ProjectName.length"
    assert rows["projects"].key == held["msdyn_projectnumber"]
    assert "ProjectName is longer than 60 characters" in rows["projects"].reason
    assert (rows["contract_lines"].state, rows["contract_lines"].rule) == ("waiting", "projects.waiting")
    assert "msdyn_project points at a row of map projects" in rows["contract_lines"].reason
    assert waits["msdyn_contractlinenumber"] not in finance_lines(synced)
    assert finance_lines(synced)[sibling["msdyn_contractlinenumber"]] == known["msdyn_projectnumber"]
    first_seen = rows["contract_lines"].first_seen

    assert synced.sync(maps).counts.written == 0
    assert {row.map: row.first_seen for row in synced.open_rows()}["contract_lines"] == first_seen

    synced.dataverse_api.change(f"msdyn_projects({held['msdyn_projectid']})", {"msdyn_subject": "A shorter name"})
    assert synced.sync(["projects"]).counts.created == 1
    assert [row.map for row in synced.open_rows()] == ["contract_lines"]
    assert synced.sync(["contract_lines"]).counts.created == 1, "without a change of the line itself"
    assert finance_lines(synced)[waits["msdyn_contractlinenumber"]] == held["msdyn_projectnumber"]
    assert synced.open_rows() == []
    assert synced.sync(maps, mode="full").counts.written == 0


def test_parent_and_child_heal_within_one_run(synced: World) -> None:
    maps = ["projects", "contract_lines"]
    held = new_project(synced, LONG)
    line = new_line(synced, held["msdyn_projectid"], 70)
    synced.sync(maps)
    synced.dataverse_api.change(f"msdyn_projects({held['msdyn_projectid']})", {"msdyn_subject": "A shorter name"})

    assert synced.sync(maps).counts.created == 2

    assert finance_lines(synced)[line["msdyn_contractlinenumber"]] == held["msdyn_projectnumber"]
    assert synced.open_rows() == []


def test_an_over_long_text_is_held_back_and_its_siblings_are_written(synced: World) -> None:
    synced.carried = None
    before = finance_projects(synced)
    ours = [row for row in synced.dataverse_api.rows("msdyn_projects") if row["msdyn_projectnumber"] in before]
    first, second, third = ours[:3]
    for row, name in ((first, LONG), (second, "Second"), (third, "Third")):
        synced.dataverse_api.change(f"msdyn_projects({row['msdyn_projectid']})", {"msdyn_subject": name})

    counts = synced.sync(["projects"]).counts

    assert (counts.planned, counts.updated, counts.quarantined) == (3, 2, 1)
    (held,) = synced.open_rows()
    assert (held.state, held.rule, held.key) == (
        "quarantined", "projects.ProjectName.length", first["msdyn_projectnumber"],
    )  # fmt: skip
    assert LONG not in held.reason, "no row contents"
    after = finance_projects(synced)
    assert after[first["msdyn_projectnumber"]] == before[first["msdyn_projectnumber"]]
    assert (after[second["msdyn_projectnumber"]], after[third["msdyn_projectnumber"]]) == ("Second", "Third")

    synced.dataverse_api.change(f"msdyn_projects({first['msdyn_projectid']})", {"msdyn_subject": "First"})
    assert synced.sync(["projects"]).counts.updated == 1
    assert finance_projects(synced)[first["msdyn_projectnumber"]] == "First"
    assert synced.open_rows() == []


def test_an_unknown_option_value_is_held_back(synced: World) -> None:
    ours = f"msdyn_linetype eq 690970000 and _msdyn_company_value eq {uspm(synced)}"
    odd, sibling = synced.dataverse_api.rows("salesorderdetails", ours)[:2]
    plant(synced, "salesorderdetail", odd["salesorderdetailid"], msdyn_billingmethod=192350009)
    synced.dataverse_api.change(
        f"salesorderdetails({sibling['salesorderdetailid']})", {"productdescription": "New text"}
    )

    counts = synced.sync(["contract_lines"]).counts

    assert (counts.planned, counts.updated, counts.quarantined) == (2, 1, 1)
    (row,) = synced.open_rows()
    assert row.rule == "contract_lines.BillingMethod.unknown_value"
    assert row.key.endswith(f"|{odd['sequencenumber']}")
    assert "msdyn_billingmethod holds a value that the value map to BillingMethod does not know" in row.reason
    assert "192350009" not in row.reason

    plant(synced, "salesorderdetail", odd["salesorderdetailid"], msdyn_billingmethod=odd["msdyn_billingmethod"])
    counts = synced.sync(["contract_lines"]).counts
    assert (counts.planned, counts.unchanged) == (1, 1)
    assert synced.open_rows() == []


def test_a_missing_key_is_held_back(synced: World) -> None:
    nameless, sibling = new_project(synced, "Without number"), new_project(synced, "With number")
    known = synced.dataverse_api.one(
        "msdyn_projects", f"msdyn_projectnumber eq '{next(iter(finance_projects(synced)))}'"
    )
    plant(synced, "msdyn_project", nameless["msdyn_projectid"], msdyn_projectnumber=None)
    plant(synced, "msdyn_project", known["msdyn_projectid"], msdyn_projectnumber=None)

    counts = synced.sync(["projects"]).counts

    assert (counts.planned, counts.created, counts.quarantined) == (3, 1, 2)
    rows = {row.record_id: row for row in synced.open_rows()}
    assert rows.keys() == {nameless["msdyn_projectid"], known["msdyn_projectid"]}
    assert {row.rule for row in rows.values()} == {"projects.key"}
    assert "fill msdyn_projectnumber" in rows[nameless["msdyn_projectid"]].reason
    assert rows[known["msdyn_projectid"]].key == known["msdyn_projectnumber"], "as it was known before"
    assert sibling["msdyn_projectnumber"] in finance_projects(synced)

    for row in (nameless, known):
        plant(synced, "msdyn_project", row["msdyn_projectid"], msdyn_projectnumber=row["msdyn_projectnumber"])
    counts = synced.sync(["projects"]).counts
    assert (counts.created, counts.unchanged) == (1, 1)
    assert finance_projects(synced)[nameless["msdyn_projectnumber"]] == "Without number"
    assert synced.open_rows() == []


def test_a_task_waits_for_its_parent_task(synced: World) -> None:
    project = synced.dataverse_api.one(
        "msdyn_projects", f"msdyn_projectnumber eq '{next(iter(finance_projects(synced)))}'"
    )["msdyn_projectid"]

    def task(name: str, parent: dict[str, Any] | None = None) -> dict[str, Any]:
        bound = {"msdyn_project@odata.bind": f"/msdyn_projects({project})"}
        if parent is not None:
            bound["msdyn_parenttask@odata.bind"] = f"/msdyn_projecttasks({parent['msdyn_projecttaskid']})"
        return synced.dataverse_api.create("msdyn_projecttasks", {**bound, "msdyn_subject": name})

    top = task("Top")
    middle = task("Middle", top)
    lowest, sibling = task("Lowest", middle), task("Sibling")
    plant(synced, "msdyn_projecttask", top["msdyn_projecttaskid"], msdyn_tasknumber="T" * 60)

    counts = synced.sync(["project_tasks"]).counts

    assert (counts.planned, counts.created, counts.quarantined, counts.waiting) == (4, 1, 1, 2)
    rows = {row.record_id: row for row in synced.open_rows()}
    assert rows[top["msdyn_projecttaskid"]].rule == "project_tasks.TaskId.length"
    for row in (middle, lowest):
        assert rows[row["msdyn_projecttaskid"]].rule == "project_tasks.waiting"
        assert "its parent row" in rows[row["msdyn_projecttaskid"]].reason

    plant(synced, "msdyn_projecttask", top["msdyn_projecttaskid"], msdyn_tasknumber=top["msdyn_tasknumber"])
    assert synced.sync(["project_tasks"]).counts.created == 3
    tasks = {row["TaskId"]: row["ParentTaskElementId"] for row in synced.finance_api.rows("ProjectTasks")}
    assert tasks[lowest["msdyn_tasknumber"]] == middle["msdyn_projecttaskid"]
    assert tasks[middle["msdyn_tasknumber"]] == top["msdyn_projecttaskid"]
    assert tasks[top["msdyn_tasknumber"]] == tasks[sibling["msdyn_tasknumber"]] == ""
    assert synced.open_rows() == []


def test_a_line_of_a_project_that_never_will_arrive_is_held_back(synced: World) -> None:
    outside = synced.dataverse_api.one("cdm_companies", "cdm_companycode eq 'DEMF'")["cdm_companyid"]
    project = synced.dataverse_api.rows("msdyn_projects", f"_msdyn_owningcompany_value eq {outside}")[0]
    line = new_line(synced, project["msdyn_projectid"], 70)

    counts = synced.sync(["projects", "contract_lines"]).counts

    assert (counts.quarantined, counts.written) == (1, 0)
    (row,) = synced.open_rows()
    assert row.rule == "projects.company"
    assert "whose company is not integrated" in row.reason
    assert project["msdyn_projectnumber"] not in finance_projects(synced)

    project = new_project(synced, "One of ours")
    bound = {"msdyn_project@odata.bind": f"/msdyn_projects({project['msdyn_projectid']})"}
    synced.dataverse_api.change(f"salesorderdetails({line['salesorderdetailid']})", bound)
    assert synced.sync(["projects", "contract_lines"]).counts.created == 2
    assert synced.open_rows() == []


def test_what_finance_refuses_is_held_back_with_its_words(synced: World) -> None:
    synced.carried = None
    rules = synced.dataverse_api.rows("msdyn_projectcontractsplitbillingrules")
    known = {row["FundingSourceId"] for row in synced.finance_api.rows("ProjectFundingSources")}
    odd, sibling = [row for row in rules if row["msdyn_number"] in known][:2]
    record = "msdyn_projectcontractsplitbillingrules({})".format
    ids = [row["msdyn_projectcontractsplitbillingruleid"] for row in (odd, sibling)]
    synced.dataverse_api.change(record(ids[0]), {"msdyn_paymentterms": "Net77"})
    synced.dataverse_api.change(record(ids[1]), {"msdyn_name": "New invoice name"})

    counts = synced.sync(["funding_sources"]).counts

    assert (counts.updated, counts.quarantined) == (1, 1)
    (row,) = synced.open_rows()
    assert row.rule == "funding_sources.refused"
    assert row.reason.startswith("Finance refused the row: ")
    assert "related table" in row.reason

    synced.dataverse_api.change(record(ids[0]), {"msdyn_paymentterms": "Net45"})
    counts = synced.sync(["funding_sources"]).counts
    assert counts.updated + counts.unchanged == 1
    assert synced.open_rows() == []
    found = {row["FundingSourceId"]: row for row in synced.finance_api.rows("ProjectFundingSources")}
    assert found[odd["msdyn_number"]]["TermsOfPayment"] == "Net45"
    assert found[sibling["msdyn_number"]]["InvoiceName"] == "New invoice name"


def test_a_row_that_goes_while_it_is_held_back_leaves_the_list(synced: World) -> None:
    held = new_project(synced, LONG)
    line = new_line(synced, held["msdyn_projectid"], 70)
    synced.sync(["projects", "contract_lines"])
    assert len(synced.open_rows()) == 2
    synced.dataverse_api.delete(f"salesorderdetails({line['salesorderdetailid']})")
    synced.dataverse_api.delete(f"msdyn_projects({held['msdyn_projectid']})")

    counts = synced.sync(["projects", "contract_lines"]).counts

    assert (counts.planned, counts.skipped) == (2, 2)
    assert synced.open_rows() == []


def test_finance_rows_are_held_back_too(synced: World) -> None:
    customers = [row for row in synced.finance_api.rows("CustomersV3") if row["dataAreaId"] == "uspm"]
    first, second = [row for row in customers if row["PartyType"] == "Organization"][:2]
    key = "CustomersV3(dataAreaId='uspm',CustomerAccount='{}')".format
    synced.finance_api.create("PaymentTerms", {"dataAreaId": "uspm", "Name": "Net99", "Description": "Net 99 days"})
    synced.finance_api.change(key(first["CustomerAccount"]), {"PaymentTerms": "Net99"})
    synced.finance_api.change(key(second["CustomerAccount"]), {"SalesMemo": "Pays late"})

    counts = synced.sync(["customers_v3"]).counts

    assert (counts.updated, counts.waiting) == (1, 1)
    (row,) = synced.open_rows()
    assert (row.direction, row.state, row.rule) == ("to_dataverse", "waiting", "payment_terms.waiting")

    counts = synced.sync(["payment_terms", "customers_v3"]).counts
    assert (counts.created, counts.updated) == (1, 1)
    assert synced.open_rows() == []
    number, company = first["CustomerAccount"], uspm(synced)
    account = synced.dataverse_api.one(
        "accounts",
        f"customertypecode eq 3 and accountnumber eq '{number}' and _msdyn_company_value eq {company}",
    )
    term = account["_msdyn_paymentterm_value"]
    assert synced.dataverse_api.one("msdyn_paymentterms", f"msdyn_paymenttermid eq {term}")["msdyn_name"] == "Net99"
