"""Five working days, played by chance from a seed, and the cycle over all areas until nothing is left to do."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from dualsync.frames import read_table
from dualsync.mapping.areas import AREA_NAMES
from dualsync.nightly import steps
from dualsync.nightly.totals import compute_totals
from dualsync.sync.run.runs import RunSummary
from dualsync_demo.day import FINANCE_JOBS
from dualsync_sandbox.business.finance import jobs as finance_jobs
from support.cycles import SINCE, Cycle, total

pytestmark = pytest.mark.slow

Api = dict[str, Any]

COMPANIES = ("USPM", "GBPM", "FRRT")
COST, UNBILLED, BILLED = 192350000, 192350005, 192350006
ADJUSTED, UNADJUSTABLE = 192350001, 192350002
DRAFT, CONFIRMED, POSTED = 192350000, 192350002, 192350004
CHARGEABLE = 192350001
ORDERED = {192350000: "Draft", 192350001: "Confirmed", 192350002: "Closed", 192350003: "Canceled"}
SEED = 7
OPPOSITE = ("msdyn_quantity", "msdyn_amount")
BOOKED = ("msdyn_accountingamount", "msdyn_salestaxamount")


@dataclass
class Week:
    """What was played, and what came of it.

    Attributes:
        events: How often what happened.
        spent: The balance of the expense integration account before the first cycle, by company.
        cycles: The runs of each cycle.
        writes: Number of writes in each cycle's trace.
        actuals: All actuals, through Dataverse's API.
    """

    events: Counter[str] = field(default_factory=Counter)
    spent: dict[str, Decimal] = field(default_factory=dict)
    cycles: list[list[RunSummary]] = field(default_factory=list)
    writes: list[int] = field(default_factory=list)
    actuals: list[Api] = field(default_factory=list)


def run(cycle: Cycle, *areas: str, **words: Any) -> list[RunSummary]:
    """The areas' own maps, area by area; nothing is played that reference maps carry. Every leg settles."""
    with cycle.world.runtime() as runtime:
        maps = {area: runtime.catalog.area(area) for area in areas}
    return [cycle.sync(*maps[area], **words) for area in areas]


def cycle(cycle: Cycle, told: Week) -> None:
    """One cycle over all areas."""
    cycle.world.forget_requests()
    told.cycles.append(run(cycle, *AREA_NAMES))
    told.writes.append(len(cycle.world.writes()))


def evening(cycle: Cycle) -> None:
    """Finance's own jobs, none of which refuses anything."""
    for company in COMPANIES:
        for job in FINANCE_JOBS:
            facts = cycle.world.sandbox.play_event(job, company=company)
            assert not any(facts.get(word) for word in ("refused", "failed")), (job, company, facts)


@pytest.fixture(scope="module")
def companies() -> None:
    """All of them."""


@pytest.fixture(scope="module")
def week(shared: Cycle) -> Week:
    """Three days, a cycle, two days that go on from what it brought, and cycles until one writes nothing."""
    told = Week()
    for days in (3, 2):
        told.events.update(shared.world.sandbox.play(days, SEED)["events"])
        told.spent = told.spent or {code: shared.balance(code) for code in COMPANIES}
        cycle(shared, told)
        evening(shared)
    while told.writes[-1] and len(told.cycles) < 7:
        cycle(shared, told)
        evening(shared)
    told.actuals = shared.dataverse.rows("msdyn_actuals")
    return told


def travelling(week: Week) -> list[Api]:
    """The actuals that Finance should know [G1]."""
    return [row for row in week.actuals if not row["msdyn_skipsync"]]


def by(rows: Iterable[Api], name: str) -> dict[Any, Api]:
    """Rows by a column that is unique."""
    found = {row[name]: row for row in rows}
    assert None not in found
    return found


