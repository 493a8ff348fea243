"""Leases: who may write a map's rows of one company."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import and_, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from dualsync.errors import LegBusy
from dualsync.ledger import tables as t
from dualsync.ledger.engine import Store, writing
from dualsync.ledger.holders import has_ended


class Leases(Store):
    """The part of the ledger about leases.

    Attributes:
        holder: The process that carries whole runs with this ledger (``holders.py``), empty where each step may be a
            process of its own; leases name it.
    """

    holder = ""

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
                held = connection.execute(select(c.run_id, c.holder).where(mine)).one_or_none()
                if held is not None and has_ended(held.holder):
                    free = free | and_(c.run_id == held.run_id, c.holder == held.holder)
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
