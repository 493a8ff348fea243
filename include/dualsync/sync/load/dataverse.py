"""Writes rows to Dataverse, many to a request."""

from __future__ import annotations

import uuid
from typing import Any

import msgspec

from dualsync.errors import AlreadyExists, ForbiddenKey, Refused
from dualsync.frames import Sets
from dualsync.mapping import Lookup, TableMap
from dualsync.sql import literal, quoted
from dualsync.sync.legs.context import LegContext
from dualsync.sync.legs.markers import Ack, LookupAck
from dualsync.sync.load.sender import Later, Row, Sender, acknowledged
from dualsync.sync.plan.columns import ColumnPair
from dualsync.sync.plan.values import join_key, to_wire
from dualsync.sync.plan.vocabulary import AckStatus, Action, Severity, parent_key, wanted
from dualsync.systems import Bind, Dataverse, UpsertRow

_NAMESPACE = uuid.UUID("6f0c7d4e-0a8e-5b43-9c3c-6a1a6e0f7d10")


class DataverseSender(Sender):
    """Creates and updates rows in Dataverse, many to a request."""

    def __init__(self, context: LegContext) -> None:
        super().__init__(context)
        self.batch_rows = context.runtime.settings.batch_sizes.dataverse_writes
        self._dataverse = context.runtime.systems.dataverse
        self._table = self.map.dataverse.table
        self._alternate = alternate_key(self._dataverse, self.map)

    def send(self, batch: list[Row], number: int) -> list[Ack]:
        """Send a batch; where the service refuses it as a whole, each row by itself."""
        acks = {row["pos"]: ack for row in batch if (ack := self.waits(row)) is not None}
        ready = [row for row in batch if row["pos"] not in acks]
        acks |= {ack.pos: ack for ack in (self._send(ready) if ready else ())}
        return [acks[row["pos"]] for row in batch]

    def _send(self, batch: list[Row]) -> list[Ack]:
        if batch[0]["action"] == Action.UPDATE:
            return self._update(batch)
        return self._upsert(batch) if self._alternate else [self._create(row) for row in batch]

    def _update(self, batch: list[Row]) -> list[Ack]:
        values = {row["pos"]: self._values(row, set(row["columns"])) for row in batch}
        rows = [row for row in batch if values[row["pos"]]]
        try:
            if rows:
                self._dataverse.update_many(self._table, [(row["id"], values[row["pos"]]) for row in rows])
            return [acknowledged(row) for row in batch]
        except Refused as error:
            if len(batch) == 1:
                return [self.refused(batch[0], error)]
            return [ack for row in batch for ack in self._update([row])]

    def _upsert(self, batch: list[Row]) -> list[Ack]:
        try:
            rows = [self._upsert_row(row) for row in batch]
            self._dataverse.upsert_many(self._table, rows)
        except (Refused, ForbiddenKey) as error:
            if len(batch) == 1:
                return [self.refused(batch[0], error)]
            return [ack for row in batch for ack in self._upsert([row])]
        ids = self._ids([row.key for row in rows])
        return [acknowledged(row, id=ids[_folded(sent.key)]) for row, sent in zip(batch, rows, strict=True)]

    def _upsert_row(self, row: Row) -> UpsertRow:
        values = self._values(row, set(self.context.columns.target_columns)) | self._company()
        key = {name: value for name, value in values.items() if name in self._alternate}
        return UpsertRow(key, {name: v for name, v in values.items() if name not in key and v is not None})

    def _ids(self, keys: list[Any]) -> dict[tuple[str, ...], str]:
        """Record ids of rows that were upserted by key; the service does not tell them."""
        conditions = [{name: v.id if isinstance(v, Bind) else v for name, v in key.items()} for key in keys]
        record = self.map.dataverse.id
        rows = self._dataverse.read_keys(self.map.dataverse.set, conditions, select=[record, *self._alternate])
        return {_folded({name: row[name] for name in self._alternate}): str(row[record]).lower() for row in rows}

    def _create(self, row: Row) -> Ack:
        """Create a row whose table has no alternate key, under an id that follows from map, company and key."""
        record = derived_id(self.map.map, self.context.company, row["join_key"])
        values = self._values(row, set(self.context.columns.target_columns)) | self._company()
        values = {name: value for name, value in values.items() if value is not None}
        try:
            self._dataverse.create_with_id(self._table, record, values)
        except AlreadyExists:
            # Only an earlier attempt at this very row can have taken this id.
            try:
                self._dataverse.update(self._table, record, values)
            except Refused as error:
                return self.refused(row, error)
        except Refused as error:
            return self.refused(row, error)
        return acknowledged(row, id=record)

    # -- values

    def _company(self) -> dict[str, Bind]:
        lookup = self.map.dataverse.own_company
        if lookup is None:
            return {}
        return {lookup: Bind("cdm_company", self.context.runtime.company_ids[self.context.company])}

    def _values(self, row: Row, columns: set[str]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for pair in self.pairs:
            if pair.target not in columns:
                continue
            value = row[wanted(pair.target)]
            if value is None and row.get(parent_key(pair.target)) is not None:
                # a lookup to a row of the same map that is not there yet: it is written after all rows
                continue
            values[pair.target] = self._wire(pair, value)
        return values

    def _wire(self, pair: ColumnPair, value: Any) -> Any:
        if isinstance(pair.entry, Lookup):
            catalog = self.context.runtime.catalog
            # read through another table, the record is one of that table
            read = pair.entry.through is not None
            table = pair.column.targets[0] if read else catalog[pair.entry.maps[0]].dataverse.table
            return None if value is None else Bind(table, value)
        return to_wire(value, pair.column, "dataverse")

    # -- lookups to rows of the same map

    def deferred(self, sets: Sets) -> Later:
        """Rows whose lookup to a row of the same map has to be written after all rows are there."""
        later: Later = []
        for pair in self.self_pairs:
            parent, value = quoted(parent_key(pair.target)), quoted(wanted(pair.target))
            query = (
                f"SELECT pos, join_key, id, action, {parent} AS parent FROM plan WHERE {parent} IS NOT NULL AND "
                f"{value} IS NULL AND (action = {literal(Action.CREATE)} OR "
                f"(action = {literal(Action.UPDATE)} AND list_contains(columns, {literal(pair.target)}))) "
                f"AND pos NOT IN (SELECT pos FROM failures WHERE severity = {literal(Severity.CRITICAL)}) ORDER BY pos"
            )
            later += [(row, pair) for row in sets.fetch(query).to_pylist()]
        return later

    def send_deferred(self, later: Later) -> list[LookupAck]:
        """Write those lookups, now that the rows they name have record ids.

        A row whose lookup could not be written waits, or is quarantined where the service refused it.
        """
        acks = [ack for batch in self.context.folder.acknowledged() for ack in batch.rows]
        ids = {ack.join_key: ack.id for ack in acks if ack.status == AckStatus.OK and ack.id is not None}
        there = [(row, pair) for row, pair in later if row["join_key"] in ids]
        return [self._send_lookup(row, pair, ids[row["join_key"]], ids.get(row["parent"])) for row, pair in there]

    def _send_lookup(self, row: Row, pair: ColumnPair, record: str, parent: str | None) -> LookupAck:
        if parent is None:
            ack = self.waiting(row)
        else:
            try:
                self._dataverse.update(self._table, record, {pair.target: Bind(self._table, parent)})
                ack = acknowledged(row)
            except Refused as error:
                ack = self.refused(row, error)
        return LookupAck(**{**msgspec.structs.asdict(ack), "column": pair.target, "id": parent})


def alternate_key(dataverse: Dataverse, table_map: TableMap) -> tuple[str, ...]:
    """The active alternate key of a map's table that is its integration key; empty where there is none."""
    columns = {path.split(".")[0] for path in table_map.dataverse.key}
    if table_map.dataverse.own_company is not None:
        columns.add(table_map.dataverse.own_company)
    for key in dataverse.metadata(table_map.dataverse.table).keys:
        if key.active and set(key.columns) == columns:
            return tuple(key.columns)
    return ()


def derived_id(map_name: str, company: str, key: str) -> str:
    """The record id of a row whose table has no alternate key: the same for every attempt at the same row."""
    return str(uuid.uuid5(_NAMESPACE, f"{map_name}|{company}|{key}"))


def _folded(key: Any) -> tuple[str, ...]:
    return tuple(join_key([v.id if isinstance(v, Bind) else v]) or "" for _, v in sorted(key.items()))
