"""What is taken back, comes late or is shared: [E6, E7, E8, E17, E18, E21, E23, E24] from Dataverse to
Finance and back.

Everything that can be corrected was posted before, except where a test says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from dualsync_sandbox.business.dataverse.choices import BillingMethod, TransactionClass, TransactionType
from dualsync_sandbox.business.dataverse.contracts.actuals import confirm_contract, tie_project_to_contract
from dualsync_sandbox.business.dataverse.entries.approvals import approve_time, cancel_approval, recall
from dualsync_sandbox.business.dataverse.invoicing.retainers import consume_retainer, invoice_retainer
from dualsync_sandbox.business.dataverse.journals import post_correction_journal, post_entry_journal
from dualsync_sandbox.store import Row
from support.cycles import ACTUALS, Cycle, total
from support.project_office import SPLIT

pytestmark = pytest.mark.slow

Api = dict[str, Any]

TIME = TransactionClass.TIME
ADJUSTED, UNADJUSTABLE = 192350001, 192350002
FEE, RETAINER = 192350004, 192350005


@dataclass
class Story:
    """Projects by what happened to them, and actuals by what they are."""

    projects: dict[str, str] = field(default_factory=dict)
    actuals: dict[str, list[Row]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def story(shared: Cycle) -> Story:
    works = shared.works
    store = works.dataverse
    projects = {
        "cancelled": works.project(currency="GBP"),
        "never sent": works.project(),
        "wrong": works.project(),
        "right": works.project(currency="GBP"),
        "confirmed": works.project(draft=True),
        "tied": works.internal(),
        "customers": works.project(),
        "journal": works.project(),
        "retainer": works.project(BillingMethod.FIXED_PRICE),
    }
    told = Story(projects)
    contract = works.contract()
    rules = works.share_the_bill(projects["customers"], "62.5", "37.5")
    entry = works.time(projects["cancelled"])
    approve_time(store, entry, billable=Decimal(6))
    early = works.time(projects["never sent"])
    approve_time(store, early)
    recall(store, TIME, early)
    cost, *_ = approve_time(store, works.time(projects["wrong"]), billable=Decimal(6))
    for name in ("confirmed", "tied"):
        approve_time(store, works.time(projects[name]))
    told.actuals["customers"] = approve_time(store, works.time(projects["customers"], "7"))
    told.actuals["retainer"] = invoice_retainer(store, works.line_of(projects["retainer"]), Decimal(1000), "2026-03-02")
    shared.send(companies=["USPM"])
    shared.books()
    shared.sync("actuals", companies=["USPM"])

    cancel_approval(store, TIME, entry)
    changes = {"project": projects["right"], "task": works.leaf(projects["right"]), "role": works.role("Engineer")}
    post_correction_journal(store, str(cost["msdyn_actualid"]), changes)
    confirm_contract(store, works.contract_of(projects["confirmed"]))
    tie_project_to_contract(store, projects["tied"], contract)
    unbilled, _ = told.actuals["retainer"]
    told.actuals["use"] = consume_retainer(store, str(unbilled["msdyn_actualid"]), Decimal(400), "2026-03-09")
    line = {
        "msdyn_transactiontypecode": TransactionType.UNBILLED_SALES,
        "msdyn_transactionclassification": FEE,
        "msdyn_description": "Permit",
        "msdyn_project": projects["journal"],
        "msdyn_documentdate": "2026-03-04",
        "msdyn_quantity": Decimal(1),
        "msdyn_price": Decimal(300),
    }
    cost_line = {**line, "msdyn_transactiontypecode": TransactionType.COST, "msdyn_transactionclassification": TIME}
    (rule,) = works.share_the_bill(projects["journal"], "100")
    told.actuals["journal"] = post_entry_journal(store, [cost_line, line, {**line, "msdyn_contractcustomer": rule}])
    told.actuals["rules"] = [works.one(SPLIT, **{f"{SPLIT}id": rule}) for rule in rules]
    shared.send(companies=["USPM"])
    assert shared.world.open_rows() == []
    shared.books()
    shared.sync("actuals", companies=["USPM"])
    return told


def adds_up_to_nothing(shared: Cycle, actuals: list[Api]) -> None:
    """Originals and their reversals, in Dataverse, on the staging rows and in the ledger [R10]."""
    assert {row["msdyn_adjustmentstatus"] for row in actuals} == {ADJUSTED, UNADJUSTABLE}
    assert (total(actuals, "msdyn_quantity"), total(actuals, "msdyn_amount")) == (0, 0)
    staged = [shared.staged(row) for row in actuals]
    assert {row["AdjustmentStatus"] for row in staged} == {ADJUSTED, UNADJUSTABLE}
    for column in ("Quantity", "Amount", "AccountingAmount", "SalesTaxAmount"):
        assert total(staged, column) == 0
    assert total(actuals, "msdyn_accountingamount") == 0
    vouchers = {row["msdyn_vouchernumber"] for row in actuals}
    assert len(vouchers) == len(actuals), "each line has a voucher of its own"
    assert None not in vouchers
    entries = [
        row for row in shared.finance.rows("LedgerEntries", "dataAreaId eq 'uspm'") if row["Voucher"] in vouchers
    ]
    accounts = {row["MainAccount"] for row in entries}
    assert accounts
    for account in accounts:
        of_account = [row for row in entries if row["MainAccount"] == account]
        assert total(of_account, "Debit") == total(of_account, "Credit")


def split(actuals: list[Api]) -> tuple[list[Api], list[Api]]:
    """Adjusted rows with their reversals, and those that stand."""
    return (
        [row for row in actuals if row["msdyn_adjustmentstatus"] is not None],
        [row for row in actuals if row["msdyn_adjustmentstatus"] is None],
    )


def test_a_cancelled_approval(shared: Cycle, story: Story) -> None:
    """Three originals, three reversals, nothing left; each reversal connected to its original [E6, R10, R11]."""
    actuals = shared.actuals(story.projects["cancelled"])
    assert [row["msdyn_adjustmentstatus"] for row in actuals] == [ADJUSTED] * 3 + [UNADJUSTABLE] * 3
    adds_up_to_nothing(shared, actuals)
    known = {
        (row["Transaction1Id"], row["Transaction1Role"], row["Transaction2Id"], row["Transaction2Role"])
        for row in shared.relationships()
    }
    originals, reversals = actuals[:3], actuals[3:]
    for original, reversal in zip(originals, reversals, strict=True):
        assert (reversal["msdyn_actualid"], "Reversing", original["msdyn_actualid"], "Original") in known


def test_an_approval_that_was_taken_back_before_anything_was_sent(shared: Cycle, story: Story) -> None:
    """Both halves travel all the same [E6]."""
    actuals = shared.actuals(story.projects["never sent"])
    assert len(actuals) == 4
    adds_up_to_nothing(shared, actuals)


def test_a_correction_moves_work(shared: Cycle, story: Story) -> None:
    """Reversed on the project where it was, made anew where it belongs, at the prices there [E21]."""
    adds_up_to_nothing(shared, shared.actuals(story.projects["wrong"]))
    new = [shared.staged(row) for row in shared.actuals(story.projects["right"])]
    assert [(row["TransactionType"], row["Amount"], row["TransactionCurrencyId"]) for row in new] == [
        ("Cost", 880, "USD"),
        ("Sales", 852, "GBP"),
        ("Sales", 284, "GBP"),
    ]
    assert {row["ProjectId"] for row in new} == {shared.number(story.projects["right"])}
    assert all(row["VoucherNumber"] for row in new)


@pytest.mark.parametrize(("name", "reversed_ones"), [("confirmed", 4), ("tied", 2)])
def test_a_contract_that_is_confirmed_or_comes_late(shared: Cycle, story: Story, name: str, reversed_ones: int) -> None:
    """What stood is reversed, and what can be billed is made anew, under the contract [E7, E8]."""
    project = story.projects[name]
    old, new = split(shared.actuals(project))
    assert len(old) == reversed_ones
    adds_up_to_nothing(shared, old)
    contract = shared.dataverse.one("salesorders", f"salesorderid eq {shared.works.contract_of(project)}")
    staged = [shared.staged(row) for row in new]
    told = [(row["TransactionType"], row["Quantity"], row["Amount"], row["ContractId"]) for row in staged]
    assert told == [("Cost", 8, 960, contract["ordernumber"]), ("Sales", 8, 1600, contract["ordernumber"])]
    assert [row["msdyn_accountingamount"] for row in new] == [960, 1600]


def test_the_bill_is_shared_by_percentage(shared: Cycle, story: Story) -> None:
    """One unbilled actual for each customer, with funding source and account; the percentages stay home [E18, C2]."""
    cost, *sales = [shared.staged(row) for row in story.actuals["customers"]]
    rules = story.actuals["rules"]
    numbers = {
        row["accountid"]: row["accountnumber"] for row in shared.dataverse.rows("accounts", "accountnumber ne null")
    }
    assert (cost["Quantity"], cost["Amount"], cost["FundingSource"]) == (7, 840, "")
    assert [(row["FundingSource"], row["Quantity"], row["Amount"], row["CustomerAccountNumber"]) for row in sales] == [
        (rules[0]["msdyn_number"], Decimal("4.375"), 875, numbers[rules[0]["msdyn_contractcustomer"]]),
        (rules[1]["msdyn_number"], Decimal("2.625"), 525, numbers[rules[1]["msdyn_contractcustomer"]]),
    ]
    assert [shared.actual(row)["msdyn_accountingamount"] for row in story.actuals["customers"]] == [840, 875, 525]


def test_an_entry_journal(shared: Cycle, story: Story) -> None:
    """No origin, no connection; a sale without a customer travels, and has no funding source [E23, E24]."""
    actuals = [shared.actual(row) for row in story.actuals["journal"]]
    cost, without, with_one = [shared.staged(row) for row in story.actuals["journal"]]
    assert {row["msdyn_origin"] for row in actuals} == {None}
    classes = [(row["TransactionType"], row["TransactionClassification"]) for row in (cost, without, with_one)]
    assert classes == [("Cost", 192350000), ("Sales", FEE), ("Sales", FEE)]
    assert {(row["DocumentDate"][:10], row["Amount"], row["Description"]) for row in (cost, without)} == {
        ("2026-03-04", 300, "Permit")
    }
    assert (without["FundingSource"], without["CustomerAccountNumber"]) == ("", "")
    assert with_one["FundingSource"] != ""
    assert with_one["CustomerAccountNumber"] != ""
    assert [row["msdyn_accountingamount"] for row in actuals] == [300, 300, 300]
    ids = {row["msdyn_actualid"] for row in actuals}
    assert not [row for row in shared.relationships() if {row["Transaction1Id"], row["Transaction2Id"]} & ids]
    assert [shared.line(row)["CategoryType"] for row in actuals] == ["Hour", "Revenue", "Revenue"]


def test_of_a_retainer_only_the_unbilled_half_travels_with_the_actuals(shared: Cycle, story: Story) -> None:
    """1,000 invoiced, 400 of them used; billed sales and their connections go with the invoice proposals [E17]."""
    project = story.projects["retainer"]
    rows = shared.staging(project)
    assert {(row["TransactionType"], row["TransactionClassification"]) for row in rows} == {("Sales", RETAINER)}
    told = [(row["Amount"], row["AdjustmentStatus"]) for row in sorted(rows, key=lambda row: row["Amount"])]
    assert told == [(-1000, ADJUSTED), (-600, 0), (1000, UNADJUSTABLE)]
    billed = [story.actuals["retainer"][1], story.actuals["use"][-1]]
    for row in map(shared.actual, billed):
        assert row["msdyn_transactiontypecode"] == TransactionType.BILLED_SALES
        assert row["msdyn_vouchernumber"] is None
        assert shared.finance.rows("ProjActualsImports", f"ActualId eq {row['msdyn_actualid']}") == []
    ends = {(row["Transaction1Id"], row["Transaction1Role"]) for row in shared.relationships()}
    assert not {(row["msdyn_actualid"], "Billed") for row in billed} & ends
    unbilled = [row for row in shared.actuals(project) if row["msdyn_transactiontypecode"] != 192350006]
    assert all(row["msdyn_vouchernumber"] for row in unbilled)
    assert total(unbilled, "msdyn_accountingamount") == -600


def test_no_staging_row_is_a_billed_sale(shared: Cycle, story: Story) -> None:
    assert story.actuals["use"]
    kinds = {row["TransactionType"] for row in shared.finance.rows("ProjActualsImports")}
    assert kinds == {"Cost", "Sales"}


def test_there_is_nothing_left_to_do(shared: Cycle, story: Story) -> None:
    assert story.projects
    shared.world.forget_requests()
    for mode in ("incremental", "full"):
        shared.sync(*ACTUALS, companies=["USPM"], mode=mode)
    assert shared.world.writes() == []
    assert shared.world.open_rows() == []
