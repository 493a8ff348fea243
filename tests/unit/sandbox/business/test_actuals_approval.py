"""Approval of time, expenses and materials, and its opposite: [E1 to E8, E18] and the connections."""

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from dualsync_sandbox.business.dataverse import connections
from dualsync_sandbox.business.dataverse.choices import (
    AdjustmentStatus,
    BillingMethod,
    BillingStatus,
    BillingType,
    TransactionClass,
    TransactionType,
)
from dualsync_sandbox.business.dataverse.contracts.actuals import confirm_contract, tie_project_to_contract
from dualsync_sandbox.business.dataverse.entries import approvals
from dualsync_sandbox.business.dataverse.entries.approvals import (
    approve_expense,
    approve_material,
    approve_time,
    cancel_approval,
    recall,
    submit,
)
from dualsync_sandbox.errors import BusinessRuleViolation
from support.project_office import Works

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row

COST, UNBILLED = TransactionType.COST, TransactionType.UNBILLED_SALES
TIME, EXPENSE = TransactionClass.TIME, TransactionClass.EXPENSE


def figures(rows: "list[Row]") -> list[tuple[Any, ...]]:
    """Type, billing type, quantity, price and amount of actuals."""
    names = ("msdyn_transactiontypecode", "msdyn_billingtype", "msdyn_quantity", "msdyn_price", "msdyn_amount")
    return [tuple(row[name] for name in names) for row in rows]


def total(rows: "list[Row]", column: str = "msdyn_amount") -> Decimal:
    return sum((row[column] for row in rows), Decimal(0))


def test_nothing_happens_before_approval(works: Works) -> None:
    """Rule [E1]."""
    project = works.project()
    entry = works.time(project, send=False)
    assert submit(works.dataverse, TIME, entry) == []
    assert recall(works.dataverse, TIME, entry) == []
    assert works.one("msdyn_timeentry", msdyn_timeentryid=entry)["msdyn_entrystatus"] == 192350000
    submit(works.dataverse, TIME, entry)
    assert works.actuals(project) == []


def test_hours_as_submitted(works: Works) -> None:
    """Rule [E2]."""
    project = works.project()
    rows = approve_time(works.dataverse, works.time(project))
    assert figures(rows) == [
        (COST, BillingType.NOT_AVAILABLE, 8, 120, 960),
        (UNBILLED, BillingType.CHARGEABLE, 8, 200, 1600),
    ]
    cost, unbilled = rows
    for row in rows:
        assert row["msdyn_transactionclassification"] == TIME
        assert row["msdyn_skipsync"] is False
        assert row["msdyn_adjustmentstatus"] is None
        assert row["msdyn_documentdate"] == row["msdyn_accountingdate"] == "2026-03-02"
        assert works.code(row["msdyn_owningcompany"]) == "USPM"
        assert row["msdyn_salescontract"] == works.contract_of(project)
        assert row["msdyn_salescontractlineid"] == works.line_of(project)
        assert row["msdyn_task"] == works.leaf(project)
        assert row["msdyn_transactioncategory"] == works.category("Consulting")
        assert row["msdyn_actualimportid"] not in (None, row["msdyn_actualid"])
        assert row["msdyn_vouchernumber"] is None
    assert unbilled["msdyn_billingstatus"] == BillingStatus.UNBILLED_SALES_CREATED
    assert unbilled["msdyn_contractcustomer"] is not None
    assert unbilled["msdyn_accountcustomer"] is not None
    assert cost["msdyn_contractcustomer"] is None


def test_hours_reduced_at_approval(works: Works) -> None:
    """Rule [E3]."""
    rows = approve_time(works.dataverse, works.time(works.project()), billable=Decimal(6))
    assert figures(rows) == [
        (COST, BillingType.NOT_AVAILABLE, 8, 120, 960),
        (UNBILLED, BillingType.CHARGEABLE, 6, 200, 1200),
        (UNBILLED, BillingType.NON_CHARGEABLE, 2, 200, 400),
    ]


def test_hours_not_charged_at_all(works: Works) -> None:
    """The extreme of less: nothing is chargeable [E3]."""
    rows = approve_time(works.dataverse, works.time(works.project()), billable=Decimal(0))
    assert figures(rows)[1:] == [(UNBILLED, BillingType.NON_CHARGEABLE, 8, 200, 1600)]


