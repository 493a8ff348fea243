"""Every name of somebody else's system stands in the catalogue; exceptions stand on lists that may only shrink.

``names_wrong.tsv`` lists names that public sources contradict or do not know; ``names_without_evidence.tsv`` those that
no source bears out although they stand in a key, a company, a filter or a set; ``names_of_the_sandbox.tsv`` what the
sandbox shows and no source knows. A name that is mended leaves its list, or the test fails.
"""

from __future__ import annotations

import csv
import importlib.util
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dualsync.catalogue import UNPROVEN, Catalogue
from support.paths import ROOT

LISTS = Path(__file__).parent
LONGEST = {"names_wrong": 80, "names_without_evidence": 16, "names_of_the_sandbox": 318}
"""How many names each list may hold. A number may be lowered, never raised."""

Name = tuple[str, str, str]
"""System, table, column; no column where the set itself is meant, which stands for its columns too."""


@pytest.fixture(scope="module")
def evidence() -> ModuleType:
    """``docs/build_evidence.py`` as a module."""
    spec = importlib.util.spec_from_file_location("build_evidence", ROOT / "docs" / "build_evidence.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["build_evidence"] = module  # its dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    """The catalogue."""
    return Catalogue.load()


def listed(name: str) -> set[Name]:
    """The names of a list; each with a reason."""
    with (LISTS / f"{name}.tsv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert all(row["reason"] for row in rows), f"{name} names a name without a reason"
    names = [(row["side"], row["table"], row["column"]) for row in rows]
    assert len(names) == len(set(names)), f"{name} names a name twice"
    assert len(names) <= LONGEST[name], f"{name} has grown"
    return set(names)


def by_set(names: Iterable[Name]) -> set[Name]:
    """The names, where columns of a set that stands there itself are left out."""
    names = set(names)
    return {name for name in names if not name[2] or (*name[:2], "") not in names}


def wrong_uses(found: list[Any], catalogue: Catalogue) -> bool:
    """Whether a contradicted name is used in the way that is contradicted."""
    known = catalogue.dataverse[found[0].table].columns[found[0].column]
    if known.wrong in ("read-only", "another way"):
        return any(use.written for use in found)
    return known.wrong != "another kind" or not kind_is_known(known.name, found[0].table)


def kind_is_known(column: str, table: str) -> bool:
    """Whether the schema of the maps has the kind that the catalogue tells."""
    from dualsync.mapping import Schema

    return Schema.load().column("dataverse", table, column).kind == "option"


def test_no_name_in_use_is_wrong(evidence: ModuleType, catalogue: Catalogue) -> None:
    """Neither contradicted in Dataverse nor unknown in Finance, but for those on the list."""
    wrong = set()
    for name, found in evidence.by_name(evidence.uses()).items():
        told = evidence.evidence_of(found[0], catalogue)
        if (name[0] == "finance" and told == "unknown") or (told == "contradicted" and wrong_uses(found, catalogue)):
            wrong.add(name)
    assert by_set(wrong) == listed("names_wrong")


def test_names_without_evidence_that_decide_are_listed(evidence: ModuleType, catalogue: Catalogue) -> None:
    """In a key, a company, a filter or a set a wrong name would change what travels, not only leave a value out."""
    without = {
        name
        for name, found in evidence.by_name(evidence.uses()).items()
        if name[0] == "dataverse"
        and evidence.evidence_of(found[0], catalogue) in UNPROVEN
        and any(use.place in evidence.ESSENTIAL for use in found)
    }
    assert without == listed("names_without_evidence")


def test_names_that_the_sandbox_shows_are_real(evidence: ModuleType, catalogue: Catalogue) -> None:
    """Its tables, sets and columns stand in the catalogue, and no source denies them."""
    unreal = set()
    for name, (use,) in evidence.by_name(evidence.played()).items():
        told = evidence.evidence_of(use, catalogue)
        denied = told == "contradicted" and catalogue.dataverse[use.table].columns[use.column].wrong == "no such column"
        if told in UNPROVEN or denied:
            unreal.add(name)
    assert by_set(unreal) == listed("names_of_the_sandbox")


def test_every_dataverse_name_is_in_the_catalogue(evidence: ModuleType, catalogue: Catalogue) -> None:
    unknown = [use for use in evidence.uses() if use.side == "dataverse" and use.table not in catalogue.dataverse]
    unknown += [
        use for use in evidence.uses() if use.side == "dataverse" and evidence.evidence_of(use, catalogue) == "unknown"
    ]
    assert unknown == []


def test_every_fact_of_dataverse_says_where_it_was_found(catalogue: Catalogue) -> None:
    """A repository with path and commit, a page, or the number of a stored file."""
    for table in catalogue.dataverse.values():
        for column in table.columns.values():
            if column.evidence not in ("none", "contradicted"):
                assert column.sources, f"{table.name}.{column.name} names no source"
            assert set(column.sources) <= catalogue.places.keys()
    assert not [place for place in catalogue.places.values() if re.search(r"shared/|/work|/tmp", place)]


def test_a_contradicted_name_says_what_is_wrong(catalogue: Catalogue) -> None:
    wrong = [
        column
        for table in catalogue.dataverse.values()
        for column in table.columns.values()
        if column.evidence == "contradicted"
    ]
    assert len(wrong) == 25
    assert all(column.wrong and column.note and column.sources for column in wrong)


def test_keys_of_finance_sets_stand_among_their_columns(catalogue: Catalogue) -> None:
    assert len(catalogue.finance) > 100
    for held in catalogue.finance.values():
        assert held.key
        assert set(held.key) <= held.columns.keys()
        kinds = {kind.removeprefix("enum:") for kind in held.columns.values() if kind.startswith("enum:")}
        assert kinds <= catalogue.enums.keys() or held.packaged


def test_the_page_fits_the_names(evidence: ModuleType) -> None:
    assert (ROOT / "docs" / "evidence.md").read_text(encoding="utf-8") == evidence.page()
