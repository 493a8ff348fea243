"""The facts of cells: what each of them is asked of, and that no statement is too long to be read."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pandas as pd
import pyarrow as pa
import pytest

from dualsync.frames import Sets
from dualsync.mapping import Catalog, Schema
from dualsync.sync.legs.leg import Leg
from dualsync.sync.plan.columns import LegColumns
from dualsync.sync.reconcile.facts import LONGEST, Facts
from dualsync.sync.reconcile.policy import FACTS

CATALOG, SCHEMA = Catalog.load(), Schema.load()
WAYS = [(name, way) for name in CATALOG for way in CATALOG[name].directions]


def facts_of(name: str, direction: Any) -> Facts:
    leg = cast(Leg, SimpleNamespace(map=CATALOG[name], run=SimpleNamespace(resend=False)))
    return Facts(leg, LegColumns(CATALOG[name], direction, SCHEMA))


@pytest.mark.parametrize(("name", "direction"), WAYS)
def test_no_statement_is_too_long(name: str, direction: str) -> None:
    facts = facts_of(name, direction)
    statements = [facts.joined(), *(facts.statement(numbers) for numbers in facts.groups)]
    assert max(len(statement) for statement in statements) <= LONGEST
    assert sorted(number for numbers in facts.groups for number in numbers) == list(range(len(facts.pairs)))


NAME, OWNER = "ProjectName", "msdyn_subject"
"""A column pair that Dataverse owns: the receiving column in Finance, and what it is made of."""


@pytest.fixture
def sets() -> Iterator[Sets]:
    with Sets() as made:
        yield made


def cells(
    sets: Sets, *, want: dict[str, Any], have: dict[str, Any] | None, base: dict[str, Any] | None
) -> pd.DataFrame:
    """The cells of one row of the map ``projects``; of its columns only those given have values."""
    facts = facts_of("projects", "to_finance")
    columns = LegColumns(CATALOG["projects"], "to_finance", SCHEMA)
    agreed = columns.base_schema()
    text = ("id", "key", "join_key", "version", "state", "stop", "rule", "reason")
    wants = pa.schema(
        [
            pa.field("pos", pa.int64()),
            *(pa.field(name, pa.string()) for name in text),
            pa.field("dated", pa.date32()),
            *(pa.field(f"w:{pair.target}", agreed.field(f"f:{pair.target}").type) for pair in columns.pairs),
            *(pa.field(f"s:{name}", agreed.field(f"d:{name}").type) for name in columns.source_columns),
            *(pa.field(f"c:{name}", agreed.field(f"d:{name}").type) for name in columns.condition_columns("dataverse")),
            *(pa.field(f"p:{pair.target}", pa.string()) for pair in columns.pairs if is_self(pair)),
            pa.field("wave", pa.int32()),
        ]
    )
    stands = pa.schema(
        [
            *(pa.field(name, pa.string()) for name in ("join_key", "key", "id", "version")),
            pa.field("matches", pa.bool_()),
            *(pa.field(f"h:{pair.target}", agreed.field(f"f:{pair.target}").type) for pair in columns.pairs),
            *(pa.field(f"c:{name}", agreed.field(f"f:{name}").type) for name in columns.condition_columns("finance")),
        ]
    )
    row = {"pos": 1, "id": "p1", "key": "P1", "join_key": "p1", "state": "in", "wave": 0}
    sets.table("want", pa.Table.from_pylist([row | want], schema=wants))
    sets.table("have", pa.Table.from_pylist([] if have is None else [{"join_key": "p1"} | have], schema=stands))
    sets.table(
        "base", pa.Table.from_pylist([] if base is None else [{"join_key": "p1", "id": "p1"} | base], schema=agreed)
    )
    facts.prepare(sets)
    found = [piece for piece in facts.cells(sets) if len(piece)]
    if not found:
        return pd.DataFrame(columns=["pair", *FACTS])
    every = pd.concat(found, ignore_index=True)
    return every.assign(column=[facts.pairs[number].target for number in every["pair"]])


def is_self(pair: Any) -> bool:
    return pair.entry in CATALOG["projects"].self_lookups


def of(found: pd.DataFrame, column: str) -> set[str]:
    """The facts that hold for a column of the one row."""
    row = found[found["column"] == column].iloc[0]
    return {fact for fact in FACTS if row[fact]}


def test_a_row_that_the_receiver_lacks_has_no_cells(sets: Sets) -> None:
    assert len(cells(sets, want={f"w:{NAME}": "New"}, have=None, base=None)) == 0


def test_plainly_unchanged_cells_are_not_fetched(sets: Sets) -> None:
    found = cells(sets, want={f"w:{NAME}": "A", f"s:{OWNER}": "A"}, have={f"h:{NAME}": "A"}, base=None)
    assert len(found) == 0


def test_an_empty_text_is_no_difference(sets: Sets) -> None:
    assert len(cells(sets, want={}, have={f"h:{NAME}": ""}, base=None)) == 0


@pytest.mark.parametrize(
    ("want", "have", "base", "facts"),
    [
        ("B", "A", ("A", "A"), {"based", "source_moved"}),
        ("A", "B", ("A", "A"), {"based", "target_moved"}),
        ("C", "B", ("A", "A"), {"based", "source_moved", "target_moved"}),
        ("B", "A", None, {"never_agreed"}),
        ("B", None, ("B", None), {"based", "standing_empty"}),
        (None, "A", ("A", "A"), {"based", "source_moved", "wanted_empty"}),
        (None, "A", (None, "A"), {"based", "never_agreed", "wanted_empty"}),
        (None, "A", None, {"never_agreed", "wanted_empty"}),
    ],
)
def test_facts_of_a_cell(
    sets: Sets, want: str | None, have: str | None, base: tuple[str | None, str | None] | None, facts: set[str]
) -> None:
    agreed = None if base is None else {f"d:{OWNER}": base[0], f"f:{NAME}": base[1]}
    found = cells(sets, want={f"w:{NAME}": want, f"s:{OWNER}": want}, have={f"h:{NAME}": have}, base=agreed)
    assert found["column"].tolist() == [NAME]
    assert of(found, NAME) == facts
