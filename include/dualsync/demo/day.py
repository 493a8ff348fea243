"""A working day in the sandbox: played through its control plane, and counted through the APIs of both systems."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import httpx
from rich import box
from rich.table import Table

from dualsync.demo.processes import DemoError
from dualsync.settings import Settings, Side
from dualsync.systems import open_systems

FINANCE_JOBS = ("import-from-staging", "post-journal")
"""Finance's own batch jobs, by the sandbox's names for them, in their order."""

_STATIONS: tuple[tuple[str, Side, str, str, str | None], ...] = (
    ("expenses posted in Finance", "finance", "ProjExpensesExport", "ExpTransNumber", None),
    (
        "expenses approved in Dataverse",
        "dataverse",
        "msdyn_expenses",
        "msdyn_externalexpensenumber",
        "msdyn_expensestatus eq 192350002",
    ),
    # what is not for Finance, and billed sales, which travel with their invoices, are left out as in the table map
    (
        "actuals approved in Dataverse, for Finance",
        "dataverse",
        "msdyn_actuals",
        "msdyn_actualimportid",
        "msdyn_skipsync eq false and msdyn_transactiontypecode ne 192350006",
    ),
    ("rows in Finance's staging table", "finance", "ProjActualsImports", "ActualsImportId", None),
    (
        "journal lines posted in Finance",
        "finance",
        "IntegrationJournalLines",
        "ActualsImportId",
        "LineStatus eq Microsoft.Dynamics.DataEntities.ProjIntegrationLineStatus'Posted'",
    ),
    (
        "vouchers that came back to Dataverse",
        "dataverse",
        "msdyn_actuals",
        "msdyn_actualimportid",
        "msdyn_vouchernumber ne null",
    ),
)
"""Where the work of a day passes: what it is called, and the rows that show it."""


@dataclass(frozen=True)
class Census:
    """How many rows have passed each station so far.

    Attributes:
        counts: rows by station.
    """

    counts: dict[str, int]

    @classmethod
    def take(cls, settings: Settings) -> Census:
        """Count through the APIs of both systems.

        Args:
            settings: where they are.
        """
        counts: dict[str, int] = {}
        with open_systems(settings) as systems:
            for station, side, entity_set, column, condition in _STATIONS:
                client = systems.dataverse if side == "dataverse" else systems.finance
                found = client.read(entity_set, select=[column], filter=condition)
                counts[station] = sum(len(page) for page in found)
        return cls(counts)

    def since(self, before: Census) -> Census:
        """What was added after an earlier census."""
        return Census({station: number - before.counts[station] for station, number in self.counts.items()})

    @property
    def closed(self) -> bool:
        """Whether something passed every station, so that the loop is closed."""
        return all(number > 0 for number in self.counts.values())

    def table(self, title: str) -> Table:
        """One line for each station."""
        shown = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_header=False)
        shown.add_column(no_wrap=True)
        shown.add_column(justify="right")
        for station, number in self.counts.items():
            shown.add_row(station, f"{number:,}", style=None if number else "red")
        return shown


@dataclass(frozen=True)
class Play:
    """What people and batch jobs do in the sandbox, through its control plane.

    Args:
        control: address of the control plane.
    """

    control: str

    def days(self, days: int, seed: int) -> dict[str, Any]:
        """Play working days; returns what the sandbox says of them."""
        return self._ask("/play", {"days": days, "seed": seed})

    def finance_jobs(self, companies: Iterable[str]) -> list[str]:
        """Let Finance import from staging and post its journals; returns what it refused, with the reasons."""
        refused: list[str] = []
        for company in companies:
            for job in FINANCE_JOBS:
                facts = self._ask("/play/event", {"name": job, "company": company})
                for *_, reason in [*facts.get("refused", []), *facts.get("failed", [])]:
                    refused.append(f"{job} in {company}: {reason}")
        return refused

    def _ask(self, path: str, wanted: dict[str, Any]) -> dict[str, Any]:
        # without the proxies of the environment: the sandbox is on this machine
        answer = httpx.post(f"{self.control}{path}", json=wanted, timeout=600, trust_env=False)
        if not answer.is_success:
            raise DemoError(f"The sandbox answered {answer.status_code} to {path}: {answer.text[:500]}")
        return dict(answer.json())
