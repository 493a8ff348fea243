"""Whatever is asked of the sandbox's Finance, it answers: with what was asked for, a recorded refusal, or 501.

Requests are made up from the service's own description (`$metadata`), then bent. `make fuzz` makes up far more of them.
"""

from __future__ import annotations

import io
import json
import uuid
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree as ET

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualsync_sandbox.clock import Clock
from dualsync_sandbox.finance import metadata
from dualsync_sandbox.finance.api import ROOT, FinanceApi
from dualsync_sandbox.finance.data_management.archive import HEADER, MANIFEST, Content, write_package
from dualsync_sandbox.finance.data_management.recurring import ROOT as QUEUES
from dualsync_sandbox.gateway.limits import Limits
from dualsync_sandbox.gateway.trace import Writes
from dualsync_sandbox.protocol.http import Call, Reply, parse_options
from dualsync_sandbox.schema import SystemSchema
from dualsync_sandbox.store import Store

BASE = "https://org.operations.dynamics.com"
NAMESPACE = metadata.NAMESPACE
#: Refused as the service refuses, or as the sandbox says that it does not play something.
EXPECTED = {200, 201, 204, 400, 403, 404, 405, 501}
ACTIVITIES = [str(uuid.UUID(int=number)) for number in range(2)]
LONG = "*LONG*"
WEIRD = [
    *("", "'", "''", "(", ")", "((((", "%", "%00", "%2F", "$", "@p1", "null", "1e999999999", "-", "²", "\0", "\ud7ff"),
    *("[", "]", "{}", "\\", ";", ",", " ", "*", "0x", LONG, "2026-02-30", "0000-00-00", "💥", "a/b"),
]
LITERALS = [
    *("null", "true", "'x'", "'it''s'", "'*'", "'a*b'", "5", "-0.5", "1E400", "2026-01-01", "2026-01-01T12:00:00Z"),
    *(f"{NAMESPACE}.NoYes'Yes'", f"{NAMESPACE}.NoYes'Perhaps'", f"{NAMESPACE}.NoYes''", "X'y'", "now()"),
    *("'uspm'", "'USPM'", "'10'", "00000000-0000-0000-0000-000000000001", "9223372036854775808"),
]
ACTIONS = [
    *("GetAzureWriteUrl", "ImportFromPackage", "ExportToPackage", "ExportToPackagePreview", "GetExportedPackageUrl"),
    *("GetExecutionSummaryStatus", "GetExecutionErrors", "GenerateImportTargetErrorKeysFile", "GetMessageStatus"),
    *("GetImportTargetErrorKeysFileUrl", "GetImportStagingErrorFileUrl", "GetEntitySequence", "Nothing"),
]
ARGUMENTS = [
    *("uniqueFileName", "packageUrl", "definitionGroupId", "executionId", "execute", "overwrite", "legalEntityId"),
    *("packageName", "reExecute", "count", "entityName", "messageId"),
]
OTHERS = [
    "",
    "$metadata",
    "$batch",
    "nothing",
    "a(b",
    "%zz",
    "//",
    "projectsv2",
    "DataManagementDefinitionGroups",
    "(",
    "$x",
]
BROKEN = [
    b"",
    b"{",
    b"[]",
    b"\xff",
    b'{"a":' * 3000,
    b'{"Description":"\\ud800"}',
    b'{"Rate":1e999999999}',
    b'{"x":NaN}',
]


class Described:
    """What the service says about itself: sets with their keys, properties, enum members."""

    def __init__(self) -> None:
        document = ET.fromstring(metadata.csdl())
        edm = "{http://docs.oasis-open.org/odata/ns/edm}"
        kinds = {f"{NAMESPACE}.{item.get('Name')}": item for item in document.iter(f"{edm}EntityType")}
        self.types: dict[str, str] = {}
        self.keys: dict[str, list[str]] = {}
        self.properties: dict[str, list[str]] = {}
        for entity_set in document.iter(f"{edm}EntitySet"):
            name, kind = str(entity_set.get("Name")), kinds[str(entity_set.get("EntityType"))]
            self.keys[name] = [str(item.get("Name")) for item in kind.iter(f"{edm}PropertyRef")]
            self.properties[name] = [str(item.get("Name")) for item in kind.iter(f"{edm}Property")]
            self.types |= {f"{name}.{item.get('Name')}": str(item.get("Type")) for item in kind.iter(f"{edm}Property")}
        self.members = {
            f"{NAMESPACE}.{item.get('Name')}": [str(member.get("Name")) for member in item]
            for item in document.iter(f"{edm}EnumType")
        }
        self.sets = sorted(self.keys)


