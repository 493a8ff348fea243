"""Master data both systems know of: made once, then written to each system in its own words.

Everything is decided here (who is a customer of which company, on which terms), so that Finance and Dataverse tell the
same story. The two writers are ``finance.py`` and ``dataverse.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from dualsync_sandbox.seed import words
from dualsync_sandbox.seed.companies import COMPANIES, INTEGRATED, Company

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from dualsync_sandbox.seed.profile import Volume

PAYMENT_TERMS = {
    "Net10": "Net 10 days",
    "Net30": "Net 30 days",
    "Net45": "Net 45 days",
    "COD": "Cash on delivery",
}
CUSTOMER_GROUPS = {"10": "Industry", "20": "Public sector", "30": "Private customers"}
VENDOR_GROUPS = {"10": "Services", "20": "Goods"}
PAYMENT_METHODS = {"CHECK": "Cheque", "TRANSFER": "Bank transfer"}
PAYMENT_DAYS = {"EOM": "End of month", "15TH": "Fifteenth of the month"}
PAYMENT_SCHEDULES = {"THREE": "Three equal parts", "QUARTER": "Quarterly"}

ROLES = (
    "Project manager", "Team member", "Consultant", "Senior consultant", "Engineer", "Surveyor", "Trainer",
    "Software developer",
)  # fmt: skip
"""Resource roles in Dataverse; the first two also stand in Finance from the start (business note of the role map)."""
ROLES_BEFORE = 2

CATEGORIES = (
    "Consulting", "Engineering", "Travel", "Accommodation", "Training", "Materials", "Software licences", "Sundry fees",
)  # fmt: skip
"""Transaction categories in Dataverse."""

ROLE_CATEGORIES = {
    "Engineer": "Engineering", "Surveyor": "Engineering", "Software developer": "Engineering", "Trainer": "Training",
}  # fmt: skip
"""Transaction category of the hours of a role; consulting for all others."""

UNITS = {"hr": "Hour", "ea": "Each", "pcs": "Pieces", "km": "Kilometre"}
"""Units of measure both systems know, by symbol."""

PRODUCTS = {
    "P-1001": "Sensor kit",
    "P-1002": "Cable drum",
    "P-1003": "Mounting bracket",
    "P-1004": "Control cabinet",
}
"""Products both systems know, by number; materials of projects name them."""

FOREIGN = {"USD": "GBP", "GBP": "EUR", "EUR": "USD"}
"""The other currency a company also deals in."""


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer of a company; ``known`` says whether a contract in Dataverse may name it."""

    number: str
    name: str
    given: str
    family: str
    person: bool
    known: bool
    party: str
    group: str
    currency: str
    terms: str
    method: str
    tax_group: str
    credit_limit: Decimal
    credit_limit_is_mandatory: bool
    rating: str
    memo: str
    registration: str
    invoice_account: str
    schedule: str
    contact: str


