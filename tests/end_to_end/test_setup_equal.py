"""After the first run everything of the three companies stands on the other side, field by field.

The comparison is written anew here, from the published column pairs: Dataverse's rows are put into Finance's words, by
the numbers that lookups name, and compared with Finance's own. Nothing of the project's maps or steps is used for it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from support.worlds import World

Row = dict[str, Any]
Key = tuple[str, ...]
Side = dict[Key, Row]

INTEGRATED = {"uspm", "gbpm", "frrt"}
ON_HOLD = ("No", "Invoice", "All", "Payment", "Requisition", "Never")
GENDERS = ("Male", "Female", "None", "NonSpecific")


@pytest.fixture(scope="module")
def companies() -> None:
    """All of them."""


def plain(value: Any) -> Any:
    """What a Finance value says: "", the first of January 1900 and 0 say nothing; dates stand at noon."""
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if isinstance(value, (int, Decimal)):
        return Decimal(value).normalize() or None
    if isinstance(value, str) and value.endswith("T12:00:00Z"):
        return None if value.startswith("1900-01-01") else value[:10]
    return value or None


def yes(value: bool | None) -> str:
    """Finance's NoYes; nothing said is No."""
    return "Yes" if value else "No"


def day(value: str | None) -> str | None:
    """The date of a Dataverse date or instant."""
    return value and value[:10]


class Books:
    """Dataverse's rows by table, and what its lookups name."""

    def __init__(self, world: World) -> None:
        self._api = world.dataverse_api
        self._named: dict[str, dict[str, str]] = {}

    def rows(self, table: str, filter: str | None = None) -> list[Row]:
        return self._api.rows(table, filter)

    def name(self, record: str | None, *sets: tuple[str, str, str]) -> str | None:
        """The number of the record that a lookup holds, from tables given as set, id column, number column."""
        if record is None:
            return None
        for entity_set, id_column, column in sets:
            if entity_set not in self._named:
                self._named[entity_set] = {row[id_column]: row[column] for row in self.rows(entity_set)}
            if record in self._named[entity_set]:
                return self._named[entity_set][record]
        raise AssertionError(f"{record} is in none of {sets}")

    def company(self, record: str | None) -> str:
        return str(self.name(record, ("cdm_companies", "cdm_companyid", "cdm_companycode"))).lower()

    def currency(self, record: str | None) -> str | None:
        return self.name(record, ("transactioncurrencies", "transactioncurrencyid", "isocurrencycode"))

    def customer(self, record: str | None) -> str | None:
        """The number of a customer who is an account or a contact."""
        return self.name(
            record, ("accounts", "accountid", "accountnumber"), ("contacts", "contactid", "msdyn_contactpersonid")
        )

    def vendor(self, record: str | None) -> str | None:
        return self.name(record, ("msdyn_vendors", "msdyn_vendorid", "msdyn_vendoraccountnumber"))

    def contract(self, record: str | None) -> str | None:
        return self.name(record, ("salesorders", "salesorderid", "ordernumber"))

    def contract_company(self, record: str) -> str:
        found = {row["salesorderid"]: row["_msdyn_company_value"] for row in self.rows("salesorders")}
        return self.company(found[record])

    def project(self, record: str | None) -> str | None:
        return self.name(record, ("msdyn_projects", "msdyn_projectid", "msdyn_projectnumber"))

    def task(self, record: str | None) -> str | None:
        return self.name(record, ("msdyn_projecttasks", "msdyn_projecttaskid", "msdyn_tasknumber"))

    def terms(self, record: str | None) -> str | None:
        return self.name(record, ("msdyn_paymentterms", "msdyn_paymenttermid", "msdyn_name"))

    def party(self, record: str | None) -> str | None:
        return self.name(record, ("msdyn_parties", "msdyn_partyid", "msdyn_partynumber"))

    def contact(self, record: str | None) -> str | None:
        return self.name(record, ("msdyn_contactforparties", "msdyn_contactforpartyid", "msdyn_contactforpartynumber"))

    def tax_group(self, record: str | None) -> str | None:
        return self.name(record, ("msdyn_taxgroups", "msdyn_taxgroupid", "msdyn_name"))

    def schedule(self, record: str | None) -> str | None:
        return self.name(record, ("msdyn_paymentschedules", "msdyn_paymentscheduleid", "msdyn_name"))

    def payment_day(self, record: str | None) -> str | None:
        return self.name(record, ("msdyn_paymentdays", "msdyn_paymentdayid", "msdyn_name"))

    def rate_type(self, record: str | None) -> str | None:
        return self.name(record, ("msdyn_exchangeratetypes", "msdyn_exchangeratetypeid", "msdyn_name"))


