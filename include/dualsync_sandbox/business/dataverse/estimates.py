"""Estimates [D1, D3, D6]: resource assignments for hours, pairs of estimate lines for expenses and materials.

An assignment carries planned cost and planned sales in one row. Estimate lines come in pairs: the sales line names its
cost line as its origin. Finance makes one forecast of what belongs together. Sales lines exist where a time and
material line covers the class (assumed).
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from dualsync_sandbox.business.dataverse.choices import BillingType, TransactionClass, TransactionType
from dualsync_sandbox.business.dataverse.contracts.engagement import Engagement, engagement_of, row_of
from dualsync_sandbox.business.dataverse.prices import Prices, in_base, native_rate, rounded

if TYPE_CHECKING:
    from dualsync_sandbox.store import Event, Row, Store, Tx

ASSIGNMENTS, LINES = "msdyn_resourceassignment", "msdyn_estimateline"


def assignment(
    tx: Tx, project_id: str, task_id: str | None, resource_id: str, role_id: str | None, hours: Decimal, prices: Prices
) -> Row:
    """Return the assignment of a resource to a task, not yet written.

    Planned sales are in the currency of the project (assumed: the row has one currency).
    """
    place = engagement_of(tx, project_id, TransactionClass.TIME)
    resource = row_of(tx, "bookableresource", resource_id)
    role = tx.get("bookableresourcecategory", role_id) if role_id else None
    task = tx.get("msdyn_projecttask", task_id) if task_id else None
    start = str((task or {}).get("msdyn_start") or place.project["msdyn_scheduledstart"] or "2026-01-05T08:00:00Z")
    finish = str((task or {}).get("msdyn_finish") or start)
    cost = rounded(hours * prices.hour_cost(tx, place.company, role), place.currency)
    sales = (
        rounded(hours * prices.hour_sale(tx, place.currency, role), place.currency) if place.billable else Decimal(0)
    )
    return {
        "msdyn_name": str(resource["name"])[:100],
        "msdyn_bookableresourceid": resource_id,
        "msdyn_resourcecategoryid": role_id,
        "msdyn_projectid": project_id,
        "msdyn_taskid": task_id,
        "msdyn_contractlineid": place.line["salesorderdetailid"] if place.line else None,
        "msdyn_owningcompany": place.company["cdm_companyid"],
        "msdyn_fromdate": start[:10],
        "msdyn_todate": finish[:10],
        "msdyn_start": start,
        "msdyn_finish": finish,
        "msdyn_hours": hours,
        "msdyn_effort": hours,
        "msdyn_effortcompleted": Decimal(0),
        "msdyn_effortremaining": hours,
        "msdyn_plannedcost": cost,
        "msdyn_plannedcost_base": in_base(cost, place.currency),
        "msdyn_plannedsales": sales,
        "msdyn_plannedsales_base": in_base(sales, place.currency),
        "transactioncurrencyid": place.currency["transactioncurrencyid"],
        "exchangerate": native_rate(place.currency),
    }


def estimate_lines(
    tx: Tx,
    kind: TransactionClass,
    project_id: str,
    task_id: str | None,
    *,
    quantity: Decimal,
    price: Decimal | None = None,
    category_id: str | None = None,
    product_id: str | None = None,
    prices: Prices,
) -> list[Row]:
    """Return the estimate lines of an expense or material, not yet written: cost, then sales where there are any.

    The sales line has no origin yet; it is the id the cost line gets.
    """
    place = engagement_of(tx, project_id, kind)
    task = tx.get("msdyn_projecttask", task_id) if task_id else None
    start = str((task or {}).get("msdyn_start") or place.project["msdyn_scheduledstart"] or "2026-01-05T08:00:00Z")
    unit = tx.find_one("uom", msdyn_symbol="ea")
    product = tx.get("product", product_id) if product_id else None
    common: Row = {
        "msdyn_description": (product or {}).get("name"),
        "msdyn_project": project_id,
        "msdyn_task": task_id,
        "msdyn_contractlineid": place.line["salesorderdetailid"] if place.line else None,
        "msdyn_owningcompany": place.company["cdm_companyid"],
        "msdyn_transactionclassification": kind,
        "msdyn_transactioncategory": category_id,
        "msdyn_product": product_id,
        "msdyn_unit": unit["uomid"] if unit else None,
        "msdyn_documentdate": start[:10],
        "msdyn_startdatetime": start,
        "msdyn_enddatetime": str((task or {}).get("msdyn_finish") or start),
        "msdyn_amountmethod": 192350000,
    }
    each = prices.piece_cost(tx, place.currency, product) if price is None else price
    lines = [_line(common, TransactionType.COST, BillingType.NOT_AVAILABLE, quantity, each, place.currency)]
    if place.billable:
        sale = _sale(tx, place, price, product, category_id, prices)
        billed_in = place.billed_in
        lines.append(_line(common, TransactionType.UNBILLED_SALES, BillingType.CHARGEABLE, quantity, sale, billed_in))
    return lines


def _sale(
    tx: Tx, place: Engagement, price: Decimal | None, product: Row | None, category_id: str | None, prices: Prices
) -> Decimal:
    if price is None:
        return prices.piece_sale(tx, place.billed_in, product)
    category = tx.get("msdyn_transactioncategory", category_id) if category_id else None
    return prices.expense_sale(price, place.currency, place.billed_in, category)


def _line(common: Row, kind: int, billing_type: int, quantity: Decimal, price: Decimal, currency: Row) -> Row:
    amount = rounded(quantity * price, currency)
    return {
        **common,
        "msdyn_transactiontypecode": kind,
        "msdyn_billingtype": billing_type,
        "msdyn_quantity": quantity,
        "msdyn_price": price,
        "msdyn_price_base": in_base(price, currency),
        "msdyn_amount": amount,
        "msdyn_amount_base": in_base(amount, currency),
        "transactioncurrencyid": currency["transactioncurrencyid"],
        "exchangerate": native_rate(currency),
    }


def assign(
    dataverse: Store,
    project_id: str,
    task_id: str | None,
    resource_id: str,
    role_id: str | None,
    hours: Decimal,
    *,
    prices: Prices | None = None,
) -> Row:
    """Assign a resource to a task for a number of hours; returns the assignment."""
    with dataverse.transaction() as tx:
        row = assignment(tx, project_id, task_id, resource_id, role_id, hours, prices or Prices())
        return tx.insert(ASSIGNMENTS, row)


def reassign(dataverse: Store, assignment_id: str, *, prices: Prices | None = None) -> Row:
    """Remove an assignment and add the same one again; returns the new one, whose id is another [D6]."""
    with dataverse.transaction() as tx:
        old = row_of(tx, ASSIGNMENTS, assignment_id)
        tx.delete(ASSIGNMENTS, assignment_id)
        project, resource = str(old["msdyn_projectid"]), str(old["msdyn_bookableresourceid"])
        task = str(old["msdyn_taskid"]) if old["msdyn_taskid"] else None
        role = str(old["msdyn_resourcecategoryid"]) if old["msdyn_resourcecategoryid"] else None
        hours = old["msdyn_hours"]
        assert isinstance(hours, Decimal)
        return tx.insert(ASSIGNMENTS, assignment(tx, project, task, resource, role, hours, prices or Prices()))


def add_estimate(
    dataverse: Store,
    kind: TransactionClass,
    project_id: str,
    task_id: str | None,
    *,
    quantity: Decimal,
    price: Decimal | None = None,
    category_id: str | None = None,
    product_id: str | None = None,
    prices: Prices | None = None,
) -> list[Row]:
    """Estimate an expense or material; returns the cost line and, where there is one, the sales line.

    Args:
        dataverse: The store of Dataverse.
        kind: Expense or material.
        project_id: The project.
        task_id: Its task, or None.
        quantity: Pieces.
        price: Of one piece of an expense, in the company's currency; products have theirs from the price list.
        category_id: The transaction category.
        product_id: The product of a material.
        prices: The price lists.

    Raises:
        BusinessRuleViolation: The category is one of another company's expenses [D4].
    """
    with dataverse.transaction() as tx:
        lines = estimate_lines(
            tx,
            kind,
            project_id,
            task_id,
            quantity=quantity,
            price=price,
            category_id=category_id,
            product_id=product_id,
            prices=prices or Prices(),
        )
        written = [tx.insert(LINES, lines[0])]
        for sales in lines[1:]:
            written.append(tx.insert(LINES, {**sales, "msdyn_origin": written[0]["msdyn_estimatelineid"]}))
    return written


def _remove_twin(tx: Tx, event: Event) -> None:
    """A sales line goes with its cost line."""
    assert event.before is not None
    for twin in tx.find(LINES, msdyn_origin=event.before["msdyn_estimatelineid"]):
        tx.delete(LINES, twin["msdyn_estimatelineid"])


def install(dataverse: Store) -> None:
    """Register the rule with Dataverse."""
    dataverse.on(LINES, {"delete"}, _remove_twin)
