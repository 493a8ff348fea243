"""Settled worlds to reconcile: much has happened in them, all of it was carried over and accounted for.

Loaded as a plugin by the outermost conftest.py, beside worlds.py and cycles.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from dualsync_sandbox.play import NothingToPlay
from support.cycles import ACTUALS, SINCE, Cycle
from support.kept import kept
from support.worlds import World, copied

COMPANIES = ("USPM", "GBPM")
PURCHASES = (
    *("subcontracts", "subcontract_lines", "subcontracts_trigger"),
    *("vendor_invoices_v2", "vendor_invoice_lines", "vendor_invoices_v2_trigger"),
)
INVOICES = (
    *("milestones", "invoice_proposals", "actuals_billed", "customer_invoices"),
    "transaction_relationships_billed",
)

_FIRST = (
    *("retainer", *("post-vendor-invoice",) * 4, "create-subcontract", "confirm-subcontract"),
    *("create-subcontract", "confirm-subcontract") * 2,
    *("approve-time",) * 20,
    *(
        "approve-time-reduced",
        "approve-material",
        "approve-material",
        "cancel-approval",
        "cancel-approval",
        "intercompany-time",
        "intercompany-time",
        "intercompany-time",
    ),
    *(
        "entry-journal",
        "post-expense",
        *("post-expense",) * 3,
        "post-packing-slip",
        "post-packing-slip",
        "use-retainer",
    ),
)
_THEN = (
    *("subcontract-time", "subcontract-time", *("confirm-vendor-invoice",) * 4, "milestone-ready"),
    *("mark-ready", "create-proforma", "confirm-proforma") * 4,
    "post-intercompany-invoice",
    # after the last invoice: the sales of these stay unbilled
    *("approve-time",) * 8,
)
_EVENING = ("import-from-staging", "post-journal")
_RECEIPTS = ("generate-receipts", "post-receipts")


def settle(world: World, companies: Sequence[str], times: int = 1) -> None:
    """Let everything happen that a control looks at, and carry it over until nothing is left to do.

    Args:
        world: a synchronised world.
        companies: where it happens.
        times: how often.
    """
    cycle = Cycle(world)

    def happen(*events: str) -> None:
        for seed in range(times):
            for place, name in enumerate(events):
                for company in companies:
                    with suppress(NothingToPlay):
                        world.sandbox.play_event(name, company=company, seed=100 * seed + place)

    def evening() -> None:
        for company in companies:
            for name in (*_EVENING, *_EVENING[:1], "post-proposal", *_RECEIPTS):
                world.sandbox.play_event(name, company=company)

    happen(*_FIRST)
    cycle.sync("expense_categories", "expenses", *PURCHASES, *ACTUALS)
    evening()
    cycle.sync(*ACTUALS)
    happen(*_THEN)
    cycle.sync(*PURCHASES, *ACTUALS, *INVOICES)
    evening()
    cycle.sync(*PURCHASES, *ACTUALS, *INVOICES)
    evening()
    cycle.sync(*PURCHASES, *ACTUALS, *INVOICES)
    assert world.open_rows() == []
    world.sandbox.clock.advance(timedelta(hours=30))


@pytest.fixture(scope="session")
def _settled(_cycled: Path) -> Path:
    """A settled world, not running."""
    return kept("settled", partial(_settle, _cycled))


def _settle(cycled: Path, home: Path) -> None:
    for world in copied(cycled, home):
        _at_home(world)
        settle(world, COMPANIES)


def _at_home(world: World) -> None:
    """The world has two companies, and their cut-over."""
    world.settings = world.settings.model_copy(update={"companies": COMPANIES})
    Cycle(world).cut_over(SINCE, *COMPANIES)


@pytest.fixture
def evening(_settled: Path, tmp_path: Path) -> Iterator[World]:
    """A settled world of a test's own, when everything has been quiet for more than a day."""
    for world in copied(_settled, tmp_path / "home"):
        world.sandbox.clock.advance(timedelta(hours=30))
        _at_home(world)
        yield world