Said = Iterator[tuple[Key, Row]]


def contracts(books: Books) -> Said:
    for row in books.rows("salesorders", "msdyn_ordertype eq 192350001"):
        yield (
            (books.company(row["_msdyn_company_value"]), row["ordernumber"]),
            {
                "Name": row["name"],
                "SalesCurrencyCode": books.currency(row["_transactioncurrencyid_value"]),
                "CustomerAccountNumber": books.customer(row["_customerid_value"]),
                "TermsOfPayment": books.terms(row["_msdyn_paymentterms_value"]),
                "IntegrationSourceDataId": "ProjectOperations",
            },
        )


def contract_lines(books: Books) -> Said:
    for row in books.rows("salesorderdetails", "msdyn_linetype eq 690970000 and producttypecode eq 5"):
        contract = row["_salesorderid_value"]
        yield (
            (books.contract_company(contract), str(books.contract(contract)), str(row["sequencenumber"])),
            {
                "ContractLineId": row["msdyn_contractlinenumber"],
                "Description": row["productdescription"],
                "BillingMethod": {192350000: "TimeMaterial", 192350001: "FixedPrice"}[row["msdyn_billingmethod"]],
                "LineProjectId": books.project(row["_msdyn_project_value"]),
                "AreHourTransactionsIncluded": yes(row["msdyn_includetime"]),
                "AreExpenseTransactionsIncluded": yes(row["msdyn_includeexpense"]),
                "AreItemTransactionsIncluded": yes(row["msdyn_includematerial"]),
                "AreFeeTransactionsIncluded": yes(row["msdyn_includefee"]),
                "LineAmount": row["extendedamount"],
                "StartDate": row["msdyn_billingstartdate"],
                "EndDate": row["msdyn_billingenddate"],
            },
        )


def funding_sources(books: Books) -> Said:
    for row in books.rows("msdyn_projectcontractsplitbillingrules"):
        contract = row["_msdyn_contract_value"]
        yield (
            (books.contract_company(contract), str(books.contract(contract)), row["msdyn_number"]),
            {
                "FundingType": "Customer",
                "CustomerOrOrganization": books.customer(row["_msdyn_contractcustomer_value"]),
                "InvoiceName": row["msdyn_name"],
                "TermsOfPayment": row["msdyn_paymentterms"],
            },
        )


def projects(books: Books) -> Said:
    users = ("systemusers", "systemuserid", "employeeid")
    for row in books.rows("msdyn_projects"):
        yield (
            (books.company(row["_msdyn_owningcompany_value"]), row["msdyn_projectnumber"]),
            {
                "ProjectName": row["msdyn_subject"],
                "Description": row["msdyn_description"],
                "ProjectContractId": books.contract(row["_msdyn_salesorderid_value"]),
                "CustomerAccountNumber": books.customer(row["_msdyn_customer_value"]),
                "ProjectManagerPersonnelNumber": books.name(row["_msdyn_projectmanager_value"], users),
                "ProjectedStartDate": day(row["msdyn_scheduledstart"]),
                "ProjectedEndDate": day(row["msdyn_finish"]),
                "ActualStartDate": day(row["msdyn_actualstart"]),
                "ActualEndDate": day(row["msdyn_actualend"]),
                "ProjectStage": ("InProcess", "Completed")[row["statecode"]],
                "IntegrationSourceDataId": "ProjectOperations",
            },
        )


