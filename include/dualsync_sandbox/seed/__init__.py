"""Fills both systems with a believable company, the same one for the same seed.

Finance gets everything it is the master of, Dataverse what its users entered before the first synchronisation. Nothing
of what the integration does is anticipated; what the systems' own logic would have made of the rows is made by the
functions of ``dualsync_sandbox.business``.
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from dualsync_sandbox.business.parameters import Parameters
from dualsync_sandbox.seed import dataverse as dataverse_rows
from dualsync_sandbox.seed import finance as finance_rows
from dualsync_sandbox.seed import masters
from dualsync_sandbox.seed.companies import COMPANIES, INTEGRATED
from dualsync_sandbox.seed.engagements import TABLES, CompanyBooks
from dualsync_sandbox.seed.estimates import Planner
from dualsync_sandbox.seed.ids import Ids, Numbers
from dualsync_sandbox.seed.profile import ProfileName, Volume

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualsync_sandbox.store import Row, Store

__all__ = ["SeedSummary", "seed"]

_BATCH = 10_000
"""Rows held in memory before they are written."""

_PLACES = {table: place for place, table in enumerate(TABLES, start=1_000)}
"""The tables of engagements come after all master data."""

_ENTERED = "2026-01-02T09:00:00Z"
"""When Dataverse says its seeded rows were made: a fixed moment, so that equal seeds give equal rows."""


@dataclass(frozen=True, slots=True)
class SeedSummary:
    """What was written: rows per table (Dataverse) and per entity set (Finance)."""

    profile: str
    seed: int
    dataverse: dict[str, int]
    finance: dict[str, int]

    def as_dict(self) -> dict[str, object]:
        """Return the summary as plain values for JSON."""
        return asdict(self)


def seed(dataverse: Store, finance: Store, profile: ProfileName, seed: int, projects: int | None = None) -> SeedSummary:
    """Write a believable company into two empty stores.

    Args:
        dataverse: The store of Project Operations on Dataverse.
        finance: The store of Dynamics 365 Finance.
        profile: How much: ``demo`` (40 projects), ``small`` (1,000) or ``large`` (100,000).
        seed: The same number gives the same rows.
        projects: Another number of projects, in all four companies together; everything else follows from it.

    Returns:
        The rows written, by table.

    Raises:
        ValueError: The profile is unknown or the number of projects too small.
        dualsync_sandbox.errors.DuplicateId: The stores were seeded before.
    """
    volume = Volume.of(profile, projects)
    rng = random.Random(seed)
    ids = Ids(seed)
    data = masters.make(volume, rng)
    in_finance = _write(finance, finance_rows.rows(data, ids, Parameters()))
    entered = {"createdon": _ENTERED, "modifiedon": _ENTERED}
    in_dataverse = _write(dataverse, ((table, row | entered) for table, row in _dataverse(data, ids, volume, rng)))
    return SeedSummary(profile, seed, in_dataverse, in_finance)


def _dataverse(data: masters.Masters, ids: Ids, volume: Volume, rng: random.Random) -> Iterator[tuple[str, Row]]:
    yield from dataverse_rows.rows(data, ids)
    numbers, managers = Numbers(ids), dataverse_rows.managers(data, ids)
    chance = random.Random(ids("plans", "chance"))
    for place, company in enumerate(COMPANIES):
        accounts = dataverse_rows.contract_parties(company, data, ids, persons=False)
        contacts = dataverse_rows.contract_parties(company, data, ids, persons=True)
        planner = Planner(company, numbers, chance, dataverse_rows.resources(company, data, ids))
        books = CompanyBooks(company, numbers, rng, accounts, contacts, managers, planner)
        yield from books.rows(volume.projects_of(place, len(INTEGRATED)))


def _write(store: Store, rows: Iterator[tuple[str, Row]]) -> dict[str, int]:
    """Write rows in batches, each a transaction. Within a batch a table comes before those that refer to it.

    Master data first comes in that order; the tables of engagements follow in their own.
    """
    places: dict[str, int] = {}
    written: dict[str, int] = defaultdict(int)
    batch: dict[str, list[Row]] = defaultdict(list)
    held = 0
    for table, row in rows:
        places.setdefault(table, _PLACES.get(table, len(places)))
        batch[table].append(row)
        held += 1
        if held == _BATCH:
            _flush(store, batch, places, written)
            held = 0
    _flush(store, batch, places, written)
    return dict(written)


def _flush(store: Store, batch: dict[str, list[Row]], places: dict[str, int], written: dict[str, int]) -> None:
    with store.transaction() as tx:
        for table in sorted(batch, key=places.__getitem__):
            written[table] += tx.insert_many(table, batch[table], hooks=False)
    batch.clear()
