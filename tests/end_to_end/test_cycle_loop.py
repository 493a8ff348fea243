"""From the approval to the ledger and back: [E2 to E5, G1, G2, G7, G8, G10, G15], field by field through both APIs.

One project billed in pounds by a company that keeps its books in dollars, with sales tax, and one internal project.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest

from dualsync_sandbox.business.dataverse.choices import BillingMethod, TransactionClass
from dualsync_sandbox.business.dataverse.entries.approvals import approve_material, approve_time, submit
from dualsync_sandbox.business.finance.expenses import Expense, Share
from dualsync_sandbox.store import Row
from support.cycles import ACTUALS, Cycle

Api = dict[str, Any]

NOON = "2026-03-02T12:00:00Z"
NOBODY = "00000000-0000-0000-0000-000000000000"
RATE = Decimal("127.35")
"""Dollars for a hundred pounds, by Finance."""


@dataclass
class Story:
    """What happened, and how things stood in between."""

    project: str
    internal: str
    made: dict[str, list[Row]] = field(default_factory=dict)
    staged: dict[str, list[Api]] = field(default_factory=dict)
    sent: int = 0
    returned: int = 0
    writes: list[Api] = field(default_factory=list)
    second_writes: list[Api] = field(default_factory=list)


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"), ROUND_HALF_UP)


@pytest.fixture(scope="module")
def story(shared: Cycle) -> Story:
    """Work, send, post, bring back, and run again."""
    works = shared.works
    told = Story(works.project(currency="GBP"), works.internal())
    fixed = works.project(BillingMethod.FIXED_PRICE)
    pending = works.time(told.project, "5", send=False)
    submit(works.dataverse, TransactionClass.TIME, pending)
    told.made = {
        "as submitted": approve_time(works.dataverse, works.time(told.project)),
        "reduced": approve_time(works.dataverse, works.time(told.project), billable=Decimal(6)),
        "increased": approve_time(works.dataverse, works.time(told.project), billable=Decimal(10)),
        "material": approve_material(works.dataverse, works.material(told.project)),
        "internal": approve_time(works.dataverse, works.time(told.internal)),
        "fixed price": approve_time(works.dataverse, works.time(fixed)),
    }
    shared.send(companies=["USPM"])
    number = shared.number(told.project)
    shared.finance.change(f"ProjectsV2(dataAreaId='uspm',ProjectId='{number}')", {"SalesTaxGroupId": "ST-STD"})
    shared.report(Expense("TRAVEL", Decimal("120.00"), "2026-03-02", (Share(number),)))
    shared.sync("expenses", companies=["USPM"])
    told.made["expense"] = works.all(
        "msdyn_actual", msdyn_project=told.project, msdyn_transactionclassification=192350001
    )
    told.sent = shared.sync(*ACTUALS, companies=["USPM"]).counts.created
    told.staged = {name: [shared.staged(row) for row in rows] for name, rows in told.made.items()}
    shared.books()
    shared.world.forget_requests()
    told.returned = shared.sync(*ACTUALS, companies=["USPM"]).counts.updated
    told.writes = shared.world.writes()
    shared.world.forget_requests()
    for mode in ("incremental", "full"):
        shared.sync(*ACTUALS, "expenses", companies=["USPM"], mode=mode)
    told.second_writes = shared.world.writes()
    return told


def test_what_was_approved_is_staged_once(shared: Cycle, story: Story) -> None:
    """The entry that only was submitted has nothing, and every actual one row [E1 to E5, G1, R1]."""
    assert [len(rows) for rows in story.made.values()] == [2, 3, 2, 2, 1, 1, 2]
    assert story.sent == 3, "the expense's actuals and their connection; the rest went with the contracts"
    actuals = shared.actuals(story.project)
    staging = shared.staging(story.project)
    assert len(actuals) == len(staging) == 11
    assert {row["msdyn_actualid"] for row in actuals} == {row["ActualId"] for row in staging}
    assert {row["msdyn_actualimportid"] for row in actuals} == {row["ActualsImportId"] for row in staging}


@pytest.mark.parametrize(
    ("event", "told"),
    [
        ("as submitted", [("Cost", "NotAvailable", 8, 960), ("Sales", "Chargeable", 8, 1240)]),
        (
            "reduced",
            [("Cost", "NotAvailable", 8, 960), ("Sales", "Chargeable", 6, 930), ("Sales", "NonChargeable", 2, 310)],
        ),
        ("increased", [("Cost", "NotAvailable", 8, 960), ("Sales", "Chargeable", 10, 1550)]),
        ("material", [("Cost", "NotAvailable", 4, 320), ("Sales", "Chargeable", 4, 372)]),
        # Dataverse's own rate: 120 dollars at 0.785
        ("expense", [("Cost", "NotAvailable", 1, 120), ("Sales", "Chargeable", 1, Decimal("94.20"))]),
        ("internal", [("Cost", "NotAvailable", 8, 960)]),
        ("fixed price", [("Cost", "NotAvailable", 8, 960)]),
    ],
)
def test_quantities_and_amounts_by_event(story: Story, event: str, told: list[tuple[object, ...]]) -> None:
    """As submitted [E2], reduced [E3], increased [E4], no sales [E5]; and the same for material and expense."""
    rows = story.staged[event]
    assert [(row["TransactionType"], row["BillingType"], row["Quantity"], row["Amount"]) for row in rows] == told


def test_every_column_of_a_staged_cost(shared: Cycle, story: Story) -> None:
    works, project = shared.works, story.project
    cost = story.made["as submitted"][0]
    task = shared.dataverse.one("msdyn_projecttasks", f"msdyn_projecttaskid eq {works.leaf(project)}")
    contract = shared.dataverse.one("salesorders", f"salesorderid eq {works.contract_of(project)}")
    line = shared.dataverse.one("salesorderdetails", f"salesorderdetailid eq {works.line_of(project)}")
    resource = shared.dataverse.one("bookableresources", f"bookableresourceid eq {cost['msdyn_bookableresource']}")
    unit = works.unit()
    row = {name: value for name, value in story.staged["as submitted"][0].items() if not name.startswith("@")}

    assert row == {
        "dataAreaId": "uspm",
        "ActualsImportId": cost["msdyn_actualimportid"],
        "ActualId": cost["msdyn_actualid"],
        "TransactionType": "Cost",
        "TransactionClassification": 192350000,
        "BillingType": "NotAvailable",
        "BillingStatusId": 0,
        "AdjustmentStatus": 0,
        "Status": 0,
        "StatusReason": 1,
        "Quantity": 8,
        "UnitPrice": 120,
        "UnitPriceMST": 120,
        "Amount": 960,
        "TransactionCurrencyId": "USD",
        "ExchangeRate": 1,
        "DocumentDate": NOON,
        "AccountingDate": NOON,
        "ExchangeRateDate": NOON,
        "StartDate": NOON,
        "EndDate": NOON,
        "Description": "On site",
        "ExternalDescription": "",
        "ExternalReference": "",
        "ExternalOriginReference": "",
        "ProjectId": shared.number(project),
        "ProjectDataAreaId": "uspm",
        "TaskNumber": task["msdyn_tasknumber"],
        "ContractId": contract["ordernumber"],
        "ContractLine": 1,
        "ContractLineId": line["msdyn_contractlinenumber"],
        "FundingSource": "",
        "CustomerAccountNumber": "",
        "TransactionCategoryId": works.one("msdyn_transactioncategory", msdyn_name="Consulting")[
            "msdyn_transactioncategorynumber"
        ],
        "ProductNumber": "",
        "ProductDescription": "",
        "UnitOfMeasure": "hr",
        "ResourcingCompany": "USPM",
        "BookableResourceName": resource["name"],
        "ResourceId": cost["msdyn_bookableresource"],
        "ContractingUnit": unit,
        "ResourceOperationUnitId": unit,
        "OwningUser": cost["owninguser"],
        "OwningBusinessId": cost["owningbusinessunit"],
        # what only Finance knows, or what belongs to invoices and vendors
        "VoucherNumber": "",
        "AccountingAmount": 0,
        "SalesTaxAmount": 0,
        "IsJournalized": "No",
        "ProjActualsImportSync": "No",
        "InvoiceId": "",
        "InvoiceProposalId": "",
        "SubcontractLine": "",
        "SubConInvoiceId": "",
        "MatchedVendorInvoice": "",
        "VendInvoiceLineProjTransId": "",
    }


def test_what_a_staged_sale_has_besides(shared: Cycle, story: Story) -> None:
    """Customer, funding source, billing status and the contract's currency."""
    cost, sale = story.staged["as submitted"]
    customer = shared.dataverse.one(
        "msdyn_projectcontractsplitbillingrules", f"_msdyn_contract_value eq {shared.works.contract_of(story.project)}"
    )
    account = shared.dataverse.one("accounts", f"accountid eq {customer['_msdyn_contractcustomer_value']}")
    differ = {name: sale[name] for name in sale if sale[name] != cost[name] and not name.startswith("@")}
    assert differ == {
        "ActualsImportId": story.made["as submitted"][1]["msdyn_actualimportid"],
        "ActualId": story.made["as submitted"][1]["msdyn_actualid"],
        "TransactionType": "Sales",
        "BillingType": "Chargeable",
        "BillingStatusId": 192350000,
        "UnitPrice": 155,
        "UnitPriceMST": Decimal("197.4522"),
        "Amount": 1240,
        "TransactionCurrencyId": "GBP",
        "ExchangeRate": Decimal("0.785"),
        "FundingSource": customer["msdyn_number"],
        "CustomerAccountNumber": account["accountnumber"],
    }


