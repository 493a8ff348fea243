"""Which sales tax groups a line has, and the tax it comes to [H6, G15].

A line without an item sales tax group is taxed by its sales tax group alone (assumed).
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from dualsync_sandbox.business.finance.ledger.exchange import exact
from dualsync_sandbox.business.finance.ledger.rates import rounded
from dualsync_sandbox.business.finance.setup.settings import text

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row, Tx

_SEARCHED = {
    "Project": ("Project",),
    "ProjectContract": ("ProjectContract",),
    "Customer": ("Customer",),
    "Search": ("Project", "ProjectContract", "Customer"),
}
_PERCENT = Decimal(100)


def tax_group(tx: Tx, method: str, staged: Row) -> str:
    """Return the billing sales tax group of a staged sale by the company's method; empty where none is found."""
    area = staged["ProjectDataAreaId"]
    places = {
        "Project": ("ProjectsV2", "SalesTaxGroupId", {"ProjectId": staged["ProjectId"]}),
        "ProjectContract": (
            "ProjectContractHeaders",
            "SalesTaxGroupCode",
            {"ProjectContractId": staged["ContractId"]},
        ),
        "Customer": ("CustomersV3", "SalesTaxGroup", {"CustomerAccount": staged["CustomerAccountNumber"]}),
    }
    for place in _SEARCHED[method]:
        table, column, key = places[place]
        row = tx.find_one(table, dataAreaId=area, **key) if all(key.values()) else None
        if row is not None and text(row, column):
            return text(row, column)
    return ""


def percentage(tx: Tx, area: str, group: str) -> Decimal:
    """Return the tax of a group in per cent."""
    row = tx.find_one("SalesTaxRates", dataAreaId=area, TaxGroupCode=group) if group else None
    return exact(row["Percentage"]) if row else Decimal(0)


def item_tax_group(tx: Tx, area: str, category: str, product: str) -> str:
    """Return the item sales tax group of a line [H6]: that of the released product, else of the project category.

    Args:
        tx: The transaction.
        area: ``dataAreaId``.
        category: Id of the project category.
        product: Product number; empty where the line is for none.
    """
    released = tx.find_one("ReleasedProducts", dataAreaId=area, ProductNumber=product) if product else None
    row = tx.find_one("ProjectCategories", dataAreaId=area, CategoryId=category)
    return text(released or {}, "SalesItemTaxGroupCode") or text(row or {}, "ItemTaxGroupCode")


def added_tax(tx: Tx, area: str, group: str, amount: Decimal, item_group: str = "") -> Decimal:
    """Return the tax on top of a net amount; there is none where the item sales tax group is exempt."""
    row = tx.find_one("ItemTaxGroups", dataAreaId=area, ItemTaxGroupCode=item_group) if item_group else None
    if row is not None and row["IsExempt"] == "Yes":
        return Decimal(0)
    return rounded(amount * percentage(tx, area, group) / _PERCENT)


def lost_tax(tx: Tx, area: str, group: str, tax: Decimal) -> Decimal:
    """Return the part of a tax paid that cannot be recovered."""
    row = tx.find_one("SalesTaxRates", dataAreaId=area, TaxGroupCode=group) if group else None
    lost = exact(row["NonRecoverablePercentage"]) if row else Decimal(0)
    return rounded(tax * lost / _PERCENT)


def included_tax(tx: Tx, area: str, group: str, gross: Decimal) -> tuple[Decimal, Decimal]:
    """Return the tax that an amount includes, and the part of it that cannot be recovered."""
    rate = percentage(tx, area, group)
    tax = rounded(gross * rate / (_PERCENT + rate))
    return tax, lost_tax(tx, area, group, tax)
