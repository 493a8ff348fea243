"""Vendor invoices, from Finance to Dataverse and back into its journals, by field: [J1 to J5, J7 to J9, G18, C11]."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from dualsync_sandbox.business.finance import jobs as finance_jobs
from dualsync_sandbox.business.finance.procurement.purchase_orders import (
    OrderLine,
    confirm_purchase_order,
    create_purchase_order,
    invoice_purchase_order,
    receive_purchase_order,
)
from dualsync_sandbox.business.finance.procurement.vendor_invoices import (
    VendorInvoice,
    VendorLine,
    file_vendor_invoice,
    post_vendor_invoice,
)
from dualsync_sandbox.errors import BusinessRuleViolation
from dualsync_sandbox.store import Row
from support.cycles import ACTUALS, Cycle

Api = dict[str, Any]

US = {"companies": ["USPM"]}
INVOICES = ("vendor_invoices_v2", "vendor_invoice_lines", "vendor_invoices_v2_trigger")
VENDOR, DAY = "V-000001", "2026-03-04"
DRAFT, IN_REVIEW, CONFIRMED, ON_HOLD = range(192350000, 192350004)
TIME, EXPENSE, MATERIAL = range(192350000, 192350003)
COST, UNBILLED = 192350000, 192350005


def bill(number: str, *lines: VendorLine, **values: Any) -> VendorInvoice:
    return VendorInvoice(VENDOR, number, lines, **{"day": DAY, **values})


def procurement(cycle: Cycle, company: str = "USPM") -> Decimal:
    """The balance of the procurement integration account."""
    return finance_jobs.integration_account_balance(cycle.works.finance, company, "procurement")


def invoice_of(cycle: Cycle, number: str) -> Api:
    return cycle.dataverse.one("msdyn_projectvendorinvoices", f"msdyn_vendorinvoicenumber eq '{number}'")


def lines_of(cycle: Cycle, invoice: Api) -> list[Api]:
    """The lines of an invoice in Dataverse, in Finance's order."""
    wanted = f"_msdyn_vendorinvoice_value eq {invoice['msdyn_projectvendorinvoiceid']}"
    rows = cycle.dataverse.rows("msdyn_projectvendorinvoicelines", wanted)
    return sorted(rows, key=lambda row: str(row["msdyn_externalinvoiceline"]))


def said(row: Api, wanted: Api) -> Api:
    """The columns of a row that are wanted."""
    return {name: row[name] for name in wanted}


# --- one day of the accounts payable clerk, and the project manager's answer -----------------------------------------


@dataclass
class Story:
    """Four invoices, looked at after the first round of everything and after the second.

    S-100 has hours, an expense, goods without and with a number, goods from stock, and office paper. S-200 waits for
    the project manager, and its payment with it. S-300 comes from an order that was received. S-500 has lines that
    Dataverse refuses at first.
    """

    projects: dict[str, str]
    number: str
    task: str
    posted: Row
    owed: Decimal
    received: list[Api]
    waited: dict[str, str] = field(default_factory=dict)
    first: dict[str, Any] = field(default_factory=dict)
    lines: list[Api] = field(default_factory=list)
    actuals: list[Api] = field(default_factory=list)
    exported: list[Api] = field(default_factory=list)

    @property
    def invoice(self) -> Api:
        """S-100 after the first round."""
        found: Api = self.first["S-100"]
        return found


def held(cycle: Cycle) -> tuple[str, str]:
    """What Finance knows of S-200: how far it is, and whether it may be paid."""
    export = cycle.finance.one("VendInvoiceExportsV2", "VendorInvoiceNum eq 'S-200'")
    reference = f"TableRefId eq '{export['TableRefId']}' and dataAreaId eq 'uspm'"
    return export["ProjVendInvoiceStatus"], cycle.finance.one("VendorInvoiceHeaders", reference)["IsApprovedForPayment"]


def _everything(task: str, role: str, number: str) -> tuple[VendorLine, ...]:
    place: dict[str, Any] = {"project_id": number, "activity_number": task}
    return (
        VendorLine(Decimal("7.5"), Decimal(65), "Contract labour", role=role, **place),
        VendorLine(Decimal(1), Decimal(240), "Travel arrangements", tax_group="ST-STD", **place),
        VendorLine(Decimal(3), Decimal("12.5"), "Site materials", description="Cement", **place),
        VendorLine(Decimal(2), Decimal(79), item="P-1001", billing_type="NonChargeable", **place),
        VendorLine(Decimal(4), Decimal("42.5"), item="P-1002", **place),
        VendorLine(Decimal(1), Decimal(30), "Site materials", description="Paper for the office"),
    )


