"""Project vendor invoices in Dataverse: [J1, J3 to J6, J9, J14, J15, K8] and the documented refusals; by rule."""

from decimal import Decimal
from typing import Any

import pytest

from dualsync_sandbox.business.dataverse.choices import (
    AdjustmentStatus,
    BillingMethod,
    TransactionClass,
    TransactionType,
)
from dualsync_sandbox.business.dataverse.contracts.actuals import confirm_contract, tie_project_to_contract
from dualsync_sandbox.business.dataverse.entries.approvals import cancel_approval, recall
from dualsync_sandbox.business.dataverse.journals import post_correction_journal
from dualsync_sandbox.business.dataverse.procurement.vendor_accounts import create_missing_accounts
from dualsync_sandbox.business.dataverse.procurement.vendor_invoices import (
    confirm_vendor_invoice,
    hold_vendor_invoice,
    match,
    reopen_vendor_invoice,
    unmatch,
    verify_lines,
)
from dualsync_sandbox.errors import BusinessRuleViolation
from dualsync_sandbox.store import Row
from support.project_office import Works
from support.purchases import (
    CANCELED,
    COMPLETE,
    CONFIRMED,
    DRAFT,
    EXPENSE,
    IN_PROGRESS,
    IN_REVIEW,
    INVOICE,
    INVOICE_LINE,
    MATERIAL,
    ON_HOLD,
    TIME,
    Purchases,
)

COST, UNBILLED = TransactionType.COST, TransactionType.UNBILLED_SALES
RESOURCING, INTERORG = TransactionType.RESOURCING_UNIT_COST, TransactionType.INTER_ORGANIZATIONAL_SALES


@pytest.fixture(scope="module")
def purchases(office: Works) -> Purchases:
    return Purchases(office)


def told(rows: list[Row], *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row[f"msdyn_{column}"] for column in columns) for row in rows]


def standing(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row["msdyn_adjustmentstatus"] is None]


def change(purchases: Purchases, table: str, row_id: Any, *, outside: bool = True, **changes: Any) -> None:
    """What a caller of the API changes."""
    with purchases.works.dataverse.transaction(outside=outside) as tx:
        tx.update(table, row_id, changes)


# -- what is refused


def test_goods_need_a_product(purchases: Purchases) -> None:
    """The documented words; a retired product will do [J9]."""
    project, invoice = purchases.works.project(), purchases.invoice()
    with pytest.raises(BusinessRuleViolation) as refused:
        purchases.charged(invoice, project, msdyn_product=None)
    assert str(refused.value) == "Product id is mandatory. Select a product from the catalog."
    assert refused.value.code == "0x80040265"
    with purchases.works.dataverse.transaction() as tx:
        retired = tx.insert("product", {"msdyn_productnumber": "WRITTEN", "name": "Write-in product", "statecode": 1})
    line = purchases.charged(
        invoice, project, msdyn_product=retired["productid"], msdyn_description="Two bags of cement"
    )
    purchases.trigger(invoice)
    (cost, _) = purchases.works.all("msdyn_actual", msdyn_vendorinvoiceline=line)
    assert cost["msdyn_writeinproductdescription"] == "Two bags of cement"


@pytest.mark.parametrize("of", [TIME, EXPENSE, MATERIAL])
def test_a_category_must_be_active(purchases: Purchases, of: int) -> None:
    """The documented words; an expense cannot do without a category."""
    project, invoice = purchases.works.project(), purchases.invoice()
    with purchases.works.dataverse.transaction() as tx:
        retired = tx.insert("msdyn_transactioncategory", {"msdyn_name": f"Retired {of}", "statecode": 1})
    wrong = [retired["msdyn_transactioncategoryid"]] + ([None] if of == EXPENSE else [])
    for category in wrong:
        with pytest.raises(BusinessRuleViolation) as refused:
            purchases.charged(invoice, project, of, msdyn_transactioncategory=category)
        assert str(refused.value) == (
            "The Transaction Category linked to this vendor invoice line is invalid. Please select an Active, Expense "
            "Transaction Category."
        )
    purchases.charged(invoice, project, of)


