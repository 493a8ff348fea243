"""Kill a run between a header and its last line: nothing comes of the unit, and the next run completes it, once.

The next run starts at once: the leases of a process that was killed on this host are free.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from dualsync.sync.run.runs import reopen_run
from dualsync.sync.run.serial import run_all
from dualsync_sandbox.business.dataverse.entries.approvals import approve_time
from dualsync_sandbox.business.dataverse.invoicing.billing import mark_ready_to_invoice
from dualsync_sandbox.business.dataverse.invoicing.proforma_confirmation import confirm_proforma
from dualsync_sandbox.business.dataverse.invoicing.proformas import create_proforma
from dualsync_sandbox.business.finance import jobs as finance_jobs
from dualsync_sandbox.business.finance.procurement.vendor_invoices import VendorInvoice, VendorLine, file_vendor_invoice
from support.crash import Point, run_and_die
from support.cycles import SINCE, Cycle
from support.orders import MAPS as SUBCONTRACTS
from support.orders import Orders
from support.worlds import World, copied

pytestmark = pytest.mark.slow

DATAVERSE = "dualsync.systems.dataverse:Dataverse"
FINANCE = "dualsync.systems.finance:Finance"
LEDGER = "dualsync.ledger.database:Ledger"
INVOICES = ("vendor_invoices_v2", "vendor_invoice_lines", "vendor_invoices_v2_trigger")
PROPOSALS = ("invoice_proposals", "actuals_billed", "transaction_relationships_billed")
LINES = 3
AREAS = ("subcontract_purchase_orders", "vendor_invoices", "estimates_actuals")

VENDOR_INVOICE = {
    "header written": Point("", f"{DATAVERSE}.upsert_many", "after", 1),
    "last line about to be written": Point("", f"{DATAVERSE}.create_with_id", "before", LINES),
    "lines written, not settled": Point("", f"{LEDGER}.settle", "before", 3),
}
SUBCONTRACT = {
    "some lines written": Point("", f"{FINANCE}.create", "after", 3),
    "last line about to be written": Point("", f"{FINANCE}.create", "before", 4),
    "trigger about to be sent": Point("", f"{FINANCE}.update", "before", 1),
}
CHANGE = {
    "header back at rest": Point("", f"{FINANCE}.update", "after", 1),
    "new line written": Point("", f"{FINANCE}.create", "after", 1),
}
PROFORMA = {
    "header imported": Point("", f"{FINANCE}.import_rows", "after", 1),
    "last billed sale about to be written": Point("", f"{FINANCE}.create", "before", LINES),
    "relationships about to be imported": Point("", f"{FINANCE}.import_rows", "before", 2),
}
numbers = count(1)


@pytest.fixture(scope="module")
def orders(synced_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orders]:
    """One world for all tests of this module; each makes a unit of its own."""
    for world in copied(synced_home, tmp_path_factory.mktemp("units") / "home"):
        Cycle(world).cut_over(SINCE)
        batches = world.settings.batch_sizes.model_copy(update={"dataverse_writes": 2, "finance_writes": 2})
        one = world.settings.concurrency.model_copy(update={"finance": 1, "dataverse": 1})
        world.settings = world.settings.model_copy(update={"batch_sizes": batches, "concurrency": one})
        for area in AREAS:
            summary = world.sync(area=area)
            assert summary.state == "settled", [leg.message for leg in summary.legs if leg.message]
        yield Orders(world)


def die(world: World, point: Point, maps: tuple[str, ...]) -> str:
    """Run the maps until the point; returns the run."""
    run_id = f"killed-{next(numbers)}"
    run_and_die(world.settings, ["USPM"], replace(point, maps=maps), run_id)
    return run_id


def incomplete(world: World, header: str, key: str) -> set[str]:
    """Maps of lines of a unit that the ledger does not call complete."""
    with world.runtime() as runtime:
        return {unit.lines for unit in runtime.ledger.documents(map_name=header, key=key, incomplete=True)}


def complete(orders: Orders, maps: tuple[str, ...], header: str, key: str) -> None:
    """Run the maps once more; the unit is complete, and nothing is left to do."""
    orders.sync(*maps)
    assert (incomplete(orders.world, header, key), orders.open()) == (set(), {})


@pytest.mark.parametrize("name", VENDOR_INVOICE)
def test_no_vendor_invoice_is_confirmed_without_its_last_line(orders: Orders, name: str) -> None:
    number, works, api = f"V-{next(numbers)}", orders.cycle.works, orders.world.dataverse_api
    (project, *_) = works.all("msdyn_project", msdyn_owningcompany=works.company())
    line = VendorLine(
        Decimal(2), Decimal("12.5"), category="Site materials", project_id=str(project["msdyn_projectnumber"])
    )
    invoice = VendorInvoice("V-000001", number, (line,) * LINES, manual_verification=False)
    file_vendor_invoice(works.finance, "USPM", invoice)
    before = len(works.all("msdyn_actual"))

    die(orders.world, VENDOR_INVOICE[name], INVOICES)

    half = api.one("msdyn_projectvendorinvoices", f"msdyn_vendorinvoicenumber eq '{number}'")
    assert (half["msdyn_enableautomaticconfirmation"], half["statuscode"]) == (False, 192350000)
    assert len(works.all("msdyn_actual")) == before
    assert "vendor_invoices_v2_trigger" in incomplete(orders.world, "vendor_invoices_v2", f"V-000001|{number}")

    complete(orders, INVOICES, "vendor_invoices_v2", f"V-000001|{number}")
    record = half["msdyn_projectvendorinvoiceid"]
    whole = api.one("msdyn_projectvendorinvoices", f"msdyn_vendorinvoicenumber eq '{number}'")
    assert (whole["msdyn_projectvendorinvoiceid"], whole["statuscode"]) == (record, 192350002)
    lines = works.all("msdyn_projectvendorinvoiceline", msdyn_vendorinvoice=record)
    assert len(lines) == LINES
    costs = [row for row in works.all("msdyn_actual") if row["msdyn_transactiontypecode"] == 192350000]
    made = [row["msdyn_vendorinvoiceline"] for row in costs if row["msdyn_vendorinvoice"] == record]
    assert sorted(made) == sorted(row["msdyn_projectvendorinvoicelineid"] for row in lines)


@pytest.mark.parametrize("name", SUBCONTRACT)
def test_no_order_is_confirmed_without_its_last_line(orders: Orders, name: str) -> None:
    number = f"S-{next(numbers)}"
    orders.confirm(orders.draft(number, LINES))

    run_id = die(orders.world, SUBCONTRACT[name], SUBCONTRACTS)

    status, order, lines = orders.state(number)
    assert (status, order, {confirmed for _, confirmed in lines.values()} - {0}) == ("Draft", "Approved", set())
    assert "subcontracts_trigger" in incomplete(orders.world, "subcontracts", number)

    with orders.world.runtime() as runtime:
        assert run_all(reopen_run(run_id, runtime), runtime).state == "settled"
    assert orders.state(number)[0] == "Confirmed"
    complete(orders, SUBCONTRACTS, "subcontracts", number)
    whole = {f"{number}-{place}": (4, 4) for place in range(1, LINES + 1)}
    assert orders.state(number) == ("Confirmed", "Confirmed", whole)


@pytest.mark.parametrize("name", CHANGE)
def test_an_order_whose_lines_change_is_confirmed_with_all_of_them(orders: Orders, name: str) -> None:
    number = f"S-{next(numbers)}"
    subcontract = orders.draft(number, 2)
    orders.confirm(subcontract)
    orders.sync(*SUBCONTRACTS)
    orders.sync(*SUBCONTRACTS)
    orders.reopen(subcontract)
    orders.line(subcontract, f"{number}-3")
    orders.change(f"{number}-1", msdyn_quantity=7)
    orders.confirm(subcontract)

    die(orders.world, CHANGE[name], SUBCONTRACTS)

    status, order, lines = orders.state(number)
    assert (status, order) in {("Draft", "Approved"), ("Confirmed", "Confirmed")}
    if status == "Confirmed":
        assert lines == {f"{number}-1": (4, 4), f"{number}-2": (4, 4)}
    assert "subcontracts_trigger" in incomplete(orders.world, "subcontracts", number)
    complete(orders, SUBCONTRACTS, "subcontracts", number)
    whole = {f"{number}-1": (7, 7), f"{number}-2": (4, 4), f"{number}-3": (4, 4)}
    assert orders.state(number) == ("Confirmed", "Confirmed", whole)


@pytest.fixture(scope="module")
def sold(orders: Orders) -> dict[str, list[str]]:
    """Projects for every way to die, with unbilled sales that are posted in Finance."""
    works = orders.cycle.works
    found: dict[str, list[str]] = {}
    for _ in PROFORMA:
        project = works.project()
        sales = [approve_time(works.dataverse, works.time(project))[1] for _ in range(LINES)]
        found[project] = [str(sale["msdyn_actualid"]) for sale in sales]
    orders.cycle.send()
    orders.cycle.books()
    return found


@pytest.mark.parametrize("name", PROFORMA)
def test_no_proposal_is_filled_without_its_last_line(orders: Orders, sold: dict[str, list[str]], name: str) -> None:
    works = orders.cycle.works
    project, sales = sold.popitem()
    mark_ready_to_invoice(works.dataverse, sales)
    invoice = create_proforma(works.dataverse, works.contract_of(project))
    confirm_proforma(works.dataverse, invoice["invoiceid"])
    number = works.one("invoice", invoiceid=invoice["invoiceid"])["invoicenumber"]

    die(orders.world, PROFORMA[name], PROPOSALS)

    def filled() -> list[dict[str, Any]]:
        finance_jobs.import_from_staging(works.finance, "USPM")
        return orders.world.finance_api.rows("ProjInvoiceProposalLines", f"InvoiceProposalId eq '{number}'")

    assert filled() == []
    assert incomplete(orders.world, "invoice_proposals", number) >= {"transaction_relationships_billed"}
    complete(orders, PROPOSALS, "invoice_proposals", number)
    assert len(filled()) == LINES
    assert len(filled()) == LINES
    with orders.world.runtime() as runtime:
        units = {unit.lines: unit for unit in runtime.ledger.documents(map_name="invoice_proposals", key=number)}
    assert units["actuals_billed"].acknowledged == LINES
    # each billed sale names its unbilled one, and no relationship of the invoice is missing
    assert units["transaction_relationships_billed"].acknowledged >= LINES
