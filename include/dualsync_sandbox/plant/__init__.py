"""Plants known exceptions by editing the raw stores of both systems, and as many look-alikes that are none.

It knows the rules and the business, and nothing of how they are checked: what it hands out is what must be found, under
which rule and class, and what must not be reported.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from dualsync_sandbox.business.parameters import Parameters
from dualsync_sandbox.plant import actuals, expenses, invoices, masters, purchases, records
from dualsync_sandbox.plant.ground import Ground, NothingToPlantOn, Planted

if TYPE_CHECKING:
    from dualsync_sandbox.store import Store

__all__ = ["BREAKS", "LOOK_ALIKES", "PlantSummary", "Planted", "plant"]

Kind = Callable[[Ground], Planted]

_MODULES = (actuals, masters, expenses, invoices, purchases, records)
BREAKS: tuple[Kind, ...] = tuple(kind for module in _MODULES for kind in module.BREAKS)
"""Every way to break something."""
LOOK_ALIKES: tuple[Kind, ...] = tuple(kind for module in _MODULES for kind in module.LOOK_ALIKES)
"""Every way to look as if something were broken."""


@dataclass(frozen=True, slots=True)
class PlantSummary:
    """What was planted.

    Attributes:
        seed: The number chance was made from.
        breaks: What must be found.
        look_alikes: What must not be reported.
        left_out: Kinds that found nothing to work on.
    """

    seed: int
    breaks: tuple[Planted, ...]
    look_alikes: tuple[Planted, ...]
    left_out: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """Return the summary as plain values for JSON."""
        return asdict(self)


def plant(
    dataverse: Store, finance: Store, breaks: int, seed: int, *, parameters: Parameters | None = None
) -> PlantSummary:
    """Plant exceptions and as many look-alikes.

    Args:
        dataverse: The store of Dataverse.
        finance: The store of Finance.
        breaks: How many exceptions; every kind comes once before one comes twice.
        seed: The same number on the same rows plants the same.
        parameters: What the business was installed with.

    Raises:
        ValueError: Less than one exception.
    """
    if breaks < 1:
        raise ValueError("at least one break")
    companies = (parameters or Parameters()).integrated_companies
    rng = random.Random(seed)
    with dataverse.transaction() as here, finance.transaction() as there:
        ground = Ground(here, there, rng, companies)
        missing: list[str] = []
        made = _sow(ground, BREAKS, breaks, missing)
        look_alikes = _sow(ground, LOOK_ALIKES, breaks, missing, shared=True)
    return PlantSummary(seed, tuple(made), tuple(look_alikes), tuple(missing))


def _sow(
    ground: Ground, kinds: Sequence[Kind], number: int, missing: list[str], *, shared: bool = False
) -> list[Planted]:
    """Plant kind after kind in an order by chance, again and again, until there are enough or none is possible.

    Args:
        ground: What they stand on.
        kinds: The kinds.
        number: How many.
        missing: Takes the names of kinds that found nothing.
        shared: Whether two may touch the same records, if no earlier ones did.
    """
    order = ground.rng.sample(list(kinds), len(kinds))
    before = set(ground.taken)
    made: list[Planted] = []
    while len(made) < number and order:
        for kind in list(order):
            if len(made) == number:
                break
            if shared:
                ground.taken = set(before)
            try:
                made.append(kind(ground))
            except NothingToPlantOn:
                missing.append(kind.__name__)
                order.remove(kind)
    return made
