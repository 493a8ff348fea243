"""Reading and linking rows in the sandbox's Dataverse: joins, lambdas, aliases, counts, properties, related rows.

Each test names the page of Microsoft's documentation it follows (folder ``developer/data-platform``).
"""

import json
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import httpx
import pytest

from dualsync_sandbox import Sandbox
from support.signed_in import signed_in

FORMATTED = "OData.Community.Display.V1.FormattedValue"
Make = Callable[..., str]


@pytest.fixture(scope="module")
def api(bare: Sandbox) -> Iterator[httpx.Client]:
    with signed_in(bare, "dataverse", "/api/data/v9.2/") as client:
        yield client


@pytest.fixture
def make(bare: Sandbox) -> Make:
    """Puts a row straight into the store and gives its id."""

    def put(table: str, **values: Any) -> str:
        with bare.dataverse_store.transaction() as tx:
            return str(tx.insert(table, values)[bare.dataverse_store.schema.tables[table].id])

    return put


@pytest.fixture
def family(make: Make) -> list[str]:
    """An account, and three below it; the names hold a word of the test's own."""
    word = uuid.uuid4().hex[:8]
    parent = make("account", name=f"{word} parent", creditlimit=Decimal("10.5"))
    below = [
        make("account", name=f"{word} {name}", parentaccountid=parent, creditlimit=Decimal(limit))
        for name, limit in (("ash", 1), ("Birch", 2), ("cedar", 3))
    ]
    return [parent, *below, word]


def refused(response: httpx.Response, status: int, code: str) -> str:
    assert response.status_code == status, response.text
    assert response.json()["error"]["code"] == code
    return str(response.json()["error"]["message"])


def names(api: httpx.Client, word: str, condition: str, **options: str) -> list[str]:
    """Names of the family's rows that meet a condition, without the word."""
    query = {
        "$select": "name",
        "$filter": f"startswith(name,'{word}') and ({condition})",
        "$orderby": "name",
        **options,
    }
    rows = api.get("accounts", params=query).raise_for_status().json()["value"]
    return [row["name"].removeprefix(f"{word} ") for row in rows]


MANY = "account_parentaccountid_account"


def test_expand(api: httpx.Client, family: list[str]) -> None:
    """webapi/query/join-tables: lookups as objects or null, collections as arrays that always have a next link."""
    parent, ash, *_, word = family
    row = api.get(f"accounts({ash})?$select=name&$expand=parentaccountid($select=name),primarycontactid").json()
    assert row["@odata.context"].endswith("#accounts(name,parentaccountid(name),primarycontactid())/$entity")
    assert row["parentaccountid"].keys() == {"accountid", "name"}
    assert (row["parentaccountid"]["name"], row["primarycontactid"]) == (f"{word} parent", None)

    inner = "$select=name,creditlimit;$filter=creditlimit gt 1 and contains(name,'r');$orderby=name desc;$top=1"
    row = api.get(f"accounts({parent})?$select=name&$expand={MANY}({inner})").json()
    assert [(child["name"], child["creditlimit"]) for child in row[MANY]] == [(f"{word} cedar", 3)]
    link = row[f"{MANY}@odata.nextLink"]
    assert unquote(link).endswith(f"accounts({parent})/{MANY}?{inner.replace(';', '&')}")
    assert [child["name"] for child in api.get(link).json()["value"]] == [f"{word} cedar"]

    reference = api.get(f"accounts({ash})?$select=name&$expand=parentaccountid/$ref,primarycontactid/$ref").json()
    assert reference["parentaccountid"] == {"@odata.id": f"{api.base_url}accounts({parent})"}
    assert reference["primarycontactid"] is None


