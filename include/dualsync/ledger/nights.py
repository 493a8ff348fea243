"""The part of the ledger that the nightly reconciliation writes: nights, breaks from night to night, sign-offs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Row,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from dualsync.errors import SettingsError
from dualsync.ledger import tables as t
from dualsync.ledger.engine import writing
from dualsync.ledger.records import BreakRecord, ControlResult, NightRecord, SignOff, SuiteResult

STATUSES = ("open", "in_progress", "accepted", "disputed")
"""What people may say of a break."""

IDENTITY = ("control", "company", "key", "class", "field")
"""What makes a break of one night the same as that of another."""

_SEEN = (
    *("severity", "dataverse_value", "finance_value", "amount", "currency", "dataverse_table", "dataverse_id"),
    *("finance_set", "finance_key", "cause", "explanation"),
)
"""What a night says anew of a break it sees again."""

_CHUNK = 5_000
_NUMBERS = 500


def fingerprint(values: Mapping[str, Any]) -> str:
    """The identity of a break in one short text."""
    return hashlib.sha256("\x1f".join(str(values[name]) for name in IDENTITY).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class BreakFilter:
    """Which breaks; a word that is None does not choose.

    Attributes:
        run_id: Those that this night saw last.
        resolved_by: Those that were gone in this night.
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


