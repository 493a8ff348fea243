"""Rows that say which transactions belong together [F1 to F4].

Roles are the words of the rules; the pair of an intercompany entry, and of what a retainer replaces, are assumed. A
connection names its two ends as text and type, as the published table has it, and as polymorphic lookups [F2], whose
names are assumed.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row, Tx

TABLE = "msdyn_transactionconnection"
ACTUALS = "msdyn_actual"

COST = "Cost"
UNBILLED = "Unbilled"
BILLED = "Billed"
REVERSING = "Reversing"
ORIGINAL = "Original"
REPLACING = "Replacing"
RESOURCING_UNIT_COST = "Resourcing unit cost"
INTER_ORGANIZATIONAL_SALES = "Inter-organizational sales"


def connect(tx: Tx, first: Row, first_role: str, second: Row, second_role: str) -> Row:
    """Connect two actuals and return the row."""
    return tx.insert(TABLE, connection(first["msdyn_actualid"], first_role, second["msdyn_actualid"], second_role))


def connection(
    first_id: object, first_role: str, second_id: object, second_role: str, first_table: str = ACTUALS
) -> Row:
    """Return the row that connects something with an actual; its id follows from the two ends and their roles."""
    one, two = str(first_id), str(second_id)
    return {
        f"{TABLE}id": str(uuid.uuid5(uuid.UUID(one), f"{first_role}/{two}/{second_role}")),
        "msdyn_name": f"{first_role} - {second_role}",
        "msdyn_transaction1": one,
        "msdyn_transaction1role": first_role,
        "msdyn_transaction1type": first_table,
        "msdyn_transaction2": two,
        "msdyn_transaction2role": second_role,
        "msdyn_transaction2type": ACTUALS,
        "msdyn_transaction1id": one,
        "msdyn_transaction1id@type": first_table,
        "msdyn_transaction2id": two,
        "msdyn_transaction2id@type": ACTUALS,
    }


def of_actual(tx: Tx, actual_id: object) -> list[Row]:
    """Return the connections an actual is an end of."""
    return [*tx.find(TABLE, msdyn_transaction1id=actual_id), *tx.find(TABLE, msdyn_transaction2id=actual_id)]
