"""Running again writes nothing, and the first run leaves nothing open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.worlds import World

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def companies() -> None:
    """All of them."""


def test_running_again_writes_nothing(synced: World) -> None:
    for mode in ("incremental", "incremental", "full"):
        summary = synced.sync(mode=mode)
        assert summary.state == "settled"
        assert (summary.counts.created, summary.counts.updated, summary.counts.deleted) == (0, 0, 0), mode
    assert synced.writes() == []
    assert synced.open_rows() == []
