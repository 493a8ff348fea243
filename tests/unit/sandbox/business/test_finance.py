"""The rules of business in Finance, one by one, as transactions on the store."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dualsync_sandbox.business import Parameters, install
from dualsync_sandbox.clock import Clock
from dualsync_sandbox.errors import BusinessRuleViolation, DeleteRestricted, ReferenceNotFound
from dualsync_sandbox.schema import SystemSchema
from dualsync_sandbox.seed import seed
from dualsync_sandbox.store import Row, Store, Tx

LINE = "PCL-0001000-ABCDE"
KEY = {"dataAreaId": "uspm", "ProjectContractId": "ORD-1"}
MILESTONES = "ProjectContractLineMilestones"


@contextmanager
def open_finance(folder: Path, parameters: Parameters | None = None) -> Iterator[Store]:
    clock = Clock(datetime(2026, 3, 2, 9, tzinfo=UTC), frozen=True)
    dataverse = Store(folder / "dataverse.db", SystemSchema.load("dataverse"), clock)
    finance = Store(folder / "finance.db", SystemSchema.load("finance"), clock)
    seed(dataverse, finance, "demo", 1)
    install(dataverse, finance, clock, parameters)
    yield finance
    dataverse.close()
    finance.close()


@pytest.fixture
def tx(tmp_path: Path) -> Iterator[Tx]:
    with open_finance(tmp_path) as finance, finance.transaction() as transaction:
        yield transaction


@pytest.fixture
def contract(tx: Tx) -> Row:
    tx.insert("ProjectsV2", {"dataAreaId": "uspm", "ProjectId": "PRJ-1", "ProjectName": "Pump station"})
    return tx.insert(
        "ProjectContractHeaders",
        {**KEY, "Name": "Pump station", "CustomerAccountNumber": "C-000001", "SalesCurrencyCode": "USD"},
    )


@pytest.fixture
def line(tx: Tx, contract: Row) -> Row:
    return new_line(tx)


def new_line(tx: Tx, method: str = "FixedPrice", sequence: int = 1, line_id: str = LINE) -> Row:
    values = {"LineSequenceNumber": sequence, "ContractLineId": line_id, "BillingMethod": method}
    return tx.insert("ProjectContractLines", {**KEY, **values, "LineProjectId": "PRJ-1", "Description": "Works"})


def new_milestone(tx: Tx, identifier: str = "MIL-1", **values: object) -> Row:
    return tx.insert(
        MILESTONES,
        {
            **KEY,
            "ContractLineMilestoneIdentifier": identifier,
            "ContractLineId": LINE,
            "ProjectNumber": "PRJ-1",
            "Amount": Decimal("1000.00"),
            "CurrencyCode": "USD",
            "TransactionDate": "2026-04-30",
            **values,
        },
    )


def on_account(tx: Tx, identifier: str = "MIL-1") -> Row:
    (row,) = tx.find("OnAccountTransactions", dataAreaId="uspm", ContractLineMilestoneIdentifier=identifier)
    return row


@pytest.mark.parametrize(("method", "kind"), [("TimeMaterial", "TimeMaterial"), ("FixedPrice", "Milestone")])
def test_a_line_becomes_a_billing_rule_by_its_method(tx: Tx, contract: Row, method: str, kind: str) -> None:
    """Rule [C3]."""
    new_line(tx, method)
    (rule,) = tx.find("BillingRules", **KEY)
    assert (rule["BillingRuleType"], rule["ContractLineId"], rule["Description"]) == (kind, LINE, "Works")


def test_the_billing_rule_follows_its_line(tx: Tx, line: Row) -> None:
    tx.update("ProjectContractLines", line["RecId"], {"BillingMethod": "TimeMaterial", "Description": "More works"})
    (rule,) = tx.find("BillingRules", **KEY)
    assert (rule["BillingRuleType"], rule["Description"]) == ("TimeMaterial", "More works")
    tx.delete("ProjectContractLines", line["RecId"])
    assert tx.find("BillingRules", **KEY) == []


def test_a_line_without_an_id_of_its_own_has_a_rule_too(tx: Tx, contract: Row) -> None:
    new_line(tx, sequence=1, line_id="")
    new_line(tx, sequence=2, line_id="")
    assert {rule["BillingRuleId"] for rule in tx.find("BillingRules", **KEY)} == {"ORD-1-1", "ORD-1-2"}


def test_a_shared_role_becomes_one_in_every_integrated_company(tx: Tx) -> None:
    """Rule [C10]."""
    shared = tx.insert("ResourceCategoriesShared", {"RoleId": "RCN-9", "Description": "Diver"})
    roles = tx.find("ProjectRoles", RoleId="RCN-9")
    assert {role["dataAreaId"] for role in roles} == {"uspm", "gbpm", "frrt"}
    tx.update("ResourceCategoriesShared", shared["RecId"], {"Description": "Senior diver"})
    assert {role["Description"] for role in tx.find("ProjectRoles", RoleId="RCN-9")} == {"Senior diver"}
    tx.delete("ResourceCategoriesShared", shared["RecId"])
    assert tx.find("ProjectRoles", RoleId="RCN-9") == []


def test_a_transaction_category_becomes_five_shared_ones(tx: Tx) -> None:
    """Rule [C12]."""
    category = tx.insert("ProjectTransactionCategories", {"CategoryId": "TCN-0000001000-D3B43", "Name": "Diving"})
    shared = tx.find("SharedCategories", TransactionCategoryId="TCN-0000001000-D3B43")
    assert [(row["CategoryId"], row["CategoryType"]) for row in shared] == [
        ("TCN-0000001000-D3B43-1", "Hour"),
        ("TCN-0000001000-D3B43-2", "Revenue"),
        ("TCN-0000001000-D3B43-3", "Item"),
        ("TCN-0000001000-D3B43-4", "Cost"),
        ("TCN-0000001000-D3B43-5", "OnAccount"),
    ]
    tx.update("ProjectTransactionCategories", category["RecId"], {"Name": "Deep diving"})
    renamed = tx.find("SharedCategories", TransactionCategoryId="TCN-0000001000-D3B43")
    assert {row["CategoryName"] for row in renamed} == {"Deep diving"}
    tx.delete("ProjectTransactionCategories", category["RecId"])
    assert tx.find("SharedCategories", TransactionCategoryId="TCN-0000001000-D3B43") == []


def test_four_without_the_on_account_feature(tmp_path: Path) -> None:
    with open_finance(tmp_path, Parameters(on_account_categories=False)) as finance, finance.transaction() as tx:
        tx.insert("ProjectTransactionCategories", {"CategoryId": "TCN-1", "Name": "Diving"})
        assert len(tx.find("SharedCategories", TransactionCategoryId="TCN-1")) == 4


def test_a_milestone_becomes_an_on_account_transaction(tx: Tx, line: Row) -> None:
    """Rule [C4]."""
    milestone = new_milestone(tx)
    transaction = on_account(tx)
    assert milestone["TransStatus"] == "Posted"
    assert milestone["CustomerAccountNumber"] == "C-000001"
    assert milestone["LedgerSalesAmount"] == Decimal(1000)
    assert milestone["LedgerTransactionDate"] == "2026-04-30T12:00:00Z"
    assert milestone["TransactionId"] == transaction["TransactionId"]
    assert (transaction["Amount"], transaction["ProjectId"]) == (Decimal(1000), "PRJ-1")
    assert (transaction["Status"], transaction["TransactionDate"]) == ("Posted", "2026-04-30T12:00:00Z")


def test_the_first_milestone_of_a_fixed_price_line_makes_an_estimate_project(tx: Tx, line: Row) -> None:
    """Rule [C4]."""
    new_milestone(tx, "MIL-1")
    new_milestone(tx, "MIL-2")
    (estimate,) = tx.find("RevenueEstimateProjects", dataAreaId="uspm")
    assert (estimate["ProjectContractId"], estimate["ContractLineId"]) == ("ORD-1", LINE)


def test_a_time_and_material_line_has_no_estimate_project(tx: Tx, contract: Row) -> None:
    new_line(tx, "TimeMaterial")
    new_milestone(tx)
    assert tx.find("RevenueEstimateProjects", dataAreaId="uspm") == []


def test_the_ledger_amount_follows_the_rate_of_the_date(tx: Tx, line: Row) -> None:
    early = new_milestone(tx, "MIL-1", CurrencyCode="GBP", TransactionDate="2025-05-01")
    later = new_milestone(tx, "MIL-2", CurrencyCode="GBP", TransactionDate="2026-05-01")
    assert early["LedgerSalesAmount"] == Decimal("1260.77")  # 126.0765 per 100
    assert later["LedgerSalesAmount"] == Decimal("1273.50")  # 127.35 per 100


def test_the_opposite_pair_counts_where_only_it_is_kept(tx: Tx) -> None:
    area = {"dataAreaId": "frrt"}
    milestone = {**area, "ContractLineMilestoneIdentifier": "MIL-1", "Amount": Decimal(1000), "CurrencyCode": "USD"}
    row = tx.insert(MILESTONES, {**milestone, "TransactionDate": "2026-05-01"})
    assert row["LedgerSalesAmount"] == Decimal("922.34")  # 100 / 108.42


def test_without_a_rate_the_milestone_is_refused(tx: Tx, line: Row) -> None:
    with pytest.raises(BusinessRuleViolation, match="exchange rate between CHF and USD on 2026-04-30"):
        new_milestone(tx, CurrencyCode="CHF")


def test_without_a_date_today_counts(tx: Tx, line: Row) -> None:
    assert new_milestone(tx, TransactionDate=None)["LedgerTransactionDate"] == "2026-03-02T12:00:00Z"


def test_amount_and_date_are_followed_until_invoiced(tx: Tx, line: Row) -> None:
    rec_id = new_milestone(tx)["RecId"]
    changed = tx.update(MILESTONES, rec_id, {"Amount": Decimal(700), "TransactionDate": "2026-05-31"})
    assert (changed["LedgerSalesAmount"], on_account(tx)["Amount"]) == (Decimal(700), Decimal(700))
    assert on_account(tx)["TransactionDate"] == "2026-05-31T12:00:00Z"
    tx.update(MILESTONES, rec_id, {"TransStatus": "InvoiceProposal"})
    assert on_account(tx)["Status"] == "InvoiceProposal"
    tx.update(MILESTONES, rec_id, {"Amount": Decimal(5)})
    assert on_account(tx)["Amount"] == Decimal(700)
    tx.update(MILESTONES, rec_id, {"TransStatus": "Invoiced"})
    assert (on_account(tx)["Status"], on_account(tx)["Amount"]) == ("Invoiced", Decimal(700))


def test_a_proposed_milestone_cannot_be_deleted(tx: Tx, line: Row) -> None:
    rec_id = new_milestone(tx)["RecId"]
    tx.update(MILESTONES, rec_id, {"TransStatus": "InvoiceProposal"})
    with pytest.raises(BusinessRuleViolation, match="invoice proposal"):
        tx.delete(MILESTONES, rec_id)
    tx.update(MILESTONES, rec_id, {"TransStatus": "Posted"})
    tx.delete(MILESTONES, rec_id)
    assert tx.find("OnAccountTransactions", dataAreaId="uspm") == []


@pytest.mark.parametrize(
    ("table", "values"),
    [
        ("ProjectContractHeaders", {"ProjectContractId": "ORD-2", "CustomerAccountNumber": "C-999999"}),
        ("ProjectContractHeaders", {"ProjectContractId": "ORD-2", "TermsOfPayment": "Net99"}),
        ("ProjectContractHeaders", {"ProjectContractId": "ORD-2", "SalesCurrencyCode": "XXX"}),
        ("ProjectContractLines", {"ProjectContractId": "ORD-2", "LineSequenceNumber": 1}),
        ("ProjectsV2", {"ProjectId": "PRJ-2", "ProjectContractId": "ORD-2"}),
        ("ProjectsV2", {"ProjectId": "PRJ-2", "ProjectManagerPersonnelNumber": "999999"}),
        ("ProjectTasks", {"ProjectId": "PRJ-2", "TaskId": "TSK-1"}),
        ("ProjectFundingSources", {"ProjectContractID": "ORD-2", "FundingSourceId": "CC-1"}),
    ],
)
def test_related_records_must_exist(tx: Tx, contract: Row, table: str, values: dict[str, Any]) -> None:
    with pytest.raises(ReferenceNotFound):
        tx.insert(table, {"dataAreaId": "uspm", **values})


@pytest.mark.parametrize(
    ("values", "field"),
    [({"ContractLineId": "PCL-9"}, "Contract line ID"), ({"ActivityNumber": "TSK-9"}, "Activity number")],
)
def test_a_milestone_names_a_line_of_its_contract_and_a_task_of_its_project(
    tx: Tx, line: Row, values: dict[str, Any], field: str
) -> None:
    message = f"The value '{next(iter(values.values()))}' in field '{field}' is not found in the related table"
    with pytest.raises(BusinessRuleViolation, match=message):
        new_milestone(tx, **values)


def test_a_task_needs_the_task_above_it_in_its_project(tx: Tx, contract: Row) -> None:
    task = {"dataAreaId": "uspm", "ProjectId": "PRJ-1", "TaskId": "TSK-1", "TaskElementId": "A"}
    below = {**task, "TaskId": "TSK-2", "TaskElementId": "B", "ParentTaskElementId": "A"}
    with pytest.raises(BusinessRuleViolation, match="'A' in field 'Parent task'"):
        tx.insert("ProjectTasks", below)
    tx.insert("ProjectTasks", task)
    tx.insert("ProjectTasks", below)


def test_what_others_depend_on_stays(tx: Tx, contract: Row, line: Row) -> None:
    new_milestone(tx)
    tx.insert("ProjectTasks", {"dataAreaId": "uspm", "ProjectId": "PRJ-1", "TaskId": "TSK-1"})
    project = tx.find_one("ProjectsV2", dataAreaId="uspm", ProjectId="PRJ-1")
    customer = tx.find_one("CustomersV3", dataAreaId="uspm", CustomerAccount="C-000001")
    assert project is not None
    assert customer is not None
    kept = {
        "ProjectContractHeaders": contract,
        "ProjectContractLines": line,
        "ProjectsV2": project,
        "CustomersV3": customer,
    }
    for table, row in kept.items():
        with pytest.raises(DeleteRestricted):
            tx.delete(table, row["RecId"])


def test_accounting_attributes_survive_changes_that_do_not_name_them(tx: Tx, contract: Row) -> None:
    """Accountants add tax groups and dimensions in Finance [C1]."""
    project = tx.find_one("ProjectsV2", dataAreaId="uspm", ProjectId="PRJ-1")
    assert project is not None
    tx.update("ProjectsV2", project["RecId"], {"SalesTaxGroupId": "ST-STD", "DimensionDisplayValue": "001-022"})
    accounting = {"SalesTaxGroupCode": "ST-STD", "DefaultLedgerDimensionDisplayValue": "001-022"}
    tx.update("ProjectContractHeaders", contract["RecId"], accounting)
    renamed = tx.update("ProjectsV2", project["RecId"], {"ProjectName": "Pump station two"})
    header = tx.update("ProjectContractHeaders", contract["RecId"], {"Name": "Pump station two"})
    assert (renamed["SalesTaxGroupId"], renamed["DimensionDisplayValue"]) == ("ST-STD", "001-022")
    assert {name: header[name] for name in accounting} == accounting
