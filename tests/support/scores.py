"""Scoring: what was planted against what the nightly reconciliation reports, rule by rule and class by class."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from dualsync.controls.model import CLASSES
from dualsync.controls.registry import controls
from dualsync.frames import read_table
from dualsync.mapping import Catalog
from dualsync.nightly import steps
from dualsync.nightly.comparison.maps import PREFIX
from dualsync.nightly.night import NightRef
from dualsync.sync.legs.runtime import Runtime
from dualsync_sandbox.business.parameters import Parameters
from dualsync_sandbox.plant import Planted, PlantSummary, plant
from support.worlds import World

Rule = tuple[str, str]
"""A rule and a class of breaks, as plants name them."""


@dataclass
class Score:
    """Planted breaks that were not found, and reports that nothing planted explains.

    Attributes:
        planted: how often each rule had to find a break of a class.
        reported: how often it reported one.
        missed: what it had to find and did not.
        false: what it reported and nobody planted.
        silent: controls and maps that could not be asked, or failed.
    """

    planted: Counter[Rule] = field(default_factory=Counter)
    reported: Counter[Rule] = field(default_factory=Counter)
    missed: list[tuple[Rule, str]] = field(default_factory=list)
    false: list[tuple[Rule, dict[str, Any]]] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)

    @property
    def perfect(self) -> bool:
        return not self.missed and not self.false and not self.silent

    def add(self, other: Score) -> None:
        """Count another score in."""
        self.planted.update(other.planted)
        self.reported.update(other.reported)
        self.missed += other.missed
        self.false += other.false
        self.silent += other.silent

    def rates(self) -> list[tuple[Rule, int, int, int, int]]:
        """Of each rule and class: planted, found, reported, and how many of those rightly."""
        missed, false = (Counter(rule for rule, _ in found) for found in (self.missed, self.false))
        return [
            (
                one,
                self.planted[one],
                self.planted[one] - missed[one],
                self.reported[one],
                self.reported[one] - false[one],
            )
            for one in sorted(self.planted.keys() | self.reported.keys(), key=_order)
        ]


def _order(one: Rule) -> tuple[bool, int, str, str]:
    rule, kind = one
    number = rule.removeprefix("R")
    return (not number.isdigit(), int(number) if number.isdigit() else 0, rule, kind)


def judge(
    world: World, seed: int, breaks: int, then: Callable[[NightRef, Runtime], None] | None = None
) -> tuple[PlantSummary, Score]:
    """Plant breaks and look-alikes in a settled world, let a night look at it, and score what it reports.

    Args:
        world: the world.
        seed: for the plants.
        breaks: how many.
        then: goes on with the night.
    """
    sandbox = world.sandbox
    parameters = Parameters(integrated_companies=tuple(world.settings.companies))
    planted = plant(sandbox.dataverse_store, sandbox.finance_store, breaks, seed, parameters=parameters)
    with world.runtime() as runtime:
        night = steps.begin(runtime)
        steps.read(night, runtime)
        results = [*steps.compare(night, runtime), *steps.ask(night, runtime)]
        files = [*night.folder.glob("sides/*/*/breaks.parquet"), *night.folder.glob("controls/*.parquet")]
        reported = [row for file in files for row in read_table(file).to_pylist()]
        found = score(planted.breaks, reported, runtime.catalog)
        if then is not None:
            then(night, runtime)
    heard = {"equal", "breaks", "limitation"}
    found.silent = [f"{one['control']}: {one['reason']}" for one in results if one["state"] not in heard]
    return planted, found


def score(breaks: Sequence[Planted], reported: Sequence[dict[str, Any]], catalog: Catalog) -> Score:
    """Recall: every planted break under every rule that must find it. Precision: no report beside them.

    A report belongs to a plant where it comes from one of its rules, in its company, names one of its records, and is
    of the class that the rule must find; of rules that may report consequences any class is right.
    """
    tables = {f"{PREFIX}{name}": f"table:{one.dataverse.table}" for name, one in catalog.declared.items()}
    rows = [{**row, "rule": tables.get(row["control"], row["control"])} for row in reported]
    result = Score(reported=Counter((row["rule"], row["class"]) for row in rows))
    named = [_names(row) for row in rows]
    explained = [False] * len(rows)
    for planted in breaks:
        records = [record.casefold() for record in planted.records if record]
        hits = {
            place
            for place, row in enumerate(rows)
            if row["company"] in (planted.company, "_global") or not planted.company
            if any(record in text for record in records for text in named[place])
        }
        for wanted in planted.found_by:
            result.planted[wanted] += 1
            if not any((rows[place]["rule"], rows[place]["class"]) == wanted for place in hits):
                result.missed.append((wanted, f"{planted.text} ({planted.company})"))
        for place in hits:
            one = rows[place]["rule"], rows[place]["class"]
            if one in planted.found_by or one[0] in planted.also:
                explained[place] = True
    result.false = [((row["rule"], row["class"]), row) for row, known in zip(rows, explained, strict=True) if not known]
    return result


def _names(row: dict[str, Any]) -> list[str]:
    return [str(row[name] or "").casefold() for name in ("key", "dataverse_id", "finance_key", "explanation")]


def declared() -> set[Rule]:
    """Every class of break that some control can report."""
    words = re.compile(r"'(\w+)'")
    return {
        (control.id, word)
        for control in controls().values()
        for check in control.asked
        for place in re.finditer(r"(CASE[^;]*?END|'\w+')\s+AS class|VALUES.*?v\(class", control.query(check), re.DOTALL)
        for word in words.findall(place.group(0))
        if word in CLASSES
    }


def unplantable() -> dict[Rule, str]:
    """Classes that no sandbox can hold, and why; the controls look for them all the same."""
    return {
        ("R17", "duplicate_in_dataverse"): "an alternate key of msdyn_expense keeps its number unique in a company",
    }
