"""Rows of one map that name each other, and bases from before a map gained a column."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from upath import UPath

from dualsync.frames import read_table, write_table
from dualsync_sandbox.errors import BusinessRuleViolation
from support.steps import assert_conserved
from support.workload import add_customers, add_task, change_project, projects, row_id
from support.worlds import World, leg

TASKS = ["project_tasks"]
CUSTOMERS = ["customers_v3"]
TOO_LONG = "T-" + "1" * 60
"""As the number of a task, which Finance takes up to 50 characters."""


def created_tasks(world: World) -> list[str]:
    """Numbers of the tasks created in Finance, in the order of the requests."""
    return [
        one["body"]["TaskId"]
        for one in world.writes()
        if one["method"] == "POST" and one["path"].endswith("/ProjectTasks")
    ]


def tasks(world: World) -> dict[str, dict[str, Any]]:
    rows = world.finance("ProjectTasks", ["TaskId", "TaskName", "ParentTaskElementId", "TaskElementId"], "USPM")
    return {row["TaskId"]: row for row in rows}


def change_task(world: World, record: str, **values: Any) -> None:
    with world.sandbox.dataverse_store.transaction() as tx:
        tx.update("msdyn_projecttask", record, values)


def refuse_tasks(world: World, name: str, kind: Literal["create", "update"]) -> None:
    """Let Finance refuse tasks of that name."""

    def refuse(tx: Any, event: Any) -> None:
        if event.after["TaskName"] == name:
            raise BusinessRuleViolation("ProjectTasks", "No such task here.")

    world.sandbox.finance_store.on("ProjectTasks", {kind}, refuse, when="before")


def billing_accounts(world: World) -> dict[str, str | None]:
    """Of each account of USPM, the number of the account that pays for it."""
    rows = world.dataverse("accounts", ["accountid", "accountnumber", "msdyn_billingaccount"])
    numbers = {row["accountid"]: row["accountnumber"] for row in rows}
    return {row["accountnumber"]: numbers.get(row["msdyn_billingaccount"]) for row in rows}


def test_task_trees_are_written_parents_first(synced: World) -> None:
    project = projects(synced, "USPM")[0]
    # Made from the leaf up where the store allows it, so that neither age nor name gives the order away.
    family = {"T-9": None, "T-7": "T-9", "T-8": "T-7", "T-1": "T-8", "T-2": "T-9", "T-3": "T-1"}
    for number, parent in family.items():
        add_task(synced, project, number, parent)
    with synced.sandbox.dataverse_store.transaction() as tx:
        for number in reversed(family):
            tx.update("msdyn_projecttask", row_id(number), {"msdyn_subject": f"Again {number}"})
    synced.forget_requests()

    summary = synced.sync(TASKS, companies=["USPM"])

    assert leg(summary, "project_tasks", "USPM").counts.created == 6
    order = created_tasks(synced)
    assert sorted(order) == sorted(family)
    assert all(order.index(parent) < order.index(number) for number, parent in family.items() if parent)
    held = tasks(synced)
    for number, parent in family.items():
        assert held[number]["ParentTaskElementId"] == ("" if parent is None else row_id(parent))
    assert synced.open_rows() == []


@pytest.mark.parametrize("cause", ["our rules", "finance"])
def test_children_of_a_quarantined_task_wait_and_follow_by_themselves(synced: World, cause: str) -> None:
    project, other = projects(synced, "USPM")[:2]
    refuse_tasks(synced, "Refused", "create")
    parent = add_task(synced, project, "T-1", msdyn_subject="Refused" if cause == "finance" else "Fine")
    if cause == "our rules":
        change_task(synced, parent, msdyn_tasknumber=TOO_LONG)
    add_task(synced, project, "T-2", "T-1")
    add_task(synced, project, "T-3", "T-2")
    add_task(synced, other, "T-4")

    first = synced.sync(TASKS, companies=["USPM"])

    assert first.state == "settled"
    counts = leg(first, "project_tasks", "USPM").counts
    assert (counts.planned, counts.created, counts.quarantined, counts.waiting) == (4, 1, 1, 2)
    stand = {row.key.split("|")[-1]: row for row in synced.open_rows()}
    assert {number: row.state for number, row in stand.items()} == {
        "T-1" if cause == "finance" else TOO_LONG: "quarantined",
        "T-2": "waiting",
        "T-3": "waiting",
    }
    assert all("once that row is there" in row.reason for row in stand.values() if row.state == "waiting")

    again = synced.sync(TASKS, companies=["USPM"])
    counts = leg(again, "project_tasks", "USPM").counts
    assert (counts.planned, counts.quarantined, counts.waiting) == (3, 1, 2), "they are tried again, and still told"

    change_task(synced, parent, msdyn_subject="Good", msdyn_tasknumber="T-1")
    synced.forget_requests()
    healed = synced.sync(TASKS, companies=["USPM"])
    assert leg(healed, "project_tasks", "USPM").counts.created == 3
    assert created_tasks(synced) == ["T-1", "T-2", "T-3"]
    assert synced.open_rows() == []
    assert_conserved(synced)


def test_a_parent_whose_change_is_quarantined_holds_no_child_back(synced: World) -> None:
    project = projects(synced, "USPM")[0]
    parent = add_task(synced, project, "T-1")
    synced.sync(TASKS, companies=["USPM"])
    refuse_tasks(synced, "Refused", "update")
    change_task(synced, parent, msdyn_subject="Refused")
    add_task(synced, project, "T-2", "T-1")

    counts = leg(synced.sync(TASKS, companies=["USPM"]), "project_tasks", "USPM").counts

    assert (counts.planned, counts.created, counts.quarantined) == (2, 1, 1)
    assert tasks(synced)["T-2"]["ParentTaskElementId"] == parent


def test_customers_that_pay_for_each_other_get_it_in_the_second_pass(synced: World) -> None:
    # Two pay for each other, one pays for itself, one is paid for by a customer that is there already.
    known = next(
        iter(sorted(row["CustomerAccount"] for row in synced.finance("CustomersV3", ["CustomerAccount"], "USPM")))
    )
    payers = {"P-1": "P-2", "P-2": "P-1", "P-3": "P-3", "P-4": known}
    add_customers(synced, "uspm", payers)

    summary = synced.sync(CUSTOMERS, companies=["USPM"])

    assert summary.state == "settled", [one.message for one in summary.legs]
    assert leg(summary, "customers_v3", "USPM", "to_dataverse").counts.created == 4
    stand = billing_accounts(synced)
    assert {account: stand[account] for account in payers} == payers
    synced.forget_requests()
    for mode in ("incremental", "full"):
        quiet = synced.sync(CUSTOMERS, companies=["USPM"], mode=mode)
        assert (quiet.counts.updated, quiet.counts.conflict) == (0, 0)
    assert synced.writes() == []


def test_a_customer_whose_payer_is_refused_waits_and_gets_it_once_that_is_healed(synced: World) -> None:
    add_customers(synced, "uspm", {"P-1": "P-2", "P-2": "", "P-3": "P-1"})
    strict = True

    def refuse(tx: Any, event: Any) -> None:
        if strict and event.after["accountnumber"] == "P-2":
            raise BusinessRuleViolation("account", "P-2 needs an approval.")

    synced.sandbox.dataverse_store.on("account", {"create"}, refuse, when="before")

    first = synced.sync(CUSTOMERS, companies=["USPM"])

    counts = leg(first, "customers_v3", "USPM", "to_dataverse").counts
    assert first.state == "settled", [one.message for one in first.legs]
    assert (counts.planned, counts.created, counts.quarantined, counts.waiting) == (3, 1, 1, 1)
    assert {row.key: row.state for row in synced.open_rows()} == {"P-1": "waiting", "P-2": "quarantined"}

    again = synced.sync(CUSTOMERS, companies=["USPM"])
    assert leg(again, "customers_v3", "USPM", "to_dataverse").counts.waiting == 1

    strict = False
    healed = synced.sync(CUSTOMERS, companies=["USPM"])
    assert healed.counts.waiting + healed.counts.conflict <= 1
    synced.sync(CUSTOMERS, companies=["USPM"])
    stand = billing_accounts(synced)
    assert (stand["P-1"], stand["P-2"], stand["P-3"]) == ("P-2", None, "P-1")
    assert synced.open_rows() == []
    assert_conserved(synced)


def test_a_lookup_that_is_refused_in_the_second_pass_is_the_rows_own_failure(synced: World) -> None:
    add_customers(synced, "uspm", {"P-1": "P-2", "P-2": "P-1"})
    strict = True

    def refuse(tx: Any, event: Any) -> None:
        if strict and event.after["accountnumber"] == "P-1" and event.after["msdyn_billingaccount"]:
            raise BusinessRuleViolation("account", "P-1 pays for itself.")

    synced.sandbox.dataverse_store.on("account", {"update"}, refuse, when="before")

    first = synced.sync(CUSTOMERS, companies=["USPM"])

    assert first.state == "settled", [one.message for one in first.legs]
    counts = leg(first, "customers_v3", "USPM", "to_dataverse").counts
    assert (counts.planned, counts.created, counts.quarantined) == (2, 1, 1)
    (row,) = synced.open_rows()
    assert (row.key, row.state) == ("P-1", "quarantined")
    assert "P-1 pays for itself." in row.reason

    strict = False
    synced.sync(CUSTOMERS, companies=["USPM"])
    stand = billing_accounts(synced)
    assert (stand["P-1"], stand["P-2"]) == ("P-2", "P-1")
    assert synced.open_rows() == []


@pytest.mark.parametrize("mode", ["incremental", "full"])
def test_a_base_from_before_a_column_was_mapped_still_serves(synced: World, mode: str) -> None:
    older = {
        "projects": ["f:Description", "d:msdyn_description"],
        "customers_v3": ["f:CreditRating", "d:msdyn_creditrating"],
    }
    with synced.runtime() as runtime:
        for name, columns in older.items():
            for base in runtime.ledger.bases(name):
                path = UPath(base.path)
                write_table(path, read_table(path).drop_columns(columns))
    change_project(synced, projects(synced, "USPM")[0], msdyn_subject="Renamed", msdyn_description="Told anew")
    add_task(synced, projects(synced, "USPM")[0], "T-1")

    summary = synced.sync(["customers_v3", "projects", "project_tasks"], mode=mode)

    assert summary.state == "settled", [one.message for one in summary.legs]
    assert (summary.counts.updated, summary.counts.created, summary.counts.conflict) == (1, 1, 0)
    quiet = synced.sync(["customers_v3", "projects", "project_tasks"])
    assert (quiet.state, quiet.counts.written) == ("settled", 0)
    assert_conserved(synced)
