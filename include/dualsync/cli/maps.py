"""The commands ``dualsync maps``: the table maps, what they need, and whether they fit the two systems."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dualsync.cli.context import FAILED, Json, console, new_table, open_runtime, print_json
from dualsync.cli.groups import CommandGroup

if TYPE_CHECKING:
    from dualsync.mapping import TableMap
    from dualsync.mapping.views import MapRow
    from dualsync.sync.legs.runtime import Runtime

app = typer.Typer(
    cls=CommandGroup,
    no_args_is_help=True,
    help="Show and check the table maps: after you change one, and before the first run on your own environments.",
)


@app.command("list")
def list_maps(
    published: Annotated[
        bool, typer.Option("--published", help="Show which published dual-write map each follows, and its version.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List all table maps with area and directions, to find the name of one.

    A map comes after the maps it needs; its parts stand below it.
    """
    from dualsync.mapping.areas import area_title
    from dualsync.mapping.views import maps_table
    from dualsync.reports.words import direction_word

    with open_runtime() as runtime:
        rows = maps_table(runtime.catalog)
    if as_json:
        print_json(rows)
        return
    if published:
        table = new_table("map", "published map", "version")
        for row in rows:
            table.add_row(_shown_name(row), row["published"] or "", row["published_version"] or "")
        console().print(table)
        return
    table = new_table("map", "area", "scope", "directions", "pairs", "needs")
    for row in rows:
        directions = ", ".join(direction_word(direction) for direction in row["directions"])
        needs = ", ".join(row["needs"])
        table.add_row(_shown_name(row), area_title(row["area"]), row["scope"], directions, str(row["pairs"]), needs)
    console().print(table)


def _shown_name(row: MapRow) -> str:
    """The name of a map in a list: parts are indented, and what does not run says so."""
    name = row["map"] if row["part_of"] is None else f"- {row['map']}"
    return name if row["enabled"] else f"{name} (off)"


@app.command()
def graph(
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Print a Mermaid flowchart.")] = False,
    area: Annotated[
        str | None, typer.Option(metavar="AREA", help="Only this area and the reference maps it needs.")
    ] = None,
) -> None:
    """Show which map needs which, to see what a map waits for."""
    from dualsync.mapping.graph import graph_mermaid, graph_text

    with open_runtime() as runtime:
        names = runtime.catalog.with_reference(area) if area else None
        typer.echo(graph_mermaid(runtime.catalog, names) if mermaid else graph_text(runtime.catalog, names))


@app.command()
def check(
    live: Annotated[
        bool, typer.Option("--live", help="Also look up every column in both systems; needs the connections.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check the table maps: after you change one, and with --live before the first run on an environment.

    Exit code 1: a map has an error. Warnings alone do not count.
    """
    from dualsync.mapping.checks import check_catalog

    with open_runtime() as runtime:
        findings = [
            {"map": finding.map, "place": f"{finding.path}:{finding.line}", "severity": finding.severity,
             "text": finding.text}
            for finding in check_catalog(runtime.catalog, runtime.schema)
        ]  # fmt: skip
        if live:
            for table_map in runtime.catalog.declared.values():
                findings += _live_findings(table_map, runtime)
        number = len(runtime.catalog.declared)
    if as_json:
        print_json(findings)
    else:
        for finding in findings:
            typer.echo(f"{finding['place']}: {finding['severity']}: {finding['text']}")
        typer.echo(f"{number} maps, {len(findings)} findings")
    if any(finding["severity"] == "error" for finding in findings):
        raise typer.Exit(FAILED)


def _live_findings(table_map: TableMap, runtime: Runtime) -> list[dict[str, str]]:
    """Return what a map names and the two systems do not have."""
    from dualsync.errors import SchemaMismatch
    from dualsync.sync.plan.live_columns import missing_columns
    from dualsync.sync.validate.set_rules import why_not

    def finding(severity: str, text: str) -> dict[str, str]:
        return {"map": table_map.map, "place": str(table_map.path), "severity": severity, "text": text}

    try:
        missing = missing_columns(table_map, runtime.systems)
    except SchemaMismatch as error:
        return [finding("error", str(error))]
    columns = [
        finding("warning", f"the live {side} has no column {column}; the pair is left out")
        for side, names in missing.items()
        for column in names
    ]
    rules = [
        finding("warning", f"the rule {rule.name} will not run: {why}")
        for rule in table_map.rules
        if rule.reference is not None and (why := why_not(rule, runtime.systems))
    ]
    return columns + rules


@app.command()
def suites(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit code 1 where a suite does not fit its map.")
    ] = False,
) -> None:
    """Write the Great Expectations suites of all maps: after you change a map or its columns."""
    from dualsync.mapping.suites import drifted, write_suites

    with open_runtime() as runtime:
        folder = runtime.settings.home / "great_expectations" / "expectations"
        if not check:
            for path in write_suites(runtime.catalog, runtime.schema, folder):
                typer.echo(f"wrote {path}")
            return
        stale = drifted(runtime.catalog, runtime.schema, folder)
    for path in stale:
        typer.echo(f"{path}: does not fit its table map; run `dualsync maps suites`")
    if stale:
        raise typer.Exit(FAILED)


@app.command()
def schema(path: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")]) -> None:
    """Write the JSON schema of table maps, so that your editor completes and checks them."""
    from dualsync.mapping.jsonschema import write_schema

    write_schema(path)
    typer.echo(f"wrote {path}")
