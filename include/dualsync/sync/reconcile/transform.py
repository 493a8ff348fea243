"""Turns rows of the reading side into the form of the side to be written: values, constants, lookups.

Each row comes out with its wanted values (``w:`` columns, receiving form), the values they were made of (``s:``
columns) and, where it cannot go on, every reason why.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa

from dualsync.mapping import Field, Lookup, TableMap
from dualsync.sync.extract.step import STATE
from dualsync.sync.legs.runtime import Leg, Runtime
from dualsync.sync.lookups.keys import join_keys
from dualsync.sync.lookups.parents import QUARANTINED, WAITING, Missing, Parents, key_paths, unread
from dualsync.sync.plan.columns import JOIN_KEY, PROBLEM, VERSION, ColumnPair, LegColumns
from dualsync.sync.plan.values import arrow_type, converter, display_key, join_key, translate

TEXT = pa.string()
MAX_KEY = 380


class Issues:
    """What stands in the way of single rows of a piece."""

    def __init__(self) -> None:
        self._rows: defaultdict[int, list[Missing]] = defaultdict(list)

    def add(self, positions: Any, issue: Missing) -> None:
        """Note an issue for the rows at these positions."""
        for position in positions:
            self._rows[int(position)].append(issue)

    def columns(self, rows: int) -> dict[str, list[str | None]]:
        """``stop``, ``rule`` and ``reason`` of each row; quarantine outweighs waiting, every reason is listed."""
        stop: list[str | None] = [None] * rows
        rule: list[str | None] = [None] * rows
        reason: list[str | None] = [None] * rows
        for position, issues in self._rows.items():
            first = min(issues, key=lambda issue: _WEIGHT[issue.state])
            stop[position], rule[position] = first.state, first.rule
            reason[position] = "; ".join(dict.fromkeys(issue.reason for issue in issues))
        return {"stop": stop, "rule": rule, "reason": reason}


_WEIGHT = {"skipped": 0, QUARANTINED: 1, WAITING: 2}


class Transform:
    """The transformation of one leg.

    Args:
        leg: The leg.
        runtime: Maps and systems.
        leg_columns: Its columns.
    """

    def __init__(self, leg: Leg, runtime: Runtime, leg_columns: LegColumns) -> None:
        self._leg = leg
        self._runtime = runtime
        self._leg_columns = leg_columns
        self._parents = Parents(runtime, leg.company)
        self._zone = ZoneInfo(runtime.settings.time_zone)
        self.self_pairs = [
            p for p in leg_columns.pairs if isinstance(p.entry, Lookup) and p.entry in leg.map.self_lookups
        ]

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of what comes out."""
        leg_columns = self._leg_columns
        fields = [
            pa.field(name, TEXT) for name in ("id", "key", "join_key", "version", "state", "stop", "rule", "reason")
        ]
        fields.append(pa.field("dated", pa.date32()))
        fields += [pa.field(f"w:{pair.target}", arrow_type(pair.column)) for pair in leg_columns.pairs]
        fields += [
            pa.field(f"s:{name}", arrow_type(leg_columns.column(leg_columns.source, name)))
            for name in leg_columns.source_columns
        ]
        fields += [pa.field(f"p:{pair.target}", TEXT) for pair in self.self_pairs]
        deciding = leg_columns.condition_columns(leg_columns.source)
        fields += [pa.field(f"c:{name}", arrow_type(leg_columns.column(leg_columns.source, name))) for name in deciding]
        return pa.schema(fields)

    def piece(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Transform a piece of ``source.parquet``.

        Args:
            rows: Rows of the reading side with their ``@`` columns.

        Returns:
            A frame of :attr:`schema`, one row for each row that came in.
        """
        leg_columns, table_map = self._leg_columns, self._leg.map
        rows = rows.reset_index(drop=True)
        issues = Issues()
        problem = rows[PROBLEM]
        for position in np.flatnonzero(problem.notna().to_numpy()):
            issues.add([position], Missing(QUARANTINED, f"{table_map.map}.type", str(problem.iloc[position])))
        if (unclear := table_map.dataverse.unclear) is not None:
            reason = f"the filter cannot tell whether it travels ({unclear.text}); fill {', '.join(unclear.columns)}"
            held = (rows[STATE] == "unclear").fillna(value=False).to_numpy(dtype=bool)
            issues.add(np.flatnonzero(held), Missing(QUARANTINED, f"{table_map.map}.unclear", reason))
        out: dict[str, Any] = {}
        for entry in table_map.pairs_of(leg_columns.direction):
            pairs = [pair for pair in leg_columns.pairs if pair.entry is entry]
            if not pairs:
                continue
            if isinstance(entry, Field):
                out |= self._field(entry, pairs[0], rows, issues)
            elif leg_columns.direction == "to_finance":
                out |= self._lookup_to_finance(entry, pairs, rows, issues)
            else:
                out |= self._lookup_to_dataverse(entry, pairs[0], rows, issues)
        for name in leg_columns.source_columns:
            out[f"s:{name}"] = rows[name]
        for name in leg_columns.condition_columns(leg_columns.source):
            out[f"c:{name}"] = rows[name]
        frame = pd.DataFrame(out, index=rows.index)
        self._identify(frame, rows, issues)
        for name, values in issues.columns(len(rows)).items():
            frame[name] = _text(values, rows.index)
        frame["dated"] = self._dated(rows)
        frame["state"] = rows[STATE]
        frame["version"] = rows[VERSION]
        return frame[[field.name for field in self.schema]]

    def _dated(self, rows: pd.DataFrame) -> pd.Series[Any]:
        """The date by which a row is before or after the cut-over; null for maps that know none."""
        name = self._leg.map.initial.dated_by
        if name is None or name not in rows:
            return _repeat(None, len(rows), pa.date32(), rows.index)
        zone = self._zone
        dates, _ = translate(
            rows[name], lambda v: v.astimezone(zone).date() if isinstance(v, datetime) else v, pa.date32()
        )
        return dates

    def _identify(self, frame: pd.DataFrame, rows: pd.DataFrame, issues: Issues) -> None:
        table_map = self._leg.map
        names = table_map.finance.key
        if self._leg_columns.direction == "to_finance":
            keys = pd.DataFrame({name: frame[f"w:{name}"] for name in names}, index=rows.index)
            frame["id"] = rows[table_map.dataverse.id]
            frame["join_key"] = join_keys(keys, names)
        else:
            keys = pd.DataFrame({name: rows[name] for name in names}, index=rows.index)
            frame["id"] = _text([None] * len(rows), rows.index)
            frame["join_key"] = rows[JOIN_KEY]
        parts = [keys[name].array.__arrow_array__().to_pylist() for name in names]
        frame["key"] = _text([display_key(list(values)) for values in zip(*parts, strict=True)], rows.index)
        if table_map.integrated_by is not None:
            integrated = {code.casefold() for code in self._runtime.settings.companies}
            codes = keys[table_map.integrated_by].array.__arrow_array__().to_pylist()
            outside = [i for i, code in enumerate(codes) if code is not None and str(code).casefold() not in integrated]
            issues.add(outside, Missing("skipped", f"{table_map.map}.company", "its company is not integrated"))
        empty = frame["join_key"].isna().to_numpy(dtype=bool)
        has_issue = np.array([value is not None for value in issues.columns(len(rows))["stop"]], dtype=bool)
        label = " + ".join(table_map.dataverse.key if self._leg_columns.direction == "to_finance" else names)
        here = rows[STATE].isin(["in"]).to_numpy(dtype=bool)
        issues.add(
            np.flatnonzero(empty & ~has_issue & here),
            Missing(QUARANTINED, f"{table_map.map}.key", f"the integration key is not complete: fill {label}"),
        )
        long = frame["join_key"].str.len().fillna(0).to_numpy() > MAX_KEY
        issues.add(
            np.flatnonzero(long),
            Missing(QUARANTINED, f"{table_map.map}.key", f"the integration key {label} is too long"),
        )

    def _field(self, field: Field, pair: ColumnPair, rows: pd.DataFrame, issues: Issues) -> dict[str, Any]:
        target = arrow_type(pair.column)
        name = f"w:{pair.target}"
        if field.constant is not None:
            return {name: _repeat(field.constant, len(rows), target, rows.index)}
        source = pair.sources[0]
        change = converter(
            field,
            self._leg_columns.column(self._leg_columns.source, source),
            pair.column,
            self._leg_columns.direction,
            self._zone,
        )
        values, problems = translate(rows[source], change, target)
        for mask, problem in problems:
            rule = f"{self._leg.map.map}.{pair.target}.{problem.rule}"
            issues.add(np.flatnonzero(mask), Missing(QUARANTINED, rule, str(problem)))
        return {name: values}

    # --- lookups, to Finance ------------------------------------------------------------------------------------

    def _lookup_to_finance(
        self, lookup: Lookup, pairs: list[ColumnPair], rows: pd.DataFrame, issues: Issues
    ) -> dict[str, Any]:
        series = rows[lookup.dataverse]
        types = {pair.target: arrow_type(pair.column) for pair in pairs}
        if lookup in self._leg.map.self_lookups:
            # Rows of the same leg may be each other's parents, so these are resolved once all rows are known.
            empty = {f"w:{name}": _repeat(None, len(rows), kind, rows.index) for name, kind in types.items()}
            return empty | {f"p:{pair.target}": series for pair in pairs}
        found: dict[str, dict[str, Any]] = {pair.target: {} for pair in pairs}
        for target, members in self._by_target(lookup, rows):
            ids = [str(i) for i in series[members].dropna().unique()]
            if not ids:
                continue
            known, missing = self._finance_values(lookup, target, ids)
            for column, values in known.items():
                if column in found:
                    found[column] |= values
            for record, issue in missing.items():
                issues.add(np.flatnonzero((members & (series == record)).fillna(False).to_numpy(dtype=bool)), issue)
        return {f"w:{name}": translate(series, found[name].get, kind)[0] for name, kind in types.items()}

    def _by_target(self, lookup: Lookup, rows: pd.DataFrame) -> list[tuple[str | None, Any]]:
        if lookup.targets is None:
            return [(None, pd.Series(True, index=rows.index))]
        kinds = rows[f"{lookup.dataverse}@type"]
        return [(target, (kinds == target).fillna(False).astype(bool)) for target in lookup.targets]

    def _finance_values(
        self, lookup: Lookup, target: str | None, ids: list[str]
    ) -> tuple[dict[str, dict[str, Any]], dict[str, Missing]]:
        paths, columns, company = key_paths(lookup, target)
        if lookup.through is not None and lookup.through.lookup:
            return self._through_lookup(lookup, ids)
        if lookup.through is not None:
            return self._through(lookup, columns[0], ids)
        name = lookup.targets[target].map if lookup.targets is not None and target is not None else lookup.maps[0]
        parent = self._runtime.catalog[name]
        rows = self._parents.finance_values(parent, paths, ids, anywhere=self._other_company(company))
        known = {column: {record: values[i] for record, values in rows.items()} for i, column in enumerate(columns)}
        absent = [record for record in ids if record not in rows]
        if not absent or not lookup.waits:
            return known, {}
        return known, self._parents.why_missing_records(parent, lookup.dataverse, absent)

    def _other_company(self, column: str | None) -> bool:
        """Whether a lookup has a column for its parent's company, so that it may be another company than the row's."""
        return column is not None and column != self._leg.map.finance.company

    def _through_lookup(self, lookup: Lookup, ids: list[str]) -> tuple[dict[str, dict[str, Any]], dict[str, Missing]]:
        """Values of the record that a lookup of the referenced record points to."""
        paths, columns, company = key_paths(lookup, None)
        parent = self._runtime.catalog[lookup.maps[0]]
        onward = {record: str(to) for record, to in self._parents.through(lookup, ids).items() if to is not None}
        asked = list(dict.fromkeys(onward.values()))
        rows = self._parents.finance_values(parent, paths, asked, anywhere=self._other_company(company))
        known = {
            column: {record: rows[to][i] for record, to in onward.items() if to in rows}
            for i, column in enumerate(columns)
        }
        absent = [to for to in asked if to not in rows]
        if not absent or not lookup.waits:
            return known, {}
        reasons = self._parents.why_missing_records(parent, lookup.dataverse, absent)
        return known, {record: reasons[to] for record, to in onward.items() if to in reasons}

    def _through(
        self, lookup: Lookup, column: str, ids: list[str]
    ) -> tuple[dict[str, dict[str, Any]], dict[str, Missing]]:
        values = self._parents.through(lookup, ids)
        known = {record: value for record, value in values.items() if value is not None}
        missing: dict[str, Missing] = {}
        if lookup.map is not None and lookup.waits:
            parent = self._runtime.catalog[lookup.map]
            paths, columns, _ = key_paths(lookup, None)
            keys = {(value,): record for record, value in known.items()}
            present = self._parents.record_ids(parent, paths, list(keys))
            absent = [key for key in keys if key not in present]
            reasons = self._parents.why_missing_keys(parent, columns, paths, absent)
            missing = {keys[key]: reason for key, reason in reasons.items()}
        return {column: known}, missing

    # --- lookups, to Dataverse ----------------------------------------------------------------------------------

    def _lookup_to_dataverse(
        self, lookup: Lookup, pair: ColumnPair, rows: pd.DataFrame, issues: Issues
    ) -> dict[str, Any]:
        _, columns, company = key_paths(lookup, None)
        # A key with an empty part names nothing: an expense may have a project without a task.
        parts = [rows[column].array.__arrow_array__().to_pylist() for column in columns]
        keys: list[tuple[Any, ...] | None] = [
            None if any(value is None for value in values) else tuple(values) for values in zip(*parts, strict=True)
        ]
        name = f"w:{pair.target}"
        if lookup in self._leg.map.self_lookups:
            texts = [None if key is None else join_key(list(key)) for key in keys]
            return {name: _text([None] * len(rows), rows.index), f"p:{pair.target}": _text(texts, rows.index)}
        parent = self._runtime.catalog[lookup.maps[0]]
        codes: list[str | None] = [None] * len(rows)
        if self._other_company(company):
            given = rows[company].array.__arrow_array__().to_pylist()
            codes = [self._leg.company if code is None else str(code).upper() for code in given]
        found: list[str | None] = [None] * len(rows)
        for code in dict.fromkeys(codes):
            places = [i for i, key in enumerate(keys) if key is not None and codes[i] == code]
            asked = list(dict.fromkeys(key for i in places if (key := keys[i]) is not None))
            known, missing = self._records(lookup, parent, asked, code)
            for position in places:
                key = keys[position]
                assert key is not None
                found[position] = known.get(key)
                if key in missing:
                    issues.add([position], missing[key])
        return {name: _text(found, rows.index)}

    def _records(
        self, lookup: Lookup, parent: TableMap, keys: list[tuple[Any, ...]], company: str | None
    ) -> tuple[dict[tuple[Any, ...], str], dict[tuple[Any, ...], Missing]]:
        """Record ids of parents by their Finance values, and why others do not resolve."""
        paths, columns, _ = key_paths(lookup, None)
        # the company's path says no more than the company itself
        kept = [i for i, path in enumerate(paths) if path != parent.dataverse.company]
        short = {key: tuple(key[i] for i in kept) for key in keys}
        paths, columns = tuple(paths[i] for i in kept), tuple(columns[i] for i in kept)
        wanted = list(dict.fromkeys(short.values()))
        based = self._parents.record_ids(parent, paths, wanted, company=company)
        known = based
        if lookup.through is not None:
            read = self._parents.records_through(lookup, [value for (value,) in wanted])
            known = {(value,): record for value, record in read.items()}
        missing: dict[tuple[Any, ...], Missing] = {}
        absent = [key for key in wanted if key not in known]
        if absent and lookup.waits:
            arrived = {key: unread(lookup, parent, columns[0]) for key in absent if key in based}
            rest = [key for key in absent if key not in arrived]
            missing = arrived | self._parents.why_missing_keys(parent, columns, paths, rest, company=company)
        return (
            {key: known[one] for key, one in short.items() if one in known},
            {key: missing[one] for key, one in short.items() if one in missing},
        )


def _text(values: Sequence[str | None], index: pd.Index) -> pd.Series[Any]:
    return pd.Series(pd.array(pa.array(values, type=TEXT), dtype=pd.ArrowDtype(TEXT)), index=index)


def _repeat(value: Any, rows: int, kind: pa.DataType, index: pd.Index) -> pd.Series[Any]:
    return pd.Series(pd.array(pa.array([value] * rows, type=kind), dtype=pd.ArrowDtype(kind)), index=index)
