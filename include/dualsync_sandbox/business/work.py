"""Time, expenses and materials as the making of actuals sees them: one shape, whatever table the entry stands in."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

from dualsync_sandbox.business.choices import BillingType, TransactionClass
from dualsync_sandbox.business.exchange import exact
from dualsync_sandbox.errors import BusinessRuleViolation

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row, Tx

TIME, EXPENSE, MATERIAL = "msdyn_timeentry", "msdyn_expense", "msdyn_materialusagelog"
TABLES = {TransactionClass.TIME: TIME, TransactionClass.EXPENSE: EXPENSE, TransactionClass.MATERIAL: MATERIAL}
"""The table an entry of each class stands in."""

_MINUTES = Decimal(60)


@dataclass(frozen=True, slots=True)
class Work:
    """What was worked, spent or used.

    Attributes:
        kind: time, expense or material.
        entry: id of the entry it was made of; None for lines of an entry journal (E23: no origin).
        project: id of the project, and so on for the other records.
        day: ISO date.
        quantity: hours or pieces.
        billing_type: of the entry.
        price: of one unit, where the entry brings its own (expenses).
        amount: of all units, where the entry brings its own.
        currency: id of the currency of ``price``.
        resourcing_company: id of the company that lends the resource, None for the project's own.
        unit_of_resource: id of the resource's organizational unit.
        external: number of the entry in another system.
    """

    kind: TransactionClass
    entry: str | None
    project: object
    task: object
    resource: object
    role: object
    category: object
    product: object
    unit: object
    write_in: object
    day: str
    quantity: Decimal
    billing_type: int
    description: object = None
    external_description: object = None
    price: Decimal | None = None
    amount: Decimal | None = None
    currency: object = None
    resourcing_company: object = None
    unit_of_resource: object = None
    external: object = None


def work_of(tx: Tx, kind: TransactionClass, row: Row) -> Work:
    """Return an entry of a class as work.

    Raises:
        BusinessRuleViolation: the entry lacks what an actual needs.
    """
    work = {TransactionClass.TIME: _time, TransactionClass.EXPENSE: _expense, TransactionClass.MATERIAL: _material}
    made = work[kind](tx, row)
    for name in ("project", "day"):
        if not getattr(made, name):
            raise BusinessRuleViolation(TABLES[kind], f"The entry has no {name}.")
    return made


def _billing_type(row: Row, *defaults: Row | None) -> int:
    for source in (row, *defaults):
        value = (source or {}).get("msdyn_billingtype")
        if isinstance(value, int):
            return value
    return BillingType.CHARGEABLE


def _unit(tx: Tx, symbol: str) -> object:
    unit = tx.find_one("uom", msdyn_symbol=symbol)
    return unit["uomid"] if unit else None


def _time(tx: Tx, row: Row) -> Work:
    """Return a time entry as work; its category is its own, else that of its role, else that of its task."""
    role = tx.get("bookableresourcecategory", row["msdyn_resourcecategory"]) if row["msdyn_resourcecategory"] else None
    task = tx.get("msdyn_projecttask", row["msdyn_projecttask"]) if row["msdyn_projecttask"] else None
    resource = tx.get("bookableresource", row["msdyn_bookableresource"]) if row["msdyn_bookableresource"] else None
    home = row["msdyn_resourceorganizationalunitid"] or (resource or {}).get("msdyn_organizationalunit")
    unit = tx.get("msdyn_organizationalunit", home) if home else None
    category = row["msdyn_transactioncategory"]
    for source in (role, task):
        category = category or (source or {}).get("msdyn_transactioncategory")
    return Work(
        kind=TransactionClass.TIME,
        entry=str(row["msdyn_timeentryid"]),
        project=row["msdyn_project"],
        task=row["msdyn_projecttask"],
        resource=row["msdyn_bookableresource"],
        role=row["msdyn_resourcecategory"],
        category=category,
        product=None,
        unit=_unit(tx, "hr"),
        write_in=None,
        day=str(row["msdyn_date"] or ""),
        quantity=(exact(row["msdyn_duration"]) / _MINUTES).quantize(Decimal("0.0001"), ROUND_HALF_UP),
        billing_type=_billing_type(row, role),
        description=row["msdyn_description"],
        external_description=row["msdyn_externaldescription"],
        resourcing_company=row["msdyn_resourcingcompany"] or (unit or {}).get("msdyn_company"),
        unit_of_resource=home,
    )


def _expense(tx: Tx, row: Row) -> Work:
    category_id = row["msdyn_expensecategory"]
    kind = tx.get("msdyn_expensecategory", category_id) if category_id else None
    category = (kind or {}).get("msdyn_transactioncategory") or (kind or {}).get("msdyn_expensecategoryuid")
    quantity, amount = exact(row["msdyn_quantity"]) or Decimal(1), exact(row["msdyn_amount"])
    price = row["msdyn_price"]
    return Work(
        kind=TransactionClass.EXPENSE,
        entry=str(row["msdyn_expenseid"]),
        project=row["msdyn_project"],
        task=row["msdyn_task"],
        resource=row["msdyn_bookableresource"],
        role=None,
        category=category,
        product=None,
        unit=row["msdyn_unit"] or _unit(tx, "ea"),
        write_in=None,
        day=str(row["msdyn_transactiondate"] or ""),
        quantity=quantity,
        billing_type=_billing_type(row, tx.get("msdyn_transactioncategory", category) if category else None),
        description=row["msdyn_name"],
        external_description=row["msdyn_externaldescription"],
        price=exact(price) if price is not None else (amount / quantity).quantize(Decimal("0.0001"), ROUND_HALF_UP),
        amount=amount,
        currency=row["transactioncurrencyid"],
        resourcing_company=row["msdyn_resourcingcompany"],
        unit_of_resource=row["msdyn_resourceorganizationalunitid"],
        external=row["msdyn_externalexpensenumber"],
    )


def _material(tx: Tx, row: Row) -> Work:
    return Work(
        kind=TransactionClass.MATERIAL,
        entry=str(row["msdyn_materialusagelogid"]),
        project=row["msdyn_project"],
        task=row["msdyn_task"],
        resource=None,
        role=None,
        category=row["msdyn_transactioncategory"],
        product=row["msdyn_product"],
        unit=row["msdyn_unit"] or _unit(tx, "ea"),
        write_in=row["msdyn_writeinproductdescription"],
        day=str(row["msdyn_date"] or ""),
        quantity=exact(row["msdyn_quantity"]),
        billing_type=_billing_type(row),
        description=row["msdyn_description"],
    )
