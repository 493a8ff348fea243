"""Senders: write batches of planned rows to one system and say how each row ended.

Every write is idempotent by key or record id, so that a batch may be sent again after its answer was lost.
"""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from dualsync.errors import AlreadyExists, ForbiddenKey, NotFound, Refused, Transient
from dualsync.frames import Sets, quoted
from dualsync.mapping import Lookup, TableMap
from dualsync.sync.legs.markers import Ack, LookupAck
from dualsync.sync.legs.runtime import GLOBAL, Leg, Runtime
from dualsync.sync.lookups.missing import WAITING, Missing
from dualsync.sync.plan.advice import with_advice
from dualsync.sync.plan.columns import ColumnPair, LegColumns
from dualsync.sync.plan.values import join_key, to_wire
from dualsync.systems import Bind, Dataverse, UpsertRow

_NAMESPACE = uuid.UUID("6f0c7d4e-0a8e-5b43-9c3c-6a1a6e0f7d10")

Row = dict[str, Any]


def _ack(row: Row, status: str = "ok", *, id: str | None = None, rule: str = "", reason: str = "") -> Ack:
    return Ack(
        pos=row["pos"],
        join_key=row["join_key"],
        action=row["action"],
        status=status,
        id=id or row["id"],
        rule=rule,
        reason=reason,
    )


def _refused(leg: Leg, row: Row, error: Refused | ForbiddenKey) -> Ack:
    side = "Finance" if leg.target == "finance" else "Dataverse"
    text = error.message if isinstance(error, Refused) else str(error)
    return _ack(row, "refused", rule=f"{leg.map.map}.refused", reason=f"{side} refused the row: {with_advice(text)}")


class Sender:
    """Sends batches of one leg to one system.

    Attributes:
        batch_rows: Rows of a batch.
        stopped: Id and key of new rows that did not get through.
        closed: Why rows cannot be written now, by their key: see ``triggers.py``.
    """

    batch_rows: int

    def __init__(self, leg: Leg, runtime: Runtime, leg_columns: LegColumns) -> None:
        self.leg = leg
        self.runtime = runtime
        self.leg_columns = leg_columns
        self.stopped: set[str] = set()
        self.closed: dict[str, Missing] = {}
        self.self_pairs = [
            p for p in leg_columns.pairs if isinstance(p.entry, Lookup) and p.entry in leg.map.self_lookups
        ]

    @property
    def columns(self) -> list[str]:
        """The columns of the plan that a sender looks at, beside those that every plan has."""
        return [f"w:{pair.target}" for pair in self.leg_columns.pairs] + [
            f"p:{pair.target}" for pair in self.self_pairs
        ]

    def send(self, batch: list[Row], number: int) -> list[Ack]:
        """Send a batch, given with its number, and say how each row ended."""
        raise NotImplementedError

    def learn(self, acks: list[Ack]) -> None:
        """Remember which new rows did not get through, so that their children wait."""
        for ack in acks:
            if ack.status != "ok" and ack.action == "create":
                self.stopped.update(value for value in (ack.id, ack.join_key) if value)

    def deferred(self, sets: Sets) -> list[tuple[Row, ColumnPair]]:
        """Rows whose lookup to a row of the same leg has to be written after all rows are there."""
        return []

    def send_deferred(self, later: list[tuple[Row, ColumnPair]]) -> list[LookupAck]:
        """Write those lookups."""
        return []

    def waits(self, row: Row) -> Ack | None:
        """The acknowledgement of a row whose parent in this leg did not get through, or whose header is closed."""
        if (why := self.closed.get(row["join_key"])) is not None:
            return _ack(row, WAITING, rule=why.rule, reason=why.reason)
        for pair in self.self_pairs:
            parent = row.get(f"p:{pair.target}")
            if parent is not None and parent in self.stopped:
                return self._waiting(row)
        return None

    def _waiting(self, row: Row) -> Ack:
        reason = "its parent row did not get through; it goes through once that row is there"
        return _ack(row, WAITING, rule=f"{self.leg.map.map}.waiting", reason=reason)


