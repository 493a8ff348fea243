"""Breaks in actuals: on their way to staging, through the journals, and back [R1 to R11, R26, R34 to R39]."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from dualsync_sandbox.business.dataverse.choices import AdjustmentStatus, TransactionClass, TransactionType
from dualsync_sandbox.plant.ground import Ground, NothingToPlantOn, Planted, exact

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row

ACTUALS, STAGING, LINES = "msdyn_actual", "ProjActualsImports", "IntegrationJournalLines"
TRANSACTIONS, CONNECTIONS = "ProjectTransactions", "msdyn_transactionconnection"
MAP = "table:msdyn_actual"
SUMS = ("R7", "R8", "R15", "R9", "R12")
_ACCOUNTING = {
    "msdyn_vouchernumber": None,
    "msdyn_accountingamount": None,
    "msdyn_salestaxamount": None,
    "msdyn_isjournalized": False,
}
_UNPOSTED = {
    "VoucherNumber": "",
    "AccountingAmount": Decimal(0),
    "SalesTaxAmount": Decimal(0),
    "IsJournalized": "No",
    "ProjActualsImportSync": "No",
}
_ONE = Decimal(1)


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


def chain(ground: Ground, kind: int | None = None) -> Chain:
    """A chain by chance, of an entry and a project that no other plant has touched.

    Raises:
        NothingToPlantOn: there is none.
    """
    free = [one for one in chains(ground, kind) if not ground.taken.intersection(filter(None, one.records))]
    if not free:
        # Sums go by project, but a project can serve twice where each plant names its own records as well.
        free = [one for one in chains(ground, kind) if not ground.taken.intersection(filter(None, one.records[:-1]))]
    if not free:
        raise NothingToPlantOn
    chosen = ground.rng.choice(free)
    ground.take(*chosen.records)
    return chosen


def _planted(
    kind: str,
    text: str,
    one: Chain,
    *found_by: tuple[str, str],
    also: tuple[str, ...] = (),
    records: tuple[str, ...] = (),
) -> Planted:
    if "R9" in also:
        # the balances of accrued revenue name nothing but themselves
        records = (*records, "ProjectWipSalesValue", "ProjectAccruedRevenue")
    return Planted(
        kind, f"{text}: {one.actual['msdyn_actualid']}", one.company, found_by, also, (*one.records, *records)
    )


# -- staging


def staging_lost(ground: Ground) -> Planted:
    """The staging row of a posted actual is gone."""
    one = chain(ground)
    ground.finance.remove(STAGING, one.staged)
    return _planted(
        "staging-lost",
        "staging row gone",
        one,
        ("R1", "missing_in_finance"),
        (MAP, "missing_in_finance"),
        ("R4", "relation"),
        also=SUMS,
    )


def staging_doubled(ground: Ground) -> Planted:
    """An actual is staged twice, under another import id."""
    one = chain(ground)
    new = ground.new_id(one.actual["msdyn_actualid"])
    ground.finance.copy(STAGING, one.staged, ActualsImportId=new)
    return _planted(
        "staging-doubled",
        "staged twice",
        one,
        ("R1", "duplicate_in_finance"),
        (MAP, "wrong_owner"),
        ("R4", "relation"),
        also=SUMS,
        records=(new,),
    )


def skipped_later(ground: Ground) -> Planted:
    """Skip Sync was turned on after the actual had gone."""
    one = chain(ground)
    ground.dataverse.change(ACTUALS, one.actual, {"msdyn_skipsync": True})
    return _planted(
        "skipped-later", "Skip Sync turned on", one, ("R2", "filtered_out"), (MAP, "filtered_out"), also=(*SUMS, "R26")
    )


def actual_lost(ground: Ground) -> Planted:
    """An actual that was carried over is gone from Dataverse."""
    one = chain(ground)
    ground.dataverse.remove(ACTUALS, one.actual)
    return _planted(
        "actual-lost",
        "actual gone",
        one,
        ("R3", "missing_in_dataverse"),
        (MAP, "missing_in_dataverse"),
        also=(*SUMS, "R26"),
    )


def not_synced(ground: Ground) -> Planted:
    """An actual that was never carried over."""
    one = chain(ground)
    origin = ground.new_id("origin")
    new = ground.dataverse.copy(ACTUALS, one.actual, msdyn_actualimportid=ground.new_id("import"), msdyn_origin=origin)
    ground.dataverse.change(ACTUALS, new, _ACCOUNTING)
    records = (str(new["msdyn_actualid"]), str(new["msdyn_actualimportid"]), origin)
    return _planted(
        "not-synced",
        "copied actual never carried over",
        one,
        ("R1", "missing_in_finance"),
        (MAP, "missing_in_finance"),
        also=("R15",),
        records=records,
    )


def doubled_in_dataverse(ground: Ground) -> Planted:
    """An entry has the same actual twice, and both went all the way."""
    one = chain(ground)
    new = _twin(ground, one, one.actual["msdyn_origin"])
    return _planted(
        "doubled",
        "two equal actuals of one entry",
        one,
        ("R38", "duplicate_in_dataverse"),
        also=("R26", "R18", "R15"),
        records=new,
    )


def _twin(ground: Ground, one: Chain, origin: object) -> tuple[str, ...]:
    """A copy of a whole chain, alike on both sides to the last column."""
    import_id = ground.new_id("import")
    new = ground.dataverse.copy(ACTUALS, one.actual, msdyn_actualimportid=import_id, msdyn_origin=origin)
    actual_id = str(new["msdyn_actualid"])
    ground.finance.copy(STAGING, one.staged, ActualsImportId=import_id, ActualId=actual_id)
    number = 1 + max(int(str(row["LineNumber"])) for row in ground.rows(LINES, JournalId=one.line["JournalId"]))
    number += ground.rng.randrange(1000, 9000)
    ground.finance.copy(LINES, one.line, LineNumber=number, ActualsImportId=import_id)
    transaction = f"PTR-P{ground.rng.randrange(10**8):08d}"
    ground.finance.copy(TRANSACTIONS, one.transaction, TransactionId=transaction, ActualsImportId=import_id)
    ground.take(actual_id, import_id)
    return actual_id, import_id


# -- journals


def line_doubled(ground: Ground) -> Planted:
    """A staged row has two journal lines."""
    one = chain(ground)
    number = ground.rng.randrange(10_000, 90_000)
    ground.finance.copy(LINES, one.line, LineNumber=number)
    return _planted("line-doubled", "two journal lines", one, ("R4", "duplicate_in_finance"), also=SUMS)


def line_lost(ground: Ground) -> Planted:
    """The journal line of a posted actual is gone."""
    one = chain(ground)
    ground.finance.remove(LINES, one.line)
    return _planted("line-lost", "journal line gone", one, ("R4", "relation"), also=SUMS)


def not_imported(ground: Ground) -> Planted:
    """A staged row that was never imported, without a word why."""
    return _waiting(ground, "not-imported", "")


def no_rate(ground: Ground) -> Planted:
    """A staged row that was not imported because there is no exchange rate."""
    return _waiting(ground, "no-rate", "The exchange rate between USD and XXX does not exist.")


def _waiting(ground: Ground, kind: str, message: str) -> Planted:
    one = chain(ground)
    origin, import_id = ground.new_id("origin"), ground.new_id("import")
    new = ground.dataverse.copy(ACTUALS, one.actual, msdyn_actualimportid=import_id, msdyn_origin=origin)
    ground.dataverse.change(ACTUALS, new, {**_ACCOUNTING, "modifiedon": ground.old})
    staged = ground.finance.copy(STAGING, one.staged, ActualsImportId=import_id, ActualId=str(new["msdyn_actualid"]))
    ground.finance.change(STAGING, staged, _UNPOSTED)
    if message:
        entry = ground.rng.randrange(10**6, 10**8)
        ground.finance.add(
            "ImportLog",
            {
                "dataAreaId": one.company.lower(),
                "EntryNumber": entry,
                "ActualsImportId": import_id,
                "Message": message,
                "LoggedDateTime": ground.old,
            },
        )
    records = (str(new["msdyn_actualid"]), import_id, origin)
    return _planted(kind, "staged and not imported", one, ("R34", "not_imported"), also=("R15",), records=records)


def line_forgotten(ground: Ground) -> Planted:
    """The journal line of an actual of last year is still a draft."""
    one = chain(ground)
    records = _draft(ground, one, f"{int(ground.now[:4]) - 1}-11-15")
    return _planted(
        "line-forgotten", "draft of a past period", one, ("R5", "not_posted"), also=("R15",), records=records
    )


def _draft(ground: Ground, one: Chain, day: str) -> tuple[str, ...]:
    """An actual like another one, of another entry, whose journal line is not posted yet."""
    origin, import_id = ground.new_id("origin"), ground.new_id("import")
    values: Row = {"msdyn_actualimportid": import_id, "msdyn_origin": origin, "msdyn_accountingdate": day}
    # another plant may have touched what is copied
    values["msdyn_description"] = one.staged["Description"]
    new = ground.dataverse.copy(ACTUALS, one.actual, **values)
    ground.dataverse.change(ACTUALS, new, {**_ACCOUNTING, "msdyn_isjournalized": True, "modifiedon": ground.old})
    actual_id = str(new["msdyn_actualid"])
    staged = ground.finance.copy(STAGING, one.staged, ActualsImportId=import_id, ActualId=actual_id, AccountingDate=day)
    ground.finance.change(STAGING, staged, {**_UNPOSTED, "IsJournalized": "Yes"})
    line = ground.finance.copy(
        LINES,
        one.line,
        LineNumber=ground.rng.randrange(100_000, 900_000),
        ActualsImportId=import_id,
        AccountingDate=day,
    )
    ground.finance.change(LINES, line, {"LineStatus": "Draft", "Voucher": ""})
    ground.take(actual_id, import_id, origin)
    return actual_id, import_id, origin


def line_in_error(ground: Ground) -> Planted:
    """A journal line stands in error."""
    one = chain(ground)
    ground.finance.change(LINES, one.line, {"LineStatus": "Error", "Message": "No open fiscal period for the date."})
    return _planted("line-in-error", "journal line in error", one, ("R36", "not_posted"), also=SUMS)


def journal_stuck(ground: Ground) -> Planted:
    """A journal has been in processing for two days."""
    headers = [row for row in ground.rows("IntegrationJournalHeaders") if row["dataAreaId"] in ground.areas]
    header = ground.one(headers, lambda row: [f"{row['dataAreaId']}/{row['JournalId']}"])
    ground.finance.change(
        "IntegrationJournalHeaders", header, {"JournalStatus": "Processing", "ProcessingDateTime": ground.old}
    )
    journal = str(header["JournalId"])
    company = str(header["dataAreaId"]).upper()
    return Planted("journal-stuck", f"in processing: {journal}", company, (("R36", "not_posted"),), (), (journal,))


# -- what comes back


def _edited(
    column: str, change: Callable[[Row, Ground], object], *rules: tuple[str, str], kind: str
) -> Callable[[Ground], Planted]:
    def plant(ground: Ground) -> Planted:
        one = chain(ground)
        ground.dataverse.change(ACTUALS, one.actual, {column: change(one.actual, ground)})
        return _planted(kind, f"{column} edited in Dataverse", one, *rules, also=SUMS)

    plant.__doc__ = f"{column} of an actual was changed in Dataverse."
    plant.__name__ = kind.replace("-", "_")
    return plant


voucher_edited = _edited(
    "msdyn_vouchernumber",
    lambda row, _: f"{row['msdyn_vouchernumber']}X",
    ("R5", "reference"),
    (MAP, "text"),
    kind="voucher-edited",
)
accounting_edited = _edited(
    "msdyn_accountingamount",
    lambda row, ground: exact(row, "msdyn_accountingamount") + ground.odd_amount(),
    ("R6", "amount"),
    (MAP, "amount"),
    kind="accounting-edited",
)
rate_edited = _edited(
    "exchangerate",
    lambda row, _: exact(row, "exchangerate") + _ONE,
    ("R6", "amount"),
    (MAP, "amount"),
    kind="rate-edited",
)
tax_edited = _edited(
    "msdyn_salestaxamount",
    lambda row, _: exact(row, "msdyn_salestaxamount") + _ONE,
    ("R6", "amount"),
    (MAP, "amount"),
    kind="tax-edited",
)
amount_edited = _edited(
    "msdyn_amount", lambda row, _: exact(row, "msdyn_amount") + Decimal("0.0001"), (MAP, "amount"), kind="amount-edited"
)
description_edited = _edited("msdyn_description", lambda *_: "Something else", (MAP, "text"), kind="text-edited")
date_edited = _edited("msdyn_documentdate", lambda *_: "2026-02-28", (MAP, "date"), kind="date-edited")


def staged_voucher_edited(ground: Ground) -> Planted:
    """The voucher of a staging row is not that of its line."""
    one = chain(ground)
    ground.finance.change(STAGING, one.staged, {"VoucherNumber": "PVO-EDITED"})
    return _planted(
        "staged-voucher-edited", "voucher of the staging row edited", one, ("R5", "reference"), (MAP, "text")
    )


def cost_transaction_edited(ground: Ground) -> Planted:
    """The amount of a posted cost transaction was changed."""
    one = chain(ground, TransactionType.COST)
    amount = exact(one.transaction, "CostAmountAccountingCurrency") + ground.odd_amount()
    ground.finance.change(TRANSACTIONS, one.transaction, {"CostAmountAccountingCurrency": amount})
    return _planted("cost-edited", "cost transaction edited", one, ("R7", "amount"))


def sale_transaction_lost(ground: Ground) -> Planted:
    """A posted sales transaction is gone."""
    one = chain(ground, TransactionType.UNBILLED_SALES)
    ground.finance.remove(TRANSACTIONS, one.transaction)
    return _planted("sale-lost", "sales transaction gone", one, ("R8", "amount"), also=("R9",))


def rate_not_finances(ground: Ground) -> Planted:
    """An actual was posted, on both sides alike, with another amount than Finance's rate gives."""
    one = chain(ground)
    amount = exact(one.staged, "AccountingAmount") + _ONE
    ground.dataverse.change(ACTUALS, one.actual, {"msdyn_accountingamount": amount})
    ground.finance.change(STAGING, one.staged, {"AccountingAmount": amount})
    ground.finance.change(LINES, one.line, {"AccountingCurrencyAmount": amount})
    side = "Cost" if one.actual["msdyn_transactiontypecode"] == TransactionType.COST else "Sales"
    ground.finance.change(TRANSACTIONS, one.transaction, {f"{side}AmountAccountingCurrency": amount})
    return _planted("rate", "posted with another amount than the rate gives", one, ("R35", "amount"))


