"""What one company buys for another, and what packing slips take from stock: [K8, K5, J15, G18], field by field."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from dualsync_sandbox.business.finance import jobs as finance_jobs
from dualsync_sandbox.business.finance.invoicing.intercompany import post_intercompany_invoice
from dualsync_sandbox.business.finance.procurement.packing_slips import SlipLine, post_packing_slip
from dualsync_sandbox.business.finance.procurement.vendor_invoices import (
    VendorInvoice,
    VendorLine,
    file_vendor_invoice,
    post_vendor_invoice,
)
from dualsync_sandbox.store import Row
from support.cycles import ACTUALS, Cycle, total

pytestmark = pytest.mark.slow

Api = dict[str, Any]

BOTH = {"companies": ["USPM", "GBPM"]}
INVOICES = ("vendor_invoices_v2", "vendor_invoice_lines", "vendor_invoices_v2_trigger")
VENDOR, DAY = "V-000001", "2026-03-04"
COST, UNBILLED, RESOURCING, INTERORG = 192350000, 192350005, 192350007, 192350008


@dataclass
class Story:
    """The British company pays for hours and a ticket of an American project, which also uses stock of its own."""

    project: str
    owed: Decimal
    slip: Row
    usage: Api
    from_stock: str
    actuals: list[Api] = field(default_factory=list)
    of_stock: list[Api] = field(default_factory=list)
    charged: list[Row] = field(default_factory=list)
    pending: list[Api] = field(default_factory=list)
    posted: list[Row] = field(default_factory=list)


def procurement(cycle: Cycle, company: str) -> Decimal:
    """The balance of a company's procurement integration account."""
    return finance_jobs.integration_account_balance(cycle.works.finance, company, "procurement")


def _used(cycle: Cycle, project: str, slip: Row) -> Api:
    """What the map of material usages would bring: one usage per line of the packing slip."""
    key = f"PackingSlipNumber eq '{slip['PackingSlipNumber']}' and dataAreaId eq 'uspm'"
    line = cycle.finance.one("PackingSlipLines", key)
    product = cycle.works.one("product", msdyn_productnumber=line["ItemNumber"])["productid"]
    return cycle.dataverse.create(
        "msdyn_materialusagelogs",
        {
            "msdyn_externalmaterialusage": line["ProjTransId"],
            "msdyn_date": DAY,
            "msdyn_quantity": int(line["Quantity"]),
            "msdyn_product@odata.bind": f"/products({product})",
            "msdyn_project@odata.bind": f"/msdyn_projects({project})",
            "msdyn_approvalstatus": 192350003,
        },
    )


@pytest.fixture(scope="module")
def story(shared: Cycle) -> Story:
    works = shared.works
    project, from_stock = works.project(), works.project()
    shared.send(companies=["USPM"])
    number = shared.number(project)
    role = str(works.one("bookableresourcecategory", name="Consultant")["msdyn_resourcecategorynumber"])
    place: dict[str, Any] = {"project_id": number, "company": "USPM"}
    lines = (
        VendorLine(Decimal(10), Decimal(70), "Contract labour", role=role, **place),
        VendorLine(Decimal(1), Decimal(157), "Travel arrangements", **place),
    )
    file_vendor_invoice(works.finance, "GBPM", VendorInvoice(VENDOR, "B-1", lines, day=DAY))
    slip = post_packing_slip(
        works.finance, "USPM", shared.number(from_stock), [SlipLine("P-1004", Decimal(2))], day=DAY
    )
    told = Story(project, procurement(shared, "GBPM"), slip, _used(shared, from_stock, slip), from_stock)

    shared.sync(*INVOICES, **BOTH)
    shared.sync(*ACTUALS, **BOTH)
    shared.books("GBPM")
    finance_jobs.import_from_staging(works.finance, "USPM")
    finance_jobs.post_integration_journals(works.finance, "USPM")
    told.charged = post_intercompany_invoice(works.finance, "GBPM", "USPM", DAY)
    of_group = "IsIntercompany eq Microsoft.Dynamics.DataEntities.NoYes'Yes'"
    told.pending = shared.finance.rows("VendorInvoiceHeaders", of_group)
    told.posted = [post_vendor_invoice(works.finance, "USPM", str(row["TableRefId"])) for row in told.pending]
    shared.sync("actuals", *INVOICES, **BOTH)
    told.actuals, told.of_stock = shared.actuals(project), shared.actuals(from_stock)
    return told


def test_the_same_four_arise_in_dataverse(shared: Cycle, story: Story) -> None:
    """The vendor's charge is the lender's cost; hours go on by the borrower's list, expenses at cost [K8, K6]."""
    told = [
        (
            row["msdyn_transactiontypecode"],
            row["msdyn_amount"],
            shared.works.iso(row["_transactioncurrencyid_value"]),
            shared.works.code(row["_msdyn_owningcompany_value"]),
            row["msdyn_skipsync"],
        )
        for row in story.actuals
    ]
    assert told == [
        (COST, 1200, "USD", "USPM", True),
        (UNBILLED, 2000, "USD", "USPM", False),
        (RESOURCING, 700, "GBP", "GBPM", False),
        (INTERORG, 1200, "USD", "GBPM", False),
        (COST, 157, "GBP", "USPM", True),
        (UNBILLED, 200, "USD", "USPM", False),
        (RESOURCING, 157, "GBP", "GBPM", False),
        (INTERORG, 157, "GBP", "GBPM", False),
    ]
    (invoice,) = {row["_msdyn_vendorinvoice_value"] for row in story.actuals}
    header = shared.dataverse.one("msdyn_projectvendorinvoices", f"msdyn_projectvendorinvoiceid eq {invoice}")
    assert shared.works.code(header["_msdyn_owningcompany_value"]) == "GBPM"
    for line in shared.dataverse.rows("msdyn_projectvendorinvoicelines", f"_msdyn_vendorinvoice_value eq {invoice}"):
        assert (line["_msdyn_project_value"], shared.works.code(line["_msdyn_owningcompany_value"])) == (
            story.project,
            "GBPM",
        )


