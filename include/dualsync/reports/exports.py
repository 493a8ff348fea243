"""The breaks and totals of a night as CSV and Parquet: the same rows as in the workbook.

A text that a spreadsheet would take for a formula gets an apostrophe before it in CSV, so that opening the file never
runs anything; in Parquet it stands as it is.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
from upath import UPath

from dualsync.controls.causes import CAUSES
from dualsync.frames import CHUNK_ROWS, ParquetSink
from dualsync.ledger import BreakRecord
from dualsync.nightly.totals import TOTALS_SCHEMA
from dualsync.reports.nights import NightReport, age_class, links

MOMENT = pa.timestamp("us", tz="UTC")
BREAK_COLUMNS = pa.schema(
    [
        pa.field("number", pa.int64()),
        *(pa.field(name, pa.string()) for name in ("severity", "control", "company", "class", "key", "field")),
        pa.field("dataverse_value", pa.string()),
        pa.field("finance_value", pa.string()),
        pa.field("amount", pa.decimal128(38, 6)),
        *(pa.field(name, pa.string()) for name in ("currency", "cause", "mitigation", "explanation")),
        pa.field("first_seen", MOMENT),
        pa.field("last_seen", MOMENT),
        pa.field("nights", pa.int64()),
        pa.field("resolved_at", MOMENT),
        *(pa.field(name, pa.string()) for name in ("age", "status", "owner", "comment")),
        *(pa.field(name, pa.string()) for name in ("dataverse_table", "dataverse_id", "finance_set", "finance_key")),
        pa.field("dataverse_link", pa.string()),
        pa.field("finance_link", pa.string()),
    ]
)
"""The columns of a break in every file, and in the workbook."""

_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def neutral(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_STARTS) else text


def break_row(report: NightReport, found: BreakRecord, environments: Mapping[str, str]) -> dict[str, Any]:
    """A break as a row of :data:`BREAK_COLUMNS`."""
    cause = CAUSES.get(found.cause)
    to = links(found, environments, report.catalog)
    shown: dict[str, Any] = {
        "class": found.break_class,
        "cause": cause.title if cause else found.cause,
        "mitigation": cause.mitigation if cause else "",
        "age": age_class(found.first_seen, report.night.moment),
        "dataverse_link": to.get("dataverse", ""),
        "finance_link": to.get("finance", ""),
    }
    return {name: shown[name] if name in shown else getattr(found, name) for name in BREAK_COLUMNS.names}


def write_files(report: NightReport) -> list[UPath]:
    """Write breaks and totals as CSV and Parquet into the night's report folder."""
    folder = report.folder / "reports"
    urls = report.verdict.get("environments", {})
    breaks = (break_row(report, one, urls) for one in report.breaks())
    totals = report.totals(period=report.night.period)
    return [
        *_both(folder, "breaks", BREAK_COLUMNS, breaks),
        *_both(folder, "totals", TOTALS_SCHEMA, totals),
    ]


def _both(folder: UPath, name: str, schema: pa.Schema, rows: Iterable[Mapping[str, Any]]) -> list[UPath]:
    """Write rows into both forms in one pass."""
    parquet, text = folder / f"{name}.parquet", folder / f"{name}.csv"
    with ParquetSink(parquet, schema) as sink, text.open("wb") as file:
        file.write(csv_line(schema.names))
        piece: list[Mapping[str, Any]] = []
        for row in rows:
            piece.append(row)
            file.write(csv_line([row[column] for column in schema.names]))
            if len(piece) == CHUNK_ROWS:
                sink.write_rows(piece)
                piece = []
        sink.write_rows(piece)
    return [parquet, text]


def csv_line(values: Sequence[Any]) -> bytes:
    """A line of a CSV file, without anything that a spreadsheet would run."""
    line = io.StringIO()
    csv.writer(line).writerow([_cell(value) for value in values])
    return line.getvalue().encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return format(value, "f")
    return neutral(value) if isinstance(value, str) else str(value)
