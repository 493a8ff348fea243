"""Invoice proposals and their lines: [C7, F3, G3, G8, G10, G21, H2 to H4, H6, R12, R14]; each test names its rule."""

from decimal import Decimal
from typing import Any

import pytest

from dualsync_sandbox.business.finance import jobs
from dualsync_sandbox.errors import BusinessRuleViolation
from dualsync_sandbox.store import Row
from support.books import Books

MILESTONE, UNADJUSTABLE = 192350003, 192350002


def propose(books: Books, number: str = "INV-1", **values: Any) -> Row:
    """What a data package writes."""
    header = {"ProjectContractId": "ORD-uspm", "SalesCurrency": "USD", "InvoiceDate": "2026-03-31", **values}
    row: Row = books.insert("ProjInvoiceProposalsV2", dataAreaId="uspm", InvoiceProposalId=number, **header)
    return row


def billed(books: Books, unbilled: Row | None, number: str = "INV-1", **values: Any) -> Row:
    """The staged billed sale of an unbilled one, related with it."""
    same = ("Amount", "UnitPrice", "Quantity", "TransactionClassification", "BillingType", "TransactionCurrencyId")
    taken = {name: unbilled[name] for name in same} if unbilled is not None else {}
    row: Row = books.stage(
        "BilledSales", **{"InvoiceProposalId": number, "BillingType": "Chargeable", **taken, **values}
    )
    if unbilled is not None:
        books.relate(row, "Billed", unbilled, "Unbilled")
    return row


def fill(books: Books, wanted: int = 1) -> jobs.ImportSummary:
    return jobs.import_from_staging(books.finance, "USPM", billed=lambda area, number: wanted)


def header(books: Books, number: str = "INV-1") -> Row:
    row: Row = books.one("ProjInvoiceProposalHeaders", InvoiceProposalId=number)
    return row


def test_the_header_shows_on_the_form(books: Books) -> None:
    """What the package says, for the customer of the contract or its funding source [H2]."""
    source = {"ProjectContractID": "ORD-uspm", "FundingSourceId": "CC-2", "CustomerOrOrganization": "C-000002"}
    books.insert("ProjectFundingSources", dataAreaId="uspm", **source)
    proposal = propose(books, InvoiceHeaderText="Works", PaymentTermsName="Net30")
    facts = ("ProposalStatus", "Troubleshoot", "LineCount", "InvoiceAmount", "CustomerAccountNumber")
    assert [header(books)[name] for name in facts] == ["Open", "Yes", 0, 0, "C-000001"]
    assert str(header(books)["InvoiceDate"])[:10] == "2026-03-31"
    books.change("ProjInvoiceProposalsV2", {"RecId": proposal["RecId"]}, FundingSourceId="CC-2", InvoiceHeaderText="X")
    assert [header(books)[name] for name in ("CustomerAccountNumber", "InvoiceHeaderText")] == ["C-000002", "X"]


def test_finance_makes_no_proposals_of_its_own(books: Books) -> None:
    """Users can neither create nor delete them [H2]."""
    propose(books)
    with pytest.raises(BusinessRuleViolation, match="neither created"), books.finance.transaction(outside=True) as tx:
        tx.insert("ProjInvoiceProposalHeaders", {"dataAreaId": "uspm", "InvoiceProposalId": "INV-9"})
    with pytest.raises(BusinessRuleViolation, match="nor deleted"), books.finance.transaction(outside=True) as tx:
        tx.delete("ProjInvoiceProposalHeaders", header(books)["RecId"])


def test_the_number_sequence_lets_users_change_the_number(books: Books) -> None:
    """Else the header cannot be written; it heals with the set-up [H2]."""
    sequence = {"dataAreaId": "uspm", "NumberSequenceCode": "PIP"}
    books.change("NumberSequences", sequence, AllowsUserChanges="No")
    with pytest.raises(BusinessRuleViolation, match="lower and to higher"):
        propose(books)
    books.change("NumberSequences", sequence, AllowsUserChanges="Yes")
    propose(books)


