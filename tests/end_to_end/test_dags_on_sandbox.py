"""The DAGs, run by Airflow on the sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dualsync.demo.sandbox import connections

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag
    from worlds import World

pytestmark = pytest.mark.usefixtures("brisk")

COMPANIES = "USPM,GBPM,FRRT"
AGAIN = ["contract_headers", "customers_v3", "funding_sources", "project_tasks", "projects"]
"""What the second run is asked for; that the whole area is quiet is the business of test_quiet.py."""
BILLED = 192350006
"""Billed sales travel with their invoices."""


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


def test_both_dags_bring_the_systems_in_step(seeded: World, dagbag: DagBag, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(seeded, monkeypatch)
    _, state, tasks = run(dagbag, "initial_sync")
    assert state == "success", {task: one for task, one in tasks.items() if one == "failed"}

    first, state, tasks = run(dagbag, "setup_configuration")
    assert state == "success", {task: one for task, one in tasks.items() if one == "failed"}
    again, state, _ = run(dagbag, "setup_configuration", maps=AGAIN)
    assert state == "success"

    with seeded.runtime() as runtime:
        legs = runtime.ledger.legs(first)
        repeated = runtime.ledger.legs(again)
    assert {leg.state for leg in legs + repeated} == {"settled"}
    assert all(leg.counts.conserved for leg in legs)
    assert sum(leg.counts.created for leg in legs) > 0
    assert sum(leg.counts.written for leg in repeated) == 0
    assert {leg.company for leg in legs} == {*COMPANIES.split(","), "_global"}
    assert tasks["projects.publish"] == "success", "rows were written, so the Asset is announced"
    assert seeded.open_rows() == []


def test_dry_run_writes_nothing(seeded: World, dagbag: DagBag, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(seeded, monkeypatch)
    run_id, state, tasks = run(
        dagbag, "setup_configuration", dry_run=True, companies=["GBPM"], maps=["customer_groups"]
    )
    assert state == "success"
    assert seeded.writes() == []
    with seeded.runtime() as runtime:
        legs = runtime.ledger.legs(run_id)
    assert {(leg.map, leg.company, leg.state) for leg in legs} == {("customer_groups", "GBPM", "dry_run")}
    assert tasks["customer_groups.publish"] == "skipped"
    assert tasks["projects.extract"] == "skipped"


def test_a_day_of_work_goes_round(synced: World, dagbag: DagBag, monkeypatch: pytest.MonkeyPatch) -> None:
    """An expense posted in Finance and an actual approved in Dataverse: one cycle takes both to Finance's staging."""
    connect(synced, monkeypatch)
    synced.sandbox.play(1, 1)
    expenses = {row["ExpTransNumber"] for row in synced.finance_api.rows("ProjExpensesExport")}
    assert len(expenses) == 3

    cycle, state, tasks = run(dagbag, "sync_cycle")
    assert state == "success", {task: one for task, one in tasks.items() if one == "failed"}
    assert {tasks[f"{area}_done"] for area in ("setup_configuration", "expense_management")} == {"success"}
    carried = synced.dataverse_api.rows("msdyn_expenses")
    assert {row["msdyn_externalexpensenumber"] for row in carried} == expenses
    approved = synced.dataverse_api.rows("msdyn_actuals", "msdyn_skipsync eq false")
    assert {row["msdyn_expenseid"] for row in carried} <= {row["msdyn_origin"] for row in approved}
    staged = {row["ActualsImportId"] for row in synced.finance_api.rows("ProjActualsImports")}
    assert staged == {row["msdyn_actualimportid"] for row in approved if row["msdyn_transactiontypecode"] != BILLED}
    with synced.runtime() as runtime:
        assert {leg.state for leg in runtime.ledger.legs(cycle)} == {"settled"}

    for company in COMPANIES.split(","):
        for job in ("import-from-staging", "post-journal"):
            synced.sandbox.play_event(job, company=company)
    back, state, tasks = run(dagbag, "estimates_actuals", maps=["actuals"])
    assert state == "success", {task: one for task, one in tasks.items() if one == "failed"}
    with_voucher = synced.dataverse_api.rows("msdyn_actuals", "msdyn_vouchernumber ne null")
    assert {row["msdyn_actualimportid"] for row in with_voucher} == staged
    assert tasks["actuals.publish_dataverse"] == "success"
    assert tasks["hour_estimates.extract"] == "skipped"
    with synced.runtime() as runtime:
        assert {leg.map for leg in runtime.ledger.legs(back)} == {"actuals"}

    synced.forget_requests()
    dry, state, _ = run(dagbag, "expense_management", dry_run=True)
    assert state == "success"
    assert synced.writes() == []
    with synced.runtime() as runtime:
        assert {"expense_categories", "expenses"} <= {leg.map for leg in runtime.ledger.legs(dry)}
    assert synced.open_rows() == []
