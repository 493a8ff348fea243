"""Journals of Dataverse: correction journals [E21] and entry journals [E23, E24, E-T].

A correction takes the actuals of one entry together (assumed), marks them In process while its journal is a draft
[E19], and when posted reverses them and makes new ones with what was changed. Whether actuals of entry journals can be
corrected is said differently on two pages; ``entry_journal_corrections`` of the parameters decides, and the later page,
which allows it, is the default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from dualsync_sandbox.business.dataverse import connections
from dualsync_sandbox.business.dataverse.actuals import (
    TABLE,
    Money,
    customer_columns,
    money_columns,
    new_ids,
    on_invoice,
    renew,
    reverse,
    taken_over,
)
from dualsync_sandbox.business.dataverse.choices import (
    AdjustmentStatus,
    BillingMethod,
    BillingStatus,
    BillingType,
    JournalType,
    TransactionClass,
    TransactionType,
)
from dualsync_sandbox.business.dataverse.contracts.engagement import engagement_of, row_of
from dualsync_sandbox.business.dataverse.prices import rounded
from dualsync_sandbox.business.finance.ledger.exchange import exact
from dualsync_sandbox.business.parameters import Parameters
from dualsync_sandbox.errors import BusinessRuleViolation
from dualsync_sandbox.schema import APPLICATION_USER, BUSINESS_UNIT

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row, Store, Tx

JOURNALS, LINES = "msdyn_journal", "msdyn_journalline"

CORRECTABLE = {
    "project": "msdyn_project",
    "task": "msdyn_task",
    "role": "msdyn_resourcecategory",
    "resource": "msdyn_bookableresource",
    "product": "msdyn_product",
    "category": "msdyn_transactioncategory",
    "day": "msdyn_documentdate",
}
"""What a correction journal may change [E21], and the column of an actual and a journal line it stands in."""

_T, _E, _M = TransactionClass.TIME, TransactionClass.EXPENSE, TransactionClass.MATERIAL
_FEE, _RETAINER, _MILESTONE = TransactionClass.FEE, TransactionClass.RETAINER, TransactionClass.MILESTONE
_PAIR = {
    TransactionType.INTER_ORGANIZATIONAL_SALES: frozenset({_T, _E}),
    TransactionType.RESOURCING_UNIT_COST: frozenset({_T, _E}),
}
ALLOWED: Mapping[BillingMethod | None, Mapping[TransactionType, frozenset[TransactionClass]]] = {
    BillingMethod.FIXED_PRICE: {
        TransactionType.COST: frozenset({_T, _E, _M}),
        TransactionType.UNBILLED_SALES: frozenset({_RETAINER}),
        TransactionType.BILLED_SALES: frozenset({_RETAINER, _MILESTONE}),
        **_PAIR,
    },
    BillingMethod.TIME_AND_MATERIAL: {
        TransactionType.COST: frozenset({_T, _E, _M}),
        TransactionType.UNBILLED_SALES: frozenset({_T, _E, _M, _FEE, _RETAINER}),
        TransactionType.BILLED_SALES: frozenset({_T, _E, _M, _FEE, _RETAINER}),
        **_PAIR,
    },
    None: {TransactionType.COST: frozenset({_T, _E, _M}), **_PAIR},
}
"""Classes that a journal line may have, by the billing method of its contract line and by its type; without a
contract line there are no sales (assumed) [E-T]."""


# -- correction journals


def draft_correction_journal(dataverse: Store, actual_id: str, changes: Mapping[str, object], name: str = "") -> str:
    """Write a correction journal for the entry behind an actual; its actuals are In process from now on.

    Args:
        dataverse: The store of Dataverse.
        actual_id: One of the actuals of the entry.
        changes: New values by the words of ``CORRECTABLE``; ids of records, and an ISO date for ``day``.
        name: Of the journal.

    Returns:
        The id of the journal.

    Raises:
        BusinessRuleViolation: Something else is to be changed, or the actuals can no longer be corrected.
    """
    unknown = changes.keys() - CORRECTABLE.keys()
    if unknown or not changes:
        raise BusinessRuleViolation(JOURNALS, f"A correction journal cannot change {', '.join(sorted(unknown))}.")
    with dataverse.transaction() as tx:
        actual = row_of(tx, TABLE, actual_id)
        rows = _group(tx, actual)
        if actual["msdyn_adjustmentstatus"] is not None or not rows or on_invoice(rows):
            raise BusinessRuleViolation(JOURNALS, "The actual is adjusted, being adjusted or invoiced.")
        if actual["msdyn_origin"] is not None and taken_over(tx, actual["msdyn_origin"]):
            raise BusinessRuleViolation(JOURNALS, "The actual belongs to a vendor invoice.")
        journal_id = _journal(tx, JournalType.CORRECTION, name or "Correction")
        for row in rows:
            opposite = {"msdyn_quantity": -exact(row["msdyn_quantity"]), "msdyn_amount": -exact(row["msdyn_amount"])}
            _line(tx, journal_id, {**row, **opposite}, original=row["msdyn_actualid"])
        columns = {CORRECTABLE[word]: value for word, value in changes.items()}
        _line(tx, journal_id, {**rows[0], **columns}, original=rows[0]["msdyn_actualid"])
        for row in rows:
            tx.update(TABLE, row["msdyn_actualid"], {"msdyn_adjustmentstatus": AdjustmentStatus.IN_PROCESS})
    return journal_id


def confirm_correction_journal(dataverse: Store, journal_id: str, *, parameters: Parameters | None = None) -> list[Row]:
    """Post a correction journal; returns reversals and new actuals.

    Raises:
        BusinessRuleViolation: It is posted, or corrects a line of an entry journal where that is not allowed [E23].
    """
    settings = parameters or Parameters()
    with dataverse.transaction() as tx:
        journal = row_of(tx, JOURNALS, journal_id)
        if journal["msdyn_isposted"] or journal["msdyn_journaltype"] != JournalType.CORRECTION:
            raise BusinessRuleViolation(JOURNALS, "The journal is posted already or corrects nothing.")
        *_, line = tx.find(LINES, msdyn_journal=journal_id)
        original = row_of(tx, TABLE, line["msdyn_originalactual"])
        changed = {word: line[column] for word, column in CORRECTABLE.items() if line[column] != original[column]}
        rows = [
            tx.update(TABLE, row["msdyn_actualid"], {"msdyn_adjustmentstatus": None})
            for row in _group(tx, original, AdjustmentStatus.IN_PROCESS)
        ]
        if original["msdyn_origin"] is not None:
            made = renew(tx, settings.prices, rows, changed)
        elif settings.entry_journal_corrections:
            made = _correct_journal_actual(tx, rows[0], {CORRECTABLE[word]: value for word, value in changed.items()})
        else:
            raise BusinessRuleViolation(JOURNALS, "Actuals of entry journals cannot be corrected.")
        tx.update(JOURNALS, journal_id, {"msdyn_isposted": True})
    return made


def post_correction_journal(
    dataverse: Store, actual_id: str, changes: Mapping[str, object], *, parameters: Parameters | None = None
) -> list[Row]:
    """Draft and post a correction journal at once; see the two functions it calls."""
    with dataverse.transaction():
        journal_id = draft_correction_journal(dataverse, actual_id, changes)
        return confirm_correction_journal(dataverse, journal_id, parameters=parameters)


def _group(tx: Tx, actual: Row, status: AdjustmentStatus | None = None) -> list[Row]:
    """Return the actuals of the same entry that have this adjustment status; a line without an entry stands alone."""
    rows = [actual] if actual["msdyn_origin"] is None else tx.find(TABLE, msdyn_origin=actual["msdyn_origin"])
    return [row for row in rows if row["msdyn_adjustmentstatus"] == status]


def _correct_journal_actual(tx: Tx, row: Row, changes: Row) -> list[Row]:
    reversal = reverse(tx, row)
    ids = new_ids(tx, row["msdyn_actualid"])
    new = tx.insert(TABLE, {**_kept(row), **changes, **ids})
    connections.connect(tx, new, connections.REPLACING, row, connections.ORIGINAL)
    return [reversal, new]


def _kept(row: Row) -> Row:
    posted = ("msdyn_vouchernumber", "msdyn_accountingamount", "msdyn_salestaxamount", "msdyn_isjournalized")
    stamps = ("createdon", "modifiedon", "createdby", "modifiedby", "versionnumber", "msdyn_adjustmentstatus")
    return {name: value for name, value in row.items() if name not in posted + stamps}


# -- entry journals


def post_entry_journal(dataverse: Store, lines: Sequence[Mapping[str, object]], name: str = "Entry") -> list[Row]:
    """Write and post an entry journal: one actual per line, without connections, origin or intercompany pair [E23, K7].

    Args:
        dataverse: The store of Dataverse.
        lines: Columns of ``msdyn_journalline``; amount, currency, contract line and dates default as far as the
            project says them. A sale that names no contract customer gets none and is never invoiced [E24].
        name: Of the journal.

    Raises:
        BusinessRuleViolation: A line's class does not go with its type on its contract line [E-T].
    """
    with dataverse.transaction() as tx:
        journal_id = _journal(tx, JournalType.ENTRY, name)
        made = []
        for given in lines:
            line = _completed(tx, given)
            _line(tx, journal_id, line)
            made.append(_actual_of_line(tx, line))
        tx.update(JOURNALS, journal_id, {"msdyn_isposted": True})
    return made


def check_line(kind: int, classification: int, method: object) -> None:
    """Refuse a class that does not go with the type of a journal line [E-T].

    Raises:
        BusinessRuleViolation: It does not.
    """
    billing_method = BillingMethod(method) if isinstance(method, int) else None
    if TransactionClass(classification) not in ALLOWED[billing_method].get(TransactionType(kind), frozenset()):
        raise BusinessRuleViolation(
            LINES,
            f"A journal line of type {TransactionType(kind).name} cannot have the class "
            f"{TransactionClass(classification).name} on this contract line.",
        )


def _completed(tx: Tx, given: Mapping[str, object]) -> Row:
    line: Row = {"msdyn_quantity": Decimal(1), **given}
    kind = int(exact(line["msdyn_transactiontypecode"]))
    classification = int(exact(line["msdyn_transactionclassification"]))
    place = engagement_of(tx, line.get("msdyn_project"), classification)
    contract_line = line.setdefault(
        "msdyn_salescontractlineid", place.line["salesorderdetailid"] if place.line else None
    )
    row = tx.get("salesorderdetail", contract_line) if contract_line else None
    check_line(kind, classification, (row or {}).get("msdyn_billingmethod"))
    line.setdefault("msdyn_salescontract", (row or {}).get("salesorderid"))
    sales = kind in (TransactionType.UNBILLED_SALES, TransactionType.BILLED_SALES)
    currency = place.billed_in if sales else place.currency
    line.setdefault("transactioncurrencyid", currency["transactioncurrencyid"])
    line.setdefault("msdyn_billingtype", BillingType.CHARGEABLE if sales else BillingType.NOT_AVAILABLE)
    line.setdefault("msdyn_documentdate", tx.store.clock.stamp()[:10])
    line.setdefault("msdyn_accountingdate", line["msdyn_documentdate"])
    currency = row_of(tx, "transactioncurrency", line["transactioncurrencyid"])
    price = exact(line.get("msdyn_price"))
    line.setdefault("msdyn_amount", rounded(exact(line["msdyn_quantity"]) * price, currency))
    return line


def _actual_of_line(tx: Tx, line: Row) -> Row:
    classification = int(exact(line["msdyn_transactionclassification"]))
    place = engagement_of(tx, line.get("msdyn_project"), classification)
    currency = row_of(tx, "transactioncurrency", line["transactioncurrencyid"])
    money = Money(exact(line["msdyn_quantity"]), exact(line.get("msdyn_price")), exact(line["msdyn_amount"]), currency)
    customer_id = line.get("msdyn_contractcustomer")
    customer = row_of(tx, "msdyn_projectcontractsplitbillingrule", customer_id) if customer_id else None
    unbilled = line["msdyn_transactiontypecode"] == TransactionType.UNBILLED_SALES
    day = line["msdyn_documentdate"]
    carried = {name: line.get(name) for name in _CARRIED}
    return tx.insert(
        TABLE,
        {
            **carried,
            **new_ids(tx, f"journal/{line.get('msdyn_project')}"),
            **money_columns(money),
            **customer_columns(customer),
            "msdyn_billingstatus": BillingStatus.UNBILLED_SALES_CREATED if unbilled else None,
            "msdyn_contractorganizationalunitid": place.project["msdyn_contractorganizationalunitid"],
            "msdyn_owningcompany": place.company["cdm_companyid"],
            "msdyn_resourcingcompany": place.company["cdm_companyid"],
            "msdyn_exchangeratedate": day,
            "msdyn_startdatetime": f"{day}T00:00:00Z",
            "msdyn_enddatetime": f"{day}T00:00:00Z",
            "msdyn_amountmethod": 192350000,
            "msdyn_skipsync": False,
            "owninguser": APPLICATION_USER,
            "owningbusinessunit": BUSINESS_UNIT,
        },
    )


_CARRIED = (
    "msdyn_description",
    "msdyn_transactiontypecode",
    "msdyn_transactionclassification",
    "msdyn_billingtype",
    "msdyn_documentdate",
    "msdyn_accountingdate",
    "msdyn_unit",
    "msdyn_product",
    "msdyn_project",
    "msdyn_task",
    "msdyn_salescontract",
    "msdyn_salescontractlineid",
    "msdyn_bookableresource",
    "msdyn_resourcecategory",
    "msdyn_transactioncategory",
)
_MONEY = ("msdyn_quantity", "msdyn_price", "msdyn_amount", "transactioncurrencyid", "msdyn_contractcustomer")


def _journal(tx: Tx, kind: JournalType, name: str) -> str:
    today = tx.store.clock.stamp()[:10]
    row = tx.insert(
        JOURNALS,
        {
            "msdyn_name": name[:100],
            "msdyn_journaltype": kind,
            "msdyn_documentdate": today,
            "msdyn_accountingdate": today,
        },
    )
    return str(row["msdyn_journalid"])


def _line(tx: Tx, journal_id: str, values: Row, original: object = None) -> None:
    columns = {name: values.get(name) for name in _CARRIED + _MONEY}
    tx.insert(LINES, {**columns, "msdyn_journal": journal_id, "msdyn_originalactual": original})
