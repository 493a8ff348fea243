"""How long a long proforma invoice takes from Dataverse to a filled proposal in Finance, and in how much memory.

Dual-write stops at 1,000 lines. The sandbox runs in a process of its own, so that what is measured is dualsync alone:
each run is the command line, a process of its own too. Run with ``make bench-invoice LINES=25000``.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Annotated, Any

import typer

from dualsync_sandbox import Sandbox
from dualsync_sandbox.business.dataverse.entries.approvals import approve_time
from dualsync_sandbox.business.dataverse.invoicing.billing import mark_ready_to_invoice
from dualsync_sandbox.business.dataverse.invoicing.proforma_confirmation import confirm_proforma
from dualsync_sandbox.business.dataverse.invoicing.proformas import create_proforma
from dualsync_sandbox.business.finance import jobs as finance_jobs
from support.project_office import Works

COMPANY = "USPM"
STAMPS = ("createdon", "modifiedon", "versionnumber")


class Office:
    """The people and jobs of both systems, in the process of the sandbox."""

    def __init__(self, state: Path) -> None:
        self.sandbox = Sandbox(state)
        self.sandbox.start()
        self.sandbox.seed("demo", 1)
        one = self.sandbox
        self.works = Works(one.dataverse_store, one.finance_store, one.clock, one.switches)
        self.sales: list[str] = []
        self.project = self.number = ""

    def sell(self, lines: int) -> int:
        """Unbilled sales of one project: an approved hour, and copies of it."""
        works = self.works
        self.project = works.project()
        sale = approve_time(works.dataverse, works.time(self.project))[1]
        plain = {name: value for name, value in sale.items() if name not in STAMPS}
        ids = [(str(uuid.uuid4()), str(uuid.uuid4())) for _ in range(lines - 1)]
        with works.dataverse.transaction() as tx:
            copies = ({**plain, "msdyn_actualid": one, "msdyn_actualimportid": other} for one, other in ids)
            tx.insert_many("msdyn_actual", copies, hooks=False)
        self.sales = [str(sale["msdyn_actualid"]), *(one for one, _ in ids)]
        return len(self.sales)

    def books(self) -> int:
        """Import from staging and post the journals; lines that are posted."""
        imported = finance_jobs.import_from_staging(self.works.finance, COMPANY)
        assert imported.refused == (), imported.refused[:3]
        posting = finance_jobs.post_integration_journals(self.works.finance, COMPANY)
        assert posting.failed == (), posting.failed[:3]
        return int(imported.lines)

    def confirm(self) -> int:
        """Make a proforma of all sales and confirm it; the actuals that come of it."""
        mark_ready_to_invoice(self.works.dataverse, self.sales)
        invoice = create_proforma(self.works.dataverse, self.works.contract_of(self.project))
        made = confirm_proforma(self.works.dataverse, invoice["invoiceid"])
        self.number = str(self.works.one("invoice", invoiceid=invoice["invoiceid"])["invoicenumber"])
        return len(made)

    def fill(self) -> int:
        """Import from staging once more; the lines that the proposal gets."""
        finance_jobs.import_from_staging(self.works.finance, COMPANY)
        with self.works.finance.reading() as tx:
            return tx.count("ProjInvoiceProposalLines", InvoiceProposalId=self.number)


def serve(state: Path, orders: Connection) -> None:
    """Do what is asked for until nothing more is."""
    office = Office(state)
    orders.send(0)
    while (asked := orders.recv()) is not None:
        name, *arguments = asked
        orders.send(getattr(office, name)(*arguments))
    office.sandbox.stop()


@dataclass
class Bench:
    """A sandbox in a process of its own, and an installation of dualsync beside it.

    Attributes:
        home: The installation.
        orders: The line to the process of the sandbox.
        figures: What was measured, in order.
    """

    home: Path
    orders: Connection
    figures: list[dict[str, Any]]

    def office(self, name: str, *arguments: object) -> int:
        """Let people and jobs do something; how many rows came of it."""
        started = time.perf_counter()
        self.orders.send((name, *arguments))
        rows = int(self.orders.recv())
        self._note(f"sandbox: {name}", time.perf_counter() - started, rows=rows)
        return rows

    def sync(self, area: str) -> int:
        """Run an area; rows written. All legs must settle."""
        environ = {
            "DUALSYNC_HOME": str(self.home),
            "DUALSYNC_SANDBOX": str(self.home / "sandbox" / "sandbox.json"),
            "DUALSYNC_COMPANIES": "USPM,GBPM,FRRT",
            **{f"DUALSYNC_CUTOVER__{company}": "2025-01-01" for company in ("USPM", "GBPM", "FRRT")},
        }
        command = [sys.executable, "-m", "dualsync.cli", "sync", area, "--json"]
        started = time.perf_counter()
        with (self.home / "told.json").open("wb") as told:
            process = subprocess.Popen(command, env=os.environ | environ, stdout=told)
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - started
        summary = json.loads((self.home / "told.json").read_text())
        assert summary["state"] == "settled", [leg["message"] for leg in summary["legs"] if leg["message"]]
        written = {name: sum(leg[name] for leg in summary["legs"]) for name in ("created", "updated")}
        processor = used.ru_utime + used.ru_stime
        self._note(area, seconds, rows=sum(written.values()), processor=processor, megabytes=used.ru_maxrss / 1024)
        return sum(written.values())

    def _note(self, what: str, seconds: float, **figures: float) -> None:
        note = {"what": what, "seconds": round(seconds, 1), **{name: round(one, 1) for name, one in figures.items()}}
        self.figures.append(note)
        shown = (f"{name} {value:,}" for name, value in note.items() if name != "what")
        typer.echo(f"{what:28} {', '.join(shown)}")


def main(lines: Annotated[int, typer.Option(help="Lines of the invoice.")] = 25_000) -> None:
    """Play it once and print the figures, last as one line of JSON."""
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    with tempfile.TemporaryDirectory(prefix="dualsync-bench-") as folder:
        home = Path(folder)
        sandbox = context.Process(target=serve, args=(home / "sandbox", theirs))
        sandbox.start()
        try:
            mine.recv()
            bench = Bench(home, mine, [])
            bench.sync("all")
            assert bench.office("sell", lines) == lines
            bench.sync("all")
            assert bench.office("books") >= lines
            bench.office("confirm")
            bench.sync("project_invoices")
            filled = bench.office("fill")
            assert filled == lines, f"the proposal has {filled} of {lines} lines"
            assert bench.sync("project_invoices") == 0
        finally:
            mine.send(None)
            sandbox.join()
    typer.echo(json.dumps({"lines": lines, "figures": bench.figures}))


if __name__ == "__main__":
    typer.run(main)
