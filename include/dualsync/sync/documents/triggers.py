"""The trigger of a unit: what sets the other system to work on a header goes last, after all lines.

The header travels at rest. The part that sends the trigger asks :func:`compare_lines` which headers may have it: their
lines are read from the sending side once more and compared with the lines' base. Whether a trigger that the receiver
lacks is ours to send, or was changed there, the ledger tells: it calls a unit incomplete from before its first write.
Before lines of a triggered header are written, :func:`reopen` sends it back to rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
from upath import UPath

from dualsync.errors import NotFound, Refused
from dualsync.frames import ParquetSink, Sets, literal, quoted, write_rows
from dualsync.ledger import DocumentRecord
from dualsync.mapping import Side, TableMap
from dualsync.mapping.parts import part_name
from dualsync.mapping.words import TRIGGER, Scalar
from dualsync.sync.documents.completeness import SENT, Lines, as_lines, due, lines_of, link, trigger_part
from dualsync.sync.legs.leg import Leg
from dualsync.sync.legs.runtime import Runtime
from dualsync.sync.lookups.missing import WAITING, Missing
from dualsync.sync.plan.base import open_base
from dualsync.sync.plan.columns import ColumnPair, LegColumns
from dualsync.sync.plan.finance_keys import company_values, finance_key
from dualsync.sync.plan.live_columns import missing_columns, typed_row
from dualsync.sync.plan.values import join_key, parse, to_wire
from dualsync.sync.plan.vocabulary import JOIN_KEY, OPEN, RuleWord, agreed, rule_name, wanted

NAMED = 3
"""So many missing lines are named in the reason why a header waits."""

_HEADERS = 50
"""The lines of so many headers are asked for at once."""

_LINES = pa.schema(
    [
        pa.field("join_key", pa.string()),
        pa.field("lines", pa.string()),
        pa.field("expected", pa.int64()),
        pa.field("acknowledged", pa.int64()),
        pa.field("reason", pa.string()),
    ]
)


def trigger_slot(table_map: TableMap, leg_columns: LegColumns) -> ColumnPair | None:
    """The receiving column of a unit's trigger in a leg, None where the leg does not carry it."""
    trigger = table_map.trigger
    return next((slot for slot in leg_columns.pairs if trigger is not None and slot.entry is trigger), None)


def prepare(leg: Leg, runtime: Runtime, sets: Sets, leg_columns: LegColumns) -> None:
    """Make ready the comparison of a leg that carries a trigger; nothing for other legs.

    ``want`` gets a column ``rests``: whether the sending side itself is at rest. In the header's own leg every row
    wants rest, and the view ``trigger_base`` says what was triggered before. In the leg that sends the trigger, the
    table ``due`` holds the headers whose trigger is ours to send.
    """
    slot = trigger_slot(leg.map, leg_columns)
    if slot is None or leg.map.unit is None:
        return
    value, rest = quoted(wanted(slot.target)), sql_value(leg.map.unit.rest)
    sets.run("ALTER TABLE want ADD COLUMN rests BOOLEAN")
    sets.run(f"UPDATE want SET rests = ({value} IS NOT DISTINCT FROM {rest})")
    if leg.map.sends_trigger:
        keys = [unit.join_key for unit in due(leg, runtime)]
        sets.table("due", pa.table({"due_key": pa.array(keys, type=pa.string())}))
        return
    sets.run(f"UPDATE want SET {value} = {rest}")
    part = runtime.catalog[part_name(leg.map.map, TRIGGER)]
    path = runtime.base_path(part.map, leg.company)
    open_base(sets, LegColumns(part, leg.direction, runtime.schema), path, "trigger_base")


def sql_value(value: Scalar | None) -> str:
    """A value of a table map in SQL."""
    return literal(value) if isinstance(value, str) else "NULL" if value is None else str(value).upper()


# --- which headers may have their trigger ---------------------------------------------------------------------------


def compare_lines(leg: Leg, runtime: Runtime, sets: Sets) -> None:
    """Find out which headers may have their trigger, and why others have to wait.

    Writes ``lines.parquet`` and makes it the view ``lines_found``: for each header that wants its trigger the lines of
    each map, read from the sending side just now, and how many of them the base has as they are now; with a reason
    where that is not all.

    Args:
        leg: A leg that sends triggers, its columns decided.
        runtime: Everything at hand.
        sets: With the view ``joined`` and the table ``decided``.
    """
    asked = (
        "SELECT join_key FROM joined JOIN decided USING (pos) WHERE state = 'in' AND stop IS NULL AND len(columns) > 0"
    )
    path = leg.folder.file("lines.parquet")
    write_rows(path, _LINES, _verdicts(leg, runtime, sets, asked, "reconcile"))
    sets.view("lines_found", path)