# -- reversals, entries, connections


def _reversals(ground: Ground) -> Iterator[tuple[Row, Row, Row]]:
    """Original, reversal and their connection."""
    for row in ground.rows(CONNECTIONS):
        if row["msdyn_transaction1role"] == "Reversing" and row["msdyn_transaction2role"] == "Original":
            reversal = ground.dataverse_tx.get(ACTUALS, row["msdyn_transaction1"])
            original = ground.dataverse_tx.get(ACTUALS, row["msdyn_transaction2"])
            if (
                original is not None
                and reversal is not None
                and original["msdyn_adjustmentstatus"] == AdjustmentStatus.ADJUSTED
                and ground.code(original)
                and original["msdyn_skipsync"] is False
                and reversal["msdyn_skipsync"] is False
                and original["msdyn_invoice"] is None
                and original["msdyn_transactionclassification"] == TransactionClass.TIME
            ):
                yield original, reversal, row


def _reversal(ground: Ground) -> tuple[Row, Row, Row, tuple[str, ...]]:
    def keys(pair: tuple[Row, Row, Row]) -> list[str]:
        return [str(row["msdyn_actualid"]) for row in pair[:2]]

    free = [pair for pair in _reversals(ground) if not ground.taken.intersection(keys(pair))]
    if not free:
        raise NothingToPlantOn
    original, reversal, connection = ground.rng.choice(free)
    records = (
        *keys((original, reversal, connection)),
        *(str(row["msdyn_actualimportid"]) for row in (original, reversal)),
        ground.numbers[original["msdyn_project"]],
    )
    ground.take(*records[:4])
    return original, reversal, connection, records


