"""The data package client against a scripted Finance: shapes of replies, lost answers, waiting, errors by row."""

import csv
import io
import json
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx
import pytest
from lxml import etree

from dualsync.errors import BrokenProtocol, BrokenReply, Refused, TimedOut, Unavailable
from dualsync.settings import Retries
from dualsync.systems.finance import Finance, classify
from dualsync.systems.finance.package_files import build_package, cell, read_table
from dualsync.systems.finance.packages import ImportLimits, ImportResult, Packages, RowError
from dualsync.systems.http import Service

ENTITY, TARGET = "Things", "ThingEntity"
COLUMNS = ("ThingId", "Name")
ROWS: list[dict[str, Any]] = [{"ThingId": "a1", "Name": "First"}, {"ThingId": "B2", "Name": None}]
NAMESPACE = "{http://schemas.microsoft.com/dynamics/2015/01/DataManagement}"
BLOB = "https://store.example/dmf/x.zip?sig=secret"


class Farm:
    """Plays Finance and its storage: one answer for each action, the last one again and again."""

    def __init__(self, **answers: list[Any]) -> None:
        usual: dict[str, list[Any]] = {
            "GetAzureWriteUrl": [json.dumps({"BlobId": "{1}", "BlobUrl": BLOB})],
            "ImportFromPackage": ["id"],
            "GetExecutionSummaryStatus": ["NotRun", "Executing", "Succeeded"],
            "GetExecutionErrors": ["[]"],
            "GetImportStagingErrorFileUrl": [""],
            "GenerateImportTargetErrorKeysFile": [False],
            "GetImportTargetErrorKeysFileUrl": [""],
        }
        self.answers = usual | answers
        self.asked: list[tuple[str, Any]] = []
        self.files: dict[str, bytes] = {}
        self.transfers: list[httpx.Request] = []
        self.slept: list[float] = []
        self.now = 0.0
        self.nested = False
        self.storage = httpx.Response(201)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.host == "store.example":
            self.transfers.append(request)
            if request.method == "GET":
                return httpx.Response(200, content=self.files[str(request.url)])
            return self.storage
        action = request.url.path.rsplit(".", 1)[-1]
        self.asked.append((action, json.loads(request.content)))
        waiting = self.answers[action]
        answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return answer
        value = {"value": answer} if self.nested else answer
        return httpx.Response(200, json={"@odata.context": "x", "value": value})

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def actions(self) -> list[str]:
        return [action for action, _ in self.asked]

    @property
    def finance(self) -> Finance:
        retries = Retries(attempts=2, first_wait=0.001)
        service = Service(
            "Finance",
            "https://finance.example/data",
            httpx.Client(transport=httpx.MockTransport(self), headers={"Authorization": "Bearer token"}),
            classify=classify,
            retries=retries,
            sleep=self.sleep,
        )
        storage = httpx.Client(transport=httpx.MockTransport(self))
        limits = ImportLimits(first_wait=1, longest_wait=4, whole=20)
        packages = Packages(service, storage, retries=retries, sleep=self.sleep, clock=lambda: self.now, limits=limits)
        return Finance(service, packages)


def load(farm: Farm, rows: list[dict[str, Any]] = ROWS) -> ImportResult:
    return farm.finance.import_rows(ENTITY, COLUMNS, rows, "USPM", target=TARGET, key=["ThingId"])


