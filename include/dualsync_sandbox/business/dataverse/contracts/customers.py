"""Saving a project contract gives it a contract customer, which later travels as a funding source [C2]."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dualsync_sandbox.store import Event, Row, Store, Tx

WORK_BASED = 192350001
"""``salesorder.msdyn_ordertype`` of a project contract; item-based orders (192350000) have no contract customer."""

TABLE = "msdyn_projectcontractsplitbillingrule"


def contract_customer(contract: Row, name: str | None, payment_terms: str | None) -> Row:
    """Return the contract customer that the product adds to a contract [C2]; it has no number yet.

    Args:
        contract: The ``salesorder`` row.
        name: The name of the contract's customer.
        payment_terms: The name of the terms of payment that apply.
    """
    contract_id, customer_id = str(contract["salesorderid"]), contract["customerid"]
    return {
        f"{TABLE}id": str(uuid.uuid5(uuid.UUID(contract_id), str(customer_id))),
        "msdyn_contract": contract_id,
        **_of_customer(contract, name, payment_terms),
    }


def _of_customer(contract: Row, name: str | None, payment_terms: str | None) -> Row:
    return {
        "msdyn_contractcustomer": contract["customerid"],
        "msdyn_contractcustomer@type": contract.get("customerid@type") or "account",
        "msdyn_name": name[:100] if name else None,
        "msdyn_owningcompany": contract.get("msdyn_company"),
        "msdyn_paymentterms": payment_terms,
    }


def _customer(tx: Tx, contract: Row) -> tuple[str | None, str | None]:
    """Return name and terms of payment of the contract's customer; the terms default from the contract."""
    customer = tx.get(str(contract.get("customerid@type") or "account"), contract["customerid"]) or {}
    name = customer.get("name") or customer.get("fullname") or customer.get("lastname")
    term_id = contract.get("msdyn_paymentterms") or customer.get("msdyn_paymentterm")
    term = tx.get("msdyn_paymentterm", term_id) if term_id else None
    terms = (term or {}).get("msdyn_name")
    return str(name) if name else None, str(terms) if terms else None


def _follow(tx: Tx, event: Event) -> None:
    """Keep the contract customer with the contract.

    A changed customer of the contract changes the row of the previous customer (assumed: the product keeps the row and
    its number); customers that users added themselves are left alone.
    """
    contract, before = event.after, event.before
    if contract is None or contract.get("msdyn_ordertype") != WORK_BASED or not contract.get("customerid"):
        return
    watched = ("customerid", "msdyn_company", "msdyn_ordertype")
    if before is not None and all(before.get(name) == contract.get(name) for name in watched):
        return
    rows = tx.find(TABLE, msdyn_contract=contract["salesorderid"])
    if any(row["msdyn_contractcustomer"] == contract["customerid"] for row in rows) and before is not None:
        if before.get("msdyn_company") != contract.get("msdyn_company"):
            for row in rows:
                tx.update(TABLE, row[f"{TABLE}id"], {"msdyn_owningcompany": contract.get("msdyn_company")})
        return
    previous = [row for row in rows if before is not None and row["msdyn_contractcustomer"] == before.get("customerid")]
    name, terms = _customer(tx, contract)
    if previous:
        tx.update(TABLE, previous[0][f"{TABLE}id"], _of_customer(contract, name, terms))
    else:
        row = contract_customer(contract, name, terms)
        if tx.get(TABLE, row[f"{TABLE}id"]) is not None:
            # The row that was made for this customer has since passed to another one.
            row[f"{TABLE}id"] = str(uuid.uuid4())
        tx.insert(TABLE, row)


def install(dataverse: Store) -> None:
    """Register the rule with Dataverse."""
    dataverse.on("salesorder", {"create", "update"}, _follow)
