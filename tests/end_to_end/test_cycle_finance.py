"""What Finance does with staged rows, and what Dataverse sees of it.

Holds [G3 to G5, G11 to G14, G17 to G19, G-L, D2, E-T, E19, E20].

One story: three companies with parameters of their own, everything sent at once, a first evening on which much goes
wrong, and a second one on which all of it is set right.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from dualsync_sandbox.business.dataverse import connections
from dualsync_sandbox.business.dataverse.choices import BillingMethod, BillingStatus, TransactionClass, TransactionType
from dualsync_sandbox.business.dataverse.entries.approvals import approve_material, approve_time
from dualsync_sandbox.business.dataverse.invoicing.billing import mark_ready_to_invoice
from dualsync_sandbox.business.dataverse.journals import draft_correction_journal, post_entry_journal
from dualsync_sandbox.business.finance import jobs as finance_jobs
from dualsync_sandbox.store import Row
from support.cycles import ACTUALS, CONTRACTS, Cycle
from support.worlds import leg

pytestmark = pytest.mark.slow

Api = dict[str, Any]

ALL = {"companies": ["USPM", "GBPM", "FRRT"]}
FIXED = BillingMethod.FIXED_PRICE
POSTED = ("msdyn_vouchernumber", "msdyn_accountingamount", "msdyn_salestaxamount")


@dataclass
class Story:
    """What was approved, by what became of it, and how Dataverse saw it after the first evening."""

    made: dict[str, list[Row]] = field(default_factory=dict)
    message: str = ""
    imports: dict[str, finance_jobs.ImportSummary] = field(default_factory=dict)
    first: dict[str, Api] = field(default_factory=dict)
    deleted: Row = field(default_factory=dict)
    moved: tuple[str, ...] = ()
    log: dict[str, str] = field(default_factory=dict)

    def on_the_first_evening(self, name: str) -> list[str | None]:
        """The vouchers of actuals after the first evening."""
        return [self.first[str(row["msdyn_actualid"])]["msdyn_vouchernumber"] for row in self.made[name]]


def set_up(cycle: Cycle, area: str, **values: Any) -> None:
    """Change the integration parameters of a company."""
    cycle.finance.change(f"IntegrationParameters(dataAreaId='{area}')", values)


def period(cycle: Cycle, first: str, status: str) -> None:
    with cycle.works.finance.transaction() as tx:
        for row in tx.find("FiscalPeriods", dataAreaId="uspm", StartDate=first):
            tx.update("FiscalPeriods", row["RecId"], {"Status": status})


def lines_of(cycle: Cycle, rows: list[Row]) -> list[Api]:
    return [cycle.line(row) for row in rows]


def profiles(cycle: Cycle, projects: dict[str, str]) -> None:
    """A profile for each of these projects, by a rule that names it [D2]."""
    posting = {"wip": ("ProfitAndLoss", "Yes"), "balance": ("Balance", "No"), "silent": ("NoLedger", "No")}
    for number, (name, (costs, accrues)) in enumerate(posting.items(), start=10):
        key = {"dataAreaId": "uspm", "ProfileId": name.upper()}
        cycle.finance.create("CostAndRevenueProfiles", {**key, "PostCosts": costs, "AccrueRevenue": accrues})
        rule = {**key, "RuleNumber": number, "ProjectId": cycle.number(projects[name])}
        cycle.finance.create("CostAndRevenueProfileRules", rule)


def work(cycle: Cycle, told: Story) -> dict[str, str]:
    """Everything that is approved before the first evening; returns the projects."""
    works, made = cycle.works, told.made
    store = works.dataverse
    projects = {name: works.project() for name in ("plain", "wip", "silent", "costed", "fee")}
    projects |= {"balance": works.project(FIXED), "internal": works.internal()}
    projects |= {
        "checked": works.project(code="GBPM", currency="GBP"),
        "old": works.project(code="FRRT", currency="EUR"),
    }
    for name in ("plain", "wip", "balance", "silent", "internal"):
        made[name] = approve_time(store, works.time(projects[name]))
    made["april"] = approve_time(store, works.time(projects["plain"], msdyn_date="2026-04-01"))
    made["closed"] = approve_time(store, works.time(projects["plain"]))
    made["costed"] = approve_material(store, works.material(projects["costed"]))
    british, french = (dict[str, Any](msdyn_bookableresource=works.resource(code)) for code in ("GBPM", "FRRT"))
    made["checked"] = approve_time(store, works.time(projects["checked"], **british))
    for name, day in (("opening", "2026-02-27"), ("after", "2026-03-02")):
        made[name] = approve_time(store, works.time(projects["old"], msdyn_date=day, **french))
    made["source"] = approve_time(store, works.time(projects["fee"]))
    (rule,) = works.share_the_bill(projects["fee"], "100")
    line = {
        "msdyn_transactiontypecode": TransactionType.UNBILLED_SALES,
        "msdyn_project": projects["fee"],
        "msdyn_contractcustomer": rule,
        "msdyn_documentdate": "2026-03-02",
        "msdyn_quantity": Decimal(1),
        "msdyn_price": Decimal(150),
    }
    made["fee"] = post_entry_journal(store, [{**line, "msdyn_transactionclassification": TransactionClass.FEE}])
    made["odd"] = post_entry_journal(store, [{**line, "msdyn_transactionclassification": TransactionClass.RETAINER}])
    with store.transaction() as tx:
        connections.connect(tx, made["fee"][0], "Fee", made["source"][1], connections.ORIGINAL)
        of_material, *_ = made["costed"]
        tx.update("msdyn_actual", of_material["msdyn_actualid"], {"msdyn_externalreferenceid": "VI-TRANS-1"})
        # by data import, which knows no rule of journals
        milestone = {"msdyn_transactionclassification": TransactionClass.MILESTONE}
        tx.update("msdyn_actual", made["odd"][0]["msdyn_actualid"], milestone)
        for row in made["closed"]:
            tx.update("msdyn_actual", row["msdyn_actualid"], {"msdyn_accountingdate": "2026-02-10"})
    return projects


def first_evening(cycle: Cycle, told: Story, projects: dict[str, str]) -> None:
    """Import and post in all three companies."""
    finance = cycle.works.finance
    with finance.transaction() as tx:
        tx.insert(
            "ProjectTransactions",
            {
                "dataAreaId": "uspm", "TransactionId": "VI-TRANS-1", "ProjectId": cycle.number(projects["costed"]),
                "TransactionType": "Item", "CostAmountAccountingCurrency": Decimal("311.40"),
                "AccountingDate": "2026-03-02", "Voucher": "VIN-000007", "TransactionOrigin": "StockedVendorInvoice",
            },
        )  # fmt: skip
    tampered = told.made["checked"][1]["msdyn_actualimportid"]
    cycle.finance.change(f"ProjActualsImports(dataAreaId='gbpm',ActualsImportId={tampered})", {"Quantity": 99})
    period(cycle, "2026-02-01", "Closed")
    for code in ALL["companies"]:
        told.imports[code] = import_staged(cycle, code)
    told.log = {row["ActualsImportId"]: row["Message"] for row in cycle.finance.rows("ImportLog")}
    taxed, told.deleted = lines_of(cycle, told.made["plain"])[1], lines_of(cycle, told.made["silent"])[0]
    address = "IntegrationJournalLines(dataAreaId='uspm',JournalId='{JournalId}',LineNumber={LineNumber})"
    cycle.finance.change(address.format(**taxed), {"TaxGroupCode": "ST-STD"})
    finance_jobs.delete_journal_line(finance, "USPM", told.deleted["JournalId"], told.deleted["LineNumber"])
    finance_jobs.start_batch_posting(finance, "USPM", lines_of(cycle, told.made["april"])[0]["JournalId"])
    for code in ALL["companies"]:
        told.moved += finance_jobs.post_integration_journals(finance, code).error_journals
    finance_jobs.post_beginning_balances(finance, "FRRT")
    cycle.sync("actuals", **ALL)
    told.first = {row["msdyn_actualid"]: row for row in cycle.dataverse.rows("msdyn_actuals")}


def second_evening(cycle: Cycle, told: Story) -> None:
    """The period is opened, the staged row set right, the error journal set to draft; and a day has passed."""
    works, finance = cycle.works, cycle.works.finance
    row = told.made["checked"][1]
    key = f"ProjActualsImports(dataAreaId='gbpm',ActualsImportId={row['msdyn_actualimportid']})"
    cycle.finance.change(key, {"Quantity": 8})
    period(cycle, "2026-02-01", "Open")
    for journal in told.moved:
        finance_jobs.update_journal_to_draft(finance, "USPM", journal)
    mark_ready_to_invoice(works.dataverse, [str(told.made["wip"][1]["msdyn_actualid"])])
    draft_correction_journal(works.dataverse, str(told.made["plain"][0]["msdyn_actualid"]), {"day": "2026-03-04"})
    works.clock.advance(timedelta(hours=25))
    cycle.world.sign_out()
    for code in ALL["companies"]:
        import_staged(cycle, code)
        finance_jobs.post_integration_journals(finance, code)
    cycle.sync("actuals", **ALL)


def import_staged(cycle: Cycle, code: str) -> finance_jobs.ImportSummary:
    def actual(actual_id: str) -> Row | None:
        with cycle.works.dataverse.reading() as tx:
            return tx.get("msdyn_actual", actual_id)

    return finance_jobs.import_from_staging(cycle.works.finance, code, actual)


@pytest.fixture(scope="module")
def story(shared: Cycle) -> Story:
    told = Story()
    projects = work(shared, told)
    set_up(shared, "uspm", JournalPeriodUnit="Months", LinesPerJournal=5, SetAccountingDateToOpenPeriod="No")
    set_up(shared, "gbpm", PrevalidateActuals="Yes")
    set_up(shared, "frrt", BeginningBalanceCutOff="2026-02-28T12:00:00Z")
    shared.sync(*CONTRACTS, **ALL)
    profiles(shared, projects)
    told.message = leg(shared.sync(*ACTUALS, **ALL), "actuals", "USPM").message
    first_evening(shared, told, projects)
    second_evening(shared, told)
    return told


def entries(cycle: Cycle, row: Row) -> list[tuple[str, Decimal]]:
    """The ledger entries of an actual's voucher: posting type, and the debit or the credit with a minus."""
    voucher = cycle.actual(row)["msdyn_vouchernumber"]
    found = cycle.finance.rows("LedgerEntries", f"dataAreaId eq 'uspm' and Voucher eq '{voucher}'")
    return [(one["PostingType"], one["Debit"] - one["Credit"]) for one in found]