def test_the_week_has_everything_in_it(week: Week) -> None:
    """What the other tests say of the week they say of all these events."""
    needed = {
        "approve-time", "approve-time-reduced", "approve-time-increased", "approve-material", "post-expense",
        "intercompany-time", "cancel-approval", "correction-journal", "entry-journal", "retainer", "use-retainer",
        "tie-contract", "confirm-contract", "assign", "reassign", "estimate-expense", "estimate-material",
        "mark-ready", "create-proforma", "edit-proforma", "confirm-proforma", "milestone-ready", "correct-invoice",
        "post-vendor-invoice", "confirm-vendor-invoice", "post-packing-slip", "create-subcontract",
        "confirm-subcontract", "subcontract-time", "subcontract-invoice", "post-intercompany-invoice",
    }  # fmt: skip
    assert needed <= week.events.keys()
    kinds = Counter((row["msdyn_transactiontypecode"], row["msdyn_adjustmentstatus"]) for row in week.actuals)
    assert {(COST, None), (COST, ADJUSTED), (COST, UNADJUSTABLE), (UNBILLED, UNADJUSTABLE), (BILLED, None)} <= set(
        kinds
    )


def test_it_goes_quiet_and_stays_quiet(shared: Cycle, week: Week) -> None:
    """Nothing waits, nothing is held; also when everything of a company is compared, nothing is written."""
    assert [bool(number) for number in week.writes] == [True] * (len(week.writes) - 1) + [False]
    assert shared.world.open_rows() == []
    for summaries in week.cycles:
        for summary in summaries:
            assert all(leg.counts.conserved for leg in summary.legs)
            assert {leg.message for leg in summary.legs} == {""}, "no warning, and every rule was run"
    with shared.world.runtime() as runtime:
        units = runtime.ledger.documents()
    assert {unit.map for unit in units} == {"invoice_proposals", "vendor_invoices_v2", "subcontracts"}
    assert all(unit.complete for unit in units)
    shared.world.forget_requests()
    run(shared, *AREA_NAMES[1:], mode="full", companies=["GBPM"])
    assert shared.world.writes() == []
    assert shared.world.open_rows() == []


def test_every_actual_that_travels_is_staged_and_has_its_voucher(shared: Cycle, week: Week) -> None:
    """One staging row and one posted line for each, and what posting knows is in Dataverse [R1, R2, R4 to R6, G18]."""
    actuals = by(travelling(week), "msdyn_actualimportid")
    staged = by(shared.finance.rows("ProjActualsImports"), "ActualsImportId")
    lines = by(shared.finance.rows("IntegrationJournalLines"), "ActualsImportId")
    billed = by(shared.finance.rows("ProjInvoiceProposalLines"), "ActualsImportId")
    bought = by(shared.finance.rows("ProjVendInvoiceLinesExportEntity"), "ProjTransId")
    stocked = {number for number, row in bought.items() if row["ProjItemTransExists"]}
    costed = {key for key, row in staged.items()
              if row["TransactionType"] == "Cost" and row["VendInvoiceLineProjTransId"] in stocked}  # fmt: skip
    assert actuals.keys() == staged.keys() == lines.keys() | billed.keys() | costed
    assert len(actuals) > 200
    for key, actual in actuals.items():
        row = staged[key]
        assert actual["msdyn_vouchernumber"] == row["VoucherNumber"] != ""
        told = [actual[name] or 0 for name in ("msdyn_accountingamount", "msdyn_salestaxamount", "exchangerate")]
        assert told == [row[name] for name in ("AccountingAmount", "SalesTaxAmount", "ExchangeRate")]
        assert (key in billed) == (actual["msdyn_transactiontypecode"] == BILLED)
        if key in lines:
            assert (lines[key]["LineStatus"], lines[key]["Voucher"]) == ("Posted", row["VoucherNumber"])
    assert len({(row["dataAreaId"], row["Voucher"]) for row in lines.values()}) == len(lines)
    at_home = [row for row in week.actuals if row["msdyn_actualimportid"] not in actuals]
    assert {row["msdyn_vouchernumber"] for row in at_home} == {None}


