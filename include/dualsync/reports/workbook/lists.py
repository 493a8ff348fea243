"""The sheets that are plain lists: controls, open rows, data quality, normalisation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dualsync.decimals import money
from dualsync.mapping.areas import area_title
from dualsync.reports.controls import ControlLine
from dualsync.reports.nights import NightReport
from dualsync.reports.words import direction_word, state_word
from dualsync.reports.workbook.book import Book

_CONTROLS = (
    ("Control", 24), ("Title", 60), ("Area", 28), ("Severity", 10), ("State", 11), ("Exceptions", 10),
    ("By company", 40), ("Compares", 60), ("Tolerance", 30), ("Left out", 60), ("Evidence", 16), ("Reason", 60),
)  # fmt: skip
_COVERAGE = (
    ("Area", 28), ("Company", 10), ("Rows of", 36), ("Tested", 14), ("Rows", 12), ("Amounts", 40), ("Checks", 9),
    ("Asked", 9), ("Not tested", 40),
)  # fmt: skip
_GAPS = (("Check, table map or suite", 28), ("State", 24), ("Why", 90), ("Accepted", 50))
_TESTED = {"tested": "tested", "partly": "partly", "not": "not tested"}
_OPEN_ROWS = (("Table map", 30), ("Direction", 16), ("Company", 10), ("State", 14), ("Rows", 10))
_QUALITY = (
    ("Suite", 30), ("Area", 28), ("State", 12), ("Pass rate", 12), ("Rows", 10), ("Refused", 10), ("Warned", 10),
    ("Not judged", 10), ("Rules", 8), ("Broken", 8), ("Reason", 60),
)  # fmt: skip
_QUALITY_FIGURES = ("rows", "refused", "warned", "held", "rules", "broken")
_PASS_RATE = 3
"""Place of the column of pass rates."""

_NORMALISATION = (("Table map", 26), ("In Dataverse", 40), ("In Finance", 40), ("Before it is compared", 80))


def write_controls(book: Book, report: NightReport) -> None:
    """Write what each control and compared map said.

    Args:
        book: The workbook.
        report: The reconciliation.
    """
    book.add_list("Controls", _CONTROLS, (_control_row(line) for line in report.control_lines()))


def _control_row(line: ControlLine) -> tuple[Any, ...]:
    companies = ", ".join(
        f"{company}: {number if state == 'breaks' else state_word(state)}"
        for company, (state, number) in line.by_company.items()
    )
    area = area_title(line.area) if line.area else ""
    return (
        line.control, line.title, area, line.severity, state_word(line.state), line.breaks, companies,
        line.compares, line.tolerance, "; ".join(line.exclusions), line.evidence, line.reason,
    )  # fmt: skip


def write_coverage(book: Book, report: NightReport) -> None:
    """Write how much was tested: rows and amounts by area, company and kind of row.

    Args:
        book: The workbook.
        report: The reconciliation.
    """
    book.add_list("Tested", _COVERAGE, (_coverage_row(line) for line in report.coverage()["lines"]))


def _coverage_row(line: Mapping[str, Any]) -> tuple[Any, ...]:
    amounts = ", ".join(f"{money(amount)} {code}" for code, amount in sorted(line["amounts"].items()))
    return (
        area_title(line["area"]), line["company"], line["title"], _TESTED[line["state"]], line["rows"], amounts,
        line["checks"], line["checks"] - len(line["untested"]), ", ".join(line["untested"]),
    )  # fmt: skip


def write_gaps(book: Book, report: NightReport) -> None:
    """Write what was not tested, and why: first what this environment does not show, then what none can.

    Args:
        book: The workbook.
        report: The reconciliation.
    """
    coverage = report.coverage()
    gaps = ((gap["name"], "not tested", gap["reason"], gap["accepted"]) for gap in coverage["gaps"])
    limitations = (
        (name, "cannot be tested anywhere", f"{proves}: {limits}", "")
        for name, (proves, limits) in coverage["limitations"].items()
    )
    book.add_list("Not tested", _GAPS, (*gaps, *limitations))


def write_open_rows(book: Book, report: NightReport) -> None:
    """Write how many rows wait or are blocked.

    Args:
        book: The workbook.
        report: The reconciliation.
    """
    rows = (
        (row["map"], direction_word(row["direction"]), row["company"], state_word(row["state"]), row["rows"])
        for row in report.open_rows()
    )
    book.add_list("Open rows", _OPEN_ROWS, rows)


def write_quality(book: Book, report: NightReport) -> None:
    """Write what became of each suite.

    Args:
        book: The workbook.
        report: The reconciliation.
    """
    rows = (
        (
            suite["title"],
            area_title(suite["area"]) if suite["area"] else "",
            state_word(suite["state"]),
            suite["rate"],
            *(suite[name] for name in _QUALITY_FIGURES),
            suite["reason"],
        )
        for suite in report.suite_rates(1)
    )
    book.add_list("Data quality", _QUALITY, rows, {_PASS_RATE: book.styles.share})


def write_normalisation(book: Book, report: NightReport) -> None:
    """Write what was done to each column pair before it was compared.

    Args:
        book: The workbook.
        report: The reconciliation.
    """
    rows = ((pair["map"], pair["dataverse"], pair["finance"], pair["normalised"]) for pair in report.normalisation())
    book.add_list("Normalisation", _NORMALISATION, rows)
