"""Reads both systems once for a night: each Dataverse table and each Finance set into one Parquet file.

A file holds the columns of all table maps and extracts that use its table, as the systems give them. Finance is read
first: its rows carry no time of change, so what the integration brings while the reading goes on is seen by the time of
its Dataverse row, which is read later and then too young to be judged.

What a system does not have is no error: the file's marker says so, and what needs it is *not run*.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from upath import UPath

from dualsync.controls.extracts import CompanyOf, Extract, column_of
from dualsync.errors import SchemaMismatch
from dualsync.frames import ParquetSink
from dualsync.mapping import Column, Schema, Side, TableMap
from dualsync.sync.legs.folders import read_json, safe_name, write_json
from dualsync.sync.legs.runtime import Runtime
from dualsync.sync.plan.columns import columns_of
from dualsync.sync.plan.live_columns import typed_row
from dualsync.sync.plan.values import arrow_type
from dualsync.sync.plan.vocabulary import PROBLEM, VERSION

log = logging.getLogger(__name__)

CHANGED = "modifiedon"
"""When Dataverse last changed a row; every table has it."""


@dataclass
class Source:
    """One table or set, and all that is wanted of it.

    Attributes:
        side: The system.
        place: Logical name of the table in Dataverse, entity set in Finance.
        set_name: Entity set name.
        columns: Wanted columns and their types.
        company: Finance column by which only rows of the run's companies are asked for; None reads all.
        polymorphic: Lookups whose target table is wanted too.
    """

    side: Side
    place: str
    set_name: str
    columns: dict[str, Column] = field(default_factory=dict)
    company: str | None = None
    polymorphic: set[str] = field(default_factory=set)

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of the file."""
        fields = [pa.field(name, arrow_type(column)) for name, column in self.columns.items()]
        fields += [pa.field(f"{name}@type", pa.string()) for name in sorted(self.polymorphic)]
        return pa.schema([*fields, pa.field(VERSION, pa.string()), pa.field(PROBLEM, pa.string())])


@dataclass(frozen=True, slots=True)
class Read:
    """What came of reading a source.

    Attributes:
        path: Its file; there is none where the whole table is missing.
        rows: Number of rows.
        missing: Wanted columns that the system does not have.
        absent: Why there is no file, empty where there is one.
    """

    path: UPath
    rows: int
    missing: tuple[str, ...]
    absent: str


def sources(maps: Iterable[TableMap], extracts: Iterable[Extract], schema: Schema) -> dict[tuple[Side, str], Source]:
    """Everything that is to be read for maps and extracts, by side and place.

    Raises:
        MapErrors: An extract does not say the kind of a column.
    """
    found: dict[tuple[Side, str], Source] = {}
    for table_map in maps:
        dataverse, finance = table_map.dataverse, table_map.finance
        source = found.setdefault(("dataverse", dataverse.table), Source("dataverse", dataverse.table, dataverse.set))
        names = columns_of(table_map, "dataverse")
        source.columns |= {name: schema.column("dataverse", dataverse.table, name) for name in names}
        source.polymorphic |= {one.dataverse for one in table_map.lookups if one.targets is not None}
        source = found.setdefault(("finance", finance.set), Source("finance", finance.set, finance.set))
        names = (*columns_of(table_map, "finance"), *((finance.company,) if finance.company else ()))
        source.columns |= {name: schema.column("finance", finance.set, name) for name in names}
        source.company = finance.company
    for extract in extracts:
        source = found.setdefault((extract.side, extract.place), Source(extract.side, extract.place, extract.set))
        source.columns |= {one.column: column_of(extract, one, schema) for one in extract.columns.values()}
        source.columns |= {
            name: _own_column(extract, name, schema) for name in extract.key if name not in source.columns
        }
        if isinstance(extract.company, CompanyOf):
            source.columns.setdefault(extract.company.by, _own_column(extract, extract.company.by, schema))
        if isinstance(extract.company, str):
            source.columns.setdefault(extract.company, _own_column(extract, extract.company, schema))
            source.company = extract.company if extract.side == "finance" else None
    for source in found.values():
        if source.side == "dataverse":
            source.columns[CHANGED] = Column(CHANGED, "instant", None, None, False, None, (), False, "")
    return found


