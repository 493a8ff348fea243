"""A resource role shared by all companies becomes a role of its own in every integrated company [C10]."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dualsync_sandbox.business.parameters import Parameters
    from dualsync_sandbox.store import Event, Row, Store, Tx


def company_roles(shared: Row, parameters: Parameters) -> list[Row]:
    """Return the company-specific roles of a ``ResourceCategoriesShared`` row, one per integrated company."""
    return [
        {"dataAreaId": code.lower(), "RoleId": shared["RoleId"], "Description": shared.get("Description") or ""}
        for code in parameters.integrated_companies
    ]


def install(finance: Store, parameters: Parameters) -> None:
    """Register the rule with Finance."""

    def follow(tx: Tx, event: Event) -> None:
        shared = event.after or event.before
        assert shared is not None
        for role in company_roles(shared, parameters):
            standing = tx.find("ProjectRoles", dataAreaId=role["dataAreaId"], RoleId=role["RoleId"])
            if event.after is None:
                for row in standing:
                    tx.delete("ProjectRoles", row["RecId"])
            elif not standing:
                tx.insert("ProjectRoles", role)
            elif standing[0]["Description"] != role["Description"]:
                tx.update("ProjectRoles", standing[0]["RecId"], {"Description": role["Description"]})

    finance.on("ResourceCategoriesShared", {"create", "update", "delete"}, follow)
