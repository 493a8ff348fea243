"""The areas of transactions on the command line."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from support.commands import dualsync

if TYPE_CHECKING:
    from support.worlds import World

pytestmark = pytest.mark.slow


def sync(world: World, *words: str, process: bool = False) -> Counter[tuple[str, str]]:
    """Rows that ``dualsync sync`` wrote (or would, in a dry run), by map and action; everything must settle."""
    settings: dict[str, Any] = {"COMPANIES": "USPM", "CUTOVER__USPM": "2025-01-01"}
    told = json.loads(dualsync(world, "sync", *words, "--json", process=process, **settings).out)
    assert told["state"] in ("settled", "dry_run")
    written = Counter[tuple[str, str]]()
    for leg in told["legs"]:
        for action in ("created", "updated"):
            written[leg["map"], action] += leg[action]
    return +written


def test_each_area_and_all_of_them(synced: World) -> None:
    synced.sandbox.play(1, 1)
    planned = sync(synced, "estimates_actuals", "--dry-run", process=True)
    assert planned["actuals", "created"] > 0
    assert synced.finance_api.rows("ProjActualsImports") == []

    expenses = sync(synced, "expense_management")
    mine = "ReferenceDataAreaId eq 'uspm'"
    assert expenses["expenses", "created"] == len(synced.finance_api.rows("ProjExpensesExport", mine)) > 0
    assert {name for name, _ in expenses} <= {"expense_categories", "expenses", "transaction_categories"}
    actuals = sync(synced, "estimates_actuals")
    assert actuals["actuals", "created"] == len(synced.finance_api.rows("ProjActualsImports")) > 10
    assert {"hour_estimates", "expense_estimates", "transaction_relationships"} <= {name for name, _ in actuals}

    synced.sandbox.play_event("import-from-staging", company="USPM")
    synced.sandbox.play_event("post-journal", company="USPM")
    everything = sync(synced, "all")
    assert everything["actuals", "updated"] == actuals["actuals", "created"]
    assert {"invoice_proposals", "subcontract_lines", "vendor_invoice_lines"} <= {name for name, _ in everything}
