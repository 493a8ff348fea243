"""The seeded company: the same for the same seed, complete, and believable to both systems."""

import hashlib
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from dualsync_sandbox.clock import Clock
from dualsync_sandbox.errors import DuplicateId, DuplicateKey
from dualsync_sandbox.schema import SystemSchema
from dualsync_sandbox.seed import SeedSummary, seed
from dualsync_sandbox.seed.profile import ProfileName
from dualsync_sandbox.store import Row, Store, Tx


@contextmanager
def open_stores(folder: Path, moment: datetime | None = None) -> Iterator[tuple[Store, Store]]:
    clock = Clock(moment or datetime(2026, 3, 2, 9, tzinfo=UTC), frozen=True)
    dataverse = Store(folder / "dataverse.db", SystemSchema.load("dataverse"), clock)
    finance = Store(folder / "finance.db", SystemSchema.load("finance"), clock)
    try:
        yield dataverse, finance
    finally:
        dataverse.close()
        finance.close()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SeedSummary, Store, Store]]:
    with open_stores(tmp_path_factory.mktemp("demo")) as stores:
        yield seed(*stores, "demo", 1), *stores


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SeedSummary, Store, Store]]:
    with open_stores(tmp_path_factory.mktemp("small")) as stores:
        yield seed(*stores, "small", 1), *stores


@pytest.fixture
def dataverse(demo: tuple[SeedSummary, Store, Store]) -> Iterator[Tx]:
    with demo[1].reading() as tx:
        yield tx


@pytest.fixture
def finance(demo: tuple[SeedSummary, Store, Store]) -> Iterator[Tx]:
    with demo[2].reading() as tx:
        yield tx


def fingerprint(store: Store, tables: dict[str, int]) -> str:
    with store.reading() as tx:
        rows = {table: list(tx.scan(table)) for table in tables}
    rows["systemuser"] = [row for row in rows.get("systemuser", []) if row["fullname"] != "# Integration application"]
    return hashlib.sha256(json.dumps(rows, default=str, sort_keys=True).encode()).hexdigest()


def of_company(tx: Tx, table: str, code: str, column: str = "msdyn_company") -> list[Row]:
    company = tx.find_one("cdm_company", cdm_companycode=code)
    assert company is not None
    return tx.find(table, **{column: company["cdm_companyid"]})


def test_the_same_seed_gives_the_same_rows_at_any_time(tmp_path: Path) -> None:
    prints = []
    for name, year in (("one", 2025), ("two", 2031)):
        with open_stores(tmp_path / name, datetime(year, 1, 1, tzinfo=UTC)) as (dataverse, finance):
            summary = seed(dataverse, finance, "demo", 5)
            prints.append((fingerprint(dataverse, summary.dataverse), fingerprint(finance, summary.finance)))
    assert prints[0] == prints[1]


def test_another_seed_gives_other_rows(tmp_path: Path, demo: tuple[SeedSummary, Store, Store]) -> None:
    with open_stores(tmp_path) as (dataverse, finance):
        summary = seed(dataverse, finance, "demo", 2)
        assert fingerprint(dataverse, summary.dataverse) != fingerprint(demo[1], summary.dataverse)
        assert fingerprint(finance, summary.finance) != fingerprint(demo[2], summary.finance)


def test_the_demo_can_be_taken_in_at_a_glance(demo: tuple[SeedSummary, Store, Store], dataverse: Tx) -> None:
    assert demo[0].dataverse["msdyn_project"] == 40
    assert 80 <= demo[0].dataverse["msdyn_projecttask"] <= 130
    sizes = {code: len(of_company(dataverse, "msdyn_project", code, "msdyn_owningcompany")) for code in
             ("USPM", "GBPM", "FRRT", "DEMF")}  # fmt: skip
    assert sizes == {"USPM": 12, "GBPM": 12, "FRRT": 12, "DEMF": 4}


def test_the_small_profile(small: tuple[SeedSummary, Store, Store]) -> None:
    assert small[0].dataverse["msdyn_project"] == 1_000


def test_the_summary_counts_what_was_written(
    demo: tuple[SeedSummary, Store, Store], dataverse: Tx, finance: Tx
) -> None:
    for table, number in demo[0].dataverse.items():
        assert dataverse.count(table) - (table == "systemuser") == number, table
    for table, number in demo[0].finance.items():
        assert finance.count(table) == number, table
    assert json.loads(json.dumps(demo[0].as_dict()))["seed"] == 1


