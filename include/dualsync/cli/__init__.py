"""The command ``dualsync``: the same jobs as the DAGs, without Airflow.

Exit codes: 0 all settled, 1 a leg failed or was held, or a check found errors, 2 a setting, map or argument is wrong.
"""

from __future__ import annotations

import json
import logging
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from dualsync.cli.nightly import register as register_reconcile
from dualsync.cli.repair import register_held, register_replay
from dualsync.errors import DualsyncError, MapErrors, SettingsError

if TYPE_CHECKING:
    from dualsync.ledger import LegRecord, OpenRow
    from dualsync.sync.legs.runtime import RunRef, Runtime
    from dualsync.sync.run.pipeline import StepSummary

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)
maps_app = typer.Typer(no_args_is_help=True, help="Look at the table maps and check them.")
quarantine_app = typer.Typer(no_args_is_help=True, help="Look at the rows that are held back, and try them again.")
app.add_typer(maps_app, name="maps")
app.add_typer(quarantine_app, name="quarantine")

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Company = Annotated[list[str] | None, typer.Option("--company", help="Only this company; may be repeated.")]


def _console(*, stderr: bool = False) -> Console:
    return Console(stderr=stderr, highlight=False, soft_wrap=True)


def _print_json(data: Any) -> None:
    typer.echo(json.dumps(data, indent=1, default=str))


@contextmanager
def _errors() -> Iterator[None]:
    """Turn what a user can cause into a message and an exit code."""
    try:
        yield
    except (SettingsError, MapErrors) as error:
        _console(stderr=True).print(str(error), style="red", markup=False)
        raise typer.Exit(2) from None
    except DualsyncError as error:
        _console(stderr=True).print(f"{type(error).__name__}: {error}", style="red", markup=False)
        raise typer.Exit(1) from None


@contextmanager
def _runtime() -> Iterator[Runtime]:
    from dualsync.sync.legs.runtime import Runtime

    with _errors(), Runtime.open() as runtime:
        yield runtime


register_reconcile(app, _runtime)
register_held(app, _runtime)
register_replay(quarantine_app, _runtime)


@app.callback()
def _options(
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log every request (method, path, status) to stderr.")
    ] = False,
) -> None:
    import structlog

    level = logging.DEBUG if verbose else logging.WARNING
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, format="%(levelname)s %(message)s")
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


# --- maps -------------------------------------------------------------------------------------------------------------


@maps_app.command("list")
def maps_list(as_json: Json = False) -> None:
    """List all table maps, parents first, each with its parts below."""
    from dualsync.mapping.views import maps_table

    with _runtime() as runtime:
        rows = maps_table(runtime.catalog)
    if as_json:
        _print_json(rows)
        return
    table = Table("map", "area", "scope", "directions", "pairs", "needs")
    for row in rows:
        name = row["map"] if row["part_of"] is None else f"- {row['map']}"
        name = name if row["enabled"] else f"{name} (off)"
        table.add_row(
            name, row["area"], row["scope"], ", ".join(row["directions"]), str(row["pairs"]), ", ".join(row["needs"])
        )
    _console().print(table)


@maps_app.command("graph")
def maps_graph(
    mermaid: Annotated[bool, typer.Option("--mermaid", help="As a Mermaid flowchart.")] = False,
    area: Annotated[str | None, typer.Option(help="Only this area and what it needs.")] = None,
) -> None:
    """Show which map needs which."""
    from dualsync.mapping.graph import graph_mermaid, graph_text

    with _runtime() as runtime:
        names = runtime.catalog.with_reference(area) if area else None
        typer.echo(graph_mermaid(runtime.catalog, names) if mermaid else graph_text(runtime.catalog, names))


@maps_app.command("check")
def maps_check(
    live: Annotated[bool, typer.Option("--live", help="Also check every column against the live systems.")] = False,
    as_json: Json = False,
) -> None:
    """Check the table maps; exit code 1 when one has an error."""
    from dualsync.mapping.checks import check_catalog

    with _runtime() as runtime:
        found = [
            {"map": f.map, "place": f"{f.path}:{f.line}", "severity": f.severity, "text": f.text}
            for f in check_catalog(runtime.catalog, runtime.schema)
        ]
        if live:
            found += _live_findings(runtime)
        number = len(runtime.catalog.declared)
    if as_json:
        _print_json(found)
    else:
        for finding in found:
            typer.echo(f"{finding['place']}: {finding['severity']}: {finding['text']}")
        typer.echo(f"{number} maps, {len(found)} findings")
    if any(finding["severity"] == "error" for finding in found):
        raise typer.Exit(1)


