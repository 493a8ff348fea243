"""The commands of the nightly reconciliation: ``reconcile``, ``sign-off``, ``review``, ``breaks``, ``controls``."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from dualsync.cli.repair import register_resend
from dualsync.errors import DualsyncError

if TYPE_CHECKING:
    from dualsync.ledger import BreakRecord
    from dualsync.nightly.publish import Verdict
    from dualsync.sync.legs.runtime import Runtime

Open = Callable[[], AbstractContextManager["Runtime"]]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Company = Annotated[list[str] | None, typer.Option("--company", help="Only this company; may be repeated.")]
By = Annotated[str, typer.Option("--by", help="Your name.")]


def register(app: typer.Typer, runtime: Open) -> None:
    """Add the commands.

    Args:
        app: The application.
        runtime: Opens a runtime; turns what a user can cause into a message and an exit code.
    """
    breaks_app = typer.Typer(no_args_is_help=True, help="Look at the breaks of the reconciliation and at their life.")
    app.add_typer(breaks_app, name="breaks")
    app.command("reconcile")(_reconcile(runtime))
    app.command("sign-off")(_sign_off(runtime))
    app.command("review")(_review(runtime))
    app.command("controls")(_controls)
    breaks_app.command("list")(_breaks_list(runtime))
    breaks_app.command("show")(_breaks_show(runtime))
    breaks_app.command("set")(_breaks_set(runtime))
    register_resend(breaks_app, runtime)


def _echo_json(data: Any) -> None:
    typer.echo(json.dumps(data, indent=1, default=str))


def _reconcile(runtime: Open) -> Callable[..., None]:
    def reconcile(
        company: Company = None,
        period: Annotated[
            str, typer.Option(help="Make a close pack of this fiscal period: its first day, or year and month.")
        ] = "",
        maps: Annotated[list[str] | None, typer.Option("--map", help="Compare only this map; may be repeated.")] = None,
        control: Annotated[
            list[str] | None, typer.Option("--control", help="Ask only this control, such as R7; may be repeated.")
        ] = None,
        quality: Annotated[
            bool, typer.Option("--quality", help="Check the data quality of both sides too, with Data Docs.")
        ] = False,
        copy_to: Annotated[Path | None, typer.Option("--copy-to", help="Folder that gets a copy of the files.")] = None,
        as_json: Json = False,
    ) -> None:
        """Compare both systems and ask all controls, writing nothing to either.

        Exit code 0: equal. 1: breaks. 2: something could not be judged, or a setting is wrong.
        """
        from dualsync.nightly import steps
        from dualsync.nightly.publish import publish
        from dualsync.nightly.totals import draw_up
        from dualsync.reports.publishing import write_data_docs, write_reports

        first = _first_day(period)
        # asking for some of the one means none of the other
        rest: list[str] | None = [] if maps or control else None
        with runtime() as opened:
            try:
                night = steps.begin(
                    opened,
                    companies=company,
                    period=first,
                    maps=maps or rest,
                    controls=control or rest,
                    quality=quality,
                )
                typer.echo(f"run {night.run.run_id}", err=True)
                steps.read(night, opened)
                steps.compare(night, opened)
                steps.ask(night, opened)
                draw_up(steps.tonight(night, opened))
                if quality:
                    steps.validate(night, opened)
            except DualsyncError as error:
                typer.echo(f"{type(error).__name__}: {error}", err=True)
                raise typer.Exit(2) from None
            verdict = publish(night, opened)
            files = write_reports(opened, night.run.run_id)
            docs = write_data_docs(opened, night.run.run_id) if quality else None
            lines = _lines(opened, verdict)
        if copy_to is not None:
            copy_to.mkdir(parents=True, exist_ok=True)
            for file in files:
                (copy_to / file.name).write_bytes(file.read_bytes())
        shown = [str(file) for file in (*files, docs) if file is not None]
        if as_json:
            _echo_json({**asdict(verdict), "controls": lines, "files": shown})
        else:
            _print_verdict(verdict, lines, shown)
        raise typer.Exit(verdict.exit_code)

    return reconcile


def _first_day(period: str) -> str:
    """The first day of a period given as a day or as year and month."""
    from dualsync.nightly.packs import first_day

    try:
        return first_day(period)
    except DualsyncError as error:
        raise typer.BadParameter(str(error)) from None


def _lines(runtime: Runtime, verdict: Verdict) -> list[dict[str, Any]]:
    from dualsync.reports.nights import NightReport

    report = NightReport.of(runtime.ledger, runtime.catalog, verdict.run_id)
    assert report is not None
    return [asdict(line) for line in report.control_lines()]


def _print_verdict(verdict: Verdict, lines: list[dict[str, Any]], files: list[str]) -> None:
    from dualsync.reports.figures import percent

    console = Console(highlight=False, soft_wrap=True)
    table = Table("control", "title", "state", "breaks", "by company")
    for line in lines:
        if line["state"] != "equal":
            companies = ", ".join(
                f"{company} {number}" for company, (_, number) in line["by_company"].items() if number
            )
            told = line["reason"] or companies
            table.add_row(line["control"], line["title"], line["state"].replace("_", " "), str(line["breaks"]), told)
    if table.row_count:
        console.print(table)
    equal = sum(line["state"] == "equal" for line in lines)
    counts = ", ".join(f"{number} {name}" for name, number in verdict.counts.items())
    typer.echo(f"{equal} of {len(lines)} controls and maps are equal; breaks: {counts}")
    matched = percent(verdict.matched) if verdict.matched else "no amounts"
    typer.echo(f"new {verdict.new}, resolved {verdict.resolved}; amounts matched: {matched}")
    for file in files:
        typer.echo(file)
    typer.echo(f"verdict: {verdict.state}")


def _sign_off(runtime: Open) -> Callable[..., None]:
    def sign_off(
        company: Annotated[str, typer.Argument(help="The company.")],
        period: Annotated[str, typer.Argument(help="First day of the fiscal period, or year and month.")],
        by: By,
        run_id: Annotated[str, typer.Option("--run", help="The run that made the pack; the latest by default.")] = "",
        comment: Annotated[str, typer.Option(help="A word to it.")] = "",
    ) -> None:
        """Freeze the close pack of a period and sign it; a later change to the period is a break."""
        from dualsync.nightly.packs import sign_off

        with runtime() as opened:
            signed = sign_off(opened, company.upper(), _first_day(period), by, run_id=run_id, comment=comment)
        typer.echo(f"{signed.company} {signed.period} signed by {signed.prepared_by}: {signed.folder}")
        typer.echo(f"digest {signed.digest}")

    return sign_off


def _review(runtime: Open) -> Callable[..., None]:
    def review(
        company: Annotated[str, typer.Argument(help="The company.")],
        period: Annotated[str, typer.Argument(help="First day of the fiscal period, or year and month.")],
        by: By,
    ) -> None:
        """Confirm a signed period as a second person."""
        with runtime() as opened:
            signed = opened.ledger.nights.review(company.upper(), _first_day(period), by)
        typer.echo(f"{signed.company} {signed.period} reviewed by {signed.reviewed_by}")

    return review


def _controls(as_json: Json = False) -> None:
    """List the controls: what each compares, its severity, and what it rests on."""
    from dualsync.controls.registry import controls

    rows = [asdict(one) for one in controls().values()]
    if as_json:
        _echo_json([{name: value for name, value in row.items() if name != "sql"} for row in rows])
        return
    table = Table("control", "area", "severity", "evidence", "title")
    for row in rows:
        table.add_row(row["id"], row["area"], row["severity"], row["evidence"], row["title"])
    Console(highlight=False, soft_wrap=True).print(table)


def _breaks_list(runtime: Open) -> Callable[..., None]:
    def breaks_list(
        control: Annotated[str | None, typer.Option(help="Only of this control, or of map:NAME.")] = None,
        company: Annotated[str | None, typer.Option(help="Only of this company.")] = None,
        severity: Annotated[str | None, typer.Option(help="critical, error or warning.")] = None,
        text: Annotated[str | None, typer.Option(help="Only with this text in key, values or comment.")] = None,
        resolved: Annotated[bool, typer.Option("--resolved", help="Those that are gone instead.")] = False,
        limit: Annotated[int, typer.Option(help="How many at most.")] = 200,
        as_json: Json = False,
    ) -> None:
        """List the breaks that are open, oldest numbers first."""
        from dualsync.ledger.breaks import BreakFilter

        chosen = BreakFilter(
            control=control,
            company=company.upper() if company else None,
            severity=severity,
            text=text,
            still_open=not resolved,
        )
        with runtime() as opened:
            found = opened.ledger.nights.breaks(chosen, limit=limit)
            number = opened.ledger.nights.count(chosen)
        if as_json:
            _echo_json([asdict(one) for one in found])
            return
        table = Table("no.", "severity", "control", "company", "class", "key", "amount", "since", "status", "owner")
        for one in found:
            table.add_row(*_cells(one))
        Console(highlight=False, soft_wrap=True).print(table)
        typer.echo(f"{len(found)} of {number} breaks")

    return breaks_list


def _cells(one: BreakRecord) -> list[str]:
    amount = "" if one.amount is None else f"{one.amount.normalize():f} {one.currency}"
    since = f"{one.first_seen:%Y-%m-%d}"
    words = (one.severity, one.control, one.company, one.break_class, one.key, amount, since, one.status, one.owner)
    return [str(one.number), *words]


def _breaks_show(runtime: Open) -> Callable[..., None]:
    def breaks_show(number: Annotated[int, typer.Argument(help="Number of the break.")], as_json: Json = False) -> None:
        """Show one break: both values, both records as they were read, cause and what helps."""
        with runtime() as opened:
            detail = _detail(opened, number)
        if detail is None:
            typer.echo(f"there is no break number {number}", err=True)
            raise typer.Exit(2)
        if as_json:
            _echo_json(detail)
        else:
            _print_detail(detail)

    return breaks_show


def _detail(runtime: Runtime, number: int) -> dict[str, Any] | None:
    from dualsync.reports.nights import NightReport

    found = runtime.ledger.nights.one_break(number)
    report = None if found is None else NightReport.of(runtime.ledger, runtime.catalog, found.last_run)
    return None if report is None else report.detail(number)


def _print_detail(detail: dict[str, Any]) -> None:
    words = {**detail["break"], "cause": detail["cause"], "what helps": detail["mitigation"], **detail["links"]}
    for name, value in words.items():
        if value not in (None, ""):
            typer.echo(f"{name.replace('_', ' '):16} {value}")
    for side in ("dataverse", "finance"):
        for record in detail[side]:
            typer.echo(f"\nin {side.title()}:")
            shown = {column: value for column, value in record.items() if value is not None and column[0] != "@"}
            for column, value in shown.items():
                typer.echo(f"  {column}: {value}")


def _breaks_set(runtime: Open) -> Callable[..., None]:
    def breaks_set(
        number: Annotated[int, typer.Argument(help="Number of the break.")],
        by: By,
        status: Annotated[str | None, typer.Option(help="open, in_progress, accepted or disputed.")] = None,
        owner: Annotated[str | None, typer.Option(help="Who looks after it.")] = None,
        comment: Annotated[str | None, typer.Option(help="What there is to know.")] = None,
    ) -> None:
        """Give a break a status, an owner or a comment; they stay with it from night to night."""
        with runtime() as opened:
            one = opened.ledger.nights.edit_break(number, by, status=status, owner=owner, comment=comment)
        typer.echo(f"break {one.number}: {one.status}, owner {one.owner or 'nobody'}")

    return breaks_set
