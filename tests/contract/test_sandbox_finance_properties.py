"""What holds of the sandbox's Finance for any filter, batch or export. `make fuzz` tries far more of them.

Spoken to without a network: what is asked here is what the service answers, not how it travels.
"""

import functools
import json
import operator
import re
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualsync_sandbox.clock import Clock
from dualsync_sandbox.finance.api import ROOT, FinanceApi
from dualsync_sandbox.finance.data_management.archive import read_package
from dualsync_sandbox.gateway.limits import Limits
from dualsync_sandbox.gateway.trace import Writes
from dualsync_sandbox.protocol.http import Call, Reply, parse_options
from dualsync_sandbox.schema import SystemSchema
from dualsync_sandbox.store import Store
from support.batches import change_set, part, taken_apart, whole

BASE = "https://org.operations.dynamics.com"
ENUM = "Microsoft.Dynamics.DataEntities."
PROJECTS = "ProjectsV2"


class Service:
    """The service over a store of its own, with one company; the clock stands still."""

    def __init__(self, folder: Path) -> None:
        clock = Clock(datetime(2026, 3, 1, tzinfo=UTC), frozen=True)
        self.store = Store(folder / "finance.db", SystemSchema.load("finance"), clock)
        with self.store.transaction() as tx:
            tx.insert("LegalEntities", {"LegalEntityId": "USPM"})
        self.writes = Writes()
        self.api = FinanceApi(self.store, self.writes, "uspm", Limits(clock))
        self._empty, self.saved = folder / "empty.db", folder / "saved.db"
        self.store.save(self._empty)

    def forget(self) -> None:
        """Be as at first."""
        self.store.load(self._empty)
        self.writes.clear()
        self.api.packages.clear()

    def send(self, method: str, url: str, body: Any = None, **headers: str) -> Reply:
        path, _, query = url.removeprefix(f"{ROOT}/").partition("?")
        content = body if isinstance(body, bytes) else (b"" if body is None else json.dumps(body).encode())
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.api.handle(Call(method, BASE, ROOT, path, parse_options(query), named, content))

    def rows(self, table: str) -> list[dict[str, Any]]:
        with self.store.reading() as tx:
            return tx.find(table)


def make(folder: Path) -> Iterator[Service]:
    service = Service(folder)
    yield service
    service.store.close()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    yield from make(tmp_path_factory.mktemp("one"))


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    yield from make(tmp_path_factory.mktemp("other"))


@pytest.fixture(scope="module")
def filtered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    yield from make(tmp_path_factory.mktemp("filtered"))


# -- filters agree with pandas

