"""Work that one company lends to another: [K1 to K6] by the documented example of ten hours, invoice and reversal."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from dualsync_sandbox.business.dataverse.choices import BillingMethod, TransactionClass
from dualsync_sandbox.business.dataverse.entries.approvals import approve_time, cancel_approval
from dualsync_sandbox.business.finance import jobs as finance_jobs
from dualsync_sandbox.business.finance.invoicing.intercompany import post_intercompany_invoice
from dualsync_sandbox.business.finance.procurement.vendor_invoices import post_vendor_invoice
from dualsync_sandbox.store import Row
from support.cycles import ACTUALS, Cycle, total

pytestmark = pytest.mark.slow

Api = dict[str, Any]

BOTH = {"companies": ["USPM", "GBPM"]}
DOLLARS_IN_POUNDS = Decimal("942.29")
"""1,200 dollars, at 127.35 dollars for a hundred pounds."""


@dataclass
class Story:
    """An American project with ten hours of a British consultant."""

    project: str
    made: list[Row]
    fixed: list[Row]
    within: list[Row]
    refused: tuple[tuple[str, str], ...] = ()
    log: list[Api] = field(default_factory=list)
    pending: Api = field(default_factory=dict)


def lent(cycle: Cycle, project: str, **values: Any) -> str:
    resource = cycle.works.resource("GBPM")
    return cycle.works.time(project, "10", msdyn_bookableresource=resource, **values)


@pytest.fixture(scope="module")
def story(shared: Cycle) -> Story:
    works = shared.works
    project = works.project()
    made = approve_time(works.dataverse, lent(shared, project))
    fixed = approve_time(works.dataverse, lent(shared, works.project(BillingMethod.FIXED_PRICE)))
    unit = {"msdyn_name": "Second unit", "msdyn_company": works.company(), "transactioncurrencyid": works.currency()}
    with works.dataverse.transaction() as tx:
        other = tx.insert("msdyn_organizationalunit", unit)["msdyn_organizationalunitid"]
    within = approve_time(works.dataverse, works.time(works.project(), msdyn_resourceorganizationalunitid=other))
    told = Story(project, made, fixed, within)
    shared.send(**BOTH)
    assert shared.world.open_rows() == []

    relation = "IntercompanyRelations(dataAreaId='gbpm',BorrowingCompany='uspm')"
    shared.finance.change(relation, {"HasTradingRelation": "No"})
    told.refused = finance_jobs.import_from_staging(works.finance, "GBPM").refused
    told.log = shared.finance.rows("ImportLog")
    shared.finance.change(relation, {"HasTradingRelation": "Yes"})
    shared.books("USPM", "GBPM")
    shared.sync("actuals", **BOTH)
    (invoice,) = post_intercompany_invoice(works.finance, "GBPM", "USPM", "2026-03-31")
    told.pending = shared.finance.one("VendorInvoiceHeaders", f"VendorInvoiceNum eq '{invoice['InvoiceId']}'")
    post_vendor_invoice(works.finance, "USPM", told.pending["TableRefId"])
    return told


def test_four_actuals_of_which_three_travel(shared: Cycle, story: Story) -> None:
    """1,200 cost stays; 2,000 to the borrowing, 880 and 1,200 to the lending company [K1, K3, K6, R26]."""
    cost, *travelling = story.made
    assert (cost["msdyn_amount"], cost["msdyn_skipsync"]) == (1200, True)
    assert shared.finance.rows("ProjActualsImports", f"ActualId eq {cost['msdyn_actualid']}") == []
    told = [
        (row["dataAreaId"], row["TransactionType"], row["Quantity"], row["UnitPrice"], row["Amount"],
         row["TransactionCurrencyId"])
        for row in map(shared.staged, travelling)
    ]  # fmt: skip
    assert told == [
        ("uspm", "Sales", 10, 200, 2000, "USD"),
        ("gbpm", "ResourcingUnitCost", 10, 88, 880, "GBP"),
        ("gbpm", "InterOrgSales", 10, 120, 1200, "USD"),
    ]


def test_all_of_them_resolve_their_project_in_the_borrowing_company(shared: Cycle, story: Story) -> None:
    """The lending company's rows name the other company's project, task, contract and contract line [K3]."""
    number = shared.number(story.project)
    columns = ("ProjectId", "ProjectDataAreaId", "TaskNumber", "ContractId", "ContractLine", "ContractLineId")
    rows = [{name: row[name] for name in columns} for row in map(shared.staged, story.made[1:])]
    assert rows[0] == rows[1] == rows[2]
    assert (rows[0]["ProjectId"], rows[0]["ProjectDataAreaId"].lower()) == (number, "uspm")
    assert all(rows[0].values())
    assert shared.finance.rows("ProjectsV2", f"dataAreaId eq 'gbpm' and ProjectId eq '{number}'") == []
    assert {row["ResourcingCompany"] for row in map(shared.staged, story.made[1:])} == {"GBPM"}


def test_without_the_intercompany_set_up_finance_refuses(shared: Cycle, story: Story) -> None:
    """Said in Finance's log by the documented words; the next import takes the rows [K4]."""
    imports = {row["msdyn_actualimportid"]: row["msdyn_actualid"] for row in [*story.made[2:], *story.fixed[1:]]}
    assert {key for key, _ in story.refused} == imports.keys()
    assert {row["ActualsImportId"] for row in story.log} == imports.keys()
    for row in story.log:
        actual = imports[row["ActualsImportId"]]
        assert row["dataAreaId"] == "gbpm"
        assert row["Message"].startswith(
            f"Unable to import actual {{{actual}}}. Intercompany relationship has to be set up"
        )


