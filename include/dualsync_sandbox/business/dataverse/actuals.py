"""Actuals: what an approved entry becomes, and how it is taken back [E2 to E8, E18, G1, K1 to K3, K6].

Assumed where no source says it: an actual's import id is a GUID of its own; a cost has the billing type Not available;
what is not chargeable keeps its amount; a reversal has the dates of its original and nothing that posting gave it; a
difference of units within one company makes the intercompany pair too, which stays in Dataverse (Skip Sync); an
intercompany expense is passed on at cost ([K7] knows no transfer price for expenses).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from dualsync_sandbox.business.dataverse import connections
from dualsync_sandbox.business.dataverse.choices import (
    INVOICED,
    AdjustmentStatus,
    BillingStatus,
    BillingType,
    TransactionClass,
    TransactionType,
)
from dualsync_sandbox.business.dataverse.contracts.engagement import Engagement, Share, engagement_of, row_of, shares
from dualsync_sandbox.business.dataverse.entries.work import TABLES, VENDOR_LINE, Work, work_of, work_of_vendor_line
from dualsync_sandbox.business.dataverse.prices import Prices, currency_of_company, in_base, native_rate, rounded
from dualsync_sandbox.business.finance.ledger.exchange import exact
from dualsync_sandbox.errors import BusinessRuleViolation
from dualsync_sandbox.schema import APPLICATION_USER, BUSINESS_UNIT

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row, Tx

TABLE = "msdyn_actual"
_SPACE = uuid.UUID("8f2f6f0a-5d64-4c1e-9d43-2c8f3f0f6a11")
_INTERCOMPANY = frozenset({TransactionClass.TIME, TransactionClass.EXPENSE})
_NEGATED = (
    "msdyn_quantity",
    "msdyn_amount",
    "msdyn_amount_base",
    "msdyn_basisamount",
    "msdyn_basisamount_base",
    "msdyn_basisquantity",
)
_OWN = (
    "msdyn_actualid",
    "msdyn_actualimportid",
    "createdon",
    "modifiedon",
    "createdby",
    "modifiedby",
    "versionnumber",
    "msdyn_vouchernumber",
    "msdyn_accountingamount",
    "msdyn_salestaxamount",
    "msdyn_isjournalized",
    "msdyn_externalreferencedate",
)
"""What a reversal does not take over: its identity, and what posting the original gave it."""


@dataclass(frozen=True, slots=True)
class Money:
    """Quantity, price and amount of an actual in a currency; the amount is rounded to the currency's precision."""

    quantity: Decimal
    price: Decimal
    amount: Decimal
    currency: Row

    @classmethod
    def of(cls, quantity: Decimal, price: Decimal, currency: Row) -> Money:
        """Return quantity times price."""
        return cls(quantity, price, rounded(quantity * price, currency), currency)

    def split(self, percents: list[Decimal]) -> list[Money]:
        """Return parts by percentage that add up to this exactly, in quantity and amount."""
        parts = [Money.of(self.quantity * percent / 100, self.price, self.currency) for percent in percents[:-1]]
        quantity = self.quantity - sum((part.quantity for part in parts), Decimal(0))
        amount = self.amount - sum((part.amount for part in parts), Decimal(0))
        return [*parts, Money(quantity, self.price, amount, self.currency)]


def new_ids(tx: Tx, seed: object) -> Row:
    """Return the ids of a new actual: they follow from what it is made of and how many actuals there are."""
    return ids_of(f"{seed}/{tx.count(TABLE)}")


def ids_of(seed: str) -> Row:
    """Return the ids of a new actual that follow from a text alone."""
    actual_id = uuid.uuid5(_SPACE, seed)
    return {"msdyn_actualid": str(actual_id), "msdyn_actualimportid": str(uuid.uuid5(actual_id, "import"))}


def money_columns(money: Money) -> Row:
    """Return the money columns of an actual; base amounts are by Dataverse's own rates [I8]."""
    return {
        "msdyn_quantity": money.quantity,
        "msdyn_price": money.price,
        "msdyn_price_base": in_base(money.price, money.currency),
        "msdyn_amount": money.amount,
        "msdyn_amount_base": in_base(money.amount, money.currency),
        "transactioncurrencyid": money.currency["transactioncurrencyid"],
        "exchangerate": native_rate(money.currency),
    }


def customer_columns(customer: Row | None) -> Row:
    """Return the columns that name the customer of a sale."""
    if customer is None:
        return {}
    person = customer["msdyn_contractcustomer@type"] == "contact"
    return {
        "msdyn_contractcustomer": customer["msdyn_projectcontractsplitbillingruleid"],
        "msdyn_contactcustomer" if person else "msdyn_accountcustomer": customer["msdyn_contractcustomer"],
        "msdyn_customertype": 192350002 if person else 192350001,
    }