def test_seeding_twice_is_refused(tmp_path: Path) -> None:
    with open_stores(tmp_path) as stores:
        seed(*stores, "demo", 1)
        with pytest.raises((DuplicateId, DuplicateKey)):
            seed(*stores, "demo", 1)


@pytest.mark.parametrize(("profile", "projects"), [("huge", None), ("demo", 3)])
def test_what_cannot_be_made_is_refused(tmp_path: Path, profile: ProfileName, projects: int | None) -> None:
    with open_stores(tmp_path) as stores, pytest.raises(ValueError, match=r"profile|projects"):
        seed(*stores, profile, 1, projects)


@pytest.mark.parametrize("which", [1, 2])
def test_texts_stay_well_within_their_lengths_and_lookups_meet_their_targets(
    small: tuple[SeedSummary, Store, Store], which: int
) -> None:
    store = small[which]
    assert isinstance(store, Store)
    assert isinstance(small[0], SeedSummary)
    written = small[0].dataverse if which == 1 else small[0].finance
    with store.reading() as tx:
        ids: dict[str, set[object]] = defaultdict(set)
        for table in store.schema.tables:
            ids[table] = {row[store.schema.tables[table].id] for row in tx.scan(table)}
        for table in written:
            columns = store.schema.tables[table].columns
            for row in tx.scan(table):
                for name, column in columns.items():
                    value = row[name]
                    if isinstance(value, str) and column.length:
                        assert len(value) <= column.length, (table, name)
                    if column.kind == "lookup" and value is not None:
                        target = row[f"{name}@type"] if column.polymorphic else next(iter(column.targets))
                        assert value in ids[str(target)], (table, name)


def test_what_travels_fits_into_finance(small: tuple[SeedSummary, Store, Store]) -> None:
    finance = SystemSchema.load("finance").tables
    pairs = [
        ("salesorder", "name", "ProjectContractHeaders", "Name"),
        ("salesorder", "ordernumber", "ProjectContractHeaders", "ProjectContractId"),
        ("salesorderdetail", "productdescription", "ProjectContractLines", "Description"),
        ("salesorderdetail", "msdyn_contractlinenumber", "ProjectContractLines", "ContractLineId"),
        ("msdyn_projectcontractsplitbillingrule", "msdyn_name", "ProjectFundingSources", "InvoiceName"),
        ("msdyn_projectcontractsplitbillingrule", "msdyn_number", "ProjectFundingSources", "FundingSourceId"),
        ("msdyn_project", "msdyn_projectnumber", "ProjectsV2", "ProjectId"),
        ("msdyn_project", "msdyn_subject", "ProjectsV2", "ProjectName"),
        ("msdyn_project", "msdyn_description", "ProjectsV2", "Description"),
        ("msdyn_projecttask", "msdyn_tasknumber", "ProjectTasks", "TaskId"),
        ("msdyn_projecttask", "msdyn_subject", "ProjectTasks", "TaskName"),
        ("msdyn_contractlinescheduleofvalue", "msdyn_name", "ProjectContractLineMilestones", "Description"),
        ("msdyn_transactioncategory", "msdyn_name", "ProjectTransactionCategories", "Name"),
        ("bookableresourcecategory", "name", "ResourceCategoriesShared", "Description"),
    ]
    with small[1].reading() as tx:
        for table, column, entity_set, field in pairs:
            length = finance[entity_set].columns[field].length
            assert length is not None
            assert all(len(str(row[column] or "")) <= length for row in tx.scan(table)), (table, column, length)


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("salesorder", "ordernumber"),
        ("salesorderdetail", "msdyn_contractlinenumber"),
        ("msdyn_projectcontractsplitbillingrule", "msdyn_number"),
        ("msdyn_project", "msdyn_projectnumber"),
        ("msdyn_projecttask", "msdyn_tasknumber"),
        ("msdyn_contractlinescheduleofvalue", "msdyn_milestonenumber"),
        ("msdyn_transactioncategory", "msdyn_transactioncategorynumber"),
        ("bookableresourcecategory", "msdyn_resourcecategorynumber"),
    ],
)
def test_numbers_are_unique(small: tuple[SeedSummary, Store, Store], table: str, column: str) -> None:
    with small[1].reading() as tx:
        counted = Counter(row[column] for row in tx.scan(table))
    assert max(counted.values()) == 1
    assert None not in counted


