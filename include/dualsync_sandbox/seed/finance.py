"""What Finance holds before the first synchronisation: everything it is the master of, in all four companies."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from dualsync_sandbox.business.dataverse.numbers import AUTO_NUMBERS
from dualsync_sandbox.business.finance.setup.roles import company_roles
from dualsync_sandbox.seed import masters, project_accounting
from dualsync_sandbox.seed.companies import COMPANIES, CURRENCIES, NO_CURRENCY, Company

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualsync_sandbox.business.parameters import Parameters
    from dualsync_sandbox.seed.ids import Ids
    from dualsync_sandbox.store import Row

CHART = "LARKMOOR"
CALENDAR = "CALENDAR"
NEVER = "2154-12-31"
"""The last day Finance knows; it stands where a period has no end."""

_PERIODS = (
    ("2024-01-01", "2024-12-31", Decimal("0.97")),
    ("2025-01-01", "2025-12-31", Decimal("0.99")),
    ("2026-01-01", "2026-06-30", Decimal(1)),
    ("2026-07-01", "2026-12-31", Decimal("1.015")),
    ("2027-01-01", NEVER, Decimal("1.005")),
)
_RATES = {
    ("EUR", "USD"): Decimal("108.42"),
    ("GBP", "USD"): Decimal("127.35"),
    ("GBP", "EUR"): Decimal("117.46"),
    ("CHF", "EUR"): Decimal("104.18"),
}
"""Per 100 units, as Finance quotes rates; invented, but of the usual size."""
_BUDGET_PAIRS = (("EUR", "USD"), ("GBP", "USD"))


def rows(data: masters.Masters, ids: Ids, parameters: Parameters) -> Iterator[tuple[str, Row]]:
    """Yield entity set and row of everything Finance holds, what is referred to before what refers to it."""
    yield from _group_wide(data)
    yield from _exchange_rates()
    for company in COMPANIES:
        yield from _company(company)
    for company in COMPANIES:
        yield from _reference(company)
        yield from _vendors(company, data.vendors[company.code])
        for customer in data.customers[company.code]:
            yield "CustomersV3", _customer(company, customer)
    for worker in data.workers:
        yield "Workers", _worker(worker)
    yield from _roles(ids, parameters)
    yield from project_accounting.group_wide()
    for company in COMPANIES:
        yield from project_accounting.company_rows(company)
    for company in COMPANIES:
        if company.integrated:
            home = [worker for worker in data.workers if worker.home == company.code]
            yield from project_accounting.expense_reports(company, home)


def _group_wide(data: masters.Masters) -> Iterator[tuple[str, Row]]:
    for code, (name, symbol) in CURRENCIES.items():
        yield "Currencies", {"CurrencyCode": code, "Name": name, "Symbol": symbol}
    yield "Currencies", {"CurrencyCode": NO_CURRENCY, "Name": "No currency", "Symbol": ""}
    yield "ExchangeRateTypes", {"Name": "Default", "Description": "Default exchange rates"}
    yield "ExchangeRateTypes", {"Name": "Budget", "Description": "Rates fixed for the budget"}
    yield "ChartOfAccounts", {"ChartOfAccounts": CHART, "Description": "Chart of accounts of the group"}
    yield "FiscalCalendars", {"CalendarId": CALENDAR, "Description": "Calendar year, twelve periods"}
    for company in COMPANIES:
        yield "GlobalParties", _party(f"LE-{company.code}", company.name, person=False)
        for customer in data.customers[company.code]:
            yield "GlobalParties", _party(customer.party, customer.name, person=customer.person)
        for vendor in data.vendors[company.code]:
            yield "GlobalParties", _party(vendor.party, vendor.name, person=vendor.person)
    for worker in data.workers:
        yield "GlobalParties", _party(worker.party, worker.name, person=True)
    for company in COMPANIES:
        for customer in data.customers[company.code]:
            if customer.contact:
                contact = {"ContactForPartyNumber": customer.contact, "PartyNumber": customer.party}
                yield "ContactsForParty", {**contact, "Name": f"Front office, {customer.name}"}


def _party(number: str, name: str, *, person: bool) -> Row:
    return {"PartyNumber": number, "PartyName": name, "PartyType": "Person" if person else "Organization"}


def _exchange_rates() -> Iterator[tuple[str, Row]]:
    kept = [("Default", pair) for pair in _RATES] + [("Budget", pair) for pair in _BUDGET_PAIRS]
    keys = [
        {"ExchangeRateTypeName": kind, "FromCurrencyCode": currency, "ToCurrencyCode": into}
        for kind, (currency, into) in kept
    ]
    for key in keys:
        yield "ExchangeRateCurrencyPairs", {**key, "ExchangeRateDisplayFactor": "Hundred"}
    for key in keys:
        rate = _RATES[key["FromCurrencyCode"], key["ToCurrencyCode"]]
        for first, last, factor in _PERIODS:
            quoted = (rate * factor).quantize(Decimal("0.0001"))
            yield "ExchangeRatesCDSEntity", {**key, "ValidFrom": first, "ValidTo": last, "Rate": quoted}


def _company(company: Company) -> Iterator[tuple[str, Row]]:
    party = f"LE-{company.code}"
    yield (
        "LegalEntities",
        {
            "LegalEntityId": company.code,
            "Name": company.name,
            "CompanyName": company.name,
            "NameAlias": company.code,
            "PartyNumber": party,
            "LanguageId": company.language,
            "AddressCountryRegionId": company.country,
        },
    )
    yield (
        "Companies",
        {
            "DataArea": company.code,
            "Name": company.name,
            "KnownAs": company.code,
            "LanguageId": company.language,
            "PartyNumber": party,
        },
    )
    yield (
        "Ledgers",
        {
            "LegalEntityId": company.code,
            "Name": company.code,
            "Description": company.name,
            "AccountingCurrency": company.currency,
            "ReportingCurrency": "EUR",
            "ExchangeRateType": "Default",
            "BudgetExchangeRateType": "Budget",
            "ReportingCurrencyExchangeRateType": "Default",
            "ChartOfAccounts": CHART,
            "FiscalCalendar": CALENDAR,
            "IsBudgetControlEnabled": "Yes" if company.code == "USPM" else "No",
        },
    )


def _reference(company: Company) -> Iterator[tuple[str, Row]]:
    area = {"dataAreaId": company.area}
    named = (
        ("PaymentTerms", masters.PAYMENT_TERMS),
        ("PaymentDays", masters.PAYMENT_DAYS),
        ("PaymentSchedules", masters.PAYMENT_SCHEDULES),
        ("CustomerPaymentMethods", masters.PAYMENT_METHODS),
        ("VendorPaymentMethods", masters.PAYMENT_METHODS),
    )
    for entity_set, values in named:
        for name, description in values.items():
            yield entity_set, {**area, "Name": name, "Description": description}
    for group, description in masters.CUSTOMER_GROUPS.items():
        yield "CustomerGroups", {**area, "CustomerGroupId": group, "Description": description}
    for group, description in masters.VENDOR_GROUPS.items():
        yield "VendorGroups", {**area, "VendorGroupId": group, "Description": description}
    for group in company.tax_groups:
        yield "TaxGroups", {**area, "TaxGroupCode": group, "Description": f"Sales tax group {group}"}


def _yes(value: bool) -> str:
    return "Yes" if value else "No"


def _customer(company: Company, customer: masters.Customer) -> Row:
    return {
        "dataAreaId": company.area,
        "CustomerAccount": customer.number,
        "PartyType": "Person" if customer.person else "Organization",
        "PartyNumber": customer.party,
        "OrganizationName": customer.name,
        "PersonFirstName": customer.given,
        "PersonLastName": customer.family,
        "NameAlias": customer.name[:20],
        "CustomerGroupId": customer.group,
        "SalesCurrencyCode": customer.currency,
        "PaymentTerms": customer.terms,
        "PaymentMethod": customer.method,
        "PaymentSchedule": customer.schedule,
        "SalesTaxGroup": customer.tax_group,
        "CreditLimit": customer.credit_limit,
        "CreditLimitIsMandatory": _yes(customer.credit_limit_is_mandatory),
        "CreditRating": customer.rating,
        "SalesMemo": customer.memo,
        "IdentificationNumber": customer.registration,
        "InvoiceAccount": customer.invoice_account,
        "ContactPersonId": customer.contact,
        "PartyCountry": company.country,
        "OnHoldStatus": "No",
        "IsOneTimeCustomer": "No",
    }


def _vendors(company: Company, vendors: list[masters.Vendor]) -> Iterator[tuple[str, Row]]:
    for vendor in vendors:
        yield "VendorsV2", _vendor(company, vendor)
    for other in COMPANIES:
        if company.integrated and other.integrated and other != company:
            yield "VendorsV2", _lender(company, other)


def _vendor(company: Company, vendor: masters.Vendor) -> Row:
    return {
        "dataAreaId": company.area,
        "VendorAccountNumber": vendor.number,
        "VendorPartyType": "Person" if vendor.person else "Organization",
        "VendorPartyNumber": vendor.party,
        "VendorOrganizationName": vendor.name,
        "VendorSearchName": vendor.name[:20],
        "VendorGroupId": vendor.group,
        "CurrencyCode": vendor.currency,
        "DefaultPaymentTermsName": vendor.terms,
        "DefaultVendorPaymentMethodName": vendor.method,
        "SalesTaxGroupCode": vendor.tax_group,
        "OrganizationEmployeeAmount": vendor.employees,
        "LanguageId": company.language,
        "OnHoldStatus": "No",
        "IsOneTimeVendor": "No",
        "IsForeignEntity": "No",
    }


def _lender(company: Company, lender: Company) -> Row:
    """Return the vendor that stands for another company of the group [K4]."""
    return {
        "dataAreaId": company.area,
        "VendorAccountNumber": project_accounting.lender_vendor(lender),
        "VendorPartyType": "Organization",
        "VendorPartyNumber": f"LE-{lender.code}",
        "VendorOrganizationName": lender.name,
        "VendorSearchName": lender.name[:20],
        "VendorGroupId": "10",
        "CurrencyCode": company.currency,
        "DefaultPaymentTermsName": "Net30",
        "LanguageId": company.language,
        "OnHoldStatus": "No",
        "IsOneTimeVendor": "No",
        "IsForeignEntity": "No",
    }


def _worker(worker: masters.Worker) -> Row:
    row: Row = {
        "PersonnelNumber": worker.number,
        "FirstName": worker.given,
        "LastName": worker.family,
        "Name": worker.name,
        "PartyNumber": worker.party,
        "PartyType": "Person",
        "WorkerType": "Contractor" if worker.contractor else "Employee",
        "WorkerStatus": "Employed",
        "Gender": worker.gender,
        "PrimaryContactEmail": worker.email,
        "PrimaryContactPhone": worker.phone,
    }
    if worker.born:
        row["BirthDate"] = worker.born
    return row


def _roles(ids: Ids, parameters: Parameters) -> Iterator[tuple[str, Row]]:
    number = AUTO_NUMBERS["bookableresourcecategory"]
    for index, name in enumerate(masters.ROLES[: masters.ROLES_BEFORE]):
        role_id = number.value(index, ids("bookableresourcecategory", index))
        shared: Row = {"RoleId": role_id, "Description": name, "IsCategoryDisabled": "False"}
        yield "ResourceCategoriesShared", shared
        for role in company_roles(shared, parameters):
            yield "ProjectRoles", role
