"""The workbook that accountants read: cover, totals that tie, controls, exceptions, ageing, what was resolved.

Written row by row in constant memory. Numbers are numbers and dates are dates; an amount with more digits than a
spreadsheet can hold is text, to the last digit. No cell holds a formula, whatever the data say.
"""

from __future__ import annotations

from zoneinfo import ZoneInfo

import xlsxwriter
from upath import UPath

from dualsync.reports.nights import NightReport
from dualsync.reports.words import reconciliation_name
from dualsync.reports.workbook import cover, exceptions, lists, totals
from dualsync.reports.workbook.book import Book

FILE_NAME = "reconciliation.xlsx"

_OPTIONS = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
    "remove_timezone": True,
}


def write_workbook(report: NightReport, time_zone: str) -> UPath:
    """Write the workbook of a reconciliation into its report folder, and return its path.

    Args:
        report: The reconciliation.
        time_zone: The zone in which moments are shown; a spreadsheet knows none.
    """
    path = report.folder / "reports" / FILE_NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        workbook = xlsxwriter.Workbook(file, _OPTIONS)
        workbook.set_properties(
            {"title": reconciliation_name(report.night.moment, time_zone), "comments": report.night.run_id}
        )
        _write_sheets(Book(workbook, ZoneInfo(time_zone)), report)
        workbook.close()
    return path


def _write_sheets(book: Book, report: NightReport) -> None:
    cover.write_cover(book, report)
    totals.write_totals(book, report)
    totals.write_balances(book, report)
    lists.write_coverage(book, report)
    lists.write_gaps(book, report)
    lists.write_controls(book, report)
    exceptions.write_exceptions(book, report, "Exceptions", report.breaks())
    exceptions.write_ageing(book, report)
    exceptions.write_exceptions(book, report, "Resolved", report.resolved())
    lists.write_open_rows(book, report)
    lists.write_quality(book, report)
    lists.write_normalisation(book, report)
