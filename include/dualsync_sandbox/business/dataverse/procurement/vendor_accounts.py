"""A vendor also stands as an account, which project vendor invoices and subcontracts name.

Business note of the Vendors V2 map: invoices look the vendor up as an account of relationship type Vendor (11) by
account number and company. The workflow that keeps these accounts has to be activated in the product; the switch
``vendor_accounts`` stands for that. A vendor that came before has none until its row is written again, or
:func:`create_missing_accounts` runs.
"""

from __future__ import annotations

import uuid
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dualsync_sandbox.business.switches import Switches
    from dualsync_sandbox.store import Event, Row, Store, Tx

VENDOR = 11
"""``account.customertypecode`` of a vendor."""


def vendor_account(vendor: Row, name: str | None) -> Row:
    """Return the account of a vendor.

    Args:
        vendor: The ``msdyn_vendor`` row.
        name: The name of the vendor or its party; the vendor number stands in for a missing one.
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


def create_missing_accounts(dataverse: Store) -> int:
    """Run the workflow for vendors that came while it was not active; returns how many accounts were made."""
    with dataverse.transaction() as tx:
        before = tx.count("account")
        for vendor in tx.find("msdyn_vendor"):
            _keep(tx, vendor)
        return tx.count("account") - before


def _follow(tx: Tx, event: Event, switches: Switches) -> None:
    if event.after is None:
        assert event.before is not None
        account_id = vendor_account(event.before, None)["accountid"]
        if tx.get("account", account_id) is not None:
            tx.delete("account", account_id)
    elif switches.vendor_accounts:
        _keep(tx, event.after)


def _keep(tx: Tx, vendor: Row) -> None:
    """Let the account of a vendor be as the vendor says."""
    party = tx.get("msdyn_party", vendor["msdyn_partyid"]) if vendor.get("msdyn_partyid") else None
    name = vendor.get("msdyn_name") or (party or {}).get("msdyn_name")
    account = vendor_account(vendor, str(name) if name else None)
    standing = tx.get("account", account["accountid"])
    if standing is None:
        tx.insert("account", account)
    else:
        changes = {name: value for name, value in account.items() if standing.get(name) != value}
        if changes:
            tx.update("account", account["accountid"], changes)


def install(dataverse: Store, switches: Switches) -> None:
    """Register the rule with Dataverse."""
    follow = partial(_follow, switches=switches)
    dataverse.on("msdyn_vendor", {"create", "update"}, follow)
    dataverse.on("msdyn_vendor", {"delete"}, follow, when="before")