COLUMNS = {
    "ProjectName": "text",
    "Description": "text",
    "ZakatContractAmendment": "decimal",
    "ScheduleDurationInDays": "int",
    "ProjectStage": "enum",
    "ActualStartDate": "date",
}
WORDS = ["", "Ash", "ash", "BIRCH", "birch tree", "O'Neil", "50% off", "a_b", "a\\b", "x[1]", "Ärger", "z"]
STAGES = ["Created", "Estimated", "InProcess", "Completed"]
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": st.sampled_from(WORDS) | st.text("aAbB%_ '\\", max_size=6),
    "decimal": st.decimals(-5, 5, places=6) | st.sampled_from([Decimal("0.0000001"), Decimal(10) ** 25]),
    "int": st.integers(-3, 3) | st.sampled_from([2**31 - 1, 2**62]),
    "enum": st.sampled_from(STAGES),
    "date": st.dates(date(2026, 1, 1), date(2026, 1, 5)) | st.just(date(1900, 1, 1)),
}
ORDERS = {"lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge}
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


@dataclass(frozen=True)
class Filter:
    """A filter in OData, and what it says in pandas."""

    odata: str
    holds: Callable[[pd.DataFrame], "pd.Series[bool]"]


def comparable(value: Any) -> Any:
    """A value as it is compared: texts without regard to the case of A to Z."""
    return value.translate(_LOWER) if isinstance(value, str) else value


def literal(kind: str, value: Any) -> str:
    if kind == "text":
        return "'" + str(value).replace("'", "''") + "'"
    if kind == "enum":
        return f"{ENUM}ProjStatus'{value}'"
    if kind == "decimal":
        assert isinstance(value, Decimal)
        return format(value, "f")
    return f"{value}T12:00:00Z" if kind == "date" else str(value)


@st.composite
def comparisons(draw: st.DrawFn) -> Filter:
    """No value is unknown, so every comparison holds or does not."""
    name = draw(st.sampled_from(sorted(COLUMNS)))
    kind = COLUMNS[name]
    value = draw(VALUES[kind])
    words = {"eq": operator.eq, "ne": operator.ne} | ({} if kind == "enum" else ORDERS)
    word = draw(st.sampled_from(sorted(words)))
    own, test = comparable(value), words[word]
    return Filter(
        f"{name} {word} {literal(kind, value)}", lambda frame: frame[name].map(lambda held: bool(test(held, own)))
    )


@st.composite
def wildcards(draw: st.DrawFn) -> Filter:
    """A ``*`` within eq and ne stands for any text."""
    name = draw(st.sampled_from(["ProjectName", "Description"]))
    word = draw(st.sampled_from(["eq", "ne"]))
    text = draw(
        st.sampled_from(["*", "*ash*", "A*", "*_b", "*%*", "b*h*", "*'*", "*\\*"]) | st.text("aB%_*", max_size=4)
    )
    text += "" if "*" in text else "*"
    pattern = re.compile(".*".join(map(re.escape, text.split("*"))), re.IGNORECASE | re.ASCII | re.DOTALL)
    return Filter(
        f"{name} {word} {literal('text', text)}",
        lambda frame: frame[name].map(lambda held: bool(pattern.fullmatch(str(held))) == (word == "eq")),
    )


@st.composite
def combined(draw: st.DrawFn, parts: st.SearchStrategy[Filter]) -> Filter:
    left, right = draw(parts), draw(parts)
    word = draw(st.sampled_from(["and", "or", "not"]))
    if word == "not":
        return Filter(f"not ({left.odata})", lambda frame: ~left.holds(frame))
    join = operator.and_ if word == "and" else operator.or_
    return Filter(f"({left.odata} {word} {right.odata})", lambda frame: join(left.holds(frame), right.holds(frame)))


@functools.cache
def projects(filtered: Service) -> pd.DataFrame:
    """Projects with all sorts of values, in the service and as compared in pandas."""
    rows: list[dict[str, Any]] = []
    for number in range(60):
        day = "1900-01-01" if number % 6 == 0 else f"2026-01-0{number % 5 + 1}"
        rows.append(
            {
                "dataAreaId": "uspm",
                "ProjectId": f"P{number:02}",
                "ProjectName": WORDS[number % len(WORDS)],
                "Description": f"{WORDS[number * 7 % len(WORDS)]}{number % 3 or ''}",
                "ZakatContractAmendment": Decimal(number - 30) / 8,
                "ScheduleDurationInDays": number % 7 - 3,
                "ProjectStage": STAGES[number % len(STAGES)],
                "ActualStartDate": f"{day}T12:00:00Z",
            }
        )
    with filtered.store.transaction() as tx:
        tx.insert_many(PROJECTS, [dict(row) for row in rows], hooks=False)
    frame = pd.DataFrame(rows)
    for name, kind in COLUMNS.items():
        read = (lambda text: date.fromisoformat(text[:10])) if kind == "date" else comparable
        # The members of an enum are its names; what pandas compares must be as the filter's own values are.
        frame[name] = pd.Series([read(value) for value in frame[name]], dtype=object)
    return frame


@given(chosen=st.recursive(comparisons() | wildcards(), combined, max_leaves=6))
def test_filters_agree_with_pandas(filtered: Service, chosen: Filter) -> None:
    """odata.md: and, or, not, the six comparisons, a wildcard inside eq, enums by their literal."""
    frame = projects(filtered)
    call = Call("GET", BASE, ROOT, PROJECTS, {"$select": "ProjectId", "$filter": chosen.odata}, {})
    reply = filtered.api.handle(call)
    assert reply.status == 200, (chosen.odata, reply.body)
    found = {row["ProjectId"] for row in json.loads(reply.body)["value"]}
    assert found == set(frame["ProjectId"][chosen.holds(frame)]), chosen.odata


# -- pages together are the whole, whatever their size


@given(size=st.integers(1, 70), top=st.none() | st.integers(0, 70), skip=st.integers(0, 70))
def test_pages_together_are_the_whole(filtered: Service, size: int, top: int | None, skip: int) -> None:
    """odata.md: server-driven paging; $top and $skip count over all pages."""
    wanted = sorted(projects(filtered)["ProjectId"])[skip:][:top]
    filtered.api._limits.change({"finance": {"page": size}})
    options = f"$orderby=ProjectId&$select=ProjectId&$skip={skip}" + ("" if top is None else f"&$top={top}")
    url, found = f"{PROJECTS}?{options}", []
    while url:
        page = json.loads(filtered.send("GET", url.removeprefix(BASE)).body)
        assert len(page["value"]) <= size
        found += [row["ProjectId"] for row in page["value"]]
        url = page.get("@odata.nextLink", "")
    filtered.api._limits.change({"finance": {"page": 10_000}})
    assert found == wanted


# -- batches agree with their operations one by one

Operation = tuple[str, str, Any]
GROUPS = "CustomerGroups"
NUMBERS = ["A", "b", "C"]
KEYS = st.sampled_from(
    [f"{GROUPS}(dataAreaId='{area}',CustomerGroupId='{n}')" for n in NUMBERS for area in ("uspm", "x")]
)
BODIES = st.fixed_dictionaries(
    {}, optional={"Description": st.sampled_from(["Ash", "", None, "x" * 300]), "Nothing": st.just(1)}
)
CREATES: st.SearchStrategy[Operation] = st.builds(
    lambda number, body: ("POST", GROUPS, {"CustomerGroupId": number, **body}),
    st.sampled_from([*NUMBERS, "c", ""]),
    BODIES,
)
CHANGES: st.SearchStrategy[Operation] = st.builds(
    lambda method, key, body: (method, key, body), st.sampled_from(["PATCH", "PUT"]), KEYS, BODIES
)
DELETES: st.SearchStrategy[Operation] = st.builds(lambda key: ("DELETE", key, None), KEYS)
READS: st.SearchStrategy[Operation] = st.builds(lambda key: ("GET", f"{key}?$select=Description", None), KEYS)
CHANGING = CREATES | CHANGES | DELETES
ITEMS = st.lists(CHANGING | READS | st.lists(CHANGING, min_size=1, max_size=3), min_size=1, max_size=8)


@given(items=ITEMS, go_on=st.booleans())
def test_batches_agree_with_their_operations_one_by_one(
    service: Service, twin: Service, items: list[Operation | list[Operation]], go_on: bool
) -> None:
    """odata.md, "Batch requests": in order, change sets all or nothing, the first failure ends what does not go on."""
    service.forget()
    twin.forget()
    texts = []
    for number, item in enumerate(items):
        if isinstance(item, list):
            named = [part(*one, content_id=f"{number}.{place}") for place, one in enumerate(item)]
            texts.append(change_set(*named))
        else:
            texts.append(part(*item))
    headers = {
        "content-type": "multipart/mixed; boundary=batch",
        **({"prefer": "odata.continue-on-error"} if go_on else {}),
    }
    reply = service.send("POST", "$batch", whole(*texts), **headers)
    assert reply.status == 200, reply.body

    singly: list[tuple[int, Any]] = []
    for item in items:
        answers = one_by_one(twin, item if isinstance(item, list) else [item])
        singly += answers
        if answers[-1][0] >= 400 and not go_on:
            break

    assert [(one.status, one.body or None) for one in taken_apart(reply.body.decode(), reply.headers)] == singly
    assert service.rows(GROUPS) == twin.rows(GROUPS)
    assert service.writes.counts() == twin.writes.counts()


def one_by_one(twin: Service, operations: list[Operation]) -> list[tuple[int, Any]]:
    """The answers of operations that stand together; where one fails only its own, and nothing has happened."""
    twin.store.save(twin.saved)
    before = twin.writes.counts()
    answers = []
    for operation in operations:
        reply = twin.send(*operation)
        answers.append((reply.status, json.loads(reply.body) if reply.body else None))
        if reply.status >= 400:
            twin.store.load(twin.saved)
            twin.writes.clear()
            for table, kinds in before.items():
                for kind, count in kinds.items():
                    twin.writes.add(table, kind, count)
            return answers[-1:]
    return answers


# -- packages

CELLS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], include_characters="\n\t,;\"'"), max_size=20
)
ROWS = st.dictionaries(
    st.text("ABCDEF123", min_size=1, max_size=4),
    st.fixed_dictionaries(
        {
            "ProjectName": CELLS,
            "ZakatContractAmendment": st.decimals(-(10**9), 10**9, places=6),
            "ScheduleDurationInDays": st.integers(-5, 5),
            "ProjectStage": st.sampled_from(STAGES),
            "ActualStartDate": st.dates(date(1900, 1, 1), date(2100, 1, 1)).map(lambda day: f"{day}T12:00:00Z"),
        }
    ),
    max_size=5,
)


