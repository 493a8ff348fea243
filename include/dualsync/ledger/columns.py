"""Column types of the ledger: what SQLite and PostgreSQL keep as text or without a zone, as Python has it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

from sqlalchemy import DateTime, Dialect, String, Text, TypeDecorator


class Moment(TypeDecorator[datetime]):
    """A moment, in UTC. SQLite keeps no zone, so all are written in UTC and read as such."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """What is written: the moment in UTC."""
        return value.astimezone(UTC) if value is not None and value.tzinfo is not None else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """What is read: the moment, which knows its zone."""
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


class Names(TypeDecorator[tuple[str, ...]]):
    """Several names, kept as JSON."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Sequence[str] | None, dialect: Dialect) -> str | None:
        """What is written: a JSON list."""
        return None if value is None else json.dumps(list(value))

    def process_result_value(self, value: str | None, dialect: Dialect) -> tuple[str, ...] | None:
        """What is read: the names."""
        return None if value is None else tuple(json.loads(value))


class Exact(TypeDecorator[Decimal]):
    """An amount with all its digits, kept as text: SQLite would make a float of it."""

    impl = String(60)
    cache_ok = True

    def process_bind_param(self, value: Decimal | str | None, dialect: Dialect) -> str | None:
        """What is written: the digits, without an exponent."""
        return None if value is None else format(Decimal(value), "f")

    def process_result_value(self, value: str | None, dialect: Dialect) -> Decimal | None:
        """What is read: the exact number."""
        return None if value is None else Decimal(value)