def test_vendors_that_come_while_the_workflow_is_off_have_no_account(purchases: Purchases) -> None:
    """The documented cause of a vendor that cannot be looked up, and how it heals."""
    works = purchases.works
    works.switches.set(vendor_accounts=False)
    key = {"msdyn_vendoraccountnumber": "V-900002", "msdyn_company": works.company()}
    try:
        with works.dataverse.transaction() as tx:
            tx.insert("msdyn_vendor", key | {"msdyn_name": "Late and sons"})
    finally:
        works.switches.reset()
    named = {"accountnumber": "V-900002", "msdyn_company": works.company()}
    assert works.all("account", **named) == []
    assert create_missing_accounts(works.dataverse) >= 1
    assert works.one("account", **named)["customertypecode"] == 11
    assert create_missing_accounts(works.dataverse) == 0


def test_users_do_not_edit_vendor_invoices(purchases: Purchases) -> None:
    """Where that is switched on, only dual-write does; a project manager verifies and confirms [J1]."""
    works = purchases.works
    invoice = purchases.invoice()
    line = purchases.charged(invoice, works.project())
    change(purchases, INVOICE_LINE, line, msdyn_quantity=Decimal(3))
    works.switches.set(protect_vendor_invoices=True)
    try:
        for table, row_id, column in (
            (INVOICE_LINE, line, "msdyn_quantity"),
            (INVOICE, invoice, "msdyn_subtotal"),
        ):
            four: dict[str, Any] = {column: Decimal(4)}
            with pytest.raises(BusinessRuleViolation, match="aren't editable"):
                change(purchases, table, row_id, **four)
        works.switches.set(integration_user=True)
        change(purchases, INVOICE_LINE, line, msdyn_quantity=Decimal(4))
        works.switches.set(integration_user=False)
        change(purchases, INVOICE_LINE, line, msdyn_verificationstatus=COMPLETE)
        change(purchases, INVOICE, invoice, statuscode=CONFIRMED)
    finally:
        works.switches.reset()
    assert purchases.status(invoice) == CONFIRMED


# -- confirmation by itself


def test_an_invoice_confirms_itself(purchases: Purchases) -> None:
    """Cost and unbilled sale of each line, of its class; cost as charged, sale by the price list [J3, J4, J7]."""
    works = purchases.works
    project, invoice = works.project(), purchases.invoice()
    lines = [
        purchases.charged(invoice, project, MATERIAL, "2", "79.5"),
        purchases.charged(invoice, project, EXPENSE, "1", "250"),
        purchases.charged(invoice, project, TIME, "4", "65"),
    ]
    assert works.actuals(project) == []
    purchases.trigger(invoice)
    assert purchases.status(invoice) == CONFIRMED
    rows = works.actuals(project)
    assert told(rows, "transactiontypecode", "transactionclassification", "quantity", "price", "amount") == [
        (COST, MATERIAL, 2, Decimal("79.5"), 159),
        (UNBILLED, MATERIAL, 2, 120, 240),
        (COST, EXPENSE, 1, 250, 250),
        (UNBILLED, EXPENSE, 1, 250, 250),
        (COST, TIME, 4, 65, 260),
        (UNBILLED, TIME, 4, 200, 800),
    ]
    assert {row["msdyn_vendorinvoice"] for row in rows} == {invoice}
    assert [row["msdyn_vendorinvoiceline"] for row in rows] == [line for line in lines for _ in range(2)]
    assert [row["msdyn_origin"] for row in rows] == [line for line in lines for _ in range(2)]
    assert {row["msdyn_accountvendor"] for row in rows} == {purchases.vendor()}
    assert {row["msdyn_documentdate"] for row in rows} == {"2026-03-05"}
    assert {row["msdyn_skipsync"] for row in rows} == {False}
    assert {line["msdyn_verificationstatus"] for line in works.all(INVOICE_LINE, msdyn_vendorinvoice=invoice)} == {
        COMPLETE
    }
    one, other = rows[0]["msdyn_actualid"], rows[1]["msdyn_actualid"]
    assert (other, "Unbilled", one, "Cost") in works.connections()


