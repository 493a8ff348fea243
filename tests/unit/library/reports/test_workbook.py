"""Workbook and files of a reconciliation: sheets, words, figures, and no cell that a spreadsheet would run."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook
from openpyxl.workbook import Workbook

from dualsync.frames import read_table
from dualsync.mapping import Catalog
from dualsync.reports.nights import NightReport
from dualsync.reports.workbook import write_workbook
from support.reconciled import FORMULA, NIGHT, PACK, SCRIPT, reconcile


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NightReport]:
    ledger = reconcile(tmp_path_factory.mktemp("home"))
    found = NightReport.of(ledger, Catalog.load(), NIGHT)
    assert found is not None
    write_workbook(found, "UTC")
    yield found
    ledger.close()


@pytest.fixture(scope="module")
def book(report: NightReport) -> Workbook:
    return load_workbook(str(report.folder / "reports" / "reconciliation.xlsx"))


def rows(book: Workbook, name: str) -> list[dict[str, Any]]:
    heads, *lines = book[name].iter_rows(values_only=True)
    return [dict(zip(heads, line, strict=True)) for line in lines]


def test_sheets_stand_in_the_order_of_reading(book: Workbook) -> None:
    assert book.sheetnames == [
        "Cover", "Totals staged", "Integration accounts", "Tested", "Not tested", "Controls", "Exceptions",
        "Ageing", "Resolved", "Open rows", "Data quality", "Normalisation",
    ]  # fmt: skip


def test_the_cover_says_as_at_when_and_what_was_found(report: NightReport, book: Workbook) -> None:
    cover = {row[0]: row[1] for row in book["Cover"].iter_rows(max_col=2, values_only=True)}
    assert "Reconciliation as at 2026-03-02 02:00 (UTC): Dataverse and Finance" in cover
    assert cover["Verdict"] == "There are exceptions"
    assert (cover["Critical exceptions"], cover["Errors"], cover["Warnings"]) == (1, 1, 1)
    assert (cover["Controls not wholly tested"], cover["Controls failed"]) == (1, 0)
    assert cover["New / resolved since the last one"] == "2 / 1"
    assert Decimal(str(cover["Amounts matched"])) == Decimal("0.99999999")
    assert [row[0] for row in book["Cover"].iter_rows(values_only=True)][-2:] == ["Prepared by", "Reviewed by"]


def test_moments_are_shown_in_the_zone_of_the_settings(report: NightReport, book: Workbook) -> None:
    before = (report.folder / "reports" / "reconciliation.xlsx").read_bytes()
    write_workbook(report, "Europe/Paris")
    zoned = load_workbook(str(report.folder / "reports" / "reconciliation.xlsx"))
    (report.folder / "reports" / "reconciliation.xlsx").write_bytes(before)
    cover = {row[0]: row[1] for row in zoned["Cover"].iter_rows(max_col=2, values_only=True)}
    assert "Reconciliation as at 2026-03-02 03:00 (Europe/Paris): Dataverse and Finance" in cover
    assert str(cover["Data as at (Europe/Paris)"]) == "2026-03-02 03:00:00"
    assert cover["Data as at (UTC)"] == "2026-03-02 02:00"


def test_a_close_package_of_a_period_that_agrees(report: NightReport) -> None:
    pack = NightReport.of(report.ledger, report.catalog, PACK)
    assert pack is not None
    cover = load_workbook(str(pack.folder / "reports" / "reconciliation.xlsx"))["Cover"]
    values = {row[0]: row[1] for row in cover.iter_rows(max_col=2, values_only=True)}
    assert values["Verdict"] == "Both systems agree"
    assert str(values["Period from"]).startswith("2026-02-01")


def test_what_was_tested_and_what_was_not_have_sheets(book: Workbook) -> None:
    cover = {row[0]: row[1] for row in book["Cover"].iter_rows(max_col=2, values_only=True)}
    assert cover["Tested"] == "2 of 3 checks; 1,000 of 1,200 rows; 900.00 of 1,000.00 USD"
    tested = {row["Rows of"]: row for row in rows(book, "Tested")}
    assert [row["Tested"] for row in tested.values()] == ["tested", "partly", "not tested"]
    assert (tested["Actuals"]["Rows"], tested["Actuals"]["Amounts"]) == (1000, "900.00 USD")
    assert (tested["Lines of journals"]["Asked"], tested["Lines of journals"]["Not tested"]) == (1, "R5d")
    assert tested["Staging rows"]["Rows"] is None
    assert [tuple(row.values()) for row in rows(book, "Not tested")] == [
        ("R5d", "not tested", "the set is not offered", None),
        ("R3a", "not tested", "the set is not offered", "known to the auditors (until 2026-12-31)"),
        ("R24b", "cannot be tested anywhere", "Receipts are posted: nothing public shows it", None),
    ]


def test_exceptions_controls_and_rows_are_shown_in_words(book: Workbook) -> None:
    exceptions = {row["Key"]: row for row in rows(book, "Exceptions")}
    assert exceptions[SCRIPT]["Class"] == "missing in Finance"
    assert exceptions["PRJ-1"]["Times seen"] == 2
    assert exceptions["PRJ-1"]["Suggested cause"]
    controls = {row["Control"]: row for row in rows(book, "Controls")}
    assert {name: row["State"] for name, row in controls.items()} == {
        "R1": "exceptions", "R2": "agrees", "R3": "not tested", "map:projects": "exceptions",
    }  # fmt: skip
    assert controls["map:projects"]["Area"] == "Setup & configuration data"
    assert controls["R1"]["By company"] == "USPM: 1"
    assert controls["R2"]["By company"] == "USPM: agrees"
    assert {(row["Direction"], row["State"], row["Rows"]) for row in rows(book, "Open rows")} == {
        ("to Finance", "quarantined", 2), ("to Finance", "waiting", 1),
    }  # fmt: skip
    quality = {row["Area"]: row for row in rows(book, "Data quality")}
    assert quality["Setup & configuration data"]["Pass rate"] == 0.998
    assert quality["Project estimates & actuals"]["State"] == "not tested"
    assert quality["Project estimates & actuals"]["Pass rate"] is None


def test_ageing_and_totals_add_up(book: Workbook) -> None:
    ageing = rows(book, "Ageing")
    assert ageing[-1]["Age (days)"] == "All"
    assert ageing[-1]["Exceptions"] == sum(row["Exceptions"] for row in ageing[:-1]) == 3
    assert ageing[-1]["Amount USD"] == sum(row["Amount USD"] for row in ageing[:-1])
    totals = rows(book, "Totals staged")
    assert [row["Dataverse rows"] for row in totals] == [2, 2]
    assert totals[0]["Difference"] == 0


def test_no_cell_holds_a_formula(book: Workbook) -> None:
    cells = [cell for sheet in book for line in sheet.iter_rows() for cell in line]
    assert FORMULA in {cell.value for cell in cells}
    assert {cell.data_type for cell in cells if cell.value == FORMULA} == {"s"}
    assert "f" not in {cell.data_type for cell in cells}


def test_files_hold_the_same_exceptions_and_no_formula(report: NightReport) -> None:
    folder = report.folder / "reports"
    assert [file["name"] for file in report.downloads()] == [
        "exceptions.csv", "exceptions.parquet", "reconciliation.xlsx", "totals.csv", "totals.parquet",
    ]  # fmt: skip
    lines = list(csv.DictReader(Path(str(folder / "exceptions.csv")).read_text(encoding="utf-8").splitlines()))
    stored = read_table(folder / "exceptions.parquet").to_pylist()
    assert [line["number"] for line in lines] == [str(row["number"]) for row in stored]
    assert {line["key"] for line in lines} == {"PRJ-1", SCRIPT, f"'{FORMULA}"}
    assert {row["key"] for row in stored} == {"PRJ-1", SCRIPT, FORMULA}
    assert {line["times_seen"] for line in lines if line["key"] == "PRJ-1"} == {"2"}
