"""Numbers that Dataverse gives to new rows whose number column is empty.

The shape follows the published example of a transaction category number, ``TCN-0000001000-D3B43`` [C12]: prefix, a
running number from 1000, and a few random characters. The prefixes and widths of the others are assumed. The characters
are taken from the record's id, so that a number depends on nothing but the row.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from dualsync_sandbox.business.sequences import Sequence

if TYPE_CHECKING:
    from dualsync_sandbox.store import Event, Store, Tx


@dataclass(frozen=True, slots=True)
class AutoNumber:
    """The number column of a table and how its values look."""

    table: str
    column: str
    prefix: str
    width: int

    def value(self, sequence: int, record_id: str) -> str:
        """Return the number of the ``sequence``-th row (from 0), whose id is ``record_id``."""
        return f"{self.prefix}-{1000 + sequence:0{self.width}d}-{record_id[:5].upper()}"


AUTO_NUMBERS = {
    number.table: number
    for number in (
        AutoNumber("msdyn_transactioncategory", "msdyn_transactioncategorynumber", "TCN", 10),
        AutoNumber("bookableresourcecategory", "msdyn_resourcecategorynumber", "RCN", 7),
        AutoNumber("salesorder", "ordernumber", "ORD", 7),
        AutoNumber("salesorderdetail", "msdyn_contractlinenumber", "PCL", 7),
        AutoNumber("msdyn_projectcontractsplitbillingrule", "msdyn_number", "CC", 7),
        AutoNumber("msdyn_project", "msdyn_projectnumber", "PRJ", 7),
        AutoNumber("msdyn_projecttask", "msdyn_tasknumber", "TSK", 7),
        AutoNumber("msdyn_contractlinescheduleofvalue", "msdyn_milestonenumber", "MIL", 7),
        AutoNumber("msdyn_subcontract", "msdyn_subcontractnumber", "SUB", 7),
        AutoNumber("msdyn_subcontractline", "msdyn_subcontractlinenumber", "SCL", 7),
        AutoNumber("invoice", "invoicenumber", "INV", 7),
    )
}
"""By table: the number it gives itself."""


def _assign(tx: Tx, event: Event, number: AutoNumber, sequence: Sequence) -> None:
    row = event.after
    assert row is not None
    if not row.get(number.column):
        row[number.column] = number.value(sequence.next(tx), str(row[f"{number.table}id"]))


def install(dataverse: Store) -> None:
    """Register the number columns of Dataverse."""
    for number in AUTO_NUMBERS.values():
        assign = partial(_assign, number=number, sequence=Sequence(number.table))
        dataverse.on(number.table, {"create"}, assign, when="before")
