"""What a query reads, and what of it the systems lack.

DuckDB itself is asked what a query reads, over extracts without rows: so no list of needs can be wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from os import getpid
from threading import Lock

import duckdb

from dualsync.controls.extracts import CompanyOf, Extract, extracts
from dualsync.frames import Sets
from dualsync.mapping import Schema
from dualsync.nightly.night import NightRuntime
from dualsync.nightly.views import Words, define_words, empty_table, with_parents

_LOCK = Lock()
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def reads(*queries: str) -> tuple[str, ...]:
    """Return the names of the extracts that queries read, in the order in which they are declared.

    Args:
        *queries: The queries.

    Raises:
        duckdb.Error: One reads what is no extract, or a column that an extract does not have.
    """
    named = {name for sql in queries for name in _read_by(sql)}
    return tuple(name for name in extracts() if name in named)


@cache
def _read_by(sql: str) -> tuple[str, ...]:
    with _LOCK:
        _sets(getpid()).columns_of(sql)
        return tuple(name for name in extracts() if _fails_without(sql, name))


@cache
def uses(sql: str, extract: str, column: str) -> bool:
    """Return whether a query uses a column of an extract: whether it could not be asked without it.

    Args:
        sql: The query.
        extract: Name of an extract that it reads.
        column: Name of the column, as queries know it.
    """
    with _LOCK:
        return _fails_without(sql, extract, column)


def lacking(night: NightRuntime, *queries: str) -> str:
    """Return why queries cannot be asked tonight, empty where all can: then nothing may be said to agree.

    A column that a system lacks costs only the queries that use it.

    Args:
        night: The night.
        *queries: The queries.
    """
    reasons: list[str] = []
    for name in with_parents(reads(*queries)):
        extract = extracts()[name]
        read = night.read(extract.side, extract.place)
        if read is None:
            reasons.append(f"{extract.title} ({extract.place}) were not read")
        elif read.absent:
            reasons.append(f"{extract.title}: {read.absent}")
        elif missing := _missing(extract, read.missing, queries):
            reasons.append(f"{extract.title}: {extract.side} {extract.place} has no column {', '.join(missing)}")
    return "; ".join(reasons)


def _missing(extract: Extract, missing: Iterable[str], queries: Iterable[str]) -> list[str]:
    """The columns that the system lacks and the queries cannot do without, as the system would spell them."""
    lost = set(missing)
    keys = {*extract.key, *([extract.company.by] if isinstance(extract.company, CompanyOf) else ())}
    needed = lost & keys
    for name, wanted in extract.columns.items():
        if wanted.column in lost and any(uses(sql, extract.extract, name) for sql in queries):
            needed.add(wanted.column)
    return sorted(needed)


@cache
def _sets(_process: int) -> Sets:
    """Every extract without rows, of a process of its own: no connection outlives a fork."""
    sets = Sets()
    define_words(sets, Words(_EPOCH, timedelta(), _EPOCH.date(), {}))
    for name, extract in extracts().items():
        sets.table(name, empty_table(extract, _schema()))
    return sets


@cache
def _schema() -> Schema:
    return Schema.load()


def _fails_without(sql: str, extract: str, column: str = "") -> bool:
    """Whether a query cannot be bound without an extract, or without a column of it."""
    if not re.search(rf"\b{column or extract}\b", sql):
        return False
    sets, declared = _sets(getpid()), extracts()[extract]
    if column:
        sets.table(extract, empty_table(declared, _schema(), without=column))
    else:
        sets.connection.unregister(extract)
    try:
        sets.columns_of(sql)
    except duckdb.Error:
        return True
    finally:
        sets.table(extract, empty_table(declared, _schema()))
    return False