def missing_lines(leg: Leg, runtime: Runtime, sets: Sets) -> dict[str, Missing]:
    """Look at the lines once more right before triggers are sent; headers that have to wait, by their key.

    A load may come long after its plan: when it is tried again, or its task was cleared.

    Args:
        leg: A leg that is about to load; nothing for one that sends no triggers.
        runtime: Everything at hand.
        sets: With the views ``plan`` and ``failures``.
    """
    if not leg.map.sends_trigger:
        return {}
    rule = rule_name(leg.map.map, RuleWord.LINES)
    found = _verdicts(leg, runtime, sets, f"SELECT join_key FROM plan WHERE {SENT}", "load")
    return {row["join_key"]: Missing(WAITING, rule, row["reason"]) for row in found if row["reason"] is not None}


def _verdicts(leg: Leg, runtime: Runtime, sets: Sets, asked: str, step: str) -> list[dict[str, Any]]:
    """The rows of ``lines.parquet`` for the headers that a query gives."""
    assert leg.map.part_of is not None
    header = runtime.catalog[leg.map.part_of.map]
    candidates = sets.fetch(asked)
    sets.table("candidates", candidates)
    if not candidates.num_rows:
        return []
    return [row for lines in lines_of(runtime.catalog, header) for row in _compare(leg, runtime, sets, lines, step)]


def _compare(leg: Leg, runtime: Runtime, sets: Sets, lines: Lines, step: str) -> list[dict[str, Any]]:
    """The rows of ``lines.parquet`` for one map of lines."""
    leg_columns = LegColumns(lines.map, lines.way, runtime.schema, missing_columns(lines.map, runtime.systems))
    open_base(sets, leg_columns, runtime.base_path(lines.map.map, leg.company), "lines_base")
    link(sets, runtime, lines, leg, "based", "lines_base", lines.sender)
    headers = sets.fetch("SELECT h.* FROM unit_headers h JOIN candidates USING (join_key)").to_pylist()
    fresh = leg.folder.file(f"{step}.{lines.map.map}.parquet")
    _read_lines(leg, runtime, lines, leg_columns, headers, fresh)
    sets.view("fresh", fresh)
    _open_lines(leg, runtime, sets, lines)
    line = f"f.{quoted(lines.map.dataverse.id)}" if lines.way == "to_finance" else f"f.{quoted(JOIN_KEY)}"
    known, left = ("b.id", "o.record_id") if lines.way == "to_finance" else ("b.join_key", "o.join_key")
    differs = " OR ".join(
        f"f.{quoted(name)} IS DISTINCT FROM b.{quoted(lines.sender + name)}" for name in leg_columns.source_columns
    )
    why = (
        "CASE WHEN o.state IS NOT NULL THEN o.state || ': ' || o.reason WHEN b.join_key IS NULL THEN 'not sent yet' "
        f"WHEN {differs} THEN 'changed, and not sent yet' END"
    )
    sets.run(
        "CREATE OR REPLACE TEMP TABLE unit_lines AS "
        f"SELECT h.join_key AS header, COALESCE(b.key, o.key, {_label(lines)}) AS label, {why} AS why FROM fresh f "
        f"JOIN unit_headers h ON {' OR '.join(lines.joins('f', 'h', ''))} JOIN candidates c ON c.join_key = h.join_key "
        f"LEFT JOIN lines_base b ON {known} = {line} LEFT JOIN open_lines o ON {left} = {line} "
        "UNION ALL SELECT d.join_key, b.key, 'still to be deleted' FROM based d JOIN candidates c ON "
        f"c.join_key = d.join_key JOIN lines_base b ON b.join_key = d.line WHERE {known} NOT IN "
        f"(SELECT {line} FROM fresh f WHERE {line} IS NOT NULL)"
    )
    found = sets.fetch(
        "SELECT c.join_key, count(l.header) AS expected, count(*) FILTER (l.header IS NOT NULL AND l.why IS NULL) AS "
        f"acknowledged, array_slice(list(l.label || ' (' || l.why || ')' ORDER BY l.label) FILTER (l.why IS NOT NULL), "
        f"1, {NAMED}) AS missing, c.join_key IN (SELECT join_key FROM unit_headers) AS headed "
        "FROM candidates c LEFT JOIN unit_lines l ON l.header = c.join_key GROUP BY c.join_key"
    )
    return [_verdict(lines, row) for row in found.to_pylist()]


def _verdict(lines: Lines, row: dict[str, Any]) -> dict[str, Any]:
    expected, there = row["expected"], row["acknowledged"]
    reason = None
    if not row["headed"]:
        reason = "waits for its header, which is not settled yet"
    elif there < expected:
        more = expected - there - len(row["missing"])
        reason = (
            f"waits for its lines: {there} of {expected} of {lines.map.map} are on both sides as they are now; "
            f"missing: {', '.join(row['missing'])}{f' and {more} more' if more else ''}"
        )
    counts = {"expected": expected, "acknowledged": there}
    return {"join_key": row["join_key"], "lines": lines.map.map, **counts, "reason": reason}


