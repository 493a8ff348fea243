"""Contracts, lines, contract customers, projects, task trees and milestones, as users of Dataverse enter them.

One engagement is a contract with what belongs to it, or a project without a contract. Everything is yielded row by row,
so that a hundred thousand projects need no more memory than ten.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from dualsync_sandbox.business.dataverse.contracts.customers import WORK_BASED, contract_customer
from dualsync_sandbox.business.dataverse.numbers import AUTO_NUMBERS
from dualsync_sandbox.seed import dataverse, words
from dualsync_sandbox.seed.masters import FOREIGN

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from dualsync_sandbox.seed.companies import Company
    from dualsync_sandbox.seed.estimates import Planner
    from dualsync_sandbox.seed.ids import Numbers
    from dualsync_sandbox.store import Row

Kind = Literal["internal", "time", "fixed", "mixed", "both"]

ITEM_BASED = 192350000
ACTIVE, CONFIRMED = 192350002, 192350003
PROJECT_SERVICE, PRODUCT = 5, 1
SERVICE_LINE = 690970000
TIME_AND_MATERIAL, FIXED_PRICE = 192350000, 192350001
NOT_READY, MILESTONE_CLASS, UNBILLED_SALES = 192350000, 192350003, 192350005
INACTIVE, CLOSED = 1, 192350000
NOT_CONFIGURED = 2
"""Options of the Dataverse columns, as published for the tables."""

TABLES = (
    "salesorder",
    "msdyn_projectcontractsplitbillingrule",
    "msdyn_project",
    "msdyn_projecttask",
    "salesorderdetail",
    "msdyn_contractlinescheduleofvalue",
    "quote",
    "msdyn_resourceassignment",
    "msdyn_estimateline",
)
"""The tables of engagements, those referred to before those that refer to them."""

_FIRST_START = date(2025, 1, 6)
_SIDE_EVERY = 50  # engagements per item-based order and quote


@dataclass(frozen=True, slots=True)
class Plan:
    """What an engagement is made of.

    Attributes:
        kind: A project without contract, one time and material line, one fixed-price line, one of each on two
            projects, or one of each on the same project.
        person: The customer is a private person.
        two_customers: A second contract customer shares the bill.
        product_line: The contract has a product line as well, which is no project contract line.
        foreign: The contract is in the company's other currency.
        closed: The projects are closed.
    """

    kind: Kind
    person: bool = False
    two_customers: bool = False
    product_line: bool = False
    foreign: bool = False
    closed: bool = False


OPENING = (
    Plan("mixed", two_customers=True, product_line=True),
    Plan("fixed"),
    Plan("time"),
    Plan("internal"),
    Plan("both"),
    Plan("time", person=True),
    Plan("fixed", foreign=True),
    Plan("time", closed=True),
)
"""The first engagements of every company, so that each company shows every kind; chance decides on the others."""

_KINDS: tuple[Kind, ...] = ("internal", "time", "fixed", "mixed", "both")
_SHARES = (20, 42, 22, 10, 6)

_TREES: tuple[tuple[int, ...], ...] = (
    (),
    (1,),
    (1, 2, 2),
    (1, 2, 1, 2),
    (1, 2, 3, 3, 2),
    (1, 2, 3, 1, 2, 2),
)
"""Shapes of task trees: the outline level of each task in display order."""
_TREE_SHARES = (15, 20, 25, 20, 12, 8)


@dataclass(frozen=True, slots=True)
class Project:
    """A project as its contract lines and milestones need it."""

    id: str
    title: str
    start: date
    end: date
    first_task: str | None
    leaves: tuple[Row, ...]


class CompanyBooks:
    """Makes the engagements of one company.

    Args:
        company: Whose engagements.
        numbers: The running numbers of the whole seed.
        rng: Where chance comes from.
        accounts: Customers that are organisations.
        contacts: Customers that are persons.
        managers: Ids of the users who manage projects.
        planner: Plans their work.
    """

    def __init__(
        self,
        company: Company,
        numbers: Numbers,
        rng: random.Random,
        accounts: list[dataverse.Party],
        contacts: list[dataverse.Party],
        managers: list[str],
        planner: Planner,
    ) -> None:
        self._company = company
        self._numbers = numbers
        self._ids = numbers.ids
        self._rng = rng
        self._accounts = accounts
        self._contacts = contacts
        self._managers = managers
        self._planner = planner
        self._company_id = dataverse.company_id(self._ids, company)
        self._unit_id = dataverse.unit_id(self._ids, company)

    def rows(self, projects: int) -> Iterator[tuple[str, Row]]:
        """Yield table and row of engagements with this many projects in all."""
        index = 0
        while projects > 0:
            plan = self._plan(index)
            if plan.kind == "mixed" and projects == 1:
                plan = replace(plan, kind="time")
            projects -= 2 if plan.kind == "mixed" else 1
            yield from self._engagement(plan)
            if index % _SIDE_EVERY == 0:
                yield from self._item_order()
                yield "quote", self._quote()
            index += 1

    def _plan(self, index: int) -> Plan:
        if index < len(OPENING):
            return OPENING[index]
        chance = self._rng.random
        return Plan(
            self._rng.choices(_KINDS, _SHARES)[0],
            person=chance() < 0.01,
            two_customers=chance() < 0.03,
            product_line=chance() < 0.05,
            foreign=chance() < 0.08,
            closed=chance() < 0.06,
        )

    def _engagement(self, plan: Plan) -> Iterator[tuple[str, Row]]:
        if plan.kind == "internal":
            project, rows = self._project(plan, None, None, 1)
            yield from rows
            if not plan.closed:
                yield from self._planner.rows(project.id, project.leaves, None)
            return
        customer = self._rng.choice(self._contacts if plan.person else self._accounts)
        currency = FOREIGN[self._company.currency] if plan.foreign else self._company.currency
        contract = self._contract(customer, currency, WORK_BASED)
        yield "salesorder", contract
        yield from self._contract_customers(contract, customer, plan)
        projects = []
        for stage in range(1, 3 if plan.kind == "mixed" else 2):
            project, rows = self._project(plan, contract, customer, stage)
            projects.append(project)
            yield from rows
        methods = {
            "time": (TIME_AND_MATERIAL,),
            "fixed": (FIXED_PRICE,),
            "mixed": (TIME_AND_MATERIAL, FIXED_PRICE),
            "both": (TIME_AND_MATERIAL, FIXED_PRICE),
        }[plan.kind]
        for sequence, method in enumerate(methods, start=1):
            project = projects[min(sequence, len(projects)) - 1]
            line = self._line(contract, sequence, method, project)
            yield "salesorderdetail", line
            if method == FIXED_PRICE:
                yield from self._milestones(line, project)
            if not plan.closed and not (plan.kind == "both" and sequence > 1):
                yield from self._planner.rows(project.id, project.leaves, line)
        if plan.product_line:
            yield "salesorderdetail", self._product_line(contract, len(methods) + 1)

    def _contract(self, customer: dataverse.Party, currency: str, order_type: int) -> Row:
        title = f"{self._rng.choice(words.WORKS)}, {self._rng.choice(words.PLACES)}"
        return {
            **self._numbers.numbered("salesorder"),
            "name": title,
            "customerid": customer.id,
            "customerid@type": customer.table,
            "transactioncurrencyid": dataverse.currency_id(self._ids, currency),
            "msdyn_company": self._company_id,
            "msdyn_contractorganizationalunitid": self._unit_id,
            "msdyn_paymentterms": dataverse.named_id(self._ids, "msdyn_paymentterm", self._company, customer.terms),
            "msdyn_ordertype": order_type,
            "msdyn_psastate": ACTIVE,
            "msdyn_psastatusreason": CONFIRMED,
            "msdyn_accountmanagerid": self._rng.choice(self._managers),
            "ispricelocked": False,
        }

    def _contract_customers(self, contract: Row, customer: dataverse.Party, plan: Plan) -> Iterator[tuple[str, Row]]:
        """The contract's own customer; users added a second one where two share the bill [C2]."""
        sharing = [customer]
        if plan.two_customers:
            sharing.append(self._rng.choice([party for party in self._accounts[:50] if party.id != customer.id]))
        for party in sharing:
            named = {**contract, "customerid": party.id, "customerid@type": party.table}
            row = contract_customer(named, party.name, party.terms)
            _, sequence = self._numbers.new("msdyn_projectcontractsplitbillingrule")
            number = AUTO_NUMBERS["msdyn_projectcontractsplitbillingrule"]
            row[number.column] = number.value(sequence, str(row[f"{number.table}id"]))
            yield number.table, row

    def _project(
        self, plan: Plan, contract: Row | None, customer: dataverse.Party | None, stage: int
    ) -> tuple[Project, list[tuple[str, Row]]]:
        """Return a project with its rows; a contract line ties it to the contract, so it carries the contract's id."""
        rng = self._rng
        start = _FIRST_START + timedelta(days=rng.randrange(0, 600))
        end = start + timedelta(days=rng.randrange(20, 300))
        title = str(contract["name"]) if contract else f"{rng.choice(words.WORKS)}, {self._company.name}"
        if stage > 1:
            title += f", stage {stage}"
        numbered = self._numbers.numbered("msdyn_project")
        project_id = str(numbered["msdyn_projectid"])
        row: Row = {
            **numbered,
            "msdyn_subject": title,
            "msdyn_description": rng.choice(
                ("Agreed with the customer at the kick-off.", "See the project handbook.", None)
            ),
            "msdyn_owningcompany": self._company_id,
            "msdyn_contractorganizationalunitid": self._unit_id,
            "msdyn_customer": customer.id if customer and customer.table == "account" else None,
            "msdyn_salesorderid": contract["salesorderid"] if contract else None,
            "msdyn_projectmanager": rng.choice(self._managers),
            "transactioncurrencyid": dataverse.currency_id(self._ids, self._company.currency),
            "msdyn_scheduledstart": f"{start}T08:00:00Z",
            "msdyn_finish": str(end),
            "msdyn_actualstart": f"{start}T08:00:00Z" if plan.closed or rng.random() < 0.5 else None,
            "msdyn_actualend": f"{end}T17:00:00Z" if plan.closed else None,
            "msdyn_istemplate": False,
            "statecode": INACTIVE if plan.closed else 0,
            "statuscode": CLOSED if plan.closed else 1,
        }
        tasks = list(self._tasks(project_id, start, end))
        first = str(tasks[0]["msdyn_projecttaskid"]) if tasks else None
        above = {task["msdyn_parenttask"] for task in tasks}
        leaves = tuple(task for task in tasks if task["msdyn_projecttaskid"] not in above)
        rows = [("msdyn_project", row), *(("msdyn_projecttask", task) for task in tasks)]
        return Project(project_id, title, start, end, first, leaves), rows

    def _tasks(self, project_id: str, start: date, end: date) -> Iterator[Row]:
        levels = self._rng.choices(_TREES, _TREE_SHARES)[0]
        above: dict[int, str] = {}
        places: dict[int, int] = defaultdict(int)
        for position, level in enumerate(levels, start=1):
            places[level] += 1
            for lower in [other for other in places if other > level]:
                del places[lower]
            row = self._numbers.numbered("msdyn_projecttask")
            above[level] = str(row["msdyn_projecttaskid"])
            top = words.PHASES[(places[level] - 1) % len(words.PHASES)]
            yield row | {
                "msdyn_subject": top if level == 1 else self._rng.choice(words.STEPS),
                "msdyn_project": project_id,
                "msdyn_owningcompany": self._company_id,
                "msdyn_parenttask": above[level - 1] if level > 1 else None,
                "msdyn_outlinelevel": level,
                "msdyn_displaysequence": Decimal(position),
                "msdyn_wbsid": ".".join(str(places[upper]) for upper in range(1, level + 1)),
                "msdyn_start": f"{start}T08:00:00Z",
                "msdyn_finish": f"{end}T17:00:00Z",
            }

    def _line(self, contract: Row, sequence: int, method: int, project: Project) -> Row:
        fixed = method == FIXED_PRICE
        amount = Decimal(self._rng.randrange(4_000, 250_000, 250))
        return {
            **self._numbers.numbered("salesorderdetail"),
            "salesorderid": contract["salesorderid"],
            "salesorderdetailname": f"Line {sequence}",
            "producttypecode": PROJECT_SERVICE,
            "propertyconfigurationstatus": NOT_CONFIGURED,
            "msdyn_linetype": SERVICE_LINE,
            "sequencenumber": sequence,
            "productdescription": f"{project.title}: {'fixed price' if fixed else 'time and material'}",
            "msdyn_project": project.id,
            "msdyn_billingmethod": method,
            "msdyn_includetime": True,
            "msdyn_includeexpense": not fixed,
            "msdyn_includematerial": self._rng.random() < 0.3,
            "msdyn_includefee": True,
            "quantity": Decimal(1),
            "priceperunit": amount,
            "extendedamount": amount,
            "transactioncurrencyid": contract["transactioncurrencyid"],
            "msdyn_company": self._company_id,
            "msdyn_billingstartdate": str(project.start),
            "msdyn_billingenddate": str(project.end),
        }

    def _milestones(self, line: Row, project: Project) -> Iterator[tuple[str, Row]]:
        """The milestones of a line add up to its amount [C5]."""
        parts = self._rng.choice((2, 3, 4))
        amount = line["extendedamount"]
        assert isinstance(amount, Decimal)
        share = (amount / parts).quantize(Decimal("0.01"))
        for place in range(1, parts + 1):
            day = str(project.start + (project.end - project.start) * place / parts)
            yield (
                "msdyn_contractlinescheduleofvalue",
                {
                    **self._numbers.numbered("msdyn_contractlinescheduleofvalue"),
                    "msdyn_name": f"Milestone {place} of {parts}",
                    "msdyn_amount": share if place < parts else amount - share * (parts - 1),
                    "transactioncurrencyid": line["transactioncurrencyid"],
                    "msdyn_contract": line["salesorderid"],
                    "msdyn_contractlineid": line["salesorderdetailid"],
                    "msdyn_project": project.id,
                    "msdyn_projecttask": project.first_task,
                    "msdyn_owningcompany": self._company_id,
                    "msdyn_invoicedate": day,
                    "msdyn_milestonedate": day,
                    "msdyn_invoicestatus": NOT_READY,
                    "msdyn_transactionclassification": MILESTONE_CLASS,
                    "msdyn_transactiontypecode": UNBILLED_SALES,
                },
            )

    def _product_line(self, contract: Row, sequence: int) -> Row:
        """Return a line for a product, which is no project contract line and must not travel."""
        pieces, price = Decimal(self._rng.randrange(1, 20)), Decimal(self._rng.randrange(20, 400))
        return {
            **self._numbers.numbered("salesorderdetail"),
            "salesorderid": contract["salesorderid"],
            "salesorderdetailname": f"Line {sequence}",
            "producttypecode": PRODUCT,
            "propertyconfigurationstatus": NOT_CONFIGURED,
            "sequencenumber": sequence,
            "productname": "Sensor kit",
            "productdescription": "Sensor kit",
            "quantity": pieces,
            "priceperunit": price,
            "extendedamount": pieces * price,
            "transactioncurrencyid": contract["transactioncurrencyid"],
            "msdyn_company": self._company_id,
        }

    def _item_order(self) -> Iterator[tuple[str, Row]]:
        """Yield an order for goods, which is no project contract and must not travel."""
        order = self._contract(self._rng.choice(self._accounts), self._company.currency, ITEM_BASED)
        yield "salesorder", order
        for sequence in (1, 2):
            yield "salesorderdetail", self._product_line(order, sequence)

    def _quote(self) -> Row:
        customer = self._rng.choice(self._accounts)
        quote_id, sequence = self._numbers.new("quote")
        return {
            "quoteid": quote_id,
            "quotenumber": f"QUO-{1000 + sequence:07d}",
            "name": f"{self._rng.choice(words.WORKS)}, {self._rng.choice(words.PLACES)}",
            "customerid": customer.id,
            "customerid@type": customer.table,
            "transactioncurrencyid": dataverse.currency_id(self._ids, self._company.currency),
            "totalamount": Decimal(self._rng.randrange(5_000, 90_000, 500)),
            "msdyn_company": self._company_id,
        }
