"""Import from staging: [G2 to G12, G17 to G19, G21, K4, A2]; each test names its rule."""

import threading
from decimal import Decimal
from typing import Any

import pytest

from dualsync_sandbox.business.finance import jobs
from dualsync_sandbox.errors import BusinessRuleViolation, DeleteRestricted
from support.books import Books


def test_one_line_per_staged_actual(books: Books) -> None:
    """Cost and unbilled sales are separate lines; what is in a journal is not taken again [G2]."""
    cost, sale = books.stage("Cost"), books.stage("Sales", amount="200")
    billed = books.stage("BilledSales")
    first = jobs.import_from_staging(books.finance, "USPM")
    assert (first.company, first.lines, first.refused) == ("uspm", 2, ())
    assert [books.line(row)["Amount"] for row in (cost, sale)] == [Decimal(100), Decimal(200)]
    assert books.all("IntegrationJournalLines", ActualsImportId=billed["ActualsImportId"]) == []
    assert jobs.import_from_staging(books.finance, "USPM").lines == 0
    assert first.as_dict()["journals"] == first.journals


def test_each_company_has_journals_of_its_own(books: Books) -> None:
    """Rule [G2]."""
    books.stage(dataAreaId="gbpm", ProjectId="PRJ-G", TransactionCurrencyId="GBP")
    assert jobs.import_from_staging(books.finance, "USPM").lines == 0
    assert jobs.import_from_staging(books.finance, "GBPM").lines == 1


