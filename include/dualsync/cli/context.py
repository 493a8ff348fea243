"""What all commands share: their common options, the runtime, how errors are told and how results are printed.

Exit codes: 0 all went well, 1 something failed, needs approval or has errors, 2 a setting, map or argument is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dualsync.errors import DualsyncError, MapErrors, SettingsError, Transient

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from dualsync.sync.legs.runtime import Runtime

FAILED = 1
"""Exit code where something failed, needs approval or has errors."""

WRONG = 2
"""Exit code where a setting, a map or an argument is wrong."""

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
    except (SettingsError, MapErrors) as error:
        complain(str(error))
        raise typer.Exit(WRONG) from None
    except DualsyncError as error:
        complain(describe_error(error))
        raise typer.Exit(FAILED) from None


@contextmanager
def open_runtime() -> Iterator[Runtime]:
    """Open everything a command works with: settings, table maps, ledger and both systems.

    Yields:
        The runtime. Errors inside the block are told as :func:`errors` tells them.
    """
    from dualsync.sync.legs.runtime import Runtime

    with errors(), Runtime.open() as runtime:
        yield runtime


def describe_error(error: DualsyncError) -> str:
    """Return an error as one text, with the way out where trying again may help.

    Args:
        error: The error.
    """
    way_out = ". This may pass: try again" if isinstance(error, Transient) else ""
    return f"{type(error).__name__}: {error}{way_out}"


def complain(text: str) -> None:
    """Print what is wrong to stderr, in red where that can be shown.

    Args:
        text: What is wrong, where, and what to do about it.
    """
    console(stderr=True).print(text, style="red", markup=False)


def first_day(period: str) -> str:
    """Return the first day of a fiscal period.

    Args:
        period: The day itself, or year and month; empty for none.

    Raises:
        typer.BadParameter: It is neither.
    """
    from dualsync.nightly.packs import first_day as day_of

    try:
        return day_of(period)
    except DualsyncError as error:
        raise typer.BadParameter(str(error)) from None


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