@pytest.mark.parametrize(
    ("name", "cost", "sale"),
    [
        ("plain", [("ProjectCost", 960), ("PayrollAllocation", -960)], []),
        (
            "wip",
            [("ProjectCost", 960), ("PayrollAllocation", -960)],
            [("ProjectWipSalesValue", 1600), ("ProjectAccruedRevenue", -1600)],
        ),
        ("balance", [("ProjectWipCostValue", 960), ("PayrollAllocation", -960)], None),
        ("silent", [], []),
        ("internal", [("ProjectCost", 960), ("PayrollAllocation", -960)], None),
    ],
)
def test_the_ledger_by_profile(shared: Cycle, story: Story, name: str, cost: Any, sale: Any) -> None:
    """By the voucher that came back to Dataverse; the rule that names the project counts [G-L, D2]."""
    rows = story.made[name]
    assert [entries(shared, row) for row in rows] == ([cost] if sale is None else [cost, sale])
    told = [shared.actual(row) for row in rows]
    assert [row["msdyn_accountingamount"] for row in told] == [960, 1600][: len(rows)]
    assert all(row["msdyn_vouchernumber"] for row in told)


def test_journals_by_month_and_of_five_lines(shared: Cycle, story: Story) -> None:
    """And each line's voucher finds its actual all the same [G4, G5]."""
    assert story.imports["USPM"].lines == 16
    assert len(story.imports["USPM"].journals) == 4
    headers = {
        row["JournalId"]: row for row in shared.finance.rows("IntegrationJournalHeaders", "dataAreaId eq 'uspm'")
    }
    starts = [headers[journal]["PeriodStart"][:10] for journal in story.imports["USPM"].journals]
    assert sorted(starts) == ["2026-03-01"] * 3 + ["2026-04-01"]
    (april,) = {line["JournalId"] for line in lines_of(shared, story.made["april"])}
    assert headers[april]["PeriodStart"][:10] == "2026-04-01"


