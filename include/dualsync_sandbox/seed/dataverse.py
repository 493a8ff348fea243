"""What the users of Dataverse have entered before the first synchronisation, apart from contracts and projects.

Customers that contracts name stand here as accounts and contacts and mostly agree with Finance; a few lack an
attribute and one disagrees, so that adoption has something to settle.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from dualsync_sandbox.business.dataverse.numbers import AUTO_NUMBERS
from dualsync_sandbox.seed import masters
from dualsync_sandbox.seed.companies import COMPANIES, CURRENCIES, NATIVE_RATES, Company

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualsync_sandbox.seed.ids import Ids
    from dualsync_sandbox.store import Row

CUSTOMER, USER, GENERIC = 3, 3, 1
"""Options: ``account.customertypecode`` Customer; ``bookableresource.resourcetype`` User and Generic."""
CHARGEABLE = 192350001
NOT_ON_HOLD = 806380000
_GENDERS = {"Male": 754400000, "Female": 754400001, "None": 754400002, "NonSpecific": 754400003}
_DISPUTED_LIMIT = Decimal(123_456)


@dataclass(frozen=True, slots=True)
class Party:
    """A customer as contracts name it: an account or a contact."""

    table: str
    id: str
    name: str
    terms: str


def rows(data: masters.Masters, ids: Ids) -> Iterator[tuple[str, Row]]:
    """Yield table and row of everything but contracts and projects, what is referred to before what refers to it."""
    yield from _group_wide(ids)
    for company in COMPANIES:
        yield from _reference(company, ids)
    for company in COMPANIES:
        known = [customer for customer in data.customers[company.code] if customer.known]
        for customer in known:
            yield "msdyn_party", _party(customer, ids)
        for index, customer in enumerate(known):
            if customer.person:
                yield "contact", _contact(company, customer, ids)
            else:
                yield "account", _account(company, index, customer, ids)
    yield from _people(data.workers, ids)


def contract_parties(company: Company, data: masters.Masters, ids: Ids, *, persons: bool) -> list[Party]:
    """Return the customers of a company that contracts may name: organisations, or ``persons``."""
    table = "contact" if persons else "account"
    return [
        Party(table, ids(table, f"{company.code}/{customer.number}"), customer.name, customer.terms)
        for customer in data.customers[company.code]
        if customer.known and customer.person is persons
    ]


def managers(data: masters.Masters, ids: Ids) -> list[str]:
    """Return the ids of the users who manage projects: at most 200 of the workers Dataverse knows."""
    return [ids("systemuser", worker.number) for worker in data.workers if worker.known][:200]


def company_id(ids: Ids, company: Company) -> str:
    """Return the id of a company's ``cdm_company`` row."""
    return ids("cdm_company", company.code)


def currency_id(ids: Ids, code: str) -> str:
    """Return the id of a currency's ``transactioncurrency`` row."""
    return ids("transactioncurrency", code)


def named_id(ids: Ids, table: str, company: Company, name: str) -> str:
    """Return the id of a company's reference row (payment terms, groups, ...)."""
    return ids(table, f"{company.code}/{name}")


def unit_id(ids: Ids, company: Company) -> str:
    """Return the id of a company's contracting unit."""
    return ids("msdyn_organizationalunit", company.code)


def category_id(ids: Ids, name: str) -> str:
    """Return the id of a transaction category."""
    return ids("msdyn_transactioncategory", masters.CATEGORIES.index(name))


def role_id(ids: Ids, name: str) -> str:
    """Return the id of a resource role."""
    return ids("bookableresourcecategory", masters.ROLES.index(name))


def unit_of_measure_id(ids: Ids, symbol: str) -> str:
    """Return the id of a unit of measure."""
    return ids("uom", symbol)


def product_id(ids: Ids, number: str) -> str:
    """Return the id of a product."""
    return ids("product", number)


