"""The commands ``dualsync quarantine``: the open rows, and how they are tried again."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from dualsync.cli.context import (
    FAILED,
    ByOptional,
    Company,
    Direction,
    Json,
    MapFilter,
    MapName,
    complain,
    console,
    new_table,
    open_runtime,
    print_json,
    upper,
)
from dualsync.cli.groups import CommandGroup
from dualsync.cli.outcomes import outcomes_data, print_outcomes
from dualsync.errors import RequestError

app = typer.Typer(
    cls=CommandGroup,
    no_args_is_help=True,
    help="Show the rows that wait or are blocked, and try them again once their cause is mended.",
)


@app.command("list")
def list_rows(
    map_name: MapFilter = None,
    company: Company = None,
    state: Annotated[
        str,
        typer.Option(metavar="STATE", help="Only rows of this state: quarantined, waiting, conflict, delete; or all."),
    ] = "quarantined",
    as_json: Json = False,
) -> None:
    """List the rows that are blocked, with rule and reason; with --state all the waiting ones too."""
    from dualsync.reports.words import direction_word, state_word

    states = () if state == "all" else (state,)
    with open_runtime() as runtime:
        rows = runtime.ledger.open_rows(map_name=map_name, company=upper(company), states=states)
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    table = new_table("map", "direction", "company", "key", "state", "rule", "reason")
    for row in rows:
        words = (row.map, direction_word(row.direction), row.company, row.key, state_word(row.state))
        table.add_row(*words, row.rule, row.reason)
    console().print(table)
    typer.echo(f"{len(rows)} rows")


@app.command()
def show(
    map_name: MapName,
    key: Annotated[str, typer.Argument(metavar="KEY", help="The key, as `dualsync quarantine list` shows it.")],
    as_json: Json = False,
) -> None:
    """Show all there is to know about one row that waits or is blocked.

    Exit code 1: no open row of the map has that key.
    """
    with open_runtime() as runtime:
        rows = runtime.ledger.open_rows(map_name=map_name, key=key)
    if as_json:
        print_json([asdict(row) for row in rows])
    for row in rows if not as_json else ():
        for name, value in asdict(row).items():
            typer.echo(f"{name:12} {value if value is not None else ''}")
        typer.echo("")
    if not rows:
        complain(
            RequestError(
                f"no open row of the table map {map_name} has the key {key}; "
                f"`dualsync quarantine list --map {map_name} --state all` lists them"
            )
        )
        raise typer.Exit(FAILED)


@app.command()
def replay(
    map_name: MapName,
    keys: Annotated[
        list[str],
        typer.Argument(metavar="KEY", help="Keys as `dualsync quarantine list` shows them, or ids."),
    ],
    company: Company = None,
    direction: Direction = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would become of them, but write nothing.")
    ] = False,
    by: ByOptional = "",
    as_json: Json = False,
) -> None:
    """Try single rows again, once what blocked them is mended.

    They are read anew from both sides and take the ordinary steps. A row that goes through is closed; one that fails
    again stays open, with its new reason. Exit code 0: all went through. 1: some did not. 2: an argument or setting is
    wrong.
    """
    from dualsync.repair.replay import find_rows, outcomes
    from dualsync.repair.replay import replay as replay_rows

    with open_runtime() as runtime:
        rows = find_rows(runtime, map_name, keys, company=company, direction=direction)
        summary = replay_rows(runtime, rows, dry_run=dry_run, by=by)
        replayed = outcomes(runtime, summary.run_id)
    if as_json:
        print_json(outcomes_data(summary, replayed))
    else:
        print_outcomes(summary, replayed)
    if not all(row.healed for row in replayed):
        raise typer.Exit(FAILED)