def test_both_integration_accounts_hold_what_is_not_posted_yet(shared: Cycle, week: Week) -> None:
    """Nothing of expenses; of vendors what a project manager has not confirmed yet [I4, J2, R17 to R20, J3]."""
    assert all(amount > 0 for amount in week.spent.values())
    headers = {(row["dataAreaId"], row["InvoiceAccount"], row["VendorInvoiceNum"]): row["ProjVendInvoiceStatus"]
               for row in shared.finance.rows("VendInvoiceExportsV2")}  # fmt: skip
    booked = by((row for row in shared.finance.rows("VendorInvoiceLines") if row["ProjTransId"]), "ProjTransId")
    open_cost: defaultdict[str, Decimal] = defaultdict(Decimal)
    for row in shared.finance.rows("ProjVendInvoiceLinesExportEntity"):
        status = headers[row["DAreaId"], row["InvoiceAccount"], row["VendorInvoiceNum"]]
        if status != "Confirmed" and not row["ProjItemTransExists"]:
            open_cost[row["DAreaId"].upper()] += booked[row["ProjTransId"]]["CostAmountAccountingCurrency"]
    for code in COMPANIES:
        assert shared.balance(code) == 0
        assert finance_jobs.integration_account_balance(shared.works.finance, code, "procurement") == open_cost[code]
    exported = by(shared.finance.rows("ProjExpensesExport"), "ExpTransNumber")
    expenses = by(shared.dataverse.rows("msdyn_expenses"), "msdyn_externalexpensenumber")
    assert exported.keys() == expenses.keys()
    assert len(exported) == week.events["post-expense"]
    costs = [row for row in week.actuals if row["msdyn_externaloriginreference"] in exported]
    costs = [row for row in costs if row["msdyn_transactiontypecode"] == COST]
    assert sorted(row["msdyn_externaloriginreference"] for row in costs) == sorted(exported)
    for row in costs:
        number = row["msdyn_externaloriginreference"]
        assert row["msdyn_amount"] == expenses[number]["msdyn_amount"] == exported[number]["NetAmount"]


def test_each_confirmed_invoice_is_one_proposal_with_all_its_lines(shared: Cycle, week: Week) -> None:
    """Same number, a line for each billed actual, and the chargeable ones make the amount [H2 to H4, R12, R13]."""
    invoices = by(shared.dataverse.rows("invoices"), "invoicenumber")
    sent = {number: row for number, row in invoices.items() if row["msdyn_projectinvoicestatus"] != DRAFT}
    proposals = by(shared.finance.rows("ProjInvoiceProposalHeaders"), "InvoiceProposalId")
    assert sent.keys() == proposals.keys()
    assert len(sent) >= week.events["confirm-proforma"] > 5
    lines = shared.finance.rows("ProjInvoiceProposalLines")
    for number, invoice in sent.items():
        billed = by(
            (row for row in week.actuals if row["_msdyn_invoice_value"] == invoice["invoiceid"]
             and row["msdyn_transactiontypecode"] == BILLED),
            "msdyn_actualimportid",
        )  # fmt: skip
        own = by((row for row in lines if row["InvoiceProposalId"] == number), "ActualsImportId")
        assert own.keys() == billed.keys() != set()
        charged = [row for row in billed.values() if row["msdyn_billingtype"] == CHARGEABLE]
        assert total(charged, "msdyn_amount") == proposals[number]["InvoiceAmount"], number
        assert proposals[number]["Troubleshoot"] == "No"


def test_every_posted_invoice_is_known_in_dataverse(shared: Cycle, week: Week) -> None:
    """Number, date, status and tax of the customer invoice come back [R37]."""
    assert week.events
    invoices = by(shared.dataverse.rows("invoices"), "invoicenumber")
    posted = by(shared.finance.rows("ProjInvoiceProposalsExport"), "InvoiceProposalId")
    assert posted.keys() == {number for number, row in invoices.items() if row["msdyn_projectinvoicestatus"] == POSTED}
    back = by(shared.dataverse.rows("msdyn_customerinvoices"), "_msdyn_invoice_value")
    assert len(back) == len(posted) > 5
    for number, row in posted.items():
        invoice = invoices[number]
        customer = back[invoice["invoiceid"]]
        assert (customer["msdyn_customerinvoicenumber"], invoice["msdyn_invoicenumber"]) == (row["InvoiceId"],) * 2
        assert customer["msdyn_invoicedate"] == row["InvoiceDate"][:10]
        assert (customer["msdyn_salestaxamount"], invoice["totaltax"]) == (row["SalesTaxAmount"],) * 2
        assert customer["msdyn_totalamount"] == row["InvoiceAmount"]


