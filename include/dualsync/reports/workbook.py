"""The workbook that accountants read: cover, totals that tie, controls, breaks, ageing, what was resolved.

Written row by row in constant memory. Numbers are numbers and dates are dates; an amount with more digits than a
spreadsheet can hold is text, to the last digit. No cell holds a formula, whatever the data say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import xlsxwriter
from upath import UPath
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from dualsync.reports.exports import BREAK_COLUMNS, break_row
from dualsync.reports.nights import NightReport

DIGITS = 15
"""Significant digits that a spreadsheet keeps of a number."""

LAST_ROW = 1_000_000
"""Rows of one sheet, its head included; breaks beyond go to a further sheet."""

LINKS = 60_000
"""Links of one sheet; a spreadsheet refuses more, so those beyond stand as text."""

_TOTALS = (
    ("Company", 10), ("Period from", 12), ("Project", 20), ("Currency", 9), ("Type", 18), ("Class", 12),
    ("Dataverse rows", 15), ("Finance rows", 13), ("Difference rows", 15), ("Dataverse amount", 18),
    ("Finance amount", 18), ("Difference", 16), ("Dataverse accounting", 20), ("Finance accounting", 18),
    ("Difference accounting", 20),
)  # fmt: skip
_BREAKS = {
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
    "nights": ("Nights", 8),
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
_VERDICTS = {"equal": "EQUAL", "breaks": "BREAKS FOUND", "failed": "NOT COMPLETE: parts of the night failed"}
_COLOURS = {"equal": "#DDEFE0", "breaks": "#FBE3D6", "failed": "#F6CACA"}


def write_workbook(report: NightReport, time_zone: str) -> UPath:
    """Write the workbook of a night into its report folder.

    Args:
        report: The night.
        time_zone: The zone in which moments are shown; Excel knows none.

    Returns:
        Its path.
    """
    path = report.folder / "reports" / "reconciliation.xlsx"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        book = xlsxwriter.Workbook(
            file,
            {
                "constant_memory": True,
                "strings_to_formulas": False,
                "strings_to_urls": False,
                "strings_to_numbers": False,
                "remove_timezone": True,
            },
        )
        book.set_properties({"title": "Nightly reconciliation", "comments": report.night.run_id})
        _Book(book, report, ZoneInfo(time_zone)).write()
        book.close()
    return path


class _Book:
    def __init__(self, book: xlsxwriter.Workbook, report: NightReport, zone: ZoneInfo) -> None:
        self._book = book
        self._report = report
        self._zone = zone
        self._head = book.add_format({"bold": True, "bg_color": "#1F3A5F", "font_color": "#FFFFFF", "text_wrap": True})
        self._bold = book.add_format({"bold": True})
        self._title = book.add_format({"bold": True, "font_size": 16})
        self._label = book.add_format({"bold": True, "font_color": "#444444", "valign": "top"})
        self._wrap = book.add_format({"text_wrap": True, "valign": "top"})
        self._money = book.add_format({"num_format": "#,##0.00####;[Red]-#,##0.00####;0.00"})
        self._sum = book.add_format({"num_format": "#,##0.00####;[Red]-#,##0.00####;0.00", "bold": True, "top": 1})
        self._bold_top = book.add_format({"bold": True, "top": 1})
        self._number = book.add_format({"num_format": "#,##0"})
        self._count_sum = book.add_format({"num_format": "#,##0", "bold": True, "top": 1})
        self._moment = book.add_format({"num_format": "yyyy-mm-dd hh:mm"})
        self._day = book.add_format({"num_format": "yyyy-mm-dd"})
        self._percent = book.add_format({"num_format": "0.0000%", "bold": True, "font_size": 14, "align": "left"})
        self._share = book.add_format({"num_format": "0.0000%"})
        self._left_share = book.add_format({"num_format": "0.0000%", "align": "left"})
        self._off = book.add_format({"bg_color": "#FBE3D6", "bold": True})
        self._left = book.add_format({"num_format": "#,##0", "align": "left"})
        self._left_moment = book.add_format({"num_format": "yyyy-mm-dd hh:mm", "align": "left"})
        self._left_day = book.add_format({"num_format": "yyyy-mm-dd", "align": "left"})
        self._link = book.add_format({"font_color": "#0563C1", "underline": 1})
        self._sign = book.add_format({"bottom": 1, "bg_color": "#FFFBE6"})

    def write(self) -> None:
        """All sheets, the cover first."""
        self._cover()
        for name, state in self._report.totals_summary()["states"].items():
            if any(row["totals"] == name for row in self._totals()):
                self._totals_sheet(name, state["title"])
        self._balances()
        self._controls()
        self._break_sheets("Breaks", self._report.breaks())
        self._ageing()
        self._break_sheets("Resolved", self._report.resolved())
        self._open_rows()
        self._quality()
        self._normalisation()

    # --- cells ----------------------------------------------------------------------------------------------------

    def _put(self, sheet: Worksheet, row: int, column: int, value: Any, style: Format | None = None) -> None:
        """Write a value as what it is; a text is a text, whatever it begins with."""
        match value:
            case None | "":
                if style is not None:
                    sheet.write_blank(row, column, None, style)
            case bool():
                sheet.write_boolean(row, column, value, style)
            case Decimal():
                self._put_money(sheet, row, column, value, style or self._money)
            case int():
                sheet.write_number(row, column, value, style or self._number)
            case datetime():
                local = value.astimezone(self._zone).replace(tzinfo=None)
                sheet.write_datetime(row, column, local, style or self._moment)
            case date():
                sheet.write_datetime(row, column, datetime(value.year, value.month, value.day), style or self._day)  # noqa: DTZ001
            case _:
                sheet.write_string(row, column, str(value)[:32_767], style)

    @staticmethod
    def _put_money(sheet: Worksheet, row: int, column: int, value: Decimal, style: Format) -> None:
        if len(value.normalize().as_tuple().digits) > DIGITS:
            sheet.write_string(row, column, format(value, "f"), style)
        else:
            sheet.write_number(row, column, value, style)

    def _sheet(self, name: str, columns: Iterable[tuple[str, int]]) -> Worksheet:
        """A sheet with a frozen head and a filter."""
        sheet = self._book.add_worksheet(name[:31])
        heads = list(columns)
        for place, (_, width) in enumerate(heads):
            sheet.set_column(place, place, width)
        for place, (head, _) in enumerate(heads):
            sheet.write_string(0, place, head, self._head)
        sheet.freeze_panes(1, 0)
        sheet.set_landscape()
        sheet.set_paper(9)
        sheet.fit_to_pages(1, 0)
        sheet.repeat_rows(0)
        sheet.set_footer("&L&F&C&A&R&P / &N")
        return sheet

    def _rows(self, sheet: Worksheet, rows: Iterable[Sequence[Any]], width: int) -> int:
        """Write rows below the head; returns the last one's place."""
        place = 0
        for place, row in enumerate(rows, start=1):
            for column, value in enumerate(row):
                self._put(sheet, place, column, value)
        sheet.autofilter(0, 0, max(place, 1), width - 1)
        return place

    # --- sheets ---------------------------------------------------------------------------------------------------

    def _cover(self) -> None:
        night, verdict = self._report.night, self._report.verdict
        sheet = self._book.add_worksheet("Cover")
        sheet.hide_gridlines(2)
        sheet.set_column(0, 0, 34)
        sheet.set_column(1, 1, 44)
        sheet.set_column(2, 3, 26)
        sheet.set_landscape()
        sheet.set_paper(9)
        sheet.fit_to_pages(1, 1)
        sheet.write_string(0, 0, "Reconciliation of Dataverse and Finance", self._title)
        style = self._book.add_format({"bold": True, "font_size": 14, "bg_color": _COLOURS[night.verdict]})
        place = 2
        for label, value, form in (
            ("Amounts matched", Decimal(night.matched) if night.matched else "no amounts", self._percent),
            ("Verdict", _VERDICTS[night.verdict], style),
            ("Critical breaks", night.critical, None),
            ("Errors", night.error, None),
            ("Warnings", night.warning, None),
            ("Controls not run", night.not_run, None),
            ("Controls failed", night.failed, None),
            ("New / resolved since last night", f"{verdict.get('new', 0)} / {verdict.get('resolved', 0)}", None),
            ("Companies", ", ".join(night.companies), None),
            ("Period from", date.fromisoformat(night.period) if night.period else "all periods", None),
            (f"State of the data ({self._zone.key})", night.moment, None),
            *(
                (("State of the data (UTC)", night.moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M"), None),)
                if self._zone.key != "UTC"
                else ()
            ),
            ("Dataverse", verdict.get("environments", {}).get("dataverse", ""), None),
            ("Finance", verdict.get("environments", {}).get("finance", ""), None),
            ("Run", night.run_id, None),
            ("Version of dualsync", verdict.get("version", ""), None),
            ("Digest of what was read", verdict.get("inputs", ""), None),
        ):
            sheet.write_string(place, 0, label, self._label)
            self._put(sheet, place, 1, value, form or self._beside(value))
            place += 1
        for company, share in sorted(self._report.totals_summary()["matched"].items()):
            if company:
                sheet.write_string(place, 0, f"Amounts matched, {company}", self._label)
                self._put(sheet, place, 1, Decimal(share), self._left_share)
                place += 1
        signed = (("", "Name", "Date", "Signature"), ("Prepared by", "", "", ""), ("Reviewed by", "", "", ""))
        for line, row in enumerate(signed, start=place + 1):
            for column, text in enumerate(row):
                head = row[0] == "" or column == 0
                self._put(sheet, line, column, text, self._label if head else self._sign)

    def _beside(self, value: Any) -> Format | None:
        """How a value stands beside its label."""
        match value:
            case datetime():
                return self._left_moment
            case date():
                return self._left_day
            case int():
                return self._left
            case _:
                return None

    def _totals(self) -> Iterable[dict[str, Any]]:
        return self._report.totals(period=self._report.night.period)

    def _totals_sheet(self, name: str, title: str) -> None:
        # a sheet's name has 31 characters at most: the title stands in the print's head
        sheet = self._sheet(f"Totals {name.replace('_', ' ')}", _TOTALS)
        sheet.set_header(f"&L&B{title.replace('&', '&&')}&R&D")
        sums: list[Any] = [0, 0, 0, *(Decimal(0) for _ in range(6))]

        def rows() -> Iterable[Sequence[Any]]:
            for row in self._totals():
                if row["totals"] != name:
                    continue
                figures = _figures(row)
                for place, figure in enumerate(figures):
                    sums[place] += figure
                words = [row[word] for word in ("company", "period", "project", "currency", "type", "class")]
                yield [*words, *figures]

        last = self._rows(sheet, rows(), len(_TOTALS)) + 1
        for column, (head, _) in enumerate(_TOTALS):
            if head.startswith("Difference"):
                differs = {"type": "cell", "criteria": "!=", "value": 0, "format": self._off}
                sheet.conditional_format(1, column, last, column, differs)
        self._put(sheet, last, 0, "All rows", self._bold_top)
        for column in range(1, 6):
            self._put(sheet, last, column, "", self._bold_top)
        # Amounts of several currencies have no sum; differences have one where there is none.
        for column, figure in enumerate(sums[:3], start=6):
            self._put(sheet, last, column, figure, self._count_sum)

    def _balances(self) -> None:
        columns = (("Account", 30), ("Company", 10), ("Main account", 14), ("Balance", 18), ("Open items", 18),
                   ("Difference", 18), ("Currency", 9))  # fmt: skip
        sheet = self._sheet("Integration accounts", columns)
        rows = []
        for one in self._report.totals_summary()["balances"]:
            balance, items = Decimal(one["balance"]), Decimal(one["open_items"])
            line = (one["title"], one["company"], one["account"], balance, items, items - balance, one["currency"])
            rows.append(line)
        self._rows(sheet, rows, len(columns))

    def _controls(self) -> None:
        columns = (
            ("Control", 24), ("Title", 60), ("Area", 24), ("Severity", 10), ("State", 10), ("Breaks", 9),
            ("By company", 40), ("Compares", 60), ("Tolerance", 30), ("Left out", 60), ("Evidence", 16), ("Reason", 60),
        )  # fmt: skip
        sheet = self._sheet("Controls", columns)

        def rows() -> Iterable[Sequence[Any]]:
            for line in self._report.control_lines():
                companies = ", ".join(
                    f"{company}: {number if state == 'breaks' else state}"
                    for company, (state, number) in line.by_company.items()
                )
                yield (
                    line.control, line.title, line.area, line.severity, line.state.replace("_", " "), line.breaks,
                    companies, line.compares, line.tolerance, "; ".join(line.exclusions), line.evidence, line.reason,
                )  # fmt: skip

        self._rows(sheet, rows(), len(columns))

    def _break_sheets(self, title: str, found: Iterable[Any]) -> None:
        urls = self._report.verdict.get("environments", {})
        names = BREAK_COLUMNS.names
        columns = [_BREAKS[name] for name in names]
        sheet, number, links = self._sheet(title, columns), 1, 0
        place = 0
        for one in found:
            if place == LAST_ROW - 1:
                sheet.autofilter(0, 0, place, len(names) - 1)
                number += 1
                sheet, place, links = self._sheet(f"{title} {number}", columns), 0, 0
            place += 1
            row = break_row(self._report, one, urls)
            for column, name in enumerate(names):
                value = row[name]
                if name.endswith("_link") and value and links < LINKS:
                    links += 1
                    sheet.write_url(place, column, value, self._link, "open")
                else:
                    self._put(sheet, place, column, value)
        sheet.autofilter(0, 0, max(place, 1), len(names) - 1)

    def _ageing(self) -> None:
        lines = self._report.ageing()
        currencies = sorted({currency for line in lines for currency in line["amounts"]})
        columns = [("Age (days)", 12), ("Severity", 12), ("Breaks", 10)]
        columns += [(f"Amount {currency or '(no currency)'}", 20) for currency in currencies]
        sheet = self._sheet("Ageing", columns)
        rows = [
            (
                line["age"],
                line["severity"],
                line["breaks"],
                *(line["amounts"].get(one, Decimal(0)) for one in currencies),
            )
            for line in lines
        ]
        last = self._rows(sheet, rows, len(columns)) + 1
        self._put(sheet, last, 0, "All", self._bold_top)
        self._put(sheet, last, 1, "", self._bold_top)
        self._put(sheet, last, 2, sum(line["breaks"] for line in lines), self._count_sum)
        for column, currency in enumerate(currencies, start=3):
            total = sum((line["amounts"].get(currency, Decimal(0)) for line in lines), Decimal(0))
            self._put(sheet, last, column, total, self._sum)

    def _open_rows(self) -> None:
        columns = (("Table map", 30), ("Direction", 16), ("Company", 10), ("State", 14), ("Rows", 10))
        sheet = self._sheet("Rows held back", columns)
        rows = [tuple(row.values()) for row in self._report.open_rows()]
        self._rows(sheet, rows, len(columns))

    def _quality(self) -> None:
        columns = (("Suite", 30), ("Area", 26), ("State", 12), ("Pass rate", 12), ("Rows", 10), ("Refused", 10),
                   ("Warned", 10), ("Held", 10), ("Rules", 8), ("Broken", 8), ("Reason", 60))  # fmt: skip
        sheet = self._sheet("Data quality", columns)
        figures = ("rows", "refused", "warned", "held", "rules", "broken")
        last = 0
        for last, one in enumerate(self._report.suite_rates(1), start=1):
            texts = (one["title"], one["area"], one["state"].replace("_", " "))
            for column, value in enumerate((*texts, None, *(one[name] for name in figures), one["reason"])):
                self._put(sheet, last, column, value)
            self._put(sheet, last, 3, one["rate"], self._share)
        sheet.autofilter(0, 0, max(last, 1), len(columns) - 1)

    def _normalisation(self) -> None:
        columns = (("Table map", 26), ("In Dataverse", 40), ("In Finance", 40), ("Before it is compared", 80))
        sheet = self._sheet("Normalisation", columns)
        rows = [
            (one["map"], one["dataverse"], one["finance"], one["normalised"]) for one in self._report.normalisation()
        ]
        self._rows(sheet, rows, len(columns))


def _figures(row: dict[str, Any]) -> list[Any]:
    """Rows and amounts of both sides with their differences, as the columns of totals have them."""
    found: list[Any] = []
    for word in ("rows", "amount", "accounting"):
        ours, theirs = row[f"dataverse_{word}"], row[f"finance_{word}"]
        found += [ours, theirs, ours - theirs]
    return found
