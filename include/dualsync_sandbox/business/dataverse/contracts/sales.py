"""Sales of a contract line that come of no entry: retainers [E17] and milestones [E12]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualsync_sandbox.business.dataverse.actuals import Money, customer_columns, money_columns
from dualsync_sandbox.business.dataverse.choices import BillingStatus, BillingType, TransactionClass, TransactionType
from dualsync_sandbox.schema import APPLICATION_USER, BUSINESS_UNIT

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row


def sale(
    contract: Row,
    line: Row,
    customer: Row | None,
    kind: TransactionType,
    classification: TransactionClass,
    money: Money,
    day: str,
) -> Row:
    """Return an actual of a contract line without an id.

    Args:
        contract: The ``salesorder``.
        line: The ``salesorderdetail``.
        customer: The contract customer who bears it.
        kind: Billed or unbilled.
        classification: Retainer or milestone.
        money: What it comes to.
        day: ISO date of all its dates.
    """
    billed = kind == TransactionType.BILLED_SALES
    return {
        "msdyn_transactiontypecode": kind,
        "msdyn_transactionclassification": classification,
        "msdyn_description": classification.name.capitalize(),
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
        **money_columns(money),
        **customer_columns(customer),
    }