DESCRIBED = Described()
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5), st.sampled_from(LITERALS),
    st.lists(st.integers(), max_size=2), st.dictionaries(st.text(max_size=2), st.none(), max_size=1),
)  # fmt: skip


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FinanceApi]:
    clock = Clock()
    store = Store(tmp_path_factory.mktemp("fuzz") / "finance.db", SystemSchema.load("finance"), clock)
    with store.transaction() as tx:
        tx.insert("LegalEntities", {"LegalEntityId": "USPM"})
        tx.insert("CustomerGroups", {"dataAreaId": "uspm", "CustomerGroupId": "10"})
    made = FinanceApi(store, Writes(), "uspm", Limits(clock))
    made.packages.exports.set_up(name="Groups", entities=[{"entity": "Customer groups", "refresh": "IncrementalPush"}])
    for activity, way in zip(ACTIVITIES, ("import", "export"), strict=True):
        made.packages.recurring.set_up(id=activity, way=way, project="Groups", company="uspm", clients=["me"])
    yield made
    store.close()


@dataclass(frozen=True, repr=False)
class Asked:
    """A request to one of the services of Finance."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes
    root: str = ROOT

    def __repr__(self) -> str:
        return f"{self.method} {self.root}/{self.url[:500]} {self.headers} {self.body[:500]!r}"


def ask(api: FinanceApi, asked: Asked) -> Reply:
    path, _, query = asked.url.partition("?")
    options = parse_options(query)
    call = Call(asked.method, BASE, asked.root, path.strip("/"), options, asked.headers, asked.body, caller="me")
    if asked.root == QUEUES:
        return api.packages.recurring.handle(call)
    return api.handle(call)


class Writer:
    """Writes requests, by chance, out of what the service describes."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.set = str(draw(st.sampled_from(DESCRIBED.sets)))

    def one(self, *choices: object) -> str:
        return str(self.draw(st.sampled_from(choices))).replace(LONG, "9" * 5000)

    def odds(self, most: int) -> bool:
        """Whether something happens that happens once in ``most`` times."""
        return self.draw(st.integers(1, most)) == most

    def name(self) -> str:
        return self.one(*WEIRD) if self.odds(8) else self.one(*DESCRIBED.properties[self.set])

    def names(self) -> str:
        return ",".join(self.name() for _ in range(self.draw(st.integers(0, 3))))

    def literal(self, name: str = "") -> str:
        """A literal, mostly one that the property of this name takes."""
        kind = DESCRIBED.types.get(f"{self.set}.{name}", "")
        if not kind or self.odds(4):
            return self.one(*WEIRD) if self.odds(3) else self.one(*LITERALS, self.draw(st.integers()))
        if kind in DESCRIBED.members:
            return f"{kind}'{self.one(*DESCRIBED.members[kind])}'"
        chosen: dict[str, st.SearchStrategy[object]] = {
            "Edm.String": st.text("ab*%'", max_size=4).map(lambda text: "'" + text.replace("'", "''") + "'"),
            "Edm.Decimal": st.decimals(allow_nan=False, allow_infinity=False),
            "Edm.DateTimeOffset": st.datetimes().map(lambda moment: f"{moment.isoformat()}Z"),
            "Edm.Guid": st.uuids(),
        }
        return str(self.draw(chosen.get(kind, st.integers())))

    def condition(self, depth: int = 0) -> str:
        kind = self.draw(st.integers(0, 5 if depth < 3 else 2))
        name = self.name()
        if kind == 0:
            return f"{name} {self.one('eq', 'ne', 'gt', 'le', 'in', 'has')} {self.literal(name)}"
        if kind == 1:
            return f"{name} {self.one('add', 'sub', 'mul', 'div', 'divby', 'mod')} 1 eq {self.literal(name)}"
        if kind == 2:
            return self.one(*WEIRD, "contains(a,'b')", f"{self.name()} eq {self.name()}")
        if kind == 3:
            return f"not ({self.condition(depth + 1)})"
        return f"({self.condition(depth + 1)} {self.one('and', 'or')} {self.condition(depth + 1)})"

    def query(self) -> str:
        options = {
            "$select": self.names,
            "$filter": self.condition,
            "$orderby": lambda: f"{self.name()} {self.one('', 'asc', 'desc', 'up')}",
            "$top": self.literal,
            "$skip": self.literal,
            "$count": lambda: self.one("true", "false", "1"),
            "$expand": self.name,
            "$format": lambda: self.one("json", "xml"),
            "$apply": self.literal,
            "$skiptoken": self.literal,
            "cross-company": lambda: self.one("true", "false", "x"),
        }
        chosen = self.draw(st.lists(st.sampled_from(sorted(options)), max_size=3, unique=True))
        return "&".join(f"{name}={quote(options[name]())}" for name in chosen)

    def key(self) -> str:
        names = list(DESCRIBED.keys[self.set])
        if self.odds(4):
            names = names[1:] if self.odds(2) else [*names, self.name()]
        names = self.draw(st.permutations(names))
        known = {"dataAreaId": "'uspm'", "CustomerGroupId": "'10'"}
        parts = [
            f"{name}={self.literal(name) if self.odds(3) else known.get(name, self.literal(name))}" for name in names
        ]
        return self.literal() if self.odds(10) else ",".join(parts)

    def target(self) -> str:
        kind = self.draw(st.integers(0, 7))
        if kind == 0:
            return self.one(*OTHERS)
        if kind == 1:
            return f"DataManagementDefinitionGroups{self.one('', '/x')}/{NAMESPACE}.{self.one(*ACTIONS)}"
        below = f"/{self.one('$count', '$value', '$ref', self.name(), f'{NAMESPACE}.close')}" if self.odds(4) else ""
        if kind < 4:
            return self.set + below
        return f"{self.set}({quote(self.key())}){below}"

    def row(self) -> dict[str, Any]:
        names = [self.name() for _ in range(self.draw(st.integers(0, 4)))]
        row: dict[str, Any] = {name: self.draw(VALUES) for name in names}
        if self.odds(2):
            row |= {name: self.literal(name).strip("'") for name in DESCRIBED.keys[self.set]}
        return row

    def arguments(self) -> dict[str, Any]:
        known = {
            "packageUrl": "https://x/blobs/a?sig=1",
            "definitionGroupId": "Groups",
            "executionId": "e",
            "execute": True,
            "overwrite": True,
            "legalEntityId": "USPM",
            "reExecute": True,
            "packageName": "p",
            "count": self.draw(st.integers()),
        }
        names = self.draw(st.lists(st.sampled_from(ARGUMENTS), max_size=7, unique=True))
        return {name: self.draw(VALUES) if self.odds(4) else known.get(name, "x") for name in names}

    def body(self) -> bytes:
        if self.odds(5):
            return self.draw(st.sampled_from(BROKEN))
        return msgspec.json.encode(self.arguments() if self.odds(3) else self.row())

    def headers(self) -> dict[str, str]:
        found = {
            "prefer": self.one("return=minimal", "odata.maxpagesize=x", 'a,,=;"', "odata.continue-on-error"),
            "if-match": self.one("*", 'W/"JzEsNTYzNzE0NDU3Nic="', "x"),
            "content-type": self.one("application/json", "multipart/mixed", "multipart/mixed; boundary=b"),
        }
        return {name: value for name, value in found.items() if self.odds(2)}


