"""From what is ready to invoice to the customer invoice and back: [E9 to E12, E17, F1, F4, G1, G15, H1 to H3, H6, H8 to
H10, R9, R12 to R16, R37], field by field through both APIs.

A company that keeps its books in dollars: a contract in pounds, at an agreed rate and with tax; one whose revenue is
accrued; milestones; a retainer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest

from dualsync_sandbox.business.dataverse.choices import BillingMethod
from dualsync_sandbox.business.dataverse.entries.approvals import approve_material, approve_time
from dualsync_sandbox.business.dataverse.invoicing.retainers import consume_retainer, invoice_retainer
from dualsync_sandbox.store import Row
from support.cycles import Cycle, total
from support.invoices import BILLED, Billing

Api = dict[str, Any]

HERE = {"companies": ["USPM"]}
NOON = "2026-03-31T12:00:00Z"
AGREED = Decimal(125)
"""Dollars for a hundred pounds, as agreed with the customer."""
CONFIRMED, POSTED = 192350002, 192350004
MILESTONE, RETAINER = 192350003, 192350005


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"), ROUND_HALF_UP)


@dataclass
class Story:
    """What was invoiced, and how things stood in between.

    Attributes:
        projects: by what they are for.
        sales: the unbilled sales that were invoiced, by what happened to them.
        invoices: ids of the proformas, by project.
        made: what their confirmation made.
    """

    billing: Billing
    projects: dict[str, str]
    sales: dict[str, Row] = field(default_factory=dict)
    invoices: dict[str, str] = field(default_factory=dict)
    made: dict[str, list[Row]] = field(default_factory=dict)
    milestones: tuple[str, ...] = ()
    before: dict[str, Api] = field(default_factory=dict)
    held: tuple[tuple[str, str], ...] = ()
    posted: dict[str, str] = field(default_factory=dict)
    writes: list[Api] = field(default_factory=list)


def work(shared: Cycle, told: Story) -> None:
    """What is approved: eight hours for every way of invoicing them, and some sensor kits."""
    works = shared.works
    for name in ("as it was", "less", "more"):
        _, told.sales[name] = approve_time(works.dataverse, works.time(told.projects["pounds"]))
    for name in ("accrued", "accrued, less"):
        _, told.sales[name] = approve_time(works.dataverse, works.time(told.projects["accruing"]))
    reduced = approve_time(works.dataverse, works.time(told.projects["pounds"]), billable=Decimal(5))
    _, told.sales["charged"], told.sales["not charged"] = reduced
    _, told.sales["material"] = approve_material(works.dataverse, works.material(told.projects["pounds"]))
    told.milestones = tuple(works.milestone(told.projects["fixed"], amount) for amount in ("4000", "6000"))


def invoice(told: Story) -> None:
    """Proformas are made, edited and confirmed."""
    billing = told.billing
    pounds = [told.sales[name] for name in ("as it was", "less", "more", "charged", "not charged", "material")]
    accrued = [told.sales[name] for name in ("accrued", "accrued, less")]
    told.invoices = {
        "pounds": billing.draft(told.projects["pounds"], pounds),
        "accruing": billing.draft(told.projects["accruing"], accrued),
        "fixed": billing.draft(told.projects["fixed"], milestones=told.milestones[:1]),
    }
    billing.keep(told.invoices["pounds"], _1="6", _2="10")
    billing.keep(told.invoices["accruing"], _1="6")
    told.made = {name: billing.confirm(invoice_id) for name, invoice_id in told.invoices.items()}
    works, line = billing.cycle.works, billing.cycle.works.line_of(told.projects["retainer"])
    told.made["retainer"] = invoice_retainer(works.dataverse, line, Decimal(5000), "2026-03-31")
    left = str(told.made["retainer"][0]["msdyn_actualid"])
    told.made["use"] = consume_retainer(works.dataverse, left, Decimal(1500), "2026-03-31")
    told.invoices |= {name: str(told.made[name][-1]["msdyn_invoice"]) for name in ("retainer", "use")}


@pytest.fixture(scope="module")
def story(shared: Cycle) -> Story:
    """Work, invoice, send, post, bring back, and run again."""
    works, billing = shared.works, Billing(shared)
    told = Story(
        billing,
        {
            "pounds": works.project(currency="GBP"),
            "accruing": works.project(),
            "fixed": works.project(BillingMethod.FIXED_PRICE),
            "retainer": works.project(),
        },
    )
    work(shared, told)
    invoice(told)
    billing.carry("milestones", **HERE)
    set_up(shared, told)
    told.held = billing.fill().held
    told.before = {name: billing.proposal(invoice_id) for name, invoice_id in told.invoices.items()}
    told.posted = billing.evening()
    billing.bring_back("milestones", **HERE)
    shared.world.forget_requests()
    for mode in ("incremental", "full"):
        billing.bring_back("milestones", mode=mode, **HERE)
    told.writes = shared.world.writes()
    return told


def set_up(shared: Cycle, told: Story) -> None:
    """What Finance's accountants know of these contracts: tax, an agreed rate, a profile that accrues revenue."""
    area = {"dataAreaId": "uspm"}
    project = f"ProjectsV2(dataAreaId='uspm',ProjectId='{shared.number(told.projects['pounds'])}')"
    shared.finance.change(project, {"SalesTaxGroupId": "ST-STD"})
    contract = shared.dataverse.one(
        "salesorders", f"salesorderid eq {shared.works.contract_of(told.projects['pounds'])}"
    )
    agreed = {"ProjectContractId": contract["ordernumber"], "CurrencyCode": "GBP", "ExchangeRate": 125}
    shared.finance.create("FixedExchangeRates", area | agreed)
    profile = area | {"ProfileId": "ACCRUING"}
    shared.finance.create("CostAndRevenueProfiles", profile | {"PostCosts": "ProfitAndLoss", "AccrueRevenue": "Yes"})
    accruing = shared.number(told.projects["accruing"])
    shared.finance.create("CostAndRevenueProfileRules", profile | {"RuleNumber": 9, "ProjectId": accruing})


