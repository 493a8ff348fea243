"""The commands that synchronise without Airflow: ``sync``, ``resume`` and ``status``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dualsync.cli.context import FAILED, Companies, Json, Maps, console, open_runtime, print_json
from dualsync.errors import RequestError

if TYPE_CHECKING:
    from dualsync.ledger import LegRecord
    from dualsync.sync.legs.leg import RunRef
    from dualsync.sync.legs.runtime import Runtime
    from dualsync.sync.run.runs import RunSummary
    from dualsync.sync.run.steps import StepSummary

app = typer.Typer()


@app.command()
def sync(
    area: Annotated[
        str, typer.Argument(metavar="AREA", help="The area, such as setup_configuration; `all` for all areas.")
    ],
    maps: Maps = None,
    company: Companies = None,
    key: Annotated[
        list[str] | None,
        typer.Option(
            "--key",
            metavar="KEY",
            help="Only the record with this integration key, its parts joined by |; needs exactly one --map. "
            "Give it again for more.",
        ),
    ] = None,
    parents: Annotated[bool, typer.Option("--with-parents", help="With --key: also the records it refers to.")] = False,
    mode: Annotated[
        str,
        typer.Option(
            metavar="MODE",
            help="incremental reads what changed, full reads everything, audit reads everything and writes nothing.",
        ),
    ] = "incremental",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Plan and show, but write nothing.")] = False,
    guards: Annotated[
        bool,
        typer.Option("--guards/--no-guards", help="Stop a transfer that would change too much, until it is approved."),
    ] = True,
    as_json: Json = False,
) -> None:
    """Synchronise an area now, in this process: to try a map, or where no Airflow runs.

    Every map runs its five steps, in order and in both directions. Exit code 1: a transfer failed or needs approval.
    """
    from dualsync.sync.legs.spec import All, Keys, RunSpec
    from dualsync.sync.run.runs import start_run

    with open_runtime() as runtime:
        if key and (not maps or len(maps) != 1):
            raise RequestError("--key needs exactly one --map: it is a key of that map")
        if parents and not key:
            raise RequestError("--with-parents needs --key: it adds what that record refers to")
        keys = _keys(runtime, maps[0], key, company, parents=parents) if key and maps else {}
        spec = RunSpec(
            area,
            Keys(keys) if keys else All(),
            mode=mode,
            companies=company or (),
            maps=list(keys) or maps or (),
            dry_run=dry_run,
            guards=guards,
        )
        run = start_run(spec, runtime)
        _run_to_the_end(run, runtime, as_json=as_json)


def _keys(
    runtime: Runtime, map_name: str, keys: Sequence[str], companies: Sequence[str] | None, *, parents: bool
) -> dict[str, list[str]]:
    """Return the keys that a run of single records covers, by map, each once."""
    from dualsync.repair.explain import keys_of_run

    checked = runtime.check_companies(companies)
    by_map: dict[str, list[str]] = {}
    for key in keys:
        for name, needed in keys_of_run(runtime, map_name, key, checked, parents=parents).items():
            by_map[name] = list(dict.fromkeys([*by_map.get(name, []), *needed]))
    return by_map


@app.command()
def resume(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="The run, as `dualsync sync` prints it when it starts.")],
    as_json: Json = False,
) -> None:
    """Go on with a run that was interrupted: after a crash or Ctrl-C. What it has settled is not done twice."""
    from dualsync.sync.run.runs import reopen_run

    with open_runtime() as runtime:
        _run_to_the_end(reopen_run(run_id, runtime), runtime, as_json=as_json)


def _run_to_the_end(run: RunRef, runtime: Runtime, *, as_json: bool) -> None:
    """Carry a run out, say on stderr how far it is, and print the result."""
    from dualsync.sync.run.serial import run_all

    progress_console = console(stderr=True)

    def say(text: str) -> None:
        if not as_json:
            progress_console.print(text, style="dim", markup=False)

    def show_step(summary: StepSummary) -> None:
        from dualsync.reports.words import direction_word, state_word

        states = ", ".join(f"{leg.company} {state_word(leg.state)}" for leg in summary.legs)
        say(f"{summary.map} {direction_word(summary.direction)}: {states}")

    say(f"run {run.run_id}")
    summary = run_all(run, runtime, progress=show_step)
    _print_run(summary, as_json=as_json)
    if summary.state in ("failed", "held"):
        raise typer.Exit(FAILED)


def _print_run(summary: RunSummary, *, as_json: bool) -> None:
    from dualsync.reports.words import state_word

    if as_json:
        print_json({"run_id": summary.run_id, "state": summary.state, "legs": [_as_data(leg) for leg in summary.legs]})
    else:
        _print_transfers(f"run {summary.run_id}: {state_word(summary.state)}", summary.legs)


def _as_data(leg: LegRecord) -> dict[str, Any]:
    """Return a transfer as flat data: its counts beside its other words."""
    record = asdict(leg)
    return {**record.pop("counts"), **record}


def _print_transfers(title: str, legs: Sequence[LegRecord]) -> None:
    from dualsync.reports.legs import legs_table, wide_console
    from dualsync.reports.words import transfer_name

    wide_console().print(legs_table(title, legs))
    for leg in legs:
        if leg.message:
            typer.echo(f"{transfer_name(leg.map, leg.direction, leg.company, leg.part)}: {leg.message}")


@app.command()
def status(as_json: Json = False) -> None:
    """Show where the integration stands: the last run of each transfer, open rows and incomplete documents.

    It asks the ledger alone, and neither system.
    """
    from dualsync.ledger.documents import documents_of
    from dualsync.reports.words import state_word, transfer_name

    with open_runtime() as runtime:
        legs = runtime.ledger.latest_legs()
        open_rows = runtime.ledger.count_open_rows()
        documents = documents_of(runtime.ledger.documents(incomplete=True), incomplete=True)
    incomplete = Counter((document.map, document.company) for document in documents)
    if as_json:
        print_json(
            {
                "legs": [_as_data(leg) for leg in legs],
                "open": [
                    {"map": map_name, "direction": direction, "company": company, "state": state, "rows": number}
                    for (map_name, direction, company, state), number in open_rows.items()
                ],
                "units": [
                    {"map": map_name, "company": company, "incomplete": number}
                    for (map_name, company), number in sorted(incomplete.items())
                ],
            }
        )
        return
    _print_transfers("the last run of each transfer", legs)
    for (map_name, direction, company, state), number in sorted(open_rows.items()):
        typer.echo(f"{transfer_name(map_name, direction, company)}: {number} {state_word(state)}")
    for (map_name, company), number in sorted(incomplete.items()):
        typer.echo(f"{map_name} {company}: {number} incomplete (see `dualsync documents --open`)")