METHODS = ["GET", "GET", "GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS"]


@st.composite
def requests(draw: st.DrawFn) -> Asked:
    writer = Writer(draw)
    return Asked(writer.one(*METHODS), f"{writer.target()}?{writer.query()}", writer.headers(), writer.body())


@st.composite
def orders(draw: st.DrawFn) -> Asked:
    """Actions of data management, and calls of recurring integrations."""
    writer = Writer(draw)
    if writer.odds(2):
        url = f"DataManagementDefinitionGroups/{NAMESPACE}.{writer.one(*ACTIONS)}"
        return Asked("POST", url, {}, msgspec.json.encode(writer.arguments()))
    verb = writer.one("enqueue", "dequeue", "ack", "download", "nothing")
    activity = writer.one(*ACTIVITIES, f"{{{ACTIVITIES[0]}}}", "x", "")
    query = writer.one("", "?entity=Customer%20groups", "?entity=x&company=USPM", "?correlation-id=x")
    body = draw(
        st.sampled_from([*BROKEN, b"CUSTOMERGROUPID\r\n10\r\n", b"PK\x03\x04", b"\xff\xfeA", b'{"CorrelationId":5}'])
    )
    return Asked(writer.one("GET", "POST", "PUT"), f"{verb}/{activity}{query}", {}, body, QUEUES)


