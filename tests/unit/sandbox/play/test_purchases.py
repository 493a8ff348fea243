"""Single events of procurement, where the integration has carried over what they need."""

from decimal import Decimal
from typing import Any

import pytest

from dualsync_sandbox.business.finance import jobs
from dualsync_sandbox.business.finance.procurement.vendor_invoices import (
    VendorInvoice,
    VendorLine,
    create_pending_vendor_invoice,
)
from dualsync_sandbox.play import NothingToPlay, play_event
from dualsync_sandbox.play.purchases import PROCUREMENT
from dualsync_sandbox.store import Row
from support.project_office import Works
from support.purchases import COMPLETE, CONFIRMED, INVOICE, INVOICE_LINE, SUBCONTRACT, SUBCONTRACT_LINE, Purchases

CATEGORIES = ("Consulting", "Travel", "Materials")


@pytest.fixture(scope="module")
def purchases(office: Works) -> Purchases:
    """Finance knows categories, and projects as they are asked for."""
    with office.finance.transaction() as tx:
        for name in CATEGORIES:
            number = office.one("msdyn_transactioncategory", msdyn_name=name)["msdyn_transactioncategorynumber"]
            tx.insert("ProjectTransactionCategories", {"CategoryId": number, "Name": name})
    return Purchases(office)


@pytest.fixture
def project(purchases: Purchases) -> str:
    """The number of a project that both systems know."""
    row = purchases.works.one("msdyn_project", msdyn_projectid=purchases.works.project())
    with purchases.works.finance.transaction() as tx:
        tx.insert("ProjectsV2", {"dataAreaId": "uspm", "ProjectId": row["msdyn_projectnumber"]})
    return str(row["msdyn_projectnumber"])


def event(purchases: Purchases, name: str, project: str | None, seed: int = 1) -> dict[str, Any]:
    works = purchases.works
    return play_event(works.dataverse, works.finance, works.clock, name, project=project, seed=seed)


def finance(purchases: Purchases, table: str, **equals: object) -> list[Row]:
    with purchases.works.finance.reading() as tx:
        return tx.find(table, **equals)


@pytest.mark.parametrize(
    "name", sorted(set(PROCUREMENT) - {"generate-receipts", "post-receipts", "create-subcontract"})
)
def test_an_event_without_what_it_needs(works: Works, name: str) -> None:
    """Before a synchronisation there is nothing to buy for, to confirm or to invoice."""
    with pytest.raises(NothingToPlay, match="There is no"):
        play_event(works.dataverse, works.finance, works.clock, name)


def test_vendors_invoice(purchases: Purchases, project: str) -> None:
    """Of every kind, some from orders, all for the project, with numbers of their own [J1, J7, J8]."""
    facts = [event(purchases, "post-vendor-invoice", project, seed) for seed in range(12)]
    assert {one["project"] for one in facts} == {project}
    assert {"order" in one for one in facts} == {True, False}
    numbers = [one["invoice"] for one in facts]
    assert len(set(numbers)) == 12
    posted = [row for row in finance(purchases, "VendorInvoiceHeaders") if row["VendorInvoiceNum"] in numbers]
    assert {row["InvoiceStatus"] for row in posted} == {"Posted"}
    lines = finance(purchases, "ProjVendInvoiceLinesExportEntity", ProjId=project)
    assert {row["VendorInvoiceNum"] for row in lines} == set(numbers)
    assert {row["CategoryType"] for row in lines} == {"Hour", "Cost", "Item"}


def test_what_the_group_charges_is_posted_first(purchases: Purchases, project: str) -> None:
    """It lies there, pending, since the lending company has invoiced [K5]."""
    works = purchases.works
    category = finance(purchases, "ProjectCategories", dataAreaId="uspm", CategoryType="Hour")[0]["CategoryId"]
    lent = VendorLine(Decimal(2), Decimal(120), project_id=project, project_category=str(category))
    invoice = VendorInvoice("ICV-GBPM", "ICI-000000001", (lent,), intercompany=True)
    create_pending_vendor_invoice(works.finance, "USPM", invoice)
    facts = event(purchases, "post-vendor-invoice", None)
    assert (facts["invoice"], facts["amount"]) == ("ICI-000000001", 240)


def test_a_payment_is_held(purchases: Purchases, project: str) -> None:
    """Rule [J3]."""
    facts = event(purchases, "hold-payment", project)
    (row,) = finance(purchases, "VendInvoiceExportsV2", VendorInvoiceNum=facts["invoice"])
    assert (facts["held"], row["SubcontractInvoice"]) == (True, "No")


def test_a_project_manager_confirms(purchases: Purchases, project: str) -> None:
    """Of the invoices that wait for somebody, one of the project [J3]."""
    works = purchases.works
    record = str(works.one("msdyn_project", msdyn_projectnumber=project)["msdyn_projectid"])
    invoice = purchases.invoice()
    purchases.charged(invoice, record)
    facts = event(purchases, "confirm-vendor-invoice", project)
    assert purchases.status(invoice) == CONFIRMED
    assert [row["msdyn_actualid"] for row in works.actuals(record)] == facts["actuals"]
    assert works.one(INVOICE_LINE, msdyn_vendorinvoice=invoice)["msdyn_verificationstatus"] == COMPLETE
    assert works.one(INVOICE, **{f"{INVOICE}id": invoice})["msdyn_vendorinvoicenumber"] == facts["invoice"]