def test_a_line_that_comes_too_late_costs_nothing(purchases: Purchases) -> None:
    """The trap: an invoice that is created confirmed has no lines at that moment, and never makes an actual [J3]."""
    works = purchases.works
    project, early, late = works.project(), purchases.invoice(automatic=True), purchases.invoice()
    assert purchases.status(early) == CONFIRMED
    purchases.charged(early, project)
    assert works.actuals(project) == []

    first = purchases.charged(late, project)
    purchases.trigger(late)
    purchases.charged(late, project)
    assert {row["msdyn_vendorinvoiceline"] for row in works.actuals(project)} == {first}
    change(purchases, INVOICE, late, msdyn_enableautomaticconfirmation=True)
    assert len(works.actuals(project)) == 2, "and saying it again changes nothing"


@pytest.mark.parametrize("method", [BillingMethod.FIXED_PRICE, None])
def test_only_time_and_material_sells(purchases: Purchases, method: BillingMethod | None) -> None:
    """Rules [J4, E5]."""
    works = purchases.works
    project = works.internal() if method is None else works.project(method)
    invoice = purchases.invoice()
    purchases.charged(invoice, project)
    purchases.trigger(invoice)
    assert told(works.actuals(project), "transactiontypecode", "amount") == [(COST, 100)]


def test_a_line_that_is_not_charged(purchases: Purchases) -> None:
    """The billing type of the line decides, else that of its category."""
    project, invoice = purchases.works.project(), purchases.invoice()
    purchases.charged(invoice, project, msdyn_billingtype=192350000)
    purchases.charged(invoice, project, EXPENSE, msdyn_billingtype=None)
    purchases.trigger(invoice)
    sales = purchases.works.actuals(project, UNBILLED)
    assert told(sales, "billingtype") == [(192350000,), (192350001,)]


def test_a_purchase_for_another_company(purchases: Purchases) -> None:
    """The same four; the vendor's charge is the lender's, the transfer price that of the borrower's list [K8, K6]."""
    works = purchases.works
    project, invoice = works.project(), purchases.invoice("GBPM")
    purchases.charged(invoice, project, TIME, "10", "88")
    purchases.charged(invoice, project, EXPENSE, "1", "157")
    purchases.trigger(invoice)
    rows = works.actuals(project)
    companies = [works.code(row["msdyn_owningcompany"]) for row in rows]
    currencies = [works.iso(row["transactioncurrencyid"]) for row in rows]
    figures = told(rows, "transactiontypecode", "amount", "skipsync")
    assert [(*figure, code, iso) for figure, code, iso in zip(figures, companies, currencies, strict=True)] == [
        (COST, 1200, True, "USPM", "USD"),
        (UNBILLED, 2000, False, "USPM", "USD"),
        (RESOURCING, 880, False, "GBPM", "GBP"),
        (INTERORG, 1200, False, "GBPM", "USD"),
        (COST, 157, True, "USPM", "GBP"),
        (UNBILLED, 200, False, "USPM", "USD"),
        (RESOURCING, 157, False, "GBPM", "GBP"),
        (INTERORG, 157, False, "GBPM", "GBP"),
    ]


# -- confirmation by the project manager


