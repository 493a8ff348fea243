"""Exceptions in records of every kind that stand in both systems: a text rewritten, a record doubled or taken away."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from dualsync_sandbox.plant.ground import Ground, NothingToPlantOn, Planted

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row


class Kept(NamedTuple):
    """Where the two systems keep the same kind of record.

    Attributes:
        table: In Dataverse.
        key: What its rows go by there.
        text: A text that both systems have.
        set: In Finance.
        finance_key: What they go by there.
        company: Column of the company in Dataverse, empty where rows belong to none.
    """

    table: str
    key: str
    text: str
    set: str
    finance_key: str
    company: str = ""


_NUMBER, _NAME, _ABOUT = "msdyn_number", "msdyn_name", "msdyn_description"
_OURS, _THEIRS = "msdyn_company", "msdyn_owningcompany"
KEPT = (
    Kept("msdyn_chartofaccounts", _NAME, _ABOUT, "ChartOfAccounts", "ChartOfAccounts"),
    Kept("msdyn_contactforparty", "msdyn_contactforpartynumber", _NAME, "ContactsForParty", "ContactForPartyNumber"),
    Kept("transactioncurrency", "isocurrencycode", "currencyname", "Currencies", "CurrencyCode"),
    Kept("msdyn_customergroup", "msdyn_groupid", _ABOUT, "CustomerGroups", "CustomerGroupId", _OURS),
    Kept("msdyn_customerpaymentmethod", _NAME, _ABOUT, "CustomerPaymentMethods", "Name", _OURS),
    Kept("msdyn_exchangeratetype", _NAME, _ABOUT, "ExchangeRateTypes", "Name"),
    Kept("msdyn_fiscalcalendar", "msdyn_calendar", _ABOUT, "FiscalCalendars", "CalendarId"),
    Kept("msdyn_party", "msdyn_partynumber", _NAME, "GlobalParties", "PartyNumber"),
    Kept("msdyn_paymentday", _NAME, _ABOUT, "PaymentDays", "Name", _OURS),
    Kept("msdyn_paymentschedule", _NAME, _ABOUT, "PaymentSchedules", "Name", _OURS),
    Kept("msdyn_paymentterm", _NAME, _ABOUT, "PaymentTerms", "Name", _OURS),
    Kept("product", "msdyn_productnumber", "name", "Products", "ProductNumber"),
    Kept("msdyn_taxgroup", _NAME, _ABOUT, "TaxGroups", "TaxGroupCode", _OURS),
    Kept("uom", "msdyn_symbol", "name", "UnitsOfMeasure", "UnitSymbol"),
    Kept("msdyn_vendorgroup", "msdyn_vendorgroup", _ABOUT, "VendorGroups", "VendorGroupId", _OURS),
    Kept("msdyn_vendorpaymentmethod", _NAME, _ABOUT, "VendorPaymentMethods", "Name", _OURS),
    Kept("cdm_worker", "cdm_workernumber", "cdm_lastname", "Workers", "PersonnelNumber"),
    Kept("bookableresourcecategory", "msdyn_resourcecategorynumber", "name", "ResourceCategoriesShared", "RoleId"),
    Kept(
        "msdyn_transactioncategory",
        "msdyn_transactioncategorynumber",
        _NAME,
        "ProjectTransactionCategories",
        "CategoryId",
    ),
    Kept("salesorder", "ordernumber", "name", "ProjectContractHeaders", "ProjectContractId", _THEIRS),
    Kept(
        "salesorderdetail", "msdyn_contractlinenumber", "productdescription", "ProjectContractLines", "ContractLineId"
    ),
    Kept("msdyn_projectcontractsplitbillingrule", _NUMBER, _NAME, "ProjectFundingSources", "FundingSourceId"),
    Kept(
        "msdyn_contractlinescheduleofvalue",
        "msdyn_milestonenumber",
        _NAME,
        "ProjectContractLineMilestones",
        "ContractLineMilestoneIdentifier",
    ),
    Kept("msdyn_projecttask", "msdyn_tasknumber", "msdyn_subject", "ProjectTasks", "TaskId"),
    Kept(
        "msdyn_resourceassignment",
        "msdyn_resourceassignmentid",
        _NAME,
        "ProjEstimateHoursImport",
        "EstimateHoursImportId",
        _THEIRS,
    ),
    Kept(
        "msdyn_expensecategory", "msdyn_expensecategorynumber", _NAME, "ProjExpenseCategoriesExport", "CostType", _OURS
    ),
    Kept(
        "msdyn_expense",
        "msdyn_externalexpensenumber",
        "msdyn_externaldescription",
        "ProjExpensesExport",
        "ExpTransNumber",
        _THEIRS,
    ),
    Kept(
        "msdyn_subcontract",
        "msdyn_subcontractnumber",
        _NAME,
        "SubContractPurchaseOrderHeaders",
        "ProjSubContractNumber",
        _THEIRS,
    ),
    Kept(
        "msdyn_subcontractline",
        "msdyn_subcontractlinenumber",
        _NAME,
        "ProjSubContractPurchaseOrderLines",
        "ProjSubContractLineNumber",
    ),
    Kept(
        "msdyn_projectvendorinvoiceline",
        "msdyn_externalinvoiceline",
        _ABOUT,
        "ProjVendInvoiceLinesExportEntity",
        "ProjTransId",
        _THEIRS,
    ),
    Kept(
        "msdyn_projectvendorinvoice",
        "msdyn_vendorinvoicenumber",
        _ABOUT,
        "VendInvoiceExportsV2",
        "VendorInvoiceNum",
        _THEIRS,
    ),
)
"""Kinds of records with a text of their own, beside those that have a module."""


def _pick(ground: Ground, kept: Kept) -> Row:
    """A row of Dataverse by chance that Finance has, too, in an integrated company."""
    in_finance = {
        str(row[kept.finance_key]).casefold()
        for row in ground.rows(kept.set)
        if row.get("dataAreaId") is None or row["dataAreaId"] in ground.areas
    }
    rows = [
        row
        for row in ground.rows(kept.table)
        if str(row[kept.key]).casefold() in in_finance and row[kept.text]
        if not kept.company or kept.company not in row or ground.code(row, kept.company)
    ]
    return ground.choose(rows, lambda row: [row[f"{_id(kept)}"], row[kept.key]])


def _id(kept: Kept) -> str:
    return {"salesorder": "salesorderid", "salesorderdetail": "salesorderdetailid"}.get(kept.table, f"{kept.table}id")


def _rewritten(kept: Kept) -> Callable[[Ground], Planted]:
    def plant(ground: Ground) -> Planted:
        row = _pick(ground, kept)
        ground.dataverse.change(kept.table, row, {kept.text: f"Not {row[kept.text]}"[:40]})
        records = (str(row[_id(kept)]),)
        text = f"{kept.text} of {kept.table} edited: {row[kept.key]}"
        return Planted(plant.__name__, text, "", ((f"table:{kept.table}", "text"),), (), records)

    plant.__doc__ = f"{kept.text} of {kept.table} was rewritten in Dataverse."
    plant.__name__ = f"{kept.table}_rewritten"
    return plant


def _doubled(kept: Kept) -> Callable[[Ground], Planted]:
    def plant(ground: Ground) -> Planted:
        row = _pick(ground, kept)
        new = ground.dataverse.copy(kept.table, row)
        records = (str(row[_id(kept)]), str(new[_id(kept)]))
        found_by = ((f"table:{kept.table}", "duplicate_in_dataverse"),)
        return Planted(plant.__name__, f"{kept.table} doubled: {row[kept.key]}", "", found_by, (), records)

    plant.__doc__ = f"A row of {kept.table} stands in Dataverse twice: no alternate key forbids it."
    plant.__name__ = f"{kept.table}_doubled"
    return plant


def rate_doubled(ground: Ground) -> Planted:
    """An exchange rate stands in Dataverse twice."""
    table = "msdyn_currencyexchangerate"
    row = ground.choose(ground.rows(table), lambda row: [row[f"{table}id"]])
    new = ground.dataverse.copy(table, row)
    records = (str(row[f"{table}id"]), str(new[f"{table}id"]))
    ground.take(records[1])
    found_by = ((f"table:{table}", "duplicate_in_dataverse"),)
    return Planted("rate-doubled", f"exchange rate doubled: {records[0]}", "", found_by, (), records)


def rate_lost(ground: Ground) -> Planted:
    """An exchange rate is gone from Dataverse."""
    row = ground.choose(ground.rows("msdyn_currencyexchangerate"), lambda row: [row["msdyn_currencyexchangerateid"]])
    pair = ground.dataverse_tx.get("msdyn_currencyexchangeratepair", row["msdyn_currencyexchangeratepair"])
    if pair is None:
        raise NothingToPlantOn
    ground.dataverse.remove("msdyn_currencyexchangerate", row)
    day = str(row["msdyn_validfrom"])[:10]
    found_by = (("table:msdyn_currencyexchangerate", "missing_in_dataverse"),)
    return Planted("rate-lost", f"exchange rate gone: {day}", "", found_by, (), (day,))


BREAKS = (
    *(_rewritten(kept) for kept in KEPT),
    _doubled(next(kept for kept in KEPT if kept.table == "msdyn_projectcontractsplitbillingrule")),
    rate_doubled,
    rate_lost,
)
LOOK_ALIKES = ()