class Maker:
    """Makes the actuals of work within one transaction.

    Args:
        tx: The transaction.
        prices: The price lists.
    """

    def __init__(self, tx: Tx, prices: Prices) -> None:
        self._tx = tx
        self._prices = prices

    def make(self, work: Work, billable: Decimal | None = None, *, cost: bool = True, sales: bool = True) -> list[Row]:
        """Write and connect the actuals of approved work; cost first.

        Args:
            work: What was approved.
            billable: The quantity to charge where it differs from the one submitted ([E3] less, [E4] more).
            cost: Whether it costs; not where a vendor invoice says what the work costs [J4].
            sales: Whether it sells; not where the work it charges was sold already [J4].

        Raises:
            BusinessRuleViolation: A record the work names is missing, or ``billable`` is negative.
        """
        if billable is not None and billable < 0:
            raise BusinessRuleViolation(TABLE, "The chargeable quantity cannot be negative.")
        place = engagement_of(self._tx, work.project, work.kind)
        lender = self._lender(work, place)
        made = [self._cost(work, place, lender)] if cost else []
        costing = made[0] if made else None
        if place.billable and sales:
            for billing_type, quantity in self._parts(work, billable):
                made += self._sales(work, place, costing, billing_type, quantity)
        if costing is not None and (lender is not None or self._other_unit(work, place)):
            made += self._intercompany(work, place, lender or place.company, costing)
        return made

    def _lender(self, work: Work, place: Engagement) -> Row | None:
        """The resourcing company, where it is another one than the project's [K2]."""
        company = work.resourcing_company
        if work.kind not in _INTERCOMPANY or not company or company == place.company["cdm_companyid"]:
            return None
        return row_of(self._tx, "cdm_company", company)

    def _other_unit(self, work: Work, place: Engagement) -> bool:
        contracting = place.project["msdyn_contractorganizationalunitid"]
        return bool(
            work.kind in _INTERCOMPANY
            and work.unit_of_resource
            and contracting
            and work.unit_of_resource != contracting
        )

    @staticmethod
    def _parts(work: Work, billable: Decimal | None) -> Iterator[tuple[int, Decimal]]:
        """Yield billing type and quantity of the sales of one entry [E2, E3, E4]."""
        if work.billing_type != BillingType.CHARGEABLE or billable is None:
            yield work.billing_type, work.quantity
            return
        if billable:
            yield BillingType.CHARGEABLE, billable
        if billable < work.quantity:
            yield BillingType.NON_CHARGEABLE, work.quantity - billable

    def _role(self, work: Work) -> Row | None:
        return self._tx.get("bookableresourcecategory", work.role) if work.role else None

    def _product(self, work: Work) -> Row | None:
        return self._tx.get("product", work.product) if work.product else None

    def _currency(self, work: Work, otherwise: Row) -> Row:
        return row_of(self._tx, "transactioncurrency", work.currency) if work.currency else otherwise

    def _cost_money(self, work: Work, place: Engagement, lender: Row | None) -> Money:
        """Return what work costs the project: its own price; hours from another company by the project's list [K6]."""
        if work.price is not None and (lender is None or work.kind != TransactionClass.TIME):
            currency = self._currency(work, place.currency)
            amount = rounded(work.quantity * work.price if work.amount is None else work.amount, currency)
            return Money(work.quantity, work.price, amount, currency)
        if work.kind == TransactionClass.MATERIAL:
            price = self._prices.piece_cost(self._tx, place.currency, self._product(work))
        else:
            price = self._prices.hour_cost(self._tx, place.company, self._role(work))
        return Money.of(work.quantity, price, place.currency)

    def _sales_price(self, work: Work, place: Engagement) -> Decimal:
        if work.kind == TransactionClass.EXPENSE:
            assert work.price is not None
            category = self._tx.get("msdyn_transactioncategory", work.category) if work.category else None
            spent_in = self._currency(work, place.currency)
            return self._prices.expense_sale(work.price, spent_in, place.billed_in, category)
        if work.kind == TransactionClass.MATERIAL:
            return self._prices.piece_sale(self._tx, place.billed_in, self._product(work))
        return self._prices.hour_sale(self._tx, place.billed_in, self._role(work))

    def _cost(self, work: Work, place: Engagement, lender: Row | None) -> Row:
        """The cost of an intercompany entry stays in Dataverse [G1, K3]."""
        return self._write(
            work,
            place,
            TransactionType.COST,
            self._cost_money(work, place, lender),
            {"msdyn_billingtype": BillingType.NOT_AVAILABLE, "msdyn_skipsync": lender is not None},
        )

    def _sales(
        self, work: Work, place: Engagement, cost: Row | None, billing_type: int, quantity: Decimal
    ) -> list[Row]:
        """One row per contract customer [E18], each connected to the cost, where that is the entry's own [F1]."""
        whole = Money.of(quantity, self._sales_price(work, place), place.billed_in)
        sharing: list[Share | None] = [*shares(self._tx, place.contract)] or [None]
        percents = [share.percent if share else Decimal(100) for share in sharing]
        rows = []
        for share, money in zip(sharing, whole.split(percents), strict=True):
            more = {
                "msdyn_billingtype": billing_type,
                "msdyn_billingstatus": BillingStatus.UNBILLED_SALES_CREATED,
                **customer_columns(share.customer if share else None),
            }
            row = self._write(work, place, TransactionType.UNBILLED_SALES, money, more)
            if cost is not None:
                connections.connect(self._tx, row, connections.UNBILLED, cost, connections.COST)
            rows.append(row)
        return rows

    def _intercompany(self, work: Work, place: Engagement, lender: Row, cost: Row) -> list[Row]:
        """What the lending company bears, and what it charges: the cost in the borrower's list [K1, K3, K6, K8]."""
        within = lender["cdm_companyid"] == place.company["cdm_companyid"]
        if work.price is None:
            own = currency_of_company(self._tx, lender)
            borne = Money.of(work.quantity, self._prices.hour_cost(self._tx, lender, self._role(work)), own)
        else:
            borne = self._cost_money(work, place, None)
        charged = self._cost_money(work, place, lender)
        common = {
            "msdyn_owningcompany": lender["cdm_companyid"],
            "msdyn_resourcingcompany": lender["cdm_companyid"],
            "msdyn_billingtype": BillingType.NOT_AVAILABLE,
            "msdyn_skipsync": within,
        }
        unit_cost = self._write(work, place, TransactionType.RESOURCING_UNIT_COST, borne, common)
        sales = self._write(work, place, TransactionType.INTER_ORGANIZATIONAL_SALES, charged, common)
        connections.connect(
            self._tx,
            sales,
            connections.INTER_ORGANIZATIONAL_SALES,
            unit_cost,
            connections.RESOURCING_UNIT_COST,
        )
        connections.connect(self._tx, sales, connections.INTER_ORGANIZATIONAL_SALES, cost, connections.COST)
        return [unit_cost, sales]

    def _write(self, work: Work, place: Engagement, kind: TransactionType, money: Money, more: Row) -> Row:
        day, company = work.day, place.company["cdm_companyid"]
        return self._tx.insert(
            TABLE,
            {
                **new_ids(self._tx, f"{work.entry}/{kind}"),
                "msdyn_transactiontypecode": kind,
                "msdyn_transactionclassification": work.kind,
                "msdyn_description": work.description,
                "msdyn_externaldescription": work.external_description,
                "msdyn_project": work.project,
                "msdyn_task": work.task,
                "msdyn_bookableresource": work.resource,
                "msdyn_resourcecategory": work.role,
                "msdyn_transactioncategory": work.category,
                "msdyn_product": work.product,
                "msdyn_writeinproductdescription": work.write_in,
                "msdyn_unit": work.unit,
                "msdyn_salescontract": place.contract["salesorderid"] if place.contract and place.line else None,
                "msdyn_salescontractlineid": place.line["salesorderdetailid"] if place.line else None,
                "msdyn_contractorganizationalunitid": place.project["msdyn_contractorganizationalunitid"],
                "msdyn_resourceorganizationalunitid": work.unit_of_resource,
                "msdyn_resourcingcompany": work.resourcing_company or company,
                "msdyn_owningcompany": company,
                "msdyn_documentdate": day,
                "msdyn_accountingdate": day,
                "msdyn_exchangeratedate": day,
                "msdyn_startdatetime": f"{day}T00:00:00Z",
                "msdyn_enddatetime": f"{day}T00:00:00Z",
                "msdyn_amountmethod": 192350000,
                "msdyn_origin": work.entry,
                "msdyn_externaloriginreference": work.external,
                "msdyn_externalreferenceid": work.reference,
                "msdyn_subcontractline": work.subcontract_line,
                "msdyn_accountvendor": work.vendor,
                "msdyn_vendortype": 192350001 if work.vendor else None,
                "msdyn_vendorinvoice": work.vendor_invoice,
                "msdyn_vendorinvoiceline": work.vendor_line,
                "msdyn_skipsync": False,
                "owninguser": APPLICATION_USER,
                "owningbusinessunit": BUSINESS_UNIT,
                **money_columns(money),
                **more,
            },
        )