def _items_are_materials(cycle: Cycle) -> None:
    """The accountant chooses the category of items, which is the first to arrive otherwise."""
    number = cycle.works.one("msdyn_transactioncategory", msdyn_name="Materials")["msdyn_transactioncategorynumber"]
    of_items = f"TransactionCategoryId eq '{number}' and dataAreaId eq 'uspm'"
    rows = cycle.finance.rows("ProjectCategories", of_items)
    (category,) = [row["CategoryId"] for row in rows if row["CategoryType"] == "Item"]
    cycle.finance.change("IntegrationParameters(dataAreaId='uspm')", {"ItemCategory": category})


def _order_and_invoice(cycle: Cycle, number: str) -> list[Api]:
    """Order, receive, invoice; returns the actuals there were in between."""
    finance = cycle.works.finance
    ordered = [OrderLine(Decimal(4), Decimal(25), "Site materials", project_id=number)]
    order = str(create_purchase_order(finance, "USPM", VENDOR, ordered)["PurchaseOrderNumber"])
    confirm_purchase_order(finance, "USPM", order)
    receive_purchase_order(finance, "USPM", order)
    made = invoice_purchase_order(finance, "USPM", order, "S-300", day=DAY)
    received = cycle.finance.rows("ProjectTransactions", f"ProjectId eq '{number}'")
    post_vendor_invoice(finance, "USPM", str(made.header["TableRefId"]))
    return received


def _round(cycle: Cycle) -> None:
    """Invoices to Dataverse, their actuals to Finance, the journals, and back."""
    cycle.sync(*INVOICES, **US)
    cycle.sync(*ACTUALS, **US)
    cycle.books("USPM")
    cycle.sync("actuals", "vendor_invoices_v2", **US)


@pytest.fixture(scope="module")
def story(shared: Cycle) -> Story:
    works = shared.works
    projects = {name: works.project() for name in ("S-100", "S-200", "S-300", "S-500", "finished")}
    shared.send(**US)
    _items_are_materials(shared)
    numbers = {name: shared.number(project) for name, project in projects.items()}
    task = str(works.one("msdyn_projecttask", msdyn_projecttaskid=works.leaf(projects["S-100"]))["msdyn_tasknumber"])
    role = str(works.one("bookableresourcecategory", name="Consultant")["msdyn_resourcecategorynumber"])
    everything = bill("S-100", *_everything(task, role, numbers["S-100"]), description="Deliveries of March")
    posted = file_vendor_invoice(works.finance, "USPM", everything)
    told = Story(
        projects, numbers["S-100"], task, posted, procurement(shared), _order_and_invoice(shared, numbers["S-300"])
    )
    kits = VendorLine(Decimal(2), Decimal(80), item="P-1001", project_id=numbers["S-200"])
    file_vendor_invoice(works.finance, "USPM", bill("S-200", kits, manual_verification=True, blocks_payment=True))
    place: dict[str, Any] = {"project_id": numbers["S-500"]}
    wrong = (
        VendorLine(Decimal(1), Decimal(10), "Site materials", **place),
        VendorLine(Decimal(1), Decimal(20), "Permits and fees", **place),
        VendorLine(Decimal(1), Decimal(30), item="P-1001", **place),
    )
    file_vendor_invoice(works.finance, "USPM", bill("S-500", *wrong))
    goods = shared.finance.rows("ProjVendInvoiceLinesExportEntity", "VendorInvoiceNum eq 'S-500'")[0]
    of_goods = f"ProjVendInvoiceLinesExportEntity(ProjTransId='{goods['ProjTransId']}',ProjDataAreaId='uspm')"
    shared.finance.change(of_goods, {"DisplayProductNumber": ""})
    fees = f"msdyn_transactioncategories({works.category('Sundry fees')})"
    shared.dataverse.change(fees, {"statecode": 1, "statuscode": 2})

    _round(shared)
    told.waited = {row.key: row.reason for row in shared.world.open_rows()}
    told.first = {number: invoice_of(shared, number) for number in ("S-100", "S-200", "S-500")}
    told.first |= {"held": held(shared), "owed": procurement(shared)}
    told.first["actuals"] = {name: len(shared.actuals(projects[name])) for name in projects}
    told.lines = lines_of(shared, told.invoice)

    _answer(shared, told.first["S-200"])
    shared.finance.change(of_goods, {"DisplayProductNumber": "WRITE-IN"})
    shared.dataverse.change(fees, {"statecode": 0, "statuscode": 1})
    shared.dataverse.change(f"msdyn_projects({projects['finished']})", {"statecode": 1, "statuscode": 2})
    shared.sync("projects", **US)
    _round(shared)
    told.exported = shared.finance.rows("ProjVendInvoiceLinesExportEntity", "VendorInvoiceNum eq 'S-100'")
    told.actuals = shared.actuals(projects["S-100"])
    return told