def test_nested_expansions_are_paged(api: httpx.Client, family: list[str]) -> None:
    """webapi/query/join-tables, nested $expand on collection-valued navigation properties: their next links go on."""
    parent, *_, word = family
    nested = f"{MANY}($select=name;$expand=parentaccountid($select=name;$expand=createdby($select=fullname)))"
    answer = api.get(
        "accounts",
        params={"$select": "name", "$filter": f"name eq '{word} parent'", "$expand": nested},
        headers={"prefer": f'odata.maxpagesize=2,odata.include-annotations="{FORMATTED}"'},
    ).json()
    (row,) = answer["value"]
    assert len(row[MANY]) == 2
    assert row[MANY][0].keys() == {"accountid", "name", "parentaccountid"}
    assert row[MANY][0]["parentaccountid"]["createdby"]["fullname"] == "# Integration application"
    rest = api.get(row[f"{MANY}@odata.nextLink"]).json()["value"]
    assert [child["parentaccountid"]["accountid"] for child in rest] == [parent]
    assert {child["name"] for child in [*row[MANY], *rest]} == {f"{word} {name}" for name in ("ash", "Birch", "cedar")}

    beside = f"{MANY}($select=name),createdby($expand=account_ownerid_systemuser($select=name))"
    query = {"$filter": f"name eq '{word} parent'", "$expand": beside}
    (row,) = api.get("accounts", params=query, headers={"prefer": "odata.maxpagesize=2"}).json()["value"]
    assert len(row[MANY]) == 2
    assert "$skiptoken" in row[f"{MANY}@odata.nextLink"]
    assert "$skiptoken" in row["createdby"]["account_ownerid_systemuser@odata.nextLink"]


@pytest.mark.parametrize(
    ("expand", "status", "code"),
    [
        ("nothing", 400, "0x0"),
        ("ParentAccountId", 400, "0x0"),
        ("parentaccountid($skip=1)", 400, "0x80060888"),
        ("parentaccountid($count=true)", 400, "0x80060888"),
        ("parentaccountid($levels=2)", 400, "0x80060888"),
        (f"{MANY}($top=1;$expand=parentaccountid)", 400, "0x80060888"),
        (f"{MANY}($filter=name eq @p)&@p='x'", 400, "0x80060888"),
        ("parentaccountid($select=name", 400, "0x80060888"),
        (",".join(["parentaccountid"] * 16), 400, "0x80060888"),
        ("*", 501, "SandboxNotImplemented"),
        (f"{MANY}/$ref", 400, "0x80060888"),
        ("parentaccountid($top=1)", 400, "0x80060888"),
        (f"{MANY}($orderby=name),createdby($expand=account_ownerid_systemuser)", 400, "0x80060888"),
    ],
)
def test_expansions_that_are_refused(api: httpx.Client, expand: str, status: int, code: str) -> None:
    """webapi/query/join-tables: options it takes, at most 15; webapi/query/overview: no aliases inside."""
    refused(api.get(f"accounts?$expand={expand}"), status, code)


def test_lambdas_paths_and_aliases(api: httpx.Client, family: list[str]) -> None:
    """webapi/query/filter-rows: any, all, paths through lookups, parameter aliases, columns compared with columns."""
    word = family[-1]
    assert names(api, word, f"{MANY}/any()") == ["parent"]
    assert names(api, word, f"{MANY}/any(c:c/creditlimit gt 2 and contains(c/name,'CEDAR'))") == ["parent"]
    assert names(api, word, f"{MANY}/any(c:c/creditlimit gt 3)") == []
    assert names(api, word, f"{MANY}/all(c:c/creditlimit lt 3)") == ["ash", "Birch", "cedar"]
    assert names(api, word, f"not {MANY}/any(c:c/parentaccountid/name ne 'x')") == ["ash", "Birch", "cedar"]
    assert names(api, word, f"parentaccountid/name eq '{word} PARENT' and creditlimit ge 2") == ["Birch", "cedar"]
    assert names(api, word, "parentaccountid/createdby/fullname eq '# Integration application'") == [
        "ash", "Birch", "cedar",
    ]  # fmt: skip
    assert names(api, word, "creditlimit eq creditlimit and name ne accountnumber") == [
        "ash", "Birch", "cedar", "parent",
    ]  # fmt: skip
    assert names(api, word, "name eq @p1 or creditlimit gt @p2", **{"@p1": f"'{word} ash'", "@p2": "9"}) == [
        "ash", "parent",
    ]  # fmt: skip


