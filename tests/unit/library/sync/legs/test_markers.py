"""Markers: what steps leave behind is read in the form of the release before, and refused in words otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from upath import UPath

from dualsync.errors import UnknownVersion
from dualsync.sync.legs.folders import LegFolder, write_json
from dualsync.sync.legs.markers import (
    FORMAT,
    Ack,
    Batch,
    Extracted,
    Loaded,
    LookupAck,
    Marker,
    Reconciled,
    Sending,
    Settled,
    Stopped,
    Validated,
)

EARLIER: dict[str, tuple[type[Marker], dict[str, Any]]] = {
    "extract": (
        Extracted,
        {
            "generation": 2,
            "base": "/state/projects/USPM/00000002-a.parquet",
            "token": "919042!08/22/2026",
            "full": False,
            "rows": 3,
            "target_rows": 3,
            "missing": {"dataverse": ["msdyn_a"], "finance": []},
        },
    ),
    "reconcile": (Reconciled, {"generation": 2, "actions": {"update": 2, "conflict": 1}, "planned": 3}),
    "validate": (
        Validated,
        {
            "checked": 2,
            "failures": {"critical": 1, "warning": 0},
            "broken": {"projects.dates": 1},
            "not_run": {"projects.periods": "Finance has no set FiscalPeriods"},
            "suite": "0f3a",
        },
    ),
    "sending": (Sending, {"generation": 2, "batch_rows": 100}),
    "load": (Loaded, {"batches": 1, "rows": 2}),
    "settle": (Settled, {"state": "settled", "counts": {"planned": 3, "updated": 2}, "message": ""}),
    "stopped": (Stopped, {"step": "load", "state": "failed", "message": "load: the line is down"}),
}
"""Each marker as the release before wrote it: without a version."""

ACK = {"pos": 0, "join_key": "p-1", "action": "create", "status": "ok", "id": "a", "rule": "", "reason": ""}


@pytest.fixture
def folder(tmp_path: Path) -> LegFolder:
    return LegFolder(UPath(tmp_path) / "USPM", 1)


@pytest.mark.parametrize("name", EARLIER)
def test_a_marker_of_the_release_before_is_read(folder: LegFolder, name: str) -> None:
    kind, content = EARLIER[name]
    write_json(folder.file(f"{name}.json"), content)

    marker = folder.done(kind)

    assert marker is not None
    read = marker.content()
    assert read.pop("version") == FORMAT.version
    assert {key: value for key, value in read.items() if key in content} == content


@pytest.mark.parametrize("name", EARLIER)
def test_a_marker_comes_back_as_it_was_written(folder: LegFolder, name: str) -> None:
    kind, content = EARLIER[name]
    marker = kind(**content)
    assert folder.done(kind) is None

    folder.finish(marker)

    assert folder.is_done(name)
    assert folder.done(kind) == marker
    folder.forget(kind)
    assert folder.done(kind) is None


def test_a_transfer_that_a_guard_stopped_says_so(folder: LegFolder) -> None:
    write_json(folder.file("load.json"), {"batches": 0, "rows": 0, "state": "held", "message": "too much"})
    assert folder.done(Loaded) == Loaded(batches=0, rows=0, state="held", message="too much")


def test_a_marker_of_a_later_release_is_refused(folder: LegFolder) -> None:
    write_json(folder.file("load.json"), {"version": FORMAT.version + 1, "batches": 1, "rows": 2})
    with pytest.raises(UnknownVersion, match=r"load\.json: .* a later release of dualsync \(version 3"):
        folder.done(Loaded)


@pytest.mark.parametrize(
    "content",
    [{"batches": 1}, {"batches": "many", "rows": 2}, {"batches": 1, "rows": 2, "version": "new"}],
    ids=["a field is missing", "a field is of another type", "no number of a version"],
)
def test_a_marker_that_is_something_else_is_refused(folder: LegFolder, content: dict[str, Any]) -> None:
    write_json(folder.file("load.json"), content)
    with pytest.raises(UnknownVersion, match=r"load\.json .*start a new run"):
        folder.done(Loaded)


def test_acknowledgements_of_the_release_before_are_read(folder: LegFolder) -> None:
    lookup = {**ACK, "column": "parentid", "id": None, "status": "waiting"}
    write_json(folder.file("sent/00001.json"), {"rows": [ACK]})
    write_json(folder.file("sent/00002.json"), {"rows": [], "deferred": [lookup]})

    first, second = folder.acknowledged()

    assert first.rows == [Ack(pos=0, join_key="p-1", action="create", id="a")]
    assert second.deferred == [
        LookupAck(pos=0, join_key="p-1", action="create", status="waiting", id=None, column="parentid")
    ]


def test_acknowledgements_of_a_whole_batch_replace_those_of_a_part(folder: LegFolder) -> None:
    acks = [Ack(pos=0, join_key="p-1", action="create"), Ack(pos=1, join_key="p-2", action="create")]
    folder.acknowledge_partly(1, acks[:1])
    assert folder.sent_partly(1) == acks[:1]
    assert folder.sent(1) is None

    folder.acknowledge(1, Batch(rows=acks))

    assert folder.sent(1) == Batch(rows=acks)
    assert folder.sent_partly(1) == []


def test_something_may_have_been_sent_once_it_is_said(folder: LegFolder) -> None:
    assert not folder.anything_sent
    folder.finish(Sending(generation=0, batch_rows=10))
    assert folder.anything_sent