def _answer(cycle: Cycle, invoice: Api) -> None:
    """The project manager looks at an invoice, has a question about it, gets an answer, and confirms it."""
    record = f"msdyn_projectvendorinvoices({invoice['msdyn_projectvendorinvoiceid']})"
    (arrived,) = lines_of(cycle, invoice)
    of_line = f"msdyn_projectvendorinvoicelines({arrived['msdyn_projectvendorinvoicelineid']})"
    with pytest.raises(Exception, match="400"):
        cycle.dataverse.change(record, {"statuscode": CONFIRMED})
    cycle.dataverse.change(of_line, {"msdyn_verificationstatus": 192350001})
    assert invoice_of(cycle, "S-200")["statuscode"] == IN_REVIEW
    cycle.sync("vendor_invoices_v2", **US)
    assert held(cycle) == ("InReview", "No")
    cycle.dataverse.change(record, {"statuscode": ON_HOLD})
    cycle.sync("vendor_invoices_v2", **US)
    assert held(cycle) == ("InReview", "No"), "Finance has no word for on hold"
    cycle.dataverse.change(record, {"statuscode": IN_REVIEW})
    cycle.dataverse.change(of_line, {"msdyn_verificationstatus": 192350002})
    cycle.dataverse.change(record, {"statuscode": CONFIRMED})


def test_the_header_in_dataverse(shared: Cycle, story: Story) -> None:
    """The vendor is an account; nobody has to confirm, so it has confirmed itself, and Finance knows [J1, J3]."""
    vendor = shared.dataverse.one("accounts", f"accountid eq {story.invoice['_msdyn_vendor_value']}")
    assert (vendor["accountnumber"], vendor["customertypecode"]) == (VENDOR, 11)
    wanted: Api = {
        "msdyn_name": "S-100",
        "msdyn_vendorinvoicenumber": "S-100",
        "msdyn_description": "Deliveries of March",
        "msdyn_invoicedate": DAY,
        "msdyn_enableautomaticconfirmation": True,
        "msdyn_hasexternalorigin": True,
        "statuscode": CONFIRMED,
        "_msdyn_owningcompany_value": shared.works.company(),
        "_transactioncurrencyid_value": shared.works.currency(),
    }
    assert said(story.invoice, wanted) == wanted
    known = shared.finance.one("VendInvoiceExportsV2", "VendorInvoiceNum eq 'S-100'")
    assert known["ProjVendInvoiceStatus"] == "Confirmed"


def test_the_lines_in_dataverse(shared: Cycle, story: Story) -> None:
    """Project lines only, of the class that the procurement category says; lost tax is cost [J1, J7, J9]."""
    works = shared.works
    common = {
        "_msdyn_project_value": story.projects["S-100"],
        "_msdyn_task_value": works.leaf(story.projects["S-100"]),
        "_msdyn_owningcompany_value": works.company(),
        "_transactioncurrencyid_value": works.currency(),
        "msdyn_transactiondate": DAY,
        "msdyn_verificationstatus": 192350002,
        "_msdyn_subcontractline_value": None,
    }

    def product(number: str) -> str:
        return str(works.one("product", msdyn_productnumber=number)["productid"])

    def line(of: int, quantity: str, price: str, amount: str, unit: str, **more: Any) -> Api:
        figures = {
            "msdyn_transactionclassification": of,
            "msdyn_quantity": Decimal(quantity),
            "msdyn_price": Decimal(price),
            "msdyn_subtotal": Decimal(amount),
            "_msdyn_unit_value": works.one("uom", msdyn_symbol=unit)["uomid"],
            "msdyn_billingtype": 192350001,
            "_msdyn_product_value": None,
            "_msdyn_resourcecategory_value": None,
        }
        return {**common, **figures, **more}

    wanted = [
        line(TIME, "7.5", "65", "487.5", "hr", _msdyn_resourcecategory_value=works.role()),
        line(EXPENSE, "1", "258", "258", "ea", msdyn_description="Travel arrangements"),
        line(MATERIAL, "3", "12.5", "37.5", "ea", _msdyn_product_value=product("WRITE-IN"), msdyn_description="Cement"),
        line(MATERIAL, "2", "79", "158", "ea", _msdyn_product_value=product("P-1001"), msdyn_billingtype=192350000),
        line(MATERIAL, "4", "42.5", "170", "ea", _msdyn_product_value=product("P-1002")),
    ]
    assert [said(row, columns) for row, columns in zip(story.lines, wanted, strict=True)] == wanted
    assert [row["msdyn_externalinvoiceline"] for row in story.lines] == [row["ProjTransId"] for row in story.exported]
    categories = [row["_msdyn_transactioncategory_value"] for row in story.lines]
    assert categories == [works.category(name) for name in ("Consulting", "Travel", *["Materials"] * 3)]