def test_text_functions(api: httpx.Client, family: list[str]) -> None:
    """webapi/query/filter-rows: no regard to case, wildcards in the text functions; query functions take texts."""
    word = family[-1]
    assert names(api, word, "contains(name,'BI%CH')") == ["Birch"]
    assert names(api, word, "endswith(name,'_sh')") == ["ash"]
    assert names(api, word, "contains(name,'[bc]e')") == ["cedar"]
    assert names(api, word, "endswith(name,'[^h]')") == ["cedar", "parent"]
    limits = 'PropertyName=\'creditlimit\',PropertyValues=["2","3.0"]'
    assert names(api, word, f"Microsoft.Dynamics.CRM.In({limits})") == ["Birch", "cedar"]
    assert names(api, word, f"Microsoft.Dynamics.CRM.NotIn({limits})") == ["ash", "parent"]
    assert names(api, word, f"Microsoft.Dynamics.CRM.Between({limits})") == ["Birch", "cedar"]
    assert names(api, word, "creditlimit gt -1e400 and creditlimit lt 99999999999999999999999999") == [
        "ash", "Birch", "cedar", "parent",
    ]  # fmt: skip


def test_order_holds_over_pages(api: httpx.Client, make: Make) -> None:
    """webapi/query/page-results: the cookie names the last row, so rows that go meanwhile shift no page."""
    word = uuid.uuid4().hex[:8]
    ids = [
        make("account", name=word, accountnumber=f"{word}{n}", creditlimit=None if n % 3 == 0 else Decimal(n % 3))
        for n in range(9)
    ]
    for order in ("creditlimit", "creditlimit desc", "name,creditlimit desc,accountnumber", "createdby/fullname"):
        query = {"$select": "creditlimit,accountnumber", "$filter": f"name eq '{word}'", "$orderby": order}
        whole = api.get("accounts", params=query).json()["value"]
        url, rows = str(api.build_request("GET", "accounts", params=query).url), []
        while url:
            page = api.get(url, headers={"prefer": "odata.maxpagesize=2"}).json()
            rows += page["value"]
            url = page.get("@odata.nextLink")
        assert rows == whole
        assert {row["accountid"] for row in rows} == set(ids)
    page = api.get("accounts", params=query, headers={"prefer": "odata.maxpagesize=4"}).json()
    api.delete(f"accounts({page['value'][0]['accountid']})").raise_for_status()
    rest = api.get(page["@odata.nextLink"]).json()["value"]
    assert len(page["value"]) + len(rest) == 9


def test_lookups_are_ordered_by_name(api: httpx.Client, make: Make) -> None:
    """webapi/query/order-rows: a lookup by the primary name of its row, a choice by its number."""
    word = uuid.uuid4().hex[:8]
    parents = [make("account", name=name) for name in ("b", "C", "a")]
    for parent, kind in zip(parents, (2, 10, 1), strict=True):
        make("account", name=word, parentaccountid=parent, customertypecode=kind)

    def found(order: str) -> list[Any]:
        query = {"$filter": f"name eq '{word}'", "$select": "_parentaccountid_value", "$orderby": order}
        rows = api.get("accounts", params=query, headers={"prefer": "odata.maxpagesize=2"}).json()
        rest = api.get(rows["@odata.nextLink"]).json()["value"]
        return [parents.index(row["_parentaccountid_value"]) for row in [*rows["value"], *rest]]

    assert found("_parentaccountid_value") == [2, 0, 1]
    assert found("_parentaccountid_value desc") == [1, 0, 2]
    assert found("customertypecode") == [2, 0, 1]


def test_preferences_may_come_apart(api: httpx.Client, family: list[str]) -> None:
    """webapi/query/count-rows shows a request with two Prefer headers."""
    headers = [("prefer", "odata.maxpagesize=1"), ("prefer", f'odata.include-annotations="{FORMATTED}"')]
    answer = api.get("accounts?$select=statecode", headers=headers)
    assert len(answer.json()["value"]) == 1
    assert f"statecode@{FORMATTED}" in answer.json()["value"][0]
    refused(
        api.get("accounts", headers={"accept": "application/json; odata.metadata=full"}), 501, "SandboxNotImplemented"
    )


