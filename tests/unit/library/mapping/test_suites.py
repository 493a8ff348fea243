"""The suites of the table maps: they follow from map and schema, Great Expectations takes them, and each can fail."""

import copy
import shutil
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from dualsync.mapping import Catalog, MapErrors, Schema
from dualsync.mapping.schema import Column
from dualsync.mapping.suites import build_suite, drifted, load_suite, suite_hash, suites_folder, write_suites
from dualsync.mapping.validation import Failure, import_great_expectations, validate_rows
from support.paths import ROOT

HOME = ROOT
catalog = Catalog.load()
schema = Schema.load()

TYPES = {
    "text": pa.string(),
    "enum": pa.string(),
    "guid": pa.string(),
    "lookup": pa.string(),
    "int": pa.int64(),
    "option": pa.int64(),
    "bool": pa.bool_(),
    "decimal": pa.decimal128(38, 6),
    "date": pa.date32(),
    "instant": pa.timestamp("us", "UTC"),
}
GOOD: dict[str, Any] = {
    "guid": "0f9f4f3e-1b1a-4f3e-8a33-0123456789ab",
    "int": 1,
    "decimal": Decimal("1.5"),
    "bool": True,
    "date": date(2026, 1, 31),
    "instant": datetime(2026, 1, 31, 12, tzinfo=UTC),
}


def frame(columns: dict[str, Column], rows: list[dict[str, Any]], create: list[bool] | None = None) -> pd.DataFrame:
    """Rows as the validate step gives them: Arrow types, one column for each receiving column, and the create flag."""
    arrays = {name: pa.array([row[name] for row in rows], TYPES[column.kind]) for name, column in columns.items()}
    table = pa.table({**arrays, "__create": pa.array(create or [True] * len(rows))})
    return table.to_pandas(types_mapper=pd.ArrowDtype)


def good_value(column: Column) -> Any:
    match column.kind:
        case "option":
            return min(column.options) if column.options else 0
        case "enum":
            return column.members[0]
        case "text":
            return "A1"[: column.length]
        case "lookup":
            return GOOD["guid"]
        case kind:
            return GOOD[kind]


def bad_value(expectation: dict[str, Any]) -> Any:
    """A value that breaks this rule and no other of its column."""
    arguments = expectation["kwargs"]
    match expectation["meta"]["rule"].rsplit(".", 1)[-1]:
        case "required":
            return None
        case "empty":
            return ""
        case "length":
            return "x" * (arguments["max_value"] + 1)
        case "range":
            return arguments["max_value"] + 1
        case "member":
            return "NoSuchMember"
        case "option":
            return -1
        case "key_characters":
            return "a/b"
        case other:
            raise AssertionError(f"no bad value is known for {other}")


def column_rules(suite: dict[str, Any], side: str) -> list[dict[str, Any]]:
    """The rules about one column of a side."""
    return [rule for rule in suite["expectations"] if rule["meta"]["side"] == side and "check" not in rule["meta"]]


def columns_of(name: str, side: str, suite: dict[str, Any]) -> dict[str, Column]:
    spec = catalog.declared[name]
    table = spec.finance.set if side == "finance" else spec.dataverse.table
    rules = column_rules(suite, side)
    return {c: schema.column(side, table, c) for c in dict.fromkeys(r["kwargs"]["column"] for r in rules)}  # type: ignore[arg-type]


def test_the_committed_suites_follow_from_maps_and_schema() -> None:
    assert drifted(catalog, schema, suites_folder(HOME)) == []
    assert {file.stem for file in suites_folder(HOME).glob("*.json")} == set(catalog.declared)


def test_a_changed_map_is_noticed_and_written_again(tmp_path: Path) -> None:
    assert len(write_suites(catalog, schema, tmp_path)) == len(catalog.declared)
    assert drifted(catalog, schema, tmp_path) == []
    text = next((HOME / "include/dualsync/maps").rglob("projects.yaml")).read_text(encoding="utf-8")
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "projects.yaml").write_text(
        "".join(line for line in text.splitlines(keepends=True) if "ProjectName" not in line), encoding="utf-8"
    )
    changed = Catalog.load(tmp_path / "maps")
    assert [file.stem for file in write_suites(changed, schema, tmp_path)] == ["projects"]
    assert drifted(changed, schema, tmp_path) == []


