"""How long the comparison of two files takes, and in how much memory: 15 columns, both sides, some rows that differ.

The rows are made in one process and compared in another, so that what is measured is the comparison alone. Run with
``make bench``; it fails where a target is missed.
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import subprocess
import sys
import tempfile
import time
from typing import Annotated

import pyarrow as pa  # noqa: TID253 - nothing waits for it here
import typer
from upath import UPath

from dualsync.frames import CHUNK_ROWS, ParquetSink, Sets
from dualsync.nightly.comparison.diff import VALUE, Compared, compare

TARGETS = {1_000_000: (1.5, 300), 5_000_000: (5.0, 700)}
"""Seconds and MiB by number of rows on each side, on two cores."""

TYPES: tuple[tuple[str, pa.DataType, str], ...] = (
    ("id", pa.string(), VALUE),
    ("project", pa.string(), f"COALESCE({VALUE}, '')"),
    ("task", pa.string(), f"COALESCE({VALUE}, '')"),
    ("description", pa.string(), f"rtrim(COALESCE({VALUE}, ''))"),
    ("category", pa.string(), f"COALESCE({VALUE}, '')"),
    ("type", pa.string(), VALUE),
    ("quantity", pa.decimal128(38, 4), f"COALESCE({VALUE}, 0)"),
    ("price", pa.decimal128(38, 4), f"COALESCE({VALUE}, 0)"),
    ("amount", pa.decimal128(38, 4), f"COALESCE({VALUE}, 0)"),
    ("rate", pa.decimal128(38, 6), f"COALESCE({VALUE}, 0)"),
    ("day", pa.date32(), VALUE),
    ("changed", pa.timestamp("us", tz="UTC"), VALUE),
    ("status", pa.int64(), VALUE),
    ("billable", pa.bool_(), VALUE),
)
"""Beside the key: name, type, and the form in which values are compared, as maps of actuals have them."""


def make(folder: str, rows: int) -> None:
    """Two files of the same rows in another order; every thousandth row differs, is missing, or is one too many."""
    import duckdb

    # files of a night are written in pieces of this many rows, too
    columns = {
        "id": "md5('id' || i)",
        "project": "'PRJ-' || (i % 5000)",
        "task": "'TSK-' || (i % 40000)",
        "description": "'Work of day ' || (i % 900) || ' for customer ' || (i % 77)",
        "category": "'TCN-' || (i % 12)",
        "type": "CASE i % 3 WHEN 0 THEN 'Cost' WHEN 1 THEN 'Unbilled' ELSE 'Billed' END",
        "quantity": "((i % 1600) / 100)::DECIMAL(38,4)",
        "price": "((i % 30011) / 100)::DECIMAL(38,4)",
        "amount": "((i * 7919 % 10000019) / 100)::DECIMAL(38,4) + {odd}",
        "rate": "(100 + (i % 1000) / 1000)::DECIMAL(38,6)",
        "day": "DATE '2025-01-01' + (i % 700)::INTEGER",
        "changed": "TIMESTAMPTZ '2025-01-01' + to_seconds(i)",
        "status": "(192350000 + i % 4)::BIGINT",
        "billable": "i % 2 = 0",
    }
    schema = pa.schema([pa.field("join_key", pa.string()), *(pa.field(name, kind) for name, kind, _ in TYPES)])
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        for side, first, odd, order in (
            ("left", 0, "0", "i"),
            ("right", rows // 5000, "CASE WHEN i % 2500 = 7 THEN 1 ELSE 0 END", "(i * 7919) % 1000003, i"),
        ):
            values = ", ".join(f"{sql.replace('{odd}', odd)} AS {name}" for name, sql in columns.items())
            numbers = f"range({first}, {rows + first}) r(i) ORDER BY {order}"
            sql = f"SELECT md5('key' || i) AS join_key, {values} FROM {numbers}"  # noqa: S608 - nothing from outside
            with ParquetSink(UPath(folder) / f"{side}.parquet", schema) as sink:
                for batch in connection.sql(sql).to_arrow_reader(CHUNK_ROWS):
                    sink.write(pa.Table.from_batches([batch]).cast(schema))


def measure(folder: str) -> dict[str, float]:
    """Compare the two files of a folder in this process, and say what it took."""
    left, right = (UPath(folder) / f"{side}.parquet" for side in ("left", "right"))
    columns = [Compared(name, form) for name, _, form in TYPES]
    with Sets() as sets:
        before = time.perf_counter(), time.process_time()
        assert compare(sets, left, right, columns)
        seconds, processor = time.perf_counter() - before[0], time.process_time() - before[1]
        found = {name: sets.fetch(f"FROM {name}").num_rows for name in ("only_left", "only_right", "cells")}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": round(seconds, 2), "processor": round(processor, 2), "peak_mib": round(peak), **found}


def main(
    rows: Annotated[list[int] | None, typer.Option(help="Rows on each side; may be repeated.")] = None,
    times: Annotated[int, typer.Option(help="How often each is measured; the best counts.")] = 3,
    folder: Annotated[str, typer.Option(hidden=True, help="Measure the files of this folder.")] = "",
) -> None:
    """Make, compare and print; the last line is JSON."""
    if folder:
        typer.echo(json.dumps(measure(folder)))
        return
    figures, missed = [], []
    for number in rows or list(TARGETS):
        with tempfile.TemporaryDirectory(prefix="dualsync-bench-") as made:
            maker = multiprocessing.get_context("spawn").Process(target=make, args=(made, number))
            maker.start()
            maker.join()
            command = [sys.executable, __file__, "--folder", made]
            runs = [
                json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
                for _ in range(times)
            ]
        best = min(runs, key=lambda one: one["seconds"]) | {"peak_mib": max(one["peak_mib"] for one in runs)}
        assert best["only_left"] == best["only_right"] == number // 5000
        figures.append({"rows": number, **best})
        typer.echo(
            f"{number:>9,} rows x {len(TYPES) + 1} columns: {best['seconds']:.2f} s, {best['processor']:.2f} s of "
            f"processors, peak {best['peak_mib']:,.0f} MiB"
        )
        seconds, memory = TARGETS.get(number, (float("inf"), float("inf")))
        if best["seconds"] > seconds or best["peak_mib"] > memory:
            missed.append(f"{number:,} rows: more than {seconds} s or {memory} MiB")
    typer.echo(json.dumps(figures))
    for one in missed:
        typer.echo(one, err=True)
    raise typer.Exit(1 if missed else 0)


if __name__ == "__main__":
    typer.run(main)
