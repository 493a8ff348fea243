"""Confirmation of proforma invoices: [E9 to E12, E17, F1, F4, G1, H9, R10, R12, R15]; and many lines at once."""

import time
import uuid
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from dualsync_sandbox.business.dataverse.choices import (
    AdjustmentStatus,
    BillingMethod,
    BillingStatus,
    BillingType,
    TransactionClass,
    TransactionType,
)
from dualsync_sandbox.business.dataverse.contracts.engagement import shares
from dualsync_sandbox.business.dataverse.entries.approvals import approve_expense, approve_material, approve_time
from dualsync_sandbox.business.dataverse.invoicing.billing import mark_milestone_ready, mark_ready_to_invoice
from dualsync_sandbox.business.dataverse.invoicing.proforma_confirmation import confirm_proforma
from dualsync_sandbox.business.dataverse.invoicing.proformas import (
    Draft,
    create_proforma,
    edit_line,
    line_details,
    taken_over,
)
from dualsync_sandbox.business.dataverse.invoicing.retainers import consume_retainer, deduct_retainer, invoice_retainer
from dualsync_sandbox.business.dataverse.journals import post_entry_journal
from dualsync_sandbox.errors import BusinessRuleViolation
from support.project_office import Works

Rows = list[dict[str, Any]]
UNBILLED, BILLED = TransactionType.UNBILLED_SALES, TransactionType.BILLED_SALES
CHARGEABLE, FREE, GIFT = BillingType.CHARGEABLE, BillingType.NON_CHARGEABLE, BillingType.COMPLIMENTARY
ADJUSTED, UNADJUSTABLE = AdjustmentStatus.ADJUSTED, AdjustmentStatus.UNADJUSTABLE
POSTED, CANCELED = BillingStatus.CUSTOMER_INVOICE_POSTED, BillingStatus.CANCELED


def drafted(works: Works, project: str, sales: Sequence[dict[str, Any]]) -> tuple[str, Rows]:
    """A draft of these unbilled sales: its id and its line details."""
    mark_ready_to_invoice(works.dataverse, [row["msdyn_actualid"] for row in sales])
    invoice_id = create_proforma(works.dataverse, works.contract_of(project))["invoiceid"]
    return invoice_id, line_details(works.dataverse, invoice_id)


def hours(works: Works, project: str, quantity: str = "8", **words: Any) -> dict[str, Any]:
    (sale,) = approve_time(works.dataverse, works.time(project, quantity, **words))[1:]
    return dict(sale)


def figures(rows: Rows) -> list[tuple[object, ...]]:
    """Type, billing type, quantity, amount, adjustment, billing status and Skip Sync."""
    names = ("transactiontypecode", "billingtype", "quantity", "amount", "adjustmentstatus", "billingstatus")
    return [(*(row[f"msdyn_{name}"] for name in names), row["msdyn_skipsync"]) for row in rows]


def sold(works: Works, project: str) -> Rows:
    """Everything of a project but its costs, as the store has it."""
    return [row for row in works.actuals(project) if row["msdyn_transactiontypecode"] in (UNBILLED, BILLED)]


def test_confirmed_as_it_was(office: Works) -> None:
    """The reversal stays in Dataverse [E9, G1]."""
    project = office.project()
    sale = hours(office, project)
    invoice_id, _ = drafted(office, project, [sale])
    made = confirm_proforma(office.dataverse, invoice_id)
    assert figures(sold(office, project)) == [
        (UNBILLED, CHARGEABLE, 8, 1600, None, POSTED, False),
        (UNBILLED, CHARGEABLE, -8, -1600, UNADJUSTABLE, POSTED, True),
        (BILLED, CHARGEABLE, 8, 1600, None, POSTED, False),
    ]
    reversal, billed = made
    assert {(row["msdyn_invoice"]) for row in sold(office, project)[:2]} == {None}
    assert billed["msdyn_invoice"] == invoice_id
    assert office.connections() >= {
        (reversal["msdyn_actualid"], "Reversing", sale["msdyn_actualid"], "Original"),
        (billed["msdyn_actualid"], "Billed", sale["msdyn_actualid"], "Unbilled"),
    }


