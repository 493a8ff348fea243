"""What the maps of vendor invoices do with what is missing in Dataverse: the documented errors, as rows that wait.

Where dual-write keeps Finance from posting, Finance posts here, and header or line waits with what to do about it.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from dualsync.sync.run.runs import RunSummary
from dualsync_sandbox.business.finance.procurement.vendor_invoices import VendorInvoice, VendorLine, file_vendor_invoice
from support.cycles import Cycle
from support.worlds import leg

pytestmark = pytest.mark.slow

MAPS = ("vendor_invoices_v2", "vendor_invoice_lines", "vendor_invoices_v2_trigger")
UNKNOWN = "TCN-0000009999-ONLYF"
DRAFT, CONFIRMED = 192350000, 192350002
VENDOR, STRANGER = "V-000001", "V-000002"

Api = dict[str, Any]


@dataclass
class Story:
    """What happened to the invoices S-1, whose lines lack things, and S-2, whose vendor is no account."""

    project: str
    elsewhere: str
    waited: dict[str, str]
    header: Api
    lines: list[Api]
    units: list[Any]
    healed: RunSummary
    answered: RunSummary
    quiet: RunSummary


def line(project: str, **values: Any) -> VendorLine:
    given: dict[str, Any] = {"category": "Site materials", "project_id": project, **values}
    if given.get("item"):
        given["category"] = ""
    return VendorLine(Decimal(2), Decimal("12.5"), **given)


def _set_up(cycle: Cycle) -> tuple[str, str, str]:
    """A unit, a product and a category that only Finance has; returns a project here, one elsewhere, and a role."""
    with cycle.works.finance.transaction() as tx:
        tx.insert("UnitsOfMeasure", {"UnitSymbol": "TST", "UnitDescription": "Test unit"})
        tx.insert("Products", {"ProductNumber": "P-NEW", "ProductName": "New pump"})
        tx.insert(
            "ReleasedProducts",
            {"dataAreaId": "uspm", "ItemNumber": "P-NEW", "ProductNumber": "P-NEW", "PurchaseUnit": "ea"},
        )
        tx.insert("ProjectTransactionCategories", {"CategoryId": UNKNOWN, "Name": "Divers"})
        here, there = (str(tx.find("ProjectsV2", dataAreaId=area)[0]["ProjectId"]) for area in ("uspm", "gbpm"))
        return here, there, str(tx.find("ResourceCategoriesShared")[0]["RoleId"])


@pytest.fixture(scope="module")
def story(shared: Cycle) -> Story:
    project, elsewhere, role = _set_up(shared)
    with shared.works.dataverse.transaction() as tx:
        (gone,) = tx.find("account", accountnumber=STRANGER, msdyn_company=shared.works.company())
        tx.delete("account", gone["accountid"])
    lines = (
        line(project),
        line(project, unit="TST"),
        line(project, item="P-NEW"),
        line(project, transaction_category=UNKNOWN),
        line(elsewhere, category="Contract labour", company="GBPM", role=role),
    )
    finance = shared.works.finance
    file_vendor_invoice(finance, "USPM", VendorInvoice(VENDOR, "S-1", lines, manual_verification=False))
    file_vendor_invoice(finance, "USPM", VendorInvoice(STRANGER, "S-2", (line(project),)))
    shared.sync(*MAPS)
    waited = {f"{row.map} {row.key}": row.reason for row in shared.world.open_rows()}
    header = shared.dataverse.one("msdyn_projectvendorinvoices", "msdyn_vendorinvoicenumber eq 'S-1'")
    arrived = shared.dataverse.rows("msdyn_projectvendorinvoicelines")
    with shared.world.runtime() as runtime:
        units = runtime.ledger.documents(map_name="vendor_invoices_v2")

    shared.dataverse.create(
        "msdyn_transactioncategories", {"msdyn_name": "Divers", "msdyn_transactioncategorynumber": UNKNOWN}
    )
    with shared.works.dataverse.transaction() as tx:
        (vendor,) = tx.find("msdyn_vendor", msdyn_vendoraccountnumber=STRANGER, msdyn_company=shared.works.company())
        tx.update("msdyn_vendor", vendor["msdyn_vendorid"], {"msdyn_paymentid": "again"})
    healed = shared.sync("units", "products", "transaction_categories", *MAPS)
    return Story(project, elsewhere, waited, header, arrived, units, healed, shared.sync(*MAPS), shared.sync(*MAPS))


def test_what_is_missing_makes_the_line_wait_and_says_what_to_do(story: Story) -> None:
    """A unit, a product and a transaction category that Dataverse does not have."""
    lines = {reason.split(" points at", 1)[0]: reason for key, reason in story.waited.items() if "lines" in key}
    assert set(lines) == {
        "PurchUnit",
        "DisplayProductNumber",
        "TransactionCategoryId",
        "InvoiceAccount, VendorInvoiceNum",
    }
    assert lines["PurchUnit"].endswith("run the map units in full, so that the unit comes to Dataverse")
    assert lines["DisplayProductNumber"].endswith(
        "run the map products in full, so that the product comes to Dataverse"
    )
    assert lines["TransactionCategoryId"].endswith("made in Dataverse: create it there, and it goes to Finance")


def test_a_vendor_that_is_no_account_makes_the_invoice_wait(story: Story) -> None:
    reason = story.waited[f"vendor_invoices_v2 {STRANGER}|S-2"]
    assert reason.startswith("InvoiceAccount names a row of map vendors_v2 for which accounts has no record")
    assert reason.endswith("see that the vendor is in Dataverse, and run the map vendors_v2 in full")


def test_the_header_triggers_nothing_before_its_lines_are_there(story: Story) -> None:
    assert (story.header["msdyn_enableautomaticconfirmation"], story.header["statuscode"]) == (False, DRAFT)
    assert "2 of 5 of vendor_invoice_lines" in story.waited[f"vendor_invoices_v2_trigger {VENDOR}|S-1"]
    counted = {(unit.key, unit.lines): (unit.expected, unit.acknowledged, unit.complete) for unit in story.units}
    assert counted[f"{VENDOR}|S-1", "vendor_invoice_lines"] == (5, 2, False)


def test_a_line_for_another_companys_project_is_the_invoiced_companys(shared: Cycle, story: Story) -> None:
    (there,) = [row for row in story.lines if row["msdyn_transactionclassification"] == 192350000]
    project = shared.dataverse.one("msdyn_projects", f"msdyn_projectid eq {there['_msdyn_project_value']}")
    assert project["msdyn_projectnumber"] == story.elsewhere
    assert there["_msdyn_owningcompany_value"] == shared.works.company("USPM")
    assert project["_msdyn_owningcompany_value"] == shared.works.company("GBPM")
    assert there["_msdyn_vendorinvoice_value"] == story.header["msdyn_projectvendorinvoiceid"]


def test_all_of_it_goes_through_once_that_is_there(shared: Cycle, story: Story) -> None:
    assert shared.world.open_rows() == []
    assert len(shared.dataverse.rows("msdyn_projectvendorinvoicelines")) == 6
    invoices = {row["msdyn_vendorinvoicenumber"]: row for row in shared.dataverse.rows("msdyn_projectvendorinvoices")}
    assert set(invoices) == {"S-1", "S-2"}
    assert leg(story.healed, "vendor_invoices_v2", "USPM", "to_dataverse").counts.created == 1
    assert leg(story.healed, "vendor_invoice_lines", "USPM", "to_dataverse").counts.created == 4
    assert invoices["S-1"]["msdyn_enableautomaticconfirmation"] is True


def test_the_confirmation_goes_back_and_then_nothing(shared: Cycle, story: Story) -> None:
    """The invoice is confirmed by itself, and Finance learns of it with the next run [J3]."""
    header = shared.dataverse.one("msdyn_projectvendorinvoices", "msdyn_vendorinvoicenumber eq 'S-1'")
    assert header["statuscode"] == CONFIRMED
    known = shared.finance.one("VendInvoiceExportsV2", "VendorInvoiceNum eq 'S-1'")
    assert known["ProjVendInvoiceStatus"] == "Confirmed"
    assert {leg.direction for leg in story.answered.legs if leg.counts.written} == {"to_finance"}
    assert story.quiet.counts.written == 0
