"""Whatever is asked of the sandbox's Dataverse, it answers: with what was asked for, a documented refusal, or 501.

Requests are made up from the service's own description (`EntityDefinitions`, `$metadata`), then bent. `make fuzz` makes
up far more of them.
"""

from __future__ import annotations

import json
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
from dualsync_sandbox.dataverse.api import ROOT, DataverseApi
from dualsync_sandbox.dataverse.definitions.metadata import Metadata
from dualsync_sandbox.dataverse.errors import CODES
from dualsync_sandbox.dataverse.model import Model
from dualsync_sandbox.gateway.trace import Writes
from dualsync_sandbox.protocol.http import Call, Reply, parse_options
from dualsync_sandbox.schema import SystemSchema
from dualsync_sandbox.store import Store

BASE = "https://org.crm.dynamics.com"
#: Refused as the service refuses, or as the sandbox says that it does not play something.
EXPECTED = {200, 201, 204, 304, 400, 404, 405, 412, 414, 501}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataverseApi]:
    store = Store(tmp_path_factory.mktemp("fuzz") / "dataverse.db", SystemSchema.load("dataverse"), Clock())
    with store.transaction() as tx:
        for number, row_id in enumerate(IDS):
            company = {"cdm_companyid": row_id, "cdm_companycode": f"C{number}"}
            tx.insert("cdm_company", company)
            tx.insert("account", {"accountid": row_id, "accountnumber": f"A{number}", "msdyn_company": row_id})
            tx.insert("contact", {"contactid": row_id, "lastname": "Reed"})
            tx.insert("cdm_worker", {"cdm_workerid": row_id, "cdm_workernumber": f"W{number}"})
            order = {"customerid": row_id, "customerid@type": "account", "ordernumber": f"O{number}"}
            tx.insert("salesorder", {"salesorderid": row_id, "name": "Order", **order})
    yield DataverseApi(store, Writes())
    store.close()


def ask(api: DataverseApi, asked: Asked) -> Reply:
    path, _, query = asked.url.partition("?")
    return api.handle(Call(asked.method, BASE, ROOT, path.strip("/"), parse_options(query), asked.headers, asked.body))


class Described:
    """What the service says about itself in ``$metadata``: sets, properties, navigation properties, actions."""

    def __init__(self) -> None:
        call = Call("GET", BASE, ROOT, "$metadata", {}, {})
        document = ET.fromstring(Metadata(Model(SystemSchema.load("dataverse"))).csdl(call).body)
        edm = "{http://docs.oasis-open.org/odata/ns/edm}"
        tags = (f"{edm}Property", f"{edm}NavigationProperty")
        of_types = {
            item.get("Name"): {str(child.get("Name")): str(child.get("Type")) for child in item if child.tag in tags}
            for item in document.iter(f"{edm}EntityType")
        }
        #: By entity set, its properties with their types.
        self.sets = {
            str(item.get("Name")): of_types[str(item.get("EntityType")).rpartition(".")[2]]
            for item in document.iter(f"{edm}EntitySet")
            if not str(item.get("Name")).endswith("Definitions")
        }
        self.names = sorted({name for properties in self.sets.values() for name in properties})
        self.actions = sorted({str(item.get("Name")) for item in document.iter(f"{edm}Action")})


