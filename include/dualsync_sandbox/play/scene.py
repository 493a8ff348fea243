"""What an event of a play works on, and how it chooses: projects with leaf tasks, people, products, earlier entries."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from dualsync_sandbox.business.dataverse.actuals import on_invoice, standing, taken_over
from dualsync_sandbox.business.dataverse.choices import EntryStatus, ExpenseStatus, TransactionClass
from dualsync_sandbox.business.dataverse.contracts.engagement import engagement_of
from dualsync_sandbox.business.dataverse.entries.approvals import STATUS
from dualsync_sandbox.business.dataverse.entries.work import TABLES
from dualsync_sandbox.business.parameters import Parameters
from dualsync_sandbox.errors import SandboxError

if TYPE_CHECKING:
    from dualsync_sandbox.clock import Clock
    from dualsync_sandbox.store import Row, Store, Tx

T = TypeVar("T")
#: What an event says it did, as plain values for JSON.
Facts = dict[str, object]
#: Takes the scene, the code of a company, and the number of a project or ``None``.
Event = Callable[["Scene", str, "str | None"], Facts]

_SPACE = uuid.UUID("3c0d7f55-6a8e-4c07-8f0b-2f2d1c1f9b42")
_CONSIDERED = 60
"""Projects of a company that a play works on at most, and earlier entries it looks back at."""


class NothingToPlay(SandboxError):
    """The rows an event needs are not there (yet)."""


@dataclass(frozen=True, slots=True)
class Site:
    """An open project and its leaf tasks."""

    project: Row
    leaves: tuple[Row, ...]
    billable: bool

    @property
    def id(self) -> str:
        """Record id of the project."""
        return str(self.project["msdyn_projectid"])

    @property
    def number(self) -> str:
        """Number of the project."""
        return str(self.project["msdyn_projectnumber"])


@dataclass(slots=True)
class Scene:
    """Where events happen.

    Attributes:
        dataverse: The store of Dataverse.
        finance: The store of Finance.
        clock: The time of both.
        rng: Where chance comes from.
        name: What ids of new entries are made of, beside their number.
        parameters: Price lists and the like.
    """

    dataverse: Store
    finance: Store
    clock: Clock
    rng: random.Random
    name: str
    parameters: Parameters = field(default_factory=Parameters)
    _sites: dict[str, list[Site]] = field(default_factory=dict)

    @property
    def today(self) -> str:
        """The day it is, ISO."""
        return self.clock.stamp()[:10]

    def new_id(self, tx: Tx, table: str) -> str:
        """Return the id of the next row of a table: the same for the same play on the same rows."""
        return str(uuid.uuid5(_SPACE, f"{self.name}/{table}/{tx.count(table)}"))

    def one_of(self, what: Sequence[T], missing: str) -> T:
        """Return one of several by chance.

        Raises:
            NothingToPlay: There is none; ``missing`` says of what.
        """
        if not what:
            raise NothingToPlay(f"There is no {missing}.")
        return self.rng.choice(what)

    def company(self, code: str) -> Row:
        """Return a ``cdm_company`` by its code, in any case."""
        with self.dataverse.reading() as tx:
            company = tx.find_one("cdm_company", cdm_companycode=code)
        if company is None:
            raise NothingToPlay(f"There is no company {code}.")
        return company

    def sites(self, code: str) -> list[Site]:
        """Return open projects of a company that have tasks, those of the start of the play."""
        if code not in self._sites:
            company = self.company(code)
            with self.dataverse.reading() as tx:
                found = (
                    self._site(tx, project)
                    for project in tx.scan("msdyn_project", msdyn_owningcompany=company["cdm_companyid"], statecode=0)
                )
                self._sites[code] = list(islice((site for site in found if site.leaves), _CONSIDERED))
        return self._sites[code]

    def look_again(self, code: str, site: Site) -> None:
        """Take note that an event has changed what a project is booked on."""
        sites = self.sites(code)
        with self.dataverse.reading() as tx:
            for place, known in enumerate(sites):
                if known.id == site.id:
                    project = tx.get("msdyn_project", site.id)
                    assert project is not None
                    sites[place] = self._site(tx, project)

    @staticmethod
    def _site(tx: Tx, project: Row) -> Site:
        tasks = tx.find("msdyn_projecttask", msdyn_project=project["msdyn_projectid"])
        above = {task["msdyn_parenttask"] for task in tasks}
        leaves = tuple(task for task in tasks if task["msdyn_projecttaskid"] not in above)
        place = engagement_of(tx, project["msdyn_projectid"], TransactionClass.TIME)
        return Site(project, leaves, place.billable)

    def site(self, code: str, number: str | None, *, billable: bool | None = None) -> Site:
        """Return a project to work on: the one named, or one by chance.

        Args:
            code: Company code.
            number: Project number.
            billable: Only projects whose time is billed as it is worked, or only others.
        """
        if number is None:
            candidates = [site for site in self.sites(code) if billable is None or site.billable is billable]
            return self.one_of(candidates, f"open project of {code} with tasks")
        with self.dataverse.reading() as tx:
            owner = self.company(code)["cdm_companyid"]
            project = tx.find_one("msdyn_project", msdyn_projectnumber=number, msdyn_owningcompany=owner)
            if project is None:
                raise NothingToPlay(f"There is no project {number} in {code}.")
            return self._site(tx, project)

    def known_site(self, code: str, number: str | None = None) -> Site:
        """Return a project that Finance knows too: the one named, or one by chance."""
        if number is not None:
            return self.site(code, number)
        with self.finance.reading() as tx:
            sites = [
                site
                for site in self.sites(code)
                if tx.find_one("ProjectsV2", dataAreaId=code.lower(), ProjectId=site.number) is not None
            ]
        return self.one_of(sites, f"project of {code} that Finance knows")

    def known_task(self, site: Site) -> str:
        """Return the number of a leaf task by chance; empty where Finance does not know it."""
        number = str(self.one_of(site.leaves, f"task in {site.number}")["msdyn_tasknumber"])
        with self.finance.reading() as tx:
            known = tx.find_one("ProjectTasks", ProjectId=site.number, TaskId=number)
        return number if known is not None else ""

    def worker(self, code: str) -> Row:
        """Return a resource at home in a company."""
        company = self.company(code)["cdm_companyid"]
        with self.dataverse.reading() as tx:
            units = tx.find("msdyn_organizationalunit", msdyn_company=company)
            at_home = [
                resource
                for unit in units
                for resource in tx.find(
                    "bookableresource", msdyn_organizationalunit=unit["msdyn_organizationalunitid"], statecode=0
                )
            ]
        return self.one_of(at_home, f"resource of {code}")

    def role(self) -> Row:
        """Return a resource role."""
        with self.dataverse.reading() as tx:
            return self.one_of(tx.find("bookableresourcecategory", statecode=0), "resource role")

    def category(self, *names: str) -> Row:
        """Return a transaction category of one of these names."""
        with self.dataverse.reading() as tx:
            found = [row for name in names for row in tx.find("msdyn_transactioncategory", msdyn_name=name)]
        return self.one_of(found, f"transaction category {' or '.join(names)}")

    def product(self) -> Row:
        """Return a product."""
        with self.dataverse.reading() as tx:
            return self.one_of(list(islice(tx.scan("product", statecode=0), _CONSIDERED)), "product")

    def approved_entries(self, code: str, project_id: str | None = None) -> list[tuple[TransactionClass, str]]:
        """Return class and id of the latest approved entries of time and material that can still be taken back."""
        owner = self.company(code)["cdm_companyid"]
        found: list[tuple[TransactionClass, str]] = []
        with self.dataverse.reading() as tx:
            for kind in (TransactionClass.TIME, TransactionClass.MATERIAL):
                table, wanted = TABLES[kind], {STATUS[kind]: EntryStatus.APPROVED, "msdyn_owningcompany": owner}
                if project_id is not None:
                    wanted["msdyn_project"] = project_id
                for entry in tx.find(table, **wanted)[-_CONSIDERED:]:
                    rows = standing(tx, entry[f"{table}id"])
                    if rows and not on_invoice(rows) and not taken_over(tx, entry[f"{table}id"]):
                        found.append((kind, str(entry[f"{table}id"])))
        return found

    def submitted_entries(self, code: str, project_id: str | None = None) -> list[tuple[TransactionClass, str]]:
        """Return class and id of entries that wait for approval."""
        owner = self.company(code)["cdm_companyid"]
        found = []
        with self.dataverse.reading() as tx:
            for kind, table in TABLES.items():
                waiting = ExpenseStatus.SUBMITTED if kind == TransactionClass.EXPENSE else EntryStatus.SUBMITTED
                wanted: Row = {STATUS[kind]: waiting, "msdyn_owningcompany": owner}
                if project_id is not None:
                    wanted["msdyn_project"] = project_id
                found += [(kind, str(entry[f"{table}id"])) for entry in tx.find(table, **wanted)]
        return found

    def hours(self) -> Decimal:
        """Return hours of a working day, in quarters."""
        return Decimal(self.rng.randrange(4, 37)) / 4


def made(rows: list[Row], **more: object) -> Facts:
    """The ids of actuals that an event made, with more that is told of it."""
    return {"actuals": [row["msdyn_actualid"] for row in rows], **more}
