"""Events of estimates: people are assigned to tasks, expenses and materials estimated."""

from __future__ import annotations

from decimal import Decimal

from dualsync_sandbox.business.dataverse.choices import TransactionClass
from dualsync_sandbox.business.dataverse.estimates import add_estimate, assign, reassign
from dualsync_sandbox.play.scene import Event, Facts, Scene


def new_assignment(scene: Scene, code: str, project: str | None) -> Facts:
    """Somebody is assigned to a task [D3]."""
    site, worker, role = scene.site(code, project), scene.worker(code), scene.role()
    task = scene.one_of(site.leaves, f"task in {site.number}")
    row = assign(
        scene.dataverse,
        site.id,
        str(task["msdyn_projecttaskid"]),
        str(worker["bookableresourceid"]),
        str(role["bookableresourcecategoryid"]),
        Decimal(scene.rng.randrange(8, 80, 4)),
        prices=scene.parameters.prices,
    )
    return {"assignment": row["msdyn_resourceassignmentid"], "project": site.number}


def assign_again(scene: Scene, code: str, project: str | None) -> Facts:
    """An assignment is removed and added again [D6]."""
    site = scene.site(code, project) if project else None
    owner = scene.company(code)["cdm_companyid"]
    with scene.dataverse.reading() as tx:
        rows = [
            row
            for row in tx.find("msdyn_resourceassignment", msdyn_owningcompany=owner)
            if site is None or row["msdyn_projectid"] == site.id
        ]
    old = scene.one_of(rows, f"assignment in {code}")
    new = reassign(scene.dataverse, str(old["msdyn_resourceassignmentid"]), prices=scene.parameters.prices)
    return {"removed": old["msdyn_resourceassignmentid"], "assignment": new["msdyn_resourceassignmentid"]}


def estimate_expense(scene: Scene, code: str, project: str | None) -> Facts:
    """An expense is estimated [D3]."""
    category = scene.category("Travel", "Accommodation")["msdyn_transactioncategoryid"]
    return _estimate(scene, code, project, TransactionClass.EXPENSE, category_id=str(category))


def estimate_material(scene: Scene, code: str, project: str | None) -> Facts:
    """A need of material is estimated [D3]."""
    category = str(scene.category("Materials")["msdyn_transactioncategoryid"])
    product = str(scene.product()["productid"])
    return _estimate(scene, code, project, TransactionClass.MATERIAL, category_id=category, product_id=product)


def _estimate(
    scene: Scene,
    code: str,
    project: str | None,
    kind: TransactionClass,
    *,
    category_id: str,
    product_id: str | None = None,
) -> Facts:
    site = scene.site(code, project)
    task = scene.one_of(site.leaves, f"task in {site.number}")
    rows = add_estimate(
        scene.dataverse,
        kind,
        site.id,
        str(task["msdyn_projecttaskid"]),
        quantity=Decimal(scene.rng.randrange(1, 12)),
        price=Decimal(scene.rng.randrange(40, 600)) if kind == TransactionClass.EXPENSE else None,
        category_id=category_id,
        product_id=product_id,
        prices=scene.parameters.prices,
    )
    return {"lines": [row["msdyn_estimatelineid"] for row in rows], "project": site.number}


ESTIMATES: dict[str, Event] = {
    "assign": new_assignment,
    "reassign": assign_again,
    "estimate-expense": estimate_expense,
    "estimate-material": estimate_material,
}
