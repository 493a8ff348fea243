"""The Finance client against the sandbox, over TLS and with real sign-in."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from dualsync.errors import AlreadyExists, NotFound, Refused, SchemaMismatch
from dualsync.settings import Settings
from dualsync.systems import Finance, open_finance
from dualsync_sandbox import Sandbox

GROUPS = "CustomerGroups"
RATES = "ExchangeRatesCDSEntity"


@pytest.fixture(scope="module")
def finance(settings: Settings) -> Iterator[Finance]:
    with open_finance(settings) as client:
        yield client


@pytest.fixture
def key() -> dict[str, Any]:
    """The key of a customer group no other test uses."""
    return {"dataAreaId": "GBPM", "CustomerGroupId": f"T{uuid4().hex[:12]}"}


def find(finance: Finance, key: dict[str, Any]) -> list[dict[str, Any]]:
    return finance.read_keys(GROUPS, [key], select=["CustomerGroupId", "Description"])


def test_rows_are_read_by_company_whatever_its_column(finance: Finance) -> None:
    for column, wanted in (("dataAreaId", "USPM"), ("dataAreaId", "uspm"), ("CustomerGroupId", "nothing")):
        pages = finance.read(GROUPS, select=["dataAreaId"], company=wanted, company_column=column)
        companies = {row["dataAreaId"] for page in pages for row in page}
        assert companies == ({"uspm"} if column == "dataAreaId" else set())


def test_metadata_has_keys_types_and_members(finance: Finance) -> None:
    """Rule [FO2]."""
    projects = finance.metadata("ProjectsV2")
    assert (projects.entity, projects.keys) == ("ProjectV2", ("dataAreaId", "ProjectId"))
    parties = finance.metadata("GlobalParties")
    assert set(parties.column("PartyType").members) == {"None", "Person", "Organization"}
    assert finance.metadata(RATES).column("Rate").type == "Edm.Decimal"
    with pytest.raises(SchemaMismatch, match="no public entity Nothings"):
        finance.metadata("Nothings")


def test_reads_all_companies_or_one(finance: Finance, sandbox: Sandbox) -> None:
    """Not only the user's own company [FO1]."""
    rows = [row for page in finance.read(GROUPS, select=["dataAreaId", "CustomerGroupId"]) for row in page]
    with sandbox.finance_store.reading() as tx:
        assert len(rows) == tx.count(GROUPS)
    assert {row["dataAreaId"] for row in rows} == {"uspm", "gbpm", "frrt", "demf"}
    keys = [(row["dataAreaId"], row["CustomerGroupId"].lower()) for row in rows]
    assert keys == sorted(keys)
    one = [row for page in finance.read(GROUPS, select=["dataAreaId"], company="USPM") for row in page]
    assert {row["dataAreaId"] for row in one} == {"uspm"}
    assert set(one[0]) == {"@etag", "dataAreaId"}


def test_follows_the_links_of_large_entities(finance: Finance, sandbox: Sandbox) -> None:
    with sandbox.finance_store.transaction() as tx:
        rows = ({"CalendarId": f"L{number:05}", "Description": "one of many"} for number in range(10_001))
        tx.insert_many("FiscalCalendars", rows)
    filter = finance.condition("FiscalCalendars", {"Description": "one of many"})
    pages = list(finance.read("FiscalCalendars", select=["CalendarId"], filter=filter))
    assert [len(page) for page in pages] == [10_000, 1]
    names = [row["CalendarId"] for page in pages for row in page]
    assert names == sorted(set(names))


@pytest.fixture
def small_pages(sandbox: Sandbox) -> Iterator[None]:
    sandbox.limits.change({"finance": {"page": 3}})
    yield
    sandbox.limits.reset()


def test_pages_go_on_from_the_last_key(finance: Finance, sandbox: Sandbox, small_pages: None) -> None:
    """Keys of several parts, a date among them: every row once, in order, whatever the size of a page."""
    parts = ("ExchangeRateTypeName", "FromCurrencyCode", "ToCurrencyCode", "ValidFrom")
    since = sandbox.requests.last_id
    pages = list(finance.read(RATES, select=["Rate", "FromCurrencyCode"]))
    asked = sandbox.trace(system="finance", path=RATES, since=since)
    with sandbox.finance_store.reading() as tx:
        keys = [tuple(str(row[name]).lower() for name in parts) for row in tx.find(RATES)]
    rows = [row for page in pages for row in page]
    assert len(pages) > 1
    assert [row["FromCurrencyCode"].lower() for row in rows] == [key[1] for key in sorted(keys)]
    assert all(set(row) == {"@etag", "Rate", "FromCurrencyCode"} for row in rows), "no column that was not asked for"
    assert all("$skip" not in entry["query"] for entry in asked)


def test_a_key_that_could_be_a_wildcard_is_left_to_the_link(
    finance: Finance, sandbox: Sandbox, small_pages: None
) -> None:
    rows = [{"CalendarId": f"W{number}*", "Description": "wild"} for number in range(7)]
    with sandbox.finance_store.transaction() as tx:
        tx.insert_many("FiscalCalendars", rows)
    since = sandbox.requests.last_id
    wild = finance.condition("FiscalCalendars", {"Description": "wild"})
    pages = list(finance.read("FiscalCalendars", select=["CalendarId"], filter=wild))
    assert [row["CalendarId"] for page in pages for row in page] == [row["CalendarId"] for row in rows]
    asked = sandbox.trace(system="finance", path="FiscalCalendars", since=since)
    assert [entry["query"].get("$skip") for entry in asked] == [None, "3", "6"]