DESCRIBED = Described()
IDS = [f"00000000-0000-0000-0000-00000000000{number}" for number in range(4)]
#: Values that properties of a type take, as literals.
FITTING = {
    "Edm.String": ["'x'", "'it''s'", "'%[a-'", "'[^]'", "''"],
    "Edm.Int32": ["5", "0", "-1", "1", "2"],
    "Edm.Int64": ["5"],
    "Edm.Decimal": ["-0.5", "5", "1E400", "0.00000000001"],
    "Edm.Double": ["0.5"],
    "Edm.Boolean": ["true", "false"],
    "Edm.Guid": IDS,
    "Edm.DateTimeOffset": ["2026-01-01T10:00:00Z", "2026-01-01T10:00:00.123456789Z"],
    "Edm.Date": ["2026-01-01"],
}
LONG = "*LONG*"
WEIRD = [
    *("", "'", "''", "(", ")", "((((", "%", "%00", "%2F", "$", "@p1", "null", "1e999999999", "-", "²", "\0", "\ud7ff"),
    *("[", "]", "{}", "\\", ";", ",", " ", "*", "0x", LONG, "2026-02-30", "0000-00-00", "💥"),
]
LITERALS = [
    *("null", "true", "false", "'x'", "'it''s'", "5", "-0.5", "1E400", "2026-01-01", "2026-01-01T10:00:00Z"),
    *("2026-01-01T10:00:00.123456789Z", "'%[a-'", "'[^]'", "Microsoft.Dynamics.CRM.X'y'", "1 add 2", "now()"),
    *IDS,
]
FUNCTIONS = ["contains", "startswith", "endswith", "length", "concat", "indexof", "any", "accounts/any"]
QUERY_FUNCTIONS = ["In", "NotIn", "Between", "LastXDays", "ContainValues"]
DEFINITIONS = ["EntityDefinitions", "RelationshipDefinitions", "GlobalOptionSetDefinitions"]
DEFINITION_KEYS = ["", "(LogicalName='account')", "(SchemaName='x')", "(x)", "(00000000-0000-0000-0000-000000000001)"]
DEFINITION_PARTS = [
    *("", "/Attributes", "/Keys", "/ManyToOneRelationships", "/OneToManyRelationships", "/Nothing", "/Keys(x)"),
    *("/Attributes(LogicalName='name')", "/Attributes(x)", "/Attributes/x/y"),
    "/Attributes/Microsoft.Dynamics.CRM.PicklistAttributeMetadata",
]
OTHERS = [
    *(
        "",
        "$metadata",
        "WhoAmI",
        "WhoAmI()",
        "WhoAmI(x)",
        "$batch",
        "BulkDelete",
        "sdkmessagefilters",
        "nothing",
        "a(b",
    ),
    *("RetrieveTotalRecordCount(EntityNames=['account'])", "RetrieveTotalRecordCount(EntityNames=@p1)", "%zz", "//"),
    *("RetrieveMetadataChanges(Query=@p1)", "RetrieveMetadataChanges", "CreateEntities", "asyncoperations"),
]
PREFERENCES = [
    *("return=representation", "odata.track-changes", "odata.maxpagesize=2", "odata.maxpagesize=x", 'a,,=;"'),
    *('odata.include-annotations="*"', "odata.track-changes,odata.maxpagesize=1", f"odata.maxpagesize={LONG}"),
]
BROKEN = [
    *(b"", b"{", b"[]", b"\xff", b'{"a":' * 3000, b'{"name":"\\ud800"}', b'{"revenue":1e999999999}', b'{"x":NaN}'),
    b'{"Targets":[{"@odata.type":5}]}',
]