def _live_findings(runtime: Runtime) -> list[dict[str, str]]:
    from dualsync.errors import SchemaMismatch
    from dualsync.sync.extract.step import missing_columns
    from dualsync.sync.validate.set_rules import why_not

    found: list[dict[str, str]] = []
    for name, table_map in runtime.catalog.declared.items():
        try:
            missing = missing_columns(table_map, runtime)
        except SchemaMismatch as error:
            found.append({"map": name, "place": str(table_map.path), "severity": "error", "text": str(error)})
            continue
        found.extend(
            {
                "map": name,
                "place": str(table_map.path),
                "severity": "warning",
                "text": f"the live {side} has no column {column}; the pair is left out",
            }
            for side, columns in missing.items()
            for column in columns
        )
        found.extend(
            {
                "map": name,
                "place": str(table_map.path),
                "severity": "warning",
                "text": f"the rule {rule.name} will not run: {why}",
            }
            for rule in table_map.rules
            if rule.reference is not None and (why := why_not(rule, runtime.systems))
        )
    return found


@maps_app.command("suites")
def maps_suites(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit code 1 when a suite no longer fits its map.")
    ] = False,
) -> None:
    """Write the Great Expectations suites that follow from the table maps."""
    from dualsync.mapping.suites import drifted, write_suites

    with _runtime() as runtime:
        folder = runtime.settings.home / "great_expectations" / "expectations"
        if not check:
            for path in write_suites(runtime.catalog, runtime.schema, folder):
                typer.echo(f"wrote {path}")
            return
        stale = drifted(runtime.catalog, runtime.schema, folder)
    for path in stale:
        typer.echo(f"{path}: does not fit its table map; run `dualsync maps suites`")
    if stale:
        raise typer.Exit(1)


@maps_app.command("schema")
def maps_schema(path: Annotated[Path, typer.Argument(help="File to write.")]) -> None:
    """Write the JSON schema of table maps, for editors."""
    from dualsync.mapping.jsonschema import write_schema

    write_schema(path)
    typer.echo(f"wrote {path}")


# --- sync -------------------------------------------------------------------------------------------------------------


@app.command()
def sync(
    area: Annotated[str, typer.Argument(help="Area of the maps, such as setup_configuration; `all` for every map.")],
    maps: Annotated[list[str] | None, typer.Option("--map", help="Only this map; may be repeated.")] = None,
    company: Company = None,
    key: Annotated[
        list[str] | None, typer.Option("--key", help="Only this integration key (parts joined by |); needs one --map.")
    ] = None,
    parents: Annotated[bool, typer.Option("--with-parents", help="With --key: also the records it needs.")] = False,
    mode: Annotated[
        str, typer.Option(help="incremental, full, or audit (compares everything, writes nothing).")
    ] = "incremental",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Plan, and write nothing.")] = False,
    guards: Annotated[bool, typer.Option("--guards/--no-guards", help="Hold legs that would change too much.")] = True,
    as_json: Json = False,
) -> None:
    """Synchronise an area: the five steps of every map, in order, in this process."""
    from dualsync.repair.explain import keys_of_run
    from dualsync.sync.run.pipeline import start_run

    if key and (not maps or len(maps) != 1):
        raise typer.BadParameter("--key needs exactly one --map")
    if parents and not key:
        raise typer.BadParameter("--with-parents needs --key")
    with _runtime() as runtime:
        keys: dict[str, list[str]] = {}
        if key and maps:
            chosen = runtime.check_companies(company)
            for one in key:
                found = keys_of_run(runtime, maps[0], one, chosen, parents=parents)
                for name, more in found.items():
                    keys.setdefault(name, []).extend(k for k in more if k not in keys.get(name, []))
            maps = list(keys)
        run = start_run(
            area, runtime=runtime, mode=mode, dry_run=dry_run, companies=company, maps=maps, keys=keys, guards=guards
        )
        _run(run, runtime, as_json=as_json)


