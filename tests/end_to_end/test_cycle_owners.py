"""Who owns which column of an actual: changes by the other side are reported; rates and dates that posting decides."""

from __future__ import annotations

import shutil
from decimal import Decimal
from typing import Any

import pytest

from dualsync_sandbox.business.dataverse.choices import TransactionClass, TransactionType
from dualsync_sandbox.business.dataverse.entries.approvals import approve_time
from dualsync_sandbox.business.dataverse.journals import post_entry_journal
from dualsync_sandbox.store import Row
from support.cycles import ACTUALS, Cycle

pytestmark = pytest.mark.slow

US = {"companies": ["USPM"]}


@pytest.fixture(scope="module")
def posted(shared: Cycle) -> dict[str, Row]:
    """Sales that went to Finance, were posted and came back, one for each test that needs one."""
    works = shared.works
    project = works.project()
    names = ("voucher", "amount", "new voucher")
    sales = {name: approve_time(works.dataverse, works.time(project))[1] for name in names}
    shared.send(**US)
    shared.books()
    shared.sync("actuals", **US)
    return sales


def march(cycle: Cycle, status: str) -> None:
    """Close the fiscal period, or open it again."""
    with cycle.works.finance.transaction() as tx:
        for period in tx.find("FiscalPeriods", dataAreaId="uspm", StartDate="2026-03-01"):
            tx.update("FiscalPeriods", period["RecId"], {"Status": status})


def to_staging(row: Row) -> str:
    return f"ProjActualsImports(dataAreaId='uspm',ActualsImportId={row['msdyn_actualimportid']})"


def to_actual(row: Row) -> str:
    return f"msdyn_actuals({row['msdyn_actualid']})"


def test_a_voucher_that_is_changed_in_dataverse_is_reported_only(shared: Cycle, posted: dict[str, Row]) -> None:
    """Finance owns voucher, accounting amount and sales tax [G15]."""
    sale = posted["voucher"]
    voucher = shared.staged(sale)["VoucherNumber"]
    shared.dataverse.change(to_actual(sale), {"msdyn_vouchernumber": "PVO-ODD", "msdyn_accountingamount": 1})
    shared.world.forget_requests()

    for mode in ("full", "incremental", "full"):
        shared.sync("actuals", mode=mode, **US)
        (row,) = shared.world.open_rows()
        assert (row.map, row.direction, row.state, row.rule) == (
            "actuals", "to_dataverse", "conflict", "actuals.owner",
        ), mode  # fmt: skip
        assert row.record_id in (sale["msdyn_actualid"], None)
        assert row.key == sale["msdyn_actualimportid"]
        assert row.reason.startswith("changed in Dataverse, which does not own it: ")
        assert "msdyn_vouchernumber" in row.reason
        assert "msdyn_accountingamount" in row.reason
    assert shared.world.writes() == []
    assert shared.staged(sale)["VoucherNumber"] == voucher
    assert shared.actual(sale)["msdyn_vouchernumber"] == "PVO-ODD"

    shared.dataverse.change(to_actual(sale), {"msdyn_vouchernumber": voucher, "msdyn_accountingamount": 1600})
    shared.sync("actuals", mode="full", **US)
    assert shared.world.open_rows() == []


def test_an_amount_that_is_changed_in_finance_is_reported_only(shared: Cycle, posted: dict[str, Row]) -> None:
    """Amount, quantity and project are Dataverse's [D1, E21]."""
    sale = posted["amount"]
    shared.finance.change(to_staging(sale), {"Amount": 5000, "Description": "Said in Finance"})
    shared.world.forget_requests()

    for mode in ("full", "incremental", "full"):
        shared.sync("actuals", mode=mode, **US)
        rows = shared.world.open_rows(direction="to_finance")
        assert [(row.record_id, row.state, row.rule) for row in rows] == [
            (sale["msdyn_actualid"], "conflict", "actuals.owner")
        ], mode
        assert "changed in Finance, which does not own it: Amount, Description" in rows[0].reason
    assert shared.world.writes() == []
    assert shared.actual(sale)["msdyn_amount"] == 1600

    shared.dataverse.change(to_actual(sale), {"msdyn_description": "Said by its owner"})
    shared.world.forget_requests()
    assert shared.sync("actuals", **US).counts.updated == 1
    (request,) = shared.world.writes()
    assert request["body"] == {"Description": "Said by its owner"}, "the amount is left as it is"
    assert shared.staged(sale)["Amount"] == 5000

    shared.finance.change(to_staging(sale), {"Amount": 1600})
    shared.sync("actuals", mode="full", **US)
    assert shared.world.open_rows() == []


