"""How project accounting is set up in Finance, and the few expense reports of no project that stand there already.

Project categories are not among it: they come from transaction categories, which Finance does not know before the first
synchronisation. Figures are invented.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from dualsync_sandbox.business.finance.invoicing.proposals import SEQUENCE
from dualsync_sandbox.business.finance.setup.settings import (
    EXPENSE_INTEGRATION_ACCOUNT,
    FORECAST_MODEL,
    PROCUREMENT_INTEGRATION_ACCOUNT,
)
from dualsync_sandbox.seed import masters
from dualsync_sandbox.seed.companies import COMPANIES, Company

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualsync_sandbox.store import Row

WRITE_IN = "WRITE-IN"
PROFILE = "STANDARD"
OFFICE = "OFFICE"
"""An expense category of no project, in which nobody reports any more: it never leaves Finance."""

TAX_RATES = {
    "ST-STD": ("7.5", "100"),
    "ST-EXEMPT": ("0", "0"),
    "VAT20": ("20", "0"),
    "VAT0": ("0", "0"),
    "TVA20": ("20", "0"),
    "TVA55": ("5.5", "0"),
    "MWST19": ("19", "0"),
    "MWST7": ("7", "0"),
}
"""Sales tax group to its percentage, and to how much of what is paid cannot be recovered."""

TAXED = "FULL"
ITEM_TAX_GROUPS = {TAXED: "Taxed by the sales tax group", "EXEMPT": "Free of tax"}
"""Item sales tax groups of project categories, products and milestones [H6]."""

LINE_PROPERTIES = {
    "NotSpecified": "NOTSPEC",
    "Chargeable": "CHARGE",
    "NonChargeable": "NONCHARGE",
    "Complimentary": "COMPLIMENT",
    "NotAvailable": "NOTAVAIL",
}
"""Line property by billing type [A2]."""

PROCUREMENT_CATEGORIES = {
    "Contract labour": "Work of people from outside",
    "Travel arrangements": "Tickets and rooms",
    "Permits and fees": "What authorities charge",
    "Site materials": "Goods that have no number",
}
"""Nodes of the procurement category hierarchy; the last one is not mapped, so that it goes by the default [J7]."""

STOCKED = {"P-1002": "42.50", "P-1004": "598"}
"""Products that the companies keep in stock, with the cost of one piece in any currency."""

SITE, WAREHOUSE = "1", "11"

WITH_WIP = ("GBPM",)
"""Companies whose profile accrues revenue."""

_FIRST_YEAR, _LAST_YEAR, _CLOSED_TO = 2024, 2030, "2024-12-31"


def group_wide() -> Iterator[tuple[str, Row]]:
    """Yield units and products."""
    for symbol, name in masters.UNITS.items():
        yield "UnitsOfMeasure", {"UnitSymbol": symbol, "UnitDescription": name}
    for number, name in {**masters.PRODUCTS, WRITE_IN: "Write-in product"}.items():
        yield "Products", {"ProductNumber": number, "ProductName": name}


def company_rows(company: Company) -> Iterator[tuple[str, Row]]:
    """Yield what every company has: periods and tax rates; and the set-up of those that are integrated [A1]."""
    area = {"dataAreaId": company.area}
    for first, last in _months():
        status = "Closed" if last <= _CLOSED_TO else "Open"
        yield "FiscalPeriods", {**area, "StartDate": first, "EndDate": last, "Status": status}
    for group in company.tax_groups:
        rate, lost = (Decimal(figure) for figure in TAX_RATES[group])
        yield "SalesTaxRates", {**area, "TaxGroupCode": group, "Percentage": rate, "NonRecoverablePercentage": lost}
    retired: Row = {"CostType": OFFICE, "Description": "Office supplies", "ExpenseType": "Expense", "IsInactive": "Yes"}
    yield "ExpenseCategories", area | retired
    if company.integrated:
        yield from _integration(company)


def _integration(company: Company) -> Iterator[tuple[str, Row]]:
    area: Row = {"dataAreaId": company.area}
    yield (
        "IntegrationParameters",
        {
            **area,
            "ForecastModel": FORECAST_MODEL,
            "ExpenseIntegrationAccount": EXPENSE_INTEGRATION_ACCOUNT,
            "ProcurementIntegrationAccount": PROCUREMENT_INTEGRATION_ACCOUNT,
            "WriteInProduct": WRITE_IN,
            "JournalPeriodUnit": "Days",
            "SalesTaxGroupMethod": "Search",
            "MilestoneItemTaxGroup": TAXED,
            "SetAccountingDateToOpenPeriod": "Yes",
        },
    )
    for group, description in ITEM_TAX_GROUPS.items():
        exempt = "No" if group == TAXED else "Yes"
        yield "ItemTaxGroups", {**area, "ItemTaxGroupCode": group, "Description": description, "IsExempt": exempt}
    proposals = {"NumberSequenceCode": SEQUENCE, "NextNumber": 1, "AllowsUserChanges": "Yes"}
    yield "NumberSequences", area | proposals
    for billing_type, line_property in LINE_PROPERTIES.items():
        yield "LineProperties", {**area, "BillingType": billing_type, "LineProperty": line_property}
    yield from _procurement(area)
    profile: Row = {**area, "ProfileId": PROFILE}
    accrues = "Yes" if company.code in WITH_WIP else "No"
    described = {"Description": "All projects", "PostCosts": "ProfitAndLoss", "AccrueRevenue": accrues}
    yield "CostAndRevenueProfiles", profile | described
    yield "CostAndRevenueProfileRules", {**profile, "RuleNumber": 1}
    for other in COMPANIES:
        if other.integrated and other != company:
            yield (
                "IntercompanyRelations",
                {
                    **area,
                    "BorrowingCompany": other.area,
                    "CustomerAccountNumber": f"IC-{other.code}",
                    "VendorAccountNumber": lender_vendor(company),
                    "HasLedgerAccounts": "Yes",
                    "HasTradingRelation": "Yes",
                    "HasLendingParameter": "Yes",
                },
            )


def lender_vendor(company: Company) -> str:
    """Return the vendor account that a lending company has in the others [K4, K5].

    It differs from its customer account, because customers and vendors share the accounts of Dataverse.
    """
    return f"ICV-{company.code}"


def _procurement(area: Row) -> Iterator[tuple[str, Row]]:
    """Yield released products ([J9]: the write-in product among them), procurement and subcontract categories."""
    for number in (*masters.PRODUCTS, WRITE_IN):
        product: Row = {**area, "ItemNumber": number, "ProductNumber": number, "PurchaseUnit": "ea"}
        cost = Decimal(STOCKED.get(number, 0))
        stocked = {"IsStocked": "Yes" if cost else "No", "UnitCost": cost}
        yield "ReleasedProducts", {**product, **stocked, "DefaultSite": SITE, "DefaultWarehouse": WAREHOUSE}
    for name, description in PROCUREMENT_CATEGORIES.items():
        yield "ProcurementCategories", {**area, "CategoryName": name, "Description": description}
    nodes = zip(("Hour", "Expense"), PROCUREMENT_CATEGORIES, strict=False)
    for place, (kind, name) in enumerate(nodes, start=1):
        named: Row = {"RecordNumber": place, "TransactionType": kind, "ProcurementCategoryName": name}
        yield "SubcontractCategories", area | named


def expense_reports(company: Company, workers: list[masters.Worker]) -> Iterator[tuple[str, Row]]:
    """Yield a report in draft and an approved one, both of no project: nothing of them may travel."""
    statuses = ("Draft", "Approved")
    for number, (status, worker) in enumerate(zip(statuses, workers, strict=False), start=1):
        key = {"dataAreaId": company.area, "ReportNumber": f"EXR-{number:06d}"}
        yield (
            "ExpenseReports",
            {
                **key,
                "PersonnelNumber": worker.number,
                "Purpose": "Office supplies",
                "ApprovalStatus": status,
            },
        )
        yield (
            "ExpenseReportLines",
            {
                **key,
                "LineNumber": 1,
                "ExpenseNumber": f"{company.code}-EX{number:06d}",
                "CostType": OFFICE,
                "TransactionDate": f"2025-12-{10 + number}",
                "Quantity": Decimal(1),
                "Amount": Decimal("48.20") * number,
                "CurrencyCode": company.currency,
                "AdditionalInformation": "Paper and toner",
            },
        )
    taken = len(statuses) + 1
    for code in ("EXR", "EXP"):
        yield "NumberSequences", {"dataAreaId": company.area, "NumberSequenceCode": code, "NextNumber": taken}


def _months() -> Iterator[tuple[str, str]]:
    for year in range(_FIRST_YEAR, _LAST_YEAR + 1):
        for month in range(1, 13):
            following = date(year + month // 12, month % 12 + 1, 1)
            yield date(year, month, 1).isoformat(), (following - timedelta(days=1)).isoformat()