def test_counts(api: httpx.Client, bare: Sandbox) -> None:
    """webapi/query/count-rows: no more than 5,000, annotations that say so, RetrieveTotalRecordCount for the rest."""
    with bare.dataverse_store.transaction() as tx:
        tx.insert_all("uom", [{"msdyn_symbol": f"u{n}"} for n in range(5001)])
    wanted = {"prefer": 'odata.maxpagesize=1,odata.include-annotations="Microsoft.Dynamics.CRM.totalrecord*"'}
    head = api.get("uoms?$select=msdyn_symbol&$count=true", headers=wanted).json()
    assert (head["@odata.count"], head["@Microsoft.Dynamics.CRM.totalrecordcount"]) == (5000, 5000)
    assert head["@Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded"] is True
    head = api.get("uoms?$select=msdyn_symbol", headers=wanted).json()
    assert head["@Microsoft.Dynamics.CRM.totalrecordcount"] == -1
    assert api.get("uoms/$count").text == "5000"
    total = api.get("RetrieveTotalRecordCount(EntityNames=['uom'])").json()["EntityRecordCountCollection"]
    assert dict(zip(total["Keys"], total["Values"], strict=True)) == {"uom": 5001}
    refused(api.get("RetrieveTotalRecordCount(EntityNames=['nothing'])"), 404, "0x80040217")


def test_changes_are_counted(api: httpx.Client, make: Make) -> None:
    """data-platform/use-change-tracking-synchronize-data-external-systems: $count with a $deltatoken."""
    kept = make("product", name="kept")
    link = api.get("products?$select=name", headers={"prefer": "odata.track-changes"}).json()["@odata.deltaLink"]
    token = link.partition("$deltatoken=")[2]
    assert api.get(f"products/$count?$deltatoken={token}").text == "0"
    api.patch(f"products({kept})", json={"name": "changed"}).raise_for_status()
    make("product", name="new")
    api.delete(f"products({make('product', name='brief')})").raise_for_status()
    assert api.get(f"products/$count?$deltatoken={token}").text == "3"
    refused(api.get(f"products/$count?$deltatoken={token}&$filter=name eq 'x'"), 400, "0x80060888")


def test_single_properties(api: httpx.Client, family: list[str]) -> None:
    """webapi/retrieve-entity-using-web-api, webapi/update-delete-entities-using-web-api: one column at a time."""
    parent, ash, *_ = family
    url = f"accounts({ash})"
    assert api.put(f"{url}/telephone1", json={"value": "555"}).status_code == 204
    answer = api.get(f"{url}/telephone1").json()
    assert (answer["value"], answer["@odata.context"].rpartition("#")[2]) == ("555", f"{url}/telephone1")
    assert api.get(f"{url}/creditlimit/$value").text == "1.0000"
    assert api.get(f"{url}/_parentaccountid_value").json()["value"] == parent
    assert api.delete(f"{url}/telephone1").status_code == 204
    assert api.get(f"{url}/telephone1").status_code == 204
    refused(api.put(f"{url}/telephone1", json={"other": 1}), 400, "0x80048d19")
    refused(api.put(f"{url}/nothing", json={"value": 1}), 404, "0x8006088a")
    refused(api.get(f"{url}/nothing"), 404, "0x8006088a")
    refused(api.put(f"{url}/parentaccountid", json={"value": parent}), 404, "0x8006088a")


def test_related_rows(api: httpx.Client, family: list[str]) -> None:
    """webapi/retrieve-related-entities-query and webapi/associate-disassociate-entities-using-web-api."""
    parent, ash, birch, cedar, word = family
    assert api.get(f"accounts({ash})/parentaccountid?$select=name").json()["accountid"] == parent
    assert api.get(f"accounts({parent})/parentaccountid").status_code == 204
    rows = api.get(f"accounts({parent})/{MANY}?$select=name&$orderby=name&$filter=creditlimit lt 3").json()["value"]
    assert [row["name"] for row in rows] == [f"{word} ash", f"{word} Birch"]

    assert api.delete(f"accounts({ash})/parentaccountid/$ref").status_code == 204
    assert api.delete(f"accounts({parent})/{MANY}({birch})/$ref").status_code == 204
    link = str(api.base_url.join(f"accounts({cedar})"))
    assert api.delete(f"accounts({parent})/{MANY}/$ref", params={"$id": link}).status_code == 204
    assert names(api, word, "_parentaccountid_value ne null") == []
    assert (
        api.put(f"accounts({ash})/parentaccountid/$ref", json={"@odata.id": f"accounts({parent})"}).status_code == 204
    )
    assert api.post(f"accounts({parent})/{MANY}/$ref", json={"@odata.id": link}).status_code == 204
    assert names(api, word, "_parentaccountid_value ne null") == ["ash", "cedar"]
    refused(
        api.post(f"accounts({parent})/{MANY}/$ref", json={"@odata.id": f"accounts({uuid.uuid4()})"}), 404, "0x80040217"
    )
    refused(api.post(f"accounts({parent})/{MANY}/$ref", json={"@odata.id": f"contacts({ash})"}), 400, "0x80048d19")
    refused(api.patch(f"accounts({parent})/{MANY}/$ref", json={}), 405, "0x80060888")