def test_every_company_shows_every_kind_of_contract(dataverse: Tx) -> None:
    for code in ("USPM", "GBPM", "FRRT"):
        orders = of_company(dataverse, "salesorder", code)
        lines = of_company(dataverse, "salesorderdetail", code)
        projects = of_company(dataverse, "msdyn_project", code, "msdyn_owningcompany")
        customers = of_company(dataverse, "msdyn_projectcontractsplitbillingrule", code, "msdyn_owningcompany")
        assert {row["msdyn_ordertype"] for row in orders} == {192350000, 192350001}
        assert {row["customerid@type"] for row in orders} == {"account", "contact"}
        assert {row["msdyn_billingmethod"] for row in lines} == {None, 192350000, 192350001}
        assert {row["producttypecode"] for row in lines} == {1, 5}
        assert {row["statecode"] for row in projects} == {0, 1}
        assert None in {row["msdyn_salesorderid"] for row in projects}
        assert max(Counter(row["msdyn_contract"] for row in customers).values()) == 2
        assert of_company(dataverse, "quote", code)
        assert max(Counter(row["salesorderid"] for row in lines if row["producttypecode"] == 5).values()) == 2


def test_task_trees_have_levels(small: tuple[SeedSummary, Store, Store]) -> None:
    with small[1].reading() as tx:
        tasks = {row["msdyn_projecttaskid"]: row for row in tx.scan("msdyn_projecttask")}
    assert {row["msdyn_outlinelevel"] for row in tasks.values()} == {1, 2, 3}
    for row in tasks.values():
        if row["msdyn_parenttask"] is None:
            assert row["msdyn_outlinelevel"] == 1
        else:
            above = tasks[row["msdyn_parenttask"]]
            assert above["msdyn_project"] == row["msdyn_project"]
            assert str(row["msdyn_wbsid"]).startswith(f"{above['msdyn_wbsid']}.")
            assert isinstance(above["msdyn_displaysequence"], Decimal)
            assert isinstance(row["msdyn_displaysequence"], Decimal)
            assert above["msdyn_displaysequence"] < row["msdyn_displaysequence"]


def test_milestones_add_up_to_their_line(small: tuple[SeedSummary, Store, Store]) -> None:
    """Rule [C5]."""
    with small[1].reading() as tx:
        sums: dict[object, Decimal] = defaultdict(Decimal)
        for row in tx.scan("msdyn_contractlinescheduleofvalue"):
            assert isinstance(row["msdyn_amount"], Decimal)
            sums[row["msdyn_contractlineid"]] += row["msdyn_amount"]
        lines = {row["salesorderdetailid"]: row for row in tx.scan("salesorderdetail")}
    assert sums
    for line_id, total in sums.items():
        assert lines[line_id]["extendedamount"] == total
        assert lines[line_id]["msdyn_billingmethod"] == 192350001
        assert lines[line_id]["msdyn_project"] is not None


def test_lines_and_projects_agree_about_the_contract(small: tuple[SeedSummary, Store, Store]) -> None:
    with small[1].reading() as tx:
        projects = {row["msdyn_projectid"]: row["msdyn_salesorderid"] for row in tx.scan("msdyn_project")}
        tied = {
            row["msdyn_project"]: row["salesorderid"] for row in tx.scan("salesorderdetail") if row["msdyn_project"]
        }
    assert {project: contract for project, contract in projects.items() if contract} == tied


def test_a_work_based_contract_has_its_customer(small: tuple[SeedSummary, Store, Store]) -> None:
    """Rule [C2]."""
    with small[1].reading() as tx:
        customers: dict[object, set[object]] = defaultdict(set)
        for row in tx.scan("msdyn_projectcontractsplitbillingrule"):
            customers[row["msdyn_contract"]].add(row["msdyn_contractcustomer"])
        for order in tx.scan("salesorder"):
            of_order = customers[order["salesorderid"]]
            assert (order["customerid"] in of_order) is (order["msdyn_ordertype"] == 192350001)


