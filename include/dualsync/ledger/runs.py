"""Runs and their transfers."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, and_, func, select, update

from dualsync.ledger import tables as t
from dualsync.ledger.engine import Store, upsert, writing
from dualsync.ledger.records import LegCounts, LegRecord, RunRecord

_COUNT_COLUMNS = tuple(LegCounts.__dataclass_fields__)


class Runs(Store):
    """The part of the ledger about runs and transfers."""

    def start_run(self, run: RunRecord) -> None:
        """Write a run down; a run that is already there is opened again and keeps its start."""
        values = {
            "area": run.area,
            "mode": run.mode,
            "dry_run": run.dry_run,
            "companies": run.companies,
            "maps": run.maps,
            "state": run.state,
            "package_version": run.package_version,
            "layout": run.layout,
            "ended_at": None,
        }
        with writing(self._engine) as connection:
            upsert(connection, t.runs, {"run_id": run.run_id}, values, {"started_at": run.started_at})

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
        return RunRecord(**row._mapping) if row else None

    def runs(self, limit: int = 20) -> list[RunRecord]:
        """The latest runs, newest first."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(t.runs).order_by(t.runs.c.started_at.desc()).limit(limit)).all()
        return [RunRecord(**row._mapping) for row in rows]

    def save_leg(self, leg: LegRecord) -> None:
        """Write how a transfer stands."""
        with writing(self._engine) as connection:
            save_leg(connection, leg)

    def leg(self, run_id: str, map_name: str, direction: str, part: str, company: str) -> LegRecord | None:
        """One transfer of one run, None if it has not begun."""
        c = t.legs.c
        where = and_(
            c.run_id == run_id, c.map == map_name, c.direction == direction, c.part == part, c.company == company
        )
        with self._engine.connect() as connection:
            row = connection.execute(select(t.legs).where(where)).one_or_none()
        return leg_record(row) if row else None

    def legs(self, run_id: str) -> list[LegRecord]:
        """All transfers of a run, in the order they began."""
        with self._engine.connect() as connection:
            rows = connection.execute(
                select(t.legs).where(t.legs.c.run_id == run_id).order_by(t.legs.c.started_at)
            ).all()
        return [leg_record(row) for row in rows]

    def has_settled(self, map_name: str, direction: str, company: str) -> bool:
        """Whether a transfer of this map, direction and company has ever settled."""
        c = t.legs.c
        where = and_(c.map == map_name, c.direction == direction, c.company == company)
        query = select(func.count()).select_from(t.legs).where(where, c.state == "settled", c.part == "rows")
        with self._engine.connect() as connection:
            return bool(connection.execute(query).scalar_one())

    def broken_legs(self, map_name: str, company: str, limit: int = 10) -> list[LegRecord]:
        """Transfers of a map and company that began and did not settle, newest first."""
        c = t.legs.c
        where = and_(c.map == map_name, c.company == company, c.part == "rows", c.state.in_(("running", "failed")))
        with self._engine.connect() as connection:
            rows = connection.execute(select(t.legs).where(where).order_by(c.started_at.desc()).limit(limit)).all()
        return [leg_record(row) for row in rows]

    def held_legs(self, *, released_by: str) -> list[LegRecord]:
        """Transfers that need approval: a guard held them, no later run settled them, and nobody released them.

        The oldest stand first.

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
            query = select(c.map, c.direction, c.part, c.company).where(c.state == "held").distinct()
            ever_held = {tuple(row) for row in connection.execute(query)}
            ended = ended.where(c.map.in_({name for name, *_ in ever_held}))
            for row in connection.execute(ended) if ever_held else ():
                if (leg := (row.map, row.direction, row.part, row.company)) in ever_held:
                    newest.pop(leg, None)
                    newest[leg] = leg_record(row)
        return [leg for leg in newest.values() if leg.state == "held"]

    def latest_legs(self) -> list[LegRecord]:
        """The newest transfer of each map, direction, part and company."""
        c = t.legs.c
        newest = select(c.map, c.direction, c.part, c.company, func.max(c.started_at).label("newest"))
        newest_legs = newest.group_by(c.map, c.direction, c.part, c.company).subquery()
        n = newest_legs.c
        match = and_(c.map == n.map, c.direction == n.direction, c.part == n.part, c.company == n.company)
        query = select(t.legs).join(newest_legs, and_(match, c.started_at == n.newest))
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(c.map, c.direction, c.part, c.company)).all()
        return [leg_record(row) for row in rows]


def save_leg(connection: Connection, leg: LegRecord) -> None:
    """Write how a transfer stands, as part of a transaction."""
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
    upsert(connection, t.legs, key, values, {"started_at": leg.started_at})


def leg_record(row: Row[Any]) -> LegRecord:
    """A row of the table ``legs`` as a record."""
    values = dict(row._mapping)
    counts = LegCounts(**{name: values.pop(name) for name in _COUNT_COLUMNS})
    return LegRecord(counts=counts, **values)