def table(*rows: dict[str, str]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode("utf-8-sig")


def refusal(message: str) -> httpx.Response:
    inner = {"message": message}
    return httpx.Response(400, json={"error": {"message": "An error has occurred.", "innererror": inner}})


@pytest.mark.parametrize("nested", [False, True])
def test_rows_are_uploaded_and_imported_in_both_shapes_of_answers(nested: bool) -> None:
    farm = Farm()
    farm.nested = nested
    assert load(farm) == ImportResult(2)
    (upload,) = farm.transfers
    assert str(upload.url) == BLOB
    assert upload.headers["x-ms-blob-type"] == "BlockBlob"
    assert "Authorization" not in upload.headers
    assert farm.slept == [1, 2]
    given = dict(farm.asked)["ImportFromPackage"]
    assert given.pop("executionId") == farm.asked[-1][1]["executionId"]
    assert given == {
        "packageUrl": BLOB,
        "definitionGroupId": "dualsync",
        "execute": True,
        "overwrite": True,
        "legalEntityId": "USPM",
    }


def test_without_rows_nothing_is_asked() -> None:
    farm = Farm()
    assert load(farm, []) == ImportResult(0)
    assert not farm.asked


def test_a_client_without_the_package_api_says_so() -> None:
    farm = Farm()
    with pytest.raises(ValueError, match="no package API"):
        Finance(farm.finance._service).import_rows(ENTITY, COLUMNS, ROWS, "USPM", target=TARGET, key=["ThingId"])


def test_the_package_names_every_column_and_holds_the_rows() -> None:
    """The field map names all columns, or Finance stages none [FO4]."""
    rows: list[dict[str, Any]] = [{"ThingId": UUID(int=1), "Name": 'say "hi", all'}, {"ThingId": "ü"}]
    with zipfile.ZipFile(io.BytesIO(build_package("group", ENTITY, TARGET, COLUMNS, rows))) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    assert sorted(files) == ["Manifest.xml", "PackageHeader.xml", "rows.csv"]
    manifest = etree.fromstring(files["Manifest.xml"])
    assert manifest.tag == f"{NAMESPACE}DataManagementPackageManifest"
    data = manifest.find(f".//{NAMESPACE}DataManagementPackageEntityData")
    assert data is not None
    names = [etree.QName(element).localname for element in data]
    assert names == sorted(names)
    assert data.findtext(f"{NAMESPACE}EntityName") == ENTITY
    assert data.findtext(f"{NAMESPACE}TargetEntity") == TARGET
    assert data.findtext(f"{NAMESPACE}InputFilePath") == "rows.csv"
    assert [e.text for e in data.iter(f"{NAMESPACE}EntityField")] == ["THINGID", "NAME"]
    assert [e.text for e in data.iter(f"{NAMESPACE}XMLField")] == ["THINGID", "NAME"]
    assert read_table(files["rows.csv"]) == [
        {"thingid": str(UUID(int=1)), "name": 'say "hi", all'},
        {"thingid": "ü", "name": ""},
    ]
    header = etree.fromstring(files["PackageHeader.xml"])
    assert header.findtext(f"{NAMESPACE}PackageType") == "DefinitionGroup"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (7, "7"),
        (Decimal("0.000001"), "0.000001"),
        (Decimal("1E+2"), "100"),
        (date(2026, 3, 1), "2026-03-01"),
        (datetime(2026, 3, 1, 8, 5, tzinfo=UTC), "2026-03-01 08:05:00"),
    ],
)
def test_values_have_one_text(value: Any, text: str) -> None:
    assert cell(value) == text


@pytest.mark.parametrize("value", [1.5, True, b"x"])
def test_values_without_a_certain_text_are_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        cell(value)


def test_refused_rows_come_back_by_key_with_their_reasons() -> None:
    listed = [{"RecordId": "a1", "Field": "", "ErrorMessage": "Infolog: Error: Name is taken.; Error: Look."}]
    farm = Farm(
        GetExecutionSummaryStatus=["PartiallySucceeded"],
        GetExecutionErrors=[json.dumps(listed)],
        GenerateImportTargetErrorKeysFile=[True],
        GetImportTargetErrorKeysFileUrl=["", "https://store.example/keys?sig=1"],
        GetImportStagingErrorFileUrl=["https://store.example/staging?sig=2"],
    )
    farm.files["https://store.example/keys?sig=1"] = table({"ThingId": "A1"}, {"ThingId": "c3"})
    farm.files["https://store.example/staging?sig=2"] = table(
        {"THINGID": "b2", "NAME": "", "ErrorMessage": "Name must be filled in."}
    )
    rows = [*ROWS, {"ThingId": "c3"}, {"ThingId": "d4"}]
    result = load(farm, rows)
    assert result.written == 1
    assert sorted(result.errors, key=lambda error: error.key) == [
        RowError(("B2",), "Name must be filled in."),
        RowError(("a1",), "Name is taken. Look."),
        RowError(("c3",), "Finance refused the row without a reason"),
    ]


