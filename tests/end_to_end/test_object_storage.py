"""Run folders and bases lie on any storage that fsspec knows; the steps never notice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from upath import UPath

if TYPE_CHECKING:
    from support.worlds import World

MAPS = ["currencies", "legal_entities", "payment_terms", "resource_roles"]


def test_a_run_on_object_storage_settles_and_is_quiet_afterwards(seeded: World) -> None:
    seeded.settings = seeded.settings.model_copy(update={"runs_url": "memory://runs", "state_url": "memory://state"})
    first = seeded.sync(maps=MAPS)
    assert first.state == "settled"
    assert first.counts.created > 0
    assert UPath(f"memory://runs/{first.run_id}/run.json").exists()
    with seeded.runtime() as runtime:
        base = runtime.ledger.base("resource_roles", "_global")
    assert base is not None
    assert base.path.startswith("memory://state")
    assert not (seeded.home / ".dualsync" / "runs").exists()

    again = seeded.sync(maps=MAPS)
    assert again.state == "settled"
    assert again.counts.written == 0
