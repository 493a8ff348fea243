"""Files and records of other releases: read where their shape is known, refused in words where it is not."""

import pytest

from dualsync.errors import Terminal, UnknownVersion
from dualsync.versions import Format

FIRST = Format("run file")
THIRD = Format("run file", 3, {1: lambda data: {**data, "rows": []}, 2: lambda data: {"by": data.pop("who"), **data}})


def test_what_is_written_names_its_version_and_what_is_read_does_not() -> None:
    assert FIRST.stamped({"mode": "full"}) == {"version": 1, "mode": "full"}
    assert FIRST.read(FIRST.stamped({"mode": "full"})) == {"mode": "full"}


def test_data_without_a_version_are_of_the_first() -> None:
    assert FIRST.read({"mode": "full"}) == {"mode": "full"}
    assert THIRD.read({"who": "Anna"}) == {"by": "Anna", "rows": []}


def test_each_version_becomes_the_next() -> None:
    assert THIRD.read({"version": 2, "who": "Anna", "rows": [1]}) == {"by": "Anna", "rows": [1]}
    assert THIRD.read({"version": 3, "by": "Bob"}) == {"by": "Bob"}


def test_a_later_version_is_refused() -> None:
    with pytest.raises(UnknownVersion, match=r"this run file was written by a later release .* reads up to 1"):
        FIRST.read({"version": 2})


def test_a_version_that_can_no_longer_be_read_is_refused() -> None:
    cut_off = Format("plan", 4, {3: dict})
    assert cut_off.read({"version": 3, "rows": 1}) == {"rows": 1}
    with pytest.raises(UnknownVersion, match=r"version 1.* reads none before version 3"):
        cut_off.read({})
    assert issubclass(UnknownVersion, Terminal)
