"""Who owns which column of an actual: changes by the other side are reported; rates and dates that posting decides."""

from __future__ import annotations

import shutil
from decimal import Decimal
from typing import Any

from cycles import ACTUALS, Cycle

from dualsync_sandbox.business.approvals import approve_time
from dualsync_sandbox.business.choices import TransactionClass, TransactionType
from dualsync_sandbox.business.journals import post_entry_journal
from dualsync_sandbox.store import Row

US = {"companies": ["USPM"]}


def posted(cycle: Cycle) -> Row:
    """A sale that went to Finance, was posted and came back."""
    _, sale = approve_time(cycle.works.dataverse, cycle.works.time(cycle.works.project()))
    cycle.send(**US)
    cycle.books()
    cycle.sync("actuals", **US)
    return sale


def to_staging(row: Row) -> str:
    return f"ProjActualsImports(dataAreaId='uspm',ActualsImportId={row['msdyn_actualimportid']})"


def to_actual(row: Row) -> str:
    return f"msdyn_actuals({row['msdyn_actualid']})"


def test_a_voucher_that_is_changed_in_dataverse_is_reported_only(cycle: Cycle) -> None:
    """G15: Finance owns voucher, accounting amount and sales tax."""
    sale = posted(cycle)
    voucher = cycle.staged(sale)["VoucherNumber"]
    cycle.dataverse.change(to_actual(sale), {"msdyn_vouchernumber": "PVO-ODD", "msdyn_accountingamount": 1})
    cycle.world.forget_requests()

    for mode in ("full", "incremental", "full"):
        cycle.sync("actuals", mode=mode, **US)
        (row,) = cycle.world.open_rows()
        assert (row.map, row.direction, row.state, row.rule) == (
            "actuals", "to_dataverse", "conflict", "actuals.owner",
        ), mode  # fmt: skip
        assert row.record_id in (sale["msdyn_actualid"], None)
        assert row.key == sale["msdyn_actualimportid"]
        assert row.reason.startswith("changed in Dataverse, which does not own it: ")
        assert "msdyn_vouchernumber" in row.reason
        assert "msdyn_accountingamount" in row.reason
    assert cycle.world.writes() == []
    assert cycle.staged(sale)["VoucherNumber"] == voucher
    assert cycle.actual(sale)["msdyn_vouchernumber"] == "PVO-ODD"

    cycle.dataverse.change(to_actual(sale), {"msdyn_vouchernumber": voucher, "msdyn_accountingamount": 1600})
    cycle.sync("actuals", mode="full", **US)
    assert cycle.world.open_rows() == []


def test_an_amount_that_is_changed_in_finance_is_reported_only(cycle: Cycle) -> None:
    """D1, E21: amount, quantity and project are Dataverse's."""
    sale = posted(cycle)
    cycle.finance.change(to_staging(sale), {"Amount": 5000, "Description": "Said in Finance"})
    cycle.world.forget_requests()

    for mode in ("full", "incremental", "full"):
        cycle.sync("actuals", mode=mode, **US)
        rows = cycle.world.open_rows(direction="to_finance")
        assert [(row.record_id, row.state, row.rule) for row in rows] == [
            (sale["msdyn_actualid"], "conflict", "actuals.owner")
        ], mode
        assert "changed in Finance, which does not own it: Amount, Description" in rows[0].reason
    assert cycle.world.writes() == []
    assert cycle.actual(sale)["msdyn_amount"] == 1600

    cycle.dataverse.change(to_actual(sale), {"msdyn_description": "Said by its owner"})
    cycle.world.forget_requests()
    assert cycle.sync("actuals", **US).counts.updated == 1
    (request,) = cycle.world.writes()
    assert request["body"] == {"Description": "Said by its owner"}, "the amount is left as it is"
    assert cycle.staged(sale)["Amount"] == 5000


def test_a_new_voucher_by_its_owner_travels(cycle: Cycle) -> None:
    """The same columns, changed by the side that owns them, go through."""
    sale = posted(cycle)
    cycle.finance.change(to_staging(sale), {"VoucherNumber": "PVO-CORRECTED", "SalesTaxAmount": 12.5})
    assert cycle.sync("actuals", **US).counts.updated == 1
    actual = cycle.actual(sale)
    assert (actual["msdyn_vouchernumber"], actual["msdyn_salestaxamount"]) == ("PVO-CORRECTED", Decimal("12.5"))