def test_imports_at_the_same_time_make_no_line_twice(books: Books) -> None:
    """Rule [G21]."""
    for _ in range(20):
        books.stage()
    runs = [threading.Thread(target=jobs.import_from_staging, args=(books.finance, "USPM")) for _ in range(4)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert len(books.all("IntegrationJournalLines")) == 20


# -- prevalidation


def test_only_validated_rows_are_imported(books: Books) -> None:
    """A row whose actual Dataverse does not have, or has with other figures, is invalid [G3]."""
    books.parameters(PrevalidateActuals="Yes")
    good, absent, other = books.stage(), books.stage(), books.stage()
    held = {
        good["ActualId"]: {"msdyn_quantity": Decimal(1), "msdyn_amount": Decimal(100)},
        other["ActualId"]: {"msdyn_quantity": Decimal(1), "msdyn_amount": Decimal(99)},
    }
    waiting = jobs.import_from_staging(books.finance, "USPM")
    assert waiting.lines == 0
    assert {message for _, message in waiting.refused} == {"The actual isn't validated against Dataverse yet."}
    assert jobs.prevalidate_staging(books.finance, "USPM", held.get) == {"valid": 1, "invalid": 2}
    assert jobs.import_from_staging(books.finance, "USPM").lines == 1
    assert books.line(good)["LineStatus"] == "Draft"
    message = books.one("ActualsValidations", ActualsImportId=absent["ActualsImportId"])["Message"]
    assert "doesn't exist in Dataverse" in message
    held |= {row["ActualId"]: {"msdyn_quantity": 1, "msdyn_amount": Decimal(100)} for row in (absent, other)}
    assert jobs.import_from_staging(books.finance, "USPM", held.get).lines == 2


def test_a_row_that_changes_is_checked_again(books: Books) -> None:
    """Rule [G3]."""
    books.parameters(PrevalidateActuals="Yes")
    row = books.stage()
    held = {row["ActualId"]: {"msdyn_quantity": Decimal(1), "msdyn_amount": Decimal(100)}}
    jobs.prevalidate_staging(books.finance, "USPM", held.get)
    books.change("ProjActualsImports", {"ActualsImportId": row["ActualsImportId"]}, Amount=Decimal(7))
    assert jobs.import_from_staging(books.finance, "USPM", held.get).lines == 0


def test_lines_of_actuals_that_went_are_invalid_until_they_come_back(books: Books) -> None:
    """The line status Invalid actuals [G13]."""
    row = books.stage()
    jobs.import_from_staging(books.finance, "USPM")
    jobs.prevalidate_staging(books.finance, "USPM", lambda _: None)
    assert books.line(row)["LineStatus"] == "InvalidActuals"
    posting = jobs.post_integration_journals(books.finance, "USPM")
    assert (posting.posted, len(posting.failed)) == (0, 1)
    assert books.line(row)["LineStatus"] == "InvalidActuals"
    jobs.prevalidate_staging(books.finance, "USPM", lambda _: {"msdyn_quantity": 1, "msdyn_amount": 100})
    assert books.line(row)["LineStatus"] == "Draft"


# -- grouping


@pytest.mark.parametrize(
    ("unit", "starts"),
    [
        ("Days", ["2026-02-27", "2026-03-02", "2026-03-03", "2027-03-02"]),
        ("Months", ["2026-02-01", "2026-03-01", "2027-03-01"]),
        ("Years", ["2026-01-01", "2027-01-01"]),
        ("All", ["1900-01-01"]),
    ],
)
def test_journals_by_period_of_the_transaction_date(books: Books, unit: str, starts: list[str]) -> None:
    """Rule [G4]."""
    books.parameters(JournalPeriodUnit=unit)
    for day in ("2026-03-02", "2026-03-03", "2026-02-27", "2027-03-02", "2026-03-02"):
        books.stage(DocumentDate=day)
    jobs.import_from_staging(books.finance, "USPM")
    found = sorted(str(header["PeriodStart"])[:10] for header in books.all("IntegrationJournalHeaders"))
    assert found == starts


def test_one_open_journal_for_all_and_a_new_one_while_it_is_busy(books: Books) -> None:
    """Rule [G4]."""
    books.parameters(JournalPeriodUnit="All")
    journals: list[Any] = []
    for _ in range(2):
        books.stage()
        journals += jobs.import_from_staging(books.finance, "USPM").journals
    assert journals[0] == journals[1]
    jobs.start_batch_posting(books.finance, "USPM", journals[0])
    books.stage()
    assert jobs.import_from_staging(books.finance, "USPM").journals != (journals[0],)


@pytest.mark.parametrize(("limit", "journals"), [(0, 2), (50, 5)])
def test_lines_of_one_journal_are_limited(books: Books, limit: int, journals: int) -> None:
    """Two hundred where the company sets no limit [G5]."""
    books.parameters(LinesPerJournal=limit)
    for _ in range(201):
        books.stage()
    assert len(jobs.import_from_staging(books.finance, "USPM").journals) == journals


# -- dates


def close(books: Books, until: str) -> None:
    with books.finance.transaction() as tx:
        for period in tx.find("FiscalPeriods", dataAreaId="uspm"):
            if str(period["StartDate"])[:10] <= until:
                tx.update("FiscalPeriods", period["RecId"], {"Status": "Closed"})


def test_a_date_in_a_closed_period_moves_to_the_next_open_one(books: Books) -> None:
    """Where the parameter is on [G6]."""
    close(books, "2026-03-31")
    row = books.stage()
    books.do()
    assert books.line(row)["AccountingDate"] == "2026-04-01T12:00:00Z"
    assert books.line(row)["TransactionDate"] == "2026-03-02T12:00:00Z"
    assert books.staged(row)["AccountingDate"] == "2026-04-01T12:00:00Z"


def test_without_the_parameter_posting_tells_of_the_closed_period(books: Books) -> None:
    """Rule [G6]."""
    close(books, "2026-03-31")
    books.parameters(SetAccountingDateToOpenPeriod="No")
    row = books.stage()
    imported, posting = books.do()
    assert imported.lines == 1
    assert "No open fiscal period for 2026-03-02." in posting.failed[0][2]
    assert books.staged(row)["VoucherNumber"] == ""


@pytest.mark.parametrize(("day", "why"), [("2019-05-05", "No fiscal period exists"), ("2026-03-02", "No open fiscal")])
def test_without_any_period_the_row_stays_behind(books: Books, day: str, why: str) -> None:
    """The reason stands in the log [G6]."""
    if day > "2024":
        close(books, "2099-01-01")
    row = books.stage(AccountingDate=day)
    imported = jobs.import_from_staging(books.finance, "USPM")
    assert imported.refused[0][0] == row["ActualsImportId"]
    assert why in imported.refused[0][1]


# -- vouchers and relationships


def test_every_line_has_a_voucher_and_names_that_of_its_partner(books: Books) -> None:
    """Cost and unbilled sales, by the relationship between their actuals [G7, F3]."""
    cost, sale, other = books.stage(), books.stage("Sales"), books.stage()
    books.relate(sale, "Unbilled", cost, "Cost")
    jobs.import_from_staging(books.finance, "USPM")
    vouchers = [books.line(row)["Voucher"] for row in (cost, sale, other)]
    assert len(set(vouchers)) == 3
    assert [books.line(row)["RelatedVoucher"] for row in (cost, sale, other)] == [vouchers[1], vouchers[0], ""]


def test_relationships_may_come_after_their_actuals(books: Books) -> None:
    """They are looked for again when the next rows come, or the journal is posted [G7]."""
    cost, sale = books.stage(), books.stage("Sales")
    jobs.import_from_staging(books.finance, "USPM")
    assert books.line(cost)["RelatedVoucher"] == ""
    books.relate(sale, "Unbilled", cost, "Cost")
    jobs.post_integration_journals(books.finance, "USPM")
    assert books.line(cost)["RelatedVoucher"] == books.line(sale)["Voucher"]


KINDS = {"source": ("Sales",), "fee": ("Sales", "fee", "15")}


@pytest.mark.parametrize("first", ["source", "fee"])
def test_a_fee_names_what_it_was_made_for(books: Books, first: str) -> None:
    """A fee line, linked to its source, whichever of them is posted first [G19]."""
    rows = {first: books.stage(*KINDS[first])}
    rows |= {name: books.stage(*kind) for name, kind in KINDS.items() if name != first}
    source, fee = rows["source"], rows["fee"]
    books.relate(fee, "Fee", source, "Original")
    books.do()
    assert (books.line(fee)["CategoryType"], books.line(fee)["LineStatus"]) == ("Revenue", "Posted")
    assert books.line(fee)["SourceActualsImportId"] == source["ActualsImportId"]
    of_source = books.one("ProjectTransactions", ActualsImportId=source["ActualsImportId"])
    of_fee = books.one("ProjectTransactions", ActualsImportId=fee["ActualsImportId"])
    assert (of_fee["TransactionType"], of_fee["SourceTransactionId"]) == ("Revenue", of_source["TransactionId"])


def test_a_cost_is_of_hours_expenses_or_items(books: Books) -> None:
    """Assumed for Finance: what data import lets through has no account to be posted against [E-T]."""
    row = books.stage("Cost", "fee")
    imported = jobs.import_from_staging(books.finance, "USPM")
    assert imported.refused == (
        (row["ActualsImportId"], "Transaction class 192350004 doesn't fit transaction type Cost."),
    )


# -- categories, rates, line properties


@pytest.mark.parametrize(
    ("of", "kind", "suffix"),
    [("time", "Hour", "1"), ("fee", "Revenue", "2"), ("material", "Item", "3"), ("retainer", "OnAccount", "5")],
)
def test_the_category_of_the_company_by_class(books: Books, of: str, kind: str, suffix: str) -> None:
    """Rule [G8]."""
    row = books.stage("Sales" if of in ("fee", "retainer") else "Cost", of)
    jobs.import_from_staging(books.finance, "USPM")
    assert books.line(row)["CategoryType"] == kind
    assert books.line(row)["CategoryId"] == f"{row['TransactionCategoryId']}-{suffix}"


def test_without_a_transaction_category_the_default_counts(books: Books) -> None:
    """Rules [G8, A3]."""
    books.parameters(HourCategory="TCN-0000001002-CCCCC-1")
    row = books.stage(TransactionCategoryId="")
    jobs.import_from_staging(books.finance, "USPM")
    assert books.line(row)["CategoryId"] == "TCN-0000001002-CCCCC-1"


@pytest.mark.parametrize("named", [True, False])
def test_without_a_category_the_row_stays_behind(books: Books, named: bool) -> None:
    """Neither a project category of the company nor a default; the log says so, and the next run heals [G8]."""
    row = books.stage(TransactionCategoryId="TCN-0000001000-AAAAA" if named else "")
    key = {"dataAreaId": "uspm", "CategoryId": "TCN-0000001000-AAAAA-1"}
    if named:
        books.delete("ProjectCategories", **key)
    else:
        books.parameters(HourCategory="")
    imported = jobs.import_from_staging(books.finance, "USPM")
    assert imported.lines == 0
    assert "No project category exists" in imported.refused[0][1]
    assert books.one("ImportLog", ActualsImportId=row["ActualsImportId"])["Message"] == imported.refused[0][1]
    jobs.import_from_staging(books.finance, "USPM")
    assert len(books.all("ImportLog")) == 1
    if named:
        books.insert("ProjectCategories", **key)
    else:
        books.parameters(HourCategory="TCN-0000001000-AAAAA-1")
    assert jobs.import_from_staging(books.finance, "USPM").lines == 1


def test_finances_own_rate_counts(books: Books) -> None:
    """The rate of the accounting date, not Dataverse's [G9]."""
    row = books.stage(TransactionCurrencyId="GBP", ExchangeRate=Decimal("0.785"))
    books.do()
    assert books.line(row)["ExchangeRate"] == Decimal("127.35")
    assert books.staged(row)["AccountingAmount"] == Decimal("127.35")


def test_the_opposite_rate_counts_where_only_it_is_kept(books: Books) -> None:
    """Rule [G9]."""
    row = books.stage(dataAreaId="gbpm", ProjectId="PRJ-G", TransactionCurrencyId="USD", Amount=Decimal(1000))
    books.do("GBPM")
    assert books.staged(row)["ExchangeRate"] == Decimal("78.523753")  # 100 / 127.35
    assert books.staged(row)["AccountingAmount"] == Decimal("785.24")


def test_without_a_rate_the_row_is_not_added(books: Books) -> None:
    """The message stands in the job log only [G9]."""
    books.stage(TransactionCurrencyId="CHF")
    imported = jobs.import_from_staging(books.finance, "USPM")
    assert imported.lines == 0
    assert imported.refused[0][1] == "The exchange rate between CHF and USD on 2026-03-02 does not exist."


def test_a_rate_agreed_with_the_customer(books: Books) -> None:
    """4 h of 250 GBP at 1.25 are 1,250 USD; the rate is kept times one hundred. It holds for sales alone [H8]."""
    books.insert(
        "FixedExchangeRates",
        dataAreaId="uspm",
        ProjectContractId="ORD-uspm",
        CurrencyCode="GBP",
        ExchangeRate=Decimal(125),
    )
    of_contract: dict[str, Any] = {"ContractId": "ORD-uspm", "TransactionCurrencyId": "GBP", "Quantity": Decimal(4)}
    sale = books.stage("Sales", amount="250", **{**of_contract, "Amount": Decimal(1000)})
    cost = books.stage("Cost", amount="250", **{**of_contract, "Amount": Decimal(1000)})
    books.do()
    assert books.staged(sale)["AccountingAmount"] == Decimal(1250)
    assert books.staged(sale)["ExchangeRate"] == Decimal(125)
    assert books.staged(cost)["AccountingAmount"] == Decimal("1273.50")


@pytest.mark.parametrize(
    ("billing_type", "line_property"),
    [("Chargeable", "CHARGE"), ("NonChargeable", "NONCHARGE"), ("Complimentary", "COMPLIMENT")],
)
def test_the_line_property_follows_the_billing_type(books: Books, billing_type: str, line_property: str) -> None:
    """Rule [G10]."""
    row = books.stage("Sales", BillingType=billing_type)
    jobs.import_from_staging(books.finance, "USPM")
    assert books.line(row)["LineProperty"] == line_property


def test_a_billing_type_without_line_property_is_refused_when_staged(books: Books) -> None:
    """The documented error, and it heals when the line property is set up [A2]."""
    missing = {"dataAreaId": "uspm", "BillingType": "NotAvailable"}
    books.delete("LineProperties", **missing)
    with pytest.raises(BusinessRuleViolation, match="Line property Not available doesn't exist"):
        books.stage()
    books.insert("LineProperties", **missing, LineProperty="NOTAVAIL")
    books.stage()


def test_a_billing_type_may_not_change_to_one_without_line_property(books: Books) -> None:
    """Rule [A2]."""
    row = books.stage("Sales")
    books.delete("LineProperties", dataAreaId="uspm", BillingType="Complimentary")
    with pytest.raises(BusinessRuleViolation, match="Line property Complimentary doesn't exist"):
        books.change("ProjActualsImports", {"RecId": row["RecId"]}, BillingType="Complimentary")
    books.change("ProjActualsImports", {"RecId": row["RecId"]}, Description="Other words")


def test_a_line_property_that_went_keeps_the_row_back(books: Books) -> None:
    """Rule [G10]."""
    books.stage()
    books.delete("LineProperties", dataAreaId="uspm", BillingType="NotAvailable")
    assert "Line property" in jobs.import_from_staging(books.finance, "USPM").refused[0][1]


def test_dimensions_come_from_the_project(books: Books) -> None:
    """The default [G20]."""
    books.change("ProjectsV2", {"ProjectId": "PRJ-T"}, DimensionDisplayValue="001-022")
    row = books.stage()
    jobs.import_from_staging(books.finance, "USPM")
    assert books.line(row)["DimensionDisplayValue"] == "001-022"


# -- deleted lines, beginning balances, costs Finance has posted


def test_a_deleted_line_comes_back(books: Books) -> None:
    """With the next import, however often [G12]."""
    row = books.stage()
    for _ in range(3):
        assert jobs.import_from_staging(books.finance, "USPM").lines == 1
        line = books.line(row)
        jobs.delete_journal_line(books.finance, "USPM", line["JournalId"], line["LineNumber"])
    assert jobs.import_from_staging(books.finance, "USPM").lines == 1
    with pytest.raises(BusinessRuleViolation, match="has no line 99"):
        jobs.delete_journal_line(books.finance, "USPM", books.line(row)["JournalId"], 99)


def test_a_posted_line_stays(books: Books) -> None:
    """Only unposted lines come back, so only those go [G12]."""
    row = books.stage()
    books.do()
    line = books.line(row)
    with pytest.raises(BusinessRuleViolation, match="posted"):
        jobs.delete_journal_line(books.finance, "USPM", line["JournalId"], line["LineNumber"])


def test_a_staged_row_in_a_journal_stays(books: Books) -> None:
    """Each line has its staged actual [G2]."""
    row = books.stage()
    jobs.import_from_staging(books.finance, "USPM")
    with pytest.raises(DeleteRestricted):
        books.delete("ProjActualsImports", RecId=row["RecId"])


def test_rows_up_to_the_cut_off_are_beginning_balances(books: Books) -> None:
    """No ledger entries, but project transactions and figures for Dataverse; the cut-off is locked then [G17]."""
    books.parameters(BeginningBalanceCutOff="2026-02-28")
    old, last, new = (books.stage(AccountingDate=f"2026-{day}") for day in ("01-15", "02-28", "03-01"))
    imported = jobs.import_from_staging(books.finance, "USPM")
    assert (imported.lines, imported.beginning_balances) == (1, 2)
    books.parameters(BeginningBalanceCutOff="2026-02-27")
    assert jobs.import_from_staging(books.finance, "USPM").lines == 0
    assert jobs.post_beginning_balances(books.finance, "USPM") == 2
    assert jobs.post_beginning_balances(books.finance, "USPM") == 0
    assert books.all("LedgerEntries") == []
    for row in (old, last):
        assert books.staged(row)["VoucherNumber"] != ""
        transaction = books.one("ProjectTransactions", ActualsImportId=row["ActualsImportId"])
        assert transaction["TransactionOrigin"] == "BeginningBalance"
    assert books.staged(new)["VoucherNumber"] == ""
    with pytest.raises(BusinessRuleViolation, match="cut-off date cannot be changed"):
        books.parameters(BeginningBalanceCutOff="2026-01-31")
    books.parameters(JournalPeriodUnit="Months")


@pytest.mark.parametrize("origin", ["StockedVendorInvoice", "PackingSlip", "GeneralJournal"])
@pytest.mark.parametrize("column", ["VendInvoiceLineProjTransId", "ExternalReference"])
def test_costs_that_finance_has_posted_get_no_line(books: Books, origin: str, column: str) -> None:
    """Only the unbilled sales come through; the cost takes over what was posted [G18]."""
    books.insert(
        "ProjectTransactions",
        dataAreaId="uspm",
        TransactionId="P-1",
        ProjectId="PRJ-T",
        TransactionType="Item",
        CostAmountAccountingCurrency=Decimal("96.50"),
        AccountingDate="2026-03-01",
        Voucher="VI-7",
        TransactionOrigin=origin,
    )
    cost = books.stage("Cost", "material", **{column: "P-1"})
    sale = books.stage("Sales", "material", **{column: "P-1"})
    imported, _ = books.do()
    assert (imported.lines, imported.already_costed) == (1, 1)
    staged = books.staged(cost)
    assert (staged["VoucherNumber"], staged["AccountingAmount"]) == ("VI-7", Decimal("96.50"))
    assert (staged["IsJournalized"], books.line(sale)["LineStatus"]) == ("Yes", "Posted")
    assert jobs.import_from_staging(books.finance, "USPM").already_costed == 0


# -- intercompany


def lend(books: Books, kind: str, amount: str, currency: str) -> Any:
    """Work of GBPM's people on USPM's project."""
    return books.stage(
        kind,
        amount=amount,
        dataAreaId="gbpm",
        ProjectDataAreaId="USPM",
        ResourcingCompany="GBPM",
        TransactionCurrencyId=currency,
    )


def test_intercompany_rows_need_the_relation(books: Books) -> None:
    """The documented message; the row comes through once the relation is set up [K4]."""
    pair = {"dataAreaId": "gbpm", "BorrowingCompany": "uspm"}
    books.change("IntercompanyRelations", pair, HasTradingRelation="No")
    row = lend(books, "InterOrgSales", "1200", "USD")
    imported = jobs.import_from_staging(books.finance, "GBPM")
    message = f"Unable to import actual {{{row['ActualId']}}}. Intercompany relationship has to be set up"
    assert imported.refused[0][1].startswith(message)
    books.delete("IntercompanyRelations", **pair)
    assert jobs.import_from_staging(books.finance, "GBPM").lines == 0
    needed = dict.fromkeys(("HasLedgerAccounts", "HasTradingRelation", "HasLendingParameter"), "Yes")
    books.insert("IntercompanyRelations", **pair, **needed)
    assert jobs.import_from_staging(books.finance, "GBPM").lines == 1


def test_intercompany_lines_resolve_their_project_in_the_borrowing_company(books: Books) -> None:
    """Rule [K3]."""
    row = lend(books, "ResourcingUnitCost", "880", "GBP")
    jobs.import_from_staging(books.finance, "GBPM")
    line = books.line(row)
    assert (line["dataAreaId"], line["ProjectDataAreaId"], line["ProjectId"]) == ("gbpm", "USPM", "PRJ-T")
    assert str(line["CategoryId"]).startswith("TCN-0000001000-AAAAA")
