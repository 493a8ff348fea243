"""Exceptions between actuals: reversals, entries, connections [R10, R11, R26, R39]."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

from dualsync_sandbox.business.dataverse.choices import AdjustmentStatus, TransactionClass, TransactionType
from dualsync_sandbox.plant.actuals.chains import ACTUALS, CONNECTIONS, MAP, SUMS, chains
from dualsync_sandbox.plant.ground import Ground, NothingToPlantOn, Planted, exact

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row

_ONE = Decimal(1)


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
    row = ground.choose(rows, lambda sale: [sale["msdyn_actualid"], sale["msdyn_origin"]])
    ground.dataverse.change(ACTUALS, row, {"msdyn_origin": None})
    entry = str(row["msdyn_origin"])
    others = ground.rows(ACTUALS, msdyn_origin=entry)
    cost = next(actual for actual in others if actual["msdyn_transactiontypecode"] == TransactionType.COST)
    records = (str(row["msdyn_actualid"]), entry, *(str(actual["msdyn_actualid"]) for actual in others))
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
    row = ground.choose(rows, lambda cost: [cost["msdyn_actualid"]])
    other = next(iter(chains(ground, TransactionType.UNBILLED_SALES)), None)
    if other is None:
        raise NothingToPlantOn
    cost, sale = str(row["msdyn_actualid"]), str(other.actual["msdyn_actualid"])
    ground.dataverse.add(
        CONNECTIONS,
        {
            f"{CONNECTIONS}id": ground.new_id(cost),
            "msdyn_name": "Unbilled - Cost",
            "msdyn_transaction1": sale,
            "msdyn_transaction1role": "Unbilled",
            "msdyn_transaction1type": ACTUALS,
            "msdyn_transaction2": cost,
            "msdyn_transaction2role": "Cost",
            "msdyn_transaction2type": ACTUALS,
            "createdon": ground.old,
            "modifiedon": ground.old,
        },
    )
    return Planted(
        "journal-connected",
        f"entry-journal actual connected: {cost}",
        ground.code(row),
        (("R39", "relation"),),
        (),
        (cost,),
    )


BREAKS = (
    reversal_edited,
    reversal_skipped,
    reversal_unconnected,
    intercompany_broken,
    journal_actual_connected,
)
