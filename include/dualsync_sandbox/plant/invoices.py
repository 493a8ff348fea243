"""Exceptions in invoices, milestones, accrued revenue and intercompany charges [R9, R12 to R16, R27, R37]."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING

from dualsync_sandbox.business.dataverse.choices import TransactionType
from dualsync_sandbox.plant.actuals.chains import ACTUALS, CONNECTIONS, MAP
from dualsync_sandbox.plant.ground import Ground, NothingToPlantOn, Planted, Rule, book, exact

if TYPE_CHECKING:
    from dualsync_sandbox.store import Row

INVOICES, PROPOSALS, ON_ACCOUNT = "invoice", "ProjInvoiceProposalHeaders", "OnAccountTransactions"
MILESTONES = "msdyn_contractlinescheduleofvalue"
_CONFIRMED, _POSTED = 192350002, 192350004
_ONE = Decimal(1)


# -- invoices and proposals


def _invoiced(ground: Ground, **equals: object) -> tuple[Row, Row, str, tuple[str, ...]]:
    """A posted invoice with its proposal, its company, and everything it goes by."""
    numbers = {row["InvoiceProposalId"]: row for row in ground.rows(PROPOSALS, ProposalStatus="Posted", **equals)}
    lines: dict[object, list[str]] = {}
    for actual in ground.rows(ACTUALS):
        lines.setdefault(actual["msdyn_invoice"], []).append(str(actual["msdyn_actualid"]))
    row = ground.choose(
        (invoice for invoice in ground.rows(INVOICES) if invoice["invoicenumber"] in numbers),
        lambda row: [row["invoicenumber"], *lines.get(row["invoiceid"], [])],
    )
    proposal = numbers[row["invoicenumber"]]
    billed = lines.get(row["invoiceid"], [])
    records = (str(row["invoicenumber"]), str(row["invoiceid"]), *billed)
    return row, proposal, str(proposal["dataAreaId"]).upper(), records


def proposal_lost(ground: Ground) -> Planted:
    """The proposal of a confirmed invoice is gone."""
    _, proposal, company, records = _invoiced(ground)
    ground.finance.remove(PROPOSALS, proposal)
    found_by = (("R13", "missing_in_finance"),)
    return Planted("proposal-lost", f"proposal gone: {records[0]}", company, found_by, (), records)


def invoice_lost(ground: Ground) -> Planted:
    """The invoice of a proposal is gone from Dataverse."""
    row, _, company, records = _invoiced(ground)
    ground.dataverse.remove(INVOICES, row)
    found_by = (("R13", "missing_in_dataverse"),)
    also = ("table:msdyn_customerinvoice", MAP)
    return Planted("invoice-lost", f"invoice gone: {records[0]}", company, found_by, also, records)


def proposal_edited(ground: Ground) -> Planted:
    """A proposal comes to another amount than its invoice."""
    _, proposal, company, records = _invoiced(ground)
    ground.finance.change(PROPOSALS, proposal, {"InvoiceAmount": exact(proposal, "InvoiceAmount") + _ONE})
    return Planted("proposal-edited", f"amount edited: {records[0]}", company, (("R12", "amount"),), (), records)


def proposal_line_missing(ground: Ground) -> Planted:
    """A proposal has a line more than its invoice has billed sales."""
    _, proposal, company, records = _invoiced(ground)
    count = proposal["LineCount"]
    assert isinstance(count, int)
    ground.finance.change(PROPOSALS, proposal, {"LineCount": count + 1})
    return Planted("proposal-lines", f"lines edited: {records[0]}", company, (("R12", "relation"),), (), records)


def proposal_empty(ground: Ground) -> Planted:
    """A proposal waits without lines: its unbilled sales were never posted."""
    _, proposal, company, records = _invoiced(ground)
    ground.finance.change(PROPOSALS, proposal, _EMPTY)
    return Planted("proposal-empty", f"no lines: {records[0]}", company, (("R14", "not_posted"),), (), records)


_EMPTY = {"ProposalStatus": "Open", "LineCount": 0, "InvoiceAmount": Decimal(0), "SalesTaxAmount": Decimal(0)}


def _returned(column: str, change: Callable[[Row], object], kind: str, found: str) -> Callable[[Ground], Planted]:
    def plant(ground: Ground) -> Planted:
        row, _, company, records = _invoiced(ground)
        ground.dataverse.change(INVOICES, row, {column: change(row)})
        return Planted(kind, f"{column} edited: {records[0]}", company, (("R37", found),), (MAP,), records)

    plant.__doc__ = f"{column} of a posted invoice was changed in Dataverse."
    plant.__name__ = f"invoice_{found}_edited"
    return plant


status_edited = _returned("msdyn_projectinvoicestatus", lambda _: _CONFIRMED, "invoice-status", "status")
number_edited = _returned("msdyn_invoicenumber", lambda _: "CIV-EDITED", "invoice-number", "reference")
day_edited = _returned("msdyn_invoicedate", lambda _: "2026-02-27", "invoice-day", "date")
tax_edited = _returned("totaltax", lambda row: exact(row, "totaltax") + _ONE, "invoice-tax", "amount")


# -- billed sales


def _billed(ground: Ground) -> tuple[Row, Row, tuple[str, ...]]:
    """A billed sale of work, with its connection to the unbilled one."""
    billed = {
        row["msdyn_actualid"]: row
        for row in ground.rows(ACTUALS, msdyn_transactiontypecode=TransactionType.BILLED_SALES)
        if row["msdyn_origin"] is not None and row["msdyn_adjustmentstatus"] is None and ground.code(row)
    }
    connections = [
        row
        for row in ground.rows(CONNECTIONS, msdyn_transaction1role="Billed", msdyn_transaction2role="Unbilled")
        if row["msdyn_transaction1"] in billed
    ]
    connection = ground.choose(connections, lambda row: [row["msdyn_transaction1"], row["msdyn_transaction2"]])
    row = billed[connection["msdyn_transaction1"]]
    records = [str(row["msdyn_actualid"]), str(row["msdyn_actualimportid"]), str(connection["msdyn_transaction2"])]
    invoice = ground.dataverse_tx.get(INVOICES, row["msdyn_invoice"])
    if invoice is not None:
        records.append(str(invoice["invoicenumber"]))
        ground.take(invoice["invoicenumber"])
    return row, connection, tuple(records)


def billed_edited(ground: Ground) -> Planted:
    """A billed sale is of another amount than what was worked."""
    row, _, records = _billed(ground)
    ground.dataverse.change(ACTUALS, row, {"msdyn_amount": exact(row, "msdyn_amount") + _ONE})
    found_by = (("R15", "amount"), (MAP, "amount"))
    text = f"amount of the billed sale edited: {records[0]}"
    return Planted("billed-edited", text, ground.code(row), found_by, ("R12",), records)


def billed_unconnected(ground: Ground) -> Planted:
    """Nothing says any more which unbilled sale a billed one closes."""
    row, connection, records = _billed(ground)
    ground.dataverse.remove(CONNECTIONS, connection)
    text = f"connection of the billed sale gone: {records[0]}"
    return Planted("billed-unconnected", text, ground.code(row), (("R15", "relation"),), (), records)


def billed_category(ground: Ground) -> Planted:
    """A billed sale is of another transaction category."""
    row, _, records = _billed(ground)
    categories = [
        category["msdyn_transactioncategoryid"]
        for category in ground.rows("msdyn_transactioncategory")
        if category["msdyn_transactioncategoryid"] != row["msdyn_transactioncategory"]
    ]
    ground.dataverse.change(ACTUALS, row, {"msdyn_transactioncategory": ground.rng.choice(sorted(categories, key=str))})
    found_by = (("R15", "reference"), (MAP, "reference"))
    text = f"category of the billed sale edited: {records[0]}"
    return Planted("billed-category", text, ground.code(row), found_by, (), records)


# -- milestones


def _milestone(ground: Ground) -> tuple[Row, Row, str, tuple[str, ...]]:
    """A milestone with its on-account transaction, its company, and everything it goes by."""
    numbers = {
        row["ContractLineMilestoneIdentifier"]: row
        for row in ground.rows(ON_ACCOUNT)
        if row["dataAreaId"] in ground.areas and row["ContractLineMilestoneIdentifier"]
    }
    milestones = [row for row in ground.rows(MILESTONES) if row["msdyn_milestonenumber"] in numbers]
    row = ground.choose(milestones, lambda row: [row["msdyn_milestonenumber"], f"line {row['msdyn_contractlineid']}"])
    held = numbers[row["msdyn_milestonenumber"]]
    records = (str(row["msdyn_milestonenumber"]), str(row["msdyn_contractlinescheduleofvalueid"]))
    return row, held, str(held["dataAreaId"]).upper(), records


def on_account_lost(ground: Ground) -> Planted:
    """A milestone has no on-account transaction."""
    _, held, company, records = _milestone(ground)
    ground.finance.remove(ON_ACCOUNT, held)
    found_by: tuple[Rule, ...] = (("R16", "missing_in_finance"),)
    return Planted("on-account-lost", f"on-account gone: {records[0]}", company, found_by, (), records)


def on_account_doubled(ground: Ground) -> Planted:
    """A milestone has two on-account transactions."""
    _, held, company, records = _milestone(ground)
    number = f"OAT-P{ground.rng.randrange(10**8):08d}"
    ground.finance.copy(ON_ACCOUNT, held, TransactionId=number)
    found_by = (("R16", "duplicate_in_finance"),)
    return Planted("on-account-doubled", f"two on-account: {records[0]}", company, found_by, ("R16",), records)


def on_account_edited(ground: Ground) -> Planted:
    """An on-account transaction is of another amount than its milestone."""
    _, held, company, records = _milestone(ground)
    ground.finance.change(ON_ACCOUNT, held, {"Amount": exact(held, "Amount") + _ONE})
    return Planted("on-account-edited", f"on-account edited: {records[0]}", company, (("R16", "amount"),), (), records)


def milestone_edited(ground: Ground) -> Planted:
    """A milestone is of another amount: the contract line no longer comes to its milestones."""
    row, _, company, records = _milestone(ground)
    ground.dataverse.change(MILESTONES, row, {"msdyn_amount": exact(row, "msdyn_amount") + _ONE})
    line = ground.dataverse_tx.get("salesorderdetail", row["msdyn_contractlineid"])
    assert line is not None
    records = (*records, str(line["salesorderdetailid"]), str(line["msdyn_contractlinenumber"]))
    found_by = (("R16", "amount"), (f"table:{MILESTONES}", "amount"))
    return Planted("milestone-edited", f"milestone edited: {records[0]}", company, found_by, (), records)


# -- accrued revenue, and between companies

_ACCRUALS = ("ProjectWipSalesValue", "ProjectAccruedRevenue")


def accrued_off(ground: Ground) -> Planted:
    """Somebody booked on accrued revenue by hand."""
    rows = [row for row in ground.rows("IntegrationParameters") if row["dataAreaId"] in ground.areas]
    row = ground.choose(rows, lambda row: [f"accrued {row['dataAreaId']}"])
    account = ground.rng.choice(_ACCRUALS)
    book(ground, row, Decimal("56.78"), "140999", account)
    company = str(row["dataAreaId"]).upper()
    return Planted("accrued-off", f"booked by hand: {account}", company, (("R9", "balance"),), (), (account,))


def accrued_both_ways(ground: Ground) -> Planted:
    """Somebody booked on accrued revenue and back."""
    rows = [row for row in ground.rows("IntegrationParameters") if row["dataAreaId"] in ground.areas]
    row, account = ground.rng.choice(rows), ground.rng.choice(_ACCRUALS)
    vouchers = [book(ground, row, amount, "140999", account) for amount in (Decimal("77.00"), Decimal("-77.00"))]
    company = str(row["dataAreaId"]).upper()
    return Planted("accrued-both-ways", f"booked and back: {vouchers[0]}", company, (), (), tuple(vouchers))


def _between(ground: Ground) -> tuple[Row, tuple[str, ...]]:
    rows = [
        row
        for row in ground.rows("ProjCustomerInvoices", InvoiceType="Intercompany")
        if row["dataAreaId"] in ground.areas
    ]
    row = ground.choose(rows, lambda row: [f"invoice {row['dataAreaId']} {row['InvoiceId']}"])
    return row, (str(row["InvoiceId"]),)


def charged_edited(ground: Ground) -> Planted:
    """An invoice between companies comes to another amount than what was lent."""
    row, records = _between(ground)
    ground.finance.change("ProjCustomerInvoices", row, {"InvoiceAmount": exact(row, "InvoiceAmount") + _ONE})
    company = str(row["dataAreaId"]).upper()
    return Planted("charged-edited", f"amount edited: {records[0]}", company, (("R27", "amount"),), (), records)


def charged_not_received(ground: Ground) -> Planted:
    """The other company's vendor invoice of an invoice between companies is gone."""
    row, records = _between(ground)
    relation = ground.rows(
        "IntercompanyRelations", dataAreaId=row["dataAreaId"], BorrowingCompany=row["BorrowingCompany"]
    )[0]
    bills = ground.rows(
        "VendorInvoiceHeaders", VendorInvoiceNum=row["InvoiceId"], InvoiceAccount=relation["VendorAccountNumber"]
    )
    mine = [bill for bill in bills if bill["dataAreaId"] == str(row["BorrowingCompany"]).lower()]
    if not mine:
        raise NothingToPlantOn
    ground.finance.remove("VendorInvoiceHeaders", mine[0])
    company = str(row["dataAreaId"]).upper()
    return Planted(
        "charged-not-received", f"no vendor invoice: {records[0]}", company, (("R27", "amount"),), (), records
    )


