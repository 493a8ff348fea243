"""What a project is booked on: its company, contract, contract line and the customers who share the bill."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from dualsync_sandbox.business.dataverse.choices import PROJECT_SERVICE_LINE, BillingMethod, TransactionClass
from dualsync_sandbox.business.dataverse.prices import currency_of_company
from dualsync_sandbox.business.finance.ledger.exchange import exact
from dualsync_sandbox.errors import BusinessRuleViolation

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row, Tx

_INCLUDES = {
    TransactionClass.TIME: "msdyn_includetime",
    TransactionClass.EXPENSE: "msdyn_includeexpense",
    TransactionClass.MATERIAL: "msdyn_includematerial",
    TransactionClass.FEE: "msdyn_includefee",
}
_HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True)
class Share:
    """A contract customer and its percentage of the bill."""

    customer: Row
    percent: Decimal


@dataclass(frozen=True, slots=True)
class Engagement:
    """Where transactions of one class on one project belong.

    Attributes:
        project: The ``msdyn_project`` row.
        company: The ``cdm_company`` that owns the project.
        currency: The company's currency.
        contract: The ``salesorder``, None for internal work and before a contract.
        line: The ``salesorderdetail`` that covers the class, None where no line does.
        billed_in: The contract's currency; the company's where there is no contract.
    """

    project: Row
    company: Row
    currency: Row
    contract: Row | None
    line: Row | None
    billed_in: Row

    @property
    def billable(self) -> bool:
        """Whether sales arise as work is done: only on time and material lines [E2, E5]."""
        return self.line is not None and self.line.get("msdyn_billingmethod") == BillingMethod.TIME_AND_MATERIAL


def row_of(tx: Tx, table: str, row_id: object) -> Row:
    """Return a row that must be there.

    Raises:
        BusinessRuleViolation: It is not.
    """
    row = tx.get(table, row_id) if row_id else None
    if row is None:
        raise BusinessRuleViolation(table, f"{table} {row_id} does not exist.")
    return row


def engagement_of(tx: Tx, project_id: object, kind: int) -> Engagement:
    """Return where transactions of a class on a project belong.

    A project with several lines goes by the first one that includes the class (assumed: the product refuses two lines
    for one class of one project, unless they split the tasks, which the sandbox does not play).
    """
    project = row_of(tx, "msdyn_project", project_id)
    company = row_of(tx, "cdm_company", project["msdyn_owningcompany"])
    contract = tx.get("salesorder", project["msdyn_salesorderid"]) if project["msdyn_salesorderid"] else None
    own = currency_of_company(tx, company)
    billed_in = own
    if contract is not None and contract["transactioncurrencyid"]:
        billed_in = row_of(tx, "transactioncurrency", contract["transactioncurrencyid"])
    return Engagement(project, company, own, contract, _line(tx, project, kind), billed_in)


def _line(tx: Tx, project: Row, kind: int) -> Row | None:
    includes = _INCLUDES.get(TransactionClass(kind))
    lines = [
        line
        for line in tx.find("salesorderdetail", msdyn_project=project["msdyn_projectid"])
        if line["producttypecode"] == PROJECT_SERVICE_LINE
        and line["salesorderid"] == project["msdyn_salesorderid"]
        and (includes is None or line[includes] is not False)
    ]
    return min(lines, key=lambda line: exact(line["sequencenumber"]), default=None)


def shares(tx: Tx, contract: Row | None) -> list[Share]:
    """The contract's customers with their percentages, in the order they were added [E18].

    Percentages that are not given share the rest equally (assumed); they never travel [C2].
    """
    if contract is None:
        return []
    customers = tx.find("msdyn_projectcontractsplitbillingrule", msdyn_contract=contract["salesorderid"])
    open_ended = [row for row in customers if row["msdyn_splitpercentage"] is None]
    rest = _HUNDRED - sum((exact(row["msdyn_splitpercentage"]) for row in customers), Decimal(0))
    equal = (rest / len(open_ended)).quantize(Decimal("0.01")) if open_ended else Decimal(0)
    found = []
    for row in customers:
        given = row["msdyn_splitpercentage"]
        found.append(Share(row, equal if given is None else exact(given)))
    if open_ended:  # what rounding left over belongs to the last of them
        last = max(place for place, share in enumerate(found) if share.customer in open_ended)
        others = sum((share.percent for place, share in enumerate(found) if place != last), Decimal(0))
        found[last] = Share(found[last].customer, _HUNDRED - others)
    return [share for share in found if share.percent]
