"""The commands ``dualsync approvals``: the transfers that a guard stopped, and their release."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from dualsync.cli.context import (
    FAILED,
    By,
    Company,
    Direction,
    Json,
    console,
    new_table,
    open_runtime,
    print_json,
)
from dualsync.cli.groups import CommandGroup
from dualsync.cli.outcomes import outcomes_data

app = typer.Typer(
    cls=CommandGroup,
    no_args_is_help=True,
    help="Show the transfers that a guard stopped because they would change too much, and release them.",
)


@app.command("list")
def list_transfers(as_json: Json = False) -> None:
    """List the transfers that need approval, with what each would write and why it was stopped."""
    from dualsync.repair.held import held_legs
    from dualsync.reports.words import direction_word, phase_word

    with open_runtime() as runtime:
        transfers = held_legs(runtime)
    if as_json:
        print_json([asdict(transfer) for transfer in transfers])
        return
    table = new_table("map", "direction", "company", "phase", "since", "planned", "keys", "why")
    for transfer in transfers:
        table.add_row(
            transfer.map,
            direction_word(transfer.direction),
            transfer.company,
            phase_word(transfer.part),
            f"{transfer.since:%Y-%m-%d %H:%M}",
            ", ".join(f"{number} {action}" for action, number in transfer.planned.items()),
            ", ".join(transfer.sample),
            transfer.missing or transfer.message,
        )
    console().print(table)
    number = len(transfers)
    typer.echo(f"{number} transfer{' needs' if number == 1 else 's need'} approval")


@app.command()
def release(
    by: By,
    map_name: Annotated[
        str | None, typer.Argument(metavar="MAP", help="Only transfers of this table map.", show_default="all")
    ] = None,
    company: Company = None,
    direction: Direction = None,
    as_json: Json = False,
) -> None:
    """Release transfers that need approval, once you have looked at what they would write.

    Just what was planned is written. A row that has changed since is left out, and comes with the next run. Exit code
    0: all rows were written as planned. 1: some were left out. 2: an argument is wrong.
    """
    from dualsync.repair.held import chosen_legs
    from dualsync.repair.held import release as release_transfers

    with open_runtime() as runtime:
        transfers = chosen_legs(runtime, map_name, direction=direction, company=company)
        released = release_transfers(runtime, transfers, by=by)
    if as_json:
        print_json(
            [
                {**each.leg.to_dict(), **outcomes_data(each.summary, each.rows), "told": each.summary_line}
                for each in released
            ]
        )
    for each in released if not as_json else ():
        typer.echo(each.summary_line)
    if any(each.left_out for each in released):
        raise typer.Exit(FAILED)
