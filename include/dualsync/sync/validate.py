"""Step 3, validate: the map's suite over what would be written; what the receiver would refuse goes to quarantine.

Great Expectations says positions and rules only; no value of a row is stored or logged (``mapping/validation.py``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from dualsync.frames import ParquetSink, Sets, quoted, to_pandas
from dualsync.mapping.suites import build_suite, load_suite, suite_hash
from dualsync.sync.runtime import Leg, Runtime
from dualsync.sync.shape import Shape

FAILURES = pa.schema(
    [
        pa.field("pos", pa.int64()),
        pa.field("severity", pa.string()),
        pa.field("rule", pa.string()),
        pa.field("reason", pa.string()),
    ]
)
CHUNK = 100_000


def validate(leg: Leg, runtime: Runtime, extracted: dict[str, Any]) -> dict[str, Any]:
    """Check the rows that a plan would create or update.

    Args:
        leg: The leg, reconciled.
        runtime: Settings, for the folder of the suites.
        extracted: What the extract step left.

    Returns:
        The content of the step's marker: rows checked, failures by severity, and the hash of the suite.
    """
    from dualsync.mapping.validation import validate_rows

    shape = Shape(leg.map, leg.direction, runtime.schema, extracted["missing"])
    suite = suite_of(leg, runtime)
    checked, failures = 0, {"critical": 0, "warning": 0}
    columns = ", ".join(quoted("w:" + name) for name in shape.target_columns)
    with Sets() as sets, ParquetSink(leg.folder.file("failures.parquet"), FAILURES) as sink:
        sets.view("plan", leg.folder.file("plan.parquet"))
        query = (
            f"SELECT pos, action, columns, {columns} FROM plan WHERE action IN ('create', 'update') ORDER BY wave, pos"
        )
        for piece in sets.stream(query, CHUNK):
            frame = to_pandas(piece)
            checked += len(frame)
            found = validate_rows(_as_written(frame, shape), suite, shape.target)
            rows = frame["pos"].to_numpy()
            for failure in found:
                failures[failure.severity] += 1
            sink.write_rows(
                [
                    {"pos": int(rows[f.position]), "severity": f.severity, "rule": f.rule, "reason": f.reason}
                    for f in found
                ]
            )
    return {
        "checked": checked,
        "failures": failures,
        "suite": suite_hash(suite),
    }


def suite_of(leg: Leg, runtime: Runtime) -> dict[str, Any]:
    """The committed suite of a map; one made from the map where the home has no suites at all.

    Raises:
        MapErrors: The home has suites, but none for this map.
    """
    home = runtime.settings.home
    if (home / "great_expectations").is_dir():
        return load_suite(home, leg.map.suite)
    return build_suite(leg.map, runtime.schema)


def _as_written(frame: pd.DataFrame, shape: Shape) -> pd.DataFrame:
    """The rows as the receiving side will see them: its column names, and of updates only what changes."""
    create = (frame["action"] == "create").to_numpy(dtype=bool)
    changed = frame["columns"].array.__arrow_array__().to_pylist()
    written: dict[str, Any] = {"__create": create}
    for name in shape.target_columns:
        carried = create | np.array([name in (names or ()) for names in changed], dtype=bool)
        written[name] = frame[f"w:{name}"].where(carried)
    return pd.DataFrame(written, index=frame.index).reset_index(drop=True)
