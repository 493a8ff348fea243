"""docs/messages.md fits the messages about rows and the classes of errors."""

import ast
import runpy
from pathlib import Path
from typing import Any

import pytest

from dualsync import errors
from dualsync.errors import DualsyncError, Signal
from dualsync.sync.plan.messages import MESSAGES
from support.paths import ROOT

LIBRARY = Path(errors.__file__).parent
FORKS = {"DualsyncError", "Transient", "Terminal", "Signal"}
"""Those that only others are made of."""


@pytest.fixture(scope="module")
def tool() -> dict[str, Any]:
    """``docs/build_messages.py``, which imports every module of the library."""
    return runpy.run_path(str(ROOT / "docs" / "build_messages.py"))


@pytest.fixture(scope="module")
def shown(tool: dict[str, Any]) -> list[type[DualsyncError]]:
    """The errors of the page."""
    classes: list[type[DualsyncError]] = tool["errors"]()
    return classes


def below(parent: type[DualsyncError]) -> set[str]:
    return {parent.__name__}.union(*(below(child) for child in parent.__subclasses__()))


def test_the_page_fits_the_messages(tool: dict[str, Any]) -> None:
    assert (ROOT / "docs" / "messages.md").read_text() == tool["page"]()


def test_each_message_has_an_id_a_cause_and_a_way_out() -> None:
    ids = [message.id for message in MESSAGES]
    assert len(ids) == len(set(ids)) > 20
    assert all(message.cause.endswith(".") and message.way_out.endswith(".") for message in MESSAGES)


def test_each_error_that_ends_a_command_stands_on_the_page(shown: list[type[DualsyncError]]) -> None:
    """All of the tree can: the command line catches its root. Signals end within a step, and forks are never raised."""
    assert {error.__name__ for error in shown} == below(DualsyncError) - below(Signal) - FORKS


def test_each_error_has_an_id_a_cause_and_a_way_out_of_its_own(shown: list[type[DualsyncError]]) -> None:
    ids = [error.id for error in shown]
    assert len(ids) == len(set(ids)) > 20
    for error in shown:
        assert {"id", "cause", "way_out"} <= vars(error).keys(), error
        assert error.cause.endswith("."), error
        assert error.way_out.endswith("."), error


def test_nobody_raises_a_fork() -> None:
    """It has no id, and its name says nothing."""
    made = {
        f"{file.relative_to(LIBRARY)}:{node.lineno}"
        for file in LIBRARY.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FORKS
    }
    assert made == set()