def exported(service: Service, number: int = 0) -> bytes:
    job = service.api.packages.exports.job(f"e{number}", "All", "all", "uspm")
    job.run()
    assert job.content is not None
    return job.content


@given(rows=ROWS)
def test_what_is_exported_comes_back_by_import(
    service: Service, twin: Service, rows: dict[str, dict[str, Any]]
) -> None:
    """data-entities-data-packages.md: a package moves rows from one environment to another."""
    service.forget()
    twin.forget()
    service.api.packages.exports.set_up(name="All", entities=[{"entity": "Projects V2"}])
    with service.store.transaction() as tx:
        tx.insert_many(
            PROJECTS, [{"dataAreaId": "uspm", "ProjectId": key, **row} for key, row in rows.items()], hooks=False
        )

    job = twin.api.packages.imports.begin("i", "USPM", exported(service))
    job.run()

    assert (job.state, job.fault) == ("Succeeded", "")
    assert known(twin) == known(service)


def known(service: Service) -> dict[str, dict[str, Any]]:
    """Projects by their number, without what a system gives its rows itself."""
    return {
        str(row["ProjectId"]).lower(): {name: value for name, value in row.items() if name[:3] != "Rec"}
        for row in service.rows(PROJECTS)
    }


EDITS = st.lists(st.tuples(st.sampled_from("ABCD"), st.sampled_from(["Ash", "Elm", None])), max_size=5)


