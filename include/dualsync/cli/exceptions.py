"""The commands ``dualsync exceptions``: what the nightly reconciliation found, and how it is worked on."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dualsync.cli.context import (
    FAILED,
    By,
    ByOptional,
    Company,
    Control,
    Json,
    console,
    new_table,
    open_runtime,
    print_json,
    upper,
)
from dualsync.cli.groups import CommandGroup
from dualsync.cli.outcomes import outcomes_data, print_outcomes
from dualsync.errors import RequestError

if TYPE_CHECKING:
    from dualsync.ledger import BreakRecord
    from dualsync.repair.resend import Resent
    from dualsync.sync.legs.runtime import Runtime

Number = Annotated[int, typer.Argument(metavar="NUMBER", help="The exception's number, as the list shows it.")]

app = typer.Typer(
    cls=CommandGroup,
    no_args_is_help=True,
    help="Show the exceptions of the nightly reconciliation, work on them, and send their rows again.",
)


@app.command("list")
def list_exceptions(
    control: Control = None,
    company: Company = None,
    severity: Annotated[
        str | None, typer.Option(metavar="SEVERITY", help="Only this severity: critical, error or warning.")
    ] = None,
    text: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Only with this text in key, values or comment.")
    ] = None,
    resolved: Annotated[bool, typer.Option("--resolved", help="Those that are resolved instead.")] = False,
    limit: Annotated[int, typer.Option(metavar="NUMBER", help="How many at most.")] = 200,
    as_json: Json = False,
) -> None:
    """List the open exceptions, lowest numbers first, to see what the two systems disagree about."""
    from dualsync.ledger.breaks import BreakFilter

    chosen = BreakFilter(control=control, company=upper(company), severity=severity, text=text, still_open=not resolved)
    with open_runtime() as runtime:
        exceptions = runtime.ledger.nights.breaks(chosen, limit=limit)
        total = runtime.ledger.nights.count(chosen)
    if as_json:
        print_json([asdict(exception) for exception in exceptions])
        return
    table = new_table("no.", "severity", "control", "company", "class", "key", "amount", "since", "status", "owner")
    for exception in exceptions:
        table.add_row(*_cells(exception))
    console().print(table)
    typer.echo(f"{len(exceptions)} of {total} exceptions")


def _cells(exception: BreakRecord) -> list[str]:
    from dualsync.reports.words import class_word, status_word

    amount = "" if exception.amount is None else f"{exception.amount.normalize():f} {exception.currency}"
    return [
        str(exception.number),
        exception.severity,
        exception.control,
        exception.company,
        class_word(exception.break_class),
        exception.key,
        amount,
        f"{exception.first_seen:%Y-%m-%d}",
        status_word(exception.status),
        exception.owner,
    ]


@app.command()
def show(number: Number, as_json: Json = False) -> None:
    """Show one exception: both values, both records as they were read, the likely cause and what helps."""
    with open_runtime() as runtime:
        detail = _detail(runtime, number)
    if as_json:
        print_json(detail)
    else:
        _print_detail(detail)


def _detail(runtime: Runtime, number: int) -> dict[str, Any]:
    """Return all there is to know about an exception.

    Raises:
        RequestError: There is none of that number.
    """
    from dualsync.reports.nights import NightReport

    exception = runtime.ledger.nights.one_break(number)
    report = None if exception is None else NightReport.of(runtime.ledger, runtime.catalog, exception.last_run)
    detail = None if report is None else report.detail(number)
    if detail is None:
        raise RequestError(f"there is no exception number {number}; `dualsync exceptions list` lists them")
    return detail


def _print_detail(detail: dict[str, Any]) -> None:
    from dualsync.reports.words import class_word, status_word

    exception = detail["break"]
    shown = {
        **exception,
        "break_class": class_word(exception["break_class"]),
        "status": status_word(exception["status"]),
        "cause": detail["cause"],
        "what helps": detail["mitigation"],
        **detail["links"],
    }
    heads = {"break_class": "class", "nights": "times seen"}
    for name, value in shown.items():
        if value not in (None, ""):
            typer.echo(f"{heads.get(name, name).replace('_', ' '):16} {value}")
    for side in ("dataverse", "finance"):
        for record in detail[side]:
            typer.echo(f"\nin {side.title()}:")
            for column, value in record.items():
                if value is not None and not column.startswith("@"):
                    typer.echo(f"  {column}: {value}")


@app.command("set")
def edit(
    number: Number,
    by: By,
    status: Annotated[
        str | None, typer.Option(metavar="STATUS", help="The new status: open, in_progress, accepted or disputed.")
    ] = None,
    owner: Annotated[str | None, typer.Option(metavar="NAME", help="Who looks after it.")] = None,
    comment: Annotated[str | None, typer.Option(metavar="TEXT", help="What others should know about it.")] = None,
) -> None:
    """Give an exception a status, an owner or a comment, once you work on it or accept it.

    They stay with it from one reconciliation to the next.
    """
    from dualsync.reports.words import status_word

    with open_runtime() as runtime:
        exception = runtime.ledger.nights.edit_break(number, by, status=status, owner=owner, comment=comment)
    typer.echo(f"exception {exception.number}: {status_word(exception.status)}, owner {exception.owner or 'nobody'}")


@app.command()
def resend(
    numbers: Annotated[
        list[int] | None, typer.Argument(metavar="NUMBER", help="Numbers of exceptions.", show_default=False)
    ] = None,
    control: Control = None,
    break_class: Annotated[
        str | None, typer.Option("--class", metavar="CLASS", help="Only open exceptions of this class, such as amount.")
    ] = None,
    company: Company = None,
    limit: Annotated[
        int | None,
        typer.Option(
            metavar="ROWS",
            help="How many rows may be written without approval.",
            show_default="the setting guards.resend",
        ),
    ] = None,
    send: Annotated[bool, typer.Option("--send", help="Send what was planned, if it is within the limit.")] = False,
    by: ByOptional = "",
    as_json: Json = False,
) -> None:
    """Send the rows of exceptions again from the system that owns them; without --send, show what would be sent.

    Exit code 0: done. 1: nothing was sent because of the limit, or some rows were not sent. 2: an argument is wrong.
    """
    from dualsync.ledger.breaks import BreakFilter
    from dualsync.repair.resend import chosen_breaks
    from dualsync.repair.resend import resend as resend_rows

    chosen = BreakFilter(control=control, company=upper(company), break_class=break_class, still_open=True)
    with open_runtime() as runtime:
        exceptions = chosen_breaks(runtime, numbers or (), chosen)
        resent = resend_rows(runtime, exceptions, dry_run=not send, limit=limit, by=by)
    if as_json:
        sent = None if resent.summary is None else outcomes_data(resent.summary, resent.rows)
        print_json({"plan": resent.plan.to_dict(), "sent": sent})
    else:
        _print_resent(resent, send=send)
    if send and (resent.plan.held or not all(row.healed for row in resent.rows)):
        raise typer.Exit(FAILED)


def _print_resent(resent: Resent, *, send: bool) -> None:
    from dualsync.reports.words import class_word

    plan = resent.plan
    table = new_table("no.", "control", "company", "class", "key", "sending again heals it", "how, or why not")
    for line in plan.lines:
        words = (str(line.number), line.control, line.company, class_word(line.break_class), line.key)
        table.add_row(*words, "yes" if line.heals else "no", line.reason)
    console().print(table)
    healed = sum(line.heals for line in plan.lines)
    typer.echo(f"{healed} of {len(plan.lines)} exceptions would be healed by sending {plan.rows} rows again")
    if resent.summary is not None:
        print_outcomes(resent.summary, resent.rows)
    elif send and plan.held:
        typer.echo(
            f"needs approval: {plan.rows} rows are more than the limit of {plan.limit} (setting guards.resend); "
            "nothing was sent. Approve them with --limit, or let the DAG repair_breaks ask somebody"
        )
    elif plan.rows and not send:
        typer.echo("nothing was sent; add --send to send them")
