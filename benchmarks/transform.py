"""How long it takes to bring the rows of a transfer into the receiver's form, and in how much memory.

The rows, and the bases of the maps they look up, are made in one process and transformed in another, so that what is
measured is the transformation alone. Both systems answer at once, with what they are asked for.
"""

from __future__ import annotations

import multiprocessing
import resource
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, cast

import numpy as np
import pyarrow as pa  # noqa: TID253 - nothing waits for it here
import pyarrow.parquet as pq  # noqa: TID253 - as above
import typer
from upath import UPath

from dualsync.frames import ParquetSink, iter_tables, to_pandas
from dualsync.mapping import Catalog, Column, Field, Lookup, Schema
from dualsync.mapping.words import COMPANY_WORD
from dualsync.sync.legs.leg import Leg
from dualsync.sync.legs.runtime import Runtime
from dualsync.sync.plan.columns import LegColumns
from dualsync.sync.reconcile.transform import Transform

COMPANY = "V1"
"""A company by the name that the first parent of every map has."""

WAYS = (("actuals", "to_finance"), ("vendor_invoice_lines", "to_dataverse"), ("customers_v3", "to_dataverse"))
START = datetime(2025, 1, 1, tzinfo=UTC)


def value(column: Column, field: Field | None, direction: str, number: int, place: int) -> Any:
    """A value of a column: the same for the same number of a parent, another from row to row otherwise."""
    if field is not None and field.values is not None:
        # a value map of two ways is written from Dataverse's values to Finance's
        known = list(field.values.values() if field.way == "both" and direction == "to_dataverse" else field.values)
        return known[place % len(known)]
    match column.kind:
        case "int" | "option":
            return place % 7
        case "decimal":
            return Decimal(place * 7919 % 10_000_019).scaleb(-2)
        case "bool":
            return place % 2 == 0
        case "date":
            return date(2025, 1, 1) + timedelta(days=place % 700)
        case "instant":
            return START + timedelta(seconds=place * 977)
        case "guid" | "lookup":
            return f"{number:032x}"
        case _:
            return f"V{number}"


def record(number: int) -> str:
    """The id of a parent."""
    return f"{number:032x}"


def make(folder: Path, name: str, direction: Any, rows: int, parents: int) -> None:
    """Write the rows of a transfer, and the base of each map it looks up.

    Args:
        folder: Where to write.
        name: The table map.
        direction: The direction.
        rows: How many rows; of one in fifty the parents have not arrived.
        parents: How many rows each base has.
    """
    schema, catalog = Schema.load(), Catalog.load()
    columns = LegColumns(catalog[name], direction, schema)
    numbers = np.random.default_rng(7).integers(0, parents, rows)
    numbers[::50] += parents
    fields = {pair.sources[0]: pair.entry for pair in columns.pairs if isinstance(pair.entry, Field) and pair.sources}
    looked = {source for pair in columns.pairs if isinstance(pair.entry, Lookup) for source in pair.sources}
    companies = {on[COMPANY_WORD] for lookup in columns.map.lookups if COMPANY_WORD in (on := lookup.on or {})}
    raw = columns.raw_schema(columns.source)
    made: dict[str, Any] = {}
    for place in raw:
        if place.name.startswith("@"):
            made[place.name] = [None if place.name == "@problem" else f"v{n}" for n in range(rows)]
            continue
        column = columns.column(columns.source, place.name)
        made[place.name] = (
            [record(n) if column.kind == "lookup" else f"V{n}" for n in numbers]
            if place.name in looked
            else [value(column, fields.get(place.name), direction, int(n), i) for i, n in enumerate(numbers)]
        )
    made |= {column: [COMPANY] * rows for column in companies & set(made)}
    made["@state"] = ["in"] * rows
    for key in {columns.map.dataverse.id, *columns.map.finance.key} & set(raw.names):
        made[key] = [record(n) if key == columns.map.dataverse.id else f"K{n}" for n in range(rows)]
    wanted = pa.schema([*raw, pa.field("@state", pa.string())])
    pq.write_table(
        pa.table({place.name: pa.array(made[place.name], place.type) for place in wanted}), folder / "source"
    )
    for parent in {parent for lookup in columns.map.lookups for parent in lookup.maps} - {name}:
        base = LegColumns(catalog[parent], "to_finance", schema)
        known = {place.name: pa.array(_base(place, base, parents), place.type) for place in base.base_schema()}
        pq.write_table(pa.table(known), folder / f"{parent}.parquet")


def _base(place: pa.Field, columns: LegColumns, parents: int) -> list[Any]:
    """A column of a base: texts hold the number of the parent."""
    if place.name == "id":
        return [record(n) for n in range(parents)]
    if place.name == "join_key":
        return ["|".join([f"v{n}"] * len(columns.map.finance.key)) for n in range(parents)]
    return [f"V{n}" for n in range(parents)] if place.type == pa.string() else [None] * parents


class Answers:
    """Both systems: each record that is asked for is there, and tells its own number."""

    def read_ids(self, entity: str, ids: Any, select: Any) -> list[dict[str, Any]]:
        """Records by id."""
        return [dict.fromkeys(select, f"V{int(one, 16)}") | {select[0]: one} for one in ids]

    def read_keys(self, entity: str, conditions: Any, select: Any) -> list[dict[str, Any]]:
        """Records by their values."""
        return [condition | {select[0]: condition.get(select[0], record(0))} for condition in conditions]


def measure(folder: Path, name: str, direction: Any, answer: Any) -> None:
    """Transform the rows as the step does, and send seconds and MiB to ``answer``."""
    schema, catalog = Schema.load(), Catalog.load()
    settings = SimpleNamespace(companies=(COMPANY, "V2"), time_zone="Europe/Paris")
    runtime = SimpleNamespace(
        settings=settings,
        catalog=catalog,
        schema=schema,
        systems=SimpleNamespace(dataverse=Answers(), finance=Answers()),
        company_ids={COMPANY: record(1), "V2": record(2)},
        base_path=lambda parent, _: path if (path := UPath(folder / f"{parent}.parquet")).exists() else None,
    )
    leg = SimpleNamespace(map=catalog[name], company=COMPANY, direction=direction)
    columns = LegColumns(catalog[name], direction, schema)
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    transform = Transform(cast(Leg, leg), cast(Runtime, runtime), columns)
    with ParquetSink(UPath(folder / "want.parquet"), transform.schema) as sink:
        for piece in iter_tables(UPath(folder / "source")):
            sink.write(transform.piece(to_pandas(piece)))
    seconds = time.perf_counter() - start
    answer.send((seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024))


def main(
    rows: Annotated[int, typer.Option(help="Rows of a transfer.")] = 100_000,
    parents: Annotated[int, typer.Option(help="Rows of each base that is looked into.")] = 20_000,
) -> None:
    """Print seconds and additional memory for some maps and directions."""
    spawn = multiprocessing.get_context("spawn")
    for name, direction in WAYS:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            here, there = spawn.Pipe(duplex=False)
            _run(spawn, make, folder, name, direction, rows, parents)
            _run(spawn, measure, folder, name, direction, there)
            seconds, mib = here.recv()
            print(f"{name:>22} {direction:<13} {rows:>9,} rows: {seconds:6.2f} s, {mib:6.0f} MiB more")


def _run(spawn: Any, target: Any, *given: Any) -> None:
    process = spawn.Process(target=target, args=given)
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(process.exitcode)


if __name__ == "__main__":
    typer.run(main)