def test_the_actuals_in_dataverse(story: Story) -> None:
    """A cost and, on time and material, a sale of each line: charged as bought, sold by the price lists [J4]."""
    told = [
        (row["msdyn_transactiontypecode"], row["msdyn_transactionclassification"], row["msdyn_amount"])
        for row in story.actuals
    ]
    assert told == [
        (COST, TIME, Decimal("487.5")),
        (UNBILLED, TIME, 1500),
        (COST, EXPENSE, 258),
        (UNBILLED, EXPENSE, 258),
        (COST, MATERIAL, Decimal("37.5")),
        (UNBILLED, MATERIAL, Decimal("15.75")),
        (COST, MATERIAL, 158),
        (UNBILLED, MATERIAL, 240),
        (COST, MATERIAL, 170),
        (UNBILLED, MATERIAL, 240),
    ]
    invoice = story.invoice["msdyn_projectvendorinvoiceid"]
    assert {row["_msdyn_vendorinvoice_value"] for row in story.actuals} == {invoice}
    by_line = [row["msdyn_projectvendorinvoicelineid"] for row in story.lines for _ in range(2)]
    assert [row["_msdyn_vendorinvoiceline_value"] for row in story.actuals] == by_line


def test_the_actuals_on_staging(shared: Cycle, story: Story) -> None:
    """They name the invoice and the line, by which Finance knows its own document again [G1]."""
    numbers = [row["ProjTransId"] for row in story.exported for _ in range(2)]
    for row, number in zip(story.actuals, numbers, strict=True):
        wanted: Api = {
            "VendInvoiceLineProjTransId": number,
            "MatchedVendorInvoice": "S-100",
            "SubConInvoiceId": "S-100",
            "SubcontractLine": "",
            "ProjectId": story.number,
            "TaskNumber": story.task,
            "TransactionType": "Cost" if row["msdyn_transactiontypecode"] == COST else "Sales",
            "Amount": row["msdyn_amount"],
            "IsJournalized": "Yes",
        }
        assert said(shared.staged(row), wanted) == wanted


def test_the_journal_clears_the_account(shared: Cycle, story: Story) -> None:
    """Each cost line against the procurement account; what is kept in stock has no line at all [J2, R20, G18]."""
    entries = shared.finance.rows("LedgerEntries", f"Voucher eq '{story.posted['Voucher']}'")
    told = sorted((row["PostingType"], row["Debit"] - row["Credit"]) for row in entries)
    assert told == sorted(
        [
            ("IntegrationAccount", Decimal("487.5")),
            ("IntegrationAccount", Decimal(258)),
            ("IntegrationAccount", Decimal("37.5")),
            ("IntegrationAccount", Decimal(158)),
            ("ProjectCost", Decimal(170)),
            ("PurchaseOfNoProject", Decimal(30)),
            ("VendorBalance", Decimal(-1141)),
        ]
    )
    costs = [row for row in story.actuals if row["msdyn_transactiontypecode"] == COST]
    for row in costs[:-1]:
        assert shared.line(row)["OffsetAccount"] == "200190"
    stocked, sale = costs[-1], story.actuals[-1]
    assert shared.finance.rows("IntegrationJournalLines", f"ActualsImportId eq {stocked['msdyn_actualimportid']}") == []
    assert shared.line(sale)["LineStatus"] == "Posted"
    transactions = shared.finance.rows("ProjectTransactions", f"ProjectId eq '{story.number}'")
    by_actual = {row["ActualsImportId"]: row for row in transactions}
    assert len(transactions) == 10, "each cost and each sale once"
    assert by_actual[stocked["msdyn_actualimportid"]]["TransactionOrigin"] == "StockedVendorInvoice"
    assert {row["ProjItemTransExists"] for row in story.exported} == {1}