@pytest.mark.parametrize("state", ["PartiallySucceeded", "Failed", "Canceled"])
def test_an_import_that_names_no_rows_wrote_nothing_for_certain(state: str) -> None:
    listed = [{"RecordId": "", "Field": "", "ErrorMessage": "The package holds no Manifest.xml."}]
    farm = Farm(GetExecutionSummaryStatus=[state], GetExecutionErrors=[json.dumps(listed)])
    with pytest.raises(Refused, match="The package holds no Manifest") as caught:
        load(farm)
    assert caught.value.code == state


def test_a_job_without_an_end_is_given_up_in_time() -> None:
    farm = Farm(GetExecutionSummaryStatus=["Executing"])
    with pytest.raises(TimedOut, match="does not end"):
        load(farm)
    assert farm.slept == [1, 2, 4, 4, 4, 4]


def test_another_import_is_a_reason_to_come_back() -> None:
    message = "Another import is running (execution 1). Imports cannot run in parallel."
    with pytest.raises(Unavailable, match="another import"):
        load(Farm(ImportFromPackage=[refusal(message)]))
    with pytest.raises(Refused, match="The company XX does not exist"):
        load(Farm(ImportFromPackage=[refusal("The company XX does not exist.")]))


def test_a_lost_answer_is_looked_up_and_the_import_not_begun_twice() -> None:
    farm = Farm(ImportFromPackage=[httpx.ReadTimeout("lost")])
    assert load(farm) == ImportResult(2)
    assert farm.actions().count("ImportFromPackage") == 1
    farm = Farm(ImportFromPackage=[httpx.ReadTimeout("lost")], GetExecutionSummaryStatus=["Unknown"])
    with pytest.raises(TimedOut):
        load(farm)
    assert farm.actions().count("ImportFromPackage") == 1


@pytest.mark.parametrize("answer", ["https://store.example/x", "[]", None, "{}"])
def test_an_answer_without_an_address_is_broken(answer: Any) -> None:
    with pytest.raises(BrokenReply, match="no address"):
        load(Farm(GetAzureWriteUrl=[answer]))


@pytest.mark.parametrize("answer", ["not json", '["text"]', "3"])
def test_a_list_of_errors_of_another_shape_is_broken(answer: str) -> None:
    with pytest.raises(BrokenReply, match="cannot be read"):
        load(Farm(GetExecutionSummaryStatus=["Failed"], GetExecutionErrors=[answer]))


def test_rows_never_travel_without_encryption() -> None:
    with pytest.raises(BrokenProtocol, match="without encryption"):
        load(Farm(GetAzureWriteUrl=[json.dumps({"BlobUrl": "http://store.example/x"})]))


def test_a_refusal_of_the_storage_says_its_code() -> None:
    farm = Farm()
    farm.storage = httpx.Response(403, text="<Error><Code>AuthenticationFailed</Code></Error>")
    with pytest.raises(Refused, match="refuses the file: AuthenticationFailed"):
        load(farm)


def test_imports_of_one_client_wait_for_each_other() -> None:
    from concurrent.futures import ThreadPoolExecutor

    running: list[str] = []
    farm = Farm(GetExecutionSummaryStatus=["Succeeded"])
    answer: Callable[[httpx.Request], httpx.Response] = farm.__call__

    def watched(request: httpx.Request) -> httpx.Response:
        action = request.url.path.rsplit(".", 1)[-1]
        if action == "ImportFromPackage":
            assert not running
            running.append("job")
        if action == "GetExecutionSummaryStatus":
            running.clear()
        return answer(request)

    service = Service(
        "Finance",
        "https://finance.example/data",
        httpx.Client(transport=httpx.MockTransport(watched)),
        classify=classify,
        retries=Retries(),
    )
    packages = Packages(service, httpx.Client(transport=httpx.MockTransport(watched)), retries=Retries())
    with ThreadPoolExecutor(4) as pool:
        results = list(
            pool.map(
                lambda _: packages.import_rows(ENTITY, COLUMNS, ROWS, "USPM", target=TARGET, key=["ThingId"]), range(8)
            )
        )
    assert results == [ImportResult(2)] * 8
