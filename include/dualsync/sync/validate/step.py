"""Step 3, validate: the map's suite over what would be written, then its set rules; refusals foreseen go to quarantine.

Great Expectations says positions and rules only; no value of a row is stored or logged (``mapping/validation.py``).
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from dualsync.frames import ParquetSink, Sets, to_pandas
from dualsync.mapping import TableMap
from dualsync.mapping.suites import build_suite, load_suite, suite_hash
from dualsync.sql import quoted
from dualsync.sync.legs.context import LegContext
from dualsync.sync.legs.markers import Validated
from dualsync.sync.legs.runtime import Runtime
from dualsync.sync.plan.columns import LegColumns
from dualsync.sync.plan.vocabulary import UPSERTED, Action, Severity, rule_name, sql_list, wanted
from dualsync.sync.validate.set_rules import NotTested, SetRules

FAILURES = pa.schema(
    [
        pa.field("pos", pa.int64()),
        pa.field("severity", pa.string()),
        pa.field("rule", pa.string()),
        pa.field("reason", pa.string()),
    ]
)
CHUNK = 100_000


class _Failures:
    """Writes down which rules which rows break, and counts them."""

    def __init__(self, sink: ParquetSink) -> None:
        self._sink = sink
        self.by_severity: dict[str, int] = {Severity.CRITICAL: 0, Severity.WARNING: 0}
        self.by_rule: Counter[str] = Counter()

    def add(self, failures: list[dict[str, Any]]) -> None:
        """Write failures down: for each the place of the row in the plan, severity, rule and reason."""
        for failure in failures:
            self.by_severity[failure["severity"]] += 1
            self.by_rule[failure["rule"]] += 1
        self._sink.write_rows(failures)


def validate(context: LegContext) -> Validated:
    """Check the rows that a plan would create or update.

    Args:
        context: The transfer, reconciled.

    Returns:
        The step's marker.

    Raises:
        Transient: A system did not answer; try again.
    """
    suite = map_suite(context.map, context.runtime)
    with Sets() as sets, ParquetSink(context.folder.file("failures.parquet"), FAILURES) as sink:
        sets.view("plan", context.folder.file("plan.parquet"))
        failures = _Failures(sink)
        checked = _check_rows(context, sets, suite, failures)
        not_tested = _check_sets(context, sets, failures)
    return Validated(
        checked=checked,
        failures=failures.by_severity,
        broken=dict(sorted(failures.by_rule.items())),
        not_run=not_tested,
        suite=suite_hash(suite),
    )


def _check_rows(context: LegContext, sets: Sets, suite: dict[str, Any], failures: _Failures) -> int:
    """Ask the suite of the map, piece by piece; returns how many rows were checked."""
    from dualsync.mapping.validation import validate_rows

    checked = 0
    columns = ", ".join(quoted(wanted(name)) for name in context.columns.target_columns)
    query = f"SELECT pos, action, columns, {columns} FROM plan WHERE action IN {sql_list(UPSERTED)} ORDER BY wave, pos"
    for piece in sets.stream(query, CHUNK):
        frame = to_pandas(piece)
        checked += len(frame)
        broken = validate_rows(_as_written(frame, context.columns), suite, context.columns.target)
        positions = frame["pos"].to_numpy()
        failures.add(
            [
                {"pos": int(positions[one.position]), "severity": one.severity, "rule": one.rule, "reason": one.reason}
                for one in broken
            ]
        )
    return checked


def _check_sets(context: LegContext, sets: Sets, failures: _Failures) -> dict[str, str]:
    """Ask the rules that look into a set; returns those that could not be tested, with the reason."""
    not_tested: dict[str, str] = {}
    set_rules = SetRules(context, sets)
    for rule in set_rules.rules:
        name = rule_name(context.map.map, rule.name)
        try:
            positions = set_rules.broken(rule)
        except NotTested as reason:
            not_tested[name] = str(reason)
            continue
        failures.add(
            [{"pos": pos, "severity": rule.severity, "rule": name, "reason": rule.reason} for pos in positions]
        )
    return not_tested


def remarks(validated: Validated) -> str:
    """What a person should know of a validation: rules that rows break, and rules that could not be tested.

    Args:
        validated: The marker of the validation.
    """
    said = [f"{number} row{'s' if number > 1 else ''} against {rule}" for rule, number in validated.broken.items()]
    said += [f"{rule} was not run: {why}" for rule, why in validated.not_run.items()]
    return "; ".join(said)


def map_suite(table_map: TableMap, runtime: Runtime) -> dict[str, Any]:
    """The committed suite of a map; one made from the map where the home has no suites at all.

    Raises:
        MapErrors: The home has suites, but none for this map.
    """
    home = runtime.settings.home
    if (home / "great_expectations").is_dir():
        return load_suite(home, table_map.suite)
    return build_suite(table_map, runtime.schema)


def _as_written(frame: pd.DataFrame, columns: LegColumns) -> pd.DataFrame:
    """The rows as the receiving side will see them: its column names, and of updates only what changes."""
    create = (frame["action"] == str(Action.CREATE)).to_numpy(dtype=bool)
    changed = frame["columns"].array.__arrow_array__().to_pylist()
    written: dict[str, Any] = {"__create": create}
    for name in columns.target_columns:
        carried = create | np.array([name in (names or ()) for names in changed], dtype=bool)
        written[name] = frame[wanted(name)].where(carried)
    return pd.DataFrame(written, index=frame.index).reset_index(drop=True)
