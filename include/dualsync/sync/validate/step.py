"""Step 3, validate: the map's suite over what would be written, then its set rules; refusals foreseen go to quarantine.

Great Expectations says positions and rules only; no value of a row is stored or logged (``mapping/validation.py``).
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from dualsync.frames import ParquetSink, Sets, quoted, to_pandas
from dualsync.mapping import TableMap
from dualsync.mapping.suites import build_suite, load_suite, suite_hash
from dualsync.sync.legs.markers import Extracted, Validated
from dualsync.sync.legs.runtime import Leg, Runtime
from dualsync.sync.plan.columns import LegColumns
from dualsync.sync.validate.set_rules import NotRun, SetRules

FAILURES = pa.schema(
    [
        pa.field("pos", pa.int64()),
        pa.field("severity", pa.string()),
        pa.field("rule", pa.string()),
        pa.field("reason", pa.string()),
    ]
)
CHUNK = 100_000


def validate(leg: Leg, runtime: Runtime, extracted: Extracted) -> Validated:
    """Check the rows that a plan would create or update.

    Args:
        leg: The leg, reconciled.
        runtime: Settings, for the folder of the suites; systems, for what set rules look into.
        extracted: What the extract step left.

    Returns:
        The step's marker.

    Raises:
        Transient: A system did not answer; try again.
    """
    from dualsync.mapping.validation import validate_rows

    leg_columns = LegColumns(leg.map, leg.direction, runtime.schema, extracted.missing)
    suite = map_suite(leg.map, runtime)
    checked, failures, not_run = 0, {"critical": 0, "warning": 0}, {}
    broken: Counter[str] = Counter()
    columns = ", ".join(quoted("w:" + name) for name in leg_columns.target_columns)
    with Sets() as sets, ParquetSink(leg.folder.file("failures.parquet"), FAILURES) as sink:
        sets.view("plan", leg.folder.file("plan.parquet"))

        def note(found: list[dict[str, Any]]) -> None:
            for failure in found:
                failures[failure["severity"]] += 1
                broken[failure["rule"]] += 1
            sink.write_rows(found)

        query = (
            f"SELECT pos, action, columns, {columns} FROM plan WHERE action IN ('create', 'update') ORDER BY wave, pos"
        )
        for piece in sets.stream(query, CHUNK):
            frame = to_pandas(piece)
            checked += len(frame)
            found = validate_rows(_as_written(frame, leg_columns), suite, leg_columns.target)
            rows = frame["pos"].to_numpy()
            note(
                [
                    {"pos": int(rows[f.position]), "severity": f.severity, "rule": f.rule, "reason": f.reason}
                    for f in found
                ]
            )
        set_rules = SetRules(leg, runtime, leg_columns, sets, extracted.base_path)
        for rule in set_rules.rules:
            name = f"{leg.map.map}.{rule.name}"
            try:
                positions = set_rules.broken(rule)
            except NotRun as reason:
                not_run[name] = str(reason)
                continue
            note([{"pos": p, "severity": rule.severity, "rule": name, "reason": rule.reason} for p in positions])
    return Validated(
        checked=checked,
        failures=failures,
        broken=dict(sorted(broken.items())),
        not_run=not_run,
        suite=suite_hash(suite),
    )


def remarks(validated: Validated) -> str:
    """What a person should know of a leg's validation: rules that rows break, and rules that were not run.

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


def _as_written(frame: pd.DataFrame, leg_columns: LegColumns) -> pd.DataFrame:
    """The rows as the receiving side will see them: its column names, and of updates only what changes."""
    create = (frame["action"] == "create").to_numpy(dtype=bool)
    changed = frame["columns"].array.__arrow_array__().to_pylist()
    written: dict[str, Any] = {"__create": create}
    for name in leg_columns.target_columns:
        carried = create | np.array([name in (names or ()) for names in changed], dtype=bool)
        written[name] = frame[f"w:{name}"].where(carried)
    return pd.DataFrame(written, index=frame.index).reset_index(drop=True)