def standing(tx: Tx, entry: object) -> list[Row]:
    """Return the actuals of an entry that are neither adjusted nor reversals, in the order they were made."""
    return [row for row in tx.find(TABLE, msdyn_origin=entry) if row["msdyn_adjustmentstatus"] is None]


def on_invoice(rows: Iterable[Row]) -> bool:
    """Whether one of the actuals stands on an invoice already, so that it cannot be taken back."""
    return any(row["msdyn_billingstatus"] in INVOICED for row in rows)


def copied(row: Row, currency: Row) -> Row:
    """Return the columns of an actual for another one: without its identity, and without what posting gave it."""
    return {name: value for name, value in row.items() if name not in _OWN} | {"exchangerate": native_rate(currency)}


def reversal_of(row: Row, currency: Row) -> Row:
    """Return the opposite of an actual in a ``transactioncurrency``, Unadjustable; ids are left to the caller."""
    opposite = copied(row, currency)
    for name in _NEGATED:
        if opposite.get(name) is not None:
            opposite[name] = -exact(opposite[name])
    return opposite | {"msdyn_adjustmentstatus": AdjustmentStatus.UNADJUSTABLE}


def reverse(tx: Tx, row: Row) -> Row:
    """Mark an actual Adjusted and write its opposite, Unadjustable; returns the reversal [E6].

    The reversal travels if its original does and stays if that stays [R10].
    """
    currency = row_of(tx, "transactioncurrency", row["transactioncurrencyid"])
    opposite = reversal_of(row, currency) | {"msdyn_accountingdate": row["msdyn_documentdate"]}
    reversal = tx.insert(TABLE, {**opposite, **new_ids(tx, row["msdyn_actualid"])})
    original = tx.update(TABLE, row["msdyn_actualid"], {"msdyn_adjustmentstatus": AdjustmentStatus.ADJUSTED})
    connections.connect(tx, reversal, connections.REVERSING, original, connections.ORIGINAL)
    return reversal