def test_hours_increased_at_approval(works: Works) -> None:
    """Rule [E4]."""
    rows = approve_time(works.dataverse, works.time(works.project()), billable=Decimal("9.5"))
    assert figures(rows) == [
        (COST, BillingType.NOT_AVAILABLE, 8, 120, 960),
        (UNBILLED, BillingType.CHARGEABLE, Decimal("9.5"), 200, 1900),
    ]


def test_fixed_price_and_internal_work_only_cost(works: Works) -> None:
    """Rule [E5]."""
    fixed, internal = works.project(BillingMethod.FIXED_PRICE), works.internal()
    for project in (fixed, internal):
        rows = approve_time(works.dataverse, works.time(project))
        assert figures(rows) == [(COST, BillingType.NOT_AVAILABLE, 8, 120, 960)]
        (cost,) = rows
        assert cost["msdyn_salescontract"] == (works.contract_of(project) if project == fixed else None)


def test_a_class_the_line_leaves_out_only_costs(works: Works) -> None:
    """What no time and material line covers is not billed [E5]."""
    project = works.project()
    with works.dataverse.transaction() as tx:
        tx.update("salesorderdetail", works.line_of(project), {"msdyn_includetime": False})
    (cost,) = approve_time(works.dataverse, works.time(project))
    assert cost["msdyn_salescontractlineid"] is None


def test_what_is_not_chargeable_by_itself(works: Works) -> None:
    """The entry's own billing type goes to the sale [E2]."""
    entry = works.time(works.project(), msdyn_billingtype=int(BillingType.COMPLIMENTARY))
    assert figures(approve_time(works.dataverse, entry))[1:] == [(UNBILLED, BillingType.COMPLIMENTARY, 8, 200, 1600)]


def test_material_has_prices_of_its_product(works: Works) -> None:
    """Rule [E2] for materials."""
    rows = approve_material(works.dataverse, works.material(works.project()), billable=Decimal(3))
    assert figures(rows) == [
        (COST, BillingType.NOT_AVAILABLE, 4, 80, 320),
        (UNBILLED, BillingType.CHARGEABLE, 3, 120, 360),
        (UNBILLED, BillingType.NON_CHARGEABLE, 1, 120, 120),
    ]
    assert {row["msdyn_product"] for row in rows} == {works.one("product", msdyn_productnumber="P-1001")["productid"]}


def test_an_expense_costs_what_was_paid_and_sells_by_native_rates(works: Works) -> None:
    """78.50 GBP are 100 USD by Dataverse's own rates, whatever Finance says [E2, I8]."""
    rows = approve_expense(works.dataverse, works.expense(works.project(), "78.50", currency="GBP"))
    assert figures(rows) == [
        (COST, BillingType.NOT_AVAILABLE, 1, Decimal("78.50"), Decimal("78.50")),
        (UNBILLED, BillingType.CHARGEABLE, 1, 100, 100),
    ]
    cost, unbilled = rows
    assert [works.iso(row["transactioncurrencyid"]) for row in rows] == ["GBP", "USD"]
    assert (cost["exchangerate"], cost["msdyn_amount_base"]) == (Decimal("0.785"), 100)
    assert (unbilled["exchangerate"], unbilled["msdyn_amount_base"]) == (1, 100)


def test_an_expense_with_a_markup(works: Works) -> None:
    """A category may add a markup [I8]."""
    category = works.expense_category(category="Accommodation")
    entry = works.expense(works.project(), "200", msdyn_expensecategory=category)
    assert [row["msdyn_amount"] for row in approve_expense(works.dataverse, entry)] == [200, 210]


def test_sales_are_in_the_currency_of_the_contract(works: Works) -> None:
    """Cost in the company's currency, sales in the contract's [E2]."""
    rows = approve_time(works.dataverse, works.time(works.project(currency="GBP"), "2"))
    assert [(works.iso(row["transactioncurrencyid"]), row["msdyn_amount"]) for row in rows] == [
        ("USD", 240),
        ("GBP", 310),
    ]


