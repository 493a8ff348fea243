"""What a leg carries: its column pairs unfolded into pairs, one per receiving column, with the types of both ends."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import pyarrow as pa

from dualsync.mapping import Column, ConditionalWins, Direction, Expression, Field, Lookup, Schema, Side, TableMap
from dualsync.mapping.words import COMPANY_WORD
from dualsync.sync.plan.values import arrow_type

VERSION = "@version"
"""Column with the row version (ETag) as it was read."""

JOIN_KEY = "@key"
"""Column of Finance rows with the text by which both sides' rows meet."""

PROBLEM = "@problem"
"""Column that says which value of a row is not of its column's type; such a value is read as null."""


@dataclass(frozen=True, slots=True)
class ColumnPair:
    """One receiving column and what it is made of.

    Attributes:
        target: The receiving column.
        column: Its type.
        sources: Sending columns; none for a constant.
        entry: The field or lookup it comes from.
        key: Whether it is part of the integration key.
    """

    target: str
    column: Column
    sources: tuple[str, ...]
    entry: Field | Lookup
    key: bool

    @property
    def both_ways(self) -> bool:
        """Whether the other direction carries it too."""
        return self.entry.way == "both"

    @property
    def keeps(self) -> bool:
        """Whether an emptied value at its owner leaves the other side's as it is."""
        return self.entry.null == "keep"

    @property
    def read_only(self) -> bool:
        """Whether it is only compared, never written."""
        return isinstance(self.entry, Field) and self.entry.read_only


class LegColumns:
    """The columns of a leg.

    Attributes:
        entries: The fields and lookups that its pairs come from.

    Args:
        table_map: The map.
        direction: The leg's direction.
        schema: Types of the columns.
        missing: Columns, by side, that the live systems do not have; pairs on them are left out.
        compared: Whether pairs that are never written, only compared, are among its pairs. No leg says so.
    """

    def __init__(
        self,
        table_map: TableMap,
        direction: Direction,
        schema: Schema,
        missing: dict[str, list[str]] | None = None,
        *,
        compared: bool = False,
    ) -> None:
        self.map = table_map
        self.direction = direction
        self.schema = schema
        self.missing = {side: set((missing or {}).get(side, ())) for side in ("dataverse", "finance")}
        self.source: Side = "dataverse" if direction == "to_finance" else "finance"
        self.target: Side = "finance" if direction == "to_finance" else "dataverse"
        self.entries = table_map.compared_of(direction) if compared else table_map.pairs_of(direction)

    def column(self, side: Side, name: str) -> Column:
        """The type of a column of this map on one side."""
        place = self.map.dataverse.table if side == "dataverse" else self.map.finance.set
        return self.schema.column(side, place, name)

    @cached_property
    def pairs(self) -> tuple[ColumnPair, ...]:
        """What travels in this direction, key first."""
        pairs: list[ColumnPair] = []
        for entry in self.entries:
            pairs += self._pairs_of(entry)
        return tuple(sorted(pairs, key=lambda pair: not pair.key))

    def _pairs_of(self, entry: Field | Lookup) -> list[ColumnPair]:
        if isinstance(entry, Field):
            source, target = entry.column(self.source), entry.column(self.target)
            sources: tuple[str, ...] = () if source is None else (source,)
            targets: tuple[str, ...] = (str(target),)
        elif self.direction == "to_finance":
            sources, targets = (entry.dataverse,), entry.finance_columns
        else:
            sources, targets = entry.finance_columns, (entry.dataverse,)
        if any(name in self.missing[self.source] for name in sources):
            return []
        return [
            ColumnPair(name, self.column(self.target, name), sources, entry, name in self.key_columns(self.target))
            for name in targets
            if name not in self.missing[self.target]
        ]

    @cached_property
    def self_pairs(self) -> tuple[ColumnPair, ...]:
        """Pairs of lookups among the rows of the map itself; only a transfer's own rows say what they lead to."""
        return tuple(pair for pair in self.pairs if pair.entry in self.map.self_lookups)

    def key_columns(self, side: Side) -> tuple[str, ...]:
        """The columns of the integration key on one side; of a path, the lookup it begins with."""
        if side == "finance":
            return self.map.finance.key
        return tuple(path.split(".")[0] for path in self.map.dataverse.key)

    @cached_property
    def source_columns(self) -> tuple[str, ...]:
        """Sending columns that pairs are made of, each once."""
        return tuple(dict.fromkeys(name for pair in self.pairs for name in pair.sources))

    @cached_property
    def target_columns(self) -> tuple[str, ...]:
        """Receiving columns."""
        return tuple(pair.target for pair in self.pairs)

    def condition_columns(self, side: Side) -> tuple[str, ...]:
        """Columns of one side by which two-way pairs decide whose value wins."""
        names: list[str] = []
        for entry in self.map.pairs:
            if isinstance(entry.wins, ConditionalWins):
                text = entry.wins.finance if side == "finance" else entry.wins.dataverse
                names += Expression.parse(text).columns if text else ()
        return tuple(dict.fromkeys(names))

    def read_columns(self, side: Side) -> tuple[str, ...]:
        """All columns of this map that are read on one side, for either direction."""
        return tuple(name for name in columns_of(self.map, side) if name not in self.missing[side])

    def raw_schema(self, side: Side) -> pa.Schema:
        """The Arrow schema of rows as read on one side."""
        fields = [pa.field(name, arrow_type(self.column(side, name))) for name in self.read_columns(side)]
        if side == "dataverse":
            fields += [
                pa.field(f"{one.dataverse}@type", pa.string()) for one in self.map.lookups if one.targets is not None
            ]
        if side == "finance":
            fields.append(pa.field(JOIN_KEY, pa.string()))
        return pa.schema([*fields, pa.field(VERSION, pa.string()), pa.field(PROBLEM, pa.string())])

    def base_schema(self) -> pa.Schema:
        """The Arrow schema of the map's base: keys, record id, versions, and the agreed values of both sides."""
        fields = [
            pa.field(name, pa.string()) for name in ("join_key", "key", "id", "dataverse_version", "finance_version")
        ]
        sides: tuple[tuple[Side, Literal["d", "f"]], ...] = (("dataverse", "d"), ("finance", "f"))
        for side, letter in sides:
            names = columns_of(self.map, side)
            fields += [pa.field(f"{letter}:{name}", arrow_type(self.column(side, name))) for name in names]
        return pa.schema(fields)


