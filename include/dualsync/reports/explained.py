"""Prints what is known of one record: both sides, its open rows, plans, documents and parents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

from rich.console import Console
from rich.table import Table

from dualsync.reports.words import direction_word, state_word


def print_explanation(explanation: Mapping[str, Any], console: Console) -> None:
    """Print an explanation.

    Args:
        explanation: What :func:`dualsync.repair.explain.explain` says of the record in one company.
        console: Where it is printed.
    """
    console.print(f"{explanation['map']} {explanation['key']} in {explanation['company']}", style="bold", markup=False)
    console.print(_both_sides(explanation))
    for line in _lines(explanation):
        console.print(line, markup=False)


def _both_sides(explanation: Mapping[str, Any]) -> Table:
    """Return the columns and values of both records, side by side."""
    table = Table("Dataverse", "", "Finance", " ")
    sides = (list((explanation[side] or {}).items()) for side in ("dataverse", "finance"))
    for ours, theirs in zip_longest(*sides, fillvalue=("", "")):
        table.add_row(str(ours[0]), _cell(ours[1]), str(theirs[0]), _cell(theirs[1]))
    return table


def _cell(value: Any) -> str:
    return "" if value is None else str(value)


def _lines(explanation: Mapping[str, Any]) -> Iterator[str]:
    yield f"agreed by both sides: {'yes' if explanation['agreed'] else 'no'}"
    for row in explanation["open"]:
        yield f"{state_word(row['state'])} since {row['first_seen']}: {row['reason']} ({row['rule']})"
    for document in explanation["units"]:
        missing = f"; missing: {', '.join(document['missing'])}" if document["missing"] else ""
        counts = f"{document['acknowledged']} of {document['expected']} lines on both sides"
        yield f"document {document['state']} since {document['since']}: {counts}{missing}"
    for plan in explanation["plans"]:
        yield _plan_line(plan)
        for cell in plan["facts"]:
            decided = ", ".join(cell["decided"]) or "nothing"
            yield f"  {cell['column']}: {', '.join(cell['facts']) or 'differs'} -> {decided}".replace("_", " ")
        for rule in plan["broken"]:
            yield f"  {rule['severity']}: {rule['reason']} ({rule['rule']})"
    for parent in explanation["parents"]:
        state = "on both sides" if parent["on_both_sides"] else "not on both sides yet"
        yield f"{parent['column']} -> {parent['map']} {parent['key']} ({parent['company']}): {state}"


def _plan_line(plan: Mapping[str, Any]) -> str:
    """Return what a run planned for the record, and what came of it."""
    planned = " ".join(filter(None, (plan["action"], ", ".join(plan["columns"] or []), plan["reason"])))
    sent = f"; sent: {plan['sent']['status']} {plan['sent']['reason'] or ''}".rstrip() if plan["sent"] else ""
    return f"run {plan['run']} {direction_word(plan['direction'])}: {planned}{sent}"
