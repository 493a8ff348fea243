"""Brings tonight's rows of a map into one form on both sides, so that they can be compared value by value.

A column pair that travels to Finance is compared in Finance's form, one that travels to Dataverse in Dataverse's: the
values go through the same conversion as in a transfer (:mod:`dualsync.sync.reconcile.transform`), with lookups resolved
through tonight's rows. Two files come out for each map and company, ``dataverse.parquet`` and ``finance.parquet``, with
the same columns:

* ``join_key``, ``key`` (as people write it), ``id`` (Dataverse), ``changed`` (Dataverse), ``dated`` (what decides
  whether a row is older than the cut-over)
* ``rule`` and ``reason``: why a leg would hold the row back, where it would
* ``amount`` and ``currency`` of the row, for maps that have them
* ``f:<column>`` and ``d:<column>``: the compared values, in the form of Finance and of Dataverse
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from upath import UPath

from dualsync.errors import SchemaMismatch
from dualsync.frames import ParquetSink, Sets, literal, quoted, to_pandas
from dualsync.mapping import ConditionalWins, Direction, Expression, Field, Side, TableMap
from dualsync.nightly.comparison.diff import VALUE, Compared
from dualsync.nightly.comparison.measures import MEASURES
from dualsync.nightly.night import NightRuntime
from dualsync.nightly.reading import CHANGED, Read
from dualsync.sync.lookups.keys import finance_keys
from dualsync.sync.lookups.parents import Parents
from dualsync.sync.lookups.paths import base_column, column_in_parent
from dualsync.sync.plan.columns import ColumnPair, LegColumns, essential_columns
from dualsync.sync.plan.equality import common_scale, comparable, rule_text
from dualsync.sync.plan.values import arrow_type, display_keys, join_keys, translate
from dualsync.sync.plan.vocabulary import GLOBAL, ID_SCHEME, JOIN_KEY, ROW_SCHEME, STATE
from dualsync.sync.reconcile.transform import Transform

TEXT = pa.string()
ROWS = "rows.parquet"
COMMON = (
    pa.field("join_key", TEXT),
    pa.field("key", TEXT),
    pa.field("id", TEXT),
    pa.field("changed", pa.timestamp("us", tz="UTC")),
    pa.field("dated", pa.date32()),
    pa.field("rule", TEXT),
    pa.field("reason", TEXT),
    pa.field("amount", pa.decimal128(38, 6)),
    pa.field("currency", TEXT),
)


@dataclass(frozen=True, slots=True)
class Pair:
    """One compared column pair.

    Attributes:
        leg_columns: The columns of the direction in whose form it is compared.
        unit: The pair, as that direction has it.
    """

    leg_columns: LegColumns
    unit: ColumnPair

    @property
    def name(self) -> str:
        """Its column in the files of both sides."""
        return f"{'f' if self.leg_columns.direction == 'to_finance' else 'd'}:{self.unit.target}"

    @property
    def compared(self) -> Compared:
        """How it is compared. Decimals already stand at the common scale in the files."""
        form = f"COALESCE({VALUE}, 0)" if self.decimal else comparable(self.leg_columns, self.unit, VALUE)
        return Compared(self.name, form)

    @property
    def decimal(self) -> bool:
        """Whether its values are decimals."""
        return self.unit.column.kind == "decimal"

    @property
    def type(self) -> pa.DataType:
        """The Arrow type of its column."""
        return (
            pa.decimal128(38, common_scale(self.leg_columns, self.unit))
            if self.decimal
            else arrow_type(self.unit.column)
        )

    @property
    def break_class(self) -> str:
        """The class of a difference."""
        match self.unit.column.kind:
            case "decimal" | "int":
                return "amount"
            case "date" | "instant":
                return "date"
            case "enum" | "option" | "bool":
                return "status"
            case "guid" | "lookup":
                return "reference"
            case _:
                return "text" if isinstance(self.unit.entry, Field) else "reference"

    @property
    def quiet(self) -> tuple[Side, ...]:
        """The sides whose empty value says nothing, unless the base knows that there was one.

        A value that never was there does not travel; what the other system filled in by itself is no difference. Of a
        pair that is never written nothing is agreed, so there an empty value is a value, unless the map keeps it.
        """
        pair = self.unit.entry
        if self.unit.read_only and not self.unit.keeps:
            return ()
        if pair.way == "both" and not isinstance(pair.wins, ConditionalWins):
            return ()
        return ("dataverse", "finance") if pair.way == "both" else (self.leg_columns.source,)

    @property
    def columns(self) -> tuple[str, str]:
        """What the pair is called in reports: its Dataverse column and its Finance column."""
        sources = " + ".join(self.unit.sources)
        return (
            (sources, self.unit.target) if self.leg_columns.direction == "to_finance" else (self.unit.target, sources)
        )

    @property
    def normalised(self) -> str:
        """What is done to values before they are compared, in words."""
        pair, steps = self.unit.entry, []
        if isinstance(pair, Field):
            if pair.values is not None:
                steps.append("translated by the map's values")
            if pair.scale is not None or pair.invert:
                steps.append(f"times {pair.scale or 1}{', inverted' if pair.invert else ''}")
            if pair.truncate is not None:
                steps.append(f"cut to {pair.truncate} characters")
        else:
            steps.append(
                "record resolved to its key" if self.leg_columns.direction == "to_finance" else "key to record id"
            )
        steps.append(rule_text(self.leg_columns, self.unit))
        if self.unit.read_only:
            steps.append("never written")
        if self.quiet:
            steps.append(f"empty in {' or '.join(side.title() for side in self.quiet)} says nothing")
        return "; ".join(step for step in steps if step)


class Sides:
    """Tonight's rows of one map.

    Args:
        night: Tonight.
        table_map: The map.

    Raises:
        SchemaMismatch: A system lacks the table or set, or a key, company or filter column: nothing can be compared.
    """

    def __init__(self, night: NightRuntime, table_map: TableMap) -> None:
        self.night = night
        self.map = table_map
        self._zone = ZoneInfo(night.settings.time_zone)
        self.reads: dict[Side, Read] = {"dataverse": self._read("dataverse", table_map.dataverse.table)}
        if table_map.finance.write == "odata":
            self.reads["finance"] = self._read("finance", table_map.finance.set)
        missing = {side: list(read.missing) for side, read in self.reads.items()}
        self._leg_columns_by_way: dict[Direction, LegColumns] = {
            way: LegColumns(table_map, way, night.schema, missing, compared=True)  # type: ignore[arg-type]
            for way in ("to_finance", "to_dataverse")
        }

    def _read(self, side: Side, place: str) -> Read:
        read = self.night.read(side, place)
        if read is None or read.absent:
            raise SchemaMismatch(read.absent if read else f"{side} {place} was not read")
        fatal = sorted(set(read.missing) & essential_columns(self.map, side))
        if fatal:
            raise SchemaMismatch(f"{side} {place} has no column {', '.join(fatal)}")
        return read

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """The column pairs that are compared: all but the key, and what is only written when a row is created."""
        found: list[Pair] = []
        for way in self.map.directions:
            for unit in self._leg_columns_by_way[way].pairs:
                pair = unit.entry
                if unit.key or (isinstance(pair, Field) and pair.constant is not None and pair.on == "create"):
                    continue
                if way == "to_dataverse" and unit.both_ways and "to_finance" in self.map.directions:
                    continue
                found.append(Pair(self._leg_columns_by_way[way], unit))
        return tuple(found)

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of both files."""
        return pa.schema([*COMMON, *(pa.field(pair.name, pair.type) for pair in self.pairs)])

    def write(self, company: str) -> None:
        """Write both files for a company.

        Other maps resolve their lookups through ``dataverse.parquet``, which has the columns of a base for that. Where
        the set cannot be read back, it is the only one.
        """
        self._write_dataverse(company)
        if "finance" in self.reads:
            self._write_finance(company)

    def as_written(self, direction: Direction, company: str) -> Iterator[pd.DataFrame]:
        """Tonight's rows of the side that a direction reads, as its leg would bring them to the other.

        Returns:
            Pieces as :meth:`Transform.piece <dualsync.sync.reconcile.transform.Transform.piece>` gives them; none
            where that side is not read.
        """
        source: Side = "dataverse" if direction == "to_finance" else "finance"
        if source not in self.reads:
            return
        transform = Transform(
            self.night.side_leg(self.map, direction, company), self.night, self._leg_columns_by_way[direction]
        )
        for rows in self._dataverse_rows(company) if source == "dataverse" else self._finance_rows(company):
            if source == "finance":
                rows[JOIN_KEY] = join_keys(rows, self.map.finance.key)
            frame = transform.piece(rows)
            yield self._named(frame, frame["join_key"], source)

    def written_columns(self, direction: Direction) -> dict[str, str]:
        """By receiving column, where :meth:`as_written` has its value.

        Lookups among the rows of the map itself are left out: the pieces do not have their values.
        """
        return {
            unit.target: f"w:{unit.target}"
            for unit in self._leg_columns_by_way[direction].pairs
            if not unit.read_only and unit not in self._leg_columns_by_way[direction].self_pairs
        }

    # --- Dataverse ------------------------------------------------------------------------------------------------

    def _write_dataverse(self, company: str) -> None:
        travels = "to_finance" in self.map.directions
        leg_columns = self._leg_columns_by_way["to_finance"]
        transform = Transform(self.night.side_leg(self.map, "to_finance", company), self.night, leg_columns)
        selves = leg_columns.self_pairs if travels else ()
        known = self._known_columns()
        own = pa.schema(
            [*self.schema, *(pa.field(name, kind) for name, kind in known.items() if name not in self.schema.names)]
        )
        schema = pa.schema([*own, *(pa.field(f"p:{unit.target}", TEXT) for unit in selves)])
        path = self._path(company, "dataverse", selves)
        parents = Parents(self.night, company)
        with ParquetSink(path, schema) as sink:
            for rows in self._dataverse_rows(company):
                if travels:
                    frame = transform.piece(rows)
                else:
                    frame = finance_keys(leg_columns, rows, parents, self.night.catalog.runnable, self._zone)
                    frame["key"] = display_keys(frame, self.map.finance.key)
                    frame["id"] = rows[self.map.dataverse.id]
                    frame = frame.rename(columns={name: f"w:{name}" for name in self.map.finance.key})
                frame = self._named(frame, frame["join_key"], "dataverse")
                frame["join_key"] = _never_empty(frame["join_key"], ID_SCHEME + frame["id"])
                frame["changed"] = rows[CHANGED]
                self._measure(frame, rows, "dataverse")
                for letter, column in (field.name.split(":", 1) for field in schema if field.name[1:2] == ":"):
                    if letter == "d":
                        frame[f"d:{column}"] = rows[column]
                    elif letter == "f" and f"w:{column}" in frame:
                        frame[f"f:{column}"] = frame[f"w:{column}"]
                sink.write(_fitted(frame, schema))
        if path.name == ROWS:
            self._finish_dataverse(company, path, selves, own)

    def _path(self, company: str, side: Side, selves: Sequence[ColumnPair]) -> UPath:
        """Where rows are written: the file of the side, or one on the way where they need a second look."""
        second_look = selves or self.map.integrated_by is not None
        return self.night.side_path(self.map, company, ROWS if second_look else f"{side}.parquet")

    def _known_columns(self) -> dict[str, pa.DataType]:
        """The columns by which other maps know a row of this one, as a base has them."""
        wanted = {f"f:{name}" for name in self.map.finance.key}
        for other in self.night.catalog.declared.values():
            for lookup in other.lookups:
                for target in lookup.targets or [None]:
                    name = lookup.targets[target].map if lookup.targets and target else lookup.map
                    if name == self.map.map:
                        paths = [path for path in lookup.on_of(target) if path != "company"]
                        wanted |= {base_column(self.map, p) for p in paths if p != self.map.dataverse.company}
        known: dict[str, pa.DataType] = {}
        for name in sorted(wanted - {"id"}):
            side: Side = "finance" if name.startswith("f:") else "dataverse"
            known[name] = arrow_type(self._leg_columns_by_way["to_finance"].column(side, name[2:]))
        return known

    def _finish_dataverse(self, company: str, rows: UPath, selves: Sequence[ColumnPair], schema: pa.Schema) -> None:
        """Resolve lookups among the rows of the map itself, and leave out what describes other companies."""
        with Sets() as sets:
            sets.view("rows", rows)
            joins, replaced = "", {}
            for number, unit in enumerate(selves):
                value = quoted(column_in_parent(self.map, unit))
                joins += (
                    f" LEFT JOIN (SELECT id AS id_{number}, any_value({value}) AS value_{number} FROM rows "
                    f"GROUP BY id) ON id_{number} = r.{quoted('p:' + unit.target)}"
                )
                replaced[f"f:{unit.target}"] = f"value_{number} AS {quoted('f:' + unit.target)}"
            columns = ", ".join(replaced.get(f.name, f"r.{quoted(f.name)}") for f in schema)
            sets.save(
                f"SELECT {columns} FROM rows r{joins}{self._integrated('r')}",
                self.night.side_path(self.map, company, "dataverse.parquet"),
            )
        rows.unlink()

    def _integrated(self, alias: str) -> str:
        """Only rows that describe an integrated company, for maps whose rows describe companies."""
        if self.map.integrated_by is None:
            return ""
        codes = ", ".join(literal(code.casefold()) for code in self.night.settings.companies)
        return f" WHERE lower({alias}.key) IN ({codes})"

    def _dataverse_rows(self, company: str) -> Iterator[pd.DataFrame]:
        """The rows of the map in Dataverse, of one company, as the legs would read them."""
        leg_columns = self._leg_columns_by_way["to_finance"]
        names = [field.name for field in leg_columns.raw_schema("dataverse")]
        columns = ", ".join(f"r.{quoted(name)}" for name in [*names, CHANGED])
        spec = self.map.dataverse
        matches = Expression.parse(spec.filter).to_sql("r") if spec.filter else "TRUE"
        unclear = spec.unclear.to_sql("r") if spec.unclear is not None else "FALSE"
        with Sets() as sets:
            sets.view("raw", self.reads["dataverse"].path)
            join, of_company = company_sql(self.night, sets, self.map, company)
            state = f"CASE WHEN {unclear} THEN 'unclear' ELSE 'in' END AS {quoted(STATE)}"
            sql = f"SELECT {columns}, {state} FROM raw r{join} WHERE ({matches} OR {unclear}) AND {of_company}"
            for piece in sets.stream(sql):
                yield to_pandas(piece)

    # --- Finance --------------------------------------------------------------------------------------------------

    def _write_finance(self, company: str) -> None:
        travels = "to_dataverse" in self.map.directions
        leg_columns = self._leg_columns_by_way["to_dataverse"]
        transform = Transform(self.night.side_leg(self.map, "to_dataverse", company), self.night, leg_columns)
        selves = leg_columns.self_pairs if travels else ()
        schema = pa.schema([*self.schema, *(pa.field(f"p:{unit.target}", TEXT) for unit in selves)])
        path = self._path(company, "finance", selves)
        number = 0
        with ParquetSink(path, schema) as sink:
            for rows in self._finance_rows(company):
                rows[JOIN_KEY] = join_keys(rows, self.map.finance.key)
                frame = transform.piece(rows) if travels else pd.DataFrame(index=rows.index)
                frame["key"] = display_keys(rows, self.map.finance.key)
                frame = self._named(frame, rows[JOIN_KEY], "finance")
                places = pd.Series(range(number, number + len(frame)), index=frame.index).astype(str)
                frame["join_key"] = _never_empty(rows.loc[frame.index, JOIN_KEY], ROW_SCHEME + places)
                number += len(rows)
                self._measure(frame, rows, "finance")
                for letter, column in (field.name.split(":", 1) for field in schema if field.name[1:2] == ":"):
                    if letter == "f":
                        frame[f"f:{column}"] = rows[column]
                    elif letter == "d":
                        frame[f"d:{column}"] = frame[f"w:{column}"]
                sink.write(_fitted(frame, schema))
        if path.name == ROWS:
            self._finish_finance(company, path, selves)

    def _finish_finance(self, company: str, rows: UPath, selves: Sequence[ColumnPair]) -> None:
        with Sets() as sets:
            sets.view("rows", rows)
            sets.view("known", self.night.side_path(self.map, company, "dataverse.parquet"))
            joins, replaced = "", {}
            for number, unit in enumerate(selves):
                joins += (
                    f" LEFT JOIN (SELECT join_key AS key_{number}, any_value(id) AS value_{number} FROM known "
                    f"GROUP BY join_key) ON key_{number} = r.{quoted('p:' + unit.target)}"
                )
                replaced[f"d:{unit.target}"] = f"value_{number} AS {quoted('d:' + unit.target)}"
            columns = ", ".join(replaced.get(f.name, f"r.{quoted(f.name)}") for f in self.schema)
            sets.save(
                f"SELECT {columns} FROM rows r{joins}{self._integrated('r')}",
                self.night.side_path(self.map, company, "finance.parquet"),
            )
        rows.unlink()

    def _finance_rows(self, company: str) -> Iterator[pd.DataFrame]:
        leg_columns = self._leg_columns_by_way["to_dataverse"]
        names = [field.name for field in leg_columns.raw_schema("finance") if field.name != JOIN_KEY]
        columns = ", ".join(f"r.{quoted(name)}" for name in names)
        spec = self.map.finance
        where = Expression.parse(spec.filter).to_sql("r") if spec.filter else "TRUE"
        if company != GLOBAL:
            where = f"({where}) AND lower(r.{quoted(str(spec.company))}) = {literal(company.lower())}"
        with Sets() as sets:
            sets.view("raw", self.reads["finance"].path)
            for piece in sets.stream(f"SELECT {columns}, 'in' AS {quoted(STATE)} FROM raw r WHERE {where}"):
                yield to_pandas(piece)

    # --- both -----------------------------------------------------------------------------------------------------

    def _named(self, frame: pd.DataFrame, keys: pd.Series[Any], side: Side) -> pd.DataFrame:
        """The rows that are the map's: one without a key, on the side that makes none of them, is of that side alone.

        On the side that makes them such a row is one that cannot go.
        """
        if self.map.rows.created_by in (side, "both"):
            return frame
        return frame[keys.notna()]

    def _measure(self, frame: pd.DataFrame, rows: pd.DataFrame, side: Side) -> None:
        measure = MEASURES.get(self.map.map)
        if measure is None:
            return
        name = measure.dataverse if side == "dataverse" else measure.finance
        if name in rows:
            frame["amount"] = rows[name]
        currency = measure.currency if side == "dataverse" else measure.finance_currency
        if currency is not None and currency in rows:
            codes = rows[currency]
            frame["currency"] = translate(codes, self._currencies.get, TEXT)[0] if side == "dataverse" else codes

    @cached_property
    def _currencies(self) -> dict[str, str]:
        """Code of each currency by its record id."""
        read = self.night.read("dataverse", "transactioncurrency")
        if read is None or read.absent:
            return {}
        with Sets() as sets:
            sets.view("currencies", read.path)
            rows = sets.fetch("SELECT transactioncurrencyid, isocurrencycode FROM currencies")
        return dict(zip(rows.column(0).to_pylist(), rows.column(1).to_pylist(), strict=True))


