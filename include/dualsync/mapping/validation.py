"""Runs a suite over rows about to be written and says which rows break which rule.

Great Expectations works in memory only, in one context per process: a file context breaks under parallel writers.
Results carry row positions and rule names, never values.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import pandas as pd

from dualsync.mapping.rules import rule_answers
from dualsync.mapping.suites import CHECK, CREATE_ONLY

if TYPE_CHECKING:
    from types import ModuleType

    from dualsync.sides import Side

CREATE_COLUMN = "__create"
"""Boolean column of the frame: true for a row to be created, false for an update, which names only what changed."""


_NOT_NULL = "expect_column_values_to_not_be_null"


@dataclass(frozen=True)
class Failure:
    """One row that breaks one rule.

    Attributes:
        position: The row's position in the frame, from 0.
        rule: Map, column and rule, such as ``projects.ProjectName.length``.
        severity: ``critical`` holds the row back, ``warning`` only tells.
        reason: Why, for a person; holds no value of the row.
        column: The column on the receiving side; of a business rule, the first of its columns.
    """

    position: int
    rule: str
    severity: str
    reason: str
    column: str


@dataclass(frozen=True)
class RuleCount:
    """How many rows a rule was asked of.

    Attributes:
        position: The rule's position in the suite, from 0.
        rows: Rows it was asked of.
        missing: Those without a value, about which it says nothing.
        broken: Those that break it.
    """

    position: int
    rows: int
    missing: int
    broken: int


def validate_rows(frame: pd.DataFrame, suite: Mapping[str, Any], side: Side) -> list[Failure]:
    """Check rows against the rules of the receiving side.

    Args:
        frame: The rows, columns named and typed as on the receiving side, plus ``__create``. All rows are new where
            that column is missing. Rules of columns that the frame lacks are left out.
        suite: A suite as :func:`dualsync.mapping.suites.build_suite` makes it.
        side: The side that the rows are written to.

    Returns:
        The failures, by row position and rule.
    """
    return check_rows(frame, suite, side)[0]


def check_rows(frame: pd.DataFrame, suite: Mapping[str, Any], side: Side) -> tuple[list[Failure], list[RuleCount]]:
    """Check rows as :func:`validate_rows` does, and say how many rows each rule was asked of.

    Returns:
        The failures, by row position and rule; and one count for each rule that was asked, by its position.
    """
    rows = frame.reset_index(drop=True)
    new = rows if CREATE_COLUMN not in rows else rows[rows[CREATE_COLUMN].fillna(value=False).astype(bool)]
    rules = {place: rule for place, rule in enumerate(suite["expectations"]) if rule["meta"]["side"] == side}
    rules = {place: rule for place, rule in rules.items() if all(name in rows for name in _columns(rule))}
    # each pass of Great Expectations costs far more than its rows, so there is one where all rows are new
    parts = [(new, rules)]
    if len(new) < len(rows):
        of_new = {place: rule for place, rule in rules.items() if rule["meta"].get(CREATE_ONLY, False)}
        parts = [(rows, {place: rule for place, rule in rules.items() if place not in of_new}), (new, of_new)]
    failures: list[Failure] = []
    counts: list[RuleCount] = []
    for part, asked in parts:
        part_failures, part_counts = _check(part, asked)
        failures += part_failures
        counts += part_counts
    failures.sort(key=lambda failure: (failure.position, failure.rule))
    return failures, sorted(counts, key=lambda count: count.position)


def _columns(rule: Mapping[str, Any]) -> list[str]:
    """The receiving columns that a rule looks at."""
    check = rule["meta"].get(CHECK)
    return [rule["kwargs"]["column"]] if check is None else check["columns"]


def _check(rows: pd.DataFrame, rules: dict[int, dict[str, Any]]) -> tuple[list[Failure], list[RuleCount]]:
    business = [rule for rule in rules.values() if CHECK in rule["meta"]]
    rows = rows.assign(**{rule["kwargs"]["column"]: rule_answers(rows, rule["meta"][CHECK]) for rule in business})
    filled = {column for column in rows if rows[column].notna().any()}
    # a rule about values has nothing to say about a column without any; its type may not even fit the rule
    asked = {
        place: rule for place, rule in rules.items() if rule["type"] == _NOT_NULL or rule["kwargs"]["column"] in filled
    }
    counts = [RuleCount(place, len(rows), len(rows), 0) for place in rules if place not in asked]
    if rows.empty or not asked:
        return [], [RuleCount(place, 0, 0, 0) for place in rules] if rows.empty else counts
    definition = _batch_definition()
    from great_expectations.core.expectation_suite import ExpectationSuite

    used = list(dict.fromkeys(rule["kwargs"]["column"] for rule in asked.values()))
    batch = definition.get_batch({"dataframe": rows[used]})
    expectations = [_configuration(place, rule) for place, rule in asked.items()]
    suite = ExpectationSuite(name="rows", expectations=expectations)
    results = batch.validate(suite, result_format={"result_format": "COMPLETE"})
    failures: list[Failure] = []
    for result in results.results:
        place = result.expectation_config.meta["position"]
        rule = asked[place]
        if result.exception_info.get("raised_exception"):
            raise RuntimeError(f"{rule['meta']['rule']} could not be checked")
        broken = result.result.get("unexpected_index_list") or ()
        failures += [_failure(int(position), rule) for position in broken]
        missing = 0 if rule["type"] == _NOT_NULL else int(rows[rule["kwargs"]["column"]].isna().sum())
        counts.append(RuleCount(place, len(rows), missing, len(broken)))
    return failures, counts


def _failure(position: int, rule: Mapping[str, Any]) -> Failure:
    meta = rule["meta"]
    return Failure(position, meta["rule"], rule["severity"], meta["reason"], _columns(rule)[0])


def _configuration(position: int, rule: Mapping[str, Any]) -> Any:
    """A rule as an expectation of Great Expectations, which returns results in an order of its own."""
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    return ExpectationConfiguration(
        type=rule["type"], kwargs=dict(rule["kwargs"]), meta={"position": position}, severity=rule["severity"]
    ).to_domain_obj()


def import_great_expectations() -> ModuleType:
    """The package, imported late because it takes seconds, with its telemetry off."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read when the package is imported
    with warnings.catch_warnings():
        # its own imports use a module that Python 3.11 calls deprecated
        warnings.simplefilter("ignore", DeprecationWarning)
        import great_expectations as gx
    return gx


@cache
def _batch_definition() -> Any:
    """The in-memory source that takes frames: made once per process, without progress bars."""
    gx = import_great_expectations()
    from great_expectations.data_context.types import base

    # it insists on telling of a folder for docs that are never written
    base.logger.setLevel(logging.WARNING)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = base.ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("rows").add_dataframe_asset("rows")
    return asset.add_batch_definition_whole_dataframe("rows")
