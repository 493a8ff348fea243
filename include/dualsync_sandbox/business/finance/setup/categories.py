"""Project categories and expense categories of the companies [C13, I1].

Both are set up by hand from shared categories. Finance checks what the accountant enters; with
``Parameters.sets_up_categories`` the sandbox's accountant does it as soon as a shared category arrives, and makes the
first category of each type the company's default [A3]. Expense categories that belong to a shared category show in
``ProjExpenseCategoriesExport``; those of no project do not.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from dualsync_sandbox.business.finance.setup.settings import DEFAULT_CATEGORIES, PARAMETERS, text
from dualsync_sandbox.errors import BusinessRuleViolation

if TYPE_CHECKING:
    from dualsync_sandbox.business.parameters import Parameters
    from dualsync_sandbox.store import Event, Row, Store, Tx

SHARED, PROJECT, EXPENSE, EXPORT = (
    "SharedCategories", "ProjectCategories", "ExpenseCategories", "ProjExpenseCategoriesExport",
)  # fmt: skip

CLASSES = {
    192350000: "Hour",
    192350001: "Cost",
    192350002: "Item",
    192350004: "Revenue",
    192350005: "OnAccount",
}
"""``TransactionClassification`` (time, expense, material, fee, retainer) to ``ProjCategoryType``."""


def project_category(tx: Tx, area: str, transaction_category: object, kind: str, default: str) -> str | None:
    """Return the project category of a transaction [G8], None where there is none.

    Args:
        tx: The transaction.
        area: ``dataAreaId``.
        transaction_category: The transaction category's number, may be empty.
        kind: Member of ``ProjCategoryType``.
        default: The company's category for transactions that name none.
    """
    if not transaction_category:
        return default or None
    row = tx.find_one(PROJECT, dataAreaId=area, TransactionCategoryId=transaction_category, CategoryType=kind)
    return None if row is None else str(row["CategoryId"])


def _check_project_category(tx: Tx, event: Event) -> None:
    """Only from shared categories tied to a transaction category [C13]."""
    category = event.after
    assert category is not None
    shared = tx.find_one(SHARED, CategoryId=category["CategoryId"])
    if shared is None or not shared["TransactionCategoryId"]:
        raise BusinessRuleViolation(
            PROJECT, f"Shared category {category['CategoryId']} is not tied to a transaction category."
        )
    category["CategoryType"] = shared["CategoryType"]
    category["TransactionCategoryId"] = shared["TransactionCategoryId"]
    category["CategoryName"] = category["CategoryName"] or shared["CategoryName"]


def _usable(tx: Tx, category: Row) -> Row | None:
    """The shared category of an expense category, if it can be used in Expense."""
    shared = tx.find_one(SHARED, CategoryId=category["CategoryId"]) if category["CategoryId"] else None
    return shared if shared is not None and shared["CanBeUsedInExpense"] == "Yes" else None


def _check_expense_category(tx: Tx, event: Event) -> None:
    category = event.after
    assert category is not None
    if category["CategoryId"] and _usable(tx, category) is None:
        raise BusinessRuleViolation(EXPENSE, f"Shared category {category['CategoryId']} cannot be used in Expense.")


def _export(tx: Tx, category: Row, *, gone: bool = False) -> None:
    key = {"dataAreaId": category["dataAreaId"], "CostType": category["CostType"]}
    standing = tx.find_one(EXPORT, **key)
    shared = tx.find_one(SHARED, CategoryId=category["CategoryId"]) if category["CategoryId"] else None
    if gone or shared is None:
        if standing is not None:
            tx.delete(EXPORT, standing["RecId"])
        return
    inactive = category["IsInactive"] == "Yes" or shared["CanBeUsedInExpense"] == "No"
    values = {
        "CostTxt": category["Description"],
        "TransactionCategoryId": shared["TransactionCategoryId"],
        "ExpType": category["ExpenseType"],
        "IsInactive": "Yes" if inactive else "No",
    }
    if standing is None:
        tx.insert(EXPORT, key | values)
    elif any(standing[name] != value for name, value in values.items()):
        tx.update(EXPORT, standing["RecId"], values)


def _follow_expense_category(tx: Tx, event: Event) -> None:
    if event.after is None:
        assert event.before is not None
        _export(tx, event.before, gone=True)
    else:
        _export(tx, event.after)


def _follow_shared_category(tx: Tx, event: Event) -> None:
    assert event.after is not None
    if event.changed("CanBeUsedInExpense"):
        for category in tx.find(EXPENSE, CategoryId=event.after["CategoryId"]):
            _export(tx, category)


def _set_up(tx: Tx, event: Event, parameters: Parameters) -> None:
    """What the accountant does about a new shared category."""
    shared = event.after
    assert shared is not None
    kind, name = str(shared["CategoryType"]), str(shared["CategoryName"])
    if not shared["TransactionCategoryId"]:
        return
    areas = [
        code.lower()
        for code in parameters.integrated_companies
        if tx.find_one("LegalEntities", LegalEntityId=code) is not None
    ]
    for area in areas:
        category = {"dataAreaId": area, "CategoryId": shared["CategoryId"], "CategoryName": name}
        taxed = tx.find_one("ItemTaxGroups", dataAreaId=area, IsExempt="No")
        tx.insert(PROJECT, category | {"ItemTaxGroupCode": text(taxed or {}, "ItemTaxGroupCode")})
        settings = tx.find_one(PARAMETERS, dataAreaId=area)
        column = DEFAULT_CATEGORIES.get(kind)
        if settings is not None and column is not None and not text(settings, column):
            tx.update(PARAMETERS, settings["RecId"], {column: shared["CategoryId"]})
    expense_type = parameters.expense_types.get(name)
    if kind != "Cost" or expense_type is None:
        return
    tx.update(SHARED, shared["RecId"], {"CanBeUsedInExpense": "Yes", "ExpenseType": expense_type})
    for area in areas:
        category = {"dataAreaId": area, "CostType": name.upper()[:30], "Description": name[:60]}
        if tx.find_one(EXPENSE, dataAreaId=area, CostType=category["CostType"]) is None:
            tx.insert(EXPENSE, {**category, "CategoryId": shared["CategoryId"], "ExpenseType": expense_type})


def install(finance: Store, parameters: Parameters) -> None:
    """Register the rules with Finance."""
    finance.on(PROJECT, {"create"}, _check_project_category, when="before")
    finance.on(EXPENSE, {"create", "update"}, _check_expense_category, when="before")
    finance.on(EXPENSE, {"create", "update", "delete"}, _follow_expense_category)
    finance.on(SHARED, {"update"}, _follow_shared_category)
    if parameters.sets_up_categories:
        finance.on(SHARED, {"create"}, partial(_set_up, parameters=parameters))
