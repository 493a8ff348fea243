"""E17: retainers, billed before the work and used up by it.

Invoicing a retainer leaves a negative unbilled sale, what is still to be worked off, beside the billed one. Using it
reverses the negative in full and, when only a part is used, leaves a new negative for the remainder; the invoice that
uses it deducts the part (that the billed sale of the use is negative is assumed).
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from dualsync_sandbox.business import connections
from dualsync_sandbox.business.actuals import TABLE, Money, customer_columns, money_columns, new_ids, reverse
from dualsync_sandbox.business.choices import BillingStatus, BillingType, TransactionClass, TransactionType
from dualsync_sandbox.business.engagement import row_of, shares
from dualsync_sandbox.business.exchange import exact
from dualsync_sandbox.errors import BusinessRuleViolation
from dualsync_sandbox.schema import APPLICATION_USER, BUSINESS_UNIT

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row, Store, Tx


def invoice_retainer(dataverse: Store, contract_line_id: str, amount: Decimal, day: str) -> list[Row]:
    """Invoice a retainer of a contract line; returns the negative unbilled and the billed sale.

    The first contract customer bears it (assumed).

    Args:
        dataverse: the store of Dataverse.
        contract_line_id: a project contract line.
        amount: positive, in the currency of the contract.
        day: ISO date.
    """
    if amount <= 0:
        raise BusinessRuleViolation(TABLE, "A retainer is a positive amount.")
    with dataverse.transaction() as tx:
        line = row_of(tx, "salesorderdetail", contract_line_id)
        unbilled = _write(tx, line, TransactionType.UNBILLED_SALES, -amount, day)
        billed = _write(tx, line, TransactionType.BILLED_SALES, amount, day)
        connections.connect(tx, billed, connections.BILLED, unbilled, connections.UNBILLED)
    return [unbilled, billed]


def consume_retainer(dataverse: Store, unbilled_id: str, amount: Decimal, day: str) -> list[Row]:
    """Use a retainer on an invoice, wholly or in part.

    Args:
        dataverse: the store of Dataverse.
        unbilled_id: the negative unbilled sale that stands for what is left of the retainer.
        amount: positive, at most what is left.
        day: ISO date.

    Returns:
        the positive reversal, the negative remainder if there is one, and the billed sale of the use.

    Raises:
        BusinessRuleViolation: nothing, or less than ``amount``, is left.
    """
    with dataverse.transaction() as tx:
        unbilled = row_of(tx, TABLE, unbilled_id)
        left = -exact(unbilled["msdyn_amount"])
        retainer = unbilled["msdyn_transactionclassification"] == TransactionClass.RETAINER
        if not retainer or unbilled["msdyn_adjustmentstatus"] is not None or not 0 < amount <= left:
            raise BusinessRuleViolation(TABLE, "That much of the retainer is not left.")
        line = row_of(tx, "salesorderdetail", unbilled["msdyn_salescontractlineid"])
        made = [reverse(tx, unbilled)]
        if amount < left:
            rest = _write(tx, line, TransactionType.UNBILLED_SALES, amount - left, day)
            connections.connect(tx, rest, connections.REPLACING, unbilled, connections.ORIGINAL)
            made.append(rest)
        billed = _write(tx, line, TransactionType.BILLED_SALES, -amount, day)
        connections.connect(tx, billed, connections.BILLED, made[0], connections.UNBILLED)
    return [*made, billed]


def _write(tx: Tx, line: Row, kind: TransactionType, amount: Decimal, day: str) -> Row:
    contract = row_of(tx, "salesorder", line["salesorderid"])
    currency = row_of(tx, "transactioncurrency", contract["transactioncurrencyid"])
    customers = shares(tx, contract)
    billed = kind == TransactionType.BILLED_SALES
    sign = Decimal(1) if amount > 0 else Decimal(-1)
    return tx.insert(
        TABLE,
        {
            **new_ids(tx, f"{line['salesorderdetailid']}/{kind}"),
            "msdyn_transactiontypecode": kind,
            "msdyn_transactionclassification": TransactionClass.RETAINER,
            "msdyn_description": "Retainer",
            "msdyn_billingtype": BillingType.CHARGEABLE,
            "msdyn_billingstatus": BillingStatus.CUSTOMER_INVOICE_POSTED
            if billed
            else BillingStatus.UNBILLED_SALES_CREATED,
            "msdyn_project": line["msdyn_project"],
            "msdyn_salescontract": contract["salesorderid"],
            "msdyn_salescontractlineid": line["salesorderdetailid"],
            "msdyn_contractorganizationalunitid": contract["msdyn_contractorganizationalunitid"],
            "msdyn_owningcompany": contract["msdyn_company"],
            "msdyn_resourcingcompany": contract["msdyn_company"],
            "msdyn_documentdate": day,
            "msdyn_accountingdate": day,
            "msdyn_exchangeratedate": day,
            "msdyn_startdatetime": f"{day}T00:00:00Z",
            "msdyn_enddatetime": f"{day}T00:00:00Z",
            "msdyn_amountmethod": 192350000,
            "msdyn_skipsync": False,
            "owninguser": APPLICATION_USER,
            "owningbusinessunit": BUSINESS_UNIT,
            **money_columns(Money.of(sign, abs(amount), currency)),
            **customer_columns(customers[0].customer if customers else None),
        },
    )