def project_tasks(books: Books) -> Said:
    owners = {row["msdyn_projectid"]: row["_msdyn_owningcompany_value"] for row in books.rows("msdyn_projects")}
    for row in books.rows("msdyn_projecttasks"):
        project = row["_msdyn_project_value"]
        yield (
            (books.company(owners[project]), str(books.project(project)), row["msdyn_tasknumber"]),
            {
                "TaskElementId": row["msdyn_projecttaskid"],
                "ParentTaskElementId": row["_msdyn_parenttask_value"],
                "TaskName": row["msdyn_subject"],
                "TaskOutlineLevel": row["msdyn_outlinelevel"],
                "TaskDisplaySequence": row["msdyn_displaysequence"],
                "TaskStatus": "Free",
            },
        )


def milestones(books: Books) -> Said:
    lines = ("salesorderdetails", "salesorderdetailid", "msdyn_contractlinenumber")
    for row in books.rows("msdyn_contractlinescheduleofvalues"):
        yield (
            (books.contract_company(row["_msdyn_contract_value"]), row["msdyn_milestonenumber"]),
            {
                "ContractLineMilestoneGuid": row["msdyn_contractlinescheduleofvalueid"],
                "ProjectContractId": books.contract(row["_msdyn_contract_value"]),
                "ContractLineId": books.name(row["_msdyn_contractlineid_value"], lines),
                "ProjectNumber": books.project(row["_msdyn_project_value"]),
                "ActivityNumber": books.task(row["_msdyn_projecttask_value"]),
                "CurrencyCode": books.currency(row["_transactioncurrencyid_value"]),
                "Description": row["msdyn_name"],
                "TransactionDate": row["msdyn_milestonedate"],
                "Amount": row["msdyn_amount"],
                # Finance's own, and told to Dataverse
                "LedgerSalesAmount": row["msdyn_ledgersalesamount"],
                "LedgerTransactionDate": row["msdyn_ledgertransactiondate"],
            },
        )


def roles(books: Books) -> Said:
    for row in books.rows("bookableresourcecategories"):
        yield (
            (row["msdyn_resourcecategorynumber"],),
            {
                "Description": row["name"],
                "IsCategoryDisabled": ("False", "True")[row["statecode"]],
            },
        )


def categories(books: Books) -> Said:
    for row in books.rows("msdyn_transactioncategories"):
        yield (row["msdyn_transactioncategorynumber"],), {"Name": row["msdyn_name"]}


def worker_resources(books: Books) -> Said:
    workers = ("cdm_workers", "cdm_workerid", "cdm_workernumber")
    for row in books.rows("bookableresources", "resourcetype eq 3 and _cdm_workerid_value ne null"):
        yield (row["bookableresourceid"],), {"PersonnelNumber": books.name(row["_cdm_workerid_value"], workers)}


def customers(books: Books) -> Said:
    groups = ("msdyn_customergroups", "msdyn_customergroupid", "msdyn_groupid")
    methods = ("msdyn_customerpaymentmethods", "msdyn_customerpaymentmethodid", "msdyn_name")
    for row in books.rows("accounts", "customertypecode eq 3"):
        yield (
            (books.company(row["_msdyn_company_value"]), row["accountnumber"]),
            {
                "SalesCurrencyCode": books.currency(row["_transactioncurrencyid_value"]),
                "CustomerGroupId": books.name(row["_msdyn_customergroupid_value"], groups),
                "InvoiceAccount": books.customer(row["_msdyn_billingaccount_value"]),
                "PaymentDay": books.payment_day(row["_msdyn_paymentday_value"]),
                "PaymentMethod": books.name(row["_msdyn_customerpaymentmethod_value"], methods),
                "PaymentSchedule": books.schedule(row["_msdyn_paymentschedule_value"]),
                "PaymentTerms": books.terms(row["_msdyn_paymentterm_value"]),
                "VendorAccount": books.vendor(row["_msdyn_vendor_value"]),
                "PartyNumber": books.party(row["_msdyn_partyid_value"]),
                "ContactPersonId": books.contact(row["_msdyn_primarycontact_value"]),
                "SalesTaxGroup": books.tax_group(row["_msdyn_salestaxgroup_value"]),
                "CreditLimit": row["creditlimit"],
                "SalesMemo": row["description"],
                "CreditLimitIsMandatory": yes(row["msdyn_creditlimitismandatory"]),
                "CreditRating": row["msdyn_creditrating"],
                "IdentificationNumber": row["msdyn_identificationnumber"],
                "IsOneTimeCustomer": yes(row["msdyn_onetimecustomer"]),
                "OnHoldStatus": ON_HOLD[row["msdyn_onholdstatus"] - 806380000],
                "PartyCountry": row["msdyn_partycountry"],
                "PartyState": row["msdyn_partystateprovince"],
                "PaymentTermsBaseDays": row["msdyn_paymenttermsbasedays"],
                "TaxExemptNumber": row["msdyn_taxexemptnumber"],
                "PartyType": "Organization",
            },
        )