def reversal_edited(ground: Ground) -> Planted:
    """A reversal does not take back what it reverses."""
    original, reversal, _, records = _reversal(ground)
    ground.dataverse.change(ACTUALS, reversal, {"msdyn_amount": exact(reversal, "msdyn_amount") + _ONE})
    found_by = (("R10", "amount"), (MAP, "amount"))
    text = f"amount of the reversal edited: {reversal['msdyn_actualid']}"
    return Planted("reversal-edited", text, ground.code(original), found_by, SUMS, records)


def reversal_skipped(ground: Ground) -> Planted:
    """Of an actual and its reversal only one travels."""
    original, reversal, _, records = _reversal(ground)
    ground.dataverse.change(ACTUALS, reversal, {"msdyn_skipsync": True})
    found_by = (("R10", "status"), ("R2", "filtered_out"), (MAP, "filtered_out"))
    text = f"Skip Sync of the reversal turned on: {reversal['msdyn_actualid']}"
    return Planted("reversal-skipped", text, ground.code(original), found_by, SUMS, records)


def reversal_unconnected(ground: Ground) -> Planted:
    """Nothing says any more which actual a reversal reverses."""
    original, _, connection, records = _reversal(ground)
    ground.dataverse.remove(CONNECTIONS, connection)
    text = f"connection of the reversal gone: {original['msdyn_actualid']}"
    return Planted("reversal-unconnected", text, ground.code(original), (("R11", "relation"),), ("R38",), records)


