"""The sandbox's data management package API, spoken to over TLS by plain httpx.

Each test names what it follows: "Data management package REST API" (data-management-api.md), "Data entities and
packages" (data-entities-data-packages.md), something clients observed, or an assumption.
"""

import io
import json
import ssl
import uuid
import zipfile
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from dualsync_sandbox import Sandbox
from dualsync_sandbox.store import Row
from support.signed_in import signed_in

GROUPS = "DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities."
NAMESPACE = "http://schemas.microsoft.com/dynamics/2015/01/DataManagement"
RELATIONSHIPS = "Integration entity for project transaction relationships"
AOT = "ProjCDSTransactionRelationshipImportEntity"
FIELDS = (
    "CONNECTIONID", "TRANSACTION1ID", "TRANSACTION1ROLE", "TRANSACTION1TYPE",
    "TRANSACTION2ID", "TRANSACTION2ROLE", "TRANSACTION2TYPE",
)  # fmt: skip


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("packages")) as running:
        with running.finance_store.transaction() as tx:
            tx.insert("LegalEntities", {"LegalEntityId": "USPM"})
        yield running


@pytest.fixture(scope="module")
def api(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with signed_in(sandbox, "finance", "/data/") as client:
        yield client


@pytest.fixture(scope="module")
def blobs(sandbox: Sandbox) -> Iterator[httpx.Client]:
    """A client that is not signed in: the right of access stands in the URL."""
    context = ssl.create_default_context(cafile=str(sandbox.info["ca_file"]))
    with httpx.Client(verify=context, timeout=60) as client:
        yield client


@pytest.fixture(autouse=True)
def no_job_runs_on(sandbox: Sandbox) -> Iterator[None]:
    yield
    sandbox.clock.advance(timedelta(minutes=2))


def do(api: httpx.Client, action: str, **arguments: Any) -> Any:
    answer = api.post(GROUPS + action, json=arguments)
    assert answer.status_code == 200, answer.text
    return answer.json()["value"]


def refused(api: httpx.Client, action: str, **arguments: Any) -> str:
    answer = api.post(GROUPS + action, json=arguments)
    assert answer.status_code == 400, answer.text
    return str(answer.json()["error"]["innererror"]["message"])


def relationship(**changes: str) -> Row:
    row: Row = {
        "CONNECTIONID": str(uuid.uuid4()),
        "TRANSACTION1ID": str(uuid.uuid4()),
        "TRANSACTION1ROLE": "Unbilled sales",
        "TRANSACTION1TYPE": "msdyn_actual",
        "TRANSACTION2ID": str(uuid.uuid4()),
        "TRANSACTION2ROLE": "Cost",
        "TRANSACTION2TYPE": "msdyn_actual",
    }
    return row | changes


def manifest(
    entity: str = RELATIONSHIPS,
    target: str = AOT,
    fields: Sequence[str] = FIELDS,
    data_file: str = "rows.csv",
    more: str = "",
) -> str:
    maps = "".join(
        f"<EntityMap><ArrayIndex>0</ArrayIndex><EntityField>{name}</EntityField>{more}<IsAutoDefault>No</IsAutoDefault>"
        f"<XMLField>{name}</XMLField></EntityMap>"
        for name in fields
    )
    return (
        f'<DataManagementPackageManifest xmlns="{NAMESPACE}"><DefinitionGroupName>import</DefinitionGroupName>'
        "<PackageEntityList><DataManagementPackageEntityData><DefaultRefreshType>FullPush</DefaultRefreshType>"
        f"<EntityMapList>{maps}</EntityMapList><EntityName>{entity}</EntityName><ExecutionUnit>1</ExecutionUnit>"
        f"<InputFilePath>{data_file}</InputFilePath><LevelInExecutionUnit>1</LevelInExecutionUnit>"
        "<SequenceInLevel>1</SequenceInLevel><SourceFormat>CSV-Unicode</SourceFormat>"
        f"<TargetEntity>{target}</TargetEntity></DataManagementPackageEntityData></PackageEntityList>"
        "</DataManagementPackageManifest>"
    )


HEADER = (
    f'<DataManagementPackageHeader xmlns="{NAMESPACE}"><PackageType>DefinitionGroup</PackageType>'
    "<PackageVersion>2</PackageVersion></DataManagementPackageHeader>"
)


def package(rows: Sequence[Row] | None, text: str = "", encoding: str = "utf-8", **files: str) -> bytes:
    named = {"Manifest.xml": text or manifest(), "PackageHeader.xml": HEADER, **files}
    if rows is not None:
        lines = [",".join(FIELDS)] + [",".join(str(row[name]) for name in FIELDS) for row in rows]
        named["rows.csv"] = "\r\n".join(lines)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, value in named.items():
            archive.writestr(name, value.encode(encoding))
    return content.getvalue()


def upload(api: httpx.Client, blobs: httpx.Client, content: bytes) -> str:
    place = json.loads(str(do(api, "GetAzureWriteUrl", uniqueFileName=f"{uuid.uuid4()}.zip")))
    assert place["BlobId"]
    answer = blobs.put(place["BlobUrl"], content=content, headers={"x-ms-blob-type": "BlockBlob"})
    assert answer.status_code == 201
    return str(place["BlobUrl"])


def order(url: str, execution: str = "", **changes: Any) -> dict[str, Any]:
    return {
        "packageUrl": url,
        "definitionGroupId": "import",
        "executionId": execution,
        "execute": True,
        "overwrite": True,
        "legalEntityId": "USPM",
    } | changes


def finish(api: httpx.Client, execution: Any) -> str:
    """Poll to the end; the states on the way come in their order."""
    seen = [str(do(api, "GetExecutionSummaryStatus", executionId=execution)) for _ in range(3)]
    assert seen[:2] == ["NotRun", "Executing"]
    return seen[2]


def import_rows(api: httpx.Client, blobs: httpx.Client, content: bytes, **changes: Any) -> tuple[str, str]:
    execution = str(do(api, "ImportFromPackage", **order(upload(api, blobs, content), **changes)))
    return execution, finish(api, execution)


def stored(sandbox: Sandbox, row: Row) -> Row | None:
    with sandbox.finance_store.reading() as tx:
        return tx.find_one("TransactionRelationships", ConnectionId=row["CONNECTIONID"])


def test_relationships_are_not_on_odata(api: httpx.Client) -> None:
    """Not among the public entities of Finance; the body of an unknown route is a recorded one."""
    for name in ("ProjCDSTransactionRelationshipImports", "TransactionRelationships"):
        answer = api.get(name)
        assert answer.status_code == 404
        assert "No route data was found" in answer.json()["Message"]
    assert "TransactionRelationships" not in api.get("").text
    assert "TransactionRelationshipImport" not in api.get("$metadata").text


def test_replies_are_texts_that_hold_json(api: httpx.Client) -> None:
    """data-management-api.md: the writable URL comes as JSON within a text; the context names the type."""
    answer = api.post(GROUPS + "GetAzureWriteUrl", json={"uniqueFileName": "one.zip"}).raise_for_status().json()
    assert answer["@odata.context"].endswith("/data/$metadata#Edm.String")
    assert json.loads(answer["value"]).keys() == {"BlobId", "BlobUrl"}


def test_nested_replies_as_in_some_versions(api: httpx.Client, sandbox: Sandbox) -> None:
    """data-management-api.md shows ``{"value": {"value": ...}}`` in places: clients must take both."""
    sandbox.packages.nested = True
    try:
        value = do(api, "GetExecutionSummaryStatus", executionId="none")
    finally:
        sandbox.packages.nested = False
    assert value == {"value": "Unknown"}


def test_blobs_need_their_token_and_type(api: httpx.Client, blobs: httpx.Client) -> None:
    """ "Put Blob" of Azure Storage: the signature in the URL, and the kind of blob in a header."""
    url = json.loads(str(do(api, "GetAzureWriteUrl", uniqueFileName="a.zip")))["BlobUrl"]
    kind = {"x-ms-blob-type": "BlockBlob"}
    assert blobs.get(url).status_code == 404
    assert blobs.put(url, content=b"x").status_code == 400
    assert blobs.put(url.partition("?")[0], content=b"x", headers=kind).status_code == 403
    assert blobs.put(url.replace("sig=", "sig=x"), content=b"x", headers=kind).status_code == 403
    assert blobs.put(url, content=b"x", headers=kind).status_code == 201
    assert blobs.get(url).content == b"x"


def test_links_to_blobs_expire(api: httpx.Client, blobs: httpx.Client, sandbox: Sandbox) -> None:
    """Observed: an hour or two."""
    url = upload(api, blobs, b"x")
    sandbox.clock.advance(timedelta(minutes=61))
    try:
        assert blobs.get(url).status_code == 403
    finally:
        sandbox.clock.advance(timedelta(minutes=-61))


def test_tokens_of_blobs_stay_out_of_the_trace(api: httpx.Client, blobs: httpx.Client, sandbox: Sandbox) -> None:
    path = urlsplit(upload(api, blobs, b"secret")).path
    (entry,) = sandbox.trace(path=path)
    assert (entry["query"], entry["body"], entry["status"]) == ({}, None, 201)


def test_an_import_inserts_and_updates_by_key(api: httpx.Client, blobs: httpx.Client, sandbox: Sandbox) -> None:
    """data-management-api.md; that the target is upserted by entity key is general knowledge of it [FO5]."""
    row, other = relationship(), relationship()
    execution, state = import_rows(api, blobs, package([row, other]))
    assert state == "Succeeded"
    made = stored(sandbox, row)
    assert made is not None
    assert (made["Transaction1Id"], made["Transaction2Role"]) == (row["TRANSACTION1ID"], "Cost")
    assert do(api, "GetExecutionErrors", executionId=execution) == "[]"
    again = row | {"TRANSACTION1ROLE": "", "TRANSACTION2ROLE": "Original"}
    assert import_rows(api, blobs, package([again]))[1] == "Succeeded"
    changed = stored(sandbox, row)
    assert changed is not None
    assert (changed["RecId"], changed["Transaction2Role"]) == (made["RecId"], "Original")
    assert changed["Transaction1Role"] == "Unbilled sales"  # an empty cell says nothing (assumed)
    assert sandbox.writes["finance"].counts()["TransactionRelationships"]["update"] >= 1


def test_rows_appear_when_the_job_has_run(api: httpx.Client, blobs: httpx.Client, sandbox: Sandbox) -> None:
    """The import is a job of its own; that it needs some polls, or a minute, is an assumption."""
    row = relationship()
    url = upload(api, blobs, package([row]))
    execution = do(api, "ImportFromPackageAsync", **order(url, "my-own-id"))
    assert execution == "my-own-id"
    assert do(api, "GetExecutionSummaryStatus", executionId=execution) == "NotRun"
    assert stored(sandbox, row) is None
    sandbox.clock.advance(timedelta(seconds=61))
    assert do(api, "GetExecutionSummaryStatus", executionId=execution) == "Succeeded"
    assert stored(sandbox, row) is not None


def test_unknown_and_used_execution_ids(api: httpx.Client, blobs: httpx.Client) -> None:
    """Unknown is a documented state; that an id cannot be used twice is an assumption."""
    assert do(api, "GetExecutionSummaryStatus", executionId="never") == "Unknown"
    execution, _ = import_rows(api, blobs, package([relationship()]))
    url = upload(api, blobs, package([relationship()]))
    assert "already exists" in refused(api, "ImportFromPackage", **order(url, execution))


def test_imports_do_not_run_in_parallel(api: httpx.Client, blobs: httpx.Client) -> None:
    """data-management-api.md: ImportFromPackage must not be called in parallel; it fails [FO5]. Words assumed."""
    first, second = (upload(api, blobs, package([relationship()])) for _ in range(2))
    execution = do(api, "ImportFromPackage", **order(first))
    assert "parallel" in refused(api, "ImportFromPackage", **order(second))
    assert finish(api, execution) == "Succeeded"
    do(api, "ImportFromPackage", **order(second))


def test_good_rows_stay_when_others_fail(api: httpx.Client, blobs: httpx.Client, sandbox: Sandbox) -> None:
    """data-management-api.md: PartiallySucceeded; keys of refused rows in a file that is generated first."""
    good, bad = relationship(), relationship(TRANSACTION2ROLE="")
    execution, state = import_rows(api, blobs, package([good, bad]))
    assert state == "PartiallySucceeded"
    assert stored(sandbox, good) is not None
    assert stored(sandbox, bad) is None
    (error,) = json.loads(str(do(api, "GetExecutionErrors", executionId=execution)))
    assert error["RecordId"] == bad["CONNECTIONID"]
    assert "must be filled in" in error["ErrorMessage"]
    named = {"executionId": execution, "entityName": RELATIONSHIPS}
    assert do(api, "GenerateImportTargetErrorKeysFile", **named) is True
    assert do(api, "GetImportTargetErrorKeysFileUrl", **named) == ""
    text = blobs.get(str(do(api, "GetImportTargetErrorKeysFileUrl", **named))).content.decode("utf-8-sig")
    assert text.splitlines() == ["ConnectionId", bad["CONNECTIONID"]]
    assert do(api, "GetImportStagingErrorFileUrl", **named) == ""


def test_an_import_that_breaks_down_keeps_what_it_wrote(
    api: httpx.Client, blobs: httpx.Client, sandbox: Sandbox
) -> None:
    """The sandbox's own fault: the job is canceled between two rows; Canceled is a documented state."""
    sandbox.faults.plan(kind="half_batch", operations=1, times=1)
    first, second = relationship(), relationship()
    execution, state = import_rows(api, blobs, package([first, second]))
    assert state == "Canceled"
    assert stored(sandbox, first) is not None
    assert stored(sandbox, second) is None
    assert "canceled" in str(do(api, "GetExecutionErrors", executionId=execution))


def test_rows_that_cannot_be_staged(api: httpx.Client, blobs: httpx.Client, sandbox: Sandbox) -> None:
    """data-management-api.md: a file of the rows that failed between source and staging."""
    good, bad = relationship(), relationship(TRANSACTION1ID="no guid")
    execution, state = import_rows(api, blobs, package([bad, good]))
    assert state == "PartiallySucceeded"
    assert stored(sandbox, good) is not None
    named = {"executionId": execution, "entityName": RELATIONSHIPS}
    assert do(api, "GenerateImportTargetErrorKeysFile", **named) is False
    assert do(api, "GetImportTargetErrorKeysFileUrl", **named) == ""
    text = blobs.get(str(do(api, "GetImportStagingErrorFileUrl", **named))).content.decode("utf-8-sig")
    assert text.splitlines()[1].startswith(f"{bad['CONNECTIONID']},no guid,")


def test_all_rows_refused_is_failed(api: httpx.Client, blobs: httpx.Client) -> None:
    assert import_rows(api, blobs, package([relationship(TRANSACTION1TYPE="")]))[1] == "Failed"


def test_a_package_without_data_does_nothing(api: httpx.Client, blobs: httpx.Client) -> None:
    """Observed: it is accepted and silently does nothing."""
    execution, state = import_rows(api, blobs, package(None))
    assert state == "Succeeded"
    assert do(api, "GetExecutionErrors", executionId=execution) == "[]"


def test_without_a_field_map_nothing_is_staged(api: httpx.Client, blobs: httpx.Client, sandbox: Sandbox) -> None:
    """Observed by one author [FO4]."""
    row = relationship()
    assert import_rows(api, blobs, package([row], manifest(fields=())))[1] == "Succeeded"
    assert stored(sandbox, row) is None


def test_without_execute_the_rows_stay_in_staging(api: httpx.Client, blobs: httpx.Client, sandbox: Sandbox) -> None:
    """data-management-api.md: ``execute`` says whether the target step runs."""
    row = relationship()
    assert import_rows(api, blobs, package([row]), execute=False)[1] == "Succeeded"
    assert stored(sandbox, row) is None


def test_packages_in_utf_16(api: httpx.Client, blobs: httpx.Client, sandbox: Sandbox) -> None:
    """data-entities-data-packages.md: Finance writes UTF-16 with a byte order mark."""
    row = relationship()
    assert import_rows(api, blobs, package([row], encoding="utf-16"))[1] == "Succeeded"
    assert stored(sandbox, row) is not None


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"no zip", "no zip archive"),
        (package([], **{"PackageHeader.xml": "<a/>"}), "no DataManagementPackageHeader"),
        (package([], manifest("Sales order headers V2")), "is not valid"),
        (package([], manifest(fields=("NOFIELD",))), "is not part of entity"),
    ],
)
def test_broken_packages_fail(api: httpx.Client, blobs: httpx.Client, content: bytes, why: str) -> None:
    """The texts are assumptions."""
    execution, state = import_rows(api, blobs, content)
    assert state == "Failed"
    (error,) = json.loads(str(do(api, "GetExecutionErrors", executionId=execution)))
    assert why in error["ErrorMessage"]