def rows_of(told: Story, name: str, kind: int = BILLED) -> list[Row]:
    return [row for row in told.made[name] if row["msdyn_transactiontypecode"] == kind]


def test_a_proposal_has_the_header_of_its_proforma(shared: Cycle, story: Story) -> None:
    """Number, contract, funding source, currency, date, text and terms of payment [H1, H2, R13]."""
    invoice_id = story.invoices["pounds"]
    proforma, header = story.billing.invoice(invoice_id), story.before["pounds"]
    contract = shared.dataverse.one("salesorders", f"salesorderid eq {proforma['_salesorderid_value']}")
    customer = proforma["_msdyn_contractcustomer_value"]
    rule = shared.dataverse.one(
        "msdyn_projectcontractsplitbillingrules", f"msdyn_projectcontractsplitbillingruleid eq {customer}"
    )
    account = shared.dataverse.one("accounts", f"accountid eq {rule['_msdyn_contractcustomer_value']}")
    terms = shared.dataverse.one(
        "msdyn_paymentterms", f"msdyn_paymenttermid eq {proforma['_msdyn_paymentterms_value']}"
    )
    assert {name: value for name, value in header.items() if not name.startswith("@")} == {
        "dataAreaId": "uspm",
        "InvoiceProposalId": proforma["invoicenumber"],
        "ProjectContractId": contract["ordernumber"],
        "FundingSourceId": rule["msdyn_number"],
        "CustomerAccountNumber": account["accountnumber"],
        "SalesCurrency": "GBP",
        "InvoiceDate": NOON,
        "InvoiceHeaderText": contract["name"],
        "PaymentTermsName": terms["msdyn_name"],
        # [H3, R14]: nothing but a header until the unbilled sales are posted
        "ProposalStatus": "Open",
        "Troubleshoot": "Yes",
        "Message": header["Message"],
        "LineCount": 0,
        "InvoiceAmount": 0,
        "SalesTaxAmount": 0,
        "InvoiceId": "",
        "Voucher": "",
    }


def test_proposals_are_not_on_odata(shared: Cycle) -> None:
    """The entity is written by data package only [H2]."""
    with pytest.raises(Exception, match="404"):
        shared.finance.rows("ProjInvoiceProposalsV2")


def test_proposals_wait_for_their_unbilled_sales(story: Story) -> None:
    """All of the company's with unbilled sales, and the log says so; milestones have none to wait for [H3, H4]."""
    waiting = {story.billing.number(story.invoices[name]) for name in ("pounds", "accruing", "retainer", "use")}
    assert {number for number, _ in story.held} == waiting
    assert all("aren't posted" in why for _, why in story.held)
    assert story.before["pounds"]["Message"] in {why for _, why in story.held}


