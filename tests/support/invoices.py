"""A quick hand in invoicing on both systems: proformas from approved work, and Finance's evening."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from dualsync.ledger import DocumentRecord
from dualsync.sync.run.runs import RunSummary
from dualsync_sandbox.business.dataverse.invoicing.billing import mark_milestone_ready, mark_ready_to_invoice
from dualsync_sandbox.business.dataverse.invoicing.proforma_confirmation import confirm_proforma
from dualsync_sandbox.business.dataverse.invoicing.proformas import create_proforma, edit_line, line_details
from dualsync_sandbox.business.finance import jobs as finance_jobs
from dualsync_sandbox.business.finance.jobs import ImportSummary
from dualsync_sandbox.store import Row
from support.cycles import ACTUALS, CONTRACTS, Cycle

INVOICES = ("invoice_proposals", "actuals_billed", "transaction_relationships_billed", "customer_invoices")
BILLED = 192350006

Api = dict[str, Any]


@dataclass
class Billing:
    """Invoices with few words.

    Attributes:
        cycle: The world they are made in.
    """

    cycle: Cycle

    # -- what people do in Dataverse

    def draft(self, project: str, sales: Sequence[Mapping[str, Any]] = (), milestones: Sequence[str] = ()) -> str:
        """A proforma of these unbilled sales and milestones of a project's contract; returns its id."""
        works = self.cycle.works
        mark_ready_to_invoice(works.dataverse, [str(row["msdyn_actualid"]) for row in sales])
        for milestone in milestones:
            mark_milestone_ready(works.dataverse, milestone)
        return str(create_proforma(works.dataverse, works.contract_of(project))["invoiceid"])

    def keep(self, invoice_id: str, **quantities: str) -> None:
        """Edit the quantities of line details, by their place: ``_1="6"`` is the second."""
        details = line_details(self.cycle.works.dataverse, invoice_id)
        for place, quantity in quantities.items():
            detail_id = str(details[int(place[1:])]["msdyn_invoicelinetransactionid"])
            edit_line(self.cycle.works.dataverse, detail_id, msdyn_quantity=Decimal(quantity))

    def confirm(self, invoice_id: str, day: str = "2026-03-31") -> list[Row]:
        """Confirm a proforma; returns the actuals it made."""
        return confirm_proforma(self.cycle.works.dataverse, invoice_id, day=day)

    # -- what dualsync does

    def carry(self, *maps: str, **words: Any) -> RunSummary:
        """Carry contracts, whatever else is named, actuals and everything of invoices, both ways."""
        return self.cycle.sync(*CONTRACTS, *maps, *ACTUALS, *INVOICES, **words)

    def bring_back(self, *maps: str, **words: Any) -> RunSummary:
        """Carry actuals, everything of invoices and whatever else is named, both ways: nothing new of contracts."""
        return self.cycle.sync(*maps, *ACTUALS, *INVOICES, **words)

    # -- what Finance does

    def fill(self, company: str = "USPM") -> ImportSummary:
        """Import from staging; nothing is refused."""
        imported = finance_jobs.import_from_staging(self.cycle.works.finance, company)
        assert imported.refused == ()
        return imported

    def evening(self, *companies: str) -> dict[str, str]:
        """Import, post, import again and post the proposals; returns customer invoice by proposal."""
        posted: dict[str, str] = {}
        for company in companies or ("USPM",):
            self.cycle.books(company)
            self.fill(company)
            summary = finance_jobs.post_invoice_proposals(self.cycle.works.finance, company)
            assert summary.failed == ()
            posted |= dict(summary.posted)
        return posted

    # -- reading through the APIs

    def invoice(self, invoice_id: str) -> Api:
        """A proforma, through Dataverse's API."""
        return self.cycle.dataverse.one("invoices", f"invoiceid eq {invoice_id}")

    def number(self, invoice_id: str) -> str:
        """Of a proforma."""
        return str(self.invoice(invoice_id)["invoicenumber"])

    def proposal(self, invoice_id: str) -> Api:
        """The proposal of a proforma as Finance's form shows it."""
        return self.cycle.finance.one("ProjInvoiceProposalHeaders", f"InvoiceProposalId eq '{self.number(invoice_id)}'")

    def lines(self, invoice_id: str) -> list[Api]:
        """The lines of the proposal of a proforma."""
        return self.cycle.finance.rows("ProjInvoiceProposalLines", f"InvoiceProposalId eq '{self.number(invoice_id)}'")

    def unit(self, invoice_id: str) -> list[DocumentRecord]:
        """How far the ledger says a proforma has come: its billed sales and their relationships."""
        number = self.number(invoice_id)
        with self.cycle.world.runtime() as runtime:
            found = [
                record for record in runtime.ledger.documents(map_name="invoice_proposals") if record.key == number
            ]
        assert {record.lines for record in found} == set(INVOICES[1:3])
        return found

    def posted(self, invoice_id: str) -> Api:
        """The customer invoice of a proforma in Finance."""
        return self.cycle.finance.one("ProjCustomerInvoices", f"InvoiceProposalId eq '{self.number(invoice_id)}'")

    def entries(self, invoice_id: str) -> dict[str, Decimal]:
        """Posting type and signed amount, in accounting currency, of the voucher of an invoice."""
        posted = self.posted(invoice_id)
        wanted = f"dataAreaId eq '{posted['dataAreaId']}' and Voucher eq '{posted['Voucher']}'"
        return {
            row["PostingType"]: row["Debit"] - row["Credit"] for row in self.cycle.finance.rows("LedgerEntries", wanted)
        }
