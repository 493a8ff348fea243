"""The log of Import from staging: why a row got no line, or a proposal none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualsync_sandbox.business.finance.setup.settings import next_number

if TYPE_CHECKING:
    from dualsync_sandbox.store import Tx

LOG = "ImportLog"


def log(tx: Tx, area: str, message: str, **about: object) -> None:
    """Write to the log: one entry for each thing it is about, the latest.

    Args:
        tx: The transaction.
        area: ``dataAreaId``.
        message: What is wrong.
        about: The column of the log that says what it is about, with its value.
    """
    facts = {"Message": message[:500], "LoggedDateTime": tx.store.clock.stamp()}
    standing = tx.find_one(LOG, dataAreaId=area, **about)
    if standing is None:
        tx.insert(LOG, {"dataAreaId": area, **about, **facts, "EntryNumber": next_number(tx, area, "LOG")})
    elif standing["Message"] != facts["Message"]:
        tx.update(LOG, standing["RecId"], facts)
