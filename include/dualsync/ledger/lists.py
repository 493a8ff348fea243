"""Long lists by the page: exceptions and open rows, however many the ledger holds.

A page begins after, or ends before, a row that the reader has seen; nothing is counted off from the start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from sqlalchemy import ColumnElement, Engine, and_, case, func, or_, select, tuple_

from dualsync.ledger import tables as t
from dualsync.ledger.breaks import BreakFilter, break_record, conditions
from dualsync.ledger.records import STATES, BreakRecord, OpenRow

T = TypeVar("T")

OpenRowId = tuple[str, str, str, str]
"""What identifies an open row: map, direction, company and ``join_key``."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list, and whether there is more before and after it."""

    rows: list[T]
    before: bool
    after: bool


@dataclass(frozen=True, slots=True)
class OpenRowFilter:
    """Which open rows; a word that is None does not choose. ``text`` stands in key, rule or reason."""

    state: str | None = None
    map: str | None = None
    company: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class ControlNight:
    """What a control said in one reconciliation, all companies together."""

    run_id: str
    moment: datetime
    state: str
    breaks: int


class Lists:
    """Lists of a ledger; get it from :attr:`dualsync.ledger.Ledger.lists`.

    Args:
        engine: The ledger's database.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # --- exceptions -----------------------------------------------------------------------------------------------

    def breaks(
        self, chosen: BreakFilter, *, limit: int, after: int | None = None, before: int | None = None, newest: bool
    ) -> Page[BreakRecord]:
        """A page of exceptions by their numbers.

        Args:
            chosen: Which exceptions.
            limit: Rows of the page at most.
            after: The page follows the exception of this number in the list.
            before: The page precedes the exception of this number in the list; only where ``after`` is None.
            newest: The highest numbers first.
        """
        c = t.breaks.c
        back = after is None and before is not None
        seen = before if back else after
        up = newest == back
        where = conditions(chosen)
        if seen is not None:
            where.append(c.number > seen if up else c.number < seen)
        # the numbers alone stand in an index with all that is asked for; whole rows are read for one page only
        order = c.number if up else c.number.desc()
        query = select(c.number).where(*where).order_by(order).limit(limit + 1)
        with self._engine.connect() as connection:
            page = list(connection.execute(query).scalars())
            more = len(page) > limit
            rows = connection.execute(select(t.breaks).where(c.number.in_(page[:limit])))
            records = sorted((break_record(row) for row in rows), key=lambda record: record.number, reverse=newest)
        return Page(records, before=more if back else seen is not None, after=True if back else more)

    def owners(self) -> list[str]:
        """The owners of open exceptions."""
        c = t.breaks.c
        query = select(c.owner).where(c.resolved_at.is_(None), c.owner != "").distinct().order_by(c.owner)
        with self._engine.connect() as connection:
            return list(connection.execute(query).scalars())

    def places(self) -> list[tuple[str, str, int]]:
        """Control, company and number of all exceptions that are open."""
        c = t.breaks.c
        query = select(c.control, c.company, func.count()).where(c.resolved_at.is_(None)).group_by(c.control, c.company)
        with self._engine.connect() as connection:
            return [(row[0], row[1], int(row[2])) for row in connection.execute(query)]

    def ages(self, run_id: str, moment: datetime, days: Sequence[int]) -> dict[tuple[int, str], int]:
        """How many exceptions a reconciliation saw last, by age and severity.

        Args:
            run_id: The reconciliation.
            moment: From when ages are counted.
            days: Ages in whole days at which the next class begins, rising.

        Returns:
            Numbers by the place of the class (0 is the youngest) and the severity.
        """
        c = t.breaks.c
        steps = [(c.first_seen > moment - timedelta(days=limit), place) for place, limit in enumerate(days)]
        age = case(*steps, else_=len(days))
        query = select(age, c.severity, func.count()).where(c.last_run == run_id).group_by(age, c.severity)
        with self._engine.connect() as connection:
            return {(int(row[0]), row[1]): int(row[2]) for row in connection.execute(query)}

    def control(self, control: str, limit: int = 30) -> list[ControlNight]:
        """What a control, or the comparison of a map, said in its latest reconciliations, newest first."""
        n, r = t.nights.c, t.night_results.c
        query = (
            select(n.run_id, n.moment, r.state, r.breaks)
            .join_from(t.nights, t.night_results, and_(r.run_id == n.run_id, r.control == control))
            .order_by(n.ended_at.desc(), n.run_id)
        )
        nights: dict[str, ControlNight] = {}
        with self._engine.connect() as connection:
            for run_id, moment, state, breaks in connection.execute(query):
                other = nights.get(run_id)  # of another company
                if other is None and len(nights) == limit:
                    break
                states = [state] if other is None else [state, other.state]
                total = breaks + (other.breaks if other else 0)
                nights[run_id] = ControlNight(run_id, moment, min(states, key=STATES.index), total)
        return list(nights.values())

    # --- open rows ------------------------------------------------------------------------------------------------

    def open_rows(
        self,
        chosen: OpenRowFilter,
        *,
        limit: int,
        after: OpenRowId | None = None,
        before: OpenRowId | None = None,
    ) -> Page[OpenRow]:
        """A page of open rows by map, direction, company and key.

        Args:
            chosen: Which rows.
            limit: Rows of the page at most.
            after: The page follows this row.
            before: The page precedes this row; only where ``after`` is None.
        """
        c = t.open_rows.c
        names = (c.map, c.direction, c.company, c.join_key)
        back = after is None and before is not None
        seen = before if back else after
        where = _open_conditions(chosen)
        if seen is not None:
            where.append(tuple_(*names) < tuple_(*seen) if back else tuple_(*names) > tuple_(*seen))
        order = [name.desc() if back else name for name in names]
        query = select(t.open_rows).where(*where).order_by(*order).limit(limit + 1)
        with self._engine.connect() as connection:
            rows = [OpenRow(**row._mapping) for row in connection.execute(query)]
        more, rows = len(rows) > limit, rows[:limit]
        if back:
            rows.reverse()
        return Page(rows, before=more if back else seen is not None, after=True if back else more)

    def open_row(self, identity: OpenRowId) -> OpenRow | None:
        """One open row, None where it is settled by now."""
        c = t.open_rows.c
        names = (c.map, c.direction, c.company, c.join_key)
        where = [name == value for name, value in zip(names, identity, strict=True)]
        with self._engine.connect() as connection:
            row = connection.execute(select(t.open_rows).where(*where)).one_or_none()
        return None if row is None else OpenRow(**row._mapping)


def _open_conditions(chosen: OpenRowFilter) -> list[ColumnElement[bool]]:
    c = t.open_rows.c
    given = ((c.state, chosen.state), (c.map, chosen.map), (c.company, chosen.company))
    where: list[ColumnElement[bool]] = [column == value for column, value in given if value is not None]
    if chosen.text:
        columns = (c.key, c.rule, c.reason)
        where.append(or_(*(column.icontains(chosen.text, autoescape=True) for column in columns)))
    return where
