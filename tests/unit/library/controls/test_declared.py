"""What is declared about controls and extracts: complete, of known words, and of what the queries really read."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from dualsync.controls.accounts import ACCOUNTS
from dualsync.controls.causes import CAUSES
from dualsync.controls.extracts import FOLDER, Extract, column_of, extracts
from dualsync.controls.model import BREAK_SCHEMA, CLASSES, SEVERITIES, Control
from dualsync.controls.registry import chosen, controls
from dualsync.errors import MapErrors
from dualsync.frames import Sets
from dualsync.mapping import Catalog, Schema
from dualsync.mapping.loader import read_model
from dualsync.nightly.comparison.measures import MEASURES
from dualsync.nightly.totals import TOTALS
from dualsync.sync.plan.values import arrow_type

IDS = [f"R{number}" for number in range(1, 41)]


def test_every_rule_of_the_reconciliation_is_a_control() -> None:
    assert list(controls()) == IDS


@pytest.mark.parametrize("control", controls().values(), ids=lambda one: one.id)
def test_a_control_says_what_it_does(control: Control) -> None:
    assert control.severity in SEVERITIES
    assert control.evidence in ("documented", "derived")
    assert control.title
    assert control.compares
    assert control.basis
    assert all(re.fullmatch(r"[A-Z][0-9]+[a-z]?", rule) for rule in control.basis)
    assert control.window >= timedelta(hours=1)
    assert control.area in Catalog.load().areas
    assert set(control.needs) <= set(extracts())
    known = set(re.findall(r"'([a-z]+(?:_[a-z]+)+)' AS class|THEN '([a-z]+(?:_[a-z]+)+)'", control.sql))
    assert {one for pair in known for one in pair if one} <= set(CLASSES) | set(CAUSES)


def empty_views(sets: Sets, names: tuple[str, ...]) -> None:
    """Views of the named extracts, without rows; any other name a query reads is unknown."""
    schema = Schema.load()
    sets.run("CREATE TEMP MACRO settled(moment) AS moment IS NOT NULL")
    sets.run("CREATE TEMP MACRO long_ago(moment, hours) AS moment IS NOT NULL AND hours > 0")
    sets.run("CREATE TEMP MACRO today() AS DATE '2026-03-02'")
    text = pa.string()
    sets.table("integrated", pa.schema({"company": text, "company_id": text, "cut_over": pa.date32()}).empty_table())
    for name in names:
        extract = extracts()[name]
        fields = [
            pa.field(short, text if one.values else arrow_type(column_of(extract, one, schema)))
            for short, one in extract.columns.items()
        ]
        fields.append(pa.field("record_key", text))
        if extract.side == "dataverse":
            fields += [pa.field("record_id", text), pa.field("changed_at", pa.timestamp("us", tz="UTC"))]
        if extract.company is not None:
            fields.append(pa.field("company", text))
        sets.table(name, pa.schema(fields).empty_table())


@pytest.mark.parametrize("control", controls().values(), ids=lambda one: one.id)
def test_a_query_reads_the_extracts_it_needs_and_no_others_and_returns_breaks(control: Control) -> None:
    with Sets() as sets:
        empty_views(sets, control.needs)
        found = sets.fetch(control.sql)
        assert set(found.schema.names) <= set(BREAK_SCHEMA.names)
        assert {"key", "class"} <= set(found.schema.names)
        assert control.scope == "global" or "company" in found.schema.names
        assert found.num_rows == 0
        if "amount" in found.schema.names:
            assert not pa.types.is_floating(found.schema.field("amount").type)
    for need in control.needs:
        assert re.search(rf"\b{need}\b", control.sql), f"{control.id} does not read {need}"


@pytest.mark.parametrize("one", [*TOTALS, *ACCOUNTS], ids=lambda one: one.name)
def test_totals_read_what_they_need(one: object) -> None:
    queries = [getattr(one, name) for name in ("dataverse", "finance", "sql") if hasattr(one, name)]
    with Sets() as sets:
        empty_views(sets, one.needs)  # type: ignore[attr-defined]
        for query in queries:
            assert sets.fetch(query).num_rows == 0


def test_controls_are_chosen_by_id_and_unknown_ones_named() -> None:
    assert [one.id for one in chosen(("r7", "R1"))] == ["R7", "R1"]
    assert len(chosen(())) == len(controls())
    with pytest.raises(MapErrors, match="no control 'R77'; did you mean 'R7'"):
        chosen(("R77",))


def test_no_extract_hides_that_it_is_assumed() -> None:
    """What the schema of the maps does not know has no public source here."""
    schema = Schema.load()
    for extract in extracts().values():
        if not schema.has(extract.side, extract.place):
            assert extract.evidence == "assumed", extract.extract


def test_a_wrong_extract_is_refused_with_file_and_line(tmp_path: Path) -> None:
    text = (FOLDER / "finance" / "journal_lines.yaml").read_text().replace("evidence:", "evidenc:")
    (tmp_path / "wrong.yaml").write_text(text)
    with pytest.raises(MapErrors, match=r"wrong.yaml:\d+: evidenc: is not a known word here; did you mean 'evidence'"):
        read_model(tmp_path / "wrong.yaml", Extract)


def test_measures_name_maps_and_their_columns() -> None:
    catalog = Catalog.load()
    for name, measure in MEASURES.items():
        columns = {one.dataverse for one in catalog.declared[name].fields} | {
            one.finance for one in catalog.declared[name].fields
        }
        assert {measure.dataverse, measure.finance} <= columns, name


def test_causes_say_what_helps() -> None:
    assert all(one.title and one.mitigation.endswith(".") for one in CAUSES.values())