def charged(rows: Iterable[Row]) -> Decimal | None:
    """Return the quantity that was charged of an entry's actuals, None where no sales arose."""
    sales = [row for row in rows if row["msdyn_transactiontypecode"] == TransactionType.UNBILLED_SALES]
    if not sales:
        return None
    quantities = (exact(row["msdyn_quantity"]) for row in sales if row["msdyn_billingtype"] == BillingType.CHARGEABLE)
    return sum(quantities, Decimal(0))


def work_of_actual(tx: Tx, row: Row) -> Work:
    """Return the work an actual was made of, from the entry or vendor invoice line that is its origin.

    Raises:
        BusinessRuleViolation: The actual has no entry.
    """
    if row["msdyn_vendorinvoiceline"] is not None:
        return work_of_vendor_line(tx, row_of(tx, VENDOR_LINE, row["msdyn_vendorinvoiceline"]))
    kind = TransactionClass(int(exact(row["msdyn_transactionclassification"])))
    if row["msdyn_origin"] is None or kind not in TABLES:
        raise BusinessRuleViolation(TABLE, "The actual was not made from an entry.")
    return work_of(tx, kind, row_of(tx, TABLES[kind], row["msdyn_origin"]))


def sold_before(tx: Tx, work: Work) -> bool:
    """Whether a vendor invoice line charges work that has sales of its own, from the time it was done [J4]."""
    if work.vendor_line is None:
        return False
    replaced = tx.find(TABLE, msdyn_vendorinvoice=work.vendor_invoice, msdyn_subcontractline=work.subcontract_line)
    entries = {row["msdyn_origin"] for row in replaced if row["msdyn_vendorinvoiceline"] is None}
    return any(charged(standing(tx, entry)) is not None for entry in entries if entry is not None)


def taken_over(tx: Tx, entry: object) -> bool:
    """Whether a vendor invoice has replaced, or is to replace, what an entry cost [J4]."""
    rows = tx.find(TABLE, msdyn_origin=entry)
    return any(row["msdyn_vendorinvoice"] is not None for row in rows)


def renew(tx: Tx, prices: Prices, rows: list[Row], changes: Mapping[str, Any] | None = None) -> list[Row]:
    """Reverse the actuals of one entry and make them anew, by today's contract and prices [E7, E8, E21].

    Args:
        tx: The transaction.
        prices: The price lists.
        rows: All standing actuals of one entry.
        changes: Attributes of ``Work`` that a correction changes.

    Returns:
        Reversals and new actuals.
    """
    work = replace(work_of_actual(tx, rows[0]), **(changes or {}))
    billable = charged(rows)
    costs = any(row["msdyn_transactiontypecode"] == TransactionType.COST for row in rows)
    sells = billable is not None or not sold_before(tx, work)
    reversals = [reverse(tx, row) for row in rows]
    made = Maker(tx, prices).make(work, billable, cost=costs, sales=sells)
    for kind in TransactionType:
        old = [row for row in rows if row["msdyn_transactiontypecode"] == kind]
        new = [row for row in made if row["msdyn_transactiontypecode"] == kind]
        for place, row in enumerate(new):
            if old:
                before = old[min(place, len(old) - 1)]
                connections.connect(tx, row, connections.REPLACING, before, connections.ORIGINAL)
    return [*reversals, *made]
