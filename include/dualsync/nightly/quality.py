"""The data quality of a night: the suites of the table maps over all rows of both sides, as they would be written.

The legs ask the same suites, but only of what they are about to create or update. Here every row is asked that a leg
could carry, of the side it comes from and in the form of the other, also where another integration keeps both in step.
Rows of the side that creates are judged as new ones, so that every mandatory value is asked for.

What is kept are counts: no row, and no value of any.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from upath import UPath

from dualsync.errors import SchemaMismatch, Transient
from dualsync.ledger import SuiteResult
from dualsync.mapping import Direction, TableMap
from dualsync.mapping.suites import suite_hash
from dualsync.nightly.checks import FAILED, NOT_RUN
from dualsync.nightly.comparison.sides import Sides
from dualsync.nightly.night import NightRuntime
from dualsync.sync.legs.folders import read_json, safe_name, write_json
from dualsync.sync.validate.step import CHUNK, map_suite

log = logging.getLogger(__name__)

CHECKED = "checked"


def check_map(night: NightRuntime, table_map: TableMap) -> dict[str, Any]:
    """Ask the suite of a map of tonight's rows, all companies together, and keep the counts in the night's folder.

    A suite that cannot be asked does not stop the others. One that was asked is not asked again.

    Returns:
        What is kept: the state, the counts of rows, and each rule with its own.

    Raises:
        Transient: A system did not answer when a lookup was resolved; try again.
    """
    path = quality_path(night.night.folder, table_map.map)
    known = read_json(path)
    if known is not None and known["state"] != FAILED:
        return known
    try:
        result = _check(night, table_map)
    except SchemaMismatch as error:
        result = asdict(SuiteResult(table_map.suite, NOT_RUN, reason=str(error)))
    except Transient:
        raise
    except Exception as error:
        log.exception("the suite of %s failed", table_map.map)
        result = asdict(SuiteResult(table_map.suite, FAILED, reason=f"failed: {type(error).__name__}"))
    write_json(path, result)
    return result


def quality_path(folder: UPath, map_name: str) -> UPath:
    """Where a night's folder keeps what became of a suite."""
    return folder / "quality" / f"{safe_name(map_name)}.json"


def suite_results(night: NightRuntime) -> list[SuiteResult]:
    """What became of each suite of a night; one that was not reached has failed. None where none was to be asked."""
    if not night.night.quality:
        return []
    found = []
    for name in night.night.run.maps:
        kept = read_json(quality_path(night.night.folder, name))
        if kept is None:
            found.append(SuiteResult(night.catalog.declared[name].suite, FAILED, reason="was not reached"))
        else:
            found.append(SuiteResult(**{word: kept[word] for word in SuiteResult.__dataclass_fields__}))
    return found


@dataclass
class _Counts:
    """Counts of one suite so far; those of its rules by their position in it."""

    rows: int = 0
    refused: int = 0
    warned: int = 0
    held: int = 0
    rules: dict[int, np.ndarray[Any, Any]] = field(default_factory=dict)


def _check(night: NightRuntime, table_map: TableMap) -> dict[str, Any]:
    from dualsync.mapping.validation import check_rows

    suite = map_suite(table_map, night)
    counts = _Counts()
    sides = Sides(night, table_map)
    for direction in table_map.directions:
        for frame in _chunks(_rows(night, sides, direction, counts)):
            failures, asked = check_rows(frame, suite, "finance" if direction == "to_finance" else "dataverse")
            refused = {one.position for one in failures if one.severity == "critical"}
            counts.rows += len(frame)
            counts.refused += len(refused)
            counts.warned += len({one.position for one in failures} - refused)
            for one in asked:
                figures = np.array([one.rows, one.missing, one.broken])
                counts.rules[one.position] = counts.rules.get(one.position, 0) + figures
    rules = [
        {**suite["expectations"][place], "rows": int(rows), "missing": int(missing), "broken": int(broken)}
        for place, (rows, missing, broken) in sorted(counts.rules.items())
        if rows
    ]
    result = SuiteResult(
        table_map.suite,
        CHECKED,
        rows=counts.rows,
        refused=counts.refused,
        warned=counts.warned,
        held=counts.held,
        rules=len(rules),
        broken=sum(1 for rule in rules if rule["broken"]),
    )
    return {**asdict(result), "hash": suite_hash(suite), "expectations": rules}


def _rows(night: NightRuntime, sides: Sides, direction: Direction, counts: _Counts) -> Iterator[pd.DataFrame]:
    """Tonight's rows of a direction under their receiving names; those that cannot be brought into form are counted."""
    from dualsync.mapping.validation import CREATE_COLUMN

    table_map = sides.map
    columns = {column: name for name, column in sides.written_columns(direction).items()}
    source = "dataverse" if direction == "to_finance" else "finance"
    creates = table_map.rows.created_by in (source, "both")
    for company in night.companies_for(table_map, night.companies):
        day = night.settings.cutover.get(company) if table_map.initial.creates == "from_cutover" and creates else None
        for piece in sides.as_written(direction, company):
            # what is older than the cut-over is history, which no leg carries
            history = False if day is None else (piece["dated"] < day).fillna(value=False).to_numpy(dtype=bool)
            frame = piece[np.full(len(piece), True) & ~np.asarray(history)]
            whole = frame["stop"].isna()
            counts.held += int((~whole & (frame["stop"] != "skipped")).sum())
            rows = frame.loc[whole, list(columns)].rename(columns=columns)
            yield rows.assign(**{CREATE_COLUMN: np.full(len(rows), creates)})


def _chunks(pieces: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """Pieces put together to chunks: a pass of Great Expectations costs more than its rows."""
    gathered: list[pd.DataFrame] = []
    for piece in pieces:
        gathered.append(piece)
        if sum(len(one) for one in gathered) >= CHUNK:
            yield pd.concat(gathered, ignore_index=True)
            gathered = []
    rest = [one for one in gathered if len(one)]
    if rest:
        yield pd.concat(rest, ignore_index=True)