def test_only_what_dataverse_confirms_is_imported(shared: Cycle, story: Story) -> None:
    """A staged row that is not the actual's waits in Finance, and its actual has no voucher until it is [G3]."""
    sale = story.made["checked"][1]
    (refused,) = story.imports["GBPM"].refused
    assert refused == (sale["msdyn_actualimportid"], "The actual isn't validated against Dataverse yet.")
    before = story.on_the_first_evening("checked")
    assert before[0] is not None
    assert before[1] is None
    assert shared.actual(sale)["msdyn_vouchernumber"] == shared.line(sale)["Voucher"]
    check = shared.finance.one("ActualsValidations", f"ActualsImportId eq {sale['msdyn_actualimportid']}")
    assert check["Status"] == "Valid"


def test_what_the_accountant_changes_on_a_line_comes_back(shared: Cycle, story: Story) -> None:
    """A tax group of the line's own; the other sale has none [G11]."""
    _, sale = story.made["plain"]
    assert shared.actual(sale)["msdyn_salestaxamount"] == shared.staged(sale)["SalesTaxAmount"] == 120
    assert shared.actual(story.made["wip"][1])["msdyn_salestaxamount"] in (None, 0)


def test_a_deleted_line_comes_back_with_the_next_import(shared: Cycle, story: Story) -> None:
    """Under another voucher, and only that one reaches Dataverse [G12]."""
    cost, _ = story.made["silent"]
    assert story.on_the_first_evening("silent")[0] is None
    line = shared.line(cost)
    assert line["Voucher"] not in ("", story.deleted["Voucher"])
    assert shared.actual(cost)["msdyn_vouchernumber"] == line["Voucher"]