def test_related_rows_in_one_operation(api: httpx.Client, bare: Sandbox, make: Make) -> None:
    """webapi/create-entity-web-api, related rows in one operation: objects for lookups, arrays for collections; all or
    nothing; only when the row itself is created."""
    word, orphan = uuid.uuid4().hex[:8], make("account", name="orphan")
    body = {
        "name": f"{word} middle",
        "parentaccountid": {"name": f"{word} top", "primarycontactid": {"lastname": "Reed"}},
        MANY: [{"name": f"{word} low"}, {"name": f"{word} lower", MANY: [{"name": f"{word} lowest"}]}],
        f"{MANY}@odata.bind": [f"/accounts({orphan})"],
    }
    before = bare.writes["dataverse"].counts().get("accounts", {}).get("create", 0)
    created = api.post("accounts?$expand=parentaccountid", json=body, headers={"prefer": "return=representation"})
    assert created.status_code == 201
    top = created.json()["parentaccountid"]
    assert top["name"] == f"{word} top"
    assert api.get(f"accounts({top['accountid']})/primarycontactid").json()["lastname"] == "Reed"
    assert api.get(f"accounts({orphan})/parentaccountid").json()["name"] == f"{word} middle"
    assert names(api, word, f"parentaccountid/name eq '{word} lower'") == ["lowest"]
    assert bare.writes["dataverse"].counts()["accounts"]["create"] - before == 5

    refused(api.post("accounts", json={"name": word, MANY: [{"name": "x" * 161}]}), 400, "0x80044331")
    assert names(api, word, f"name eq '{word}'") == []
    row = f"accounts({created.json()['accountid']})"
    refused(api.patch(row, json={"parentaccountid": {"name": "no"}}), 400, "0x80048d19")
    refused(api.patch(row, json={MANY: [{"name": "no"}]}), 400, "0x80048d19")
    assert api.patch(row, json={"parentaccountid": None}).status_code == 204
    assert api.get(f"{row}/parentaccountid").status_code == 204


def test_columns_that_the_platform_writes(api: httpx.Client, bare: Sandbox, family: list[str]) -> None:
    """webapi/query-metadata-web-api: what IsValidForUpdate denies is dropped from bodies."""
    url = "EntityDefinitions(LogicalName='account')/Attributes?$select=LogicalName,IsValidForUpdate,AttributeType"
    listed = api.get(url).json()["value"]
    fixed = {row["LogicalName"] for row in listed if not row["IsValidForUpdate"]}
    assert {"accountid", "createdon", "modifiedby", "versionnumber", "creditlimit_base"} <= fixed
    row = f"accounts({family[0]})"
    before = api.get(row).json()
    plain = {row["LogicalName"] for row in listed if row["AttributeType"] != "Lookup"}
    body = {name: before[name] if name == "accountid" else "1999-01-01T00:00:00Z" for name in fixed & plain}
    body |= {"creditlimit_base": 7, "versionnumber": 1, "createdby@odata.bind": "/systemusers(nobody)"}
    assert api.patch(row, json=body).status_code == 204
    after = api.get(row).json()
    changed = {name for name in before if before[name] != after[name]}
    assert changed <= {"@odata.etag", "versionnumber", "modifiedon"}


def test_keys_are_read_strictly(api: httpx.Client, bare: Sandbox, family: list[str]) -> None:
    """data-platform/use-alternate-key-reference-record: named primary keys, but not of systemuser; values by type."""
    assert api.get(f"accounts(accountid={family[0]})").status_code == 200
    user = api.get("WhoAmI").json()["UserId"]
    assert api.get(f"systemusers({user})").status_code == 200
    assert "not valid for resource" in refused(api.get(f"systemusers(systemuserid={user})"), 400, "0x0")
    for key in ("abc", "accountnumber=5,_msdyn_company_value=x", "accountid='x'"):
        assert api.get(f"accounts({key})").status_code == 400
    refused(api.get("accounts(accountnumber='x',msdyn_company=00000000-0000-0000-0000-000000000001)"), 400, "0x0")


