"""Sheets and cells of a workbook: how a value is written, and how it looks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

DIGITS = 15
"""Significant digits that a spreadsheet keeps of a number."""

LONGEST_TEXT = 32_767
"""Characters that a cell can hold."""

LONGEST_NAME = 31
"""Characters that the name of a sheet can have."""

_A4 = 9
_MONEY = "#,##0.00####;[Red]-#,##0.00####;0.00"
_COUNT = "#,##0"
_MOMENT = "yyyy-mm-dd hh:mm"
_DAY = "yyyy-mm-dd"
_SHARE = "0.0000%"


class Styles:
    """How cells look.

    Args:
        workbook: The workbook that they belong to.
    """

    def __init__(self, workbook: xlsxwriter.Workbook) -> None:
        def style(**properties: Any) -> Format:
            return workbook.add_format(properties)

        self.head = style(bold=True, bg_color="#1F3A5F", font_color="#FFFFFF", text_wrap=True)
        self.title = style(bold=True, font_size=16)
        self.label = style(bold=True, font_color="#444444", valign="top")
        self.money = style(num_format=_MONEY)
        self.money_sum = style(num_format=_MONEY, bold=True, top=1)
        self.total = style(bold=True, top=1)
        self.count = style(num_format=_COUNT)
        self.count_sum = style(num_format=_COUNT, bold=True, top=1)
        self.moment = style(num_format=_MOMENT)
        self.day = style(num_format=_DAY)
        self.share = style(num_format=_SHARE)
        self.left_count = style(num_format=_COUNT, align="left")
        self.left_moment = style(num_format=_MOMENT, align="left")
        self.left_day = style(num_format=_DAY, align="left")
        self.left_share = style(num_format=_SHARE, align="left")
        self.headline_share = style(num_format=_SHARE, bold=True, font_size=14, align="left")
        self.differs = style(bg_color="#FBE3D6", bold=True)
        self.link = style(font_color="#0563C1", underline=1)
        self.to_fill_in = style(bottom=1, bg_color="#FFFBE6")


class Book:
    """A workbook that is being written, sheet after sheet and row after row.

    Args:
        workbook: The workbook.
        zone: The zone in which moments are shown.
    """

    def __init__(self, workbook: xlsxwriter.Workbook, zone: ZoneInfo) -> None:
        self.workbook = workbook
        self.zone = zone
        self.styles = Styles(workbook)

    def add_sheet(self, name: str, columns: Sequence[tuple[str, int]]) -> Worksheet:
        """Add a sheet with a frozen head, ready to be printed.

        Args:
            name: Its name; what is too long is cut off.
            columns: Heads and widths.
        """
        sheet = self.workbook.add_worksheet(name[:LONGEST_NAME])
        for place, (_, width) in enumerate(columns):
            sheet.set_column(place, place, width)
        for place, (head, _) in enumerate(columns):
            sheet.write_string(0, place, head, self.styles.head)
        sheet.freeze_panes(1, 0)
        sheet.repeat_rows(0)
        sheet.set_footer("&L&F&C&A&R&P / &N")
        fit_to_page(sheet, height=0)
        return sheet

    def add_list(
        self,
        name: str,
        columns: Sequence[tuple[str, int]],
        rows: Iterable[Sequence[Any]],
        styles: Mapping[int, Format] = MappingProxyType({}),
    ) -> None:
        """Add a sheet with a list that can be filtered.

        Args:
            name: Its name.
            columns: Heads and widths.
            rows: The values, in the order of the columns.
            styles: How the values of a column look, by its place; by what they are where nothing is said.
        """
        self.put_rows(self.add_sheet(name, columns), rows, len(columns), styles)

    def put_rows(
        self,
        sheet: Worksheet,
        rows: Iterable[Sequence[Any]],
        width: int,
        styles: Mapping[int, Format] = MappingProxyType({}),
    ) -> int:
        """Write rows below the head and set the filter over them; return the place of the last row.

        Args:
            sheet: The sheet.
            rows: The values, in the order of the columns.
            width: Number of columns.
            styles: How the values of a column look, by its place; by what they are where nothing is said.
        """
        place = 0
        for place, row in enumerate(rows, start=1):
            for column, value in enumerate(row):
                style = None if value is None else styles.get(column)
                self.put(sheet, place, column, value, style)
        sheet.autofilter(0, 0, max(place, 1), width - 1)
        return place

    def put(self, sheet: Worksheet, row: int, column: int, value: Any, style: Format | None = None) -> None:
        """Write a value as what it is; a text is a text, whatever it begins with.

        Args:
            sheet: The sheet.
            row: Place of the row, from 0.
            column: Place of the column, from 0.
            value: The value; nothing is written for an empty one, but its style.
            style: How it looks; by what it is where None.
        """
        match value:
            case None | "":
                if style is not None:
                    sheet.write_blank(row, column, None, style)
            case bool():
                sheet.write_boolean(row, column, value, style)
            case Decimal():
                self._put_money(sheet, row, column, value, style or self.styles.money)
            case int():
                sheet.write_number(row, column, value, style or self.styles.count)
            case datetime():
                local = value.astimezone(self.zone).replace(tzinfo=None)
                sheet.write_datetime(row, column, local, style or self.styles.moment)
            case date():
                midnight = datetime(value.year, value.month, value.day)  # noqa: DTZ001
                sheet.write_datetime(row, column, midnight, style or self.styles.day)
            case _:
                sheet.write_string(row, column, str(value)[:LONGEST_TEXT], style)

    @staticmethod
    def _put_money(sheet: Worksheet, row: int, column: int, value: Decimal, style: Format) -> None:
        if len(value.normalize().as_tuple().digits) > DIGITS:
            sheet.write_string(row, column, format(value, "f"), style)
        else:
            sheet.write_number(row, column, value, style)


def fit_to_page(sheet: Worksheet, *, height: int) -> None:
    """Let a sheet be printed in landscape, one page wide.

    Args:
        sheet: The sheet.
        height: So many pages high; 0 for as many as it takes.
    """
    sheet.set_landscape()
    sheet.set_paper(_A4)
    sheet.fit_to_pages(1, height)
