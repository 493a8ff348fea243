"""The whole loop for tests: work in Dataverse, staging in Finance, journals, and the accounting that comes back.

Loaded as a plugin by the outermost conftest.py, beside worlds.py.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dualsync.ledger import LegCounts
from dualsync.sync.run.runs import RunSummary
from dualsync_sandbox.business.finance import jobs as finance_jobs
from dualsync_sandbox.business.finance.expenses import Expense
from dualsync_sandbox.store import Row
from support.kept import kept
from support.project_office import Works
from support.worlds import Rest, World, copied

SINCE = date(2026, 1, 1)
"""The cut-over of every company, unless a test says otherwise."""

CONTRACTS = ("contract_headers", "funding_sources", "projects", "contract_lines", "project_tasks")
ACTUALS = ("actuals", "transaction_relationships")
ESTIMATES = ("hour_estimates", "expense_estimates", "material_estimates")
EXPENSES = ("expense_categories", "expenses")

Api = dict[str, Any]


class Cycle:
    """A synchronised world whose people work.

    Attributes:
        world: The two systems and dualsync.
        works: Makes contracts, projects and entries in Dataverse.
    """

    def __init__(self, world: World) -> None:
        sandbox = world.sandbox
        self.world = world
        self.works = Works(sandbox.dataverse_store, sandbox.finance_store, sandbox.clock, sandbox.switches)

    @property
    def dataverse(self) -> Rest:
        """Dataverse as its users have it."""
        return self.world.dataverse_api

    @property
    def finance(self) -> Rest:
        """Finance as its users have it."""
        return self.world.finance_api

    def cut_over(self, day: date | None, *companies: str) -> None:
        """Set the cut-over of companies, or take it away."""
        known = dict(self.world.settings.cutover)
        for code in companies or ("USPM", "GBPM", "FRRT"):
            known.pop(code, None)
            if day is not None:
                known[code] = day
        self.world.settings = self.world.settings.model_copy(update={"cutover": known})

    # -- what dualsync does

    def sync(self, *maps: str, **words: Any) -> RunSummary:
        """Run maps; all their legs settle."""
        summary = self.world.sync(maps, **words)
        assert summary.state == "settled", [leg.message for leg in summary.legs if leg.message]
        return summary

    def send(self, **words: Any) -> RunSummary:
        """Carry contracts with their projects, then actuals, to Finance, and what it knows of them back."""
        return self.sync(*CONTRACTS, *ACTUALS, **words)

    # -- what Finance does

    def books(self, *companies: str) -> None:
        """Import from staging and post, nothing refused."""
        for company in companies or ("USPM",):
            imported = finance_jobs.import_from_staging(self.works.finance, company)
            assert imported.refused == ()
            posting = finance_jobs.post_integration_journals(self.works.finance, company)
            assert posting.failed == ()

    def report(self, *expenses: Expense, company: str = "USPM") -> Row:
        """File an expense report of some worker, to the end."""
        with self.works.finance.reading() as tx:
            worker = str(next(iter(tx.scan("Workers")))["PersonnelNumber"])
        return finance_jobs.file_expense_report(self.works.finance, company, worker, list(expenses))

    def balance(self, company: str = "USPM") -> Decimal:
        """Of the expense integration account."""
        return finance_jobs.integration_account_balance(self.works.finance, company)

    # -- reading through the APIs

    def number(self, project: str) -> str:
        """Of a project."""
        return str(self.dataverse.one("msdyn_projects", f"msdyn_projectid eq {project}")["msdyn_projectnumber"])

    def actual(self, row: Mapping[str, Any]) -> Api:
        """An actual as it is now, through Dataverse's API."""
        return self.dataverse.one("msdyn_actuals", f"msdyn_actualid eq {row['msdyn_actualid']}")

    def actuals(self, project: str) -> list[Api]:
        """All actuals of a project, through Dataverse's API, in the order they were made."""
        order = [row["msdyn_actualid"] for row in self.works.actuals(project)]
        rows = self.dataverse.rows("msdyn_actuals", f"_msdyn_project_value eq {project}")
        return sorted(rows, key=lambda row: order.index(row["msdyn_actualid"]))

    def staged(self, row: Mapping[str, Any]) -> Api:
        """The staging row of an actual, through Finance's API."""
        return self.finance.one("ProjActualsImports", f"ActualId eq {row['msdyn_actualid']}")

    def staging(self, project: str) -> list[Api]:
        """All staging rows of a project, through Finance's API."""
        return self.finance.rows("ProjActualsImports", f"ProjectId eq '{self.number(project)}'")

    def line(self, row: Mapping[str, Any]) -> Api:
        """The integration journal line of an actual, through Finance's API."""
        return self.finance.one("IntegrationJournalLines", f"ActualsImportId eq {row['msdyn_actualimportid']}")

    def relationships(self) -> list[Row]:
        """Of transactions in Finance, from its store: they are not on OData."""
        with self.works.finance.reading() as tx:
            return tx.find("TransactionRelationships")


def total(rows: Sequence[Mapping[str, Any]], column: str) -> Decimal:
    """The sum of a column."""
    return sum((Decimal(row[column]) for row in rows if row[column] is not None), Decimal(0))


def written(counts: LegCounts) -> tuple[int, int, int]:
    """Rows created, updated and deleted."""
    return counts.created, counts.updated, counts.deleted


@pytest.fixture(scope="session")
def _cycled(synced_home: Path) -> Path:
    """The synchronised world with its estimates and expense categories on both sides, not running."""
    return kept("cycled", partial(_cycle, synced_home))


def _cycle(synced: Path, home: Path) -> None:
    for world in copied(synced, home):
        Cycle(world).cut_over(SINCE)
        for area in ("expense_management", "estimates_actuals"):
            summary = world.sync(area=area)
            assert summary.state == "settled", [leg.message for leg in summary.legs if leg.message]
        assert world.open_rows() == []


def _running(template: Path, home: Path, companies: Sequence[str] | None) -> Iterator[Cycle]:
    for world in copied(template, home):
        world.carried = companies
        cycle = Cycle(world)
        cycle.cut_over(SINCE)
        yield cycle
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def shared(_cycled: Path, tmp_path_factory: pytest.TempPathFactory, companies: Sequence[str] | None) -> Iterator[Cycle]:
    """One such world for all tests of a module; each keeps to projects of its own."""
    yield from _running(_cycled, tmp_path_factory.mktemp("shared") / "home", companies)


@pytest.fixture
def cycle(_cycled: Path, tmp_path: Path, companies: Sequence[str] | None) -> Iterator[Cycle]:
    """Such a world of a test's own."""
    yield from _running(_cycled, tmp_path / "home", companies)