def contacts(books: Books) -> Said:
    for row in books.rows("contacts", "msdyn_contactpersonid ne null"):
        yield (
            (books.company(row["_msdyn_company_value"]), row["msdyn_contactpersonid"]),
            {
                "OrganizationName": row["lastname"],
                "PartyType": "Person",
            },
        )


def vendors(books: Books) -> Said:
    groups = ("msdyn_vendorgroups", "msdyn_vendorgroupid", "msdyn_vendorgroup")
    methods = ("msdyn_vendorpaymentmethods", "msdyn_vendorpaymentmethodid", "msdyn_name")
    for row in books.rows("msdyn_vendors"):
        yield (
            (books.company(row["_msdyn_company_value"]), row["msdyn_vendoraccountnumber"]),
            {
                "VendorGroupId": books.name(row["_msdyn_vendorgroupid_value"], groups),
                "DefaultPaymentDayName": books.payment_day(row["_msdyn_defaultpaymentdayname_value"]),
                "DefaultPaymentScheduleName": books.schedule(row["_msdyn_paymentschedule_value"]),
                "DefaultPaymentTermsName": books.terms(row["_msdyn_paymentterms_value"]),
                "VendorPartyNumber": books.party(row["_msdyn_partyid_value"]),
                "CurrencyCode": books.currency(row["_msdyn_currencycode_value"]),
                "DefaultVendorPaymentMethodName": books.name(row["_msdyn_vendorpaymentmethod_value"], methods),
                "InvoiceVendorAccountNumber": books.vendor(row["_msdyn_invoicevendoraccountnumber_value"]),
                "SalesTaxGroupCode": books.tax_group(row["_msdyn_taxgroup_value"]),
                "PrimaryContactPersonId": books.contact(row["_msdyn_primarycontact_value"]),
                "VendorPartyType": "Person" if row["msdyn_isperson"] else "Organization",
                "CreditLimit": row["msdyn_vendorcreditlimit"],
                "OnHoldStatus": ON_HOLD[row["msdyn_onholdstatus"] - 806380000],
                "VendorHoldReleaseDate": row["msdyn_vendoronholdreleasedate"],
                "CreditRating": row["msdyn_creditrating"],
                "DUNSNumber": row["msdyn_dunsnumber"],
                "EthnicOriginId": row["msdyn_ethnicorigin"],
                "OurAccountNumber": row["msdyn_ourvendoraccountnumber"],
                "PaymentId": row["msdyn_paymentid"],
                "PrimaryURL": row["msdyn_primarycontacturl"],
                "OrganizationEmployeeAmount": row["msdyn_numberofemployees"],
                "IsForeignEntity": yes(row["msdyn_isforeignentity"]),
                "IsOneTimeVendor": yes(row["msdyn_isonetimevendor"]),
                "HasOnlyTakenBids": yes(row["msdyn_hasonlytakenbids"]),
                "IsMinorityOwned": yes(row["msdyn_isminorityowned"]),
                "IsVendorLocallyOwned": yes(row["msdyn_isvendorlocallyowned"]),
                "IsServiceVeteranOwned": yes(row["msdyn_isserviceveteranowned"]),
                "IsOwnerDisabled": yes(row["msdyn_ownerisdisabled"]),
                "IsWomanOwner": yes(row["msdyn_womanowner"]),
                "IsVendorLocatedInHUBZone": yes(row["msdyn_isvendorlocatedinhubzone"]),
                "ArePricesIncludingSalesTax": yes(row["msdyn_priceincludessalestax"]),
            },
        )