class Writer:
    """Writes requests, by chance, out of what the service describes."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw
        self.set = draw(st.sampled_from(sorted(DESCRIBED.sets)))
        properties = DESCRIBED.sets[self.set]
        self._plain = sorted(name for name, kind in properties.items() if kind in FITTING)
        self._single = sorted(name for name, kind in properties.items() if kind.startswith("mscrm."))
        self._many = sorted(name for name, kind in properties.items() if kind.startswith("Collection"))

    def one(self, *choices: object) -> str:
        return str(self._draw(st.sampled_from(choices))).replace(LONG, "9" * 5000)

    def odds(self, most: int) -> bool:
        """Whether something happens that happens once in ``most`` times."""
        return self._draw(st.integers(1, most)) == most

    def name(self) -> str:
        """Mostly one of the table's own properties."""
        if self.odds(12):
            return self.one(*WEIRD)
        return self.one(*DESCRIBED.names) if self.odds(12) else self.one(*self._plain)

    def related(self) -> str:
        """Mostly one of the table's navigation properties."""
        return self.name() if self.odds(6) else self.one(*self._single, *self._many)

    def fitting(self, name: str) -> str:
        """Mostly a literal that the property takes."""
        kind = DESCRIBED.sets[self.set].get(name, "")
        return self.literal() if kind not in FITTING or self.odds(8) else self.one("null", *FITTING[kind])

    def names(self) -> str:
        return ",".join(self.name() for _ in range(self._draw(st.integers(0, 3))))

    def path(self) -> str:
        return "/".join(self.name() for _ in range(self._draw(st.integers(1, 3))))

    def literal(self) -> str:
        return self.one(*WEIRD) if self.odds(6) else self.one(*LITERALS, self._draw(st.integers()))

    def term(self) -> str:
        return self.literal() if self.odds(2) else self.path()

    def condition(self, depth: int = 0) -> str:
        kind = self._draw(st.integers(0, 6 if depth < 3 else 3))
        if kind == 0:
            name = self.term() if self.odds(4) else self.name()
            word = self.one("in", "has", "add") if self.odds(8) else self.one("eq", "ne", "gt", "le")
            return f"{name} {word} {self.fitting(name)}"
        if kind == 1:
            return f"{self.one(*FUNCTIONS)}({self.term()},{self.literal()})"
        if kind == 2:
            values = json.dumps(self._draw(st.lists(st.text(max_size=5) | st.integers() | st.none(), max_size=3)))
            values = self.one(*WEIRD) if self.odds(6) else values
            function = f"Microsoft.Dynamics.CRM.{self.one(*QUERY_FUNCTIONS)}"
            return f"{function}(PropertyName='{self.name()}',PropertyValues={values})"
        if kind == 3:
            return self.one(*WEIRD)
        if kind == 4:
            return f"({self.condition(depth + 1)} {self.one('and', 'or')} {self.condition(depth + 1)})"
        if kind == 5:
            return f"{self.related()}/{self.one('any', 'all')}(o:o/{self.one('createdon ne null', 'statecode eq 0')})"
        return f"not ({self.condition(depth + 1)})"

    def expansion(self, depth: int = 0) -> str:
        if depth == 2 or self.odds(3):
            return self.related()
        options = {
            "$select": self.one("createdon", "statecode,ownerid", "_ownerid_value", self.names()),
            "$filter": self.one("statecode eq 0", "createdon gt 2026-01-01", self.condition(2)),
            "$orderby": self.one("createdon desc", "modifiedby/fullname", self.path()),
            "$top": self.one("0", "1", self.literal()),
            "$expand": self.one("ownerid", "createdby($select=fullname)", self.expansion(depth + 1)),
        }
        kept = [f"{name}={value}" for name, value in options.items() if self.odds(3)]
        return f"{self.related()}({';'.join(kept)})"

    def cookie(self) -> str:
        last = json.dumps(self._draw(st.lists(st.integers() | st.text(max_size=5) | st.none(), max_size=3)))
        row = f'<row last="{quote(last)}" deleted="{self.one(0, 1, "x")}" version="0" until="5" />'
        inner = f'<cookie page="1">{row}</cookie>'
        twice = quote(quote(inner, safe=""), safe="")
        return f'<cookie pagenumber="2" pagingcookie="{twice}" istracking="{self.one("True", "False")}" />'

    def query(self) -> str:
        options = {
            "$select": self.names,
            "$filter": self.condition,
            "$orderby": lambda: f"{self.path()} {self.one('', 'asc', 'desc', 'up')}",
            "$top": lambda: self.one("0", "1", "2", self.literal()),
            "$count": lambda: self.one("true", "false", "1"),
            "$expand": self.expansion,
            "$skiptoken": lambda: self.one(*WEIRD) if self.odds(3) else self.cookie(),
            "$deltatoken": lambda: f"{self.literal()}!08/22/2026 10:00:00",
            "$apply": self.literal,
            "$skip": self.literal,
            "@p1": self.literal,
            "annotations": self.literal,
        }
        likely = ["$select", "$filter", "$orderby", "$top", "$count", "$expand"]
        among = sorted(options) if self.odds(4) else likely
        chosen = self._draw(st.lists(st.sampled_from(among), max_size=3, unique=True))
        return "&".join(f"{name}={quote(options[name]())}" for name in chosen)

    def key(self) -> str:
        if self.odds(3):
            name = self.name()
            return f"{name}={self.fitting(name)}"
        return self.literal() if self.odds(3) else self.one(*IDS)

    def below(self) -> str:
        if self.odds(3):
            return f"/Microsoft.Dynamics.CRM.{self.one('DeleteMultiple', 'Nothing', *DESCRIBED.actions)}"
        if self.odds(2):
            return f"/{self.one(self.name(), self.related())}{self.one('', '', '/$ref', '/$value', f'({IDS[0]})/$ref')}"
        return self.one("", "/$count", "/$value", "/$ref")

    def target(self) -> tuple[str, str]:
        """A path, and mostly a method that it takes."""
        kind = self._draw(st.integers(0, 12))
        if kind == 0:
            path = self.one(*OTHERS)
            fitting = ["POST"] if path in ("$batch", "BulkDelete") else ["GET"]
        elif kind == 1:
            path = self.one(*DEFINITIONS) + self.one(*DEFINITION_KEYS) + self.one(*DEFINITION_PARTS)
            fitting = ["GET"]
        else:
            name = self.one(*WEIRD) if self.odds(20) else self.set
            below = self.below() if self.odds(3) else ""
            path = f"{name}{below}" if kind < 7 else f"{name}({quote(self.key())}){below}"
            fitting = ["GET", "POST"] if kind < 7 else ["GET", "PATCH", "DELETE"]
            if below:
                fitting = ["POST"] if "CRM" in below else ["GET", "PUT", "DELETE", "POST"]
        return path, self.one(*METHODS) if self.odds(10) else self.one(*fitting)

    def row(self, depth: int = 0) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for _ in range(self._draw(st.integers(0, 3))):
            name = self.name()
            if self.odds(4):
                to = self.set if self.odds(2) else self.one("systemusers", "accounts", "cdm_companies")
                found[f"{self.related()}@odata.bind"] = f"/{to}({self.key()})"
            elif depth < 2 and self.odds(4):
                inner = {"lastname": "x"} if self.odds(2) else self.row(depth + 1)
                found[self.related()] = inner if self.odds(2) else [inner]
            else:
                found[name] = self._draw(VALUES) if self.odds(4) else self.value(name)
        return found

    def value(self, name: str) -> object:
        """A literal that the property takes, as JSON."""
        text = self.fitting(name)
        if text.startswith("'"):
            return text[1:-1].replace("''", "'")
        try:
            return msgspec.json.decode(text.encode())
        except msgspec.DecodeError:
            return text

    def body(self) -> bytes:
        kind = self._draw(st.integers(0, 3))
        if kind == 0:
            return self._draw(st.sampled_from(BROKEN))
        if kind == 1:
            rows = [self.row() for _ in range(self._draw(st.integers(0, 3)))]
            for row in rows:
                row["@odata.type"] = f"Microsoft.Dynamics.CRM.{self.one(self.set[:-1], 'account', 'x')}"
                row["@odata.id"] = f"{self.set}({self.key()})"
            return msgspec.json.encode({"Targets": rows})
        if kind == 2:
            link = f"{self.set}({self.key()})"
            return msgspec.json.encode({"@odata.id": link, "value": self._draw(VALUES), "QuerySet": self._draw(VALUES)})
        return msgspec.json.encode(self.row())

    def headers(self) -> dict[str, str]:
        found = {
            "prefer": self.one(*PREFERENCES),
            "if-match": self.one("*", 'W/"1"', "x"),
            "if-none-match": self.one("*", "null", 'W/"1"'),
            "content-type": self.one("application/json", "multipart/mixed", "multipart/mixed; boundary=b"),
        }
        return {name: value for name, value in found.items() if self.odds(2)}


