"""What clients written by others rely on: spelling of headers, sign-in, known names, blobs, batches, definitions.

Each test stands for a client that could not work; the docstring names the documentation it goes by.
"""

import base64
import re
import socket
import ssl
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree as ET

import httpx
import jwt
import pytest

from dualsync_sandbox import Sandbox
from support.batches import answers, part, send, taken_apart, whole
from support.signed_in import signed_in

EDM = "{http://docs.oasis-open.org/odata/ns/edm}"
GROUPS = "DataManagementDefinitionGroups"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Both systems, known by names of their own as well."""
    hosts = {"dataverse": "org.crm.example", "finance": "fin.operations.example"}
    with Sandbox(tmp_path_factory.mktemp("clients"), hosts=hosts) as running:
        with running.finance_store.transaction() as tx:
            tx.insert("LegalEntities", {"LegalEntityId": "USPM"})
        yield running


@pytest.fixture(scope="module")
def dataverse(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with signed_in(sandbox, "dataverse", "/api/data/v9.2/") as client:
        yield client


@pytest.fixture(scope="module")
def finance(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with signed_in(sandbox, "finance", "/data/") as client:
        yield client


@pytest.fixture(scope="module")
def plain(sandbox: Sandbox) -> Iterator[httpx.Client]:
    """A client that has not signed in."""
    with httpx.Client(verify=ssl.create_default_context(cafile=str(sandbox.info["ca_file"]))) as client:
        yield client


def secret(sandbox: Sandbox) -> str:
    return Path(str(sandbox.info["client_secret_file"])).read_text(encoding="utf-8")


def form(sandbox: Sandbox, **changes: str) -> dict[str, str]:
    """A request for a token, by the client's secret."""
    asked = {"grant_type": "client_credentials", "client_id": str(sandbox.info["client_id"])}
    asked |= {"client_secret": secret(sandbox), "scope": f"{sandbox.info['dataverse']}/.default"}
    return {name: value for name, value in (asked | changes).items() if value}


def ask(plain: httpx.Client, sandbox: Sandbox, version: str = "/v2.0", **changes: str) -> httpx.Response:
    return plain.post(f"{sandbox.info['identity']}/oauth2{version}/token", data=form(sandbox, **changes))


def names(answer: httpx.Response) -> list[str]:
    """The names of an answer's headers as they were sent."""
    return [name.decode() for name, _ in answer.headers.raw]


def refused_by_name(answer: httpx.Response, name: str) -> None:
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (501, "SandboxNotImplemented")
    assert name in error["message"]


# -- headers and batches


def test_headers_are_spelled_as_the_service_spells_them(dataverse: httpx.Client, finance: httpx.Client) -> None:
    """webapi/compose-http-requests-handle-errors: a client that keeps headers in a plain dictionary finds them."""
    created = dataverse.post("cdm_workers", json={"cdm_workernumber": uuid.uuid4().hex[:10]})
    assert {"OData-EntityId", "OData-Version", "x-ms-service-request-id", "Date"} <= set(names(created))
    shown = dataverse.get(f"cdm_workers({created.headers['odata-entityid'][-37:-1]})")
    assert {"ETag", "Content-Type", "Content-Length"} <= set(names(shown))
    made = finance.post("CustomerGroups", json={"CustomerGroupId": uuid.uuid4().hex[:8]})
    assert {"Location", "OData-Version"} <= set(names(made))


def test_headers_inside_of_a_batch_are_spelled_so_too(dataverse: httpx.Client) -> None:
    """webapi/execute-batch-operations-using-web-api shows ``OData-EntityId`` and ``Location`` in the parts."""
    answer = send(dataverse, part("POST", "cdm_workers", {"cdm_workernumber": uuid.uuid4().hex[:10]}))
    assert {"OData-EntityId", "Location", "OData-Version"} <= set(re.findall(r"^([\w-]+): ", answer.text, re.MULTILINE))