def _label(lines: Lines) -> str:
    """SQL of the key of a line that was read, as people write it, as far as its own columns tell."""
    if lines.way == "to_dataverse":
        parts = [quoted(name) for name in lines.map.finance.key]
    else:
        parts = [quoted(path) for path in lines.map.dataverse.key if "." not in path]
        parts = parts or [quoted(lines.map.dataverse.id)]
    return " || '|' || ".join(f"COALESCE(f.{part}::VARCHAR, '?')" for part in parts)


def _open_lines(leg: Leg, runtime: Runtime, sets: Sets, lines: Lines) -> None:
    """Make the table ``open_lines``: lines that an earlier leg left open, with the reason."""
    rows = runtime.ledger.open_rows(map_name=lines.map.map, direction=leg.direction, company=leg.company, states=OPEN)
    names = ("join_key", "record_id", "key", "state", "reason")
    schema = pa.schema([pa.field(name, pa.string()) for name in names])
    listed = [{name: getattr(row, name) for name in names} for row in rows]
    sets.table("open_lines", pa.Table.from_pylist(listed, schema=schema))


def _read_lines(
    leg: Leg, runtime: Runtime, lines: Lines, leg_columns: LegColumns, headers: list[dict[str, Any]], path: UPath
) -> None:
    """Read the lines of headers from the sending side, as they are now."""
    side: Side = leg_columns.source
    half = lines.map.dataverse if side == "dataverse" else lines.map.finance
    filters = [half.expression, *([lines.map.dataverse.unclear] if side == "dataverse" else [])]
    keys = [lines.map.dataverse.id, *(path.split(".")[0] for path in lines.map.dataverse.key)]
    names = dict.fromkeys(
        [
            *(keys if side == "dataverse" else lines.map.finance.key),
            *lines.columns,
            *leg_columns.source_columns,
            *(column for one in filters if one is not None for column in one.columns),
        ]
    )
    columns = {name: leg_columns.column(side, name) for name in names}
    schema = pa.schema([field for field in leg_columns.raw_schema(side) if field.name in {*names, JOIN_KEY}])
    with ParquetSink(path, schema) as sink:
        for start in range(0, len(headers), _HEADERS):
            rows = _ask(leg, runtime, lines, leg_columns, headers[start : start + _HEADERS], list(names))
            mine = [row for row in rows if any(one is not None and one.matches(row) for one in filters)]
            typed = [typed_row(row, columns, side) for row in mine]
            if side == "finance":
                for row in typed:
                    row[JOIN_KEY] = join_key([row[name] for name in lines.map.finance.key])
            sink.write_rows(typed)


def _ask(
    leg: Leg, runtime: Runtime, lines: Lines, leg_columns: LegColumns, headers: list[dict[str, Any]], select: list[str]
) -> list[dict[str, Any]]:
    if lines.way == "to_finance":
        conditions = [{name: header[known] for name, known in lines.columns.items()} for header in headers]
        return runtime.systems.dataverse.read_keys(lines.map.dataverse.set, conditions, select=select)
    area = company_values(lines.map, leg.company)
    conditions = [
        area
        | {
            name: to_wire(header[known], leg_columns.column("finance", name), "finance")
            for name, known in lines.columns.items()
        }
        for header in headers
    ]
    return runtime.systems.finance.read_keys(lines.map.finance.set, conditions, select=select)


# --- back to rest ---------------------------------------------------------------------------------------------------


def reopen(leg: Leg, runtime: Runtime, sets: Sets, rows: str, prefix: str) -> dict[str, Missing]:
    """Send the triggered headers of lines that are about to be written back to rest.

    Args:
        leg: A leg that carries lines, or deletes them.
        runtime: Everything at hand.
        sets: Where ``rows`` stand.
        rows: SQL of the lines; they have a ``join_key``.
        prefix: What stands before the names of the sending side's columns in them.

    Returns:
        By ``join_key``, lines whose header the receiving side does not let go back, with the reason. They must wait.

    Raises:
        LegBusy: Another run is sending triggers.
        Transient: A system did not answer.
    """
    closed: dict[str, Missing] = {}
    for lines in as_lines(leg, runtime):
        part = trigger_part(lines.header)
        if part is None:
            continue
        link(sets, runtime, lines, leg, "written", rows, prefix)
        headers = sets.fetch("SELECT * FROM unit_headers WHERE join_key IN (SELECT join_key FROM written)").to_pylist()
        receiver = _Receiver(leg, runtime, lines.header)
        refused: dict[str, str] = {}
        triggered = list(receiver.triggered(headers))
        if triggered:
            # held to the end of the run: nobody else sends a trigger while these lines are on their way
            runtime.ledger.take_lease(part, leg.company, leg.run.run_id)
        for header in triggered:
            try:
                receiver.rest(header)
            except NotFound:
                continue
            except Refused as error:
                refused[header["join_key"]] = f"waits: its header {header['key']} cannot be reopened: {error.message}"
        for row in sets.fetch("SELECT join_key, line FROM written").to_pylist() if refused else ():
            if (reason := refused.get(row["join_key"])) is not None:
                closed[row["line"]] = Missing(WAITING, rule_name(leg.map.map, RuleWord.HEADER), reason)
    return closed