def test_errors_in_detail(api: httpx.Client) -> None:
    """webapi/compose-http-requests-handle-errors: annotations when asked for, and the number of the request."""
    plain = api.get("accounts?$select=nope")
    assert plain.json()["error"].keys() == {"code", "message"}
    assert plain.headers["req_id"] == plain.headers["x-ms-service-request-id"]
    full = api.get("accounts?$select=nope", headers={"prefer": 'odata.include-annotations="*"'}).json()["error"]
    assert full["@Microsoft.PowerApps.CDS.InnerError.Message"] == full["message"]
    assert "@Microsoft.PowerApps.CDS.HelpLink" in full


def test_not_modified_needs_a_plain_read(api: httpx.Client, family: list[str]) -> None:
    """webapi/perform-conditional-operations-using-web-api: no 304 with $expand or annotations."""
    url = f"accounts({family[0]})"
    tag = {"if-none-match": api.get(url).headers["etag"]}
    assert api.get(url, headers=tag).status_code == 304
    assert api.get(f"{url}?$expand=createdby", headers=tag).status_code == 200
    assert api.get(url, headers={**tag, "prefer": 'odata.include-annotations="*"'}).status_code == 200


def test_bulk_messages_and_their_probe(api: httpx.Client, make: Make) -> None:
    """data-platform/bulk-operations: availability, DeleteMultiple for elastic tables only; a row named twice in one
    UpsertMultiple is written twice (assumption)."""
    condition = "sdkmessageid/name eq @message and primaryobjecttypecode eq @table"
    probe = f"sdkmessagefilters?$select=sdkmessagefilterid&$filter={condition}"
    found = api.get(f"{probe}&@message='UpsertMultiple'&@table='account'").json()["value"]
    assert [row.keys() for row in found] == [{"@odata.etag", "sdkmessagefilterid"}]
    assert api.get(f"{probe}&@message='DeleteMultiple'&@table='account'").json()["value"] == []
    refused(api.get("sdkmessagefilters?$filter=contains(name,'x')"), 501, "SandboxNotImplemented")
    answer = api.post("accounts/Microsoft.Dynamics.CRM.DeleteMultiple", json={"Targets": []})
    assert "has not yet been implemented" in refused(answer, 400, "0x80040216")

    number = uuid.uuid4().hex[:10]
    kind = {
        "@odata.type": "Microsoft.Dynamics.CRM.cdm_worker",
        "@odata.id": f"cdm_workers(cdm_workernumber='{number}')",
    }
    targets = [{**kind, "cdm_lastname": "One"}, {**kind, "cdm_firstname": "Two"}, {**kind, "cdm_lastname": "Three"}]
    url = "cdm_workers/Microsoft.Dynamics.CRM.UpsertMultiple"
    assert api.post(url, json={"Targets": targets}).status_code == 204
    row = api.get(f"cdm_workers(cdm_workernumber='{number}')").json()
    assert (row["cdm_lastname"], row["cdm_firstname"]) == ("Three", "Two")


def test_bulk_delete_is_a_job(api: httpx.Client, bare: Sandbox, make: Make) -> None:
    """data-platform/delete-data-bulk: asynchronous; what cannot be deleted stays. When it runs is an assumption."""
    order = make("salesorder", name="O", ordernumber=uuid.uuid4().hex[:10])
    held, free = make("account", name="held"), make("account", name="free")
    customer = {"customerid_account@odata.bind": f"/accounts({held})"}
    api.patch(f"salesorders({order})", json=customer).raise_for_status()
    condition = {"AttributeName": "accountid", "Operator": "In", "Values": [{"Value": held}, {"Value": free}]}
    query = {"EntityName": "account", "Criteria": {"FilterOperator": "And", "Conditions": [condition]}}
    assert uuid.UUID(api.post("BulkDelete", json={"QuerySet": [query]}).json()["JobId"])
    assert api.get(f"accounts({free})").status_code == 200
    bare.clock.advance(timedelta(seconds=6))
    assert [api.get(f"accounts({row})").status_code for row in (held, free)] == [200, 404]
    other = {"EntityName": "account", "Criteria": {"Conditions": []}}
    refused(api.post("BulkDelete", json={"QuerySet": [other]}), 501, "SandboxNotImplemented")