@pytest.mark.parametrize(
    ("line_end", "end", "status"),
    [("\r\n", "\r\n\r\n", 200), ("\n", "\n\n", 200), ("\n", "\n", 400), ("\r\n", "", 400)],
)
def test_line_ends_of_a_batch(dataverse: httpx.Client, line_end: str, end: str, status: int) -> None:
    """ "Web API client errors": CRLF, or two line ends of another kind at the end."""
    body = whole(part("GET", "WhoAmI"), end="").replace(b"\r\n", line_end.encode()) + end.encode()
    answer = dataverse.post("$batch", content=body, headers={"content-type": "multipart/mixed; boundary=batch"})
    assert answer.status_code == status
    if status == 200:
        assert [one.status for one in taken_apart(answer.text, answer.headers)] == [200]


@pytest.mark.parametrize("system", ["dataverse", "finance"])
def test_the_trace_keeps_no_token(sandbox: Sandbox, system: str) -> None:
    """What a part of a batch or a query carries is no secret less than the header around it."""
    root = {"dataverse": "/api/data/v9.2/", "finance": "/data/"}[system]
    with signed_in(sandbox, system, root) as api:
        token = api.headers["authorization"]
        send(api, part("GET", "nothing", headers=f"Authorization: {token}"))
        api.get("nothing", params={"access_token": token.removeprefix("Bearer ")})
        api.post("nothing", data=form(sandbox))
    shown = repr(sandbox.trace(system=system))
    assert "Authorization: ..." in shown
    assert token.removeprefix("Bearer ") not in shown
    assert secret(sandbox) not in shown


# -- names, versions, options


@pytest.mark.parametrize("path", ["RetrieveVersion()", "RetrieveCurrentOrganization(AccessType=@a)", "solutions"])
def test_known_names_of_dataverse_are_refused_by_name(dataverse: httpx.Client, path: str) -> None:
    """ "Web API client errors": 0x8006088a says that the name is wrong, and it is not."""
    refused_by_name(dataverse.get(path), path.partition("(")[0])
    refused_by_name(dataverse.post("WinOpportunity", json={}), "WinOpportunity")
    wrong = dataverse.get("Solution")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (404, "0x8006088a")


@pytest.mark.parametrize("name", ["DataManagementEntities", "SystemNotifications", "ProductsV2"])
def test_known_sets_of_finance_are_refused_by_name(finance: httpx.Client, name: str) -> None:
    """An environment with Project Operations has them; "No HTTP resource" is for those that it has not."""
    refused_by_name(finance.get(name), name)
    assert finance.get(f"{name}Nope").status_code == 404


def test_a_function_is_not_called_by_post(dataverse: httpx.Client) -> None:
    """ "Web API client errors", the section on WhoAmI."""
    for answer in (dataverse.post("WhoAmI"), dataverse.get("BulkDelete")):
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (404, "")
        assert error["message"].startswith("No HTTP resource was found that matches the request URI 'https://")


def test_definitions_are_counted_and_say_what_they_show(dataverse: httpx.Client) -> None:
    """webapi/query-metadata-web-api: the same techniques as for data; the context lists the columns."""
    answer = dataverse.get("EntityDefinitions?$count=true&$select=LogicalName,EntitySetName").json()
    assert answer["@odata.count"] == len(answer["value"]) > 50
    assert answer["@odata.context"].endswith("$metadata#EntityDefinitions(LogicalName,EntitySetName)")
    one = dataverse.get("EntityDefinitions(LogicalName='account')?$select=LogicalName").json()
    assert one["@odata.context"].endswith("$metadata#EntityDefinitions(LogicalName)/$entity")
    assert "@odata.count" not in dataverse.get("EntityDefinitions?$select=LogicalName").json()