def test_no_line_before_every_unbilled_sale_is_posted(books: Books) -> None:
    """The amount stays nothing, and the log says which one is missing [H3, R14]."""
    propose(books)
    done, late = books.stage("Sales", amount="300"), books.stage("Sales", amount="200")
    books.do()
    books.change("ProjActualsImports", {"RecId": late["RecId"]}, VoucherNumber="")
    for sale in (done, late):
        billed(books, sale)
    held = fill(books, 2)
    assert (held.proposals, len(held.held)) == ((), 1)
    ((number, why),) = held.held
    assert number == "INV-1"
    assert "1 of the transactions behind its billed sales actuals aren't posted" in why
    assert f"{{{late['ActualId']}}}" in why
    assert [header(books)[name] for name in ("InvoiceAmount", "Troubleshoot", "Message")] == [0, "Yes", why]
    assert books.one("ImportLog", InvoiceProposalId="INV-1")["Message"] == why
    assert books.all("ProjInvoiceProposalLines") == []
    books.change("ProjActualsImports", {"RecId": late["RecId"]}, VoucherNumber="PVO-2")
    assert fill(books, 2).proposals == ("INV-1",)
    assert [header(books)[name] for name in ("InvoiceAmount", "Troubleshoot", "Message")] == [500, "No", ""]


def test_the_number_of_lines_is_that_of_dataverse(books: Books) -> None:
    """The documented message; the next import tries again [H4]."""
    propose(books)
    sale = books.stage("Sales", amount="300")
    books.do()
    billed(books, sale)
    ((_, why),) = fill(books, 2).held
    assert why.startswith("Invoice proposal wasn't processed because of mismatched billed sales actuals.")
    assert "2 in Dataverse and 1 in Finance" in why
    assert books.one("ImportLog", InvoiceProposalId="INV-1")["Message"] == why
    assert fill(books, 1).proposals == ("INV-1",)


def test_dataverse_itself_is_asked(books: Books) -> None:
    """The one the sandbox was installed with; it knows nothing of this proforma [H4]."""
    propose(books)
    sale = books.stage("Sales")
    books.do()
    billed(books, sale)
    ((_, why),) = jobs.import_from_staging(books.finance, "USPM").held
    assert "0 in Dataverse and 1 in Finance" in why


def test_a_line_has_what_its_billed_sale_has(books: Books) -> None:
    """Rules [H3, G8, G10]."""
    propose(books)
    task = {"TaskNumber": "TSK-2", "Description": "On site", "StartDate": "2026-02-27"}
    sale = books.stage("Sales", amount="120", Quantity=Decimal(3), Amount=Decimal(360))
    books.do()
    bill = billed(books, sale, **task)
    fill(books)
    (line,) = books.all("ProjInvoiceProposalLines")
    facts = (
        "InvoiceProposalId", "LineNumber", "ActualsImportId", "UnbilledActualsImportId", "TransactionType", "ProjectId",
        "ActivityNumber", "CategoryId", "LineProperty", "BillingType", "Quantity", "SalesPrice", "Amount",
        "InvoicedAmount", "CurrencyCode", "Description", "ContractLineMilestoneIdentifier",
    )  # fmt: skip
    assert [line[name] for name in facts] == [
        "INV-1", 1, bill["ActualsImportId"], sale["ActualsImportId"], "Hour", "PRJ-T", "TSK-2",
        "TCN-0000001000-AAAAA-1", "CHARGE", "Chargeable", 3, 120, 360, 360, "USD", "On site", "",
    ]  # fmt: skip
    assert str(line["TransactionDate"])[:10] == "2026-02-27"
    assert books.line(sale)["LineStatus"] == "Posted"
    assert books.all("IntegrationJournalLines", ActualsImportId=bill["ActualsImportId"]) == []


def test_a_second_import_adds_nothing(books: Books) -> None:
    """Rule [G21]."""
    propose(books)
    sale = books.stage("Sales")
    books.do()
    billed(books, sale)
    assert [fill(books).proposals for _ in range(2)] == [("INV-1",), ()]
    assert len(books.all("ProjInvoiceProposalLines")) == 1


def test_without_its_relationship_a_billed_sale_waits(books: Books) -> None:
    """Nobody knows whether what is behind it is posted [F3]."""
    propose(books)
    sale = books.stage("Sales")
    books.do()
    bill = billed(books, None, Amount=sale["Amount"])
    ((_, why),) = fill(books).held
    assert f"{{{bill['ActualId']}}}" in why
    books.relate(sale, "Unbilled", bill, "Billed")
    assert fill(books).proposals == ("INV-1",)