def test_hint_for_parallel_requests(api: httpx.Client) -> None:
    """data-platform/send-parallel-requests: read from WhoAmI."""
    assert int(api.get("WhoAmI").headers["x-ms-dop-hint"]) > 0


# -- metadata


def test_definitions_are_filtered(api: httpx.Client) -> None:
    """webapi/query-metadata-web-api: managed properties by Value, enums by their full names, MetadataId always."""

    def found(condition: str, path: str = "EntityDefinitions") -> set[str]:
        answer = api.get(path, params={"$select": "LogicalName", "$filter": condition}).raise_for_status()
        return {row["LogicalName"] for row in answer.json()["value"]}

    assert found("CanChangeTrackingBeEnabled/Value eq true and LogicalName eq 'account'") == {"account"}
    owned = found("OwnershipType eq Microsoft.Dynamics.CRM.OwnershipTypes'UserOwned'")
    assert "account" in owned
    assert found("not (LogicalName ne 'account') or LogicalName eq 'contact'") == {"account", "contact"}
    below = "EntityDefinitions(LogicalName='account')/Attributes"
    texts = found("AttributeType eq Microsoft.Dynamics.CRM.AttributeTypeCode'String'", below)
    assert {"name", "accountnumber"} <= texts
    assert found("MaxLength eq 160", below) == {"name"}
    one = api.get(
        f"{below}(LogicalName='name')/Microsoft.Dynamics.CRM.StringAttributeMetadata?$select=MaxLength"
    ).json()
    assert (one["MaxLength"], "MetadataId" in one) == (160, True)
    assert api.get(f"EntityDefinitions({one['MetadataId']})").status_code == 404
    refused(api.get("EntityDefinitions?$select=Nonsense"), 400, "0x0")
    refused(api.get("EntityDefinitions?$top=1"), 501, "SandboxNotImplemented")
    refused(api.get(f"{below}(LogicalName='name')/Microsoft.Dynamics.CRM.MoneyAttributeMetadata"), 404, "0x80040217")


def test_option_sets_of_every_kind(api: httpx.Client) -> None:
    """webapi/query-metadata-web-api: choices, states and two options by cast and $expand."""
    base = "EntityDefinitions(LogicalName='account')/Attributes/Microsoft.Dynamics.CRM."
    expand = "$select=LogicalName&$expand=OptionSet,GlobalOptionSet"
    state = api.get(f"{base}StateAttributeMetadata?{expand}").json()["value"][0]
    assert [option["Label"]["UserLocalizedLabel"]["Label"] for option in state["OptionSet"]["Options"]] == [
        "Active", "Inactive",
    ]  # fmt: skip
    assert state["GlobalOptionSet"] is None
    flag = api.get(f"{base}BooleanAttributeMetadata?{expand}").json()["value"][0]
    assert flag["OptionSet"]["TrueOption"]["Value"] == 1
    assert api.get(f"{base}MultiSelectPicklistAttributeMetadata").json()["value"] == []
    refused(api.get(f"{base}StringAttributeMetadata?{expand}"), 400, "0x80060888")


def test_relationships_of_both_sides(api: httpx.Client) -> None:
    """webapi/query-metadata-web-api: one-to-many, many-to-one, by schema name; none are many-to-many here."""
    base = "EntityDefinitions(LogicalName='account')"
    expand = "$select=LogicalName&$expand=Keys($select=KeyAttributes),OneToManyRelationships($select=SchemaName)"
    table = api.get(f"{base}?{expand}").json()
    assert [key["KeyAttributes"] for key in table["Keys"]] == [["accountnumber", "msdyn_company"]]
    assert MANY in {row["SchemaName"] for row in table["OneToManyRelationships"]}
    assert api.get(f"{base}/ManyToManyRelationships").json()["value"] == []
    found = api.get(f"RelationshipDefinitions?$filter=SchemaName eq '{MANY}'").json()["value"]
    assert [(row["ReferencedEntityNavigationPropertyName"], row["ReferencingAttribute"]) for row in found] == [
        (MANY, "parentaccountid")
    ]
    assert api.get(f"RelationshipDefinitions(SchemaName='{MANY}')").json()["MetadataId"] == found[0]["MetadataId"]


