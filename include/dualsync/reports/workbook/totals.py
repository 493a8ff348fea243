"""The sheets of control totals, and of the balances of integration accounts."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from dualsync.reports.nights import NightReport
from dualsync.reports.workbook.book import Book

_TOTALS = (
    ("Company", 10), ("Period from", 12), ("Project", 20), ("Currency", 9), ("Type", 18), ("Class", 12),
    ("Dataverse rows", 15), ("Finance rows", 13), ("Difference rows", 15), ("Dataverse amount", 18),
    ("Finance amount", 18), ("Difference", 16), ("Dataverse accounting", 20), ("Finance accounting", 18),
    ("Difference accounting", 20),
)  # fmt: skip
_GROUP = ("company", "period", "project", "currency", "type", "class")
_FIGURES = ("rows", "amount", "accounting")
_ROW_FIGURES = 3
"""Numbers of rows, and their difference: the first figures behind the group."""

_BALANCES = (
    ("Account", 30), ("Company", 10), ("Main account", 14), ("Balance", 18), ("Open items", 18), ("Difference", 18),
    ("Currency", 9),
)  # fmt: skip


def write_totals(book: Book, report: NightReport) -> None:
    """Write a sheet for each set of totals that has rows.

    Args:
        book: The workbook.
        report: The reconciliation.
    """
    for name, state in report.totals_summary()["states"].items():
        if next(_rows(report, name), None) is not None:
            _write_set(book, report, name, state["title"])


def _rows(report: NightReport, name: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a set of totals; of one period, where the reconciliation is of one."""
    return (row for row in report.totals(period=report.night.period) if row["totals"] == name)


def _write_set(book: Book, report: NightReport, name: str, title: str) -> None:
    # the name of a sheet is short: the whole title stands in the head of the print
    sheet = book.add_sheet(f"Totals {name.replace('_', ' ')}", _TOTALS)
    sheet.set_header(f"&L&B{title.replace('&', '&&')}&R&D")
    row_sums = [0] * _ROW_FIGURES

    def lines() -> Iterator[list[Any]]:
        for row in _rows(report, name):
            figures = _figures(row)
            for place in range(_ROW_FIGURES):
                row_sums[place] += figures[place]
            yield [*(row[word] for word in _GROUP), *figures]

    last = book.put_rows(sheet, lines(), len(_TOTALS)) + 1
    mark = {"type": "cell", "criteria": "!=", "value": 0, "format": book.styles.differs}
    for column, (head, _) in enumerate(_TOTALS):
        if head.startswith("Difference"):
            sheet.conditional_format(1, column, last, column, mark)
    book.put(sheet, last, 0, "All rows", book.styles.total)
    for column in range(1, len(_GROUP)):
        book.put(sheet, last, column, "", book.styles.total)
    # amounts of several currencies have no sum, so only the rows are added up
    for column, number in enumerate(row_sums, start=len(_GROUP)):
        book.put(sheet, last, column, number, book.styles.count_sum)


def _figures(row: dict[str, Any]) -> list[Any]:
    """Return rows and amounts of both sides with their differences, as the columns of totals have them."""
    figures: list[Any] = []
    for word in _FIGURES:
        dataverse, finance = row[f"dataverse_{word}"], row[f"finance_{word}"]
        figures += [dataverse, finance, dataverse - finance]
    return figures


def write_balances(book: Book, report: NightReport) -> None:
    """Write the balances of the integration accounts beside their open items.

    Args:
        book: The workbook.
        report: The reconciliation.
    """
    rows = []
    for account in report.totals_summary()["balances"]:
        balance, items = Decimal(account["balance"]), Decimal(account["open_items"])
        names = (account["title"], account["company"], account["account"])
        rows.append((*names, balance, items, items - balance, account["currency"]))
    book.add_list("Integration accounts", _BALANCES, rows)