def intercompany_broken(ground: Ground) -> Planted:
    """An intercompany entry lost its inter-organizational sales."""
    rows = [
        row
        for row in ground.rows(ACTUALS)
        if row["msdyn_transactiontypecode"] == TransactionType.INTER_ORGANIZATIONAL_SALES
        and row["msdyn_adjustmentstatus"] is None
        and row["msdyn_skipsync"] is False
        and row["msdyn_origin"] is not None
        and ground.code(row)
    ]
    row = ground.one(rows, lambda one: [one["msdyn_actualid"], one["msdyn_origin"]])
    ground.dataverse.change(ACTUALS, row, {"msdyn_origin": None})
    entry = str(row["msdyn_origin"])
    others = ground.rows(ACTUALS, msdyn_origin=entry)
    cost = next(one for one in others if one["msdyn_transactiontypecode"] == TransactionType.COST)
    records = (str(row["msdyn_actualid"]), entry, *(str(one["msdyn_actualid"]) for one in others))
    return Planted(
        "intercompany",
        f"inter-org sales of another entry: {entry}",
        ground.code(cost),
        (("R26", "relation"),),
        (),
        records,
    )


def journal_actual_connected(ground: Ground) -> Planted:
    """An actual of an entry journal is connected like one of an entry."""
    rows = [
        row
        for row in ground.rows(ACTUALS)
        if row["msdyn_origin"] is None
        and row["msdyn_transactiontypecode"] == TransactionType.COST
        and row["msdyn_transactionclassification"] == TransactionClass.TIME
        and row["msdyn_adjustmentstatus"] is None
        and ground.code(row)
    ]
    row = ground.one(rows, lambda one: [one["msdyn_actualid"]])
    other = next(iter(chains(ground, TransactionType.UNBILLED_SALES)), None)
    if other is None:
        raise NothingToPlantOn
    one, two = str(row["msdyn_actualid"]), str(other.actual["msdyn_actualid"])
    ground.dataverse.add(
        CONNECTIONS,
        {
            f"{CONNECTIONS}id": ground.new_id(one),
            "msdyn_name": "Unbilled - Cost",
            "msdyn_transaction1": two,
            "msdyn_transaction1role": "Unbilled",
            "msdyn_transaction1type": ACTUALS,
            "msdyn_transaction2": one,
            "msdyn_transaction2role": "Cost",
            "msdyn_transaction2type": ACTUALS,
            "createdon": ground.old,
            "modifiedon": ground.old,
        },
    )
    return Planted(
        "journal-connected",
        f"entry-journal actual connected: {one}",
        ground.code(row),
        (("R39", "relation"),),
        (),
        (one,),
    )


