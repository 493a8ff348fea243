"""The sandbox's exports by data package and recurring integrations, spoken to over TLS by plain httpx.

Each test names what it follows: "Data management package REST API" (data-management-api.md), "Enable change tracking
for entities" (entity-change-track.md), "Recurring integrations" (recurring-integrations.md), or an assumption.
"""

import csv
import io
import json
import ssl
import uuid
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from dualsync_sandbox import Sandbox
from support.signed_in import signed_in

GROUPS = "DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities."
ENTITY = "Customer groups"
PROJECT = {"name": "Groups", "entities": [{"entity": ENTITY, "refresh": "IncrementalPush"}]}
EXPORT = "c03bb937-09ed-46de-86ee-4520d7d7e373"
IMPORT = "00000000-09ed-46de-86ee-4520d7d7e373"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("exports")) as running:
        with running.finance_store.transaction() as tx:
            tx.insert_many("LegalEntities", [{"LegalEntityId": "USPM"}, {"LegalEntityId": "GBPM"}])
            for company in ("uspm", "gbpm"):
                tx.insert("CustomerGroups", {"dataAreaId": company, "CustomerGroupId": "10", "Description": "Ports"})
        running.snapshot("fresh")
        yield running


@pytest.fixture(autouse=True)
def fresh(sandbox: Sandbox) -> Iterator[None]:
    yield
    sandbox.restore("fresh")
    sandbox.packages.exports.clear()
    sandbox.packages.recurring.remove_all()


