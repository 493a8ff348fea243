"""A quick hand in the books of Finance: rows, staged actuals, imports and postings with few words."""

import uuid
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from dualsync_sandbox.business.finance import jobs
from dualsync_sandbox.clock import Clock
from dualsync_sandbox.store import Row, Store

CLASSES = {"time": 192350000, "expense": 192350001, "material": 192350002, "fee": 192350004, "retainer": 192350005}
CONSULTING, TRAVEL = "TCN-0000001000-AAAAA", "TCN-0000001002-CCCCC"


@dataclass
class Books:
    """The store of Finance, and short words for what the tests do with it."""

    finance: Store
    clock: Clock

    def all(self, table: str, **equals: Any) -> list[Row]:
        with self.finance.reading() as tx:
            return tx.find(table, **equals)

    def one(self, table: str, **equals: Any) -> Row:
        (row,) = self.all(table, **equals)
        return row

    def insert(self, table: str, **values: Any) -> Row:
        with self.finance.transaction() as tx:
            return tx.insert(table, values)

    def change(self, table: str, key: dict[str, Any], **changes: Any) -> None:
        with self.finance.transaction() as tx:
            for row in tx.find(table, **key):
                tx.update(table, row["RecId"], changes)

    def delete(self, table: str, **equals: Any) -> None:
        with self.finance.transaction() as tx:
            for row in tx.find(table, **equals):
                tx.delete(table, row["RecId"])

    def parameters(self, company: str = "uspm", **changes: Any) -> None:
        self.change("IntegrationParameters", {"dataAreaId": company}, **changes)

    def stage(self, kind: str = "Cost", of: str = "time", amount: str = "100", **values: Any) -> Row:
        """A staged actual of company USPM on its project PRJ-T, of the second of March 2026."""
        return self.insert(
            "ProjActualsImports",
            **{
                "dataAreaId": "uspm",
                "ActualsImportId": str(uuid.uuid4()),
                "ActualId": str(uuid.uuid4()),
                "TransactionType": kind,
                "TransactionClassification": CLASSES[of],
                "BillingType": "NotAvailable" if kind != "Sales" else "Chargeable",
                "ProjectId": "PRJ-T",
                "TransactionCategoryId": {"time": CONSULTING, "expense": TRAVEL}.get(of, CONSULTING),
                "Quantity": Decimal(1),
                "UnitPrice": Decimal(amount),
                "Amount": Decimal(amount),
                "TransactionCurrencyId": "USD",
                "DocumentDate": "2026-03-02",
                "AccountingDate": "2026-03-02",
                **values,
            },
        )

    def relate(self, first: Row, first_role: str, second: Row, second_role: str) -> None:
        """What a data package brings: two actuals that belong together."""
        ends = {"Transaction1Id": first["ActualId"], "Transaction2Id": second["ActualId"]}
        roles = {"Transaction1Role": first_role, "Transaction2Role": second_role}
        types = {"Transaction1Type": "msdyn_actual", "Transaction2Type": "msdyn_actual"}
        self.insert("TransactionRelationships", ConnectionId=str(uuid.uuid4()), **ends, **roles, **types)

    def staged(self, row: Row) -> Row:
        """The row as it is now."""
        return self.one("ProjActualsImports", ActualsImportId=row["ActualsImportId"])

    def line(self, row: Row) -> Row:
        return self.one("IntegrationJournalLines", ActualsImportId=row["ActualsImportId"])

    def do(self, company: str = "USPM") -> tuple[jobs.ImportSummary, jobs.PostingSummary]:
        """Import and post."""
        imported = jobs.import_from_staging(self.finance, company)
        return imported, jobs.post_integration_journals(self.finance, company)

    def entries(self, row: Row) -> list[tuple[Any, ...]]:
        """Posting type and signed amount in accounting currency of the voucher of a staged row."""
        voucher, area = self.staged(row)["VoucherNumber"], row["dataAreaId"]
        found = self.all("LedgerEntries", dataAreaId=area, Voucher=voucher)
        return [(entry["PostingType"], entry["Debit"] - entry["Credit"]) for entry in found]

    def balanced(self) -> bool:
        """Whether debits equal credits in every voucher and currency, and every number is exact."""
        sums: dict[tuple[Any, ...], list[Decimal]] = {}
        for entry in self.all("LedgerEntries"):
            numbers = [entry["Debit"], entry["Credit"], entry["TransactionCurrencyAmount"]]
            assert all(isinstance(number, Decimal) for number in numbers)
            debit, credit, amount = numbers
            key = entry["dataAreaId"], entry["Voucher"], entry["CurrencyCode"]
            total = sums.setdefault(key, [Decimal(0), Decimal(0)])
            total[0] += debit - credit
            total[1] += amount
        return all(total == [0, 0] for total in sums.values())
