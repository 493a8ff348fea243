"""Who is to do what on the projects, and what it is expected to need: assignments, expense and material estimates.

As users planned them before the first synchronisation: hours as assignments to leaf tasks, expenses and materials as
pairs of estimate lines [D3]. Chance here is a source of its own, so that plans may change without the projects.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from dualsync_sandbox.business.dataverse.choices import BillingMethod, BillingType, TransactionClass, TransactionType
from dualsync_sandbox.business.dataverse.prices import Prices
from dualsync_sandbox.seed import dataverse, masters
from dualsync_sandbox.seed.companies import NATIVE_RATES

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Sequence

    from dualsync_sandbox.seed.companies import Company
    from dualsync_sandbox.seed.ids import Numbers
    from dualsync_sandbox.store import Row

EXPENSES = {"Travel": (60, 900), "Accommodation": (90, 400)}
"""Transaction categories of estimated expenses, with the least and the most one costs."""

_FIRST_LEAVES = 2
_ASSIGNED, _TRAVELS, _NEEDS_MATERIAL = 0.7, 0.35, 0.25


class Planner:
    """Plans the work of one company's projects.

    Args:
        company: Whose projects.
        numbers: The running numbers of the whole seed.
        rng: Where chance comes from.
        resources: Id and name of who can be assigned.
    """

    def __init__(
        self, company: Company, numbers: Numbers, rng: random.Random, resources: Sequence[tuple[str, str]]
    ) -> None:
        self._company = company
        self._numbers = numbers
        self._rng = rng
        self._resources = resources
        self._prices = Prices()

    def rows(self, project_id: str, leaves: Sequence[Row], line: Row | None) -> Iterator[tuple[str, Row]]:
        """Yield table and row of a project's plans.

        Args:
            project_id: The project.
            leaves: Its leaf tasks.
            line: Its contract line, None for internal projects.
        """
        for task in leaves[:_FIRST_LEAVES]:
            if self._rng.random() < _ASSIGNED:
                yield "msdyn_resourceassignment", self._assignment(project_id, task, line)
        if leaves and self._rng.random() < _TRAVELS:
            yield from self._expense(project_id, leaves[0], line)
        if leaves and self._rng.random() < _NEEDS_MATERIAL:
            yield from self._material(project_id, leaves[-1], line)

    def _billable(self, line: Row | None, included: str) -> bool:
        if line is None or line["msdyn_billingmethod"] != BillingMethod.TIME_AND_MATERIAL:
            return False
        return line[included] is not False

    def _common(self, task: Row, line: Row | None, currency: str) -> Row:
        return {
            "msdyn_contractlineid": line["salesorderdetailid"] if line else None,
            "msdyn_owningcompany": task["msdyn_owningcompany"],
            "transactioncurrencyid": dataverse.currency_id(self._numbers.ids, currency),
            "exchangerate": Decimal(NATIVE_RATES[currency]),
        }

    def _assignment(self, project_id: str, task: Row, line: Row | None) -> Row:
        role = self._rng.choice(masters.ROLES)
        resource_id, name = self._rng.choice(self._resources)
        hours = Decimal(self._rng.randrange(8, 120, 4))
        currency = self._company.currency
        cost = hours * self._prices.cost[self._company.code][role]
        billable = self._billable(line, "msdyn_includetime")
        sales = hours * self._prices.bill[currency][role] if billable else Decimal(0)
        row_id, _ = self._numbers.new("msdyn_resourceassignment")
        return {
            "msdyn_resourceassignmentid": row_id,
            "msdyn_name": name,
            "msdyn_bookableresourceid": resource_id,
            "msdyn_resourcecategoryid": dataverse.role_id(self._numbers.ids, role),
            "msdyn_projectid": project_id,
            "msdyn_taskid": task["msdyn_projecttaskid"],
            "msdyn_fromdate": str(task["msdyn_start"])[:10],
            "msdyn_todate": str(task["msdyn_finish"])[:10],
            "msdyn_start": task["msdyn_start"],
            "msdyn_finish": task["msdyn_finish"],
            "msdyn_hours": hours,
            "msdyn_effort": hours,
            "msdyn_effortcompleted": Decimal(0),
            "msdyn_effortremaining": hours,
            "msdyn_plannedcost": cost,
            "msdyn_plannedcost_base": _base(cost, currency),
            "msdyn_plannedsales": sales,
            "msdyn_plannedsales_base": _base(sales, currency),
            **self._common(task, line, currency),
        }

    def _expense(self, project_id: str, task: Row, line: Row | None) -> Iterator[tuple[str, Row]]:
        name = self._rng.choice(tuple(EXPENSES))
        least, most = EXPENSES[name]
        price = Decimal(self._rng.randrange(least, most))
        sale = price * (100 + self._prices.expense_markup.get(name, Decimal(0))) / 100
        category = dataverse.category_id(self._numbers.ids, name)
        what: Row = {"msdyn_description": name, "msdyn_transactioncategory": category, "msdyn_product": None}
        quantity = Decimal(self._rng.randrange(1, 6))
        billable = self._billable(line, "msdyn_includeexpense")
        yield from self._pair(project_id, task, line, TransactionClass.EXPENSE, what, quantity, price, sale, billable)

    def _material(self, project_id: str, task: Row, line: Row | None) -> Iterator[tuple[str, Row]]:
        product = self._rng.choice(tuple(masters.PRODUCTS))
        ids, currency = self._numbers.ids, self._company.currency
        what: Row = {
            "msdyn_description": masters.PRODUCTS[product],
            "msdyn_transactioncategory": dataverse.category_id(ids, "Materials"),
            "msdyn_product": dataverse.product_id(ids, product),
        }
        price = self._prices.material_cost[currency][product]
        sale = self._prices.material_sale[currency][product]
        quantity = Decimal(self._rng.randrange(1, 25))
        billable = self._billable(line, "msdyn_includematerial")
        yield from self._pair(project_id, task, line, TransactionClass.MATERIAL, what, quantity, price, sale, billable)

    def _pair(
        self,
        project_id: str,
        task: Row,
        line: Row | None,
        kind: TransactionClass,
        what: Row,
        quantity: Decimal,
        price: Decimal,
        sale: Decimal,
        billable: bool,
    ) -> Iterator[tuple[str, Row]]:
        """Yield the cost line and, where work is billed, the sales line that names it; both in the company's currency.

        A contract in another currency would price its sales in that one; the plans of the seed stay with the company's
        (assumed).
        """
        currency = self._company.currency
        origin = None
        sides = [(TransactionType.COST, BillingType.NOT_AVAILABLE, price)]
        if billable:
            sides.append((TransactionType.UNBILLED_SALES, BillingType.CHARGEABLE, sale))
        for transaction_type, billing_type, each in sides:
            row_id, _ = self._numbers.new("msdyn_estimateline")
            amount = quantity * each
            yield (
                "msdyn_estimateline",
                {
                    "msdyn_estimatelineid": row_id,
                    **what,
                    "msdyn_origin": origin,
                    "msdyn_project": project_id,
                    "msdyn_task": task["msdyn_projecttaskid"],
                    "msdyn_transactionclassification": kind,
                    "msdyn_transactiontypecode": transaction_type,
                    "msdyn_billingtype": billing_type,
                    "msdyn_quantity": quantity,
                    "msdyn_price": each,
                    "msdyn_price_base": _base(each, currency),
                    "msdyn_amount": amount,
                    "msdyn_amount_base": _base(amount, currency),
                    "msdyn_amountmethod": 192350000,
                    "msdyn_unit": dataverse.unit_of_measure_id(self._numbers.ids, "ea"),
                    "msdyn_documentdate": str(task["msdyn_start"])[:10],
                    "msdyn_startdatetime": task["msdyn_start"],
                    "msdyn_enddatetime": task["msdyn_finish"],
                    **self._common(task, line, currency),
                },
            )
            origin = row_id


def _base(amount: Decimal, currency: str) -> Decimal:
    """Return an amount in the base currency of Dataverse, four decimals."""
    return (amount / Decimal(NATIVE_RATES[currency])).quantize(Decimal("0.0001"))