def test_a_map_without_a_suite_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MapErrors, match="projects has no suite"):
        load_suite(tmp_path, "projects")


def test_the_hash_of_a_suite_is_that_of_its_content() -> None:
    suite = load_suite(HOME, "projects")
    assert suite_hash(suite) == suite_hash(build_suite(catalog["projects"], schema))
    changed = copy.deepcopy(suite)
    changed["expectations"][0]["severity"] = "warning"
    assert suite_hash(changed) != suite_hash(suite)


@pytest.mark.parametrize("name", sorted(catalog.declared))
def test_every_rule_says_side_reason_and_severity(name: str) -> None:
    suite = load_suite(HOME, name)
    rules = [expectation["meta"]["rule"] for expectation in suite["expectations"]]
    for expectation in suite["expectations"]:
        assert expectation["severity"] in ("critical", "warning")
        if "check" not in expectation["meta"]:
            assert expectation["meta"]["rule"].startswith(f"{name}.{expectation['kwargs']['column']}.")
        assert expectation["meta"]["reason"]
    assert len({(rule, e["meta"]["side"]) for rule, e in zip(rules, suite["expectations"], strict=True)}) == len(rules)


@pytest.mark.parametrize(
    ("name", "side"),
    [
        (n, "finance" if d == "to_finance" else "dataverse")
        for n in sorted(catalog.declared)
        for d in catalog.declared[n].directions
    ],
)
def test_each_suite_fails_exactly_where_it_should(name: str, side: str) -> None:
    suite = load_suite(HOME, name)
    columns = columns_of(name, side, suite)
    good = {column: good_value(known) for column, known in columns.items()}
    rules = column_rules(suite, side)
    suite = {**suite, "expectations": rules}
    if not rules:
        assert (name, side) == ("milestones", "dataverse")
        return
    rows = [good, *({**good, rule["kwargs"]["column"]: bad_value(rule)} for rule in rules)]
    failures = validate_rows(frame(columns, rows), suite, side)  # type: ignore[arg-type]
    assert [(failure.position, failure.rule) for failure in failures] == [
        (position, rule["meta"]["rule"]) for position, rule in enumerate(rules, start=1)
    ]
    assert all(failure.reason == rule["meta"]["reason"] for failure, rule in zip(failures, rules, strict=True))


def actual(**values: Any) -> dict[str, Any]:
    good = {
        "TransactionType": "Cost",
        "TransactionClassification": 192350000,
        "BillingType": "Chargeable",
        "Quantity": Decimal("0.333"),
        "UnitPrice": Decimal("100.01"),
        "Amount": Decimal("33.30"),
    }
    return good | values


@pytest.mark.parametrize(
    ("values", "broken"),
    [
        ({}, []),
        ({"Amount": Decimal("33.31")}, []),
        ({"Amount": Decimal("33.32")}, ["actuals.quantity_times_price"]),
        ({"Amount": Decimal("-33.30"), "Quantity": Decimal("-0.333")}, []),
        ({"Amount": None}, []),
        ({"TransactionClassification": 192350004}, ["actuals.class_of_type"]),
        ({"TransactionType": "Sales", "TransactionClassification": 192350004}, []),
        ({"TransactionType": "InterOrgSales", "TransactionClassification": 192350002}, ["actuals.class_of_type"]),
        ({"TransactionType": "Sales", "TransactionClassification": 690970002}, []),
        ({"TransactionType": None}, []),
        ({"BillingType": None}, ["actuals.billing_type"]),
    ],
)
def test_business_rules_of_actuals_warn(values: dict[str, Any], broken: list[str]) -> None:
    suite = load_suite(HOME, "actuals")
    row = actual(**values)
    columns = {name: schema.column("finance", "ProjActualsImports", name) for name in row}
    failures = validate_rows(frame(columns, [actual(), row]), suite, "finance")
    assert [(failure.position, failure.rule, failure.severity) for failure in failures] == [
        (1, rule, "warning") for rule in broken
    ]