# -- what only looks like a break


def draft(ground: Ground) -> Planted:
    """A draft has no proposal yet."""
    row, _, company, records = _invoiced(ground)
    number = ground.new_number(records[0])
    new = ground.dataverse.copy(INVOICES, row, invoicenumber=number, msdyn_projectinvoicestatus=192350000)
    return Planted("draft", f"draft: {number}", company, (), (), (number, str(new["invoiceid"])))


def just_confirmed(ground: Ground) -> Planted:
    """An invoice that was confirmed ten minutes ago need not be in Finance yet."""
    row, _, company, records = _invoiced(ground)
    number = ground.new_number(records[0])
    values = {"invoicenumber": number, "msdyn_projectinvoicestatus": _CONFIRMED}
    new = ground.dataverse.copy(INVOICES, row, **values)
    ground.dataverse.change(INVOICES, new, {"createdon": ground.young, "modifiedon": ground.young})
    return Planted("just-confirmed", f"confirmed now: {number}", company, (), (), (number, str(new["invoiceid"])))


def just_proposed(ground: Ground) -> Planted:
    """A proposal has its lines only after the next posting and import."""
    row, proposal, company, records = _invoiced(ground)
    ground.finance.change(PROPOSALS, proposal, _EMPTY)
    for billed in ground.rows(ACTUALS, msdyn_invoice=row["invoiceid"]):
        ground.dataverse.change(ACTUALS, billed, {"modifiedon": ground.young})
    return Planted("just-proposed", f"no lines yet: {records[0]}", company, (), (), records)


def proposal_beyond_the_scale(ground: Ground) -> Planted:
    """Finance keeps six decimals of an amount, Dataverse four."""
    _, proposal, company, records = _invoiced(ground)
    amount = exact(proposal, "InvoiceAmount") + Decimal("0.000001")
    ground.finance.change(PROPOSALS, proposal, {"InvoiceAmount": amount})
    return Planted("proposal-beyond", f"a millionth: {records[0]}", company, (), (), records)


BREAKS = (
    proposal_lost,
    invoice_lost,
    proposal_edited,
    proposal_line_missing,
    proposal_empty,
    status_edited,
    number_edited,
    day_edited,
    tax_edited,
    billed_edited,
    billed_unconnected,
    billed_category,
    on_account_lost,
    on_account_doubled,
    on_account_edited,
    milestone_edited,
    accrued_off,
    charged_edited,
    charged_not_received,
)
LOOK_ALIKES = (draft, just_confirmed, just_proposed, proposal_beyond_the_scale, accrued_both_ways)