def company_sql(night: NightRuntime, sets: Sets, table_map: TableMap, company: str) -> tuple[str, str]:
    """A join and a condition, by which the rows ``r`` of a map's Dataverse table are those of one company."""
    if table_map.scope == "global":
        return "", "TRUE"
    parents, attribute = night.catalog.company_path(table_map)
    joins, holder = "", "r"
    for depth, (lookup, parent) in enumerate(parents):
        read = night.read("dataverse", parent.dataverse.table)
        assert read is not None
        name = f"parent_{depth}"
        sets.view(name, read.path)
        joins += f" LEFT JOIN {name} ON {name}.{quoted(parent.dataverse.id)} = {holder}.{quoted(lookup)}"
        holder = name
    return joins, f"{holder}.{quoted(attribute)} = {literal(night.company_ids.get(company, ''))}"


def _never_empty(keys: pd.Series[Any], instead: pd.Series[Any]) -> pd.Series[Any]:
    """Keys, with something that meets no key of the other side where there is none."""
    return keys.where(keys.notna(), instead.astype(keys.dtype))


def _fitted(frame: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    """A frame with exactly the columns of a schema; decimals are rounded to its scale, what is missing is null."""
    rounded: dict[str, Any] = {}
    for field in schema:
        if field.name not in frame:
            rounded[field.name] = pa.nulls(len(frame), field.type)
            continue
        values = frame[field.name].array.__arrow_array__()
        if pa.types.is_decimal(field.type) and values.type != field.type:
            if pa.types.is_decimal(values.type) and values.type.scale > field.type.scale:
                values = pc.round(values, ndigits=field.type.scale, round_mode="half_towards_infinity")
            values = values.cast(field.type)
        rounded[field.name] = values.cast(field.type) if values.type != field.type else values
    return pa.Table.from_pydict(rounded, schema=schema)
