"""What holds of the sandbox's Dataverse for any filter, batch, edit or value. `make fuzz` tries far more of them.

Spoken to without a network: what is asked here is what the service answers, not how it travels.
"""

import functools
import json
import operator
import re
import string
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualsync_sandbox.clock import Clock
from dualsync_sandbox.dataverse.api import ROOT, DataverseApi
from dualsync_sandbox.gateway.trace import Writes
from dualsync_sandbox.protocol.http import Call, Reply, parse_options
from dualsync_sandbox.schema import APPLICATION_USER, SystemSchema
from dualsync_sandbox.store import Store

BASE = "https://org.crm.dynamics.com"
START = datetime(2026, 3, 1, tzinfo=UTC)


class Service:
    """The Web API over a store of its own; the clock stands still."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock(START, frozen=True)
        self.store = Store(folder / "dataverse.db", SystemSchema.load("dataverse"), self.clock)
        self.api = DataverseApi(self.store, Writes())
        self.snapshot = folder / "saved.db"
        self._empty = folder / "empty.db"
        self.store.save(self._empty)

    def forget(self) -> None:
        """Be as at first, row versions and clock included."""
        self.store.load(self._empty)
        self.clock.set(START, frozen=True)

    def send(self, method: str, url: str, body: Any = None, **headers: str) -> Reply:
        url = url.removeprefix(f"{BASE}{ROOT}/")
        path, _, query = url.partition("?")
        content = body if isinstance(body, bytes) else (b"" if body is None else json.dumps(body).encode())
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.api.handle(Call(method, BASE, ROOT, path, parse_options(query), named, content))

    def read(self, url: str, **headers: str) -> dict[str, Any]:
        reply = self.send("GET", url, **headers)
        assert reply.status == 200, reply.body
        return json.loads(reply.body, parse_float=Decimal)

    def pages(self, url: str, **headers: str) -> tuple[list[dict[str, Any]], str | None]:
        """All rows of a read, and its delta link."""
        rows: list[dict[str, Any]] = []
        link: str | None = url
        while link is not None:
            page = self.read(link, **headers)
            rows += page["value"]
            link = page.get("@odata.nextLink")
        return rows, page.get("@odata.deltaLink")


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Service]]:
    """Two services, so that one thing can be done in two ways."""
    pair = Service(tmp_path_factory.mktemp("one")), Service(tmp_path_factory.mktemp("other"))
    yield pair
    for service in pair:
        service.store.close()


# -- filters agree with pandas

COLUMNS = {
    "name": "text",
    "accountnumber": "text",
    "creditlimit": "money",
    "numberofemployees": "int",
    "customertypecode": "option",
    "creditonhold": "bool",
    "opendeals_date": "date",
    "lastonholdtime": "instant",
    "_parentaccountid_value": "guid",
}
WORDS = ["Ash", "ash", "BIRCH", "birch tree", "O'Neil", "50% off", "a_b", "a*b", "x[1]", "Ärger", "東京", "z"]
IDS = [str(uuid.UUID(int=number)) for number in range(1, 7)]
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": st.sampled_from(WORDS) | st.text("aAbB%_ '", max_size=6),
    "money": st.decimals(-5, 5, places=4) | st.sampled_from([Decimal("0.00001"), Decimal(10) ** 25, Decimal("-1e40")]),
    "int": st.integers(-3, 3) | st.sampled_from([2**31 - 1, 2**62]),
    "option": st.integers(1, 4),
    "bool": st.booleans(),
    "date": st.dates(date(2026, 1, 1), date(2026, 1, 5)),
    "instant": st.sampled_from([datetime(2026, 1, 1, 10, 0, second, tzinfo=UTC) for second in range(4)]),
    "guid": st.sampled_from(IDS),
}
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def comparable(kind: str, value: Any) -> Any:
    """A value as it is compared: texts without regard to the case of A to Z."""
    return value.translate(_LOWER) if kind == "text" and isinstance(value, str) else value


@dataclass(frozen=True)
class Filter:
    """A filter in OData and what it says in pandas: a column of nullable booleans."""

    odata: str
    holds: Callable[[pd.DataFrame], "pd.Series[bool]"]


def literal(kind: str, value: Any) -> str:
    if kind == "text":
        return "'" + str(value).replace("'", "''") + "'"
    if kind == "instant":
        assert isinstance(value, datetime)
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(value).lower() if kind == "bool" else str(value)


def three_valued(frame: pd.DataFrame, name: str, test: Callable[[Any], bool]) -> "pd.Series[bool]":
    """Unknown where there is no value."""
    return pd.Series([None if value is None else test(value) for value in frame[name]], dtype="boolean")


ORDERS = {"lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge}


@st.composite
def comparisons(draw: st.DrawFn) -> Filter:
    name = draw(st.sampled_from(sorted(COLUMNS)))
    kind = COLUMNS[name]
    value = draw(VALUES[kind] | st.none())
    own = comparable(kind, value)
    words = ["eq", "ne"] if value is None or kind in ("bool", "guid") else ["eq", "ne", *ORDERS]
    word = draw(st.sampled_from(words))
    text = "null" if value is None else literal(kind, value)
    if word in ORDERS:
        order = ORDERS[word]
        return Filter(f"{name} {word} {text}", lambda frame: three_valued(frame, name, lambda held: order(held, own)))

    def same(frame: pd.DataFrame) -> "pd.Series[bool]":
        return pd.Series([(held == own) == (word == "eq") for held in frame[name]], dtype="boolean")

    return Filter(f"{name} {word} {text}", same)


def like(pattern: str) -> re.Pattern[str]:
    parts = {"%": ".*", "_": "."}
    return re.compile("".join(parts.get(c) or re.escape(c) for c in pattern), re.IGNORECASE | re.ASCII | re.DOTALL)


@st.composite
def text_functions(draw: st.DrawFn) -> Filter:
    name = draw(st.sampled_from(["name", "accountnumber"]))
    word = draw(st.sampled_from(["contains", "startswith", "endswith"]))
    text = draw(st.sampled_from(["a", "SH", "%", "_", "b", "Ä", "'", "*", "?", "1]", ""]) | st.text("aB%_", max_size=3))
    pattern = like({"contains": "%{}%", "startswith": "{}%", "endswith": "%{}"}[word].format(text))
    odata = f"{word}({name},{literal('text', text)})"
    return Filter(odata, lambda frame: three_valued(frame, name, lambda held: bool(pattern.fullmatch(str(held)))))


@st.composite
def lists(draw: st.DrawFn) -> Filter:
    name = draw(st.sampled_from(["name", "creditlimit", "numberofemployees", "customertypecode", "opendeals_date"]))
    kind = COLUMNS[name]
    small = {**VALUES, "money": st.decimals(-5, 5, places=4), "int": st.integers(-3, 3)}
    function = draw(st.sampled_from(["In", "NotIn", "Between"]))
    count = 2 if function == "Between" else draw(st.integers(1, 3))
    values = [draw(small[kind]) for _ in range(count)]
    listed = json.dumps([value if kind == "text" else literal(kind, value) for value in values], ensure_ascii=False)
    odata = f"Microsoft.Dynamics.CRM.{function}(PropertyName='{name}',PropertyValues={listed})"
    own = [comparable(kind, value) for value in values]
    if function == "In":
        return Filter(odata, lambda frame: three_valued(frame, name, lambda held: held in own))
    if function == "Between":
        return Filter(odata, lambda frame: three_valued(frame, name, lambda held: own[0] <= held <= own[1]))
    return Filter(odata, lambda frame: pd.Series([held not in own for held in frame[name]], dtype="boolean"))


@st.composite
def combined(draw: st.DrawFn, parts: st.SearchStrategy[Filter]) -> Filter:
    left, right = draw(parts), draw(parts)
    word = draw(st.sampled_from(["and", "or", "not"]))
    if word == "not":
        return Filter(f"not ({left.odata})", lambda frame: ~left.holds(frame))
    join = operator.and_ if word == "and" else operator.or_
    return Filter(f"({left.odata} {word} {right.odata})", lambda frame: join(left.holds(frame), right.holds(frame)))


FILTERS = st.recursive(comparisons() | text_functions() | lists(), combined, max_leaves=6)


@functools.cache
def accounts(service: Service) -> pd.DataFrame:
    """Accounts with all sorts of values, in the service and as compared in pandas."""
    rows: list[dict[str, Any]] = []
    for number in range(60):
        row: dict[str, Any] = {
            "name": WORDS[number % len(WORDS)],
            "accountnumber": None if number % 4 == 0 else f"{WORDS[number * 7 % len(WORDS)]}{number % 3}",
            "creditlimit": None if number % 5 == 0 else Decimal(number - 30) / 8,
            "numberofemployees": None if number % 7 == 0 else number % 7 - 3,
            "customertypecode": None if number % 6 == 0 else number % 4 + 1,
            "creditonhold": [None, True, False][number % 3],
            "opendeals_date": None if number % 8 == 0 else f"2026-01-0{number % 5 + 1}",
            "lastonholdtime": None if number % 9 == 0 else f"2026-01-01T10:00:0{number % 4}Z",
            "parentaccountid": IDS[number % len(IDS)] if number > len(IDS) and number % 2 else None,
            "accountid": IDS[number] if number < len(IDS) else str(uuid.uuid4()),
        }
        rows.append(row)
    with service.store.transaction() as tx:
        tx.insert_all("account", [dict(row) for row in rows])
    read: dict[str, Any] = {
        "name": functools.partial(comparable, "text"),
        "accountnumber": functools.partial(comparable, "text"),
        "opendeals_date": date.fromisoformat,
        "lastonholdtime": datetime.fromisoformat,
    }
    frame = pd.DataFrame({"accountid": [row["accountid"] for row in rows]})
    for name in COLUMNS:
        held = [row["parentaccountid" if name.startswith("_") else name] for row in rows]
        as_compared = [None if value is None else read.get(name, lambda value: value)(value) for value in held]
        frame[name] = pd.Series(as_compared, dtype=object)
    return frame


@pytest.fixture(scope="module")
def filtered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("filtered"))
    yield service
    service.store.close()


@given(chosen=FILTERS)
def test_filters_agree_with_pandas(filtered: Service, chosen: Filter) -> None:
    """webapi/query/filter-rows; unknown is neither true nor false, as in SQL and in pandas' nullable booleans."""
    frame = accounts(filtered)
    call = Call("GET", BASE, ROOT, "accounts", {"$select": "accountid", "$filter": chosen.odata}, {})
    reply = filtered.api.handle(call)
    assert reply.status == 200, (chosen.odata, reply.body)
    found = {row["accountid"] for row in json.loads(reply.body)["value"]}
    wanted = set(frame["accountid"][chosen.holds(frame).fillna(value=False).astype(bool)])
    assert found == wanted, chosen.odata