def workers(books: Books) -> Said:
    for row in books.rows("cdm_workers"):
        yield (
            (row["cdm_workernumber"],),
            {
                "FirstName": row["cdm_firstname"],
                "MiddleName": row["cdm_middlename"],
                "LastName": row["cdm_lastname"],
                "Name": row["cdm_fullname"],
                "WorkerType": {754400000: "Employee", 754400001: "Contractor"}[row["cdm_type"]],
                "WorkerStatus": {754400000: "Employed"}[row["cdm_status"]],
                "PrimaryContactEmail": row["cdm_primaryemailaddress"],
                "PrimaryContactPhone": row["cdm_primarytelephone"],
                "PrimaryContactFacebook": row["cdm_facebookidentity"],
                "PrimaryContactTwitter": row["cdm_twitteridentity"],
                "PrimaryContactLinkedIn": row["cdm_linkedinidentity"],
                "PrimaryContactURL": row["cdm_websiteurl"],
                "Gender": GENDERS[row["cdm_gender"] - 754400000],
                "BirthDate": row["cdm_birthdate"],
            },
        )


def ledgers(books: Books) -> Said:
    charts = ("msdyn_chartofaccountses", "msdyn_chartofaccountsid", "msdyn_name")
    calendars = ("msdyn_fiscalcalendars", "msdyn_fiscalcalendarid", "msdyn_calendar")
    for row in books.rows("msdyn_ledgers"):
        yield (
            (books.company(row["_msdyn_company_value"]).upper(),),
            {
                "Name": row["msdyn_name"],
                "Description": row["msdyn_description"],
                "AccountingCurrency": books.currency(row["_msdyn_accountingcurrency_value"]),
                "ReportingCurrency": books.currency(row["_msdyn_reportingcurrency_value"]),
                "ExchangeRateType": books.rate_type(row["_msdyn_exchangeratetype_value"]),
                "BudgetExchangeRateType": books.rate_type(row["_msdyn_budgetexchangeratetype_value"]),
                "ReportingCurrencyExchangeRateType": books.rate_type(
                    row["_msdyn_reportingcurrencyexchangeratetype_value"]
                ),
                "ChartOfAccounts": books.name(row["_msdyn_chartofaccounts_value"], charts),
                "FiscalCalendar": books.name(row["_msdyn_fiscalcalendar_value"], calendars),
                "IsBudgetControlEnabled": yes(row["msdyn_isbudgetcontrolenabled"]),
            },
        )


def exchange_rates(books: Books) -> Said:
    pairs = {
        row["msdyn_currencyexchangeratepairid"]: (
            str(books.currency(row["_msdyn_fromtransactioncurrencyid_value"])),
            str(books.currency(row["_msdyn_totransactioncurrencyid_value"])),
            str(books.rate_type(row["_msdyn_currencyexchangeratetypeid_value"])),
        )
        for row in books.rows("msdyn_currencyexchangeratepairs")
    }
    for row in books.rows("msdyn_currencyexchangerates"):
        yield (
            (*pairs[row["_msdyn_currencyexchangeratepair_value"]], row["msdyn_validfrom"]),
            {
                "Rate": row["msdyn_exchangerate"],
                "ValidTo": row["msdyn_validto"],
            },
        )


def legal_entities(books: Books) -> Said:
    for row in books.rows("cdm_companies"):
        if row["cdm_companycode"].lower() in INTEGRATED:
            yield (row["cdm_companycode"],), {"Name": row["cdm_name"]}