def test_an_approval_needs_a_submitted_entry(works: Works) -> None:
    """Neither a draft nor what is approved already [E1]."""
    entry = works.time(works.project(), send=False)
    with pytest.raises(BusinessRuleViolation, match="submitted"):
        approve_time(works.dataverse, entry)
    submit(works.dataverse, TIME, entry)
    approve_time(works.dataverse, entry)
    with pytest.raises(BusinessRuleViolation, match="submitted"):
        approve_time(works.dataverse, entry)
    with pytest.raises(BusinessRuleViolation, match="approved"):
        submit(works.dataverse, TIME, entry)


@pytest.mark.parametrize("how", ["cancel", "recall"])
def test_an_approval_taken_back(works: Works, how: str) -> None:
    """The original is Adjusted, its reversal Unadjustable, and together they are nothing [E6, E19, R10]."""
    project = works.project()
    entry = works.time(project)
    made = approve_time(works.dataverse, entry, billable=Decimal(6))
    back = {"cancel": cancel_approval, "recall": recall}[how]
    reversals = back(works.dataverse, TIME, entry)
    assert len(reversals) == len(made) == 3
    rows = works.actuals(project)
    assert Counter(row["msdyn_adjustmentstatus"] for row in rows) == {
        AdjustmentStatus.ADJUSTED: 3,
        AdjustmentStatus.UNADJUSTABLE: 3,
    }
    for original, reversal in zip(made, reversals, strict=True):
        for column in ("msdyn_quantity", "msdyn_amount", "msdyn_amount_base"):
            assert reversal[column] == -original[column]
        same = ("msdyn_price", "msdyn_transactiontypecode", "msdyn_billingtype", "msdyn_documentdate", "msdyn_skipsync")
        assert [reversal[name] for name in same] == [original[name] for name in same]
        ends = (reversal["msdyn_actualid"], connections.REVERSING, original["msdyn_actualid"], connections.ORIGINAL)
        assert ends in works.connections()
    assert works.one("msdyn_timeentry", msdyn_timeentryid=entry)["msdyn_entrystatus"] == 192350000
    with pytest.raises(BusinessRuleViolation, match="no actuals"):
        cancel_approval(works.dataverse, TIME, entry)


def test_a_reversal_has_nothing_that_posting_gave_its_original(works: Works) -> None:
    """Voucher and accounting amounts come with the posting of the reversal itself [E6]."""
    entry = works.time(works.project())
    given = {"msdyn_vouchernumber": "V-1", "msdyn_accountingamount": Decimal(1), "msdyn_isjournalized": True}
    with works.dataverse.transaction() as tx:
        for row in approve_time(works.dataverse, entry):
            tx.update("msdyn_actual", row["msdyn_actualid"], {**given, "exchangerate": Decimal(3)})
    for row in cancel_approval(works.dataverse, TIME, entry):
        assert (row["msdyn_vouchernumber"], row["msdyn_accountingamount"]) == (None, None)
        assert (row["msdyn_isjournalized"], row["exchangerate"]) == (False, 1)


def test_what_is_on_an_invoice_stays(works: Works) -> None:
    """Not what the customer has been invoiced [E6]."""
    entry = works.time(works.project())
    unbilled = approve_time(works.dataverse, entry)[1]
    with works.dataverse.transaction() as tx:
        tx.update(
            "msdyn_actual",
            unbilled["msdyn_actualid"],
            {"msdyn_billingstatus": BillingStatus.CUSTOMER_INVOICE_POSTED},
        )
    with pytest.raises(BusinessRuleViolation, match="invoice"):
        cancel_approval(works.dataverse, TIME, entry)


def test_approved_again_after_a_recall(works: Works) -> None:
    """The entry can be approved anew, with actuals of their own [E6]."""
    project = works.project()
    entry = works.time(project)
    approve_time(works.dataverse, entry)
    recall(works.dataverse, TIME, entry)
    submit(works.dataverse, TIME, entry)
    approve_time(works.dataverse, entry)
    assert total(works.actuals(project, COST)) == 960
    assert len({row["msdyn_actualimportid"] for row in works.actuals(project)}) == 6