@pytest.mark.parametrize("path", ["sdkmessagefilters?$top=1", "EntityDefinitions?$orderby=LogicalName"])
def test_options_that_are_not_played_are_refused_by_name(dataverse: httpx.Client, path: str) -> None:
    """What the service takes of rows it may take of its own tables as well."""
    refused_by_name(dataverse.get(path), re.sub(r".*\?(\$\w+)=.*", r"\1", path))


def test_bulk_messages_are_probed_by_name(dataverse: httpx.Client) -> None:
    """bulk-operations, availability: a client may ask for several messages at once, and for their names."""
    wanted = ("CreateMultiple", "DeleteMultiple")
    messages = " or ".join(f"sdkmessageid/name eq '{name}'" for name in wanted)
    asked = {"$select": "sdkmessagefilterid", "$expand": "sdkmessageid($select=name)"}
    asked["$filter"] = f"({messages}) and primaryobjecttypecode eq 'account'"
    rows = dataverse.get("sdkmessagefilters", params=asked).json()["value"]
    assert [row["sdkmessageid"]["name"] for row in rows] == ["CreateMultiple"]
    refused_by_name(dataverse.get("sdkmessagefilters", params=asked | {"$expand": "other"}), "sdkmessagefilters")
    image = dataverse.get("EntityDefinitions(LogicalName='account')?$select=PrimaryImageAttribute").json()
    assert image["PrimaryImageAttribute"] is None


@pytest.mark.parametrize("version", ["v9.0", "v9.1"])
def test_older_versions_answer_under_their_own_address(dataverse: httpx.Client, version: str) -> None:
    """webapi/compose-http-requests-handle-errors: Microsoft's own samples use v9.0."""
    base = f"{dataverse.base_url.scheme}://{dataverse.base_url.netloc.decode()}/api/data/{version}"
    created = dataverse.post(f"{base}/cdm_workers", json={"cdm_workernumber": uuid.uuid4().hex[:10]})
    assert created.headers["odata-entityid"].startswith(f"{base}/cdm_workers(")
    assert dataverse.get(created.headers["odata-entityid"]).json()["@odata.context"].startswith(f"{base}/$metadata#")
    (read,) = answers(
        dataverse.post(
            f"{base}/$batch",
            content=whole(part("GET", f"/api/data/{version}/WhoAmI")),
            headers={"content-type": "multipart/mixed; boundary=batch"},
        )
    )
    assert read.status == 200


def test_forms_of_finance_that_are_not_played(finance: httpx.Client) -> None:
    """OData 4.0: ``has`` and the levels of metadata are known words; the context says what is shown."""
    refused_by_name(finance.get("CustomersV3?$filter=CustomerAccount has 'x'"), "has")
    for level in ("none", "full"):
        refused_by_name(finance.get("Companies", headers={"accept": f"application/json;odata.metadata={level}"}), level)
    finance.post("CustomerGroups", json={"CustomerGroupId": "CTX"})
    shown = finance.get("CustomerGroups?$select=CustomerGroupId,Description").json()
    assert shown["@odata.context"].endswith("$metadata#CustomerGroups(CustomerGroupId,Description)")
    one = finance.get("CustomerGroups(dataAreaId='uspm',CustomerGroupId='CTX')?$select=Description").json()
    assert one["@odata.context"].endswith("$metadata#CustomerGroups(Description)/$entity")


def test_a_file_column_is_refused_by_name(dataverse: httpx.Client) -> None:
    """ "Use file column data": files travel by PATCH of a column."""
    refused_by_name(dataverse.patch("accounts(00000000-0000-0000-0000-000000000001)/new_file", content=b"x"), "PATCH")


# -- what is declared


