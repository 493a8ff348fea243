"""The commands that repair: ``quarantine replay``, ``breaks resend``, ``held list`` and ``held release``."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from dualsync.repair.replay import RowOutcome
    from dualsync.repair.resend import Resent
    from dualsync.sync.legs.runtime import Runtime
    from dualsync.sync.run.pipeline import RunSummary

Open = Callable[[], AbstractContextManager["Runtime"]]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Direction = Annotated[str | None, typer.Option(help="Only this direction: to_finance or to_dataverse.")]
OneCompany = Annotated[str | None, typer.Option("--company", help="Only of this company.")]


def register_replay(app: typer.Typer, runtime: Open) -> None:
    """Add ``replay`` to the commands about rows that are held back."""
    app.command("replay")(_replay(runtime))


def register_resend(app: typer.Typer, runtime: Open) -> None:
    """Add ``resend`` to the commands about breaks."""
    app.command("resend")(_resend(runtime))


def register_held(app: typer.Typer, runtime: Open) -> None:
    """Add the commands about legs that a guard held."""
    held_app = typer.Typer(no_args_is_help=True, help="Look at the legs that a guard held, and release them.")
    app.add_typer(held_app, name="held")
    held_app.command("list")(_held_list(runtime))
    held_app.command("release")(_held_release(runtime))


def _echo_json(data: Any) -> None:
    typer.echo(json.dumps(data, indent=1, default=str))


def _print(table: Table) -> None:
    Console(highlight=False, soft_wrap=True).print(table)


def _outcomes(title: str, rows: Sequence[RowOutcome]) -> None:
    table = Table("map", "direction", "company", "key", "outcome", "columns or reason", title=title)
    for one in rows:
        told = one.reason or ", ".join(one.columns)
        table.add_row(one.row.map, one.row.direction, one.row.company, one.row.key, one.action, told)
    _print(table)


def _ended(summary: RunSummary, rows: Sequence[RowOutcome]) -> dict[str, Any]:
    return {"run_id": summary.run_id, "state": summary.state, "rows": [one.to_dict() for one in rows]}


def _replay(runtime: Open) -> Callable[..., None]:
    def quarantine_replay(
        map_name: Annotated[str, typer.Argument(metavar="MAP", help="The table map.")],
        keys: Annotated[list[str], typer.Argument(metavar="KEY...", help="Keys as listed, or record ids.")],
        company: OneCompany = None,
        direction: Direction = None,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and write nothing.")] = False,
        by: Annotated[str, typer.Option("--by", help="Your name, written down with the run.")] = "",
        as_json: Json = False,
    ) -> None:
        """Run the ordinary steps on exactly these rows, read anew from both sides.

        A row that is healed is closed; one that fails again stays, with the fresh reason. Exit code 0: all are healed,
        1: some are still held back or could not be looked at, 2: an argument or setting is wrong.
        """
        from dualsync.repair.replay import find_rows, outcomes, replay

        with runtime() as opened:
            rows = find_rows(opened, map_name, keys, company=company, direction=direction)
            summary = replay(opened, rows, dry_run=dry_run, by=by)
            found = outcomes(opened, summary.run_id)
        if as_json:
            _echo_json(_ended(summary, found))
        else:
            _outcomes(f"run {summary.run_id}: {summary.state}", found)
        if not all(one.healed for one in found):
            raise typer.Exit(1)

    return quarantine_replay


def _resend(runtime: Open) -> Callable[..., None]:
    def breaks_resend(
        numbers: Annotated[list[int] | None, typer.Argument(metavar="NUMBER...", help="Numbers of breaks.")] = None,
        control: Annotated[str | None, typer.Option(help="All open breaks of this control, or of map:NAME.")] = None,
        break_class: Annotated[str | None, typer.Option("--class", help="All open breaks of this class.")] = None,
        company: OneCompany = None,
        limit: Annotated[
            int | None, typer.Option(help="Rows that may be written; the setting guards.resend by default.")
        ] = None,
        send: Annotated[bool, typer.Option("--send", help="Send what was planned, up to the limit.")] = False,
        by: Annotated[str, typer.Option("--by", help="Your name, written down with the run.")] = "",
        as_json: Json = False,
    ) -> None:
        """Send the rows of breaks again from the side that owns them; without --send only say what would be sent.

        Exit code 0: done, 1: nothing was sent because of the limit, or rows were not sent, 2: an argument is wrong.
        """
        from dualsync.ledger.breaks import BreakFilter
        from dualsync.repair.resend import chosen_breaks, resend

        chosen = BreakFilter(
            control=control, company=company.upper() if company else None, break_class=break_class, still_open=True
        )
        with runtime() as opened:
            breaks = chosen_breaks(opened, numbers or (), chosen)
            done = resend(opened, breaks, dry_run=not send, limit=limit, by=by)
        if as_json:
            sent = None if done.summary is None else _ended(done.summary, done.rows)
            _echo_json({"plan": done.plan.to_dict(), "sent": sent})
        else:
            _print_resent(done, send=send)
        if send and (done.plan.held or not all(one.healed for one in done.rows)):
            raise typer.Exit(1)

    return breaks_resend


def _print_resent(done: Resent, *, send: bool) -> None:
    plan = done.plan
    table = Table("no.", "control", "company", "class", "key", "re-send heals it", "how, or why not")
    for one in plan.lines:
        words = (str(one.number), one.control, one.company, one.break_class, one.key)
        table.add_row(*words, "yes" if one.heals else "no", one.reason)
    _print(table)
    healed = sum(one.heals for one in plan.lines)
    typer.echo(f"{healed} of {len(plan.lines)} breaks would be healed by sending {plan.rows} rows again")
    if done.summary is not None:
        _outcomes(f"run {done.summary.run_id}: {done.summary.state}", done.rows)
    elif send and plan.held:
        typer.echo(
            f"held: {plan.rows} rows are more than the limit of {plan.limit} (setting guards.resend); nothing was "
            "sent. Approve them with --limit, or let the DAG repair_breaks ask somebody"
        )
    elif plan.rows and not send:
        typer.echo("nothing was sent; add --send to send them")


def _held_list(runtime: Open) -> Callable[..., None]:
    def held_list(as_json: Json = False) -> None:
        """List the legs that a guard held, with what they would have written."""
        from dualsync.repair.held import held_legs

        with runtime() as opened:
            legs = held_legs(opened)
        if as_json:
            _echo_json([asdict(leg) for leg in legs])
            return
        table = Table("map", "direction", "company", "part", "since", "planned", "keys", "why")
        for leg in legs:
            planned = ", ".join(f"{number} {action}" for action, number in leg.planned.items())
            keys = ", ".join(leg.sample)
            since = f"{leg.since:%Y-%m-%d %H:%M}"
            why = leg.missing or leg.message
            table.add_row(leg.map, leg.direction, leg.company, leg.part, since, planned, keys, why)
        _print(table)
        typer.echo(f"{len(legs)} legs are held")

    return held_list


def _held_release(runtime: Open) -> Callable[..., None]:
    def held_release(
        by: Annotated[str, typer.Option("--by", help="Your name, written down with the release.")],
        map_name: Annotated[
            str | None, typer.Argument(metavar="[MAP]", help="Only legs of this map; all by default.")
        ] = None,
        company: OneCompany = None,
        direction: Direction = None,
        as_json: Json = False,
    ) -> None:
        """Carry out just what held legs had planned; rows that changed meanwhile are left out.

        Exit code 0: all rows were written as planned, 1: some were left out, 2: an argument is wrong.
        """
        from dualsync.repair.held import chosen_legs, release

        with runtime() as opened:
            legs = chosen_legs(opened, map_name, direction=direction, company=company)
            done = release(opened, legs, by=by)
        if as_json:
            _echo_json([{**one.leg.to_dict(), **_ended(one.summary, one.rows), "told": one.told} for one in done])
        for one in done if not as_json else ():
            typer.echo(one.told)
        if any(one.left_out for one in done):
            raise typer.Exit(1)

    return held_release
