"""What an administrator has set up in Finance, as far as the rules depend on it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Parameters:
    """Settings of the Finance environment.

    Attributes:
        integrated_companies: codes of the legal entities that are switched to integrated mode (A1), upper case.
        on_account_categories: whether a transaction category also gets an On-account category. C12: four categories
            before 10.0.41, five afterwards where the feature is on.
    """

    integrated_companies: tuple[str, ...] = ("USPM", "GBPM", "FRRT")
    on_account_categories: bool = True