OF_COMPANY = "dataAreaId"
MAPS: dict[str, tuple[Callable[[Books], Said], str, tuple[str, ...]]] = {
    "contract_headers": (contracts, "ProjectContractHeaders", (OF_COMPANY, "ProjectContractId")),
    "contract_lines": (contract_lines, "ProjectContractLines", (OF_COMPANY, "ProjectContractId", "LineSequenceNumber")),
    "funding_sources": (funding_sources, "ProjectFundingSources", (OF_COMPANY, "ProjectContractID", "FundingSourceId")),
    "projects": (projects, "ProjectsV2", (OF_COMPANY, "ProjectId")),
    "project_tasks": (project_tasks, "ProjectTasks", (OF_COMPANY, "ProjectId", "TaskId")),
    "milestones": (milestones, "ProjectContractLineMilestones", (OF_COMPANY, "ContractLineMilestoneIdentifier")),
    "resource_roles": (roles, "ResourceCategoriesShared", ("RoleId",)),
    "transaction_categories": (categories, "ProjectTransactionCategories", ("CategoryId",)),
    "worker_resources": (worker_resources, "WorkerResourceImports", ("ProjCDSResourceId",)),
    "customers_v3": (customers, "CustomersV3", (OF_COMPANY, "CustomerAccount")),
    "customer_contacts": (contacts, "CustomersV3", (OF_COMPANY, "CustomerAccount")),
    "vendors_v2": (vendors, "VendorsV2", (OF_COMPANY, "VendorAccountNumber")),
    "workers": (workers, "Workers", ("PersonnelNumber",)),
    "ledgers": (ledgers, "Ledgers", ("LegalEntityId",)),
    "exchange_rates": (
        exchange_rates,
        "ExchangeRatesCDSEntity",
        ("FromCurrencyCode", "ToCurrencyCode", "ExchangeRateTypeName", "ValidFrom"),
    ),
    "legal_entities": (legal_entities, "LegalEntities", ("LegalEntityId",)),
}
ONLY = {"customers_v3": ("PartyType", "Organization"), "customer_contacts": ("PartyType", "Person")}
LEAST = {  # rows of three companies; fewer would mean that the comparison sees nothing
    "contract_headers": 30, "contract_lines": 36, "funding_sources": 33, "projects": 36, "project_tasks": 50,
    "milestones": 30, "resource_roles": 8, "transaction_categories": 8, "worker_resources": 5, "customers_v3": 24,
    "customer_contacts": 3, "vendors_v2": 12, "workers": 14, "ledgers": 3, "exchange_rates": 30, "legal_entities": 3,
}  # fmt: skip


def in_dataverse(name: str, books: Books) -> Side:
    """What Dataverse says of the integrated companies, in Finance's words."""
    said, _, key = MAPS[name]
    found: Side = {}
    for parts, columns in said(books):
        if key[0] == OF_COMPANY and parts[0] not in INTEGRATED:
            continue
        assert parts not in found, f"{name}: {parts} stands twice in Dataverse"
        found[parts] = {column: plain(value) for column, value in columns.items()}
    return found


def in_finance(name: str, columns: set[str], world: World) -> Side:
    """The same of Finance."""
    _, entity_set, key = MAPS[name]
    found: Side = {}
    for row in world.finance_api.rows(entity_set):
        outside = row.get(OF_COMPANY, row.get("LegalEntityId", "uspm")).lower() not in INTEGRATED
        if outside or (name in ONLY and row[ONLY[name][0]] != ONLY[name][1]):
            continue
        parts = tuple(
            str(row[column])[:10] if str(row[column]).endswith("T12:00:00Z") else str(row[column]) for column in key
        )
        found[parts] = {column: plain(row[column]) for column in columns}
    return found


def test_both_sides_are_equal_field_by_field(synced: World) -> None:
    books = Books(synced)
    for name in MAPS:
        dataverse = in_dataverse(name, books)
        columns = {column for row in dataverse.values() for column in row}
        finance = in_finance(name, columns, synced)
        assert len(dataverse) >= LEAST[name], name
        assert dataverse.keys() == finance.keys(), name
        different = {
            (key, column, here[column], finance[key][column])
            for key, here in dataverse.items()
            for column in columns
            if here[column] != finance[key][column]
        }
        assert different == set(), name