def test_the_example_of_a_fixed_rate(cycle: Cycle) -> None:
    """H8: 4 hours of 250 pounds at 1.25 are 1,250 dollars; Finance keeps the rate times one hundred."""
    works = cycle.works
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
    cycle.send(**US)
    contract = cycle.staged(sale)["ContractId"]
    agreed = {"dataAreaId": "uspm", "ProjectContractId": contract, "CurrencyCode": "GBP", "ExchangeRate": 125}
    cycle.finance.create("FixedExchangeRates", agreed)

    cycle.books()
    cycle.sync("actuals", **US)

    staged, actual = cycle.staged(sale), cycle.actual(sale)
    assert (staged["Quantity"], staged["UnitPrice"], staged["Amount"], staged["TransactionCurrencyId"]) == (
        4, 250, 1000, "GBP",
    )  # fmt: skip
    assert (staged["AccountingAmount"], staged["ExchangeRate"]) == (1250, 125)
    assert (actual["msdyn_accountingamount"], actual["exchangerate"], actual["msdyn_amount"]) == (1250, 125, 1000)


def test_what_finance_changes_before_there_is_a_voucher_is_reported_only(cycle: Cycle) -> None:
    """Rate, accounting date and external reference are Finance's from the voucher on, and Dataverse's until then."""
    works = cycle.works
    _, sale = approve_time(works.dataverse, works.time(works.project(currency="GBP")))
    cycle.dataverse.change(to_actual(sale), {"msdyn_externalreferenceid": "REF-1"})
    cycle.send(**US)
    said = {"ExchangeRate": 99, "AccountingDate": "2026-03-20T12:00:00Z", "ExternalReference": "SAID-IN-FINANCE"}
    before = {"ExchangeRate": 0.785, "ExternalReference": "REF-1"}
    names = ("exchangerate", "msdyn_accountingdate", "msdyn_externalreferenceid")
    here = [cycle.actual(sale)[name] for name in names]
    cycle.finance.change(to_staging(sale), said)
    cycle.world.forget_requests()

    for mode in ("incremental", "full", "incremental", "full"):
        cycle.sync("actuals", mode=mode, **US)
    (row,) = cycle.world.open_rows()
    assert (row.record_id, row.direction, row.state, row.rule) == (
        sale["msdyn_actualid"], "to_finance", "conflict", "actuals.owner",
    )  # fmt: skip
    assert row.reason.startswith("changed in Finance, which does not own it: ")
    assert all(name in row.reason for name in said)
    assert cycle.world.writes() == []
    assert [cycle.actual(sale)[name] for name in names] == here
    assert {name: cycle.staged(sale)[name] for name in said} == said

    # what Dataverse changes now travels, and only that
    cycle.dataverse.change(to_actual(sale), {"msdyn_accountingdate": "2026-03-06"})
    assert cycle.sync("actuals", **US).counts.updated == 1
    assert cycle.staged(sale)["AccountingDate"][:10] == "2026-03-06"
    assert cycle.staged(sale)["ExchangeRate"] == 99
    cycle.finance.change(to_staging(sale), before)
    cycle.sync("actuals", mode="full", **US)
    assert cycle.world.open_rows() == []


def test_the_accounting_date_is_dataverses_until_it_is_posted(cycle: Cycle) -> None:
    """G6, and the columns whose owner changes with the voucher."""
    works = cycle.works
    _, sale = approve_time(works.dataverse, works.time(works.project()))
    cycle.send(**US)
    cycle.dataverse.change(to_actual(sale), {"msdyn_accountingdate": "2026-03-05"})
    assert cycle.sync("actuals", **US).counts.updated == 1
    assert cycle.staged(sale)["AccountingDate"][:10] == "2026-03-05"

    with works.finance.transaction() as tx:
        for period in tx.find("FiscalPeriods", dataAreaId="uspm", StartDate="2026-03-01"):
            tx.update("FiscalPeriods", period["RecId"], {"Status": "Closed"})
    cycle.books()
    assert cycle.staged(sale)["AccountingDate"][:10] == "2026-04-01"
    cycle.sync("actuals", **US)
    actual = cycle.actual(sale)
    assert (actual["msdyn_accountingdate"], actual["msdyn_documentdate"]) == ("2026-04-01", "2026-03-02")

    # From now on the date is Finance's: what Dataverse says does not travel, and a full run tells of it.
    cycle.dataverse.change(to_actual(sale), {"msdyn_accountingdate": "2026-03-09", "exchangerate": 1})
    cycle.world.forget_requests()
    for mode in ("incremental", "full", "incremental"):
        cycle.sync("actuals", mode=mode, **US)
    (row,) = cycle.world.open_rows()
    assert (row.direction, row.rule) == ("to_dataverse", "actuals.owner")
    assert row.reason.startswith("changed in Dataverse, which does not own it: ")
    assert "msdyn_accountingdate" in row.reason
    assert "exchangerate" in row.reason
    assert cycle.world.writes() == []
    assert cycle.staged(sale)["AccountingDate"][:10] == "2026-04-01"

    cycle.dataverse.change(to_actual(sale), {"msdyn_accountingdate": "2026-04-01", "exchangerate": 100})
    cycle.sync("actuals", mode="full", **US)
    assert cycle.world.open_rows() == []


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