def test_metadata_of_dataverse_declares_what_is_played(dataverse: httpx.Client) -> None:
    """ "Web API client errors": verify that the name of a function or an action exists in $metadata."""
    document = ET.fromstring(dataverse.get("$metadata").content)
    imported = {item.get("Name") for tag in ("FunctionImport", "ActionImport") for item in document.iter(EDM + tag)}
    assert imported == {"WhoAmI", "RetrieveTotalRecordCount", "RetrieveMetadataChanges", "BulkDelete"}
    sets = {item.get("Name") for item in document.iter(f"{EDM}EntitySet")}
    assert {"EntityDefinitions", "RelationshipDefinitions"} <= sets
    types = {item.get("Name"): item for item in document.iter(f"{EDM}EntityType")}
    facts = dataverse.get("EntityDefinitions(LogicalName='account')").json()
    declared = {item.get("Name") for kind in ("MetadataBase", "EntityMetadata") for item in types[kind]}
    assert {name for name in facts if "@" not in name} <= declared
    (money,) = dataverse.get(
        "EntityDefinitions(LogicalName='account')/Attributes?$filter=LogicalName eq 'creditlimit'"
    ).json()["value"]
    kinds = ("MetadataBase", "AttributeMetadata", "MoneyAttributeMetadata")
    declared = {item.get("Name") for kind in kinds for item in types[kind]}
    assert {name for name in money if "@" not in name} <= declared


def test_metadata_of_finance_declares_data_management(finance: httpx.Client) -> None:
    """data-management-api.md: the actions are bound to a set, which the service document lists."""
    document = ET.fromstring(finance.get("$metadata").content)
    actions = {item.get("Name"): item for item in document.iter(f"{EDM}Action")}
    parameters = {item.get("Name"): item.get("Type") for item in actions["ImportFromPackage"].iter(f"{EDM}Parameter")}
    assert parameters["packageUrl"] == "Edm.String"
    assert parameters["execute"] == "Edm.Boolean"
    assert parameters[GROUPS] == f"Collection(Microsoft.Dynamics.DataEntities.{GROUPS[:-1]})"
    assert GROUPS in {row["name"] for row in finance.get("").json()["value"]}


def test_public_entities_are_the_entity_sets(sandbox: Sandbox, finance: httpx.Client) -> None:
    """services-home-page.md; the properties that public clients read."""
    document = ET.fromstring(finance.get("$metadata").content)
    with signed_in(sandbox, "finance", "/Metadata/") as api:
        listed = api.get("PublicEntities?$count=true").json()
        sets = {row["EntitySetName"]: row for row in listed["value"]}
        assert listed["@odata.count"] == len(sets)
        assert {item.get("Name") for item in document.iter(f"{EDM}EntitySet")} - {GROUPS} == sets.keys()
        group = sets["CustomerGroups"]
        properties = {row["Name"]: row for row in group["Properties"]}
        assert [name for name, row in properties.items() if row["IsKey"]] == ["dataAreaId", "CustomerGroupId"]
        assert properties["CustomerGroupId"]["TypeName"] == "Edm.String"
        assert api.get(f"PublicEntities('{group['Name']}')").json()["Properties"] == group["Properties"]
        found = api.get("PublicEntities?$filter=contains(Name,'CustomerGr') and IsReadOnly eq false&$select=Name")
        assert found.json()["value"] == [{"Name": "CustomerGroup"}]
        assert len(api.get("PublicEntities?$top=2&$skip=1").json()["value"]) == 2
        assert api.get("PublicEntities('Nope')").status_code == 404
        refused_by_name(api.get("PublicEntities?$orderby=Name"), "$orderby")
        refused_by_name(api.get("Labels(Id='@SYS1',Language='en-us')"), "Labels")


def test_data_entities_lead_to_the_sets(sandbox: Sandbox) -> None:
    """services-home-page.md: clients look an entity set up here when they have its name and need its entity's."""
    with signed_in(sandbox, "finance", "/Metadata/") as api:
        found = api.get("DataEntities?$filter=PublicCollectionName eq 'CustomerGroups'").json()["value"]
        hidden = api.get("DataEntities?$filter=DataServiceEnabled eq false").json()["value"]
        shown = {row["EntitySetName"] for row in api.get("PublicEntities?$select=EntitySetName").json()["value"]}
    assert [row["PublicEntityName"] for row in found] == ["CustomerGroup"]
    assert hidden
    assert not {row["PublicCollectionName"] for row in hidden} & shown


