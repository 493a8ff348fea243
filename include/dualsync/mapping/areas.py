"""The integration areas: their names in maps and DAGs, their titles as people write them, and their order.

The six areas are those in which Microsoft documents the integration of Project Operations with Finance; the order is
ours. What is bought comes before the invoice for it, a cost before the actual that is made of it, and an actual before
the invoice that bills it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Area:
    """One integration area.

    Attributes:
        name: The name in table maps, controls, folders and DAGs.
        title: The name as people write it.
    """

    name: str
    title: str


REFERENCE = Area("reference", "Reference data")
"""The small maps that only serve as parents of others. They run with the areas that need them."""

AREAS = (
    Area("setup_configuration", "Setup & configuration data"),
    Area("subcontract_purchase_orders", "Subcontract purchase orders"),
    Area("expense_management", "Expense management"),
    Area("vendor_invoices", "Vendor invoices"),
    Area("estimates_actuals", "Project estimates & actuals"),
    Area("project_invoices", "Project invoices"),
)
"""The areas, in the order in which they run after one another."""

AREA_NAMES = tuple(area.name for area in AREAS)
"""The names of :data:`AREAS`, in the same order."""

_TITLES = {area.name: area.title for area in (REFERENCE, *AREAS)}


def area_title(name: str) -> str:
    """Return the title of an area as people write it.

    Args:
        name: The name of an area. It may be an area of somebody's own maps.

    Returns:
        The title; for an area that is not ours, its name with spaces and a capital letter.
    """
    return _TITLES.get(name) or name.replace("_", " ").capitalize()
