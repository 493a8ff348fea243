"""Asks the controls: each check is a query over tonight's extracts.

It agrees, has exceptions, is not tested, or failed. What an environment lacks costs the checks that use it, and no
other: a control whose other checks agree is *incomplete*, which says that it agrees as far as it was tested.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from typing import Any

import duckdb
import pyarrow as pa
from upath import UPath

from dualsync.controls.model import BREAK_SCHEMA, Check, Control
from dualsync.frames import Sets, literal, quoted
from dualsync.nightly.needs import lacking, reads
from dualsync.nightly.night import NightRuntime
from dualsync.nightly.views import open_views
from dualsync.sync.legs.folders import write_json
from dualsync.sync.plan.vocabulary import GLOBAL

log = logging.getLogger(__name__)

EQUAL, BREAKS, NOT_RUN, FAILED, INCOMPLETE = "equal", "breaks", "not_run", "failed", "incomplete"
LIMITATION = "limitation"
"""The state of a check, or of the comparison of a map, that no environment can show; it does not count."""


def check(night: NightRuntime, control: Control) -> dict[str, Any]:
    """Ask the checks of one control and write their exceptions.

    Returns:
        Its state, the number of its exceptions, the reasons where not all of it could be tested, and the same of each
        of its checks.
    """
    path = breaks_path(night, control)
    started = time.perf_counter()
    reasons = {one.id: lacking(night, control.query(one)) for one in control.asked}
    asked = [one for one in control.asked if not reasons[one.id]]
    checks = {one.id: _result(one.id, NOT_RUN, reason=reasons[one.id]) for one in control.asked if reasons[one.id]}
    checks |= {one.id: _result(one.id, LIMITATION, reason=one.limits) for one in control.limitations}
    with Sets() as sets:
        queries = [control.query(one) for one in asked]
        if queries:
            open_views(sets, night, reads(*queries), control.window)
        answered: list[Check] = []
        for one in asked:
            try:
                _ask(sets, control, one)
                answered.append(one)
            except duckdb.Error as error:
                log.exception("check %s%s failed", control.id, one.id)
                # The message may quote values of rows, which no log or report may hold.
                checks[one.id] = _result(one.id, FAILED, reason=f"its query failed: {type(error).__name__}")
        if answered:
            numbers = _save(sets, answered, path)
            for one in answered:
                number = numbers.get(one.id, 0)
                checks[one.id] = _result(one.id, BREAKS if number else EQUAL, breaks=number)
    ordered = [checks[one.id] for one in control.checks]
    result = {
        "control": control.id,
        "state": state_of([one["state"] for one in ordered]),
        "breaks": sum(one["breaks"] for one in ordered),
        "reason": _reason(control, ordered),
        "checks": ordered,
        "seconds": round(time.perf_counter() - started, 3),
    }
    write_json(path.with_suffix(".json"), result)
    return result


def state_of(states: Iterable[str]) -> str:
    """Return what the states of checks come to; limitations do not count.

    Args:
        states: The states.
    """
    counted = {state for state in states if state != LIMITATION}
    for worst in (FAILED, BREAKS):
        if worst in counted:
            return worst
    if not counted <= {EQUAL}:
        return NOT_RUN if counted == {NOT_RUN} else INCOMPLETE
    return EQUAL


def breaks_path(night: NightRuntime, control: Control) -> UPath:
    """The file of a control's exceptions."""
    return night.night.folder / "controls" / f"{control.id}.parquet"


def _result(letter: str, state: str, *, breaks: int = 0, reason: str = "") -> dict[str, Any]:
    return {"check": letter, "state": state, "breaks": breaks, "reason": reason}


def _reason(control: Control, checks: Sequence[dict[str, Any]]) -> str:
    """Why not all of a control was tested; what all its checks lack is said once."""
    lacks: dict[str, list[str]] = {}
    for one in checks:
        if one["state"] in (NOT_RUN, FAILED):
            lacks.setdefault(one["reason"], []).append(f"{control.id}{one['check']}")
    if len(lacks) == 1 and sum(map(len, lacks.values())) == len(control.asked):
        return next(iter(lacks))
    return "; ".join(f"{', '.join(names)}: {reason}" for reason, names in lacks.items())


def _ask(sets: Sets, control: Control, one: Check) -> None:
    """Make a table of the exceptions of a check, in the shape that all have."""
    query = control.query(one)
    given = set(sets.columns_of(query))
    unknown = given - set(BREAK_SCHEMA.names)
    if unknown:
        raise ValueError(
            f"check {control.id}{one.id} returns columns that no exception has: {', '.join(sorted(unknown))}"
        )
    columns = ", ".join(_column(field, control, one, given) for field in BREAK_SCHEMA)
    sets.run(f"CREATE OR REPLACE TEMP TABLE {_table(one)} AS SELECT DISTINCT {columns} FROM ({query})")


def _save(sets: Sets, answered: Sequence[Check], path: UPath) -> dict[str, int]:
    """Write the exceptions of all checks of a control into one file, and return their number by check."""
    found = " UNION ALL ".join(f"SELECT * FROM {_table(one)}" for one in answered)
    # Nights know exceptions by their identity: several of one record and field are told apart by their number.
    order = 'ORDER BY finance_key, dataverse_id, amount, "check"'
    place = f"row_number() OVER (PARTITION BY company, key, class, field {order})"
    told = f"CASE {place} WHEN 1 THEN field ELSE concat_ws(' ', field, {place}) END"
    sets.save(f"SELECT * REPLACE ({told} AS field) FROM ({found}) ORDER BY company, class, key, field", path)
    rows = sets.fetch(f'SELECT "check", count(*) AS n FROM ({found}) GROUP BY ALL').to_pylist()
    return {row["check"]: row["n"] for row in rows}


def _table(one: Check) -> str:
    return quoted(f"found:{one.id}")


def _column(field: pa.Field, control: Control, one: Check, given: set[str]) -> str:
    name = quoted(field.name)
    defaults = {
        "control": control.id,
        "check": one.id,
        "company": GLOBAL,
        "severity": one.severity or control.severity,
        "dataverse_table": control.dataverse_table,
        "finance_set": control.finance_set,
    }
    if field.name == "amount":
        return f"{'amount' if 'amount' in given else 'NULL'}::DECIMAL(38,6) AS amount"
    default = literal(defaults.get(field.name, ""))
    return f"COALESCE({name}::VARCHAR, {default}) AS {name}" if field.name in given else f"{default} AS {name}"
