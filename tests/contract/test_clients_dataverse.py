"""The Dataverse client against the sandbox, over TLS and with real sign-in."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr

from dualsync.errors import (
    AlreadyExists,
    ChangeTokenExpired,
    ForbiddenKey,
    NotFound,
    Refused,
    RowChanged,
    SchemaMismatch,
    SettingsError,
    SignInFailed,
)
from dualsync.settings import Settings
from dualsync.systems import Bind, Dataverse, UpsertRow, open_dataverse
from dualsync_sandbox import Sandbox

GROUP = "msdyn_customergroup"
GROUPS = "msdyn_customergroups"
GROUP_COLUMNS = ["msdyn_groupid", "msdyn_description", "msdyn_company"]


@pytest.fixture(scope="module")
def dataverse(settings: Settings) -> Iterator[Dataverse]:
    with open_dataverse(settings) as client:
        yield client


@pytest.fixture
def company(dataverse: Dataverse) -> str:
    """The record id of USPM."""
    rows = dataverse.read_keys("cdm_companies", [{"cdm_companycode": "USPM"}], select=["cdm_companycode"])
    return str(rows[0]["cdm_companyid"])


@pytest.fixture
def name() -> str:
    """A group id no other test uses."""
    return f"T{uuid4().hex[:12]}"


def group(name: str, company: str, description: str | None = "made by a test") -> UpsertRow:
    return UpsertRow(
        {"msdyn_groupid": name, "msdyn_company": Bind("cdm_company", company)}, {"msdyn_description": description}
    )


def find(dataverse: Dataverse, name: str) -> dict[str, Any]:
    (row,) = dataverse.read_keys(GROUPS, [{"msdyn_groupid": name}], select=GROUP_COLUMNS)
    return row


def test_a_wrong_secret_is_refused(settings: Settings) -> None:
    endpoint = settings.endpoint("dataverse").model_copy(
        update={"client_secret_file": None, "client_secret": SecretStr("wrong")}
    )
    with (
        open_dataverse(settings.model_copy(update={"dataverse": endpoint})) as client,
        pytest.raises(SignInFailed, match="refuses application"),
    ):
        client.metadata("account")


def test_signs_in_with_a_certificate_too(settings: Settings, sandbox: Sandbox) -> None:
    file = Path(str(sandbox.info["client_certificate_file"]))
    endpoint = settings.endpoint("dataverse").model_copy(update={"client_secret_file": None, "certificate_path": file})
    with open_dataverse(settings.model_copy(update={"dataverse": endpoint})) as client:
        assert client.metadata("account").set_name == "accounts"


def test_signs_in_again_when_the_token_is_refused(dataverse: Dataverse, sandbox: Sandbox) -> None:
    list(dataverse.read("cdm_companies", select=["cdm_companycode"]))
    seen = sandbox.requests.last_id
    sandbox.clock.advance(timedelta(hours=2))  # the service's clock: the client takes its token for good
    try:
        list(dataverse.read("cdm_companies", select=["cdm_companycode"]))
    finally:
        sandbox.clock.advance(-timedelta(hours=2))
    statuses = [entry["status"] for entry in sandbox.trace(system="dataverse", since=seen)]
    assert statuses == [401, 200]


def test_a_certificate_of_unknown_origin_is_a_setting_to_correct(settings: Settings) -> None:
    endpoint = settings.endpoint("dataverse").model_copy(update={"ca_file": None})
    with (
        open_dataverse(settings.model_copy(update={"dataverse": endpoint})) as client,
        pytest.raises(SettingsError, match="ca_file"),
    ):
        client.metadata("account")


def test_metadata_is_read_not_guessed(dataverse: Dataverse) -> None:
    account = dataverse.metadata("account")
    assert (account.set_name, account.primary_id) == ("accounts", "accountid")
    assert account.navigation["msdyn_company", "cdm_company"] == "msdyn_Company"
    assert account.attribute("name").max_length is None
    assert any(set(key.columns) == {"accountnumber", "msdyn_company"} and key.active for key in account.keys)
    order = dataverse.metadata("salesorder")
    assert order.attribute("customerid").targets == ("account", "contact")
    assert order.navigation["customerid", "contact"] == "customerid_contact"
    assert dataverse.metadata("msdyn_party").set_name == "msdyn_parties"
    assert dataverse.metadata("account") is account
    with pytest.raises(SchemaMismatch, match="no table nothing"):
        dataverse.metadata("nothing")


def test_facets_come_when_asked_for(dataverse: Dataverse) -> None:
    """Length and precision stand on the type of the column [DV10]."""
    account = dataverse.metadata("account", facets=True)
    assert account.attribute("name").max_length == 160
    assert account.attribute("creditlimit").precision == 4
    assert account.attribute("statecode").options == {0: "Active", 1: "Inactive"}
    assert dataverse.metadata("msdyn_project", facets=True).attribute("msdyn_scheduledstart").date_behavior


def test_reads_all_pages_once(dataverse: Dataverse, sandbox: Sandbox) -> None:
    pages = list(dataverse.read("msdyn_projects", select=["msdyn_subject"], page_size=7))
    ids = [row["msdyn_projectid"] for page in pages for row in page]
    with sandbox.dataverse_store.reading() as tx:
        assert len(ids) == tx.count("msdyn_project")
    assert len(set(ids)) == len(ids)
    assert [len(page) for page in pages[:-1]] == [7] * (len(pages) - 1)
    assert set(pages[0][0]) == {"@etag", "msdyn_projectid", "msdyn_subject"}


def test_lookups_come_under_the_names_of_their_columns(dataverse: Dataverse) -> None:
    columns = ["ordernumber", "customerid", "msdyn_company"]
    rows = [row for page in dataverse.read("salesorders", select=columns) for row in page]
    types = {row["customerid@type"] for row in rows if row["customerid"]}
    assert types <= {"account", "contact"}
    assert "account" in types
    accounts = dataverse.read_ids(
        "accounts", [row["customerid"] for row in rows if row["customerid@type"] == "account"], select=["name"]
    )
    assert {row["accountid"] for row in accounts} == {
        row["customerid"] for row in rows if row["customerid@type"] == "account"
    }
    assert not any("msdyn_company@type" in row for row in rows)


def test_money_is_exact_whatever_the_wire_shows(dataverse: Dataverse) -> None:
    columns = ["msdyn_amount"]
    rows = [row for page in dataverse.read("msdyn_contractlinescheduleofvalues", select=columns) for row in page]
    assert rows
    assert {type(row["msdyn_amount"]) for row in rows} == {Decimal}


def test_filters_and_sorts(dataverse: Dataverse) -> None:
    codes = [
        row["cdm_companycode"]
        for page in dataverse.read(
            "cdm_companies",
            select=["cdm_companycode"],
            filter="cdm_companycode ne 'DEMF'",
            order_by="cdm_companycode desc",
        )
        for row in page
    ]
    assert codes == ["USPM", "GBPM", "FRRT"]


def test_unknown_names_are_no_empty_results(dataverse: Dataverse) -> None:
    with pytest.raises(SchemaMismatch, match="no column nothing"):
        list(dataverse.read("accounts", select=["nothing"]))
    with pytest.raises(SchemaMismatch, match="no entity set nothings"):
        list(dataverse.read("nothings", select=["name"]))
    with pytest.raises(Refused, match="nothing"):
        list(dataverse.read("accounts", select=["name"], filter="nothing eq 1"))


def test_upserts_by_a_key_with_a_lookup(dataverse: Dataverse, company: str, name: str) -> None:
    odd = f"{name} O'Neil ü#"
    dataverse.upsert_many(GROUP, [group(name, company), group(odd, company)])
    made = find(dataverse, odd)
    assert (made["msdyn_description"], made["msdyn_company"]) == ("made by a test", company)
    dataverse.upsert_many(GROUP, [group(odd, company, "changed")])
    changed = find(dataverse, odd)
    assert changed["msdyn_customergroupid"] == made["msdyn_customergroupid"]
    assert changed["msdyn_description"] == "changed"
    assert changed["@etag"] != made["@etag"]
    assert find(dataverse, name)["msdyn_description"] == "made by a test"


def test_an_upsert_is_all_or_nothing_and_says_why(dataverse: Dataverse, company: str, name: str) -> None:
    """One transaction [DV7]."""
    with pytest.raises(Refused, match="maximum allowed length") as caught:
        dataverse.upsert_many(GROUP, [group(name, company), group(f"{name}2", company, "x" * 999)])
    assert caught.value.status == 400
    assert caught.value.code.startswith("0x")
    assert dataverse.read_keys(GROUPS, [{"msdyn_groupid": name}], select=GROUP_COLUMNS) == []


@pytest.mark.parametrize("character", "/<>*%&:\\?+")
def test_keys_that_no_url_can_carry(dataverse: Dataverse, company: str, character: str) -> None:
    """Nothing is sent [DV5]."""
    with pytest.raises(ForbiddenKey) as caught:
        dataverse.upsert_many(GROUP, [group("good", company), group(f"bad{character}name", company)])
    assert (caught.value.column, caught.value.position) == ("msdyn_groupid", 1)
    assert f"bad{character}" not in str(caught.value)
    assert dataverse.read_keys(GROUPS, [{"msdyn_groupid": "good"}], select=GROUP_COLUMNS) == []


def test_only_active_alternate_keys_serve(dataverse: Dataverse, company: str, name: str) -> None:
    with pytest.raises(SchemaMismatch, match="no active alternate key"):
        dataverse.upsert_many(GROUP, [UpsertRow({"msdyn_groupid": name}, {})])
    with pytest.raises(ForbiddenKey, match="is empty"):
        dataverse.upsert_many(GROUP, [group("", company)])
    row = group(name, company)
    with pytest.raises(ValueError, match="part of the key"):
        dataverse.upsert_many(GROUP, [UpsertRow(row.key, {"msdyn_groupid": "other"})])


def test_updates_many_by_id(dataverse: Dataverse, company: str, name: str) -> None:
    names = [f"{name}-{number}" for number in range(3)]
    dataverse.upsert_many(GROUP, [group(one, company) for one in names])
    ids = [str(find(dataverse, one)["msdyn_customergroupid"]) for one in names]
    dataverse.update_many(GROUP, [(ids[0], {"msdyn_description": None}), (ids[1], {"msdyn_description": "new"})])
    assert [find(dataverse, one)["msdyn_description"] for one in names] == [None, "new", "made by a test"]
    with pytest.raises(NotFound):
        dataverse.update_many(GROUP, [(ids[2], {"msdyn_description": "x"}), (str(uuid4()), {"msdyn_description": "x"})])
    assert find(dataverse, names[2])["msdyn_description"] == "made by a test"


def test_a_row_under_a_given_id(dataverse: Dataverse, company: str, name: str) -> None:
    record = str(uuid4())
    values = {"msdyn_groupid": name, "msdyn_company": Bind("cdm_company", company)}
    dataverse.create_with_id(GROUP, record, values)
    with pytest.raises(AlreadyExists):
        dataverse.create_with_id(GROUP, record, values | {"msdyn_description": "must not arrive"})
    row = dataverse.get(GROUPS, record, GROUP_COLUMNS)
    assert row is not None
    assert (row["msdyn_groupid"], row["msdyn_description"], row["msdyn_company"]) == (name, None, company)

    dataverse.update(GROUP, record, {"msdyn_description": "first"}, etag=row["@etag"])
    with pytest.raises(RowChanged):
        dataverse.update(GROUP, record, {"msdyn_description": "second"}, etag=row["@etag"])
    with pytest.raises(RowChanged):
        dataverse.delete(GROUP, record, etag=row["@etag"])
    dataverse.delete(GROUP, record)
    with pytest.raises(NotFound):
        dataverse.delete(GROUP, record)
    with pytest.raises(NotFound):
        dataverse.update(GROUP, record, {"msdyn_description": "must not create"})
    assert dataverse.get(GROUPS, record, GROUP_COLUMNS) is None


def test_lookups_are_bound_and_emptied_through_their_navigation_properties(dataverse: Dataverse) -> None:
    columns = ["ordernumber", "customerid"]
    # An item-based order: nothing else happens when its customer changes.
    pages = dataverse.read("salesorders", select=columns, filter="msdyn_ordertype eq 192350000")
    order = next(row for page in pages for row in page if row["customerid@type"] == "account")
    (contact, *_) = next(iter(dataverse.read("contacts", select=["lastname"])))
    dataverse.update("salesorder", order["salesorderid"], {"customerid": Bind("contact", contact["contactid"])})
    changed = dataverse.get("salesorders", order["salesorderid"], columns)
    assert changed is not None
    assert (changed["customerid"], changed["customerid@type"]) == (contact["contactid"], "contact")
    dataverse.update("salesorder", order["salesorderid"], {"customerid": None})
    emptied = dataverse.get("salesorders", order["salesorderid"], columns)
    assert emptied is not None
    assert (emptied["customerid"], emptied["customerid@type"]) == (None, None)
    with pytest.raises(SchemaMismatch, match="does not point to cdm_company"):
        dataverse.update("salesorder", order["salesorderid"], {"customerid": Bind("cdm_company", contact["contactid"])})
    with pytest.raises(TypeError, match="needs a Bind"):
        dataverse.update("salesorder", order["salesorderid"], {"customerid": contact["contactid"]})
    dataverse.update("salesorder", order["salesorderid"], {"customerid": Bind("account", order["customerid"])})


def test_changes_since_a_token(dataverse: Dataverse, company: str, name: str) -> None:
    """Deleted rows come by their id [DV4]."""
    full = dataverse.changes(GROUPS, select=GROUP_COLUMNS, token=None)
    assert full.token is None
    before = [row for page in full for row in page]
    assert before
    assert full.token

    dataverse.upsert_many(GROUP, [group(name, company), group(f"{name}-gone", company)])
    gone = str(find(dataverse, f"{name}-gone")["msdyn_customergroupid"])
    dataverse.update(GROUP, before[0]["msdyn_customergroupid"], {"msdyn_description": "changed"})
    dataverse.delete(GROUP, gone)

    changes = dataverse.changes(GROUPS, select=GROUP_COLUMNS, token=full.token)
    rows = {row["msdyn_groupid"]: row for page in changes for row in page}
    assert set(rows) == {name, before[0]["msdyn_groupid"]}
    assert rows[name]["msdyn_company"] == company
    assert changes.deleted == [gone]

    nothing = dataverse.changes(GROUPS, select=GROUP_COLUMNS, token=changes.token)
    assert [row for page in nothing for row in page] == []
    assert nothing.deleted == []


def test_changes_come_in_pages_with_their_lookup_types(dataverse: Dataverse, settings: Settings) -> None:
    sizes = settings.page_sizes.model_copy(update={"dataverse": 5})
    with open_dataverse(settings.model_copy(update={"page_sizes": sizes})) as small:
        changes = small.changes("salesorders", select=["customerid"], token=None)
        pages: list[int] = []
        for page in changes:
            pages.append(len(page))
            assert all(row["customerid@type"] in ("account", "contact") for row in page if row["customerid"])
        assert len(pages) > 1
        assert changes.token


def test_a_token_for_other_columns_or_too_old_starts_over(dataverse: Dataverse, sandbox: Sandbox) -> None:
    full = dataverse.changes(GROUPS, select=["msdyn_groupid"], token=None)
    for _ in full:
        pass
    with pytest.raises(ChangeTokenExpired, match="other columns"):
        dataverse.changes(GROUPS, select=GROUP_COLUMNS, token=full.token)
    sandbox.dataverse_store.expire_changes()
    with pytest.raises(ChangeTokenExpired):
        list(dataverse.changes(GROUPS, select=["msdyn_groupid"], token=full.token))


def test_reads_by_many_ids_and_keys(dataverse: Dataverse, company: str, name: str) -> None:
    names = [f"{name}-{number:04}" for number in range(700)]
    dataverse.upsert_many(GROUP, [group(one, company) for one in names])
    conditions = [{"msdyn_groupid": one, "msdyn_company": company} for one in names]
    by_key = dataverse.read_keys(GROUPS, conditions, select=["msdyn_groupid"])
    assert sorted(row["msdyn_groupid"] for row in by_key) == names
    ids = [row["msdyn_customergroupid"] for row in by_key]
    by_id = dataverse.read_ids(GROUPS, [*ids, str(uuid4())], select=["msdyn_groupid"])
    assert sorted(row["msdyn_groupid"] for row in by_id) == names
    assert dataverse.read_ids(GROUPS, [], select=["msdyn_groupid"]) == []
    assert dataverse.read_keys(GROUPS, [], select=["msdyn_groupid"]) == []


def test_one_client_serves_many_threads(dataverse: Dataverse) -> None:
    def count(_: int) -> int:
        return sum(len(page) for page in dataverse.read("accounts", select=["name"], page_size=5))

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(count, range(16)))) == 1
