"""What is declared about controls and extracts: complete, of known words, and of what the queries really read."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from dualsync.controls.accounts import ACCOUNTS
from dualsync.controls.causes import CAUSES
from dualsync.controls.extracts import FOLDER, Extract, extracts
from dualsync.controls.model import BREAK_SCHEMA, CLASSES, SEVERITIES, Check, Control
from dualsync.controls.registry import chosen, controls
from dualsync.errors import MapErrors
from dualsync.frames import Sets
from dualsync.mapping import Catalog, Schema
from dualsync.mapping.loader import read_model
from dualsync.nightly.comparison.measures import MEASURES
from dualsync.nightly.needs import reads
from dualsync.nightly.totals import TOTALS
from dualsync.nightly.views import Words, define_words, empty_table

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
    assert [check.id for check in control.checks] == sorted({check.id for check in control.checks})
    assert all(
        check.proves and not check.proves.endswith(".") and check.judges in extracts() for check in control.checks
    )
    assert all(check.limits for check in control.limitations), "a limitation says why"
    known = set()
    for check in control.asked:
        known |= set(re.findall(r"'([a-z]+(?:_[a-z]+)+)' AS class|THEN '([a-z]+(?:_[a-z]+)+)'", control.query(check)))
    assert {one for pair in known for one in pair if one} <= set(CLASSES) | set(CAUSES)


CHECKS = [(control, check) for control in controls().values() for check in control.asked]


@pytest.mark.parametrize(("control", "check"), CHECKS, ids=lambda one: one.id)
def test_a_query_reads_extracts_alone_and_returns_exceptions(control: Control, check: Check) -> None:
    query = control.query(check)
    assert check.judges in reads(query)
    with Sets() as sets:
        empty_views(sets)
        found = sets.fetch(query)
    assert set(found.schema.names) <= set(BREAK_SCHEMA.names) - {"control", "check"}
    assert {"key", "class"} <= set(found.schema.names)
    assert control.scope == "global" or "company" in found.schema.names
    assert found.num_rows == 0
    if "amount" in found.schema.names:
        assert not pa.types.is_floating(found.schema.field("amount").type)


def empty_views(sets: Sets) -> None:
    """Views of all extracts, without rows; any other name a query reads is unknown."""
    schema, moment = Schema.load(), datetime(2026, 3, 2, tzinfo=UTC)
    define_words(sets, Words(moment, timedelta(hours=1), moment.date(), {}))
    for name, extract in extracts().items():
        sets.table(name, empty_table(extract, schema))


@pytest.mark.parametrize("one", [*TOTALS, *ACCOUNTS], ids=lambda one: one.name)
def test_totals_read_extracts_alone(one: object) -> None:
    queries = [getattr(one, name) for name in ("dataverse", "finance", "sql") if hasattr(one, name)]
    with Sets() as sets:
        empty_views(sets)
        for query in queries:
            assert sets.fetch(query).num_rows == 0


SEVERITY = {
    "critical": """
        R1a R1b R2a R3a R4a R4b R4c R4d R4e R6a R6c R6d R7a R8a R9b R10a R11a R11b R12a R12b R13a R13b
        R15a R15b R15c R16a R16b R17a R17b R17c R17e R18a R18b R19a R20a R21a R21b R21c R22a R26a R26b
        R27a R27b R27c R27d R30b R30c R30d R30e R30f R30g R34a R38a R40b
    """,
    "error": """
        R5a R5c R6b R10b R14b R21d R21e R23a R23b R23c R24a R29a R29b R29c R29d R29e R31a R32a R32b R32c
        R32d R33a R34b R34c R34d R34e R34f R36a R36b R36c R37a R40a R40c
    """,
    "warning": "R5d R10c R12c R12d R16c R25a R28a R28b R28c R35a R35b R39a",
}
"""What each check weighs, by its effect on money."""


def test_the_weight_of_each_check_is_what_it_does_to_money() -> None:
    """A list of its own: who changes the weight of a check says so here."""
    weights: dict[str, set[str]] = {severity: set() for severity in SEVERITIES}
    for control, check in CHECKS:
        weights[check.severity or control.severity].add(f"{control.id}{check.id}")
    assert weights == {severity: set(names.split()) for severity, names in SEVERITY.items()}


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