def test_the_lending_company_has_ledger_entries_and_no_project_transaction(shared: Cycle, story: Story) -> None:
    """Dr and Cr in each company's own books [K3]."""
    _, _, unit_cost, charged = story.made
    for row, amount in ((unit_cost, 880), (charged, DOLLARS_IN_POUNDS)):
        line = shared.line(row)
        entries = shared.finance.rows("LedgerEntries", f"dataAreaId eq 'gbpm' and Voucher eq '{line['Voucher']}'")
        assert [(one["Debit"], one["Credit"]) for one in entries] == [(amount, 0), (0, amount)]
    assert shared.finance.rows("ProjectTransactions", "dataAreaId eq 'gbpm'") == []
    here = shared.finance.rows("ProjectTransactions", f"ProjectId eq '{shared.number(story.project)}'")
    sales = [row for row in here if row["TransactionOrigin"] == "IntegrationJournal"]
    assert [(row["dataAreaId"], row["SalesAmountAccountingCurrency"]) for row in sales] == [("uspm", 2000)]
    assert shared.line(charged)["RelatedVoucher"] == shared.line(unit_cost)["Voucher"]


def test_the_accounting_comes_back_in_each_companys_currency(shared: Cycle, story: Story) -> None:
    """880 and 942.29 pounds, 2,000 dollars; the cost that stayed home has none [G15]."""
    cost, *travelled = [shared.actual(row) for row in story.made]
    assert [row["msdyn_accountingamount"] for row in travelled] == [2000, 880, DOLLARS_IN_POUNDS]
    assert all(row["msdyn_vouchernumber"] for row in travelled)
    assert (cost["msdyn_vouchernumber"], cost["msdyn_accountingamount"]) == (None, None)


def test_the_lending_company_invoices_the_borrowing_one(shared: Cycle, story: Story) -> None:
    """Inter-org sales, customer invoice, vendor invoice and project cost are one amount [K5, R27]."""
    number = story.pending["VendorInvoiceNum"]
    invoice = shared.finance.one("ProjCustomerInvoices", f"InvoiceId eq '{number}'")
    facts = ("dataAreaId", "InvoiceType", "BorrowingCompany", "CurrencyCode", "TotalAmount")
    assert [invoice[name] for name in facts] == ["gbpm", "Intercompany", "uspm", "USD", 2400]
    lines = shared.finance.rows("IntercompanyInvoiceLines", f"InvoiceId eq '{number}'")
    sales = [shared.staged(story.made[-1]), shared.staged(story.fixed[-1])]
    # both are of one day, so that either may come first
    assert sorted((line["ActualsImportId"], line["Amount"]) for line in lines) == sorted(
        (row["ActualsImportId"], row["Amount"]) for row in sales
    )
    columns = ("dataAreaId", "InvoiceStatus", "CurrencyCode", "IsIntercompany")
    assert [story.pending[name] for name in columns] == ["uspm", "Pending", "USD", "Yes"]
    charged = shared.finance.rows("VendorInvoiceLines", f"TableRefId eq '{story.pending['TableRefId']}'")
    assert sorted((line["ProjId"], line["NetAmount"]) for line in charged) == sorted(
        (row["ProjectId"], 1200) for row in sales
    )
    for row in sales:
        booked = shared.finance.rows("ProjectTransactions", f"ProjectId eq '{row['ProjectId']}'")
        (cost,) = [one for one in booked if one["TransactionOrigin"] == "IntercompanyVendorInvoice"]
        assert (cost["dataAreaId"], cost["CostAmountAccountingCurrency"]) == ("uspm", 1200)
    assert shared.finance.rows("VendInvoiceExportsV2", f"VendorInvoiceNum eq '{number}'") == []
    entries = shared.finance.rows("LedgerEntries", f"Voucher eq '{invoice['Voucher']}'")
    told = {row["PostingType"]: row["Debit"] - row["Credit"] for row in entries}
    assert told == {
        "IntercompanyReceivable": 2 * DOLLARS_IN_POUNDS - Decimal("0.01"),
        "IntercompanyRevenue": -2 * DOLLARS_IN_POUNDS + Decimal("0.01"),
        "IntercompanyAccruedRevenueCredit": 2 * DOLLARS_IN_POUNDS,
        "IntercompanyAccruedRevenueDebit": -2 * DOLLARS_IN_POUNDS,
    }