def resources(company: Company, data: masters.Masters, ids: Ids) -> list[tuple[str, str]]:
    """Return id and name of resources that a company assigns: at most 200 of its own workers, or generic ones."""
    own = [worker for worker in data.workers if worker.known and worker.home == company.code][:200]
    if own:
        return [(ids("bookableresource", worker.number), worker.name) for worker in own]
    return [(ids("bookableresource", f"generic/{index}"), name) for index, name in enumerate(masters.ROLES)]


def _group_wide(ids: Ids) -> Iterator[tuple[str, Row]]:
    yield (
        "systemuser",
        {
            "systemuserid": ids("systemuser", "administrator"),
            "fullname": "System Administrator",
            "internalemailaddress": "administrator@larkmoor.example",
            "isdisabled": False,
        },
    )
    for code, (name, symbol) in CURRENCIES.items():
        yield (
            "transactioncurrency",
            {
                "transactioncurrencyid": currency_id(ids, code),
                "isocurrencycode": code,
                "currencyname": name,
                "currencysymbol": symbol,
                "currencyprecision": 2,
                "exchangerate": Decimal(NATIVE_RATES[code]),
            },
        )
    for company in COMPANIES:
        yield (
            "cdm_company",
            {
                "cdm_companyid": company_id(ids, company),
                "cdm_companycode": company.code,
                "cdm_name": company.name,
                "cdm_isenabledfordualwrite": company.integrated,
            },
        )
        yield (
            "msdyn_organizationalunit",
            {
                "msdyn_organizationalunitid": unit_id(ids, company),
                "msdyn_name": f"{company.name} delivery",
                "msdyn_company": company_id(ids, company),
                "transactioncurrencyid": currency_id(ids, company.currency),
            },
        )
    number = AUTO_NUMBERS["msdyn_transactioncategory"]
    for index, name in enumerate(masters.CATEGORIES):
        row_id = category_id(ids, name)
        yield (
            "msdyn_transactioncategory",
            {
                "msdyn_transactioncategoryid": row_id,
                number.column: number.value(index, row_id),
                "msdyn_name": name,
                "msdyn_billingtype": CHARGEABLE,
            },
        )
    number = AUTO_NUMBERS["bookableresourcecategory"]
    for index, name in enumerate(masters.ROLES):
        row_id = role_id(ids, name)
        yield (
            "bookableresourcecategory",
            {
                "bookableresourcecategoryid": row_id,
                number.column: number.value(index, row_id),
                "name": name,
                "msdyn_billingtype": CHARGEABLE,
                "msdyn_transactioncategory": category_id(ids, masters.ROLE_CATEGORIES.get(name, masters.CATEGORIES[0])),
            },
        )
    for symbol, name in masters.UNITS.items():
        yield "uom", {"uomid": unit_of_measure_id(ids, symbol), "msdyn_symbol": symbol, "name": name}
    for product, name in masters.PRODUCTS.items():
        named = {"productnumber": product, "msdyn_productnumber": product, "name": name}
        yield "product", {"productid": product_id(ids, product), **named}


def _reference(company: Company, ids: Ids) -> Iterator[tuple[str, Row]]:
    kept = (
        ("msdyn_paymentterm", "msdyn_name", masters.PAYMENT_TERMS),
        ("msdyn_customergroup", "msdyn_groupid", masters.CUSTOMER_GROUPS),
        ("msdyn_customerpaymentmethod", "msdyn_name", masters.PAYMENT_METHODS),
        ("msdyn_taxgroup", "msdyn_name", {group: f"Sales tax group {group}" for group in company.tax_groups}),
    )
    for table, column, values in kept:
        for name, description in values.items():
            yield (
                table,
                {
                    f"{table}id": named_id(ids, table, company, name),
                    column: name,
                    "msdyn_description": description,
                    "msdyn_company": company_id(ids, company),
                },
            )


