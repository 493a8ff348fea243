"""A transaction category becomes four or five shared categories, told apart by a suffix [C12]."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dualsync_sandbox.business.parameters import Parameters
    from dualsync_sandbox.store import Event, Row, Store, Tx

TYPES = ("Hour", "Revenue", "Item", "Cost", "OnAccount")
"""``ProjCategoryType`` by suffix -1 to -5: hour, fee, item, expense, and on-account where that feature is on."""


def shared_categories(category: Row, parameters: Parameters) -> list[Row]:
    """Return the shared categories of a ``ProjectTransactionCategories`` row."""
    types = TYPES if parameters.on_account_categories else TYPES[:4]
    return [
        {
            "CategoryId": f"{category['CategoryId']}-{suffix}",
            "CategoryName": category.get("Name") or "",
            "CategoryType": kind,
            "TransactionCategoryId": category["CategoryId"],
        }
        for suffix, kind in enumerate(types, start=1)
    ]


def install(finance: Store, parameters: Parameters) -> None:
    """Register the rule with Finance."""

    def follow(tx: Tx, event: Event) -> None:
        category = event.after or event.before
        assert category is not None
        standing = tx.find("SharedCategories", TransactionCategoryId=category["CategoryId"])
        if event.after is None:
            for row in standing:
                tx.delete("SharedCategories", row["RecId"])
            return
        by_id = {row["CategoryId"]: row for row in standing}
        for shared in shared_categories(category, parameters):
            existing = by_id.get(shared["CategoryId"])
            if existing is None:
                tx.insert("SharedCategories", shared)
            elif existing["CategoryName"] != shared["CategoryName"]:
                tx.update("SharedCategories", existing["RecId"], {"CategoryName": shared["CategoryName"]})

    finance.on("ProjectTransactionCategories", {"create", "update", "delete"}, follow)