REFERENCE = (
    # Dataverse set, its key, its text; Finance set, its key, its text
    ("msdyn_paymentterms", "msdyn_name", "msdyn_description", "PaymentTerms", "Name", "Description"),
    ("msdyn_paymentdays", "msdyn_name", "msdyn_description", "PaymentDays", "Name", "Description"),
    ("msdyn_paymentschedules", "msdyn_name", "msdyn_description", "PaymentSchedules", "Name", "Description"),
    ("msdyn_customergroups", "msdyn_groupid", "msdyn_description", "CustomerGroups", "CustomerGroupId", "Description"),
    ("msdyn_vendorgroups", "msdyn_vendorgroup", "msdyn_description", "VendorGroups", "VendorGroupId", "Description"),
    ("msdyn_taxgroups", "msdyn_name", "msdyn_description", "TaxGroups", "TaxGroupCode", "Description"),
    (
        "msdyn_customerpaymentmethods",
        "msdyn_name",
        "msdyn_description",
        "CustomerPaymentMethods",
        "Name",
        "Description",
    ),
    ("msdyn_vendorpaymentmethods", "msdyn_name", "msdyn_description", "VendorPaymentMethods", "Name", "Description"),
    ("msdyn_parties", "msdyn_partynumber", "msdyn_name", "GlobalParties", "PartyNumber", "PartyName"),
    (
        "msdyn_contactforparties",
        "msdyn_contactforpartynumber",
        "msdyn_name",
        "ContactsForParty",
        "ContactForPartyNumber",
        "Name",
    ),
    ("transactioncurrencies", "isocurrencycode", "currencyname", "Currencies", "CurrencyCode", "Name"),
    ("msdyn_exchangeratetypes", "msdyn_name", "msdyn_description", "ExchangeRateTypes", "Name", "Description"),
    ("msdyn_chartofaccountses", "msdyn_name", "msdyn_description", "ChartOfAccounts", "ChartOfAccounts", "Description"),
    ("msdyn_fiscalcalendars", "msdyn_calendar", "msdyn_description", "FiscalCalendars", "CalendarId", "Description"),
)


def test_reference_data_stands_in_dataverse(synced: World) -> None:
    books = Books(synced)
    for dataverse_set, key, text, finance_set, finance_key, finance_text in REFERENCE:
        expected = {
            (row.get(OF_COMPANY, ""), row[finance_key], row[finance_text])
            for row in synced.finance_api.rows(finance_set)
            if row.get(OF_COMPANY, "uspm") in INTEGRATED and row[finance_key] != "999"
        }
        found = {
            (books.company(row["_msdyn_company_value"]) if "_msdyn_company_value" in row else "", row[key], row[text])
            for row in books.rows(dataverse_set)
        }
        assert expected, finance_set
        assert expected == {one for one in found if one[0] in {"", *INTEGRATED}}, finance_set


# --- the company that is not integrated -------------------------------------------------------------------------------


def stored(home: Path, system: str) -> dict[str, list[Row]]:
    """All raw rows of a system's store, by table."""
    with closing(sqlite3.connect(home / "sandbox" / f"{system}.db")) as connection:
        connection.row_factory = sqlite3.Row
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            name: [dict(row) for row in connection.execute(f'SELECT * FROM "{name}"')]
            for name in names
            if not name.startswith("_")
        }


def of_company(tables: dict[str, list[Row]], wanted: Callable[[Row], bool]) -> dict[str, list[str]]:
    """The rows of one company, whole, with their versions."""
    found = {name: sorted(repr(row) for row in rows if wanted(row)) for name, rows in tables.items()}
    return {name: rows for name, rows in found.items() if rows}


def test_the_fourth_company_is_untouched_on_both_sides(_seeded: Path, synced_home: Path) -> None:  # noqa: PT019
    before, after = stored(_seeded, "dataverse"), stored(synced_home, "dataverse")
    (company,) = [row["cdm_companyid"] for row in before["cdm_company"] if row["cdm_companycode"] == "DEMF"]

    def in_company(row: Row) -> bool:
        return company in (row.get("msdyn_company"), row.get("msdyn_owningcompany"), row.get("cdm_companyid"))

    kept = of_company(before, in_company)
    assert kept.keys() > {"salesorder", "salesorderdetail", "msdyn_project", "msdyn_projecttask", "account", "contact"}
    assert of_company(after, in_company) == kept

    before, after = stored(_seeded, "finance"), stored(synced_home, "finance")

    def in_area(row: Row) -> bool:
        return str(row.get("dataAreaId", row.get("LegalEntityId", row.get("DataArea")))).lower() == "demf"

    kept = of_company(before, in_area)
    assert kept.keys() > {"LegalEntities", "Ledgers", "CustomersV3", "VendorsV2", "PaymentTerms"}
    assert "ProjectsV2" not in kept
    assert of_company(after, in_area) == kept


