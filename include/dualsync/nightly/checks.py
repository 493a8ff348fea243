"""Asks the controls: each is a query over tonight's extracts, and ends equal, with breaks, not run, or failed."""

from __future__ import annotations

import logging
import time
from typing import Any

import duckdb
import pyarrow as pa
from upath import UPath

from dualsync.controls.causes import CAUSES
from dualsync.controls.model import BREAK_SCHEMA, Control
from dualsync.frames import Sets, literal, quoted
from dualsync.nightly.night import NightRuntime
from dualsync.nightly.views import lacking, open_views
from dualsync.sync.legs.folders import write_json
from dualsync.sync.plan.vocabulary import GLOBAL

log = logging.getLogger(__name__)

EQUAL, BREAKS, NOT_RUN, FAILED = "equal", "breaks", "not_run", "failed"


def check(night: NightRuntime, control: Control) -> dict[str, Any]:
    """Ask one control and write its breaks.

    Returns:
        Its state, the number of its breaks, and the reason where it could not be asked.
    """
    path = breaks_path(night, control)
    started = time.perf_counter()
    reason = lacking(night, control.needs)
    if reason:
        result: dict[str, Any] = {"state": NOT_RUN, "breaks": 0, "reason": reason}
    else:
        try:
            number = _ask(night, control, path)
            result = {"state": BREAKS if number else EQUAL, "breaks": number, "reason": ""}
        except duckdb.Error as error:
            log.exception("control %s failed", control.id)
            # The message may quote values of rows, which no log or report may hold.
            result = {"state": FAILED, "breaks": 0, "reason": f"its query failed: {type(error).__name__}"}
    result |= {"control": control.id, "seconds": round(time.perf_counter() - started, 3)}
    write_json(path.with_suffix(".json"), result)
    return result


def breaks_path(night: NightRuntime, control: Control) -> UPath:
    """The file of a control's breaks."""
    return night.night.folder / "controls" / f"{control.id}.parquet"


def _ask(night: NightRuntime, control: Control, path: UPath) -> int:
    with Sets() as sets:
        open_views(sets, night, control.needs, control.window)
        sets.run(f"CREATE OR REPLACE TEMP TABLE found AS {control.sql}")
        given = set(sets.fetch("SELECT * FROM found LIMIT 0").schema.names)
        unknown = given - set(BREAK_SCHEMA.names)
        if unknown:
            raise ValueError(f"control {control.id} returns columns that no break has: {', '.join(sorted(unknown))}")
        columns = ", ".join(_column(field, control, given) for field in BREAK_SCHEMA)
        # Nights know breaks by their identity: several of one record and field are told apart by their number.
        place = "row_number() OVER (PARTITION BY company, key, class, field ORDER BY finance_key, dataverse_id, amount)"
        told = f"CASE {place} WHEN 1 THEN field ELSE concat_ws(' ', field, {place}) END"
        return sets.save(
            f"SELECT * REPLACE ({told} AS field) FROM (SELECT DISTINCT {columns} FROM found) "
            "ORDER BY company, class, key, field",
            path,
        )


def _column(field: pa.Field, control: Control, given: set[str]) -> str:
    name = quoted(field.name)
    defaults = {
        "control": control.id,
        "company": GLOBAL,
        "severity": control.severity,
        "dataverse_table": control.dataverse_table,
        "finance_set": control.finance_set,
    }
    if field.name == "amount":
        return f"{'amount' if 'amount' in given else 'NULL'}::DECIMAL(38,6) AS amount"
    default = literal(defaults.get(field.name, ""))
    return f"COALESCE({name}::VARCHAR, {default}) AS {name}" if field.name in given else f"{default} AS {name}"


def explain(cause: str) -> str:
    """What is documented to help against a cause; empty where nothing is."""
    return CAUSES[cause].mitigation if cause in CAUSES else ""
