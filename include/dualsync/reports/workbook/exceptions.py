"""The sheets of exceptions, open and resolved, and of their age."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from xlsxwriter.worksheet import Worksheet

from dualsync.ledger import BreakRecord
from dualsync.reports.exports import BREAK_COLUMNS, break_row
from dualsync.reports.nights import NightReport
from dualsync.reports.words import class_word, status_word
from dualsync.reports.workbook.book import Book

LAST_ROW = 1_000_000
"""Rows of one sheet, its head included; exceptions beyond go to a further sheet."""

LINKS = 60_000
"""Links of one sheet; a spreadsheet refuses more, so those beyond stand as text."""

_COLUMNS = {
    "number": ("No.", 8),
    "severity": ("Severity", 10),
    "control": ("Control", 22),
    "company": ("Company", 10),
    "class": ("Class", 22),
    "key": ("Key", 34),
    "field": ("Field", 24),
    "dataverse_value": ("In Dataverse", 24),
    "finance_value": ("In Finance", 24),
    "amount": ("Amount", 16),
    "currency": ("Currency", 9),
    "cause": ("Suggested cause", 26),
    "mitigation": ("What helps", 40),
    "explanation": ("What is known", 40),
    "first_seen": ("First seen", 18),
    "last_seen": ("Last seen", 18),
    "times_seen": ("Times seen", 8),
    "resolved_at": ("Resolved", 18),
    "age": ("Age (days)", 10),
    "status": ("Status", 12),
    "owner": ("Owner", 16),
    "comment": ("Comment", 30),
    "dataverse_table": ("Dataverse table", 22),
    "dataverse_id": ("Dataverse record", 36),
    "finance_set": ("Finance entity", 26),
    "finance_key": ("Finance key", 30),
    "dataverse_link": ("Open in Dataverse", 18),
    "finance_link": ("Open in Finance", 18),
}
"""Head and width of each column of an exception."""


def write_exceptions(book: Book, report: NightReport, title: str, exceptions: Iterable[BreakRecord]) -> None:
    """Write exceptions into one sheet, or more where they are too many for one.

    Args:
        book: The workbook.
        report: The reconciliation.
        title: Name of the sheet; further ones have a number behind it.
        exceptions: The exceptions.
    """
    environments = report.verdict.get("environments", {})
    names = BREAK_COLUMNS.names
    columns = [_COLUMNS[name] for name in names]
    sheet = book.add_sheet(title, columns)
    sheets, place, links = 1, 0, 0
    for exception in exceptions:
        if place == LAST_ROW - 1:
            _set_filter(sheet, place)
            sheets, place, links = sheets + 1, 0, 0
            sheet = book.add_sheet(f"{title} {sheets}", columns)
        place += 1
        row = break_row(report, exception, environments)
        row |= {"class": class_word(row["class"]), "status": status_word(row["status"])}
        for column, name in enumerate(names):
            if name.endswith("_link") and row[name] and links < LINKS:
                links += 1
                sheet.write_url(place, column, row[name], book.styles.link, "open")
            else:
                book.put(sheet, place, column, row[name])
    _set_filter(sheet, place)


def _set_filter(sheet: Worksheet, last: int) -> None:
    sheet.autofilter(0, 0, max(last, 1), len(_COLUMNS) - 1)


def write_ageing(book: Book, report: NightReport) -> None:
    """Write how many exceptions there are by age and severity, with their amounts by currency.

    Args:
        book: The workbook.
        report: The reconciliation.
    """
    lines = report.ageing()
    currencies = sorted({currency for line in lines for currency in line["amounts"]})
    columns = [("Age (days)", 12), ("Severity", 12), ("Exceptions", 10)]
    columns += [(f"Amount {currency or '(no currency)'}", 20) for currency in currencies]
    sheet = book.add_sheet("Ageing", columns)
    rows = [
        (
            line["age"],
            line["severity"],
            line["breaks"],
            *(line["amounts"].get(currency, Decimal(0)) for currency in currencies),
        )
        for line in lines
    ]
    last = book.put_rows(sheet, rows, len(columns)) + 1
    book.put(sheet, last, 0, "All", book.styles.total)
    book.put(sheet, last, 1, "", book.styles.total)
    book.put(sheet, last, 2, sum(line["breaks"] for line in lines), book.styles.count_sum)
    for column, currency in enumerate(currencies, start=3):
        total = sum((line["amounts"].get(currency, Decimal(0)) for line in lines), Decimal(0))
        book.put(sheet, last, column, total, book.styles.money_sum)