@app.command()
def resume(
    run_id: Annotated[str, typer.Argument(help="The run, as `dualsync sync` and `dualsync status` name it.")],
    as_json: Json = False,
) -> None:
    """Go on with a run that was interrupted; what it settled is not done twice."""
    from dualsync.sync.run.pipeline import reopen_run

    with _runtime() as runtime:
        _run(reopen_run(run_id, runtime), runtime, as_json=as_json)


def _run(run: RunRef, runtime: Runtime, *, as_json: bool) -> None:
    """Run to the end, saying on stderr how far it is, and print the result."""
    from dualsync.sync.run.pipeline import run_all

    console = _console(stderr=True)

    def progress(summary: StepSummary) -> None:
        if not as_json:
            states = ", ".join(f"{leg.company} {leg.state}" for leg in summary.legs)
            console.print(f"{summary.map} {summary.direction}: {states}", style="dim", markup=False)

    if not as_json:
        console.print(f"run {run.run_id}", style="dim", markup=False)
    summary = run_all(run, runtime, progress=progress)
    if as_json:
        _print_json({"run_id": summary.run_id, "state": summary.state, "legs": [_leg(leg) for leg in summary.legs]})
    else:
        _print_legs(f"run {summary.run_id}: {summary.state}", summary.legs)
    if summary.state in ("failed", "held"):
        raise typer.Exit(1)


def _leg(leg: LegRecord) -> dict[str, Any]:
    record = asdict(leg)
    return {**record.pop("counts"), **record}


def _print_legs(title: str, legs: Sequence[LegRecord]) -> None:
    from dualsync.reports.legs import legs_table, wide_console

    wide_console().print(legs_table(title, legs))
    for leg in legs:
        if leg.message:
            typer.echo(f"{leg.map} {leg.direction} {leg.company}: {leg.message}")


@app.command()
def status(as_json: Json = False) -> None:
    """Show per map, direction and company the last run, its state and its counts; what is open or incomplete."""
    from dualsync.ledger.documents import documents_of

    with _runtime() as runtime:
        legs = runtime.ledger.latest_legs()
        waiting = runtime.ledger.count_open_rows()
        incomplete = Counter(
            (unit.map, unit.company)
            for unit in documents_of(runtime.ledger.documents(incomplete=True), incomplete=True)
        )
    if as_json:
        open_rows = [
            {"map": m, "direction": d, "company": c, "state": s, "rows": n} for (m, d, c, s), n in waiting.items()
        ]
        units = [{"map": m, "company": c, "incomplete": n} for (m, c), n in sorted(incomplete.items())]
        _print_json({"legs": [_leg(leg) for leg in legs], "open": open_rows, "units": units})
        return
    _print_legs("the last run of each leg", legs)
    for (name, direction, company, state), number in sorted(waiting.items()):
        typer.echo(f"{name} {direction} {company}: {number} {state}")
    for (name, company), number in sorted(incomplete.items()):
        typer.echo(f"{name} {company}: {number} incomplete (see `dualsync units --open`)")


@app.command()
def units(
    only_open: Annotated[bool, typer.Option("--open", help="Only units of which something is missing.")] = False,
    map_name: Annotated[str | None, typer.Option("--map", help="Only headers of this map.")] = None,
    company: Annotated[str | None, typer.Option(help="Only this company.")] = None,
    as_json: Json = False,
) -> None:
    """Show headers with their lines: how many lines are there, and what is missing."""
    from dualsync.ledger.documents import documents_of
    from dualsync.reports.units import units_table

    with _runtime() as runtime:
        records = runtime.ledger.documents(map_name=map_name, company=company.upper() if company else None)
    found = documents_of(records, incomplete=only_open)
    if as_json:
        _print_json([unit.to_dict() for unit in found])
        return
    _console().print(units_table(found))
    typer.echo(f"{len(found)} units, {sum(bool(unit.missing) for unit in found)} incomplete")