def test_a_billed_sale_is_its_unbilled_one(office: Works) -> None:
    """But for what makes it billed, its dates, and what Finance gave the other [R15, H9]."""
    project = office.project()
    sale = hours(office, project)
    with office.dataverse.transaction() as tx:
        tx.update("msdyn_actual", sale["msdyn_actualid"], {"msdyn_vouchernumber": "V-1", "msdyn_isjournalized": True})
    invoice_id, (detail,) = drafted(office, project, [sale])
    edit_line(office.dataverse, detail["msdyn_invoicelinetransactionid"], msdyn_description="March")
    with office.dataverse.transaction(outside=True) as tx:
        tx.update("invoice", invoice_id, {"msdyn_invoicedate": "2026-03-15", "msdyn_accountingdate": "2026-03-31"})
    confirm_proforma(office.dataverse, invoice_id)
    *_, billed = sold(office, project)
    differ = {name for name in sale if sale[name] != billed[name]} - {"versionnumber", "createdon", "modifiedon"}
    assert differ == {
        "msdyn_actualid", "msdyn_actualimportid", "msdyn_transactiontypecode", "msdyn_billingstatus", "msdyn_invoice",
        "msdyn_documentdate", "msdyn_exchangeratedate", "msdyn_accountingdate", "msdyn_description",
    }  # fmt: skip
    assert (billed["msdyn_documentdate"], billed["msdyn_accountingdate"]) == ("2026-03-15", "2026-03-31")
    assert billed["msdyn_startdatetime"] == sale["msdyn_startdatetime"] == "2026-03-02T00:00:00Z"


def test_the_accounting_date_is_the_day_of_confirmation(office: Works) -> None:
    """Unless somebody says otherwise; it stamps the invoice too [H9]."""
    for day, expected in ((None, "2026-03-02"), ("2026-02-27", "2026-02-27")):
        project = office.project()
        invoice_id, _ = drafted(office, project, [hours(office, project)])
        _, billed = confirm_proforma(office.dataverse, invoice_id, day=day)
        invoice = office.one("invoice", invoiceid=invoice_id)
        assert billed["msdyn_accountingdate"] == expected
        assert (invoice["msdyn_accountingdate"], invoice["msdyn_invoicedate"]) == (expected, expected)


def test_confirmed_with_less(office: Works) -> None:
    """The rest is billed as non-chargeable; all negatives stay in Dataverse (assumed) [E10]."""
    project = office.project()
    sale = hours(office, project)
    invoice_id, (detail,) = drafted(office, project, [sale])
    edit_line(office.dataverse, detail["msdyn_invoicelinetransactionid"], msdyn_quantity=Decimal(6))
    confirm_proforma(office.dataverse, invoice_id)
    rows = sold(office, project)
    assert figures(rows) == [
        (UNBILLED, CHARGEABLE, 8, 1600, ADJUSTED, CANCELED, False),
        (UNBILLED, CHARGEABLE, -8, -1600, UNADJUSTABLE, POSTED, True),
        (UNBILLED, CHARGEABLE, 6, 1200, None, POSTED, False),
        (UNBILLED, CHARGEABLE, -6, -1200, UNADJUSTABLE, POSTED, True),
        (BILLED, CHARGEABLE, 6, 1200, None, POSTED, False),
        (UNBILLED, FREE, 2, 400, None, POSTED, False),
        (UNBILLED, FREE, -2, -400, UNADJUSTABLE, POSTED, True),
        (BILLED, FREE, 2, 400, None, POSTED, False),
    ]
    ids = [row["msdyn_actualid"] for row in rows]
    assert {
        (ids[1], "Reversing", ids[0], "Original"),
        (ids[2], "Replacing", ids[0], "Original"),
        (ids[3], "Reversing", ids[2], "Original"),
        (ids[4], "Billed", ids[2], "Unbilled"),
        (ids[5], "Replacing", ids[0], "Original"),
        (ids[6], "Reversing", ids[5], "Original"),
        (ids[7], "Billed", ids[5], "Unbilled"),
    } <= office.connections()
    assert office.one("invoice", invoiceid=invoice_id)["totallineitemamount"] == 1200


