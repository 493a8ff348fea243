"""The commands about single records: ``documents`` and ``explain``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dualsync.cli.context import Company, Json, MapFilter, MapName, console, open_runtime, print_json, upper

if TYPE_CHECKING:
    from dualsync.sync.lookups.records import Record

app = typer.Typer()


@app.command("units", hidden=True)  # the earlier name; scripts use it
@app.command()
def documents(
    only_open: Annotated[bool, typer.Option("--open", help="Only documents of which something is missing.")] = False,
    map_name: MapFilter = None,
    company: Company = None,
    as_json: Json = False,
) -> None:
    """List documents (headers with their lines), to see which have not arrived whole and what they lack."""
    from dualsync.ledger.documents import documents_of
    from dualsync.reports.documents import documents_table

    with open_runtime() as runtime:
        records = runtime.ledger.documents(map_name=map_name, company=upper(company))
    chosen = documents_of(records, incomplete=only_open)
    if as_json:
        print_json([document.to_dict() for document in chosen])
        return
    console().print(documents_table(chosen))
    typer.echo(f"{len(chosen)} documents, {sum(bool(document.missing) for document in chosen)} incomplete")


@app.command()
def explain(
    map_name: MapName,
    key: Annotated[str, typer.Argument(metavar="KEY", help="The integration key; its parts are joined by |.")],
    company: Company = None,
    sql: Annotated[
        bool, typer.Option("--sql", help="Only the SQL by which the last plan of each direction was made.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Explain one record: why it waits, is blocked or differs.

    It shows both sides as they are now, the last plan with the facts it was made of and what came of it, the open rows
    and the records it needs.
    """
    from dualsync.repair.explain import explain as explain_record
    from dualsync.reports.explained import print_explanation

    with open_runtime() as runtime:
        explanations: list[Record] = explain_record(runtime, map_name, key, company)
    if sql:
        for plan in (plan for explanation in explanations for plan in explanation["plans"]):
            typer.echo(f"-- run {plan['run']} {plan['direction']}\n{plan['sql'] or '-- this run left no SQL'}")
        return
    if as_json:
        for plan in (plan for explanation in explanations for plan in explanation["plans"]):
            del plan["sql"]  # it is asked for with --sql alone
        print_json(explanations)
        return
    for explanation in explanations:
        print_explanation(explanation, console())
