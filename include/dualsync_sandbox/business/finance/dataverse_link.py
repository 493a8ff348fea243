"""What Finance asks Dataverse by itself, over its own service connection and not through the integration [H4]."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from dualsync_sandbox.business.dataverse.choices import TransactionType

if TYPE_CHECKING:
    from dualsync_sandbox.store import Store

BilledLookup = Callable[[str, str], int]
"""Gives the number of billed sales Dataverse has on a proforma invoice, by dataAreaId and number of the proforma."""

_CONNECTED: WeakKeyDictionary[Store, Store] = WeakKeyDictionary()


def connect(finance: Store, dataverse: Store) -> None:
    """Let Finance know the Dataverse it belongs to."""
    _CONNECTED[finance] = dataverse


def billed_sales(finance: Store) -> BilledLookup:
    """Return what asks the Dataverse that Finance belongs to.

    Raises:
        KeyError: Finance was never connected with one.
    """
    dataverse = _CONNECTED[finance]
    sql = (
        'SELECT count(*) FROM "invoice" i JOIN "msdyn_actual" a ON a."msdyn_invoice" = i."invoiceid" '
        'JOIN "cdm_company" c ON c."cdm_companyid" = a."msdyn_owningcompany" WHERE i."invoicenumber" = ? '
        'AND c."cdm_companycode" = ? AND a."msdyn_transactiontypecode" = ? AND a."msdyn_skipsync" = 0'
    )

    def ask(area: str, number: str) -> int:
        with dataverse.reading() as tx:
            return int(tx.query(sql, (number, area.upper(), TransactionType.BILLED_SALES.value)).fetchone()[0])

    return ask
