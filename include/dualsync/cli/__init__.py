"""The command ``dualsync``: the same jobs as the DAGs, without Airflow.

Each file holds one group of commands. They import what they need when they run, so that ``dualsync --help`` starts
without pandas, DuckDB or Great Expectations; ``docs/commands.md`` is made of their help texts.
"""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer

from dualsync.cli import approvals, exceptions, maps, nightly, quarantine, rows, sync
from dualsync.cli.groups import ExtendedGroup

HELP = """Keep Project Operations on Dataverse and Dynamics 365 Finance in step, without Airflow.

Exit codes: 0 all went well, 1 something failed or needs approval, 2 a setting, map or argument is wrong.
"""

# plain help, without boxes and colours: it starts sooner, and the same text fits a document
app = typer.Typer(
    cls=ExtendedGroup,
    rich_markup_mode=None,
    no_args_is_help=True,
    add_completion=False,
    help=HELP,
    pretty_exceptions_enable=False,
)
app.add_typer(sync.app)
app.add_typer(rows.app)
app.add_typer(maps.app, name="maps")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(approvals.app, name="approvals")
app.add_typer(nightly.app)
app.add_typer(exceptions.app, name="exceptions")
# earlier names, which scripts use
app.add_typer(approvals.app, name="held", hidden=True)
app.add_typer(exceptions.app, name="breaks", hidden=True)


@app.callback()
def configure(
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log every request (method, path, status) to stderr.")
    ] = False,
) -> None:
    """Set up logging for the command that follows."""
    import structlog

    level = logging.DEBUG if verbose else logging.WARNING
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, format="%(levelname)s %(message)s")
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        # asked for each line: whoever runs commands in a process of its own may put another stream in its place
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )


def main() -> None:
    """Run the command line."""
    app()
