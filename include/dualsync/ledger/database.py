"""Opens the ledger and runs its few transactions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from dualsync.errors import LegBusy, Superseded
from dualsync.ledger import tables as t
from dualsync.ledger.engine import open_engine, writing
from dualsync.ledger.holders import has_ended
from dualsync.ledger.lists import Lists
from dualsync.ledger.nights import Nights
from dualsync.ledger.records import BaseRecord, LegCounts, LegRecord, OpenRow, RunRecord, UnitRecord

_INSERT_ROWS = 5_000
_COUNT_COLUMNS = tuple(LegCounts.__dataclass_fields__)


class Ledger:
    """The ledger of one installation.

    Args:
        url: SQLAlchemy URL; SQLite (opened in WAL mode) or PostgreSQL.
        now: The clock, for tests.

    Attributes:
        nights: What the nightly reconciliation writes down.
        lists: Long lists by the page, as people look at them.
        holder: The process that carries whole runs with this ledger (``holders.py``), empty where each step may be a
            process of its own; leases name it.
    """

    def __init__(self, url: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.url = url
        self.holder = ""
        self._now = now
        self._engine = open_engine(url)
        self.nights = Nights(self._engine, now)
        self.lists = Lists(self._engine)

    @classmethod
    def open(cls, url: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Ledger:
        """Open a ledger and bring its tables to the newest shape."""
        from dualsync.ledger.migrate import upgrade

        ledger = cls(url, now)
        upgrade(ledger._engine)
        return ledger

    def close(self) -> None:
        """Give back all connections."""
        self._engine.dispose()

    # --- runs and legs -------------------------------------------------------------------------------------------

    def start_run(self, run: RunRecord) -> None:
        """Write a run down; a run that is already there is opened again and keeps its start."""
        values = {
            "area": run.area,
            "mode": run.mode,
            "dry_run": run.dry_run,
            "companies": json.dumps(run.companies),
            "maps": json.dumps(run.maps),
            "state": run.state,
            "package_version": run.package_version,
            "ended_at": None,
        }
        with writing(self._engine) as connection:
            _upsert(connection, t.runs, {"run_id": run.run_id}, values, {"started_at": run.started_at})

    def end_run(self, run_id: str, state: str) -> None:
        """Write down how a run ended."""
        with writing(self._engine) as connection:
            connection.execute(
                update(t.runs).where(t.runs.c.run_id == run_id).values(state=state, ended_at=self._now())
            )

    def run(self, run_id: str) -> RunRecord | None:
        """One run, None if unknown."""
        with self._engine.connect() as connection:
            row = connection.execute(select(t.runs).where(t.runs.c.run_id == run_id)).one_or_none()
        return _run(row) if row else None

    def runs(self, limit: int = 20) -> list[RunRecord]:
        """The latest runs, newest first."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(t.runs).order_by(t.runs.c.started_at.desc()).limit(limit)).all()
        return [_run(row) for row in rows]

    def save_leg(self, leg: LegRecord) -> None:
        """Write how a leg stands."""
        with writing(self._engine) as connection:
            self._save_leg(connection, leg)

    def leg(self, run_id: str, map_name: str, direction: str, part: str, company: str) -> LegRecord | None:
        """One leg of one run, None if it has not begun."""
        c = t.legs.c
        where = and_(
            c.run_id == run_id, c.map == map_name, c.direction == direction, c.part == part, c.company == company
        )
        with self._engine.connect() as connection:
            row = connection.execute(select(t.legs).where(where)).one_or_none()
        return _leg(row) if row else None

    def legs(self, run_id: str) -> list[LegRecord]:
        """All legs of a run, in the order they began."""
        with self._engine.connect() as connection:
            rows = connection.execute(
                select(t.legs).where(t.legs.c.run_id == run_id).order_by(t.legs.c.started_at)
            ).all()
        return [_leg(row) for row in rows]

    def has_settled(self, map_name: str, direction: str, company: str) -> bool:
        """Whether a leg of this map, direction and company has ever settled."""
        c = t.legs.c
        where = and_(c.map == map_name, c.direction == direction, c.company == company)
        query = select(func.count()).select_from(t.legs).where(where, c.state == "settled", c.part == "rows")
        with self._engine.connect() as connection:
            return bool(connection.execute(query).scalar_one())

    def broken_legs(self, map_name: str, company: str, limit: int = 10) -> list[LegRecord]:
        """Legs of a map and company that began and did not settle, newest first."""
        c = t.legs.c
        where = and_(c.map == map_name, c.company == company, c.part == "rows", c.state.in_(("running", "failed")))
        with self._engine.connect() as connection:
            rows = connection.execute(select(t.legs).where(where).order_by(c.started_at.desc()).limit(limit)).all()
        return [_leg(row) for row in rows]

    def held_legs(self, *, released_by: str) -> list[LegRecord]:
        """Legs that a guard held and that neither a later run settled nor a person released, oldest first.

        Args:
            released_by: Name of the job that releases; other runs of chosen rows settle nothing but these.
        """
        c, r = t.legs.c, t.runs.c
        counts = (r.mode != "rows") | (r.area == released_by)
        ended = (
            select(t.legs)
            .join(t.runs, c.run_id == r.run_id)
            .where(c.state.in_(("held", "settled")), counts)
            .order_by(c.started_at)
        )
        newest: dict[tuple[str, ...], LegRecord] = {}
        with self._engine.connect() as connection:
            held = select(c.map, c.direction, c.part, c.company).where(c.state == "held").distinct()
            of = {tuple(row) for row in connection.execute(held)}
            for row in connection.execute(ended.where(c.map.in_({name for name, *_ in of}))) if of else ():
                if (leg := (row.map, row.direction, row.part, row.company)) in of:
                    newest.pop(leg, None)
                    newest[leg] = _leg(row)
        return [leg for leg in newest.values() if leg.state == "held"]

    def latest_legs(self) -> list[LegRecord]:
        """The newest leg of each map, direction, part and company."""
        c = t.legs.c
        newest = select(c.map, c.direction, c.part, c.company, func.max(c.started_at).label("newest"))
        newest_legs = newest.group_by(c.map, c.direction, c.part, c.company).subquery()
        n = newest_legs.c
        match = and_(c.map == n.map, c.direction == n.direction, c.part == n.part, c.company == n.company)
        query = select(t.legs).join(newest_legs, and_(match, c.started_at == n.newest))
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(c.map, c.direction, c.part, c.company)).all()
        return [_leg(row) for row in rows]

    # --- bases and positions -------------------------------------------------------------------------------------

    def base(self, map_name: str, company: str) -> BaseRecord | None:
        """The current base of a map and company, None before the first settled leg."""
        where = and_(t.bases.c.map == map_name, t.bases.c.company == company)
        with self._engine.connect() as connection:
            row = connection.execute(select(t.bases).where(where)).one_or_none()
        return _base(row) if row else None

    def bases(self, map_name: str) -> list[BaseRecord]:
        """The current bases of a map, one per company."""
        with self._engine.connect() as connection:
            rows = connection.execute(
                select(t.bases).where(t.bases.c.map == map_name).order_by(t.bases.c.company)
            ).all()
        return [_base(row) for row in rows]

    def position(self, map_name: str, direction: str, company: str) -> str | None:
        """The change token up to which a leg has settled, None before its first full read."""
        c = t.positions.c
        where = and_(c.map == map_name, c.direction == direction, c.company == company)
        with self._engine.connect() as connection:
            return connection.execute(select(c.token).where(where)).scalar_one_or_none()

    def forget_position(self, map_name: str, direction: str, company: str) -> None:
        """Drop a token that the service no longer honours, so that the leg reads in full."""
        c = t.positions.c
        where = and_(c.map == map_name, c.direction == direction, c.company == company)
        with writing(self._engine) as connection:
            connection.execute(delete(t.positions).where(where))

    # --- leases --------------------------------------------------------------------------------------------------

    def take_lease(self, map_name: str, company: str, run_id: str, minutes: int = 30) -> None:
        """Take, or renew, the right to write a map's rows of one company.

        A lease that has run out is free, and so is one whose holder was killed on this host.

        Raises:
            LegBusy: Another run holds it; try again later.
        """
        now = self._now()
        c = t.leases.c
        mine = and_(c.map == map_name, c.company == company)
        values = {"run_id": run_id, "expires_at": now + timedelta(minutes=minutes), "holder": self.holder}
        free = (c.run_id == run_id) | (c.expires_at < now)
        try:
            with writing(self._engine) as connection:
                known = connection.execute(select(c.run_id, c.holder).where(mine)).one_or_none()
                if known is not None and has_ended(known.holder):
                    free = free | and_(c.run_id == known.run_id, c.holder == known.holder)
                if connection.execute(update(t.leases).where(mine, free).values(**values)).rowcount == 0:
                    connection.execute(insert(t.leases).values(map=map_name, company=company, **values))
        except IntegrityError:
            with self._engine.connect() as connection:
                run = connection.execute(select(c.run_id).where(mine)).scalar_one_or_none()
            raise LegBusy(
                f"{map_name} of {company} is being written by run {run}; this run yields and tries again. If that run "
                f"was broken off, `dualsync resume {run}` brings it to its end; its hold ends half an hour after its "
                "last write"
            ) from None

    def drop_lease(self, map_name: str, company: str, run_id: str) -> None:
        """Give a lease back."""
        c = t.leases.c
        where = and_(c.map == map_name, c.company == company, c.run_id == run_id)
        with writing(self._engine) as connection:
            connection.execute(delete(t.leases).where(where))

    def drop_leases(self, run_id: str) -> None:
        """Give back all leases of a run."""
        with writing(self._engine) as connection:
            connection.execute(delete(t.leases).where(t.leases.c.run_id == run_id))

    # --- open rows -----------------------------------------------------------------------------------------------

    def open_rows(
        self,
        *,
        map_name: str | None = None,
        direction: str | None = None,
        company: str | None = None,
        states: Sequence[str] = (),
        key: str | None = None,
        limit: int | None = None,
    ) -> list[OpenRow]:
        """Rows that are not settled, oldest first."""
        c = t.open_rows.c
        conditions: list[ColumnElement[bool]] = []
        for column, value in ((c.map, map_name), (c.direction, direction), (c.company, company), (c.key, key)):
            if value is not None:
                conditions.append(column == value)
        if states:
            conditions.append(c.state.in_(states))
        query = select(t.open_rows).where(*conditions).order_by(c.first_seen, c.map, c.company, c.key).limit(limit)
        with self._engine.connect() as connection:
            return [OpenRow(**row._mapping) for row in connection.execute(query)]

    def count_open_rows(self) -> dict[tuple[str, str, str, str], int]:
        """How many rows stand open, by map, direction, company and state."""
        c = t.open_rows.c
        query = select(c.map, c.direction, c.company, c.state, func.count()).group_by(
            c.map, c.direction, c.company, c.state
        )
        with self._engine.connect() as connection:
            return {(row[0], row[1], row[2], row[3]): int(row[4]) for row in connection.execute(query)}

    # --- units ---------------------------------------------------------------------------------------------------

    def units(
        self,
        *,
        map_name: str | None = None,
        company: str | None = None,
        key: str | None = None,
        lines: str | None = None,
        incomplete: bool = False,
    ) -> list[UnitRecord]:
        """Units of headers and their lines, by map, company and key.

        Args:
            map_name: The header's map; all where None.
            company: The header's company; all where None.
            key: The header's key as people write it; all where None.
            lines: Only what is kept about this map of lines.
            incomplete: Only what is not complete.
        """
        c = t.units.c
        given = ((c.map, map_name), (c.company, company), (c.key, key), (c.lines, lines))
        conditions: list[ColumnElement[bool]] = [column == value for column, value in given if value is not None]
        if incomplete:
            conditions.append(c.complete.is_(False))
        query = select(t.units).where(*conditions).order_by(c.map, c.company, c.join_key, c.lines)
        with self._engine.connect() as connection:
            return [_unit(row) for row in connection.execute(query)]

    def begin_units(self, units: Sequence[UnitRecord], run_id: str) -> None:
        """Say that units are not complete, before anything of them is written; known counts stay."""
        now = self._now()
        with writing(self._engine) as connection:
            for unit in units:
                key = _unit_key(unit)
                mine = and_(*(t.units.c[name] == value for name, value in key.items()))
                open_again = {"complete": False, "since": now, "run_id": run_id}
                if connection.execute(update(t.units).where(mine, t.units.c.complete).values(**open_again)).rowcount:
                    continue
                if connection.execute(select(t.units.c.key).where(mine)).one_or_none() is None:
                    first = {"key": unit.key, "record_id": unit.record_id, "expected": 0, "acknowledged": 0}
                    connection.execute(insert(t.units).values(**key, **first, **open_again))

    # --- settling ------------------------------------------------------------------------------------------------

    def settle(
        self,
        leg: LegRecord,
        *,
        base: BaseRecord | None,
        token: str | None,
        open_rows: Iterable[OpenRow],
        replaced: Sequence[str],
        resolved: Iterable[str],
        kept: Sequence[str] = (),
        units: Iterable[UnitRecord] = (),
        units_gone: Iterable[tuple[str, str, str]] = (),
    ) -> None:
        """Settle a leg in one transaction: generation, token, open rows, units and counts together, or nothing.

        Args:
            leg: The leg with its final counts; ``generation_from`` is the generation its plan was made from.
            base: The new generation, None when the base did not change.
            token: The change token the leg has now settled up to, None to leave its position.
            open_rows: Rows that remain open after this leg.
            replaced: States of open rows that ``open_rows`` replaces as a whole.
            resolved: ``join_key`` of further rows that are no longer open.
            kept: Rules whose rows stay all the same, since the run did not look at them.
            units: How units stand after this leg.
            units_gone: Headers that are no more, by map, company and ``join_key``.

        Raises:
            Superseded: The generation moved since the plan was made; nothing was written.
        """
        now = self._now()
        with writing(self._engine) as connection:
            self._move_generation(connection, leg, base, now)
            if token is not None:
                key = {"map": leg.map, "direction": leg.direction, "company": leg.company}
                _upsert(connection, t.positions, key, {"token": token, "run_id": leg.run_id, "settled_at": now}, {})
            self._replace_open_rows(connection, leg, list(open_rows), replaced, kept, list(resolved), now)
            self._save_units(connection, list(units), leg.run_id, now)
            u = t.units.c
            for map_name, company, header in units_gone:
                connection.execute(delete(t.units).where(u.map == map_name, u.company == company, u.join_key == header))
            self._save_leg(connection, leg)
            c = t.leases.c
            mine = and_(c.map == leg.map, c.company == leg.company, c.run_id == leg.run_id)
            connection.execute(delete(t.leases).where(mine))

    def _move_generation(self, connection: Connection, leg: LegRecord, base: BaseRecord | None, now: datetime) -> None:
        c = t.bases.c
        mine = and_(c.map == leg.map, c.company == leg.company)
        current = connection.execute(select(c.generation, c.run_id).where(mine).with_for_update()).one_or_none()
        generation, holder = (current.generation, current.run_id) if current else (0, "")
        if generation != (leg.generation_from or 0):
            raise superseded(leg, holder)
        if base is None:
            return
        values = {
            "generation": base.generation,
            "path": base.path,
            "rows": base.rows,
            "run_id": leg.run_id,
            "settled_at": now,
        }
        if current is None:
            try:
                connection.execute(insert(t.bases).values(map=leg.map, company=leg.company, **values))
            except IntegrityError as error:
                raise superseded(leg, "another run") from error
            return
        swapped = connection.execute(update(t.bases).where(mine, c.generation == generation).values(**values))
        if swapped.rowcount != 1:
            raise superseded(leg, holder)

    def _replace_open_rows(
        self,
        connection: Connection,
        leg: LegRecord,
        rows: list[OpenRow],
        replaced: Sequence[str],
        kept: Sequence[str],
        resolved: list[str],
        now: datetime,
    ) -> None:
        c = t.open_rows.c
        mine = and_(c.map == leg.map, c.direction == leg.direction, c.company == leg.company)
        seen = {
            row.join_key: row.first_seen for row in connection.execute(select(c.join_key, c.first_seen).where(mine))
        }
        if replaced:
            connection.execute(delete(t.open_rows).where(mine, c.state.in_(replaced), c.rule.not_in(kept)))
        gone = [key for key in [*resolved, *(row.join_key for row in rows)] if key in seen]
        for start in range(0, len(gone), 500):
            connection.execute(delete(t.open_rows).where(mine, c.join_key.in_(gone[start : start + 500])))
        unique = {row.join_key: row for row in rows}
        values = [
            {
                "map": leg.map,
                "direction": leg.direction,
                "company": leg.company,
                "join_key": row.join_key,
                "key": row.key,
                "record_id": row.record_id,
                "state": row.state,
                "rule": row.rule,
                "reason": row.reason,
                "run_id": leg.run_id,
                "first_seen": seen.get(row.join_key, now),
                "last_seen": now,
            }
            for row in unique.values()
        ]
        for start in range(0, len(values), _INSERT_ROWS):
            connection.execute(insert(t.open_rows), values[start : start + _INSERT_ROWS])

    def _save_units(self, connection: Connection, units: list[UnitRecord], run_id: str, now: datetime) -> None:
        for unit in units:
            key = _unit_key(unit)
            c = t.units.c
            mine = and_(*(c[name] == value for name, value in key.items()))
            known = connection.execute(select(c.complete, c.since, c.record_id).where(mine)).one_or_none()
            values = {
                "key": unit.key,
                "record_id": unit.record_id or (known.record_id if known else None),
                "expected": unit.expected,
                "acknowledged": unit.acknowledged,
                "complete": unit.complete,
                "since": known.since if known and known.complete == unit.complete else now,
                "run_id": run_id,
            }
            _upsert(connection, t.units, key, values, {})

    def _save_leg(self, connection: Connection, leg: LegRecord) -> None:
        key = {
            "run_id": leg.run_id,
            "map": leg.map,
            "direction": leg.direction,
            "part": leg.part,
            "company": leg.company,
        }
        values = {
            "attempt": leg.attempt,
            "state": leg.state,
            "generation_from": leg.generation_from,
            "generation_to": leg.generation_to,
            "map_hash": leg.map_hash,
            "message": leg.message,
            "folder": leg.folder,
            "ended_at": leg.ended_at,
            **{name: getattr(leg.counts, name) for name in _COUNT_COLUMNS},
        }
        _upsert(connection, t.legs, key, values, {"started_at": leg.started_at})