def test_public_enumerations_are_the_enums(sandbox: Sandbox, finance: httpx.Client) -> None:
    """services-home-page.md; the members and numbers of $metadata."""
    document = ET.fromstring(finance.get("$metadata").content)
    declared = {
        item.get("Name"): {member.get("Name"): int(str(member.get("Value"))) for member in item}
        for item in document.iter(f"{EDM}EnumType")
    }
    with signed_in(sandbox, "finance", "/metadata/") as api:
        listed = api.get("PublicEnumerations").json()["value"]
        one = api.get("PublicEnumerations('NoYes')").json()
    shown = {row["Name"]: {member["Name"]: member["Value"] for member in row["Members"]} for row in listed}
    assert shown == declared
    assert {member["Name"] for member in one["Members"]} == {"No", "Yes"}


# -- people and owners


def test_full_names_are_put_together(dataverse: httpx.Client) -> None:
    """reference/entities/contact: FullName is read only, and combines first and last name."""
    made = dataverse.post(
        "contacts",
        json={"firstname": "Rosa", "lastname": "Lund", "fullname": "Somebody Else"},
        headers={"prefer": "return=representation"},
    ).json()
    assert made["fullname"] == "Rosa Lund"
    dataverse.patch(f"contacts({made['contactid']})", json={"lastname": "Berg", "fullname": "x"}).raise_for_status()
    assert dataverse.get(f"contacts({made['contactid']})").json()["fullname"] == "Rosa Berg"
    path = "EntityDefinitions(LogicalName='contact')/Attributes(LogicalName='fullname')"
    facts = dataverse.get(path).json()
    assert (facts["IsValidForCreate"], facts["IsValidForUpdate"]) == (False, False)


def test_owned_rows_say_their_user_and_business_unit(dataverse: httpx.Client) -> None:
    """The table reference lists both as read-only columns of every table that users own."""
    who = dataverse.get("WhoAmI").json()
    made = dataverse.post("accounts", json={"name": "Owned"}, headers={"prefer": "return=representation"}).json()
    path = f"accounts({made['accountid']})"
    assert made["_owninguser_value"] == made["_ownerid_value"] == who["UserId"]
    assert made["_owningbusinessunit_value"] == who["BusinessUnitId"]
    assert dataverse.get(f"{path}/owningbusinessunit").json()["businessunitid"] == who["BusinessUnitId"]
    assert dataverse.get(f"{path}/_owninguser_value").json()["value"] == who["UserId"]
    expanded = dataverse.get(f"{path}?$select=name&$expand=owninguser($select=fullname)").json()
    assert expanded["owninguser"]["fullname"] == "# Integration application"
    condition = f"_owninguser_value eq {who['UserId']} and owningbusinessunit/name ne null and name eq 'Owned'"
    assert len(dataverse.get("accounts", params={"$filter": condition}).json()["value"]) == 1
    assert dataverse.get(f"businessunits({who['BusinessUnitId']})").status_code == 200
    dataverse.patch(path, json={"owninguser@odata.bind": f"systemusers({who['UserId']})"}).raise_for_status()


# -- sign-in