def test_confirmed_with_more(office: Works) -> None:
    """Rule [E11]."""
    project = office.project()
    invoice_id, (detail,) = drafted(office, project, [hours(office, project)])
    edit_line(office.dataverse, detail["msdyn_invoicelinetransactionid"], msdyn_quantity=Decimal(10))
    confirm_proforma(office.dataverse, invoice_id)
    assert figures(sold(office, project)) == [
        (UNBILLED, CHARGEABLE, 8, 1600, ADJUSTED, CANCELED, False),
        (UNBILLED, CHARGEABLE, -8, -1600, UNADJUSTABLE, POSTED, True),
        (UNBILLED, CHARGEABLE, 10, 2000, None, POSTED, False),
        (UNBILLED, CHARGEABLE, -10, -2000, UNADJUSTABLE, POSTED, True),
        (BILLED, CHARGEABLE, 10, 2000, None, POSTED, False),
    ]


@pytest.mark.parametrize(
    ("edit", "billed"),
    [
        ({"msdyn_quantity": Decimal(0)}, [(FREE, 8, 1600)]),
        ({"msdyn_price": Decimal("180.50")}, [(CHARGEABLE, 8, 1444)]),
        ({"msdyn_quantity": Decimal(6), "msdyn_price": Decimal(150)}, [(CHARGEABLE, 6, 900), (FREE, 2, 400)]),
        ({"msdyn_billingtype": GIFT}, [(GIFT, 8, 1600)]),
        ({"msdyn_billingtype": FREE}, [(FREE, 8, 1600)]),
    ],
)
def test_other_edits(office: Works, edit: dict[str, Any], billed: list[tuple[object, ...]]) -> None:
    """Another price or billing type replaces the sale, as another quantity does (assumed) [E10, H12]."""
    project = office.project()
    invoice_id, (detail,) = drafted(office, project, [hours(office, project)])
    edit_line(office.dataverse, detail["msdyn_invoicelinetransactionid"], **edit)
    confirm_proforma(office.dataverse, invoice_id)
    rows = sold(office, project)
    assert [
        (row["msdyn_billingtype"], row["msdyn_quantity"], row["msdyn_amount"])
        for row in rows
        if row["msdyn_transactiontypecode"] == BILLED
    ] == billed
    chargeable = sum(amount for kind, _, amount in billed if kind == CHARGEABLE)  # type: ignore[misc]
    assert office.one("invoice", invoiceid=invoice_id)["totallineitemamount"] == chargeable
    assert rows[0]["msdyn_adjustmentstatus"] == ADJUSTED


def test_parts_add_up_to_the_cent(office: Works) -> None:
    """A third of an amount that cannot be divided [E10, R10]."""
    project = office.project()
    sale = hours(office, project, "1")
    price = {"msdyn_price": Decimal("100.01"), "msdyn_amount": Decimal("100.01")}
    with office.dataverse.transaction() as tx:
        sale |= tx.update("msdyn_actual", sale["msdyn_actualid"], price)
    invoice_id, (detail,) = drafted(office, project, [sale])
    edit_line(office.dataverse, detail["msdyn_invoicelinetransactionid"], msdyn_quantity=Decimal("0.3333"))
    confirm_proforma(office.dataverse, invoice_id)
    billed = [row for row in sold(office, project) if row["msdyn_transactiontypecode"] == BILLED]
    assert [row["msdyn_amount"] for row in billed] == [Decimal("33.33"), Decimal("66.68")]
    assert sum(row["msdyn_quantity"] for row in billed) == 1