@pytest.mark.parametrize(
    ("name", "billed"),
    [
        # as it was, less and its rest, more, charged, not charged, material: in pounds
        (
            "pounds",
            [("Chargeable", 8, 1240), ("Chargeable", 6, 930), ("NonChargeable", 2, 310), ("Chargeable", 10, 1550),
             ("Chargeable", 5, 775), ("NonChargeable", 3, 465), ("Chargeable", 4, 372)],
        ),
        ("accruing", [("Chargeable", 8, 1600), ("Chargeable", 6, 1200), ("NonChargeable", 2, 400)]),
        ("fixed", [("Chargeable", 1, 4000)]),
        ("retainer", [("Chargeable", 1, 5000)]),
        ("use", [("Chargeable", -1, -1500)]),
    ],
)  # fmt: skip
def test_what_is_billed_becomes_lines(shared: Cycle, story: Story, name: str, billed: list[tuple[object, ...]]) -> None:
    """One line per billed sale; what is not chargeable adds nothing [E9 to E12, E17, H3, R12]."""
    staged = [shared.staged(row) for row in rows_of(story, name)]
    assert [(row["BillingType"], row["Quantity"], row["Amount"]) for row in staged] == billed
    assert {row["InvoiceProposalId"] for row in staged} == {story.billing.number(story.invoices[name])}
    lines = {line["ActualsImportId"]: line for line in story.billing.lines(story.invoices[name])}
    assert set(lines) == {row["ActualsImportId"] for row in staged}
    header = story.billing.proposal(story.invoices[name])
    assert (header["LineCount"], header["Troubleshoot"], header["ProposalStatus"]) == (len(billed), "No", "Posted")
    assert header["InvoiceAmount"] == total([row for row in staged if row["BillingType"] == "Chargeable"], "Amount")
    assert total(list(lines.values()), "InvoicedAmount") == header["InvoiceAmount"]


def test_every_column_of_a_billed_row(shared: Cycle, story: Story) -> None:
    """What its unbilled sale has, but for what makes it billed, its dates, and what posting gave each [R15, H9]."""
    billed, unbilled = shared.staged(rows_of(story, "pounds")[0]), shared.staged(story.sales["as it was"])
    posted = story.billing.posted(story.invoices["pounds"])
    differ = {name: billed[name] for name in billed if billed[name] != unbilled[name] and not name.startswith("@")}
    assert differ == {
        "ActualsImportId": rows_of(story, "pounds")[0]["msdyn_actualimportid"],
        "ActualId": rows_of(story, "pounds")[0]["msdyn_actualid"],
        "TransactionType": "BilledSales",
        "InvoiceProposalId": story.billing.number(story.invoices["pounds"]),
        "InvoiceId": posted["InvoiceId"],
        "VoucherNumber": posted["Voucher"],
        "DocumentDate": NOON,
        "AccountingDate": NOON,
        "ExchangeRateDate": NOON,
    }
    assert unbilled["BillingStatusId"] == billed["BillingStatusId"] == 192350002


def test_a_line_of_a_proposal_in_full(shared: Cycle, story: Story) -> None:
    """The material: category, tax groups and price of its billed sale [G8, G10, H6]."""
    staged = shared.staged(rows_of(story, "pounds")[-1])
    line = next(
        line for line in story.billing.lines(story.invoices["pounds"])
        if line["ActualsImportId"] == staged["ActualsImportId"]
    )  # fmt: skip
    del line["@odata.etag"]
    assert line == {
        "dataAreaId": "uspm",
        "InvoiceProposalId": staged["InvoiceProposalId"],
        "LineNumber": line["LineNumber"],
        "ActualsImportId": staged["ActualsImportId"],
        "UnbilledActualsImportId": story.sales["material"]["msdyn_actualimportid"],
        "ContractLineMilestoneIdentifier": "",
        "TransactionType": "Item",
        "TransactionClassification": 192350002,
        "ProjectId": shared.number(story.projects["pounds"]),
        "ActivityNumber": staged["TaskNumber"],
        "CategoryId": f"{staged['TransactionCategoryId']}-3",
        "LineProperty": "CHARGE",
        "BillingType": "Chargeable",
        "Quantity": 4,
        "SalesPrice": 93,
        "Amount": 372,
        "InvoicedAmount": 372,
        "CurrencyCode": "GBP",
        "TaxGroupCode": "ST-STD",
        "ItemTaxGroupCode": "FULL",
        "SalesTaxAmount": Decimal("27.9"),
        "TransactionDate": "2026-03-02T12:00:00Z",
        "Description": "",
    }