def test_a_project_manager_confirms(purchases: Purchases) -> None:
    """Not before every line is verified; from then on nothing is edited [J3, J4, J5]."""
    works = purchases.works
    project, invoice = works.project(), purchases.invoice()
    lines = [purchases.charged(invoice, project), purchases.charged(invoice, project)]
    assert purchases.status(invoice) == DRAFT
    change(purchases, INVOICE_LINE, lines[0], msdyn_verificationstatus=COMPLETE)
    assert purchases.status(invoice) == IN_REVIEW
    with pytest.raises(BusinessRuleViolation, match="verification of all lines"):
        confirm_vendor_invoice(works.dataverse, invoice)
    with pytest.raises(BusinessRuleViolation, match="aren't editable"):
        change(purchases, INVOICE_LINE, lines[0], msdyn_quantity=Decimal(9))
    verify_lines(works.dataverse, invoice)
    assert len(confirm_vendor_invoice(works.dataverse, invoice)) == 4
    assert purchases.status(invoice) == CONFIRMED
    for table, row_id in ((INVOICE, invoice), (INVOICE_LINE, lines[1])):
        with pytest.raises(BusinessRuleViolation, match="can't be edited or deleted"):
            change(purchases, table, row_id, msdyn_subtotal=Decimal(1))
        with (
            pytest.raises(BusinessRuleViolation, match="can't be edited or deleted"),
            works.dataverse.transaction(outside=True) as tx,
        ):
            tx.delete(table, row_id)


def test_an_invoice_on_hold(purchases: Purchases) -> None:
    """It is not confirmed there, and comes back to where its lines are [J5]."""
    works = purchases.works
    invoice = purchases.invoice()
    purchases.charged(invoice, works.project())
    hold_vendor_invoice(works.dataverse, invoice)
    assert purchases.status(invoice) == ON_HOLD
    purchases.trigger(invoice)
    with pytest.raises(BusinessRuleViolation, match="cannot get this status"):
        confirm_vendor_invoice(works.dataverse, invoice)
    assert reopen_vendor_invoice(works.dataverse, invoice)["statuscode"] == DRAFT
    verify_lines(works.dataverse, invoice, IN_PROGRESS)
    hold_vendor_invoice(works.dataverse, invoice)
    assert reopen_vendor_invoice(works.dataverse, invoice)["statuscode"] == IN_REVIEW
    verify_lines(works.dataverse, invoice)
    confirm_vendor_invoice(works.dataverse, invoice)
    for status in (DRAFT, ON_HOLD, CANCELED):
        with pytest.raises(BusinessRuleViolation, match="cannot get this status"):
            change(purchases, INVOICE, invoice, outside=False, statuscode=status)


# -- work that a vendor charges


def test_what_was_worked_is_taken_back_for_what_is_charged(purchases: Purchases) -> None:
    """Cost for cost; what the work sells for stands, and belongs to the new cost [J4, J6, J14]."""
    works = purchases.works
    project = works.project()
    ordered = purchases.confirmed(project)
    cost, sale = purchases.worked(project, ordered)
    assert told([cost], "amount", "subcontractline", "accountvendor") == [(520, ordered, purchases.vendor())]
    assert sale["msdyn_amount"] == 1600
    invoice = purchases.invoice()
    line = purchases.charged(invoice, project, TIME, "8", "66", msdyn_subcontractline=ordered)
    purchases.trigger(invoice)

    rows = works.actuals(project)
    assert told(rows, "transactiontypecode", "amount", "adjustmentstatus", "vendorinvoice", "vendorinvoiceline") == [
        (COST, 520, AdjustmentStatus.ADJUSTED, invoice, None),
        (UNBILLED, 1600, None, None, None),
        (COST, -520, AdjustmentStatus.UNADJUSTABLE, invoice, None),
        (COST, 528, None, invoice, line),
    ]
    original, sold, back, new = (row["msdyn_actualid"] for row in rows)
    assert {
        (back, "Reversing", original, "Original"),
        (new, "Replacing", original, "Original"),
        (sold, "Unbilled", new, "Cost"),
    } <= works.connections()
    assert {row["msdyn_subcontractline"] for row in rows} == {ordered}