def test_the_accounting_comes_back(story: Story) -> None:
    """Voucher and amounts, those of the invoice itself where it has costed the line [G15, G18]."""
    for row in story.actuals:
        assert row["msdyn_isjournalized"] is True
        assert row["msdyn_accountingamount"] == row["msdyn_amount"]
        assert row["msdyn_vouchernumber"]
    assert story.actuals[-2]["msdyn_vouchernumber"] == story.posted["Voucher"]


# --- the others ---------------------------------------------------------------------------------------------------


def test_a_project_manager_releases_the_payment(shared: Cycle, story: Story) -> None:
    """A draft that nobody confirms costs nothing; its confirmation releases the payment in Finance [J3, J4, J5]."""
    draft = story.first["S-200"]
    assert (draft["statuscode"], draft["msdyn_enableautomaticconfirmation"]) == (DRAFT, False)
    assert (story.first["held"], story.first["actuals"]["S-200"]) == (("Draft", "No"), 0)
    assert story.first["owed"] == 160 + 60, "what waits for somebody, and what waits for its lines"
    assert invoice_of(shared, "S-200")["statuscode"] == CONFIRMED
    assert held(shared) == ("Confirmed", "Yes")
    assert [row["msdyn_amount"] for row in shared.actuals(story.projects["S-200"])] == [160, 240]


def test_orders_and_receipts_stay_in_finance(shared: Cycle, story: Story) -> None:
    """Only the invoice makes an actual [J8]."""
    assert story.received == []
    assert [row["msdyn_amount"] for row in shared.actuals(story.projects["S-300"])] == [100, 21]
    number = shared.finance.one("VendInvoiceExportsV2", "VendorInvoiceNum eq 'S-300'")["PurchId"]
    order = shared.finance.one("ProjectPurchaseOrders", f"PurchaseOrderNumber eq '{number}' and dataAreaId eq 'uspm'")
    assert order["PurchStatus"] == "Invoiced"


def test_a_finished_project_takes_no_invoice(shared: Cycle, story: Story) -> None:
    """The project's state has travelled, and Finance refuses [C11]."""
    line = VendorLine(Decimal(1), Decimal(10), "Site materials", project_id=shared.number(story.projects["finished"]))
    with pytest.raises(BusinessRuleViolation, match="Project stage finished doesn't allow recording in the project"):
        file_vendor_invoice(shared.works.finance, "USPM", bill("S-400", line))


def test_what_dataverse_refuses_is_held_with_the_way_out(shared: Cycle, story: Story) -> None:
    """4.4: goods without a product, a category that is not active; at last it confirms itself with all lines."""
    goods, fees, _ = shared.finance.rows("ProjVendInvoiceLinesExportEntity", "VendorInvoiceNum eq 'S-500'")
    assert story.waited.keys() == {goods["ProjTransId"], fees["ProjTransId"], f"{VENDOR}|S-500"}
    assert story.waited[goods["ProjTransId"]] == (
        "Dataverse refused the row: Product id is mandatory. Select a product from the catalog.; give the line a "
        "product, and run the map products in full, so that it is in Dataverse"
    )
    reason = story.waited[fees["ProjTransId"]]
    assert reason.startswith(
        "Dataverse refused the row: The Transaction Category linked to this vendor invoice line is invalid. Please "
        "select an Active, Expense Transaction Category.; "
    )
    assert "transaction categories are made in Dataverse" in reason
    assert "waits for its lines: 1 of 3" in story.waited[f"{VENDOR}|S-500"]
    assert (story.first["S-500"]["statuscode"], story.first["actuals"]["S-500"]) == (DRAFT, 0)
    costs = [
        row["msdyn_amount"]
        for row in shared.actuals(story.projects["S-500"])
        if row["msdyn_transactiontypecode"] == COST
    ]
    assert sorted(costs) == [10, 20, 30]
    assert invoice_of(shared, "S-500")["statuscode"] == CONFIRMED


def test_in_the_end_all_is_posted_and_quiet(shared: Cycle, story: Story) -> None:
    """Nothing is left on the account; running again writes nothing, and nothing is open [J2, R20]."""
    assert (story.owed, procurement(shared)) == (941, 0)
    shared.world.forget_requests()
    for mode in ("incremental", "full"):
        shared.sync(*INVOICES, *ACTUALS, mode=mode, **US)
    assert shared.world.writes() == []
    assert shared.world.open_rows() == []
