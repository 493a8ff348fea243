"""What a control, or the comparison of a table map, is about and what it said."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from dualsync.controls.registry import controls
from dualsync.ledger import ControlResult
from dualsync.ledger.records import STATES
from dualsync.mapping import Catalog
from dualsync.nightly.comparison.maps import PREFIX
from dualsync.nightly.packs import SIGNED_PERIOD


@dataclass(frozen=True, slots=True)
class ControlLine:
    """What one control, or the comparison of one map, said in a reconciliation, all companies together.

    Attributes:
        control: Its id; ``map:NAME`` for the comparison of a map.
        title: What it is about.
        area: The integration area.
        severity: Of its exceptions.
        evidence: Documented or derived; for maps, that they are compared in full.
        compares: What is held against what.
        tolerance: How far apart values may be.
        exclusions: What is left out.
        state: One of :data:`~dualsync.ledger.records.STATES`: the worst of its companies.
        breaks: Number of its exceptions.
        by_company: State and number of exceptions of each company.
        reason: Why it could not be tested.
    """

    control: str
    title: str
    area: str
    severity: str
    evidence: str
    compares: str
    tolerance: str
    exclusions: tuple[str, ...]
    state: str
    breaks: int
    by_company: dict[str, tuple[str, int]]
    reason: str


def control_lines(results: Iterable[ControlResult], catalog: Catalog) -> list[ControlLine]:
    """Return one line for each control and compared map, by area, the controls before the maps.

    Args:
        results: What each said in each company.
        catalog: The table maps.
    """
    by_control: dict[str, list[ControlResult]] = {}
    for result in results:
        by_control.setdefault(result.control, []).append(result)
    lines = [_line(control, its_results, catalog) for control, its_results in by_control.items()]
    return sorted(lines, key=lambda line: (line.area, line.control.startswith(PREFIX), _natural(line.control)))


def _line(control: str, results: list[ControlResult], catalog: Catalog) -> ControlLine:
    worst = min(results, key=lambda result: STATES.index(result.state))
    return ControlLine(
        **describe(control, catalog),
        control=control,
        state=worst.state,
        breaks=sum(result.breaks for result in results),
        by_company={result.company: (result.state, result.breaks) for result in results},
        reason=worst.reason,
    )


def describe(control: str, catalog: Catalog) -> dict[str, Any]:
    """Return what a control is, in words: the attributes of :class:`ControlLine` from title to exclusions.

    Args:
        control: Its id, or ``map:NAME``.
        catalog: The table maps.
    """
    declared = controls().get(control)
    if declared is not None:
        return {
            "title": declared.title,
            "area": declared.area,
            "severity": declared.severity,
            "evidence": declared.evidence,
            "compares": declared.compares,
            "tolerance": declared.tolerance,
            "exclusions": declared.exclusions,
        }
    words = {"severity": "error", "evidence": "compared in full", "tolerance": "none", "exclusions": ()}
    if control == SIGNED_PERIOD:
        compares = "Totals of signed periods, as they were signed and as they are now"
        title = "Signed periods stay as they were signed"
        return words | {"title": title, "area": "close", "severity": "critical", "compares": compares}
    table_map = catalog.declared.get(control.removeprefix(PREFIX))
    if table_map is None:
        return words | {"title": control, "area": "", "compares": ""}
    compares = f"Dataverse {table_map.dataverse.table} against Finance {table_map.finance.set}, by integration key"
    return words | {"title": table_map.title, "area": table_map.area, "compares": compares}


def _natural(control: str) -> tuple[str, int, str]:
    """Return what sorts control 2 before control 10."""
    matched = re.fullmatch(r"([A-Za-z]+)([0-9]+)", control)
    return (matched[1], int(matched[2]), "") if matched else (control, 0, control)
