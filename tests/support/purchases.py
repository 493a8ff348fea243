"""A quick hand in procurement on Dataverse: subcontracts, and vendor invoices as the integration writes them."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from dualsync_sandbox.business.dataverse.entries.approvals import approve_time
from dualsync_sandbox.business.dataverse.procurement import subcontracts
from dualsync_sandbox.store import Row
from support.project_office import Works

INVOICE, INVOICE_LINE = "msdyn_projectvendorinvoice", "msdyn_projectvendorinvoiceline"
SUBCONTRACT, SUBCONTRACT_LINE = "msdyn_subcontract", "msdyn_subcontractline"
TIME, EXPENSE, MATERIAL = 192350000, 192350001, 192350002
DRAFT, IN_REVIEW, CONFIRMED, ON_HOLD, CANCELED = range(192350000, 192350005)
NOT_STARTED, IN_PROGRESS, COMPLETE = range(192350000, 192350003)


@dataclass
class Purchases:
    """Buys with few words.

    Attributes:
        works: The project business beside it.
    """

    works: Works

    def _insert(self, table: str, values: Row) -> str:
        with self.works.dataverse.transaction() as tx:
            return str(tx.insert(table, values)[f"{table}id"])

    def vendor(self, code: str = "USPM", number: str = "V-900001") -> str:
        """The account of a vendor, which comes with it."""
        works = self.works
        key = {"msdyn_vendoraccountnumber": number, "msdyn_company": works.company(code)}
        if not works.all("msdyn_vendor", **key):
            self._insert("msdyn_vendor", key | {"msdyn_name": "Riggers and sons"})
        row = works.one("account", accountnumber=number, msdyn_company=works.company(code))
        return str(row["accountid"])

    # -- subcontracts

    def subcontract(self, project: str, code: str = "USPM", **values: Any) -> str:
        """A subcontract in draft, without lines."""
        works = self.works
        return self._insert(
            SUBCONTRACT,
            {
                "msdyn_name": "Rigging",
                "msdyn_subcontractdate": "2026-03-02",
                "msdyn_vendor": self.vendor(code),
                "msdyn_project": project,
                "transactioncurrencyid": works.one("msdyn_project", msdyn_projectid=project)["transactioncurrencyid"],
                "msdyn_owningcompany": works.company(code),
                **values,
            },
        )

    def ordered(self, subcontract: str, of: int = TIME, quantity: str = "40", price: str = "65", **values: Any) -> str:
        """A line of a subcontract: hours of a consultant, tickets, or sensor kits."""
        works = self.works
        named: Row = {
            TIME: {"msdyn_resourcecategory": works.role(), "msdyn_unit": works.one("uom", msdyn_symbol="hr")["uomid"]},
            EXPENSE: {"msdyn_transactioncategory": works.category("Travel")},
            MATERIAL: {"msdyn_product": works.one("product", msdyn_productnumber="P-1001")["productid"]},
        }[of]
        project = works.one(SUBCONTRACT, msdyn_subcontractid=subcontract)["msdyn_project"]
        return self._insert(
            SUBCONTRACT_LINE,
            {
                "msdyn_subcontract": subcontract,
                "msdyn_name": "Rigging",
                "msdyn_transactionclassification": of,
                "msdyn_project": project,
                "msdyn_quantity": Decimal(quantity),
                "msdyn_price": Decimal(price),
                "msdyn_unit": works.one("uom", msdyn_symbol="ea")["uomid"],
                **named,
                **values,
            },
        )

    def confirmed(self, project: str, code: str = "USPM", of: int = TIME) -> str:
        """The line of a confirmed subcontract that has but one."""
        subcontract = self.subcontract(project, code)
        line = self.ordered(subcontract, of)
        subcontracts.confirm_subcontract(self.works.dataverse, subcontract)
        return line

    def worked(self, project: str, line: str, hours: str = "8", **values: Any) -> list[Row]:
        """Approve a consultant's hours on a subcontract line; returns the actuals."""
        entry = self.works.time(project, hours, msdyn_subcontractline=line, **values)
        return approve_time(self.works.dataverse, entry)

    # -- vendor invoices

    def invoice(self, code: str = "USPM", *, automatic: bool = False, number: str = "", **values: Any) -> str:
        """The header of a vendor invoice."""
        works = self.works
        return self._insert(
            INVOICE,
            {
                "msdyn_name": number or f"S-{len(works.all(INVOICE)) + 1}",
                "msdyn_vendorinvoicenumber": number or f"S-{len(works.all(INVOICE)) + 1}",
                "msdyn_vendor": self.vendor(code),
                "msdyn_invoicedate": "2026-03-05",
                "transactioncurrencyid": works.currency({"USPM": "USD", "GBPM": "GBP"}.get(code, "EUR")),
                "msdyn_enableautomaticconfirmation": automatic,
                "msdyn_hasexternalorigin": True,
                "msdyn_owningcompany": works.company(code),
                **values,
            },
        )

    def charged(
        self, invoice: str, project: str, of: int = MATERIAL, quantity: str = "2", price: str = "50", **values: Any
    ) -> str:
        """A line of a vendor invoice: sensor kits, tickets, or a consultant's hours."""
        works = self.works
        header = works.one(INVOICE, **{f"{INVOICE}id": invoice})
        named: Row = {
            TIME: {"msdyn_resourcecategory": works.role()},
            EXPENSE: {"msdyn_transactioncategory": works.category("Travel")},
            MATERIAL: {"msdyn_product": works.one("product", msdyn_productnumber="P-1001")["productid"]},
        }[of]
        return self._insert(
            INVOICE_LINE,
            {
                "msdyn_externalinvoiceline": f"{header['msdyn_name']}/{len(works.all(INVOICE_LINE)) + 1}",
                "msdyn_vendorinvoice": invoice,
                "msdyn_description": "As delivered",
                "msdyn_transactionclassification": of,
                "msdyn_transactiondate": "2026-03-05",
                "msdyn_project": project,
                "msdyn_quantity": Decimal(quantity),
                "msdyn_price": Decimal(price),
                "msdyn_subtotal": Decimal(quantity) * Decimal(price),
                "msdyn_unit": works.one("uom", msdyn_symbol="ea")["uomid"],
                "transactioncurrencyid": header["transactioncurrencyid"],
                "msdyn_billingtype": 192350001,
                "msdyn_owningcompany": header["msdyn_owningcompany"],
                **named,
                **values,
            },
        )

    def trigger(self, invoice: str) -> None:
        """Let an invoice confirm itself."""
        with self.works.dataverse.transaction() as tx:
            tx.update(INVOICE, invoice, {"msdyn_enableautomaticconfirmation": True})

    def status(self, invoice: str) -> Any:
        """The status of an invoice."""
        return self.works.one(INVOICE, **{f"{INVOICE}id": invoice})["statuscode"]