@pytest.mark.parametrize("annotations", [False, True])
def test_csdl_is_sound(api: httpx.Client, annotations: bool) -> None:
    """webapi/web-api-service-documents, and OData CSDL 4.0: every name that is used is declared, once; partners point
    at each other, bindings lead to the set of their type, constraints join columns of one type."""
    document = ET.fromstring(api.get("$metadata?annotations=true" if annotations else "$metadata").content)
    edm = "{http://docs.oasis-open.org/odata/ns/edm}"
    (schema,) = document.iter(f"{edm}Schema")
    kinds_of_types = (f"{edm}EntityType", f"{edm}ComplexType", f"{edm}EnumType")
    types = {item.get("Name"): item for item in schema if item.tag in kinds_of_types}
    sets = {item.get("Name"): item for item in schema.iter(f"{edm}EntitySet")}
    assert sets.keys() == {row["name"] for row in api.get("").json()["value"]}

    def target(kind: str | None) -> str:
        assert kind is not None
        return kind.removeprefix("Collection(").removesuffix(")").rpartition(".")[2]

    for item in types.values():
        properties = {child.get("Name"): child for child in item.iter(f"{edm}Property")}
        navigation = {child.get("Name"): child for child in item.iter(f"{edm}NavigationProperty")}
        assert not properties.keys() & navigation.keys()
        assert len(properties) == len(item.findall(f"{edm}Property"))
        for child in properties.values():
            kind = child.get("Type", "")
            assert kind.startswith(("Edm.", "Collection(Edm.")) or target(kind) in types
        for key in item.iter(f"{edm}PropertyRef"):
            assert properties[key.get("Name")].get("Nullable") == "false"
        for name, child in navigation.items():
            if child.get("ContainsTarget") == "true":  # definitions: what is inside has no way back
                assert target(child.get("Type")) in types
                continue
            partners = {
                other.get("Name"): other for other in types[target(child.get("Type"))].iter(f"{edm}NavigationProperty")
            }
            assert partners[child.get("Partner")].get("Partner") == name
            for constraint in child.iter(f"{edm}ReferentialConstraint"):
                assert properties[constraint.get("Property")].get("Type") == "Edm.Guid"
    for item in sets.values():
        own = types[target(item.get("EntityType"))]
        kinds = {
            child.get("Name"): target(child.get("Type"))
            for child in own.iter(f"{edm}NavigationProperty")
            if child.get("ContainsTarget") != "true"
        }
        bound = {child.get("Path"): child.get("Target") for child in item.iter(f"{edm}NavigationPropertyBinding")}
        assert {path: target(sets[name].get("EntityType")) for path, name in bound.items()} == kinds
    for parameter in [*schema.iter(f"{edm}Parameter"), *schema.iter(f"{edm}ReturnType")]:
        kind = parameter.get("Type", "")
        assert kind.startswith(("Edm.", "Collection(Edm.")) or target(kind) in types
    tracked = list(schema.iter(f"{edm}Annotation"))
    of_rows = [name for name in sets if not str(name).endswith("Definitions")]
    assert len(tracked) == (len(of_rows) if annotations else 0)


def test_metadata_changes_in_one_call(api: httpx.Client) -> None:
    """data-platform/query-schema-definitions: typed attributes of one table by RetrieveMetadataChanges."""

    def ask(query: Any) -> httpx.Response:
        return api.get("RetrieveMetadataChanges(Query=@p1)", params={"@p1": json.dumps(query)})

    def named(name: str) -> dict[str, Any]:
        value = {"Type": "System.String", "Value": name}
        return {"Conditions": [{"PropertyName": "LogicalName", "ConditionOperator": "Equals", "Value": value}]}

    query = {
        "Properties": {"PropertyNames": ["LogicalName", "Attributes"]},
        "Criteria": named("account"),
        "AttributeQuery": {"Properties": {"PropertyNames": ["MaxLength"]}, "Criteria": named("name")},
    }
    (table,) = ask(query).raise_for_status().json()["EntityMetadata"]
    assert table.keys() == {"MetadataId", "LogicalName", "Attributes"}
    assert [(row["LogicalName"], row["MaxLength"]) for row in table["Attributes"]] == [("name", 160)]
    refused(ask({**query, "LabelQuery": {"FilterLanguages": [1033]}}), 501, "SandboxNotImplemented")
    refused(ask({**query, "Criteria": 5}), 400, "0x80060888")