@app.command("explain")
def explain_command(
    map_name: Annotated[str, typer.Argument(metavar="MAP", help="The table map.")],
    key: Annotated[str, typer.Argument(help="The integration key; parts joined by |.")],
    company: Annotated[str | None, typer.Option(help="The company.")] = None,
    as_json: Json = False,
) -> None:
    """Explain one record: both sides, plan, parents, last send, why it waits."""
    from dualsync.repair.explain import explain

    with _runtime() as runtime:
        found = explain(runtime, map_name, key, company)
    if as_json:
        _print_json(found)
        return
    console = _console()
    for one in found:
        console.print(f"[bold]{one['map']} {one['key']}[/bold] in {one['company']}")
        table = Table("Dataverse", "", "Finance", " ")
        dataverse, finance = list((one["dataverse"] or {}).items()), list((one["finance"] or {}).items())
        for i in range(max(len(dataverse), len(finance))):
            left = dataverse[i] if i < len(dataverse) else ("", "")
            right = finance[i] if i < len(finance) else ("", "")
            table.add_row(str(left[0]), _cell(left[1]), str(right[0]), _cell(right[1]))
        console.print(table)
        console.print(f"agreed by both sides: {'yes' if one['agreed'] else 'no'}")
        for row in one["open"]:
            console.print(f"{row['state']} since {row['first_seen']}: {row['reason']} ({row['rule']})", markup=False)
        for unit in one["units"]:
            missing = f"; missing: {', '.join(unit['missing'])}" if unit["missing"] else ""
            counts = f"{unit['acknowledged']} of {unit['expected']} lines on both sides"
            console.print(f"unit {unit['state']} since {unit['since']}: {counts}{missing}", markup=False)
        for plan in one["plans"]:
            sent = plan["sent"]
            console.print(
                f"run {plan['run']} {plan['direction']}: {plan['action']} {', '.join(plan['columns'] or [])} "
                f"{plan['reason'] or ''}" + (f"; sent: {sent['status']} {sent['reason']}" if sent else ""),
                markup=False,
            )
            for rule in plan["broken"]:
                console.print(f"  {rule['severity']}: {rule['reason']} ({rule['rule']})", markup=False)
        for parent in one["parents"]:
            state = "on both sides" if parent["on_both_sides"] else "not on both sides yet"
            console.print(
                f"{parent['column']} -> {parent['map']} {parent['key']} ({parent['company']}): {state}", markup=False
            )


def _cell(value: Any) -> str:
    return "" if value is None else str(value)


# --- quarantine -------------------------------------------------------------------------------------------------------


@quarantine_app.command("list")
def quarantine_list(
    map_name: Annotated[str | None, typer.Option("--map", help="Only this map.")] = None,
    company: Annotated[str | None, typer.Option(help="Only this company.")] = None,
    state: Annotated[str, typer.Option(help="quarantined, waiting, conflict, delete, or all.")] = "quarantined",
    as_json: Json = False,
) -> None:
    """List the rows that are held back, with rule and reason; none is left out."""
    with _runtime() as runtime:
        states = () if state == "all" else (state,)
        rows = runtime.ledger.open_rows(map_name=map_name, company=company.upper() if company else None, states=states)
    if as_json:
        _print_json([asdict(row) for row in rows])
        return
    table = Table("map", "direction", "company", "key", "state", "rule", "reason")
    for row in rows:
        table.add_row(row.map, row.direction, row.company, row.key, row.state, row.rule, row.reason)
    _console().print(table)
    typer.echo(f"{len(rows)} rows")


@quarantine_app.command("show")
def quarantine_show(
    map_name: Annotated[str, typer.Argument(metavar="MAP", help="The table map.")],
    key: Annotated[str, typer.Argument(help="The key as listed.")],
    as_json: Json = False,
) -> None:
    """Show one row that is held back; exit code 1 when there is none of that key."""
    with _runtime() as runtime:
        rows: list[OpenRow] = runtime.ledger.open_rows(map_name=map_name, key=key)
    if as_json:
        _print_json([asdict(row) for row in rows])
    for row in rows if not as_json else ():
        for name, value in asdict(row).items():
            typer.echo(f"{name:12} {value if value is not None else ''}")
        typer.echo("")
    if not rows:
        _console(stderr=True).print(f"no open row of map {map_name} has the key {key}", markup=False)
        raise typer.Exit(1)


def main() -> None:
    """Entry point: the commands above and those that other packages bring."""
    for point in entry_points(group="dualsync.commands"):
        app.add_typer(point.load(), name=point.name)
    app()
