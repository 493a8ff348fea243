"""The commands of the nightly reconciliation: ``reconcile``, ``controls``, ``sign-off`` and ``review``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dualsync.cli.context import (
    WRONG,
    By,
    Companies,
    Json,
    Period,
    complain,
    console,
    first_day,
    new_table,
    open_runtime,
    print_json,
)
from dualsync.errors import DualsyncError

if TYPE_CHECKING:
    from upath import UPath

    from dualsync.controls.model import Control
    from dualsync.nightly.night import NightRef
    from dualsync.nightly.publish import Verdict
    from dualsync.sync.legs.runtime import Runtime

OneCompany = Annotated[str, typer.Argument(metavar="COMPANY", help="The legal entity.")]

app = typer.Typer()


@app.command()
def reconcile(
    company: Companies = None,
    period: Annotated[
        str,
        typer.Option(
            metavar="PERIOD",
            help="Make a close package of this fiscal period instead: its first day, or year and month. Needs exactly "
            "one --company.",
            show_default=False,
        ),
    ] = "",
    maps: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="MAP", help="Compare only this table map; give it again for more."),
    ] = None,
    control: Annotated[
        list[str] | None,
        typer.Option(
            "--control", metavar="CONTROL", help="Test only this control, such as R7; give it again for more."
        ),
    ] = None,
    quality: Annotated[
        bool, typer.Option("--quality", help="Also check the data quality of both sides, and build Data Docs.")
    ] = False,
    copy_to: Annotated[
        Path | None, typer.Option("--copy-to", metavar="FOLDER", help="A folder for a copy of the report files.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare both systems and test all controls, to know whether they agree. It writes to neither.

    Exit code 0: they agree. 1: there are exceptions, whatever else. 2: a part failed, or a setting is wrong. 3: they
    agree as far as tested, for the environment does not show everything.
    """
    from dualsync.nightly.publish import publish
    from dualsync.reports.publishing import write_data_docs, write_reports

    with open_runtime() as runtime:
        first = first_day(period)
        try:
            night = _compare(runtime, company, first, maps, control, quality=quality)
        except DualsyncError as error:
            complain(error)
            raise typer.Exit(WRONG) from None
        verdict = publish(night, runtime)
        reports = write_reports(runtime, night.run.run_id)
        pages = [write_data_docs(runtime, night.run.run_id)] if quality else []
        lines = _control_lines(runtime, verdict)
    if copy_to is not None:
        _copy(reports, copy_to)
    files = [str(file) for file in (*reports, *pages)]
    if as_json:
        print_json({**asdict(verdict), "controls": lines, "files": files})
    else:
        _print_verdict(verdict, lines, files)
    raise typer.Exit(verdict.exit_code)


def _compare(
    runtime: Runtime,
    companies: Sequence[str] | None,
    period: str,
    maps: Sequence[str] | None,
    controls: Sequence[str] | None,
    *,
    quality: bool,
) -> NightRef:
    """Do what the tasks of the DAG do, up to the point where the results are put together.

    Whoever names some maps gets no control, and the other way round.
    """
    from dualsync.nightly import steps
    from dualsync.nightly.totals import compute_totals

    rest: list[str] | None = [] if maps or controls else None
    night = steps.begin(
        runtime, companies=companies, period=period, maps=maps or rest, controls=controls or rest, quality=quality
    )
    typer.echo(f"run {night.run.run_id}", err=True)
    steps.read(night, runtime)
    steps.compare(night, runtime)
    steps.ask(night, runtime)
    compute_totals(steps.tonight(night, runtime))
    if quality:
        steps.validate(night, runtime)
    return night


def _copy(files: Sequence[UPath], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        (folder / file.name).write_bytes(file.read_bytes())


def _control_lines(runtime: Runtime, verdict: Verdict) -> list[dict[str, Any]]:
    from dualsync.reports.nights import NightReport

    report = NightReport.of(runtime.ledger, runtime.catalog, verdict.run_id)
    assert report is not None
    return [asdict(line) for line in report.control_lines()]


def _print_verdict(verdict: Verdict, lines: list[dict[str, Any]], files: list[str]) -> None:
    from dualsync.reports.figures import percent
    from dualsync.reports.words import severity_count, state_word

    table = new_table("control", "title", "state", "exceptions", "by company")
    for line in lines:
        if line["state"] != "equal":
            by_company = ", ".join(
                f"{company} {number}" for company, (_, number) in line["by_company"].items() if number
            )
            words = (line["control"], line["title"], state_word(line["state"]), str(line["breaks"]))
            table.add_row(*words, line["reason"] or by_company)
    if table.row_count:
        console().print(table)
    agreeing = sum(line["state"] == "equal" for line in lines)
    counts = ", ".join(severity_count(severity, number) for severity, number in verdict.counts.items())
    typer.echo(f"{agreeing} of {len(lines)} controls and maps agree; exceptions: {counts}")
    matched = percent(verdict.matched) if verdict.matched else "no amounts"
    typer.echo(f"new {verdict.new}, resolved {verdict.resolved}; amounts matched: {matched}")
    for file in files:
        typer.echo(file)
    typer.echo(f"tested: {verdict.tested}")
    typer.echo(f"verdict: {state_word(verdict.state)}")


@app.command()
def controls(as_json: Json = False) -> None:
    """List the controls and what each of their checks proves, how severe its exceptions are, and what it rests on."""
    from dualsync.controls.registry import controls as all_controls
    from dualsync.mapping.areas import area_title

    rows = [_control_row(control) for control in all_controls().values()]
    if as_json:
        print_json(rows)
        return
    table = new_table("check", "area", "severity", "observable", "proves")
    for row in rows:
        table.add_row(row["id"], area_title(row["area"]), row["severity"], row["evidence"], row["title"], style="bold")
        for check in row["checks"]:
            table.add_row(f"{row['id']}{check['id']}", "", check["severity"], check["observable"], check["proves"])
    console().print(table)


def _control_row(control: Control) -> dict[str, Any]:
    """A control with its checks, without their queries."""
    row = {name: value for name, value in asdict(control).items() if name not in ("given", "checks")}
    checks = [
        {
            "id": check.id,
            "proves": check.proves,
            "judges": check.judges,
            "severity": check.severity or control.severity,
            "observable": check.observable,
            "limits": check.limits,
        }
        for check in control.checks
    ]
    return {**row, "checks": checks}


@app.command()
def sign_off(
    company: OneCompany,
    period: Period,
    by: By,
    run_id: Annotated[
        str,
        typer.Option(
            "--run", metavar="RUN", help="The run that made the close package.", show_default="the latest of the period"
        ),
    ] = "",
    comment: Annotated[
        str, typer.Option(metavar="TEXT", help="What others should know about it.", show_default=False)
    ] = "",
) -> None:
    """Sign off the close package of a period, once you have read it. It is frozen then.

    A later change in the period is an exception of its own.
    """
    from dualsync.nightly.packs import sign_off as freeze

    with open_runtime() as runtime:
        signed = freeze(runtime, company.upper(), first_day(period), by, run_id=run_id, comment=comment)
    typer.echo(f"{signed.company} {signed.period} signed by {signed.prepared_by}: {signed.folder}")
    typer.echo(f"digest {signed.digest}")


@app.command()
def review(company: OneCompany, period: Period, by: By) -> None:
    """Confirm a period that somebody else has signed off, as the second person."""
    with open_runtime() as runtime:
        signed = runtime.ledger.nights.review(company.upper(), first_day(period), by)
    typer.echo(f"{signed.company} {signed.period} reviewed by {signed.reviewed_by}")