@pytest.fixture(scope="module")
def api(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with signed_in(sandbox, "finance", "/data/") as client:
        yield client


@pytest.fixture(scope="module")
def queues(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with signed_in(sandbox, "finance", "/api/connector/") as client:
        yield client


@pytest.fixture(scope="module")
def plain(sandbox: Sandbox) -> Iterator[httpx.Client]:
    """A client that is not signed in."""
    with httpx.Client(verify=ssl.create_default_context(cafile=str(sandbox.info["ca_file"])), timeout=60) as client:
        yield client


@pytest.fixture
def control(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=str(sandbox.info["control"]), timeout=60) as client:
        client.post("/export-projects", json=PROJECT).raise_for_status()
        yield client


def do(api: httpx.Client, action: str, **arguments: Any) -> Any:
    answer = api.post(GROUPS + action, json=arguments)
    assert answer.status_code == 200, answer.text
    return answer.json()["value"]


def refused(api: httpx.Client, action: str, **arguments: Any) -> str:
    answer = api.post(GROUPS + action, json=arguments)
    assert answer.status_code == 400, answer.text
    return str(answer.json()["error"]["innererror"]["message"])


def order(execution: str = "", **changes: Any) -> dict[str, Any]:
    return {
        "definitionGroupId": "Groups",
        "packageName": "groups",
        "executionId": execution,
        "reExecute": False,
        "legalEntityId": "USPM",
    } | changes


def export(api: httpx.Client, plain: httpx.Client, action: str = "ExportToPackage", **changes: Any) -> bytes:
    execution = do(api, action, **order(**changes))
    assert do(api, "GetExportedPackageUrl", executionId=execution) == ""
    states = [do(api, "GetExecutionSummaryStatus", executionId=execution) for _ in range(3)]
    assert states == ["NotRun", "Executing", "Succeeded"]
    return plain.get(do(api, "GetExportedPackageUrl", executionId=execution)).raise_for_status().content


def rows(package: bytes, entity: str = ENTITY) -> list[dict[str, str]]:
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        text = archive.read(f"{entity}.csv").decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def ids(package: bytes) -> list[str]:
    return [row["CUSTOMERGROUPID"] for row in rows(package)]


def add_group(sandbox: Sandbox, number: str, company: str = "uspm") -> None:
    with sandbox.finance_store.transaction() as tx:
        tx.insert("CustomerGroups", {"dataAreaId": company, "CustomerGroupId": number})


def test_an_export_is_a_package(api: httpx.Client, plain: httpx.Client, control: httpx.Client) -> None:
    """data-management-api.md; observed: manifest and header in UTF-16 with a byte order mark, columns in capitals."""
    package = export(api, plain)
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        assert set(archive.namelist()) == {"Manifest.xml", "PackageHeader.xml", f"{ENTITY}.csv"}
        manifest = archive.read("Manifest.xml")
    assert manifest.startswith(b"\xff\xfe")
    assert f"<EntityName>{ENTITY}</EntityName>" in manifest.decode("utf-16")
    (row,) = rows(package)
    assert (row["CUSTOMERGROUPID"], row["DESCRIPTION"]) == ("10", "Ports")
    assert "DATAAREAID" not in row, "the company is that of the job"


def test_an_export_can_be_imported(
    api: httpx.Client, plain: httpx.Client, control: httpx.Client, sandbox: Sandbox
) -> None:
    """data-entities-data-packages.md: packages move data from one environment to another."""
    package = export(api, plain)
    before = api.get("CustomerGroups(dataAreaId='uspm',CustomerGroupId='10')").json()
    api.delete("CustomerGroups(dataAreaId='uspm',CustomerGroupId='10')").raise_for_status()
    url = json.loads(do(api, "GetAzureWriteUrl", uniqueFileName="a.zip"))["BlobUrl"]
    plain.put(url, content=package, headers={"x-ms-blob-type": "BlockBlob"}).raise_for_status()
    given = {"packageUrl": url, "definitionGroupId": "i", "executionId": "", "execute": True, "overwrite": True}
    execution = do(api, "ImportFromPackage", **given, legalEntityId="USPM")
    states = [do(api, "GetExecutionSummaryStatus", executionId=execution) for _ in range(3)]
    assert states[-1] == "Succeeded"
    after = api.get("CustomerGroups(dataAreaId='uspm',CustomerGroupId='10')").json()
    del before["@odata.etag"], after["@odata.etag"]
    assert after == before


def test_an_incremental_export_goes_on_from_the_last_one(
    api: httpx.Client, plain: httpx.Client, control: httpx.Client, sandbox: Sandbox
) -> None:
    """entity-change-track.md: first all, then changes, never deletions; for each company its own position."""
    assert ids(export(api, plain)) == ["10"]
    assert ids(export(api, plain)) == []
    add_group(sandbox, "20")
    add_group(sandbox, "30", "gbpm")
    assert ids(export(api, plain)) == ["20"]
    assert ids(export(api, plain, legalEntityId="GBPM")) == ["10", "30"]
    api.patch("CustomerGroups(dataAreaId='uspm',CustomerGroupId='10')", json={"Description": "Quays"})
    api.delete("CustomerGroups(dataAreaId='uspm',CustomerGroupId='20')")
    (changed,) = rows(export(api, plain))
    assert (changed["CUSTOMERGROUPID"], changed["DESCRIPTION"]) == ("10", "Quays")


def test_a_lost_package_is_had_again_by_its_execution(
    api: httpx.Client, plain: httpx.Client, control: httpx.Client, sandbox: Sandbox
) -> None:
    """data-management-api.md: reExecute; that it gives the rows of that execution again is an assumption."""
    export(api, plain, execution="first")
    assert "already exists" in refused(api, "ExportToPackage", **order("first"))
    add_group(sandbox, "20")
    assert ids(export(api, plain, execution="first", reExecute=True)) == ["10"]
    assert ids(export(api, plain)) == [], "the position moved past what the execution was run for"


def test_previews_move_nothing(api: httpx.Client, plain: httpx.Client, control: httpx.Client, sandbox: Sandbox) -> None:
    """data-management-api.md: ExportToPackagePreview takes a number of rows, 0 for all; a client's own name for it."""
    add_group(sandbox, "20")
    assert ids(export(api, plain, "ExportToPackagePreview", count=1)) == ["10"]
    assert ids(export(api, plain, "ExportToPackagePreviewAsync", exportPreviewCount=0)) == ["10", "20"]
    assert ids(export(api, plain, "ExportToPackageAsync")) == ["10", "20"]


def test_what_exports_refuse(api: httpx.Client, control: httpx.Client) -> None:
    """data-management-api.md: the export project must exist first; the texts are assumptions."""
    assert "does not exist" in refused(api, "ExportToPackage", **order(definitionGroupId="Nothing"))
    assert "does not exist" in refused(api, "ExportToPackage", **order(legalEntityId="XXXX"))
    assert "does not exist" in refused(api, "GetExportedPackageUrl", executionId="never")
    for wrong in (
        {"name": "", "entities": []},
        {"name": "x", "entities": [{"entity": "Shoes"}]},
        {"name": "x", "entities": [{"entity": ENTITY, "fields": ["SHOE"]}]},
        {"name": "x", "entities": [{"entity": ENTITY, "refresh": "Sometimes"}]},
    ):
        assert control.post("/export-projects", json=wrong).status_code == 400
    assert control.get("/export-projects").json()["projects"] == [
        {"name": "Groups", "entities": [{"entity": ENTITY, "refresh": "IncrementalPush", "fields": []}]}
    ]


def set_up(control: httpx.Client, sandbox: Sandbox) -> None:
    client = sandbox.info["client_id"]
    for way, activity in (("export", EXPORT), ("import", IMPORT)):
        job = {"id": activity, "way": way, "company": "USPM", "project": "Groups", "clients": [client]}
        control.post("/recurring-jobs", json=job).raise_for_status()


def test_a_queue_gives_packages_until_they_are_acknowledged(
    control: httpx.Client, queues: httpx.Client, sandbox: Sandbox
) -> None:
    """recurring-integrations.md: dequeue, download, ack with the reply as body; unacknowledged after half an hour."""
    set_up(control, sandbox)
    assert queues.get(f"dequeue/{EXPORT}").status_code == 204, "nothing yet (assumed)"
    assert control.post("/recurring-jobs/run", json={"id": EXPORT}).status_code == 200
    first = queues.get(f"dequeue/%7B{EXPORT.upper()}%7D").json()
    assert ids(queues.get(first["DownloadLocation"]).content) == ["10"]
    assert queues.get(f"dequeue/{EXPORT}").status_code == 204
    sandbox.clock.advance(timedelta(minutes=31))
    second = queues.get(f"dequeue/{EXPORT}").json()
    assert second["CorrelationId"] == first["CorrelationId"]
    assert queues.post(f"ack/{EXPORT}", json=first).status_code == 400, "that receipt has run out (assumed)"
    assert queues.post(f"ack/{EXPORT}", json=second).status_code == 200
    sandbox.clock.advance(timedelta(minutes=31))
    with signed_in(sandbox, "finance", "/api/connector/") as later:
        assert later.get(f"dequeue/{EXPORT}").status_code == 204


def test_files_of_a_queue_live_seven_days(control: httpx.Client, queues: httpx.Client, sandbox: Sandbox) -> None:
    """recurring-integrations.md."""
    set_up(control, sandbox)
    with signed_in(sandbox, "finance", "/api/connector/") as later:
        control.post("/recurring-jobs/run", json={"id": EXPORT})
        url = later.get(f"dequeue/{EXPORT}").json()["DownloadLocation"]
    control.post("/clock/advance", json={"days": 8})
    with signed_in(sandbox, "finance", "/api/connector/") as later:
        assert later.get(url).status_code == 404


def test_a_queue_takes_files_and_packages(
    control: httpx.Client, queues: httpx.Client, api: httpx.Client, plain: httpx.Client, sandbox: Sandbox
) -> None:
    """recurring-integrations.md: the body is a file of the entity, or a package; the reply is the message's id."""
    set_up(control, sandbox)
    package = export(api, plain)
    api.delete("CustomerGroups(dataAreaId='uspm',CustomerGroupId='10')")
    file = b"CUSTOMERGROUPID,DESCRIPTION\r\n77,Locks\r\n"
    for body, group in ((file, "77"), (package, "10")):
        message = queues.post(f"enqueue/{IMPORT}", params={"entity": ENTITY}, content=body).json()
        seen = [do(api, "GetMessageStatus", messageId=message) for _ in range(3)]
        assert seen == ["Preprocessing", "Processing", "Processed"]
        assert api.get(f"CustomerGroups(dataAreaId='uspm',CustomerGroupId='{group}')").status_code == 200
    broken = queues.post(f"enqueue/{IMPORT}", params={"entity": "Shoes"}, content=file).json()
    seen = [do(api, "GetMessageStatus", messageId=broken) for _ in range(3)]
    assert seen[-1] == "ProcessedWithErrors"
    foreign = queues.post(f"enqueue/{IMPORT}", params={"entity": ENTITY, "company": "XXXX"}, content=file).json()
    assert do(api, "GetMessageStatus", messageId=foreign) == "PreProcessingError"


def test_a_queue_knows_its_applications(control: httpx.Client, queues: httpx.Client, sandbox: Sandbox) -> None:
    """recurring-integrations.md: the job lists the application; the status for others is an assumption."""
    stranger = {"id": EXPORT, "way": "export", "company": "USPM", "project": "Groups", "clients": [str(uuid.uuid4())]}
    control.post("/recurring-jobs", json=stranger).raise_for_status()
    assert queues.get(f"dequeue/{EXPORT}").status_code == 403
    assert queues.get(f"dequeue/{uuid.uuid4()}").status_code == 404
    set_up(control, sandbox)
    assert queues.post(f"enqueue/{EXPORT}", content=b"x").status_code == 400
    assert queues.get(f"dequeue/{IMPORT}").status_code == 400
    unknown = queues.put(f"dequeue/{EXPORT}")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (501, "SandboxNotImplemented")
    for wrong in ({"id": "no guid", "way": "import", "company": "x"}, {"id": EXPORT, "way": "export", "company": "x"}):
        assert control.post("/recurring-jobs", json=wrong).status_code == 400
    assert control.post("/recurring-jobs/run", json={"id": IMPORT}).status_code == 400
