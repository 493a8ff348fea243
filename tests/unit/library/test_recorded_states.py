"""States that an earlier version left behind: today's code reads each of them, or says in words why it does not.

``tests/recorded/record_states.py`` says how they came about, and ``tests/recorded/reading.py`` is where the code that
reads them is called. Runs that go on are in ``tests/faults/test_recorded_states_resumed.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from recorded.reading import READ, read_all
from recorded.states import Archive, read_archive

ENDED = ("whole", "dry run", "held by guards", "replay", "night")
BROKEN_OFF = (
    *("extract: changes read, not marked", "extract: done, not marked", "extract: marked"),
    *("reconcile: done, not marked", "reconcile: marked", "validate: done, not marked", "validate: marked"),
    *("load: before the first request", "load: a row sent, not acknowledged", "load: a batch sent, not acknowledged"),
    *("load: between batches", "load: in the second pass", "load: all sent, not marked", "load: marked"),
    *("settle: base written, not in the ledger", "settle: in the ledger, not marked", "settle: marked"),
    *("deletions: a row deleted, not in the ledger", "deletions: in the ledger"),
    *("document: some lines written", "document: trigger about to be sent", "replay: a row sent"),
)
NIGHTS = ("night broken off after reading", "night broken off after comparing")

STATES = dict.fromkeys((*ENDED, *(f"broken off in {place}" for place in BROKEN_OFF), *NIGHTS), READ)
"""Each state, and what comes of reading it: it is read, or these are the words in which it is refused."""

Read = Callable[[str], tuple[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def archive() -> Archive:
    """All states."""
    return read_archive()


@pytest.fixture(scope="module")
def read(archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> Read:
    """Puts a state back and reads it, each once."""

    @cache
    def once(name: str) -> tuple[str, dict[str, Any]]:
        home = tmp_path_factory.mktemp("state") / "home"
        state = archive.restore(name, home)
        return read_all(home, state.told.get("maps", ()))

    return once


def test_every_state_has_its_line(archive: Archive) -> None:
    assert archive.states.keys() == STATES.keys()


@pytest.mark.parametrize("name", STATES)
def test_a_state_is_read_or_refused_in_words(archive: Archive, read: Read, name: str) -> None:
    """Its ledger, all its lists and bases; its runs are opened again."""
    told, found = read(name)
    assert told == STATES[name]
    if told != READ:
        return
    known = archive.states[name].told
    assert found["bases"]
    assert all(found["bases"].values())
    assert found["positions"] > 0
    assert found["conserved"]
    assert found["latest"] > 0
    assert len(found["held"]) == known.get("held", 0)
    assert found["documents"]["A"] is True
    assert set(known["runs"]) <= found["runs"].keys()
    if "open" in known:
        assert found["open"] == known["open"]


@pytest.mark.parametrize("place", BROKEN_OFF)
def test_a_run_that_broke_off_is_still_running(archive: Archive, read: Read, place: str) -> None:
    name = f"broken off in {place}"
    if STATES[name] != READ:
        pytest.skip("it is refused")
    _, found = read(name)
    run = archive.states[name].told["runs"][-1]
    assert found["runs"][run] == "running"
    mode, dry_run, companies, rows = found["reopened"][run]
    assert (mode, dry_run, companies, rows) == ("incremental", False, ("USPM",), int(run == "replayed"))
    states = {state for (of, *_), state in found["legs"].items() if of == run}
    assert states <= {"running", "settled"}
    assert states


def test_what_ended_says_how(archive: Archive, read: Read) -> None:
    """Runs that settled, one that wrote nothing, legs that a guard held with what they would have done."""
    _, whole = read("whole")
    assert {whole["runs"][run] for run in archive.states["whole"].told["runs"]} == {"settled"}
    assert {state for *_, state, _ in whole["open"]} == {"quarantined", "conflict", "waiting"}
    assert whole["documents"] == {"A": True, "C": False}
    _, dry = read("dry run")
    assert dry["runs"]["dry"] == "dry_run"
    _, held = read("held by guards")
    assert held["runs"]["held"] == "held"
    assert held["held"] == {
        "projects to_finance of USPM": ({"update": 3}, ""),
        "project_tasks to_finance of USPM (deletions)": ({"delete": 1}, ""),
    }
    _, night = read("night")
    assert night["exceptions"] == {"map:projects"}
