"""Writes docs/messages.md: what is said about rows and what commands end with, why, and what a person does about it.

``python docs/build_messages.py`` writes the page, ``--check`` fails where it is older than the code.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import dualsync
from dualsync.errors import DualsyncError, Signal
from dualsync.sync.plan.messages import MESSAGES

PAGE = Path(__file__).with_name("messages.md")
HEAD = """# Messages

What dualsync says to a person, how it comes about and what helps: first of [rows](#messages-about-rows), then the
[errors](#errors) that end a command or a task. This page is made from `include/dualsync/sync/plan/messages.py` and the
classes of errors by `python docs/build_messages.py`.

## Messages about rows

Every row of a plan ends with an action and, where there is something to say, a rule and a message. The rule is named
after its map, such as `projects.key_changed`; the message has an id of its own. Names in braces are filled in.
"""
ERRORS = """
## Errors

A command that cannot go on prints `error [id]:` and what is wrong in this one case; its exit code is 2 where a setting,
a map or an argument has to be corrected, and 1 otherwise. The log of an Airflow task names the class instead. What may
pass by itself is tried again: by the request, and by the task. An argument that has not the form its `--help` describes
is refused before the command starts, and has no id.
"""


def errors() -> list[type[DualsyncError]]:
    """The classes of errors that a person can meet, in the order of their tree."""
    for module in walk_packages(dualsync.__path__, "dualsync."):
        # Alembic alone can import its migrations, and the module that runs the command line would run it
        if ".migrations" not in module.name and not module.name.endswith(".__main__"):
            import_module(module.name)
    return [error for error in _below(DualsyncError) if error.id]


def _below(parent: type[DualsyncError]) -> Iterator[type[DualsyncError]]:
    for error in parent.__subclasses__():
        if error is not Signal:
            yield error
            yield from _below(error)


def page() -> str:
    """The page as it should be."""
    rows = (
        f"\n### {message.id}\n\n> {message.text}\n\n**Cause.** {message.cause}\n\n**Way out.** {message.way_out}\n"
        for message in MESSAGES
    )
    classes = (
        f"\n### error [{error.id}]\n\n`{error.__name__}`\n\n**Cause.** {error.cause}\n\n**Way out.** {error.way_out}\n"
        for error in errors()
    )
    return "".join((HEAD, *rows, ERRORS, *classes))


def main() -> int:
    """Write the page, or say that it is stale."""
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(page())
        return 0
    if PAGE.exists() and PAGE.read_text() == page():
        return 0
    sys.stderr.write(f"{PAGE.name} is older than the messages; run python docs/build_messages.py\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
