"""The cover of the workbook: verdict, figures, what was read and when, and where it is signed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from dualsync.decimals import money
from dualsync.reports.nights import NightReport
from dualsync.reports.words import reconciliation_name
from dualsync.reports.workbook.book import Book, fit_to_page

_VERDICTS = {
    "equal": ("Both systems agree", "#DDEFE0"),
    "breaks": ("There are exceptions", "#FBE3D6"),
    "incomplete": ("Both systems agree as far as tested", "#FFF2CC"),
    "failed": ("Not complete: part of the reconciliation failed", "#F6CACA"),
}
"""Words and colour of each verdict."""

_SIGNATURES = (("", "Name", "Date", "Signature"), ("Prepared by", "", "", ""), ("Reviewed by", "", "", ""))

_FIRST = 2
"""Place of the first line below the title."""

_Line = tuple[str, Any, Format | None]


def write_cover(book: Book, report: NightReport) -> None:
    """Write the cover.

    Args:
        book: The workbook.
        report: The reconciliation.
    """
    sheet = book.workbook.add_worksheet("Cover")
    sheet.hide_gridlines(2)
    sheet.set_column(0, 0, 34)
    sheet.set_column(1, 1, 44)
    sheet.set_column(2, 3, 26)
    fit_to_page(sheet, height=1)
    title = reconciliation_name(report.night.moment, book.zone.key)
    sheet.write_string(0, 0, f"{title}: Dataverse and Finance", book.styles.title)
    lines = list(_lines(book, report))
    for place, (label, value, style) in enumerate(lines, start=_FIRST):
        sheet.write_string(place, 0, label, book.styles.label)
        book.put(sheet, place, 1, value, style or _beside_label(book, value))
    _put_signatures(book, sheet, _FIRST + len(lines) + 1)


def _lines(book: Book, report: NightReport) -> Iterator[_Line]:
    """Yield label, value and style of each line; the most important first."""
    night, verdict = report.night, report.verdict
    words, colour = _VERDICTS[night.verdict]
    headline = book.workbook.add_format({"bold": True, "font_size": 14, "bg_color": colour})
    matched = Decimal(night.matched) if night.matched else "no amounts"
    yield "Amounts matched", matched, book.styles.headline_share
    if amounts := report.totals_summary()["amounts"].get(""):
        yield "Matched of tested of total", " of ".join(money(amounts[name]) for name in amounts), None
    yield "Verdict", words, headline
    yield "Tested", verdict.get("tested", ""), None
    yield "Critical exceptions", night.critical, None
    yield "Errors", night.error, None
    yield "Warnings", night.warning, None
    yield "Controls not wholly tested", night.not_run, None
    yield "Controls failed", night.failed, None
    yield "New / resolved since the last one", f"{verdict.get('new', 0)} / {verdict.get('resolved', 0)}", None
    yield "Companies", ", ".join(night.companies), None
    yield "Period from", date.fromisoformat(night.period) if night.period else "all periods", None
    yield f"Data as at ({book.zone.key})", night.moment, None
    if book.zone.key != "UTC":
        yield "Data as at (UTC)", night.moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M"), None
    environments = verdict.get("environments", {})
    yield "Dataverse", environments.get("dataverse", ""), None
    yield "Finance", environments.get("finance", ""), None
    yield "Run", night.run_id, None
    yield "Version of dualsync", verdict.get("version", ""), None
    yield "Digest of what was read", verdict.get("inputs", ""), None
    for company, share in sorted(report.totals_summary()["matched"].items()):
        if company:
            yield f"Amounts matched, {company}", Decimal(share), book.styles.left_share


def _beside_label(book: Book, value: Any) -> Format | None:
    """Return how a value looks beside its label."""
    match value:
        case datetime():
            return book.styles.left_moment
        case date():
            return book.styles.left_day
        case int():
            return book.styles.left_count
        case _:
            return None


def _put_signatures(book: Book, sheet: Worksheet, first: int) -> None:
    """Write the cells in which two people sign."""
    for place, row in enumerate(_SIGNATURES, start=first):
        for column, text in enumerate(row):
            is_label = row[0] == "" or column == 0
            book.put(sheet, place, column, text, book.styles.label if is_label else book.styles.to_fill_in)
