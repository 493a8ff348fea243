"""What Dataverse sees of a posted vendor invoice: the three export sets [J1].

Only invoices with a project line, and of those only the project lines, stand in them. Assumed: the exported price is
the cost of one unit; ``SubcontractInvoice`` says that nobody has to confirm the invoice by hand.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

from dualsync_sandbox.business.finance.ledger.exchange import exact
from dualsync_sandbox.business.finance.setup.procurement import released
from dualsync_sandbox.business.finance.setup.settings import text

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row, Tx

EXPORT, EXPORT_V1, EXPORT_LINES = "VendInvoiceExportsV2", "ProjVendInvoicesExport", "ProjVendInvoiceLinesExportEntity"
_PRICE = Decimal("0.0001")


class InvoiceExport:
    """Writes the export sets of one company, within one transaction.

    Args:
        tx: The transaction.
        area: The company's ``dataAreaId``.
    """

    def __init__(self, tx: Tx, area: str) -> None:
        self._tx = tx
        self._area = area

    def header(self, header: Row) -> None:
        """Both versions of the set hold the invoice; which one is read is up to the table maps [J1]."""
        names = (
            "dataAreaId", "InvoiceAccount", "VendorInvoiceNum", "Description", "DocumentDate", "CurrencyCode",
            "PurchId", "TransDate", "OrderAccount", "TableRefId",
        )  # fmt: skip
        row = {name: header[name] for name in names}
        row["SubcontractInvoice"] = "No" if header["IsManualVerificationRequired"] == "Yes" else "Yes"
        for entity_set in (EXPORT, EXPORT_V1):
            self._tx.insert(entity_set, row)

    def line(self, header: Row, line: Row, *, costed: bool) -> None:
        """Show a project line of an invoice; ``costed`` says that its cost is posted already."""
        item = text(line, "ItemId")
        quantity, cost = exact(line["Quantity"]), exact(line["CostAmount"])
        self._tx.insert(
            EXPORT_LINES,
            {
                "ProjTransId": line["ProjTransId"],
                "ProjDataAreaId": line["ProjDataAreaId"],
                "DAreaId": self._area,
                "VendorInvoiceNum": header["VendorInvoiceNum"],
                "InvoiceAccount": header["InvoiceAccount"],
                "OrderAccount": header["OrderAccount"],
                "ProjSubcontractLineNumber": line["ProjSubContractLineNumber"],
                "RoleId": line["RoleId"],
                "PurchUnit": line["PurchUnit"],
                "ProjItemTransExists": int(costed),
                "ProjId": line["ProjId"],
                "QtyReceiveNow": quantity,
                "Description": line["Description"],
                "TransDate": header["TransDate"],
                "ProjTaskNumber": line["ActivityNumber"],
                "TransactionCategoryId": line["TransactionCategoryId"],
                "CategoryType": line["CategoryType"],
                "PurchPrice": (cost / quantity).quantize(_PRICE, ROUND_HALF_UP) if quantity else Decimal(0),
                "BillingType": line["BillingType"],
                "LineAmount": cost,
                "currencyCode": header["CurrencyCode"],
                "ItemId": item,
                "DisplayProductNumber": released(self._tx, self._area, item)["ProductNumber"] if item else "",
            },
        )
