"""What Finance says of an invoice that is not all there, and how invoices are corrected: [E13 to E16, F1, F3, G1, H3,
H4, H13, R10] through both APIs.

The parts of an invoice are carried one after the other, which no area does, to meet the documented errors.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from dualsync_sandbox.business.dataverse.choices import BillingMethod
from dualsync_sandbox.business.dataverse.entries.approvals import approve_time
from dualsync_sandbox.business.dataverse.invoicing.proforma_corrections import revise_invoice
from dualsync_sandbox.store import Row
from support.cycles import ACTUALS, CONTRACTS, Cycle, total
from support.invoices import BILLED, Billing

pytestmark = pytest.mark.slow

Api = dict[str, Any]

HERE = {"companies": ["USPM"]}
ADJUSTED, UNADJUSTABLE = 192350001, 192350002
UNBILLED, OPEN = 192350005, 192350000
MILESTONES = "msdyn_contractlinescheduleofvalue"


@dataclass
class Story:
    """Four entries of eight hours and a milestone, invoiced and corrected.

    Attributes:
        invoices: ids of the proformas: of the hours and of the milestone, and of their corrections.
        sales: the unbilled sales, by what becomes of them.
        billed: the sales that were billed first, by the same words.
        corrected: what the corrections made, by the same words.
    """

    billing: Billing
    project: str
    fixed: str
    milestone: str
    invoices: dict[str, str] = field(default_factory=dict)
    sales: dict[str, Row] = field(default_factory=dict)
    billed: dict[str, Row] = field(default_factory=dict)
    corrected: dict[str, list[Row]] = field(default_factory=dict)
    mismatched: tuple[tuple[str, str], ...] = ()
    alone: list[Any] = field(default_factory=list)
    header: Api = field(default_factory=dict)
    unrelated: tuple[tuple[str, str], ...] = ()
    posted: dict[str, str] = field(default_factory=dict)
    writes: list[Api] = field(default_factory=list)


KINDS = ("credited", "reduced", "increased", "kept")


def invoice(told: Story) -> None:
    works, billing = told.billing.cycle.works, told.billing
    for kind in KINDS:
        _, told.sales[kind] = approve_time(works.dataverse, works.time(told.project))
    told.invoices["hours"] = billing.draft(told.project, list(told.sales.values()))
    told.invoices["milestone"] = billing.draft(told.fixed, milestones=[told.milestone])
    made = [row for row in billing.confirm(told.invoices["hours"]) if row["msdyn_transactiontypecode"] == BILLED]
    told.billed = dict(zip(KINDS, made, strict=True))
    (told.billed["milestone"],) = billing.confirm(told.invoices["milestone"])


def carry_in_parts(told: Story) -> None:
    """Header first, billed sales without relationships next, at last those."""
    billing, cycle = told.billing, told.billing.cycle
    cycle.sync(*CONTRACTS, "milestones", *ACTUALS, "invoice_proposals", **HERE)
    cycle.books()
    told.mismatched = billing.fill().held
    told.alone, told.header = billing.unit(told.invoices["hours"]), billing.proposal(told.invoices["hours"])
    cycle.sync("actuals_billed", **HERE)
    told.unrelated = billing.fill().held
    cycle.sync("transaction_relationships_billed", **HERE)
    told.posted = billing.evening()


def correct(told: Story) -> None:
    """Credit one entry, keep six hours of another, charge ten of a third, leave the last; credit the milestone."""
    store, billing = told.billing.cycle.works.dataverse, told.billing
    for name in ("hours", "milestone"):
        draft = revise_invoice(store, told.invoices[name])
        told.invoices[f"{name}, corrected"] = str(draft["invoiceid"])
    billing.keep(told.invoices["hours, corrected"], _1="6", _2="10", _3="8")
    made = billing.confirm(told.invoices["hours, corrected"], "2026-04-30")
    told.corrected = {"credited": made[:2], "reduced": made[2:7], "increased": made[7:]}
    told.corrected["milestone"] = billing.confirm(told.invoices["milestone, corrected"], "2026-04-30")


@pytest.fixture(scope="module")
def story(shared: Cycle) -> Story:
    works = shared.works
    fixed = works.project(BillingMethod.FIXED_PRICE)
    told = Story(Billing(shared), works.project(), fixed, works.milestone(fixed, "4000"))
    invoice(told)
    carry_in_parts(told)
    told.billing.bring_back("milestones", **HERE)
    correct(told)
    told.billing.bring_back("milestones", **HERE)
    told.posted |= told.billing.evening()
    told.billing.bring_back("milestones", **HERE)
    shared.world.forget_requests()
    told.billing.bring_back("milestones", mode="full", **HERE)
    told.writes = shared.world.writes()
    return told


# -- what is not all there


def test_a_header_alone_gets_no_lines(story: Story) -> None:
    """By the documented words, in the job log; the ledger shows the unit as incomplete [H4]."""
    number = story.billing.number(story.invoices["hours"])
    why = dict(story.mismatched)[number]
    assert why.startswith("Invoice proposal wasn't processed because of mismatched billed sales actuals.")
    assert "4 in Dataverse and 0 in Finance" in why
    logged = story.billing.cycle.finance.rows("ImportLog", f"InvoiceProposalId eq '{number}'")
    assert [row["Message"] for row in logged] != []
    facts = ("Troubleshoot", "LineCount", "InvoiceAmount", "Message")
    assert [story.header[name] for name in facts] == ["Yes", 0, 0, why]
    of_sales = next(record for record in story.alone if record.lines == "actuals_billed")
    assert (of_sales.acknowledged, of_sales.complete) == (0, False)


def test_nor_does_a_proposal_whose_relationships_are_missing(story: Story) -> None:
    """Nothing says which unbilled sales are behind it; a milestone has none and needs no relationship [F3, H3]."""
    (held,) = story.unrelated
    assert held[0] == story.billing.number(story.invoices["hours"])
    assert "4 of the transactions behind its billed sales actuals aren't posted" in held[1]


def test_it_heals_with_the_rest(story: Story) -> None:
    """The next import after it; posted the same evening [H3, H4]."""
    for name, amount in (("hours", 6400), ("milestone", 4000)):
        header = story.billing.proposal(story.invoices[name])
        assert (header["ProposalStatus"], header["InvoiceAmount"], header["Message"]) == ("Posted", amount, "")
        assert all(record.complete for record in story.billing.unit(story.invoices[name]))


# -- corrections


def test_a_correction_is_an_invoice_of_its_own(story: Story) -> None:
    """It names the other one, and both are posted in the end [H13]."""
    for name, amount in (("hours", -1600), ("milestone", -4000)):
        first = story.billing.invoice(story.invoices[name])
        second = story.billing.invoice(story.invoices[f"{name}, corrected"])
        assert second["_msdyn_correctedinvoice_value"] == first["invoiceid"]
        assert (first["msdyn_hascorrections"], second["msdyn_hascorrections"]) == (False, True)
        assert {row["msdyn_projectinvoicestatus"] for row in (first, second)} == {192350004}
        posted = story.billing.posted(str(second["invoiceid"]))
        assert (posted["InvoiceAmount"], posted["InvoiceDate"]) == (amount, "2026-04-30T12:00:00Z")
        assert second["totalamount"] == posted["TotalAmount"]


@pytest.mark.parametrize(
    ("kind", "travelled"),
    [
        # [E16]: credited, and open again
        ("credited", [("BilledSales", -8, -1600, UNADJUSTABLE, True), ("Sales", 8, 1600, 0, False)]),
        # [E14]: the part kept and the rest, of which only the rest is open
        (
            "reduced",
            [("BilledSales", -8, -1600, UNADJUSTABLE, True), ("Sales", 6, 1200, 0, False),
             ("BilledSales", 6, 1200, 0, True), ("Sales", 2, 400, 0, False)],
        ),
        # [E15]
        (
            "increased",
            [("BilledSales", -8, -1600, UNADJUSTABLE, True), ("Sales", 10, 2000, 0, False),
             ("BilledSales", 10, 2000, 0, True)],
        ),
        # [E13]
        ("milestone", [("BilledSales", -1, -4000, UNADJUSTABLE, True)]),
    ],
)  # fmt: skip
def test_what_a_correction_makes(shared: Cycle, story: Story, kind: str, travelled: list[tuple[object, ...]]) -> None:
    """All but the negative unbilled sales travels; billed ones name the corrective proforma [G1]."""
    name = "milestone" if kind == "milestone" else "hours"
    number = story.billing.number(story.invoices[f"{name}, corrected"])
    staged = [shared.staged(row) for row in story.corrected[kind] if not row["msdyn_skipsync"]]
    facts = ("TransactionType", "Quantity", "Amount", "AdjustmentStatus")
    assert [(*(row[fact] for fact in facts), row["InvoiceProposalId"] == number) for row in staged] == travelled
    assert shared.staged(story.billed[kind])["AdjustmentStatus"] == ADJUSTED
    stays = [row for row in story.corrected[kind] if row["msdyn_skipsync"]]
    assert {row["msdyn_transactiontypecode"] for row in stays} <= {UNBILLED}
    for row in stays:
        assert row["msdyn_quantity"] < 0
        assert shared.finance.rows("ProjActualsImports", f"ActualId eq {row['msdyn_actualid']}") == []


def test_what_is_kept_stays(shared: Cycle, story: Story) -> None:
    """Rule [H13]."""
    staged = shared.staged(story.billed["kept"])
    assert (staged["AdjustmentStatus"], staged["Quantity"]) == (0, 8)
    assert shared.actual(story.billed["kept"])["msdyn_adjustmentstatus"] is None


def test_a_credit_takes_back_what_was_posted(shared: Cycle, story: Story) -> None:
    """Original and reversal add up to nothing, in Dataverse, on the staging rows and in the ledger [R10, G-L]."""
    for kind in ("credited", "reduced", "increased", "milestone"):
        pair = [shared.actual(row) for row in (story.billed[kind], story.corrected[kind][0])]
        assert [row["msdyn_adjustmentstatus"] for row in pair] == [ADJUSTED, UNADJUSTABLE]
        for column in ("msdyn_quantity", "msdyn_amount", "msdyn_accountingamount", "msdyn_salestaxamount"):
            assert total(pair, column) == 0
        assert all(row["msdyn_vouchernumber"] for row in pair)
    first, second = (story.billing.entries(story.invoices[name]) for name in ("hours", "hours, corrected"))
    assert (first["ProjectInvoicedRevenue"], second["ProjectInvoicedRevenue"]) == (-6400, 1600)
    on_account = [
        story.billing.entries(story.invoices[name])["ProjectInvoicedOnAccount"]
        for name in ("milestone", "milestone, corrected")
    ]
    assert on_account == [-4000, 4000]


def test_corrections_are_connected_in_finance(shared: Cycle, story: Story) -> None:
    """The reversal and what is unbilled anew with what was billed, the new billed sale with its unbilled one [F1]."""
    ends = {
        (row["Transaction1Id"], row["Transaction1Role"], row["Transaction2Id"], row["Transaction2Role"])
        for row in shared.relationships()
    }
    before = str(story.billed["reduced"]["msdyn_actualid"])
    reversal, kept, _, billed, rest = (str(row["msdyn_actualid"]) for row in story.corrected["reduced"])
    assert {
        (reversal, "Reversing", before, "Original"),
        (kept, "Replacing", before, "Original"),
        (billed, "Billed", kept, "Unbilled"),
        (rest, "Replacing", before, "Original"),
    } <= ends


def test_what_is_open_again_can_be_invoiced(shared: Cycle, story: Story) -> None:
    """Eight hours and two, posted like any unbilled sale; and the milestone, on both sides [E13, E14, E16]."""
    again = [
        row for kind in ("credited", "reduced") for row in story.corrected[kind] if row["msdyn_billingstatus"] == OPEN
    ]
    assert [row["msdyn_quantity"] for row in again] == [8, 2]
    assert all(shared.actual(row)["msdyn_vouchernumber"] for row in again)
    assert all(shared.line(row)["LineStatus"] == "Posted" for row in again)
    milestone = shared.dataverse.one(f"{MILESTONES}s", f"{MILESTONES}id eq {story.milestone}")
    key = f"ContractLineMilestoneIdentifier eq '{milestone['msdyn_milestonenumber']}'"
    assert milestone["msdyn_invoicestatus"] == 192350001
    assert shared.finance.one("ProjectContractLineMilestones", key)["TransStatus"] == "Posted"
    assert shared.finance.one("OnAccountTransactions", key)["Status"] == "Posted"


def test_then_there_is_quiet(shared: Cycle, story: Story) -> None:
    assert story.writes == []
    assert shared.world.open_rows() == []
    assert len(story.posted) == 4
