"""A working day in the sandbox: played through its control plane, and counted through the APIs of both systems."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import httpx
from rich import box
from rich.table import Table

from dualsync.mapping.areas import area_title
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

    Attributes:
        area: The integration area.
        name: What is counted, in words.
        side: The system.
        set: The entity set.
        column: Any column of it.
        condition: An OData filter; None for all rows.
    """

    area: str
    name: str
    side: Side
    set: str
    column: str
    condition: str | None = None


_DATA = "Microsoft.Dynamics.DataEntities"
_STATIONS = (
    Station(
        "subcontract_purchase_orders",
        "subcontracts in Dataverse",
        "dataverse",
        "msdyn_subcontracts",
        "msdyn_subcontractnumber",
    ),
    Station(
        "subcontract_purchase_orders",
        "their orders confirmed in Finance",
        "finance",
        "SubContractPurchaseOrderHeaders",
        "ProjSubContractNumber",
        f"SubConStatus eq {_DATA}.ProjSubconStatus'Confirmed'",
    ),
    Station(
        "subcontract_purchase_orders",
        "order numbers that came back",
        "dataverse",
        "msdyn_subcontracts",
        "msdyn_subcontractnumber",
        "msdyn_purchaseordernumber ne null",
    ),
    Station("expense_management", "posted in Finance", "finance", "ProjExpensesExport", "ExpTransNumber"),
    Station(
        "expense_management",
        "approved in Dataverse",
        "dataverse",
        "msdyn_expenses",
        "msdyn_externalexpensenumber",
        "msdyn_expensestatus eq 192350002",
    ),
    Station("vendor_invoices", "posted in Finance", "finance", "VendInvoiceExportsV2", "VendorInvoiceNum"),
    Station(
        "vendor_invoices",
        "lines in Dataverse",
        "dataverse",
        "msdyn_projectvendorinvoicelines",
        "msdyn_externalinvoiceline",
    ),
    Station(
        "vendor_invoices",
        "confirmed in Dataverse",
        "dataverse",
        "msdyn_projectvendorinvoices",
        "msdyn_vendorinvoicenumber",
        "statuscode eq 192350002",
    ),
    Station(
        "estimates_actuals",
        "made in Dataverse, for Finance",
        "dataverse",
        "msdyn_actuals",
        "msdyn_actualimportid",
        "msdyn_skipsync eq false",
    ),
    Station("estimates_actuals", "in Finance's staging table", "finance", "ProjActualsImports", "ActualsImportId"),
    Station(
        "estimates_actuals",
        "journal lines posted in Finance",
        "finance",
        "IntegrationJournalLines",
        "ActualsImportId",
        f"LineStatus eq {_DATA}.ProjIntegrationLineStatus'Posted'",
    ),
    Station(
        "estimates_actuals",
        "vouchers that came back",
        "dataverse",
        "msdyn_actuals",
        "msdyn_actualimportid",
        "msdyn_vouchernumber ne null",
    ),
    Station(
        "project_invoices",
        "confirmed in Dataverse",
        "dataverse",
        "invoices",
        "invoicenumber",
        "msdyn_projectinvoicestatus eq 192350002 or msdyn_projectinvoicestatus eq 192350004",
    ),
    Station("project_invoices", "posted in Finance", "finance", "ProjInvoiceProposalsExport", "InvoiceProposalId"),
    Station(
        "project_invoices",
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
            settings: Where the systems are.
        """
        counts: dict[Station, int] = {}
        with open_systems(settings) as systems:
            for station in _STATIONS:
                client = systems.dataverse if station.side == "dataverse" else systems.finance
                pages = client.read(station.set, select=[station.column], filter=station.condition)
                counts[station] = sum(len(page) for page in pages)
        return cls(counts)

    def since(self, before: Census) -> Census:
        """Return what was added after an earlier census.

        Args:
            before: The earlier one.
        """
        return Census({station: number - before.counts[station] for station, number in self.counts.items()})

    @property
    def closed(self) -> bool:
        """Whether something passed every station, so that the loop is closed."""
        return all(number > 0 for number in self.counts.values())

    def table(self, title: str) -> Table:
        """Return a table with a line for each station.

        Args:
            title: What stands above it.
        """
        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_header=False)
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column(justify="right")
        before = ""
        for station, number in self.counts.items():
            area = area_title(station.area) if station.area != before else ""
            table.add_row(area, station.name, f"{number:,}", style=None if number else "red")
            before = station.area
        return table


@dataclass(frozen=True)
class Play:
    """What people and batch jobs do in the sandbox, through its control plane.

    Args:
        control: Address of the control plane.
    """

    control: str

    def days(self, days: int, seed: int) -> dict[str, Any]:
        """Play working days, and return what the sandbox says of them.

        Args:
            days: How many.
            seed: Seed of what is played.
        """
        return self._ask("/play", {"days": days, "seed": seed})

    def finance_jobs(self, companies: Iterable[str]) -> list[str]:
        """Let Finance run its batch jobs, and return what it refused, with the reasons.

        Args:
            companies: The companies whose jobs run.
        """
        refused: list[str] = []
        for company in companies:
            for job in FINANCE_JOBS:
                facts = self._ask("/play/event", {"name": job, "company": company})
                for *_, reason in [*facts.get("refused", []), *facts.get("failed", [])]:
                    refused.append(f"{job} in {company}: {reason}")
        return refused

    def rest(self, hours: int) -> None:
        """Let hours pass in which nobody works.

        Args:
            hours: How many.
        """
        self._ask("/clock/advance", {"hours": hours})

    def _ask(self, path: str, request: dict[str, Any]) -> dict[str, Any]:
        # without the proxies of the environment: the sandbox is on this machine
        answer = httpx.post(f"{self.control}{path}", json=request, timeout=600, trust_env=False)
        if not answer.is_success:
            raise DemoError(f"The sandbox answered {answer.status_code} to {path}: {answer.text[:500]}")
        return dict(answer.json())