def test_every_vendor_line_is_in_dataverse_and_every_word_on_it_in_finance(shared: Cycle, week: Week) -> None:
    """All project lines, with header; what the project manager said of the invoice goes back [J1, J3, R21]."""
    assert week.events["confirm-vendor-invoice"]
    exported = by(shared.finance.rows("ProjVendInvoiceLinesExportEntity"), "ProjTransId")
    lines = by(shared.dataverse.rows("msdyn_projectvendorinvoicelines"), "msdyn_externalinvoiceline")
    assert exported.keys() == lines.keys() != set()
    headers = by(shared.dataverse.rows("msdyn_projectvendorinvoices"), "msdyn_projectvendorinvoiceid")
    known = {(row["dataAreaId"], row["VendorInvoiceNum"]): row for row in shared.finance.rows("VendInvoiceExportsV2")}
    assert len(headers) == len(known)
    for number, row in exported.items():
        line = lines[number]
        told = [line[name] for name in ("msdyn_quantity", "msdyn_price", "msdyn_subtotal")]
        assert told == [row[name] for name in ("QtyReceiveNow", "PurchPrice", "LineAmount")]
        header = headers[line["_msdyn_vendorinvoice_value"]]
        assert header["msdyn_vendorinvoicenumber"] == row["VendorInvoiceNum"]
        status = known[row["DAreaId"], row["VendorInvoiceNum"]]["ProjVendInvoiceStatus"]
        assert status == {DRAFT: "Draft", CONFIRMED: "Confirmed"}[header["statuscode"]]


def test_every_subcontract_is_an_order_with_its_lines(shared: Cycle, week: Week) -> None:
    """Numbers, states, quantities and prices; what was worked and posted is received [J10 to J12, R23, R24]."""
    assert week.events["subcontract-time"]
    orders = by(shared.finance.rows("SubContractPurchaseOrderHeaders"), "ProjSubContractNumber")
    contracts = by(shared.dataverse.rows("msdyn_subcontracts"), "msdyn_subcontractnumber")
    assert orders.keys() == contracts.keys() != set()
    for number, contract in contracts.items():
        assert contract["msdyn_purchaseordernumber"] == orders[number]["PurchaseOrderNumber"] != ""
        assert orders[number]["SubConStatus"] == ORDERED[contract["statuscode"]]
    ordered = by(shared.finance.rows("ProjSubContractPurchaseOrderLines"), "ProjSubContractLineNumber")
    lines = by(shared.dataverse.rows("msdyn_subcontractlines"), "msdyn_subcontractlinenumber")
    assert ordered.keys() == lines.keys()
    for number, line in lines.items():
        told = [line["msdyn_quantity"], line["msdyn_price"]]
        assert told == [ordered[number]["PurchQty"], ordered[number]["PurchPrice"]]
    nothing = "00000000-0000-0000-0000-000000000000"
    received = [row for row in shared.finance.rows("ProductReceiptLines") if row["ActualsImportId"] != nothing]
    bought = [row for row in travelling(week) if row["_msdyn_subcontractline_value"] is not None]
    worked = [row for row in bought if row["msdyn_transactiontypecode"] == COST]
    worked = [row for row in worked if row["_msdyn_vendorinvoiceline_value"] is None]
    assert len(received) > 3
    taken = [(row["ActualsImportId"], row["Quantity"]) for row in received]
    # what was corrected or cancelled is sent back; what a vendor invoice has replaced is received once
    done = {row["msdyn_actualimportid"]: row["msdyn_quantity"] for row in worked
            if row["msdyn_adjustmentstatus"] != UNADJUSTABLE or row["_msdyn_vendorinvoice_value"] is None}  # fmt: skip
    assert dict(taken) == done
    assert len(taken) == len(done)


def test_what_was_taken_back_adds_up_to_nothing(shared: Cycle, week: Week) -> None:
    """Each adjusted actual has one reversal, and where both travel both are booked alike [R10, R11]."""
    by_id = by(week.actuals, "msdyn_actualid")
    reversing = [row for row in shared.dataverse.rows("msdyn_transactionconnections")
                 if row["msdyn_transaction1role"] == "Reversing"]  # fmt: skip
    pairs = [(by_id[row["msdyn_transaction2"]], by_id[row["msdyn_transaction1"]]) for row in reversing]
    adjusted = [(one, other) for one, other in pairs if one["msdyn_adjustmentstatus"] == ADJUSTED]
    assert {one["msdyn_actualid"] for one, _ in adjusted} == {
        row["msdyn_actualid"] for row in week.actuals if row["msdyn_adjustmentstatus"] == ADJUSTED
    }
    assert len(adjusted) > 20
    for original, reversal in adjusted:
        assert reversal["msdyn_adjustmentstatus"] == UNADJUSTABLE
        assert [total([original, reversal], name) for name in OPPOSITE] == [0, 0]
        if original["msdyn_skipsync"] == reversal["msdyn_skipsync"]:
            assert [total([original, reversal], name) for name in BOOKED] == [0, 0]
        else:
            # [G1]: the negative that closes an unbilled sale when its invoice is confirmed stays at home
            assert (original["msdyn_transactiontypecode"], reversal["msdyn_skipsync"]) == (UNBILLED, True)