def test_what_is_different_about_materials_and_expenses(shared: Cycle, story: Story) -> None:
    of = {name: story.staged[name][0] for name in ("as submitted", "material", "expense")}
    columns = ("TransactionClassification", "UnitOfMeasure", "ProductNumber", "ResourceId", "BookableResourceName")
    number = {
        name: shared.works.one("msdyn_transactioncategory", msdyn_name=name)["msdyn_transactioncategorynumber"]
        for name in ("Materials", "Travel")
    }
    assert [of["material"][name] for name in columns] == [192350002, "ea", "P-1001", NOBODY, ""]
    assert [of["expense"][name] for name in columns] == [192350001, "ea", "", NOBODY, ""]
    assert (of["material"]["TransactionCategoryId"], of["expense"]["TransactionCategoryId"]) == tuple(number.values())
    (exported,) = shared.finance.rows("ProjExpensesExport", f"ProjId eq '{shared.number(story.project)}'")
    assert of["expense"]["ExternalOriginReference"] == exported["ExpTransNumber"]


@pytest.mark.parametrize(
    ("event", "kind", "line_property"),
    [
        ("as submitted", "Hour", ["NOTAVAIL", "CHARGE"]),
        ("reduced", "Hour", ["NOTAVAIL", "CHARGE", "NONCHARGE"]),
        ("increased", "Hour", ["NOTAVAIL", "CHARGE"]),
        ("material", "Item", ["NOTAVAIL", "CHARGE"]),
        ("expense", "Cost", ["NOTAVAIL", "CHARGE"]),
        ("internal", "Hour", ["NOTAVAIL"]),
        ("fixed price", "Hour", ["NOTAVAIL"]),
    ],
)
def test_one_posted_journal_line_for_each(
    shared: Cycle, story: Story, event: str, kind: str, line_property: list[str]
) -> None:
    """Rules [G2, G7, G8, G10]."""
    lines = [shared.line(row) for row in story.made[event]]
    assert [line["LineProperty"] for line in lines] == line_property
    assert {(line["CategoryType"], line["LineStatus"], line["dataAreaId"]) for line in lines} == {
        (kind, "Posted", "uspm")
    }
    for line, staged in zip(lines, story.staged[event], strict=True):
        assert line["CategoryId"].startswith(staged["TransactionCategoryId"])
        assert (line["Quantity"], line["Amount"]) == (staged["Quantity"], staged["Amount"])
        transaction = shared.finance.one("ProjectTransactions", f"ActualsImportId eq '{staged['ActualsImportId']}'")
        assert transaction["Voucher"] == line["Voucher"]
    if len(lines) > 1:
        cost, *sales = lines
        assert {sale["RelatedVoucher"] for sale in sales} == {cost["Voucher"]}, "the connections came along"
        assert cost["RelatedVoucher"] in {sale["Voucher"] for sale in sales}


