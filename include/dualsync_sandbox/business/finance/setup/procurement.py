"""What can be bought for projects: procurement categories and released products [J7, J9], set up per company.

A procurement category says by its project category what class of cost a purchase is; without one the company's default
for items counts. Items have no project category of their own here (assumed), so they take that default too. Finance's
accountant maps the categories as soon as their project categories are there, where
``Parameters.sets_up_categories`` says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from dualsync_sandbox.business.finance.setup.categories import PROJECT
from dualsync_sandbox.business.finance.setup.settings import CompanySettings, text
from dualsync_sandbox.errors import BusinessRuleViolation

if TYPE_CHECKING:
    from dualsync_sandbox.business.parameters import Parameters
    from dualsync_sandbox.store import Event, Row, Store, Tx

CATEGORIES, SUBCONTRACT_CATEGORIES, PRODUCTS = "ProcurementCategories", "SubcontractCategories", "ReleasedProducts"


@dataclass(frozen=True, slots=True)
class Bought:
    """What a purchase is in project accounting.

    Attributes:
        project_category: The company's project category.
        kind: Its ``ProjCategoryType``: ``Hour``, ``Cost`` or ``Item``.
        transaction_category: Number of the transaction category it is tied to.
        item: Item number; empty for a category. Items without a number of their own are the write-in product [J9].
        product: Product number of the item.
        stocked: Whether the item is kept in stock, so that its cost is posted at once [J2].
        unit: Unit the item is bought in; empty for a category.
    """

    project_category: str
    kind: str
    transaction_category: str
    item: str
    product: str
    stocked: bool
    unit: str


def bought(tx: Tx, settings: CompanySettings, category: str, item: str, project_category: str = "") -> Bought:
    """Return what a line buys [J7, J9].

    Args:
        tx: The transaction.
        settings: Of the company that buys.
        category: Procurement category; empty for an item.
        item: Item number; empty for a category.
        project_category: Project category that the clerk chose instead of the default, or that is all there is.

    Raises:
        BusinessRuleViolation: There is no such category or item, neither is given, or no project category follows.
    """
    node = tx.find_one(CATEGORIES, dataAreaId=settings.area, CategoryName=category) if category else None
    if node is None and (category or not (item or project_category)):
        raise BusinessRuleViolation(CATEGORIES, f"Procurement category '{category}' doesn't exist.")
    category_id = project_category or text(node or {}, "ProjectCategoryId") or settings.categories["Item"]
    mapped = tx.find_one(PROJECT, dataAreaId=settings.area, CategoryId=category_id) if category_id else None
    if mapped is None:
        raise BusinessRuleViolation(
            CATEGORIES, "Neither the procurement category nor the project category defaults name an item category."
        )
    kind = str(mapped["CategoryType"])
    number = item or (settings.write_in if kind == "Item" else "")
    product = released(tx, settings.area, number) if number else {}
    return Bought(
        project_category=str(mapped["CategoryId"]),
        kind=kind,
        transaction_category=text(mapped, "TransactionCategoryId"),
        item=number,
        product=text(product, "ProductNumber"),
        stocked=product.get("IsStocked") == "Yes",
        unit=text(product, "PurchaseUnit"),
    )


def released(tx: Tx, area: str, item: str) -> Row:
    """Return a company's released product.

    Raises:
        BusinessRuleViolation: The product is not released in the company.
    """
    product = tx.find_one(PRODUCTS, dataAreaId=area, ItemNumber=item)
    if product is None:
        raise BusinessRuleViolation(PRODUCTS, f"Item {item} isn't released in {area.upper()}.")
    return product


def subcontract_category(tx: Tx, area: str, kind: str, role: str, transaction_category: str) -> Row | None:
    """The mapping of a subcontract line, None where there is none; the most specific one wins (assumed) [J10].

    Args:
        tx: The transaction.
        area: ``dataAreaId``.
        kind: ``Hour`` or ``Expense``.
        role: The role of an hour line.
        transaction_category: The transaction category of the line.
    """
    best: tuple[int, Row] | None = None
    for row in tx.find(SUBCONTRACT_CATEGORIES, dataAreaId=area, TransactionType=kind):
        criteria = {"RoleId": role, "TransactionCategoryId": transaction_category}
        named = [column for column in criteria if text(row, column)]
        fits = all(text(row, column).lower() == criteria[column].lower() for column in named)
        if fits and (best is None or len(named) > best[0]):
            best = len(named), row
    return best[1] if best else None


def _map(tx: Tx, event: Event, parameters: Parameters) -> None:
    """What the accountant does about a new project category: nodes that wait for it are assigned."""
    category = event.after
    assert category is not None
    area, chosen = category["dataAreaId"], {"ProjectCategoryId": category["CategoryId"]}
    for name, (category_name, kind) in parameters.procurement_categories.items():
        if category_name != category["CategoryName"] or kind != category["CategoryType"]:
            continue
        key = {"dataAreaId": area, "CategoryName": name, "ProjectCategoryId": ""}
        for node in tx.find(CATEGORIES, **key):
            tx.update(CATEGORIES, node["RecId"], chosen)
        key = {"dataAreaId": area, "ProcurementCategoryName": name, "ProjectCategoryId": ""}
        for mapping in tx.find(SUBCONTRACT_CATEGORIES, **key):
            tx.update(SUBCONTRACT_CATEGORIES, mapping["RecId"], chosen)


def install(finance: Store, parameters: Parameters) -> None:
    """Register the accountant's work with Finance."""
    if parameters.sets_up_categories:
        finance.on(PROJECT, {"create"}, partial(_map, parameters=parameters))
