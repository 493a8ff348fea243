"""Staged actuals and their relationships by the id of the actual, many at once [F1, F3]."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, NamedTuple

from dualsync_sandbox.business.finance.journals.staging import STAGING

if TYPE_CHECKING:
    from dualsync_sandbox.store import Tx

RELATIONSHIPS = "TransactionRelationships"
_CHUNK = 500


class Staged(NamedTuple):
    """What is needed of a staged actual."""

    rec_id: int
    import_id: str
    actual_id: str
    kind: str
    voucher: str


class Link(NamedTuple):
    """A relationship as one of its ends sees it."""

    role: str
    other: str
    role_of_other: str


def chunks(values: Collection[str]) -> Iterator[tuple[str, ...]]:
    """Yield the values by the few hundred, as many as a statement takes."""
    ordered = tuple(values)
    for start in range(0, len(ordered), _CHUNK):
        yield ordered[start : start + _CHUNK]


def marks(values: Collection[object]) -> str:
    """Return the placeholders of a list of values."""
    return ", ".join("?" * len(values))


def links(tx: Tx, actual_ids: Collection[str]) -> dict[str, list[Link]]:
    """Return the relationships of actuals, by actual."""
    found: dict[str, list[Link]] = defaultdict(list)
    for own, other in (("1", "2"), ("2", "1")):
        columns = f'"Transaction{own}Id", "Transaction{own}Role", "Transaction{other}Id", "Transaction{other}Role"'
        for part in chunks(actual_ids):
            sql = f'SELECT {columns} FROM "{RELATIONSHIPS}" WHERE "Transaction{own}Id" IN ({marks(part)})'
            for actual_id, *link in tx.query(sql, part):
                found[actual_id].append(Link(*link))
    return found


def staged(tx: Tx, area: str, actual_ids: Collection[str]) -> dict[str, Staged]:
    """Return staged actuals of a company, by actual."""
    found = {}
    for part in chunks(actual_ids):
        sql = (
            f'SELECT "RecId", "ActualsImportId", "ActualId", "TransactionType", "VoucherNumber" FROM "{STAGING}" '
            f'WHERE "dataAreaId" = ? AND "ActualId" IN ({marks(part)})'
        )
        for row in tx.query(sql, (area, *part)):
            found[row[2]] = Staged(*row)
    return found
