"""Packing slips of item requirements take stock for a project, and cost it at once [J15, G18].

Dataverse learns of each line as a usage of material that is approved by itself; of its actuals only the unbilled sale
is journalled here, since the cost is posted. Assumed: a piece costs what the released product says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from dualsync_sandbox.business.finance.ledger.entries import own, pair, post_voucher, profile_of
from dualsync_sandbox.business.finance.ledger.exchange import exact
from dualsync_sandbox.business.finance.ledger.rates import rounded
from dualsync_sandbox.business.finance.projects.stages import open_project
from dualsync_sandbox.business.finance.setup.procurement import released
from dualsync_sandbox.business.finance.setup.settings import CompanySettings, area_of, next_number, numbered, text
from dualsync_sandbox.errors import BusinessRuleViolation

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row, Store, Tx

SLIPS, SLIP_LINES, TRANSACTIONS = "PackingSlips", "PackingSlipLines", "ProjectTransactions"


@dataclass(frozen=True, slots=True)
class SlipLine:
    """Pieces taken from stock for a task of a project."""

    item: str
    quantity: Decimal
    activity_number: str = ""


def post_packing_slip(
    finance: Store, company: str, project_id: str, lines: Sequence[SlipLine], *, day: str = ""
) -> Row:
    """Post a packing slip; returns its ``PackingSlips`` row.

    Args:
        finance: The store of Finance.
        company: The company that owns stock and project.
        project_id: The project.
        lines: What is taken.
        day: ISO date; today when empty.

    Raises:
        BusinessRuleViolation: The project is finished [C11] or has no profile [D2], or an item is not kept in stock.
    """
    with finance.transaction() as tx:
        settings = CompanySettings.of(tx, area_of(company))
        project = open_project(tx, SLIPS, settings.area, project_id)
        profile = profile_of(tx, settings.area, project)
        if profile is None:
            raise BusinessRuleViolation(
                SLIPS, f"No project cost and revenue profile rule applies to project {project_id}."
            )
        when = day or finance.clock.now().date().isoformat()
        slip = tx.insert(
            SLIPS,
            {
                "dataAreaId": settings.area,
                "PackingSlipNumber": numbered(tx, settings.area, "PSL", 6),
                "ProjectId": project_id,
                "DeliveryDate": when,
                "Voucher": numbered(tx, settings.area, "PSV"),
            },
        )
        entries = []
        for number, line in enumerate(lines, start=1):
            cost = _take(tx, settings, slip, number, line)
            if profile.posts:
                entries += pair(profile.cost_type, own("ItemIssue"), cost, cost)
        post_voucher(tx, settings.area, text(slip, "Voucher"), when, settings.currency, entries)
        return slip


def _take(tx: Tx, settings: CompanySettings, slip: Row, number: int, line: SlipLine) -> Decimal:
    """Write a line and its project transaction; returns the cost."""
    product = released(tx, settings.area, line.item)
    if product["IsStocked"] == "No":
        raise BusinessRuleViolation(SLIP_LINES, f"Item {line.item} isn't kept in stock.")
    price = exact(product["UnitCost"])
    cost = rounded(price * line.quantity)
    transaction = f"{settings.area.upper()}-PS{next_number(tx, settings.area, 'PST'):07d}"
    key = {"dataAreaId": settings.area, "PackingSlipNumber": slip["PackingSlipNumber"], "LineNumber": number}
    used = {"ItemNumber": line.item, "ActivityNumber": line.activity_number, "Quantity": line.quantity}
    valued = {"Unit": product["PurchaseUnit"], "UnitCost": price, "CostAmount": cost, "ProjTransId": transaction}
    tx.insert(SLIP_LINES, key | used | valued)
    tx.insert(
        TRANSACTIONS,
        {
            "dataAreaId": settings.area,
            "TransactionId": transaction,
            "ProjectId": slip["ProjectId"],
            "TransactionType": "Item",
            "CategoryId": settings.categories["Item"],
            "ActivityNumber": line.activity_number,
            "TransactionDate": slip["DeliveryDate"],
            "AccountingDate": slip["DeliveryDate"],
            "Quantity": line.quantity,
            "CostAmountAccountingCurrency": cost,
            "CurrencyCode": settings.currency,
            "Amount": cost,
            "Voucher": slip["Voucher"],
            "TransactionOrigin": "PackingSlip",
            "Status": "Posted",
        },
    )
    return cost