def test_a_journal_in_processing_has_no_vouchers_until_a_day_has_passed(shared: Cycle, story: Story) -> None:
    """Rule [G13]."""
    assert story.on_the_first_evening("april") == [None, None]
    assert all(shared.actual(row)["msdyn_vouchernumber"] for row in story.made["april"])


def test_lines_in_error_move_and_the_others_post(shared: Cycle, story: Story) -> None:
    """The lines of a closed period; Dataverse sees the vouchers of the good ones, and later of the others [G14]."""
    (moved,) = story.moved
    header = shared.finance.one("IntegrationJournalHeaders", f"dataAreaId eq 'uspm' and JournalId eq '{moved}'")
    assert header["OriginalJournalId"] in story.imports["USPM"].journals
    assert {line["JournalId"] for line in lines_of(shared, story.made["closed"])} == {moved}
    assert story.on_the_first_evening("closed") == [None, None]
    assert None not in story.on_the_first_evening("plain")
    for row in story.made["closed"]:
        actual = shared.actual(row)
        assert (actual["msdyn_accountingdate"], bool(actual["msdyn_vouchernumber"])) == ("2026-02-10", True)


def test_beginning_balances_have_vouchers_and_no_ledger_entries(shared: Cycle, story: Story) -> None:
    """Up to the cut-off; what is later is posted as ever, and the cut-off is locked [G17]."""
    assert (story.imports["FRRT"].beginning_balances, story.imports["FRRT"].lines) == (2, 2)
    booked = {row["Voucher"] for row in shared.finance.rows("LedgerEntries", "dataAreaId eq 'frrt'")}
    for name, expected in (("opening", False), ("after", True)):
        cost = shared.actual(story.made[name][0])
        assert cost["msdyn_accountingamount"] > 0
        assert (cost["msdyn_vouchernumber"] in booked) is expected
        key = f"ActualsImportId eq '{cost['msdyn_actualimportid']}'"
        origin = shared.finance.one("ProjectTransactions", key)["TransactionOrigin"]
        assert origin == ("IntegrationJournal" if expected else "BeginningBalance")
    with pytest.raises(httpx.HTTPStatusError):
        set_up(shared, "frrt", BeginningBalanceCutOff="2026-03-31T12:00:00Z")


