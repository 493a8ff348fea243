"""The part of the ledger that the nightly reconciliation writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import delete, exists, insert, select

from dualsync.ledger import tables as t
from dualsync.ledger.breaks import Breaks, Judged, save_breaks
from dualsync.ledger.engine import writing
from dualsync.ledger.records import ControlResult, NightRecord, SuiteResult
from dualsync.ledger.sign_offs import SignOffs


class Nights(Breaks, SignOffs):
    """Reconciliations, exceptions and sign-offs of a ledger; get it from :attr:`dualsync.ledger.Ledger.nights`.

    Args:
        engine: The ledger's database.
        now: The clock.
    """

    def record(
        self,
        night: NightRecord,
        results: Sequence[ControlResult],
        breaks: Iterable[Sequence[Mapping[str, Any]]],
        suites: Sequence[SuiteResult] = (),
        judged: Judged | None = None,
    ) -> None:
        """Write a reconciliation down in one transaction: its results, the exceptions it saw, and those that are gone.

        What a control did not look at, because it was not run, failed, or was for other companies, stays as it was. A
        reconciliation that is written down again replaces what it said before.

        Args:
            night: The reconciliation.
            results: One for each control or map and company that was to be looked at.
            breaks: Its exceptions in pieces, each a sequence of rows in the shape of the controls' exceptions.
            suites: One for each suite whose rows were to be checked.
            judged: What was looked at; by default the controls and maps that agree or have exceptions.
        """
        if judged is None:
            tested = (result for result in results if result.state in ("equal", "breaks"))
            judged = Judged(frozenset((result.control, result.company) for result in tested))
        with writing(self._engine) as connection:
            connection.execute(delete(t.nights).where(t.nights.c.run_id == night.run_id))
            connection.execute(delete(t.night_results).where(t.night_results.c.run_id == night.run_id))
            connection.execute(insert(t.nights).values(**asdict(night)))
            if results:
                rows = [{"run_id": night.run_id, **asdict(result)} for result in results]
                connection.execute(insert(t.night_results), rows)
            connection.execute(delete(t.suite_results).where(t.suite_results.c.run_id == night.run_id))
            if suites:
                connection.execute(
                    insert(t.suite_results), [{"run_id": night.run_id, **asdict(suite)} for suite in suites]
                )
            save_breaks(connection, night, breaks, judged)

    def latest(self, limit: int = 30, *, plain: bool = False) -> list[NightRecord]:
        """The latest reconciliations, newest first.

        Args:
            limit: How many at most.
            plain: Leave out close packages.
        """
        query = select(t.nights).order_by(t.nights.c.ended_at.desc()).limit(limit)
        if plain:
            query = query.where(t.nights.c.period == "")
        with self._engine.connect() as connection:
            return [NightRecord(**row._mapping) for row in connection.execute(query)]

    def checked(self, before: datetime, limit: int) -> list[NightRecord]:
        """The latest reconciliations that ended before a moment and checked data quality, newest first.

        Close packages are left out.
        """
        c, suites = t.nights.c, t.suite_results.c
        query = (
            select(t.nights)
            .where(c.period == "", c.ended_at < before, exists().where(suites.run_id == c.run_id))
            .order_by(c.ended_at.desc())
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return [NightRecord(**row._mapping) for row in connection.execute(query)]

    def night(self, run_id: str) -> NightRecord | None:
        """One reconciliation, None if unknown."""
        with self._engine.connect() as connection:
            row = connection.execute(select(t.nights).where(t.nights.c.run_id == run_id)).one_or_none()
        return NightRecord(**row._mapping) if row else None

    def results(self, run_id: str) -> list[ControlResult]:
        """What each control said in a reconciliation."""
        c = t.night_results.c
        columns = (c.control, c.company, c.state, c.breaks, c.reason)
        query = select(*columns).where(c.run_id == run_id).order_by(c.control, c.company)
        with self._engine.connect() as connection:
            return [ControlResult(*row) for row in connection.execute(query)]

    def suites(self, run_ids: Sequence[str]) -> dict[str, list[SuiteResult]]:
        """What became of the rows of each suite, by reconciliation; reconciliations that checked none are left out."""
        c = t.suite_results.c
        query = select(t.suite_results).where(c.run_id.in_(run_ids)).order_by(c.run_id, c.suite)
        suites_of: dict[str, list[SuiteResult]] = {}
        with self._engine.connect() as connection:
            for row in connection.execute(query):
                values = dict(row._mapping)
                suites_of.setdefault(values.pop("run_id"), []).append(SuiteResult(**values))
        return suites_of
