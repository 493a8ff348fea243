"""Exceptions from one nightly reconciliation to the next, and what people say of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, func, insert, or_, select, update

from dualsync.errors import RequestError
from dualsync.ledger import tables as t
from dualsync.ledger.engine import Store, writing
from dualsync.ledger.records import BreakRecord, NightRecord

STATUSES = ("open", "in_progress", "accepted", "disputed")
"""What people may say of an exception."""

IDENTITY = ("control", "company", "key", "class", "field")
"""What makes an exception of one reconciliation the same as that of another."""

_SEEN = (
    *("check", "severity", "dataverse_value", "finance_value", "amount", "currency", "dataverse_table", "dataverse_id"),
    *("finance_set", "finance_key", "cause", "explanation"),
)
"""What a reconciliation that sees an exception again writes anew."""

_CHUNK = 5_000
_NUMBERS = 500


def fingerprint(values: Mapping[str, Any]) -> str:
    """The identity of an exception in one short text."""
    return hashlib.sha256("\x1f".join(str(values[name]) for name in IDENTITY).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Judged:
    """What a reconciliation looked at: what it did not see there any more is resolved.

    Attributes:
        whole: Controls, or map comparisons, of which all was tested, and companies.
        checks: Controls, checks that were tested, and companies.
    """

    whole: frozenset[tuple[str, str]]
    checks: frozenset[tuple[str, str, str]] = frozenset()

    def holds(self, control: str, check: str, company: str) -> bool:
        """Whether exceptions of a check were looked for.

        Args:
            control: The control.
            check: The letter of the check; empty where it is not known, then all of the control must have been tested.
            company: The company.
        """
        return (control, company) in self.whole or (control, check, company) in self.checks


@dataclass(frozen=True, slots=True)
class BreakFilter:
    """Which exceptions; a word that is None does not choose.

    Attributes:
        run_id: Those that this reconciliation saw last.
        resolved_by: Those that were gone in this reconciliation.
        control: Of this control.
        company: Of this company.
        break_class: Of this class.
        severity: Of this severity.
        status: Of this status.
        owner: Of this owner.
        text: Whose key, values, explanation or comment hold this text.
        still_open: Those that are not resolved, or only those that are.
    """

    run_id: str | None = None
    resolved_by: str | None = None
    control: str | None = None
    company: str | None = None
    break_class: str | None = None
    severity: str | None = None
    status: str | None = None
    owner: str | None = None
    text: str | None = None
    still_open: bool | None = None


def conditions(chosen: BreakFilter) -> list[ColumnElement[bool]]:
    """The conditions that a filter stands for."""
    c = t.breaks.c
    given = (
        (c.last_run, chosen.run_id),
        (c.resolved_run, chosen.resolved_by),
        (c.control, chosen.control),
        (c.company, chosen.company),
        (c["class"], chosen.break_class),
        (c.severity, chosen.severity),
        (c.status, chosen.status),
        (c.owner, chosen.owner),
    )
    where: list[ColumnElement[bool]] = [column == value for column, value in given if value is not None]
    if chosen.text:
        columns = (c.key, c.dataverse_value, c.finance_value, c.explanation, c.comment)
        where.append(or_(*(column.icontains(chosen.text, autoescape=True) for column in columns)))
    if chosen.still_open is not None:
        where.append(c.resolved_at.is_(None) if chosen.still_open else c.resolved_at.is_not(None))
    return where


class Breaks(Store):
    """The part of the ledger about exceptions."""

    def changes(self, run_id: str) -> tuple[int, int]:
        """How many exceptions a reconciliation was the first to see, and how many were gone in it."""
        c = t.breaks.c
        with self._engine.connect() as connection:
            new, gone = (
                connection.execute(select(func.count()).select_from(t.breaks).where(column == run_id)).scalar_one()
                for column in (c.first_run, c.resolved_run)
            )
        return int(new), int(gone)

    def breaks(
        self, chosen: BreakFilter | None = None, *, after: int = 0, limit: int | None = None
    ) -> list[BreakRecord]:
        """Exceptions in the order of their numbers.

        Args:
            chosen: Which; all where None.
            after: Only numbers above, to go on from a page.
            limit: How many at most.
        """
        c = t.breaks.c
        where = conditions(chosen or BreakFilter())
        query = select(t.breaks).where(*where, c.number > after).order_by(c.number).limit(limit)
        with self._engine.connect() as connection:
            return [break_record(row) for row in connection.execute(query)]

    def count(self, chosen: BreakFilter | None = None) -> int:
        """How many exceptions there are."""
        query = select(func.count()).select_from(t.breaks).where(*conditions(chosen or BreakFilter()))
        with self._engine.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def grouped(self, chosen: BreakFilter, *names: str) -> dict[tuple[str, ...], int]:
        """How many exceptions there are by the values of columns, such as ``control`` and ``severity``."""
        columns = [t.breaks.c[name] for name in names]
        query = select(*columns, func.count()).where(*conditions(chosen)).group_by(*columns).order_by(*columns)
        with self._engine.connect() as connection:
            return {tuple(row[:-1]): int(row[-1]) for row in connection.execute(query)}

    def one_break(self, number: int) -> BreakRecord | None:
        """An exception by its number, None if there is none."""
        with self._engine.connect() as connection:
            row = connection.execute(select(t.breaks).where(t.breaks.c.number == number)).one_or_none()
        return break_record(row) if row else None

    def edit_break(
        self,
        number: int,
        by: str,
        *,
        status: str | None = None,
        owner: str | None = None,
        comment: str | None = None,
    ) -> BreakRecord:
        """Set the owner, the status or the comment of an exception.

        Raises:
            RequestError: There is no such exception or status.
        """
        if status is not None and status not in STATUSES:
            raise RequestError(f"no status '{status}'; there are {', '.join(STATUSES)}")
        given = {"status": status, "owner": owner, "comment": comment}
        values = {name: value for name, value in given.items() if value is not None}
        c = t.breaks.c
        with writing(self._engine) as connection:
            changed = connection.execute(
                update(t.breaks).where(c.number == number).values(**values, edited_by=by, edited_at=self._now())
            )
            if changed.rowcount == 0:
                raise RequestError(f"there is no exception number {number}; `dualsync exceptions list` lists them")
        edited = self.one_break(number)
        assert edited is not None
        return edited


def save_breaks(
    connection: Connection,
    night: NightRecord,
    pieces: Iterable[Sequence[Mapping[str, Any]]],
    judged: Judged,
) -> None:
    """Write down what a reconciliation saw, and that what it looked for and did not see is resolved.

    Args:
        connection: A transaction.
        night: The reconciliation.
        pieces: Its exceptions in pieces, each a sequence of rows in the shape of the controls' exceptions.
        judged: What was looked at.
    """
    c = t.breaks.c
    rows = connection.execute(select(c.fingerprint, c.number, c.last_run, c.resolved_at))
    earlier = {row.fingerprint: _Earlier(row.number, row.last_run, row.resolved_at is not None) for row in rows}
    for piece in pieces:
        _save(connection, night, piece, earlier)
    _resolve(connection, night, judged)


@dataclass(frozen=True, slots=True)
class _Earlier:
    """An exception as the ledger knows it; the number is 0 for one that this reconciliation is the first to see."""

    number: int
    last_run: str
    resolved: bool


def _save(
    connection: Connection, night: NightRecord, piece: Sequence[Mapping[str, Any]], earlier: dict[str, _Earlier]
) -> None:
    new: dict[str, dict[str, Any]] = {}
    again, back = [], []
    for row in piece:
        mark = fingerprint(row)
        values = {name: row[name] for name in _SEEN} | {"last_seen": night.moment, "last_run": night.run_id}
        before = earlier.get(mark)
        earlier[mark] = _Earlier(before.number if before else 0, night.run_id, resolved=False)
        if before is None:
            new[mark] = {**{name: row[name] for name in IDENTITY}, **values, "fingerprint": mark, **first_sight(night)}
        elif before.resolved:
            back.append({"b_number": before.number, **{f"v_{name}": value for name, value in values.items()}})
        elif before.last_run != night.run_id:
            again.append({"b_number": before.number, **{f"v_{name}": value for name, value in values.items()}})
    c = t.breaks.c
    bound: dict[str, Any] = {name: bindparam(f"v_{name}") for name in (*_SEEN, "last_seen", "last_run")}
    mine = c.number == bindparam("b_number")
    if again:
        connection.execute(update(t.breaks).where(mine).values(**bound, nights=c.nights + 1), again)
    if back:
        # It was away and is there again: its age begins anew, what people said of it stays.
        fresh = {"first_seen": night.moment, "first_run": night.run_id, "nights": 1, "resolved_at": None}
        connection.execute(update(t.breaks).where(mine).values(**bound, **fresh, resolved_run=""), back)
    rows = list(new.values())
    for start in range(0, len(rows), _CHUNK):
        connection.execute(insert(t.breaks), rows[start : start + _CHUNK])


def _resolve(connection: Connection, night: NightRecord, judged: Judged) -> None:
    """Resolve what was looked for and not seen."""
    c = t.breaks.c
    columns = (c.number, c.control, c.check, c.company)
    query = select(*columns).where(c.resolved_at.is_(None), c.last_run != night.run_id)
    gone = [row.number for row in connection.execute(query) if judged.holds(row.control, row.check, row.company)]
    for start in range(0, len(gone), _NUMBERS):
        connection.execute(
            update(t.breaks)
            .where(c.number.in_(gone[start : start + _NUMBERS]))
            .values(resolved_at=night.moment, resolved_run=night.run_id)
        )


def first_sight(night: NightRecord) -> dict[str, Any]:
    """What stands in the columns of an exception that a reconciliation is the first to see."""
    return {
        "first_seen": night.moment,
        "first_run": night.run_id,
        "nights": 1,
        "resolved_at": None,
        "resolved_run": "",
        "status": "open",
        "owner": "",
        "comment": "",
        "edited_by": "",
        "edited_at": None,
    }


def break_record(row: Row[Any]) -> BreakRecord:
    """A row of the table ``breaks`` as a record."""
    values = dict(row._mapping)
    return BreakRecord(break_class=values.pop("class"), **values)
