"""What all commands share: their common options, the runtime, how errors are told and how results are printed.

Exit codes: 0 all went well, 1 something failed, needs approval or has errors, 2 a setting, map or argument is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dualsync.errors import DualsyncError, MapErrors, RequestError, SettingsError, Transient

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from dualsync.sync.legs.runtime import Runtime

FAILED = 1
"""Exit code where something failed, needs approval or has errors."""

WRONG = 2
"""Exit code where a setting, a map or an argument is wrong."""

_CORRECTABLE = (SettingsError, MapErrors, RequestError)
"""Errors of what a person has written: a setting, a map or an argument."""

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Company = Annotated[str | None, typer.Option("--company", metavar="COMPANY", help="Only this legal entity.")]
Companies = Annotated[
    list[str] | None,
    typer.Option("--company", metavar="COMPANY", help="Only this legal entity; give it again for more."),
]
Direction = Annotated[
    str | None,
    typer.Option("--direction", metavar="DIRECTION", help="Only this direction: to_finance or to_dataverse."),
]
MapName = Annotated[str, typer.Argument(metavar="MAP", help="The table map; `dualsync maps list` names them.")]
MapFilter = Annotated[str | None, typer.Option("--map", metavar="MAP", help="Only this table map.")]
Maps = Annotated[
    list[str] | None, typer.Option("--map", metavar="MAP", help="Only this table map; give it again for more.")
]
Control = Annotated[
    str | None,
    typer.Option(
        "--control", metavar="CONTROL", help="Only of this control, such as R6, or of a map's comparison: map:NAME."
    ),
]
By = Annotated[str, typer.Option("--by", metavar="NAME", help="Your name; it is kept with what you decide.")]
ByOptional = Annotated[str, typer.Option("--by", metavar="NAME", help="Your name; it is kept with the run.")]
Period = Annotated[
    str, typer.Argument(metavar="PERIOD", help="First day of the fiscal period, or its year and month: 2026-03.")
]


@contextmanager
def errors() -> Iterator[None]:
    """Turn an error that a user can do something about into a message and an exit code.

    Raises:
        typer.Exit: With 2 where a setting, map or argument is wrong, with 1 for any other error of dualsync.
    """
    try:
        yield
    except DualsyncError as error:
        complain(error)
        raise typer.Exit(WRONG if isinstance(error, _CORRECTABLE) else FAILED) from None


@contextmanager
def open_runtime() -> Iterator[Runtime]:
    """Open everything a command works with: settings, table maps, ledger and both systems.

    Yields:
        The runtime. Errors inside the block are told as :func:`errors` tells them.
    """
    from dualsync.sync.legs.runtime import Runtime

    with errors(), Runtime.open() as runtime:
        yield runtime


def complain(error: DualsyncError) -> None:
    """Print an error to stderr, in red where that can be shown.

    Its id stands before it, and ``docs/messages.md`` says by this id how it comes about and what to do.

    Args:
        error: The error; each line of a longer text stands on a line of its own, below the id.
    """
    text = str(error)
    space = "\n" if "\n" in text else " "
    if isinstance(error, Transient):
        text = f"{text.rstrip('.')}. This may pass: try again"
    console(stderr=True).print(f"error [{error.id}]:{space}{text}", style="red", markup=False)


def first_day(period: str) -> str:
    """Return the first day of a fiscal period.

    Args:
        period: The day itself, or year and month; empty for none.

    Raises:
        RequestError: It is neither.
    """
    from dualsync.nightly.packs import first_day as day_of

    return day_of(period)


def upper(company: str | None) -> str | None:
    """Return the code of a company as the ledger has it."""
    return company.upper() if company else None


def console(*, stderr: bool = False) -> Console:
    """Return a console that breaks no line and colours no number."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=True)


def new_table(*heads: str, title: str | None = None) -> Table:
    """Return an empty table.

    Args:
        heads: The heads of its columns.
        title: What stands above it.
    """
    from rich.table import Table

    return Table(*heads, title=title)


def print_json(data: Any) -> None:
    """Print data as JSON; what JSON has no form for is printed as text."""
    typer.echo(json.dumps(data, indent=1, default=str))
