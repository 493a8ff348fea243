"""Proforma invoices up to confirmation: [F1, H1, H10, H12, E18 to E20, C5]; and what a customer invoice does [R37]."""

from decimal import Decimal
from typing import Any

import pytest

from dualsync_sandbox.business.dataverse.choices import (
    BillingMethod,
    BillingStatus,
    BillingType,
    MilestoneStatus,
    TransactionClass,
)
from dualsync_sandbox.business.dataverse.entries.approvals import approve_material, approve_time, cancel_approval
from dualsync_sandbox.business.dataverse.invoicing.billing import mark_milestone_ready, mark_ready_to_invoice
from dualsync_sandbox.business.dataverse.invoicing.proforma_confirmation import confirm_proforma
from dualsync_sandbox.business.dataverse.invoicing.proformas import (
    create_proforma,
    edit_line,
    line_details,
    remove_line,
    send_to_review,
)
from dualsync_sandbox.errors import BusinessRuleViolation
from support.project_office import Works

DRAFT, IN_REVIEW, CONFIRMED, POSTED = 192350000, 192350001, 192350002, 192350004


def unbilled(works: Works, project: str, hours: str = "8", **words: Any) -> dict[str, Any]:
    """The unbilled sale of some hours, ready to invoice."""
    _, sale = approve_time(works.dataverse, works.time(project, hours), **words)
    (ready,) = mark_ready_to_invoice(works.dataverse, [sale["msdyn_actualid"]])
    return ready