def test_goods_are_taken_from_stock(purchases: Purchases, project: str) -> None:
    """Rule [J15]."""
    facts = event(purchases, "post-packing-slip", project)
    (row,) = finance(purchases, "PackingSlips", PackingSlipNumber=facts["slip"])
    assert (row["ProjectId"], facts["item"] in ("P-1002", "P-1004")) == (project, True)


def ordered_in_finance(purchases: Purchases, number: object) -> None:
    """What the integration carries over of a confirmed subcontract."""
    works = purchases.works
    subcontract = works.one(SUBCONTRACT, msdyn_subcontractnumber=number)
    (line, *_) = works.all(SUBCONTRACT_LINE, msdyn_subcontract=subcontract["msdyn_subcontractid"])
    role = works.one("bookableresourcecategory", bookableresourcecategoryid=line["msdyn_resourcecategory"])
    project = works.one("msdyn_project", msdyn_projectid=line["msdyn_project"])["msdyn_projectnumber"]
    role_id = role["msdyn_resourcecategorynumber"]
    with works.finance.transaction() as tx:
        if tx.find_one("ResourceCategoriesShared", RoleId=role_id) is None:
            tx.insert("ResourceCategoriesShared", {"RoleId": role_id})
        header = tx.insert(
            "SubContractPurchaseOrderHeaders",
            {"dataAreaId": "uspm", "ProjSubContractNumber": number, "OrderAccount": "V-000001", "ProjId": project},
        )
        tx.insert(
            "ProjSubContractPurchaseOrderLines",
            {
                "dataAreaId": "uspm",
                "ProjSubContractLineNumber": line["msdyn_subcontractlinenumber"],
                "SubcontractNumber": number,
                "SubConTransClass": "Time",
                "ProjId": project,
                "SubConRoleID": role_id,
                "PurchQty": line["msdyn_quantity"],
                "PurchPrice": line["msdyn_price"],
                "PurchUnit": "hr",
            },
        )
        tx.update("SubContractPurchaseOrderHeaders", header["RecId"], {"SubConStatus": "Confirmed"})


def staged(purchases: Purchases, actual_id: str, project: str) -> None:
    """What the integration carries over of a cost actual."""
    works = purchases.works
    row = works.one("msdyn_actual", msdyn_actualid=actual_id)
    line = works.one(SUBCONTRACT_LINE, msdyn_subcontractlineid=row["msdyn_subcontractline"])
    with works.finance.transaction() as tx:
        tx.insert(
            "ProjActualsImports",
            {
                "dataAreaId": "uspm",
                "ActualsImportId": row["msdyn_actualimportid"],
                "ActualId": actual_id,
                "TransactionType": "Cost",
                "TransactionClassification": 192350000,
                "BillingType": "NotAvailable",
                "ProjectId": project,
                "Quantity": row["msdyn_quantity"],
                "Amount": row["msdyn_amount"],
                "TransactionCurrencyId": "USD",
                "DocumentDate": row["msdyn_documentdate"],
                "AccountingDate": row["msdyn_accountingdate"],
                "SubcontractLine": line["msdyn_subcontractlinenumber"],
            },
        )


def test_a_subcontract_from_the_order_to_the_invoice(purchases: Purchases, project: str) -> None:
    """Rules [J10 to J14]."""
    works = purchases.works
    purchases.vendor()
    made = event(purchases, "create-subcontract", project)
    assert made["lines"] == len(works.all(SUBCONTRACT_LINE))
    for name in ("reopen-subcontract", "subcontract-time", "subcontract-invoice"):
        with pytest.raises(NothingToPlay):
            event(purchases, name, project)
    assert event(purchases, "confirm-subcontract", project)["subcontract"] == made["subcontract"]
    more = event(purchases, "reopen-subcontract", project)["more"]
    assert isinstance(more, Decimal)
    assert works.one(SUBCONTRACT)["statuscode"] == 192350000
    event(purchases, "confirm-subcontract", project)

    ordered_in_finance(purchases, made["subcontract"])
    worked = event(purchases, "subcontract-time", project)
    staged(purchases, worked["actuals"][0], project)
    jobs.import_from_staging(works.finance, "USPM")
    jobs.post_integration_journals(works.finance, "USPM")
    assert event(purchases, "generate-receipts", None)["lines"] == 1
    assert event(purchases, "post-receipts", None)["lines"] == 1
    facts = event(purchases, "subcontract-invoice", project)
    (line,) = finance(purchases, "ProjectPurchaseOrderLines", PurchaseOrderNumber=facts["order"])
    assert line["ReceivedQuantity"] == line["InvoicedQuantity"] == worked["hours"]
    with pytest.raises(NothingToPlay):
        event(purchases, "subcontract-invoice", project)
