"""A vendor also stands as an account, which project vendor invoices and subcontracts name.

Business note of the Vendors V2 map: invoices look the vendor up as an account of relationship type Vendor (11) by
account number and company.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dualsync_sandbox.store import Event, Row, Store, Tx

VENDOR = 11
"""``account.customertypecode`` of a vendor."""


def vendor_account(vendor: Row, name: str | None) -> Row:
    """Return the account of a vendor.

    Args:
        vendor: the ``msdyn_vendor`` row.
        name: the name of the vendor or its party; the vendor number stands in for a missing one.
    """
    number = vendor.get("msdyn_vendoraccountnumber")
    return {
        "accountid": str(uuid.uuid5(uuid.UUID(str(vendor["msdyn_vendorid"])), "account")),
        "accountnumber": number,
        "name": (name or str(number or ""))[:160],
        "customertypecode": VENDOR,
        "msdyn_company": vendor.get("msdyn_company"),
        "msdyn_vendor": vendor["msdyn_vendorid"],
    }


def _follow(tx: Tx, event: Event) -> None:
    vendor = event.after or event.before
    assert vendor is not None
    party = tx.get("msdyn_party", vendor["msdyn_partyid"]) if vendor.get("msdyn_partyid") else None
    name = vendor.get("msdyn_name") or (party or {}).get("msdyn_name")
    account = vendor_account(vendor, str(name) if name else None)
    standing = tx.get("account", account["accountid"])
    if event.after is None:
        if standing is not None:
            tx.delete("account", account["accountid"])
    elif standing is None:
        tx.insert("account", account)
    else:
        changes = {name: value for name, value in account.items() if standing.get(name) != value}
        if changes:
            tx.update("account", account["accountid"], changes)


def install(dataverse: Store) -> None:
    """Register the rule with Dataverse."""
    dataverse.on("msdyn_vendor", {"create", "update"}, _follow)
    dataverse.on("msdyn_vendor", {"delete"}, _follow, when="before")