def superseded(leg: LegRecord, holder: str) -> Superseded:
    """The refusal of a leg whose base has moved on."""
    return Superseded(
        f"{leg.map} {leg.direction} of {leg.company} in run {leg.run_id}: superseded by run {holder}; "
        "what that run left open is taken up by the next run"
    )


def _upsert(
    connection: Connection, table: Any, key: dict[str, Any], values: dict[str, Any], once: dict[str, Any]
) -> None:
    where = and_(*(table.c[name] == value for name, value in key.items()))
    if connection.execute(update(table).where(where).values(**values)).rowcount == 0:
        connection.execute(insert(table).values(**key, **values, **once))


def _aware(moment: datetime | None) -> datetime | None:
    # SQLite keeps no time zone; all moments are written in UTC.
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def _run(row: Row[Any]) -> RunRecord:
    values = dict(row._mapping)
    values["companies"] = tuple(json.loads(values["companies"]))
    values["maps"] = tuple(json.loads(values["maps"]))
    values["started_at"] = _aware(values["started_at"])
    values["ended_at"] = _aware(values["ended_at"])
    return RunRecord(**values)


def _leg(row: Row[Any]) -> LegRecord:
    values = dict(row._mapping)
    counts = LegCounts(**{name: values.pop(name) for name in _COUNT_COLUMNS})
    values["started_at"] = _aware(values["started_at"])
    values["ended_at"] = _aware(values["ended_at"])
    return LegRecord(counts=counts, **values)


def _unit(row: Row[Any]) -> UnitRecord:
    return UnitRecord(**{**row._mapping, "since": _aware(row.since)})


def _unit_key(unit: UnitRecord) -> dict[str, Any]:
    return {"map": unit.map, "company": unit.company, "join_key": unit.join_key, "lines": unit.lines}


def _base(row: Row[Any]) -> BaseRecord:
    return BaseRecord(row.map, row.company, row.generation, row.path, row.rows, row.run_id)