def test_what_was_never_charged_is_billed_as_such(office: Works) -> None:
    """Non-chargeable and complimentary sales are on the invoice without adding to it [R12]."""
    project = office.project()
    chargeable, rest = approve_time(office.dataverse, office.time(project), billable=Decimal(5))[1:]
    gift = hours(office, project, msdyn_billingtype=int(GIFT))
    invoice_id, _ = drafted(office, project, [chargeable, rest, gift])
    billed = [
        row for row in confirm_proforma(office.dataverse, invoice_id) if row["msdyn_transactiontypecode"] == BILLED
    ]
    assert [(row["msdyn_billingtype"], row["msdyn_amount"]) for row in billed] == [
        (CHARGEABLE, 1000), (FREE, 600), (GIFT, 1600),
    ]  # fmt: skip
    assert office.one("invoice", invoiceid=invoice_id)["totalamount"] == 1000


def test_materials_and_expenses(office: Works) -> None:
    """The other classes, with product, unit and category [E9]."""
    project = office.project()
    material = approve_material(office.dataverse, office.material(project))[1]
    expense = approve_expense(office.dataverse, office.expense(project, "100"))[1]
    invoice_id, _ = drafted(office, project, [material, expense])
    billed = [row for row in confirm_proforma(office.dataverse, invoice_id) if row["msdyn_invoice"] is not None]
    same = (
        "msdyn_transactionclassification",
        "msdyn_product",
        "msdyn_unit",
        "msdyn_transactioncategory",
        "msdyn_amount",
    )
    assert [[row[name] for name in same] for row in billed] == [
        [row[name] for name in same] for row in (material, expense)
    ]


def test_a_milestone_is_only_billed(office: Works) -> None:
    """Rule [E12]."""
    project = office.project(BillingMethod.FIXED_PRICE)
    milestone = office.milestone(project, "4000", "Design approved")
    mark_milestone_ready(office.dataverse, milestone)
    invoice_id = create_proforma(office.dataverse, office.contract_of(project))["invoiceid"]
    confirm_proforma(office.dataverse, invoice_id)
    (billed,) = office.actuals(project)
    assert figures([billed]) == [(BILLED, CHARGEABLE, 1, 4000, None, POSTED, False)]
    table = "msdyn_contractlinescheduleofvalue"
    number = office.one(table, **{f"{table}id": milestone})["msdyn_milestonenumber"]
    facts = ("transactionclassification", "description", "externaloriginreference", "invoice", "salescontractlineid")
    assert [billed[f"msdyn_{name}"] for name in facts] == [
        TransactionClass.MILESTONE, "Design approved", number, invoice_id, office.line_of(project),
    ]  # fmt: skip
    assert (billed["msdyn_owningcompany"], billed["msdyn_task"]) == (office.company(), office.leaf(project))
    assert billed["msdyn_contractcustomer"] is not None


def test_a_retainer_is_billed_on_an_invoice(office: Works) -> None:
    """Rule [E17]."""
    project = office.project()
    unbilled, billed = invoice_retainer(office.dataverse, office.line_of(project), Decimal(5000), "2026-03-02")
    assert figures([unbilled, billed]) == [
        (UNBILLED, CHARGEABLE, -1, -5000, None, BillingStatus.UNBILLED_SALES_CREATED, False),
        (BILLED, CHARGEABLE, 1, 5000, None, POSTED, False),
    ]
    invoice = office.one("invoice", invoiceid=billed["msdyn_invoice"])
    assert (invoice["totalamount"], invoice["msdyn_projectinvoicestatus"]) == (5000, 192350002)
    with pytest.raises(BusinessRuleViolation, match="cannot be invoiced"):
        mark_ready_to_invoice(office.dataverse, [unbilled["msdyn_actualid"]])