def test_a_cost_that_finance_has_posted_gets_that_voucher(shared: Cycle, story: Story) -> None:
    """No line for the cost, and Dataverse gets what the vendor invoice was posted with [G18]."""
    assert story.imports["USPM"].already_costed == 1
    cost, sale = story.made["costed"]
    key = f"ActualsImportId eq {cost['msdyn_actualimportid']}"
    assert shared.finance.rows("IntegrationJournalLines", key) == []
    assert [shared.actual(cost)[name] for name in POSTED[:2]] == ["VIN-000007", Decimal("311.40")]
    assert shared.actual(sale)["msdyn_vouchernumber"] == shared.line(sale)["Voucher"] != ""


def test_a_fee_is_linked_to_what_it_was_made_for(shared: Cycle, story: Story) -> None:
    """By the connection that came along [G19]."""
    (fee,), source = story.made["fee"], story.made["source"][1]
    line = shared.line(fee)
    assert (line["CategoryType"], line["Amount"]) == ("Revenue", 150)
    assert line["SourceActualsImportId"] == source["msdyn_actualimportid"]
    of_fee, of_source = (
        shared.finance.one("ProjectTransactions", f"ActualsImportId eq '{row['msdyn_actualimportid']}'")
        for row in (fee, source)
    )
    assert of_fee["SourceTransactionId"] == of_source["TransactionId"]
    assert [shared.actual(fee)[name] or 0 for name in POSTED] == [line["Voucher"], 150, 0]


def test_a_class_that_does_not_fit_its_type_travels_with_a_warning(shared: Cycle, story: Story) -> None:
    """Finance has the last word, here in the log of its import [E-T]."""
    (odd,) = story.made["odd"]
    assert "1 row against actuals.class_of_type" in story.message.split("; ")
    assert shared.staged(odd)["TransactionClassification"] == TransactionClass.MILESTONE
    assert story.log[str(odd["msdyn_actualimportid"])] == f"Transaction class {TransactionClass.MILESTONE} is unknown."
    assert shared.actual(odd)["msdyn_vouchernumber"] is None


def test_billing_and_adjustment_status_follow(shared: Cycle, story: Story) -> None:
    """Ready to invoice, and in process, also on rows that are posted [E19, E20]."""
    ready = shared.staged(story.made["wip"][1])
    assert (ready["BillingStatusId"], ready["IsJournalized"]) == (BillingStatus.READY_TO_INVOICE, "Yes")
    assert [shared.staged(row)["AdjustmentStatus"] for row in story.made["plain"]] == [192350000] * 2
    assert {shared.staged(row)["AdjustmentStatus"] for row in story.made["wip"]} == {0}


def test_nothing_is_left_to_do(shared: Cycle, story: Story) -> None:
    assert story.made
    shared.world.forget_requests()
    for mode in ("incremental", "full"):
        shared.sync("actuals", **ALL, mode=mode)
    assert shared.world.writes() == []
    assert shared.world.open_rows() == []