def test_a_rule_about_emptiness_is_asked_of_new_rows_only() -> None:
    suite = load_suite(HOME, "actuals")
    columns = {name: schema.column("finance", "ProjActualsImports", name) for name in actual()}
    rows = [actual(BillingType=None), actual(BillingType=None)]
    failures = validate_rows(frame(columns, rows, [False, True]), suite, "finance")
    assert [(failure.position, failure.rule, failure.column) for failure in failures] == [
        (1, "actuals.billing_type", "BillingType")
    ]


def test_a_rule_whose_columns_are_not_all_written_is_not_asked() -> None:
    suite = load_suite(HOME, "actuals")
    columns = {name: schema.column("finance", "ProjActualsImports", name) for name in ("Quantity", "Amount")}
    rows = [{"Quantity": Decimal(2), "Amount": Decimal(5)}]
    assert validate_rows(frame(columns, rows), suite, "finance") == []


def test_a_row_that_breaks_two_rules_is_named_twice() -> None:
    suite = load_suite(HOME, "projects")
    columns = columns_of("projects", "finance", suite)
    good = {column: good_value(known) for column, known in columns.items()}
    rows = [good, {**good, "ProjectId": None, "ProjectName": "x" * 61}]
    assert validate_rows(frame(columns, rows), suite, "finance") == [
        Failure(1, "projects.ProjectId.required", "critical", "ProjectId is empty, but is the key", "ProjectId"),
        Failure(
            1,
            "projects.ProjectName.length",
            "critical",
            "ProjectName is longer than 60 characters (length assumed)",
            "ProjectName",
        ),
    ]


def test_an_update_names_only_what_changes() -> None:
    suite = load_suite(HOME, "projects")
    columns = columns_of("projects", "finance", suite)
    empty: dict[str, Any] = dict.fromkeys(columns)
    rows = [{**empty, "ProjectName": "renamed"}, {**empty, "ProjectName": "x" * 61}, empty]
    failures = validate_rows(frame(columns, rows, [False, False, True]), suite, "finance")
    assert [(failure.position, failure.rule) for failure in failures] == [
        (1, "projects.ProjectName.length"),
        (2, "projects.ProjectId.required"),
    ]


def test_positions_count_rows_whatever_the_index_of_the_frame() -> None:
    suite = load_suite(HOME, "projects")
    columns = {"ProjectName": schema.column("finance", "ProjectsV2", "ProjectName")}
    rows = frame(columns, [{"ProjectName": "ok"}, {"ProjectName": "x" * 61}])
    rows.index = pd.Index([70, 71])
    assert [failure.position for failure in validate_rows(rows, suite, "finance")] == [1]


def test_columns_that_are_not_written_have_no_rules() -> None:
    suite = load_suite(HOME, "projects")
    columns = {"ProjectName": schema.column("finance", "ProjectsV2", "ProjectName")}
    assert validate_rows(frame(columns, [{"ProjectName": "ok"}]), suite, "finance") == []
    assert validate_rows(frame(columns, []), suite, "finance") == []


def test_reasons_hold_no_values() -> None:
    suite = load_suite(HOME, "customers_v3")
    columns = {"OnHoldStatus": schema.column("finance", "CustomersV3", "OnHoldStatus")}
    failures = validate_rows(frame(columns, [{"OnHoldStatus": "Secret"}]), suite, "finance")
    assert len(failures) == 1
    assert "Secret" not in repr(failures)


def test_great_expectations_opens_the_folder_and_every_suite(tmp_path: Path) -> None:
    folder = tmp_path / "great_expectations"
    shutil.copytree(HOME / "great_expectations", folder, ignore=shutil.ignore_patterns("uncommitted"))
    context = import_great_expectations().get_context(mode="file", context_root_dir=folder)
    for name in catalog.declared:
        opened = context.suites.get(name)
        assert len(opened.expectations) == len(load_suite(HOME, name)["expectations"])
    assert {suite.name for suite in context.suites.all()} == set(catalog.declared)
