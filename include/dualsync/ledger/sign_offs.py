"""Signed-off periods."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import and_, insert, select, update
from sqlalchemy.exc import IntegrityError

from dualsync.errors import SignOffError
from dualsync.ledger import tables as t
from dualsync.ledger.engine import Store, writing
from dualsync.ledger.records import SignOff


class SignOffs(Store):
    """The part of the ledger about periods that were signed off."""

    def sign_offs(self, company: str | None = None) -> list[SignOff]:
        """Signed periods, oldest period first."""
        c = t.sign_offs.c
        query = select(t.sign_offs).order_by(c.company, c.period)
        if company is not None:
            query = query.where(c.company == company)
        with self._engine.connect() as connection:
            return [SignOff(**row._mapping) for row in connection.execute(query)]

    def sign(self, sign_off: SignOff) -> None:
        """Sign a period off. It stays as it is from then on.

        Raises:
            SignOffError: It is signed off already.
        """
        try:
            with writing(self._engine) as connection:
                connection.execute(insert(t.sign_offs).values(**asdict(sign_off)))
        except IntegrityError:
            raise SignOffError(f"the period {sign_off.period} of {sign_off.company} is signed off already") from None

    def review(self, company: str, period: str, by: str) -> SignOff:
        """Let a second person confirm a signed period.

        Raises:
            SignOffError: It is not signed, is reviewed already, or the same person prepared it.
        """
        c = t.sign_offs.c
        mine = and_(c.company == company, c.period == period)
        with writing(self._engine) as connection:
            row = connection.execute(select(t.sign_offs).where(mine).with_for_update()).one_or_none()
            if row is None:
                raise SignOffError(f"the period {period} of {company} is not signed off")
            if row.reviewed_by:
                raise SignOffError(f"the period {period} of {company} was reviewed by {row.reviewed_by}")
            if row.prepared_by == by:
                raise SignOffError("whoever prepared a period cannot review it too")
            connection.execute(update(t.sign_offs).where(mine).values(reviewed_by=by, reviewed_at=self._now()))
            return SignOff(**connection.execute(select(t.sign_offs).where(mine)).one()._mapping)
