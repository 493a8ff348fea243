"""Time, expenses and materials as the making of actuals sees them: one shape, whatever table the entry stands in."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

from dualsync_sandbox.business.dataverse.choices import BillingType, SubcontractStatus, TransactionClass
from dualsync_sandbox.business.finance.ledger.exchange import exact
from dualsync_sandbox.errors import BusinessRuleViolation

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row, Tx

TIME, EXPENSE, MATERIAL = "msdyn_timeentry", "msdyn_expense", "msdyn_materialusagelog"
TABLES = {TransactionClass.TIME: TIME, TransactionClass.EXPENSE: EXPENSE, TransactionClass.MATERIAL: MATERIAL}
"""The table an entry of each class stands in."""

VENDOR_INVOICE, VENDOR_LINE = "msdyn_projectvendorinvoice", "msdyn_projectvendorinvoiceline"

_MINUTES = Decimal(60)
_RETIRED = 1
"""``product.statecode`` of the write-in product [J9]."""


@dataclass(frozen=True, slots=True)
class Work:
    """What was worked, spent or used.

    Attributes:
        kind: Time, expense or material.
        entry: Id of the entry it was made of; None for lines of an entry journal ([E23]: no origin).
        project: Id of the project, and so on for the other records.
        day: ISO date.
        quantity: Hours or pieces.
        billing_type: Of the entry.
        price: Of one unit, where the entry brings its own: expenses, what vendors charge, subcontracted work.
        amount: Of all units, where the entry brings its own.
        currency: Id of the currency of ``price``.
        resourcing_company: Id of the company that lends the resource, None for the project's own.
        unit_of_resource: Id of the resource's organizational unit.
        external: Number of the entry in another system.
        reference: Number of the transaction by which Finance has costed it already.
        subcontract_line: Id of the subcontract line it was done on.
        vendor: Id of the vendor's account.
        vendor_invoice: Id of the vendor invoice that charges it.
        vendor_line: Id of the line of that invoice.
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
    reference: object = None
    subcontract_line: object = None
    vendor: object = None
    vendor_invoice: object = None
    vendor_line: object = None


def work_of(tx: Tx, kind: TransactionClass, row: Row) -> Work:
    """Return an entry of a class as work.

    Raises:
        BusinessRuleViolation: The entry lacks what an actual needs.
    """
    work = {TransactionClass.TIME: _time, TransactionClass.EXPENSE: _expense, TransactionClass.MATERIAL: _material}
    made = work[kind](tx, row)
    for name in ("project", "day"):
        if not getattr(made, name):
            raise BusinessRuleViolation(TABLES[kind], f"The entry has no {name}.")
    return made


def work_of_vendor_line(tx: Tx, line: Row) -> Work:
    """Return a vendor invoice line as work [J4]; its company is the one that pays the vendor [K8].

    Raises:
        BusinessRuleViolation: The line lacks what an actual needs.
    """
    invoice = tx.get(VENDOR_INVOICE, line["msdyn_vendorinvoice"]) if line["msdyn_vendorinvoice"] else None
    classification = line["msdyn_transactionclassification"]
    if invoice is None or not line["msdyn_project"] or not isinstance(classification, int):
        raise BusinessRuleViolation(VENDOR_LINE, "The vendor invoice line has no invoice, project or class.")
    product = tx.get("product", line["msdyn_product"]) if line["msdyn_product"] else None
    written_in = product is not None and product["statecode"] == _RETIRED
    category_id = line["msdyn_transactioncategory"]
    category = tx.get("msdyn_transactioncategory", category_id) if category_id else None
    quantity, amount = exact(line["msdyn_quantity"]), exact(line["msdyn_subtotal"])
    return Work(
        kind=TransactionClass(classification),
        entry=str(line[f"{VENDOR_LINE}id"]),
        project=line["msdyn_project"],
        task=line["msdyn_task"],
        resource=line["msdyn_bookableresource"],
        role=line["msdyn_resourcecategory"],
        category=category_id,
        product=line["msdyn_product"],
        unit=line["msdyn_unit"],
        write_in=line["msdyn_description"] if written_in else None,
        day=str(line["msdyn_transactiondate"] or invoice["msdyn_invoicedate"] or tx.store.clock.stamp()[:10]),
        quantity=quantity,
        billing_type=_billing_type(line, category),
        description=line["msdyn_description"],
        price=exact(line["msdyn_price"]),
        amount=amount,
        currency=line["transactioncurrencyid"],
        resourcing_company=line["msdyn_owningcompany"],
        subcontract_line=line["msdyn_subcontractline"],
        vendor=invoice["msdyn_vendor"],
        vendor_invoice=invoice[f"{VENDOR_INVOICE}id"],
        vendor_line=line[f"{VENDOR_LINE}id"],
    )


@dataclass(frozen=True, slots=True)
class _Subcontracted:
    """What a subcontract line says about the work done on it."""

    line: object = None
    vendor: object = None
    price: Decimal | None = None
    currency: object = None


def _subcontracted(tx: Tx, row: Row) -> _Subcontracted:
    """Return the subcontract behind an entry; its line's price stands for the vendor's price list (assumed).

    Raises:
        BusinessRuleViolation: The subcontract is closed or canceled, so that nothing may name it [J11].
    """
    line_id = row["msdyn_subcontractline"]
    line = tx.get("msdyn_subcontractline", line_id) if line_id else None
    if line is None:
        return _Subcontracted()
    subcontract = tx.get("msdyn_subcontract", line["msdyn_subcontract"])
    if subcontract is None or subcontract["statuscode"] in (SubcontractStatus.CLOSED, SubcontractStatus.CANCELED):
        raise BusinessRuleViolation("msdyn_subcontractline", "The subcontract is closed or canceled.")
    currency = line["transactioncurrencyid"] or subcontract["transactioncurrencyid"]
    price = None if line["msdyn_price"] is None else exact(line["msdyn_price"])
    return _Subcontracted(line_id, subcontract["msdyn_vendor"], price, currency)


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
    subcontracted = _subcontracted(tx, row)
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
        price=subcontracted.price,
        currency=subcontracted.currency,
        subcontract_line=subcontracted.line,
        vendor=subcontracted.vendor,
    )


def _expense(tx: Tx, row: Row) -> Work:
    category_id = row["msdyn_expensecategory"]
    kind = tx.get("msdyn_expensecategory", category_id) if category_id else None
    category = (kind or {}).get("msdyn_transactioncategory") or (kind or {}).get("msdyn_expensecategoryuid")
    quantity, amount = exact(row["msdyn_quantity"]) or Decimal(1), exact(row["msdyn_amount"])
    price = row["msdyn_price"]
    subcontracted = _subcontracted(tx, row)
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
        subcontract_line=subcontracted.line,
        vendor=subcontracted.vendor,
    )


def _material(tx: Tx, row: Row) -> Work:
    subcontracted = _subcontracted(tx, row)
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
        price=subcontracted.price,
        currency=subcontracted.currency,
        reference=row["msdyn_externalmaterialusage"],
        subcontract_line=subcontracted.line,
        vendor=subcontracted.vendor,
    )