def test_every_connection_is_in_finance(shared: Cycle, week: Week) -> None:
    """Rules [F1, F3]."""
    assert week.actuals
    columns = ("msdyn_transaction1", "msdyn_transaction1role", "msdyn_transaction2", "msdyn_transaction2role")
    here = {
        (row["msdyn_transactionconnectionid"], *(row[name] for name in columns))
        for row in shared.dataverse.rows("msdyn_transactionconnections")
    }
    names = ("ConnectionId", "Transaction1Id", "Transaction1Role", "Transaction2Id", "Transaction2Role")
    assert here == {tuple(row[name] for name in names) for row in shared.relationships()}


def test_each_estimate_is_one_forecast(shared: Cycle, week: Week) -> None:
    """Also those that were removed and added again; those that began before the cut-over are history [D3, D6, R30]."""
    assert week.events["reassign"]
    since = str(SINCE)
    integrated = {shared.works.company(code) for code in COMPANIES}
    plans = {
        row["msdyn_resourceassignmentid"]: row["msdyn_hours"]
        for row in shared.dataverse.rows("msdyn_resourceassignments")
        if row["msdyn_fromdate"][:10] >= since and row["_msdyn_owningcompany_value"] in integrated
    }
    hours = [(row["OriginId"], row["Quantity"]) for row in shared.finance.rows("ForecastHours")]
    assert dict(hours).items() >= plans.items()
    assert len(dict(hours)) == len(hours)
    lines = shared.dataverse.rows("msdyn_estimatelines")
    origins = {
        row["msdyn_estimatelineid"]: row["msdyn_amount"]
        for row in lines
        if row["msdyn_origin"] is None and row["msdyn_startdatetime"][:10] >= since
        and row["_msdyn_owningcompany_value"] in integrated
    }  # fmt: skip
    assert min(len(plans), len(origins)) > 10
    forecasts = [row for name in ("ForecastExpenses", "ForecastItems") for row in shared.finance.rows(name)]
    costs = [(row["OriginId"], row["CostAmount"]) for row in forecasts]
    assert dict(costs).items() >= origins.items()
    assert len(dict(costs)) == len(costs)


def test_a_night_after_the_week_finds_no_break_and_every_amount(shared: Cycle, week: Week) -> None:
    """L: all maps compared in full, all controls asked, totals tie; what vendors are owed explains the balances."""
    assert week.actuals
    shared.world.sandbox.clock.advance(timedelta(hours=30))
    shared.world.sign_out()
    with shared.world.runtime() as runtime:
        night = steps.begin(runtime)
        steps.read(night, runtime)
        compared, asked = steps.compare(night, runtime), steps.ask(night, runtime)
        totals = compute_totals(steps.tonight(night, runtime))
    files = [*night.folder.glob("sides/*/*/breaks.parquet"), *night.folder.glob("controls/*.parquet")]
    assert [row for file in files for row in read_table(file).to_pylist()] == []
    assert {one["state"] for one in asked} == {"equal"}
    assert len(asked) == 40
    # both go in packages only, so nobody can read back what became of them
    packages = {"map:invoice_proposals", "map:transaction_relationships"}
    assert {one["control"] for one in compared if one["state"] != "equal"} == packages
    assert totals["matched"] == {"": "1", **dict.fromkeys(COMPANIES, "1")}
    assert all(one["state"] == "drawn_up" for one in totals["states"].values())
    for row in read_table(night.folder / "totals.parquet").to_pylist():
        told = [
            [row[f"{side}_{name}"] for name in ("rows", "amount", "accounting")] for side in ("dataverse", "finance")
        ]
        assert told[0] == told[1], row
    for one in totals["balances"]:
        assert one["balance"] == one["open_items"], one