def invoice(works: Works, proforma: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = works.one("invoice", invoiceid=proforma["invoiceid"])
    return found


def test_a_proforma_holds_what_is_ready(office: Works) -> None:
    """Of the contract and nothing else; its number is one that the system gives [H1, E20]."""
    project = office.project()
    first = unbilled(office, project)
    material = approve_material(office.dataverse, office.material(project))[1]
    unbilled(office, office.project())
    proforma = create_proforma(office.dataverse, office.contract_of(project))
    (detail,) = line_details(office.dataverse, proforma["invoiceid"])
    assert detail["msdyn_originalactual"] == first["msdyn_actualid"]
    assert [detail[f"msdyn_{name}"] for name in ("quantity", "price", "amount", "project", "task")] == [
        8, 200, 1600, project, office.leaf(project),
    ]  # fmt: skip
    (line,) = office.all("invoicedetail", invoiceid=proforma["invoiceid"])
    assert (line["salesorderdetailid"], line["extendedamount"]) == (office.line_of(project), 1600)
    assert line["msdyn_billingmethod"] == BillingMethod.TIME_AND_MATERIAL
    contract = office.one("salesorder", salesorderid=office.contract_of(project))
    customer = office.one("msdyn_projectcontractsplitbillingrule", msdyn_contract=contract["salesorderid"])
    facts = ("salesorderid", "customerid", "transactioncurrencyid", "msdyn_company")
    assert [proforma[name] for name in facts] == [
        contract[name] for name in ("salesorderid", "customerid", "transactioncurrencyid", "msdyn_company")
    ]
    assert proforma["msdyn_contractcustomer"] == customer["msdyn_projectcontractsplitbillingruleid"]
    assert str(proforma["invoicenumber"]).startswith("INV-000")
    assert (proforma["msdyn_projectinvoicestatus"], proforma["msdyn_ordertype"]) == (DRAFT, 192350001)
    assert (proforma["totallineitemamount"], proforma["totaltax"], proforma["totalamount"]) == (1600, 0, 1600)
    status = {row["msdyn_actualid"]: row["msdyn_billingstatus"] for row in office.actuals(project)}
    assert status[first["msdyn_actualid"]] == BillingStatus.CUSTOMER_INVOICE_CREATED
    assert status[material["msdyn_actualid"]] == BillingStatus.UNBILLED_SALES_CREATED


def test_the_terms_of_payment_are_those_of_the_contract_customer(office: Works) -> None:
    project = office.project()
    unbilled(office, project)
    contract = office.contract_of(project)
    terms = office.one("msdyn_paymentterm", msdyn_name="Net45", msdyn_company=office.company())
    with office.dataverse.transaction() as tx:
        rule = tx.find_one("msdyn_projectcontractsplitbillingrule", msdyn_contract=contract)
        assert rule is not None
        rule_id = rule["msdyn_projectcontractsplitbillingruleid"]
        tx.update("msdyn_projectcontractsplitbillingrule", rule_id, {"msdyn_paymentterms": "Net45"})
    assert create_proforma(office.dataverse, contract)["msdyn_paymentterms"] == terms["msdyn_paymenttermid"]


def test_a_draft_connects_its_details_with_the_unbilled_sales(office: Works) -> None:
    """Invoice line detail Billed, actual Unbilled [F1]."""
    project = office.project()
    sale = unbilled(office, project)
    proforma = create_proforma(office.dataverse, office.contract_of(project))
    (detail,) = line_details(office.dataverse, proforma["invoiceid"])
    (row,) = office.all("msdyn_transactionconnection", msdyn_transaction1=detail["msdyn_invoicelinetransactionid"])
    assert (row["msdyn_transaction1role"], row["msdyn_transaction1type"]) == ("Billed", "msdyn_invoicelinetransaction")
    assert (row["msdyn_transaction2"], row["msdyn_transaction2role"]) == (sale["msdyn_actualid"], "Unbilled")


def test_one_proforma_for_each_customer(office: Works) -> None:
    """Who shares the bill gets an invoice of the own part; milestones go to the first customer (assumed) [E18]."""
    project = office.project()
    first, second = office.share_the_bill(project, "60", "40")
    rows = approve_time(office.dataverse, office.time(project))
    mark_ready_to_invoice(office.dataverse, [row["msdyn_actualid"] for row in rows[1:]])
    contract = office.contract_of(project)
    one = create_proforma(office.dataverse, contract, customer_id=second)
    two = create_proforma(office.dataverse, contract)
    assert [(row["msdyn_contractcustomer"], row["totalamount"]) for row in (one, two)] == [(second, 640), (first, 960)]
    assert one["customerid"] != two["customerid"]
    with pytest.raises(BusinessRuleViolation, match="nothing to invoice"):
        create_proforma(office.dataverse, contract)


def test_milestones_that_are_ready(office: Works) -> None:
    """A fixed-price line is invoiced by its milestones [H1, C5, E20]."""
    project = office.project(BillingMethod.FIXED_PRICE)
    ready, later = office.milestone(project, "4000"), office.milestone(project, "6000")
    mark_milestone_ready(office.dataverse, ready)
    proforma = create_proforma(office.dataverse, office.contract_of(project))
    (detail,) = line_details(office.dataverse, proforma["invoiceid"])
    assert (detail["msdyn_milestone"], detail["msdyn_amount"]) == (ready, 4000)
    assert detail["msdyn_transactionclassification"] == TransactionClass.MILESTONE
    table = "msdyn_contractlinescheduleofvalue"
    statuses = [office.one(table, **{f"{table}id": row})["msdyn_invoicestatus"] for row in (ready, later)]
    assert statuses == [MilestoneStatus.CUSTOMER_INVOICE_CREATED, MilestoneStatus.NOT_READY]
    with pytest.raises(BusinessRuleViolation, match="on an invoice"):
        mark_milestone_ready(office.dataverse, ready)
    remove_line(office.dataverse, detail["msdyn_invoicelinetransactionid"])
    assert office.one(table, **{f"{table}id": ready})["msdyn_invoicestatus"] == MilestoneStatus.READY


def test_what_stands_on_a_draft_cannot_be_taken_back(office: Works) -> None:
    """Nor put on another draft [E20]."""
    project = office.project()
    entry = office.time(project)
    _, sale = approve_time(office.dataverse, entry)
    mark_ready_to_invoice(office.dataverse, [sale["msdyn_actualid"]])
    create_proforma(office.dataverse, office.contract_of(project))
    with pytest.raises(BusinessRuleViolation):
        cancel_approval(office.dataverse, TransactionClass.TIME, entry)
    with pytest.raises(BusinessRuleViolation, match="cannot be invoiced"):
        mark_ready_to_invoice(office.dataverse, [sale["msdyn_actualid"]])


def test_editing_a_draft(office: Works) -> None:
    """The amount follows quantity and price; only what is chargeable counts [H12, R12]."""
    project = office.project()
    for _ in range(2):
        unbilled(office, project)
    proforma = create_proforma(office.dataverse, office.contract_of(project))
    one, two = (row["msdyn_invoicelinetransactionid"] for row in line_details(office.dataverse, proforma["invoiceid"]))
    edited = edit_line(office.dataverse, one, msdyn_quantity=Decimal("6.5"), msdyn_price=Decimal("199.99"))
    assert edited["msdyn_amount"] == Decimal("1299.94")
    edit_line(office.dataverse, one, msdyn_tax=Decimal("97.50"), msdyn_description="As agreed")
    assert [invoice(office, proforma)[name] for name in ("totallineitemamount", "totaltax", "totalamount")] == [
        Decimal("2899.94"), Decimal("97.50"), Decimal("2997.44"),
    ]  # fmt: skip
    edit_line(office.dataverse, two, msdyn_billingtype=BillingType.COMPLIMENTARY)
    assert invoice(office, proforma)["totallineitemamount"] == Decimal("1299.94")
    (line,) = office.all("invoicedetail", invoiceid=proforma["invoiceid"])
    amounts = ("extendedamount", "msdyn_chargeableamount", "msdyn_complimentaryamount", "msdyn_nonchargeableamount")
    assert [line[name] for name in amounts] == [Decimal("1299.94"), Decimal("1299.94"), 1600, 0]


@pytest.mark.parametrize(
    ("method", "columns", "why"),
    [
        (BillingMethod.TIME_AND_MATERIAL, {"msdyn_transactionclassification": TransactionClass.FEE}, "class"),
        (BillingMethod.TIME_AND_MATERIAL, {"msdyn_amount": Decimal(1)}, "msdyn_amount"),
        (BillingMethod.TIME_AND_MATERIAL, {"msdyn_quantity": Decimal(-1)}, "negative"),
        (BillingMethod.FIXED_PRICE, {"msdyn_quantity": Decimal(2)}, "msdyn_quantity"),
        (BillingMethod.FIXED_PRICE, {"msdyn_price": Decimal(2)}, "msdyn_price"),
    ],
)
def test_what_cannot_be_edited(office: Works, method: BillingMethod, columns: dict[str, Any], why: str) -> None:
    """On time and material neither the class; on fixed price neither quantity nor price [H12]."""
    project = office.project(method)
    if method == BillingMethod.FIXED_PRICE:
        mark_milestone_ready(office.dataverse, office.milestone(project, "4000"))
    else:
        unbilled(office, project)
    proforma = create_proforma(office.dataverse, office.contract_of(project))
    (detail,) = line_details(office.dataverse, proforma["invoiceid"])
    with pytest.raises(BusinessRuleViolation, match=why):
        edit_line(office.dataverse, detail["msdyn_invoicelinetransactionid"], **columns)
    allowed = {"msdyn_billingtype": BillingType.COMPLIMENTARY, "msdyn_tax": Decimal(5), "msdyn_description": "Free"}
    edit_line(office.dataverse, detail["msdyn_invoicelinetransactionid"], **allowed)


def test_a_line_taken_off_a_draft_is_ready_again(office: Works) -> None:
    project = office.project()
    sale = unbilled(office, project)
    unbilled(office, project)
    proforma = create_proforma(office.dataverse, office.contract_of(project))
    first, _ = line_details(office.dataverse, proforma["invoiceid"])
    remove_line(office.dataverse, first["msdyn_invoicelinetransactionid"])
    again = office.one("msdyn_actual", msdyn_actualid=sale["msdyn_actualid"])
    assert again["msdyn_billingstatus"] == BillingStatus.READY_TO_INVOICE
    assert invoice(office, proforma)["totalamount"] == 1600
    with office.dataverse.transaction() as tx:
        tx.delete("invoice", proforma["invoiceid"])
    assert {row["msdyn_billingstatus"] for row in office.actuals(project) if row["msdyn_billingstatus"]} == {
        BillingStatus.READY_TO_INVOICE
    }


def test_a_confirmed_invoice_is_read_only(office: Works) -> None:
    """For users; the statuses are Draft, In review, Confirmed and Posted [H10]."""
    project = office.project()
    unbilled(office, project)
    proforma = create_proforma(office.dataverse, office.contract_of(project))
    invoice_id = proforma["invoiceid"]
    (detail,) = line_details(office.dataverse, invoice_id)
    (line,) = office.all("invoicedetail", invoiceid=invoice_id)

    def write(table: str, row_id: object, **columns: object) -> None:
        with office.dataverse.transaction(outside=True) as tx:
            tx.update(table, row_id, columns)

    write("invoice", invoice_id, name="Spring", msdyn_accountingdate="2026-02-28")
    with pytest.raises(BusinessRuleViolation, match="follows from its confirmation"):
        write("invoice", invoice_id, msdyn_projectinvoicestatus=CONFIRMED)
    assert send_to_review(office.dataverse, invoice_id)["msdyn_projectinvoicestatus"] == IN_REVIEW
    with pytest.raises(BusinessRuleViolation, match="draft"):
        send_to_review(office.dataverse, invoice_id)
    confirm_proforma(office.dataverse, invoice_id)
    assert invoice(office, proforma)["msdyn_projectinvoicestatus"] == CONFIRMED
    for table, row_id, columns in (
        ("invoice", invoice_id, {"name": "Summer"}),
        ("invoicedetail", line["invoicedetailid"], {"productdescription": "Summer"}),
        ("msdyn_invoicelinetransaction", detail["msdyn_invoicelinetransactionid"], {"msdyn_description": "Summer"}),
    ):
        with pytest.raises(BusinessRuleViolation, match="read-only"):
            write(table, row_id, **columns)
    with pytest.raises(BusinessRuleViolation, match="read-only"), office.dataverse.transaction() as tx:
        tx.delete("invoice", invoice_id)
    with pytest.raises(BusinessRuleViolation, match="read-only"):
        remove_line(office.dataverse, detail["msdyn_invoicelinetransactionid"])
    with pytest.raises(BusinessRuleViolation, match="confirmed already"):
        confirm_proforma(office.dataverse, invoice_id)


def test_a_customer_invoice_posts_its_proforma(office: Works) -> None:
    """Number, date, status Posted and tax, by whoever writes the customer invoice; and the milestones with it [R37]."""
    project = office.project(BillingMethod.FIXED_PRICE)
    milestone = office.milestone(project, "4000")
    mark_milestone_ready(office.dataverse, milestone)
    proforma = create_proforma(office.dataverse, office.contract_of(project))
    confirm_proforma(office.dataverse, proforma["invoiceid"])
    with office.dataverse.transaction(outside=True) as tx:
        tx.insert(
            "msdyn_customerinvoice",
            {
                "msdyn_customerinvoicenumber": "CIV-000000001",
                "msdyn_invoice": proforma["invoiceid"],
                "msdyn_invoicedate": "2026-03-31",
                "msdyn_status": 192350000,
                "msdyn_salestaxamount": Decimal(300),
                "msdyn_totalamount": Decimal(4300),
                "msdyn_owningcompany": office.company(),
            },
        )
    posted = invoice(office, proforma)
    facts = ("msdyn_projectinvoicestatus", "msdyn_invoicenumber", "msdyn_invoicedate", "totaltax", "totalamount")
    assert [posted[name] for name in facts] == [POSTED, "CIV-000000001", "2026-03-31", 300, 4300]
    table = "msdyn_contractlinescheduleofvalue"
    found = office.one(table, **{f"{table}id": milestone})
    assert found["msdyn_invoicestatus"] == MilestoneStatus.CUSTOMER_INVOICE_POSTED
