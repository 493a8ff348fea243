"""The rules of business in Dataverse, one by one, as transactions on the store."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dualsync_sandbox.business import install
from dualsync_sandbox.clock import Clock
from dualsync_sandbox.errors import DeleteRestricted
from dualsync_sandbox.schema import SystemSchema
from dualsync_sandbox.seed import seed
from dualsync_sandbox.store import Row, Store, Tx

SPLIT = "msdyn_projectcontractsplitbillingrule"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    clock = Clock(datetime(2026, 3, 2, 9, tzinfo=UTC), frozen=True)
    dataverse = Store(tmp_path / "dataverse.db", SystemSchema.load("dataverse"), clock)
    finance = Store(tmp_path / "finance.db", SystemSchema.load("finance"), clock)
    seed(dataverse, finance, "demo", 1)
    install(dataverse, finance, clock)
    yield dataverse
    dataverse.close()
    finance.close()


def company(tx: Tx, code: str = "USPM") -> str:
    row = tx.find_one("cdm_company", cdm_companycode=code)
    assert row is not None
    return str(row["cdm_companyid"])


def accounts(tx: Tx) -> list[Row]:
    return tx.find("account", msdyn_company=company(tx))


def currency(tx: Tx) -> object:
    row = tx.find_one("transactioncurrency", isocurrencycode="USD")
    assert row is not None
    return row["transactioncurrencyid"]


def new_contract(tx: Tx, **values: object) -> Row:
    return tx.insert(
        "salesorder",
        {
            "name": "Pump station upgrade",
            "customerid": accounts(tx)[0]["accountid"],
            "customerid@type": "account",
            "transactioncurrencyid": currency(tx),
            "msdyn_company": company(tx),
            "msdyn_ordertype": 192350001,
            **values,
        },
    )


def new_project(tx: Tx) -> Row:
    return tx.insert("msdyn_project", {"msdyn_subject": "Pump station", "msdyn_owningcompany": company(tx)})


def new_line(tx: Tx, contract: Row, project: Row | None, **values: object) -> Row:
    return tx.insert(
        "salesorderdetail",
        {
            "salesorderid": contract["salesorderid"],
            "msdyn_project": project["msdyn_projectid"] if project else None,
            "producttypecode": 5,
            "propertyconfigurationstatus": 2,
            **values,
        },
    )


def contract_of(tx: Tx, project: Row) -> object:
    row = tx.get("msdyn_project", project["msdyn_projectid"])
    assert row is not None
    return row["msdyn_salesorderid"]


def test_a_contract_gets_its_customer(store: Store) -> None:
    """Rule [C2]."""
    with store.transaction() as tx:
        term = tx.find_one("msdyn_paymentterm", msdyn_company=company(tx), msdyn_name="Net45")
        assert term is not None
        contract = new_contract(tx, msdyn_paymentterms=term["msdyn_paymenttermid"])
        (row,) = tx.find(SPLIT, msdyn_contract=contract["salesorderid"])
        account = accounts(tx)[0]
    assert row["msdyn_contractcustomer"] == account["accountid"]
    assert row["msdyn_contractcustomer@type"] == "account"
    assert row["msdyn_name"] == account["name"]
    assert row["msdyn_owningcompany"] == contract["msdyn_company"]
    assert row["msdyn_paymentterms"] == "Net45"
    assert re.fullmatch(r"CC-\d{7}-[0-9A-F]{5}", str(row["msdyn_number"]))


def test_terms_of_payment_default_from_the_customer(store: Store) -> None:
    with store.transaction() as tx:
        account = next(row for row in accounts(tx) if row["msdyn_paymentterm"])
        contract = new_contract(tx, customerid=account["accountid"])
        (row,) = tx.find(SPLIT, msdyn_contract=contract["salesorderid"])
        term = tx.get("msdyn_paymentterm", account["msdyn_paymentterm"])
    assert term is not None
    assert row["msdyn_paymentterms"] == term["msdyn_name"]


def test_a_person_is_a_contract_customer_too(store: Store) -> None:
    with store.transaction() as tx:
        contact = tx.find("contact", msdyn_company=company(tx))[0]
        contract = new_contract(tx, **{"customerid": contact["contactid"], "customerid@type": "contact"})
        (row,) = tx.find(SPLIT, msdyn_contract=contract["salesorderid"])
    assert row["msdyn_contractcustomer@type"] == "contact"
    assert row["msdyn_name"] == contact["fullname"]


def test_an_item_based_order_gets_none_until_it_is_work_based(store: Store) -> None:
    with store.transaction() as tx:
        order = new_contract(tx, msdyn_ordertype=192350000)
        assert tx.find(SPLIT, msdyn_contract=order["salesorderid"]) == []
        tx.update("salesorder", order["salesorderid"], {"msdyn_ordertype": 192350001})
        assert len(tx.find(SPLIT, msdyn_contract=order["salesorderid"])) == 1


def test_another_customer_takes_the_place_of_the_first(store: Store) -> None:
    with store.transaction() as tx:
        first, second, third = accounts(tx)[:3]
        contract = new_contract(tx, customerid=first["accountid"])
        contract_id = contract["salesorderid"]
        (row,) = tx.find(SPLIT, msdyn_contract=contract_id)
        added = {"msdyn_contractcustomer": third["accountid"], "msdyn_contractcustomer@type": "account"}
        tx.insert(SPLIT, {"msdyn_contract": contract_id, **added})
        tx.update("salesorder", contract_id, {"customerid": second["accountid"], "customerid@type": "account"})
        tx.update("salesorder", contract_id, {"name": "Pump station renewal"})
        rows = tx.find(SPLIT, msdyn_contract=contract_id)
    assert [found["msdyn_contractcustomer"] for found in rows] == [second["accountid"], third["accountid"]]
    assert rows[0]["msdyn_number"] == row["msdyn_number"]
    assert rows[0]["msdyn_name"] == second["name"]


def test_a_customer_may_come_back_after_the_contract_had_none(store: Store) -> None:
    with store.transaction() as tx:
        first, second = (str(row["accountid"]) for row in accounts(tx)[:2])
        contract = new_contract(tx, customerid=first)
        for customer in (second, None, first):
            kind = None if customer is None else "account"
            tx.update("salesorder", contract["salesorderid"], {"customerid": customer, "customerid@type": kind})
        rows = tx.find(SPLIT, msdyn_contract=contract["salesorderid"])
        assert {row["msdyn_contractcustomer"] for row in rows} == {first, second}


def test_contract_customers_follow_the_company(store: Store) -> None:
    with store.transaction() as tx:
        contract = new_contract(tx)
        tx.update("salesorder", contract["salesorderid"], {"msdyn_company": company(tx, "GBPM")})
        (row,) = tx.find(SPLIT, msdyn_contract=contract["salesorderid"])
        assert row["msdyn_owningcompany"] == company(tx, "GBPM")


def test_a_line_ties_its_project_to_the_contract(store: Store) -> None:
    with store.transaction() as tx:
        contract, project = new_contract(tx), new_project(tx)
        new_line(tx, contract, None)
        assert contract_of(tx, project) is None
        new_line(tx, contract, project)
        assert contract_of(tx, project) == contract["salesorderid"]


def test_a_line_that_goes_releases_its_project(store: Store) -> None:
    with store.transaction() as tx:
        contract, project = new_contract(tx), new_project(tx)
        first, second = new_line(tx, contract, project), new_line(tx, contract, project)
        tx.delete("salesorderdetail", first["salesorderdetailid"])
        assert contract_of(tx, project) == contract["salesorderid"]
        tx.delete("salesorderdetail", second["salesorderdetailid"])
        assert contract_of(tx, project) is None


def test_a_line_that_changes_its_project(store: Store) -> None:
    with store.transaction() as tx:
        contract, old, new = new_contract(tx), new_project(tx), new_project(tx)
        line = new_line(tx, contract, old)
        tx.update("salesorderdetail", line["salesorderdetailid"], {"msdyn_project": new["msdyn_projectid"]})
        assert contract_of(tx, old) is None
        assert contract_of(tx, new) == contract["salesorderid"]


def test_a_deleted_contract_takes_what_belongs_to_it(store: Store) -> None:
    with store.transaction() as tx:
        contract, project = new_contract(tx), new_project(tx)
        contract_id = contract["salesorderid"]
        line = new_line(tx, contract, project, msdyn_billingmethod=192350001)
        named = {"msdyn_contract": contract_id, "msdyn_contractlineid": line["salesorderdetailid"]}
        milestone = tx.insert("msdyn_contractlinescheduleofvalue", {"msdyn_name": "Half", **named})
        assert re.fullmatch(r"MIL-\d{7}-[0-9A-F]{5}", str(milestone["msdyn_milestonenumber"]))
        tx.delete("salesorder", contract_id)
        assert tx.find("salesorderdetail", salesorderid=contract_id) == []
        assert tx.find(SPLIT, msdyn_contract=contract_id) == []
        assert tx.find("msdyn_contractlinescheduleofvalue", msdyn_contract=contract_id) == []
        assert contract_of(tx, project) is None


def test_a_project_with_contract_lines_stays(store: Store) -> None:
    with store.transaction() as tx:
        contract, project = new_contract(tx), new_project(tx)
        line = new_line(tx, contract, project)
        with pytest.raises(DeleteRestricted, match="salesorderdetail"):
            tx.delete("msdyn_project", project["msdyn_projectid"])
        tx.delete("salesorderdetail", line["salesorderdetailid"])
        tx.delete("msdyn_project", project["msdyn_projectid"])


def test_a_deleted_project_takes_its_task_tree(store: Store) -> None:
    with store.transaction() as tx:
        project = new_project(tx)
        of_project = {"msdyn_project": project["msdyn_projectid"]}
        top = tx.insert("msdyn_projecttask", {"msdyn_subject": "Design", **of_project})
        below = {"msdyn_subject": "Draft", "msdyn_parenttask": top["msdyn_projecttaskid"], **of_project}
        tx.insert("msdyn_projecttask", below)
        tx.delete("msdyn_project", project["msdyn_projectid"])
        assert tx.find("msdyn_projecttask", **of_project) == []


def test_a_vendor_also_stands_as_an_account(store: Store) -> None:
    with store.transaction() as tx:
        party = tx.insert("msdyn_party", {"msdyn_partynumber": "P-1", "msdyn_name": "Tarnside Freight"})
        vendor = tx.insert(
            "msdyn_vendor",
            {
                "msdyn_vendoraccountnumber": "V-900001",
                "msdyn_company": company(tx),
                "msdyn_partyid": party["msdyn_partyid"],
            },
        )
        account = tx.find_one("account", accountnumber="V-900001", msdyn_company=company(tx))
        assert account is not None
        assert (account["customertypecode"], account["name"]) == (11, "Tarnside Freight")
        tx.update("msdyn_vendor", vendor["msdyn_vendorid"], {"msdyn_vendoraccountnumber": "V-900002"})
        followed = tx.get("account", account["accountid"])
        assert followed is not None
        assert followed["accountnumber"] == "V-900002"
        version = followed["versionnumber"]
        tx.update("msdyn_vendor", vendor["msdyn_vendorid"], {"msdyn_creditrating": "Good"})
        untouched = tx.get("account", account["accountid"])
        assert untouched is not None
        assert untouched["versionnumber"] == version
        tx.delete("msdyn_vendor", vendor["msdyn_vendorid"])
        assert tx.get("account", account["accountid"]) is None


@pytest.mark.parametrize(
    ("table", "column", "pattern"),
    [
        ("msdyn_transactioncategory", "msdyn_transactioncategorynumber", r"TCN-\d{10}-[0-9A-F]{5}"),
        ("bookableresourcecategory", "msdyn_resourcecategorynumber", r"RCN-\d{7}-[0-9A-F]{5}"),
        ("msdyn_project", "msdyn_projectnumber", r"PRJ-\d{7}-[0-9A-F]{5}"),
        ("msdyn_projecttask", "msdyn_tasknumber", r"TSK-\d{7}-[0-9A-F]{5}"),
    ],
)
def test_an_empty_number_is_assigned_and_a_given_one_kept(store: Store, table: str, column: str, pattern: str) -> None:
    name = {"bookableresourcecategory": "name", "msdyn_transactioncategory": "msdyn_name"}.get(table, "msdyn_subject")
    with store.transaction() as tx:
        assigned = [str(tx.insert(table, {name: "Something new"})[column]) for _ in range(3)]
        given = tx.insert(table, {name: "Something new", column: "MINE-1"})
    assert all(re.fullmatch(pattern, number) for number in assigned)
    assert len(set(assigned)) == 3
    assert given[column] == "MINE-1"


def test_contracts_and_lines_are_numbered(store: Store) -> None:
    with store.transaction() as tx:
        contract = new_contract(tx)
        line = new_line(tx, contract, None)
    assert re.fullmatch(r"ORD-\d{7}-[0-9A-F]{5}", str(contract["ordernumber"]))
    assert re.fullmatch(r"PCL-\d{7}-[0-9A-F]{5}", str(line["msdyn_contractlinenumber"]))