def test_a_credit_waits_for_its_original(books: Books) -> None:
    """The invoice it takes back is posted first (assumed) [H3]."""
    propose(books)
    propose(books, "INV-2")
    sale = books.stage("Sales", amount="500")
    books.do()
    original = billed(books, sale)
    credit = billed(books, None, "INV-2", Amount=Decimal(-500), Quantity=Decimal(-1), AdjustmentStatus=UNADJUSTABLE)
    books.relate(credit, "Reversing", original, "Original")
    filled = fill(books)
    assert (filled.proposals, [number for number, _ in filled.held]) == (("INV-1",), ["INV-2"])
    jobs.post_invoice_proposals(books.finance, "USPM")
    assert fill(books).proposals == ("INV-2",)
    assert header(books, "INV-2")["InvoiceAmount"] == -500


def test_only_what_is_chargeable_counts(books: Books) -> None:
    """The others are lines that add nothing (assumed) [R12]."""
    propose(books)
    kinds = {"Chargeable": "300", "NonChargeable": "200", "Complimentary": "100"}
    sales = [books.stage("Sales", amount=amount, BillingType=kind) for kind, amount in kinds.items()]
    books.do()
    for sale in sales:
        billed(books, sale)
    fill(books, 3)
    lines = books.all("ProjInvoiceProposalLines")
    assert [(line["LineProperty"], line["Amount"], line["InvoicedAmount"]) for line in lines] == [
        ("CHARGE", 300, 300), ("NONCHARGE", 200, 0), ("COMPLIMENT", 100, 0),
    ]  # fmt: skip
    assert [header(books)[name] for name in ("LineCount", "InvoiceAmount", "SalesTaxAmount")] == [3, 300, 0]


def test_only_validated_rows_where_the_company_wants_that(books: Books) -> None:
    """Rule [G3]."""
    propose(books)
    sale = books.stage("Sales")
    books.do()
    bill = billed(books, sale)
    books.parameters(PrevalidateActuals="Yes")
    ((_, why),) = fill(books).held
    assert "aren't validated" in why
    books.insert("ActualsValidations", dataAreaId="uspm", ActualsImportId=bill["ActualsImportId"], Status="Valid")
    assert fill(books).proposals == ("INV-1",)


def test_a_proposal_in_another_currency(books: Books) -> None:
    """An invoice is in the currency of its contract [H8]."""
    propose(books, SalesCurrency="GBP")
    sale = books.stage("Sales")
    books.do()
    billed(books, sale)
    ((_, why),) = fill(books).held
    assert "another currency" in why


# -- tax


@pytest.mark.parametrize(
    ("method", "expected"),
    [("Project", "ST-EXEMPT"), ("ProjectContract", "ST-STD"), ("Customer", "ST-STD"), ("Search", "ST-EXEMPT")],
)
def test_the_sales_tax_group_by_method(books: Books, method: str, expected: str) -> None:
    """Project, contract, customer, or the first of them that has one [H6]."""
    books.parameters(SalesTaxGroupMethod=method)
    books.change("ProjectsV2", {"ProjectId": "PRJ-T"}, SalesTaxGroupId="ST-EXEMPT")
    books.change("ProjectContractHeaders", {"ProjectContractId": "ORD-uspm"}, SalesTaxGroupCode="ST-STD")
    books.change("CustomersV3", {"dataAreaId": "uspm", "CustomerAccount": "C-000001"}, SalesTaxGroup="ST-STD")
    propose(books)
    sale = books.stage("Sales", amount="200")
    books.do()
    billed(books, sale, ContractId="ORD-uspm", CustomerAccountNumber="C-000001")
    fill(books)
    (line,) = books.all("ProjInvoiceProposalLines")
    tax = 15 if expected == "ST-STD" else 0
    assert (line["TaxGroupCode"], line["SalesTaxAmount"], header(books)["SalesTaxAmount"]) == (expected, tax, tax)