def test_matching_takes_the_oldest_work_that_fits(purchases: Purchases) -> None:
    """Until the line's quantity is used up; other roles, tasks and lines do not fit, an empty one does [J6, J14]."""
    works = purchases.works
    project = works.project()
    ordered = purchases.confirmed(project)
    first, second, third = (purchases.worked(project, ordered, hours)[0] for hours in ("3", "4", "5"))
    engineer = purchases.worked(project, ordered, msdyn_resourcecategory=works.role("Engineer"))[0]
    elsewhere = purchases.worked(project, purchases.confirmed(project))[0]
    invoice = purchases.invoice()
    purchases.charged(invoice, project, TIME, "6", "65", msdyn_subcontractline=ordered)
    purchases.trigger(invoice)

    def adjusted(row: Row) -> bool:
        found = works.one("msdyn_actual", msdyn_actualid=row["msdyn_actualid"])
        return bool(found["msdyn_adjustmentstatus"] == AdjustmentStatus.ADJUSTED)

    assert [adjusted(row) for row in (first, second, third, engineer, elsewhere)] == [True, True, False, False, False]
    rest = purchases.invoice()
    purchases.charged(rest, project, TIME, "13", "65", msdyn_subcontractline=ordered, msdyn_resourcecategory=None)
    purchases.trigger(rest)
    assert [adjusted(row) for row in (third, engineer, elsewhere)] == [True, True, False]


def test_a_line_without_work_sells_itself(purchases: Purchases) -> None:
    """Nobody has entered what the subcontractor charges [J14]."""
    project = purchases.works.project()
    invoice = purchases.invoice()
    ordered = purchases.confirmed(project)
    purchases.charged(invoice, project, TIME, "8", "65", msdyn_subcontractline=ordered)
    purchases.trigger(invoice)
    assert told(purchases.works.actuals(project), "transactiontypecode", "amount") == [(COST, 520), (UNBILLED, 1600)]


def test_a_project_manager_matches(purchases: Purchases) -> None:
    """The first match puts the line in progress; matches can be taken back until it is complete [J5, J6]."""
    works = purchases.works
    project = works.project()
    ordered = purchases.confirmed(project)
    one, other = (purchases.worked(project, ordered)[0]["msdyn_actualid"] for _ in range(2))
    strange = purchases.worked(project, ordered, msdyn_resourcecategory=works.role("Engineer"))[0]["msdyn_actualid"]
    invoice = purchases.invoice()
    line = purchases.charged(invoice, project, TIME, "8", "70", msdyn_subcontractline=ordered)
    match(works.dataverse, line, str(one))
    assert works.one(INVOICE_LINE, **{f"{INVOICE_LINE}id": line})["msdyn_verificationstatus"] == IN_PROGRESS
    assert purchases.status(invoice) == IN_REVIEW
    for wrong in (one, strange):
        with pytest.raises(BusinessRuleViolation, match="cannot be matched"):
            match(works.dataverse, line, str(wrong))
    match(works.dataverse, line, str(other))
    unmatch(works.dataverse, line, str(one))
    verify_lines(works.dataverse, invoice)
    with pytest.raises(BusinessRuleViolation, match="in progress"):
        unmatch(works.dataverse, line, str(other))
    made = confirm_vendor_invoice(works.dataverse, invoice)
    assert told(made, "transactiontypecode", "amount") == [(COST, -520), (COST, 560)]
    assert works.one("msdyn_actual", msdyn_actualid=one)["msdyn_adjustmentstatus"] is None


def test_a_line_of_no_subcontract_matches_nothing(purchases: Purchases) -> None:
    """Rule [J6]."""
    works = purchases.works
    project = works.project()
    cost = purchases.worked(project, purchases.confirmed(project))[0]["msdyn_actualid"]
    line = purchases.charged(purchases.invoice(), project, TIME)
    with pytest.raises(BusinessRuleViolation, match="cannot be matched"):
        match(works.dataverse, line, str(cost))


