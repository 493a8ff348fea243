"""What the bases of parents answer, and what is read where they do not."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from dualsync.sync.lookups.keys import distinct_keys, key_frame
from support.stage import BY_COMPANY, Stage

TEXT = pa.string()


def ids(*values: str) -> pa.Array:
    return pa.array(values, TEXT)


def keys(*values: tuple[Any, ...], paths: tuple[str, ...]) -> pd.DataFrame:
    return distinct_keys(key_frame([pa.array(part) for part in zip(*values, strict=True)], paths))


@pytest.fixture
def stage(stage: Stage) -> Stage:
    """A stage with bases of two companies."""
    stage.base("groups", "USMF", [{"id": "g1", "f:GroupId": "Books"}, {"id": None, "f:GroupId": "New"}])
    stage.base("groups", "GBSI", [{"id": "g1", "f:GroupId": "another"}, {"id": "g2", "f:GroupId": "Maps"}])
    stage.base("units", "_global", [{"id": "u1", "f:Symbol": "ea"}])
    stage.base(
        "orders",
        "USMF",
        [
            {"id": "o1", "f:OrderNumber": "A|1", "f:GroupId": "Straße", "f:Amount": Decimal("1.500000")},
            {"id": "o2", "f:OrderNumber": "B", "f:GroupId": None, "f:Amount": Decimal("1.500000")},
            {"id": None, "f:OrderNumber": "C", "f:GroupId": "Books", "f:Amount": Decimal("7.000000")},
        ],
    )
    return stage


# --- by record id -----------------------------------------------------------------------------------------------------


def test_values_of_records(stage: Stage) -> None:
    table = stage.parents().finance_values(stage.catalog["orders"], ["amount", "number"], ids("o2", "o9", "o1"))
    assert table.column_names == ["id", "amount", "number"]
    assert sorted(table.to_pylist(), key=lambda row: row["id"]) == [
        {"id": "o1", "amount": Decimal("1.500000"), "number": "A|1"},
        {"id": "o2", "amount": Decimal("1.500000"), "number": "B"},
    ]


def test_the_id_itself_and_the_company_are_values_too(stage: Stage) -> None:
    table = stage.parents().finance_values(stage.catalog["groups"], ["groupid", BY_COMPANY], ids("g1"))
    assert table.to_pylist() == [{"id": "g1", "groupid": "g1", BY_COMPANY: "usmf"}]


def test_the_first_company_that_has_a_record_answers(stage: Stage) -> None:
    found = stage.parents("GBSI").finance_values(stage.catalog["groups"], ["name"], ids("g1", "g2"), anywhere=True)
    assert {row["id"]: row["name"] for row in found.to_pylist()} == {"g1": "Books", "g2": "Maps"}
    assert stage.bases == [("groups", "USMF"), ("groups", "GBSI")]


def test_global_parents_have_one_base_for_all(stage: Stage) -> None:
    table = stage.parents("GBSI").finance_values(stage.catalog["units"], ["symbol"], ids("u1"), anywhere=True)
    assert table.to_pylist() == [{"id": "u1", "symbol": "ea"}]
    assert stage.bases == [("units", "_global")]


@pytest.mark.parametrize(("name", "asked"), [("items", ("i1",)), ("groups", ())])
def test_no_base_and_no_question_have_no_answer(stage: Stage, name: str, asked: tuple[str, ...]) -> None:
    table = stage.parents().finance_values(stage.catalog[name], ["number"], ids(*asked))
    assert (table.column_names, table.num_rows) == (["id", "number"], 0)


# --- by Finance values ------------------------------------------------------------------------------------------------


def test_records_by_the_whole_key(stage: Stage) -> None:
    paths = ("number", "group.name")
    asked = keys(("a|1", "STRASSE"), ("B", "x"), ("A|1", "strasse"), ("C", "Books"), paths=paths)
    table = stage.parents().record_ids(stage.catalog["orders"], paths, asked)
    assert table.to_pylist() == [{"join_key": "a\\|1|strasse", "id": "o1"}], "one without a record id names none"


def test_records_by_other_columns(stage: Stage) -> None:
    asked = keys((Decimal("1.5"),), (Decimal(7),), (Decimal(9),), paths=("amount",))
    table = stage.parents().record_ids(stage.catalog["orders"], ("amount",), asked)
    assert sorted(table["id"].to_pylist()) == ["o1", "o2"]
    assert set(table["join_key"].to_pylist()) == {"1.5"}
    none = stage.parents().record_ids(stage.catalog["orders"], ("amount",), keys((Decimal(9),), paths=("amount",)))
    assert none.num_rows == 0


def test_records_of_a_company(stage: Stage) -> None:
    asked = keys(("maps",), ("books",), paths=("name",))
    parents, groups = stage.parents(), stage.catalog["groups"]
    assert parents.record_ids(groups, ("name",), asked)["id"].to_pylist() == ["g1"]
    assert parents.record_ids(groups, ("name",), asked, company="GBSI")["id"].to_pylist() == ["g2"]
    assert parents.record_ids(groups, ("name",), asked, company="DEMF").num_rows == 0
    assert parents.record_ids(groups, ("name",), asked.iloc[:0]).num_rows == 0


# --- tables without a map ---------------------------------------------------------------------------------------------


def test_values_through_another_table(stage: Stage) -> None:
    stage.dataverse.rows["uoms"] = [{"uomid": "A", "symbol": "ea"}]
    lookup = stage.catalog["orders"].lookup("unit")
    assert stage.parents().through(lookup, ["A", "b"]) == {"a": "ea"}


def test_records_through_another_table_are_of_the_company(stage: Stage) -> None:
    stage.dataverse.rows["uoms"] = [
        {"uomid": "A", "symbol": "EA", "company": "company USMF"},
        {"uomid": "b", "symbol": "ea", "company": "company GBSI"},
    ]
    lookup = stage.catalog["orders"].lookup("unit")
    asked = {"ea": "ea", "kg": "kg"}
    assert stage.parents().records_through(lookup, asked) == {"ea": "a"}
    assert stage.parents("GBSI").records_through(lookup, asked) == {"ea": "b"}
    assert stage.parents("DEMF").records_through(lookup, asked) == {}, "a company that has not arrived has no records"
    assert stage.parents().records_through(lookup, {}) == {}
    assert len(stage.dataverse.asked) == 2


def test_records_through_a_table_without_companies(stage: Stage) -> None:
    stage.dataverse.rows["makers"] = [{"makerid": "M", "name": "Ada"}]
    assert stage.parents().records_through(stage.catalog["orders"].lookup("maker"), {"ada": "ada"}) == {"ada": "m"}


# --- why not --------------------------------------------------------------------------------------------------------


def test_reasons_are_columns(stage: Stage) -> None:
    parents = stage.parents()
    records = parents.why_missing_records(stage.catalog["items"], "item", ids("i1"))
    assert records.to_pylist() == [
        {
            "id": "i1",
            "state": "quarantined",
            "rule": "items.deleted",
            "reason": "item points at a record of item that no longer exists; choose another one",
        }
    ]
    named = parents.why_missing_keys(stage.catalog["items"], ["ItemNumber"], keys(("I",), paths=("number",)))
    assert named.column_names == ["join_key", "state", "rule", "reason"]
    assert named["rule"].to_pylist() == ["items.unknown"]


def test_a_row_of_finance_without_a_key_is_nobodys(stage: Stage) -> None:
    stage.finance.rows["Items"] = [{"ItemNumber": "", "dataAreaId": "USMF"}]
    asked = keys(("I",), paths=("number",))
    kept: Any = [False]
    asked["number"] = asked["number"].where(kept, "")
    named = stage.parents().why_missing_keys(stage.catalog["items"], ["ItemNumber"], asked)
    assert named["rule"].to_pylist() == ["items.unknown"]