# -- what only looks like a break


def twin(ground: Ground) -> Planted:
    """Two entries of the same hours on the same task: equal actuals, no doubles."""
    one = chain(ground)
    records = _twin(ground, one, ground.new_id("origin"))
    return Planted("twin", f"equal actual of another entry: {records[0]}", one.company, (), (), records)


def trailing_blanks(ground: Ground) -> Planted:
    """A text with blanks at its end is the same text."""
    one = chain(ground)
    ground.dataverse.change(ACTUALS, one.actual, {"msdyn_description": f"{one.actual['msdyn_description']}  "})
    return _planted("trailing-blanks", "blanks at the end of the description", one)


def beyond_the_scale(ground: Ground) -> Planted:
    """Finance keeps six decimals of an amount, Dataverse four: what only the fifth and sixth hold is no difference."""
    one = chain(ground)
    ground.finance.change(STAGING, one.staged, {"Amount": exact(one.staged, "Amount") + Decimal("0.000001")})
    return _planted("beyond-the-scale", "a millionth in Finance", one)


def just_changed(ground: Ground) -> Planted:
    """A row that changed ten minutes ago is not judged yet."""
    one = chain(ground)
    ground.dataverse.change(ACTUALS, one.actual, {"msdyn_description": "Changed just now", "modifiedon": ground.young})
    return _planted("just-changed", "changed ten minutes ago", one)