def test_negatives_stay_in_dataverse(shared: Cycle, story: Story) -> None:
    """At confirmation; new unbilled sales travel and are posted like any other [G1, E9 to E11]."""
    for name in ("pounds", "accruing"):
        for row in rows_of(story, name, 192350005):
            found = shared.finance.rows("ProjActualsImports", f"ActualId eq {row['msdyn_actualid']}")
            assert bool(found) is (row["msdyn_quantity"] > 0)
            assert row["msdyn_skipsync"] is (row["msdyn_quantity"] < 0)
            assert all(one["VoucherNumber"] for one in found)
    statuses = {name: shared.staged(story.sales[name])["AdjustmentStatus"] for name in ("as it was", "less", "more")}
    assert statuses == {"as it was": 0, "less": 192350001, "more": 192350001}


def test_billed_sales_are_connected_in_both_systems(shared: Cycle, story: Story) -> None:
    """With the unbilled sale of equal quantity, price and category [F1, F4]."""
    ends = {
        (row["Transaction1Id"], row["Transaction1Role"]): (row["Transaction2Id"], row["Transaction2Role"])
        for row in shared.relationships()
        if row["Transaction1Type"] == row["Transaction2Type"] == "msdyn_actual"
    }
    for name in ("pounds", "accruing"):
        for row in rows_of(story, name):
            unbilled_id, role = ends[row["msdyn_actualid"], "Billed"]
            assert role == "Unbilled"
            unbilled, billed = shared.staged({"msdyn_actualid": unbilled_id}), shared.staged(row)
            for column in ("Quantity", "Amount", "TransactionCategoryId", "ContractLineId"):
                assert unbilled[column] == billed[column]


def test_the_customer_invoice_at_the_agreed_rate(story: Story) -> None:
    """4,867 pounds at 1.25, with 7.5 per cent tax [H8, H6, H9, G-L]."""
    posted = story.billing.posted(story.invoices["pounds"])
    facts = {
        name: posted[name]
        for name in ("CurrencyCode", "ExchangeRate", "InvoiceAmount", "SalesTaxAmount", "TotalAmount")
    }
    assert facts == {
        "CurrencyCode": "GBP",
        "ExchangeRate": AGREED,
        "InvoiceAmount": 4867,
        "SalesTaxAmount": Decimal("365.03"),
        "TotalAmount": Decimal("5232.03"),
    }
    assert (posted["InvoiceDate"], posted["AccountingDate"]) == (NOON, NOON)
    entries = story.billing.entries(story.invoices["pounds"])
    assert set(entries) == {"CustomerBalance", "ProjectInvoicedRevenue", "SalesTaxPayable"}
    assert entries["ProjectInvoicedRevenue"] == -cents(4867 * AGREED / 100)
    assert sum(entries.values()) == 0


def test_accrued_revenue_comes_down_to_nothing(shared: Cycle, story: Story) -> None:
    """With WIP; also what the edited sale had accrued before it was replaced [G-L, R9]."""
    entries = story.billing.entries(story.invoices["accruing"])
    assert entries["ProjectInvoicedRevenue"] == -2800
    number = shared.number(story.projects["accruing"])
    vouchers = {line["Voucher"] for line in shared.finance.rows("IntegrationJournalLines", f"ProjectId eq '{number}'")}
    accrued = [
        row["Debit"] - row["Credit"]
        for row in shared.finance.rows("LedgerEntries", "dataAreaId eq 'uspm'")
        if row["Voucher"] in vouchers and row["PostingType"] == "ProjectWipSalesValue"
    ]
    assert sum(accrued) == 1600 * 2 + 1200
    assert (entries["ProjectWipSalesValue"], entries["ProjectAccruedRevenue"]) == (-4400, 4400)


def test_a_milestone_and_its_on_account_transaction(shared: Cycle, story: Story) -> None:
    """Invoiced in Finance, which says so in Dataverse; the other one is untouched [E12, C4, R16]."""
    entries = story.billing.entries(story.invoices["fixed"])
    assert entries == {"CustomerBalance": entries["CustomerBalance"], "ProjectInvoicedOnAccount": -4000} | {
        name: amount for name, amount in entries.items() if name == "SalesTaxPayable"
    }
    table = "msdyn_contractlinescheduleofvalue"
    rows = [shared.dataverse.one(f"{table}s", f"{table}id eq {row}") for row in story.milestones]
    assert [row["msdyn_invoicestatus"] for row in rows] == [192350003, 192350000]
    numbers = [row["msdyn_milestonenumber"] for row in rows]
    on_account = [
        shared.finance.one("OnAccountTransactions", f"ContractLineMilestoneIdentifier eq '{number}'")
        for number in numbers
    ]
    assert [(row["Status"], row["Amount"]) for row in on_account] == [("Invoiced", 4000), ("Posted", 6000)]
    (line,) = story.billing.lines(story.invoices["fixed"])
    assert (line["ContractLineMilestoneIdentifier"], line["TransactionType"]) == (numbers[0], "OnAccount")
    assert rows_of(story, "fixed")[0]["msdyn_amount"] == on_account[0]["Amount"]


