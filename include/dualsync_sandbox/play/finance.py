"""Events of Finance: expense reports, and the jobs that carry actuals on."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from dualsync_sandbox.business.finance import jobs
from dualsync_sandbox.play.scene import Event, Facts, Scene

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row


def post_expense(scene: Scene, code: str, project: str | None) -> Facts:
    """An employee's expense report for a project is posted in Finance, which must know project and category [I2]."""
    area = code.lower()
    sites = [] if project else scene.sites(code)
    with scene.finance.reading() as tx:
        if project is None:
            sites = [site for site in sites if tx.find_one("ProjectsV2", dataAreaId=area, ProjectId=site.number)]
        categories = tx.find("ExpenseCategories", dataAreaId=area, IsInactive="No")
        worker = scene.one_of(tx.find("Workers")[:50], "worker in Finance")
        category = scene.one_of(categories, f"expense category in {code}")
        site = scene.site(code, project) if project else scene.one_of(sites, f"project of {code} that Finance knows")
        task = scene.one_of(site.leaves, f"task in {site.number}")
        number = str(task["msdyn_tasknumber"])
        there = tx.find_one("ProjectTasks", dataAreaId=area, ProjectId=site.number, TaskId=number) is not None
    amount = Decimal(scene.rng.randrange(2_000, 60_000)) / 100
    share = jobs.Share(site.number, activity_number=number if there else "")
    expense = jobs.Expense(str(category["CostType"]), amount, scene.today, (share,), description="On the road")
    report = jobs.file_expense_report(
        scene.finance, code, str(worker["PersonnelNumber"]), [expense], f"Trip for {site.number}"
    )
    return {"report": report["ReportNumber"], "project": site.number, "amount": amount}


def import_from_staging(scene: Scene, code: str, project: str | None) -> Facts:  # noqa: ARG001 - for a whole company
    """Finance's import from staging [G2]."""

    def actual(actual_id: str) -> Row | None:
        with scene.dataverse.reading() as tx:
            return tx.get("msdyn_actual", actual_id)

    return jobs.import_from_staging(scene.finance, code, actual).as_dict()


def post_journal(scene: Scene, code: str, project: str | None) -> Facts:  # noqa: ARG001 - for a whole company
    """Finance posts its integration journals [G13]."""
    return jobs.post_integration_journals(scene.finance, code).as_dict()


FINANCE: dict[str, Event] = {
    "post-expense": post_expense,
    "import-from-staging": import_from_staging,
    "post-journal": post_journal,
}