def just_made(ground: Ground) -> Planted:
    """An actual that was made ten minutes ago need not have gone yet."""
    one = chain(ground)
    origin = ground.new_id("origin")
    new = ground.dataverse.copy(ACTUALS, one.actual, msdyn_actualimportid=ground.new_id("import"), msdyn_origin=origin)
    ground.dataverse.change(ACTUALS, new, {**_ACCOUNTING, "createdon": ground.young, "modifiedon": ground.young})
    records = (str(new["msdyn_actualid"]), origin)
    return Planted("just-made", f"made ten minutes ago: {records[0]}", one.company, (), (), records)


def history(ground: Ground) -> Planted:
    """An actual from long before the cut-over: Finance has it in its opening balances."""
    one = chain(ground)
    origin = ground.new_id("origin")
    new = ground.dataverse.copy(
        ACTUALS,
        one.actual,
        msdyn_actualimportid=ground.new_id("import"),
        msdyn_origin=origin,
        msdyn_documentdate="2019-05-31",
        msdyn_accountingdate="2019-05-31",
    )
    ground.dataverse.change(ACTUALS, new, _ACCOUNTING)
    records = (str(new["msdyn_actualid"]), origin)
    return Planted("history", f"actual of 2019: {records[0]}", one.company, (), (), records)


def no_tax(ground: Ground) -> Planted:
    """No tax and a tax of nothing are the same."""
    one = chain(ground, TransactionType.COST)
    ground.dataverse.change(ACTUALS, one.actual, {"msdyn_salestaxamount": None})
    return _planted("no-tax", "no tax instead of a tax of 0", one)


def line_to_be_posted(ground: Ground) -> Planted:
    """The journal line of an actual of today is a draft: it will be posted before the period ends."""
    one = chain(ground)
    records = _draft(ground, one, ground.now[:10])
    return Planted("line-to-be-posted", f"draft of this period: {records[0]}", one.company, (), (), records)


def costed_elsewhere(ground: Ground) -> Planted:
    """A cost that Finance has posted from a general journal is in no integration journal."""
    one = chain(ground, TransactionType.COST)
    number = f"PTR-G{ground.rng.randrange(10**8):08d}"
    ground.finance.copy(
        TRANSACTIONS, one.transaction, TransactionId=number, TransactionOrigin="GeneralJournal", ActualsImportId=""
    )
    return _planted("general-journal", "a cost from a general journal", one)


BREAKS = (
    staging_lost,
    staging_doubled,
    skipped_later,
    actual_lost,
    not_synced,
    doubled_in_dataverse,
    line_doubled,
    line_lost,
    not_imported,
    no_rate,
    line_forgotten,
    line_in_error,
    journal_stuck,
    voucher_edited,
    accounting_edited,
    rate_edited,
    tax_edited,
    amount_edited,
    description_edited,
    date_edited,
    staged_voucher_edited,
    cost_transaction_edited,
    sale_transaction_lost,
    rate_not_finances,
    reversal_edited,
    reversal_skipped,
    reversal_unconnected,
    intercompany_broken,
    journal_actual_connected,
)
LOOK_ALIKES = (
    twin,
    trailing_blanks,
    beyond_the_scale,
    just_changed,
    just_made,
    history,
    no_tax,
    line_to_be_posted,
    costed_elsewhere,
)
