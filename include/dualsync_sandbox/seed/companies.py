"""The group of companies the seed tells of: three integrated legal entities and one that must stay untouched."""

from __future__ import annotations

from dataclasses import dataclass

INTEGRATED = ("USPM", "GBPM", "FRRT")
"""Company codes that take part in the integration; the place in ``COMPANIES`` is the same."""


@dataclass(frozen=True, slots=True)
class Company:
    """A legal entity."""

    code: str
    name: str
    currency: str
    country: str
    language: str
    tax_groups: tuple[str, ...]

    @property
    def area(self) -> str:
        """The company as Finance writes it in ``dataAreaId``: lower case."""
        return self.code.lower()

    @property
    def integrated(self) -> bool:
        """Whether the company takes part in the integration."""
        return self.code in INTEGRATED


COMPANIES = (
    Company("USPM", "Larkmoor Projects US", "USD", "USA", "en-US", ("ST-STD", "ST-EXEMPT")),
    Company("GBPM", "Larkmoor Projects UK", "GBP", "GBR", "en-GB", ("VAT20", "VAT0")),
    Company("FRRT", "Larkmoor Projets France", "EUR", "FRA", "fr", ("TVA20", "TVA55")),
    Company("DEMF", "Larkmoor Fertigung", "EUR", "DEU", "de", ("MWST19", "MWST7")),
)

CURRENCIES = {
    "USD": ("US dollar", "$"),
    "GBP": ("Pound sterling", "£"),
    "EUR": ("Euro", "€"),
    "CHF": ("Swiss franc", "CHF"),
}
"""Currencies both systems know, with name and symbol."""

NATIVE_RATES = {"USD": "1", "GBP": "0.785", "EUR": "0.922", "CHF": "0.886"}
"""Dataverse's own exchange rates: units of the currency for one of the base currency, the US dollar. Invented, and not
those of Finance: the two systems keep their rates apart [I8]."""

NO_CURRENCY = "999"
"""Code Finance carries for "no currency"; it must never travel (filter of the Currencies map)."""