# -- batches agree with their operations one by one

NUMBERS = ["a", "b", "c"]
KEYS = st.sampled_from([f"cdm_workers({row_id})" for row_id in IDS[:3]] + [
    f"cdm_workers(cdm_workernumber='{number}')" for number in NUMBERS
])  # fmt: skip
BODIES = st.fixed_dictionaries(
    {},
    optional={
        "cdm_lastname": st.sampled_from(["Ash", "Elm", None, "x" * 150]),
        "cdm_workernumber": st.sampled_from(NUMBERS),
        "statuscode": st.sampled_from([1, 2, 77]),
        "nothing": st.just(1),
    },
)
CREATES: st.SearchStrategy[Any] = st.builds(
    lambda row_id, body: ("POST", "cdm_workers", {"cdm_workerid": row_id, **body}, {}), st.sampled_from(IDS[:4]), BODIES
)
MATCHES = st.sampled_from([{}, {"if-match": "*"}, {"if-none-match": "*"}, {"if-match": 'W/"3"'}])
UPSERTS = st.builds(lambda key, body, headers: ("PATCH", key, body, headers), KEYS, BODIES, MATCHES)
DELETES: st.SearchStrategy[Any] = st.builds(lambda key: ("DELETE", key, None, {}), KEYS)
READS: st.SearchStrategy[Any] = st.builds(lambda key: ("GET", f"{key}?$select=cdm_lastname", None, {}), KEYS)
Operation = tuple[str, str, Any, dict[str, str]]
WRITES = CREATES | UPSERTS | DELETES
ITEMS = st.lists(WRITES | READS | st.lists(WRITES, min_size=1, max_size=3).map(tuple), min_size=1, max_size=8)


