"""Bases, and the positions up to which transfers have read."""

from __future__ import annotations

from sqlalchemy import and_, delete, select

from dualsync.ledger import tables as t
from dualsync.ledger.engine import Store, writing
from dualsync.ledger.records import BaseRecord

_COLUMNS = [t.bases.c[name] for name in BaseRecord.__dataclass_fields__]


class Bases(Store):
    """The part of the ledger about what both sides agreed on, and about change tokens."""

    def base(self, map_name: str, company: str) -> BaseRecord | None:
        """The current base of a map and company, None before the first settled transfer."""
        where = and_(t.bases.c.map == map_name, t.bases.c.company == company)
        with self._engine.connect() as connection:
            row = connection.execute(select(*_COLUMNS).where(where)).one_or_none()
        return BaseRecord(**row._mapping) if row else None

    def bases(self, map_name: str) -> list[BaseRecord]:
        """The current bases of a map, one per company."""
        with self._engine.connect() as connection:
            rows = connection.execute(
                select(*_COLUMNS).where(t.bases.c.map == map_name).order_by(t.bases.c.company)
            ).all()
        return [BaseRecord(**row._mapping) for row in rows]

    def position(self, map_name: str, direction: str, company: str) -> str | None:
        """The change token up to which a transfer has settled, None before its first full read."""
        c = t.positions.c
        where = and_(c.map == map_name, c.direction == direction, c.company == company)
        with self._engine.connect() as connection:
            return connection.execute(select(c.token).where(where)).scalar_one_or_none()

    def forget_position(self, map_name: str, direction: str, company: str) -> None:
        """Drop a token that the service no longer honours, so that the transfer reads in full."""
        c = t.positions.c
        where = and_(c.map == map_name, c.direction == direction, c.company == company)
        with writing(self._engine) as connection:
            connection.execute(delete(t.positions).where(where))