def _party(customer: masters.Customer, ids: Ids) -> Row:
    return {
        "msdyn_partyid": ids("msdyn_party", customer.party),
        "msdyn_partynumber": customer.party,
        "msdyn_name": customer.name,
    }


def _account(company: Company, index: int, customer: masters.Customer, ids: Ids) -> Row:
    row = {
        "accountid": ids("account", f"{company.code}/{customer.number}"),
        "accountnumber": customer.number,
        "name": customer.name,
        "customertypecode": CUSTOMER,
        "msdyn_company": company_id(ids, company),
        "msdyn_partyid": ids("msdyn_party", customer.party),
        "transactioncurrencyid": currency_id(ids, customer.currency),
        "msdyn_customergroupid": named_id(ids, "msdyn_customergroup", company, customer.group),
        "msdyn_paymentterm": named_id(ids, "msdyn_paymentterm", company, customer.terms),
        "msdyn_customerpaymentmethod": named_id(ids, "msdyn_customerpaymentmethod", company, customer.method),
        "msdyn_salestaxgroup": named_id(ids, "msdyn_taxgroup", company, customer.tax_group),
        "creditlimit": customer.credit_limit,
        "msdyn_creditlimitismandatory": customer.credit_limit_is_mandatory,
        "msdyn_creditrating": customer.rating or None,
        "description": customer.memo or None,
        "msdyn_identificationnumber": customer.registration or None,
        "msdyn_partycountry": company.country,
        "msdyn_onetimecustomer": False,
        "msdyn_onholdstatus": NOT_ON_HOLD,
    }
    if customer.invoice_account:
        row["msdyn_billingaccount"] = ids("account", f"{company.code}/{customer.invoice_account}")
    if index % 7 == 3:  # never filled in by the users
        row["msdyn_paymentterm"] = row["creditlimit"] = None
    if company.code == "USPM" and index == 1:  # a user entered another limit
        row["creditlimit"] = _DISPUTED_LIMIT
    return row


def _contact(company: Company, customer: masters.Customer, ids: Ids) -> Row:
    return {
        "contactid": ids("contact", f"{company.code}/{customer.number}"),
        "msdyn_contactpersonid": customer.number,
        "fullname": customer.name,
        "firstname": customer.given,
        "lastname": customer.family,
        "msdyn_company": company_id(ids, company),
    }


def _people(workers: list[masters.Worker], ids: Ids) -> Iterator[tuple[str, Row]]:
    for worker in workers:
        if not worker.known:
            continue
        user_id, worker_id = ids("systemuser", worker.number), ids("cdm_worker", worker.number)
        yield (
            "systemuser",
            {
                "systemuserid": user_id,
                "fullname": worker.name,
                "firstname": worker.given,
                "lastname": worker.family,
                "internalemailaddress": worker.email,
                "employeeid": worker.number,
                "isdisabled": False,
            },
        )
        yield (
            "cdm_worker",
            {
                "cdm_workerid": worker_id,
                "cdm_workernumber": worker.number,
                "cdm_firstname": worker.given,
                "cdm_lastname": worker.family,
                "cdm_fullname": worker.name,
                "cdm_type": 754400001 if worker.contractor else 754400000,
                "cdm_status": 754400000,
                "cdm_primaryemailaddress": worker.email,
                "cdm_primarytelephone": worker.phone,
                "cdm_gender": _GENDERS[worker.gender],
                "cdm_birthdate": worker.born or None,
            },
        )
        yield (
            "bookableresource",
            {
                "bookableresourceid": ids("bookableresource", worker.number),
                "name": worker.name,
                "resourcetype": USER,
                "userid": user_id,
                "cdm_workerid": worker_id,
                "msdyn_organizationalunit": ids("msdyn_organizationalunit", worker.home),
            },
        )
    for index, name in enumerate(masters.ROLES):
        yield (
            "bookableresource",
            {"bookableresourceid": ids("bookableresource", f"generic/{index}"), "name": name, "resourcetype": GENERIC},
        )