def is_set(item: Any) -> bool:
    return isinstance(item, tuple) and not isinstance(item[0], str)


def part(operation: Operation, content_id: str = "") -> bytes:
    method, url, body, headers = operation
    lines = ["Content-Type: application/http", "Content-Transfer-Encoding: binary"]
    lines += [f"Content-ID: {content_id}"] if content_id else []
    lines += ["", f"{method} {url} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), ""]
    return "\r\n".join([*lines, "" if body is None else json.dumps(body)]).encode()


def joined(boundary: str, parts: list[bytes]) -> bytes:
    return b"".join(b"--%s\r\n%s\r\n" % (boundary.encode(), item) for item in parts) + f"--{boundary}--\r\n".encode()


def whole_batch(items: list[Any]) -> bytes:
    parts = []
    for number, item in enumerate(items):
        if is_set(item):
            inner = [part(operation, f"{number}.{place}") for place, operation in enumerate(item)]
            parts.append(
                f"Content-Type: multipart/mixed; boundary=set{number}\r\n\r\n".encode() + joined(f"set{number}", inner)
            )
        else:
            parts.append(part(item))
    return joined("batch", parts)


def without_new_ids(text: bytes) -> bytes:
    """Ids that the service gave differ from one service to the other."""
    known = {row_id.encode() for row_id in [*IDS, APPLICATION_USER]}
    return re.sub(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", lambda m: m[0] if m[0] in known else b"new", text)


def answers(reply: Reply) -> list[tuple[int, bytes]]:
    """Status and body of each answer in a batch's reply, in order; the numbers of requests are left out."""
    found = re.split(rb"--(?:batch|changeset)response_[0-9a-f-]+(?:--)?\r\n", reply.body)
    texts = [piece.partition(b"HTTP/1.1 ")[2] for piece in found]
    bodies = [without_new_ids(text.partition(b"\r\n\r\n")[2].strip()) for text in texts if text]
    return list(zip([int(text[:3]) for text in texts if text], bodies, strict=True))


def everything(service: Service) -> list[dict[str, Any]]:
    rows = service.pages("cdm_workers?$orderby=cdm_workerid")[0]
    return [row | {"cdm_workerid": without_new_ids(str(row["cdm_workerid"]).encode())} for row in rows]


@given(items=ITEMS, go_on=st.booleans())
def test_batches_agree_with_their_operations(services: tuple[Service, Service], items: list[Any], go_on: bool) -> None:
    """webapi/execute-batch-operations-using-web-api: in order; change sets all or nothing, with one answer where they
    fail; the first failure ends the batch unless it goes on."""
    singly, together = services
    singly.forget()
    together.forget()
    wanted: list[tuple[int, bytes]] = []
    failed = False
    for item in items:
        operations = item if is_set(item) else (item,)
        singly.store.save(singly.snapshot)
        replies: list[Reply] = []
        for method, url, body, headers in operations:
            replies.append(singly.send(method, url, body, **headers))
            if replies[-1].status >= 400:
                failed = True
                singly.store.load(singly.snapshot)
                replies = replies[-1:]
                break
        wanted += [(reply.status, without_new_ids(reply.body.strip())) for reply in replies]
        if failed and not go_on:
            break
    headers = {"content_type": "multipart/mixed; boundary=batch"} | (
        {"prefer": "odata.continue-on-error"} if go_on else {}
    )
    reply = together.send("POST", "$batch", whole_batch(items), **headers)
    assert answers(reply) == wanted
    assert reply.status == (400 if failed and not go_on else 200)
    assert everything(singly) == everything(together)


@given(
    targets=st.lists(st.tuples(KEYS, BODIES), min_size=1, max_size=6),
    there=st.lists(
        st.tuples(st.sampled_from(IDS[:3]), st.sampled_from(NUMBERS)),
        max_size=3,
        unique_by=(lambda row: row[0], lambda row: row[1]),
    ),
)
def test_upsert_multiple_agrees_with_upserts(
    services: tuple[Service, Service], targets: list[tuple[str, dict[str, Any]]], there: list[tuple[str, str]]
) -> None:
    """data-platform/bulk-operations: the same rows as by one request for each, or, where one is refused, none."""
    singly, together = services
    for service in services:
        service.forget()
        for row_id, number in there:
            body = {"cdm_workerid": row_id, "cdm_workernumber": number}
            assert service.send("POST", "cdm_workers", body).status == 204
    before = everything(together)
    statuses = [singly.send("PATCH", key, body).status for key, body in targets]
    kind = {"@odata.type": "Microsoft.Dynamics.CRM.cdm_worker"}
    rows = [{**kind, "@odata.id": key, **body} for key, body in targets]
    reply = together.send("POST", "cdm_workers/Microsoft.Dynamics.CRM.UpsertMultiple", {"Targets": rows})

    def shown(service: Service) -> list[dict[str, Any]]:
        # Versions tell the order, which is free.
        left_out = {"@odata.etag", "versionnumber"}
        rows = [{name: value for name, value in row.items() if name not in left_out} for row in everything(service)]
        return sorted(rows, key=lambda row: str(row["cdm_workernumber"]))

    if max(statuses) < 400:
        assert reply.status == 204
        assert shown(singly) == shown(together)
    else:
        assert reply.status in statuses
        assert everything(together) == before


# -- a delta is the difference of two snapshots


EDITS = st.lists(CREATES | UPSERTS | DELETES, max_size=12)


@given(first=EDITS, second=EDITS, size=st.integers(1, 5), moved=st.booleans())
def test_a_delta_is_the_difference_of_two_snapshots(
    services: tuple[Service, Service], first: list[Operation], second: list[Operation], size: int, moved: bool
) -> None:
    """data-platform/use-change-tracking-synchronize-data-external-systems: whole rows that are new or changed, then the
    ids of those that are gone."""
    service = services[0]
    service.forget()
    for method, url, body, headers in first:
        service.send(method, url, body, **headers)
    prefer = f"odata.track-changes,odata.maxpagesize={size}"
    rows, link = service.pages("cdm_workers?$select=cdm_workernumber,cdm_lastname", prefer=prefer)
    before = {row["cdm_workerid"]: row for row in rows}
    for method, url, body, headers in second:
        service.send(method, url, body, **headers)
    if moved:
        service.clock.advance(timedelta(days=1))
    delta, _ = service.pages(str(link), prefer=prefer)
    after = {row["cdm_workerid"]: row for row in service.pages("cdm_workers?$select=cdm_workernumber,cdm_lastname")[0]}
    deleted = {row["id"] for row in delta if row.get("reason") == "deleted"}
    changed = {row["cdm_workerid"]: row for row in delta if "reason" not in row}
    assert [("reason" in row) for row in delta] == sorted("reason" in row for row in delta)
    assert {key: row for key, row in (before | changed).items() if key not in deleted} == after
    assert before.keys() - after.keys() <= deleted
    assert {key for key, row in after.items() if before.get(key) != row} == changed.keys()


# -- values come back as they were written


@given(
    text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=50),
    money=st.decimals(-900_000_000_000_000, 900_000_000_000_000, places=4),
    rate=st.decimals(-900_000_000, 900_000_000, places=10),
    number=st.integers(-(2**31), 2**31 - 1),
)
def test_values_come_back_exactly(
    services: tuple[Service, Service], text: str, money: Decimal, rate: Decimal, number: int
) -> None:
    """webapi/web-api-properties: money has four decimals, decimals ten; empty text becomes null (assumed)."""
    service = services[0]
    body = json.dumps({"description": text, "numberofemployees": number})
    body = f'{body[:-1]}, "creditlimit": {money:f}, "exchangerate": {rate:f}}}'
    created = service.send("POST", "accounts", body.encode())
    assert created.status == 204, created.body
    url = created.headers["odata-entityid"]
    row = service.read(f"{url}?$select=description,creditlimit,exchangerate,numberofemployees")
    assert row["description"] == (text or None)
    assert (row["creditlimit"], row["exchangerate"], row["numberofemployees"]) == (money, rate, number)
    assert [row[name].as_tuple().exponent for name in ("creditlimit", "exchangerate")] == [-4, -10]
    service.send("DELETE", url)