class Nights:
    """Nights, breaks and sign-offs of a ledger; get it from :attr:`dualsync.ledger.Ledger.nights`.

    Args:
        engine: The ledger's database.
        now: The clock.
    """

    def __init__(self, engine: Engine, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._now = now

    # --- writing a night down ------------------------------------------------------------------------------------

    def record(
        self,
        night: NightRecord,
        results: Sequence[ControlResult],
        breaks: Iterable[Sequence[Mapping[str, Any]]],
        suites: Sequence[SuiteResult] = (),
    ) -> None:
        """Write a night down in one transaction: its results, the breaks it saw, and those that are gone.

        What a control did not look at, because it was not run, failed, or was for other companies, stays as it was. A
        night that is written down again replaces what it said before.

        Args:
            night: The night.
            results: One for each control or map and company that was to be looked at.
            breaks: Its breaks in pieces, each a sequence of rows of the shape of breaks.
            suites: One for each suite whose rows were to be checked.
        """
        judged = {(one.control, one.company) for one in results if one.state in ("equal", "breaks")}
        with writing(self._engine) as connection:
            connection.execute(delete(t.nights).where(t.nights.c.run_id == night.run_id))
            connection.execute(delete(t.night_results).where(t.night_results.c.run_id == night.run_id))
            values = asdict(night) | {"companies": json.dumps(night.companies)}
            connection.execute(insert(t.nights).values(**values))
            if results:
                rows = [{"run_id": night.run_id, **asdict(one)} for one in results]
                connection.execute(insert(t.night_results), rows)
            connection.execute(delete(t.suite_results).where(t.suite_results.c.run_id == night.run_id))
            if suites:
                connection.execute(insert(t.suite_results), [{"run_id": night.run_id, **asdict(one)} for one in suites])
            known = self._known(connection)
            for piece in breaks:
                self._save(connection, night, piece, known)
            self._resolve(connection, night, judged)

    def _known(self, connection: Connection) -> dict[str, tuple[int, str, bool]]:
        """Number, last run, and whether it is resolved, of every break by fingerprint."""
        c = t.breaks.c
        rows = connection.execute(select(c.fingerprint, c.number, c.last_run, c.resolved_at))
        return {row[0]: (row[1], row[2], row[3] is not None) for row in rows}

    def _save(
        self,
        connection: Connection,
        night: NightRecord,
        piece: Sequence[Mapping[str, Any]],
        known: dict[str, tuple[int, str, bool]],
    ) -> None:
        new: dict[str, dict[str, Any]] = {}
        again, back = [], []
        for row in piece:
            mark = fingerprint(row)
            seen = {name: row[name] for name in _SEEN}
            seen["amount"] = None if row["amount"] is None else format(row["amount"], "f")
            seen |= {"last_seen": night.moment, "last_run": night.run_id}
            found = known.get(mark)
            known[mark] = (found[0] if found else 0, night.run_id, False)
            if found is None:
                new[mark] = {**{name: row[name] for name in IDENTITY}, **seen, "fingerprint": mark, **_born(night)}
            elif found[2]:
                back.append({"b_number": found[0], **{f"v_{name}": value for name, value in seen.items()}})
            elif found[1] != night.run_id:
                again.append({"b_number": found[0], **{f"v_{name}": value for name, value in seen.items()}})
        c = t.breaks.c
        values: dict[str, Any] = {name: bindparam(f"v_{name}") for name in (*_SEEN, "last_seen", "last_run")}
        mine = c.number == bindparam("b_number")
        if again:
            connection.execute(update(t.breaks).where(mine).values(**values, nights=c.nights + 1), again)
        if back:
            # It was away and is there again: its age begins anew, what people said of it stays.
            fresh = {"first_seen": night.moment, "first_run": night.run_id, "nights": 1, "resolved_at": None}
            connection.execute(update(t.breaks).where(mine).values(**values, **fresh, resolved_run=""), back)
        rows = list(new.values())
        for start in range(0, len(rows), _CHUNK):
            connection.execute(insert(t.breaks), rows[start : start + _CHUNK])

    def _resolve(self, connection: Connection, night: NightRecord, judged: set[tuple[str, str]]) -> None:
        """Breaks that were looked for and not seen are resolved."""
        c = t.breaks.c
        query = select(c.number, c.control, c.company).where(c.resolved_at.is_(None), c.last_run != night.run_id)
        gone = [row.number for row in connection.execute(query) if (row.control, row.company) in judged]
        for start in range(0, len(gone), _NUMBERS):
            connection.execute(
                update(t.breaks)
                .where(c.number.in_(gone[start : start + _NUMBERS]))
                .values(resolved_at=night.moment, resolved_run=night.run_id)
            )

    # --- nights ---------------------------------------------------------------------------------------------------

    def latest(self, limit: int = 30, *, plain: bool = False) -> list[NightRecord]:
        """The latest nights, newest first.

        Args:
            limit: How many at most.
            plain: Leave out close packs.
        """
        query = select(t.nights).order_by(t.nights.c.ended_at.desc()).limit(limit)
        if plain:
            query = query.where(t.nights.c.period == "")
        with self._engine.connect() as connection:
            return [_night(row) for row in connection.execute(query)]

    def checked(self, before: datetime, limit: int) -> list[NightRecord]:
        """The latest nights that ended before a moment and checked data quality, newest first; close packs left out."""
        c, suites = t.nights.c, t.suite_results.c
        query = (
            select(t.nights)
            .where(c.period == "", c.ended_at < before, exists().where(suites.run_id == c.run_id))
            .order_by(c.ended_at.desc())
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return [_night(row) for row in connection.execute(query)]

    def night(self, run_id: str) -> NightRecord | None:
        """One night, None if unknown."""
        with self._engine.connect() as connection:
            row = connection.execute(select(t.nights).where(t.nights.c.run_id == run_id)).one_or_none()
        return _night(row) if row else None

    def results(self, run_id: str) -> list[ControlResult]:
        """What each control said in a night."""
        c = t.night_results.c
        columns = (c.control, c.company, c.state, c.breaks, c.reason)
        query = select(*columns).where(c.run_id == run_id).order_by(c.control, c.company)
        with self._engine.connect() as connection:
            return [ControlResult(*row) for row in connection.execute(query)]

    def suites(self, run_ids: Sequence[str]) -> dict[str, list[SuiteResult]]:
        """What became of the rows of each suite, by night; nights that checked none are left out."""
        c = t.suite_results.c
        query = select(t.suite_results).where(c.run_id.in_(run_ids)).order_by(c.run_id, c.suite)
        found: dict[str, list[SuiteResult]] = {}
        with self._engine.connect() as connection:
            for row in connection.execute(query):
                values = dict(row._mapping)
                found.setdefault(values.pop("run_id"), []).append(SuiteResult(**values))
        return found

    def changes(self, run_id: str) -> tuple[int, int]:
        """How many breaks a night was the first to see, and how many were gone in it."""
        c = t.breaks.c
        with self._engine.connect() as connection:
            new, gone = (
                connection.execute(select(func.count()).select_from(t.breaks).where(column == run_id)).scalar_one()
                for column in (c.first_run, c.resolved_run)
            )
        return int(new), int(gone)

    # --- breaks ---------------------------------------------------------------------------------------------------

    def breaks(
        self, chosen: BreakFilter | None = None, *, after: int = 0, limit: int | None = None
    ) -> list[BreakRecord]:
        """Breaks in the order of their numbers.

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
        """How many breaks there are."""
        query = select(func.count()).select_from(t.breaks).where(*conditions(chosen or BreakFilter()))
        with self._engine.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def grouped(self, chosen: BreakFilter, *names: str) -> dict[tuple[str, ...], int]:
        """How many breaks there are by the values of columns, such as ``control`` and ``severity``."""
        columns = [t.breaks.c[name] for name in names]
        query = select(*columns, func.count()).where(*conditions(chosen)).group_by(*columns).order_by(*columns)
        with self._engine.connect() as connection:
            return {tuple(row[:-1]): int(row[-1]) for row in connection.execute(query)}

    def one_break(self, number: int) -> BreakRecord | None:
        """A break by its number, None if there is none."""
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
        """Say who looks after a break, how far that person is, and what there is to know.

        Raises:
            SettingsError: There is no such break or status.
        """
        if status is not None and status not in STATUSES:
            raise SettingsError(f"no status '{status}'; there are {', '.join(STATUSES)}")
        given = {"status": status, "owner": owner, "comment": comment}
        values = {name: value for name, value in given.items() if value is not None}
        c = t.breaks.c
        with writing(self._engine) as connection:
            changed = connection.execute(
                update(t.breaks).where(c.number == number).values(**values, edited_by=by, edited_at=self._now())
            )
            if changed.rowcount == 0:
                raise SettingsError(f"there is no break number {number}")
        found = self.one_break(number)
        assert found is not None
        return found

    # --- sign-offs ------------------------------------------------------------------------------------------------

    def sign_offs(self, company: str | None = None) -> list[SignOff]:
        """Signed periods, oldest period first."""
        c = t.sign_offs.c
        query = select(t.sign_offs).order_by(c.company, c.period)
        if company is not None:
            query = query.where(c.company == company)
        with self._engine.connect() as connection:
            return [_sign_off(row) for row in connection.execute(query)]

    def sign(self, sign_off: SignOff) -> None:
        """Sign a period off. It stays as it is from then on.

        Raises:
            SettingsError: It is signed off already.
        """
        try:
            with writing(self._engine) as connection:
                connection.execute(insert(t.sign_offs).values(**asdict(sign_off)))
        except IntegrityError:
            raise SettingsError(f"the period {sign_off.period} of {sign_off.company} is signed off already") from None

    def review(self, company: str, period: str, by: str) -> SignOff:
        """Let a second person confirm a signed period.

        Raises:
            SettingsError: It is not signed, is reviewed already, or the same person prepared it.
        """
        c = t.sign_offs.c
        mine = and_(c.company == company, c.period == period)
        with writing(self._engine) as connection:
            row = connection.execute(select(t.sign_offs).where(mine).with_for_update()).one_or_none()
            if row is None:
                raise SettingsError(f"the period {period} of {company} is not signed off")
            if row.reviewed_by:
                raise SettingsError(f"the period {period} of {company} was reviewed by {row.reviewed_by}")
            if row.prepared_by == by:
                raise SettingsError("whoever prepared a period cannot review it too")
            connection.execute(update(t.sign_offs).where(mine).values(reviewed_by=by, reviewed_at=self._now()))
            return _sign_off(connection.execute(select(t.sign_offs).where(mine)).one())


def _born(night: NightRecord) -> dict[str, Any]:
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


def _aware(moment: datetime | None) -> datetime | None:
    # SQLite keeps no time zone; all moments are written in UTC.
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def _night(row: Row[Any]) -> NightRecord:
    values = dict(row._mapping)
    values["companies"] = tuple(json.loads(values["companies"]))
    for name in ("moment", "ended_at"):
        values[name] = _aware(values[name])
    return NightRecord(**values)


def break_record(row: Row[Any]) -> BreakRecord:
    """A row of the table of breaks as a record."""
    values = dict(row._mapping)
    values["break_class"] = values.pop("class")
    values["amount"] = None if values["amount"] is None else Decimal(values["amount"])
    for name in ("first_seen", "last_seen", "resolved_at", "edited_at"):
        values[name] = _aware(values[name])
    return BreakRecord(**values)


def _sign_off(row: Row[Any]) -> SignOff:
    values = dict(row._mapping)
    for name in ("prepared_at", "reviewed_at"):
        values[name] = _aware(values[name])
    return SignOff(**values)