def test_a_retainer_is_used_on_the_invoice_of_the_work(office: Works) -> None:
    """The invoice deducts the part that is used; what is left stays unbilled [E17]."""
    project = office.project()
    retainer, _ = invoice_retainer(office.dataverse, office.line_of(project), Decimal(5000), "2026-03-02")
    sale = hours(office, project)
    with office.dataverse.transaction() as tx:
        contract = tx.get("salesorder", office.contract_of(project))
        assert contract is not None
        draft = Draft(tx, contract, shares(tx, contract)[0].customer)
        draft.add(sale["msdyn_salescontractlineid"], taken_over(sale), sale)
        deduct_retainer(tx, draft, retainer, Decimal(1500))
        invoice_id = str(draft.write()["invoiceid"])
    assert office.one("invoice", invoiceid=invoice_id)["totalamount"] == 100
    made = confirm_proforma(office.dataverse, invoice_id)
    assert figures(made)[2:] == [
        (UNBILLED, CHARGEABLE, 1, 5000, UNADJUSTABLE, BillingStatus.UNBILLED_SALES_CREATED, False),
        (UNBILLED, CHARGEABLE, -1, -3500, None, BillingStatus.UNBILLED_SALES_CREATED, False),
        (BILLED, CHARGEABLE, -1, -1500, None, POSTED, False),
    ]
    assert {row["msdyn_invoice"] for row in made if row["msdyn_transactiontypecode"] == BILLED} == {invoice_id}
    with pytest.raises(BusinessRuleViolation, match="not left"):
        consume_retainer(office.dataverse, retainer["msdyn_actualid"], Decimal(100), "2026-03-03")


def test_every_billed_sale_has_its_unbilled_one(office: Works) -> None:
    """As it was, less, more, of a journal; each connected with one of equal quantity and amount [F4, R15]."""
    project = office.project()
    customer = office.one("msdyn_projectcontractsplitbillingrule", msdyn_contract=office.contract_of(project))
    booked = {
        "msdyn_transactiontypecode": UNBILLED,
        "msdyn_transactionclassification": TransactionClass.TIME,
        "msdyn_project": project,
        "msdyn_quantity": Decimal(3),
        "msdyn_price": Decimal(100),
        "msdyn_contractcustomer": customer["msdyn_projectcontractsplitbillingruleid"],
    }
    sales = [hours(office, project) for _ in range(3)] + post_entry_journal(office.dataverse, [booked])
    invoice_id, details = drafted(office, project, sales)
    for detail, quantity in zip(details, ("8", "5", "9"), strict=False):
        edit_line(office.dataverse, detail["msdyn_invoicelinetransactionid"], msdyn_quantity=Decimal(quantity))
    confirm_proforma(office.dataverse, invoice_id)
    actuals = {row["msdyn_actualid"]: row for row in office.actuals(project)}
    partner = {one: two for one, role, two, _ in office.connections() if role == "Billed" and one in actuals}
    billed = [row for row in actuals.values() if row["msdyn_transactiontypecode"] == BILLED]
    assert [row["msdyn_quantity"] for row in billed] == [8, 5, 3, 9, 3]
    for row in billed:
        unbilled = actuals[partner[row["msdyn_actualid"]]]
        for name in ("quantity", "amount", "transactioncategory", "billingtype", "salescontractlineid"):
            assert row[f"msdyn_{name}"] == unbilled[f"msdyn_{name}"]


def test_a_long_invoice_is_confirmed_in_one_go(office: Works) -> None:
    """Two thousand lines take about a second of the processor, whatever else runs beside it."""
    project = office.project()
    sale = hours(office, project)
    plain = {name: value for name, value in sale.items() if name not in ("createdon", "modifiedon", "versionnumber")}
    copies = [
        {**plain, "msdyn_actualid": str(uuid.uuid4()), "msdyn_actualimportid": str(uuid.uuid4())} for _ in range(2_000)
    ]
    with office.dataverse.transaction() as tx:
        tx.insert_many("msdyn_actual", copies, hooks=False)
    started = time.process_time()
    invoice_id, details = drafted(office, project, copies)
    made = confirm_proforma(office.dataverse, invoice_id)
    assert time.process_time() - started < 10
    assert (len(details), len(made)) == (2_000, 4_000)
    assert office.one("invoice", invoiceid=invoice_id)["totalamount"] == 3_200_000