def test_three_of_them_travel(shared: Cycle, story: Story) -> None:
    """The cost stays; the lender's rows name the line of its own invoice [K8, G1, R26]."""
    rows = shared.staging(story.project)
    told = sorted((row["dataAreaId"], row["TransactionType"], row["Amount"]) for row in rows)
    assert told == [
        ("gbpm", "InterOrgSales", 157),
        ("gbpm", "InterOrgSales", 1200),
        ("gbpm", "ResourcingUnitCost", 157),
        ("gbpm", "ResourcingUnitCost", 700),
        ("uspm", "Sales", 200),
        ("uspm", "Sales", 2000),
    ]
    numbers = {row["ProjTransId"] for row in shared.finance.rows("ProjVendInvoiceLinesExportEntity")}
    assert {row["VendInvoiceLineProjTransId"] for row in rows} == numbers
    assert {row["MatchedVendorInvoice"] for row in rows} == {"B-1"}


def test_the_lending_companys_journal_clears_its_account(shared: Cycle, story: Story) -> None:
    """The borrowing company has nothing to clear [K8, J2]."""
    assert story.owed == 857
    assert (procurement(shared, "GBPM"), procurement(shared, "USPM")) == (0, 0)
    borne = [row for row in story.actuals if row["msdyn_transactiontypecode"] == RESOURCING]
    assert [shared.line(row)["OffsetAccount"] for row in borne] == ["200190", "200190"]


def test_the_charge_arrives_under_the_same_number(shared: Cycle, story: Story) -> None:
    """One invoice per currency; posting it is the cost of the project, and nothing goes to Dataverse [K5, R27]."""
    charged = {str(row["InvoiceId"]): row["InvoiceAmount"] for row in story.charged}
    assert sorted(charged.values()) == [157, 1200]
    assert {row["VendorInvoiceNum"] for row in story.pending} == charged.keys()
    for row in story.pending:
        assert (row["dataAreaId"], row["InvoiceAccount"], row["InvoiceStatus"]) == ("uspm", "ICV-GBPM", "Pending")
    assert {str(row["VendorInvoiceNum"]): row["InvoiceAmount"] for row in story.posted} == charged
    number = shared.number(story.project)
    transactions = shared.finance.rows("ProjectTransactions", f"ProjectId eq '{number}'")
    costs = [row for row in transactions if row["TransactionOrigin"] == "IntercompanyVendorInvoice"]
    assert sorted((row["TransactionType"], row["Amount"], row["CurrencyCode"]) for row in costs) == [
        ("Cost", 157, "GBP"),
        ("Hour", 1200, "USD"),
    ]
    vouchers = {str(row["Voucher"]) for row in story.posted}
    entries = [
        row for row in shared.finance.rows("LedgerEntries", "dataAreaId eq 'uspm'") if row["Voucher"] in vouchers
    ]
    assert {row["PostingType"] for row in entries} == {"ProjectCost", "VendorBalance"}
    cost = [row for row in entries if row["PostingType"] == "ProjectCost"]
    assert total(cost, "Debit") == total(costs, "CostAmountAccountingCurrency") > 1300
    assert {row["VendorInvoiceNum"] for row in shared.finance.rows("VendInvoiceExportsV2")} == {"B-1"}


def test_stock_is_costed_where_it_is_taken(shared: Cycle, story: Story) -> None:
    """The usage is approved by itself; its cost is not journalled again, only the sale is [J15, G18, R40]."""
    entry = shared.works.one("msdyn_materialusagelog", msdyn_materialusagelogid=story.usage["msdyn_materialusagelogid"])
    assert entry["msdyn_approvalstatus"] == 192350002
    cost, sale = story.of_stock
    assert [row["msdyn_transactiontypecode"] for row in (cost, sale)] == [COST, UNBILLED]
    staged = shared.staged(cost)
    assert (staged["ExternalReference"], staged["IsJournalized"]) == (entry["msdyn_externalmaterialusage"], "Yes")
    assert shared.finance.rows("IntegrationJournalLines", f"ActualsImportId eq {cost['msdyn_actualimportid']}") == []
    assert shared.line(sale)["LineStatus"] == "Posted"
    assert (cost["msdyn_vouchernumber"], cost["msdyn_accountingamount"]) == (story.slip["Voucher"], 1196)
    number = shared.number(story.from_stock)
    transactions = shared.finance.rows("ProjectTransactions", f"ProjectId eq '{number}'")
    assert sorted(row["TransactionOrigin"] for row in transactions) == ["IntegrationJournal", "PackingSlip"]


def test_then_it_is_quiet(shared: Cycle, story: Story) -> None:
    assert story.posted
    shared.world.forget_requests()
    shared.sync(*INVOICES, *ACTUALS, mode="full", **BOTH)
    assert shared.world.writes() == []
    assert shared.world.open_rows() == []