class _FinanceSender(Sender):
    """Creates and updates rows in Finance, one request each, several at a time."""

    def __init__(self, leg: Leg, runtime: Runtime, leg_columns: LegColumns) -> None:
        super().__init__(leg, runtime, leg_columns)
        self.batch_rows = runtime.settings.batch_sizes.finance_writes
        self._finance = runtime.systems.finance
        self._workers = runtime.settings.concurrency.finance

    def send(self, batch: list[Row], number: int) -> list[Ack]:
        """Send a batch; see the class above. What got through before the line broke is kept."""
        acks = {ack.pos: ack for ack in self.leg.folder.sent_partly(number)}
        broken: list[Transient] = []

        def send(row: Row) -> None:
            if not broken:
                try:
                    acks[row["pos"]] = self._row(row)
                except Transient as error:
                    broken.append(error)

        with ThreadPoolExecutor(max_workers=self._workers) as pool:
            list(pool.map(send, [row for row in batch if row["pos"] not in acks]))
        if broken:
            self.leg.folder.acknowledge_partly(number, list(acks.values()))
            raise broken[0]
        return [acks[row["pos"]] for row in batch]

    def _row(self, row: Row) -> Ack:
        if (ack := self.waits(row)) is not None:
            return ack
        try:
            if row["action"] == "create":
                self._create(row)
            else:
                columns = set(row["columns"])
                values = {
                    p.target: to_wire(row[f"w:{p.target}"], p.column, "finance")
                    for p in self.leg_columns.pairs
                    if p.target in columns
                }
                self._finance.update(self.leg.map.finance.set, self._key(row), values)
        except NotFound as error:
            return _ack(
                row,
                "refused",
                rule=f"{self.leg.map.map}.gone",
                reason=f"the row is no longer in Finance: {error.message}",
            )
        except Refused as error:
            return _refused(self.leg, row, error)
        return _ack(row)

    def _create(self, row: Row) -> None:
        values = {
            pair.target: to_wire(row[f"w:{pair.target}"], pair.column, "finance")
            for pair in self.leg_columns.pairs
            if row[f"w:{pair.target}"] is not None
        }
        company = {} if self.leg.company == GLOBAL else {str(self.leg.map.finance.company): self.leg.company.lower()}
        try:
            self._finance.create(self.leg.map.finance.set, {**company, **values})
        except AlreadyExists:
            # An earlier attempt got through without its answer, or somebody was faster: the row is brought in line.
            rest = {name: value for name, value in values.items() if name not in self.leg.map.finance.key}
            if rest:
                self._finance.update(self.leg.map.finance.set, self._key(row), rest)

    def _key(self, row: Row) -> dict[str, Any]:
        return finance_key(self.leg, self.leg_columns, row)


def finance_key(leg: Leg, leg_columns: LegColumns, row: Row) -> dict[str, Any]:
    """The entity key of a planned row in Finance, company included."""
    key = {} if leg.company == GLOBAL else {str(leg.map.finance.company): leg.company.lower()}
    for name in leg.map.finance.key:
        key[name] = to_wire(row[f"w:{name}"], leg_columns.column("finance", name), "finance")
    return key


class _PackageSender(Sender):
    """Creates and updates rows in Finance by data package, for entities that OData does not show.

    An import inserts or updates by the entity's key, so the same package may be sent again.
    """

    def __init__(self, leg: Leg, runtime: Runtime, leg_columns: LegColumns) -> None:
        super().__init__(leg, runtime, leg_columns)
        self.batch_rows = runtime.settings.batch_sizes.finance_package
        self._finance = runtime.systems.finance

    def send(self, batch: list[Row], number: int) -> list[Ack]:
        """Send a batch as one package."""
        entity = self.leg.map.finance
        rows = [
            {p.target: to_wire(row[f"w:{p.target}"], p.column, "finance") for p in self.leg_columns.pairs}
            for row in batch
        ]
        company = self.runtime.settings.companies[0] if self.leg.company == GLOBAL else self.leg.company
        result = self._finance.import_rows(
            entity.entity,
            self.leg_columns.target_columns,
            rows,
            company,
            target=str(entity.target),
            key=entity.key,
        )
        reasons = {join_key(list(error.key)): error.message for error in result.errors}
        acks = []
        for row in batch:
            reason = reasons.get(join_key([row[f"w:{name}"] for name in entity.key]))
            if reason is None:
                acks.append(_ack(row))
            else:
                rule = f"{self.leg.map.map}.refused"
                acks.append(_ack(row, "refused", rule=rule, reason=f"Finance refused the row: {with_advice(reason)}"))
        return acks