def test_the_item_sales_tax_group(books: Books) -> None:
    """Of the released product, of the project category, of milestones their own parameter; for both documents [H6]."""
    books.change("ProjectsV2", {"ProjectId": "PRJ-T"}, SalesTaxGroupId="ST-STD")
    books.change("ReleasedProducts", {"dataAreaId": "uspm", "ProductNumber": "P-1001"}, SalesItemTaxGroupCode="EXEMPT")
    books.parameters(MilestoneItemTaxGroup="EXEMPT")
    propose(books)
    free, taxed = (books.stage("Sales", "material", "200", ProductNumber=product) for product in ("P-1001", "P-1003"))
    books.do()
    assert [books.staged(sale)["SalesTaxAmount"] for sale in (free, taxed)] == [0, 15]
    for sale, product in ((free, "P-1001"), (taxed, "P-1003")):
        billed(books, sale, ProductNumber=product)
    milestone(books, "MIL-1", "200")
    billed(books, None, Amount=Decimal(200), TransactionClassification=MILESTONE, ExternalOriginReference="MIL-1")
    fill(books, 3)
    lines = books.all("ProjInvoiceProposalLines")
    assert [(line["ItemTaxGroupCode"], line["SalesTaxAmount"]) for line in lines] == [
        ("EXEMPT", 0), ("FULL", 15), ("EXEMPT", 0),
    ]  # fmt: skip


# -- milestones


def milestone(books: Books, number: str, amount: str) -> Row:
    row: Row = books.insert(
        "ProjectContractLineMilestones",
        dataAreaId="uspm",
        ContractLineMilestoneIdentifier=number,
        ProjectContractId="ORD-uspm",
        ProjectNumber="PRJ-T",
        Amount=Decimal(amount),
        CurrencyCode="USD",
        TransactionDate="2026-03-02",
    )
    return row


def statuses(books: Books) -> tuple[Any, Any]:
    """Of the milestone and its on-account transaction."""
    return books.one("ProjectContractLineMilestones")["TransStatus"], books.one("OnAccountTransactions")["Status"]


def test_a_milestone_becomes_a_line(books: Books) -> None:
    """Of its on-account transaction, which is on a proposal from then on and invoiced after posting [E12, C7, R16]."""
    milestone(books, "MIL-1", "4000")
    propose(books)
    facts: dict[str, Any] = {
        "TransactionClassification": MILESTONE,
        "TransactionCategoryId": "",
        "UnitPrice": Decimal(4000),
    }
    billed(books, None, Amount=Decimal(4000), ExternalOriginReference="MIL-1", **facts)
    assert statuses(books) == ("Posted", "Posted")
    fill(books)
    (line,) = books.all("ProjInvoiceProposalLines")
    assert [line[name] for name in ("TransactionType", "ContractLineMilestoneIdentifier", "InvoicedAmount")] == [
        "OnAccount", "MIL-1", 4000,
    ]  # fmt: skip
    assert line["InvoicedAmount"] == books.one("OnAccountTransactions")["Amount"]
    assert statuses(books) == ("InvoiceProposal", "InvoiceProposal")
    jobs.post_invoice_proposals(books.finance, "USPM")
    assert statuses(books) == ("Invoiced", "Invoiced")

    propose(books, "INV-2")
    (original,) = books.all("ProjActualsImports", TransactionType="BilledSales")
    credit = {"Amount": Decimal(-4000), "Quantity": Decimal(-1), "AdjustmentStatus": UNADJUSTABLE}
    taken_back = billed(books, None, "INV-2", ExternalOriginReference="MIL-1", **{**facts, **credit})
    books.relate(taken_back, "Reversing", original, "Original")
    fill(books)
    assert statuses(books) == ("CreditnoteProposal", "CreditnoteProposal")
    jobs.post_invoice_proposals(books.finance, "USPM")
    assert statuses(books) == ("Posted", "Posted"), "[E13]: it can be invoiced again"


def test_a_milestone_that_is_not_there_yet(books: Books) -> None:
    """The proposal waits for the relationship of a milestone too [F3]."""
    propose(books)
    billed(books, None, Amount=Decimal(1), TransactionClassification=MILESTONE, ExternalOriginReference="MIL-1")
    ((_, why),) = fill(books).held
    assert "MIL-1" in why
    milestone(books, "MIL-1", "1")
    assert fill(books).proposals == ("INV-1",)
