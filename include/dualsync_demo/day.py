"""A working day in the sandbox: played through its control plane, and counted through the APIs of both systems."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import httpx
from rich import box
from rich.table import Table

from dualsync.settings import Settings
from dualsync.sides import Side
from dualsync.systems import open_systems
from dualsync_demo.processes import DemoError

FINANCE_JOBS = (
    "import-from-staging",
    "post-journal",
    "import-from-staging",
    "post-proposal",
    "generate-receipts",
    "post-receipts",
)
"""Finance's own batch jobs, by the sandbox's names for them, in their order: lines of invoice proposals are imported
once what they bill is posted, and receipts are made of posted work."""


class Station(NamedTuple):
    """A place that the work of a day passes, and the rows that show it.

    ``column`` is any column of theirs, ``condition`` an OData filter; None for all rows.
    """

    area: str
    name: str
    side: Side
    set: str
    column: str
    condition: str | None = None


_DATA = "Microsoft.Dynamics.DataEntities"
_STATIONS = (
    Station("Subcontracts", "subcontracts in Dataverse", "dataverse", "msdyn_subcontracts", "msdyn_subcontractnumber"),
    Station(
        "Subcontracts",
        "their orders confirmed in Finance",
        "finance",
        "SubContractPurchaseOrderHeaders",
        "ProjSubContractNumber",
        f"SubConStatus eq {_DATA}.ProjSubconStatus'Confirmed'",
    ),
    Station(
        "Subcontracts",
        "order numbers that came back",
        "dataverse",
        "msdyn_subcontracts",
        "msdyn_subcontractnumber",
        "msdyn_purchaseordernumber ne null",
    ),
    Station("Expenses", "posted in Finance", "finance", "ProjExpensesExport", "ExpTransNumber"),
    Station(
        "Expenses",
        "approved in Dataverse",
        "dataverse",
        "msdyn_expenses",
        "msdyn_externalexpensenumber",
        "msdyn_expensestatus eq 192350002",
    ),
    Station("Vendor invoices", "posted in Finance", "finance", "VendInvoiceExportsV2", "VendorInvoiceNum"),
    Station(
        "Vendor invoices",
        "lines in Dataverse",
        "dataverse",
        "msdyn_projectvendorinvoicelines",
        "msdyn_externalinvoiceline",
    ),
    Station(
        "Vendor invoices",
        "confirmed in Dataverse",
        "dataverse",
        "msdyn_projectvendorinvoices",
        "msdyn_vendorinvoicenumber",
        "statuscode eq 192350002",
    ),
    Station(
        "Actuals",
        "made in Dataverse, for Finance",
        "dataverse",
        "msdyn_actuals",
        "msdyn_actualimportid",
        "msdyn_skipsync eq false",
    ),
    Station("Actuals", "in Finance's staging table", "finance", "ProjActualsImports", "ActualsImportId"),
    Station(
        "Actuals",
        "journal lines posted in Finance",
        "finance",
        "IntegrationJournalLines",
        "ActualsImportId",
        f"LineStatus eq {_DATA}.ProjIntegrationLineStatus'Posted'",
    ),
    Station(
        "Actuals",
        "vouchers that came back",
        "dataverse",
        "msdyn_actuals",
        "msdyn_actualimportid",
        "msdyn_vouchernumber ne null",
    ),
    Station(
        "Project invoices",
        "confirmed in Dataverse",
        "dataverse",
        "invoices",
        "invoicenumber",
        "msdyn_projectinvoicestatus eq 192350002 or msdyn_projectinvoicestatus eq 192350004",
    ),
    Station("Project invoices", "posted in Finance", "finance", "ProjInvoiceProposalsExport", "InvoiceProposalId"),
    Station(
        "Project invoices",
        "customer invoices that came back",
        "dataverse",
        "msdyn_customerinvoices",
        "msdyn_customerinvoicenumber",
    ),
)
"""Where the work of a day passes, in the order of the areas."""


@dataclass(frozen=True)
class Census:
    """How many rows have passed each station so far.

    Attributes:
        counts: rows by station.
    """

    counts: dict[Station, int]

    @classmethod
    def take(cls, settings: Settings) -> Census:
        """Count through the APIs of both systems.

        Args:
            settings: where they are.
        """
        counts: dict[Station, int] = {}
        with open_systems(settings) as systems:
            for station in _STATIONS:
                client = systems.dataverse if station.side == "dataverse" else systems.finance
                found = client.read(station.set, select=[station.column], filter=station.condition)
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
        shown.add_column(no_wrap=True)
        shown.add_column(justify="right")
        before = ""
        for station, number in self.counts.items():
            area = station.area if station.area != before else ""
            shown.add_row(area, station.name, f"{number:,}", style=None if number else "red")
            before = station.area
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

    def rest(self, hours: int) -> None:
        """Let nobody work for some hours: the clock of both systems goes on."""
        self._ask("/clock/advance", {"hours": hours})

    def _ask(self, path: str, wanted: dict[str, Any]) -> dict[str, Any]:
        # without the proxies of the environment: the sandbox is on this machine
        answer = httpx.post(f"{self.control}{path}", json=wanted, timeout=600, trust_env=False)
        if not answer.is_success:
            raise DemoError(f"The sandbox answered {answer.status_code} to {path}: {answer.text[:500]}")
        return dict(answer.json())
