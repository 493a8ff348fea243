"""The DAGs, run by Airflow on the sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dualsync_demo.day import FINANCE_JOBS
from dualsync_demo.sandbox import connections

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

    from dualsync.ledger import LegRecord
    from support.worlds import World

pytestmark = pytest.mark.usefixtures("brisk")

COMPANIES = "USPM,GBPM"
SEED = 1
CONFIRMED = 192350002
EVENTS = (
    "create-subcontract",
    "confirm-subcontract",
    "post-vendor-invoice",
    "mark-ready",
    "create-proforma",
    "confirm-proforma",
)
"""What shall happen on the day, whatever chance brings."""


def connect(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Airflow find the world: its home by environment, its systems by connections."""
    for name, value in connections(world.sandbox.info).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DUALSYNC_HOME", str(world.home))
    monkeypatch.setenv("DUALSYNC_COMPANIES", COMPANIES)
    for company in COMPANIES.split(","):
        monkeypatch.setenv(f"DUALSYNC_CUTOVER__{company}", "2025-01-01")


def run(dagbag: DagBag, dag_id: str, **params: Any) -> tuple[str, str, dict[str, str]]:
    """The run's id in the ledger, its state in Airflow, and the states of its tasks."""
    # dag.test() leaves the parameters it was given in the DAG, which all tests share
    everything: dict[str, Any] = {"dry_run": False, "companies": [], "maps": []}
    done = dagbag.dags[dag_id].test(run_conf=everything | params)
    tasks = {task.task_id: str(task.state) for task in done.get_task_instances()}
    return f"{dag_id}.{done.run_id}", str(done.state), tasks


@pytest.fixture
def world(seeded: World, monkeypatch: pytest.MonkeyPatch) -> World:
    connect(seeded, monkeypatch)
    return seeded


def failed(tasks: dict[str, str]) -> list[str]:
    return [task for task, state in tasks.items() if state == "failed"]


@pytest.mark.slow
def test_every_dag_does_its_part(world: World, dagbag: DagBag) -> None:
    """From two systems that know nothing of each other to a day of work that has gone all the way round."""
    ran: set[str] = set()

    def go(dag_id: str, **params: Any) -> tuple[str, dict[str, str]]:
        run_id, state, tasks = run(dagbag, dag_id, **params)
        assert state == "success", failed(tasks)
        ran.add(dag_id)
        return run_id, tasks

    def legs(run_id: str) -> list[LegRecord]:
        with world.runtime() as runtime:
            found = runtime.ledger.legs(run_id)
        assert all(leg.counts.conserved for leg in found)
        return found

    go("initial_sync")
    first, tasks = go("setup_configuration")
    done = legs(first)
    assert {leg.state for leg in done} == {"settled"}
    assert {leg.company for leg in done} == {*COMPANIES.split(","), "_global"}
    assert sum(leg.counts.created for leg in done) > 0
    assert tasks["projects.publish"] == "success", "rows were written, so the Asset is announced"
    assert world.open_rows() == []

    world.forget_requests()
    dry, tasks = go("expense_management", dry_run=True, companies=["GBPM"], maps=["expense_categories"])
    assert world.writes() == []
    assert {(leg.map, leg.company, leg.state) for leg in legs(dry)} == {("expense_categories", "GBPM", "dry_run")}
    assert tasks["expense_categories.publish"] == "skipped"
    assert tasks["expenses.extract"] == "skipped"

    world.sandbox.play(1, SEED)
    for event in EVENTS:
        world.sandbox.play_event(event, company="USPM")
    cycle, tasks = go("sync_cycle")
    assert {leg.state for leg in legs(cycle)} == {"settled"}
    assert {tasks[f"{area}_done"] for area in ("setup_configuration", "vendor_invoices")} == {"success"}
    areas = [code.lower() for code in COMPANIES.split(",")]
    exported = world.finance_api.rows("ProjExpensesExport")
    posted = {row["ExpTransNumber"] for row in exported if row["ReferenceDataAreaId"].lower() in areas}
    expenses = world.dataverse_api.rows("msdyn_expenses")
    assert {row["msdyn_externalexpensenumber"] for row in expenses} == posted != set()
    known = world.dataverse_api.rows("cdm_companies")
    ours = {row["cdm_companyid"] for row in known if row["cdm_companycode"].lower() in areas}
    approved = [
        row
        for row in world.dataverse_api.rows("msdyn_actuals", "msdyn_skipsync eq false")
        if row["_msdyn_owningcompany_value"] in ours
    ]
    assert {row["msdyn_expenseid"] for row in expenses} <= {row["msdyn_origin"] for row in approved}
    staged = {row["ActualsImportId"] for row in world.finance_api.rows("ProjActualsImports")}
    assert staged == {row["msdyn_actualimportid"] for row in approved}
    assert world.finance_api.rows("SubContractPurchaseOrderHeaders")
    assert world.dataverse_api.rows("msdyn_projectvendorinvoices")

    for company in COMPANIES.split(","):
        for job in FINANCE_JOBS:
            world.sandbox.play_event(job, company=company)
    back, tasks = go("estimates_actuals", maps=["actuals"])
    assert {leg.map for leg in legs(back)} == {"actuals"}
    assert tasks["actuals.publish_dataverse"] == "success"
    assert tasks["hour_estimates.extract"] == "skipped"
    go("project_invoices", maps=["actuals_billed", "customer_invoices"])
    with_voucher = world.dataverse_api.rows("msdyn_actuals", "msdyn_vouchernumber ne null")
    assert {row["msdyn_actualimportid"] for row in with_voucher} == staged
    invoices = {row["InvoiceId"] for row in world.finance_api.rows("ProjInvoiceProposalsExport")}
    customer = world.dataverse_api.rows("msdyn_customerinvoices")
    assert {row["msdyn_customerinvoicenumber"] for row in customer} == invoices != set()

    go("vendor_invoices", maps=["vendor_invoices_v2"])
    confirmed = world.dataverse_api.rows("msdyn_projectvendorinvoices", f"statuscode eq {CONFIRMED}")
    status_of = {
        row["VendorInvoiceNum"]: row["ProjVendInvoiceStatus"] for row in world.finance_api.rows("VendInvoiceExportsV2")
    }
    assert {status_of[row["msdyn_vendorinvoicenumber"]] for row in confirmed} == {"Confirmed"}
    again, tasks = go("subcontract_purchase_orders", maps=["subcontracts", "subcontract_lines", "subcontracts_trigger"])
    assert sum(leg.counts.written for leg in legs(again)) == 0
    assert tasks["subcontracts.publish_finance"] == "skipped"
    assert world.open_rows() == []
    assert ran == set(dagbag.dags) - {"nightly_reconciliation", "release_held", "repair_breaks", "replay_rows"}