def test_companies_and_their_rows(api: httpx.Client, blobs: httpx.Client, sandbox: Sandbox) -> None:
    """data-management-api.md: ``legalEntityId`` is the company the rows belong to; a company's rules see them."""
    label = sandbox.finance_store.schema.tables["CustomerGroups"].label
    content = package(
        None,
        manifest(label, "", ("CUSTOMERGROUPID", "DESCRIPTION")),
        **{"rows.csv": "CUSTOMERGROUPID,DESCRIPTION\r\n77,Ports\r\n"},
    )
    assert import_rows(api, blobs, content)[1] == "Succeeded"
    (row,) = api.get("CustomerGroups", params={"$filter": "CustomerGroupId eq '77'"}).json()["value"]
    assert (row["dataAreaId"], row["Description"]) == ("uspm", "Ports")
    url = upload(api, blobs, content)
    assert "XXXX does not exist" in refused(api, "ImportFromPackage", **order(url, legalEntityId="XXXX"))


def test_what_the_call_itself_refuses(api: httpx.Client, blobs: httpx.Client, sandbox: Sandbox) -> None:
    """data-management-api.md: overwrite is true but for composite entities. The texts are assumptions."""
    url = upload(api, blobs, package([]))
    assert "Overwrite" in refused(api, "ImportFromPackage", **order(url, overwrite=False))
    assert "packageUrl" in refused(api, "ImportFromPackage", **{**order(url), "packageUrl": None})
    assert "shoeSize" in refused(api, "ImportFromPackage", **order(url), shoeSize=42)
    for wrong in (url.replace("sig=", "sig=x"), "https://elsewhere.example/a.zip?sig=1"):
        assert "downloaded" in refused(api, "ImportFromPackage", **order(wrong))
    assert "does not exist" in refused(api, "GetExecutionErrors", executionId="never")
    assert api.get(GROUPS + "GetExecutionErrors").status_code == 405


def test_what_is_not_played_is_refused_as_such(api: httpx.Client, blobs: httpx.Client) -> None:
    for action in ("ExportToPackageDelta", "ExportFromPackage", "GetEntityExecutionSummaryStatusList"):
        assert api.post(GROUPS + action, json={}).status_code == 501
    assert api.get("DataManagementDefinitionGroups").status_code == 501
    texts = (
        manifest().replace("CSV-Unicode", "EXCEL"),
        manifest().replace("<SequenceInLevel>", "<SkipStaging>Yes</SkipStaging><SequenceInLevel>"),
        manifest(more="<EntityFieldConversionList><EntityFieldConversion/></EntityFieldConversionList>"),
        manifest().replace("<IsAutoDefault>No", "<IsAutoDefault>Yes"),
    )
    for text in texts:
        url = upload(api, blobs, package([relationship()], text))
        answer = api.post(GROUPS + "ImportFromPackage", json=order(url))
        assert answer.status_code == 501, answer.text
        assert answer.json()["error"]["code"] == "SandboxNotImplemented"
