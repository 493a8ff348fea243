"""What an administrator has set up in both systems, as far as the rules depend on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dualsync_sandbox.business.dataverse.prices import Prices


@dataclass(frozen=True, slots=True)
class Parameters:
    """Settings of the two environments.

    Attributes:
        integrated_companies: Codes of the legal entities that are switched to integrated mode [A1], upper case.
        on_account_categories: Whether a transaction category also gets an On-account category [C12]: four categories
            before 10.0.41, five afterwards where the feature is on.
        sets_up_categories: Whether the accountant makes project categories of new shared categories at once [C13].
        expense_types: Transaction categories that the accountant allows in Expense, with the expense type [I1].
        procurement_categories: Procurement categories that the accountant maps, with name and type of their project
            category [J7]; those left out go by the company's default for items.
        prices: The price lists of Dataverse.
        entry_journal_corrections: Whether actuals of entry journals can be corrected; two pages disagree [E23].
    """

    integrated_companies: tuple[str, ...] = ("USPM", "GBPM", "FRRT")
    on_account_categories: bool = True
    sets_up_categories: bool = True
    expense_types: Mapping[str, str] = field(
        default_factory=lambda: {
            "Travel": "Airline",
            "Accommodation": "Hotel",
            "Training": "Conference",
            "Sundry fees": "Expense",
        }
    )
    procurement_categories: Mapping[str, tuple[str, str]] = field(
        default_factory=lambda: {
            "Contract labour": ("Consulting", "Hour"),
            "Travel arrangements": ("Travel", "Cost"),
            "Permits and fees": ("Sundry fees", "Cost"),
        }
    )
    prices: Prices = field(default_factory=Prices)
    entry_journal_corrections: bool = True
