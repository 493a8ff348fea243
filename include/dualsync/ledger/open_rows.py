"""Open rows: those that no transfer has settled yet."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, func, select

from dualsync.ledger import tables as t
from dualsync.ledger.engine import Store
from dualsync.ledger.records import OpenRow


class OpenRows(Store):
    """The part of the ledger about open rows."""

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