def _own_column(extract: Extract, name: str, schema: Schema) -> Column:
    if schema.has(extract.side, extract.place) and name in schema.table(extract.side, extract.place).columns:
        return schema.column(extract.side, extract.place, name)
    kind = next((one.kind for one in extract.columns.values() if one.column == name and one.kind != "money"), "text")
    return Column(name, kind or "text", None, None, False, None, (), True, "")  # type: ignore[arg-type]


class Reader:
    """Reads the sources of a night into its folder.

    Args:
        runtime: The systems.
        folder: Where the files go.
        companies: Codes of the companies whose rows are wanted.
    """

    def __init__(self, runtime: Runtime, folder: UPath, companies: Sequence[str]) -> None:
        self._runtime = runtime
        self._folder = folder
        self._companies = companies

    def read_all(self, wanted: Mapping[tuple[Side, str], Source]) -> dict[tuple[Side, str], Read]:
        """Read what is not read yet, Finance before Dataverse, several sets of one system at a time.

        Raises:
            Transient: A system did not answer; what was read until then is kept.
        """
        limits = self._runtime.settings.concurrency
        done: dict[tuple[Side, str], Read] = {}
        sides: tuple[tuple[Side, int], ...] = (("finance", limits.finance), ("dataverse", limits.dataverse))
        for side, threads in sides:
            mine = [source for (of, _), source in wanted.items() if of == side]
            with ThreadPoolExecutor(max_workers=threads) as pool:
                for source, read in zip(mine, pool.map(self.read, mine), strict=True):
                    done[side, source.place] = read
        return done

    def read(self, source: Source) -> Read:
        """Read one source, or take what an earlier attempt has read."""
        path = self._path(source.side, source.place)
        marker = path.with_suffix(".json")
        known = read_json(marker)
        if known is None:
            started = time.perf_counter()
            known = self._read(source, path) | {"columns": sorted(source.columns)}
            known["seconds"] = round(time.perf_counter() - started, 3)
            write_json(marker, known)
            log.info("read %s of %s: %s rows", source.place, source.side, known["rows"])
        return _as_read(path, known)

    def known(self, side: Side, place: str) -> Read | None:
        """What was read of a table or set, None where nothing was."""
        path = self._path(side, place)
        marker = read_json(path.with_suffix(".json"))
        return None if marker is None else _as_read(path, marker)

    def _path(self, side: Side, place: str) -> UPath:
        return self._folder / side / f"{safe_name(place)}.parquet"

    def _read(self, source: Source, path: UPath) -> dict[str, Any]:
        try:
            live = self._live(source)
        except SchemaMismatch as error:
            return {"rows": 0, "missing": [], "absent": str(error)}
        missing = [name for name in source.columns if name not in live]
        if source.company in missing:
            text = f"{source.side} {source.place} has no column {source.company}, which tells rows of companies apart"
            return {"rows": 0, "missing": missing, "absent": text}
        columns = {name: column for name, column in source.columns.items() if name in live}
        with ParquetSink(path, source.schema) as sink:
            for page in self._pages(source, list(columns)):
                sink.write_rows([typed_row(row, columns, source.side) for row in page])
            return {"rows": sink.rows, "missing": missing, "absent": ""}

    def _live(self, source: Source) -> set[str]:
        """Names of the columns that the system has.

        Raises:
            SchemaMismatch: It has no such table.
        """
        systems = self._runtime.systems
        if source.side == "dataverse":
            return set(systems.dataverse.metadata(source.place).attributes)
        return set(systems.finance.metadata(source.place).columns)

    def _pages(self, source: Source, names: list[str]) -> Iterator[list[dict[str, Any]]]:
        systems = self._runtime.systems
        if source.side == "dataverse":
            yield from systems.dataverse.read(source.set_name, select=names)
        elif source.company is None:
            yield from systems.finance.read(source.set_name, select=names)
        else:
            for company in self._companies:
                yield from systems.finance.read(
                    source.set_name, select=names, company=company, company_column=source.company
                )


def _as_read(path: UPath, known: dict[str, Any]) -> Read:
    return Read(path, known["rows"], tuple(known["missing"]), known["absent"])