def test_nothing_of_the_fourth_company_stands_under_another_one(synced: World) -> None:
    foreign = {
        row["msdyn_projectnumber"]
        for row in synced.dataverse_api.rows("msdyn_projects")
        if row["_msdyn_owningcompany_value"]
        in {one["cdm_companyid"] for one in synced.dataverse_api.rows("cdm_companies", "cdm_companycode eq 'DEMF'")}
    }
    assert foreign
    assert foreign.isdisjoint(row["ProjectId"] for row in synced.finance_api.rows("ProjectsV2"))


# --- what the systems make of it themselves ---------------------------------------------------------------------------


def test_finance_draws_its_consequences(synced: World) -> None:
    finance = synced.finance_api
    lines = {(row[OF_COMPANY], row["ProjectContractId"], row["ContractLineId"]): row for row in
             finance.rows("ProjectContractLines")}  # fmt: skip
    rules = {(row[OF_COMPANY], row["ProjectContractId"], row["ContractLineId"]): row["BillingRuleType"] for row in
             finance.rows("BillingRules")}  # fmt: skip
    by_method = {"TimeMaterial": "TimeMaterial", "FixedPrice": "Milestone"}
    assert rules == {key: by_method[row["BillingMethod"]] for key, row in lines.items()}, "[C3]"
    assert set(rules.values()) == set(by_method.values())

    shared = {row["RoleId"]: row["Description"] for row in finance.rows("ResourceCategoriesShared")}
    roles = {(row[OF_COMPANY], row["RoleId"], row["Description"]) for row in finance.rows("ProjectRoles")}
    assert roles == {(area, role, text) for area in INTEGRATED for role, text in shared.items()}, "[C10]"

    categories = {(row["TransactionCategoryId"], row["CategoryId"]) for row in finance.rows("SharedCategories")}
    expected = {row["CategoryId"] for row in finance.rows("ProjectTransactionCategories")}
    assert categories == {(one, f"{one}-{suffix}") for one in expected for suffix in range(1, 6)}, "[C12]"

    milestones = finance.rows("ProjectContractLineMilestones")
    posted = {
        (row[OF_COMPANY], row["ContractLineMilestoneIdentifier"], row["ProjectId"], row["Amount"])
        for row in finance.rows("OnAccountTransactions")
    }
    assert posted == {
        (row[OF_COMPANY], row["ContractLineMilestoneIdentifier"], row["ProjectNumber"], row["Amount"])
        for row in milestones
    }, "[C4]: an on-account transaction for each milestone"
    estimates = sorted(
        (row[OF_COMPANY], row["ProjectContractId"], row["ContractLineId"])
        for row in finance.rows("RevenueEstimateProjects")
    )
    assert estimates == sorted({(row[OF_COMPANY], row["ProjectContractId"], row["ContractLineId"]) for row in
                                milestones}), "[C4]: one estimate project for each line with milestones"  # fmt: skip
    for key in estimates:
        assert lines[key]["BillingMethod"] == "FixedPrice"
    for key in {(row[OF_COMPANY], row["ProjectContractId"], row["ContractLineId"]) for row in milestones}:
        parts = [
            row["Amount"]
            for row in milestones
            if (row[OF_COMPANY], row["ProjectContractId"], row["ContractLineId"]) == key
        ]
        assert sum(parts) == lines[key]["LineAmount"], "[C5]"


def test_every_vendor_stands_as_an_account_too(synced: World) -> None:
    vendors = {
        (row["msdyn_vendorid"], row["_msdyn_company_value"], row["msdyn_vendoraccountnumber"])
        for row in synced.dataverse_api.rows("msdyn_vendors")
    }
    accounts = {
        (row["_msdyn_vendor_value"], row["_msdyn_company_value"], row["accountnumber"])
        for row in synced.dataverse_api.rows("accounts", "customertypecode eq 11")
    }
    assert len(vendors) == 18
    assert accounts == vendors
    numbers = {row["VendorAccountNumber"] for row in synced.finance_api.rows("VendorsV2")}
    assert numbers.isdisjoint(row["CustomerAccount"] for row in synced.finance_api.rows("CustomersV3")), (
        "vendors are no customers"
    )


@pytest.mark.parametrize("mode", ["full", "audit"])
def test_the_projects_own_comparison_agrees(synced: World, mode: str) -> None:
    counts = synced.sync(["projects", "contract_lines", "customers_v3"], mode=mode).counts
    assert counts.planned == counts.unchanged > 0