def test_filters_by_enumeration(finance: Finance) -> None:
    """By equality, with the name of the enumeration [FO3]."""
    people = finance.condition("GlobalParties", {"PartyType": "Person"})
    assert people == "PartyType eq Microsoft.Dynamics.DataEntities.DirPartyType'Person'"
    rows = [row for page in finance.read("GlobalParties", select=["PartyType"], filter=people) for row in page]
    assert {row["PartyType"] for row in rows} <= {"Person"}


def test_creates_updates_and_deletes(finance: Finance, key: dict[str, Any]) -> None:
    created = finance.create(GROUPS, key | {"Description": "made by a test"})
    assert (created["dataAreaId"], created["Description"]) == ("gbpm", "made by a test")
    assert created["@etag"]
    with pytest.raises(AlreadyExists):
        finance.create(GROUPS, key)
    finance.update(GROUPS, key, {"Description": "changed"})
    assert [row["Description"] for row in find(finance, key)] == ["changed"]
    finance.delete(GROUPS, key)
    assert find(finance, key) == []
    with pytest.raises(NotFound):
        finance.delete(GROUPS, key)
    with pytest.raises(NotFound):
        finance.update(GROUPS, key, {"Description": "must not create"})


def test_keys_of_any_characters(finance: Finance, key: dict[str, Any]) -> None:
    odd = key | {"CustomerGroupId": f"A/B 1'ü#&{uuid4().hex[:4]}"}
    finance.create(GROUPS, odd)
    finance.update(GROUPS, odd, {"Description": "found"})
    assert [row["Description"] for row in find(finance, odd)] == ["found"]
    finance.delete(GROUPS, odd)


def test_keys_with_dates_and_exact_numbers(finance: Finance) -> None:
    keys = finance.metadata(RATES).keys
    (rate, *_) = next(iter(finance.read(RATES, select=[*keys, "Rate"])))
    assert isinstance(rate["Rate"], Decimal)
    key = {name: rate[name] for name in keys}
    finance.update(RATES, key, {"Rate": Decimal("123.456789")})
    as_date = key | {"ValidFrom": date.fromisoformat(rate["ValidFrom"][:10])}
    assert [row["Rate"] for row in finance.read_keys(RATES, [as_date], select=["Rate"])] == [Decimal("123.456789")]
    finance.update(RATES, as_date, {"Rate": rate["Rate"]})


def test_a_key_must_be_complete(finance: Finance) -> None:
    with pytest.raises(SchemaMismatch, match=r"has the key \(dataAreaId, CustomerGroupId\)"):
        finance.update(GROUPS, {"CustomerGroupId": "10"}, {"Description": "x"})


def test_unknown_columns_and_nulls_are_not_sent(finance: Finance, key: dict[str, Any]) -> None:
    with pytest.raises(SchemaMismatch, match="no column Nothing"):
        finance.create(GROUPS, key | {"Nothing": 1})
    with pytest.raises(SchemaMismatch, match="no column Nothing"):
        list(finance.read(GROUPS, select=["Nothing"]))
    with pytest.raises(ValueError, match="no nulls"):
        finance.create(GROUPS, key | {"Description": None})


def test_a_refusal_is_what_a_person_needs_to_know(finance: Finance, key: dict[str, Any]) -> None:
    customer = {"dataAreaId": "GBPM", "CustomerAccount": f"T{uuid4().hex[:8]}", "CustomerGroupId": "Local"}
    with pytest.raises(Refused) as unknown:
        finance.create("CustomersV3", customer)
    assert unknown.value.status == 400
    assert unknown.value.message.startswith("The value 'Local' in field 'Customer group")
    assert "validate" not in unknown.value.message
    assert "Infolog:" in unknown.value.raw
    with pytest.raises(Refused, match="maximum length") as long:
        finance.create(GROUPS, key | {"CustomerGroupId": "x" * 99})
    assert len(long.value.details) == 1


def test_a_row_that_others_need_is_not_deleted(finance: Finance) -> None:
    (customer, *_) = next(iter(finance.read("CustomersV3", select=["dataAreaId", "CustomerGroupId"])))
    with pytest.raises(Refused, match="cannot be deleted"):
        finance.delete(GROUPS, {name: customer[name] for name in ("dataAreaId", "CustomerGroupId")})


def test_reads_by_many_keys(finance: Finance, sandbox: Sandbox) -> None:
    with sandbox.finance_store.transaction() as tx:
        names = [f"M{number:04}" for number in range(500)]
        tx.insert_many("ExchangeRateTypes", ({"Name": name} for name in names))
    rows = finance.read_keys("ExchangeRateTypes", [{"Name": name} for name in names], select=["Name"])
    assert sorted(row["Name"] for row in rows) == names
    assert finance.read_keys("ExchangeRateTypes", [], select=["Name"]) == []