METHODS = ["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS"]
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5), st.sampled_from(LITERALS),
    st.lists(st.integers(), max_size=2), st.dictionaries(st.text(max_size=2), st.none(), max_size=1),
)  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """A request."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes


@st.composite
def requests(draw: st.DrawFn) -> Asked:
    writer = Writer(draw)
    path, method = writer.target()
    return Asked(method, f"{path}?{writer.query()}", writer.headers(), writer.body())


@st.composite
def row_writes(draw: st.DrawFn) -> Asked:
    writer = Writer(draw)
    method, url = ("POST", writer.set) if writer.odds(2) else ("PATCH", f"{writer.set}({writer.one(*IDS)})")
    return Asked(method, url, {"prefer": "return=representation"}, msgspec.json.encode(writer.row()))


def check(reply: Reply) -> None:
    """It is what the service, or the sandbox, says it answers."""
    assert reply.status in EXPECTED, (reply.status, reply.body)
    if "multipart" in reply.headers.get("content-type", ""):
        assert b"HTTP/1.1 500" not in reply.body
    elif reply.status >= 400:
        error = json.loads(reply.body)["error"]
        assert (error["code"] == "SandboxNotImplemented") == (reply.status == 501)
        assert error["code"] in CODES
        assert error["message"]
    elif "json" in reply.headers.get("content-type", ""):
        json.loads(reply.body)


@given(asked=requests())
def test_every_request_is_answered(api: DataverseApi, asked: Asked) -> None:
    check(ask(api, asked))


@given(asked=row_writes())
def test_every_row_is_taken_or_refused(api: DataverseApi, asked: Asked) -> None:
    check(ask(api, asked))


@given(
    parts=st.lists(requests(), max_size=3),
    broken=st.sampled_from([None, b"\r\n", b"--b", b"Content-Type", b"HTTP/1.1"]),
)
def test_every_batch_is_answered(api: DataverseApi, parts: list[Asked], broken: bytes | None) -> None:
    written = []
    for part in parts:
        line = f"{part.method} {part.url} HTTP/1.1".encode("latin-1", errors="replace")
        written.append(b"--b\r\nContent-Type: application/http\r\n\r\n" + line + b"\r\n\r\n" + part.body + b"\r\n")
    body = b"".join(written) + b"--b--\r\n"
    if broken is not None:
        body = body.replace(broken, b"", 1)
    headers = {"content-type": "multipart/mixed; boundary=b", "prefer": "odata.continue-on-error"}
    check(ask(api, Asked("POST", "$batch", headers, body)))