class _DataverseSender(Sender):
    """Creates and updates rows in Dataverse, many to a request."""

    def __init__(self, leg: Leg, runtime: Runtime, leg_columns: LegColumns) -> None:
        super().__init__(leg, runtime, leg_columns)
        self.batch_rows = runtime.settings.batch_sizes.dataverse_writes
        self._dataverse = runtime.systems.dataverse
        self._table = leg.map.dataverse.table
        self._alternate = alternate_key(self._dataverse, leg.map)

    def send(self, batch: list[Row], number: int) -> list[Ack]:
        """Send a batch; where the service refuses it as a whole, each row by itself."""
        acks = {row["pos"]: ack for row in batch if (ack := self.waits(row)) is not None}
        ready = [row for row in batch if row["pos"] not in acks]
        acks |= {ack.pos: ack for ack in (self._send(ready) if ready else ())}
        return [acks[row["pos"]] for row in batch]

    def _send(self, batch: list[Row]) -> list[Ack]:
        if batch[0]["action"] == "update":
            return self._update(batch)
        return self._upsert(batch) if self._alternate else [self._create(row) for row in batch]

    def _update(self, batch: list[Row]) -> list[Ack]:
        values = {row["pos"]: self._values(row, set(row["columns"])) for row in batch}
        rows = [row for row in batch if values[row["pos"]]]
        try:
            if rows:
                self._dataverse.update_many(self._table, [(row["id"], values[row["pos"]]) for row in rows])
            return [_ack(row) for row in batch]
        except Refused as error:
            if len(batch) == 1:
                return [_refused(self.leg, batch[0], error)]
            return [ack for row in batch for ack in self._update([row])]

    def _upsert(self, batch: list[Row]) -> list[Ack]:
        try:
            rows = [self._upsert_row(row) for row in batch]
            self._dataverse.upsert_many(self._table, rows)
        except (Refused, ForbiddenKey) as error:
            if len(batch) == 1:
                return [_refused(self.leg, batch[0], error)]
            return [ack for row in batch for ack in self._upsert([row])]
        ids = self._ids([row.key for row in rows])
        return [_ack(row, id=ids[_folded(sent.key)]) for row, sent in zip(batch, rows, strict=True)]

    def _upsert_row(self, row: Row) -> UpsertRow:
        values = self._values(row, set(self.leg_columns.target_columns)) | self._company()
        key = {name: value for name, value in values.items() if name in self._alternate}
        return UpsertRow(key, {name: v for name, v in values.items() if name not in key and v is not None})

    def _ids(self, keys: list[Any]) -> dict[tuple[str, ...], str]:
        """Record ids of rows that were upserted by key; the service does not tell them."""
        conditions = [{name: v.id if isinstance(v, Bind) else v for name, v in key.items()} for key in keys]
        record = self.leg.map.dataverse.id
        found = self._dataverse.read_keys(self.leg.map.dataverse.set, conditions, select=[record, *self._alternate])
        return {_folded({name: row[name] for name in self._alternate}): str(row[record]).lower() for row in found}

    def _create(self, row: Row) -> Ack:
        """Create a row whose table has no alternate key, under an id that follows from map, company and key."""
        record = derived_id(self.leg.map.map, self.leg.company, row["join_key"])
        values = {
            n: v
            for n, v in (self._values(row, set(self.leg_columns.target_columns)) | self._company()).items()
            if v is not None
        }
        try:
            self._dataverse.create_with_id(self._table, record, values)
        except AlreadyExists:
            # Only an earlier attempt at this very row can have taken this id.
            try:
                self._dataverse.update(self._table, record, values)
            except Refused as error:
                return _refused(self.leg, row, error)
        except Refused as error:
            return _refused(self.leg, row, error)
        return _ack(row, id=record)

    def _company(self) -> dict[str, Bind]:
        path = self.leg.map.dataverse.company
        if path is None or not self.leg.map.company_is_direct:
            return {}
        return {path.split(".")[0]: Bind("cdm_company", self.runtime.company_ids[self.leg.company])}

    def _values(self, row: Row, columns: set[str]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for pair in self.leg_columns.pairs:
            if pair.target not in columns:
                continue
            value = row[f"w:{pair.target}"]
            if value is None and row.get(f"p:{pair.target}") is not None:
                continue
            values[pair.target] = self._wire(pair, value)
        return values

    def _wire(self, pair: ColumnPair, value: Any) -> Any:
        if isinstance(pair.entry, Lookup):
            # read through another table, the record is one of that table
            read = pair.entry.through is not None
            table = pair.column.targets[0] if read else self.runtime.catalog[pair.entry.maps[0]].dataverse.table
            return None if value is None else Bind(table, value)
        return to_wire(value, pair.column, "dataverse")

    def deferred(self, sets: Sets) -> list[tuple[Row, ColumnPair]]:
        """Rows whose lookup to a row of the same leg has to be written after all rows are there."""
        later: list[tuple[Row, ColumnPair]] = []
        for pair in self.self_pairs:
            parent, wanted, name = quoted(f"p:{pair.target}"), quoted(f"w:{pair.target}"), pair.target
            query = (
                f"SELECT pos, join_key, id, action, {parent} AS parent FROM plan WHERE {parent} IS NOT NULL AND "
                f"{wanted} IS NULL "
                f"AND (action = 'create' OR (action = 'update' AND list_contains(columns, '{name}'))) "
                "AND pos NOT IN (SELECT pos FROM failures WHERE severity = 'critical') ORDER BY pos"
            )
            later += [(row, pair) for row in sets.fetch(query).to_pylist()]
        return later

    def send_deferred(self, later: list[tuple[Row, ColumnPair]]) -> list[LookupAck]:
        """Write those lookups, now that the rows they name have record ids.

        A row whose lookup could not be written waits, or is quarantined where the service refused it.
        """
        acks = [ack for batch in self.leg.folder.acknowledged() for ack in batch.rows]
        ids = {ack.join_key: ack.id for ack in acks if ack.status == "ok" and ack.id is not None}
        there = [(row, pair) for row, pair in later if row["join_key"] in ids]
        return [self._send_lookup(row, pair, ids[row["join_key"]], ids.get(row["parent"])) for row, pair in there]

    def _send_lookup(self, row: Row, pair: ColumnPair, record: str, parent: str | None) -> LookupAck:
        if parent is None:
            ack = self._waiting(row)
        else:
            try:
                self._dataverse.update(self._table, record, {pair.target: Bind(self._table, parent)})
                ack = _ack(row)
            except Refused as error:
                ack = _refused(self.leg, row, error)
        return LookupAck(**{**msgspec.structs.asdict(ack), "column": pair.target, "id": parent})


def open_sender(leg: Leg, runtime: Runtime, leg_columns: LegColumns) -> Sender:
    """The sender that writes a leg's rows to its receiving side."""
    if leg.direction == "to_dataverse":
        return _DataverseSender(leg, runtime, leg_columns)
    kind = _PackageSender if leg.map.finance.write == "package" else _FinanceSender
    return kind(leg, runtime, leg_columns)


def alternate_key(dataverse: Dataverse, table_map: TableMap) -> tuple[str, ...]:
    """The active alternate key of a map's table that is its integration key; empty where there is none."""
    wanted = {path.split(".")[0] for path in table_map.dataverse.key}
    if table_map.company_is_direct and table_map.dataverse.company:
        wanted.add(table_map.dataverse.company.split(".")[0])
    for key in dataverse.metadata(table_map.dataverse.table).keys:
        if key.active and set(key.columns) == wanted:
            return tuple(key.columns)
    return ()


def derived_id(map_name: str, company: str, key: str) -> str:
    """The record id of a row whose table has no alternate key: the same for every attempt at the same row."""
    return str(uuid.uuid5(_NAMESPACE, f"{map_name}|{company}|{key}"))


def _folded(key: Any) -> tuple[str, ...]:
    return tuple(join_key([v.id if isinstance(v, Bind) else v]) or "" for _, v in sorted(key.items()))
