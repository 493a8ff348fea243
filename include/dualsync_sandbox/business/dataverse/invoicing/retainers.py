"""Retainers, billed before the work and used up by it [E17].

Invoicing a retainer leaves a negative unbilled sale, what is still to be worked off, beside the billed one. Using it
reverses the negative in full and, when only a part is used, leaves a new negative for the remainder; the invoice that
uses it deducts the part (that the billed sale of the use is negative is assumed).
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from dualsync_sandbox.business.dataverse.actuals import TABLE
from dualsync_sandbox.business.dataverse.choices import BillingType, TransactionClass
from dualsync_sandbox.business.dataverse.contracts.engagement import row_of, shares
from dualsync_sandbox.business.dataverse.invoicing.proforma_confirmation import confirm_proforma
from dualsync_sandbox.business.dataverse.invoicing.proformas import Draft
from dualsync_sandbox.business.finance.ledger.exchange import exact
from dualsync_sandbox.errors import BusinessRuleViolation

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row, Store, Tx


def invoice_retainer(dataverse: Store, contract_line_id: str, amount: Decimal, day: str) -> list[Row]:
    """Invoice a retainer of a contract line, on an invoice of its own; returns the unbilled and the billed sale.

    The first contract customer bears it (assumed).

    Args:
        dataverse: The store of Dataverse.
        contract_line_id: A project contract line.
        amount: Positive, in the currency of the contract.
        day: ISO date.

    Raises:
        BusinessRuleViolation: The amount is not positive.
    """
    if amount <= 0:
        raise BusinessRuleViolation(TABLE, "A retainer is a positive amount.")
    with dataverse.transaction() as tx:
        line = row_of(tx, "salesorderdetail", contract_line_id)
        contract = row_of(tx, "salesorder", line["salesorderid"])
        customers = shares(tx, contract)
        draft = Draft(tx, contract, customers[0].customer if customers else None, msdyn_invoicedate=day)
        draft.add(contract_line_id, _detail(line, amount))
        return confirm_proforma(dataverse, str(draft.write()["invoiceid"]), day=day)


def consume_retainer(dataverse: Store, unbilled_id: str, amount: Decimal, day: str) -> list[Row]:
    """Use a retainer, wholly or in part, on an invoice that holds nothing else.

    Args:
        dataverse: The store of Dataverse.
        unbilled_id: The negative unbilled sale that stands for what is left of the retainer.
        amount: Positive, at most what is left.
        day: ISO date.

    Returns:
        The positive reversal, the negative remainder if there is one, and the billed sale of the use.

    Raises:
        BusinessRuleViolation: Nothing, or less than ``amount``, is left.
    """
    with dataverse.transaction() as tx:
        unbilled = row_of(tx, TABLE, unbilled_id)
        contract = row_of(tx, "salesorder", unbilled["msdyn_salescontract"])
        customer_id = unbilled["msdyn_contractcustomer"]
        customer = tx.get("msdyn_projectcontractsplitbillingrule", customer_id) if customer_id else None
        draft = Draft(tx, contract, customer, msdyn_invoicedate=day)
        deduct_retainer(tx, draft, unbilled, amount)
        return confirm_proforma(dataverse, str(draft.write()["invoiceid"]), day=day)


def deduct_retainer(tx: Tx, draft: Draft, unbilled: Row, amount: Decimal) -> None:
    """Let a draft use a part of a retainer.

    Raises:
        BusinessRuleViolation: Nothing, or less than ``amount``, is left.
    """
    retainer = unbilled["msdyn_transactionclassification"] == TransactionClass.RETAINER
    left = -exact(unbilled["msdyn_amount"])
    if not retainer or unbilled["msdyn_adjustmentstatus"] is not None or not 0 < amount <= left:
        raise BusinessRuleViolation(TABLE, "That much of the retainer is not left.")
    line = row_of(tx, "salesorderdetail", unbilled["msdyn_salescontractlineid"])
    original = {"msdyn_originalactual": unbilled["msdyn_actualid"]}
    draft.add(line["salesorderdetailid"], _detail(line, -amount) | original, unbilled)


def _detail(line: Row, amount: Decimal) -> Row:
    return {
        "msdyn_description": "Retainer",
        "msdyn_project": line["msdyn_project"],
        "msdyn_transactionclassification": TransactionClass.RETAINER,
        "msdyn_billingtype": BillingType.CHARGEABLE,
        "msdyn_quantity": Decimal(1 if amount > 0 else -1),
        "msdyn_price": abs(amount),
        "msdyn_amount": amount,
    }