def check(reply: Reply) -> None:
    """It is what the service, or the sandbox, says it answers."""
    assert reply.status in EXPECTED, (reply.status, reply.body)
    if "multipart" in reply.headers.get("content-type", ""):
        assert b"HTTP/1.1 500" not in reply.body
        return
    if reply.status >= 400:
        body = json.loads(reply.body)
        if reply.status != 404 or "error" in body:
            error = body["error"]
            assert (error["code"] == "SandboxNotImplemented") == (reply.status == 501)
            assert error["message"]
    elif "json" in reply.headers.get("content-type", ""):
        json.loads(reply.body)


@given(asked=requests())
def test_every_request_is_answered(api: FinanceApi, asked: Asked) -> None:
    check(ask(api, asked))


@given(asked=orders())
def test_every_order_is_answered(api: FinanceApi, asked: Asked) -> None:
    check(ask(api, asked))


@given(
    parts=st.lists(requests(), max_size=3),
    broken=st.sampled_from([None, b"\r\n", b"--b", b"Content-Type", b"HTTP/1.1"]),
)
def test_every_batch_is_answered(api: FinanceApi, parts: list[Asked], broken: bytes | None) -> None:
    written = []
    for part in parts:
        line = f"{part.method} {part.url} HTTP/1.1".encode("latin-1", errors="replace")
        written.append(b"--b\r\nContent-Type: application/http\r\n\r\n" + line + b"\r\n\r\n" + part.body + b"\r\n")
    body = b"".join(written) + b"--b--\r\n"
    if broken is not None:
        body = body.replace(broken, b"", 1)
    headers = {"content-type": "multipart/mixed; boundary=b", "prefer": "odata.continue-on-error"}
    check(ask(api, Asked("POST", "$batch", headers, body)))


PACKAGE = Content(
    "Customer groups", "", "FullPush", ["CustomerGroupId", "Description"], [["10", "Ports"], ["", "x" * 300]]
)
PIECES = ["<", ">", "Customer groups", "EntityMap", "CUSTOMERGROUPID", "DefinitionGroup", "No", "1", '"', "CSV-Unicode"]


@given(
    piece=st.sampled_from(PIECES),
    other=st.sampled_from([*WEIRD, "Yes", "&#0;", "<!DOCTYPE a>", "Projects V2"]),
    where=st.sampled_from([MANIFEST, HEADER, "Customer groups.csv"]),
    encoding=st.sampled_from(["utf-16", "utf-8", "utf-8-sig"]),
    missing=st.booleans(),
)
def test_every_package_is_imported_or_fails(
    api: FinanceApi, piece: str, other: str, where: str, encoding: str, missing: bool
) -> None:
    """A job ends, whatever is in the package; what is not played says so at once."""
    content = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(write_package("p", [PACKAGE]))) as given_files,
        zipfile.ZipFile(content, "w") as made,
    ):
        for name in given_files.namelist():
            data = given_files.read(name)
            if name == where:
                text = data.decode("utf-16" if name.endswith("xml") else "utf-8-sig")
                data = text.replace(piece, other.replace(LONG, "9" * 5000), 1).encode(encoding, errors="replace")
            if name != where or not missing:
                made.writestr(name, data)
    place = json.loads(msgspec.json.decode(act(api, "GetAzureWriteUrl", uniqueFileName="a.zip").body)["value"])
    path, _, query = place["BlobUrl"].removeprefix(f"{BASE}/blobs/").partition("?")
    put = Call("PUT", BASE, "/blobs", path, parse_options(query), {"x-ms-blob-type": "BlockBlob"}, content.getvalue())
    assert api.packages.blobs.handle(put).status == 201
    order = {"packageUrl": place["BlobUrl"], "definitionGroupId": "p", "executionId": "", "execute": True}
    reply = act(api, "ImportFromPackage", **order, overwrite=True, legalEntityId="USPM")
    check(reply)
    if reply.status == 200:
        execution = json.loads(reply.body)["value"]
        states = [
            json.loads(act(api, "GetExecutionSummaryStatus", executionId=execution).body)["value"] for _ in range(3)
        ]
        assert states[-1] in ("Succeeded", "PartiallySucceeded", "Failed")
        check(act(api, "GetExecutionErrors", executionId=execution))


def act(api: FinanceApi, action: str, **arguments: object) -> Reply:
    url = f"DataManagementDefinitionGroups/{NAMESPACE}.{action}"
    return ask(api, Asked("POST", url, {}, msgspec.json.encode(arguments)))
