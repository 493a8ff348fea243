"""Actuals that went all the way, which exceptions and look-alikes work on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from dualsync_sandbox.business.dataverse.choices import TransactionClass, TransactionType
from dualsync_sandbox.plant.ground import Ground, NothingToPlantOn, Planted

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row

ACTUALS, STAGING, LINES = "msdyn_actual", "ProjActualsImports", "IntegrationJournalLines"
TRANSACTIONS, CONNECTIONS = "ProjectTransactions", "msdyn_transactionconnection"
MAP = "table:msdyn_actual"
SUMS = ("R7", "R8", "R15", "R9", "R12")
ACCOUNTING = {
    "msdyn_vouchernumber": None,
    "msdyn_accountingamount": None,
    "msdyn_salestaxamount": None,
    "msdyn_isjournalized": False,
}
UNPOSTED = {
    "VoucherNumber": "",
    "AccountingAmount": Decimal(0),
    "SalesTaxAmount": Decimal(0),
    "IsJournalized": "No",
    "ProjActualsImportSync": "No",
}


@dataclass(frozen=True, slots=True)
class Chain:
    """An actual that went all the way: with its staging row, its posted line and its project transaction."""

    actual: Row
    staged: Row
    line: Row
    transaction: Row
    company: str
    project: str

    @property
    def records(self) -> tuple[str, ...]:
        """Everything it goes by."""
        return (
            str(self.actual["msdyn_actualid"]),
            str(self.actual["msdyn_actualimportid"]),
            str(self.actual["msdyn_origin"] or ""),
            f"{self.line['JournalId']}|{self.line['LineNumber']}",
            self.project,
        )


def _plain(row: Row) -> bool:
    """An hour worked, standing, carried over, of an entry: nothing else hangs on it."""
    return (
        row["msdyn_transactionclassification"] == TransactionClass.TIME
        and row["msdyn_transactiontypecode"] in (TransactionType.COST, TransactionType.UNBILLED_SALES)
        and row["msdyn_adjustmentstatus"] is None
        and row["msdyn_skipsync"] is False
        and row["msdyn_origin"] is not None
        and row["msdyn_vouchernumber"] is not None
        and row["msdyn_resourcingcompany"] == row["msdyn_owningcompany"]
        and row["msdyn_vendorinvoiceline"] is None
        and row["msdyn_subcontractline"] is None
    )


def chains(ground: Ground, kind: int | None = None) -> Iterator[Chain]:
    """Actuals that nobody has touched yet and that are whole on both sides."""
    invoiced = {row["msdyn_originalactual"] for row in ground.rows("msdyn_invoicelinetransaction")}
    invoiced |= {
        row["msdyn_transaction2"]
        for row in ground.rows(CONNECTIONS)
        if row["msdyn_transaction1role"] in ("Billed", "Reversing")
    }
    for row in ground.rows(ACTUALS):
        code = ground.code(row)
        if not code or not _plain(row) or row["msdyn_actualid"] in invoiced:
            continue
        if kind is not None and row["msdyn_transactiontypecode"] != kind:
            continue
        key = {"dataAreaId": code.lower(), "ActualsImportId": row["msdyn_actualimportid"]}
        staged = ground.finance_tx.find_one(STAGING, **key)
        line = ground.finance_tx.find_one(LINES, **key)
        transaction = ground.finance_tx.find_one(TRANSACTIONS, **key)
        if staged and line and transaction and line["LineStatus"] == "Posted":
            yield Chain(row, staged, line, transaction, code, ground.numbers[row["msdyn_project"]])


def take_chain(ground: Ground, kind: int | None = None) -> Chain:
    """A chain by chance, of an entry and a project that no other plant has touched.

    Raises:
        NothingToPlantOn: There is none.
    """
    free = [chain for chain in chains(ground, kind) if not ground.taken.intersection(filter(None, chain.records))]
    if not free:
        # Sums go by project, but a project can serve twice where each plant names its own records as well.
        free = [
            chain for chain in chains(ground, kind) if not ground.taken.intersection(filter(None, chain.records[:-1]))
        ]
    if not free:
        raise NothingToPlantOn
    chosen = ground.rng.choice(free)
    ground.take(*chosen.records)
    return chosen


def planted(
    kind: str,
    text: str,
    chain: Chain,
    *found_by: tuple[str, str],
    also: tuple[str, ...] = (),
    records: tuple[str, ...] = (),
) -> Planted:
    """What was planted on a chain, with all the records it goes by."""
    if "R9" in also:
        # the balances of accrued revenue name nothing but themselves
        records = (*records, "ProjectWipSalesValue", "ProjectAccruedRevenue")
    return Planted(
        kind, f"{text}: {chain.actual['msdyn_actualid']}", chain.company, found_by, also, (*chain.records, *records)
    )


def copy_chain(ground: Ground, chain: Chain, origin: object) -> tuple[str, ...]:
    """A copy of a whole chain, alike on both sides to the last column."""
    import_id = ground.new_id("import")
    new = ground.dataverse.copy(ACTUALS, chain.actual, msdyn_actualimportid=import_id, msdyn_origin=origin)
    actual_id = str(new["msdyn_actualid"])
    ground.finance.copy(STAGING, chain.staged, ActualsImportId=import_id, ActualId=actual_id)
    number = 1 + max(int(str(row["LineNumber"])) for row in ground.rows(LINES, JournalId=chain.line["JournalId"]))
    number += ground.rng.randrange(1000, 9000)
    ground.finance.copy(LINES, chain.line, LineNumber=number, ActualsImportId=import_id)
    transaction = f"PTR-P{ground.rng.randrange(10**8):08d}"
    ground.finance.copy(TRANSACTIONS, chain.transaction, TransactionId=transaction, ActualsImportId=import_id)
    ground.take(actual_id, import_id)
    return actual_id, import_id


def copy_as_draft(ground: Ground, chain: Chain, day: str) -> tuple[str, ...]:
    """An actual like another one, of another entry, whose journal line is not posted yet."""
    origin, import_id = ground.new_id("origin"), ground.new_id("import")
    values: Row = {"msdyn_actualimportid": import_id, "msdyn_origin": origin, "msdyn_accountingdate": day}
    # another plant may have touched what is copied
    values["msdyn_description"] = chain.staged["Description"]
    new = ground.dataverse.copy(ACTUALS, chain.actual, **values)
    ground.dataverse.change(ACTUALS, new, {**ACCOUNTING, "msdyn_isjournalized": True, "modifiedon": ground.old})
    actual_id = str(new["msdyn_actualid"])
    staged = ground.finance.copy(
        STAGING, chain.staged, ActualsImportId=import_id, ActualId=actual_id, AccountingDate=day
    )
    ground.finance.change(STAGING, staged, {**UNPOSTED, "IsJournalized": "Yes"})
    line = ground.finance.copy(
        LINES,
        chain.line,
        LineNumber=ground.rng.randrange(100_000, 900_000),
        ActualsImportId=import_id,
        AccountingDate=day,
    )
    ground.finance.change(LINES, line, {"LineStatus": "Draft", "Voucher": ""})
    ground.take(actual_id, import_id, origin)
    return actual_id, import_id, origin
