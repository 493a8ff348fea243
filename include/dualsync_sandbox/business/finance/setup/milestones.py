"""A milestone becomes an on-account transaction, the first one of a fixed-price line an estimate project as well [C4].

Finance itself fills in what only it knows: the customer, the transaction's id and status, and the amount in the
company's accounting currency at the exchange rate of the transaction date. What Dataverse changes is followed until the
milestone stands on an invoice proposal [C7]. The estimate project outlives its milestones (assumed).
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from functools import partial
from typing import TYPE_CHECKING

from dualsync_sandbox.business.finance.ledger.exchange import NO_DATE, accounting_currency, convert, exact
from dualsync_sandbox.business.sequences import Sequence
from dualsync_sandbox.errors import BusinessRuleViolation

if TYPE_CHECKING:
    from dualsync_sandbox.clock import Clock
    from dualsync_sandbox.store import Event, Row, Store, Tx

MILESTONES = "ProjectContractLineMilestones"
TRANSACTIONS = "OnAccountTransactions"
ESTIMATES = "RevenueEstimateProjects"
PROPOSED = frozenset({"InvoiceProposal", "Invoiced"})
"""``TransStatus`` of a milestone that has reached an invoice proposal."""


def on_account_transaction(milestone: Row) -> Row:
    """Return the on-account transaction of a milestone [C4]."""
    return {
        "dataAreaId": milestone["dataAreaId"],
        "TransactionId": milestone["TransactionId"],
        "ContractLineMilestoneIdentifier": milestone["ContractLineMilestoneIdentifier"],
        "ProjectId": milestone.get("ProjectNumber") or "",
        "Amount": exact(milestone.get("Amount")),
        "CurrencyCode": milestone.get("CurrencyCode") or "",
        "TransactionDate": milestone.get("LedgerTransactionDate"),
        "Status": milestone["TransStatus"],
    }


def estimate_project(line: Row) -> Row:
    """Return the revenue estimate project of a fixed-price line [C4]; the shape of its id is assumed."""
    line_id = line.get("ContractLineId") or f"{line['ProjectContractId']}-{line['LineSequenceNumber']}"
    return {
        "dataAreaId": line["dataAreaId"],
        "EstimateProjectId": f"E-{line_id}"[-20:],
        "ProjectContractId": line["ProjectContractId"],
        "ContractLineId": line.get("ContractLineId") or "",
    }


def _accounting(tx: Tx, milestone: Row, clock: Clock) -> Row:
    """The columns that follow from amount, currency and date; a milestone without a date counts as of today."""
    day = str(milestone.get("TransactionDate") or NO_DATE)[:10]
    if day == NO_DATE:
        day = clock.now().date().isoformat()
    amount = exact(milestone.get("Amount"))
    into = accounting_currency(tx, str(milestone["dataAreaId"]))
    currency = str(milestone.get("CurrencyCode") or into)
    ledger = amount if into is None else convert(tx, amount, currency, into, day)
    if ledger is None:
        raise BusinessRuleViolation(
            MILESTONES, f"The exchange rate between {currency} and {into} on {day} does not exist."
        )
    return {
        "LedgerTransactionDate": day,
        "LedgerSalesAmount": ledger.quantize(Decimal("0.01"), ROUND_HALF_UP),
        "TotalSalesAmount": amount,
    }


def _transaction_id(number: int) -> str:
    return f"OAT-{number + 1:09d}"


def _complete(tx: Tx, event: Event, clock: Clock, sequence: Sequence) -> None:
    milestone = event.after
    assert milestone is not None
    area = milestone["dataAreaId"]

    def taken(number: int) -> bool:
        return tx.find_one(TRANSACTIONS, dataAreaId=area, TransactionId=_transaction_id(number)) is not None

    contract = tx.find_one(
        "ProjectContractHeaders",
        dataAreaId=area,
        ProjectContractId=milestone.get("ProjectContractId") or "",
    )
    milestone.update(_accounting(tx, milestone, clock))
    milestone["TransactionId"] = _transaction_id(sequence.next(tx, taken))
    milestone["TransStatus"] = "Posted"
    milestone["CustomerAccountNumber"] = contract["CustomerAccountNumber"] if contract else ""


def _post(tx: Tx, event: Event) -> None:
    milestone = event.after
    assert milestone is not None
    tx.insert(TRANSACTIONS, on_account_transaction(milestone))
    line_id = milestone.get("ContractLineId")
    if not line_id:
        return
    of_line = {name: milestone[name] for name in ("dataAreaId", "ProjectContractId", "ContractLineId")}
    for line in tx.find("ProjectContractLines", **of_line):
        if line["BillingMethod"] == "FixedPrice" and tx.find_one(ESTIMATES, **of_line) is None:
            tx.insert(ESTIMATES, estimate_project(line))


def _recalculate(tx: Tx, event: Event, clock: Clock) -> None:
    before, after = event.before, event.after
    assert before is not None
    assert after is not None
    watched = ("Amount", "CurrencyCode", "TransactionDate")
    if before.get("TransStatus") not in PROPOSED and any(before.get(name) != after.get(name) for name in watched):
        after.update(_accounting(tx, after, clock))


def _follow(tx: Tx, event: Event) -> None:
    before, after = event.before, event.after
    assert before is not None
    assert after is not None
    values = on_account_transaction(after)
    if before.get("TransStatus") in PROPOSED:
        values = {"Status": after["TransStatus"]}
    keys = {"dataAreaId": before["dataAreaId"], "TransactionId": before["TransactionId"]}
    for standing in tx.find(TRANSACTIONS, **keys):
        changes = {name: value for name, value in values.items() if standing.get(name) != value}
        if changes:
            tx.update(TRANSACTIONS, standing["RecId"], changes)


def _keep_proposed(tx: Tx, event: Event) -> None:  # noqa: ARG001 - the signature of a hook
    assert event.before is not None
    if event.before.get("TransStatus") in PROPOSED:
        raise BusinessRuleViolation(
            MILESTONES, "The milestone is on an invoice proposal or invoiced and cannot be deleted."
        )


def install(finance: Store, clock: Clock) -> None:
    """Register the rules with Finance."""
    complete = partial(_complete, clock=clock, sequence=Sequence(TRANSACTIONS))
    finance.on(MILESTONES, {"create"}, complete, when="before")
    finance.on(MILESTONES, {"create"}, _post)
    finance.on(MILESTONES, {"update"}, partial(_recalculate, clock=clock), when="before")
    finance.on(MILESTONES, {"update"}, _follow)
    finance.on(MILESTONES, {"delete"}, _keep_proposed, when="before")