def test_a_new_voucher_by_its_owner_travels(shared: Cycle, posted: dict[str, Row]) -> None:
    """The same columns, changed by the side that owns them, go through."""
    sale = posted["new voucher"]
    shared.finance.change(to_staging(sale), {"VoucherNumber": "PVO-CORRECTED", "SalesTaxAmount": 12.5})
    assert shared.sync("actuals", **US).counts.updated == 1
    actual = shared.actual(sale)
    assert (actual["msdyn_vouchernumber"], actual["msdyn_salestaxamount"]) == ("PVO-CORRECTED", Decimal("12.5"))


def test_the_example_of_a_fixed_rate(shared: Cycle) -> None:
    """4 hours of 250 pounds at 1.25 are 1,250 dollars; Finance keeps the rate times one hundred [H8]."""
    works = shared.works
    project = works.project(currency="GBP")
    line: dict[str, Any] = {
        "msdyn_transactiontypecode": TransactionType.UNBILLED_SALES,
        "msdyn_transactionclassification": TransactionClass.TIME,
        "msdyn_project": project,
        "msdyn_transactioncategory": works.category("Consulting"),
        "msdyn_documentdate": "2026-03-02",
        "msdyn_quantity": Decimal(4),
        "msdyn_price": Decimal(250),
    }
    (sale,) = post_entry_journal(works.dataverse, [line])
    shared.send(**US)
    contract = shared.staged(sale)["ContractId"]
    agreed = {"dataAreaId": "uspm", "ProjectContractId": contract, "CurrencyCode": "GBP", "ExchangeRate": 125}
    shared.finance.create("FixedExchangeRates", agreed)

    shared.books()
    shared.sync("actuals", **US)

    staged, actual = shared.staged(sale), shared.actual(sale)
    assert (staged["Quantity"], staged["UnitPrice"], staged["Amount"], staged["TransactionCurrencyId"]) == (
        4, 250, 1000, "GBP",
    )  # fmt: skip
    assert (staged["AccountingAmount"], staged["ExchangeRate"]) == (1250, 125)
    assert (actual["msdyn_accountingamount"], actual["exchangerate"], actual["msdyn_amount"]) == (1250, 125, 1000)


def test_what_finance_changes_before_there_is_a_voucher_is_reported_only(shared: Cycle) -> None:
    """Rate, accounting date and external reference are Finance's from the voucher on, and Dataverse's until then."""
    works = shared.works
    _, sale = approve_time(works.dataverse, works.time(works.project(currency="GBP")))
    shared.dataverse.change(to_actual(sale), {"msdyn_externalreferenceid": "REF-1"})
    shared.send(**US)
    said = {"ExchangeRate": 99, "AccountingDate": "2026-03-20T12:00:00Z", "ExternalReference": "SAID-IN-FINANCE"}
    before = {"ExchangeRate": 0.785, "ExternalReference": "REF-1"}
    names = ("exchangerate", "msdyn_accountingdate", "msdyn_externalreferenceid")
    here = [shared.actual(sale)[name] for name in names]
    shared.finance.change(to_staging(sale), said)
    shared.world.forget_requests()

    for mode in ("incremental", "full", "incremental"):
        shared.sync("actuals", mode=mode, **US)
    (row,) = shared.world.open_rows()
    assert (row.record_id, row.direction, row.state, row.rule) == (
        sale["msdyn_actualid"], "to_finance", "conflict", "actuals.owner",
    )  # fmt: skip
    assert row.reason.startswith("changed in Finance, which does not own it: ")
    assert all(name in row.reason for name in said)
    assert shared.world.writes() == []
    assert [shared.actual(sale)[name] for name in names] == here
    assert {name: shared.staged(sale)[name] for name in said} == said

    # what Dataverse changes now travels, and only that
    shared.dataverse.change(to_actual(sale), {"msdyn_accountingdate": "2026-03-06"})
    assert shared.sync("actuals", **US).counts.updated == 1
    assert shared.staged(sale)["AccountingDate"][:10] == "2026-03-06"
    assert shared.staged(sale)["ExchangeRate"] == 99
    shared.finance.change(to_staging(sale), before)
    shared.sync("actuals", mode="full", **US)
    assert shared.world.open_rows() == []


