"""What a run is asked to do is checked when it is made, and is stored in a form that every release reads."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from dualsync.errors import MapErrors, RequestError, UnknownVersion
from dualsync.sync.legs.leg import RunRef
from dualsync.sync.legs.markers import FORMAT
from dualsync.sync.legs.spec import All, Approved, Keys, Normal, Resend, RowRef, Rows, RunSpec

ROW = RowRef("projects", "to_finance", "USPM", key="P-1")

EARLIER: dict[str, Any] = {
    "run_id": "20261130T000000-setup-1a2b3c",
    "area": "setup_configuration",
    "mode": "incremental",
    "dry_run": False,
    "folder": "/runs/20261130T000000-setup-1a2b3c",
    "companies": ["USPM", "GBPM"],
    "maps": ["customers_v3", "projects"],
    "keys": {},
    "guards": True,
    "rows": [],
    "resend": False,
    "approved": "",
    "by": "",
}
"""``run.json`` as the release before wrote it."""

STORED_ROW = {
    "map": "projects",
    "direction": "to_finance",
    "company": "USPM",
    "key": "P-1",
    "record_id": None,
    "part": "rows",
}


def run(**words: Any) -> RunRef:
    return RunRef.from_dict({**EARLIER, **words})


def test_a_run_of_the_release_before_is_read() -> None:
    found = run()
    assert (found.run_id, found.area, found.mode, found.dry_run) == (
        EARLIER["run_id"],
        "setup_configuration",
        "incremental",
        False,
    )
    assert (found.companies, found.maps, found.guards) == (("USPM", "GBPM"), ("customers_v3", "projects"), True)
    assert found.spec.selection == All()
    assert not found.partial
    assert found.writes


@pytest.mark.parametrize(
    ("words", "selection", "policy"),
    [
        ({"keys": {"projects": ["P-1"]}}, Keys({"projects": ["P-1"]}), Normal()),
        ({"rows": [STORED_ROW]}, Rows((ROW,)), Normal()),
        ({"resend": True}, All(), Resend()),
        ({"rows": [STORED_ROW], "approved": "held"}, Rows((ROW,)), Approved("held")),
        ({"rows": [STORED_ROW], "resend": True}, Rows((ROW,)), Resend()),
        ({"rows": [STORED_ROW], "resend": True, "approved": "dry"}, Rows((ROW,)), Resend("dry")),
    ],
)
def test_what_it_was_asked_to_do_is_read(words: dict[str, Any], selection: Any, policy: Any) -> None:
    found = run(**words)
    assert (found.spec.selection, found.spec.policy) == (selection, policy)
    assert found.partial == (selection != All())
    assert (found.resend, found.approved) == (words.get("resend", False), words.get("approved", ""))


@pytest.mark.parametrize("words", [{}, {"keys": {"projects": ["P-1"]}}, {"rows": [STORED_ROW], "resend": True}])
def test_a_run_comes_back_as_it_was_stored(words: dict[str, Any]) -> None:
    found = run(**words)
    stored = msgspec.json.decode(msgspec.json.encode(found.to_dict()))
    assert stored["version"] == FORMAT.version
    assert RunRef.from_dict(stored) == found


def test_a_stored_run_keeps_the_words_of_the_release_before() -> None:
    stored = run().to_dict()
    stored.pop("version")
    assert msgspec.json.decode(msgspec.json.encode(stored)) == EARLIER


@pytest.mark.parametrize("words", [{"version": FORMAT.version + 1}, {"maps": None}])
def test_a_run_of_another_release_is_refused_in_words(words: dict[str, Any]) -> None:
    with pytest.raises(UnknownVersion, match="start a new run"):
        run(**words)


def test_a_word_that_a_later_release_added_does_no_harm() -> None:
    assert run(colour="blue") == run()


def test_a_run_of_chosen_rows_has_only_their_transfers() -> None:
    found = run(rows=[STORED_ROW])
    assert found.covers("projects", "to_finance", "USPM")
    assert not found.covers("projects", "to_finance", "GBPM")
    assert not found.covers("projects", "to_finance", "USPM", "deletes")
    assert found.rows_of("projects", "to_finance", "USPM", "rows") == (ROW,)


def test_guards_do_not_look_at_chosen_rows() -> None:
    assert RunSpec("replay", Rows((ROW,))).guards is False
    assert RunSpec("setup").guards is True


def test_an_audit_writes_nothing() -> None:
    assert not run(mode="audit").writes
    assert not run(dry_run=True).writes


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(MapErrors, match=r"no mode 'ful'.*full"):
        RunSpec("setup", mode="ful")


@pytest.mark.parametrize("words", [{"selection": Rows(())}, {"policy": Resend("dry")}, {"policy": Approved("dry")}])
def test_what_does_not_go_together_is_refused(words: dict[str, Any]) -> None:
    with pytest.raises(RequestError):
        RunSpec("setup", **words)


def test_companies_and_maps_come_in_one_form() -> None:
    assert RunSpec("setup", companies=["USPM"], maps=["projects"]) == RunSpec(
        "setup", companies=("USPM",), maps=("projects",)
    )