def test_a_fixed_price_has_no_unbilled_sale(shared: Cycle, story: Story) -> None:
    """Three actuals, of which two travel [K1]."""
    assert len(story.fixed) == 3
    rows = [shared.staged(row) for row in story.fixed[1:]]
    assert [(row["dataAreaId"], row["TransactionType"], row["Amount"]) for row in rows] == [
        ("gbpm", "ResourcingUnitCost", 880),
        ("gbpm", "InterOrgSales", 1200),
    ]


def test_another_unit_of_the_same_company_stays_home(shared: Cycle, story: Story) -> None:
    """Cost and unbilled sale travel, the pair does not [K2]."""
    ids = [row["msdyn_actualid"] for row in story.within]
    found = [bool(shared.finance.rows("ProjActualsImports", f"ActualId eq {actual}")) for actual in ids]
    assert found == [True, True, False, False]


def test_the_pair_is_connected_in_finance(shared: Cycle, story: Story) -> None:
    """Also with the cost that never travels [F1]."""
    cost, sale, unit_cost, charged = (row["msdyn_actualid"] for row in story.made)
    ends = {
        (row["Transaction1Id"], row["Transaction2Id"])
        for row in shared.relationships()
        if cost in (row["Transaction1Id"], row["Transaction2Id"]) or row["Transaction2Id"] == unit_cost
    }
    assert ends == {(sale, cost), (charged, unit_cost), (charged, cost)}


def test_a_cancelled_loan_adds_up_to_nothing(shared: Cycle, story: Story) -> None:
    """Each reversal goes where its original went [E6, K3, R10]."""
    works = shared.works
    project = works.project()
    entry = lent(shared, project)
    approve_time(works.dataverse, entry)
    shared.send(**BOTH)
    shared.books("USPM", "GBPM")
    cancel_approval(works.dataverse, TransactionClass.TIME, entry)
    shared.sync(*ACTUALS, **BOTH)
    shared.books("USPM", "GBPM")
    shared.sync("actuals", **BOTH)

    rows = shared.staging(project)
    assert sorted((row["dataAreaId"], row["TransactionType"]) for row in rows) == [
        ("gbpm", "InterOrgSales"),
        ("gbpm", "InterOrgSales"),
        ("gbpm", "ResourcingUnitCost"),
        ("gbpm", "ResourcingUnitCost"),
        ("uspm", "Sales"),
        ("uspm", "Sales"),
    ]
    for kind in ("InterOrgSales", "ResourcingUnitCost", "Sales"):
        of_kind = [row for row in rows if row["TransactionType"] == kind]
        assert [total(of_kind, name) for name in ("Quantity", "Amount", "AccountingAmount")] == [0, 0, 0]
    assert story.project != project


def test_a_resource_of_a_company_that_is_not_integrated(shared: Cycle, story: Story) -> None:
    """The lending company's own rows stay home, for its books are elsewhere; the borrowing company's go [K2]."""
    works = shared.works
    project = works.project()
    entry = works.time(project, "10", msdyn_resourcingcompany=works.company("DEMF"))
    approve_time(works.dataverse, entry)

    shared.send(**BOTH)

    assert [
        (row["dataAreaId"], row["TransactionType"], row["ResourcingCompany"]) for row in shared.staging(project)
    ] == [("uspm", "Sales", "DEMF")]
    assert shared.world.open_rows() == []
    assert story.project != project
