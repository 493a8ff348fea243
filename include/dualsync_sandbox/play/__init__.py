"""Plays working days on both systems: what people enter, approve and post, so that the integration has work to do.

The integration itself is not played: what one system needs from the other is there only after it was carried over.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING

from dualsync_sandbox.business.parameters import Parameters
from dualsync_sandbox.play.events import EVENTS
from dualsync_sandbox.play.scene import Facts, NothingToPlay, Scene

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualsync_sandbox.clock import Clock
    from dualsync_sandbox.store import Store

__all__ = ["EVENTS", "NothingToPlay", "PlaySummary", "play", "play_event"]

_OPENS, _CLOSES = time(8, 30), time(17)
_SATURDAY = 5

_ALWAYS = ("approve-time", "approve-time", "approve-time", "approve-time-reduced", "approve-material", "post-expense")
_SOMETIMES = {
    "approve-time": 0.7,
    "approve-time-increased": 0.4,
    "submit-time": 0.4,
    "approve": 0.5,
    "intercompany-time": 0.5,
    "cancel-approval": 0.35,
    "correction-journal": 0.25,
    "assign": 0.3,
    "reassign": 0.2,
    "estimate-expense": 0.35,
    "estimate-material": 0.35,
    "tie-contract": 0.15,
    "confirm-contract": 0.3,
    "use-retainer": 0.3,
    "post-vendor-invoice": 0.6,
    "hold-payment": 0.3,
    "confirm-vendor-invoice": 0.4,
    "post-packing-slip": 0.25,
    "create-subcontract": 0.35,
    "confirm-subcontract": 0.6,
    "subcontract-time": 0.6,
    "subcontract-invoice": 0.4,
    "reopen-subcontract": 0.2,
    "milestone-ready": 0.3,
    "mark-ready": 0.7,
    "create-proforma": 0.8,
    "edit-proforma": 0.35,
    "confirm-proforma": 0.85,
    "correct-invoice": 0.3,
    "credit-milestone": 0.15,
    "post-intercompany-invoice": 0.3,
}
"""What happens in a company on a day, with its probability."""
_FIRST_DAY = ("retainer",)
_EVENING = (
    "import-from-staging", "post-journal", "import-from-staging", "post-proposal", "generate-receipts", "post-receipts",
)  # fmt: skip
"""Finance's own jobs: the second import gives the proposals of what has just been posted their lines; subcontracted
work is received once it is posted."""


@dataclass(frozen=True, slots=True)
class PlaySummary:
    """What a play did.

    Attributes:
        seed: The number chance was made from.
        days: The days that were played, ISO.
        events: How often each event happened.
        left_out: How often an event found nothing to work on.
        actuals: Actuals made.
    """

    seed: int
    days: tuple[str, ...]
    events: dict[str, int]
    left_out: dict[str, int]
    actuals: int

    def as_dict(self) -> dict[str, object]:
        """Return the summary as plain values for JSON."""
        return asdict(self)


def play(
    dataverse: Store, finance: Store, clock: Clock, days: int, seed: int, *, parameters: Parameters | None = None
) -> PlaySummary:
    """Play working days in the integrated companies; the clock stands at the end of the last one afterwards.

    Mornings and days are in UTC. A play begins today while the working day lasts, else on the next one. In the evening
    Finance imports from staging, posts its journals, imports again, posts its invoice proposals and receives
    subcontracted work.

    Args:
        dataverse: The store of Dataverse.
        finance: The store of Finance.
        clock: The clock of both; it is moved, never backwards.
        days: How many working days.
        seed: The same number on the same rows gives the same days.
        parameters: What the business was installed with.

    Raises:
        ValueError: Less than one day.
    """
    if days < 1:
        raise ValueError("at least one day")
    scene = _scene(dataverse, finance, clock, seed, "days", parameters)
    played, happened, missing = [], Counter[str](), Counter[str]()
    with dataverse.reading() as tx:
        before = tx.count("msdyn_actual")
    for day in range(days):
        _morning(clock)
        played.append(scene.today)
        for code in scene.parameters.integrated_companies:
            for name in _programme(scene, first=day == 0):
                try:
                    EVENTS[name](scene, code, None)
                    happened[name] += 1
                except NothingToPlay:
                    missing[name] += 1
        _move(clock, datetime.combine(clock.now().date(), _CLOSES, clock.now().tzinfo))
        for code in scene.parameters.integrated_companies:
            for name in _EVENING:
                EVENTS[name](scene, code, None)
                happened[name] += 1
    with dataverse.reading() as tx:
        made = tx.count("msdyn_actual") - before
    return PlaySummary(seed, tuple(played), dict(sorted(happened.items())), dict(sorted(missing.items())), made)


def play_event(
    dataverse: Store,
    finance: Store,
    clock: Clock,
    name: str,
    *,
    company: str = "USPM",
    project: str | None = None,
    seed: int = 1,
    parameters: Parameters | None = None,
) -> Facts:
    """Let one event happen now.

    Args:
        dataverse: The store of Dataverse.
        finance: The store of Finance.
        clock: The clock of both.
        name: One of ``EVENTS``.
        company: Code of the company it happens in.
        project: Number of the project, one by chance where left out.
        seed: What chance is made from.
        parameters: What the business was installed with.

    Returns:
        What happened, as plain values: ids of actuals made, amounts, numbers.

    Raises:
        ValueError: There is no such event.
        NothingToPlay: What it needs is not there.
        dualsync_sandbox.errors.StoreError: The business refuses it.
    """
    if name not in EVENTS:
        raise ValueError(f"{name!r} is none of {', '.join(EVENTS)}")
    scene = _scene(dataverse, finance, clock, seed, f"{name}/{company.upper()}", parameters)
    return {"event": name, "company": company.upper(), **EVENTS[name](scene, company.upper(), project)}


def _scene(
    dataverse: Store, finance: Store, clock: Clock, seed: int, occasion: str, parameters: Parameters | None
) -> Scene:
    """Return the scene of a play; chance goes on from what is there, so that nothing is the same when played twice."""
    with dataverse.reading() as tx:
        begun = [tx.count(table) for table in ("msdyn_actual", "msdyn_timeentry", "msdyn_estimateline")]
    with finance.reading() as tx:
        begun.append(tx.count("ExpenseReports"))
    rng = random.Random(f"{seed}/{occasion}/{begun}")
    return Scene(dataverse, finance, clock, rng, f"{seed}", parameters or Parameters())


def _programme(scene: Scene, *, first: bool) -> Iterator[str]:
    yield from _ALWAYS
    if first:
        yield from _FIRST_DAY
    for name, probability in _SOMETIMES.items():
        if scene.rng.random() < probability:
            yield name
    if scene.rng.random() < 0.4:
        yield "entry-journal"


def _morning(clock: Clock) -> None:
    """Let it be a working day: go on with today while it lasts, else with the next."""
    now = clock.now()
    day = now.date()
    if now.time() >= _CLOSES:
        day += timedelta(days=1)
    while day.weekday() >= _SATURDAY:
        day += timedelta(days=1)
    _move(clock, datetime.combine(day, _OPENS, now.tzinfo))


def _move(clock: Clock, moment: datetime) -> None:
    if moment > clock.now():
        clock.set(moment, frozen=clock.frozen)