def test_a_client_may_name_itself_in_a_header(plain: httpx.Client, sandbox: Sandbox) -> None:
    """RFC 6749, 2.3.1: the default of authlib and requests-oauthlib; Entra lists client_secret_basic."""
    address = f"{sandbox.info['identity']}/oauth2/v2.0/token"
    asked = form(sandbox, client_id="", client_secret="")
    pair = f"{quote(str(sandbox.info['client_id']))}:{quote(secret(sandbox), safe='')}"
    header = {"authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
    assert plain.post(address, data=asked, headers=header).json()["token_type"] == "Bearer"
    wrong = {"authorization": "Basic " + base64.b64encode(pair[:-1].encode()).decode()}
    assert plain.post(address, data=asked, headers=wrong).json()["error_codes"] == [7000215]
    assert plain.post(address, data=asked, headers={"authorization": "Basic ?"}).status_code == 401
    found = plain.get(f"{sandbox.info['identity']}/v2.0/.well-known/openid-configuration").json()
    assert "client_secret_basic" in found["token_endpoint_auth_methods_supported"]


@pytest.mark.parametrize("version", ["", "/v2.0"])
def test_the_resource_of_the_challenge_can_be_signed_in_to(plain: httpx.Client, sandbox: Sandbox, version: str) -> None:
    """scopes-oidc, "Trailing slash and .default": the resource ends with a slash, the scope has two."""
    challenge = plain.get(f"{sandbox.info['dataverse']}/api/data/v9.2/WhoAmI").headers["www-authenticate"]
    resource = re.search(r"resource_id=(\S+)", challenge)
    assert resource is not None
    asked = {"scope": f"{resource[1]}/.default"} if version else {"scope": "", "resource": resource[1]}
    token = ask(plain, sandbox, version, **asked).json()["access_token"]
    assert jwt.decode(token, options={"verify_signature": False})["aud"] == resource[1]
    headers = {"authorization": f"Bearer {token}"}
    assert plain.get(f"{sandbox.info['dataverse']}/api/data/v9.2/WhoAmI", headers=headers).status_code == 200
    assert plain.get(f"{sandbox.info['finance']}/data/Companies", headers=headers).status_code == 401


@pytest.mark.parametrize(
    "grant", ["password", "refresh_token", "authorization_code", "urn:ietf:params:oauth:grant-type:jwt-bearer"]
)
def test_grants_that_are_not_played_are_refused_by_name(plain: httpx.Client, sandbox: Sandbox, grant: str) -> None:
    """The identity platform knows them: the refusal is the sandbox's own, not Entra's."""
    answer = ask(plain, sandbox, grant_type=grant)
    assert (answer.status_code, answer.json()["error"]) == (501, "SandboxNotImplemented")
    assert grant in answer.json()["error_description"]


def test_what_no_identity_service_knows_is_refused_as_entra_does(plain: httpx.Client, sandbox: Sandbox) -> None:
    """reference-error-codes: AADSTS70003 for a grant that is none, AADSTS900144 for none at all."""
    assert ask(plain, sandbox, grant_type="magic").json()["error_codes"] == [70003]
    assert ask(plain, sandbox, grant_type="").json()["error_codes"] == [900144]


def test_discovery_names_the_endpoint_for_devices(plain: httpx.Client, sandbox: Sandbox) -> None:
    """v2-oauth2-device-code: msal looks for it before it asks."""
    found = plain.get(f"{sandbox.info['identity']}/v2.0/.well-known/openid-configuration").json()
    for name in ("device_authorization_endpoint", "authorization_endpoint"):
        answer = plain.post(found[name], data={"client_id": "x"})
        assert (answer.status_code, answer.json()["error"]) == (501, "SandboxNotImplemented")


# -- blobs


@pytest.fixture
def blob(finance: httpx.Client) -> str:
    """The URL of a file that nobody has written yet."""
    action = f"{GROUPS}/Microsoft.Dynamics.DataEntities.GetAzureWriteUrl"
    text = finance.post(action, json={"uniqueFileName": uuid.uuid4().hex}).json()["value"]
    found = re.search(r'"BlobUrl":\s*"([^"]+)"', text)
    assert found is not None
    return found[1]


KIND = {"x-ms-blob-type": "BlockBlob"}


def test_parts_of_a_blob_are_read_by_range(plain: httpx.Client, blob: str) -> None:
    """ "Specifying the range header for Blob service operations": 206, 416, and x-ms-range before Range."""
    assert plain.put(blob, content=b"0123456789", headers=KIND).status_code == 201
    some = plain.get(blob, headers={"range": "bytes=2-4"})
    assert (some.status_code, some.content, some.headers["content-range"]) == (206, b"234", "bytes 2-4/10")
    rest = plain.get(blob, headers={"range": "bytes=0-1", "x-ms-range": "bytes=7-"})
    assert (rest.status_code, rest.content, rest.headers["content-range"]) == (206, b"789", "bytes 7-9/10")
    assert plain.get(blob, headers={"x-ms-range": "bytes=8-500"}).content == b"89"
    beyond = plain.get(blob, headers={"range": "bytes=10-"})
    assert (beyond.status_code, beyond.headers["x-ms-error-code"]) == (416, "InvalidRange")
    size = plain.head(blob)
    assert (size.headers["content-length"], size.headers["x-ms-blob-type"]) == ("10", "BlockBlob")
    assert plain.get(blob, headers={"if-match": size.headers["etag"]}).status_code == 200
    assert plain.get(blob, headers={"if-match": '"0x1"'}).status_code == 412


def test_a_blob_is_written_in_blocks(plain: httpx.Client, blob: str) -> None:
    """ "Put Block", "Put Block List": the list decides which blocks make the file, and in which order."""
    ids = [base64.b64encode(text.encode()).decode() for text in ("one", "two")]
    for block, content in zip(ids, (b"first ", b"second"), strict=True):
        assert plain.put(f"{blob}&comp=block&blockid={quote(block, safe='')}", content=content).status_code == 201
    assert plain.get(blob).status_code == 404
    listed = "".join(f"<Latest>{block}</Latest>" for block in ids)
    for refused in (f"<BlockList>{listed}<Latest>eA==</Latest></BlockList>", "no list"):
        answer = plain.put(f"{blob}&comp=blocklist", content=refused)
        assert (answer.status_code, answer.headers["x-ms-error-code"]) == (400, "InvalidBlockList")
    assert plain.put(f"{blob}&comp=blocklist", content=f"<BlockList>{listed}</BlockList>").status_code == 201
    assert plain.get(blob).content == b"first second"
    again = plain.put(blob, content=b"x", headers=KIND | {"if-none-match": "*"})
    assert (again.status_code, again.headers["x-ms-error-code"]) == (409, "BlobAlreadyExists")
    assert plain.put(f"{blob}&comp=metadata", headers=KIND).status_code == 501


# -- other host names


def test_the_systems_answer_to_other_names(sandbox: Sandbox) -> None:
    """Clients that insist on a name: the certificate carries it, tokens are for it, the socket stays on loopback."""
    context = ssl.create_default_context(cafile=str(sandbox.info["ca_file"]))
    port = urlsplit(str(sandbox.info["dataverse"])).port
    with (
        socket.create_connection(("127.0.0.1", port)) as connection,
        context.wrap_socket(connection, server_hostname="org.crm.example") as secured,
    ):
        assert secured.version()
    with httpx.Client(verify=context) as plain:
        for audience in (f"https://org.crm.example:{port}", "https://org.crm.example"):
            token = ask(plain, sandbox, scope=f"{audience}/.default").json()["access_token"]
            headers = {"authorization": f"Bearer {token}", "host": f"org.crm.example:{port}"}
            answer = plain.get(f"{sandbox.info['dataverse']}/api/data/v9.2/WhoAmI", headers=headers)
            assert answer.json()["@odata.context"].startswith(f"https://org.crm.example:{port}/api/data/v9.2/")


@pytest.mark.parametrize("hosts", [{"dataverse": "no name"}, {"control": "a.example"}, {"other": "a.example"}])
def test_wrong_host_names_are_refused(tmp_path: Path, hosts: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="name"):
        Sandbox(tmp_path, hosts=hosts)