def test_a_confirmed_contract_makes_its_actuals_anew(works: Works) -> None:
    """Rule [E7]."""
    project = works.project(draft=True)
    old = approve_time(works.dataverse, works.time(project), billable=Decimal(6))
    rows = confirm_contract(works.dataverse, works.contract_of(project))
    new = [row for row in rows if row["msdyn_adjustmentstatus"] is None]
    assert figures(new) == figures(old)
    for kind in (COST, UNBILLED):
        assert total(works.actuals(project, kind)) == total(
            [row for row in old if row["msdyn_transactiontypecode"] == kind]
        )
    before, after = old[1]["msdyn_actualid"], new[1]["msdyn_actualid"]
    assert (after, connections.REPLACING, before, connections.ORIGINAL) in works.connections()
    with pytest.raises(BusinessRuleViolation, match="confirmed"):
        confirm_contract(works.dataverse, works.contract_of(project))


def test_a_contract_that_comes_late(works: Works) -> None:
    """Also for a quote that is won [E7]: everything is reversed, and what can be billed is [E8]."""
    project = works.internal()
    approve_time(works.dataverse, works.time(project, "5"))
    approve_material(works.dataverse, works.material(project, "2"))
    rows = tie_project_to_contract(works.dataverse, project, works.contract())
    assert figures([row for row in rows if row["msdyn_adjustmentstatus"] is None]) == [
        (COST, BillingType.NOT_AVAILABLE, 5, 120, 600),
        (UNBILLED, BillingType.CHARGEABLE, 5, 200, 1000),
        (COST, BillingType.NOT_AVAILABLE, 2, 80, 160),
        (UNBILLED, BillingType.CHARGEABLE, 2, 120, 240),
    ]
    assert total(works.actuals(project, COST)) == 760
    with pytest.raises(BusinessRuleViolation, match="already"):
        tie_project_to_contract(works.dataverse, project, works.contract())


def test_a_line_entered_by_a_user_ties_as_well(works: Works) -> None:
    """Rule [E8] follows from the row, not from a button."""
    project = works.internal()
    approve_time(works.dataverse, works.time(project, "5"))
    works.line(works.contract(), project, BillingMethod.FIXED_PRICE)
    assert Counter(row["msdyn_adjustmentstatus"] for row in works.actuals(project)) == {
        None: 1,
        192350001: 1,
        192350002: 1,
    }


def test_several_customers_share_a_sale(works: Works) -> None:
    """One row per customer by percentage, nothing lost to rounding [E18]."""
    project = works.project()
    rules = works.share_the_bill(project, "33.33", "33.33", "33.34")
    rows = approve_time(works.dataverse, works.time(project, "7.25"), billable=Decimal("5.25"))
    for billing_type, hours in ((BillingType.CHARGEABLE, Decimal("5.25")), (BillingType.NON_CHARGEABLE, Decimal(2))):
        sales = [row for row in rows if row["msdyn_billingtype"] == billing_type]
        assert [row["msdyn_contractcustomer"] for row in sales] == rules
        assert total(sales, "msdyn_quantity") == hours
        assert total(sales) == hours * 200
        for row in sales:
            assert abs(row["msdyn_amount"] - row["msdyn_quantity"] * row["msdyn_price"]) <= Decimal("0.01")


def test_customers_without_a_percentage_share_equally(works: Works) -> None:
    """Where users gave none (assumed) [E18]."""
    project = works.project()
    works.share_the_bill(project, "50", "50")
    with works.dataverse.transaction() as tx:
        for rule in tx.find("msdyn_projectcontractsplitbillingrule", msdyn_contract=works.contract_of(project)):
            tx.update(
                "msdyn_projectcontractsplitbillingrule",
                rule["msdyn_projectcontractsplitbillingruleid"],
                {"msdyn_splitpercentage": None},
            )
    rows = approve_time(works.dataverse, works.time(project))
    assert [row["msdyn_amount"] for row in rows] == [960, 800, 800]


