"""The exceptions and totals of a reconciliation as CSV and Parquet: the same rows as in the workbook.

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
from dualsync.reports.figures import age_class
from dualsync.reports.nights import NightReport
from dualsync.reports.records import links

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
        pa.field("times_seen", pa.int64()),
        pa.field("resolved_at", MOMENT),
        *(pa.field(name, pa.string()) for name in ("age", "status", "owner", "comment")),
        *(pa.field(name, pa.string()) for name in ("dataverse_table", "dataverse_id", "finance_set", "finance_key")),
        pa.field("dataverse_link", pa.string()),
        pa.field("finance_link", pa.string()),
    ]
)
"""The columns of an exception in every file, and in the workbook."""

_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def neutral(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula.

    Args:
        text: Any text.
    """
    return f"'{text}" if text.startswith(_STARTS) else text


def break_row(report: NightReport, exception: BreakRecord, environments: Mapping[str, str]) -> dict[str, Any]:
    """Return an exception as a row of :data:`BREAK_COLUMNS`.

    Args:
        report: The reconciliation in which it is shown.
        exception: The exception.
        environments: Addresses of the environments, by side.
    """
    cause = CAUSES.get(exception.cause)
    addresses = links(exception, environments, report.catalog)
    computed: dict[str, Any] = {
        "class": exception.break_class,
        "cause": cause.title if cause else exception.cause,
        "mitigation": cause.mitigation if cause else "",
        "times_seen": exception.nights,
        "age": age_class(exception.first_seen, report.night.moment),
        "dataverse_link": addresses.get("dataverse", ""),
        "finance_link": addresses.get("finance", ""),
    }
    return {name: computed[name] if name in computed else getattr(exception, name) for name in BREAK_COLUMNS.names}


def write_files(report: NightReport) -> list[UPath]:
    """Write exceptions and totals as CSV and Parquet into the report folder, and return the paths.

    Args:
        report: The reconciliation.
    """
    folder = report.folder / "reports"
    environments = report.verdict.get("environments", {})
    exceptions = (break_row(report, exception, environments) for exception in report.breaks())
    totals = report.totals(period=report.night.period)
    return [
        *_both(folder, "exceptions", BREAK_COLUMNS, exceptions),
        *_both(folder, "totals", TOTALS_SCHEMA, totals),
    ]


def _both(folder: UPath, name: str, schema: pa.Schema, rows: Iterable[Mapping[str, Any]]) -> list[UPath]:
    """Write rows into both forms in one pass."""
    parquet, text = folder / f"{name}.parquet", folder / f"{name}.csv"
    with ParquetSink(parquet, schema) as sink, text.open("wb") as file:
        file.write(csv_line(schema.names))
        chunk: list[Mapping[str, Any]] = []
        for row in rows:
            chunk.append(row)
            file.write(csv_line([row[column] for column in schema.names]))
            if len(chunk) == CHUNK_ROWS:
                sink.write_rows(chunk)
                chunk = []
        sink.write_rows(chunk)
    return [parquet, text]


def csv_line(values: Sequence[Any]) -> bytes:
    """Return a line of a CSV file, without anything that a spreadsheet would run.

    Args:
        values: The values of its cells.
    """
    line = io.StringIO()
    csv.writer(line).writerow([_cell(value) for value in values])
    return line.getvalue().encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return format(value, "f")
    return neutral(value) if isinstance(value, str) else str(value)
