"""What plants stand on: the rows of both systems as they were before anything was planted, and which are taken.

Every plant takes the records it touches, so that no two meddle with the same ones and each can be told from the others.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING

from dualsync_sandbox.plant.raw import Raw

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row, Tx

Rule = tuple[str, str]
"""A rule and a class of exception; the rule is a control, or ``table:`` and the Dataverse table that is compared."""


@dataclass(frozen=True, slots=True)
class Planted:
    """One thing that was planted.

    Attributes:
        kind: What was done.
        text: The same in words, with the record.
        company: Code of the company, empty for what belongs to all.
        found_by: Rules that must report it, with the class of the exception; none for a look-alike.
        also: Further rules that may report the consequences.
        records: Ids, keys and numbers of all records it concerns: what a report of it may name.
    """

    kind: str
    text: str
    company: str
    found_by: tuple[Rule, ...]
    also: tuple[str, ...]
    records: tuple[str, ...]


class NothingToPlantOn(Exception):
    """No record is left that a kind of plant could use."""


@dataclass
class Ground:
    """Both systems, while something is planted.

    Attributes:
        dataverse: Raw rows of Dataverse.
        finance: Raw rows of Finance.
        rng: The only source of chance.
        companies: Codes of the integrated companies.
        now: The time in the sandbox, ISO.
        young: A moment ten minutes before, ISO: too young to be judged.
        old: A moment thirty hours before, ISO: old enough.
        taken: What earlier plants touch.
    """

    dataverse_tx: Tx
    finance_tx: Tx
    rng: random.Random
    companies: tuple[str, ...]
    taken: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.dataverse = Raw(self.dataverse_tx)
        self.finance = Raw(self.finance_tx)
        now = self.dataverse_tx.store.clock.now()
        self.now, self.young, self.old = (
            (now - before).strftime("%Y-%m-%dT%H:%M:%SZ")
            for before in (timedelta(0), timedelta(minutes=10), timedelta(hours=30))
        )

    # -- choosing

    def choose(self, rows: Iterable[Row], keys: Callable[[Row], Iterable[object]]) -> Row:
        """A row by chance none of whose keys is taken; they are from now on.

        Raises:
            NothingToPlantOn: There is none.
        """
        free = [row for row in rows if not self.taken.intersection(str(key) for key in keys(row))]
        if not free:
            raise NothingToPlantOn
        chosen = self.rng.choice(free)
        self.take(*keys(chosen))
        return chosen

    def take(self, *keys: object) -> None:
        """Let nobody else touch what goes by these keys."""
        self.taken.update(str(key) for key in keys if key)

    def new_id(self, seed: object) -> str:
        """A GUID that nobody has."""
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{seed}/{self.rng.random()}"))

    def odd_amount(self) -> Decimal:
        """An amount that hardly any other plant has: two of the same on one project could make up for each other."""
        return Decimal(self.rng.randrange(101, 999_999)) / 100

    def new_number(self, like: object) -> str:
        """A number that nobody has, like another one."""
        return f"{str(like)[:13]}-{self.rng.randrange(10**6):06d}"

    # -- what there is

    def rows(self, table: str, **equals: object) -> list[Row]:
        """Rows of Dataverse or Finance."""
        tx = self.dataverse_tx if table in self.dataverse_tx.schema.tables else self.finance_tx
        return tx.find(table, **equals)

    @cached_property
    def areas(self) -> frozenset[str]:
        """``dataAreaId`` of the integrated companies."""
        return frozenset(code.lower() for code in self.companies)

    @cached_property
    def codes(self) -> dict[object, str]:
        """Company code by the id of its ``cdm_company``, integrated ones only."""
        return {
            row["cdm_companyid"]: str(row["cdm_companycode"])
            for row in self.rows("cdm_company")
            if row["cdm_companycode"] in self.companies
        }

    @cached_property
    def numbers(self) -> dict[object, str]:
        """Project number by the id of its ``msdyn_project``."""
        return {row["msdyn_projectid"]: str(row["msdyn_projectnumber"]) for row in self.rows("msdyn_project")}

    def code(self, row: Row, column: str = "msdyn_owningcompany") -> str:
        """The company of a Dataverse row; empty where it is not integrated."""
        return self.codes.get(row[column], "")


def exact(row: Row, column: str) -> Decimal:
    """A number of a row; nothing counts as 0."""
    value = row[column]
    return value if isinstance(value, Decimal) else Decimal(0)


def book(ground: Ground, of: Row, amount: Decimal, other: str, posting_type: str, account: str = "140500") -> str:
    """Book an amount by hand.

    Args:
        ground: What it stands on.
        of: A row of the company.
        amount: What is debited to the account; a credit where negative.
        other: The main account of the other side.
        posting_type: Posting type of the account.
        account: Its main account.

    Returns:
        The voucher.
    """
    voucher = f"GNJ-{ground.rng.randrange(10**8):08d}"
    for line, (main, kind, value) in enumerate(
        ((account, posting_type, amount), (other, "LedgerJournal", -amount)), start=1
    ):
        entry = {
            "dataAreaId": of["dataAreaId"],
            "Voucher": voucher,
            "LineNumber": line,
            "AccountingDate": ground.now[:10],
            "MainAccount": main,
            "PostingType": kind,
            "Debit": max(value, Decimal(0)),
            "Credit": max(-value, Decimal(0)),
        }
        ground.finance.add("LedgerEntries", entry)
    return voucher