def test_sales_are_connected_to_their_cost(works: Works) -> None:
    """Text id and type, and polymorphic lookups [F1, F2]."""
    cost, unbilled = approve_time(works.dataverse, works.time(works.project()))
    (row,) = works.all("msdyn_transactionconnection")
    ends = {"1": (unbilled, "Unbilled"), "2": (cost, "Cost")}
    for number, (actual, role) in ends.items():
        assert row[f"msdyn_transaction{number}"] == actual["msdyn_actualid"]
        assert row[f"msdyn_transaction{number}role"] == role
        assert row[f"msdyn_transaction{number}type"] == "msdyn_actual"
        assert row[f"msdyn_transaction{number}id"] == actual["msdyn_actualid"]
        assert row[f"msdyn_transaction{number}id@type"] == "msdyn_actual"
    with works.dataverse.reading() as tx:
        assert connections.of_actual(tx, cost["msdyn_actualid"]) == [row]


def test_everything_that_is_not_of_an_entry_journal_is_connected(works: Works) -> None:
    """No actual of a billable entry stands alone, whatever happened to it [F3, F4]."""
    project = works.project(draft=True)
    approve_time(works.dataverse, works.time(project))
    cancel_approval(works.dataverse, TIME, _approved(works, works.time(project)))
    confirm_contract(works.dataverse, works.contract_of(project))
    ends = {end for row in works.connections() for end in (row[0], row[2])}
    assert {row["msdyn_actualid"] for row in works.actuals(project)} == ends


def _approved(works: Works, entry: str) -> str:
    approve_time(works.dataverse, entry)
    return entry


def posted_in_finance(works: Works, project: str, **values: Any) -> str:
    """An expense as the integration writes it."""
    return str(works.expense(project, **{"msdyn_externalexpensenumber": "E-1", **values}))


def test_the_integrations_expense_is_approved_by_a_job(works: Works) -> None:
    """Cost, and unbilled sales on time and material; the number of Finance is the external origin [I3]."""
    project = works.project()
    entry = posted_in_finance(works, project)
    rows = works.actuals(project)
    assert figures(rows) == [
        (COST, BillingType.NOT_AVAILABLE, 1, 250, 250),
        (UNBILLED, BillingType.CHARGEABLE, 1, 250, 250),
    ]
    assert {row["msdyn_externaloriginreference"] for row in rows} == {"E-1"}
    assert {row["msdyn_transactioncategory"] for row in rows} == {works.category("Travel")}
    expense = works.one("msdyn_expense", msdyn_expenseid=entry)
    assert (expense["msdyn_expensestatus"], expense["statuscode"]) == (192350002, 867380003)


def test_an_expense_on_an_internal_project_only_costs(works: Works) -> None:
    """Rule [I3]."""
    project = works.internal()
    posted_in_finance(works, project)
    assert figures(works.actuals(project)) == [(COST, BillingType.NOT_AVAILABLE, 1, 250, 250)]


def test_written_again_it_is_not_approved_again(works: Works) -> None:
    """The integration may send the same row twice [I3]."""
    project = works.project()
    entry = posted_in_finance(works, project)
    with works.dataverse.transaction() as tx:
        tx.update("msdyn_expense", entry, {"msdyn_expensestatus": 192350001, "msdyn_amount": Decimal(250)})
    assert len(works.actuals(project)) == 2


def test_an_expense_without_the_job_waits(works: Works) -> None:
    """Not auto-approved, one of the three reasons for a missing actual [I6]."""
    works.switches.set(approve_expenses=False)
    project = works.project()
    posted_in_finance(works, project)
    assert works.actuals(project) == []
    assert len(approvals.approve_waiting_expenses(works.dataverse)) == 2
    assert approvals.approve_waiting_expenses(works.dataverse) == []


def test_an_expense_names_a_leaf_task(works: Works) -> None:
    """The documented message, and nothing written [C9, I5]."""
    project = works.project()
    parent = works.one("msdyn_projecttask", msdyn_project=project, msdyn_outlinelevel=1)
    with pytest.raises(BusinessRuleViolation, match="Could not resolve project task for export expense") as refused:
        posted_in_finance(works, project, msdyn_task=parent["msdyn_projecttaskid"])
    assert refused.value.code == "0x80040265"
    assert works.all("msdyn_expense") == []


def test_an_expense_category_belongs_to_a_company(works: Works) -> None:
    """Rules [D4, I1]."""
    with pytest.raises(BusinessRuleViolation, match="owning company"):
        posted_in_finance(works, works.project(), msdyn_expensecategory=works.expense_category("GBPM"))