@pytest.mark.parametrize(
    "event", ["as submitted", "reduced", "increased", "material", "expense", "internal", "fixed price"]
)
def test_the_accounting_comes_back(shared: Cycle, story: Story, event: str) -> None:
    """Voucher, amount in accounting currency, rate and sales tax on the actual in Dataverse [G15, R5, R6]."""
    for made in story.made[event]:
        actual, staged, line = shared.actual(made), shared.staged(made), shared.line(made)
        pounds = staged["TransactionCurrencyId"] == "GBP"
        rate = RATE if pounds else Decimal(100)
        amount = cents(staged["Amount"] * rate / 100)
        taxed = staged["Amount"] if staged["BillingType"] == "Chargeable" else 0
        assert actual["msdyn_vouchernumber"] == staged["VoucherNumber"] == line["Voucher"] != ""
        assert actual["msdyn_accountingamount"] == staged["AccountingAmount"] == amount
        assert actual["exchangerate"] == staged["ExchangeRate"] == rate
        assert (actual["msdyn_salestaxamount"] or 0) == staged["SalesTaxAmount"] == cents(taxed * Decimal("0.075"))
        assert actual["msdyn_isjournalized"] is True
        assert actual["msdyn_accountingdate"] == "2026-03-02"


def test_the_return_changes_nothing_else(shared: Cycle, story: Story) -> None:
    """What posting does not know stays as Dataverse made it, in both systems."""
    back = {"VoucherNumber", "AccountingAmount", "ExchangeRate", "SalesTaxAmount", "IsJournalized"}
    own = {"ProjActualsImportSync", "@odata.etag"}
    brought = {"msdyn_vouchernumber", "msdyn_accountingamount", "exchangerate", "msdyn_salestaxamount"}
    stamps = {"msdyn_isjournalized", "modifiedon", "versionnumber"}
    for name, rows in story.made.items():
        for made, before in zip(rows, story.staged[name], strict=True):
            after, actual = shared.staged(made), shared.works.one("msdyn_actual", msdyn_actualid=made["msdyn_actualid"])
            assert {column for column in after if after[column] != before[column]} <= back | own
            assert {column for column in made if actual[column] != made[column]} <= brought | stamps


def test_the_return_is_one_write_each_and_triggers_none(shared: Cycle, story: Story) -> None:
    """Quiet means quiet: neither the next runs nor a full one write anything, on either side."""
    assert story.returned == 13
    assert {one["system"] for one in story.writes} == {"dataverse"}
    targets = [target for one in story.writes for target in one["body"]["Targets"]]
    assert len(targets) == 13
    assert {name for target in targets for name in target if not name.startswith("@")} <= {
        "msdyn_actualid", "msdyn_vouchernumber", "msdyn_accountingamount", "exchangerate", "msdyn_salestaxamount",
        "msdyn_isjournalized", "msdyn_accountingdate",
    }  # fmt: skip
    assert story.second_writes == []
    assert shared.world.open_rows() == []
    assert shared.balance() == 0