@dataclass(frozen=True, slots=True)
class Vendor:
    """A vendor of a company."""

    number: str
    name: str
    person: bool
    party: str
    group: str
    currency: str
    terms: str
    method: str
    tax_group: str
    employees: int


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker of the group; ``known`` says whether Dataverse has heard of it."""

    number: str
    given: str
    family: str
    contractor: bool
    gender: str
    born: str
    email: str
    phone: str
    party: str
    known: bool

    @property
    def name(self) -> str:
        """First and last name."""
        return f"{self.given} {self.family}"

    @property
    def home(self) -> str:
        """Code of the company whose unit the worker belongs to."""
        return INTEGRATED[(int(self.number) - 1) % len(INTEGRATED)]


@dataclass(frozen=True, slots=True)
class Masters:
    """All master data of a seed; customers and vendors by company code."""

    customers: dict[str, list[Customer]]
    vendors: dict[str, list[Vendor]]
    workers: list[Worker]


def _organisation_name(index: int, seconds: Sequence[str], rng: random.Random) -> str:
    """Return a name that no other index has: place and trade, from the second round on with a number."""
    place = words.PLACES[index % len(words.PLACES)]
    trade = seconds[(index // len(words.PLACES) + index * 7) % len(seconds)]
    earlier_rounds = index // (len(words.PLACES) * len(seconds))
    ending = f" {earlier_rounds + 1}" if earlier_rounds else rng.choice(("", " Group", " Partners"))
    return f"{place} {trade}{ending}"


def _customer(index: int, company: Company, volume: Volume, rng: random.Random) -> Customer:
    person = index >= volume.customers
    given, family = rng.choice(words.GIVEN), rng.choice(words.FAMILY)
    name = f"{given} {family}" if person else _organisation_name(index, words.TRADES, rng)
    party = f"{company.code[0]}C{index + 1:07d}"
    return Customer(
        number=f"C-{index + 1:06d}",
        name=name,
        given=given if person else "",
        family=family if person else "",
        person=person,
        known=person or index < max(6, volume.customers * 7 // 10),
        party=party,
        group="30" if person else rng.choice(("10", "20")),
        currency=FOREIGN[company.currency] if index % 9 == 8 else company.currency,
        terms=rng.choice(tuple(PAYMENT_TERMS)),
        method=rng.choice(tuple(PAYMENT_METHODS)),
        tax_group=rng.choice(company.tax_groups),
        credit_limit=Decimal(rng.randrange(0, 500_001, 2_500)),
        credit_limit_is_mandatory=index % 6 == 0,
        rating=rng.choice(words.CREDIT_RATINGS),
        memo=rng.choice(words.MEMOS),
        registration=f"{company.country[:2]}{rng.randrange(10**8, 10**9)}" if index % 3 else "",
        invoice_account=f"C-{index:06d}" if index % 5 == 4 and not person else "",
        schedule="THREE" if index % 10 == 9 else "",
        contact=f"{party}-1" if index % 3 == 1 and not person else "",
    )


def _vendor(index: int, company: Company, rng: random.Random) -> Vendor:
    person = index % 8 == 7
    return Vendor(
        number=f"V-{index + 1:06d}",
        name=f"{rng.choice(words.GIVEN)} {rng.choice(words.FAMILY)}"
        if person
        else _organisation_name(index, words.SUPPLIES, rng),
        person=person,
        party=f"{company.code[0]}V{index + 1:07d}",
        group=rng.choice(tuple(VENDOR_GROUPS)),
        currency=company.currency,
        terms=rng.choice(tuple(PAYMENT_TERMS)),
        method=rng.choice(tuple(PAYMENT_METHODS)),
        tax_group=rng.choice(company.tax_groups),
        employees=rng.randrange(1, 400),
    )


def _worker(index: int, rng: random.Random) -> Worker:
    given, family = rng.choice(words.GIVEN), rng.choice(words.FAMILY)
    number = f"{index + 1:06d}"
    return Worker(
        number=number,
        given=given,
        family=family,
        contractor=index % 6 == 5,
        gender=rng.choice(("Male", "Female", "None", "NonSpecific")),
        born=f"{rng.randrange(1962, 2003)}-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}" if index % 4 else "",
        email=f"{given}.{family}.{index + 1}@larkmoor.example".lower(),
        phone=f"555-{100 + index % 900:04d}",
        party=f"W{index + 1:08d}",
        known=index % 10 < 6,
    )


def make(volume: Volume, rng: random.Random) -> Masters:
    """Return the master data for a volume; the same generator state gives the same data."""
    return Masters(
        customers={
            company.code: [_customer(index, company, volume, rng) for index in range(volume.customers + volume.persons)]
            for company in COMPANIES
        },
        vendors={
            company.code: [_vendor(index, company, rng) for index in range(volume.vendors)] for company in COMPANIES
        },
        workers=[_worker(index, rng) for index in range(volume.workers)],
    )