@given(rounds=st.lists(EDITS, min_size=1, max_size=4))
def test_increments_together_are_the_whole(service: Service, rounds: list[list[tuple[str, str | None]]]) -> None:
    """entity-change-track.md: first all rows, then those that changed since; deletions are not told."""
    service.forget()
    service.api.packages.exports.set_up(
        name="All", entities=[{"entity": "Customer groups", "refresh": "IncrementalPush"}]
    )
    held: dict[str, str] = {}
    for number, edits in enumerate(rounds):
        before = {row["RecId"]: row["RecVersion"] for row in service.rows(GROUPS)}
        for key, description in edits:
            change(service, key, description)
        changed = {
            row["CustomerGroupId"] for row in service.rows(GROUPS) if before.get(row["RecId"]) != row["RecVersion"]
        }
        (entity,) = read_package(exported(service, number))
        found = {row["CUSTOMERGROUPID"]: row["DESCRIPTION"] for row in entity.rows or []}
        assert set(found) == changed
        held |= found
    now = {row["CustomerGroupId"]: row["Description"] for row in service.rows(GROUPS)}
    assert {key: held[key] for key in now} == now


def change(service: Service, key: str, description: str | None) -> None:
    """Create, change or delete a customer group."""
    with service.store.transaction() as tx:
        row = tx.find_one(GROUPS, dataAreaId="uspm", CustomerGroupId=key)
        if row is None:
            values = {"dataAreaId": "uspm", "CustomerGroupId": key, "Description": description or ""}
            tx.insert(GROUPS, values)
        elif description is None:
            tx.delete(GROUPS, row["RecId"])
        else:
            tx.update(GROUPS, row["RecId"], {"Description": description})
