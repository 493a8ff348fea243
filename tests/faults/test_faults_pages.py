"""Reading goes wrong half-way: links that lead nowhere, tokens that expire, rows that move while pages are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from support.disturbed import Disturbed, messages
from support.workload import add_customers

CUSTOMERS = ["customers_v3"]
PROJECTS = ["projects"]
ACCOUNT = {"dataAreaId": "uspm", "CustomerAccount": "B-1"}


def rows(disturbed: Disturbed, company: str = "uspm") -> list[dict[str, Any]]:
    """Customers of a company in Finance, in the order they are read."""
    with disturbed.world.sandbox.finance_store.reading() as tx:
        found = [dict(row) for row in tx.find("CustomersV3", dataAreaId=company)]
    return sorted(found, key=lambda row: str(row["CustomerAccount"]).lower())


def accounts(disturbed: Disturbed) -> list[str]:
    """Numbers of the accounts in Dataverse."""
    with disturbed.world.sandbox.dataverse_store.reading() as tx:
        return sorted(str(row["accountnumber"]) for row in tx.find("account"))


def small_pages(disturbed: Disturbed) -> None:
    disturbed.world.sandbox.limits.change({"finance": {"page": 3}})


def between_pages(disturbed: Disturbed, edits: Sequence[dict[str, Any]]) -> None:
    """Somebody edits customers of Finance after their first page was read."""
    disturbed.plan("rows_change", system="finance", method="GET", path="/CustomersV3", times=1, edits=edits)


def test_a_row_deleted_from_a_page_that_was_read_hides_no_other(disturbed: Disturbed) -> None:
    """Pages are counted by position in Finance: the row that moved up to a page already read was never seen."""
    add_customers(disturbed.world, "uspm", {"B-1": "", "B-2": ""})
    assert disturbed.run(CUSTOMERS).state == "settled"
    small_pages(disturbed)
    add_customers(disturbed.world, "uspm", {"Z-1": ""})
    between_pages(disturbed, [{"table": "CustomersV3", "where": ACCOUNT}])

    summary = disturbed.run(CUSTOMERS)

    assert disturbed.struck == 1
    assert summary.state == "settled", messages(summary)
    assert (summary.counts.created, summary.counts.conflict) == (1, 0)
    assert disturbed.world.open_rows() == [], "no other customer is taken for deleted"
    disturbed.run(CUSTOMERS)
    (gone,) = disturbed.world.open_rows()
    assert (gone.key, gone.rule) == ("B-1", "customers_v3.deleted")


def test_a_row_created_before_those_that_were_read_comes_once(disturbed: Disturbed) -> None:
    """The last row of a page moves to the next one and was read twice, as if Finance held two."""
    small_pages(disturbed)
    last = rows(disturbed)[2]
    with disturbed.world.sandbox.finance_store.transaction() as tx:
        tx.update("CustomersV3", last["RecId"], {"CreditRating": "Excellent"})
    model = {name: value for name, value in rows(disturbed)[0].items() if name not in ("RecId", "RecVersion")}
    new = model | {"CustomerAccount": "A-1", "InvoiceAccount": ""}
    between_pages(disturbed, [{"table": "CustomersV3", "values": new}])

    summary = disturbed.run(CUSTOMERS)

    assert disturbed.struck == 1
    assert summary.counts.conflict == 0
    assert disturbed.world.open_rows() == []
    assert disturbed.run(CUSTOMERS).counts.created == 1
    assert "A-1" in accounts(disturbed)


def test_rows_that_change_while_pages_are_read_arrive_at_last(disturbed: Disturbed) -> None:
    """A change to a row that was read already is the next run's; one to a row that was not is this run's."""
    small_pages(disturbed)
    first, last = rows(disturbed)[0], rows(disturbed)[-1]
    edits = [
        {
            "table": "CustomersV3",
            "where": {"dataAreaId": "uspm", "CustomerAccount": one["CustomerAccount"]},
            "values": {"CreditRating": "Excellent"},
        }
        for one in (first, last)
    ]
    between_pages(disturbed, edits)

    disturbed.run(CUSTOMERS)
    disturbed.run(CUSTOMERS)

    with disturbed.world.sandbox.dataverse_store.reading() as tx:
        held = {row["accountnumber"]: row["msdyn_creditrating"] for row in tx.find("account")}
    assert [held[one["CustomerAccount"]] for one in (first, last)] == ["Excellent", "Excellent"]
    assert disturbed.run(CUSTOMERS).counts.planned == 0


@pytest.mark.parametrize("kind", ["repeated_link", "expired_link"])
def test_links_that_lead_nowhere_stop_the_leg_and_say_so(disturbed: Disturbed, kind: str) -> None:
    disturbed.calm(PROJECTS)
    disturbed.plan(kind, system="dataverse", path="/msdyn_projects")

    summary = disturbed.run(PROJECTS, page=1)

    (leg,) = summary.legs
    assert (summary.state, leg.state) == ("failed", "failed")
    assert {"repeated_link": "link of a page that was read before", "expired_link": "expired"}[kind] in leg.message
    disturbed.world.sandbox.faults.clear()
    assert disturbed.run(PROJECTS, page=1).state == "settled"
    disturbed.assert_calm(PROJECTS)


def test_a_change_token_that_expires_costs_a_full_read_and_nothing_else(disturbed: Disturbed) -> None:
    disturbed.calm(PROJECTS)
    disturbed.plan("expired_token", times=1)

    summary = disturbed.run(PROJECTS)

    assert disturbed.struck == 1
    assert summary.state == "settled", messages(summary)
    disturbed.assert_calm(PROJECTS)


def test_a_change_token_that_expires_while_its_pages_are_read(disturbed: Disturbed) -> None:
    """The first page was given; the next one is refused because the token has expired meanwhile."""
    disturbed.calm(PROJECTS)
    disturbed.plan("expired_token", skip=1, times=1)

    summary = disturbed.run(PROJECTS, page=1)

    assert disturbed.struck == 1
    assert summary.state == "settled", messages(summary)
    disturbed.assert_calm(PROJECTS)
