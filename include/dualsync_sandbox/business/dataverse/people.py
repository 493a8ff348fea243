"""The full name of a person, which Dataverse puts together from the first and the last name.

"Contact table/entity reference" (reference/entities/contact): ``fullname`` combines the first and last names and is
among the read-only columns; so it is of ``systemuser``. Assumed: the order first name, last name, which an organization
can change (``fullnameconventioncode``). The caller's word on the full name is dropped by the API.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dualsync_sandbox.store import Event, Store, Tx

TABLES = ("contact", "systemuser")


def _full_name(_: Tx, event: Event) -> None:
    """People without either name keep the full name that the system itself gave them."""
    row = event.after
    assert row is not None
    parts = [str(row[part]) for part in ("firstname", "lastname") if row.get(part)]
    if parts:
        row["fullname"] = " ".join(parts)


def install(dataverse: Store) -> None:
    """Register the rule with the store of Dataverse."""
    for table in TABLES:
        dataverse.on(table, {"create", "update"}, _full_name, when="before")