def test_the_accounting_date_is_dataverses_until_it_is_posted(shared: Cycle) -> None:
    """Also the columns whose owner changes with the voucher [G6]."""
    works = shared.works
    _, sale = approve_time(works.dataverse, works.time(works.project()))
    shared.send(**US)
    shared.dataverse.change(to_actual(sale), {"msdyn_accountingdate": "2026-03-05"})
    assert shared.sync("actuals", **US).counts.updated == 1
    assert shared.staged(sale)["AccountingDate"][:10] == "2026-03-05"

    march(shared, "Closed")
    shared.books()
    march(shared, "Open")
    assert shared.staged(sale)["AccountingDate"][:10] == "2026-04-01"
    shared.sync("actuals", **US)
    actual = shared.actual(sale)
    assert (actual["msdyn_accountingdate"], actual["msdyn_documentdate"]) == ("2026-04-01", "2026-03-02")

    # From now on the date is Finance's: what Dataverse says does not travel, and a full run tells of it.
    shared.dataverse.change(to_actual(sale), {"msdyn_accountingdate": "2026-03-09", "exchangerate": 1})
    shared.world.forget_requests()
    for mode in ("incremental", "full", "incremental"):
        shared.sync("actuals", mode=mode, **US)
    (row,) = shared.world.open_rows()
    assert (row.direction, row.rule) == ("to_dataverse", "actuals.owner")
    assert row.reason.startswith("changed in Dataverse, which does not own it: ")
    assert "msdyn_accountingdate" in row.reason
    assert "exchangerate" in row.reason
    assert shared.world.writes() == []
    assert shared.staged(sale)["AccountingDate"][:10] == "2026-04-01"

    shared.dataverse.change(to_actual(sale), {"msdyn_accountingdate": "2026-04-01", "exchangerate": 100})
    shared.sync("actuals", mode="full", **US)
    assert shared.world.open_rows() == []


def test_what_is_posted_is_not_undone_by_the_first_run(cycle: Cycle) -> None:
    """Adoption of staging rows that Finance has posted and Dataverse has not heard of: the accounting comes back."""
    works = cycle.works
    actuals = approve_time(works.dataverse, works.time(works.project(currency="GBP")))
    cycle.send(**US)
    cycle.books()
    with cycle.world.runtime() as runtime:
        maps = runtime.catalog.order({*ACTUALS, *(n for m in ACTUALS for n in runtime.catalog.ancestors(m))})
    shutil.rmtree(cycle.world.home / ".dualsync")
    before = [cycle.staged(row) for row in actuals]

    cycle.sync(*maps, **US)

    assert [cycle.staged(row) for row in actuals] == before
    for row, staged in zip(actuals, before, strict=True):
        actual = cycle.actual(row)
        assert staged["IsJournalized"] == "Yes"
        assert actual["msdyn_isjournalized"] is True
        assert actual["exchangerate"] == staged["ExchangeRate"] != row["exchangerate"]
        assert (actual["msdyn_vouchernumber"], actual["msdyn_accountingamount"]) == (
            staged["VoucherNumber"], staged["AccountingAmount"],
        )  # fmt: skip
    cycle.world.forget_requests()
    cycle.sync("actuals", mode="full", **US)
    assert cycle.world.writes() == []
    assert cycle.world.open_rows() == []