def test_work_that_is_charged_stays_as_it_is(purchases: Purchases) -> None:
    """No cancellation, no recall, no correction; nor of what the invoice made [J4]."""
    works = purchases.works
    project = works.project()
    ordered = purchases.confirmed(project)
    cost, sale = purchases.worked(project, ordered)
    invoice = purchases.invoice()
    purchases.charged(invoice, project, TIME, "8", "65", msdyn_subcontractline=ordered)
    purchases.trigger(invoice)
    entry = str(cost["msdyn_origin"])
    for take_back in (cancel_approval, recall):
        with pytest.raises(BusinessRuleViolation, match="A vendor invoice charges the entry"):
            take_back(works.dataverse, TransactionClass.TIME, entry)
    billed = works.one("msdyn_actual", msdyn_vendorinvoice=invoice, msdyn_adjustmentstatus=None)
    for actual in (sale["msdyn_actualid"], billed["msdyn_actualid"]):
        with pytest.raises(BusinessRuleViolation, match="belongs to a vendor invoice"):
            post_correction_journal(works.dataverse, str(actual), {"role": works.role("Engineer")})


def test_a_contract_renews_what_vendors_charge(purchases: Purchases) -> None:
    """Costs once, sales once, whether the work was entered before or not [E7, E8]."""
    works = purchases.works
    project = works.internal()
    ordered = purchases.confirmed(project)
    purchases.worked(project, ordered)
    invoice = purchases.invoice()
    purchases.charged(invoice, project, TIME, "8", "66", msdyn_subcontractline=ordered)
    purchases.charged(invoice, project, MATERIAL)
    purchases.trigger(invoice)
    assert told(standing(works.actuals(project)), "transactiontypecode", "amount") == [(COST, 528), (COST, 100)]

    contract = works.contract(draft=True)
    tie_project_to_contract(works.dataverse, project, contract)
    purchases.worked(project, ordered, "2")
    second = purchases.invoice()
    purchases.charged(second, project, TIME, "2", "66", msdyn_subcontractline=ordered)
    purchases.trigger(second)
    expected = [(COST, 100), (COST, 132), (COST, 528), (UNBILLED, 240), (UNBILLED, 400), (UNBILLED, 1600)]
    for _ in range(2):
        assert sorted(told(standing(works.actuals(project)), "transactiontypecode", "amount")) == expected
        if works.one("salesorder", salesorderid=contract)["msdyn_psastatusreason"] == 192350000:
            confirm_contract(works.dataverse, contract)
    total = sum((row["msdyn_amount"] for row in works.actuals(project, COST)), Decimal(0))
    assert total == 760, "what was reversed nets out"


# -- packing slips


def test_a_usage_from_a_packing_slip_is_approved_by_itself(purchases: Purchases) -> None:
    """Its actuals name the transaction that Finance has costed, also when they are renewed [J15, G18]."""
    works = purchases.works
    project = works.internal()
    with works.dataverse.transaction(outside=True) as tx:
        usage = tx.insert(
            "msdyn_materialusagelog",
            {
                "msdyn_externalmaterialusage": "USPM-PS0000001",
                "msdyn_date": "2026-03-02",
                "msdyn_quantity": Decimal(2),
                "msdyn_product": tx.find("product", msdyn_productnumber="P-1004")[0]["productid"],
                "msdyn_project": project,
                "msdyn_approvalstatus": 192350003,
            },
        )
    entry = works.one("msdyn_materialusagelog", msdyn_materialusagelogid=usage["msdyn_materialusagelogid"])
    assert entry["msdyn_approvalstatus"] == 192350002
    (cost,) = works.actuals(project)
    assert told([cost], "transactiontypecode", "externalreferenceid") == [(COST, "USPM-PS0000001")]
    tie_project_to_contract(works.dataverse, project, works.contract())
    rows = works.actuals(project)
    assert told(rows, "transactiontypecode", "quantity", "externalreferenceid") == [
        (COST, 2, "USPM-PS0000001"),
        (COST, -2, "USPM-PS0000001"),
        (COST, 2, "USPM-PS0000001"),
        (UNBILLED, 2, "USPM-PS0000001"),
    ]