def columns_of(table_map: TableMap, side: Side) -> tuple[str, ...]:
    """All columns of a map on one side: record id, key, company, filter, and every paired column."""
    names: list[str] = []
    if side == "dataverse":
        spec = table_map.dataverse
        names += [spec.id, *(path.split(".")[0] for path in spec.key)]
        if spec.company_lookup is not None:
            names.append(spec.company_lookup)
        text = spec.filter
        names += [lookup.dataverse for lookup in table_map.lookups]
        if spec.unclear is not None:
            names += spec.unclear.columns
    else:
        names += table_map.finance.key
        text = table_map.finance.filter
        for lookup in table_map.lookups:
            names += lookup.finance_columns
            if lookup.goes("to_dataverse") and (company := (lookup.on or {}).get(COMPANY_WORD)) is not None:
                # says which company's parent a row of Finance names; the row's own company is the leg's
                names += [company] if company != table_map.finance.company else []
    if text:
        names += Expression.parse(text).columns
    names += [name for field in table_map.fields if (name := field.column(side)) is not None]
    if table_map.initial.dated_by is not None and table_map.rows.created_by == side:
        names.append(table_map.initial.dated_by)
    return tuple(dict.fromkeys(names))


def essential_columns(table_map: TableMap, side: Side) -> set[str]:
    """Columns without which a map must not run: key, record id, company, filter, and what dates a row.

    A filter column that is missing must never mean "unfiltered".
    """
    if side == "finance":
        spec = table_map.finance
        names: Collection[str] = (*spec.key, *((spec.company,) if spec.company else ()))
        text = spec.filter
    else:
        names = (table_map.dataverse.id, *(path.split(".")[0] for path in table_map.dataverse.key))
        if table_map.dataverse.company_lookup is not None:
            names = (*names, table_map.dataverse.company_lookup)
        text = table_map.dataverse.filter
    dated_by = table_map.initial.dated_by if table_map.rows.created_by == side else None
    unclear = table_map.dataverse.unclear if side == "dataverse" else None
    return {
        *names,
        *(Expression.parse(text).columns if text else ()),
        *(unclear.columns if unclear is not None else ()),
        *((dated_by,) if dated_by is not None else ()),
    }