def test_a_retainer_is_invoiced_and_used(shared: Cycle, story: Story) -> None:
    """5,000 on account, 1,500 of them back, 3,500 left and posted as unbilled [E17]."""
    told = {
        name: story.billing.entries(story.invoices[name])["ProjectInvoicedOnAccount"] for name in ("retainer", "use")
    }
    assert told == {"retainer": -5000, "use": 1500}
    unbilled = [shared.staged(row) for name in ("retainer", "use") for row in rows_of(story, name, 192350005)]
    assert sorted(row["Amount"] for row in unbilled) == [-5000, -3500, 5000]
    assert {row["TransactionClassification"] for row in unbilled} == {RETAINER}
    assert all(row["VoucherNumber"] for row in unbilled)


@pytest.mark.parametrize("name", ["pounds", "accruing", "fixed", "retainer", "use"])
def test_the_customer_invoice_comes_back(shared: Cycle, story: Story, name: str) -> None:
    """Number, date, tax, total and status Posted [R37, H10]."""
    proforma, posted = story.billing.invoice(story.invoices[name]), story.billing.posted(story.invoices[name])
    assert story.posted[proforma["invoicenumber"]] == posted["InvoiceId"]
    assert proforma["msdyn_projectinvoicestatus"] == POSTED
    assert proforma["msdyn_invoicenumber"] == posted["InvoiceId"]
    assert f"{proforma['msdyn_invoicedate']}T12:00:00Z" == posted["InvoiceDate"] == NOON
    assert (proforma["totaltax"], proforma["totalamount"]) == (posted["SalesTaxAmount"], posted["TotalAmount"])
    found = shared.dataverse.one("msdyn_customerinvoices", f"_msdyn_invoice_value eq {proforma['invoiceid']}")
    facts = ("customerinvoicenumber", "name", "invoicedate", "status", "salestaxamount", "totalamount")
    assert [found[f"msdyn_{fact}"] for fact in facts] == [
        posted["InvoiceId"], posted["InvoiceId"], "2026-03-31", 192350000, posted["SalesTaxAmount"],
        posted["TotalAmount"],
    ]  # fmt: skip
    currency = shared.dataverse.one(
        "transactioncurrencies", f"transactioncurrencyid eq {found['_transactioncurrencyid_value']}"
    )
    assert currency["isocurrencycode"] == posted["CurrencyCode"]


@pytest.mark.parametrize("name", ["pounds", "accruing", "fixed", "retainer", "use"])
def test_the_accounting_of_billed_sales_comes_back(shared: Cycle, story: Story, name: str) -> None:
    """Voucher of the invoice, amount, rate and tax on every billed actual [G15, R5, R6]."""
    posted = story.billing.posted(story.invoices[name])
    lines = {line["ActualsImportId"]: line for line in story.billing.lines(story.invoices[name])}
    for row in rows_of(story, name):
        actual, staged = shared.actual(row), shared.staged(row)
        assert actual["msdyn_vouchernumber"] == staged["VoucherNumber"] == posted["Voucher"] != ""
        assert actual["exchangerate"] == staged["ExchangeRate"] == posted["ExchangeRate"]
        accounting = cents(Decimal(staged["Amount"]) * posted["ExchangeRate"] / 100)
        assert actual["msdyn_accountingamount"] == staged["AccountingAmount"] == accounting
        tax = lines[staged["ActualsImportId"]]["SalesTaxAmount"]
        assert (actual["msdyn_salestaxamount"] or 0) == staged["SalesTaxAmount"] == tax
        assert actual["msdyn_isjournalized"] is True
        assert actual["msdyn_accountingdate"] == "2026-03-31"


def test_then_there_is_quiet(shared: Cycle, story: Story) -> None:
    """Neither the next run nor a full one writes anything, and every unit is complete."""
    assert story.writes == []
    assert shared.world.open_rows() == []
    for invoice_id in story.invoices.values():
        assert all(record.complete for record in story.billing.unit(invoice_id))