class _Receiver:
    """The receiving side of the headers of a map."""

    def __init__(self, leg: Leg, runtime: Runtime, header: TableMap) -> None:
        assert header.unit is not None
        self._leg, self._runtime, self._map = leg, runtime, header
        self._column = str(header.unit.trigger)
        self._leg_columns = LegColumns(header, leg.direction, runtime.schema)
        self._side: Side = self._leg_columns.target
        self._kind = self._leg_columns.column(self._side, self._column)
        self._rest = header.unit.rest

    def triggered(self, headers: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Those headers that are not at rest."""
        now = self._now(headers)
        return (one for one in headers if now.get(one["join_key"], self._rest) != self._rest)

    def _now(self, headers: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """The trigger's value by the header's key, of the headers that are there."""
        systems = self._runtime.systems
        if self._side == "dataverse":
            keys = {one["id"]: one["join_key"] for one in headers}
            record = self._map.dataverse.id
            rows = systems.dataverse.read_ids(self._map.dataverse.set, list(keys), select=[record, self._column])
            return {keys[str(row[record]).lower()]: self._value(row) for row in rows}
        names = self._map.finance.key
        conditions = [self._key(one) for one in headers]
        found = systems.finance.read_keys(self._map.finance.set, conditions, select=[*names, self._column])
        return {join_key([row[name] for name in names]) or "": self._value(row) for row in found}

    def _value(self, row: dict[str, Any]) -> Any:
        return parse(row.get(self._column), self._kind, self._side)

    def rest(self, header: dict[str, Any]) -> None:
        """Send a header back to rest."""
        values = {self._column: to_wire(self._rest, self._kind, self._side)}
        if self._side == "dataverse":
            self._runtime.systems.dataverse.update(self._map.dataverse.table, header["id"], values)
        else:
            self._runtime.systems.finance.update(self._map.finance.set, self._key(header), values)

    def _key(self, header: dict[str, Any]) -> dict[str, Any]:
        parts = [header[agreed("finance", name)] for name in self._map.finance.key]
        return finance_key(self._map, self._runtime.schema, self._leg.company, parts)


# --- what the ledger says afterwards --------------------------------------------------------------------------------


def triggered_units(leg: Leg, runtime: Runtime, sets: Sets) -> tuple[list[DocumentRecord], list[tuple[str, str, str]]]:
    """How units stand after a leg that sent triggers, and headers that are no more.

    Args:
        leg: The leg, about to settle.
        runtime: The ledger.
        sets: With the table ``ended``.

    Returns:
        The units, and map, company and key of headers that are gone.
    """
    if leg.map.part_of is None or not leg.map.sends_trigger or leg.run.keys:
        return [], []
    header = leg.map.part_of.map
    known = {unit.join_key: unit for unit in due(leg, runtime)}
    sets.table("due", pa.table({"due_key": pa.array(list(known), type=pa.string())}))
    sets.view("lines_found", leg.folder.file("lines.parquet"))
    header_gone = literal(rule_name(leg.map.map, RuleWord.GONE))
    rows = sets.fetch(
        f"SELECT join_key, key, id, action FROM ended WHERE rule IS DISTINCT FROM {header_gone} "
        "AND (len(columns) > 0 OR join_key IN (SELECT due_key FROM due))"
    ).to_pylist()
    seen = {row["join_key"]: row for row in rows}
    units = [
        _unit(header, leg, row, leg.map.map, 0, 0, complete=row["action"] in ("update", "unchanged")) for row in rows
    ]
    for found in sets.fetch("SELECT * FROM lines_found").to_pylist():
        row, expected, there = seen[found["join_key"]], found["expected"], found["acknowledged"]
        units.append(_unit(header, leg, row, found["lines"], expected, there, complete=expected == there))
    # a run of chosen rows has not looked at the others
    gone = [(header, leg.company, key) for key in known if key not in seen and not leg.run.rows]
    return units, gone


def _unit(
    header: str, leg: Leg, row: dict[str, Any], lines: str, expected: int, there: int, *, complete: bool
) -> DocumentRecord:
    return DocumentRecord(
        header, leg.company, row["join_key"], row["key"], row["id"], lines, expected, there, complete=complete
    )