def test_what_contracts_need_stands_in_finance(dataverse: Tx, finance: Tx) -> None:
    codes = {row["cdm_companyid"]: str(row["cdm_companycode"]) for row in dataverse.scan("cdm_company")}
    for order in dataverse.scan("salesorder"):
        customer = dataverse.get(str(order["customerid@type"]), order["customerid"])
        term = dataverse.get("msdyn_paymentterm", order["msdyn_paymentterms"])
        assert customer is not None
        assert term is not None
        area = {"dataAreaId": codes[order["msdyn_company"]].lower()}
        number = customer.get("accountnumber") or customer.get("msdyn_contactpersonid")
        assert finance.find_one("CustomersV3", **area, CustomerAccount=number) is not None
        assert finance.find_one("PaymentTerms", **area, Name=term["msdyn_name"]) is not None
    numbers = {row["PersonnelNumber"] for row in finance.scan("Workers")}
    workers = {row["cdm_workernumber"] for row in dataverse.scan("cdm_worker")}
    assert workers < numbers
    users = {row["employeeid"] for row in dataverse.scan("systemuser") if row["employeeid"]}
    assert users == workers


def test_accounts_agree_with_finance_but_for_a_few(small: tuple[SeedSummary, Store, Store]) -> None:
    with small[1].reading() as dataverse, small[2].reading() as finance:
        codes = {row["cdm_companyid"]: str(row["cdm_companycode"]).lower() for row in dataverse.scan("cdm_company")}
        limits: Counter[str] = Counter()
        for account in dataverse.scan("account"):
            area = codes[account["msdyn_company"]]
            row = finance.find_one("CustomersV3", dataAreaId=area, CustomerAccount=account["accountnumber"])
            assert row is not None
            assert row["OrganizationName"] == account["name"]
            assert row["PartyType"] == "Organization"
            limit = account["creditlimit"]
            limits["empty" if limit is None else "equal" if limit == row["CreditLimit"] else "differs"] += 1
        assert finance.count("CustomersV3") > dataverse.count("account") + dataverse.count("contact")
    assert limits["differs"] == 1
    assert 0 < limits["empty"] < limits["equal"]


def test_finance_stands_alone_where_it_is_the_master(finance: Tx, dataverse: Tx) -> None:
    assert finance.find_one("Currencies", CurrencyCode="999") is not None
    assert {row["LegalEntityId"] for row in finance.scan("Ledgers")} == {"USPM", "GBPM", "FRRT", "DEMF"}
    assert {row["dataAreaId"] for row in finance.scan("CustomersV3")} == {"uspm", "gbpm", "frrt", "demf"}
    roles = {row["RoleId"]: row["Description"] for row in finance.scan("ResourceCategoriesShared")}
    assert sorted(map(str, roles.values())) == ["Project manager", "Team member"]
    for role_id, name in roles.items():
        role = dataverse.find_one("bookableresourcecategory", msdyn_resourcecategorynumber=role_id)
        assert role is not None
        assert role["name"] == name
    assert finance.count("ProjectRoles") == 6
    for untouched in ("ProjectsV2", "ProjectContractHeaders", "ProjectTransactionCategories"):
        assert finance.count(untouched) == 0
    for untouched in ("msdyn_vendor", "msdyn_ledger", "msdyn_currencyexchangerate"):
        assert dataverse.count(untouched) == 0


def test_exchange_rates_follow_each_other_without_gaps(finance: Tx) -> None:
    periods: dict[tuple[object, ...], list[tuple[str, str]]] = defaultdict(list)
    for row in finance.scan("ExchangeRatesCDSEntity"):
        pair = (row["ExchangeRateTypeName"], row["FromCurrencyCode"], row["ToCurrencyCode"])
        periods[pair].append((str(row["ValidFrom"])[:10], str(row["ValidTo"])[:10]))
    assert len(periods) == 6
    for days in periods.values():
        assert days == sorted(days)
        for (_, last), (first, _) in pairwise(days):
            assert (datetime.fromisoformat(first) - datetime.fromisoformat(last)).days == 1


@pytest.mark.slow
def test_ten_thousand_projects_take_seconds(tmp_path: Path) -> None:
    started = time.monotonic()
    with open_stores(tmp_path) as stores:
        summary = seed(*stores, "small", 3, 10_000)
    assert time.monotonic() - started < 60
    assert summary.dataverse["msdyn_project"] == 10_000
    assert summary.dataverse["msdyn_projecttask"] > 25_000
